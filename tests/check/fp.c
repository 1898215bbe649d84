/* Outward rounded arithmetic: every bound on its side of MPFR's value, without
 * tolerance; and the width in ulps, so that a bound which says nothing fails. */
#include "check/harness.h"
#include "fp/fp.h"

#include <float.h>
#include <mpfr.h>

enum { BITS = 160 };

typedef int exact_function(mpfr_t y, mpfr_t x, mpfr_rnd_t r);

static int exact_sigmoid(mpfr_t y, mpfr_t x, mpfr_rnd_t r)
{
    mpfr_neg(y, x, r);
    mpfr_exp(y, y, r);
    mpfr_add_ui(y, y, 1, r);
    return mpfr_ui_div(y, 1, y, r);
}

static int exact_softplus(mpfr_t y, mpfr_t x, mpfr_rnd_t r)
{
    mpfr_abs(y, x, r);
    mpfr_neg(y, y, r);
    mpfr_exp(y, y, r);
    mpfr_log1p(y, y, r);
    return mpfr_sgn(x) > 0 ? mpfr_add(y, y, x, r) : 0;
}

static int exact_exp(mpfr_t y, mpfr_t x, mpfr_rnd_t r) { return mpfr_exp(y, x, r); }
static int exact_log(mpfr_t y, mpfr_t x, mpfr_rnd_t r) { return mpfr_log(y, x, r); }
static int exact_tanh(mpfr_t y, mpfr_t x, mpfr_rnd_t r) { return mpfr_tanh(y, x, r); }
static int exact_erf(mpfr_t y, mpfr_t x, mpfr_rnd_t r) { return mpfr_erf(y, x, r); }
static int exact_sqrt(mpfr_t y, mpfr_t x, mpfr_rnd_t r) { return mpfr_sqrt(y, x, r); }

/* ulps: up - lo in ulps of the larger end, where the value is normal. From the proofs:
 * twice the relative error taken, in ulps of a number just above a power of two (u = 1
 * ulp there, 2 just below), plus two for the last roundings: exp 2*2*2+2, log 4*2*2+2,
 * tanh 6*2*2+2, sigmoid 3*2*2+2, softplus 5*2*2+2, sqrt 2*2+2; erf: the running error,
 * < 2 (n <= 20 terms at weight 4) + 16. */
static const struct {
    const char *name;
    double (*lo)(double), (*up)(double);
    exact_function *exact;
    double from, to, ulps;
} FUNCTIONS[] = {
    { "exp", fp_exp_lo, fp_exp_up, exact_exp, -746, 711, 10 },
    { "log", fp_log_lo, fp_log_up, exact_log, 0, 1e3, 18 },
    { "tanh", fp_tanh_lo, fp_tanh_up, exact_tanh, -25, 25, 26 },
    { "sigmoid", fp_sigmoid_lo, fp_sigmoid_up, exact_sigmoid, -720, 45, 14 },
    { "erf", fp_erf_lo, fp_erf_up, exact_erf, -7, 7, 176 },
    { "softplus", fp_softplus_lo, fp_softplus_up, exact_softplus, -720, 50, 22 },
    { "sqrt", fp_sqrt_lo, fp_sqrt_up, exact_sqrt, 0, 1e3, 6 },
};
enum { FUNCTION_COUNT = (int)(sizeof FUNCTIONS / sizeof *FUNCTIONS) };

static void check_point(int f, double x, double *widest, bool hull)
{
    mpfr_t exact, at;
    mpfr_inits2(BITS, exact, at, (mpfr_ptr)0);
    mpfr_set_d(at, x, MPFR_RNDN);
    FUNCTIONS[f].exact(exact, at, MPFR_RNDN);
    double lo = FUNCTIONS[f].lo(x), up = FUNCTIONS[f].up(x);
    if (mpfr_nan_p(exact))
        ck_assert_msg(isnan(lo) && isnan(up), "%s(%a): [%a, %a]", FUNCTIONS[f].name, x,
                      lo, up);
    else
        ck_assert_msg(mpfr_cmp_d(exact, lo) >= 0 && mpfr_cmp_d(exact, up) <= 0,
                      "%s(%a) outside [%a, %a]", FUNCTIONS[f].name, x, lo, up);
    double size = fmax(fabs(lo), fabs(up)), ulp = size - nextafter(size, 0);
    if (hull && isfinite(size) && size > 0x1p-960)
        *widest = fmax(*widest, (up - lo) / ulp);
    mpfr_clears(exact, at, (mpfr_ptr)0);
}

static double any_double(rob_random *r)
{
    union { uint64_t bits; double value; } u;
    uint32_t word[4];
    rob_priv_philox(r->seed, r->stream, r->counter++, word);
    u.bits = (uint64_t)word[0] << 32 | word[1];
    return u.value;
}

