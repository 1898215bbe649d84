/* plane_steep.c -- ranges of partial derivatives over a box, rounded outward.
 *
 * f convex left of its bend and concave right of it: f' rises to the bend and falls behind
 * it, so on [l, u] it is least at an end and largest at the point nearest to the bend.
 *
 *   sigmoid(a) tanh(b)       sigmoid'(a) tanh(b),       sigmoid(a) tanh'(b)
 *   sigmoid(a) b             sigmoid'(a) b,             sigmoid(a)
 *   n + sigmoid(z) (h - n)   sigmoid'(z) (h - n),       sigmoid(-z),   sigmoid(z)
 *   relu, max, abs           all between the slopes on both sides of a kink in the box
 *
 * where each factor takes its own range: exact for one factor, and for two that depend on
 * different arguments of the box. docs/theory/orders.md 1.
 */
#include "op/plane.h"

rob_interval rob_priv_uni_steep(const rob_univariate *f, rob_interval x)
{
    const double turn = fp_min(fp_max(f->bend, x.lo), x.up);
    const double a = f->slope(x.lo), b = f->slope(x.up), c = f->slope(turn);
    const double low = fp_min(a, b), high = fp_max(fp_max(a, b), c);
    rob_interval s = { fp_lo(low - 2 * f->blur * fabs(low)),
                       fp_up(high + 2 * f->blur * fabs(high)) };
    if (isnan(a) || isnan(b) || isnan(c)) s = (rob_interval){ -INFINITY, INFINITY };
    if (f->course == ROB_RISES) s.lo = fp_max(s.lo, 0);
    return s;
}

void rob_priv_steep_one(const rob_univariate *f, const rob_range *in, rob_range *out)
{
    const int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval s = rob_priv_uni_steep(f, rob_priv_range_at(in, e));
        rob_priv_range_put(out, e, s.lo, s.up);
    }
}

void rob_priv_steep_kink(double below, double above, rob_interval x, int64_t e,
                         rob_range *out)
{
    rob_priv_range_put(out, e, x.lo > 0 ? above : below, x.up < 0 ? below : above);
}

static rob_interval sigmoid_of(rob_interval x)
{
    return (rob_interval){ fp_sigmoid_lo(x.lo), fp_sigmoid_up(x.up) };
}

static rob_interval tanh_of(rob_interval x)
{
    return (rob_interval){ fp_tanh_lo(x.lo), fp_tanh_up(x.up) };
}

rob_interval rob_priv_steep_sigtanh(int32_t i, rob_interval a, rob_interval b)
{
    return i == 0 ? rob_priv_range_product(rob_priv_uni_steep(&rob_priv_uni_sigmoid, a),
                                           tanh_of(b))
                  : rob_priv_range_product(sigmoid_of(a),
                                           rob_priv_uni_steep(&rob_priv_uni_tanh, b));
}

rob_interval rob_priv_steep_sigmul(int32_t i, rob_interval a, rob_interval b)
{
    return i == 0 ? rob_priv_range_product(rob_priv_uni_steep(&rob_priv_uni_sigmoid, a), b)
                  : sigmoid_of(a);
}

rob_interval rob_priv_steep_blend(int32_t i, rob_interval z, rob_interval n, rob_interval h)
{
    rob_interval apart = { fp_add_lo(h.lo, -n.up), fp_add_up(h.up, -n.lo) };
    if (i == 2) return sigmoid_of(z);
    if (i == 1) return sigmoid_of((rob_interval){ -z.up, -z.lo });
    return rob_priv_range_product(rob_priv_uni_steep(&rob_priv_uni_sigmoid, z), apart);
}
