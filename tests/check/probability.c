/* probability.c -- closed forms against MPFR, elementary formulas and their own
 * identities. */
#include "check/harness.h"
#include "sample/closed.h"

#include <math.h>
#include <mpfr.h>

static const double PI = 3.141592653589793;

/* What closed.h promises: 1e-12 relative in log p. The continued fraction takes up to
 * about 1e3 steps for d <= 1e6, each with some 4 roundings of 1.1e-16: 4e-13 at
 * worst. */
static const double PROMISED = 1e-12;

static void ck_close(double got, double want, double relative)
{
    if (got == want) return;
    ck_assert_msg(fabs(got - want) <= relative * fabs(want), "%.17g instead of %.17g",
                  got, want);
}

/* ---- MPFR: log of the cap by the series of the incomplete beta function ---------- */

/* sum_n (a+b)_n/(a+1)_n x^n, all terms positive, until they no longer count */
static void beta_series(mpfr_t sum, double a, double b, mpfr_t x)
{
    mpfr_t term;
    mpfr_init2(term, mpfr_get_prec(sum));
    mpfr_set_ui(term, 1, MPFR_RNDN);
    mpfr_set_ui(sum, 1, MPFR_RNDN);
    for (int n = 0; n < 4000000; n++) {
        mpfr_mul(term, term, x, MPFR_RNDN);
        mpfr_mul_d(term, term, a + b + n, MPFR_RNDN);
        mpfr_div_d(term, term, a + 1 + n, MPFR_RNDN);
        mpfr_add(sum, sum, term, MPFR_RNDN);
        bool falling =
            (a + b + n + 1) / (a + n + 2) * mpfr_get_d(x, MPFR_RNDN) < 0.999999;
        if (falling && mpfr_get_exp(term) < mpfr_get_exp(sum) - mpfr_get_prec(sum))
            break;
    }
    mpfr_clear(term);
}

/* out = I_x(a, b) = x^a y^b / (a B(a, b)) sum */
static void beta_exact(mpfr_t out, double a, double b, mpfr_t x, mpfr_t y)
{
    mpfr_prec_t bits = mpfr_get_prec(out);
    mpfr_t t, part;
    mpfr_inits2(bits, t, part, (mpfr_ptr)0);
    beta_series(out, a, b, x);
    mpfr_log(out, out, MPFR_RNDN);
    mpfr_log(part, x, MPFR_RNDN);
    mpfr_mul_d(part, part, a, MPFR_RNDN);
    mpfr_add(out, out, part, MPFR_RNDN);
    mpfr_log(part, y, MPFR_RNDN);
    mpfr_mul_d(part, part, b, MPFR_RNDN);
    mpfr_add(out, out, part, MPFR_RNDN);
    const double gamma[3] = {a + b, a + 1, b};
    for (int k = 0; k < 3; k++) {
        mpfr_set_d(t, gamma[k], MPFR_RNDN);
        mpfr_lngamma(part, t, MPFR_RNDN);
        if (k == 0) mpfr_add(out, out, part, MPFR_RNDN);
        else mpfr_sub(out, out, part, MPFR_RNDN);
    }
    mpfr_exp(out, out, MPFR_RNDN);
    mpfr_clears(t, part, (mpfr_ptr)0);
}

/* log cap(a) for 0 < a < 1; 1 - I_y loses about |log2 p| bits, which are added
 * before */
static double cap_exact(double a, double d)
{
    double lost = a * a > 0.9 ? 0 : fabs(d / 2 * log1p(-a * a));
    mpfr_prec_t bits = 160 + (mpfr_prec_t)(1.5 * lost);
    mpfr_t x, y, p;
    mpfr_inits2(bits, x, y, p, (mpfr_ptr)0);
    mpfr_set_d(y, a, MPFR_RNDN);
    mpfr_sqr(y, y, MPFR_RNDN);
    mpfr_ui_sub(x, 1, y, MPFR_RNDN);
    if (a * a > 0.9) beta_exact(p, (d - 1) / 2, 0.5, x, y);
    else {
        beta_exact(p, 0.5, (d - 1) / 2, y, x);
        mpfr_ui_sub(p, 1, p, MPFR_RNDN);
    }
    mpfr_div_2ui(p, p, 1, MPFR_RNDN);
    mpfr_log(p, p, MPFR_RNDN);
    double result = mpfr_get_d(p, MPFR_RNDN);
    mpfr_clears(x, y, p, (mpfr_ptr)0);
    return result;
}

