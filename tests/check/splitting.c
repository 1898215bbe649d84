/* splitting.c -- the estimators on margins that have a formula.
 *
 * Statistical tests. Counting is judged by its own exact interval at confidence 0.9999:
 * a cell raises a false alarm with probability 1e-4. Splitting is judged by the
 * variance V of log p_hat for ideal moves (docs/theory/sample.md, section 7), doubled
 * for the correlation that is left after finitely many, and 3.89 standard deviations:
 * 1e-4 again. Seeds are fixed, so a test passes always or never.
 */
#include "check/harness.h"
#include "sample/closed.h"
#include "sample/sample.h"

#include <robust.h>

#include <math.h>

static const double Z = 3.8906;

static rob_ctx *ctx;
static rob_room room;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    room = (rob_room){.memory = ctx->memory};
}

static void stop(void)
{
    rob_priv_room_free(&room);
    rob_ctx_free(ctx);
}

/* ---- margins that have a formula ------------------------------------------------- */

enum { FLAT, UNION, PARABOLOID, BENT, BALL, STEPS, CONSTANT, BROKEN };

typedef struct shape { int kind; int64_t m; double r, rho, k; } shape;

static double margin_of(const shape *s, const double *u)
{
    double z = s->rho * u[0], bent = 0, centre = s->r + 1 / s->k;
    switch (s->kind) {
    case FLAT: return s->r - z;
    case UNION: return fmin(fmin(s->r - z, 1.1 * s->r - s->rho * u[1]), s->r + z);
    case PARABOLOID: return s->r + s->k / 2 * (s->rho * s->rho - z * z) - z;
    case BENT:
        for (int64_t i = 1; i < s->m; i++)
            bent += s->k * (double)i / (double)s->m * s->rho * s->rho * u[i] * u[i];
        return s->r + bent / 2 - z;
    case BALL:
        return (s->rho * s->rho - 2 * z * centre + centre * centre) * s->k - 1 / s->k;
    case STEPS: return z < 0.5 ? 1 : z < 0.9 ? 0.5 : -1;
    case CONSTANT: return 1;
    default: return NAN;
    }
}

static rob_status margins(void *user, int64_t rows, const double *const *u,
                          double *margin)
{
    for (int64_t r = 0; r < rows; r++) margin[r] = margin_of(user, u[r]);
    return ROB_OK;
}

static rob_sample_settings settings(int64_t samples, int64_t particles, int64_t moves)
{
    return (rob_sample_settings){.samples = samples,
                                 .pilot = samples,
                                 .particles = particles,
                                 .moves = moves,
                                 .share = 0.125,
                                 .floor = -800,
                                 .confidence = 0.9999};
}

static rob_estimate estimate(shape *s, bool split, const rob_sample_settings *to,
                             uint64_t seed)
{
    rob_field field = {.dimension = s->m, .margins = margins, .user = s};
    rob_estimate e;
    rob_priv_room_free(&room);
    ck_assert_int_eq(rob_priv_room_create(ctx, s->m, to->particles, &room), ROB_OK);
    if (split)
        ck_assert_int_eq(rob_priv_sample_split(&room, &field, seed, 3, to, &e), ROB_OK);
    else
        ck_assert_int_eq(rob_priv_sample_count(&room, &field, seed, 3, to, &e), ROB_OK);
    return e;
}

/* V for a level share k = 1/8: each factor log(7/8) of log p adds (1/7)/N */
static double variance(double logp, double n)
{
    return (logp / log(0.875) + 1) / 7 / n;
}

static void check_cell(shape *s, double low, double high)
{
    rob_sample_settings to = settings(4000, 96, 10);
    if (high > -6) {
        rob_estimate e = estimate(s, false, &to, 11);
        ck_assert(e.lower <= high && e.upper >= low);
    }
    if (low < -1e3) return;
    rob_estimate e = estimate(s, true, &to, 12);
    double v = 2 * variance(low, 96);
    ck_assert_msg(e.logp >= low - Z * sqrt(v) - v && e.logp <= high + Z * sqrt(v),
                  "shape %d, rho %g: %g outside %g to %g", s->kind, s->rho, e.logp, low,
                  high);
    ck_assert(e.lower < e.logp && e.logp < e.upper);
}

START_TEST(flat_boundaries_are_caps)
{
    static const int64_t m[] = {2, 3, 20, 200};
    for (int i = 0; i < 4; i++)
        for (double rho = 1.02; rho < 12; rho *= 1.7) {
            shape s = {.kind = FLAT, .m = m[i], .r = 1, .rho = rho, .k = 1};
            double exact = rob_priv_flat_log(1, rho, m[i]);
            if (exact > -40) check_cell(&s, exact, exact);
        }
}
END_TEST

