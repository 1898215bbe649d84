/* second.c -- bounds of second order: no point beats them, none is below the first order.
 *
 * Truth is arithmetic at 200 bits (recipes.h). The least value of a quadratic function on a
 * ball is compared with the function at points of the ball, and where trust.c says it is
 * least with the value there.
 */
#include "bound/order/second.h"

#include <check.h>
#include "check/harness.h"
#include "check/models.h"
#include "check/poor.h"
#include "check/recipes.h"

#include <robust/attack.h>

static const double RADII[] = { 1e-6, 0.03, 0.2, 0.8, 5 };
static const int32_t NORMS[] = { ROB_NORM_L2, ROB_NORM_LINF };

/* ---- quadratic functions on a ball ----------------------------------------------------- */

enum { MOST = 12 };

static double form_at(const rob_trust *t, const double *d)
{
    long double sum = 0;
    for (int64_t i = 0; i < t->n; i++) {
        sum += (long double)t->g[i] * d[i];
        for (int64_t j = 0; j < t->n; j++)
            sum += 0.5L * t->q[i * t->n + j] * (long double)d[i] * d[j];
    }
    return (double)sum;
}

static double size_of(const rob_trust *t, double eps)
{
    double g = 0, q = 0;
    for (int64_t i = 0; i < t->n; i++) g += fabs(t->g[i]);
    for (int64_t i = 0; i < t->n * t->n; i++) q += fabs(t->q[i]);
    return g * eps + q * eps * eps;
}

/* Random symmetric Q: full, of rank one, singular, tiny, without g. */
static void draw_form(rob_random *r, int kind, rob_trust *t)
{
    double v[MOST];
    for (int64_t i = 0; i < t->n; i++) {
        v[i] = rob_priv_normal(r);
        t->g[i] = kind == 3 ? 0 : rob_priv_normal(r) * (kind == 4 ? 1e-9 : 1);
    }
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double q = rob_priv_normal(r);
            if (kind == 1) q = v[i] * v[j];
            if (kind == 2) q = -v[i] * v[j];
            t->q[i * t->n + j] = t->q[j * t->n + i] = q * (kind == 5 ? 1e-300 : 1);
        }
}

static void point_in(rob_random *r, int32_t norm, int64_t n, double eps, double *d)
{
    double sum = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        d[i] = rob_priv_normal(r);
        if (norm == ROB_NORM_LINF && rob_priv_uniform(r) < 0.7) d[i] = d[i] < 0 ? -1e3 : 1e3;
        sum += d[i] * d[i];
        most = fmax(most, fabs(d[i]));
    }
    const double scale = eps * (1 - 0x1p-40) / (norm == ROB_NORM_L2 ? sqrt(sum) : most);
    for (int64_t i = 0; i < n; i++) d[i] *= scale;
}

/* Down the gradient, back into the ball. */
static double descend(const rob_trust *t, int32_t norm, double eps, double *d)
{
    double best = form_at(t, d);
    for (int k = 0; k < 60; k++) {
        double to[MOST], sum = 0;
        for (int64_t i = 0; i < t->n; i++) {
            double g = t->g[i];
            for (int64_t j = 0; j < t->n; j++) g += t->q[i * t->n + j] * d[j];
            to[i] = d[i] - 0.2 * eps * g;
            if (norm == ROB_NORM_LINF) to[i] = fmin(fmax(to[i], -eps), eps);
            sum += to[i] * to[i];
        }
        const double scale = norm == ROB_NORM_L2 && sqrt(sum) > eps ? eps / sqrt(sum) : 1;
        for (int64_t i = 0; i < t->n; i++) d[i] = to[i] * scale * (1 - 0x1p-40);
        best = fmin(best, form_at(t, d));
    }
    return best;
}

