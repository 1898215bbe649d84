/* universal.c -- one perturbation for a whole data set.
 *
 * Sought is d in the ball of the query and what all series allow (universal_view.c), with
 * many F_i(x_i + V_i d) <= 0. Minimised is, over the series that hold,
 *     1/n sum_i F_i     or     1/n sum_i log(F_i + s),   s a tenth of the median margin,
 * the second one a vote of those that are nearly broken, by projected gradient on
 * mini-batches in the coordinates u of the region,
 *     u <- P(u + a_k r s(g)),   s(g) = -g/||g||_2, or -sign g (Linf),
 * a_k from 1/2 falling to 1/50, in a ball that for every other start grows from r/20 to r:
 * series that are broken drop out of g. The second start is
 * by iterated minimum-norm steps: one after the other, each series that holds adds to u
 * the least step that breaks it, and u is projected. After every pass over the data d is
 * rounded to float32 and judged on all series; kept is the one that breaks most, then the
 * one with the least sum of log(1 + F_i/s) over those that hold. Moosavi-Dezfooli, Fawzi, Fawzi & Frossard, CVPR 2017; the gradient
 * form is Shafahi et al., AAAI 2020. (docs/theory/attack.md, section 8.)
 */
#include "attack/universal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_TO_BREAK = 6 };

typedef struct sweep {
    rob_common c;
    rob_evaluator *slope;
    int64_t numbers, series, batch; /* numbers of a series; series that were right */
    int64_t *order;                 /* (series) of the query */
    const int64_t *row;             /* the batch at work: into order */
    bool votes;                     /* the logarithm is minimised */
    double soft;                    /* s */
    double radius;                  /* of the ball in force, at most the cap */
    double *u, *sum, *way, *best;   /* (max(m, n)), (n), (m), (n) */
    double *points, *grads;         /* (batch, numbers) */
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
    const rob_spec *spec = &s->c.q->cases[s->row[row]].spec;
    int64_t deciding;
    double margin = rob_priv_spec_margin(spec, logits, &deciding);
    if (margin <= 0) return;
    for (int64_t k = 0; k < spec->outputs; k++)
        seed[k] = spec->c[deciding * spec->outputs + k]
                  / (s->votes ? margin + s->soft : 1);
}

static int64_t place_batch(sweep *s, int64_t first)
{
    int64_t left = s->series - first, rows = left < s->batch ? left : s->batch;
    s->row = s->order + first;
    for (int64_t r = 0; r < rows; r++) {
        rob_priv_common_place(&s->c, s->row[r], s->c.d, s->points + r * s->numbers);
        s->steps[r] = s->c.steps;
    }
    return rows;
}

/* way <- gradient in coordinates, of the batch placed */
static rob_status slope_of(sweep *s, int64_t rows)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_gradients(s->c.ctx, s->slope, rows, s->point, s->steps, s->logits,
                           seed_row, s, s->grad));
    memset(s->sum, 0, (size_t)s->c.n * sizeof *s->sum);
    for (int64_t r = 0; r < rows; r++)
        rob_priv_common_gather(&s->c, s->row[r], s->grad[r], s->sum);
    rob_priv_region_pull(&s->c.region, s->sum, s->sum, s->c.room);
done:
    return status;
}

static void hold(sweep *s)
{
    rob_priv_region_project(&s->c.region, s->radius, s->u, s->c.room);
    rob_priv_common_spread(&s->c, s->u, s->c.d);
}

static rob_status descend_batch(sweep *s, int64_t first, double rate)
{
    rob_status status = ROB_OK;
    int64_t rows = place_batch(s, first);
    int32_t shape = s->c.q->norm == ROB_NORM_LINF ? ROB_NORM_LINF : ROB_NORM_L2;
    TRY(slope_of(s, rows));
    if (!rob_priv_ball_steepest(shape, s->sum, s->c.m, s->way)) goto done;
    for (int64_t k = 0; k < s->c.m; k++) s->u[k] += rate * s->radius * s->way[k];
    hold(s);
done:
    return status;
}

