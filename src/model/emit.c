/* emit.c -- the graph of a recurrent classifier.
 *
 * Input map:  u_t = (x_t - shift) / scale, as  a x_t + b  with  a = 1/scale, b =
 * -shift/scale. Layer by layer, u the layer's input, the products with u taken for all
 * steps at once before the loop:  p_t = W_ih u_t + b_ih (+ b_hh).
 *     Elman  h_t = phi(p_t + W_hh h_{t-1}),  phi = tanh or relu
 *     LSTM   (i, f, g, o) = p_t + W_hh h_{t-1}
 *            c_t = sigma(f) c_{t-1} + sigma(i) tanh(g),  h_t = sigma(o) tanh(c_t)
 *     GRU    (r, z, n) = p_t,  (r', z', n') = W_hh h_{t-1} + b_hh
 *            m = tanh(n + sigma(r + r') n'),  h_t = m + sigma(z + z') (h_{t-1} - m)
 * Read-out  logits = W h_T + b  or  (W sum_t h_t) / T + b.
 * A row that has ended (mask 0) keeps every carry, bit for bit, and adds nothing to the
 * mean.
 *
 * Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al.
 * 2014 with the reset gate behind the product, as torch.nn.GRU has it.
 */
#include "model/model.h"
#include "model/parts.h"

enum { CARRIES = 2, BODY_INS = 6 };

/* One layer being built. */
typedef struct layer {
    const rob_model *model;
    rob_graph *g;
    int64_t steps, batch, hidden, gates;
    rob_id w_ih, w_hh, b_ih, b_hh, mask;
} layer;

static rob_id parameter_at(const rob_model *model, rob_graph *g,
                           const rob_id *parameter, int32_t k)
{
    return parameter != NULL ? parameter[k]
                             : rob_priv_constant(g, model->parameter[k].tensor);
}

/* p (T, B, G H) = u (T, B, D) W_ih' + b */
static rob_id project(const layer *l, rob_id u)
{
    rob_graph *g = l->g;
    rob_shape shape = rob_priv_shape(g, u);
    int64_t rows = l->steps * l->batch, width = l->gates * l->hidden;
    bool apart = l->model->recipe.kind == ROB_KIND_GRU;
    rob_id flat = g_reshape(g, u, rob_priv_shape2(rows, rob_priv_shape_cols(&shape)));
    rob_id b = apart ? l->b_ih : g_add(g, l->b_ih, l->b_hh);
    rob_id p = g_add(g, g_matmul(g, flat, l->w_ih, 0, 1), b);
    return g_reshape(g, p, rob_priv_shape3(l->steps, l->batch, width));
}

/* ---- one step: carries, p_t (B, G H), W_hh, b_hh  ->  next carries --------------- */

static void step_elman(rob_graph *b, const layer *l, const rob_id *in, rob_id *next)
{
    rob_id z = g_add(b, in[1], g_matmul(b, in[0], in[2], 0, 1));
    next[0] =
        g_unary(b, l->model->recipe.kind == ROB_KIND_RNN_RELU ? "relu" : "tanh", z);
}

static void step_lstm(rob_graph *b, const layer *l, const rob_id *in, rob_id *next)
{
    const int64_t sizes[4] = { l->hidden, l->hidden, l->hidden, l->hidden };
    rob_id gate[4];
    rob_id z = g_add(b, in[2], g_matmul(b, in[0], in[3], 0, 1));
    g_split(b, z, 1, sizes, 4, gate);
    next[1] = g_add(b, g_sigmul(b, gate[1], in[1]), g_sigtanh(b, gate[0], gate[2]));
    next[0] = g_sigtanh(b, gate[3], next[1]);
}

