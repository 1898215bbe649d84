/* branch.c -- branch and bound.
 *
 * A group of rows is to exceed a number c ("sought"). A part P of the ball is written as
 * half-spaces and ranges that every point of it obeys. On P
 *
 *     row_r(x) >= A_r.d + f_r,    d = x - x0,
 *
 * from a sweep with planes chosen for r. Points of P at which all rows of the group are
 * at most c, if there are any, obey
 *
 *     A_r.d <= c - f_r   for every r,                                                 (1)
 *
 * the others need no proof. So P may be cut by (1), its ranges made again on what is
 * left, rows bounded again, until a row exceeds c there or a range is empty (then P has
 * no such point), or nothing moves any more. Then P is cut in two, by z <= w and z >= w
 * for a number z of a cell (split.c), and both parts, which cover P, are dealt with
 * alike; that with the least bound first. The group is proved to be at least
 * min(c, least bound of a part), at any time.
 *
 * Reference: Bunel et al., JMLR 21 (2020); Shi et al., Neural network verification with
 * branch-and-bound for general nonlinearities, 2024; Zhou et al., Clip-and-Verify,
 * NeurIPS 2025. docs/theory/bound.md 10.
 */
#include "bound/branch/branch.h"

#include <string.h>

enum { K = ROB_ALPHA_PLANES, SOME = 10, INPUTS_MOST = 64, NUMBERS_MOST = 1 << 26 };

static bool goes_on(const rob_branch *b)
{
    return b->nodes < b->branches && rob_priv_clock() < b->w->deadline
           && b->numbers < NUMBERS_MOST && b->upper > b->sought;
}

/* ---- the tree -------------------------------------------------------------------- */

/* Takes the leaf over, also on failure; one that is proved is let go. */
static rob_status push(rob_branch *b, rob_leaf *p)
{
    if (p->value > b->sought) {
        rob_priv_leaf_close(b, p);
        return ROB_OK;
    }
    if (b->leaves == b->capacity) {
        int64_t capacity = 2 * b->capacity + 16;
        rob_leaf **leaf = rob_priv_grow(&b->w->memory, b->leaf, b->leaves, capacity,
                                        (int64_t)sizeof *leaf);
        if (leaf == NULL) {
            rob_priv_leaf_close(b, p);
            return ROB_EMEMORY;
        }
        b->leaf = leaf;
        b->capacity = capacity;
    }
    b->leaf[b->leaves++] = p;
    return ROB_OK;
}

/* The worst leaf, taken out; NULL: none that anything can be done about. */
static rob_leaf *pop(rob_branch *b)
{
    int64_t best = -1;
    for (int64_t k = 0; k < b->leaves; k++)
        if (!b->leaf[k]->stuck && (best < 0 || b->leaf[k]->value < b->leaf[best]->value))
            best = k;
    if (best < 0) return NULL;
    rob_leaf *p = b->leaf[best];
    b->leaf[best] = b->leaf[--b->leaves];
    return p;
}

/* Both sides of the leaf in the work. */
static rob_status divide(rob_branch *b, const rob_leaf *p, const rob_split *s)
{
    rob_status status = ROB_OK;
    rob_leaf *side[2] = {rob_priv_leaf_side(b, p, s, 0), rob_priv_leaf_side(b, p, s, 1)};
    if (side[0] == NULL || side[1] == NULL) status = ROB_EMEMORY;
    for (int k = 0; k < 2 && status == ROB_OK; k++) {
        b->nodes++;
        status = rob_priv_leaf_glance(b, side[k], s, k, SOME);
    }
    for (int k = 0; k < 2; k++) {
        rob_status pushed = status == ROB_OK ? push(b, side[k]) : status;
        if (status != ROB_OK) rob_priv_leaf_close(b, side[k]);
        status = pushed;
    }
    return status;
}

/* The first leaf of a group leaves its mixtures to the others. */
static rob_status keep_mix(rob_branch *b, const rob_leaf *p)
{
    double **to = &b->mix[p->group];
    if (p->splits > 0) return ROB_OK;
    if (*to == NULL && !rob_priv_alpha_get(b->w, to, 2 * K * b->w->net->range_size))
        return ROB_EMEMORY;
    memcpy(*to, b->w->alpha->best, rob_priv_mix_bytes(b));
    return ROB_OK;
}

/* Cut at a number of x, both sides with ranges of their own; kept where the worse side
 * is better than `other`. */
