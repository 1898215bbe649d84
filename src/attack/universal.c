/* universal.c -- one perturbation for a whole data set.
 *
 * Sought is d in the ball of the query, zero where any series' mask forbids, with many
 * F_i(x_i + d) <= 0. Minimised is the mean hinge 1/n sum_i max(0, F_i(x_i + d)) by
 * projected gradient on mini-batches,
 *     d <- P(d + a_k r s(g)),   s(g) = -g/||g||_2, or -sign g (Linf),
 * a_k from 1/2 falling to 1/50: series that are broken drop out of g. After every pass
 * over the data d is rounded to float32 and judged on all series; kept is the one that
 * breaks most, then the one of least hinge. Moosavi-Dezfooli, Fawzi, Fawzi & Frossard,
 * CVPR 2017; the gradient form is Shafahi et al., AAAI 2020. (docs/theory/attack.md.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

typedef struct sweep {
    rob_ctx *ctx;
    const rob_attack *a;
    rob_query *q;
    rob_evaluator *slope;
    double cap;
    int64_t n, series, batch; /* numbers a series; series that were right; of a batch */
    int64_t *order;           /* (series) of the query */
    const int64_t *row;       /* the batch at work: into order */
    uint8_t *may;             /* (n) allowed by every mask */
    double *delta, *best, *sum, *way; /* (n) */
    double *points, *grads;           /* (batch, n) */
    const double **point;
    double **grad;
    int64_t *steps;
    double *logits; /* (batch, L) */
    int64_t best_fooled;
    double best_hinge;
} sweep;

/* ---- a batch --------------------------------------------------------------------- */

/* Runs on workers: reads the sweep only. */
static void seed_row(void *user, int64_t row, const double *logits, double *seed)
{
    const sweep *s = user;
    const rob_spec *spec = &s->q->cases[s->row[row]].spec;
    int64_t deciding;
    if (rob_priv_spec_margin(spec, logits, &deciding) <= 0) return;
    memcpy(seed, spec->c + deciding * spec->outputs,
           (size_t)spec->outputs * sizeof *seed);
}

static int64_t place_batch(sweep *s, int64_t first)
{
    int64_t left = s->series - first, rows = left < s->batch ? left : s->batch;
    s->row = s->order + first;
    for (int64_t r = 0; r < rows; r++) {
        const rob_case *c = &s->q->cases[s->row[r]];
        for (int64_t i = 0; i < s->n; i++)
            s->points[r * s->n + i] = c->x[i] + s->delta[i];
        s->steps[r] = c->steps;
    }
    return rows;
}

static rob_status descend_batch(sweep *s, int64_t first, double rate)
{
    rob_status status = ROB_OK;
    int64_t rows = place_batch(s, first);
    int32_t shape = s->q->norm == ROB_NORM_LINF ? ROB_NORM_LINF : ROB_NORM_L2;
    TRY(rob_priv_gradients(s->ctx, s->slope, rows, s->point, s->steps, s->logits,
                           seed_row, s, s->grad));
    memset(s->sum, 0, (size_t)s->n * sizeof *s->sum);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < s->n; i++)
            if (s->may[i]) s->sum[i] += s->grad[r][i];
    if (!rob_priv_ball_steepest(shape, s->sum, s->n, s->way)) goto done;
    for (int64_t i = 0; i < s->n; i++) s->delta[i] += rate * s->cap * s->way[i];
    rob_priv_ball_project(s->q->norm, s->cap, s->delta, s->n);
done:
    return status;
}

/* ---- judging --------------------------------------------------------------------- */

/* To float32 numbers whose norm is still within the ball. */
static void round_delta(const sweep *s)
{
    for (double scale = 1;; scale -= 0x1p-22) {
        for (int64_t i = 0; i < s->n; i++)
            s->way[i] = (double)(float)(s->delta[i] * scale);
        if (rob_priv_norm(s->q->norm, s->way, s->n) <= s->cap) break;
    }
    memcpy(s->delta, s->way, (size_t)s->n * sizeof *s->delta);
}

