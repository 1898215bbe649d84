/* onnx_attention.c -- Attention and RotaryEmbedding of ONNX.
 *
 *     S = scale Q K',  softcap: c tanh(S / c),  Y = softmax(S + mask) V      head by head
 * A key that a query may not see has its score replaced by -inf, so its weight is exactly
 * 0; a query that sees none gives 0. Fewer heads of keys than of queries: each serves
 * queries side by side. Past keys and values stand before the new ones.
 *     (x, y) -> (x cos a - y sin a, x sin a + y cos a)   rotary, pairs across or side by side
 * Reference: ONNX operators Attention 23 to 25, RotaryEmbedding 23; Vaswani et al. 2017;
 * Su et al., RoFormer, 2021.
 */
#include "model/onnx.h"

#include <math.h>
#include <string.h>

enum { Q, K, V, MASK, PAST_K, PAST_V, LENGTHS };

typedef struct attention {
    rob_machine *m;
    rob_value q, k, v; /* (B, heads, T, size) */
    rob_value allowed; /* 1 and 0, or not there: all */
    rob_value added;
    int64_t past;
} attention;

static const int32_t SWAP[4] = { 0, 2, 1, 3 };

/* (B, T, heads size) -> (B, heads, T, size) */
static rob_value heads_apart(rob_machine *m, const rob_value *v, int64_t heads)
{
    if (v->rank == 4) return *v;
    if (v->rank != 3 || heads < 1 || v->dim[2] % heads != 0) {
        o_fail(m, ROB_EFORMAT, "a value of %d dimensions, %lld heads", (int)v->rank,
               (long long)heads);
        return o_none();
    }
    rob_value y = o_reshape(m, v, 4, (int64_t[]){ v->dim[0], v->dim[1], heads,
                                                  v->dim[2] / heads });
    return y.there ? o_permute(m, &y, SWAP) : y;
}

static rob_value heads_together(rob_machine *m, const rob_value *v)
{
    if (!v->there) return o_none();
    rob_value y = o_permute(m, v, SWAP);
    return o_reshape(m, &y, 3, (int64_t[]){ y.dim[0], y.dim[1], y.dim[2] * y.dim[3] });
}

/* Head h of the result is head h / times. */
static rob_value spread(rob_machine *m, const rob_value *v, int64_t times)
{
    const int64_t *d = v->dim;
    int64_t wide[3] = { d[0] * d[1], times, d[2] * d[3] };
    if (times == 1 || !v->there) return *v;
    rob_value y = o_reshape(m, v, 3, (int64_t[]){ wide[0], 1, wide[2] });
    y = o_expand(m, &y, 3, wide);
    return o_reshape(m, &y, 4, (int64_t[]){ d[0], d[1] * times, d[2], d[3] });
}

/* ---- who may see whom ------------------------------------------------------------ */

static double n_and(double a, double b) { return a != 0 && b != 0; }
static double n_finite(double a, double b) { return (void)b, !(a == -INFINITY); }
static double n_level(double a, double b) { return (void)b, a == -INFINITY ? 0 : a; }

static void allow(attention *a, const rob_value *some)
{
    if (!a->allowed.there) a->allowed = *some;
    else a->allowed = o_each(a->m, n_and, ROB_ONNX_BOOL, &a->allowed, some);
}

/* Keys up to the query's own place; or up to each series' length. */
static void allow_by_place(attention *a, bool causal, const rob_value *lengths)
{
    rob_machine *m = a->m;
    int64_t rows = a->q.dim[2], keys = a->k.dim[2];
    int64_t dim[4] = { lengths->there ? a->q.dim[0] : 1, 1, rows, keys };
    rob_value v = o_fill(m, ROB_ONNX_BOOL, 4, dim, 0);
    for (int64_t i = 0; v.number != NULL && i < v.size; i++) {
        int64_t key = i % keys, row = i / keys % rows, series = i / keys / rows;
        int64_t length = lengths->there ? o_integer(lengths, series) : keys;
        int64_t shift = lengths->there ? length - rows : a->past;
        ((double *)v.number->data)[i] = key < length && (!causal || key <= row + shift);
    }
    if (v.there) allow(a, &v);
}

