/* estimate.c -- how far a group's rows are from failing, by their Taylor models at x.
 *
 * Order 1, one row:  t / ||J||_q, q dual to the norm p. Order 1, L2, several rows that
 * must fail together: least |d| with t_r + J_r.d <= 0 for all r; its dual
 *     max over w >= 0 of  w.t - |J'w|^2/2,   d = -J'w,
 * is climbed one weight at a time (Hildreth 1957). For other norms and for order 2 a
 * group's number is the largest of its rows', which is a lower estimate. Order 2: the
 * exact distance to the row's quadric (quadric.c), between
 *     lower  2t / (|J| + sqrt(|J|^2 + 2 nu t)),  nu = lambda_max(-H), and
 *     upper  the same along the lowest eigenvector and along -J, with what J and H have
 *            there, whichever is less.
 * Above `dense` free coordinates only the lower one, nu by Lanczos's method. Order 3,
 * when asked for: third.c.
 * (docs/theory/boundary.md, section 2.)
 */
#include "boundary/boundary.h"

#include <math.h>
#include <string.h>

enum { HILDRETH_SWEEPS = 10000 };

double rob_priv_halfspaces(const double *gram, const double *t, int64_t rows,
                           double *weight)
{
    double norm = 0;
    for (int64_t r = 0; r < rows; r++) weight[r] = 0;
    for (int64_t k = 0; k < HILDRETH_SWEEPS; k++) {
        double change = 0, size = 0;
        for (int64_t r = 0; r < rows; r++) {
            double slope = t[r] - rob_priv_dot(rows, gram + r * rows, weight);
            double curve = gram[r * rows + r];
            if (curve == 0 && slope > 0) return INFINITY;
            double to = curve > 0 ? fmax(0, weight[r] + slope / curve) : 0;
            change = fmax(change, fabs(to - weight[r]) * sqrt(curve));
            size = fmax(size, fabs(to) * sqrt(curve));
            weight[r] = to;
        }
        if (change <= 1e-15 * size) break;
    }
    for (int64_t r = 0; r < rows; r++)
        norm += weight[r] * rob_priv_dot(rows, gram + r * rows, weight);
    for (int64_t r = 0; r < rows; r++) /* no common point: the weights run away */
        if (t[r] - rob_priv_dot(rows, gram + r * rows, weight) > 1e-6 * (fabs(t[r]) + 1e-300))
            return INFINITY;
    return sqrt(fmax(norm, 0));
}

/* ---- one row --------------------------------------------------------------------- */

/* What is needed while a group is looked at. */
typedef struct desk {
    rob_site *s;
    int64_t first, rows, m;
    double *gram, *t, *weight; /* (rows, rows), (rows), (rows) */
    double *j, *spare;         /* (rows, n) gradients, and two vectors more */
    double *h, *v, *w, *e, *d; /* (m, m) twice, (m) three times */
} desk;

static double order_one(int32_t dual, double t, const double *j, int64_t n)
{
    double size = rob_priv_norm(dual, j, n);
    if (!(t > 0)) return 0;
    return size > 0 ? t / size : INFINITY;
}

/* e (m) = V j, over the free coordinates */
static void into_basis(const desk *k, const double *j)
{
    for (int64_t i = 0; i < k->m; i++) {
        k->e[i] = 0;
        for (int64_t c = 0; c < k->m; c++)
            k->e[i] += k->v[i * k->m + c] * j[k->s->free[c]];
    }
}

/* to (n) = V' d */
static void out_of_basis(const desk *k, double *to)
{
    memset(to, 0, (size_t)k->s->n * sizeof *to);
    for (int64_t i = 0; i < k->m; i++)
        for (int64_t c = 0; c < k->m; c++)
            to[k->s->free[c]] += k->v[i * k->m + c] * k->d[i];
}

