/* quadric.c -- the exact distance to a quadric: its conditions of global optimality,
 * closed forms, brute force, the hard case; and what attacks and polishing reach on
 * models that are quadrics.
 *
 * d is the nearest point of { q <= 0 }, q(d) = t + J.d + d'Hd/2, if and only if for
 * some mu >= 0:  q(d) = 0,  d = -mu (J + H d),  1 + mu H positive semidefinite. The
 * third is what makes it global (S-lemma), so the three together are a proof.
 */
#include "harness.h"
#include "geometry.h"

#include "boundary/boundary.h"
#include <robust/attack.h>

enum { MOST = 24 };
static rob_ctx *ctx;

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

static double value_at(int64_t n, double t, const double *j, const double *lambda,
                       const double *d, double *size)
{
    double sum = t;
    *size = t;
    for (int64_t i = 0; i < n; i++) {
        sum += j[i] * d[i] + lambda[i] * d[i] * d[i] / 2;
        *size += fabs(j[i] * d[i]) + fabs(lambda[i]) * d[i] * d[i] / 2;
    }
    return sum;
}

/* mu from the coordinates where it is best determined, then the three conditions. Each
 * d_i comes from a dozen operations, mu from a Newton iteration that stops within an
 * ulp of where phi, a sum of n terms, changes sign: 64 (n + 8) eps of the terms' size.
 */
static void check_optimal(int64_t n, double t, const double *j, const double *lambda,
                          const double *d, double distance)
{
    double size, eps = 64 * ((double)n + 8) * 0x1p-52, mu = 0, top = 0, low = 0;
    double value = value_at(n, t, j, lambda, d, &size);
    ck_assert_msg(fabs(value) <= eps * size, "q = %g of %g, n %d", value, size, (int)n);
    ck_assert_double_eq_tol(length(d, n), distance, eps * distance);
    for (int64_t i = 0; i < n; i++) {
        double force = j[i] + lambda[i] * d[i];
        double sure = fabs(force) / (fabs(j[i]) + fabs(lambda[i] * d[i]) + 1e-300);
        if (sure * fabs(d[i]) > top && d[i] != 0) {
            top = sure * fabs(d[i]);
            mu = -d[i] / force;
        }
        low = fmin(low, lambda[i]);
    }
    ck_assert_double_ge(mu, 0);
    ck_assert_double_ge(1 + mu * low, -eps * (1 + mu * fabs(low)));
    for (int64_t i = 0; i < n; i++)
        ck_assert_double_eq_tol(d[i] + mu * lambda[i] * d[i], -mu * j[i],
                                eps * (distance + mu * fabs(j[i])) * 16);
}

START_TEST(nearest_points_are_globally_nearest)
{
    rob_random random = rob_priv_random(3, (uint64_t)_i);
    double j[MOST], lambda[MOST], d[MOST];
    int finite = 0;
    for (int trial = 0; trial < 200; trial++) {
        int64_t n = 1 + rob_priv_below(&random, MOST);
        double scale = exp2(rob_priv_normal(&random) * (_i == 0 ? 0 : 8));
        for (int64_t i = 0; i < n; i++) {
            j[i] = rob_priv_normal(&random);
            lambda[i] = scale * rob_priv_normal(&random);
            if (_i == 2) lambda[i] = fabs(lambda[i]);
            if (_i == 3) lambda[i] = -fabs(lambda[i]);
            if (_i == 4 && i == 0) j[i] *= 1e-9; /* almost the hard case */
            if (_i == 4 && i == 0) lambda[i] = -30 * scale;
        }
        double t = exp2(4 * rob_priv_normal(&random));
        double distance = rob_priv_quadric_distance(n, t, j, lambda, d);
        ck_assert(!isnan(distance));
        if (!isfinite(distance)) {
            double most = 0, low = 0;
            for (int64_t i = 0; i < n; i++) {
                low = fmin(low, lambda[i]);
                most += j[i] * j[i] / (2 * fabs(lambda[i]));
            }
            ck_assert_double_ge(low, 0); /* convex, and its least value t - most > 0 */
            ck_assert_double_ge(t, most * (1 - 1e-12));
            continue;
        }
        finite++;
        check_optimal(n, t, j, lambda, d, distance);
        double nu = 0, norm = length(j, n);
        for (int64_t i = 0; i < n; i++) nu = i == 0 ? -lambda[0] : fmax(nu, -lambda[i]);
        ck_assert_double_le(rob_priv_quadric_lower(t, norm, nu),
                            distance * (1 + 1e-12));
    }
    ck_assert_int_gt(finite, 0);
}
END_TEST

/* In the plane: along each direction the first root; the least over directions, on a
 * grid and then by golden section. */
