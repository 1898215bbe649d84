/* onnx_save.c -- a model of a recipe as an ONNX file, opset 17, with gelu 20.
 *
 *     x (time, batch, D) -> Mul, Add: the input map -> Sub, Div: scale -> Conv, norm,
 *     activation -> norm -> layers and read-out (onnx_save_recurrent.c, onnx_save_encoder.c)
 *     -> norm -> Gemm (activation, Gemm)* -> y (batch, L)
 *
 * With readout=every the head is a product at every step, laid side by side, (batch, T L).
 * A batch norm is Sub, Mul, Add with the numbers of its statistics. Time and batch are
 * open. Numbers have the model's type. The recipe, with the layout, goes into the metadata,
 * so the file loads here without words; the input map is part of the graph, so what is
 * loaded is in the data's units.
 */
#include "model/encoder.h"
#include "model/onnx_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = ROB_ONNX_TEXT };
typedef rob_onnx_writer writer;

/* ---- norms ----------------------------------------------------------------------- */

/* (v - m) w / sqrt(var + eps) + b of the last axis, the factor rounded once */
static rob_status put_batch_norm(writer *w, int32_t first, double eps)
{
    rob_status status = ROB_OK;
    const rob_tensor *weight = w->model->parameter[first].tensor;
    const rob_tensor *var = w->model->parameter[first + 3].tensor;
    int64_t size = rob_priv_shape_size(&weight->shape);
    char mean[TEXT], factor[TEXT], shift[TEXT];
    double *room = rob_priv_allocate(w->memory, size, (int64_t)sizeof *room);
    if (room == NULL) return rob_priv_no_memory(w->ctx);
    for (int64_t i = 0; i < size; i++)
        room[i] = rob_priv_tensor_at(weight, i) / sqrt(rob_priv_tensor_at(var, i) + eps);
    snprintf(factor, sizeof factor, "factor%d", (int)first);
    rob_priv_onnx_numbers(w, factor, 1, &size, room);
    rob_priv_release(w->memory, room);
    snprintf(mean, sizeof mean, "mean%d", (int)first);
    snprintf(shift, sizeof shift, "shift%d", (int)first);
    TRY(rob_priv_onnx_parameter(w, first + 2, mean, NULL));
    TRY(rob_priv_onnx_parameter(w, first + 1, shift, NULL));
    rob_priv_onnx_then(w, "Sub", mean, NULL);
    rob_priv_onnx_then(w, "Mul", factor, NULL);
    rob_priv_onnx_then(w, "Add", shift, NULL);
done:
    return status;
}

/* u - mean u */
static void put_centre(writer *w)
{
    char u[TEXT], in[3 * TEXT];
    snprintf(u, sizeof u, "%s", w->value);
    rob_priv_onnx_reduce(w, "ReduceMean", -1, true);
    snprintf(in, sizeof in, "%s %s", u, w->value);
    rob_priv_onnx_node(w, "Sub", in, 0, NULL, NULL);
}

/* ones in the place of a weight that is not there: the operator wants one */
static rob_status put_ones(writer *w, const char *name, int64_t size)
{
    double *room = rob_priv_allocate(w->memory, size, (int64_t)sizeof *room);
    if (room == NULL) return rob_priv_no_memory(w->ctx);
    for (int64_t i = 0; i < size; i++) room[i] = 1;
    rob_priv_onnx_numbers(w, name, 1, &size, room);
    rob_priv_release(w->memory, room);
    return ROB_OK;
}

rob_status rob_priv_onnx_layer_norm(rob_onnx_writer *w, int32_t gamma, int32_t beta,
                                    double eps, bool divide)
{
    rob_status status = ROB_OK;
    char g[TEXT], b[TEXT] = "", both[2 * TEXT];
    rob_text attributes = { 0 };
    snprintf(g, sizeof g, "gamma%d", (int)w->made);
    if (beta >= 0) snprintf(b, sizeof b, "beta%d", (int)w->made);
    if (gamma >= 0) TRY(rob_priv_onnx_parameter(w, gamma, g, NULL));
    else if (divide) TRY(put_ones(w, g, w->model->recipe.hidden));
    if (beta >= 0) TRY(rob_priv_onnx_parameter(w, beta, b, NULL));
    if (!divide) {
        put_centre(w);
        if (gamma >= 0) rob_priv_onnx_then(w, "Mul", g, NULL);
        if (beta >= 0) rob_priv_onnx_then(w, "Add", b, NULL);
        goto done;
    }
    rob_priv_onnx_put_int(w, &attributes, "axis", -1);
    rob_priv_onnx_put_float(w, &attributes, "epsilon", eps);
    snprintf(both, sizeof both, "%s %s", g, b);
    rob_priv_onnx_then(w, "LayerNormalization", both, &attributes);
done:
    return status;
}

