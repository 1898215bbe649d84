/* leaf.c -- what is proved of a part of the ball.
 *
 * A part is all d in the ball with a_k.d <= h_k for its half-spaces and sign (z - w) <= 0
 * for its splits, z a number of the network at x0 + d. Three looks at it, each sound by
 * itself, since ranges and half-spaces of a part hold on all that it contains:
 *
 *     bound    ranges of all cells made again on the half-spaces (half.c), rows, their
 *              half-spaces (branch.c, (1)), and again while that moves something;
 *     recall   planes on the ranges there are, rows from mixtures known to be good;
 *     glance   of a side of the part in the work: only elements that read the number cut
 *              get other planes, rows with the multipliers of its splits.
 *
 * docs/theory/bound.md 10.
 */
#include "bound/branch/branch.h"

#include <string.h>

enum { ROUNDS = 4, SOME = 10, K = ROB_ALPHA_PLANES };

/* ---- leaves ---------------------------------------------------------------------- */

int64_t rob_priv_leaf_rows(const rob_branch *b, int32_t group)
{
    int64_t rows = 0;
    for (int64_t r = 0; r < b->demand->rows; r++) rows += b->demand->group[r] == group;
    return rows;
}

static int64_t numbers_of(const rob_branch *b, int32_t group, int64_t splits)
{
    return 2 * b->w->net->range_size
           + (rob_priv_leaf_rows(b, group) + splits) * (b->halves->n + 1);
}

rob_leaf *rob_priv_leaf_open(rob_branch *b, int32_t group, int64_t splits)
{
    const int64_t range = b->w->net->range_size, numbers = numbers_of(b, group, splits);
    rob_leaf *p = rob_priv_allocate(&b->w->memory, 1, (int64_t)sizeof *p
                                    + numbers * (int64_t)sizeof(double));
    if (p == NULL) return NULL;
    b->numbers += numbers;
    p->value = -INFINITY;
    p->n = b->halves->n;
    p->group = group;
    p->splits = splits;
    p->lo = p->number;
    p->up = p->lo + range;
    p->half = p->up + range;
    return p;
}

void rob_priv_leaf_close(rob_branch *b, rob_leaf *p)
{
    if (p == NULL) return;
    rob_memory m = b->w->memory;
    b->numbers -= numbers_of(b, p->group, p->splits);
    rob_priv_release(&m, p);
}

/* The oldest split goes when there is no room: what is left is larger. */
rob_leaf *rob_priv_leaf_side(rob_branch *b, const rob_leaf *p, const rob_split *s, int side)
{
    const int64_t n = b->halves->n + 1, range = b->w->net->range_size;
    const int64_t rows = rob_priv_leaf_rows(b, p->group), room = ROB_HALVES_MOST - rows - 1;
    int64_t kept = p->splits < ROB_SPLITS_MOST - 1 ? p->splits : ROB_SPLITS_MOST - 1;
    if (kept > room) kept = room < 0 ? 0 : room;
    rob_leaf *c = rob_priv_leaf_open(b, p->group, kept + 1);
    if (c == NULL) return NULL;
    c->value = p->value;
    c->rows = p->rows;
    c->fresh = p->fresh + 1;
    memcpy(c->lo, p->lo, (size_t)(2 * range) * sizeof(double));
    memcpy(c->half, p->half, (size_t)(p->rows * n) * sizeof(double));
    double *to = c->half + p->rows * n;
    memcpy(to, p->half + (p->rows + p->splits - kept) * n,
           (size_t)(kept * n) * sizeof(double));
    memcpy(to + kept * n, b->half + side * n, (size_t)n * sizeof(double));
    memcpy(c->turn, p->turn + p->splits - kept, (size_t)kept * sizeof *c->turn);
    c->turn[kept] = (rob_turn){s->cell, s->at, side == 0 ? 1 : -1, s->where, 0};
    const int64_t at = b->w->net->cell[s->cell].at + s->at;
    if (side == 0) c->up[at] = fp_min(c->up[at], s->where);
    else c->lo[at] = fp_max(c->lo[at], s->where);
    return c;
}

