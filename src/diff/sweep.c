/* sweep.c -- reverse and forward accumulation over a graph, emitting nodes.
 *
 * Reverse: adj(y_i) = dy_i; in decreasing id, adj(x) += vjp_n(adj(n)).
 * Forward: tan(x_j) = dx_j; in increasing id, tan(n) = jvp_n(tan(inputs)).
 * A pick delivers to, or reads, the slot of the node it belongs to. Only nodes that depend
 * on x are visited. (Griewank & Walther, Evaluating Derivatives, ch. 3.) */
#include "diff/reach.h"

#include <string.h>

enum { MAX_NODE_INS = 1024 };

/* ---- reverse ------------------------------------------------------------------------ */

static void accumulate(rob_graph *g, rob_id *slot, rob_id value)
{
    if (value == ROB_NONE) return;
    *slot = *slot == ROB_NONE ? value : g_add(g, *slot, value);
}

static bool any_adjoint(const rob_slots *adj, rob_id id, int32_t outs)
{
    for (int32_t k = 0; k < outs; k++)
        if (rob_priv_slot(adj, id)[k] != ROB_NONE) return true;
    return false;
}

static void emit_vjp(rob_graph *g, rob_id id, const rob_node *n, const rob_slots *adj,
                     const uint8_t *reach, rob_id *dx)
{
    uint8_t wanted[MAX_NODE_INS];
    for (int32_t i = 0; i < n->ins; i++) {
        dx[i] = ROB_NONE;
        wanted[i] = reach[n->in[i]];
    }
    if (n->scan != NULL) rob_priv_scan_vjp(g, id, rob_priv_slot(adj, id), wanted, dx);
    else if (n->op->vjp != NULL) n->op->vjp(g, id, rob_priv_slot(adj, id), dx);
    else rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "operator %s has no derivative", n->op->name);
}

static void reverse_step(rob_graph *g, rob_id id, rob_slots *adj, const uint8_t *reach)
{
    rob_node n = rob_priv_node(g, id);
    rob_id dx[MAX_NODE_INS];
    if (n.ins == 0 || !rob_priv_diff_reaches(reach, &n)) return;
    if (!any_adjoint(adj, id, n.outs)) return;
    if (n.op == &rob_priv_op_pick) {
        accumulate(g, rob_priv_slot(adj, n.in[0]) + n.attr.i[0], *rob_priv_slot(adj, id));
        return;
    }
    if (n.ins > MAX_NODE_INS) {
        rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "a node with %d inputs", (int)n.ins);
        return;
    }
    emit_vjp(g, id, &n, adj, reach, dx);
    for (int32_t i = 0; i < n.ins; i++)
        if (reach[n.in[i]]) accumulate(g, rob_priv_slot(adj, n.in[i]), dx[i]);
}

static void reverse_sweep(rob_graph *g, const rob_id *y, const rob_id *dy, int32_t ys,
                          int32_t count, rob_slots *adj, const uint8_t *reach)
{
    for (int32_t i = 0; i < ys; i++)
        if (y[i] != ROB_NONE) accumulate(g, rob_priv_slot(adj, y[i]), dy[i]);
    for (rob_id id = count - 1; id >= 0 && !rob_priv_graph_failed(g); id--)
        reverse_step(g, id, adj, reach);
}

void rob_priv_vjp(rob_graph *g, const rob_id *y, const rob_id *dy, int32_t ys,
                  const rob_id *x, int32_t xs, rob_id *dx)
{
    int32_t count = rob_priv_graph_count(g);
    rob_slots adj = {0};
    for (int32_t j = 0; j < xs; j++) dx[j] = ROB_NONE;
    if (rob_priv_graph_failed(g)) return;
    uint8_t *reach = rob_priv_diff_reach(g, x, xs, count);
    if (reach != NULL && rob_priv_slots_make(g, count, &adj)) {
        reverse_sweep(g, y, dy, ys, count, &adj, reach);
        for (int32_t j = 0; j < xs; j++)
            if (x[j] != ROB_NONE && !rob_priv_graph_failed(g))
                dx[j] = *rob_priv_slot(&adj, x[j]);
    }
    rob_priv_slots_free(g, &adj);
    rob_priv_release(rob_priv_graph_memory(g), reach);
}

/* ---- forward ------------------------------------------------------------------------ */

static void emit_jvp(rob_graph *g, rob_id id, const rob_node *n, const rob_slots *tan)
{
    rob_id dx[MAX_NODE_INS], *dy = rob_priv_slot(tan, id);
    for (int32_t i = 0; i < n->ins; i++) dx[i] = *rob_priv_slot(tan, n->in[i]);
    if (n->scan != NULL) rob_priv_scan_jvp(g, id, dx, dy);
    else if (n->op->jvp != NULL) n->op->jvp(g, id, dx, dy);
    else rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "operator %s has no derivative", n->op->name);
}

static void forward_step(rob_graph *g, rob_id id, rob_slots *tan, const uint8_t *reach)
{
    rob_node n = rob_priv_node(g, id);
    if (*rob_priv_slot(tan, id) != ROB_NONE) return;        /* one of x itself */
    if (n.ins == 0 || !rob_priv_diff_reaches(reach, &n)) return;
    if (n.op == &rob_priv_op_pick)
        *rob_priv_slot(tan, id) = rob_priv_slot(tan, n.in[0])[n.attr.i[0]];
    else if (n.ins > MAX_NODE_INS)
        rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "a node with %d inputs", (int)n.ins);
    else
        emit_jvp(g, id, &n, tan);
}

void rob_priv_jvp(rob_graph *g, const rob_id *x, const rob_id *dx, int32_t xs,
                  const rob_id *y, int32_t ys, rob_id *dy)
{
    int32_t count = rob_priv_graph_count(g);
    rob_slots tan = {0};
    for (int32_t i = 0; i < ys; i++) dy[i] = ROB_NONE;
    if (rob_priv_graph_failed(g)) return;
    uint8_t *reach = rob_priv_diff_reach(g, x, xs, count);
    if (reach != NULL && rob_priv_slots_make(g, count, &tan)) {
        for (int32_t j = 0; j < xs; j++)
            if (x[j] != ROB_NONE) *rob_priv_slot(&tan, x[j]) = dx[j];
        for (rob_id id = 0; id < count && !rob_priv_graph_failed(g); id++)
            forward_step(g, id, &tan, reach);
        for (int32_t i = 0; i < ys && !rob_priv_graph_failed(g); i++)
            if (y[i] != ROB_NONE) dy[i] = *rob_priv_slot(&tan, y[i]);
    }
    rob_priv_slots_free(g, &tan);
    rob_priv_release(rob_priv_graph_memory(g), reach);
}

rob_id rob_priv_gradient(rob_graph *g, rob_id y, rob_id x)
{
    rob_shape s = rob_priv_shape(g, y), sx = rob_priv_shape(g, x);
    rob_id one = rob_priv_fill(g, s, 1), dx;
    if (rob_priv_shape_size(&s) != 1)
        return rob_priv_graph_fail(g, ROB_ESHAPE, "gradient: y must have one element");
    rob_priv_vjp(g, &y, &one, 1, &x, 1, &dx);
    return dx != ROB_NONE || rob_priv_graph_failed(g) ? dx : rob_priv_fill(g, sx, 0);
}
