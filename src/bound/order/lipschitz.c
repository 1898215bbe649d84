/* lipschitz.c -- norms of gradients over a ball, and what their integral proves.
 *
 * Let g = a + E be the gradient by u, d = S u (share s_k, 0 off the mask), E = sum_k P_k n_k
 * with |n_k| <= nu_k, |E| <= e elementwise, |g| <= h by magnitudes. With the dual norm q,
 *
 *   q = 2:    ||g||^2 = ||a||^2 + 2 a.E + ||E||^2
 *                    <= ||a||^2 + 2 sum_k nu_k |P_k.a| + min(||e||, sum_k nu_k ||P_k||)^2
 *   q = 1:    ||g|| <= ||a|| + sum_k nu_k |P_k.s| + 2 sum max(0, e - |a|),   s = sign a
 *   q = inf:  ||g|| <= max(|a| + e),
 *
 * each never above ||h||, and below by the part along a (s; the largest |a| - e):
 * ||g|| >= ||a|| - sum_k nu_k |P_k.a|/||a||. The first order of noise is met exactly.
 *
 * If L(u) bounds the dual norm on the ball of radius u, then row(x) >= row(x0) -
 * int_0^r L(u) du for ||x - x0|| <= r: the segment from x0 runs through the rings. L rises,
 * so a sum over rings with L at their outer ends is an upper bound of the integral.
 * Reference: Zhang et al., RecurJac, AAAI 2019 (rings); docs/theory/orders.md 2, 3.
 */
#include "bound/order/adjoint.h"

/* Sums over the numbers of x, of one row. */
typedef struct lengths {
    double centre;                /* ||a||^2, ||a||_1 */
    double deviation, hull;       /* of e, of h: the same; q = inf: largest |a| + e, h */
    double turned;                /* sum max(0, e - |a|) */
    double along;                 /* sum e |toward| */
    double own;                   /* sum of noise that entered at x along `toward` */
    double own_length;
    double inner;                 /* q = inf: largest |a| - e */
    double furthest;              /* largest |toward| */
} lengths;

static void add_number(const rob_adjoint *s, int32_t norm, int64_t r, int64_t i, int64_t k,
                       lengths *l)
{
    const double share = s->share[k], more = 1 + (s->sums + 16) * ROB_U;
    const double toward = fabs(s->toward[r * s->inputs + k]);
    const double a = share * fabs(s->a[i]);
    const double e = share * (s->deviation[i] * more + (s->sums + 16) * ROB_TINY);
    double h = share * s->hull[i];
    if (share == 0) return;
    if (isnan(h)) h = INFINITY;
    l->along += e * toward;
    l->own += s->noise[i] * toward;
    l->own_length += s->noise[i] * share;
    l->furthest = fp_max(toward, l->furthest);
    if (norm == ROB_NORM_L2) {
        l->centre += a * a;
        l->deviation += e * e;
        l->hull += h * h;
    } else if (norm == ROB_NORM_LINF) {
        l->centre += a;
        l->deviation += a + e;
        l->hull += h;
        l->turned += fp_max(0, e - a * (1 - 4 * ROB_U));
    } else {
        l->deviation = a + e > l->deviation || isnan(e) ? a + e : l->deviation;
        l->hull = fp_max(h, l->hull);
        l->inner = fp_max(a - e, l->inner);
    }
}

static lengths lengths_of(const rob_adjoint *s, int64_t r, double *chain)
{
    const rob_network *net = s->w->net;
    lengths l = { 0 };
    *chain = 16;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->kind != ROB_CELL_INPUT) continue;
        *chain = fp_max(s->chain[i], *chain);
        for (int64_t e = 0; e < c->size; e++)
            add_number(s, s->w->ball.norm, r, r * s->numbers + c->at + e, c->first + e, &l);
    }
    return l;
}

/* Nothing is lost to NaN: it is no bound. */
static double least_of(double a, double b)
{
    if (isnan(a)) return isnan(b) ? INFINITY : b;
    return a < b ? a : b;
}

void rob_priv_adjoint_norm(const rob_adjoint *s, int64_t r, double *most, double *least)
{
    const int32_t norm = s->w->ball.norm;
    double chain, up;
    const lengths l = lengths_of(s, r, &chain);
    /* roundings of any sum here, and what underflow may take from one */
    const double n = s->sums + (double)s->inputs + chain + 64, more = 1 + 4 * n * ROB_U;
    const double tiny = n * ROB_TINY * (1 + s->weight[r]) * (1 + l.furthest);
    const double linear = (s->linear[r] + l.own + n * ROB_U * l.along) * more + tiny;
    const double triangle = (s->triangle[r] + l.own_length) * more
                            + sqrt(tiny) * (1 + s->weight[r]);
    double hull = l.hull * more + tiny, low = 0;
    if (norm == ROB_NORM_L2) {
        double square = least_of(l.deviation * more + tiny, fp_mul_up(triangle, triangle));
        up = fp_sqrt_up(fp_up(l.centre * more + tiny + 2 * linear + square) * more);
        hull = fp_sqrt_up(hull);
        low = (l.centre * (1 - 4 * n * ROB_U) - tiny - linear) / fp_sqrt_up(l.centre * more);
    } else if (norm == ROB_NORM_LINF) {
        up = least_of(l.deviation, l.centre + linear + 2 * l.turned) * more + tiny;
        low = l.centre * (1 - 4 * n * ROB_U) - linear - tiny;
    } else {
        up = l.deviation * more + tiny;
        low = l.inner - 4 * n * ROB_U * up - tiny;
    }
    if (s->lost) up = INFINITY, low = 0;
    *most = least_of(up, hull);
    *least = low > 0 ? fp_lo(low) : 0;
    if (*least > *most) *least = *most;
}

