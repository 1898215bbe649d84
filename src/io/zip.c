/* zip.c -- the arrays of an NPZ file: a zip archive whose members are NPY files.
 *
 *     file = (local header | data)* | entry* | end
 *
 * The end says where the entries are, an entry where its local header is and how long
 * its data are, packed and unpacked. Everything is checked against the file's size, and
 * the unpacked size against what a compressed file may become, before a byte is
 * unpacked; checksums are checked. Members beyond 4 GB (zip64), encrypted ones and
 * methods other than 0 and 8 are refused, members that are no NPY passed over. zlib
 * does not read archives, and this much of the format needs no library.
 * Reference: PKWARE, APPNOTE 6.3.
 */
#include "io/formats.h"

#include <string.h>

enum {
    END_SIZE = 22,
    ENTRY_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_CAP = 65535,
    STORED = 0,
    DEFLATED = 8
};
static const uint32_t END_MARK = 0x06054b50, ENTRY_MARK = 0x02014b50,
                      LOCAL_MARK = 0x04034b50;

static uint32_t u32(const uint8_t *at)
{
    return (uint32_t)rob_priv_io_word(at, 4, false);
}

static int64_t i16(const uint8_t *at)
{
    return (int64_t)rob_priv_io_word(at, 2, false);
}
static int64_t i32(const uint8_t *at) { return (int64_t)u32(at); }

bool rob_priv_zip_is(const uint8_t *bytes, int64_t count)
{
    return count >= 4 && (u32(bytes) == LOCAL_MARK || u32(bytes) == END_MARK);
}

/* One opening. */
typedef struct archive {
    rob_ctx *ctx;
    const char *path;
    const uint8_t *bytes, *entry, *end; /* the next entry, the end's mark */
    int64_t entries;
} archive;

static rob_status damaged(const archive *a, const char *what)
{
    return rob_priv_fail(a->ctx, ROB_EFORMAT, "'%.200s' is no NPZ file: %s", a->path,
                         what);
}

static rob_status find_end(archive *a, int64_t count)
{
    int64_t at = count - END_SIZE, last = at - COMMENT_CAP;
    while (at >= 0 && at >= last
           && (u32(a->bytes + at) != END_MARK
               || at + END_SIZE + i16(a->bytes + at + 20) != count))
        at--;
    if (at < 0 || at < last) return damaged(a, "it has no end of a zip archive");
    a->end = a->bytes + at;
    a->entries = i16(a->end + 10);
    const int64_t size = i32(a->end + 12), from = i32(a->end + 16);
    if (a->entries == 0xffff || size == 0xffffffff || from == 0xffffffff)
        return damaged(a, "zip64 archives are not read");
    if (from + size > at || a->entries > ROB_ZIP_MEMBERS || a->entries < 1)
        return damaged(a, "its directory does not fit");
    a->entry = a->bytes + from;
    return ROB_OK;
}

static rob_status find_data(const archive *a, const uint8_t *entry, rob_member *m)
{
    const int64_t room = a->entry - a->bytes - i32(entry + 42) - LOCAL_SIZE;
    const uint8_t *local = room >= 0 ? a->bytes + i32(entry + 42) : NULL;
    if (local == NULL || u32(local) != LOCAL_MARK)
        return damaged(a, "a member's local header is not where its entry says");
    const int64_t names = i16(local + 26) + i16(local + 28);
    if (names + m->packed > room) return damaged(a, "a member ends beyond the file");
    m->at = local + LOCAL_SIZE + names;
    return ROB_OK;
}

/* "x.npy" becomes "x"; false: no NPY. */
static bool take_name(const uint8_t *at, int64_t length, rob_member *m)
{
    if (length < 5 || length - 4 >= (int64_t)sizeof m->name) return false;
    if (memcmp(at + length - 4, ".npy", 4) != 0 || memchr(at, 0, (size_t)length))
        return false;
    memcpy(m->name, at, (size_t)length - 4);
    return true;
}

static rob_status read_entry(archive *a, const uint8_t *entry, rob_zip *zip)
{
    rob_status status = ROB_OK;
    rob_member m = { .method = (int32_t)i16(entry + 10),
                     .check = u32(entry + 16),
                     .packed = i32(entry + 20),
                     .count = i32(entry + 24) };
    if (!take_name(entry + ENTRY_SIZE, i16(entry + 28), &m)) return ROB_OK;
    if (i16(entry + 8) & 1) return damaged(a, "a member is encrypted");
    if (m.packed == 0xffffffff || m.count == 0xffffffff)
        return damaged(a, "zip64 members are not read");
    if (m.method != STORED && m.method != DEFLATED)
        return damaged(a, "a member is packed by another method than deflate");
    if (m.method == STORED ? m.packed != m.count
                           : m.count > rob_priv_inflate_cap(m.packed))
        return damaged(a, "a member is larger than its packed size allows");
    TRY(find_data(a, entry, &m));
    zip->member[zip->members++] = m;
done:
    return status;
}

rob_status rob_priv_zip_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                             const char *path, rob_zip *out)
{
    rob_status status = ROB_OK;
    archive a = { .ctx = ctx, .path = path, .bytes = bytes };
    out->path = path;
    out->members = 0;
    TRY(find_end(&a, count));
    const uint8_t *at = a.entry;
    for (int64_t k = 0; k < a.entries; k++) {
        if (a.end - at < ENTRY_SIZE || u32(at) != ENTRY_MARK)
            return damaged(&a, "its directory is cut short");
        int64_t size = ENTRY_SIZE + i16(at + 28) + i16(at + 30) + i16(at + 32);
        if (a.end - at < size) return damaged(&a, "its directory is cut short");
        TRY(read_entry(&a, at, out));
        at += size;
    }
    if (out->members == 0) return damaged(&a, "it holds no NPY array");
done:
    return status;
}

/* CRC-32 of IEEE 802.3, four bits at a time: the remainder of the message modulo
 * x^32 + x^26 + x^23 + ... + 1, bits reversed. */
static uint32_t checksum(const uint8_t *bytes, int64_t count)
{
    uint32_t table[16], sum = 0xffffffffu;
    for (uint32_t k = 0; k < 16; k++) {
        table[k] = k;
        for (int bit = 0; bit < 4; bit++)
            table[k] = table[k] >> 1 ^ (table[k] & 1 ? 0xedb88320u : 0);
    }
    for (int64_t i = 0; i < count; i++) {
        sum ^= bytes[i];
        sum = sum >> 4 ^ table[sum & 15];
        sum = sum >> 4 ^ table[sum & 15];
    }
    return ~sum;
}

rob_status rob_priv_zip_read(rob_ctx *ctx, const rob_zip *zip, const rob_member *m,
                             rob_bytes *out)
{
    rob_status status = ROB_OK;
    rob_bytes bytes = { 0 };
    *out = bytes;
    if (m->method == DEFLATED) {
        TRY(rob_priv_inflate(ctx, m->at, m->packed, m->count, zip->path, &bytes));
    } else {
        bytes.at = rob_priv_allocate(&ctx->memory, m->count + 1, 1);
        if (bytes.at == NULL) return rob_priv_no_memory(ctx);
        bytes.count = m->count;
        memcpy(bytes.at, m->at, (size_t)m->count);
    }
    CHECK(checksum(bytes.at, bytes.count) == m->check, ctx, ROB_EFORMAT,
          "'%.200s': array '%s' does not have its checksum", zip->path, m->name);
    *out = bytes;
    bytes.at = NULL;
done:
    rob_priv_release(&ctx->memory, bytes.at);
    return status;
}
