/* transformer.c -- the graph of a transformer encoder up to its read-out.
 *
 * x (T, B, D), perhaps as patches; u_0 = W_e x + b_e (+ a first step cls) + positions;
 * for every layer, A multi-head attention and F(u) = W_2 phi(W_1 u + b_1) + b_2,
 *     before:  u <- u + A(N_1 u),     u <- u + F(N_2 u)
 *     after:   u <- N_1(u + A(u)),    u <- N_2(u + F(u)),
 * then a last norm and a read-out over the steps (first, last, mean, largest). The head
 * behind it is that of every recipe (head.c).
 * Vaswani et al., NeurIPS 2017; Dosovitskiy et al., ICLR 2021.
 *
 * Where the read-out takes one step, the last layer asks for that step only: one query,
 * one row through F. Steps behind a row's end are no keys, add nothing to the mean and
 * are never last.
 */
#include "model/transformer.h"

#include <math.h>

/* ---- tensors --------------------------------------------------------------------- */

static bool is_of_layer(rob_role role)
{
    return role >= ROB_ROLE_QKV_W && role <= ROB_ROLE_NORM2_B;
}

static int32_t roles_between(const rob_encoder *e, rob_role first, rob_role end)
{
    int32_t count = 0;
    for (rob_role r = first; r < end; r++) count += rob_priv_encoder_has(e, r);
    return count;
}

int32_t rob_priv_encoder_tensors(const rob_encoder *e)
{
    return roles_between(e, 0, ROB_ROLE_QKV_W)
           + e->layers * roles_between(e, ROB_ROLE_QKV_W, ROB_ROLE_FINAL_W)
           + roles_between(e, ROB_ROLE_FINAL_W, ROB_ROLES);
}

/* the k-th role of those from `first` on */
static rob_role role_from(const rob_encoder *e, rob_role first, int32_t k)
{
    rob_role r = first;
    for (; r < ROB_ROLES; r++)
        if (rob_priv_encoder_has(e, r) && k-- == 0) break;
    return r;
}

rob_role rob_priv_encoder_role(const rob_encoder *e, int32_t k, int32_t *layer)
{
    int32_t before = roles_between(e, 0, ROB_ROLE_QKV_W);
    int32_t each = roles_between(e, ROB_ROLE_QKV_W, ROB_ROLE_FINAL_W);
    *layer = -1;
    if (k < before) return role_from(e, 0, k);
    k -= before;
    if (k >= e->layers * each)
        return role_from(e, ROB_ROLE_FINAL_W, k - e->layers * each);
    *layer = k / each;
    return role_from(e, ROB_ROLE_QKV_W, k % each);
}

static int64_t patch_size(const rob_encoder *e)
{
    return e->patch_steps > 0 ? e->patch_steps * e->patch_features : e->features;
}

rob_shape rob_priv_encoder_shape(const rob_encoder *e, rob_role role)
{
    const int64_t F = e->width, E = e->inner, G = e->feedforward;
    switch (role) {
    case ROB_ROLE_EMBED_W:
        return e->by_channel ? rob_priv_shape3(F, e->patch_features, e->patch_steps)
                             : rob_priv_shape2(F, patch_size(e));
    case ROB_ROLE_CLS: return rob_priv_shape3(1, 1, F);
    case ROB_ROLE_POSITIONS: return rob_priv_shape2(e->longest, F);
    case ROB_ROLE_QKV_W: return rob_priv_shape2(3 * E, F);
    case ROB_ROLE_QKV_B: return rob_priv_shape1(3 * E);
    case ROB_ROLE_Q_W:
    case ROB_ROLE_K_W:
    case ROB_ROLE_V_W: return rob_priv_shape2(E, F);
    case ROB_ROLE_Q_B:
    case ROB_ROLE_K_B:
    case ROB_ROLE_V_B: return rob_priv_shape1(E);
    case ROB_ROLE_OUT_W: return rob_priv_shape2(F, E);
    case ROB_ROLE_FF1_W: return rob_priv_shape2(G, F);
    case ROB_ROLE_FF1_B: return rob_priv_shape1(G);
    case ROB_ROLE_FF2_W: return rob_priv_shape2(F, G);
    default: return rob_priv_shape1(F); /* biases and norms of the encoder's width */
    }
}