/* spread over the range, towards 0 over all magnitudes, and any bit pattern */
static double point(rob_random *r, int f, int64_t k)
{
    double u = rob_priv_uniform(r), from = FUNCTIONS[f].from, to = FUNCTIONS[f].to;
    if (k % 4 == 0)
        return any_double(r);
    if (k % 4 == 1)
        return (from < 0 && rob_priv_uniform(r) < .5 ? -1 : 1) * exp2(-60 * u);
    if (k % 4 == 2)
        return (from < 0 ? 2 * u - 1 : u) * 6;
    return from + u * (to - from);
}

START_TEST(test_random)
{
    int f = _i;
    rob_random r = rob_priv_random(7, (uint64_t)f);
    int64_t count = rob_long() ? 10000000 : 100000;
    double widest = 0;
    for (int64_t k = 0; k < count; k++)
        check_point(f, point(&r, f, k), &widest, true);
    ck_assert_msg(widest <= FUNCTIONS[f].ulps && widest > 0, "%s: %g ulps wide",
                  FUNCTIONS[f].name, widest);
}
END_TEST

START_TEST(test_corners)
{
    static const double corner[] = {
        0,
        0x1p-1074,
        0x1p-1022,
        0x1.fffffffffffffp-1023,
        1e-300,
        1e-20,
        0x1p-53,
        0x1p-27,
        .17,
        .34,
        .3465735902799726,
        .34657359027997264,
        .34657359027997270,
        .5,
        .7071067811865475,
        .7071067811865476,
        1,
        1.0000000000000002,
        .9999999999999999,
        2,
        1.9999999999999998,
        5.9999999999999991,
        6,
        18,
        19.06,
        20,
        36.7,
        37,
        354,
        708.39,
        709,
        709.78271289338397,
        709.7827128933841,
        710,
        744.4,
        745.1,
        745.13321910194110,
        745.13321910194122,
        745.2,
        746,
        1e10,
        1e300,
        DBL_MAX,
        INFINITY,
    };
    double ignored = 0;
    for (size_t i = 0; i < sizeof corner / sizeof *corner; i++) {
        double x = corner[i];
        check_point(_i, x, &ignored, false);
        check_point(_i, -x, &ignored, false);
        check_point(_i, nextafter(x, 2 * x), &ignored, false);
        check_point(_i, nextafter(x, 0), &ignored, false);
    }
    ck_assert(isnan(FUNCTIONS[_i].lo(NAN)) && isnan(FUNCTIONS[_i].up(NAN)));
}
END_TEST

/* what planes rely on beyond containment */
START_TEST(test_range_limits)
{
    for (double x = -800; x <= 800; x += .37) {
        ck_assert(fp_tanh_up(x) <= 1 && fp_tanh_lo(x) >= -1);
        ck_assert(fabs(fp_tanh_lo(x)) <= fabs(x) || x < 0);
        ck_assert(fp_tanh_up(fabs(x)) <= fabs(x) && fp_tanh_lo(fabs(x)) >= 0);
        ck_assert(fp_sigmoid_up(x) <= 1 && fp_sigmoid_lo(x) >= 0 && fp_exp_lo(x) >= 0);
        ck_assert(fp_softplus_lo(x) >= fmax(0, x));
        ck_assert(fp_tanh_lo(-x) == -fp_tanh_up(x) && fp_erf_lo(-x) == -fp_erf_up(x));
    }
    ck_assert(fp_exp_lo(0) == 1 && fp_exp_up(0) == 1 && fp_log_up(1) == 0
              && fp_log_lo(1) == 0);
}
END_TEST

/* a op b as MPFR has it, over random doubles of all magnitudes */
START_TEST(test_arithmetic)
{
    rob_random r = rob_priv_random(7, 99);
    mpfr_t x, y, z;
    mpfr_inits2(2200, x, y, z, (mpfr_ptr)0);
    for (int k = 0; k < 20000; k++) {
        double a = any_double(&r),
               b = k % 2 ? any_double(&r) : a * rob_priv_uniform(&r);
        mpfr_set_d(x, a, MPFR_RNDN);
        mpfr_set_d(y, b, MPFR_RNDN);
        if (!isfinite(a) || !isfinite(b))
            continue;
        double lo[3] = { fp_add_lo(a, b), fp_mul_lo(a, b), fp_div_lo(a, b) };
        double up[3] = { fp_add_up(a, b), fp_mul_up(a, b), fp_div_up(a, b) };
        for (int op = 0; op < 3; op++) {
            if (op == 0) mpfr_add(z, x, y, MPFR_RNDN);
            if (op == 1) mpfr_mul(z, x, y, MPFR_RNDN);
            if (op == 2) mpfr_div(z, x, y, MPFR_RNDN);
            ck_assert(isnan(lo[op]) || mpfr_cmp_d(z, lo[op]) >= 0);
            ck_assert(isnan(up[op]) || mpfr_cmp_d(z, up[op]) <= 0);
        }
    }
    mpfr_clears(x, y, z, (mpfr_ptr)0);
}
END_TEST

