/* attack_polish.c -- "auto" ends on stationary points, and says how it got there. */
#include "harness.h"
#include "geometry.h"
#include "attacking.h"


#include "query/local.h"

static double named(const char *what, int64_t i)
{
    double v;
    ck_assert_msg(rob_attack_get(ctx, attack, what, i, &v, 1, NULL) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return v;
}

/* 1 - (F - g.d)/(||g||_q ||d||_p) at the point reported, from float64 gradients */
static double residual_at(int64_t i, int32_t norm, int32_t dual, int64_t steps)
{
    double p[400], x[400], d[400], g[400], f[8], along = 0;
    int64_t n, row;
    rob_local *local;
    const rob_spec *s = &query->cases[i].spec;
    ck_assert_int_eq(rob_query_get(ctx, query, "x", i, x, 400, &n), ROB_OK);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "point", i, p, 400, NULL), ROB_OK);
    ck_assert_int_eq(rob_priv_local_create(ctx, model, steps, false, &local), ROB_OK);
    rob_priv_local_place(local, p, f);
    double margin = rob_priv_spec_margin(s, f, &row);
    rob_priv_local_gradient(local, s->c + row * s->outputs, g);
    rob_priv_local_free(local);
    for (int64_t k = 0; k < n; k++) along += g[k] * (d[k] = p[k] - x[k]);
    return 1 - (margin - along) / rob_priv_norm(dual, g, n) / rob_priv_norm(norm, d, n);
}

static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };
static const int32_t duals[3] = { ROB_NORM_L2, ROB_NORM_L1, ROB_NORM_LINF };
static const int32_t kinds[2] = { ROB_KIND_LSTM, ROB_KIND_RNN_TANH };

START_TEST(nearest_points_satisfy_the_first_order_conditions)
{
    int norm = _i % 3;
    double upper[N], worst = 0;
    model =
        test_model(ctx, kinds[_i / 3], D, 10, 3, ROB_READOUT_LAST, ROB_F32, 1.0);
    ask(N, 20, norms[norm], INFINITY);
    by("auto");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "precision", 64), ROB_OK);
    distances(upper);
    check_points(upper, INFINITY);
    for (int i = 0; i < N; i++) {
        double own = named("residual", i);
        double seen = residual_at(i, norms[norm], duals[norm], 20);
        ck_assert(isfinite(upper[i]));
        ck_assert_double_le(own, 1e-2);
        /* the point was moved along its ray by the overshoot, 1e-4 of its length, and
         * g with it by that times the curvature, which is of the order of 1 here */
        ck_assert_double_le(fabs(own - fmax(seen, 0)), 1e-3);
        worst = fmax(worst, own);
    }
    /* no search of this net and seed may end far from stationary in L2, where the model
     * has curvature */
    if (norm == 0) ck_assert_double_le(worst, 1e-3);
}
END_TEST

START_TEST(more_calls_are_never_worse_than_their_first_phase)
{
    /* the linear phase alone is what remains of a budget that ends there; every later
     * phase keeps it, up to the last line search's ray: bracket and overshoot, 2e-4 */
    double few[N], many[N];
    int norm = _i % 3;
    model = test_model(ctx, ROB_KIND_LSTM, D, 10, 2, ROB_READOUT_LAST, ROB_F32, 1.0);
    ask(N, 20, norms[norm], INFINITY);
    by("deepfool");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "steps", 10), ROB_OK);
    distances(few);
    by("auto");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "calls", 900), ROB_OK);
    distances(many);
    for (int i = 0; i < N; i++) {
        ck_assert_double_le(many[i], few[i] * (1 + 2e-4));
        ck_assert_double_le(named("calls", i), 900);
        ck_assert_double_ge(named("source", i), 1);
        ck_assert_double_le(named("source", i), 4);
    }
}
END_TEST

/* Rows of a batch do not see one another: the first series' answer is what it is alone,
 * unless others may be starts. */
START_TEST(neighbours_change_no_bit)
{
    double alone, among[N];
    model = test_model(ctx, kinds[_i / 3], D, 10, 3, ROB_READOUT_LAST, ROB_F32, 1.0);
    by("auto");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "others", 0), ROB_OK);
    ask(1, 20, norms[_i % 3], INFINITY);
    distances(&alone);
    ask(N, 20, norms[_i % 3], INFINITY);
    rob_ctx_set_threads(ctx, 2);
    distances(among);
    ck_assert(isfinite(alone));
    ck_assert_double_eq(alone, among[0]);
}
END_TEST

