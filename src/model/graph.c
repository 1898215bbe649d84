/* graph.c -- a model out of a recorded program.
 *
 * A tape holds y = F(x) for x (T, D) or (T, R, D) and y with R L numbers; row r of y is
 * the logits of series r. The model is the part of the program that y depends on, with
 * every other input frozen at the value it has now; so f(series) = row r of F, and a
 * batch of B series is B / R copies of the program on one graph (the last copy padded by
 * its last series). Constants are shared by all copies, since nodes are hash-consed.
 *
 * R > 1 is sound only when row r of y depends on series r alone. That is looked at once:
 * with every other series replaced, row 0 must keep its bits.
 */
#include "model/graph.h"
#include "run/run.h"

#include <math.h>
#include <string.h>

typedef struct recording {
    rob_graph *graph;
    rob_id x, y;
    int64_t steps, rows, features, outputs;
} recording;

/* ---- copying a program into another graph ---------------------------------------- */

/* Nodes that y depends on, marked in use[]. */
static void mark(const rob_graph *from, rob_id y, uint8_t *use)
{
    use[y] = 1;
    for (rob_id id = y; id >= 0; id--) {
        if (!use[id]) continue;
        rob_node n = rob_priv_node(from, id);
        for (int32_t i = 0; i < n.ins; i++) use[n.in[i]] = 1;
    }
}

static rob_id copy_scan(rob_graph *to, const rob_node *n, const rob_id *in)
{
    const rob_scan *s = n->scan;
    rob_graph *body = NULL;
    rob_ctx plain = { .memory = *rob_priv_graph_memory(to) };
    if (rob_priv_graph_clone(&plain, s->body, &body) < ROB_OK)
        return rob_priv_graph_fail(to, ROB_EMEMORY, "out of memory for a graph");
    return rob_priv_scan(to, body, s->carries, s->sequences, s->constants, s->ys, s->in,
                         s->out, s->steps, s->reverse, in);
}

static rob_id copy_node(rob_graph *to, const rob_node *n, const rob_id *in)
{
    if (n->op == &rob_priv_op_constant) return rob_priv_constant(to, n->tensor);
    if (n->op == &rob_priv_op_scan) return copy_scan(to, n, in);
    if (n->op == &rob_priv_op_input)
        return rob_priv_graph_fail(to, ROB_EARGUMENT, "an input has no value");
    return rob_priv_apply(to, n->op, in, n->ins, n->attr);
}

rob_id rob_priv_graph_copy(rob_graph *to, const rob_graph *from, rob_id y, rob_id *map)
{
    const rob_memory *m = rob_priv_graph_memory(to);
    uint8_t *use = rob_priv_allocate(m, (int64_t)y + 1, 1);
    rob_id *in = NULL;
    int32_t room = 0;
    if (use == NULL) rob_priv_graph_fail(to, ROB_EMEMORY, "out of memory for a graph");
    else mark(from, y, use);
    for (rob_id id = 0; id <= y && !rob_priv_graph_failed(to); id++) {
        if (!use[id] || map[id] != ROB_NONE) continue;
        rob_node n = rob_priv_node(from, id);
        if (n.ins > room) {
            rob_priv_release(m, in);
            in = rob_priv_allocate(m, room = 2 * n.ins, (int64_t)sizeof *in);
        }
        if (n.ins > 0 && in == NULL) {
            rob_priv_graph_fail(to, ROB_EMEMORY, "out of memory for a graph");
            break;
        }
        for (int32_t i = 0; i < n.ins; i++) in[i] = map[n.in[i]];
        map[id] = copy_node(to, &n, in);
    }
    rob_priv_release(m, in);
    rob_priv_release(m, use);
    return rob_priv_graph_failed(to) ? ROB_NONE : map[y];
}

static rob_id *no_ids(const rob_memory *m, int32_t count)
{
    rob_id *map = rob_priv_allocate(m, count, (int64_t)sizeof *map);
    for (int32_t i = 0; map != NULL && i < count; i++) map[i] = ROB_NONE;
    return map;
}

