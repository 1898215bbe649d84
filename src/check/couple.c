/* couple.c -- rows through operators that couple numbers.
 *
 * ROW, planes slope_k s_k - left_k <right, s> + offset_k below and above p_k. Coefficients L
 * go to  L_j slope_j - sum over both sides of right_j sum_e L_e left_e.  Softmax adds to one,
 * so L may be replaced by L - c, at the price c: c is near the median of L weighted by the
 * planes' gaps, which makes sum |L - c| gap least, by steps of Weiszfeld's: continuous, so that
 * rounding moves it by nothing that matters.
 *
 * PAIR, Y = op(A) op(B) with A, B in [A_l, A_u], [B_l, B_u], by McCormick's corners
 *     a b >= b_l a + a_l b - a_l b_l,    a b <= b_u a + a_l b - a_l b_u
 * summed over the inner index: L+ B_l' + L- B_u' on A, L' A_l on B.
 *
 * A coefficient that is a chain of N terms errs by u (N + 2) times their sizes; that, times
 * the largest |value|, is the weight of |L_e|. McCormick, Math. Programming 10 (1976);
 * Weiszfeld, Tohoku Math. J. 43 (1937).
 */
#include "check/check.h"

#include <string.h>

enum { MEDIAN_STEPS = 4 };

/* ---- rows ------------------------------------------------------------------------ */

/* Groups of `per` numbers from `from`. */
typedef struct sheet { int64_t n, m, groups, per, from; } sheet;

static sheet sheet_of(const rob_check_net *net, const rob_check_value *v)
{
    rob_shape in = net->link[v->link].shape;
    sheet s = { .n = v->size, .m = rob_priv_shape_size(&in), .from = rob_priv_shape_cols(&in) };
    s.groups = s.m / s.from;
    s.per = s.n / s.groups;
    return s;
}

/* Half of what the planes are apart in the middle of the box, nearly. */
static void measure_gaps(const sheet *s, const rob_check_plane *p, const rob_range *z,
                         double *gap)
{
    for (int64_t g = 0; g < s->groups; g++) {
        double sum[2] = { 0, 0 };
        for (int side = 0; side < 2; side++)
            for (int64_t j = g * s->from; j < (g + 1) * s->from; j++)
                sum[side] += p->right[side][j] * (0.5 * z->lo[j] + 0.5 * z->up[j]);
        for (int64_t e = g * s->per; e < (g + 1) * s->per; e++) {
            double at[2], own = s->per == s->from ? 0.5 * z->lo[e] + 0.5 * z->up[e] : 0;
            for (int side = 0; side < 2; side++)
                at[side] = p->slope[side][0][e] * own - p->left[side][e] * sum[side]
                           + p->offset[side][e];
            gap[e] = fp_max(at[1] - at[0], 0) + 1e-12;
        }
    }
}

static void weigh_row(const sheet *s, const rob_check_plane *p, const double *big,
                      double *weight)
{
    double slack = (double)s->n;
    for (int64_t g = 0; g < s->groups; g++) {
        double sum[2] = { 0, 0 };
        for (int64_t j = g * s->from; j < (g + 1) * s->from; j++) {
            slack += (double)(s->per + 2) * big[j];
            for (int side = 0; side < 2; side++) sum[side] += fabs(p->right[side][j]) * big[j];
        }
        for (int64_t e = g * s->per; e < (g + 1) * s->per; e++) {
            double most = 0;
            for (int side = 0; side < 2; side++) {
                double own = s->per == s->from ? fabs(p->slope[side][0][e]) * big[e] : 0;
                most = fp_max(most, 4 * own
                              + (double)(s->from + s->per + 8) * fabs(p->left[side][e]) * sum[side]
                              + (double)(s->n + 6) * fabs(p->offset[side][e]) + 2);
            }
            weight[e] = most * (1 + (double)(s->from + 16) * ROB_U);
        }
    }
    weight[s->n] = 16 * ROB_TINY * slack;
}

