/* plane_enclose.c -- ranges as nodes, for training and slope optimisation; no proof.
 *
 * min(a, b) = a - relu(a - b), max(a, b) = a + relu(b - a). A factor s >= 0 times b in
 * [blo, bup]: s b >= min(slo blo, sup blo), and <= max(slo bup, sup bup).
 * Reference: Gowal et al., On the effectiveness of interval bound propagation, 2018.
 */
#include "op/plane.h"

static void emit(rob_graph *g, rob_id y, const rob_id *in, rob_id *out)
{
    rob_node n = rob_priv_node(g, y);
    rob_id node = rob_priv_apply(g, n.op, in, n.ins, n.attr);
    for (int32_t k = 0; k < n.outs; k++)
        out[k] = n.outs > 1 ? g_pick(g, node, k) : node;
}

void rob_priv_enclose_rising(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                             rob_id *ylo, rob_id *yup)
{
    emit(g, y, lo, ylo);
    emit(g, y, up, yup);
}

void rob_priv_enclose_falling(rob_graph *g, rob_id y, const rob_id *lo,
                              const rob_id *up, rob_id *ylo, rob_id *yup)
{
    emit(g, y, up, ylo);
    emit(g, y, lo, yup);
}

rob_id rob_priv_enclose_least(rob_graph *g, rob_id a, rob_id b)
{
    return a == b ? a : g_sub(g, a, g_unary(g, "relu", g_sub(g, a, b)));
}

rob_id rob_priv_enclose_most(rob_graph *g, rob_id a, rob_id b)
{
    return a == b ? a : g_add(g, a, g_unary(g, "relu", g_sub(g, b, a)));
}

void rob_priv_enclose_share(rob_graph *g, const rob_id s[2], const rob_id b[2],
                            rob_id *ylo, rob_id *yup)
{
    *ylo = rob_priv_enclose_least(g, g_mul(g, s[0], b[0]), g_mul(g, s[1], b[0]));
    *yup = rob_priv_enclose_most(g, g_mul(g, s[0], b[1]), g_mul(g, s[1], b[1]));
}