/* the nearest of the series that would fail in place of series i; INFINITY: none would */
static double nearest_other(int64_t i, int32_t norm)
{
    double x[400], y[400], f[8], least = INFINITY;
    int64_t n;
    ck_assert_int_eq(rob_query_get(ctx, query, "x", i, x, 400, &n), ROB_OK);
    for (int64_t j = 0; j < rob_query_count(query); j++) {
        ck_assert_int_eq(rob_query_get(ctx, query, "x", j, y, 400, NULL), ROB_OK);
        ck_assert_int_eq(rob_model_predict(ctx, model, y, n / D, f, 8), ROB_OK);
        if (rob_priv_spec_margin(&query->cases[i].spec, f, NULL) > 0) continue;
        for (int64_t k = 0; k < n; k++) y[k] -= x[k];
        least = fmin(least, rob_priv_norm(norm, y, n));
    }
    return least;
}

/* Where gates saturate slopes at x point nowhere, but the boundary is crossed on the way to
 * any series of another class. */
START_TEST(another_series_is_a_start)
{
    enum { MANY = 40 };
    double with[MANY], without[MANY];
    int met = 0, won = 0;
    model = test_model(ctx, ROB_KIND_LSTM, D, 10, 2, ROB_READOUT_LAST, ROB_F32, 60);
    ask(MANY, 20, norms[_i], INFINITY);
    by("auto");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "calls", 120), ROB_OK);
    distances(with);
    check_points(with, INFINITY);
    for (int i = 0; i < MANY; i++) {
        double way = nearest_other(i, norms[_i]);
        /* the nearest in L2 is the one taken: at most sqrt(numbers) as far in Linf */
        double slack = _i == 0 ? 1 + 1e-3 : sqrt(20 * D);
        if (way < INFINITY) ck_assert_double_le(with[i], way * slack);
        met += way < INFINITY;
    }
    ck_assert_int_gt(met, 0);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "others", 0), ROB_OK);
    distances(without);
    for (int i = 0; i < MANY; i++) won += with[i] < 0.99 * without[i];
    ck_assert_int_gt(won, 0);
}
END_TEST

START_TEST(no_budget_is_overspent)
{
    static const int calls[] = { 4, 7, 33, 80, 100, 121, 125, 160, 250, 333, 640 };
    double upper[N];
    model = test_model(ctx, kinds[_i / 3], D, 10, 4, ROB_READOUT_LAST, ROB_F32, 1.0);
    ask(N, 20, norms[_i % 3], INFINITY);
    for (int searches = 0; searches <= 16; searches += searches < 3 ? 1 : 13)
        for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
            by("auto");
            rob_attack_set(ctx, attack, "searches", searches);
            rob_attack_set(ctx, attack, "calls", calls[k]);
            distances(upper);
            for (int i = 0; i < N; i++)
                ck_assert_msg(named("calls", i) <= calls[k], "%g of %d, %d searches",
                              named("calls", i), calls[k], searches);
        }
}
END_TEST

/* Two parallel planes at the same distance on either side: two nearest points. */
START_TEST(both_sides_of_a_band_are_counted)
{
    double x[SIZE], f[2], upper;
    const double c[4] = { 1, 0, -1, 0 };
    const int32_t group[2] = { 0, 1 };
    model = affine_model(ctx, D, 2);
    ask(1, T, norms[_i], INFINITY);
    ck_assert_int_eq(rob_query_get(ctx, query, "x", 0, x, SIZE, NULL), ROB_OK);
    ck_assert_int_eq(rob_model_predict(ctx, model, x, T, f, 2), ROB_OK);
    const double b[2] = { 3 - f[0], 3 + f[0] };
    ck_assert_int_eq(rob_query_set_rows(ctx, query, c, b, group, 2), ROB_OK);
    by("auto");
    distances(&upper);
    ck_assert_double_eq(named("closest", 0), 2);
    ck_assert_int_eq(rob_query_set_rows(ctx, query, c, b, group, 1), ROB_OK);
    distances(&upper);
    ck_assert_double_eq(named("closest", 0), 1);
    uint8_t none[SIZE] = { 0 };
    ck_assert_int_eq(rob_query_set_mask(ctx, query, -1, none, SIZE), ROB_OK);
    distances(&upper);
    ck_assert_double_eq(named("closest", 0), 0);
    ck_assert(isnan(named("residual", 0)));
}
END_TEST

