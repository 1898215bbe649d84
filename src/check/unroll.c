/* unroll.c -- the model's graph, every loop turned out, as values that follow their
 * operands.
 *
 * A sequence (T, 1, F) is T values of F numbers, made when they are first asked for, so
 * a loop's turn stands behind the step of x it reads. Reshapes have no value of their
 * own, parts of a split are windows on what was split, loops are their bodies, and what
 * does not depend on x is known at once by the operators' rules.
 */
#include "check/unroll.h"

#include <string.h>

typedef rob_check_frame frame;
typedef struct rob_check_loop loop;

struct rob_check_loop {
    rob_node node;
    frame *outer, body;
    int32_t done, *carry, *stack; /* (carries), (ys, steps) */
};

static int32_t part_of(frame *f, rob_id id, int64_t b);

static int32_t whole_of(frame *f, rob_id id)
{
    if (f->whole[id] != ROB_NONE) return f->whole[id];
    const int64_t parts = f->parts[id];
    rob_check_link *in =
        rob_priv_allocate(&f->net->memory, parts, (int64_t)sizeof *in);
    int32_t value = ROB_NONE, i = 0;
    for (; in != NULL && i < parts; i++) {
        in[i].value = part_of(f, id, i);
        if (in[i].value == ROB_NONE) break;
    }
    if (in != NULL && i == parts) value = rob_priv_check_join(f, id, in, (int32_t)parts);
    rob_priv_release(&f->net->memory, in);
    return f->whole[id] = value;
}

/* ---- how many parts -------------------------------------------------------------- */

static bool is_rename(const frame *f, const rob_node *n)
{
    int32_t op = n->op->id;
    if (op == ROB_OP_reshape) return true;
    if (op != ROB_OP_expand && op != ROB_OP_sum_to) return false;
    rob_shape in = rob_priv_shape(f->graph, n->in[0]);
    return rob_priv_shape_size(&in) == rob_priv_shape_size(&n->shape);
}

/* Part k of a split: `outer` pieces of `size` numbers, one each `period`. */
typedef struct piece { int64_t outer, first, size, period; } piece;

static piece piece_of(const frame *f, const rob_node *split, int64_t k)
{
    rob_shape in = rob_priv_shape(f->graph, split->in[0]);
    const int64_t axis = split->attr.i[0], *sizes = split->attr.i + 2;
    const bool own = split->attr.i[1] <= 4;
    int64_t inner = 1;
    piece p = { .outer = 1 };
    for (int64_t d = 0; d < axis; d++) p.outer *= in.dim[d];
    for (int64_t d = axis + 1; d < in.rank; d++) inner *= in.dim[d];
    for (int64_t i = 0; i < k; i++) p.first += inner * sizes[own ? i : 0];
    p.size = inner * sizes[own ? k : 0];
    p.period = inner * in.dim[axis];
    return p;
}

/* Some of the steps of a sequence in parts. */
static bool is_by_steps(const frame *f, const rob_node *split)
{
    rob_shape in = rob_priv_shape(f->graph, split->in[0]);
    return split->attr.i[0] == 0 && f->parts[split->in[0]] > 1
           && in.dim[0] == f->parts[split->in[0]];
}

static int64_t parts_of_pick(const frame *f, const rob_node *n)
{
    rob_node of = rob_priv_node(f->graph, n->in[0]);
    int64_t k = n->attr.i[0];
    if (of.scan != NULL) return k < of.scan->carries ? 1 : of.scan->steps;
    int64_t parts = f->parts[of.in[0]];
    piece p = piece_of(f, &of, k);
    if (is_by_steps(f, &of)) return p.size / (p.period / parts);
    return p.outer == parts ? parts : 1;
}

