/* attack_loss.c -- what searches descend on, and Auto-PGD with it: slopes against
 * differences, what scaling the outputs leaves alone, closed forms, memory. */
#include "attacking.h"

#include "attack/attack.h"

static const char *const losses[3] = { "margin", "ce", "dlr" };
static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };
static const int32_t duals[3] = { ROB_NORM_L2, ROB_NORM_L1, ROB_NORM_LINF };
enum { MOST = 7 };

static void fine(rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

/* ---- the losses ------------------------------------------------------------------ */

typedef struct asked {
    double c[MOST * MOST], b[MOST];
    int32_t group[MOST];
    rob_case k;
} asked;

static void specify(asked *a, int64_t outputs, int64_t reference, int64_t target)
{
    *a = (asked){ .k = { .reference = reference, .target = target, .margin = 1.5 } };
    a->k.spec = (rob_spec){ .c = a->c, .b = a->b, .group = a->group };
    rob_priv_spec_fill(&a->k.spec, outputs, reference, target);
}

static double value_at(const asked *a, int32_t loss, int64_t aim, const double *f,
                       double *seed)
{
    rob_lane l = { .loss = loss, .aim = aim };
    rob_priv_loss_seed(&a->k, &l, f, seed);
    return l.loss_value;
}

/* outputs at least 0.05 apart, in random order: no kink within reach of a difference */
static void draw_outputs(rob_random *r, int64_t n, double *f)
{
    int64_t order[MOST];
    for (int64_t k = 0; k < n; k++) order[k] = k;
    rob_priv_shuffle(r, order, n);
    f[order[0]] = rob_priv_normal(r);
    for (int64_t k = 1; k < n; k++)
        f[order[k]] = f[order[k - 1]] - 0.05 - rob_priv_uniform(r);
}

START_TEST(slopes_are_those_of_the_value)
{
    rob_random random = rob_priv_random(3, (uint64_t)_i);
    int64_t n = 2 + _i % 6;
    int32_t loss = _i / 6 % 3;
    for (int pass = 0; pass < 60; pass++) {
        asked a;
        double f[MOST], seed[MOST], other[MOST], sum = 0;
        int64_t reference = rob_priv_below(&random, n), target = -1, aim = -1;
        if (pass % 3 == 1) target = (reference + 1) % n;
        if (pass % 3 == 2) aim = rob_priv_below(&random, n - 1);
        specify(&a, n, reference, target);
        draw_outputs(&random, n, f);
        value_at(&a, loss, aim, f, seed);
        for (int64_t k = 0; k < n; k++) {
            /* third derivatives of the ratio are below 6 (|F| + 1)/spread^4 < 1e8 here,
             * those of the log-odds below 1: h^2/6 of it, and eps |value|/h */
            double h = 1e-6, keep = f[k], up, down;
            f[k] = keep + h;
            up = value_at(&a, loss, aim, f, other);
            f[k] = keep - h;
            down = value_at(&a, loss, aim, f, other);
            f[k] = keep;
            ck_assert_double_eq_tol(seed[k], (up - down) / (2 * h), 1e-4);
            sum += seed[k];
        }
        /* functions of differences alone */
        ck_assert_double_eq_tol(sum, 0, 1e-12 * n * 1e3);
    }
}
END_TEST

START_TEST(ratios_do_not_see_the_scale)
{
    rob_random random = rob_priv_random(4, 0);
    for (int pass = 0; pass < 200; pass++) {
        asked a;
        double f[MOST], g[MOST], seed[MOST], other[MOST];
        int64_t n = 2 + pass % 6;
        int32_t dlr = rob_priv_loss_named("dlr");
        specify(&a, n, pass % n, -1);
        draw_outputs(&random, n, f);
        for (int64_t k = 0; k < n; k++) g[k] = ldexp(f[k], pass % 2 ? 40 : -40);
        double value = value_at(&a, dlr, -1, f, seed);
        a.k.margin = ldexp(a.k.margin, pass % 2 ? 40 : -40);
        /* a power of two: exact */
        ck_assert_double_eq(value, value_at(&a, dlr, -1, g, other));
        for (int64_t k = 0; k < n; k++)
            ck_assert_double_eq(seed[k], ldexp(other[k], pass % 2 ? 40 : -40));
    }
}
END_TEST

START_TEST(saturated_entropy_has_a_slope)
{
    asked a;
    double f[3] = { 0, 4e5, -1 }, g[3] = { 0, 5e5, -1 }, seed[3];
    specify(&a, 3, 1, -1);
    double value = value_at(&a, 1, -1, f, seed);
    ck_assert_double_eq(seed[1], 1);
    ck_assert_double_lt(seed[0], -0.5);
    ck_assert_double_lt(value, value_at(&a, 1, -1, g, seed));
    /* ties: no spread, and the margin in its place */
    double tied[3] = { 2, 2, 2 };
    ck_assert_double_eq(value_at(&a, 2, -1, tied, seed), 0);
    ck_assert_double_eq(seed[1], 1);
}
END_TEST

/* ---- Auto-PGD -------------------------------------------------------------------- */

static void margins(double *margin)
{
    fine(rob_attack_margin(ctx, attack, query, margin, rob_query_count(query)));
}

/* least margin of the affine classifier in a ball */
static double least_in(int64_t i, int norm, double r)
{
    double x[SIZE], f[8], w[SIZE], least = INFINITY;
    int64_t outputs = model->recipe.outputs;
    fine(rob_query_get(ctx, query, "x", i, x, SIZE, NULL));
    fine(rob_model_predict(ctx, model, x, T, f, 8));
    int64_t c = rob_priv_argmax(f, outputs);
    for (int64_t k = 0; k < outputs; k++) {
        if (k == c) continue;
        affine_row(model, c, k, T, w);
        least = fmin(least, f[c] - f[k] - r * rob_priv_norm(duals[norm], w, SIZE));
    }
    return least;
}

START_TEST(affine_margins_are_the_closed_form)
{
    /* sums of at most 32 terms, together at most 100 in size, in float32, twice */
    const double noise = 2 * 32 * 0x1p-24 * 100;
    int norm = _i % 3, loss = _i / 3 % 3, classes = _i < 9 ? 2 : 4;
    double margin[N];
    model = affine_model(ctx, D, classes);
    for (double r = 0.05; r < 2; r = 2 * r) {
        ask(N, T, norms[norm], r);
        by("apgd");
        fine(rob_attack_set_text(ctx, attack, "loss", losses[loss]));
        /* every class is gone for: the nearest in value need not be the one */
        fine(rob_attack_set(ctx, attack, "targets", 3));
        margins(margin);
        for (int64_t i = 0; i < N; i++) {
            double least = least_in(i, norm, r), p[SIZE], d[SIZE];
            ck_assert_double_ge(margin[i], least - 1e-11);
            /* entropy goes for no class in particular: where none is near, a mixture of
             * their slopes, which is a bound from above only */
            if (classes == 2 || loss == 0) ck_assert_double_le(margin[i], least + noise);
            fine(rob_attack_get(ctx, attack, "perturbation", i, d, SIZE, NULL));
            ck_assert_double_le(rob_priv_norm(norms[norm], d, SIZE), r);
            if (margin[i] > 0) continue;
            fine(rob_attack_get(ctx, attack, "point", i, p, SIZE, NULL));
            ck_assert_double_le(margin_of(ROB_F64, i, p, T), 0);
            ck_assert_double_le(margin_of(ROB_F32, i, p, T), 0);
        }
    }
}
END_TEST

START_TEST(two_classes_have_one_descent)
{
    double by_loss[3][N];
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 2, ROB_READOUT_LAST, ROB_F32, 1.2);
    ask(N, 12, norms[_i], _i == 1 ? 0.3 : 1);
    by("apgd");
    for (int k = 0; k < 3; k++) {
        fine(rob_attack_set_text(ctx, attack, "loss", losses[k]));
        margins(by_loss[k]);
    }
    /* one slope, one order: the same bits up to the division by the margin at x */
    ck_assert_mem_eq(by_loss[0], by_loss[1], sizeof by_loss[0]);
    for (int i = 0; i < N; i++) {
        ck_assert_double_lt(by_loss[2][i], number("margin", i));
        ck_assert_double_eq_tol(by_loss[2][i], by_loss[0][i],
                                0.05 * fabs(number("margin", i) - by_loss[0][i]));
    }
}
END_TEST

