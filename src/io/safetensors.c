/* safetensors.c -- the header of a safetensors file, checked whole.
 *
 *     file = n as 8 bytes little-endian | header, n bytes of JSON | data
 *     header = { "name": {"dtype": "F32", "shape": [..], "data_offsets": [b, e]}, ...,
 *                "__metadata__": {"key": "value", ...} }
 *
 * Accepted when  e - b = prod(shape) * size(dtype)  for every tensor (overflow refused)
 * and the intervals [b, e), sorted, tile [0, bytes of data) without hole or overlap.
 * Of a file only the header is read here; tensor.c reads each tensor where it shall
 * stay, so loading needs the weights' own memory once.
 * Reference: the format description of the safetensors project, version 0.4.
 */
#include "io/io.h"
#include "io/json.h"

#include <string.h>

enum { HEADER_CAP = 1 << 24, NAME_CAP = 200 };

typedef struct dtype_size {
    const char name[8];
    int64_t bytes;
} dtype_size;

static const dtype_size SIZES[] = {
    { "F64", 8 }, { "F32", 4 }, { "F16", 2 },  { "BF16", 2 }, { "I64", 8 },
    { "I32", 4 }, { "I16", 2 }, { "I8", 1 },   { "U64", 8 },  { "U32", 4 },
    { "U16", 2 }, { "U8", 1 },  { "BOOL", 1 },
};

/* One reading: the scanner, what is being filled, and how the source is called. */
typedef struct reading {
    rob_ctx *ctx;
    const char *path;
    const uint8_t *header;
    rob_json json;
    rob_safetensors *out;
    int64_t entry_room, note_room;
} reading;

static rob_status malformed(reading *r)
{
    return rob_priv_fail(r->ctx, ROB_EFORMAT, "'%.200s': header byte %lld: expected %s",
                         r->path, (long long)(r->json.at - r->header),
                         r->json.expected != NULL ? r->json.expected : "another token");
}

static int64_t size_of_dtype(const char *dtype)
{
    for (int64_t i = 0; i < COUNT_OF(SIZES); i++)
        if (strcmp(SIZES[i].name, dtype) == 0) return SIZES[i].bytes;
    return 0;
}

/* ---- __metadata__ ---------------------------------------------------------------- */

static rob_status add_note(reading *r, const char *key, const char *value)
{
    rob_safetensors *s = r->out;
    if (s->notes == ROB_SAFETENSORS_NOTES)
        return rob_priv_fail(r->ctx, ROB_EFORMAT,
                             "'%.200s': more than %d metadata keys", r->path,
                             (int)ROB_SAFETENSORS_NOTES);
    if (s->notes == r->note_room) {
        int64_t room = 2 * r->note_room + 8;
        rob_note *note =
            rob_priv_grow(&s->memory, s->note, s->notes, room, (int64_t)sizeof *note);
        if (note == NULL) return rob_priv_no_memory(r->ctx);
        s->note = note;
        r->note_room = room;
    }
    s->note[s->notes++] = (rob_note){ key, value };
    return ROB_OK;
}

static rob_status read_note(reading *r)
{
    const char *key = rob_priv_json_string(&r->json);
    rob_priv_json_mark(&r->json, ':');
    const char *value = rob_priv_json_string(&r->json);
    if (value == NULL) return malformed(r);
    if (rob_priv_safetensors_note(r->out, key) != NULL)
        return rob_priv_fail(r->ctx, ROB_EFORMAT,
                             "'%.200s': metadata key '%.80s' twice", r->path, key);
    return add_note(r, key, value);
}

static rob_status read_metadata(reading *r)
{
    rob_status status = ROB_OK;
    if (r->out->notes > 0)
        return rob_priv_fail(r->ctx, ROB_EFORMAT, "'%.200s': __metadata__ twice",
                             r->path);
    if (!rob_priv_json_mark(&r->json, '{')) return malformed(r);
    if (rob_priv_json_if(&r->json, '}')) return ROB_OK;
    do {
        status = read_note(r);
    } while (status == ROB_OK && rob_priv_json_if(&r->json, ','));
    if (status < ROB_OK) return status;
    return rob_priv_json_mark(&r->json, '}') ? ROB_OK : malformed(r);
}

