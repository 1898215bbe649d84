/* nets.c -- recurrent nets of every kind the recipe knows: both directions, no biases, first
 * states, read-outs, hidden layers, convolutions, norms, scales.
 *
 * Files by PyTorch (tests/data/make_nets.py): outputs, gradients, Hessian products, float64,
 * to 1e-11 of their norm. Rows of different length have the bits they have alone. Points of
 * a ball, drawn, at corners and attacked, never beat what is proved on it.
 */
#include "check/harness.h"
#include "model/parts.h"
#include "query/local.h"

#include <robust.h>

#include <math.h>

enum { STEPS = 9, MOST = 64 };

static const char *const NETS[] = {
    "both", "both_two", "both_mean", "free",  "free_gru", "every",  "mlp",
    "mlp_wide", "conv", "conv_wide", "norms", "batch",    "scaled", "states",
};

static rob_ctx *ctx;
static rob_model *model;
static double x[MOST], y[MOST];

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static void stop(void)
{
    rob_model_free(model);
    rob_ctx_free(ctx);
}

/* Tensor `name` of tests/data/KIND_NET.safetensors into out; how many numbers. */
static int64_t take(const char *kind, int net, const char *name, double *out)
{
    char path[96];
    rob_bytes bytes;
    rob_safetensors s;
    rob_tensor *t;
    snprintf(path, sizeof path, "tests/data/%s_%s.safetensors", kind, NETS[net]);
    GOOD(rob_priv_io_read(ctx, path, 1 << 20, &bytes));
    GOOD(rob_priv_safetensors_parse(ctx, bytes.at, bytes.count, path, &s));
    GOOD(rob_priv_safetensors_tensor(ctx, &s, rob_priv_safetensors_find(&s, name), &t));
    int64_t n = rob_priv_shape_size(&t->shape);
    ck_assert_int_le(n, MOST);
    for (int64_t i = 0; i < n; i++) out[i] = rob_priv_tensor_at(t, i);
    rob_priv_tensor_free(t);
    rob_priv_safetensors_clear(&s);
    rob_priv_io_release(&ctx->memory, &bytes);
    return n;
}

static void open_net(int net)
{
    char path[96];
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    snprintf(path, sizeof path, "tests/data/net_%s.safetensors", NETS[net]);
    GOOD(rob_model_load(ctx, path, NULL, &model));
    take("net", net, "robust.check.x", x);
    take("net", net, "robust.check.y", y);
}

static double off(const double *a, const double *b, int64_t n)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference = hypot(difference, a[i] - b[i]);
        size = hypot(size, b[i]);
    }
    return difference / size;
}

START_TEST(pytorch_agrees)
{
    double f[MOST], c[MOST], v[MOST], want[MOST], grad[MOST], hv[MOST];
    rob_local *l;
    open_net(_i);
    int64_t n = STEPS * model->recipe.features, outputs = model->recipe.outputs;
    for (int k = 0; k < 2; k++)
        GOOD(rob_model_predict(ctx, model, x + k * n, STEPS, f + k * outputs, MOST));
    ck_assert_double_le(off(f, y, 2 * outputs), 1e-11);
    take("near", _i, "c", c), take("near", _i, "v", v);
    GOOD(rob_priv_local_create(ctx, model, STEPS, false, &l));
    rob_priv_local_place(l, x, f);
    rob_priv_local_gradient(l, c, grad);
    ck_assert_int_eq(take("near", _i, "grad", want), n);
    ck_assert_msg(off(grad, want, n) <= 1e-11, "%g", off(grad, want, n));
    rob_priv_local_product(l, v, hv);
    take("near", _i, "hv", want);
    ck_assert_msg(off(hv, want, n) <= 1e-11, "%g", off(hv, want, n));
    rob_priv_local_free(l);
}
END_TEST

