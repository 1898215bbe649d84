/* reciprocal.c -- y = 1 / x, x = 0 giving an infinity. y' = -y^2. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return 1 / x;
}
ROB_EACH1(reciprocal)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return g_neg(g, g_unary(g, "square", y));
}
ROB_EACH_RULES

const rob_op rob_priv_op_reciprocal = {
    .name = "reciprocal", .id = ROB_OP_reciprocal, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
