/* attack_nearest.c -- minimum-norm searches by a rule: closed forms, checked answers,
 * starts, patience, bits, options, memory. */
#include "harness.h"
#include "geometry.h"
#include "attacking.h"

#include "attack/attack.h"

/* Every method in every norm it searches in; miss: the share of an affine classifier's
 * distance it may lose at its default steps, beyond overshoot and noise. In L1 the nearest
 * point moves one number alone, which steps along the whole gradient reach slowly; ead's
 * optimum is that of another, mixed norm. */
static const struct entry {
    const char *method;
    int32_t norm, dual;
    double miss;
} entries[] = {
    { "ddn", ROB_NORM_L2, ROB_NORM_L2, 1e-3 },
    { "fmn", ROB_NORM_L2, ROB_NORM_L2, 1e-3 },
    { "fmn", ROB_NORM_LINF, ROB_NORM_L1, 0.02 },
    { "fmn", ROB_NORM_L1, ROB_NORM_LINF, 0.02 },
    { "cw", ROB_NORM_L2, ROB_NORM_L2, 2e-2 },
    { "ead", ROB_NORM_L1, ROB_NORM_LINF, 0.6 },
    { "fab", ROB_NORM_L2, ROB_NORM_L2, 1e-3 },
    { "fab", ROB_NORM_LINF, ROB_NORM_L1, 1e-3 },
    { "fab", ROB_NORM_L1, ROB_NORM_LINF, 1e-3 },
};
enum { ENTRIES = COUNT_OF(entries) };

