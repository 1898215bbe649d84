/* attack_use.c -- attacks as handles: repeatable bits, stopping, options, memory. */
#include "attacking.h"

static const char *const methods[4] = { "fgsm", "pgd", "deepfool", "auto" };

/* ---- repeatability --------------------------------------------------------------- */

static void mixed_query(int64_t only)
{
    double x[400];
    rob_query_free(query);
    ck_assert_int_eq(rob_query_create(ctx, model, &query), ROB_OK);
    for (int64_t i = 0; i < 40; i++) {
        test_series(x, 12 * D, (uint64_t)i);
        if (only < 0 || i == only)
            ck_assert_int_eq(rob_query_add(ctx, query, x, 1 + i % 12, -1), ROB_OK);
    }
    ck_assert_int_eq(rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY), ROB_OK);
}

START_TEST(unequal_lengths_and_threads_give_the_same_bits)
{
    double all[40], again[40], one;
    model = test_model(ctx, ROB_KIND_LSTM, D, 6, 2, ROB_READOUT_LAST, ROB_F32, 0.9);
    mixed_query(-1);
    by(methods[_i]);
    if (_i == 3) {
        ck_assert_int_eq(rob_attack_set(ctx, attack, "searches", 1), ROB_OK);
        ck_assert_int_eq(rob_attack_set(ctx, attack, "calls", 60), ROB_OK);
    }
    distances(all);
    ck_assert_int_eq(rob_ctx_set_threads(ctx, 2), ROB_OK);
    distances(again);
    ck_assert_mem_eq(all, again, sizeof all);
    ck_assert_int_eq(rob_ctx_set_threads(ctx, 1), ROB_OK);
    for (int64_t i = 0; i < 40; i += 7) {
        mixed_query(i);
        distances(&one);
        ck_assert_mem_eq(&one, &all[i], sizeof one);
    }
}
END_TEST

START_TEST(seeds_and_restarts)
{
    double a[N], b[N], c[N];
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 3, ROB_READOUT_LAST, ROB_F32, 0.9);
    ask(N, 10, ROB_NORM_LINF, 0.3);
    by("pgd");
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, a, N), ROB_OK);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "restarts", 4), ROB_OK);
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, b, N), ROB_OK);
    /* the first start is the same: more starts never do worse */
    for (int i = 0; i < N; i++) ck_assert_double_le(b[i], a[i]);
    ck_assert_int_eq(rob_ctx_set_threads(ctx, 2), ROB_OK);
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, c, N), ROB_OK);
    ck_assert_mem_eq(b, c, sizeof b);
    double calls;
    ck_assert_int_eq(rob_attack_get(ctx, attack, "calls", 0, &calls, 1, NULL), ROB_OK);
    ck_assert_double_eq(calls, 160);
    ck_assert_int_eq(rob_attack_set_text(ctx, attack, "loss", "ce"), ROB_OK);
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, c, N), ROB_OK);
    for (int i = 0; i < N; i++) ck_assert_double_le(c[i], number("margin", i));
}
END_TEST

/* ---- stopping, options, memory --------------------------------------------------- */

typedef struct patience {
    int64_t calls, last;
} patience;

static int32_t stop_after(void *user, const char *stage, int64_t done, int64_t total)
{
    patience *p = user;
    ck_assert_str_eq(stage, "attack");
    ck_assert(done >= 0 && done <= total);
    return ++p->calls > p->last;
}

START_TEST(stopping_keeps_what_is_done)
{
    enum { MANY = 300 };
    static double upper[MANY];
    model = affine_model(ctx, D, 2);
    ask(MANY, T, ROB_NORM_L2, INFINITY);
    by("auto");
    int64_t some = 0;
    for (int64_t last = 0; last < 1500; last += 149) {
        patience p = { .last = last };
        rob_ctx_set_progress(ctx, stop_after, &p);
        rob_status status = rob_attack_distance(ctx, attack, query, upper, MANY);
        rob_ctx_set_progress(ctx, NULL, NULL);
        ck_assert_int_eq(status, p.calls > last ? ROB_STOPPED : ROB_OK);
        if (last == 0)
            for (int i = 0; i < MANY; i++) ck_assert(isinf(upper[i]));
        check_points(upper, INFINITY);
        int64_t found = 0;
        for (int i = 0; i < MANY; i++) found += isfinite(upper[i]);
        ck_assert_int_ge(found, some);
        some = found;
    }
    ck_assert_int_eq(some, MANY);
    rob_ctx_cancel(ctx);
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, upper, MANY), ROB_STOPPED);
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, upper, MANY), ROB_OK);
}
END_TEST

START_TEST(bad_arguments_are_named)
{
    double out[N] = { 7 };
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, INFINITY);
    ck_assert_int_eq(rob_attack_create(ctx, "psychic", &attack), ROB_EARGUMENT);
    ck_assert_ptr_null(attack);
    by("deepfool");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "restarts", 2), ROB_EARGUMENT);
    ck_assert_int_lt(rob_attack_set(ctx, attack, "overshoot", -1), 0);
    ck_assert_int_lt(rob_attack_set(ctx, attack, "overshoot", NAN), 0);
    ck_assert_int_eq(rob_attack_set_text(ctx, attack, "loss", "ce"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_set_text(ctx, attack, "lss", "margin"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, out, N - 1), ROB_ESHAPE);
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, out, N), ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_distance(ctx, attack, NULL, out, N), ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "distance", 0, out, 1, NULL),
                     ROB_EARGUMENT);
    ck_assert_double_eq(out[0], 7);
    distances(out);
    out[0] = 7;
    ck_assert_int_eq(rob_attack_get(ctx, attack, "pint", 0, out, 1, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "point", -1, out, N, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "point", 0, out, N, NULL), ROB_ESHAPE);
    ck_assert_double_eq(out[0], 7);
    int64_t count;
    ck_assert_int_eq(rob_attack_get(ctx, attack, "point", 0, NULL, 0, &count), ROB_OK);
    ck_assert_int_eq(count, SIZE);
    ask(0, T, ROB_NORM_L2, INFINITY);
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, NULL, 0), ROB_OK);
}
END_TEST

static rob_status whole(rob_ctx *own, rob_model *m, double *upper)
{
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    rob_attack *a = NULL;
    double x[2 * SIZE];
    test_series(x, 2 * SIZE, 1);
    TRY(rob_query_create(own, m, &q));
    TRY(rob_query_add(own, q, x, T, -1));
    TRY(rob_query_add(own, q, x + SIZE, T - 1, -1));
    TRY(rob_attack_create(own, "auto", &a));
    TRY(rob_attack_set(own, a, "calls", 8));
    TRY(rob_attack_distance(own, a, q, upper, 2));
done:
    rob_attack_free(a);
    rob_query_free(q);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    every_allocation_fails_once(whole, 40);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attack use");
    TCase *bits = tcase_create("repeatability");
    tcase_add_checked_fixture(bits, start, stop);
    tcase_add_loop_test(bits, unequal_lengths_and_threads_give_the_same_bits, 0, 4);
    tcase_add_test(bits, seeds_and_restarts);
    suite_add_tcase(s, bits);
    TCase *use = tcase_create("use");
    tcase_add_checked_fixture(use, start, stop);
    tcase_add_test(use, stopping_keeps_what_is_done);
    tcase_add_test(use, bad_arguments_are_named);
    tcase_add_test(use, every_allocation_may_fail);
    suite_add_tcase(s, use);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
