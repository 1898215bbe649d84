/* geometry.h -- scenes for the geometry suites: models whose margins are known in
 * closed form, written straight into the graph.
 *
 * Quadratic two-class models, x (T, D) flattened to d numbers:
 *     f_0 = t0 + J.y + sum_i lambda_i y_i^2/2,   f_1 = 0,   y = x - a,
 * so the margin of class 0 is that quadric and everything about it is elementary.
 */
#ifndef ROB_TEST_GEOMETRY_H
#define ROB_TEST_GEOMETRY_H

#include "models.h"
#include "op/build.h"
#include "query/query.h"

#include <math.h>

typedef struct quadratic {
    int64_t steps, features;
    double t0;
    double a[64], j[64], lambda[64]; /* (T, D) */
    const rob_memory *memory;
} quadratic;

/* constant (T, 1, D) */
static inline rob_id series_constant(rob_graph *g, const quadratic *k, const double *v)
{
    rob_tensor *t;
    rob_shape shape = rob_priv_shape3(k->steps, 1, k->features);
    if (rob_priv_tensor_create(rob_priv_graph_memory(g), ROB_F64, shape, &t) < ROB_OK)
        return rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory");
    memcpy(t->data, v, (size_t)(k->steps * k->features) * sizeof *v);
    rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

static inline rob_id emit_quadratic(const rob_model *model, rob_graph *g, rob_id x,
                                    rob_id mask)
{
    const quadratic *k = model->user;
    int64_t rows = rob_priv_shape(g, x).dim[1];
    (void)mask;
    rob_id y = g_sub(g, x, series_constant(g, k, k->a));
    rob_id bend = g_mul(g, g_affine(g, g_unary(g, "square", y), 0.5, 0),
                        series_constant(g, k, k->lambda));
    rob_id each = g_add(g, bend, g_mul(g, y, series_constant(g, k, k->j)));
    rob_id by_row = g_sum_to(g, each, rob_priv_shape3(1, rows, 1));
    rob_id first =
        g_affine(g, g_reshape(g, by_row, rob_priv_shape2(rows, 1)), 1, k->t0);
    rob_id second = rob_priv_fill(g, rob_priv_shape2(rows, 1), 0);
    const rob_id both[2] = { first, second };
    return g_concat(g, both, 2, 1);
}

static inline rob_model *quadratic_model(rob_ctx *ctx, const quadratic *k)
{
    rob_model *m;
    ck_assert_int_eq(rob_priv_model_custom(ctx, k->features, 2, emit_quadratic, k, &m),
                     ROB_OK);
    return m;
}

/* f_0 = sign (|x - a|^2 - R^2)/scale: a sphere of radius R around a */
static inline quadratic sphere(int64_t steps, int64_t features, double radius,
                               double sign)
{
    quadratic k = { .steps = steps, .features = features };
    for (int64_t i = 0; i < steps * features; i++) k.lambda[i] = 2 * sign;
    k.t0 = -sign * radius * radius;
    return k;
}

static inline rob_query *query_of(rob_ctx *ctx, const rob_model *m, const double *x,
                                  int64_t steps)
{
    rob_query *q;
    ck_assert_int_eq(rob_query_create(ctx, m, &q), ROB_OK);
    ck_assert_msg(rob_query_add(ctx, q, x, steps, -1) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return q;
}

static inline double length(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

#endif
