/* project.c -- the nearest coordinates within a region.
 *
 * Ball, budgets and walls without a subspace: the Euclidean projection of v has the
 * form
 *     u_k = clip(S(v_k, a + b_t), walls_k),   S(v, c) = v/(1 + c)  (L2),
 *                                             sign(v) max(|v| - c, 0)  (L1),
 * a >= 0 the least with ||u|| <= radius and b_t >= 0 the least with ||u_t|| <= budget_t
 * (the multipliers of the two constraints), found by bisection; in Linf radius and
 * budgets are walls. With smoothness as well it is the limit of the alternating
 * direction method of multipliers on
 *     min 1/2 ||u - v||^2,  w1 = D S u / max s in K,  w2 = u in C,
 * D first differences, K = {|w| <= difference, sum |w| <= variation by feature}, C the
 * set above; its linear systems are tridiagonal. With a subspace the ball is projected
 * on, and violated half-spaces in turn (Agmon 1954). All sets are star-shaped about 0:
 * what is left outside is drawn towards 0 by its gauge, so the result is always within.
 * Duchi et al., ICML 2008; Boyd et al., Found. Trends Mach. Learn. 3 (2011).
 */
#include "query/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HALVINGS = 50, ROUNDS = 40, SWEEPS = 12 };

static double sign_of(double v) { return (double)((v > 0) - (v < 0)); }
static double clip(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* ---- ball, budgets and walls ----------------------------------------------------- */

typedef struct fit {
    const rob_region *r;
    const double *v; /* projected from */
    const double *keep; /* (T) 0: the step is held; NULL: none is */
    double *u;
    double radius;
    bool walls, budgets;
} fit;

static void wall_of(const rob_region *r, int64_t k, double *low, double *high)
{
    double s = rob_priv_region_scale(r, k);
    rob_priv_region_walls(r, k, low, high);
    *low = s > 0 ? *low / s : 0;
    *high = s > 0 ? *high / s : 0;
}

static double shrunk(const fit *f, int64_t k, double by)
{
    double v = f->v[k], low, high;
    if (f->r->norm == ROB_NORM_L1) v = sign_of(v) * fmax(fabs(v) - by, 0);
    else if (f->r->norm == ROB_NORM_LINF) v = clip(v, -by, by);
    else if (f->r->norm == ROB_NORM_L2) v /= 1 + by;
    if (rob_priv_region_scale(f->r, k) == 0) return 0;
    if (!f->walls) return v;
    wall_of(f->r, k, &low, &high);
    return clip(v, low, high);
}

static double block_norm(const fit *f, int64_t t)
{
    int64_t d = f->r->features;
    return rob_priv_norm(f->r->norm, f->u + t * d, d);
}

static double put_step(const fit *f, int64_t t, double by)
{
    int64_t d = f->r->features;
    bool held = f->keep && f->keep[t] == 0;
    for (int64_t k = t * d; k < (t + 1) * d; k++) f->u[k] = held ? 0 : shrunk(f, k, by);
    return f->budgets ? block_norm(f, t) : 0;
}

/* u_t at multiplier `by` of the ball, and the least more that meets the budget */
static void fit_step(const fit *f, int64_t t, double by)
{
    double budget = rob_priv_region_budget(f->r, t), low = 0, high = 1;
    if (f->r->norm == ROB_NORM_LINF) {
        put_step(f, t, fmin(f->radius, budget));
        return;
    }
    double size = put_step(f, t, budget > 0 ? by : INFINITY);
    if (!f->budgets || size <= budget) return;
    if (f->r->norm == ROB_NORM_L2 && !f->walls)
        high = (1 + by) * (size / budget - 1) * (1 + 0x1p-50) + 0x1p-50;
    while (put_step(f, t, by + high) > budget && high < 1e300) high *= 2;
    bool closed = f->r->norm == ROB_NORM_L2 && !f->walls;
    for (int k = 0; k < HALVINGS && !closed && high - low > 1e-15 * high; k++) {
        double middle = (low + high) / 2;
        if (put_step(f, t, by + middle) > budget) low = middle;
        else high = middle;
    }
    put_step(f, t, by + high);
}

static double fit_all(const fit *f, double by)
{
    for (int64_t t = 0; t < f->r->steps; t++) fit_step(f, t, by);
    return rob_priv_norm(f->r->norm, f->u, f->r->n);
}

/* rounding may leave the norm a hair too large: ask for a hair less each time */
static void draw_in(int32_t norm, double radius, double *u, int64_t m)
{
    double length = rob_priv_norm(norm, u, m);
    for (double slack = 0; length > radius; slack = 2 * slack + 0x1p-52) {
        double scale = radius / length * (1 - slack);
        for (int64_t k = 0; k < m; k++) u[k] *= scale;
        length = rob_priv_norm(norm, u, m);
    }
}

static void fit_ball(const fit *f)
{
    double low = 0, high = 1;
    if (fit_all(f, 0) <= f->radius || f->r->norm == ROB_NORM_LINF) return;
    while (fit_all(f, high) > f->radius && high < 1e300) high *= 2;
    for (int k = 0; k < HALVINGS && high - low > 1e-15 * high; k++) {
        double middle = (low + high) / 2;
        if (fit_all(f, middle) > f->radius) low = middle;
        else high = middle;
    }
    fit_all(f, high);
    draw_in(f->r->norm, f->radius, f->u, f->r->n);
}

/* ---- at most so many steps ------------------------------------------------------- */

static int largest_first(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p < q) - (p > q);
}

