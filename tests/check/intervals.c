/* intervals.c -- interval bounds as nodes, the loss certified training takes of them: no
 * point of a box is outside, closed forms, gradients.
 */
#include "harness.h"
#include "models.h"

#include "query/query.h"
#include "train/train.h"
#include <robust/bound.h>

#include <math.h>

enum { STEPS = 6, FEATURES = 2, CLASSES = 3, SERIES = 5, NUMBERS = STEPS * FEATURES };
static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

static const char *const RECIPES[] = {
    "rnn nonlinearity=tanh readout=last hidden=5",
    "rnn nonlinearity=relu readout=mean hidden=5",
    "lstm readout=last hidden=4",
    "gru readout=mean hidden=4",
    "lstm readout=mean layers=2 hidden=3",
    "gru readout=last bidirectional=yes hidden=3",
    "rnn nonlinearity=tanh readout=max bidirectional=yes layers=2 hidden=3",
    "gru readout=state hidden=3 mlp=4 activation=relu",
    "lstm readout=last hidden=3 conv=conv channels=4 kernel=3 padding=1 "
    "conv_activation=relu",
    "transformer readout=mean hidden=4 heads=2 feedforward=6 activation=relu norm=last",
    "transformer readout=mean hidden=4 heads=2 feedforward=6 layernorm=centred "
    "activation=gelu norm=first",
};
enum { KINDS = sizeof RECIPES / sizeof *RECIPES, RECURRENT = 9 };

/* ---- a term and its batch -------------------------------------------------------- */

typedef struct setting {
    rob_model *model;
    rob_data *data;
    rob_fit fit;
    rob_interval_term term;
    int64_t index[SERIES];
    rob_batch batch;
} setting;

static rob_model *model_of(const char *recipe, const char *more)
{
    char text[256];
    rob_model *m;
    snprintf(text, sizeof text, "%s features=2 dtype=f64 %s", recipe, more);
    ck_assert_msg(rob_model_create(ctx, text, &m) == ROB_OK, "%s", rob_ctx_error(ctx));
    return m;
}

static rob_data *series_of(bool differ, int64_t targets)
{
    rob_data *data;
    double x[NUMBERS], y[CLASSES];
    ck_assert_int_eq(rob_data_create(ctx, &data), ROB_OK);
    for (int64_t i = 0; i < SERIES; i++) {
        test_series(x, NUMBERS, (uint64_t)i);
        test_series(y, CLASSES, (uint64_t)(100 + i));
        ck_assert_int_eq(rob_data_add(ctx, data, x, differ ? STEPS - i % 3 : STEPS, FEATURES,
                                      i % CLASSES),
                         ROB_OK);
        if (targets)
            ck_assert_int_eq(rob_data_set_target(ctx, data, i, y, targets), ROB_OK);
    }
    return data;
}

static void set_up(setting *s, const char *recipe, const char *more, bool differ,
                   double radius)
{
    *s = (setting){ .model = model_of(recipe, more), .index = { 0, 1, 2, 3, 4 } };
    s->data = series_of(differ, 0);
    ck_assert_int_eq(rob_priv_fit_create(ctx, s->model, STEPS, differ, 1, &s->fit), ROB_OK);
    ck_assert_msg(rob_priv_interval_create(ctx, s->model, STEPS, differ, SERIES, &s->term)
                      == ROB_OK,
                  "%s: %s", recipe, rob_ctx_error(ctx));
    s->term.radius = radius;
    s->term.weight = 1;
    s->batch = (rob_batch){ .data = s->data,
                            .index = s->index,
                            .count = SERIES,
                            .theta = s->fit.theta,
                            .weight = 1. / SERIES };
}

static void tear_down(setting *s)
{
    rob_priv_interval_free(&s->term);
    rob_priv_fit_free(&s->fit);
    rob_data_free(s->data);
    rob_model_free(s->model);
}

static double term_of(setting *s, double *grad, int64_t *proved)
{
    return rob_priv_interval_add(ctx, &s->term, &s->batch, 1, grad, proved);
}

/* u of row r, as the last evaluation left it */
static void upper_of(const setting *s, int64_t r, double *u)
{
    const void *at = rob_priv_work_at(s->term.tile.work[0], s->term.upper);
    for (int64_t k = 0; k < CLASSES; k++)
        u[k] = rob_priv_get_number(at, ROB_F64, r * CLASSES + k);
}

/* ---- what intervals say ---------------------------------------------------------- */

/* f has a few hundred roundings of numbers below 100 */
static const double SLACK = 1e-11;

static void check_point(const setting *s, const char *name, int64_t r, const double *x,
                        const double *u)
{
    const rob_series *series = &s->data->series[r];
    double f[CLASSES];
    ck_assert_int_eq(rob_model_predict(ctx, s->model, x, series->steps, f, CLASSES), ROB_OK);
    for (int64_t k = 0; k < CLASSES; k++)
        ck_assert_msg(f[k] - f[series->label] <= u[k] + SLACK, "%s: %.17g above %.17g",
                      name, f[k] - f[series->label], u[k]);
}