static int64_t count_parts(const frame *f, rob_id id)
{
    rob_node n = rob_priv_node(f->graph, id);
    int64_t most = 1;
    if (id == f->x) return f->net->steps;
    if (n.op->id == ROB_OP_pick) return parts_of_pick(f, &n);
    if (n.ins == 0 || n.scan != NULL || n.op->id == ROB_OP_split) return 1;
    if (is_rename(f, &n)) return f->parts[n.in[0]];
    if (n.op->id == ROB_OP_matmul) {
        rob_shape a = rob_priv_shape(f->graph, n.in[0]);
        int64_t parts = f->parts[n.in[0]];
        bool rows = a.rank == 2 && n.attr.i[0] == 0 && a.dim[0] % parts == 0;
        return rows && f->parts[n.in[1]] == 1 ? parts : 1;
    }
    if (!(n.op->kind & ROB_OP_ELEMENTWISE)) return 1;
    for (int32_t i = 0; i < n.ins; i++)
        if (f->parts[n.in[i]] > most) most = f->parts[n.in[i]];
    for (int32_t i = 0; i < n.ins; i++)
        if (f->parts[n.in[i]] != most && f->parts[n.in[i]] != 1) return 1;
    return most;
}

/* ---- frames and loops ------------------------------------------------------------ */

static void close_frame(frame *f)
{
    const rob_memory *m = &f->net->memory;
    for (rob_id id = 0; id < f->nodes; id++) {
        if (f->part != NULL) rob_priv_release(m, f->part[id]);
        loop *l = f->loops != NULL ? f->loops[id] : NULL;
        if (l == NULL) continue;
        close_frame(&l->body);
        rob_priv_release(m, l->carry);
        rob_priv_release(m, l->stack);
        rob_priv_release(m, l);
    }
    void *const all[] = { f->parts, f->part, f->whole, f->varies, f->loops };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(m, all[i]);
}

static bool open_node(frame *f, rob_id id)
{
    rob_node n = rob_priv_node(f->graph, id);
    f->parts[id] = count_parts(f, id);
    f->part[id] =
        rob_priv_allocate(&f->net->memory, f->parts[id], (int64_t)sizeof **f->part);
    if (f->part[id] == NULL) return false;
    for (int64_t b = 0; b < f->parts[id]; b++) f->part[id][b] = ROB_NONE;
    f->whole[id] = ROB_NONE;
    for (int32_t i = 0; i < n.ins; i++)
        f->varies[id] = f->varies[id] || f->varies[n.in[i]];
    return true;
}

static bool open_frame(frame *f, rob_check_net *net, const rob_graph *g, rob_id x,
                       const rob_scan *scan)
{
    const rob_memory *m = &net->memory;
    f->net = net;
    f->graph = g;
    f->x = x;
    f->turn = -1;
    f->nodes = rob_priv_graph_count(g);
    f->parts = rob_priv_allocate(m, f->nodes, (int64_t)sizeof *f->parts);
    f->part = rob_priv_allocate(m, f->nodes, (int64_t)sizeof *f->part);
    f->whole = rob_priv_allocate(m, f->nodes, (int64_t)sizeof *f->whole);
    f->varies = rob_priv_allocate(m, f->nodes, (int64_t)sizeof *f->varies);
    f->loops = rob_priv_allocate(m, f->nodes, (int64_t)sizeof *f->loops);
    if (!f->parts || !f->part || !f->whole || !f->varies || !f->loops) return false;
    for (int32_t i = 0; scan != NULL && i < scan->carries + scan->sequences; i++)
        f->varies[scan->in[i]] = true;
    for (rob_id id = 0; id < f->nodes; id++)
        if (!open_node(f, id)) return false;
    return true;
}

static loop *loop_of(frame *f, rob_id id)
{
    if (f->loops[id] != NULL) return f->loops[id];
    const rob_memory *m = &f->net->memory;
    loop *l = f->loops[id] = rob_priv_allocate(m, 1, (int64_t)sizeof *l);
    if (l == NULL) return NULL;
    l->node = rob_priv_node(f->graph, id);
    const rob_scan *s = l->node.scan;
    l->outer = f;
    l->body.net = f->net;
    l->body.number = id;
    l->carry = rob_priv_allocate(m, s->carries + 1, (int64_t)sizeof *l->carry);
    l->stack = rob_priv_allocate(m, s->ys * s->steps + 1, (int64_t)sizeof *l->stack);
    if (!l->carry || !l->stack || !open_frame(&l->body, f->net, s->body, ROB_NONE, s))
        return NULL;
    for (int32_t i = 0; i < s->carries; i++) {
        l->carry[i] = whole_of(f, l->node.in[i]);
        if (l->carry[i] == ROB_NONE) return NULL;
    }
    return l;
}

