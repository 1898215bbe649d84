/* condition.c -- condition numbers: closed forms, sums, differences in the weights,
 * intervals. */
#include "harness.h"
#include "geometry.h"

#include "condition/condition.h"
#include <robust/attack.h>
#include <robust/bound.h>

enum { T = 5, D = 2, N = T * D };
static rob_ctx *ctx;
static rob_model *model;
static rob_query *query;
static rob_condition *condition;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_condition_create(ctx, &condition), ROB_OK);
    model = NULL;
    query = NULL;
}

static void stop(void)
{
    rob_condition_free(condition);
    rob_query_free(query);
    rob_model_free(model);
    rob_ctx_free(ctx);
}

static void set(const char *name, double value)
{
    ck_assert_int_eq(rob_condition_set(ctx, condition, name, value), ROB_OK);
}

static void compute(void)
{
    ck_assert_msg(rob_condition_compute(ctx, condition, query) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
}

static double number(const char *what)
{
    double v;
    ck_assert_msg(rob_condition_get(ctx, condition, what, 0, &v, 1, NULL) == ROB_OK,
                  "%s", rob_ctx_error(ctx));
    return v;
}

static int64_t array(const char *what, double *out)
{
    int64_t count;
    ck_assert_msg(rob_condition_get(ctx, condition, what, 0, out, 200, &count)
                      == ROB_OK,
                  "%s", rob_ctx_error(ctx));
    return count;
}

/* ---- closed forms ---------------------------------------------------------------- */

/* Affine f in four classes. Every number is a product of norms over a margin; the
 * margin carries 100 * 64 eps (biases of 20, sums of 32), gradients 64 eps of theirs.
 */
START_TEST(affine_numbers_are_the_closed_forms)
{
    static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };
    static const int32_t duals[3] = { ROB_NORM_L2, ROB_NORM_L1, ROB_NORM_LINF };
    int p = _i % 3;
    bool masked = _i >= 3;
    double x[N], w[N], f[4], u[N], least = INFINITY, dot = 0, whole = 0,
                                   step[T] = { 0 }, feature[D] = { 0 }, got[N];
    uint8_t mask[N];
    model = affine_model(ctx, D, 4);
    test_series(x, N, (uint64_t)_i);
    query = query_of(ctx, model, x, T);
    for (int i = 0; i < N; i++) {
        mask[i] = !masked || i % 3 != 1;
        u[i] = mask[i] * x[i];
    }
    ck_assert_int_eq(rob_query_set_ball(ctx, query, norms[p], INFINITY), ROB_OK);
    if (masked) ck_assert_int_eq(rob_query_set_mask(ctx, query, 0, mask, N), ROB_OK);
    ck_assert_int_eq(rob_model_predict(ctx, model, x, T, f, 4), ROB_OK);
    int64_t c = rob_priv_argmax(f, 4);
    for (int k = 0; k < 4; k++) {
        if (k == c) continue;
        affine_row(model, c, k, T, w);
        double g = f[c] - f[k], sum = 0;
        for (int i = 0; i < N; i++) sum += fabs(u[i]) * fabs(w[i] *= mask[i]);
        least = fmin(least, g);
        dot = fmax(dot, sum / g);
        whole = fmax(whole,
                     rob_priv_norm(norms[p], u, N) * rob_priv_norm(duals[p], w, N) / g);
        for (int t = 0; t < T; t++)
            step[t] = fmax(step[t], rob_priv_norm(norms[p], u + t * D, D)
                                        * rob_priv_norm(duals[p], w + t * D, D) / g);
        for (int j = 0; j < D; j++) {
            double a[T], b[T];
            for (int t = 0; t < T; t++) {
                a[t] = u[t * D + j];
                b[t] = w[t * D + j];
            }
            feature[j] = fmax(feature[j], rob_priv_norm(norms[p], a, T)
                                              * rob_priv_norm(duals[p], b, T) / g);
        }
    }
    double tol = 4 * 100 * 64 * 0x1p-52 / fmin(least, 1);
    compute();
    ck_assert_double_eq_tol(number("relative"), whole, tol * whole);
    ck_assert_double_eq_tol(number("componentwise"), dot, tol * dot);
    ck_assert_int_eq(array("steps", got), T);
    for (int t = 0; t < T; t++) ck_assert_double_eq_tol(got[t], step[t], tol * whole);
    ck_assert_int_eq(array("features", got), D);
    for (int j = 0; j < D; j++)
        ck_assert_double_eq_tol(got[j], feature[j], tol * whole);
    ck_assert_int_eq(rob_condition_steps(ctx, condition, query, 0, got, T, NULL),
                     ROB_OK);
    for (int t = 0; t < T; t++) ck_assert_double_eq_tol(got[t], step[t], tol * whole);
    if (p == 0) { /* affine: the order 1 distance is the distance */
        ck_assert_double_eq_tol(number("relative2"), whole, tol * whole);
        ck_assert_double_le(number("relative_lower"), whole * (1 + tol));
        ck_assert_double_ge(number("relative_lower"), whole * (1 - 2e-3));
        ck_assert_double_eq(number("projection"), 1);
    } else ck_assert(isnan(number("projection")));
    ck_assert_double_eq(number("relative_upper"), INFINITY);
}
END_TEST

