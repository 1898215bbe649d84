/* tensor.c -- tensors out of a safetensors file, and safetensors files out of tensors.
 *
 * float16  s e(5) m(10):  (-1)^s 2^(e-15) (1 + m/1024), e = 0: (-1)^s 2^-14 m/1024;
 * bfloat16 is the upper half of a float32. Both embed exactly in float32.
 * Written files have float32 or float64, little-endian, the data at a multiple of 8
 * bytes.
 */
#include "io/io.h"

#include <math.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------- */

static float half_to_float(uint32_t bits)
{
    int32_t exponent = (int32_t)(bits >> 10 & 31);
    double magnitude, fraction = (double)(bits & 1023);
    if (exponent == 31) return NAN; /* Inf and NaN are refused alike */
    if (exponent == 0) magnitude = ldexp(fraction, -24);
    else magnitude = ldexp(1024.0 + fraction, exponent - 25);
    return (float)(bits >> 15 ? -magnitude : magnitude);
}

static float number_f32(const uint8_t *at)
{
    return rob_priv_io_f32((uint32_t)rob_priv_io_word(at, 4, false));
}

static float number_f16(const uint8_t *at)
{
    return half_to_float((uint32_t)rob_priv_io_word(at, 2, false));
}

static float number_bf16(const uint8_t *at)
{
    return rob_priv_io_f32((uint32_t)rob_priv_io_word(at, 2, false) << 16);
}

typedef struct source {
    const char *dtype;
    int32_t size;
    float (*number)(const uint8_t *);
} source;

static const source SOURCES[] = {
    { "F64", 8, NULL },
    { "F32", 4, number_f32 },
    { "F16", 2, number_f16 },
    { "BF16", 2, number_bf16 },
};

static const source *source_of(const char *dtype)
{
    for (int64_t i = 0; i < COUNT_OF(SOURCES); i++)
        if (strcmp(SOURCES[i].dtype, dtype) == 0) return &SOURCES[i];
    return NULL;
}

/* Index of the first number that is not finite, or -1. From the last number down, so
 * that `at` may be t's own memory: no number then lies beyond where it came from. */
static int64_t take_numbers(const source *from, const uint8_t *at, rob_tensor *t,
                            int64_t size)
{
    int64_t bad = -1;
    for (int64_t i = size - 1; i >= 0; i--) {
        const uint8_t *p = at + i * from->size;
        double x;
        if (from->number == NULL) {
            x = rob_priv_io_f64(rob_priv_io_word(p, 8, false));
            ((double *)t->data)[i] = x;
        } else {
            float f = from->number(p);
            ((float *)t->data)[i] = f;
            x = (double)f;
        }
        if (!isfinite(x)) bad = i;
    }
    return bad;
}

rob_status rob_priv_safetensors_tensor(rob_ctx *ctx, const rob_safetensors *s,
                                       const rob_entry *entry, rob_tensor **out)
{
    rob_status status = ROB_OK;
    rob_tensor *t = NULL;
    const source *from = source_of(entry->dtype);
    *out = NULL;
    CHECK(from != NULL, ctx, ROB_EUNSUPPORTED,
          "tensor '%.100s' has dtype %s; F64, F32, F16 "
          "and BF16 are read",
          entry->name, entry->dtype);
    CHECK(entry->rank <= ROB_MAX_RANK, ctx, ROB_EUNSUPPORTED,
          "tensor '%.100s' has %d "
          "dimensions; at most %d are read",
          entry->name, (int)entry->rank, (int)ROB_MAX_RANK);
    rob_shape shape = rob_priv_shape_make(entry->rank, entry->dim);
    status = rob_priv_tensor_create(
        &ctx->memory, from->number == NULL ? ROB_F64 : ROB_F32, shape, &t);
    if (status == ROB_EMEMORY) rob_priv_no_memory(ctx);
    TRY(status);
    const int64_t bytes = entry->end - entry->begin;
    const uint8_t *at = s->data != NULL ? s->data + entry->begin : t->data;
    if (s->data == NULL)
        TRY(rob_priv_io_piece(ctx, s->file, s->path, s->origin + entry->begin, t->data,
                              bytes));
    int64_t bad = take_numbers(from, at, t, bytes / from->size);
    CHECK(bad < 0, ctx, ROB_EFORMAT, "tensor '%.100s': number %lld is not finite",
          entry->name, (long long)bad);
    *out = t;
done:
    if (status < ROB_OK) rob_priv_tensor_free(t);
    return status;
}

/* ---- writing --------------------------------------------------------------------- */

