/* onnx_save_encoder.c -- a transformer encoder as ONNX nodes.
 *
 * From (time, batch, D), the batch first inside: patches are a Conv whose stride is its
 * kernel, along time, or along time and features of an image of one channel; attention is
 * two products with a softmax between; a layer norm is LayerNormalization, without the
 * division the mean taken off. Sinusoids are computed in double from Range over the steps,
 * a learned table is cut to them, so time stays open. As in transformer.c the last layer
 * asks only for the step that is read out, where there is one.
 */
#include "model/encoder.h"
#include "model/onnx_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = ROB_ONNX_TEXT };
typedef rob_onnx_writer writer;

static const rob_encoder *encoder_of(const writer *w)
{
    return &w->model->recipe.transformer.e;
}

/* number of the parameter of a role, -1: none */
static int32_t find_role(const writer *w, rob_role role, int32_t layer)
{
    const rob_encoder *e = encoder_of(w);
    for (int32_t k = 0; k < rob_priv_encoder_tensors(e); k++) {
        int32_t of;
        if (rob_priv_encoder_role(e, k, &of) == role && (of < 0 || of == layer)) return k;
    }
    return -1;
}

static void keep(const writer *w, char out[TEXT]) { snprintf(out, TEXT, "%s", w->value); }
static void go_to(writer *w, const char *value)
{
    snprintf(w->value, sizeof w->value, "%s", value);
}

static void add_to(writer *w, const char *op, const char *a, const char *b)
{
    char in[2 * TEXT];
    snprintf(in, sizeof in, "%s %s", a, b);
    rob_priv_onnx_node(w, op, in, 0, NULL, NULL);
}

static void put_concat(writer *w, const char *in, int64_t axis)
{
    rob_text attributes = { 0 };
    rob_priv_onnx_put_int(w, &attributes, "axis", axis);
    rob_priv_onnx_node(w, "Concat", in, 0, NULL, &attributes);
}

/* ---- linear maps ----------------------------------------------------------------- */

/* W v + b, rows first .. first + rows of parameter `weight` (columns wide) and its bias */
static rob_status put_linear(writer *w, int32_t weight, int32_t bias, int64_t first,
                             int64_t rows, int64_t columns)
{
    rob_status status = ROB_OK;
    const rob_onnx_view matrix = { 2, { rows, columns }, first * columns, true };
    const rob_onnx_view vector = { 1, { rows }, first, false };
    char name[TEXT];
    snprintf(name, sizeof name, "weight%d", (int)w->made);
    TRY(rob_priv_onnx_parameter(w, weight, name, &matrix));
    rob_priv_onnx_then(w, "MatMul", name, NULL);
    if (bias < 0) goto done;
    snprintf(name, sizeof name, "bias%d", (int)w->made);
    TRY(rob_priv_onnx_parameter(w, bias, name, &vector));
    rob_priv_onnx_then(w, "Add", name, NULL);
done:
    return status;
}

static rob_status linear(writer *w, rob_role weight, int32_t layer)
{
    rob_shape s = rob_priv_encoder_shape(encoder_of(w), weight);
    return put_linear(w, find_role(w, weight, layer), find_role(w, weight + 1, layer), 0,
                      s.dim[0], s.dim[1]);
}

static rob_status norm(writer *w, rob_role gamma, int32_t layer)
{
    const rob_encoder *e = encoder_of(w);
    return rob_priv_onnx_layer_norm(w, find_role(w, gamma, layer),
                                    find_role(w, gamma + 1, layer), e->eps, e->divide);
}

/* ---- attention ------------------------------------------------------------------- */

/* queries 0, keys 1 or values 2 of the value (B, S, F): (B, h, S, d), keys (B, h, d, S) */
static rob_status put_heads(writer *w, int32_t which, int32_t layer)
{
    rob_status status = ROB_OK;
    const rob_encoder *e = encoder_of(w);
    int32_t joint = find_role(w, ROB_ROLE_QKV_W, layer), weight = joint, bias;
    int64_t first = joint >= 0 ? which * e->inner : 0;
    rob_role own = ROB_ROLE_Q_W + 2 * (rob_role)which;
    if (joint >= 0) bias = find_role(w, ROB_ROLE_QKV_B, layer);
    else weight = find_role(w, own, layer), bias = find_role(w, own + 1, layer);
    TRY(put_linear(w, weight, bias, first, e->inner, e->width));
    rob_priv_onnx_then(w, "Reshape", "heads_apart", NULL);
    rob_priv_onnx_transpose(
        w, which == 1 ? (int64_t[]){ 0, 2, 3, 1 } : (int64_t[]){ 0, 2, 1, 3 }, 4);
done:
    return status;
}

