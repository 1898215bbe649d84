/* plane_line.c -- lines below and above a function of one variable on an interval.
 *
 * Let f be convex on [l, c] and concave on [c, u] (an S shape; c = +-inf: one of the
 * two). Line below, slope a:  min f(x) - a x over the concave part is at one of its
 * ends; over the convex part, for any p there and any d in it, f(x) - a x >= f(p) - a p
 * + (f'(p) - a)(x - p), so with f'(p) enclosed the minimum is bounded by  f_lo(p) - a p
 * minus what the slope can be off times the distance to the far end. No claim about
 * where the minimum lies enters.
 *
 * The slope: convex on the whole interval: tangent at the midpoint. Concave: the chord.
 * Both: tangent at the midpoint when it stays below f(u), else the tangent through the
 * far end (u, f(u)), else the chord. Lines above: the same for -f(-x), whose bend is
 * -c.
 *
 * Reference: Zhang et al., CROWN, NeurIPS 2018, 3.2; docs/theory/relax.md 2.
 */
#include "op/plane.h"

/* f or x -> -f(-x) */
typedef struct shape_of {
    const rob_univariate *f;
    bool mirrored;
    double bend;
} shape_of;

static double value_lo(shape_of s, double x)
{
    return s.mirrored ? -s.f->up(-x) : s.f->lo(x);
}

static double value_near(shape_of s, double x)
{
    return s.mirrored ? -s.f->lo(-x) : s.f->lo(x);
}

static double slope_near(shape_of s, double x)
{
    return s.f->slope(s.mirrored ? -x : x);
}

static double middle(double l, double u)
{
    return fp_min(fp_max(0.5 * l + 0.5 * u, l), u);
}

/* > 0: the tangent at d passes above f(u) = end */
static double overshoot(shape_of s, double d, double u, double end)
{
    return value_near(s, d) + slope_near(s, d) * (u - d) - end;
}

/* the last d in [l, r] whose tangent does not overshoot; it does not at l, it does at r
 */
static double last_valid_tangent(shape_of s, double l, double r, double u, double end)
{
    double low = overshoot(s, l, u, end), high = overshoot(s, r, u, end);
    for (int k = 0; k < 40 && r - l > 1e-6 * (u - l); k++) {
        double d = l - low * (r - l) / (high - low);
        if (k % 3 == 2 || !(d > l && d < r))
            d = middle(l, r);
        double h = overshoot(s, d, u, end);
        if (h <= 0) {
            l = d;
            low = h;
        } else {
            r = d;
            high = h;
        }
    }
    return l;
}

static rob_line chord(shape_of s, double l, double u)
{
    double a = (value_near(s, u) - value_near(s, l)) / (u - l);
    if (!(u - l > 1e-7 * (1 + fabs(l) + fabs(u))))
        a = slope_near(s, middle(l, u));
    return (rob_line){ .slope = a, .touch = l };
}

static rob_line tangent(shape_of s, double p)
{
    return (rob_line){ .slope = slope_near(s, p), .touch = p };
}

/* 0: l, 1/2: the default point p, 1: the last valid point r */
static double between(double l, double p, double r, double theta)
{
    double x = theta <= 0.5 ? l + 2 * theta * (p - l) : p + (2 * theta - 1) * (r - p);
    return fp_min(fp_max(x, l), r);
}

static rob_line choose(shape_of s, double l, double u, const double *theta)
{
    double m = middle(l, u), r = fp_min(u, s.bend), end;
    if (l >= s.bend)
        return chord(s, l, u);
    if (u <= s.bend)
        return tangent(s, theta ? between(l, m, u, *theta) : m);
    end = value_near(s, u);
    if (!theta && m <= s.bend && overshoot(s, m, u, end) <= 0)
        return tangent(s, m);
    if (!(overshoot(s, l, u, end) < 0))
        return chord(s, l, u);
    if (overshoot(s, r, u, end) > 0)
        r = last_valid_tangent(s, l, r, u, end);
    m = fp_min(m, r);
    return tangent(s, theta ? between(l, m, r, *theta) : m);
}

/* f_lo(x) - a x, rounded down */
static double height(shape_of s, double a, double x)
{
    return fp_add_lo(value_lo(s, x), -fp_mul_up(a, x));
}