static void scale_head(int64_t classes, float by)
{
    float *weight = model->parameter[HEAD_W].tensor->data;
    float *shift = model->parameter[HEAD_B].tensor->data;
    for (int64_t i = 0; i < classes * 8; i++) weight[i] *= by;
    for (int64_t i = 0; i < classes; i++) shift[i] *= by;
}

START_TEST(descent_on_the_ratio_does_not_see_the_scale)
{
    double plain[24], scaled[24], margin[1];
    for (int classes = 2; classes < 5; classes++) {
        for (int pass = 0; pass < 2; pass++) {
            rob_model_free(model);
            model = test_model(ctx, ROB_KIND_LSTM, D, 8, classes, ROB_READOUT_LAST,
                               ROB_F32, 1.2);
            if (pass) scale_head(classes, 0x1p-60f);
            ask(1, 12, norms[_i], 0.5);
            by("apgd");
            fine(rob_attack_set_text(ctx, attack, "loss", "dlr"));
            margins(margin);
            fine(rob_attack_get(ctx, attack, "perturbation", 0, pass ? scaled : plain, 24,
                                NULL));
        }
        ck_assert_mem_eq(plain, scaled, sizeof plain);
    }
}
END_TEST

START_TEST(restarts_targets_threads)
{
    double one[N], more[N], again[N], calls;
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 4, ROB_READOUT_LAST, ROB_F32, 1.2);
    ask(N, 12, norms[_i], _i == 1 ? 0.2 : 0.7);
    by("apgd");
    fine(rob_attack_set(ctx, attack, "steps", 30));
    margins(one);
    fine(rob_attack_set(ctx, attack, "restarts", 3));
    margins(more);
    /* searches are compared in float32, points judged after their rounding: F of order
     * one, a hundred operations deep, knows 100 x 2^-24 */
    for (int i = 0; i < N; i++) ck_assert_double_le(more[i], one[i] + 100 * 0x1p-24);
    fine(rob_attack_set(ctx, attack, "targets", 9));
    margins(more);
    fine(rob_ctx_set_threads(ctx, 2));
    margins(again);
    ck_assert_mem_eq(more, again, sizeof more);
    fine(rob_attack_get(ctx, attack, "calls", 0, &calls, 1, NULL));
    ck_assert_double_eq(calls, 3 * 3 * 30);
    fine(rob_query_set_ball(ctx, query, norms[_i], INFINITY));
    distances(more);
    check_points(more, INFINITY);
    for (int i = 0; i < N; i++) ck_assert(isfinite(more[i]));
}
END_TEST