static double root_along(double t, const double *j, const double *lambda, double angle)
{
    double c = cos(angle), s = sin(angle), slope = j[0] * c + j[1] * s;
    double bend = lambda[0] * c * c + lambda[1] * s * s, inside;
    inside = slope * slope - 2 * bend * t;
    if (inside < 0) return INFINITY;
    double a = (-slope - sqrt(inside)) / bend, b = (-slope + sqrt(inside)) / bend;
    double first = fmin(a, b), last = fmax(a, b);
    return first > 0 ? first : last > 0 ? last : INFINITY;
}

START_TEST(the_plane_by_brute_force)
{
    enum { GRID = 4000 };
    rob_random random = rob_priv_random(9, (uint64_t)_i);
    double j[2], lambda[2], d[2], full = 8 * atan(1),
                                  t = 0.2 + rob_priv_uniform(&random);
    for (int k = 0; k < 2; k++) {
        j[k] = rob_priv_normal(&random);
        lambda[k] = rob_priv_normal(&random) * 2;
    }
    double best = INFINITY, at = 0, step = full / GRID;
    for (int k = 0; k < GRID; k++) {
        double r = root_along(t, j, lambda, k * step);
        if (r < best) {
            best = r;
            at = k * step;
        }
    }
    double low = at - step, high = at + step, golden = (sqrt(5) - 1) / 2;
    for (int k = 0; k < 60; k++) {
        double a = high - golden * (high - low), b = low + golden * (high - low);
        if (root_along(t, j, lambda, a) < root_along(t, j, lambda, b)) high = b;
        else low = a;
    }
    best = fmin(best, root_along(t, j, lambda, (low + high) / 2));
    double distance = rob_priv_quadric_distance(2, t, j, lambda, d);
    if (!isfinite(best)) ck_assert_double_eq(distance, INFINITY);
    else /* a minimum found to sqrt(eps) in the angle is right to eps; roots cost more
          */
        ck_assert_double_eq_tol(distance, best, 1e-10 * best);
}
END_TEST

START_TEST(hard_and_empty_cases)
{
    double d[3];
    /* x^2 terms only: t - a^2 = 0 */
    ck_assert_double_eq_tol(
        rob_priv_quadric_distance(2, 9, (double[]){ 0, 0 }, (double[]){ -2, 1 }, d), 3,
        1e-14);
    /* J = (0, 1), lambda = (-4, 0), t = 1: mu = 1/4, d_1 = -1/4, phi = 3/4,
     * d_0 = sqrt(2 (3/4) / 4) */
    double distance =
        rob_priv_quadric_distance(2, 1, (double[]){ 0, 1 }, (double[]){ -4, 0 }, d);
    ck_assert_double_eq_tol(distance, sqrt(0.375 + 0.0625), 1e-14);
    ck_assert_double_eq_tol(fabs(d[0]), sqrt(0.375), 1e-14);
    ck_assert_double_eq_tol(d[1], -0.25, 1e-14);
    /* the same with a trace of J_0: continuous */
    for (double trace = 1e-3; trace > 1e-300; trace *= 1e-9) {
        double near = rob_priv_quadric_distance(2, 1, (double[]){ trace, 1 },
                                                (double[]){ -4, 0 }, d);
        ck_assert_double_le(fabs(near - distance), trace + 1e-14);
    }
    /* J orthogonal to the lowest eigenvector, but the root comes before the pole */
    distance =
        rob_priv_quadric_distance(2, 0.1, (double[]){ 0, 1 }, (double[]){ -4, 0 }, d);
    ck_assert_double_eq_tol(distance, 0.1, 1e-15);
    ck_assert_double_eq(d[0], 0);
    /* a bowl that stays above 0; one that touches below */
    ck_assert_double_eq(
        rob_priv_quadric_distance(1, 1, (double[]){ 1 }, (double[]){ 1 }, d), INFINITY);
    ck_assert_double_eq_tol(
        rob_priv_quadric_distance(1, 0.375, (double[]){ 1 }, (double[]){ 1 }, d), 0.5,
        1e-15);
    ck_assert_double_eq(
        rob_priv_quadric_distance(2, 1, (double[]){ 0, 0 }, (double[]){ 0, 1 }, d),
        INFINITY);
    ck_assert_double_eq(rob_priv_quadric_distance(0, 1, NULL, NULL, d), INFINITY);
    ck_assert_double_eq(
        rob_priv_quadric_distance(1, 0, (double[]){ 1 }, (double[]){ 1 }, d), 0);
    ck_assert(
        isnan(rob_priv_quadric_distance(1, NAN, (double[]){ 1 }, (double[]){ 1 }, d)));
    /* a plane, at any scale */
    for (double s = 1e-150; s < 1e151; s *= 1e50)
        ck_assert_double_eq_tol(
            rob_priv_quadric_distance(2, s, (double[]){ 3, 4 }, (double[]){ 0, 0 }, d)
                / s,
            0.2, 1e-16);
    ck_assert_double_eq(rob_priv_quadric_lower(1, 2, -2), 1);
    ck_assert_double_eq(rob_priv_quadric_lower(1, 1, -1), INFINITY);
    ck_assert_double_eq(rob_priv_quadric_lower(1, 0, 2), 1);
    ck_assert_double_eq(rob_priv_quadric_lower(1, 4, 0), 0.25);
}
END_TEST