START_TEST(a_quadratic_is_nowhere_below_its_bound)
{
    rob_memory m;
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    m = ctx->memory;
    rob_random r = rob_priv_random(1, (uint64_t)_i);
    for (int t = 0; t < 400; t++) {
        rob_trust q;
        double least, d[MOST], found = 0;
        const int32_t norm = NORMS[t % 2];
        const double eps = exp2(12 * rob_priv_uniform(&r) - 8);
        ck_assert_int_eq(rob_priv_trust_open(&m, 1 + rob_priv_below(&r, MOST), &q), ROB_OK);
        draw_form(&r, _i, &q);
        ck_assert_int_eq(rob_priv_trust_least(&m, &q, norm, eps, &least), ROB_OK);
        /* long double: 12^2 roundings of 2^-64 of the size, and one of 2^-53 */
        const double off = size_of(&q, eps) * 0x1p-52;
        for (int k = 0; k < 6; k++) {
            point_in(&r, norm, q.n, eps, d);
            found = fmin(found, descend(&q, norm, eps, d));
        }
        ck_assert_msg(least <= found + off, "%.17g above %.17g", least, found);
        if (norm == ROB_NORM_L2) {
            /* the multiplier is met to 1e-12 of the size, Q + D to 1e-12 */
            double y[MOST], sum = 0;
            for (int64_t i = 0; i < q.n; i++) sum += q.y[i] * q.y[i];
            const double scale = sqrt(sum) > eps ? eps / sqrt(sum) : 1;
            for (int64_t i = 0; i < q.n; i++) y[i] = q.y[i] * scale;
            if (_i != 3 && _i != 4 && _i != 2)
                ck_assert_msg(form_at(&q, y) - least <= 1e-9 * size_of(&q, eps),
                              "%.17g under %.17g", least, form_at(&q, y));
        }
        rob_priv_trust_close(&m, &q);
    }
    rob_ctx_free(ctx);
}
END_TEST

/* ---- margins --------------------------------------------------------------------------- */

static double margin(bench *b, const char *method, double order, int32_t norm, double eps,
                     double fault)
{
    rob_bound *bound;
    double m = NAN;
    fine(b->ctx, rob_query_set_ball(b->ctx, b->query, norm, eps));
    fine(b->ctx, rob_bound_create(b->ctx, method, &bound));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "order", order));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "chosen", 12));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "enough", 1e300));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "choices", 3));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "rounds", 2));
    bound->fault_steep = fault;
    fine(b->ctx, rob_bound_margin(b->ctx, bound, b->query, &m, 1));
    rob_bound_free(bound);
    ck_assert(!isnan(m));
    return m;
}

/* min over groups of max over rows, rounded up */
static double margin_at(const bench *b, const double *x)
{
    const rob_spec *s = &b->query->cases[0].spec;
    double worst = INFINITY;
    mpfr_t y;
    mpfr_init2(y, EXACT_BITS);
    for (int64_t g = 0; g < s->groups; g++) {
        double best = -INFINITY;
        for (int64_t r = 0; r < s->rows; r++) {
            if (s->group[r] != g) continue;
            row_at(b, r, x, y);
            mpfr_add_d(y, y, s->b[r], MPFR_RNDU);
            best = fmax(best, mpfr_get_d(y, MPFR_RNDU));
        }
        worst = fmin(worst, best);
    }
    mpfr_clear(y);
    return worst;
}

static double least_margin(bench *b, int32_t norm, double eps, int tries, uint64_t seed)
{
    rob_random random = rob_priv_random(seed, 78);
    double least = INFINITY, d[N], p[N];
    for (int k = 0; k < tries; k++) {
        random_step(&random, norm, eps, k % 2 == 0, d);
        put_inside(b, norm, eps, d, p);
        least = fmin(least, margin_at(b, p));
    }
    rob_attack *a;
    fine(b->ctx, rob_query_set_ball(b->ctx, b->query, norm, eps));
    fine(b->ctx, rob_attack_create(b->ctx, "pgd", &a));
    fine(b->ctx, rob_attack_set(b->ctx, a, "steps", 25));
    fine(b->ctx, rob_attack_margin(b->ctx, a, b->query, NULL, 0));
    fine(b->ctx, rob_attack_get(b->ctx, a, "point", 0, p, N, NULL));
    rob_attack_free(a);
    for (int i = 0; i < N; i++) d[i] = p[i] - b->x[i];
    put_inside(b, norm, eps, d, p);
    return fmin(least, margin_at(b, p));
}

START_TEST(no_point_beats_the_second_order)
{
    bench b = bench_open(RECIPES[_i % (int)COUNT_OF(RECIPES)], size_of_weights(_i), (uint64_t)_i + 1);
    for (int e = 0; e < (int)COUNT_OF(RADII); e++)
        for (int n = 0; n < 2; n++) {
            const char *method = e == 2 ? "alpha" : "crown";
            const double first = margin(&b, "crown", 1, NORMS[n], RADII[e], 0);
            const double second = margin(&b, method, 2, NORMS[n], RADII[e], 0);
            const double seen = least_margin(&b, NORMS[n], RADII[e], 6, (uint64_t)e);
            ck_assert_msg(second <= seen, "radius %g norm %d: %.17g > %.17g", RADII[e],
                          NORMS[n], second, seen);
            ck_assert_double_ge(second, first);
        }
    bench_close(&b);
}
END_TEST