START_TEST(what_is_saved_is_loaded)
{
    char path[] = "/tmp/robust-net-XXXXXX";
    double f[MOST], g[MOST];
    rob_model *again;
    open_net(_i);
    int file = mkstemp(path);
    close(file);
    GOOD(rob_model_save(ctx, model, path));
    GOOD(rob_model_load(ctx, path, NULL, &again));
    unlink(path);
    GOOD(rob_model_predict(ctx, model, x, STEPS, f, MOST));
    GOOD(rob_model_predict(ctx, again, x, STEPS, g, MOST));
    ck_assert_mem_eq(f, g, (size_t)model->recipe.outputs * sizeof *f);
    rob_model_free(again);
}
END_TEST

static double margin_of(const int64_t *steps, int rows, int64_t which)
{
    rob_query *q;
    double m[3];
    GOOD(rob_query_create(ctx, model, &q));
    for (int k = 0; k < rows; k++) GOOD(rob_query_add(ctx, q, x, steps[k], -1));
    GOOD(rob_query_get(ctx, q, "margin", -1, m, 3, NULL));
    rob_query_free(q);
    return m[which];
}

START_TEST(a_row_has_the_bits_it_has_alone)
{
    static const int64_t steps[3] = { STEPS, 5, 6 };
    open_net(_i);
    if (model->steps > 0) return; /* one length only */
    for (int k = 0; k < 3; k++) {
        double together = margin_of(steps, 3, k), alone = margin_of(steps + k, 1, 0);
        ck_assert_msg(memcmp(&together, &alone, sizeof alone) == 0, "row %d: %.17g %.17g",
                      k, together, alone);
    }
}
END_TEST

/* F at p, in float64: sums of a few dozen terms of size 10, so 1e-9 is far above rounding */
static double attained(const double *p, int64_t reference)
{
    double f[MOST], least = INFINITY;
    GOOD(rob_model_predict(ctx, model, p, STEPS, f, MOST));
    for (int64_t k = 0; k < model->recipe.outputs; k++)
        if (k != reference) least = fmin(least, f[reference] - f[k]);
    return least;
}

static void check_points(double lower, int32_t norm, double eps, int64_t reference)
{
    double p[MOST], d[MOST];
    int64_t n = STEPS * model->recipe.features;
    rob_random z = rob_priv_random(3, (uint64_t)norm);
    for (int k = 0; k < 60; k++) {
        double size = 0;
        for (int64_t i = 0; i < n; i++) {
            d[i] = rob_priv_normal(&z);
            if (k % 2) d[i] = copysign(1, d[i]);
            size = norm == ROB_NORM_L2 ? hypot(size, d[i]) : fmax(size, fabs(d[i]));
        }
        for (int64_t i = 0; i < n; i++) p[i] = x[i] + eps * d[i] / size;
        ck_assert_msg(attained(p, reference) >= lower - 1e-9, "%s eps %g: %g < %g",
                      "drawn", eps, attained(p, reference), lower);
    }
}

static void check_ball(rob_query *q, int32_t norm, double eps, int64_t reference)
{
    double crown, interval, reached, p[MOST];
    rob_bound *b;
    rob_attack *a;
    GOOD(rob_query_set_ball(ctx, q, norm, eps));
    GOOD(rob_bound_create(ctx, "interval", &b));
    GOOD(rob_bound_margin(ctx, b, q, &interval, 1));
    rob_bound_free(b);
    GOOD(rob_bound_create(ctx, "crown", &b));
    GOOD(rob_bound_margin(ctx, b, q, &crown, 1));
    rob_bound_free(b);
    ck_assert_double_ge(crown, interval);
    GOOD(rob_attack_create(ctx, "pgd", &a));
    GOOD(rob_attack_margin(ctx, a, q, &reached, 1));
    GOOD(rob_attack_get(ctx, a, "point", 0, p, MOST, NULL));
    rob_attack_free(a);
    ck_assert_msg(attained(p, reference) >= crown - 1e-9, "attacked, eps %g: %g < %g", eps,
                  attained(p, reference), crown);
    check_points(crown, norm, eps, reference);
    /* near the series the proof comes near the margin, so that it can be wrong */
    if (eps < 1e-4) ck_assert_double_ge(crown, reached - 0.01 * (1 + fabs(reached)));
}

