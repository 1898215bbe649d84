/* finish.c -- from a candidate to a checked counterexample.
 *
 * Along the ray delta(t) = t delta, held within the region, the point reported is
 * p(t) = x + delta(t), every moving coordinate rounded to float32 *towards x*, so that
 * |p - x| never exceeds |delta|. (A subspace and a bound on differences would not
 * survive that: there p(t) keeps float64, and V is also taken at its rounding.) The judge is  V(t) = max(F in float64, F in float32) at p(t): the
 * specification fails in both iff V <= 0. First t just above 1 with V(t) <= 0 is found,
 * then the crossing is bracketed and closed by the Illinois rule (Dowell & Jarratt
 * 1971), keeping the nearest failing point seen; at last t (1 + overshoot) is taken
 * when it fails too and fits the cap. Nothing is reported that V did not see fail; its
 * norm is that of p - x. (docs/theory/attack.md, section 6.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

#define NARROW 1e-7 /* bracket relative to t: below float32's resolution */

/* Where a series' line search stands. */
enum { PUSHING, BRACKETING, CLOSING, DONE };

static double towards(double x, double moved)
{
    float near = (float)moved;
    double p = (double)near;
    if (fabs(p - x) > fabs(moved - x) || (p - x) * (moved - x) < 0) {
        near = nextafterf(near, moved > x ? -INFINITY : INFINITY);
        p = (double)near;
    }
    return (p - x) * (moved - x) > 0 ? p : x;
}

static void put_once(const rob_hunt *h, rob_lane *l, double t)
{
    const rob_region *r = rob_priv_lane_region(h, l);
    for (int64_t i = 0; i < r->m; i++) l->grad[i] = t * l->best[i];
    rob_priv_lane_settle(h, l, l->grad);
    rob_priv_region_move(r, l->grad, l->point);
    if (!rob_priv_region_rounds(r)) return;
    for (int64_t i = 0; i < r->n; i++)
        if (l->point[i] != r->x[i]) l->point[i] = towards(r->x[i], l->point[i]);
    rob_priv_region_back(r, l->point, l->grad);
}

/* point <- p(t), grad <- its coordinates: within the region, or a hair less than t */
static void put_point(const rob_hunt *h, rob_lane *l, double t)
{
    for (double hair = 1e-7; hair < 0.1; hair *= 8) {
        put_once(h, l, t);
        if (rob_priv_region_holds(rob_priv_lane_region(h, l), l->grad, h->room)) return;
        t *= 1 - hair;
    }
    memset(l->best, 0, (size_t)rob_priv_lane_size(h, l) * sizeof *l->best);
    put_once(h, l, 0);
}

/* of the point just put */
static double distance_of(const rob_hunt *h, const rob_lane *l)
{
    return rob_priv_norm(h->norm, l->grad, rob_priv_lane_size(h, l));
}

/* Points that were not rounded: once more where their numbers are float32. */
static rob_status judge_rounded(rob_hunt *h)
{
    rob_status status = ROB_OK;
    int64_t rows = 0;
    for (int64_t k = 0; k < h->rows; k++) {
        rob_lane *l = h->row[k];
        const rob_region *r = rob_priv_lane_region(h, l);
        if (rob_priv_region_rounds(r)) continue;
        for (int64_t i = 0; i < r->n; i++) l->spare[i] = (double)(float)l->point[i];
        h->point[rows] = l->spare;
        h->steps[rows] = r->steps;
        h->row[rows++] = l;
    }
    TRY(rob_priv_evaluate(h->ctx, h->wide, rows, h->point, h->steps, h->logits));
    for (int64_t k = 0; k < rows; k++) {
        const rob_spec *s = &rob_priv_lane_case(h, h->row[k])->spec;
        double margin = rob_priv_spec_margin(s, h->logits + k * s->outputs, NULL);
        if (!(margin <= h->row[k]->margin)) h->row[k]->margin = margin;
    }
done:
    return status;
}

