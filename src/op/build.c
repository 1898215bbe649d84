/* build.c -- one line per operator, and the handful of composites that rules and models
 * are written in. Binary element-wise builders broadcast: the smaller operand is expanded,
 * and since expand is a node its adjoint (sum_to) comes by itself. */
#include "op/op.h"

static rob_attr no_attr(void) { return (rob_attr){0}; }

/* Dimensions as attributes: i[0] = rank, i[1..] = dims. */
static rob_attr dims_attr(rob_shape shape)
{
    rob_attr a = {.i = {shape.rank}};
    for (int32_t k = 0; k < shape.rank; k++) a.i[1 + k] = shape.dim[k];
    return a;
}

static rob_id apply1(rob_graph *g, const rob_op *op, rob_id a, rob_attr attr)
{
    return rob_priv_apply(g, op, &a, 1, attr);
}

/* Both operands on their common shape, then the operator. */
static rob_id apply_broadcast(rob_graph *g, const rob_op *op, rob_id a, rob_id b)
{
    rob_shape sa = rob_priv_shape(g, a), sb = rob_priv_shape(g, b), s;
    if (!rob_priv_shape_broadcast(&sa, &sb, &s))
        return rob_priv_graph_fail(g, ROB_ESHAPE, "%s: shapes do not broadcast", op->name);
    rob_id in[2] = {g_expand(g, a, s), g_expand(g, b, s)};
    return rob_priv_apply(g, op, in, 2, no_attr());
}

rob_id g_add(rob_graph *g, rob_id a, rob_id b)
{
    return apply_broadcast(g, &rob_priv_op_add, a, b);
}

rob_id g_sub(rob_graph *g, rob_id a, rob_id b)
{
    return apply_broadcast(g, &rob_priv_op_sub, a, b);
}

rob_id g_mul(rob_graph *g, rob_id a, rob_id b)
{
    return apply_broadcast(g, &rob_priv_op_mul, a, b);
}

rob_id g_div(rob_graph *g, rob_id a, rob_id b)
{
    return g_mul(g, a, apply1(g, &rob_priv_op_reciprocal, b, no_attr()));
}

rob_id g_max(rob_graph *g, rob_id a, rob_id b)
{
    return apply_broadcast(g, &rob_priv_op_max, a, b);
}

rob_id g_affine(rob_graph *g, rob_id a, double scale, double shift)
{
    return apply1(g, &rob_priv_op_affine, a, (rob_attr){.x = {scale, shift}});
}

rob_id g_neg(rob_graph *g, rob_id a) { return g_affine(g, a, -1, 0); }

rob_id g_where(rob_graph *g, rob_id m, rob_id a, rob_id b)
{
    rob_shape sm = rob_priv_shape(g, m), sa = rob_priv_shape(g, a);
    rob_shape sb = rob_priv_shape(g, b), s;
    if (!rob_priv_shape_broadcast(&sm, &sa, &s) || !rob_priv_shape_broadcast(&s, &sb, &s))
        return rob_priv_graph_fail(g, ROB_ESHAPE, "where: shapes do not broadcast");
    rob_id in[3] = {g_expand(g, m, s), g_expand(g, a, s), g_expand(g, b, s)};
    return rob_priv_apply(g, &rob_priv_op_where, in, 3, no_attr());
}

rob_id g_unary(rob_graph *g, const char *name, rob_id a)
{
    const rob_op *op = rob_priv_op_by_name(name);
    if (op == NULL || op->ins != 1)
        return rob_priv_graph_fail(g, ROB_EARGUMENT, "no operator of one input: %s", name);
    return apply1(g, op, a, no_attr());
}

rob_id g_sigtanh(rob_graph *g, rob_id x, rob_id y)
{
    return apply_broadcast(g, &rob_priv_op_sigtanh, x, y);
}

rob_id g_sigmul(rob_graph *g, rob_id x, rob_id y)
{
    return apply_broadcast(g, &rob_priv_op_sigmul, x, y);
}

rob_id g_blend(rob_graph *g, rob_id z, rob_id n, rob_id h)
{
    return rob_priv_apply(g, &rob_priv_op_blend, (rob_id[]){z, n, h}, 3, no_attr());
}

rob_id g_matmul(rob_graph *g, rob_id a, rob_id b, int ta, int tb)
{
    return rob_priv_apply(g, &rob_priv_op_matmul, (rob_id[]){a, b}, 2,
                          (rob_attr){.i = {ta, tb}});
}

