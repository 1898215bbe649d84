/* tape.c -- the public side of graph, diff and run: variables are node ids.
 *
 * A replay is the plan and workspace of one set of wanted variables. The last few are
 * kept; a tape that has grown makes them anew. So runs with a known set allocate
 * nothing.
 */
#include <robust/tape.h>

#include "api/tape_words.h"
#include "core/core.h"
#include "diff/diff.h"
#include "model/graph.h"
#include "run/run.h"

#include <string.h>

enum { REPLAYS = 4 };

typedef rob_tape_input_value tape_input;

typedef struct replay {
    rob_id *want;
    int32_t count, isa;
    rob_plan *plan;
    rob_work *work;
} replay;

struct rob_tape {
    rob_memory memory;
    int32_t dtype;
    rob_graph *graph;
    tape_input *input; /* ids ascending */
    int32_t inputs, input_room;
    replay replay[REPLAYS];
    int32_t planned; /* nodes the graph had when the replays were made */
    int32_t next;    /* replay to give up next */
    int32_t current; /* replay of the last run; -1: none */
};

/* ---- small questions ------------------------------------------------------------- */

static rob_status check_var(rob_ctx *ctx, const rob_tape *t, rob_var v,
                            const char *what)
{
    rob_status status = ROB_OK;
    int32_t count = rob_priv_graph_count(t->graph);
    CHECK(v >= 0 && v < count && rob_priv_node(t->graph, v).outs == 1, ctx,
          ROB_EARGUMENT, "%s is no variable of this tape: %d", what, (int)v);
done:
    return status;
}

static rob_status check_vars(rob_ctx *ctx, const rob_tape *t, const rob_var *v,
                             int32_t count)
{
    rob_status status = ROB_OK;
    CHECK(count >= 1, ctx, ROB_EARGUMENT, "count is %d, must be at least 1",
          (int)count);
    CHECK(v != NULL, ctx, ROB_EARGUMENT, "variables are NULL");
    for (int32_t i = 0; i < count; i++)
        TRY(check_var(ctx, t, v[i], "a variable given"));
done:
    return status;
}

static rob_status check_shape(rob_ctx *ctx, const int64_t *dim, int32_t rank,
                              rob_shape *out)
{
    rob_status status = ROB_OK;
    int64_t size = 1;
    CHECK(rank >= 0 && rank <= ROB_MAX_RANK, ctx, ROB_ESHAPE,
          "rank is %d, must be 0 to %d", (int)rank, ROB_MAX_RANK);
    CHECK(rank == 0 || dim != NULL, ctx, ROB_EARGUMENT, "shape is NULL");
    for (int32_t k = 0; k < rank; k++) {
        CHECK(dim[k] >= 1, ctx, ROB_ESHAPE, "dimension %d is %lld, must be at least 1",
              (int)k, (long long)dim[k]);
        CHECK(dim[k] <= ((int64_t)1 << 40) / size, ctx, ROB_ESHAPE,
              "a variable may have 2^40 elements at most");
        size *= dim[k];
    }
    *out = rob_priv_shape_make(rank, dim);
done:
    return status;
}

static int64_t size_of(const rob_tape *t, rob_var v)
{
    rob_shape s = rob_priv_shape(t->graph, v);
    return rob_priv_shape_size(&s);
}

static rob_status check_same_shape(rob_ctx *ctx, const rob_tape *t, rob_var a,
                                   rob_var b, const char *names)
{
    rob_status status = ROB_OK;
    rob_shape sa = rob_priv_shape(t->graph, a), sb = rob_priv_shape(t->graph, b);
    CHECK(rob_priv_shape_equal(&sa, &sb), ctx, ROB_ESHAPE,
          "%s have %lld and %lld elements; their shapes must be equal", names,
          (long long)size_of(t, a), (long long)size_of(t, b));
done:
    return status;
}

static tape_input *find_input(const rob_tape *t, rob_var v)
{
    int32_t low = 0, high = t->inputs;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (t->input[middle].id < v) low = middle + 1;
        else high = middle;
    }
    return low < t->inputs && t->input[low].id == v ? &t->input[low] : NULL;
}

