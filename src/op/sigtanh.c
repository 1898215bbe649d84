/* sigtanh.c -- y = sigmoid(a) tanh(b), the gated candidate and output of an LSTM.
 *
 * With s = sigmoid a, t = tanh b:  dy/da = y (1 - s),  dy/db = s (1 - t^2). Both are
 * polynomials in y, s, t; s and t are hash-consed and so exist once for any order. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return vm_sigmoid_tanh(a, b);
}
ROB_EACH2(sigtanh)

#else
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    return rob_priv_is_fill(g, in[1], &v) && v == 0 ? in[1] : ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    rob_id s = g_unary(g, "sigmoid", rob_priv_input_of(g, y, 0));
    if (i == 0) return g_mul(g, y, rob_priv_one_minus(g, s));
    rob_id t = g_unary(g, "tanh", rob_priv_input_of(g, y, 1));
    return g_mul(g, s, rob_priv_one_minus(g, g_unary(g, "square", t)));
}
ROB_EACH_RULES

const rob_op rob_priv_op_sigtanh = {
    .name = "sigtanh", .id = ROB_OP_sigtanh, .ins = 2, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
