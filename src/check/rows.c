/* rows.c -- rows moved back from a value to x.
 *
 *     row(x) >= sum over values A_v . v(x) + base - loss       on the region,
 *
 * values from the last to the first, A_v complete when v is reached. What a kernel
 * returned is the new coefficient; the difference to the exact one, times the magnitude
 * |v| <= V of what it multiplies, goes to loss. With u = 2^-52, twice the unit roundoff:
 *     a product of N terms on top of C        u (N + 2) (|a| |M| + |C|) V
 *     slopes and offsets of planes            u |a| (2 sum |s| V + (n + 4) |o|)
 *     a coefficient added to another          u |sum| V
 *     n terms to the constant                 u (n + 4) sum |term| + u |base|
 * and 2^-1022 for each operation, times V (Higham, Accuracy and Stability of Numerical
 * Algorithms, 2nd ed., ch. 3). A chain of m roundings of sums of terms >= 0 is made good
 * by a factor 1 + m u at the end. NaN and infinity prove nothing.
 */
#include "check/check.h"

#include <string.h>

typedef struct rows {
    rob_check_work *w;
    rob_check_net *net;
    int64_t count, padded;        /* padded: to whole tiles of a product, with zeros */
    bool handed;                  /* the block at hand is an operand's now */
} rows;

/* Coefficients (count, n) ld apart on a value, within its root's block. */
typedef struct place { double *at; int64_t ld; bool fresh; } place;

/* ---- blocks ---------------------------------------------------------------------- */

static double *take_block(rob_check_work *w)
{
    if (w->spares > 0) return w->spare[--w->spares];
    double *b = rob_priv_check_own(w->net, w->tile * w->net->widest, (int64_t)sizeof *b);
    return b;
}

static void give_back(rob_check_work *w, double *b)
{
    if (b != NULL) w->spare[w->spares++] = b;
}

static bool place_of(rows *s, int32_t value, place *p)
{
    const rob_check_value *v = &s->net->value[value];
    const int64_t size = s->net->value[v->root].size;
    double **block = &s->w->block[v->root];
    p->fresh = *block == NULL;
    if (p->fresh) {
        *block = take_block(s->w);
        if (*block == NULL) return false;
        memset(*block, 0, (size_t)(s->padded * size) * sizeof **block);
    }
    p->at = *block + (v->kind == ROB_CHECK_WINDOW ? v->first : 0);
    p->ld = size;
    return true;
}

/* ---- losses ---------------------------------------------------------------------- */

const double *rob_priv_check_big(const rob_check_net *net, int32_t value)
{
    const rob_check_value *v = &net->value[value];
    return v->kind == ROB_CHECK_WINDOW ? net->value[v->root].big + v->first : v->big;
}

