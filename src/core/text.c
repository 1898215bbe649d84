/* text.c -- numbers to text and back, the same under every locale.
 *
 * Reading: a decimal  d1..dk . f1..fm e x  equals the integer  d1..dkf1..fm  times
 * 10^(x - m), and strtod rounds that form correctly without ever meeting a decimal
 * point, whose spelling is the only thing a locale changes. Digits beyond DIGITS_KEPT
 * are replaced by one sticky 1: a double's rounding boundary has at most 767
 * significant digits (subnormals with an odd last bit), so nothing longer can be a tie.
 */
#include "core/core.h"
#include "core/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_KEPT = 780, EXPONENT_CAP = 100000000 };

typedef struct decimal {
    char text[DIGITS_KEPT + 32]; /* sign and digits, later also the exponent */
    int64_t kept;                /* characters in text */
    int64_t significant;         /* digits from the first that is not 0 */
    int64_t exponent;
    bool seen_digit, sticky;
} decimal;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void take_digit(decimal *d, char c, bool behind_point)
{
    d->seen_digit = true;
    if (behind_point) d->exponent--;
    if (c == '0' && d->significant == 0) return;
    if (d->significant++ < DIGITS_KEPT) {
        d->text[d->kept++] = c;
    } else {
        d->exponent++;
        d->sticky = d->sticky || c != '0';
    }
}

static const char *take_digits(decimal *d, const char *p, const char *end)
{
    for (; p < end && is_digit(*p); p++) take_digit(d, *p, false);
    if (p < end && *p == '.')
        for (p++; p < end && is_digit(*p); p++) take_digit(d, *p, true);
    return p;
}

/* "e-12" and the like; a lone 'e' belongs to what follows the number. */
static const char *take_exponent(decimal *d, const char *p, const char *end)
{
    const char *q = p;
    if (q == end || (*q != 'e' && *q != 'E')) return p;
    q++;
    bool negative = q < end && *q == '-';
    if (q < end && (*q == '-' || *q == '+')) q++;
    if (q == end || !is_digit(*q)) return p;
    int64_t x = 0;
    for (; q < end && is_digit(*q); q++)
        if (x < EXPONENT_CAP) x = 10 * x + (*q - '0');
    d->exponent += negative ? -x : x;
    return q;
}

static bool begins_with(const char *p, const char *end, const char *word)
{
    for (; *word; p++, word++)
        if (p == end || (*p | 0x20) != *word) return false;
    return true;
}

/* Characters of "inf", "infinity" or "nan" at p; 0 when there is none of them. */
static int64_t take_word(const char *p, const char *end, double *value)
{
    if (begins_with(p, end, "infinity")) return *value = INFINITY, 8;
    if (begins_with(p, end, "inf")) return *value = INFINITY, 3;
    if (begins_with(p, end, "nan")) return *value = NAN, 3;
    return 0;
}

static double round_decimal(decimal *d)
{
    int64_t x = d->exponent;
    if (d->kept == 0) d->text[d->kept++] = '0';
    if (d->sticky) d->text[d->kept++] = '1', x--;
    if (x > EXPONENT_CAP) x = EXPONENT_CAP;
    if (x < -EXPONENT_CAP) x = -EXPONENT_CAP;
    snprintf(d->text + d->kept, 24, "e%lld", (long long)x);
    int before = errno;
    double value = strtod(d->text, NULL);
    errno = before;
    return value;
}

bool rob_priv_parse_double(const char **s, const char *end, double *out)
{
    decimal d;
    d.kept = d.significant = d.exponent = 0;
    d.seen_digit = d.sticky = false;
    const char *p = *s;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    double value;
    int64_t word = take_word(p, end, &value);
    if (word) {
        p += word;
    } else {
        p = take_digits(&d, p, end);
        if (!d.seen_digit) return false;
        p = take_exponent(&d, p, end);
        value = round_decimal(&d);
    }
    *out = negative ? -value : value;
    *s = p;
    return true;
}

int rob_priv_format(char *buffer, size_t capacity, const char *format, va_list list)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = plain ? uselocale(plain) : (locale_t)0;
    int length = vsnprintf(buffer, capacity, format, list);
    if (plain) {
        uselocale(before);
        freelocale(plain);
    }
    return length;
}

static void format_plainly(char *buffer, size_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void format_plainly(char *buffer, size_t capacity, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    rob_priv_format(buffer, capacity, format, list);
    va_end(list);
}

char *rob_priv_print_double(char *buffer, size_t capacity, double value, int digits)
{
    int shown = digits < 1 ? 1 : digits > 17 ? 17 : digits;
    if (isnan(value)) format_plainly(buffer, capacity, "nan");
    else format_plainly(buffer, capacity, "%.*g", shown, value);
    return buffer;
}
