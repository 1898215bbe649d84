/* plane_softmax.c -- planes below and above every p_k of a softmax row, and of its
 * log-sum-exp, on the box l <= s <= u. With z = s - t, t a point of the box:
 *
 * Chords. exp s_j <= h_j + kappa_j z_j on [l_j, u_j]; A(s) is their sum, R_k(s) the sum
 * without the k-th. Below, the better of two at t:
 *     p_k >= exp(s_k) / A(s), log-convex: its tangent
 *         F (1 + z_k - <kappa, z> / A),  F = exp(t_k) / A,  A = A(t);
 *     p_k >= sigmoid(w), w = s_k - log R_k(s) convex: with c w + o below the sigmoid on
 *     w's range, c >= 0, and w's tangent
 *         c (w(t) + z_k - (<kappa, z> - kappa_k z_k) / R_k) + o.
 * Above: p_k = sigmoid(w), w = s_k - log sum_{j != k} exp s_j concave: with c w + o above
 * the sigmoid and w's tangent, sigma = softmax t,
 *         c (w(t) + (z_k - <sigma, z>) / (1 - sigma_k)) + o.
 * All are  slope_k s_k - left_k <right, s> + offset_k.  What the stored slope, left and
 * right differ from these by times the largest |z| goes to the offset. Everything is
 * shifted by max u, which cancels.
 *
 * Log-sum-exp: below, the tangent at t (slope sigma); above, log A(s) by its tangent.
 * Reference: Wei et al., Convex bounds on the softmax function, AISTATS 2023; the
 * sigmoid forms are never above it where a chord is used: docs/theory/operators.md 3.
 */
#include "op/plane.h"

typedef struct row {
    int64_t n;
    const double *lo, *up;
    double shift;                 /* max up */
    const double *theta;          /* of the first element and of this side; NULL: 1/2 */
    int64_t step;                 /* from one theta to the next */
} row;

typedef struct sums {
    double reach;                 /* sum right_j max|z_j|, up */
    rob_interval at;              /* <right, t> */
    double ends[2];               /* <right, l>, <right, u>, near */
} sums;

static double point(const row *r, int64_t j)
{
    double th = r->theta != NULL ? r->theta[j * r->step] : 0.5;
    double t = r->lo[j] * (1 - th) + r->up[j] * th;
    return fp_min(fp_max(t, r->lo[j]), r->up[j]);
}

static double reach_of(const row *r, int64_t j, double t)
{
    return fp_max(fp_add_up(r->up[j], -t), fp_add_up(t, -r->lo[j]));
}

static double power_up(const row *r, double x)
{
    return fp_exp_up(fp_add_up(x, -r->shift));
}

static double power_lo(const row *r, double x)
{
    return fp_max(0, fp_exp_lo(fp_add_lo(x, -r->shift)));
}

static double distance(rob_interval x, double a)
{
    return fp_max(fabs(fp_add_up(x.up, -a)), fabs(fp_add_lo(x.lo, -a)));
}

static void gather(const row *r, const double *right, sums *s)
{
    *s = (sums){ 0 };
    for (int64_t j = 0; j < r->n; j++) {
        double t = point(r, j);
        s->reach = fp_add_up(s->reach, fp_mul_up(right[j], reach_of(r, j, t)));
        s->at.lo = fp_add_lo(s->at.lo, fp_mul_lo(right[j], t));
        s->at.up = fp_add_up(s->at.up, fp_mul_up(right[j], t));
        s->ends[0] += right[j] * r->lo[j];
        s->ends[1] += right[j] * r->up[j];
    }
}

/* ---- one plane ------------------------------------------------------------------- */

/* value + slope z_k - left <right, z>, off by at most own |z_k| + other <right, |z|> */
typedef struct candidate { double slope, left, value, own, other; } candidate;

static double offset_below(const row *r, const sums *s, int64_t k, const candidate *c)
{
    double t = point(r, k);
    double o = fp_add_lo(c->value, -fp_mul_up(c->own, reach_of(r, k, t)));
    o = fp_add_lo(o, -fp_mul_up(c->other, s->reach));
    o = fp_add_lo(o, -fp_mul_up(c->slope, t));
    return fp_or_lo(
        fp_add_lo(o, fp_mul_lo(c->left, c->left >= 0 ? s->at.lo : s->at.up)));
}

