/* table.c -- rows of numbers in text, as the UCR archive has them.
 *
 *     row = field (separator field)* ;  separator: tab, comma, or a run of blanks
 *
 * The separator of a row is the first of tab and comma found in it, else blanks. "NaN",
 * "?" and an empty field between tabs or commas are NaN (missing); infinities are
 * refused. A plain reader of its own: small, bounded, and blind to the host's locale,
 * which no packaged one is.
 */
#include "io/io.h"

#include <math.h>
#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static const char *end_of_line(const char *at, const char *end)
{
    const char *found = memchr(at, '\n', (size_t)(end - at));
    return found != NULL ? found : end;
}

static char separator_of(const char *at, const char *end)
{
    for (const char *p = at; p < end; p++)
        if (*p == '\t' || *p == ',') return *p;
    return ' ';
}

/* No row has more fields than separators + 1. */
static int64_t fields_within(const char *at, const char *end)
{
    int64_t most = 1, here = 1;
    for (; at < end; at++) {
        if (*at == '\n') here = 1;
        else if (*at == '\t' || *at == ',' || *at == ' ') here++;
        if (here > most) most = here;
    }
    return most;
}

rob_status rob_priv_table_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, rob_table *out)
{
    const void *zero = count > 0 ? memchr(bytes, 0, (size_t)count) : NULL;
    if (count == 0) return rob_priv_fail(ctx, ROB_EFORMAT, "'%.200s' is empty", path);
    if (zero != NULL)
        return rob_priv_fail(ctx, ROB_EFORMAT,
                             "'%.200s' is neither NPY nor text: byte %lld "
                             "is zero",
                             path, (long long)((const uint8_t *)zero - bytes));
    const char *at = (const char *)bytes;
    *out = (rob_table){ .path = path,
                        .at = at,
                        .end = at + count,
                        .fields = fields_within(at, at + count) };
    return ROB_OK;
}

static rob_status no_number(rob_ctx *ctx, const rob_table *t, const char *at,
                            const char *end, int64_t field)
{
    int length = end - at < 24 ? (int)(end - at) : 24;
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "'%.200s' line %lld, field %lld: '%.*s' is no "
                         "finite number",
                         t->path, (long long)t->line, (long long)field + 1, length, at);
}

/* at .. end is one field without its separator and outer blanks. */
static bool read_field(const char *at, const char *end, double *out)
{
    *out = NAN;
    if (at == end || (end - at == 1 && *at == '?')) return true;
    const char *p = at;
    return rob_priv_parse_double(&p, end, out) && p == end && !isinf(*out);
}

static rob_status read_row(rob_ctx *ctx, const rob_table *t, const char *at,
                           const char *end, double *row, int64_t *count)
{
    char mark = separator_of(at, end);
    int64_t n = 0;
    for (;;) {
        while (at < end && is_blank(*at) && *at != mark) at++;
        while (mark == ' ' && at < end && is_blank(*at)) at++;
        const char *stop = at;
        while (stop < end && *stop != mark) stop++;
        const char *last = stop;
        while (last > at && is_blank(last[-1])) last--;
        if (!read_field(at, last, &row[n])) return no_number(ctx, t, at, last, n);
        n++;
        if (stop == end) break;
        at = stop + 1;
    }
    *count = n;
    return ROB_OK;
}

rob_status rob_priv_table_next(rob_ctx *ctx, rob_table *t, double *row, int64_t *count)
{
    *count = 0;
    while (t->at < t->end) {
        const char *at = t->at, *end = end_of_line(at, t->end);
        t->at = end < t->end ? end + 1 : end;
        t->line++;
        while (end > at && is_blank(end[-1]) && end[-1] != '\t') end--;
        while (at < end && is_blank(*at) && *at != '\t') at++;
        if (at == end || *at == '#' || *at == '%' || *at == '@') continue;
        return read_row(ctx, t, at, end, row, count);
    }
    return ROB_OK;
}
