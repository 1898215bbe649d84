/* nearest.c -- the loop that minimum-norm searches share.
 *
 * Lane (series i, start j): points d_0, d_1, ... in the coordinates of the region, one
 * gradient each,
 *     d_{k+1} = rule(d_k, F(d_k), grad F(d_k)),      U = min { ||d_k|| : F(d_k) <= 0 }.
 * d_0 = 0 for the first start, a random point at the length of the first linear step
 *     guess = F(0)/||grad F(0)||_q
 * for the others. That length means nothing where gates saturate (grad F ~ 0): it is held
 * to half the length of the series itself. A lane leaves when its point is not finite, or
 * after `patience` steps in which U did not fall by 1e-4 of itself. Zero gradients begin
 * again at a random point. (docs/theory/attack.md, section 5.)
 */
#include "attack/nearest.h"

#include "attack/bend.h"

#include <math.h>
#include <string.h>

#define RAY 0.125
enum { BISECTIONS = 10 };

double rob_priv_falling(double from, double to, int64_t k, int64_t steps)
{
    const double pi = 3.14159265358979323846;
    return to + (from - to) / 2 * (1 + cos(pi * (double)k / (double)steps));
}

/* Counting has no lengths: those of L1, where one number moves as well. */
static int32_t shape_of(const rob_hunt *h)
{
    return h->norm == ROB_NORM_L0 ? ROB_NORM_L1 : h->norm;
}

/* length of x itself in the coordinates of the region, 1 for a series of zeros */
static double size_in(const rob_hunt *h, const rob_lane *l, int32_t norm)
{
    const rob_region *r = rob_priv_lane_region(h, l);
    double *u = h->room, size;
    for (int64_t k = 0; k < r->n; k++) {
        double s = rob_priv_region_scale(r, k);
        u[k] = s > 0 ? r->x[k] / s : 0;
    }
    size = rob_priv_norm(norm, u, r->n);
    return size > 0 && isfinite(size) ? size : 1;
}

static double size_of(const rob_hunt *h, const rob_lane *l)
{
    return size_in(h, l, shape_of(h));
}

double rob_priv_lane_deviation(const rob_hunt *h, const rob_lane *l)
{
    const rob_region *r = rob_priv_lane_region(h, l);
    double mean = 0, sum = 0, count = 0;
    for (int64_t k = 0; k < r->n; k++) {
        double s = rob_priv_region_scale(r, k);
        if (!(s > 0)) continue;
        double v = r->x[k] / s;
        count++;
        sum += (v - mean) * (v - mean) * (count - 1) / count;
        mean += (v - mean) / count;
    }
    double typical = count > 1 ? sqrt(sum / (count - 1)) : 0;
    return typical > 0 && isfinite(typical) ? typical : size_of(h, l);
}

double rob_priv_lane_guess(const rob_hunt *h, const rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    double dual = rob_priv_ball_dual(shape_of(h), l->grad, n);
    double length = fabs(l->value) / dual, size = size_of(h, l);
    if (!(length > 1e-9 * size)) length = isnan(length) ? size / 2 : 1e-9 * size;
    length = fmin(length, size / 2);
    return h->norm == ROB_NORM_L0 ? length : fmin(length, h->cap);
}

void rob_priv_lane_toss(const rob_hunt *h, rob_lane *l, double length, int64_t step)
{
    int64_t n = rob_priv_lane_size(h, l);
    double count = h->cap < (double)n ? h->cap : (double)n;
    if (h->norm != ROB_NORM_L0) {
        rob_priv_lane_scatter(h, l, length, step);
        return;
    }
    rob_priv_lane_scatter(h, l, count, step);
    double own = rob_priv_norm(ROB_NORM_L1, l->delta, n);
    for (int64_t i = 0; own > 0 && i < n; i++) l->delta[i] *= length / own;
}

/* ---- starts ---------------------------------------------------------------------- */

