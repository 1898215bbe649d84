/* exports.c -- what examples/python/export.py writes of torch modules with every option of a
 * recipe loads with the values PyTorch gave, is made again in code from its recipe
 * and its tensors, and is saved and loaded again, bit for bit.
 *
 * Values are held against PyTorch's relative to the largest 1e-11: T = 7 steps of products
 * of at most 16 terms err by less than 16 * 7 u = 2e-14 on either side, and norms and gates
 * with weights of size 2 amplify that by less than 500.
 */
#include "check/harness.h"
#include "io/io.h"
#include "model/model.h"

#include <math.h>
#include <unistd.h>

static const char *const NAMES[] = {
    "rnn_both", "rnn_relu_state", "lstm_both", "lstm_both_mean", "lstm_state",
    "lstm_free", "gru_free", "gru_both", "lstm_every", "gru_every_both",
    "lstm_mlp_relu", "rnn_mlp_tanh", "gru_mlp_gelu", "lstm_scale", "lstm_conv",
    "gru_conv_stride", "rnn_conv_dilation", "lstm_batch_norms", "gru_layer_norms",
    "rnn_conv_norm", "lstm_forecast", "gru_reversed", "gru_behind", "encoder_last",
    "encoder_cls", "encoder_patches", "encoder_unfolded", "encoder_list", "encoder_front",
    "encoder_bare", "encoder_centred",
};
enum { STEPS = 7, MOST = 32, NETS = sizeof NAMES / sizeof *NAMES };
static rob_ctx *ctx;

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

typedef struct net {
    char path[96];
    int64_t features, outputs;
    double x[2 * MOST], y[2 * MOST];
    rob_model *model;
} net;

static void take(const rob_safetensors *s, const char *name, double *out)
{
    rob_tensor *t;
    GOOD(rob_priv_safetensors_tensor(ctx, s, rob_priv_safetensors_find(s, name), &t));
    int64_t size = rob_priv_shape_size(&t->shape);
    ck_assert_int_le(size, 2 * MOST);
    for (int64_t i = 0; i < size; i++) out[i] = rob_priv_tensor_at(t, i);
    rob_priv_tensor_free(t);
}

static net net_open(int k)
{
    net n = { .model = NULL };
    rob_bytes bytes;
    rob_safetensors s;
    snprintf(n.path, sizeof n.path, "tests/data/export_%s.safetensors", NAMES[k]);
    GOOD(rob_model_load(ctx, n.path, NULL, &n.model));
    GOOD(rob_model_shape(ctx, n.model, NULL, &n.features, &n.outputs));
    GOOD(rob_priv_io_read(ctx, n.path, 1 << 20, &bytes));
    GOOD(rob_priv_safetensors_parse(ctx, bytes.at, bytes.count, n.path, &s));
    take(&s, "robust.check.x", n.x);
    take(&s, "robust.check.y", n.y);
    rob_priv_safetensors_clear(&s);
    rob_priv_io_release(&ctx->memory, &bytes);
    return n;
}

static void set_up(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void tear_down(void) { rob_ctx_free(ctx); }

START_TEST(values_are_pytorchs)
{
    net n = net_open(_i);
    double y[2 * MOST], most = 0, norm = 0;
    for (int64_t i = 0; i < 2; i++)
        GOOD(rob_model_predict(ctx, n.model, n.x + i * STEPS * n.features, STEPS,
                               y + i * n.outputs, MOST));
    for (int64_t i = 0; i < 2 * n.outputs; i++) {
        most = fmax(most, isnan(y[i]) ? INFINITY : fabs(y[i] - n.y[i]));
        norm = fmax(norm, fabs(n.y[i]));
    }
    ck_assert_msg(most <= 1e-11 * norm, "%s: off by %g of %g", n.path, most, norm);
    rob_model_free(n.model);
}
END_TEST

START_TEST(recipes_make_what_they_load)
{
    net n = net_open(_i);
    char text[2048], path[] = "/tmp/robust-net-XXXXXX";
    rob_model *made, *back;
    double y[MOST], again[MOST];
    rob_priv_recipe_print(&n.model->recipe, text, sizeof text);
    GOOD(rob_model_create(ctx, text, &made));
    ck_assert_int_eq(made->parameters, n.model->parameters);
    for (int k = 0; k < made->parameters; k++) {
        char name[96];
        double value[512];
        int64_t count;
        GOOD(rob_model_get(ctx, n.model, n.model->parameter[k].name, value, 512, &count));
        snprintf(name, sizeof name, "%s", made->parameter[k].name);
        GOOD(rob_model_with(ctx, made, name, value, count, &back));
        rob_model_free(made);
        made = back;
    }
    GOOD(rob_model_predict(ctx, n.model, n.x, STEPS, y, MOST));
    GOOD(rob_model_predict(ctx, made, n.x, STEPS, again, MOST));
    ck_assert_mem_eq(y, again, (size_t)n.outputs * sizeof *y);
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
    GOOD(rob_model_save(ctx, n.model, path));
    GOOD(rob_model_load(ctx, path, NULL, &back));
    GOOD(rob_model_predict(ctx, back, n.x, STEPS, again, MOST));
    ck_assert_mem_eq(y, again, (size_t)n.outputs * sizeof *y);
    unlink(path);
    rob_model_free(back);
    rob_model_free(made);
    rob_model_free(n.model);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("exports");
    TCase *c = tcase_create("exports");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_loop_test(c, values_are_pytorchs, 0, NETS);
    tcase_add_loop_test(c, recipes_make_what_they_load, 0, NETS);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
