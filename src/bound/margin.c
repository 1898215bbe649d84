/* margin.c -- what is proved of a specification on one ball.
 *
 * A group of rows C f + b is safe as soon as one of them is proved positive; the
 * specification is when all groups are:  margin = min over groups of max over rows.
 * A row's value is the better of its sweep and its interval sum_j C_j [lo_j, up_j] + b.
 */
#include "bound/branch/branch.h"
#include "bound/order/second.h"

#include <string.h>

static rob_range output_range(const rob_work *w)
{
    return rob_priv_cell_range(w, w->net->output);
}

static double row_on_range(const rob_demand *d, int64_t r, const rob_range *f)
{
    double sum = d->b[r];
    for (int64_t j = 0; j < d->outputs; j++) {
        double c = d->c[r * d->outputs + j];
        if (c != 0) sum = fp_add_lo(sum, fp_mul_lo(c, c > 0 ? f->lo[j] : f->up[j]));
    }
    return fp_or_lo(sum);
}

/* The coefficients rows end with on numbers of x. */
void rob_priv_affine_gather(rob_work *w, const rob_cell *c, int64_t rows, const double *a)
{
    const int64_t n = w->net->steps * w->net->features;
    for (int64_t r = 0; w->affine->active && r < rows; r++)
        memcpy(w->affine->now + r * n + c->first, a + r * c->size,
               (size_t)c->size * sizeof *a);
}

/* What the sweep at work made of row r, kept if it is the best on the whole ball. */
static void keep_affine(rob_work *w, int64_t r, int64_t k)
{
    rob_affine *a = w->affine;
    const int64_t n = w->net->steps * w->net->features;
    const rob_proof *p = &w->proof[k];
    double value = p->fixed - (p->slope == 0 ? 0 : w->ball.eps * p->slope);
    if (!(value > a->value[r])) return;
    a->value[r] = value;
    a->fixed[r] = p->fixed;
    memcpy(a->at + r * n, a->now + k * n, (size_t)n * sizeof *a->at);
}

static void await_affine(rob_work *w, int64_t rows, bool active)
{
    const int64_t n = w->net->steps * w->net->features;
    w->affine->active = active;
    if (active) memset(w->affine->now, 0, (size_t)(rows * n) * sizeof(double));
}

static void forget_affine(rob_work *w, int64_t rows)
{
    for (int64_t r = 0; w->affine != NULL && r < rows; r++)
        w->affine->value[r] = w->affine->fixed[r] = -INFINITY;
}

static rob_status sweep_rows(rob_work *w, const rob_demand *d, rob_proof *row)
{
    rob_status status = ROB_OK;
    for (int64_t r = 0; r < d->rows && status == ROB_OK; r += w->tile) {
        int64_t count = d->rows - r < w->tile ? d->rows - r : w->tile;
        if (w->affine != NULL) await_affine(w, count, true);
        status = rob_priv_sweep(w, w->net->output, count, d->c + r * d->outputs,
                                d->outputs, d->b + r);
        if (w->affine != NULL) await_affine(w, count, false);
        for (int64_t k = 0; k < count && status == ROB_OK; k++) {
            double before = row[r + k].value;
            if (w->affine != NULL) keep_affine(w, r + k, k);
            row[r + k] = w->proof[k];
            row[r + k].value = fp_max(row[r + k].value, before);
        }
    }
    return status;
}

static rob_status forms_of_rows(rob_work *w, const rob_demand *d, rob_proof *row)
{
    bool fine = true;
    for (int64_t r = 0; fine && r < d->rows; r++)
        fine = rob_priv_forward_rows(w, w->net->output, 1, d->c + r * d->outputs,
                                     d->outputs, d->b + r, &row[r].value);
    return fine ? ROB_OK : ROB_EMEMORY;
}

/* Largest radius at which fixed - e slope > 0, rounded down. */
static double crossing_of(const rob_proof *p)
{
    if (!(p->fixed > 0)) return 0;
    if (p->slope == 0) return INFINITY;
    double e = fp_lo(fp_div_lo(p->fixed, p->slope));
    return e > 0 ? e : 0;
}

static rob_outcome judge(const rob_demand *d, const rob_proof *row)
{
    rob_outcome worst = {INFINITY, INFINITY};
    for (int64_t g = 0; g < d->groups; g++) {
        rob_outcome best = {-INFINITY, 0};
        for (int64_t r = 0; r < d->rows; r++) {
            if (d->group[r] != g) continue;
            best.margin = fp_max(row[r].value, best.margin);
            best.crossing = fp_max(crossing_of(&row[r]), best.crossing);
        }
        worst.margin = fp_min(best.margin, worst.margin);
        worst.crossing = fp_min(best.crossing, worst.crossing);
    }
    return worst;
}

/* One pass: ranges, then rows, each the better of what it was and what it is now. */
static rob_status pass(rob_work *w, const rob_demand *d, bool crown, rob_proof *row)
{
    rob_status status = rob_priv_ranges(w, crown);
    if (status == ROB_OK && !w->broken) {
        rob_range f = output_range(w);
        for (int64_t r = 0; r < d->rows; r++) {
            double value = row_on_range(d, r, &f);
            if (value > row[r].value) row[r] = (rob_proof){value, value, 0};
        }
        crown = crown && !w->hopeless;
        if (crown) status = sweep_rows(w, d, row);
        if (status == ROB_OK && crown && w->form != NULL)
            status = forms_of_rows(w, d, row);
    }
    if (w->form != NULL) rob_priv_forward_end(w);
    return status;
}

static bool widen(rob_work *w, double **p, int64_t numbers)
{
    double *wider = rob_priv_allocate(&w->memory, numbers, (int64_t)sizeof *wider);
    if (wider == NULL) return false;
    rob_priv_release(&w->memory, *p);
    *p = wider;
    return true;
}