/* ---- judging --------------------------------------------------------------------- */

/* d to float32 numbers that are still within, where the region survives rounding. */
static void round_delta(sweep *s)
{
    const rob_region *r = &s->c.region;
    if (!rob_priv_region_rounds(r)) return;
    for (double scale = 1; scale > 0.5; scale -= 0x1p-22) {
        for (int64_t i = 0; i < s->c.n; i++)
            s->sum[i] = (double)(float)(s->c.d[i] * scale);
        rob_priv_region_back(r, s->sum, s->way);
        if (rob_priv_norm(s->c.q->norm, s->way, s->c.m) <= s->c.cap
            && rob_priv_region_holds(r, s->way, s->c.room))
            break;
    }
    memcpy(s->c.d, s->sum, (size_t)s->c.n * sizeof *s->c.d);
    memcpy(s->u, s->way, (size_t)s->c.m * sizeof *s->u);
}

static rob_status judge(sweep *s)
{
    rob_status status = ROB_OK;
    int64_t fooled = 0;
    double hinge = 0;
    round_delta(s);
    for (int64_t first = 0, rows; first < s->series; first += rows) {
        rows = place_batch(s, first);
        TRY(rob_priv_evaluate(s->c.ctx, s->slope, rows, s->point, s->steps, s->logits));
        for (int64_t r = 0; r < rows; r++) {
            const rob_spec *spec = &s->c.q->cases[s->row[r]].spec;
            double margin =
                rob_priv_spec_margin(spec, s->logits + r * spec->outputs, NULL);
            fooled += margin <= 0;
            if (margin > 0) hinge += log1p(margin / s->soft);
        }
    }
    if (fooled > s->best_fooled
        || (fooled == s->best_fooled && hinge < s->best_hinge)) {
        s->best_fooled = fooled;
        s->best_hinge = hinge;
        memcpy(s->best, s->c.d, (size_t)s->c.n * sizeof *s->best);
    }
done:
    return status;
}

/* ---- iterated minimum-norm steps ------------------------------------------------- */

/* One series: linear steps until it is broken. */
static rob_status break_one(sweep *s, int64_t at)
{
    rob_status status = ROB_OK;
    for (int k = 0; k < STEPS_TO_BREAK; k++) {
        s->row = s->order + at;
        rob_priv_common_place(&s->c, *s->row, s->c.d, s->points);
        s->steps[0] = s->c.steps;
        TRY(slope_of(s, 1));
        const rob_spec *spec = &s->c.q->cases[*s->row].spec;
        double margin = rob_priv_spec_margin(spec, s->logits, NULL);
        if (!(margin > 0)) break;
        if (!rob_priv_region_plane(&s->c.region, s->u, s->sum, 1.02 * margin, s->way,
                                   s->c.room))
            break;
        for (int64_t i = 0; i < s->c.m; i++) s->u[i] += s->way[i];
        hold(s);
    }
done:
    return status;
}

static rob_status break_in_turn(sweep *s, rob_random *random)
{
    rob_status status = ROB_OK;
    int64_t passes = (int64_t)rob_priv_attack_option(s->c.a, "minimum");
    s->votes = false;
    for (int64_t pass = 0; pass < passes; pass++) {
        rob_priv_shuffle(random, s->order, s->series);
        for (int64_t i = 0; i < s->series; i++) {
            TRY(rob_priv_progress(s->c.ctx, "universal", 0, 1));
            if (status == ROB_STOPPED) goto done;
            TRY(break_one(s, i));
        }
        TRY(judge(s));
    }
done:
    return status;
}

/* ---- a search -------------------------------------------------------------------- */

static bool may_move(const sweep *s, int64_t k)
{
    return s->c.region.basis || rob_priv_region_scale(&s->c.region, k) > 0;
}