static double offset_above(const row *r, const sums *s, int64_t k, const candidate *c)
{
    candidate mirror = { -c->slope, -c->left, -c->value, c->own, c->other };
    return -offset_below(r, s, k, &mirror);
}

/* about the most the plane says on the box; sign -1: minus the least it says */
static double best_on_box(const row *r, const sums *s, int64_t k, const double *right,
                          const candidate *c, double offset, double sign)
{
    double own = sign * (c->slope - c->left * right[k]), left = sign * c->left;
    int low = left >= 0 ? 0 : 1;
    double rest = s->ends[low] - right[k] * (low ? r->up[k] : r->lo[k]);
    return sign * offset + (own >= 0 ? own * r->up[k] : own * r->lo[k]) - left * rest;
}

static void store(rob_planes *p, int64_t e, const candidate *c, double offset,
                  bool usable, double limit)
{
    usable = usable && isfinite(offset) && isfinite(c->slope) && isfinite(c->left);
    p->slope[0][e] = usable ? c->slope : 0;
    p->left[e] = usable ? c->left : 0;
    p->offset[e] = usable ? offset : limit;
}

/* ---- below ----------------------------------------------------------------------- */

/* height at t of the line of slope kappa above exp(s - shift) on [l, u] */
static double chord(const row *r, int64_t j, double t, double *kappa)
{
    double l = r->lo[j], u = r->up[j], low = power_up(r, l), high = power_up(r, u);
    *kappa = u - l > 1e-7 * (1 + fabs(l) + fabs(u)) ? fp_max(0, (high - low) / (u - l))
                                                    : fp_exp(t - r->shift);
    double left = fp_add_up(low, -fp_mul_lo(*kappa, fp_add_lo(l, -t)));
    double right = fp_add_up(high, -fp_mul_lo(*kappa, fp_add_lo(u, -t)));
    return fp_max(left, right);
}

/* total of all heights but the k-th: by difference where that is accurate */
static rob_interval without(const double *height, int64_t n, int64_t k,
                            rob_interval total)
{
    rob_interval sum = { 0, 0 };
    if (height[k] <= 0.5 * total.lo)
        return (rob_interval){ fp_add_lo(total.lo, -height[k]),
                               fp_add_up(total.up, -height[k]) };
    for (int64_t j = 0; j < n; j++) {
        if (j == k) continue;
        sum.lo = fp_add_lo(sum.lo, height[j]);
        sum.up = fp_add_up(sum.up, height[j]);
    }
    return sum;
}

/* exp(t_k) / A(s): tangent */
static candidate by_chords(const row *r, int64_t k, rob_interval A)
{
    double t = point(r, k);
    rob_interval F = { fp_max(0, fp_div_lo(power_lo(r, t), A.up)),
                       fp_div_up(power_up(r, t), A.lo) };
    candidate c = { .slope = F.lo, .left = F.lo / A.up, .value = F.lo };
    c.own = fp_add_up(F.up, -F.lo);
    c.other = distance((rob_interval){ fp_div_lo(F.lo, A.up), fp_div_up(F.up, A.lo) },
                       c.left);
    return c;
}

/* The range of s_k - log R_k(s), given R_k(t) and the changes of A from t to both ends. */
typedef struct slack { double down, up; } slack;

static rob_interval log_odds(const row *r, int64_t k, double t, rob_interval R,
                             slack more, double kappa)
{
    double rise = fp_add_up(more.up, -fp_mul_lo(kappa, fp_add_lo(r->up[k], -t)));
    double fall = fp_add_up(more.down, -fp_mul_lo(kappa, fp_add_lo(t, -r->lo[k])));
    double high = fp_add_up(R.up, fp_max(rise, 0));
    double low = fp_add_lo(R.lo, -fp_max(fall, 0));
    rob_interval w = {
        fp_add_lo(fp_add_lo(r->lo[k], -r->shift), -fp_log_up(high)),
        fp_add_up(fp_add_up(r->up[k], -r->shift),
                  low > 0 ? -fp_log_lo(low) : INFINITY),
    };
    return w;
}