/* ---- rows ------------------------------------------------------------------------ */

static void load(rob_branch *b, const rob_leaf *p)
{
    b->halves->count = 0;
    for (int64_t k = 0; k < p->rows + p->splits; k++) {
        const double *a = p->half + k * (b->halves->n + 1);
        rob_priv_half_add(b->halves, a, a[b->halves->n]);
    }
}

size_t rob_priv_mix_bytes(const rob_branch *b)
{
    return (size_t)(2 * K * b->w->net->range_size) * sizeof(double);
}

void rob_priv_leaf_see(rob_branch *b, int32_t group)
{
    rob_work *w = b->probe;
    const rob_demand *d = b->demand;
    double most = -INFINITY;
    w->ball = (rob_ball){b->w->alpha->point, NULL, b->w->ball.norm, 0, NULL};
    if (rob_priv_ranges(w, false) != ROB_OK) return;
    rob_range f = rob_priv_cell_range(w, w->net->output);
    for (int64_t r = 0; r < d->rows; r++) {
        if (d->group[r] != group) continue;
        double sum = d->b[r];
        for (int64_t j = 0; j < d->outputs; j++) sum += d->c[r * d->outputs + j] * f.up[j];
        most = fmax(most, sum);
    }
    b->upper = fmin(b->upper, most);
}

/* One row with the planes and ranges in the work, from mixtures or the default. */
static rob_status bound_row(rob_branch *b, int64_t r, int64_t steps, const double *mix,
                            rob_proof *proof)
{
    rob_work *w = b->w;
    rob_alpha *s = w->alpha;
    const rob_demand *d = b->demand;
    *proof = (rob_proof){.value = -INFINITY};
    rob_priv_alpha_begin(s);
    s->warm = mix != NULL;
    if (mix != NULL) memcpy(s->weight, mix, rob_priv_mix_bytes(b));
    rob_status status = rob_priv_alpha_row(s, w->net->output, d->c + r * d->outputs,
                                           d->b[r], steps, proof);
    s->warm = false;
    return status;
}

/* Every row of the group. Half-spaces are replaced where the row has become better, or
 * all of them. */
static rob_status bound_rows(rob_branch *b, rob_leaf *p, int64_t steps, const double *mix,
                             bool all)
{
    const rob_demand *d = b->demand;
    const int64_t n = b->halves->n + 1, rows = rob_priv_leaf_rows(b, p->group);
    rob_status status = ROB_OK;
    double most = -INFINITY, *to = p->half;
    if (p->rows < rows) {
        memmove(p->half + rows * n, p->half, (size_t)(p->splits * n) * sizeof *to);
        memset(p->half, 0, (size_t)(rows * n) * sizeof *to);
        p->rows = rows;
    }
    b->w->turn = p->turn;
    b->w->turns = p->splits;
    for (int64_t r = 0; r < d->rows && status == ROB_OK; r++) {
        rob_proof proof;
        if (d->group[r] != p->group) continue;
        status = bound_row(b, r, steps, mix, &proof);
        if (status == ROB_OK && (all || proof.value >= p->value))
            rob_priv_half_of_row(b->halves, 0, b->sought, to, to + n - 1);
        to += n;
        most = fp_max(proof.value, most);
    }
    b->w->turns = 0;
    if (status == ROB_OK) p->value = fp_max(p->value, most);
    return status;
}

/* ---- ranges ---------------------------------------------------------------------- */

/* Ranges on the leaf; an empty one: there is nothing to prove. */
static rob_status make_ranges(rob_branch *b, rob_leaf *p)
{
    rob_work *w = b->w;
    const size_t bytes = (size_t)w->net->range_size * sizeof(double);
    memcpy(w->held_lo, p->lo, bytes);
    memcpy(w->held_up, p->up, bytes);
    load(b, p);
    rob_status status = rob_priv_ranges(w, true);
    if (status != ROB_OK) return status;
    if (w->empty) p->value = INFINITY;
    if (w->broken || w->hopeless) {
        p->stuck = true;
        return status;
    }
    memcpy(p->lo, w->lo, bytes);
    memcpy(p->up, w->up, bytes);
    p->ranged = true;
    p->fresh = 0;
    return status;
}

