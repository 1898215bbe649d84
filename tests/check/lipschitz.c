/* lipschitz.c -- no two points of a ball differ by more than what was proved of gradients.
 *
 * Truth is arithmetic at 200 bits (precise.h), so
 *
 *     |row(p) - row(q)| <= K ||p - q||        p, q doubles in the ball
 *
 * needs no tolerance. q lies next to p where row is steepest, so the quotient is the dual
 * norm of the gradient at p to first order; p is random, a corner, and what a climb on the
 * quotient ends at. Affine networks have a closed form, small balls a limit.
 */
#include "bound/solve.h"
#include "check/precise.h"

#include <check.h>
#include "check/harness.h"
#include "check/models.h"
#include "check/recipes.h"
#include "check/poor.h"

/* ||p - q|| exactly, to 2^-190 */
static void distance(int32_t norm, const double *p, const double *q, mpfr_t d)
{
    mpfr_t t;
    mpfr_init2(t, EXACT_BITS);
    mpfr_set_zero(d, 1);
    for (int64_t i = 0; i < N; i++) {
        mpfr_set_d(t, p[i], MPFR_RNDN);
        mpfr_sub_d(t, t, q[i], MPFR_RNDN);
        mpfr_abs(t, t, MPFR_RNDN);
        if (norm == ROB_NORM_LINF) mpfr_max(d, d, t, MPFR_RNDN);
        if (norm == ROB_NORM_L2) mpfr_sqr(t, t, MPFR_RNDN);
        if (norm != ROB_NORM_LINF) mpfr_add(d, d, t, MPFR_RNDN);
    }
    if (norm == ROB_NORM_L2) mpfr_sqrt(d, d, MPFR_RNDN);
    mpfr_clear(t);
}

/* |row(p) - row(q)| / ||p - q||, 0 where they are one point */
static double quotient(const bench *b, int32_t norm, int64_t r, const double *p,
                       const double *q)
{
    mpfr_t f, g, d;
    mpfr_inits2(EXACT_BITS, f, g, d, (mpfr_ptr)0);
    row_at(b, r, p, f);
    row_at(b, r, q, g);
    distance(norm, p, q, d);
    mpfr_sub(f, f, g, MPFR_RNDN);
    mpfr_abs(f, f, MPFR_RNDN);
    double k = 0;
    if (mpfr_sgn(d) > 0) {
        mpfr_div(f, f, d, MPFR_RNDN);
        k = mpfr_get_d(f, MPFR_RNDD);
    }
    mpfr_clears(f, g, d, (mpfr_ptr)0);
    return k;
}

/* differences at 200 bits: a direction, not a claim */
static void gradient(const bench *b, int64_t r, const double *p, double h, double *g)
{
    mpfr_t f, s;
    mpfr_inits2(EXACT_BITS, f, s, (mpfr_ptr)0);
    row_at(b, r, p, f);
    for (int64_t i = 0; i < N; i++) {
        double q[N];
        memcpy(q, p, sizeof q);
        q[i] += h;
        row_at(b, r, q, s);
        mpfr_sub(s, s, f, MPFR_RNDN);
        g[i] = mpfr_get_d(s, MPFR_RNDN) / (q[i] - p[i]);
    }
    mpfr_clears(f, s, (mpfr_ptr)0);
}

/* The steepest quotient next to p, both points in the ball. */
static double steepest_at(const bench *b, int32_t norm, double eps, int64_t r,
                          const double *p)
{
    double g[N], d[N], q[N], h = fmax(eps * 0x1p-12, 0x1p-40);
    gradient(b, r, p, h, g);
    int64_t top = 0;
    for (int64_t i = 1; i < N; i++)
        if (fabs(g[i]) > fabs(g[top])) top = i;
    for (int side = -1; side <= 1; side += 2) {
        const double size = length(ROB_NORM_L2, g);
        for (int64_t i = 0; i < N; i++) {
            double v = norm == ROB_NORM_L2 ? g[i] / size : g[i] < 0 ? -1 : 1;
            if (norm == ROB_NORM_L1 && i != top) v = 0;
            d[i] = p[i] - b->x[i] + (size > 0 ? side * h * v : 0);
        }
        put_inside(b, norm, eps, d, q);
        if (length(norm, d) <= eps * (1 - 0x1p-30)) break;
    }
    return quotient(b, norm, r, p, q);
}

