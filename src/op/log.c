/* log.c -- y = log x; -inf at 0, NaN below. y' = 1 / x. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_log(x);
}
ROB_EACH1(log)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return g_unary(g, "reciprocal", rob_priv_input_of(g, y, i));
}
ROB_EACH_RULES

const rob_op rob_priv_op_log = {
    .name = "log", .id = ROB_OP_log, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
