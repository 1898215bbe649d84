/* plane_gelu.c -- gelu(x) = x Phi(x), or x sigmoid(a x (1 + c x^2)), over ranges.
 *
 * Both fall up to a turn m < 0, where they are least, and rise behind it:
 *     Phi form   m = -0.75179152469356446, least value -0.16997120747990367
 *     tanh form  m = -0.75246142207101622, least value -0.17004075057125405
 * (computed at 40 digits; ends below are moved outward from these). So a range has its
 * largest value at an end, and its least at the end nearer to m or at m.
 *
 * Lines. |f''| < C = 0.8 in both forms: phi(x) |2 - x^2| <= 2 phi(0) = 0.7979; for the tanh
 * form, with z = a x (1 + c x^2), f'' = sigmoid'(z) (2 z' + x z'' - x z'^2 tanh(z/2)), where
 * the first two are at most a/2 = 0.7979 since sech^2(z/2) <= 1/(1 + a^2 x^2/4), and the sum
 * is above -0.12 (cells of 1e-4 on [0, 4]; behind, x z'^2 e^-z < 0.002 and falling). f is
 * concave where |x| >= 1.42 and convex where |x| <= 1.37. So on a piece of length h, f is at
 * most C h^2/8 below its chord, not at all where it is concave, and over a box of pieces
 *     min f(x) - s x  >=  min over the points of f(x_i) - s x_i,  minus C h^2/8,
 * whatever the slope s; pieces where that could be the least are cut once more. Above the
 * same of -f, whose second derivative is below 0.12, and below 0.41 x^2 exp(-x^2/2) where
 * |x| >= 4 (phi(x) x^2, 3 % of room for rounding; x z'^2 e^-z is less). The slope is that of the lower hull of
 * the points at the middle of the box (theta moves it).
 */
#include "op/plane.h"

static const double GATE = 0x1.9884533d43651p+0, CUBE = 0.044715;

typedef struct turn {
    double before, behind, least; /* m lies between the first two */
} turn;

static const turn TURNS[2] = {
    { -0.751791524693565, -0.751791524693564, -0.169971207479904 },
    { -0.752461422071017, -0.752461422071016, -0.170040750571255 },
};

/* x f, f >= 0 */
static rob_interval times(double x, rob_interval f)
{
    return x < 0 ? (rob_interval){ fp_mul_lo(x, f.up), fp_mul_up(x, f.lo) }
                 : (rob_interval){ fp_mul_lo(x, f.lo), fp_mul_up(x, f.up) };
}

static rob_interval share_by_tanh(double x)
{
    double low = fp_add_lo(1, fp_mul_lo(CUBE, fp_max(fp_mul_lo(x, x), 0)));
    double high = fp_add_up(1, fp_mul_up(CUBE, fp_mul_up(x, x)));
    rob_interval z =
        times(x, (rob_interval){ fp_mul_lo(GATE, low), fp_mul_up(GATE, high) });
    return (rob_interval){ fp_max(fp_sigmoid_lo(z.lo), 0), fp_sigmoid_up(z.up) };
}

static rob_interval share_by_erf(double x)
{
    const rob_interval root_half = { 0x1.6a09e667f3bccp-1, 0x1.6a09e667f3bcdp-1 };
    rob_interval t = times(x, root_half);
    double low = 0.5 * fp_add_lo(1, fp_erf_lo(t.lo));
    return (rob_interval){ fp_max(low, 0), 0.5 * fp_add_up(1, fp_erf_up(t.up)) };
}

/* gelu at one point; +-inf: the limits */
static rob_interval at(bool by_tanh, double x)
{
    double least = TURNS[by_tanh].least;
    rob_interval y = times(x, by_tanh ? share_by_tanh(x) : share_by_erf(x));
    if (x < 0) return (rob_interval){ fp_max(y.lo, least), fp_min(y.up, 0) };
    return (rob_interval){ fp_max(y.lo, 0), fp_or_up(y.up) };
}

rob_interval rob_priv_range_gelu(bool by_tanh, rob_interval x)
{
    const turn *t = &TURNS[by_tanh];
    rob_interval left = at(by_tanh, x.lo), right = at(by_tanh, x.up);
    double low = x.lo >= t->behind ? left.lo : x.up <= t->before ? right.lo : t->least;
    return (rob_interval){ low, fp_max(left.up, right.up) };
}

/* ---- lines ----------------------------------------------------------------------- */

enum { PIECES = 32, PARTS = 16 };

typedef struct points {
    double x[PIECES + 1], lo[PIECES + 1], up[PIECES + 1];
} points;

static void lay_points(points *p, bool by_tanh, rob_interval box)
{
    for (int i = 0; i <= PIECES; i++) {
        double share = (double)i / PIECES;
        double x = box.lo * (1 - share) + box.up * share;
        p->x[i] = i == PIECES ? box.up : fp_min(fp_max(x, box.lo), box.up);
        rob_interval y = at(by_tanh, p->x[i]);
        p->lo[i] = y.lo;
        p->up[i] = y.up;
    }
}