/* sigmoid(s_k - log R_k(s)) */
static candidate by_odds(const row *r, int64_t k, rob_interval R, double kappa,
                         slack more)
{
    double t = point(r, k);
    candidate none = { .value = -INFINITY }, c;
    rob_interval w = log_odds(r, k, t, R, more, kappa);
    if (!(R.lo > 0) || !isfinite(w.lo) || !isfinite(w.up)) return none;
    double at = fp_add_lo(fp_add_lo(t, -r->shift), -fp_log_up(R.up));
    rob_line line = rob_priv_uni_line(&rob_priv_uni_sigmoid, false, w, NULL);
    if (!(line.slope >= 0) || !isfinite(line.offset)) return none;
    c.value = fp_add_lo(fp_mul_lo(line.slope, at), line.offset);
    c.left = line.slope / R.up;
    c.slope = line.slope + c.left * kappa;
    c.other = distance((rob_interval){ fp_div_lo(line.slope, R.up),
                                       fp_div_up(line.slope, R.lo) }, c.left);
    rob_interval own = { fp_add_lo(c.slope, -fp_mul_up(c.left, kappa)),
                         fp_add_up(c.slope, -fp_mul_lo(c.left, kappa)) };
    c.own = distance(own, line.slope);
    return c;
}

static void below_row(const row *r, double *height, const double *least, int64_t first,
                      rob_planes *p)
{
    double *kappa = p->right + first;
    rob_interval A = { 0, 0 };
    slack more = { 0, 0 };
    for (int64_t j = 0; j < r->n; j++) {
        double t = point(r, j);
        height[j] = chord(r, j, t, &kappa[j]);
        A.lo = fp_add_lo(A.lo, height[j]);
        A.up = fp_add_up(A.up, height[j]);
        more.up = fp_add_up(more.up, fp_mul_up(kappa[j], fp_add_up(r->up[j], -t)));
        more.down = fp_add_up(more.down, fp_mul_up(kappa[j], fp_add_up(t, -r->lo[j])));
    }
    sums s;
    gather(r, kappa, &s);
    for (int64_t k = 0; k < r->n; k++) {
        candidate c = by_chords(r, k, A);
        candidate d = by_odds(r, k, without(height, r->n, k, A), kappa[k], more);
        if (d.value > c.value) c = d;
        double offset = offset_below(r, &s, k, &c);
        bool better = best_on_box(r, &s, k, kappa, &c, offset, 1) > least[k];
        store(p, first + k, &c, offset, better && A.lo > 0, least[k]);
    }
}

/* ---- above ----------------------------------------------------------------------- */

enum { AT_T, AT_LO, AT_UP };

static double position(const row *r, int at, int64_t j)
{
    return at == AT_T ? point(r, j) : at == AT_LO ? r->lo[j] : r->up[j];
}

static rob_interval total_of(const row *r, int at, int64_t but)
{
    rob_interval sum = { 0, 0 };
    for (int64_t j = 0; j < r->n; j++) {
        if (j == but) continue;
        sum.lo = fp_add_lo(sum.lo, power_lo(r, position(r, at, j)));
        sum.up = fp_add_up(sum.up, power_up(r, position(r, at, j)));
    }
    return sum;
}

/* sum of exp but the k-th */
static rob_interval rest_of(const row *r, int at, int64_t k, rob_interval total)
{
    double x = position(r, at, k);
    rob_interval own = { power_lo(r, x), power_up(r, x) };
    if (own.up <= 0.5 * total.lo)
        return (rob_interval){ fp_add_lo(total.lo, -own.up),
                               fp_add_up(total.up, -own.lo) };
    return total_of(r, at, k);
}

