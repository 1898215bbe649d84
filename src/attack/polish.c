/* polish.c -- from points near the boundary to points of it nearest to x.
 *
 *     min ||v||_p   subject to   F(v) <= -e,   e = INSIDE ||g||_q ||b||_p,
 *
 * by models about the iterate b, F(b) = f, gradient g:
 *     min ||v||_p   s.t.   f + g.(v - b) <= -e,   |v_k - b_k| <= D,   v between walls.
 * With I_k the interval left to v_k its solution is a path in one multiplier m,
 *     L2  v_k = clip(-m g_k),   Linf  v_k = clip(-m sign g_k),
 *     L1  v_k = clip(0) while m |g_k| <= 1, else the end of I_k against g_k,
 * along which g.v falls: m by bisection, and the last two points are mixed so that the
 * constraint holds with equality (for L1 the solutions between them are all optimal).
 *
 * L2 without walls sees curvature too: with W = 1 + mu Hess F the step of sequential
 * quadratic programming is
 *     p = -H (b + t g),   t = (f + e - g.H b)/(g.H g),   H = W^-1,
 * H by the last PAIRS of (s, y), y = s + mu (g' - g), damped (Nocedal & Wright, Numerical
 * Optimization, 2nd ed., 2006, 7.2, 18.3). Steps are judged by the exact penalty
 * ||v|| + nu max(F + e, 0), nu = 1.5/||g||_q; D grows and shrinks by how it fell against
 * how the model said it would. Every failing point is kept when it is nearer.
 *
 * The residual 1 - (f - g.b)/(||g||_q ||b||_p) at a failing b is how much nearer the plane
 * is than b: zero iff the first-order conditions hold. (docs/theory/attack.md, section 5.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

enum { PAIRS = 5, VECTORS = 3 + 2 * PAIRS };

#define INSIDE    2e-5 /* of the distance: a fifth of what finish.c adds */
#define NOTHING   2e-6 /* of the distance: a gain not worth a gradient */
#define FIRST_BOX 0.5  /* of the distance */

/* One lane's search; vectors of (m). */
typedef struct track {
    double *base, *slope, *other; /* iterate, gradient there, scratch */
    double *s[PAIRS], *y[PAIRS], sy[PAIRS];
    int32_t pairs;
    double margin, dual, norm, inside; /* F, ||g||_q, ||b||_p, e */
    double trust, promised;
    bool begun;
} track;