/* of the steps `query` (B, S, F) to those of `context` (B, T, F) */
static rob_status put_attention(writer *w, const char *query, const char *context,
                                int32_t layer)
{
    rob_status status = ROB_OK;
    char q[TEXT], k[TEXT], p[TEXT];
    rob_text attributes = { 0 };
    go_to(w, query);
    TRY(put_heads(w, 0, layer));
    keep(w, q);
    go_to(w, context);
    TRY(put_heads(w, 1, layer));
    keep(w, k);
    add_to(w, "MatMul", q, k);
    rob_priv_onnx_then(w, "Mul", "per_head", NULL);
    rob_priv_onnx_put_int(w, &attributes, "axis", -1);
    rob_priv_onnx_then(w, "Softmax", "", &attributes);
    keep(w, p);
    go_to(w, context);
    TRY(put_heads(w, 2, layer));
    char v[TEXT];
    keep(w, v);
    add_to(w, "MatMul", p, v);
    rob_priv_onnx_transpose(w, (int64_t[]){ 0, 2, 1, 3 }, 4);
    rob_priv_onnx_then(w, "Reshape", "heads_together", NULL);
    TRY(linear(w, ROB_ROLE_OUT_W, layer));
done:
    return status;
}

/* ---- layers ---------------------------------------------------------------------- */

static rob_status put_feed_forward(writer *w, int32_t layer)
{
    rob_status status = ROB_OK;
    int32_t activation = encoder_of(w)->activation;
    rob_text attributes = { 0 };
    TRY(linear(w, ROB_ROLE_FF1_W, layer));
    if (activation == ROB_ACTIVATION_GELU_TANH)
        rob_priv_onnx_put_text(w, &attributes, "approximate", "tanh");
    rob_priv_onnx_then(w, activation == ROB_ACTIVATION_RELU ? "Relu" : "Gelu", "",
                       &attributes);
    TRY(linear(w, ROB_ROLE_FF2_W, layer));
done:
    return status;
}

/* step first, or the last, of (B, T, F): (B, 1, F) */
static void put_one_step(writer *w)
{
    bool first = encoder_of(w)->pool == ROB_POOL_CLS;
    rob_priv_onnx_then(w, "Slice", first ? "axis0 axis1 axis1" : "minus1 far axis1", NULL);
}

/* one layer of the value u; with `one`, only the step that is read out comes out */
static rob_status put_layer(writer *w, int32_t layer, bool one)
{
    rob_status status = ROB_OK;
    bool before = encoder_of(w)->norm_first;
    char u[TEXT], mine[TEXT], query[TEXT], context[TEXT];
    keep(w, u);
    if (one) put_one_step(w);
    keep(w, mine);
    snprintf(query, sizeof query, "%s", mine);
    snprintf(context, sizeof context, "%s", u);
    if (before) {
        go_to(w, u);
        TRY(norm(w, ROB_ROLE_NORM1_W, layer));
        keep(w, context);
        if (one) put_one_step(w);
        keep(w, query);
    }
    TRY(put_attention(w, query, context, layer));
    rob_priv_onnx_then(w, "Add", mine, NULL);
    if (!before) TRY(norm(w, ROB_ROLE_NORM1_W, layer));
    keep(w, mine);
    if (before) TRY(norm(w, ROB_ROLE_NORM2_W, layer));
    TRY(put_feed_forward(w, layer));
    rob_priv_onnx_then(w, "Add", mine, NULL);
    if (!before) TRY(norm(w, ROB_ROLE_NORM2_W, layer));
done:
    return status;
}

/* ---- the beginning --------------------------------------------------------------- */

