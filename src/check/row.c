/* row.c -- are planes of numbers in a row below (above) them on a box?
 *
 *     slope_k s_k - left_k <right, s> + offset_k   of softmax, log-sum-exp, rmsnorm
 *
 * Softmax. p_k = sigmoid(w), w = s_k - log R, R = sum of exp(s_j) but the k-th; the plane's
 * other numbers enter by sum right_j s_j, j != k, and only its relation to R is needed:
 *     chords  exp(s_j) <= right_j s_j + beta_j, so the sum is at least R - sum beta_j;
 *     Gibbs   sum q_j s_j <= log R + sum q_j log q_j for shares q of one.
 * Above, with Gibbs, sigmoid(w) - B w is left, and straight terms in s_k. Below, left R is
 * above its tangent in log R = s_k - w, slope m: sigmoid(w) - m w and straight terms are left,
 * m the plane's own slope on s_k first, then that of pieces of (s_k, log R), halved.
 *
 * Log-sum-exp. Below by Gibbs; above by chords and l R - log R >= 1 + log l.
 *
 * rmsnorm x_k (v + eps)^(-1/2), v = mean square: v - <right, x> is a sum of parabolas, each
 * with its range on the box; what is left is straight in x_k, so x_k at either end, and there
 * k w^(-1/2) + l w in one variable, convex (a tangent anywhere) or concave (ends).
 *
 * Cover and Thomas, Elements of Information Theory, 2nd ed., thm 2.6.3 (Gibbs);
 * docs/theory/certificate.md.
 */
#include "check/row.h"

enum { PIECES = 4000, STACK = 64 };

static double larger_size(double a, double b) { return fp_max(fabs(a), fabs(b)); }

/* of two numbers; what is none is returned, and satisfies nothing */
static double lesser(double a, double b) { return isnan(a) || a < b ? a : b; }
static double larger(double a, double b) { return isnan(a) || a > b ? a : b; }

/* out_k: the sum of all but the k-th */
static void all_but_one(const double *v, int64_t n, bool up, double *out)
{
    double sum = 0;
    for (int64_t k = n - 1; k >= 0; k--) {
        out[k] = sum;
        sum = up ? fp_add_up(sum, v[k]) : fp_add_lo(sum, v[k]);
    }
    sum = 0;
    for (int64_t k = 0; k < n; k++) {
        out[k] = up ? fp_add_up(sum, out[k]) : fp_add_lo(sum, out[k]);
        sum = up ? fp_add_up(sum, v[k]) : fp_add_lo(sum, v[k]);
    }
}

static double power_lo(double x, double shift)
{
    return fp_max(fp_exp_lo(fp_add_lo(x, -shift)), 0);
}

static double power_up(double x, double shift)
{
    return fp_exp_up(fp_add_up(x, -shift));
}

static double shift_of(const rob_check_row *r)
{
    double most = -INFINITY;
    for (int64_t j = 0; j < r->n; j++) most = fp_max(r->up[j], most);
    return most;
}

/* v >= exp(s - shift) - right s on [l, u], convex: at an end */
static double chord_up(const rob_check_row *r, int64_t j, double shift)
{
    double low = fp_add_up(power_up(r->lo[j], shift), -fp_mul_lo(r->right[j], r->lo[j]));
    double high = fp_add_up(power_up(r->up[j], shift), -fp_mul_lo(r->right[j], r->up[j]));
    return larger(low, high);
}

/* d s for s in [lo, up] and d in a box, at the least */
static double least_straight(rob_check_box d, rob_check_box s)
{
    if (!isfinite(d.lo) || !isfinite(d.up)) return -INFINITY;
    double least = lesser(fp_mul_lo(d.lo, s.lo), fp_mul_lo(d.lo, s.up));
    least = lesser(fp_mul_lo(d.up, s.lo), least);
    return lesser(fp_mul_lo(d.up, s.up), least);
}

static rob_check_box difference(double a, double b)
{
    return (rob_check_box){ fp_add_lo(a, -b), fp_add_up(a, -b) };
}

/* ---- softmax ---------------------------------------------------------------------- */

/* Numbers of a row with the k-th left out: arrays of r->room. logR is shifted. */
typedef struct sums { double *r_lo, *r_up, *s_lo, *s_up, *rest, *spare; double shift; } sums;

static sums sums_of(const rob_check_row *r)
{
    double *at = r->room;
    const int64_t n = r->n;
    sums s = { at, at + n, at + 2 * n, at + 3 * n, at + 4 * n, at + 5 * n, shift_of(r) };
    for (int64_t j = 0; j < n; j++) s.spare[j] = power_lo(r->lo[j], s.shift);
    all_but_one(s.spare, n, false, s.r_lo);
    for (int64_t j = 0; j < n; j++) s.spare[j] = power_up(r->up[j], s.shift);
    all_but_one(s.spare, n, true, s.r_up);
    return s;
}

