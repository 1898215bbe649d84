/* onnx.c -- an ONNX file as lists: nodes, initializers, inputs, outputs, metadata.
 *
 *     ModelProto (graph, opset imports, metadata) > GraphProto (nodes, initializers,
 *     inputs, outputs) > NodeProto (inputs, outputs, attributes)
 *
 * Values are numbered by their names. Lists are counted before they are made; a count has
 * a limit, a name has one, and a message is never longer than the one around it, so a file
 * of n bytes costs O(n) time and memory. Subgraphs, training and functions are not read:
 * nodes that need them are refused by whoever interprets the graph.
 * Reference: ONNX 1.18, onnx.proto.
 */
#include "io/onnx.h"

#include <string.h>

enum {
    MODEL_PRODUCER = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_NOTE = 14,
    GRAPH_NODE = 1,
    GRAPH_TENSOR = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15,
    NODE_IN = 1,
    NODE_OUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTR = 5,
    NODE_DOMAIN = 7,
    BLOCK = 1 << 16,
    SMALL_LIST = 4096,
    ATTR_LIST = 1 << 20
};

/* ---- memory that goes all at once ------------------------------------------------ */

struct rob_onnx_block {
    rob_onnx_block *next;
    int64_t used, room;
};

typedef struct reader {
    rob_ctx *ctx;
    const char *path;
    rob_onnx *o;
    int32_t *slot; /* hash table of value numbers + 1 */
    int64_t slots;
    int32_t value_room;
    int64_t attrs; /* of all nodes */
} reader;

static void *take(reader *r, int64_t count, int64_t size)
{
    rob_onnx_block *b = r->o->block;
    int64_t bytes = (count * size + 15) & ~(int64_t)15;
    const int64_t head = 64;
    if (b == NULL || b->room - b->used < bytes) {
        int64_t room = bytes > BLOCK ? bytes : BLOCK;
        b = rob_priv_allocate(&r->ctx->memory, room + head, 1);
        if (b == NULL) return NULL;
        b->room = room;
        b->next = r->o->block;
        r->o->block = b;
    }
    void *at = (uint8_t *)b + head + b->used;
    b->used += bytes;
    return at;
}

static rob_status malformed(reader *r, const char *what)
{
    return rob_priv_fail(r->ctx, ROB_EFORMAT, "'%.150s': no ONNX model: %s", r->path,
                         what);
}

/* ---- strings and value numbers --------------------------------------------------- */

static rob_status read_text(reader *r, rob_wire w, int64_t cap, const char **out)
{
    int64_t count = w.end - w.at;
    if (count > cap) return malformed(r, "a name is longer than 512 bytes");
    for (const uint8_t *p = w.at; p < w.end; p++)
        if (*p < 32 || *p == 127) return malformed(r, "a name has a control character");
    char *text = take(r, count + 1, 1);
    if (text == NULL) return rob_priv_no_memory(r->ctx);
    if (count > 0) memcpy(text, w.at, (size_t)count);
    *out = text;
    return ROB_OK;
}

static uint64_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (uint8_t)*s) * 0x100000001b3u;
    return h ^ h >> 29;
}

static int64_t slot_of(const reader *r, const char *name)
{
    int64_t i = (int64_t)(hash(name) & (uint64_t)(r->slots - 1));
    while (r->slot[i] != 0 && strcmp(r->o->value[r->slot[i] - 1], name) != 0)
        i = (i + 1) & (r->slots - 1);
    return i;
}

static rob_status grow_values(reader *r)
{
    const rob_memory *m = &r->ctx->memory;
    int32_t room = r->value_room > 0 ? 2 * r->value_room : 256;
    if (room > ROB_ONNX_VALUES) return malformed(r, "more than 2^18 values");
    const char **names =
        rob_priv_grow(m, r->o->value, r->o->values, room, (int64_t)sizeof *names);
    if (names == NULL) return rob_priv_no_memory(r->ctx);
    r->o->value = names;
    int32_t *slot = rob_priv_allocate(m, 4 * (int64_t)room, (int64_t)sizeof *slot);
    if (slot == NULL) return rob_priv_no_memory(r->ctx);
    rob_priv_release(m, r->slot);
    r->slot = slot;
    r->slots = 4 * (int64_t)room;
    r->value_room = room;
    for (int32_t k = 0; k < r->o->values; k++)
        r->slot[slot_of(r, r->o->value[k])] = k + 1;
    return ROB_OK;
}

