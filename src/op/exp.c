/* exp.c -- y = exp x. y' = y. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_exp(x);
}
ROB_EACH1(exp)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)g, (void)i;
    return y;
}
ROB_EACH_RULES

const rob_op rob_priv_op_exp = {
    .name = "exp", .id = ROB_OP_exp, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
