/* exp.c -- exp, tanh and sigmoid enclosed, by one argument reduction.
 *
 * Write e = 2^-53 for half an ulp of 1; u = 2 e = ROB_U.
 *
 * exp. x = k log 2 + r, k the integer nearest to x / log 2 (off by a rounding: |r| <=
 * 0.34658), log 2 = LN2_HI + LN2_LO with 42 bits in LN2_HI (so k LN2_HI is exact, |k| <
 * 2^11, and x - k LN2_HI is exact: both are multiples of 2^-54 when k != 0 and the
 * difference is below 1/2). e^r = 1 + p, p = r + r^2 q(r), q the Taylor polynomial
 * 1/2 + ... + r^11/13!. In units of e, each relative to e^r in [0.707, 1.4143]:
 *   r        half an ulp of a number below 1/2: e/4, times e^r               <= 0.36
 *   cut      |r|^14/14! e^.35 < 6e-18                                        <= 0.08
 *   r^2 q    4 roundings of a term <= 0.0735                                 <= 0.30
 *   p        half an ulp of a number below 1/2: e/4                          <= 0.25
 *   1 + p    half an ulp: e above 1, e/2 below
 * above 1 the sum is 2 e relative to 1; below 1 the first four fall with e^r and the last
 * halves: (0.25 + 0.06 + 0.22 + 0.25 + 0.5) e / 0.707 < 1.9 e. So 2 e = u, and the bounds
 * take 2 u. Scaling by 2^k is exact until the result is subnormal: ROB_TINY.
 *
 * expm1 of x <= 0, m. k = 0: m = p, relative error 2 e by the lines above (the rounding
 * of r is absent, the term r^2 q is at most 0.19 |m|). k < 0: m = fl(E - 1), E = e^x <=
 * 0.7072, so the relative error is at most (2 e E + e |m|) / |m| <= 5.9 e at E = 0.7072
 * and falls.
 *
 * tanh x = -m / (2 + m), m = expm1(-2 x), x >= 0. Relative error: that of m times
 * 2/(2 + m), plus one for 2 + m and one for the quotient. k = 0: 2e * 1.18 + 2 e; k <
 * 0: (2 e E / |m| + e) 2/(2 + m) + 2 e with |m| = 1 - E: 9 e at E = 0.7072, 4 e at E =
 * 0. At most 9 e = 4.5 u; taken 6 u, relative, so the result is good near 0 too; then
 * intersected with |tanh x| <= min(|x|, 1).
 *
 * sigmoid x = 1/(1 + E), E = e^-x, for x >= 0: 2 e E/(1 + E) + e + e <= 3 e. For x < 0:
 * E/(1 + E), E = e^x: 2 e/(1 + E) + 2 e <= 4 e = 2 u. Taken 3 u, relative, so that the
 * left tail keeps sigmoid x <= e^x to rounding; intersected with [0, 1].
 *
 * Reference: Muller, Elementary Functions, 3rd ed., ch. 11; docs/theory/fp.md.
 */
#include "fp/fp.h"

#include <float.h>

static const double LOG2E = 0x1.71547652b82fep+0;
static const double LN2_HI = 0x1.62e42fefa38p-1;   /* 42 bits */
static const double LN2_LO = 0x1.ef35793c7673p-45;
static const double EXP_MAX = 0x1.62e42fefa39efp+9;   /* e^x > DBL_MAX beyond */
static const double EXP_MIN = -0x1.74910d52d3053p+9;  /* e^x < 2^-1074 below */

/* 1/2!, 1/3!, ..., 1/13! */
static const double TAYLOR[12] = {
    0.5, 0x1.5555555555555p-3, 0x1.5555555555555p-5, 0x1.1111111111111p-7,
    0x1.6c16c16c16c17p-10, 0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-16,
    0x1.71de3a556c734p-19, 0x1.27e4fb7789f5cp-22, 0x1.ae64567f544e4p-26,
    0x1.1eed8eff8d898p-29, 0x1.6124613a86d09p-33,
};

/* e^r - 1 for |r| < 0.35 */
static double expm1_near_zero(double r)
{
    double q = TAYLOR[11];
    for (int j = 10; j >= 0; j--)
        q = TAYLOR[j] + r * q;
    return r + (r * r) * q;
}

static double power_of_two(int k)
{
    union { uint64_t bits; double value; } u = { (uint64_t)(k + 1023) << 52 };
    return u.value;
}

static double exp_in_range(double x)
{
    int k = (int)(x * LOG2E + (x < 0 ? -0.5 : 0.5));
    double r = (x - k * LN2_HI) - k * LN2_LO;
    int half = k / 2;
    return (1 + expm1_near_zero(r)) * power_of_two(half) * power_of_two(k - half);
}

/* e^x - 1 for x <= 0 */
static double expm1_negative(double x)
{
    if (x > -0.34)
        return expm1_near_zero(x);
    return x < EXP_MIN ? -1 : exp_in_range(x) - 1;
}

double fp_exp(double x)
{
    if (isnan(x))
        return x;
    if (x > EXP_MAX)
        return INFINITY;
    return x < EXP_MIN ? 0 : exp_in_range(x);
}

double fp_exp_up(double x)
{
    double y = fp_exp(x);
    return x == 0 ? 1 : y + (y * (2 * ROB_U) + ROB_TINY);
}

double fp_exp_lo(double x)
{
    if (x > EXP_MAX)
        return DBL_MAX;
    double y = fp_exp(x);
    if (x == 0 || isnan(x))
        return y;
    return fp_max(0, y - (y * (2 * ROB_U) + ROB_TINY));
}

double fp_tanh(double x)
{
    double m = expm1_negative(-2 * fabs(x));
    return copysign(-m / (2 + m), x);
}

/* enclosure of tanh |x| */
static double tanh_up(double x)
{
    double t = fp_tanh(x);
    return fp_min(fp_min(x, 1), t + (t * (6 * ROB_U) + ROB_TINY));
}

static double tanh_lo(double x)
{
    double t = fp_tanh(x);
    return fp_max(0, t - (t * (6 * ROB_U) + ROB_TINY));
}

double fp_tanh_up(double x)
{
    if (isnan(x))
        return x;
    return x >= 0 ? tanh_up(x) : -tanh_lo(-x);
}

double fp_tanh_lo(double x)
{
    if (isnan(x))
        return x;
    return x >= 0 ? tanh_lo(x) : -tanh_up(-x);
}

double fp_sigmoid(double x)
{
    double E = fp_exp(-fabs(x));
    return x >= 0 ? 1 / (1 + E) : E / (1 + E);
}

double fp_sigmoid_up(double x)
{
    double s = fp_sigmoid(x);
    if (isnan(s))
        return s;
    return fp_min(1, s + (s * (3 * ROB_U) + ROB_TINY));
}

double fp_sigmoid_lo(double x)
{
    double s = fp_sigmoid(x);
    if (isnan(s))
        return s;
    return fp_max(0, s - (s * (3 * ROB_U) + ROB_TINY));
}
