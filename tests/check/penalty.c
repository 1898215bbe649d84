/* penalty.c -- penalties of training: against PyTorch, against differences, unbiased;
 * the points of adversarial training; options that do nothing at zero.
 *
 * References are tests/data/penalties_*.txt (make_penalties.py), float64. An object of
 * n numbers computed in k roundings each is off by about k eps of its norm; the longest
 * chain here, weight gradients of a Hessian through two layers and 6 steps, has some
 * 1e4 operations: 1e4 * 2e-16 = 2e-12, asked for is 1e-11.
 */
#include "harness.h"
#include "models.h"

#include "train/train.h"

#include <math.h>

enum { STEPS = 6, SERIES = 3, NUMBERS = 1024 };
static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

/* ---- fixtures -------------------------------------------------------------------- */

static int64_t read_record(const char *model, const char *name, double *out)
{
    static double skipped[NUMBERS];
    char path[128], here[64];
    snprintf(path, sizeof path, "tests/data/penalties_%s.txt", model);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is missing; run from the top of the tree", path);
    int64_t found = -1;
    while (found < 0 && fscanf(file, "%63s", here) == 1) {
        int rank;
        long long dim, n = 1;
        ck_assert(fscanf(file, "%d", &rank) == 1);
        for (int k = 0; k < rank; k++) {
            ck_assert(fscanf(file, "%lld", &dim) == 1);
            n *= dim;
        }
        ck_assert(n <= NUMBERS);
        double *to = strcmp(here, name) == 0 ? out : skipped;
        for (int64_t i = 0; i < n; i++) ck_assert(fscanf(file, "%lf", &to[i]) == 1);
        if (to == out) found = n;
    }
    fclose(file);
    ck_assert_msg(found > 0, "no record %s in %s", name, path);
    return found;
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

/* N independent estimates: their mean lies within 4.06 standard errors of the truth with
 * probability 1 - 1e-4 /2 each side for a normal mean (z of 1e-4 two-sided: 3.89; the
 * rest pays for skewness and the estimated deviation). A factor L, n or 1/share that is
 * wrong moves the mean by tens of standard errors. */
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
        ck_assert_int_eq(
            rob_priv_penalty_create(ctx, m, STEPS, false, 1, order, 0, &p), ROB_OK);
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
    static const choice zero[] = { { "jacobian", 0 },     { "hessian", 0 },
                                   { "projections", 3 },  { "exact", 1 },
                                   { "noise", 0 },        { "adversarial", 0 },
                                   { "share", 0.5 },      { "adversarial_steps", 3 },
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
    static const choice sets[5][4] = { /* the last of each is NULL */
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
    Suite *s = suite_create("penalty");
    TCase *all = tcase_create("penalties");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_loop_test(all, exact_penalties_are_pytorchs, 0, 6);
    tcase_add_loop_test(all, the_joint_loss_is_pytorchs, 0, 3);
    tcase_add_loop_test(all, projected_gradients_are_differences, 0, 6);
    tcase_add_loop_test(all, estimators_are_unbiased, 0, 8);
    tcase_add_test(all, an_affine_classifier_has_its_closed_form);
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
