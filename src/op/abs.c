/* abs.c -- y = |x|. y' = sign x (0 at 0). */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_abs(x);
}
ROB_EACH1(abs)

#else
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    rob_id inner;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, in[0], &v)) return rob_priv_fill_like(g, in[0], v < 0 ? -v : v);
    if (rob_priv_is_scaled(g, in[0], &v, &inner) && v == -1) return g_unary(g, "abs", inner);
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return g_unary(g, "sign", rob_priv_input_of(g, y, i));
}
ROB_EACH_RULES

const rob_op rob_priv_op_abs = {
    .name = "abs", .id = ROB_OP_abs, .ins = 1, .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
