/* diagnosis.c -- masked nets are told from others; columns, options, refusals. */
#include "attacking.h"
#include "check/poor.h"

#include <robust/diagnosis.h>
#include <robust/report.h>

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static rob_diagnosis *d;

static void begin(void)
{
    start();
    d = NULL;
}

static void end(void)
{
    rob_diagnosis_free(d);
    stop();
}

static double share(const char *sign)
{
    char name[40];
    double v;
    snprintf(name, sizeof name, "share_%s", sign);
    GOOD(rob_diagnosis_get(ctx, d, name, 0, &v, 1, NULL));
    return v;
}

static double cell(const char *column, int64_t i)
{
    double v;
    GOOD(rob_diagnosis_get(ctx, d, column, i, &v, 1, NULL));
    return v;
}

static bool warns(const char *text)
{
    for (int64_t k = 0; rob_diagnosis_warning(d, k); k++)
        if (strstr(rob_diagnosis_warning(d, k), text)) return true;
    return false;
}

static void diagnose(void)
{
    GOOD(rob_diagnosis_create(ctx, &d));
    GOOD(rob_diagnosis_run(ctx, d, query));
}

/* all weights into the gates times `size`: with enough of it sigmoids and tanhs are steps */
static void scale_gates(double size)
{
    for (int32_t k = W_IH; k <= B_HH; k++) {
        rob_tensor *t = model->parameter[k].tensor;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            ((double *)t->data)[i] *= size;
    }
}

/* Gates as steep as steps: derivatives e^-|z| with |z| in the thousands are 0. */
START_TEST(steps_are_found_out)
{
    model = test_model(ctx, ROB_KIND_LSTM, D, 6, 2, ROB_READOUT_MEAN, ROB_F64, 1);
    scale_gates(1e5);
    ask(N, T, _i ? ROB_NORM_LINF : ROB_NORM_L2, INFINITY);
    diagnose();
    ck_assert_double_gt(share("units"), 0.9);
    ck_assert_double_gt(share("gradients"), 0.9);
    ck_assert(warns("saturated") && warns("start blind"));
    ck_assert_double_gt(share("black") + share("restarts") + share("steps"), 0);
    for (int i = 0; i < N; i++) {
        ck_assert_double_gt(cell("saturated", i), 0.7);
        ck_assert_double_gt(cell("zero", i), 0.9);
        ck_assert_double_eq(cell("agreement", i), 0);
    }
}
END_TEST

/* 1 - tanh^2 z = 4 e^-2|z| at |z| = 14 is 3e-12: 1 - t t is 0 in float32, not in float64 */
START_TEST(float32_is_told_from_float64)
{
    model = test_model(ctx, ROB_KIND_RNN_TANH, D, 6, 2, ROB_READOUT_LAST, ROB_F64, 0.5);
    double *bias = model->parameter[B_IH].tensor->data;
    for (int i = 0; i < 6; i++) bias[i] = i % 2 ? 14 : -14;
    ask(N, T, ROB_NORM_L2, INFINITY);
    diagnose();
    ck_assert_double_eq(share("gradients"), 1);
    int64_t alive = 0;
    for (int i = 0; i < N; i++) alive += cell("gradient", i) > 0;
    ck_assert_int_gt(alive, N / 2);
}
END_TEST

/* logits a hundred times as large: the cross-entropy is flat, the margin is not */
START_TEST(a_flat_loss_is_told_from_a_flat_margin)
{
    model = affine_model(ctx, D, 2);
    for (int32_t k = HEAD_W; k <= HEAD_B; k++) {
        rob_tensor *t = model->parameter[k].tensor;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            ((double *)t->data)[i] *= 1e4;
    }
    ask(N, T, ROB_NORM_L2, INFINITY);
    diagnose();
    ck_assert_double_gt(share("loss"), 0.5);
    ck_assert_double_eq(share("gradients"), 0);
    ck_assert(warns("cross-entropy") && !warns("start blind"));
}
END_TEST

START_TEST(ordinary_nets_are_not_suspected)
{
    static const int32_t kinds[4] = { ROB_KIND_LSTM, ROB_KIND_RNN_TANH, ROB_KIND_GRU,
                                      ROB_KIND_RNN_RELU };
    if (_i < 4)
        model = test_model(ctx, kinds[_i], D, 6, 3, ROB_READOUT_MEAN, ROB_F64, 0.8);
    else model = affine_model(ctx, D, 3);
    ask(N, T, _i % 2 ? ROB_NORM_LINF : ROB_NORM_L2, INFINITY);
    diagnose();
    ck_assert_msg(!rob_diagnosis_warning(d, 0), "%s", rob_diagnosis_warning(d, 0));
    for (int i = 0; i < N; i++) {
        if (number("wrong", i) == 1) continue;
        ck_assert_double_ge(cell("agreement", i), 0.99);
        ck_assert_double_le(cell("nearest", i), cell("black", i));
        ck_assert_double_le(cell("nearest", i), cell("white", i));
        ck_assert_double_eq(cell("nearest", i), number("best", i));
    }
}
END_TEST