/* keep[t] = 1 for the `most` steps that move most, room (2 T) */
static void choose_steps(const rob_region *r, const double *u, double *keep,
                         double *room)
{
    double *size = room, *sorted = room + r->steps;
    int64_t d = r->features, left = r->most;
    for (int64_t t = 0; t < r->steps; t++)
        sorted[t] = size[t] = rob_priv_norm(ROB_NORM_L2, u + t * d, d);
    qsort(sorted, (size_t)r->steps, sizeof *sorted, largest_first);
    double least = sorted[r->most - 1];
    for (int64_t t = 0; t < r->steps; t++) {
        keep[t] = size[t] > least;
        left -= size[t] > least;
    }
    for (int64_t t = 0; t < r->steps && left > 0; t++) {
        if (size[t] != least) continue;
        keep[t] = 1;
        left--;
    }
}

/* ---- smoothness ------------------------------------------------------------------ */

typedef struct smooth {
    fit f;
    const rob_region *r;
    double *y, *w1, *z1, *w2, *z2, *s, *band; /* (n) each */
    double size;                              /* largest scale */
} smooth;

/* w1 of feature j into K */
static double sum_soft(const smooth *a, int64_t j, double by, double most, bool put)
{
    int64_t d = a->r->features;
    double sum = 0;
    for (int64_t k = d + j; k < a->r->n; k += d) {
        double v = fabs(a->w1[k]) - by;
        v = v > 0 ? fmin(v, most) : 0;
        sum += v;
        if (put) a->w1[k] = sign_of(a->w1[k]) * v;
    }
    return sum;
}

static void hold_differences(const smooth *a, int64_t j)
{
    double most = a->r->difference / a->size, sum = a->r->variation / a->size;
    double low = 0, high = 1;
    if (sum_soft(a, j, 0, most, false) > sum) {
        while (sum_soft(a, j, high, most, false) > sum && high < 1e300) high *= 2;
        for (int k = 0; k < HALVINGS && high - low > 1e-12 * high; k++) {
            double middle = (low + high) / 2;
            if (sum_soft(a, j, middle, most, false) > sum) low = middle;
            else high = middle;
        }
    } else high = 0;
    sum_soft(a, j, high, most, true);
}

