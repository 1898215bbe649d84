/* second_range.c -- quadratic bounds of every number that gates read, all at once.
 *
 * Number i as second.c has it, r_k >= and <= by the quadratic of its element: with P_ik the
 * coefficients, KH_k = J_k'H_k J_k, KR_k = J_k' diag rho_k J_k, both d(d+1)/2 numbers,
 *
 *     z_i >= base - loss + J.d + 1/2 d'(sum P KH - sum |P| KR)d - sum P middle - sum |P| w
 *    -z_i >= ...          with P, base and J turned,
 *
 * w = slack + sum |S_ij| (reach + rest/2) rest; elements without a quadratic have KH = KR = 0 and
 * w their radius. So Q of all numbers of a cell are two products of matrices, (numbers, elements)
 * by (elements, d(d+1)/2), and each is then minimised over the ball (trust.c). A number is left
 * alone when its quadratic is, at the point where J.d is least, no better than what is known.
 * What is stored as Q is off by gamma_n sum |P| (|H| + rho) reach reach, which w pays.
 * docs/theory/orders.md 4.
 */
#include "bound/order/second.h"

#include <string.h>

/* kh += h (p q' + q p')/2, kr += rho p q', lower triangles row by row */
static void add_outer(int64_t d, double h, double rho, const double *p, const double *q,
                      double *kh, double *kr)
{
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b <= a; b++) {
            *kh++ += 0.5 * h * (p[a] * q[b] + p[b] * q[a]);
            *kr++ += rho * p[a] * q[b];
        }
}

/* w, and the two matrices, of one element. */
static void keep_unit(rob_second *s, const rob_cell *c, int64_t e, int64_t u)
{
    const rob_link *link = &s->w->net->link[c->link];
    const int64_t at = c->at + e, d = s->inputs;
    double *kh = s->kh + u * s->pairs, *kr = s->kr + u * s->pairs;
    double fixed = s->slack[at], size = 0;
    rob_way way[ROB_MAX_INS];
    memset(kh, 0, (size_t)s->pairs * sizeof *kh);
    memset(kr, 0, (size_t)s->pairs * sizeof *kr);
    s->cost[u] = s->radius[at];
    s->turn[u] = 0;
    if (!isfinite(s->slack[at])) return;
    for (int i = 0; i < c->ins; i++) way[i] = rob_priv_second_way(s, &link[i], e);
    for (int i = 0; i < c->ins; i++)
        for (int j = 0; j < c->ins; j++) {
            const double h = s->hess[rob_priv_second_hess(c->ins, i, j)][at];
            const double rho = i == j ? s->rho[i][at] : 0, both = fp_up(fabs(h) + rho);
            const double half = fp_up(way[i].reach + fp_up(0.5 * way[i].rest));
            fixed = fp_add_up(fixed, fp_mul_up(fp_mul_up(both, way[j].rest), half));
            size = fp_add_up(size, fp_mul_up(both, fp_mul_up(way[i].reach, way[j].reach)));
            if (way[i].slot < 0 || way[j].slot < 0 || both == 0) continue;
            add_outer(d, h, rho, s->j + way[i].slot * d, s->j + way[j].slot * d, kh, kr);
        }
    const double chain = 2 * (double)s->units + 128;
    s->cost[u] = fp_up(fp_add_up(fixed, fp_mul_up(chain * ROB_U, size)) + s->tiny * (1 + s->furthest));
    s->turn[u] = s->middle[at];
}

void rob_priv_second_units(rob_second *s, int32_t cell)
{
    const rob_cell *c = &s->w->net->cell[cell];
    for (int64_t e = 0; s->batch && e < c->size; e++) keep_unit(s, c, e, s->unit[cell] + e);
    s->units_done = s->unit[cell] + c->size;
}

/* ---- one number ----------------------------------------------------------------------- */

/* Q = sign X - Y, g = sign J */
static void set_form(rob_second *s, int64_t k, double sign)
{
    const int64_t d = s->inputs;
    const double *x = s->x + k * s->pairs, *y = s->y + k * s->pairs;
    for (int64_t a = 0, i = 0; a < d; a++) {
        s->trust.g[a] = sign * s->jrow[k * d + a];
        for (int64_t b = 0; b <= a; b++, i++)
            s->trust.q[a * d + b] = s->trust.q[b * d + a] = sign * x[i] - y[i];
    }
}

