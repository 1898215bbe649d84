/* closed.h -- probabilities that have a formula, in log space.
 *
 * Everything answers log P, so that 1e-300 and far below are ordinary numbers.
 * "Heights" are a = (v.n at the boundary) for unit v: P(v.n >= a), v uniform on the
 * sphere of R^d. Distances r > 0, radii rho > 0, curvatures k > 0 bending away from x;
 * docs/theory/sample.md derives them.
 */
#ifndef ROB_SAMPLE_CLOSED_H
#define ROB_SAMPLE_CLOSED_H

#include "core/core.h"

/* ---- the incomplete beta function (beta.c) --------------------------------------- */

/* log I_x(a, b), a, b > 0; y = 1 - x is given beside x so that neither end loses
 * digits */
double rob_priv_beta_log(double a, double b, double x, double y);
/* log x and log y of the x with log I_x(a, b) = logp <= 0 */
void rob_priv_beta_quantile(double a, double b, double logp, double *logx,
                            double *logy);
/* Clopper and Pearson's exact interval of p from `hits` of `samples`, as logs;
 * P(p outside) <= 1 - confidence, each side half of it */
void rob_priv_binomial_interval(int64_t hits, int64_t samples, double confidence,
                                double *log_lower, double *log_upper);
/* z with P(|N(0,1)| <= z) = confidence, in (0, 1) */
double rob_priv_normal_width(double confidence);

/* ---- caps (cap.c) ---------------------------------------------------------------- */

/* log P(v.n >= a), v uniform on the unit sphere of R^d */
double rob_priv_cap_log(double a, int64_t d);
/* the same in the unit ball of R^d */
double rob_priv_cap_log_ball(double a, int64_t d);
/* log P(|v.n| <= y), v uniform in the unit ball of R^d: a slab through the centre */
double rob_priv_cap_log_slab(double y, int64_t d);
/* a in [0, 1] with rob_priv_cap_log(a, d) = logp, logp <= log(1/2), d >= 2 */
double rob_priv_cap_height(double logp, int64_t d);
/* -d a^2 / 2 >= log cap(a) for a >= 0; 0 below, where that bound does not hold */
double rob_priv_cap_log_bound(double a, int64_t d);

/* ---- boundaries (cap.c) ---------------------------------------------------------- */

/* flat boundary at distance r: exact */
double rob_priv_flat_log(double r, double rho, int64_t d);
/* largest rho at which a flat boundary at distance r is met with log P <= logp */
double rob_priv_flat_radius(double r, double logp, int64_t d);
/* height at which n.w = r + k/2 |w'|^2 meets the sphere; exact for isotropic curvature
 * k, log cap of it an upper bound on log P with k the least curvature, lower with the
 * largest; 1 + k r > 0. INFINITY for rho < r */
double rob_priv_curved_height(double r, double rho, double k);
/* height with P <= cap when Hess g >= c |grad g(z)| on the ball; the exact one for a
 * failing ball of radius 1/c (c < 0: a safe ball of radius -1/c); 1 + c r > 0 */
double rob_priv_hessian_height(double r, double rho, double c);
/* distance to put into the flat formula for a trace of the shape operator (d >= 2) */
double rob_priv_mean_curved_distance(double r, double rho, double trace, int64_t d);
/* height with P >= cap when all within `reach` of a point at distance r fails */
double rob_priv_failing_ball_height(double r, double rho, double reach);
/* log min(1, sum of exp(logp)): the union of n events from above */
double rob_priv_union_log(const double *logp, int64_t n);
/* The two corrected statements in units with r = 1, c = 2 kappa (sample.md, section 4):
 * log of exp(-m (kappa rho^2 + kappa + 1)^2 / (2 rho^2 (1 + 2 kappa)^2)) + beta, at
 * most 0 */
double rob_priv_curvature_bound_log(double kappa, double rho, int64_t m, double beta);
/* P(two independent semicircle eigenvalues of edge R both exceed kappa) */
double rob_priv_semicircle_both(double kappa, double edge);

#endif
