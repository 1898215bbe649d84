/* fit.c -- features scaled by the statistics of a training set.
 *
 * Over all steps k of all series i of the set fitted on, for each feature f,
 *     mean m_f = avg x_i[k, f],   deviation s_f = sqrt(avg (x_i[k, f] - m_f)^2),  1 if
 * 0 x <- (x - m_f) / s_f,   shift <- shift + scale m_f,   scale <- scale s_f so shift +
 * scale x is what it was. Long steps and short series weigh by their steps. Two passes:
 * the mean first, so that a large mean does not eat the deviation.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

/* stat (2, D): means, deviations. */
static void measure(const rob_data *d, double *stat)
{
    const int64_t features = d->features;
    double *mean = stat, *deviation = stat + features, steps = 0.0;
    for (int64_t i = 0; i < d->count; i++) steps += (double)d->series[i].steps;
    for (int64_t i = 0; i < d->count; i++)
        for (int64_t k = 0; k < d->series[i].steps * features; k++)
            mean[k % features] += d->series[i].x[k] / steps;
    for (int64_t i = 0; i < d->count; i++)
        for (int64_t k = 0; k < d->series[i].steps * features; k++) {
            double off = d->series[i].x[k] - mean[k % features];
            deviation[k % features] += off * off / steps;
        }
    for (int64_t f = 0; f < features; f++)
        deviation[f] = deviation[f] > 0 ? sqrt(deviation[f]) : 1.0;
}

static void apply(rob_data *d, const double *stat)
{
    const double *mean = stat, *deviation = stat + d->features;
    for (int64_t i = 0; i < d->count; i++) {
        rob_series *s = &d->series[i];
        for (int64_t k = 0; k < s->steps * d->features; k++) {
            int64_t f = k % d->features;
            s->x[k] = (s->x[k] - mean[f]) / deviation[f];
        }
        for (int64_t f = 0; f < d->features; f++) {
            s->shift[f] += s->scale[f] * mean[f];
            s->scale[f] *= deviation[f];
        }
    }
}

static bool is_finite(const double *stat, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (!isfinite(stat[k])) return false;
    return true;
}

rob_status rob_priv_data_fit(rob_ctx *ctx, rob_data *d, const rob_data *like)
{
    rob_status status = ROB_OK;
    double *stat = NULL;
    const int64_t size = 2 * d->features;
    if (like == NULL) like = d;
    CHECK(d->count > 0 && like->count > 0, ctx, ROB_ESHAPE, "%s has no series",
          d->count > 0 ? "like" : "data");
    CHECK(d->fitted == NULL, ctx, ROB_EARGUMENT, "data is normalised already");
    CHECK(like->features == d->features, ctx, ROB_ESHAPE,
          "data has %lld features, like %lld", (long long)d->features,
          (long long)like->features);
    stat = rob_priv_allocate(&d->memory, size, (int64_t)sizeof *stat);
    if (stat == NULL) return rob_priv_no_memory(ctx);
    if (like->fitted != NULL) memcpy(stat, like->fitted, (size_t)size * sizeof *stat);
    else measure(like, stat);
    CHECK(is_finite(stat, size), ctx, ROB_EDOMAIN,
          "mean and deviation of like overflow; its values are too large");
    apply(d, stat);
    d->fitted = stat;
    stat = NULL;
done:
    rob_priv_release(&d->memory, stat);
    return status;
}
