/* transformer.c -- encoders against PyTorch, row against row, and their certificates.
 *
 * Fixtures: tests/data/make_transformers.py. Values, gradients and Hessian-vector products
 * agree to 1e-11 of their norm: some thousand operations of relative error 2^-53 each,
 * amplified by norms of layers up to 100. A file's own witness is compared at 1e-10 when
 * it is read.
 */
#include "check/harness.h"
#include "diff/diff.h"
#include "model/parts.h"
#include "run/run.h"
#include <robust/bound.h>
#include <robust/query.h>

#include <math.h>

enum { MOST = 512, ROWS = 3 };

static const char *const NAMES[] = {
    "relu_last", "gelu_first_cls", "tanh_mean", "relu_first_max", "patches", "centred",
    "centred_last", "mlp", "scale", "conv", "conv_patches", "free", "vit",
};

#define GOOD(ctx, call) ck_assert_msg((call) >= ROB_OK, "%s", rob_ctx_error(ctx))

static rob_model *load(rob_ctx *ctx, const char *name)
{
    char path[160];
    rob_model *model;
    snprintf(path, sizeof path, "tests/data/model_encoder_%s.safetensors", name);
    GOOD(ctx, rob_model_load(ctx, path, NULL, &model));
    return model;
}

enum { GRADIENT, HVP, SHORT_LOGITS, SHORT_GRADIENT, WANTED, OUTPUTS = 3, SHORT = 5 };

/* what a fixture expects at its first series; how many numbers that has */
static int64_t expected(const char *name, double want[WANTED][MOST])
{
    char word[64];
    long long steps = 0, features = 0;
    FILE *f = fopen("tests/data/transformers.txt", "r");
    ck_assert_ptr_nonnull(f);
    while (fscanf(f, "%63s %lld %lld", word, &steps, &features) == 3) {
        for (int k = 0; k < WANTED; k++)
            for (long long i = 0; i < (k == SHORT_LOGITS ? OUTPUTS : steps * features); i++)
                ck_assert_int_eq(fscanf(f, "%lf", &want[k][i]), 1);
        if (strcmp(word, name) == 0) break;
    }
    fclose(f);
    ck_assert_str_eq(word, name);
    return steps * features;
}

static void first_series(rob_ctx *ctx, const char *name, int64_t n, double *x)
{
    char path[160];
    rob_safetensors s;
    rob_tensor *at;
    snprintf(path, sizeof path, "tests/data/model_encoder_%s.safetensors", name);
    GOOD(ctx, rob_priv_safetensors_open(ctx, path, &s));
    const rob_entry *e = rob_priv_safetensors_find(&s, "robust.check.x");
    GOOD(ctx, rob_priv_safetensors_tensor(ctx, &s, e, &at));
    for (int64_t i = 0; i < n; i++) x[i] = rob_priv_tensor_at(at, i);
    rob_priv_tensor_free(at);
    rob_priv_safetensors_clear(&s);
}

static void near_to(const double *got, const double *want, int64_t n, const char *what)
{
    double norm = 0, error = 0;
    for (int64_t i = 0; i < n; i++) {
        norm = hypot(norm, want[i]);
        error = hypot(error, got[i] - want[i]);
    }
    ck_assert_msg(error <= 1e-11 * norm, "%s: off by %g of %g", what, error, norm);
}

typedef struct program {
    rob_graph *g;
    rob_id x, v, mask, logits, gradient, hvp;
} program;

static program write_program(rob_ctx *ctx, const rob_model *m, int64_t steps, int64_t rows,
                             bool masked)
{
    program p = { .mask = ROB_NONE };
    int64_t features = m->recipe.features;
    GOOD(ctx, rob_priv_graph_create(ctx, &p.g));
    p.x = rob_priv_input(p.g, rob_priv_shape3(steps, rows, features));
    p.v = rob_priv_input(p.g, rob_priv_shape3(steps, rows, features));
    if (masked) p.mask = rob_priv_input(p.g, rob_priv_shape3(steps, rows, 1));
    p.logits = rob_priv_model_emit(m, p.g, p.x, p.mask, NULL);
    rob_id y = g_sub(p.g, g_slice(p.g, p.logits, 1, 0, 1), g_slice(p.g, p.logits, 1, 1, 1));
    p.gradient = rob_priv_gradient(p.g, g_sum(p.g, y), p.x);
    rob_priv_jvp(p.g, &p.x, &p.v, 1, &p.gradient, 1, &p.hvp);
    GOOD(ctx, rob_priv_graph_status(ctx, p.g));
    return p;
}

