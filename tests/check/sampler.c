/* sampler.c -- probabilities of failing of models: caps, masks, units of work, threads,
 * cancel.
 *
 * The affine models fail as caps say. Counting is judged by its own exact interval at
 * confidence 0.9999: a cell raises a false alarm with probability 1e-4; splitting by
 * its interval stretched by sqrt(2), as if the moves left half the particles' worth.
 * Seeds are fixed, so a test passes always or never. The estimators themselves:
 * splitting.c.
 */
#include "check/harness.h"
#include "query/query.h"

#include "check/models.h"
#include "sample/closed.h"

#include <robust.h>

#include <math.h>

static rob_ctx *ctx;
static rob_model *model;
static rob_query *query;
static rob_sampler *sampler;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = NULL;
    query = NULL;
    sampler = NULL;
}

static void stop(void)
{
    rob_sampler_free(sampler);
    rob_query_free(query);
    rob_model_free(model);
    rob_ctx_free(ctx);
}

/* ---- models ---------------------------------------------------------------------- */

enum { T = 4, D = 3, SIZE = T * D, RADII = 4, SAMPLES = 12000 };

static void ask(int64_t series, int64_t outputs)
{
    double x[SIZE];
    model = affine_model(ctx, D, outputs);
    ck_assert_int_eq(rob_query_create(ctx, model, &query), ROB_OK);
    for (int64_t i = 0; i < series; i++) {
        test_series(x, SIZE, (uint64_t)i + 1);
        ck_assert_int_eq(rob_query_add(ctx, query, x, T, -1), ROB_OK);
    }
    ck_assert_int_eq(rob_priv_query_prepare(ctx, query), ROB_OK);
}

static void by(const char *method, double confidence)
{
    rob_sampler_free(sampler);
    ck_assert_int_eq(rob_sampler_create(ctx, method, &sampler), ROB_OK);
    ck_assert_int_eq(rob_sampler_set(ctx, sampler, "confidence", confidence), ROB_OK);
    if (strcmp(method, "split") != 0)
        ck_assert_int_eq(rob_sampler_set(ctx, sampler, "samples", SAMPLES), ROB_OK);
    if (strcmp(method, "mc") == 0) return;
    ck_assert_int_eq(rob_sampler_set(ctx, sampler, "particles", 96), ROB_OK);
    ck_assert_int_eq(rob_sampler_set(ctx, sampler, "moves", 10), ROB_OK);
}

/* distance of series i to where class `other` takes over, moving only where mask
 * says */
static double distance_to(int64_t i, int64_t other, const uint8_t *mask)
{
    double f[8], w[SIZE], sum = 0;
    const rob_case *c = &query->cases[i];
    ck_assert_int_eq(rob_priv_query_prepare(ctx, query), ROB_OK);
    ck_assert_int_eq(rob_model_predict(ctx, model, c->x, T, f, 8), ROB_OK);
    affine_row(model, c->reference, other, T, w);
    for (int k = 0; k < SIZE; k++) sum += !mask || mask[k] ? w[k] * w[k] : 0;
    return (f[c->reference] - f[other]) / sqrt(sum);
}

/* Affine margins in float64 carry 64 x 100 eps, in float32 about 1e-5 of r: as much of
 * a change of r moves log p by at most d (r/rho)^2 1e-5, far below any width here. */
