/* words.c -- what each word of a recipe may say, and the field it sets.
 *
 * A field not named stays 0 or "" and is inferred from the tensors or refused by whoever
 * needs it. The input map is   network sees  (x - shift) / scale.
 */
#include "model/recipe.h"

#include <math.h>
#include <string.h>

typedef rob_value value;

enum { ALL = ~0 };

const char *const rob_priv_kind_word[] = { "rnn", "rnn", "lstm", "gru", "transformer" };
const char *const rob_priv_readout_word[] = { "last", "mean", "max", "state", "every", "cls" };
const char *const rob_priv_activation_word[] = { "", "none", "relu", "tanh", "gelu" };
const char *const rob_priv_norm_word[] = { "", "batch", "layer" };

static bool is(value v, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(v.end - v.at) == length && memcmp(v.at, word, length) == 0;
}

int32_t rob_priv_word_in(rob_value v, const char *const *list, int32_t n)
{
    for (int32_t k = 0; k < n; k++)
        if (is(v, list[k])) return k;
    return -1;
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
    int32_t n = r->kind == ROB_KIND_TRANSFORMER ? 6 : 5;
    return (r->readout = rob_priv_word_in(v, rob_priv_readout_word, n)) >= 0;
}

static bool is_yes(value v, int32_t *out)
{
    *out = is(v, "yes");
    return *out || is(v, "no");
}

static bool read_both(value v, rob_recipe *r) { return is_yes(v, &r->both); }

static bool read_bias(value v, rob_recipe *r)
{
    bool good = is_yes(v, &r->bias_free);
    r->bias_free = !r->bias_free;
    return good;
}

static bool read_head_bias(value v, rob_recipe *r)
{
    bool good = is_yes(v, &r->head_bias_free);
    r->head_bias_free = !r->head_bias_free;
    return good;
}

