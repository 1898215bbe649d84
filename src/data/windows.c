/* windows.c -- a market's daily returns cut into windows that end at a day t.
 *
 * r_s = log p_s - log p_{s-1}; W window, h horizon, H history (options). A window knows
 * r_{t-W+1} .. r_t and nothing later:
 *     scale  c_t = sqrt(1/H sum_{s=t-H+1..t} r_s^2), about zero, of the past alone
 *     inputs, one feature each, in the order of option "inputs":
 *         return r_s/c_t,  size |r_s|/c_t,  range log(high_s/low_s)/c_t,
 *         volume log(V_s/V_{s-1})
 * Targets use days t+1 .. t+h alone, beside a threshold of the past:
 *     direction   y = r_{t+1} + .. + r_{t+h};            class [y > 0]
 *     volatility  v_t = sqrt(1/h sum_{s=t-h+1..t} r_s^2), m_t = median of v_s, s =
 *                 t-H+1 .. t;  y = v_{t+h}/m_t;          class [y > 1]
 *     forecast    y = (r_{t+1}, .., r_{t+h})/c_t;        no class
 * A window without any movement in its history (c_t = 0) is left out. Sums are taken
 * anew for every t, so that a window's bits do not depend on where the file begins.
 */
#include "data/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { INPUTS_CAP = 8 };

typedef struct cutter {
    const rob_market *m;
    int64_t window, horizon, history, features;
    const char *target;
    const double *source[INPUTS_CAP]; /* of each feature */
    bool size[INPUTS_CAP], scaled[INPUTS_CAP];
    bool raw;           /* normalize=none: scale 1 */
    double from, until; /* allowed times */
    double *x, *shift, *scale, *time, *target_at, *past, *work;
} cutter;

static double volatility(const double *r, int64_t t, int64_t days)
{
    double sum = 0.0;
    for (int64_t s = t - days + 1; s <= t; s++) sum += r[s] * r[s];
    return sqrt(sum / (double)days);
}

/* ---- what is asked --------------------------------------------------------------- */

static double moment_of(const char *text, double otherwise)
{
    rob_field f = { .at = text, .count = (int64_t)strlen(text) };
    double moment = otherwise;
    if (*text && !rob_priv_field_date(&f, &moment)) rob_priv_field_number(&f, &moment);
    return moment;
}

static rob_status choose_inputs(rob_ctx *ctx, const rob_data *d, cutter *c)
{
    rob_status status = ROB_OK;
    const char *word, *list = d->text[ROB_DATA_INPUTS];
    for (int64_t k = 0, n; (n = rob_priv_list_word(list, k, &word)) >= 0; k++) {
        const double *source = *word == 'r' && word[1] == 'a' ? c->m->range
                               : *word == 'v'                 ? c->m->volume
                                                              : c->m->r;
        CHECK(k < INPUTS_CAP, ctx, ROB_EARGUMENT,
              "option 'inputs' has more than %d words", (int)INPUTS_CAP);
        CHECK(source != NULL, ctx, ROB_EFORMAT,
              "'%.200s' has no columns for inputs=%.*s (high and low, or volume)",
              c->m->name, (int)n, word);
        c->source[k] = source;
        c->size[k] = *word == 's';
        c->scaled[k] = *word != 'v';
        c->features = k + 1;
    }
done:
    return status;
}

void rob_priv_windows_reach(const rob_data *d, int64_t *back, int64_t *forward)
{
    int64_t window = (int64_t)rob_priv_data_value(d, "window");
    int64_t history = (int64_t)rob_priv_data_value(d, "history");
    const char *target = d->text[ROB_DATA_TARGET];
    *forward =
        strcmp(target, "none") == 0 ? 0 : (int64_t)rob_priv_data_value(d, "horizon");
    if (strcmp(target, "volatility") == 0) history += *forward - 1;
    *back = window > history ? window : history;
}

