/* plane_gate.c -- exact offsets of planes for the gates of recurrent cells.
 *
 * sigmoid(x) y and n + sigmoid(z)(h - n) are affine in everything but the gate's
 * argument, so the minimum over the box is the least of the minima at the ends
 * (corners) of the other variables, each one a problem in one variable: the
 * minimum over x of  k sigmoid(x) - a x.  k < 0: k sigmoid(x) = k + |k| sigmoid(-x). k > 0: sigmoid is
 * concave on x > 0, so only the ends matter there; on x < 0 it is convex, and the
 * tangent at any p bounds it below; p is taken where k sigmoid'(p) = a, that is
 * sigmoid(p) = 2 q / (1 + sqrt(1 - 4 q)), q = a/k. So the number of evaluations is
 * fixed and nothing has to converge.
 *
 * McCormick: (x - x_l)(y - y_l) >= 0 and (x_u - x)(y_u - y) >= 0 bound x y below, their
 * mixtures too; (x - x_l)(y_u - y) >= 0 and (x_u - x)(y - y_l) >= 0 above.
 *
 * Reference: McCormick, Math. Programming 10 (1976) 147; Shi et al., ICLR 2020;
 * docs/theory/relax.md 3.
 */
#include "op/plane.h"

/* k sigmoid(x) - a x, rounded down; k >= 0 */
static double height(double k, double a, double x)
{
    return fp_add_lo(fp_mul_lo(k, fp_sigmoid_lo(x)), -fp_mul_up(a, x));
}

/* about where k sigmoid'(p) = a on [l, m], m <= 0 */
static double stationary(double k, double a, double l, double m)
{
    double q = a / k;
    if (!(q > 0))
        return l;
    if (q >= 0.25)
        return m;
    double s = 2 * q / (1 + sqrt(1 - 4 * q));
    return fp_min(fp_max(fp_log(s / (1 - s)), l), m);
}

/* sigmoid convex on [l, m] */
static double least_left(double k, double a, double l, double m, double *at)
{
    double p = stationary(k, a, l, m), d = k * rob_priv_uni_sigmoid.slope(p);
    double blur = fabs(d) * (2 * rob_priv_uni_sigmoid.blur) + ROB_TINY * (1 + k);
    double down = fp_min(0, fp_lo((d - blur) - a)),
           up = fp_max(0, fp_up((d + blur) - a));
    double right = fp_mul_up(-down, fp_up(m - p)), left = fp_mul_up(up, fp_up(p - l));
    *at = p;
    return fp_lo(height(k, a, p) - fp_max(right, left));
}

static double least(double k, double a, rob_interval box, double *at)
{
    double best = INFINITY, end[2] = { box.lo, box.up };
    if (box.lo < 0)
        best = fp_or_lo(least_left(k, a, box.lo, fp_min(box.up, 0), at));
    for (int i = box.lo < 0 ? 1 : 0; i < 2 && box.up >= 0; i++) {
        double h = fp_or_lo(height(k, a, end[i]));
        if (h < best) {
            best = h;
            *at = end[i];
        }
    }
    return best;
}

double rob_priv_min_sigmoid(double k, double a, rob_interval box, double *at)
{
    *at = box.lo;
    if (k >= 0)
        return least(k, a, box, at);
    double value = least(-k, -a, (rob_interval){ -box.up, -box.lo }, at);
    *at = -*at;
    return fp_or_lo(fp_add_lo(value, k));
}

double rob_priv_min_sigmul(double a, double b, rob_interval x, rob_interval y,
                           double at[2])
{
    double best = INFINITY, end[2] = { y.lo, y.up }, p;
    for (int i = 0; i < 2; i++) {
        double v = rob_priv_min_sigmoid(end[i], a, x, &p);
        v = fp_or_lo(fp_add_lo(v, -fp_mul_up(b, end[i])));
        if (v < best) {
            best = v;
            at[0] = p;
            at[1] = end[i];
        }
    }
    return best;
}

/* at one corner (n, h); k = h - n is rounded, which a factor below 1 does not amplify
 */
