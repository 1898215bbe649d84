/* onnx_recurrent.c -- RNN, LSTM and GRU of ONNX as scans with our gates.
 *
 * ONNX keeps the gates of an LSTM in the order i o f c, of a GRU in z r h; they are put into
 * i f g o and r z n when the file is loaded, and then a layer is what a recipe's is:
 *     LSTM   (i, f, g, o) = W x_t + b + R h + P c,  c' = s(f) c + s(i) tanh(g),
 *            h' = s(o) tanh(c')             (the gate o sees c', Gers and Schmidhuber 2000)
 *     GRU    r, z as there;  n = tanh(W_n x_t + b + s(r) (R_n h + b'))  linear_before_reset
 *                            n = tanh(W_n x_t + b + R_n (s(r) h))       otherwise
 *            h' = n + s(z) (h - n)
 * with the fused operators wherever the activations are these. Rows that have ended keep
 * their carries and give zeros. A layer backward is a scan from the last step down.
 * Reference: ONNX operators RNN, LSTM, GRU, versions 1 to 22.
 */
#include "model/onnx.h"

#include <math.h>
#include <string.h>

enum { KIND_RNN, KIND_LSTM, KIND_GRU };
enum { W_IH, W_HH, W_NEW, B_IH, B_HH, PEEP_I, PEEP_O, PEEP_F, PARTS }; /* by direction */
enum { X, W, R, B, LENGTHS, H0, C0, P }; /* inputs of the node */
enum { ACTS = 3, BODY = 12 };

static const struct {
    const char *name;
    int32_t gates, acts, carries;
    int32_t order[4]; /* our gate k is theirs number order[k] */
    const char *act[ACTS];
} KINDS[] = {
    { "RNN", 1, 1, 1, { 0 }, { "Tanh" } },
    { "LSTM", 4, 3, 2, { 0, 2, 3, 1 }, { "Sigmoid", "Tanh", "Tanh" } },
    { "GRU", 3, 2, 1, { 1, 0, 2 }, { "Sigmoid", "Tanh" } },
};

typedef struct layer {
    rob_machine *m;
    rob_graph *g;
    int32_t kind, dirs, dir;
    bool plain;     /* the default activations: the fused gates */
    bool couple;    /* LSTM: f = 1 - i */
    bool before;    /* GRU: linear before reset */
    bool backward, swapped; /* layout 1 */
    rob_activation act[2 * ACTS];
    int64_t steps, batch, features, hidden;
    rob_value part[2 * PARTS];
    rob_id mask; /* (T, B, 1), or ROB_NONE */
} layer;

/* ---- weights --------------------------------------------------------------------- */

/* Rows of direction d of v (dirs, n, ...): gate after gate in our order. */
static rob_value in_order(const layer *l, const rob_value *v, int32_t d, int64_t first,
                          const int32_t *order, int32_t gates)
{
    rob_value own = o_slice(l->m, v, 0, d, 1), gate[4];
    int64_t h = l->hidden;
    for (int32_t k = 0; k < gates; k++)
        gate[k] = o_slice(l->m, &own, 1, first + order[k] * h, h);
    rob_value y = o_concat(l->m, gate, gates, 1);
    if (!y.there) return y;
    return o_reshape(l->m, &y, v->rank - 1, y.dim + 1);
}

static void arrange(layer *l, const rob_value *in, int32_t d, rob_value *part)
{
    const int32_t *order = KINDS[l->kind].order;
    int32_t gates = KINDS[l->kind].gates;
    bool apart = l->kind == KIND_GRU && !l->before;
    part[W_IH] = in_order(l, &in[W], d, 0, order, gates);
    part[W_HH] = in_order(l, &in[R], d, 0, order, apart ? 2 : gates);
    if (apart) part[W_NEW] = in_order(l, &in[R], d, 0, order + 2, 1);
    if (in[B].there) {
        part[B_IH] = in_order(l, &in[B], d, 0, order, gates);
        part[B_HH] = in_order(l, &in[B], d, gates * l->hidden, order, gates);
    }
    for (int32_t k = 0; in[P].there && k < 3; k++)
        part[PEEP_I + k] = in_order(l, &in[P], d, 0, (int32_t[]){ k }, 1);
}

