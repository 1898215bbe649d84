/* lower.c -- from a graph with scans to cells, one step of a sequence at a time.
 *
 * A value of the graph is `count` equal blocks, contiguous in row-major order: a
 * sequence (T, 1, F) is T cells of F numbers, so a step's input is bounded and
 * back-substituted alone. Blocks pass through element-wise operators, reshapes and
 * products with weights; any other operator sees the value joined. Blocks are made when
 * first asked for, and a scan advances step by step when a block of its output is asked
 * for: so the cells of stacked layers interleave in time, and a sweep that walks cells
 * backwards holds coefficients on one step's values only.
 */
#include "bound/bound.h"

#include <string.h>

typedef struct value { int64_t count; int32_t *cell; int32_t whole; bool fixed; } value;
typedef struct run run;

/* Values of one graph; fixed values survive the steps of a scan. */
typedef struct scope {
    rob_network *net;
    const rob_graph *graph;
    rob_id x, loop;               /* loop: the scan this is the body of, or ROB_NONE */
    int32_t count;
    value *value;
    run **run;                    /* of scan nodes */
} scope;

struct run {
    rob_node node;
    const rob_scan *scan;
    scope *outer, body;
    int64_t done;
    int32_t *carry, *ys;          /* (carries), (ys, steps) */
};

static int32_t block_of(scope *s, rob_id id, int64_t b);

/* ---- how many blocks ------------------------------------------------------------- */

/* Where part k of a split lies: `outer` runs of `size` numbers, each `first` into one
 * of `period`. */
typedef struct window { int64_t outer, first, size, period; } window;

static window window_of(const scope *s, const rob_node *split, int64_t k)
{
    rob_shape in = rob_priv_shape(s->graph, split->in[0]);
    const int64_t axis = split->attr.i[0], *sizes = split->attr.i + 2;
    bool own = split->attr.i[1] <= 4;
    window w = {1, 0, 1, 1};
    int64_t inner = 1;
    for (int64_t d = 0; d < axis; d++) w.outer *= in.dim[d];
    for (int64_t d = axis + 1; d < in.rank; d++) inner *= in.dim[d];
    for (int64_t i = 0; i < k; i++) w.first += (own ? sizes[i] : sizes[0]) * inner;
    w.size = (own ? sizes[k] : sizes[0]) * inner;
    w.period = in.dim[axis] * inner;
    return w;
}

static int64_t blocks_of_part(const scope *s, const rob_node *split, int64_t k)
{
    window w = window_of(s, split, k);
    int64_t count = s->value[split->in[0]].count;
    int64_t block = w.outer * w.period / count;
    if (w.outer == count && count > 1) return count;
    if (w.outer > 1 || count == 1) return 1;
    return w.first % block == 0 && w.size % block == 0 ? w.size / block : 1;
}

static int64_t blocks_of_pick(const scope *s, const rob_node *n)
{
    rob_node of = rob_priv_node(s->graph, n->in[0]);
    if (of.scan == NULL) return blocks_of_part(s, &of, n->attr.i[0]);
    return n->attr.i[0] < of.scan->carries ? 1 : of.scan->steps;
}

static int64_t blocks_of_each(const scope *s, const rob_node *n)
{
    int64_t count = 1;
    for (int32_t i = 0; i < n->ins; i++)
        if (s->value[n->in[i]].count > count) count = s->value[n->in[i]].count;
    return count;
}

static int64_t blocks_of_product(const scope *s, const rob_node *n)
{
    rob_shape a = rob_priv_shape(s->graph, n->in[0]);
    int64_t count = s->value[n->in[0]].count;
    bool rows = a.rank == 2 && n->attr.i[0] == 0 && a.dim[0] % count == 0;
    return rows && s->value[n->in[1]].count == 1 ? count : 1;
}

/* Does the operator only rename numbers: same size, same order? */
static bool renames(const scope *s, const rob_node *n)
{
    int32_t id = n->op->id;
    if (id == ROB_OP_reshape) return true;
    if (id == ROB_OP_expand || id == ROB_OP_sum_to) {
        rob_shape in = rob_priv_shape(s->graph, n->in[0]);
        return rob_priv_shape_size(&in) == rob_priv_shape_size(&n->shape);
    }
    if (id != ROB_OP_permute) return false;
    rob_shape in = rob_priv_shape(s->graph, n->in[0]);
    int64_t last = -1;
    for (int32_t k = 0; k < in.rank; k++) {
        int64_t d = n->attr.i[1 + k];
        if (in.dim[d] == 1) continue;
        if (d < last) return false;
        last = d;
    }
    return true;
}

