/* step.c -- y = 1 where x > 0, else 0 (also for NaN). Its derivative is zero (almost everywhere). */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vec_select((vecb)(x > vm_all(0)), vm_all(1), vm_all(0));
}
ROB_EACH1(step)

#else
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, in[0], &v)) return rob_priv_fill_like(g, in[0], v > 0);
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)g, (void)y, (void)i;
    return ROB_NONE;
}
ROB_EACH_RULES

const rob_op rob_priv_op_step = {
    .name = "step", .id = ROB_OP_step, .ins = 1, .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