bool rob_priv_bound_room(rob_work *w, const rob_ball *ball)
{
    int64_t width = rob_priv_ball_width(ball);
    if (width <= w->width) return true;
    if (!widen(w, &w->measure, w->tile * width)) return false;
    if (w->form != NULL && !widen(w, &w->seen, 2 * w->net->widest * width)) return false;
    w->width = width;
    return true;
}

/* Is a row among those of groups that are not proved yet? */
static bool is_open(const rob_work *w, const rob_demand *d, const rob_proof *row, int64_t r)
{
    double best = -INFINITY;
    for (int64_t k = 0; k < d->rows; k++)
        if (d->group[k] == d->group[r]) best = fp_max(row[k].value, best);
    return !(best > w->enough);
}

static bool goes_on(const rob_work *w, const rob_outcome *out)
{
    return !(out->margin > w->enough) && rob_priv_clock() < w->deadline && !w->broken
           && !w->hopeless;
}

/* Planes for every open row, ranges for what the rows hang on, and again. */
static rob_status refine(rob_work *w, const rob_demand *d, rob_proof *row,
                         rob_outcome *out)
{
    rob_status status = ROB_OK;
    for (int64_t t = 0; status == ROB_OK && goes_on(w, out); t++) {
        rob_priv_alpha_prepare(w->alpha);
        rob_priv_alpha_begin(w->alpha);
        for (int64_t r = 0; r < d->rows && status == ROB_OK; r++)
            if (is_open(w, d, row, r))
                status = rob_priv_alpha_row(w->alpha, w->net->output,
                                            d->c + r * d->outputs, d->b[r], w->choices,
                                            &row[r]);
        if (status == ROB_OK) *out = judge(d, row);
        if (status != ROB_OK || !goes_on(w, out) || t >= w->rounds) break;
        status = rob_priv_alpha_ranges(w->alpha, w->chosen, w->choices / 4 + 1);
        if (status == ROB_OK) status = pass(w, d, true, row);
        if (status == ROB_OK) *out = judge(d, row);
    }
    return status;
}

/* The ranges again with quadratic forms of the gates, and the rows with them; then ranges of
 * rows of their own for what these hang on, and again. After a pass without, since narrower
 * ranges may have worse planes. */
static rob_status bend(rob_work *w, const rob_demand *d, rob_proof *row, rob_outcome *out)
{
    rob_status status = ROB_OK;
    for (int64_t t = 0; status == ROB_OK && goes_on(w, out); t++) {
        w->bends = true;
        status = pass(w, d, true, row);
        w->bends = false;
        if (status == ROB_OK && !w->broken && !w->hopeless) {
            rob_priv_second_end(w->second);
            status = rob_priv_second_rows(w->second, d, row);
        }
        if (status == ROB_OK) *out = judge(d, row);
        if (status != ROB_OK || !goes_on(w, out) || t + 1 >= w->rounds) break;
        status = rob_priv_second_ranges(w->second, w->chosen);
    }
    return status;
}

/* Elman nets have none: their forms lose more to sweeps, which cost them little. */
static bool has_gates(const rob_network *net)
{
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->kind == ROB_CELL_CURVED && c->ins > 1 && c->node.op->id != ROB_OP_mul) return true;
    }
    return false;
}

/* Sweeps come after a pass without them, so that they never prove less; that pass also
 * finds which of them are worth it (range.c). When a radius is searched for, they come only
 * if they are needed. *done: nothing is left for them. */
static rob_status without_sweeps(rob_work *w, const rob_demand *d, rob_proof *row,
                                 rob_outcome *out, bool *done)
{
    const bool more = w->second != NULL || w->alpha != NULL || w->branch != NULL;
    memset(w->idle, 0, (size_t)w->net->cells * sizeof *w->idle);
    w->sounding = w->gain > 0 && has_gates(w->net);
    w->found = w->sweeps = false;
    rob_status status = pass(w, d, true, row);
    *done = w->sounding && !w->found && !w->broken && !w->hopeless && !more;
    w->sounding = false;
    w->sweeps = true;
    if (status == ROB_OK) *out = judge(d, row);
    *done = status != ROB_OK || *done || (w->search && out->margin > 0);
    return status;
}

rob_status rob_priv_bound_ball(rob_work *w, const rob_ball *ball, const rob_demand *d,
                               bool crown, rob_proof *row, rob_outcome *out)
{
    rob_status status = ROB_OK;
    bool done = w->found = false;
    if (!rob_priv_bound_room(w, ball)) return ROB_EMEMORY;
    w->ball = *ball;
    rob_priv_alpha_release(w);
    *out = (rob_outcome){-INFINITY, 0};
    for (int64_t r = 0; r < d->rows; r++)
        row[r] = (rob_proof){-INFINITY, -INFINITY, INFINITY};
    forget_affine(w, d->rows);
    if (d->groups == 0) return ROB_OK;
    if (crown && w->sweeps && w->form != NULL) status = without_sweeps(w, d, row, out, &done);
    if (done) return status;
    w->again = w->found && !w->broken && !w->hopeless;
    status = pass(w, d, crown, row);
    w->again = false;
    if (status == ROB_OK) *out = judge(d, row);
    if (status == ROB_OK && w->second != NULL && crown && rob_priv_second_knows(ball))
        status = bend(w, d, row, out);
    if (status == ROB_OK && w->alpha != NULL && crown) status = refine(w, d, row, out);
    if (status == ROB_OK && w->branch != NULL && crown && goes_on(w, out))
        status = rob_priv_branch(w->branch, d, row, out);
    return status;
}