/* Random points and corners, then a climb from the best. */
static double steepest(const bench *b, int32_t norm, double eps, int64_t r, int tries,
                       int climbs, uint64_t seed)
{
    rob_random random = rob_priv_random(seed, 77);
    double best = 0, at[N] = { 0 }, d[N], p[N];
    for (int k = 0; k < tries + climbs; k++) {
        random_step(&random, norm, k < tries ? eps : eps * 0.4, k % 2 == 0, d);
        for (int64_t i = 0; i < N; i++) d[i] = k < tries ? d[i] : d[i] + at[i];
        put_inside(b, norm, eps, d, p);
        const double v = steepest_at(b, norm, eps, r, p);
        if (v <= best) continue;
        best = v;
        for (int64_t i = 0; i < N; i++) at[i] = p[i] - b->x[i];
    }
    return best;
}

/* ---- what is proved -------------------------------------------------------------- */

typedef struct proved { double k, smooth, most[L * T], least[L * T]; } proved;

static proved prove(bench *b, const char *method, int32_t norm, double eps, double fault)
{
    rob_bound *bound;
    proved p;
    fine(b->ctx, rob_query_set_ball(b->ctx, b->query, norm, eps));
    fine(b->ctx, rob_bound_create(b->ctx, method, &bound));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "rings", 2));
    bound->fault_steep = fault;
    fine(b->ctx, rob_bound_lipschitz(b->ctx, bound, b->query, &p.k, 1));
    fine(b->ctx, rob_bound_get(b->ctx, bound, "smooth", 0, &p.smooth, 1, NULL));
    fine(b->ctx, rob_bound_get(b->ctx, bound, "steepest", 0, p.most, L * T, NULL));
    fine(b->ctx, rob_bound_get(b->ctx, bound, "gradient", 0, p.least, L * T, NULL));
    rob_bound_free(bound);
    return p;
}

static const double RADII[] = { 1e-6, 0.03, 0.4, 4, 60 };
static const int32_t NORMS[] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };

START_TEST(no_pair_of_points_beats_the_constant)
{
    bench b = bench_open(RECIPES[_i % (int)COUNT_OF(RECIPES)], size_of_weights(_i), (uint64_t)_i + 1);
    const int64_t rows = b.query->cases[0].spec.rows;
    for (int e = 0; e < (int)COUNT_OF(RADII); e++)
        for (int n = 0; n < 3; n++) {
            const char *method = (e + n) % 3 == 2 ? "zonotope" : "crown";
            const proved p = prove(&b, method, NORMS[n], RADII[e], 0);
            const int64_t r = (e + n) % rows;
            const double q = steepest(&b, NORMS[n], RADII[e], r, 4, 4, (uint64_t)(e + n));
            ck_assert_msg(q <= p.most[r], "radius %g norm %d: %.17g > %.17g", RADII[e],
                          NORMS[n], q, p.most[r]);
            ck_assert(p.most[r] <= p.k && p.least[r] <= p.most[r] && p.least[r] >= 0);
            ck_assert_msg(isfinite(p.k), "radius %g", RADII[e]);
            /* what a quotient shows at any point is at least the least norm, up to the bend
             * between its two points, h |f''| with |f''| < 1e3, and to the rounding of a
             * step h: each of its numbers errs by 2^-51 (|x| < 4), 2^-51/h of it */
            const double h = fmax(RADII[e] * 0x1p-12, 0x1p-40);
            ck_assert_msg(p.least[r] <= q + 1e3 * h + p.most[r] * (0x1p-50 / h),
                          "radius %g norm %d: least %.17g, seen %.17g", RADII[e], NORMS[n],
                          p.least[r], q);
        }
    bench_close(&b);
}
END_TEST

START_TEST(small_balls_give_the_norm_itself)
{
    bench b = bench_open(RECIPES[_i], 0.7, (uint64_t)_i + 50);
    for (int n = 0; n < 3; n++) {
        const proved p = prove(&b, "crown", NORMS[n], 1e-9, 0);
        /* widths of derivatives are below 1e-9 times curvatures below 1e3; where a relu or
         * a maximum switches inside the ball there is no limit, and none of these has one */
        ck_assert_msg(p.most[0] - p.least[0] <= 1e-5 * (1 + p.most[0]), "%g %g", p.least[0],
                      p.most[0]);
    }
    bench_close(&b);
}
END_TEST

