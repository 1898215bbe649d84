/* pgd.c -- projected gradient descent of the objective in a ball of given radius r:
 *     delta <- P_r(delta + a_k r d),   d = -sign g (Linf), -g/||g||_2 (L2, L1),
 * P_r the projection on the ball (ball.c), a_k constant (option step) or falling
 * linearly from 1/2 to 1/50. A lane whose gradient vanishes starts again at a random
 * point. For a distance the radius is searched: doubled until broken, then halved
 * between the largest that held and the nearest failing point. Reference: Madry,
 * Makelov, Schmidt, Tsipras & Vladu, ICLR 2018. (docs/theory/attack.md, section 4.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

static double rate_at(int64_t k, int64_t steps)
{
    double falling = 0.5 * (1 - (double)k / (double)steps);
    return falling > 0.02 ? falling : 0.02;
}

static bool move(const rob_hunt *h, rob_lane *l, double length)
{
    int64_t n = rob_priv_lane_size(h, l);
    int32_t shape = h->norm == ROB_NORM_LINF ? ROB_NORM_LINF : ROB_NORM_L2;
    if (!rob_priv_ball_steepest(shape, l->grad, n, l->spare)) return false;
    for (int64_t i = 0; i < n; i++) l->delta[i] += length * l->spare[i];
    rob_priv_lane_project(h, l, l->radius, l->delta);
    return true;
}

static void note_margin(const rob_hunt *h, rob_lane *l, bool stop)
{
    if (!h->at_radius) rob_priv_lane_keep(h, l);
    else if (l->margin < l->best_margin) {
        l->best_margin = l->margin;
        memcpy(l->best, l->delta, (size_t)rob_priv_lane_size(h, l) * sizeof *l->best);
    }
    if (stop && l->margin <= 0) l->active = false;
}

rob_status rob_priv_descend(rob_hunt *h, int64_t steps, double rate, bool stop)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < steps; k++) {
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) goto done;
        double share = rate > 0 ? rate : rate_at(k, steps);
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            note_margin(h, l, stop);
            if (l->active && !move(h, l, share * l->radius))
                rob_priv_lane_scatter(h, l, l->radius, k + 1);
        }
    }
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++)
        note_margin(h, h->row[r], stop);
done:
    return status;
}

/* ---- least margin at the query's radius ------------------------------------------ */

rob_status rob_priv_pgd_margin(rob_hunt *h)
{
    rob_status status = ROB_OK;
    const rob_attack *a = h->attack;
    rob_priv_hunt_wake(h, 0, h->starts);
    TRY(rob_priv_aim_lanes(h));
    if (status == ROB_STOPPED) goto done;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->radius = h->cap;
        if (!l->fresh) rob_priv_lane_scatter(h, l, l->radius, 0);
    }
    TRY(rob_priv_descend(h, (int64_t)rob_priv_attack_option(a, "steps"),
                         rob_priv_attack_option(a, "step"),
                         rob_priv_attack_option(a, "stop") > 0));
done:
    return status;
}

/* ---- distance by searching the radius -------------------------------------------- */

/* radius of the linear model at x, the first to be tried */
static rob_status first_radius(rob_hunt *h)
{
    rob_status status = ROB_OK;
    rob_priv_hunt_wake(h, 0, h->starts);
    TRY(rob_priv_hunt_gradients(h));
    if (status == ROB_STOPPED) goto done;
    for (int64_t r = 0; r < h->rows; r++) {
        rob_lane *l = h->row[r];
        int64_t n = rob_priv_lane_size(h, l);
        double dual = rob_priv_ball_dual(h->norm, l->grad, n), guess = l->margin / dual;
        double size = 1 + rob_priv_norm(h->norm, l->point, rob_priv_lane_region(h, l)->n);
        bool usable = guess > 0 && guess < 1e6 * size;
        l->radius = usable ? guess : 1e-3 * size;
        if (l->radius > h->cap) l->radius = h->cap;
        l->low = 0;
        l->high = INFINITY;
        if (l->start > 0) rob_priv_lane_scatter(h, l, l->radius, 0);
    }
done:
    return status;
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

rob_status rob_priv_pgd_distance(rob_hunt *h)
{
    rob_status status = ROB_OK;
    const rob_attack *a = h->attack;
    int64_t steps = (int64_t)rob_priv_attack_option(a, "steps");
    int64_t radii = (int64_t)rob_priv_attack_option(a, "radii");
    double rate = rob_priv_attack_option(a, "step");
    TRY(first_radius(h));
    for (int64_t k = 0; k < radii && status == ROB_OK; k++) {
        for (int64_t j = 0; j < h->lanes; j++) h->lane[j].eps = h->lane[j].active;
        TRY(rob_priv_descend(h, steps, rate, true));
        for (int64_t j = 0; j < h->lanes; j++)
            h->lane[j].active = h->lane[j].eps > 0 && next_radius(h, &h->lane[j]);
    }
done:
    return status;
}
