/* model.c -- models: recipes, tensors, the graph they make.
 *
 * Values are held against an independent evaluation in double (straight loops over the
 * definitions in src/model/emit.c) and against logits PyTorch gave for the same
 * weights. Tolerance 1e-12 relative to the largest logit: T <= 16 steps of products of
 * at most 16 terms with bounded states err by less than 16 * (16 + 10) u = 5e-14 on
 * either side, and the weights here amplify that by less than 10.
 */
#include "check/harness.h"
#include "model/parts.h"
#include "run/run.h"

#include <robust/data.h>

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { CAP = 4096, WIDE = 64 };
static rob_ctx *ctx;

static void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_ctx_set_seed(ctx, 11), ROB_OK);
}
static void tear_down(void) { rob_ctx_free(ctx); }

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))
#define SAYS(word)                                                                     \
    ck_assert_msg(strstr(rob_ctx_error(ctx), word) != NULL, "%s", rob_ctx_error(ctx))

/* ---- a direct evaluation --------------------------------------------------------- */

static double weight(const rob_model *m, int k, int64_t i)
{
    return rob_priv_tensor_at(m->parameter[k].tensor, i);
}

static double sigma(double x) { return 1.0 / (1.0 + exp(-x)); }

/* a (rows) = W (rows, cols) v + b */
static void affine(const rob_model *m, int w, int b, int64_t rows, int64_t cols,
                   const double *v, double *a)
{
    for (int64_t i = 0; i < rows; i++) {
        a[i] = weight(m, b, i);
        for (int64_t j = 0; j < cols; j++) a[i] += weight(m, w, i * cols + j) * v[j];
    }
}

static void one_step(const rob_model *m, int layer, const double *u, int64_t width,
                     double *h, double *c)
{
    const rob_recipe *r = &m->recipe;
    int64_t H = r->hidden, rows = H * rob_priv_model_gates(r->kind);
    double p[4 * WIDE], q[4 * WIDE];
    affine(m, 4 * layer, 4 * layer + 2, rows, width, u, p);
    affine(m, 4 * layer + 1, 4 * layer + 3, rows, H, h, q);
    for (int64_t i = 0; i < H; i++) {
        if (r->kind == ROB_KIND_RNN_TANH) h[i] = tanh(p[i] + q[i]);
        if (r->kind == ROB_KIND_RNN_RELU) h[i] = fmax(0.0, p[i] + q[i]);
        if (r->kind == ROB_KIND_LSTM) {
            double in = sigma(p[i] + q[i]), forget = sigma(p[H + i] + q[H + i]);
            double cell = tanh(p[2 * H + i] + q[2 * H + i]),
                   out = sigma(p[3 * H + i] + q[3 * H + i]);
            c[i] = forget * c[i] + in * cell;
            h[i] = out * tanh(c[i]);
        }
        if (r->kind == ROB_KIND_GRU) {
            double reset = sigma(p[i] + q[i]), update = sigma(p[H + i] + q[H + i]);
            double fresh = tanh(p[2 * H + i] + reset * q[2 * H + i]);
            h[i] = (1.0 - update) * fresh + update * h[i];
        }
    }
}

static void direct(const rob_model *m, const double *x, int64_t T, double *y)
{
    const rob_recipe *r = &m->recipe;
    int64_t H = r->hidden;
    double h[ROB_MAX_LAYERS][WIDE] = { { 0 } }, c[ROB_MAX_LAYERS][WIDE] = { { 0 } },
           sum[WIDE] = { 0 };
    for (int64_t t = 0; t < T; t++) {
        double u[WIDE];
        for (int64_t j = 0; j < r->features; j++)
            u[j] = (x[t * r->features + j] - r->input_shift) / r->input_scale;
        for (int l = 0; l < r->layers; l++)
            one_step(m, l, l == 0 ? u : h[l - 1], l == 0 ? r->features : H, h[l], c[l]);
        for (int64_t i = 0; i < H; i++) sum[i] += h[r->layers - 1][i] / (double)T;
    }
    affine(m, 4 * r->layers, 4 * r->layers + 1, r->outputs, H,
           r->readout == ROB_READOUT_LAST ? h[r->layers - 1] : sum, y);
}

static double distance(const double *a, const double *b, int64_t n)
{
    double most = 0.0, norm = 0.0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i] - b[i]));
        norm = fmax(norm, fabs(b[i]));
    }
    return norm > 0.0 ? most / norm : most;
}