static bool fits_scores(const attention *a, const rob_value *mask)
{
    const int64_t want[4] = { a->q.dim[0], a->q.dim[1], a->q.dim[2], a->k.dim[2] };
    if (mask->rank > 4) return false;
    for (int32_t k = 0; k < mask->rank; k++) {
        int64_t d = mask->dim[mask->rank - 1 - k];
        if (d != 1 && d != want[3 - k]) return false;
    }
    return true;
}

static void read_mask(attention *a, const rob_value *given)
{
    rob_machine *m = a->m;
    rob_value mask = *given;
    bool truth = mask.dtype == ROB_ONNX_BOOL;
    if (!mask.there || o_failed(m)) return;
    int64_t missing = mask.rank > 0 ? a->k.dim[2] - mask.dim[mask.rank - 1] : 0;
    if (missing > 0 && mask.dim[mask.rank - 1] != 1) {
        rob_folding fold = { m->g };
        if (o_known(&mask)) fold = o_fold(m);
        mask = o_pad(m, &mask, mask.rank - 1, 0, missing, truth ? 0 : -INFINITY);
        o_unfold(m, fold, &mask, 1);
    }
    if (o_failed(m) || !fits_scores(a, &mask)) {
        o_fail(m, ROB_EFORMAT, "the mask does not fit the scores");
        return;
    }
    if (truth && !o_known(&mask)) {
        o_fail(m, ROB_EUNSUPPORTED, "a mask of truth values must be constant");
        return;
    }
    if (truth) {
        allow(a, &mask);
        return;
    }
    a->added = mask;
    if (!o_known(&mask)) return;
    rob_value open = o_each(m, n_finite, ROB_ONNX_BOOL, &mask, &mask);
    a->added = o_each(m, n_level, mask.dtype, &mask, &mask);
    if (open.there) allow(a, &open);
}

/* 1 where some key may be seen: (..., rows, 1) */
static rob_value seen_rows(rob_machine *m, const rob_value *allowed)
{
    rob_value v = *allowed;
    int64_t keys = v.dim[v.rank - 1];
    v.dim[v.rank - 1] = 1;
    v = o_fill(m, ROB_ONNX_BOOL, v.rank, v.dim, 0);
    for (int64_t i = 0; v.number != NULL && i < v.size; i++)
        for (int64_t k = 0; k < keys; k++)
            if (o_at(allowed, i * keys + k) != 0) ((double *)v.number->data)[i] = 1;
    return v;
}

/* ---- scores ---------------------------------------------------------------------- */

/* y where allowed, else the number */
static rob_value masked(rob_machine *m, const rob_value *y, const rob_value *allowed,
                        double number)
{
    rob_id id = o_id(m, y);
    rob_value c = o_expand(m, allowed, y->rank, y->dim);
    rob_id gate = o_id(m, &c);
    if (o_failed(m)) return o_none();
    rob_id other = rob_priv_fill(m->g, rob_priv_shape(m->g, id), number);
    return o_like(m, g_where(m->g, gate, id, other), y);
}

static rob_value weights(attention *a, rob_value scores)
{
    rob_machine *m = a->m;
    rob_value y = scores;
    bool whole = true;
    if (a->allowed.there) y = masked(m, &y, &a->allowed, -INFINITY);
    rob_id x = o_id(m, &y);
    if (o_failed(m)) return o_none();
    y = o_like(m, g_softmax(m->g, x), &y);
    if (!a->allowed.there) return y;
    rob_value seen = seen_rows(m, &a->allowed);
    for (int64_t i = 0; seen.number != NULL && i < seen.size; i++)
        whole = whole && o_at(&seen, i) != 0;
    return whole ? y : masked(m, &y, &seen, 0);
}

static rob_value transposed(rob_machine *m, const rob_value *k)
{
    return k->there ? o_permute(m, k, (int32_t[]){ 0, 1, 3, 2 }) : *k;
}

static rob_value capped(rob_machine *m, const rob_value *s, double cap)
{
    if (cap <= 0) return *s;
    rob_value y = o_affine(m, s, 1 / cap, 0);
    y = o_apply(m, "tanh", &y);
    return o_affine(m, &y, cap, 0);
}

/* Which scores output 3 shows: 0 the products, 1 capped, 2 masked, 3 weights. */
static void show(attention *a, int64_t mode, const rob_value *stage, rob_value *out)
{
    rob_value y = stage[mode];
    if (mode == 2 && a->allowed.there) y = masked(a->m, &y, &a->allowed, -INFINITY);
    *out = y;
}