static rob_status quadric_of_row(desk *k, int64_t r, double t, const double *j,
                                 rob_guess *g, double *to)
{
    rob_status status = rob_priv_site_hessian(k->s, r, k->s->c->x, k->h);
    if (status != ROB_OK) return status;
    status = rob_priv_la_eigen(&k->s->memory, k->m, k->h, k->w, k->v);
    if (status < ROB_OK) return rob_priv_fail(k->s->ctx, status, "a Hessian at x");
    into_basis(k, j);
    double norm = rob_priv_norm(ROB_NORM_L2, j, k->s->n), along = 0;
    for (int64_t i = 0; i < k->m; i++)
        along += norm > 0 ? k->e[i] / norm * k->w[i] * (k->e[i] / norm) : 0;
    g->order2 = rob_priv_quadric_distance(k->m, t, k->e, k->w, k->d);
    g->lower2 = rob_priv_quadric_lower(t, norm, -k->w[0]);
    g->upper2 = fmin(rob_priv_quadric_lower(t, fabs(k->e[0]), -k->w[0]),
                     rob_priv_quadric_lower(t, norm, -along));
    if (isfinite(g->order2)) out_of_basis(k, to);
    if (k->s->option[ROB_BOUNDARY_ORDER] < 3) return ROB_OK;
    rob_priv_site_spread(k->s, k->v, k->spare);
    return rob_priv_third(k->s, r, t, j, -k->w[0], k->spare, g);
}

static rob_status free_product(void *user, const double *v, double *hv)
{
    desk *k = user;
    double *full = k->h, *image = k->h + k->s->n;
    rob_priv_site_spread(k->s, v, full);
    rob_priv_site_product(k->s, full, image);
    for (int64_t c = 0; c < k->m; c++) hv[c] = image[k->s->free[c]];
    return rob_priv_cancelled(k->s->ctx) ? ROB_STOPPED : ROB_OK;
}

/* Too large for a dense Hessian: the lower estimate, nu by Lanczos. */
static rob_status lanczos_of_row(desk *k, int64_t r, double t, const double *j,
                                 rob_guess *g)
{
    rob_lanczos l = { .n = k->m,
                      .most = 60,
                      .tolerance = 1e-6,
                      .product = free_product,
                      .user = k,
                      .seed =
                          k->s->ctx->seed + (uint64_t)k->s->option[ROB_BOUNDARY_SEED],
                      .stream = (uint64_t)k->s->series,
                      .low_vector = k->e };
    rob_priv_site_place(k->s, k->s->c->x);
    rob_priv_site_gradient(k->s, r, k->h);
    rob_status status = rob_priv_la_lanczos(&k->s->memory, &l);
    if (status < ROB_OK) return rob_priv_fail(k->s->ctx, status, "a Hessian at x");
    if (status != ROB_OK) return status;
    double nu = l.low_residual - l.low;
    g->lower2 = rob_priv_quadric_lower(t, rob_priv_norm(ROB_NORM_L2, j, k->s->n), nu);
    if (k->s->option[ROB_BOUNDARY_ORDER] < 3) return ROB_OK;
    rob_priv_site_spread(k->s, k->e, k->spare);
    return rob_priv_third(k->s, r, t, j, nu, k->spare, g);
}

/* Order 2 of one row; to (n): the quadric's nearest point, where there is one. */
static rob_status order_two(desk *k, int64_t r, rob_guess *g, double *to)
{
    double t = k->t[r], one;
    const double *j = k->j + r * k->s->n;
    int64_t row = k->first + r;
    one = order_one(ROB_NORM_L2, t, j, k->s->n);
    g->order2 = g->lower2 = g->upper2 = one;
    g->third = 0;
    g->lower3 = g->upper3 = k->s->option[ROB_BOUNDARY_ORDER] < 3 ? NAN : one;
    if (!(t > 0)) return ROB_OK;
    double norm = rob_priv_norm(ROB_NORM_L2, j, k->s->n);
    for (int64_t i = 0; i < k->s->n; i++) to[i] = norm > 0 ? -j[i] / norm * one : 0;
    if (rob_priv_local_flat(k->s->local) || k->m == 0) return ROB_OK;
    if (k->v) return quadric_of_row(k, row, t, j, g, to);
    g->order2 = g->upper2 = NAN;
    return lanczos_of_row(k, row, t, j, g);
}

/* ---- a group --------------------------------------------------------------------- */

