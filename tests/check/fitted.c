/* fitted.c -- training of forecasts: loss and gradient against PyTorch and against
 * differences, the least-squares solution, targets of any size, baselines by hand.
 *
 * References are tests/data/forecasts_*.txt (make_forecasts.py), float64: a gradient
 * through two layers and 6 steps has some 1e4 operations, each off by eps of the norm:
 * 1e4 * 2e-16 = 2e-12; asked for is 1e-11.
 */
#include "harness.h"
#include "models.h"
#include "record.h"

#include "train/train.h"

#include <math.h>

enum { STEPS = 6, SERIES = 3, NUMBERS = 1024 };
static rob_ctx *ctx;

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

/* ---- a forecast, its series, and the terms of its loss --------------------------- */

typedef struct setting {
    rob_model *model;
    rob_data *data;
    rob_standard standard;
    rob_fit fit;
    rob_penalty penalty;
    int64_t index[32];
    rob_batch batch;
} setting;

static void open_terms(setting *s, int64_t steps)
{
    GOOD(rob_priv_standard_create(ctx, s->model, s->data, NULL, &s->standard));
    GOOD(rob_priv_fit_create(ctx, s->model, steps, true, 2, &s->fit));
    GOOD(rob_priv_penalty_create(ctx, s->model, steps, true, s->data->count, 1, 0,
                                 &s->penalty));
    s->penalty.strength = 1;
    s->fit.standard = &s->standard;
    rob_priv_standard_map(&s->standard, &s->fit.tile, false, s->fit.theta);
    for (int i = 0; i < 32; i++) s->index[i] = i;
    s->batch = (rob_batch){ .data = s->data,
                            .index = s->index,
                            .count = s->data->count,
                            .theta = s->fit.theta,
                            .weight = 1. / (double)s->data->count,
                            .standard = &s->standard };
}

static void close_terms(setting *s)
{
    rob_priv_penalty_free(&s->penalty);
    rob_priv_fit_free(&s->fit);
    rob_priv_release(&ctx->memory, s->standard.mean);
    rob_data_free(s->data);
    rob_model_free(s->model);
}

static double joint(setting *s, double strength, double *grad)
{
    int64_t right;
    double loss = rob_priv_fit_batch(ctx, &s->fit, &s->batch, grad, &right);
    ck_assert_int_eq(right, 0);
    s->penalty.strength = strength;
    return strength > 0 ? loss + rob_priv_penalty_add(ctx, &s->penalty, &s->batch, grad)
                        : loss;
}

/* ---- against PyTorch ------------------------------------------------------------- */

static int64_t read_record(const char *model, const char *name, double *out)
{
    return record_of("forecasts", model, name, out, NUMBERS);
}

START_TEST(the_loss_is_that_of_pytorch)
{
    static const char *const names[] = { "rnn_tanh", "lstm_two", "gru" };
    const char *name = names[_i];
    static double x[NUMBERS], y[NUMBERS], steps[SERIES], want[NUMBERS], got[NUMBERS];
    setting s = { .model = NULL };
    char path[128];
    double number, error = 0, norm = 0;
    snprintf(path, sizeof path, "tests/data/model_%s.safetensors", name);
    GOOD(rob_model_load(ctx, path, NULL, &s.model));
    s.model->recipe.forecast = 1;
    int64_t features = s.model->recipe.features, outputs = s.model->recipe.outputs;
    read_record(name, "x", x);
    read_record(name, "steps", steps);
    ck_assert_int_eq(read_record(name, "y", y), SERIES * outputs);
    GOOD(rob_data_create(ctx, &s.data));
    for (int64_t r = 0; r < SERIES; r++) {
        GOOD(rob_data_add(ctx, s.data, x + r * STEPS * features, (int64_t)steps[r],
                          features, -1));
        GOOD(rob_data_set_target(ctx, s.data, r, y + r * outputs, outputs));
    }
    open_terms(&s, STEPS);
    read_record(name, "spread", &number);
    ck_assert_double_eq_tol(s.standard.spread, number, 1e-12 * number);
    int64_t size = read_record(name, "gradient", want);
    ck_assert_int_eq(size, s.fit.tile.size);
    double both = joint(&s, 0.7, got), loss = joint(&s, 0, NULL);
    read_record(name, "loss", &number);
    ck_assert_double_eq_tol(loss, number, 1e-11 * number);
    read_record(name, "jacobian", &number);
    /* the difference of two numbers of the size of `both` */
    ck_assert_double_eq_tol((both - loss) / 0.7, number, 1e-11 * both);
    for (int64_t i = 0; i < size; i++) {
        norm = fmax(norm, fabs(want[i]));
        error = fmax(error, fabs(got[i] - want[i]));
    }
    ck_assert_double_le(error, 1e-11 * norm);
    close_terms(&s);
}
END_TEST