/* the value (B, T', F) of (T, B, D) */
static rob_status put_embedding(writer *w)
{
    rob_status status = ROB_OK;
    const rob_encoder *e = encoder_of(w);
    const int64_t p = e->patch_steps, q = e->patch_features, F = e->width;
    int32_t weight = find_role(w, ROB_ROLE_EMBED_W, 0);
    int32_t bias = find_role(w, ROB_ROLE_EMBED_B, 0);
    const rob_onnx_view image = { 4, { F, 1, p, q }, 0, false };
    rob_text attributes = { 0 };
    if (p == 0 || weight < 0) {
        rob_priv_onnx_transpose(w, (int64_t[]){ 1, 0, 2 }, 3);
        return weight < 0 ? ROB_OK : linear(w, ROB_ROLE_EMBED_W, 0);
    }
    TRY(rob_priv_onnx_parameter(w, weight, "patch_weight", e->by_channel ? NULL : &image));
    if (bias >= 0) TRY(rob_priv_onnx_parameter(w, bias, "patch_bias", NULL));
    const char *more = bias >= 0 ? "patch_weight patch_bias" : "patch_weight";
    rob_priv_onnx_put_ints(w, &attributes, "kernel_shape", (int64_t[]){ p, q },
                           e->by_channel ? 1 : 2);
    rob_priv_onnx_put_ints(w, &attributes, "strides", (int64_t[]){ p, q },
                           e->by_channel ? 1 : 2);
    if (e->by_channel) rob_priv_onnx_transpose(w, (int64_t[]){ 1, 2, 0 }, 3);
    else {
        rob_priv_onnx_transpose(w, (int64_t[]){ 1, 0, 2 }, 3);
        rob_priv_onnx_then(w, "Unsqueeze", "axis1", NULL);
    }
    rob_priv_onnx_then(w, "Conv", more, &attributes);
    if (!e->by_channel) {
        rob_priv_onnx_integers(w, "side_by_side", 3, (int64_t[]){ 0, F, -1 });
        rob_priv_onnx_then(w, "Reshape", "side_by_side", NULL);
    }
    rob_priv_onnx_transpose(w, (int64_t[]){ 0, 2, 1 }, 3);
done:
    return status;
}

/* the token (1, 1, F) in front of every row */
static rob_status put_cls(writer *w)
{
    rob_status status = ROB_OK;
    const rob_onnx_view one = { 3, { 1, 1, encoder_of(w)->width }, 0, false };
    int32_t k = find_role(w, ROB_ROLE_CLS, 0);
    char u[TEXT], in[2 * TEXT];
    if (k < 0) return ROB_OK;
    keep(w, u);
    TRY(rob_priv_onnx_parameter(w, k, "cls", &one));
    rob_priv_onnx_integers(w, "one_width", 2, (int64_t[]){ 1, encoder_of(w)->width });
    rob_priv_onnx_node(w, "Shape", "x", 0, NULL, NULL);
    rob_priv_onnx_then(w, "Gather", "axis1", NULL);
    snprintf(in, sizeof in, "%s one_width", w->value);
    put_concat(w, in, 0);
    snprintf(in, sizeof in, "cls %s", w->value);
    rob_priv_onnx_node(w, "Expand", in, 0, NULL, NULL);
    snprintf(in, sizeof in, "%s %s", w->value, u);
    put_concat(w, in, 1);
done:
    return status;
}