static void collect_points(rob_hunt *h)
{
    h->rows = 0;
    for (int64_t k = 0; k < h->lanes; k++) {
        if (!h->lane[k].active) continue;
        h->row[h->rows] = &h->lane[k];
        h->point[h->rows] = h->lane[k].point;
        h->steps[h->rows++] = rob_priv_lane_case(h, &h->lane[k])->steps;
    }
}

/* V at the points of the active lanes, into margin. */
static rob_status judge_points(rob_hunt *h)
{
    rob_status status = ROB_OK;
    collect_points(h);
    TRY(rob_priv_evaluate(h->ctx, h->wide, h->rows, h->point, h->steps, h->logits));
    TRY(rob_priv_evaluate(h->ctx, h->narrow, h->rows, h->point, h->steps, h->second));
    for (int64_t k = 0; k < h->rows; k++) {
        const rob_spec *s = &rob_priv_lane_case(h, h->row[k])->spec;
        double in64 = rob_priv_spec_margin(s, h->logits + k * s->outputs, NULL);
        double in32 = rob_priv_spec_margin(s, h->second + k * s->outputs, NULL);
        h->row[k]->margin = in64 > in32 || isnan(in64) ? in64 : in32;
    }
    TRY(judge_rounded(h));
    collect_points(h);
done:
    return status;
}

static rob_found *answer_of(const rob_hunt *h, const rob_lane *l)
{
    return &h->found[l->series - h->first];
}

/* Take the lane's point as the series' answer. */
static void accept(const rob_hunt *h, rob_lane *l)
{
    rob_found *f = answer_of(h, l);
    memcpy(f->point, l->point, (size_t)f->size * sizeof *f->point);
    f->distance = distance_of(h, l);
    f->margin = l->margin;
    f->residual = l->gap;
    f->source = l->source;
    f->found = true;
}

/* ---- the line search -------------------------------------------------------------- */
/* high fails with value `eps`, low holds with value `rate`; radius is the t under
 * trial, aim the phase */

static void push(rob_lane *l)
{
    if (l->margin <= 0) {
        l->aim = BRACKETING;
        l->low = 0;
        l->high = l->radius;
        l->eps = l->margin;
        l->radius = l->high * (1 - 1e-4);
        return;
    }
    double over = l->radius - 1;
    l->radius = 1 + (over > 0 ? 4 * over : 1e-6);
    if (over > 8) l->aim = DONE;
}

static void widen_bracket(rob_lane *l)
{
    double gap = l->high - l->radius;
    if (l->margin <= 0) {
        l->high = l->radius;
        l->eps = l->margin;
        l->radius = l->high - 8 * gap;
        if (l->radius <= 0) l->aim = DONE;
        return;
    }
    l->aim = CLOSING;
    l->side = 0;
    l->low = l->radius;
    l->rate = l->margin;
    l->radius = (l->low + l->high) / 2;
}

static void close_bracket(rob_lane *l)
{
    int32_t side = l->margin <= 0 ? 1 : -1;
    if (side > 0) {
        l->high = l->radius;
        l->eps = l->margin;
        if (l->side == side) l->rate /= 2;
    } else {
        l->low = l->radius;
        l->rate = l->margin;
        if (l->side == side) l->eps /= 2;
    }
    l->side = side;
    double width = l->high - l->low, share = l->rate / (l->rate - l->eps);
    if (width < NARROW * l->high) l->aim = DONE;
    share = share > 0.01 && share < 0.99 ? share : 0.5;
    l->radius = l->low + share * width;
}

static void advance(const rob_hunt *h, rob_lane *l)
{
    if (l->margin <= 0) {
        double best = answer_of(h, l)->distance;
        if (distance_of(h, l) < best) accept(h, l);
    }
    if (l->aim == PUSHING) push(l);
    else if (l->aim == BRACKETING) widen_bracket(l);
    else close_bracket(l);
    l->active = l->aim != DONE;
}

static rob_status search_rays(rob_hunt *h, int64_t rounds)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k <= rounds; k++) {
        for (int64_t j = 0; j < h->lanes; j++)
            if (h->lane[j].active) put_point(h, &h->lane[j], h->lane[j].radius);
        TRY(judge_points(h));
        if (h->rows == 0) break;
        for (int64_t r = 0; r < h->rows; r++) advance(h, h->row[r]);
    }
