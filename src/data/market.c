/* market.c -- simulated daily returns: regimes with clustered volatility, truth known.
 *
 *     r_t = sqrt(v_{k_t} g_t) z_t,   z_t ~ N(0, 1) independent
 *     g_{t+1} = (1 - A - B) + A g_t z_t^2 + B g_t            mean 1
 *     k_{t+1} = 1 - k_t with probability LEAVE[k_t]          calm 0, wild 1
 * v_k is the daily variance of a regime, sqrt(252 v) = 12 % and 35 % a year. The signs
 * of r are fair coins, whatever went before: no rule predicts the direction better than
 * 1/2, while volatility is predictable. Each series is a market of its own, run in over
 * RUN_IN days, and its last window (windows.c) with a target. Known beside it:
 * truth = (k_{t+1}, sqrt(v_{k_{t+1}} g_{t+1})), the regime and the standard deviation
 * of the first day of the target. Series i draws from Philox stream STREAM + i alone.
 * References: Bollerslev 1986, J. Econometrics 31, 307; Hamilton 1989, Econometrica 57,
 * 357.
 */
#include "data/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RUN_IN = 250 };
static const uint64_t STREAM = 0x707269636573u << 12;
static const double A = 0.07, B = 0.88;
static const double DAILY[2] = { 0.12 * 0.12 / 252.0, 0.35 * 0.35 / 252.0 };
static const double LEAVE[2] = { 1.0 / 120.0, 1.0 / 50.0 };

typedef struct walk {
    rob_random random;
    int regime;
    double g;
} walk;

static double next_return(walk *w)
{
    double z = rob_priv_normal(&w->random);
    double r = sqrt(DAILY[w->regime] * w->g) * z;
    w->g = (1.0 - A - B) + A * w->g * z * z + B * w->g;
    if (rob_priv_uniform(&w->random) < LEAVE[w->regime]) w->regime = 1 - w->regime;
    return r;
}

static void run(rob_ctx *ctx, int64_t i, int64_t known, rob_market *m, double *truth)
{
    walk w = { .random = rob_priv_random(ctx->seed, STREAM + (uint64_t)i), .g = 1.0 };
    w.regime = rob_priv_uniform(&w.random) < LEAVE[0] / (LEAVE[0] + LEAVE[1]);
    for (int64_t t = 0; t < RUN_IN; t++) next_return(&w);
    for (int64_t t = 0; t < m->days; t++) {
        if (t == known) {
            truth[0] = w.regime;
            truth[1] = sqrt(DAILY[w.regime] * w.g);
        }
        m->r[t] = next_return(&w);
        m->day[t] = (double)t;
    }
}

rob_status rob_priv_data_market(rob_ctx *ctx, rob_data *d, int64_t count)
{
    rob_status status = ROB_OK;
    const int64_t first = d->count, known = d->classes;
    int64_t back, forward, added;
    rob_market m = { .name = "market" };
    rob_priv_windows_reach(d, &back, &forward);
    m.days = back + forward + 1;
    m.r = rob_priv_allocate(&ctx->memory, 2 * m.days, (int64_t)sizeof *m.r);
    if (m.r == NULL) return rob_priv_no_memory(ctx);
    m.day = m.r + m.days;
    for (int64_t i = first; i < first + count; i++) {
        double truth[2] = { NAN, NAN };
        run(ctx, i, back + 1, &m, truth);
        TRY(rob_priv_windows(ctx, d, &m, true, &added));
        if (added > 0) memcpy(d->series[d->count - 1].truth, truth, sizeof truth);
        if (i % 64 == 63)
            status = rob_priv_progress(ctx, "simulate", i + 1 - first, count);
        if (status == ROB_STOPPED) break;
    }
    if (d->count > first) {
        strcpy(d->units, "log return");
        strcpy(d->time_units, "days");
    }
done:
    if (status < ROB_OK) {
        rob_priv_data_cut(d, first);
        d->classes = known;
    }
    rob_priv_release(&ctx->memory, m.r);
    return status;
}
