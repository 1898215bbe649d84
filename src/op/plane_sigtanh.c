/* plane_sigtanh.c -- a rigorous minimum of sigmoid(x) tanh(y) - a x - b y over a box.
 *
 * With s = sigmoid(x), eliminate y:  M(s) = min over y of  s tanh(y) - b y. As a
 * minimum of functions affine in s it is CONCAVE in s, so on a cell [s1, s2] it lies
 * above its chord,
 *
 *     M(s) >= c + k s,   k = (M(s2) - M(s1)) / (s2 - s1),
 *
 * where c is chosen so that the line is below both ends (k may then be any number). What is left
 * is  min over the cell of  c + k sigmoid(x) - a x,  a problem in one variable with a
 * rigorous answer (plane_gate.c). Cells are split where the bound is least until it
 * meets the least value seen, within a share of the plane's mean height. The error of a
 * cell is |M''| (s2 - s1)^2 / 8, so wide boxes, where s saturates, need no more cells;
 * at a corner of the box the chord is exact and so is the offset. No quartic, no root
 * to miss.
 *
 * M(s) itself: tanh is concave on y > 0 (ends), convex on y < 0 (tangent at the
 * solution of s (1 - t^2) = b, which is t = -sqrt(1 - b/s)). docs/theory/relax.md 3.3.
 */
#include "op/plane.h"

enum { CELLS = 40 };

typedef struct point { double x, slo, sup, m, y; } point;
typedef struct cell { point left, right; double bound, at; } cell;
typedef struct problem { double a, b; rob_interval x, y; } problem;

/* s tanh(y) - b y rounded down, s in [slo, sup], s >= 0 */
static double height(const point *s, double b, double y)
{
    double t = fp_tanh_lo(y);
    return fp_add_lo(fp_mul_lo(t < 0 ? s->sup : s->slo, t), -fp_mul_up(b, y));
}

static double stationary(double s, double b, double l, double m)
{
    double q = b / s;
    if (!(q > 0))
        return l;
    if (q >= 1)
        return m;
    double t = 1 + sqrt(1 - q);
    return fp_min(fp_max(-0.5 * fp_log(t * t / q), l), m);
}

static double least_left(const point *s, double b, double l, double m, double *at)
{
    double p = stationary(s->sup, b, l, m), d = s->sup * rob_priv_uni_tanh.slope(p);
    double blur = fabs(d) * (4 * rob_priv_uni_tanh.blur) + 2 * ROB_TINY;
    double down = fp_min(0, fp_lo((d - blur) - b)),
           up = fp_max(0, fp_up((d + blur) - b));
    double right = fp_mul_up(-down, fp_up(m - p)), left = fp_mul_up(up, fp_up(p - l));
    *at = p;
    return fp_lo(height(s, b, p) - fp_max(right, left));
}

/* p's M, bounded below */
static void least_over(point *p, double b, double l, double u)
{
    double end[2] = { l, u };
    if (l < 0)
        p->m = fp_or_lo(least_left(p, b, l, fp_min(u, 0), &p->y));
    for (int i = l < 0 ? 1 : 0; i < 2 && u >= 0; i++) {
        double h = fp_or_lo(height(p, b, end[i]));
        if (h < p->m) {
            p->m = h;
            p->y = end[i];
        }
    }
}

double rob_priv_min_tanh(double slo, double sup, double b, rob_interval y, double *at)
{
    point p = { 0, slo, sup, INFINITY, y.lo };
    least_over(&p, b, y.lo, y.up);
    *at = p.y;
    return p.m;
}

/* M at sigmoid(x), bounded below */
static point eliminate(const problem *q, double x)
{
    point p = { x, fp_sigmoid_lo(x), fp_sigmoid_up(x), INFINITY, q->y.lo };
    least_over(&p, q->b, q->y.lo, q->y.up);
    return p;
}

/* k s over s in [lo, up], rounded up */
static double slope_times(double k, const point *p)
{
    return fp_mul_up(k, k > 0 ? p->sup : p->slo);
}

static cell enclose(const problem *q, point left, point right)
{
    cell c = { .left = left, .right = right };
    double width = right.slo - left.slo;
    double k = width > 1e-9 * right.sup ? (right.m - left.m) / width : 0;
    double base = fp_min(fp_add_lo(left.m, -slope_times(k, &left)),
                         fp_add_lo(right.m, -slope_times(k, &right)));
    double v = rob_priv_min_sigmoid(k, q->a, (rob_interval){ left.x, right.x }, &c.at);
    c.bound = fp_or_lo(fp_add_lo(v, base));
    return c;
}

/* where to split: where the bound is least unless that is near an end, else halve s */
static double split_point(const cell *c)
{
    double s1 = c->left.slo, s2 = c->right.slo, s = fp_sigmoid(c->at);
    if (!(s > s1 + 0.1 * (s2 - s1) && s < s2 - 0.1 * (s2 - s1)))
        s = 0.5 * (s1 + s2);
    double x = fp_log(s / (1 - s));
    if (!(x > c->left.x && x < c->right.x))
        x = 0.5 * c->left.x + 0.5 * c->right.x;
    return x;
}

static int lowest(const cell *c, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        best = c[i].bound < c[best].bound ? i : best;
    return best;
}

typedef struct sample { double value, x, y; } sample;

static void see(const problem *q, const point *p, sample *least)
{
    double value = p->m - q->a * p->x;
    if (value < least->value)
        *least = (sample){ value, p->x, p->y };
}

/* what the bound may miss: a share of the plane's mean height over corners and centre
 */
static double tolerance(const problem *q, double least)
{
    double x = 0.5 * q->x.lo + 0.5 * q->x.up, y = 0.5 * q->y.lo + 0.5 * q->y.up;
    double mean = fp_sigmoid(x) * fp_tanh(y) - q->a * x - q->b * y - least;
    return 3e-4 * fabs(mean) + 1e-9 * fabs(least) + 1e-15;
}

double rob_priv_min_sigtanh(double a, double b, rob_interval x, rob_interval y,
                            double at[2])
{
    problem q = { a, b, x, y };
    cell cells[CELLS];
    int count = 1;
    point left = eliminate(&q, x.lo), right = eliminate(&q, x.up);
    sample least = { INFINITY, x.lo, y.lo };
    see(&q, &left, &least);
    see(&q, &right, &least);
    cells[0] = enclose(&q, left, right);
    int worst = 0;
    while (count < CELLS
           && cells[worst].bound < least.value - tolerance(&q, least.value)) {
        cell c = cells[worst];
        double split = split_point(&c);
        if (!(split > c.left.x && split < c.right.x))
            break;
        point middle = eliminate(&q, split);
        see(&q, &middle, &least);
        cells[worst] = enclose(&q, c.left, middle);
        cells[count++] = enclose(&q, middle, c.right);
        worst = lowest(cells, count);
    }
    at[0] = least.x;
    at[1] = least.y;
    return cells[worst].bound;
}