static bool couple_row(rob_check_work *w, int32_t value)
{
    rob_check_value *v = &w->net->value[value];
    const sheet s = sheet_of(w->net, v);
    double *room = rob_priv_check_own(w->net, 2 * s.n + 1, (int64_t)sizeof *room);
    if (room == NULL) return false;
    v->plane.weight = room;
    v->plane.gap = room + s.n + 1;
    measure_gaps(&s, &v->plane, rob_priv_check_operands(w, v), room + s.n + 1);
    weigh_row(&s, &v->plane, rob_priv_check_big(w->net, w->net->link[v->link].value), room);
    return true;
}

/* About the median of l, weighted. */
static double median_of(const double *l, const double *gap, int64_t n)
{
    double c = 0, spread = 0, total = 0;
    for (int64_t e = 0; e < n; e++) c += gap[e] * l[e], total += gap[e];
    c /= total;
    for (int64_t e = 0; e < n; e++) spread += gap[e] * fabs(l[e] - c);
    spread = 0.05 * spread / total + 1e-300;
    for (int step = 0; step < MEDIAN_STEPS; step++) {
        double sum = 0, share = 0;
        for (int64_t e = 0; e < n; e++) {
            double k = gap[e] / (fabs(l[e] - c) + spread);
            sum += k * l[e];
            share += k;
        }
        c = sum / share;
    }
    return isfinite(c) ? c : 0;
}

static bool is_zero(const double *l, int64_t n)
{
    for (int64_t e = 0; e < n; e++)
        if (l[e] != 0) return false;
    return true;
}

/* L (per), shifted in place, to the operand's numbers; the shift. */
static double move_group(const sheet *s, const rob_check_plane *p, int64_t g, bool shifts,
                         double *l, double *to)
{
    const int64_t first = g * s->per, from = g * s->from;
    double sum[2] = { 0, 0 }, c = 0;
    if (is_zero(l, s->per)) return 0;
    if (shifts) c = median_of(l, p->gap + first, s->per);
    for (int64_t e = 0; e < s->per; e++) {
        l[e] -= c;
        sum[l[e] < 0] += l[e] * p->left[l[e] < 0][first + e];
    }
    for (int64_t j = 0; j < s->from; j++) {
        double own = s->per == s->from ? l[j] * p->slope[l[j] < 0][0][from + j] : 0;
        to[j] = own - p->right[0][from + j] * sum[0] - p->right[1][from + j] * sum[1];
    }
    return c;
}

static void move_rows(rob_check_work *w, int32_t value, int64_t count, const double *a,
                      double *to)
{
    const rob_check_value *v = &w->net->value[value];
    const rob_check_plane *p = &v->plane;
    const sheet s = sheet_of(w->net, v);
    double *l = w->fresh, cost;
    for (int64_t r = 0; r < count; r++) {
        double total = 0, size = 0;
        memcpy(l, a + r * s.n, (size_t)s.n * sizeof *l);
        for (int64_t g = 0; g < s.groups; g++) {
            double c = move_group(&s, p, g, v->of.op->id == ROB_OP_softmax, l + g * s.per,
                                  to + r * s.m + g * s.from);
            total += c;
            size += fabs(c);
        }
        w->base[r] += total;
        w->loss[r] += ROB_U * ((double)(s.groups + 4) * size + 2 * fabs(w->base[r]));
        w->kernel->ends(1, s.n, l, s.n, p->offset[0], p->offset[1], p->weight, w->base + r,
                        &cost);
        w->loss[r] += ROB_U * (cost + 2 * fabs(w->base[r])) + p->weight[s.n];
    }
}

/* ---- pairs ----------------------------------------------------------------------- */

/* Products (M,K) (K,N), `batch` of them. */
typedef struct pair {
    int64_t batch, m, n, k, pad;
    bool turned[2];               /* operands stored the other way round: (K,M), (K,N) */
} pair;