static rob_value *ready(const rob_machine *m)
{
    return m->made->ready[m->node - m->file->node];
}

/* From the file alone: made once, when it is loaded. */
static void remember(layer *l)
{
    rob_machine *m = l->m;
    rob_value *copy =
        rob_priv_allocate(&m->ctx.memory, 2 * PARTS, (int64_t)sizeof *copy);
    if (copy == NULL) {
        o_fail(m, ROB_EMEMORY, "out of memory");
        return;
    }
    memcpy(copy, l->part, sizeof l->part);
    rob_priv_release(&m->ctx.memory, ready(m));
    m->made->ready[m->node - m->file->node] = copy;
}

static void prepare(layer *l, const rob_value *in)
{
    bool known = true, fixed = true;
    const int32_t used[] = { W, R, B, P };
    for (int64_t k = 0; k < COUNT_OF(used); k++) {
        if (!in[used[k]].there) continue;
        known = known && o_known(&in[used[k]]);
        fixed = fixed && in[used[k]].fixed;
    }
    if (fixed && ready(l->m) != NULL) {
        memcpy(l->part, ready(l->m), sizeof l->part);
        return;
    }
    rob_folding fold = { l->m->g };
    if (known) fold = o_fold(l->m);
    for (int32_t k = 0; k < 2 * PARTS; k++) l->part[k] = o_none();
    for (int32_t d = 0; d < l->dirs && !o_failed(l->m); d++)
        arrange(l, in, d, l->part + d * PARTS);
    o_unfold(l->m, fold, l->part, 2 * PARTS);
    if (known && fixed && l->m->learn && !o_failed(l->m)) remember(l);
}

/* ---- one step -------------------------------------------------------------------- */

/* What the body sees. */
typedef struct step {
    rob_id carry[2], p, mask, part[PARTS];
} step;

static rob_id recurrent(rob_graph *b, const step *s)
{
    return g_add(b, s->p, g_matmul(b, s->carry[0], s->part[W_HH], 0, 1));
}

static void step_rnn(const layer *l, rob_graph *b, const step *s, rob_id *next)
{
    next[0] = o_activate(b, &l->act[l->dir * ACTS], recurrent(b, s));
}

static rob_id peep(rob_graph *b, const step *s, int32_t k, rob_id z, rob_id c)
{
    if (s->part[k] == ROB_NONE) return z;
    return g_add(b, z, g_mul(b, c, s->part[k]));
}

static void step_lstm(const layer *l, rob_graph *b, const step *s, rob_id *next)
{
    const int64_t sizes[4] = { l->hidden, l->hidden, l->hidden, l->hidden };
    const rob_activation *act = &l->act[l->dir * ACTS];
    rob_id gate[4], c = s->carry[1];
    g_split(b, recurrent(b, s), 1, sizes, 4, gate);
    gate[0] = peep(b, s, PEEP_I, gate[0], c);
    gate[1] = peep(b, s, PEEP_F, gate[1], c);
    if (l->plain) {
        next[1] = l->couple ? g_blend(b, gate[0], c, g_unary(b, "tanh", gate[2]))
                            : g_add(b, g_sigmul(b, gate[1], c),
                                    g_sigtanh(b, gate[0], gate[2]));
        next[0] = g_sigtanh(b, peep(b, s, PEEP_O, gate[3], next[1]), next[1]);
        return;
    }
    rob_id i = o_activate(b, &act[0], gate[0]);
    rob_id f = l->couple ? g_affine(b, i, -1, 1) : o_activate(b, &act[0], gate[1]);
    rob_id g = o_activate(b, &act[1], gate[2]);
    next[1] = g_add(b, g_mul(b, f, c), g_mul(b, i, g));
    rob_id o = o_activate(b, &act[0], peep(b, s, PEEP_O, gate[3], next[1]));
    next[0] = g_mul(b, o, o_activate(b, &act[2], next[1]));
}

