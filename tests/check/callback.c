/* callback.c -- a model that is the caller's: the same answers as the model behind it,
 * on the caller's thread; errors, cancel, refusals; attacks that see only failing. */
#include "attacking.h"

#include <robust.h>
#include <pthread.h>

static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };

/* The engine behind the callback: evaluators of its own, in its own context. */
typedef struct engine {
    rob_ctx *ctx;
    rob_model *model;
    rob_evaluator *e;
    const double *seed;
    int64_t calls, rows, fail_after;
    pthread_t thread;
    bool elsewhere;
    rob_ctx *cancel;
} engine;

static engine it;

static void count_rows(engine *g, int64_t rows)
{
    g->calls++;
    g->rows += rows;
    g->elsewhere |= !pthread_equal(g->thread, pthread_self());
    if (g->cancel && g->calls > 3) rob_ctx_cancel(g->cancel);
}

static int32_t logits_of(void *user, const double *x, int64_t rows, int64_t steps,
                         double *logits)
{
    engine *g = user;
    count_rows(g, rows);
    if (g->fail_after >= 0 && g->calls > g->fail_after) return 7;
    for (int64_t r = 0; r < rows; r++)
        if (rob_model_predict(g->ctx, g->model, x + r * steps * D, steps,
                              logits + r * g->model->recipe.outputs, 8)
            != ROB_OK)
            return 1;
    return 0;
}

static void copy_seed(void *user, int64_t row, const double *logits, double *seed)
{
    const engine *g = user;
    (void)logits;
    int64_t n = g->model->recipe.outputs;
    memcpy(seed, g->seed + row * n, (size_t)n * sizeof *seed);
}

static int32_t gradient_of(void *user, const double *x, const double *seed,
                           int64_t rows, int64_t steps, double *grad)
{
    engine *g = user;
    double *to[64], f[64 * 8];
    const double *point[64];
    int64_t length[64];
    if (g->fail_after >= 0 && g->calls > g->fail_after) return -3;
    for (int64_t r = 0; r < rows; r++) {
        point[r] = x + r * steps * D;
        to[r] = grad + r * steps * D;
        length[r] = steps;
    }
    g->seed = seed;
    rob_priv_evaluator_free(g->e);
    if (rob_priv_evaluator_create(g->ctx, g->model, ROB_F64, steps, false, true, &g->e)
        != ROB_OK)
        return 1;
    return rob_priv_gradients(g->ctx, g->e, rows, point, length, f, copy_seed, g, to);
}

static void wrap(int32_t kind, bool gradients)
{
    start();
    it = (engine){ .fail_after = -1, .thread = pthread_self() };
    ck_assert_int_eq(rob_ctx_create(&it.ctx), ROB_OK);
    it.model = test_model(it.ctx, kind, D, 5, 3, ROB_READOUT_LAST, ROB_F64,
                          kind == ROB_KIND_LSTM ? 3 : 1);
    ck_assert_int_eq(rob_model_from_callback(ctx, D, 3, logits_of,
                                             gradients ? gradient_of : NULL, &it,
                                             &model),
                     ROB_OK);
}

static void unwrap(void)
{
    stop();
    rob_priv_evaluator_free(it.e);
    rob_model_free(it.model);
    rob_ctx_free(it.ctx);
}

/* ---- the same answers ------------------------------------------------------------ */

START_TEST(answers_are_the_models_own)
{
    double through[N], own[N], x[SIZE], f[3], g[3];
    static const char *const methods[] = { "pgd", "deepfool", "auto" };
    rob_model *wrapped;
    wrap(ROB_KIND_LSTM, true);
    rob_ctx_set_threads(ctx, 2);
    ask(N, T, norms[_i % 3], INFINITY);
    by(methods[_i / 3]);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "precision", 64), ROB_OK);
    distances(through);
    check_points(through, INFINITY);
    ck_assert(!it.elsewhere);
    test_series(x, SIZE, 1);
    ck_assert_int_eq(rob_model_predict(ctx, model, x, T, f, 3), ROB_OK);
    ck_assert_int_eq(rob_model_predict(ctx, it.model, x, T, g, 3), ROB_OK);
    ck_assert_mem_eq(f, g, sizeof f);
    wrapped = model;
    model = it.model;
    ask(N, T, norms[_i % 3], INFINITY);
    distances(own);
    /* the engine computes in float64 where the model itself is judged in float32 too */
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol(through[i], own[i], 1e-3 * own[i]);
    model = wrapped;
    unwrap();
}
END_TEST

