/* curve.c -- the probability of failing as a function of the radius, series by series.
 *
 *     F(u) = margin of the specification at x + rho S E u,   u in the unit sphere of R^m,
 * E the subspace, or the injection of the m numbers that may move (mask, scale not 0),
 * S the scale, rho in the units of the series. Evaluated in batches in the chosen precision. P = 1 where x itself fails, P =
 * 0 where nothing may move or rho = 0. (docs/theory/sample.md, sections 5 to 8.)
 */
#include "sample/curve.h"

#include <math.h>
#include <string.h>

/* ---- methods --------------------------------------------------------------------- */

#define COMMON                                                                        \
    {"confidence", 0.95, 0.5, 0.999999999, "", "of the intervals"},                   \
    {"precision", 32, 32, 64, "bits", "of the margins: above 32 means 64"},           \
    {"seed", 0, 0, 9007199254740992.0, "", "added to the context's seed"}
#define COUNTING                                                                      \
    {"samples", 10000, 1, 4294967295.0, "", "directions drawn a series and radius"}
#define SPLITTING                                                                     \
    {"particles", 256, 2, 1e6, "", "that pass the levels together"},                  \
    {"share", 0.125, 0, 0.5, "", "of the particles replaced a level; 0: one"},        \
    {"moves", 20, 1, 1e6, "", "geodesic moves of a replaced particle"},               \
    {"budget", 200000, 0, 1e15, "margins", "a series and radius; 0: no limit"},       \
    {"floor", 300, 1, 1e6, "decades", "nothing below 10^-floor is looked for"}

static const rob_option count_options[] = {
    COUNTING,
    COMMON
};
static const rob_option split_options[] = {
    SPLITTING,
    COMMON
};
static const rob_option auto_options[] = {
    COUNTING,
    {"enough", 100, 1, 1e9, "", "failures with which counting is enough"},
    SPLITTING,
    COMMON
};

static const rob_sampling samplings[] = {
    {"mc", count_options, COUNT_OF(count_options), true, false},
    {"split", split_options, COUNT_OF(split_options), false, true},
    {"auto", auto_options, COUNT_OF(auto_options), true, true},
};
_Static_assert(COUNT_OF(auto_options) <= ROB_SAMPLE_OPTIONS, "room for the options");

const rob_sampling *rob_priv_sampling(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(samplings); k++)
        if (strcmp(samplings[k].name, name) == 0) return &samplings[k];
    return NULL;
}

static double option(const rob_sampler *s, const char *name)
{
    return rob_priv_option_get(s->method->option, s->method->options, s->option, name);
}

static rob_sample_settings settings_of(const rob_sampler *s)
{
    rob_sample_settings to = {.confidence = option(s, "confidence")};
    if (s->method->count) to.samples = to.pilot = (int64_t)option(s, "samples");
    if (!s->method->split) return to;
    to.particles = (int64_t)option(s, "particles");
    to.share = option(s, "share");
    to.moves = (int64_t)option(s, "moves");
    to.budget = (int64_t)option(s, "budget");
    to.floor = -option(s, "floor") * 2.302585092994046;
    if (!s->method->count) return to;
    /* half the failures a tenth of the draws should show */
    to.pilot = (to.samples + 9) / 10;
    to.least = (int64_t)ceil(option(s, "enough") / 20);
    return to;
}

/* ---- the margin of a series on a sphere ------------------------------------------ */

typedef struct sphere {
    rob_ctx *ctx;
    rob_evaluator *evaluator;
    const rob_case *series;
    int64_t size, may_move;
    rob_region region;
    int64_t *place;           /* (may_move) where u[k] belongs */
    double *scale;            /* (may_move) */
    double *u;                /* (widest) rho u, with a subspace */
    double radius;            /* in the units of the series */
    double **point;           /* (block) -> (size) */
    double *arena, *logits;   /* (block, widest), (block, L) */
    int64_t *steps;           /* (block) */
} sphere;

static void place_on(sphere *s, const double *u, double *point)
{
    if (s->region.basis) {
        for (int64_t k = 0; k < s->may_move; k++) s->u[k] = s->radius * u[k];
        rob_priv_region_move(&s->region, s->u, point);
        return;
    }
    memcpy(point, s->series->x, (size_t)s->size * sizeof(double));
    for (int64_t k = 0; k < s->may_move; k++)
        point[s->place[k]] += s->radius * s->scale[k] * u[k];
}

