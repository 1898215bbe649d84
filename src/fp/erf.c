/* erf.c -- the error function enclosed.
 *
 * |x| < 2:  erf x = (2/sqrt pi) e^{-x^2} S,  S = sum_n t_n, t_0 = x, t_{n+1} = t_n
 * 2x^2/(2n+3), all terms of one sign. With e = 2^-53 a step costs 3 e relative (2x^2
 * rounded once, the quotient, the product), so t_n is off by 3 n e t_n; each partial
 * sum adds e S. Both are added up alongside, plus the tail after the last term kept:
 * t_N with ratio < 1/2 leaves less than t_N. e^{-x^2}: |x^2| <= 4 rounded, 4 e, and 2 e
 * of exp; two products and the constant 3 e. Together 9 e, taken 8 u = 16 e.
 *
 * 2 <= |x| < 6:  erf x = 1 - e^{-x^2} / (sqrt pi K),  K = x + (1/2)/(x + 1/(x + ...)),
 * numerators j/2: terms positive, so successive convergents lie on either side of K. 40 levels
 * agree to 2e-13 relative at x = 2. A level costs 2 e, the tail damped by less than
 * one: 80 e; e^{-x^2} <= 38 e; the rest 4 e. Relative error of the complement < 3e-13,
 * times erfc 2 = 0.0047: absolute < 1.4e-15 there; 4e-13 is taken. Past 6, 0 < 1 - erf
 * < 2.2e-17.
 *
 * Reference: Abramowitz and Stegun 7.1.6, 7.1.14; docs/theory/fp.md.
 */
#include "fp/fp.h"

static const double TWO_OVER_ROOT_PI = 0x1.20dd750429b6dp+0;
static const double ONE_OVER_ROOT_PI = 0x1.20dd750429b6dp-1;

typedef struct enclosure { double lo, up; } enclosure;

static enclosure erf_by_series(double x)
{
    double c = 2 * x * x, t = x, sum = x, loss = 0;
    for (int n = 0; n < 64 && t > 0x1p-60 * sum; n++) {
        t *= c / (2 * n + 3);
        sum += t;
        loss += (3 * (n + 1) * t + sum) * (ROB_U / 2);
    }
    double scale = TWO_OVER_ROOT_PI * fp_exp(-x * x), y = scale * sum;
    double error = y * (8 * ROB_U) + scale * (1.01 * loss + 2 * t) + ROB_TINY;
    return (enclosure){ fp_max(0, y - error), y + error };
}

static double fraction(double x, int levels)
{
    double k = x;
    for (int j = levels; j >= 1; j--)
        k = x + 0.5 * j / k;
    return k;
}

static enclosure erf_by_complement(double x)
{
    double c = ONE_OVER_ROOT_PI * fp_exp(-x * x) / fraction(x, 40);
    double error = c * 4e-13 + ROB_U;
    return (enclosure){ 1 - (c + error), fp_min(1, 1 - (c - error)) };
}

/* x >= 0 */
static enclosure erf_of(double x)
{
    if (x == 0)
        return (enclosure){ 0, 0 };
    if (x < 2)
        return erf_by_series(x);
    return x < 6 ? erf_by_complement(x) : (enclosure){ 1 - ROB_U, 1 };
}

double fp_erf_up(double x)
{
    if (isnan(x))
        return x;
    return x >= 0 ? erf_of(x).up : -erf_of(-x).lo;
}

double fp_erf_lo(double x)
{
    if (isnan(x))
        return x;
    return x >= 0 ? erf_of(x).lo : -erf_of(-x).up;
}

double fp_erf(double x)
{
    return 0.5 * (fp_erf_lo(x) + fp_erf_up(x));
}
