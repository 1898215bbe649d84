/* sound.c -- no point of a region beats what was proved on it.
 *
 * Truth is arithmetic at 200 bits (multiple.h), so comparisons need no tolerance: a
 * certified margin above an exact margin anywhere in the ball is a failure. Points:
 * random inside, on the boundary, corners, single coordinates, and where an attack
 * ended. Points keep a factor 1 - 2^-40 inside, more than the rounding of x + d and of
 * its norm.
 */
#include "bound/solve.h"
#include "check/multiple.h"

#include <check.h>
#include "check/harness.h"
#include <robust/attack.h>

#include <fenv.h>

typedef struct subject {
    int32_t kind, layers, readout;
    int64_t T, D, H, L;
    double size;
    uint64_t seed;
    bool tied;
} subject;

typedef struct bench {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    subject s;
    double *x;
    int64_t reference;
} bench;

static bench bench_open(subject s)
{
    bench b = {.s = s};
    ck_assert_int_eq(rob_ctx_create(&b.ctx), ROB_OK);
    b.model = random_model(b.ctx, s.kind, s.layers, s.readout, s.D, s.H, s.L, s.size,
                           s.seed, s.tied);
    b.x = malloc((size_t)(s.T * s.D) * sizeof *b.x);
    rob_random r = rob_priv_random(s.seed, 9);
    for (int64_t i = 0; i < s.T * s.D; i++) b.x[i] = rob_priv_normal(&r);
    ck_assert_int_eq(rob_query_create(b.ctx, b.model, &b.query), ROB_OK);
    ck_assert_int_eq(rob_query_add(b.ctx, b.query, b.x, s.T, -1), ROB_OK);
    ck_assert_int_eq(rob_priv_query_prepare(b.ctx, b.query), ROB_OK);
    b.reference = b.query->cases[0].reference;
    return b;
}

static void bench_close(bench *b)
{
    rob_query_free(b->query);
    rob_model_free(b->model);
    rob_ctx_free(b->ctx);
    free(b->x);
}

static void (*strip_fault)(rob_strip *);

static double margin_with(bench *b, const char *method, int32_t norm, double eps,
                          double steps, void (*fault)(rob_bend *))
{
    rob_bound *bound;
    double lower = NAN;
    ck_assert_int_eq(rob_query_set_ball(b->ctx, b->query, norm, eps), ROB_OK);
    ck_assert_int_eq(rob_bound_create(b->ctx, method, &bound), ROB_OK);
    ck_assert_int_eq(rob_bound_set(b->ctx, bound, "steps", steps), ROB_OK);
    bound->fault = fault;
    bound->option[ROB_BOUND_CHOICES] = 5;
    bound->option[ROB_BOUND_CHOSEN] = 2;
    bound->option[ROB_BOUND_BRANCHES] = 5;
    bound->option[ROB_BOUND_ENOUGH] = INFINITY;
    bound->fault_strip = strip_fault;
    ck_assert_msg(rob_bound_margin(b->ctx, bound, b->query, &lower, 1) == ROB_OK, "%s",
                  rob_ctx_error(b->ctx));
    rob_bound_free(bound);
    ck_assert(!isnan(lower));
    return lower;
}

/* ---- points of the ball ---------------------------------------------------------- */

enum { POINTS = 10 };

static double norm_of(int32_t norm, const double *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (norm == ROB_NORM_L2) sum += d[i] * d[i];
        else if (norm == ROB_NORM_L1) sum += fabs(d[i]);
        else sum = fmax(sum, fabs(d[i]));
    }
    return norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

/* Point k: corners for small k, then single coordinates, the rest random in direction
 * and every second one also in length. */
static void make_point(const bench *b, int32_t norm, double eps, int64_t k, double *p)
{
    int64_t n = b->s.T * b->s.D;
    rob_random r = rob_priv_random((uint64_t)k, b->s.seed);
    for (int64_t i = 0; i < n; i++) {
        double z = rob_priv_normal(&r);
        p[i] = k < 4 ? (z < 0 ? -1 : 1) : z;
    }
    if (k == 4 || k == 5) {
        memset(p, 0, (size_t)n * sizeof *p);
        p[rob_priv_below(&r, n)] = k == 4 ? 1 : -1;
    }
    double scale = eps * (1 - 0x1p-40) / norm_of(norm, p, n);
    if (k > 6 && k % 2 == 0) scale *= rob_priv_uniform(&r);
    for (int64_t i = 0; i < n; i++) p[i] = b->x[i] + scale * p[i];
}