/* k: what the plane leaves: slope of s_k itself, log R, w; losses already subtracted */
typedef struct element { double left, slope, shift, want; rob_check_box s, log_r, w; } element;

static element element_of(const rob_check_row *r, const sums *m, int64_t k)
{
    element e = { .left = r->left[k], .shift = m->shift, .s = { r->lo[k], r->up[k] } };
    double own_lo = fp_add_lo(r->slope[k], -fp_mul_up(e.left, r->right[k]));
    double own_up = fp_add_up(r->slope[k], -fp_mul_lo(e.left, r->right[k]));
    e.slope = 0.5 * own_lo + 0.5 * own_up;
    double off = fp_max(fp_add_up(own_up, -e.slope), fp_add_up(e.slope, -own_lo));
    e.want = fp_mul_up(off, larger_size(e.s.lo, e.s.up));
    e.log_r = (rob_check_box){ fp_log_lo(fp_max(m->r_lo[k], 0)), fp_log_up(m->r_up[k]) };
    e.w.lo = fp_add_lo(fp_add_lo(e.s.lo, -m->shift), -e.log_r.up);
    e.w.up = fp_add_up(fp_add_up(e.s.up, -m->shift), -e.log_r.lo);
    return e;
}

/* sigmoid(w) - slope s + left R, s in p.s and log R in p.log_r, left R by its tangent of
 * slope m in log R */
static double on_piece(const element *e, const element *p, double m)
{
    double lo = fp_add_lo(fp_add_lo(p->s.lo, -e->shift), -p->log_r.up);
    double up = fp_add_up(fp_add_up(p->s.up, -e->shift), -p->log_r.lo);
    rob_check_box w = { fp_max(lo, e->w.lo), fp_min(up, e->w.up) };
    if (w.lo > w.up) return INFINITY;
    double v = rob_priv_check_sigmoid(1, m, w.lo, w.up);
    if (m > 0) {
        double c = fp_add_lo(1, -fp_log_up(fp_div_up(m, e->left)));
        v = fp_add_lo(v, fp_mul_lo(m, fp_add_lo(c, -e->shift)));
    }
    return fp_add_lo(v, least_straight(difference(m, e->slope), p->s));
}

static double slope_at_middle(const element *e, const element *p)
{
    return e->left * fp_exp(0.5 * p->log_r.lo + 0.5 * p->log_r.up);
}

/* The piece's halves; false: it cannot be halved. */
static bool halve(const element *p, element half[2])
{
    bool by_s = p->s.up - p->s.lo >= p->log_r.up - p->log_r.lo;
    rob_check_box b = by_s ? p->s : p->log_r;
    double middle = b.lo + (b.up - b.lo) / 2;
    if (!(middle > b.lo && middle < b.up)) return false;
    half[0] = half[1] = *p;
    *(by_s ? &half[0].s.up : &half[0].log_r.up) = middle;
    *(by_s ? &half[1].s.lo : &half[1].log_r.lo) = middle;
    return true;
}

static bool holds_by_pieces(const element *e)
{
    element open[STACK + 1];
    int count = 1;
    open[0] = *e;
    for (int tried = 0; count > 0; tried++) {
        element p = open[--count];
        if (on_piece(e, &p, slope_at_middle(e, &p)) >= e->want) continue;
        if (tried > PIECES || count + 2 > STACK || !halve(&p, open + count)) return false;
        count += 2;
    }
    return true;
}

static bool holds_below(const rob_check_row *r, const sums *m, int64_t k)
{
    element e = element_of(r, m, k);
    if (!(e.left >= 0) || !isfinite(e.w.lo) || !isfinite(e.w.up)) return false;
    e.want = fp_add_up(e.want, fp_add_up(r->offset[k], fp_mul_up(e.left, m->rest[k])));
    if (e.left > 0 && e.slope > 0 && on_piece(&e, &e, e.slope) >= e.want) return true;
    return holds_by_pieces(&e);
}

/* rest: of right_j log right_j */
static bool holds_above(const rob_check_row *r, const sums *m, int64_t k)
{
    element e = element_of(r, m, k);
    if (!(e.left >= 0) || !isfinite(e.w.lo) || !isfinite(e.w.up)) return false;
    double size = fp_log_lo(m->s_lo[k]), gibbs = 0, b = e.left * m->s_lo[k];
    double least = fp_mul_lo(size >= 0 ? m->s_lo[k] : m->s_up[k], size);
    if (e.left > 0) gibbs = fp_mul_up(e.left, fp_add_up(m->rest[k], -least));
    double off = fp_max(fp_add_up(fp_mul_up(e.left, m->s_up[k]), -b),
                        fp_add_up(b, -fp_mul_lo(e.left, m->s_lo[k])));
    double log_r = larger_size(fp_add_lo(e.shift, e.log_r.lo), fp_add_up(e.shift, e.log_r.up));
    double v = fp_add_lo(rob_priv_check_sigmoid(-1, -b, e.w.lo, e.w.up),
                         least_straight(difference(e.slope, b), e.s));
    v = fp_add_lo(fp_add_lo(v, -gibbs), -e.want);
    return fp_add_lo(v, -fp_mul_up(off, log_r)) >= -r->offset[k];
}