START_TEST(what_is_refused)
{
    double out[N];
    const double c[2] = { 1, -1 }, b[1] = { 3 };
    const int32_t group[1] = { 0 };
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, 1);
    by("apgd");
    ck_assert_int_eq(rob_attack_set_text(ctx, attack, "loss", "dl"), ROB_EARGUMENT);
    fine(rob_attack_set_text(ctx, attack, "loss", "dlr"));
    fine(rob_query_set_rows(ctx, query, c, b, group, 1));
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, out, N), ROB_EUNSUPPORTED);
    fine(rob_attack_set_text(ctx, attack, "loss", "margin"));
    margins(out);
    fine(rob_query_set_ball(ctx, query, ROB_NORM_L0, 3));
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, out, N), ROB_EUNSUPPORTED);
    ck_assert_int_lt(rob_attack_set(ctx, attack, "targets", 0), 0);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "momentum", 1), ROB_EARGUMENT);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------- */

static rob_status whole(rob_ctx *own, rob_model *m, double *out)
{
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    rob_attack *a = NULL;
    double x[2 * SIZE];
    test_series(x, 2 * SIZE, 1);
    TRY(rob_query_create(own, m, &q));
    TRY(rob_query_add(own, q, x, T, -1));
    TRY(rob_query_add(own, q, x + SIZE, T - 1, -1));
    TRY(rob_query_set_ball(own, q, ROB_NORM_L1, 0.5));
    TRY(rob_attack_create(own, "apgd", &a));
    TRY(rob_attack_set(own, a, "steps", 4));
    TRY(rob_attack_margin(own, a, q, out, 2));
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
    Suite *s = suite_create("attack_loss");
    TCase *c = tcase_create("losses");
    tcase_add_loop_test(c, slopes_are_those_of_the_value, 0, 18);
    tcase_add_test(c, ratios_do_not_see_the_scale);
    tcase_add_test(c, saturated_entropy_has_a_slope);
    suite_add_tcase(s, c);
    c = tcase_create("Auto-PGD");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, affine_margins_are_the_closed_form, 0, 18);
    tcase_add_loop_test(c, two_classes_have_one_descent, 0, 3);
    tcase_add_loop_test(c, descent_on_the_ratio_does_not_see_the_scale, 0, 3);
    tcase_add_loop_test(c, restarts_targets_threads, 0, 3);
    tcase_add_test(c, what_is_refused);
    tcase_add_test(c, every_allocation_may_fail);
    suite_add_tcase(s, c);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
