/* odds.c -- the radii a report looks at, and the probability of failing at each.
 *
 * The grid is geometric. From below it starts at half the least proved distance; above
 * it reaches 2 median(U) sqrt(d), d the numbers that may move: for a flat boundary at
 * distance r the probability of failing is Phi(-r sqrt(d)/rho) in high dimension, so
 * random failures begin near r sqrt(d)/z and the grid ends where they are common. Where
 * rho <= L_i the probability is zero, proved, and is written so; radii short of every
 * failing point known are not sampled. The one radius by
 * which series are compared is the grid's nearest to median(U) sqrt(d)/1.645, where a
 * flat boundary would give 5 %.
 */
#include "report/report.h"

#include <robust/sampler.h>

#include <math.h>
#include <string.h>

static double least_positive(const double *x, int64_t n)
{
    double least = INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (x[i] > 0) least = fmin(least, x[i]);
    return least;
}

static double largest_finite(const double *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i])) most = fmax(most, x[i]);
    return most;
}

/* The positive finite number with as many below as above, by counting: n is small. */
static double middle(const double *x, int64_t n)
{
    int64_t all = 0;
    for (int64_t i = 0; i < n; i++) all += isfinite(x[i]) && x[i] > 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t below = 0, same = 0;
        if (!isfinite(x[i]) || x[i] <= 0) continue;
        for (int64_t j = 0; j < n; j++) {
            below += isfinite(x[j]) && x[j] > 0 && x[j] < x[i];
            same += x[j] == x[i];
        }
        if (below <= all / 2 && all / 2 < below + same) return x[i];
    }
    return NAN;
}

static double grid_end(const rob_findings *f, double reach)
{
    double most = largest_finite(f->value[ROB_C_UPPER], f->count);
    double end = 2 * middle(f->value[ROB_C_UPPER], f->count) * reach;
    if (isnan(end)) end = 2 * largest_finite(f->value[ROB_C_LOWER], f->count) * reach;
    if (!(end > 0)) end = largest_finite(f->value[ROB_C_NORM], f->count);
    end = fmax(end, 1.5 * most);
    return end > 0 ? end : 1;
}

static double grid_start(const rob_findings *f, double end)
{
    double start = 0.5 * least_positive(f->value[ROB_C_LOWER], f->count);
    if (isinf(start)) start = 0.1 * least_positive(f->value[ROB_C_UPPER], f->count);
    return isinf(start) || start >= end ? end / 1000 : fmax(start, end * 1e-6);
}

static int64_t nearest_of_grid(const rob_findings *f, double rho)
{
    const double *grid = f->value[ROB_C_RADIUS_GRID];
    int64_t best = 0;
    for (int64_t k = 1; k < f->radii; k++)
        if (fabs(log(grid[k] / rho)) < fabs(log(grid[best] / rho))) best = k;
    return best;
}

void rob_priv_report_grid(const rob_report *r, rob_findings *f)
{
    double *grid = f->value[ROB_C_RADIUS_GRID];
    double reach = f->norm == ROB_NORM_L2 ? sqrt((double)f->dimension) : 1;
    double end = r->option[ROB_REPORT_LARGEST], start = r->option[ROB_REPORT_SMALLEST];
    if (f->count == 0) return;
    if (end <= 0) end = grid_end(f, reach);
    if (start <= 0) start = grid_start(f, end);
    if (start > end) start = end;
    double ratio = end / start;
    for (int64_t k = 0; k < f->radii; k++)
        grid[k] = start * pow(ratio, (double)k / (double)(f->radii - 1));
    double rho = r->option[ROB_REPORT_RHO];
    double typical = middle(f->value[ROB_C_UPPER], f->count) * reach / 1.645;
    int64_t k = nearest_of_grid(f, rho > 0 ? rho : typical > 0 ? typical : end);
    if (rho > 0) grid[k] = rho;
    f->value[ROB_C_PROBABILITY_RADIUS][0] = grid[k];
}

/* ---- sampling -------------------------------------------------------------------- */

