/* field.c -- what one field of a table says: a number, a day, a word.
 *
 * Day number of the date y-m-d in the proleptic Gregorian calendar, years counted from
 * March so that the leap day comes last (m' = (m + 9) mod 12, y' = y - [m <= 2]):
 *     n = 365 y' + floor(y'/4) - floor(y'/100) + floor(y'/400)
 *         + floor((153 m' + 2)/5) + d - 1 - 719468,      n = 0 on 1970-01-01.
 */
#include "io/io.h"

#include <math.h>
#include <string.h>

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

bool rob_priv_field_is(const rob_field *f, const char *word)
{
    int64_t k = 0;
    for (; k < f->count && word[k]; k++)
        if (lower(f->at[k]) != lower(word[k])) return false;
    return k == f->count && word[k] == 0;
}

bool rob_priv_field_number(const rob_field *f, double *out)
{
    static const char *const missing[] = { "", "?", "NaN", "NA", "null", "none" };
    const char *p = f->at;
    *out = NAN;
    for (int64_t k = 0; k < COUNT_OF(missing); k++)
        if (rob_priv_field_is(f, missing[k])) return true;
    return rob_priv_parse_double(&p, f->at + f->count, out) && p == f->at + f->count
           && isfinite(*out);
}

/* ---- dates ----------------------------------------------------------------------- */

static double day_number(int64_t y, int64_t m, int64_t d)
{
    int64_t from_march = (m + 9) % 12, year = y - (m <= 2);
    return (double)(365 * year + year / 4 - year / 100 + year / 400
                    + (153 * from_march + 2) / 5 + d - 1 - 719468);
}

static int64_t days_of(int64_t y, int64_t m)
{
    static const int64_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days[m - 1] + (m == 2 && leap);
}

/* Up to `most` digits at *at. */
static bool take_digits(const char **at, const char *end, int64_t most, int64_t *out)
{
    const char *from = *at;
    for (*out = 0; *at < end && **at >= '0' && **at <= '9' && *at - from < most; ++*at)
        *out = 10 * *out + (**at - '0');
    return *at > from;
}

static bool take_mark(const char **at, const char *end, char mark)
{
    if (*at == end || **at != mark) return false;
    ++*at;
    return true;
}

/* "T09:30", " 09:30:15"; nothing is midnight. */
static bool take_clock(const char **at, const char *end, double *day)
{
    int64_t h, m, s = 0;
    if (*at == end) return true;
    if (!take_mark(at, end, ' ') && !take_mark(at, end, 'T')) return false;
    if (!take_digits(at, end, 2, &h) || !take_mark(at, end, ':')
        || !take_digits(at, end, 2, &m) || h > 23 || m > 59)
        return false;
    if (take_mark(at, end, ':') && (!take_digits(at, end, 2, &s) || s > 60))
        return false;
    *day += (double)(3600 * h + 60 * m + s) / 86400.0;
    return *at == end;
}

bool rob_priv_field_date(const rob_field *f, double *out)
{
    const char *at = f->at, *end = f->at + f->count, *from = at;
    int64_t a, b, c;
    if (!take_digits(&at, end, 4, &a) || at == end) return false;
    bool year_first = at - from == 4;
    char mark = *at++;
    if ((mark != '-' && mark != '/') || (mark == '-' && !year_first)) return false;
    if (!take_digits(&at, end, 2, &b) || !take_mark(&at, end, mark)) return false;
    from = at;
    if (!take_digits(&at, end, year_first ? 2 : 4, &c)) return false;
    if (!year_first && at - from != 4) return false;
    int64_t y = year_first ? a : c, m = year_first ? b : a, d = year_first ? c : b;
    if (y < 1 || m < 1 || m > 12 || d < 1 || d > days_of(y, m)) return false;
    double day = day_number(y, m, d);
    if (!take_clock(&at, end, &day)) return false;
    *out = day;
    return true;
}