/* ---- one tensor ------------------------------------------------------------------ */

static bool read_shape(rob_json *j, rob_entry *e)
{
    if (!rob_priv_json_mark(j, '[')) return false;
    if (rob_priv_json_if(j, ']')) return true;
    do {
        if (e->rank == ROB_SAFETENSORS_RANK) {
            j->expected = "at most 8 dimensions";
            return false;
        }
        if (!rob_priv_json_integer(j, &e->dim[e->rank])) return false;
        e->rank++;
    } while (rob_priv_json_if(j, ','));
    return rob_priv_json_mark(j, ']');
}

static bool read_dtype(rob_json *j, rob_entry *e)
{
    const char *dtype = rob_priv_json_string(j);
    if (dtype == NULL) return false;
    if (size_of_dtype(dtype) == 0) {
        j->expected = "a known dtype";
        return false;
    }
    memcpy(e->dtype, dtype, strlen(dtype) + 1);
    return true;
}

static bool read_offsets(rob_json *j, rob_entry *e)
{
    return rob_priv_json_mark(j, '[') && rob_priv_json_integer(j, &e->begin)
           && rob_priv_json_mark(j, ',') && rob_priv_json_integer(j, &e->end)
           && rob_priv_json_mark(j, ']');
}

/* The three fields in any order, each once. */
static bool read_fields(rob_json *j, rob_entry *e)
{
    static const char *const name[3] = { "dtype", "shape", "data_offsets" };
    static bool (*const read[3])(rob_json *, rob_entry *) = { read_dtype, read_shape,
                                                              read_offsets };
    bool seen[3] = { false, false, false };
    if (!rob_priv_json_mark(j, '{')) return false;
    do {
        const char *field = rob_priv_json_string(j);
        if (!rob_priv_json_mark(j, ':')) return false;
        int k = 0;
        while (k < 3 && strcmp(field, name[k]) != 0) k++;
        if (k == 3 || seen[k]) {
            j->expected = "dtype, shape and data_offsets, each once";
            return false;
        }
        seen[k] = true;
        if (!read[k](j, e)) return false;
    } while (rob_priv_json_if(j, ','));
    if (!rob_priv_json_mark(j, '}')) return false;
    if (seen[0] && seen[1] && seen[2]) return true;
    j->expected = "dtype, shape and data_offsets, each once";
    return false;
}

static rob_status check_extent(reading *r, const rob_entry *e)
{
    int64_t size = size_of_dtype(e->dtype);
    bool fits = true;
    for (int32_t i = 0; i < e->rank && fits; i++)
        fits = !__builtin_mul_overflow(size, e->dim[i], &size);
    if (fits && e->begin <= e->end && e->end <= r->out->bytes
        && e->end - e->begin == size)
        return ROB_OK;
    return rob_priv_fail(
        r->ctx, ROB_EFORMAT,
        "'%.150s': tensor '%.100s' has offsets %lld to %lld; its shape "
        "needs %lld bytes and the file holds %lld",
        r->path, e->name, (long long)e->begin, (long long)e->end,
        (long long)(fits ? size : -1), (long long)r->out->bytes);
}

static rob_status add_entry(reading *r, const rob_entry *e)
{
    rob_safetensors *s = r->out;
    if (s->entries == ROB_SAFETENSORS_ENTRIES)
        return rob_priv_fail(r->ctx, ROB_EFORMAT, "'%.200s': more than %d tensors",
                             r->path, (int)ROB_SAFETENSORS_ENTRIES);
    if (s->entries == r->entry_room) {
        int64_t room = 2 * r->entry_room + 16;
        rob_entry *entry = rob_priv_grow(&s->memory, s->entry, s->entries, room,
                                         (int64_t)sizeof *entry);
        if (entry == NULL) return rob_priv_no_memory(r->ctx);
        s->entry = entry;
        r->entry_room = room;
    }
    s->entry[s->entries++] = *e;
    return ROB_OK;
}