static rob_status divide_input(rob_branch *b, const rob_leaf *p, double other, bool *taken)
{
    rob_split s;
    rob_leaf *side[2] = {NULL, NULL};
    double value[2] = {0};
    if (!rob_priv_split_input(b, p, &s)) return ROB_OK;
    rob_status status = rob_priv_split_halves(b, &s);
    for (int k = 0; k < 2 && status == ROB_OK; k++)
        if ((side[k] = rob_priv_leaf_side(b, p, &s, k)) == NULL) status = ROB_EMEMORY;
    for (int k = 0; k < 2 && status == ROB_OK; k++) {
        status = rob_priv_leaf_bound(b, side[k]);
        value[k] = fmin(side[k]->value, b->sought);
    }
    b->tried++;
    *taken = fmin(value[0], value[1]) + 0.1 * fmax(value[0], value[1]) > other;
    b->won += *taken;
    for (int k = 0; k < 2; k++) {
        rob_status pushed = status == ROB_OK && *taken ? push(b, side[k]) : status;
        if (status != ROB_OK || !*taken) rob_priv_leaf_close(b, side[k]);
        status = pushed;
    }
    return status;
}

/* Few numbers of x: cuts at them are tried, less often where they do not pay. */
static bool tries_input(const rob_branch *b)
{
    bool few = b->halves->n <= INPUTS_MOST && !b->gates_only, poor = b->tried > 4 && 4 * b->won < b->tried;
    return few && (!poor || b->nodes % 8 == 0);
}

/* The leaf in the work becomes two parts, or is stuck. */
static rob_status cut(rob_branch *b, rob_leaf *p)
{
    rob_split s = {.score = -INFINITY};
    bool found = false, taken = false, inputs = tries_input(b);
    bool sure = inputs && b->tried > 4 && 4 * b->won > 3 * b->tried;
    rob_status status = ROB_OK;
    if (!sure) status = rob_priv_split_choose(b, p, &s, &found);
    if (status == ROB_OK && inputs)
        status = divide_input(b, p, found ? s.score : -INFINITY, &taken);
    if (status == ROB_OK && inputs && !taken && found) {
        status = rob_priv_leaf_recall(b, p);
        memcpy(b->kept, b->w->alpha->best, rob_priv_mix_bytes(b));
        if (status == ROB_OK) status = rob_priv_split_halves(b, &s);
    }
    if (status == ROB_OK && !taken && found) status = divide(b, p, &s);
    p->stuck = !taken && !found;
    return status;
}

/* A leaf taken out comes back better, or as two, or not at all. */
static rob_status expand(rob_branch *b, rob_leaf *p)
{
    bool ranges = !p->ranged && (p->fresh % 4 == 0 || rob_priv_leaf_is_cut(b, p));
    rob_status status = ROB_OK;
    if (ranges) status = rob_priv_leaf_bound(b, p);
    else status = rob_priv_leaf_recall(b, p);
    if (status == ROB_OK && !p->stuck && !(p->value > b->sought)) {
        if (ranges) status = keep_mix(b, p);
        if (status == ROB_OK) status = cut(b, p);
        if (status == ROB_OK && !p->stuck) p->value = INFINITY;
    }
    if (status == ROB_OK) return push(b, p);
    rob_priv_leaf_close(b, p);
    return status;
}

/* A first leaf for every group that is open. */
static rob_status plant(rob_branch *b)
{
    const rob_demand *d = b->demand;
    rob_status status = ROB_OK;
    const size_t bytes = (size_t)b->w->net->range_size * sizeof(double);
    for (int32_t g = 0; g < d->groups && status == ROB_OK; g++) {
        if (b->group[g] > b->sought) continue;
        rob_leaf *p = rob_priv_leaf_open(b, g, 0);
        if (p == NULL) return ROB_EMEMORY;
        memcpy(p->lo, b->lo, bytes);
        memcpy(p->up, b->up, bytes);
        p->value = b->group[g];
        status = push(b, p);
    }
    return status;
}

static rob_status grow(rob_branch *b)
{
    rob_status status = ROB_OK;
    rob_leaf *p;
    while (status == ROB_OK && goes_on(b) && (p = pop(b)) != NULL) {
        if (b->w->stop != NULL && b->w->stop(b->w->stop_user)) status = ROB_STOPPED;
        if (status == ROB_OK) status = expand(b, p);
        else rob_priv_leaf_close(b, p);
    }
    return status;
}

/* min(sought, least leaf) of a group: what is in no leaf is above sought. */
static double conclusion(const rob_branch *b, int32_t group)
{
    double value = b->sought;
    for (int64_t k = 0; k < b->leaves; k++)
        if (b->leaf[k]->group == group) value = fp_min(value, b->leaf[k]->value);
    return value;
}

/* One tree for a number sought. */
static rob_status attempt(rob_branch *b)
{
    const rob_demand *d = b->demand;
    rob_status status = plant(b);
    if (status == ROB_OK) status = grow(b);
    for (int32_t g = 0; g < d->groups && status == ROB_OK; g++)
        if (!(b->group[g] > b->sought)) b->group[g] = fp_max(conclusion(b, g), b->group[g]);
    while (b->leaves > 0) rob_priv_leaf_close(b, b->leaf[--b->leaves]);
    return status;
}

static double margin_of(const rob_branch *b)
{
    double margin = INFINITY;
    for (int64_t g = 0; g < b->demand->groups; g++) margin = fp_min(margin, b->group[g]);
    return margin;
}

