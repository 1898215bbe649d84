/* expand.c -- repeat along dims of size 1 (and new leading dims), as numpy broadcasts.
 * Attributes: the target, i[0] = rank, i[1..4] = dims. Its adjoint is sum_to. */
#include "op/plane.h"
#include "op/rule.h"

#ifndef ROB_KERNEL

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    rob_shape from = rob_priv_shape(g, in[0]), both;
    (void)ins;
    if (!rob_priv_shape_of_attr(g, "expand", attr, out)) return false;
    if (rob_priv_shape_broadcast(&from, out, &both) && rob_priv_shape_equal(&both, out))
        return true;
    rob_priv_graph_fail(g, ROB_ESHAPE, "expand: a value of rank %d and %lld elements does "
                        "not broadcast to the shape asked for", (int)from.rank,
                        (long long)rob_priv_shape_size(&from));
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
    if (rob_priv_is(g, in[0], &rob_priv_op_expand))
        return g_expand(g, rob_priv_input_of(g, in[0], 0), to);
    if (rob_priv_shape_size(&from) == rob_priv_shape_size(&to)) return g_reshape(g, in[0], to);
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = g_sum_to(g, dy[0], rob_priv_shape(g, rob_priv_input_of(g, y, 0)));
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    dy[0] = dx[0] == ROB_NONE ? ROB_NONE : g_expand(g, dx[0], rob_priv_shape(g, y));
}

static int64_t source(const rob_node *n, const void *user, int64_t e)
{
    return rob_priv_broadcast_source(&n->shape, user, e);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        int64_t j = source(n, &in[0].shape, e);
        out->lo[e] = in[0].lo[j];
        out->up[e] = in[0].up[j];
    }
}

static void pull(const rob_node *n, const rob_range *value, int32_t k, const rob_rows *out,
                 int32_t i, rob_rows *in, double *base, double *loss)
{
    (void)k, (void)base;
    rob_priv_pull_map(out, in, &value[i], 1, loss, n, source, &value[i].shape);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_expand = {
    .name = "expand", .id = ROB_OP_expand, .ins = 1,
    .kind = ROB_OP_VIEW | ROB_OP_CHEAP | ROB_OP_AFFINE | ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