static rob_status read_entry(reading *r, const char *name)
{
    rob_status status = ROB_OK;
    rob_entry e = { .name = name };
    CHECK(strlen(name) <= NAME_CAP, r->ctx, ROB_EFORMAT,
          "'%.200s': a tensor name has more than %d bytes", r->path, (int)NAME_CAP);
    CHECK(rob_priv_safetensors_find(r->out, name) == NULL, r->ctx, ROB_EFORMAT,
          "'%.200s': tensor '%.100s' twice", r->path, name);
    if (!read_fields(&r->json, &e)) return malformed(r);
    TRY(check_extent(r, &e));
    TRY(add_entry(r, &e));
done:
    return status;
}

/* ---- the whole header ------------------------------------------------------------ */

static rob_status read_member(reading *r)
{
    const char *name = rob_priv_json_string(&r->json);
    if (!rob_priv_json_mark(&r->json, ':')) return malformed(r);
    if (strcmp(name, "__metadata__") == 0) return read_metadata(r);
    return read_entry(r, name);
}

static rob_status read_header(reading *r)
{
    rob_status status = ROB_OK;
    if (!rob_priv_json_mark(&r->json, '{')) return malformed(r);
    if (!rob_priv_json_if(&r->json, '}')) {
        do {
            status = read_member(r);
        } while (status == ROB_OK && rob_priv_json_if(&r->json, ','));
        if (status < ROB_OK) return status;
        if (!rob_priv_json_mark(&r->json, '}')) return malformed(r);
    }
    return rob_priv_json_end(&r->json) ? ROB_OK : malformed(r);
}

/* By offset, so that neighbours can be compared; files are nearly always in order. */
static void sort_entries(rob_entry *entry, int64_t count)
{
    for (int64_t i = 1; i < count; i++) {
        rob_entry moving = entry[i];
        int64_t k = i;
        for (; k > 0
               && (entry[k - 1].begin > moving.begin
                   || (entry[k - 1].begin == moving.begin
                       && entry[k - 1].end > moving.end));
             k--)
            entry[k] = entry[k - 1];
        entry[k] = moving;
    }
}

static rob_status check_tiling(reading *r)
{
    int64_t reached = 0;
    for (int64_t i = 0; i < r->out->entries; i++) {
        const rob_entry *e = &r->out->entry[i];
        if (e->begin != reached)
            return rob_priv_fail(
                r->ctx, ROB_EFORMAT,
                "'%.200s': tensor '%.100s' begins at byte %lld; the tensors "
                "before it end at %lld",
                r->path, e->name, (long long)e->begin, (long long)reached);
        reached = e->end;
    }
    if (reached == r->out->bytes) return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT,
                         "'%.200s': %lld bytes of data, tensors use %lld", r->path,
                         (long long)r->out->bytes, (long long)reached);
}

static rob_status check_length(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, int64_t *out)
{
    rob_status status = ROB_OK;
    uint64_t length = count >= 8 ? rob_priv_io_word(bytes, 8, false) : 0;
    CHECK(count >= 8, ctx, ROB_EFORMAT,
          "'%.200s' has %lld bytes; a safetensors file has at "
          "least 8",
          path, (long long)count);
    CHECK(
        length <= HEADER_CAP && (int64_t)length <= count - 8, ctx, ROB_EFORMAT,
        "'%.200s': no safetensors file: its header would have %llu bytes; the file has "
        "%lld and a header at most %d",
        path, (unsigned long long)length, (long long)count, (int)HEADER_CAP);
    *out = (int64_t)length;
done:
    return status;
}