/* ---- the graph ------------------------------------------------------------------- */

typedef struct build {
    const rob_encoder *e;
    rob_graph *g;
    const rob_id *tensor;
    int32_t layer;
    rob_id mask; /* (T, B, 1) of the encoder's steps, or ROB_NONE */
} build;

/* the tensor of a role in its shape; ROB_NONE: the model has none */
static rob_id get(const build *b, rob_role role)
{
    const rob_encoder *e = b->e;
    if (!rob_priv_encoder_has(e, role)) return ROB_NONE;
    int32_t k = roles_between(e, 0, role);
    int32_t each = roles_between(e, ROB_ROLE_QKV_W, ROB_ROLE_FINAL_W);
    if (is_of_layer(role)) k += b->layer * each;
    else if (role >= ROB_ROLE_FINAL_W) k += (e->layers - 1) * each;
    return g_reshape(b->g, b->tensor[k], rob_priv_encoder_shape(e, role));
}

static rob_id linear(const build *b, rob_id u, rob_role weight)
{
    return rob_priv_block_linear(b->g, u, get(b, weight), get(b, weight + 1));
}

static rob_id norm(const build *b, rob_id u, rob_role gamma)
{
    return rob_priv_block_layer_norm(b->g, u, get(b, gamma), get(b, gamma + 1),
                                     b->e->eps, b->e->divide);
}

static rob_id activate(const build *b, rob_id z)
{
    if (b->e->activation == ROB_ACTIVATION_RELU) return g_unary(b->g, "relu", z);
    return g_gelu(b->g, z, b->e->activation == ROB_ACTIVATION_GELU_TANH);
}

/* (1, B, F) of one step: the first, or each row's last */
static rob_id one_step(const build *b, rob_id u)
{
    if (b->e->pool == ROB_POOL_CLS) return g_slice(b->g, u, 0, 0, 1);
    return rob_priv_block_last(b->g, u, b->mask);
}

static void split_maps(const build *b, rob_attention *a)
{
    const int64_t E = b->e->inner, part[3] = { E, E, E };
    rob_id w = get(b, ROB_ROLE_QKV_W), bias = get(b, ROB_ROLE_QKV_B), out[3];
    g_split(b->g, w, 0, part, 3, out);
    a->wq = out[0], a->wk = out[1], a->wv = out[2];
    if (bias == ROB_NONE) return;
    g_split(b->g, bias, 0, part, 3, out);
    a->bq = out[0], a->bk = out[1], a->bv = out[2];
}

static rob_id attention(const build *b, rob_id u, rob_id context)
{
    rob_attention a = { .heads = b->e->heads,
                        .wq = get(b, ROB_ROLE_Q_W),
                        .bq = get(b, ROB_ROLE_Q_B),
                        .wk = get(b, ROB_ROLE_K_W),
                        .bk = get(b, ROB_ROLE_K_B),
                        .wv = get(b, ROB_ROLE_V_W),
                        .bv = get(b, ROB_ROLE_V_B),
                        .wo = get(b, ROB_ROLE_OUT_W),
                        .bo = get(b, ROB_ROLE_OUT_B) };
    if (rob_priv_encoder_has(b->e, ROB_ROLE_QKV_W)) split_maps(b, &a);
    return rob_priv_block_multi_head(b->g, u, context, &a, b->mask);
}

static rob_id feed_forward(const build *b, rob_id u)
{
    return linear(b, activate(b, linear(b, u, ROB_ROLE_FF1_W)), ROB_ROLE_FF2_W);
}

/* one layer; with `one`, only the step that is read out comes out of it */
static rob_id encode(const build *b, rob_id u, bool one)
{
    rob_graph *g = b->g;
    rob_id mine = one ? one_step(b, u) : u;
    if (b->e->norm_first) {
        rob_id context = norm(b, u, ROB_ROLE_NORM1_W);
        rob_id query = one ? norm(b, mine, ROB_ROLE_NORM1_W) : context;
        u = g_add(g, mine, attention(b, query, context));
        return g_add(g, u, feed_forward(b, norm(b, u, ROB_ROLE_NORM2_W)));
    }
    u = norm(b, g_add(g, mine, attention(b, mine, u)), ROB_ROLE_NORM1_W);
    return norm(b, g_add(g, u, feed_forward(b, u)), ROB_ROLE_NORM2_W);
}