/* Smooth gates on balls of middle size: the second order is worth having. */
START_TEST(smooth_gates_gain)
{
    int better = 0;
    for (int k = 0; k < 4; k += 1) {
        bench b = bench_open(RECIPES[k], 0.8, (uint64_t)k + 1);
        const double first = margin(&b, "crown", 1, ROB_NORM_L2, 0.2, 0);
        const double second = margin(&b, "crown", 2, ROB_NORM_L2, 0.2, 0);
        better += second > first + 1e-6;
        bench_close(&b);
    }
    ck_assert_int_ge(better, 3);
}
END_TEST

/* Method auto takes the second order by itself: on Elman nets, not where gates
 * read two values, nor in regions it says nothing about, and not beyond what it may cost. */
START_TEST(auto_takes_it_where_it_pays)
{
    bench b = bench_open("rnn nonlinearity=tanh readout=last hidden=6", 0.8, 1);
    const double first = margin(&b, "auto", 1, ROB_NORM_L2, 0.2, 0);
    ck_assert_double_gt(margin(&b, "auto", 0, ROB_NORM_L2, 0.2, 0), first + 1e-6);
    ck_assert_double_eq(margin(&b, "crown", 0, ROB_NORM_L2, 0.2, 0), first);
    ck_assert_double_eq(margin(&b, "auto", 0, ROB_NORM_L1, 0.2, 0),
                        margin(&b, "auto", 1, ROB_NORM_L1, 0.2, 0));
    bench_close(&b);
    b = bench_open("gru readout=last hidden=6", 0.8, 1);
    ck_assert_double_eq(margin(&b, "auto", 0, ROB_NORM_L2, 0.2, 0),
                        margin(&b, "auto", 1, ROB_NORM_L2, 0.2, 0));
    bench_close(&b);
}
END_TEST

/* What third derivatives leave and what earlier gates leave, both forgotten. */
START_TEST(a_seeded_fault_is_seen)
{
    int caught = 0;
    for (int k = 0; k < 8; k++)
        for (int n = 0; n < 2; n++) {
            bench b = bench_open(RECIPES[k % 4 == 1 ? 0 : k % 4], 1.5, (uint64_t)k + 20);
            const double eps = n == 0 ? 1.2 : 0.5;
            const double wrong = margin(&b, "crown", 2, NORMS[n], eps, 1);
            caught += wrong > least_margin(&b, NORMS[n], eps, 12, 5);
            bench_close(&b);
        }
    ck_assert_int_ge(caught, 2);
}
END_TEST

/* A quadratic function of x is its own model: the bound is the trust region's value. */
START_TEST(quadratic_networks_are_met_exactly)
{
    rob_ctx *ctx;
    rob_graph *g;
    rob_network *net;
    rob_work *w;
    rob_random r = rob_priv_random(6, (uint64_t)_i);
    const double one = 1, none = 0;
    const int32_t group = 0;
    double x[3], a[9], c[3], *tensor;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    fine(ctx, rob_priv_graph_create(ctx, &g));
    rob_tensor *mix, *sum;
    fine(ctx, rob_priv_tensor_create(&ctx->memory, ROB_F64, rob_priv_shape2(3, 3), &mix));
    fine(ctx, rob_priv_tensor_create(&ctx->memory, ROB_F64, rob_priv_shape2(3, 1), &sum));
    for (int i = 0; i < 9; i++) a[i] = rob_priv_normal(&r);
    for (int i = 0; i < 3; i++) c[i] = rob_priv_normal(&r), x[i] = rob_priv_normal(&r);
    tensor = mix->data, memcpy(tensor, a, sizeof a);
    tensor = sum->data, memcpy(tensor, c, sizeof c);
    rob_id in = rob_priv_input(g, rob_priv_shape3(1, 1, 3));
    rob_id z = g_matmul(g, g_reshape(g, in, rob_priv_shape2(1, 3)),
                        rob_priv_constant(g, mix), 0, 0);
    rob_id y = g_matmul(g, g_unary(g, "square", z), rob_priv_constant(g, sum), 0, 0);
    fine(ctx, rob_priv_network_create(ctx, g, in, y, &net));
    fine(ctx, rob_priv_work_open(net, &w));
    fine(ctx, rob_priv_second_open(w, &w->second));
    ck_assert_ptr_nonnull(w->second);
    w->enough = INFINITY, w->deadline = INFINITY, w->rounds = 2, w->chosen = 10;
    for (int n = 0; n < 2; n++) {
        const rob_ball ball = { x, NULL, NORMS[n], 0.7, NULL };
        const rob_demand d = { 1, 1, 1, &one, &none, &group };
        rob_proof row;
        rob_outcome out;
        rob_trust t;
        double least, value = 0;
        fine(ctx, rob_priv_bound_ball(w, &ball, &d, true, &row, &out));
        fine(ctx, rob_priv_trust_open(&ctx->memory, 3, &t));
        for (int i = 0; i < 3; i++) {
            double zi = 0;
            for (int k = 0; k < 3; k++) zi += x[k] * a[3 * k + i];
            value += c[i] * zi * zi;
            for (int k = 0; k < 3; k++) {
                t.g[k] += 2 * c[i] * zi * a[3 * k + i];
                for (int l = 0; l < 3; l++)
                    t.q[3 * k + l] += 2 * c[i] * a[3 * k + i] * a[3 * l + i];
            }
        }
        fine(ctx, rob_priv_trust_least(&ctx->memory, &t, NORMS[n], 0.7, &least));
        /* the planes of crown may do better on a box, never worse than 1e-9 of the size */
        ck_assert_double_ge(out.margin, value + least - 1e-9 * (1 + size_of(&t, 0.7)));
        if (n == 0) ck_assert_double_le(out.margin, value + least + 1e-6);
        rob_priv_trust_close(&ctx->memory, &t);
    }
    rob_priv_work_close(w);
    rob_priv_network_free(net);
    rob_priv_tensor_free(mix), rob_priv_tensor_free(sum);
    rob_ctx_free(ctx);
}
END_TEST

