/* report_universal.c -- one change for all series, in a report: equal to the attack's,
 * judged on other series, refused where it would mean nothing.
 */
#include "check/scene.h"

#include "check/poor.h"

enum { HELD = 8 };
static rob_query *search, *held;

static rob_query *series(rob_ctx *c, const rob_model *m, int64_t first, int64_t count,
                         double radius)
{
    rob_query *q;
    double x[T * D];
    if (rob_query_create(c, m, &q) < ROB_OK) return NULL;
    for (int64_t i = 0; i < count; i++) {
        test_series(x, T * D, (uint64_t)(first + i) + 1);
        if (rob_query_add(c, q, x, T, -1) < ROB_OK
            || rob_query_set_ball(c, q, ROB_NORM_L2, radius) < ROB_OK) {
            rob_query_free(q);
            return NULL;
        }
    }
    return q;
}

static void begin(void)
{
    start();
    ask(small_lstm(), N);
    run();
    search = series(ctx, model, 100, 10, 1);
    held = series(ctx, model, 200, HELD, 1);
    ck_assert(search && held);
}

static void end(void)
{
    rob_query_free(search);
    rob_query_free(held);
    stop();
}

START_TEST(columns_are_the_attacks_answers)
{
    double delta[T * D], fooled[5], own[5], random[5], mine[MOST];
    rob_attack *attack;
    ck_assert_int_eq(rob_report_add_universal(ctx, report, search, held), ROB_OK);
    ck_assert_int_eq(rob_attack_create(ctx, "universal", &attack), ROB_OK);
    ck_assert_int_eq(rob_attack_universal(ctx, attack, search, delta, T * D, NULL),
                     ROB_OK);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "fooled", -1, own, 5, NULL), ROB_OK);
    ck_assert_int_eq(rob_attack_transfer(ctx, attack, held, delta, T * D), ROB_OK);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "fooled", -1, fooled, 5, NULL),
                     ROB_OK);
    rob_attack_free(attack);
    ck_assert_int_eq(get("universal", mine), T * D);
    ck_assert_int_eq(memcmp(mine, delta, sizeof delta), 0);
    ck_assert_int_eq(get("universal_fooled", mine), 5);
    ck_assert_int_eq(memcmp(mine, fooled, sizeof fooled), 0);
    ck_assert_int_eq(get("universal_own", mine), 5);
    ck_assert_int_eq(memcmp(mine, own, sizeof own), 0);
    ck_assert_int_eq(get("universal_random", random), 5);
    ck_assert(random[1] == fooled[1] && random[1] == HELD);
    ck_assert(one("universal_radius") == 1);
}
END_TEST

START_TEST(a_second_one_takes_the_place_of_the_first)
{
    double first[MOST], second[MOST];
    ck_assert_int_eq(rob_report_add_universal(ctx, report, search, held), ROB_OK);
    ck_assert_int_eq(get("universal_fooled", first), 5);
    ck_assert_int_eq(rob_report_add_universal(ctx, report, held, search), ROB_OK);
    ck_assert_int_eq(get("universal_fooled", second), 5);
    ck_assert(first[1] == HELD && second[1] == 10);
    ck_assert_ptr_nonnull(strstr(written(".html"), "One change for all series"));
    ck_assert_ptr_nonnull(strstr(written(".json"), "\"universal_fooled\""));
}
END_TEST

START_TEST(what_would_mean_nothing_is_refused)
{
    double before[MOST], after[MOST];
    rob_report *fresh;
    ck_assert_int_eq(rob_report_add_universal(ctx, report, search, held), ROB_OK);
    ck_assert_int_eq(get("universal", before), T * D);
    ck_assert_int_eq(rob_report_add_universal(ctx, report, search, search),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_report_add_universal(ctx, report, NULL, held), ROB_EARGUMENT);
    rob_query_set_ball(ctx, held, ROB_NORM_L2, 2);
    ck_assert_int_eq(rob_report_add_universal(ctx, report, search, held),
                     ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "ball"));
    rob_query_set_ball(ctx, held, ROB_NORM_L2, INFINITY);
    rob_query_set_ball(ctx, search, ROB_NORM_L2, INFINITY);
    ck_assert_int_eq(rob_report_add_universal(ctx, report, search, held),
                     ROB_EARGUMENT);
    ck_assert_int_eq(get("universal", after), T * D);
    ck_assert_int_eq(memcmp(before, after, T * D * sizeof *before), 0);
    ck_assert_int_eq(rob_report_create(ctx, query, &fresh), ROB_OK);
    ck_assert_int_eq(rob_report_add_universal(ctx, fresh, search, held), ROB_EARGUMENT);
    rob_report_free(fresh);
}
END_TEST

/* The parts that do not belong to the call stand beside it and do not fail. */
static rob_status life(rob_ctx *c)
{
    rob_status status = ROB_EMEMORY;
    rob_query *a = series(c, model, 100, 3, 1), *b = series(c, model, 200, 2, 1);
    rob_report *r = NULL;
    if (a && b) status = rob_report_create(c, b, &r);
    if (status >= ROB_OK) {
        r->ran = true;
        r->findings.memory = r->memory;
        r->findings.confidence = 0.95;
        status = rob_report_add_universal(c, r, a, b);
        ck_assert(status == ROB_OK || r->findings.size[ROB_C_UNIVERSAL] == 0);
    }
    rob_report_free(r);
    rob_query_free(a);
    rob_query_free(b);
    return status;
}

START_TEST(every_allocation_may_fail) { rob_live_poorly(life); }
END_TEST

int main(void)
{
    Suite *s = suite_create("report_universal");
    TCase *t = tcase_create("universal");
    tcase_add_checked_fixture(t, begin, end);
    suite_add_tcase(s, t);
    tcase_add_test(t, columns_are_the_attacks_answers);
    tcase_add_test(t, a_second_one_takes_the_place_of_the_first);
    tcase_add_test(t, what_would_mean_nothing_is_refused);
    tcase_add_test(t, every_allocation_may_fail);
    return rob_run_suite(s);
}
