/* plane_strip.c -- the thinnest strip of parallel planes about an operator's graph.
 *
 * For slopes s, free,  lo <= phi(z) - s.z <= up  on the box, with rigorous lo and up. An
 * affine form of z thus becomes one of phi(z) with one new noise symbol, (up - lo)/2.
 *
 * Slopes. One variable: the chord's, which for a function of constant curvature halves
 * the gap of every other slope. Product of factors f(x) g(y): the chord of each times
 * the middle of the other's range, since (f - f_m)(g - g_m) is then all that is left.
 * Offsets: tanh x = 2 sigmoid(2 x) - 1; gates by plane_gate.c and plane_sigtanh.c; x y
 * is bilinear, its extremes over a box are at corners.
 *
 * Reference: Singh et al., Fast and effective robustness certification, NeurIPS 2018;
 * docs/theory/relax.md 7.
 */
#include "op/plane.h"

static double middle(rob_interval x) { return 0.5 * x.lo + 0.5 * x.up; }

static double chord(double (*near)(double), const rob_univariate *f, rob_interval x)
{
    double width = x.up - x.lo;
    if (!(width > 1e-4 * (1 + fabs(x.lo)))) return f->slope(middle(x));
    return (near(x.up) - near(x.lo)) / width;
}

static double middle_of(double (*near)(double), rob_interval x)
{
    return 0.5 * near(x.lo) + 0.5 * near(x.up);
}

static rob_interval mirrored(rob_interval x) { return (rob_interval){-x.up, -x.lo}; }
static rob_interval twice(rob_interval x) { return (rob_interval){2 * x.lo, 2 * x.up}; }

static void strip_tanh(const rob_interval *x, rob_strip *s)
{
    double a = s->slope[0] = chord(fp_tanh, &rob_priv_uni_tanh, x[0]), at;
    s->lo = fp_add_lo(rob_priv_min_sigmoid(2, 0.5 * a, twice(x[0]), &at), -1);
    s->up = -fp_add_lo(rob_priv_min_sigmoid(2, 0.5 * a, twice(mirrored(x[0])), &at), -1);
}

static void strip_sigmoid(const rob_interval *x, rob_strip *s)
{
    double a = s->slope[0] = chord(fp_sigmoid, &rob_priv_uni_sigmoid, x[0]), at;
    s->lo = rob_priv_min_sigmoid(1, a, x[0], &at);
    s->up = -rob_priv_min_sigmoid(-1, -a, x[0], &at);
}

static void strip_relu(const rob_interval *x, rob_strip *s)
{
    double l = x[0].lo, u = x[0].up;
    s->slope[0] = l >= 0;
    s->lo = s->up = 0;
    if (l >= 0 || u <= 0) return;
    double a = s->slope[0] = fp_min(u / (u - l), 1);
    s->up = fp_max(-fp_mul_lo(a, l), fp_add_up(u, -fp_mul_lo(a, u)));
}

static void strip_sigmul(const rob_interval *x, rob_strip *s)
{
    double a = middle(x[1]) * chord(fp_sigmoid, &rob_priv_uni_sigmoid, x[0]);
    double b = middle_of(fp_sigmoid, x[0]), at[2];
    s->slope[0] = a;
    s->slope[1] = b;
    s->lo = rob_priv_min_sigmul(a, b, x[0], x[1], at);
    s->up = -rob_priv_min_sigmul(-a, b, x[0], mirrored(x[1]), at);
}

/* n + sigmoid(z) (h - n) over (z, n, h) */
static void strip_blend(const rob_interval *x, rob_strip *s)
{
    double at[3], m = middle_of(fp_sigmoid, x[0]);
    s->slope[0] = (middle(x[2]) - middle(x[1]))
                  * chord(fp_sigmoid, &rob_priv_uni_sigmoid, x[0]);
    s->slope[1] = 1 - m;
    s->slope[2] = m;
    const rob_interval other[3] = {x[0], mirrored(x[1]), mirrored(x[2])};
    const double turned[3] = {-s->slope[0], s->slope[1], s->slope[2]};
    s->lo = rob_priv_min_blend(s->slope, x, at);
    s->up = -rob_priv_min_blend(turned, other, at);
}