/* ---- curvature ------------------------------------------------------------------------- */

static double curvature(bench *b, double eps, double fault, double *k)
{
    rob_bound *bound;
    double c;
    fine(b->ctx, rob_query_set_ball(b->ctx, b->query, ROB_NORM_L2, eps));
    fine(b->ctx, rob_bound_create(b->ctx, "crown", &bound));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "rings", 1));
    fine(b->ctx, rob_bound_set(b->ctx, bound, "curvature", 1));
    bound->fault_steep = fault;
    fine(b->ctx, rob_bound_lipschitz(b->ctx, bound, b->query, k, 1));
    fine(b->ctx, rob_bound_get(b->ctx, bound, "curvature", 0, &c, 1, NULL));
    rob_bound_free(bound);
    return c;
}

/* |row(p + s) - 2 row(p) + row(p - s)| / ||s||^2, rounded down: |v'Hess v| between them. All
 * three points are doubles: p and s are multiples of a power of two. */
static double bend_at(const bench *b, int64_t r, const double *p, const double *s)
{
    double q[N], length = 0;
    mpfr_t f, g;
    mpfr_inits2(EXACT_BITS, f, g, (mpfr_ptr)0);
    row_at(b, r, p, f);
    mpfr_mul_si(f, f, -2, MPFR_RNDN);
    for (int side = -1; side <= 1; side += 2) {
        for (int i = 0; i < N; i++) q[i] = p[i] + side * s[i];
        row_at(b, r, q, g);
        mpfr_add(f, f, g, MPFR_RNDN);
    }
    for (int i = 0; i < N; i++) length += s[i] * s[i];
    mpfr_abs(f, f, MPFR_RNDN);
    mpfr_div_d(f, f, length * (1 + N * 0x1p-52), MPFR_RNDN);
    const double v = length > 0 ? mpfr_get_d(f, MPFR_RNDD) : 0;
    mpfr_clears(f, g, (mpfr_ptr)0);
    return v;
}

/* Random points and directions, then some near the best. */
static double bend_most(const bench *b, double eps, int64_t r, int tries, uint64_t seed)
{
    rob_random random = rob_priv_random(seed, 79);
    const double grain = exp2(floor(log2(eps)) - 24);
    double best = 0, d[N], p[N], s[N], at[N] = { 0 }, along[N] = { 0 };
    for (int k = 0; k < tries; k++) {
        random_step(&random, ROB_NORM_L2, eps * (k % 2 ? 0.9 : 0.2), false, d);
        random_step(&random, ROB_NORM_L2, eps * 0x1p-6, false, s);
        for (int i = 0; i < N; i++) {
            if (k >= tries / 3) d[i] = at[i], s[i] = 0.4 * s[i] + along[i];
            p[i] = grain * round((b->x[i] + d[i]) / grain);
            s[i] = grain * round(s[i] / grain);
        }
        const double size = length(ROB_NORM_L2, s);
        const double v = size < eps * 0x1p-4 ? bend_at(b, r, p, s) : 0;
        if (v <= best) continue;
        best = v;
        for (int i = 0; i < N; i++) {
            at[i] = p[i] - b->x[i];
            along[i] = s[i] * (eps * 0x1p-6 / size);
        }
    }
    return best;
}

