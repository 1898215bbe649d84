/* plane_norm.c -- planes below and above y_i = x_i u(v), u = v^(-1/2),
 * v = (sum_j x_j^2) / n + eps, on the box l <= x <= u.
 *
 * With centres and radii x_i = c +- r, u = u_c +- u_r, a mixture g in [-1, 1]:
 *     x u >= (u_c + g u_r) x + (c + g r) u - c u_c - g (u_r c + r u_c) - r u_r.
 * X = c + g r multiplies u: below it is a line of u in v as the sign of X asks, slope
 * alpha < 0, so X alpha v needs v above where X > 0 and below where X < 0:
 *     v <= <rho, x> + sum max(l (l - n rho_j), u (u - n rho_j)) / n + eps    (chords)
 *     v >= <rho, x> - sum (n rho_j)^2 / (4 n) + eps                          (tangents)
 * for any rho; near (l + u) / n both are tight. So the plane is
 *     slope_i x_i - left_i <rho, x> + offset_i,  slope = u_c + g u_r, left = -X alpha.
 * Above: minus the plane below (-x_i) u. |y_i| <= sqrt n cuts where that is better.
 * Reference: docs/theory/operators.md 5; McCormick, Math. Programming 10 (1976).
 */
#include "op/plane.h"

typedef struct row {
    int64_t n;
    const double *lo, *up, *rho;
    double count;                 /* n as a double */
    rob_interval v, u;            /* their ranges */
    double over, under;           /* v - <rho, x> is at most, at least */
    double centre, radius;        /* of u */
    rob_line line[2];             /* of u in v: below, above */
    double reach;                 /* sum |rho_j| max|x_j|, up */
    double ends[2];               /* least and most of <rho, x>, near */
} row;

static double size_of(rob_interval x) { return fp_max(fabs(x.lo), fabs(x.up)); }

static void centre_of(rob_interval x, double *centre, double *radius)
{
    *centre = fp_min(fp_max(0.5 * x.lo + 0.5 * x.up, x.lo), x.up);
    *radius = fp_max(fp_up(x.up - *centre), fp_up(*centre - x.lo));
    if (x.lo == x.up) *radius = 0;
}

/* x^2 - (n rho) x on [l, u]: its largest value, at an end, rounded up */
static double above_chord(const row *r, int64_t j)
{
    double most = -INFINITY, end[2] = { r->lo[j], r->up[j] };
    for (int k = 0; k < 2; k++) {
        double x = end[k], p = fp_mul_up(x, x), n = r->count;
        double q = x >= 0 ? fp_mul_lo(fp_mul_lo(n, r->rho[j]), x)
                          : -fp_mul_up(fp_mul_up(n, r->rho[j]), -x);
        most = fp_max(most, fp_add_up(p, -q));
    }
    return most;
}

static void bound_v(row *r)
{
    double over = 0, under = 0;
    r->reach = 0;
    r->ends[0] = r->ends[1] = 0;
    for (int64_t j = 0; j < r->n; j++) {
        rob_interval x = { r->lo[j], r->up[j] };
        double d = fp_mul_up(fabs(r->rho[j]), r->count);
        over = fp_add_up(over, above_chord(r, j));
        under = fp_add_up(under, 0.25 * fp_mul_up(d, d));
        r->reach = fp_add_up(r->reach, fp_mul_up(fabs(r->rho[j]), size_of(x)));
        double a = r->rho[j] * x.lo, b = r->rho[j] * x.up;
        r->ends[0] += fp_min(a, b);
        r->ends[1] += fp_max(a, b);
    }
    r->over = fp_div_up(over, r->count);
    r->under = -fp_div_up(under, r->count);
}

/* the range of v on the box, without eps */
static rob_interval squares_of(const row *r)
{
    rob_interval v = { 0, 0 };
    for (int64_t j = 0; j < r->n; j++) {
        double l = r->lo[j], u = r->up[j], near = l > 0 ? l : u < 0 ? u : 0;
        double far = fp_max(fabs(l), fabs(u));
        v.lo = fp_add_lo(v.lo, fp_max(0, fp_mul_lo(near, near)));
        v.up = fp_add_up(v.up, fp_mul_up(far, far));
    }
    return (rob_interval){ fp_max(0, fp_div_lo(v.lo, r->count)),
                           fp_div_up(v.up, r->count) };
}

/* mean: what is known of (sum_j x_j^2) / n beside the box */
static bool prepare(row *r, double eps, double *rho, rob_interval mean)
{
    for (int64_t j = 0; j < r->n; j++) rho[j] = (r->lo[j] + r->up[j]) / r->count;
    r->rho = rho;
    bound_v(r);
    rob_interval v = squares_of(r);
    v = (rob_interval){ fp_max(v.lo, mean.lo), fp_min(v.up, mean.up) };
    if (v.lo > v.up) return false;
    r->v = (rob_interval){ fp_max(eps, fp_add_lo(v.lo, eps)), fp_add_up(v.up, eps) };
    r->over = fp_add_up(r->over, eps);
    r->under = fp_add_lo(r->under, eps);
    const rob_univariate *f = &rob_priv_uni_rsqrt;
    r->u = (rob_interval){ f->lo(r->v.up), f->up(r->v.lo) };
    centre_of(r->u, &r->centre, &r->radius);
    for (int side = 0; side < 2; side++)
        r->line[side] = rob_priv_uni_line(f, side == 1, r->v, NULL);
    return isfinite(r->u.up) && isfinite(r->over) && isfinite(r->reach)
           && isfinite(r->line[0].offset) && isfinite(r->line[1].offset);
}

/* g = 1 - 2 theta; -1: exact where the row is least, which is where bounds are taken */
static double mixture(const double *theta)
{
    return theta != NULL ? fp_min(1, fp_max(-1, 1 - 2 * *theta)) : -1;
}

