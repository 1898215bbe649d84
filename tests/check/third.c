/* third.c -- estimates of order 3: roots of cubics, models that are cubics, products of
 * third order against differences.
 *
 * The model  f_0 = t0 + sum_i j_i y_i + l_i y_i^2/2 + c_i y_i^3/6,  f_1 = 0 has
 * T[v,v,v] = sum c_i v_i^3, whose maximum over the unit sphere is max |c_i|.
 */
#include "harness.h"

#include "geometry.h"
#include "poor.h"

#include "boundary/boundary.h"

static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

/* ---- roots ----------------------------------------------------------------------- */

/* (1 - a/r)(1 - a/s)(1 - a/q): coefficients carry 8 roundings; the root's error is
 * theirs over the slope there, which the factors give. */
START_TEST(roots_of_products_are_found)
{
    rob_random z = rob_priv_random(3, (uint64_t)_i);
    double r[3], least = INFINITY, slope = 1, size = 0;
    for (int k = 0; k < 3; k++) {
        r[k] = exp(3 * rob_priv_normal(&z)) * (rob_priv_uniform(&z) < 0.5 ? -1 : 1);
        if (r[k] > 0) least = fmin(least, r[k]);
    }
    const double c[4] = { 1, -1 / r[0] - 1 / r[1] - 1 / r[2],
                          1 / (r[0] * r[1]) + 1 / (r[0] * r[2]) + 1 / (r[1] * r[2]),
                          -1 / (r[0] * r[1] * r[2]) };
    double found = rob_priv_cubic_root(c);
    if (isinf(least)) {
        ck_assert(isinf(found));
        return;
    }
    for (int k = 0; k < 3; k++)
        slope *= r[k] == least ? 1 / least : fabs(1 - least / r[k]);
    for (int k = 0; k < 4; k++) size += pow(least, k) *
        (fabs(c[k]) + (k == 1 ? fabs(1 / r[0]) + fabs(1 / r[1]) + fabs(1 / r[2]) : 0)
         + (k == 2 ? fabs(1 / (r[0] * r[1])) + fabs(1 / (r[0] * r[2]))
                         + fabs(1 / (r[1] * r[2])) : 0));
    ck_assert_double_eq_tol(found, least, 16 * 0x1p-52 * size / slope + 4e-16 * least);
}
END_TEST

START_TEST(edges_of_cubics)
{
    static const struct edge {
        double c[4], root;
    } EDGE[] = {
        { { 1, 0, 0, 0 }, INFINITY },    { { 1, -2, 0, 0 }, 0.5 },
        { { 1, 1, 0, 0 }, INFINITY },    { { 4, 0, -1, 0 }, 2 },
        { { 8, 0, 0, -1 }, 2 },          { { 1, -2, 1, 0 }, 1 },
        { { 1, -1, 1, 0 }, INFINITY },   { { 1, 3, 3, 1 }, INFINITY },
        { { 1, -3, 3, -1 }, 1 },         { { 1e-300, -1, 0, 0 }, 1e-300 },
        { { 1, -1e-200, 0, 0 }, 1e200 }, { { 1, 5, -6, 0 }, 1 },
    };
    for (size_t k = 0; k < sizeof EDGE / sizeof *EDGE; k++) {
        double a = rob_priv_cubic_root(EDGE[k].c);
        if (isinf(EDGE[k].root)) ck_assert_msg(isinf(a), "cubic %d: %g", (int)k, a);
        /* a triple root is where 1 + a few ulp has a root 1 + (few ulp)^(1/3) */
        else ck_assert_msg(fabs(a / EDGE[k].root - 1) < 1e-4, "cubic %d: %g", (int)k, a);
    }
}
END_TEST

/* ---- a model that is a cubic ------------------------------------------------------ */

typedef struct cubic {
    quadratic low;
    double third[64];
} cubic;

static rob_id emit_cubic(const rob_model *model, rob_graph *g, rob_id x, rob_id mask)
{
    const cubic *k = model->user;
    int64_t rows = rob_priv_shape(g, x).dim[1];
    rob_model low = *model;
    low.user = &k->low;
    rob_id both = emit_quadratic(&low, g, x, mask);
    rob_id y = g_sub(g, x, series_constant(g, &k->low, k->low.a));
    rob_id cube = g_affine(g, g_mul(g, g_unary(g, "square", y), y), 1.0 / 6, 0);
    cube = g_mul(g, cube, series_constant(g, &k->low, k->third));
    rob_id sum = g_reshape(g, g_sum_to(g, cube, rob_priv_shape3(1, rows, 1)),
                           rob_priv_shape2(rows, 1));
    const rob_id part[2] = { sum, rob_priv_fill(g, rob_priv_shape2(rows, 1), 0) };
    return g_add(g, both, g_concat(g, part, 2, 1));
}

