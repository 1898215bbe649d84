/* split.c -- K consecutive parts along one axis; values are read by pick. A view.
 *
 * Its adjoint is concat and concat's is split, so gates never need slice and pad.
 * Attributes: axis, K, then the K <= 4 sizes; for K > 4 one size for all. */
#include "op/op.h"

#ifndef ROB_KERNEL
#include "op/plane.h"

static int64_t part_size(const rob_attr *a, int64_t k)
{
    return a->i[2 + (a->i[1] <= 4 ? k : 0)];
}

static int32_t outs(const rob_attr *attr) { return (int32_t)attr->i[1]; }

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    (void)ins;
    int64_t axis = attr->i[0], total = 0;
    *out = rob_priv_shape(g, in[0]);
    for (int64_t k = 0; k < attr->i[1] && k < 64; k++) {
        if (part_size(attr, k) < 1) total = INT64_MIN / 2;
        total += part_size(attr, k);
    }
    if (axis < 0 || axis >= out->rank || attr->i[1] < 1 || attr->i[1] > 64
        || total != out->dim[axis]) {
        rob_priv_graph_fail(g, ROB_ESHAPE, "split: sizes do not add up to the axis");
        return false;
    }
    out->dim[axis] = part_size(attr, 0);
    return true;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    rob_node n = rob_priv_node(g, y);
    rob_id part[64];
    for (int32_t k = 0; k < n.outs; k++) {
        part[k] = dy[k];
        if (part[k] == ROB_NONE)
            part[k] = rob_priv_fill(g, rob_priv_shape_of_output(g, y, k), 0);
    }
    dx[0] = g_concat(g, part, n.outs, (int32_t)n.attr.i[0]);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    rob_node n = rob_priv_node(g, y);
    rob_id node = rob_priv_apply(g, &rob_priv_op_split, dx, 1, n.attr);
    for (int32_t k = 0; k < n.outs; k++) dy[k] = g_pick(g, node, k);
}

/* element of the input that is element e of output k; user: k */
static int64_t source(const rob_node *n, const void *user, int64_t e)
{
    int64_t k = *(const int64_t *)user, first = 0, total = 0, inner = 1;
    int64_t axis = n->attr.i[0], size = part_size(&n->attr, k);
    for (int64_t j = 0; j < n->attr.i[1]; j++) {
        first += j < k ? part_size(&n->attr, j) : 0;
        total += part_size(&n->attr, j);
    }
    for (int32_t d = (int32_t)axis + 1; d < n->shape.rank; d++)
        inner *= n->shape.dim[d];
    return (e / (inner * size) * total + first) * inner + e % (inner * size);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    int64_t size = rob_priv_shape_size(&out->shape), part = k;
    for (int64_t e = 0; e < size; e++) {
        int64_t j = source(n, &part, e);
        out->lo[e] = in[0].lo[j];
        out->up[e] = in[0].up[j];
    }
}

static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)base;
    int64_t part = k;
    rob_priv_pull_map(out, in, &value[i], 1, loss, n, source, &part);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_split = {
    .name = "split", .id = ROB_OP_split, .ins = 1,
    .kind = ROB_OP_VIEW | ROB_OP_CHEAP | ROB_OP_AFFINE,
    .shape = shape, .outs = outs, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};

/* Shape of output k of a node with several: a part, a last carry, or a stack over
 * steps. */
rob_shape rob_priv_shape_of_output(const rob_graph *g, rob_id id, int32_t k)
{
    rob_node n = rob_priv_node(g, id);
    rob_shape s = n.shape;
    if (n.op == &rob_priv_op_split) s.dim[n.attr.i[0]] = part_size(&n.attr, k);
    if (n.scan == NULL) return s;
    s = rob_priv_shape(n.scan->body, n.scan->out[k]);
    if (k < n.scan->carries) return s;
    for (int32_t i = s.rank; i > 0; i--) s.dim[i] = s.dim[i - 1];
    s.dim[0] = n.scan->steps;
    s.rank++;
    return s;
}

#endif