/* Hand out what was recorded; a failure is told and forgotten, the tape lives on. */
static rob_status give(rob_ctx *ctx, rob_tape *t, rob_id id, rob_var *out)
{
    rob_status status = rob_priv_graph_status(ctx, t->graph);
    rob_priv_graph_forgive(t->graph);
    if (status < ROB_OK) return status;
    if (id == ROB_NONE)
        return rob_priv_fail(ctx, ROB_EINTERNAL, "an operator gave nothing");
    *out = id;
    return ROB_OK;
}

/* ---- life ------------------------------------------------------------------------ */

static void free_replay(rob_tape *t, replay *r)
{
    rob_priv_work_free(r->work);
    rob_priv_plan_free(r->plan);
    rob_priv_release(&t->memory, r->want);
    *r = (replay){ 0 };
}

static void free_replays(rob_tape *t)
{
    for (int32_t k = 0; k < REPLAYS; k++) free_replay(t, &t->replay[k]);
    t->current = -1;
}

void rob_tape_free(rob_tape *t)
{
    if (t == NULL) return;
    free_replays(t);
    for (int32_t i = 0; i < t->inputs; i++)
        rob_priv_release(&t->memory, t->input[i].value);
    rob_priv_release(&t->memory, t->input);
    rob_priv_graph_free(t->graph);
    rob_memory m = t->memory;
    rob_priv_release(&m, t);
}

rob_status rob_tape_create(rob_ctx *ctx, int32_t dtype, rob_tape **out)
{
    rob_status status = ROB_OK;
    rob_tape *t = NULL;
    if (out == NULL) return rob_priv_fail(ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(dtype == ROB_F32 || dtype == ROB_F64, ctx, ROB_EARGUMENT,
          "dtype is %d, must be ROB_F32 or ROB_F64", (int)dtype);
    t = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *t);
    if (t == NULL) return rob_priv_no_memory(ctx);
    t->memory = ctx->memory;
    t->dtype = dtype;
    t->current = -1;
    TRY(rob_priv_graph_create(ctx, &t->graph));
    *out = t;
    t = NULL;
done:
    rob_tape_free(t);
    return status;
}

/* ---- recording ------------------------------------------------------------------- */

static rob_status room_for_input(rob_ctx *ctx, rob_tape *t)
{
    if (t->inputs < t->input_room) return ROB_OK;
    int32_t room = t->input_room > 0 ? 2 * t->input_room : 8;
    tape_input *p =
        rob_priv_grow(&t->memory, t->input, t->inputs, room, (int64_t)sizeof *p);
    if (p == NULL) return rob_priv_no_memory(ctx);
    t->input = p;
    t->input_room = room;
    return ROB_OK;
}

rob_status rob_tape_input(rob_ctx *ctx, rob_tape *t, const int64_t *shape, int32_t rank,
                          rob_var *out)
{
    rob_status status = ROB_OK;
    rob_shape s;
    double *value = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL && out != NULL, ctx, ROB_EARGUMENT, "%s is NULL",
          t ? "out" : "tape");
    TRY(check_shape(ctx, shape, rank, &s));
    TRY(room_for_input(ctx, t));
    value =
        rob_priv_allocate(&t->memory, rob_priv_shape_size(&s), (int64_t)sizeof *value);
    if (value == NULL) return rob_priv_no_memory(ctx);
    TRY(give(ctx, t, rob_priv_input(t->graph, s), out));
    t->input[t->inputs++] = (tape_input){ *out, rob_priv_shape_size(&s), value };
    value = NULL;
done:
    if (value != NULL) rob_priv_release(&t->memory, value);
    return status;
}

rob_status rob_tape_constant(rob_ctx *ctx, rob_tape *t, const double *values,
                             const int64_t *shape, int32_t rank, rob_var *out)
{
    rob_status status = ROB_OK;
    rob_shape s;
    rob_tensor *tensor = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL && out != NULL, ctx, ROB_EARGUMENT, "%s is NULL",
          t ? "out" : "tape");
    CHECK(values != NULL, ctx, ROB_EARGUMENT, "values is NULL");
    TRY(check_shape(ctx, shape, rank, &s));
    if (rob_priv_tensor_create(&t->memory, ROB_F64, s, &tensor) < ROB_OK)
        return rob_priv_no_memory(ctx);
    memcpy(tensor->data, values, (size_t)rob_priv_shape_size(&s) * sizeof *values);
    TRY(give(ctx, t, rob_priv_constant(t->graph, tensor), out));
done:
    rob_priv_tensor_free(tensor);
    return status;
}

