/* report.c -- columns equal to what the methods answer, partial runs, failing memory.
 *
 * Numbers are compared bit for bit with the methods asked alone: a report adds nothing.
 * The sandwich, the accuracies and the condition numbers obey their inequalities; rank
 * statistics have values worked out by hand.
 */
#include "check/scene.h"

/* ---- numbers --------------------------------------------------------------------- */

START_TEST(columns_are_the_methods_answers)
{
    double mine[MOST], theirs[N];
    rob_attack *attack;
    rob_bound *bound;
    ask(small_lstm(), N);
    run();
    rob_query_free(query);
    rob_model_free(model);
    ask(small_lstm(), N);
    ck_assert_int_eq(rob_attack_create(ctx, "auto", &attack), ROB_OK);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "calls", 60), ROB_OK);
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, theirs, N), ROB_OK);
    ck_assert_int_eq(get("upper", mine), N);
    ck_assert_int_eq(memcmp(mine, theirs, sizeof theirs), 0);
    ck_assert_int_eq(rob_bound_create(ctx, "auto", &bound), ROB_OK);
    ck_assert_int_eq(rob_bound_set(ctx, bound, "tolerance", 0.01), ROB_OK);
    ck_assert_int_eq(rob_bound_radius(ctx, bound, query, theirs, N), ROB_OK);
    ck_assert_int_eq(get("lower", mine), N);
    ck_assert_int_eq(memcmp(mine, theirs, sizeof theirs), 0);
    ck_assert_int_eq(rob_query_get(ctx, query, "prediction", -1, theirs, N, NULL),
                     ROB_OK);
    ck_assert_int_eq(get("prediction", mine), N);
    ck_assert_int_eq(memcmp(mine, theirs, sizeof theirs), 0);
    rob_attack_free(attack);
    rob_bound_free(bound);
}
END_TEST

static int64_t attacks_seen;

static int32_t count_attacks(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user, (void)done, (void)total;
    attacks_seen += strcmp(stage, "attack") == 0 || strcmp(stage, "bound") == 0;
    return 0;
}

START_TEST(what_the_query_knows_is_not_computed_again)
{
    double first[MOST], second[MOST];
    ask(small_lstm(), N);
    run();
    ck_assert_int_eq(get("upper", first), N);
    for (int i = 0; i < N; i++) ck_assert_msg(isfinite(first[i]), "%g", first[i]);
    rob_ctx_set_progress(ctx, count_attacks, NULL);
    attacks_seen = 0;
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
    ck_assert_int_eq(attacks_seen, 0);
    ck_assert_int_eq(get("upper", second), N);
    ck_assert_int_eq(memcmp(first, second, N * sizeof *first), 0);
}
END_TEST

START_TEST(the_sandwich_holds)
{
    double low[MOST], high[MOST], ratio[MOST], from[MOST], to[MOST];
    ask(_i ? affine_model(ctx, D, 3) : small_lstm(), N);
    run();
    get("lower", low), get("upper", high), get("ratio", ratio);
    get("condition_lower", from), get("condition_upper", to);
    for (int i = 0; i < N; i++) {
        ck_assert(0 < low[i] && low[i] <= high[i]);
        ck_assert(ratio[i] >= 1 && ratio[i] == high[i] / low[i]);
        ck_assert(from[i] <= to[i]);
    }
    if (!_i) return;
    /* affine: the estimate of order 1 is the distance, so it lies in the sandwich; a
     * sum of 4 x 6 products carries less than 64 eps of its terms, of size 40, against
     * margins above 1e-3: 64 x 2^-52 x 40 / 1e-3 < 1e-9 */
    double estimate[MOST], condition[MOST];
    get("estimate1", estimate), get("condition", condition);
    for (int i = 0; i < N; i++) {
        ck_assert(low[i] * (1 - 1e-9) <= estimate[i]);
        ck_assert(estimate[i] <= high[i] * (1 + 1e-9));
        ck_assert(from[i] * (1 - 1e-9) <= condition[i]);
        ck_assert(condition[i] <= to[i] * (1 + 1e-9));
    }
}
END_TEST