/* ---- attacks on quadrics --------------------------------------------------------- */

enum { T = 6, D = 2, N = T * D };

static void place(quadratic *k, double *x, double away, uint64_t stream)
{
    double at[N];
    test_series(k->a, N, 3);
    test_series(at, N, stream);
    double size = length(at, N);
    for (int i = 0; i < N; i++) x[i] = k->a[i] + at[i] / size * away;
}

static double attack_by(const char *method, rob_query *q)
{
    rob_attack *a;
    double u;
    ck_assert_int_eq(rob_attack_create(ctx, method, &a), ROB_OK);
    ck_assert_int_eq(rob_attack_distance(ctx, a, q, &u, 1), ROB_OK);
    rob_attack_free(a);
    return u;
}

/* A sphere's gradient points at its nearest point, so both methods end there. What the
 * answer may be above | |x-a| - R |: the overshoot 1e-4 and the bracket 1e-7 of the
 * distance; float32's error of F, a sum of N + 1 terms with S = the sum of their sizes,
 * (N + 8) 2^-24 S, twice, over the slope 2R; the rounding of N coordinates |x| <= X
 * towards x, sqrt(N) 2^-23 X, twice. Below: float64's error of F. The direction is
 * found in float32: an error of 1e-5 costs its square. */
START_TEST(attacks_reach_the_sphere)
{
    const char *method = _i % 2 ? "deepfool" : "auto";
    bool inside = _i / 2 % 2;
    double radius = 2, want = inside ? 1.2 : 3.1, x[N], sum = 0, top = 0;
    quadratic k = sphere(T, D, radius, inside ? -1 : 1);
    place(&k, x, want, 5 + (uint64_t)_i);
    rob_model *m = quadratic_model(ctx, &k);
    rob_query *q = query_of(ctx, m, x, T);
    double u = attack_by(method, q), exact = fabs(want - radius);
    for (int i = 0; i < N; i++) {
        sum += (fabs(x[i]) + fabs(k.a[i])) * (fabs(x[i]) + fabs(k.a[i]));
        top = fmax(top, fabs(x[i]) + exact);
    }
    sum += radius * radius;
    double noise = 2 * (N + 8) * sum / (2 * radius);
    ck_assert_double_ge(u, exact - 0x1p-52 * noise);
    ck_assert_double_le(u, exact * (1 + 1e-4 + 2e-7 + 1e-9) + 0x1p-24 * noise
                               + 2 * sqrt(N) * 0x1p-23 * top);
    rob_query_free(q);
    rob_model_free(m);
}
END_TEST

/* Ellipsoids, hyperboloids, cylinders: no attack is below the exact distance, and
 * the polished point is at it. F in float64 errs by 16 N eps of its terms' size, and a
 * distance by that over the gradient. */
