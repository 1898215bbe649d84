/* regions.h -- random regions, and the definition of a region written out once more:
 * what a point has to obey, by plain sums over what was set. */
#ifndef ROB_TEST_REGIONS_H
#define ROB_TEST_REGIONS_H

#include "attacking.h"
#include "la/la.h"

enum { MODES = 3, WIDE = 128 };

/* What was set; n numbers each, D = 2 features. */
typedef struct given {
    int64_t steps, n, columns;
    uint8_t mask[WIDE];
    double scale[WIDE], low[WIDE], high[WIDE], budget[WIDE], e[WIDE * WIDE];
    double variation, difference;
    int64_t most;
    bool relative;
} given;

enum {
    WITH_MASK = 1,
    WITH_SCALE = 2,
    WITH_RELATIVE = 4,
    WITH_BOX = 8,
    WITH_BUDGET = 16,
    WITH_SUBSPACE = 32,
    WITH_BAND = 64,
    WITH_SMOOTH = 128,
    WITH_STEPS = 256
};

static void fine(rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static void draw_lists(given *g, const double *x, rob_random *r)
{
    for (int64_t k = 0; k < g->n; k++) {
        g->mask[k] = rob_priv_uniform(r) < 0.7;
        g->scale[k] = rob_priv_uniform(r) < 0.2 ? 0 : 3 * rob_priv_uniform(r);
        /* every fourth number sits on a wall */
        g->low[k] = x[k] - (k % 4 == 0 ? 0 : rob_priv_uniform(r));
        g->high[k] = x[k] + (k % 4 == 1 ? 0 : rob_priv_uniform(r));
        g->budget[k] = rob_priv_uniform(r) < 0.2 ? 0 : 0.5 * rob_priv_uniform(r);
    }
}

/* Set the parts of `with` for series i; g remembers them. */
static void set_region(int64_t i, int with, uint64_t seed, given *g)
{
    rob_random r = rob_priv_random(seed, 77);
    const rob_case *c = &query->cases[i];
    *g = (given){ .steps = c->steps, .n = c->steps * D };
    g->variation = g->difference = INFINITY;
    draw_lists(g, c->x, &r);
    /* a band with numbers held may lose rank, and coordinates their meaning */
    for (int64_t k = 0; (with & WITH_BAND) && k < g->n; k++) g->scale[k] += 0.1;
    if (with & WITH_MASK) fine(rob_query_set_mask(ctx, query, i, g->mask, g->n));
    if (with & WITH_SCALE) fine(rob_query_set_scale(ctx, query, i, g->scale, g->n));
    if (with & WITH_RELATIVE) fine(rob_query_set_relative(ctx, query, 1));
    if (with & WITH_BOX) fine(rob_query_set_box(ctx, query, i, g->low, g->high, g->n));
    if (with & WITH_BUDGET)
        fine(rob_query_set_budget(ctx, query, i, g->budget, g->steps));
    g->relative = (with & WITH_RELATIVE) != 0;
    if (with & WITH_SUBSPACE) {
        int64_t moving = 0;
        for (int64_t k = 0; k < g->n; k++)
            moving += (g->mask[k] || !(with & WITH_MASK))
                      && (g->scale[k] > 0 || !(with & WITH_SCALE));
        /* few enough to have full rank on what moves */
        g->columns = 1 + (int64_t)(fmin(4, (double)moving - 1) * rob_priv_uniform(&r));
        for (int64_t k = 0; k < g->n * g->columns; k++) g->e[k] = rob_priv_normal(&r);
        fine(rob_query_set_subspace(ctx, query, i, g->e, g->n, g->columns));
    } else if (with & WITH_BAND) {
        fine(rob_query_set_band_limit(ctx, query, MODES));
        g->columns = MODES * D;
        memcpy(g->e, query->cases[i].band->data,
               (size_t)(g->n * g->columns) * sizeof(double));
    }
    if (with & WITH_SMOOTH) {
        g->variation = 0.8;
        g->difference = 0.15;
        fine(rob_query_set_smoothness(ctx, query, g->variation, g->difference));
    }
    if (with & WITH_STEPS) {
        g->most = 2;
        fine(rob_query_set_steps(ctx, query, g->most));
    }
    if (!(with & WITH_MASK)) memset(g->mask, 1, sizeof g->mask);
    for (int64_t k = 0; k < g->n; k++) {
        if (!(with & WITH_SCALE)) g->scale[k] = g->relative ? fabs(c->x[k]) : 1;
        if (!g->mask[k]) g->scale[k] = 0;
        if (!(with & WITH_BOX)) g->low[k] = -INFINITY, g->high[k] = INFINITY;
        if (!(with & WITH_BUDGET)) g->budget[k] = INFINITY;
    }
}

/* Least squares: u of d = S E u; the residual is what d has outside. */
static double solve_coordinates(const given *g, const double *d, double *u)
{
    int64_t m = g->columns;
    double a[WIDE * 8], *normal = a, residual = 0;
    for (int64_t p = 0; p < m; p++) {
        u[p] = 0;
        for (int64_t k = 0; k < g->n; k++) u[p] += g->scale[k] * g->e[k * m + p] * d[k];
        for (int64_t q = 0; q < m; q++) {
            normal[p * m + q] = 0;
            for (int64_t k = 0; k < g->n; k++)
                normal[p * m + q] += g->scale[k] * g->scale[k] * g->e[k * m + p]
                                     * g->e[k * m + q];
        }
    }
    fine(rob_priv_la_solve(&ctx->memory, m, normal, u));
    for (int64_t k = 0; k < g->n; k++) {
        double w = 0;
        for (int64_t p = 0; p < m; p++) w += g->e[k * m + p] * u[p];
        residual = fmax(residual, fabs(d[k] - g->scale[k] * w));
    }
    return residual;
}

/* 64 double roundings of sums of some ten numbers of order one */
static const double hair = 1e-12;

static void check_rough(const given *g, const double *d)
{
    for (int64_t j = 0; j < D; j++) {
        double sum = 0;
        for (int64_t t = 1; t < g->steps; t++) {
            double jump = fabs(d[t * D + j] - d[(t - 1) * D + j]);
            ck_assert_double_le(jump, g->difference * (1 + hair) + hair);
            sum += jump;
        }
        ck_assert_double_le(sum, g->variation * (1 + hair) + hair);
    }
}

/* The point is in the region; returns the norm of its coordinates. */
static inline double check_inside(const given *g, int32_t norm, const double *x,
                           const double *p)
{
    double d[WIDE], w[WIDE], u[WIDE];
    int64_t moved = 0;
    for (int64_t k = 0; k < g->n; k++) {
        d[k] = p[k] - x[k];
        ck_assert_double_ge(p[k], g->low[k]);
        ck_assert_double_le(p[k], g->high[k]);
        if (g->scale[k] == 0) ck_assert_double_eq(d[k], 0);
        w[k] = d[k] == 0 ? 0 : d[k] / g->scale[k];
    }
    if (g->columns) {
        double out = solve_coordinates(g, d, u);
        ck_assert_double_le(out, 1e-11);
        for (int64_t k = 0; k < g->n; k++) {
            w[k] = 0;
            for (int64_t q = 0; q < g->columns; q++)
                w[k] += g->e[k * g->columns + q] * u[q];
        }
    }
    for (int64_t t = 0; t < g->steps; t++) {
        ck_assert_double_le(rob_priv_norm(norm, w + t * D, D),
                            g->budget[t] * (1 + 1e-9) + 1e-10);
        moved += rob_priv_norm(ROB_NORM_LINF, d + t * D, D) > 0;
    }
    check_rough(g, d);
    if (g->most) ck_assert_int_le(moved, g->most);
    return g->columns ? rob_priv_norm(norm, u, g->columns)
                      : rob_priv_norm(norm, w, g->n);
}

#endif