/* min over [l, m], f convex there, from its tangent at p */
static double least_of_convex(shape_of s, double a, double l, double m, double p)
{
    double d = slope_near(s, p), blur = fabs(d) * s.f->blur + ROB_TINY;
    if (!isfinite(d))
        return -INFINITY;
    double down = fp_min(0, fp_lo((d - blur) - a)),
           up = fp_max(0, fp_up((d + blur) - a));
    /* d - blur is itself rounded: blur is taken twice what the proofs give */
    double right = fp_mul_up(-down, fp_up(m - p)), left = fp_mul_up(up, fp_up(p - l));
    return fp_or_lo(fp_lo(height(s, a, p) - fp_max(right, left)));
}

static void settle(shape_of s, rob_line *line, double l, double u)
{
    double a = line->slope, best = INFINITY, m = fp_min(u, s.bend);
    if (l < s.bend) {
        double p = fp_min(fp_max(line->touch, l), m);
        best = least_of_convex(s, a, l, m, p);
        line->touch = p;
    }
    double end[2] = { l, u };
    for (int k = l < s.bend ? 1 : 0; k < 2 && u > s.bend; k++) {
        double h = fp_or_lo(height(s, a, end[k]));
        if (h < best) {
            best = h;
            line->touch = end[k];
        }
    }
    line->offset = best;
}

static rob_line solve(const rob_univariate *f, bool above, rob_interval box,
                      const double *theta, bool with_offset)
{
    shape_of s = { f, above, above ? -f->bend : f->bend };
    double l = above ? -box.up : box.lo, u = above ? -box.lo : box.up;
    rob_line line = choose(s, l, u, theta);
    if (with_offset)
        settle(s, &line, l, u);
    if (above) {
        line.offset = -line.offset;
        line.touch = -line.touch;
    }
    return line;
}

rob_line rob_priv_uni_direction(const rob_univariate *f, bool above, rob_interval box,
                                const double *theta)
{
    return solve(f, above, box, theta, false);
}

rob_line rob_priv_uni_line(const rob_univariate *f, bool above, rob_interval box,
                           const double *theta)
{
    return solve(f, above, box, theta, true);
}

/* ---- whole arrays ---------------------------------------------------------------- */

static rob_interval image(const rob_univariate *f, rob_interval x)
{
    double l = fp_max(x.lo, f->from), u = fp_max(x.up, f->from);
    if (x.up < f->from)
        return (rob_interval){ -INFINITY, INFINITY };
    if (f->course == ROB_EVEN) {
        double near = l > 0 ? l : u < 0 ? -u : 0;
        u = fp_max(-l, u);
        l = near;
    }
    return f->course == ROB_FALLS
        ? (rob_interval){ fp_or_lo(f->lo(u)), fp_or_up(f->up(l)) }
        : (rob_interval){ fp_or_lo(f->lo(l)), fp_or_up(f->up(u)) };
}

void rob_priv_uni_interval(const rob_univariate *f, const rob_range *in, rob_range *out)
{
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval y = image(f, rob_priv_range_at(in, e));
        rob_priv_range_put(out, e, y.lo, y.up);
    }
}

static void store(const rob_univariate *f, bool above, rob_interval box, double limit,
                  const double *theta, int64_t e, rob_planes *out)
{
    rob_line line = rob_priv_uni_line(f, above, box, theta);
    rob_priv_plane_put(out, above, 1, e, &box, &line.slope, line.offset, &line.touch,
                       limit);
}

void rob_priv_uni_relax(const rob_univariate *f, const rob_range *in,
                        const double *theta, rob_planes *below, rob_planes *above)
{
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval box = rob_priv_range_at(in, e), y = image(f, box);
        box.lo = fp_max(box.lo, f->from);
        if (!isfinite(box.lo) || !isfinite(box.up) || box.lo > box.up) {
            rob_priv_plane_flat(below, 1, e, y.lo);
            rob_priv_plane_flat(above, 1, e, y.up);
            continue;
        }
        store(f, false, box, y.lo, theta ? theta + 2 * e : NULL, e, below);
        store(f, true, box, y.up, theta ? theta + 2 * e + 1 : NULL, e, above);
    }
}