START_TEST(affine_networks_have_a_closed_form)
{
    rob_ctx *ctx;
    rob_query *q;
    rob_bound *b;
    double x[N], w[N], k, least[L];
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    rob_model *m = affine_model(ctx, D, 2);
    test_series(x, N, 4);
    fine(ctx, rob_query_create(ctx, m, &q));
    fine(ctx, rob_query_add(ctx, q, x, T, -1));
    fine(ctx, rob_bound_create(ctx, "crown", &b));
    affine_row(m, 0, 1, T, w);
    for (int n = 0; n < 3; n++) {
        const int32_t dual = NORMS[n] == ROB_NORM_L1     ? ROB_NORM_LINF
                             : NORMS[n] == ROB_NORM_LINF ? ROB_NORM_L1
                                                         : ROB_NORM_L2;
        fine(ctx, rob_query_set_ball(ctx, q, NORMS[n], 0.5));
        fine(ctx, rob_bound_lipschitz(ctx, b, q, &k, 1));
        fine(ctx, rob_bound_get(ctx, b, "gradient", 0, least, L, NULL));
        /* about 40 roundings are charged at each of 4 roots a step, 4 steps, in sums of
         * magnitudes up to 6 times the coefficients */
        ck_assert_double_eq_tol(k, length(dual, w), 4000 * 0x1p-52 * k);
        ck_assert_double_eq_tol(least[0], k, 8000 * 0x1p-52 * k);
    }
    rob_bound_free(b);
    rob_query_free(q);
    rob_model_free(m);
    rob_ctx_free(ctx);
}
END_TEST

/* least exact margin among random points at that distance */
START_TEST(rings_certify_no_more_than_is_true)
{
    bench b = bench_open(RECIPES[_i % (int)COUNT_OF(RECIPES)], size_of_weights(_i), (uint64_t)_i + 1);
    rob_random random = rob_priv_random(3, (uint64_t)_i);
    const rob_spec *s = &b.query->cases[0].spec;
    for (int n = 0; n < 3; n++) {
        double d[N], p[N];
        const proved k = prove(&b, "crown", NORMS[n], 0.3, 0);
        ck_assert(k.smooth >= 0 && k.smooth <= 0.3);
        for (int t = 0; t < 6; t++) {
            random_step(&random, NORMS[n], k.smooth, t % 2 == 0, d);
            put_inside(&b, NORMS[n], k.smooth, d, p);
            for (int64_t g = 0; g < s->groups && k.smooth > 0; g++) {
                double best = -INFINITY;
                for (int64_t r = 0; r < s->rows; r++) {
                    mpfr_t y;
                    mpfr_init2(y, EXACT_BITS);
                    if (s->group[r] == g) {
                        row_at(&b, r, p, y);
                        mpfr_add_d(y, y, s->b[r], MPFR_RNDU);
                        best = fmax(best, mpfr_get_d(y, MPFR_RNDU));
                    }
                    mpfr_clear(y);
                }
                ck_assert_double_gt(best, 0);
            }
        }
    }
    bench_close(&b);
}
END_TEST

/* Held numbers do not count; scales multiply. */
START_TEST(masks_and_scales_shape_the_norm)
{
    bench b = bench_open(RECIPES[2], 0.8, 12);
    uint8_t mask[N];
    double scale[N], two[N];
    for (int i = 0; i < N; i++) mask[i] = i % 3 != 0, scale[i] = 0.5, two[i] = 2;
    const proved all = prove(&b, "crown", ROB_NORM_L2, 0.1, 0);
    fine(b.ctx, rob_query_set_mask(b.ctx, b.query, -1, mask, N));
    const proved some = prove(&b, "crown", ROB_NORM_L2, 0.1, 0);
    ck_assert_double_lt(some.k, all.k);
    fine(b.ctx, rob_query_set_mask(b.ctx, b.query, -1, NULL, 0));
    fine(b.ctx, rob_query_set_scale(b.ctx, b.query, -1, scale, N));
    const proved half = prove(&b, "crown", ROB_NORM_L2, 0.2, 0);
    /* the same region, half the norm: powers of two, so only slacks differ */
    ck_assert_double_eq_tol(half.k, 0.5 * all.k, 1e-10 * all.k);
    fine(b.ctx, rob_query_set_scale(b.ctx, b.query, -1, two, N));
    const proved twice = prove(&b, "crown", ROB_NORM_LINF, 0.05, 0);
    fine(b.ctx, rob_query_set_scale(b.ctx, b.query, -1, NULL, 0));
    const proved plain = prove(&b, "crown", ROB_NORM_LINF, 0.1, 0);
    ck_assert_double_eq_tol(twice.k, 2 * plain.k, 1e-10 * plain.k);
    bench_close(&b);
}
END_TEST

/* With the widths of derivatives left out, points show that the constant is wrong. */
START_TEST(a_seeded_fault_is_seen)
{
    int caught = 0;
    for (int k = 0; k < 4; k++) {
        bench b = bench_open(RECIPES[k], 0.8, (uint64_t)k + 1);
        for (int n = 0; n < 3 && caught <= k; n++) {
            const proved p = prove(&b, "crown", NORMS[n], 0.4, 0.999);
            const proved right = prove(&b, "crown", NORMS[n], 0.4, 0);
            const double q = steepest(&b, NORMS[n], 0.4, 0, 6, 10, 5);
            ck_assert(q <= right.most[0]);
            caught += q > p.most[0];
        }
        bench_close(&b);
    }
    ck_assert_int_ge(caught, 3);
}
END_TEST