static void attacked_point(bench *b, double *p)
{
    rob_attack *a;
    int64_t count;
    ck_assert_int_eq(rob_attack_create(b->ctx, "pgd", &a), ROB_OK);
    ck_assert_int_eq(rob_attack_set(b->ctx, a, "steps", 15), ROB_OK);
    ck_assert_int_eq(rob_attack_margin(b->ctx, a, b->query, NULL, 0), ROB_OK);
    ck_assert_int_eq(rob_attack_get(b->ctx, a, "point", 0, p, b->s.T * b->s.D, &count),
                     ROB_OK);
    rob_attack_free(a);
}

/* Least exact margin over all points. */
static double least_margin(bench *b, int32_t norm, double eps)
{
    double *p = malloc((size_t)(b->s.T * b->s.D) * sizeof *p), least = INFINITY;
    for (int64_t k = 0; k < POINTS; k++) {
        make_point(b, norm, eps, k, p);
        least = fmin(least, exact_margin(b->model, p, b->s.T, b->reference));
    }
    if (norm != ROB_NORM_L1) {
        attacked_point(b, p);
        least = fmin(least, exact_margin(b->model, p, b->s.T, b->reference));
    }
    free(p);
    return least;
}

static const double RADII[] = {0, 1e-6, 1e-3, 0.03, 0.3, 3, 1000};
static const int32_t NORMS[] = {ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1};

/* Certified margins, in order: interval <= zonotope <= crown <= least seen. */
static void check_radius(bench *b, int32_t norm, double eps)
{
    double interval = margin_with(b, "interval", norm, eps, 0, NULL);
    double forms = margin_with(b, "zonotope", norm, eps, 0, NULL);
    double cut = margin_with(b, "crown", norm, eps, 2, NULL);
    double crown = margin_with(b, "crown", norm, eps, 0, NULL);
    bool chosen = eps > 0.01 && eps < 1 && norm != ROB_NORM_L1;
    double alpha = chosen ? margin_with(b, "alpha", norm, eps, 0, NULL) : crown;
    double parts = chosen ? margin_with(b, "branch", norm, eps, 0, NULL) : alpha;
    double seen = least_margin(b, norm, eps);
    ck_assert_msg(
        crown <= seen && cut <= seen && alpha <= seen && parts <= seen,
        "kind %d layers %d T %d norm %d eps %g size %g: proved %.17g (2 steps "
        "%.17g, alpha %.17g, branch %.17g), seen %.17g", b->s.kind, b->s.layers,
        (int)b->s.T, norm, eps, b->s.size, crown, cut, alpha, parts, seen);
    ck_assert_msg(interval <= forms && forms <= crown && crown <= alpha && alpha <= parts
                      && interval <= cut,
                  "crown %g, 2 steps %g, zonotope %g, interval %g", crown, cut, forms,
                  interval);
}

static void check_subject(subject s)
{
    bench b = bench_open(s);
    for (int64_t n = 0; n < COUNT_OF(NORMS); n++)
        for (int64_t e = 0; e < COUNT_OF(RADII); e++)
            check_radius(&b, NORMS[n], RADII[e]);
    bench_close(&b);
}

enum { ALL = 4 };
static const int32_t KINDS[ALL] = {ROB_KIND_RNN_TANH, ROB_KIND_RNN_RELU, ROB_KIND_LSTM,
                                   ROB_KIND_GRU};

START_TEST(margins_hold_everywhere)
{
    static const double sizes[] = {0.1, 0.6, 2, 10};
    for (int64_t z = 0; z < COUNT_OF(sizes); z++)
        check_subject((subject){KINDS[_i % ALL], 1 + _i / ALL, ROB_READOUT_LAST, 5, 2,
                                5, 3, sizes[z], (uint64_t)(10 * _i + z), false});
}
END_TEST

START_TEST(margins_hold_over_lengths)
{
    static const int64_t lengths[] = {1, 2, 12, 28};
    for (int64_t t = 0; t < COUNT_OF(lengths); t++)
        check_subject(
            (subject){ KINDS[_i], 1, t % 2 ? ROB_READOUT_MEAN : ROB_READOUT_LAST,
                       lengths[t], 1, 4, 2, 0.7, (uint64_t)(100 * _i + t), false });
    if (rob_long())
        check_subject(
            (subject){ KINDS[_i], 1, ROB_READOUT_LAST, 140, 1, 16, 2, 0.5, 7, false });
}
END_TEST

