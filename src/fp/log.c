/* log.c -- log and softplus enclosed, by the series of 2 artanh.
 *
 * Write e = 2^-53, u = 2 e = ROB_U.
 *
 * log(1 + f) = 2 artanh s = 2 s + 2 s^3 (1/3 + s^2/5 + ...), s = f/(2 + f), |s| <= 1/3
 * here (f in [-0.293, 1]); 18 terms leave s^36/37 < 2e-19 of the value. Relative error:
 * s 2 e (f given), s^2 (...) is at most 0.04 of the value and carries < 10 e, the last
 * sum e, the doubling none: together < 4 e.
 *
 * log x, x = 2^k m, m in [0.707, 1.415): f = m - 1 is exact. k = 0: 4 e. k != 0: k
 * LN2_HI is exact, the rest |log m + k LN2_LO| <= 0.3467 has absolute error 0.3467 (4 e
 * + e) and the last sum e |result|, |result| >= 0.3465: relative 6.1 e. Taken 4 u = 8
 * e.
 *
 * softplus x = max(x, 0) + log(1 + E), E = e^-|x| with relative error 2 e, which log(1
 * + E) does not amplify: 2 e + 4 e + e (for 2 + E) and e for the last sum: 8 e = 4 u.
 * Taken 5 u.
 *
 * Reference: Muller, Elementary Functions, 3rd ed., ch. 11; docs/theory/fp.md.
 */
#include "fp/fp.h"

static const double LN2_HI = 0x1.62e42fefa38p-1;
static const double LN2_LO = 0x1.ef35793c7673p-45;

/* log(1 + f), f in [-0.3, 1] */
static double log1p_by_artanh(double f)
{
    double s = f / (2 + f), w = s * s, sum = 0;
    int terms = w < 0.03 ? 11 : 18;
    for (int j = terms; j >= 1; j--)
        sum = w * (1.0 / (2 * j + 1) + sum);
    return 2 * (s + s * sum);
}

double fp_log(double x)
{
    if (!(x > 0) || isinf(x))
        return x == 0 ? -INFINITY : x > 0 ? x : NAN;
    int k;
    double m = frexp(x, &k);
    if (m < 0x1.6a09e667f3bcdp-1) {
        m *= 2;
        k--;
    }
    double y = log1p_by_artanh(m - 1);
    return k == 0 ? y : k * LN2_HI + (y + k * LN2_LO);
}

double fp_log_up(double x)
{
    double y = fp_log(x);
    return isinf(y) || y == 0 ? y : y + fabs(y) * (4 * ROB_U);
}

double fp_log_lo(double x)
{
    double y = fp_log(x);
    if (y == INFINITY)
        return 709;
    return isinf(y) || y == 0 ? y : y - fabs(y) * (4 * ROB_U);
}

static double softplus(double x)
{
    return (x > 0 ? x : 0) + log1p_by_artanh(fp_exp(-fabs(x)));
}

double fp_softplus_up(double x)
{
    double y = softplus(x);
    return y + (y * (5 * ROB_U) + ROB_TINY);
}

double fp_softplus_lo(double x)
{
    double y = softplus(x);
    if (y == INFINITY)
        return 0x1p1023;
    double low = fp_max(0, y - (y * (5 * ROB_U) + ROB_TINY));
    return isnan(y) ? y : fp_max(low, x);
}