/* One step of a sequence, whatever parts it is in. */
static int32_t step_of(frame *f, rob_id id, int64_t row, int64_t steps)
{
    if (f->parts[id] == steps) return part_of(f, id, row);
    int32_t whole = whole_of(f, id);
    if (whole == ROB_NONE) return ROB_NONE;
    int64_t size = f->net->value[whole].size / steps;
    return rob_priv_check_window(f, whole, row * size, size);
}

static bool feed(loop *l, int64_t row)
{
    const rob_scan *s = l->node.scan;
    for (int32_t i = 0; i < s->carries + s->sequences + s->constants; i++) {
        int32_t *to = &l->body.part[s->in[i]][0];
        rob_id from = l->node.in[i];
        if (i < s->carries) *to = l->carry[i];
        else if (i < s->carries + s->sequences)
            *to = step_of(l->outer, from, row, s->steps);
        else *to = whole_of(l->outer, from);
        if (*to == ROB_NONE) return false;
    }
    return true;
}

static void forget_turn(frame *body)
{
    for (rob_id id = 0; id < body->nodes; id++) {
        if (!body->varies[id]) continue;
        body->part[id][0] = ROB_NONE;
        body->whole[id] = ROB_NONE;
    }
}

static bool turn(loop *l)
{
    const rob_scan *s = l->node.scan;
    int64_t row = s->reverse ? s->steps - 1 - l->done : l->done;
    forget_turn(&l->body);
    if (!feed(l, row)) return false;
    l->body.turn = l->done;
    for (int32_t k = 0; k < s->carries + s->ys; k++) {
        int32_t value = part_of(&l->body, s->out[k], 0);
        if (value == ROB_NONE) return false;
        if (k >= s->carries) l->stack[(k - s->carries) * s->steps + row] = value;
    }
    for (int32_t k = 0; k < s->carries; k++) l->carry[k] = l->body.part[s->out[k]][0];
    l->done++;
    return true;
}

static int32_t from_loop(frame *f, rob_id scan, int64_t k, int64_t b)
{
    loop *l = loop_of(f, scan);
    if (l == NULL) return ROB_NONE;
    const rob_scan *s = l->node.scan;
    int64_t last = s->steps - 1, wanted = k < s->carries ? last : s->reverse ? last - b : b;
    while (l->done <= wanted)
        if (!turn(l)) return ROB_NONE;
    return k < s->carries ? l->carry[k] : l->stack[(k - s->carries) * s->steps + b];
}

/* ---- nodes ------------------------------------------------------------------------ */

static int32_t part_of_split(frame *f, rob_id id, const rob_node *split, int64_t k,
                             int64_t b)
{
    piece p = piece_of(f, split, k);
    rob_id of = split->in[0];
    bool together = f->parts[id] == f->parts[of];
    if (is_by_steps(f, split))
        return part_of(f, of, p.first / (p.period / f->parts[of]) + b);
    if (together && p.outer == f->parts[of]) {
        int32_t from = part_of(f, of, b);
        return from == ROB_NONE ? from : rob_priv_check_window(f, from, p.first, p.size);
    }
    rob_check_link in = { whole_of(f, of), rob_priv_shape(f->graph, of) };
    if (in.value == ROB_NONE) return ROB_NONE;
    if (p.outer == 1) return rob_priv_check_window(f, in.value, p.first, p.size);
    rob_node n = *split;
    n.shape.dim[split->attr.i[0]] = split->attr.i[split->attr.i[1] <= 4 ? 2 + k : 2];
    return rob_priv_check_apply(f, id, 0, &n, (int32_t)k, &in);
}

static rob_shape shape_of_part(const frame *f, rob_id id, const rob_node *n, int64_t parts)
{
    rob_shape s = rob_priv_shape(f->graph, id);
    if (parts == 1) return s;
    if (n->op->id != ROB_OP_matmul)
        return rob_priv_shape1(rob_priv_shape_size(&s) / parts);
    s.dim[0] /= parts;
    return s;
}

static int32_t operand(frame *f, rob_id id, int64_t b, int64_t parts)
{
    if (parts == 1) return whole_of(f, id);
    return step_of(f, id, b, parts);
}