/* logits, gradient and Hessian-vector product of x (T, B, D) */
static void evaluate(rob_ctx *ctx, const rob_model *m, int32_t dtype, int64_t steps,
                     int64_t rows, const double *x, const double *v, const double *mask,
                     double *logits, double *gradient, double *hvp)
{
    program p = write_program(ctx, m, steps, rows, mask != NULL);
    rob_id want[3] = { p.logits, p.gradient, p.hvp };
    rob_plan *plan;
    rob_work *work;
    GOOD(ctx, rob_priv_plan_create(ctx, p.g, dtype, want, NULL, 3, &plan));
    GOOD(ctx, rob_priv_work_create(ctx, plan, &work));
    rob_priv_work_set(work, p.x, x);
    rob_priv_work_set(work, p.v, v);
    if (mask != NULL) rob_priv_work_set(work, p.mask, mask);
    rob_priv_run(work, 0);
    rob_priv_work_get(work, p.logits, logits);
    rob_priv_work_get(work, p.gradient, gradient);
    rob_priv_work_get(work, p.hvp, hvp);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(p.g);
}

/* Of x alone, and with its last two steps behind its end, next to a row that has them. */
START_TEST(derivatives_agree_with_torch)
{
    enum { T = 7, D = 3 };
    rob_ctx *ctx;
    double want[WANTED][MOST], logits[8], g[MOST], h[MOST], v[MOST], x[MOST];
    double two[2 * T * D], mask[2 * T], short_g[T * D];
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    rob_model *m = load(ctx, NAMES[_i]);
    ck_assert_int_eq(expected(NAMES[_i], want), T * D);
    first_series(ctx, NAMES[_i], T * D, x);
    for (int64_t i = 0; i < T * D; i++) v[i] = cos((double)i);
    evaluate(ctx, m, ROB_F64, T, 1, x, v, NULL, logits, g, h);
    near_to(g, want[GRADIENT], T * D, "gradient");
    near_to(h, want[HVP], T * D, "Hessian-vector product");
    for (int64_t i = 0; i < 2 * T * D; i++) two[i] = x[i / D / 2 * D + i % D];
    for (int64_t i = 0; i < 2 * T; i++) mask[i] = i % 2 == 0 || i / 2 < SHORT;
    evaluate(ctx, m, ROB_F64, T, 2, two, two, mask, logits, g, h);
    for (int64_t i = 0; i < T * D; i++) short_g[i] = g[(i / D * 2 + 1) * D + i % D];
    near_to(logits + OUTPUTS, want[SHORT_LOGITS], OUTPUTS, "logits of a padded row");
    near_to(short_g, want[SHORT_GRADIENT], T * D, "gradient of a padded row");
    rob_model_free(m);
    rob_ctx_free(ctx);
}
END_TEST

/* Three rows of 7, 5 and 2 steps together, and each alone: the same bits. Behind a row's
 * end stand numbers that would be seen. */
