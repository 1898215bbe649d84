/* sum.c -- roots, norms and the constant of a sum, rounded outward.
 *
 * A sum of n products in any order is off by at most gamma_n sum |a_i b_i|, gamma_n =
 * n u / (1 - n u); u = 2^-52 is twice the unit roundoff, so the few roundings of
 * gamma_n itself are covered. Reference: Higham, Accuracy and Stability, 2nd ed., 3.1
 * and 27.8.
 */
#include "fp/fp.h"

#include <float.h>

double fp_sqrt_up(double x)
{
    return x == 0 ? 0 : fp_up(sqrt(x));
}

double fp_sqrt_lo(double x)
{
    if (x == INFINITY)
        return 0x1p511;
    double y = sqrt(x);
    return isnan(y) ? y : fp_max(0, fp_lo(y));
}

double fp_gamma(int64_t n)
{
    double nu = fp_mul_up((double)n, ROB_U);
    return nu < 1 ? fp_div_up(nu, fp_lo(1 - nu)) : INFINITY;
}

double fp_norm1_up(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs(v[i]);
    return sum == 0 ? 0 : fp_up(sum + sum * fp_gamma(n) + (double)n * ROB_TINY);
}

static double largest(const double *v, int64_t n)
{
    double m = 0;
    for (int64_t i = 0; i < n; i++)
        m = isnan(v[i]) || fabs(v[i]) > m ? fabs(v[i]) : m;
    return m;
}

/* scaled by a power of two so that the largest entry is in [1/2, 1): what underflows is
 * below 2^-1022 a term against a sum of at least 1/4 */
double fp_norm2_up(const double *v, int64_t n)
{
    double m = largest(v, n), sum = 0;
    if (m == 0 || !isfinite(m))
        return m;
    int k;
    frexp(m, &k);
    for (int64_t i = 0; i < n; i++) {
        double w = ldexp(v[i], -k);
        sum += w * w;
    }
    return fp_up(ldexp(fp_sqrt_up(fp_up(sum + sum * fp_gamma(n + 2))), k));
}
