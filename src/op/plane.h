/* plane.h -- what the bound rules of the operator files share.
 *
 * A plane is a triple of doubles that is simply true: slopes are free, offsets are
 * rigorous minima. "Below" machinery suffices: an upper plane of f is a lower plane of
 * a mirrored f. Theory: docs/theory/relax.md.
 */
#ifndef ROB_PLANE_H
#define ROB_PLANE_H

#include "fp/fp.h"
#include "op/op.h"

/* ---- ranges ---------------------------------------------------------------------- */

typedef struct rob_interval { double lo, up; } rob_interval;

static inline rob_interval rob_priv_range_at(const rob_range *r, int64_t e)
{
    return (rob_interval){ fp_or_lo(r->lo[e]), fp_or_up(r->up[e]) };
}

/* NaN: nothing known */
static inline void rob_priv_range_put(rob_range *r, int64_t e, double lo, double up)
{
    r->lo[e] = fp_or_lo(lo);
    r->up[e] = fp_or_up(up);
}

static inline double rob_priv_range_most(const rob_range *r, int64_t e)
{
    return fmax(fabs(fp_or_lo(r->lo[e])), fabs(fp_or_up(r->up[e])));
}

rob_interval rob_priv_range_product(rob_interval a, rob_interval b);
rob_interval rob_priv_range_sigtanh(rob_interval x, rob_interval y);
rob_interval rob_priv_range_sigmul(rob_interval x, rob_interval y);
rob_interval rob_priv_range_blend(rob_interval z, rob_interval n, rob_interval h);
rob_interval rob_priv_range_gelu(bool by_tanh, rob_interval x);
void rob_priv_gelu_relax(const rob_node *n, const rob_range *in, const double *theta,
                         struct rob_planes *below, struct rob_planes *above);

/* ---- functions of one variable --------------------------------------------------- */

/* f on [from, inf), convex left of `bend` and concave right of it. `slope` is f' with a
 * relative error of at most `blur` (and 2^-1022). */
typedef enum rob_course {
    ROB_RISES,
    ROB_FALLS,
    ROB_EVEN
} rob_course; /* even: least at 0 */
typedef struct rob_univariate {
    double (*lo)(double), (*up)(double), (*slope)(double);
    double from, bend, blur;
    rob_course course;
} rob_univariate;

extern const rob_univariate rob_priv_uni_tanh, rob_priv_uni_sigmoid, rob_priv_uni_erf,
    rob_priv_uni_exp, rob_priv_uni_log, rob_priv_uni_softplus, rob_priv_uni_sqrt,
    rob_priv_uni_rsqrt, rob_priv_uni_reciprocal, rob_priv_uni_square;

typedef struct rob_line { double slope, offset, touch; } rob_line;

/* Slope and touching point of the line below f (above, when `above`) on the box, before
 * its offset is known. theta NULL: tangent at the midpoint, or as near as is valid,
 * else the chord; else *theta in [0, 1] moves the point: 1/2 is the default, 0 the end
 * of the box on the convex side (below; concave above), 1 the last point whose tangent
 * is valid. */
rob_line rob_priv_uni_direction(const rob_univariate *f, bool above, rob_interval box,
                                const double *theta);
/* The line with a rigorous offset. */
rob_line rob_priv_uni_line(const rob_univariate *f, bool above, rob_interval box,
                           const double *theta);
/* The rules of an element-wise operator. */
void rob_priv_uni_interval(const rob_univariate *f, const rob_range *in,
                           rob_range *out);
void rob_priv_uni_relax(const rob_univariate *f, const rob_range *in,
                        const double *theta, rob_planes *below, rob_planes *above);

/* ---- storing planes -------------------------------------------------------------- */

/* The constant plane. */
void rob_priv_plane_flat(rob_planes *p, int32_t ins, int64_t e, double value);
/* Store a plane of `ins` inputs unless it is not finite or the constant `limit` (a
 * lower bound of phi when below, an upper one otherwise) is better everywhere on the
 * box. */
void rob_priv_plane_put(rob_planes *p, bool is_above, int32_t ins, int64_t e,
                        const rob_interval *box, const double *slope, double offset,
                        const double *touch, double limit);

/* ---- products and gates: rigorous minima ----------------------------------------- */

/* A lower bound of min over x in box of  k sigmoid(x) - a x; *at: about where. */
double rob_priv_min_sigmoid(double k, double a, rob_interval box, double *at);
/* ... over (x, y) of  sigmoid(x) y - a x - b y. */
double rob_priv_min_sigmul(double a, double b, rob_interval x, rob_interval y,
                           double at[2]);
/* ... over (z, n, h) of  n + sigmoid(z) (h - n) - s0 z - s1 n - s2 h. */
double rob_priv_min_blend(const double s[3], const rob_interval box[3], double at[3]);