/* ---- against differences --------------------------------------------------------- */

/* y_k = a_k + b_k (mean of x) + noise */
static rob_data *trends(int64_t count, int64_t steps, int64_t features, int64_t targets,
                        double size, bool differ)
{
    rob_data *data;
    double x[64], y[16];
    GOOD(rob_data_create(ctx, &data));
    for (int64_t i = 0; i < count; i++) {
        rob_random r = rob_priv_random(23, (uint64_t)i);
        int64_t here = differ ? steps - i % 3 : steps;
        double mean = 0;
        for (int64_t k = 0; k < here * features; k++) {
            x[k] = rob_priv_normal(&r);
            mean += x[k] / (double)(here * features);
        }
        for (int64_t k = 0; k < targets; k++)
            y[k] = size * (3 + (double)k + (2 - (double)k) * mean
                           + 0.1 * rob_priv_normal(&r));
        GOOD(rob_data_add(ctx, data, x, here, features, -1));
        GOOD(rob_data_set_target(ctx, data, i, y, targets));
    }
    return data;
}

static const char *const RECIPES[] = {
    "rnn nonlinearity=tanh hidden=4 readout=last",
    "lstm hidden=3 readout=mean mlp=3 activation=tanh",
    "gru hidden=3 readout=max head_bias=no",
    "gru hidden=3 readout=every steps=5",
    "lstm hidden=2 readout=state bidirectional=yes",
    "transformer heads=2 hidden=4 feedforward=4 activation=gelu norm=first readout=mean",
};

static void open_recipe(setting *s, int i, double size)
{
    char recipe[256];
    bool every = strstr(RECIPES[i], "every") != NULL;
    int outputs = every ? 10 : 2;
    *s = (setting){ .model = NULL };
    snprintf(recipe, sizeof recipe, "%s features=2 outputs=%d dtype=f64 task=forecast",
             RECIPES[i], outputs);
    GOOD(rob_model_create(ctx, recipe, &s->model));
    s->data = trends(21, 5, 2, outputs, size, !every);
    open_terms(s, 5);
}

/* Central differences in float64, step 1e-5: error about 1e-10 of third derivatives of
 * order one, and eps/1e-5 = 2e-11 of a loss of order one. */
START_TEST(the_gradient_is_that_of_differences)
{
    setting s;
    open_recipe(&s, _i, 1000);
    int64_t outputs = s.model->recipe.outputs;
    if (s.model->recipe.head_bias_free)
        for (int64_t k = 0; k < outputs; k++)
            ck_assert_double_eq(s.standard.mean[k], 0);
    if (outputs > 2)
        for (int64_t k = 2; k < outputs; k++)
            ck_assert_double_eq(s.standard.mean[k], s.standard.mean[k % 2]);
    static double grad[NUMBERS];
    ck_assert_int_le(s.fit.tile.size, NUMBERS);
    joint(&s, 0.5, grad);
    for (int64_t k = 0; k < s.fit.tile.size; k += 3) {
        const double h = 1e-5, theta = s.fit.theta[k];
        s.fit.theta[k] = theta + h;
        double up = joint(&s, 0.5, NULL);
        s.fit.theta[k] = theta - h;
        double down = joint(&s, 0.5, NULL);
        s.fit.theta[k] = theta;
        /* readout=max has kinks; none within h of these series */
        ck_assert_double_eq_tol((up - down) / (2 * h), grad[k],
                                1e-8 * fmax(1, fabs(up)));
    }
    close_terms(&s);
}
END_TEST

