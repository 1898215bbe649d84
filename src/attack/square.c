/* square.c -- Square Attack: random search over windows in time, seeing only margins.
 *
 * Current point d of a ball of radius r, margin F(d); query i of K proposes another and
 * takes it when F falls. A window is s consecutive steps of some features, s a share p of
 * all T, and p = 0.8 halved at i/K = 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 of
 * 10000.
 *     Linf  first +-r by windows of a tenth; then +-r all over one window, a sign for
 *           every feature: extreme points only.
 *     L2, L1  a window W takes over the length of another, V, and what is left of r:
 *           d_W <- A v/||v||,  v = d_W/||d_W|| +- e/||e||,  d_V <- 0,
 *           A = (||d_{V or W}||^p + r^p - ||d||^p)^{1/p},
 *           e = [y, -y], y_k = sum_{j <= min(k, h-1-k)} (h/2 + 1 - j)^-2 a peak of h = s/2
 *           steps and its negative; first such peaks all over.
 * Images have squares of pixels in the place of windows, colours in that of features.
 * Coordinates of a subspace are a sequence of their own. References: Andriushchenko, Croce,
 * Flammarion & Hein, ECCV 2020; Croce & Hein, ICML 2021 (L1). (docs/theory/attack.md,
 * section 9.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

typedef struct window {
    int64_t from, steps, feature, features; /* features cyclic from `feature` */
} window;

typedef struct board {
    const rob_region *r;
    int64_t steps, features; /* of the coordinates */
    int32_t norm;
} board;

static board board_of(const rob_hunt *h, const rob_lane *l)
{
    const rob_region *r = rob_priv_lane_region(h, l);
    return (board){ r, r->basis ? r->m : r->steps, r->basis ? 1 : r->features, h->norm };
}

static bool may_move(const board *b, int64_t k)
{
    return b->r->basis || rob_priv_region_scale(b->r, k) > 0;
}

/* the j-th number of a window, j < steps x features of it */
static int64_t place_in(const board *b, const window *w, int64_t j)
{
    int64_t t = w->from + j / w->features;
    return t * b->features + (w->feature + j % w->features) % b->features;
}

static int64_t size_of(const window *w) { return w->steps * w->features; }

static window draw_window(const board *b, rob_random *random, double share)
{
    window w = { 0 };
    double steps = rint(share * (double)b->steps);
    w.steps = steps < 1 ? 1 : (int64_t)steps;
    w.features = 1 + rob_priv_below(random, b->features);
    w.feature = rob_priv_below(random, b->features);
    w.from = rob_priv_below(random, b->steps - w.steps + 1);
    return w;
}

static double coin(rob_random *random)
{
    return rob_priv_uniform(random) < 0.5 ? -1 : 1;
}

static double power(const board *b, double v)
{
    return b->norm == ROB_NORM_L2 ? v * v : fabs(v);
}