START_TEST(accuracies_fall_and_keep_their_order)
{
    double low[MOST], high[MOST], grid[MOST];
    ask(small_lstm(), N);
    run();
    int64_t radii = get("radius_grid", grid);
    ck_assert_int_eq(get("certified_accuracy", low), radii);
    ck_assert_int_eq(get("attacked_accuracy", high), radii);
    for (int64_t k = 0; k < radii; k++) {
        ck_assert(low[k] <= high[k] && high[k] <= one("accuracy"));
        if (k == 0) continue;
        ck_assert(grid[k] > grid[k - 1]);
        ck_assert(low[k] <= low[k - 1] && high[k] <= high[k - 1]);
    }
    ck_assert(high[radii - 1] == 0); /* the grid reaches every failing point found */
}
END_TEST

START_TEST(proved_zeros_are_zeros)
{
    double low[MOST], grid[MOST], curve[MOST], upper[MOST];
    ask(small_lstm(), N);
    run();
    int64_t radii = get("radius_grid", grid);
    get("lower", low);
    ck_assert_int_eq(get("curve", curve), N * radii);
    ck_assert_int_eq(get("curve_upper", upper), N * radii);
    for (int64_t c = 0; c < N * radii; c++)
        if (grid[c % radii] <= low[c / radii])
            ck_assert(curve[c] == -INFINITY && upper[c] == -INFINITY);
        else ck_assert(isnan(curve[c]) || curve[c] <= upper[c]);
}
END_TEST

/* x = 1 2 3 4 5, y = 2 1 4 3 5: sum of squared rank differences 4, rho = 1 - 24/120.
 * With a tie, y = 1 1 2 3 4: ranks 1.5 1.5 3 4 5, rho = 9.5/sqrt(10 x 9.5). */
START_TEST(ranks_by_hand)
{
    double x[] = { 1, 2, 3, 4, 5, NAN }, y[] = { 2, 1, 4, 3, 5, 7 }, out[4];
    ck_assert_int_eq(rob_priv_spearman(ctx, x, y, 6, 0.95, out), ROB_OK);
    ck_assert(out[3] == 5 && fabs(out[0] - 0.8) < 4e-16);
    double wide = 1.959963984540054 * sqrt((1 + 0.32) / 2);
    ck_assert(fabs(atanh(out[1]) - (atanh(0.8) - wide)) < 1e-13);
    ck_assert(fabs(atanh(out[2]) - (atanh(0.8) + wide)) < 1e-12);
    double tied[] = { 1, 1, 2, 3, INFINITY, 0 };
    ck_assert_int_eq(rob_priv_spearman(ctx, x, tied, 6, 0.95, out), ROB_OK);
    ck_assert(fabs(out[0] - sqrt(0.95)) < 4e-16);
    ck_assert_int_eq(rob_priv_spearman(ctx, x, y, 3, 0.95, out), ROB_OK);
    ck_assert(!isnan(out[0]) && isnan(out[1]) && out[3] == 3);
    double same[] = { 3, 3, 3, 3, 3, 3 };
    ck_assert_int_eq(rob_priv_spearman(ctx, x, same, 6, 0.95, out), ROB_OK);
    ck_assert(isnan(out[0]));
}
END_TEST

START_TEST(quantiles_by_hand)
{
    double x[] = { 4, NAN, 1, INFINITY, 2 }, sorted[5];
    int64_t order[5], n = rob_priv_sorted(x, 5, sorted);
    ck_assert_int_eq(n, 4);
    ck_assert(sorted[0] == 1 && sorted[2] == 4 && isinf(sorted[3]));
    ck_assert(rob_priv_quantile(sorted, n, 0.5) == 3);
    ck_assert(rob_priv_quantile(sorted, n, 0.9) == INFINITY);
    ck_assert(rob_priv_quantile(sorted, n, 0) == 1);
    ck_assert(isnan(rob_priv_quantile(sorted, 0, 0.5)));
    rob_priv_order(x, 5, order);
    ck_assert(order[0] == 2 && order[1] == 4 && order[2] == 0);
    ck_assert(order[3] == 3 && order[4] == 1);
}
END_TEST

