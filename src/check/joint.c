/* joint.c -- is a plane below a gate where its two inputs lie together?
 *
 *     f(x, y) = sigmoid(x) g(y) - a x - b y,  g tanh or y, on a box cut by strips
 *     lo_k <= y - m_k x <= up_k
 *
 * The domain is cut along x where its lines cross and lies, between two cuts, in a cell
 * l(x) <= y <= u(x), l and u straight. On a cell of height k and width h, along y and then
 * along l or u (slopes s),
 *
 *     f >= least of four corners - k^2/8 max f_yy - h^2/8 max (f_xx + 2 s f_xy + s^2 f_yy),
 *
 * since between the ends of a segment of length h a function is at most h^2/8 times its
 * largest second derivative below its chord. Those are enclosed on the cell's box; cells
 * are halved, along x or by the line half way up, until the bound suffices.
 *
 * A cell may be larger than what it stands for, so lines are rounded outward at both ends
 * of a cell, and halves overlap. The blend n + sigmoid(z) (h - n) is, with d = h - n, slopes
 * s_z, s_n, s_h:  sigmoid(z) d - s_z z - s_h d + (1 - s_n - s_h) n,  the same problem.
 *
 * Mine, The octagon abstract domain, Higher-Order and Symbolic Computation 19 (2006);
 * docs/theory/certificate.md 3.
 */
#include "check/check.h"

enum { CELLS = 4000, STACK = 128, LINES = ROB_CHECK_STRIPS + 1, CUTS = 32 };

/* of two numbers; what is none is returned, and satisfies nothing */
static double lesser(double a, double b) { return isnan(a) || a < b ? a : b; }
static double larger(double a, double b) { return isnan(a) || a > b ? a : b; }

typedef struct line { double slope, at; } line;
typedef struct cell { double x[2], l[2], u[2]; } cell;

typedef struct problem {
    double sign, a, b, want;      /* least of sign f, a and b with that sign too */
    bool of_tanh;
    rob_check_box x;
    line low[LINES], high[LINES];
    int lines;
} problem;

static rob_check_box times(rob_check_box a, rob_check_box b)
{
    const double p[4][2] = { { a.lo, b.lo }, { a.lo, b.up }, { a.up, b.lo }, { a.up, b.up } };
    rob_check_box v = { INFINITY, -INFINITY };
    for (int i = 0; i < 4; i++) {
        v.lo = lesser(fp_mul_lo(p[i][0], p[i][1]), v.lo);
        v.up = larger(fp_mul_up(p[i][0], p[i][1]), v.up);
    }
    return v;
}

static rob_check_box scaled(double k, rob_check_box a) { return times((rob_check_box){ k, k }, a); }

static rob_check_box plus(rob_check_box a, rob_check_box b)
{
    return (rob_check_box){ fp_add_lo(a.lo, b.lo), fp_add_up(a.up, b.up) };
}

/* 1 - a */
static rob_check_box rest_of_one(rob_check_box a)
{
    return (rob_check_box){ fp_add_lo(1, -a.up), fp_add_up(1, -a.lo) };
}

static rob_check_box square(rob_check_box a)
{
    rob_check_box v = times(a, a);
    return (rob_check_box){ fp_max(v.lo, 0), v.up };
}

/* ---- values and curvature -------------------------------------------------------- */

static double value_at(const problem *p, double x, double y)
{
    const rob_check_box s = { fp_sigmoid_lo(x), fp_sigmoid_up(x) };
    rob_check_box g = { y, y };
    if (p->of_tanh) g = (rob_check_box){ fp_tanh_lo(y), fp_tanh_up(y) };
    double v = scaled(p->sign, times(s, g)).lo;
    v = fp_add_lo(v, -fp_mul_up(p->a, x));
    return fp_add_lo(v, -fp_mul_up(p->b, y));
}

/* sign times the second derivatives of sigmoid(x) g(y) on a box */
typedef struct bends { rob_check_box xx, xy, yy; } bends;

static bends bends_of(const problem *p, rob_check_box x, rob_check_box y)
{
    const rob_check_box s = { fp_sigmoid_lo(x.lo), fp_sigmoid_up(x.up) };
    rob_check_box slope = times(s, rest_of_one(s)), g = y, dg = { 1, 1 }, ddg = { 0, 0 };
    slope = (rob_check_box){ fp_max(slope.lo, 0), fp_min(slope.up, 0.25) };
    rob_check_box bend = times(slope, rest_of_one(scaled(2, s)));
    if (p->of_tanh) {
        g = (rob_check_box){ fp_tanh_lo(y.lo), fp_tanh_up(y.up) };
        dg = rest_of_one(square(g));
        dg = (rob_check_box){ fp_max(dg.lo, 0), fp_min(dg.up, 1) };
        ddg = scaled(-2, times(g, dg));
    }
    return (bends){ scaled(p->sign, times(bend, g)), scaled(p->sign, times(slope, dg)),
                    scaled(p->sign, times(s, ddg)) };
}

