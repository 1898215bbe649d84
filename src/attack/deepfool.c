/* deepfool.c -- DeepFool and the fast gradient step: distances from linear models.
 *
 * At delta, with value F and gradient g of a group of the specification, the nearest
 * point where the linear model vanishes is  delta + (F / ||g||_q) d,  d the steepest
 * unit direction of the norm (ball.c). Repeated, a few percent too far each time, until
 * the specification fails. Each lane aims at one group; the lanes of a series take its
 * most promising groups, so the least over lanes is the distance over classes.
 * Reference: Moosavi-Dezfooli, Fawzi & Frossard, CVPR 2016; Goodfellow, Shlens &
 * Szegedy, ICLR 2015. (docs/theory/attack.md, section 3.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

#define TOO_FAR      1.02 /* of the linear step */
#define OUT_OF_REACH 1e30 /* float32 ends here */

/* first row of the group with the k-th smallest margin at outputs f; -1: fewer groups
 */
static int64_t group_ranked(const rob_spec *s, const double *f, int32_t k)
{
    int64_t row, next, at = -1;
    for (int64_t first = 0; first < s->rows; first = next) {
        double value = rob_priv_spec_group(s, f, first, &row, &next);
        int32_t nearer = 0;
        for (int64_t other = 0, after; other < s->rows; other = after) {
            double rival = rob_priv_spec_group(s, f, other, &row, &after);
            nearer += rival < value || (rival == value && other < first);
        }
        if (nearer == k) at = first;
    }
    return at;
}

rob_status rob_priv_hunt_aim(rob_hunt *h, int64_t candidates)
{
    rob_status status = ROB_OK;
    if (candidates == 1) {
        rob_priv_hunt_wake(h, 0, h->starts);
        return ROB_OK;
    }
    rob_priv_hunt_wake(h, 0, 1);
    TRY(rob_priv_hunt_values(h));
    if (status == ROB_STOPPED) goto done;
    for (int64_t k = 0; k < h->rows; k++) {
        const rob_spec *s = &rob_priv_lane_case(h, h->row[k])->spec;
        for (int32_t j = 0; j < h->starts; j++) {
            rob_lane *l = h->row[k] + j;
            l->aim = group_ranked(s, h->logits + k * s->outputs,
                                  (int32_t)(j % candidates));
            l->active = l->aim >= 0;
        }
    }
done:
    return status;
}

static void step_to_plane(const rob_hunt *h, rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    double dual = rob_priv_ball_dual(h->norm, l->grad, n);
    double length = TOO_FAR * l->value / dual;
    l->active = length < OUT_OF_REACH
                && rob_priv_lane_plane(h, l, l->delta, l->grad, TOO_FAR * l->value,
                                       l->spare);
    for (int64_t i = 0; l->active && i < n; i++) l->delta[i] += l->spare[i];
}

rob_status rob_priv_linear_search(rob_hunt *h, int64_t steps)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_hunt_aim(h, h->starts));
    for (int64_t k = 0; k < steps && status == ROB_OK; k++) {
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) break;
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            rob_priv_lane_keep(h, l);
            if (l->margin <= 0) l->active = false;
            else step_to_plane(h, l);
        }
    }
done:
    return status;
}

static double step_to_radius(const rob_hunt *h, rob_lane *l, double length)
{
    int64_t n = rob_priv_lane_size(h, l);
    for (int64_t i = 0; i < n; i++) l->delta[i] = length * l->spare[i];
    rob_priv_lane_project(h, l, length, l->delta);
    return length;
}

/* One gradient at x; then along the steepest direction, further by half each time. */
rob_status rob_priv_fast_distance(rob_hunt *h)
{
    rob_status status = ROB_OK;
    rob_priv_hunt_wake(h, 0, 1);
    TRY(rob_priv_hunt_gradients(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
        rob_lane *l = h->row[r];
        int64_t n = rob_priv_lane_size(h, l);
        l->active = rob_priv_ball_steepest(h->norm, l->grad, n, l->spare);
        if (l->active)
            l->radius = l->margin / rob_priv_ball_dual(h->norm, l->grad, n) / 4;
    }
    int64_t sizes = (int64_t)rob_priv_attack_option(h->attack, "steps");
    for (int64_t k = 0; k < sizes; k++) {
        if (status == ROB_STOPPED || h->rows == 0) break;
        for (int64_t j = 0; j < h->lanes; j++) {
            rob_lane *l = &h->lane[j];
            if (l->active) l->radius = 1.5 * step_to_radius(h, l, l->radius);
        }
        TRY(rob_priv_hunt_values(h));
        for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
            rob_lane *l = h->row[r];
            rob_priv_lane_keep(h, l);
            l->active =
                l->margin > 0 && l->radius < OUT_OF_REACH && l->radius < 4 * h->cap;
        }
    }
done:
    return status;
}

rob_status rob_priv_fast_margin(rob_hunt *h)
{
    rob_status status = ROB_OK;
    rob_priv_hunt_wake(h, 0, 1);
    TRY(rob_priv_aim_lanes(h));
    if (status == ROB_STOPPED) goto done;
    TRY(rob_priv_hunt_gradients(h));
    if (status == ROB_STOPPED) goto done;
    for (int64_t r = 0; r < h->rows; r++) {
        rob_lane *l = h->row[r];
        l->best_margin = l->margin;
        l->active = rob_priv_ball_steepest(h->norm, l->grad, rob_priv_lane_size(h, l),
                                           l->spare);
        if (l->active) step_to_radius(h, l, h->cap);
    }
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
        rob_lane *l = h->row[r];
        if (!(l->margin < l->best_margin)) continue;
        l->best_margin = l->margin;
        memcpy(l->best, l->delta, (size_t)rob_priv_lane_size(h, l) * sizeof *l->best);
    }
done:
    return status;
}