START_TEST(affine_models_fail_as_caps_say)
{
    double got[3 * 2 * RADII], r[2], radius[RADII];
    ask(2, 2);
    by(_i % 2 ? "split" : "mc", 0.9999);
    ck_assert_int_eq(rob_sampler_set(ctx, sampler, "precision", _i < 2 ? 64 : 32),
                     ROB_OK);
    for (int i = 0; i < 2; i++)
        r[i] = distance_to(i, 1 - query->cases[i].reference, NULL);
    for (int k = 0; k < RADII; k++) radius[k] = r[0] * (1.3 + k);
    ck_assert_int_eq(
        rob_sampler_curve(ctx, sampler, query, radius, RADII, got, 6 * RADII), ROB_OK);
    for (int k = 0; k < 2 * RADII; k++) {
        double exact = rob_priv_flat_log(r[k / RADII], radius[k % RADII], SIZE);
        double *cell = got + 3 * k, slack = 0;
        if (exact == -INFINITY) {
            ck_assert(isinf(cell[0]));
            continue;
        }
        if (_i % 2) slack = 0.42 * (cell[2] - cell[1]);     /* sqrt(2) - 1 */
        ck_assert_msg(cell[1] - slack <= exact && exact <= cell[2] + slack,
                      "%g outside %g to %g", exact, cell[1], cell[2]);
    }
}
END_TEST

START_TEST(several_classes_are_a_union)
{
    double got[3 * RADII], radius[RADII], part[3], nearest = INFINITY;
    ask(1, 4);
    by("auto", 0.9999);
    for (int64_t k = 0, n = 0; k < 4; k++) {
        if (k == query->cases[0].reference) continue;
        part[n] = distance_to(0, k, NULL);
        nearest = fmin(nearest, part[n++]);
    }
    for (int k = 0; k < RADII; k++) radius[k] = nearest * (1.5 + k);
    ck_assert_int_eq(
        rob_sampler_curve(ctx, sampler, query, radius, RADII, got, 3 * RADII), ROB_OK);
    for (int k = 0; k < RADII; k++) {
        double each[3], low = -INFINITY;
        for (int n = 0; n < 3; n++) {
            each[n] = rob_priv_flat_log(part[n], radius[k], SIZE);
            low = fmax(low, each[n]);
        }
        double slack = 0.42 * (got[3 * k + 2] - got[3 * k + 1]);
        ck_assert(got[3 * k + 2] + slack >= low);
        ck_assert(got[3 * k + 1] - slack <= rob_priv_union_log(each, 3));
    }
}
END_TEST

START_TEST(masked_numbers_do_not_move)
{
    uint8_t mask[SIZE] = {0};
    double got[3], radius;
    ask(1, 2);
    by("mc", 0.9999);
    for (int k = 3; k < 9; k++) mask[k] = 1;
    ck_assert_int_eq(rob_query_set_mask(ctx, query, -1, mask, SIZE), ROB_OK);
    ck_assert_int_eq(rob_priv_query_prepare(ctx, query), ROB_OK);
    int64_t other = 1 - query->cases[0].reference;
    radius = 2 * distance_to(0, other, mask);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, &radius, 1, got, 3),
                     ROB_OK);
    double exact = rob_priv_cap_log(0.5, 6);
    ck_assert(got[1] <= exact && exact <= got[2]);
    /* one number left: exactly a half; none: never */
    memset(mask, 0, sizeof mask);
    mask[SIZE - 1] = 1;
    ck_assert_int_eq(rob_query_set_mask(ctx, query, 0, mask, SIZE), ROB_OK);
    ck_assert_int_eq(rob_priv_query_prepare(ctx, query), ROB_OK);
    radius = 1.01 * distance_to(0, other, mask);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, &radius, 1, got, 3),
                     ROB_OK);
    ck_assert(got[0] == log(0.5) && got[1] == got[0] && got[2] == got[0]);
    mask[SIZE - 1] = 0;
    ck_assert_int_eq(rob_query_set_mask(ctx, query, 0, mask, SIZE), ROB_OK);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, &radius, 1, got, 3),
                     ROB_OK);
    ck_assert(got[0] == -INFINITY && got[2] == -INFINITY);
}
END_TEST

/* Powers of two scale without rounding: x, weights of the first layer and radius all
 * do. */