/* ---- emission -------------------------------------------------------------------- */

/* One copy: x of `rows` series in the recorded shape -> (rows, L) */
static rob_id emit_copy(const void *user, rob_graph *g, rob_id x)
{
    const recording *r = user;
    const rob_memory *m = rob_priv_graph_memory(g);
    rob_id *map = no_ids(m, rob_priv_graph_count(r->graph));
    if (map == NULL)
        return rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a graph");
    map[r->x] = g_reshape(g, x, rob_priv_shape(r->graph, r->x));
    rob_id y = rob_priv_graph_copy(g, r->graph, r->y, map);
    rob_priv_release(m, map);
    return g_reshape(g, y, rob_priv_shape2(r->rows, r->outputs));
}

/* Series first ... first + rows of x (T, B, D); behind the last one it is repeated. */
static rob_id some_rows(rob_graph *g, rob_id x, int64_t first, int64_t rows,
                        int64_t batch)
{
    int64_t there = batch - first < rows ? batch - first : rows;
    rob_id part = g_slice(g, x, 1, first, there);
    rob_id last = there < rows ? g_slice(g, x, 1, batch - 1, 1) : ROB_NONE;
    for (; there < rows; there++)
        part = g_concat(g, (rob_id[]){ part, last }, 2, 1);
    return part;
}

rob_id rob_priv_graph_rows(rob_graph *g, rob_id x, int64_t rows, rob_emit_rows *emit,
                           const void *user)
{
    const rob_memory *m = rob_priv_graph_memory(g);
    int64_t batch = rob_priv_shape(g, x).dim[1], copies = (batch + rows - 1) / rows;
    rob_id *part = rob_priv_allocate(m, copies, (int64_t)sizeof *part), y = ROB_NONE;
    if (part == NULL)
        return rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a graph");
    for (int64_t k = 0; k < copies; k++)
        part[k] = emit(user, g, some_rows(g, x, k * rows, rows, batch));
    if (!rob_priv_graph_failed(g)) {
        y = copies > 1 ? g_concat(g, part, (int32_t)copies, 0) : part[0];
        y = g_slice(g, y, 0, 0, batch);
    }
    rob_priv_release(m, part);
    return y;
}

static rob_id emit_recording(const rob_model *model, rob_graph *g, rob_id x,
                             rob_id mask)
{
    const recording *r = model->user;
    if (mask != ROB_NONE)
        return rob_priv_graph_fail(g, ROB_EUNSUPPORTED,
                                   "series of different lengths; a model from a tape "
                                   "takes %lld steps",
                                   (long long)r->steps);
    return rob_priv_graph_rows(g, x, r->rows, emit_copy, r);
}

static void free_recording(const rob_memory *m, void *user)
{
    recording *r = user;
    if (r == NULL) return;
    rob_priv_graph_free(r->graph);
    rob_priv_release(m, r);
}

/* ---- is a row its own? ----------------------------------------------------------- */

static void fill_series(const recording *r, rob_random *random, int64_t first,
                        double *x)
{
    for (int64_t t = 0; t < r->steps; t++)
        for (int64_t k = first * r->features; k < r->rows * r->features; k++)
            x[t * r->rows * r->features + k] = rob_priv_normal(random);
}