static rob_status margins_on(void *user, int64_t rows, const double *const *u,
                             double *margin)
{
    rob_status status = ROB_OK;
    sphere *s = user;
    const rob_spec *spec = &s->series->spec;
    for (int64_t r = 0; r < rows; r++) {
        place_on(s, u[r], s->point[r]);
        s->steps[r] = s->series->steps;
    }
    TRY(rob_priv_evaluate(s->ctx, s->evaluator, rows, (const double *const *)s->point,
                          s->steps, s->logits));
    for (int64_t r = 0; r < rows; r++)
        margin[r] = rob_priv_spec_margin(spec, s->logits + r * spec->outputs, NULL);
done:
    return status;
}

static int64_t widest(const rob_query *q)
{
    int64_t most = 1;
    rob_region r;
    for (int64_t i = 0; i < q->count; i++) {
        rob_priv_query_region(q, i, &r);
        if (r.n > most) most = r.n;
        if (r.m > most) most = r.m;
    }
    return most;
}

static void free_sphere(const rob_memory *m, sphere *s)
{
    rob_priv_release(m, s->place);
    rob_priv_release(m, s->scale);
    rob_priv_release(m, s->u);
    rob_priv_release(m, s->point);
    rob_priv_release(m, s->arena);
    rob_priv_release(m, s->logits);
    rob_priv_release(m, s->steps);
}

static rob_status make_sphere(rob_ctx *ctx, const rob_query *q, int64_t block,
                              sphere *s)
{
    int64_t n = widest(q), outputs = q->model->recipe.outputs;
    s->ctx = ctx;
    s->place = rob_priv_allocate(&ctx->memory, n, sizeof *s->place);
    s->scale = rob_priv_allocate(&ctx->memory, n, sizeof *s->scale);
    s->u = rob_priv_allocate(&ctx->memory, n, sizeof *s->u);
    s->point = rob_priv_allocate(&ctx->memory, block, sizeof *s->point);
    s->arena = rob_priv_allocate(&ctx->memory, n, block * (int64_t)sizeof *s->arena);
    s->logits =
        rob_priv_allocate(&ctx->memory, outputs, block * (int64_t)sizeof(double));
    s->steps = rob_priv_allocate(&ctx->memory, block, sizeof *s->steps);
    if (!s->place || !s->scale || !s->u || !s->point || !s->arena || !s->logits || !s->steps)
        return rob_priv_no_memory(ctx);
    for (int64_t r = 0; r < block; r++) s->point[r] = s->arena + r * n;
    return ROB_OK;
}

static void enter_series(sphere *s, const rob_query *q, int64_t i)
{
    rob_priv_query_region(q, i, &s->region);
    s->series = &q->cases[i];
    s->size = s->region.n;
    s->may_move = 0;
    for (int64_t k = 0; k < s->region.m; k++) {
        double scale = s->region.basis ? 1 : rob_priv_region_scale(&s->region, k);
        if (scale == 0) continue;
        s->scale[s->may_move] = scale;
        s->place[s->may_move++] = k;
    }
}

/* ---- one radius ------------------------------------------------------------------ */

static rob_estimate certain(bool fails)
{
    double logp = fails ? 0 : -INFINITY;
    return (rob_estimate){.logp = logp, .lower = logp, .upper = logp,
                          .method = ROB_SAMPLED_EXACT};
}

/* Both upper ends hold with half the allowed error each: so does the smaller one. */
static void keep_better(const rob_estimate *counted, rob_estimate *out)
{
    int64_t calls = out->calls + counted->calls;
    if (isinf(out->logp) && counted->upper < out->upper) *out = *counted;
    out->calls = calls;
}

