/* blocks.h -- the building blocks of networks, as functions that write graphs.
 *
 * Sequences are time-major, (T, B, F). Failures are latched in the graph, as for every
 * builder (op/build.h). A step whose mask is 0 is not there: nothing of it reaches a step
 * that is, so a row of a batch has the bits it has alone. Theory: docs/theory/transformer.md.
 */
#ifndef ROB_MODEL_BLOCKS_H
#define ROB_MODEL_BLOCKS_H

#include "op/op.h"

/* W u + b for every row: u (..., F), w (G, F), b (G) or ROB_NONE -> (..., G). */
rob_id rob_priv_block_linear(rob_graph *g, rob_id u, rob_id w, rob_id b);

/* gamma (x - mean x) / sqrt(var x + eps) + beta over the last axis, var with 1/n;
 * `divide` 0: gamma (x - mean x) + beta. gamma, beta (F) or ROB_NONE: 1, 0. */
rob_id rob_priv_block_layer_norm(rob_graph *g, rob_id x, rob_id gamma, rob_id beta,
                                 double eps, int32_t divide);

/* Scaled products of queries, keys and values, head by head:
 *     y_h = softmax(scale q_h k_h') v_h,   q (S, B, h d), k (T, B, h d), v (T, B, h e)
 * -> (S, B, h e), the heads side by side. mask (T, B, 1), 1 where a key is there, 0 where
 * it is not, or ROB_NONE: all are. A row needs a key.
 * Inside, heads are rows of a batch: (B h, S, d) times (B h, T, d)' and so on. */
rob_id rob_priv_block_attention(rob_graph *g, rob_id q, rob_id k, rob_id v,
                                int64_t heads, double scale, rob_id mask);

/* Weights of multi-head attention as ids: w (E, F) and b (E) or ROB_NONE of queries, keys
 * and values, then those of the output, (F, E') and (F) or ROB_NONE. */
typedef struct rob_attention {
    int64_t heads;
    rob_id wq, bq, wk, bk, wv, bv, wo, bo;
} rob_attention;

/* Attention of the steps of u (S, B, F) to those of `context` (T, B, F), scale
 * 1 / sqrt(E / heads): (S, B, F), the output's map included. mask: of the context. */
rob_id rob_priv_block_multi_head(rob_graph *g, rob_id u, rob_id context,
                                 const rob_attention *a, rob_id mask);

/* Over the steps of u (T, B, F) that are there, (1, B, F): the mean, the largest numbers,
 * and the last step. mask (T, B, 1) or ROB_NONE. */
rob_id rob_priv_block_mean(rob_graph *g, rob_id u, rob_id mask);
rob_id rob_priv_block_largest(rob_graph *g, rob_id u, rob_id mask);
rob_id rob_priv_block_last(rob_graph *g, rob_id u, rob_id mask);

/* Sinusoids of width F for T steps, (T, 1, F), a constant (Vaswani et al. 2017):
 *     p_{t, 2i} = sin(t r^i), p_{t, 2i+1} = cos(t r^i), r = 10000^(-2/F). */
rob_id rob_priv_block_sinusoids(rob_graph *g, int64_t steps, int64_t width);

/* Patches of p steps by q features, cut side by side, each written row by row:
 * x (T, B, D) -> (T/p * D/q, B, p q), first along the features, then along time. Steps
 * behind the last whole patch are left out; q must divide D. */
rob_id rob_priv_block_patches(rob_graph *g, rob_id x, int64_t p, int64_t q);

/* Mask (T, B, 1) of such patches: a patch is there when its last step is. */
rob_id rob_priv_block_patch_mask(rob_graph *g, rob_id mask, int64_t p, int64_t across);

#endif
