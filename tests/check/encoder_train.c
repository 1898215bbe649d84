/* encoder_train.c -- transformers learn: gradients of the loss and of its penalties against
 * differences, series of different length told apart, smaller Jacobians where asked for.
 */
#include "check/harness.h"
#include "model/parts.h"
#include "train/train.h"

#include <robust.h>

#include <math.h>

static rob_ctx *ctx;
static rob_model *model;

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = NULL;
}

static void stop(void)
{
    rob_model_free(model);
    rob_ctx_free(ctx);
}

static const char *const TRAINED[] = {
    "transformer heads=2 hidden=8 features=1 outputs=2 feedforward=8 activation=gelu "
    "norm=first readout=cls positions=learned longest=11 dtype=f64",
    "transformer heads=2 hidden=4 features=1 outputs=2 activation=gelu_tanh norm=last "
    "readout=mean positions=sinusoid dtype=f64",
    "transformer heads=1 hidden=4 features=1 outputs=2 layers=2 activation=gelu norm=first "
    "readout=max positions=none patch=2 layernorm=centred dtype=f64",
    "transformer heads=2 hidden=4 features=1 outputs=2 feedforward=4 activation=gelu "
    "norm=first readout=mean positions=none conv=conv channels=3 kernel=3 padding=1 "
    "conv_activation=tanh conv_norm=batch:bn head_norm=layer:ln scale=scale mlp=3 "
    "head_activation=tanh dtype=f64",
};

/* Class k: a bump of height 3 (2k - 1) at a random place, in noise. */
static rob_data *bumps(int64_t count, uint64_t stream)
{
    rob_data *data;
    double z[10];
    GOOD(rob_data_create(ctx, &data));
    for (int64_t i = 0; i < count; i++) {
        rob_random r = rob_priv_random(stream, (uint64_t)i);
        int64_t label = i % 2, steps = 10 - i % 4;
        for (int64_t t = 0; t < steps; t++) z[t] = 0.3 * rob_priv_normal(&r);
        z[rob_priv_below(&r, steps / 2 * 2)] += label ? 3 : -3;
        GOOD(rob_data_add(ctx, data, z, steps, 1, label));
    }
    return data;
}

/* Loss and both penalties by central differences of step 1e-5 in float64: off by h^2 of
 * third derivatives, some 1e-9, and eps/h = 2e-11, times sizes up to ten. */
START_TEST(gradients_of_training_match_differences)
{
    enum { ROWS = 5, MOST = 1024 };
    double grad[MOST] = { 0 };
    int64_t index[ROWS] = { 0, 1, 2, 3, 4 }, right;
    rob_fit fit;
    rob_penalty penalty = { 0 };
    int order = _i % 3;
    GOOD(rob_model_create(ctx, TRAINED[_i / 3], &model));
    rob_data *data = bumps(ROWS, 5);
    GOOD(rob_priv_fit_create(ctx, model, 10, true, 1, &fit));
    ck_assert_int_le(fit.tile.size, MOST);
    if (order > 0)
        GOOD(rob_priv_penalty_create(ctx, model, 10, true, ROWS, order, 0, &penalty));
    penalty.strength = penalty.share = 1;
    rob_batch batch = { .data = data, .index = index, .count = ROWS,
                        .theta = fit.theta, .weight = 1. / ROWS, .seed = 11 };
    rob_random r = rob_priv_random(8, 8);
    for (int64_t k = 0; k < fit.tile.size; k++) fit.theta[k] += 0.3 * rob_priv_normal(&r);
    if (order == 0) rob_priv_fit_loss(ctx, &fit, data, index, ROWS, grad, &right);
    else rob_priv_penalty_add(ctx, &penalty, &batch, grad);
    double size = 0;
    for (int64_t k = 0; k < fit.tile.size; k++) size = hypot(size, grad[k]);
    ck_assert(size > 0 && isfinite(size));
    for (int64_t k = 0; k < fit.tile.size; k += 7) {
        const double h = 1e-5, theta = fit.theta[k];
        double value[2];
        for (int e = 0; e < 2; e++) {
            fit.theta[k] = theta + (e ? h : -h);
            value[e] = order == 0 ? rob_priv_fit_loss(ctx, &fit, data, index, ROWS, NULL,
                                                      &right)
                                  : rob_priv_penalty_add(ctx, &penalty, &batch, NULL);
        }
        fit.theta[k] = theta;
        ck_assert_double_eq_tol((value[1] - value[0]) / (2 * h), grad[k], 1e-7 * (1 + size));
    }
    if (order > 0) rob_priv_penalty_free(&penalty);
    rob_priv_fit_free(&fit);
    rob_data_free(data);
}
END_TEST