/* ---- second order ---------------------------------------------------------------- */

enum { Q = 6 };

/* F = 1 - d_0 + sum_i l_i d_i^2/2, i > 0: from x = 0 the point (1, 0, ...) with curvatures
 * l_i, so factors 1 + l_i; with scales s the same in u = d/s, where r = 1/s_0, ||g|| = s_0
 * and the curvatures are l_i s_i^2/s_0. */
static void ask_quadric(quadratic *k, double second)
{
    const double x[Q] = { 0 };
    k->steps = 3;
    k->features = 2;
    k->t0 = 1;
    k->j[0] = -1;
    model = quadratic_model(ctx, k);
    query = query_of(ctx, model, x, 3);
    ck_assert_int_eq(rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY), ROB_OK);
    by("auto");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "second", second), ROB_OK);
}

START_TEST(factors_are_the_closed_form)
{
    static const double scale[Q] = { 2, 1, 0.5, 1, 1, 1 };
    const double low[Q] = { -9, 0, -9, -9, -9, -9 }, high[Q] = { 9, 9, 9, 9, 9, 9 };
    const uint8_t mask[Q] = { 1, 0, 1, 1, 1, 1 };
    quadratic k = { .lambda = { 0, -0.5, -0.3, 0.2, 1, 3 } };
    double upper, want[5] = { 0.5, 1 - 0.5 / 4, 0.7, 0.7, 0 };
    ask_quadric(&k, _i < 4);
    if (_i == 1)
        ck_assert_int_eq(rob_query_set_scale(ctx, query, -1, scale, Q), ROB_OK);
    if (_i == 2) ck_assert_int_eq(rob_query_set_mask(ctx, query, -1, mask, Q), ROB_OK);
    if (_i == 3)
        ck_assert_int_eq(rob_query_set_box(ctx, query, -1, low, high, Q), ROB_OK);
    distances(&upper);
    ck_assert_double_eq_tol(upper, _i == 1 ? 0.5 : 1, 2e-4);
    double factor = named("factor", 0);
    if (_i == 4) ck_assert(isnan(factor)); /* nobody asked */
    /* the point is overshot by 1e-4 and its normal off by the square root of the residual
     * of polish, about 1e-3: as much in cosines as in the factor */
    else ck_assert_double_eq_tol(factor, want[_i], 5e-3);
    double other = 0;
    ck_assert_int_eq(rob_query_set_ball(ctx, query, ROB_NORM_LINF, INFINITY), ROB_OK);
    distances(&other);
    ck_assert(isnan(named("factor", 0)));
}
END_TEST

/* (1, 0, ...) is a saddle: from there every way along l_1 is shorter. The nearest point has
 * d_0 = 1/4, at sqrt(7)/4. */
START_TEST(a_saddle_is_no_answer)
{
    quadratic k = { .lambda = { 0, -4, 1, 1, 1, 1 } };
    double upper;
    ask_quadric(&k, 1);
    distances(&upper);
    ck_assert_double_eq_tol(upper, sqrt(7) / 4, 1e-3);
    ck_assert_double_gt(named("factor", 0), 0);
    ck_assert_double_le(named("residual", 0), 1e-2);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attack_polish");
    TCase *c = tcase_create("stationary points");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, nearest_points_satisfy_the_first_order_conditions, 0, 6);
    tcase_add_loop_test(c, more_calls_are_never_worse_than_their_first_phase, 0, 3);
    tcase_add_loop_test(c, another_series_is_a_start, 0, 2);
    tcase_add_loop_test(c, no_budget_is_overspent, 0, 6);
    tcase_add_loop_test(c, neighbours_change_no_bit, 0, 6);
    tcase_add_loop_test(c, both_sides_of_a_band_are_counted, 0, 3);
    tcase_add_loop_test(c, factors_are_the_closed_form, 0, 5);
    tcase_add_test(c, a_saddle_is_no_answer);
    suite_add_tcase(s, c);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