/* One feature: |x_t| |J_t| summed over the steps of a two-class model is the
 * componentwise number; so is it feature by feature when there is but one step. Equal
 * up to the rounding of T terms. */
START_TEST(steps_sum_to_the_whole)
{
    double x[T], step[T], sum = 0, twice[2];
    model = test_model(ctx, ROB_KIND_LSTM, 1, 5, 2, ROB_READOUT_MEAN, ROB_F64, 1);
    test_series(x, T, 4);
    query = query_of(ctx, model, x, T);
    set("projection", 0);
    compute();
    ck_assert_int_eq(array("steps", step), T);
    for (int t = 0; t < T; t++) sum += step[t];
    ck_assert_double_eq_tol(sum, number("componentwise"), 4 * T * 0x1p-52 * sum);
    ck_assert_double_le(number("relative"), sum * (1 + 1e-12) * T);
    rob_query_free(query);
    rob_model_free(model);
    model = test_model(ctx, ROB_KIND_GRU, 2, 5, 2, ROB_READOUT_MEAN, ROB_F64, 1);
    query = query_of(ctx, model, x, 1);
    compute();
    ck_assert_int_eq(array("features", twice), 2);
    ck_assert_double_eq_tol(twice[0] + twice[1], number("componentwise"),
                            16 * 0x1p-52 * (twice[0] + twice[1]));
}
END_TEST

/* Sphere from inside, second order: ||x||/(R - |x - a|) exactly; the nearest point
 * moves by 1/(1 - r/R). As the boundary suite has it: k eps, k <= 16 N times the sums'
 * size. */
START_TEST(a_sphere_at_second_order)
{
    double radius = 2, want = 1.3, x[N], size = 0, tol = 64 * N * 0x1p-52 * 16;
    quadratic k = sphere(T, D, radius, -1);
    test_series(k.a, N, 3);
    test_series(x, N, 4);
    for (int i = 0; i < N; i++) size += x[i] * x[i];
    for (int i = 0; i < N; i++) x[i] = k.a[i] + x[i] / sqrt(size) * want;
    model = quadratic_model(ctx, &k);
    query = query_of(ctx, model, x, T);
    compute();
    double r = radius - want, expect = length(x, N) / r;
    ck_assert_double_eq_tol(number("relative2"), expect, tol * expect);
    ck_assert_double_eq_tol(number("projection"), 1 / (1 - r / radius), tol);
    ck_assert_double_eq_tol(number("size"), length(x, N), tol);
    double w[4];
    ck_assert_int_eq(array("weights", w), 0); /* a model without tensors */
}
END_TEST

/* ---- weights --------------------------------------------------------------------- */

static double margin_with(const rob_model *m, const double *x, const char *name,
                          const double *values, int64_t count)
{
    rob_model *other;
    double f[2];
    ck_assert_int_eq(rob_model_with(ctx, m, name, values, count, &other), ROB_OK);
    ck_assert_int_eq(rob_model_predict(ctx, other, x, T, f, 2), ROB_OK);
    rob_model_free(other);
    return fabs(f[0] - f[1]);
}

