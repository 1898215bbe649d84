/* evaluator.c -- outputs f(x_r) and gradients J(x_r)' s_r of many rows, tile by tile.
 *
 * One graph per tile size B holds the model for x (T,B,D), with a mask (T,B,1) when
 * rows end at different steps, and the product of the transposed Jacobian with a seed
 * (B,L). Its plan has two stages: outputs first, then, once the seed of every row was
 * chosen from its outputs, the gradient; so a gradient costs one forward and one
 * backward pass.
 *
 * Rows never meet (every product is one chain per element, la/la.h), hence a row's bits
 * depend neither on the tile size, nor on its place, nor on the number of threads. Tile
 * sizes may therefore be chosen for speed alone.
 */
#include "query/query.h"

#include "diff/diff.h"
#include "query/called.h"
#include "run/run.h"

enum { PROGRAMS = 3 };
static const int64_t tile_rows[PROGRAMS] = { 1, 8, 32 };
/* what a pass over a tile costs besides its rows, in rows */
enum { TILE_OVERHEAD = 5 };

typedef struct program {
    rob_graph *graph;
    rob_plan *plan;
    rob_id x, mask, seed, logits, grad;
    int64_t rows;
    int32_t works; /* workspaces made, one a worker */
    rob_work **work;
} program;

struct rob_evaluator {
    rob_memory memory;
    rob_model *model;
    int32_t dtype, isa;
    int64_t steps, features, outputs;
    bool lengths_differ, masked, gradient;
    program program[PROGRAMS];
    double *seed; /* (seeds, L): one row a worker */
    int32_t seeds;
    rob_called called; /* a callback's; programs are empty then */
};

/* One call, as its jobs see it. */
typedef struct batch {
    rob_evaluator *e;
    program *p;
    int64_t rows;
    const double *const *point;
    const int64_t *steps;
    double *logits;
    void (*seed)(void *user, int64_t row, const double *logits, double *seed);
    void *user;
    double *const *grad;
} batch;

/* ---- one tile -------------------------------------------------------------------- */

/* x (T,B,D) <- point (steps,D) at row r; steps behind the end are zero */
static void put_row_f32(float *x, const double *point, int64_t steps,
                        const rob_evaluator *e, int64_t tile, int64_t r)
{
    int64_t d = e->features;
    for (int64_t t = 0; t < e->steps; t++)
        for (int64_t j = 0; j < d; j++)
            x[(t * tile + r) * d + j] = t < steps ? (float)point[t * d + j] : 0;
}

static void put_row_f64(double *x, const double *point, int64_t steps,
                        const rob_evaluator *e, int64_t tile, int64_t r)
{
    int64_t d = e->features;
    for (int64_t t = 0; t < e->steps; t++)
        for (int64_t j = 0; j < d; j++)
            x[(t * tile + r) * d + j] = t < steps ? point[t * d + j] : 0;
}

static void put_mask(void *mask, int64_t steps, const rob_evaluator *e, int64_t tile,
                     int64_t r)
{
    for (int64_t t = 0; t < e->steps; t++) {
        if (e->dtype == ROB_F32) ((float *)mask)[t * tile + r] = t < steps;
        else ((double *)mask)[t * tile + r] = t < steps;
    }
}

static double number_at(const void *values, int32_t dtype, int64_t i)
{
    return dtype == ROB_F32 ? (double)((const float *)values)[i]
                            : ((const double *)values)[i];
}

static void set_number(void *values, int32_t dtype, int64_t i, double value)
{
    if (dtype == ROB_F32) ((float *)values)[i] = (float)value;
    else ((double *)values)[i] = value;
}

static void load_rows(const batch *b, rob_work *w, int64_t first, int64_t count)
{
    const rob_evaluator *e = b->e;
    void *x = rob_priv_work_at(w, b->p->x);
    void *mask = e->masked ? rob_priv_work_at(w, b->p->mask) : NULL;
    for (int64_t r = 0; r < count; r++) {
        const double *point = b->point[first + r];
        int64_t steps = b->steps[first + r];
        if (e->dtype == ROB_F32) put_row_f32(x, point, steps, e, b->p->rows, r);
        else put_row_f64(x, point, steps, e, b->p->rows, r);
        if (mask) put_mask(mask, steps, e, b->p->rows, r);
    }
}

/* seed (B,L) from the outputs of every row; rows behind the last have zero */
static void seed_rows(const batch *b, rob_work *w, int64_t first, int64_t count,
                      double *seed)
{
    int64_t outputs = b->e->outputs;
    void *at = rob_priv_work_at(w, b->p->seed);
    for (int64_t r = 0; r < b->p->rows; r++) {
        for (int64_t k = 0; k < outputs; k++) seed[k] = 0;
        if (r < count)
            b->seed(b->user, first + r, b->logits + (first + r) * outputs, seed);
        for (int64_t k = 0; k < outputs; k++)
            set_number(at, b->e->dtype, r * outputs + k, seed[k]);
    }
}

