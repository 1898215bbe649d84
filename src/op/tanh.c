/* tanh.c -- y = tanh x. y' = 1 - y^2, so every derivative is a polynomial in y itself. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_tanh(x);
}
ROB_EACH1(tanh)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return rob_priv_one_minus(g, g_unary(g, "square", y));
}
ROB_EACH_RULES

const rob_op rob_priv_op_tanh = {
    .name = "tanh", .id = ROB_OP_tanh, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
