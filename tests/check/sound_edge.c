/* sound_edge.c -- proofs at the ends of the number line and of the interface: radii and
 * series of 1e300 and of 1e-310, weights whose products overflow or vanish, units,
 * callbacks. Truth is arithmetic at 200 bits, whose exponents do not end there. */
#include "bound/solve.h"
#include "check/multiple.h"

#include <check.h>
#include "check/harness.h"

#include <fenv.h>

typedef struct edge {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    rob_bound *bound;
    double x[64];
    int64_t T, D;
} edge;

static edge edge_open(rob_ctx *ctx, rob_model *m, int64_t T, double size)
{
    edge e = {.ctx = ctx, .model = m, .T = T, .D = m->recipe.features};
    rob_random r = rob_priv_random(5, 1);
    for (int64_t i = 0; i < T * e.D; i++) e.x[i] = size * rob_priv_normal(&r);
    ck_assert_int_eq(rob_query_create(ctx, m, &e.query), ROB_OK);
    ck_assert_int_eq(rob_query_add(ctx, e.query, e.x, T, -1), ROB_OK);
    ck_assert_int_eq(rob_bound_create(ctx, "crown", &e.bound), ROB_OK);
    return e;
}

static void edge_close(edge *e)
{
    rob_bound_free(e->bound);
    rob_query_free(e->query);
    rob_model_free(e->model);
    rob_ctx_free(e->ctx);
}

static rob_ctx *new_ctx(void)
{
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    return ctx;
}

/* ---- units ----------------------------------------------------------------------- */

/* The numbers of both units speak of the same ball, never of a larger one: with
 * scale s, L s <= the radius certified <= L s (1 + 2^-49). */
START_TEST(units_never_enlarge_a_certified_ball)
{
    static const double scales[] = {3, -0.1, 1e10, 7e-9, 1.7e308, 1 - 0x1p-53};
    for (int64_t k = 0; k < COUNT_OF(scales); k++) {
        rob_ctx *ctx = new_ctx();
        rob_model *m = random_model(ctx, ROB_KIND_LSTM, 1, ROB_READOUT_LAST, 2, 4, 2, 1,
                                    3, false);
        m->recipe.input_scale = scales[k];
        edge e = edge_open(ctx, m, 3, scales[k] > 1e300 ? 1e307 : fabs(scales[k]));
        double lower;
        fesetround(k % 2 ? FE_UPWARD : FE_DOWNWARD);
        ck_assert_int_eq(rob_bound_radius(ctx, e.bound, e.query, &lower, 1), ROB_OK);
        fesetround(FE_TONEAREST);
        mpfr_t s;
        mpfr_init2(s, EXACT_BITS);
        mpfr_set_d(s, fabs(scales[k]), MPFR_RNDN);
        mpfr_mul_d(s, s, lower, MPFR_RNDN);
        ck_assert(lower > 0 && isfinite(lower));
        ck_assert_msg(mpfr_cmp_d(s, e.bound->answer[0].proved) <= 0, "scale %g",
                      scales[k]);
        ck_assert_msg(mpfr_cmp_d(s, e.bound->answer[0].proved * (1 - 0x1p-49)) >= 0,
                      "scale %g", scales[k]);
        ck_assert_double_le(e.query->proved[0], e.bound->answer[0].proved);
        mpfr_clear(s);
        edge_close(&e);
    }
}
END_TEST

/* ---- callbacks ------------------------------------------------------------------- */

typedef struct heard { int32_t calls, nearest; } heard;

static int32_t listen(void *user, const char *stage, int64_t done, int64_t total)
{
    heard *h = user;
    (void)stage, (void)done, (void)total;
    h->calls++;
    volatile double one = 1, tiny = 0x1p-60;     /* fegetround may not ask this unit */
    h->nearest += one + tiny == 1;
    return 0;
}

/* The host's callback runs in the host's rounding mode, also from within a proof. */
START_TEST(callbacks_run_in_the_hosts_environment)
{
    rob_ctx *ctx = new_ctx();
    edge e = edge_open(ctx, random_model(ctx, ROB_KIND_LSTM, 1, ROB_READOUT_LAST, 2, 4,
                                         2, 1, 3, false), 5, 1);
    heard h = {0, 0};
    double plain, lower;
    ck_assert_int_eq(rob_query_set_ball(ctx, e.query, ROB_NORM_L2, 0.01), ROB_OK);
    ck_assert_int_eq(rob_bound_margin(ctx, e.bound, e.query, &plain, 1), ROB_OK);
    ck_assert_int_eq(rob_ctx_set_progress(ctx, listen, &h), ROB_OK);
    fesetround(FE_UPWARD);
    rob_status status = rob_bound_margin(ctx, e.bound, e.query, &lower, 1);
    int mode = fegetround();
    fesetround(FE_TONEAREST);
    ck_assert_int_eq(status, ROB_OK);
    ck_assert_int_eq(mode, FE_UPWARD);
    ck_assert_int_gt(h.calls, 5);
    ck_assert_int_eq(h.nearest, 0);
    ck_assert(plain == lower);
    edge_close(&e);
}
END_TEST

