/* input.c -- a value given from outside: the leaf every derivative is taken in. */
#include "op/op.h"

#ifndef ROB_KERNEL

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    (void)g, (void)in, (void)ins;
    out->rank = (int32_t)attr->i[0];
    for (int32_t k = 0; k < out->rank; k++) out->dim[k] = attr->i[1 + k];
    return true;
}

const rob_op rob_priv_op_input = {
    .name = "input", .id = ROB_OP_input, .ins = 0, .kind = ROB_OP_UNIQUE, .shape = shape,
};

rob_id rob_priv_input(rob_graph *g, rob_shape s)
{
    rob_attr attr = {.i = {s.rank}};
    for (int32_t k = 0; k < s.rank; k++) attr.i[1 + k] = s.dim[k];
    return rob_priv_apply(g, &rob_priv_op_input, NULL, 0, attr);
}

#endif
