/* warp.c -- the same series, told at another pace.
 *
 *     p_t = x(tau_t),  x(.) linear between the steps,  tau_t = t + s_t non-decreasing in
 *     [0, T-1],  |s_t| <= w.
 * Values are never invented, only moved in time by at most w steps. With g = grad F at p
 *     d F/d s_t = g_t . (x_{k+1} - x_k),   k = floor(tau_t),
 * descends by s <- P(s - a w v), v the slope over its largest entry or its signs, and P
 * clips to [-w, w] and to the series and then takes running maxima of tau: neither makes
 * another move larger than w. For a distance the least w is bisected: a failing warp shows
 * max |s_t| to be enough. Warps as attacks: Belkhouja & Doppa, "Dynamic time warping based
 * adversarial framework for time-series domain", IEEE TPAMI 2022; here the path is bounded
 * step by step instead. (docs/theory/attack.md, section 10.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

static const rob_region *region_of(const rob_hunt *h, const rob_lane *l)
{
    return rob_priv_lane_region(h, l);
}

/* ---- warps ----------------------------------------------------------------------- */

static void hold(const rob_region *r, double *s, double w)
{
    double last = (double)(r->steps - 1), so_far = 0;
    for (int64_t t = 0; t < r->steps; t++) {
        double at = (double)t, tau = at + fmin(fmax(s[t], -w), w);
        so_far = fmax(so_far, fmin(fmax(tau, 0), last));
        s[t] = fmin(fmax(so_far - at, -w), w);
    }
}

/* the step before tau and how far behind it */
static int64_t step_of(const rob_region *r, const double *s, int64_t t, double *share)
{
    double tau = (double)t + s[t];
    int64_t k = (int64_t)fmax(floor(tau), 0);
    if (k > r->steps - 2) k = r->steps - 2;
    if (k < 0) k = 0;
    *share = tau - (double)k;
    return k;
}

static void place(const rob_region *r, const double *s, double *point)
{
    int64_t d = r->features;
    if (r->steps == 1) memcpy(point, r->x, (size_t)r->n * sizeof *point);
    for (int64_t t = 0; t < r->steps && r->steps > 1; t++) {
        double share;
        const double *x = r->x + step_of(r, s, t, &share) * d;
        for (int64_t j = 0; j < d; j++)
            point[t * d + j] = x[j] + share * (x[d + j] - x[j]);
    }
}

/* slope (T) of F in s from its gradient in the point, in place */
static void pull(const rob_region *r, const double *s, double *grad)
{
    int64_t d = r->features;
    if (r->steps == 1) grad[0] = 0;
    for (int64_t t = 0; t < r->steps && r->steps > 1; t++) {
        double share, sum = 0;
        const double *x = r->x + step_of(r, s, t, &share) * d;
        for (int64_t j = 0; j < d; j++) sum += grad[t * d + j] * (x[d + j] - x[j]);
        grad[t] = sum;
    }
}

static double width_of(const rob_region *r, const double *s)
{
    return rob_priv_norm(ROB_NORM_LINF, s, r->steps);
}

/* ---- descent --------------------------------------------------------------------- */

/* Runs on workers: reads the hunt, writes its own row only. */
static void seed_row(void *user, int64_t row, const double *logits, double *seed)
{
    const rob_hunt *h = user;
    rob_lane *l = h->row[row];
    const rob_spec *s = &rob_priv_lane_case(h, l)->spec;
    int64_t deciding;
    l->margin = rob_priv_spec_margin(s, logits, &deciding);
    memcpy(seed, s->c + deciding * s->outputs, (size_t)s->outputs * sizeof *seed);
}

static void collect(rob_hunt *h)
{
    h->rows = 0;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        if (!l->active) continue;
        hold(region_of(h, l), l->delta, l->radius);
        place(region_of(h, l), l->delta, l->point);
        h->row[h->rows] = l;
        h->point[h->rows] = l->point;
        h->grad[h->rows] = l->grad;
        h->steps[h->rows++] = region_of(h, l)->steps;
    }
}

static void move(const rob_hunt *h, rob_lane *l, double share)
{
    const rob_region *r = region_of(h, l);
    pull(r, l->delta, l->grad);
    double most = width_of(r, l->grad);
    for (int64_t t = 0; most > 0 && t < r->steps; t++) {
        double g = l->grad[t] / most;
        if (l->start % 2) g = (double)((g > 0) - (g < 0));
        l->delta[t] -= share * l->radius * g;
    }
}

static rob_status descend(rob_hunt *h, int64_t steps)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k <= steps; k++) {
        collect(h);
        TRY(rob_priv_progress(h->ctx, "attack", h->first, h->total));
        if (status == ROB_STOPPED || h->rows == 0) goto done;
        TRY(rob_priv_gradients(h->ctx, h->slope, h->rows, h->point, h->steps, h->logits,
                               seed_row, h, h->grad));
        double share = fmax(0.5 * (1 - (double)k / (double)steps), 0.02);
        for (int64_t i = 0; i < h->rows; i++) {
            rob_lane *l = h->row[i];
            l->calls++;
            if (l->margin < l->best_margin) {
                l->best_margin = l->margin;
                memcpy(l->best, l->delta,
                       (size_t)region_of(h, l)->steps * sizeof *l->best);
            }
            move(h, l, share);
        }
    }
