/* simulate.c -- folded light curves: transiting planets, eclipsing binaries, plain
 * stars.
 *
 * A star is watched for DAYS days, one exposure in half an hour. Its flux is
 *     f(t) = light(phase(t)) + n(t),   n = white + red.
 * Orbits are circular: at phase q (transit at 0) the centres are
 *     z = sqrt((a sin 2 pi q)^2 + (b cos 2 pi q)^2)   stellar radii apart,
 * a = 4.2 rho^(1/3) (P/day)^(2/3) by Kepler's third law, rho the density in solar
 * units.
 *   planet  radius p = sqrt(depth), depth log-uniform from 500 ppm, b uniform in [0,
 *   0.9]
 *   binary  companion of radius k in [0.3, 1], surface brightness s log-uniform in
 *   [0.1, 1],
 *           b uniform up to grazing; eclipses of both, limb-darkened; half of them
 *           diluted by a third light to planetary depth (a background binary)
 *   star    light = 1
 * Red noise is a damped oscillation, cov = sigma^2 exp(-dt/tau) cos(w dt), drawn
 * exactly as a damped rotation driven by white noise (the complex term of
 * Foreman-Mackey et al. 2017, AJ 154, 220). The curve is folded at the period, from
 * phase -1/4 to 3/4, so that the transit lies at one quarter and a secondary eclipse at
 * three quarters, and averaged in `steps` bins (an empty one takes the value before
 * it); exposures have no length. Scaling of every series: x = (f / median f - 1) / s, s
 * the root mean square of f / median f - 1 over the series. So depth and noise level
 * are known by their ratio only.
 *
 * Series i draws from Philox stream STREAM + i of the context's seed alone.
 */
#include "data/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DAYS = 60, PER_DAY = 48, EXPOSURES = DAYS * PER_DAY, STEPS_CAP = 1024 };
enum { STAR, PLANET, BINARY };
static const uint64_t STREAM = 0x7472616e73u << 24;
static const double PI = 3.14159265358979323846, PPM = 1e-6;

/* One system, as drawn. */
typedef struct scene {
    int kind;
    double period, epoch, a, b, u1, u2;
    double p;                  /* radius ratio */
    double companion;          /* flux of the companion over the primary's */
    double diluted;            /* share of the light that is the system's */
    double white, red, tau, w; /* sigmas; days; radians a day */
} scene;

typedef struct curve {
    double sum[STEPS_CAP], sorted[STEPS_CAP];
    int64_t count[STEPS_CAP];
} curve;

static double between(rob_random *r, double low, double high)
{
    return low + (high - low) * rob_priv_uniform(r);
}

static double between_logs(rob_random *r, double low, double high)
{
    return exp(between(r, log(low), log(high)));
}

/* ---- drawing --------------------------------------------------------------------- */

static void draw_noise(const rob_data *d, rob_random *r, scene *s)
{
    double sigma = PPM * rob_priv_data_value(d, "noise") * between_logs(r, 0.5, 4.0);
    double share = rob_priv_data_value(d, "red");
    s->white = sigma * sqrt(1.0 - share);
    s->red = sigma * sqrt(share);
    s->tau = between_logs(r, 0.1, 2.0);
    s->w = 2.0 * PI / between_logs(r, 0.5, 10.0);
}

static void draw_planet(const rob_data *d, rob_random *r, scene *s)
{
    s->p = sqrt(PPM * between_logs(r, 500.0, rob_priv_data_value(d, "depth")));
    s->b = between(r, 0.0, 0.9);
}

static double light_of(const scene *s, double phase);

static void draw_binary(const rob_data *d, rob_random *r, scene *s)
{
    s->p = between(r, 0.3, 1.0);
    s->companion = s->p * s->p * between_logs(r, 0.1, 1.0);
    s->a = fmax(s->a, 1.3 * (1.0 + s->p));
    s->b = between(r, 0.0, 0.95 * (1.0 + s->p));
    bool background = rob_priv_uniform(r) < 0.5;
    double wanted = PPM * between_logs(r, 1000.0, rob_priv_data_value(d, "depth"));
    double depth = 1.0 - light_of(s, 0.0);
    if (background && depth > wanted) s->diluted = wanted / depth;
}

static scene draw_scene(const rob_data *d, rob_random *r, int kind)
{
    scene s = { .kind = kind, .diluted = 1.0 };
    s.period = between_logs(r, 1.0, 6.0);
    s.epoch = between(r, 0.0, s.period);
    s.a = 4.2 * cbrt(between_logs(r, 0.4, 1.6)) * cbrt(s.period * s.period);
    s.u1 = between(r, 0.2, 0.6);
    s.u2 = between(r, 0.0, 0.3);
    draw_noise(d, r, &s);
    if (kind == PLANET) draw_planet(d, r, &s);
    if (kind == BINARY) draw_binary(d, r, &s);
    return s;
}