START_TEST(samplers_see_the_same_margins)
{
    rob_sampler *s;
    double radius = 2, a[3 * 2], b[3 * 2];
    wrap(ROB_KIND_RNN_TANH, false);
    ask(2, T, ROB_NORM_L2, INFINITY);
    ck_assert_int_eq(rob_sampler_create(ctx, "mc", &s), ROB_OK);
    ck_assert_int_eq(rob_sampler_set(ctx, s, "precision", 64), ROB_OK);
    ck_assert_int_eq(rob_sampler_curve(ctx, s, query, &radius, 1, a, 6), ROB_OK);
    rob_query *own;
    ck_assert_int_eq(rob_query_create(ctx, it.model, &own), ROB_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(rob_query_add(ctx, own, query->cases[i].x, T, -1), ROB_OK);
    ck_assert_int_eq(rob_sampler_curve(ctx, s, own, &radius, 1, b, 6), ROB_OK);
    for (int k = 0; k < 6; k++) ck_assert_double_eq(a[k], b[k]);
    rob_query_free(own);
    rob_sampler_free(s);
    unwrap();
}
END_TEST

/* ---- errors, cancel, refusals ---------------------------------------------------- */

START_TEST(failing_callbacks_are_told)
{
    double upper[N] = { 5 };
    wrap(ROB_KIND_LSTM, true);
    ask(N, T, ROB_NORM_L2, INFINITY);
    by("auto");
    it.fail_after = _i;
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, upper, N), ROB_ECALLBACK);
    ck_assert_double_eq(upper[0], 5);
    ck_assert(strstr(rob_ctx_error(ctx), "callback answered") != NULL);
    it.fail_after = -1;
    distances(upper);
    check_points(upper, INFINITY);
    unwrap();
}
END_TEST

START_TEST(a_callback_may_cancel)
{
    double upper[N];
    wrap(ROB_KIND_LSTM, true);
    it.cancel = ctx;
    ask(N, T, ROB_NORM_L2, INFINITY);
    by(_i ? "hopskipjump" : "auto");
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, upper, N), ROB_STOPPED);
    for (int i = 0; i < N; i++) ck_assert(upper[i] >= 0);
    unwrap();
}
END_TEST

START_TEST(what_needs_a_graph_refuses)
{
    rob_bound *bound;
    rob_boundary *boundary;
    double out[N];
    wrap(ROB_KIND_LSTM, false);
    ask(1, T, ROB_NORM_L2, 0.1);
    ck_assert_int_eq(rob_bound_create(ctx, "auto", &bound), ROB_OK);
    ck_assert_int_eq(rob_bound_radius(ctx, bound, query, out, 1), ROB_EUNSUPPORTED);
    ck_assert(strstr(rob_ctx_error(ctx), "callback") != NULL);
    ck_assert_int_eq(rob_boundary_create(ctx, &boundary), ROB_OK);
    ck_assert_int_eq(rob_boundary_find(ctx, boundary, query, out, 1), ROB_EUNSUPPORTED);
    by("auto");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "calls", 20), ROB_OK);
    rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY);
    distances(out);
    check_points(out, INFINITY);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "calls", 0, out, 1, NULL), ROB_OK);
    ck_assert(out[0] > 64 && out[0] <= 320);
    rob_query_set_ball(ctx, query, ROB_NORM_L2, 0.1);
    by("pgd");
    ck_assert_int_eq(rob_attack_margin(ctx, attack, query, out, 1), ROB_EUNSUPPORTED);
    ck_assert(strstr(rob_ctx_error(ctx), "hopskipjump") != NULL);
    ck_assert_int_eq(rob_model_save(ctx, model, "/tmp/x.safetensors"), ROB_EUNSUPPORTED);
    ck_assert_int_eq(rob_model_get(ctx, model, "a", out, 1, NULL), ROB_EARGUMENT);
    rob_model *m = model;
    ck_assert_int_eq(rob_model_from_callback(ctx, 0, 3, logits_of, NULL, NULL, &m),
                     ROB_ESHAPE);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(rob_model_from_callback(ctx, 1, 3, NULL, NULL, NULL, &m),
                     ROB_EARGUMENT);
    rob_bound_free(bound);
    rob_boundary_free(boundary);
    unwrap();
}
END_TEST