/* Lanes of the starts after the first go to random points, as far as the linear step. */
static rob_status place_starts(rob_hunt *h, int64_t candidates)
{
    rob_status status = ROB_OK;
    if (h->starts <= candidates) return ROB_OK;
    rob_priv_hunt_wake(h, 0, 1);
    TRY(rob_priv_hunt_gradients(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
        rob_lane *home = h->row[r];
        rob_priv_lane_keep(h, home);
        double length = rob_priv_lane_guess(h, home);
        for (int64_t k = candidates; k < h->starts; k++)
            rob_priv_lane_toss(h, home + k, length, 0);
    }
    if (status == ROB_OK && rob_priv_attack_option(h->attack, "start") > 0) {
        rob_priv_hunt_wake(h, (int32_t)candidates, h->starts);
        TRY(rob_priv_hunt_lean(h, candidates, h->starts - candidates));
    }
done:
    return status;
}

/* ---- the loop -------------------------------------------------------------------- */

static rob_status make_walks(const rob_hunt *h, int32_t vectors, rob_walk **out,
                             double **arena)
{
    const rob_memory *m = &h->q->memory;
    int64_t n = 1;
    for (int64_t k = 0; k < h->lanes; k++)
        if (rob_priv_lane_size(h, &h->lane[k]) > n)
            n = rob_priv_lane_size(h, &h->lane[k]);
    *out = rob_priv_allocate(m, h->lanes, sizeof **out);
    if (vectors > 0)
        *arena = rob_priv_allocate(m, h->lanes * vectors, n * (int64_t)sizeof **arena);
    if (!*out || (vectors > 0 && !*arena)) return rob_priv_no_memory(h->ctx);
    for (int64_t k = 0; k < h->lanes; k++) {
        (*out)[k].seen = INFINITY;
        for (int32_t j = 0; j < vectors; j++)
            (*out)[k].v[j] = *arena + (k * vectors + j) * n;
    }
    return ROB_OK;
}

/* false: it has been too long */
static bool still_falls(const rob_lane *l, rob_walk *w, int64_t patience)
{
    w->since++;
    if (l->best_norm < w->seen * (1 - 1e-4)) {
        w->seen = l->best_norm;
        w->since = 0;
    }
    return patience == 0 || w->seen == INFINITY || w->since < patience;
}

static void move_lane(const rob_hunt *h, const rob_rule *rule, rob_lane *l, rob_walk *w,
                      int64_t k, int64_t steps)
{
    int64_t n = rob_priv_lane_size(h, l);
    double dual = rob_priv_ball_dual(shape_of(h), l->grad, n);
    if (!isfinite(l->value) || !isfinite(dual)) {
        l->active = false;
        return;
    }
    if (!w->begun) {
        /* a start may stand at the boundary: what is ahead is no measure of the distance */
        double from_x = rob_priv_norm(shape_of(h), l->delta, n);
        w->guess = fmax(rob_priv_lane_guess(h, l), from_x);
        if (rule->begin) rule->begin(h, l, w);
        w->begun = true;
    }
    if (dual > 0) rule->move(h, l, w, k, steps);
    else rob_priv_lane_toss(h, l, w->guess, k + 1);
}

static rob_status look_again(rob_hunt *h, const rob_rule *rule, rob_walk *walk)
{
    rob_status status = ROB_OK;
    if (!rule->after) return ROB_OK;
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
        rob_lane *l = h->row[r];
        rob_priv_lane_keep(h, l);
        rule->after(h, l, &walk[l - h->lane]);
    }
done:
    return status;
}

/* Best points are drawn in along their rays, so that starts are compared by what the last
 * line search would make of them: bisection of the last eighth. */
static rob_status close_rays(rob_hunt *h)
{
    rob_status status = ROB_OK;
    if (h->starts == 1) return ROB_OK;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->best_norm < INFINITY && l->best_norm > 0;
        l->low = 1 - RAY;
        l->high = 1;
        memcpy(l->spare, l->best, (size_t)rob_priv_lane_size(h, l) * sizeof *l->best);
    }
    for (int round = 0; round < BISECTIONS && status == ROB_OK; round++) {
        for (int64_t k = 0; k < h->lanes; k++) {
            rob_lane *l = &h->lane[k];
            double t = (l->low + l->high) / 2;
            int64_t n = l->active ? rob_priv_lane_size(h, l) : 0;
            for (int64_t i = 0; i < n; i++) l->delta[i] = t * l->spare[i];
        }
        TRY(rob_priv_hunt_values(h));
        for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
            rob_lane *l = h->row[r];
            rob_priv_lane_keep(h, l);
            *(l->margin <= 0 ? &l->high : &l->low) = (l->low + l->high) / 2;
        }
    }
done:
    return status;
}

rob_status rob_priv_nearest_walk(rob_hunt *h, const rob_rule *rule, int64_t steps,
                                 int64_t patience)
{
    rob_status status = ROB_OK;
    rob_walk *walk = NULL;
    double *arena = NULL;
    TRY(make_walks(h, rule->vectors, &walk, &arena));
    for (int64_t k = 0; k < steps && status == ROB_OK; k++) {
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) goto done;
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            rob_walk *w = &walk[l - h->lane];
            rob_priv_lane_keep(h, l);
            l->active = still_falls(l, w, patience);
            if (l->active) move_lane(h, rule, l, w, k, steps);
        }
        TRY(look_again(h, rule, walk));
    }
    if (status == ROB_OK) TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++)
        rob_priv_lane_keep(h, h->row[r]);
done:
    rob_priv_release(&h->q->memory, walk);
    rob_priv_release(&h->q->memory, arena);
    return status;
}

rob_status rob_priv_nearest_search(rob_hunt *h, const rob_rule *rule, int64_t steps,
                                   int64_t candidates)
{
    rob_status status = ROB_OK;
    int64_t patience = (int64_t)rob_priv_attack_option(h->attack, "patience");
    TRY(place_starts(h, candidates));
    if (status == ROB_STOPPED) goto done;
    TRY(rob_priv_hunt_aim(h, candidates));
    if (status == ROB_OK) TRY(rob_priv_nearest_walk(h, rule, steps, patience));
    if (status == ROB_OK) TRY(close_rays(h));
done:
    return status;
}

rob_status rob_priv_nearest_margin(rob_hunt *h, rob_status (*distance)(rob_hunt *h))
{
    rob_status status = ROB_OK;
    TRY(distance(h));
    if (status == ROB_OK) TRY(rob_priv_draw_into_ball(h));
done:
    return status;
}
