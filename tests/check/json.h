/* json.h -- is this text JSON (RFC 8259)? A grammar in forty lines, for tests. */
#ifndef ROB_TEST_JSON_H
#define ROB_TEST_JSON_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline const char *json_blank(const char *p) { return p + strspn(p, " \t\r\n"); }

static inline const char *json_string(const char *p) /* behind it, or NULL */
{
    if (*p++ != '"') return NULL;
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < 0x20) return NULL;
        if (*p == '\\' && !strchr("\"\\/bfnrtu", *++p)) return NULL;
    }
    return p + 1;
}

static inline const char *json_number(const char *p)
{
    const char *digits = p + (*p == '-');
    if (*digits < '0' || *digits > '9') return NULL;
    if (*digits == '0' && digits[1] >= '0' && digits[1] <= '9') return NULL;
    char *end;
    strtod(p, &end);
    return strcspn(p, "xXnNiI") < (size_t)(end - p) ? NULL : end;
}

static inline const char *json_value(const char *p, int depth)
{
    p = json_blank(p);
    if (depth > 16) return NULL;
    if (*p == '"') return json_string(p);
    if (strncmp(p, "true", 4) == 0 || strncmp(p, "null", 4) == 0) return p + 4;
    if (strncmp(p, "false", 5) == 0) return p + 5;
    if (*p != '{' && *p != '[') return json_number(p);
    bool object = *p == '{';
    char close = object ? '}' : ']';
    p = json_blank(p + 1);
    if (*p == close) return p + 1;
    for (;; p++) {
        if (object) {
            p = json_string(json_blank(p));
            if (!p || *(p = json_blank(p)) != ':') return NULL;
            p++;
        }
        p = json_value(p, depth + 1);
        if (!p) return NULL;
        p = json_blank(p);
        if (*p == close) return p + 1;
        if (*p != ',') return NULL;
    }
}

static inline bool json_is_whole(const char *text)
{
    const char *end = json_value(text, 0);
    return end && *json_blank(end) == 0;
}

#endif