/* start 0 at zero, 1 by minimum-norm steps, the others at random */
static rob_status start_at(sweep *s, int64_t start, rob_random *random)
{
    rob_status status = ROB_OK;
    bool signs = s->c.q->norm == ROB_NORM_LINF;
    memset(s->u, 0, (size_t)s->c.m * sizeof *s->u);
    s->radius = s->c.cap;
    hold(s);
    if (start == 1) TRY(break_in_turn(s, random));
    if (status == ROB_STOPPED || start < 2) goto done;
    for (int64_t k = 0; k < s->c.m; k++)
        if (may_move(s, k))
            s->u[k] = signs ? s->c.cap * (2 * rob_priv_uniform(random) - 1)
                            : rob_priv_normal(random);
    double length = rob_priv_norm(s->c.q->norm, s->u, s->c.m);
    for (int64_t k = 0; length > 0 && !signs && k < s->c.m; k++)
        s->u[k] *= s->c.cap / length;
    hold(s);
done:
    return status;
}

static rob_status pass_over(sweep *s, double rate, rob_random *random)
{
    rob_status status = ROB_OK;
    rob_priv_shuffle(random, s->order, s->series);
    rob_priv_common_shift(&s->c, random);
    for (int64_t first = 0; first < s->series; first += s->batch)
        TRY(descend_batch(s, first, rate));
    TRY(judge(s));
done:
    return status;
}

static rob_status search(sweep *s)
{
    rob_status status = ROB_OK;
    int64_t passes = (int64_t)rob_priv_attack_option(s->c.a, "passes");
    int64_t all = passes * (int64_t)rob_priv_attack_option(s->c.a, "restarts");
    uint64_t seed = s->c.ctx->seed + (uint64_t)rob_priv_attack_option(s->c.a, "seed");
    for (int64_t k = 0; k < all; k++) {
        TRY(rob_priv_progress(s->c.ctx, "universal", k, all));
        if (status == ROB_STOPPED) goto done;
        double share = (double)(k % passes) / (double)passes;
        rob_random random = rob_priv_random(seed, 9ULL << 60 | (uint64_t)k);
        if (k % passes == 0) {
            TRY(start_at(s, k / passes, &random));
            if (status == ROB_STOPPED) goto done;
            TRY(judge(s));
            s->votes = k / passes % 2 == 1;
        }
        /* from small to large: far out, gates saturate and gradients say little */
        bool grows = k / passes % 2 == 0;
        s->radius = s->c.cap * (grows ? fmin(1, (1.5 * share) + 0.05) : 1);
        TRY(pass_over(s, fmax(0.5 * (1 - share), 0.02), &random));
    }
    TRY(rob_priv_progress(s->c.ctx, "universal", all, all));
done:
    return status;
}

/* ---- room ------------------------------------------------------------------------ */

static rob_status make_room(sweep *s)
{
    const rob_memory *m = &s->c.ctx->memory;
    int64_t count = s->c.q->count, most = s->c.n > s->c.m ? s->c.n : s->c.m;
    s->numbers = s->c.steps * s->c.region.features;
    s->batch = (int64_t)rob_priv_attack_option(s->c.a, "batch");
    if (s->batch > count) s->batch = count;
    s->order = rob_priv_allocate(m, count, sizeof *s->order);
    s->u = rob_priv_allocate(m, most, sizeof *s->u);
    s->sum = rob_priv_allocate(m, most, sizeof *s->sum);
    s->way = rob_priv_allocate(m, most, sizeof *s->way);
    s->points =
        rob_priv_allocate(m, s->numbers, s->batch * (int64_t)sizeof *s->points);
    s->grads = rob_priv_allocate(m, s->numbers, s->batch * (int64_t)sizeof *s->grads);
    s->point = rob_priv_allocate(m, s->batch, sizeof *s->point);
    s->grad = rob_priv_allocate(m, s->batch, sizeof *s->grad);
    s->steps = rob_priv_allocate(m, s->batch, sizeof *s->steps);
    s->logits = rob_priv_allocate(m, s->batch * s->c.q->model->recipe.outputs,
                                  sizeof *s->logits);
    if (!s->order || !s->u || !s->sum || !s->way || !s->points || !s->grads || !s->point
        || !s->grad || !s->steps || !s->logits)
        return rob_priv_no_memory(s->c.ctx);
    for (int64_t r = 0; r < s->batch; r++) {
        s->point[r] = s->points + r * s->numbers;
        s->grad[r] = s->grads + r * s->numbers;
    }
    return ROB_OK;
}