static bool read_task(value v, rob_recipe *r)
{
    r->forecast = is(v, "forecast");
    return r->forecast || is(v, "classify");
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

/* ---- recurrent nets: front end and head ------------------------------------------ */

static bool read_steps(value v, rob_recipe *r) { return read_count(v, &r->steps); }
static bool read_channels(value v, rob_recipe *r) { return read_count(v, &r->channels); }
static bool read_kernel(value v, rob_recipe *r) { return read_count(v, &r->kernel); }
static bool read_stride(value v, rob_recipe *r) { return read_count(v, &r->stride); }
static bool read_dilation(value v, rob_recipe *r)
{
    return read_count(v, &r->dilation);
}

static bool read_padding(value v, rob_recipe *r)
{
    if (is(v, "0")) return true;
    return read_count(v, &r->padding);
}

static bool read_scale(value v, rob_recipe *r)
{
    return copy_value(v, r->scale, sizeof r->scale);
}
static bool read_state(value v, rob_recipe *r)
{
    return copy_value(v, r->state, sizeof r->state);
}
static bool read_conv(value v, rob_recipe *r)
{
    return copy_value(v, r->conv, sizeof r->conv);
}

static bool read_conv_activation(value v, rob_recipe *r)
{
    return (r->conv_activation = rob_priv_word_in(v, rob_priv_activation_word, 5)) > 0;
}

static bool read_activation(value v, rob_recipe *r)
{
    static const char *const inside[] = { "relu", "gelu", "gelu_tanh" };
    if (r->kind == ROB_KIND_TRANSFORMER) {
        r->transformer.e.activation = rob_priv_word_in(v, inside, 3);
        r->transformer.activation = 1 + r->transformer.e.activation;
        return r->transformer.activation > 0;
    }
    return (r->activation = rob_priv_word_in(v, rob_priv_activation_word, 5)) > 0;
}

static bool read_head_activation(value v, rob_recipe *r)
{
    return (r->activation = rob_priv_word_in(v, rob_priv_activation_word, 5)) > 0;
}

/* batch:PREFIX or layer:PREFIX */
static bool read_norm(value v, rob_recipe *r, int32_t place)
{
    const char *colon = memchr(v.at, ':', (size_t)(v.end - v.at));
    rob_norm_layer *norm = &r->norm[place];
    if (colon == NULL) return false;
    norm->kind = rob_priv_word_in((value){ v.at, colon }, rob_priv_norm_word, 3);
    return norm->kind > 0
           && copy_value((value){ colon + 1, v.end }, norm->prefix,
                         sizeof norm->prefix);
}

static bool read_conv_norm(value v, rob_recipe *r)
{
    return read_norm(v, r, ROB_AFTER_CONV);
}
static bool read_input_norm(value v, rob_recipe *r)
{
    return read_norm(v, r, ROB_BEFORE_BODY);
}
static bool read_head_norm(value v, rob_recipe *r)
{
    return read_norm(v, r, ROB_BEFORE_HEAD);
}

static bool read_eps(value v, rob_recipe *r)
{
    return rob_priv_parse_double(&v.at, v.end, &r->eps) && v.at == v.end && r->eps > 0
           && isfinite(r->eps);
}

/* sizes with commas between */
static bool read_mlp(value v, rob_recipe *r)
{
    r->mlps = 0;
    for (const char *end = v.at; v.at < v.end && r->mlps < ROB_MAX_MLP; v.at = end + 1) {
        for (end = v.at; end < v.end && *end != ',';) end++;
        if (!read_count((value){ v.at, end }, &r->mlp[r->mlps++])) return false;
        if (end == v.end) return true;
    }
    return false;
}

/* ---- transformers ---------------------------------------------------------------- */

static bool read_heads(value v, rob_recipe *r)
{
    return read_count(v, &r->transformer.e.heads);
}
static bool read_feedforward(value v, rob_recipe *r)
{
    return read_count(v, &r->transformer.e.feedforward);
}
static bool read_longest(value v, rob_recipe *r)
{
    return read_count(v, &r->transformer.e.longest);
}

static bool read_norm_place(value v, rob_recipe *r)
{
    static const char *const place[] = { "last", "first" };
    r->transformer.e.norm_first = rob_priv_word_in(v, place, 2);
    r->transformer.norm = 1 + r->transformer.e.norm_first;
    return r->transformer.norm > 0;
}

static bool read_last_norm(value v, rob_recipe *r)
{
    bool good = is_yes(v, &r->transformer.last_norm);
    r->transformer.last_norm++;
    return good;
}

static bool read_layernorm(value v, rob_recipe *r)
{
    r->transformer.e.divide = is(v, "standard");
    return r->transformer.e.divide || is(v, "centred");
}

static bool read_positions(value v, rob_recipe *r)
{
    static const char *const kind[] = { "none", "sinusoid", "learned" };
    r->transformer.e.positions = rob_priv_word_in(v, kind, 3);
    r->transformer.positions = 1 + r->transformer.e.positions;
    return r->transformer.positions > 0;
}

/* P steps, or PxQ: P steps by Q features */
static bool read_patch(value v, rob_recipe *r)
{
    rob_encoder *e = &r->transformer.e;
    const char *cross = memchr(v.at, 'x', (size_t)(v.end - v.at));
    if (cross == NULL) return read_count(v, &e->patch_steps);
    return read_count((value){ v.at, cross }, &e->patch_steps)
           && read_count((value){ cross + 1, v.end }, &e->patch_features);
}

static bool read_patch_order(value v, rob_recipe *r)
{
    static const char *const order[] = { "", "steps", "features" };
    return (r->transformer.patch_order = rob_priv_word_in(v, order, 3)) > 0;
}

static bool read_names(value v, rob_recipe *r)
{
    r->transformer.vit = is(v, "vit");
    return r->transformer.vit || is(v, "torch");
}

static bool read_embed(value v, rob_recipe *r)
{
    return copy_value(v, r->transformer.embed, sizeof r->transformer.embed);
}
static bool read_cls(value v, rob_recipe *r)
{
    return copy_value(v, r->transformer.cls, sizeof r->transformer.cls);
}
static bool read_position(value v, rob_recipe *r)
{
    return copy_value(v, r->transformer.position, sizeof r->transformer.position);
}

/* ---- the table ------------------------------------------------------------------- */

#define PREFIX_OF "a tensor prefix of 1 to 63 characters"
#define NORM_OF "batch:PREFIX or layer:PREFIX, the prefix of its tensors"

const rob_word rob_priv_word[] = {
    { "nonlinearity", read_nonlinearity, "tanh or relu, with rnn only",
      ROB_OF_RECURRENT },
    { "readout", read_readout, "last, state, mean, max or every; with a transformer last, mean, "
      "max or cls", ROB_OF_BOTH },
    { "layers", read_layers, "1 to 16", (uint32_t)ALL },
    { "features", read_features, "an integer from 1", (uint32_t)ALL },
    { "hidden", read_hidden, "an integer from 1", ROB_OF_BOTH },
    { "outputs", read_outputs, "an integer from 1", (uint32_t)ALL },
    { "bidirectional", read_both, "yes or no", ROB_OF_RECURRENT },
    { "bias", read_bias, "yes or no", ROB_OF_BOTH },
    { "head_bias", read_head_bias, "yes or no", ROB_OF_BOTH },
    { "state", read_state, PREFIX_OF, ROB_OF_RECURRENT },
    { "steps", read_steps, "an integer from 1, with readout=every",
      ROB_OF_RECURRENT },
    { "mlp", read_mlp, "up to 4 sizes of hidden layers with commas between", ROB_OF_BOTH },
    { "activation", read_activation, "none, relu, tanh or gelu; in a transformer relu, gelu "
      "or gelu_tanh", ROB_OF_BOTH },
    { "conv", read_conv, PREFIX_OF, ROB_OF_BOTH },
    { "channels", read_channels, "an integer from 1", ROB_OF_BOTH },
    { "kernel", read_kernel, "an integer from 1", ROB_OF_BOTH },
    { "stride", read_stride, "an integer from 1", ROB_OF_BOTH },
    { "padding", read_padding, "an integer from 0", ROB_OF_BOTH },
    { "dilation", read_dilation, "an integer from 1", ROB_OF_BOTH },
    { "conv_activation", read_conv_activation, "none, relu, tanh or gelu", ROB_OF_BOTH },
    { "conv_norm", read_conv_norm, NORM_OF, ROB_OF_BOTH },
    { "input_norm", read_input_norm, NORM_OF, ROB_OF_BOTH },
    { "head_norm", read_head_norm, NORM_OF, ROB_OF_BOTH },
    { "eps", read_eps, "a positive number", ROB_OF_BOTH },
    { "head_activation", read_head_activation, "none, relu, tanh or gelu",
      ROB_OF_TRANSFORMER },
    { "heads", read_heads, "an integer from 1", ROB_OF_TRANSFORMER },
    { "feedforward", read_feedforward, "an integer from 1", ROB_OF_TRANSFORMER },
    { "norm", read_norm_place, "first or last", ROB_OF_TRANSFORMER },
    { "last_norm", read_last_norm, "yes or no", ROB_OF_TRANSFORMER },
    { "layernorm", read_layernorm, "standard or centred", ROB_OF_TRANSFORMER },
    { "positions", read_positions, "none, sinusoid or learned", ROB_OF_TRANSFORMER },
    { "longest", read_longest, "an integer from 1", ROB_OF_TRANSFORMER },
    { "patch", read_patch, "P steps, or PxQ: P steps by Q features",
      ROB_OF_TRANSFORMER },
    { "patch_order", read_patch_order, "steps or features", ROB_OF_TRANSFORMER },
    { "names", read_names, "torch or vit", ROB_OF_TRANSFORMER },
    { "embed", read_embed, PREFIX_OF, ROB_OF_TRANSFORMER },
    { "cls", read_cls, "a tensor's name", ROB_OF_TRANSFORMER },
    { "position", read_position, "a tensor's name", ROB_OF_TRANSFORMER },
    { "scale", read_scale, PREFIX_OF, ROB_OF_BOTH },
    { "task", read_task, "classify or forecast", (uint32_t)ALL },
    { "head", read_head, PREFIX_OF, (uint32_t)ALL },
    { "body", read_body, PREFIX_OF, (uint32_t)ALL },
    { "classes", read_classes, "names with commas between, 511 characters at most",
      (uint32_t)ALL },
    { "input", read_input, "(x-SHIFT)/SCALE with finite numbers, SCALE not 0",
      (uint32_t)ALL },
    { "dtype", read_dtype, "f32 or f64", (uint32_t)ALL },
};
const int64_t rob_priv_words = COUNT_OF(rob_priv_word);
