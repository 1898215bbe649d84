/* recipe.c -- the words that say what weights alone do not: docs/recipe.md has the
 * grammar.
 *
 *     recipe = architecture (blank word)* ; word = name "=" value
 *
 * words.c has a reader for every word. Here: the string, word by word, what must have
 * been said by its end, and the way back from a recipe to its words.
 */
#include "model/encoder.h"
#include "model/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef rob_value value;

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

static int shown(value v, int most)
{
    return (int)(v.end - v.at < most ? v.end - v.at : most);
}

static rob_status unknown_word(rob_ctx *ctx, value v, int32_t kind)
{
    char known[900] = "";
    size_t used = 0;
    for (int64_t k = 0; k < rob_priv_words; k++)
        if (rob_priv_word[k].of >> kind & 1 && used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, " %s=",
                                     rob_priv_word[k].name);
    return rob_priv_fail(ctx, ROB_EARGUMENT, "recipe word '%.*s': allowed with %s are%s",
                         shown(v, 60), v.at, rob_priv_kind_word[kind], known);
}

static rob_status read_word(rob_ctx *ctx, value v, rob_recipe *r, uint64_t *seen)
{
    const char *equal = memchr(v.at, '=', (size_t)(v.end - v.at));
    if (equal == NULL) return unknown_word(ctx, v, r->kind);
    for (int64_t k = 0; k < rob_priv_words; k++) {
        const rob_word *w = &rob_priv_word[k];
        if (rob_priv_word_in((value){ v.at, equal }, &w->name, 1) < 0) continue;
        if (!(w->of >> r->kind & 1)) break;
        if (*seen >> k & 1)
            return rob_priv_fail(ctx, ROB_EARGUMENT, "recipe word %s= stands twice",
                                 w->name);
        *seen |= (uint64_t)1 << k;
        if (w->read((value){ equal + 1, v.end }, r)) return ROB_OK;
        return rob_priv_fail(ctx, ROB_EARGUMENT, "recipe word '%.*s': allowed is %s",
                             shown(v, 80), v.at, w->allowed);
    }
    return unknown_word(ctx, v, r->kind);
}

bool rob_priv_recipe_value(const char *name, const char *at, const char *end,
                           rob_recipe *out)
{
    for (int64_t k = 0; k < rob_priv_words; k++)
        if (strcmp(rob_priv_word[k].name, name) == 0)
            return rob_priv_word[k].read((value){ at, end }, out);
    return false;
}

/* ---- what must have been said ---------------------------------------------------- */

static rob_status check_recurrent(rob_ctx *ctx, const char *text, const rob_recipe *r,
                                  bool nonlinear)
{
    rob_status status = ROB_OK;
    bool every = r->readout == ROB_READOUT_EVERY;
    CHECK(r->kind != ROB_KIND_RNN_TANH || nonlinear, ctx, ROB_EARGUMENT,
          "recipe '%.200s' does not say "
          "nonlinearity=tanh or nonlinearity=relu; the weights do not tell",
          text);
    CHECK(r->readout >= 0, ctx, ROB_EARGUMENT,
          "recipe '%.200s' does not say readout=last or "
          "readout=mean (or state, max, every); the weights do not tell",
          text);
    CHECK(every == (r->steps > 0), ctx, ROB_EARGUMENT,
          "recipe '%.200s': readout=every and steps=T go together, since the outputs are "
          "then T times those of a step",
          text);
done:
    return status;
}

static rob_status check_ends(rob_ctx *ctx, const char *text, const rob_recipe *r)
{
    rob_status status = ROB_OK;
    CHECK(!r->conv[0] || r->conv_activation > 0, ctx, ROB_EARGUMENT,
          "recipe '%.200s' has conv= but not conv_activation=none, relu, tanh or gelu; "
          "the weights do not tell",
          text);
    CHECK(r->conv[0]
              || !(r->kernel || r->stride || r->padding || r->dilation || r->channels
                   || r->conv_activation || r->norm[ROB_AFTER_CONV].kind),
          ctx, ROB_EARGUMENT,
          "recipe '%.200s' speaks of a convolution but does not say conv=PREFIX", text);
    CHECK(r->mlps == 0 || r->activation > 0, ctx, ROB_EARGUMENT,
          "recipe '%.200s' has mlp= but not %sactivation=relu, tanh, gelu or none", text,
          r->kind == ROB_KIND_TRANSFORMER ? "head_" : "");
done:
    return status;
}

static int32_t kind_of(value v)
{
    return rob_priv_word_in(v, rob_priv_kind_word, ROB_KIND_TRANSFORMER + 1);
}

