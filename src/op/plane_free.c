/* plane_free.c -- the plane of given slopes that touches an operator's graph.
 *
 * Slopes s are free; the offset on the box is
 *
 *     below: o(s) = min phi(z) - s.z,    above: o(s) = max phi(z) - s.z,
 *
 * rounded outward. o is concave in s below and convex above, and where it is attained is
 * its slope: d o / d s = -touch. So whoever looks for the best plane at a point z* climbs
 * along z* - touch.
 *
 * tanh x = 2 sigmoid(2 x) - 1; gates by plane_gate.c and plane_sigtanh.c; what is bilinear
 * or has one kink is least at a corner or there. An upper side is a lower one of the
 * operator turned in one or two arguments, all of these being odd in them.
 *
 * Reference: docs/theory/relax.md 3, 9; Rockafellar, Convex Analysis (1970) 23.5 (the
 * derivative of a support function).
 */
#include "op/plane.h"

static rob_interval mirrored(rob_interval x) { return (rob_interval){-x.up, -x.lo}; }

static double free_tanh(bool above, const rob_interval *x, const double *s, double *at)
{
    rob_interval v = above ? mirrored(x[0]) : x[0], two = {2 * v.lo, 2 * v.up};
    double o = fp_add_lo(rob_priv_min_sigmoid(2, 0.5 * s[0], two, at), -1);
    at[0] *= above ? -0.5 : 0.5;
    return above ? -o : o;
}

static double free_sigmoid(bool above, const rob_interval *x, const double *s, double *at)
{
    if (above) return -rob_priv_min_sigmoid(-1, -s[0], x[0], at);
    return rob_priv_min_sigmoid(1, s[0], x[0], at);
}

/* at z, sign (relu z - s z) rounded down */
static double bent(double sign, double s, double z)
{
    return fp_add_lo(z > 0 ? sign * z : 0, -fp_mul_up(sign * s, z));
}

static double free_relu(bool above, const rob_interval *x, const double *s, double *at)
{
    const double sign = above ? -1 : 1, end[2] = {x[0].lo, x[0].up};
    double best = INFINITY;
    if (x[0].lo <= 0 && x[0].up >= 0) best = at[0] = 0;
    for (int k = 0; k < 2; k++) {
        double v = bent(sign, s[0], end[k]);
        if (!(v < best)) continue;
        best = v;
        at[0] = end[k];
    }
    return sign * best;
}

static double free_mul(bool above, const rob_interval *x, const double *s, double *at)
{
    const double sign = above ? -1 : 1;
    double best = INFINITY;
    for (int i = 0; i < 4; i++) {
        double a = i & 1 ? x[0].up : x[0].lo, b = i & 2 ? x[1].up : x[1].lo;
        double v = fp_add_lo(fp_mul_lo(sign * a, b), -fp_mul_up(sign * s[0], a));
        v = fp_or_lo(fp_add_lo(v, -fp_mul_up(sign * s[1], b)));
        if (!(v < best)) continue;
        best = v;
        at[0] = a;
        at[1] = b;
    }
    return sign * best;
}

typedef double least_gate(double a, double b, rob_interval x, rob_interval y, double at[2]);

static double free_gate(least_gate *least, bool above, const rob_interval *x,
                        const double *s, double *at)
{
    if (!above) return least(s[0], s[1], x[0], x[1], at);
    double o = -least(-s[0], s[1], x[0], mirrored(x[1]), at);
    at[1] = -at[1];
    return o;
}

static double free_sigmul(bool above, const rob_interval *x, const double *s, double *at)
{
    return free_gate(rob_priv_min_sigmul, above, x, s, at);
}

static double least_sigtanh(double a, double b, rob_interval x, rob_interval y, double at[2])
{
    const rob_gate_problem p = {.a = a, .b = b, .x = x, .y = y};
    double bound;
    rob_priv_min_sigtanhs(1, &p, &bound, (double (*)[2])at);
    return bound;
}

static double free_sigtanh(bool above, const rob_interval *x, const double *s, double *at)
{
    return free_gate(least_sigtanh, above, x, s, at);
}

static double free_blend(bool above, const rob_interval *x, const double *s, double *at)
{
    if (!above) return rob_priv_min_blend(s, x, at);
    const rob_interval other[3] = {x[0], mirrored(x[1]), mirrored(x[2])};
    const double turned[3] = {-s[0], s[1], s[2]};
    double o = -rob_priv_min_blend(turned, other, at);
    at[1] = -at[1];
    at[2] = -at[2];
    return o;
}

typedef double rule(bool above, const rob_interval *x, const double *s, double *at);
typedef struct entry { int32_t op; rule *offset; } entry;

static const entry RULES[] = {
    {ROB_OP_tanh, free_tanh},       {ROB_OP_sigmoid, free_sigmoid},
    {ROB_OP_relu, free_relu},       {ROB_OP_mul, free_mul},
    {ROB_OP_sigmul, free_sigmul},   {ROB_OP_sigtanh, free_sigtanh},
    {ROB_OP_blend, free_blend},
};

static rule *rule_of(const rob_node *n)
{
    for (size_t k = 0; k < sizeof RULES / sizeof *RULES; k++)
        if (RULES[k].op == n->op->id) return RULES[k].offset;
    return NULL;
}

bool rob_priv_free_has(const rob_node *n) { return rule_of(n) != NULL; }

double rob_priv_free_offset(const rob_node *n, bool above, const rob_interval *box,
                            const double *slope, double *at)
{
    const double none = above ? INFINITY : -INFINITY;
    rule *offset = rule_of(n);
    bool fine = offset != NULL;
    for (int32_t i = 0; i < n->ins; i++) {
        fine = fine && isfinite(box[i].lo) && isfinite(box[i].up) && isfinite(slope[i]);
        at[i] = box[i].lo;
    }
    double o = fine ? offset(above, box, slope, at) : none;
    return isfinite(o) ? o : none;
}
