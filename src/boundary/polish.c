/* polish.c -- the nearest point of { all rows of a group <= 0 }, from a point near it.
 *
 *     min |z - x|^2/2   subject to  g_r(z) = 0, r in A,   A the rows that decide.
 *
 * Newton's method on the conditions  z - x + sum_r mu_r grad g_r(z) = 0,  g_r(z) = 0
 * (sequential quadratic programming): with G the gradients, mu their least-squares
 * multipliers and W = 1 + sum_r mu_r Hess g_r, the step is p = p_n + p_t,
 *     p_n = -G'(GG')^-1 g,    p_t in ker G minimising  p'Wp/2 + (z - x).p,
 * the second by conjugate gradients in ker G, one Hessian product an iteration, so no
 * matrix is formed (Nocedal & Wright, Numerical Optimization, 2nd ed., 2006, 16.3 and
 * 18.3). Far away, residual above FAR, z slides down the distance along the boundary
 * instead. Rows found > 0 join A, rows with mu < 0 leave it. Judged by the relative
 * residual  max(|z - x + G'mu|, max_r |g_r|/|grad g_r|) / |z - x|.
 */
#include "boundary/boundary.h"

#include <math.h>
#include <string.h>

enum { ROWS = 8, CG_STEPS = 200, HALVINGS = 12, RESTORATIONS = 6 };

#define FAR 0.1 /* residual above which Newton's model is not trusted */

typedef struct polisher {
    rob_site *s;
    int64_t n, first, next, rows; /* group; rows in A */
    int64_t row[ROWS];
    double mu[ROWS], g[ROWS], size[ROWS]; /* multipliers, values, |grad| */
    double factor[ROWS * ROWS];           /* of G G' */
    double *z, *trial, *p, *lag, *grad;   /* (n); grad (ROWS, n) */
    double *r, *d, *wd, *pr;              /* (n) of the conjugate gradients */
    double residual, distance, share;     /* share: of the last descent */
    int64_t steps;
} polisher;

static void add(int64_t n, double *to, double scale, const double *v)
{
    for (int64_t i = 0; i < n; i++) to[i] += scale * v[i];
}

/* y <- (L L')^-1 y */
static void solve_gram(const polisher *k, double *y)
{
    int64_t a = k->rows;
    for (int64_t i = 0; i < a; i++) {
        for (int64_t j = 0; j < i; j++) y[i] -= k->factor[i * a + j] * y[j];
        y[i] /= k->factor[i * a + i];
    }
    for (int64_t i = a - 1; i >= 0; i--) {
        for (int64_t j = i + 1; j < a; j++) y[i] -= k->factor[j * a + i] * y[j];
        y[i] /= k->factor[i * a + i];
    }
}

/* v <- v - G'(GG')^-1 G v; shares (rows): (GG')^-1 G v */
static void project(const polisher *k, double *v, double *shares)
{
    double y[ROWS];
    for (int64_t r = 0; r < k->rows; r++) y[r] = rob_priv_dot(k->n, k->grad + r * k->n, v);
    solve_gram(k, y);
    for (int64_t r = 0; r < k->rows; r++) {
        add(k->n, v, -y[r], k->grad + r * k->n);
        if (shares) shares[r] = y[r];
    }
}

/* Values, gradients, multipliers and the residual at z. false: gradients dependent,
 * zero or not finite. */
static bool look(polisher *k, const double *z)
{
    int64_t n = k->n, a = k->rows;
    const double *x = k->s->c->x;
    rob_priv_site_place(k->s, z);
    for (int64_t r = 0; r < a; r++) {
        k->g[r] = rob_priv_site_row(k->s, k->row[r]);
        rob_priv_site_gradient(k->s, k->row[r], k->grad + r * n);
        k->size[r] = rob_priv_norm(ROB_NORM_L2, k->grad + r * n, n);
        for (int64_t c = 0; c <= r; c++)
            k->factor[r * a + c] = k->factor[c * a + r] =
                rob_priv_dot(n, k->grad + r * n, k->grad + c * n);
    }
    if (rob_priv_la_cholesky(a, k->factor) < ROB_OK) return false;
    for (int64_t i = 0; i < n; i++) k->lag[i] = z[i] - x[i];
    k->distance = rob_priv_norm(ROB_NORM_L2, k->lag, n);
    project(k, k->lag, k->mu);
    double worst = rob_priv_norm(ROB_NORM_L2, k->lag, n);
    for (int64_t r = 0; r < a; r++) {
        k->mu[r] = -k->mu[r];
        worst = fmax(worst, fabs(k->g[r]) / k->size[r]);
    }
    k->residual = k->distance > 0 ? worst / k->distance : INFINITY;
    return isfinite(k->residual);
}

/* wv = v + sum mu_r Hess g_r v; the combination was chosen before */
static void curve(polisher *k, const double *v, double *wv)
{
    rob_priv_site_product(k->s, v, wv);
    add(k->n, wv, 1, v);
}