START_TEST(test_norms)
{
    rob_random r = rob_priv_random(7, 100);
    mpfr_t sum, square, one;
    mpfr_inits2(4400, sum, square, one, (mpfr_ptr)0);
    for (int k = 0; k < 2000; k++) {
        double v[17], scale = exp2(2000 * (rob_priv_uniform(&r) - .5));
        mpfr_set_zero(sum, 1);
        mpfr_set_zero(square, 1);
        for (int i = 0; i < 17; i++) {
            v[i] = scale * rob_priv_normal(&r);
            mpfr_set_d(one, fabs(v[i]), MPFR_RNDN);
            mpfr_add(sum, sum, one, MPFR_RNDN);
            mpfr_sqr(one, one, MPFR_RNDN);
            mpfr_add(square, square, one, MPFR_RNDN);
        }
        mpfr_sqrt(square, square, MPFR_RNDU);
        double one_norm = fp_norm1_up(v, 17), two_norm = fp_norm2_up(v, 17);
        ck_assert(mpfr_cmp_d(sum, one_norm) <= 0 && mpfr_cmp_d(square, two_norm) <= 0);
        /* gamma_17 and gamma_19, halved by the root, with u twice the roundoff */
        if (scale > 0x1p-900) {
            ck_assert(one_norm <= mpfr_get_d(sum, MPFR_RNDU) * (1 + 20 * ROB_U));
            ck_assert(two_norm <= mpfr_get_d(square, MPFR_RNDU) * (1 + 16 * ROB_U));
        }
    }
    double none[3] = { 0, -0.0, 0 }, bad[2] = { 1, NAN }, big[2] = { 1, -INFINITY };
    ck_assert(fp_norm1_up(none, 3) == 0 && fp_norm2_up(none, 3) == 0
              && fp_norm2_up(none, 0) == 0);
    ck_assert(isnan(fp_norm1_up(bad, 2)) && isnan(fp_norm2_up(bad, 2)));
    ck_assert(isinf(fp_norm1_up(big, 2)) && isinf(fp_norm2_up(big, 2)));
    mpfr_clears(sum, square, one, (mpfr_ptr)0);
}
END_TEST

START_TEST(test_gamma)
{
    mpfr_t g, d;
    mpfr_inits2(BITS, g, d, (mpfr_ptr)0);
    for (int64_t n = 1; n < 1LL << 50; n = n * 3 + 1) {
        mpfr_set_si(g, n, MPFR_RNDN);
        mpfr_mul_2si(g, g, -53, MPFR_RNDN);
        mpfr_ui_sub(d, 1, g, MPFR_RNDN);
        mpfr_div(g, g, d, MPFR_RNDN);
        ck_assert(mpfr_cmp_d(g, fp_gamma(n)) <= 0);
    }
    ck_assert(isinf(fp_gamma(1LL << 52)) && fp_gamma(0) < 1e-300
              && fp_gamma(64) < 65 * ROB_U);
    mpfr_clears(g, d, (mpfr_ptr)0);
}
END_TEST

/* a host that flushes to zero and rounds down: enter mends both, leave brings them back
 */
START_TEST(test_state)
{
#if defined(__SSE2__)
    unsigned old = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(old | 0x8040 | 0x2000);
    unsigned hostile = __builtin_ia32_stmxcsr();
    rob_fp_state state = rob_priv_fp_enter();
    volatile double tiny = 0x1p-1022, third = 3;
    double half = tiny / 2, up = 1 / third + 0x1p-56;
    bool nearest = 1 + 0x1.8p-53 * (third / 3) > 1;
    rob_priv_fp_leave(state);
    unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(old);
    ck_assert(half > 0 && nearest && up > 0);
    ck_assert_uint_eq(after, hostile);
#else
    rob_skip("written for x86");
#endif
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fp");
    TCase *c = tcase_create("fp");
    tcase_add_loop_test(c, test_random, 0, FUNCTION_COUNT);
    tcase_add_loop_test(c, test_corners, 0, FUNCTION_COUNT);
    tcase_add_test(c, test_range_limits);
    tcase_add_test(c, test_arithmetic);
    tcase_add_test(c, test_norms);
    tcase_add_test(c, test_gamma);
    tcase_add_test(c, test_state);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
