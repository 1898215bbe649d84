/* npy.c -- arrays in NumPy's format, versions 1 to 3, into doubles in row-major order.
 *
 *     file = "\x93NUMPY" major minor | n (2 bytes, version 1; 4 bytes, 2 and 3) |
 *     header | data
 *     header = {'descr': '<f8', 'fortran_order': False, 'shape': (3, 5), }
 *
 * The header is a Python literal; only this dictionary is understood, so no Python
 * grammar and no library (none embeds without a runtime) is needed. Element k of a
 * Fortran-ordered file has indices  i_1 = k mod d_1, i_2 = floor(k / d_1) mod d_2, ...
 * 8-byte integers beyond 2^53 are refused, not rounded.
 * Reference: NumPy Enhancement Proposal 1.
 */
#include "io/io.h"

#include <string.h>

enum { HEADER_CAP = 1 << 16 };

typedef struct header {
    const char *at, *end;
    char kind; /* f, i, u, b */
    int32_t size;
    bool big_endian, fortran;
    bool seen[3];
    int32_t rank;
    int64_t dim[ROB_NPY_RANK];
} header;

bool rob_priv_npy_is(const uint8_t *bytes, int64_t count)
{
    return count >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
}

/* ---- the literal ----------------------------------------------------------------- */

static bool take(header *h, const char *word)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n')) h->at++;
    size_t length = strlen(word);
    if ((size_t)(h->end - h->at) < length || memcmp(h->at, word, length) != 0)
        return false;
    h->at += length;
    return true;
}

static bool take_integer(header *h, int64_t *out)
{
    take(h, "");
    const char *first = h->at;
    int64_t value = 0;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
        if (__builtin_mul_overflow(value, 10, &value)
            || __builtin_add_overflow(value, *h->at - '0', &value))
            return false;
    *out = value;
    return h->at > first;
}

static bool read_descr(header *h)
{
    if (!take(h, "'") || h->end - h->at < 4 || h->at[3] != '\'') return false;
    char order = h->at[0];
    h->kind = h->at[1];
    h->size = h->at[2] - '0';
    h->at += 4;
    h->big_endian = order == '>';
    if (order == '|' ? h->size != 1 : order != '<' && order != '>') return false;
    if (h->kind == 'f') return h->size == 4 || h->size == 8;
    if (h->kind == 'b') return h->size == 1;
    return (h->kind == 'i' || h->kind == 'u')
           && (h->size == 1 || h->size == 2 || h->size == 4 || h->size == 8);
}

static bool read_order(header *h)
{
    h->fortran = take(h, "True");
    return h->fortran || take(h, "False");
}

static bool read_shape(header *h)
{
    if (!take(h, "(")) return false;
    while (!take(h, ")")) {
        if (h->rank == ROB_NPY_RANK || !take_integer(h, &h->dim[h->rank])) return false;
        h->rank++;
        if (!take(h, ",")) return take(h, ")");
    }
    return true;
}

static bool read_header(header *h)
{
    static const char *const key[3] = { "'descr'", "'fortran_order'", "'shape'" };
    static bool (*const read[3])(header *) = { read_descr, read_order, read_shape };
    if (!take(h, "{")) return false;
    while (!take(h, "}")) {
        int k = 0;
        while (k < 3 && !take(h, key[k])) k++;
        if (k == 3 || h->seen[k] || !take(h, ":") || !read[k](h)) return false;
        h->seen[k] = true;
        if (!take(h, ",") && !take(h, "}")) return false;
        if (h->at[-1] == '}') break;
    }
    take(h, "");
    return h->at == h->end && h->seen[0] && h->seen[1] && h->seen[2];
}

/* ---- the numbers ----------------------------------------------------------------- */

static double number_at(const header *h, const uint8_t *at)
{
    uint64_t word = rob_priv_io_word(at, h->size, h->big_endian);
    int32_t unused = 64 - 8 * h->size;
    if (h->kind == 'f' && h->size == 8) return rob_priv_io_f64(word);
    if (h->kind == 'f') return (double)rob_priv_io_f32((uint32_t)word);
    if (h->kind == 'u') return (double)word;
    if (h->kind == 'b') return word != 0 ? 1.0 : 0.0;
    uint64_t sign = (uint64_t)1 << (63 - unused);
    return word & sign ? -(double)((~word & (sign - 1)) + 1) : (double)word;
}

