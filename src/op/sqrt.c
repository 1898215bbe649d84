/* sqrt.c -- y = sqrt x, NaN below 0. y' = 1 / (2 y), infinite at 0. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_sqrt(x);
}
ROB_EACH1(sqrt)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return g_affine(g, g_unary(g, "reciprocal", y), 0.5, 0);
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    rob_priv_uni_interval(&rob_priv_uni_sqrt, &in[0], out);
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    rob_priv_uni_relax(&rob_priv_uni_sqrt, &in[0], theta, below, above);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_sqrt = {
    .name = "sqrt", .id = ROB_OP_sqrt, .ins = 1, .kind = ROB_OP_ELEMENTWISE,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
    .enclose = enclose,
};
#endif