/* (2 I + S D'D S/size^2) u = y + w2 - z2 + S D'(w1 - z1)/size by elimination */
static void solve_feature(const smooth *a, double *u, int64_t j)
{
    int64_t d = a->r->features, n = a->r->n;
    for (int64_t k = j; k < n; k += d) {
        double s = a->s[k] / a->size, down = 0, up = 0, before = 0;
        if (k >= d) down = a->w1[k] - a->z1[k];
        if (k + d < n) up = a->w1[k + d] - a->z1[k + d];
        double diagonal = 2 + s * s * ((k >= d) + (k + d < n));
        double right = a->y[k] + a->w2[k] - a->z2[k] + s * (down - up);
        if (k >= d) {
            double off = -s * a->s[k - d] / a->size;
            before = off * a->band[k - d];
            diagonal -= off * before;
            right -= before * u[k - d];
        }
        a->band[k] = 1 / diagonal;
        u[k] = right;
    }
    /* u holds right sides; back substitution */
    for (int64_t k = n - d + j; k >= 0; k -= d) {
        double sum = u[k];
        if (k + d < n) sum += a->s[k] * a->s[k + d] / a->size / a->size * u[k + d];
        u[k] = sum * a->band[k];
    }
}

static void update_duals(smooth *a, const double *u)
{
    int64_t d = a->r->features, n = a->r->n;
    for (int64_t k = 0; k < n; k++) {
        if (k >= d) {
            double jump = (a->s[k] * u[k] - a->s[k - d] * u[k - d]) / a->size;
            a->w1[k] = a->z1[k] + jump;
        }
        a->w2[k] = a->z2[k] + u[k];
    }
    for (int64_t k = 0; k < n; k++) {
        a->z1[k] = a->w1[k];
        a->z2[k] = a->w2[k];
    }
    for (int64_t j = 0; j < d; j++) hold_differences(a, j);
    a->f.v = a->z2;
    a->f.u = a->w2;
    fit_ball(&a->f);
    for (int64_t k = 0; k < n; k++) {
        a->z1[k] -= a->w1[k];
        a->z2[k] -= a->w2[k];
    }
}

static void fit_smooth(smooth *a, double *u)
{
    int64_t n = a->r->n;
    a->size = 0;
    for (int64_t k = 0; k < n; k++) {
        bool held = a->f.keep && a->f.keep[k / a->r->features] == 0;
        a->s[k] = held ? 0 : rob_priv_region_scale(a->r, k);
        a->size = fmax(a->size, a->s[k]);
        a->y[k] = a->w2[k] = u[k];
        a->w1[k] = a->z1[k] = a->z2[k] = 0;
    }
    if (a->size == 0) return;
    for (int round = 0; round < ROUNDS; round++) {
        for (int64_t j = 0; j < a->r->features; j++) solve_feature(a, u, j);
        update_duals(a, u);
    }
    memcpy(u, a->w2, (size_t)n * sizeof *u);
}

/* ---- gauges ---------------------------------------------------------------------- */

/* d (n) and w (n) of u */
static void spread(const rob_region *r, const double *u, double *d, double *w)
{
    for (int64_t k = 0; k < r->n; k++) {
        const double *row = r->basis ? r->basis + k * r->m : NULL;
        double sum = row ? 0 : u[k];
        for (int64_t j = 0; row && j < r->m; j++) sum += row[j] * u[j];
        w[k] = sum;
        d[k] = rob_priv_region_scale(r, k) * sum;
    }
}

static double over(double value, double limit)
{
    return value <= limit ? 0 : limit > 0 ? value / limit : INFINITY;
}

static double roughness(const rob_region *r, const double *d)
{
    double worst = 0;
    for (int64_t j = 0; j < r->features; j++) {
        double sum = 0;
        for (int64_t k = r->features + j; k < r->n; k += r->features) {
            double jump = fabs(d[k] - d[k - r->features]);
            worst = fmax(worst, over(jump, r->difference));
            sum += jump;
        }
        worst = fmax(worst, over(sum, r->variation));
    }
    return worst;
}