START_TEST(polishing_reaches_the_quadric)
{
    rob_random random = rob_priv_random(21, (uint64_t)_i);
    quadratic k = { .steps = T, .features = D };
    double x[N], y[N], d[N], j[N], distance, size;
    for (int i = 0; i < N; i++) {
        double l = rob_priv_normal(&random);
        k.lambda[i] = _i % 3 == 0   ? -0.3 - fabs(l)
                      : _i % 3 == 1 ? l
                      : i < 3       ? -l * l
                                    : 0;
        k.j[i] = rob_priv_normal(&random);
    }
    place(&k, x, 0.3, 8);
    k.t0 = 2;
    for (int i = 0; i < N; i++) {
        y[i] = x[i] - k.a[i];
        j[i] = k.j[i] + k.lambda[i] * y[i];
    }
    double t = value_at(N, k.t0, k.j, k.lambda, y, &size);
    ck_assert_double_gt(t, 0);
    double exact = rob_priv_quadric_distance(N, t, j, k.lambda, d);
    rob_model *m = quadratic_model(ctx, &k);
    rob_query *q = query_of(ctx, m, x, T);
    rob_boundary *b;
    ck_assert_int_eq(rob_boundary_create(ctx, &b), ROB_OK);
    ck_assert_int_eq(rob_boundary_find(ctx, b, q, &distance, 1), ROB_OK);
    double estimate, slope;
    ck_assert_int_eq(rob_boundary_get(ctx, b, "estimate2", 0, &estimate, 1, NULL),
                     ROB_OK);
    ck_assert_int_eq(rob_boundary_get(ctx, b, "gradient_norm", 0, &slope, 1, NULL),
                     ROB_OK);
    double upper, along = 0, norm = length(j, N), nu = 0;
    int low = 0;
    for (int i = 0; i < N; i++) {
        along += j[i] * j[i] * k.lambda[i] / (norm * norm);
        if (k.lambda[i] < k.lambda[low]) low = i;
    }
    nu = -k.lambda[low];
    double expect = fmin(rob_priv_quadric_lower(t, fabs(j[low]), nu),
                         rob_priv_quadric_lower(t, norm, -along));
    ck_assert_int_eq(rob_boundary_get(ctx, b, "estimate2_upper", 0, &upper, 1, NULL),
                     ROB_OK);
    ck_assert_double_eq_tol(upper, expect, 1e-11 * expect); /* eigenvectors: a gap */
    ck_assert_double_ge(upper, estimate * (1 - 1e-12));
    double value = value_at(N, t, j, k.lambda, d, &size);
    ck_assert_double_le(fabs(value), 64 * (N + 8) * 0x1p-52 * size);
    double error = 16 * N * 0x1p-52 * (size / slope + exact);
    ck_assert_double_eq_tol(estimate, exact, 4 * error);
    ck_assert_double_eq_tol(distance, exact, 4 * error);
    double u = attack_by("auto", q), v = attack_by("deepfool", q);
    ck_assert_double_ge(u, exact - error);
    ck_assert_double_ge(v, exact - error);
    rob_boundary_free(b);
    rob_query_free(q);
    rob_model_free(m);
}
END_TEST

/* Outside a sphere, from points all over it: the far side is a maximum of the distance,
 * stationary too, and Newton's method would stay there. Starts within 0.1 of it, as the
 * residual (the sine of the angle to the normal) has it, are left out. Error of the
 * distance as in the boundary suite: 16 N eps of the terms' size over 2R. */
START_TEST(slides_round_the_sphere)
{
    quadratic k = sphere(T, D, 2, 1);
    double x[N], z0[N], point[N], normal[N], option[ROB_BOUNDARY_OPTIONS], away = 3;
    rob_random random = rob_priv_random(5, 1);
    place(&k, x, away, 8);
    rob_model *m = quadratic_model(ctx, &k);
    rob_query *q = query_of(ctx, m, x, T);
    for (int o = 0; o < ROB_BOUNDARY_OPTIONS; o++)
        option[o] = rob_priv_boundary_option[o].value;
    rob_site s = { .ctx = ctx, .memory = ctx->memory, .option = option, .q = q };
    ck_assert_int_eq(rob_priv_query_prepare(ctx, q), ROB_OK);
    ck_assert_int_eq(rob_priv_site_open(&s, 0), ROB_OK);
    for (int trial = 0; trial < 60; trial++) {
        rob_edge e = { .size = N, .point = point, .normal = normal };
        double dot = 0, gap[N], size;
        for (int i = 0; i < N; i++) z0[i] = rob_priv_normal(&random);
        size = length(z0, N);
        for (int i = 0; i < N; i++) {
            /* half of them on the far side */
            double far = trial % 2 ? 0 : -0.8 * (x[i] - k.a[i]) / away;
            z0[i] = z0[i] / size + far;
        }
        size = length(z0, N);
        for (int i = 0; i < N; i++) {
            z0[i] = k.a[i] + 2 * z0[i] / size;
            gap[i] = z0[i] - x[i];
            dot += gap[i] * (z0[i] - k.a[i]) / 2;
        }
        if (sqrt(1 - fmin(1, pow(dot / length(gap, N), 2))) < 0.15) continue;
        s.edge = &e;
        ck_assert_int_eq(rob_priv_polish(&s, 0, 1, z0, false), ROB_OK);
        ck_assert(e.found);
        ck_assert_double_eq_tol(e.distance, away - 2, 16 * N * 0x1p-52 * 13);
    }
    rob_priv_site_close(&s);
    rob_query_free(q);
    rob_model_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("quadric");
    TCase *c = tcase_create("quadric");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, nearest_points_are_globally_nearest, 0, 5);
    tcase_add_loop_test(c, the_plane_by_brute_force, 0, 40);
    tcase_add_test(c, hard_and_empty_cases);
    tcase_add_loop_test(c, attacks_reach_the_sphere, 0, 8);
    tcase_add_loop_test(c, polishing_reaches_the_quadric, 0, 9);
    tcase_add_test(c, slides_round_the_sphere);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
