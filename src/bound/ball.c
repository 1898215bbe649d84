/* ball.c -- affine functions on a ball, and on a region.
 *
 *     min {A.(x0 + d) : ||d||_p <= eps, d = 0 off the mask} = A.x0 - eps ||A_mask||_q,
 *
 * 1/p + 1/q = 1. The ball is one, on the whole sequence: coefficients of all its steps
 * go into one norm. A dot product of n terms, in any order, errs by at most gamma_n
 * times the dot product of the absolute values (Higham, Accuracy and Stability, 2nd
 * ed., 3.1).
 *
 * With d = S E u and more parts (query/region.h), each of these bounds what A.d can
 * lose; the least counts:
 *     eps ||E'S A||_q                                 the ball of u;
 *     sum_t min(b_t, eps) ||(S A)_t||_q               budgets (b_t alone with E);
 *     sum_k max(-A_k lo_k, -A_k up_k)                 d_k in [lo_k, up_k], the box and
 *                                                     what the others leave of d_k.
 * A coordinate that a wall stops in the direction A.d falls can only add: it is left out
 * of the first norm. Bounds on differences and on the number of steps are dropped: the
 * region proved is larger. (docs/theory/bound.md, section 2.)
 */
#include "bound/bound.h"

/* Places of a row's measure: of the dual norm, loss by budgets, loss by ranges, then
 * E'SA (m) and sums of the absolute values (m). */
enum { DUAL, BUDGETS, RANGES, COMBINED };

static bool may_move(const rob_ball *b, int64_t e)
{
    return b->mask == NULL || b->mask[e];
}

int64_t rob_priv_ball_width(const rob_ball *b)
{
    if (b->region == NULL) return 1;
    return b->region->basis != NULL ? COMBINED + 2 * b->region->m : COMBINED;
}

static double measure_of(int32_t norm, double so_far, double a)
{
    if (norm == ROB_NORM_L2) return so_far + a * a;
    if (norm == ROB_NORM_LINF) return so_far + fabs(a);
    return isnan(a) || fabs(a) > so_far ? fabs(a) : so_far;
}

/* a sum of numbers >= 0 with at most `ops` roundings, rounded up */
static double inflated(double sum, double ops)
{
    return fp_add_up(fp_mul_up(sum, fp_up(1 + ops * ROB_U)), (ops + 1) * ROB_TINY);
}

/* dual norm of a measure */
static double norm_of(int32_t norm, double measure, double ops)
{
    double up = inflated(measure, ops);
    return norm == ROB_NORM_L2 ? fp_sqrt_up(up) : up;
}

/* ---- ranges of numbers ----------------------------------------------------------- */

/* A quotient and its divisor were rounded. */
double rob_priv_ball_budget(const rob_region *r, int64_t t)
{
    return fp_up(fp_up(fp_up(rob_priv_region_budget(r, t))));
}

/* largest |(E u)_k| */
static double reach_up(const rob_ball *b, int64_t k)
{
    const rob_region *r = b->region;
    double reach = b->eps;
    if (r->basis != NULL) {
        double sum = 0;
        for (int64_t j = 0; j < r->m; j++)
            sum = measure_of(b->norm, sum, r->basis[k * r->m + j]);
        reach = fp_mul_up(b->eps, norm_of(b->norm, sum, 2 * (double)r->m + 4));
    }
    return fp_min(reach, rob_priv_ball_budget(r, k / r->features));
}

static void range_in_region(const rob_ball *b, int64_t k, double *lo, double *up)
{
    const rob_region *r = b->region;
    double s = rob_priv_region_scale(r, k), x = b->x[k];
    *lo = *up = x;
    if (s == 0) return;
    double far = fp_mul_up(s, reach_up(b, k));
    if (r->off != NULL) far = fp_add_up(far, r->off[k]);
    *lo = fp_or_lo(fp_add_lo(x, -far));
    *up = fp_or_up(fp_add_up(x, far));
    if (r->low.at) *lo = fp_min(fp_max(*lo, r->low.at[k % r->low.count]), x);
    if (r->high.at) *up = fp_max(fp_min(*up, r->high.at[k % r->high.count]), x);
}

void rob_priv_ball_range(const rob_ball *b, int64_t first, int64_t size, double *lo,
                         double *up)
{
    for (int64_t e = 0; e < size; e++) {
        double x = b->x[first + e];
        if (b->region != NULL) {
            range_in_region(b, first + e, &lo[e], &up[e]);
            continue;
        }
        bool moves = may_move(b, first + e);
        lo[e] = moves ? fp_or_lo(fp_add_lo(x, -b->eps)) : x;
        up[e] = moves ? fp_or_up(fp_add_up(x, b->eps)) : x;
    }
}

/* ---- rows of coefficients -------------------------------------------------------- */