static double blend_at_corner(const double s[3], rob_interval z, double n, double h,
                              double *at)
{
    double k = h - n, v = rob_priv_min_sigmoid(k, s[0], z, at);
    double rest = fp_add_lo(n, -fp_mul_up(s[1], n));
    rest = fp_add_lo(rest, -fp_mul_up(s[2], h));
    return fp_or_lo(fp_lo(fp_add_lo(v, rest) - (fabs(k) * ROB_U + ROB_TINY)));
}

double rob_priv_min_blend(const double s[3], const rob_interval box[3], double at[3])
{
    double best = INFINITY, p;
    for (int i = 0; i < 4; i++) {
        double n = i & 1 ? box[1].up : box[1].lo, h = i & 2 ? box[2].up : box[2].lo;
        double v = blend_at_corner(s, box[0], n, h, &p);
        if (v < best) {
            best = v;
            at[0] = p;
            at[1] = n;
            at[2] = h;
        }
    }
    return best;
}

void rob_priv_product_slopes(bool above, rob_interval first, rob_interval second,
                             double r, double *of_first, double *of_second)
{
    double from = above ? second.lo : second.up, to = above ? second.up : second.lo;
    *of_first = r == 1 ? to : from + r * (to - from);
    *of_second = r == 1 ? first.lo : first.up + r * (first.lo - first.up);
}

double rob_priv_gate_slope(const rob_univariate *f, bool is_above, double c,
                           rob_interval x, const double *theta)
{
    return c == 0 ? 0
                  : c * rob_priv_uni_direction(f, is_above == (c > 0), x, theta).slope;
}

/* ---- ranges ---------------------------------------------------------------------- */

static double times_lo(double a, double b)
{
    return a == 0 || b == 0 ? 0 : fp_or_lo(fp_mul_lo(a, b));
}

static double times_up(double a, double b)
{
    return a == 0 || b == 0 ? 0 : fp_or_up(fp_mul_up(a, b));
}

rob_interval rob_priv_range_product(rob_interval a, rob_interval b)
{
    if (isnan(a.lo + a.up) || isnan(b.lo + b.up)) {
        a = (rob_interval){ fp_or_lo(a.lo), fp_or_up(a.up) };
        b = (rob_interval){ fp_or_lo(b.lo), fp_or_up(b.up) };
    }
    double lo = fp_min(times_lo(a.lo, b.lo), times_lo(a.lo, b.up));
    double up = fp_max(times_up(a.lo, b.lo), times_up(a.lo, b.up));
    lo = fp_min(lo, fp_min(times_lo(a.up, b.lo), times_lo(a.up, b.up)));
    up = fp_max(up, fp_max(times_up(a.up, b.lo), times_up(a.up, b.up)));
    return (rob_interval){ lo, up };
}

static rob_interval range_of(const rob_univariate *f, rob_interval x,
                             double least_value)
{
    double lo = f->lo(x.lo), up = f->up(x.up);
    return (rob_interval){ isnan(lo) ? least_value : lo, isnan(up) ? 1 : up };
}

rob_interval rob_priv_range_sigtanh(rob_interval x, rob_interval y)
{
    return rob_priv_range_product(range_of(&rob_priv_uni_sigmoid, x, 0),
                                  range_of(&rob_priv_uni_tanh, y, -1));
}

rob_interval rob_priv_range_sigmul(rob_interval x, rob_interval y)
{
    return rob_priv_range_product(range_of(&rob_priv_uni_sigmoid, x, 0), y);
}

/* n (1 - s) + h s is monotone in n and in h; for fixed (n, h) monotone in s */
rob_interval rob_priv_range_blend(rob_interval z, rob_interval n, rob_interval h)
{
    rob_interval s = range_of(&rob_priv_uni_sigmoid, z, 0);
    n = (rob_interval){ fp_or_lo(n.lo), fp_or_up(n.up) };
    h = (rob_interval){ fp_or_lo(h.lo), fp_or_up(h.up) };
    double dl = h.lo - n.lo, du = h.up - n.up;
    double lo = fp_add_lo(n.lo, times_lo(dl > 0 ? s.lo : s.up, fp_lo(dl)));
    double up = fp_add_up(n.up, times_up(du > 0 ? s.up : s.lo, fp_up(du)));
    return (rob_interval){ fp_max(fp_or_lo(fp_min(n.lo, h.lo)), fp_or_lo(lo)),
                           fp_min(fp_or_up(fp_max(n.up, h.up)), fp_or_up(up)) };
}