/* Small balls, where nearly nothing but rounding separates proof and truth: the excess
 * of the exact margin at x over the certified one is at most eps times the l1-Lipschitz
 * sum plus rounding, so at eps = 0 the proof must still be below and close. */
START_TEST(a_point_is_proved_to_rounding)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        bench b = bench_open((subject){KINDS[_i], 2, ROB_READOUT_MEAN, 6, 2, 6, 3, 0.8,
                                       seed, false});
        double proved = margin_with(&b, "crown", ROB_NORM_L2, 0, 0, NULL);
        double truth = exact_margin(b.model, b.x, b.s.T, b.reference);
        ck_assert(proved <= truth);
        /* 6 steps x 2 layers of sums of < 16 terms of size O(1), amplified by at most
         * (6 x 0.8)^k along the recurrence: 1e-16 x 200 x 1e4 */
        ck_assert_msg(truth - proved <= 1e-9, "%g", truth - proved);
        bench_close(&b);
    }
}
END_TEST

START_TEST(a_larger_ball_proves_no_more)
{
    static const double radii[] = {0, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 1, 5, 50};
    for (uint64_t seed = 0; seed < 4; seed++) {
        bench b = bench_open(
            (subject){ KINDS[_i], 1, ROB_READOUT_LAST, 8, 2, 6, 3, 0.7, seed, false });
        for (int64_t n = 0; n < COUNT_OF(NORMS); n++) {
            double last = INFINITY, ilast = INFINITY;
            for (int64_t e = 0; e < COUNT_OF(radii); e++) {
                double m = margin_with(&b, "crown", NORMS[n], radii[e], 0, NULL);
                double i = margin_with(&b, "interval", NORMS[n], radii[e], 0, NULL);
                ck_assert_msg(m <= last, "norm %d eps %g: %.17g after %.17g", NORMS[n],
                              radii[e], m, last);
                ck_assert(i <= ilast);
                last = m, ilast = i;
            }
        }
        bench_close(&b);
    }
}
END_TEST

START_TEST(equal_logits_prove_nothing)
{
    bench b = bench_open(
        (subject){ KINDS[_i], 1, ROB_READOUT_LAST, 4, 2, 5, 3, 0.5, 3, true });
    rob_bound *bound;
    double lower = 1;
    ck_assert_double_le(margin_with(&b, "crown", ROB_NORM_L2, 0, 0, NULL), 0);
    ck_assert_int_eq(rob_query_set_ball(b.ctx, b.query, ROB_NORM_L2, INFINITY), ROB_OK);
    ck_assert_int_eq(rob_bound_create(b.ctx, "crown", &bound), ROB_OK);
    ck_assert_int_eq(rob_bound_radius(b.ctx, bound, b.query, &lower, 1), ROB_OK);
    ck_assert_double_eq(lower, 0);
    rob_bound_free(bound);
    bench_close(&b);
}
END_TEST

/* ---- seeded faults are seen ------------------------------------------------------ */

static void lift_below(rob_bend *b)
{
    for (int64_t e = 0; e < b->n; e++) ((double *)b->lo_offset)[e] += 1e-3;
}

static void drop_above(rob_bend *b)
{
    for (int64_t e = 0; e < b->n; e++) ((double *)b->up_offset)[e] -= 1e-3;
}

static void tilt_below(rob_bend *b)
{
    for (int32_t i = 0; i < b->ins; i++)
        for (int64_t e = 0; e < b->n; e++) ((double *)b->lo[i])[e] *= 1.01;
}

static void tilt_above(rob_bend *b)
{
    for (int32_t i = 0; i < b->ins; i++)
        for (int64_t e = 0; e < b->n; e++) ((double *)b->up[i])[e] *= 0.99;
}

/* At a small radius the bound is sharp to second order, so a plane that is wrong by
 * 1e-3 lifts some certified margin above the exact one; with contradicting ranges
 * nothing is proved at all (-INFINITY), which also tells. */