START_TEST(caps_agree_with_mpfr_from_one_half_to_far_below_1e_300)
{
    static const int64_t dimension[] = {2,   3,    4,    5,      24,     96,
                                        150, 1001, 3197, 100000, 1000000};
    /* heights in units of 1/sqrt(d): the mean is 1, p = 1e-300 is near 37 */
    static const double height[] = {1e-9, 0.01, 0.5, 0.999, 1,  1.001,
                                    2,    5,    10,  20,    37, 60};
    for (int i = 0; i < COUNT_OF(dimension); i++)
        for (int k = 0; k < COUNT_OF(height); k++) {
            double d = (double)dimension[i], a = height[k] / sqrt(d);
            if (a >= 1 || (d > 4000 && height[k] > 40)) continue;
            ck_close(rob_priv_cap_log(a, dimension[i]), cap_exact(a, d), PROMISED);
        }
    ck_close(rob_priv_cap_log(0.99999, 3197), cap_exact(0.99999, 3197), PROMISED);
    ck_close(rob_priv_cap_log(1 - 1e-12, 150), cap_exact(1 - 1e-12, 150), PROMISED);
}
END_TEST

/* Near 1 the elementary formulas lose digits to their own differences: 8 eps of pi. */
START_TEST(caps_in_two_three_and_four_dimensions_are_elementary)
{
    for (double a = -0.98; a < 0.99; a += 0.07) {
        double slack = 8 * 2.2e-16 * PI, s = sqrt((1 - a) * (1 + a));
        ck_assert(fabs(exp(rob_priv_cap_log(a, 2)) - acos(a) / PI) < slack);
        ck_assert(fabs(exp(rob_priv_cap_log(a, 3)) - (1 - a) / 2) < slack);
        ck_assert(fabs(exp(rob_priv_cap_log(a, 4)) - (acos(a) - a * s) / PI) < slack);
        ck_assert(fabs(exp(rob_priv_cap_log_ball(a, 1)) - (1 - a) / 2) < slack);
        ck_assert(fabs(exp(rob_priv_cap_log_ball(a, 2)) - (acos(a) - a * s) / PI)
                  < slack);
    }
}
END_TEST

START_TEST(caps_have_the_ends_they_must_have)
{
    for (int64_t d = 2; d < 2000; d = 3 * d + 1) {
        ck_assert(rob_priv_cap_log(1, d) == -INFINITY
                  && rob_priv_cap_log(7, d) == -INFINITY);
        ck_assert(rob_priv_cap_log(-1, d) == 0 && rob_priv_cap_log(-7, d) == 0);
        ck_close(rob_priv_cap_log(0, d), log(0.5), 1e-15);
        ck_assert(isnan(rob_priv_cap_log(NAN, d)));
    }
    ck_assert(rob_priv_cap_log(-1, 1) == 0 && rob_priv_cap_log(1.5, 1) == -INFINITY);
    ck_close(rob_priv_cap_log(-0.5, 1), log(0.5), 1e-15);
    ck_close(rob_priv_cap_log(1, 1), log(0.5), 1e-15);
    ck_assert(isnan(rob_priv_cap_log(NAN, 1)));
}
END_TEST

START_TEST(both_sides_of_a_cap_make_one_and_it_falls_with_its_height)
{
    for (int64_t d = 2; d < 1000000; d = 4 * d + 1) {
        double before = 0;
        for (double a = -0.999; a < 1; a += 0.0271) {
            double here = rob_priv_cap_log(a, d), there = rob_priv_cap_log(-a, d);
            ck_assert(fabs(exp(here) + exp(there) - 1) < 4e-13);
            ck_assert(here <= before);
            ck_assert(here <= rob_priv_cap_log_bound(a, d));
            before = here;
        }
    }
}
END_TEST