static int64_t blocks_of(const scope *s, rob_id id)
{
    rob_node n = rob_priv_node(s->graph, id);
    if (id == s->x) return s->net->steps;
    if (n.op->id == ROB_OP_pick) return blocks_of_pick(s, &n);
    if (n.ins == 0 || n.scan != NULL || n.op->id == ROB_OP_split) return 1;
    if (renames(s, &n)) return s->value[n.in[0]].count;
    if (n.op->id == ROB_OP_matmul) return blocks_of_product(s, &n);
    return n.op->kind & ROB_OP_ELEMENTWISE ? blocks_of_each(s, &n) : 1;
}

/* ---- scopes ---------------------------------------------------------------------- */

static void close_scope(scope *s)
{
    const rob_memory *m = &s->net->memory;
    for (int32_t i = 0; i < s->count && s->run != NULL; i++) {
        if (s->run[i] == NULL) continue;
        close_scope(&s->run[i]->body);
        rob_priv_release(m, s->run[i]->carry);
        rob_priv_release(m, s->run[i]->ys);
        rob_priv_release(m, s->run[i]);
    }
    for (int32_t i = 0; i < s->count && s->value != NULL; i++)
        rob_priv_release(m, s->value[i].cell);
    rob_priv_release(m, s->value);
    rob_priv_release(m, s->run);
}

static bool value_is_fixed(const scope *s, const rob_node *n)
{
    bool fixed = n->op->id != ROB_OP_input && n->op->id != ROB_OP_scan;
    for (int32_t i = 0; i < n->ins; i++) fixed = fixed && s->value[n->in[i]].fixed;
    return fixed;
}

static bool open_value(scope *s, rob_id id)
{
    value *v = &s->value[id];
    rob_node n = rob_priv_node(s->graph, id);
    v->count = blocks_of(s, id);
    v->cell = rob_priv_allocate(&s->net->memory, v->count, (int64_t)sizeof *v->cell);
    if (v->cell == NULL) return false;
    for (int64_t b = 0; b < v->count; b++) v->cell[b] = ROB_NONE;
    v->whole = ROB_NONE;
    v->fixed = value_is_fixed(s, &n);
    return true;
}

static bool open_scope(scope *s, rob_network *net, const rob_graph *graph, rob_id x,
                       rob_id loop)
{
    *s = (scope){
        .net = net, .graph = graph, .x = x, .loop = loop, .count = rob_priv_graph_count(graph)
    };
    s->value = rob_priv_allocate(&net->memory, s->count, (int64_t)sizeof *s->value);
    s->run = rob_priv_allocate(&net->memory, s->count, (int64_t)sizeof *s->run);
    if (s->value == NULL || s->run == NULL) return false;
    for (rob_id id = 0; id < s->count; id++)
        if (!open_value(s, id)) return false;
    return true;
}

/* ---- blocks in another number, and whole values ---------------------------------- */

/* The cell made next stands for numbers of node id from `part` on. */
static void is_next(scope *s, rob_id id, int64_t part)
{
    s->net->loop = s->loop;
    s->net->id = id;
    s->net->part = part;
}

static int32_t whole_of(scope *s, rob_id id)
{
    value *v = &s->value[id];
    if (v->whole != ROB_NONE) return v->whole;
    for (int64_t b = 0; b < v->count; b++)
        if (block_of(s, id, b) == ROB_NONE) return ROB_NONE;
    is_next(s, id, 0);
    return v->whole = rob_priv_cell_join(s->net, v->cell, v->count);
}

/* Block b of `count`, whatever the value's own number of blocks is. */
static int32_t block_among(scope *s, rob_id id, int64_t b, int64_t count)
{
    if (s->value[id].count == count) return block_of(s, id, b);
    int32_t whole = whole_of(s, id);
    if (whole == ROB_NONE) return ROB_NONE;
    int64_t size = s->net->cell[whole].size / count;
    return rob_priv_cell_view(s->net, whole, b * size, size);
}

