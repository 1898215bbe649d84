/* onnx_written.c -- recipes written as ONNX and read back: the same outputs at any number of
 * steps, the same certificates; what has no recipe is refused in one line; failing allocators.
 *
 * A file of float64 differs by the order of a few sums, 1e-12 of the largest output after some
 * thousand operations, and where it has a layer norm by that operator's epsilon, a float32:
 * 2^-25 of it, so eps 2^-26/(var + eps) of what is normed; variances here are above 1e-3,
 * which makes 1.5e-10, and 1e-9 after two layers. A file of float32 rounds the numbers of the
 * input map and of batch norms: a few 2^-24.
 */
#include "check/poor.h"
#include "io/io.h"
#include "io/onnx.h"
#include "model/parts.h"

#include <robust.h>

#include <math.h>

enum { MOST = 64, OUTPUTS = 32 };

/* files of tests/data, or recipes */
static const char *const MODELS[] = {
    "lstm readout=last layers=2 features=3 hidden=5 outputs=2 input=(x-0.1)/0.7 classes=a,b",
    "lstm readout=mean features=1 hidden=4 outputs=3 dtype=f64",
    "gru readout=last layers=3 features=2 hidden=6 outputs=2 dtype=f64 input=x/3",
    "rnn nonlinearity=tanh readout=last features=2 hidden=9 outputs=4",
    "rnn nonlinearity=relu readout=mean layers=2 features=2 hidden=3 outputs=2",
    "gru readout=last bidirectional=yes layers=2 features=2 hidden=3 outputs=2 dtype=f64",
    "lstm readout=state bidirectional=yes features=2 hidden=3 outputs=2 mlp=4,5 "
    "activation=relu dtype=f64",
    "rnn nonlinearity=tanh readout=max bidirectional=yes bias=no features=2 hidden=3 "
    "outputs=2 dtype=f64",
    "transformer heads=2 hidden=8 features=3 outputs=2 layers=2 activation=gelu norm=first "
    "readout=cls positions=learned longest=40 input=(x-1)/2",
    "transformer heads=4 hidden=8 features=2 outputs=2 activation=gelu_tanh norm=last "
    "readout=max positions=sinusoid patch=2x1 layernorm=centred dtype=f64",
    "transformer heads=1 hidden=8 features=2 outputs=2 activation=relu norm=first "
    "readout=mean patch=3 patch_order=features bias=no task=forecast dtype=f64",
    "net_both",      "net_both_two", "net_both_mean", "net_free",    "net_free_gru",
    "net_every",     "net_mlp",      "net_mlp_wide",  "net_conv",    "net_conv_wide",
    "net_norms",     "net_batch",    "net_scaled",    "net_states",  "export_lstm_state",
    "export_gru_every_both",         "export_rnn_conv_dilation",
    "model_encoder_relu_last",       "model_encoder_gelu_first_cls",
    "model_encoder_tanh_mean",       "model_encoder_relu_first_max",
    "model_encoder_patches",         "model_encoder_centred",
    "model_encoder_centred_last",    "model_encoder_mlp",
    "model_encoder_scale",           "model_encoder_conv",
    "model_encoder_conv_patches",    "model_encoder_free",
    "model_encoder_vit",
};

static rob_ctx *ctx;
static rob_model *model, *back;
static char path[64];

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static rob_status open_one(rob_ctx *own, const char *what, rob_model **out)
{
    char file[160];
    if (strchr(what, ' ') != NULL) return rob_model_create(own, what, out);
    snprintf(file, sizeof file, "tests/data/%s.safetensors", what);
    return rob_model_load(own, file, NULL, out);
}

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = back = NULL;
}

static void stop(void)
{
    remove(path);
    rob_model_free(model);
    rob_model_free(back);
    rob_ctx_free(ctx);
}

static void there_and_back(int k)
{
    snprintf(path, sizeof path, "/tmp/robust_written_%d_%d.onnx", (int)getpid(), k);
    GOOD(open_one(ctx, MODELS[k], &model));
    GOOD(rob_model_save(ctx, model, path));
    GOOD(rob_model_load(ctx, path, NULL, &back));
}

static bool has_layer_norm(const rob_recipe *r)
{
    bool has = r->kind == ROB_KIND_TRANSFORMER && r->transformer.e.divide;
    for (int k = 0; k < ROB_NORMS; k++) has = has || r->norm[k].kind == ROB_LAYER_NORM;
    return has;
}

