/* recipe.c -- the words that say what weights alone do not: docs/recipe.md has the
 * grammar.
 *
 *     recipe = architecture (blank word)* ; word = name "=" value
 *
 * Every word sets one field of rob_recipe; a field not named stays 0 or "" and is
 * inferred from the tensors or refused by whoever needs it. The input map is
 *     network sees  (x - shift) / scale.
 */
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One word's value, at .. end, on its way into a recipe. */
typedef struct value {
    const char *at, *end;
} value;

static bool is(value v, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(v.end - v.at) == length && memcmp(v.at, word, length) == 0;
}

/* ---- readers of one value: false when it is not allowed -------------------------- */

static bool read_count(value v, int64_t *out)
{
    int64_t n = 0;
    if (v.at == v.end || v.end - v.at > 9) return false;
    for (; v.at < v.end; v.at++) {
        if (*v.at < '0' || *v.at > '9') return false;
        n = 10 * n + (*v.at - '0');
    }
    *out = n;
    return n >= 1;
}

static bool read_layers(value v, rob_recipe *r)
{
    int64_t layers;
    if (!read_count(v, &layers) || layers > ROB_MAX_LAYERS) return false;
    r->layers = (int32_t)layers;
    return true;
}

static bool read_features(value v, rob_recipe *r)
{
    return read_count(v, &r->features);
}
static bool read_hidden(value v, rob_recipe *r) { return read_count(v, &r->hidden); }
static bool read_outputs(value v, rob_recipe *r) { return read_count(v, &r->outputs); }

static bool read_nonlinearity(value v, rob_recipe *r)
{
    if (r->kind != ROB_KIND_RNN_TANH && r->kind != ROB_KIND_RNN_RELU) return false;
    if (!is(v, "tanh") && !is(v, "relu")) return false;
    r->kind = is(v, "tanh") ? ROB_KIND_RNN_TANH : ROB_KIND_RNN_RELU;
    return true;
}

static bool read_readout(value v, rob_recipe *r)
{
    if (!is(v, "last") && !is(v, "mean")) return false;
    r->readout = is(v, "last") ? ROB_READOUT_LAST : ROB_READOUT_MEAN;
    return true;
}

static bool read_dtype(value v, rob_recipe *r)
{
    if (!is(v, "f32") && !is(v, "f64")) return false;
    r->dtype = is(v, "f32") ? ROB_F32 : ROB_F64;
    return true;
}

static bool copy_value(value v, char *out, size_t capacity)
{
    size_t length = (size_t)(v.end - v.at);
    if (length == 0 || length >= capacity) return false;
    memcpy(out, v.at, length);
    out[length] = '\0';
    return true;
}

static bool read_head(value v, rob_recipe *r)
{
    return copy_value(v, r->head, sizeof r->head);
}
static bool read_body(value v, rob_recipe *r)
{
    return copy_value(v, r->body, sizeof r->body);
}

static bool read_classes(value v, rob_recipe *r)
{
    for (const char *p = v.at; p < v.end; p++)
        if (*p == ',' && (p == v.at || p + 1 == v.end || p[1] == ',')) return false;
    return copy_value(v, r->classes, sizeof r->classes);
}

static bool take(value *v, char mark)
{
    if (v->at == v->end || *v->at != mark) return false;
    v->at++;
    return true;
}

/* x | x-S | (x-S)/A | x/A, also with + */
static bool read_input(value v, rob_recipe *r)
{
    double shift = 0.0, scale = 1.0;
    bool open = take(&v, '('), minus = false;
    if (!take(&v, 'x')) return false;
    if (v.at < v.end && (*v.at == '-' || *v.at == '+')) {
        minus = *v.at++ == '-';
        if (!rob_priv_parse_double(&v.at, v.end, &shift)) return false;
        if (!minus) shift = -shift;
        if (!open && v.at < v.end) return false;
    }
    if (open && !take(&v, ')')) return false;
    if (take(&v, '/') && !rob_priv_parse_double(&v.at, v.end, &scale)) return false;
    if (v.at != v.end || !isfinite(shift) || !isfinite(scale)) return false;
    if (scale == 0.0 || !isfinite(1.0 / scale) || !isfinite(shift / scale))
        return false;
    r->input_shift = shift;
    r->input_scale = scale;
    return true;
}