/* The least g >= 1 with u/g within every part, the ball not counted; 1: it is. */
static double gauge(const rob_region *r, const double *u, double *room)
{
    int32_t parts = rob_priv_region_parts(r);
    double *d = room, *w = room + r->n, worst = 1;
    spread(r, u, d, w);
    for (int64_t t = 0; (parts & ROB_PART_BUDGET) && t < r->steps; t++) {
        double size = rob_priv_norm(r->norm, w + t * r->features, r->features);
        worst = fmax(worst, over(size, rob_priv_region_budget(r, t)));
    }
    for (int64_t k = 0; (parts & ROB_PART_BOX) && k < r->n; k++) {
        double low, high, hair = 1e-12 * fabs(r->x[k]);
        rob_priv_region_walls(r, k, &low, &high);
        worst = fmax(worst, over(d[k], high + hair - 1e-12 * low));
        worst = fmax(worst, over(-d[k], -low + hair + 1e-12 * high));
    }
    if (parts & ROB_PART_SMOOTH) worst = fmax(worst, roughness(r, d));
    return worst;
}

static bool few_steps(const rob_region *r, const double *u)
{
    int64_t moved = 0;
    for (int64_t t = 0; t < r->steps; t++)
        moved += rob_priv_norm(ROB_NORM_LINF, u + t * r->features, r->features) > 0;
    return moved <= r->most;
}

bool rob_priv_region_holds(const rob_region *r, const double *u, double *room)
{
    if (!rob_priv_region_bound(r)) return true;
    if ((rob_priv_region_parts(r) & ROB_PART_STEPS) && !few_steps(r, u)) return false;
    return gauge(r, u, room) <= 1;
}

static void contract(const rob_region *r, double *u, double *room)
{
    for (int k = 0; k < 8; k++) {
        double g = gauge(r, u, room);
        if (g <= 1) return;
        for (int64_t j = 0; j < r->m; j++) u[j] *= (1 - 0x1p-44) / g;
    }
    memset(u, 0, (size_t)r->m * sizeof *u);
}

/* ---- half-spaces of a subspace --------------------------------------------------- */

/* u moved to a . u <= limit, a = row of k less that of `from` (-1: none) */
static bool enter_half(const rob_region *r, int64_t k, int64_t from, double sign,
                       double limit, double *u, double *a)
{
    double sum = 0, square = 0, s = sign * rob_priv_region_scale(r, k);
    for (int64_t j = 0; j < r->m; j++) {
        a[j] = s * r->basis[k * r->m + j];
        if (from >= 0)
            a[j] -= sign * rob_priv_region_scale(r, from) * r->basis[from * r->m + j];
        sum += a[j] * u[j];
        square += a[j] * a[j];
    }
    if (!(sum > limit) || !(square > 0)) return false;
    for (int64_t j = 0; j < r->m; j++) u[j] -= (sum - limit) / square * a[j];
    return true;
}

static void enter_halves(const rob_region *r, double *u, double *room)
{
    bool moved = true;
    for (int sweep = 0; sweep < SWEEPS && moved; sweep++) {
        moved = false;
        for (int64_t k = 0; k < r->n; k++) {
            double low, high;
            rob_priv_region_walls(r, k, &low, &high);
            if (isfinite(high)) moved |= enter_half(r, k, -1, 1, high, u, room);
            if (isfinite(low)) moved |= enter_half(r, k, -1, -1, -low, u, room);
            if (k < r->features || !isfinite(r->difference)) continue;
            moved |= enter_half(r, k, k - r->features, 1, r->difference, u, room);
            moved |= enter_half(r, k, k - r->features, -1, r->difference, u, room);
        }
    }
}

/* ---- all together ---------------------------------------------------------------- */

static void project_apart(const rob_region *r, double radius, double *u, double *room,
                          int32_t parts)
{
    double *v = room, *rest = room + r->n;
    fit f = { .r = r, .v = v, .u = u, .radius = radius };
    f.walls = (parts & ROB_PART_BOX) != 0;
    f.budgets = (parts & ROB_PART_BUDGET) != 0;
    if (parts & ROB_PART_STEPS) {
        choose_steps(r, u, rest, rest + r->n);
        f.keep = rest;
        rest += r->n;
    }
    memcpy(v, u, (size_t)r->n * sizeof *v);
    if (!(parts & ROB_PART_SMOOTH)) {
        fit_ball(&f);
        return;
    }
    smooth a = { .f = f, .r = r, .y = v, .w1 = rest, .z1 = rest + r->n,
                 .w2 = rest + 2 * r->n, .z2 = rest + 3 * r->n, .s = rest + 4 * r->n,
                 .band = rest + 5 * r->n };
    fit_smooth(&a, u);
    contract(r, u, room);
}

