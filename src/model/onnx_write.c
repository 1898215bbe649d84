/* onnx_write.c -- the pieces of an ONNX file: attributes, nodes, tensors.
 *
 * A node takes the value computed so far and makes the next one, so most of a network is a
 * chain of calls. Field numbers are those of onnx.proto.
 */
#include "model/onnx_write.h"

#include <stdio.h>
#include <string.h>

/* ---- attributes ------------------------------------------------------------------ */

static void put_attribute(const rob_onnx_writer *w, rob_text *node, rob_text *a,
                          uint64_t kind)
{
    rob_priv_wire_put_word(w->memory, a, 20, kind);
    rob_priv_wire_put_message(w->memory, node, 5, a);
}

void rob_priv_onnx_put_int(const rob_onnx_writer *w, rob_text *node, const char *name,
                           int64_t value)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    rob_priv_wire_put_word(w->memory, &a, 3, (uint64_t)value);
    put_attribute(w, node, &a, ROB_ONNX_ATTR_INT);
}

void rob_priv_onnx_put_ints(const rob_onnx_writer *w, rob_text *node, const char *name,
                            const int64_t *value, int32_t count)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    for (int32_t k = 0; k < count; k++)
        rob_priv_wire_put_word(w->memory, &a, 8, (uint64_t)value[k]);
    put_attribute(w, node, &a, ROB_ONNX_ATTR_INTS);
}

void rob_priv_onnx_put_float(const rob_onnx_writer *w, rob_text *node, const char *name,
                             double value)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    rob_priv_wire_put_float(w->memory, &a, 2, (float)value);
    put_attribute(w, node, &a, ROB_ONNX_ATTR_FLOAT);
}

void rob_priv_onnx_put_text(const rob_onnx_writer *w, rob_text *node, const char *name,
                            const char *value)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    rob_priv_wire_put_text(w->memory, &a, 4, value);
    put_attribute(w, node, &a, ROB_ONNX_ATTR_STRING);
}

void rob_priv_onnx_put_texts(const rob_onnx_writer *w, rob_text *node, const char *name,
                             const char *value, int32_t times)
{
    rob_text a = { 0 };
    rob_priv_wire_put_text(w->memory, &a, 1, name);
    for (int32_t k = 0; k < times; k++) rob_priv_wire_put_text(w->memory, &a, 9, value);
    put_attribute(w, node, &a, ROB_ONNX_ATTR_STRINGS);
}

/* ---- nodes ----------------------------------------------------------------------- */

/* Integers that nodes share; those that none reads stay out of the file. */
static const struct {
    const char *name;
    int64_t count, value[3];
} SHARED[] = { { "axis0", 1, { 0 } },
               { "axis1", 1, { 1 } },
               { "minus1", 1, { -1 } },
               { "far", 1, { 2147483647 } }, /* behind the end of any axis */
               { "rows", 2, { 0, -1 } },
               { "steps", 3, { 0, 0, -1 } } };

static void note_shared(rob_onnx_writer *w, const char *name)
{
    for (int32_t k = 0; k < COUNT_OF(SHARED); k++)
        if (strcmp(name, SHARED[k].name) == 0) w->shared |= 1u << k;
}

void rob_priv_onnx_put_shared(rob_onnx_writer *w)
{
    for (int32_t k = 0; k < COUNT_OF(SHARED); k++)
        if (w->shared & 1u << k)
            rob_priv_onnx_integers(w, SHARED[k].name, SHARED[k].count, SHARED[k].value);
}

void rob_priv_onnx_node(rob_onnx_writer *w, const char *op, const char *in, int32_t at,
                        const char *out, rob_text *attributes)
{
    rob_text node = { 0 };
    char name[ROB_ONNX_TEXT], word[ROB_ONNX_TEXT];
    int used;
    for (; sscanf(in, "%63s%n", word, &used) == 1; in += used) {
        rob_priv_wire_put_text(w->memory, &node, 1, strcmp(word, "-") == 0 ? "" : word);
        note_shared(w, word);
    }
    for (int32_t k = 0; k < at; k++) rob_priv_wire_put_text(w->memory, &node, 2, "");
    snprintf(name, sizeof name, "v%d", (int)w->made);
    snprintf(w->value, sizeof w->value, "%s", out != NULL ? out : name);
    rob_priv_wire_put_text(w->memory, &node, 2, w->value);
    snprintf(name, sizeof name, "%s_%d", op, (int)w->made++);
    rob_priv_wire_put_text(w->memory, &node, 3, name);
    rob_priv_wire_put_text(w->memory, &node, 4, op);
    if (attributes != NULL) {
        rob_priv_text_add(w->memory, &node, attributes->at, attributes->count);
        node.failed = node.failed || attributes->failed;
        rob_priv_release(w->memory, attributes->at);
        *attributes = (rob_text){ 0 };
    }
    rob_priv_wire_put_message(w->memory, &w->nodes, 1, &node);
}

