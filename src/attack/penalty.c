/* penalty.c -- the nearest failing point by a penalty: Carlini and Wagner's attack (L2),
 * and the elastic net's (L1).
 *
 *     min_d  ||d||_2^2/2 + c max(F(x + d), 0)                                   (cw)
 *     min_d  ||d||_2^2/2 + b s ||d||_1 + c max(F(x + d), 0)                     (ead)
 * s the length of the linear step, b the option `sparse`. A minimiser stands on the
 * boundary when c is large enough, and holds when it is not: for linear F the least is
 * c = s/||g||_2, s(1 + b)/||g||_inf. The first c is twice that; `rounds` times it is
 * divided by 4 after a round in which something failed, multiplied by 4 after one in
 * which nothing did, and once both were seen it is the geometric mean of the largest that
 * held and the least that failed. Every round goes on from the nearest failing point, the
 * first from x (as published all do).
 *
 * cw: Adam, (m, v) decayed by 0.9 and 0.999; a step is a_k s/sqrt(n) a number, s the best
 * length once there is one, a_k from `rate` to a hundredth of it within a round.
 * ead: d' = S(y - a_k (y + c g), a_k b s), y = d' + k/(k + 3) (d' - d), S the soft
 * threshold, a_k = `rate` sqrt(1 - k/K) (Beck & Teboulle 2009). Both d' and y are looked
 * at; only y costs a gradient.
 * Instead of a change of variables walls are projected on.
 * Reference: Carlini & Wagner, S&P 2017; Chen et al., EAD, AAAI 2018.
 * (docs/theory/attack.md, section 5.)
 */
#include "attack/nearest.h"

#include <math.h>
#include <string.h>

static double option(const rob_hunt *h, const char *name)
{
    return rob_priv_attack_option(h->attack, name);
}

/* ---- the weight c ---------------------------------------------------------------- */

static void begin_weight(rob_lane *l, rob_walk *w, double least)
{
    w->weight = 2 * least;
    w->low = 0;
    w->high = INFINITY;
    l->low = INFINITY; /* best length before this round */
    l->high = 0;       /* 1: something failed in this round */
}

static void next_weight(rob_walk *w, bool failed)
{
    if (failed) w->high = fmin(w->high, w->weight);
    else w->low = fmax(w->low, w->weight);
    w->weight = w->high == INFINITY ? 4 * w->low
                : w->low == 0       ? w->high / 4
                                    : sqrt(w->low * w->high);
}

enum { LEAST_ROUND = 15 }; /* steps that a weight is given at least */

static double rounds_of(const rob_hunt *h, int64_t steps)
{
    int64_t most = steps > LEAST_ROUND ? steps / LEAST_ROUND : 1;
    return fmin(option(h, "rounds"), (double)most);
}

