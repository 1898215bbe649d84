/* certified_train.c -- certified training: what was trained is proved, the ramp, bits,
 * options, memory.
 */
#include "harness.h"
#include "models.h"

#include "query/query.h"
#include "train/train.h"
#include <robust/bound.h>

#include <math.h>

static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

enum { LENGTH = 12 };

/* Class k: a bump of height 2k - 1 at a random place, in noise. */
static rob_data *bumps(rob_ctx *own, int64_t count, uint64_t stream)
{
    rob_data *data;
    double x[LENGTH];
    ck_assert_int_eq(rob_data_create(own, &data), ROB_OK);
    for (int64_t i = 0; i < count; i++) {
        rob_random r = rob_priv_random(stream, (uint64_t)i);
        for (int64_t t = 0; t < LENGTH; t++) x[t] = 0.1 * rob_priv_normal(&r);
        x[rob_priv_below(&r, LENGTH)] += i % 2 ? 1 : -1;
        ck_assert_int_eq(rob_data_add(own, data, x, LENGTH, 1, i % 2), ROB_OK);
    }
    return data;
}

static rob_trainer *trainer_with(rob_ctx *own, double epochs, double radius)
{
    rob_trainer *t;
    ck_assert_int_eq(rob_trainer_create(own, &t), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(own, t, "epochs", epochs), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(own, t, "certified", radius), ROB_OK);
    return t;
}

/* series of data that the method proves at the radius */
static int64_t proved_by(const char *method, const rob_model *m, const rob_data *data,
                         double radius)
{
    rob_query *q;
    rob_bound *b;
    double margin[64];
    int64_t proved = 0;
    ck_assert_int_eq(rob_query_create(ctx, m, &q), ROB_OK);
    ck_assert_int_eq(rob_query_add_data(ctx, q, data, 0, data->count), ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_LINF, radius), ROB_OK);
    ck_assert_int_eq(rob_query_set_reference(ctx, q, ROB_REFERENCE_LABEL), ROB_OK);
    ck_assert_int_eq(rob_bound_create(ctx, method, &b), ROB_OK);
    ck_assert_int_eq(rob_bound_margin(ctx, b, q, margin, 64), ROB_OK);
    for (int64_t i = 0; i < data->count; i++) proved += margin[i] > 0;
    rob_bound_free(b);
    rob_query_free(q);
    return proved;
}

static double last_of(const rob_trainer *t, const char *what)
{
    double curve[64], best;
    ck_assert_int_eq(rob_trainer_get(ctx, t, what, curve, 64, NULL), ROB_OK);
    ck_assert_int_eq(rob_trainer_get(ctx, t, "best_epoch", &best, 1, NULL), ROB_OK);
    return curve[(int64_t)best];
}

/* What the trainer says intervals prove of the validation set is what the bound's
 * intervals (two outputs: their difference, one by one) and sweeps then find: intervals at
 * most as many, sweeps not under nine tenths. */
START_TEST(what_is_trained_is_proved)
{
    const double radius = 0.04;
    rob_data *train = bumps(ctx, 96, 1), *valid = bumps(ctx, 64, 2);
    rob_model *m, *plain, *fitted;
    char recipe[96];
    snprintf(recipe, sizeof recipe, "%s readout=mean features=1 hidden=8 outputs=2",
             (const char *[]){ "rnn nonlinearity=tanh", "gru", "lstm" }[_i]);
    ck_assert_int_eq(rob_model_create(ctx, recipe, &m), ROB_OK);
    rob_trainer *t[2] = { trainer_with(ctx, 40, 0), trainer_with(ctx, 40, radius) };
    ck_assert_int_eq(rob_trainer_run(ctx, t[0], m, train, valid, &plain), ROB_OK);
    ck_assert_int_eq(rob_trainer_run(ctx, t[1], m, train, valid, &fitted), ROB_OK);
    double said = last_of(t[1], "certified") * (double)valid->count;
    int64_t before = proved_by("interval", plain, valid, radius);
    int64_t after = proved_by("interval", fitted, valid, radius);
    ck_assert(isnan(last_of(t[0], "certified")));
    ck_assert_double_ge(last_of(t[1], "valid_accuracy"), 0.85);
    printf("certified_train: proved %lld of 64 without, %lld with, %.0f said\n",
           (long long)before, (long long)after, said);
    ck_assert_int_ge(after, before + 16);
    ck_assert_double_le((double)after, said);
    ck_assert_double_ge((double)proved_by("crown", fitted, valid, radius), 0.9 * said);
    for (int k = 0; k < 2; k++) rob_trainer_free(t[k]);
    rob_model_free(fitted);
    rob_model_free(plain);
    rob_model_free(m);
    rob_data_free(train);
    rob_data_free(valid);
}
END_TEST