static pair pair_of(const rob_check_net *net, const rob_check_value *v)
{
    const rob_shape *s = &v->of.shape, *a = &net->link[v->link].shape;
    const int32_t r = s->rank;
    const bool ta = v->of.attr.i[0] != 0, tb = v->of.attr.i[1] != 0;
    pair p = { .batch = 1, .m = s->dim[r - 2], .n = s->dim[r - 1],
               .k = a->dim[ta ? r - 2 : r - 1], .turned = { ta, !tb } };
    for (int32_t i = 0; i < r - 2; i++) p.batch *= s->dim[i];
    p.pad = (p.k + ROB_CHECK_PAD - 1) / ROB_CHECK_PAD * ROB_CHECK_PAD;
    return p;
}

static int64_t rows_of(const pair *p, int operand) { return operand == 0 ? p->m : p->n; }

/* number (row, inner) of an operand in its own order */
static int64_t number_of(const pair *p, int operand, int64_t row, int64_t inner)
{
    const int64_t rows = rows_of(p, operand), batch = row / rows, own = row % rows;
    return batch * rows * p->k + (p->turned[operand] ? inner * rows + own : own * p->k + inner);
}

static double *packed(rob_check_work *w, const pair *p, int operand, const double *v)
{
    const int64_t rows = p->batch * rows_of(p, operand);
    double *to = rob_priv_check_own(w->net, rows * p->pad, (int64_t)sizeof *to);
    for (int64_t i = 0; to != NULL && i < rows; i++)
        for (int64_t k = 0; k < p->k; k++) to[i * p->pad + k] = v[number_of(p, operand, i, k)];
    return to;
}

/* Offsets and weight of element (i, j), rows of both operands; sums of K products err by
 * gamma_{K+1} times their sizes. */
static void couple_element(const rob_check_work *w, const rob_check_value *v, const pair *p,
                           int64_t e)
{
    const rob_check_link *in = &w->net->link[v->link];
    const double *big[2] = { rob_priv_check_big(w->net, in[0].value),
                             rob_priv_check_big(w->net, in[1].value) };
    const int64_t i = e / p->n, j = i / p->m * p->n + e % p->n;
    const double *a = v->plane.low[0] + i * p->pad, *l = v->plane.low[1] + j * p->pad,
                 *u = v->plane.high + j * p->pad;
    double low = 0, high = 0, most = 0;
    for (int64_t k = 0; k < p->k; k++) {
        low += a[k] * l[k];
        high += a[k] * u[k];
        most += big[0][number_of(p, 0, i, k)] * big[1][number_of(p, 1, j, k)];
    }
    double off = (double)(p->k + 8) * ROB_U * most + 8 * (double)(p->k + 1) * ROB_TINY;
    double *offset[2] = { (double *)v->plane.offset[0], (double *)v->plane.offset[1] };
    offset[0][e] = fp_add_lo(-low, -fp_up(off));
    offset[1][e] = fp_add_up(-high, fp_up(off));
    v->plane.weight[e] = ((double)(2 * (p->m + p->n) + 16) * most
                          + (double)(v->size + 8) * fp_max(fabs(offset[0][e]), fabs(offset[1][e])))
                         * (1 + (double)(p->k + 16) * ROB_U);
}

static bool couple_pair(rob_check_work *w, int32_t value)
{
    rob_check_value *v = &w->net->value[value];
    const rob_check_link *in = &w->net->link[v->link];
    const pair p = pair_of(w->net, v);
    const rob_range *z = rob_priv_check_operands(w, v);
    double *room = rob_priv_check_own(w->net, 3 * v->size + 1, (int64_t)sizeof *room);
    v->plane.low[0] = packed(w, &p, 0, z[0].lo);
    v->plane.low[1] = packed(w, &p, 1, z[1].lo);
    v->plane.high = packed(w, &p, 1, z[1].up);
    v->plane.weight = room;
    if (!room || !v->plane.low[0] || !v->plane.low[1] || !v->plane.high) return false;
    v->plane.offset[0] = room + v->size + 1;
    v->plane.offset[1] = room + 2 * v->size + 1;
    for (int64_t e = 0; e < v->size; e++) couple_element(w, v, &p, e);
    double slack = (double)v->size;
    for (int i = 0; i < 2; i++) {
        const double *big = rob_priv_check_big(w->net, in[i].value);
        for (int64_t e = 0; e < w->net->value[in[i].value].size; e++)
            slack += 2 * (double)(p.m + p.n) * big[e];
    }
    room[v->size] = 16 * ROB_TINY * slack;
    return true;
}

