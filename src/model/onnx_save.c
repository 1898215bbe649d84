/* onnx_save.c -- a recurrent model as an ONNX file, opset 17.
 *
 *     x (time, batch, D) -> [Mul, Add: the input map] -> RNN | LSTM | GRU, layer by layer,
 *     both directions side by side -> state, last: Y_h, or the last of Y; mean: ReduceMean;
 *     max: ReduceMax over time -> Gemm (Relu | Tanh, Gemm)* -> y (batch, L)
 *
 * Gates go from i f g o to ONNX's i o f c, from r z n to z r h; both biases side by side.
 * Time and batch are open. Numbers have the model's type. The recipe, with the layout, goes
 * into the metadata, so the file loads here without words; the input map is part of the
 * graph, so what is loaded is in the data's units.
 * Reference: ONNX operators RNN, LSTM, GRU, version 14.
 */
#include "model/onnx.h"
#include "model/parts.h"

#include <stdio.h>
#include <string.h>

enum { OPSET = 17, IR = 8, TEXT = 64 };

typedef struct writer {
    rob_ctx *ctx;
    const rob_memory *memory;
    const rob_model *model;
    rob_text graph, nodes;
    int32_t dtype, nodes_made;
    char value[TEXT]; /* what has been computed so far */
    rob_status status;
} writer;

static const struct {
    const char *op, *act;
    int32_t gates, order[4]; /* their gate k is ours number order[k] */
} KINDS[] = {
    [ROB_KIND_RNN_TANH] = { "RNN", "Tanh", 1, { 0 } },
    [ROB_KIND_RNN_RELU] = { "RNN", "Relu", 1, { 0 } },
    [ROB_KIND_LSTM] = { "LSTM", NULL, 4, { 0, 3, 1, 2 } },
    [ROB_KIND_GRU] = { "GRU", NULL, 3, { 1, 0, 2 } },
};

/* ---- pieces ---------------------------------------------------------------------- */

static void put_int(writer *w, rob_text *node, const char *name, int64_t value)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    rob_priv_wire_put_word(w->memory, &a, 3, (uint64_t)value);
    rob_priv_wire_put_word(w->memory, &a, 20, ROB_ONNX_ATTR_INT);
    rob_priv_wire_put_message(w->memory, node, 5, &a);
}

static void put_text(writer *w, rob_text *node, const char *name, const char *value)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    rob_priv_wire_put_text(w->memory, &a, 4, value);
    rob_priv_wire_put_word(w->memory, &a, 20, ROB_ONNX_ATTR_STRING);
    rob_priv_wire_put_message(w->memory, node, 5, &a);
}

static void put_strings(writer *w, rob_text *node, const char *name, const char *value,
                        int32_t times)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    for (int32_t k = 0; k < times; k++) rob_priv_wire_put_text(w->memory, &a, 9, value);
    rob_priv_wire_put_word(w->memory, &a, 20, ROB_ONNX_ATTR_STRINGS);
    rob_priv_wire_put_message(w->memory, node, 5, &a);
}

/* in: names with blanks between. The node's output number `at` (others left out, so many
 * in front) becomes the value that has been computed. */
static void put_node(writer *w, const char *op, const char *in, int32_t at,
                     const char *out, rob_text *attributes)
{
    rob_text node = { 0 };
    char name[TEXT], word[TEXT];
    int used;
    for (; sscanf(in, "%63s%n", word, &used) == 1; in += used)
        rob_priv_wire_put_text(w->memory, &node, 1, word);
    for (int32_t k = 0; k < at; k++) rob_priv_wire_put_text(w->memory, &node, 2, "");
    rob_priv_wire_put_text(w->memory, &node, 2, out);
    snprintf(name, sizeof name, "%s_%d", op, (int)w->nodes_made++);
    rob_priv_wire_put_text(w->memory, &node, 3, name);
    rob_priv_wire_put_text(w->memory, &node, 4, op);
    if (attributes != NULL) {
        rob_priv_text_add(w->memory, &node, attributes->at, attributes->count);
        node.failed = node.failed || attributes->failed;
        rob_priv_release(w->memory, attributes->at);
        *attributes = (rob_text){ 0 };
    }
    rob_priv_wire_put_message(w->memory, &w->nodes, 1, &node);
    snprintf(w->value, sizeof w->value, "%s", out);
}

