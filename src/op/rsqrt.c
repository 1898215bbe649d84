/* rsqrt.c -- y = 1 / sqrt x; inf at 0, NaN below. y' = -y^3 / 2. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return 1 / vm_sqrt(x);
}
ROB_EACH1(rsqrt)

#else
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return g_affine(g, g_mul(g, y, g_unary(g, "square", y)), -0.5, 0);
}
ROB_EACH_RULES

const rob_op rob_priv_op_rsqrt = {
    .name = "rsqrt", .id = ROB_OP_rsqrt, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
};
#endif