START_TEST(unions_lie_between_the_largest_part_and_the_sum)
{
    for (double rho = 1.4; rho < 12; rho *= 1.6) {
        shape s = {.kind = UNION, .m = 30, .r = 1, .rho = rho, .k = 1};
        double part[3] = {rob_priv_flat_log(1, rho, 30),
                          rob_priv_flat_log(1.1, rho, 30),
                          rob_priv_flat_log(1, rho, 30)};
        check_cell(&s, part[0], rob_priv_union_log(part, 3));
    }
}
END_TEST

/* Failing balls (k > 0) and safe ones (k < 0) in a thousand dimensions: quadratic
 * classifiers F = |w - a|^2 - b and its negative. */
START_TEST(spherical_boundaries_are_caps)
{
    static const double k[] = {-0.02, 0.05};
    for (int i = 0; i < 2; i++)
        for (double rho = 6; rho < 24; rho *= 2) {
            shape s = {.kind = BALL, .m = 1000, .r = 1, .rho = rho, .k = k[i]};
            double exact =
                rob_priv_cap_log(rob_priv_hessian_height(1, rho, k[i]), 1000);
            if (exact > -25) check_cell(&s, exact, exact);
        }
}
END_TEST

START_TEST(isotropic_curvature_is_a_cap_and_unequal_ones_are_bracketed)
{
    for (double k = -0.05; k < 0.1; k += 0.049)
        for (double rho = 2; rho < 12; rho *= 1.7) {
            shape s = {.kind = PARABOLOID, .m = 40, .r = 1, .rho = rho, .k = k};
            double exact = rob_priv_cap_log(rob_priv_curved_height(1, rho, k), 40);
            double flat = rob_priv_flat_log(1, rho, 40);
            check_cell(&s, exact, exact);
            s.kind = BENT;                            /* curvatures 0 to k */
            check_cell(&s, fmin(exact, flat), fmax(exact, flat));
        }
}
END_TEST

/* Mean of 20 runs. log p_hat is close to normal with mean log p - V/2 when p_hat has
 * mean p; the normal form's own error is of order V^2, below V/2 here. */
START_TEST(splitting_is_unbiased_down_to_1e_12)
{
    static const double logp[] = {-2, -9.2, -18.4, -27.6};
    shape s = {.kind = FLAT, .m = 8, .rho = 1, .k = 1};
    rob_sample_settings to = settings(0, 128, 10);
    enum { RUNS = 20 };
    double mean = 0, square = 0, v = variance(logp[_i], 128);
    s.r = rob_priv_cap_height(logp[_i], s.m);
    for (int run = 0; run < RUNS; run++) {
        double found =
            estimate(&s, true, &to, (uint64_t)(100 * _i + run)).logp - logp[_i];
        mean += found / RUNS;
        square += found * found / RUNS;
    }
    ck_assert_msg(fabs(mean + v / 2) <= Z * sqrt(2 * v / RUNS) + v / 2, "mean %g, V %g",
                  mean, v);
    /* the spread is what the interval claims: chi square with 20 degrees, 1e-4 each
     * side, is within [4.4, 52.4]; V doubled above */
    ck_assert(RUNS * square >= 4.4 * v * 0.5 && RUNS * square <= 52.4 * 2 * v);
}
END_TEST

START_TEST(splitting_reaches_1e_300)
{
    shape s = {
        .kind = FLAT, .m = 60, .rho = 1, .k = 1, .r = rob_priv_cap_height(-690, 60)};
    rob_sample_settings to = settings(0, 32, 8);
    double v = variance(-690, 32);
    rob_estimate e = estimate(&s, true, &to, 21);
    ck_assert(fabs(e.logp + v / 2 + 690) <= Z * sqrt(2 * v) + v / 2);
    ck_assert(e.lower < -690 && e.upper > -690);
}
END_TEST

/* F takes three values: whole plateaus are killed at once, and the mean must not
 * notice. */
START_TEST(plateaus_of_the_margin_do_not_bias_splitting)
{
    shape s = {.kind = STEPS, .m = 3, .rho = 1, .k = 1};
    rob_sample_settings to = settings(0, 200, 10);
    enum { RUNS = 40 };
    double mean = 0, p1 = 0.25, p2 = 0.05 / 0.25;
    double v = ((1 - p1) / p1 + (1 - p2) / p2) / 200;
    for (int run = 0; run < RUNS; run++)
        mean += estimate(&s, true, &to, (uint64_t)(500 + run)).logp / RUNS;
    ck_assert(fabs(mean + v / 2 - log(0.05)) <= Z * sqrt(2 * v / RUNS) + v / 2);
}
END_TEST