rob_status rob_tape_apply_with(rob_ctx *ctx, rob_tape *t, const char *op,
                               const rob_var *in, int32_t count, const double *number,
                               int32_t numbers, rob_var *out)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL && out != NULL, ctx, ROB_EARGUMENT, "%s is NULL",
          t ? "out" : "tape");
    CHECK(op != NULL, ctx, ROB_EARGUMENT, "op is NULL");
    CHECK(numbers >= 0, ctx, ROB_EARGUMENT, "numbers is %d, must not be negative",
          (int)numbers);
    CHECK(numbers == 0 || number != NULL, ctx, ROB_EARGUMENT, "number is NULL");
    TRY(check_vars(ctx, t, in, count));
    TRY(give(ctx, t, rob_priv_tape_word(t->graph, op, in, count, number, numbers),
             out));
done:
    return status;
}

rob_status rob_tape_apply(rob_ctx *ctx, rob_tape *t, const char *op, const rob_var *in,
                          int32_t count, rob_var *out)
{
    return rob_tape_apply_with(ctx, t, op, in, count, NULL, 0, out);
}

/* ---- derivatives ----------------------------------------------------------------- */

static rob_status check_pair(rob_ctx *ctx, const rob_tape *t, rob_var y, rob_var x,
                             const rob_var *out)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL && out != NULL, ctx, ROB_EARGUMENT, "%s is NULL",
          t ? "out" : "tape");
    TRY(check_var(ctx, t, y, "y"));
    TRY(check_var(ctx, t, x, "x"));
done:
    return status;
}

/* A derivative, or zeros in the shape of `like` where there is no dependence. */
static rob_status give_or_zeros(rob_ctx *ctx, rob_tape *t, rob_id id, rob_var like,
                                rob_var *out)
{
    if (id == ROB_NONE) id = rob_priv_fill(t->graph, rob_priv_shape(t->graph, like), 0);
    return give(ctx, t, id, out);
}

rob_status rob_tape_gradient(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x,
                             rob_var *out)
{
    rob_status status = ROB_OK;
    TRY(check_pair(ctx, t, y, x, out));
    CHECK(size_of(t, y) == 1, ctx, ROB_ESHAPE,
          "y has %lld elements; a gradient is of one", (long long)size_of(t, y));
    TRY(give(ctx, t, rob_priv_gradient(t->graph, y, x), out));
done:
    return status;
}

rob_status rob_tape_vjp(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x, rob_var w,
                        rob_var *out)
{
    rob_status status = ROB_OK;
    rob_id dx = ROB_NONE;
    TRY(check_pair(ctx, t, y, x, out));
    TRY(check_var(ctx, t, w, "w"));
    TRY(check_same_shape(ctx, t, y, w, "y and w"));
    rob_priv_vjp(t->graph, &y, &w, 1, &x, 1, &dx);
    TRY(give_or_zeros(ctx, t, dx, x, out));
done:
    return status;
}

rob_status rob_tape_jvp(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x, rob_var v,
                        rob_var *out)
{
    rob_status status = ROB_OK;
    rob_id dy = ROB_NONE;
    TRY(check_pair(ctx, t, y, x, out));
    TRY(check_var(ctx, t, v, "v"));
    TRY(check_same_shape(ctx, t, x, v, "x and v"));
    rob_priv_jvp(t->graph, &x, &v, 1, &y, 1, &dy);
    TRY(give_or_zeros(ctx, t, dy, y, out));
done:
    return status;
}

/* ---- running --------------------------------------------------------------------- */

rob_status rob_tape_set(rob_ctx *ctx, rob_tape *t, rob_var x, const double *values,
                        int64_t count)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL, ctx, ROB_EARGUMENT, "tape is NULL");
    CHECK(values != NULL, ctx, ROB_EARGUMENT, "values is NULL");
    tape_input *input = find_input(t, x);
    CHECK(input != NULL, ctx, ROB_EARGUMENT, "variable %d is no input", (int)x);
    CHECK(count == input->count, ctx, ROB_ESHAPE, "count is %lld; the input has %lld",
          (long long)count, (long long)input->count);
    memcpy(input->value, values, (size_t)count * sizeof *values);
done:
    return status;
}