static rob_status make_sampler(rob_ctx *ctx, const rob_report *r, rob_sampler **out)
{
    rob_status status = ROB_OK;
    const char *method = r->text[ROB_REPORT_SAMPLER];
    if (!method) method = "mc";
    TRY(rob_sampler_create(ctx, method, out));
    TRY(rob_sampler_set(ctx, *out, "confidence", r->option[ROB_REPORT_CONFIDENCE]));
    if (strcmp(method, "split") != 0)
        TRY(rob_sampler_set(ctx, *out, "samples", r->option[ROB_REPORT_SAMPLES]));
    if (strcmp(method, "mc") != 0)
        TRY(rob_sampler_set(ctx, *out, "budget", r->option[ROB_REPORT_BUDGET]));
done:
    return status;
}

/* Cell (i, k) of the curves, as log10: proved zero within L_i, else as sampled. */
static void write_cell(rob_findings *f, int64_t i, int64_t k, const double *cell)
{
    static const int32_t COLUMN[] = { ROB_C_CURVE, ROB_C_CURVE_LOWER,
                                      ROB_C_CURVE_UPPER };
    bool safe = f->value[ROB_C_RADIUS_GRID][k] <= f->value[ROB_C_LOWER][i];
    for (int c = 0; c < 3; c++) {
        double value = cell ? cell[c] / log(10) : (double)NAN;
        f->value[COLUMN[c]][i * f->radii + k] = safe ? -INFINITY : value;
    }
}

static void write_curves(rob_findings *f, const double *logp, int64_t first)
{
    int64_t sampled = f->radii - first;
    for (int64_t i = 0; i < f->count; i++)
        for (int64_t k = 0; k < f->radii; k++)
            write_cell(f, i, k,
                       k < first ? NULL : logp + 3 * (i * sampled + k - first));
}

static void write_probabilities(rob_findings *f)
{
    int64_t k = nearest_of_grid(f, f->value[ROB_C_PROBABILITY_RADIUS][0]);
    for (int64_t i = 0; i < f->count; i++) {
        int64_t cell = i * f->radii + k;
        f->value[ROB_C_PROBABILITY][i] = pow(10, f->value[ROB_C_CURVE][cell]);
        f->value[ROB_C_PROBABILITY_LOWER][i] =
            pow(10, f->value[ROB_C_CURVE_LOWER][cell]);
        f->value[ROB_C_PROBABILITY_UPPER][i] =
            pow(10, f->value[ROB_C_CURVE_UPPER][cell]);
    }
}

/* First radius of the grid that reaches a point known to fail, or, for a series without
 * one, what is not proved. */
static int64_t first_open(const rob_findings *f)
{
    double least = INFINITY;
    int64_t k = 0;
    for (int64_t i = 0; i < f->count; i++) {
        double upper = f->value[ROB_C_UPPER][i], lower = f->value[ROB_C_LOWER][i];
        least = fmin(least, isfinite(upper) ? upper : lower > 0 ? lower : 0);
    }
    while (k < f->radii && f->value[ROB_C_RADIUS_GRID][k] < least) k++;
    return k;
}

rob_status rob_priv_report_odds(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_sampler *s = NULL;
    double *logp = NULL;
    if (f->norm != ROB_NORM_L2 || f->count == 0) return ROB_OK;
    if (r->option[ROB_REPORT_SAMPLES] < 1) return ROB_OK;
    int64_t first = first_open(f), sampled = f->radii - first,
            cells = f->count * f->radii;
    for (int32_t k = ROB_C_CURVE; k <= ROB_C_CURVE_UPPER; k++)
        TRY(rob_priv_findings_make(ctx, f, k, cells));
    logp = rob_priv_allocate(&ctx->memory, 3 * cells, (int64_t)sizeof *logp);
    CHECK(logp, ctx, ROB_EMEMORY, "out of memory for probabilities");
    for (int64_t k = 0; k < 3 * cells; k++) logp[k] = NAN;
    if (sampled > 0) {
        TRY(make_sampler(ctx, r, &s));
        TRY(end =
                rob_sampler_curve(ctx, s, r->query, f->value[ROB_C_RADIUS_GRID] + first,
                                  sampled, logp, 3 * cells));
    }
    write_curves(f, logp, first);
    write_probabilities(f);
    status = end;
done:
    rob_sampler_free(s);
    rob_priv_release(&ctx->memory, logp);
    return status;
}