START_TEST(heights_undo_caps)
{
    static const double logp[] = {-0.7, -1, -5, -30, -700, -20000};
    for (int64_t d = 2; d < 1000000; d = 9 * d + 1)
        for (int k = 0; k < COUNT_OF(logp); k++) {
            double a = rob_priv_cap_height(logp[k], d);
            if (1 - a < 1e-10)
                continue; /* there log p moves by more than an ulp of a */
            ck_close(rob_priv_cap_log(a, d), logp[k], 1e-9);
        }
    ck_assert(rob_priv_cap_height(log(0.5), 7) == 0);
    /* condition of the height: d log p/d log a is about d a^2, 2 log p */
    for (int64_t d = 300; d < 1000000; d *= 10)
        ck_close(rob_priv_flat_log(2, rob_priv_flat_radius(2, -40, d), d), -40, 1e-11);
    ck_assert(rob_priv_flat_radius(1, 0, 9) == INFINITY);
    ck_assert(rob_priv_flat_radius(3, -1, 1) == 3);
}
END_TEST

START_TEST(slabs_are_what_two_caps_of_the_ball_leave)
{
    for (int64_t d = 1; d < 100000; d = 3 * d + 2)
        for (double y = 0.001; y < 1; y *= 1.7) {
            double inside = exp(rob_priv_cap_log_slab(y, d));
            ck_assert(fabs(inside + 2 * exp(rob_priv_cap_log_ball(y, d)) - 1) < 1e-12);
        }
    ck_close(rob_priv_cap_log_slab(1e-9, 1), log(1e-9), 1e-14);     /* a segment */
    ck_assert(rob_priv_cap_log_slab(1, 5) == 0
              && rob_priv_cap_log_slab(0, 5) == -INFINITY);
}
END_TEST

/* ---- boundaries ------------------------------------------------------------------ */

/* The height solves its boundary's equation: n.w = z, |w'|^2 = rho^2 - z^2. */
START_TEST(curved_boundaries_meet_the_sphere_at_their_heights)
{
    for (double k = -0.9; k < 3; k += 0.17)
        for (double rho = 1; rho < 9; rho *= 1.3) {
            double z = rho * rob_priv_curved_height(1, rho, k);
            double residual = 1 + k / 2 * (rho * rho - z * z) - z;
            ck_assert(fabs(residual) < 16 * 2.2e-16 * (1 + fabs(k)) * rho * rho);
            ck_assert(z <= rho * (1 + 4e-16) && z >= -rho);
        }
    ck_assert(rob_priv_curved_height(1, 0.5, 0.3) == INFINITY);
    ck_close(rob_priv_curved_height(2, 5, 0), 0.4, 4e-16);
}
END_TEST

START_TEST(failing_balls_cut_the_sphere_at_their_heights)
{
    for (double c = -0.9; c < 3; c += 0.17)
        for (double rho = 0.3; rho < 4; rho *= 1.3) {
            double z = rho * rob_priv_hessian_height(1, rho, c), centre = 1 + 1 / c;
            double residual =
                rho * rho - 2 * z * centre + centre * centre - 1 / (c * c);
            double size =
                rho * rho + (2 * fabs(z) + 1) * (1 + centre * centre) + 1 / (c * c);
            ck_assert(fabs(residual) < 32 * 2.2e-16 * size * (1 + 1 / (1 + c)));
        }
    ck_assert(rob_priv_hessian_height(1, 0.9, 0.5) > 1);
    ck_assert(rob_priv_hessian_height(1, 1 + 2 / 0.5 + 0.1, 0.5)
              > 1); /* ball inside sphere */
    ck_close(rob_priv_hessian_height(1, 1, 0.5), 1, 4e-16);
    /* all within 1 of a point at distance 2 fails: sphere of radius 1 only touches
     * it */
    ck_close(rob_priv_failing_ball_height(2, 1, 1), 1, 4e-16);
    ck_close(rob_priv_failing_ball_height(2, 2, 2), 0.5, 4e-16);
}
END_TEST

