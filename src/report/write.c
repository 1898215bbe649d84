/* write.c -- numbers, shares and foreign text on a page.
 *
 * Foreign text is what a caller or a model file supplied: titles, names of classes. It
 * is decoded as UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF),
 * bytes that are none become U+FFFD, control characters a blank; then the characters
 * that mean something to HTML or JSON are written as references.
 */
#include "report/report.h"
#include "core/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 2048 };

void rob_priv_page_add(rob_page *p, const char *text)
{
    rob_priv_text_string(&p->ctx->memory, &p->t, text);
}

void rob_priv_page_print(rob_page *p, const char *format, ...)
{
    char line[LINE];
    va_list list;
    va_start(list, format);
    rob_priv_format(line, sizeof line, format, list);
    va_end(list);
    rob_priv_page_add(p, line);
}

/* ---- foreign text ---------------------------------------------------------------- */

/* Bytes of the character at s, 0 when it is no UTF-8. */
static int character(const unsigned char *s)
{
    static const struct form {
        unsigned char first, last, low, high; /* lead bytes; range of the second */
        int bytes;
    } FORM[] = {
        { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
        { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
        { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (int64_t k = 0; k < COUNT_OF(FORM); k++) {
        const struct form *f = &FORM[k];
        if (s[0] < f->first || s[0] > f->last) continue;
        if (f->bytes > 1 && (s[1] < f->low || s[1] > f->high)) return 0;
        for (int j = 2; j < f->bytes; j++)
            if (s[j] < 0x80 || s[j] > 0xbf) return 0;
        return f->bytes;
    }
    return 0;
}

static const char *html_of(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return c < 0x20 || c == 0x7f ? " " : NULL;
    }
}

static const char *json_of(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\t':
        return "\\t";
    case '<':
        return "\\u003c"; /* so JSON may stand inside a page */
    default:
        return c < 0x20 || c == 0x7f ? " " : NULL;
    }
}

static void write_safely(rob_page *p, const char *text,
                         const char *(*reference)(unsigned char))
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        int bytes = character(s);
        const char *instead = bytes == 1 ? reference(*s) : NULL;
        if (bytes == 0) rob_priv_page_add(p, "\xef\xbf\xbd");
        else if (instead) rob_priv_page_add(p, instead);
        else rob_priv_text_add(&p->ctx->memory, &p->t, (const char *)s, bytes);
        s += bytes > 0 ? bytes : 1;
    }
}

void rob_priv_page_html(rob_page *p, const char *text)
{
    write_safely(p, text, html_of);
}

void rob_priv_page_json(rob_page *p, const char *text)
{
    rob_priv_page_add(p, "\"");
    write_safely(p, text, json_of);
    rob_priv_page_add(p, "\"");
}

const char *rob_priv_page_text(const rob_page *p, int32_t which, const char *otherwise)
{
    return p->report->text[which] ? p->report->text[which] : otherwise;
}

/* ---- numbers --------------------------------------------------------------------- */

/* digits of |v| in [1e-3, 1e5) plain, else with a power of ten; three significant */
void rob_priv_page_number(rob_page *p, double v)
{
    if (isnan(v)) rob_priv_page_add(p, "<span class=\"no\">–</span>");
    else if (isinf(v)) rob_priv_page_add(p, v > 0 ? "∞" : "−∞");
    else if (v == 0) rob_priv_page_add(p, "0");
    else {
        int power = (int)floor(log10(fabs(v)));
        double digits = round(fabs(v) / pow(10, power - 2));
        if (digits >= 1000) power++;
        if (v < 0) rob_priv_page_add(p, "−");
        if (power < -3 || power >= 5)
            rob_priv_page_print(p, "%.2f·10<sup>%s%d</sup>", fabs(v) / pow(10, power),
                                power < 0 ? "−" : "", power < 0 ? -power : power);
        else rob_priv_page_print(p, "%.*f", power < 2 ? 2 - power : 0, fabs(v));
    }
}

void rob_priv_page_percent(rob_page *p, double share)
{
    if (isnan(share)) rob_priv_page_add(p, "<span class=\"no\">–</span>");
    else if (share > 0 && share < 1e-4) rob_priv_page_number(p, share);
    else if (share > 0 && share < 0.0995)
        rob_priv_page_print(p, "%.2g %%", 100 * share);
    else rob_priv_page_print(p, "%.1f %%", 100 * share);
}

/* ---- names ----------------------------------------------------------------------- */

void rob_priv_page_class(rob_page *p, double class)
{
    const char *at = p->f->classes;
    char name[512];
    if (isnan(class) || class < 0) {
        rob_priv_page_add(p, "<span class=\"no\">none</span>");
        return;
    }
    for (int64_t k = 0; at && k < (int64_t) class; k++) {
        at = strchr(at, ',');
        if (at) at++;
    }
    size_t length = at ? strcspn(at, ",") : 0;
    if (length == 0) {
        rob_priv_page_print(p, "%lld", (long long)class);
        return;
    }
    memcpy(name, at, length);
    name[length] = 0;
    rob_priv_page_html(p, name);
}

const char *rob_priv_norm_name(const rob_findings *f)
{
    if (f->norm == ROB_NORM_L1) return "L1";
    return f->norm == ROB_NORM_LINF ? "Linf" : "L2";
}

const char *rob_priv_length_unit(const rob_findings *f)
{
    bool model = f->units == ROB_UNITS_MODEL;
    if (f->norm == ROB_NORM_L1) return model ? "L1, model units" : "L1, data units";
    if (f->norm == ROB_NORM_LINF) return model ? "L∞, model units" : "L∞, data units";
    return model ? "L2, model units" : "L2, data units";
}

const char *rob_priv_unit_word(const rob_findings *f, int32_t unit)
{
    switch (unit) {
    case ROB_LENGTH:
        return rob_priv_length_unit(f);
    case ROB_PER_LENGTH:
        return "1 / length";
    case ROB_VALUE:
        return "value of the series";
    case ROB_SHARE:
        return "share of 1";
    case ROB_LOG10:
        return "log10 of a probability";
    default:
        return "";
    }
}