/* Share of units by hand: an Elman net's are tanh of W x + b + W h, at every step. */
START_TEST(units_are_counted)
{
    double x[SIZE], h[6] = { 0 }, z[6];
    int64_t count = 0;
    model = test_model(ctx, ROB_KIND_RNN_TANH, D, 6, 2, ROB_READOUT_LAST, ROB_F64, 4);
    ask(1, T, ROB_NORM_L2, INFINITY);
    GOOD(rob_query_get(ctx, query, "x", 0, x, SIZE, NULL));
    const double *in = model->parameter[W_IH].tensor->data,
                 *to = model->parameter[W_HH].tensor->data,
                 *b = model->parameter[B_IH].tensor->data,
                 *c = model->parameter[B_HH].tensor->data;
    for (int t = 0; t < T; t++) {
        for (int i = 0; i < 6; i++) {
            z[i] = b[i] + c[i];
            for (int j = 0; j < D; j++) z[i] += in[i * D + j] * x[t * D + j];
            for (int j = 0; j < 6; j++) z[i] += to[i * 6 + j] * h[j];
        }
        for (int i = 0; i < 6; i++) h[i] = tanh(z[i]);
        for (int i = 0; i < 6; i++) count += 1 - h[i] * h[i] < 1e-3;
    }
    diagnose();
    ck_assert_int_gt(count, 0);
    ck_assert_double_eq_tol(cell("saturated", 0), (double)count / (6 * T), 1e-12);
}
END_TEST

START_TEST(some_series_stand_for_all)
{
    double v[N];
    int64_t n;
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, INFINITY);
    GOOD(rob_diagnosis_create(ctx, &d));
    ck_assert_int_eq(rob_diagnosis_get(ctx, d, "zero", 0, v, N, NULL), ROB_EARGUMENT);
    GOOD(rob_diagnosis_set(ctx, d, "count", 2));
    GOOD(rob_diagnosis_set_text(ctx, d, "black", "none"));
    GOOD(rob_diagnosis_run(ctx, d, query));
    GOOD(rob_diagnosis_get(ctx, d, "index", -1, v, N, &n));
    ck_assert_int_eq(n, 2);
    ck_assert_double_eq(v[0], 0);
    ck_assert_double_eq(v[1], N / 2);
    ck_assert(isnan(share("black")) && isnan(cell("black", 0)));
    ck_assert(isfinite(number("best", N / 2)) && isinf(number("best", 1)));
    by("auto");
    distances(v);
    GOOD(rob_diagnosis_set_text(ctx, d, "white", "none"));
    GOOD(rob_diagnosis_set(ctx, d, "count", 0));
    GOOD(rob_diagnosis_run(ctx, d, query));
    for (int i = 0; i < N; i++) {
        /* the query keeps the nearest of both runs; of an affine model each reports the
         * distance d to within its overshoot, d .. d (1 + 1e-4) */
        ck_assert_double_le(cell("white", i), v[i]);
        ck_assert_double_ge(cell("white", i) * (1 + 1e-4), v[i]);
        ck_assert_double_le(number("best", i), v[i]);
    }
    ck_assert_int_eq(rob_diagnosis_get(ctx, d, "entropy", 0, v, N, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_diagnosis_get(ctx, d, "zero", N, v, N, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_diagnosis_get(ctx, d, "zero", -1, v, 2, NULL), ROB_ESHAPE);
    ck_assert_int_eq(rob_diagnosis_set(ctx, d, "nearer", 2), ROB_EDOMAIN);
    ck_assert_int_eq(rob_diagnosis_set(ctx, d, "further", 2), ROB_EARGUMENT);
    ck_assert_int_eq(rob_diagnosis_set_text(ctx, d, "white", "warp"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_diagnosis_set_text(ctx, d, "grey", "auto"), ROB_EARGUMENT);
    GOOD(rob_query_set_ball(ctx, query, ROB_NORM_L0, 2));
    ck_assert_int_eq(rob_diagnosis_run(ctx, d, query), ROB_EUNSUPPORTED);
    ck_assert_ptr_null(rob_diagnosis_warning(NULL, 0));
    ck_assert_ptr_null(rob_diagnosis_warning(d, -1));
}
END_TEST

static int32_t stop_soon(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)stage, (void)done, (void)total;
    return ++*(int *)user > 60;
}

START_TEST(a_stopped_diagnosis_says_what_it_knows)
{
    int calls = 0;
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, INFINITY);
    GOOD(rob_diagnosis_create(ctx, &d));
    rob_ctx_set_progress(ctx, stop_soon, &calls);
    ck_assert_int_eq(rob_diagnosis_run(ctx, d, query), ROB_STOPPED);
    rob_ctx_set_progress(ctx, NULL, NULL);
    ck_assert(isnan(share("black")));
    ck_assert_ptr_null(rob_diagnosis_warning(d, 0));
}
END_TEST

