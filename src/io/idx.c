/* idx.c -- arrays in the format of the MNIST files.
 *
 *     file = 0 0 kind rank | d_1 ... d_rank (4 bytes each) | data
 *     kind = 08 u1, 09 i1, 0B i2, 0C i4, 0D f4, 0E f8
 *
 * All big-endian, the last index fastest. Rows are handed out one by one, so the array
 * never exists as doubles. Too small for a library of its own, and there is none.
 * Reference: LeCun, Cortes and Burges, The MNIST database of handwritten digits.
 */
#include "io/formats.h"

#include <string.h>

static double from_u1(uint64_t w) { return (double)w; }
static double from_i1(uint64_t w) { return (double)(int8_t)w; }
static double from_i2(uint64_t w) { return (double)(int16_t)w; }
static double from_i4(uint64_t w) { return (double)(int32_t)w; }
static double from_f4(uint64_t w) { return (double)rob_priv_io_f32((uint32_t)w); }
static double from_f8(uint64_t w) { return rob_priv_io_f64(w); }

static const struct kind {
    uint8_t code;
    int32_t size;
    double (*number)(uint64_t word);
} KINDS[] = {
    { 0x08, 1, from_u1 }, { 0x09, 1, from_i1 }, { 0x0b, 2, from_i2 },
    { 0x0c, 4, from_i4 }, { 0x0d, 4, from_f4 }, { 0x0e, 8, from_f8 },
};

static int32_t find_kind(uint8_t code)
{
    for (int32_t k = 0; k < COUNT_OF(KINDS); k++)
        if (KINDS[k].code == code) return k;
    return -1;
}

bool rob_priv_idx_is(const uint8_t *bytes, int64_t count)
{
    return count >= 4 && bytes[0] == 0 && bytes[1] == 0 && find_kind(bytes[2]) >= 0
           && bytes[3] >= 1;
}

/* Bytes the shape needs; false: more than an int64 can say. */
static bool size_up(const uint8_t *bytes, rob_idx *idx, int64_t *needed)
{
    *needed = KINDS[idx->kind].size;
    idx->width = 1;
    for (int32_t k = 0; k < idx->rank; k++) {
        idx->dim[k] = (int64_t)rob_priv_io_word(bytes + 4 + 4 * k, 4, true);
        if (__builtin_mul_overflow(*needed, idx->dim[k], needed)) return false;
        if (k > 0 && __builtin_mul_overflow(idx->width, idx->dim[k], &idx->width))
            return false;
    }
    idx->rows = idx->dim[0];
    return true;
}

rob_status rob_priv_idx_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                             const char *path, rob_idx *out)
{
    rob_status status = ROB_OK;
    rob_idx idx = { 0 };
    int64_t needed = 0, header;
    CHECK(rob_priv_idx_is(bytes, count), ctx, ROB_EFORMAT, "'%.200s' is no IDX file",
          path);
    idx.rank = bytes[3];
    idx.kind = find_kind(bytes[2]);
    CHECK(idx.rank <= ROB_IDX_RANK, ctx, ROB_EFORMAT,
          "'%.200s': an IDX file of %d dimensions; at most %d are read", path,
          (int)idx.rank, (int)ROB_IDX_RANK);
    header = 4 + 4 * idx.rank;
    CHECK(count >= header, ctx, ROB_EFORMAT, "'%.200s': its IDX header is cut short",
          path);
    CHECK(size_up(bytes, &idx, &needed) && needed == count - header, ctx, ROB_EFORMAT,
          "'%.200s': %lld bytes of data do not fit the shape of its IDX header", path,
          (long long)(count - header));
    idx.at = bytes + header;
    *out = idx;
done:
    return status;
}

void rob_priv_idx_row(const rob_idx *idx, int64_t row, double *out)
{
    const struct kind *kind = &KINDS[idx->kind];
    const uint8_t *at = idx->at + row * idx->width * kind->size;
    for (int64_t k = 0; k < idx->width; k++, at += kind->size)
        out[k] = kind->number(rob_priv_io_word(at, kind->size, true));
}