/* ---- recurrence ------------------------------------------------------------------ */

/* Weights handed to the body are the same in every step; so is what hangs on them. */
static void fix_constants(run *r)
{
    const rob_scan *scan = r->scan;
    int32_t first = scan->carries + scan->sequences;
    for (int32_t i = first; i < first + scan->constants; i++)
        r->body.value[scan->in[i]].fixed = true;
    for (rob_id id = 0; id < r->body.count; id++) {
        rob_node n = rob_priv_node(r->body.graph, id);
        if (n.ins > 0) r->body.value[id].fixed = value_is_fixed(&r->body, &n);
    }
}

static run *run_of(scope *s, rob_id id)
{
    if (s->run[id] != NULL) return s->run[id];
    const rob_memory *m = &s->net->memory;
    run *r = s->run[id] = rob_priv_allocate(m, 1, (int64_t)sizeof *r);
    if (r == NULL) return NULL;
    r->node = rob_priv_node(s->graph, id);
    r->scan = r->node.scan;
    r->outer = s;
    r->carry = rob_priv_allocate(m, r->scan->carries + 1, (int64_t)sizeof *r->carry);
    r->ys =
        rob_priv_allocate(m, r->scan->ys * r->scan->steps + 1, (int64_t)sizeof *r->ys);
    if (!open_scope(&r->body, s->net, r->scan->body, ROB_NONE, id)) return NULL;
    if (r->carry == NULL || r->ys == NULL) return NULL;
    fix_constants(r);
    for (int32_t i = 0; i < r->scan->carries; i++) {
        r->carry[i] = whole_of(s, r->node.in[i]);
        if (r->carry[i] == ROB_NONE) return NULL;
    }
    return r;
}

static bool set_inputs(run *r, int64_t row)
{
    const rob_scan *scan = r->scan;
    int32_t ins = scan->carries + scan->sequences + scan->constants;
    for (int32_t i = 0; i < ins; i++) {
        value *v = &r->body.value[scan->in[i]];
        rob_id from = r->node.in[i];
        if (i < scan->carries) v->cell[0] = r->carry[i];
        else if (i < scan->carries + scan->sequences)
            v->cell[0] = block_among(r->outer, from, row, scan->steps);
        else v->cell[0] = whole_of(r->outer, from);
        if (v->cell[0] == ROB_NONE) return false;
    }
    return true;
}

static void forget_step(scope *body)
{
    for (int32_t i = 0; i < body->count; i++) {
        if (body->value[i].fixed) continue;
        for (int64_t b = 0; b < body->value[i].count; b++)
            body->value[i].cell[b] = ROB_NONE;
        body->value[i].whole = ROB_NONE;
    }
}

static bool read_outputs(run *r, int64_t row)
{
    for (int32_t k = 0; k < r->scan->carries + r->scan->ys; k++) {
        int32_t cell = whole_of(&r->body, r->scan->out[k]);
        if (cell == ROB_NONE) return false;
        if (k >= r->scan->carries)
            r->ys[(k - r->scan->carries) * r->scan->steps + row] = cell;
    }
    for (int32_t k = 0; k < r->scan->carries; k++)
        r->carry[k] = r->body.value[r->scan->out[k]].whole;
    return true;
}

/* One step: operands first, then the body, stamped with the number of the step. */
static bool advance(run *r)
{
    int64_t row = r->scan->reverse ? r->scan->steps - 1 - r->done : r->done;
    forget_step(&r->body);
    if (!set_inputs(r, row)) return false;
    int32_t outside = r->outer->net->time;
    r->outer->net->time = (int32_t)r->done;
    bool fine = read_outputs(r, row);
    r->outer->net->time = outside;
    r->done++;
    return fine;
}

static int32_t output_of_scan(scope *s, rob_id scan, int64_t k, int64_t b)
{
    run *r = run_of(s, scan);
    if (r == NULL) return ROB_NONE;
    bool carry = k < r->scan->carries;
    int64_t last = r->scan->steps - 1;
    int64_t wanted = carry ? last : r->scan->reverse ? last - b : b;
    while (r->done <= wanted)
        if (!advance(r)) return ROB_NONE;
    return carry ? r->carry[k] : r->ys[(k - r->scan->carries) * r->scan->steps + b];
}