START_TEST(wrong_planes_are_caught)
{
    static void (*const faults[])(rob_bend *) = {lift_below, drop_above, tilt_below,
                                                 tilt_above};
    int caught = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        bench b = bench_open((subject){ KINDS[_i % ALL], 1, ROB_READOUT_LAST, 4, 2, 5,
                                        3, 0.7, seed, false });
        double right = margin_with(&b, "crown", ROB_NORM_L2, 1e-6, 0, NULL);
        double wrong = margin_with(&b, "crown", ROB_NORM_L2, 1e-6, 0, faults[_i / ALL]);
        double seen = least_margin(&b, ROB_NORM_L2, 1e-6);
        ck_assert(right <= seen && isfinite(right));
        caught += wrong > seen || !isfinite(wrong);
        bench_close(&b);
    }
    ck_assert_int_gt(caught, 0);
}
END_TEST

/* Strips too high by 1e-6. */
static void lift(rob_strip *s)
{
    s->lo += 1e-6;
    s->up += 1e-6;
}

/* Too low. */
static void sink(rob_strip *s)
{
    s->lo -= 1e-6;
    s->up -= 1e-6;
}

/* Wrong noises leave the states' own ranges, or the margin, on the wrong side. */
START_TEST(wrong_strips_are_caught)
{
    int caught = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        bench b = bench_open((subject){ KINDS[_i % ALL], 1, ROB_READOUT_LAST, 4, 2, 5,
                                        3, 0.7, seed, false });
        strip_fault = _i / ALL ? lift : sink;
        double wrong = margin_with(&b, "zonotope", ROB_NORM_LINF, 1e-8, 0, NULL);
        strip_fault = NULL;
        double right = margin_with(&b, "zonotope", ROB_NORM_LINF, 1e-8, 0, NULL);
        double seen = least_margin(&b, ROB_NORM_LINF, 1e-8);
        ck_assert(right <= seen && isfinite(right));
        caught += wrong > seen || !isfinite(wrong);
        bench_close(&b);
    }
    ck_assert_int_gt(caught, 0);
}
END_TEST

/* ---- the host's floating-point environment --------------------------------------- */

START_TEST(host_rounding_does_not_matter)
{
    bench b = bench_open(
        (subject){ KINDS[_i], 1, ROB_READOUT_LAST, 5, 2, 5, 3, 0.7, 1, false });
    double plain = margin_with(&b, "crown", ROB_NORM_LINF, 0.01, 0, NULL);
    fesetround(FE_UPWARD);
    double upward = margin_with(&b, "crown", ROB_NORM_LINF, 0.01, 0, NULL);
    fesetround(FE_TONEAREST);
#if defined(__SSE2__)
    unsigned host = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(host | 0x8040);      /* flush to zero, denormals are zeros */
    double flushed = margin_with(&b, "crown", ROB_NORM_LINF, 0.01, 0, NULL);
    __builtin_ia32_ldmxcsr(host);
    ck_assert(plain == flushed);
#endif
    /* the reference and the specification are integers: only the bound computes */
    ck_assert(plain == upward);
    bench_close(&b);
}
END_TEST

/* ---- every instruction set ------------------------------------------------------- */

/* Kernels round differently (fused or not, other orders); all must stay below the
 * truth. */
START_TEST(every_instruction_set_is_sound)
{
    bench b = bench_open(
        (subject){ KINDS[_i], 2, ROB_READOUT_LAST, 6, 3, 13, 3, 0.5, 4, false });
    int32_t best = b.ctx->isa;
    double truth = exact_margin(b.model, b.x, b.s.T, b.reference), last = NAN;
    for (int32_t isa = 0; isa <= best; isa++) {
        b.ctx->isa = isa;
        double point = margin_with(&b, "crown", ROB_NORM_L2, 0, 0, NULL);
        ck_assert_msg(point <= truth && truth - point <= 1e-9, "isa %d: %g", isa,
                      truth - point);
        double ball = margin_with(&b, "crown", ROB_NORM_L2, 0.01, 0, NULL);
        ck_assert(isnan(last) || fabs(ball - last) <= 1e-9);
        last = ball;
        check_radius(&b, ROB_NORM_LINF, 0.01);
    }
    bench_close(&b);
}
END_TEST

/* ---- every cell, not only the outputs -------------------------------------------- */

static rob_network *network_for(bench *b)
{
    rob_graph *g;
    rob_network *net;
    ck_assert_int_eq(rob_priv_graph_create(b->ctx, &g), ROB_OK);
    rob_id x = rob_priv_input(g, rob_priv_shape3(b->s.T, 1, b->s.D));
    rob_id y = rob_priv_model_emit(b->model, g, x, ROB_NONE, NULL);
    ck_assert_int_eq(rob_priv_network_create(b->ctx, g, x, y, &net), ROB_OK);
    return net;
}