/* coefficients a (rows, one a row apart by lda) of number k */
static void collect_number(const rob_ball *b, int64_t k, int64_t rows, const double *a,
                           int64_t lda, double *measure)
{
    const rob_region *r = b->region;
    const int64_t width = rob_priv_ball_width(b);
    double s = rob_priv_region_scale(r, k), lo, up;
    if (s == 0) return;
    range_in_region(b, k, &lo, &up);
    double down = fp_add_up(b->x[k], -lo), rise = fp_add_up(up, -b->x[k]);
    const double *e = r->basis != NULL ? r->basis + k * r->m : NULL;
    for (int64_t i = 0; i < rows; i++, a += lda, measure += width) {
        double v = *a * s;
        bool stopped = e == NULL && (*a > 0 ? lo == b->x[k] : up == b->x[k]);
        if (*a != 0) measure[RANGES] += *a > 0 ? *a * down : -*a * rise;
        if (!stopped || isnan(*a)) measure[DUAL] = measure_of(b->norm, measure[DUAL], v);
        for (int64_t j = 0; e != NULL && j < r->m; j++) {
            double part = v * e[j];
            measure[COMBINED + j] += part;
            measure[COMBINED + r->m + j] += fabs(part);
        }
    }
}

/* numbers [first, first + size) of one step t */
static void collect_budget(const rob_ball *b, int64_t first, int64_t size, int64_t rows,
                           const double *a, int64_t lda, double *measure)
{
    const rob_region *r = b->region;
    const int64_t width = rob_priv_ball_width(b);
    double budget = rob_priv_ball_budget(r, first / r->features);
    if (r->basis == NULL) budget = fp_min(budget, b->eps);
    for (int64_t i = 0; i < rows; i++, a += lda, measure += width) {
        double sum = 0;
        for (int64_t e = 0; e < size; e++)
            sum = measure_of(b->norm, sum, a[e] * rob_priv_region_scale(r, first + e));
        double slope = norm_of(b->norm, sum, 3 * (double)size + 4);
        measure[BUDGETS] += fp_mul_up(budget, slope);
    }
}

static void collect_in_region(const rob_ball *b, int64_t first, int64_t size,
                              int64_t rows, const double *a, int64_t lda,
                              double *measure)
{
    const rob_region *r = b->region;
    for (int64_t e = 0; e < size; e++)
        collect_number(b, first + e, rows, a + e, lda, measure);
    for (int64_t e = 0; r->budget.at != NULL && e < size;) {
        int64_t left = r->features - (first + e) % r->features;
        int64_t count = left < size - e ? left : size - e;
        collect_budget(b, first + e, count, rows, a + e, lda, measure);
        e += count;
    }
}

/* What coefficients on numbers from `first` on lose where x itself is only about known. */
static void lose_offsets(const double *off, int64_t size, int64_t rows, const double *a,
                         int64_t lda, double *loss)
{
    for (int64_t r = 0; r < rows; r++, a += lda)
        for (int64_t e = 0; e < size; e++)
            if (a[e] != 0) loss[r] += fabs(a[e]) * off[e] + 2 * ROB_TINY;
}

void rob_priv_ball_collect(const rob_ball *b, int64_t first, int64_t size, int64_t rows,
                           const double *a, int64_t lda, double *base, double *loss,
                           double *measure)
{
    if (b->region != NULL) collect_in_region(b, first, size, rows, a, lda, measure);
    if (b->region != NULL && b->region->off != NULL)
        lose_offsets(b->region->off + first, size, rows, a, lda, loss);
    for (int64_t r = 0; r < rows; r++, a += lda) {
        double dot = 0, most = 0, seen = b->region != NULL ? 0 : measure[r];
        for (int64_t e = 0; e < size; e++) {
            dot += a[e] * b->x[first + e];
            most += fabs(a[e] * b->x[first + e]);
            if (may_move(b, first + e)) seen = measure_of(b->norm, seen, a[e]);
        }
        base[r] += dot;
        loss[r] += ROB_U * ((double)(size + 4) * most + fabs(base[r]))
                   + 4 * (double)(size + 1) * ROB_TINY;
        if (b->region == NULL) measure[r] = seen;
    }
}

/* ---- what a row may lose --------------------------------------------------------- */

/* ||E'SA||_q: each sum errs by ops u of the sum of its absolute values */
static double combined_slope(const rob_ball *b, const double *measure, double ops)
{
    const int64_t m = b->region->m;
    double sum = 0;
    for (int64_t j = 0; j < m; j++) {
        double error = fp_mul_up(ops * ROB_U, measure[COMBINED + m + j]);
        error = fp_add_up(inflated(error, ops), (ops + 1) * ROB_TINY);
        double v = fp_add_up(fabs(measure[COMBINED + j]), error);
        sum = measure_of(b->norm, sum, v);
    }
    return norm_of(b->norm, sum, 2 * (double)m + 4);
}

double rob_priv_ball_slope(const rob_ball *b, const double *measure, double ops)
{
    if (b->region == NULL && b->norm == ROB_NORM_L1) return *measure;
    if (b->region != NULL && b->region->basis != NULL)
        return combined_slope(b, measure, ops);
    return norm_of(b->norm, measure[DUAL], ops);
}

/* NaN says nothing */
static double lesser(double a, double b)
{
    return isnan(b) || a <= b ? a : b;
}

double rob_priv_ball_loss(const rob_ball *b, const double *measure, double slope,
                          double ops)
{
    double loss = slope == 0 ? 0 : fp_mul_up(b->eps, slope);
    if (isnan(loss)) loss = INFINITY;
    if (b->region == NULL) return loss;
    if (b->region->budget.at != NULL)
        loss = lesser(loss, inflated(measure[BUDGETS], ops));
    if (b->region->low.at != NULL || b->region->high.at != NULL)
        loss = lesser(loss, inflated(measure[RANGES], ops));
    return loss;
}
