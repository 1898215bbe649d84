/* split.c -- where a part is cut in two.
 *
 * The row's bound is a sum over elements of curved cells of a p(z*), a the row's
 * coefficient, p the plane it asks for, z* what planes make of the minimiser x*. Cutting
 * an operand z at w gives an element other planes on either side, so a p(z*) is computed
 * again there (z* moved to that side), default planes against default planes: the rise,
 * summed over the elements that read z, is what the cut may gain. Of the numbers with the
 * largest rise on their worse side some are tried: both sides bounded in earnest with a few
 * steps; the one whose worse side comes out best is taken. So a few thousand planes of
 * single elements are made, and a dozen rows, where a bound of every candidate would need
 * thousands.
 *
 * A number of x is read by no plane of its own, its cut helps by ranges alone: for nets of
 * few inputs branch.c tries the one that moves the row most, |A_e| times its width.
 *
 * Reference: Shi et al., Neural network verification with branch-and-bound for general
 * nonlinearities (BBPS), 2024; docs/theory/bound.md 10.
 */
#include "bound/branch/branch.h"

#include <stdlib.h>
#include <string.h>

enum { ELEMENTS = 200, TRIED = 4, FEW = 3 };

/* One element of a curved cell, its operands cut out. */
typedef struct element {
    const rob_cell *c;
    double a;                     /* the row's coefficient */
    double lo[ROB_MAX_INS], up[ROB_MAX_INS], z[ROB_MAX_INS];
    int64_t at[ROB_MAX_INS];      /* operands among all numbers; -1: known */
} element;

static element element_of(const rob_branch *b, int32_t cell, int64_t e)
{
    const rob_work *w = b->w;
    const rob_cell *c = &w->net->cell[cell];
    element x = {.c = c, .a = w->alpha->a[c->at + e]};
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = w->net->link[c->link + k].cell;
        const rob_cell *z = &w->net->cell[in];
        rob_range r = rob_priv_cell_range(w, in);
        x.lo[k] = r.lo[e];
        x.up[k] = r.up[e];
        x.at[k] = z->live ? z->at + e : -1;
        x.z[k] = z->live ? w->alpha->z[z->at + e] : r.lo[e];
        x.z[k] = fmin(fmax(x.z[k], x.lo[k]), x.up[k]);
    }
    return x;
}

/* What the default plane that the coefficient asks for says at z, times it. */
static double share_of(const element *x)
{
    double below[ROB_MAX_INS + 1], above[ROB_MAX_INS + 1], touch[2 * ROB_MAX_INS];
    rob_planes low = {.count = 1, .offset = below + ROB_MAX_INS};
    rob_planes high = {.count = 1, .offset = above + ROB_MAX_INS};
    rob_range in[ROB_MAX_INS];
    const rob_node *n = &x->c->node;
    for (int32_t k = 0; k < ROB_MAX_INS; k++) {
        low.slope[k] = below + k, high.slope[k] = above + k;
        low.touch[k] = touch + k, high.touch[k] = touch + ROB_MAX_INS + k;
        in[k] = (rob_range){rob_priv_shape1(1), (double *)x->lo + k, (double *)x->up + k};
    }
    n->op->relax(n, in, NULL, &low, &high);
    const double *p = x->a > 0 ? below : above;
    double sum = p[ROB_MAX_INS];
    for (int32_t k = 0; k < x->c->ins; k++) sum += p[k] * x->z[k];
    return x->a * sum;
}