static rob_status estimate_one(rob_room *room, const rob_field *f, const rob_sampler *s,
                               uint64_t seed, int64_t i, rob_estimate *out)
{
    rob_status status = ROB_OK;
    rob_sample_settings to = settings_of(s);
    rob_estimate counted = {.logp = NAN};
    if (f->dimension == 1) return rob_priv_sample_exact(room, f, out);
    if (s->method->count) {
        TRY(rob_priv_sample_count(room, f, seed, i, &to, &counted));
        bool enough = !s->method->split || (double)counted.hits >= option(s, "enough");
        if (status == ROB_STOPPED) goto done;
        if (enough) *out = counted;
        if (enough) goto done;
    }
    TRY(rob_priv_sample_split(room, f, seed, i, &to, out));
    if (status == ROB_OK && s->method->count) keep_better(&counted, out);
done:
    return status;
}

/* ---- the whole curve ------------------------------------------------------------- */

void rob_priv_sampler_forget(rob_sampler *s)
{
    rob_priv_release(&s->memory, s->answer);
    rob_priv_release(&s->memory, s->radius);
    s->answer = NULL;
    s->radius = NULL;
    s->count = s->radii = 0;
}

static rob_status make_answers(rob_ctx *ctx, const rob_query *q, const double *radius,
                               int64_t radii, rob_sampler *to)
{
    bool fits = q->count == 0 || radii < INT64_MAX / 1024 / q->count;
    to->answer =
        fits ? rob_priv_allocate(&to->memory, q->count * radii, sizeof *to->answer)
             : NULL;
    to->radius = rob_priv_allocate(&to->memory, radii, sizeof *to->radius);
    if (!to->answer || !to->radius) return rob_priv_no_memory(ctx);
    to->count = q->count;
    to->radii = radii;
    memcpy(to->radius, radius, (size_t)radii * sizeof *radius);
    for (int64_t k = 0; k < q->count * radii; k++)
        to->answer[k] = (rob_estimate){.logp = NAN, .lower = NAN, .upper = NAN,
                                       .method = ROB_SAMPLED_NOT};
    return ROB_OK;
}

static rob_status sample_series(rob_room *room, rob_sampler *to, sphere *at,
                                double unit, uint64_t seed, int64_t i)
{
    rob_status status = ROB_OK;
    rob_field field = {.dimension = at->may_move, .margins = margins_on, .user = at};
    for (int64_t k = 0; k < to->radii && status == ROB_OK; k++, room->done++) {
        rob_estimate *answer = &to->answer[i * to->radii + k];
        at->radius = to->radius[k] / unit;
        bool still = at->radius == 0 || at->may_move == 0;
        if (at->series->wrong || still) *answer = certain(at->series->wrong);
        else TRY(estimate_one(room, &field, to, seed, i, answer));
    }
done:
    return status;
}

rob_status rob_priv_sampler_run(rob_ctx *ctx, rob_sampler *s, rob_query *q,
                                const double *radius, int64_t radii)
{
    rob_status status = ROB_OK;
    rob_sampler fresh = *s;
    rob_room room = {.memory = ctx->memory};
    sphere at = {.ctx = ctx};
    uint64_t seed = ctx->seed + (uint64_t)option(s, "seed");
    int32_t precision = option(s, "precision") > 32 ? ROB_F64 : ROB_F32;
    fresh.answer = NULL;
    fresh.radius = NULL;
    fresh.count = fresh.radii = 0;
    TRY(rob_priv_query_knows(ctx, q, ROB_PART_SCALE | ROB_PART_SUBSPACE, "a sampler"));
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(make_answers(ctx, q, radius, radii, &fresh));
    TRY(rob_priv_room_create(ctx, widest(q), settings_of(s).particles, &room));
    TRY(make_sphere(ctx, q, room.block, &at));
    if (q->count > 0)
        TRY(rob_priv_query_evaluator(ctx, q, precision, false, &at.evaluator));
    room.total = q->count * radii;
    for (int64_t i = 0; i < q->count && status == ROB_OK; i++) {
        enter_series(&at, q, i);
        TRY(sample_series(&room, &fresh, &at, rob_priv_query_unit(q), seed, i));
    }
    if (status == ROB_OK) TRY(rob_priv_progress(ctx, "sample", room.total, room.total));
    rob_priv_sampler_forget(s);
    *s = fresh;
done:
    if (status < ROB_OK) rob_priv_sampler_forget(&fresh);
    free_sphere(&ctx->memory, &at);
    rob_priv_room_free(&room);
    return status;
}
