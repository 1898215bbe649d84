/* planes.c -- is a plane below an operator on a box?
 *
 * Everything comes down to
 *
 *     least k f(x) - a x  over [l, u],   f = tanh or sigmoid,
 *
 * f convex left of 0 and concave right of it (k < 0: the other way). Over the concave part
 * the least value is at an end. Over the convex part [p, q], for any t in it,
 *     g(x) >= g(t) + g'(t) (x - t) >= g(t) - max(-d_lo (q - t), d_up (t - p), 0)
 * with g'(t) = k f'(t) - a in [d_lo, d_up]; t is taken where k f'(t) = a, from
 * tanh' = 1 - tanh^2 and sigmoid' = sigmoid (1 - sigmoid), and need not be right.
 *
 *     sigmoid(x) y, blend, x y   affine in the other arguments: their corners
 *     sigmoid(x) tanh(y)         with s = sigmoid(x): m(s) = least of s tanh(y) - b y is
 *                                concave, so above its chord c + k s between two s, and
 *                                c + k sigmoid(x) - a x is the problem above; the
 *                                interval of x is halved until that suffices.
 *
 * Above is below with all signs turned.
 */
#include "check/check.h"

enum { PIECES = 4000 };

typedef struct curve {
    double (*lo)(double), (*up)(double);
    bool is_tanh;
} curve;
static const curve TANH = { fp_tanh_lo, fp_tanh_up, true };
static const curve SIGMOID = { fp_sigmoid_lo, fp_sigmoid_up, false };

static double lesser(double a, double b)
{
    return isnan(a) || a < b ? a : b;
}

/* k f(x) - a x, rounded down */
static double value_at(const curve *f, double k, double a, double x)
{
    if (k == 0 && a == 0) return 0;
    double of_f = k == 0 ? 0 : fp_mul_lo(k, k > 0 ? f->lo(x) : f->up(x));
    return fp_add_lo(of_f, a == 0 ? 0 : -fp_mul_up(a, x));
}

/* f' at t lies in [*lo, *up] */
static void slope_at(const curve *f, double t, double *lo, double *up)
{
    double yl = f->lo(t), yu = f->up(t);
    if (f->is_tanh) {
        double near = yl <= 0 && yu >= 0 ? 0 : fp_min(fabs(yl), fabs(yu));
        double far = fp_max(fabs(yl), fabs(yu));
        *lo = fp_max(fp_add_lo(1, -fp_mul_up(far, far)), 0);
        *up = fp_add_up(1, -fp_mul_lo(near, near));
    } else {
        *lo = fp_max(fp_mul_lo(yl, fp_add_lo(1, -yu)), 0);
        *up = fp_mul_up(yu, fp_add_up(1, -yl));
    }
}

/* The t > 0, about, with f'(t) = r; 0 where there is none */
static double point_of_slope(const curve *f, double r)
{
    if (!(r > 0)) return INFINITY;
    double rest = f->is_tanh ? 1 - r : 1 - 4 * r;
    if (!(rest > 0)) return 0;
    double root = sqrt(rest);
    if (f->is_tanh) return 0.5 * fp_log((1 + root) * (1 + root) / r);
    return fp_log((1 + root) * (1 + root) / (4 * r));
}

/* Over a piece on which k f is convex, one side of 0. */
static double least_convex(const curve *f, double k, double a, double p, double q)
{
    double t = point_of_slope(f, a / k), lo, up;
    if (k > 0) t = -t;
    t = fp_min(fp_max(t, p), q);
    slope_at(f, t, &lo, &up);
    double dl = fp_add_lo(k > 0 ? fp_mul_lo(k, lo) : fp_mul_lo(k, up), -a);
    double du = fp_add_up(k > 0 ? fp_mul_up(k, up) : fp_mul_up(k, lo), -a);
    double lost = 0;
    if (!isfinite(dl) || !isfinite(du)) return NAN;
    if (dl < 0 && q > t) lost = fp_max(fp_mul_up(-dl, fp_add_up(q, -t)), lost);
    if (du > 0 && t > p) lost = fp_max(fp_mul_up(du, fp_add_up(t, -p)), lost);
    return fp_add_lo(value_at(f, k, a, t), -lost);
}

/* Below k f(x) - a x on [l, u]; a NaN is below nothing and is returned. */
static double least(const curve *f, double k, double a, double l, double u)
{
    double at_ends = lesser(value_at(f, k, a, l), value_at(f, k, a, u));
    if (isnan(at_ends) || l == u || k == 0) return at_ends;
    double p = k > 0 ? l : fp_max(l, 0), q = k > 0 ? fp_min(u, 0) : u;
    if (!(p < q)) return at_ends;
    return lesser(least_convex(f, k, a, p, q), at_ends);
}

/* ---- one operator each: is the least of sign (phi - slope.z) at least `want`? ---- */

typedef struct question {
    const rob_check_box *box;
    const double *slope;
    double sign, want;
} question;

static bool holds_one(const curve *f, const question *q)
{
    return least(f, q->sign, q->sign * q->slope[0], q->box->lo, q->box->up) >= q->want;
}

