/* recorded.c -- a model from a tape: an Elman network unrolled by hand against the recipe's
 * with the same weights: logits, attacks, certificates; batches recorded for one series
 * and for several; frozen inputs; wrong shapes; failing allocators. */
#include "harness.h"

#include <math.h>
#include <robust.h>

enum { T = 4, D = 2, H = 5, L = 3 };

static const char *const NAMES[6] = { "rnn.weight_ih_l0", "rnn.weight_hh_l0",
                                      "rnn.bias_ih_l0",   "rnn.bias_hh_l0",
                                      "fc.weight",        "fc.bias" };
static const int64_t SHAPES[6][2] = { { H, D }, { H, H }, { 1, H },
                                      { 1, H }, { L, H }, { 1, L } };

static void must(rob_ctx *ctx, rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

/* h_t = tanh(x_t W' + h W' + b), logits of R series at once; x is (T, R, D) or (T, D) */
static void record(rob_ctx *ctx, rob_tape *t, const rob_model *weights, int64_t rows,
                   rob_var *x, rob_var *y)
{
    const int64_t shape[3] = { T, rows, D };
    const double product[2] = { 0, 1 }, flat[2] = { (double)rows, D };
    double zero[H * 4] = { 0 }, w[H * H];
    rob_var p[6], h, z, u;
    if (rows > 0) must(ctx, rob_tape_input(ctx, t, shape, 3, x));
    else must(ctx, rob_tape_input(ctx, t, (int64_t[]){ T, D }, 2, x));
    for (int k = 0; k < 6; k++) {
        must(ctx, rob_model_get(ctx, weights, NAMES[k], w, H * H, NULL));
        must(ctx, rob_tape_constant(ctx, t, w, SHAPES[k], 2, &p[k]));
    }
    int64_t batch = rows > 0 ? rows : 1;
    must(ctx, rob_tape_constant(ctx, t, zero, (int64_t[]){ batch, H }, 2, &h));
    for (int s = 0; s < T; s++) {
        must(ctx, rob_tape_apply_with(ctx, t, "slice", x, 1, (double[]){ 0, s, 1 }, 3,
                                      &u));
        if (rows > 0)
            must(ctx, rob_tape_apply_with(ctx, t, "reshape", &u, 1, flat, 2, &u));
        must(ctx, rob_tape_apply_with(ctx, t, "matmul", (rob_var[]){ u, p[0] }, 2,
                                      product, 2, &u));
        must(ctx, rob_tape_apply_with(ctx, t, "matmul", (rob_var[]){ h, p[1] }, 2,
                                      product, 2, &z));
        must(ctx, rob_tape_apply(ctx, t, "add", (rob_var[]){ u, z }, 2, &z));
        must(ctx, rob_tape_apply(ctx, t, "add", (rob_var[]){ p[2], z }, 2, &z));
        must(ctx, rob_tape_apply(ctx, t, "add", (rob_var[]){ p[3], z }, 2, &z));
        must(ctx, rob_tape_apply(ctx, t, "tanh", &z, 1, &h));
    }
    must(ctx, rob_tape_apply_with(ctx, t, "matmul", (rob_var[]){ h, p[4] }, 2, product,
                                  2, &z));
    must(ctx, rob_tape_apply(ctx, t, "add", (rob_var[]){ p[5], z }, 2, y));
}

static void make(rob_ctx *ctx, int64_t rows, rob_model **recipe, rob_model **recorded)
{
    rob_tape *tape;
    rob_var x, y;
    must(ctx, rob_model_create(ctx,
                               "rnn nonlinearity=tanh readout=last features=2 "
                               "hidden=5 outputs=3",
                               recipe));
    must(ctx, rob_tape_create(ctx, ROB_F64, &tape));
    record(ctx, tape, *recipe, rows, &x, &y);
    must(ctx, rob_model_from_tape(ctx, tape, x, y, recorded));
    rob_tape_free(tape);
}

static double wave(int k) { return sin(1.0 + 0.7 * k) + 0.2 * cos(3.1 * k); }

static void fill(double *x, int first)
{
    for (int k = 0; k < T * D; k++) x[k] = wave(first + k);
}

START_TEST(test_same_logits)
{
    const int64_t rows = (int64_t[]){ 0, 1, 3 }[_i];
    rob_ctx *ctx;
    rob_model *recipe, *recorded;
    double x[T * D], a[L], b[L];
    int64_t steps, features, outputs;
    must(NULL, rob_ctx_create(&ctx));
    make(ctx, rows, &recipe, &recorded);
    must(ctx, rob_model_shape(ctx, recorded, &steps, &features, &outputs));
    ck_assert(steps == T && features == D && outputs == L);
    for (int k = 0; k < 4; k++) {
        fill(x, 10 * k);
        must(ctx, rob_model_predict(ctx, recipe, x, T, a, L));
        must(ctx, rob_model_predict(ctx, recorded, x, T, b, L));
        /* T (H + D) products and sums of terms below 1: 64 roundings of 2^-53 */
        for (int l = 0; l < L; l++) ck_assert(fabs(a[l] - b[l]) <= 64 * 0x1p-53);
    }
    rob_model_free(recipe);
    rob_model_free(recorded);
    rob_ctx_free(ctx);
}
END_TEST

enum { SERIES = 5 };

static void ask(rob_ctx *ctx, const rob_model *model, double *lower, double *upper)
{
    rob_query *query;
    rob_bound *bound;
    rob_attack *attack;
    double x[T * D];
    must(ctx, rob_query_create(ctx, model, &query));
    for (int k = 0; k < SERIES; k++) {
        fill(x, 10 * k);
        must(ctx, rob_query_add(ctx, query, x, T, -1));
    }
    must(ctx, rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY));
    must(ctx, rob_attack_create(ctx, "auto", &attack));
    must(ctx, rob_attack_distance(ctx, attack, query, upper, SERIES));
    must(ctx, rob_bound_create(ctx, "crown", &bound));
    must(ctx, rob_bound_radius(ctx, bound, query, lower, SERIES));
    rob_attack_free(attack);
    rob_bound_free(bound);
    rob_query_free(query);
}

