/* hop.c -- the rest of a budget: hops from basin to basin.
 *
 * A search that has come to its stationary point b, at distance r, starts again from
 *     a b + s r z,   z random of length 1, a in {0, 0.2, 0.5, 1}, s from 0.15 to 1.2,
 * and is polished (polish.c): along the boundary from its best point, or from between x and
 * it, where another piece of the boundary may be met first; every third time b is the best
 * of all the series' searches. The first hop of the first two searches starts where the
 * model of second order at x meets the boundary along its largest curvature, both ways
 * (factor.c). Eight in a row that found nothing nearer by 1e-4 end a search; the gradients it
 * leaves are not handed on. One search has no hops, and no random number.
 * Reference: Wales & Doye, Global optimization by basin-hopping, J. Phys. Chem. A 101, 1997.
 * (docs/theory/attack.md, sections 5, 7.)
 */
#include "attack/bend.h"

#include <math.h>
#include <string.h>

enum { HOP_STEPS = 40, LEAST_HOP = 6, FRUITLESS = 8, WORTH_LEANING = 24 };

double rob_priv_hunt_nearest(const rob_hunt *h, const rob_lane *l)
{
    const rob_lane *home = l - l->start;
    double least = INFINITY;
    for (int32_t k = 0; k < h->starts; k++) least = fmin(least, home[k].best_norm);
    return least;
}

static void ration_series(const rob_hunt *h, rob_lane *home)
{
    int64_t left = (int64_t)rob_priv_attack_option(h->attack, "calls"), awake = 0;
    for (int32_t k = 0; k < h->starts; k++) {
        left -= home[k].calls;
        awake += home[k].active;
    }
    for (int32_t k = 0; k < h->starts; k++)
        home[k].limit = home[k].calls + (left > 0 && awake > 0 ? left / awake : 0);
}

void rob_priv_hunt_ration(rob_hunt *h)
{
    for (int64_t k = 0; k < h->lanes; k += h->starts) ration_series(h, &h->lane[k]);
}

/* false: this lane has spent its share */
static bool hop(const rob_hunt *h, rob_lane *l, int64_t round)
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
    if (l->calls + LEAST_HOP > l->limit || l->side > FRUITLESS) return false;
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
static rob_status lean(rob_hunt *h)
{
    rob_status status = ROB_OK;
    if (h->starts < 2 || h->q->model->callback.logits) return ROB_OK;
    rob_priv_hunt_wake(h, 0, 2);
    for (int64_t k = 0; k < h->lanes; k++) {
        const rob_lane *home = &h->lane[k - h->lane[k].start];
        int64_t cost = 2 * ROB_LEAN_PRODUCTS + WORTH_LEANING;
        h->lane[k].active = h->lane[k].active && home->best_norm < INFINITY
                            && home->calls + cost <= home->limit;
    }
    TRY(rob_priv_hunt_lean(h, 0, 2));
    if (status == ROB_OK) TRY(rob_priv_polish_search(h, HOP_STEPS));
done:
    return status;
}

rob_status rob_priv_hop_search(rob_hunt *h)
{
    rob_status status = ROB_OK;
    bool any = h->starts > 1;
    h->phase = ROB_PHASE_HOP;
    if (any) {
        rob_priv_hunt_wake(h, 0, h->starts);
        rob_priv_hunt_ration(h);
    }
    TRY(lean(h));
    for (int64_t k = 0; k < h->lanes; k++) {
        h->lane[k].low = INFINITY; /* best before the last hop */
        h->lane[k].side = 0;       /* hops in a row that found nothing nearer */
    }
    for (int64_t round = 0; any && status == ROB_OK; round++) {
        any = false;
        rob_priv_hunt_wake(h, 0, h->starts);
        for (int64_t k = 0; k < h->lanes; k++) {
            rob_lane *l = &h->lane[k];
            l->active = l->active && hop(h, l, round);
            any = any || l->active;
        }
        TRY(rob_priv_polish_search(h, HOP_STEPS));
    }
done:
    return status;
}
