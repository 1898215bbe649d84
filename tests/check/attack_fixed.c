/* attack_fixed.c -- attacks in a ball of given radius: momentum, restarts, dropping out. */
#include "attacking.h"

#include <stdlib.h>

static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };

static double answer(const char *what, int64_t i)
{
    double v;
    ck_assert_msg(rob_attack_get(ctx, attack, what, i, &v, 1, NULL) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return v;
}

static void margins(double *margin)
{
    rob_status status =
        rob_attack_margin(ctx, attack, query, margin, rob_query_count(query));
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static void put(const char *name, double value)
{
    ck_assert_msg(rob_attack_set(ctx, attack, name, value) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
}

/* Points of a margin: within the ball, and failing in both precisions when found. */
static void check_margins(const double *margin, double radius)
{
    for (int64_t i = 0; i < rob_query_count(query); i++) {
        double p[400], x[400], d[400];
        int64_t n;
        ck_assert_int_eq(rob_query_get(ctx, query, "x", i, x, 400, &n), ROB_OK);
        ck_assert_int_eq(rob_attack_get(ctx, attack, "point", i, p, 400, NULL), ROB_OK);
        for (int64_t k = 0; k < n; k++) d[k] = p[k] - x[k];
        ck_assert_double_le(rob_priv_norm(query->norm, d, n), radius);
        int64_t steps = n / model->recipe.features;
        double in64 = margin_of(ROB_F64, i, p, steps);
        double in32 = margin_of(ROB_F32, i, p, steps);
        ck_assert_double_eq(margin[i], in64 > in32 ? in64 : in32);
        ck_assert_int_eq(answer("found", i) == 1, margin[i] <= 0);
        ck_assert_double_le(margin[i], number("margin", i));
    }
}

static int nearer(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* A ball that breaks about half of the series: the median of DeepFool's distances. */
static double middling_ball(int64_t series, int64_t steps, int32_t norm)
{
    double upper[64];
    ask(series, steps, norm, INFINITY);
    by("deepfool");
    distances(upper);
    qsort(upper, (size_t)series, sizeof *upper, nearer);
    double radius = upper[series / 2];
    ck_assert(radius > 0 && isfinite(radius));
    ck_assert_int_eq(rob_query_set_ball(ctx, query, norm, radius), ROB_OK);
    return radius;
}

/* ---- momentum -------------------------------------------------------------------- */

START_TEST(momentum_goes_elsewhere_and_as_far)
{
    double plain[N], with[N], again[N];
    int other = 0;
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 3, ROB_READOUT_LAST, ROB_F32, 1.2);
    double radius = middling_ball(N, 14, norms[_i]);
    by("pgd");
    margins(plain);
    put("momentum", 1);
    margins(with);
    check_margins(with, radius);
    ck_assert_int_eq(rob_ctx_set_threads(ctx, 2), ROB_OK);
    margins(again);
    ck_assert_mem_eq(with, again, sizeof with);
    for (int i = 0; i < N; i++) {
        /* every step is one along the first gradient at least: not worse than a tenth of
         * what plain descent gains */
        double start = number("margin", i);
        ck_assert_double_le(with[i], start - 0.1 * (start - plain[i]));
        other += with[i] != plain[i];
    }
    /* in L1 both may end at the one best vertex */
    ck_assert(other > 0 || _i == 2);
    ck_assert_int_lt(rob_attack_set(ctx, attack, "momentum", 1.5), 0);
}
END_TEST

/* ---- restarts, dropping out ------------------------------------------------------ */

START_TEST(stopping_restarts_spare_what_is_broken)
{
    enum { MANY = 24 };
    double all[MANY], some[MANY], twice[MANY];
    int64_t broken = 0, less = 0;
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 2, ROB_READOUT_LAST, ROB_F32, 1.2);
    double radius = middling_ball(MANY, 14, norms[_i]);
    by("pgd");
    put("restarts", 3);
    margins(all);
    put("stop", 1);
    margins(some);
    check_margins(some, radius);
    for (int i = 0; i < MANY; i++) {
        /* the same searches, from the same starts: they break the same series */
        ck_assert_int_eq(some[i] <= 0, all[i] <= 0);
        broken += some[i] <= 0;
        less += answer("calls", i) < 3 * 40;
        ck_assert_double_le(answer("calls", i), 3 * 40);
    }
    ck_assert_int_gt(broken, 0);
    ck_assert_int_lt(broken, MANY);
    ck_assert_int_eq(less, broken);
    ck_assert_int_eq(rob_ctx_set_threads(ctx, 2), ROB_OK);
    margins(twice);
    ck_assert_mem_eq(some, twice, sizeof some);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attack_fixed");
    TCase *c = tcase_create("descent in a ball");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, momentum_goes_elsewhere_and_as_far, 0, 3);
    tcase_add_loop_test(c, stopping_restarts_spare_what_is_broken, 0, 3);
    suite_add_tcase(s, c);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