rob_status rob_priv_leaf_bound(rob_branch *b, rob_leaf *p)
{
    rob_status status = ROB_OK;
    for (int64_t t = 0; status == ROB_OK && t < ROUNDS; t++) {
        double before = p->value;
        b->nodes++;
        if (b->fault != NULL) b->fault(p);
        status = make_ranges(b, p);
        if (status != ROB_OK || p->stuck || p->value > b->sought) return status;
        rob_priv_alpha_prepare(b->w->alpha);
        status = bound_rows(b, p, b->w->choices / 4 + 1, NULL, true);
        if (status == ROB_OK) rob_priv_leaf_see(b, p->group);
        if (status != ROB_OK || p->value > b->sought) return status;
        bool moved = p->value - before > 0.2 * (b->sought - before);
        if (!rob_priv_leaf_is_cut(b, p) || (t > 0 && !moved)) break;
        if (b->nodes >= b->branches || rob_priv_clock() > b->w->deadline) break;
    }
    return status;
}

rob_status rob_priv_leaf_recall(rob_branch *b, rob_leaf *p)
{
    rob_work *w = b->w;
    const size_t bytes = (size_t)w->net->range_size * sizeof(double);
    load(b, p);
    memcpy(w->lo, p->lo, bytes);
    memcpy(w->up, p->up, bytes);
    w->broken = w->empty = false;
    for (int32_t i = 0; i < w->net->cells; i++) {
        const rob_cell *c = &w->net->cell[i];
        if (!c->live || c->kind == ROB_CELL_VIEW) continue;
        rob_priv_range_seal(w, c);
        rob_priv_plane_prepare(w, i);
        rob_priv_plane_inherit(w, i);
    }
    if (w->empty) p->value = INFINITY;
    p->stuck = w->broken;
    if (p->stuck) return ROB_OK;
    rob_priv_alpha_prepare(w->alpha);
    return bound_rows(b, p, SOME, b->mix[p->group], false);
}

/* Elements whose planes read number `at` of root `cell`, made again. */
static void renew(rob_branch *b, int32_t cell, int64_t at)
{
    rob_work *w = b->w;
    const rob_network *net = w->net;
    for (int32_t i = cell + 1; i <= net->cell[cell].last && i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->kind != ROB_CELL_CURVED || !c->live) continue;
        for (int32_t k = 0; k < c->ins; k++) {
            const rob_cell *z = &net->cell[net->link[c->link + k].cell];
            int64_t e = at - (z->kind == ROB_CELL_VIEW ? z->first : 0);
            if (!z->live || z->root != cell || e < 0 || e >= z->size) continue;
            rob_priv_alpha_renew(w->alpha, i, e);
            break;
        }
    }
}

rob_status rob_priv_leaf_glance(rob_branch *b, rob_leaf *p, const rob_split *s, int side,
                                int64_t steps)
{
    rob_work *w = b->w;
    const int64_t at = w->net->cell[s->cell].at + s->at;
    double *end = side == 0 ? &w->up[at] : &w->lo[at], old = *end;
    load(b, p);
    if (b->fault != NULL) b->fault(p);
    *end = side == 0 ? p->up[at] : p->lo[at];
    renew(b, s->cell, s->at);
    rob_status status = bound_rows(b, p, steps, b->kept, false);
    *end = old;
    renew(b, s->cell, s->at);
    return status;
}

bool rob_priv_leaf_is_cut(rob_branch *b, const rob_leaf *p)
{
    rob_halves *c = b->halves;
    const int64_t n = c->n, count = c->count;
    bool cut = false;
    c->count = 0;
    for (int64_t k = 0; k < p->rows; k++) {
        const double *a = p->half + k * (n + 1);
        for (int64_t e = 0; e < n; e++) c->mixed[e] = -a[e];
        double most = -rob_priv_half_least(c, c->mixed, c->at2);
        cut = cut || a[n] < 0.8 * most;
    }
    c->count = count;
    return cut;
}
