/* shared.c -- how many series one shared perturbation can make fail, from above.
 *
 * Series i can fail at d only in half-spaces h_r = {d : f_r + a_r.d <= 0}. Wanted:
 *
 *     max over ||d|| <= eps of  #{i : d in some h_r of i},
 *
 * the largest feasible subsystem (Amaldi & Kann, Theoretical Computer Science 147, 1995:
 * hard), bounded by branch and bound. The ball is cut into slabs along few directions u_k, the
 * principal ones of the a_r:  Q = {d : alpha_k <= u_k.d <= beta_k}. For any multipliers l
 *
 *     f + a.d  >=  f - eps ||a - sum l_k u_k||_q + sum min(l_k alpha_k, l_k beta_k)   on Q,
 *
 * and where that is positive the half-space does not meet Q. A part of the ball is worth
 * the number of series that still have one; the dearest part is cut next, and the dearest
 * at the end is proved. Best l: for the Euclidean norm with s = argmin c.s - r
 * sqrt(eps^2 - |s|^2) over the slabs, c_k = a.u_k and r the norm of the rest, l = c +
 * r s/sqrt(eps^2 - |s|^2); else by ascent, one l_k after the other (it is concave).
 *
 * Directions and multipliers are as found; only the line above is rounded, outward.
 * docs/theory/bound.md 12.
 */
#include "bound/shared/shared.h"

#include <string.h>

enum { WAYS = 3, POWER = 40, ROUNDS = 6, TRIES = 14 };

/* A part of the ball; alive: which half-spaces meet it. */
typedef struct part { double lo[WAYS], up[WAYS]; int64_t count; bool *alive; } part;

typedef struct work {
    const rob_memory *m;
    rob_shared *s;
    int32_t ways;
    double *way;                  /* (ways, n) */
    double size[WAYS], reach[WAYS];   /* dual norm of u_k; eps times that */
    double *along;                /* (halves, ways) c */
    double *rest, *norm;          /* (halves) r; dual norm of a */
    double *d, *sum;              /* (n) scratch */
    part *parts;
    int64_t used;
} work;

/* ---- norms ------------------------------------------------------------------------ */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += a[k] * b[k];
    return sum;
}

/* ||v||_q, p the ball's norm, rounded up: n + 8 roundings, and what may underflow */
static double dual_up(int32_t norm, const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        double a = fabs(v[k]);
        if (norm == ROB_NORM_L2) sum += a * a;
        else if (norm == ROB_NORM_LINF) sum += a;
        else sum = fp_max(sum, a);
    }
    double more = 1 + (double)(n + 8) * ROB_U;
    if (norm != ROB_NORM_L2) return fp_up(sum * more);
    return fp_up(sqrt(fp_up(sum * more + (double)n * ROB_TINY)));
}

/* ---- the bound of one half-space on a part ---------------------------------------- */

/* min over d in Q of f + a.d, at least; r: which half-space, -1: a = 0, f = 0 */
static double bound_with(work *w, int64_t r, const part *q, const double *l)
{
    const rob_shared *s = w->s;
    const double *a = r < 0 ? NULL : s->half[r].at;
    double blur = r < 0 ? 0 : w->norm[r], value = r < 0 ? 0 : s->half[r].fixed + s->fault;
    for (int64_t j = 0; j < s->n; j++) {
        double v = a == NULL ? 0 : a[j];
        for (int32_t k = 0; k < w->ways; k++) v -= l[k] * w->way[k * s->n + j];
        w->d[j] = v;
    }
    for (int32_t k = 0; k < w->ways; k++) {
        if (l[k] == 0) continue;
        blur = fp_add_up(blur, fp_mul_up(fabs(l[k]), w->size[k]));
        value = fp_add_lo(value, fp_min(fp_mul_lo(l[k], q->lo[k]), fp_mul_lo(l[k], q->up[k])));
    }
    /* each v has 2 ways roundings of its terms' magnitudes */
    double most = fp_add_up(dual_up(s->norm, w->d, s->n),
                            fp_mul_up(blur, (2 * WAYS + 2) * ROB_U)
                                + (double)s->n * WAYS * 2 * ROB_TINY);
    return fp_add_lo(value, -fp_mul_up(s->eps, most));
}