/* What is known of two inputs jointly, beside their box:  y - slope x in rest. */
enum { ROB_JOINT_LINES = 2 };
typedef struct rob_joint {
    int32_t lines;
    double slope[ROB_JOINT_LINES];
    rob_interval rest[ROB_JOINT_LINES];
} rob_joint;
/* A lower bound, at most about `enough` too low, of min over (x, y) in the box and the
 * joint domain of  sigmoid(x) g(y) - a x - b y, g tanh or the identity. -INFINITY: none. */
double rob_priv_min_joint(bool of_tanh, double a, double b, rob_interval x,
                          rob_interval y, const rob_joint *joint, double enough);

/* Bounds of many minima: on the joint domain each as good as `enough` asks, and none worth
 * going on with that can no more be above `known` by a tenth of that. */
typedef struct rob_gate_problem {
    double a, b;
    rob_interval x, y;
    rob_joint joint;
    double enough, known;
} rob_gate_problem;
void rob_priv_min_joints(bool of_tanh, int64_t n, const rob_gate_problem *p, double *bound);
/* On the box, of sigmoid(x) tanh(y) - a x - b y; at: about where. */
void rob_priv_min_sigtanhs(int64_t n, const rob_gate_problem *p, double *bound,
                           double (*at)[2]);
/* plane_free.c: the offset of the plane of slopes s that touches the graph of an operator
 * on a box, rounded outward, and where it touches: d offset / d s = -at. Infinite where
 * there is no rule, or nothing finite. */
bool rob_priv_free_has(const rob_node *n);
double rob_priv_free_offset(const rob_node *n, bool above, const rob_interval *box,
                            const double *slope, double *at);

/* Parallel planes: lo <= phi(z) - slope.z <= up on the box. */
typedef struct rob_strip { double slope[ROB_MAX_INS], lo, up; } rob_strip;
/* The strip about element e of an operator; false: no rule, or nothing finite. */
bool rob_priv_strip(const rob_node *n, const rob_range *in, int64_t e, rob_strip *s);
/* Those about elements which[0..count); fine[i]: there is one. */
void rob_priv_strips(const rob_node *n, const rob_range *in, const int64_t *which,
                     int64_t count, rob_strip *s, bool *fine);
/* Strips s that stand become those on the joint domain of (x, y), for sigmoid(x) tanh(y) and
 * sigmoid(x) y; of the blend x = z and y = h - n, whose range is `second`. fine[i], true on
 * entry for what is wanted: is it thinner now? */
void rob_priv_strips_joint(const rob_node *n, const rob_range *in, const int64_t *which,
                           int64_t count, const rob_interval *second, const rob_joint *joint,
                           rob_strip *s, bool *fine);

/* McCormick's slopes of the product of two factors in their ranges, mixed by r in [0,
 * 1]: r = 1 below is the plane through the corners (lo, lo), above through (lo, up) in
 * the order (first, second). */
void rob_priv_product_slopes(bool above, rob_interval first, rob_interval second,
                             double r, double *of_first, double *of_second);

/* Slope on the argument of a factor f(x) that enters a plane below (above) with
 * coefficient c: c times its line below or above, by sign. */
double rob_priv_gate_slope(const rob_univariate *f, bool is_above, double c,
                           rob_interval x, const double *theta);

/* ---- pulling rows through affine operators --------------------------------------- */

/* in[e] += c, returning what the two roundings (of c, a product of two numbers unless
 * `exact`, and of the sum) can cost when the value is at most `most` in magnitude. */
static inline double rob_priv_row_add(double *in, double c, bool exact, double most)
{
    double old = *in, sum = old + c, cost = 0;
    *in = sum;
    if (!exact && c != 0)
        cost += fabs(c) * ROB_U + ROB_TINY;
    if (old != 0 && c != 0)
        cost += fabs(sum) * ROB_U;
    return cost == 0 ? 0 : cost * most;
}

/* loss += cost, a sum of up to n non-negative terms rounded n times */
static inline void rob_priv_row_charge(double *loss, double cost, int64_t n)
{
    if (cost != 0)
        *loss = fp_add_up(*loss, fp_mul_up(cost, 1 + 2 * fp_gamma(n + 4))
                                 + (double)n * ROB_TINY);
}

/* Rows moved along a map of elements: output element e reads input element from(e). */
typedef int64_t rob_source(const rob_node *n, const void *user, int64_t e);
void rob_priv_pull_map(const rob_rows *out, rob_rows *in, const rob_range *value,
                       double scale, double *loss, const rob_node *n, rob_source *from,
                       const void *user);
/* The same where input element j feeds output element from(j). */
void rob_priv_pull_gather(const rob_rows *out, rob_rows *in, const rob_range *value,
                          double *loss, const rob_node *n, rob_source *from,
                          const void *user);
