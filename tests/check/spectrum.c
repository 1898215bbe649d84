/* spectrum.c -- Lanczos against LAPACK, on matrices and on models. */
#include "harness.h"
#include "geometry.h"

#include "la/la.h"
#include "query/local.h"
#include <robust/spectrum.h>

enum { T = 12, D = 2, N = T * D };
static rob_ctx *ctx;
static rob_model *model;
static rob_query *query;
static rob_spectrum *spectrum;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_spectrum_create(ctx, &spectrum), ROB_OK);
    model = NULL;
    query = NULL;
}

static void stop(void)
{
    rob_spectrum_free(spectrum);
    rob_query_free(query);
    rob_model_free(model);
    rob_ctx_free(ctx);
}

static void set(const char *name, double value)
{
    ck_assert_int_eq(rob_spectrum_set(ctx, spectrum, name, value), ROB_OK);
}

static void extremes(double *out)
{
    ck_assert_msg(rob_spectrum_extremes(ctx, spectrum, query, out, 16) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
}

static int64_t get(const char *what, double *out)
{
    int64_t count;
    ck_assert_msg(rob_spectrum_get(ctx, spectrum, what, 0, out, 200, &count) == ROB_OK,
                  "%s", rob_ctx_error(ctx));
    return count;
}

/* ---- the method ------------------------------------------------------------------ */

typedef struct matrix {
    int64_t n;
    double a[64 * 64];
} matrix;

static rob_status times(void *user, const double *v, double *av)
{
    const matrix *m = user;
    for (int64_t i = 0; i < m->n; i++) {
        av[i] = 0;
        for (int64_t j = 0; j < m->n; j++) av[i] += m->a[i * m->n + j] * v[j];
    }
    return ROB_OK;
}

/* Random, of low rank, with few distinct eigenvalues, of size 1. Ends are right to the
 * residual asked for; of the whole space, to eps n |A|, times a dozen. */
START_TEST(matrices_have_lapacks_ends)
{
    static matrix m;
    static double copy[64 * 64];
    double w[64], low[64], high[64], image[64];
    rob_random random = rob_priv_random(3, (uint64_t)_i);
    rob_memory memory = ctx->memory;
    m.n = _i == 4 ? 1 : 40;
    for (int64_t i = 0; i < m.n; i++)
        for (int64_t j = 0; j <= i; j++)
            m.a[i * m.n + j] = m.a[j * m.n + i] =
                _i == 0   ? rob_priv_normal(&random)
                : _i == 1 ? (i < 3 && j < 3 ? rob_priv_normal(&random) : 0)
                : _i == 2 ? (i == j ? (double)(i % 3) - 1 : 0)
                : _i == 3 ? 0
                          : 2;
    memcpy(copy, m.a, sizeof copy);
    ck_assert_int_eq(rob_priv_la_eigen(&memory, m.n, copy, w, NULL), ROB_OK);
    double scale = fmax(fabs(w[0]), fabs(w[m.n - 1])) + 1e-300;
    for (int few = 0; few < 2; few++) {
        rob_lanczos l = { .n = m.n,
                          .most = few ? 25 : 1000,
                          .tolerance = few ? 1e-10 : 0,
                          .product = times,
                          .user = &m,
                          .seed = 7,
                          .stream = 1,
                          .low_vector = low,
                          .high_vector = high };
        ck_assert_int_eq(rob_priv_la_lanczos(&memory, &l), ROB_OK);
        double tol = 12 * 40 * 0x1p-52 * scale;
        ck_assert_double_ge(l.low, w[0] - tol);
        ck_assert_double_le(l.high, w[m.n - 1] + tol);
        ck_assert_double_le(l.low, w[0] + l.low_residual + tol);
        ck_assert_double_ge(l.high, w[m.n - 1] - l.high_residual - tol);
        if (!few) ck_assert_double_eq_tol(l.low, w[0], tol);
        if (!few) ck_assert_double_eq_tol(l.high, w[m.n - 1], tol);
        ck_assert_double_eq_tol(length(high, m.n), 1, 1e-13);
        times(&m, high, image);
        for (int64_t i = 0; i < m.n; i++) image[i] -= l.high * high[i];
        ck_assert_double_le(length(image, m.n), l.high_residual + 4 * tol);
    }
}
END_TEST

/* ---- models ---------------------------------------------------------------------- */

/* Dense, and by products: equal to the residual of 1e-8 asked for. */
START_TEST(models_have_the_same_ends_both_ways)
{
    static const int32_t kinds[3] = { ROB_KIND_LSTM, ROB_KIND_RNN_TANH, ROB_KIND_GRU };
    double x[N], dense[2], ends[2], all[N], v[N], few[N];
    uint8_t mask[N];
    bool masked = _i % 2;
    model = test_model(ctx, kinds[_i % 3], D, 5, 3, ROB_READOUT_LAST, ROB_F64, 1.2);
    test_series(x, N, 3);
    for (int i = 0; i < N; i++) mask[i] = !masked || i % 5 != 0;
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_query_set_mask(ctx, query, 0, mask, N), ROB_OK);
    set("margin", _i >= 3);
    extremes(dense);
    int64_t count = get("eigenvalues", all);
    ck_assert_int_eq(count, masked ? N - 5 : N);
    ck_assert_double_eq(all[0], dense[0]);
    ck_assert_double_eq(all[count - 1], dense[1]);
    for (int64_t i = 1; i < count; i++) ck_assert_double_ge(all[i], all[i - 1]);
    set("dense", 0);
    extremes(ends);
    double scale = fmax(fabs(dense[0]), fabs(dense[1]));
    ck_assert_double_eq_tol(ends[0], dense[0], 2e-8 * scale);
    ck_assert_double_eq_tol(ends[1], dense[1], 2e-8 * scale);
    get("steps", few);
    ck_assert_double_gt(few[0], 1);
    ck_assert_int_eq(get("high_vector", v), N);
    for (int i = 0; i < N; i++)
        if (!mask[i]) ck_assert_double_eq(v[i], 0);
    ck_assert_double_eq_tol(length(v, N), 1, 1e-13);
    double f[3], value;
    ck_assert_int_eq(rob_model_predict(ctx, model, x, T, f, 3), ROB_OK);
    int64_t c = rob_priv_argmax(f, 3);
    double sum = exp(f[0] - f[c]) + exp(f[1] - f[c]) + exp(f[2] - f[c]), margin;
    ck_assert_int_eq(rob_query_get(ctx, query, "margin", 0, &margin, 1, NULL), ROB_OK);
    get("value", &value);
    /* outputs of size 2 to a few hundred roundings */
    ck_assert_double_eq_tol(value, _i >= 3 ? margin : log(sum), 1000 * 0x1p-52);
}
END_TEST