START_TEST(a_row_has_the_bits_it_has_alone)
{
    enum { T = 7, D = 3, L = 3 };
    static const int64_t length[ROWS] = { 7, 5, 2 };
    const int32_t dtype = _i % 2 ? ROB_F64 : ROB_F32;
    double x[T * ROWS * D], v[T * ROWS * D], mask[T * ROWS], one[T * D], other[T * D];
    double y[ROWS * L], g[MOST], h[MOST], y1[L], g1[MOST], h1[MOST];
    rob_random r = rob_priv_random(5, (uint64_t)_i);
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    rob_model *m = load(ctx, NAMES[_i / 2]);
    for (int i = 0; i < T * ROWS * D; i++) {
        x[i] = rob_priv_normal(&r);
        v[i] = rob_priv_normal(&r);
    }
    for (int i = 0; i < T * ROWS; i++) mask[i] = i / ROWS < length[i % ROWS];
    evaluate(ctx, m, dtype, T, ROWS, x, v, mask, y, g, h);
    for (int64_t b = 0; b < ROWS; b++) {
        for (int64_t t = 0; t < length[b]; t++)
            for (int64_t j = 0; j < D; j++) {
                one[t * D + j] = x[(t * ROWS + b) * D + j];
                other[t * D + j] = v[(t * ROWS + b) * D + j];
            }
        evaluate(ctx, m, dtype, length[b], 1, one, other, NULL, y1, g1, h1);
        for (int64_t k = 0; k < L; k++) ck_assert(y[b * L + k] == y1[k]);
        for (int64_t i = 0; i < T * D; i++) {
            double whole = g[(i / D * ROWS + b) * D + i % D];
            ck_assert_msg(i / D < length[b] ? whole == g1[i] : whole == 0,
                          "%s: row %d, number %d: %.17g", NAMES[_i / 2], (int)b, (int)i,
                          whole);
        }
    }
    rob_model_free(m);
    rob_ctx_free(ctx);
}
END_TEST

static double margin_at(rob_ctx *ctx, const rob_model *m, const double *x, int64_t steps,
                        int64_t reference)
{
    double y[3], least = INFINITY;
    GOOD(ctx, rob_priv_model_evaluate(ctx, m, x, 1, steps, y));
    for (int64_t k = 0; k < 3; k++)
        if (k != reference) least = fmin(least, y[reference] - y[k]);
    return least;
}

/* Random points, corners and the corner the gradient points to lie above what is proved.
 * Margins in double err by less than 1e-11 of logits of order one. */
START_TEST(certificates_contain)
{
    enum { T = 4, D = 3 };
    static const double radius[] = { 1e-6, 0.01, 0.2, 5, 1000 };
    static const char *const method[] = { "interval", "crown" };
    double x[T * D], p[T * D], v[T * D] = { 0 }, y[3], g[MOST], h[MOST];
    rob_random r = rob_priv_random(7, (uint64_t)_i);
    rob_ctx *ctx;
    rob_query *query;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    rob_model *m = load(ctx, NAMES[_i]);
    for (int i = 0; i < T * D; i++) x[i] = rob_priv_normal(&r);
    evaluate(ctx, m, ROB_F64, T, 1, x, v, NULL, y, g, h);
    int64_t reference = y[0] >= y[1] && y[0] >= y[2] ? 0 : y[1] >= y[2] ? 1 : 2;
    GOOD(ctx, rob_query_create(ctx, m, &query));
    GOOD(ctx, rob_query_add(ctx, query, x, T, -1));
    for (int64_t e = 0; e < COUNT_OF(radius); e++) {
        double seen = margin_at(ctx, m, x, T, reference), lower[2];
        GOOD(ctx, rob_query_set_ball(ctx, query, ROB_NORM_LINF, radius[e]));
        for (int k = 0; k < 40; k++) {
            for (int i = 0; i < T * D; i++) {
                double u = 2 * rob_priv_uniform(&r) - 1, side = u < 0 ? -1 : 1;
                if (k < 2) side = (k == 0) == (g[i] < 0) ? 1 : -1;
                p[i] = x[i] + radius[e] * (1 - 0x1p-40) * (k < 20 ? side : u);
            }
            seen = fmin(seen, margin_at(ctx, m, p, T, reference));
        }
        for (int k = 0; k < 2; k++) {
            rob_bound *bound;
            GOOD(ctx, rob_bound_create(ctx, method[k], &bound));
            GOOD(ctx, rob_bound_margin(ctx, bound, query, &lower[k], 1));
            rob_bound_free(bound);
            ck_assert_msg(lower[k] <= seen + 1e-11 * (1 + fabs(seen)),
                          "%s %s radius %g: proved %.17g, seen %.17g", NAMES[_i],
                          method[k], radius[e], lower[k], seen);
        }
        ck_assert_msg(e > 0 || seen < 1e-3 || lower[1] > 0,
                      "%s: nothing proved at radius %g", NAMES[_i], radius[e]);
    }
    rob_query_free(query);
    rob_model_free(m);
    rob_ctx_free(ctx);
}
END_TEST