/* The unrolled program has the recipe's gates in the same order, so the same relaxations:
 * radii agree to what the search for them resolves. */
START_TEST(test_same_answers)
{
    const int64_t rows = (int64_t[]){ 0, 1, 3 }[_i];
    rob_ctx *ctx;
    rob_model *recipe, *recorded;
    double lower[2][SERIES], upper[2][SERIES];
    must(NULL, rob_ctx_create(&ctx));
    make(ctx, rows, &recipe, &recorded);
    ask(ctx, recipe, lower[0], upper[0]);
    ask(ctx, recorded, lower[1], upper[1]);
    for (int k = 0; k < SERIES; k++) {
        ck_assert_msg(lower[1][k] > 0 && lower[1][k] <= upper[1][k], "%g %g",
                      lower[1][k], upper[1][k]);
        ck_assert_msg(fabs(lower[0][k] - lower[1][k]) <= 0.02 * lower[0][k], "%g %g",
                      lower[0][k], lower[1][k]);
        ck_assert_msg(fabs(upper[0][k] - upper[1][k]) <= 0.02 * upper[0][k], "%g %g",
                      upper[0][k], upper[1][k]);
    }
    rob_model_free(recipe);
    rob_model_free(recorded);
    rob_ctx_free(ctx);
}
END_TEST

/* y_r = sum over features of a x, a an input of the tape: frozen at its value */
START_TEST(test_frozen_input)
{
    rob_ctx *ctx;
    rob_tape *t;
    rob_model *model;
    rob_var x, a, y;
    double in[3] = { 1, 2, 4 }, factor = 3, out[3];
    must(NULL, rob_ctx_create(&ctx));
    must(ctx, rob_tape_create(ctx, ROB_F64, &t));
    must(ctx, rob_tape_input(ctx, t, (int64_t[]){ 1, 3 }, 2, &x));
    must(ctx, rob_tape_input(ctx, t, NULL, 0, &a));
    must(ctx, rob_tape_set(ctx, t, a, &factor, 1));
    must(ctx, rob_tape_apply(ctx, t, "mul", (rob_var[]){ x, a }, 2, &y));
    must(ctx, rob_model_from_tape(ctx, t, x, y, &model));
    factor = 100;
    must(ctx, rob_tape_set(ctx, t, a, &factor, 1));
    rob_tape_free(t);
    must(ctx, rob_model_predict(ctx, model, in, 1, out, 3));
    ck_assert(out[0] == 3 && out[1] == 6 && out[2] == 12);
    rob_model_free(model);
    rob_ctx_free(ctx);
}
END_TEST

