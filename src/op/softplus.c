/* softplus.c -- y = log(1 + exp x), stable for any x. y' = sigmoid x. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_softplus(x);
}
ROB_EACH1(softplus)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return g_unary(g, "sigmoid", rob_priv_input_of(g, y, i));
}
ROB_EACH_RULES

const rob_op rob_priv_op_softplus = {
    .name = "softplus", .id = ROB_OP_softplus, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
