/* shared_parts.c -- one perturbation of few coordinates for all series, on parts of the ball.
 *
 * Random recurrent nets of trained size; offsets, random subspaces, few numbers that move.
 * Every u of a fine grid (one coordinate), random and corner points, and the universal attack fail
 * no more series than was proved; on a line the proof meets the grid. Wrong planes, and
 * parts that leave holes between them, are seen.
 */
#include "bound/shared/universal.h"
#include "check/multiple.h"

#include "check/harness.h"
#include "check/poor.h"
#include <check.h>
#include <robust/attack.h>
#include <robust/bound.h>

enum { T = 6, D = 2, N = T * D, SERIES = 10 };

static const int32_t NORMS[] = { ROB_NORM_L1, ROB_NORM_L2, ROB_NORM_LINF };
static const int32_t KINDS[] = { ROB_KIND_RNN_TANH, ROB_KIND_LSTM, ROB_KIND_GRU };

typedef struct scene {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    int64_t m;
    double e[N * 3], eps;
    int32_t norm;
} scene;

/* m columns: a constant, then random ones */
static scene open_scene(int32_t kind, uint64_t seed, int64_t m, int32_t norm, double eps)
{
    scene s = { .m = m, .eps = eps, .norm = norm };
    double x[N];
    rob_random r = rob_priv_random(seed, 8);
    ck_assert_int_eq(rob_ctx_create(&s.ctx), ROB_OK);
    s.model = random_model(s.ctx, kind, 1, ROB_READOUT_LAST, D, 8, 3, 1.5, seed, false);
    ck_assert_int_eq(rob_query_create(s.ctx, s.model, &s.query), ROB_OK);
    for (int64_t i = 0; i < SERIES; i++) {
        for (int64_t k = 0; k < N; k++) x[k] = rob_priv_normal(&r);
        ck_assert_int_eq(rob_query_add(s.ctx, s.query, x, T, -1), ROB_OK);
    }
    for (int64_t k = 0; k < N * m; k++) s.e[k] = k % m == 0 ? 1 : rob_priv_normal(&r);
    ck_assert_int_eq(rob_query_set_subspace(s.ctx, s.query, -1, s.e, N, m), ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(s.ctx, s.query, norm, eps), ROB_OK);
    return s;
}

static void close_scene(scene *s)
{
    rob_query_free(s->query);
    rob_model_free(s->model);
    rob_ctx_free(s->ctx);
}

/* Series that hold and clearly fail at u: 1e-9 is far above what float64 rounds logits
 * of size 10 after a few hundred operations by. */
static int64_t fail_at(scene *s, const double *u)
{
    static double points[SERIES * N], f[SERIES * 3];
    const double *point[SERIES];
    int64_t steps[SERIES], count = 0;
    rob_evaluator *e;
    for (int64_t i = 0; i < SERIES; i++) {
        for (int64_t k = 0; k < N; k++) {
            points[i * N + k] = s->query->cases[i].x[k];
            for (int64_t j = 0; j < s->m; j++)
                points[i * N + k] += s->e[k * s->m + j] * u[j];
        }
        point[i] = points + i * N;
        steps[i] = T;
    }
    ck_assert_int_eq(rob_priv_query_evaluator(s->ctx, s->query, ROB_F64, false, &e), ROB_OK);
    ck_assert_int_eq(rob_priv_evaluate(s->ctx, e, SERIES, point, steps, f), ROB_OK);
    for (int64_t i = 0; i < SERIES; i++) {
        const rob_case *c = &s->query->cases[i];
        count += !c->wrong && rob_priv_spec_margin(&c->spec, f + 3 * i, NULL) < -1e-9;
    }
    return count;
}

static int64_t most_on_grid(scene *s)
{
    int64_t best = 0;
    for (int k = -150; k <= 150; k++) {
        double u = s->eps * k / 150.0;
        int64_t count = fail_at(s, &u);
        best = count > best ? count : best;
    }
    return best;
}

/* On the rim, at corners, inside. */
static int64_t most_at_random(scene *s, rob_random *r, int trials)
{
    int64_t best = 0;
    for (int t = 0; t < trials; t++) {
        double u[3];
        for (int64_t j = 0; j < s->m; j++) {
            u[j] = rob_priv_normal(r);
            if (t % 3 == 0) u[j] = u[j] < 0 ? -1 : 1;
        }
        double size = rob_priv_norm(s->norm, u, s->m);
        double to = s->eps * (1 - 0x1p-40) * (t % 4 == 3 ? rob_priv_uniform(r) : 1) / size;
        for (int64_t j = 0; j < s->m; j++) u[j] *= to;
        int64_t count = fail_at(s, u);
        best = count > best ? count : best;
    }
    return best;
}