static rob_status judge(sweep *s)
{
    rob_status status = ROB_OK;
    int64_t fooled = 0;
    double hinge = 0;
    round_delta(s);
    for (int64_t first = 0, rows; first < s->series; first += rows) {
        rows = place_batch(s, first);
        TRY(rob_priv_evaluate(s->ctx, s->slope, rows, s->point, s->steps, s->logits));
        for (int64_t r = 0; r < rows; r++) {
            const rob_spec *spec = &s->q->cases[s->row[r]].spec;
            double margin =
                rob_priv_spec_margin(spec, s->logits + r * spec->outputs, NULL);
            fooled += margin <= 0;
            if (margin > 0) hinge += margin;
        }
    }
    if (fooled > s->best_fooled
        || (fooled == s->best_fooled && hinge < s->best_hinge)) {
        s->best_fooled = fooled;
        s->best_hinge = hinge;
        memcpy(s->best, s->delta, (size_t)s->n * sizeof *s->best);
    }
done:
    return status;
}

/* ---- a search -------------------------------------------------------------------- */

static void start_at(sweep *s, int64_t start, rob_random *random)
{
    memset(s->delta, 0, (size_t)s->n * sizeof *s->delta);
    if (start == 0) return;
    for (int64_t i = 0; i < s->n; i++)
        if (s->may[i])
            s->delta[i] = s->q->norm == ROB_NORM_LINF
                              ? s->cap * (2 * rob_priv_uniform(random) - 1)
                              : rob_priv_normal(random);
    double length = rob_priv_norm(s->q->norm, s->delta, s->n);
    for (int64_t i = 0; length > 0 && s->q->norm != ROB_NORM_LINF && i < s->n; i++)
        s->delta[i] *= s->cap / length;
}

static rob_status search(sweep *s)
{
    rob_status status = ROB_OK;
    int64_t passes = (int64_t)rob_priv_attack_option(s->a, "passes");
    int64_t restarts = (int64_t)rob_priv_attack_option(s->a, "restarts");
    double seed = rob_priv_attack_option(s->a, "seed");
    for (int64_t k = 0; k < restarts * passes; k++) {
        TRY(rob_priv_progress(s->ctx, "universal", k, restarts * passes));
        if (status == ROB_STOPPED) goto done;
        double share = (double)(k % passes) / (double)passes;
        double rate = fmax(0.5 * (1 - share), 0.02);
        rob_random random =
            rob_priv_random(s->ctx->seed + (uint64_t)seed, 9ULL << 60 | (uint64_t)k);
        if (k % passes == 0) start_at(s, k / passes, &random);
        rob_priv_shuffle(&random, s->order, s->series);
        for (int64_t first = 0; first < s->series; first += s->batch)
            TRY(descend_batch(s, first, rate));
        TRY(judge(s));
    }
    TRY(rob_priv_progress(s->ctx, "universal", passes * restarts, passes * restarts));
done:
    return status;
}

/* ---- room ------------------------------------------------------------------------ */

static rob_status make_room(sweep *s)
{
    const rob_memory *m = &s->ctx->memory;
    int64_t count = s->q->count;
    s->batch = (int64_t)rob_priv_attack_option(s->a, "batch");
    if (s->batch > count) s->batch = count;
    s->order = rob_priv_allocate(m, count, sizeof *s->order);
    s->may = rob_priv_allocate(m, s->n, sizeof *s->may);
    s->delta = rob_priv_allocate(m, s->n, sizeof *s->delta);
    s->sum = rob_priv_allocate(m, s->n, sizeof *s->sum);
    s->way = rob_priv_allocate(m, s->n, sizeof *s->way);
    s->points = rob_priv_allocate(m, s->batch * s->n, sizeof *s->points);
    s->grads = rob_priv_allocate(m, s->batch * s->n, sizeof *s->grads);
    s->point = rob_priv_allocate(m, s->batch, sizeof *s->point);
    s->grad = rob_priv_allocate(m, s->batch, sizeof *s->grad);
    s->steps = rob_priv_allocate(m, s->batch, sizeof *s->steps);
    s->logits =
        rob_priv_allocate(m, s->batch * s->q->model->recipe.outputs, sizeof *s->logits);
    if (!s->order || !s->may || !s->delta || !s->sum || !s->way || !s->points
        || !s->grads || !s->point || !s->grad || !s->steps || !s->logits)
        return rob_priv_no_memory(s->ctx);
    for (int64_t r = 0; r < s->batch; r++) {
        s->point[r] = s->points + r * s->n;
        s->grad[r] = s->grads + r * s->n;
    }
    return ROB_OK;
}

static void release(sweep *s)
{
    const rob_memory *m = &s->ctx->memory;
    void *const all[] = { s->order,        s->may,    s->delta, s->sum,
                          s->way,          s->points, s->grads, (void *)s->point,
                          (void *)s->grad, s->steps,  s->logits };
    for (int64_t k = 0; k < COUNT_OF(all); k++) rob_priv_release(m, all[k]);
}