/* The network in standard units is (f - m)/s: loss by rob_model_predict on f itself. */
START_TEST(the_loss_is_that_of_the_model)
{
    setting s;
    open_recipe(&s, _i, 40);
    int64_t outputs = s.model->recipe.outputs;
    double want = 0, f[10];
    for (int64_t r = 0; r < 21; r++) {
        const rob_series *at = &s.data->series[r];
        GOOD(rob_model_predict(ctx, s.model, at->x, at->steps, f, 10));
        for (int64_t k = 0; k < outputs; k++)
            want += pow((f[k] - at->target[k]) / s.standard.spread, 2) / 21
                    / (double)outputs;
    }
    /* W/s and (b - m)/s are rounded: some ten eps of a loss of order (m/s)^2 */
    ck_assert_double_eq_tol(joint(&s, 0, NULL), want, 1e-12 * want);
    close_terms(&s);
}
END_TEST

/* ---- whole trainings ------------------------------------------------------------- */

static rob_trainer *trainer_with(double epochs, double batch, double rate)
{
    rob_trainer *t;
    GOOD(rob_trainer_create(ctx, &t));
    GOOD(rob_trainer_set(ctx, t, "epochs", epochs));
    GOOD(rob_trainer_set(ctx, t, "patience", epochs));
    GOOD(rob_trainer_set(ctx, t, "batch", batch));
    GOOD(rob_trainer_set(ctx, t, "rate", rate));
    return t;
}

static double fact(rob_trainer *t, const char *name)
{
    double value = NAN;
    int64_t count;
    GOOD(rob_trainer_get(ctx, t, name, &value, 1, &count));
    ck_assert_int_eq(count, 1);
    return value;
}

/* Least squares of y on (1, x) by normal equations: mean squared residual; coefficients
 * c (features + 1). */
static double least_squares(const rob_data *data, double *c)
{
    int64_t n = data->features + 1;
    double a[5][6] = { { 0 } }, sum = 0;
    for (int64_t r = 0; r < data->count; r++)
        for (int64_t i = 0; i < n; i++) {
            const rob_series *s = &data->series[r];
            double xi = i ? s->x[i - 1] : 1;
            for (int64_t j = 0; j < n; j++) a[i][j] += xi * (j ? s->x[j - 1] : 1);
            a[i][n] += xi * s->target[0];
        }
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++) {
            double share = k == i ? 0 : a[k][i] / a[i][i];
            for (int64_t j = i; j <= n; j++) a[k][j] -= share * a[i][j];
        }
    for (int64_t i = 0; i < n; i++) c[i] = a[i][n] / a[i][i];
    for (int64_t r = 0; r < data->count; r++) {
        double off = data->series[r].target[0] - c[0];
        for (int64_t j = 1; j < n; j++) off -= c[j] * data->series[r].x[j - 1];
        sum += off * off / (double)data->count;
    }
    return sum;
}

/* An affine net (models.h; no unit is clipped) of one step fits every affine function of
 * x, so its best loss is that of least squares; 0.5 of the variance cannot be fitted. */