/* blur: sum |sigma - softmax t| |z| */
static candidate above_one(const row *r, int64_t k, const rob_interval total[3],
                           double sigma, double blur)
{
    double t = point(r, k);
    candidate c = { .value = INFINITY };
    rob_interval rest = rest_of(r, AT_T, k, total[AT_T]);
    rob_interval w = {
        fp_add_lo(fp_add_lo(r->lo[k], -r->shift),
                  -fp_log_up(rest_of(r, AT_UP, k, total[AT_UP]).up)),
        fp_add_up(fp_add_up(r->up[k], -r->shift),
                  -fp_log_lo(rest_of(r, AT_LO, k, total[AT_LO]).lo)),
    };
    if (!(rest.lo > 0) || !isfinite(w.lo) || !isfinite(w.up)) return c;
    double at = fp_add_up(fp_add_up(t, -r->shift), -fp_log_lo(rest.lo));
    rob_line line = rob_priv_uni_line(&rob_priv_uni_sigmoid, true, w, NULL);
    if (!(line.slope >= 0) || !isfinite(line.offset)) return c;
    c.value = fp_add_up(fp_mul_up(line.slope, at), line.offset);
    /* left = slope / (1 - sigma_k) = slope S / rest */
    rob_interval left = {
        fp_div_lo(fp_mul_lo(line.slope, total[AT_T].lo), rest.up),
        fp_div_up(fp_mul_up(line.slope, total[AT_T].up), rest.lo)
    };
    c.left = 0.5 * left.lo + 0.5 * left.up;
    c.slope = line.slope + c.left * sigma;
    c.other = distance(left, c.left);
    c.value = fp_add_up(c.value, fp_mul_up(left.up, blur));
    rob_interval own = { fp_add_lo(c.slope, -fp_mul_up(c.left, sigma)),
                         fp_add_up(c.slope, -fp_mul_lo(c.left, sigma)) };
    c.own = distance(own, line.slope);
    return c;
}

/* right <- softmax t. *blur: an upper bound of sum |right - softmax t| |z|. */
static void shares(const row *r, rob_interval total, double *right, double *blur)
{
    *blur = 0;
    for (int64_t j = 0; j < r->n; j++) {
        double t = point(r, j);
        rob_interval y = { fp_div_lo(power_lo(r, t), total.up),
                           fp_div_up(power_up(r, t), total.lo) };
        right[j] = fp_max(y.lo, 0);
        double off = fp_mul_up(distance(y, right[j]), reach_of(r, j, t));
        *blur = fp_add_up(*blur, off);
    }
}

static void above_row(const row *r, const double *most, int64_t first, rob_planes *p)
{
    double *sigma = p->right + first, blur;
    rob_interval total[3];
    for (int at = 0; at < 3; at++) total[at] = total_of(r, at, -1);
    shares(r, total[AT_T], sigma, &blur);
    sums s;
    gather(r, sigma, &s);
    for (int64_t k = 0; k < r->n; k++) {
        candidate c = above_one(r, k, total, sigma[k], blur);
        double offset = offset_above(r, &s, k, &c);
        bool better = best_on_box(r, &s, k, sigma, &c, offset, -1) > -most[k];
        store(p, first + k, &c, offset, better, most[k]);
    }
}

/* ---- rows ------------------------------------------------------------------------ */

static bool row_is_finite(row *r)
{
    bool fine = true;
    r->shift = -INFINITY;
    for (int64_t j = 0; j < r->n; j++) {
        fine = fine && isfinite(r->lo[j]) && isfinite(r->up[j]) && r->lo[j] <= r->up[j];
        r->shift = fp_max(r->shift, r->up[j]);
    }
    return fine;
}

static void flat_row(rob_planes *p, int64_t first, int64_t n, const double *value)
{
    candidate none = { 0 };
    for (int64_t k = 0; k < n; k++) {
        store(p, first + k, &none, 0, false, value[k]);
        p->right[first + k] = 0;
    }
}

