/* universal.c -- one perturbation for all series: optimal where theory knows it, within
 * its ball and masks, judged as reported, repeatable.
 */
#include "harness.h"
#include "models.h"

#include "query/query.h"
#include <robust/attack.h>

#include <math.h>

enum { STEPS = 5, SERIES = 60 };
static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

/* Series from number `first` on. */
static rob_query *ask(rob_ctx *own, const rob_model *m, int64_t count, uint64_t first)
{
    rob_query *q;
    double x[STEPS];
    ck_assert_int_eq(rob_query_create(own, m, &q), ROB_OK);
    while (rob_query_count(q) < count) {
        test_series(x, STEPS, first++);
        ck_assert_int_eq(rob_query_add(own, q, x, STEPS, -1), ROB_OK);
    }
    return q;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static rob_attack *universal(rob_ctx *own)
{
    rob_attack *a;
    ck_assert_int_eq(rob_attack_create(own, "universal", &a), ROB_OK);
    return a;
}

/* f affine, failing where f_0 <= f_1 (or the other way), whatever the class. Series
 * that fail already are left out; for the others F_i(x_i + d) = F_i + w.d, so d = -r
 * w/||w|| (-r sign w, or all on a largest |w_k|) is best for all at once and breaks those with F_i <= r
 * ||w||_dual. With a mask, w is zero where it holds. 1e-5 of r ||w||: float32 of d and
 * of the gradients that lead to it. */
START_TEST(affine_classifier_is_broken_at_best)
{
    rob_model *m = affine_model(ctx, 1, 2);
    static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 },
                         duals[3] = { ROB_NORM_L2, ROB_NORM_L1, ROB_NORM_LINF };
    int32_t norm = norms[_i % 3];
    static const double rows[2][2] = { { 1, -1 }, { -1, 1 } };
    uint8_t mask[STEPS] = { 1, 1, 1, 0, 1 };
    double w[STEPS], delta[STEPS], margin[SERIES], fooled[5], radius;
    rob_query *q = ask(ctx, m, SERIES, 1);
    rob_attack *a = universal(ctx);
    int64_t sure = 0, open = 0, wrong = 0, n;
    double reference;
    ck_assert_int_eq(rob_query_get(ctx, q, "reference", 0, &reference, 1, NULL),
                     ROB_OK);
    ck_assert_int_eq(
        rob_query_set_rows(ctx, q, reference > 0 ? rows[1] : rows[0], NULL, NULL, 1),
        ROB_OK);
    affine_row(m, reference > 0, reference <= 0, STEPS, w);
    if (_i >= 3) {
        ck_assert_int_eq(rob_query_set_mask(ctx, q, -1, mask, STEPS), ROB_OK);
        w[3] = 0;
    }
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", -1, margin, SERIES, NULL), ROB_OK);
    double dual = rob_priv_norm(duals[_i % 3], w, 5);
    qsort(margin, SERIES, sizeof *margin, ascending);
    while (wrong < SERIES && margin[wrong] <= 0) wrong++;
    ck_assert_int_lt(wrong, SERIES - 20);
    int64_t middle = (wrong + SERIES) / 2;
    radius = (margin[middle] + margin[middle - 1]) / 2 / dual;
    for (int64_t i = wrong; i < SERIES; i++) {
        sure += margin[i] <= radius * dual * (1 - 1e-5);
        open += margin[i] <= radius * dual * (1 + 1e-5);
    }
    ck_assert(sure > 5 && open < SERIES - wrong - 5);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, norm, radius), ROB_OK);
    ck_assert_int_eq(rob_attack_set(ctx, a, "batch", 16), ROB_OK);
    ck_assert_msg(rob_attack_universal(ctx, a, q, delta, STEPS, &n) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    ck_assert_int_eq(n, STEPS);
    ck_assert_int_eq(rob_attack_get(ctx, a, "fooled", -1, fooled, 5, NULL), ROB_OK);
    ck_assert(fooled[0] >= (double)sure && fooled[0] <= (double)open);
    ck_assert_double_eq(fooled[1], (double)(SERIES - wrong));
    ck_assert_double_le(rob_priv_norm(norm, delta, STEPS), radius);
    for (int k = 0; k < STEPS; k++) ck_assert(delta[k] * w[k] < 0 || w[k] == 0
                                              || norm == ROB_NORM_L1);
    if (_i >= 3) ck_assert_double_eq(delta[3], 0);
    rob_attack_free(a);
    rob_query_free(q);
    rob_model_free(m);
}
END_TEST

