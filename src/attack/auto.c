/* auto.c -- "auto": several searches a series, spent where they help.
 *
 * Distance, a budget of C gradients and K searches, S = C/K each:
 *     linear   DeepFool's steps towards the K most promising groups, at most 10;
 *     ball     2 S/5 (Linf and several searches: 3 S/10) of the adaptive-ball search; its
 *              first lane from x, the others from where the linear steps ended or a random
 *              point as far. In Linf the second goes by radii afterwards: five steps of
 *              descent by signs in a ball, which is doubled until broken, then bisected;
 *              where its linear steps ended about as near as the others did by now, it
 *              goes straight on;
 *     polish   lanes (Linf: those within a fifth of the series' best), each to its own
 *              stationary point (polish.c), which takes some ten to thirty gradients;
 *     hops     what is left (hop.c).
 * Every failing point of every phase is kept when it is nearer, so no phase is worse than
 * what went before it. Margin: C/K steps of projected descent, the first search from x, the
 * others from random points; in L1 every other search, the second from x too, by the rules of
 * Auto-PGD. (docs/theory/attack.md, section 7.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

enum { A_SEARCH = 150, MOST_SEARCHES = 16, A_RADIUS = 5 };

#define NOT_MUCH_FURTHER 1.2

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

/* ---- distance, margin ------------------------------------------------------------ */

/* Lanes with a failing point, in Linf not much further than the series' best, stand on it. */
static void stand_on_best(rob_hunt *h)
{
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        double most = NOT_MUCH_FURTHER * rob_priv_hunt_nearest(h, l);
        bool late = h->norm == ROB_NORM_LINF && l->best_norm > most;
        l->active = l->active && l->best_norm < INFINITY && !late;
        memcpy(l->delta, l->best, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
    }
}

static rob_status polish_phase(rob_hunt *h, int64_t normals)
{
    rob_status status = ROB_OK;
    if (h->norm == ROB_NORM_L0) {
        rob_priv_hunt_gather(h);
        return rob_priv_normal_search(h, normals);
    }
    h->phase = ROB_PHASE_POLISH;
    stand_on_best(h);
    rob_priv_hunt_ration(h);
    TRY(rob_priv_polish_search(h, count_option(h->attack, "calls")));
    if (status == ROB_OK) TRY(rob_priv_hop_search(h));
done:
    return status;
}

static rob_status some_steps(rob_hunt *h, bool stop)
{
    return rob_priv_descend(h, A_RADIUS, 0, 0, stop);
}

/* Second lanes: the least radius that descent breaks, from x, unless the point their linear
 * steps found has turned out to be about as near as any. */
static rob_status by_radii(rob_hunt *h, int64_t calls)
{
    rob_priv_hunt_wake(h, 1, 2);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        double most = NOT_MUCH_FURTHER * rob_priv_hunt_nearest(h, l);
        bool near = l->best_norm < INFINITY && l->best_norm <= most;
        if (l->start != 1) continue;
        l->active = l->active && !near;
        l->fresh = true;
        memset(l->delta, 0, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
    }
    return rob_priv_radius_search(h, some_steps, calls / A_RADIUS, true);
}

static int64_t share_of_ball(const rob_hunt *h, int64_t share)
{
    if (h->starts > 1 && h->norm == ROB_NORM_LINF) return at_least(1, share * 3 / 10);
    return at_least(1, share * 2 / 5);
}

static rob_status ball_phase(rob_hunt *h, int64_t calls)
{
    rob_status status = ROB_OK;
    bool radii = h->norm == ROB_NORM_LINF && calls > A_RADIUS;
    h->phase = ROB_PHASE_BALL;
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = h->lanes - 1; k >= 0; k--) {
        place_lane(h, &h->lane[k]);
        if (radii && h->lane[k].start == 1) h->lane[k].active = false;
    }
    TRY(rob_priv_norm_search(h, calls));
    if (status == ROB_OK && radii) TRY(by_radii(h, calls));
done:
    return status;
}

rob_status rob_priv_auto_distance(rob_hunt *h)
{
    rob_status status = ROB_OK;
    int64_t share = count_option(h->attack, "calls") / h->starts;
    int64_t linear = at_least(1, at_most(10, share / 10));
    int64_t ball = share_of_ball(h, share);
    h->phase = ROB_PHASE_LINEAR;
    TRY(rob_priv_linear_search(h, linear));
    if (status == ROB_STOPPED) goto done;
    TRY(ball_phase(h, ball));
    if (status == ROB_STOPPED) goto done;
    TRY(polish_phase(h, share - linear - ball));
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