/* The three pre-activations r, z, n; r times what it resets is already in n. */
static void gru_gates(const layer *l, rob_graph *b, const step *s, rob_id *gate)
{
    const int64_t sizes[3] = { l->hidden, l->hidden, l->hidden };
    const rob_activation *act = &l->act[l->dir * ACTS];
    rob_id p[3], q[3], h = s->carry[0];
    rob_id z = g_matmul(b, h, s->part[W_HH], 0, 1);
    g_split(b, s->p, 1, sizes, 3, p);
    if (l->before && s->part[B_HH] != ROB_NONE) z = g_add(b, z, s->part[B_HH]);
    g_split(b, z, 1, sizes, l->before ? 3 : 2, q);
    gate[0] = g_add(b, p[0], q[0]);
    gate[1] = g_add(b, p[1], q[1]);
    rob_id from = l->before ? q[2] : h;
    rob_id kept = l->plain ? g_sigmul(b, gate[0], from)
                           : g_mul(b, o_activate(b, &act[0], gate[0]), from);
    if (!l->before) kept = g_matmul(b, kept, s->part[W_NEW], 0, 1);
    gate[2] = g_add(b, p[2], kept);
}

static void step_gru(const layer *l, rob_graph *b, const step *s, rob_id *next)
{
    const rob_activation *act = &l->act[l->dir * ACTS];
    rob_id gate[3];
    gru_gates(l, b, s, gate);
    rob_id n = o_activate(b, &act[1], gate[2]);
    if (l->plain) {
        next[0] = g_blend(b, gate[1], n, s->carry[0]);
        return;
    }
    rob_id z = o_activate(b, &act[0], gate[1]);
    next[0] = g_add(b, n, g_mul(b, z, g_sub(b, s->carry[0], n)));
}

static void (*const STEPS[])(const layer *, rob_graph *, const step *, rob_id *) = {
    step_rnn, step_lstm, step_gru
};

/* ---- the loop -------------------------------------------------------------------- */

/* p (T, B, G H) = x (T, B, D) W' + b, both biases, or b_ih alone when b_hh stays inside */
static rob_id project(const layer *l, rob_id x)
{
    rob_graph *g = l->g;
    const rob_value *part = l->part + l->dir * PARTS;
    int64_t rows = l->steps * l->batch;
    bool inside = l->kind == KIND_GRU && l->before;
    rob_id flat = g_reshape(g, x, rob_priv_shape2(rows, l->features));
    rob_id p = g_matmul(g, flat, o_id(l->m, &part[W_IH]), 0, 1);
    if (part[B_IH].there) {
        rob_id b = o_id(l->m, &part[B_IH]);
        if (!inside) b = g_add(g, b, o_id(l->m, &part[B_HH]));
        p = g_add(g, p, b);
    }
    return g_reshape(g, p, rob_priv_shape3(l->steps, l->batch,
                                           KINDS[l->kind].gates * l->hidden));
}

static bool all_zero(const rob_value *v)
{
    for (int64_t i = 0; o_known(v) && i < v->size; i++)
        if (o_at(v, i) != 0) return false;
    return o_known(v);
}

/* An initial state (dirs, B, H), or zeros */
static rob_id first_state(const layer *l, const rob_value *v)
{
    rob_shape s = rob_priv_shape2(l->batch, l->hidden);
    if (!v->there || all_zero(v)) return rob_priv_fill(l->g, s, 0);
    rob_value own = o_slice(l->m, v, l->swapped ? 1 : 0, l->dir, 1);
    rob_id id = o_id(l->m, &own);
    return o_failed(l->m) ? ROB_NONE : g_reshape(l->g, id, s);
}

