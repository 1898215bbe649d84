/* fab.c -- fast adaptive boundary: the nearest failing point in L1, L2, Linf.
 *
 * With value F and gradient g of a group at d the boundary is modelled by the plane
 *     H = { z : F + g.(z - d) = 0 };
 * u and v are the least steps in the norm to H, between the walls, from d and from x
 * itself (0), and
 *     d <- (1 - a)(d + 1.05 u) + a (1.05 v),   a = min(||u||/(||u|| + ||v||), 0.1),
 * a step to the boundary that is drawn towards the point of it nearest to x. A point that
 * fails is kept, and the next gradient is taken at 0.9 of it. The lanes of a series aim at
 * its `candidates` most promising groups, each with its restarts (as published, the
 * targeted variant). Reference: Croce & Hein, Minimally distorted adversarial examples
 * with a fast adaptive boundary attack, ICML 2020. (docs/theory/attack.md, section 5.)
 */
#include "attack/nearest.h"

#include <math.h>

#define TOO_FAR  1.05 /* of a step to the plane */
#define TOWARDS  0.1  /* a at most */
#define BACK     0.9  /* of a failing point */

/* the least step from `at` (NULL: 0) with g.step = -c, c of either sign */
static bool step_to_plane(const rob_hunt *h, rob_lane *l, const double *at, double c,
                          double *step)
{
    int64_t n = rob_priv_lane_size(h, l);
    if (c >= 0) return rob_priv_lane_plane(h, l, at, l->grad, c, step);
    for (int64_t i = 0; i < n; i++) l->grad[i] = -l->grad[i];
    bool there = rob_priv_lane_plane(h, l, at, l->grad, -c, step);
    for (int64_t i = 0; i < n; i++) l->grad[i] = -l->grad[i];
    return there;
}

static double inner(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* a plane further than anything known says nothing: no step is longer than that */
static double held(const rob_lane *l, const rob_walk *w, double length)
{
    double most = l->best_norm < INFINITY ? l->best_norm
                                          : 2 * w->guess * pow(1.1, (double)w->since);
    return length > most ? most / length : 1;
}

static void move(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k, int64_t steps)
{
    int64_t n = rob_priv_lane_size(h, l);
    double *u = l->spare, *v = w->v[0];
    double c = l->value - inner(l->grad, l->delta, n);
    (void)steps;
    if (!step_to_plane(h, l, l->delta, l->value, u)
        || !step_to_plane(h, l, NULL, c, v)) {
        rob_priv_lane_toss(h, l, w->guess, k + 1);
        return;
    }
    double from_d = rob_priv_norm(h->norm, u, n), from_x = rob_priv_norm(h->norm, v, n);
    double sum = from_d + from_x, a = sum > 0 ? fmin(from_d / sum, TOWARDS) : 0;
    double su = TOO_FAR * held(l, w, from_d), sv = TOO_FAR * held(l, w, from_x);
    for (int64_t i = 0; i < n; i++)
        l->delta[i] = (1 - a) * (l->delta[i] + su * u[i]) + a * sv * v[i];
    if (h->cap < INFINITY) rob_priv_lane_project(h, l, h->cap, l->delta);
}

static void draw_back(const rob_hunt *h, rob_lane *l, rob_walk *w)
{
    int64_t n = rob_priv_lane_size(h, l);
    (void)w;
    if (!(l->margin <= 0)) return;
    for (int64_t i = 0; i < n; i++) l->delta[i] *= BACK;
}

static const rob_rule rule = { .vectors = 1, .move = move, .after = draw_back };

rob_status rob_priv_fab_distance(rob_hunt *h)
{
    int64_t restarts = (int64_t)rob_priv_attack_option(h->attack, "restarts");
    return rob_priv_nearest_search(
        h, &rule, (int64_t)rob_priv_attack_option(h->attack, "steps"),
        h->starts / restarts);
}

rob_status rob_priv_fab_margin(rob_hunt *h)
{
    return rob_priv_nearest_margin(h, rob_priv_fab_distance);
}