/* One group for each output but the largest: that one stays the largest. */
static int64_t ask_for_largest(rob_query *q)
{
    double f[MOST], c[MOST * MOST] = { 0 };
    int32_t group[MOST];
    int64_t outputs = model->recipe.outputs, most = 0, row = 0;
    GOOD(rob_model_predict(ctx, model, x, STEPS, f, MOST));
    for (int64_t k = 0; k < outputs; k++)
        if (f[k] > f[most]) most = k;
    for (int64_t k = 0; k < outputs; k++) {
        if (k == most) continue;
        c[row * outputs + most] = 1;
        c[row * outputs + k] = -1;
        group[row] = (int32_t)row;
        row++;
    }
    GOOD(rob_query_set_rows(ctx, q, c, NULL, group, row));
    return most;
}

START_TEST(no_point_beats_a_proof)
{
    static const double EPS[] = { 1e-5, 0.01, 0.3, 5 };
    rob_query *q;
    open_net(_i);
    GOOD(rob_query_create(ctx, model, &q));
    GOOD(rob_query_add(ctx, q, x, STEPS, -1));
    int64_t largest = ask_for_largest(q);
    for (int k = 0; k < 4; k++) {
        check_ball(q, ROB_NORM_L2, EPS[k], largest);
        check_ball(q, ROB_NORM_LINF, EPS[k], largest);
    }
    rob_query_free(q);
}
END_TEST

/* The band around the forecast itself: its margin at x is the nearer side, to the rounding
 * of f - f; what leaves it has left it, what is proved is nearer than what was found. */
