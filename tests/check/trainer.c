/* trainer.c -- training: the gradient, repeatability, stopping, memory. */
#include "harness.h"
#include "models.h"

#include "train/train.h"

#include <math.h>

enum { STEPS = 10 };
static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

/* Class k: a bump of height 2k - 1 at a random place, in noise; three of four are class
 * 0. */
static rob_data *bumps(rob_ctx *own, int64_t count, bool differ, uint64_t stream)
{
    rob_data *data;
    double x[STEPS];
    ck_assert_int_eq(rob_data_create(own, &data), ROB_OK);
    for (int64_t i = 0; i < count; i++) {
        rob_random r = rob_priv_random(stream, (uint64_t)i);
        int64_t label = i % 4 == 3, steps = differ ? STEPS - i % 4 : STEPS;
        for (int64_t t = 0; t < steps; t++) x[t] = 0.3 * rob_priv_normal(&r);
        x[rob_priv_below(&r, steps)] += label ? 3 : -3;
        ck_assert_int_eq(rob_data_add(own, data, x, steps, 1, label), ROB_OK);
    }
    return data;
}

static rob_trainer *trainer_with(rob_ctx *own, double epochs, double batch)
{
    rob_trainer *t;
    ck_assert_int_eq(rob_trainer_create(own, &t), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(own, t, "epochs", epochs), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(own, t, "batch", batch), ROB_OK);
    return t;
}

static const int32_t kinds[3] = { ROB_KIND_RNN_TANH, ROB_KIND_RNN_RELU, ROB_KIND_LSTM };

/* Central differences in float64, step 1e-5: error about 1e-10 + eps/1e-5 = 2e-11 for
 * third derivatives of order one. */
START_TEST(gradient_matches_differences)
{
    rob_model *m = test_model(ctx, kinds[_i % 3], 1, 4, 2, _i / 3 % 2, ROB_F64, 0.5);
    rob_data *data = bumps(ctx, 21, _i >= 6, 1);
    int64_t index[21], right;
    for (int i = 0; i < 21; i++) index[i] = (i * 8) % 21;
    rob_fit fit;
    ck_assert_int_eq(rob_priv_fit_create(ctx, m, STEPS, _i >= 6, 1, &fit), ROB_OK);
    double grad[400];
    ck_assert_int_le(fit.tile.size, 400);
    rob_priv_fit_loss(ctx, &fit, data, index, 21, grad, &right);
    ck_assert(right >= 0 && right <= 21);
    for (int64_t k = 0; k < fit.tile.size; k += 3) {
        const double h = 1e-5, theta = fit.theta[k];
        fit.theta[k] = theta + h;
        double up = rob_priv_fit_loss(ctx, &fit, data, index, 21, NULL, &right);
        fit.theta[k] = theta - h;
        double down = rob_priv_fit_loss(ctx, &fit, data, index, 21, NULL, &right);
        fit.theta[k] = theta;
        ck_assert_double_eq_tol((up - down) / (2 * h), grad[k], 2e-9);
    }
    rob_priv_fit_free(&fit);
    rob_data_free(data);
    rob_model_free(m);
}
END_TEST

START_TEST(learns_and_repeats)
{
    rob_model *m =
        test_model(ctx, ROB_KIND_LSTM, 1, 8, 2, ROB_READOUT_MEAN, ROB_F32, 0.3);
    rob_model *fitted[4];
    rob_data *train = bumps(ctx, 120, _i == 1, 1), *valid = bumps(ctx, 60, _i == 1, 2);
    static double weight[4][2000], loss[40], accuracy[40];
    int64_t size, epochs;
    for (int k = 0; k < 4; k++) {
        rob_trainer *t = trainer_with(ctx, 25, 40);
        ck_assert_int_eq(rob_trainer_set(ctx, t, "rate", 0.02), ROB_OK);
        ck_assert_int_eq(rob_ctx_set_threads(ctx, 1 + k % 2), ROB_OK);
        ck_assert_int_eq(rob_ctx_set_seed(ctx, k == 3), ROB_OK);
        ck_assert_msg(rob_trainer_run(ctx, t, m, train, valid, &fitted[k]) == ROB_OK,
                      "%s", rob_ctx_error(ctx));
        weights_of(fitted[k], weight[k], &size);
        ck_assert_int_eq(rob_trainer_get(ctx, t, "loss", loss, 40, &epochs), ROB_OK);
        ck_assert_int_eq(
            rob_trainer_get(ctx, t, "valid_accuracy", accuracy, 40, &epochs), ROB_OK);
        /* the majority is 3/4: three standard deviations of 60 series above it */
        double best;
        ck_assert_int_eq(rob_trainer_get(ctx, t, "best_epoch", &best, 1, NULL), ROB_OK);
        ck_assert_double_ge(accuracy[(int64_t)best], 0.92);
        ck_assert_double_lt(loss[(int64_t)best], loss[0]);
        for (int64_t e = 0; e < epochs; e++)
            ck_assert_double_le(accuracy[e], accuracy[(int64_t)best]);
        rob_trainer_free(t);
    }
    ck_assert_mem_eq(weight[0], weight[1], (size_t)size * sizeof(double));
    ck_assert_mem_eq(weight[0], weight[2], (size_t)size * sizeof(double));
    ck_assert_mem_ne(weight[0], weight[3], (size_t)size * sizeof(double));
    /* the start is untouched and the model kept is the one measured */
    int64_t right = 0;
    for (int64_t i = 0; i < valid->count; i++) {
        double f[2];
        ck_assert_int_eq(rob_model_predict(ctx, fitted[3], valid->series[i].x,
                                           valid->series[i].steps, f, 2),
                         ROB_OK);
        right += (f[1] > f[0]) == valid->series[i].label;
    }
    ck_assert_double_ge((double)right / (double)valid->count, 0.92);
    for (int k = 0; k < 4; k++) rob_model_free(fitted[k]);
    rob_data_free(train);
    rob_data_free(valid);
    rob_model_free(m);
}
END_TEST