/* One batch of one row L (M,N): to += part of L, positive or negative or all, turned for
 * operand 1, times packed numbers; rows of `part` are padded to fours. */
static void add_part(const rob_check_work *w, const pair *p, int operand, double sign,
                     const double *l, const double *packed, double *part, double *to)
{
    const int64_t rows = rows_of(p, operand), inner = rows_of(p, 1 - operand);
    const int64_t padded = (rows + 3) / 4 * 4;
    memset(part, 0, (size_t)(padded * inner) * sizeof *part);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < inner; j++) {
            double v = operand == 0 ? l[i * p->n + j] : l[j * p->n + i];
            part[i * inner + j] = sign == 0 || sign * v > 0 || isnan(v) ? v : 0;
        }
    w->kernel->product(padded, inner, p->k, part, inner, packed, p->pad, to, p->k);
}

static bool move_pairs(rob_check_work *w, int32_t value, int64_t count, const double *a,
                       int32_t operand, double *to)
{
    const rob_check_value *v = &w->net->value[value];
    const rob_check_plane *q = &v->plane;
    const pair p = pair_of(w->net, v);
    const int64_t rows = rows_of(&p, operand), inner = rows_of(&p, 1 - operand);
    const int64_t padded = (rows + 3) / 4 * 4, piece = rows * p.k, at = inner * p.pad;
    double *part = rob_priv_allocate(&w->ctx->memory, padded * (inner + p.k),
                                     (int64_t)sizeof *part);
    if (part == NULL) return false;
    double *sum = part + padded * inner;
    for (int64_t r = 0; r < count * p.batch; r++) {
        const double *l = a + r * p.m * p.n;
        const int64_t b = r % p.batch;
        if (is_zero(l, p.m * p.n)) continue;
        memset(sum, 0, (size_t)(padded * p.k) * sizeof *sum);
        if (operand == 0) {
            add_part(w, &p, 0, 1, l, q->low[1] + b * at, part, sum);
            add_part(w, &p, 0, -1, l, q->high + b * at, part, sum);
        } else {
            add_part(w, &p, 1, 0, l, q->low[0] + b * at, part, sum);
        }
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < p.k; k++)
                to[r * piece + number_of(&p, operand, i, k)] = sum[i * p.k + k];
    }
    rob_priv_release(&w->ctx->memory, part);
    if (operand == 1) return true;
    w->kernel->ends(count, v->size, a, v->size, q->offset[0], q->offset[1], q->weight, w->base,
                    w->cost);
    for (int64_t r = 0; r < count; r++)
        w->loss[r] += ROB_U * (w->cost[r] + fabs(w->base[r])) + q->weight[v->size];
    return true;
}

/* ---- both ------------------------------------------------------------------------ */

bool rob_priv_check_couple(rob_check_work *w, int32_t value)
{
    if (w->net->value[value].kind == ROB_CHECK_ROW) return couple_row(w, value);
    return couple_pair(w, value);
}

bool rob_priv_check_uncouple(rob_check_work *w, int32_t value, int64_t count,
                             const double *a, int32_t i, double *to)
{
    w->ops += 16 * (double)w->net->value[value].size + 64;
    if (w->net->value[value].kind == ROB_CHECK_PAIR)
        return move_pairs(w, value, count, a, i, to);
    move_rows(w, value, count, a, to);
    return true;
}