static const char *const RECIPES[] = {
    "rnn nonlinearity=tanh features=1 hidden=3 outputs=2 readout=last dtype=f64",
    "rnn nonlinearity=relu features=3 hidden=5 outputs=4 readout=mean layers=2 "
    "dtype=f64",
    "lstm features=1 hidden=1 outputs=1 readout=last dtype=f64",
    "lstm features=2 hidden=7 outputs=3 readout=last layers=2 input=(x+1.5)/0.25 "
    "dtype=f64",
    "lstm features=2 hidden=16 outputs=2 readout=mean layers=3",
    "gru features=4 hidden=6 outputs=3 readout=mean layers=2 dtype=f64",
};
enum { RECIPE_COUNT = sizeof RECIPES / sizeof *RECIPES };

static void noise(double *x, int64_t n, uint64_t stream)
{
    rob_random r = rob_priv_random(5, stream);
    for (int64_t i = 0; i < n; i++) x[i] = 1.5 * rob_priv_normal(&r);
}

START_TEST(predict_is_the_definition)
{
    for (int k = 0; k < RECIPE_COUNT; k++) {
        rob_model *m;
        GOOD(rob_model_create(ctx, RECIPES[k], &m));
        for (int64_t T = 1; T <= 16; T += 5) {
            double x[WIDE * 16], y[8], want[8];
            noise(x, T * m->recipe.features, (uint64_t)T);
            GOOD(rob_model_predict(ctx, m, x, T, y, 8));
            direct(m, x, T, want);
            ck_assert_double_le(distance(y, want, m->recipe.outputs), 1e-12);
        }
        rob_model_free(m);
    }
}
END_TEST

/* ---- PyTorch's own numbers ------------------------------------------------------- */

static const char *const FIXTURES[] = { "rnn_tanh", "rnn_relu_mean", "lstm",
                                        "lstm_two", "lstm_mean",     "gru" };
enum { FIXTURE_COUNT = sizeof FIXTURES / sizeof *FIXTURES };

static void fixture_path(int k, char path[96])
{
    snprintf(path, 96, "tests/data/model_%s.safetensors", FIXTURES[k]);
}

static void take(const rob_safetensors *s, const char *name, double *out,
                 int64_t *shape)
{
    rob_tensor *t;
    GOOD(rob_priv_safetensors_tensor(ctx, s, rob_priv_safetensors_find(s, name), &t));
    for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
        out[i] = rob_priv_tensor_at(t, i);
    for (int i = 0; i < t->shape.rank; i++) shape[i] = t->shape.dim[i];
    rob_priv_tensor_free(t);
}

START_TEST(pytorch_agrees)
{
    for (int k = 0; k < FIXTURE_COUNT; k++) {
        char path[96];
        rob_bytes bytes;
        rob_safetensors s;
        rob_model *m;
        double x[CAP], want[64], y[64];
        int64_t shape[4], wide[4];
        fixture_path(k, path);
        GOOD(rob_model_load(ctx, path, NULL, &m));
        GOOD(rob_priv_io_read(ctx, path, 1 << 20, &bytes));
        GOOD(rob_priv_safetensors_parse(ctx, bytes.at, bytes.count, path, &s));
        take(&s, "robust.check.x", x, shape);
        take(&s, "robust.check.y", want, wide);
        for (int64_t i = 0; i < shape[0]; i++)
            GOOD(rob_model_predict(ctx, m, x + i * shape[1] * shape[2], shape[1],
                                   y + i * wide[1], 64));
        ck_assert_msg(distance(y, want, wide[0] * wide[1]) <= 1e-12, "%s: %g", path,
                      distance(y, want, wide[0] * wide[1]));
        rob_priv_safetensors_clear(&s);
        rob_priv_io_release(&ctx->memory, &bytes);
        rob_model_free(m);
    }
}
END_TEST

/* ---- the graph ------------------------------------------------------------------- */

enum { ROWS = 3, LONGEST = 6 };

/* Logits (ROWS, L) in one run; steps NULL: no mask; with weights as inputs or
 * constants. */
static void run_rows(const rob_model *m, int32_t dtype, const double *x,
                     const int64_t *steps, bool weights_in, double *y)
{
    rob_graph *g;
    rob_plan *plan;
    rob_work *work;
    rob_id parameter[4 * ROB_MAX_LAYERS + 2], mask = ROB_NONE;
    double on[LONGEST * ROWS], values[CAP];
    GOOD(rob_priv_graph_create(ctx, &g));
    rob_id in = rob_priv_input(g, rob_priv_shape3(LONGEST, ROWS, m->recipe.features));
    if (steps != NULL) mask = rob_priv_input(g, rob_priv_shape3(LONGEST, ROWS, 1));
    for (int k = 0; k < m->parameters; k++)
        parameter[k] = rob_priv_input(g, m->parameter[k].tensor->shape);
    rob_id out = rob_priv_model_emit(m, g, in, mask, weights_in ? parameter : NULL);
    GOOD(rob_priv_graph_status(ctx, g));
    GOOD(rob_priv_plan_create(ctx, g, dtype, &out, NULL, 1, &plan));
    GOOD(rob_priv_work_create(ctx, plan, &work));
    rob_priv_work_set(work, in, x);
    for (int t = 0; t < LONGEST && steps != NULL; t++)
        for (int b = 0; b < ROWS; b++) on[t * ROWS + b] = t < steps[b] ? 1.0 : 0.0;
    if (steps != NULL) rob_priv_work_set(work, mask, on);
    for (int k = 0; k < m->parameters && weights_in; k++) {
        for (int64_t i = 0; i < rob_priv_shape_size(&m->parameter[k].tensor->shape);
             i++)
            values[i] = weight(m, k, i);
        rob_priv_work_set(work, parameter[k], values);
    }
    rob_priv_run(work, 0);
    rob_priv_work_get(work, out, y);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(g);
}

