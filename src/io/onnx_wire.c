/* onnx_wire.c -- the protobuf wire format, one field at a time.
 *
 *     message = (key payload)*,  key = varint(number << 3 | type)
 *     type 0: varint, 7 bits a byte, low first, at most 10 bytes; 1: 8 bytes;
 *     2: varint length, then so many bytes; 5: 4 bytes. Types 3 and 4 (groups) nest
 *     without a length and are refused.
 *
 * Written here although protobuf has libraries: those recurse as deep as the file wants
 * or keep global state, generate code that has to be shipped, and allocate before they
 * have looked. Here nothing is allocated and a field is never longer than what is left.
 * Reference: Protocol Buffers, Encoding.
 */
#include "io/onnx.h"

bool rob_priv_wire_varint(rob_wire *w, uint64_t *out)
{
    uint64_t value = 0;
    for (int32_t shift = 0; shift < 70 && w->at < w->end; shift += 7) {
        uint8_t byte = *w->at++;
        if (shift == 63 && byte > 1) return false;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte & 128) continue;
        *out = value;
        return true;
    }
    return false;
}

static bool take_bytes(rob_wire *w, uint64_t count, rob_wire *out)
{
    if (count > (uint64_t)(w->end - w->at)) return false;
    *out = (rob_wire){ w->at, w->at + count };
    w->at += count;
    return true;
}

static bool take_word(rob_wire *w, int32_t size, uint64_t *out)
{
    rob_wire word;
    if (!take_bytes(w, (uint64_t)size, &word)) return false;
    *out = rob_priv_io_word(word.at, size, false);
    return true;
}

int32_t rob_priv_wire_next(rob_wire *w, rob_wire_field *f)
{
    uint64_t key, length;
    if (w->at == w->end) return 0;
    *f = (rob_wire_field){ 0 };
    if (!rob_priv_wire_varint(w, &key) || key >> 3 == 0) return -1;
    f->number = key >> 3;
    f->type = (int32_t)(key & 7);
    bool good = f->type == ROB_WIRE_VARINT ? rob_priv_wire_varint(w, &f->word)
                : f->type == ROB_WIRE_64   ? take_word(w, 8, &f->word)
                : f->type == ROB_WIRE_32   ? take_word(w, 4, &f->word)
                : f->type == ROB_WIRE_BYTES
                    ? rob_priv_wire_varint(w, &length)
                          && take_bytes(w, length, &f->bytes)
                    : false;
    return good ? 1 : -1;
}

/* ---- repeated scalars ------------------------------------------------------------ */

static int64_t count_varints(rob_wire w)
{
    int64_t count = 0;
    for (uint64_t word; w.at < w.end; count++)
        if (!rob_priv_wire_varint(&w, &word)) return -1;
    return count;
}

int64_t rob_priv_wire_count(const rob_wire_field *f, int32_t type)
{
    int64_t bytes = f->bytes.end - f->bytes.at, size = type == ROB_WIRE_64 ? 8 : 4;
    if (f->type == type) return 1;
    if (f->type != ROB_WIRE_BYTES) return -1;
    if (type == ROB_WIRE_VARINT) return count_varints(f->bytes);
    return bytes % size == 0 ? bytes / size : -1;
}

void rob_priv_wire_words(const rob_wire_field *f, int32_t type, uint64_t *out)
{
    rob_wire w = f->bytes;
    if (f->type == type) {
        *out = f->word;
        return;
    }
    while (w.at < w.end) {
        bool good = type == ROB_WIRE_VARINT
                        ? rob_priv_wire_varint(&w, out)
                        : take_word(&w, type == ROB_WIRE_64 ? 8 : 4, out);
        if (!good) return;
        out++;
    }
}
