/* smooth.c -- randomised smoothing: the closed form of affine models, abstention,
 * regions, callbacks, refusals. */
#include "attacking.h"

#include <robust/sampler.h>

static rob_sampler *sampler;

static void fine(rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static void open_sampler(double samples)
{
    start();
    fine(rob_sampler_create(ctx, "mc", &sampler));
    fine(rob_sampler_set(ctx, sampler, "samples", samples));
    fine(rob_sampler_set(ctx, sampler, "confidence", 0.99999));
}

static void close_sampler(void)
{
    rob_sampler_free(sampler);
    stop();
}

static double phi(double z) { return erfc(-z / sqrt(2)) / 2; }

/* R <= F/||w|| but for 1e-5 a series (confidence); p within six of its deviations and the
 * interval's width, about 4.3 of them, so p >= P - 11 sqrt(P (1 - P)/n) fails once in 1e9 */
START_TEST(affine_models_have_the_closed_form)
{
    enum { SAMPLES = 4000 };
    double out[3 * N], w[SIZE], f[2], scale[SIZE];
    int certified = 0;
    open_sampler(SAMPLES);
    model = affine_model(ctx, D, 2);
    ask(N, T, ROB_NORM_L2, INFINITY);
    for (int64_t k = 0; k < SIZE; k++) scale[k] = _i ? (double)(k % 3) : 1;
    if (_i) fine(rob_query_set_scale(ctx, query, -1, scale, SIZE));
    fine(rob_sampler_smooth(ctx, sampler, query, 0.5, out, 3 * N));
    for (int64_t i = 0; i < N; i++) {
        fine(rob_model_predict(ctx, model, query->cases[i].x, T, f, 2));
        int64_t c = rob_priv_argmax(f, 2);
        affine_row(model, c, 1 - c, T, w);
        for (int64_t k = 0; k < SIZE; k++) w[k] *= scale[k];
        double distance = (f[c] - f[1 - c]) / rob_priv_norm(ROB_NORM_L2, w, SIZE);
        double exact = phi(distance / 0.5);
        ck_assert_double_le(out[3 * i + 2], exact);
        ck_assert_double_ge(out[3 * i + 2],
                            exact - 11 * sqrt(exact * (1 - exact) / SAMPLES) - 0.005);
        if (out[3 * i] < 0) {
            ck_assert_double_eq(out[3 * i + 1], 0);
            ck_assert_double_le(out[3 * i + 2], 0.5);
            continue;
        }
        certified++;
        ck_assert_double_eq(out[3 * i], (double)c);
        ck_assert_double_le(out[3 * i + 1], distance);
        ck_assert_double_eq_tol(phi(out[3 * i + 1] / 0.5), out[3 * i + 2], 1e-7);
    }
    ck_assert_int_gt(certified, 0);
    close_sampler();
}
END_TEST

static int32_t coin(void *user, const double *x, int64_t rows, int64_t steps,
                    double *logits)
{
    (void)user;
    for (int64_t r = 0; r < rows; r++) {
        logits[2 * r] = x[r * steps * D];
        logits[2 * r + 1] = 0;
    }
    return 0;
}

/* A callback whose boundary passes through x: nobody has a majority to speak of. */
START_TEST(even_votes_abstain)
{
    double x[SIZE] = { 0 }, out[3], radius = 0.5;
    uint8_t mask[SIZE] = { 0 };
    open_sampler(1000);
    fine(rob_model_from_callback(ctx, D, 2, coin, NULL, NULL, &model));
    ask(0, T, ROB_NORM_L2, INFINITY);
    fine(rob_query_add(ctx, query, x, T, -1));
    fine(rob_sampler_smooth(ctx, sampler, query, radius, out, 3));
    ck_assert_double_eq(out[0], -1);
    ck_assert_double_eq(out[1], 0);
    /* where nothing may move all agree: p = alpha^(1/n) */
    fine(rob_query_set_mask(ctx, query, -1, mask, SIZE));
    fine(rob_sampler_smooth(ctx, sampler, query, radius, out, 3));
    ck_assert_double_eq(out[0], 0);
    ck_assert_double_eq_tol(out[2], pow(1e-5, 1e-3), 1e-9);
    close_sampler();
}
END_TEST

START_TEST(bits_repeat_and_refusals_are_clear)
{
    double one[3 * N], two[3 * N], box = 9;
    rob_sampler *split;
    open_sampler(300);
    model = test_model(ctx, ROB_KIND_LSTM, D, 4, 3, 0, ROB_F32, 3);
    ask(N, T, ROB_NORM_L2, INFINITY);
    fine(rob_sampler_smooth(ctx, sampler, query, 1, one, 3 * N));
    fine(rob_ctx_set_threads(ctx, 2));
    fine(rob_sampler_smooth(ctx, sampler, query, 1, two, 3 * N));
    ck_assert_mem_eq(one, two, sizeof one);
    ck_assert_int_eq(rob_sampler_smooth(ctx, sampler, query, 0, one, 3 * N), ROB_EDOMAIN);
    ck_assert_int_eq(rob_sampler_smooth(ctx, sampler, query, NAN, one, 3 * N),
                     ROB_EDOMAIN);
    ck_assert_int_eq(rob_sampler_smooth(ctx, sampler, query, 1, one, 3 * N - 1),
                     ROB_ESHAPE);
    ck_assert_int_eq(rob_sampler_smooth(ctx, sampler, query, 1, NULL, 9), ROB_EARGUMENT);
    fine(rob_sampler_create(ctx, "split", &split));
    ck_assert_int_eq(rob_sampler_smooth(ctx, split, query, 1, one, 3 * N),
                     ROB_EUNSUPPORTED);
    rob_sampler_free(split);
    rob_ctx_cancel(ctx);
    ck_assert_int_eq(rob_sampler_smooth(ctx, sampler, query, 1, one, 3 * N),
                     ROB_STOPPED);
    ck_assert(one[0] == -1 && one[1] == 0 && isnan(one[2]));
    fine(rob_query_set_box(ctx, query, -1, NULL, &box, 1));
    ck_assert_int_eq(rob_sampler_smooth(ctx, sampler, query, 1, one, 3 * N),
                     ROB_EUNSUPPORTED);
    ck_assert(strstr(rob_ctx_error(ctx), "box") != NULL);
    fine(rob_query_set_ball(ctx, query, ROB_NORM_LINF, 1));
    ck_assert_int_eq(rob_sampler_smooth(ctx, sampler, query, 1, one, 3 * N),
                     ROB_EUNSUPPORTED);
    close_sampler();
}
END_TEST

/* the curve's sphere is that of the region: affine, flat boundary, m coordinates */
START_TEST(curves_live_on_the_regions_sphere)
{
    double logp[3], w[SIZE], f[2], v[3 * D], radius;
    open_sampler(4000);
    model = affine_model(ctx, D, 2);
    ask(1, T, ROB_NORM_L2, INFINITY);
    fine(rob_query_set_band_limit(ctx, query, 3));
    fine(rob_model_predict(ctx, model, query->cases[0].x, T, f, 2));
    int64_t c = rob_priv_argmax(f, 2), m = 3 * D;
    affine_row(model, c, 1 - c, T, w);
    const double *e = query->cases[0].band->data;
    for (int64_t p = 0; p < m; p++) {
        v[p] = 0;
        for (int64_t k = 0; k < SIZE; k++) v[p] += w[k] * e[k * m + p];
    }
    double r = (f[c] - f[1 - c]) / rob_priv_norm(ROB_NORM_L2, v, m);
    radius = 2 * r;
    fine(rob_sampler_curve(ctx, sampler, query, &radius, 1, logp, 3));
    /* P(v.n >= 1/2) on the sphere of R^6: 1/2 - (1/pi)(asin t + ...) in closed form:
     * density proportional to (1 - t^2)^{3/2} */
    double sum = 0, all = 0;
    for (int k = 0; k < 20000; k++) {
        double t = -1 + (k + 0.5) / 10000, density = pow(1 - t * t, 1.5);
        all += density;
        if (t >= 0.5) sum += density;
    }
    /* the interval errs once in 1e5 */
    ck_assert(exp(logp[1]) <= sum / all && sum / all <= exp(logp[2]));
    close_sampler();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("smooth");
    TCase *c = tcase_create("smooth");
    tcase_add_loop_test(c, affine_models_have_the_closed_form, 0, 2);
    tcase_add_test(c, even_votes_abstain);
    tcase_add_test(c, bits_repeat_and_refusals_are_clear);
    tcase_add_test(c, curves_live_on_the_regions_sphere);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