rob_status rob_priv_onnx_norm(rob_onnx_writer *w, int32_t place)
{
    const rob_recipe *r = &w->model->recipe;
    int32_t first = rob_priv_model_first(r, ROB_OF_THE_NORM, place);
    double eps = r->eps > 0 ? r->eps : 1e-5;
    bool divide = r->kind != ROB_KIND_TRANSFORMER || r->transformer.e.divide;
    if (r->norm[place].kind == ROB_BATCH_NORM) return put_batch_norm(w, first, eps);
    if (r->norm[place].kind == 0) return ROB_OK;
    return rob_priv_onnx_layer_norm(w, first, first + 1, eps, divide);
}

/* ---- front and head -------------------------------------------------------------- */

static rob_status put_map(writer *w)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    int32_t scale = rob_priv_model_first(r, ROB_OF_THE_SCALE, 0);
    if (r->input_shift != 0.0 || r->input_scale != 1.0) {
        rob_priv_onnx_number(w, "input_scale", 1.0 / r->input_scale);
        rob_priv_onnx_number(w, "input_shift", -r->input_shift / r->input_scale);
        rob_priv_onnx_then(w, "Mul", "input_scale", NULL);
        rob_priv_onnx_then(w, "Add", "input_shift", NULL);
    }
    if (!r->scale[0]) goto done;
    TRY(rob_priv_onnx_parameter(w, scale, "scale_mean", NULL));
    TRY(rob_priv_onnx_parameter(w, scale + 1, "scale_std", NULL));
    rob_priv_onnx_then(w, "Sub", "scale_mean", NULL);
    rob_priv_onnx_then(w, "Div", "scale_std", NULL);
done:
    return status;
}

/* (T, B, D) -> (B, D, T) -> Conv -> (T', B, C) */
static rob_status put_convolution(writer *w)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    int32_t first = rob_priv_model_first(r, ROB_OF_THE_CONV, 0);
    int64_t stride = r->stride ? r->stride : 1, dilation = r->dilation ? r->dilation : 1;
    rob_text attributes = { 0 };
    TRY(rob_priv_onnx_parameter(w, first, "conv_weight", NULL));
    TRY(rob_priv_onnx_parameter(w, first + 1, "conv_bias", NULL));
    rob_priv_onnx_put_ints(w, &attributes, "kernel_shape", &r->kernel, 1);
    rob_priv_onnx_put_ints(w, &attributes, "strides", &stride, 1);
    rob_priv_onnx_put_ints(w, &attributes, "dilations", &dilation, 1);
    rob_priv_onnx_put_ints(w, &attributes, "pads", (int64_t[]){ r->padding, r->padding }, 2);
    rob_priv_onnx_transpose(w, (int64_t[]){ 1, 2, 0 }, 3);
    rob_priv_onnx_then(w, "Conv", "conv_weight conv_bias", &attributes);
    rob_priv_onnx_transpose(w, (int64_t[]){ 2, 0, 1 }, 3);
    TRY(rob_priv_onnx_norm(w, ROB_AFTER_CONV));
    rob_priv_onnx_activate(w, r->conv_activation);
done:
    return status;
}

/* One layer of the head: Gemm, or at every step a product and a sum. */
static rob_status put_head_layer(writer *w, int32_t i, int32_t *k)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    bool every = r->readout == ROB_READOUT_EVERY;
    const rob_shape *s = &w->model->parameter[*k].tensor->shape;
    const rob_onnx_view turned = { 2, { s->dim[0], s->dim[1] }, 0, true };
    rob_text attributes = { 0 };
    char weight[TEXT], bias[TEXT] = "", both[2 * TEXT];
    snprintf(weight, sizeof weight, "head_weight%d", (int)i);
    TRY(rob_priv_onnx_parameter(w, (*k)++, weight, every ? &turned : NULL));
    if (!r->head_bias_free) {
        snprintf(bias, sizeof bias, "head_bias%d", (int)i);
        TRY(rob_priv_onnx_parameter(w, (*k)++, bias, NULL));
    }
    if (every) {
        rob_priv_onnx_then(w, "MatMul", weight, NULL);
        if (bias[0]) rob_priv_onnx_then(w, "Add", bias, NULL);
        goto done;
    }
    rob_priv_onnx_put_int(w, &attributes, "transB", 1);
    snprintf(both, sizeof both, "%s %s", weight, bias);
    rob_priv_onnx_then(w, "Gemm", both, &attributes);
done:
    return status;
}

static rob_status put_head(writer *w)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    int32_t k = rob_priv_model_first(r, ROB_OF_THE_HEAD, 0);
    TRY(rob_priv_onnx_norm(w, ROB_BEFORE_HEAD));
    for (int32_t i = 0; i <= r->mlps; i++) {
        TRY(put_head_layer(w, i, &k));
        if (i < r->mlps) rob_priv_onnx_activate(w, r->activation);
    }
    if (r->readout == ROB_READOUT_EVERY) {
        rob_priv_onnx_transpose(w, (int64_t[]){ 1, 0, 2 }, 3);
        rob_priv_onnx_then(w, "Reshape", "rows", NULL);
    }
    char last[TEXT];
    snprintf(last, sizeof last, "%s", w->value);
    rob_priv_onnx_node(w, "Identity", last, 0, "y", NULL);