static double jacobian_size(const rob_model *m, const rob_data *data)
{
    double sum = 0, y[2][2], z[10];
    const double h = 1e-5;
    for (int64_t i = 0; i < data->count; i++)
        for (int64_t t = 0; t < data->series[i].steps; t++) {
            memcpy(z, data->series[i].x, (size_t)data->series[i].steps * sizeof *z);
            for (int e = 0; e < 2; e++) {
                z[t] = data->series[i].x[t] + (e ? h : -h);
                GOOD(rob_model_predict(ctx, m, z, data->series[i].steps, y[e], 2));
            }
            for (int k = 0; k < 2; k++) sum += pow((y[1][k] - y[0][k]) / (2 * h), 2);
        }
    return sum / (double)data->count;
}

/* Statistics and scales keep their bits, everything else has moved. */
static void check_frozen(const rob_model *fitted)
{
    for (int32_t k = 0; k < model->parameters; k++) {
        const rob_tensor *a = model->parameter[k].tensor, *b = fitted->parameter[k].tensor;
        bool same = memcmp(a->data, b->data, (size_t)rob_priv_shape_size(&a->shape) * 8) == 0;
        ck_assert_msg(same == rob_priv_model_frozen(&model->recipe, k), "%s",
                      model->parameter[k].name);
    }
}

/* Bumps are told apart, and a penalty on the Jacobian makes it smaller. */
START_TEST(transformers_learn)
{
    double accuracy[64], loss[64], best, size[2];
    int64_t epochs;
    GOOD(rob_model_create(ctx, TRAINED[_i], &model));
    rob_data *data = bumps(80, 1), *valid = bumps(40, 2);
    for (int k = 0; k < 2; k++) {
        rob_trainer *t;
        rob_model *fitted;
        GOOD(rob_trainer_create(ctx, &t));
        GOOD(rob_trainer_set(ctx, t, "epochs", 25));
        GOOD(rob_trainer_set(ctx, t, "jacobian", k ? 0.05 : 0));
        GOOD(rob_trainer_run(ctx, t, model, data, valid, &fitted));
        GOOD(rob_trainer_get(ctx, t, "loss", loss, 64, &epochs));
        GOOD(rob_trainer_get(ctx, t, "valid_accuracy", accuracy, 64, &epochs));
        GOOD(rob_trainer_get(ctx, t, "best_epoch", &best, 1, NULL));
        for (int64_t e = 0; e < epochs; e++) ck_assert(isfinite(loss[e]));
        /* half of them by chance: five standard deviations of 40 above it */
        ck_assert_msg(accuracy[(int64_t)best] >= 0.9, "%s: %g", TRAINED[_i],
                      accuracy[(int64_t)best]);
        size[k] = jacobian_size(fitted, valid);
        check_frozen(fitted);
        rob_model_free(fitted);
        rob_trainer_free(t);
    }
    ck_assert_double_lt(size[1], size[0]);
    rob_data_free(data);
    rob_data_free(valid);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("encoder_train");
    TCase *c = tcase_create("encoder_train");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, gradients_of_training_match_differences, 0,
                        3 * (int)COUNT_OF(TRAINED));
    tcase_add_loop_test(c, transformers_learn, 0, (int)COUNT_OF(TRAINED));
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
