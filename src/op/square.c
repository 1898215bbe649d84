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

static void curve(const rob_node *n, const rob_range *in, const double *const *centre,
                  rob_curve *out)
{
    (void)n;
    for (int64_t e = 0; e < out->count; e++) {
        double reach, c = centre[0][e];
        rob_priv_curve_box(&in[0], e, c, &reach);
        rob_priv_curve_one(out, e, (rob_jet){ { c * c, 2 * c, 2 } },
                           (rob_sizes){ { 0, 0, 0, 0 } }, reach);
        out->rho[0][e] = 0;
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    (void)y;
    rob_id near = g_add(g, g_unary(g, "relu", lo[0]), g_unary(g, "relu", g_neg(g, up[0])));
    *ylo = g_unary(g, "square", near);
    *yup = rob_priv_enclose_most(g, g_unary(g, "square", lo[0]), g_unary(g, "square", up[0]));
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n, (void)i;
    rob_priv_steep_one(&rob_priv_uni_square, &in[0], out);
}

const rob_op rob_priv_op_square = {
    .name = "square", .id = ROB_OP_square, .ins = 1, .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
    .curve = curve, .enclose = enclose, .steep = steep,
};
#endif