static void choose_series(sweep *s)
{
    for (int64_t i = 0; i < s->n; i++) s->may[i] = 1;
    for (int64_t k = 0; k < s->q->count; k++) {
        const uint8_t *mask = rob_priv_query_mask_of(s->q, k);
        if (!s->q->cases[k].wrong) s->order[s->series++] = k;
        for (int64_t i = 0; mask && i < s->n; i++)
            if (!mask[i]) s->may[i] = 0;
    }
}

/* ---- the whole ------------------------------------------------------------------- */

static rob_status same_size(rob_ctx *ctx, const rob_query *q, int64_t n)
{
    rob_status status = ROB_OK;
    for (int64_t i = 0; i < q->count; i++)
        CHECK(q->cases[i].steps * q->model->recipe.features == n, ctx, ROB_ESHAPE,
              "series %lld has %lld numbers; one perturbation for all needs %lld",
              (long long)i, (long long)(q->cases[i].steps * q->model->recipe.features),
              (long long)n);
done:
    return status;
}

rob_status rob_priv_universal_find(rob_ctx *ctx, const rob_attack *a, rob_query *q,
                                   double *delta, int64_t n)
{
    rob_status status = ROB_OK;
    sweep s = { .ctx = ctx,
                .a = a,
                .q = q,
                .cap = rob_priv_query_radius(q),
                .n = n,
                .best = delta,
                .best_fooled = -1 };
    bool wide = rob_priv_attack_option(a, "precision") > 32;
    TRY(same_size(ctx, q, n));
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(rob_priv_query_evaluator(ctx, q, wide ? ROB_F64 : ROB_F32, true, &s.slope));
    TRY(make_room(&s));
    choose_series(&s);
    memset(delta, 0, (size_t)n * sizeof *delta);
    if (s.series > 0) TRY(search(&s));
done:
    release(&s);
    return status;
}

/* F at x_i + d in both precisions, into f (count, L) each time; the larger margin */
static rob_status judge_in(rob_ctx *ctx, rob_query *q, int32_t dtype,
                           const rob_attack *a, double *f)
{
    rob_status status = ROB_OK;
    rob_evaluator *e;
    int64_t outputs = q->model->recipe.outputs;
    TRY(rob_priv_query_evaluator(ctx, q, dtype, false, &e));
    for (int64_t i = 0; i < q->count; i++) {
        const double *point = a->found[i].point;
        TRY(rob_priv_evaluate(ctx, e, 1, &point, &q->cases[i].steps, f + i * outputs));
        double margin = rob_priv_spec_margin(&q->cases[i].spec, f + i * outputs, NULL);
        if (dtype == ROB_F64 || margin > a->found[i].margin)
            a->found[i].margin = margin;
    }
done:
    return status;
}

rob_status rob_priv_universal_judge(rob_ctx *ctx, rob_attack *a, rob_query *q,
                                    const double *delta, int64_t n)
{
    rob_status status = ROB_OK;
    double *f = NULL, length = rob_priv_norm(q->norm, delta, n);
    rob_attack fresh = *a;
    fresh.found = NULL;
    fresh.x = NULL;
    fresh.offset = NULL;
    fresh.count = fresh.fooled = fresh.judged = 0;
    TRY(same_size(ctx, q, n));
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(rob_priv_attack_answers(ctx, q, &fresh));
    fresh.unit = rob_priv_query_unit(q);
    f = rob_priv_allocate(&ctx->memory, q->count * q->model->recipe.outputs, sizeof *f);
    if (!f && q->count > 0) TRY(rob_priv_no_memory(ctx));
    for (int64_t i = 0; i < q->count; i++)
        for (int64_t k = 0; k < n; k++) fresh.found[i].point[k] += delta[k];
    TRY(judge_in(ctx, q, ROB_F64, &fresh, f));
    TRY(judge_in(ctx, q, ROB_F32, &fresh, f));
    for (int64_t i = 0; i < q->count; i++) {
        rob_found *r = &fresh.found[i];
        r->found = r->margin <= 0;
        r->distance = r->found ? length : INFINITY;
        fresh.judged += !q->cases[i].wrong;
        fresh.fooled += !q->cases[i].wrong && r->found;
    }
    rob_priv_attack_forget(a);
    *a = fresh;
done:
    if (status < ROB_OK) rob_priv_attack_forget(&fresh);
    rob_priv_release(&ctx->memory, f);
    return status;
}