/* The number of a value's name; -1 for the empty one. */
static rob_status read_value(reader *r, rob_wire w, int32_t *out)
{
    rob_status status = ROB_OK;
    const char *name = NULL;
    *out = -1;
    if (w.at == w.end) return ROB_OK;
    TRY(read_text(r, w, ROB_ONNX_NAME, &name));
    if (r->o->values == r->value_room) TRY(grow_values(r));
    int64_t at = slot_of(r, name);
    if (r->slot[at] == 0) {
        r->o->value[r->o->values] = name;
        r->slot[at] = ++r->o->values;
    }
    *out = r->slot[at] - 1;
done:
    return status;
}

/* ---- attributes ------------------------------------------------------------------ */

enum { A_NAME = 1, A_F, A_I, A_S, A_T, A_G, A_FLOATS, A_INTS, A_STRINGS, A_TYPE = 20 };

static int64_t count_list(rob_wire w, uint64_t number, int32_t type)
{
    rob_wire_field f;
    int64_t total = 0;
    while (rob_priv_wire_next(&w, &f) > 0) {
        if (f.number != number) continue;
        int64_t count = type == ROB_WIRE_BYTES ? 1 : rob_priv_wire_count(&f, type);
        if (count < 0) return -1;
        total += count;
    }
    return total;
}

static rob_status read_ints(reader *r, rob_wire w, rob_onnx_attr *a)
{
    rob_wire_field f;
    uint64_t *at = take(r, a->count + 1, (int64_t)sizeof *at);
    if (at == NULL) return rob_priv_no_memory(r->ctx);
    a->ints = (int64_t *)at;
    while (rob_priv_wire_next(&w, &f) > 0) {
        if (f.number != A_INTS) continue;
        rob_priv_wire_words(&f, ROB_WIRE_VARINT, at);
        at += rob_priv_wire_count(&f, ROB_WIRE_VARINT);
    }
    return ROB_OK;
}

static rob_status read_floats(reader *r, rob_wire w, rob_onnx_attr *a)
{
    rob_wire_field f;
    uint64_t *at = take(r, a->count + 1, (int64_t)sizeof *at), *first = at;
    if (at == NULL) return rob_priv_no_memory(r->ctx);
    while (rob_priv_wire_next(&w, &f) > 0) {
        if (f.number != A_FLOATS) continue;
        rob_priv_wire_words(&f, ROB_WIRE_32, at);
        at += rob_priv_wire_count(&f, ROB_WIRE_32);
    }
    a->floats = take(r, a->count + 1, (int64_t)sizeof *a->floats);
    if (a->floats == NULL) return rob_priv_no_memory(r->ctx);
    for (int64_t k = 0; k < a->count; k++)
        a->floats[k] = (double)rob_priv_io_f32((uint32_t)first[k]);
    return ROB_OK;
}

static rob_status read_strings(reader *r, rob_wire w, rob_onnx_attr *a)
{
    rob_status status = ROB_OK;
    rob_wire_field f;
    int64_t k = 0;
    a->strings = take(r, a->count + 1, (int64_t)sizeof *a->strings);
    if (a->strings == NULL) return rob_priv_no_memory(r->ctx);
    while (rob_priv_wire_next(&w, &f) > 0)
        if (f.number == A_STRINGS)
            TRY(read_text(r, f.bytes, ROB_ONNX_NAME, &a->strings[k++]));
done:
    return status;
}

static rob_status read_list(reader *r, rob_wire w, rob_onnx_attr *a)
{
    rob_status status = ROB_OK;
    static const struct {
        int32_t type, wire;
        uint64_t number;
        rob_status (*read)(reader *, rob_wire, rob_onnx_attr *);
    } lists[] = {
        { ROB_ONNX_ATTR_INTS, ROB_WIRE_VARINT, A_INTS, read_ints },
        { ROB_ONNX_ATTR_FLOATS, ROB_WIRE_32, A_FLOATS, read_floats },
        { ROB_ONNX_ATTR_STRINGS, ROB_WIRE_BYTES, A_STRINGS, read_strings },
    };
    for (int64_t k = 0; k < COUNT_OF(lists); k++) {
        if (lists[k].type != a->type) continue;
        a->count = count_list(w, lists[k].number, lists[k].wire);
        if (a->count < 0 || a->count > ATTR_LIST)
            return malformed(r, "an attribute's list is malformed or too long");
        TRY(lists[k].read(r, w, a));
    }
done:
    return status;
}

