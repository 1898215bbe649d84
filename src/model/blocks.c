/* blocks.c -- the building blocks of transformers as graphs.
 *
 * Attention (Vaswani et al., Attention is all you need, NeurIPS 2017), head h of row b:
 *     S = scale Q K',   P = softmax S row by row,   Y = P V.
 * A key that is not there has S = -inf, so P = exp(-inf) / ... = 0 exactly, and terms 0 v
 * at the end of a chain of fused multiply-adds do not touch its bits.
 *
 * Layer norm (Ba et al. 2016) is centre, rmsnorm and an affine map; without the division
 * it is affine altogether (Shi et al., Robustness verification for transformers, 2020).
 */
#include "model/blocks.h"

#include <math.h>

rob_id rob_priv_block_linear(rob_graph *g, rob_id u, rob_id w, rob_id b)
{
    rob_shape s = rob_priv_shape(g, u), to = s;
    rob_shape flat = rob_priv_shape2(rob_priv_shape_rows(&s), rob_priv_shape_cols(&s));
    rob_id y = g_matmul(g, g_reshape(g, u, flat), w, 0, 1);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    if (b != ROB_NONE) y = g_add(g, y, b);
    to.dim[to.rank - 1] = rob_priv_shape(g, w).dim[0];
    return g_reshape(g, y, to);
}

rob_id rob_priv_block_layer_norm(rob_graph *g, rob_id x, rob_id gamma, rob_id beta,
                                 double eps, int32_t divide)
{
    rob_id y = g_centre(g, x);
    if (divide) y = g_rmsnorm(g, y, eps);
    if (gamma != ROB_NONE) y = g_mul(g, y, gamma);
    return beta != ROB_NONE ? g_add(g, y, beta) : y;
}

/* ---- attention ------------------------------------------------------------------- */

/* (T, B, h d) -> (B h, T, d) */
static rob_id heads_apart(rob_graph *g, rob_id x, int64_t heads)
{
    const int32_t order[3] = { 1, 0, 2 };
    rob_shape s = rob_priv_shape(g, x);
    rob_shape to = rob_priv_shape3(s.dim[0], s.dim[1] * heads, s.dim[2] / heads);
    return g_permute(g, g_reshape(g, x, to), order);
}

/* (B h, T, d) -> (T, B, h d) */
static rob_id heads_together(rob_graph *g, rob_id y, int64_t heads)
{
    const int32_t order[3] = { 1, 0, 2 };
    rob_shape s = rob_priv_shape(g, y);
    rob_shape to = rob_priv_shape3(s.dim[1], s.dim[0] / heads, heads * s.dim[2]);
    return g_reshape(g, g_permute(g, y, order), to);
}

/* mask (T, B, 1) -> (B h, 1, T) */
static rob_id mask_of_keys(rob_graph *g, rob_id mask, int64_t heads)
{
    rob_shape s = rob_priv_shape(g, mask);
    int64_t steps = s.dim[0], rows = s.dim[1];
    const int64_t apart[4] = { rows, 1, 1, steps }, each[4] = { rows, heads, 1, steps };
    rob_id m = g_transpose(g, g_reshape(g, mask, rob_priv_shape2(steps, rows)));
    m = g_reshape(g, m, rob_priv_shape_make(4, apart));
    m = g_expand(g, m, rob_priv_shape_make(4, each));
    return g_reshape(g, m, rob_priv_shape3(rows * heads, 1, steps));
}

static bool attention_fits(rob_graph *g, rob_id q, rob_id k, rob_id v, int64_t heads)
{
    rob_shape a = rob_priv_shape(g, q), b = rob_priv_shape(g, k);
    rob_shape c = rob_priv_shape(g, v);
    if (rob_priv_graph_failed(g)) return false;
    if (a.rank == 3 && b.rank == 3 && c.rank == 3 && heads >= 1 && a.dim[1] == b.dim[1]
        && a.dim[2] == b.dim[2] && b.dim[0] == c.dim[0] && b.dim[1] == c.dim[1]
        && a.dim[2] % heads == 0 && c.dim[2] % heads == 0)
        return true;
    rob_priv_graph_fail(g, ROB_ESHAPE,
                        "attention: queries, keys and values do not fit each other or "
                        "their widths are not multiples of %lld heads",
                        (long long)heads);
    return false;
}

rob_id rob_priv_block_attention(rob_graph *g, rob_id q, rob_id k, rob_id v,
                                int64_t heads, double scale, rob_id mask)
{
    if (!attention_fits(g, q, k, v, heads)) return ROB_NONE;
    rob_id s = g_matmul(g, heads_apart(g, q, heads), heads_apart(g, k, heads), 0, 1);
    s = g_affine(g, s, scale, 0);
    if (mask != ROB_NONE) {
        rob_id nowhere = rob_priv_fill(g, rob_priv_shape(g, s), -INFINITY);
        s = g_where(g, mask_of_keys(g, mask, heads), s, nowhere);
    }
    rob_id y = g_matmul(g, g_softmax(g, s), heads_apart(g, v, heads), 0, 0);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    return heads_together(g, y, heads);
}

rob_id rob_priv_block_multi_head(rob_graph *g, rob_id u, rob_id context,
                                 const rob_attention *a, rob_id mask)
{
    rob_id q = rob_priv_block_linear(g, u, a->wq, a->bq);
    rob_id k = rob_priv_block_linear(g, context, a->wk, a->bk);
    rob_id v = rob_priv_block_linear(g, context, a->wv, a->bv);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    double width = (double)rob_priv_shape(g, q).dim[2] / (double)a->heads;
    rob_id y = rob_priv_block_attention(g, q, k, v, a->heads, 1 / sqrt(width), mask);
    return rob_priv_block_linear(g, y, a->wo, a->bo);
}

