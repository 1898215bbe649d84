/* shared.c -- how many series one perturbation can make fail, from above.
 *
 * Half-spaces in the plane and in few dimensions, where the most that one point lies in is
 * found by trying all points that matter (vertices, centres, a fine grid): the bound is
 * never below, and meets it. Trained by nobody: random recurrent nets, attacked with the
 * universal attack; a linear net with a closed form; every fault seen.
 */
#include "bound/shared/shared.h"
#include "bound/solve.h"
#include "check/multiple.h"

#include <check.h>
#include "check/harness.h"
#include <robust/attack.h>

enum { MOST = 64, DIM = 8 };

static const int32_t NORMS[] = { ROB_NORM_L1, ROB_NORM_L2, ROB_NORM_LINF };

typedef struct plane_set {
    double at[MOST * DIM];
    rob_half half[MOST];
    rob_shared s;
} plane_set;


static void random_set(plane_set *p, rob_random *r, int64_t n, int64_t series, int32_t norm, double spread)
{
    memset(p, 0, sizeof *p);
    int64_t k = 0;
    double lean[DIM];
    for (int64_t j = 0; j < n; j++) lean[j] = rob_priv_normal(r);
    for (int64_t i = 0; i < series && k + 2 < MOST; i++) {
        double side = i % 2 ? 1 : -1;
        for (int64_t g = 0; g < 1 + i % 2; g++, k++) {
            for (int64_t j = 0; j < n; j++)
                p->at[k * n + j] = side * lean[j] + spread * rob_priv_normal(r);
            p->half[k] = (rob_half){ i, 1.2 * rob_priv_uniform(r), p->at + k * n };
        }
    }
    p->s = (rob_shared){ .half = p->half, .halves = k, .n = n, .cuts = 300, .norm = norm, .eps = 1 };
}