/* g.d + 1/2 d'Q d where g.d is least: no lower bound exceeds it */
static double at_linear_point(rob_second *s)
{
    const rob_ball *b = &s->w->ball;
    const int64_t d = s->inputs;
    const double *g = s->trust.g;
    double norm = 0, value = 0;
    for (int64_t k = 0; k < d; k++) norm += g[k] * g[k];
    norm = sqrt(norm);
    for (int64_t k = 0; k < d; k++)
        s->point[k] = b->norm == ROB_NORM_L2 ? (norm > 0 ? -b->eps * g[k] / norm : 0)
                                             : (g[k] > 0 ? -b->eps : b->eps);
    for (int64_t a = 0; a < d; a++) {
        double sum = 0;
        for (int64_t k = 0; k < d; k++) sum += s->trust.q[a * d + k] * s->point[k];
        value += (g[a] + 0.5 * sum) * s->point[a];
    }
    return value;
}

/* *known grows to a lower bound of sign times row k. */
static rob_status bound_number(rob_second *s, int64_t k, double sign, double turned,
                               double cost, double *known)
{
    rob_work *w = s->w;
    double least, v = fp_add_lo(fp_mul_lo(sign, w->base[k]), -w->loss[k]);
    v = fp_add_lo(fp_add_lo(v, -sign * turned), -cost);
    set_form(s, k, sign);
    if (!(v + at_linear_point(s) > *known)) return ROB_OK;
    rob_status status =
        rob_priv_trust_least(&w->memory, &s->trust, w->ball.norm, w->ball.eps, &least);
    v = fp_or_lo(fp_add_lo(v, least));
    if (status == ROB_OK && v > *known) *known = v;
    return status;
}

/* sum P middle and sum |P| w, what rounding may have cost in the second */
static void sum_row(const rob_second *s, const double *p, double *turned, double *cost)
{
    double size = 0, sum = 0;
    *turned = 0;
    for (int64_t u = 0; u < s->units_done; u++) {
        *turned += p[u] * s->turn[u];
        size += fabs(p[u] * s->turn[u]);
        sum += fabs(p[u]) * s->cost[u];
    }
    const double n = (double)s->units_done + 16;
    *cost = fp_up(sum * (1 + n * ROB_U) + n * ROB_U * size + 4 * n * ROB_TINY);
}

/* Rows that were just swept: numbers [first, first + count) of a cell. */
rob_status rob_priv_second_tighten(rob_second *s, int32_t cell, int64_t first, int64_t count)
{
    rob_work *w = s->w;
    const rob_la *la = w->net->la;
    const rob_cell *c = &w->net->cell[cell];
    const int64_t u = s->units_done;
    rob_status status = ROB_OK;
    if (!s->batch || u == 0 || !c->tight) return ROB_OK;
    la->product(count, s->pairs, u, s->coefficient, s->units, 1, s->kh_packed, s->x, s->pairs,
                0);
    for (int64_t i = 0; i < count * s->units; i++)
        s->magnitude[i] = fabs(s->coefficient[i]);
    la->product(count, s->pairs, u, s->magnitude, s->units, 1, s->kr_packed, s->y, s->pairs, 0);
    for (int64_t k = 0; k < count && status == ROB_OK; k++) {
        double turned, cost, *lo = &w->lo[c->at + first + k], *up = &w->up[c->at + first + k];
        double high = -*up;
        if (!(*up > *lo)) continue;
        sum_row(s, s->coefficient + k * s->units, &turned, &cost);
        status = bound_number(s, k, 1, turned, cost, lo);
        if (status == ROB_OK) status = bound_number(s, k, -1, turned, cost, &high);
        *up = fp_min(-high, *up);
    }
    return status;
}

void rob_priv_second_pack(rob_second *s)
{
    const rob_la *la = s->w->net->la;
    if (!s->batch || s->units_packed == s->units_done) return;
    la->pack(s->units_done, s->pairs, s->kh, s->pairs, 1, s->kh_packed);
    la->pack(s->units_done, s->pairs, s->kr, s->pairs, 1, s->kr_packed);
    s->units_packed = s->units_done;
}
