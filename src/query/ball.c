/* ball.c -- p-norm balls, p in {1, 2, inf}: dual norms, steepest directions,
 * projections.
 *
 * With 1/p + 1/q = 1: min { g . d : ||d||_p <= 1 } = -||g||_q, attained at
 *     p = 2: -g/||g||,   p = inf: -sign g,   p = 1: -sign(g_k) e_k at a largest |g_k|.
 * The point of {d : g . d = -c} nearest to 0 in the norm is then c/||g||_q times it.
 * Projection (Euclidean): p = 2 scales, p = inf clips, p = 1 shrinks, d_i <- sign(d_i)
 * max(|d_i| - theta, 0) with theta found by bisection (Duchi et al. 2008).
 * p = 0 keeps the r largest. (docs/theory/attack.md, section 2.)
 */
#include "query/query.h"

#include <math.h>

double rob_priv_ball_dual(int32_t norm, const double *g, int64_t n)
{
    if (norm == ROB_NORM_L2) return rob_priv_norm(ROB_NORM_L2, g, n);
    return rob_priv_norm(norm == ROB_NORM_L1 ? ROB_NORM_LINF : ROB_NORM_L1, g, n);
}

static int64_t largest_of(const double *g, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabs(g[i]) > fabs(g[at])) at = i;
    return at;
}

static double sign_of(double v) { return (double)((v > 0) - (v < 0)); }

bool rob_priv_ball_steepest(int32_t norm, const double *g, int64_t n, double *d)
{
    double dual = rob_priv_ball_dual(norm, g, n);
    if (!(dual > 0) || !isfinite(dual)) return false;
    if (norm == ROB_NORM_L1) {
        int64_t at = largest_of(g, n);
        double sign = sign_of(g[at]);
        for (int64_t i = 0; i < n; i++) d[i] = 0;
        d[at] = -sign;
        return true;
    }
    for (int64_t i = 0; i < n; i++)
        d[i] = norm == ROB_NORM_LINF ? -sign_of(g[i]) : -g[i] / dual;
    return true;
}

static double clip(double v, double r) { return v > r ? r : v < -r ? -r : v; }

static double sum_above(const double *d, int64_t n, double theta)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double over = fabs(d[i]) - theta;
        if (over > 0) sum += over;
    }
    return sum;
}

static void shrink(double r, double *d, int64_t n)
{
    double low = 0, high = rob_priv_norm(ROB_NORM_LINF, d, n);
    for (int k = 0; k < 60 && high - low > 1e-15 * high; k++) {
        double theta = (low + high) / 2;
        if (sum_above(d, n, theta) > r) low = theta;
        else high = theta;
    }
    for (int64_t i = 0; i < n; i++) {
        double over = fabs(d[i]) - high;
        d[i] = over > 0 ? sign_of(d[i]) * over : 0;
    }
}

static int64_t count_above(const double *d, int64_t n, double theta)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += fabs(d[i]) > theta;
    return count;
}

/* all but the r largest become 0; of equal ones the first stay */
static void keep_largest(double r, double *d, int64_t n)
{
    int64_t left = r < (double)n ? (int64_t)r : n;
    double low = 0, high = rob_priv_norm(ROB_NORM_LINF, d, n);
    if (count_above(d, n, 0) <= left) return;
    for (int k = 0; k < 1100 && low < high; k++) {
        double theta = k < 60 ? (low + high) / 2 : high - (high - low) / 2;
        if (theta == low || theta == high) break;
        if (count_above(d, n, theta) > left) low = theta;
        else high = theta;
    }
    left -= count_above(d, n, high);
    for (int64_t i = 0; i < n; i++) {
        double size = fabs(d[i]);
        if (size > high || (size > low && left-- > 0)) continue;
        d[i] = 0;
    }
}

void rob_priv_ball_project(int32_t norm, double r, double *d, int64_t n)
{
    if (norm == ROB_NORM_L0) {
        keep_largest(r, d, n);
        return;
    }
    if (norm == ROB_NORM_LINF) {
        for (int64_t i = 0; i < n; i++) d[i] = clip(d[i], r);
        return;
    }
    double length = rob_priv_norm(norm, d, n);
    if (norm == ROB_NORM_L1 && length > r) {
        shrink(r, d, n);
        length = rob_priv_norm(norm, d, n);
    }
    /* rounding may leave the norm a hair too large: ask for a hair less each time */
    for (double slack = 0; length > r; slack = 2 * slack + 0x1p-52) {
        double scale = r / length * (1 - slack);
        for (int64_t i = 0; i < n; i++) d[i] *= scale;
        length = rob_priv_norm(norm, d, n);
    }
}