static void attend(attention *a, rob_value *out, int32_t outs, bool flat)
{
    rob_machine *m = a->m;
    double scale = o_float(m, "scale", 1 / sqrt((double)a->q.dim[3]));
    int64_t mode = o_int(m, "qk_matmul_output_mode", 0);
    rob_value stage[4], kt = transposed(m, &a->k);
    stage[0] = o_matmul(m, &a->q, &kt);
    stage[0] = o_affine(m, &stage[0], scale, 0);
    stage[1] = capped(m, &stage[0], o_float(m, "softcap", 0));
    stage[2] = a->added.there ? o_add(m, &stage[1], &a->added) : stage[1];
    if (!stage[2].there) return;
    stage[3] = weights(a, stage[2]);
    rob_value y = o_matmul(m, &stage[3], &a->v);
    out[0] = flat ? heads_together(m, &y) : y;
    if (mode < 0 || mode > 3) o_fail(m, ROB_EFORMAT, "qk_matmul_output_mode");
    if (outs > 3 && !o_failed(m)) show(a, mode, stage, &out[3]);
}

static void read_heads(attention *a, const rob_value *in)
{
    rob_machine *m = a->m;
    a->q = heads_apart(m, &in[Q], o_int(m, "q_num_heads", 0));
    a->k = heads_apart(m, &in[K], o_int(m, "kv_num_heads", 0));
    a->v = heads_apart(m, &in[V], o_int(m, "kv_num_heads", 0));
    if (o_failed(m)) return;
    if (in[PAST_K].there && in[PAST_V].there && in[PAST_K].rank == 4
        && in[PAST_V].rank == 4) {
        a->past = in[PAST_K].dim[2];
        a->k = o_concat(m, (rob_value[]){ in[PAST_K], a->k }, 2, 2);
        a->v = o_concat(m, (rob_value[]){ in[PAST_V], a->v }, 2, 2);
    }
    if (o_failed(m)) return;
    const int64_t *q = a->q.dim, *k = a->k.dim, *v = a->v.dim;
    if (a->q.size == 0 || a->k.size == 0 || a->v.size == 0 || q[0] != k[0] || q[0] != v[0]
        || k[1] != v[1] || k[2] != v[2] || q[3] != k[3] || q[1] % k[1] != 0)
        o_fail(m, ROB_EFORMAT, "queries, keys and values do not fit");
}

static void op_attention(rob_machine *m, const rob_value *in, int32_t ins,
                         rob_value *out, int32_t outs)
{
    (void)ins;
    attention a = { .m = m, .allowed = o_none(), .added = o_none() };
    bool causal = o_int(m, "is_causal", 0) != 0, lengths = in[LENGTHS].there;
    if (rob_priv_onnx_attr(m->node, "left_window_size") != NULL
        || rob_priv_onnx_attr(m->node, "right_window_size") != NULL)
        o_fail(m, ROB_EUNSUPPORTED, "a sliding window");
    if (!o_failed(m)) read_heads(&a, in);
    if (o_failed(m)) return;
    if (outs > 1) out[1] = a.k;
    if (outs > 2) out[2] = a.v;
    int64_t times = a.q.dim[1] / a.k.dim[1];
    a.k = spread(m, &a.k, times);
    a.v = spread(m, &a.v, times);
    if (lengths && (!o_known(&in[LENGTHS]) || in[LENGTHS].size != a.q.dim[0]))
        o_fail(m, ROB_EUNSUPPORTED, "nonpad_kv_seqlen must be constant");
    if (!o_failed(m) && (causal || lengths)) allow_by_place(&a, causal, &in[LENGTHS]);
    read_mask(&a, &in[MASK]);
    if (!o_failed(m)) attend(&a, out, outs, in[Q].rank == 3);
}

/* ---- rotary embedding ------------------------------------------------------------ */

