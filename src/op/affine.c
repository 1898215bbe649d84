/* affine.c -- y = scale x + shift; attributes x[0] = scale, x[1] = shift. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    return vec_fma(vm_all(n->attr.x[0]), x, vm_all(n->attr.x[1]));
}
ROB_EACH1(affine)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double scale = attr->x[0], shift = attr->x[1], v;
    (void)ins;
    if (scale == 1 && shift == 0) return in[0];
    if (scale == 0) return rob_priv_fill_like(g, in[0], shift);
    if (rob_priv_is_fill(g, in[0], &v))
        return rob_priv_fill_like(g, in[0], scale * v + shift);
    if (rob_priv_is(g, in[0], &rob_priv_op_affine)) {
        rob_node n = rob_priv_node(g, in[0]);
        return g_affine(g, n.in[0], scale * n.attr.x[0], scale * n.attr.x[1] + shift);
    }
    if (rob_priv_is(g, in[0], &rob_priv_op_sub) && scale == -1 && shift == 0) {
        rob_node n = rob_priv_node(g, in[0]);
        return g_sub(g, n.in[1], n.in[0]);
    }
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = g_affine(g, dy[0], rob_priv_node(g, y).attr.x[0], 0);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    if (dx[0] == ROB_NONE) dy[0] = ROB_NONE;
    else dy[0] = g_affine(g, dx[0], rob_priv_node(g, y).attr.x[0], 0);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    double scale = n->attr.x[0], shift = n->attr.x[1];
    for (int64_t e = 0; e < size; e++) {
        double l = scale < 0 ? in[0].up[e] : in[0].lo[e];
        double u = scale < 0 ? in[0].lo[e] : in[0].up[e];
        bool exact = fabs(scale) == 1;
        double lo = exact ? scale * l : fp_mul_lo(scale, l);
        double up = exact ? scale * u : fp_mul_up(scale, u);
        rob_priv_range_put(out, e, shift == 0 ? lo : fp_add_lo(lo, shift),
                           shift == 0 ? up : fp_add_up(up, shift));
    }
}

static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)k;
    rob_priv_pull_map(out, in, &value[i], n->attr.x[0], loss, n, NULL, NULL);
    rob_priv_pull_shift(out, n->attr.x[1], base, loss);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    if (rob_priv_node(g, y).attr.x[0] < 0)
        rob_priv_enclose_falling(g, y, lo, up, ylo, yup);
    else
        rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_affine = {
    .name = "affine", .id = ROB_OP_affine, .ins = 1,
    .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP | ROB_OP_AFFINE,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