/* how far f (above: -f) may lie below its chord on [l, u] */
static double sag_of(bool above, double l, double u)
{
    const double flat = above ? 1.37 : 1.42, h = fp_add_up(u, -l);
    bool inside = l >= -flat && u <= flat, outside = l >= flat || u <= -flat;
    const double near = l > 0 ? l : u < 0 ? -u : 0;
    double C = near >= 4 ? 0.41 * near * near * fp_exp(-0.5 * near * near) : 0.12;
    if (above ? inside : outside) return 0;
    return fp_mul_up(above ? C : 0.8, fp_mul_up(h, h)) / 8 + ROB_TINY;
}

/* value of points below (above: minus it) */
static double height(const points *p, bool above, int i)
{
    return above ? -p->up[i] : p->lo[i];
}

/* slope of the lower hull at point m */
static double hull_slope(const points *p, bool above, int m)
{
    double best = height(p, above, m), slope = NAN;
    for (int i = 0; i < m; i++)
        for (int j = m + 1; j <= PIECES; j++) {
            double low = height(p, above, i), high = height(p, above, j);
            double s = (high - low) / (p->x[j] - p->x[i]);
            double value = low + s * (p->x[m] - p->x[i]);
            if (!(value < best) && !isnan(slope)) continue;
            if (value < best) best = value;
            slope = s;
        }
    int before = m > 0 ? m - 1 : m, behind = m < PIECES ? m + 1 : m;
    if (best == height(p, above, m) || isnan(slope))
        slope = (height(p, above, behind) - height(p, above, before))
                / (p->x[behind] - p->x[before]);
    return slope;
}

/* f(x) - s x (above: of -f) at one point, rounded down */
static double height_at(bool by_tanh, bool above, double slope, double x)
{
    rob_interval y = at(by_tanh, x);
    return fp_or_lo(fp_add_lo(above ? -y.up : y.lo, -fp_mul_up(slope, x)));
}

/* A lower bound on the piece [l, u], cut into parts. */
static double cut_piece(bool by_tanh, bool above, double slope, double l, double u,
                        double *touch, double *least)
{
    double bound = INFINITY, x = l, h = height_at(by_tanh, above, slope, l);
    for (int k = 1; k <= PARTS; k++) {
        double share = (double)k / PARTS;
        double y = k == PARTS ? u : fp_min(fp_max(l * (1 - share) + u * share, x), u);
        double g = height_at(by_tanh, above, slope, y);
        bound = fp_min(bound, fp_add_lo(fp_min(g, h), -sag_of(above, x, y)));
        if (g < *least) *touch = y;
        *least = fp_min(g, *least);
        x = y;
        h = g;
    }
    return bound;
}

/* min over the box, given the least over the points */
static double settle(const points *p, bool by_tanh, bool above, double slope, double least,
                     double *touch)
{
    double bound = least;
    for (int i = 0; i < PIECES; i++) {
        double g = fp_add_lo(height(p, above, i), -fp_mul_up(slope, p->x[i]));
        double h = fp_add_lo(height(p, above, i + 1), -fp_mul_up(slope, p->x[i + 1]));
        double low = fp_add_lo(fp_min(g, h), -sag_of(above, p->x[i], p->x[i + 1]));
        if (low >= bound) continue;
        low = cut_piece(by_tanh, above, slope, p->x[i], p->x[i + 1], touch, &least);
        bound = fp_min(bound, low);
    }
    return fp_or_lo(bound);
}

static void put_line(const points *p, bool by_tanh, bool above, rob_interval box,
                     const double *theta, double limit, int64_t e, rob_planes *out)
{
    int m = theta != NULL ? (int)(*theta * PIECES + 0.5) : PIECES / 2;
    double slope = hull_slope(p, above, m), least = INFINITY, touch = p->x[m];
    if (!isfinite(slope)) slope = 0;
    for (int i = 0; i <= PIECES; i++) {
        double h = fp_or_lo(fp_add_lo(height(p, above, i), -fp_mul_up(slope, p->x[i])));
        if (h < least) touch = p->x[i];
        least = fp_min(h, least);
    }
    least = settle(p, by_tanh, above, slope, least, &touch);
    slope = above ? -slope : slope;
    rob_priv_plane_put(out, above, 1, e, &box, &slope, above ? -least : least, &touch,
                       limit);
}

void rob_priv_gelu_relax(const rob_node *n, const rob_range *in, const double *theta,
                         rob_planes *below, rob_planes *above)
{
    const bool by_tanh = n->attr.i[0] != 0;
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval box = rob_priv_range_at(in, e), y = rob_priv_range_gelu(by_tanh, box);
        points p;
        if (!isfinite(box.lo) || !isfinite(box.up) || !(box.lo < box.up)) {
            rob_priv_plane_flat(below, 1, e, y.lo);
            rob_priv_plane_flat(above, 1, e, y.up);
            continue;
        }
        lay_points(&p, by_tanh, box);
        put_line(&p, by_tanh, false, box, theta ? theta + 2 * e : NULL, y.lo, e, below);
        put_line(&p, by_tanh, true, box, theta ? theta + 2 * e + 1 : NULL, y.up, e, above);
    }
}