START_TEST(an_affine_model_reaches_least_squares)
{
    rob_model *m = affine_model(ctx, 3, 1), *fitted;
    rob_data *data;
    double c[4], f, curve[3000];
    int64_t epochs;
    GOOD(rob_data_create(ctx, &data));
    m->recipe.forecast = 1;
    for (int64_t i = 0; i < 64; i++) {
        rob_random r = rob_priv_random(31, (uint64_t)i);
        double x[3], y = 5e4;
        for (int k = 0; k < 3; k++) y += 1e3 * (k + 1) * (x[k] = rob_priv_normal(&r));
        y += 3.7e3 * rob_priv_normal(&r);
        GOOD(rob_data_add(ctx, data, x, 1, 3, -1));
        GOOD(rob_data_set_target(ctx, data, i, &y, 1));
    }
    double rest = least_squares(data, c);
    rob_trainer *t = trainer_with(3000, 64, 0.01);
    GOOD(rob_trainer_run(ctx, t, m, data, NULL, &fitted));
    double spread = fact(t, "spread"), least = rest / spread / spread;
    ck_assert(least > 0.2 && least < 0.8);
    GOOD(rob_trainer_get(ctx, t, "loss", curve, 3000, &epochs));
    /* at the minimum the loss is quadratic: 1e-6 of it are 1e-3 of a deviation */
    ck_assert_double_ge(curve[(int64_t)fact(t, "best_epoch")], least * (1 - 1e-9));
    ck_assert_double_le(curve[(int64_t)fact(t, "best_epoch")], least * (1 + 1e-6));
    for (int64_t i = 0; i < 64; i++) {
        const double *x = data->series[i].x;
        GOOD(rob_model_predict(ctx, fitted, x, 1, &f, 1));
        ck_assert_double_eq_tol(f, c[0] + c[1] * x[0] + c[2] * x[1] + c[3] * x[2],
                                1e-2 * spread);
    }
    rob_trainer_free(t);
    rob_data_free(data);
    rob_model_free(m);
    rob_model_free(fitted);
}
END_TEST

/* The same network, data and bits, whatever the units of the targets are: sizes are
 * powers of two, and float64 weights of W/s differ in nothing but exponents. */
START_TEST(units_of_targets_do_not_matter)
{
    static const double size[] = { 1, 0x1p-30, 0x1p40 };
    static double loss[3][40];
    int64_t epochs;
    for (int k = 0; k < 3; k++) {
        rob_model *m, *fitted, *again;
        rob_data *data = trends(48, 5, 1, 2, size[k], true), *valid;
        GOOD(rob_model_create(ctx, "lstm hidden=8 readout=last features=1 outputs=2 "
                                   "task=forecast", &m));
        GOOD(rob_data_split(ctx, data, 0.3, &valid));
        rob_trainer *t = trainer_with(40, 8, 0.02);
        GOOD(rob_trainer_set(ctx, t, "jacobian", 0.01));
        GOOD(rob_trainer_run(ctx, t, m, data, valid, &fitted));
        GOOD(rob_trainer_get(ctx, t, "valid_loss", loss[k], 40, &epochs));
        double best = loss[k][(int64_t)fact(t, "best_epoch")];
        ck_assert_double_lt(best, 0.2 * fact(t, "mean_loss"));
        for (int64_t e = 0; e < epochs; e++) ck_assert_double_ge(loss[k][e], best);
        ck_assert_double_eq(loss[k][5], loss[0][5]);
        /* a fitted model goes on from where it is */
        GOOD(rob_trainer_set(ctx, t, "rate", 1e-12));
        GOOD(rob_trainer_set(ctx, t, "epochs", 1));
        GOOD(rob_trainer_run(ctx, t, fitted, data, valid, &again));
        GOOD(rob_trainer_get(ctx, t, "valid_loss", loss[k], 40, &epochs));
        /* weights went through float32 once: 1e-7 of a loss's own slope of order 10 */
        ck_assert_double_eq_tol(loss[k][0], best, 1e-5);
        rob_trainer_free(t);
        rob_model_free(m);
        rob_model_free(fitted);
        rob_model_free(again);
        rob_data_free(data);
        rob_data_free(valid);
    }
}
END_TEST