/* Every weight's derivative of the margin by central differences, h = 1e-5: an error of
 * h^2 times third derivatives of order 10, and eps/h of rounding: 1e-8 a weight. */
START_TEST(weights_agree_with_differences)
{
    static const int32_t kinds[3] = { ROB_KIND_LSTM, ROB_KIND_RNN_TANH, ROB_KIND_GRU };
    double x[N], got[16], margin, all = 0, slope = 0, h = 1e-5;
    model = test_model(ctx, kinds[_i], D, 3, 2, ROB_READOUT_LAST, ROB_F64, 1);
    test_series(x, N, 5);
    query = query_of(ctx, model, x, T);
    set("projection", 0);
    compute();
    ck_assert_int_eq(array("weights", got), 1 + model->parameters);
    ck_assert_int_eq(rob_query_get(ctx, query, "margin", 0, &margin, 1, NULL), ROB_OK);
    for (int k = 0; k < model->parameters; k++) {
        const rob_parameter *p = &model->parameter[k];
        int64_t count = rob_priv_shape_size(&p->tensor->shape);
        double v[64], size = 0, mine = 0;
        memcpy(v, p->tensor->data, (size_t)count * sizeof *v);
        for (int64_t i = 0; i < count; i++) {
            double keep = v[i];
            v[i] = keep + h;
            double up = margin_with(model, x, p->name, v, count);
            v[i] = keep - h;
            double down = margin_with(model, x, p->name, v, count);
            v[i] = keep;
            mine += (up - down) / (2 * h) * ((up - down) / (2 * h));
            size += keep * keep;
        }
        ck_assert_double_eq_tol(got[1 + k], sqrt(size * mine) / margin,
                                1e-8 * sqrt((double)count * size) / margin);
        all += size;
        slope += mine;
    }
    ck_assert_double_eq_tol(got[0], sqrt(all * slope) / margin,
                            1e-8 * 20 * sqrt(all) / margin);
}
END_TEST

/* ---- intervals, units, refusals -------------------------------------------------- */

START_TEST(the_interval_comes_from_the_sandwich)
{
    double x[N], lower, upper, size;
    rob_bound *bound;
    model = test_model(ctx, ROB_KIND_LSTM, D, 4, 2, ROB_READOUT_LAST, ROB_F64, 0.8);
    test_series(x, N, 5);
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_bound_create(ctx, "crown", &bound), ROB_OK);
    ck_assert_int_eq(rob_bound_radius(ctx, bound, query, &lower, 1), ROB_OK);
    rob_bound_free(bound);
    double best[N];
    ck_assert_int_eq(rob_query_get(ctx, query, "best_point", 0, best, N, NULL),
                     ROB_EARGUMENT); /* no attack yet */
    compute();
    ck_assert_int_eq(rob_query_get(ctx, query, "best", 0, &upper, 1, NULL), ROB_OK);
    ck_assert_int_eq(rob_query_get(ctx, query, "best_point", 0, best, N, NULL), ROB_OK);
    for (int i = 0; i < N; i++) best[i] -= x[i];
    ck_assert_double_eq_tol(length(best, N), upper, 8 * 0x1p-52 * upper);
    size = length(x, N);
    ck_assert_double_gt(lower, 0);
    ck_assert_double_eq_tol(number("relative_upper"), size / lower,
                            1e-14 * size / lower);
    ck_assert_double_eq_tol(number("relative_lower"), size / upper,
                            1e-14 * size / upper);
    ck_assert_double_le(number("relative_lower"), number("relative_upper"));
    ck_assert_int_eq(rob_query_get(ctx, query, "proved", 0, &upper, 1, NULL), ROB_OK);
    ck_assert_double_eq(upper, lower);
    /* another mask: neither is known any more */
    uint8_t mask[N] = { 1 };
    ck_assert_int_eq(rob_query_set_mask(ctx, query, 0, mask, N), ROB_OK);
    ck_assert_int_eq(rob_query_get(ctx, query, "proved", 0, &upper, 1, NULL), ROB_OK);
    ck_assert_double_eq(upper, 0);
}
END_TEST