/* Quadratic margin: eigenvalues are lambda. The cross-entropy of two classes
 * log(1 + exp(-g)): Hessian s' J J' - s H, s = 1/(1 + e^g): one number away from the
 * margin's. Checked where H = 0: s (1 - s) |J|^2 and 0. */
START_TEST(quadratic_models_have_theirs)
{
    quadratic k = { .steps = T, .features = D, .t0 = 1 };
    double x[N] = { 0 }, ends[2], value;
    for (int i = 0; i < N; i++) {
        k.lambda[i] = (double)(i - 7) / 4;
        k.j[i] = 0.1 * i;
    }
    model = quadratic_model(ctx, &k);
    query = query_of(ctx, model, x, T);
    set("margin", 1);
    for (int pass = 0; pass < 2; pass++) {
        extremes(ends);
        ck_assert_double_eq_tol(ends[0], -7.0 / 4, 12 * N * 0x1p-52 * 4);
        ck_assert_double_eq_tol(ends[1], (N - 8) / 4.0, 12 * N * 0x1p-52 * 4);
        set("dense", 0);
    }
    for (int i = 0; i < N; i++) k.lambda[i] = 0;
    set("margin", 0);
    extremes(ends);
    double s = 1 / (1 + exp(1)), size = length(k.j, N);
    ck_assert_double_eq_tol(ends[1], s * (1 - s) * size * size,
                            64 * N * 0x1p-52 * size * size);
    ck_assert_double_eq_tol(ends[0], 0, 64 * N * 0x1p-52 * size * size);
    ck_assert_int_eq(get("value", &value), 1);
    ck_assert_double_eq_tol(value, log(1 + exp(-1)), 8 * 0x1p-52);
    get("gradient_norm", &value);
    ck_assert_double_eq_tol(value, s * size, 64 * 0x1p-52 * size);
}
END_TEST