done:
    return status;
}

/* A little further than needed, so that other arithmetic agrees. */
static rob_status overshoot_rays(rob_hunt *h)
{
    rob_status status = ROB_OK;
    double over = rob_priv_attack_option(h->attack, "overshoot");
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->start == 0 && l->high > 0 && answer_of(h, l)->found && over > 0;
        if (l->active) put_point(h, l, l->high * (1 + over));
    }
    TRY(judge_points(h));
    for (int64_t r = 0; r < h->rows; r++) {
        rob_lane *l = h->row[r];
        if (l->margin <= 0 && distance_of(h, l) <= h->cap) accept(h, l);
    }
done:
    return status;
}

/* ---- the two kinds of answer ----------------------------------------------------- */

static rob_status finish_distance(rob_hunt *h, int64_t rounds)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->start == 0 && l->best_norm < INFINITY;
        l->aim = PUSHING;
        l->radius = 1;
        l->low = l->high = 0;
    }
    TRY(search_rays(h, rounds));
    TRY(overshoot_rays(h));
    for (int64_t s = 0; s < h->series; s++) {
        rob_found *f = &h->found[s];
        const rob_case *c = &h->q->cases[h->first + s];
        if (!f->found || f->distance <= h->cap) continue;
        memcpy(f->point, c->x, (size_t)f->size * sizeof *f->point);
        f->found = false;
        f->distance = INFINITY;
        f->margin = c->margin;
        f->residual = NAN;
        f->source = ROB_PHASE_OWN;
        f->closest = 0;
    }
done:
    return status;
}

static rob_status finish_margin(rob_hunt *h)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->start == 0 && l->best_margin < INFINITY;
        if (l->active) put_point(h, l, 1);
    }
    TRY(judge_points(h));
    for (int64_t r = 0; r < h->rows; r++) {
        rob_lane *l = h->row[r];
        if (!(l->margin < answer_of(h, l)->margin)) continue;
        accept(h, l);
        answer_of(h, l)->found = l->margin <= 0;
    }
done:
    return status;
}

/* are the two best points apart by more than a twentieth of their length? */
static bool apart(const rob_lane *a, const rob_lane *b, int64_t n)
{
    double far = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        far += (a->best[i] - b->best[i]) * (a->best[i] - b->best[i]);
        size += a->best[i] * a->best[i];
    }
    return far > 0.0025 * size;
}

/* Distinct points among those of the lanes that are within a thousandth as near as the
 * nearest. */
static int64_t count_closest(const rob_hunt *h, const rob_lane *home)
{
    int64_t count = 0, n = rob_priv_lane_size(h, home);
    double least = INFINITY;
    for (int32_t k = 0; k < h->starts; k++) least = fmin(least, home[k].best_norm);
    for (int32_t k = 0; k < h->starts; k++) {
        bool fresh = home[k].best_norm <= 1.001 * least && least < INFINITY;
        for (int32_t j = 0; fresh && j < k; j++)
            fresh = !(home[j].best_norm <= 1.001 * least)
                    || apart(&home[k], &home[j], n);
        count += fresh;
    }
    return count;
}

rob_status rob_priv_hunt_finish(rob_hunt *h, int64_t rounds)
{
    for (int64_t s = 0; s < h->series; s++) {
        rob_found *f = &h->found[s];
        const rob_case *c = &h->q->cases[h->first + s];
        f->distance = c->wrong ? 0 : INFINITY;
        f->margin = c->margin;
        f->residual = f->factor = NAN;
        f->source = ROB_PHASE_OWN;
        f->closest = count_closest(h, &h->lane[s * h->starts]);
        f->found = c->wrong;
        for (int32_t k = 0; k < h->starts; k++)
            f->calls += h->lane[s * h->starts + k].calls;
        memcpy(f->point, c->x, (size_t)f->size * sizeof *f->point);
    }
    rob_priv_hunt_gather(h);
    return h->at_radius ? finish_margin(h) : finish_distance(h, rounds);
}
