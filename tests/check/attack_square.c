/* attack_square.c -- random search over windows: closed forms, shapes, callbacks, memory. */
#include "attacking.h"

#include <stdlib.h>

static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };
static const int32_t duals[3] = { ROB_NORM_L2, ROB_NORM_L1, ROB_NORM_LINF };

static void fine(rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static void margins(double *margin)
{
    fine(rob_attack_margin(ctx, attack, query, margin, rob_query_count(query)));
}

static double answer(const char *what, int64_t i)
{
    double v;
    fine(rob_attack_get(ctx, attack, what, i, &v, 1, NULL));
    return v;
}

START_TEST(affine_margins_come_near_the_closed_form)
{
    const double noise = 2 * 32 * 0x1p-24 * 100, radius = 0.8;
    double margin[N], w[SIZE], d[SIZE];
    model = affine_model(ctx, D, 2);
    ask(N, T, norms[_i], radius);
    by("square");
    margins(margin);
    affine_row(model, 0, 1, T, w);
    double dual = rob_priv_norm(duals[_i], w, SIZE);
    for (int64_t i = 0; i < N; i++) {
        double least = number("margin", i) - radius * dual;
        ck_assert_double_ge(margin[i], least - 1e-11);
        /* Linf: single numbers are flipped in the end, and F has no other minimum than the
         * corner; elsewhere most of the way */
        double slack = _i == 1 ? 0 : 0.25 * radius * dual;
        ck_assert_double_le(margin[i], least + noise + slack);
        fine(rob_attack_get(ctx, attack, "perturbation", i, d, SIZE, NULL));
        ck_assert_double_le(rob_priv_norm(norms[_i], d, SIZE), radius);
        ck_assert_double_eq(answer("calls", i), 5000);
    }
}
END_TEST

START_TEST(sequences_of_any_shape)
{
    static const int64_t shapes[][2] = { { 1, 1 }, { 1, 5 }, { 2, 3 }, { 97, 1 },
                                         { 13, 24 } };
    int64_t steps = shapes[_i / 3][0], features = shapes[_i / 3][1];
    double margin[2], x[400];
    model = test_model(ctx, ROB_KIND_LSTM, features, 5, 2, ROB_READOUT_LAST, ROB_F32, 2);
    ask(2, steps, norms[_i % 3], 1);
    uint8_t mask[400];
    for (int k = 0; k < 400; k++) mask[k] = k % 4 != 1;
    fine(rob_query_set_mask(ctx, query, 1, mask, steps * features));
    by("square");
    fine(rob_attack_set(ctx, attack, "queries", 200));
    margins(margin);
    for (int64_t i = 0; i < 2; i++) {
        double d[400];
        int64_t n;
        fine(rob_attack_get(ctx, attack, "perturbation", i, d, 400, &n));
        fine(rob_attack_get(ctx, attack, "point", i, x, 400, NULL));
        ck_assert_double_le(rob_priv_norm(norms[_i % 3], d, n), 1);
        for (int64_t k = 0; i == 1 && k < n; k++)
            if (!mask[k]) ck_assert_double_eq(d[k], 0);
        double in64 = margin_of(ROB_F64, i, x, steps), in32 = margin_of(ROB_F32, i, x, steps);
        ck_assert_double_eq(margin[i], in64 > in32 ? in64 : in32);
        if (n > 1) ck_assert_double_lt(margin[i], number("margin", i));
    }
}
END_TEST

static int nearer(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

START_TEST(seeds_threads_stopping_distances)
{
    enum { MANY = 12 };
    double upper[MANY], one[MANY], two[MANY], less[MANY], sorted[MANY];
    int64_t broken = 0;
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 3, ROB_READOUT_LAST, ROB_F32, 1.2);
    ask(MANY, 12, norms[_i], INFINITY);
    by("square");
    fine(rob_attack_set(ctx, attack, "queries", 3000));
    distances(upper);
    check_points(upper, INFINITY);
    for (int i = 0; i < MANY; i++) ck_assert_double_le(answer("calls", i), 3000);
    memcpy(sorted, upper, sizeof sorted);
    qsort(sorted, MANY, sizeof *sorted, nearer);
    ck_assert(isfinite(sorted[MANY / 2]));
    fine(rob_query_set_ball(ctx, query, norms[_i], sorted[MANY / 2]));
    fine(rob_attack_set(ctx, attack, "queries", 400));
    margins(one);
    fine(rob_ctx_set_threads(ctx, 2));
    margins(two);
    ck_assert_mem_eq(one, two, sizeof one);
    fine(rob_attack_set(ctx, attack, "seed", 1));
    margins(two);
    ck_assert(memcmp(one, two, sizeof one) != 0);
    fine(rob_attack_set(ctx, attack, "restarts", 2));
    fine(rob_attack_set(ctx, attack, "stop", 1));
    margins(less);
    for (int i = 0; i < MANY; i++) {
        broken += less[i] <= 0;
        /* the first search is the same: what it broke is broken */
        if (two[i] <= 0) ck_assert_double_le(less[i], 0);
        if (less[i] <= 0) ck_assert_double_lt(answer("calls", i), 800);
        else ck_assert_double_eq(answer("calls", i), 800);
    }
    ck_assert_int_gt(broken, 0);
}
END_TEST

/* ---- a callback that gives scores and nothing else ------------------------------- */

static rob_model *inner;

static int32_t scores(void *user, const double *x, int64_t rows, int64_t steps,
                      double *logits)
{
    rob_ctx *own = user;
    for (int64_t r = 0; r < rows; r++)
        if (rob_model_predict(own, inner, x + r * steps * D, steps, logits + r * 3, 3)
            != ROB_OK)
            return 1;
    return 0;
}

START_TEST(callbacks_need_no_slopes)
{
    double upper[3], margin[3];
    rob_ctx *own;
    fine(rob_ctx_create(&own));
    inner = test_model(own, ROB_KIND_LSTM, D, 5, 3, ROB_READOUT_LAST, ROB_F64, 3);
    fine(rob_model_from_callback(ctx, D, 3, scores, NULL, own, &model));
    ask(3, T, norms[_i], INFINITY);
    by("pgd");
    ck_assert_int_lt(rob_attack_distance(ctx, attack, query, upper, 3), 0);
    by("square");
    fine(rob_attack_set(ctx, attack, "queries", 1200));
    distances(upper);
    check_points(upper, INFINITY);
    double most = 0;
    for (int i = 0; i < 3; i++) {
        ck_assert(isfinite(upper[i]));
        most = fmax(most, upper[i]);
    }
    fine(rob_query_set_ball(ctx, query, norms[_i], 2 * most));
    margins(margin);
    for (int i = 0; i < 3; i++) ck_assert_double_le(margin[i], 0);
    rob_model_free(inner);
    rob_ctx_free(own);
}
END_TEST

/* ---- refusals, memory ------------------------------------------------------------ */

START_TEST(what_is_refused)
{
    double out[N];
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, INFINITY);
    by("square");
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, out, N), ROB_EARGUMENT);
    ck_assert_int_eq(rob_attack_set_text(ctx, attack, "loss", "ce"), ROB_EARGUMENT);
    ck_assert_int_lt(rob_attack_set(ctx, attack, "queries", 0), 0);
    fine(rob_query_set_ball(ctx, query, ROB_NORM_L0, 3));
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, out, N), ROB_EUNSUPPORTED);
}
END_TEST

static rob_status whole(rob_ctx *own, rob_model *m, double *out)
{
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    rob_attack *a = NULL;
    double x[SIZE];
    test_series(x, SIZE, 1);
    TRY(rob_query_create(own, m, &q));
    TRY(rob_query_add(own, q, x, T, -1));
    TRY(rob_query_set_ball(own, q, ROB_NORM_L2, 0.5));
    TRY(rob_attack_create(own, "square", &a));
    TRY(rob_attack_set(own, a, "queries", 4));
    TRY(rob_attack_margin(own, a, q, out, 1));
done:
    rob_attack_free(a);
    rob_query_free(q);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    every_allocation_fails_once(whole, 20);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attack_square");
    TCase *c = tcase_create("windows");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, affine_margins_come_near_the_closed_form, 0, 3);
    tcase_add_loop_test(c, sequences_of_any_shape, 0, 15);
    tcase_add_loop_test(c, seeds_threads_stopping_distances, 0, 3);
    tcase_add_loop_test(c, callbacks_need_no_slopes, 0, 3);
    tcase_add_test(c, what_is_refused);
    tcase_add_test(c, every_allocation_may_fail);
    suite_add_tcase(s, c);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