/* grad[r] (steps,D) <- (T,B,D) */
static void store_gradient(const batch *b, rob_work *w, int64_t first, int64_t count)
{
    const rob_evaluator *e = b->e;
    int64_t d = e->features;
    const void *from = b->p->grad == ROB_NONE ? NULL : rob_priv_work_at(w, b->p->grad);
    for (int64_t r = 0; r < count; r++) {
        double *to = b->grad[first + r];
        for (int64_t t = 0; t < b->steps[first + r]; t++)
            for (int64_t j = 0; j < d; j++)
                *to++ =
                    from ? number_at(from, e->dtype, (t * b->p->rows + r) * d + j) : 0;
    }
}

static void run_tile(void *user, int64_t task, int32_t worker)
{
    const batch *b = user;
    const rob_evaluator *e = b->e;
    rob_work *w = b->p->work[worker];
    int64_t first = task * b->p->rows;
    int64_t count = b->rows - first < b->p->rows ? b->rows - first : b->p->rows;
    load_rows(b, w, first, count);
    rob_priv_run(w, 0);
    const void *logits = rob_priv_work_at(w, b->p->logits);
    for (int64_t i = 0; i < count * e->outputs; i++)
        b->logits[first * e->outputs + i] = number_at(logits, e->dtype, i);
    if (!b->seed) return;
    seed_rows(b, w, first, count, e->seed + worker * e->outputs);
    if (b->p->grad != ROB_NONE) rob_priv_run(w, 1);
    store_gradient(b, w, first, count);
}

/* ---- programs -------------------------------------------------------------------- */

static void emit_program(rob_evaluator *e, program *p)
{
    rob_graph *g = p->graph;
    int64_t rows = p->rows;
    p->mask = p->seed = p->grad = ROB_NONE;
    p->x = rob_priv_input(g, rob_priv_shape3(e->steps, rows, e->features));
    if (e->masked) p->mask = rob_priv_input(g, rob_priv_shape3(e->steps, rows, 1));
    p->logits = rob_priv_model_emit(e->model, g, p->x, p->mask, NULL);
    if (!e->gradient) return;
    p->seed = rob_priv_input(g, rob_priv_shape2(rows, e->outputs));
    rob_priv_vjp(g, &p->logits, &p->seed, 1, &p->x, 1, &p->grad);
}

static rob_status build_program(rob_ctx *ctx, rob_evaluator *e, program *p)
{
    rob_status status = ROB_OK;
    static const int32_t stage[2] = { 0, 1 };
    rob_id want[2];
    TRY(rob_priv_graph_create(ctx, &p->graph));
    emit_program(e, p);
    TRY(rob_priv_graph_status(ctx, p->graph));
    want[0] = p->logits;
    want[1] = p->grad;
    TRY(rob_priv_plan_create(ctx, p->graph, e->dtype, want, stage,
                             p->grad == ROB_NONE ? 1 : 2, &p->plan));
done:
    if (status < ROB_OK) {
        rob_priv_graph_free(p->graph);
        p->graph = NULL;
    }
    return status;
}

/* Workspaces for every worker of ctx; nothing to do when they are there. */
static rob_status ready_program(rob_ctx *ctx, rob_evaluator *e, program *p,
                                int64_t rows)
{
    rob_status status = ROB_OK;
    int32_t workers = ctx->threads > 1 ? ctx->threads : 1;
    p->rows = rows;
    if (!p->plan) TRY(build_program(ctx, e, p));
    if (p->works < workers) {
        void *grown =
            rob_priv_grow(&e->memory, p->work, p->works, workers, sizeof *p->work);
        if (!grown) return rob_priv_no_memory(ctx);
        p->work = grown;
        for (; p->works < workers; p->works++)
            TRY(rob_priv_work_create(ctx, p->plan, &p->work[p->works]));
    }
    if (e->seeds < workers) {
        void *grown = rob_priv_grow(&e->memory, e->seed, 0, workers * e->outputs,
                                    sizeof *e->seed);
        if (!grown) return rob_priv_no_memory(ctx);
        e->seed = grown;
        e->seeds = workers;
    }
done:
    return status;
}

static int64_t tiles_of(int64_t rows, int64_t tile) { return (rows + tile - 1) / tile; }