START_TEST(no_point_of_a_box_is_outside)
{
    const double radius = (double[]){ 0.01, 0.3 }[_i / KINDS % 2];
    const bool differ = _i / KINDS >= 2;
    rob_random random = rob_priv_random(5, (uint64_t)_i);
    setting s;
    int64_t proved;
    set_up(&s, RECIPES[_i % KINDS], "outputs=3", differ, radius);
    term_of(&s, NULL, &proved);
    for (int64_t r = 0; r < SERIES; r++) {
        double u[CLASSES], x[NUMBERS];
        upper_of(&s, r, u);
        ck_assert_msg(u[s.data->series[r].label] == 0, "%s", RECIPES[_i % KINDS]);
        for (int k = 0; k < 60; k++) {
            for (int64_t i = 0; i < NUMBERS; i++) {
                double d = 2 * rob_priv_uniform(&random) - 1;
                if (k % 2) d = d < 0 ? -1 : 1;
                x[i] = i < s.data->series[r].steps * FEATURES
                           ? s.data->series[r].x[i] + radius * d
                           : 0;
            }
            check_point(&s, RECIPES[_i % KINDS], r, x, u);
        }
    }
    tear_down(&s);
}
END_TEST

/* No box: u are the margins themselves, the loss is the cross-entropy, and what is proved
 * is what is right. */
START_TEST(a_point_is_its_own_interval)
{
    setting s;
    int64_t proved, right;
    set_up(&s, RECIPES[_i % KINDS], "outputs=3", _i >= KINDS, 0);
    double plain = rob_priv_fit_batch(ctx, &s.fit, &s.batch, NULL, &right);
    ck_assert_double_eq_tol(term_of(&s, NULL, &proved), plain, SLACK);
    ck_assert_int_eq(proved, right);
    tear_down(&s);
}
END_TEST

/* h_t = tanh(W x_t + b + U h_{t-1} + c), two steps, by hand. */
static void elman_by_hand(const setting *s, int64_t r, double *u)
{
    enum { H = 5 };
    const double *w = s->fit.theta, *v = w + H * FEATURES, *b = v + H * H, *c = b + H,
                 *head = c + H, *shift = head + CLASSES * H;
    double lo[H] = { 0 }, up[H] = { 0 };
    for (int64_t t = 0; t < STEPS; t++) {
        double low[H], high[H];
        for (int i = 0; i < H; i++) {
            double mid = b[i] + c[i], far = 0;
            for (int j = 0; j < FEATURES; j++) {
                mid += w[i * FEATURES + j] * s->data->series[r].x[t * FEATURES + j];
                far += fabs(w[i * FEATURES + j]) * s->term.radius;
            }
            for (int j = 0; j < H; j++) {
                mid += v[i * H + j] * (lo[j] + up[j]) / 2;
                far += fabs(v[i * H + j]) * (up[j] - lo[j]) / 2;
            }
            low[i] = tanh(mid - far);
            high[i] = tanh(mid + far);
        }
        memcpy(lo, low, sizeof lo);
        memcpy(up, high, sizeof up);
    }
    int64_t y = s->data->series[r].label;
    for (int64_t k = 0; k < CLASSES; k++) {
        u[k] = shift[k] - shift[y];
        for (int j = 0; j < H; j++) {
            double d = head[k * H + j] - head[y * H + j];
            u[k] += d * (lo[j] + up[j]) / 2 + fabs(d) * (up[j] - lo[j]) / 2;
        }
    }
}

START_TEST(an_elman_network_has_its_closed_form)
{
    setting s;
    int64_t proved;
    set_up(&s, RECIPES[0], "outputs=3", false, 0.2);
    term_of(&s, NULL, &proved);
    for (int64_t r = 0; r < SERIES; r++) {
        double u[CLASSES], want[CLASSES];
        upper_of(&s, r, u);
        elman_by_hand(&s, r, want);
        for (int64_t k = 0; k < CLASSES; k++) ck_assert_double_eq_tol(u[k], want[k], 1e-13);
    }
    tear_down(&s);
}
END_TEST

/* The proof's own intervals take the outputs one by one: never better than the margins'.
 * (Encoders: proofs know more of rows that add up to one or to zero.) */
