/* local.c -- outputs, gradients and Hessian products at one point.
 *
 * For rows b of a tile, with objective coefficients c (B,L) and tangents v (B,T,D):
 *     f = f(x),   grad = (d f/d x)' s,   hv = d/de grad(x + e v) at e = 0,
 * s = c, or c + softmax(f) for the cross-entropy. The last is forward over reverse: the
 * graph of the gradient differentiated along v (Pearlmutter 1994; Griewank & Walther,
 * Evaluating Derivatives, 2nd ed., SIAM 2008, ch. 5). Three stages of one plan, so a
 * second tangent at the same x costs the last stage alone. A dense Hessian is its
 * products with unit vectors, TILE at a time. Third order: the graph of hv
 * differentiated along v once more, v itself held fixed.
 */
#include "query/local.h"

#include "diff/diff.h"
#include "run/run.h"

#include <math.h>
#include <string.h>

enum { TILE = 32 };

typedef struct program {
    rob_graph *graph;
    rob_plan *plan;
    rob_id x, c, v, logits, value, grad, hv, tv;
    bool third;
    int64_t rows;
    int32_t works;
    rob_work **work;
} program;

struct rob_local {
    rob_memory memory;
    rob_model *model;
    int32_t isa;
    int64_t steps, features, outputs;
    bool entropy;
    program one, many, cubic;
};

/* ---- programs -------------------------------------------------------------------- */

static void emit_program(const rob_local *l, program *p)
{
    rob_graph *g = p->graph;
    rob_shape column = rob_priv_shape2(p->rows, 1);
    rob_shape series = rob_priv_shape3(l->steps, p->rows, l->features);
    p->x = rob_priv_input(g, series);
    p->c = rob_priv_input(g, rob_priv_shape2(p->rows, l->outputs));
    p->v = rob_priv_input(g, series);
    p->logits = rob_priv_model_emit(l->model, g, p->x, ROB_NONE, NULL);
    p->value = g_sum_to(g, g_mul(g, p->logits, p->c), column);
    if (l->entropy) p->value = g_add(g, p->value, g_logsumexp(g, p->logits));
    rob_id one = rob_priv_fill(g, column, 1);
    p->grad = p->hv = p->tv = ROB_NONE;
    if (rob_priv_graph_failed(g)) return;
    rob_priv_vjp(g, &p->value, &one, 1, &p->x, 1, &p->grad);
    if (p->grad != ROB_NONE) rob_priv_jvp(g, &p->x, &p->v, 1, &p->grad, 1, &p->hv);
    if (p->third && p->hv != ROB_NONE)
        rob_priv_jvp(g, &p->x, &p->v, 1, &p->hv, 1, &p->tv);
}

static rob_status build_program(rob_ctx *ctx, const rob_local *l, program *p)
{
    rob_status status = ROB_OK;
    static const int32_t stage[5] = { 0, 1, 1, 2, 2 };
    rob_id want[5];
    TRY(rob_priv_graph_create(ctx, &p->graph));
    emit_program(l, p);
    TRY(rob_priv_graph_status(ctx, p->graph));
    want[0] = p->logits;
    want[1] = p->value;
    want[2] = p->grad;
    want[3] = p->hv;
    want[4] = p->tv;
    TRY(rob_priv_plan_create(ctx, p->graph, ROB_F64, want, stage,
                             p->grad == ROB_NONE ? 2
                             : p->hv == ROB_NONE ? 3
                             : p->tv == ROB_NONE ? 4
                                                 : 5,
                             &p->plan));
done:
    if (status < ROB_OK) {
        rob_priv_graph_free(p->graph);
        p->graph = NULL;
    }
    return status;
}