/* On entry the offsets hold the interval's ends. */
static void relax_row(row *r, int64_t first, const double *theta, rob_planes *below,
                      rob_planes *above)
{
    double *least = below->touch[0] + first, *most = above->touch[0] + first;
    for (int64_t k = 0; k < r->n; k++) {
        least[k] = below->offset[first + k];
        most[k] = above->offset[first + k];
    }
    if (!row_is_finite(r)) {
        flat_row(below, first, r->n, least);
        flat_row(above, first, r->n, most);
        return;
    }
    r->step = 2;
    r->theta = theta;
    below_row(r, above->offset + first, least, first, below);
    r->theta = theta != NULL ? theta + 1 : NULL;
    above_row(r, most, first, above);
}

void rob_priv_softmax_relax(const rob_node *n, const rob_range *in, const double *theta,
                            rob_planes *below, rob_planes *above)
{
    int64_t cols = rob_priv_shape_cols(&n->shape);
    rob_range out = { n->shape, below->offset, above->offset };
    n->op->interval(n, in, 0, &out);
    for (int64_t first = 0; first < below->count; first += cols) {
        row r = { .n = cols, .lo = in->lo + first, .up = in->up + first };
        relax_row(&r, first, theta != NULL ? theta + 2 * first : NULL, below, above);
    }
}

/* ---- log-sum-exp ----------------------------------------------------------------- */

/* log sum exp s >= LSE(t) + <sigma, z>: slope 0, left -1, right sigma */
static void log_below(const row *r, int64_t e, double least, int64_t first, rob_planes *p)
{
    double *sigma = p->right + first, blur;
    rob_interval total = total_of(r, AT_T, -1);
    sums s;
    shares(r, total, sigma, &blur);
    gather(r, sigma, &s);
    candidate c = { .left = -1 };
    c.value = fp_add_lo(r->shift, fp_log_lo(fp_max(0, total.lo)));
    c.value = fp_add_lo(c.value, -blur);
    /* k = first element: own and slope are 0, so only the sums enter */
    double offset = offset_below(r, &s, 0, &c);
    bool better = offset + s.ends[1] > least;
    store(p, e, &c, offset, better && total.lo > 0, least);
}

/* log A(s) <= log A(t) + <kappa, z> / A(t) */
static void log_above(const row *r, int64_t e, double most, int64_t first, rob_planes *p)
{
    double *kappa = p->right + first;
    rob_interval A = { 0, 0 };
    sums s;
    for (int64_t j = 0; j < r->n; j++) {
        double height = chord(r, j, point(r, j), &kappa[j]);
        A.lo = fp_add_lo(A.lo, height);
        A.up = fp_add_up(A.up, height);
    }
    gather(r, kappa, &s);
    candidate c = { .left = -1 / A.up };
    c.other = distance((rob_interval){ -fp_div_up(1, A.lo), -fp_div_lo(1, A.up) },
                       c.left);
    c.value = fp_add_up(r->shift, fp_log_up(A.up));
    double offset = offset_above(r, &s, 0, &c);
    bool better = offset - c.left * s.ends[0] < most;
    store(p, e, &c, offset, better && A.lo > 0, most);
}

void rob_priv_logsumexp_relax(const rob_node *n, const rob_range *in,
                              const double *theta, rob_planes *below, rob_planes *above)
{
    int64_t cols = rob_priv_shape_cols(&in->shape);
    rob_range out = { n->shape, below->offset, above->offset };
    n->op->interval(n, in, 0, &out);
    for (int64_t e = 0; e < below->count; e++) {
        int64_t first = e * cols;
        double least = below->offset[e], most = above->offset[e];
        row r = { .n = cols, .lo = in->lo + first, .up = in->up + first, .step = 2 };
        if (!row_is_finite(&r)) {
            candidate none = { 0 };
            store(below, e, &none, 0, false, least);
            store(above, e, &none, 0, false, most);
            for (int64_t j = 0; j < cols; j++)
                below->right[first + j] = above->right[first + j] = 0;
            continue;
        }
        r.theta = theta != NULL ? theta + 2 * first : NULL;
        log_below(&r, e, least, first, below);
        r.theta = theta != NULL ? theta + 2 * first + 1 : NULL;
        log_above(&r, e, most, first, above);
    }
}
