/* beta.c -- the regularised incomplete beta function in log space, its inverse, and the
 * exact binomial interval.
 *
 *     I_x(a, b) = x^a y^b / B(a, b) K,     y = 1 - x,
 * K the continued fraction 1/(beta_1 + alpha_2/(beta_2 + alpha_3/(beta_3 + ...))),
 *     alpha_{n+1} = (a+n-1)(a+b+n-1) n (b-n) x^2 / (a+2n-1)^2,
 *     beta_{n+1} = n + n (b-n) x/(a+2n-1) + (a+n)(l + 1 + n (1+y))/(a+2n+1),
 * l = a - (a+b) x (A. R. DiDonato & A. H. Morris, ACM Trans. Math. Softw. 18 (1992),
 * form 9), used for x below the mean, and 1 - I_y(b, a) above it.
 *
 * The factor in front is a binomial probability in disguise. With n = a + b and the
 * Stirling remainder s(z) = log Gamma(z+1) - (z+1/2) log z + z - log(2 pi)/2,
 *     log(x^a y^b / B(a, b)) = log(a b / (2 pi n)) / 2 + s(n) - s(a) - s(b)
 *                              - a f(nx/a - 1) - b f(ny/b - 1),   f(t) = t - log(1+t).
 * No large numbers are subtracted (C. Loader, Fast and accurate computation of binomial
 * probabilities, 2000). The interval: C. J. Clopper & E. S. Pearson, Biometrika 26
 * (1934).
 */
#include "sample/closed.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586;

/* s(z) = s(z+1) + (z+1/2) log(1+1/z) - 1 up to 16, then the asymptotic series */
static double stirling_remainder(double z)
{
    double below = 0;
    for (; z < 16; z++) below += (z + 0.5) * log1p(1 / z) - 1;
    double w = 1 / (z * z);
    double series = 1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680
                  - w * (1.0 / 1188 - w * (691.0 / 360360)))));
    return below + series / z;
}

/* t - log(1+t); ratio = 1+t is given beside t. log(1+t) = 2 atanh(r), r = t/(2+t). */
static double excess(double t, double ratio)
{
    if (fabs(t) > 0.25) return t - log(ratio);
    double r = t / (2 + t), w = r * r, sum = 0;
    for (int k = 23; k >= 3; k -= 2) sum = sum * w + 1.0 / k;
    return t * r - 2 * r * w * sum;
}

/* log(x^a y^b / B(a, b)) */
static double log_factor(double a, double b, double x, double y)
{
    double n = a + b;
    double distance = a * excess((n * x - a) / a, n * x / a)
                    + b * excess((n * y - b) / b, n * y / b);
    return 0.5 * log(a / n * b / TWO_PI) + stirling_remainder(n) - stirling_remainder(a)
         - stirling_remainder(b) - distance;
}

/* K from the front, with ratios of successive numerators and denominators (Lentz's
 * rule). l = a - (a+b) x = a y - b x >= 0, so every beta is positive and nothing
 * cancels. */
static double fraction(double a, double b, double x, double y)
{
    enum { LONGEST = 4000000 };
    double l = a * y - b * x;
    double up = INFINITY, down = (1 + 1 / a) / (l + 1), k = down;
    for (int i = 1; i < LONGEST; i++) {
        double n = i, middle = a + 2 * n - 1;
        double alpha =
            (a + n - 1) / middle * ((a + b + n - 1) / middle) * n * (b - n) * x * x;
        double beta = n + n * (b - n) * x / middle
                    + (a + n) * (l + 1 + n * (1 + y)) / (a + 2 * n + 1);
        down = 1 / (beta + alpha * down);
        up = beta + alpha / up;
        k *= down * up;
        if (fabs(down * up - 1) < 0x1p-51) break;
    }
    return k;
}

static bool below_mean(double a, double b, double x, double y)
{
    return x * b <= y * a;
}

/* for x below the mean */
static double log_lower_tail(double a, double b, double x, double y)
{
    if (x <= 0) return -INFINITY;
    return log_factor(a, b, x, y) + log(fraction(a, b, x, y));
}

/* log(1 - e^l), l <= 0 */
static double log_complement(double l)
{
    return l > -0.6931471805599453 ? log(-expm1(l)) : log1p(-exp(l));
}

double rob_priv_beta_log(double a, double b, double x, double y)
{
    if (!(x > 0)) return x <= 0 ? -INFINITY : NAN;
    if (!(y > 0)) return y <= 0 ? 0 : NAN;
    if (below_mean(a, b, x, y)) return log_lower_tail(a, b, x, y);
    return log_complement(log_lower_tail(b, a, y, x));
}

/* ---- inverse --------------------------------------------------------------------- */

/* In t = log(x/y) the derivative of log I is x^a y^b / (B I) = exp(factor - log I);
 * Newton's step, replaced by halving whenever it leaves the bracket. */
void rob_priv_beta_quantile(double a, double b, double logp, double *logx, double *logy)
{
    double low = -1500, high = 1500, t = log(a / b);
    for (int k = 0; k < 200; k++) {
        double x = 1 / (1 + exp(-t)), y = 1 / (1 + exp(t));
        double value = rob_priv_beta_log(a, b, x, y);
        if (value > logp) high = t;
        else low = t;
        double slope = x > 0 && y > 0 ? exp(log_factor(a, b, x, y) - value) : 0;
        double next = t - (value - logp) / slope;
        if (!(next > low && next < high)) next = low + (high - low) / 2;
        bool settled = fabs(next - t) <= 4e-16 * fabs(t);
        t = next;
        if (settled) break;
    }
    *logx = t > 0 ? -log1p(exp(-t)) : t - log1p(exp(t));
    *logy = t > 0 ? -t - log1p(exp(-t)) : -log1p(exp(t));
}

void rob_priv_binomial_interval(int64_t hits, int64_t samples, double confidence,
                                double *log_lower, double *log_upper)
{
    double side = log((1 - confidence) / 2), other;
    double h = (double)hits, n = (double)samples;
    *log_lower = -INFINITY;
    *log_upper = 0;
    if (hits > 0) rob_priv_beta_quantile(h, n - h + 1, side, log_lower, &other);
    if (hits < samples) rob_priv_beta_quantile(n - h, h + 1, side, &other, log_upper);
}

double rob_priv_normal_width(double confidence)
{
    double low = 0, high = 40;
    for (int k = 0; k < 100; k++) {
        double z = (low + high) / 2;
        if (erfc(z * 0.7071067811865476) > 1 - confidence) low = z;
        else high = z;
    }
    return low;
}
