/* text.c -- numbers read and printed: correct rounding against MPFR, under any locale.
 */
#include "check/harness.h"
#include "core/core.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <mpfr.h>

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double parse(const char *text, int64_t *used)
{
    double value = -12345;
    const char *p = text;
    bool found = rob_priv_parse_double(&p, text + strlen(text), &value);
    *used = found ? p - text : -1;
    return value;
}

/* MPFR rounds text to 53 bits correctly; subnormals by its own emulation. */
static double by_mpfr(const char *text)
{
    mpfr_exp_t low = mpfr_get_emin(), high = mpfr_get_emax();
    mpfr_t x;
    mpfr_set_emin(-1073);
    mpfr_set_emax(1024);
    mpfr_init2(x, 53);
    int inexact = mpfr_strtofr(x, text, NULL, 10, MPFR_RNDN);
    mpfr_subnormalize(x, inexact, MPFR_RNDN);
    double value = mpfr_get_d(x, MPFR_RNDN);
    mpfr_clear(x);
    mpfr_set_emin(low);
    mpfr_set_emax(high);
    return value;
}

static void numbers_are_read_exactly(void)
{
    static const char *const text[] = {
        "0",
        "-0",
        "1",
        "-1.5",
        "+2.25",
        ".5",
        "5.",
        "1e3",
        "1E-3",
        "1.e+2",
        "0.1",
        "3.14159265358979323846264338327950288",
        "1.7976931348623157e308",
        "1.7976931348623158079e308",
        "1e309",
        "-1e400",
        "1e-400",
        "4.9e-324",
        "2.5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "9007199254740993",
        "9007199254740992.9999999",
        "9007199254740993.00000000001",
        "1e99999999999999999999",
        "0e99999999999999999999",
        "0.000000000000000000001e21",
        "100000000000000000000000000000000000000e-38",
        "8.5e-1",
        "123456789012345678901234567890",
    };
    for (int64_t i = 0; i < COUNT_OF(text); i++) {
        int64_t used;
        double value = parse(text[i], &used), want = by_mpfr(text[i]);
        ck_assert_msg(used == (int64_t)strlen(text[i])
                          && bits_of(value) == bits_of(want),
                      "'%s' gave %a, want %a", text[i], value, want);
    }
}

START_TEST(numbers_are_read_with_correct_rounding) { numbers_are_read_exactly(); }
END_TEST

/* Halfway between two doubles in full length (up to 768 digits), and a hair to each
 * side. */
START_TEST(ties_are_decided_by_the_last_digit)
{
    rob_random r = rob_priv_random(5, 5);
    for (int i = 0; i < 300; i++) {
        uint32_t word[4];
        rob_priv_philox(9, 0, (uint64_t)i, word);
        double x = ldexp(rob_priv_uniform(&r), (int)(word[0] % 2000) - 1060);
        if (i < 5) x = 4.9406564584124654e-324 * (i + 1);
        mpfr_t half, next;
        mpfr_inits2(1200, half, next, (mpfr_ptr)0);
        mpfr_set_d(half, x, MPFR_RNDN);
        mpfr_set_d(next, nextafter(x, INFINITY), MPFR_RNDN);
        mpfr_add(half, half, next, MPFR_RNDN);
        mpfr_div_2ui(half, half, 1, MPFR_RNDN);
        char text[2000];
        for (int tail = 0; tail < 3; tail++) {
            mpfr_snprintf(text, 1900, "%.900Re", half);
            char *e = strchr(text, 'e'), exponent[32];
            snprintf(exponent, sizeof exponent, "%s", e);
            snprintf(e, 100, "%s%s", tail == 1 ? "00000001" : "", exponent);
            if (tail == 2)
                text[0]--; /* far below: the digits count, not their number */
            int64_t used;
            double value = parse(text, &used), want = by_mpfr(text);
            ck_assert_msg(bits_of(value) == bits_of(want), "%s: %a, want %a", text,
                          value, want);
        }
        mpfr_clears(half, next, (mpfr_ptr)0);
    }
}
END_TEST