/* p_{t, 2i} = sin(t r^i), p_{t, 2i+1} = cos(t r^i) of `count` steps, in double */
static rob_status put_sinusoids(writer *w, const char *count)
{
    const int64_t F = encoder_of(w)->width;
    char in[3 * TEXT], sine[TEXT], angle[TEXT];
    double *rate = rob_priv_allocate(w->memory, 3 * F, (int64_t)sizeof *rate);
    rob_text attributes = { 0 };
    if (rate == NULL) return rob_priv_no_memory(w->ctx);
    for (int64_t i = 0; i < F; i++) {
        rate[i] = exp(-log(10000.0) * (double)(i / 2 * 2) / (double)F);
        rate[F + i] = i % 2 == 0;
        rate[2 * F + i] = i % 2 == 1;
    }
    static const char *const NAMES[] = { "rate", "even", "odd" };
    for (int64_t k = 0; k < 3; k++)
        rob_priv_wire_put_tensor(w->memory, &w->graph, 5, NAMES[k], ROB_ONNX_DOUBLE, 1, &F,
                                 rate + k * F);
    rob_priv_release(w->memory, rate);
    snprintf(in, sizeof in, "none %s one", count);
    rob_priv_onnx_node(w, "Range", in, 0, NULL, NULL);
    rob_priv_onnx_put_int(w, &attributes, "to", ROB_ONNX_DOUBLE);
    rob_priv_onnx_then(w, "Cast", "", &attributes);
    rob_priv_onnx_then(w, "Unsqueeze", "axis1", NULL);
    rob_priv_onnx_then(w, "Mul", "rate", NULL);
    keep(w, angle);
    rob_priv_onnx_then(w, "Sin", "", NULL);
    rob_priv_onnx_then(w, "Mul", "even", NULL);
    keep(w, sine);
    go_to(w, angle);
    rob_priv_onnx_then(w, "Cos", "", NULL);
    rob_priv_onnx_then(w, "Mul", "odd", NULL);
    rob_priv_onnx_then(w, "Add", sine, NULL);
    rob_priv_onnx_put_int(w, &attributes, "to", w->dtype);
    rob_priv_onnx_then(w, "Cast", "", &attributes);
    return ROB_OK;
}

static rob_status put_positions(writer *w)
{
    rob_status status = ROB_OK;
    const rob_encoder *e = encoder_of(w);
    const rob_onnx_view table = { 2, { e->longest, e->width }, 0, false };
    char u[TEXT], in[3 * TEXT];
    if (e->positions == ROB_POSITIONS_NONE) return ROB_OK;
    keep(w, u);
    rob_priv_onnx_then(w, "Shape", "", NULL);
    if (e->positions == ROB_POSITIONS_LEARNED) {
        TRY(rob_priv_onnx_parameter(w, find_role(w, ROB_ROLE_POSITIONS, 0), "positions",
                                    &table));
        rob_priv_onnx_then(w, "Gather", "axis1", NULL);
        snprintf(in, sizeof in, "positions axis0 %s axis0", w->value);
        rob_priv_onnx_node(w, "Slice", in, 0, NULL, NULL);
    } else {
        rob_priv_onnx_integers(w, "none", 0, (int64_t[]){ 0 });
        rob_priv_onnx_integers(w, "one", 0, (int64_t[]){ 1 });
        rob_priv_onnx_then(w, "Gather", "one", NULL);
        char count[TEXT];
        keep(w, count);
        TRY(put_sinusoids(w, count));
    }
    rob_priv_onnx_then(w, "Add", u, NULL);
done:
    return status;
}

rob_status rob_priv_onnx_put_encoder(rob_onnx_writer *w)
{
    rob_status status = ROB_OK;
    const rob_encoder *e = encoder_of(w);
    bool single = e->pool == ROB_POOL_CLS || e->pool == ROB_POOL_LAST;
    const int64_t d = e->inner / e->heads;
    rob_priv_onnx_integers(w, "heads_apart", 4, (int64_t[]){ 0, 0, e->heads, d });
    rob_priv_onnx_integers(w, "heads_together", 3, (int64_t[]){ 0, 0, e->inner });
    rob_priv_onnx_number(w, "per_head", 1 / sqrt((double)d));
    TRY(put_embedding(w));
    TRY(put_cls(w));
    TRY(put_positions(w));
    for (int32_t k = 0; k < e->layers; k++)
        TRY(put_layer(w, k, single && k + 1 == e->layers));
    if (rob_priv_encoder_has(e, ROB_ROLE_FINAL_W)) TRY(norm(w, ROB_ROLE_FINAL_W, 0));
    if (single) rob_priv_onnx_then(w, "Squeeze", "axis1", NULL);
    else
        rob_priv_onnx_reduce(w, e->pool == ROB_POOL_MEAN ? "ReduceMean" : "ReduceMax", 1,
                             false);
done:
    return status;
}