/* x log x, upwards */
static double entropy_up(double x)
{
    if (!(x > 0)) return 0;
    return fp_mul_up(x, fp_log_up(x));
}

static void begin_softmax(const rob_check_row *r)
{
    sums m = sums_of(r);
    for (int64_t j = 0; j < r->n; j++)
        m.spare[j] = r->above ? entropy_up(r->right[j]) : chord_up(r, j, m.shift);
    all_but_one(m.spare, r->n, true, m.rest);
    all_but_one(r->right, r->n, false, m.s_lo);
    all_but_one(r->right, r->n, true, m.s_up);
    *m.spare = m.shift;
}

static bool holds_softmax(const rob_check_row *r, int64_t k)
{
    double *at = r->room;
    const int64_t n = r->n;
    const sums m = { at, at + n, at + 2 * n, at + 3 * n, at + 4 * n, at + 5 * n, at[5 * n] };
    return r->above ? holds_above(r, &m, k) : holds_below(r, &m, k);
}

/* ---- log-sum-exp ------------------------------------------------------------------ */

static bool log_holds_above(const rob_check_row *r)
{
    const double l = -r->left[0], shift = shift_of(r);
    double rest = 0;
    for (int64_t j = 0; j < r->n; j++) rest = fp_add_up(rest, chord_up(r, j, shift));
    if (!(l > 0)) return false;
    double v = fp_add_lo(fp_add_lo(1, fp_log_lo(l)), -shift);
    return fp_add_lo(v, -fp_mul_up(l, rest)) >= -r->offset[0];
}

/* With Q = sum q_j s_j, q = right / S: log-sum-exp - l S Q >= (1 - l S) Q - sum q log q */
static bool log_holds_below(const rob_check_row *r)
{
    const double l = -r->left[0];
    double S_lo = 0, S_up = 0, H = 0, low = INFINITY, high = -INFINITY;
    for (int64_t j = 0; j < r->n; j++) {
        S_lo = fp_add_lo(S_lo, r->right[j]);
        S_up = fp_add_up(S_up, r->right[j]);
        H = fp_add_up(H, entropy_up(r->right[j]));
        low = fp_min(r->lo[j], low);
        high = fp_max(r->up[j], high);
    }
    if (!(l >= 0) || !(S_lo > 0)) return false;
    const rob_check_box left_over = { fp_add_lo(1, -fp_mul_up(l, S_up)),
                                      fp_add_up(1, -fp_mul_lo(l, S_lo)) };
    double entropy = H > 0 ? fp_div_up(H, S_lo) : fp_div_up(H, S_up);
    double v = fp_add_lo(fp_log_lo(S_lo), -entropy);
    return fp_add_lo(v, least_straight(left_over, (rob_check_box){ low, high }))
           >= r->offset[0];
}

static bool holds_logsumexp(const rob_check_row *r, int64_t k)
{
    if (r->slope[k] != 0) return false;
    return r->above ? log_holds_above(r) : log_holds_below(r);
}

/* ---- rmsnorm ---------------------------------------------------------------------- */

rob_check_box rob_priv_check_squares(int64_t n, const double *lo, const double *up)
{
    rob_check_box v = { 0, 0 };
    for (int64_t j = 0; j < n; j++) {
        double near = lo[j] > 0 ? lo[j] : up[j] < 0 ? up[j] : 0;
        double far = larger_size(lo[j], up[j]);
        v.lo = fp_add_lo(v.lo, fp_max(fp_mul_lo(near, near), 0));
        v.up = fp_add_up(v.up, fp_mul_up(far, far));
    }
    return (rob_check_box){ fp_max(fp_div_lo(v.lo, (double)n), 0), fp_div_up(v.up, (double)n) };
}

/* Each parabola x (x / n - right) is least at x = n right / 2, largest at an end. */
rob_check_box rob_priv_check_squares_rest(int64_t n, const double *lo, const double *up,
                                          const double *right)
{
    rob_check_box v = { 0, 0 };
    for (int64_t j = 0; j < n; j++) {
        double most = -INFINITY, end[2] = { lo[j], up[j] };
        for (int i = 0; i < 2; i++) {
            double square = fp_div_up(fp_mul_up(end[i], end[i]), (double)n);
            most = larger(most, fp_add_up(square, -fp_mul_lo(right[j], end[i])));
        }
        double depth = 0.25 * fp_mul_up(fp_mul_up(right[j], right[j]), (double)n);
        v.lo = fp_add_lo(v.lo, -depth);
        v.up = fp_add_up(v.up, most);
    }
    return v;
}