START_TEST(files_and_recipes_come_back)
{
    rob_ctx *ctx;
    rob_model *m, *back;
    char path[] = "/tmp/encoder-XXXXXX";
    static const char *const recipe[] = {
        "transformer heads=2 hidden=8 features=3 outputs=2 layers=2 activation=gelu "
        "norm=first readout=cls positions=learned longest=40 input=(x-1)/2",
        "transformer heads=4 hidden=8 features=1 outputs=2 activation=gelu_tanh norm=last "
        "readout=max positions=sinusoid patch=4 layernorm=centred dtype=f64",
        "transformer heads=1 hidden=8 features=6 outputs=2 activation=relu norm=first "
        "readout=mean positions=learned longest=3 patch=4x2 names=vit eps=1e-3",
        "transformer heads=2 hidden=8 features=3 outputs=2 activation=gelu norm=first "
        "readout=last last_norm=no bias=no scale=scale mlp=16,8 head_activation=tanh "
        "head_bias=no dtype=f64",
        "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=last "
        "last_norm=yes readout=mean conv=conv channels=4 kernel=5 stride=2 padding=1 "
        "conv_activation=tanh conv_norm=batch:bn input_norm=layer:ln head_norm=batch:hn "
        "positions=learned longest=3 patch=2x2",
    };
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
    GOOD(ctx, rob_model_create(ctx, recipe[_i], &m));
    GOOD(ctx, rob_model_save(ctx, m, path));
    GOOD(ctx, rob_model_load(ctx, path, NULL, &back));
    char one[2048], two[2048];
    rob_priv_recipe_print(&m->recipe, one, sizeof one);
    rob_priv_recipe_print(&back->recipe, two, sizeof two);
    ck_assert_str_eq(one, two);
    rob_model_free(m);
    rob_model_free(back);
    unlink(path);
    rob_ctx_free(ctx);
}
END_TEST

static const char *const REFUSED[] = {
    "transformer",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu readout=mean",
    "transformer heads=3 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=mean",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=tanh norm=first "
    "readout=mean",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=mean positions=learned",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=mean patch=2x2",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=every",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=mean mlp=4",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=mean conv=conv conv_activation=relu",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=mean stride=2",
    "transformer heads=2 hidden=8 features=3 outputs=2 activation=relu norm=first "
    "readout=mean bidirectional=yes",
    "lstm heads=2 readout=last",
    "lstm head_activation=relu readout=last",
};

START_TEST(wrong_recipes_are_refused)
{
    rob_ctx *ctx;
    rob_model *m;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    for (int64_t k = 0; k < COUNT_OF(REFUSED); k++) {
        ck_assert_msg(rob_model_create(ctx, REFUSED[k], &m) < ROB_OK, "%s", REFUSED[k]);
        ck_assert_ptr_null(m);
        ck_assert(rob_ctx_error(ctx)[0]);
    }
    rob_ctx_free(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("transformer");
    TCase *c = tcase_create("transformer");
    tcase_add_loop_test(c, derivatives_agree_with_torch, 0, (int)COUNT_OF(NAMES));
    tcase_add_loop_test(c, a_row_has_the_bits_it_has_alone, 0, 2 * (int)COUNT_OF(NAMES));
    tcase_add_loop_test(c, certificates_contain, 0, (int)COUNT_OF(NAMES));
    tcase_add_loop_test(c, files_and_recipes_come_back, 0, 5);
    tcase_add_test(c, wrong_recipes_are_refused);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