START_TEST(radii_count_in_the_units_asked_for)
{
    double x[SIZE], got[2][6];
    ask(1, 2);
    by("mc", 0.9999);
    double r = distance_to(0, 1 - query->cases[0].reference, NULL);
    double radius[2][2] = {{1.5 * r, 3 * r}, {6 * r, 12 * r}};
    rob_model *scaled = affine_model(ctx, D, 2);
    scaled->recipe.input_scale = -4;
    test_series(x, SIZE, 1);
    for (int k = 0; k < SIZE; k++) x[k] *= -4;
    rob_query *other;
    ck_assert_int_eq(rob_query_create(ctx, scaled, &other), ROB_OK);
    ck_assert_int_eq(rob_query_add(ctx, other, x, T, -1), ROB_OK);
    for (int units = 0; units < 2; units++) {
        int32_t which = units ? ROB_UNITS_DATA : ROB_UNITS_MODEL;
        ck_assert_int_eq(rob_query_set_units(ctx, other, which), ROB_OK);
        ck_assert_int_eq(
            rob_sampler_curve(ctx, sampler, other, radius[units], 2, got[units], 6),
            ROB_OK);
    }
    ck_assert(got[0][0] < got[0][3]);
    ck_assert_int_eq(memcmp(got[0], got[1], sizeof got[0]), 0);
    rob_query_free(other);
    rob_model_free(scaled);
    for (int k = 0; k < 2; k++) {
        double exact = rob_priv_flat_log(r, radius[0][k], SIZE);
        ck_assert(got[0][3 * k + 1] <= exact && exact <= got[0][3 * k + 2]);
    }
}
END_TEST

/* The radii share their directions and a half-space seen from outside only grows. */
START_TEST(hits_never_fall_with_the_radius_and_answers_have_names)
{
    double radius[RADII], hits[2 * RADII], logp[RADII], same[3 * 2 * RADII];
    int64_t count;
    ask(2, 2);
    by("mc", 0.95);
    for (int k = 0; k < RADII; k++) radius[k] = 0.9 * (1 + k);
    ck_assert_int_eq(
        rob_sampler_curve(ctx, sampler, query, radius, RADII, same, 6 * RADII), ROB_OK);
    ck_assert_int_eq(rob_sampler_get(ctx, sampler, "hits", -1, hits, 2 * RADII, &count),
                     ROB_OK);
    ck_assert_int_eq(count, 2 * RADII);
    ck_assert_int_eq(rob_sampler_get(ctx, sampler, "logp", 1, logp, RADII, &count),
                     ROB_OK);
    ck_assert_int_eq(count, RADII);
    for (int k = 0; k < RADII; k++) {
        ck_assert(logp[k] == same[3 * (RADII + k)]);
        ck_assert(logp[k] == log(hits[RADII + k] / SAMPLES));
        if (k > 0) ck_assert(hits[k] >= hits[k - 1]);
    }
    ck_assert_int_eq(rob_sampler_get(ctx, sampler, "radius", 0, logp, RADII, NULL),
                     ROB_OK);
    ck_assert_int_eq(memcmp(logp, radius, sizeof radius), 0);
}
END_TEST

START_TEST(wrong_series_fail_for_certain_and_a_radius_of_zero_never)
{
    double x[SIZE], got[12], radius[2] = {0, 1};
    ask(1, 2);
    by("auto", 0.95);
    int64_t reference = query->cases[0].reference;
    test_series(x, SIZE, 1);
    ck_assert_int_eq(rob_query_replace(ctx, query, 0, x, T, 1 - reference), ROB_OK);
    ck_assert_int_eq(rob_query_add(ctx, query, x, T, reference), ROB_OK);
    ck_assert_int_eq(rob_query_set_reference(ctx, query, ROB_REFERENCE_LABEL), ROB_OK);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, radius, 2, got, 12),
                     ROB_OK);
    for (int k = 0; k < 6; k++) ck_assert(got[k] == 0);
    for (int k = 6; k < 9; k++) ck_assert(got[k] == -INFINITY);
    ck_assert(got[10] <= got[9] && got[9] <= got[11] && got[11] < 0);
}
END_TEST

