/* region.c -- affine functions on the region of a certificate.
 *
 * With d_k = s_k u_k, ||u||_p <= eps, ||u_t||_p <= b_t and low <= x + d <= high, each of
 *     eps ||s A||_q,    sum_t min(eps, b_t) ||(s A)_t||_q,
 *     sum_k max(-A_k (lo_k - x_k), -A_k (up_k - x_k)),   1/p + 1/q = 1 (Hoelder)
 * bounds what A.d can lose, lo_k and up_k being the least and largest x_k. In the first
 * a number that stands at its wall and could only fall beyond it adds nothing.
 */
#include "check/check.h"

enum { DUAL, BUDGETS, WALLS, MEASURES };

static double scale_of(const rob_cert *c, int64_t k)
{
    return c->scale != NULL ? c->scale[k] : 1;
}

static double budget_of(const rob_cert *c, int64_t k)
{
    return c->budget == NULL ? c->eps : fp_min(c->budget[k / c->features], c->eps);
}

void rob_priv_check_x(const rob_cert *c, int64_t k, double *lo, double *up)
{
    const double x = c->x[k], s = scale_of(c, k);
    *lo = *up = x;
    if (s == 0) return;
    double far = fp_mul_up(s, budget_of(c, k));
    *lo = fp_or_lo(fp_add_lo(x, -far));
    *up = fp_or_up(fp_add_up(x, far));
    if (c->low == NULL) return;
    *lo = fp_min(fp_max(*lo, c->low[k]), x);
    *up = fp_max(fp_min(*up, c->high[k]), x);
}

/* One more coefficient in a dual norm before its root. */
static double with(int32_t norm, double so_far, double a)
{
    if (norm == ROB_NORM_L2) return so_far + a * a;
    if (norm == ROB_NORM_LINF) return so_far + fabs(a);
    return isnan(a) || fabs(a) > so_far ? fabs(a) : so_far;
}

/* A sum of at most `ops` roundings of numbers >= 0, rounded up. */
static double raised(double sum, double ops)
{
    return fp_add_up(fp_mul_up(sum, fp_up(1 + ops * ROB_U)), (ops + 1) * ROB_TINY);
}

static double norm_of(int32_t norm, double sum, double ops)
{
    double up = raised(sum, ops);
    return norm == ROB_NORM_L2 ? fp_sqrt_up(up) : up;
}

/* Coefficients a on numbers [first, first + size), one row */
static void measure_row(const rob_cert *c, int64_t first, int64_t size, const double *a,
                        double *measure)
{
    double sum = 0, lo, up;
    int64_t in_step = 0;
    for (int64_t e = 0; e < size; e++) {
        const int64_t k = first + e;
        const double v = a[e] * scale_of(c, k);
        bool stopped = false;
        if (c->low != NULL) {
            rob_priv_check_x(c, k, &lo, &up);
            stopped = a[e] > 0 ? lo == c->x[k] : a[e] < 0 ? up == c->x[k] : false;
            measure[WALLS] += a[e] > 0 ? a[e] * fp_add_up(c->x[k], -lo)
                              : a[e] == 0 ? 0 : -a[e] * fp_add_up(up, -c->x[k]);
        }
        if (!stopped) measure[DUAL] = with(c->norm, measure[DUAL], v);
        sum = with(c->norm, sum, v);
        in_step++;
        if (c->budget == NULL || ((k + 1) % c->features != 0 && e + 1 < size)) continue;
        double norm = norm_of(c->norm, sum, 3 * (double)in_step + 4);
        measure[BUDGETS] += fp_mul_up(budget_of(c, k), norm);
        sum = 0;
        in_step = 0;
    }
}

/* A piece of a step counts by its own norm: the whole step's is no larger than the sum. */
void rob_priv_check_collect(const rob_cert *c, int64_t first, int64_t size, int64_t rows,
                            const double *a, double *base, double *loss, double *measure)
{
    for (int64_t r = 0; r < rows; r++, a += size, measure += MEASURES) {
        double dot = 0, most = 0;
        for (int64_t e = 0; e < size; e++) {
            dot += a[e] * c->x[first + e];
            most += fabs(a[e] * c->x[first + e]);
        }
        base[r] += dot;
        loss[r] += ROB_U * ((double)(size + 4) * most + fabs(base[r]))
                   + 4 * (double)(size + 1) * ROB_TINY;
        measure_row(c, first, size, a, measure);
    }
}

double rob_priv_check_lost(const rob_cert *c, const double *measure, double ops)
{
    double lost = fp_mul_up(c->eps, norm_of(c->norm, measure[DUAL], ops));
    double budgets = raised(measure[BUDGETS], ops), walls = raised(measure[WALLS], ops);
    if (isnan(lost)) return INFINITY;
    if (c->budget != NULL && budgets < lost) lost = budgets;
    if (c->low != NULL && walls < lost) lost = walls;
    return c->eps == 0 ? 0 : lost;
}
