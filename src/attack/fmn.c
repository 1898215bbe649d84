/* fmn.c -- fast minimum norm: the nearest failing point in L0, L1, L2, Linf.
 *
 *     d <- P_eps(d - a_k eps n_p g/||g||_2),   P_eps: the region and ||d||_p <= eps,
 * while the radius eps follows the boundary. With F and g at d, and b the nearest failing
 * point so far,
 *     before anything failed   eps = ||d||_p + 1.1^k F/||g||_q (beyond the linear boundary),
 *     d holds                  eps <- min(eps (1 + y_k), ||b||_p),
 *     d fails                  eps <- min(eps, ||b||_p) (1 - y_k),
 * and in L0, where lengths are whole numbers, by at least one number each time, from one
 * number up. a_k falls from `rate` to a hundredth of it and y_k from `shrink` to a
 * fiftieth, by half a cosine. (As published a_k is an absolute length; the share of eps
 * has no scale. n_p = sqrt(numbers) in Linf, where eps is the length of each, else 1;
 * in L0, where eps is a count, lengths are shares of the linear step.)
 * Reference: Pintor et al., Fast minimum-norm adversarial attacks, NeurIPS 2021.
 * (docs/theory/attack.md, section 5.)
 */
#include "attack/nearest.h"

#include <math.h>

static void begin(const rob_hunt *h, rob_lane *l, rob_walk *w)
{
    (void)w;
    l->eps = h->norm == ROB_NORM_L0 ? 1 : INFINITY;
    l->high = 0; /* 1: something failed */
}

static void adapt_count(rob_lane *l, double by)
{
    if (l->margin <= 0) {
        double least = fmin(l->eps, l->best_norm);
        l->eps = fmax(fmin(least - 1, floor(least * (1 - by))), 1);
    } else l->eps = fmax(l->eps + 1, floor(l->eps * (1 + by)));
    /* at the best length itself other numbers may still take over */
    l->eps = fmin(l->eps, l->best_norm);
}

static void adapt_radius(const rob_hunt *h, rob_lane *l, rob_walk *w, double by)
{
    if (h->norm == ROB_NORM_L0) adapt_count(l, by);
    else if (l->margin <= 0) l->eps = fmin(l->eps, l->best_norm) * (1 - by);
    else if (l->best_norm < INFINITY) l->eps = fmin(l->eps * (1 + by), l->best_norm);
    else
        l->eps = rob_priv_norm(h->norm, l->delta, rob_priv_lane_size(h, l))
                 + rob_priv_lane_guess(h, l) * pow(1.1, (double)w->since);
    l->eps = fmin(l->eps, h->cap);
}

/* what a length of eps in the norm is worth in L2, at most */
static double reach_of(const rob_hunt *h, const rob_lane *l, const rob_walk *w)
{
    double n = (double)rob_priv_lane_size(h, l);
    return h->norm == ROB_NORM_LINF ? l->eps * sqrt(n)
           : h->norm == ROB_NORM_L0 ? w->guess
                                    : l->eps;
}

static void move(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k, int64_t steps)
{
    int64_t n = rob_priv_lane_size(h, l);
    double rate = rob_priv_attack_option(h->attack, "rate");
    double shrink = rob_priv_attack_option(h->attack, "shrink");
    adapt_radius(h, l, w, rob_priv_falling(shrink, shrink / 50, k, steps));
    double step = rob_priv_falling(rate, rate / 100, k, steps) * reach_of(h, l, w)
                  / rob_priv_norm(ROB_NORM_L2, l->grad, n);
    for (int64_t i = 0; i < n; i++) l->delta[i] -= step * l->grad[i];
    rob_priv_lane_project(h, l, l->eps, l->delta);
}

static const rob_rule rule = { .begin = begin, .move = move };

rob_status rob_priv_fmn_distance(rob_hunt *h)
{
    return rob_priv_nearest_search(
        h, &rule, (int64_t)rob_priv_attack_option(h->attack, "steps"), 1);
}

rob_status rob_priv_fmn_margin(rob_hunt *h)
{
    return rob_priv_nearest_margin(h, rob_priv_fmn_distance);
}