/* ---- light ----------------------------------------------------------------------- */

/* phase in [-1/4, 3/4): the companion is in front below 1/4, behind above. */
static double light_of(const scene *s, double phase)
{
    if (s->kind == STAR) return 1.0;
    double x = s->a * sin(2.0 * PI * phase), y = s->b * cos(2.0 * PI * phase);
    double z = sqrt(x * x + y * y), front = 1.0, behind = 1.0;
    if (phase < 0.25) front = rob_priv_transit_flux(z, s->p, s->u1, s->u2);
    else if (s->kind == BINARY)
        behind = rob_priv_transit_flux(z / s->p, 1.0 / s->p, s->u1, s->u2);
    double own = (front + s->companion * behind) / (1.0 + s->companion);
    return 1.0 - s->diluted * (1.0 - own);
}

static void observe(const scene *s, rob_random *r, int64_t steps, curve *c)
{
    double dt = 1.0 / PER_DAY, keep = exp(-dt / s->tau),
           drive = sqrt(1.0 - keep * keep);
    double turn = cos(s->w * dt), slide = sin(s->w * dt);
    double u = rob_priv_normal(r), v = rob_priv_normal(r);
    memset(c->sum, 0, sizeof c->sum);
    memset(c->count, 0, sizeof c->count);
    for (int64_t k = 0; k < EXPOSURES; k++) {
        double turns = ((double)k * dt - s->epoch) / s->period + 0.25;
        double share = turns - floor(turns);
        int64_t bin = (int64_t)(share * (double)steps);
        if (bin >= steps) bin = steps - 1;
        c->sum[bin] +=
            light_of(s, share - 0.25) + s->red * u + s->white * rob_priv_normal(r);
        c->count[bin]++;
        double before = u;
        u = keep * (turn * before - slide * v) + drive * rob_priv_normal(r);
        v = keep * (slide * before + turn * v) + drive * rob_priv_normal(r);
    }
}

/* ---- from sums to a series ------------------------------------------------------- */

static void average(curve *c, int64_t steps, double *x)
{
    double last = 1.0;
    for (int64_t k = 0; k < steps; k++) {
        if (c->count[k] > 0) last = c->sum[k] / (double)c->count[k];
        x[k] = last;
    }
}

static double median_of(const double *x, int64_t n, double *sorted)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t k = i;
        for (; k > 0 && sorted[k - 1] > x[i]; k--) sorted[k] = sorted[k - 1];
        sorted[k] = x[i];
    }
    return 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
}

/* Without noise and without eclipse the series is constant: it stays 0. */
static void scale(curve *c, int64_t steps, double *x)
{
    double median = median_of(x, steps, c->sorted), square = 0.0;
    for (int64_t k = 0; k < steps; k++) {
        x[k] = x[k] / median - 1.0;
        square += x[k] * x[k];
    }
    double size = sqrt(square / (double)steps);
    for (int64_t k = 0; k < steps && size > 0.0; k++) x[k] /= size;
}

static int kind_of(int64_t i, int64_t classes)
{
    if (classes == 3) return (int)(i % 3);
    return i % 2 == 1 ? PLANET : i % 4 == 0 ? STAR : BINARY;
}

rob_status rob_priv_data_transits(rob_ctx *ctx, rob_data *d, int64_t count)
{
    static const char *const name[] = { "star", "planet", "binary" };
    rob_status status = ROB_OK;
    int64_t steps = (int64_t)rob_priv_data_value(d, "steps"), first = d->count;
    int64_t classes = (int64_t)rob_priv_data_value(d, "classes"), known = d->classes;
    double x[STEPS_CAP];
    curve *c = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *c);
    if (c == NULL) return rob_priv_no_memory(ctx);
    for (int64_t i = first; i < first + count; i++) {
        int kind = kind_of(i, classes);
        rob_random random = rob_priv_random(ctx->seed, STREAM + (uint64_t)i);
        scene s = draw_scene(d, &random, kind);
        observe(&s, &random, steps, c);
        average(c, steps, x);
        scale(c, steps, x);
        TRY(rob_priv_data_append(ctx, d, x, steps, 1,
                                 classes == 3 ? kind : kind == PLANET));
        snprintf(d->series[d->count - 1].name, sizeof d->series[0].name, "%s",
                 name[kind]);
        if (i % 64 == 63)
            status = rob_priv_progress(ctx, "simulate", i + 1 - first, count);
        if (status == ROB_STOPPED) break;
    }
done:
    if (status < ROB_OK) {
        rob_priv_data_cut(d, first);
        d->classes = known;
    }
    rob_priv_release(&ctx->memory, c);
    return status;
}
