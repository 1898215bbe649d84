/* third.c -- estimates of order 3 of the distance to one row's boundary.
 *
 * With T the third derivative of g at x and
 *     tau = max over |v| = 1 of T[v,v,v],
 * the Taylor model obeys  m(d) >= t - |J||d| - nu |d|^2/2 - tau |d|^3/6,  so its distance is
 * at least the smallest positive root of the right side; along a unit vector e and a sign s
 * it is at most the smallest positive root of
 *     t + s (J.e) a + (e'He) a^2/2 + s T[e,e,e] a^3/6,
 * e = u (the lowest eigenvector of H), -J/|J| and the vector of tau. tau is sought by the
 * shifted power iteration v <- T[v,v,.] + alpha v (Kolda & Mayo, SIAM J. Matrix Anal. 32,
 * 2011), alpha raised until T[v,v,v] rises; from -J, u and random starts. It finds local
 * maxima, so tau is an estimate from below. (docs/theory/boundary.md, section 2.)
 */
#include "boundary/boundary.h"

#include <math.h>
#include <string.h>

enum { STARTS = 4, ITERATIONS = 60, THIRD_STREAM = 0x74686972 };

/* ---- the cubic ------------------------------------------------------------------- */

static double value_of(const double c[4], double a)
{
    return c[0] + a * (c[1] + a * (c[2] + a * c[3]));
}

/* p(low) > 0 >= p(high), monotone between: where it vanishes, to the last bit. */
static double between(const double c[4], double low, double high)
{
    for (;;) {
        double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) return high;
        if (value_of(c, middle) > 0) low = middle;
        else high = middle;
    }
}

/* positive roots of c1 + 2 c2 a + 3 c3 a^2, ascending, without cancellation */
static int turning_points(const double c[4], double out[2])
{
    int n = 0;
    double root = c[2] * c[2] - 3 * c[3] * c[1];
    if (!(root >= 0)) return 0;
    double q = -(c[2] + copysign(sqrt(root), c[2]));
    double one = q / (3 * c[3]), two = c[1] / q;
    if (isfinite(one) && one > 0) out[n++] = one;
    if (isfinite(two) && two > 0) out[n++] = two;
    if (n == 2 && out[0] > out[1]) {
        double keep = out[0];
        out[0] = out[1];
        out[1] = keep;
    }
    return n;
}

double rob_priv_cubic_root(const double c[4])
{
    double turn[2], low = 0;
    int n = turning_points(c, turn);
    for (int k = 0; k < n; k++) {
        if (value_of(c, turn[k]) <= 0) return between(c, low, turn[k]);
        low = turn[k];
    }
    for (double high = fmax(2 * low, 0x1p-1000); high < 0x1p1000; high *= 2)
        if (value_of(c, high) <= 0) return between(c, low, high);
    return INFINITY;
}

/* ---- tau ------------------------------------------------------------------------- */

static bool unit(int64_t n, double *v)
{
    double size = sqrt(rob_priv_dot(n, v, v));
    if (!(size > 0) || !isfinite(size)) return false;
    for (int64_t i = 0; i < n; i++) v[i] /= size;
    return true;
}

/* v, T[v,v,.], H v and a vector to try, each (n) */
typedef struct climb {
    rob_site *s;
    int64_t n;
    double *v, *tv, *hv, *next;
    double value, shift; /* T[v,v,v] */
} climb;

static void look(climb *k, const double *v)
{
    rob_priv_site_third_product(k->s, v, k->hv, k->tv);
    if (v != k->v) memcpy(k->v, v, (size_t)k->n * sizeof *v);
    k->value = rob_priv_dot(k->n, k->v, k->tv);
}

/* T[-v] = -T[v]: the sign for which it is positive. */
static void turn_up(climb *k)
{
    if (k->value >= 0) return;
    k->value = -k->value;
    for (int64_t i = 0; i < k->n; i++) k->v[i] = -k->v[i];
}

/* One step up; false: at a maximum, to rounding. */
static bool step_up(climb *k)
{
    double before = k->value;
    for (int tries = 0; tries < 8; tries++) {
        for (int64_t i = 0; i < k->n; i++)
            k->next[i] = k->tv[i] + k->shift * k->v[i];
        if (!unit(k->n, k->next)) return false;
        double *old = k->v;
        k->v = k->next;
        k->next = old;
        look(k, k->v);
        if (k->value >= before) return k->value > before * (1 + 1e-9);
        k->next = k->v;
        k->v = old;
        look(k, k->v);
        k->shift = k->shift > 0 ? 4 * k->shift : before;
    }
    return false;
}

static bool start_at(climb *k, int start, const double *j, const double *u)
{
    rob_random random = rob_priv_random(
        k->s->ctx->seed + (uint64_t)k->s->option[ROB_BOUNDARY_SEED],
        THIRD_STREAM + (uint64_t)(k->s->series * STARTS + start));
    memset(k->v, 0, (size_t)k->n * sizeof *k->v);
    if (start == 0) memcpy(k->v, j, (size_t)k->n * sizeof *j);
    else if (start == 1 && u) memcpy(k->v, u, (size_t)k->n * sizeof *u);
    else
        for (int64_t c = 0; c < k->s->m; c++)
            k->v[k->s->free[c]] = rob_priv_normal(&random);
    return unit(k->n, k->v);
}

/* ---- the bounds of the model ------------------------------------------------------ */

/* nearest crossing along +-v, whose products are at hand */
static double along(const climb *k, double t, const double *j)
{
    double slope = rob_priv_dot(k->n, k->v, j), bend = rob_priv_dot(k->n, k->v, k->hv);
    const double plus[4] = { t, slope, bend / 2, k->value / 6 };
    const double minus[4] = { t, -slope, bend / 2, -k->value / 6 };
    return fmin(rob_priv_cubic_root(plus), rob_priv_cubic_root(minus));
}

static rob_status climb_from(climb *k, int start, double t, const double *j,
                             const double *u, rob_guess *g)
{
    if (!start_at(k, start, j, u)) return ROB_OK;
    look(k, k->v);
    g->upper3 = fmin(g->upper3, along(k, t, j));
    turn_up(k);
    look(k, k->v);
    k->shift = 0;
    for (int i = 0; i < ITERATIONS && step_up(k); i++)
        if (rob_priv_cancelled(k->s->ctx)) return ROB_STOPPED;
    g->third = fmax(g->third, k->value);
    g->upper3 = fmin(g->upper3, along(k, t, j));
    return ROB_OK;
}

rob_status rob_priv_third(rob_site *s, int64_t r, double t, const double *j, double nu,
                          const double *u, rob_guess *g)
{
    rob_status status = ROB_OK;
    double *room = rob_priv_allocate(&s->memory, 4 * s->n, sizeof *room);
    if (!room) return rob_priv_no_memory(s->ctx);
    climb k = { .s = s,
                .n = s->n,
                .v = room,
                .tv = room + s->n,
                .hv = room + 2 * s->n,
                .next = room + 3 * s->n };
    g->third = 0;
    g->upper3 = INFINITY;
    TRY(rob_priv_site_third(s, r));
    for (int start = 0; start < STARTS && status == ROB_OK; start++)
        TRY(climb_from(&k, start, t, j, u, g));
    const double least[4] = { t, -rob_priv_norm(ROB_NORM_L2, j, s->n), -nu / 2,
                              -g->third / 6 };
    g->lower3 = rob_priv_cubic_root(least);
done:
    rob_priv_release(&s->memory, room);
    return status;
}
