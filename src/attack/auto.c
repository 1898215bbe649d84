/* auto.c -- "auto": several searches a series, spent where they help.
 *
 * Distance, a budget of C gradients and K searches, C/K each:
 *     linear   DeepFool's steps towards the K most promising groups, at most 10;
 *     ball     the adaptive-ball search, two fifths; its first lane from x, the others from
 *              where the linear steps ended or a random point as far;
 *     polish   every lane to its own stationary point (polish.c), which takes some ten to
 *              thirty gradients;
 *     hops     what is left: first from where the model of second order at x meets the
 *              boundary along its largest curvature, both ways (factor.c); then a random
 *              step of 0.2 to 1.2 times the distance away from the lane's best point, and
 *              polished again (basin hopping, Wales & Doye, J. Phys. Chem. A 101, 1997).
 *              One search has none, and no random number.
 * Every failing point of every phase is kept when it is nearer, so no phase is worse than
 * what went before it. Margin: C/K steps of projected descent, the first search from x, the
 * others from random points; in L1 every other search, the second from x too, by the rules of
 * Auto-PGD. (docs/theory/attack.md, section 7.)
 */
#include "attack/bend.h"

#include <math.h>
#include <string.h>

enum { A_SEARCH = 150, MOST_SEARCHES = 16, HOP_STEPS = 40, LEAST_HOP = 6, FRUITLESS = 8,
       WORTH_LEANING = 24 };

static int64_t count_option(const rob_attack *a, const char *name)
{
    return (int64_t)rob_priv_attack_option(a, name);
}

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t most_groups(const rob_query *q)
{
    int64_t most = 1;
    for (int64_t i = 0; i < q->count; i++)
        if (q->cases[i].spec.groups > most) most = q->cases[i].spec.groups;
    return most;
}

int32_t rob_priv_auto_searches(const rob_attack *a, const rob_query *q)
{
    int64_t asked = count_option(a, "searches"), calls = count_option(a, "calls");
    int64_t natural = at_most(4, at_least(2, most_groups(q)));
    natural = at_least(natural, at_most(MOST_SEARCHES, calls / A_SEARCH));
    if (asked == 0) asked = calls < 100 ? 1 : natural;
    return (int32_t)at_least(1, at_most(asked, calls / 4));
}

/* Where the adaptive search of a lane starts: the first at x, so that it follows the
 * descent from there whatever the linear steps jumped to; the others at their own
 * DeepFool point, or as far as the first's in a random direction. */
static void place_lane(const rob_hunt *h, rob_lane *l)
{
    const rob_lane *home = l - l->start, *near = l->best_norm < INFINITY ? l : home;
    int64_t n = rob_priv_lane_size(h, l);
    l->eps = l->high = 0;
    memset(l->delta, 0, (size_t)n * sizeof *l->delta);
    if (l->start == 0 || !(near->best_norm < INFINITY)) return;
    l->eps = near->best_norm;
    if (near == l || l->start == 1)
        memcpy(l->delta, near->best, (size_t)n * sizeof *l->delta);
    else rob_priv_lane_scatter(h, l, near->best_norm, 0);
}

/* Lanes with a failing point stand on it. */
static void stand_on_best(rob_hunt *h)
{
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->active && l->best_norm < INFINITY;
        memcpy(l->delta, l->best, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
    }
}

/* ---- hops ------------------------------------------------------------------------ */

/* false: this lane has spent its share */
static bool hop(const rob_hunt *h, rob_lane *l, int64_t round, int64_t limit)
{
    /* how much of the point is kept, how far from there: along the boundary, and from
     * inside, where another piece of it may be met first */
    static const double keep[8] = { 1, 0, 1, 0.5, 1, 0.2, 1, 0 };
    static const double length[8] = { 0.4, 0.5, 0.8, 0.3, 0.2, 0.2, 1.2, 0.15 };
    int64_t kind = (round + l->start) % 8;
    const rob_lane *home = l - l->start, *from = l;
    int64_t n = rob_priv_lane_size(h, l);
    l->side = l->best_norm < l->low * (1 - 1e-4) ? 0 : l->side + 1;
    l->low = fmin(l->low, l->best_norm);
    if (l->calls + LEAST_HOP > limit || l->side > FRUITLESS) return false;
    for (int32_t k = 0; k < h->starts; k++) /* now and then from the series' best */
        if ((round + 2 * l->start) % 3 == 0 && home[k].best_norm < from->best_norm)
            from = &home[k];
    if (!(from->best_norm < INFINITY)) return false;
    /* rounds of the random stream that the ball's search, round by step, leaves free */
    rob_priv_lane_scatter(h, l, length[kind] * from->best_norm, 0x80000 + round);
    for (int64_t i = 0; i < n; i++) l->delta[i] += keep[kind] * from->best[i];
    return true;
}