static int64_t attacked(scene *s)
{
    rob_attack *a;
    double fooled[5];
    ck_assert_int_eq(rob_attack_create(s->ctx, "universal", &a), ROB_OK);
    ck_assert_int_eq(rob_attack_universal(s->ctx, a, s->query, NULL, 0, NULL), ROB_OK);
    ck_assert_int_eq(rob_attack_get(s->ctx, a, "fooled", 0, fooled, 5, NULL), ROB_OK);
    rob_attack_free(a);
    return (int64_t)fooled[0];
}

static int64_t proved(scene *s, const char *method, double parts, void (*fault)(rob_bend *))
{
    rob_bound *b;
    int64_t most = -1;
    ck_assert_int_eq(rob_bound_create(s->ctx, method, &b), ROB_OK);
    ck_assert_int_eq(rob_bound_set(s->ctx, b, "parts", parts), ROB_OK);
    b->fault = fault;
    ck_assert_msg(rob_bound_universal(s->ctx, b, s->query, &most) == ROB_OK, "%s",
                  rob_ctx_error(s->ctx));
    rob_bound_free(b);
    return most;
}

/* One coordinate: the proof lies between the grid and the proof on the whole ball, and meets
 * the grid. */
START_TEST(a_line_is_met)
{
    int64_t sum = 0, truth = 0, before = 0;
    for (uint64_t seed = 0; seed < 2; seed++) {
        scene s = open_scene(KINDS[_i], 24 + seed, 1, NORMS[seed], 0.4);
        int64_t whole = proved(&s, "auto", 0, NULL);
        int64_t few = proved(&s, "auto", 8, NULL), many = proved(&s, "zonotope", 30, NULL);
        int64_t grid = most_on_grid(&s);
        ck_assert_int_ge(few, grid);
        ck_assert_int_ge(many, grid);
        ck_assert_int_le(few, whole);
        sum += many, truth += grid, before += whole;
        close_scene(&s);
    }
    ck_assert_int_gt(truth, 0);
    ck_assert_msg(sum <= truth + 1 && sum < before, "%d proved, %d on the grid, %d without",
                  (int)sum, (int)truth, (int)before);
}
END_TEST

START_TEST(no_point_and_no_attack_exceeds)
{
    int64_t sum = 0, before = 0;
    rob_random r = rob_priv_random(41, (uint64_t)_i);
    for (int32_t norm = 0; norm < 3; norm++) {
        scene s = open_scene(KINDS[_i], 30 + (uint64_t)norm, 2 + norm % 2, NORMS[norm], 0.25);
        int64_t whole = proved(&s, "zonotope", 0, NULL), most = proved(&s, "zonotope", 20, NULL);
        ck_assert_int_ge(most, attacked(&s));
        ck_assert_int_ge(most, most_at_random(&s, &r, 150));
        ck_assert_int_le(most, whole);
        sum += most, before += whole;
        close_scene(&s);
    }
    ck_assert_int_lt(sum, before);
}
END_TEST

static void lift(rob_bend *b)
{
    for (int64_t e = 0; e < b->n; e++) ((double *)b->lo_offset)[e] += 0.05;
}

/* Planes that are wrong prove series that fail. */
START_TEST(wrong_planes_are_seen)
{
    int seen = 0;
    for (uint64_t seed = 0; seed < 2; seed++) {
        scene s = open_scene(KINDS[_i], 24 + seed, 1, ROB_NORM_L2, 0.4);
        seen += proved(&s, "crown", 12, lift) < most_on_grid(&s);
        close_scene(&s);
    }
    ck_assert_int_gt(seen, 0);
}
END_TEST

/* Parts that cover a tenth of themselves lose points. */
START_TEST(holes_between_parts_are_seen)
{
    int seen = 0;
    for (uint64_t seed = 20; seed < 26; seed++) {
        scene s = open_scene(KINDS[seed % 3], seed, 1, ROB_NORM_L2, 0.4);
        int64_t most = -1;
        rob_bound *b;
        ck_assert_int_eq(rob_bound_create(s.ctx, "zonotope", &b), ROB_OK);
        b->fault_part = 0.9;
        ck_assert_int_eq(rob_bound_universal(s.ctx, b, s.query, &most), ROB_OK);
        seen += most < most_on_grid(&s);
        rob_bound_free(b);
        close_scene(&s);
    }
    ck_assert_int_gt(seen, 0);
}
END_TEST