static void step_gru(rob_graph *b, const layer *l, const rob_id *in, rob_id *next)
{
    const int64_t sizes[3] = { l->hidden, l->hidden, l->hidden };
    rob_id p[3], q[3];
    rob_id z = g_add(b, g_matmul(b, in[0], in[2], 0, 1), in[3]);
    g_split(b, in[1], 1, sizes, 3, p);
    g_split(b, z, 1, sizes, 3, q);
    rob_id reset = g_sigmul(b, g_add(b, p[0], q[0]), q[2]);
    rob_id m = g_unary(b, "tanh", g_add(b, p[2], reset));
    next[0] = g_blend(b, g_add(b, p[1], q[1]), m, in[0]);
}

typedef struct cell {
    int32_t carries, constants;
    void (*step)(rob_graph *b, const layer *l, const rob_id *in, rob_id *next);
} cell;

static const cell CELLS[] = {
    { 1, 1, step_elman },
    { 1, 1, step_elman },
    { 2, 1, step_lstm },
    { 1, 2, step_gru },
};

/* ---- the loop -------------------------------------------------------------------- */

/* Node inputs in the scan's order: carries, p, W_hh (b_hh), and the mask behind p. */
static int32_t node_inputs(const layer *l, const cell *c, rob_id p, rob_id *in)
{
    int32_t n = 0;
    rob_id zero = rob_priv_fill(l->g, rob_priv_shape2(l->batch, l->hidden), 0.0);
    for (int32_t k = 0; k < c->carries; k++) in[n++] = zero;
    in[n++] = p;
    if (l->mask != ROB_NONE) in[n++] = l->mask;
    in[n++] = l->w_hh;
    if (c->constants == 2) in[n++] = l->b_hh;
    return n;
}

static rob_shape one_step(const rob_shape *s)
{
    return rob_priv_shape2(s->dim[1], s->dim[2]);
}

/* The body's inputs; `in` gets all, `bare` the same without the mask. */
static rob_id body_inputs(const layer *l, rob_graph *b, const cell *c,
                          const rob_id *node_in, int32_t count, rob_id *in,
                          rob_id *bare)
{
    int32_t n = 0, mask_at = l->mask != ROB_NONE ? c->carries + 1 : -1;
    int32_t sequences = c->carries + (mask_at >= 0 ? 2 : 1);
    for (int32_t k = 0; k < count; k++) {
        rob_shape shape = rob_priv_shape(l->g, node_in[k]);
        bool sequence = k >= c->carries && k < sequences;
        in[k] = rob_priv_input(b, sequence ? one_step(&shape) : shape);
        if (k != mask_at) bare[n++] = in[k];
    }
    return mask_at >= 0 ? in[mask_at] : ROB_NONE;
}

static void freeze(const layer *l, rob_graph *b, rob_id mask, const rob_id *in,
                   rob_id *next, int32_t carries)
{
    if (mask == ROB_NONE) return;
    rob_id m = g_expand(b, mask, rob_priv_shape2(l->batch, l->hidden));
    for (int32_t k = 0; k < carries; k++) next[k] = g_where(b, m, next[k], in[k]);
}

/* h of all steps (T, B, H) or, without `stack`, of the last (B, H). */
static rob_id recur(const layer *l, rob_id u, bool stack)
{
    const cell *c = &CELLS[l->model->recipe.kind];
    rob_ctx plain = { .memory = *rob_priv_graph_memory(l->g) };
    rob_id node_in[BODY_INS], in[BODY_INS], bare[BODY_INS], next[CARRIES + 1];
    rob_graph *body;
    int32_t count = node_inputs(l, c, project(l, u), node_in);
    if (rob_priv_graph_failed(l->g)) return ROB_NONE;
    if (rob_priv_graph_create(&plain, &body) < ROB_OK)
        return rob_priv_graph_fail(l->g, ROB_EMEMORY, "out of memory for a layer");
    rob_id mask = body_inputs(l, body, c, node_in, count, in, bare);
    c->step(body, l, bare, next);
    freeze(l, body, mask, in, next, c->carries);
    next[c->carries] = next[0];
    if (rob_priv_graph_status(&plain, body) < ROB_OK) {
        rob_priv_graph_fail(l->g, rob_priv_graph_status(NULL, body), "%s", plain.error);
        rob_priv_graph_free(body);
        return ROB_NONE;
    }
    rob_id scan =
        rob_priv_scan(l->g, body, c->carries, mask == ROB_NONE ? 1 : 2, c->constants,
                      stack ? 1 : 0, in, next, l->steps, 0, node_in);
    return g_pick(l->g, scan, stack ? c->carries : 0);
}

