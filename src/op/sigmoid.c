/* sigmoid.c -- y = 1 / (1 + exp(-x)). y' = y (1 - y): derivatives are polynomials in y. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_sigmoid(x);
}
ROB_EACH1(sigmoid)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return g_mul(g, y, rob_priv_one_minus(g, y));
}
ROB_EACH_RULES

const rob_op rob_priv_op_sigmoid = {
    .name = "sigmoid", .id = ROB_OP_sigmoid, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