static void refused(rob_ctx *ctx, rob_tape *t, rob_var x, rob_var y, rob_status code,
                    const char *words)
{
    rob_model *model = (rob_model *)t;
    ck_assert_int_eq(rob_model_from_tape(ctx, t, x, y, &model), code);
    ck_assert(model == NULL);
    ck_assert_msg(strstr(rob_ctx_error(ctx), words) != NULL, "%s", rob_ctx_error(ctx));
}

START_TEST(test_refusals)
{
    rob_ctx *ctx;
    rob_tape *t;
    rob_model *model, *none;
    rob_var flat, x, y, all, both;
    double numbers[8] = { 0 };
    must(NULL, rob_ctx_create(&ctx));
    must(ctx, rob_tape_create(ctx, ROB_F64, &t));
    must(ctx, rob_tape_input(ctx, t, (int64_t[]){ 4 }, 1, &flat));
    must(ctx, rob_tape_input(ctx, t, (int64_t[]){ 2, 2, 2 }, 3, &x));
    must(ctx, rob_tape_apply(ctx, t, "tanh", &x, 1, &y));
    must(ctx, rob_tape_apply(ctx, t, "sum", &x, 1, &all));
    must(ctx, rob_tape_apply_with(ctx, t, "expand", &all, 1, (double[]){ 2, 1 }, 2,
                                  &both));
    refused(ctx, t, flat, y, ROB_ESHAPE, "rank 1");
    refused(ctx, t, y, y, ROB_EARGUMENT, "no input");
    refused(ctx, t, 99, y, ROB_EARGUMENT, "no variable");
    refused(ctx, t, x, all, ROB_ESHAPE, "must be (R, L)");
    refused(ctx, t, x, both, ROB_EARGUMENT, "depends on other series");
    refused(ctx, t, x, y, ROB_EARGUMENT, "depends on other series");
    must(ctx, rob_tape_apply_with(ctx, t, "permute", &y, 1, (double[]){ 1, 0, 2 }, 3,
                                  &y));
    must(ctx, rob_model_from_tape(ctx, t, x, y, &model));
    ck_assert_int_eq(rob_model_predict(ctx, model, numbers, 3, numbers, 8), ROB_ESHAPE);
    ck_assert(strstr(rob_ctx_error(ctx), "the model takes 2") != NULL);
    ck_assert_int_eq(rob_model_save(ctx, model, "never.safetensors"), ROB_EUNSUPPORTED);
    ck_assert_int_eq(rob_model_get(ctx, model, "w", numbers, 8, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_model_with(ctx, model, "w", numbers, 8, &none), ROB_EARGUMENT);
    rob_model_free(model);
    rob_tape_free(t);
    rob_ctx_free(ctx);
}
END_TEST

typedef struct budget {
    int64_t left;
} budget;

static void *allocate(void *user, int64_t bytes)
{
    budget *b = user;
    return b->left-- > 0 ? malloc((size_t)bytes) : NULL;
}

static void release(void *user, void *p)
{
    (void)user;
    free(p);
}

START_TEST(test_no_memory)
{
    rob_ctx *plain, *ctx;
    rob_model *recipe, *model = NULL;
    rob_tape *tape;
    rob_var x, y;
    budget b = { INT64_MAX };
    rob_status status = ROB_EMEMORY;
    must(NULL, rob_ctx_create(&plain));
    must(NULL, rob_ctx_create_with(allocate, release, &b, &ctx));
    must(plain, rob_model_create(plain,
                                 "rnn nonlinearity=tanh readout=last features=2 "
                                 "hidden=5 outputs=3",
                                 &recipe));
    must(plain, rob_tape_create(plain, ROB_F64, &tape));
    record(plain, tape, recipe, 2, &x, &y);
    for (int64_t k = 0; status == ROB_EMEMORY; k++) {
        b.left = k;
        status = rob_model_from_tape(ctx, tape, x, y, &model);
        ck_assert(status == ROB_EMEMORY || status == ROB_OK);
        ck_assert((model == NULL) == (status < ROB_OK));
    }
    b.left = INT64_MAX;
    rob_model_free(model);
    rob_tape_free(tape);
    rob_model_free(recipe);
    rob_ctx_free(ctx);
    rob_ctx_free(plain);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recorded");
    TCase *c = tcase_create("recorded");
    tcase_add_loop_test(c, test_same_logits, 0, 3);
    tcase_add_loop_test(c, test_same_answers, 0, 3);
    tcase_add_test(c, test_frozen_input);
    tcase_add_test(c, test_refusals);
    tcase_add_test(c, test_no_memory);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
