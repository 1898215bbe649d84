/* lanczos.c -- both ends of a symmetric operator's spectrum.
 *
 * From a random unit vector q_1:  beta_j q_{j+1} = A q_j - alpha_j q_j - beta_{j-1}
 * q_{j-1}, every q_{j+1} made orthogonal to all before it, twice. With T_m the
 * tridiagonal of alpha and beta and T_m s = theta s, |s| = 1, the Ritz pair (theta, Q
 * s) has the residual
 *     ||A Q s - theta Q s|| = beta_m |s_m|,
 * and an eigenvalue of A lies within it of theta (Parlett, The Symmetric Eigenvalue
 * Problem, SIAM 1998, ch. 4 and 13). Where beta_j vanishes the space is invariant; a
 * new random vector, orthogonal to it, goes on, so that nothing is missed but by
 * chance.
 */
#include "la/la.h"

#include <math.h>
#include <string.h>

/* The recursion so far: q (most + 1, n), t (m, m) scratch, w (m), s (m, m). */
typedef struct recursion {
    const rob_memory *memory;
    rob_lanczos *l;
    rob_random random;
    int64_t m;
    double *q, *alpha, *beta, *t, *w, *s;
} recursion;

double rob_priv_dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* v minus its share in q_0 .. q_{count-1}, twice; its norm then */
static double clean(const recursion *r, int64_t count, double *v)
{
    int64_t n = r->l->n;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < count; k++) {
            const double *q = r->q + k * n;
            double share = rob_priv_dot(n, q, v);
            for (int64_t i = 0; i < n; i++) v[i] -= share * q[i];
        }
    return sqrt(rob_priv_dot(n, v, v));
}

static void divide(int64_t n, double *v, double by)
{
    for (int64_t i = 0; i < n; i++) v[i] /= by;
}

/* A random unit vector orthogonal to the first `count`; count < n. */
static void draw(recursion *r, int64_t count)
{
    int64_t n = r->l->n;
    double *v = r->q + count * n, norm;
    do {
        for (int64_t i = 0; i < n; i++) v[i] = rob_priv_normal(&r->random);
        norm = sqrt(rob_priv_dot(n, v, v));
        divide(n, v, norm);
        norm = clean(r, count, v);
    } while (!(norm > 1e-8));
    divide(n, v, norm);
    divide(n, v, clean(r, count, v));
}

/* Step m: alpha_m, beta_m and, while there is room, q_{m+1}. */
static rob_status step(recursion *r)
{
    rob_lanczos *l = r->l;
    int64_t n = l->n, m = r->m;
    double *q = r->q + m * n, *next = q + n;
    rob_status status = l->product(l->user, q, next);
    if (status != ROB_OK) return status;
    double size = sqrt(rob_priv_dot(n, next, next));
    if (!isfinite(size)) return ROB_ENUMERIC;
    r->alpha[m] = rob_priv_dot(n, q, next);
    r->beta[m] = clean(r, m + 1, next);
    r->m = m + 1;
    if (r->m == n) r->beta[m] = 0;
    if (r->m == n || r->m == l->most) return ROB_OK;
    if (r->beta[m] <= 1e-14 * size || size == 0) {
        r->beta[m] = 0;
        draw(r, r->m);
    } else divide(n, next, r->beta[m]);
    return ROB_OK;
}

/* Ritz values and the residuals of both ends. */
static rob_status look(recursion *r)
{
    rob_lanczos *l = r->l;
    int64_t m = r->m;
    memset(r->t, 0, (size_t)(m * m) * sizeof *r->t);
    for (int64_t k = 0; k < m; k++) {
        r->t[k * m + k] = r->alpha[k];
        if (k + 1 < m) r->t[k * m + k + 1] = r->t[(k + 1) * m + k] = r->beta[k];
    }
    rob_status status = rob_priv_la_eigen(r->memory, m, r->t, r->w, r->s);
    if (status < ROB_OK) return status;
    l->steps = m;
    l->low = r->w[0];
    l->high = r->w[m - 1];
    l->low_residual = r->beta[m - 1] * fabs(r->s[m - 1]);
    l->high_residual = r->beta[m - 1] * fabs(r->s[(m - 1) * m + m - 1]);
    return ROB_OK;
}

static bool good_enough(const rob_lanczos *l)
{
    double scale = fmax(fabs(l->low), fabs(l->high));
    return fmax(l->low_residual, l->high_residual) <= l->tolerance * scale;
}

/* v (n) = Q s */
static void ritz_vector(const recursion *r, const double *s, double *v)
{
    int64_t n = r->l->n;
    if (!v) return;
    memset(v, 0, (size_t)n * sizeof *v);
    for (int64_t k = 0; k < r->m; k++)
        for (int64_t i = 0; i < n; i++) v[i] += s[k] * r->q[k * n + i];
}

static rob_status iterate(recursion *r)
{
    rob_status status = ROB_OK;
    rob_lanczos *l = r->l;
    int64_t check = 8;
    draw(r, 0);
    while (r->m < l->most) {
        status = step(r);
        if (status != ROB_OK) goto done;
        if (r->m < check && r->m < l->most) continue;
        TRY(look(r));
        if (good_enough(l) && (l->tolerance > 0 || r->m == l->n)) break;
        check = r->m + r->m / 4;
    }
    ritz_vector(r, r->s, l->low_vector);
    ritz_vector(r, r->s + (r->m - 1) * r->m, l->high_vector);
    if (l->ritz) memcpy(l->ritz, r->w, (size_t)r->m * sizeof *r->w);
done:
    return status;
}

rob_status rob_priv_la_lanczos(const rob_memory *memory, rob_lanczos *l)
{
    rob_status status = ROB_OK;
    if (l->most > l->n) l->most = l->n;
    int64_t n = l->n, most = l->most;
    recursion r = { .memory = memory,
                    .l = l,
                    .random = rob_priv_random(l->seed, l->stream) };
    CHECK(n >= 1 && most >= 1 && n < INT64_MAX / 16 / (most + 1), NULL, ROB_EARGUMENT,
          "n, most");
    r.q = rob_priv_allocate(memory, (most + 1) * n, sizeof *r.q);
    r.alpha = rob_priv_allocate(memory, 3 * most, sizeof *r.alpha);
    r.t = rob_priv_allocate(memory, 2 * most * most, sizeof *r.t);
    CHECK(r.q && r.alpha && r.t, NULL, ROB_EMEMORY, "out of memory");
    r.beta = r.alpha + most;
    r.w = r.beta + most;
    r.s = r.t + most * most;
    status = iterate(&r);
done:
    rob_priv_release(memory, r.q);
    rob_priv_release(memory, r.alpha);
    rob_priv_release(memory, r.t);
    return status;
}