static int32_t apply_node(frame *f, rob_id id, rob_node n, int64_t b)
{
    const int64_t parts = f->parts[id];
    rob_check_link *in = rob_priv_allocate(&f->net->memory, n.ins, (int64_t)sizeof *in);
    int32_t i = 0, value = ROB_NONE;
    for (; in != NULL && i < n.ins; i++) {
        bool whole = n.op->id == ROB_OP_matmul && i == 1;
        in[i].value = operand(f, n.in[i], b, whole ? 1 : parts);
        in[i].shape = shape_of_part(f, n.in[i], &n, whole ? 1 : parts);
        if (in[i].value == ROB_NONE) break;
    }
    int64_t part = b * (rob_priv_shape_size(&n.shape) / parts);
    if (in != NULL && i == n.ins) {
        n.shape = shape_of_part(f, id, &n, parts);
        value = rob_priv_check_apply(f, id, part, &n, 0, in);
    }
    rob_priv_release(&f->net->memory, in);
    return value;
}

static int32_t constant(frame *f, const rob_node *n)
{
    int64_t size = rob_priv_shape_size(&n->shape);
    double *lo, *up, *big;
    if (!rob_priv_check_numbers(f, size, &lo, &up, &big)) return ROB_NONE;
    for (int64_t e = 0; e < size; e++)
        lo[e] = up[e] = n->tensor ? rob_priv_tensor_at(n->tensor, e) : n->attr.x[0];
    return rob_priv_check_known(f, size, lo, up, big);
}

static int32_t make_part(frame *f, rob_id id, int64_t b)
{
    rob_node n = rob_priv_node(f->graph, id);
    if (id == f->x) {
        rob_check_value v = { .kind = ROB_CHECK_X, .size = f->net->features, .live = true,
                              .node = id, .first = b * f->net->features };
        v.part = v.first;
        return rob_priv_check_add(f, v, NULL);
    }
    if (n.op->id == ROB_OP_constant || n.op->id == ROB_OP_fill) return constant(f, &n);
    if (n.op->id == ROB_OP_input) {
        f->net->refused = "a second input";
        return ROB_NONE;
    }
    if (is_rename(f, &n)) return part_of(f, n.in[0], b);
    if (n.op->id != ROB_OP_pick) return apply_node(f, id, n, b);
    rob_node of = rob_priv_node(f->graph, n.in[0]);
    if (of.scan == NULL) return part_of_split(f, id, &of, n.attr.i[0], b);
    if (f->number < 0) return from_loop(f, n.in[0], n.attr.i[0], b);
    f->net->refused = "a loop within a loop";
    return ROB_NONE;
}

static int32_t part_of(frame *f, rob_id id, int64_t b)
{
    if (f->part[id][b] != ROB_NONE) return f->part[id][b];
    int32_t value = make_part(f, id, b);
    return f->part[id][b] = value;
}

/* ---- the whole ------------------------------------------------------------------- */

rob_status rob_priv_check_unroll(rob_ctx *ctx, rob_graph *g, rob_id x, rob_id output,
                                 rob_check_net **out)
{
    rob_shape shape = rob_priv_shape(g, x);
    rob_check_net *net = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *net);
    *out = NULL;
    if (net == NULL) {
        rob_priv_graph_free(g);
        return rob_priv_no_memory(ctx);
    }
    *net = (rob_check_net){ .memory = ctx->memory, .graph = g, .x = x,
                            .steps = shape.dim[0], .output = ROB_NONE };
    net->features = rob_priv_shape_size(&shape) / shape.dim[0];
    frame top = { .net = net, .number = -1 };
    if (open_frame(&top, net, g, x, NULL)) net->output = whole_of(&top, output);
    close_frame(&top);
    if (net->output != ROB_NONE) {
        *out = net;
        return ROB_OK;
    }
    rob_status status = net->refused == NULL ? rob_priv_no_memory(ctx)
                        : rob_priv_fail(ctx, ROB_EUNSUPPORTED,
                                        "certificates: no rule for %s", net->refused);
    rob_priv_check_net_free(net);
    return status;
}

void rob_priv_check_net_free(rob_check_net *net)
{
    if (net == NULL) return;
    rob_memory m = net->memory;
    for (int64_t i = 0; i < net->owns; i++) rob_priv_release(&m, net->owned[i]);
    rob_priv_release(&m, net->owned);
    rob_priv_release(&m, net->value);
    rob_priv_release(&m, net->link);
    rob_priv_graph_free(net->graph);
    rob_priv_release(&m, net);
}
