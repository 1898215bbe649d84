/* half.c -- affine functions on a ball cut by half-spaces.
 *
 * With d = x - x0 and half-spaces a_j.d <= h_j, for every beta >= 0
 *
 *     min {k.d : d in the ball, a_j.d <= h_j all j}
 *         >= min {(k + sum_j beta_j a_j).d : d in the ball} - sum_j beta_j h_j,       (1)
 *
 * with equality at the best beta (the ball is convex, and d = 0 or a point near it is
 * inside): for one half-space and the Euclidean ball that is the closed form
 *
 *     tau a'.k - sqrt(eps^2 - tau^2) |k - (a'.k) a'|,   a' = a/|a|, tau = h/|a|,
 *
 * where -eps k/|k| is cut off. The ball stays what it is, a half of it is not put into a
 * ball of its own. beta is searched for one half-space after the other: the right side
 * of (1) is concave, its derivative a_j.d* - h_j with d* the minimiser. Whatever the
 * search says, (1) is then computed with the beta stored: the new coefficients are those
 * that came out, |fl(k + sum beta a) - (k + sum beta a)| at most u times the sum of the
 * magnitudes on the way, and that times max |d| is paid. docs/theory/bound.md 10.
 *
 * Reference: Wang et al., Beta-CROWN, NeurIPS 2021; Boyd and Vandenberghe, Convex
 * Optimization, 5.2.
 */
#include "bound/branch/half.h"

#include <string.h>

