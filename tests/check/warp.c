/* warp.c -- attacks in time only: what is reported is a warp, fails in both precisions,
 * and is the least one where the least is known. */
#include "attacking.h"

static void fine(rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static void read_answer(int64_t i, double *p, double *s, double *found)
{
    int64_t n;
    fine(rob_attack_get(ctx, attack, "point", i, p, 400, &n));
    fine(rob_attack_get(ctx, attack, "warp", i, s, 400, &n));
    fine(rob_attack_get(ctx, attack, "found", i, found, 1, NULL));
}

/* p is x at t + s_t, numbers rounded to float32 where they moved; returns max |s| */
static double check_warp(int64_t i, const double *p, const double *s, double width)
{
    const rob_case *c = &query->cases[i];
    double last = 0, most = 0;
    for (int64_t t = 0; t < c->steps; t++) {
        double tau = (double)t + s[t];
        ck_assert(tau >= last - 1e-12 && tau <= (double)(c->steps - 1));
        last = tau;
        most = fmax(most, fabs(s[t]));
        int64_t k = (int64_t)tau < c->steps - 1 ? (int64_t)tau : c->steps - 2;
        for (int64_t j = 0; j < D && c->steps > 1; j++) {
            double a = c->x[k * D + j], b = c->x[(k + 1) * D + j];
            double v = a + (tau - (double)k) * (b - a);
            /* one rounding to float32 of a number of at most 1; a point on a knot may
             * be seen from either side */
            ck_assert_double_eq_tol(p[t * D + j], v, 0x1p-24 + 1e-12);
        }
    }
    ck_assert_double_le(most, width);
    return most;
}

START_TEST(answers_are_warps_that_fail)
{
    double upper[N], p[400], s[400], found;
    int hits = 0;
    model = test_model(ctx, _i ? ROB_KIND_LSTM : ROB_KIND_RNN_TANH, D, 6, 3, 0, ROB_F32,
                       _i ? 4 : 1.5);
    ask(N, 12, ROB_NORM_L2, INFINITY);
    by("warp");
    distances(upper);
    for (int64_t i = 0; i < N; i++) {
        read_answer(i, p, s, &found);
        ck_assert_int_eq(found > 0, isfinite(upper[i]));
        double most = check_warp(i, p, s, 3);
        if (found == 0) continue;
        hits++;
        ck_assert_double_eq(most, upper[i]);
        ck_assert_double_le(margin_of(ROB_F64, i, p, 12), 0);
        ck_assert_double_le(margin_of(ROB_F32, i, p, 12), 0);
    }
    ck_assert_int_gt(hits, 0);
    /* other norms are not meant: nothing is kept as best */
    double best[N], margin[N], before[N];
    fine(rob_query_get(ctx, query, "best", -1, best, N, NULL));
    for (int i = 0; i < N; i++) ck_assert(isinf(best[i]));
    fine(rob_attack_set(ctx, attack, "width", 0.7));
    fine(rob_attack_margin(ctx, attack, query, margin, N));
    fine(rob_query_get(ctx, query, "margin", -1, before, N, NULL));
    for (int64_t i = 0; i < N; i++) {
        read_answer(i, p, s, &found);
        check_warp(i, p, s, 0.7);
        ck_assert_double_le(margin[i], before[i]);
    }
}
END_TEST

/* Ramps x_t = c t + a and affine f: F falls by sum |c w_t| for every step of width, but
 * not at the ends beyond the series; below half a step no two moves conflict. */
START_TEST(ramps_have_a_known_least_width)
{
    double upper[N], w[SIZE], f[2], x[SIZE];
    int seen = 0;
    model = affine_model(ctx, D, 2);
    for (int64_t i = 0; i < N; i++) {
        if (i == 0) ask(0, T, ROB_NORM_L2, INFINITY);
        rob_random r = rob_priv_random(9, (uint64_t)i);
        double c[D] = { 8 * rob_priv_uniform(&r) - 4, 8 * rob_priv_uniform(&r) - 4 };
        for (int64_t k = 0; k < SIZE; k++)
            x[k] = c[k % D] * (double)(k / D - T / 2);
        fine(rob_query_add(ctx, query, x, T, -1));
    }
    by("warp");
    fine(rob_attack_set(ctx, attack, "rounds", 20));
    distances(upper);
    for (int64_t i = 0; i < N; i++) {
        const double *at = query->cases[i].x;
        fine(rob_model_predict(ctx, model, at, T, f, 2));
        int64_t own = rob_priv_argmax(f, 2);
        affine_row(model, own, 1 - own, T, w);
        double gain = 0;
        for (int64_t t = 0; t < T; t++) {
            double slope = 0;
            for (int64_t j = 0; j < D; j++) slope += w[t * D + j] * (at[D + j] - at[j]);
            bool stuck = (t == 0 && slope > 0) || (t == T - 1 && slope < 0);
            if (!stuck) gain += fabs(slope);
        }
        double exact = (f[own] - f[1 - own]) / gain;
        if (exact > 0.45) continue;
        seen++;
        /* float32's noise in F (attack suite) over the gain; 1e-3: the bisection */
        ck_assert_double_ge(upper[i], exact * (1 - 1e-6) - 2 * 32 * 0x1p-24 * 100 / gain);
        ck_assert_double_le(upper[i],
                            exact * (1 + 3e-3) + 2 * 32 * 0x1p-24 * 100 / gain);
    }
    ck_assert_int_gt(seen, 0);
}
END_TEST

START_TEST(edges_and_refusals)
{
    double upper[N], x[D] = { 1, 2 }, s[1];
    uint8_t mask[D] = { 1, 0 };
    model = test_model(ctx, ROB_KIND_LSTM, D, 4, 3, 0, ROB_F32, 3);
    ask(0, 1, ROB_NORM_L1, INFINITY);
    fine(rob_query_add(ctx, query, x, 1, -1));
    by("warp");
    distances(upper);
    ck_assert(isinf(upper[0]));
    fine(rob_attack_get(ctx, attack, "warp", 0, s, 1, NULL));
    ck_assert_double_eq(s[0], 0);
    fine(rob_query_set_mask(ctx, query, -1, mask, D));
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, upper, 1),
                     ROB_EUNSUPPORTED);
    fine(rob_query_set_mask(ctx, query, -1, NULL, 0));
    fine(rob_query_set_steps(ctx, query, 1));
    fine(rob_query_set_relative(ctx, query, 1));
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, upper, 1),
                     ROB_EUNSUPPORTED);
    by("pgd");
    ck_assert_int_eq(rob_attack_get(ctx, attack, "warp", 0, s, 1, NULL), ROB_EARGUMENT);
}
END_TEST