static void release(sweep *s)
{
    if (!s->c.ctx) return;
    const rob_memory *m = &s->c.ctx->memory;
    void *const all[] = { s->order,         s->u,     s->sum, s->way,
                          s->points,        s->grads, (void *)s->point,
                          (void *)s->grad,  s->steps, s->logits };
    for (int64_t k = 0; k < COUNT_OF(all); k++) rob_priv_release(m, all[k]);
    rob_priv_common_free(&s->c);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* the series that were right, and a tenth of their median margin */
static rob_status choose_series(sweep *s)
{
    const rob_query *q = s->c.q;
    double *margin = rob_priv_allocate(&s->c.ctx->memory, q->count, sizeof *margin);
    if (!margin) return rob_priv_no_memory(s->c.ctx);
    for (int64_t k = 0; k < q->count; k++) {
        if (q->cases[k].wrong) continue;
        margin[s->series] = q->cases[k].margin;
        s->order[s->series++] = k;
    }
    qsort(margin, (size_t)s->series, sizeof *margin, ascending);
    s->soft = s->series > 0 ? margin[s->series / 2] / 10 : 1;
    rob_priv_release(&s->c.ctx->memory, margin);
    return ROB_OK;
}

/* ---- the whole ------------------------------------------------------------------- */

rob_status rob_priv_universal_find(rob_ctx *ctx, const rob_attack *a, rob_query *q,
                                   double **delta, int64_t *n)
{
    rob_status status = ROB_OK;
    sweep s = { .best_fooled = -1 };
    bool wide = rob_priv_attack_option(a, "precision") > 32;
    *delta = NULL;
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(rob_priv_common_open(ctx, a, q, &s.c));
    TRY(rob_priv_query_evaluator(ctx, q, wide ? ROB_F64 : ROB_F32, true, &s.slope));
    TRY(make_room(&s));
    TRY(choose_series(&s));
    *n = s.c.n;
    s.best = *delta = rob_priv_allocate(&a->memory, s.c.n, sizeof **delta);
    if (!s.best) TRY(rob_priv_no_memory(ctx));
    if (s.series > 0) TRY(search(&s));
done:
    if (status < ROB_OK) {
        rob_priv_release(&a->memory, *delta);
        *delta = NULL;
    }
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
    double *f = NULL, length = 0;
    rob_common c = { 0 };
    rob_attack fresh = *a;
    rob_random random = rob_priv_random(
        ctx->seed + (uint64_t)rob_priv_attack_option(a, "seed"), 11ULL << 60);
    fresh.found = NULL;
    fresh.x = NULL;
    fresh.offset = NULL;
    fresh.count = fresh.fooled = fresh.judged = 0;
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(rob_priv_common_open(ctx, a, q, &c));
    CHECK(n == c.n, ctx, ROB_ESHAPE, "delta has %lld numbers; %lld are needed",
          (long long)n, (long long)c.n);
    TRY(rob_priv_common_inside(&c, delta, &length));
    TRY(rob_priv_attack_answers(ctx, q, &fresh));
    fresh.unit = rob_priv_query_unit(q);
    f = rob_priv_allocate(&ctx->memory, q->count * q->model->recipe.outputs, sizeof *f);
    if (!f && q->count > 0) TRY(rob_priv_no_memory(ctx));
    rob_priv_common_shift(&c, &random);
    for (int64_t i = 0; i < q->count; i++)
        rob_priv_common_place(&c, i, delta, fresh.found[i].point);
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
    rob_priv_common_free(&c);
    return status;
}