static bool holds_tanh(const question *q) { return holds_one(&TANH, q); }
static bool holds_sigmoid(const question *q) { return holds_one(&SIGMOID, q); }

/* Straight but at 0. */
static bool holds_relu(const question *q)
{
    const double at[3] = { q->box->lo, q->box->up, 0 };
    for (int i = 0; i < 3; i++) {
        double x = at[i], y = q->sign * (x > 0 ? x : 0), a = q->sign * q->slope[0];
        if (i == 2 && !(q->box->lo < 0 && q->box->up > 0)) continue;
        if (!(fp_add_lo(y, -fp_mul_up(a, x)) >= q->want)) return false;
    }
    return true;
}

static double end_of(const rob_check_box *box, int i) { return i ? box->up : box->lo; }

static bool holds_mul(const question *q)
{
    for (int i = 0; i < 4; i++) {
        double x = end_of(&q->box[0], i & 1), y = end_of(&q->box[1], i >> 1);
        double v = fp_mul_lo(q->sign * x, y);
        v = fp_add_lo(v, -fp_mul_up(q->sign * q->slope[0], x));
        v = fp_add_lo(v, -fp_mul_up(q->sign * q->slope[1], y));
        if (!(v >= q->want)) return false;
    }
    return true;
}

static bool holds_sigmul(const question *q)
{
    for (int i = 0; i < 2; i++) {
        double y = end_of(&q->box[1], i);
        double v = least(&SIGMOID, q->sign * y, q->sign * q->slope[0], q->box->lo,
                         q->box->up);
        v = fp_add_lo(v, -fp_mul_up(q->sign * q->slope[1], y));
        if (!(v >= q->want)) return false;
    }
    return true;
}

/* n + s (h - n) - a z - b n - c h, s = sigmoid z: k = h - n is rounded, s <= 1 pays */
static bool holds_blend(const question *q)
{
    for (int i = 0; i < 4; i++) {
        double n = end_of(&q->box[1], i & 1), h = end_of(&q->box[2], i >> 1);
        double k = h - n, v = least(&SIGMOID, q->sign * k, q->sign * q->slope[0],
                                    q->box->lo, q->box->up);
        v = fp_add_lo(v, -(fabs(k) * ROB_U + ROB_TINY));
        v = fp_add_lo(v, q->sign * n);
        v = fp_add_lo(v, -fp_mul_up(q->sign * q->slope[1], n));
        v = fp_add_lo(v, -fp_mul_up(q->sign * q->slope[2], h));
        if (!(v >= q->want)) return false;
    }
    return true;
}

/* m(s), rounded down, at a number s in [0, 1] */
static double inner(const question *q, double s)
{
    return least(&TANH, q->sign * s, q->sign * q->slope[1], q->box[1].lo, q->box[1].up);
}

/* On x in [l, u] alone, by the chord. */
static bool holds_on_piece(const question *q, double l, double u)
{
    double s = fp_sigmoid_lo(l), t = fp_sigmoid_up(u);
    double at_s = inner(q, s), at_t = inner(q, t);
    double k = t > s ? (at_t - at_s) / (t - s) : 0;
    if (!isfinite(k)) k = 0;
    double c = lesser(fp_add_lo(at_s, -fp_mul_up(k, s)), fp_add_lo(at_t, -fp_mul_up(k, t)));
    return fp_add_lo(least(&SIGMOID, k, q->sign * q->slope[0], l, u), c) >= q->want;
}

static bool holds_sigtanh(const question *q)
{
    double end[64];               /* of the pieces to the right still open */
    int open = 1;
    double l = q->box->lo;
    end[0] = q->box->up;
    for (int pieces = 0; open > 0; pieces++) {
        double u = end[open - 1], middle = l + (u - l) / 2;
        if (holds_on_piece(q, l, u)) {
            l = u;
            open--;
        } else if (open == 64 || pieces > PIECES || !(middle > l && middle < u)) {
            return false;
        } else {
            end[open++] = middle;
        }
    }
    return true;
}

static const struct {
    int32_t op;
    bool (*holds)(const question *q);
} RULES[] = {
    { ROB_OP_tanh, holds_tanh },     { ROB_OP_sigmoid, holds_sigmoid },
    { ROB_OP_relu, holds_relu },     { ROB_OP_mul, holds_mul },
    { ROB_OP_sigmul, holds_sigmul }, { ROB_OP_sigtanh, holds_sigtanh },
    { ROB_OP_blend, holds_blend },
};

bool rob_priv_check_plane(const rob_node *n, const rob_check_box *box,
                          const double *slope, double offset, bool above)
{
    const question q = { box, slope, above ? -1 : 1, above ? -offset : offset };
    for (int32_t i = 0; i < n->ins; i++)
        if (!isfinite(box[i].lo) || !isfinite(box[i].up) || !(box[i].lo <= box[i].up)
            || !isfinite(slope[i]))
            return false;
    for (int64_t i = 0; i < COUNT_OF(RULES); i++)
        if (RULES[i].op == n->op->id) return isfinite(offset) && RULES[i].holds(&q);
    return false;
}
