/* onnx_save_recurrent.c -- recurrent layers and their read-out as ONNX nodes.
 *
 *     (time, batch, D) -> RNN | LSTM | GRU, layer by layer, both directions side by side
 *     -> state, last: Y_h, or the last of Y; mean: ReduceMean; max: ReduceMax over time
 *
 * Gates go from i f g o to ONNX's i o f c, from r z n to z r h; both biases side by side.
 * First states are expanded to the batch. Reference: ONNX operators RNN, LSTM, GRU,
 * version 14.
 */
#include "model/net.h"
#include "model/onnx_write.h"

#include <stdio.h>
#include <string.h>

enum { TEXT = ROB_ONNX_TEXT };
typedef rob_onnx_writer writer;

static const struct {
    const char *op, *act;
    int32_t gates, order[4]; /* their gate k is ours number order[k] */
} KINDS[] = {
    [ROB_KIND_RNN_TANH] = { "RNN", "Tanh", 1, { 0 } },
    [ROB_KIND_RNN_RELU] = { "RNN", "Relu", 1, { 0 } },
    [ROB_KIND_LSTM] = { "LSTM", NULL, 4, { 0, 3, 1, 2 } },
    [ROB_KIND_GRU] = { "GRU", NULL, 3, { 1, 0, 2 } },
};

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
    rob_priv_onnx_numbers(w, name, which == 2 ? 2 : 3, dim, room);
    rob_priv_release(w->memory, room);
    return ROB_OK;
}

/* h0, and c0 of an LSTM, of a layer as (directions, batch, H): their names into `out` */
static rob_status put_state(writer *w, int32_t layer, char out[2 * TEXT])
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    int32_t first = rob_priv_model_first(r, ROB_OF_THE_STATE, 0);
    const rob_onnx_view view = { .rank = 3,
                                 .dim = { ways(r), 1, r->hidden },
                                 .first = layer * ways(r) * r->hidden };
    char before[TEXT], in[2 * TEXT], name[TEXT];
    snprintf(before, sizeof before, "%s", w->value);
    out[0] = '\0';
    for (int32_t k = 0; k < (r->kind == ROB_KIND_LSTM ? 2 : 1); k++) {
        snprintf(name, sizeof name, "first%d_%d", (int)layer, (int)k);
        TRY(rob_priv_onnx_parameter(w, first + k, name, &view));
        snprintf(in, sizeof in, "%s state_dims", name);
        rob_priv_onnx_node(w, "Expand", in, 0, NULL, NULL);
        snprintf(out + strlen(out), 2 * TEXT - strlen(out), " %s", w->value);
    }
    snprintf(w->value, sizeof w->value, "%s", before);
done:
    return status;
}

/* (directions, batch, H) of the first states: as many as x (time, batch, D) has */
static void put_state_dims(writer *w)
{
    const rob_recipe *r = &w->model->recipe;
    char before[TEXT];
    snprintf(before, sizeof before, "%s", w->value);
    rob_priv_onnx_integers(w, "ways", 1, (int64_t[]){ ways(r) });
    rob_priv_onnx_integers(w, "hidden", 1, (int64_t[]){ r->hidden });
    rob_priv_onnx_node(w, "Shape", "x", 0, NULL, NULL);
    rob_priv_onnx_then(w, "Gather", "axis1", NULL);
    char in[2 * TEXT];
    rob_text attributes = { 0 };
    snprintf(in, sizeof in, "ways %s hidden", w->value);
    rob_priv_onnx_put_int(w, &attributes, "axis", 0);
    rob_priv_onnx_node(w, "Concat", in, 0, "state_dims", &attributes);
    snprintf(w->value, sizeof w->value, "%s", before);
}

/* The last states of a layer, (directions, B, H) to (B, directions H); or all of them,
 * (T, directions, B, H) to (T, B, directions H). */
static void put_states(writer *w, bool end)
{
    if (!w->model->recipe.both) {
        rob_priv_onnx_then(w, "Squeeze", end ? "axis0" : "axis1", NULL);
        return;
    }
    rob_priv_onnx_transpose(w, end ? (int64_t[]){ 1, 0, 2 } : (int64_t[]){ 0, 2, 1, 3 },
                            end ? 3 : 4);
    rob_priv_onnx_then(w, "Reshape", end ? "rows" : "steps", NULL);
}

static rob_status put_layer(writer *w, int32_t layer)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    rob_text attributes = { 0 };
    char in[8 * TEXT], state[2 * TEXT] = "", biases[TEXT] = "-";
    bool end = layer + 1 == r->layers && rob_priv_net_reads_end(r);
    for (int32_t k = 0; k < (r->bias_free ? 2 : 3); k++) TRY(put_weight(w, layer, k));
    if (r->state[0]) TRY(put_state(w, layer, state));
    rob_priv_onnx_put_int(w, &attributes, "hidden_size", r->hidden);
    if (r->kind == ROB_KIND_GRU)
        rob_priv_onnx_put_int(w, &attributes, "linear_before_reset", 1);
    if (KINDS[r->kind].act != NULL)
        rob_priv_onnx_put_texts(w, &attributes, "activations", KINDS[r->kind].act,
                                ways(r));
    if (r->both) rob_priv_onnx_put_text(w, &attributes, "direction", "bidirectional");
    if (!r->bias_free) snprintf(biases, sizeof biases, "B%d", (int)layer);
    snprintf(in, sizeof in, "%s W%d R%d %s%s%s", w->value, (int)layer, (int)layer, biases,
             r->state[0] ? " -" : "", state);
    rob_priv_onnx_node(w, KINDS[r->kind].op, in, end ? 1 : 0, NULL, &attributes);
    put_states(w, end);
done:
    return status;
}

rob_status rob_priv_onnx_put_recurrent(rob_onnx_writer *w)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &w->model->recipe;
    if (r->state[0]) put_state_dims(w);
    for (int32_t k = 0; k < r->layers; k++) TRY(put_layer(w, k));
    if (rob_priv_net_reads_end(r) || r->readout == ROB_READOUT_EVERY) goto done;
    if (r->readout == ROB_READOUT_LAST) {
        rob_text attributes = { 0 };
        rob_priv_onnx_integers(w, "last", 0, (int64_t[]){ -1 });
        rob_priv_onnx_put_int(w, &attributes, "axis", 0);
        rob_priv_onnx_then(w, "Gather", "last", &attributes);
    } else
        rob_priv_onnx_reduce(
            w, r->readout == ROB_READOUT_MEAN ? "ReduceMean" : "ReduceMax", 0, false);
done:
    return status;
}
