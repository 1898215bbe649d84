/* auto.c -- "auto": several searches a series, each begun its own way, spent where they help.
 *
 * Distance in L2 and Linf, a budget of C gradients (all parts are shares of it):
 *     linear   DeepFool's steps towards the most promising groups, at most 10 a lane;
 *     around   one lane comes from the nearest other series that fails (other.c) and is
 *              polished for AROUND steps; without one it goes by radii (Linf) or from its
 *              linear point;
 *     walk     one lane takes long steps, as FMN (Linf) and DDN (L2) do (walk.c);
 *     ball     the others search in an adaptive ball (minnorm.c), one from x, one in Linf by
 *              radii (descent by signs in a ball that is doubled until broken, then
 *              bisected), the rest from their linear points;
 *     race     FEW steps of polish (polish.c) each; lanes further than the series' nearest
 *              by more than a tenth (Linf) or a fifth (L2) leave;
 *     polish   the others, each to its own stationary point;
 *     hops     what is left (hop.c).
 * In L1, or with fewer than ENOUGH gradients a lane: linear, ball, polish, hops, in equal
 * shares. Every failing point of every phase is kept when it is nearer, so no phase is worse
 * than what went before it. Margin: C/K steps of projected descent in each of K searches, the
 * first from x, the others from random points; in L1 every other search, the second from x
 * too, by the rules of Auto-PGD. (docs/theory/attack.md, section 7.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

enum { A_SEARCH = 150, MOST_SEARCHES = 16, A_RADIUS = 5 };
enum {
    ENOUGH = 40, /* calls a search that all roles need */
    AROUND = 14, /* steps of polish from another series' side, */
    FEW = 6,     /* of all other lanes before laggards leave, in Linf */
    SEVERAL = 8  /* and in L2 */
};

/* Where a lane searches from, and how, before it is polished. */
enum { FROM_X, FROM_LINEAR, BY_RADII, LONG_WALK, FROM_OTHER };

#define NOT_MUCH_FURTHER 1.2
#define LITTLE_FURTHER   1.1

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
    if (q->norm == ROB_NORM_L2 && calls >= 3 * ENOUGH) natural = at_least(3, natural);
    if (q->norm == ROB_NORM_LINF && calls < 2 * A_SEARCH) natural = 2;
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
    if (l->role == FROM_X || !(near->best_norm < INFINITY)) return;
    l->eps = near->best_norm;
    if (near == l || l->start == 1)
        memcpy(l->delta, near->best, (size_t)n * sizeof *l->delta);
    else rob_priv_lane_scatter(h, l, near->best_norm, 0);
}

/* ---- distance, margin ------------------------------------------------------------ */

static rob_status some_steps(rob_hunt *h, bool stop)
{
    return rob_priv_descend(h, A_RADIUS, 0, 0, stop);
}

/* ---- roles ------------------------------------------------------------------------- */

/* how a budget is spent */
typedef struct plan {
    bool mixed; /* long walks and other series too: L2 and Linf, enough calls a search */
    int64_t linear, ball, walk;
} plan;

static plan plan_of(const rob_hunt *h)
{
    int64_t calls = count_option(h->attack, "calls"), searches = h->starts;
    int64_t share = calls / searches;
    bool linf = h->norm == ROB_NORM_LINF;
    plan p = { .mixed = (linf || h->norm == ROB_NORM_L2) && searches > 1
                        && share >= ENOUGH };
    if (p.mixed) {
        p.linear = at_most(10, calls / 50);
        p.walk = linf ? at_most(calls * 57 / 100, at_least(100, calls / 5)) : calls / 3;
        share = (calls - p.walk) / at_least(1, searches - 1);
    } else {
        p.linear = at_least(1, at_most(10, share / 10));
    }
    p.ball = at_least(1, share * (linf && searches > 1 ? 3 : 4) / 10);
    return p;
}

static void give_roles(rob_hunt *h, const plan *p)
{
    static const int32_t linf[] = { LONG_WALK, FROM_OTHER, FROM_X, BY_RADII };
    static const int32_t l2[] = { FROM_X, LONG_WALK, FROM_OTHER, FROM_LINEAR };
    bool by_max = h->norm == ROB_NORM_LINF;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->role = l->start == 0 ? FROM_X : FROM_LINEAR;
        if (p->mixed && l->start < 4) l->role = (by_max ? linf : l2)[l->start];
        if (!p->mixed && by_max && l->start == 1 && p->ball > A_RADIUS) l->role = BY_RADII;
        l->slow = l->start == 0 || l->role == FROM_X;
        l->signs = l->start % 2 == 0;
        l->fresh = true;
    }
}

/* the lanes of that role, all others idle */
static void wake_role(rob_hunt *h, int32_t role)
{
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = 0; k < h->lanes; k++)
        h->lane[k].active = h->lane[k].active && h->lane[k].role == role;
}

/* the active lanes; false: there are none */
static bool stand_on_x(rob_hunt *h)
{
    bool any = false;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        any = any || l->active;
        if (l->active)
            memset(l->delta, 0, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
    }
    return any;
}