/* ---- operators ------------------------------------------------------------------- */

static int32_t constant_cell(scope *s, const rob_node *n)
{
    int64_t size = rob_priv_shape_size(&n->shape);
    double *v = rob_priv_network_own(s->net, size, (int64_t)sizeof *v);
    if (v == NULL) return ROB_NONE;
    for (int64_t e = 0; e < size; e++)
        v[e] = n->tensor != NULL ? rob_priv_tensor_at(n->tensor, e) : n->attr.x[0];
    return rob_priv_cell_known(s->net, size, v, v);
}

static int32_t part_of_split(scope *s, rob_id id, const rob_node *split, int64_t k,
                             int64_t b)
{
    window w = window_of(s, split, k);
    rob_id in = split->in[0];
    int64_t count = s->value[in].count, block = w.outer * w.period / count;
    int32_t of = ROB_NONE;
    if (w.outer == 1 && count > 1 && w.first % block == 0 && w.size % block == 0)
        return block_of(s, in, w.first / block + b);
    if (w.outer == count) of = block_of(s, in, b);
    if (w.outer == 1 && count > 1) of = whole_of(s, in);
    if (w.outer == 1 || w.outer == count)
        return of == ROB_NONE ? of : rob_priv_cell_view(s->net, of, w.first, w.size);
    rob_link link = {.cell = whole_of(s, in), .shape = rob_priv_shape(s->graph, in)};
    if (link.cell == ROB_NONE) return ROB_NONE;
    rob_shape shape = split->shape;
    shape.dim[split->attr.i[0]] = split->attr.i[split->attr.i[1] <= 4 ? 2 + k : 2];
    is_next(s, id, 0);
    return rob_priv_cell_apply(s->net, split, (int32_t)k, shape, &link, 1);
}

/* Parts one behind the other when the axis is the slowest. */
static bool joins_in_order(const rob_node *n)
{
    int64_t outer = 1;
    for (int64_t d = 0; d < n->attr.i[0]; d++) outer *= n->shape.dim[d];
    return n->op->id == ROB_OP_concat && outer == 1;
}

/* Shapes of one block of `count`: products keep whole rows, element-wise go flat. */
static rob_shape shape_of_block(const scope *s, rob_id id, const rob_node *n,
                                bool weights, int64_t count)
{
    rob_shape shape = rob_priv_shape(s->graph, id);
    if (count == 1 || weights) return shape;
    if (n->op->id == ROB_OP_matmul) {
        shape.dim[0] /= count;
        return shape;
    }
    return rob_priv_shape1(rob_priv_shape_size(&shape) / count);
}

static int32_t apply_operator(scope *s, rob_id id, rob_node n, int64_t b)
{
    int64_t count = s->value[id].count;
    rob_link *in = rob_priv_allocate(&s->net->memory, n.ins, (int64_t)sizeof *in);
    int32_t *part = rob_priv_allocate(&s->net->memory, n.ins, (int64_t)sizeof *part);
    int32_t cell = ROB_NONE, i = 0;
    for (; in != NULL && part != NULL && i < n.ins; i++) {
        bool weights = i == 1 && n.op->id == ROB_OP_matmul;
        in[i].cell = part[i] =
            block_among(s, n.in[i], weights ? 0 : b, weights ? 1 : count);
        in[i].shape = shape_of_block(s, n.in[i], &n, weights, count);
        if (in[i].cell == ROB_NONE) break;
    }
    is_next(s, id, b * (rob_priv_shape_size(&n.shape) / count));
    if (i == n.ins && joins_in_order(&n)) {
        cell = rob_priv_cell_join(s->net, part, n.ins);
    } else if (i == n.ins) {
        n.shape = shape_of_block(s, id, &n, false, count);
        cell = rob_priv_cell_apply(s->net, &n, 0, n.shape, in, n.ins);
    }
    rob_priv_release(&s->net->memory, in);
    rob_priv_release(&s->net->memory, part);
    return cell;
}