/* x -> (x - 1)/4 in the model: in model units u = (x - 1)/4 and distances are 1/4. */
START_TEST(units_are_the_querys)
{
    double x[N], u[N], one[T], two[T], relative, second;
    model = test_model(ctx, ROB_KIND_LSTM, D, 4, 2, ROB_READOUT_LAST, ROB_F64, 0.8);
    test_series(u, N, 5);
    for (int i = 0; i < N; i++) x[i] = 4 * u[i] + 1;
    query = query_of(ctx, model, u, T);
    compute();
    relative = number("relative");
    second = number("relative2");
    array("steps", one);
    rob_query_free(query);
    model->recipe.input_shift = 1;
    model->recipe.input_scale = 4;
    query = query_of(ctx, model, x, T);
    compute();
    /* (x - 1)/4 is u to an ulp of x: 8 eps, which the network's slopes hand on */
    ck_assert_double_eq_tol(number("relative"), relative, 1e-12 * relative);
    ck_assert_double_eq_tol(number("relative2"), second, 1e-11 * second);
    array("steps", two);
    for (int t = 0; t < T; t++)
        ck_assert_double_eq_tol(one[t], two[t], 1e-12 * relative);
    ck_assert_int_eq(rob_query_set_units(ctx, query, ROB_UNITS_DATA), ROB_OK);
    compute();
    ck_assert_double_eq_tol(number("relative"),
                            relative / length(u, N) * length(x, N) / 4,
                            1e-11 * relative);
}
END_TEST

START_TEST(outputs_of_a_forecast)
{
    double x[N], f, c[2] = { 1, -1 }, b[2], w[N];
    int32_t group[2] = { 0, 1 };
    model = affine_model(ctx, D, 1);
    test_series(x, N, 2);
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_model_predict(ctx, model, x, T, &f, 1), ROB_OK);
    b[0] = -(f - 0.5);
    b[1] = f + 0.25;
    ck_assert_int_eq(rob_query_set_rows(ctx, query, c, b, group, 2), ROB_OK);
    compute();
    double v[D] = { 0 };
    for (int j = 0; j < D; j++)
        for (int h = 0; h < 4; h++)
            v[j] += ((double *)model->parameter[HEAD_W].tensor->data)[h]
                    * ((double *)model->parameter[W_IH].tensor->data)[h * D + j];
    for (int t = 0; t < T; t++)
        for (int j = 0; j < D; j++) w[t * D + j] = v[j] / (1 << (T - 1 - t));
    double expect = length(w, N) * length(x, N), tol = 4 * 100 * 64 * 0x1p-52;
    ck_assert_double_eq_tol(number("output"), expect / fabs(f),
                            tol * expect / fabs(f) / fmin(1, fabs(f)));
    ck_assert_double_eq_tol(number("relative"), expect / 0.25,
                            tol * expect / 0.25 / 0.25);
}
END_TEST