static void fine(rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static double named(const char *what, int64_t i)
{
    double v;
    fine(rob_attack_get(ctx, attack, what, i, &v, 1, NULL));
    return v;
}

/* least margin over ||w||_q of the affine classifier over the classes other than c */
static double closed_form(int64_t i, int32_t dual, int64_t target, const uint8_t *mask)
{
    double f[8], w[SIZE], least = INFINITY;
    fine(rob_model_predict(ctx, model, query->cases[i].x, T, f, 8));
    int64_t outputs = model->recipe.outputs, c = rob_priv_argmax(f, outputs);
    for (int64_t k = 0; k < outputs; k++) {
        if (k == c || (target >= 0 && k != target)) continue;
        affine_row(model, c, k, T, w);
        for (int e = 0; mask && e < SIZE; e++) w[e] *= mask[e];
        least = fmin(least, (f[c] - f[k]) / rob_priv_norm(dual, w, SIZE));
    }
    return least;
}

/* float32 may cost F so much (see attack.c), over the least slope of these nets */
static const double noise = 2 * 32 * 0x1p-24 * 100 / 0.05;

START_TEST(affine_distances_are_found)
{
    const struct entry *e = &entries[_i / 2];
    uint8_t mask[SIZE] = { 0, 1, 1, 0, 1, 0, 1, 1, 0, 1 };
    double upper[N];
    model = affine_model(ctx, D, 2);
    ask(N, T, e->norm, INFINITY);
    if (_i % 2) fine(rob_query_set_mask(ctx, query, -1, mask, SIZE));
    by(e->method);
    distances(upper);
    check_points(upper, INFINITY);
    for (int i = 0; i < N; i++) {
        double exact = closed_form(i, e->dual, -1, _i % 2 ? mask : NULL);
        /* F64 of an affine f is exact to 100 * 64 eps, over the least slope */
        ck_assert_double_ge(upper[i], exact - 100 * 64 * 2.3e-16 / 0.05);
        ck_assert_double_le(upper[i], exact * (1 + 2e-4 + e->miss) + noise);
    }
}
END_TEST

/* Untargeted the nearest of three classes, targeted the one asked for. */
START_TEST(classes_and_targets)
{
    const struct entry *e = &entries[_i];
    double any[N], aimed[N], best[N];
    model = affine_model(ctx, D, 3);
    ask(N, T, e->norm, INFINITY);
    by(e->method);
    fine(rob_attack_set(ctx, attack, "restarts", 3));
    distances(any);
    check_points(any, INFINITY);
    for (int i = 0; i < N; i++) best[i] = INFINITY;
    for (int64_t to = 1; to < 3; to++) {
        for (int64_t i = 0; i < N; i++) {
            int64_t c = (int64_t)number("prediction", i);
            fine(rob_query_set_target(ctx, query, i, (c + to) % 3));
        }
        distances(aimed);
        check_points(aimed, INFINITY);
        for (int i = 0; i < N; i++) {
            ck_assert_double_ge(aimed[i],
                                closed_form(i, e->dual, -1, NULL) * (1 - 1e-9) - 1e-11);
            best[i] = fmin(best[i], aimed[i]);
        }
    }
    /* the nearest class is among the two targets; searches differ by what they miss */
    for (int i = 0; i < N; i++) {
        ck_assert_double_ge(any[i], closed_form(i, e->dual, -1, NULL) * (1 - 1e-9) - 1e-11);
        ck_assert_double_le(any[i], 1.3 * best[i] + noise);
    }
}
END_TEST

static const int32_t kinds[3] = { ROB_KIND_RNN_TANH, ROB_KIND_GRU, ROB_KIND_LSTM };

START_TEST(points_hold_within_mask_and_radius)
{
    const struct entry *e = &entries[_i / 3];
    double upper[N], bound[N], margin[N];
    int64_t hits = 0;
    uint8_t mask[24];
    model = test_model(ctx, kinds[_i % 3], D, 8, 3, ROB_READOUT_MEAN, ROB_F32, 0.8);
    ask(N, 12, e->norm, INFINITY);
    for (int k = 0; k < 24; k++) mask[k] = k % 3 != 0;
    fine(rob_query_set_mask(ctx, query, 2, mask, 24));
    by(e->method);
    distances(upper);
    check_points(upper, INFINITY);
    for (int i = 0; i < N; i++) ck_assert(isfinite(upper[i]));
    double cap = 0;
    for (int i = 0; i < N; i++) cap = fmax(cap, 0.9 * upper[i]);
    fine(rob_query_set_ball(ctx, query, e->norm, cap));
    distances(bound);
    check_points(bound, cap);
    fine(rob_attack_margin(ctx, attack, query, margin, N));
    for (int i = 0; i < N; i++) {
        double d[24];
        fine(rob_attack_get(ctx, attack, "perturbation", i, d, 24, NULL));
        ck_assert_double_le(rob_priv_norm(e->norm, d, 24), cap);
        ck_assert_double_le(margin[i], number("margin", i));
        ck_assert_int_eq(named("found", i) == 1, margin[i] <= 0);
        hits += margin[i] <= 0;
    }
    ck_assert_int_ge(hits, 1);
}
END_TEST

/* More starts keep the first one's answer, up to the ray of the last line search;
 * patience only spares calls. */
START_TEST(starts_and_patience)
{
    const struct entry *e = &entries[_i];
    double one[N], many[N], calls = 0, spared = 0;
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 3, ROB_READOUT_LAST, ROB_F32, 1.2);
    ask(N, 16, e->norm, INFINITY);
    by(e->method);
    fine(rob_attack_set(ctx, attack, "steps", 100));
    distances(one);
    double most = strcmp(e->method, "fab") == 0 ? 200 : 100; /* its two other classes */
    for (int i = 0; i < N; i++) ck_assert_double_le(calls = named("calls", i), most);
    fine(rob_attack_set(ctx, attack, "patience", 10));
    distances(many);
    for (int i = 0; i < N; i++) spared += most - named("calls", i);
    ck_assert_double_gt(spared, 0);
    fine(rob_attack_set(ctx, attack, "patience", 0));
    fine(rob_attack_set(ctx, attack, "restarts", 4));
    distances(many);
    for (int i = 0; i < N; i++) {
        ck_assert_double_le(many[i], one[i] * (1 + 3e-4));
        ck_assert_double_le(named("calls", i), 4 * most + 1);
        ck_assert_double_gt(named("calls", i), calls);
    }
}
END_TEST

/* F = 1 - d_0 - 2 d_1^2: the gradient at x, and wherever d_1 = 0, points to (1, 0), a saddle
 * of the distance. Along the eigenvector of -4, either way, lies the nearest point, at
 * sqrt(7)/4. */