/* ---- attacks that see only failing ----------------------------------------------- */

static const char *const blind[2] = { "hopskipjump", "boundary" };

START_TEST(blind_attacks_come_near_the_best)
{
    double upper[N], best[N], calls[N];
    wrap(ROB_KIND_LSTM, true);
    ask(N, T, norms[_i % 3], INFINITY);
    by("auto");
    distances(best);
    by(blind[_i / 3]);
    ck_assert_int_eq(rob_attack_set(ctx, attack, "queries", 4000), ROB_OK);
    it.rows = 0;
    distances(upper);
    check_points(upper, INFINITY);
    ck_assert_int_eq(rob_attack_get(ctx, attack, "calls", -1, calls, N, NULL), ROB_OK);
    double all = 0, ratio = 1;
    for (int i = 0; i < N; i++) {
        /* 10 numbers and 4000 answers: measured 1.00 to 1.05 (hopskipjump), to 1.3 */
        ck_assert_double_le(calls[i], 4000);
        ratio *= pow(upper[i] / best[i], 1.0 / N);
        all += calls[i];
    }
    ck_assert_double_le(ratio, _i < 3 ? 1.15 : 1.6);
    /* what was asked is what was counted, but for judging: at most 2 x (40 + 14) a series
     * and one prediction */
    ck_assert(it.rows >= (int64_t)all && it.rows <= (int64_t)all + N * (2 * 54 + 1));
    unwrap();
}
END_TEST

START_TEST(memory_that_fails_is_told)
{
    wrap(ROB_KIND_RNN_TANH, true);
    for (int64_t left = 0;; left++) {
        counting c = { .left = left };
        rob_ctx *poor;
        rob_model *m = NULL;
        rob_query *q = NULL;
        rob_attack *a = NULL;
        double x[SIZE], upper;
        test_series(x, SIZE, 3);
        rob_status s = rob_ctx_create_with(counting_take, counting_drop, &c, &poor);
        if (s == ROB_OK)
            s = rob_model_from_callback(poor, D, 3, logits_of, gradient_of, &it, &m);
        if (s == ROB_OK) s = rob_query_create(poor, m, &q);
        if (s == ROB_OK) s = rob_query_add(poor, q, x, T, -1);
        if (s == ROB_OK) s = rob_query_set_band_limit(poor, q, 3);
        if (s == ROB_OK) s = rob_query_set_box(poor, q, -1, (double[]){ -9 }, NULL, 1);
        if (s == ROB_OK) s = rob_query_set_scale(poor, q, 0, (double[]){ 2 }, 1);
        if (s == ROB_OK) s = rob_attack_create(poor, blind[left % 2], &a);
        if (s == ROB_OK) s = rob_attack_set(poor, a, "queries", 64);
        if (s == ROB_OK) s = rob_attack_distance(poor, a, q, &upper, 1);
        rob_attack_free(a);
        rob_query_free(q);
        rob_model_free(m);
        rob_ctx_free(poor);
        ck_assert_int_eq(c.live, 0);
        if (s == ROB_OK && left % 2) break;
        ck_assert(s == ROB_OK || s == ROB_EMEMORY);
    }
    unwrap();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("callback");
    TCase *c = tcase_create("callback");
    tcase_add_loop_test(c, answers_are_the_models_own, 0, 9);
    tcase_add_test(c, samplers_see_the_same_margins);
    tcase_add_loop_test(c, failing_callbacks_are_told, 0, 4);
    tcase_add_loop_test(c, a_callback_may_cancel, 0, 2);
    tcase_add_test(c, what_needs_a_graph_refuses);
    tcase_add_loop_test(c, blind_attacks_come_near_the_best, 0, 6);
    tcase_add_test(c, memory_that_fails_is_told);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
