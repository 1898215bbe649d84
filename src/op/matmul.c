/* matmul.c -- Y (..., M, N) = op(A) (..., M, K) op(B) (..., K, N).
 *
 * op transposes the last two dims when i[0] (for A) or i[1] (for B) is set; equal ranks
 * >= 2, equal leading dims. Closed: with op(A) = A, op(B) = B,
 *     dA = dY B',  dB = A' dY,  dY = dA B + A dB. */
#include "op/plane.h"
#include "op/rule.h"

#ifndef ROB_KERNEL

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    rob_shape a = rob_priv_shape(g, in[0]), b = rob_priv_shape(g, in[1]);
    int32_t r = a.rank;
    (void)ins;
    if (r < 2 || b.rank != r) {
        rob_priv_graph_fail(g, ROB_ESHAPE,
                            "matmul: ranks %d and %d; they must be equal and "
                            "at least 2",
                            (int)a.rank, (int)b.rank);
        return false;
    }
    int64_t m = a.dim[r - 2 + (attr->i[0] != 0)], k = a.dim[r - 1 - (attr->i[0] != 0)];
    int64_t l = b.dim[r - 2 + (attr->i[1] != 0)], n = b.dim[r - 1 - (attr->i[1] != 0)];
    bool fits = k == l;
    for (int32_t i = 0; i < r - 2; i++) fits = fits && a.dim[i] == b.dim[i];
    if (!fits) {
        rob_priv_graph_fail(g, ROB_ESHAPE,
                            "matmul: (%lld,%lld) times (%lld,%lld) do not "
                            "fit, or leading dimensions differ",
                            (long long)m, (long long)k, (long long)l, (long long)n);
        return false;
    }
    *out = a;
    out->dim[r - 2] = m;
    out->dim[r - 1] = n;
    return true;
}

/* The operand whose last two dims are swapped to give `id`, or ROB_NONE. */
static rob_id transposed(const rob_graph *g, rob_id id)
{
    if (!rob_priv_is(g, id, &rob_priv_op_permute)) return ROB_NONE;
    rob_node n = rob_priv_node(g, id);
    int64_t r = n.attr.i[0];
    for (int64_t k = 0; k < r - 2; k++)
        if (n.attr.i[1 + k] != k) return ROB_NONE;
    return r >= 2 && n.attr.i[r] == r - 2 ? n.in[0] : ROB_NONE;
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_shape s;
    double v;
    int ta = attr->i[0] != 0, tb = attr->i[1] != 0;
    rob_id a = transposed(g, in[0]), b = transposed(g, in[1]), inner;
    for (int32_t i = 0; i < 2; i++)
        if (rob_priv_is_fill(g, in[i], &v) && v == 0 && shape(g, in, ins, attr, &s))
            return rob_priv_fill(g, s, 0);
    if (a != ROB_NONE) return g_matmul(g, a, in[1], !ta, tb);
    if (b != ROB_NONE) return g_matmul(g, in[0], b, ta, !tb);
    if (rob_priv_is_scaled(g, in[0], &v, &inner))
        return g_affine(g, g_matmul(g, inner, in[1], ta, tb), v, 0);
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    rob_id a = rob_priv_input_of(g, y, 0), b = rob_priv_input_of(g, y, 1);
    rob_attr attr = rob_priv_node(g, y).attr;
    int ta = attr.i[0] != 0, tb = attr.i[1] != 0;
    dx[0] = ta ? g_matmul(g, b, dy[0], tb, 1) : g_matmul(g, dy[0], b, 0, !tb);
    dx[1] = tb ? g_matmul(g, dy[0], a, 1, ta) : g_matmul(g, a, dy[0], !ta, 0);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    rob_id a = rob_priv_input_of(g, y, 0), b = rob_priv_input_of(g, y, 1);
    rob_attr attr = rob_priv_node(g, y).attr;
    int ta = attr.i[0] != 0, tb = attr.i[1] != 0;
    rob_id left = dx[0] == ROB_NONE ? ROB_NONE : g_matmul(g, dx[0], b, ta, tb);
    rob_id right = dx[1] == ROB_NONE ? ROB_NONE : g_matmul(g, a, dx[1], ta, tb);
    if (left == ROB_NONE || right == ROB_NONE) dy[0] = left == ROB_NONE ? right : left;
    else dy[0] = g_add(g, left, right);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    rob_priv_matmul_interval(n, in, out);
}

/* The reference; the bound engine moves many rows by packed products of its own. */
static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)k, (void)base;
    rob_priv_matmul_pull(n, value, out, i, in, loss);
}

/* Centre and radius: A_c B_c -+ (A_r |B_c| + (|A_c| + A_r) B_r). */
static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_attr attr = rob_priv_node(g, y).attr;
    int ta = attr.i[0] != 0, tb = attr.i[1] != 0;
    rob_id centre[2], radius[2] = { ROB_NONE, ROB_NONE }, spread = ROB_NONE;
    for (int i = 0; i < 2; i++) {
        centre[i] =
            lo[i] == up[i] ? lo[i] : g_affine(g, g_add(g, lo[i], up[i]), 0.5, 0);
        if (lo[i] != up[i])
            radius[i] = g_affine(g, g_sub(g, up[i], lo[i]), 0.5, 0);
    }
    if (radius[0] != ROB_NONE)
        spread = g_matmul(g, radius[0], g_unary(g, "abs", centre[1]), ta, tb);
    if (radius[1] != ROB_NONE) {
        rob_id size = g_unary(g, "abs", centre[0]);
        size = radius[0] == ROB_NONE ? size : g_add(g, size, radius[0]);
        rob_id more = g_matmul(g, size, radius[1], ta, tb);
        spread = spread == ROB_NONE ? more : g_add(g, spread, more);
    }
    rob_id middle = g_matmul(g, centre[0], centre[1], ta, tb);
    *ylo = spread == ROB_NONE ? middle : g_sub(g, middle, spread);
    *yup = spread == ROB_NONE ? middle : g_add(g, middle, spread);
}

const rob_op rob_priv_op_matmul = {
    .name = "matmul", .id = ROB_OP_matmul, .ins = 2, .kind = ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