/* `length` bytes of header, behind which s->bytes bytes of data stand. */
static rob_status parse_header(rob_ctx *ctx, const uint8_t *header, int64_t length,
                               const char *path, rob_safetensors *s)
{
    rob_status status = ROB_OK;
    s->text = rob_priv_allocate(&ctx->memory, length + 1, 1);
    if (s->text == NULL) return rob_priv_no_memory(ctx);
    reading r = { .ctx = ctx,
                  .path = path,
                  .header = header,
                  .out = s,
                  .json = { .at = header, .end = header + length, .text = s->text } };
    TRY(read_header(&r));
    sort_entries(s->entry, s->entries);
    TRY(check_tiling(&r));
done:
    return status;
}

rob_status rob_priv_safetensors_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                                      const char *path, rob_safetensors *out)
{
    rob_status status = ROB_OK;
    rob_safetensors s = { .memory = ctx->memory };
    int64_t length = 0;
    *out = (rob_safetensors){ 0 };
    TRY(check_length(ctx, bytes, count, path, &length));
    s.data = bytes + 8 + length;
    s.bytes = count - 8 - length;
    TRY(parse_header(ctx, bytes + 8, length, path, &s));
    *out = s;
done:
    if (status < ROB_OK) rob_priv_safetensors_clear(&s);
    return status;
}

/* ---- from a file ----------------------------------------------------------------- */

static rob_status open_whole(rob_ctx *ctx, const char *path, rob_safetensors *out)
{
    rob_status status = ROB_OK;
    rob_bytes whole;
    TRY(rob_priv_io_read(ctx, path, ROB_IO_FILE_CAP, &whole));
    status = rob_priv_safetensors_parse(ctx, whole.at, whole.count, path, out);
    if (status == ROB_OK) out->whole = whole;
    else rob_priv_io_release(&ctx->memory, &whole);
done:
    return status;
}

static rob_status open_header(rob_ctx *ctx, const char *path, int64_t size,
                              rob_safetensors *s)
{
    rob_status status = ROB_OK;
    uint8_t first[8] = { 0 }, *header = NULL;
    int64_t length = 0;
    TRY(rob_priv_io_piece(ctx, s->file, path, 0, first, size < 8 ? size : 8));
    TRY(check_length(ctx, first, size, path, &length));
    header = rob_priv_allocate(&ctx->memory, length + 1, 1);
    if (header == NULL) return rob_priv_no_memory(ctx);
    TRY(rob_priv_io_piece(ctx, s->file, path, 8, header, length));
    s->origin = 8 + length;
    s->bytes = size - s->origin;
    TRY(parse_header(ctx, header, length, path, s));
done:
    rob_priv_release(&ctx->memory, header);
    return status;
}

rob_status rob_priv_safetensors_open(rob_ctx *ctx, const char *path,
                                     rob_safetensors *out)
{
    rob_status status = ROB_OK;
    rob_safetensors s = { .path = path };
    int64_t size;
    *out = (rob_safetensors){ 0 };
    TRY(rob_priv_io_open(ctx, path, &s.file, &size));
    s.memory = ctx->memory;
    if (size < 0) {
        rob_priv_safetensors_clear(&s);
        return open_whole(ctx, path, out);
    }
    TRY(open_header(ctx, path, size, &s));
    *out = s;
done:
    if (status < ROB_OK) rob_priv_safetensors_clear(&s);
    return status;
}

void rob_priv_safetensors_clear(rob_safetensors *s)
{
    if (s->memory.release == NULL) return;
    if (s->path != NULL) rob_priv_io_close(s->file);
    rob_priv_io_release(&s->memory, &s->whole);
    rob_priv_release(&s->memory, s->entry);
    rob_priv_release(&s->memory, s->note);
    rob_priv_release(&s->memory, s->text);
    *s = (rob_safetensors){ 0 };
}

const rob_entry *rob_priv_safetensors_find(const rob_safetensors *s, const char *name)
{
    for (int64_t i = 0; i < s->entries; i++)
        if (strcmp(s->entry[i].name, name) == 0) return &s->entry[i];
    return NULL;
}

const char *rob_priv_safetensors_note(const rob_safetensors *s, const char *key)
{
    for (int64_t i = 0; i < s->notes; i++)
        if (strcmp(s->note[i].key, key) == 0) return s->note[i].value;
    return NULL;
}