/* ---- phases ------------------------------------------------------------------------- */

/* The least radius that descent breaks, from x, unless the point the lane has from its
 * linear steps has turned out to be about as near as any. */
static rob_status by_radii(rob_hunt *h, int64_t calls)
{
    wake_role(h, BY_RADII);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        double most = NOT_MUCH_FURTHER * rob_priv_hunt_nearest(h, l);
        if (l->best_norm < INFINITY && l->best_norm <= most) l->active = false;
    }
    if (!stand_on_x(h)) return ROB_OK;
    return rob_priv_radius_search(h, some_steps, calls / A_RADIUS, true);
}

/* Lanes stand where the way to another series fails first; where there is none, they get
 * another role. */
static rob_status look_around(rob_hunt *h)
{
    rob_status status = ROB_OK;
    int32_t instead = h->norm == ROB_NORM_LINF ? BY_RADII : FROM_LINEAR;
    wake_role(h, FROM_OTHER);
    TRY(rob_priv_start_at_others(h, count_option(h->attack, "others")));
    for (int64_t k = 0; k < h->lanes; k++)
        if (h->lane[k].role == FROM_OTHER && !h->lane[k].active) h->lane[k].role = instead;
done:
    return status;
}

/* Gradients a lane that is awake may take: an equal part of what its series has left, and
 * no more than `most`. */
static void allow(rob_hunt *h, int64_t most)
{
    rob_priv_hunt_ration(h);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->limit = at_most(l->limit, l->calls + most);
        l->active = l->active && l->limit > l->calls;
    }
}

static rob_status ball_phase(rob_hunt *h, const plan *p)
{
    rob_status status = ROB_OK;
    h->phase = ROB_PHASE_BALL;
    if (p->mixed) {
        TRY(look_around(h));
        if (status == ROB_STOPPED) goto done;
        h->phase = ROB_PHASE_POLISH;
        allow(h, AROUND);
        TRY(rob_priv_polish_search(h, AROUND));
        if (status == ROB_STOPPED) goto done;
        h->phase = ROB_PHASE_BALL;
        wake_role(h, LONG_WALK);
        if (stand_on_x(h)) TRY(rob_priv_long_walk(h, p->walk));
        if (status == ROB_STOPPED) goto done;
    }
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = h->lanes - 1; k >= 0; k--) {
        rob_lane *l = &h->lane[k];
        l->active = l->active && (l->role == FROM_X || l->role == FROM_LINEAR);
        if (l->active) place_lane(h, l);
    }
    TRY(rob_priv_norm_search(h, p->ball));
    if (status == ROB_OK) TRY(by_radii(h, p->ball));
done:
    return status;
}

/* All lanes a few steps, so that one that stands far out shows where it is going. */
static rob_status race(rob_hunt *h)
{
    rob_status status = ROB_OK;
    h->phase = ROB_PHASE_POLISH;
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->active && l->best_norm < INFINITY && l->role != FROM_OTHER;
        memcpy(l->delta, l->best, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
    }
    allow(h, h->norm == ROB_NORM_L2 ? SEVERAL : FEW);
    TRY(rob_priv_polish_search(h, SEVERAL));
done:
    return status;
}

/* Lanes stand on their best points, those much further than the series' nearest leave. */
static void stand_on_best(rob_hunt *h, const plan *p)
{
    bool linf = h->norm == ROB_NORM_LINF;
    double most = linf && p->mixed ? LITTLE_FURTHER : NOT_MUCH_FURTHER;
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        bool late = l->best_norm > most * rob_priv_hunt_nearest(h, l);
        l->active = l->active && l->best_norm < INFINITY && !(late && (linf || p->mixed));
        memcpy(l->delta, l->best, (size_t)rob_priv_lane_size(h, l) * sizeof *l->delta);
    }
}

static rob_status polish_phase(rob_hunt *h, const plan *p, int64_t normals)
{
    rob_status status = ROB_OK;
    int64_t calls = count_option(h->attack, "calls");
    if (h->norm == ROB_NORM_L0) {
        rob_priv_hunt_gather(h);
        return rob_priv_normal_search(h, normals);
    }
    h->phase = ROB_PHASE_POLISH;
    stand_on_best(h, p);
    allow(h, calls);
    TRY(rob_priv_polish_search(h, calls));
    if (status == ROB_OK) TRY(rob_priv_hop_search(h));
done:
    return status;
}

rob_status rob_priv_auto_distance(rob_hunt *h)
{
    rob_status status = ROB_OK;
    plan p = plan_of(h);
    int64_t calls = count_option(h->attack, "calls");
    give_roles(h, &p);
    h->phase = ROB_PHASE_LINEAR;
    TRY(rob_priv_linear_search(h, p.linear));
    if (status == ROB_STOPPED) goto done;
    TRY(ball_phase(h, &p));
    if (status == ROB_STOPPED) goto done;
    if (p.mixed) TRY(race(h));
    if (status == ROB_STOPPED) goto done;
    TRY(polish_phase(h, &p, at_least(1, calls / h->starts - p.linear - p.ball)));
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