/* base[r] += shift * (sum of row r) */
void rob_priv_pull_shift(const rob_rows *out, double shift, double *base, double *loss);
/* Element of `small` that broadcasting puts at element e of `large`. */
int64_t rob_priv_broadcast_source(const rob_shape *large, const rob_shape *small,
                                  int64_t e);

/* ---- operators over rows --------------------------------------------------------- */

/* Planes of a row couple its numbers: slope_e z_e - left_e <right, z> + offset_e, right
 * one for each number of the input, slope, left and offset one for each of the output.
 * touch[0] is scratch. theta: two a number of the input (below, above). */
void rob_priv_softmax_relax(const rob_node *n, const rob_range *in, const double *theta,
                            rob_planes *below, rob_planes *above);
void rob_priv_logsumexp_relax(const rob_node *n, const rob_range *in,
                              const double *theta, rob_planes *below,
                              rob_planes *above);
void rob_priv_rmsnorm_relax(const rob_node *n, const rob_range *in, const double *theta,
                            rob_planes *below, rob_planes *above);
/* The same where the mean square of each row is known to lie in `mean` (one number a
 * row); and the range of (sum_j x_j^2) / n - <rho, x> of one row, rho near (lo + up) / n. */
void rob_priv_rmsnorm_relax_within(const rob_node *n, const rob_range *in,
                                   const rob_range *mean, const double *theta,
                                   rob_planes *below, rob_planes *above);
rob_interval rob_priv_rmsnorm_rest(int64_t n, const double *lo, const double *up,
                                   const double *rho);

/* ---- matrix products ------------------------------------------------------------- */

void rob_priv_matmul_interval(const rob_node *n, const rob_range *in, rob_range *out);
/* Rows moved to operand i, the other one taken at its centre and charged its radius. */
void rob_priv_matmul_pull(const rob_node *n, const rob_range *value,
                          const rob_rows *out, int32_t i, rob_rows *in, double *loss);

/* ---- centre models --------------------------------------------------------------- */

/* Bounds over a box of |derivative|, orders 0 to 3, of one factor of a product. */
typedef struct rob_sizes { double of[4]; } rob_sizes;
/* Derivatives of one factor at its centre, orders 0 to 2, relative error below 64 u. */
typedef struct rob_jet { double of[3]; } rob_jet;

rob_sizes rob_priv_sizes_sigmoid(rob_interval x);
rob_sizes rob_priv_sizes_tanh(rob_interval x);
rob_sizes rob_priv_sizes_linear(rob_interval x);
rob_jet rob_priv_jet_sigmoid(double x);
rob_jet rob_priv_jet_tanh(double x);
rob_jet rob_priv_jet_linear(double x);

/* The box with the centre in it, and the largest |z|. */
rob_interval rob_priv_curve_box(const rob_range *in, int64_t e, double centre,
                                double *reach);
/* Element e: f(x), or f(x) g(y), and what its third derivatives leave. */
void rob_priv_curve_one(rob_curve *c, int64_t e, rob_jet f, rob_sizes size,
                        double reach);
void rob_priv_curve_product(rob_curve *c, int64_t e, const rob_jet f[2],
                            const rob_sizes size[2], const double reach[2]);
/* n + sigmoid(z) (h - n) at the centre at[] = (z, n, h) */
void rob_priv_curve_blend(rob_curve *c, int64_t e, const rob_interval box[3],
                          const double at[3], const double reach[3]);

/* ---- ranges of partial derivatives ------------------------------------------------ */

/* of a function of one variable, on a box; for all elements */
rob_interval rob_priv_uni_steep(const rob_univariate *f, rob_interval x);
void rob_priv_steep_one(const rob_univariate *f, const rob_range *in, rob_range *out);
/* Element e of a function with these slopes below and above 0. */
void rob_priv_steep_kink(double below, double above, rob_interval x, int64_t e,
                         rob_range *out);
/* Partial derivative by argument i. */
rob_interval rob_priv_steep_sigtanh(int32_t i, rob_interval a, rob_interval b);
rob_interval rob_priv_steep_sigmul(int32_t i, rob_interval a, rob_interval b);
rob_interval rob_priv_steep_blend(int32_t i, rob_interval z, rob_interval n, rob_interval h);

/* ---- enclosing ------------------------------------------------------------------- */

/* Outputs with the inputs at their lower ends, and at their upper ends. */
void rob_priv_enclose_rising(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                             rob_id *ylo, rob_id *yup);
void rob_priv_enclose_falling(rob_graph *g, rob_id y, const rob_id *lo,
                              const rob_id *up, rob_id *ylo, rob_id *yup);
rob_id rob_priv_enclose_least(rob_graph *g, rob_id a, rob_id b);
rob_id rob_priv_enclose_most(rob_graph *g, rob_id a, rob_id b);
/* s b, s in [slo, sup] not negative, b in [blo, bup] */
void rob_priv_enclose_share(rob_graph *g, const rob_id s[2], const rob_id b[2],
                            rob_id *ylo, rob_id *yup);

#endif