/* ---- edges ----------------------------------------------------------------------- */

START_TEST(nothing_asked_nothing_said)
{
    double x[MOST];
    ask(small_lstm(), 0);
    run();
    ck_assert(one("series") == 0 && isnan(one("accuracy")));
    ck_assert_int_eq(get("upper", x), 0);
    ck_assert_ptr_nonnull(strstr(written(".html"), "holds no series"));
    ck_assert(json_is_whole(written(".json")));
}
END_TEST

START_TEST(other_norms_leave_probabilities_out)
{
    double x[MOST];
    ask(small_lstm(), N);
    ck_assert_int_eq(
        rob_query_set_ball(ctx, query, _i ? ROB_NORM_L1 : ROB_NORM_LINF, INFINITY),
        ROB_OK);
    run();
    ck_assert_int_eq(get("probability", x), N);
    ck_assert(isnan(x[0]));
    ck_assert_int_eq(get("ratio", x), N);
    for (int i = 0; i < N; i++) ck_assert(x[i] >= 1);
    ck_assert_int_eq(get("condition", x), N);
    for (int i = 0; i < N; i++) ck_assert(x[i] > 0);
    ck_assert_ptr_nonnull(strstr(written(".html"), "this query measures another norm"));
}
END_TEST

static const char *stop_in;

static int32_t stop_there(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user, (void)done, (void)total;
    return strcmp(stage, stop_in) == 0;
}

START_TEST(a_stopped_run_leaves_a_partial_report)
{
    static const char *const STAGE[] = { "attack",   "bound", "boundary", "condition",
                                         "spectrum", "slice", "sample" };
    double x[MOST], low[MOST];
    stop_in = STAGE[_i];
    ask(small_lstm(), N);
    make_report();
    rob_ctx_set_progress(ctx, stop_there, NULL);
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_STOPPED);
    ck_assert(one("partial") == 1);
    ck_assert_int_eq(get("prediction", x), N);
    ck_assert(!isnan(x[0]));
    get("upper", x), get("lower", low);
    if (_i > 1)
        for (int i = 0; i < N; i++) ck_assert(0 < low[i] && low[i] <= x[i]);
    ck_assert_ptr_nonnull(strstr(written(".html"), "Partial report."));
    ck_assert(json_is_whole(written(".json")));
    rob_ctx_set_progress(ctx, NULL, NULL);
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
    ck_assert(one("partial") == 0);
}
END_TEST

