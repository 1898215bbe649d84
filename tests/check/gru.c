/* gru.c -- certificates of GRUs: no exact margin at 200 bits beats what was proved,
 * larger balls prove no more, and no attack ends inside a proved radius.
 *
 * Comparisons need no tolerance: truth is exact beside every difference looked at, and
 * points keep a factor 1 - 2^-40 inside the ball, more than the rounding of x + d and
 * of its norm.
 */
#include "check/harness.h"
#include "check/multiple.h"
#include "query/query.h"
#include <robust/attack.h>
#include <robust/bound.h>

#include <math.h>

typedef struct bench {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    double x[64];
    int64_t steps, features, reference;
} bench;

#define GOOD(b, call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error((b)->ctx))

static bench bench_open(int32_t layers, int32_t readout, int64_t steps, double size,
                        uint64_t seed, bool tied)
{
    bench b = { .steps = steps, .features = 2 };
    ck_assert_int_eq(rob_ctx_create(&b.ctx), ROB_OK);
    b.model =
        random_model(b.ctx, ROB_KIND_GRU, layers, readout, 2, 5, 3, size, seed, tied);
    rob_random r = rob_priv_random(seed, 9);
    for (int64_t i = 0; i < 2 * steps; i++) b.x[i] = rob_priv_normal(&r);
    GOOD(&b, rob_query_create(b.ctx, b.model, &b.query));
    GOOD(&b, rob_query_add(b.ctx, b.query, b.x, steps, -1));
    GOOD(&b, rob_priv_query_prepare(b.ctx, b.query));
    b.reference = b.query->cases[0].reference;
    return b;
}

static void bench_close(bench *b)
{
    rob_query_free(b->query);
    rob_model_free(b->model);
    rob_ctx_free(b->ctx);
}

static double proved(bench *b, const char *method, int32_t norm, double eps)
{
    rob_bound *bound;
    double lower = NAN;
    GOOD(b, rob_query_set_ball(b->ctx, b->query, norm, eps));
    GOOD(b, rob_bound_create(b->ctx, method, &bound));
    GOOD(b, rob_bound_margin(b->ctx, bound, b->query, &lower, 1));
    rob_bound_free(bound);
    ck_assert(!isnan(lower));
    return lower;
}

static double norm_of(int32_t norm, const double *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (norm == ROB_NORM_L2) sum += d[i] * d[i];
        else if (norm == ROB_NORM_L1) sum += fabs(d[i]);
        else sum = fmax(sum, fabs(d[i]));
    }
    return norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

/* Corners, single coordinates and random directions, on the sphere and within. */
static double seen(bench *b, int32_t norm, double eps, uint64_t seed)
{
    const int64_t n = b->steps * b->features;
    double p[64], least = exact_margin(b->model, b->x, b->steps, b->reference);
    for (int k = 0; k < 8; k++) {
        rob_random r = rob_priv_random(seed, (uint64_t)(100 + k));
        int64_t one = rob_priv_below(&r, n);
        for (int64_t i = 0; i < n; i++) {
            double z = rob_priv_normal(&r);
            p[i] = k < 3 ? (z < 0 ? -1 : 1) : k < 5 ? (i == one ? z : 0) : z;
        }
        double scale = eps * (1 - 0x1p-40) / norm_of(norm, p, n);
        if (k == 7) scale *= rob_priv_uniform(&r);
        for (int64_t i = 0; i < n; i++) p[i] = b->x[i] + scale * p[i];
        least = fmin(least, exact_margin(b->model, p, b->steps, b->reference));
    }
    return least;
}

static const int32_t NORMS[] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };
static const char *const METHODS[] = { "interval", "crown" };

/* _i: 0 to 11, layers and read-out and size of the weights. */
START_TEST(margins_hold_everywhere)
{
    static const double size[] = { 0.2, 0.8, 4 },
                        radius[] = { 0, 1e-6, 0.02, 0.3, 3, 1000 };
    bench b = bench_open(1 + _i % 2, _i / 2 % 2 ? ROB_READOUT_MEAN : ROB_READOUT_LAST,
                         5, size[_i / 4], (uint64_t)_i, false);
    for (int64_t n = 0; n < COUNT_OF(NORMS); n++)
        for (int64_t e = 0; e < COUNT_OF(radius); e++) {
            double truth = seen(&b, NORMS[n], radius[e], (uint64_t)_i);
            double interval = proved(&b, "interval", NORMS[n], radius[e]);
            double crown = proved(&b, "crown", NORMS[n], radius[e]);
            ck_assert_msg(crown <= truth && interval <= crown,
                          "norm %d radius %g: interval %.17g, crown %.17g, seen %.17g",
                          NORMS[n], radius[e], interval, crown, truth);
        }
    bench_close(&b);
}
END_TEST