START_TEST(failing_memory_is_told)
{
    double x[SIZE], upper;
    rob_model *m = test_model(ctx, ROB_KIND_RNN_TANH, D, 3, 2, 0, ROB_F32, 1);
    test_series(x, SIZE, 3);
    for (int64_t left = 0;; left++) {
        counting c = { .left = left };
        rob_ctx *poor;
        rob_query *q = NULL;
        rob_attack *a = NULL;
        rob_status s = rob_ctx_create_with(counting_take, counting_drop, &c, &poor);
        if (s == ROB_OK) s = rob_query_create(poor, m, &q);
        if (s == ROB_OK) s = rob_query_add(poor, q, x, T, -1);
        if (s == ROB_OK) s = rob_attack_create(poor, "warp", &a);
        if (s == ROB_OK) s = rob_attack_set(poor, a, "steps", 2);
        if (s == ROB_OK) s = rob_attack_distance(poor, a, q, &upper, 1);
        rob_attack_free(a);
        rob_query_free(q);
        rob_ctx_free(poor);
        ck_assert_int_eq(c.live, 0);
        if (s == ROB_OK) break;
        ck_assert_int_eq(s, ROB_EMEMORY);
    }
    rob_model_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("warp");
    TCase *c = tcase_create("warp");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, answers_are_warps_that_fail, 0, 2);
    tcase_add_test(c, ramps_have_a_known_least_width);
    tcase_add_test(c, edges_and_refusals);
    tcase_add_test(c, failing_memory_is_told);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