static double clipped(double x, double lo, double up)
{
    return x < lo ? lo : x > up ? up : x;
}

/* Euclidean: l from the minimiser on the slabs */
static void best_for_l2(const work *w, const double *c, double r, const part *q, double *l)
{
    double s[WAYS] = { 0 }, all = w->s->eps * w->s->eps, sum;
    for (int32_t k = 0; k < w->ways; k++) s[k] = clipped(0, q->lo[k], q->up[k]);
    for (int32_t round = 0; round < ROUNDS; round++)
        for (int32_t k = 0; k < w->ways; k++) {
            sum = all;
            for (int32_t i = 0; i < w->ways; i++) sum -= i == k ? 0 : s[i] * s[i];
            double to = sum > 0 ? -c[k] * sqrt(sum / (c[k] * c[k] + r * r + 1e-300)) : 0;
            s[k] = clipped(to, q->lo[k], q->up[k]);
        }
    sum = all;
    for (int32_t k = 0; k < w->ways; k++) sum -= s[k] * s[k];
    double root = sqrt(sum > 1e-8 * all ? sum : 1e-8 * all);
    for (int32_t k = 0; k < w->ways; k++) {
        bool inside = s[k] > q->lo[k] && s[k] < q->up[k];
        l[k] = inside ? 0 : c[k] + r * s[k] / root;
    }
}

/* One multiplier by golden section, the others held; the value there. */
static double along_one(work *w, int64_t r, const part *q, double *l, int32_t k, double wide)
{
    const double g = 0.6180339887498949, from = l[k];
    double lo = from - wide, up = from + wide, x = up - g * (up - lo), y = lo + g * (up - lo);
    double best = bound_with(w, r, q, l), at = from;
    for (int32_t i = 0; i < TRIES && best <= 0; i++) {
        l[k] = x;
        double vx = bound_with(w, r, q, l);
        l[k] = y;
        double vy = bound_with(w, r, q, l);
        if (vx > best) best = vx, at = x;
        if (vy > best) best = vy, at = y;
        if (vx > vy) up = y;
        else lo = x;
        x = up - g * (up - lo);
        y = lo + g * (up - lo);
    }
    l[k] = at;
    return best;
}

/* Does half-space r keep away from the part? */
static bool keeps_away(work *w, int64_t r, const part *q)
{
    double l[WAYS] = { 0 };
    if (bound_with(w, r, q, l) > 0) return true;
    best_for_l2(w, w->along + r * w->ways, w->rest[r], q, l);
    if (bound_with(w, r, q, l) > 0) return true;
    if (w->s->norm == ROB_NORM_L2) return false;
    double wide = 0;
    for (int32_t k = 0; k < w->ways; k++) wide += fabs(w->along[r * w->ways + k]);
    memset(l, 0, sizeof l);
    for (int32_t k = 0; k < w->ways; k++)
        if (along_one(w, r, q, l, k, 2 * wide + w->rest[r]) > 0) return true;
    return false;
}

/* No d of the ball lies between the slabs. */
static bool is_empty(work *w, const part *q)
{
    double l[WAYS];
    for (int32_t k = 0; k < w->ways; k++) l[k] = clipped(0, q->lo[k], q->up[k]);
    return bound_with(w, -1, q, l) > 0;
}

/* Which of the half-spaces alive in `of` (NULL: all) meet the part, and of how many series. */
static void look(work *w, const bool *of, part *q)
{
    const rob_shared *s = w->s;
    int64_t last = -1;
    const bool empty = is_empty(w, q);
    q->count = 0;
    for (int64_t r = 0; r < s->halves; r++) {
        q->alive[r] = !empty && (of == NULL || of[r]) && !keeps_away(w, r, q);
        if (!q->alive[r] || s->half[r].series == last) continue;
        last = s->half[r].series;
        q->count++;
    }
}