static void put_tensor(writer *w, const char *name, int32_t dtype, int32_t rank,
                       const int64_t *dim, const double *value)
{
    rob_priv_wire_put_tensor(w->memory, &w->graph, 5, name, dtype, rank, dim, value);
}

static void put_axis(writer *w, const char *name, double axis)
{
    put_tensor(w, name, ROB_ONNX_INT64, 1, (int64_t[]){ 1 }, &axis);
}

/* ---- layers ---------------------------------------------------------------------- */

static void with_input(writer *w, const char *op, const char *input, const char *out)
{
    char in[2 * TEXT];
    snprintf(in, sizeof in, "%s %s", w->value, input);
    put_node(w, op, in, 0, out, NULL);
}

static void transpose(writer *w, const int64_t *order, int32_t rank, const char *out)
{
    rob_text attributes = { 0 }, a = { 0 };
    char in[TEXT];
    rob_priv_wire_put_text(w->memory, &a, 1, "perm");
    for (int32_t k = 0; k < rank; k++)
        rob_priv_wire_put_word(w->memory, &a, 8, (uint64_t)order[k]);
    rob_priv_wire_put_word(w->memory, &a, 20, ROB_ONNX_ATTR_INTS);
    rob_priv_wire_put_message(w->memory, &attributes, 5, &a);
    snprintf(in, sizeof in, "%s", w->value);
    put_node(w, "Transpose", in, 0, out, &attributes);
}

static int32_t ways(const rob_recipe *r) { return r->both ? 2 : 1; }

/* Rows of tensor k, gate by gate in ONNX's order, into out; returns how many numbers. */
static int64_t arrange(const writer *w, int32_t k, double *out)
{
    const rob_tensor *t = w->model->parameter[k].tensor;
    int32_t kind = w->model->recipe.kind;
    int64_t size = rob_priv_shape_size(&t->shape), gate = size / KINDS[kind].gates;
    for (int64_t i = 0; i < size; i++)
        out[i] = rob_priv_tensor_at(t, KINDS[kind].order[i / gate] * gate + i % gate);
    return size;
}

/* Tensor `which` (0 W, 1 R, 2 both biases) of every direction of a layer. */
static rob_status put_weight(writer *w, int32_t layer, int32_t which)
{
    static const char *const NAMES[] = { "W", "R", "B" };
    const rob_recipe *r = &w->model->recipe;
    int32_t each = rob_priv_layer_tensors(r), first = layer * ways(r) * each;
    int64_t rows = KINDS[r->kind].gates * r->hidden, size = 0;
    const rob_shape *shape = &w->model->parameter[first + which].tensor->shape;
    int64_t columns = which == 2 ? 2 : shape->dim[1];
    const int64_t dim[3] = { ways(r), which == 2 ? 2 * rows : rows, columns };
    double *room = rob_priv_allocate(w->memory, ways(r) * rows * columns, 8);
    char name[TEXT];
    if (room == NULL) return rob_priv_no_memory(w->ctx);
    for (int32_t way = 0; way < ways(r); way++)
        for (int32_t k = which; k < (which == 2 ? 4 : which + 1); k++)
            size += arrange(w, first + way * each + k, room + size);
    snprintf(name, sizeof name, "%s%d", NAMES[which], (int)layer);
    put_tensor(w, name, w->dtype, which == 2 ? 2 : 3, dim, room);
    rob_priv_release(w->memory, room);
    return ROB_OK;
}

/* The last states of a layer, (directions, B, H) to (B, directions H); or all of them,
 * (T, directions, B, H) to (T, B, directions H). */
static void put_states(writer *w, int32_t layer, bool end)
{
    bool both = w->model->recipe.both != 0;
    char out[TEXT], moved[TEXT];
    snprintf(out, sizeof out, "h%d", (int)layer);
    snprintf(moved, sizeof moved, "moved%d", (int)layer);
    if (!both) {
        with_input(w, "Squeeze", end ? "axis0" : "axis1", out);
        return;
    }
    transpose(w, end ? (int64_t[]){ 1, 0, 2 } : (int64_t[]){ 0, 2, 1, 3 }, end ? 3 : 4,
              moved);
    with_input(w, "Reshape", end ? "rows" : "steps", out);
}