static rob_status open_cutter(rob_ctx *ctx, const rob_data *d, const rob_market *m,
                              cutter *c)
{
    rob_status status = ROB_OK;
    *c = (cutter){ .m = m, .target = d->text[ROB_DATA_TARGET] };
    c->window = (int64_t)rob_priv_data_value(d, "window");
    c->history = (int64_t)rob_priv_data_value(d, "history");
    c->horizon = (int64_t)rob_priv_data_value(d, "horizon");
    c->raw = rob_priv_list_has(d->text[ROB_DATA_NORMALIZE], "none");
    c->from = moment_of(d->text[ROB_DATA_FROM], -INFINITY);
    c->until = moment_of(d->text[ROB_DATA_UNTIL], INFINITY);
    TRY(choose_inputs(ctx, d, c));
    CHECK(d->count == 0 || d->features == c->features, ctx, ROB_ESHAPE,
          "'%.200s' gives %lld features; the series already there have %lld", m->name,
          (long long)c->features, (long long)d->features);
    c->x = rob_priv_allocate(&ctx->memory,
                             c->window * (c->features + 1) + 2 * c->features
                                 + c->horizon + 2 * c->history,
                             (int64_t)sizeof *c->x);
    if (c->x == NULL) return rob_priv_no_memory(ctx);
    c->shift = c->x + c->window * c->features;
    c->scale = c->shift + c->features;
    c->time = c->scale + c->features;
    c->target_at = c->time + c->window;
    c->past = c->target_at + c->horizon;
    c->work = c->past + c->history;
done:
    return status;
}

/* ---- one window ------------------------------------------------------------------ */

/* x (W, D), from the days up to t. */
static void fill_inputs(const cutter *c, int64_t t, double scale)
{
    for (int64_t f = 0; f < c->features; f++) {
        c->scale[f] = c->scaled[f] && !c->raw ? scale : 1.0;
        for (int64_t k = 0; k < c->window; k++) {
            double value = c->source[f][t - c->window + 1 + k] / c->scale[f];
            c->x[k * c->features + f] = c->size[f] ? fabs(value) : value;
        }
    }
    for (int64_t k = 0; k < c->window; k++)
        c->time[k] = c->m->day[t - c->window + 1 + k];
}

/* The class, -1: none. */
static int64_t fill_target(const cutter *c, int64_t t, double scale, int64_t *targets)
{
    const double *r = c->m->r;
    const int64_t h = c->horizon;
    *targets = 0;
    if (strcmp(c->target, "none") == 0) return -1;
    if (strcmp(c->target, "forecast") == 0) {
        for (int64_t k = 0; k < h; k++) c->target_at[k] = r[t + 1 + k] / scale;
        *targets = h;
        return -1;
    }
    *targets = 1;
    c->target_at[0] = 0.0;
    if (strcmp(c->target, "direction") == 0) {
        for (int64_t k = 1; k <= h; k++) c->target_at[0] += r[t + k];
        return c->target_at[0] > 0;
    }
    for (int64_t k = 0; k < c->history; k++) c->past[k] = volatility(r, t - k, h);
    double usual = rob_priv_curve_median(c->past, c->history, c->work);
    c->target_at[0] = usual > 0 ? volatility(r, t + h, h) / usual : INFINITY;
    return c->target_at[0] > 1.0;
}

static rob_status keep_window(rob_ctx *ctx, rob_data *d, const cutter *c, int64_t t,
                              int64_t forward, int64_t *added)
{
    rob_status status = ROB_OK;
    const rob_market *m = c->m;
    double scale = volatility(m->r, t, c->history);
    if (!(scale > 0) || m->day[t] < c->from || m->day[t + forward] >= c->until)
        return ROB_OK;
    rob_series s = rob_priv_series(c->x, c->window, -1);
    fill_inputs(c, t, scale);
    s.label = fill_target(c, t, c->raw ? 1.0 : scale, &s.targets);
    if (s.targets == 1 && !isfinite(c->target_at[0])) return ROB_OK;
    s.shift = c->shift;
    s.scale = c->scale;
    s.time = c->time;
    s.target = c->target_at;
    s.when = m->day[t];
    s.until = m->day[t + forward];
    snprintf(s.name, sizeof s.name, "%.23s", m->name);
    TRY(rob_priv_data_keep(ctx, d, &s, c->features));
    ++*added;
done:
    return status;
}

rob_status rob_priv_windows(rob_ctx *ctx, rob_data *d, const rob_market *m, bool last,
                            int64_t *added)
{
    rob_status status = ROB_OK;
    cutter c = { .x = NULL };
    int64_t back, forward, stride = (int64_t)rob_priv_data_value(d, "stride");
    *added = 0;
    rob_priv_windows_reach(d, &back, &forward);
    TRY(open_cutter(ctx, d, m, &c));
    for (int64_t t = last ? m->days - 1 - forward : back;
         t >= back && t < m->days - forward; t += stride)
        TRY(keep_window(ctx, d, &c, t, forward, added));
done:
    rob_priv_release(&ctx->memory, c.x);
    return status;
}
