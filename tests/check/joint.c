/* joint.c -- training with penalties, noise and adversarial points: the points where
 * they have closed forms, options that do nothing at zero, bits, memory.
 */
#include "harness.h"
#include "models.h"

#include "train/train.h"

#include <math.h>

enum { STEPS = 6, NUMBERS = 1024 };
static rob_ctx *ctx;
static const char *const terms[2] = { "jacobian", "hessian" };

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

static double norm_of(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

/* ---- points trained at ----------------------------------------------------------- */

static rob_disturb disturb_with(const rob_model *m, double noise, double radius,
                                int32_t norm)
{
    rob_disturb d = { .noise = noise, .radius = radius, .norm = norm, .ascents = 10 };
    ck_assert_msg(rob_priv_disturb_create(ctx, m, STEPS, false, 40, &d) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return d;
}

/* Two classes, f affine: the loss grows along w = grad (f_other - f_label), so the
 * worst point is rho w/||w|| (L2: the ascent turns there, within its last step's
 * reach) or rho sign w (Linf: every step has the right sign, 10 steps of rho/4 reach
 * the face from anywhere). */
START_TEST(adversarial_points_of_an_affine_classifier)
{
    rob_model *m = affine_model(ctx, 2, 2);
    int32_t norm = _i % 2 ? ROB_NORM_LINF : ROB_NORM_L2;
    double x[STEPS * 2], w[STEPS * 2], radius = 0.3, theta[NUMBERS];
    int64_t index[40];
    rob_data *data;
    rob_fit fit;
    m->recipe.input_scale = 0.5;
    affine_row(m, 1, 0, STEPS, w);
    ck_assert_int_eq(rob_data_create(ctx, &data), ROB_OK);
    for (int64_t i = 0; i < 40; i++) {
        test_series(x, STEPS * 2, (uint64_t)i);
        ck_assert_int_eq(rob_data_add(ctx, data, x, STEPS, 2, i % 2), ROB_OK);
        index[i] = i;
    }
    ck_assert_int_eq(rob_priv_fit_create(ctx, m, STEPS, false, 3, &fit), ROB_OK);
    memcpy(theta, fit.theta, (size_t)fit.tile.size * sizeof *theta);
    rob_disturb d = disturb_with(m, 0, radius, norm);
    rob_batch b = {
        .data = data, .index = index, .count = 40, .theta = theta, .weight = 1. / 40
    };
    rob_priv_disturb_run(ctx, &d, &b);
    for (int64_t i = 0; i < 40; i++) {
        double sign = i % 2 ? -1 : 1, along = 0, delta[STEPS * 2], most = 0;
        for (int k = 0; k < STEPS * 2; k++) {
            delta[k] = (b.moved[i * STEPS * 2 + k] - data->series[i].x[k]) / 0.5;
            along += sign * delta[k] * w[k];
            most = fmax(most, fabs(delta[k]));
            if (norm == ROB_NORM_LINF)
                ck_assert_double_eq_tol(delta[k], sign * w[k] > 0 ? radius : -radius,
                                        1e-14);
        }
        if (norm == ROB_NORM_LINF) continue;
        double length = norm_of(delta, STEPS * 2);
        ck_assert_double_le(length, radius * (1 + 1e-14));
        ck_assert_double_ge(along, 0.95 * radius * norm_of(w, STEPS * 2));
    }
    rob_priv_disturb_free(&d);
    rob_priv_fit_free(&fit);
    rob_data_free(data);
    rob_model_free(m);
}
END_TEST

/* 40 series of 12 numbers: the sum of squares over sigma^2 is chi^2 of 480, standard
 * deviation sqrt(960) = 31; 4 of them. The mean has sigma/sqrt(480). */
START_TEST(noise_has_its_deviation)
{
    rob_model *m = affine_model(ctx, 2, 2);
    double x[STEPS * 2], sum = 0, square = 0, sigma = 0.2 * 0.5;
    int64_t index[40];
    rob_data *data;
    m->recipe.input_scale = -0.5;
    ck_assert_int_eq(rob_data_create(ctx, &data), ROB_OK);
    for (int64_t i = 0; i < 40; i++) {
        test_series(x, STEPS * 2, (uint64_t)i);
        ck_assert_int_eq(rob_data_add(ctx, data, x, STEPS, 2, i % 2), ROB_OK);
        index[i] = i;
    }
    rob_disturb d = disturb_with(m, 0.2, 0, ROB_NORM_L2);
    rob_batch b = { .data = data, .index = index, .count = 40, .seed = 5 };
    rob_priv_disturb_run(ctx, &d, &b);
    for (int64_t i = 0; i < 40 * STEPS * 2; i++) {
        double z = (b.moved[i] - data->series[i / 12].x[i % 12]) / sigma;
        sum += z;
        square += z * z;
    }
    ck_assert_double_le(fabs(sum), 4 * sqrt(480));
    ck_assert_double_le(fabs(square - 480), 4 * sqrt(960));
    double first = b.moved[7];
    b.epoch = 1;
    rob_priv_disturb_run(ctx, &d, &b);
    ck_assert_double_ne(b.moved[7], first);
    rob_priv_disturb_free(&d);
    rob_data_free(data);
    rob_model_free(m);
}
END_TEST

/* ---- the trainer ----------------------------------------------------------------- */

typedef struct choice {
    const char *name;
    double value;
} choice;

static int64_t train_with(const choice *set, int32_t threads, int32_t dtype,
                          double *weight, double *curve)
{
    rob_model *m =
        test_model(ctx, ROB_KIND_LSTM, 1, 4, 2, ROB_READOUT_LAST, dtype, 0.5);
    rob_model *fitted;
    rob_trainer *t;
    rob_data *data;
    double x[STEPS];
    int64_t size = 0;
    ck_assert_int_eq(rob_ctx_set_threads(ctx, threads), ROB_OK);
    ck_assert_int_eq(rob_data_create(ctx, &data), ROB_OK);
    for (int64_t i = 0; i < 50; i++) {
        test_series(x, STEPS, (uint64_t)i);
        x[i % STEPS] += i % 2 ? 2 : -2;
        ck_assert_int_eq(rob_data_add(ctx, data, x, STEPS - i % 3 / 2, 1, i % 2),
                         ROB_OK);
    }
    ck_assert_int_eq(rob_trainer_create(ctx, &t), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "epochs", 4), ROB_OK);
    for (; set->name; set++)
        ck_assert_msg(rob_trainer_set(ctx, t, set->name, set->value) == ROB_OK, "%s",
                      rob_ctx_error(ctx));
    ck_assert_msg(rob_trainer_run(ctx, t, m, data, NULL, &fitted) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    for (int32_t k = 0; k < fitted->parameters; k++)
        for (int64_t i = 0;
             i < rob_priv_shape_size(&fitted->parameter[k].tensor->shape); i++)
            weight[size++] = rob_priv_tensor_at(fitted->parameter[k].tensor, i);
    ck_assert_int_eq(rob_trainer_get(ctx, t, "penalty", curve, 4, NULL), ROB_OK);
    rob_trainer_free(t);
    rob_model_free(fitted);
    rob_data_free(data);
    rob_model_free(m);
    return size;
}

START_TEST(zero_strength_is_plain_training)
{
    static const choice plain[] = { { NULL, 0 } };
    static const choice zero[] = { { "jacobian", 0 },    { "hessian", 0 },
                                   { "projections", 3 }, { "exact", 1 },
                                   { "noise", 0 },       { "adversarial", 0 },
                                   { "share", 0.5 },     { "adversarial_steps", 3 },
                                   { NULL, 0 } };
    double a[NUMBERS], b[NUMBERS], curve[4];
    int64_t size = train_with(plain, 1, ROB_F32, a, curve);
    train_with(zero, 1, ROB_F32, b, curve);
    ck_assert_mem_eq(a, b, (size_t)size * sizeof *a);
    ck_assert_double_eq(curve[0], 0);
}
END_TEST

START_TEST(every_term_trains_and_repeats)
{
    static const choice sets[5][4] = {
        /* the last of each is NULL */
        { { "jacobian", 0.1 }, { "projections", 2 } },
        { { "hessian", 0.1 }, { "share", 0.6 } },
        { { "noise", 0.3 } },
        { { "adversarial", 0.2 }, { "adversarial_norm", ROB_NORM_LINF } },
        { { "jacobian", 0.1 }, { "hessian", 0.1 }, { "adversarial", 0.2 } },
    };
    static const choice plain[] = { { NULL, 0 } };
    double a[NUMBERS], b[NUMBERS], c[NUMBERS], curve[4];
    int64_t size = train_with(sets[_i], 1, ROB_F32, a, curve);
    ck_assert_int_eq(curve[0] > 0, _i < 2 || _i == 4);
    train_with(sets[_i], 2, ROB_F32, b, curve);
    train_with(plain, 1, ROB_F32, c, curve);
    ck_assert_mem_eq(a, b, (size_t)size * sizeof *a);
    ck_assert_mem_ne(a, c, (size_t)size * sizeof *a);
}
END_TEST

/* What is penalised gets smaller: the mean of ||J||^2, ||Hess||^2 at both strengths. */
START_TEST(a_strong_penalty_lowers_what_it_names)
{
    choice weak[] = { { terms[_i], 1e-3 }, { "batch", 10 }, { NULL, 0 } };
    choice strong[] = { { terms[_i], 1000 }, { "batch", 10 }, { NULL, 0 } };
    double w[NUMBERS], low[4], high[4];
    train_with(weak, 1, ROB_F64, w, low);
    train_with(strong, 1, ROB_F64, w, high);
    ck_assert_double_lt(high[3] / 1000, low[3] / 1e-3 / 2);
}
END_TEST

START_TEST(bad_options_are_named)
{
    rob_trainer *t;
    rob_data *data;
    rob_model *m = test_model(ctx, ROB_KIND_LSTM, 1, 2, 2, 0, ROB_F32, 0.5), *out;
    double x[2] = { 0 };
    ck_assert_int_eq(rob_data_create(ctx, &data), ROB_OK);
    ck_assert_int_eq(rob_data_add(ctx, data, x, 2, 1, 0), ROB_OK);
    ck_assert_int_eq(rob_trainer_create(ctx, &t), ROB_OK);
    ck_assert_int_lt(rob_trainer_set(ctx, t, "jacobian", -1), 0);
    ck_assert_int_lt(rob_trainer_set(ctx, t, "share", 0), 0);
    ck_assert_int_lt(rob_trainer_set(ctx, t, "projections", 0), 0);
    ck_assert_int_lt(rob_trainer_set(ctx, t, "hessian", NAN), 0);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "adversarial_norm", 3), ROB_OK);
    ck_assert_int_eq(rob_trainer_run(ctx, t, m, data, NULL, &out), ROB_EARGUMENT);
    ck_assert_ptr_null(out);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "adversarial_norm"));
    rob_trainer_free(t);
    rob_data_free(data);
    rob_model_free(m);
}
END_TEST