/* sum |a| weight */
static double cost_of(const double *a, const double *weight, int64_t n)
{
    double sum[4] = { 0 };
    int64_t e = 0;
    for (; e + 4 <= n; e += 4)
        for (int i = 0; i < 4; i++) sum[i] += fabs(a[e + i]) * weight[e + i];
    for (; e < n; e++) sum[0] += fabs(a[e]) * weight[e];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* loss += u (factor cost + |base|) + slack, cost (rows) as it stands */
static void charge(rows *s, int64_t n, double factor, double slack)
{
    rob_check_work *w = s->w;
    for (int64_t r = 0; r < s->count; r++)
        w->loss[r] += ROB_U * (factor * w->cost[r] + fabs(w->base[r])) + slack;
    w->ops += (double)n + 16;
}

static double slack_of(const double *big, int64_t n, double each)
{
    double sum = (double)n;
    for (int64_t e = 0; e < n; e++) sum += each * big[e];
    return 16 * ROB_TINY * sum;
}

static void charge_sizes(rows *s, int64_t n, const double *a, int64_t ld,
                         const double *weight, double factor, double slack)
{
    for (int64_t r = 0; r < s->count; r++) s->w->cost[r] = cost_of(a + r * ld, weight, n);
    charge(s, n, factor, slack);
}

/* Coefficients that were added to others. */
static void charge_place(rows *s, int32_t value, const place *p, double factor)
{
    const int64_t n = s->net->value[value].size;
    const double *big = rob_priv_check_big(s->net, value);
    charge_sizes(s, n, p->at, p->ld, big, factor, slack_of(big, n, 1));
}

/* ---- ways on --------------------------------------------------------------------- */

/* sum a v >= sum a (a >= 0 ? lo : up) */
static void end_on(rows *s, int32_t value, const double *a, int64_t ld)
{
    const rob_range v = rob_priv_check_range(s->w, value, (rob_shape){ 0 });
    const int64_t n = s->net->value[value].size;
    const double *big = rob_priv_check_big(s->net, value);
    s->w->kernel->ends(s->count, n, a, ld, v.lo, v.up, big, s->w->base, s->w->cost);
    charge(s, n, (double)n + 6, slack_of(big, n, 1));
}

/* The same of minus the value. */
static bool end_on_minus(rows *s, int32_t value, const double *a, int64_t ld)
{
    const int64_t n = s->net->value[value].size;
    double *turned = take_block(s->w);
    if (turned == NULL) return false;
    for (int64_t r = 0; r < s->count; r++)
        for (int64_t e = 0; e < n; e++) turned[r * n + e] = -a[r * ld + e];
    end_on(s, value, turned, n);
    give_back(s->w, turned);
    return true;
}

static bool pass(rows *s, int32_t value, double sign, const double *a, int64_t ld)
{
    place p;
    const int64_t n = s->net->value[value].size;
    if (!s->net->value[value].live && sign < 0) return end_on_minus(s, value, a, ld);
    if (!s->net->value[value].live) {
        end_on(s, value, a, ld);
        return true;
    }
    if (!place_of(s, value, &p)) return false;
    s->w->kernel->add(s->count, n, sign, a, ld, p.at, p.ld);
    if (!p.fresh) charge_place(s, value, &p, 1);
    return true;
}

/* The whole block goes to the last operand of a sum, if that holds nothing yet. */
static bool hand_over(rows *s, int32_t value, double *a)
{
    const rob_check_value *to = &s->net->value[value];
    if (!to->live || to->root != value || s->w->block[value] != NULL) return false;
    s->w->block[value] = a;
    s->handed = true;
    return true;
}

static bool by_parts(rows *s, const rob_check_value *v, double *a)
{
    const rob_check_link *in = &s->net->link[v->link];
    for (int32_t i = 0; i < v->ins; i++) {
        double sign = v->kind == ROB_CHECK_SUM && i == 1 ? v->sign : 1;
        if (v->kind == ROB_CHECK_SUM && i == 1 && sign > 0 && hand_over(s, in[i].value, a))
            return true;
        if (!pass(s, in[i].value, sign, a, v->size)) return false;
        if (v->kind == ROB_CHECK_JOIN) a += s->net->value[in[i].value].size;
    }
    return true;
}

/* (rows of N) times op(W)' (N, K) */
static bool by_product(rows *s, const rob_check_value *v, const double *a)
{
    const rob_check_link *in = &s->net->link[v->link];
    const bool tb = v->of.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb];
    const double *weight = v->plane.weight;
    place p;
    if (!place_of(s, in[0].value, &p)) return false;
    if (!p.fresh) charge_place(s, in[0].value, &p, (double)n + 3);
    charge_sizes(s, v->size, a, v->size, weight, 1, weight[v->size]);
    for (int64_t i = 0; i < v->size / n; i++)
        s->w->kernel->product(s->padded, n, k, a + i * n, v->size, v->turned, v->pad,
                              p.at + i * k, p.ld);
    return true;
}

static bool by_pull(rows *s, const rob_check_value *v, double *a)
{
    const rob_check_link *in = &s->net->link[v->link];
    const rob_range *value = rob_priv_check_operands(s->w, v);
    const rob_rows out = { s->count, v->size, a };
    bool fine = true;
    for (int32_t i = 0; i < v->ins && fine; i++) {
        const rob_check_value *z = &s->net->value[in[i].value];
        if (!z->live && !(v->of.op->kind & ROB_OP_AFFINE)) continue;
        double *to = take_block(s->w);
        if (to == NULL) return false;
        rob_rows moved = { s->count, z->size, to };
        memset(to, 0, (size_t)(s->count * z->size) * sizeof *to);
        v->of.op->pull(&v->of, value, v->output, &out, i, &moved, s->w->base, s->w->loss);
        s->w->ops += 16 * (double)(v->size + z->size);
        fine = pass(s, in[i].value, 1, to, z->size);
        give_back(s->w, to);
    }
    return fine;
}

