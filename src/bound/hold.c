/* hold.c -- ranges for which planes are chosen.
 *
 * Numbers whose ranges cost the open rows most, sum |a| times width, get rows of their
 * own, +v_e and -v_e, planes chosen for each (alpha.c). What those prove is held: ranges
 * made again on the same ball are intersected with it. docs/theory/bound.md 7.
 */
#include "bound/alpha.h"

#include <stdlib.h>
#include <string.h>

void rob_priv_alpha_release(rob_work *w)
{
    for (int64_t e = 0; w->held_lo != NULL && e < w->net->range_size; e++) {
        w->held_lo[e] = -INFINITY;
        w->held_up[e] = INFINITY;
    }
}

/* What is proved of the ball by now is not forgotten by ranges made again. */
static void hold_all(rob_work *w)
{
    for (int64_t e = 0; e < w->net->range_size; e++) {
        w->held_lo[e] = fp_max(w->held_lo[e], w->lo[e]);
        w->held_up[e] = fp_min(w->held_up[e], w->up[e]);
    }
}

typedef struct candidate { double score; int32_t cell; int64_t e; } candidate;

static int by_score(const void *a, const void *b)
{
    const candidate *p = a, *q = b;
    if (p->score != q->score) return p->score > q->score ? -1 : 1;
    if (p->cell != q->cell) return p->cell < q->cell ? -1 : 1;
    return p->e < q->e ? -1 : p->e > q->e;
}

/* Both ends of one number, by rows of its own. */
static rob_status hold(rob_alpha *s, const candidate *k, int64_t steps, double *unit)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[k->cell];
    memset(unit, 0, (size_t)c->size * sizeof *unit);
    for (int side = 0; side < 2; side++) {
        double *end = side ? &w->held_up[c->at + k->e] : &w->held_lo[c->at + k->e];
        rob_proof p = {.value = -INFINITY};
        unit[k->e] = side ? -1 : 1;
        rob_status status = rob_priv_alpha_row(s, k->cell, unit, 0, steps, &p);
        if (status != ROB_OK) return status;
        *end = side ? fp_min(*end, -p.value) : fp_max(*end, p.value);
    }
    return ROB_OK;
}

rob_status rob_priv_alpha_ranges(rob_alpha *s, int64_t most, int64_t steps)
{
    rob_work *w = s->w;
    const rob_network *net = w->net;
    rob_status status = ROB_OK;
    int64_t count = 0;
    candidate *all = rob_priv_allocate(&w->memory, net->range_size + 1,
                                       (int64_t)sizeof *all);
    double *unit;
    if (all == NULL || !rob_priv_alpha_get(w, &unit, net->widest)) {
        rob_priv_release(&w->memory, all);
        return ROB_EMEMORY;
    }
    hold_all(w);
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        for (int64_t e = 0; c->live && c->tight && e < c->size; e++)
            if (s->score[c->at + e] > 0)
                all[count++] = (candidate){s->score[c->at + e], i, e};
    }
    qsort(all, (size_t)count, sizeof *all, by_score);
    for (int64_t k = 0; k < count && k < most && status == ROB_OK; k++) {
        if (w->stop != NULL && w->stop(w->stop_user)) status = ROB_STOPPED;
        else status = hold(s, &all[k], steps, unit);
    }
    rob_priv_release(&w->memory, all);
    rob_priv_release(&w->memory, unit);
    return status;
}