static rob_status check_rows(rob_ctx *ctx, const recording *r)
{
    rob_status status = ROB_OK;
    rob_plan *plan = NULL;
    rob_work *work = NULL;
    const rob_memory *m = &ctx->memory;
    int64_t in = r->steps * r->rows * r->features, out = r->rows * r->outputs;
    rob_random random = rob_priv_random(1, 0);
    if (r->rows == 1) return ROB_OK;
    double *x = rob_priv_allocate(m, in + 2 * out, (int64_t)sizeof *x), *y = x + in;
    if (x == NULL) return rob_priv_no_memory(ctx);
    TRY(rob_priv_plan_create(ctx, r->graph, ROB_F64, &r->y, NULL, 1, &plan));
    TRY(rob_priv_work_create(ctx, plan, &work));
    for (int64_t k = 0; k < 2; k++) {
        fill_series(r, &random, k, x);
        rob_priv_work_set(work, r->x, x);
        rob_priv_run(work, 0);
        rob_priv_work_get(work, r->y, y + k * out);
    }
    CHECK(memcmp(y, y + out, (size_t)r->outputs * sizeof *y) == 0, ctx, ROB_EARGUMENT,
          "row 0 of y depends on other series than the first; record the program for "
          "one series, x (T, D)");
done:
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    rob_priv_release(m, x);
    return status;
}

/* ---- making one ------------------------------------------------------------------ */

static rob_status read_shapes(rob_ctx *ctx, const rob_graph *from, rob_id x, rob_id y,
                              recording *r)
{
    rob_status status = ROB_OK;
    rob_shape in = rob_priv_shape(from, x), out = rob_priv_shape(from, y);
    int64_t size = rob_priv_shape_size(&out);
    CHECK(in.rank == 2 || in.rank == 3, ctx, ROB_ESHAPE,
          "x has rank %d; it must be (T, D), or (T, R, D) for R series at once",
          (int)in.rank);
    r->steps = in.dim[0];
    r->rows = in.rank == 3 ? in.dim[1] : 1;
    r->features = in.dim[in.rank - 1];
    CHECK(r->rows == 1 || (out.rank >= 1 && out.dim[0] == r->rows), ctx, ROB_ESHAPE,
          "x has %lld series and y %lld rows; y must be (R, L)", (long long)r->rows,
          (long long)(out.rank >= 1 ? out.dim[0] : 1));
    r->outputs = size / r->rows;
done:
    return status;
}

/* The part of the tape that y needs, other inputs as constants. */
static rob_status record(rob_ctx *ctx, const rob_tape_view *t, rob_id x, rob_id y,
                         recording *r)
{
    rob_status status = ROB_OK;
    rob_id *map = no_ids(&ctx->memory, rob_priv_graph_count(t->graph));
    if (map == NULL) return rob_priv_no_memory(ctx);
    TRY(rob_priv_graph_create(ctx, &r->graph));
    r->x = map[x] = rob_priv_input(r->graph, rob_priv_shape(t->graph, x));
    for (int32_t k = 0; k < t->inputs; k++) {
        rob_tensor *value = NULL;
        const rob_tape_input_value *in = &t->input[k];
        rob_shape s = rob_priv_shape(t->graph, in->id);
        if (in->id == x) continue;
        if (rob_priv_tensor_create(&ctx->memory, ROB_F64, s, &value) < ROB_OK) {
            status = rob_priv_no_memory(ctx);
            goto done;
        }
        memcpy(value->data, in->value, (size_t)in->count * sizeof *in->value);
        map[in->id] = rob_priv_constant(r->graph, value);
        rob_priv_tensor_free(value);
    }
    r->y = rob_priv_graph_copy(r->graph, t->graph, y, map);
    TRY(rob_priv_graph_status(ctx, r->graph));
done:
    rob_priv_release(&ctx->memory, map);
    return status;
}

rob_status rob_priv_model_record(rob_ctx *ctx, const rob_tape_view *t, rob_id x,
                                 rob_id y, rob_model **out)
{
    rob_status status = ROB_OK;
    recording *r = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *r);
    *out = NULL;
    if (r == NULL) return rob_priv_no_memory(ctx);
    TRY(read_shapes(ctx, t->graph, x, y, r));
    TRY(record(ctx, t, x, y, r));
    TRY(check_rows(ctx, r));
    TRY(rob_priv_model_custom(ctx, r->features, r->outputs, emit_recording, r, out));
    (*out)->steps = r->steps;
    (*out)->release = free_recording;
    r = NULL;
done:
    free_recording(&ctx->memory, r);
    return status;
}
