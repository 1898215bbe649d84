/* sigmul.c -- y = sigmoid(a) b, the forget gate on its cell.
 *
 * With s = sigmoid a:  dy/da = y (1 - s),  dy/db = s. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return vm_sigmoid(a) * b;
}
ROB_EACH2(sigmul)

#else
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    if (!rob_priv_is_fill(g, in[1], &v)) return ROB_NONE;
    return v == 0 ? in[1] : g_affine(g, g_unary(g, "sigmoid", in[0]), v, 0);
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    rob_id s = g_unary(g, "sigmoid", rob_priv_input_of(g, y, 0));
    return i == 0 ? g_mul(g, y, rob_priv_one_minus(g, s)) : s;
}
ROB_EACH_RULES

const rob_op rob_priv_op_sigmul = {
    .name = "sigmul", .id = ROB_OP_sigmul, .ins = 2, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
