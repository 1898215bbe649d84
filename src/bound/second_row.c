/* second_row.c -- rows with quadratic bounds of what the gates leave over.
 *
 * With lambda_k the coefficients of a row on the outputs of curved operators,
 *
 *     row(x) >= base - loss + J.d + sum_k lambda_k r_k(x).
 *
 * For every k the worse of two ways is left out:
 *
 *     lambda r >= -|lambda| radius                                            (constant)
 *     lambda r >= 1/2 z'S z - lambda middle - |lambda| slack,  S = lambda H - |lambda| diag rho
 *              >= 1/2 y'S y - sum |S_ij| (|y_i| + 1/2 rest_i) rest_j - ...,   y = J_k d, z = y + e
 *
 * so the whole is base' + J.d + 1/2 d'Q d with Q = sum_k J_k'S_k J_k, whose least value on
 * the ball is trust.c's. A quadratic is preferred while its own worst value costs no more
 * than `patience` times the constant: the worst points of many units are different ones.
 *
 * What is stored as Q is off by gamma_n of the sum of magnitudes: |d'(dQ)d| is at most
 * gamma_n sum_k sum_ij |S_ij| reach_i reach_j, taken off. docs/theory/orders.md 4.
 */
#include "bound/second.h"

#include <stdlib.h>
#include <string.h>

static const double PATIENCE[] = { 1, 4 };

/* What one choice of quadratics comes to. */
typedef struct total { double constant, size; } total;

/* Element e of a curved cell with coefficient l: S, and the quadratic's constant. */
typedef struct unit {
    rob_way way[ROB_MAX_INS];
    double s[ROB_MAX_INS][ROB_MAX_INS], constant, worst, size;
} unit;

static void measure_unit(const rob_second *s, const rob_cell *c, int64_t e, double l, unit *u)
{
    const rob_link *link = &s->w->net->link[c->link];
    const int64_t at = c->at + e;
    double fixed = fp_add_up(fp_mul_up(l, s->middle[at]), fp_mul_up(fabs(l), s->slack[at]));
    double bend = 0, size = 0;
    for (int i = 0; i < c->ins; i++) u->way[i] = rob_priv_second_way(s, &link[i], e);
    for (int i = 0; i < c->ins; i++)
        for (int j = 0; j < c->ins; j++) {
            const rob_way *p = &u->way[i], *q = &u->way[j];
            double v = l * s->hess[rob_priv_second_hess(c->ins, i, j)][at];
            if (i == j) v -= fabs(l) * s->rho[i][at];
            u->s[i][j] = v;
            const double m = fabs(v), both = fp_mul_up(m, fp_mul_up(p->reach, q->reach));
            fixed = fp_add_up(fixed, fp_mul_up(fp_mul_up(m, q->rest),
                                               fp_up(p->reach + fp_up(0.5 * p->rest))));
            bend += i != j || v < 0 ? 0.5 * both : 0;
            size = fp_add_up(size, both);
        }
    /* S itself was rounded, which z of this size meets */
    for (int i = 0; i < c->ins; i++) {
        const double far = fp_up(u->way[i].reach + u->way[i].rest);
        const double m = fp_up(fabs(u->s[i][i]) + 2 * fabs(l) * s->rho[i][at]);
        fixed = fp_add_up(fixed, fp_mul_up(8 * ROB_U * m, fp_mul_up(far, far)));
        for (int j = 0; j < i; j++)
            fixed = fp_add_up(fixed, fp_mul_up(16 * ROB_U * fabs(u->s[i][j]),
                                     fp_mul_up(far, fp_up(u->way[j].reach + u->way[j].rest))));
    }
    u->constant = -fixed;
    u->worst = bend + fixed;
    u->size = size;
}

static void add_unit(rob_second *s, const rob_cell *c, const unit *u)
{
    for (int i = 0; i < c->ins; i++) {
        if (u->way[i].slot < 0) continue;
        double *t = s->t + u->way[i].slot * s->inputs;
        for (int j = 0; j < c->ins; j++) {
            const double v = u->s[i][j];
            if (u->way[j].slot < 0 || v == 0) continue;
            const double *from = s->j + u->way[j].slot * s->inputs;
            for (int64_t k = 0; k < s->inputs; k++) t[k] += v * from[k];
        }
    }
}

/* Q, and the constant beside it, for coefficients sign a. */
static total assemble(rob_second *s, const double *a, double sign, double patience)
{
    const rob_network *net = s->w->net;
    total all = { 0, 0 };
    memset(s->t, 0, (size_t)(s->slots * s->inputs) * sizeof *s->t);
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || c->kind != ROB_CELL_CURVED) continue;
        for (int64_t e = 0; e < c->size; e++) {
            const double l = sign * a[c->at + e];
            if (l == 0) continue;
            const double flat = fp_mul_up(fabs(l), s->radius[c->at + e]);
            unit u;
            measure_unit(s, c, e, l, &u);
            if (u.worst <= patience * flat && isfinite(u.size)) {
                add_unit(s, c, &u);
                all.constant = fp_add_lo(all.constant, u.constant);
                all.size = fp_add_up(all.size, u.size);
            } else {
                all.constant = fp_add_lo(all.constant, -flat);
            }
        }
    }
    net->la->product(s->inputs, s->inputs, s->slots, s->t, 1, s->inputs, s->packed,
                     s->trust.q, s->inputs, 0);
    return all;
}