START_TEST(curvature_shows_the_way)
{
    const double x[4] = { 0 };
    quadratic k = { .steps = 2, .features = 2, .t0 = 1, .j = { -1 }, .lambda = { 0, -4, 1, 1 } };
    const struct entry *e = &entries[_i];
    double upper;
    if (e->norm != ROB_NORM_L2) return;
    model = quadratic_model(ctx, &k);
    query = query_of(ctx, model, x, 2);
    fine(rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY));
    by(e->method);
    distances(&upper);
    ck_assert_double_eq_tol(upper, 1, 3e-3);
    fine(rob_attack_set(ctx, attack, "start", 1));
    fine(rob_attack_set(ctx, attack, "restarts", 3));
    distances(&upper);
    ck_assert_double_ge(upper, sqrt(7) / 4 * (1 - 1e-6));
    ck_assert_double_le(upper, sqrt(7) / 4 * 1.02);
    /* flat models have no curvature: random starts instead */
    rob_query_free(query);
    query = NULL;
    rob_model_free(model);
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, INFINITY);
    double all[N];
    distances(all);
    check_points(all, INFINITY);
}
END_TEST

/* A series that already fails is never touched. */
START_TEST(wrong_series_cost_nothing)
{
    double upper[N];
    const struct entry *e = &entries[_i];
    double x[SIZE];
    int64_t c[N];
    model = affine_model(ctx, D, 2);
    ask(N, T, e->norm, INFINITY);
    for (int64_t i = 0; i < N; i++) c[i] = (int64_t)number("prediction", i);
    for (int64_t i = 0; i < N; i++) {
        test_series(x, SIZE, (uint64_t)i);
        fine(rob_query_replace(ctx, query, i, x, T, i == 1 ? 1 - c[i] : c[i]));
    }
    fine(rob_query_set_reference(ctx, query, ROB_REFERENCE_LABEL));
    by(e->method);
    distances(upper);
    ck_assert_double_eq(upper[1], 0);
    ck_assert_double_eq(named("calls", 1), 0);
    ck_assert_double_gt(named("calls", 0), 0);
}
END_TEST

/* Large data and tiny data: the same answer in other units. */
START_TEST(any_range_of_data)
{
    const struct entry *e = &entries[_i];
    double plain[N], scaled[N], x[SIZE];
    model = affine_model(ctx, D, 2);
    ask(N, T, e->norm, INFINITY);
    by(e->method);
    distances(plain);
    for (int power = -12; power <= 12; power += 24) {
        double unit = ldexp(1, power);
        rob_query_free(query);
        model->recipe.input_scale = unit;
        fine(rob_query_create(ctx, model, &query));
        for (int i = 0; i < N; i++) {
            test_series(x, SIZE, (uint64_t)i);
            for (int k = 0; k < SIZE; k++) x[k] *= unit;
            fine(rob_query_add(ctx, query, x, T, -1));
        }
        fine(rob_query_set_ball(ctx, query, e->norm, INFINITY));
        fine(rob_query_set_units(ctx, query, ROB_UNITS_DATA));
        distances(scaled);
        /* powers of two: exact up to the rounding of tiny numbers */
        for (int i = 0; i < N; i++)
            ck_assert_double_eq_tol(scaled[i] / unit, plain[i], 1e-5 * plain[i]);
    }
}
END_TEST

