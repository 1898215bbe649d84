/* second_row.c -- rows with quadratic bounds of what the gates leave over.
 *
 * A row is moved back as in sweep.c, but an element of a curved operator may be split at its
 * centre instead of lying between planes. With lambda_k its coefficient when it is reached,
 *
 *     row(x) >= base - loss + J.d + sum over the elements split of lambda_k r_k(x),
 *     lambda r >= 1/2 z'S z - lambda middle - |lambda| slack,  S = lambda H - |lambda| diag rho
 *              >= 1/2 y'S y - sum |S_ij| (|y_i| + 1/2 rest_i) rest_j - ...,   y = J_k d, z = y + e
 *
 * so the whole is base' + J.d + 1/2 d'Q d with Q = sum_k J_k'S_k J_k, whose least value on
 * the ball is trust.c's. Every choice of elements is valid. It begins with none (CROWN's
 * row); then an element is split where at the point that made the row least its quadratic
 * lies above its plane (below it, for elements that enter with the other sign), and again.
 *
 * What is stored as Q is off by gamma_n of the sum of magnitudes: |d'(dQ)d| is at most
 * gamma_n sum_k sum_ij |S_ij| reach_i reach_j, taken off. docs/theory/orders.md 4.
 */
#include "bound/order/second.h"

#include <stdlib.h>
#include <string.h>

enum { TURNS = 4 };

/* Element e of a curved cell with coefficient l: S, the constant beside it. */
typedef struct unit {
    rob_way way[ROB_MAX_INS];
    double s[ROB_MAX_INS][ROB_MAX_INS], constant, size;
} unit;

static void measure_unit(const rob_second *s, const rob_cell *c, int64_t e, double l, unit *u)
{
    const rob_link *link = &s->w->net->link[c->link];
    const int64_t at = c->at + e;
    double fixed = fp_add_up(fp_mul_up(l, s->middle[at]), fp_mul_up(fabs(l), s->slack[at]));
    u->size = 0;
    for (int i = 0; i < c->ins; i++) u->way[i] = rob_priv_second_way(s, &link[i], e);
    for (int i = 0; i < c->ins; i++)
        for (int j = 0; j < c->ins; j++) {
            const rob_way *p = &u->way[i], *q = &u->way[j];
            double v = l * s->hess[rob_priv_second_hess(c->ins, i, j)][at], size = fabs(v);
            if (i == j) size += fabs(l) * s->rho[i][at];
            if (i == j) v -= fabs(l) * s->rho[i][at];
            u->s[i][j] = v;
            const double far = fp_mul_up(fp_up(p->reach + p->rest), fp_up(q->reach + q->rest));
            const double half = fp_up(p->reach + fp_up(0.5 * p->rest));
            fixed = fp_add_up(fixed, fp_mul_up(fp_mul_up(fabs(v), q->rest), half));
            /* v was rounded, which z of this size meets */
            fixed = fp_add_up(fixed, fp_mul_up(4 * ROB_U * size, far));
            u->size = fp_add_up(u->size,
                                fp_mul_up(fabs(v), fp_mul_up(p->reach, q->reach)));
        }
    u->constant = -fixed;
}

/* ---- which elements ------------------------------------------------------------------ */

/* How far the quadratic lies above the plane at the point; side 1: below it. */
static double gain_at(const rob_second *s, const rob_cell *c, int64_t e, int side)
{
    const double sign = side ? -1 : 1;
    const double *q = s->plane + c->plane, *p = s->others + c->plane;
    const int64_t n = c->size, offset = (2 * ROB_MAX_INS + side) * n + e;
    double z[ROB_MAX_INS], gain = q[offset] - p[offset];
    unit u;
    measure_unit(s, c, e, sign, &u);
    for (int i = 0; i < c->ins; i++) {
        z[i] = 0;
        if (u.way[i].slot < 0) continue;
        const double *j = s->j + u.way[i].slot * s->inputs;
        for (int64_t k = 0; k < s->inputs; k++) z[i] += j[k] * s->point[k];
        const int64_t slope = (2 * i + side) * n + e;
        gain += (q[slope] - p[slope]) * (u.way[i].centre + z[i]);
    }
    gain = sign * gain + u.constant;
    for (int i = 0; i < c->ins; i++)
        for (int j = 0; j < c->ins; j++) gain += 0.5 * u.s[i][j] * z[i] * z[j];
    return gain;
}

static void take_plane(rob_second *s, const rob_cell *c, int64_t e, int side, bool bends)
{
    const double *from = bends ? s->plane : s->others;
    for (int i = 0; i <= ROB_MAX_INS; i++) {
        const int64_t k = c->plane + (2 * i + side) * c->size + e;
        s->mixed[k] = from[k];
    }
    s->bent[side][c->at + e] = bends;
}

static int64_t choose_element(rob_second *s, const rob_cell *c, int64_t e)
{
    int64_t changed = 0;
    for (int side = 0; side < 2; side++) {
        const bool bends = gain_at(s, c, e, side) > 0;
        if (bends == s->bent[side][c->at + e]) continue;
        take_plane(s, c, e, side, bends);
        changed++;
    }
    return changed;
}

