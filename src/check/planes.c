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
 *     max(x, y), relu            straight in pieces: their corners
 *     sigmoid(x) tanh(y)         with s = sigmoid(x): m(s) = least of s tanh(y) - b y is
 *                                concave, so above its chord c + k s between two s, and
 *                                c + k sigmoid(x) - a x is the problem above; the
 *                                interval of x is halved until that suffices.
 *
 *     gelu                       between the ends of a piece of length h the function is at
 *                                most max f'' h^2 / 8 below its chord; f'' is enclosed on the
 *                                piece, which is halved until that suffices.
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

double rob_priv_check_sigmoid(double k, double a, double l, double u)
{
    return least(&SIGMOID, k, a, l, u);
}

/* ---- one operator each: is the least of sign (phi - slope.z) at least `want`? ---- */

typedef struct question {
    const rob_check_box *box;
    const double *slope;
    double sign, want;
    bool by_tanh;                 /* which gelu */
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

/* Straight on both sides of x = y: corners, and where that line leaves the box. */
static bool holds_max(const question *q)
{
    const rob_check_box *x = &q->box[0], *y = &q->box[1];
    const double first = fp_max(x->lo, y->lo), last = fp_min(x->up, y->up);
    const double at[6][2] = { { x->lo, y->lo }, { x->lo, y->up }, { x->up, y->lo },
                              { x->up, y->up }, { first, first }, { last, last } };
    for (int i = 0; i < (first <= last ? 6 : 4); i++) {
        double v = q->sign * fp_max(at[i][0], at[i][1]);
        for (int k = 0; k < 2; k++)
            v = fp_add_lo(v, -fp_mul_up(q->sign * q->slope[k], at[i][k]));
        if (!(v >= q->want)) return false;
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

/* The first box's interval, halved where `holds` says no. */
static bool holds_on_pieces(const question *q,
                            bool (*holds)(const question *q, double l, double u))
{
    double end[64];               /* of the pieces to the right still open */
    int open = 1;
    double l = q->box->lo;
    end[0] = q->box->up;
    for (int pieces = 0; open > 0; pieces++) {
        double u = end[open - 1], middle = l + (u - l) / 2;
        if (holds(q, l, u)) {
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

static bool holds_sigtanh(const question *q) { return holds_on_pieces(q, holds_on_piece); }

/* ---- gelu: x Phi(x), or x sigmoid(z), z = a x (1 + c x^2) ------------------------- */

static const double A = 0x1.9884533d43651p+0, C = 0.044715;

/* A number >= 0 and its enclosure, for |x| */
static rob_check_box z_of(double x)
{
    double square = fp_max(fp_mul_lo(x, x), 0);
    return (rob_check_box){
        fp_max(fp_mul_lo(fp_mul_lo(A, x), fp_add_lo(1, fp_mul_lo(C, square))), 0),
        fp_mul_up(fp_mul_up(A, x), fp_add_up(1, fp_mul_up(C, fp_mul_up(x, x))))
    };
}

/* The normal density. */
static double bell_up(double x)
{
    return fp_mul_up(0x1.9884533d43652p-2, fp_exp_up(-0.5 * fp_mul_lo(x, x)));
}

static double bell_lo(double x)
{
    return fp_mul_lo(0x1.9884533d43650p-2, fp_max(fp_exp_lo(-0.5 * fp_mul_up(x, x)), 0));
}

/* The share of x. Far out on the left Phi is told by Mills: phi (1/|x| - 1/|x|^3) < Phi
 * < phi/|x|. */
static rob_check_box share_at(bool by_tanh, double x)
{
    const double size = fabs(x);
    rob_check_box s;
    if (by_tanh) {
        rob_check_box z = z_of(size);
        s = x < 0 ? (rob_check_box){ fp_sigmoid_lo(-z.up), fp_sigmoid_up(-z.lo) }
                  : (rob_check_box){ fp_sigmoid_lo(z.lo), fp_sigmoid_up(z.up) };
    } else {
        double lo = fp_mul_lo(size, 0x1.6a09e667f3bccp-1), up = fp_mul_up(size, 0x1.6a09e667f3bcdp-1);
        rob_check_box t = { x < 0 ? -up : lo, x < 0 ? -lo : up };
        s = (rob_check_box){ 0.5 * fp_add_lo(1, fp_erf_lo(t.lo)),
                             0.5 * fp_add_up(1, fp_erf_up(t.up)) };
        if (x < -1) {
            double cube = fp_mul_lo(size, fp_mul_lo(size, size));
            double low = fp_add_lo(fp_div_lo(bell_lo(size), size),
                                   -fp_div_up(bell_up(size), cube));
            s.lo = fp_max(s.lo, low);
            s.up = fp_min(s.up, fp_div_up(bell_up(size), size));
        }
    }
    return (rob_check_box){ fp_max(s.lo, 0), fp_min(s.up, 1) };
}

/* sign gelu(x) - a x, rounded down */
static double gelu_at(const question *q, double a, double x)
{
    rob_check_box s = share_at(q->by_tanh, x);
    double y = fp_mul_lo(q->sign * x, q->sign * x > 0 ? s.lo : s.up);
    return fp_add_lo(y, -fp_mul_up(a, x));
}

/* phi(x) (2 - x^2), and minus it, at most, for |x| in [near, far] */
static double bend_of_phi(bool above, double near, double far)
{
    double rest = above ? fp_add_up(fp_mul_up(far, far), -2) : fp_add_up(2, -fp_mul_lo(near, near));
    return fp_mul_up(bell_up(near), fp_max(rest, 0));
}

/* sigmoid'(z) (2 z' + x z'' - x z'^2 tanh(z/2)): the first two rise with |x|, as the third */
static double bend_of_sigmoid(bool above, double near, double far)
{
    double factor = fp_mul_up(fp_sigmoid_up(z_of(near).up), fp_sigmoid_up(-z_of(near).lo));
    double x = above ? near : far, y = above ? far : near;
    double first = 2 * A * (1 + 6 * C * x * x) * (1 + (above ? -16 : 16) * ROB_U);
    double slope = A * (1 + 3 * C * y * y);
    double t = above ? fp_tanh_up(0.5 * z_of(y).up) : fp_max(fp_tanh_lo(0.5 * z_of(y).lo), 0);
    double second = y * slope * slope * t * (1 + (above ? 24 : -24) * ROB_U);
    double rest = above ? fp_add_up(second, -first) : fp_add_up(first, -second);
    return fp_mul_up(fp_min(factor, 0.25), fp_max(rest, 0));
}

/* On [l, u]: the chord of sign gelu(x) - a x, less what the function may bend below it,
 * f'' h^2 / 8. */
static bool gelu_holds_on(const question *q, double a, double l, double u)
{
    double near = l > 0 ? l : u < 0 ? -u : 0, far = fp_max(fabs(l), fabs(u));
    double bend = (q->by_tanh ? bend_of_sigmoid : bend_of_phi)(q->sign < 0, near, far);
    double h = fp_add_up(u, -l), sag = fp_mul_up(fp_mul_up(bend, fp_mul_up(h, h)), 0.125);
    return fp_add_lo(lesser(gelu_at(q, a, l), gelu_at(q, a, u)), -sag) >= q->want;
}

static bool gelu_piece(const question *q, double l, double u)
{
    return gelu_holds_on(q, q->sign * q->slope[0], l, u);
}

static bool holds_gelu(const question *q) { return holds_on_pieces(q, gelu_piece); }

static const struct {
    int32_t op;
    bool (*holds)(const question *q);
} RULES[] = {
    { ROB_OP_tanh, holds_tanh },     { ROB_OP_sigmoid, holds_sigmoid },
    { ROB_OP_relu, holds_relu },     { ROB_OP_mul, holds_mul },
    { ROB_OP_sigmul, holds_sigmul }, { ROB_OP_sigtanh, holds_sigtanh },
    { ROB_OP_blend, holds_blend },   { ROB_OP_gelu, holds_gelu },
    { ROB_OP_max, holds_max },
};

bool rob_priv_check_plane(const rob_node *n, const rob_check_box *box,
                          const double *slope, double offset, bool above)
{
    const question q = { box, slope, above ? -1 : 1, above ? -offset : offset,
                         n->attr.i[0] != 0 };
    for (int32_t i = 0; i < n->ins; i++)
        if (!isfinite(box[i].lo) || !isfinite(box[i].up) || !(box[i].lo <= box[i].up)
            || !isfinite(slope[i]))
            return false;
    for (int64_t i = 0; i < COUNT_OF(RULES); i++)
        if (RULES[i].op == n->op->id) return isfinite(offset) && RULES[i].holds(&q);
    return false;
}