static bool reads_end(const rob_recipe *r)
{
    return r->readout == ROB_READOUT_STATE
           || (r->readout == ROB_READOUT_LAST && !r->both);
}

static rob_status put_layer(writer *w, int32_t layer)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    rob_text attributes = { 0 };
    char in[2 * TEXT], out[TEXT], act[3 * TEXT];
    bool end = layer + 1 == r->layers && reads_end(r);
    for (int32_t k = 0; k < (r->bias_free ? 2 : 3); k++) TRY(put_weight(w, layer, k));
    put_int(w, &attributes, "hidden_size", r->hidden);
    if (r->kind == ROB_KIND_GRU) put_int(w, &attributes, "linear_before_reset", 1);
    if (KINDS[r->kind].act != NULL)
        put_strings(w, &attributes, "activations", KINDS[r->kind].act, ways(r));
    if (r->both) put_text(w, &attributes, "direction", "bidirectional");
    snprintf(in, sizeof in, "%s W%d R%d", w->value, (int)layer, (int)layer);
    snprintf(act, sizeof act, "%s B%d", in, (int)layer);
    snprintf(out, sizeof out, "%s%d", end ? "state" : "states", (int)layer);
    put_node(w, KINDS[r->kind].op, r->bias_free ? in : act, end ? 1 : 0, out, &attributes);
    put_states(w, layer, end);
done:
    return status;
}

/* ---- before and behind ----------------------------------------------------------- */

static void put_map(writer *w)
{
    const rob_recipe *r = &w->model->recipe;
    const double scale = 1.0 / r->input_scale, shift = -r->input_shift / r->input_scale;
    if (r->input_shift == 0.0 && r->input_scale == 1.0) return;
    put_tensor(w, "input_scale", w->dtype, 0, NULL, &scale);
    put_tensor(w, "input_shift", w->dtype, 0, NULL, &shift);
    put_node(w, "Mul", "x input_scale", 0, "scaled", NULL);
    put_node(w, "Add", "scaled input_shift", 0, "shifted", NULL);
}

static void put_readout(writer *w)
{
    const rob_recipe *r = &w->model->recipe;
    rob_text attributes = { 0 }, a = { 0 };
    char in[TEXT];
    if (reads_end(r)) return;
    if (r->readout == ROB_READOUT_LAST) {
        put_int(w, &attributes, "axis", 0);
        char both[2 * TEXT];
        snprintf(both, sizeof both, "%s last", w->value);
        put_node(w, "Gather", both, 0, "read", &attributes);
        return;
    }
    rob_priv_wire_put_text(w->memory, &a, 1, "axes");
    rob_priv_wire_put_word(w->memory, &a, 8, 0);
    rob_priv_wire_put_word(w->memory, &a, 20, ROB_ONNX_ATTR_INTS);
    rob_priv_wire_put_message(w->memory, &attributes, 5, &a);
    put_int(w, &attributes, "keepdims", 0);
    snprintf(in, sizeof in, "%s", w->value);
    put_node(w, r->readout == ROB_READOUT_MEAN ? "ReduceMean" : "ReduceMax", in, 0, "read",
             &attributes);
}

static rob_status put_parameter(writer *w, int32_t k, const char *name)
{
    const rob_tensor *t = w->model->parameter[k].tensor;
    int64_t size = rob_priv_shape_size(&t->shape);
    double *room = rob_priv_allocate(w->memory, size, (int64_t)sizeof *room);
    if (room == NULL) return rob_priv_no_memory(w->ctx);
    for (int64_t i = 0; i < size; i++) room[i] = rob_priv_tensor_at(t, i);
    put_tensor(w, name, w->dtype, t->shape.rank, t->shape.dim, room);
    rob_priv_release(w->memory, room);
    return ROB_OK;
}

