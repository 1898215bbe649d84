/* trust.c -- the least value of a quadratic function on a ball, from below.
 *
 * For D >= 0 diagonal with M = Q + D positive semidefinite, any y and any d of the ball,
 *
 *     g.d + 1/2 d'Q d  =  g.d + 1/2 d'M d - 1/2 d'D d
 *                     >=  -1/2 y'M y + (g + M y).d - 1/2 d'D d                 (M convex)
 *                     >=  -1/2 y'M y - eps ||g + M y||_q - 1/2 eps^2 c(D),
 *
 * c(D) = max D for p = 2, sum D for p = inf: Lagrange's dual, at its best when y solves the
 * convex problem on the ball. L2: D = lambda I, lambda from the secular equation
 * ||(Q + lambda)^-1 g|| = eps (Conn, Gould, Toint, Trust-region methods, 2000, 7.3). Linf:
 * lambda I, or the sums |Q-| of rows of Q's negative part; y by coordinate descent.
 *
 * LAPACK proposes eigenvectors V and values w of Q + D. Nothing of it is believed: with
 * W = max(w, 0) the matrix V'W V is positive semidefinite whatever V is, so
 *
 *     Q + D >= -rho I,   rho = max row sum of |Q + D - V'W V|,
 *
 * computed here with gamma_n for its own roundings, and D grows by rho.
 */
#include "bound/order/trust.h"

#include <string.h>

static bool get(const rob_memory *m, double **p, int64_t count)
{
    *p = rob_priv_allocate(m, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

rob_status rob_priv_trust_open(const rob_memory *m, int64_t n, rob_trust *out)
{
    *out = (rob_trust){ .n = n };
    bool fine = get(m, &out->q, n * n) && get(m, &out->g, n) && get(m, &out->copy, n * n)
                && get(m, &out->vector, n * n) && get(m, &out->value, n)
                && get(m, &out->turned, n) && get(m, &out->y, n) && get(m, &out->shift, n);
    if (fine) return ROB_OK;
    rob_priv_trust_close(m, out);
    return ROB_EMEMORY;
}

void rob_priv_trust_close(const rob_memory *m, rob_trust *t)
{
    double *const all[] = { t->q, t->g, t->copy, t->vector,
                            t->value, t->turned, t->y, t->shift };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(m, all[i]);
    *t = (rob_trust){ 0 };
}

/* The lower triangle counts. */
static void mirror(rob_trust *t)
{
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t j = i + 1; j < t->n; j++) t->q[i * t->n + j] = t->q[j * t->n + i];
}

/* ---- what is proved -------------------------------------------------------------- */

/* rho >= the largest row sum of |Q + D - V'W V|, W = max(w, floor) */
static double deficit(const rob_trust *t, const double *shift, double sign)
{
    const int64_t n = t->n;
    const double gamma = fp_gamma(n + 8);
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            const double d = i == j ? shift[i] : 0, q = sign * t->q[i * n + j];
            double v = 0, size = fabs(q) + d;
            for (int64_t k = 0; k < n; k++) {
                const double w = fp_max(t->value[k], 0);
                const double p = t->vector[k * n + i] * w * t->vector[k * n + j];
                v += p;
                size += fabs(p);
            }
            sum += fabs(q + d - v) + 2 * gamma * size + (double)n * ROB_TINY;
        }
        worst = fp_max(sum * (1 + 2 * gamma), worst);
        if (isnan(sum)) return INFINITY;
    }
    return worst;
}

/* Eigenvectors and values of sign Q + D, as LAPACK has them. */
static rob_status propose(const rob_memory *m, rob_trust *t, const double *shift, double sign)
{
    const int64_t n = t->n;
    for (int64_t i = 0; i < n * n; i++) t->copy[i] = sign * t->q[i];
    for (int64_t i = 0; i < n; i++) t->copy[i * n + i] += shift[i];
    return rob_priv_la_eigen(m, n, t->copy, t->value, t->vector);
}

