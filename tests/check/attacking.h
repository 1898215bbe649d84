/* attacking.h -- the fixture of the suites of attacks: a query of affine nets, its attack. */
#ifndef ROB_ATTACKING_H
#define ROB_ATTACKING_H

#include "harness.h"
#include "models.h"

#include "query/query.h"

#include <robust/attack.h>
#include <math.h>

enum { T = 5, D = 2, N = 6, SIZE = T * D };

static rob_ctx *ctx;
static rob_model *model;
static rob_query *query;
static rob_attack *attack;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = NULL;
    query = NULL;
    attack = NULL;
}

static void stop(void)
{
    rob_attack_free(attack);
    rob_query_free(query);
    rob_model_free(model);
    rob_ctx_free(ctx);
}

static inline void ask(int64_t series, int64_t steps, int32_t norm, double radius)
{
    double x[400];
    rob_query_free(query);
    ck_assert_int_eq(rob_query_create(ctx, model, &query), ROB_OK);
    for (int64_t i = 0; i < series; i++) {
        test_series(x, steps * model->recipe.features, (uint64_t)i);
        ck_assert_int_eq(rob_query_add(ctx, query, x, steps, -1), ROB_OK);
    }
    ck_assert_int_eq(rob_query_set_ball(ctx, query, norm, radius), ROB_OK);
}

static inline void by(const char *method)
{
    rob_attack_free(attack);
    ck_assert_int_eq(rob_attack_create(ctx, method, &attack), ROB_OK);
}

static inline void distances(double *upper)
{
    rob_status status =
        rob_attack_distance(ctx, attack, query, upper, rob_query_count(query));
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static inline double number(const char *what, int64_t i)
{
    double v;
    ck_assert_msg(rob_query_get(ctx, query, what, i, &v, 1, NULL) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return v;
}

/* ---- what is reported holds: fails in both precisions, within its norm ------------------- */

static inline double margin_of(int32_t dtype, int64_t i, const double *point, int64_t steps)
{
    rob_evaluator *e;
    double f[8];
    ck_assert_int_eq(
        rob_priv_evaluator_create(ctx, model, dtype, steps, false, false, &e), ROB_OK);
    ck_assert_int_eq(rob_priv_evaluate(ctx, e, 1, &point, &steps, f), ROB_OK);
    rob_priv_evaluator_free(e);
    return rob_priv_spec_margin(&query->cases[i].spec, f, NULL);
}

static inline void check_points(const double *upper, double cap)
{
    for (int64_t i = 0; i < rob_query_count(query); i++) {
        double x[400], p[400], d[400], found;
        int64_t n;
        ck_assert_int_eq(rob_query_get(ctx, query, "x", i, x, 400, &n), ROB_OK);
        ck_assert_int_eq(rob_attack_get(ctx, attack, "point", i, p, 400, &n), ROB_OK);
        ck_assert_int_eq(rob_attack_get(ctx, attack, "found", i, &found, 1, NULL),
                         ROB_OK);
        ck_assert_int_eq(found == 1, isfinite(upper[i]));
        if (found == 0) continue;
        const uint8_t *mask = rob_priv_query_mask_of(query, i);
        for (int64_t k = 0; k < n; k++) {
            d[k] = p[k] - x[k];
            if (mask && !mask[k]) ck_assert_mem_eq(&p[k], &x[k], sizeof x[k]);
            ck_assert(p[k] == x[k] || p[k] == (double)(float)p[k]);
        }
        int64_t steps = n / model->recipe.features;
        ck_assert_double_le(margin_of(ROB_F64, i, p, steps), 0);
        ck_assert_double_le(margin_of(ROB_F32, i, p, steps), 0);
        ck_assert_double_eq(upper[i], rob_priv_norm(query->norm, d, n)
                                          * rob_priv_query_unit(query));
        ck_assert_double_le(upper[i], cap);
    }
}

/* ---- memory ------------------------------------------------------------------------------ */

/* A life of calls from query to answers (2) about an affine net. */
typedef rob_status attack_life(rob_ctx *own, rob_model *m, double *out);

/* It is lived with 0, 1, 2, ... allocations until it succeeds, which takes more than `least`:
 * every other end is ROB_EMEMORY, leaves the answers alone and leaks nothing. */
static inline void every_allocation_fails_once(attack_life *life, int64_t least)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own), ROB_OK);
    rob_model *m = affine_model(own, D, 2);
    int64_t live = c.live, n = 0;
    rob_status status;
    do {
        double out[2] = { -5, -5 };
        c.left = n++;
        status = life(own, m, out);
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        if (status != ROB_OK) ck_assert(out[0] == -5 && out[1] == -5);
        ck_assert_int_eq(c.live, live);
    } while (status != ROB_OK);
    ck_assert_int_gt(n, least);
    c.left = -1;
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}

#endif
