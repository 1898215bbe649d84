/* smooth.c -- randomised smoothing: the class that noise cannot outvote.
 *
 *     g(x) = the class c with most P(argmax_k f_k(x + sigma E z) = c),  z ~ N(0, I_m),
 * E the region's linear map (mask, scale, subspace). A first sample chooses c, a second,
 * independent one bounds p_c from below by p (Clopper and Pearson, one-sided); then with
 * probability at least `confidence`, whenever p > 1/2, g is c on
 *     { x + E u : ||u||_2 < R },   R = sigma Phi^-1(p),
 * since the other classes together have at most 1 - p. Else the answer is to abstain.
 * Cohen, Rosenfeld & Kolter, ICML 2019. (docs/theory/sample.md, section 9.)
 */
#include "sample/curve.h"
#include "sample/closed.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 128, SELECT_SHARE = 20, SELECT_LEAST = 100 };

typedef struct noise {
    rob_ctx *ctx;
    rob_evaluator *evaluator;
    rob_region region;
    double sigma;
    uint64_t key;
    double *arena, *u, *logits; /* (BLOCK, n), (m), (BLOCK, L) */
    double *point[BLOCK];
    int64_t steps[BLOCK];
    int64_t *votes; /* (L) */
    int64_t outputs;
} noise;

static rob_status make_room(rob_ctx *ctx, const rob_query *q, noise *s)
{
    int64_t n = 1, m = 1;
    rob_region r;
    for (int64_t i = 0; i < q->count; i++) {
        rob_priv_query_region(q, i, &r);
        n = r.n > n ? r.n : n;
        m = r.m > m ? r.m : m;
    }
    s->ctx = ctx;
    s->outputs = q->model->recipe.outputs;
    s->arena = rob_priv_allocate(&ctx->memory, n, BLOCK * (int64_t)sizeof *s->arena);
    s->u = rob_priv_allocate(&ctx->memory, m, sizeof *s->u);
    s->logits =
        rob_priv_allocate(&ctx->memory, s->outputs, BLOCK * (int64_t)sizeof *s->logits);
    s->votes = rob_priv_allocate(&ctx->memory, s->outputs, sizeof *s->votes);
    if (!s->arena || !s->u || !s->logits || !s->votes) return rob_priv_no_memory(ctx);
    for (int64_t b = 0; b < BLOCK; b++) s->point[b] = s->arena + b * n;
    return ROB_OK;
}

static void free_room(noise *s)
{
    if (!s->ctx) return;
    rob_priv_release(&s->ctx->memory, s->arena);
    rob_priv_release(&s->ctx->memory, s->u);
    rob_priv_release(&s->ctx->memory, s->logits);
    rob_priv_release(&s->ctx->memory, s->votes);
}

/* votes of draws first .. first + count - 1 of the series' noise */
static rob_status vote(noise *s, int64_t first, int64_t count)
{
    rob_status status = ROB_OK;
    memset(s->votes, 0, (size_t)s->outputs * sizeof *s->votes);
    for (int64_t done = 0, rows; done < count; done += rows) {
        rows = count - done < BLOCK ? count - done : BLOCK;
        TRY(rob_priv_progress(s->ctx, "smooth", done, count));
        if (status == ROB_STOPPED) goto done;
        for (int64_t b = 0; b < rows; b++) {
            rob_random r = rob_priv_random(s->key, (uint64_t)(first + done + b));
            for (int64_t k = 0; k < s->region.m; k++)
                s->u[k] = s->sigma * rob_priv_normal(&r);
            rob_priv_region_move(&s->region, s->u, s->point[b]);
            s->steps[b] = s->region.steps;
        }
        TRY(rob_priv_evaluate(s->ctx, s->evaluator, rows,
                              (const double *const *)s->point, s->steps, s->logits));
        for (int64_t b = 0; b < rows; b++) {
            const double *f = s->logits + b * s->outputs;
            int64_t top = rob_priv_argmax(f, s->outputs);
            for (int64_t k = 0; k < s->outputs; k++)
                CHECK(!isnan(f[k]), s->ctx, ROB_ENUMERIC,
                      "the model's output at a sampled point is not a number");
            s->votes[top]++;
        }
    }
done:
    return status;
}

static int64_t elected(const noise *s)
{
    int64_t best = 0;
    for (int64_t k = 1; k < s->outputs; k++)
        if (s->votes[k] > s->votes[best]) best = k;
    return best;
}

/* out: class or -1, radius, p */
static rob_status smooth_one(noise *s, int64_t samples, double confidence, double *out)
{
    rob_status status = ROB_OK;
    double low, high;
    int64_t pilot = samples / SELECT_SHARE;
    if (pilot < SELECT_LEAST) pilot = SELECT_LEAST;
    TRY(vote(s, 0, pilot));
    if (status == ROB_STOPPED) goto done;
    int64_t best = elected(s);
    TRY(vote(s, pilot, samples));
    if (status == ROB_STOPPED) goto done;
    rob_priv_binomial_interval(s->votes[best], samples, fmax(2 * confidence - 1, 1e-9),
                               &low, &high);
    double p = exp(low);
    bool known = p > 0.5;
    out[0] = known ? (double)best : -1;
    /* a hair less than the quantile's and the logarithm's rounding may add */
    out[1] = known ? s->sigma * rob_priv_normal_width(2 * p - 1) * (1 - 1e-9) : 0;
    out[2] = p;
done:
    return status;
}

rob_status rob_priv_sampler_smooth(rob_ctx *ctx, const rob_sampler *s, rob_query *q,
                                   double sigma, double *out)
{
    rob_status status = ROB_OK;
    noise at = { 0 };
    double unit = rob_priv_query_unit(q);
    const rob_option *table = s->method->option;
    int64_t options = s->method->options;
    int64_t samples =
        (int64_t)rob_priv_option_get(table, options, s->option, "samples");
    double confidence = rob_priv_option_get(table, options, s->option, "confidence");
    bool wide = rob_priv_option_get(table, options, s->option, "precision") > 32;
    uint64_t seed =
        ctx->seed + (uint64_t)rob_priv_option_get(table, options, s->option, "seed");
    TRY(rob_priv_query_knows(ctx, q, ROB_PART_SCALE | ROB_PART_SUBSPACE, "smoothing"));
    TRY(make_room(ctx, q, &at));
    if (q->count > 0)
        TRY(rob_priv_query_evaluator(ctx, q, wide ? ROB_F64 : ROB_F32, false,
                                     &at.evaluator));
    at.sigma = sigma / unit;
    for (int64_t i = 0; i < q->count; i++) {
        double *own = out + 3 * i;
        rob_priv_query_region(q, i, &at.region);
        at.key = rob_priv_sphere_key(seed, i, ROB_DRAW_NOISE);
        TRY(smooth_one(&at, samples, confidence, own));
        if (status == ROB_STOPPED) break;
        own[1] *= unit;
    }
done:
    free_room(&at);
    return status;
}