/* What is answered about held-out series is what the model says of them. */
START_TEST(transfer_is_what_the_model_says)
{
    rob_model *m = test_model(ctx, ROB_KIND_LSTM, 1, 6, 2, 0, ROB_F32, 1.2);
    rob_query *q = ask(ctx, m, SERIES, 1), *held = ask(ctx, m, 30, 5000);
    rob_attack *a = universal(ctx);
    double delta[STEPS], again[STEPS], fooled[5], found[30], margin[30], x[STEPS];
    double distance[30];
    int64_t count = 0, size;
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_L2, 0.8), ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(ctx, held, ROB_NORM_L2, 0.8), ROB_OK);
    ck_assert_int_eq(rob_attack_universal(ctx, a, q, delta, STEPS, NULL), ROB_OK);
    ck_assert_msg(rob_attack_transfer(ctx, a, held, delta, STEPS) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    ck_assert_int_eq(rob_attack_get(ctx, a, "universal", -1, again, STEPS, &size),
                     ROB_OK);
    ck_assert_mem_eq(delta, again, sizeof delta);
    ck_assert_int_eq(rob_attack_get(ctx, a, "found", -1, found, 30, NULL), ROB_OK);
    ck_assert_int_eq(rob_attack_get(ctx, a, "margin", -1, margin, 30, NULL), ROB_OK);
    ck_assert_int_eq(rob_attack_get(ctx, a, "distance", -1, distance, 30, NULL),
                     ROB_OK);
    for (int64_t i = 0; i < 30; i++) {
        double f[2], reference;
        ck_assert_int_eq(rob_query_get(ctx, held, "reference", i, &reference, 1, NULL),
                         ROB_OK);
        ck_assert_int_eq(rob_query_get(ctx, held, "x", i, x, STEPS, NULL), ROB_OK);
        for (int k = 0; k < STEPS; k++) x[k] += delta[k];
        ck_assert_int_eq(rob_model_predict(ctx, m, x, STEPS, f, 2), ROB_OK);
        ck_assert_int_eq(found[i] > 0, margin[i] <= 0);
        /* the larger of two precisions: float32 of a few hundred roundings */
        double wide = reference > 0 ? f[1] - f[0] : f[0] - f[1];
        ck_assert_double_ge(margin[i], wide);
        ck_assert_double_le(margin[i], wide + 1e-4);
        if (found[i] > 0)
            ck_assert_double_eq(distance[i], rob_priv_norm(ROB_NORM_L2, delta, STEPS));
        else ck_assert(isinf(distance[i]));
        count += found[i] > 0;
    }
    ck_assert_int_eq(rob_attack_get(ctx, a, "fooled", -1, fooled, 5, NULL), ROB_OK);
    ck_assert_double_eq(fooled[0], (double)count);
    ck_assert_double_eq(fooled[1], 30);
    ck_assert(fooled[3] <= fooled[2] && fooled[2] <= fooled[4]);
    /* a zero perturbation breaks none; then the upper end is 1 - (alpha/2)^(1/n) */
    memset(delta, 0, sizeof delta);
    ck_assert_int_eq(rob_attack_transfer(ctx, a, held, delta, STEPS), ROB_OK);
    ck_assert_int_eq(rob_attack_get(ctx, a, "fooled", -1, fooled, 5, NULL), ROB_OK);
    ck_assert_double_eq(fooled[0], 0);
    ck_assert_double_eq(fooled[3], 0);
    ck_assert_double_eq_tol(fooled[4], 1 - pow(0.025, 1. / 30), 1e-12);
    rob_attack_free(a);
    rob_query_free(q);
    rob_query_free(held);
    rob_model_free(m);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    rob_model *m = test_model(ctx, ROB_KIND_LSTM, 1, 6, 2, 0, ROB_F32, 1.2);
    rob_query *q = ask(ctx, m, SERIES, 1);
    rob_attack *a = universal(ctx);
    double delta[3][STEPS];
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_LINF, 0.3), ROB_OK);
    ck_assert_int_eq(rob_attack_set(ctx, a, "passes", 5), ROB_OK);
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(rob_ctx_set_threads(ctx, 1 + k % 2), ROB_OK);
        ck_assert_int_eq(rob_attack_universal(ctx, a, q, delta[k], STEPS, NULL),
                         ROB_OK);
    }
    ck_assert_mem_eq(delta[0], delta[1], sizeof delta[0]);
    ck_assert_mem_eq(delta[0], delta[2], sizeof delta[0]);
    rob_attack_free(a);
    rob_query_free(q);
    rob_model_free(m);
}
END_TEST

