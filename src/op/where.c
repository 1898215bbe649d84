/* where.c -- y = a where m != 0, else b; the bits of the operand are kept.
 *
 * The mask has no derivative; the adjoint of the operand not taken is exactly zero, also
 * where the other one is infinite or NaN. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec m, vec a, vec b)
{
    (void)n;
    return vec_select((vecb)(m != vm_all(0)), a, b);
}
ROB_EACH3(where)

#else
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, in[0], &v)) return v != 0 ? in[1] : in[2];
    return in[1] == in[2] ? in[1] : ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    rob_id mask = rob_priv_input_of(g, y, 0), zero = rob_priv_fill_like(g, y, 0);
    dx[0] = ROB_NONE;
    dx[1] = g_where(g, mask, dy[0], zero);
    dx[2] = g_where(g, mask, zero, dy[0]);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    rob_id mask = rob_priv_input_of(g, y, 0), zero = rob_priv_fill_like(g, y, 0);
    if (dx[1] == ROB_NONE && dx[2] == ROB_NONE) dy[0] = ROB_NONE;
    else dy[0] = g_where(g, mask, dx[1] == ROB_NONE ? zero : dx[1],
                         dx[2] == ROB_NONE ? zero : dx[2]);
}

const rob_op rob_priv_op_where = {
    .name = "where", .id = ROB_OP_where, .ins = 3,
    .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
