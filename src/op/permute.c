/* permute.c -- axes in another order: dim k of y is dim order[k] of x.
 * Attributes: i[0] = rank, i[1..4] = order. Its adjoint is the inverse order. */
#include "op/plane.h"
#include "op/rule.h"

#ifndef ROB_KERNEL

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    rob_shape from = rob_priv_shape(g, in[0]);
    int seen = 0;
    (void)ins;
    *out = (rob_shape){.rank = from.rank};
    for (int32_t k = 0; k < from.rank && attr->i[0] == from.rank; k++) {
        int64_t axis = attr->i[1 + k];
        if (axis < 0 || axis >= from.rank) break;
        seen |= 1 << axis;
        out->dim[k] = from.dim[axis];
    }
    if (attr->i[0] == from.rank && seen == (1 << from.rank) - 1) return true;
    rob_priv_graph_fail(g, ROB_ESHAPE, "permute: the order must name each of the %d axes "
                        "once", (int)from.rank);
    return false;
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    int32_t order[ROB_MAX_RANK] = {0}, rank = (int32_t)attr->i[0], same = 1;
    rob_shape to;
    double v;
    for (int32_t k = 0; k < rank; k++) {
        order[k] = (int32_t)attr->i[1 + k];
        same &= order[k] == k;
    }
    if (same) return in[0];
    if (rob_priv_is_fill(g, in[0], &v) && shape(g, in, ins, attr, &to))
        return rob_priv_fill(g, to, v);
    if (!rob_priv_is(g, in[0], &rob_priv_op_permute)) return ROB_NONE;
    rob_node n = rob_priv_node(g, in[0]);
    for (int32_t k = 0; k < rank; k++) order[k] = (int32_t)n.attr.i[1 + order[k]];
    return g_permute(g, n.in[0], order);
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    rob_attr attr = rob_priv_node(g, y).attr;
    int32_t inverse[ROB_MAX_RANK] = {0};
    for (int32_t k = 0; k < attr.i[0]; k++) inverse[attr.i[1 + k]] = k;
    dx[0] = g_permute(g, dy[0], inverse);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    rob_attr attr = rob_priv_node(g, y).attr;
    int32_t order[ROB_MAX_RANK] = {0};
    for (int32_t k = 0; k < attr.i[0]; k++) order[k] = (int32_t)attr.i[1 + k];
    dy[0] = dx[0] == ROB_NONE ? ROB_NONE : g_permute(g, dx[0], order);
}

/* element of x that is element e of y; user: the shape of x */
static int64_t source(const rob_node *n, const void *user, int64_t e)
{
    const rob_shape *from = user;
    int64_t stride[ROB_MAX_RANK] = {0}, step = 1, index = 0;
    for (int32_t k = from->rank - 1; k >= 0; k--) {
        stride[k] = step;
        step *= from->dim[k];
    }
    for (int32_t k = n->shape.rank - 1; k >= 0; k--) {
        index += e % n->shape.dim[k] * stride[n->attr.i[1 + k]];
        e /= n->shape.dim[k];
    }
    return index;
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

const rob_op rob_priv_op_permute = {
    .name = "permute", .id = ROB_OP_permute, .ins = 1,
    .kind = ROB_OP_AFFINE | ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
