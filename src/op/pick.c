/* pick.c -- value k of a node with several outputs (split, scan). A view.
 *
 * Folds: a part of a concat along the same cuts is the operand; a part of a fill is a
 * fill. Its derivative is book-keeping of the interpreter of derivatives (diff): the
 * adjoint of pick k is slot k of the adjoint of the node. */
#include "op/op.h"

#ifndef ROB_KERNEL
#include "op/plane.h"

static int32_t outputs_of(const rob_node *n)
{
    if (n->scan != NULL) return n->scan->carries + n->scan->ys;
    return n->op == &rob_priv_op_split ? (int32_t)n->attr.i[1] : 0;
}

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    (void)ins;
    rob_node n = rob_priv_node(g, in[0]);
    if (attr->i[0] < 0 || attr->i[0] >= outputs_of(&n)) {
        rob_priv_graph_fail(g, ROB_EARGUMENT, "pick: %s has no output %d", n.op->name,
                            (int)attr->i[0]);
        return false;
    }
    *out = rob_priv_shape_of_output(g, in[0], (int32_t)attr->i[0]);
    return true;
}

/* concat whose operands are exactly the parts of split s: the cuts coincide */
static bool cuts_coincide(const rob_graph *g, rob_id split, const rob_node *concat)
{
    rob_node s = rob_priv_node(g, split);
    if (s.attr.i[0] != concat->attr.i[0] || s.attr.i[1] != concat->ins) return false;
    for (int32_t k = 0; k < concat->ins; k++) {
        rob_shape part = rob_priv_shape_of_output(g, split, k);
        rob_shape operand = rob_priv_shape(g, concat->in[k]);
        if (!rob_priv_shape_equal(&part, &operand)) return false;
    }
    return true;
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    (void)ins;
    rob_node n = rob_priv_node(g, in[0]);
    double value;
    if (n.op != &rob_priv_op_split) return ROB_NONE;
    if (n.attr.i[1] == 1) return n.in[0];
    if (rob_priv_is_fill(g, n.in[0], &value))
        return rob_priv_fill(g, rob_priv_shape_of_output(g, in[0], (int32_t)attr->i[0]),
                             value);
    rob_node source = rob_priv_node(g, n.in[0]);
    if (source.op == &rob_priv_op_concat && cuts_coincide(g, in[0], &source))
        return source.in[attr->i[0]];
    return ROB_NONE;
}

/* The identity: `in` is the range of the output that is picked. */
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

const rob_op rob_priv_op_pick = {
    .name = "pick", .id = ROB_OP_pick, .ins = 1,
    .kind = ROB_OP_VIEW | ROB_OP_CHEAP | ROB_OP_AFFINE, .shape = shape, .fold = fold,
    .interval = interval, .pull = pull,
};

#endif