/* p: the step; lag still holds the projected gradient of the distance */
static void find_step(polisher *k)
{
    int64_t n = k->n;
    double y[ROWS], tolerance;
    rob_priv_site_combine(k->s, k->row, k->mu, k->rows, k->wd);
    memset(k->p, 0, (size_t)n * sizeof *k->p);
    memcpy(y, k->g, sizeof y);
    solve_gram(k, y);
    for (int64_t r = 0; r < k->rows; r++) add(n, k->p, -y[r], k->grad + r * n);
    curve(k, k->p, k->wd);
    for (int64_t i = 0; i < n; i++) k->r[i] = -k->lag[i] - k->wd[i];
    project(k, k->r, NULL);
    memcpy(k->d, k->r, (size_t)n * sizeof *k->d);
    double rr = rob_priv_dot(n, k->r, k->r), start = rr;
    tolerance = fmin(1e-2, fmax(k->residual, 1e-12));
    for (int it = 0; it < CG_STEPS && it < 2 * k->s->m; it++) {
        if (!(rr > tolerance * tolerance * start) || rr == 0) break;
        curve(k, k->d, k->wd);
        double bend = rob_priv_dot(n, k->d, k->wd);
        if (!(bend
              > 1e-8 * rob_priv_dot(n, k->d, k->d))) { /* not near a minimiser: as if W = 1 */
            if (it == 0) add(n, k->p, 1, k->d);
            break;
        }
        add(n, k->p, rr / bend, k->d);
        add(n, k->r, -rr / bend, k->wd);
        project(k, k->r, NULL);
        double next = rob_priv_dot(n, k->r, k->r);
        for (int64_t i = 0; i < n; i++) k->d[i] = k->r[i] + next / rr * k->d[i];
        rr = next;
    }
}

static double merit(const polisher *k, double weight)
{
    double sum = k->distance * k->distance / 2;
    for (int64_t r = 0; r < k->rows; r++) sum += weight * fabs(k->g[r]);
    return sum;
}

/* One step with halving. false: nothing better was found; z and what belongs to it are
 * as before. */
static bool advance(polisher *k)
{
    double weight = 0, share = 1, before = k->residual, old;
    for (int64_t r = 0; r < k->rows; r++) weight = fmax(weight, 2 * fabs(k->mu[r]));
    old = merit(k, weight);
    find_step(k);
    for (int h = 0; h < HALVINGS; h++, share /= 2) {
        memcpy(k->trial, k->z, (size_t)k->n * sizeof *k->z);
        add(k->n, k->trial, share, k->p);
        bool fine = look(k, k->trial);
        if (fine
            && (k->residual <= 0.5 * before
                || (before > 1e-6 && merit(k, weight) < old))) {
            memcpy(k->z, k->trial, (size_t)k->n * sizeof *k->z);
            k->steps++;
            return true;
        }
    }
    look(k, k->z);
    return false;
}

/* trial is brought back to g = 0 along the gradients; looked at. */
static bool restore(polisher *k)
{
    for (int it = 0; it < RESTORATIONS; it++) {
        double y[ROWS], off = 0;
        if (!look(k, k->trial)) return false;
        for (int64_t r = 0; r < k->rows; r++)
            off = fmax(off, fabs(k->g[r]) / k->size[r]);
        if (off <= 1e-4 * k->residual * k->distance) return true;
        if (off > k->distance) return false;
        memcpy(y, k->g, sizeof y);
        solve_gram(k, y);
        for (int64_t r = 0; r < k->rows; r++)
            add(k->n, k->trial, -y[r], k->grad + r * k->n);
    }
    return false;
}

/* Far from stationary: down the distance along the boundary, by its projected gradient
 * and back to g = 0. Never further away. false: as before. */
static bool descend(polisher *k)
{
    double before = k->distance, slope = k->residual * k->residual;
    for (int h = 0; h < 2 * HALVINGS; h++) {
        memcpy(k->trial, k->z, (size_t)k->n * sizeof *k->z);
        add(k->n, k->trial, -k->share, k->lag);
        if (restore(k) && k->distance < before * (1 - 0.1 * k->share * slope)) {
            memcpy(k->z, k->trial, (size_t)k->n * sizeof *k->z);
            k->share = fmin(2 * k->share, 1);
            k->steps++;
            return true;
        }
        k->share /= 2;
        look(k, k->z);
    }
    k->share = 1;
    return false;
}

static bool on_the_boundary(const polisher *k)
{
    for (int64_t r = 0; r < k->rows; r++)
        if (fabs(k->g[r]) > 0.01 * k->size[r] * k->distance) return false;
    return true;
}

/* One step, by whichever method promises more. */
static bool improve(polisher *k)
{
    return (k->residual > FAR && on_the_boundary(k) && descend(k)) || advance(k);
}