static double inner(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double clip(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

static double sign_of(double v) { return (double)((v > 0) - (v < 0)); }

/* ---- the model in a box ---------------------------------------------------------- */

typedef struct model {
    const rob_region *r;
    const double *base, *g;
    double trust;
    int64_t n;
} model;

static void interval(const model *k, int64_t i, double *low, double *high)
{
    double wall_low = -INFINITY, wall_high = INFINITY;
    double scale = k->r->basis ? 0 : rob_priv_region_scale(k->r, i);
    if (scale > 0 && rob_priv_region_bound(k->r)) {
        rob_priv_region_walls(k->r, i, &wall_low, &wall_high);
        wall_low /= scale;
        wall_high /= scale;
    }
    *low = fmax(k->base[i] - k->trust, wall_low);
    *high = fmin(k->base[i] + k->trust, wall_high);
}

/* v at multiplier m; returns g . v */
static double along(const model *k, double m, double *v)
{
    double sum = 0;
    int32_t norm = k->r->norm;
    for (int64_t i = 0; i < k->n; i++) {
        double low, high, g = k->g[i], want = 0;
        interval(k, i, &low, &high);
        if (norm == ROB_NORM_L2) want = -m * g;
        else if (norm == ROB_NORM_LINF) want = -m * sign_of(g);
        else if (m * fabs(g) > 1) want = g > 0 ? low : high;
        v[i] = clip(want, low, high);
        sum += g * v[i];
    }
    return sum;
}

/* least m of a doubling sequence that reaches the target; false: the box ends first */
static bool enough(const model *k, double target, double *m, double *v)
{
    for (int step = 0; step < 120; step++, *m *= 2)
        if (along(k, *m, v) <= target) return true;
    return false;
}

/* v: the model's solution, or, where the box is too small, its lowest point */
static void solve_box(const model *k, double target, double first, double *v, double *low)
{
    double least = 0, most = first, at, reached;
    if (along(k, 0, v) <= target || !enough(k, target, &most, v)) return;
    for (int step = 0; step < 50 && most - least > 1e-12 * most; step++) {
        double middle = (least + most) / 2;
        if (along(k, middle, v) <= target) most = middle;
        else least = middle;
    }
    at = along(k, least, low);
    reached = along(k, most, v);
    double share = at > reached ? clip((at - target) / (at - reached), 0, 1) : 1;
    for (int64_t i = 0; i < k->n; i++) v[i] = low[i] + share * (v[i] - low[i]);
}

/* ---- curvature ------------------------------------------------------------------- */

/* v <- H v */
static void apply(const track *t, int64_t n, double *v)
{
    double a[PAIRS];
    for (int32_t k = t->pairs - 1; k >= 0; k--) {
        a[k] = inner(t->s[k], v, n) / t->sy[k];
        for (int64_t i = 0; i < n; i++) v[i] -= a[k] * t->y[k][i];
    }
    for (int32_t k = 0; k < t->pairs; k++) {
        double b = inner(t->y[k], v, n) / t->sy[k];
        for (int64_t i = 0; i < n; i++) v[i] += (a[k] - b) * t->s[k][i];
    }
}

static void rotate(double **at)
{
    double *first = at[0];
    memmove(at, at + 1, (PAIRS - 1) * sizeof *at);
    at[PAIRS - 1] = first;
}

/* What the gradient at delta says about W. */
static void learn(track *t, const rob_lane *l, int64_t n)
{
    double gg = inner(t->slope, t->slope, n), mu = -inner(t->base, t->slope, n) / gg;
    if (!(mu > 0) || !isfinite(mu)) return;
    if (t->pairs == PAIRS) {
        rotate(t->s);
        rotate(t->y);
        memmove(t->sy, t->sy + 1, (PAIRS - 1) * sizeof *t->sy);
        t->pairs--;
    }
    double *s = t->s[t->pairs], *y = t->y[t->pairs];
    for (int64_t i = 0; i < n; i++) {
        s[i] = l->delta[i] - t->base[i];
        y[i] = s[i] + mu * (l->grad[i] - t->slope[i]);
    }
    double ss = inner(s, s, n), sy = inner(s, y, n);
    if (!(ss > 0) || !isfinite(sy)) return;
    double keep = sy < 0.2 * ss ? 0.8 * ss / (ss - sy) : 1;
    for (int64_t i = 0; keep < 1 && i < n; i++) y[i] = keep * y[i] + (1 - keep) * s[i];
    t->sy[t->pairs++] = keep < 1 ? 0.2 * ss : sy;
}

/* delta <- the quadratic step, shortened to the trusted length */
static void curved_step(track *t, rob_lane *l, int64_t n)
{
    double *hb = t->other, *hg = l->spare;
    memcpy(hb, t->base, (size_t)n * sizeof *hb);
    memcpy(hg, t->slope, (size_t)n * sizeof *hg);
    apply(t, n, hb);
    apply(t, n, hg);
    double lean = inner(t->slope, hg, n);
    double by = (t->margin + t->inside - inner(t->slope, hb, n)) / lean;
    for (int64_t i = 0; i < n; i++) hb[i] = -hb[i] - by * hg[i];
    double length = rob_priv_norm(ROB_NORM_L2, hb, n);
    double share = length > t->trust ? t->trust / length : 1;
    for (int64_t i = 0; i < n; i++) l->delta[i] = t->base[i] + share * hb[i];
}

/* ---- one step -------------------------------------------------------------------- */

static double merit(const track *t, double norm, double margin)
{
    return norm + 1.5 / t->dual * fmax(margin + t->inside, 0);
}

static double change(const rob_hunt *h, const track *t, const rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    double flat = t->margin - inner(t->slope, t->base, n) + inner(t->slope, l->delta, n);
    return merit(t, t->norm, t->margin)
           - merit(t, rob_priv_norm(h->norm, l->delta, n), flat);
}

/* delta <- the next point to look at; false: none promises anything */
static bool propose(const rob_hunt *h, track *t, rob_lane *l)
{
    const rob_region *r = rob_priv_lane_region(h, l);
    int64_t n = rob_priv_lane_size(h, l);
    model k = { .r = r, .base = t->base, .g = t->slope, .trust = t->trust, .n = n };
    bool curved = h->norm == ROB_NORM_L2 && !rob_priv_region_bound(r);
    if (!(t->dual > 0) || !isfinite(t->dual) || !(t->norm > 0)) return false;
    if (curved) curved_step(t, l, n);
    t->promised = curved ? change(h, t, l) : 0;
    if (!(t->promised > NOTHING * t->norm)) {
        double first = h->norm == ROB_NORM_L1   ? 1 / t->dual
                       : h->norm == ROB_NORM_L2 ? t->norm / t->dual
                                                : t->norm;
        double target = inner(t->slope, t->base, n) - t->margin - t->inside;
        solve_box(&k, target, first, l->delta, t->other);
        rob_priv_lane_settle(h, l, l->delta);
        t->promised = change(h, t, l);
    }
    return t->promised > NOTHING * t->norm;
}

static void stand(const rob_hunt *h, track *t, const rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    memcpy(t->base, l->delta, (size_t)n * sizeof *t->base);
    memcpy(t->slope, l->grad, (size_t)n * sizeof *t->slope);
    t->margin = l->margin;
    t->norm = rob_priv_norm(h->norm, t->base, n);
    t->dual = rob_priv_ball_dual(h->norm, t->slope, n);
    t->inside = INSIDE * t->dual * t->norm;
}

/* Taken or not, by how the penalty fell; the trusted box follows. */
static void judge(const rob_hunt *h, track *t, rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    double norm = rob_priv_norm(h->norm, l->delta, n), moved = 0;
    double fell = merit(t, t->norm, t->margin) - merit(t, norm, l->margin);
    double share = fell / t->promised;
    int32_t shape = h->norm == ROB_NORM_L2 ? ROB_NORM_L2 : ROB_NORM_LINF;
    for (int64_t i = 0; i < n; i++) t->other[i] = l->delta[i] - t->base[i];
    moved = rob_priv_norm(shape, t->other, n);
    if (h->norm == ROB_NORM_L2) learn(t, l, n);
    if (share > 0.1) {
        if (share > 0.5 && moved > 0.8 * t->trust) t->trust *= 2;
        stand(h, t, l);
    } else {
        t->trust = fmin(t->trust, moved) * 0.35;
    }
    if (!(t->trust > NOTHING * t->norm)) l->active = false;
}

/* how much nearer than delta its plane is, relative */
static double gap_of(const rob_hunt *h, const rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    double c = l->margin - inner(l->grad, l->delta, n);
    double most = rob_priv_ball_dual(h->norm, l->grad, n)
                  * rob_priv_norm(h->norm, l->delta, n);
    return most > 0 ? fmax(1 - c / most, 0) : NAN;
}

static void follow(const rob_hunt *h, track *t, rob_lane *l)
{
    double before = l->best_norm;
    rob_priv_lane_keep(h, l);
    int64_t n = rob_priv_lane_size(h, l);
    bool at_best = l->margin <= 0 && isnan(l->gap)
                   && rob_priv_norm(h->norm, l->delta, n) == l->best_norm;
    if (l->best_norm < before || at_best) l->gap = gap_of(h, l);
    if (t->begun) judge(h, t, l);
    else {
        t->begun = true;
        stand(h, t, l);
        t->trust = FIRST_BOX * t->norm;
    }
    if (l->calls >= l->limit || !l->active || !propose(h, t, l)) l->active = false;
}

/* ---- lanes ----------------------------------------------------------------------- */

static rob_status make_tracks(const rob_hunt *h, track **out, double **arena)
{
    const rob_memory *m = &h->q->memory;
    int64_t n = 1;
    for (int64_t k = 0; k < h->lanes; k++)
        if (rob_priv_lane_size(h, &h->lane[k]) > n)
            n = rob_priv_lane_size(h, &h->lane[k]);
    *out = rob_priv_allocate(m, h->lanes, sizeof **out);
    *arena = rob_priv_allocate(m, h->lanes * VECTORS, n * (int64_t)sizeof **arena);
    if (!*out || !*arena) return rob_priv_no_memory(h->ctx);
    for (int64_t k = 0; k < h->lanes; k++) {
        track *t = &(*out)[k];
        double *at = *arena + k * VECTORS * n;
        t->base = at;
        t->slope = at + n;
        t->other = at + 2 * n;
        for (int32_t j = 0; j < PAIRS; j++) {
            t->s[j] = at + (3 + j) * n;
            t->y[j] = at + (3 + PAIRS + j) * n;
        }
    }
    return ROB_OK;
}

rob_status rob_priv_polish_search(rob_hunt *h, int64_t steps)
{
    rob_status status = ROB_OK;
    track *t = NULL;
    double *arena = NULL;
    TRY(make_tracks(h, &t, &arena));
    for (int64_t k = 0; k < steps; k++) {
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) break;
        for (int64_t r = 0; r < h->rows; r++)
            follow(h, &t[h->row[r] - h->lane], h->row[r]);
    }
done:
    rob_priv_release(&h->q->memory, t);
    rob_priv_release(&h->q->memory, arena);
    return status;
}
