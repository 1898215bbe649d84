/* walk.c -- a lane of "auto": steps of absolute length, as FMN and DDN were published.
 *
 * With s the standard deviation of the series' numbers and a_k from 1 to 1/100 by half a
 * cosine a step goes s a_k along -g/||g||_2, then onto the ball or the sphere of radius eps:
 *     Linf  FMN: d <- P_eps(d'); until something failed eps = ||d|| + |F|/||g||_1, then
 *           eps (1 + y_k) where d holds, min(eps (1 - y_k), best) where it fails, y_k from
 *           1/20 to 1/1000;
 *     L2    DDN: d <- eps d'/||d'||_2, eps from s by factors 1 +- 1/20.
 * Both were written for numbers in a unit range and are used on series of unit variance;
 * in multiples of s they have no unit. Early steps are many times the distance of the
 * boundary, and that is what makes this lane meet other pieces of it than minnorm.c, whose
 * steps are shares of eps. (fmn.c and ddn.c are those methods in shares of eps.)
 * References: Pintor et al., NeurIPS 2021; Rony et al., CVPR 2019.
 * (docs/theory/attack.md, section 7.)
 */
#include "attack/nearest.h"

#include <math.h>

#define LEAP 0.01 /* growth a step more for every step that found nothing */

static void begin(const rob_hunt *h, rob_lane *l, rob_walk *w)
{
    w->weight = rob_priv_lane_deviation(h, l);
    w->low = INFINITY; /* length of the nearest point of this walk that failed */
    l->eps = w->weight;
}

/* two fifths of the way it has met nothing, or nothing near what other lanes know */
static bool hopeless(const rob_hunt *h, const rob_lane *l, const rob_walk *w, int64_t k,
                     int64_t steps)
{
    return 5 * k > 2 * steps
           && !(w->low < INFINITY && w->low <= 2 * rob_priv_hunt_nearest(h, l));
}

static void step_out(const rob_hunt *h, rob_lane *l, double step)
{
    int64_t n = rob_priv_lane_size(h, l);
    double length = rob_priv_norm(ROB_NORM_L2, l->grad, n);
    for (int64_t i = 0; i < n; i++) l->delta[i] -= step * l->grad[i] / length;
}

static void move_in_ball(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k,
                         int64_t steps)
{
    int64_t n = rob_priv_lane_size(h, l);
    double by = rob_priv_falling(0.05, 0.001, k, steps);
    double ahead = fabs(l->value) / rob_priv_ball_dual(h->norm, l->grad, n);
    double here = rob_priv_norm(h->norm, l->delta, n);
    if (l->margin <= 0) {
        w->low = fmin(w->low, here);
        l->eps = fmin(l->eps * (1 - by), w->low);
    } else if (w->low < INFINITY) l->eps *= 1 + by;
    else l->eps = here + fmin(ahead, 1e6 * w->weight);
    l->eps = fmin(l->eps, h->cap);
    l->active = !hopeless(h, l, w, k, steps);
    step_out(h, l, w->weight * rob_priv_falling(1, 0.01, k, steps));
    rob_priv_lane_project(h, l, l->eps, l->delta);
}

static void move_on_sphere(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k,
                           int64_t steps)
{
    int64_t n = rob_priv_lane_size(h, l);
    if (l->margin <= 0) w->low = l->eps;
    double by = w->low < INFINITY ? 0.05 : fmax(0.05, LEAP * (double)k);
    l->eps = fmin(l->eps * (l->margin <= 0 ? 1 - by : 1 + by), h->cap);
    l->active = !hopeless(h, l, w, k, steps);
    step_out(h, l, w->weight * rob_priv_falling(1, 0.01, k, steps));
    double length = rob_priv_norm(ROB_NORM_L2, l->delta, n);
    if (!(length > 0)) {
        rob_priv_lane_scatter(h, l, l->eps, k + 1);
        return;
    }
    for (int64_t i = 0; i < n; i++) l->delta[i] *= l->eps / length;
    rob_priv_lane_project(h, l, l->eps, l->delta);
}

rob_status rob_priv_long_walk(rob_hunt *h, int64_t steps)
{
    static const rob_rule ball = { .begin = begin, .move = move_in_ball };
    static const rob_rule sphere = { .begin = begin, .move = move_on_sphere };
    const rob_rule *rule = h->norm == ROB_NORM_L2 ? &sphere : &ball;
    return rob_priv_nearest_walk(h, rule, steps, 0);
}