/* Boxes grow over the ramp; the epochs in it are never the best of a run that goes on, and
 * threads do not change a bit. */
START_TEST(the_ramp_is_not_the_best_and_bits_repeat)
{
    static double weight[2][2000];
    rob_data *train = bumps(ctx, 40, 1), *valid = bumps(ctx, 20, 2);
    rob_model *m, *fitted;
    int64_t size = 0;
    ck_assert_int_eq(
        rob_model_create(ctx, "gru readout=last features=1 hidden=6 outputs=2", &m), ROB_OK);
    for (int k = 0; k < 2; k++) {
        double best;
        rob_trainer *t = trainer_with(ctx, 12, 0.1);
        ck_assert_int_eq(rob_trainer_set(ctx, t, "certified_ramp", 0.75), ROB_OK);
        ck_assert_int_eq(rob_ctx_set_threads(ctx, 1 + k), ROB_OK);
        ck_assert_int_eq(rob_trainer_run(ctx, t, m, train, _i ? valid : NULL, &fitted),
                         ROB_OK);
        ck_assert_int_eq(rob_trainer_get(ctx, t, "best_epoch", &best, 1, NULL), ROB_OK);
        ck_assert_double_ge(best, 9);
        weights_of(fitted, weight[k], &size);
        rob_model_free(fitted);
        rob_trainer_free(t);
    }
    ck_assert_mem_eq(weight[0], weight[1], (size_t)size * sizeof(double));
    rob_model_free(m);
    rob_data_free(train);
    rob_data_free(valid);
}
END_TEST

START_TEST(options_have_bounds)
{
    rob_trainer *t = trainer_with(ctx, 2, 0.1);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "certified", -1), ROB_EDOMAIN);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "certified_weight", 0), ROB_EDOMAIN);
    ck_assert_int_eq(rob_trainer_set(ctx, t, "certified_ramp", 1.5), ROB_EDOMAIN);
    rob_trainer_free(t);
}
END_TEST

static rob_status whole(rob_ctx *own, const rob_model *m, const rob_data *data,
                        rob_model **out)
{
    rob_status status = ROB_OK;
    rob_trainer *t = NULL;
    TRY(rob_trainer_create(own, &t));
    TRY(rob_trainer_set(own, t, "epochs", 1));
    TRY(rob_trainer_set(own, t, "certified", 0.1));
    TRY(rob_trainer_run(own, t, m, data, data, out));
done:
    rob_trainer_free(t);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own), ROB_OK);
    rob_model *m;
    ck_assert_int_eq(
        rob_model_create(own, "lstm readout=mean features=1 hidden=2 outputs=2", &m), ROB_OK);
    rob_data *data = bumps(own, 4, 1);
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
    Suite *s = suite_create("certified_train");
    TCase *all = tcase_create("training");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_loop_test(all, what_is_trained_is_proved, 0, 3);
    tcase_add_loop_test(all, the_ramp_is_not_the_best_and_bits_repeat, 0, 2);
    tcase_add_test(all, options_have_bounds);
    tcase_add_test(all, every_allocation_may_fail);
    suite_add_tcase(s, all);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
