/* line.c -- lines and words of a text in memory, for formats with a header of @keys. */
#include "io/formats.h"

#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

rob_lines rob_priv_lines(const uint8_t *bytes, int64_t count)
{
    const char *at = (const char *)bytes, *end = at + count;
    if (count >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) at += 3;
    return (rob_lines){ .at = at, .end = end };
}

rob_field rob_priv_field_trim(const char *at, const char *end)
{
    while (at < end && is_blank(*at)) at++;
    while (end > at && is_blank(end[-1])) end--;
    return (rob_field){ .at = at, .count = end - at };
}

bool rob_priv_lines_next(rob_lines *l, rob_field *out)
{
    if (l->at == l->end) return false;
    const char *stop = memchr(l->at, '\n', (size_t)(l->end - l->at));
    const char *end = stop != NULL ? stop : l->end;
    *out = rob_priv_field_trim(l->at, end);
    l->at = stop != NULL ? stop + 1 : end;
    l->line++;
    return true;
}

bool rob_priv_lines_telling(rob_lines *l, rob_field *out)
{
    while (rob_priv_lines_next(l, out))
        if (out->count > 0 && *out->at != '#' && *out->at != '%') return true;
    return false;
}

rob_field rob_priv_field_word(rob_field *rest)
{
    const char *at = rest->at, *end = at + rest->count, *stop = at;
    while (stop < end && !is_blank(*stop)) stop++;
    *rest = rob_priv_field_trim(stop, end);
    return (rob_field){ .at = at, .count = stop - at };
}

int rob_priv_field_show(const rob_field *f)
{
    return (int)(f->count < 40 ? f->count : 40);
}
