/* front.c -- prices in front of a model: the same logits as returns taken by hand, and
 * attacks that leave every candle a candle, between proofs that hold. */
#include "attacking.h"

#include <robust.h>

enum { DAYS = 7, CANDLE = 4 };

static void fine(rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

/* DAYS + 1 candles of a random walk, some with wicks of 0 */
static void candles(double *x, uint64_t seed)
{
    rob_random r = rob_priv_random(seed, 12);
    double close = 3;
    for (int t = 0; t <= DAYS; t++, x += CANDLE) {
        x[0] = close + 0.01 * rob_priv_normal(&r);
        x[1] = t % 3 == 0 ? 0 : 0.01 * rob_priv_uniform(&r);
        x[2] = t % 4 == 0 ? 0 : 0.01 * rob_priv_uniform(&r);
        close = x[3] = x[0] + 0.02 * rob_priv_normal(&r);
    }
}

/* what the model behind sees of candles, by the definition */
static void seen(const double *x, int64_t features, double scale, double *y)
{
    for (int t = 1; t <= DAYS; t++, y += features) {
        const double *c = x + t * CANDLE, last = x[(t - 1) * CANDLE + 3];
        double high = fmax(c[0], c[3]) + c[1], low = fmin(c[0], c[3]) - c[2];
        double all[4] = { c[0] - last, high - last, low - last, c[3] - last };
        if (features == 1) y[0] = (c[3] - last) / scale;
        if (features == 2) y[0] = (c[3] - last) / scale, y[1] = (high - low) / scale;
        for (int k = 0; features == 4 && k < 4; k++) y[k] = all[k] / scale;
    }
}

static const int64_t widths[3] = { 1, 2, 4 };

START_TEST(logits_are_those_of_returns_taken_by_hand)
{
    double x[(DAYS + 1) * CANDLE], y[DAYS * 4], f[3], g[3];
    rob_model *inner;
    inner = test_model(ctx, ROB_KIND_LSTM, widths[_i], 5, 3, ROB_READOUT_MEAN, ROB_F64, 2);
    fine(rob_model_with_front(ctx, inner, "candles", 0.02, &model));
    for (uint64_t seed = 0; seed < 5; seed++) {
        candles(x, seed);
        seen(x, widths[_i], 0.02, y);
        fine(rob_model_predict(ctx, model, x, DAYS + 1, f, 3));
        fine(rob_model_predict(ctx, inner, y, DAYS, g, 3));
        /* 4 roundings of numbers of 3, over 0.02, through 7 steps of slope below 10 */
        for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(f[k], g[k], 1e-11);
    }
    rob_model_free(model);
    fine(rob_model_with_front(ctx, inner, "returns", 0.5, &model));
    for (int k = 0; k < (DAYS + 1) * widths[_i]; k++) x[k] = exp(0.1 * x[k]);
    for (int t = 1; t <= DAYS; t++)
        for (int j = 0; j < widths[_i]; j++)
            y[(t - 1) * widths[_i] + j] =
                log(x[t * widths[_i] + j] / x[(t - 1) * widths[_i] + j]) / 0.5;
    fine(rob_model_predict(ctx, model, x, DAYS + 1, f, 3));
    fine(rob_model_predict(ctx, inner, y, DAYS, g, 3));
    for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(f[k], g[k], 1e-11);
    rob_model_free(inner);
}
END_TEST

/* high and low enclose open and close at every attacked point; L <= U */
START_TEST(attacked_candles_are_candles)
{
    static const char *const methods[] = { "pgd", "deepfool", "auto", "hopskipjump" };
    const double low[CANDLE] = { -INFINITY, 0, 0, -INFINITY };
    double x[(DAYS + 1) * CANDLE], p[(DAYS + 1) * CANDLE], upper[6], lower[6];
    int32_t norm = _i % 2 ? ROB_NORM_LINF : ROB_NORM_L2;
    rob_bound *bound;
    int hits = 0;
    rob_model *inner = test_model(ctx, ROB_KIND_RNN_TANH, widths[_i % 3], 5, 2,
                                  ROB_READOUT_LAST, ROB_F32, 0.6);
    fine(rob_model_with_front(ctx, inner, "candles", 0.02, &model));
    fine(rob_query_create(ctx, model, &query));
    for (uint64_t seed = 0; seed < 6; seed++) {
        candles(x, seed);
        fine(rob_query_add(ctx, query, x, DAYS + 1, -1));
    }
    fine(rob_query_set_box(ctx, query, -1, low, NULL, CANDLE));
    fine(rob_query_set_ball(ctx, query, norm, INFINITY));
    by(methods[_i % 4]);
    fine(rob_attack_distance(ctx, attack, query, upper, 6));
    for (int64_t i = 0; i < 6; i++) {
        int64_t n;
        fine(rob_attack_get(ctx, attack, "point", i, p, (DAYS + 1) * CANDLE, &n));
        for (int t = 0; t <= DAYS; t++) {
            ck_assert_double_ge(p[t * CANDLE + 1], 0);
            ck_assert_double_ge(p[t * CANDLE + 2], 0);
        }
        hits += isfinite(upper[i]);
    }
    ck_assert_int_gt(hits, 0);
    fine(rob_bound_create(ctx, "crown", &bound));
    fine(rob_bound_radius(ctx, bound, query, lower, 6));
    for (int64_t i = 0; i < 6; i++) {
        ck_assert_double_gt(lower[i], 0);
        ck_assert_double_le(lower[i], upper[i]);
    }
    rob_bound_free(bound);
    rob_model_free(inner);
}
END_TEST

START_TEST(lengths_may_differ)
{
    double x[(DAYS + 1) * CANDLE], alone[2], margin[2];
    rob_model *inner = test_model(ctx, ROB_KIND_LSTM, 2, 5, 3, _i ? ROB_READOUT_MEAN : 0,
                                  ROB_F32, 2);
    fine(rob_model_with_front(ctx, inner, "candles", 0.02, &model));
    candles(x, 3);
    for (int k = 0; k < 2; k++) {
        ask(0, T, ROB_NORM_L2, INFINITY);
        fine(rob_query_add(ctx, query, x, k ? DAYS + 1 : 4, -1));
        fine(rob_query_get(ctx, query, "margin", 0, &alone[k], 1, NULL));
    }
    fine(rob_query_add(ctx, query, x, 4, -1));
    fine(rob_query_get(ctx, query, "margin", -1, margin, 2, NULL));
    ck_assert_double_eq(margin[0], alone[1]);
    ck_assert_double_eq(margin[1], alone[0]);
    rob_model_free(inner);
}
END_TEST

START_TEST(bad_arguments_are_named)
{
    rob_model *inner = test_model(ctx, ROB_KIND_LSTM, 3, 5, 3, 0, ROB_F32, 2), *m = inner;
    double x[CANDLE] = { 1, 1, 1 }, f[3];
    ck_assert_int_eq(rob_model_with_front(ctx, inner, "candles", 1, &m), ROB_ESHAPE);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(rob_model_with_front(ctx, inner, "bars", 1, &m), ROB_EARGUMENT);
    ck_assert_int_eq(rob_model_with_front(ctx, inner, "returns", 0, &m), ROB_EDOMAIN);
    ck_assert_int_eq(rob_model_with_front(ctx, inner, "returns", NAN, &m), ROB_EDOMAIN);
    ck_assert_int_eq(rob_model_with_front(ctx, NULL, "returns", 1, &m), ROB_EARGUMENT);
    fine(rob_model_with_front(ctx, inner, "returns", 1, &model));
    ck_assert_int_eq(rob_model_predict(ctx, model, x, 1, f, 3), ROB_ESHAPE);
    for (int64_t left = 0;; left++) {
        counting c = { .left = -1 };
        rob_ctx *poor;
        ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &poor),
                         ROB_OK);
        c.left = left;
        rob_status s = rob_model_with_front(poor, inner, "returns", 1, &m);
        rob_model_free(m);
        rob_ctx_free(poor);
        ck_assert_int_eq(c.live, 0);
        if (s == ROB_OK) break;
        ck_assert_int_eq(s, ROB_EMEMORY);
    }
    rob_model_free(inner);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("front");
    TCase *c = tcase_create("front");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, logits_are_those_of_returns_taken_by_hand, 0, 3);
    tcase_add_loop_test(c, attacked_candles_are_candles, 0, 12);
    tcase_add_loop_test(c, lengths_may_differ, 0, 2);
    tcase_add_test(c, bad_arguments_are_named);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