START_TEST(a_larger_ball_proves_no_more)
{
    static const double radius[] = { 0, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 1, 5, 50 };
    bench b =
        bench_open(1 + _i % 2, ROB_READOUT_LAST, 8, 0.7, (uint64_t)(20 + _i), false);
    for (int64_t n = 0; n < COUNT_OF(NORMS); n++)
        for (int64_t m = 0; m < COUNT_OF(METHODS); m++) {
            double last = INFINITY;
            for (int64_t e = 0; e < COUNT_OF(radius); e++) {
                double now = proved(&b, METHODS[m], NORMS[n], radius[e]);
                ck_assert_msg(now <= last, "%s norm %d radius %g: %.17g after %.17g",
                              METHODS[m], NORMS[n], radius[e], now, last);
                last = now;
            }
        }
    bench_close(&b);
}
END_TEST

/* Sums of fewer than 16 terms of order one in 6 steps of 2 layers, amplified by less
 * than 6^3 along the way: 2^-52 x 200 x 1e4. */
START_TEST(a_point_is_proved_to_rounding)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        bench b = bench_open(2, ROB_READOUT_MEAN, 6, 0.8, seed, false);
        double truth = exact_margin(b.model, b.x, b.steps, b.reference);
        double lower = proved(&b, "crown", ROB_NORM_L2, 0);
        ck_assert(lower <= truth);
        ck_assert_double_le(truth - lower, 1e-9);
        bench_close(&b);
    }
}
END_TEST

/* L <= U: where an attack ended, the exact margin is not positive, and it is outside.
 */
START_TEST(attacks_end_outside_the_proved_radius)
{
    for (int64_t n = 0; n < COUNT_OF(NORMS); n++) {
        bench b = bench_open(1, ROB_READOUT_LAST, 6, 0.9, (uint64_t)(40 + _i), false);
        rob_attack *attack;
        rob_bound *bound;
        double lower = -1, upper = -1, point[64], d[64];
        GOOD(&b, rob_query_set_ball(b.ctx, b.query, NORMS[n], INFINITY));
        GOOD(&b, rob_attack_create(b.ctx, "auto", &attack));
        GOOD(&b, rob_bound_create(b.ctx, "crown", &bound));
        GOOD(&b, rob_attack_distance(b.ctx, attack, b.query, &upper, 1));
        GOOD(&b, rob_bound_radius(b.ctx, bound, b.query, &lower, 1));
        ck_assert_msg(lower <= upper, "proved %g, broken at %g", lower, upper);
        ck_assert_double_gt(lower, 0);
        if (isfinite(upper)) {
            GOOD(&b, rob_attack_get(b.ctx, attack, "point", 0, point, 64, NULL));
            for (int64_t i = 0; i < 12; i++) d[i] = point[i] - b.x[i];
            ck_assert_double_le(exact_margin(b.model, point, 6, b.reference), 0);
            ck_assert_double_ge(norm_of(NORMS[n], d, 12) * (1 + 0x1p-40), lower);
        }
        rob_attack_free(attack);
        rob_bound_free(bound);
        bench_close(&b);
    }
}
END_TEST

START_TEST(equal_logits_prove_nothing)
{
    bench b = bench_open(1, ROB_READOUT_LAST, 4, 0.5, 3, true);
    ck_assert_double_le(proved(&b, "crown", ROB_NORM_L2, 0), 0);
    ck_assert_double_le(proved(&b, "interval", ROB_NORM_L2, 0), 0);
    bench_close(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gru");
    TCase *c = tcase_create("gru");
    tcase_add_loop_test(c, margins_hold_everywhere, 0, 12);
    tcase_add_loop_test(c, a_larger_ball_proves_no_more, 0, 4);
    tcase_add_test(c, a_point_is_proved_to_rounding);
    tcase_add_loop_test(c, attacks_end_outside_the_proved_radius, 0, 3);
    tcase_add_test(c, equal_logits_prove_nothing);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