/* k w^(-1/2) + l w at w > 0, rounded down */
static double root_at(double k, double l, double w)
{
    double root = k >= 0 ? fp_div_lo(1, fp_sqrt_up(w)) : fp_div_up(1, fp_sqrt_lo(w));
    return fp_add_lo(fp_mul_lo(k, root), fp_mul_lo(l, w));
}

static double least_root(double k, double l, rob_check_box w)
{
    double ends = lesser(root_at(k, l, w.lo), root_at(k, l, w.up));
    if (!(k > 0 && l > 0)) return ends;
    double t = fp_exp(2.0 / 3 * fp_log(0.5 * k / l));
    t = fp_min(fp_max(t, w.lo), w.up);
    double cube_lo = fp_mul_lo(t, fp_sqrt_lo(t)), cube_up = fp_mul_up(t, fp_sqrt_up(t));
    double d_lo = fp_add_lo(l, -fp_div_up(0.5 * k, cube_lo));
    double d_up = fp_add_up(l, -fp_div_lo(0.5 * k, cube_up)), lost = 0;
    if (!isfinite(d_lo) || !isfinite(d_up)) return -INFINITY;
    if (d_lo < 0) lost = fp_max(lost, fp_mul_up(-d_lo, fp_add_up(w.up, -t)));
    if (d_up > 0) lost = fp_max(lost, fp_mul_up(d_up, fp_add_up(t, -w.lo)));
    return lesser(ends, fp_add_lo(root_at(k, l, t), -lost));
}

static void begin_rmsnorm(const rob_check_row *r)
{
    rob_check_box rest = rob_priv_check_squares_rest(r->n, r->lo, r->up, r->right);
    r->room[0] = rest.lo;
    r->room[1] = rest.up;
}

static bool holds_rmsnorm(const rob_check_row *r, int64_t k)
{
    const double sign = r->above ? -1 : 1, l = sign * r->left[k];
    const rob_check_box rest = { r->room[0], r->room[1] };
    rob_check_box w = { fp_max(fp_add_lo(r->mean.lo, r->eps), r->eps),
                        fp_add_up(r->mean.up, r->eps) };
    double lost = fp_add_up(fp_mul_up(l, l >= 0 ? rest.up : rest.lo), fp_mul_up(l, r->eps));
    if (!(w.lo > 0 && w.lo <= w.up && isfinite(w.up))) return false;
    for (int i = 0; i < 2; i++) {
        double x = i ? r->up[k] : r->lo[k];
        double v = fp_add_lo(least_root(sign * x, l, w), -fp_mul_up(sign * r->slope[k], x));
        if (!(fp_add_lo(v, -lost) >= sign * r->offset[k])) return false;
    }
    return true;
}

/* ---- any -------------------------------------------------------------------------- */

static void begin_nothing(const rob_check_row *r) { (void)r; }

static const struct {
    int32_t op;
    bool shares;                  /* right is not below 0 */
    void (*begin)(const rob_check_row *r);
    bool (*holds)(const rob_check_row *r, int64_t k);
} RULES[] = {
    { ROB_OP_softmax, true, begin_softmax, holds_softmax },
    { ROB_OP_logsumexp, true, begin_nothing, holds_logsumexp },
    { ROB_OP_rmsnorm, false, begin_rmsnorm, holds_rmsnorm },
};

static bool is_usable(const rob_check_row *r, bool shares)
{
    bool fine = true;
    for (int64_t j = 0; j < r->n; j++) {
        fine = fine && isfinite(r->lo[j]) && isfinite(r->up[j]) && r->lo[j] <= r->up[j];
        fine = fine && isfinite(r->right[j]) && (!shares || r->right[j] >= 0);
    }
    return fine;
}

static bool is_flat(const rob_check_row *r, int64_t k)
{
    if (r->slope[k] != 0 || r->left[k] != 0) return false;
    return r->above ? r->offset[k] >= r->limit[k] : r->offset[k] <= r->limit[k];
}

int64_t rob_priv_check_row_fault(int32_t op, const rob_check_row *r)
{
    int64_t i = 0, k = 0;
    while (i < COUNT_OF(RULES) && RULES[i].op != op) i++;
    while (k < r->per && is_flat(r, k)) k++;
    if (k == r->per) return -1;
    if (i == COUNT_OF(RULES) || !is_usable(r, RULES[i].shares)) return k;
    RULES[i].begin(r);
    for (; k < r->per; k++)
        if (!is_flat(r, k) && !RULES[i].holds(r, k)) return k;
    return -1;
}
