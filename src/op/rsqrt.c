/* rsqrt.c -- y = 1 / sqrt x; inf at 0, NaN below. y' = -y^3 / 2. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return 1 / vm_sqrt(x);
}
ROB_EACH1(rsqrt)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return g_affine(g, g_mul(g, y, g_unary(g, "square", y)), -0.5, 0);
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    rob_priv_uni_interval(&rob_priv_uni_rsqrt, &in[0], out);
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    rob_priv_uni_relax(&rob_priv_uni_rsqrt, &in[0], theta, below, above);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_falling(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_rsqrt = {
    .name = "rsqrt", .id = ROB_OP_rsqrt, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
    .enclose = enclose,
};
#endif