/* a lower bound of x y - a x - b y at a corner */
static double corner(double a, double b, double x, double y)
{
    double v = fp_add_lo(fp_mul_lo(x, y), -fp_mul_up(a, x));
    return fp_add_lo(v, -fp_mul_up(b, y));
}

static double least_corner(double a, double b, rob_interval x, rob_interval y)
{
    double low = fp_min(corner(a, b, x.lo, y.lo), corner(a, b, x.lo, y.up));
    return fp_min(low, fp_min(corner(a, b, x.up, y.lo), corner(a, b, x.up, y.up)));
}

static void strip_mul(const rob_interval *x, rob_strip *s)
{
    double a = s->slope[0] = middle(x[1]), b = s->slope[1] = middle(x[0]);
    s->lo = least_corner(a, b, x[0], x[1]);
    s->up = -least_corner(-a, b, x[0], mirrored(x[1]));
}

typedef struct rule { int32_t op; void (*strip)(const rob_interval *, rob_strip *); } rule;

static const rule RULES[] = {
    {ROB_OP_tanh, strip_tanh},       {ROB_OP_sigmoid, strip_sigmoid},
    {ROB_OP_relu, strip_relu},       {ROB_OP_mul, strip_mul},
    {ROB_OP_sigmul, strip_sigmul},   {ROB_OP_blend, strip_blend},
};

static bool is_strip(const rob_node *n, const rob_strip *s)
{
    bool fine = isfinite(s->lo) && isfinite(s->up) && s->lo <= s->up;
    for (int32_t i = 0; i < n->ins; i++) fine = fine && isfinite(s->slope[i]);
    return fine;
}

static bool one_strip(const rob_node *n, const rob_range *in, int64_t e, rob_strip *s)
{
    rob_interval box[ROB_MAX_INS];
    for (int32_t i = 0; i < n->ins; i++) {
        box[i] = rob_priv_range_at(&in[i], e);
        if (!isfinite(box[i].lo) || !isfinite(box[i].up)) return false;
    }
    for (size_t k = 0; k < sizeof RULES / sizeof *RULES; k++) {
        if (RULES[k].op != n->op->id) continue;
        RULES[k].strip(box, s);
        return is_strip(n, s);
    }
    return false;
}

/* ---- many of sigmoid(x) tanh(y) --------------------------------------------------- */

enum { SOME = 16 };

static rob_gate_problem problem_of(const rob_strip *s, rob_interval x, rob_interval y)
{
    return (rob_gate_problem){ .a = s->slope[0], .b = s->slope[1], .x = x, .y = y };
}

/* an upper side is a lower one of tanh(-y) */
static rob_gate_problem turned(rob_gate_problem p)
{
    p.a = -p.a;
    p.y = mirrored(p.y);
    for (int k = 0; k < p.joint.lines; k++) {
        p.joint.slope[k] = -p.joint.slope[k];
        p.joint.rest[k] = mirrored(p.joint.rest[k]);
    }
    return p;
}

/* chord and middle of one factor, from its values at both ends */
static double ends_of(double (*near)(double), const rob_univariate *f, rob_interval x,
                      double *slope)
{
    double lo = near(x.lo), up = near(x.up), width = x.up - x.lo;
    bool wide = width > 1e-4 * (1 + fabs(x.lo));
    *slope = wide ? (up - lo) / width : f->slope(middle(x));
    return 0.5 * lo + 0.5 * up;
}

static void slopes_of_sigtanh(rob_interval x, rob_interval y, rob_strip *s)
{
    double ds, dt, m = ends_of(fp_sigmoid, &rob_priv_uni_sigmoid, x, &ds);
    s->slope[0] = ends_of(fp_tanh, &rob_priv_uni_tanh, y, &dt) * ds;
    s->slope[1] = m * dt;
}