/* A moved series is where it is said to be, give or take `off`: without it, a centre off by as
 * much as 1 beside x of 2^53 would lose the point. */
START_TEST(rounded_centres_are_paid_for)
{
    const double x[2] = { 0x1p53, 3 }, off[2] = { 2, 0 }, basis[2] = { 0.5, 0 };
    const rob_region region = { .x = x, .steps = 1, .features = 2, .n = 2, .m = 1,
                                .norm = ROB_NORM_LINF, .radius = 1, .unit = 1,
                                .basis = basis, .variation = INFINITY,
                                .difference = INFINITY, .off = off };
    const rob_ball ball = { x, NULL, ROB_NORM_LINF, 1, &region };
    double lo[2], up[2], base = 0, loss = 0, measure[5] = { 0 };
    const double a[2] = { -3, 7 };
    rob_priv_ball_range(&ball, 0, 2, lo, up);
    ck_assert(lo[0] <= x[0] - 2.5 && up[0] >= x[0] + 2.5);
    ck_assert(lo[1] <= 3 && up[1] >= 3);
    rob_priv_ball_collect(&ball, 0, 2, 1, a, 2, &base, &loss, measure);
    double slope = rob_priv_ball_slope(&ball, measure, 40);
    double least = base - loss - rob_priv_ball_loss(&ball, measure, slope, 40);
    /* -3 (2^53 + 2 + 1/2) + 21, and at most the roundings of five sums of 3 2^53 below */
    ck_assert(least <= -3 * (0x1p53 + 2.5) + 21 && least >= -3 * (0x1p53 + 2.5) - 20 * 24);
}
END_TEST

/* Series of 1e6 and steps of 1e-9: centres and columns are rounded, and nothing is lost. */
START_TEST(far_from_zero)
{
    scene s = open_scene(ROB_KIND_RNN_TANH, 3, 1, ROB_NORM_L2, 1e-9);
    double x[N];
    rob_random r = rob_priv_random(3, 3);
    for (int64_t i = 0; i < SERIES; i++) {
        for (int64_t k = 0; k < N; k++) x[k] = 1e6 * rob_priv_normal(&r);
        ck_assert_int_eq(rob_query_replace(s.ctx, s.query, i, x, T, -1), ROB_OK);
    }
    ck_assert_int_ge(proved(&s, "auto", 30, NULL), most_on_grid(&s));
    close_scene(&s);
}
END_TEST

/* Radii at the ends of the number line, in every norm: the number still holds. */
START_TEST(radii_without_measure)
{
    const double radii[] = { 0, 5e-324, 1e-300, 1e30, 1e200, 1e308 };
    for (int e = 0; e < 6; e++) {
        scene s = open_scene(KINDS[e % 3], 40 + (uint64_t)e, 1 + e % 2, NORMS[_i], radii[e]);
        int64_t most = proved(&s, "zonotope", 6, NULL), held = 0;
        rob_random r = rob_priv_random(9, (uint64_t)e);
        for (int64_t i = 0; i < SERIES; i++) held += !s.query->cases[i].wrong;
        ck_assert_int_le(most, held);
        ck_assert_int_ge(most, most_at_random(&s, &r, 40));
        close_scene(&s);
    }
}
END_TEST

/* Two numbers that move are a subspace of unit columns; the number of threads is no matter. */
START_TEST(few_numbers_are_coordinates)
{
    scene s = open_scene(ROB_KIND_GRU, 7, 2, ROB_NORM_LINF, 0.8);
    uint8_t mask[N] = { 0 };
    memset(s.e, 0, sizeof s.e);
    s.e[2 * 5] = s.e[2 * 8 + 1] = 1;
    ck_assert_int_eq(rob_query_set_subspace(s.ctx, s.query, -1, s.e, N, 2), ROB_OK);
    int64_t columns = proved(&s, "auto", 30, NULL);
    ck_assert_int_eq(rob_query_set_subspace(s.ctx, s.query, -1, NULL, 0, 0), ROB_OK);
    mask[5] = mask[8] = 1;
    ck_assert_int_eq(rob_query_set_mask(s.ctx, s.query, -1, mask, N), ROB_OK);
    ck_assert_int_le(llabs(proved(&s, "auto", 30, NULL) - columns), 1);
    int64_t one = proved(&s, "auto", 20, NULL);
    ck_assert_int_eq(rob_ctx_set_threads(s.ctx, 3), ROB_OK);
    ck_assert_int_eq(proved(&s, "auto", 20, NULL), one);
    close_scene(&s);
}
END_TEST

