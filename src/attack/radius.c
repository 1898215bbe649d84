/* radius.c -- the two questions, asked of a method that works in a ball of given radius.
 *
 * Least margin at the query's radius: searches from x and from random points of the ball.
 * With "stop" they go one after the other, over the series that no search before has
 * broken, as in AutoAttack (Croce & Hein, ICML 2020): what broke costs no more. Without,
 * all go at once, in larger batches.
 *
 * Distance: the radius is doubled until broken, then halved between the largest that held
 * and the nearest failing point; the first is that of the linear model at x, or, where no
 * gradient may be asked, a fiftieth of the series' norm. (docs/theory/attack.md, section
 * 4.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

void rob_priv_lane_note(const rob_hunt *h, rob_lane *l, bool stop)
{
    if (!h->at_radius) rob_priv_lane_keep(h, l);
    else if (l->margin < l->best_margin) {
        l->best_margin = l->margin;
        memcpy(l->best, l->delta, (size_t)rob_priv_lane_size(h, l) * sizeof *l->best);
    }
    if (stop && l->margin <= 0) l->active = false;
}

/* ---- least margin at the query's radius ------------------------------------------ */

static bool broken(const rob_hunt *h, int64_t series)
{
    for (int32_t k = 0; k < h->starts; k++)
        if (h->lane[series * h->starts + k].best_margin <= 0) return true;
    return false;
}

/* the lanes of starts from .. to - 1 whose series nothing has broken, at their starts */
static void place_starts(rob_hunt *h, int32_t from, int32_t to, bool stop)
{
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->radius = h->cap;
        l->active = l->start >= from && l->start < to;
        if (stop && broken(h, k / h->starts)) l->active = false;
        if (l->active && !l->fresh) rob_priv_lane_scatter(h, l, l->radius, 0);
    }
}

/* Every search to its class: the nearest n in turn, or what aim.c says. */
static rob_status aim(rob_hunt *h, int64_t targets)
{
    rob_status status = ROB_OK;
    rob_priv_hunt_wake(h, 0, h->starts);
    if (targets < 2) return rob_priv_aim_lanes(h);
    TRY(rob_priv_hunt_aim(h, targets));
    for (int64_t k = 0; k < h->lanes; k++)
        h->lane[k].fresh = h->lane[k].start < targets
                           && (h->lane[k].start == 0 || h->lane[k].aim >= 0);
done:
    return status;
}

rob_status rob_priv_ball_margin(rob_hunt *h, rob_descent *descend, int64_t targets,
                                bool stop)
{
    rob_status status = ROB_OK;
    int32_t together = stop ? 1 : h->starts;
    TRY(aim(h, targets));
    for (int32_t first = 0; first < h->starts && status == ROB_OK; first += together) {
        place_starts(h, first, first + together, stop);
        TRY(descend(h, stop));
    }
done:
    return status;
}

/* ---- distance by searching the radius -------------------------------------------- */

static void first_radius(const rob_hunt *h, rob_lane *l, bool slopes)
{
    const rob_region *r = rob_priv_lane_region(h, l);
    double size = 1 + rob_priv_norm(h->norm, r->x, r->n), guess = 0;
    if (slopes) guess = l->value / rob_priv_ball_dual(h->norm, l->grad, r->m);
    bool usable = guess > 0 && guess < 1e6 * size;
    l->radius = usable ? guess : slopes ? 1e-3 * size : 2e-2 * size;
    if (l->radius > h->cap) l->radius = h->cap;
    l->low = 0;
    l->high = INFINITY;
    if (!l->fresh) rob_priv_lane_scatter(h, l, l->radius, 0);
}

/* false: the search of this lane is over */
static bool next_radius(const rob_hunt *h, rob_lane *l)
{
    if (l->best_norm < l->high) l->high = l->best_norm;
    else l->low = l->radius;
    if (l->high < INFINITY) {
        if (l->high - l->low < 1e-3 * l->high) return false;
        l->radius = (l->low + l->high) / 2;
    } else {
        if (l->low >= h->cap || l->low > 1e30) return false;
        l->radius = 2 * l->low < h->cap ? 2 * l->low : h->cap;
    }
    rob_priv_lane_project(h, l, l->radius, l->delta);
    return true;
}

rob_status rob_priv_ball_distance(rob_hunt *h, rob_descent *descend, int64_t targets,
                                  int64_t radii, bool slopes)
{
    rob_status status = ROB_OK;
    if (targets < 2) rob_priv_hunt_wake(h, 0, h->starts);
    else TRY(rob_priv_hunt_aim(h, targets));
    for (int64_t k = 0; k < h->lanes; k++) h->lane[k].fresh = h->lane[k].start < targets;
    if (status == ROB_OK) TRY(rob_priv_radius_search(h, descend, radii, slopes));
done:
    return status;
}

rob_status rob_priv_radius_search(rob_hunt *h, rob_descent *descend, int64_t radii,
                                  bool slopes)
{
    rob_status status = ROB_OK;
    if (slopes) TRY(rob_priv_hunt_gradients(h));
    if (status == ROB_STOPPED) goto done;
    for (int64_t k = 0; k < h->lanes; k++)
        if (h->lane[k].active) first_radius(h, &h->lane[k], slopes);
    for (int64_t k = 0; k < radii && status == ROB_OK; k++) {
        for (int64_t j = 0; j < h->lanes; j++) h->lane[j].eps = h->lane[j].active;
        TRY(descend(h, true));
        for (int64_t j = 0; j < h->lanes; j++)
            h->lane[j].active = h->lane[j].eps > 0 && next_radius(h, &h->lane[j]);
    }
done:
    return status;
}
