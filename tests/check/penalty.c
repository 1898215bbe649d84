/* penalty.c -- penalties of training: against PyTorch, against differences, unbiased.
 *
 * References are tests/data/penalties_*.txt (make_penalties.py), float64. An object of
 * n numbers computed in k roundings each is off by about k eps of its norm; the longest
 * chain here, weight gradients of a Hessian through two layers and 6 steps, has some
 * 1e4 operations: 1e4 * 2e-16 = 2e-12, asked for is 1e-11.
 */
#include "harness.h"
#include "models.h"
#include "record.h"

#include "train/train.h"

#include <math.h>

enum { STEPS = 6, SERIES = 3, NUMBERS = 1024 };
static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

/* ---- fixtures -------------------------------------------------------------------- */

static int64_t read_record(const char *model, const char *name, double *out)
{
    return record_of("penalties", model, name, out, NUMBERS);
}

static rob_model *read_model(const char *name)
{
    char path[128];
    rob_model *m;
    snprintf(path, sizeof path, "tests/data/model_%s.safetensors", name);
    ck_assert_msg(rob_model_load(ctx, path, NULL, &m) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return m;
}

static rob_data *read_series(const char *name, int64_t features)
{
    static double x[NUMBERS], steps[SERIES], label[SERIES];
    rob_data *data;
    read_record(name, "x", x);
    read_record(name, "steps", steps);
    read_record(name, "label", label);
    ck_assert_int_eq(rob_data_create(ctx, &data), ROB_OK);
    for (int64_t r = 0; r < SERIES; r++)
        ck_assert_int_eq(rob_data_add(ctx, data, x + r * STEPS * features,
                                      (int64_t)steps[r], features, (int64_t)label[r]),
                         ROB_OK);
    return data;
}

/* ---- a penalty and its batch ----------------------------------------------------- */

typedef struct setting {
    rob_model *model;
    rob_data *data;
    rob_fit fit;
    rob_penalty penalty;
    int64_t index[SERIES];
    rob_batch batch;
} setting;

static void set_up(setting *s, const char *name, int32_t order, int64_t projections)
{
    *s = (setting){ .model = read_model(name), .index = { 0, 1, 2 } };
    s->data = read_series(name, s->model->recipe.features);
    ck_assert_int_eq(rob_priv_fit_create(ctx, s->model, STEPS, true, 1, &s->fit),
                     ROB_OK);
    ck_assert_msg(rob_priv_penalty_create(ctx, s->model, STEPS, true, SERIES, order,
                                          projections, &s->penalty)
                      == ROB_OK,
                  "%s", rob_ctx_error(ctx));
    s->penalty.strength = 1;
    s->batch = (rob_batch){ .data = s->data,
                            .index = s->index,
                            .count = SERIES,
                            .theta = s->fit.theta,
                            .weight = 1. / SERIES,
                            .seed = 11 };
}

static void tear_down(setting *s)
{
    rob_priv_penalty_free(&s->penalty);
    rob_priv_fit_free(&s->fit);
    rob_data_free(s->data);
    rob_model_free(s->model);
}

static double norm_of(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

static void agree(const double *a, const double *b, int64_t n)
{
    double away[NUMBERS];
    for (int64_t i = 0; i < n; i++) away[i] = a[i] - b[i];
    ck_assert_double_le(norm_of(away, n), 1e-11 * norm_of(b, n));
}

static const char *const models[3] = { "rnn_tanh", "lstm_two", "gru" };
static const char *const terms[2] = { "jacobian", "hessian" };

START_TEST(exact_penalties_are_pytorchs)
{
    const char *name = models[_i / 2], *term = terms[_i % 2];
    setting s;
    char slope[64];
    double value, want[NUMBERS], grad[NUMBERS] = { 0 };
    set_up(&s, name, 1 + _i % 2, 0);
    read_record(name, term, &value);
    snprintf(slope, sizeof slope, "%s_gradient", term);
    ck_assert_int_eq(read_record(name, slope, want), s.fit.tile.size);
    double mine = rob_priv_penalty_add(ctx, &s.penalty, &s.batch, grad);
    ck_assert_double_gt(value, 1e-3);
    ck_assert_double_eq_tol(mine, value, 1e-11 * value);
    agree(grad, want, s.fit.tile.size);
    tear_down(&s);
}
END_TEST

START_TEST(the_joint_loss_is_pytorchs)
{
    const char *name = models[_i];
    setting s[2];
    double value, mine, want[NUMBERS], grad[NUMBERS];
    int64_t right;
    set_up(&s[0], name, 1, 0);
    set_up(&s[1], name, 2, 0);
    s[0].penalty.strength = 0.7;
    s[1].penalty.strength = 0.3;
    read_record(name, "joint", &value);
    read_record(name, "joint_gradient", want);
    mine = rob_priv_fit_batch(ctx, &s[0].fit, &s[0].batch, grad, &right);
    for (int k = 0; k < 2; k++)
        mine += rob_priv_penalty_add(ctx, &s[k].penalty, &s[0].batch, grad);
    ck_assert_double_eq_tol(mine, value, 1e-11 * value);
    agree(grad, want, s[0].fit.tile.size);
    for (int k = 0; k < 2; k++) tear_down(&s[k]);
}
END_TEST

/* Central differences with the same random directions. Step h = 1e-5: h^2 times a third
 * derivative and eps |S| / h: 2e-10 of the value; the third derivatives of these
 * penalties are up to about 100 times it. */
START_TEST(projected_gradients_are_differences)
{
    setting s;
    double grad[NUMBERS] = { 0 };
    set_up(&s, models[_i / 2], 1 + _i % 2, 2);
    s.penalty.share = 0.7;
    double value = rob_priv_penalty_add(ctx, &s.penalty, &s.batch, grad);
    ck_assert_double_gt(value, 0);
    double scale = value + norm_of(grad, s.fit.tile.size);
    for (int64_t k = 0; k < s.fit.tile.size; k += 5) {
        const double h = 1e-5, theta = s.fit.theta[k];
        s.fit.theta[k] = theta + h;
        double up = rob_priv_penalty_add(ctx, &s.penalty, &s.batch, NULL);
        s.fit.theta[k] = theta - h;
        double down = rob_priv_penalty_add(ctx, &s.penalty, &s.batch, NULL);
        s.fit.theta[k] = theta;
        ck_assert_double_eq_tol((up - down) / (2 * h), grad[k], 2e-8 * scale);
    }
    tear_down(&s);
}
END_TEST

/* The mean of N independent estimates is nearly normal: beyond 3.89 standard errors of
 * the truth with probability 1e-4, beyond 4.06 with 5e-5, which leaves as much again
 * for skewness. A factor L, n or 1/share that is wrong moves the mean by tens of
 * standard errors. */
START_TEST(estimators_are_unbiased)
{
    enum { DRAWS = 1500 };
    setting s, t;
    double exact[NUMBERS] = { 0 }, sum[2] = { 0 }, square[2] = { 0 };
    bool part = _i >= 4;
    set_up(&s, models[_i % 4 / 2], 1 + _i % 2, 0);
    set_up(&t, models[_i % 4 / 2], 1 + _i % 2, part ? 2 : 1);
    t.penalty.share = part ? 0.5 : 1;
    double truth[2] = { rob_priv_penalty_add(ctx, &s.penalty, &s.batch, exact), 0 };
    int64_t size = t.fit.tile.size;
    for (int64_t i = 0; i < size; i++) truth[1] += exact[i] * sin((double)i + 1);
    for (int64_t k = 0; k < DRAWS; k++) {
        double grad[NUMBERS] = { 0 }, got[2] = { 0 };
        t.batch.epoch = k;
        got[0] = rob_priv_penalty_add(ctx, &t.penalty, &t.batch, grad);
        for (int64_t i = 0; i < size; i++) got[1] += grad[i] * sin((double)i + 1);
        for (int c = 0; c < 2; c++) {
            sum[c] += got[c];
            square[c] += got[c] * got[c];
        }
    }
    for (int c = 0; c < 2; c++) {
        double mean = sum[c] / DRAWS, variance = square[c] / DRAWS - mean * mean;
        double error = sqrt(variance / DRAWS);
        ck_assert_double_gt(error, 0);
        ck_assert_double_le(fabs(mean - truth[c]), 4.06 * error);
        if (c == 0) ck_assert_double_lt(error, 0.1 * truth[0]);
    }
    tear_down(&s);
    tear_down(&t);
}
END_TEST

/* f affine: J the same everywhere, ||J||^2 = sum of squared coefficients; Hess = 0.
 * The network sees (x - shift)/scale, and J is by what it sees: no scale in it. */
START_TEST(an_affine_classifier_has_its_closed_form)
{
    rob_model *m = affine_model(ctx, 2, 2);
    double w[2][STEPS * 2], x[STEPS * 2], norm = 0, grad[NUMBERS] = { 0 };
    rob_data *data;
    int64_t index[1] = { 0 };
    m->recipe.input_scale = 0.5;
    m->recipe.input_shift = 0.2;
    test_series(x, STEPS * 2, 3);
    ck_assert_int_eq(rob_data_create(ctx, &data), ROB_OK);
    ck_assert_int_eq(rob_data_add(ctx, data, x, STEPS, 2, 0), ROB_OK);
    double *head = m->parameter[HEAD_W].tensor->data, kept[8];
    for (int c = 0; c < 2; c++) {
        /* the row of f_c alone: against a head of zeros */
        memcpy(kept, head, sizeof kept);
        for (int i = 0; i < 4; i++) head[(1 - c) * 4 + i] = 0;
        affine_row(m, c, 1 - c, STEPS, w[c]);
        memcpy(head, kept, sizeof kept);
        for (int i = 0; i < STEPS * 2; i++) norm += w[c][i] * w[c][i];
    }
    for (int order = 1; order <= 2; order++) {
        rob_fit fit;
        rob_penalty p;
        ck_assert_int_eq(rob_priv_fit_create(ctx, m, STEPS, false, 1, &fit), ROB_OK);
        ck_assert_int_eq(rob_priv_penalty_create(ctx, m, STEPS, false, 1, order, 0, &p),
                         ROB_OK);
        p.strength = 2;
        rob_batch b = {
            .data = data, .index = index, .count = 1, .theta = fit.theta, .weight = 1
        };
        double value = rob_priv_penalty_add(ctx, &p, &b, grad);
        if (order == 1) ck_assert_double_eq_tol(value, norm, 1e-14 * 100 * norm);
        else ck_assert_double_eq(value, 0);
        rob_priv_penalty_free(&p);
        rob_priv_fit_free(&fit);
    }
    rob_data_free(data);
    rob_model_free(m);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("penalty");
    TCase *all = tcase_create("penalties");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_loop_test(all, exact_penalties_are_pytorchs, 0, 6);
    tcase_add_loop_test(all, the_joint_loss_is_pytorchs, 0, 3);
    tcase_add_loop_test(all, projected_gradients_are_differences, 0, 6);
    tcase_add_loop_test(all, estimators_are_unbiased, 0, 8);
    tcase_add_test(all, an_affine_classifier_has_its_closed_form);
    suite_add_tcase(s, all);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