START_TEST(bad_arguments_are_named)
{
    rob_model *m = test_model(ctx, ROB_KIND_LSTM, 1, 3, 2, 0, ROB_F32, 1);
    rob_query *q = ask(ctx, m, 4, 1);
    rob_attack *a = universal(ctx), *pgd;
    double delta[STEPS + 1] = { 0 }, out[5];
    uint8_t mask[STEPS] = { 0, 1, 1, 1, 1 };
    ck_assert_int_eq(rob_attack_create(ctx, "pgd", &pgd), ROB_OK);
    ck_assert_int_eq(rob_attack_universal(ctx, a, q, delta, STEPS, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_L2, 0.5), ROB_OK);
    ck_assert_int_eq(rob_attack_universal(ctx, a, q, delta, 2, NULL), ROB_ESHAPE);
    ck_assert_int_eq(rob_attack_universal(ctx, pgd, q, delta, STEPS, NULL),
                     ROB_EUNSUPPORTED);
    ck_assert_int_eq(rob_attack_distance(ctx, a, q, NULL, 0), ROB_EUNSUPPORTED);
    ck_assert_int_eq(rob_attack_margin(ctx, a, q, NULL, 0), ROB_EUNSUPPORTED);
    ck_assert_int_eq(rob_attack_get(ctx, pgd, "fooled", -1, out, 5, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_transfer(ctx, a, q, delta, STEPS + 1), ROB_ESHAPE);
    ck_assert_int_eq(rob_attack_transfer(ctx, a, q, NULL, STEPS), ROB_EARGUMENT);
    delta[0] = 0.6;
    ck_assert_int_eq(rob_attack_transfer(ctx, a, q, delta, STEPS), ROB_EDOMAIN);
    delta[0] = NAN;
    ck_assert_int_eq(rob_attack_transfer(ctx, a, q, delta, STEPS), ROB_EDOMAIN);
    delta[0] = 0.1;
    ck_assert_int_eq(rob_query_set_mask(ctx, q, 2, mask, STEPS), ROB_OK);
    ck_assert_int_eq(rob_attack_transfer(ctx, a, q, delta, STEPS), ROB_EDOMAIN);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "series 2"));
    ck_assert_int_eq(rob_query_add(ctx, q, delta, 3, -1), ROB_OK);
    ck_assert_int_eq(rob_attack_universal(ctx, a, q, delta, STEPS, NULL), ROB_ESHAPE);
    rob_attack_free(a);
    rob_attack_free(pgd);
    rob_query_free(q);
    rob_model_free(m);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    double delta[STEPS];
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own),
                     ROB_OK);
    rob_model *m = test_model(own, ROB_KIND_RNN_TANH, 1, 2, 2, 0, ROB_F32, 0.8);
    rob_query *q = ask(own, m, 3, 1);
    ck_assert_int_eq(rob_query_set_ball(own, q, ROB_NORM_L2, 0.5), ROB_OK);
    int64_t n = 0, failures = 0;
    rob_status status;
    do {
        rob_query *fresh = ask(own, m, 3, 1);
        rob_attack *a = universal(own);
        ck_assert_int_eq(rob_query_set_ball(own, fresh, ROB_NORM_L2, 0.5), ROB_OK);
        ck_assert_int_eq(rob_attack_set(own, a, "passes", 2), ROB_OK);
        c.left = n;
        n += 1 + n / 40; /* every request at first, then some */
        status = rob_attack_universal(own, a, fresh, delta, STEPS, NULL);
        c.left = -1;
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        failures += status == ROB_EMEMORY;
        rob_attack_free(a);
        rob_query_free(fresh);
    } while (status != ROB_OK);
    ck_assert_int_gt(failures, 20);
    rob_query_free(q);
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("universal");
    TCase *all = tcase_create("one perturbation for all");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_loop_test(all, affine_classifier_is_broken_at_best, 0, 6);
    tcase_add_test(all, transfer_is_what_the_model_says);
    tcase_add_test(all, bits_do_not_depend_on_threads);
    tcase_add_test(all, bad_arguments_are_named);
    tcase_add_test(all, every_allocation_may_fail);
    suite_add_tcase(s, all);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
