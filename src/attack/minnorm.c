/* minnorm.c -- searches for the nearest failing point.
 *
 * rob_priv_norm_search: gradient steps inside a ball whose radius eps adapts: a failing
 * lane shrinks it below the best norm, eps <- (1 - y_k) min(eps, best); a holding lane
 * widens it, eps <- (1 + y_k) eps, faster before anything failed, never beyond best.
 * Steps a_k eps along -g/||g||_2 (Linf, the first and every other lane: -sign g); a_k and
 * y_k fall by cosine. Reference: Rony et al., CVPR 2019 (DDN); Pintor et al., NeurIPS 2021 (FMN).
 *
 * rob_priv_normal_search: at a failing point b with gradient g and F(b) <= 0 the
 * nearest point of the linear boundary is
 *     z = d c/||g||_q,   c = F(b) - g . b   (d: ball.c).
 * The candidate (1-a) b + a z is nearer (the norm is convex); half of what it gains is
 * given back by scaling, against curvature. It is taken when it fails, and a grows;
 * else a is halved. A fixed point satisfies the first-order conditions b = z of a
 * nearest boundary point; the norm never grows. (docs/theory/attack.md, section 5.)
 */
#include "attack/nearest.h"

#include <math.h>
#include <string.h>

static double falling(double from, double to, int64_t k, int64_t steps)
{
    const double pi = 3.14159265358979323846;
    return to + (from - to) / 2 * (1 + cos(pi * (double)k / (double)steps));
}

/* ---- adaptive ball --------------------------------------------------------------- */

/* Before the first failure eps grows from half the linear distance, by a tenth a step in
 * the first lane, by half in the others. From a quarter of the series' own length where
 * that is less (past it gates saturate and gradients mislead), then by half in any lane
 * until half the linear distance is reached. */
static void adapt_radius(const rob_hunt *h, rob_lane *l, double share)
{
    if (l->margin <= 0) {
        double least = l->best_norm < l->eps ? l->best_norm : l->eps;
        l->eps = (1 - share) * least;
        l->high = 1;
    } else if (l->eps > 0) {
        bool slow = l->slow && l->eps >= l->low;
        l->eps *= 1 + (l->high > 0 ? share : slow ? 0.1 : 0.5);
    } else {
        l->eps = rob_priv_lane_guess(h, l) / 2;
        l->low = l->margin
                 / rob_priv_ball_dual(h->norm, l->grad, rob_priv_lane_size(h, l)) / 2;
    }
    if (l->eps > l->best_norm) l->eps = l->best_norm;
    if (l->eps > h->cap) l->eps = h->cap;
}

static void step_inside(const rob_hunt *h, rob_lane *l, double rate, int64_t k)
{
    int64_t n = rob_priv_lane_size(h, l);
    bool signs = h->norm == ROB_NORM_LINF && l->signs;
    double spread = h->norm == ROB_NORM_LINF && !signs ? sqrt((double)n) : 1;
    if (!isfinite(l->eps)) {
        l->active = false;
        return;
    }
    if (!rob_priv_ball_steepest(signs ? ROB_NORM_LINF : ROB_NORM_L2, l->grad, n,
                                l->spare)) {
        rob_priv_lane_scatter(h, l, l->eps, k + 1);
        return;
    }
    for (int64_t i = 0; i < n; i++) l->delta[i] += rate * spread * l->eps * l->spare[i];
    rob_priv_lane_project(h, l, l->eps, l->delta);
}

rob_status rob_priv_norm_search(rob_hunt *h, int64_t steps)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < steps; k++) {
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) goto done;
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            rob_priv_lane_keep(h, l);
            adapt_radius(h, l, falling(0.1, 0.001, k, steps));
            step_inside(h, l, falling(0.5, 0.01, k, steps), k);
        }
    }
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++)
        rob_priv_lane_keep(h, h->row[r]);
done:
    return status;
}

/* ---- along the boundary to the foot of the normal -------------------------------- */

static double inner(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* delta <- the candidate for share `rate`; false: the linear model has none nearer.
 * spare: gradient at best; low: F there. */
static bool propose(const rob_hunt *h, rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    double c = l->low - inner(l->spare, l->best, n);
    if (!(c > 0) || !rob_priv_lane_plane(h, l, NULL, l->spare, c, l->delta))
        return false;
    for (int64_t i = 0; i < n; i++)
        l->delta[i] = (1 - l->rate) * l->best[i] + l->rate * l->delta[i];
    double nearer = rob_priv_norm(h->norm, l->delta, n);
    if (!(nearer > 0) || nearer >= l->best_norm * (1 - 1e-9)) return false;
    double scale = (nearer + l->best_norm) / 2 / nearer;
    for (int64_t i = 0; i < n; i++) l->delta[i] *= scale;
    return true;
}

static void stand_on_best(const rob_hunt *h, rob_lane *l)
{
    memcpy(l->spare, l->grad, (size_t)rob_priv_lane_size(h, l) * sizeof *l->spare);
    l->low = l->margin;
}

static void judge(const rob_hunt *h, rob_lane *l)
{
    double before = l->best_norm;
    rob_priv_lane_keep(h, l);
    if (l->best_norm < before) {
        stand_on_best(h, l);
        l->rate = l->rate < 0.6 ? 1.6 * l->rate : 1;
    } else {
        l->rate /= 2;
    }
    l->active = l->rate > 1e-4 && propose(h, l);
}

/* Lanes 0 of the series whose best is known. */
rob_status rob_priv_normal_search(rob_hunt *h, int64_t steps)
{
    rob_status status = ROB_OK;
    rob_priv_hunt_wake(h, 0, 1);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->active && l->best_norm < INFINITY;
        memcpy(l->delta, l->best, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
        l->rate = 0.5;
    }
    for (int64_t k = 0; k < steps; k++) {
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) goto done;
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            if (k > 0) judge(h, l);
            else {
                stand_on_best(h, l);
                l->active = propose(h, l);
            }
        }
    }
done:
    return status;
}
