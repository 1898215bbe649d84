/* reshape.c -- the same numbers in row-major order under another shape. A view.
 * Attributes: i[0] = rank, i[1..4] = dims. */
#include "op/plane.h"
#include "op/rule.h"

#ifndef ROB_KERNEL

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    rob_shape from = rob_priv_shape(g, in[0]);
    (void)ins;
    if (!rob_priv_shape_of_attr(g, "reshape", attr, out)) return false;
    if (rob_priv_shape_size(&from) == rob_priv_shape_size(out)) return true;
    rob_priv_graph_fail(g, ROB_ESHAPE, "reshape: %lld elements do not make %lld",
                        (long long)rob_priv_shape_size(&from),
                        (long long)rob_priv_shape_size(out));
    return false;
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_shape from = rob_priv_shape(g, in[0]);
    rob_shape to = rob_priv_shape_make((int32_t)attr->i[0], attr->i + 1);
    double v;
    (void)ins;
    if (rob_priv_shape_equal(&from, &to)) return in[0];
    if (rob_priv_is_fill(g, in[0], &v)) return rob_priv_fill(g, to, v);
    if (rob_priv_is(g, in[0], &rob_priv_op_reshape))
        return g_reshape(g, rob_priv_input_of(g, in[0], 0), to);
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = g_reshape(g, dy[0], rob_priv_shape(g, rob_priv_input_of(g, y, 0)));
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    dy[0] = dx[0] == ROB_NONE ? ROB_NONE : g_reshape(g, dx[0], rob_priv_shape(g, y));
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        out->lo[e] = in[0].lo[e];
        out->up[e] = in[0].up[e];
    }
}

static void pull(const rob_node *n, const rob_range *value, int32_t k, const rob_rows *out,
                 int32_t i, rob_rows *in, double *base, double *loss)
{
    (void)k, (void)base;
    rob_priv_pull_map(out, in, &value[i], 1, loss, n, NULL, NULL);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_reshape = {
    .name = "reshape", .id = ROB_OP_reshape, .ins = 1,
    .kind = ROB_OP_VIEW | ROB_OP_CHEAP | ROB_OP_AFFINE | ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