static double number(rob_boundary *b, const char *name)
{
    double v;
    ck_assert_int_eq(rob_boundary_get(ctx, b, name, 0, &v, 1, NULL), ROB_OK);
    return v;
}

static rob_boundary *asked(const cubic *k, double order, double dense)
{
    rob_model *m;
    rob_boundary *b;
    double x[64] = { 0 };
    ck_assert_int_eq(
        rob_priv_model_custom(ctx, k->low.features, 2, emit_cubic, k, &m), ROB_OK);
    rob_query *q = query_of(ctx, m, x, k->low.steps);
    ck_assert_int_eq(rob_boundary_create(ctx, &b), ROB_OK);
    ck_assert_int_eq(rob_boundary_set(ctx, b, "order", order), ROB_OK);
    ck_assert_int_eq(rob_boundary_set(ctx, b, "dense", dense), ROB_OK);
    ck_assert_int_eq(rob_boundary_find(ctx, b, q, NULL, 0), ROB_OK);
    rob_query_free(q);
    rob_model_free(m);
    return b;
}

/* One number that may move: the model is the margin, so the upper estimate is the
 * distance, 0.5 for (1 - 2y)(1 + y/3)(1 + y/5): its crossings are 0.5, -3 and -5. */
START_TEST(one_number_is_exact)
{
    cubic k = { .low = { .steps = 1, .features = 1, .t0 = 1 } };
    k.low.j[0] = -2 + 1.0 / 3 + 1.0 / 5;
    k.low.lambda[0] = 2 * (-2.0 / 3 - 2.0 / 5 + 1.0 / 15);
    k.third[0] = 6 * (-2.0 / 15);
    rob_boundary *b = asked(&k, 3, 512);
    /* a dozen roundings of terms of size 2 against a slope of 2 */
    ck_assert_double_eq_tol(number(b, "estimate3_upper"), 0.5, 32 * 0x1p-52);
    ck_assert_double_eq_tol(number(b, "third_derivative"), 0.8, 32 * 0x1p-52);
    ck_assert_double_le(number(b, "estimate3_lower"),
                        number(b, "estimate3_upper") * (1 + 1e-14));
    rob_boundary_free(b);
}
END_TEST

START_TEST(tau_is_the_largest_entry)
{
    cubic k = { .low = { .steps = 3, .features = 2, .t0 = 0.5 } };
    double most = 0;
    rob_random z = rob_priv_random(5, (uint64_t)_i);
    for (int i = 0; i < 6; i++) {
        k.low.j[i] = rob_priv_normal(&z);
        k.low.lambda[i] = rob_priv_normal(&z);
        k.third[i] = rob_priv_normal(&z);
        most = fmax(most, fabs(k.third[i]));
    }
    rob_boundary *b = asked(&k, 3, _i % 2 ? 512 : 0);
    double tau = number(b, "third_derivative");
    /* the local maxima are the e_i, with |c_i|: stationary points of several entries are
     * saddles. The search ends when a step gains less than 1e-9 of the value; its steps
     * converge at least linearly by a half, so it is within a few of those 1e-9. */
    double nearest = INFINITY;
    for (int i = 0; i < 6; i++)
        nearest = fmin(nearest, fabs(tau - fabs(k.third[i])));
    ck_assert_msg(nearest <= 1e-8 * most, "tau %g is no |c_i|, off by %g", tau, nearest);
    ck_assert_double_le(tau, most * (1 + 1e-12));
    double low = number(b, "estimate3_lower"), up = number(b, "estimate3_upper");
    ck_assert(low > 0 && low <= up * (1 + 1e-12));
    ck_assert_double_le(number(b, "distance"), up * (1 + 1e-6));
    rob_boundary_free(b);
}
END_TEST