/* a = r/rho + (k/2)(rho - r^2/rho) - k^2 (...) : the mean-curvature form keeps the
 * first order; the rest, by Taylor with |a''| <= 2 rho^3 for r = 1, k rho small, is
 * below k^2 rho^3. */
START_TEST(mean_curvature_is_the_first_order_of_isotropic_curvature)
{
    for (double k = 1e-6; k < 1e-3; k *= 3)
        for (double rho = 1; rho < 8; rho *= 1.5) {
            double exact = rob_priv_curved_height(1, rho, k);
            double first = rob_priv_mean_curved_distance(1, rho, 49 * k, 50) / rho;
            ck_assert(fabs(first - exact) <= k * k * rho * rho * rho + 1e-15);
        }
}
END_TEST

START_TEST(the_corrected_exponential_bounds_the_cap_it_comes_from)
{
    for (double kappa = 0; kappa < 1; kappa += 0.13)
        for (double rho = 1; rho < 6; rho += 0.4) {
            double bound = rob_priv_curvature_bound_log(kappa, rho, 300, 0);
            double base = kappa * rho * rho + kappa + 1, scale = rho * (1 + 2 * kappa);
            ck_close(bound, fmin(0, -300 * base * base / (2 * scale * scale)), 1e-13);
            ck_assert(bound >= rob_priv_cap_log(
                          rob_priv_hessian_height(1, rho, 2 * kappa), 300));
        }
    ck_close(rob_priv_curvature_bound_log(0.1, 1.1, 5000, 0.01), log(0.01), 1e-12);
    ck_assert(rob_priv_curvature_bound_log(0.1, 1.1, 5000, 2) == 0);
}
END_TEST

/* Trapezoid sum of the density 2/(pi R^2) sqrt(R^2 - t^2): error about h^(3/2). */
START_TEST(semicircle_tails_are_squared_once)
{
    double edge = 1.7, sum = 0, h = 1e-5 * edge;
    for (double t = edge; t > 0.4; t -= h)
        sum += h * 2 / (PI * edge * edge) * sqrt(fmax(0, edge * edge - t * t));
    ck_close(rob_priv_semicircle_both(0.4, edge), sum * sum, 1e-4);
    ck_close(rob_priv_semicircle_both(0, edge), 0.25, 1e-15);
    ck_assert(rob_priv_semicircle_both(1.8, edge) == 0);
    ck_assert(rob_priv_semicircle_both(-1.8, edge) == 1);
}
END_TEST

START_TEST(unions_add_up_and_stop_at_one)
{
    const double some[3] = {-800, -801, -INFINITY}, many[3] = {-0.5, -0.5, -0.5};
    const double none[2] = {-INFINITY, -INFINITY};
    ck_close(rob_priv_union_log(some, 3), -800 + log1p(exp(-1)), 1e-15);
    ck_assert(rob_priv_union_log(many, 3) == 0);
    ck_assert(rob_priv_union_log(none, 2) == -INFINITY);
    ck_assert(rob_priv_union_log(none, 0) == -INFINITY);
}
END_TEST

/* ---- the exact interval ---------------------------------------------------------- */

/* P(X <= k), X binomial(n, p), term after term */
static double at_most(int64_t k, double n, double logp)
{
    double p = exp(logp), term = exp(n * log1p(-p)), sum = term;
    for (int64_t i = 0; i < k; i++) {
        term *= (n - (double)i) / (double)(i + 1) * p / (1 - p);
        sum += term;
    }
    return sum;
}

START_TEST(interval_ends_leave_half_the_error_each)
{
    static const struct { int64_t hits, samples; } cell[] = {
        {1, 10}, {3, 50}, {17, 10000}, {5, 1000000000}, {200, 100000}, {9, 10}};
    double low, high;
    for (int k = 0; k < COUNT_OF(cell); k++) {
        double n = (double)cell[k].samples;
        rob_priv_binomial_interval(cell[k].hits, cell[k].samples, 0.99, &low, &high);
        /* n log1p(-p) in at_most is rounded to n p eps, its exponential with it; the
         * sum adds an eps a term: 1e-12 is above both here */
        ck_close(at_most(cell[k].hits, n, high), 0.005, 1e-11);
        ck_close(1 - at_most(cell[k].hits - 1, n, low), 0.005, 1e-11);
    }
}
END_TEST

