/* abs.c -- y = |x|. y' = sign x (0 at 0). */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_abs(x);
}
ROB_EACH1(abs)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    rob_id inner;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, in[0], &v))
        return rob_priv_fill_like(g, in[0], v < 0 ? -v : v);
    if (rob_priv_is_scaled(g, in[0], &v, &inner) && v == -1)
        return g_unary(g, "abs", inner);
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return g_unary(g, "sign", rob_priv_input_of(g, y, i));
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        double l = fp_or_lo(in[0].lo[e]), u = fp_or_up(in[0].up[e]);
        rob_priv_range_put(out, e, l > 0 ? l : u < 0 ? -u : 0,
                           rob_priv_range_most(&in[0], e));
    }
}

/* Below: any slope in [-1, 1] through 0; theta moves it from -1 to 1. Above: the chord.
 */
static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval x = rob_priv_range_at(&in[0], e);
        double most = rob_priv_range_most(&in[0], e), zero = 0;
        bool mixed = x.lo < 0 && x.up > 0;
        double a = x.lo >= 0 || (mixed && x.up >= -x.lo) ? 1 : -1, b = a;
        if (theta && mixed)
            a = 2 * theta[e] - 1;
        rob_priv_plane_put(below, false, 1, e, &x, &a, 0, &zero, 0);
        if (mixed)
            b = (x.up + x.lo) / (x.up - x.lo);
        double left = fp_add_up(fabs(x.lo), -fp_mul_lo(b, x.lo));
        double right = fp_add_up(fabs(x.up), -fp_mul_lo(b, x.up));
        double offset = mixed ? fp_max(fp_or_up(left), fp_or_up(right)) : 0;
        rob_priv_plane_put(above, true, 1, e, &x, &b, offset, &x.lo, most);
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    *ylo = g_add(g, g_unary(g, "relu", lo[0]), g_unary(g, "relu", g_neg(g, up[0])));
    *yup = rob_priv_enclose_most(g, g_neg(g, lo[0]), up[0]);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n, (void)i;
    const int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_priv_steep_kink(-1, 1, rob_priv_range_at(&in[0], e), e, out);
    }
}

const rob_op rob_priv_op_abs = {
    .name = "abs",
    .id = ROB_OP_abs,
    .ins = 1,
    .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each,
    .fold = fold,
    .vjp = vjp,
    .jvp = jvp,
    .interval = interval,
    .relax = relax,
    .parameters = 1,
    .enclose = enclose,
    .steep = steep,
};
#endif