static const int SMOOTH[] = { 0, 2, 3, 4, 5 };

START_TEST(no_second_difference_beats_the_curvature)
{
    bench b = bench_open(RECIPES[SMOOTH[_i % (int)COUNT_OF(SMOOTH)]], size_of_weights(_i),
                         (uint64_t)_i + 1);
    double k, small = 0;
    static const double SIZES[] = { 1e-4, 0.02, 0.2, 3 };
    for (int e = 0; e < 4; e++) {
        const double c = curvature(&b, SIZES[e], 0, &k);
        ck_assert_msg(isfinite(c), "%g", SIZES[e]);
        for (int64_t r = 0; r < b.query->cases[0].spec.rows; r++) {
            const double seen = bend_most(&b, SIZES[e], r, 24, (uint64_t)e);
            ck_assert_msg(seen <= c, "radius %g: %.17g > %.17g", SIZES[e], seen, c);
            if (e == 0) small = fmax(small, seen);
        }
        /* any direction of 8 shows an eighth of the squares of the eigenvalues on average;
         * a climb finds more, and the ball of 1e-4 adds next to nothing */
        if (e == 0 && _i < 5) ck_assert_msg(c <= 3 * small + 0.01, "%g %g", c, small);
    }
    bench_close(&b);
}
END_TEST

/* Widths and third derivatives forgotten: second differences elsewhere in the ball exceed what is
 * then the curvature at middles. */
START_TEST(a_seeded_fault_in_the_curvature_is_seen)
{
    int caught = 0;
    for (int i = 0; i < 5; i++) {
        bench b = bench_open(RECIPES[SMOOTH[i]], 0.8, (uint64_t)i + 1);
        double k;
        const double wrong = curvature(&b, 0.5, 1, &k);
        for (int64_t r = 0; r < b.query->cases[0].spec.rows; r++)
            caught += bend_most(&b, 0.5, r, 40, 3) > wrong;
        bench_close(&b);
    }
    ck_assert_int_ge(caught, 1);
}
END_TEST

static rob_status life(rob_ctx *ctx)
{
    rob_status status = ROB_OK;
    rob_model *m = NULL;
    rob_query *q = NULL;
    rob_bound *b = NULL;
    double x[N] = { 0.5, -0.25, 1, 0 }, k;
    TRY(rob_model_create(ctx, "lstm readout=last hidden=2 features=2 outputs=2", &m));
    TRY(rob_query_create(ctx, m, &q));
    TRY(rob_query_add(ctx, q, x, 2, 0));
    TRY(rob_query_set_ball(ctx, q, ROB_NORM_L2, 0.1));
    TRY(rob_bound_create(ctx, "crown", &b));
    TRY(rob_bound_set(ctx, b, "order", 2));
    TRY(rob_bound_set(ctx, b, "chosen", 2));
    TRY(rob_bound_set(ctx, b, "rounds", 2));
    TRY(rob_bound_set(ctx, b, "enough", 1e300));
    TRY(rob_bound_margin(ctx, b, q, &k, 1));
    TRY(rob_bound_set(ctx, b, "curvature", 1));
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
    Suite *s = suite_create("second");
    TCase *c = tcase_create("quadratics");
    tcase_add_loop_test(c, a_quadratic_is_nowhere_below_its_bound, 0, 6);
    tcase_add_loop_test(c, quadratic_networks_are_met_exactly, 0, 6);
    tcase_add_loop_test(c, no_point_beats_the_second_order, 0,
                        (int)COUNT_OF(RECIPES) * long_run());
    tcase_add_loop_test(c, no_second_difference_beats_the_curvature, 0,
                        (int)COUNT_OF(SMOOTH) * long_run());
    tcase_add_test(c, a_seeded_fault_in_the_curvature_is_seen);
    tcase_add_test(c, smooth_gates_gain);
    tcase_add_test(c, auto_takes_it_where_it_pays);
    tcase_add_test(c, a_seeded_fault_is_seen);
    tcase_add_test(c, no_allocation_is_taken_for_granted);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