static int by_score(const void *a, const void *b)
{
    const rob_split *p = a, *q = b;
    if (p->score != q->score) return p->score > q->score ? -1 : 1;
    if (p->cell != q->cell) return p->cell < q->cell ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

static double middle(double lo, double up) { return 0.5 * lo + 0.5 * up; }

/* Gains of cutting operand k in the middle, on either side. */
static void gains(rob_branch *b, const element *x)
{
    const int64_t n = b->w->net->range_size;
    double now = share_of(x);
    for (int32_t k = 0; k < x->c->ins; k++) {
        if (x->at[k] < 0 || !(x->lo[k] < x->up[k])) continue;
        double c = middle(x->lo[k], x->up[k]);
        for (int side = 0; side < 2; side++) {
            element y = *x;
            if (side == 0) y.up[k] = c, y.z[k] = fmin(y.z[k], c);
            else y.lo[k] = c, y.z[k] = fmax(y.z[k], c);
            double gain = share_of(&y) - now;
            if (gain > 0) b->gain[side * n + x->at[k]] += gain;
        }
    }
}

static bool is_curved(const rob_cell *c)
{
    return c->live && c->kind == ROB_CELL_CURVED && rob_priv_has_planes(&c->node);
}

/* Elements by what their planes may lose, about; the first count of b->candidate. */
static int64_t rank_elements(rob_branch *b)
{
    const rob_work *w = b->w;
    int64_t count = 0;
    for (int32_t i = 0; i < w->net->cells; i++) {
        const rob_cell *c = &w->net->cell[i];
        if (!is_curved(c) || !w->alpha->touched[i]) continue;
        for (int64_t e = 0; e < c->size; e++) {
            element x = element_of(b, i, e);
            double widest = 0;
            for (int32_t k = 0; k < c->ins; k++) widest = fmax(widest, x.up[k] - x.lo[k]);
            double score = fabs(x.a) * fmin(widest, 2) * (w->up[c->at + e] - w->lo[c->at + e]);
            if (score > 0) b->candidate[count++] = (rob_split){score, 0, i, e};
        }
    }
    qsort(b->candidate, (size_t)count, sizeof *b->candidate, by_score);
    return count;
}

/* Numbers by the gain of the side that gains less. */
static int64_t rank_numbers(rob_branch *b)
{
    const rob_work *w = b->w;
    const int64_t n = w->net->range_size;
    int64_t elements = rank_elements(b), count = 0;
    memset(b->gain, 0, (size_t)(2 * n) * sizeof *b->gain);
    for (int64_t k = 0; k < elements && k < ELEMENTS; k++) {
        element x = element_of(b, b->candidate[k].cell, b->candidate[k].at);
        gains(b, &x);
    }
    for (int32_t i = 0; i < w->net->cells; i++) {
        const rob_cell *c = &w->net->cell[i];
        if (!c->live || c->kind == ROB_CELL_VIEW) continue;
        for (int64_t e = 0; e < c->size; e++) {
            double low = b->gain[c->at + e], up = b->gain[n + c->at + e];
            double score = fmin(low, up) + 0.1 * fmax(low, up);
            double where = middle(w->lo[c->at + e], w->up[c->at + e]);
            if (score > 0) b->candidate[count++] = (rob_split){score, where, i, e};
        }
    }
    qsort(b->candidate, (size_t)count, sizeof *b->candidate, by_score);
    return count;
}

/* b->half: of both sides */
rob_status rob_priv_split_halves(rob_branch *b, const rob_split *s)
{
    rob_work *w = b->w;
    const rob_cell *c = &w->net->cell[s->cell];
    const int64_t n = b->halves->n;
    double *unit = w->unit;
    memset(unit, 0, (size_t)(2 * c->size) * sizeof *unit);
    unit[s->at] = 1;
    unit[c->size + s->at] = -1;
    rob_status status = rob_priv_sweep(w, s->cell, 2, unit, c->size, NULL);
    if (status != ROB_OK) return status;
    rob_priv_half_of_row(b->halves, 0, s->where, b->half, b->half + n);
    rob_priv_half_of_row(b->halves, 1, -s->where, b->half + n + 1, b->half + 2 * n + 1);
    return ROB_OK;
}

/* The worse side's bound, and a little of the other's. */
static rob_status try_split(rob_branch *b, const rob_leaf *p, rob_split *s)
{
    rob_status status = rob_priv_split_halves(b, s);
    double value[2] = {0};
    for (int side = 0; side < 2 && status == ROB_OK; side++) {
        rob_leaf *c = rob_priv_leaf_side(b, p, s, side);
        if (c == NULL) return ROB_EMEMORY;
        status = rob_priv_leaf_glance(b, c, s, side, FEW);
        value[side] = fmin(c->value, b->sought);
        rob_priv_leaf_close(b, c);
    }
    s->score = fmin(value[0], value[1]) + 0.1 * fmax(value[0], value[1]);
    return status;
}

rob_status rob_priv_split_choose(rob_branch *b, const rob_leaf *p, rob_split *s,
                                 bool *found)
{
    int64_t count = rank_numbers(b), best = 0;
    if (count > TRIED) count = TRIED;
    *found = count > 0;
    if (!*found) return ROB_OK;
    memcpy(b->kept, b->w->alpha->best, rob_priv_mix_bytes(b));
    for (int64_t k = 0; k < count && count > 1; k++) {
        rob_status status = try_split(b, p, &b->candidate[k]);
        if (status != ROB_OK) return status;
        if (b->candidate[k].score > b->candidate[best].score) best = k;
    }
    *s = b->candidate[best];
    return rob_priv_split_halves(b, s);
}

/* The number of x that moves the group's first row most. */
bool rob_priv_split_input(const rob_branch *b, const rob_leaf *p, rob_split *s)
{
    const rob_network *net = b->w->net;
    *s = (rob_split){.score = 0, .cell = -1};
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->kind != ROB_CELL_INPUT) continue;
        for (int64_t e = 0; e < c->size; e++) {
            double lo = p->lo[c->at + e], up = p->up[c->at + e];
            double score = fabs(p->half[c->first + e]) * (up - lo);
            if (score > s->score) *s = (rob_split){score, middle(lo, up), i, e};
        }
    }
    return s->cell >= 0;
}
