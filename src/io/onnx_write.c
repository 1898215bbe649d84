/* onnx_write.c -- the protobuf wire format, written field by field (onnx_wire.c reads it).
 *
 * A nested message is made apart and then copied behind its length. Failures of memory
 * are kept in the text (`failed`), to be asked once at the end.
 */
#include "io/onnx.h"

#include <string.h>

static void put_varint(const rob_memory *m, rob_text *t, uint64_t word)
{
    uint8_t byte[10];
    int64_t n = 0;
    do {
        byte[n++] = (uint8_t)((word & 127) | (word > 127 ? 128 : 0));
        word >>= 7;
    } while (word > 0);
    rob_priv_text_add(m, t, (const char *)byte, n);
}

static void put_key(const rob_memory *m, rob_text *t, uint64_t number, uint64_t type)
{
    put_varint(m, t, number << 3 | type);
}

void rob_priv_wire_put_word(const rob_memory *m, rob_text *t, uint64_t number,
                            uint64_t word)
{
    put_key(m, t, number, ROB_WIRE_VARINT);
    put_varint(m, t, word);
}

void rob_priv_wire_put_float(const rob_memory *m, rob_text *t, uint64_t number,
                             float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(m, t, number, ROB_WIRE_32);
    const uint8_t byte[4] = { (uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                              (uint8_t)(bits >> 24) };
    rob_priv_text_add(m, t, (const char *)byte, 4);
}

void rob_priv_wire_put_bytes(const rob_memory *m, rob_text *t, uint64_t number,
                             const void *at, int64_t count)
{
    put_key(m, t, number, ROB_WIRE_BYTES);
    put_varint(m, t, (uint64_t)count);
    if (count > 0) rob_priv_text_add(m, t, at, count);
}

void rob_priv_wire_put_text(const rob_memory *m, rob_text *t, uint64_t number,
                            const char *text)
{
    rob_priv_wire_put_bytes(m, t, number, text, (int64_t)strlen(text));
}

void rob_priv_wire_put_message(const rob_memory *m, rob_text *t, uint64_t number,
                               rob_text *inner)
{
    if (inner->failed) t->failed = true;
    else rob_priv_wire_put_bytes(m, t, number, inner->at, inner->count);
    rob_priv_release(m, inner->at);
    *inner = (rob_text){ 0 };
}

static void put_number(const rob_memory *m, rob_text *t, int32_t dtype, double x)
{
    uint8_t byte[8];
    uint64_t bits = 0;
    float single = (float)x;
    int64_t size = dtype == ROB_ONNX_FLOAT ? 4 : 8, whole = (int64_t)x;
    if (dtype == ROB_ONNX_FLOAT) {
        uint32_t half;
        memcpy(&half, &single, sizeof half);
        bits = half;
    } else if (dtype == ROB_ONNX_INT64) memcpy(&bits, &whole, sizeof bits);
    else memcpy(&bits, &x, sizeof bits);
    for (int64_t k = 0; k < size; k++) byte[k] = (uint8_t)(bits >> 8 * k);
    rob_priv_text_add(m, t, (const char *)byte, size);
}

void rob_priv_wire_put_tensor(const rob_memory *m, rob_text *t, uint64_t number,
                              const char *name, int32_t dtype, int32_t rank,
                              const int64_t *dim, const double *value)
{
    rob_text inner = { 0 }, raw = { 0 };
    int64_t size = 1;
    for (int32_t k = 0; k < rank; k++) {
        rob_priv_wire_put_word(m, &inner, 1, (uint64_t)dim[k]);
        size *= dim[k];
    }
    rob_priv_wire_put_word(m, &inner, 2, (uint64_t)dtype);
    rob_priv_wire_put_text(m, &inner, 8, name);
    for (int64_t i = 0; i < size; i++) put_number(m, &raw, dtype, value[i]);
    rob_priv_wire_put_message(m, &inner, 9, &raw);
    rob_priv_wire_put_message(m, t, number, &inner);
}
