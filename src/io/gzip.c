/* gzip.c -- deflate streams unpacked in memory, bounded: gzip files, members of NPZ.
 *
 *     gzip = member member ...,  member = header | deflate stream | CRC-32 | length
 *
 * zlib does it, with the context's memory. A file of n bytes becomes at most
 * ROB_INFLATE_BASE + ROB_INFLATE_FACTOR n: the room doubles as the stream goes on,
 * never by what a header promises, so a bomb is refused at the price of that bound.
 * Reference: RFC 1951, RFC 1952.
 */
#include "io/formats.h"

#include <string.h>

bool rob_priv_gzip_is(const uint8_t *bytes, int64_t count)
{
    return count >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

int64_t rob_priv_inflate_cap(int64_t packed)
{
    int64_t cap = ROB_INFLATE_BASE + ROB_INFLATE_FACTOR * packed;
    return cap < ROB_IO_FILE_CAP ? cap : ROB_IO_FILE_CAP;
}

#ifdef ROB_HAS_ZLIB
#define ZLIB_CONST
#include <zlib.h>

enum { FIRST_ROOM = 1 << 16, ONE_TURN = 1 << 30, GZIP_WINDOW = 31, RAW_WINDOW = -15 };

/* One unpacking. */
typedef struct unpacking {
    rob_ctx *ctx;
    const char *path;
    z_stream stream;
    const uint8_t *from, *end; /* not yet handed to zlib */
    rob_bytes to;
    int64_t room, cap;
} unpacking;

static void *take_memory(void *user, unsigned count, unsigned size)
{
    return rob_priv_allocate(user, (int64_t)count, (int64_t)size);
}

static void give_memory(void *user, void *p) { rob_priv_release(user, p); }

static rob_status make_room(unpacking *u)
{
    rob_status status = ROB_OK;
    if (u->to.count < u->room) return ROB_OK;
    CHECK(u->room < u->cap, u->ctx, ROB_EFORMAT,
          "'%.200s' unpacks to more than %lld bytes; unpack it first if that is meant",
          u->path, (long long)u->cap);
    int64_t room = u->room > 0 ? 2 * u->room : FIRST_ROOM;
    if (room > u->cap) room = u->cap;
    uint8_t *at = rob_priv_grow(&u->ctx->memory, u->to.at, u->to.count, room + 1, 1);
    if (at == NULL) return rob_priv_no_memory(u->ctx);
    u->to.at = at;
    u->room = room;
done:
    return status;
}

static unsigned at_most_one_turn(int64_t count)
{
    return (unsigned)(count < ONE_TURN ? count : ONE_TURN);
}

/* zlib's verdict on the next piece. */
static int inflate_piece(unpacking *u)
{
    const int64_t room = u->room - u->to.count;
    z_stream *z = &u->stream;
    z->next_in = u->from;
    z->avail_in = at_most_one_turn(u->end - u->from);
    z->next_out = u->to.at + u->to.count;
    z->avail_out = at_most_one_turn(room);
    int said = inflate(z, Z_NO_FLUSH);
    u->from = z->next_in;
    u->to.count = z->next_out - u->to.at;
    return said;
}

static rob_status inflate_member(unpacking *u)
{
    rob_status status = ROB_OK;
    int said;
    do {
        TRY(make_room(u));
        said = inflate_piece(u);
        if (said == Z_MEM_ERROR) return rob_priv_no_memory(u->ctx);
        CHECK(said == Z_OK || said == Z_STREAM_END
                  || (said == Z_BUF_ERROR && u->from < u->end),
              u->ctx, ROB_EFORMAT, "'%.200s': compressed data are %s", u->path,
              u->from == u->end ? "cut short" : "damaged");
    } while (said != Z_STREAM_END);
    inflateReset(&u->stream);
done:
    return status;
}

/* Blocks of zeros may follow the last member (tapes). */
static bool only_zeros(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at == 0) at++;
    return at == end;
}

static rob_status open_stream(unpacking *u, int window)
{
    u->stream.zalloc = take_memory;
    u->stream.zfree = give_memory;
    u->stream.opaque = &u->ctx->memory;
    return inflateInit2(&u->stream, window) == Z_OK ? ROB_OK
                                                    : rob_priv_no_memory(u->ctx);
}

rob_status rob_priv_gzip_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, rob_bytes *out)
{
    rob_status status = ROB_OK;
    unpacking u = { .ctx = ctx,
                    .path = path,
                    .from = bytes,
                    .end = bytes + count,
                    .cap = rob_priv_inflate_cap(count) };
    *out = (rob_bytes){ 0 };
    TRY(open_stream(&u, GZIP_WINDOW));
    do TRY(inflate_member(&u));
    while (!only_zeros(u.from, u.end));
    u.to.at[u.to.count] = 0;
    *out = u.to;
done:
    inflateEnd(&u.stream);
    if (status < ROB_OK) rob_priv_release(&ctx->memory, u.to.at);
    return status;
}

rob_status rob_priv_inflate(rob_ctx *ctx, const uint8_t *bytes, int64_t packed,
                            int64_t count, const char *path, rob_bytes *out)
{
    rob_status status = ROB_OK;
    /* one byte more than promised has room, so that a longer stream shows */
    unpacking u = {
        .ctx = ctx, .path = path, .from = bytes, .end = bytes + packed, .cap = count + 1
    };
    *out = (rob_bytes){ 0 };
    TRY(open_stream(&u, RAW_WINDOW));
    TRY(inflate_member(&u));
    CHECK(u.to.count == count && u.from == u.end, ctx, ROB_EFORMAT,
          "'%.200s': a packed array does not have the size its archive says", path);
    *out = u.to;
done:
    inflateEnd(&u.stream);
    if (status < ROB_OK) rob_priv_release(&ctx->memory, u.to.at);
    return status;
}

#else

static rob_status no_zlib(rob_ctx *ctx, const char *path, const char *what)
{
    return rob_priv_fail(ctx, ROB_EUNSUPPORTED,
                         "'%.200s' is %s; this library was built without zlib (package "
                         "zlib1g-dev)",
                         path, what);
}

rob_status rob_priv_gzip_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, rob_bytes *out)
{
    (void)bytes, (void)count;
    *out = (rob_bytes){ 0 };
    return no_zlib(ctx, path, "gzip");
}

rob_status rob_priv_inflate(rob_ctx *ctx, const uint8_t *bytes, int64_t packed,
                            int64_t count, const char *path, rob_bytes *out)
{
    (void)bytes, (void)packed, (void)count;
    *out = (rob_bytes){ 0 };
    return no_zlib(ctx, path, "NPZ");
}

#endif
