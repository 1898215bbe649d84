/* onnx.h -- ONNX files as data: a bounded reader of the wire format, and a writer.
 *
 * Nothing here knows what an operator means. Reading never recurses: what is not read is
 * skipped by its length, and the few nested messages that are read are nested by hand.
 */
#ifndef ROB_IO_ONNX_H
#define ROB_IO_ONNX_H

#include "io/io.h"

enum {
    ROB_ONNX_RANK = 8,
    ROB_ONNX_NODES = 1 << 16,
    ROB_ONNX_VALUES = 1 << 18, /* names of values */
    ROB_ONNX_EDGES = 1024,     /* inputs or outputs of one node */
    ROB_ONNX_NAME = 512,
    ROB_ONNX_OPSET_FIRST = 6,
    ROB_ONNX_OPSET_LAST = 25
};
#define ROB_ONNX_FILE_CAP ((int64_t)1 << 32)

/* TensorProto.DataType */
enum {
    ROB_ONNX_FLOAT = 1,
    ROB_ONNX_INT32 = 6,
    ROB_ONNX_INT64 = 7,
    ROB_ONNX_BOOL = 9,
    ROB_ONNX_HALF = 10,
    ROB_ONNX_DOUBLE = 11,
    ROB_ONNX_BFLOAT = 16
};
/* AttributeProto.AttributeType */
enum {
    ROB_ONNX_ATTR_FLOAT = 1,
    ROB_ONNX_ATTR_INT,
    ROB_ONNX_ATTR_STRING,
    ROB_ONNX_ATTR_TENSOR,
    ROB_ONNX_ATTR_GRAPH,
    ROB_ONNX_ATTR_FLOATS,
    ROB_ONNX_ATTR_INTS,
    ROB_ONNX_ATTR_STRINGS
};

/* Numbers: float32, half and bfloat as float32, all else as double. Flat when rank > 4;
 * NULL when a dimension is 0. */
typedef struct rob_onnx_tensor {
    const char *name;
    int32_t dtype, rank;
    int64_t dim[ROB_ONNX_RANK], size;
    rob_tensor *number;
} rob_onnx_tensor;

typedef struct rob_onnx_attr {
    const char *name;
    int32_t type;
    double f;
    int64_t i;
    const char *s;
    rob_onnx_tensor t;
    double *floats;
    int64_t *ints;
    const char **strings;
    int64_t count; /* of the list that is there */
} rob_onnx_attr;

typedef struct rob_onnx_node {
    const char *name, *op, *domain;
    int32_t ins, outs, attrs;
    int32_t *in, *out; /* value numbers; -1: left out */
    rob_onnx_attr *attr;
} rob_onnx_node;

/* What a graph says of an input or output. dim -1: named by symbol, or "" */
typedef struct rob_onnx_slot {
    int32_t value, dtype, rank;
    int64_t dim[ROB_ONNX_RANK];
    const char *symbol[ROB_ONNX_RANK];
} rob_onnx_slot;

typedef struct rob_onnx_block rob_onnx_block;
typedef struct rob_onnx {
    rob_memory memory;
    rob_onnx_block *block; /* all that is pointed to below, but the numbers */
    int64_t opset;
    const char *producer;
    int32_t values, nodes, tensors, inputs, outputs, notes;
    const char **value; /* names */
    rob_onnx_node *node;
    rob_onnx_tensor *tensor; /* initializers */
    int32_t *tensor_value;
    rob_onnx_slot *input, *output;
    rob_note *note;
} rob_onnx;

bool rob_priv_onnx_is(const uint8_t *bytes, int64_t count);
/* Everything is copied: `bytes` may go afterwards. Clear *out whatever came. */
rob_status rob_priv_onnx_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, rob_onnx *out);
void rob_priv_onnx_clear(rob_onnx *o);
const char *rob_priv_onnx_note(const rob_onnx *o, const char *key);
const rob_onnx_attr *rob_priv_onnx_attr(const rob_onnx_node *n, const char *name);

/* ---- the wire format ------------------------------------------------------------- */

typedef struct rob_wire {
    const uint8_t *at, *end;
} rob_wire;

enum { ROB_WIRE_VARINT = 0, ROB_WIRE_64 = 1, ROB_WIRE_BYTES = 2, ROB_WIRE_32 = 5 };
typedef struct rob_wire_field {
    uint64_t number, word; /* word: varint, or the bits of 32 or 64 */
    int32_t type;
    rob_wire bytes;
} rob_wire_field;

/* 1: a field; 0: the end; -1: malformed. */
int32_t rob_priv_wire_next(rob_wire *w, rob_wire_field *f);
bool rob_priv_wire_varint(rob_wire *w, uint64_t *out);
/* Elements a field adds to a repeated scalar of wire type `type`, packed or not; -1:
 * malformed. */
int64_t rob_priv_wire_count(const rob_wire_field *f, int32_t type);
/* Its k-th numbers into out; the room is what rob_priv_wire_count said. */
void rob_priv_wire_words(const rob_wire_field *f, int32_t type, uint64_t *out);

/* Writing: fields behind the text so far. A message written apart is copied and released. */
void rob_priv_wire_put_word(const rob_memory *m, rob_text *t, uint64_t number,
                            uint64_t word);
void rob_priv_wire_put_float(const rob_memory *m, rob_text *t, uint64_t number,
                             float value);
void rob_priv_wire_put_bytes(const rob_memory *m, rob_text *t, uint64_t number,
                             const void *at, int64_t count);
void rob_priv_wire_put_text(const rob_memory *m, rob_text *t, uint64_t number,
                            const char *text);
void rob_priv_wire_put_message(const rob_memory *m, rob_text *t, uint64_t number,
                               rob_text *inner);
/* A TensorProto of FLOAT, DOUBLE or INT64. */
void rob_priv_wire_put_tensor(const rob_memory *m, rob_text *t, uint64_t number,
                              const char *name, int32_t dtype, int32_t rank,
                              const int64_t *dim, const double *value);

/* A TensorProto. name and the other strings stay in `w`'s bytes and are not read. */
rob_status rob_priv_onnx_tensor(rob_ctx *ctx, const char *path, rob_wire w,
                                rob_onnx_tensor *out);
/* Its name field as bytes. */
rob_wire rob_priv_onnx_tensor_name(rob_wire w);

#endif