START_TEST(not_asked_not_answered)
{
    cubic k = { .low = { .steps = 2, .features = 1, .t0 = 1, .j = { -1, 1 } } };
    rob_boundary *b = asked(&k, 2, 512);
    ck_assert(isnan(number(b, "estimate3_lower")));
    ck_assert(isnan(number(b, "third_derivative")));
    rob_boundary_free(b);
    b = asked(&k, 3, 512); /* no third derivative: order 2's, which is order 1's */
    ck_assert(number(b, "third_derivative") == 0);
    ck_assert_double_eq_tol(number(b, "estimate3_lower"), sqrt(0.5), 8 * 0x1p-52);
    ck_assert_double_eq_tol(number(b, "estimate3_upper"), sqrt(0.5), 8 * 0x1p-52);
    rob_boundary_free(b);
}
END_TEST

/* ---- a network ------------------------------------------------------------------- */

/* T[v,v,.] against (H(x + e v) v - H(x - e v) v)/(2e): the difference has an error of
 * e^2/6 |fifth derivative| + rounding/e; with e = 1e-4, values of order 1 and H v good to
 * 1e-15 both are below 1e-8 and 1e-11 times a constant. */
START_TEST(products_are_derivatives_of_products)
{
    enum { T = 7, D = 2, N = T * D };
    static const int KIND[] = { ROB_KIND_LSTM, ROB_KIND_GRU, ROB_KIND_RNN_TANH };
    rob_model *m = test_model(ctx, KIND[_i], D, 5, 3, ROB_READOUT_LAST, ROB_F64, 2);
    rob_local *l;
    double x[N], y[N], v[N], c[3] = { 1, -1, 0.5 }, hv[N], tv[N], up[N], down[N], g[N];
    test_series(x, N, 4), test_series(v, N, 9);
    ck_assert_int_eq(rob_priv_local_create(ctx, m, T, false, &l), ROB_OK);
    ck_assert_int_eq(rob_priv_local_third(ctx, l), ROB_OK);
    rob_priv_local_third_place(l, x, c);
    rob_priv_local_third_product(l, v, hv, tv);
    for (int side = -1; side <= 1; side += 2) {
        for (int k = 0; k < N; k++) y[k] = x[k] + side * 1e-4 * v[k];
        rob_priv_local_place(l, y, NULL);
        rob_priv_local_gradient(l, c, g);
        rob_priv_local_product(l, v, side > 0 ? up : down);
    }
    double size = length(tv, N), off = 0;
    for (int k = 0; k < N; k++)
        off = fmax(off, fabs((up[k] - down[k]) / 2e-4 - tv[k]));
    ck_assert_msg(off <= 1e-6 * size, "%g of %g", off, size);
    ck_assert(size > 1e-6);
    rob_priv_local_free(l);
    rob_model_free(m);
}
END_TEST

static rob_status life(rob_ctx *c)
{
    static const quadratic k = { .steps = 2, .features = 1, .t0 = 1, .j = { -1, 1 },
                                 .lambda = { -1, 2 } };
    const double x[2] = { 0 };
    rob_status status;
    rob_model *m = NULL;
    rob_query *q = NULL;
    rob_boundary *b = NULL;
    TRY(rob_priv_model_custom(c, 1, 2, emit_quadratic, &k, &m));
    TRY(rob_query_create(c, m, &q));
    TRY(rob_query_add(c, q, x, 2, -1));
    TRY(rob_boundary_create(c, &b));
    TRY(rob_boundary_set(c, b, "order", 3));
    TRY(rob_boundary_find(c, b, q, NULL, 0));
done:
    rob_boundary_free(b);
    rob_query_free(q);
    rob_model_free(m);
    return status;
}

START_TEST(every_allocation_may_fail) { rob_live_poorly(life); }
END_TEST

int main(void)
{
    Suite *s = suite_create("third");
    TCase *t = tcase_create("third");
    tcase_add_checked_fixture(t, start, stop);
    suite_add_tcase(s, t);
    tcase_add_loop_test(t, roots_of_products_are_found, 0, 200);
    tcase_add_test(t, edges_of_cubics);
    tcase_add_test(t, one_number_is_exact);
    tcase_add_loop_test(t, tau_is_the_largest_entry, 0, 20);
    tcase_add_test(t, not_asked_not_answered);
    tcase_add_loop_test(t, products_are_derivatives_of_products, 0, 3);
    tcase_add_test(t, every_allocation_may_fail);
    return rob_run_suite(s);
}