/* The first hop of a series' first two lanes: along the largest curvature at x, both
 * ways, where it pays for its products. */
static rob_status lean(rob_hunt *h, int64_t limit)
{
    rob_status status = ROB_OK;
    if (h->starts < 2 || h->q->model->callback.logits) return ROB_OK;
    rob_priv_hunt_wake(h, 0, 2);
    for (int64_t k = 0; k < h->lanes; k++) {
        const rob_lane *home = &h->lane[k - h->lane[k].start];
        int64_t cost = 2 * ROB_LEAN_PRODUCTS + WORTH_LEANING;
        h->lane[k].active = h->lane[k].active && home->best_norm < INFINITY
                            && home->calls + cost <= limit;
    }
    TRY(rob_priv_hunt_lean(h, 0, 2));
    if (status == ROB_OK) TRY(rob_priv_polish_search(h, HOP_STEPS, limit));
done:
    return status;
}

static rob_status hops(rob_hunt *h, int64_t limit)
{
    rob_status status = ROB_OK;
    bool any = h->starts > 1;
    h->phase = ROB_PHASE_HOP;
    TRY(lean(h, limit));
    for (int64_t k = 0; k < h->lanes; k++) {
        h->lane[k].low = INFINITY; /* best before the last hop */
        h->lane[k].side = 0;       /* hops in a row that found nothing nearer */
    }
    for (int64_t round = 0; any && status == ROB_OK; round++) {
        any = false;
        rob_priv_hunt_wake(h, 0, h->starts);
        for (int64_t k = 0; k < h->lanes; k++) {
            rob_lane *l = &h->lane[k];
            l->active = l->active && hop(h, l, round, limit);
            any = any || l->active;
        }
        TRY(rob_priv_polish_search(h, HOP_STEPS, limit));
    }
done:
    return status;
}

/* ---- distance, margin ------------------------------------------------------------ */

static rob_status polish_phase(rob_hunt *h, int64_t limit)
{
    rob_status status = ROB_OK;
    if (h->norm == ROB_NORM_L0) {
        rob_priv_hunt_gather(h);
        return rob_priv_normal_search(h, limit);
    }
    h->phase = ROB_PHASE_POLISH;
    stand_on_best(h);
    TRY(rob_priv_polish_search(h, limit, limit));
    if (status == ROB_OK) TRY(hops(h, limit));
done:
    return status;
}

rob_status rob_priv_auto_distance(rob_hunt *h)
{
    rob_status status = ROB_OK;
    int64_t share = count_option(h->attack, "calls") / h->starts;
    int64_t linear = at_least(1, at_most(10, share / 10));
    int64_t ball = at_least(1, share * 2 / 5);
    h->phase = ROB_PHASE_LINEAR;
    TRY(rob_priv_linear_search(h, linear));
    if (status == ROB_STOPPED) goto done;
    h->phase = ROB_PHASE_BALL;
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = h->lanes - 1; k >= 0; k--) place_lane(h, &h->lane[k]);
    TRY(rob_priv_norm_search(h, ball));
    if (status == ROB_STOPPED) goto done;
    TRY(polish_phase(h, h->norm == ROB_NORM_L0 ? share - linear - ball : share));
done:
    return status;
}

/* Lanes with an odd number among the active, or the others. */
static void choose_lanes(rob_hunt *h, bool odd)
{
    for (int64_t k = 0; k < h->lanes; k++)
        h->lane[k].active = (h->lane[k].start % 2 == 1) == odd;
}

rob_status rob_priv_auto_margin(rob_hunt *h)
{
    rob_status status = ROB_OK;
    int64_t share = count_option(h->attack, "calls") / h->starts;
    bool both = h->norm == ROB_NORM_L1 && h->starts > 1;
    rob_priv_hunt_wake(h, 0, h->starts);
    TRY(rob_priv_aim_lanes(h));
    if (status == ROB_STOPPED) goto done;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        bool from_x = l->fresh || (both && l->start == 1);
        l->radius = h->cap;
        if (!from_x) rob_priv_lane_scatter(h, l, l->radius, 0);
    }
    if (both) choose_lanes(h, true);
    if (both) TRY(rob_priv_auto_descend(h, share, false));
    if (status == ROB_STOPPED) goto done;
    if (both) choose_lanes(h, false);
    TRY(rob_priv_descend(h, share, 0, 0, false));
done:
    return status;
}
