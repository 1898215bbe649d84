/* add.c -- y = a + b. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return a + b;
}
ROB_EACH2(add)

#else
#include "op/plane.h"
#include "op/rule.h"

/* Constants become shifts, negations differences, a + a a scale; sums are kept in one
 * order so that a + b and b + a are one node. */
static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_id a = in[0], b = in[1], inner;
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, a, &v)) return g_affine(g, b, 1, v);
    if (rob_priv_is_fill(g, b, &v)) return g_affine(g, a, 1, v);
    if (a == b) return g_affine(g, a, 2, 0);
    if (rob_priv_is_scaled(g, b, &v, &inner) && v == -1) return g_sub(g, a, inner);
    if (rob_priv_is_scaled(g, a, &v, &inner) && v == -1) return g_sub(g, b, inner);
    return a > b ? g_add(g, b, a) : ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    (void)g, (void)y;
    dx[0] = dx[1] = dy[0];
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    (void)y;
    if (dx[0] == ROB_NONE || dx[1] == ROB_NONE)
        dy[0] = dx[0] == ROB_NONE ? dx[1] : dx[0];
    else dy[0] = g_add(g, dx[0], dx[1]);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++)
        rob_priv_range_put(out, e, fp_add_lo(in[0].lo[e], in[1].lo[e]),
                           fp_add_up(in[0].up[e], in[1].up[e]));
}

static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)k, (void)base;
    rob_priv_pull_map(out, in, &value[i], 1, loss, n, NULL, NULL);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_add = {
    .name = "add", .id = ROB_OP_add, .ins = 2,
    .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP | ROB_OP_AFFINE,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