/* Hidden states of all steps, one layer, at 200 bits: h (T, H). */
static void exact_states(const bench *b, const double *x, mpfr_t *states)
{
    int64_t H = b->s.H, D = b->s.D;
    mpfr_t *h = exact_vector(H), *c = exact_vector(H), *u = exact_vector(D);
    for (int64_t t = 0; t < b->s.T; t++) {
        for (int64_t j = 0; j < D; j++) mpfr_set_d(u[j], x[t * D + j], MPFR_RNDN);
        exact_step(b->model, 0, u, D, h, c);
        for (int64_t j = 0; j < H; j++) mpfr_set(states[t * H + j], h[j], MPFR_RNDN);
    }
    exact_free(h, H), exact_free(c, H), exact_free(u, D);
}

static bool holds(const rob_range *r, int64_t e, const mpfr_t v)
{
    return mpfr_cmp_d(v, r->lo[e]) >= 0 && mpfr_cmp_d(v, r->up[e]) <= 0;
}

/* The state of step t is the last curved cell stamped t. */
static int32_t state_cell(const rob_network *net, int32_t t)
{
    int32_t last = ROB_NONE;
    for (int32_t i = 0; i < net->cells; i++)
        if (net->cell[i].time == t && net->cell[i].kind == ROB_CELL_CURVED) last = i;
    return last;
}

static void check_states(bench *b, rob_work *w, int32_t norm, double eps)
{
    int64_t T = b->s.T, H = b->s.H, L = b->s.L;
    mpfr_t *h = exact_vector(T * H), *f = exact_vector(L);
    double *p = malloc((size_t)(T * b->s.D) * sizeof *p);
    w->ball = (rob_ball){b->x, NULL, norm, eps, NULL};
    ck_assert_int_eq(rob_priv_ranges(w, true), ROB_OK);
    ck_assert(!w->broken);
    for (int64_t k = 0; k < POINTS; k++) {
        make_point(b, norm, eps, k, p);
        exact_states(b, p, h);
        exact_logits(b->model, p, T, f);
        rob_range out = rob_priv_cell_range(w, w->net->output);
        for (int64_t j = 0; j < L; j++) ck_assert(holds(&out, j, f[j]));
        for (int32_t t = 0; t < T; t++) {
            rob_range r = rob_priv_cell_range(w, state_cell(w->net, t));
            for (int64_t j = 0; j < H; j++)
                ck_assert_msg(holds(&r, j, h[t * H + j]), "step %d unit %d eps %g", t,
                              (int)j, eps);
        }
    }
    exact_free(h, T * H), exact_free(f, L);
    free(p);
}

START_TEST(states_lie_in_their_ranges)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        bench b = bench_open((subject){KINDS[_i], 1, ROB_READOUT_LAST, 7, 2, 5, 3,
                                       seed % 2 ? 3 : 0.7, seed, false});
        rob_network *net = network_for(&b);
        rob_work *w;
        rob_fp_state fp = rob_priv_fp_enter();
        ck_assert_int_eq(rob_priv_work_open(net, &w), ROB_OK);
        for (int64_t n = 0; n < COUNT_OF(NORMS); n++)
            for (int64_t e = 0; e < COUNT_OF(RADII); e++)
                check_states(&b, w, NORMS[n], RADII[e]);
        rob_priv_work_close(w);
        rob_priv_fp_leave(fp);
        rob_priv_network_free(net);
        bench_close(&b);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sound");
    TCase *c = tcase_create("bounds");
    tcase_add_loop_test(c, margins_hold_everywhere, 0, 2 * ALL);
    tcase_add_loop_test(c, margins_hold_over_lengths, 0, ALL);
    tcase_add_loop_test(c, a_point_is_proved_to_rounding, 0, ALL);
    tcase_add_loop_test(c, a_larger_ball_proves_no_more, 0, ALL);
    tcase_add_loop_test(c, equal_logits_prove_nothing, 0, ALL);
    tcase_add_loop_test(c, wrong_planes_are_caught, 0, 4 * ALL);
tcase_add_loop_test(c, wrong_strips_are_caught, 0, 2 * ALL);
    tcase_add_loop_test(c, host_rounding_does_not_matter, 0, ALL);
    tcase_add_loop_test(c, every_instruction_set_is_sound, 0, ALL);
    tcase_add_loop_test(c, states_lie_in_their_ranges, 0, ALL);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