START_TEST(errors_say_what_is_allowed)
{
    bench b = bench_open(RECIPES[0], 0.5, 3);
    rob_bound *bound;
    double k = 7, rows[L];
    fine(b.ctx, rob_bound_create(b.ctx, "crown", &bound));
    fine(b.ctx, rob_query_set_ball(b.ctx, b.query, ROB_NORM_L2, INFINITY));
    ck_assert_int_eq(rob_bound_lipschitz(b.ctx, bound, b.query, &k, 1), ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(b.ctx), "Lipschitz"));
    fine(b.ctx, rob_query_set_ball(b.ctx, b.query, ROB_NORM_L2, 0.1));
    ck_assert_int_eq(rob_bound_lipschitz(b.ctx, bound, b.query, &k, 0), ROB_ESHAPE);
    ck_assert_int_eq(rob_bound_lipschitz(b.ctx, NULL, b.query, &k, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_lipschitz(NULL, bound, b.query, &k, 1), ROB_EARGUMENT);
    ck_assert_double_eq(k, 7);
    fine(b.ctx, rob_bound_margin(b.ctx, bound, b.query, &k, 1));
    ck_assert_int_eq(rob_bound_get(b.ctx, bound, "steepest", 0, rows, L, NULL),
                     ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(b.ctx), "rob_bound_lipschitz"));
    rob_bound_free(bound);
    bench_close(&b);
}
END_TEST

START_TEST(attention_is_refused_in_one_line)
{
    rob_ctx *ctx;
    rob_model *m;
    rob_query *q;
    rob_bound *b;
    double x[16] = { 0 }, k = 7;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    fine(ctx, rob_model_load(ctx, "tests/data/model_encoder_tanh_mean.safetensors", NULL, &m));
    int64_t features = m->recipe.features;
    fine(ctx, rob_query_create(ctx, m, &q));
    fine(ctx, rob_query_add(ctx, q, x, 16 / features > 4 ? 4 : 16 / features, -1));
    fine(ctx, rob_query_set_ball(ctx, q, ROB_NORM_L2, 0.1));
    fine(ctx, rob_bound_create(ctx, "crown", &b));
    ck_assert_int_eq(rob_bound_lipschitz(ctx, b, q, &k, 1), ROB_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "gradients are not bounded through"));
    ck_assert_double_eq(k, 7);
    rob_bound_free(b);
    rob_query_free(q);
    rob_model_free(m);
    rob_ctx_free(ctx);
}
END_TEST

static rob_status life(rob_ctx *ctx)
{
    rob_status status = ROB_OK;
    rob_model *m = NULL;
    rob_query *q = NULL;
    rob_bound *b = NULL;
    double x[N] = { 0.5, -0.25, 1, 0 }, k;
    TRY(rob_model_create(ctx, "gru readout=mean hidden=2 features=2 outputs=2", &m));
    TRY(rob_query_create(ctx, m, &q));
    TRY(rob_query_add(ctx, q, x, 3, 0));
    TRY(rob_query_set_ball(ctx, q, ROB_NORM_L2, 0.1));
    TRY(rob_bound_create(ctx, "crown", &b));
    TRY(rob_bound_set(ctx, b, "rings", 1));
    TRY(rob_bound_lipschitz(ctx, b, q, &k, 1));
done:
    rob_bound_free(b);
    rob_query_free(q);
    rob_model_free(m);
    return status;
}

START_TEST(no_allocation_is_taken_for_granted)
{
    rob_live_poorly(life);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lipschitz");
    TCase *c = tcase_create("gradients");
    const int recipes = (int)COUNT_OF(RECIPES);
    tcase_add_loop_test(c, no_pair_of_points_beats_the_constant, 0, recipes * long_run());
    tcase_add_loop_test(c, small_balls_give_the_norm_itself, 0, recipes);
    tcase_add_test(c, affine_networks_have_a_closed_form);
    tcase_add_loop_test(c, rings_certify_no_more_than_is_true, 0, recipes);
    tcase_add_test(c, masks_and_scales_shape_the_norm);
    tcase_add_test(c, a_seeded_fault_is_seen);
    tcase_add_test(c, errors_say_what_is_allowed);
    tcase_add_test(c, attention_is_refused_in_one_line);
    tcase_add_test(c, no_allocation_is_taken_for_granted);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