/* ---- the tables ------------------------------------------------------------------ */

typedef struct word {
    const char *name;
    bool (*read)(value, rob_recipe *);
    const char *allowed;
} word;

static const word WORDS[] = {
    { "nonlinearity", read_nonlinearity, "tanh or relu, with rnn only" },
    { "readout", read_readout, "last or mean" },
    { "layers", read_layers, "1 to 16" },
    { "features", read_features, "an integer from 1" },
    { "hidden", read_hidden, "an integer from 1" },
    { "outputs", read_outputs, "an integer from 1" },
    { "head", read_head, "a tensor prefix of 1 to 63 characters" },
    { "body", read_body, "a tensor prefix of 1 to 63 characters" },
    { "classes", read_classes, "names with commas between, 511 characters at most" },
    { "input", read_input, "(x-SHIFT)/SCALE with finite numbers, SCALE not 0" },
    { "dtype", read_dtype, "f32 or f64" },
};

bool rob_priv_recipe_value(const char *name, const char *at, const char *end,
                           rob_recipe *out)
{
    for (int64_t k = 0; k < COUNT_OF(WORDS); k++)
        if (strcmp(WORDS[k].name, name) == 0)
            return WORDS[k].read((value){ at, end }, out);
    return false;
}

static const char *const KINDS[] = { "rnn", "rnn", "lstm", "gru" };

static bool read_kind(value v, rob_recipe *r)
{
    for (int32_t k = ROB_KIND_RNN_TANH; k <= ROB_KIND_GRU; k++) {
        if (!is(v, KINDS[k])) continue;
        r->kind = k;
        return true;
    }
    return false;
}

/* ---- the string ------------------------------------------------------------------ */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static value next_word(const char **at)
{
    const char *p = *at;
    while (is_blank(*p)) p++;
    value v = { p, p };
    while (*v.end && !is_blank(*v.end)) v.end++;
    *at = v.end;
    return v;
}

static rob_status unknown_word(rob_ctx *ctx, value v)
{
    return rob_priv_fail(
        ctx, ROB_EARGUMENT,
        "recipe word '%.*s': allowed are nonlinearity= "
        "readout= layers= features= hidden= outputs= head= body= classes= "
        "input= dtype=",
        (int)(v.end - v.at < 60 ? v.end - v.at : 60), v.at);
}

static rob_status read_word(rob_ctx *ctx, value v, rob_recipe *r, uint32_t *seen)
{
    int length = (int)(v.end - v.at < 80 ? v.end - v.at : 80);
    const char *equal = memchr(v.at, '=', (size_t)(v.end - v.at));
    if (equal == NULL) return unknown_word(ctx, v);
    for (int64_t k = 0; k < COUNT_OF(WORDS); k++) {
        if (!is((value){ v.at, equal }, WORDS[k].name)) continue;
        if (*seen >> k & 1)
            return rob_priv_fail(ctx, ROB_EARGUMENT, "recipe word %s= stands twice",
                                 WORDS[k].name);
        *seen |= (uint32_t)1 << k;
        if (WORDS[k].read((value){ equal + 1, v.end }, r)) return ROB_OK;
        return rob_priv_fail(ctx, ROB_EARGUMENT, "recipe word '%.*s': allowed is %s",
                             length, v.at, WORDS[k].allowed);
    }
    return unknown_word(ctx, v);
}