/* Row b of (T, ROWS, D) as a series of its own, behind its end as in the batch. */
static void row_of(const double *x, int64_t features, int b, double *out)
{
    for (int t = 0; t < LONGEST; t++)
        memcpy(out + t * features, x + (t * ROWS + b) * features,
               (size_t)features * sizeof *x);
}

START_TEST(ended_rows_freeze)
{
    const int64_t steps[ROWS] = { LONGEST, 1, 4 };
    for (int k = 0; k < RECIPE_COUNT; k++) {
        rob_model *m;
        double x[LONGEST * ROWS * 8], row[LONGEST * 8], y[ROWS * 8], want[8];
        GOOD(rob_model_create(ctx, RECIPES[k], &m));
        int64_t D = m->recipe.features, L = m->recipe.outputs;
        noise(x, LONGEST * ROWS * D, 77);
        run_rows(m, ROB_F64, x, steps, false, y);
        for (int b = 0; b < ROWS; b++) {
            row_of(x, D, b, row);
            direct(m, row, steps[b], want);
            ck_assert_double_le(distance(y + b * L, want, L), 1e-12);
        }
        /* what stands behind a row's end does not matter, not even in the last bit */
        double again[ROWS * 8];
        for (int t = 1; t < LONGEST; t++) x[(t * ROWS + 1) * D] = 1e6;
        run_rows(m, ROB_F64, x, steps, false, again);
        ck_assert_mem_eq(again, y, (size_t)(ROWS * L) * sizeof *y);
        rob_model_free(m);
    }
}
END_TEST

START_TEST(full_mask_and_no_mask_have_the_same_bits)
{
    const int64_t steps[ROWS] = { LONGEST, LONGEST, LONGEST };
    for (int k = 0; k < RECIPE_COUNT; k++) {
        rob_model *m;
        double x[LONGEST * ROWS * 8], with[ROWS * 8], without[ROWS * 8];
        GOOD(rob_model_create(ctx, RECIPES[k], &m));
        noise(x, LONGEST * ROWS * m->recipe.features, 78);
        run_rows(m, ROB_F64, x, steps, false, with);
        run_rows(m, ROB_F64, x, NULL, false, without);
        ck_assert_mem_eq(with, without,
                         (size_t)(ROWS * m->recipe.outputs) * sizeof *with);
        rob_model_free(m);
    }
}
END_TEST

START_TEST(weights_as_inputs_change_nothing)
{
    for (int k = 0; k < RECIPE_COUNT; k++) {
        rob_model *m;
        double x[LONGEST * ROWS * 8], a[ROWS * 8], b[ROWS * 8];
        GOOD(rob_model_create(ctx, RECIPES[k], &m));
        noise(x, LONGEST * ROWS * m->recipe.features, 79);
        for (int p = 0; p < 2; p++) {
            run_rows(m, p == 0 ? ROB_F64 : ROB_F32, x, NULL, true, a);
            run_rows(m, p == 0 ? ROB_F64 : ROB_F32, x, NULL, false, b);
            ck_assert_double_le(distance(a, b, ROWS * m->recipe.outputs),
                                p == 0 ? 1e-12 : 1e-4);
        }
        rob_model_free(m);
    }
}
END_TEST

START_TEST(emit_refuses_another_input)
{
    rob_model *m;
    rob_graph *g;
    GOOD(rob_model_create(ctx, RECIPES[3], &m));
    GOOD(rob_priv_graph_create(ctx, &g));
    rob_id x = rob_priv_input(g, rob_priv_shape3(4, 2, 5));
    ck_assert_int_eq(rob_priv_model_emit(m, g, x, ROB_NONE, NULL), ROB_NONE);
    ck_assert_int_eq(rob_priv_graph_status(ctx, g), ROB_ESHAPE);
    rob_priv_graph_free(g);
    rob_model_free(m);
}
END_TEST

/* ---- get, with, references ------------------------------------------------------- */