/* Cosines or sines as (B, 1, T, half), or (1, 1, T, half) */
static rob_value angles(rob_machine *m, const rob_value *cache, const rob_value *place,
                        int64_t steps)
{
    rob_value y = *cache;
    if (place->there) {
        int64_t dim[4] = { place->rank == 2 ? place->dim[0] : 1, 1, steps, 0 };
        if (!o_known(place) || place->size != dim[0] * steps || cache->rank != 2
            || place->size > 65536) {
            o_fail(m, ROB_EUNSUPPORTED, "position_ids must be constant, (B, T)");
            return o_none();
        }
        int64_t *index =
            rob_priv_allocate(&m->ctx.memory, place->size, (int64_t)sizeof *index);
        if (index == NULL) o_fail(m, ROB_EMEMORY, "out of memory");
        for (int64_t k = 0; index != NULL && k < place->size; k++) {
            index[k] = o_integer(place, k);
            if (index[k] < 0 || index[k] >= cache->dim[0])
                o_fail(m, ROB_EFORMAT, "a position outside the cache");
        }
        if (!o_failed(m)) y = o_take(m, cache, 0, index, place->size);
        rob_priv_release(&m->ctx.memory, index);
        dim[3] = cache->dim[1];
        return o_failed(m) ? o_none() : o_reshape(m, &y, 4, dim);
    }
    if (cache->rank != 3) {
        o_fail(m, ROB_EFORMAT, "without position_ids a cache is (B, T, half)");
        return o_none();
    }
    return o_reshape(m, &y, 4,
                     (int64_t[]){ cache->dim[0], 1, cache->dim[1], cache->dim[2] });
}

/* The two halves of x (..., 2 half): first and second, or even and odd places. */
static void halves(rob_machine *m, const rob_value *x, bool mixed, rob_value *half)
{
    int64_t n = x->dim[3] / 2, *d = (int64_t[]){ x->dim[0], x->dim[1], x->dim[2], n, 2 };
    rob_value pairs = *x;
    if (mixed) pairs = o_reshape(m, x, 5, d);
    for (int32_t k = 0; k < 2; k++) {
        half[k] = mixed ? o_slice(m, &pairs, 4, k, 1) : o_slice(m, x, 3, k * n, n);
        if (mixed) half[k] = o_reshape(m, &half[k], 4, d);
    }
}

static rob_value rotated(rob_machine *m, const rob_value *x, const rob_value *c,
                         const rob_value *s, bool mixed)
{
    rob_value half[2], part[2];
    halves(m, x, mixed, half);
    rob_value a = o_mul(m, &half[0], c), b = o_mul(m, &half[1], s);
    part[0] = o_both(m, g_sub, &a, &b);
    a = o_mul(m, &half[0], s);
    b = o_mul(m, &half[1], c);
    part[1] = o_add(m, &a, &b);
    if (o_failed(m)) return o_none();
    if (!mixed) return o_concat(m, part, 2, 3);
    int64_t dim[5] = { x->dim[0], x->dim[1], x->dim[2], x->dim[3] / 2, 1 };
    for (int32_t k = 0; k < 2; k++) part[k] = o_reshape(m, &part[k], 5, dim);
    rob_value y = o_concat(m, part, 2, 4);
    return o_reshape(m, &y, 4, x->dim);
}

static void op_rotary(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)ins, (void)outs;
    rob_value x = heads_apart(m, &in[0], o_int(m, "num_heads", 0));
    int64_t width = o_int(m, "rotary_embedding_dim", 0);
    if (o_failed(m)) return;
    if (width == 0) width = x.dim[3];
    if (width < 0 || width > x.dim[3] || width % 2 != 0) {
        o_fail(m, ROB_EFORMAT, "rotary_embedding_dim %lld of %lld", (long long)width,
               (long long)x.dim[3]);
        return;
    }
    rob_value c = angles(m, &in[1], &in[3], x.dim[2]);
    rob_value s = angles(m, &in[2], &in[3], x.dim[2]);
    rob_value part[2];
    part[0] = o_slice(m, &x, 3, 0, width);
    part[1] = o_slice(m, &x, 3, width, x.dim[3] - width);
    if (!o_failed(m)) part[0] = rotated(m, &part[0], &c, &s, o_int(m, "interleaved", 0));
    if (o_failed(m)) return;
    rob_value y = o_concat(m, part, 2, 3);
    out[0] = in[0].rank == 3 ? heads_together(m, &y) : y;
}

const rob_onnx_entry rob_priv_onnx_attention[] = {
    { "Attention", 3, 7, op_attention },
    { "RotaryEmbedding", 3, 4, op_rotary },
    { NULL, 0, 0, NULL },
};