/* -1/2 y'M y - eps ||g + M y||_q - 1/2 eps^2 c(D), rounded down; M = Q + D as it is */
static double dual_value(const rob_trust *t, int32_t norm, double eps)
{
    const int64_t n = t->n;
    const double gamma = fp_gamma(n + 8), *y = t->y;
    double inner = 0, residual = 0, price = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = t->shift[i] * y[i], size = fabs(v);
        for (int64_t j = 0; j < n; j++) {
            const double p = t->q[i * n + j] * y[j];
            v += p;
            size += fabs(p);
        }
        const double off = 2 * gamma * size + (double)(n + 2) * ROB_TINY;
        const double r = fp_up(fabs(t->g[i] + v) + off + ROB_U * fabs(t->g[i]));
        inner = fp_add_up(inner, fp_add_up(fp_mul_up(y[i], v), fp_mul_up(fabs(y[i]), off)));
        residual = fp_add_up(residual, norm == ROB_NORM_L2 ? fp_mul_up(r, r) : r);
        price = norm == ROB_NORM_L2 ? fp_max(t->shift[i], price)
                                    : fp_add_up(price, t->shift[i]);
    }
    if (norm == ROB_NORM_L2) residual = fp_sqrt_up(residual);
    double down = fp_mul_up(0.5, inner);
    down = fp_add_up(down, fp_mul_up(eps, residual));
    down = fp_add_up(down, fp_mul_up(0.5, fp_mul_up(fp_mul_up(eps, eps), price)));
    return fp_or_lo(-down);
}

/* ---- L2 -------------------------------------------------------------------------- */

/* ||(w + lambda)^-1 c|| */
static double length_at(const rob_trust *t, double lambda)
{
    double sum = 0;
    for (int64_t k = 0; k < t->n; k++) {
        const double v = t->turned[k] / (t->value[k] + lambda);
        sum += v * v;
    }
    return sqrt(sum);
}

/* About where the length is eps; at least `floor`, above which all is positive. */
static double multiplier(const rob_trust *t, double eps, double floor)
{
    if (!(length_at(t, floor) > eps)) return floor;
    double lo = floor, up = floor, step = 0;
    for (int64_t k = 0; k < t->n; k++) step += t->turned[k] * t->turned[k];
    up = floor + sqrt(step) / eps;
    for (int k = 0; k < 200 && up - lo > 1e-12 * up; k++) {
        const double middle = 0.5 * (lo + up);
        if (length_at(t, middle) > eps) lo = middle;
        else up = middle;
    }
    return up;
}

static rob_status least_in_ball(const rob_memory *m, rob_trust *t, double eps, double *least)
{
    const int64_t n = t->n;
    memset(t->shift, 0, (size_t)n * sizeof *t->shift);
    rob_status status = propose(m, t, t->shift, 1);
    if (status != ROB_OK) return status;
    double size = fp_max(fabs(t->value[0]), fabs(t->value[n - 1]));
    for (int64_t k = 0; k < n; k++) {
        t->turned[k] = 0;
        for (int64_t j = 0; j < n; j++) t->turned[k] += t->vector[k * n + j] * t->g[j];
    }
    const double floor = fp_max(-t->value[0], 0) + 1e-13 * size + 1e-280;
    const double lambda = multiplier(t, eps, floor);
    memset(t->y, 0, (size_t)n * sizeof *t->y);
    for (int64_t k = 0; k < n; k++) {
        t->value[k] += lambda;
        const double v = t->turned[k] / t->value[k];
        for (int64_t j = 0; j < n; j++) t->y[j] -= t->vector[k * n + j] * v;
    }
    for (int64_t k = 0; k < n; k++) t->shift[k] = lambda;
    const double all = fp_add_up(lambda, deficit(t, t->shift, 1));
    for (int64_t k = 0; k < n; k++) t->shift[k] = all;
    *least = dual_value(t, ROB_NORM_L2, eps);
    return ROB_OK;
}

/* ---- Linf ------------------------------------------------------------------------ */