START_TEST(margins_are_no_worse_than_the_bounds_intervals)
{
    setting s;
    rob_query *q;
    rob_bound *b;
    int64_t proved;
    double margin[SERIES];
    set_up(&s, RECIPES[_i], "outputs=3", false, 0.05);
    term_of(&s, NULL, &proved);
    ck_assert_int_eq(rob_query_create(ctx, s.model, &q), ROB_OK);
    ck_assert_int_eq(rob_query_add_data(ctx, q, s.data, 0, SERIES), ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_LINF, 0.05), ROB_OK);
    ck_assert_int_eq(rob_query_set_reference(ctx, q, ROB_REFERENCE_LABEL), ROB_OK);
    ck_assert_int_eq(rob_bound_create(ctx, "interval", &b), ROB_OK);
    ck_assert_int_eq(rob_bound_margin(ctx, b, q, margin, SERIES), ROB_OK);
    for (int64_t r = 0; r < SERIES; r++) {
        double u[CLASSES], most = -INFINITY;
        upper_of(&s, r, u);
        for (int64_t k = 0; k < CLASSES; k++)
            if (k != s.data->series[r].label) most = fmax(most, u[k]);
        ck_assert_double_ge(-most, margin[r] - SLACK);
    }
    rob_bound_free(b);
    rob_query_free(q);
    tear_down(&s);
}
END_TEST

/* ---- the gradient ---------------------------------------------------------------- */

/* Central differences, h = 1e-5: h^2 times third derivatives (here up to about 100) and
 * eps/h: 1e-8. Kinks (abs, relu, ends that swap) are met with probability about h each:
 * where the one-sided slopes differ by more the number is left out, at most one in ten. */
START_TEST(gradients_are_differences)
{
    const double h = 1e-5;
    setting s;
    static double grad[4000];
    int64_t proved, bent = 0, seen = 0;
    memset(grad, 0, sizeof grad);
    set_up(&s, RECIPES[_i % KINDS], "outputs=3", _i >= KINDS, 0.05);
    ck_assert_int_le(s.fit.tile.size, 4000);
    double here = term_of(&s, grad, &proved);
    for (int64_t k = 0; k < s.fit.tile.size; k += 7, seen++) {
        double theta = s.fit.theta[k];
        s.fit.theta[k] = theta + h;
        double up = term_of(&s, NULL, &proved);
        s.fit.theta[k] = theta - h;
        double down = term_of(&s, NULL, &proved);
        s.fit.theta[k] = theta;
        double slope = (up - down) / (2 * h);
        if (fabs((up - here) - (here - down)) / h > 1e-3) bent++;
        else ck_assert_double_eq_tol(slope, grad[k], 1e-7 * (1 + fabs(slope)));
    }
    ck_assert_int_le(bent, seen / 10);
    tear_down(&s);
}
END_TEST

/* ---- forecasts ------------------------------------------------------------------- */

START_TEST(a_forecast_has_its_largest_square)
{
    setting s = { .model = model_of(RECIPES[3], "outputs=2 task=forecast"),
                  .index = { 0, 1, 2, 3, 4 } };
    double mean[2] = { 0.1, -0.2 };
    rob_standard standard = { .mean = mean, .spread = 1.5, .outputs = 2, .bias = -1 };
    rob_random random = rob_priv_random(6, 0);
    int64_t none;
    s.data = series_of(false, 2);
    ck_assert_int_eq(rob_priv_fit_create(ctx, s.model, STEPS, false, 1, &s.fit), ROB_OK);
    ck_assert_int_eq(
        rob_priv_interval_create(ctx, s.model, STEPS, false, SERIES, &s.term), ROB_OK);
    s.term.radius = 0.2;
    s.term.weight = 1;
    s.batch = (rob_batch){ .data = s.data, .count = 1, .theta = s.fit.theta, .weight = 1,
                           .standard = &standard };
    for (int64_t r = 0; r < SERIES; r++) {
        s.batch.index = &s.index[r];
        double most = term_of(&s, NULL, &none), met = 0, x[NUMBERS];
        for (int k = 0; k < 40; k++) {
            for (int64_t i = 0; i < NUMBERS; i++)
                x[i] = s.data->series[r].x[i] + (rob_priv_uniform(&random) < .5 ? -.2 : .2);
            s.batch.moved = x;
            met = fmax(met, rob_priv_fit_batch(ctx, &s.fit, &s.batch, NULL, &none));
        }
        s.batch.moved = NULL;
        ck_assert_double_le(met, most + SLACK);
        ck_assert_double_gt(met, 0);
    }
    tear_down(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("intervals");
    TCase *all = tcase_create("intervals");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_loop_test(all, no_point_of_a_box_is_outside, 0, 4 * KINDS);
    tcase_add_loop_test(all, a_point_is_its_own_interval, 0, 2 * KINDS);
    tcase_add_test(all, an_elman_network_has_its_closed_form);
    tcase_add_loop_test(all, margins_are_no_worse_than_the_bounds_intervals, 0, RECURRENT);
    tcase_add_loop_test(all, gradients_are_differences, 0, 2 * KINDS);
    tcase_add_test(all, a_forecast_has_its_largest_square);
    suite_add_tcase(s, all);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