START_TEST(outputs_are_the_same)
{
    static const int64_t steps[] = { 9, 7, 4 };
    double x[MOST], y[2][OUTPUTS];
    char text[4096];
    int64_t count, compared = 0;
    there_and_back(_i);
    const rob_recipe *r = &model->recipe;
    double allowed = r->dtype == ROB_F32 ? 1e-6 : has_layer_norm(r) ? 1e-9 : 1e-12;
    ck_assert_int_eq(back->recipe.features, r->features);
    ck_assert_int_eq(back->recipe.outputs, r->outputs);
    ck_assert_int_eq(back->recipe.forecast, r->forecast);
    ck_assert_str_eq(back->recipe.classes, r->classes);
    for (int64_t i = 0; i < MOST; i++) x[i] = sin(1.7 * (double)i);
    for (int64_t t = 0; t < COUNT_OF(steps); t++) {
        double size = 0;
        if (r->steps > 0 && r->steps != steps[t]) continue;
        rob_status status = rob_model_predict(ctx, back, x, steps[t], y[1], OUTPUTS);
        ck_assert((status == ROB_OK)
                  == (rob_model_predict(ctx, model, x, steps[t], y[0], OUTPUTS) == ROB_OK));
        if (status < ROB_OK) continue; /* more steps than a table has positions */
        compared++;
        for (int64_t k = 0; k < r->outputs; k++) size = fmax(size, fabs(y[0][k]));
        for (int64_t k = 0; k < r->outputs; k++)
            ck_assert_msg(fabs(y[0][k] - y[1][k]) <= allowed * size, "%s, %d steps: %g %g",
                          MODELS[_i], (int)steps[t], y[0][k], y[1][k]);
    }
    ck_assert_int_gt(compared, 0);
    GOOD(rob_model_describe(ctx, back, text, sizeof text, &count));
    ck_assert_msg(strncmp(text, "onnx layout=tbd", 15) == 0, "%s", text);
    ck_assert_int_eq(rob_model_save(ctx, back, path), ROB_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "no recipe"));
}
END_TEST

static double proved(const rob_model *m, const double *x, int64_t steps)
{
    rob_query *q;
    rob_bound *b;
    double lower;
    GOOD(rob_query_create(ctx, m, &q));
    GOOD(rob_query_add(ctx, q, x, steps, -1));
    GOOD(rob_query_set_ball(ctx, q, ROB_NORM_L2, 0.01));
    GOOD(rob_bound_create(ctx, "crown", &b));
    GOOD(rob_bound_margin(ctx, b, q, &lower, 1));
    rob_bound_free(b);
    rob_query_free(q);
    return lower;
}

/* The same operators, so the same relaxations, in another order of a few sums: what is
 * proved of the file is within a thousandth of outputs of order one. */
static bool is_read(const rob_onnx *o, int32_t value)
{
    for (int32_t n = 0; n < o->nodes; n++)
        for (int32_t k = 0; k < o->node[n].ins; k++)
            if (o->node[n].in[k] == value) return true;
    return false;
}

/* A constant that no node reads costs room, and ONNX Runtime warns of each. */
START_TEST(every_constant_is_read)
{
    rob_onnx o;
    rob_bytes file;
    there_and_back(_i);
    GOOD(rob_priv_io_read(ctx, path, ROB_IO_FILE_CAP, &file));
    GOOD(rob_priv_onnx_parse(ctx, file.at, file.count, path, &o));
    for (int32_t k = 0; k < o.tensors; k++)
        ck_assert_msg(is_read(&o, o.tensor_value[k]), "%s: nobody reads '%s'", MODELS[_i],
                      o.value[o.tensor_value[k]]);
    rob_priv_onnx_clear(&o);
    rob_priv_io_release(&ctx->memory, &file);
}
END_TEST

START_TEST(certificates_are_the_same)
{
    double x[MOST];
    there_and_back(_i);
    if (model->recipe.forecast || model->recipe.outputs > 8) return;
    for (int64_t i = 0; i < MOST; i++) x[i] = sin(1.7 * (double)i);
    double one = proved(model, x, 6), two = proved(back, x, 6);
    ck_assert_msg(fabs(one - two) <= 1e-3 * (1 + fabs(one)), "%s: %g %g", MODELS[_i], one,
                  two);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------- */

static const char *poor;

static rob_status load_and_write(rob_ctx *own)
{
    rob_model *m = NULL;
    rob_status status = open_one(own, poor, &m);
    if (status == ROB_OK) status = rob_model_save(own, m, path);
    rob_model_free(m);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    static const char *const FEW[] = {
        "transformer heads=1 hidden=4 features=2 outputs=2 activation=gelu norm=first "
        "readout=cls positions=sinusoid scale=scale mlp=3 head_activation=relu",
        "lstm features=1 hidden=2 outputs=2 readout=last bidirectional=yes state=first "
        "conv=conv channels=2 kernel=2 conv_activation=relu conv_norm=batch:bn",
    };
    poor = FEW[_i];
    snprintf(path, sizeof path, "poor_%d_%d.onnx", (int)getpid(), _i);
    rob_live_poorly(load_and_write);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("onnx_written");
    TCase *c = tcase_create("onnx_written");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, outputs_are_the_same, 0, (int)COUNT_OF(MODELS));
    tcase_add_loop_test(c, every_constant_is_read, 0, (int)COUNT_OF(MODELS));
    tcase_add_loop_test(c, certificates_are_the_same, 0, (int)COUNT_OF(MODELS));
    tcase_add_loop_test(c, any_allocation_may_fail, 0, 2);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
