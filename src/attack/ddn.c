/* ddn.c -- decoupled direction and norm: the nearest failing point in L2.
 *
 * Direction and length of d are updated apart,
 *     d' = d - a_k eps g/||g||_2,          g the gradient at d,
 *     eps <- eps (1 - y_k) where d fails, eps (1 + y_k) where it holds,
 *     d  <- P(eps d'/||d'||_2),            P: the region,
 * so the point is always at length eps, which swings about the distance of the boundary
 * in the direction d while the direction turns. a_k falls from `rate` to a hundredth of
 * it by half a cosine, y_k from `shrink` to a fiftieth. (As published a_k is an absolute
 * length, from 1 down, for numbers in [0, 1], and y_k constant; in shares of eps there is
 * no such scale.) eps begins as the length of the linear step.
 * Reference: Rony et al., Decoupling direction and norm, CVPR 2019.
 * (docs/theory/attack.md, section 5.)
 */
#include "attack/nearest.h"

#include <math.h>

#define SEARCHING 0.01 /* growth a step more for every step that found nothing */

static void begin(const rob_hunt *h, rob_lane *l, rob_walk *w)
{
    (void)h;
    l->eps = w->guess;
}

static void move(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k, int64_t steps)
{
    int64_t n = rob_priv_lane_size(h, l);
    double rate = rob_priv_attack_option(h->attack, "rate");
    double shrink = rob_priv_attack_option(h->attack, "shrink");
    double by = rob_priv_falling(shrink, shrink / 50, k, steps);
    if (l->best_norm == INFINITY) by = fmax(by, SEARCHING * (double)w->since);
    double step = rob_priv_falling(rate, rate / 100, k, steps) * l->eps;
    double length = rob_priv_norm(ROB_NORM_L2, l->grad, n);
    for (int64_t i = 0; i < n; i++) l->delta[i] -= step * l->grad[i] / length;
    l->eps = fmin(l->eps * (l->margin <= 0 ? 1 - by : 1 + by), h->cap);
    length = rob_priv_norm(ROB_NORM_L2, l->delta, n);
    if (!(length > 0)) {
        rob_priv_lane_scatter(h, l, l->eps, k + 1);
        return;
    }
    for (int64_t i = 0; i < n; i++) l->delta[i] *= l->eps / length;
    rob_priv_lane_project(h, l, l->eps, l->delta);
}

static const rob_rule rule = { .begin = begin, .move = move };

rob_status rob_priv_ddn_distance(rob_hunt *h)
{
    return rob_priv_nearest_search(
        h, &rule, (int64_t)rob_priv_attack_option(h->attack, "steps"), 1);
}

rob_status rob_priv_ddn_margin(rob_hunt *h)
{
    return rob_priv_nearest_margin(h, rob_priv_ddn_distance);
}