/* y: min g.y + 1/2 y'(Q + D)y, |y_i| <= eps, about */
static void descend(rob_trust *t, double eps)
{
    const int64_t n = t->n;
    memset(t->y, 0, (size_t)n * sizeof *t->y);
    memcpy(t->turned, t->g, (size_t)n * sizeof *t->turned);
    for (int pass = 0; pass < 60; pass++) {
        double moved = 0;
        for (int64_t i = 0; i < n; i++) {
            const double h = t->q[i * n + i] + t->shift[i];
            const double r = t->turned[i] + t->shift[i] * t->y[i];
            double to = h > 0 ? t->y[i] - r / h : r > 0 ? -eps : eps;
            to = fp_min(fp_max(to, -eps), eps);
            const double by = to - t->y[i];
            if (by == 0) continue;
            t->y[i] = to;
            for (int64_t j = 0; j < n; j++) t->turned[j] += t->q[j * n + i] * by;
            moved = fp_max(fabs(by), moved);
        }
        if (moved < 1e-9 * eps) break;
    }
}

/* The value with the D that stands in shift; shift grows by what it lacks. */
static rob_status value_of_shift(const rob_memory *m, rob_trust *t, double eps, double *least)
{
    rob_status status = propose(m, t, t->shift, 1);
    if (status != ROB_OK) return status;
    const double rho = deficit(t, t->shift, 1);
    for (int64_t i = 0; i < t->n; i++) t->shift[i] = fp_add_up(t->shift[i], rho);
    descend(t, eps);
    *least = fp_max(dual_value(t, ROB_NORM_LINF, eps), *least);
    return ROB_OK;
}

static rob_status least_in_box(const rob_memory *m, rob_trust *t, double eps, double *least)
{
    const int64_t n = t->n;
    memset(t->shift, 0, (size_t)n * sizeof *t->shift);
    rob_status status = propose(m, t, t->shift, 1);
    if (status != ROB_OK) return status;
    const double lambda = fp_max(-t->value[0], 0);
    /* row sums of |Q-|, Q- = V' max(-w, 0) V, in turned */
    for (int64_t i = 0; i < n; i++) {
        t->turned[i] = 0;
        for (int64_t j = 0; j < n; j++) {
            double v = 0;
            for (int64_t k = 0; k < n && t->value[k] < 0; k++)
                v -= t->vector[k * n + i] * t->value[k] * t->vector[k * n + j];
            t->turned[i] += fabs(v);
        }
    }
    memcpy(t->shift, t->turned, (size_t)n * sizeof *t->shift);
    status = value_of_shift(m, t, eps, least);
    for (int64_t i = 0; i < n; i++) t->shift[i] = lambda * (1 + 1e-13);
    if (status == ROB_OK) status = value_of_shift(m, t, eps, least);
    return status;
}

/* ---- the whole ------------------------------------------------------------------- */

/* Only memory can fail the caller: what LAPACK refuses proves nothing. */
static rob_status unless_memory(rob_status status)
{
    return status == ROB_EMEMORY ? status : ROB_OK;
}

rob_status rob_priv_trust_least(const rob_memory *m, rob_trust *t, int32_t norm, double eps,
                                double *least)
{
    *least = -INFINITY;
    mirror(t);
    if (t->n == 0) *least = 0;
    if (t->n == 0 || !(eps >= 0) || !isfinite(eps)) return ROB_OK;
    return unless_memory(norm == ROB_NORM_L2     ? least_in_ball(m, t, eps, least)
                         : norm == ROB_NORM_LINF ? least_in_box(m, t, eps, least)
                                                 : ROB_OK);
}

rob_status rob_priv_trust_curvature(const rob_memory *m, rob_trust *t, double *most)
{
    *most = INFINITY;
    mirror(t);
    memset(t->shift, 0, (size_t)t->n * sizeof *t->shift);
    if (t->n == 0) *most = 0;
    if (t->n == 0) return ROB_OK;
    rob_status status = propose(m, t, t->shift, 1);
    if (status != ROB_OK) return unless_memory(status);
    const double size = fp_max(fabs(t->value[0]), fabs(t->value[t->n - 1]));
    double worst = size;
    for (int side = -1; side <= 1 && status == ROB_OK; side += 2) {
        for (int64_t i = 0; i < t->n; i++) t->shift[i] = size;
        status = propose(m, t, t->shift, side);
        if (status == ROB_OK)
            worst = fp_max(fp_add_up(size, deficit(t, t->shift, side)), worst);
    }
    if (status == ROB_OK) *most = worst;
    return unless_memory(status);
}
