/* onnx_recipe.c -- the words a recipe has for an ONNX file.
 *
 *     recipe = "onnx" (blank word)*,
 *     words layout= input= classes= output= features= outputs= task=
 *
 * The file says what is computed; layout= says which axis of its input is which.
 */
#include "model/onnx.h"

#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_layout(const char *at, const char *end)
{
    if (end - at < 1 || end - at > ROB_ONNX_RANK) return false;
    for (; at < end; at++)
        if (strchr("btd1", *at) == NULL) return false;
    return true;
}

static bool copied(const char *at, const char *end, char *out, size_t capacity)
{
    size_t count = (size_t)(end - at);
    if (count == 0 || count >= capacity) return false;
    memcpy(out, at, count);
    out[count] = '\0';
    return true;
}

static const struct {
    const char *name, *allowed;
} WORDS[] = {
    { "layout", "a letter an axis: b series, t steps, d features, 1 nothing" },
    { "output", "the name of an output, 63 characters at most" },
    { "input", "(x-SHIFT)/SCALE with finite numbers, SCALE not 0" },
    { "classes", "names with commas between, 511 characters at most" },
    { "features", "an integer from 1" },
    { "outputs", "an integer from 1" },
    { "task", "classify or forecast" },
};

static bool take(int64_t k, const char *at, const char *end, rob_recipe *r)
{
    if (k == 0)
        return is_layout(at, end) && copied(at, end, r->layout, sizeof r->layout);
    if (k == 1) return copied(at, end, r->head, sizeof r->head);
    return rob_priv_recipe_value(WORDS[k].name, at, end, r);
}

static rob_status read_word(rob_ctx *ctx, const char *at, const char *end, rob_recipe *r,
                            uint32_t *seen)
{
    int length = (int)(end - at < 60 ? end - at : 60);
    const char *equal = memchr(at, '=', (size_t)(end - at));
    for (int64_t k = 0; equal != NULL && k < COUNT_OF(WORDS); k++) {
        size_t n = strlen(WORDS[k].name);
        if ((size_t)(equal - at) != n || memcmp(at, WORDS[k].name, n) != 0) continue;
        if (*seen >> k & 1)
            return rob_priv_fail(ctx, ROB_EARGUMENT, "recipe word %s= stands twice",
                                 WORDS[k].name);
        *seen |= (uint32_t)1 << k;
        if (take(k, equal + 1, end, r)) return ROB_OK;
        return rob_priv_fail(ctx, ROB_EARGUMENT, "recipe word '%.*s': allowed is %s",
                             length, at, WORDS[k].allowed);
    }
    return rob_priv_fail(ctx, ROB_EARGUMENT,
                         "recipe word '%.*s': with onnx, allowed are layout= output= "
                         "input= classes= features= outputs= task=",
                         length, at);
}

rob_status rob_priv_onnx_words(rob_ctx *ctx, const char *text, rob_recipe *r)
{
    rob_status status = ROB_OK;
    uint32_t seen = 0;
    int64_t words = 0;
    for (const char *at = text, *end; *at; at = end) {
        while (is_blank(*at)) at++;
        for (end = at; *end && !is_blank(*end);) end++;
        if (end == at) break;
        if (words++ > 0) TRY(read_word(ctx, at, end, r, &seen));
        else
            CHECK(end - at == 4 && memcmp(at, "onnx", 4) == 0, ctx, ROB_EARGUMENT,
                  "the recipe of an ONNX file begins with onnx, not '%.*s'",
                  (int)(end - at < 60 ? end - at : 60), at);
    }
    CHECK(words > 0, ctx, ROB_EARGUMENT, "the recipe is empty; it begins with onnx");
    CHECK(r->layout[0], ctx, ROB_EARGUMENT,
          "recipe '%.200s' does not say layout=; the file does not tell which axis is "
          "time",
          text);
done:
    return status;
}