/* ---- ends ------------------------------------------------------------------------ */

static rob_id with_cls(build *b, rob_id u)
{
    rob_graph *g = b->g;
    rob_shape s = rob_priv_shape(g, u);
    int64_t rows = s.dim[1];
    rob_id cls = g_expand(g, get(b, ROB_ROLE_CLS), rob_priv_shape3(1, rows, b->e->width));
    if (b->mask != ROB_NONE) {
        rob_id there = rob_priv_fill(g, rob_priv_shape3(1, rows, 1), 1);
        b->mask = g_concat(g, (rob_id[]){ there, b->mask }, 2, 0);
    }
    return g_concat(g, (rob_id[]){ cls, u }, 2, 0);
}

static rob_id with_positions(const build *b, rob_id u)
{
    rob_graph *g = b->g;
    const rob_encoder *e = b->e;
    int64_t steps = rob_priv_shape(g, u).dim[0];
    if (rob_priv_graph_failed(g) || e->positions == ROB_POSITIONS_NONE) return u;
    if (e->positions == ROB_POSITIONS_SINUSOID)
        return g_add(g, u, rob_priv_block_sinusoids(g, steps, e->width));
    if (steps > e->longest)
        return rob_priv_graph_fail(
            g, ROB_ESHAPE, "%lld steps for the encoder, but positions for %lld only",
            (long long)steps, (long long)e->longest);
    rob_id p = g_slice(g, get(b, ROB_ROLE_POSITIONS), 0, 0, steps);
    return g_add(g, u, g_reshape(g, p, rob_priv_shape3(steps, 1, e->width)));
}

/* Conv1d's order of a patch's numbers, feature after feature, to step after step */
static rob_id embedding_of_patches(const build *b)
{
    rob_id w = get(b, ROB_ROLE_EMBED_W);
    if (!b->e->by_channel) return w;
    return g_reshape(b->g, g_transpose(b->g, w),
                     rob_priv_shape2(b->e->width, patch_size(b->e)));
}

/* u_0 (T', B, F) */
static rob_id embed(build *b, rob_id x)
{
    rob_graph *g = b->g;
    const rob_encoder *e = b->e;
    int64_t p = e->patch_steps, q = e->patch_features;
    if (b->mask != ROB_NONE)
        x = g_where(g, b->mask, x, rob_priv_fill(g, rob_priv_shape(g, x), 0));
    if (p > 0) {
        x = rob_priv_block_patches(g, x, p, q);
        if (b->mask != ROB_NONE)
            b->mask = rob_priv_block_patch_mask(g, b->mask, p, e->features / q);
    }
    if (rob_priv_encoder_has(e, ROB_ROLE_EMBED_W))
        x = rob_priv_block_linear(g, x, embedding_of_patches(b),
                                  get(b, ROB_ROLE_EMBED_B));
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    if (rob_priv_encoder_has(e, ROB_ROLE_CLS)) x = with_cls(b, x);
    return with_positions(b, x);
}

static rob_id read_out(const build *b, rob_id u)
{
    if (b->e->pool == ROB_POOL_MEAN) return rob_priv_block_mean(b->g, u, b->mask);
    if (b->e->pool == ROB_POOL_MAX) return rob_priv_block_largest(b->g, u, b->mask);
    return one_step(b, u);
}

rob_id rob_priv_encoder_emit(const rob_encoder *e, rob_graph *g, rob_id x, rob_id mask,
                             const rob_id *tensor)
{
    build b = { e, g, tensor, 0, mask };
    bool single = e->pool == ROB_POOL_CLS || e->pool == ROB_POOL_LAST;
    rob_id u = embed(&b, x);
    for (; b.layer < e->layers && !rob_priv_graph_failed(g); b.layer++)
        u = encode(&b, u, single && b.layer + 1 == e->layers);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    b.layer = e->layers - 1;
    if (rob_priv_encoder_has(e, ROB_ROLE_FINAL_W)) u = norm(&b, u, ROB_ROLE_FINAL_W);
    if (!single) u = read_out(&b, u);
    rob_shape s = rob_priv_shape(g, u);
    return g_reshape(g, u, rob_priv_shape2(s.dim[1], s.dim[2]));
}
