/* concat.c -- parts side by side along one axis. A view: operands are computed in
 * place.
 *
 * Folds: one operand is itself; all parts of one split in order are the split's input;
 * fills of one value are one fill. */
#include "op/op.h"

#ifndef ROB_KERNEL
#include "op/plane.h"

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    int64_t axis = attr->i[0];
    bool fits = ins >= 1 && axis >= 0;
    if (fits) *out = rob_priv_shape(g, in[0]);
    fits = fits && axis < out->rank;
    for (int32_t k = 1; k < ins && fits; k++) {
        rob_shape s = rob_priv_shape(g, in[k]), other = *out;
        if (s.rank == out->rank) other.dim[axis] = s.dim[axis];
        fits = rob_priv_shape_equal(&s, &other);
        if (fits) out->dim[axis] += s.dim[axis];
    }
    if (!fits) rob_priv_graph_fail(g, ROB_ESHAPE, "concat: shapes differ off the axis");
    return fits;
}

static bool all_fills(const rob_graph *g, const rob_id *in, int32_t ins, double *value)
{
    double v;
    if (!rob_priv_is_fill(g, in[0], value)) return false;
    for (int32_t k = 1; k < ins; k++)
        if (!rob_priv_is_fill(g, in[k], &v) || v != *value) return false;
    return true;
}

/* in = pick 0..K-1 of one split along the same axis: its input, else ROB_NONE */
static rob_id whole_of_split(const rob_graph *g, const rob_id *in, int32_t ins,
                             int64_t axis)
{
    rob_id split = ROB_NONE;
    for (int32_t k = 0; k < ins; k++) {
        rob_node n = rob_priv_node(g, in[k]);
        if (n.op != &rob_priv_op_pick || n.attr.i[0] != k) return ROB_NONE;
        if (k > 0 && n.in[0] != split) return ROB_NONE;
        split = n.in[0];
    }
    rob_node s = rob_priv_node(g, split);
    bool whole =
        s.op == &rob_priv_op_split && s.attr.i[0] == axis && s.attr.i[1] == ins;
    return whole ? s.in[0] : ROB_NONE;
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double value;
    rob_shape s;
    if (ins == 1) return in[0];
    if (all_fills(g, in, ins, &value) && shape(g, in, ins, attr, &s))
        return rob_priv_fill(g, s, value);
    return whole_of_split(g, in, ins, attr->i[0]);
}

/* Split `a` into the sizes the operands of concat y have along the axis. */
static void split_like(rob_graph *g, rob_id y, rob_id a, rob_id *parts)
{
    rob_node n = rob_priv_node(g, y);
    int32_t axis = (int32_t)n.attr.i[0];
    int64_t sizes[64], first = 0;
    bool equal = true;
    for (int32_t k = 0; k < n.ins && k < 64; k++) {
        sizes[k] = rob_priv_shape(g, n.in[k]).dim[axis];
        equal = equal && sizes[k] == sizes[0];
    }
    if (n.ins <= 4 || (equal && n.ins <= 64)) {
        g_split(g, a, axis, sizes, n.ins, parts);
        return;
    }
    for (int32_t k = 0; k < n.ins; k++) {
        int64_t size = rob_priv_shape(g, n.in[k]).dim[axis];
        parts[k] = g_slice(g, a, axis, first, size);
        first += size;
    }
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    split_like(g, y, dy[0], dx);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    rob_node n = rob_priv_node(g, y);
    rob_id part[64];
    if (n.ins > 64) {
        rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "concat: more than 64 operands");
        return;
    }
    for (int32_t k = 0; k < n.ins; k++)
        part[k] = dx[k] != ROB_NONE ? dx[k]
                                    : rob_priv_fill(g, rob_priv_shape(g, n.in[k]), 0);
    dy[0] = g_concat(g, part, n.ins, (int32_t)n.attr.i[0]);
}

/* an operand, its size along the axis and its elements beyond, where it starts, and the
 * size of the whole axis */
typedef struct operand { int64_t size, inner, first, total; } operand;

static operand describe(const rob_node *n, const rob_range *in, int32_t i)
{
    int64_t axis = n->attr.i[0];
    operand o = { in[i].shape.dim[axis], 1, 0, n->shape.dim[axis] };
    for (int32_t j = 0; j < i; j++)
        o.first += in[j].shape.dim[axis];
    for (int32_t d = (int32_t)axis + 1; d < n->shape.rank; d++)
        o.inner *= n->shape.dim[d];
    return o;
}

/* element of y that is element e of an operand */
static int64_t target(const rob_node *n, const void *user, int64_t e)
{
    const operand *o = user;
    (void)n;
    int64_t row = o->inner * o->size;
    return e / row * (o->total * o->inner) + o->first * o->inner + e % row;
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    for (int32_t i = 0; i < n->ins; i++) {
        operand o = describe(n, in, i);
        int64_t size = rob_priv_shape_size(&in[i].shape);
        for (int64_t e = 0; e < size; e++) {
            int64_t j = target(n, &o, e);
            out->lo[j] = in[i].lo[e];
            out->up[j] = in[i].up[e];
        }
    }
}

static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)k, (void)base;
    operand o = describe(n, value, i);
    rob_priv_pull_gather(out, in, &value[i], loss, n, target, &o);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_concat = {
    .name = "concat", .id = ROB_OP_concat, .ins = -1,
    .kind = ROB_OP_VIEW | ROB_OP_CHEAP | ROB_OP_AFFINE,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};

#endif
