/* cap.c -- what fraction of a sphere lies behind a boundary, where that has a formula.
 *
 * For v uniform on the unit sphere of R^d and a in [0, 1]
 *     cap(a) = P(v.n >= a) = I_{1-a^2}((d-1)/2, 1/2) / 2,     cap(-a) = 1 - cap(a),
 * and uniform in the ball the same with d + 2 for d, since the first d of d + 2
 * coordinates of a uniform point of the sphere are uniform in the ball. For d = 1 the
 * sphere is {-1, 1}. Flat boundary at distance r: cap(r/rho). Curved ones are caps of
 * another height, or lie between two. (docs/theory/sample.md, sections 1 to 4.)
 */
#include "sample/closed.h"

#include <math.h>

static const double LOG_HALF = -0.6931471805599453;

/* ---- caps ------------------------------------------------------------------------ */

/* log of I_{1-a^2}((d-1)/2, 1/2) / 2 for 0 <= a < 1, d > 1 */
static double log_upper_cap(double a, double d)
{
    return LOG_HALF + rob_priv_beta_log((d - 1) / 2, 0.5, (1 - a) * (1 + a), a * a);
}

static double log_cap(double a, double d)
{
    if (a >= 1) return -INFINITY;
    if (a <= -1) return 0;
    return a >= 0 ? log_upper_cap(a, d) : log1p(-exp(log_upper_cap(-a, d)));
}

double rob_priv_cap_log(double a, int64_t d)
{
    if (d > 1) return log_cap(a, (double)d);
    return a <= -1 ? 0 : a <= 1 ? LOG_HALF : a > 1 ? -INFINITY : NAN;
}

double rob_priv_cap_log_ball(double a, int64_t d) { return log_cap(a, (double)d + 2); }

/* I_{y^2}(1/2, (d+1)/2) = 1 - 2 cap(y) in the ball */
double rob_priv_cap_log_slab(double y, int64_t d)
{
    if (y <= 0) return -INFINITY;
    if (y >= 1) return 0;
    return rob_priv_beta_log(0.5, ((double)d + 1) / 2, y * y, (1 - y) * (1 + y));
}

double rob_priv_cap_height(double logp, int64_t d)
{
    double logx, logy;
    if (logp >= LOG_HALF) return 0;
    rob_priv_beta_quantile(((double)d - 1) / 2, 0.5, logp - LOG_HALF, &logx, &logy);
    return exp(logy / 2);
}

double rob_priv_cap_log_bound(double a, int64_t d)
{
    return a > 0 ? -(double)d * a * a / 2 : 0;
}

/* ---- boundaries ------------------------------------------------------------------ */

double rob_priv_flat_log(double r, double rho, int64_t d)
{
    if (rho == 0) return r <= 0 ? 0 : -INFINITY;
    return rob_priv_cap_log(r / rho, d);
}

double rob_priv_flat_radius(double r, double logp, int64_t d)
{
    if (logp >= LOG_HALF) return INFINITY;
    return d == 1 ? r : r / rob_priv_cap_height(logp, d);
}

/* the root of  k z^2 / 2 + z - r - k rho^2 / 2  that does not cancel, over rho */
double rob_priv_curved_height(double r, double rho, double k)
{
    if (rho < r) return INFINITY;
    return (2 * r + k * rho * rho)
           / (rho * (1 + sqrt(1 + 2 * k * r + k * k * rho * rho)));
}

double rob_priv_hessian_height(double r, double rho, double c)
{
    return (r + c * (rho * rho + r * r) / 2) / (rho * (1 + c * r));
}

double rob_priv_mean_curved_distance(double r, double rho, double trace, int64_t d)
{
    return r + (rho * rho - r * r) * trace / (2 * ((double)d - 1));
}

double rob_priv_failing_ball_height(double r, double rho, double reach)
{
    return (rho * rho + r * r - reach * reach) / (2 * rho * r);
}

double rob_priv_union_log(const double *logp, int64_t n)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (logp[i] > most) most = logp[i];
    if (!isfinite(most)) return most;
    for (int64_t i = 0; i < n; i++) sum += exp(logp[i] - most);
    return fmin(0, most + log(sum));
}

double rob_priv_curvature_bound_log(double kappa, double rho, int64_t m, double beta)
{
    double a = rob_priv_hessian_height(1, rho, 2 * kappa);
    double parts[2] = {rob_priv_cap_log_bound(a, m), beta > 0 ? log(beta) : -INFINITY};
    return rob_priv_union_log(parts, 2);
}

/* 1 - Fsc(k) = 1/2 - k sqrt(R^2-k^2) / (pi R^2) - asin(k/R) / pi; independent:
 * squared */
double rob_priv_semicircle_both(double kappa, double edge)
{
    static const double pi = 3.141592653589793;
    double t = kappa / edge;
    if (t >= 1) return 0;
    if (t <= -1) return 1;
    double above = 0.5 - (t * sqrt((1 - t) * (1 + t)) + asin(t)) / pi;
    return above * above;
}