static rob_status ready_program(rob_ctx *ctx, rob_local *l, program *p, int64_t rows,
                                int32_t workers)
{
    rob_status status = ROB_OK;
    p->rows = rows;
    if (!p->plan) TRY(build_program(ctx, l, p));
    if (p->works < workers) {
        void *grown =
            rob_priv_grow(&l->memory, p->work, p->works, workers, sizeof *p->work);
        if (!grown) return rob_priv_no_memory(ctx);
        p->work = grown;
        for (; p->works < workers; p->works++)
            TRY(rob_priv_work_create(ctx, p->plan, &p->work[p->works]));
    }
done:
    return status;
}

static void free_program(const rob_memory *m, program *p)
{
    for (int32_t k = 0; k < p->works; k++) rob_priv_work_free(p->work[k]);
    rob_priv_release(m, p->work);
    rob_priv_plan_free(p->plan);
    rob_priv_graph_free(p->graph);
}

/* ---- life ------------------------------------------------------------------------ */

rob_status rob_priv_local_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                 bool entropy, rob_local **out)
{
    rob_status status = ROB_OK;
    rob_local *l = rob_priv_allocate(&ctx->memory, 1, sizeof *l);
    *out = NULL;
    if (!l) return rob_priv_no_memory(ctx);
    l->memory = ctx->memory;
    l->model = rob_priv_model_keep((rob_model *)model);
    l->isa = ctx->isa;
    l->steps = steps;
    l->features = model->recipe.features;
    l->outputs = model->recipe.outputs;
    l->entropy = entropy;
    TRY(ready_program(ctx, l, &l->one, 1, 1));
    *out = l;
    l = NULL;
done:
    rob_priv_local_free(l);
    return status;
}

void rob_priv_local_free(rob_local *l)
{
    if (!l) return;
    rob_memory memory = l->memory;
    free_program(&memory, &l->one);
    free_program(&memory, &l->many);
    free_program(&memory, &l->cubic);
    rob_model_free(l->model);
    rob_priv_release(&memory, l);
}

bool rob_priv_local_fits(const rob_local *l, const rob_ctx *ctx, const rob_model *model,
                         int64_t steps, bool entropy)
{
    return l->model == model && l->steps == steps && l->isa == ctx->isa
           && l->entropy == entropy;
}

bool rob_priv_local_flat(const rob_local *l) { return l->one.hv == ROB_NONE; }

/* ---- at one point ---------------------------------------------------------------- */

/* A value of a single program into out; zeros where the graph has none. An input that
 * nothing needs has no storage. */
static void take(const program *p, rob_id id, int64_t count, double *out)
{
    if (id == ROB_NONE) memset(out, 0, (size_t)count * sizeof *out);
    else rob_priv_work_get(p->work[0], id, out);
}

static void put(rob_work *w, rob_id id, const double *values)
{
    if (rob_priv_work_at(w, id)) rob_priv_work_set(w, id, values);
}

void rob_priv_local_place(rob_local *l, const double *x, double *f)
{
    rob_work *w = l->one.work[0];
    put(w, l->one.x, x);
    rob_priv_run(w, 0);
    if (f) take(&l->one, l->one.logits, l->outputs, f);
}

double rob_priv_local_gradient(rob_local *l, const double *c, double *grad)
{
    double value;
    put(l->one.work[0], l->one.c, c);
    rob_priv_run(l->one.work[0], 1);
    take(&l->one, l->one.value, 1, &value);
    take(&l->one, l->one.grad, l->steps * l->features, grad);
    return value;
}

void rob_priv_local_product(rob_local *l, const double *v, double *hv)
{
    if (l->one.hv != ROB_NONE) {
        put(l->one.work[0], l->one.v, v);
        rob_priv_run(l->one.work[0], 2);
    }
    take(&l->one, l->one.hv, l->steps * l->features, hv);
}

/* ---- third order ----------------------------------------------------------------- */

rob_status rob_priv_local_third(rob_ctx *ctx, rob_local *l)
{
    l->cubic.third = true;
    return ready_program(ctx, l, &l->cubic, 1, 1);
}