typedef struct wiring {
    rob_id outer[BODY], inner[BODY];
    int32_t count, carries, sequences, constants;
} wiring;

static void wire(const layer *l, const rob_value *in, rob_id p, wiring *w)
{
    const rob_value *part = l->part + l->dir * PARTS;
    w->carries = KINDS[l->kind].carries;
    for (int32_t k = 0; k < w->carries; k++)
        w->outer[w->count++] = first_state(l, &in[H0 + k]);
    w->outer[w->count++] = p;
    if (l->mask != ROB_NONE) w->outer[w->count++] = l->mask;
    w->sequences = w->count - w->carries;
    for (int32_t k = W_HH; k < PARTS; k++) {
        bool inside = k != B_IH && (k != B_HH || (l->kind == KIND_GRU && l->before));
        if (part[k].there && inside) w->outer[w->count++] = o_id(l->m, &part[k]);
    }
    w->constants = w->count - w->carries - w->sequences;
}

/* The body's inputs, and the same by name. */
static void enter(const layer *l, rob_graph *body, wiring *w, step *s)
{
    const rob_value *part = l->part + l->dir * PARTS;
    int32_t at = 0;
    *s = (step){ .mask = ROB_NONE };
    for (int32_t k = 0; k < PARTS; k++) s->part[k] = ROB_NONE;
    for (int32_t k = 0; k < w->count; k++) {
        rob_shape shape = rob_priv_shape(l->g, w->outer[k]);
        bool stepped = k >= w->carries && k < w->carries + w->sequences;
        if (stepped) shape = rob_priv_shape2(shape.dim[1], shape.dim[2]);
        w->inner[k] = rob_priv_input(body, shape);
    }
    for (; at < w->carries; at++) s->carry[at] = w->inner[at];
    s->p = w->inner[at++];
    if (l->mask != ROB_NONE) s->mask = w->inner[at++];
    for (int32_t k = W_HH; k < PARTS; k++) {
        bool inside = k != B_IH && (k != B_HH || (l->kind == KIND_GRU && l->before));
        if (part[k].there && inside) s->part[k] = w->inner[at++];
    }
}

/* The scan; its values are the last carries, then h of all steps. */
static rob_id loop(const layer *l, const rob_value *in, rob_id x)
{
    rob_graph *body = NULL;
    wiring w = { 0 };
    step s;
    rob_id next[3];
    wire(l, in, project(l, x), &w);
    if (o_failed(l->m)) return ROB_NONE;
    if (rob_priv_graph_create(&l->m->ctx, &body) < ROB_OK)
        return rob_priv_graph_fail(l->g, ROB_EMEMORY, "out of memory");
    enter(l, body, &w, &s);
    STEPS[l->kind](l, body, &s, next);
    for (int32_t k = 0; s.mask != ROB_NONE && k < w.carries; k++) {
        rob_id m = g_expand(body, s.mask, rob_priv_shape2(l->batch, l->hidden));
        next[k] = g_where(body, m, next[k], s.carry[k]);
    }
    next[w.carries] = next[0];
    if (rob_priv_graph_failed(body)) {
        rob_status status = rob_priv_graph_status(&l->m->ctx, body);
        o_fail(l->m, status == ROB_ESHAPE ? ROB_EFORMAT : status, "%s",
               l->m->ctx.error);
        rob_priv_graph_free(body);
        return ROB_NONE;
    }
    return rob_priv_scan(l->g, body, w.carries, w.sequences, w.constants, 1, w.inner,
                         next, l->steps, l->backward, w.outer);
}

/* ---- what the node says ---------------------------------------------------------- */

static bool takes(const char *act, bool beta)
{
    static const struct {
        const char *name;
        bool beta;
    } table[] = {
        { "LeakyRelu", false }, { "ThresholdedRelu", false }, { "Elu", false },
        { "HardSigmoid", true }, { "ScaledTanh", true },      { "Affine", true },
    };
    for (int64_t k = 0; k < COUNT_OF(table); k++)
        if (strcmp(table[k].name, act) == 0) return !beta || table[k].beta;
    return false;
}

