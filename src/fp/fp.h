/* fp.h -- arithmetic that may be trusted: outward rounding without rounding modes.
 *
 * Every function named _up is >= the exact real result, every _lo <= it. They assume
 * round-to-nearest and no flush to zero (rob_priv_fp_enter sets both, per thread) and stay
 * sound under flush to zero by an absolute slack of 2^-1022. Overflow gives +-inf, invalid
 * gives NaN; whoever concludes something from a bound checks isfinite.
 */
#ifndef ROB_FP_H
#define ROB_FP_H

#include "core/core.h"
#include <math.h>

#define ROB_U 0x1p-52               /* twice the unit roundoff: second line of defence */
#define ROB_TINY 0x1p-1022          /* slack of one scalar operation */

typedef struct rob_fp_state { uint64_t word; } rob_fp_state;
rob_fp_state rob_priv_fp_enter(void);          /* nearest, FTZ/DAZ off; returns the old */
void rob_priv_fp_leave(rob_fp_state old);

/* one step outward that covers one rounded operation: x + |x| u + tiny */
static inline double fp_up(double x) { return x + (fabs(x) * ROB_U + ROB_TINY); }
static inline double fp_lo(double x) { return x - (fabs(x) * ROB_U + ROB_TINY); }
static inline double fp_add_up(double a, double b) { return fp_up(a + b); }
static inline double fp_add_lo(double a, double b) { return fp_lo(a + b); }
static inline double fp_mul_up(double a, double b) { return fp_up(a * b); }
static inline double fp_mul_lo(double a, double b) { return fp_lo(a * b); }
static inline double fp_div_up(double a, double b) { return fp_up(a / b); }
static inline double fp_div_lo(double a, double b) { return fp_lo(a / b); }
double fp_sqrt_up(double x);
double fp_sqrt_lo(double x);
/* elementary functions: enclosures by src/fp's own algorithms with proofs; any double in */
double fp_exp_lo(double x);      double fp_exp_up(double x);
double fp_log_lo(double x);      double fp_log_up(double x);
double fp_tanh_lo(double x);     double fp_tanh_up(double x);
double fp_sigmoid_lo(double x);  double fp_sigmoid_up(double x);
double fp_erf_lo(double x);      double fp_erf_up(double x);
double fp_softplus_lo(double x); double fp_softplus_up(double x);
/* Near values by the same algorithms, a few ulp off, no side promised: for choosing slopes
 * and touching points, which are free. Never part of a bound. */
double fp_exp(double x);
double fp_log(double x);
double fp_tanh(double x);
double fp_sigmoid(double x);
double fp_erf(double x);
/* ends of a range: NaN means that nothing is known */
static inline double fp_or_lo(double x) { return isnan(x) ? -INFINITY : x; }
static inline double fp_or_up(double x) { return isnan(x) ? INFINITY : x; }
static inline double fp_max(double a, double b) { return a > b ? a : b; }
static inline double fp_min(double a, double b) { return a < b ? a : b; }
/* gamma_n = n u / (1 - n u), rounded up */
double fp_gamma(int64_t n);
/* sum of absolute values / Euclidean norm of v[0..n), rounded up */
double fp_norm1_up(const double *v, int64_t n);
double fp_norm2_up(const double *v, int64_t n);

#endif