/* A little more than enough; or half way between what is proved and what a point shows. */
static double number_to_seek(const rob_branch *b)
{
    const double enough = b->w->enough, margin = margin_of(b);
    if (isfinite(enough)) return enough + 0x1p-20 * (1 + fabs(enough));
    return 0.5 * margin + 0.5 * b->upper;
}

static rob_status search(rob_branch *b)
{
    rob_status status = ROB_OK;
    while (status == ROB_OK) {
        double margin = margin_of(b), gap = b->upper - margin;
        b->sought = number_to_seek(b);
        if (!(margin < b->sought) || !(gap > 1e-4 * fabs(b->upper)) || !goes_on(b)) break;
        status = attempt(b);
    }
    return status;
}

/* ---- from margin.c --------------------------------------------------------------- */

static rob_status begin(rob_branch *b, const rob_demand *d, const rob_proof *row)
{
    rob_work *w = b->w;
    const size_t bytes = (size_t)w->net->range_size * sizeof(double);
    b->demand = d;
    b->nodes = b->tried = b->won = 0;
    b->upper = INFINITY;
    rob_priv_alpha_release(w);
    memcpy(b->lo, w->lo, bytes);
    memcpy(b->up, w->up, bytes);
    memcpy(b->plane, w->plane, (size_t)w->net->plane_size * sizeof(double));
    w->inherited = b->plane;
    b->group = rob_priv_allocate(&w->memory, d->groups, (int64_t)sizeof *b->group);
    b->mix = rob_priv_allocate(&w->memory, d->groups, (int64_t)sizeof *b->mix);
    if (b->group == NULL || b->mix == NULL) return ROB_EMEMORY;
    for (int64_t g = 0; g < d->groups; g++) b->group[g] = -INFINITY;
    for (int64_t r = 0; r < d->rows; r++)
        b->group[d->group[r]] = fp_max(b->group[d->group[r]], row[r].value);
    memcpy(w->alpha->point, w->ball.x, (size_t)b->halves->n * sizeof(double));
    for (int32_t g = 0; g < d->groups; g++) rob_priv_leaf_see(b, g);
    return rob_priv_half_begin(b->halves);
}

static void end(rob_branch *b)
{
    rob_work *w = b->w;
    rob_memory m = w->memory;
    for (int64_t g = 0; b->mix != NULL && g < b->demand->groups; g++)
        rob_priv_release(&m, b->mix[g]);
    rob_priv_release(&m, b->mix);
    rob_priv_release(&m, b->group);
    b->mix = NULL;
    b->group = NULL;
    w->halves = NULL;
    w->inherited = NULL;
    rob_priv_alpha_release(w);
}

/* A group of several rows has no leaf's value for each of them. */
rob_status rob_priv_branch(rob_branch *b, const rob_demand *d, rob_proof *row,
                           rob_outcome *out)
{
    rob_work *w = b->w;
    rob_form *form = w->form;
    rob_status status = begin(b, d, row);
    w->form = NULL;
    w->halves = b->halves;
    if (status == ROB_OK) status = search(b);
    w->form = form;
    if (status == ROB_OK) {
        out->margin = fp_max(out->margin, margin_of(b));
        for (int64_t r = 0; r < d->rows; r++)
            if (rob_priv_leaf_rows(b, d->group[r]) == 1)
                row[r].value = fp_max(row[r].value, b->group[d->group[r]]);
    }
    end(b);
    return status;
}

void rob_priv_branch_close(rob_branch *b)
{
    if (b == NULL) return;
    rob_memory m = b->w->memory;
    rob_priv_half_close(b->halves);
    rob_priv_work_close(b->probe);
    void *const all[] = {b->gain, b->leaf, b->kept, b->candidate, b->half, b->lo, b->up,
                         b->plane};
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&m, all[i]);
    rob_priv_release(&m, b);
}

rob_status rob_priv_branch_open(rob_work *w, int64_t branches, rob_branch **out)
{
    const int64_t n = w->net->range_size, x = w->net->steps * w->net->features;
    rob_branch *b = rob_priv_allocate(&w->memory, 1, (int64_t)sizeof *b);
    *out = b;
    if (b == NULL) return ROB_EMEMORY;
    b->w = w;
    b->branches = branches;
    b->candidate = rob_priv_allocate(&w->memory, n + 1, (int64_t)sizeof *b->candidate);
    if (b->candidate == NULL || !rob_priv_alpha_get(w, &b->gain, 2 * n)
        || !rob_priv_alpha_get(w, &b->kept, 2 * K * n) || !rob_priv_alpha_get(w, &b->lo, n)
        || !rob_priv_alpha_get(w, &b->plane, w->net->plane_size)
        || !rob_priv_alpha_get(w, &b->up, n) || !rob_priv_alpha_get(w, &b->half, 2 * (x + 1)))
        return ROB_EMEMORY;
    rob_status status = rob_priv_work_open(w->net, &b->probe);
    return status == ROB_OK ? rob_priv_half_open(w, &b->halves) : status;
}