static double norm_of(int32_t norm, const double *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum = norm == ROB_NORM_L2 ? sum + d[i] * d[i]
              : norm == ROB_NORM_L1 ? sum + fabs(d[i]) : fmax(sum, fabs(d[i]));
    return norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

static int64_t count_at(const plane_set *p, const double *d)
{
    int64_t count = 0, last = -1;
    for (int64_t k = 0; k < p->s.halves; k++) {
        double v = p->half[k].fixed;
        for (int64_t j = 0; j < p->s.n; j++) v += p->half[k].at[j] * d[j];
        if (v > 0 || p->half[k].series == last) continue;
        last = p->half[k].series;
        count++;
    }
    return count;
}

/* In the plane: the ball's rim and inside, finely. */
static int64_t most_in_plane(const plane_set *p)
{
    int64_t best = 0;
    for (int i = 0; i < 4000; i++)
        for (int k = 1; k <= 8; k++) {
            double d[2] = { cos(i * 0.0015707963), sin(i * 0.0015707963) };
            double size = norm_of(p->s.norm, d, 2) * (1 + 1e-12) / (k / 8.0);
            for (int j = 0; j < 2; j++) d[j] /= size;
            int64_t count = count_at(p, d);
            best = count > best ? count : best;
        }
    return best;
}

static rob_status solve(plane_set *p)
{
    rob_memory m;
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    m = ctx->memory;
    rob_fp_state fp = rob_priv_fp_enter();
    rob_status status = rob_priv_shared_most(&m, &p->s);
    rob_priv_fp_leave(fp);
    rob_ctx_free(ctx);
    return status;
}

static int64_t alone(const plane_set *p)
{
    int64_t count = 0, last = -1;
    for (int64_t k = 0; k < p->s.halves; k++) {
        int32_t dual = p->s.norm == ROB_NORM_L2 ? ROB_NORM_L2
                       : p->s.norm == ROB_NORM_L1 ? ROB_NORM_LINF : ROB_NORM_L1;
        if (p->half[k].fixed > p->s.eps * norm_of(dual, p->half[k].at, p->s.n)) continue;
        count += p->half[k].series != last;
        last = p->half[k].series;
    }
    return count;
}

START_TEST(bounds_meet_what_all_points_reach)
{
    rob_random r = rob_priv_random(5, (uint64_t)_i);
    int met = 0, better = 0, trials = 12;
    for (int t = 0; t < trials; t++) {
        plane_set p;
        random_set(&p, &r, 2, 4 + 2 * t, NORMS[_i], 0.3 + 0.1 * (t % 5));
        ck_assert_int_eq(solve(&p), ROB_OK);
        int64_t truth = most_in_plane(&p);
        ck_assert_int_ge(p.s.most, truth);
        ck_assert_int_le(p.s.most, alone(&p));
        ck_assert_int_le(p.s.reached, p.s.most);
        met += p.s.most <= truth + 1;
        better += p.s.most < alone(&p);
    }
    ck_assert_int_ge(met, trials - 3);
    ck_assert_int_ge(better, trials / 2);
}
END_TEST

/* Many dimensions: no point found by a random search, nor by steps towards what is near,
 * exceeds the bound. */
START_TEST(no_point_exceeds_the_bound)
{
    rob_random r = rob_priv_random(6, (uint64_t)_i);
    for (int t = 0; t < 30; t++) {
        plane_set p;
        int64_t n = 3 + t % 6;
        random_set(&p, &r, n, 20, NORMS[_i % 3], 0.2 + 0.2 * (t % 4));
        p.s.cuts = t % 3 ? 100 : 5;
        ck_assert_int_eq(solve(&p), ROB_OK);
        for (int k = 0; k < 400; k++) {
            double d[DIM] = { 0 };
            for (int64_t j = 0; j < n; j++) d[j] = 0.3 * rob_priv_normal(&r);
            for (int step = 0; step < 6; step++) {
                int64_t pick = rob_priv_below(&r, p.s.halves);
                for (int64_t j = 0; j < n; j++)
                    d[j] -= 0.3 * rob_priv_uniform(&r) * p.half[pick].at[j];
                double size = norm_of(p.s.norm, d, n) * (1 + 1e-12);
                for (int64_t j = 0; size > 1 && j < n; j++) d[j] /= size;
                ck_assert_int_le(count_at(&p, d), p.s.most);
            }
        }
    }
}
END_TEST

/* Bounds a quarter too high lose points that exist. */
START_TEST(a_wrong_bound_is_seen)
{
    rob_random r = rob_priv_random(7, (uint64_t)_i);
    int seen = 0;
    for (int t = 0; t < 20; t++) {
        plane_set p;
        random_set(&p, &r, 2, 16, NORMS[_i], 0.6);
        p.s.fault = 0.25;
        ck_assert_int_eq(solve(&p), ROB_OK);
        seen += p.s.most < most_in_plane(&p);
    }
    ck_assert_int_gt(seen, 3);
}
END_TEST

/* Opposite half-spaces exclude each other; equal ones do not; ties count. */
START_TEST(closed_forms)
{
    plane_set p = { .at = { 1, 0, -1, 0, 0, 1, 0, -1 } };
    for (int k = 0; k < 4; k++) p.half[k] = (rob_half){ k, 0.5, p.at + 2 * k };
    p.s = (rob_shared){ .half = p.half, .halves = 4, .n = 2, .cuts = 200, .norm = NORMS[_i], .eps = 1 };
    ck_assert_int_eq(solve(&p), ROB_OK);
    ck_assert_int_eq(p.s.most, 2);            /* one of each pair; at .5, .5 both */
    p.half[0].fixed = p.half[2].fixed = 0.9;  /* L1: no longer both of 0 and 2 */
    p.s.halves = 2;
    ck_assert_int_eq(solve(&p), ROB_OK);
    ck_assert_int_eq(p.s.most, 1);
    p.half[0].fixed = 1;                      /* met on the rim exactly */
    p.s.halves = 1;
    ck_assert_int_eq(solve(&p), ROB_OK);
    ck_assert_int_eq(p.s.most, 1);
    p.half[0].fixed = 1 + 1e-9;
    ck_assert_int_eq(solve(&p), ROB_OK);
    ck_assert_int_eq(p.s.most, 0);
    p.half[0] = (rob_half){ 0, -1, p.at };    /* fails at zero as well */
    ck_assert_int_eq(solve(&p), ROB_OK);
    ck_assert_int_eq(p.s.most, 1);
}
END_TEST

/* ---- networks -------------------------------------------------------------------- */

typedef struct bench { rob_ctx *ctx; rob_model *model; rob_query *query; int64_t n; } bench;

static bench bench_open(int32_t kind, uint64_t seed, int64_t series, int32_t norm, double eps)
{
    enum { T = 6, D = 2 };
    bench b = { .n = T * D };
    double x[T * D];
    ck_assert_int_eq(rob_ctx_create(&b.ctx), ROB_OK);
    b.model = random_model(b.ctx, kind, 1, ROB_READOUT_LAST, D, 6, 3, 1, seed, false);
    ck_assert_int_eq(rob_query_create(b.ctx, b.model, &b.query), ROB_OK);
    rob_random r = rob_priv_random(seed, 3);
    for (int64_t i = 0; i < series; i++) {
        for (int64_t k = 0; k < T * D; k++) x[k] = rob_priv_normal(&r);
        ck_assert_int_eq(rob_query_add(b.ctx, b.query, x, T, -1), ROB_OK);
    }
    ck_assert_int_eq(rob_query_set_ball(b.ctx, b.query, norm, eps), ROB_OK);
    return b;
}

static void bench_close(bench *b)
{
    rob_query_free(b->query);
    rob_model_free(b->model);
    rob_ctx_free(b->ctx);
}

static const int32_t KINDS[] = { ROB_KIND_RNN_TANH, ROB_KIND_LSTM, ROB_KIND_GRU };
static const char *const METHODS[] = { "interval", "zonotope", "crown", "alpha" };

/* The attack never breaks more than was proved. */
START_TEST(no_attack_breaks_more)
{
    int64_t open = 0, most = 0, fooled_all = 0;
    for (uint64_t seed = 0; seed < 3; seed++)
        for (int e = 0; e < 3; e++) {
            double eps = (const double[]){ 0.05, 0.15, 0.4 }[e], three[3], fooled[5];
            int32_t norm = NORMS[1 + (seed + (uint64_t)e) % 2];
            bench b = bench_open(KINDS[_i % 3], 10 + seed, 24, norm, eps);
            rob_bound *bound;
            rob_attack *attack;
            int64_t proved = -1, count;
            ck_assert_int_eq(rob_bound_create(b.ctx, METHODS[1 + (_i + e) % 3], &bound), ROB_OK);
            ck_assert_int_eq(rob_bound_set(b.ctx, bound, "choices", 4), ROB_OK);
            ck_assert_int_eq(rob_bound_set(b.ctx, bound, "cuts", 60), ROB_OK);
            ck_assert_msg(rob_bound_universal(b.ctx, bound, b.query, &proved) == ROB_OK, "%s",
                          rob_ctx_error(b.ctx));
            ck_assert_int_eq(rob_bound_get(b.ctx, bound, "universal", 0, three, 3, &count), ROB_OK);
            ck_assert_int_eq(count, 3);
            ck_assert(three[0] == (double)proved && three[2] >= three[0] && three[1] >= three[2]);
            ck_assert_int_eq(rob_attack_create(b.ctx, "universal", &attack), ROB_OK);
            ck_assert_int_eq(rob_attack_universal(b.ctx, attack, b.query, NULL, 0, NULL), ROB_OK);
            ck_assert_int_eq(rob_attack_get(b.ctx, attack, "fooled", 0, fooled, 5, NULL), ROB_OK);
            ck_assert_msg(fooled[0] <= three[0], "%g broken, %g proved", fooled[0], three[0]);
            open += (int64_t)three[2];
            most += proved;
            fooled_all += (int64_t)fooled[0];
            rob_attack_free(attack);
            rob_bound_free(bound);
            bench_close(&b);
        }
    ck_assert_int_lt(most, open);
    ck_assert_int_gt(fooled_all, 0);
}
END_TEST

/* Rows are where their affine functions say, at random points of the ball and on its rim;
 * with a fault in the planes some are not. */
static int violations(bench *b, rob_bound *bound, double eps, int32_t norm)
{
    int bad = 0;
    rob_random r = rob_priv_random(31, 1);
    double *d = malloc((size_t)b->n * sizeof *d), *p = malloc((size_t)b->n * sizeof *p);
    for (int64_t i = 0; i < b->query->count; i++)
        for (int t = 0; t < 6; t++) {
            const rob_case *c = &b->query->cases[i];
            for (int64_t k = 0; k < b->n; k++) d[k] = rob_priv_normal(&r);
            double size = eps * (1 - 0x1p-30) / norm_of(norm, d, b->n);
            for (int64_t k = 0; k < b->n; k++) p[k] = c->x[k] + size * d[k];
            mpfr_t *f = exact_vector(c->spec.outputs);
            exact_logits(b->model, p, c->steps, f);
            const rob_answer *a = &bound->answer[i];
            for (int64_t row = 0; row < c->spec.rows; row++) {
                double says = a->affine[c->spec.rows * b->n + row], truth = c->spec.b[row];
                for (int64_t k = 0; k < b->n; k++)
                    says += a->affine[row * b->n + k] * (p[k] - c->x[k]);
                for (int64_t j = 0; j < c->spec.outputs; j++)
                    truth += c->spec.c[row * c->spec.outputs + j] * mpfr_get_d(f[j], MPFR_RNDN);
                /* sums of tens of terms below 10 in double: 1e-12 covers their rounding */
                bad += says > truth + 1e-12;
            }
            exact_free(f, c->spec.outputs);
        }
    free(d), free(p);
    return bad;
}

static void lift(rob_bend *b)
{
    for (int64_t e = 0; e < b->n; e++) ((double *)b->lo_offset)[e] += 0.05;
}

START_TEST(affine_functions_hold)
{
    for (int32_t fault = 0; fault < 2; fault++) {
        bench b = bench_open(KINDS[_i], 77, 6, ROB_NORM_L2, 0.3);
        rob_bound *bound;
        ck_assert_int_eq(rob_bound_create(b.ctx, "crown", &bound), ROB_OK);
        bound->fault = fault ? lift : NULL;
        ck_assert_int_eq(rob_bound_universal(b.ctx, bound, b.query, NULL), ROB_OK);
        int bad = violations(&b, bound, 0.3, ROB_NORM_L2);
        ck_assert_msg(fault ? bad > 0 : bad == 0, "%d", bad);
        rob_bound_free(bound);
        bench_close(&b);
    }
}
END_TEST

START_TEST(what_is_asked_wrongly_is_told)
{
    bench b = bench_open(ROB_KIND_RNN_TANH, 1, 2, ROB_NORM_L2, INFINITY);
    rob_bound *bound;
    int64_t most = 17;
    double three[3], x[4] = { 0 };
    ck_assert_int_eq(rob_bound_create(b.ctx, "crown", &bound), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(b.ctx, bound, b.query, &most), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_universal(NULL, bound, b.query, &most), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_universal(b.ctx, NULL, b.query, &most), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_get(b.ctx, bound, "universal", 0, three, 3, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_ball(b.ctx, b.query, ROB_NORM_L2, 0.01), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(b.ctx, bound, b.query, NULL), ROB_OK);
    ck_assert_int_eq(rob_bound_get(b.ctx, bound, "universal", 0, three, 2, NULL), ROB_ESHAPE);
    ck_assert_int_eq(rob_query_add(b.ctx, b.query, x, 2, -1), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(b.ctx, bound, b.query, &most), ROB_ESHAPE);
    ck_assert_int_eq(most, 17);
    rob_bound_free(bound);
    bench_close(&b);
}
END_TEST

/* A mask that holds everything: nothing fails. One that holds all but a step: fewer. */
START_TEST(masks_hold)
{
    bench b = bench_open(ROB_KIND_LSTM, 4, 12, ROB_NORM_L2, 1);
    rob_bound *bound;
    int64_t all, one, none;
    uint8_t mask[12] = { 0 };
    ck_assert_int_eq(rob_bound_create(b.ctx, "crown", &bound), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(b.ctx, bound, b.query, &all), ROB_OK);
    mask[11] = 1;
    ck_assert_int_eq(rob_query_set_mask(b.ctx, b.query, -1, mask, 12), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(b.ctx, bound, b.query, &one), ROB_OK);
    mask[11] = 0;
    ck_assert_int_eq(rob_query_set_mask(b.ctx, b.query, -1, mask, 12), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(b.ctx, bound, b.query, &none), ROB_OK);
    ck_assert_int_eq(none, 0);
    ck_assert(one <= all && all > 0);
    rob_bound_free(bound);
    bench_close(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shared");
    TCase *c = tcase_create("one for all");
    tcase_add_loop_test(c, bounds_meet_what_all_points_reach, 0, 3);
    tcase_add_loop_test(c, no_point_exceeds_the_bound, 0, 3);
    tcase_add_loop_test(c, a_wrong_bound_is_seen, 0, 3);
    tcase_add_loop_test(c, closed_forms, 0, 3);
    tcase_add_loop_test(c, no_attack_breaks_more, 0, 3);
    tcase_add_loop_test(c, affine_functions_hold, 0, 3);
    tcase_add_test(c, what_is_asked_wrongly_is_told);
    tcase_add_test(c, masks_hold);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