/* ---- use ------------------------------------------------------------------------- */

static void lengths_differ(rob_ctx *of, const rob_model *m, int64_t series,
                           rob_query **q)
{
    double x[9];
    ck_assert_int_eq(rob_query_create(of, m, q), ROB_OK);
    for (int64_t i = 0; i < series; i++) {
        test_series(x, 9, (uint64_t)i + 1);
        ck_assert_int_eq(rob_query_add(of, *q, x, 9 - i, -1), ROB_OK);
    }
}

START_TEST(bits_do_not_depend_on_threads_or_neighbours)
{
    static const char *const methods[] = {"mc", "split", "auto"};
    double got[3][3 * 3 * 2], radius[2] = {2, 7};
    model = test_model(ctx, ROB_KIND_LSTM, 1, 5, 3, ROB_READOUT_LAST, ROB_F32, 1.2);
    by(methods[_i], 0.95);
    if (_i > 0) ck_assert_int_eq(rob_sampler_set(ctx, sampler, "budget", 6000), ROB_OK);
    for (int run = 0; run < 3; run++) {
        ck_assert_int_eq(rob_ctx_set_threads(ctx, run == 1 ? 2 : 1), ROB_OK);
        rob_query_free(query);
        lengths_differ(ctx, model, run == 2 ? 1 : 3, &query);
        ck_assert_int_eq(
            rob_sampler_curve(ctx, sampler, query, radius, 2, got[run], 18), ROB_OK);
    }
    ck_assert_int_eq(memcmp(got[0], got[1], sizeof got[0]), 0);
    ck_assert_int_eq(memcmp(got[0], got[2], 6 * sizeof(double)), 0);
}
END_TEST

typedef struct patience { int64_t last, calls; } patience;

static int32_t stop_after(void *user, const char *stage, int64_t done, int64_t total)
{
    patience *p = user;
    ck_assert_str_eq(stage, "sample");
    ck_assert(done >= 0 && done <= total && total == 2 * RADII);
    return p->calls++ >= p->last;
}

START_TEST(stopping_keeps_what_is_done)
{
    double radius[RADII] = {1, 2, 3, 4}, got[6 * RADII];
    int64_t before = 0;
    ask(2, 2);
    by("auto", 0.95);
    for (int64_t last = 0; before < 2 * RADII; last = 2 * last + 1) {
        patience p = {.last = last};
        rob_ctx_set_progress(ctx, stop_after, &p);
        rob_status status = rob_sampler_curve(ctx, sampler, query, radius, RADII, got,
                                              6 * RADII);
        ck_assert_int_eq(status, p.calls > last ? ROB_STOPPED : ROB_OK);
        int64_t reached = 0;
        while (reached < 2 * RADII && !isnan(got[3 * reached])) reached++;
        for (int64_t k = 3 * reached; k < 6 * RADII; k++) ck_assert(isnan(got[k]));
        ck_assert_int_ge(reached, before);
        if (status == ROB_OK) ck_assert_int_eq(reached, 2 * RADII);
        if (last == 0) ck_assert_int_eq(reached, 0);
        before = reached;
    }
    rob_ctx_set_progress(ctx, NULL, NULL);
    rob_ctx_cancel(ctx);
    ck_assert_int_eq(
        rob_sampler_curve(ctx, sampler, query, radius, RADII, got, 6 * RADII),
        ROB_STOPPED);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, radius, RADII, NULL, 0),
                     ROB_OK);
}
END_TEST