static int32_t find_replay(const rob_tape *t, int32_t isa, const rob_var *want,
                           int32_t count)
{
    for (int32_t k = 0; k < REPLAYS; k++) {
        const replay *r = &t->replay[k];
        if (r->plan != NULL && r->count == count && r->isa == isa
            && memcmp(r->want, want, (size_t)count * sizeof *want) == 0)
            return k;
    }
    return -1;
}

/* Each variable once. */
static int32_t copy_distinct(rob_id *to, const rob_var *from, int32_t count)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t k = 0;
        while (k < kept && to[k] != from[i]) k++;
        if (k == kept) to[kept++] = from[i];
    }
    return kept;
}

static rob_status make_replay(rob_ctx *ctx, rob_tape *t, const rob_var *want,
                              int32_t count)
{
    rob_status status = ROB_OK;
    replay r = { .count = count, .isa = ctx->isa };
    r.want = rob_priv_allocate(&t->memory, 2 * (int64_t)count, (int64_t)sizeof *r.want);
    if (r.want == NULL) return rob_priv_no_memory(ctx);
    memcpy(r.want, want, (size_t)count * sizeof *want);
    int32_t distinct = copy_distinct(r.want + count, want, count);
    TRY(rob_priv_plan_create(ctx, t->graph, t->dtype, r.want + count, NULL, distinct,
                             &r.plan));
    TRY(rob_priv_work_create(ctx, r.plan, &r.work));
    free_replay(t, &t->replay[t->next]);
    t->replay[t->next] = r;
    t->current = t->next;
    t->next = (t->next + 1) % REPLAYS;
    r = (replay){ 0 };
done:
    free_replay(t, &r);
    return status;
}

rob_status rob_tape_run(rob_ctx *ctx, rob_tape *t, const rob_var *want, int32_t count)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL, ctx, ROB_EARGUMENT, "tape is NULL");
    TRY(check_vars(ctx, t, want, count));
    if (t->planned != rob_priv_graph_count(t->graph)) free_replays(t);
    t->planned = rob_priv_graph_count(t->graph);
    int32_t found = find_replay(t, ctx->isa, want, count);
    if (found < 0) TRY(make_replay(ctx, t, want, count));
    else t->current = found;
    rob_work *work = t->replay[t->current].work;
    for (int32_t i = 0; i < t->inputs; i++)
        if (rob_priv_work_at(work, t->input[i].id) != NULL)
            rob_priv_work_set(work, t->input[i].id, t->input[i].value);
    rob_priv_run(work, 0);
done:
    return status;
}

static bool was_computed(const rob_tape *t, rob_var y)
{
    if (t->current < 0) return false;
    const replay *r = &t->replay[t->current];
    for (int32_t i = 0; i < r->count; i++)
        if (r->want[i] == y) return true;
    return false;
}

rob_status rob_tape_get(rob_ctx *ctx, const rob_tape *t, rob_var y, double *out,
                        int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL, ctx, ROB_EARGUMENT, "tape is NULL");
    TRY(check_var(ctx, t, y, "y"));
    const tape_input *input = find_input(t, y);
    int64_t size = size_of(t, y);
    CHECK(input != NULL || was_computed(t, y) || out == NULL, ctx, ROB_EARGUMENT,
          "variable %d was not asked for in the last run", (int)y);
    CHECK(out == NULL || capacity >= size, ctx, ROB_ESHAPE,
          "capacity is %lld; the variable has %lld elements", (long long)capacity,
          (long long)size);
    if (out != NULL && input != NULL)
        memcpy(out, input->value, (size_t)size * sizeof *out);
    else if (out != NULL) rob_priv_work_get(t->replay[t->current].work, y, out);
    if (count != NULL) *count = size;
done:
    return status;
}

/* ---- a model of it --------------------------------------------------------------- */

rob_status rob_model_from_tape(rob_ctx *ctx, const rob_tape *t, rob_var x, rob_var y,
                               rob_model **out)
{
    rob_status status = ROB_OK;
    if (out == NULL) return rob_priv_fail(ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    CHECK(t != NULL, ctx, ROB_EARGUMENT, "tape is NULL");
    TRY(check_var(ctx, t, x, "x"));
    TRY(check_var(ctx, t, y, "y"));
    CHECK(find_input(t, x) != NULL, ctx, ROB_EARGUMENT, "x is no input: variable %d",
          (int)x);
    const rob_tape_view view = { t->graph, t->input, t->inputs };
    TRY(rob_priv_model_record(ctx, &view, x, y, out));
done:
    return status;
}
