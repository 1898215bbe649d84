/* constant.c -- numbers fixed when the graph is made: weights of a model under study. */
#include "op/op.h"

#ifndef ROB_KERNEL

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    (void)in, (void)ins, (void)attr, (void)out;
    rob_priv_graph_fail(g, ROB_EARGUMENT, "a constant is made from a tensor");
    return false;
}

/* lo = up = the stored number: float32 embeds exactly in double. */
static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)in, (void)k;
    int64_t size = rob_priv_shape_size(&n->shape);
    for (int64_t e = 0; e < size; e++)
        out->lo[e] = out->up[e] = rob_priv_tensor_at(n->tensor, e);
}

const rob_op rob_priv_op_constant = {
    .name = "constant", .id = ROB_OP_constant, .ins = 0, .shape = shape,
    .interval = interval,
};

rob_id rob_priv_constant(rob_graph *g, rob_tensor *tensor)
{
    rob_node n = {.op = &rob_priv_op_constant, .outs = 1, .shape = tensor->shape,
                  .tensor = tensor};
    return rob_priv_graph_add(g, &n);
}

#endif