rob_status rob_priv_recipe_parse(rob_ctx *ctx, const char *text, rob_recipe *out)
{
    rob_status status = ROB_OK;
    rob_recipe r = { .kind = -1, .readout = -1, .input_scale = 1.0 };
    uint32_t seen = 0;
    CHECK(text != NULL, ctx, ROB_EARGUMENT, "recipe is NULL");
    const char *at = text;
    value v = next_word(&at);
    CHECK(read_kind(v, &r), ctx, ROB_EARGUMENT,
          "recipe begins with '%.*s'; it must begin "
          "with rnn, lstm or gru",
          (int)(v.end - v.at < 60 ? v.end - v.at : 60), v.at);
    bool elman = r.kind == ROB_KIND_RNN_TANH;
    for (v = next_word(&at); v.at < v.end; v = next_word(&at))
        TRY(read_word(ctx, v, &r, &seen));
    CHECK(!elman || (seen & 1), ctx, ROB_EARGUMENT,
          "recipe '%.200s' does not say "
          "nonlinearity=tanh or nonlinearity=relu; the weights do not tell",
          text);
    CHECK(r.readout >= 0, ctx, ROB_EARGUMENT,
          "recipe '%.200s' does not say readout=last or "
          "readout=mean; the weights do not tell",
          text);
    *out = r;
done:
    return status;
}

/* ---- printing -------------------------------------------------------------------- */

typedef struct printed {
    char *at;
    size_t used, capacity;
} printed;

static void add(printed *p, const char *a, const char *b)
{
    if (p->used >= p->capacity) return;
    int n = snprintf(p->at + p->used, p->capacity - p->used, "%s%s", a, b);
    if (n > 0) p->used += (size_t)n;
}

static void add_count(printed *p, const char *name, int64_t count)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)count);
    if (count > 0) add(p, name, digits);
}

/* With 15 digits where they say the same double, else 17. */
static void add_number(printed *p, double x)
{
    char number[40];
    double back = 0.0;
    const char *at = rob_priv_print_double(number, sizeof number, x, 15);
    bool same = rob_priv_parse_double(&at, number + strlen(number), &back) && back == x;
    if (!same) rob_priv_print_double(number, sizeof number, x, 17);
    add(p, number, "");
}

static void add_input(printed *p, const rob_recipe *r)
{
    if (r->input_shift == 0.0 && r->input_scale == 1.0) return;
    add(p, " input=(x", r->input_shift < 0.0 ? "+" : "-");
    add_number(p, fabs(r->input_shift));
    add(p, ")/", "");
    add_number(p, r->input_scale);
}

void rob_priv_recipe_print(const rob_recipe *r, char *out, size_t capacity)
{
    printed p = { out, 0, capacity };
    if (capacity > 0) out[0] = '\0';
    add(&p, r->kind >= 0 && r->kind <= ROB_KIND_GRU ? KINDS[r->kind]
            : r->layout[0]                           ? "onnx"
                                                     : "graph",
        "");
    if (r->layout[0]) add(&p, " layout=", r->layout);
    if (r->kind == ROB_KIND_RNN_TANH) add(&p, " nonlinearity=tanh", "");
    if (r->kind == ROB_KIND_RNN_RELU) add(&p, " nonlinearity=relu", "");
    add_count(&p, " layers=", r->layers);
    add_count(&p, " features=", r->features);
    add_count(&p, " hidden=", r->hidden);
    add_count(&p, " outputs=", r->outputs);
    if (r->readout >= 0 && !r->layout[0])
        add(&p, " readout=", r->readout == ROB_READOUT_LAST ? "last" : "mean");
    if (r->body[0]) add(&p, " body=", r->body);
    if (r->head[0]) add(&p, r->layout[0] ? " output=" : " head=", r->head);
    if (r->dtype != 0 && !r->layout[0])
        add(&p, " dtype=", r->dtype == ROB_F32 ? "f32" : "f64");
    add_input(&p, r);
    if (r->classes[0]) add(&p, " classes=", r->classes);
}