/* ---- numbers at the ends --------------------------------------------------------- */

static void check_point(edge *e, const double *p, double proved, const char *what)
{
    double truth = exact_margin(e->model, p, e->T, e->query->cases[0].reference);
    ck_assert_msg(proved <= truth, "%s: proved %.17g, exact %.17g", what, proved,
                  truth);
}

static void check_edge(edge *e, int32_t norm, double eps, const char *what)
{
    int64_t n = e->T * e->D;
    double p[64], lower;
    ck_assert_int_eq(rob_query_set_ball(e->ctx, e->query, norm, eps), ROB_OK);
    rob_status status = rob_bound_margin(e->ctx, e->bound, e->query, &lower, 1);
    if (status == ROB_ENUMERIC) return;
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(e->ctx));
    ck_assert(!isnan(lower) && lower < INFINITY);
    check_point(e, e->x, lower, what);
    for (int64_t k = 0; k < 2 * n; k++) {
        memcpy(p, e->x, sizeof p);
        p[k / 2] += k % 2 ? eps * (1 - 0x1p-40) : -eps * (1 - 0x1p-40);
        if (isfinite(p[k / 2])) check_point(e, p, lower, what);
    }
}

static const double SIZES[] = {1e-318, 1e-300, 1e-150, 1e-30, 1, 1e30, 1e150};
static const double RADII[] = {0, 5e-324, 1e-310, 1e-200, 1e-20, 1e-3, 1, 1e20, 1e300};

static rob_model *sized_model(rob_ctx *ctx, int32_t kind, double size)
{
    rob_recipe r = {.kind = kind, .layers = 1, .readout = ROB_READOUT_MEAN, .hidden = 3,
                    .features = 2, .outputs = 2, .input_scale = 1, .dtype = ROB_F64,
                    .head = "fc", .body = "rnn"};
    rob_model *m;
    ck_assert_int_eq(rob_priv_model_make(ctx, &r, &m), ROB_OK);
    rob_random random = rob_priv_random(4, 3);
    for (int32_t k = 0; k < m->parameters; k++) {
        const rob_tensor *t = m->parameter[k].tensor;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            ((double *)t->data)[i] =
                (k == 1 ? fmin(size, 1) : size) * (2 * rob_priv_uniform(&random) - 1);
    }
    return m;
}

START_TEST(ends_of_the_number_line)
{
    static const int32_t kinds[] = {ROB_KIND_RNN_TANH, ROB_KIND_RNN_RELU,
                                    ROB_KIND_LSTM};
    static const int32_t norms[] = {ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1};
    static const double series[] = {0, 1e-310, 1, 1e300};
    for (int64_t w = 0; w < COUNT_OF(SIZES); w++)
        for (int64_t z = 0; z < COUNT_OF(series); z++) {
            rob_ctx *ctx = new_ctx();
            rob_model *m = sized_model(ctx, kinds[_i], SIZES[w]);
            edge e = edge_open(ctx, m, 2, series[z]);
            for (int64_t k = 0; k < COUNT_OF(RADII); k++) {
                char what[96];
                snprintf(what, sizeof what, "kind %d weights %g x %g eps %g", (int)_i,
                         SIZES[w], series[z], RADII[k]);
                check_edge(&e, norms[k % 3], RADII[k], what);
            }
            edge_close(&e);
        }
}
END_TEST

/* ---- planted counterexamples ----------------------------------------------------- */

/* Two layers of one relu unit: the first adds up w . x_t + 64, always active, the
 * second is relu(h_1 - theta), so f_0 - f_1 = 1 - k relu(w . sum_t x_t - c): flat at x,
 * and failing only in a cap of the ball around one point. */