rob_id g_reshape(rob_graph *g, rob_id a, rob_shape shape)
{
    return apply1(g, &rob_priv_op_reshape, a, dims_attr(shape));
}

rob_id g_expand(rob_graph *g, rob_id a, rob_shape shape)
{
    rob_shape s = rob_priv_shape(g, a);
    if (rob_priv_shape_equal(&s, &shape)) return a;
    return apply1(g, &rob_priv_op_expand, a, dims_attr(shape));
}

rob_id g_sum_to(rob_graph *g, rob_id a, rob_shape shape)
{
    rob_shape s = rob_priv_shape(g, a);
    if (rob_priv_shape_equal(&s, &shape)) return a;
    return apply1(g, &rob_priv_op_sum_to, a, dims_attr(shape));
}

rob_id g_sum(rob_graph *g, rob_id a) { return g_sum_to(g, a, (rob_shape){0}); }

rob_id g_permute(rob_graph *g, rob_id a, const int32_t *order)
{
    rob_shape s = rob_priv_shape(g, a);
    rob_attr attr = {.i = {s.rank}};
    for (int32_t k = 0; k < s.rank; k++) attr.i[1 + k] = order[k];
    return apply1(g, &rob_priv_op_permute, a, attr);
}

rob_id g_transpose(rob_graph *g, rob_id a)
{
    int32_t order[ROB_MAX_RANK] = {0, 1, 2, 3}, r = rob_priv_shape(g, a).rank;
    if (r < 2) return a;
    order[r - 1] = r - 2;
    order[r - 2] = r - 1;
    return g_permute(g, a, order);
}

static bool all_equal(const int64_t *sizes, int32_t k)
{
    for (int32_t i = 1; i < k; i++)
        if (sizes[i] != sizes[0]) return false;
    return true;
}

void g_split(rob_graph *g, rob_id a, int32_t axis, const int64_t *sizes, int32_t k,
             rob_id *parts)
{
    rob_attr attr = {.i = {axis, k, sizes[0]}};
    for (int32_t i = 0; i < k; i++) parts[i] = ROB_NONE;
    if (k > 4 && !all_equal(sizes, k)) {
        rob_priv_graph_fail(g, ROB_ESHAPE, "split: more than 4 parts must be equal");
        return;
    }
    for (int32_t i = 0; i < k && k <= 4; i++) attr.i[2 + i] = sizes[i];
    rob_id node = apply1(g, &rob_priv_op_split, a, attr);
    for (int32_t i = 0; i < k; i++) parts[i] = g_pick(g, node, i);
}

rob_id g_concat(rob_graph *g, const rob_id *parts, int32_t k, int32_t axis)
{
    return rob_priv_apply(g, &rob_priv_op_concat, parts, k, (rob_attr){.i = {axis}});
}

rob_id g_pick(rob_graph *g, rob_id node, int32_t k)
{
    return apply1(g, &rob_priv_op_pick, node, (rob_attr){.i = {k}});
}

rob_id g_slice(rob_graph *g, rob_id a, int32_t axis, int64_t first, int64_t count)
{
    rob_shape s = rob_priv_shape(g, a);
    if (axis < 0 || axis >= s.rank || first < 0 || count < 1 || first + count > s.dim[axis])
        return rob_priv_graph_fail(g, ROB_ESHAPE, "slice: outside the axis");
    int64_t sizes[3], rest = s.dim[axis] - first - count;
    rob_id parts[3];
    int32_t k = 0, wanted = first > 0;
    if (first > 0) sizes[k++] = first;
    sizes[k++] = count;
    if (rest > 0) sizes[k++] = rest;
    if (k == 1) return a;
    g_split(g, a, axis, sizes, k, parts);
    return parts[wanted];
}

rob_id g_softmax(rob_graph *g, rob_id a)
{
    return apply1(g, &rob_priv_op_softmax, a, no_attr());
}

rob_id g_logsumexp(rob_graph *g, rob_id a)
{
    return apply1(g, &rob_priv_op_logsumexp, a, no_attr());
}

rob_id g_centre(rob_graph *g, rob_id a)
{
    return apply1(g, &rob_priv_op_centre, a, no_attr());
}

rob_id g_rmsnorm(rob_graph *g, rob_id a, double eps)
{
    return apply1(g, &rob_priv_op_rmsnorm, a, (rob_attr){.x = {eps}});
}

rob_id g_gelu(rob_graph *g, rob_id x, int32_t by_tanh)
{
    return apply1(g, &rob_priv_op_gelu, x, (rob_attr){.i = {by_tanh != 0}});
}