/* Two series, targets (1, 2), (3, 6): m = (2, 4), s^2 = (1 + 4 + 1 + 4)/4 = 2.5. */
START_TEST(baselines_by_hand)
{
    rob_model *m, *fitted;
    rob_data *data;
    const double x[] = { 7, 5, 1, 2 }, y[2][2] = { { 1, 2 }, { 3, 6 } };
    double accuracy[4];
    int64_t count;
    GOOD(rob_data_create(ctx, &data));
    for (int64_t i = 0; i < 2; i++) {
        GOOD(rob_data_add(ctx, data, x + 2 * i, 2, 1, -1));
        GOOD(rob_data_set_target(ctx, data, i, y[i], 2));
    }
    GOOD(rob_model_create(ctx, "gru hidden=2 readout=last features=1 outputs=2 "
                               "task=forecast", &m));
    rob_trainer *t = trainer_with(2, 8, 0.01);
    GOOD(rob_trainer_get(ctx, t, "mean_loss", NULL, 0, &count));
    ck_assert_int_eq(count, 0);
    GOOD(rob_trainer_run(ctx, t, m, data, NULL, &fitted));
    ck_assert_double_eq_tol(fact(t, "spread"), sqrt(2.5), 1e-15);
    ck_assert_double_eq_tol(fact(t, "mean_loss"), 1, 1e-15);
    /* last values 5 and 2: (16 + 9 + 1 + 16)/4 = 10.5; zero: (1 + 4 + 9 + 36)/4 = 12.5 */
    ck_assert_double_eq_tol(fact(t, "last_loss"), 10.5 / 2.5, 1e-14);
    ck_assert_double_eq_tol(fact(t, "zero_loss"), 12.5 / 2.5, 1e-14);
    GOOD(rob_trainer_get(ctx, t, "accuracy", accuracy, 4, &count));
    ck_assert(count == 2 && isnan(accuracy[0]) && isnan(accuracy[1]));
    rob_trainer_free(t);
    rob_data_free(data);
    rob_model_free(m);
    rob_model_free(fitted);
}
END_TEST

/* Ascents raise every row's own loss; with the seeded fault of a sign they lower it. */
START_TEST(adversarial_points_are_worse_forecasts)
{
    setting s = { .model = NULL };
    rob_disturb d = { .radius = 0.3, .norm = ROB_NORM_L2, .ascents = 10 };
    int64_t right;
    GOOD(rob_model_create(ctx, "gru hidden=4 readout=last features=1 outputs=2 "
                               "task=forecast", &s.model));
    s.data = trends(20, 5, 1, 2, 1, true);
    open_terms(&s, 5);
    GOOD(rob_priv_disturb_create(ctx, s.model, 5, true, 20, &d));
    double before = rob_priv_fit_batch(ctx, &s.fit, &s.batch, NULL, &right);
    rob_priv_disturb_run(ctx, &d, &s.batch);
    double after = rob_priv_fit_batch(ctx, &s.fit, &s.batch, NULL, &right);
    ck_assert_double_gt(after, before);
    for (int64_t i = 0; i < 20; i++)
        s.data->series[i].target[1] += 100; /* another target, another way up */
    s.batch.moved = NULL;
    rob_priv_disturb_run(ctx, &d, &s.batch);
    double other = rob_priv_fit_batch(ctx, &s.fit, &s.batch, NULL, &right);
    s.batch.moved = NULL;
    ck_assert_double_gt(other,
                        rob_priv_fit_batch(ctx, &s.fit, &s.batch, NULL, &right));
    rob_priv_disturb_free(&d);
    close_terms(&s);
}
END_TEST