void rob_priv_onnx_then(rob_onnx_writer *w, const char *op, const char *more,
                        rob_text *attributes)
{
    char in[4 * ROB_ONNX_TEXT];
    snprintf(in, sizeof in, "%s %s", w->value, more);
    rob_priv_onnx_node(w, op, in, 0, NULL, attributes);
}

void rob_priv_onnx_transpose(rob_onnx_writer *w, const int64_t *order, int32_t rank)
{
    rob_text attributes = { 0 };
    rob_priv_onnx_put_ints(w, &attributes, "perm", order, rank);
    rob_priv_onnx_then(w, "Transpose", "", &attributes);
}

/* axes became an input with opset 18 */
void rob_priv_onnx_reduce(rob_onnx_writer *w, const char *op, int64_t axis, bool keep)
{
    rob_text attributes = { 0 };
    char name[ROB_ONNX_TEXT] = "";
    if (w->opset < 18) rob_priv_onnx_put_ints(w, &attributes, "axes", &axis, 1);
    else {
        snprintf(name, sizeof name, "along%d", (int)w->made);
        rob_priv_onnx_integers(w, name, 1, &axis);
    }
    rob_priv_onnx_put_int(w, &attributes, "keepdims", keep);
    rob_priv_onnx_then(w, op, name, &attributes);
}

void rob_priv_onnx_activate(rob_onnx_writer *w, int32_t activation)
{
    static const char *const op[] = {
        [ROB_ACT_RELU] = "Relu", [ROB_ACT_TANH] = "Tanh", [ROB_ACT_GELU] = "Gelu"
    };
    if (activation > ROB_ACT_NONE) rob_priv_onnx_then(w, op[activation], "", NULL);
}

/* ---- tensors --------------------------------------------------------------------- */

void rob_priv_onnx_numbers(rob_onnx_writer *w, const char *name, int32_t rank,
                           const int64_t *dim, const double *value)
{
    rob_priv_wire_put_tensor(w->memory, &w->graph, 5, name, w->dtype, rank, dim, value);
}

void rob_priv_onnx_number(rob_onnx_writer *w, const char *name, double value)
{
    rob_priv_onnx_numbers(w, name, 0, NULL, &value);
}

void rob_priv_onnx_integers(rob_onnx_writer *w, const char *name, int64_t count,
                            const int64_t *value)
{
    double room[8];
    for (int64_t k = 0; k < (count > 0 ? count : 1); k++) room[k] = (double)value[k];
    rob_priv_wire_put_tensor(w->memory, &w->graph, 5, name, ROB_ONNX_INT64, count > 0,
                             &count, room);
}

rob_status rob_priv_onnx_parameter(rob_onnx_writer *w, int32_t k, const char *name,
                                   const rob_onnx_view *view)
{
    const rob_tensor *t = w->model->parameter[k].tensor;
    rob_onnx_view v = view != NULL ? *view : (rob_onnx_view){ 0 };
    if (v.rank == 0) {
        v.rank = t->shape.rank;
        memcpy(v.dim, t->shape.dim, sizeof v.dim);
    }
    int64_t size = 1, m = v.dim[0], n = v.dim[1];
    for (int32_t i = 0; i < v.rank; i++) size *= v.dim[i];
    double *room = rob_priv_allocate(w->memory, size, (int64_t)sizeof *room);
    if (room == NULL) return rob_priv_no_memory(w->ctx);
    for (int64_t i = 0; i < size; i++)
        room[v.turned ? i % n * m + i / n : i] = rob_priv_tensor_at(t, v.first + i);
    if (v.turned) v.dim[0] = n, v.dim[1] = m;
    rob_priv_onnx_numbers(w, name, v.rank, v.dim, room);
    rob_priv_release(w->memory, room);
    return ROB_OK;
}
