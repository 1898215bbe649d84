/* onnx_tensor.c -- the numbers of a TensorProto.
 *
 * They stand in raw_data, little-endian, or in one of float_data, int32_data (which also
 * holds half, bfloat, bool and the small integers), int64_data, double_data, uint64_data.
 * Their count must be the product of the dims, which is known before a byte is
 * allocated: so a file can make us allocate eight bytes for each byte it has, no more.
 * Integers are kept as doubles: exact to 2^53, beyond that rounded (no dimension or index
 * that fits into memory is so large).
 * Reference: onnx.proto, TensorProto.
 */
#include "io/onnx.h"

#include <math.h>
#include <string.h>

enum {
    DIMS = 1,
    TYPE = 2,
    FLOATS = 4,
    INT32S = 5,
    INT64S = 7,
    NAME = 8,
    RAW = 9,
    DOUBLES = 10,
    UINT64S = 11,
    EXTERNAL = 13,
    LOCATION = 14
};

/* One type: its size in raw_data, the field it stands in otherwise, and how a word of
 * either becomes a number. */
typedef struct kind {
    int32_t dtype, size, field, wire;
    double (*number)(uint64_t word);
    const char *name;
} kind;

static double of_f32(uint64_t w) { return (double)rob_priv_io_f32((uint32_t)w); }
static double of_f64(uint64_t w) { return rob_priv_io_f64(w); }
static double of_u8(uint64_t w) { return (double)(uint8_t)w; }
static double of_i8(uint64_t w) { return (double)(int8_t)w; }
static double of_u16(uint64_t w) { return (double)(uint16_t)w; }
static double of_i16(uint64_t w) { return (double)(int16_t)w; }
static double of_u32(uint64_t w) { return (double)(uint32_t)w; }
static double of_i32(uint64_t w) { return (double)(int32_t)w; }
static double of_u64(uint64_t w) { return (double)w; }
static double of_i64(uint64_t w) { return (double)(int64_t)w; }
static double of_bool(uint64_t w) { return (w & 255) != 0; }

static double of_half(uint64_t w)
{
    int32_t exponent = (int32_t)(w >> 10 & 31);
    double fraction = (double)(w & 1023);
    double size = exponent == 31 ? (fraction > 0 ? NAN : INFINITY)
                  : exponent == 0 ? ldexp(fraction, -24)
                                  : ldexp(1024.0 + fraction, exponent - 25);
    return w >> 15 & 1 ? -size : size;
}

static double of_bfloat(uint64_t w)
{
    return (double)rob_priv_io_f32((uint32_t)(w & 65535) << 16);
}

static const kind KINDS[] = {
    { ROB_ONNX_FLOAT, 4, FLOATS, ROB_WIRE_32, of_f32, "float" },
    { ROB_ONNX_DOUBLE, 8, DOUBLES, ROB_WIRE_64, of_f64, "double" },
    { ROB_ONNX_INT64, 8, INT64S, ROB_WIRE_VARINT, of_i64, "int64" },
    { ROB_ONNX_INT32, 4, INT32S, ROB_WIRE_VARINT, of_i32, "int32" },
    { ROB_ONNX_BOOL, 1, INT32S, ROB_WIRE_VARINT, of_bool, "bool" },
    { ROB_ONNX_HALF, 2, INT32S, ROB_WIRE_VARINT, of_half, "float16" },
    { ROB_ONNX_BFLOAT, 2, INT32S, ROB_WIRE_VARINT, of_bfloat, "bfloat16" },
    { 2, 1, INT32S, ROB_WIRE_VARINT, of_u8, "uint8" },
    { 3, 1, INT32S, ROB_WIRE_VARINT, of_i8, "int8" },
    { 4, 2, INT32S, ROB_WIRE_VARINT, of_u16, "uint16" },
    { 5, 2, INT32S, ROB_WIRE_VARINT, of_i16, "int16" },
    { 12, 4, UINT64S, ROB_WIRE_VARINT, of_u32, "uint32" },
    { 13, 8, UINT64S, ROB_WIRE_VARINT, of_u64, "uint64" },
};

static const kind *kind_of(int64_t dtype)
{
    for (int64_t k = 0; k < COUNT_OF(KINDS); k++)
        if (KINDS[k].dtype == dtype) return &KINDS[k];
    return NULL;
}

/* ---- what the message says, before its numbers ----------------------------------- */

typedef struct outline {
    uint64_t dtype, location;
    bool external, raw;
    rob_wire bytes; /* raw_data */
} outline;

static bool take_dims(const rob_wire_field *f, rob_onnx_tensor *t)
{
    uint64_t dim[ROB_ONNX_RANK];
    int64_t count = rob_priv_wire_count(f, ROB_WIRE_VARINT);
    if (count < 0 || t->rank + count > ROB_ONNX_RANK) return false;
    rob_priv_wire_words(f, ROB_WIRE_VARINT, dim);
    for (int64_t k = 0; k < count; k++) {
        if (dim[k] > INT64_MAX) return false;
        t->dim[t->rank++] = (int64_t)dim[k];
    }
    return true;
}

static bool take_outline(const rob_wire_field *f, rob_onnx_tensor *t, outline *o)
{
    if (f->number == DIMS) return take_dims(f, t);
    if (f->number == TYPE) o->dtype = f->word;
    if (f->number == LOCATION) o->location = f->word;
    if (f->number == EXTERNAL) o->external = true;
    if (f->number == RAW) {
        o->raw = true;
        o->bytes = f->bytes;
    }
    return true;
}