/* sign row k >= what comes out. */
static rob_status value_of_row(rob_second *s, int64_t k, double sign, double *value)
{
    rob_work *w = s->w;
    for (int p = 0; p < (int)COUNT_OF(PATIENCE); p++) {
        double least;
        total all = assemble(s, s->row + k * s->numbers, sign, PATIENCE[p]);
        for (int64_t i = 0; i < s->inputs; i++)
            s->trust.g[i] = sign * s->jrow[k * s->inputs + i];
        rob_status status = rob_priv_trust_least(&w->memory, &s->trust, w->ball.norm,
                                                 w->ball.eps, &least);
        if (status != ROB_OK) return status;
        const double off = fp_mul_up(((double)s->slots + 64) * ROB_U, all.size);
        double v = fp_add_lo(sign * w->base[k], -w->loss[k]);
        v = fp_add_lo(fp_add_lo(v, all.constant), fp_add_lo(least, -off));
        if (v > *value) *value = v;
    }
    return ROB_OK;
}

/* ---- rows of the specification ------------------------------------------------------- */

static void score_rows(rob_second *s, int64_t rows)
{
    const rob_network *net = s->w->net;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        for (int64_t e = c->at; c->live && c->tight && e < c->at + c->size; e++)
            for (int64_t r = 0; r < rows; r++)
                s->score[e] += fabs(s->row[r * s->numbers + e]) * (s->w->up[e] - s->w->lo[e]);
    }
}

rob_status rob_priv_second_rows(rob_second *s, const rob_demand *d, rob_proof *row)
{
    rob_status status = ROB_OK;
    const int64_t most = s->w->tile < ROB_SECOND_ROWS ? s->w->tile : ROB_SECOND_ROWS;
    memset(s->score, 0, (size_t)s->numbers * sizeof *s->score);
    for (int64_t r = 0; s->usable && r < d->rows && status == ROB_OK; r += most) {
        const int64_t count = d->rows - r < most ? d->rows - r : most;
        status = rob_priv_second_sweep(s, s->w->net->output, count, d->c + r * d->outputs,
                                       d->outputs, d->b + r, true);
        if (status != ROB_OK) break;
        score_rows(s, count);
        for (int64_t k = 0; k < count && status == ROB_OK; k++)
            status = value_of_row(s, k, 1, &row[r + k].value);
    }
    return status;
}

/* ---- ranges --------------------------------------------------------------------------- */

typedef struct candidate { double score; int32_t cell; int64_t e; } candidate;

static int by_score(const void *a, const void *b)
{
    const candidate *p = a, *q = b;
    if (p->score != q->score) return p->score > q->score ? -1 : 1;
    if (p->cell != q->cell) return p->cell < q->cell ? -1 : 1;
    return p->e < q->e ? -1 : p->e > q->e;
}

static rob_status hold(rob_second *s, const candidate *k, double *line)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[k->cell];
    double low = -INFINITY, high = -INFINITY;
    memset(line, 0, (size_t)c->size * sizeof *line);
    line[k->e] = 1;
    rob_status status = rob_priv_second_sweep(s, k->cell, 1, line, c->size, NULL, true);
    if (status == ROB_OK) status = value_of_row(s, 0, 1, &low);
    if (status == ROB_OK) status = value_of_row(s, 0, -1, &high);
    if (status != ROB_OK) return status;
    w->held_lo[c->at + k->e] = fp_max(w->held_lo[c->at + k->e], low);
    w->held_up[c->at + k->e] = fp_min(w->held_up[c->at + k->e], -high);
    return ROB_OK;
}

rob_status rob_priv_second_ranges(rob_second *s, int64_t most)
{
    rob_work *w = s->w;
    const rob_network *net = w->net;
    rob_status status = ROB_OK;
    int64_t count = 0;
    if (!s->usable) return ROB_OK;
    candidate *all = rob_priv_allocate(&w->memory, s->numbers + 1, (int64_t)sizeof *all);
    double *line = rob_priv_allocate(&w->memory, net->widest + 1, (int64_t)sizeof *line);
    if (all == NULL || line == NULL) status = ROB_EMEMORY;
    for (int32_t i = 0; status == ROB_OK && i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        for (int64_t e = 0; c->live && c->tight && e < c->size; e++)
            if (s->score[c->at + e] > 0)
                all[count++] = (candidate){ s->score[c->at + e], i, e };
    }
    if (status == ROB_OK) qsort(all, (size_t)count, sizeof *all, by_score);
    for (int64_t k = 0; k < count && k < most && status == ROB_OK; k++) {
        if (w->stop != NULL && w->stop(w->stop_user)) status = ROB_STOPPED;
        else status = hold(s, &all[k], line);
    }
    rob_priv_release(&w->memory, all);
    rob_priv_release(&w->memory, line);
    return status;
}
