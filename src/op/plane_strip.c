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

static void strip_sigtanh(const rob_interval *x, rob_strip *s)
{
    double a = middle_of(fp_tanh, x[1]) * chord(fp_sigmoid, &rob_priv_uni_sigmoid, x[0]);
    double b = middle_of(fp_sigmoid, x[0]) * chord(fp_tanh, &rob_priv_uni_tanh, x[1]);
    double at[2];
    s->slope[0] = a;
    s->slope[1] = b;
    s->lo = rob_priv_min_sigtanh(a, b, x[0], x[1], at);
    s->up = -rob_priv_min_sigtanh(-a, b, x[0], mirrored(x[1]), at);
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
    {ROB_OP_sigmul, strip_sigmul},   {ROB_OP_sigtanh, strip_sigtanh},
    {ROB_OP_blend, strip_blend},
};

bool rob_priv_strip(const rob_node *n, const rob_range *in, int64_t e, rob_strip *s)
{
    rob_interval box[ROB_MAX_INS];
    for (int32_t i = 0; i < n->ins; i++) {
        box[i] = rob_priv_range_at(&in[i], e);
        if (!isfinite(box[i].lo) || !isfinite(box[i].up)) return false;
    }
    for (size_t k = 0; k < sizeof RULES / sizeof *RULES; k++) {
        if (RULES[k].op != n->op->id) continue;
        RULES[k].strip(box, s);
        bool fine = isfinite(s->lo) && isfinite(s->up) && s->lo <= s->up;
        for (int32_t i = 0; i < n->ins; i++) fine = fine && isfinite(s->slope[i]);
        return fine;
    }
    return false;
}

/* ---- joint domains ---------------------------------------------------------------- */

static rob_joint mirrored_joint(const rob_joint *j)
{
    rob_joint m = *j;
    for (int k = 0; k < j->lines; k++) {
        m.slope[k] = -j->slope[k];
        m.rest[k] = mirrored(j->rest[k]);
    }
    return m;
}

/* lo and up of sigmoid(x) g(y) - a x - b y; an upper side is a lower one of g(-y) */
static void joint_ends(bool of_tanh, double a, double b, rob_interval x, rob_interval y,
                       const rob_joint *joint, double enough, rob_strip *s)
{
    const rob_joint other = mirrored_joint(joint);
    s->lo = rob_priv_min_joint(of_tanh, a, b, x, y, joint, enough);
    s->up = -rob_priv_min_joint(of_tanh, -a, b, x, mirrored(y), &other, enough);
}

/* n + sigmoid(z) d = a z + (1 - b) n + b h + (sigmoid(z) d - a z - b d), exactly, when
 * 1 - b is: b is rounded to 30 bits. */
static void joint_blend(rob_interval z, rob_interval d, const rob_joint *joint,
                        double enough, rob_strip *s)
{
    double a = middle(d) * chord(fp_sigmoid, &rob_priv_uni_sigmoid, z);
    double b = rint(middle_of(fp_sigmoid, z) * 0x1p30) * 0x1p-30;
    joint_ends(false, a, b, z, d, joint, enough, s);
    s->slope[0] = a;
    s->slope[1] = 1 - b;
    s->slope[2] = b;
}

bool rob_priv_strip_joint(const rob_node *n, const rob_range *in, int64_t e,
                          rob_interval second, const rob_joint *joint, rob_strip *s)
{
    rob_interval x = rob_priv_range_at(&in[0], e);
    rob_strip box = *s;
    double enough = 0.01 * (box.up - box.lo);
    if (n->op->id == ROB_OP_blend) joint_blend(x, second, joint, enough, s);
    else
        joint_ends(n->op->id == ROB_OP_sigtanh, s->slope[0], s->slope[1], x, second, joint,
                   enough, s);
    bool fine = isfinite(s->lo) && isfinite(s->up) && s->lo <= s->up;
    for (int32_t i = 0; i < n->ins; i++) fine = fine && isfinite(s->slope[i]);
    if (fine && s->up - s->lo < box.up - box.lo) return true;
    *s = box;
    return false;
}