START_TEST(threads_and_neighbours_change_no_bit)
{
    enum { MANY = 30 };
    double all[MANY], again[MANY], one, x[400];
    const struct entry *e = &entries[_i];
    model = test_model(ctx, ROB_KIND_LSTM, D, 6, 2, ROB_READOUT_LAST, ROB_F32, 0.9);
    for (int64_t only = -1; only < MANY; only += only < 0 ? 8 : 7) {
        rob_query_free(query);
        fine(rob_query_create(ctx, model, &query));
        for (int64_t i = 0; i < MANY; i++) {
            test_series(x, 12 * D, (uint64_t)i);
            if (only < 0 || i == only)
                fine(rob_query_add(ctx, query, x, 1 + i % 12, -1));
        }
        fine(rob_query_set_ball(ctx, query, e->norm, INFINITY));
        by(e->method);
        fine(rob_attack_set(ctx, attack, "steps", 60));
        if (only >= 0) {
            distances(&one);
            ck_assert_mem_eq(&one, &all[only], sizeof one);
            continue;
        }
        distances(all);
        fine(rob_ctx_set_threads(ctx, 2));
        distances(again);
        fine(rob_ctx_set_threads(ctx, 1));
        ck_assert_mem_eq(all, again, sizeof all);
    }
}
END_TEST

/* ---- options, memory ------------------------------------------------------------- */

START_TEST(norms_and_options_are_named)
{
    static const int32_t norms[4] = { ROB_NORM_L0, ROB_NORM_L1, ROB_NORM_L2,
                                      ROB_NORM_LINF };
    static const char *const names[4] = { "ROB_NORM_L0", "ROB_NORM_L1", "ROB_NORM_L2",
                                          "ROB_NORM_LINF" };
    const char *method = entries[_i].method;
    double out[N] = { 7 };
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, INFINITY);
    by(method);
    for (int k = 0; k < 4; k++) {
        fine(rob_query_set_ball(ctx, query, norms[k], INFINITY));
        rob_status status = rob_attack_distance(ctx, attack, query, out, N);
        if (rob_priv_method_takes(attack->method, norms[k])) {
            ck_assert_int_eq(status, ROB_OK);
            continue;
        }
        ck_assert_int_eq(status, ROB_EUNSUPPORTED);
        ck_assert(strstr(rob_ctx_error(ctx), names[k]));
        ck_assert(strstr(rob_ctx_error(ctx), method));
    }
    ck_assert_int_eq(rob_attack_set(ctx, attack, "steps", 0), ROB_EDOMAIN);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "patience", -1), ROB_EDOMAIN);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "restarts", NAN), ROB_EDOMAIN);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "radii", 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, out, N), ROB_EARGUMENT);
}
END_TEST

static const struct entry *lived;

static rob_status whole(rob_ctx *own, rob_model *m, double *upper)
{
    const struct entry *e = lived;
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    rob_attack *a = NULL;
    double x[2 * SIZE];
    test_series(x, 2 * SIZE, 1);
    TRY(rob_query_create(own, m, &q));
    TRY(rob_query_add(own, q, x, T, -1));
    TRY(rob_query_add(own, q, x + SIZE, T - 1, -1));
    TRY(rob_query_set_ball(own, q, e->norm, INFINITY));
    TRY(rob_attack_create(own, e->method, &a));
    TRY(rob_attack_set(own, a, "steps", 4));
    TRY(rob_attack_set(own, a, "restarts", 2));
    TRY(rob_attack_set(own, a, "start", 1));
    TRY(rob_attack_distance(own, a, q, upper, 2));
done:
    rob_attack_free(a);
    rob_query_free(q);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    lived = &entries[_i];
    every_allocation_fails_once(whole, 40);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attack nearest");
    TCase *c = tcase_create("minimum norm");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, affine_distances_are_found, 0, 2 * ENTRIES);
    tcase_add_loop_test(c, classes_and_targets, 0, ENTRIES);
    tcase_add_loop_test(c, points_hold_within_mask_and_radius, 0, 3 * ENTRIES);
    tcase_add_loop_test(c, starts_and_patience, 0, ENTRIES);
    tcase_add_loop_test(c, curvature_shows_the_way, 0, ENTRIES);
    tcase_add_loop_test(c, wrong_series_cost_nothing, 0, ENTRIES);
    tcase_add_loop_test(c, any_range_of_data, 0, ENTRIES);
    tcase_add_loop_test(c, threads_and_neighbours_change_no_bit, 0, ENTRIES);
    tcase_add_loop_test(c, norms_and_options_are_named, 0, ENTRIES);
    tcase_add_loop_test(c, every_allocation_may_fail, 0, ENTRIES);
    suite_add_tcase(s, c);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