/* Files of early writers leave the type out: it is what is there. */
static const int32_t TYPE_OF_FIELD[] = {
    [A_F] = ROB_ONNX_ATTR_FLOAT,       [A_I] = ROB_ONNX_ATTR_INT,
    [A_S] = ROB_ONNX_ATTR_STRING,      [A_T] = ROB_ONNX_ATTR_TENSOR,
    [A_G] = ROB_ONNX_ATTR_GRAPH,       [A_FLOATS] = ROB_ONNX_ATTR_FLOATS,
    [A_INTS] = ROB_ONNX_ATTR_INTS,     [A_STRINGS] = ROB_ONNX_ATTR_STRINGS,
};

static rob_status read_attr(reader *r, rob_wire w, rob_onnx_attr *a)
{
    rob_status status = ROB_OK;
    rob_wire whole = w, tensor = { 0 };
    rob_wire_field f;
    int32_t got, seen = 0;
    a->name = a->s = "";
    while ((got = rob_priv_wire_next(&w, &f)) > 0) {
        if (f.number == A_NAME) TRY(read_text(r, f.bytes, ROB_ONNX_NAME, &a->name));
        if (f.number == A_F) a->f = (double)rob_priv_io_f32((uint32_t)f.word);
        if (f.number == A_I) a->i = (int64_t)f.word;
        if (f.number == A_S) TRY(read_text(r, f.bytes, ROB_ONNX_NAME, &a->s));
        if (f.number == A_T) tensor = f.bytes;
        if (f.number == A_TYPE) a->type = (int32_t)(f.word & 255);
        if (f.number > A_NAME && f.number <= A_STRINGS)
            seen = TYPE_OF_FIELD[f.number];
    }
    if (got < 0) return malformed(r, "an attribute is cut short");
    if (a->type == 0) a->type = seen;
    if (a->type == ROB_ONNX_ATTR_TENSOR)
        TRY(rob_priv_onnx_tensor(r->ctx, r->path, tensor, &a->t));
    TRY(read_list(r, whole, a));
done:
    return status;
}

/* ---- nodes ----------------------------------------------------------------------- */

static rob_status read_node_field(reader *r, const rob_wire_field *f, rob_onnx_node *n)
{
    switch (f->number) {
    case NODE_IN: return read_value(r, f->bytes, &n->in[n->ins++]);
    case NODE_OUT: return read_value(r, f->bytes, &n->out[n->outs++]);
    case NODE_NAME: return read_text(r, f->bytes, ROB_ONNX_NAME, &n->name);
    case NODE_OP: return read_text(r, f->bytes, ROB_ONNX_NAME, &n->op);
    case NODE_DOMAIN: return read_text(r, f->bytes, ROB_ONNX_NAME, &n->domain);
    case NODE_ATTR: return read_attr(r, f->bytes, &n->attr[n->attrs++]);
    default: return ROB_OK;
    }
}

static rob_status read_node(reader *r, rob_wire w, rob_onnx_node *n)
{
    rob_status status = ROB_OK;
    rob_wire_field f;
    int64_t ins = count_list(w, NODE_IN, ROB_WIRE_BYTES);
    int64_t outs = count_list(w, NODE_OUT, ROB_WIRE_BYTES);
    int64_t attrs = count_list(w, NODE_ATTR, ROB_WIRE_BYTES);
    int32_t got;
    n->name = n->op = n->domain = "";
    r->attrs += attrs;
    if (ins > ROB_ONNX_EDGES || outs > ROB_ONNX_EDGES || attrs > ROB_ONNX_EDGES
        || r->attrs > ROB_ONNX_VALUES)
        return malformed(r, "a node has more than 1024 inputs, outputs or attributes");
    n->in = take(r, ins + 1, (int64_t)sizeof *n->in);
    n->out = take(r, outs + 1, (int64_t)sizeof *n->out);
    n->attr = take(r, attrs + 1, (int64_t)sizeof *n->attr);
    if (n->in == NULL || n->out == NULL || n->attr == NULL)
        return rob_priv_no_memory(r->ctx);
    while ((got = rob_priv_wire_next(&w, &f)) > 0) TRY(read_node_field(r, &f, n));
    if (got < 0) return malformed(r, "a node is cut short");
done:
    return status;
}

/* ---- inputs and outputs ---------------------------------------------------------- */

/* The payload of the last field `number`; empty when there is none. */
static rob_wire inner(rob_wire w, uint64_t number)
{
    rob_wire found = { w.end, w.end };
    for (rob_wire_field f; rob_priv_wire_next(&w, &f) > 0;)
        if (f.number == number && f.type == ROB_WIRE_BYTES) found = f.bytes;
    return found;
}