/* Newton's method with A fixed. false: it did not get there. */
static bool settle(polisher *k)
{
    double tolerance = k->s->option[ROB_BOUNDARY_TOLERANCE];
    int64_t most = (int64_t)k->s->option[ROB_BOUNDARY_STEPS];
    if (!look(k, k->z)) return false;
    for (int64_t it = 0; it < most && k->residual > tolerance; it++)
        if (rob_priv_cancelled(k->s->ctx) || !improve(k)) break;
    if (k->residual <= tolerance) {
        advance(k); /* one more is nearly free, and squares what is left */
        return true;
    }
    return false;
}

/* The row outside A that is violated most at z, or -1. */
static int64_t violated(polisher *k)
{
    int64_t worst = -1;
    double most = 1e-9 * k->distance * k->size[0];
    rob_priv_site_place(k->s, k->z);
    for (int64_t r = k->first; r < k->next; r++) {
        double value = rob_priv_site_row(k->s, r);
        bool inside = false;
        for (int64_t a = 0; a < k->rows; a++) inside = inside || k->row[a] == r;
        if (inside || !(value > most)) continue;
        most = value;
        worst = r;
    }
    return worst;
}

static bool drop_negative(polisher *k)
{
    int64_t least = 0;
    for (int64_t r = 1; r < k->rows; r++)
        if (k->mu[r] < k->mu[least]) least = r;
    if (k->mu[least] >= 0 || k->rows == 1) return false;
    k->row[least] = k->row[--k->rows];
    return true;
}

/* A grows and shrinks until every condition holds. */
static bool solve(polisher *k)
{
    for (int64_t round = 0; round < 2 * ROWS; round++) {
        if (!settle(k)) return false;
        if (drop_negative(k)) continue;
        int64_t r = violated(k);
        if (r < 0) return k->mu[0] >= 0;
        if (k->rows == ROWS || k->rows >= k->s->m) return false;
        k->row[k->rows++] = r;
    }
    return false;
}

/* ---- the answer ------------------------------------------------------------------ */

/* The point, multipliers and residual of the last look, into the edge. */
static void take(polisher *k, bool converged)
{
    rob_edge *e = k->s->edge;
    int64_t n = k->n;
    double total = 0, size;
    memcpy(e->point, k->z, (size_t)n * sizeof *k->z);
    memset(e->normal, 0, (size_t)n * sizeof *e->normal);
    for (int64_t r = 0; r < k->rows; r++) {
        total += k->mu[r];
        /* one row: its multiplier may be zero, its direction is the same */
        add(n, e->normal, k->rows == 1 ? -1 : -k->mu[r], k->grad + r * n);
    }
    size = rob_priv_norm(ROB_NORM_L2, e->normal, n);
    for (int64_t i = 0; i < n; i++) e->normal[i] = size > 0 ? e->normal[i] / size : 0;
    e->gradient_norm = k->rows == 1 ? size : total > 0 ? size / total : 0;
    e->multiplier = total;
    e->distance = k->distance;
    e->residual = k->residual;
    e->rows = k->rows;
    e->steps += k->steps;
    e->found = true;
    e->converged = converged;
    e->row = k->row[0];
}

static bool make_polisher(polisher *k, double **arena)
{
    int64_t n = k->n;
    double *at = *arena =
        rob_priv_allocate(&k->s->memory, (8 + ROWS) * n, sizeof **arena);
    if (!at) return false;
    double **place[8] = {
        &k->z, &k->trial, &k->p, &k->lag, &k->r, &k->d, &k->wd, &k->pr
    };
    for (int v = 0; v < 8; v++, at += n) *place[v] = at;
    k->grad = at;
    return true;
}

/* the row of the group that is largest at z0 starts A */
static void start(polisher *k, const double *z0)
{
    double most = -INFINITY;
    memcpy(k->z, z0, (size_t)k->n * sizeof *k->z);
    rob_priv_site_place(k->s, z0);
    k->rows = 1;
    k->row[0] = k->first;
    for (int64_t r = k->first; r < k->next; r++) {
        double value = rob_priv_site_row(k->s, r);
        if (value > most) {
            most = value;
            k->row[0] = r;
        }
    }
}

static double distance_to(const rob_site *s, const double *z)
{
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) sum += (z[i] - s->c->x[i]) * (z[i] - s->c->x[i]);
    return sqrt(sum);
}

rob_status rob_priv_polish(rob_site *s, int64_t first, int64_t next, const double *z0,
                           bool fallback)
{
    polisher k = { .s = s, .n = s->n, .first = first, .next = next, .share = 1 };
    double *arena;
    if (!make_polisher(&k, &arena)) return rob_priv_no_memory(s->ctx);
    start(&k, z0);
    double limit = fallback ? distance_to(s, z0) * (1 + 1e-6) : INFINITY;
    if (solve(&k) && k.distance <= limit) {
        if (!s->edge->found || k.distance < s->edge->distance) take(&k, true);
    } else if (fallback) {
        start(&k, z0);
        if (look(&k, k.z)) take(&k, false);
    }
    rob_priv_release(&s->memory, arena);
    return ROB_OK;
}