/* ---- directions ------------------------------------------------------------------- */

static double length_of(const double *v, int64_t n) { return sqrt(dot(v, v, n)); }

/* v <- sum_r g_r (g_r.v), g_r = a_r/|a_r|, less its share of earlier directions */
static void iterate(work *w, int32_t k, double *v)
{
    const rob_shared *s = w->s;
    memset(w->sum, 0, (size_t)s->n * sizeof *w->sum);
    for (int64_t r = 0; r < s->halves; r++) {
        double size = dot(s->half[r].at, s->half[r].at, s->n);
        double c = size > 0 ? dot(s->half[r].at, v, s->n) / size : 0;
        for (int64_t j = 0; j < s->n; j++) w->sum[j] += c * s->half[r].at[j];
    }
    for (int32_t i = 0; i < k; i++) {
        double c = dot(w->sum, w->way + i * s->n, s->n);
        for (int64_t j = 0; j < s->n; j++) w->sum[j] -= c * w->way[i * s->n + j];
    }
    double size = length_of(w->sum, s->n);
    for (int64_t j = 0; j < s->n; j++) v[j] = size > 0 ? w->sum[j] / size : 0;
}

static void find_ways(work *w)
{
    const rob_shared *s = w->s;
    for (w->ways = 0; w->ways < WAYS && w->ways < s->n; w->ways++) {
        double *v = w->way + w->ways * s->n;
        for (int64_t j = 0; j < s->n; j++) v[j] = 1 + (double)((j * 37 + 11) % 23) / 23;
        for (int32_t i = 0; i < POWER; i++) iterate(w, w->ways, v);
        if (!(length_of(v, s->n) > 0.5)) break;
    }
    for (int32_t k = 0; k < w->ways; k++) {
        w->size[k] = dual_up(s->norm, w->way + k * s->n, s->n);
        w->reach[k] = fp_mul_up(s->eps, w->size[k]);
    }
    for (int64_t r = 0; r < s->halves; r++) {
        const double *a = s->half[r].at;
        double left = dot(a, a, s->n);
        for (int32_t k = 0; k < w->ways; k++) {
            double c = w->along[r * w->ways + k] = dot(a, w->way + k * s->n, s->n);
            left -= c * c;
        }
        w->rest[r] = sqrt(fp_max(left, 0));
        w->norm[r] = dual_up(s->norm, a, s->n);
    }
}

/* ---- points ----------------------------------------------------------------------- */

/* Series that fail at d, as far as these half-spaces say. */
static int64_t count_at(const work *w, const double *d)
{
    const rob_shared *s = w->s;
    int64_t count = 0, last = -1;
    for (int64_t r = 0; r < s->halves; r++) {
        if (s->half[r].series == last) continue;
        if (s->half[r].fixed + dot(s->half[r].at, d, s->n) > 0) continue;
        last = s->half[r].series;
        count++;
    }
    return count;
}

/* The point of the ball that lies furthest along what is alive: nothing is proved by it,
 * but no bound can go below. */
static void try_point(work *w, const part *q)
{
    rob_shared *s = w->s;
    double size = 0;
    memset(w->d, 0, (size_t)s->n * sizeof *w->d);
    for (int64_t r = 0; r < s->halves; r++)
        for (int64_t j = 0; q->alive[r] && j < s->n; j++)
            w->d[j] -= s->half[r].at[j] / (w->norm[r] + 1e-300);
    for (int64_t j = 0; j < s->n; j++) {
        if (s->norm == ROB_NORM_LINF) w->d[j] = w->d[j] < 0 ? -1 : w->d[j] > 0;
        size += s->norm == ROB_NORM_L1 ? fabs(w->d[j]) : w->d[j] * w->d[j];
    }
    if (s->norm == ROB_NORM_L2) size = sqrt(size);
    if (s->norm == ROB_NORM_LINF) size = 1;
    for (int64_t j = 0; size > 0 && j < s->n; j++) w->d[j] *= s->eps / size;
    int64_t count = count_at(w, w->d);
    if (count > s->reached) s->reached = count;
}