START_TEST(bad_targets_are_named)
{
    rob_model *m, *fitted;
    rob_data *data = trends(5, 4, 1, 2, 1, false), *valid = trends(3, 4, 1, 2, 1, false);
    const double one[] = { 1, NAN, 1e200 };
    GOOD(rob_model_create(ctx, "gru hidden=2 readout=last features=1 outputs=2 "
                               "task=forecast", &m));
    rob_trainer *t = trainer_with(2, 8, 0.01);
    ck_assert_int_eq(rob_data_set_target(ctx, data, 5, one, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_set_target(ctx, data, -1, one, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_set_target(ctx, data, 0, one, -1), ROB_ESHAPE);
    ck_assert_int_eq(rob_data_set_target(ctx, data, 0, NULL, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_set_target(ctx, data, 0, one, 2), ROB_EDOMAIN);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "target[1]"));
    ck_assert_int_eq(data->series[0].targets, 2);
    GOOD(rob_data_set_target(ctx, valid, 2, one, 1));
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, data, valid, &fitted), ROB_ESHAPE);
    ck_assert_ptr_null(fitted);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "valid, series 2"));
    GOOD(rob_data_set_target(ctx, data, 3, NULL, 0));
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, data, NULL, &fitted), ROB_ESHAPE);
    GOOD(rob_data_set_target(ctx, data, 3, one + 1, 0));
    const double huge[] = { 1, 1e200 };
    GOOD(rob_data_set_target(ctx, data, 3, huge, 2));
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, data, NULL, &fitted), ROB_EDOMAIN);
    /* all targets the same: nothing to explain, and nothing to divide by */
    const double same[] = { 4, 4 };
    for (int64_t i = 0; i < 5; i++) GOOD(rob_data_set_target(ctx, data, i, same, 2));
    GOOD(rob_trainer_run(ctx, t, m, data, NULL, &fitted));
    ck_assert_double_eq(fact(t, "spread"), 1);
    rob_model_free(fitted);
    rob_trainer_free(t);
    rob_data_free(data);
    rob_data_free(valid);
    rob_model_free(m);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    counting c = { .left = -1 };
    rob_ctx *own, *kept = ctx;
    rob_model *m;
    GOOD(rob_ctx_create_with(counting_take, counting_drop, &c, &own));
    ctx = own;
    rob_data *data = trends(6, 4, 1, 2, 1, true);
    GOOD(rob_model_create(own, "gru hidden=2 readout=last features=1 outputs=2 "
                               "task=forecast", &m));
    rob_trainer *t = trainer_with(2, 4, 0.01);
    int64_t n = 0;
    rob_status status;
    do {
        rob_model *fitted = NULL;
        const double y[] = { (double)n, 2 };
        int64_t live = c.live;
        c.left = n++;
        status = rob_data_set_target(own, data, 1, y, 2);
        if (status == ROB_OK) status = rob_trainer_run(own, t, m, data, data, &fitted);
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        rob_model_free(fitted);
        if (status != ROB_OK) ck_assert_int_eq(c.live, live);
    } while (status != ROB_OK);
    ck_assert_int_gt(n, 40);
    c.left = -1;
    rob_trainer_free(t);
    rob_data_free(data);
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
    ctx = kept;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fitted");
    TCase *c = tcase_create("fitted");
    const int recipes = (int)(sizeof RECIPES / sizeof *RECIPES);
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, the_loss_is_that_of_pytorch, 0, 3);
    tcase_add_loop_test(c, the_gradient_is_that_of_differences, 0, recipes);
    tcase_add_loop_test(c, the_loss_is_that_of_the_model, 0, recipes);
    tcase_add_test(c, an_affine_model_reaches_least_squares);
    tcase_add_test(c, units_of_targets_do_not_matter);
    tcase_add_test(c, baselines_by_hand);
    tcase_add_test(c, adversarial_points_are_worse_forecasts);
    tcase_add_test(c, bad_targets_are_named);
    tcase_add_test(c, every_allocation_may_fail);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