START_TEST(forecasts_leave_their_band)
{
    rob_query *q;
    rob_attack *a;
    rob_bound *b;
    double margin, upper, lower, p[MOST], f[MOST], at[MOST];
    open_net(5);
    ck_assert(model->recipe.forecast && model->recipe.outputs == 2 * STEPS);
    GOOD(rob_query_create(ctx, model, &q));
    GOOD(rob_query_add(ctx, q, x, STEPS, -1));
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", 0, &margin, 1, NULL), ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "rob_query_set_band"));
    ck_assert_int_eq(rob_query_set_band(ctx, q, 2 * STEPS, -1, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_band(ctx, q, 0, 0.1, 1), ROB_EDOMAIN);
    GOOD(rob_query_set_band(ctx, q, 2 * STEPS - 1, -0.1, 0.05));
    GOOD(rob_query_set_band(ctx, q, 0, -0.5, 0.5));
    GOOD(rob_query_get(ctx, q, "margin", 0, &margin, 1, NULL));
    ck_assert_double_eq_tol(margin, 0.05, 4 * 0x1p-52);
    GOOD(rob_attack_create(ctx, "auto", &a));
    GOOD(rob_attack_distance(ctx, a, q, &upper, 1));
    GOOD(rob_attack_get(ctx, a, "point", 0, p, MOST, NULL));
    GOOD(rob_bound_create(ctx, "crown", &b));
    GOOD(rob_bound_radius(ctx, b, q, &lower, 1));
    ck_assert(0 < lower && lower <= upper && isfinite(upper));
    GOOD(rob_model_predict(ctx, model, x, STEPS, f, MOST));
    GOOD(rob_model_predict(ctx, model, p, STEPS, at, MOST));
    double last = at[2 * STEPS - 1] - f[2 * STEPS - 1], first = at[0] - f[0];
    ck_assert(last <= -0.1 || last >= 0.05 || fabs(first) >= 0.5);
    GOOD(rob_query_set_band(ctx, q, -1, 0, 0));
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", 0, &margin, 1, NULL), ROB_EARGUMENT);
    rob_attack_free(a);
    rob_bound_free(b);
    rob_query_free(q);
}
END_TEST

START_TEST(recipes_say_what_is_missing)
{
    static const struct wrong {
        const char *recipe, *says;
    } WRONG[] = {
        { "lstm readout=every features=1 hidden=2 outputs=2", "steps=" },
        { "lstm readout=last steps=4 features=1 hidden=2 outputs=2", "readout=every" },
        { "lstm readout=every steps=4 features=1 hidden=2 outputs=6", "all steps" },
        { "lstm readout=last mlp=3 features=1 hidden=2 outputs=2", "activation" },
        { "lstm readout=last conv=c features=1 hidden=2 outputs=2", "conv_activation" },
        { "lstm readout=last stride=2 features=1 hidden=2 outputs=2", "conv=PREFIX" },
        { "lstm readout=last conv=c conv_activation=relu features=1 hidden=2 outputs=2",
          "channels" },
        { "lstm readout=last head_norm=group:n features=1 hidden=2 outputs=2", "batch:" },
        { "lstm readout=last mlp=1,2,3,4,5 features=1 hidden=2 outputs=2", "4 sizes" },
        { "lstm readout=last bidirectional=maybe", "yes or no" },
        { "lstm readout=last eps=-1", "positive" },
    };
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = NULL;
    for (size_t k = 0; k < sizeof WRONG / sizeof *WRONG; k++) {
        ck_assert_int_lt(rob_model_create(ctx, WRONG[k].recipe, &model), 0);
        ck_assert_msg(strstr(rob_ctx_error(ctx), WRONG[k].says) != NULL, "%s: %s",
                      WRONG[k].recipe, rob_ctx_error(ctx));
        ck_assert_ptr_null(model);
    }
}
END_TEST

START_TEST(a_new_model_trains_and_keeps_its_statistics)
{
    static const char *const RECIPE =
        "gru features=1 hidden=4 outputs=2 readout=mean bidirectional=yes mlp=3 "
        "activation=relu conv=conv channels=3 kernel=3 stride=2 conv_activation=tanh "
        "conv_norm=batch:bn head_norm=layer:ln scale=scale state=first";
    double before[3], after[3], loss[64];
    rob_data *d;
    rob_trainer *t;
    rob_model *better;
    int64_t n;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    GOOD(rob_model_create(ctx, RECIPE, &model));
    GOOD(rob_data_create(ctx, &d));
    for (int k = 0; k < 24; k++) {
        for (int i = 0; i < STEPS; i++) x[i] = sin(0.7 * i + k) + (k % 2 ? 0.5 : -0.5);
        GOOD(rob_data_add(ctx, d, x, STEPS, 1, k % 2));
    }
    GOOD(rob_trainer_create(ctx, &t));
    GOOD(rob_trainer_set(ctx, t, "epochs", 12));
    GOOD(rob_trainer_run(ctx, t, model, d, NULL, &better));
    GOOD(rob_trainer_get(ctx, t, "loss", loss, 64, &n));
    ck_assert_double_lt(loss[n - 1], loss[0]);
    GOOD(rob_model_get(ctx, model, "bn.running_var", before, 3, NULL));
    GOOD(rob_model_get(ctx, better, "bn.running_var", after, 3, NULL));
    ck_assert_mem_eq(before, after, sizeof before);
    GOOD(rob_model_get(ctx, better, "bn.weight", after, 3, NULL));
    ck_assert(after[0] != 1);
    rob_model_free(better);
    rob_trainer_free(t);
    rob_data_free(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nets");
    TCase *c = tcase_create("nets");
    const int nets = (int)(sizeof NETS / sizeof *NETS);
    tcase_add_checked_fixture(c, NULL, stop);
    suite_add_tcase(s, c);
    tcase_add_loop_test(c, pytorch_agrees, 0, nets);
    tcase_add_loop_test(c, what_is_saved_is_loaded, 0, nets);
    tcase_add_loop_test(c, a_row_has_the_bits_it_has_alone, 0, nets);
    tcase_add_loop_test(c, no_point_beats_a_proof, 0, nets);
    tcase_add_test(c, forecasts_leave_their_band);
    tcase_add_test(c, recipes_say_what_is_missing);
    tcase_add_test(c, a_new_model_trains_and_keeps_its_statistics);
    return rob_run_suite(s);
}
