/* standard.c -- forecasts are fitted in standard units of their targets.
 *
 * With targets y_rk of N training series, K = L outputs (of every step, where each has
 * its own), m_k their means and
 *     s = sqrt( 1/(N L) sum_rk (y_rk - m_k)^2 )          (1 where that is 0),
 * the network fitted is g = (f - m)/s, whose loss is mean_rk (g_k(x_r) - (y_rk -
 * m_k)/s)^2: the share of the targets' variance it leaves, 1 for f = m. The last layer
 * of f is W z + b, so g is the same network with
 *     W' = W/s,  b' = (b - m)/s,   and back   W = s W',  b = m + s b'.
 * A last layer without b has m = 0. (docs/theory/train.md, section 1.)
 */
#include "train/train.h"

#include <math.h>
#include <string.h>

double rob_priv_standard_target(const rob_standard *s, const rob_series *series,
                                int64_t k)
{
    return (series->target[k] - s->mean[k]) / s->spread;
}

/* m_k of outputs that share a bias; several of `each` numbers a series */
static void take_means(rob_standard *s, const rob_data *train, int64_t each)
{
    double n = (double)(train->count * (s->outputs / each));
    for (int64_t k = 0; k < each; k++) {
        double sum = 0;
        for (int64_t r = 0; r < train->count; r++)
            for (int64_t j = k; j < s->outputs; j += each)
                sum += train->series[r].target[j] / n;
        for (int64_t j = k; j < s->outputs; j += each) s->mean[j] = sum;
    }
}

static double deviation(const rob_standard *s, const rob_data *train)
{
    double most = 0, sum = 0, n = (double)(train->count * s->outputs);
    for (int64_t r = 0; r < train->count; r++)
        for (int64_t k = 0; k < s->outputs; k++)
            most = fmax(most, fabs(train->series[r].target[k] - s->mean[k]));
    for (int64_t r = 0; most > 0 && r < train->count; r++)
        for (int64_t k = 0; k < s->outputs; k++) {
            double d = (train->series[r].target[k] - s->mean[k]) / most;
            sum += d * d;
        }
    return most > 0 ? most * sqrt(sum / n) : 1;
}

static rob_status check_targets(rob_ctx *ctx, const rob_data *data, int64_t outputs,
                                const char *name)
{
    rob_status status = ROB_OK;
    for (int64_t r = 0; r < data->count; r++) {
        const rob_series *s = &data->series[r];
        CHECK(s->targets == outputs, ctx, ROB_ESHAPE,
              "%s, series %lld has %lld targets; the model forecasts %lld", name,
              (long long)r, (long long)s->targets, (long long)outputs);
        for (int64_t k = 0; k < outputs; k++)
            CHECK(isfinite(s->target[k]) && fabs(s->target[k]) < 1e150, ctx,
                  ROB_EDOMAIN, "%s, series %lld: target %lld is %g; allowed is up to "
                  "1e150", name, (long long)r, (long long)k, s->target[k]);
    }
done:
    return status;
}

rob_status rob_priv_standard_create(rob_ctx *ctx, const rob_model *model,
                                    const rob_data *train, const rob_data *valid,
                                    rob_standard *s)
{
    rob_status status = ROB_OK;
    s->outputs = model->recipe.outputs;
    rob_priv_model_last(&model->recipe, &s->weight, &s->bias);
    TRY(check_targets(ctx, train, s->outputs, "train"));
    if (valid) TRY(check_targets(ctx, valid, s->outputs, "valid"));
    s->mean = rob_priv_allocate(&ctx->memory, s->outputs, sizeof *s->mean);
    if (!s->mean) return rob_priv_no_memory(ctx);
    if (s->bias >= 0)
        take_means(s, train,
                   rob_priv_shape_size(&model->parameter[s->bias].tensor->shape));
    s->spread = deviation(s, train);
done:
    return status;
}

void rob_priv_standard_map(const rob_standard *s, const rob_tile *t, bool back,
                           double *theta)
{
    for (int32_t k = 0; k < t->parameters; theta += t->extent[k], k++) {
        if (k != s->weight && k != s->bias) continue;
        for (int64_t i = 0; i < t->extent[k]; i++) {
            double m = k == s->bias ? s->mean[i] : 0;
            theta[i] = back ? m + s->spread * theta[i] : (theta[i] - m) / s->spread;
        }
    }
}

/* ---- what needs no network ------------------------------------------------------- */

/* The last value of a feature again: its own one where outputs and features pair up. */
static double last_value(const rob_data *data, const rob_series *s, int64_t k,
                         int64_t outputs)
{
    int64_t feature = outputs == data->features ? k : 0;
    return s->x[(s->steps - 1) * data->features + feature];
}

void rob_priv_standard_baselines(const rob_standard *s, const rob_data *data,
                                 double out[ROB_BASELINES])
{
    double n = (double)(data->count * s->outputs);
    for (int b = 0; b < ROB_BASELINES; b++) out[b] = 0;
    for (int64_t r = 0; r < data->count; r++)
        for (int64_t k = 0; k < s->outputs; k++) {
            const rob_series *row = &data->series[r];
            double y = rob_priv_standard_target(s, row, k);
            double last =
                (last_value(data, row, k, s->outputs) - s->mean[k]) / s->spread;
            double zero = -s->mean[k] / s->spread;
            out[ROB_BASELINE_MEAN] += y * y / n;
            out[ROB_BASELINE_LAST] += (last - y) * (last - y) / n;
            out[ROB_BASELINE_ZERO] += (zero - y) * (zero - y) / n;
        }
}