START_TEST(intervals_of_no_hit_and_of_nothing_else_are_powers)
{
    double low, high;
    for (int64_t n = 1; n < 1000000000000; n *= 7) {
        rob_priv_binomial_interval(0, n, 0.95, &low, &high);
        ck_assert(low == -INFINITY);
        ck_close(high, log(-expm1(log(0.025) / (double)n)), 1e-12);
        rob_priv_binomial_interval(n, n, 0.95, &low, &high);
        ck_assert(high == 0);
        ck_close(low, log(0.025) / (double)n, 1e-9);
    }
}
END_TEST

START_TEST(intervals_of_large_counts_are_found_and_ordered)
{
    double low, high, l9, h9;
    rob_priv_binomial_interval(500000000, 1000000000, 0.95, &low, &high);
    ck_assert(low < log(0.5) && high > log(0.5));
    /* normal limit: half width 1.96 sqrt(1/4n), to a relative 1/sqrt(n) */
    ck_close(exp(high) - 0.5, 1.959963984540054 * 0.5 / sqrt(1e9), 1e-3);
    rob_priv_binomial_interval(500000000, 1000000000, 0.9, &l9, &h9);
    ck_assert(l9 > low && h9 < high);
}
END_TEST

START_TEST(normal_widths_are_the_tables)
{
    ck_close(rob_priv_normal_width(0.95), 1.959963984540054, 1e-14);
    ck_close(rob_priv_normal_width(0.5), 0.6744897501960817, 1e-14);
    ck_close(rob_priv_normal_width(0.9999), 3.890591886413098, 1e-12);
}
END_TEST

START_TEST(beta_quantiles_undo_the_function)
{
    static const double shape[] = {0.5, 1, 3.5, 40, 5000};
    static const double logp[] = {-1e-6, -0.1, -0.7, -3, -40, -600};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            for (int k = 0; k < 6; k++) {
                double lx, ly;
                rob_priv_beta_quantile(shape[i], shape[j], logp[k], &lx, &ly);
                double back = rob_priv_beta_log(shape[i], shape[j], exp(lx), exp(ly));
                if (lx > -700 && ly > -700) ck_close(back, logp[k], 1e-9);
                ck_assert(fabs(exp(lx) + exp(ly) - 1) < 1e-15);
            }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probability");
    TCase *caps = tcase_create("caps"), *curved = tcase_create("boundaries");
    TCase *interval = tcase_create("interval");
    tcase_add_test(caps, caps_agree_with_mpfr_from_one_half_to_far_below_1e_300);
    tcase_add_test(caps, caps_in_two_three_and_four_dimensions_are_elementary);
    tcase_add_test(caps, caps_have_the_ends_they_must_have);
    tcase_add_test(caps, both_sides_of_a_cap_make_one_and_it_falls_with_its_height);
    tcase_add_test(caps, heights_undo_caps);
    tcase_add_test(caps, slabs_are_what_two_caps_of_the_ball_leave);
    tcase_add_test(curved, curved_boundaries_meet_the_sphere_at_their_heights);
    tcase_add_test(curved, failing_balls_cut_the_sphere_at_their_heights);
    tcase_add_test(curved, mean_curvature_is_the_first_order_of_isotropic_curvature);
    tcase_add_test(curved, the_corrected_exponential_bounds_the_cap_it_comes_from);
    tcase_add_test(curved, semicircle_tails_are_squared_once);
    tcase_add_test(curved, unions_add_up_and_stop_at_one);
    tcase_add_test(interval, interval_ends_leave_half_the_error_each);
    tcase_add_test(interval, intervals_of_no_hit_and_of_nothing_else_are_powers);
    tcase_add_test(interval, intervals_of_large_counts_are_found_and_ordered);
    tcase_add_test(interval, normal_widths_are_the_tables);
    tcase_add_test(interval, beta_quantiles_undo_the_function);
    suite_add_tcase(suite, caps);
    suite_add_tcase(suite, curved);
    suite_add_tcase(suite, interval);
    return rob_run_suite(suite);
}