START_TEST(bad_arguments_are_named_and_change_nothing)
{
    double got[3] = {-5, -5, -5}, radius = 1, bad[2] = {-1, NAN};
    rob_sampler *none = (rob_sampler *)&radius;
    ask(1, 2);
    by("mc", 0.95);
    ck_assert_int_eq(rob_sampler_create(ctx, "guess", &none), ROB_EARGUMENT);
    ck_assert_ptr_null(none);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "guess"));
    ck_assert_int_eq(rob_sampler_create(NULL, "mc", &none), ROB_EARGUMENT);
    ck_assert_int_eq(rob_sampler_set(ctx, sampler, "moves", 3), ROB_EARGUMENT);
    ck_assert_int_eq(rob_sampler_set(ctx, sampler, "samples", 0), ROB_EDOMAIN);
    for (int k = 0; k < 2; k++)
        ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, bad + k, 1, got, 3),
                         ROB_EDOMAIN);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, &radius, 0, got, 3),
                     ROB_ESHAPE);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, &radius, 1, got, 2),
                     ROB_ESHAPE);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, NULL, &radius, 1, got, 3),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, NULL, 1, got, 3),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_ball(ctx, query, ROB_NORM_LINF, 1), ROB_OK);
    ck_assert_int_eq(rob_sampler_curve(ctx, sampler, query, &radius, 1, got, 3),
                     ROB_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "Linf"));
    ck_assert_int_eq(rob_sampler_get(ctx, sampler, "luck", -1, got, 3, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_sampler_get(ctx, sampler, "logp", 0, got, 3, NULL),
                     ROB_EARGUMENT);
    for (int k = 0; k < 3; k++) ck_assert(got[k] == -5);
    rob_sampler_free(NULL);
}
END_TEST

static rob_status whole(rob_ctx *own, const rob_model *m, double *got)
{
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    rob_sampler *s = NULL;
    double x[2 * D], radius[2] = {1, 3};
    test_series(x, 2 * D, 1);
    TRY(rob_query_create(own, m, &q));
    TRY(rob_query_add(own, q, x, 2, -1));
    TRY(rob_sampler_create(own, "auto", &s));
    TRY(rob_sampler_set(own, s, "samples", 200));
    TRY(rob_sampler_set(own, s, "particles", 16));
    TRY(rob_sampler_set(own, s, "budget", 500));
    TRY(rob_sampler_curve(own, s, q, radius, 2, got, 6));
done:
    rob_sampler_free(s);
    rob_query_free(q);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    counting c = {.left = -1};
    rob_ctx *own;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own),
                     ROB_OK);
    rob_model *m = affine_model(own, D, 2);
    int64_t live = c.live, n = 0;
    rob_status status;
    do {
        double got[6] = {-5, -5, -5, -5, -5, -5};
        c.left = n++;
        status = whole(own, m, got);
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        for (int k = 0; status != ROB_OK && k < 6; k++) ck_assert(got[k] == -5);
        ck_assert_int_eq(c.live, live);
    } while (status != ROB_OK);
    ck_assert_int_gt(n, 30);
    c.left = -1;
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sampler");
    TCase *models = tcase_create("models"), *use = tcase_create("use");
    tcase_add_checked_fixture(models, start, stop);
    tcase_add_loop_test(models, affine_models_fail_as_caps_say, 0, 4);
    tcase_add_test(models, several_classes_are_a_union);
    tcase_add_test(models, masked_numbers_do_not_move);
    tcase_add_test(models, radii_count_in_the_units_asked_for);
    tcase_add_test(models, hits_never_fall_with_the_radius_and_answers_have_names);
    tcase_add_test(models, wrong_series_fail_for_certain_and_a_radius_of_zero_never);
    tcase_add_checked_fixture(use, start, stop);
    tcase_add_loop_test(use, bits_do_not_depend_on_threads_or_neighbours, 0, 3);
    tcase_add_test(use, stopping_keeps_what_is_done);
    tcase_add_test(use, bad_arguments_are_named_and_change_nothing);
    tcase_add_test(use, every_allocation_may_fail);
    suite_add_tcase(s, models);
    suite_add_tcase(s, use);
    return rob_run_suite(s);
}