static uint64_t inner_word(rob_wire w, uint64_t number, uint64_t otherwise)
{
    for (rob_wire_field f; rob_priv_wire_next(&w, &f) > 0;)
        if (f.number == number && f.type == ROB_WIRE_VARINT) otherwise = f.word;
    return otherwise;
}

/* ValueInfoProto: name 1, type 2 > tensor 1 > (element 1, shape 2 > dim 1 > value 1,
 * symbol 2) */
static rob_status read_slot(reader *r, rob_wire w, rob_onnx_slot *s)
{
    rob_status status = ROB_OK;
    rob_wire_field f;
    rob_wire tensor = inner(inner(w, 2), 1), shape = inner(tensor, 2);
    TRY(read_value(r, inner(w, 1), &s->value));
    if (s->value < 0) return malformed(r, "an input or output has no name");
    s->dtype = (int32_t)(inner_word(tensor, 1, 0) & 255);
    while (rob_priv_wire_next(&shape, &f) > 0) {
        if (f.number != 1) continue;
        if (s->rank == ROB_ONNX_RANK)
            return malformed(r, "an input or output has more than 8 dimensions");
        uint64_t dim = inner_word(f.bytes, 1, UINT64_MAX);
        s->symbol[s->rank] = "";
        s->dim[s->rank] = dim <= (uint64_t)ROB_ONNX_FILE_CAP ? (int64_t)dim : -1;
        TRY(read_text(r, inner(f.bytes, 2), ROB_ONNX_NAME, &s->symbol[s->rank]));
        s->rank++;
    }
done:
    return status;
}

/* ---- the graph and the model ----------------------------------------------------- */

static rob_status read_initializer(reader *r, rob_wire w)
{
    rob_status status = ROB_OK;
    int32_t k = r->o->tensors;
    TRY(read_value(r, rob_priv_onnx_tensor_name(w), &r->o->tensor_value[k]));
    if (r->o->tensor_value[k] < 0) return malformed(r, "an initializer has no name");
    TRY(rob_priv_onnx_tensor(r->ctx, r->path, w, &r->o->tensor[k]));
    r->o->tensor[k].name = r->o->value[r->o->tensor_value[k]];
    r->o->tensors++;
done:
    return status;
}

static rob_status read_graph_field(reader *r, const rob_wire_field *f)
{
    rob_onnx *o = r->o;
    switch (f->number) {
    case GRAPH_NODE: return read_node(r, f->bytes, &o->node[o->nodes++]);
    case GRAPH_TENSOR: return read_initializer(r, f->bytes);
    case GRAPH_INPUT: return read_slot(r, f->bytes, &o->input[o->inputs++]);
    case GRAPH_OUTPUT: return read_slot(r, f->bytes, &o->output[o->outputs++]);
    case GRAPH_SPARSE:
        return rob_priv_fail(r->ctx, ROB_EUNSUPPORTED,
                             "'%.150s': sparse initializers are not read", r->path);
    default: return ROB_OK;
    }
}

static rob_status read_graph(reader *r, rob_wire w)
{
    rob_status status = ROB_OK;
    rob_onnx *o = r->o;
    rob_wire_field f;
    int64_t nodes = count_list(w, GRAPH_NODE, ROB_WIRE_BYTES);
    int64_t tensors = count_list(w, GRAPH_TENSOR, ROB_WIRE_BYTES);
    int64_t inputs = count_list(w, GRAPH_INPUT, ROB_WIRE_BYTES);
    int64_t outputs = count_list(w, GRAPH_OUTPUT, ROB_WIRE_BYTES);
    int32_t got;
    if (nodes > ROB_ONNX_NODES || tensors > ROB_ONNX_NODES || inputs > ROB_ONNX_NODES
        || outputs > SMALL_LIST)
        return malformed(r, "more than 65536 nodes, inputs, initializers; 4096 outputs");
    o->node = take(r, nodes + 1, (int64_t)sizeof *o->node);
    o->tensor = take(r, tensors + 1, (int64_t)sizeof *o->tensor);
    o->tensor_value = take(r, tensors + 1, (int64_t)sizeof *o->tensor_value);
    o->input = take(r, inputs + 1, (int64_t)sizeof *o->input);
    o->output = take(r, outputs + 1, (int64_t)sizeof *o->output);
    if (o->node == NULL || o->tensor == NULL || o->tensor_value == NULL
        || o->input == NULL || o->output == NULL)
        return rob_priv_no_memory(r->ctx);
    while ((got = rob_priv_wire_next(&w, &f)) > 0) TRY(read_graph_field(r, &f));
    if (got < 0) return malformed(r, "the graph is cut short");
done:
    return status;
}

