/* file.c -- whole files in and out of memory, bounded; little- and big-endian words.
 *
 * Not mapped: a mapped file that another process cuts short kills the reader with
 * SIGBUS, which a library must not risk. A regular file is read in one piece of its own
 * size; what has no size (a pipe) grows by doubling up to ROB_IO_PIPE_CAP.
 * A word of n bytes b_0 ... is sum_k b_k 256^k, little-endian, or with k counted from
 * the end, big-endian.
 */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_PIECE = 1 << 16, PATH_CAP = 4096 };

static rob_status system_said_no(rob_ctx *ctx, const char *what, const char *path)
{
    char reason[128];
    int code = errno;
    if (strerror_r(code, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", code);
    return rob_priv_fail(ctx, ROB_EIO, "cannot %s '%.300s': %s", what, path, reason);
}

/* Bytes read, at most `count`; -1 with errno on failure. */
static int64_t read_fully(int file, uint8_t *at, int64_t count)
{
    int64_t done = 0;
    while (done < count) {
        int64_t piece = count - done < (1 << 30) ? count - done : (1 << 30);
        ssize_t n = read(file, at + done, (size_t)piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += n;
    }
    return done;
}

static rob_status read_sized(rob_ctx *ctx, int file, const char *path, int64_t size,
                             rob_bytes *out)
{
    out->at = rob_priv_allocate(&ctx->memory, size + 1, 1);
    if (out->at == NULL) return rob_priv_no_memory(ctx);
    out->count = read_fully(file, out->at, size);
    if (out->count < 0) return system_said_no(ctx, "read", path);
    out->at[out->count] = 0;
    return ROB_OK;
}

static rob_status read_growing(rob_ctx *ctx, int file, const char *path, int64_t cap,
                               rob_bytes *out)
{
    int64_t room = 0, n;
    do {
        if (out->count == cap)
            return rob_priv_fail(ctx, ROB_EFORMAT,
                                 "'%.300s' gives more than %lld bytes", path,
                                 (long long)cap);
        int64_t more = room > 0 ? 2 * room : FIRST_PIECE;
        if (more > cap) more = cap;
        uint8_t *at = rob_priv_grow(&ctx->memory, out->at, out->count, more + 1, 1);
        if (at == NULL) return rob_priv_no_memory(ctx);
        out->at = at;
        room = more;
        n = read_fully(file, at + out->count, room - out->count);
        if (n < 0) return system_said_no(ctx, "read", path);
        out->count += n;
    } while (out->count == room);
    return ROB_OK;
}

static rob_status read_open(rob_ctx *ctx, int file, const char *path, int64_t cap,
                            rob_bytes *out)
{
    struct stat about;
    if (fstat(file, &about) != 0) return system_said_no(ctx, "read", path);
    if (S_ISDIR(about.st_mode)) {
        errno = EISDIR;
        return system_said_no(ctx, "read", path);
    }
    if (!S_ISREG(about.st_mode))
        return read_growing(ctx, file, path,
                            cap < ROB_IO_PIPE_CAP ? cap : ROB_IO_PIPE_CAP, out);
    if (about.st_size > cap)
        return rob_priv_fail(ctx, ROB_EFORMAT,
                             "'%.300s' has %lld bytes; at most %lld are read", path,
                             (long long)about.st_size, (long long)cap);
    return read_sized(ctx, file, path, about.st_size, out);
}

rob_status rob_priv_io_read(rob_ctx *ctx, const char *path, int64_t cap, rob_bytes *out)
{
    *out = (rob_bytes){ 0 };
    if (path == NULL) return rob_priv_fail(ctx, ROB_EARGUMENT, "path is NULL");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return system_said_no(ctx, "open", path);
    rob_status status = read_open(ctx, file, path, cap, out);
    close(file);
    if (status < ROB_OK) rob_priv_io_release(&ctx->memory, out);
    return status;
}

/* ---- in pieces ------------------------------------------------------------------- */

rob_status rob_priv_io_open(rob_ctx *ctx, const char *path, int32_t *file, int64_t *size)
{
    struct stat about;
    *size = -1;
    if (path == NULL) return rob_priv_fail(ctx, ROB_EARGUMENT, "path is NULL");
    *file = open(path, O_RDONLY | O_CLOEXEC);
    if (*file < 0) return system_said_no(ctx, "open", path);
    if (fstat(*file, &about) == 0) {
        if (S_ISREG(about.st_mode)) *size = about.st_size;
        return ROB_OK;
    }
    rob_status status = system_said_no(ctx, "read", path);
    close(*file);
    return status;
}

rob_status rob_priv_io_piece(rob_ctx *ctx, int32_t file, const char *path, int64_t from,
                             uint8_t *at, int64_t count)
{
    for (int64_t done = 0; done < count;) {
        int64_t left = count - done;
        ssize_t n = pread(file, at + done, (size_t)(left < (1 << 30) ? left : 1 << 30),
                          from + done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_said_no(ctx, "read", path);
        if (n == 0)
            return rob_priv_fail(ctx, ROB_EIO, "'%.300s' became shorter while it was read",
                                 path);
        done += n;
    }
    return ROB_OK;
}

void rob_priv_io_close(int32_t file) { close(file); }

void rob_priv_io_release(const rob_memory *m, rob_bytes *bytes)
{
    rob_priv_release(m, bytes->at);
    *bytes = (rob_bytes){ 0 };
}

static bool write_fully(int file, const rob_bytes *part)
{
    for (int64_t done = 0; done < part->count;) {
        int64_t left = part->count - done;
        ssize_t n =
            write(file, part->at + done, (size_t)(left < (1 << 30) ? left : 1 << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += n;
    }
    return true;
}

static bool write_parts(int file, const rob_bytes *parts, int64_t count)
{
    bool good = true;
    for (int64_t i = 0; i < count && good; i++) good = write_fully(file, &parts[i]);
    int code = errno;
    if (close(file) != 0) return false;
    errno = code;
    return good;
}

rob_status rob_priv_io_write(rob_ctx *ctx, const char *path, const rob_bytes *parts,
                             int64_t count)
{
    char part[PATH_CAP];
    if (path == NULL) return rob_priv_fail(ctx, ROB_EARGUMENT, "path is NULL");
    if (strlen(path) + sizeof ".part" > sizeof part)
        return rob_priv_fail(ctx, ROB_EARGUMENT, "path has more than %d characters",
                             PATH_CAP - 8);
    snprintf(part, sizeof part, "%s.part", path);
    int file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) return system_said_no(ctx, "write", path);
    if (write_parts(file, parts, count) && rename(part, path) == 0) return ROB_OK;
    rob_status status = system_said_no(ctx, "write", path);
    unlink(part);
    return status;
}

uint64_t rob_priv_io_word(const uint8_t *at, int32_t size, bool big_endian)
{
    uint64_t word = 0;
    for (int32_t k = 0; k < size; k++)
        word |= (uint64_t)at[big_endian ? size - 1 - k : k] << (8 * k);
    return word;
}

double rob_priv_io_f64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float rob_priv_io_f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