START_TEST(refusals_wrong_series_and_cancel)
{
    double x[N], d = -3;
    int64_t count;
    model = test_model(ctx, ROB_KIND_LSTM, D, 4, 2, ROB_READOUT_LAST, ROB_F64, 0.8);
    test_series(x, N, 5);
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_condition_steps(ctx, condition, query, 1, &d, 1, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_condition_steps(ctx, condition, query, 0, &d, 1, NULL),
                     ROB_ESHAPE);
    ck_assert_double_eq(d, -3);
    ck_assert_int_eq(rob_condition_steps(ctx, condition, query, 0, NULL, 0, &count),
                     ROB_OK);
    ck_assert_int_eq(count, T);
    ck_assert_int_eq(rob_condition_compute(ctx, condition, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_condition_compute(NULL, condition, query), ROB_EARGUMENT);
    ck_assert_int_eq(rob_condition_set(ctx, condition, "order", 3), ROB_EDOMAIN);
    compute();
    double before = number("relative");
    rob_ctx_cancel(ctx);
    ck_assert_int_eq(rob_condition_compute(ctx, condition, query), ROB_STOPPED);
    ck_assert(isnan(number("relative")));
    compute();
    ck_assert_double_eq(number("relative"), before);
    ck_assert_int_eq(rob_condition_get(ctx, condition, "nothing", 0, &d, 1, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_get(ctx, query, "prediction", 0, &d, 1, NULL), ROB_OK);
    ck_assert_int_eq(rob_query_replace(ctx, query, 0, x, T, 1 - (int64_t)d), ROB_OK);
    ck_assert_int_eq(rob_query_set_reference(ctx, query, ROB_REFERENCE_LABEL), ROB_OK);
    compute();
    ck_assert_double_eq(number("relative"), INFINITY);
    ck_assert_double_eq(number("relative_lower"), INFINITY);
    ck_assert_double_eq(number("componentwise"), INFINITY);
}
END_TEST

START_TEST(threads_do_not_show)
{
    double x[N], one[3], two[3], wone[16], wtwo[16];
    model = test_model(ctx, ROB_KIND_GRU, D, 4, 2, ROB_READOUT_LAST, ROB_F64, 1);
    for (int pass = 0; pass < 2; pass++) {
        double *to = pass ? two : one;
        rob_query_free(query);
        test_series(x, N, 5);
        query = query_of(ctx, model, x, T);
        ck_assert_int_eq(rob_ctx_set_threads(ctx, pass ? 3 : 1), ROB_OK);
        compute();
        to[0] = number("relative");
        to[1] = number("relative2");
        to[2] = number("projection");
        array("weights", pass ? wtwo : wone);
    }
    ck_assert_mem_eq(one, two, sizeof one);
    ck_assert_mem_eq(wone, wtwo, (size_t)(1 + model->parameters) * sizeof *wone);
}
END_TEST

START_TEST(memory_may_run_out)
{
    counting c = { .left = -1 };
    double x[3] = { 0.2, -0.1, 0.4 }, d, want;
    rob_ctx *mine;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &mine),
                     ROB_OK);
    model = test_model(mine, ROB_KIND_LSTM, 1, 3, 3, ROB_READOUT_LAST, ROB_F64, 1.2);
    query = query_of(mine, model, x, 3);
    rob_condition *k;
    ck_assert_int_eq(rob_condition_create(mine, &k), ROB_OK);
    ck_assert_int_eq(rob_condition_compute(mine, k, query), ROB_OK);
    ck_assert_int_eq(rob_condition_get(mine, k, "relative2", 0, &want, 1, NULL),
                     ROB_OK);
    int64_t live = c.live, before = c.asked;
    ck_assert_int_eq(rob_condition_compute(mine, k, query), ROB_OK);
    int64_t requests = c.asked - before, step = rob_long() ? 1 : 1 + requests / 60;
    for (int64_t n = 0; n < requests; n += step) {
        c.left = n;
        rob_status status = rob_condition_compute(mine, k, query);
        c.left = -1;
        ck_assert_msg(status == ROB_EMEMORY || status == ROB_OK, "request %lld: %d",
                      (long long)n, status);
        ck_assert_int_eq(rob_condition_get(mine, k, "relative2", 0, &d, 1, NULL),
                         ROB_OK);
        ck_assert_double_eq(d, want);
        ck_assert_int_eq(c.live, live);
        double steps[3];
        c.left = n;
        status = rob_condition_steps(mine, k, query, 0, steps, 3, NULL);
        c.left = -1;
        ck_assert(status == ROB_EMEMORY || status == ROB_OK);
        ck_assert_int_eq(c.live, live);
    }
    rob_condition_free(k);
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
    Suite *s = suite_create("condition");
    TCase *c = tcase_create("condition");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, affine_numbers_are_the_closed_forms, 0, 6);
    tcase_add_test(c, steps_sum_to_the_whole);
    tcase_add_test(c, a_sphere_at_second_order);
    tcase_add_loop_test(c, weights_agree_with_differences, 0, 3);
    tcase_add_test(c, the_interval_comes_from_the_sandwich);
    tcase_add_test(c, units_are_the_querys);
    tcase_add_test(c, outputs_of_a_forecast);
    tcase_add_test(c, refusals_wrong_series_and_cancel);
    tcase_add_test(c, threads_do_not_show);
    tcase_add_test(c, memory_may_run_out);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