static rob_status make_desk(desk *k, rob_site *s, int64_t rows, bool second)
{
    const rob_memory *memory = &s->memory;
    bool dense = second && s->m > 0 && s->m <= (int64_t)s->option[ROB_BOUNDARY_DENSE];
    *k = (desk){ .s = s, .rows = rows, .m = s->m };
    k->gram = rob_priv_allocate(memory, rows * rows, sizeof *k->gram);
    k->t = rob_priv_allocate(memory, 2 * rows, sizeof *k->t);
    k->j = rob_priv_allocate(memory, (rows + 2) * s->n, sizeof *k->j);
    k->h = rob_priv_allocate(memory, dense ? s->m * s->m : 2 * s->n, sizeof *k->h);
    k->w = rob_priv_allocate(memory, 3 * s->m + 1, sizeof *k->w);
    if (dense) k->v = rob_priv_allocate(memory, s->m * s->m, sizeof *k->v);
    if (!k->gram || !k->t || !k->j || !k->h || !k->w || (dense && !k->v))
        return rob_priv_no_memory(s->ctx);
    k->weight = k->t + rows;
    k->spare = k->j + (rows + 1) * s->n;
    k->e = k->w + s->m;
    k->d = k->e + s->m;
    return ROB_OK;
}

static void clear_desk(desk *k)
{
    const rob_memory *memory = &k->s->memory;
    rob_priv_release(memory, k->gram);
    rob_priv_release(memory, k->t);
    rob_priv_release(memory, k->j);
    rob_priv_release(memory, k->h);
    rob_priv_release(memory, k->w);
    rob_priv_release(memory, k->v);
}

static void order_one_of_group(desk *k, rob_guess *g)
{
    static const int32_t dual[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };
    int64_t n = k->s->n;
    for (int norm = 0; norm < 3; norm++) {
        g->order1[norm] = 0;
        for (int64_t r = 0; r < k->rows; r++)
            g->order1[norm] =
                fmax(g->order1[norm], order_one(dual[norm], k->t[r], k->j + r * n, n));
    }
    if (k->rows == 1) return;
    for (int64_t a = 0; a < k->rows; a++)
        for (int64_t b = 0; b < k->rows; b++)
            k->gram[a * k->rows + b] = rob_priv_dot(n, k->j + a * n, k->j + b * n);
    g->order1[0] = rob_priv_halfspaces(k->gram, k->t, k->rows, k->weight);
    memset(g->d, 0, (size_t)n * sizeof *g->d);
    for (int64_t r = 0; r < k->rows; r++)
        for (int64_t i = 0; i < n; i++) g->d[i] -= k->weight[r] * k->j[r * n + i];
}

/* the larger; not known when either is not */
static double worse(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
}

static rob_status order_two_of_group(desk *k, rob_guess *g)
{
    rob_status status = ROB_OK;
    double *spare = k->j + k->rows * k->s->n;
    g->order2 = g->lower2 = g->upper2 = g->lower3 = g->upper3 = g->third = 0;
    for (int64_t r = 0; r < k->rows && status == ROB_OK; r++) {
        rob_guess row = { 0 };
        TRY(order_two(k, r, &row, k->rows == 1 ? g->d : spare));
        g->order2 = worse(g->order2, row.order2);
        g->lower2 = worse(g->lower2, row.lower2);
        g->upper2 = worse(g->upper2, row.upper2);
        g->lower3 = worse(g->lower3, row.lower3);
        g->upper3 = worse(g->upper3, row.upper3);
        g->third = worse(g->third, row.third);
    }
    if (k->rows > 1 && rob_priv_local_flat(k->s->local))
        g->order2 = g->lower2 = g->upper2 = g->lower3 = g->upper3 = g->order1[0];
done:
    return status;
}

rob_status rob_priv_guess(rob_site *s, int64_t first, int64_t next, bool second,
                          rob_guess *g)
{
    rob_status status = ROB_OK;
    desk k = { .s = s };
    TRY(make_desk(&k, s, next - first, second));
    k.first = first;
    rob_priv_site_place(s, s->c->x);
    for (int64_t r = 0; r < k.rows; r++) {
        k.t[r] = rob_priv_site_row(s, first + r);
        rob_priv_site_gradient(s, first + r, k.j + r * s->n);
    }
    order_one_of_group(&k, g);
    g->order2 = g->lower2 = g->upper2 = g->lower3 = g->upper3 = g->third = NAN;
    if (second) TRY(order_two_of_group(&k, g));
done:
    clear_desk(&k);
    return status;
}