static int32_t make_block(scope *s, rob_id id, int64_t b)
{
    rob_node n = rob_priv_node(s->graph, id);
    if (id == s->x) {
        rob_cell c = {.kind = ROB_CELL_INPUT, .live = true, .size = s->net->features,
                      .first = b * s->net->features};
        return rob_priv_cell_add(s->net, &c, NULL);
    }
    if (n.op->id == ROB_OP_constant || n.op->id == ROB_OP_fill)
        return constant_cell(s, &n);
    if (renames(s, &n)) return block_of(s, n.in[0], b);
    if (n.op->id != ROB_OP_pick) return apply_operator(s, id, n, b);
    rob_node of = rob_priv_node(s->graph, n.in[0]);
    if (of.scan != NULL) return output_of_scan(s, n.in[0], n.attr.i[0], b);
    return part_of_split(s, id, &of, n.attr.i[0], b);
}

static int32_t block_of(scope *s, rob_id id, int64_t b)
{
    int32_t *cell = &s->value[id].cell[b];
    if (*cell == ROB_NONE) *cell = make_block(s, id, b);
    return *cell;
}

/* ---- the network ----------------------------------------------------------------- */

/* What this engine does not unroll, by name; NULL: nothing. */
static const char *unsupported(const rob_graph *g, rob_id x, bool inside)
{
    for (rob_id id = 0; id < rob_priv_graph_count(g); id++) {
        rob_node n = rob_priv_node(g, id);
        const char *name = NULL;
        if (n.scan != NULL && inside) return "scan within a scan";
        if (n.scan != NULL) name = unsupported(n.scan->body, ROB_NONE, true);
        if (name != NULL) return name;
        bool structure = n.ins == 0 || n.scan != NULL || n.op->id == ROB_OP_pick
                         || n.op->id == ROB_OP_split || n.op->id == ROB_OP_reshape;
        if (!structure && n.op->interval == NULL) return n.op->name;
        if (n.op->id == ROB_OP_input && id != x && !inside) return "a second input";
    }
    return NULL;
}

static rob_status lower(rob_ctx *ctx, rob_network *net, rob_id x, rob_id output)
{
    rob_status status = ROB_OK;
    rob_fp_state fp = rob_priv_fp_enter();
    scope s = {.net = net};
    const char *name = unsupported(net->graph, x, false);
    CHECK(name == NULL, ctx, ROB_EUNSUPPORTED, "bound: no sound rule for %s", name);
    status = ROB_EMEMORY;
    if (open_scope(&s, net, net->graph, x, ROB_NONE)) {
        net->output = whole_of(&s, output);
        if (net->output != ROB_NONE) status = rob_priv_cells_finish(net);
    }
    if (status == ROB_EMEMORY) rob_priv_no_memory(ctx);
done:
    close_scope(&s);
    rob_priv_fp_leave(fp);
    return status;
}

rob_status rob_priv_network_create(rob_ctx *ctx, rob_graph *graph, rob_id x,
                                   rob_id output, rob_network **out)
{
    *out = NULL;
    rob_shape shape = rob_priv_shape(graph, x);
    rob_network *net = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *net);
    if (net == NULL) {
        rob_priv_graph_free(graph);
        return rob_priv_no_memory(ctx);
    }
    net->memory = ctx->memory;
    net->graph = graph;
    net->x = x;
    net->y = output;
    net->isa = ctx->isa;
    net->la = rob_priv_la(1, ctx->isa);
    net->kernel = rob_priv_rows(ctx->isa);
    net->steps = shape.dim[0];
    net->features = rob_priv_shape_size(&shape) / shape.dim[0];
    net->time = -1;
    rob_status status = lower(ctx, net, x, output);
    if (status < ROB_OK) rob_priv_network_free(net);
    else *out = net;
    return status;
}

void rob_priv_network_free(rob_network *net)
{
    if (net == NULL) return;
    rob_memory m = net->memory;
    for (int64_t i = 0; i < net->owns; i++) rob_priv_release(&m, net->owned[i]);
    rob_priv_release(&m, net->owned);
    rob_priv_release(&m, net->cell);
    rob_priv_release(&m, net->link);
    rob_priv_graph_free(net->graph);
    rob_priv_release(&m, net);
}