/* ---- rings ------------------------------------------------------------------------ */

/* Rows at the centre, what the integral has taken of them, where they reached zero. */
typedef struct rings { double *clean, *taken, *end, *most, *least; } rings;

static void pass_ring(rings *g, const rob_demand *d, double inner, double outer)
{
    const double width = fp_up(outer - inner);
    for (int64_t r = 0; r < d->rows; r++) {
        const double left = fp_lo(g->clean[r] - g->taken[r]);
        const double loss = fp_mul_up(g->most[r], width);
        if (isfinite(g->end[r])) continue;
        g->taken[r] = fp_add_up(g->taken[r], loss);
        if (left > 0 && g->taken[r] < g->clean[r]) continue;
        const double further = left > 0 ? fp_lo(fp_div_lo(left, g->most[r])) : 0;
        g->end[r] = further > 0 ? fp_min(fp_lo(inner + further), outer) : inner;
    }
}

/* Within it every group has a row that is positive. */
static double crossing_of(const rings *g, const rob_demand *d, double eps)
{
    double worst = eps;
    for (int64_t k = 0; k < d->groups; k++) {
        double best = 0;
        for (int64_t r = 0; r < d->rows; r++)
            if (d->group[r] == k) best = fp_max(fp_min(g->end[r], eps), best);
        worst = fp_min(best, worst);
    }
    return worst;
}

static rob_status measure_ball(rob_adjoint *s, const rob_ball *ball, const rob_demand *d,
                               bool crown, rob_proof *row, rob_outcome *out, rings *g)
{
    rob_status status = rob_priv_bound_ball(s->w, ball, d, crown, row, out);
    for (int64_t r = 0; r < d->rows; r++) g->most[r] = INFINITY, g->least[r] = 0;
    if (status != ROB_OK || s->w->broken) return status;
    status = rob_priv_adjoint_run(s, s->w->net->output, d->c);
    for (int64_t r = 0; r < d->rows && status == ROB_OK; r++)
        rob_priv_adjoint_norm(s, r, &g->most[r], &g->least[r]);
    return status;
}

static rob_status pass_rings(rob_adjoint *s, const rob_ball *ball, const rob_demand *d,
                             bool crown, int64_t count, rob_proof *row,
                             rob_outcome *outcome, rings *g)
{
    rob_ball inner = *ball;
    rob_outcome centre;
    double before = 0;
    inner.eps = 0;
    rob_status status = rob_priv_bound_ball(s->w, &inner, d, crown, row, &centre);
    for (int64_t r = 0; r < d->rows; r++) {
        g->clean[r] = row[r].value;
        g->end[r] = row[r].value > 0 ? INFINITY : 0;
    }
    for (int64_t i = 1; i <= count && status == ROB_OK; i++) {
        inner.eps = i == count ? ball->eps : ball->eps * ((double)i / (double)count);
        status = measure_ball(s, &inner, d, crown, row, outcome, g);
        if (status == ROB_OK) pass_ring(g, d, before, inner.eps);
        before = inner.eps;
    }
    return status;
}

rob_status rob_priv_bound_steep(rob_work *w, const rob_ball *ball, const rob_demand *d,
                                bool crown, int64_t count, rob_proof *row,
                                rob_outcome *outcome, rob_steepness *out)
{
    rob_adjoint *s;
    double *room = rob_priv_allocate(&w->memory, 3 * d->rows + 1, (int64_t)sizeof *room);
    rob_status status = room == NULL ? ROB_EMEMORY : rob_priv_adjoint_open(w, d->rows, &s);
    if (status == ROB_OK) {
        rings g = { room, room + d->rows, room + 2 * d->rows, out->most, out->least };
        status = pass_rings(s, ball, d, crown, count, row, outcome, &g);
        if (status == ROB_OK && out->bends)
            status = rob_priv_bound_curvature(s, d, &out->curvature);
        if (status == ROB_OK) out->crossing = crossing_of(&g, d, ball->eps);
        rob_priv_adjoint_close(s);
    }
    rob_priv_release(&w->memory, room);
    return status;
}