/* ---- positions, patches ---------------------------------------------------------- */

rob_id rob_priv_block_sinusoids(rob_graph *g, int64_t steps, int64_t width)
{
    rob_tensor *t;
    rob_shape shape = rob_priv_shape3(steps, 1, width);
    rob_status status =
        rob_priv_tensor_create(rob_priv_graph_memory(g), ROB_F64, shape, &t);
    if (status < ROB_OK)
        return rob_priv_graph_fail(g, status, "out of memory for positions");
    double *p = t->data;
    for (int64_t k = 0; k < steps * width; k++) {
        double pair = (double)(k % width / 2 * 2);
        double angle = (double)(k / width) * exp(-log(10000.0) * pair / (double)width);
        p[k] = k % width % 2 == 0 ? sin(angle) : cos(angle);
    }
    rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

/* Rank stays within 4: time is cut with the rows beside it, features then move ahead of
 * them. (p k, B, q m) = (k, p, B m, q) -> (k, B m, p, q) = (k, B, m, p q)
 * -> (k, m, B, p q). */
rob_id rob_priv_block_patches(rob_graph *g, rob_id x, int64_t p, int64_t q)
{
    rob_shape s = rob_priv_shape(g, x);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    int64_t down = p >= 1 ? s.dim[0] / p : 0, across = q >= 1 ? s.dim[2] / q : 0;
    if (s.rank != 3 || down < 1 || across < 1 || across * q != s.dim[2])
        return rob_priv_graph_fail(g, ROB_ESHAPE,
                                   "patches of %lld steps by %lld features do not fit "
                                   "%lld steps of %lld",
                                   (long long)p, (long long)q, (long long)s.dim[0],
                                   (long long)s.dim[2]);
    const int64_t cut[4] = { down, p, s.dim[1] * across, q };
    const int64_t joined[4] = { down, s.dim[1], across, p * q };
    const int32_t inward[4] = { 0, 2, 1, 3 };
    rob_id y = g_slice(g, x, 0, 0, down * p);
    y = g_permute(g, g_reshape(g, y, rob_priv_shape_make(4, cut)), inward);
    y = g_permute(g, g_reshape(g, y, rob_priv_shape_make(4, joined)), inward);
    return g_reshape(g, y, rob_priv_shape3(down * across, s.dim[1], p * q));
}

rob_id rob_priv_block_patch_mask(rob_graph *g, rob_id mask, int64_t p, int64_t across)
{
    rob_shape s = rob_priv_shape(g, mask);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    int64_t down = s.dim[0] / p, rows = s.dim[1];
    rob_id m = g_slice(g, mask, 0, 0, down * p);
    m = g_reshape(g, m, rob_priv_shape3(down, p, rows));
    m = g_slice(g, m, 1, p - 1, 1);
    m = g_expand(g, m, rob_priv_shape3(down, across, rows));
    return g_reshape(g, m, rob_priv_shape3(down * across, rows, 1));
}

/* ---- over the steps -------------------------------------------------------------- */

/* the same operations with and without a mask, but for the last */
rob_id rob_priv_block_mean(rob_graph *g, rob_id u, rob_id mask)
{
    rob_shape s = rob_priv_shape(g, u);
    int64_t steps = s.dim[0];
    if (mask != ROB_NONE) u = g_mul(g, u, mask);
    s.dim[0] = 1;
    u = g_sum_to(g, u, s);
    if (mask == ROB_NONE) return g_affine(g, u, 1.0 / (double)steps, 0);
    return g_div(g, u, g_sum_to(g, mask, rob_priv_shape3(1, s.dim[1], 1)));
}

/* by halves; a step that is not there repeats the first */
rob_id rob_priv_block_largest(rob_graph *g, rob_id u, rob_id mask)
{
    if (mask != ROB_NONE) u = g_where(g, mask, u, g_slice(g, u, 0, 0, 1));
    for (int64_t n = rob_priv_shape(g, u).dim[0]; n > 1; n = (n + 1) / 2) {
        rob_id left = g_slice(g, u, 0, 0, n / 2), right = g_slice(g, u, 0, n / 2, n / 2);
        rob_id most = g_max(g, left, right);
        if (n % 2 == 1)
            most = g_concat(g, (rob_id[]){ most, g_slice(g, u, 0, n - 1, 1) }, 2, 0);
        u = most;
    }
    return u;
}

/* a last step is there, and its successor is not */
rob_id rob_priv_block_last(rob_graph *g, rob_id u, rob_id mask)
{
    rob_shape s = rob_priv_shape(g, u);
    int64_t steps = s.dim[0];
    if (rob_priv_graph_failed(g) || steps == 1) return u;
    if (mask == ROB_NONE) return g_slice(g, u, 0, steps - 1, 1);
    rob_id none = rob_priv_fill(g, rob_priv_shape3(1, s.dim[1], 1), 0);
    rob_id next = g_concat(
        g, (rob_id[]){ g_slice(g, mask, 0, 1, steps - 1), none }, 2, 0);
    rob_id only = g_where(g, g_sub(g, mask, next), u,
                          rob_priv_fill(g, rob_priv_shape(g, u), 0));
    s.dim[0] = 1;
    return g_sum_to(g, only, s);
}
