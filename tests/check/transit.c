/* transit.c -- simulated light curves: the light behind a disc against closed forms,
 * and series that are what they say. */
#include "check/harness.h"
#include "data/parts.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static rob_ctx *ctx;
static rob_data *d;
static const double PI = 3.14159265358979323846;

static void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_ctx_set_seed(ctx, 3), ROB_OK);
    ck_assert_int_eq(rob_data_create(ctx, &d), ROB_OK);
}

static void tear_down(void)
{
    rob_data_free(d);
    rob_ctx_free(ctx);
}

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

/* Area two discs of radii 1 and p share, z apart: the uniform star in closed form. */
static double lens(double z, double p)
{
    if (z >= 1 + p) return 0;
    if (z <= fabs(1 - p)) return PI * fmin(1, p * p);
    double a = acos((z * z + p * p - 1) / (2 * z * p)),
           b = acos((z * z + 1 - p * p) / (2 * z));
    double kite = 0.5 * sqrt((-z + p + 1) * (z + p - 1) * (z - p + 1) * (z + p + 1));
    return p * p * a + b - kite;
}

/* The rule claims six digits of the covered light (src/data/transit.c). */
START_TEST(uniform_stars_in_closed_form)
{
    for (double p = 0.01; p < 3; p *= 1.4)
        for (double z = 0; z < 1.05 + p; z += 0.013) {
            double want = 1 - lens(z, p) / PI, got = rob_priv_transit_flux(z, p, 0, 0);
            ck_assert_msg(fabs(got - want) <= 1e-6 * (1 - want) + 1e-13,
                          "p %g z %g: %g %g", p, z, got, want);
        }
}
END_TEST

/* A small disc at distance z covers p^2 I(z) / (1 - u1/3 - u2/6) up to order p^4. */
START_TEST(small_discs_see_limb_darkening)
{
    const double u1 = 0.4, u2 = 0.25, p = 1e-3;
    for (double z = 0; z < 0.9; z += 0.1) {
        double mu = sqrt(1 - z * z),
               brightness = 1 - u1 * (1 - mu) - u2 * (1 - mu) * (1 - mu);
        double want = p * p * brightness / (1 - u1 / 3 - u2 / 6);
        double got = 1 - rob_priv_transit_flux(z, p, u1, u2);
        ck_assert_double_le(fabs(got / want - 1), 1e-4);
    }
    ck_assert(rob_priv_transit_flux(0.3, 1.4, u1, u2) == 0);
    ck_assert(rob_priv_transit_flux(1.2, 0.1, u1, u2) == 1);
}
END_TEST

START_TEST(simulated_series_are_what_they_say)
{
    GOOD(rob_data_set(ctx, d, "classes", 3));
    GOOD(rob_data_simulate(ctx, d, "transits", 300));
    ck_assert_int_eq(rob_data_classes(d), 3);
    double depth[3] = { 0 };
    for (int64_t i = 0; i < 300; i++) {
        double x[128], square = 0, dip = 0;
        int64_t steps, label, below = 0;
        GOOD(rob_data_get(ctx, d, i, x, 128, &steps, NULL, &label));
        ck_assert(steps == 128 && label == i % 3);
        for (int k = 0; k < 128; k++) {
            square += x[k] * x[k];
            below += x[k] < 0;
        }
        for (int k = 31; k < 33; k++) dip -= x[k] / 2;
        depth[label] += dip / 100;
        ck_assert_double_le(fabs(square / 128 - 1), 1e-12);
        ck_assert(below <= 64);
    }
    /* transits lie at one quarter; their mean depth is many scatters, that of stars none */
    ck_assert_double_lt(fabs(depth[0]), 0.5);
    ck_assert_double_gt(depth[1], 2);
    ck_assert_double_gt(depth[2], 2);
}
END_TEST

START_TEST(simulation_depends_on_seed_and_index_only)
{
    rob_data *parts;
    GOOD(rob_data_simulate(ctx, d, "transits", 12));
    GOOD(rob_data_create(ctx, &parts));
    GOOD(rob_data_simulate(ctx, parts, "transits", 5));
    GOOD(rob_data_simulate(ctx, parts, "transits", 7));
    for (int64_t i = 0; i < 12; i++)
        ck_assert_mem_eq(parts->series[i].x, d->series[i].x, 128 * sizeof(double));
    rob_ctx_set_seed(ctx, 4);
    GOOD(rob_data_simulate(ctx, parts, "transits", 1));
    GOOD(rob_data_simulate(ctx, d, "transits", 1));
    ck_assert_mem_eq(parts->series[12].x, d->series[12].x, 128 * sizeof(double));
    rob_data_free(parts);
    GOOD(rob_data_create(ctx, &parts));
    GOOD(rob_data_simulate(ctx, parts, "transits", 1));
    ck_assert_mem_ne(parts->series[0].x, d->series[0].x, 128 * sizeof(double));
    rob_data_free(parts);
}
END_TEST

static int32_t stop_at_once(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user, (void)stage, (void)done, (void)total;
    return 1;
}

START_TEST(a_stopped_simulation_keeps_what_is_done)
{
    rob_ctx_set_progress(ctx, stop_at_once, NULL);
    ck_assert_int_eq(rob_data_simulate(ctx, d, "transits", 500), ROB_STOPPED);
    ck_assert_int_eq(rob_data_count(d), 64);
    rob_ctx_set_progress(ctx, NULL, NULL);
    GOOD(rob_data_simulate(ctx, d, "transits", 1));
}
END_TEST

/* Without noise nothing but eclipses is left, whatever the bins. */
START_TEST(simulation_without_noise)
{
    GOOD(rob_data_set(ctx, d, "noise", 0));
    GOOD(rob_data_set(ctx, d, "steps", 512));
    GOOD(rob_data_set(ctx, d, "classes", 3));
    GOOD(rob_data_simulate(ctx, d, "transits", 30));
    for (int64_t i = 0; i < 30; i++) {
        const rob_series *s = &d->series[i];
        for (int k = 0; k < 512; k++) ck_assert(isfinite(s->x[k]) && s->x[k] <= 1e-9);
        if (s->label == 0)
            for (int k = 0; k < 512; k++) ck_assert(s->x[k] == 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("transit");
    TCase *c = tcase_create("transit");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, uniform_stars_in_closed_form);
    tcase_add_test(c, small_discs_see_limb_darkening);
    tcase_add_test(c, simulated_series_are_what_they_say);
    tcase_add_test(c, simulation_depends_on_seed_and_index_only);
    tcase_add_test(c, a_stopped_simulation_keeps_what_is_done);
    tcase_add_test(c, simulation_without_noise);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