void rob_priv_local_third_place(rob_local *l, const double *x, const double *c)
{
    rob_work *w = l->cubic.work[0];
    put(w, l->cubic.x, x);
    put(w, l->cubic.c, c);
    rob_priv_run(w, 0);
    rob_priv_run(w, 1);
}

void rob_priv_local_third_product(rob_local *l, const double *v, double *hv, double *tv)
{
    const program *p = &l->cubic;
    if (p->hv != ROB_NONE) {
        put(p->work[0], p->v, v);
        rob_priv_run(p->work[0], 2);
    }
    take(p, p->hv, l->steps * l->features, hv);
    take(p, p->tv, l->steps * l->features, tv);
}

/* ---- the dense Hessian ----------------------------------------------------------- */

typedef struct sweep {
    rob_ctx *ctx;
    rob_local *l;
    const double *x, *c;
    const int64_t *free;
    int64_t m;
    double *h;
    bool *placed; /* (workers) */
} sweep;

/* x (T,B,D) <- the point, in every row; c (B,L) alike */
static void place_rows(const sweep *s, rob_work *w)
{
    const rob_local *l = s->l;
    double *x = rob_priv_work_at(w, l->many.x), *c = rob_priv_work_at(w, l->many.c);
    int64_t d = l->features;
    for (int64_t t = 0; x && t < l->steps; t++)
        for (int64_t r = 0; r < TILE; r++)
            memcpy(x + (t * TILE + r) * d, s->x + t * d, (size_t)d * sizeof *x);
    for (int64_t r = 0; c && r < TILE; r++)
        memcpy(c + r * l->outputs, s->c, (size_t)l->outputs * sizeof *c);
    rob_priv_run(w, 0);
    rob_priv_run(w, 1);
}

/* where coordinate i of row r stands in (T,B,D) */
static int64_t place_of(const rob_local *l, int64_t i, int64_t r)
{
    return (i / l->features * TILE + r) * l->features + i % l->features;
}

static void run_tile(void *user, int64_t task, int32_t worker)
{
    const sweep *s = user;
    const rob_local *l = s->l;
    rob_work *w = l->many.work[worker];
    int64_t first = task * TILE, rows = s->m - first < TILE ? s->m - first : TILE;
    if (rob_priv_cancelled(s->ctx)) return;
    if (!s->placed[worker]) place_rows(s, w);
    s->placed[worker] = true;
    double *v = rob_priv_work_at(w, l->many.v);
    memset(v, 0, (size_t)(l->steps * TILE * l->features) * sizeof *v);
    for (int64_t r = 0; r < rows; r++) v[place_of(l, s->free[first + r], r)] = 1;
    rob_priv_run(w, 2);
    const double *hv = rob_priv_work_at(w, l->many.hv);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < s->m; j++)
            s->h[(first + r) * s->m + j] = hv[place_of(l, s->free[j], r)];
}

rob_status rob_priv_local_hessian(rob_ctx *ctx, rob_local *l, const double *x,
                                  const double *c, const int64_t *free, int64_t m,
                                  double *h)
{
    rob_status status = ROB_OK;
    int32_t workers = ctx->threads > 1 ? ctx->threads : 1;
    sweep s = { .ctx = ctx, .l = l, .x = x, .c = c, .free = free, .m = m, .h = h };
    memset(h, 0, (size_t)(m * m) * sizeof *h);
    if (l->one.hv == ROB_NONE || m == 0) return ROB_OK;
    TRY(ready_program(ctx, l, &l->many, TILE, workers));
    s.placed = rob_priv_allocate(&l->memory, workers, sizeof *s.placed);
    if (!s.placed) return rob_priv_no_memory(ctx);
    rob_priv_parallel(ctx, run_tile, &s, (m + TILE - 1) / TILE);
    if (rob_priv_cancelled(ctx)) status = ROB_STOPPED;
done:
    rob_priv_release(&l->memory, s.placed);
    return status;
}