/* What is lost along the line from y[0] to y[1] over h. */
static double sag_along(const bends *b, const double y[2], rob_check_box h)
{
    const rob_check_box one = { fp_div_lo(1, h.up), fp_div_up(1, h.lo) };
    const rob_check_box rise = { fp_add_lo(y[1], -y[0]), fp_add_up(y[1], -y[0]) };
    const rob_check_box s = times(rise, one);
    rob_check_box c = plus(b->xx, plus(scaled(2, times(s, b->xy)), times(square(s), b->yy)));
    if (!(h.lo > 0)) return INFINITY;
    return 0.125 * fp_mul_up(larger(c.up, 0), fp_mul_up(h.up, h.up));
}

/* The bound of a cell, and what is lost along x and y. */
static double bound_of(const problem *p, const cell *c, double *by_x, double *by_y)
{
    const rob_check_box x = { c->x[0], c->x[1] };
    const rob_check_box y = { fp_min(c->l[0], c->l[1]), fp_max(c->u[0], c->u[1]) };
    const rob_check_box h = { fp_add_lo(x.up, -x.lo), fp_add_up(x.up, -x.lo) };
    const double k = fp_max(fp_add_up(c->u[0], -c->l[0]), fp_add_up(c->u[1], -c->l[1]));
    double least = INFINITY;
    for (int i = 0; i < 2; i++) {
        least = lesser(value_at(p, c->x[i], c->l[i]), least);
        least = lesser(value_at(p, c->x[i], c->u[i]), least);
    }
    const bends b = bends_of(p, x, y);
    *by_y = 0.125 * fp_mul_up(larger(b.yy.up, 0), fp_mul_up(k, k));
    *by_x = 0;
    if (x.up > x.lo) *by_x = larger(sag_along(&b, c->l, h), sag_along(&b, c->u, h));
    return fp_add_lo(least, -fp_add_up(*by_x, *by_y));
}

/* ---- cells ------------------------------------------------------------------------ */

static double below(double x, const line *l) { return fp_add_lo(fp_mul_lo(l->slope, x), l->at); }
static double above(double x, const line *l) { return fp_add_up(fp_mul_up(l->slope, x), l->at); }

/* The cell over [l, u], between the lines that are nearest in its middle. */
static cell cell_over(const problem *p, double l, double u)
{
    const double m = 0.5 * l + 0.5 * u;
    int low = 0, high = 0;
    for (int k = 1; k < p->lines; k++) {
        if (below(m, &p->low[k]) > below(m, &p->low[low])) low = k;
        if (above(m, &p->high[k]) < above(m, &p->high[high])) high = k;
    }
    return (cell){ { l, u }, { below(l, &p->low[low]), below(u, &p->low[low]) },
                   { above(l, &p->high[high]), above(u, &p->high[high]) } };
}

/* Nothing in it; else no line crosses the other. */
static bool is_empty(cell *c)
{
    if (c->l[0] > c->u[0] && c->l[1] > c->u[1]) return true;
    for (int i = 0; i < 2; i++) {
        if (!(c->l[i] > c->u[i])) continue;
        double high = c->l[i];
        c->l[i] = c->u[i];
        c->u[i] = high;
    }
    return false;
}

static bool halve(const cell *c, bool by_x, cell half[2])
{
    half[0] = half[1] = *c;
    if (by_x) {
        double m = 0.5 * c->x[0] + 0.5 * c->x[1];
        if (!(m > c->x[0] && m < c->x[1])) return false;
        double t = (m - c->x[0]) / (c->x[1] - c->x[0]);
        double low = c->l[0] + t * (c->l[1] - c->l[0]), high = c->u[0] + t * (c->u[1] - c->u[0]);
        double size = fabs(c->l[0]) + fabs(c->l[1]) + fabs(c->u[0]) + fabs(c->u[1]);
        double off = 16 * (ROB_U * size + ROB_TINY);
        half[0].x[1] = half[1].x[0] = m;
        half[0].l[1] = half[1].l[0] = low - off;
        half[0].u[1] = half[1].u[0] = high + off;
        return true;
    }
    for (int i = 0; i < 2; i++) {
        double m = 0.5 * c->l[i] + 0.5 * c->u[i];
        half[0].u[i] = fp_up(fp_up(m));
        half[1].l[i] = fp_lo(fp_lo(m));
    }
    return half[0].u[0] < c->u[0] || half[0].u[1] < c->u[1];
}

