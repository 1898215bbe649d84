/* affine.c -- y = scale x + shift; attributes x[0] = scale, x[1] = shift. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    return vec_fma(vm_all(n->attr.x[0]), x, vm_all(n->attr.x[1]));
}
ROB_EACH1(affine)

#else
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double scale = attr->x[0], shift = attr->x[1], v;
    (void)ins;
    if (scale == 1 && shift == 0) return in[0];
    if (scale == 0) return rob_priv_fill_like(g, in[0], shift);
    if (rob_priv_is_fill(g, in[0], &v)) return rob_priv_fill_like(g, in[0], scale * v + shift);
    if (rob_priv_is(g, in[0], &rob_priv_op_affine)) {
        rob_node n = rob_priv_node(g, in[0]);
        return g_affine(g, n.in[0], scale * n.attr.x[0], scale * n.attr.x[1] + shift);
    }
    if (rob_priv_is(g, in[0], &rob_priv_op_sub) && scale == -1 && shift == 0) {
        rob_node n = rob_priv_node(g, in[0]);
        return g_sub(g, n.in[1], n.in[0]);
    }
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = g_affine(g, dy[0], rob_priv_node(g, y).attr.x[0], 0);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    if (dx[0] == ROB_NONE) dy[0] = ROB_NONE;
    else dy[0] = g_affine(g, dx[0], rob_priv_node(g, y).attr.x[0], 0);
}

const rob_op rob_priv_op_affine = {
    .name = "affine", .id = ROB_OP_affine, .ins = 1,
    .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP | ROB_OP_AFFINE,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
};
#endif