void rob_priv_region_project(const rob_region *r, double radius, double *u,
                             double *room)
{
    int32_t parts = rob_priv_region_parts(r);
    if (!rob_priv_region_bound(r)) {
        if (isfinite(radius)) rob_priv_ball_project(r->norm, radius, u, r->m);
        return;
    }
    if (!(radius > 0)) {
        memset(u, 0, (size_t)r->m * sizeof *u);
        return;
    }
    if (r->norm == ROB_NORM_L0) {
        rob_priv_ball_project(r->norm, radius, u, r->m);
        radius = INFINITY;
    }
    if (!r->basis) {
        project_apart(r, radius, u, room, parts);
        if (isfinite(radius)) draw_in(r->norm, radius, u, r->m);
        return;
    }
    if (isfinite(radius)) rob_priv_ball_project(r->norm, radius, u, r->m);
    if (gauge(r, u, room) <= 1) return;
    enter_halves(r, u, room);
    if (isfinite(radius)) rob_priv_ball_project(r->norm, radius, u, r->m);
    contract(r, u, room);
}

/* ---- the nearest point of a plane ------------------------------------------------ */

/* step at multiplier `by` between the walls; returns -g . step */
static double gain_of(const rob_region *r, const double *at, const double *g, double by,
                      double *step)
{
    double gain = 0;
    for (int64_t k = 0; k < r->n; k++) {
        double low, high, from = at ? at[k] : 0;
        double v = r->norm == ROB_NORM_LINF ? sign_of(g[k]) * -by : -by * g[k];
        wall_of(r, k, &low, &high);
        step[k] = g[k] == 0 ? 0 : clip(v, low - from, high - from);
        gain -= g[k] * step[k];
    }
    return gain;
}

/* L1: the largest slopes first, each to its wall */
static bool fill(const rob_region *r, const double *at, const double *g, double c,
                 double *step, double *slope)
{
    double first = c;
    memset(step, 0, (size_t)r->n * sizeof *step);
    for (int64_t k = 0; k < r->n; k++) slope[k] = fabs(g[k]);
    while (c > 0) {
        int64_t k = 0;
        double low, high;
        for (int64_t i = 1; i < r->n; i++)
            if (slope[i] > slope[k]) k = i;
        if (!(slope[k] > 0)) break;
        wall_of(r, k, &low, &high);
        double from = at ? at[k] : 0, room = g[k] < 0 ? high - from : from - low;
        double size = fmin(c / slope[k], fmax(room, 0));
        step[k] = -sign_of(g[k]) * size;
        c -= size * slope[k];
        slope[k] = size < room ? 0 : -1;
        if (size < room) break;
    }
    return c < first;
}

bool rob_priv_region_plane(const rob_region *r, const double *at, const double *g,
                           double c, double *step, double *room)
{
    double dual = rob_priv_ball_dual(r->norm, g, r->m), low = 0;
    if (!rob_priv_ball_steepest(r->norm, g, r->m, step)) return false;
    if (r->basis || !(rob_priv_region_parts(r) & ROB_PART_BOX)) {
        for (int64_t k = 0; k < r->m; k++) step[k] *= c / dual;
        return isfinite(c / dual);
    }
    if (r->norm == ROB_NORM_L1) return fill(r, at, g, c, step, room);
    double high = r->norm == ROB_NORM_LINF ? c / dual : c / dual / dual, gain = 0;
    for (int k = 0; k < 200; k++, high *= 2) {
        double more = gain_of(r, at, g, high, step);
        if (more >= c || (k > 0 && more <= gain * (1 + 1e-12))) break;
        gain = more;
    }
    for (int k = 0; k < HALVINGS && high - low > 1e-15 * high; k++) {
        double middle = (low + high) / 2;
        if (gain_of(r, at, g, middle, step) < c) low = middle;
        else high = middle;
    }
    return gain_of(r, at, g, high, step) > 0;
}