static void add_quoted(const rob_memory *m, rob_text *t, const char *s)
{
    static const char hex[] = "0123456789abcdef";
    rob_priv_text_add(m, t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char code[6] = { '\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15] };
        if (c == '"' || c == '\\') rob_priv_text_add(m, t, "\\", 1);
        if (c < 0x20) rob_priv_text_add(m, t, code, 6);
        else rob_priv_text_add(m, t, s, 1);
    }
    rob_priv_text_add(m, t, "\"", 1);
}

static void add_metadata(const rob_memory *m, rob_text *t, const rob_note *notes,
                         int64_t count)
{
    rob_priv_text_string(m, t, "\"__metadata__\":{");
    for (int64_t i = 0; i < count; i++) {
        if (i > 0) rob_priv_text_add(m, t, ",", 1);
        add_quoted(m, t, notes[i].key);
        rob_priv_text_add(m, t, ":", 1);
        add_quoted(m, t, notes[i].value);
    }
    rob_priv_text_add(m, t, "}", 1);
}

static int64_t bytes_of(const rob_tensor *t)
{
    return rob_priv_shape_size(&t->shape) * (t->dtype == ROB_F32 ? 4 : 8);
}

static void add_tensor(const rob_memory *m, rob_text *t, const char *name,
                       const rob_tensor *tensor, int64_t begin)
{
    rob_priv_text_add(m, t, ",", 1);
    add_quoted(m, t, name);
    rob_priv_text_string(m, t,
                         tensor->dtype == ROB_F32 ? ":{\"dtype\":\"F32\",\"shape\":["
                                                  : ":{\"dtype\":\"F64\",\"shape\":[");
    for (int32_t i = 0; i < tensor->shape.rank; i++) {
        if (i > 0) rob_priv_text_add(m, t, ",", 1);
        rob_priv_text_integer(m, t, tensor->shape.dim[i]);
    }
    rob_priv_text_string(m, t, "],\"data_offsets\":[");
    rob_priv_text_integer(m, t, begin);
    rob_priv_text_add(m, t, ",", 1);
    rob_priv_text_integer(m, t, begin + bytes_of(tensor));
    rob_priv_text_string(m, t, "]}");
}

/* Eight bytes for the length, the JSON, blanks up to a multiple of 8. */
static void make_header(const rob_memory *m, rob_text *t, const char *const *names,
                        rob_tensor *const *tensors, int64_t count,
                        const rob_note *notes, int64_t note_count)
{
    int64_t begin = 0;
    rob_priv_text_add(m, t, "\0\0\0\0\0\0\0\0{", 9);
    add_metadata(m, t, notes, note_count);
    for (int64_t i = 0; i < count; i++) {
        add_tensor(m, t, names[i], tensors[i], begin);
        begin += bytes_of(tensors[i]);
    }
    rob_priv_text_add(m, t, "}", 1);
    while (!t->failed && t->count % 8 != 0) rob_priv_text_add(m, t, " ", 1);
    for (int32_t k = 0; k < 8 && !t->failed; k++)
        t->at[k] = (char)((uint64_t)(t->count - 8) >> (8 * k) & 255);
}

static void put_numbers(const rob_tensor *t, uint8_t *at)
{
    int64_t size = rob_priv_shape_size(&t->shape);
    int32_t bytes = t->dtype == ROB_F32 ? 4 : 8;
    for (int64_t i = 0; i < size; i++) {
        uint64_t word = 0;
        uint32_t half = 0;
        if (bytes == 4) memcpy(&half, (const float *)t->data + i, 4), word = half;
        else memcpy(&word, (const double *)t->data + i, 8);
        for (int32_t k = 0; k < bytes; k++) *at++ = (uint8_t)(word >> (8 * k));
    }
}

rob_status rob_priv_safetensors_write(rob_ctx *ctx, const char *path,
                                      const char *const *names,
                                      rob_tensor *const *tensors, int64_t count,
                                      const rob_note *notes, int64_t note_count)
{
    rob_status status = ROB_OK;
    rob_text header = { 0 };
    int64_t size = 0, used = 0;
    for (int64_t i = 0; i < count; i++) size += bytes_of(tensors[i]);
    uint8_t *data = rob_priv_allocate(&ctx->memory, size > 0 ? size : 1, 1);
    make_header(&ctx->memory, &header, names, tensors, count, notes, note_count);
    if (header.failed || data == NULL) {
        status = rob_priv_no_memory(ctx);
        goto done;
    }
    for (int64_t i = 0; i < count; i++) {
        put_numbers(tensors[i], data + used);
        used += bytes_of(tensors[i]);
    }
    rob_bytes parts[2] = { { (uint8_t *)header.at, header.count }, { data, size } };
    TRY(rob_priv_io_write(ctx, path, parts, 2));
done:
    rob_priv_release(&ctx->memory, header.at);
    rob_priv_release(&ctx->memory, data);
    return status;
}