START_TEST(relu_margins_are_flat)
{
    double x[N], ends[2], flat;
    model = test_model(ctx, ROB_KIND_RNN_RELU, D, 5, 3, ROB_READOUT_LAST, ROB_F64, 0.8);
    test_series(x, N, 3);
    query = query_of(ctx, model, x, T);
    set("margin", 1);
    for (int pass = 0; pass < 2; pass++) {
        extremes(ends);
        get("flat", &flat);
        ck_assert_double_eq(flat, 1);
        ck_assert_double_eq(ends[0], 0);
        ck_assert_double_eq(ends[1], 0);
        set("dense", 0);
    }
    set("margin", 0); /* the loss bends although the network does not */
    extremes(ends);
    get("flat", &flat);
    ck_assert_double_eq(flat, 0);
    ck_assert_double_gt(ends[1], 0);
}
END_TEST

START_TEST(threads_cancel_and_refusals)
{
    double x[N], one[2], two[2], d = -3;
    model = test_model(ctx, ROB_KIND_LSTM, D, 5, 2, ROB_READOUT_LAST, ROB_F64, 1.2);
    test_series(x, N, 3);
    query = query_of(ctx, model, x, T);
    for (int pass = 0; pass < 2; pass++) {
        set("dense", pass ? 0 : 100);
        ck_assert_int_eq(rob_ctx_set_threads(ctx, 1), ROB_OK);
        extremes(one);
        ck_assert_int_eq(rob_ctx_set_threads(ctx, 3), ROB_OK);
        extremes(two);
        ck_assert_mem_eq(one, two, sizeof one);
    }
    rob_ctx_cancel(ctx);
    ck_assert_int_eq(rob_spectrum_extremes(ctx, spectrum, query, two, 2), ROB_STOPPED);
    ck_assert(isnan(two[0]));
    extremes(two);
    ck_assert_mem_eq(one, two, sizeof one);
    ck_assert_int_eq(rob_spectrum_extremes(ctx, spectrum, query, &d, 1), ROB_ESHAPE);
    ck_assert_int_eq(rob_spectrum_extremes(ctx, spectrum, NULL, &d, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_spectrum_extremes(NULL, spectrum, query, &d, 1),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_spectrum_get(ctx, spectrum, "nothing", 0, &d, 1, NULL),
                     ROB_EARGUMENT);
    const double c[2] = { 1, -1 };
    ck_assert_int_eq(rob_query_set_rows(ctx, query, c, NULL, NULL, 1), ROB_OK);
    ck_assert_int_eq(rob_spectrum_extremes(ctx, spectrum, query, two, 2),
                     ROB_EUNSUPPORTED);
    ck_assert_double_eq(d, -3);
}
END_TEST

START_TEST(memory_may_run_out)
{
    counting c = { .left = -1 };
    double x[3] = { 0.2, -0.1, 0.4 }, d[2], want[2];
    rob_ctx *mine;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &mine),
                     ROB_OK);
    model = test_model(mine, ROB_KIND_LSTM, 1, 3, 3, ROB_READOUT_LAST, ROB_F64, 1.2);
    query = query_of(mine, model, x, 3);
    rob_spectrum *s;
    ck_assert_int_eq(rob_spectrum_create(mine, &s), ROB_OK);
    for (int pass = 0; pass < 2; pass++) {
        ck_assert_int_eq(rob_spectrum_set(mine, s, "dense", pass ? 0 : 48), ROB_OK);
        ck_assert_int_eq(rob_spectrum_extremes(mine, s, query, want, 2), ROB_OK);
        int64_t live = c.live, before = c.asked;
        ck_assert_int_eq(rob_spectrum_extremes(mine, s, query, d, 2), ROB_OK);
        int64_t requests = c.asked - before, step = rob_long() ? 1 : 1 + requests / 60;
        for (int64_t n = 0; n < requests; n += step) {
            d[0] = -3;
            c.left = n;
            rob_status status = rob_spectrum_extremes(mine, s, query, d, 2);
            c.left = -1;
            ck_assert_msg(status == ROB_EMEMORY || status == ROB_OK, "request %lld: %d",
                          (long long)n, status);
            ck_assert_double_eq(d[0], status == ROB_OK ? want[0] : -3);
            ck_assert_int_eq(c.live, live);
        }
    }
    rob_spectrum_free(s);
    rob_query_free(query);
    rob_model_free(model);
    query = NULL;
    model = NULL;
    rob_ctx_free(mine);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("spectrum");
    TCase *c = tcase_create("spectrum");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, matrices_have_lapacks_ends, 0, 5);
    tcase_add_loop_test(c, models_have_the_same_ends_both_ways, 0, 6);
    tcase_add_test(c, quadratic_models_have_theirs);
    tcase_add_test(c, relu_margins_are_flat);
    tcase_add_test(c, threads_cancel_and_refusals);
    tcase_add_test(c, memory_may_run_out);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
