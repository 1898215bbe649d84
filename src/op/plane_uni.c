/* plane_uni.c -- the functions of one variable that have lines: enclosure, derivative,
 * where they turn from convex to concave; and the storing of planes.
 *
 * Derivatives with their relative errors in u = 2^-52 (exp 1, a rounding 1/2):
 *   tanh'     4 E / (1 + E)^2, E = e^{-2|x|}:       4, taken 16
 *   sigmoid'  E / (1 + E)^2,   E = e^{-|x|}:        4, taken 16
 *   erf'      2/sqrt(pi) e^{-x^2}: x^2 <= 746 rounded, 373 + 3, taken 1024
 *   exp', softplus' = sigmoid: 2, taken 8; powers: at most 3 roundings, taken 8.
 * docs/theory/relax.md 2.
 */
#include "op/plane.h"

static double tanh_slope(double x)
{
    double E = fp_exp(-2 * fabs(x));
    return 4 * E / ((1 + E) * (1 + E));
}

static double sigmoid_slope(double x)
{
    double E = fp_exp(-fabs(x));
    return E / ((1 + E) * (1 + E));
}

static double erf_slope(double x) { return 0x1.20dd750429b6dp+0 * fp_exp(-x * x); }
static double log_slope(double x) { return 1 / x; }
static double sqrt_slope(double x) { return 0.5 / sqrt(x); }
static double rsqrt_slope(double x) { return -0.5 / (x * sqrt(x)); }
static double reciprocal_slope(double x) { return -1 / x / x; }
static double square_slope(double x) { return 2 * x; }
static double square_lo(double x) { return fp_max(0, fp_or_lo(fp_mul_lo(x, x))); }
static double square_up(double x) { return fp_mul_up(x, x); }
static double reciprocal_lo(double x) { return fp_max(0, fp_or_lo(fp_div_lo(1, x))); }
static double reciprocal_up(double x) { return x > 0 ? fp_div_up(1, x) : INFINITY; }
static double rsqrt_lo(double x) { return reciprocal_lo(fp_sqrt_up(x)); }
static double rsqrt_up(double x) { return reciprocal_up(fp_sqrt_lo(x)); }

/* log of a number that is only known to be positive */
static double log_up(double x) { return x > 0 ? fp_log_up(x) : -INFINITY; }

const rob_univariate rob_priv_uni_tanh = {
    fp_tanh_lo, fp_tanh_up, tanh_slope, -INFINITY, 0, 16 * ROB_U, ROB_RISES,
};
const rob_univariate rob_priv_uni_sigmoid = {
    fp_sigmoid_lo, fp_sigmoid_up, sigmoid_slope, -INFINITY, 0, 16 * ROB_U, ROB_RISES,
};
const rob_univariate rob_priv_uni_erf = {
    fp_erf_lo, fp_erf_up, erf_slope, -INFINITY, 0, 1024 * ROB_U, ROB_RISES,
};
const rob_univariate rob_priv_uni_exp = {
    fp_exp_lo, fp_exp_up, fp_exp, -INFINITY, INFINITY, 8 * ROB_U, ROB_RISES,
};
const rob_univariate rob_priv_uni_log = {
    fp_log_lo, log_up, log_slope, 0, -INFINITY, 8 * ROB_U, ROB_RISES,
};
const rob_univariate rob_priv_uni_softplus = {
    fp_softplus_lo, fp_softplus_up, fp_sigmoid, -INFINITY,
    INFINITY,       8 * ROB_U,      ROB_RISES,
};
const rob_univariate rob_priv_uni_sqrt = {
    fp_sqrt_lo, fp_sqrt_up, sqrt_slope, 0, -INFINITY, 8 * ROB_U, ROB_RISES,
};
const rob_univariate rob_priv_uni_rsqrt = {
    rsqrt_lo, rsqrt_up, rsqrt_slope, 0, INFINITY, 8 * ROB_U, ROB_FALLS,
};
const rob_univariate rob_priv_uni_reciprocal = {
    reciprocal_lo, reciprocal_up, reciprocal_slope, 0, INFINITY, 8 * ROB_U, ROB_FALLS,
};
const rob_univariate rob_priv_uni_square = {
    square_lo, square_up, square_slope, -INFINITY, INFINITY, 8 * ROB_U, ROB_EVEN,
};

void rob_priv_plane_flat(rob_planes *p, int32_t ins, int64_t e, double value)
{
    for (int32_t i = 0; i < ins; i++) {
        p->slope[i][e] = 0;
        if (p->touch[i])
            p->touch[i][e] = 0;
    }
    p->offset[e] = value;
}

/* the most the plane can say on the box (about: a choice, not a bound) */
static double best_on_box(bool is_above, int32_t ins, const rob_interval *box,
                          const double *slope, double offset)
{
    double best = is_above ? -offset : offset;
    for (int32_t i = 0; i < ins; i++) {
        double a = is_above ? -slope[i] : slope[i];
        best = best + (a > 0 ? a * box[i].up : a * box[i].lo);
    }
    return best;
}

void rob_priv_plane_put(rob_planes *p, bool is_above, int32_t ins, int64_t e,
                        const rob_interval *box, const double *slope, double offset,
                        const double *touch, double limit)
{
    double best = best_on_box(is_above, ins, box, slope, offset);
    bool usable = isfinite(best) && best > (is_above ? -limit : limit);
    for (int32_t i = 0; i < ins; i++)
        usable = usable && isfinite(slope[i]);
    if (!usable) {
        rob_priv_plane_flat(p, ins, e, limit);
        return;
    }
    for (int32_t i = 0; i < ins; i++) {
        p->slope[i][e] = slope[i];
        if (p->touch[i])
            p->touch[i][e] = touch[i];
    }
    p->offset[e] = offset;
}