static int32_t stop_after(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)stage, (void)done, (void)total;
    return --*(int *)user < 0;
}

/* However early it is stopped, the number holds. */
START_TEST(it_may_be_stopped)
{
    scene s = open_scene(ROB_KIND_LSTM, 24, 1, ROB_NORM_L2, 0.4);
    int64_t grid, stopped = 0;
    rob_bound *b;
    (void)proved(&s, "auto", 0, NULL);
    grid = most_on_grid(&s);
    ck_assert_int_eq(rob_bound_create(s.ctx, "zonotope", &b), ROB_OK);
    for (int left = 1; left < 3000; left = left * 4 + 1) {
        int64_t most = -1;
        int calls = left;
        rob_ctx_set_progress(s.ctx, stop_after, &calls);
        rob_status status = rob_bound_universal(s.ctx, b, s.query, &most);
        rob_ctx_set_progress(s.ctx, NULL, NULL);
        ck_assert(status == ROB_OK || status == ROB_STOPPED);
        ck_assert_int_ge(most, grid);
        stopped += status == ROB_STOPPED;
    }
    ck_assert_int_gt(stopped, 2);
    rob_bound_free(b);
    close_scene(&s);
}
END_TEST

START_TEST(what_is_not_common_is_refused)
{
    scene s = open_scene(ROB_KIND_RNN_TANH, 2, 1, ROB_NORM_L2, 0.1);
    rob_bound *b;
    int64_t most = 17;
    double scale = 2;
    ck_assert_int_eq(rob_bound_create(s.ctx, "auto", &b), ROB_OK);
    ck_assert_int_eq(rob_query_set_subspace(s.ctx, s.query, 3, s.e, N, 1), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(s.ctx, b, s.query, &most), ROB_EUNSUPPORTED);
    ck_assert(strstr(rob_ctx_error(s.ctx), "series 3") != NULL);
    ck_assert_int_eq(rob_query_set_subspace(s.ctx, s.query, 3, NULL, 0, 0), ROB_OK);
    ck_assert_int_eq(rob_query_set_scale(s.ctx, s.query, -1, &scale, 1), ROB_OK);
    ck_assert_int_eq(rob_bound_universal(s.ctx, b, s.query, &most), ROB_EUNSUPPORTED);
    ck_assert_int_eq(most, 17);
    rob_bound_free(b);
    close_scene(&s);
}
END_TEST

static rob_model *lent;

static rob_status short_life(rob_ctx *ctx)
{
    rob_status status = ROB_OK;
    const double x[4] = { 0.1, -0.2, 0.3, 0.5 }, e[2] = { 1, 1 };
    rob_query *q = NULL;
    rob_bound *b = NULL;
    TRY(rob_query_create(ctx, lent, &q));
    for (int64_t i = 0; i < 2; i++) TRY(rob_query_add(ctx, q, x + 2 * i, 2, -1));
    TRY(rob_query_set_subspace(ctx, q, -1, e, 2, 1));
    TRY(rob_query_set_ball(ctx, q, ROB_NORM_L2, 3));
    TRY(rob_bound_create(ctx, "zonotope", &b));
    TRY(rob_bound_set(ctx, b, "parts", 3));
    TRY(rob_bound_universal(ctx, b, q, NULL));
done:
    rob_bound_free(b);
    rob_query_free(q);
    return status;
}

START_TEST(it_lives_poorly)
{
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    lent = random_model(ctx, ROB_KIND_RNN_TANH, 1, ROB_READOUT_LAST, 1, 2, 2, 2, 5, false);
    rob_live_poorly(short_life);
    rob_model_free(lent);
    rob_ctx_free(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shared_parts");
    TCase *c = tcase_create("parts");
    tcase_add_loop_test(c, a_line_is_met, 0, 3);
    tcase_add_loop_test(c, no_point_and_no_attack_exceeds, 0, 3);
    tcase_add_loop_test(c, wrong_planes_are_seen, 0, 3);
    tcase_add_test(c, holes_between_parts_are_seen);
    tcase_add_test(c, rounded_centres_are_paid_for);
    tcase_add_test(c, far_from_zero);
    tcase_add_loop_test(c, radii_without_measure, 0, 3);
    tcase_add_test(c, few_numbers_are_coordinates);
    tcase_add_test(c, it_may_be_stopped);
    tcase_add_test(c, what_is_not_common_is_refused);
    tcase_add_test(c, it_lives_poorly);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
