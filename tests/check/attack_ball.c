/* attack_ball.c -- where the ball of "auto" begins and how fast it grows.
 *
 * F(s) = 1 - min(s, 2 m)/100 - 3 exp(-((s - m)/(0.3 m))^2), s the first number's move: the
 * linear boundary is 100 away; it fails only where |s - m| < 0.3 m sqrt(ln 3) at the least,
 * and is flat from 2 m on, so that whoever takes the linear step is lost for gradients. In
 * each norm the distance is the least root s of F, within (2/3 m, m).
 */
#include "attacking.h"

#include <robust.h>

typedef struct window {
    double middle;
} window;

static double bump(const window *w, double s)
{
    double z = (s - w->middle) / (0.3 * w->middle);
    return 3 * exp(-z * z);
}

static int32_t window_logits(void *user, const double *x, int64_t rows, int64_t steps,
                             double *logits)
{
    const window *w = user;
    for (int64_t r = 0; r < rows; r++) {
        double s = x[r * steps * D];
        logits[2 * r] = 1 - fmin(s, 2 * w->middle) / 100 - bump(w, s);
        logits[2 * r + 1] = 0;
    }
    return 0;
}

static int32_t window_slopes(void *user, const double *x, const double *seed, int64_t rows,
                             int64_t steps, double *grad)
{
    const window *w = user;
    memset(grad, 0, (size_t)(rows * steps * D) * sizeof *grad);
    for (int64_t r = 0; r < rows; r++) {
        double s = x[r * steps * D], width = 0.3 * w->middle;
        double slope = 2 * (s - w->middle) / (width * width) * bump(w, s);
        slope -= s < 2 * w->middle ? 0.01 : 0;
        grad[r * steps * D] = seed[2 * r] * slope;
    }
    return 0;
}

/* least s with F(s) <= 0 */
static double edge_of(window *w)
{
    double low = w->middle / 2, high = w->middle;
    for (int k = 0; k < 60; k++) {
        double s = (low + high) / 2;
        *(1 - s / 100 - bump(w, s) <= 0 ? &high : &low) = s;
    }
    return high;
}

static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };

static double distance_of(window *w, int32_t norm, double size, double calls)
{
    double x[SIZE] = { 0 }, upper;
    x[SIZE - 1] = size;
    ck_assert_int_eq(rob_model_from_callback(ctx, D, 2, window_logits, window_slopes, w,
                                             &model),
                     ROB_OK);
    ck_assert_int_eq(rob_query_create(ctx, model, &query), ROB_OK);
    ck_assert_int_eq(rob_query_add(ctx, query, x, T, -1), ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(ctx, query, norm, INFINITY), ROB_OK);
    by("auto");
    ck_assert_int_eq(rob_attack_set(ctx, attack, "calls", calls), ROB_OK);
    distances(&upper);
    return upper;
}

/* A ball that began at half the linear distance would be past the window. */
START_TEST(the_ball_begins_at_the_size_of_the_series)
{
    window w = { .middle = 0.4 };
    double upper = distance_of(&w, norms[_i % 3], 1, _i < 3 ? 60 : 300);
    /* the line search's bracket and overshoot: 2e-4 */
    ck_assert_double_ge(upper, edge_of(&w) * (1 - 1e-6));
    ck_assert_double_le(upper, edge_of(&w) * (1 + 2e-4));
}
END_TEST

/* The window is 80 times as far as the series is long; a ball that grew by a tenth a
 * step, as it does beyond half the linear distance, would need 57 gradients to see it. */
START_TEST(the_ball_reaches_the_linear_distance_in_time)
{
    window w = { .middle = 8 };
    double upper = distance_of(&w, norms[_i], 0.1, 60);
    ck_assert_double_ge(upper, edge_of(&w) * (1 - 1e-6));
    ck_assert_double_le(upper, edge_of(&w) * (1 + 2e-4));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attack_ball");
    TCase *c = tcase_create("the ball of auto");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, the_ball_begins_at_the_size_of_the_series, 0, 6);
    tcase_add_loop_test(c, the_ball_reaches_the_linear_distance_in_time, 0, 3);
    suite_add_tcase(s, c);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