static bool file_has(const char *path, const char *text)
{
    static char page[1 << 18];
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    page[fread(page, 1, sizeof page - 1, file)] = 0;
    fclose(file);
    return strstr(page, text) != NULL;
}

START_TEST(a_report_says_it)
{
    rob_report *r;
    double signs[7];
    char name[] = "/tmp/robust-signs-XXXXXX", path[40], json[40];
    model = test_model(ctx, ROB_KIND_LSTM, D, 4, 2, ROB_READOUT_MEAN, ROB_F64, 0.8);
    if (_i) scale_gates(1e5);
    ask(N, T, ROB_NORM_L2, INFINITY);
    GOOD(rob_report_create(ctx, query, &r));
    GOOD(rob_report_set(ctx, r, "samples", 0));
    GOOD(rob_report_set(ctx, r, "dense", 0));
    GOOD(rob_report_set_text(ctx, r, "bound", "none"));
    GOOD(rob_report_run(ctx, r));
    GOOD(rob_report_get(ctx, r, "signs", signs, 7, NULL));
    ck_assert(_i ? signs[1] == 1 : signs[1] == 0);
    int at = mkstemp(name);
    ck_assert_int_ge(at, 0);
    close(at);
    snprintf(path, sizeof path, "%s.html", name);
    snprintf(json, sizeof json, "%s.json", name);
    GOOD(rob_report_save(ctx, r, path));
    ck_assert_int_eq(file_has(path, "Gradients may be masked"), _i);
    ck_assert_int_eq(file_has(path, "start blind"), _i);
    GOOD(rob_report_save(ctx, r, json));
    ck_assert_int_eq(file_has(json, "start blind"), _i);
    ck_assert(file_has(json, "\"warnings\": ["));
    remove(name);
    remove(path);
    remove(json);
    rob_report_free(r);
}
END_TEST

static rob_status life(rob_ctx *poor)
{
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    rob_diagnosis *some = NULL;
    double x[SIZE];
    if ((status = rob_query_create(poor, model, &q)) < ROB_OK) goto done;
    for (uint64_t i = 0; i < 2; i++) {
        test_series(x, SIZE, i);
        if ((status = rob_query_add(poor, q, x, T, -1)) < ROB_OK) goto done;
    }
    if ((status = rob_diagnosis_create(poor, &some)) < ROB_OK) goto done;
    if ((status = rob_diagnosis_set(poor, some, "count", 1)) < ROB_OK) goto done;
    if ((status = rob_diagnosis_set(poor, some, "radii", 1)) < ROB_OK) goto done;
    if ((status = rob_diagnosis_set(poor, some, "steps", 4)) < ROB_OK) goto done;
    if ((status = rob_diagnosis_set(poor, some, "calls", 4)) < ROB_OK) goto done;
    if ((status = rob_diagnosis_set(poor, some, "queries", 64)) < ROB_OK) goto done;
    status = rob_diagnosis_run(poor, some, q);
done:
    rob_diagnosis_free(some);
    rob_query_free(q);
    return status;
}

START_TEST(memory_that_fails_is_told)
{
    model = test_model(ctx, ROB_KIND_RNN_TANH, D, 4, 2, ROB_READOUT_MEAN, ROB_F64, 0.8);
    rob_live_poorly(life);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("diagnosis");
    TCase *c = tcase_create("diagnosis");
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, steps_are_found_out, 0, 2);
    tcase_add_test(c, float32_is_told_from_float64);
    tcase_add_test(c, a_flat_loss_is_told_from_a_flat_margin);
    tcase_add_loop_test(c, ordinary_nets_are_not_suspected, 0, 5);
    tcase_add_test(c, units_are_counted);
    tcase_add_test(c, some_series_stand_for_all);
    tcase_add_test(c, a_stopped_diagnosis_says_what_it_knows);
    tcase_add_loop_test(c, a_report_says_it, 0, 2);
    tcase_add_test(c, memory_that_fails_is_told);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