START_TEST(what_is_no_number_is_left_alone)
{
    static const struct {
        const char *text;
        int64_t used;
    } table[] = {
        { "", -1 },    { "-", -1 },    { ".", -1 },   { "e5", -1 }, { "+.", -1 },
        { " 1", -1 },  { "--1", -1 },  { "in", -1 },  { "1e", 1 },  { "1e+", 1 },
        { "1,5", 1 },  { "1.5.2", 3 }, { "0x10", 1 }, { "inf", 3 }, { "-Infinity", 9 },
        { "NaN,", 3 }, { "1 2", 1 },
    };
    for (int64_t i = 0; i < COUNT_OF(table); i++) {
        int64_t used;
        double value = parse(table[i].text, &used);
        ck_assert_msg(used == table[i].used, "'%s' used %" PRId64, table[i].text, used);
        if (used < 0) ck_assert_double_eq(value, -12345);
    }
    const char *text = "123456", *p = text;
    double value;
    ck_assert(rob_priv_parse_double(&p, text + 3, &value));
    ck_assert_double_eq(value, 123);
    ck_assert_ptr_eq(p, text + 3);
}
END_TEST

static void numbers_survive_print_and_parse(void)
{
    rob_random r = rob_priv_random(21, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)rob_priv_below(&r, INT64_MAX) << 1
                        | (uint64_t)rob_priv_below(&r, 2);
        double x, back;
        memcpy(&x, &bits, sizeof x);
        if (isnan(x)) continue;
        char text[40];
        const char *p = rob_priv_print_double(text, sizeof text, x, 17);
        ck_assert(rob_priv_parse_double(&p, text + strlen(text), &back));
        ck_assert_ptr_eq(p, text + strlen(text));
        ck_assert_msg(bits_of(back) == bits_of(x), "%a printed as %s", x, text);
    }
}

START_TEST(seventeen_digits_bring_every_double_back)
{
    char text[40];
    numbers_survive_print_and_parse();
    ck_assert_str_eq(rob_priv_print_double(text, sizeof text, 0.5, 6), "0.5");
    ck_assert_str_eq(rob_priv_print_double(text, sizeof text, -1e-7, 3), "-1e-07");
    ck_assert_str_eq(rob_priv_print_double(text, sizeof text, NAN, 3), "nan");
    ck_assert_str_eq(rob_priv_print_double(text, sizeof text, -INFINITY, 3), "-inf");
    ck_assert_str_eq(rob_priv_print_double(text, sizeof text, 1.0 / 3, 99),
                     "0.33333333333333331");
}
END_TEST

START_TEST(a_decimal_comma_in_the_locale_changes_nothing)
{
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE.utf8")) {
        rob_skip("the locale de_DE.UTF-8 is not installed");
        return;
    }
    char text[40];
    snprintf(text, sizeof text, "%.1f", 0.5);
    ck_assert_str_eq(text, "0,5");
    numbers_are_read_exactly();
    numbers_survive_print_and_parse();
    ck_assert_str_eq(rob_priv_print_double(text, sizeof text, 1234.5, 6), "1234.5");
    rob_ctx ctx = { .threads = 1 };
    rob_priv_fail(&ctx, ROB_EDOMAIN, "x is %g", 0.5);
    ck_assert_str_eq(ctx.error, "x is 0.5");
    snprintf(text, sizeof text, "%.1f", 0.5);
    ck_assert_str_eq(text, "0,5");
    setlocale(LC_ALL, "C");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text");
    TCase *c = tcase_create("text");
    tcase_add_test(c, numbers_are_read_with_correct_rounding);
    tcase_add_test(c, ties_are_decided_by_the_last_digit);
    tcase_add_test(c, what_is_no_number_is_left_alone);
    tcase_add_test(c, seventeen_digits_bring_every_double_back);
    tcase_add_test(c, a_decimal_comma_in_the_locale_changes_nothing);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