static rob_status put_head(writer *w)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    int32_t k = rob_priv_model_first(r, ROB_OF_THE_HEAD, 0);
    for (int32_t i = 0; i <= r->mlps; i++) {
        rob_text attributes = { 0 };
        char in[4 * TEXT], weight[TEXT], bias[TEXT] = "", out[TEXT], bent[TEXT];
        snprintf(weight, sizeof weight, "head_weight%d", (int)i);
        TRY(put_parameter(w, k++, weight));
        if (!r->head_bias_free) {
            snprintf(bias, sizeof bias, "head_bias%d", (int)i);
            TRY(put_parameter(w, k++, bias));
        }
        put_int(w, &attributes, "transB", 1);
        snprintf(in, sizeof in, "%s %s %s", w->value, weight, bias);
        snprintf(out, sizeof out, "z%d", (int)i);
        put_node(w, "Gemm", in, 0, i == r->mlps ? "y" : out, &attributes);
        snprintf(bent, sizeof bent, "bent%d", (int)i);
        if (i < r->mlps)
            put_node(w, r->activation == ROB_ACT_RELU ? "Relu" : "Tanh", out, 0, bent,
                     NULL);
    }
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
    put_slot(w, 11, "x", 3, (const char *const[]){ "time", "batch", NULL },
             (int64_t[]){ 0, 0, r->features });
    put_slot(w, 12, "y", 2, (const char *const[]){ "batch", NULL },
             (int64_t[]){ 0, r->outputs });
    const double last = -1, rows[2] = { 0, -1 }, steps[3] = { 0, 0, -1 };
    put_axis(w, "axis0", 0);
    put_axis(w, "axis1", 1);
    put_tensor(w, "last", ROB_ONNX_INT64, 0, NULL, &last);
    put_tensor(w, "rows", ROB_ONNX_INT64, 1, (int64_t[]){ 2 }, rows);
    put_tensor(w, "steps", ROB_ONNX_INT64, 1, (int64_t[]){ 3 }, steps);
    put_map(w);
    for (int32_t k = 0; k < r->layers; k++) TRY(put_layer(w, k));
    put_readout(w);
    TRY(put_head(w));
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
    snprintf(recipe, sizeof recipe, "onnx layout=tbd%s%s",
             r->classes[0] ? " classes=" : "", r->classes);
    rob_priv_wire_put_word(w->memory, file, 1, IR);
    rob_priv_wire_put_text(w->memory, file, 2, "librobust");
    rob_priv_wire_put_message(w->memory, file, 7, &w->graph);
    rob_priv_wire_put_text(w->memory, &opset, 1, "");
    rob_priv_wire_put_word(w->memory, &opset, 2, OPSET);
    rob_priv_wire_put_message(w->memory, file, 8, &opset);
    rob_priv_wire_put_text(w->memory, &note, 1, "robust.recipe");
    rob_priv_wire_put_text(w->memory, &note, 2, recipe);
    rob_priv_wire_put_message(w->memory, file, 14, &note);
}

static bool is_written(const rob_model *model)
{
    const rob_recipe *r = &model->recipe;
    int32_t parts = rob_priv_model_first(r, ROB_OF_THE_SCALE, 0);
    return r->kind >= 0 && r->kind <= ROB_KIND_GRU && model->parameters == parts
           && r->readout >= 0 && r->readout <= ROB_READOUT_STATE
           && (r->mlps == 0 || r->activation == ROB_ACT_RELU
               || r->activation == ROB_ACT_TANH);
}

rob_status rob_priv_onnx_save(rob_ctx *ctx, const rob_model *model, const char *path)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &model->recipe;
    writer w = { .ctx = ctx, .memory = &ctx->memory, .model = model, .value = "x" };
    rob_text file = { 0 };
    CHECK(is_written(model), ctx, ROB_EUNSUPPORTED,
          "'%.200s': of recipes, rnn, lstm and gru with a head of relu or tanh layers are "
          "written as ONNX, without scale=, convolution, norms, first states, readout=every",
          path);
    w.dtype = r->dtype == ROB_F32 ? ROB_ONNX_FLOAT : ROB_ONNX_DOUBLE;
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