/* Each list of numbers is used up by the activations that have such a number. */
static double next_number(rob_machine *m, const char *list, const char *act, bool beta,
                          int64_t *used)
{
    const rob_onnx_attr *a = rob_priv_onnx_attr(m->node, list);
    if (!takes(act, beta) || a == NULL || a->floats == NULL || *used >= a->count)
        return NAN;
    return a->floats[(*used)++];
}

static void read_activations(layer *l)
{
    const rob_onnx_attr *names = rob_priv_onnx_attr(l->m->node, "activations");
    int32_t acts = KINDS[l->kind].acts;
    int64_t alphas = 0, betas = 0, want = acts * l->dirs;
    bool given = names != NULL && names->strings != NULL && names->count > 0;
    if (given && names->count != want) {
        o_fail(l->m, ROB_EFORMAT, "%lld activations, not %lld",
               (long long)names->count, (long long)want);
        return;
    }
    l->plain = true;
    for (int32_t k = 0; k < want; k++) {
        rob_activation *a = &l->act[k / acts * ACTS + k % acts];
        a->name = given ? names->strings[k] : KINDS[l->kind].act[k % acts];
        a->alpha = next_number(l->m, "activation_alpha", a->name, false, &alphas);
        a->beta = next_number(l->m, "activation_beta", a->name, true, &betas);
        if (!o_activation_known(a))
            o_fail(l->m, ROB_EUNSUPPORTED, "activation %.40s", a->name);
        l->plain = l->plain && strcmp(a->name, KINDS[l->kind].act[k % acts]) == 0;
    }
}

static bool has_dims(const rob_value *v, int32_t rank, int64_t a, int64_t b, int64_t c)
{
    const int64_t dim[3] = { a, b, c };
    if (!v->there) return true;
    if (v->rank != rank) return false;
    for (int32_t k = 0; k < rank; k++)
        if (v->dim[k] != dim[k]) return false;
    return true;
}

static void check_dims(layer *l, const rob_value *in)
{
    int64_t d = l->dirs, h = l->hidden, gh = KINDS[l->kind].gates * h;
    int64_t a = l->swapped ? l->batch : d, b = l->swapped ? d : l->batch;
    bool fits = has_dims(&in[W], 3, d, gh, l->features) && has_dims(&in[R], 3, d, gh, h)
                && has_dims(&in[B], 2, d, 2 * gh, 0) && has_dims(&in[H0], 3, a, b, h)
                && has_dims(&in[C0], 3, a, b, h) && has_dims(&in[P], 2, d, 3 * h, 0);
    if (!fits)
        o_fail(l->m, ROB_EFORMAT,
               "weights, biases or states do not fit %lld features, %lld hidden, "
               "%lld series",
               (long long)l->features, (long long)h, (long long)l->batch);
}

static void read_sizes(layer *l, const rob_value *in)
{
    rob_machine *m = l->m;
    const char *way = o_text(m, "direction", "forward");
    l->swapped = o_int(m, "layout", 0) != 0;
    l->before = o_int(m, "linear_before_reset", 0) != 0;
    l->couple = o_int(m, "input_forget", 0) != 0;
    l->dirs = strcmp(way, "bidirectional") == 0 ? 2 : 1;
    l->backward = strcmp(way, "reverse") == 0;
    if (in[X].rank != 3 || in[R].rank != 3 || in[X].size == 0 || in[W].size == 0) {
        o_fail(m, ROB_EFORMAT, "X or R has not 3 dimensions, or no elements");
        return;
    }
    l->steps = in[X].dim[l->swapped ? 1 : 0];
    l->batch = in[X].dim[l->swapped ? 0 : 1];
    l->features = in[X].dim[2];
    l->hidden = in[R].dim[2];
    if (rob_priv_onnx_attr(m->node, "clip") != NULL)
        o_fail(m, ROB_EUNSUPPORTED, "attribute clip");
    check_dims(l, in);
}