static rob_status whole(rob_ctx *own, const rob_model *m, const rob_data *data,
                        rob_model **out)
{
    rob_status status = ROB_OK;
    rob_trainer *t = NULL;
    TRY(rob_trainer_create(own, &t));
    TRY(rob_trainer_set(own, t, "epochs", 1));
    TRY(rob_trainer_set(own, t, "jacobian", 1));
    TRY(rob_trainer_set(own, t, "hessian", 1));
    TRY(rob_trainer_set(own, t, "adversarial", 1));
    TRY(rob_trainer_run(own, t, m, data, data, out));
done:
    rob_trainer_free(t);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    rob_data *data;
    double x[3] = { 0.1, 0.2, -0.3 };
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own),
                     ROB_OK);
    rob_model *m = test_model(own, ROB_KIND_RNN_TANH, 1, 2, 2, 0, ROB_F32, 0.3);
    ck_assert_int_eq(rob_data_create(own, &data), ROB_OK);
    for (int64_t i = 0; i < 3; i++)
        ck_assert_int_eq(rob_data_add(own, data, x, 3, 1, i % 2), ROB_OK);
    int64_t live = c.live, n = 0;
    rob_status status;
    do {
        rob_model *fitted = NULL;
        c.left = n;
        n += 1 + n / 40; /* thousands of requests: every one at first, then some */
        status = whole(own, m, data, &fitted);
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        ck_assert_int_eq(status == ROB_OK, fitted != NULL);
        rob_model_free(fitted);
        ck_assert_int_eq(c.live, live);
    } while (status != ROB_OK);
    ck_assert_int_gt(n, 100);
    c.left = -1;
    rob_data_free(data);
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("joint");
    TCase *all = tcase_create("joint training");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_loop_test(all, adversarial_points_of_an_affine_classifier, 0, 2);
    tcase_add_test(all, noise_has_its_deviation);
    tcase_add_test(all, zero_strength_is_plain_training);
    tcase_add_loop_test(all, every_term_trains_and_repeats, 0, 5);
    tcase_add_loop_test(all, a_strong_penalty_lowers_what_it_names, 0, 2);
    tcase_add_test(all, bad_options_are_named);
    tcase_add_test(all, every_allocation_may_fail);
    suite_add_tcase(s, all);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