static bool holds_over(const problem *p, double l, double u, int *tried)
{
    cell open[STACK + 2];
    int count = 1;
    open[0] = cell_over(p, l, u);
    while (count > 0) {
        cell c = open[--count];
        double by_x, by_y;
        if (is_empty(&c) || bound_of(p, &c, &by_x, &by_y) >= p->want) continue;
        if (++*tried > CELLS || count + 2 > STACK) return false;
        if (!halve(&c, by_x >= by_y, open + count)) return false;
        count += 2;
    }
    return true;
}

/* ---- the domain ------------------------------------------------------------------- */

static void add_cut(const problem *p, const line *a, const line *b, double *cut, int *count)
{
    double x = (b->at - a->at) / (a->slope - b->slope);
    if (*count < CUTS && x > p->x.lo && x < p->x.up) cut[(*count)++] = x;
}

/* Where lines cross, in order: only for cells to fit, no proof hangs on it. */
static int cuts_of(const problem *p, double cut[CUTS + 2])
{
    int count = 1;
    cut[0] = p->x.lo;
    for (int i = 0; i < p->lines; i++)
        for (int k = 0; k < p->lines; k++) {
            if (k < i) add_cut(p, &p->low[i], &p->low[k], cut, &count);
            if (k < i) add_cut(p, &p->high[i], &p->high[k], cut, &count);
            if (k != i) add_cut(p, &p->low[i], &p->high[k], cut, &count);
        }
    cut[count++] = p->x.up;
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && cut[k] < cut[k - 1]; k--) {
            double x = cut[k];
            cut[k] = cut[k - 1];
            cut[k - 1] = x;
        }
    return count;
}

static bool holds(problem *p, rob_check_box y, const rob_check_joint *j)
{
    double cut[CUTS + 2];
    int tried = 0;
    p->low[0] = (line){ 0, y.lo };
    p->high[0] = (line){ 0, y.up };
    p->lines = 1;
    for (int k = 0; k < ROB_CHECK_STRIPS; k++) {
        if (j->m[k] == 0) continue;
        p->low[p->lines] = (line){ j->m[k], j->rest[k].lo };
        p->high[p->lines++] = (line){ j->m[k], j->rest[k].up };
    }
    int count = cuts_of(p, cut);
    for (int i = 0; i + 1 < count; i++)
        if ((cut[i] < cut[i + 1] || count == 2) && !holds_over(p, cut[i], cut[i + 1], &tried))
            return false;
    return true;
}

static bool is_box(rob_check_box b)
{
    return b.lo <= b.up && fabs(b.lo) < 1e90 && fabs(b.up) < 1e90;
}

/* Nothing overflows. */
static bool is_usable(const rob_node *n, const rob_check_box *box, const rob_check_joint *j,
                      const double *slope)
{
    bool fine = is_box(j->second);
    for (int32_t i = 0; i < n->ins; i++) fine = fine && is_box(box[i]) && fabs(slope[i]) < 1e90;
    for (int k = 0; k < ROB_CHECK_STRIPS; k++)
        fine = fine && is_box(j->rest[k]) && fabs(j->m[k]) < 1e90;
    return fine;
}

bool rob_priv_check_joint(const rob_node *n, const rob_check_box *box,
                          const rob_check_joint *j, const double *slope, double offset,
                          bool is_above)
{
    const double sign = is_above ? -1 : 1;
    const bool blend = n->op->id == ROB_OP_blend;
    problem p = { .sign = sign, .a = sign * slope[0], .b = sign * slope[blend ? 2 : 1],
                  .want = sign * offset, .of_tanh = n->op->id == ROB_OP_sigtanh, .x = box[0] };
    if (!blend && n->op->id != ROB_OP_sigtanh && n->op->id != ROB_OP_sigmul) return false;
    if (!is_usable(n, box, j, slope)) return false;
    if (blend) {
        double lo = fp_add_lo(fp_add_lo(1, -slope[1]), -slope[2]);
        double up = fp_add_up(fp_add_up(1, -slope[1]), -slope[2]);
        rob_check_box left = scaled(sign, times((rob_check_box){ lo, up }, box[1]));
        p.want = fp_add_up(p.want, -left.lo);
    }
    return isfinite(p.want) && holds(&p, j->second, j);
}