done:
    return status;
}

/* ---- answers --------------------------------------------------------------------- */

/* every active lane's best point, numbers float32, in both precisions */
static rob_status judge(rob_hunt *h)
{
    rob_status status = ROB_OK;
    h->rows = 0;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        if (!l->active || !(l->best_margin < INFINITY)) continue;
        const rob_region *r = region_of(h, l);
        place(r, l->best, l->point);
        for (int64_t i = 0; i < r->n; i++)
            if (l->point[i] != r->x[i]) l->point[i] = (double)(float)l->point[i];
        h->row[h->rows] = l;
        h->point[h->rows] = l->point;
        h->steps[h->rows++] = r->steps;
    }
    TRY(rob_priv_evaluate(h->ctx, h->wide, h->rows, h->point, h->steps, h->logits));
    TRY(rob_priv_evaluate(h->ctx, h->narrow, h->rows, h->point, h->steps, h->second));
    for (int64_t k = 0; k < h->rows; k++) {
        const rob_spec *s = &rob_priv_lane_case(h, h->row[k])->spec;
        double wide = rob_priv_spec_margin(s, h->logits + k * s->outputs, NULL);
        double narrow = rob_priv_spec_margin(s, h->second + k * s->outputs, NULL);
        h->row[k]->margin = wide > narrow || isnan(wide) ? wide : narrow;
    }
done:
    return status;
}

/* the judged lanes into the series' answers: the least margin, or the least width */
static void accept(const rob_hunt *h)
{
    for (int64_t k = 0; k < h->rows; k++) {
        rob_lane *l = h->row[k];
        const rob_region *r = region_of(h, l);
        rob_found *f = &h->found[l->series - h->first];
        double width = width_of(r, l->best);
        bool better = h->at_radius ? l->margin < f->margin
                                   : l->margin <= 0 && width < f->distance;
        if (!better) continue;
        memcpy(f->point, l->point, (size_t)r->n * sizeof *f->point);
        memcpy(f->warp, l->best, (size_t)r->steps * sizeof *f->warp);
        f->margin = l->margin;
        f->found = l->margin <= 0;
        f->distance = f->found ? width : INFINITY;
    }
}

/* ---- the search ------------------------------------------------------------------ */

static rob_status begin(rob_hunt *h)
{
    rob_status status = ROB_OK;
    double most = rob_priv_attack_option(h->attack, "width");
    for (int64_t s = 0; s < h->series; s++) {
        rob_found *f = &h->found[s];
        CHECK(!h->region[s].mask, h->ctx, ROB_EUNSUPPORTED,
              "series %lld has a mask; a warp moves every number",
              (long long)(h->first + s));
        f->warp = rob_priv_allocate(&h->attack->memory, h->region[s].steps,
                                    sizeof *f->warp);
        if (!f->warp) return rob_priv_no_memory(h->ctx);
    }
    TRY(rob_priv_query_knows(h->ctx, h->q, ROB_PART_COUNT, "method warp"));
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        rob_random random =
            rob_priv_random(h->ctx->seed, 13ULL << 60 | (uint64_t)l->series << 16
                                              | (uint64_t)(uint32_t)l->start);
        l->radius = most;
        l->low = 0;
        for (int64_t t = 0; t < region_of(h, l)->steps; t++)
            l->delta[t] =
                l->start < 2 ? 0 : most * (2 * rob_priv_uniform(&random) - 1);
    }
done:
    return status;
}

static void count_calls(rob_hunt *h)
{
    for (int64_t k = 0; k < h->lanes; k++)
        h->found[h->lane[k].series - h->first].calls += h->lane[k].calls;
}

rob_status rob_priv_warp_margin(rob_hunt *h)
{
    rob_status status = ROB_OK, ended;
    TRY(begin(h));
    TRY(descend(h, (int64_t)rob_priv_attack_option(h->attack, "steps")));
    ended = status;
    TRY(judge(h));
    accept(h);
    count_calls(h);
    status = ended;
done:
    return status;
}

/* the next width of a series, between what held and the least that fails; false: done */
static bool next_width(const rob_hunt *h, rob_lane *l)
{
    const rob_found *f = &h->found[l->series - h->first];
    if (!(f->distance < INFINITY)) return false;
    if (f->distance > l->radius) l->low = l->radius;
    l->radius = (l->low + f->distance) / 2;
    l->best_margin = INFINITY;
    memcpy(l->delta, f->warp, (size_t)region_of(h, l)->steps * sizeof *l->delta);
    return f->distance - l->low > 1e-3 * f->distance;
}

rob_status rob_priv_warp_distance(rob_hunt *h)
{
    rob_status status = ROB_OK, ended = ROB_OK;
    int64_t rounds = (int64_t)rob_priv_attack_option(h->attack, "rounds");
    TRY(begin(h));
    for (int64_t k = 0; k < rounds && ended == ROB_OK; k++) {
        TRY(descend(h, (int64_t)rob_priv_attack_option(h->attack, "steps")));
        ended = status;
        TRY(judge(h));
        accept(h);
        for (int64_t j = 0; j < h->lanes; j++)
            if (h->lane[j].active) h->lane[j].active = next_width(h, &h->lane[j]);
    }
    count_calls(h);
    status = ended;
done:
    return status;
}