static double root(const board *b, double sum)
{
    return b->norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

/* ||d||^p summed over a window, of L2 and L1 */
static double mass(const board *b, const window *w, const double *d)
{
    double sum = 0;
    for (int64_t j = 0; j < size_of(w); j++) sum += power(b, d[place_in(b, w, j)]);
    return sum;
}

/* e_t of a window of s steps; of one step there is no negative half */
static double peak(int64_t t, int64_t s)
{
    int64_t half = s / 2, h = t < half || s == 1 ? (s == 1 ? 1 : half) : s - half;
    int64_t own = h == half && t < half ? t : t - (s == 1 ? 0 : half);
    int64_t last = own < h - 1 - own ? own : h - 1 - own;
    double sum = 0;
    for (int64_t j = 0; j <= last; j++) {
        double v = (double)h / 2 + 1 - (double)j;
        sum += 1 / (v * v);
    }
    return t < half || s == 1 ? sum : -sum;
}

/* ---- proposals ------------------------------------------------------------------- */

static void propose_sign(const board *b, rob_random *random, double r, const window *w,
                         double *d)
{
    bool changed = false;
    for (int64_t f = 0; f < w->features; f++) {
        double v = r * coin(random);
        for (int64_t t = 0; t < w->steps; t++) {
            int64_t k = place_in(b, w, t * w->features + f);
            changed = changed || (may_move(b, k) && d[k] != v);
            if (may_move(b, k)) d[k] = v;
        }
    }
    for (int64_t j = 0; !changed && j < size_of(w); j++) d[place_in(b, w, j)] *= -1;
}

static bool holds(const board *b, const window *w, int64_t k)
{
    int64_t t = k / b->features, f = k % b->features - w->feature;
    if (f < 0) f += b->features;
    return t >= w->from && t < w->from + w->steps && f < w->features;
}

/* ||peaks|| of a window */
static double height(const board *b, const window *w)
{
    double sum = 0;
    for (int64_t t = 0; t < w->steps; t++) sum += power(b, peak(t, w->steps));
    return root(b, sum * (double)w->features);
}

/* v's numbers outside w <- 0; what they had */
static double clear(const board *b, const window *w, const window *v, double *d)
{
    double had = 0;
    for (int64_t j = 0; j < size_of(v); j++) {
        int64_t k = place_in(b, v, j);
        if (holds(b, w, k)) continue;
        had += power(b, d[k]);
        d[k] = 0;
    }
    return had;
}

static void take_over(const board *b, rob_random *random, double r, const window *w,
                      const window *v, double *d, int64_t m)
{
    double own = mass(b, w, d), before = own > 0 ? root(b, own) : 1;
    double have = fmax(0, power(b, r) - power(b, rob_priv_norm(b->norm, d, m))) + own;
    double tall = height(b, w);
    have += clear(b, w, v, d);
    for (int64_t f = 0; f < w->features; f++) {
        double sign = coin(random) / tall;
        for (int64_t t = 0; t < w->steps; t++) {
            int64_t k = place_in(b, w, t * w->features + f);
            d[k] = may_move(b, k) ? d[k] / before + sign * peak(t, w->steps) : 0;
        }
    }
    double now = root(b, mass(b, w, d)), scale = now > 0 ? root(b, have) / now : 0;
    for (int64_t j = 0; j < size_of(w); j++) d[place_in(b, w, j)] *= scale;
}

static void first_point(const board *b, rob_random *random, double r, double *d, int64_t m)
{
    int64_t wide = b->steps / (b->norm == ROB_NORM_LINF ? 10 : 5);
    if (wide < 1) wide = 1;
    for (int64_t f = 0; f < b->features; f++) {
        double sign = 1;
        for (int64_t t = 0; t < b->steps; t++) {
            if (t % wide == 0) sign = coin(random);
            int64_t k = t * b->features + f;
            double v = b->norm == ROB_NORM_LINF ? r : peak(t % wide, wide);
            d[k] = may_move(b, k) ? sign * v : 0;
        }
    }
    double length = rob_priv_norm(b->norm, d, m);
    for (int64_t k = 0; length > 0 && k < m; k++) d[k] *= r / length;
}

static double share_at(int64_t query, int64_t queries)
{
    static const double halved[] = { 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 };
    double share = 0.8, at = 1e4 * (double)query / (double)queries;
    for (int64_t k = 0; k < COUNT_OF(halved); k++)
        if (at > halved[k]) share /= 2;
    return share;
}

static rob_random random_of(const rob_hunt *h, const rob_lane *l, int64_t query)
{
    double seed = rob_priv_attack_option(h->attack, "seed");
    uint64_t stream = 6ULL << 60 | ((uint64_t)l->series & 0xffffff) << 36
                      | (uint64_t)(uint32_t)l->start << 28 | ((uint64_t)query & 0xfffffff);
    return rob_priv_random(h->ctx->seed + (uint64_t)seed, stream);
}

/* delta <- a proposal from spare */
static void propose(const rob_hunt *h, rob_lane *l, int64_t query, int64_t queries)
{
    board b = board_of(h, l);
    int64_t m = rob_priv_lane_size(h, l);
    rob_random random = random_of(h, l, query);
    double share = share_at(query, queries);
    memcpy(l->delta, l->spare, (size_t)m * sizeof *l->delta);
    window w = draw_window(&b, &random, share);
    if (h->norm == ROB_NORM_LINF) propose_sign(&b, &random, l->radius, &w, l->delta);
    else {
        window v = draw_window(&b, &random, share);
        take_over(&b, &random, l->radius, &w, &v, l->delta, m);
    }
    rob_priv_lane_project(h, l, l->radius, l->delta);
}

/* ---- the search ------------------------------------------------------------------ */

static void begin(const rob_hunt *h, rob_lane *l)
{
    board b = board_of(h, l);
    rob_random random = random_of(h, l, 0);
    l->rate = INFINITY; /* least margin */
    if (h->at_radius || !(l->best_norm < INFINITY))
        first_point(&b, &random, l->radius, l->delta, rob_priv_lane_size(h, l));
    rob_priv_lane_project(h, l, l->radius, l->delta);
}

static rob_status ask(rob_hunt *h, int64_t query, int64_t queries, bool stop)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
        rob_lane *l = h->row[r];
        size_t bytes = (size_t)rob_priv_lane_size(h, l) * sizeof *l->spare;
        l->calls++;
        rob_priv_lane_note(h, l, stop);
        if (l->margin < l->rate || query == 0) {
            l->rate = l->margin;
            memcpy(l->spare, l->delta, bytes);
        }
        if (l->active && query + 1 < queries) propose(h, l, query + 1, queries);
        else memcpy(l->delta, l->spare, bytes);
    }
done:
    return status;
}

static rob_status search(rob_hunt *h, bool stop)
{
    rob_status status = ROB_OK;
    int64_t queries = (int64_t)rob_priv_attack_option(h->attack, "queries");
    int64_t radii = (int64_t)rob_priv_attack_option(h->attack, "radii");
    if (!h->at_radius) queries = queries > radii ? queries / radii : 1;
    for (int64_t k = 0; k < h->lanes; k++)
        if (h->lane[k].active) begin(h, &h->lane[k]);
    for (int64_t k = 0; k < queries && status == ROB_OK; k++) {
        TRY(ask(h, k, queries, stop));
        if (h->rows == 0) break;
    }
done:
    return status;
}

rob_status rob_priv_square_margin(rob_hunt *h)
{
    return rob_priv_ball_margin(h, search, 1,
                                rob_priv_attack_option(h->attack, "stop") > 0);
}

rob_status rob_priv_square_distance(rob_hunt *h)
{
    return rob_priv_ball_distance(
        h, search, 1, (int64_t)rob_priv_attack_option(h->attack, "radii"), false);
}
