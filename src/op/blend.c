/* blend.c -- y = n + sigmoid(z) (h - n), the update of a GRU.
 *
 * With s = sigmoid z:  dy/dz = s (1 - s) (h - n),  dy/dn = 1 - s,  dy/dh = s. Its bounds
 * need a range of h - n of its own: h and n are far from independent. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec z, vec a, vec h)
{
    (void)n;
    return vec_fma(vm_sigmoid(z), h - a, a);
}
ROB_EACH3(blend)

#else
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    if (in[1] == in[2]) return in[1];
    if (rob_priv_is_fill(g, in[1], &v) && v == 0) return g_sigmul(g, in[0], in[2]);
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    rob_id z = rob_priv_input_of(g, y, 0), n = rob_priv_input_of(g, y, 1);
    rob_id h = rob_priv_input_of(g, y, 2), s = g_unary(g, "sigmoid", z);
    if (i == 2) return s;
    rob_id rest = rob_priv_one_minus(g, s);
    return i == 1 ? rest : g_mul(g, g_mul(g, s, rest), g_sub(g, h, n));
}
ROB_EACH_RULES

const rob_op rob_priv_op_blend = {
    .name = "blend", .id = ROB_OP_blend, .ins = 3, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