rob_status rob_priv_recipe_parse(rob_ctx *ctx, const char *text, rob_recipe *out)
{
    rob_status status = ROB_OK;
    rob_recipe r = { .kind = -1, .readout = -1, .input_scale = 1.0 };
    r.transformer.e.divide = 1;
    uint64_t seen = 0;
    CHECK(text != NULL, ctx, ROB_EARGUMENT, "recipe is NULL");
    const char *at = text;
    value v = next_word(&at);
    CHECK((r.kind = kind_of(v)) >= 0, ctx, ROB_EARGUMENT,
          "recipe begins with '%.*s'; it must begin "
          "with rnn, lstm, gru or transformer",
          shown(v, 60), v.at);
    for (v = next_word(&at); v.at < v.end; v = next_word(&at))
        TRY(read_word(ctx, v, &r, &seen));
    if (r.kind == ROB_KIND_TRANSFORMER) TRY(rob_priv_transformer_said(ctx, text, &r));
    else TRY(check_recurrent(ctx, text, &r, seen & 1));
    TRY(check_ends(ctx, text, &r));
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

static void add_norms(printed *p, const rob_recipe *r)
{
    static const char *const WORD[] = { " conv_norm=", " input_norm=", " head_norm=" };
    for (int k = 0; k < ROB_NORMS; k++) {
        if (r->norm[k].kind == 0) continue;
        add(p, WORD[k], rob_priv_norm_word[r->norm[k].kind]);
        add(p, ":", r->norm[k].prefix);
    }
    if (r->eps == 0.0) return;
    add(p, " eps=", "");
    add_number(p, r->eps);
}

static void add_front(printed *p, const rob_recipe *r)
{
    if (r->scale[0]) add(p, " scale=", r->scale);
    if (r->state[0]) add(p, " state=", r->state);
    if (r->conv[0]) add(p, " conv=", r->conv);
    add_count(p, " channels=", r->channels);
    add_count(p, " kernel=", r->kernel);
    add_count(p, " stride=", r->stride);
    add_count(p, " padding=", r->padding);
    add_count(p, " dilation=", r->dilation);
    if (r->conv_activation > 0)
        add(p, " conv_activation=", rob_priv_activation_word[r->conv_activation]);
    add_norms(p, r);
}

static void add_head(printed *p, const rob_recipe *r)
{
    for (int32_t k = 0; k < r->mlps; k++) add_count(p, k ? "," : " mlp=", r->mlp[k]);
    if (r->activation > 0)
        add(p, r->kind == ROB_KIND_TRANSFORMER ? " head_activation=" : " activation=",
            rob_priv_activation_word[r->activation]);
    if (r->head_bias_free) add(p, " head_bias=no", "");
    if (r->forecast) add(p, " task=forecast", "");
}

static void add_transformer(printed *p, const rob_recipe *r)
{
    static const char *const inside[] = { "relu", "gelu", "gelu_tanh" };
    static const char *const place[] = { "none", "sinusoid", "learned" };
    const rob_transformer *t = &r->transformer;
    if (r->kind != ROB_KIND_TRANSFORMER) return;
    add_count(p, " heads=", t->e.heads);
    add_count(p, " feedforward=", t->e.feedforward);
    add(p, " activation=", inside[t->e.activation]);
    add(p, " norm=", t->e.norm_first ? "first" : "last");
    if (t->last_norm == 2 - t->e.norm_first)
        add(p, " last_norm=", t->last_norm == 2 ? "yes" : "no");
    if (!t->e.divide) add(p, " layernorm=centred", "");
    add(p, " positions=", place[t->e.positions]);
    add_count(p, " longest=", t->e.longest);
    add_count(p, " patch=", t->e.patch_steps);
    if (t->e.patch_features != t->e.features) add_count(p, "x", t->e.patch_features);
    if (t->e.by_channel) add(p, " patch_order=features", "");
    if (t->vit) add(p, " names=vit", "");
    if (t->embed[0]) add(p, " embed=", t->embed);
    if (t->cls[0]) add(p, " cls=", t->cls);
    if (t->position[0]) add(p, " position=", t->position);
}

void rob_priv_recipe_print(const rob_recipe *r, char *out, size_t capacity)
{
    printed p = { out, 0, capacity };
    if (capacity > 0) out[0] = '\0';
    add(&p,
        r->kind >= 0 && r->kind <= ROB_KIND_TRANSFORMER ? rob_priv_kind_word[r->kind]
        : r->layout[0]                          ? "onnx"
                                                : "graph",
        "");
    if (r->layout[0]) add(&p, " layout=", r->layout);
    if (r->kind == ROB_KIND_RNN_TANH) add(&p, " nonlinearity=tanh", "");
    if (r->kind == ROB_KIND_RNN_RELU) add(&p, " nonlinearity=relu", "");
    add_count(&p, " layers=", r->layers);
    add_count(&p, " features=", r->features);
    add_count(&p, " hidden=", r->hidden);
    add_count(&p, " outputs=", r->outputs);
    if (r->both) add(&p, " bidirectional=yes", "");
    if (r->bias_free) add(&p, " bias=no", "");
    if (r->readout >= 0 && !r->layout[0])
        add(&p, " readout=", rob_priv_readout_word[r->readout]);
    add_count(&p, " steps=", r->steps);
    add_front(&p, r);
    add_head(&p, r);
    add_transformer(&p, r);
    if (r->body[0]) add(&p, " body=", r->body);
    if (r->head[0]) add(&p, r->layout[0] ? " output=" : " head=", r->head);
    if (r->dtype != 0 && !r->layout[0])
        add(&p, " dtype=", r->dtype == ROB_F32 ? "f32" : "f64");
    add_input(&p, r);
    if (r->classes[0]) add(&p, " classes=", r->classes);
}