START_TEST(what_cannot_be_reached_is_bounded_from_above)
{
    shape s = {.kind = CONSTANT, .m = 5, .rho = 1, .k = 1};
    rob_sample_settings to = settings(100, 64, 5);
    rob_estimate e = estimate(&s, true, &to, 1);
    ck_assert(isinf(e.logp) && isinf(e.lower) && e.upper <= 0 && e.hits == 0);
    e = estimate(&s, false, &to, 1);
    ck_assert(isinf(e.logp) && isinf(e.lower) && e.upper < log(0.12));
    s = (shape){
        .kind = FLAT, .m = 8, .rho = 1, .k = 1, .r = rob_priv_cap_height(-27.6, 8)};
    to.budget = 1500;
    e = estimate(&s, true, &to, 2);
    ck_assert(isinf(e.logp) && isinf(e.lower) && e.upper > -27.6 && e.upper < -2);
    ck_assert_int_le(e.calls, 1500 + 64 * 5);
    to.budget = 0;
    to.floor = -5;
    e = estimate(&s, true, &to, 2);
    ck_assert(isinf(e.logp) && e.upper > -27.6 && e.upper < -2);
}
END_TEST

START_TEST(margins_that_are_no_numbers_are_an_error)
{
    shape s = {.kind = BROKEN, .m = 5, .rho = 1, .k = 1};
    rob_field field = {.dimension = 5, .margins = margins, .user = &s};
    rob_sample_settings to = settings(100, 64, 5);
    rob_estimate e = {.calls = -7};
    ck_assert_int_eq(rob_priv_room_create(ctx, 5, 64, &room), ROB_OK);
    ck_assert_int_eq(rob_priv_sample_count(&room, &field, 1, 0, &to, &e), ROB_ENUMERIC);
    ck_assert_int_eq(rob_priv_sample_split(&room, &field, 1, 0, &to, &e), ROB_ENUMERIC);
    ck_assert_int_eq(e.calls, -7);
}
END_TEST

/* First and second moments: sums of m normals squared have standard error
 * sqrt(2/n)/m. */
START_TEST(directions_and_moves_have_unit_length_and_no_preference)
{
    enum { MANY = 20000, M = 4 };
    double sum[M] = {0}, square[M] = {0}, u[M], v[M];
    for (uint64_t i = 0; i < MANY; i++) {
        double length = 0, along = 0;
        rob_priv_sphere_draw(5, i, M, u);
        rob_priv_sphere_move(6, i, M, 0.7, u, v);
        for (int k = 0; k < M; k++) {
            length += v[k] * v[k];
            along += u[k] * v[k];
            sum[k] += v[k] / MANY;
            square[k] += v[k] * v[k] / MANY;
        }
        ck_assert(fabs(length - 1) < 1e-15 && fabs(along - cos(0.7)) < 4e-16 * M);
    }
    /* variance of a coordinate is 1/m, of its square 2 (m-1)/(m^2 (m+2)) */
    for (int k = 0; k < M; k++) {
        ck_assert(fabs(sum[k]) < Z * sqrt(1.0 / M / MANY));
        ck_assert(fabs(square[k] - 1.0 / M)
                  < Z * sqrt(2.0 * (M - 1) / (M * M * (M + 2)) / MANY));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("splitting");
    TCase *core = tcase_create("estimators");
    tcase_add_checked_fixture(core, start, stop);
    tcase_add_test(core, directions_and_moves_have_unit_length_and_no_preference);
    tcase_add_test(core, flat_boundaries_are_caps);
    tcase_add_test(core, unions_lie_between_the_largest_part_and_the_sum);
    tcase_add_test(core, spherical_boundaries_are_caps);
    tcase_add_test(core, isotropic_curvature_is_a_cap_and_unequal_ones_are_bracketed);
    tcase_add_loop_test(core, splitting_is_unbiased_down_to_1e_12, 0, 4);
    tcase_add_test(core, splitting_reaches_1e_300);
    tcase_add_test(core, plateaus_of_the_margin_do_not_bias_splitting);
    tcase_add_test(core, what_cannot_be_reached_is_bounded_from_above);
    tcase_add_test(core, margins_that_are_no_numbers_are_an_error);
    suite_add_tcase(s, core);
    return rob_run_suite(s);
}
