/* sigmoid.c -- y = 1 / (1 + exp(-x)). y' = y (1 - y): derivatives are polynomials in y. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_sigmoid(x);
}
ROB_EACH1(sigmoid)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return g_mul(g, y, rob_priv_one_minus(g, y));
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    rob_priv_uni_interval(&rob_priv_uni_sigmoid, &in[0], out);
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    rob_priv_uni_relax(&rob_priv_uni_sigmoid, &in[0], theta, below, above);
}

static void curve(const rob_node *n, const rob_range *in, const double *const *centre,
                  rob_curve *out)
{
    (void)n;
    for (int64_t e = 0; e < out->count; e++) {
        double reach;
        rob_interval x = rob_priv_curve_box(&in[0], e, centre[0][e], &reach);
        rob_priv_curve_one(out, e, rob_priv_jet_sigmoid(centre[0][e]), rob_priv_sizes_sigmoid(x), reach);
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n, (void)i;
    rob_priv_steep_one(&rob_priv_uni_sigmoid, &in[0], out);
}

const rob_op rob_priv_op_sigmoid = {
    .name = "sigmoid", .id = ROB_OP_sigmoid, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
    .curve = curve, .enclose = enclose, .steep = steep,
};
#endif