done:
    return status;
}

/* ---- the file -------------------------------------------------------------------- */

/* ValueInfoProto: symbol NULL: the size */
static void put_slot(writer *w, uint64_t field, const char *name, int32_t rank,
                     const char *const *symbol, const int64_t *dim)
{
    rob_text slot = { 0 }, type = { 0 }, tensor = { 0 }, shape = { 0 };
    for (int32_t k = 0; k < rank; k++) {
        rob_text d = { 0 };
        if (symbol[k] != NULL) rob_priv_wire_put_text(w->memory, &d, 2, symbol[k]);
        else rob_priv_wire_put_word(w->memory, &d, 1, (uint64_t)dim[k]);
        rob_priv_wire_put_message(w->memory, &shape, 1, &d);
    }
    rob_priv_wire_put_word(w->memory, &tensor, 1, (uint64_t)w->dtype);
    rob_priv_wire_put_message(w->memory, &tensor, 2, &shape);
    rob_priv_wire_put_message(w->memory, &type, 1, &tensor);
    rob_priv_wire_put_text(w->memory, &slot, 1, name);
    rob_priv_wire_put_message(w->memory, &slot, 2, &type);
    rob_priv_wire_put_message(w->memory, &w->graph, field, &slot);
}

static rob_status put_graph(writer *w)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    rob_priv_wire_put_text(w->memory, &w->graph, 2, "librobust");
    put_slot(w, 11, "x", 3,
             (const char *const[]){ r->steps > 0 ? NULL : "time", "batch", NULL },
             (int64_t[]){ r->steps, 0, r->features });
    put_slot(w, 12, "y", 2, (const char *const[]){ "batch", NULL },
             (int64_t[]){ 0, r->outputs });
    TRY(put_map(w));
    if (r->conv[0]) TRY(put_convolution(w));
    TRY(rob_priv_onnx_norm(w, ROB_BEFORE_BODY));
    TRY(r->kind == ROB_KIND_TRANSFORMER ? rob_priv_onnx_put_encoder(w)
                                        : rob_priv_onnx_put_recurrent(w));
    TRY(put_head(w));
    rob_priv_onnx_put_shared(w);
    rob_priv_text_add(w->memory, &w->graph, w->nodes.at, w->nodes.count);
    w->graph.failed = w->graph.failed || w->nodes.failed;
done:
    return status;
}

static void put_model(writer *w, rob_text *file)
{
    const rob_recipe *r = &w->model->recipe;
    rob_text opset = { 0 }, note = { 0 };
    char recipe[640];
    snprintf(recipe, sizeof recipe, "onnx layout=tbd%s%s%s",
             r->forecast ? " task=forecast" : "", r->classes[0] ? " classes=" : "",
             r->classes);
    rob_priv_wire_put_word(w->memory, file, 1, w->opset > 18 ? 9 : 8);
    rob_priv_wire_put_text(w->memory, file, 2, "librobust");
    rob_priv_wire_put_message(w->memory, file, 7, &w->graph);
    rob_priv_wire_put_text(w->memory, &opset, 1, "");
    rob_priv_wire_put_word(w->memory, &opset, 2, (uint64_t)w->opset);
    rob_priv_wire_put_message(w->memory, file, 8, &opset);
    rob_priv_wire_put_text(w->memory, &note, 1, "robust.recipe");
    rob_priv_wire_put_text(w->memory, &note, 2, recipe);
    rob_priv_wire_put_message(w->memory, file, 14, &note);
}

static bool has_gelu(const rob_recipe *r)
{
    return (r->mlps > 0 && r->activation == ROB_ACT_GELU)
           || (r->conv[0] && r->conv_activation == ROB_ACT_GELU)
           || (r->kind == ROB_KIND_TRANSFORMER
               && r->transformer.e.activation != ROB_ACTIVATION_RELU);
}

rob_status rob_priv_onnx_save(rob_ctx *ctx, const rob_model *model, const char *path)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &model->recipe;
    writer w = { .ctx = ctx, .memory = &ctx->memory, .model = model, .value = "x" };
    rob_text file = { 0 };
    CHECK(r->kind != ROB_KIND_GRAPH, ctx, ROB_EUNSUPPORTED,
          "'%.200s': a model from a tape, a callback, a front or an ONNX file has no recipe, "
          "and only recipes are written as ONNX; keep what it came from",
          path);
    w.dtype = r->dtype == ROB_F32 ? ROB_ONNX_FLOAT : ROB_ONNX_DOUBLE;
    w.opset = has_gelu(r) ? 20 : 17;
    TRY(put_graph(&w));
    put_model(&w, &file);
    CHECK(!file.failed, ctx, ROB_EMEMORY, "out of memory");
    const rob_bytes part = { (uint8_t *)file.at, file.count };
    TRY(rob_priv_io_write(ctx, path, &part, 1));
done:
    rob_priv_release(w.memory, w.nodes.at);
    rob_priv_release(w.memory, w.graph.at);
    rob_priv_release(w.memory, file.at);
    return status;
}