/* The planes of the next sweep; how many elements changed sides. */
static int64_t choose(rob_second *s)
{
    const rob_network *net = s->w->net;
    int64_t changed = 0;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || c->kind != ROB_CELL_CURVED || c->node.op->curve == NULL) continue;
        for (int64_t e = 0; e < c->size; e++) changed += choose_element(s, c, e);
    }
    return changed;
}

/* CROWN's planes, with weights of loss that serve both. */
static void begin_planes(rob_second *s)
{
    const rob_network *net = s->w->net;
    memcpy(s->mixed, s->others, (size_t)net->plane_size * sizeof *s->mixed);
    memset(s->bent[0], 0, (size_t)s->numbers);
    memset(s->bent[1], 0, (size_t)s->numbers);
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || c->kind != ROB_CELL_CURVED) continue;
        for (int64_t k = 0, at = c->plane + (2 * ROB_MAX_INS + 2) * c->size; k <= c->size; k++)
            s->mixed[at + k] = fp_max(s->plane[at + k], s->others[at + k]);
    }
}

/* ---- Q ------------------------------------------------------------------------------- */

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

/* Q of the elements split, into trust; the constant beside it, rounded down. */
static double assemble(rob_second *s)
{
    const rob_network *net = s->w->net;
    double constant = 0, size = 0;
    memset(s->t, 0, (size_t)(s->slots * s->inputs) * sizeof *s->t);
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || c->kind != ROB_CELL_CURVED) continue;
        for (int64_t e = 0; e < c->size; e++) {
            const double l = s->row[c->at + e];
            unit u;
            if (l == 0 || !s->bent[l < 0][c->at + e]) continue;
            measure_unit(s, c, e, l, &u);
            add_unit(s, c, &u);
            constant = fp_add_lo(constant, u.constant);
            size = fp_add_up(size, u.size);
        }
    }
    net->la->product(s->inputs, s->inputs, s->slots, s->t, 1, s->inputs, s->packed,
                     s->trust.q, s->inputs, 0);
    size = fp_mul_up(((double)s->slots + 64) * ROB_U, size);
    return fp_add_lo(constant, -fp_add_up(size, s->tiny * (1 + s->furthest)));
}

/* ---- one row -------------------------------------------------------------------------- */

/* Where J.d is least. */
static void linear_point(rob_second *s)
{
    const rob_ball *b = &s->w->ball;
    double norm = 0;
    for (int64_t k = 0; k < s->inputs; k++) norm += s->jrow[k] * s->jrow[k];
    for (int64_t k = 0; k < s->inputs; k++) {
        const double v = s->jrow[k];
        s->point[k] = b->norm == ROB_NORM_L2 ? (norm > 0 ? -b->eps * v / sqrt(norm) : 0)
                                             : (v > 0 ? -b->eps : b->eps);
    }
}

/* row . cell + base >= what *value grows to */
static rob_status bend_row(rob_second *s, int32_t cell, const double *row, int64_t lda,
                           const double *base, double *value)
{
    rob_work *w = s->w;
    begin_planes(s);
    for (int turn = 0; turn <= TURNS; turn++) {
        double least;
        if (turn > 0 && choose(s) == 0) break;
        rob_status status =
            rob_priv_second_sweep(s, cell, 1, row, lda, base, s->mixed, true);
        if (status != ROB_OK) return status;
        if (turn == 0) {
            linear_point(s);
            continue;
        }
        const double constant = assemble(s);
        memcpy(s->trust.g, s->jrow, (size_t)s->inputs * sizeof *s->trust.g);
        status = rob_priv_trust_least(&w->memory, &s->trust, w->ball.norm, w->ball.eps, &least);
        if (status != ROB_OK) return status;
        memcpy(s->point, s->trust.y, (size_t)s->inputs * sizeof *s->point);
        double v = fp_add_lo(w->base[0], -w->loss[0]);
        v = fp_add_lo(fp_add_lo(v, constant), least);
        if (v > *value) *value = v;
    }
    return ROB_OK;
}

/* Scores: |coefficient| times width of the numbers that ranges are swept for. */
static void score_row(rob_second *s)
{
    const rob_network *net = s->w->net;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        for (int64_t e = c->at; c->live && c->tight && e < c->at + c->size; e++)
            s->score[e] += fabs(s->row[e]) * (s->w->up[e] - s->w->lo[e]);
    }
}

rob_status rob_priv_second_rows(rob_second *s, const rob_demand *d, rob_proof *row)
{
    rob_status status = ROB_OK;
    memset(s->score, 0, (size_t)s->numbers * sizeof *s->score);
    for (int64_t r = 0; s->usable && r < d->rows && status == ROB_OK; r++) {
        status = bend_row(s, s->w->net->output, d->c + r * d->outputs, d->outputs, d->b + r,
                          &row[r].value);
        if (status == ROB_OK) score_row(s);
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

/* Both ends of one number, by rows of its own. */
static rob_status hold(rob_second *s, const candidate *k, double *line)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[k->cell];
    memset(line, 0, (size_t)c->size * sizeof *line);
    for (int side = 0; side < 2; side++) {
        double *end = side ? &w->held_up[c->at + k->e] : &w->held_lo[c->at + k->e];
        double value = -INFINITY;
        line[k->e] = side ? -1 : 1;
        rob_status status = bend_row(s, k->cell, line, c->size, NULL, &value);
        if (status != ROB_OK) return status;
        *end = side ? fp_min(*end, -value) : fp_max(*end, value);
    }
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
