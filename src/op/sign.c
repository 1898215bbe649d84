/* sign.c -- y = -1, 0 or 1; NaN stays. Its derivative is zero (almost everywhere). */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    vec y = vm_sign_of(x, vm_all(1));
    vecb keep = (vecb)(x == vm_all(0)) | (vecb)(x != x);
    return vec_select(keep, x, y);
}
ROB_EACH1(sign)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, in[0], &v)) return rob_priv_fill_like(g, in[0], (v > 0) - (v < 0));
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)g, (void)y, (void)i;
    return ROB_NONE;
}
ROB_EACH_RULES

/* rising: the value at either end; no line is better than these constants */
static double at(double x)
{
    return (x > 0) - (x < 0);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++)
        rob_priv_range_put(out, e, at(fp_or_lo(in[0].lo[e])), at(fp_or_up(in[0].up[e])));
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n, (void)theta;
    for (int64_t e = 0; e < below->count; e++) {
        rob_priv_plane_flat(below, 1, e, at(fp_or_lo(in[0].lo[e])));
        rob_priv_plane_flat(above, 1, e, at(fp_or_up(in[0].up[e])));
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_sign = {
    .name = "sign", .id = ROB_OP_sign, .ins = 1, .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax,
    .enclose = enclose,
};
#endif
