/* other.c -- a start that is not at x: the query's nearest other series that would fail.
 *
 * Descent from x meets the piece of the boundary that the slopes at x point to. Another
 * series y whose outputs break the specification of x lies beyond some piece of it; the ray
 * u(t) = t (y - x), in Linf the clipped path u(t) = P_{t r}(y - x), r = ||y - x||, crosses it
 * and is bisected: ROUNDS evaluations, no gradient. What follows is polish (polish.c), along
 * the boundary towards x. So begins the attack of Brendel, Rauber, Kuemmerer, Ustyuzhaninov
 * & Bethge, Accurate, reliable and fast robustness evaluation, NeurIPS 2019. One evaluation
 * of every other series serves all. (docs/theory/attack.md, section 7.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 10, CHUNK = 64 };

/* the outputs of `count` series of the query, from the block's first on, in a circle */
static rob_status outputs_of(rob_hunt *h, int64_t count, double *f)
{
    rob_status status = ROB_OK;
    const rob_query *q = h->q;
    int64_t width = q->model->recipe.outputs, steps[CHUNK];
    const double *x[CHUNK];
    for (int64_t at = 0; at < count && status == ROB_OK; at += CHUNK) {
        int64_t rows = count - at < CHUNK ? count - at : CHUNK;
        for (int64_t k = 0; k < rows; k++) {
            const rob_case *c = &q->cases[(h->first + at + k) % q->count];
            x[k] = c->x;
            steps[k] = c->steps;
        }
        TRY(rob_priv_evaluate(h->ctx, h->slope, rows, x, steps, f + at * width));
    }
done:
    return status;
}

/* spare <- the nearest (L2) of the series looked at that fails; false: none does */
static bool nearest_other(const rob_hunt *h, rob_lane *l, int64_t looks, const double *f)
{
    const rob_query *q = h->q;
    const rob_region *r = rob_priv_lane_region(h, l);
    double least = INFINITY;
    for (int64_t j = 1; j < looks && !r->basis; j++) {
        int64_t at = l->series + j, width = q->model->recipe.outputs;
        const rob_case *c = &q->cases[at % q->count];
        const double *there = f + (at - h->first) % q->count * width;
        if (c->steps != r->steps) continue;
        if (!(rob_priv_spec_margin(&rob_priv_lane_case(h, l)->spec, there, NULL) <= 0))
            continue;
        rob_priv_region_back(r, c->x, l->delta);
        rob_priv_lane_settle(h, l, l->delta);
        double far = rob_priv_norm(ROB_NORM_L2, l->delta, r->m);
        if (!(far < least)) continue;
        least = far;
        memcpy(l->spare, l->delta, (size_t)r->m * sizeof *l->spare);
    }
    return least < INFINITY;
}

/* delta <- the path to spare at t */
static void place_on_path(const rob_hunt *h, rob_lane *l, double t)
{
    int64_t n = rob_priv_lane_size(h, l);
    double reach = t * rob_priv_norm(ROB_NORM_LINF, l->spare, n);
    for (int64_t i = 0; i < n; i++)
        l->delta[i] = h->norm == ROB_NORM_LINF
                          ? fmax(-reach, fmin(reach, l->spare[i]))
                          : t * l->spare[i];
}

static rob_status bisect(rob_hunt *h)
{
    rob_status status = ROB_OK;
    for (int round = 0; round <= ROUNDS; round++) {
        for (int64_t k = 0; k < h->lanes; k++) {
            rob_lane *l = &h->lane[k];
            l->radius = round == 0 ? 1 : (l->low + l->high) / 2;
            if (l->active) place_on_path(h, l, l->radius);
        }
        TRY(rob_priv_hunt_values(h));
        if (status == ROB_STOPPED) goto done;
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            bool fails = l->margin <= 0;
            rob_priv_lane_keep(h, l);
            *(fails ? &l->high : &l->low) = l->radius;
            /* what was brought within the region need not fail any more */
            if (round == 0 && !fails) l->active = false;
        }
    }
    for (int64_t k = 0; k < h->lanes; k++)
        if (h->lane[k].active) place_on_path(h, &h->lane[k], h->lane[k].high);
done:
    return status;
}

rob_status rob_priv_start_at_others(rob_hunt *h, int64_t most)
{
    rob_status status = ROB_OK;
    const rob_query *q = h->q;
    int64_t looks = q->count <= most ? q->count : most + 1;
    int64_t count = h->series - 1 + looks < q->count ? h->series - 1 + looks : q->count;
    double *f = NULL;
    if (looks < 2) {
        for (int64_t k = 0; k < h->lanes; k++) h->lane[k].active = false;
        goto done;
    }
    f = rob_priv_allocate(&q->memory, count * q->model->recipe.outputs,
                          (int64_t)sizeof *f);
    if (!f) return rob_priv_no_memory(h->ctx);
    TRY(outputs_of(h, count, f));
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->active = l->active && nearest_other(h, l, looks, f);
        l->low = 0;
        l->high = 1;
    }
    TRY(bisect(h));
done:
    rob_priv_release(&q->memory, f);
    return status;
}
