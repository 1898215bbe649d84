/* recur.c -- the loop of one recurrent layer, in one direction.
 *
 * p_t = W_ih u_t + b_ih (+ b_hh) is taken for all steps at once before the loop:
 *     Elman  h_t = phi(p_t + W_hh h_{t-1}),  phi = tanh or relu
 *     LSTM   (i, f, g, o) = p_t + W_hh h_{t-1}
 *            c_t = sigma(f) c_{t-1} + sigma(i) tanh(g),  h_t = sigma(o) tanh(c_t)
 *     GRU    (r, z, n) = p_t,  (r', z', n') = W_hh h_{t-1} + b_hh
 *            m = tanh(n + sigma(r + r') n'),  h_t = m + sigma(z + z') (h_{t-1} - m)
 * Backwards t runs from T - 1 to 0. A row that has ended (mask 0) keeps every carry, bit
 * for bit; backwards it therefore begins at its own last step.
 *
 * Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al.
 * 2014 with the reset gate behind the product, as torch.nn.GRU has it; Schuster and
 * Paliwal 1997 for both directions.
 */
#include "model/net.h"

enum { CARRIES = 2, BODY_INS = 6 };

/* One direction of a layer being built. */
typedef struct layer {
    const rob_net *net;
    rob_graph *g;
    int32_t kind, number; /* number: of the direction, counted over all layers */
    bool backwards;
    int64_t steps, batch, hidden, gates;
    rob_id w_ih, w_hh, b_ih, b_hh, mask; /* biases ROB_NONE: none */
} layer;

/* p (T, B, G H) = u (T, B, D) W_ih' + b */
static rob_id project(const layer *l, rob_id u)
{
    rob_graph *g = l->g;
    rob_shape shape = rob_priv_shape(g, u);
    int64_t rows = l->steps * l->batch, width = l->gates * l->hidden;
    bool apart = l->kind == ROB_KIND_GRU;
    rob_id flat = g_reshape(g, u, rob_priv_shape2(rows, rob_priv_shape_cols(&shape)));
    rob_id p = g_matmul(g, flat, l->w_ih, 0, 1);
    if (l->b_ih != ROB_NONE)
        p = g_add(g, p, apart ? l->b_ih : g_add(g, l->b_ih, l->b_hh));
    return g_reshape(g, p, rob_priv_shape3(l->steps, l->batch, width));
}

/* ---- one step: carries, p_t (B, G H), W_hh, b_hh  ->  next carries --------------- */

static void step_elman(rob_graph *b, const layer *l, const rob_id *in, rob_id *next)
{
    rob_id z = g_add(b, in[1], g_matmul(b, in[0], in[2], 0, 1));
    next[0] =
        g_unary(b, l->kind == ROB_KIND_RNN_RELU ? "relu" : "tanh", z);
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
    rob_id z = g_matmul(b, in[0], in[2], 0, 1);
    if (l->b_hh != ROB_NONE) z = g_add(b, z, in[3]);
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

/* Carry k before the first step (B, H): zero, or row `number` of the state's tensor */
static rob_id first_state(const layer *l, int32_t k)
{
    const rob_recipe *r = l->net->r;
    rob_shape shape = rob_priv_shape2(l->batch, l->hidden);
    if (!r->state[0]) return rob_priv_fill(l->g, shape, 0.0);
    rob_id all =
        rob_priv_net_tensor(l->net, rob_priv_model_first(r, ROB_OF_THE_STATE, 0) + k);
    return g_expand(l->g, g_slice(l->g, all, 0, l->number, 1), shape);
}

/* Node inputs in the scan's order: carries, p, W_hh (b_hh), and the mask behind p. */
static int32_t node_inputs(const layer *l, const cell *c, rob_id p, rob_id *in)
{
    int32_t n = 0;
    for (int32_t k = 0; k < c->carries; k++) in[n++] = first_state(l, k);
    in[n++] = p;
    if (l->mask != ROB_NONE) in[n++] = l->mask;
    in[n++] = l->w_hh;
    if (c->constants == 2 && l->b_hh != ROB_NONE) in[n++] = l->b_hh;
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

static rob_graph *body_of(const layer *l, const cell *c, const rob_id *node_in,
                          int32_t count, rob_id *in, rob_id *next)
{
    rob_ctx plain = { .memory = *rob_priv_graph_memory(l->g) };
    rob_id bare[BODY_INS];
    rob_graph *body;
    if (rob_priv_graph_create(&plain, &body) < ROB_OK) {
        rob_priv_graph_fail(l->g, ROB_EMEMORY, "out of memory for a layer");
        return NULL;
    }
    rob_id mask = body_inputs(l, body, c, node_in, count, in, bare);
    c->step(body, l, bare, next);
    freeze(l, body, mask, in, next, c->carries);
    next[c->carries] = next[0];
    if (rob_priv_graph_status(&plain, body) >= ROB_OK) return body;
    rob_priv_graph_fail(l->g, rob_priv_graph_status(NULL, body), "%s", plain.error);
    rob_priv_graph_free(body);
    return NULL;
}

static void run(const layer *l, rob_id u, rob_id *all, rob_id *end)
{
    const cell *c = &CELLS[l->kind];
    rob_id node_in[BODY_INS], in[BODY_INS], next[CARRIES + 1];
    int32_t count = node_inputs(l, c, project(l, u), node_in);
    if (rob_priv_graph_failed(l->g)) return;
    rob_graph *body = body_of(l, c, node_in, count, in, next);
    if (body == NULL) return;
    int32_t sequences = l->mask == ROB_NONE ? 1 : 2;
    rob_id scan = rob_priv_scan(l->g, body, c->carries, sequences,
                                count - c->carries - sequences, all ? 1 : 0, in, next,
                                l->steps, l->backwards, node_in);
    if (all) *all = g_pick(l->g, scan, c->carries);
    if (end) *end = g_pick(l->g, scan, 0);
}

void rob_priv_net_recur(const rob_net *net, int32_t number, bool backwards, rob_id u,
                        rob_id *all, rob_id *end)
{
    const rob_recipe *r = net->r;
    rob_shape shape = rob_priv_shape(net->g, u);
    int32_t each = rob_priv_layer_tensors(r), first = number * each;
    layer l = { .net = net,
                .g = net->g,
                .kind = r->kind,
                .number = number,
                .backwards = backwards,
                .steps = shape.dim[0],
                .batch = shape.dim[1],
                .hidden = r->hidden,
                .gates = rob_priv_model_gates(r->kind),
                .mask = net->mask,
                .w_ih = rob_priv_net_tensor(net, first),
                .w_hh = rob_priv_net_tensor(net, first + 1),
                .b_ih = each == 4 ? rob_priv_net_tensor(net, first + 2) : ROB_NONE,
                .b_hh = each == 4 ? rob_priv_net_tensor(net, first + 3) : ROB_NONE };
    if (all) *all = ROB_NONE;
    if (end) *end = ROB_NONE;
    if (!rob_priv_graph_failed(net->g)) run(&l, u, all, end);
}