static bool get(const rob_work *w, double **p, int64_t count)
{
    *p = rob_priv_allocate(&w->memory, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

void rob_priv_half_close(rob_halves *c)
{
    if (c == NULL) return;
    rob_memory m = c->w->memory;
    void *const all[] = {c->a, c->h, c->beta, c->row, c->lo, c->up, c->far, c->sum, c->at,
                         c->other, c->total, c->at2, c->measure, c->kink,
                         c->mixed, c->value, c->base, c->loss, c->which};
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&m, all[i]);
    rob_priv_release(&m, c);
}

rob_status rob_priv_half_open(rob_work *w, rob_halves **out)
{
    *out = NULL;
    rob_halves *c = rob_priv_allocate(&w->memory, 1, (int64_t)sizeof *c);
    if (c == NULL) return ROB_EMEMORY;
    c->w = w;
    const int64_t n = c->n = w->net->steps * w->net->features;
    bool fine = get(w, &c->a, ROB_HALVES_MOST * n) && get(w, &c->h, ROB_HALVES_MOST)
                && get(w, &c->beta, ROB_HALVES_MOST) && get(w, &c->row, w->tile * n)
                && get(w, &c->lo, n) && get(w, &c->up, n) && get(w, &c->far, n)
                && get(w, &c->sum, n) && get(w, &c->at, n) && get(w, &c->other, n)
                && get(w, &c->total, n) && get(w, &c->at2, n) && get(w, &c->mixed, w->tile * n)
                && get(w, &c->value, w->tile) && get(w, &c->base, w->tile) && get(w, &c->loss, w->tile);
    c->kink = rob_priv_allocate(&w->memory, n + 1, (int64_t)sizeof *c->kink);
    c->which = rob_priv_allocate(&w->memory, w->tile + 1, (int64_t)sizeof *c->which);
    fine = fine && c->kink != NULL && c->which != NULL;
    if (fine) *out = c;
    else rob_priv_half_close(c);
    return fine ? ROB_OK : ROB_EMEMORY;
}

rob_status rob_priv_half_begin(rob_halves *c)
{
    const rob_ball *b = &c->w->ball;
    const int64_t width = rob_priv_ball_width(b);
    c->count = 0;
    c->reach = 0;
    if (width > c->width) {
        rob_priv_release(&c->w->memory, c->measure);
        c->width = 0;
        if (!get(c->w, &c->measure, c->w->tile * width)) return ROB_EMEMORY;
        c->width = width;
    }
    rob_priv_ball_range(b, 0, c->n, c->lo, c->up);
    for (int64_t e = 0; e < c->n; e++) {
        double down = fp_add_up(b->x[e], -c->lo[e]), rise = fp_add_up(c->up[e], -b->x[e]);
        c->far[e] = fp_max(down, rise);
        c->reach = fp_add_up(c->reach, c->far[e]);
        c->lo[e] -= b->x[e];
        c->up[e] -= b->x[e];
    }
    return ROB_OK;
}

void rob_priv_half_add(rob_halves *c, const double *a, double h)
{
    const size_t bytes = (size_t)c->n * sizeof *a;
    if (c->count == ROB_HALVES_MOST) {
        const size_t rest = ROB_HALVES_MOST - 2;
        memmove(c->a + c->n, c->a + 2 * c->n, rest * bytes);
        memmove(c->h + 1, c->h + 2, rest * sizeof *c->h);
        c->count--;
    }
    memcpy(c->a + c->count * c->n, a, bytes);
    c->h[c->count++] = h;
}

/* ---- multipliers, about ---------------------------------------------------------- */

static double dot(int64_t n, const double *a, const double *b)
{
    double sum[4] = {0};
    int64_t e = 0;
    for (; e + 4 <= n; e += 4)
        for (int k = 0; k < 4; k++) sum[k] += a[e + k] * b[e + k];
    for (; e < n; e++) sum[0] += a[e] * b[e];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* d about where g.d is least on the ball */
static void go_least(const rob_halves *c, const double *g, double *d)
{
    const int32_t norm = c->w->ball.norm;
    const double eps = c->w->ball.eps;
    double size = 0;
    int64_t most = -1;
    for (int64_t e = 0; norm != ROB_NORM_LINF && e < c->n; e++) {
        if (c->lo[e] == c->up[e]) continue;
        size += g[e] * g[e];
        if (most < 0 || fabs(g[e]) > fabs(g[most])) most = e;
    }
    const double scale = size > 0 ? eps / sqrt(size) : 0;
    for (int64_t e = 0; e < c->n; e++) {
        double to = g[e] > 0 ? c->lo[e] : c->up[e];
        if (norm == ROB_NORM_L2) to = -scale * g[e];
        if (norm == ROB_NORM_L1 && e != most) to = 0;
        d[e] = to < c->lo[e] ? c->lo[e] : to > c->up[e] ? c->up[e] : to;
    }
}

/* One half-space: g + beta a. */
typedef struct line { rob_halves *c; const double *g, *a; double h; } line;

/* d at beta; the bound's derivative there. */
static double slope_at(const line *l, double beta, double *d)
{
    double *sum = l->c->sum;
    for (int64_t e = 0; e < l->c->n; e++) sum[e] = l->g[e] + beta * l->a[e];
    go_least(l->c, sum, d);
    return dot(l->c->n, l->a, d) - l->h;
}

/* d <- (1 - s) d + s other, where the wall is */
static void meet(const line *l, double *d, double before, const double *other, double after)
{
    double s = before / (before - after);
    for (int64_t e = 0; s > 0 && s < 1 && e < l->c->n; e++)
        d[e] += s * (other[e] - d[e]);
}

/* By bisection, from a bracket that starts at 0; 0 is known to be too little. */
static double bisect(const line *l, double *d, double before)
{
    rob_halves *c = l->c;
    const size_t bytes = (size_t)c->n * sizeof *d;
    double low = 0, after = 0;
    double high = sqrt(dot(c->n, l->g, l->g) / (dot(c->n, l->a, l->a) + ROB_TINY));
    if (!(high > 0) || !isfinite(high)) high = 1;
    bool closed = false;
    for (int t = 0; t < 40 && !(closed && high - low < 1e-4 * high); t++) {
        double at = closed ? 0.5 * (low + high) : high;
        double slope = slope_at(l, at, c->other);
        if (slope > 0) {
            low = at, before = slope;
            memcpy(d, c->other, bytes);
            if (!closed) high *= 4;
        } else {
            high = at, after = slope, closed = true;
            memcpy(c->at, c->other, bytes);
        }
    }
    if (closed) meet(l, d, before, c->at, after);
    return closed ? high : low;
}

/* Moves the kinks with the least beta to the front until their drops reach `wanted`;
 * returns the beta of the last of them, its number in *last, what is left in *rest. */
static double select_kink(rob_kink *k, int64_t count, double wanted, int64_t *used,
                          double *rest)
{
    int64_t from = 0, to = count;
    while (to - from > 1) {
        double p = k[from + (to - from) / 2].beta, sum = 0;
        int64_t i = from, less = from, equal;
        for (; i < to; i++)
            if (k[i].beta < p) {
                rob_kink t = k[i];
                k[i] = k[less], k[less++] = t, sum += t.drop;
            }
        if (sum >= wanted) {
            to = less;
            continue;
        }
        for (i = equal = less; i < to; i++)
            if (k[i].beta == p) {
                rob_kink t = k[i];
                k[i] = k[equal], k[equal++] = t;
            }
        wanted -= sum;
        from = less;
        while (from < equal && k[from].drop < wanted) wanted -= k[from++].drop;
        if (from < equal || from == to) {
            to = from + 1;
            break;
        }
    }
    *used = from;
    *rest = wanted;
    return k[from < count ? from : count - 1].beta;
}

/* A box: numbers change ends one after the other as beta grows. */
static double walk_box(const line *l, double *d, double before)
{
    rob_halves *c = l->c;
    int64_t count = 0, used;
    double total = 0, rest, far = 0;
    for (int64_t e = 0; e < c->n; e++) {
        double g = l->g[e], a = l->a[e], drop = fabs(a) * (c->up[e] - c->lo[e]);
        bool turns = g > 0 ? a < 0 : a > 0;
        if (!turns || !(drop > 0)) continue;
        c->kink[count] = (rob_kink){fabs(g / a), drop, e};
        far = fmax(far, c->kink[count++].beta);
        total += drop;
    }
    if (total < before) {
        for (int64_t k = 0; k < count; k++) {
            int64_t e = c->kink[k].e;
            d[e] = l->a[e] > 0 ? c->lo[e] : c->up[e];
        }
        return 1e3 * (far + 1);
    }
    double beta = select_kink(c->kink, count, before, &used, &rest);
    for (int64_t k = 0; k < used; k++) {
        int64_t e = c->kink[k].e;
        d[e] = l->a[e] > 0 ? c->lo[e] : c->up[e];
    }
    if (used < count) {
        const rob_kink *k = &c->kink[used];
        double end = l->a[k->e] > 0 ? c->lo[k->e] : c->up[k->e];
        d[k->e] += fmin(rest / k->drop, 1) * (end - d[k->e]);
    }
    return beta;
}

/* Half-space j, d being where total.d is least: its best beta, d moved. */
static void search(rob_halves *c, int64_t j, double *d)
{
    const int64_t n = c->n;
    const double *a = c->a + j * n, old = c->beta[j];
    const line l = {c, c->total, a, c->h[j]};
    if (old != 0) {
        for (int64_t e = 0; e < n; e++) c->total[e] -= old * a[e];
        go_least(c, c->total, d);
    }
    double slope = dot(n, a, d) - c->h[j];
    c->beta[j] = 0;
    if (!(slope > 0)) return;
    double beta = c->w->ball.norm == ROB_NORM_LINF ? walk_box(&l, d, slope)
                                                   : bisect(&l, d, slope);
    for (int64_t e = 0; e < n; e++) c->total[e] += beta * a[e];
    c->beta[j] = beta;
}

double rob_priv_half_least(rob_halves *c, const double *g, double *d)
{
    const int64_t n = c->n;
    int64_t used = 0;
    memcpy(c->total, g, (size_t)n * sizeof *g);
    memset(c->beta, 0, ROB_HALVES_MOST * sizeof *c->beta);
    go_least(c, c->total, d);
    for (int64_t j = 0; j < c->count; j++) {
        search(c, j, d);
        used += c->beta[j] > 0;
    }
    for (int64_t j = 0; j < c->count && used > 1; j++) search(c, j, d);
    c->used = used;
    if (used > 0) go_least(c, c->total, c->other);
    double value = dot(n, c->total, used > 0 ? c->other : d);
    for (int64_t j = 0; j < c->count; j++) value -= c->beta[j] * c->h[j];
    return value;
}

double rob_priv_half_minimum(rob_halves *c, const double *x, double *point)
{
    double value = dot(c->n, point, x) + rob_priv_half_least(c, point, c->at2);
    for (int64_t e = 0; e < c->n; e++) point[e] = x[e] + c->at2[e];
    return value;
}

/* ---- within a sweep -------------------------------------------------------------- */

void rob_priv_half_clear(rob_halves *c, int64_t rows)
{
    memset(c->row, 0, (size_t)(rows * c->n) * sizeof *c->row);
}

void rob_priv_half_gather(rob_halves *c, const rob_cell *cell, int64_t rows, const double *a)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(c->row + r * c->n + cell->first, a + r * cell->size,
               (size_t)cell->size * sizeof *a);
}

/* to <- row + sum beta a as it comes out; what that may be off on the ball. */
static double combine(const rob_halves *c, const double *row, double *to)
{
    double cost = 0;
    int64_t used = 0;
    memcpy(to, row, (size_t)c->n * sizeof *row);
    for (int64_t j = 0; j < c->count; j++) {
        const double *a = c->a + j * c->n, beta = c->beta[j];
        if (!(beta > 0)) continue;
        used++;
        for (int64_t e = 0; e < c->n; e++) {
            double part = beta * a[e], sum = to[e] + part;
            to[e] = sum;
            cost += (fabs(part) + fabs(sum)) * c->far[e];
        }
    }
    const double ops = 4 * (double)(used * c->n) + 16;
    cost = fp_mul_up(cost * ROB_U, fp_up(1 + ops * ROB_U));
    return fp_add_up(cost, (2 * (double)used * c->reach + ops) * ROB_TINY);
}

void rob_priv_half_improve(rob_halves *c, int64_t rows)
{
    const rob_work *w = c->w;
    const double ops = w->ops + 8 * (double)c->n + 64;
    int64_t count = 0;
    for (int64_t r = 0; r < rows; r++) {
        const double *row = c->row + r * c->n;
        rob_priv_half_least(c, row, c->at2);
        if (c->used == 0) continue;
        double value = fp_add_lo(w->proof[r].fixed, -combine(c, row, c->mixed + count * c->n));
        for (int64_t j = 0; j < c->count; j++)
            if (c->beta[j] > 0) value = fp_add_lo(value, -fp_mul_up(c->beta[j], c->h[j]));
        c->value[count] = value;
        c->base[count] = c->loss[count] = 0;
        c->which[count++] = r;
    }
    memset(c->measure, 0, (size_t)(count * c->width) * sizeof *c->measure);
    rob_priv_ball_collect(&w->ball, 0, c->n, count, c->mixed, c->n, c->base, c->loss,
                          c->measure);
    for (int64_t k = 0; k < count; k++) {
        rob_proof *p = &w->proof[c->which[k]];
        const double *measure = c->measure + k * rob_priv_ball_width(&w->ball);
        double slope = rob_priv_ball_slope(&w->ball, measure, ops);
        if (isnan(slope)) continue;
        double most = rob_priv_ball_loss(&w->ball, measure, slope, ops);
        p->value = fp_max(fp_or_lo(fp_add_lo(c->value[k], -most)), p->value);
    }
}

void rob_priv_half_of_row(const rob_halves *c, int64_t r, double most, double *a, double *h)
{
    memcpy(a, c->row + r * c->n, (size_t)c->n * sizeof *a);
    *h = fp_add_up(most, -c->w->proof[r].fixed);
}
