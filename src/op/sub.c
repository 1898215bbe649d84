/* sub.c -- y = a - b. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return a - b;
}
ROB_EACH2(sub)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_id a = in[0], b = in[1], inner;
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, a, &v)) return g_affine(g, b, -1, v);
    if (rob_priv_is_fill(g, b, &v)) return g_affine(g, a, 1, -v);
    if (a == b) return rob_priv_fill_like(g, a, 0);
    if (rob_priv_is_scaled(g, b, &v, &inner) && v == -1) return g_add(g, a, inner);
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    (void)y;
    dx[0] = dy[0];
    dx[1] = g_neg(g, dy[0]);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    (void)y;
    if (dx[1] == ROB_NONE) dy[0] = dx[0];
    else dy[0] = dx[0] == ROB_NONE ? g_neg(g, dx[1]) : g_sub(g, dx[0], dx[1]);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++)
        rob_priv_range_put(out, e, fp_add_lo(in[0].lo[e], -in[1].up[e]),
                           fp_add_up(in[0].up[e], -in[1].lo[e]));
}

static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)k, (void)base;
    rob_priv_pull_map(out, in, &value[i], i == 0 ? 1 : -1, loss, n, NULL, NULL);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    *ylo = g_sub(g, lo[0], up[1]);
    *yup = g_sub(g, up[0], lo[1]);
}

const rob_op rob_priv_op_sub = {
    .name = "sub", .id = ROB_OP_sub, .ins = 2,
    .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP | ROB_OP_AFFINE,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