static rob_status read_opset(reader *r, rob_wire w)
{
    rob_wire domain = inner(w, 1);
    int64_t count = domain.end - domain.at;
    uint64_t version = inner_word(w, 2, 0);
    bool ours = count == 0 || (count == 7 && memcmp(domain.at, "ai.onnx", 7) == 0);
    if (!ours) return ROB_OK;
    if (version < ROB_ONNX_OPSET_FIRST || version > ROB_ONNX_OPSET_LAST)
        return rob_priv_fail(r->ctx, ROB_EUNSUPPORTED,
                             "'%.150s' is written for opset %llu; %d to %d are read",
                             r->path, (unsigned long long)version, ROB_ONNX_OPSET_FIRST,
                             ROB_ONNX_OPSET_LAST);
    r->o->opset = (int64_t)version;
    return ROB_OK;
}

static rob_status read_note(reader *r, rob_wire w)
{
    rob_status status = ROB_OK;
    rob_note *note = &r->o->note[r->o->notes];
    if (inner(w, 2).end - inner(w, 2).at > 4 * ROB_ONNX_NAME) return ROB_OK;
    TRY(read_text(r, inner(w, 1), ROB_ONNX_NAME, &note->key));
    if (strncmp(note->key, "robust.", 7) != 0) return ROB_OK;
    TRY(read_text(r, inner(w, 2), 4 * ROB_ONNX_NAME, &note->value));
    r->o->notes++;
done:
    return status;
}

static rob_status read_model(reader *r, rob_wire w)
{
    rob_status status = ROB_OK;
    rob_wire_field f;
    rob_wire graph = { 0 };
    int32_t got;
    int64_t notes = count_list(w, MODEL_NOTE, ROB_WIRE_BYTES);
    if (notes > SMALL_LIST) return malformed(r, "more than 4096 lines of metadata");
    r->o->note = take(r, notes + 1, (int64_t)sizeof *r->o->note);
    if (r->o->note == NULL) return rob_priv_no_memory(r->ctx);
    while ((got = rob_priv_wire_next(&w, &f)) > 0) {
        if (f.number == MODEL_OPSET) TRY(read_opset(r, f.bytes));
        if (f.number == MODEL_NOTE) TRY(read_note(r, f.bytes));
        if (f.number == MODEL_GRAPH) graph = f.bytes;
    }
    if (got < 0) return malformed(r, "the file is cut short or damaged");
    if (graph.at == NULL) return malformed(r, "it has no graph");
    if (r->o->opset == 0) return malformed(r, "it does not say its opset");
    TRY(read_graph(r, graph));
done:
    return status;
}

/* ---- use ------------------------------------------------------------------------- */

bool rob_priv_onnx_is(const uint8_t *bytes, int64_t count)
{
    bool header = count >= 9 && bytes[8] == '{' && bytes[6] == 0 && bytes[7] == 0;
    return count >= 4 && bytes[0] == 8 && bytes[1] >= 1 && bytes[1] < 64 && !header;
}

rob_status rob_priv_onnx_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, rob_onnx *out)
{
    reader r = { .ctx = ctx, .path = path, .o = out };
    *out = (rob_onnx){ .memory = ctx->memory };
    rob_status status = read_model(&r, (rob_wire){ bytes, bytes + count });
    rob_priv_release(&ctx->memory, r.slot);
    return status;
}

void rob_priv_onnx_clear(rob_onnx *o)
{
    for (int32_t k = 0; k < o->tensors; k++) rob_priv_tensor_free(o->tensor[k].number);
    for (int32_t n = 0; n < o->nodes; n++)
        for (int32_t k = 0; k < o->node[n].attrs; k++)
            rob_priv_tensor_free(o->node[n].attr[k].t.number);
    for (rob_onnx_block *b = o->block, *next; b != NULL; b = next) {
        next = b->next;
        rob_priv_release(&o->memory, b);
    }
    rob_priv_release(&o->memory, o->value);
    *o = (rob_onnx){ 0 };
}

const char *rob_priv_onnx_note(const rob_onnx *o, const char *key)
{
    for (int32_t k = 0; k < o->notes; k++)
        if (strcmp(o->note[k].key, key) == 0) return o->note[k].value;
    return NULL;
}

const rob_onnx_attr *rob_priv_onnx_attr(const rob_onnx_node *n, const char *name)
{
    for (int32_t k = 0; k < n->attrs; k++)
        if (strcmp(n->attr[k].name, name) == 0) return &n->attr[k];
    return NULL;
}