START_TEST(with_makes_a_new_model_and_shares_the_rest)
{
    rob_model *m, *w, *bad;
    double value[2] = { 3.5, -1.25 }, got[2];
    int64_t count;
    GOOD(rob_model_create(ctx, RECIPES[0], &m));
    GOOD(rob_model_with(ctx, m, "fc.bias", value, 2, &w));
    GOOD(rob_model_get(ctx, w, "fc.bias", got, 2, &count));
    ck_assert_mem_eq(got, value, sizeof got);
    GOOD(rob_model_get(ctx, m, "fc.bias", got, 2, &count));
    ck_assert_mem_ne(got, value, sizeof got);
    ck_assert_ptr_eq(m->parameter[0].tensor, w->parameter[0].tensor);
    rob_model_free(m);
    double y[2], x[3] = { 1, 2, 3 };
    GOOD(rob_model_predict(ctx, w, x, 3, y, 2));
    ck_assert_int_eq(rob_model_with(ctx, w, "fc.bias", value, 1, &bad), ROB_ESHAPE);
    ck_assert_int_eq(rob_model_with(ctx, w, "fc.gain", value, 2, &bad), ROB_EARGUMENT);
    value[1] = NAN;
    ck_assert_int_eq(rob_model_with(ctx, w, "fc.bias", value, 2, &bad), ROB_EDOMAIN);
    ck_assert_ptr_null(bad);
    ck_assert_int_eq(rob_model_get(ctx, w, "fc.bias", got, 1, NULL), ROB_ESHAPE);
    ck_assert_int_eq(rob_model_get(ctx, w, "fc", got, 1, NULL), ROB_EARGUMENT);
    rob_model_free(w);
}
END_TEST

START_TEST(predict_checks_its_arguments)
{
    rob_model *m;
    double x[3] = { 0, INFINITY, 0 }, y[2] = { 7, 7 };
    int64_t steps, features, outputs;
    GOOD(rob_model_create(ctx, RECIPES[0], &m));
    GOOD(rob_model_shape(ctx, m, &steps, &features, &outputs));
    ck_assert(steps == 0 && features == 1 && outputs == 2);
    ck_assert_int_eq(rob_model_predict(ctx, m, x, 3, y, 2), ROB_EDOMAIN);
    ck_assert_int_eq(rob_model_predict(ctx, m, x, 0, y, 2), ROB_ESHAPE);
    ck_assert_int_eq(rob_model_predict(ctx, m, x, INT64_MAX, y, 1), ROB_ESHAPE);
    ck_assert_int_eq(rob_model_predict(ctx, m, NULL, 1, y, 2), ROB_EARGUMENT);
    ck_assert_int_eq(rob_model_predict(ctx, NULL, x, 1, y, 2), ROB_EARGUMENT);
    ck_assert(y[0] == 7 && y[1] == 7);
    rob_model_free(m);
    rob_model_free(NULL);
    ck_assert_ptr_null(rob_model_ref(NULL));
}
END_TEST

static void *use_shared(void *model)
{
    rob_ctx *own;
    double x[4] = { 1, -1, 0.5, 2 }, y[2], *result = malloc(sizeof *result);
    if (rob_ctx_create(&own) < ROB_OK) abort();
    for (int i = 0; i < 50; i++) {
        rob_model *m = rob_model_ref(model);
        if (rob_model_predict(own, m, x, 4, y, 2) < ROB_OK) abort();
        rob_model_free(m);
    }
    *result = y[0];
    rob_ctx_free(own);
    return result;
}

START_TEST(threads_share_a_model)
{
    rob_model *m;
    pthread_t thread[4];
    double *result[4];
    GOOD(rob_model_create(ctx, RECIPES[0], &m));
    for (int k = 0; k < 4; k++)
        ck_assert_int_eq(pthread_create(&thread[k], NULL, use_shared, m), 0);
    for (int k = 0; k < 4; k++) {
        pthread_join(thread[k], (void **)&result[k]);
        ck_assert(*result[k] == *result[0]);
    }
    for (int k = 0; k < 4; k++) free(result[k]);
    ck_assert_int_eq(atomic_load(&m->references), 1);
    rob_model_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model");
    TCase *c = tcase_create("model");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, predict_is_the_definition);
    tcase_add_test(c, pytorch_agrees);
    tcase_add_test(c, ended_rows_freeze);
    tcase_add_test(c, full_mask_and_no_mask_have_the_same_bits);
    tcase_add_test(c, weights_as_inputs_change_nothing);
    tcase_add_test(c, emit_refuses_another_input);
    tcase_add_test(c, with_makes_a_new_model_and_shares_the_rest);
    tcase_add_test(c, predict_checks_its_arguments);
    tcase_add_test(c, threads_share_a_model);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
