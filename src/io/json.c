/* json.c -- a scanner for the part of JSON (RFC 8259) that safetensors headers use:
 * marks, strings and non-negative integers.
 *
 * Why no JSON library: the packaged ones recurse as deep as the input says or keep
 * global state, while a header has three levels, fixed by its grammar; its reader in
 * safetensors.c therefore calls these tokens in order and neither recurses nor
 * allocates.
 *
 * Strings must be well-formed UTF-8 (Unicode 15, table 3-7) without control characters
 * and without U+0000, since they become C strings. An unescaped string with its final
 * zero is never longer than its source with two quotes, so `text` cannot overflow.
 */
#include "io/json.h"

#include <stddef.h>
#include <string.h>

static bool fail(rob_json *j, const char *expected)
{
    if (j->expected == NULL) j->expected = expected;
    return false;
}

static void skip_blanks(rob_json *j)
{
    while (j->at < j->end
           && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

bool rob_priv_json_if(rob_json *j, char mark)
{
    if (j->expected != NULL) return false;
    skip_blanks(j);
    if (j->at == j->end || *j->at != (uint8_t)mark) return false;
    j->at++;
    return true;
}

bool rob_priv_json_mark(rob_json *j, char mark)
{
    static const char *const name[] = { "'{'", "'}'", "'['", "']'", "':'", "','" };
    if (rob_priv_json_if(j, mark)) return true;
    const char *found = strchr("{}[]:,", mark);
    return fail(j, found != NULL ? name[found - "{}[]:,"] : "a mark");
}

bool rob_priv_json_end(rob_json *j)
{
    skip_blanks(j);
    if (j->expected != NULL) return false;
    return j->at == j->end || fail(j, "the end");
}

bool rob_priv_json_integer(rob_json *j, int64_t *out)
{
    const int64_t most = (int64_t)1 << 53;
    int64_t value = 0;
    if (j->expected != NULL) return false;
    skip_blanks(j);
    const uint8_t *first = j->at;
    for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
        value = 10 * value + (*j->at - '0');
        if (value > most) return fail(j, "an integer up to 2^53");
    }
    if (j->at == first || (*first == '0' && j->at - first > 1))
        return fail(j, "an integer");
    *out = value;
    return true;
}

/* ---- strings --------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool hex4(rob_json *j, uint32_t *out)
{
    uint32_t value = 0;
    if (j->end - j->at < 4) return fail(j, "four hexadecimal digits");
    for (int k = 0; k < 4; k++) {
        int digit = hex_digit(j->at[k]);
        if (digit < 0) return fail(j, "four hexadecimal digits");
        value = value * 16 + (uint32_t)digit;
    }
    j->at += 4;
    *out = value;
    return true;
}

static void put(rob_json *j, uint32_t byte) { *j->text++ = (char)byte; }

static void put_code(rob_json *j, uint32_t c)
{
    if (c < 0x80) {
        put(j, c);
    } else if (c < 0x800) {
        put(j, 0xC0 | c >> 6);
        put(j, 0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(j, 0xE0 | c >> 12);
        put(j, 0x80 | (c >> 6 & 0x3F));
        put(j, 0x80 | (c & 0x3F));
    } else {
        put(j, 0xF0 | c >> 18);
        put(j, 0x80 | (c >> 12 & 0x3F));
        put(j, 0x80 | (c >> 6 & 0x3F));
        put(j, 0x80 | (c & 0x3F));
    }
}

/* Behind "\u": one unit, or two that make a surrogate pair. */
static bool take_unicode(rob_json *j)
{
    uint32_t high, low;
    if (!hex4(j, &high)) return false;
    if (high == 0) return fail(j, "a character other than U+0000");
    if (high < 0xD800 || high > 0xDFFF) return put_code(j, high), true;
    if (high > 0xDBFF || j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u')
        return fail(j, "a surrogate pair");
    j->at += 2;
    if (!hex4(j, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return fail(j, "a surrogate pair");
    put_code(j, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
    return true;
}

static bool take_escape(rob_json *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (j->at == j->end) return fail(j, "an escape");
    uint8_t c = *j->at++;
    if (c == 'u') return take_unicode(j);
    const char *found = c != 0 ? strchr(from, c) : NULL;
    if (found == NULL) return fail(j, "an escape");
    put(j, (uint32_t)(uint8_t)to[found - from]);
    return true;
}

/* One character outside ASCII: the lead byte says how many follow and which second
 * bytes keep out overlong forms, surrogates and what lies above U+10FFFF. */
static bool take_utf8(rob_json *j)
{
    uint8_t lead = *j->at;
    int follow = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead < 0xC2 || lead > 0xF4 || j->end - j->at <= follow)
        return fail(j, "well-formed UTF-8");
    for (int k = 1; k <= follow; k++, low = 0x80, high = 0xBF)
        if (j->at[k] < low || j->at[k] > high) return fail(j, "well-formed UTF-8");
    for (int k = 0; k <= follow; k++) put(j, *j->at++);
    return true;
}

static bool take_character(rob_json *j)
{
    uint8_t c = *j->at;
    if (c < 0x20) return fail(j, "no control character in a string");
    if (c >= 0x80) return take_utf8(j);
    j->at++;
    if (c == '\\') return take_escape(j);
    put(j, c);
    return true;
}

const char *rob_priv_json_string(rob_json *j)
{
    if (!rob_priv_json_if(j, '"')) return fail(j, "a string"), NULL;
    const char *first = j->text;
    while (j->at < j->end && *j->at != '"')
        if (!take_character(j)) return NULL;
    if (j->at == j->end) return fail(j, "the end of a string"), NULL;
    j->at++;
    put(j, 0);
    return first;
}
