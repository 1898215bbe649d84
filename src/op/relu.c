/* relu.c -- y = max(x, 0), NaN kept. y' = step x (0 at 0). */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vec_select((vecb)(x <= vm_all(0)), vm_all(0), x);
}
ROB_EACH1(relu)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return g_unary(g, "step", rob_priv_input_of(g, y, i));
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++)
        rob_priv_range_put(out, e, fp_max(0, fp_or_lo(in[0].lo[e])),
                           fp_max(fp_or_up(in[0].up[e]), 0));
}

/* Below: any slope in [0, 1] through 0 (theta; by default that of the longer side).
 * Above: the chord. */
static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval x = rob_priv_range_at(&in[0], e);
        double a = x.lo >= 0 || (x.up > 0 && x.up >= -x.lo), b = a, offset = 0,
               zero = 0;
        if (theta && x.lo < 0 && x.up > 0)
            a = theta[e];
        rob_priv_plane_put(below, false, 1, e, &x, &a, 0, &zero,
                           fp_max(0, fp_or_lo(x.lo)));
        if (x.lo < 0 && x.up > 0) {
            b = x.up / (x.up - x.lo);
            double left = fp_or_up(-fp_mul_lo(b, x.lo));
            offset = fp_max(left, fp_or_up(fp_add_up(x.up, -fp_mul_lo(b, x.up))));
        }
        rob_priv_plane_put(above, true, 1, e, &x, &b, offset, &x.lo,
                           fp_max(fp_or_up(x.up), 0));
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n, (void)i;
    const int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_priv_steep_kink(0, 1, rob_priv_range_at(&in[0], e), e, out);
    }
}

const rob_op rob_priv_op_relu = {
    .name = "relu",
    .id = ROB_OP_relu,
    .ins = 1,
    .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each,
    .vjp = vjp,
    .jvp = jvp,
    .interval = interval,
    .relax = relax,
    .parameters = 1,
    .enclose = enclose,
    .steep = steep,
};
#endif