START_TEST(wrong_questions_are_refused)
{
    double x[1];
    int64_t n = 77;
    ask(small_lstm(), N);
    make_report();
    ck_assert_int_eq(rob_report_get(ctx, report, "upper", x, 1, &n), ROB_EARGUMENT);
    ck_assert_int_eq(rob_report_save(ctx, report, "/tmp/x.html"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
    ck_assert_int_eq(rob_report_get(ctx, report, "uppper", x, 1, &n), ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "uppper"));
    ck_assert_int_eq(rob_report_get(ctx, report, "upper", x, 1, &n), ROB_ESHAPE);
    ck_assert_int_eq(n, 77);
    ck_assert_int_eq(rob_report_set(ctx, report, "radii", 1), ROB_EDOMAIN);
    ck_assert_int_eq(rob_report_set(ctx, report, "colour", 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_report_set_text(ctx, report, "colour", "x"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_report_save(ctx, report, "/tmp/x.pdf"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_report_save(ctx, report, "/no/such/folder/x.json"), ROB_EIO);
    ck_assert_int_eq(rob_report_set_text(ctx, report, "attack", "magic"), ROB_OK);
    query->best[0] = INFINITY;
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_EARGUMENT);
    ck_assert(one("partial") == 0); /* the earlier answers */
    ck_assert_ptr_null(rob_report_column(report, -1));
    ck_assert_ptr_null(rob_report_column(NULL, ROB_COLUMN_COUNT));
    rob_report *made = report;
    ck_assert_int_eq(rob_report_create(ctx, NULL, &made), ROB_EARGUMENT);
    ck_assert_ptr_null(made);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------- */

static rob_status whole_report(rob_ctx *c, rob_query *q)
{
    rob_status status;
    rob_report *r = NULL;
    char path[64];
    snprintf(path, sizeof path, "/tmp/robust-report-%d.html", (int)getpid());
    TRY(rob_report_create(c, q, &r));
    TRY(rob_report_set_text(c, r, "title", "memory"));
    TRY(rob_report_set_text(c, r, "plot", "/bin/true"));
    TRY(rob_report_set(c, r, "samples", 20));
    TRY(rob_report_set(c, r, "slices", 3));
    TRY(rob_report_set(c, r, "calls", 8));
    TRY(rob_report_set(c, r, "radii", 3));
    TRY(rob_report_set(c, r, "tolerance", 0.5));
    TRY(rob_report_run(c, r));
    TRY(rob_report_save(c, r, path));
    memcpy(path + strlen(path) - 4, "json", 4);
    TRY(rob_report_save(c, r, path));
done:
    rob_report_free(r);
    return status;
}

static rob_status report_with_failure(int64_t at, int64_t *asked)
{
    counting count = { .left = -1 };
    rob_ctx *c;
    rob_query *q;
    rob_status status;
    double x[T];
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &count, &c),
                     ROB_OK);
    rob_model *m = test_model(c, ROB_KIND_LSTM, D, 1, 2, ROB_READOUT_LAST, ROB_F32, 1);
    ck_assert_int_eq(rob_query_create(c, m, &q), ROB_OK);
    for (uint64_t i = 0; i < 2; i++) {
        test_series(x, T, i + 1);
        ck_assert_int_eq(rob_query_add(c, q, x, 3, (int64_t)i), ROB_OK);
    }
    int64_t before = count.asked;
    count.left = at;
    status = whole_report(c, q);
    *asked = count.asked - before;
    count.left = -1;
    rob_query_free(q);
    rob_model_free(m);
    rob_ctx_free(c);
    ck_assert_int_eq(count.live, 0);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    int64_t asked, failed = 0;
    ck_assert_int_eq(report_with_failure(-1, &asked), ROB_OK);
    int64_t all = asked, divisor = rob_long() ? 1000000 : 12;
    for (int64_t at = 0; at < all; at += 1 + at / divisor) {
        rob_status status = report_with_failure(at, &asked);
        ck_assert_msg(status == ROB_OK || status == ROB_EMEMORY, "%d at %lld",
                      (int)status, (long long)at);
        failed += status == ROB_EMEMORY;
    }
    ck_assert(failed > 10);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("report");
    TCase *numbers = tcase_create("numbers"), *edges = tcase_create("edges");
    tcase_add_checked_fixture(numbers, start, stop);
    tcase_add_checked_fixture(edges, start, stop);
    suite_add_tcase(s, numbers);
    suite_add_tcase(s, edges);
    tcase_add_test(numbers, columns_are_the_methods_answers);
    tcase_add_test(numbers, what_the_query_knows_is_not_computed_again);
    tcase_add_loop_test(numbers, the_sandwich_holds, 0, 2);
    tcase_add_test(numbers, accuracies_fall_and_keep_their_order);
    tcase_add_test(numbers, proved_zeros_are_zeros);
    tcase_add_test(numbers, ranks_by_hand);
    tcase_add_test(numbers, quantiles_by_hand);
    tcase_add_test(edges, nothing_asked_nothing_said);
    tcase_add_loop_test(edges, other_norms_leave_probabilities_out, 0, 2);
    tcase_add_loop_test(edges, a_stopped_run_leaves_a_partial_report, 0, 7);
    tcase_add_test(edges, wrong_questions_are_refused);
    tcase_add_test(edges, every_allocation_may_fail);
    return rob_run_suite(s);
}