/* The tile size whose longest worker finishes first. */
static int32_t choose_program(int64_t rows, int64_t workers)
{
    int32_t best = 0;
    int64_t least = INT64_MAX;
    for (int32_t k = 0; k < PROGRAMS; k++) {
        int64_t rounds = tiles_of(tiles_of(rows, tile_rows[k]), workers);
        int64_t cost = rounds * (tile_rows[k] + TILE_OVERHEAD);
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    return best;
}

static rob_status call_back(rob_ctx *ctx, const batch *b)
{
    rob_status status = ROB_OK;
    rob_evaluator *e = b->e;
    const rob_calling call = { .model = e->model,
                               .narrow = e->dtype == ROB_F32,
                               .rows = b->rows,
                               .point = b->point,
                               .steps = b->steps,
                               .logits = b->logits,
                               .seed = b->seed,
                               .user = b->user,
                               .grad = b->grad };
    TRY(rob_priv_called_room(ctx, &e->called, e->steps * e->features, e->outputs));
    TRY(rob_priv_called_run(ctx, &e->called, &call));
done:
    return status;
}

static rob_status run_batch(rob_ctx *ctx, batch *b)
{
    rob_status status = ROB_OK;
    if (b->rows == 0) return ROB_OK;
    if (b->e->model->callback.logits) return call_back(ctx, b);
    /* a transformer has no steps to share a pass: a row at a time stays in the cache */
    int32_t k = b->e->model->recipe.kind == ROB_KIND_TRANSFORMER
                    ? 0
                    : choose_program(b->rows, ctx->threads > 1 ? ctx->threads : 1);
    b->p = &b->e->program[k];
    TRY(ready_program(ctx, b->e, b->p, tile_rows[k]));
    rob_priv_parallel(ctx, run_tile, b, tiles_of(b->rows, b->p->rows));
done:
    return status;
}

/* ---- life and use ---------------------------------------------------------------- */

rob_status rob_priv_evaluator_create(rob_ctx *ctx, const rob_model *model,
                                     int32_t dtype, int64_t steps, bool lengths_differ,
                                     bool gradient, rob_evaluator **out)
{
    rob_evaluator *e = rob_priv_allocate(&ctx->memory, 1, sizeof *e);
    *out = NULL;
    if (!e) return rob_priv_no_memory(ctx);
    e->memory = ctx->memory;
    e->model = rob_priv_model_keep((rob_model *)model);
    e->dtype = dtype;
    e->isa = ctx->isa;
    e->steps = steps;
    e->features = model->recipe.features;
    e->outputs = model->recipe.outputs;
    e->lengths_differ = lengths_differ;
    /* a mean over a known number of steps is folded into other places than one over a
     * row's own: with the mask always there, a row alone keeps its bits */
    e->masked = lengths_differ
                || (model->recipe.readout != ROB_READOUT_LAST
                    && model->recipe.kind != ROB_KIND_TRANSFORMER);
    e->gradient = gradient;
    *out = e;
    return ROB_OK;
}

static void free_program(const rob_memory *m, program *p)
{
    for (int32_t k = 0; k < p->works; k++) rob_priv_work_free(p->work[k]);
    rob_priv_release(m, p->work);
    rob_priv_plan_free(p->plan);
    rob_priv_graph_free(p->graph);
}

void rob_priv_evaluator_free(rob_evaluator *e)
{
    if (!e) return;
    rob_memory memory = e->memory;
    for (int k = 0; k < PROGRAMS; k++) free_program(&memory, &e->program[k]);
    rob_priv_called_free(&memory, &e->called);
    rob_priv_release(&memory, e->seed);
    rob_model_free(e->model);
    rob_priv_release(&memory, e);
}

bool rob_priv_evaluator_fits(const rob_evaluator *e, const rob_ctx *ctx, int64_t steps,
                             bool lengths_differ)
{
    return e->steps == steps && e->lengths_differ == lengths_differ
           && e->isa == ctx->isa;
}

rob_status rob_priv_evaluate(rob_ctx *ctx, rob_evaluator *e, int64_t rows,
                             const double *const *point, const int64_t *steps,
                             double *logits)
{
    batch b = {
        .e = e, .rows = rows, .point = point, .steps = steps, .logits = logits
    };
    return run_batch(ctx, &b);
}

rob_status rob_priv_gradients(rob_ctx *ctx, rob_evaluator *e, int64_t rows,
                              const double *const *point, const int64_t *steps,
                              double *logits,
                              void (*seed)(void *user, int64_t row,
                                           const double *logits, double *seed),
                              void *user, double *const *grad)
{
    batch b = { .e = e,
                .rows = rows,
                .point = point,
                .steps = steps,
                .logits = logits,
                .seed = seed,
                .user = user,
                .grad = grad };
    return run_batch(ctx, &b);
}