/* 1 where t < length of the row */
static rob_id mask_of(layer *l, const rob_value *lengths)
{
    bool whole = true;
    if (!lengths->there) return ROB_NONE;
    if (!o_known(lengths) || lengths->size != l->batch) {
        o_fail(l->m, ROB_EUNSUPPORTED,
               "sequence_lens must be constant, one number a series");
        return ROB_NONE;
    }
    rob_value v = o_fill(l->m, ROB_ONNX_FLOAT, 3,
                         (int64_t[]){ l->steps, l->batch, 1 }, 0);
    for (int64_t i = 0; v.number != NULL && i < v.size; i++) {
        bool there = i / l->batch < o_integer(lengths, i % l->batch);
        ((double *)v.number->data)[i] = there;
        whole = whole && there;
    }
    return whole ? ROB_NONE : o_id(l->m, &v);
}

/* ---- outputs --------------------------------------------------------------------- */

static rob_value states(const layer *l, const rob_value *one)
{
    rob_value y = l->dirs > 1 ? o_concat(l->m, one, l->dirs, 0) : one[0];
    if (!l->swapped || !y.there) return y;
    return o_permute(l->m, &y, (int32_t[]){ 1, 0, 2 });
}

static rob_value sequence(const layer *l, const rob_value *one)
{
    rob_value y = l->dirs > 1 ? o_concat(l->m, one, l->dirs, 1) : one[0];
    if (!l->swapped || !y.there) return y;
    return o_permute(l->m, &y, (int32_t[]){ 2, 0, 1, 3 });
}

static void op_recurrent(rob_machine *m, const rob_value *in, int32_t ins,
                         rob_value *out, int32_t outs)
{
    (void)ins;
    layer l = { .m = m, .g = m->g, .mask = ROB_NONE };
    rob_value h[2], c[2], y[2], x = in[X];
    while (strcmp(KINDS[l.kind].name, m->node->op) != 0) l.kind++;
    read_sizes(&l, in);
    if (!o_failed(m)) read_activations(&l);
    if (o_failed(m)) return;
    prepare(&l, in);
    l.mask = mask_of(&l, &in[LENGTHS]);
    if (l.swapped) x = o_permute(m, &x, (int32_t[]){ 1, 0, 2 });
    const int64_t one[3] = { 1, l.batch, l.hidden };
    for (l.dir = 0; l.dir < l.dirs && !o_failed(m); l.dir++) {
        l.backward = l.dir == 1 || (l.dirs == 1 && l.backward);
        rob_id scan = loop(&l, in, o_id(m, &x));
        if (o_failed(m)) return;
        int32_t carries = KINDS[l.kind].carries;
        rob_id all = g_pick(m->g, scan, carries);
        if (l.mask != ROB_NONE) all = g_mul(m->g, all, l.mask);
        y[l.dir] = o_of(m, all, x.dtype, 4, (int64_t[]){ l.steps, 1, l.batch, l.hidden });
        h[l.dir] = o_of(m, g_pick(m->g, scan, 0), x.dtype, 3, one);
        if (carries > 1) c[l.dir] = o_of(m, g_pick(m->g, scan, 1), x.dtype, 3, one);
    }
    out[0] = sequence(&l, y);
    if (outs > 1) out[1] = states(&l, h);
    if (outs > 2 && l.kind == KIND_LSTM) out[2] = states(&l, c);
}

const rob_onnx_entry rob_priv_onnx_recurrent[] = {
    { "RNN", 3, 6, op_recurrent },
    { "LSTM", 3, 8, op_recurrent },
    { "GRU", 3, 6, op_recurrent },
    { NULL, 0, 0, NULL },
};
