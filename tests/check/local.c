/* local.c -- gradients, Hessian products and dense Hessians at a point, against one
 * another and against differences. */
#include "harness.h"
#include "geometry.h"

#include "query/local.h"

static rob_ctx *ctx;
static rob_model *model;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = NULL;
}

static void stop(void)
{
    rob_model_free(model);
    rob_ctx_free(ctx);
}

/* gradient against differences of values, products against differences of gradients,
 * dense against products, symmetry. With step h = 1e-5 a central difference has an
 * error of h^2 times a third derivative of order 10, and eps/h of rounding: 1e-8. */
START_TEST(derivatives_agree)
{
    enum { T = 7, D = 3, N = T * D };
    static const int32_t kinds[4] = { ROB_KIND_LSTM, ROB_KIND_RNN_TANH, ROB_KIND_GRU,
                                      ROB_KIND_LSTM };
    bool entropy = _i == 3;
    double x[N], y[N], v[N], g[N], up[N], down[N], hv[N], h = 1e-5;
    static double dense[N * N];
    const double c[3] = { entropy ? -1 : 1, entropy ? 0 : -1, 0 };
    int64_t free[N];
    rob_local *l;
    model = test_model(ctx, kinds[_i], D, 5, 3, ROB_READOUT_MEAN, ROB_F64, 1);
    ck_assert_int_eq(rob_priv_local_create(ctx, model, T, entropy, &l), ROB_OK);
    test_series(x, N, 1);
    test_series(v, N, 2);
    rob_priv_local_place(l, x, NULL);
    rob_priv_local_gradient(l, c, g);
    rob_priv_local_product(l, v, hv);
    double slope = 0, size = length(hv, N);
    for (int i = 0; i < N; i++) {
        slope += g[i] * v[i];
        free[i] = i;
        y[i] = x[i] + h * v[i];
    }
    rob_priv_local_place(l, y, NULL);
    double high = rob_priv_local_gradient(l, c, up);
    for (int i = 0; i < N; i++) y[i] = x[i] - h * v[i];
    rob_priv_local_place(l, y, NULL);
    double low = rob_priv_local_gradient(l, c, down);
    ck_assert_double_eq_tol((high - low) / (2 * h), slope, 1e-8);
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol((up[i] - down[i]) / (2 * h), hv[i], 1e-8);
    ck_assert_int_eq(rob_priv_local_hessian(ctx, l, x, c, free, N, dense), ROB_OK);
    ck_assert_double_gt(size, 1e-3);
    double whole = length(dense, N * N);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) {
            sum += dense[i * N + j] * v[j];
            /* about 100 operations a step, T steps, in each entry */
            ck_assert_double_eq_tol(dense[i * N + j], dense[j * N + i],
                                    200 * T * 0x1p-52 * (1 + whole));
        }
        ck_assert_double_eq_tol(sum, hv[i], 200 * T * 0x1p-52 * (1 + whole) * N);
    }
    rob_priv_local_free(l);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("local");
    TCase *c = tcase_create("local");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, derivatives_agree, 0, 4);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