/* A block of its own for each operand, then to its place. */
static bool by_couple(rows *s, int32_t i, const double *a)
{
    const rob_check_value *v = &s->net->value[i];
    const rob_check_link *in = &s->net->link[v->link];
    bool fine = true;
    for (int32_t k = 0; k < v->ins && fine; k++) {
        const rob_check_value *z = &s->net->value[in[k].value];
        double *to = take_block(s->w);
        if (to == NULL) return false;
        memset(to, 0, (size_t)(s->count * z->size) * sizeof *to);
        fine = rob_priv_check_uncouple(s->w, i, s->count, a, k, to)
               && pass(s, in[k].value, 1, to, z->size);
        give_back(s->w, to);
    }
    return fine;
}

static bool by_planes(rows *s, const rob_check_value *v, const rob_check_plane *q,
                      const double *a)
{
    const rob_check_link *in = &s->net->link[v->link];
    const int64_t n = v->size;
    place p[ROB_MAX_INS];
    s->w->kernel->ends(s->count, n, a, n, q->offset[0], q->offset[1], q->weight,
                       s->w->base, s->w->cost);
    charge(s, n, 1, q->weight[n]);
    for (int32_t i = 0, k = 0; i < v->ins; i++) {
        if (!s->net->value[in[i].value].live) continue;
        if (!place_of(s, in[i].value, &p[k])) return false;
        s->w->kernel->slopes(s->count, n, a, n, q->slope[0][k], q->slope[1][k], p[k].at,
                             p[k].ld);
        if (!p[k].fresh) charge_place(s, in[i].value, &p[k], 1);
        k++;
    }
    return true;
}

static bool move(rows *s, int32_t i, double *a)
{
    rob_check_work *w = s->w;
    const rob_check_value *v = &s->net->value[i];
    const rob_check_plane *q = &v->plane;
    if (v->kind == ROB_CHECK_SUM || v->kind == ROB_CHECK_JOIN) return by_parts(s, v, a);
    if (v->kind == ROB_CHECK_PRODUCT) return by_product(s, v, a);
    if (v->kind == ROB_CHECK_AFFINE) return by_pull(s, v, a);
    if (v->kind == ROB_CHECK_CURVE && q->weight != NULL) return by_planes(s, v, q, a);
    if (v->kind == ROB_CHECK_PAIR || (v->kind == ROB_CHECK_ROW && q->weight != NULL))
        return by_couple(s, i, a);
    if (v->kind != ROB_CHECK_X) {
        end_on(s, i, a, v->size);
        return true;
    }
    rob_priv_check_collect(w->cert, v->first, v->size, s->count, a, w->base, w->loss,
                           w->measure);
    w->ops += 4 * (double)v->size + 16;
    return true;
}

/* ---- whole rows ------------------------------------------------------------------ */

static void conclude(rows *s)
{
    rob_check_work *w = s->w;
    for (int64_t r = 0; r < s->count; r++) {
        double loss = fp_mul_up(w->loss[r], fp_up(1 + w->ops * ROB_U));
        double lost = rob_priv_check_lost(w->cert, w->measure + 3 * r, w->ops);
        w->value[r] = fp_or_lo(fp_add_lo(fp_add_lo(w->base[r], -loss), -lost));
    }
    w->rows += s->count;
}

/* From `value`, whose coefficients are there, back to x; `depth` turns, then ranges. */
static bool walk(rows *s, int32_t value, int64_t depth)
{
    const rob_check_value *v = &s->net->value[value];
    const int64_t first = depth > 0 ? v->age - depth : -1;
    bool fine = true;
    for (int32_t i = v->root; i >= 0; i--) {
        double *a = s->w->block[i];
        if (a == NULL) continue;
        const rob_check_value *at = &s->net->value[i];
        if (fine && at->time >= 0 && at->time < first) end_on(s, i, a, at->size);
        else if (fine) fine = move(s, i, a);
        s->w->block[i] = NULL;
        if (!s->handed) give_back(s->w, a);
        s->handed = false;
    }
    if (fine) conclude(s);
    return fine;
}

