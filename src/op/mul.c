/* mul.c -- y = a b. Closed under derivatives: d(ab) = b da + a db. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return a * b;
}
ROB_EACH2(mul)

#else
#include "op/rule.h"

/* Constants become scales (0 b = 0 even where b is not finite), scales move outward so
 * that products that differ by a sign share their node, a a = square a. */
static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_id a = in[0], b = in[1], inner;
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, a, &v)) return g_affine(g, b, v, 0);
    if (rob_priv_is_fill(g, b, &v)) return g_affine(g, a, v, 0);
    if (a == b) return g_unary(g, "square", a);
    if (rob_priv_is_scaled(g, a, &v, &inner)) return g_affine(g, g_mul(g, inner, b), v, 0);
    if (rob_priv_is_scaled(g, b, &v, &inner)) return g_affine(g, g_mul(g, a, inner), v, 0);
    return a > b ? g_mul(g, b, a) : ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return rob_priv_input_of(g, y, 1 - i);
}
ROB_EACH_RULES

const rob_op rob_priv_op_mul = {
    .name = "mul", .id = ROB_OP_mul, .ins = 2, .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