static void some_sigtanh(const rob_node *n, const rob_range *in, const int64_t *which,
                         int64_t count, rob_strip *s, bool *fine)
{
    rob_gate_problem p[2 * SOME];
    double bound[2 * SOME], at[2 * SOME][2];
    int64_t to[SOME], used = 0;
    for (int64_t i = 0; i < count; i++) {
        rob_interval x = rob_priv_range_at(&in[0], which[i]), y = rob_priv_range_at(&in[1], which[i]);
        fine[i] = isfinite(x.lo) && isfinite(x.up) && isfinite(y.lo) && isfinite(y.up);
        if (!fine[i]) continue;
        slopes_of_sigtanh(x, y, &s[i]);
        to[used] = i;
        p[2 * used] = problem_of(&s[i], x, y);
        p[2 * used + 1] = turned(p[2 * used]);
        used++;
    }
    if (used == 0) return;
    rob_priv_min_sigtanhs(2 * used, p, bound, at);
    for (int64_t k = 0; k < used; k++) {
        s[to[k]].lo = bound[2 * k];
        s[to[k]].up = -bound[2 * k + 1];
        fine[to[k]] = is_strip(n, &s[to[k]]);
    }
}

void rob_priv_strips(const rob_node *n, const rob_range *in, const int64_t *which,
                     int64_t count, rob_strip *s, bool *fine)
{
    if (n->op->id != ROB_OP_sigtanh) {
        for (int64_t i = 0; i < count; i++) fine[i] = one_strip(n, in, which[i], &s[i]);
        return;
    }
    for (int64_t i = 0; i < count; i += SOME)
        some_sigtanh(n, in, which + i, count - i < SOME ? count - i : SOME, s + i, fine + i);
}

bool rob_priv_strip(const rob_node *n, const rob_range *in, int64_t e, rob_strip *s)
{
    bool fine;
    rob_priv_strips(n, in, &e, 1, s, &fine);
    return fine;
}

/* ---- joint domains ---------------------------------------------------------------- */

/* n + sigmoid(z) d = a z + (1 - b) n + b h + (sigmoid(z) d - a z - b d), exactly, when
 * 1 - b is: b is rounded to 30 bits. */
static rob_gate_problem joint_blend(rob_interval z, rob_interval d, rob_strip *s)
{
    double a = middle(d) * chord(fp_sigmoid, &rob_priv_uni_sigmoid, z);
    double b = rint(middle_of(fp_sigmoid, z) * 0x1p30) * 0x1p-30;
    s->slope[0] = a;
    s->slope[1] = 1 - b;
    s->slope[2] = b;
    return (rob_gate_problem){ .a = a, .b = b, .x = z, .y = d };
}

static void some_joint(const rob_node *n, const rob_range *in, const int64_t *which,
                       int64_t count, const rob_interval *second, const rob_joint *joint,
                       rob_strip *s, bool *fine)
{
    const bool blend = n->op->id == ROB_OP_blend;
    rob_gate_problem p[2 * SOME];
    rob_strip box[SOME];
    double bound[2 * SOME];
    int64_t to[SOME], used = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!fine[i]) continue;
        rob_interval x = rob_priv_range_at(&in[0], which[i]);
        to[used] = i;
        box[used] = s[i];
        rob_gate_problem q = blend ? joint_blend(x, second[i], &s[i])
                                   : problem_of(&s[i], x, second[i]);
        q.joint = joint[i];
        q.enough = 0.004 * (s[i].up - s[i].lo);
        p[2 * used] = q;
        p[2 * used + 1] = turned(q);
        p[2 * used].known = blend ? -INFINITY : s[i].lo;
        p[2 * used + 1].known = blend ? -INFINITY : -s[i].up;
        used++;
    }
    if (used == 0) return;
    rob_priv_min_joints(n->op->id == ROB_OP_sigtanh, 2 * used, p, bound);
    for (int64_t k = 0; k < used; k++) {
        rob_strip *t = &s[to[k]];
        t->lo = fp_max(bound[2 * k], p[2 * k].known);
        t->up = -fp_max(bound[2 * k + 1], p[2 * k + 1].known);
        fine[to[k]] = is_strip(n, t) && t->up - t->lo < box[k].up - box[k].lo;
        if (!fine[to[k]]) *t = box[k];
    }
}

void rob_priv_strips_joint(const rob_node *n, const rob_range *in, const int64_t *which,
                           int64_t count, const rob_interval *second, const rob_joint *joint,
                           rob_strip *s, bool *fine)
{
    for (int64_t i = 0; i < count; i += SOME)
        some_joint(n, in, which + i, count - i < SOME ? count - i : SOME, second + i, joint + i,
                   s + i, fine + i);
}
