/* prepare.c -- what happens to one series between the file and the data set.
 *
 * In this order, each only when its option asks for it, every feature by itself:
 *     level    m = median x;   x <- x/m - 1  (median), 10^6 (x/m - 1)  (ppm)
 *     detrend  b = running median;  x <- x/b - 1 in units of the level, else x - b
 *     fold     medians in bins of phase (curve.c)
 *     gaps     what is missing becomes linear in time between its neighbours; counted
 *     scale    x <- (x - s)/c;  zscore: s mean, c root mean square of x - s;
 *              mad: s median, c = 1.4826 median |x - s|;  c = 1 where that is 0
 * s and c are kept with the series (shift, scale): statistics of the series as it was
 * read, which an attack on x does not change.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

/* Everything one series needs. */
typedef struct bench {
    const char *normalize, *path;
    rob_fold fold;
    double unit, detrend; /* unit: 0: keep the level; 1, 1e6 */
    int64_t steps, bins, features, row;
    double *block; /* (max(steps, bins), features), shift, scale: the result */
    double *time, *axis, *column, *trend, *work, *folded;
    int64_t *place;
} bench;

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static rob_status open_bench(rob_ctx *ctx, const rob_data *d, const rob_series *s,
                             bench *b)
{
    const int64_t n = b->steps, most = larger(n, b->bins);
    b->normalize = d->text[ROB_DATA_NORMALIZE];
    b->detrend = rob_priv_data_value(d, "detrend");
    b->unit = rob_priv_list_has(b->normalize, "ppm")      ? 1e6
              : rob_priv_list_has(b->normalize, "median") ? 1.0
                                                          : 0.0;
    b->block = rob_priv_allocate(&ctx->memory, (most + 2) * b->features,
                                 (int64_t)sizeof *b->block);
    b->time = rob_priv_allocate(&ctx->memory, 6 * most, (int64_t)sizeof *b->time);
    b->place = rob_priv_allocate(&ctx->memory, 2 * most, (int64_t)sizeof *b->place);
    if (b->block == NULL || b->time == NULL || b->place == NULL)
        return rob_priv_no_memory(ctx);
    b->axis = b->time + most;
    b->column = b->axis + most;
    b->trend = b->column + most;
    b->work = b->trend + most;
    b->folded = b->work + most;
    for (int64_t k = 0; k < n; k++) b->time[k] = rob_priv_series_time(s, k);
    return ROB_OK;
}

static void close_bench(rob_ctx *ctx, bench *b)
{
    rob_priv_release(&ctx->memory, b->block);
    rob_priv_release(&ctx->memory, b->time);
    rob_priv_release(&ctx->memory, b->place);
}

/* ---- the steps ------------------------------------------------------------------- */

static rob_status check_gaps(rob_ctx *ctx, const bench *b, double most)
{
    rob_status status = ROB_OK;
    int64_t missing = 0;
    for (int64_t k = 0; k < b->steps; k++) {
        CHECK(!isinf(b->column[k]), ctx, ROB_EFORMAT,
              "'%.200s' row %lld: value %lld is not finite", b->path, (long long)b->row,
              (long long)k + 1);
        missing += isnan(b->column[k]);
    }
    CHECK(missing < b->steps && (double)missing <= most * (double)b->steps, ctx,
          ROB_EFORMAT,
          "'%.200s' row %lld: %lld of %lld values are missing; option gaps=%g allows a "
          "share of that",
          b->path, (long long)b->row, (long long)missing, (long long)b->steps, most);
done:
    return status;
}

static rob_status level_out(rob_ctx *ctx, bench *b, rob_series *s)
{
    rob_status status = ROB_OK;
    if (b->detrend > 0) {
        rob_priv_curve_trend(b->time, b->column, b->steps, b->detrend, &b->fold,
                             b->trend, b->work);
        CHECK(rob_priv_curve_fill(b->time, b->trend, b->steps) >= 0, ctx, ROB_EFORMAT,
              "'%.200s' row %lld: no point is left for the trend", b->path,
              (long long)b->row);
    }
    if (b->unit > 0) {
        s->level = rob_priv_curve_median(b->column, b->steps, b->work);
        CHECK(s->level > 0, ctx, ROB_EDOMAIN,
              "'%.200s' row %lld has median %g; option normalize=%.40s divides by it",
              b->path, (long long)b->row, s->level, b->normalize);
    }
    for (int64_t k = 0; k < b->steps; k++) {
        double base = b->detrend > 0 ? b->trend[k] : b->unit > 0 ? s->level : 0.0;
        CHECK(b->unit == 0 || base > 0, ctx, ROB_EDOMAIN,
              "'%.200s' row %lld: the trend at step %lld is %g", b->path,
              (long long)b->row, (long long)k + 1, base);
        b->column[k] =
            b->unit > 0 ? b->unit * (b->column[k] / base - 1.0) : b->column[k] - base;
    }
done:
    return status;
}

static double root_mean_square(const double *x, int64_t n, double shift)
{
    double sum = 0.0;
    for (int64_t k = 0; k < n; k++) sum += (x[k] - shift) * (x[k] - shift);
    return sqrt(sum / (double)n);
}