/* ---- branch and bound ------------------------------------------------------------- */

static void cut(work *w, const part *of, int32_t way, part *left, part *right)
{
    double middle = 0.5 * of->lo[way] + 0.5 * of->up[way];
    part *both[2] = { left, right };
    for (int side = 0; side < 2; side++) {
        memcpy(both[side]->lo, of->lo, sizeof of->lo);
        memcpy(both[side]->up, of->up, sizeof of->up);
        *(side ? &both[side]->lo[way] : &both[side]->up[way]) = middle;
        look(w, of->alive, both[side]);
    }
}

static int64_t dearest(const work *w)
{
    int64_t best = 0;
    for (int64_t i = 1; i < w->used; i++)
        if (w->parts[i].count > w->parts[best].count) best = i;
    return best;
}

/* Part i is replaced by its better halves: the lesser of the larger counts. */
static void branch(work *w, int64_t i)
{
    part *p = w->parts, *spare = p + w->s->cuts + 2;
    int64_t least = INT64_MAX;
    int32_t best = 0;
    for (int32_t k = 0; k < w->ways; k++) {
        cut(w, &p[i], k, &spare[0], &spare[1]);
        int64_t a = spare[0].count, b = spare[1].count;
        int64_t score = (a > b ? a : b) * 2 * w->s->halves + a + b;
        double wide = (p[i].up[k] - p[i].lo[k]) / w->reach[k];
        double old = (p[i].up[best] - p[i].lo[best]) / w->reach[best];
        if (score < least || (score == least && wide > old)) best = k, least = score;
    }
    cut(w, &p[i], best, &spare[0], &p[w->used]);
    bool *alive = p[i].alive;
    p[i].alive = spare[0].alive;
    spare[0].alive = alive;
    memcpy(p[i].lo, spare[0].lo, sizeof p[i].lo);
    memcpy(p[i].up, spare[0].up, sizeof p[i].up);
    p[i].count = spare[0].count;
    try_point(w, &p[i]);
    try_point(w, &p[w->used++]);
}

static rob_status search(work *w)
{
    rob_shared *s = w->s;
    part *root = &w->parts[0];
    for (int32_t k = 0; k < w->ways; k++) {
        root->lo[k] = -w->reach[k];
        root->up[k] = w->reach[k];
    }
    look(w, NULL, root);
    try_point(w, root);
    w->used = 1;
    s->most = root->count;
    for (int64_t t = 0; t < s->cuts && w->ways > 0 && s->most > s->reached; t++) {
        if (s->stop != NULL && s->stop(s->stop_user)) return ROB_STOPPED;
        branch(w, dearest(w));
        s->most = w->parts[dearest(w)].count;
    }
    return ROB_OK;
}

static bool reserve(const work *w, double **p, int64_t count)
{
    *p = rob_priv_allocate(w->m, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

rob_status rob_priv_shared_most(const rob_memory *m, rob_shared *s)
{
    work w = { .m = m, .s = s };
    rob_status status = ROB_EMEMORY;
    int64_t room = s->cuts + 4, h = s->halves + 1;
    bool *alive = rob_priv_allocate(m, room * h, (int64_t)sizeof *alive);
    bool fine = reserve(&w, &w.way, WAYS * s->n) && reserve(&w, &w.along, WAYS * h)
                && reserve(&w, &w.rest, h) && reserve(&w, &w.norm, h)
                && reserve(&w, &w.d, s->n) && reserve(&w, &w.sum, s->n);
    w.parts = rob_priv_allocate(m, room, (int64_t)sizeof *w.parts);
    s->most = s->reached = 0;
    if (fine && alive != NULL && w.parts != NULL) {
        for (int64_t i = 0; i < room; i++) w.parts[i].alive = alive + i * h;
        find_ways(&w);
        status = search(&w);
    }
    void *const all[] = { w.way, w.along, w.rest, w.norm, w.d, w.sum, w.parts, alive };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(m, all[i]);
    return status;
}
