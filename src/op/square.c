/* square.c -- y = x^2. y' = 2 x. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return x * x;
}
ROB_EACH1(square)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    rob_id inner;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, in[0], &v)) return rob_priv_fill_like(g, in[0], v * v);
    if (rob_priv_is_scaled(g, in[0], &v, &inner))
        return g_affine(g, g_unary(g, "square", inner), v * v, 0);
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return g_affine(g, rob_priv_input_of(g, y, i), 2, 0);
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    rob_priv_uni_interval(&rob_priv_uni_square, &in[0], out);
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    rob_priv_uni_relax(&rob_priv_uni_square, &in[0], theta, below, above);
}

const rob_op rob_priv_op_square = {
    .name = "square", .id = ROB_OP_square, .ins = 1, .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
};
#endif