static void statistics(bench *b, const double *x, int64_t n, double *shift,
                       double *scale)
{
    *shift = 0.0;
    *scale = 1.0;
    if (rob_priv_list_has(b->normalize, "zscore")) {
        for (int64_t k = 0; k < n; k++) *shift += x[k] / (double)n;
        *scale = root_mean_square(x, n, *shift);
    } else if (rob_priv_list_has(b->normalize, "mad")) {
        *shift = rob_priv_curve_median(x, n, b->work);
        for (int64_t k = 0; k < n; k++) b->trend[k] = fabs(x[k] - *shift);
        *scale = 1.4826 * rob_priv_curve_median(b->trend, n, b->work);
    }
    if (!(*scale > 0)) *scale = 1.0;
}

/* False: too few bins of the view have a point. */
static bool fold_column(bench *b, double coverage)
{
    int64_t covered = 0;
    rob_priv_curve_fold(b->time, b->column, b->steps, &b->fold, b->place, b->work,
                        b->folded);
    for (int64_t k = 0; k < b->bins; k++) covered += isfinite(b->folded[k]);
    return covered > 0 && (double)covered >= coverage * (double)b->bins;
}

static rob_status prepare_feature(rob_ctx *ctx, rob_data *d, bench *b, rob_series *s,
                                  int64_t f, bool *fits)
{
    rob_status status = ROB_OK;
    double *x = b->column;
    int64_t n = b->steps;
    for (int64_t k = 0; k < n; k++) x[k] = s->x[k * b->features + f];
    TRY(check_gaps(ctx, b, rob_priv_data_value(d, "gaps")));
    if (b->unit > 0 || b->detrend > 0) TRY(level_out(ctx, b, s));
    if (b->bins > 0) {
        *fits = *fits && fold_column(b, rob_priv_data_value(d, "coverage"));
        if (!*fits) return ROB_OK;
        x = b->folded;
        n = b->bins;
        double start, dt;
        rob_priv_curve_axis(&b->fold, &start, &dt);
        for (int64_t k = 0; k < n; k++) b->axis[k] = start + ((double)k + 0.5) * dt;
    }
    s->gaps += rob_priv_curve_fill(b->bins > 0 ? b->axis : b->time, x, n);
    double *shift = b->block + n * b->features + f, *scale = shift + b->features;
    statistics(b, x, n, shift, scale);
    for (int64_t k = 0; k < n; k++)
        b->block[k * b->features + f] = (x[k] - *shift) / *scale;
done:
    return status;
}

/* ---- the fold and the units ------------------------------------------------------ */

static rob_status choose_fold(rob_ctx *ctx, const rob_data *d, rob_series *s, bench *b)
{
    rob_status status = ROB_OK;
    rob_priv_fold_parse(d->text[ROB_DATA_FOLD], &b->fold);
    if (b->fold.bins == 0) return ROB_OK;
    if (b->fold.from_meta) {
        b->fold.period = s->period;
        b->fold.epoch = s->epoch;
        b->fold.duration = s->duration;
    }
    CHECK(b->fold.period > 0 && isfinite(b->fold.period) && isfinite(b->fold.epoch),
          ctx, ROB_EFORMAT,
          "'%.200s' row %lld has no period and epoch to fold at; read a table with "
          "role=meta first",
          b->path, (long long)b->row);
    CHECK(b->fold.width == 0 || b->fold.duration > 0, ctx, ROB_EFORMAT,
          "'%.200s' row %lld has no duration; a fold with a width needs one", b->path,
          (long long)b->row);
    s->period = b->fold.period;
    s->epoch = b->fold.epoch;
    s->duration = b->fold.duration;
    b->bins = b->fold.bins;
done:
    return status;
}

static void name_units(rob_data *d, const bench *b)
{
    const char *units = b->unit > 1.0 ? "ppm" : b->unit > 0 ? "relative" : "";
    const char *time = b->bins == 0        ? d->text[ROB_DATA_TIME_UNITS]
                       : b->fold.width > 0 ? "durations"
                                           : "periods";
    if (!*units) units = d->text[ROB_DATA_UNITS];
    memcpy(d->units, units, strnlen(units, sizeof d->units - 1) + 1);
    d->units[sizeof d->units - 1] = 0;
    memcpy(d->time_units, time, strnlen(time, sizeof d->time_units - 1) + 1);
    d->time_units[sizeof d->time_units - 1] = 0;
}

/* s->x is the caller's before and a block of ctx->memory, or NULL, behind. */
rob_status rob_priv_prepare(rob_ctx *ctx, rob_data *d, rob_series *s, int64_t features,
                            const char *path, int64_t row, bool *fits)
{
    rob_status status = ROB_OK;
    bench b = { .steps = s->steps, .features = features, .row = row, .path = path };
    *fits = true;
    TRY(choose_fold(ctx, d, s, &b));
    TRY(open_bench(ctx, d, s, &b));
    for (int64_t f = 0; f < features && *fits; f++)
        TRY(prepare_feature(ctx, d, &b, s, f, fits));
    if (b.bins > 0) {
        s->steps = b.bins;
        s->time = NULL;
        rob_priv_curve_axis(&b.fold, &s->start, &s->dt);
        s->start += 0.5 * s->dt;
    }
    s->shift = b.block + s->steps * features;
    s->scale = s->shift + features;
    name_units(d, &b);
done:
    s->x = status == ROB_OK ? b.block : NULL;
    if (status == ROB_OK) b.block = NULL;
    close_bench(ctx, &b);
    return status;
}
