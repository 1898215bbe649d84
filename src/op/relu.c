/* relu.c -- y = max(x, 0), NaN kept. y' = step x (0 at 0). */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vec_select((vecb)(x <= vm_all(0)), vm_all(0), x);
}
ROB_EACH1(relu)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return g_unary(g, "step", rob_priv_input_of(g, y, i));
}
ROB_EACH_RULES

const rob_op rob_priv_op_relu = {
    .name = "relu", .id = ROB_OP_relu, .ins = 1, .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
