/* erf.c -- y = erf x = 2/sqrt(pi) int_0^x exp(-t^2) dt. y' = 2/sqrt(pi) exp(-x^2). */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_erf(x);
}
ROB_EACH1(erf)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    const double two_over_root_pi = 0x1.20dd750429b6dp+0;
    rob_id square = g_unary(g, "square", rob_priv_input_of(g, y, i));
    return g_affine(g, g_unary(g, "exp", g_neg(g, square)), two_over_root_pi, 0);
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    rob_priv_uni_interval(&rob_priv_uni_erf, &in[0], out);
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    rob_priv_uni_relax(&rob_priv_uni_erf, &in[0], theta, below, above);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n, (void)i;
    rob_priv_steep_one(&rob_priv_uni_erf, &in[0], out);
}

const rob_op rob_priv_op_erf = {
    .name = "erf", .id = ROB_OP_erf, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
    .enclose = enclose,
    .steep = steep,
};
#endif