/* true when a new round begins; delta is then where it starts */
static bool new_round(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k,
                      int64_t steps)
{
    int64_t now = k * (int64_t)rounds_of(h, steps) / steps;
    l->high = l->high > 0 || l->margin <= 0;
    w->step++;
    if (now == w->round) return false;
    next_weight(w, l->high > 0);
    w->round = now;
    w->step = 0;
    l->high = 0;
    if (l->best_norm < INFINITY)
        memcpy(l->delta, l->best, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
    return true;
}

/* share of the round that is over */
static double progress(const rob_hunt *h, const rob_walk *w, int64_t steps)
{
    return fmin((double)w->step * rounds_of(h, steps) / (double)steps, 1);
}

/* ---- Carlini and Wagner ---------------------------------------------------------- */

static void begin_adam(const rob_hunt *h, rob_lane *l, rob_walk *w)
{
    int64_t n = rob_priv_lane_size(h, l);
    begin_weight(l, w, w->guess / rob_priv_norm(ROB_NORM_L2, l->grad, n));
    w->step = -1;
}

static void step_adam(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k,
                      int64_t steps)
{
    static const double keep = 0.9, keep_square = 0.999;
    int64_t n = rob_priv_lane_size(h, l);
    double *m = w->v[0], *v = w->v[1];
    if (new_round(h, l, w, k, steps)) {
        memset(m, 0, (size_t)n * sizeof *m);
        memset(v, 0, (size_t)n * sizeof *v);
        return; /* the gradient at the point it starts from comes next */
    }
    double length = fmin(w->guess, l->best_norm) / sqrt((double)n);
    double rate = option(h, "rate"), done = progress(h, w, steps);
    rate = length * (rate / 100 + rate * 0.99 * (1 - done));
    double c = l->margin > 0 ? w->weight : 0, age = (double)w->step + 1;
    double one = 1 - pow(keep, age), two = 1 - pow(keep_square, age);
    for (int64_t i = 0; i < n; i++) {
        double g = l->delta[i] + c * l->grad[i];
        m[i] = keep * m[i] + (1 - keep) * g;
        v[i] = keep_square * v[i] + (1 - keep_square) * g * g;
        l->delta[i] -= rate * (m[i] / one) / (sqrt(v[i] / two) + 1e-8 * length);
    }
}

static const rob_rule adam = { .vectors = 2, .begin = begin_adam, .move = step_adam };

rob_status rob_priv_cw_distance(rob_hunt *h)
{
    return rob_priv_nearest_search(h, &adam, (int64_t)option(h, "steps"), 1);
}

rob_status rob_priv_cw_margin(rob_hunt *h)
{
    return rob_priv_nearest_margin(h, rob_priv_cw_distance);
}

/* ---- elastic net ----------------------------------------------------------------- */
/* v[0]: d, the last iterate; v[1]: the one before */

static void begin_net(const rob_hunt *h, rob_lane *l, rob_walk *w)
{
    int64_t n = rob_priv_lane_size(h, l);
    double most = rob_priv_norm(ROB_NORM_LINF, l->grad, n);
    begin_weight(l, w, w->guess * (1 + option(h, "sparse")) / most);
    memcpy(w->v[0], l->delta, (size_t)n * sizeof *l->delta);
    w->step = -1;
}

static double shrunk(double v, double by)
{
    return v > by ? v - by : v < -by ? v + by : 0;
}

static void step_net(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k,
                     int64_t steps)
{
    int64_t n = rob_priv_lane_size(h, l);
    double *last = w->v[0], *before = w->v[1];
    memcpy(before, last, (size_t)n * sizeof *last);
    if (new_round(h, l, w, k, steps)) {
        memcpy(before, l->delta, (size_t)n * sizeof *before);
        return;
    }
    double rate = option(h, "rate") * sqrt(1 - progress(h, w, steps));
    double by = rate * option(h, "sparse") * w->guess;
    double c = l->value > 0 ? w->weight : 0;
    for (int64_t i = 0; i < n; i++)
        l->delta[i] = shrunk(l->delta[i] - rate * (l->delta[i] + c * l->grad[i]), by);
}

static void go_beyond(const rob_hunt *h, rob_lane *l, rob_walk *w)
{
    int64_t n = rob_priv_lane_size(h, l);
    double *last = w->v[0], *before = w->v[1];
    double by = w->step > 0 ? (double)w->step / ((double)w->step + 3) : 0;
    if (l->margin <= 0) l->high = 1;
    memcpy(last, l->delta, (size_t)n * sizeof *last);
    for (int64_t i = 0; i < n; i++) l->delta[i] += by * (last[i] - before[i]);
}

static const rob_rule net = { .vectors = 2,
                              .begin = begin_net,
                              .move = step_net,
                              .after = go_beyond };

rob_status rob_priv_ead_distance(rob_hunt *h)
{
    return rob_priv_nearest_search(h, &net, (int64_t)option(h, "steps"), 1);
}

rob_status rob_priv_ead_margin(rob_hunt *h)
{
    return rob_priv_nearest_margin(h, rob_priv_ead_distance);
}
