/* fill.c -- one number in every element. Zeros and ones that rules fold away are fills. */
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

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)in, (void)k;
    int64_t size = rob_priv_shape_size(&n->shape);
    for (int64_t e = 0; e < size; e++) out->lo[e] = out->up[e] = n->attr.x[0];
}

const rob_op rob_priv_op_fill = {
    .name = "fill", .id = ROB_OP_fill, .ins = 0, .kind = ROB_OP_CHEAP, .shape = shape,
    .interval = interval,
};

rob_id rob_priv_fill(rob_graph *g, rob_shape s, double value)
{
    rob_attr attr = {.i = {s.rank}, .x = {value == 0 ? 0.0 : value}};
    for (int32_t k = 0; k < s.rank; k++) attr.i[1 + k] = s.dim[k];
    return rob_priv_apply(g, &rob_priv_op_fill, NULL, 0, attr);
}

bool rob_priv_is_fill(const rob_graph *g, rob_id id, double *value)
{
    if (id == ROB_NONE) return false;
    rob_node n = rob_priv_node(g, id);
    if (n.op != &rob_priv_op_fill) return false;
    *value = n.attr.x[0];
    return true;
}

#endif