static void begin(rows *s)
{
    rob_check_work *w = s->w;
    memset(w->base, 0, (size_t)s->count * sizeof *w->base);
    memset(w->loss, 0, (size_t)s->count * sizeof *w->loss);
    memset(w->measure, 0, (size_t)(3 * s->count) * sizeof *w->measure);
    w->ops = 64;
}

bool rob_priv_check_units(rob_check_work *w, int32_t value, const rob_check_unit *unit,
                          int64_t count, int64_t depth)
{
    rows s = { w, w->net, count, (count + 3) / 4 * 4, false };
    place p;
    begin(&s);
    if (!place_of(&s, value, &p)) return false;
    for (int64_t r = 0; r < count; r++) p.at[r * p.ld + unit[r].e] = unit[r].sign;
    return walk(&s, value, depth);
}

bool rob_priv_check_rows(rob_check_work *w, int32_t value, const double *row,
                         int64_t count, int64_t depth)
{
    rows s = { w, w->net, count, (count + 3) / 4 * 4, false };
    begin(&s);
    if (!pass(&s, value, 1, row, w->net->value[value].size)) return false;
    return walk(&s, value, depth);
}

bool rob_priv_check_row(rob_check_work *w, const double *c, double b, int64_t depth)
{
    rows s = { w, w->net, 1, 4, false };
    const int32_t output = w->net->output;
    begin(&s);
    w->base[0] = b;
    if (!pass(&s, output, 1, c, w->net->value[output].size)) return false;
    if (w->net->value[output].live) return walk(&s, output, depth);
    conclude(&s);
    return true;
}

/* ---- weights of loss ------------------------------------------------------------- */

static void weigh_product(rob_check_work *w, rob_check_value *v, double *weight)
{
    const rob_check_link *in = &w->net->link[v->link];
    const bool tb = v->of.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb];
    const double *big = rob_priv_check_big(w->net, in[0].value);
    double slack = (double)v->size;
    for (int64_t e = 0; e < v->size; e++) {
        const double *m = v->turned + e % n * v->pad, *z = big + e / n * k;
        double sum = cost_of(m, z, k) * (1 + (double)(k + 16) * ROB_U);
        weight[e] = (sum + (double)k * ROB_TINY) * (double)(n + 3);
    }
    for (int64_t i = 0; i < v->size / n * k; i++) slack += (double)n * big[i];
    weight[v->size] = 16 * ROB_TINY * slack;
}

static void weigh_planes(rob_check_work *w, rob_check_value *v, rob_check_plane *p,
                         double *weight)
{
    const rob_check_link *in = &w->net->link[v->link];
    const int64_t n = v->size;
    double slack = (double)n;
    for (int64_t e = 0; e < n; e++)
        weight[e] = (double)(n + 6) * fp_max(fabs(p->offset[0][e]), fabs(p->offset[1][e]));
    for (int32_t i = 0, k = 0; i < v->ins; i++) {
        if (!w->net->value[in[i].value].live) continue;
        const double *big = rob_priv_check_big(w->net, in[i].value);
        for (int64_t e = 0; e < n; e++) {
            double s = fp_max(fabs(p->slope[0][k][e]), fabs(p->slope[1][k][e]));
            weight[e] = (weight[e] + 2 * s * big[e]) * (1 + 4 * ROB_U);
            slack += big[e];
        }
        k++;
    }
    for (int64_t e = 0; e < n; e++) weight[e] *= 1 + 8 * ROB_U;
    weight[n] = 16 * ROB_TINY * slack;
}

bool rob_priv_check_weigh(rob_check_work *w, int32_t value, rob_check_plane *p)
{
    rob_check_value *v = &w->net->value[value];
    double *weight = rob_priv_check_own(w->net, v->size + 1, (int64_t)sizeof *weight);
    p->weight = weight;
    if (weight == NULL) return false;
    if (v->kind == ROB_CHECK_PRODUCT) weigh_product(w, v, weight);
    else weigh_planes(w, v, p, weight);
    return true;
}