START_TEST(patience_ends_the_run)
{
    rob_model *m = test_model(ctx, ROB_KIND_RNN_TANH, 1, 3, 2, 0, ROB_F32, 0.3),
              *fitted;
    rob_data *train = bumps(ctx, 16, false, 1);
    rob_trainer *t = trainer_with(ctx, 500, 8);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "patience", 4), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "rate", 1e-12), ROB_OK);
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, train, train, &fitted), ROB_OK);
    /* weights cannot move at this rate in float32: the first epoch stays the best */
    double best, loss[500];
    int64_t epochs;
    ck_assert_int_eq(rob_trainer_get(ctx, t, "best_epoch", &best, 1, NULL), ROB_OK);
    ck_assert_int_eq(rob_trainer_get(ctx, t, "loss", loss, 500, &epochs), ROB_OK);
    ck_assert_int_lt(epochs, 100);
    ck_assert_int_eq(epochs, (int64_t)best + 5);
    rob_model_free(fitted);
    rob_trainer_free(t);
    rob_data_free(train);
    rob_model_free(m);
}
END_TEST

static int32_t stop_at_three(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user;
    ck_assert_str_eq(stage, "train");
    ck_assert_int_eq(total, 50);
    return done >= 3;
}

START_TEST(stopping_gives_the_best_so_far)
{
    rob_model *m = test_model(ctx, ROB_KIND_RNN_TANH, 1, 3, 2, 0, ROB_F32, 0.3),
              *fitted;
    rob_data *train = bumps(ctx, 16, false, 1);
    rob_trainer *t = trainer_with(ctx, 50, 8);
    int64_t epochs;
    rob_ctx_set_progress(ctx, stop_at_three, NULL);
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, train, NULL, &fitted), ROB_STOPPED);
    rob_ctx_set_progress(ctx, NULL, NULL);
    ck_assert_ptr_nonnull(fitted);
    ck_assert_int_eq(rob_trainer_get(ctx, t, "loss", NULL, 0, &epochs), ROB_OK);
    ck_assert_int_eq(epochs, 3);
    rob_model_free(fitted);
    rob_trainer_free(t);
    rob_data_free(train);
    rob_model_free(m);
}
END_TEST

START_TEST(bad_arguments_are_named)
{
    rob_model *m = test_model(ctx, ROB_KIND_RNN_TANH, 1, 3, 2, 0, ROB_F32, 0.3),
              *fitted;
    rob_model *wide = test_model(ctx, ROB_KIND_RNN_TANH, 2, 3, 2, 0, ROB_F32, 0.3);
    rob_data *train = bumps(ctx, 8, false, 1), *empty;
    rob_trainer *t = trainer_with(ctx, 2, 8);
    double x[3] = { 0 };
    ck_assert_int_eq(rob_data_create(ctx, &empty), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "epoch", 2), ROB_EARGUMENT);
    ck_assert_int_lt(rob_trainer_set(ctx, t, "rate", 0), 0);
    ck_assert_int_eq(rob_trainer_run(ctx, t, wide, train, NULL, &fitted), ROB_ESHAPE);
    ck_assert_ptr_null(fitted);
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, empty, NULL, &fitted), ROB_ESHAPE);
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, NULL, NULL, &fitted), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_add(ctx, train, x, 3, 1, 2), ROB_OK);
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, train, NULL, &fitted), ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "series 8"));
    ck_assert_int_eq(rob_trainer_get(ctx, t, "los", x, 3, NULL), ROB_EARGUMENT);
    rob_trainer_free(t);
    rob_data_free(train);
    rob_data_free(empty);
    rob_model_free(wide);
    rob_model_free(m);
}
END_TEST

static rob_status whole(rob_ctx *own, const rob_model *m, const rob_data *data,
                        rob_model **out)
{
    rob_status status = ROB_OK;
    rob_trainer *t = NULL;
    TRY(rob_trainer_create(own, &t));
    TRY(rob_trainer_set(own, t, "epochs", 2));
    TRY(rob_trainer_run(own, t, m, data, data, out));
done:
    rob_trainer_free(t);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own),
                     ROB_OK);
    rob_model *m = test_model(own, ROB_KIND_LSTM, 1, 2, 2, 0, ROB_F32, 0.3);
    rob_data *data = bumps(own, 6, true, 1);
    int64_t live = c.live, n = 0;
    rob_status status;
    do {
        rob_model *fitted = NULL;
        c.left = n++;
        status = whole(own, m, data, &fitted);
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        ck_assert_int_eq(status == ROB_OK, fitted != NULL);
        rob_model_free(fitted);
        ck_assert_int_eq(c.live, live);
    } while (status != ROB_OK);
    ck_assert_int_gt(n, 40);
    c.left = -1;
    rob_data_free(data);
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("trainer");
    TCase *all = tcase_create("training");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_loop_test(all, gradient_matches_differences, 0, 12);
    tcase_add_loop_test(all, learns_and_repeats, 0, 2);
    tcase_add_test(all, patience_ends_the_run);
    tcase_add_test(all, stopping_gives_the_best_so_far);
    tcase_add_test(all, bad_arguments_are_named);
    tcase_add_test(all, every_allocation_may_fail);
    suite_add_tcase(s, all);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
