/* build_rule.c -- the chain rule of element-wise operators.
 *
 * For y = phi(x_1, ..., x_k), element by element, with partials p_i = d phi / d x_i:
 *     vjp   dx_i = p_i dy          jvp   dy = sum_i p_i dx_i.
 * Both multiply the same nodes p_i, so a graph that holds a gradient and a tangent
 * computes each partial once (Griewank & Walther, Evaluating Derivatives, 2008, ch. 3).
 */
#include "op/rule.h"

bool rob_priv_shape_each(rob_graph *g, const rob_id *in, int32_t ins,
                         const rob_attr *attr, rob_shape *out)
{
    (void)attr;
    *out = rob_priv_shape(g, in[0]);
    for (int32_t i = 1; i < ins; i++) {
        rob_shape s = rob_priv_shape(g, in[i]);
        if (rob_priv_shape_equal(&s, out)) continue;
        rob_priv_graph_fail(
            g, ROB_ESHAPE,
            "element-wise operator: input %d has another shape than input "
            "0 (%lld elements against %lld)",
            (int)i, (long long)rob_priv_shape_size(&s),
            (long long)rob_priv_shape_size(out));
        return false;
    }
    return true;
}

bool rob_priv_shape_of_attr(rob_graph *g, const char *op, const rob_attr *attr,
                            rob_shape *out)
{
    if (attr->i[0] < 0 || attr->i[0] > ROB_MAX_RANK) {
        rob_priv_graph_fail(g, ROB_ESHAPE, "%s: rank %lld is not in 0..%d", op,
                            (long long)attr->i[0], ROB_MAX_RANK);
        return false;
    }
    for (int64_t k = 1; k <= attr->i[0]; k++) {
        if (attr->i[k] >= 1) continue;
        rob_priv_graph_fail(g, ROB_ESHAPE,
                            "%s: dimension %lld of the new shape is %lld, "
                            "must be at least 1",
                            op, (long long)(k - 1), (long long)attr->i[k]);
        return false;
    }
    *out = rob_priv_shape_make((int32_t)attr->i[0], attr->i + 1);
    return true;
}

void rob_priv_each_vjp(rob_graph *g, rob_id y, rob_id dy, rob_id *dx,
                       rob_partial *partial)
{
    int32_t ins = rob_priv_node(g, y).ins;
    for (int32_t i = 0; i < ins; i++) {
        rob_id p = partial(g, y, i);
        dx[i] = p == ROB_NONE ? ROB_NONE : g_mul(g, dy, p);
    }
}

void rob_priv_each_jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy,
                       rob_partial *partial)
{
    int32_t ins = rob_priv_node(g, y).ins;
    rob_id total = ROB_NONE;
    for (int32_t i = 0; i < ins; i++) {
        rob_id p = dx[i] == ROB_NONE ? ROB_NONE : partial(g, y, i);
        if (p == ROB_NONE) continue;
        rob_id term = g_mul(g, dx[i], p);
        total = total == ROB_NONE ? term : g_add(g, total, term);
    }
    dy[0] = total;
}

rob_id rob_priv_input_of(const rob_graph *g, rob_id y, int32_t i)
{
    return rob_priv_node(g, y).in[i];
}

bool rob_priv_is(const rob_graph *g, rob_id y, const rob_op *op)
{
    return y != ROB_NONE && rob_priv_node(g, y).op == op;
}

bool rob_priv_is_scaled(const rob_graph *g, rob_id a, double *scale, rob_id *inner)
{
    if (!rob_priv_is(g, a, &rob_priv_op_affine)) return false;
    rob_node n = rob_priv_node(g, a);
    *scale = n.attr.x[0];
    *inner = n.in[0];
    return n.attr.x[1] == 0;
}

rob_id rob_priv_fill_like(rob_graph *g, rob_id a, double v)
{
    return rob_priv_fill(g, rob_priv_shape(g, a), v);
}

rob_id rob_priv_one_minus(rob_graph *g, rob_id a) { return g_affine(g, a, -1, 1); }