/* Row-major place of the file's element k. */
static int64_t place_of(const header *h, int64_t k)
{
    if (!h->fortran) return k;
    int64_t place = 0, stride = 1, index[ROB_NPY_RANK];
    for (int32_t i = 0; i < h->rank; i++) {
        index[i] = k % h->dim[i];
        k /= h->dim[i];
    }
    for (int32_t i = h->rank - 1; i >= 0; i--) {
        place += index[i] * stride;
        stride *= h->dim[i];
    }
    return place;
}

static bool size_of_array(const header *h, int64_t bytes, int64_t *out)
{
    int64_t size = 1, needed;
    for (int32_t i = 0; i < h->rank; i++)
        if (__builtin_mul_overflow(size, h->dim[i], &size)) return false;
    *out = size;
    return !__builtin_mul_overflow(size, (int64_t)h->size, &needed) && needed == bytes;
}

/* Integers of 8 bytes that a double cannot hold. */
static bool is_beyond(const header *h, const uint8_t *at)
{
    const uint64_t most = (uint64_t)1 << 53;
    if (h->kind == 'f' || h->size < 8) return false;
    uint64_t word = rob_priv_io_word(at, 8, h->big_endian);
    if (h->kind == 'i' && word >> 63) word = ~word + 1;
    return word > most;
}

static rob_status take_numbers(rob_ctx *ctx, const header *h, const uint8_t *data,
                               const char *path, rob_array *a)
{
    for (int64_t k = 0; k < a->size; k++) {
        const uint8_t *at = data + k * h->size;
        if (is_beyond(h, at))
            return rob_priv_fail(ctx, ROB_EFORMAT,
                                 "'%.200s': integer number %lld is beyond "
                                 "2^53",
                                 path, (long long)k);
        a->at[place_of(h, k)] = number_at(h, at);
    }
    return ROB_OK;
}

static bool find_header(const uint8_t *bytes, int64_t count, header *h)
{
    if (!rob_priv_npy_is(bytes, count) || count < 12) return false;
    int32_t width = bytes[6] == 1 ? 2 : 4;
    uint64_t length = rob_priv_io_word(bytes + 8, width, false);
    if (bytes[6] < 1 || bytes[6] > 3 || length > HEADER_CAP) return false;
    if ((int64_t)length > count - 8 - width) return false;
    h->at = (const char *)bytes + 8 + width;
    h->end = h->at + length;
    return true;
}

rob_status rob_priv_npy_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, rob_array *out)
{
    rob_status status = ROB_OK;
    header h = { 0 };
    rob_array a = { 0 };
    *out = (rob_array){ 0 };
    CHECK(find_header(bytes, count, &h), ctx, ROB_EFORMAT,
          "'%.200s' is no NPY file of version 1 to 3, or is cut short", path);
    CHECK(read_header(&h), ctx, ROB_EFORMAT,
          "'%.200s': NPY header near byte %lld not understood; a shape of at most %d "
          "dimensions and descr f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 are",
          path, (long long)((const uint8_t *)h.at - bytes), (int)ROB_NPY_RANK);
    int64_t bytes_of_data = count - ((const uint8_t *)h.end - bytes);
    CHECK(size_of_array(&h, bytes_of_data, &a.size), ctx, ROB_EFORMAT,
          "'%.200s': %lld bytes of data do not fit the shape", path,
          (long long)bytes_of_data);
    a.rank = h.rank;
    memcpy(a.dim, h.dim, sizeof a.dim);
    a.at =
        rob_priv_allocate(&ctx->memory, a.size > 0 ? a.size : 1, (int64_t)sizeof *a.at);
    if (a.at == NULL) return rob_priv_no_memory(ctx);
    TRY(take_numbers(ctx, &h, (const uint8_t *)h.end, path, &a));
    *out = a;
done:
    if (status < ROB_OK) rob_priv_release(&ctx->memory, a.at);
    return status;
}