typedef struct plane { double slope, left, offset; } plane;

/* X u >= X (alpha v + eta) >= -left <rho, x> + what is returned */
static double through_u(const row *r, double X, double *left)
{
    const rob_line *u = &r->line[X < 0];
    double v = X >= 0 ? r->over : r->under, c = fp_max(0, -u->slope);
    if (u->slope > 0) return -INFINITY;
    rob_interval exact = { fp_mul_lo(X, c), fp_mul_up(X, c) };
    *left = X * c;
    double off = fp_max(fp_add_up(exact.up, -*left), fp_add_up(*left, -exact.lo));
    double o = fp_add_lo(fp_mul_lo(X, u->offset),
                         -fp_max(fp_mul_up(exact.lo, v), fp_mul_up(exact.up, v)));
    return fp_add_lo(o, -fp_mul_up(off, r->reach));
}

static plane below(const row *r, rob_interval x, double g)
{
    double c, d, X;
    plane p;
    centre_of(x, &c, &d);
    /* any X in the place of c + g d: (X - c - g d) u is what that changes */
    X = c + g * d;
    rob_interval off = {
        fp_add_lo(fp_add_lo(c, -X), fp_mul_lo(g, d)),
        fp_add_up(fp_add_up(c, -X), fp_mul_up(g, d)),
    };
    p.slope = r->centre + g * r->radius;
    rob_interval tilt = {
        fp_add_lo(fp_add_lo(r->centre, -p.slope), fp_mul_lo(g, r->radius)),
        fp_add_up(fp_add_up(r->centre, -p.slope), fp_mul_up(g, r->radius)),
    };
    double lost = fp_add_up(fp_mul_up(size_of(off), r->u.up),
                            fp_mul_up(size_of(tilt), size_of(x)));
    rob_interval cross = { fp_mul_lo(r->radius, c), fp_mul_up(r->radius, c) };
    rob_interval other = { fp_mul_lo(d, r->centre), fp_mul_up(d, r->centre) };
    double sum = fp_max(fp_mul_up(g, fp_add_up(cross.up, other.up)),
                        fp_mul_up(g, fp_add_lo(cross.lo, other.lo)));
    double o = fp_add_lo(-fp_mul_up(c, r->centre), -sum);
    o = fp_add_lo(o, -fp_mul_up(d, r->radius));
    o = fp_add_lo(o, -lost);
    p.offset = fp_or_lo(fp_add_lo(o, through_u(r, X, &p.left)));
    return p;
}

/* about the most the plane says on the box */
static double best_on_box(const row *r, rob_interval x, const plane *p)
{
    double own = p->slope >= 0 ? p->slope * x.up : p->slope * x.lo;
    return p->offset + own - p->left * (p->left >= 0 ? r->ends[0] : r->ends[1]);
}

static void store(rob_planes *to, int64_t e, const plane *p, double sign, double limit)
{
    bool usable = isfinite(p->offset) && isfinite(p->slope) && isfinite(p->left);
    to->slope[0][e] = usable ? p->slope : 0;
    to->left[e] = usable ? sign * p->left : 0;
    to->offset[e] = usable ? sign * p->offset : limit;
}

static void relax_row(row *r, double eps, rob_interval mean, const double *theta,
                      int64_t first, rob_planes *low, rob_planes *high)
{
    bool fine = prepare(r, eps, low->right + first, mean);
    const plane none = { 0, 0, -INFINITY };
    for (int64_t i = 0; i < r->n; i++) {
        int64_t e = first + i;
        rob_interval x = { r->lo[i], r->up[i] }, mirror = { -x.up, -x.lo };
        double least = low->offset[e], most = high->offset[e];
        high->right[e] = low->right[e];
        if (!fine) low->right[e] = high->right[e] = 0;
        plane p = fine ? below(r, x, mixture(theta ? theta + 2 * i : NULL)) : none;
        if (!(best_on_box(r, x, &p) > least)) p = none;
        store(low, e, &p, 1, least);
        p = fine ? below(r, mirror, mixture(theta ? theta + 2 * i + 1 : NULL)) : none;
        if (!(best_on_box(r, mirror, &p) > -most)) p = none;
        store(high, e, &p, -1, most);
    }
}

void rob_priv_rmsnorm_relax_within(const rob_node *n, const rob_range *in,
                                   const rob_range *mean, const double *theta,
                                   rob_planes *low, rob_planes *high)
{
    const rob_interval all = { 0, INFINITY };
    int64_t cols = rob_priv_shape_cols(&n->shape);
    rob_range out = { n->shape, low->offset, high->offset };
    n->op->interval(n, in, 0, &out);
    for (int64_t first = 0; first < low->count; first += cols) {
        row r = { .n = cols, .lo = in->lo + first, .up = in->up + first,
                  .count = (double)cols };
        rob_interval own = mean ? rob_priv_range_at(mean, first / cols) : all;
        relax_row(&r, n->attr.x[0], own, theta ? theta + 2 * first : NULL, first, low,
                  high);
    }
}

void rob_priv_rmsnorm_relax(const rob_node *n, const rob_range *in, const double *theta,
                            rob_planes *low, rob_planes *high)
{
    rob_priv_rmsnorm_relax_within(n, in, NULL, theta, low, high);
}

/* x^2 - n rho x over the box, summed and divided by n: for rho near (l + u) / n */
rob_interval rob_priv_rmsnorm_rest(int64_t n, const double *lo, const double *up,
                                   const double *rho)
{
    row r = { .n = n, .lo = lo, .up = up, .rho = rho, .count = (double)n };
    bound_v(&r);
    return (rob_interval){ fp_or_lo(r.under), fp_or_up(r.over) };
}