static rob_status read_outline(rob_ctx *ctx, const char *path, rob_wire w,
                               rob_onnx_tensor *t, outline *o)
{
    rob_status status = ROB_OK;
    rob_wire_field f;
    int32_t got;
    while ((got = rob_priv_wire_next(&w, &f)) > 0)
        CHECK(take_outline(&f, t, o), ctx, ROB_EFORMAT,
              "'%.150s': the dims of a tensor are malformed, or more than %d", path,
              (int)ROB_ONNX_RANK);
    CHECK(got == 0, ctx, ROB_EFORMAT, "'%.150s': a tensor is cut short", path);
    CHECK(!o->external && o->location == 0, ctx, ROB_EFORMAT,
          "'%.150s': a tensor keeps its numbers in another file; export the model as "
          "one file",
          path);
    t->size = 1;
    for (int32_t k = 0; k < t->rank; k++)
        CHECK(!__builtin_mul_overflow(t->size, t->dim[k], &t->size)
                  && t->size <= ROB_ONNX_FILE_CAP,
              ctx, ROB_EFORMAT, "'%.150s': a tensor has too many elements", path);
done:
    return status;
}

/* ---- the numbers ----------------------------------------------------------------- */

static int64_t count_numbers(const kind *k, rob_wire w)
{
    rob_wire_field f;
    int64_t total = 0;
    while (rob_priv_wire_next(&w, &f) > 0) {
        if (f.number != (uint64_t)k->field) continue;
        int64_t count = rob_priv_wire_count(&f, k->wire);
        if (count < 0) return -1;
        total += count;
    }
    return total;
}

static void put(rob_tensor *t, int64_t at, double x)
{
    if (t->dtype == ROB_F32) ((float *)t->data)[at] = (float)x;
    else ((double *)t->data)[at] = x;
}

static void take_raw(const kind *k, const outline *o, rob_onnx_tensor *t)
{
    for (int64_t i = 0; i < t->size; i++)
        put(t->number, i,
            k->number(rob_priv_io_word(o->bytes.at + i * k->size, k->size, false)));
}

/* Words of one field, a packed run or a single one. */
static int64_t take_field(const kind *k, const rob_wire_field *f, rob_tensor *t,
                          int64_t at)
{
    rob_wire w = f->bytes;
    uint64_t word = f->word;
    if (f->type == k->wire) {
        put(t, at, k->number(word));
        return at + 1;
    }
    int32_t size = k->wire == ROB_WIRE_64 ? 8 : 4;
    while (w.at < w.end) {
        if (k->wire == ROB_WIRE_VARINT) {
            if (!rob_priv_wire_varint(&w, &word)) return at;
        } else {
            word = rob_priv_io_word(w.at, size, false);
            w.at += size;
        }
        put(t, at++, k->number(word));
    }
    return at;
}

static void take_typed(const kind *k, rob_wire w, rob_onnx_tensor *t)
{
    rob_wire_field f;
    int64_t at = 0;
    while (rob_priv_wire_next(&w, &f) > 0)
        if (f.number == (uint64_t)k->field) at = take_field(k, &f, t->number, at);
}

static rob_shape stored_shape(const rob_onnx_tensor *t)
{
    return t->rank <= ROB_MAX_RANK ? rob_priv_shape_make(t->rank, t->dim)
                                   : rob_priv_shape1(t->size);
}

rob_status rob_priv_onnx_tensor(rob_ctx *ctx, const char *path, rob_wire w,
                                rob_onnx_tensor *out)
{
    rob_status status = ROB_OK;
    rob_onnx_tensor t = { 0 };
    outline o = { 0 };
    TRY(read_outline(ctx, path, w, &t, &o));
    const kind *k = kind_of((int64_t)o.dtype);
    CHECK(k != NULL, ctx, ROB_EUNSUPPORTED,
          "'%.150s': a tensor has element type %llu; numbers and bool are read", path,
          (unsigned long long)o.dtype);
    t.dtype = k->dtype;
    int64_t bytes = o.bytes.end - o.bytes.at;
    int64_t count = o.raw ? (bytes % k->size == 0 ? bytes / k->size : -1)
                          : count_numbers(k, w);
    CHECK(count == t.size, ctx, ROB_EFORMAT,
          "'%.150s': a %s tensor has %lld elements by its dims, %lld by its data", path,
          k->name, (long long)t.size, (long long)count);
    if (t.size > 0) {
        int32_t stored = k->size <= 4 && (k->number == of_f32 || k->number == of_half
                                          || k->number == of_bfloat)
                             ? ROB_F32
                             : ROB_F64;
        if (rob_priv_tensor_create(&ctx->memory, stored, stored_shape(&t), &t.number)
            < ROB_OK) {
            status = rob_priv_no_memory(ctx);
            goto done;
        }
        if (o.raw) take_raw(k, &o, &t);
        else take_typed(k, w, &t);
    }
    *out = t;
done:
    return status;
}

rob_wire rob_priv_onnx_tensor_name(rob_wire w)
{
    rob_wire_field f;
    rob_wire name = { w.end, w.end };
    while (rob_priv_wire_next(&w, &f) > 0)
        if (f.number == NAME && f.type == ROB_WIRE_BYTES) name = f.bytes;
    return name;
}