/* ---- read-out -------------------------------------------------------------------- */

/* sum_t h_t (B, H) over the steps each row has */
static rob_id sum_of(const layer *l, rob_id h)
{
    rob_graph *g = l->g;
    if (l->mask != ROB_NONE) h = g_mul(g, h, l->mask);
    h = g_sum_to(g, h, rob_priv_shape3(1, l->batch, l->hidden));
    return g_reshape(g, h, rob_priv_shape2(l->batch, l->hidden));
}

/* z (B, L) / T, T the steps each row has: divided behind the product, in both cases at
 * the same place, so that a row has the bits it has alone */
static rob_id per_step(const layer *l, rob_id z)
{
    rob_graph *g = l->g;
    if (l->mask == ROB_NONE) return g_affine(g, z, 1.0 / (double)l->steps, 0.0);
    rob_id length = g_sum_to(g, l->mask, rob_priv_shape3(1, l->batch, 1));
    return g_div(g, z, g_reshape(g, length, rob_priv_shape2(l->batch, 1)));
}

static rob_id map_input(const rob_recipe *r, rob_graph *g, rob_id x)
{
    if (r->input_shift == 0.0 && r->input_scale == 1.0) return x;
    return g_affine(g, x, 1.0 / r->input_scale, -r->input_shift / r->input_scale);
}

rob_id rob_priv_model_emit(const rob_model *model, rob_graph *g, rob_id x, rob_id mask,
                           const rob_id *parameter)
{
    const rob_recipe *r = &model->recipe;
    rob_shape shape = rob_priv_shape(g, x);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    if (shape.rank != 3 || shape.dim[2] != r->features)
        return rob_priv_graph_fail(g, ROB_ESHAPE,
                                   "a model with %lld features got another "
                                   "input",
                                   (long long)r->features);
    if (model->steps != 0 && shape.dim[0] != model->steps)
        return rob_priv_graph_fail(g, ROB_ESHAPE,
                                   "a series of %lld steps; the model takes %lld",
                                   (long long)shape.dim[0], (long long)model->steps);
    if (r->kind == ROB_KIND_GRAPH) return model->emit(model, g, x, mask);
    layer l = { .model = model,
                .g = g,
                .steps = shape.dim[0],
                .batch = shape.dim[1],
                .hidden = r->hidden,
                .gates = rob_priv_model_gates(r->kind),
                .mask = mask };
    rob_id h = map_input(r, g, x);
    for (int32_t k = 0; k < r->layers; k++) {
        bool stack = k + 1 < r->layers || r->readout != ROB_READOUT_LAST;
        l.w_ih = parameter_at(model, g, parameter, 4 * k);
        l.w_hh = parameter_at(model, g, parameter, 4 * k + 1);
        l.b_ih = parameter_at(model, g, parameter, 4 * k + 2);
        l.b_hh = parameter_at(model, g, parameter, 4 * k + 3);
        h = recur(&l, h, stack);
        if (rob_priv_graph_failed(g)) return ROB_NONE;
    }
    bool mean = r->readout == ROB_READOUT_MEAN;
    rob_id w = parameter_at(model, g, parameter, 4 * r->layers);
    rob_id b = parameter_at(model, g, parameter, 4 * r->layers + 1);
    rob_id z = g_matmul(g, mean ? sum_of(&l, h) : h, w, 0, 1);
    return g_add(g, mean ? per_step(&l, z) : z, b);
}