static rob_model *planted_model(rob_ctx *ctx, int64_t T, int64_t D, const double *w,
                                double c, double k)
{
    rob_recipe r = {.kind = ROB_KIND_RNN_RELU, .layers = 2, .features = D, .hidden = 1,
                    .outputs = 2, .input_scale = 1, .dtype = ROB_F64, .head = "fc",
                    .body = "rnn"};
    rob_model *m;
    ck_assert_int_eq(rob_priv_model_make(ctx, &r, &m), ROB_OK);
    double *const *data[10];
    for (int32_t i = 0; i < 10; i++)
        data[i] = (double *const *)&m->parameter[i].tensor->data;
    memcpy(*data[0], w, (size_t)D * sizeof *w);
    **data[1] = 1, **data[2] = 64;
    **data[4] = 1, **data[6] = -64 * (double)T - c;
    (*data[8])[1] = k, **data[9] = 1;
    return m;
}

/* The point of the ball where w . sum x_t is largest, a little inside. */
static void planted_point(const edge *e, const double *w, int32_t norm, double eps,
                          double *p)
{
    int64_t n = e->T * e->D, most = 0;
    double square = 0;
    for (int64_t i = 0; i < n; i++) {
        square += w[i % e->D] * w[i % e->D];
        if (fabs(w[i % e->D]) > fabs(w[most % e->D])) most = i;
    }
    for (int64_t i = 0; i < n; i++) {
        double g = w[i % e->D], by = i == most ? copysign(eps, g) : 0;
        if (norm == ROB_NORM_LINF) by = copysign(eps, g);
        if (norm == ROB_NORM_L2) by = eps * g / sqrt(square);
        p[i] = e->x[i] + by * (1 - 0x1p-46);
    }
}

/* The chord of a relu meets it at the end of its range, so the bound is attained at the
 * planted point: proved and exact differ by rounding, in balls of any size. */
static void check_planted(uint64_t seed, int32_t norm)
{
    rob_random r = rob_priv_random(seed, 8);
    int64_t T = 1 + rob_priv_below(&r, 6), D = 1 + rob_priv_below(&r, 3);
    double w[3], x[64], p[64], reach = 0, at = 0, lower;
    double eps = 4 * rob_priv_uniform(&r) + 0.1, k = 1 + 9 * rob_priv_uniform(&r);
    for (int i = 0; i < 3; i++) w[i] = rob_priv_normal(&r);
    rob_ctx *ctx = new_ctx();
    edge plain = {.T = T, .D = D};
    planted_point(&plain, w, norm, eps, p);
    for (int64_t i = 0; i < T * D; i++) reach += w[i % D] * p[i];
    for (int64_t i = 0; i < T * D; i++) at += w[i % D] * (x[i] = rob_priv_normal(&r));
    double share = 1 + 0.5 * rob_priv_uniform(&r);
    rob_model *m = planted_model(ctx, T, D, w, at + reach - share / k, k);
    edge e = edge_open(ctx, m, T, 0);
    ck_assert_int_eq(rob_query_replace(ctx, e.query, 0, x, T, -1), ROB_OK);
    memcpy(e.x, x, sizeof x);
    ck_assert_int_eq(rob_query_set_ball(ctx, e.query, norm, eps), ROB_OK);
    ck_assert_int_eq(rob_bound_margin(ctx, e.bound, e.query, &lower, 1), ROB_OK);
    planted_point(&e, w, norm, eps, p);
    /* where the cap holds x itself the other class is the reference */
    if (e.query->cases[0].reference == 0) {
        double truth = exact_margin(e.model, p, T, 0);
        ck_assert_double_le(truth, 1e-9);
        ck_assert_msg(lower <= truth, "seed %d norm %d: proved %.17g, planted %.17g",
                      (int)seed, norm, lower, truth);
        /* sums of at most 500, slope at most 10: 1e3 u k 500 */
        ck_assert_double_ge(lower, truth - 1e-9);
        ck_assert_int_eq(rob_query_set_ball(ctx, e.query, norm, INFINITY), ROB_OK);
        ck_assert_int_eq(rob_bound_radius(ctx, e.bound, e.query, &lower, 1), ROB_OK);
        planted_point(&e, w, norm, lower, p);
        ck_assert_double_gt(exact_margin(e.model, p, T, 0), 0);
        ck_assert(lower > 0 && lower < eps);
    }
    edge_close(&e);
}

START_TEST(planted_counterexamples_are_not_certified)
{
    static const int32_t norms[] = {ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1};
    for (uint64_t seed = 0; seed < (rob_long() ? 20000 : 150); seed++)
        check_planted(seed, norms[_i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sound_edge");
    TCase *c = tcase_create("edges");
    tcase_add_test(c, units_never_enlarge_a_certified_ball);
    tcase_add_test(c, callbacks_run_in_the_hosts_environment);
    tcase_add_loop_test(c, ends_of_the_number_line, 0, 3);
    tcase_add_loop_test(c, planted_counterexamples_are_not_certified, 0, 3);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
