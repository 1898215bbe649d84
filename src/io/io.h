/* io.h -- bytes of files into numbers, and back.
 *
 * Every reader takes bytes in memory, is bounded (depth, counts and sizes have limits
 * that do not depend on the input) and refuses what it does not fully understand.
 * `path` only names the source in error lines.
 */
#ifndef ROB_IO_H
#define ROB_IO_H

#include "graph/graph.h"

/* ---- whole files ----------------------------------------------------------------- */

typedef struct rob_bytes {
    uint8_t *at;
    int64_t count;
} rob_bytes;

enum { ROB_IO_PIPE_CAP = 1 << 26 }; /* what is no regular file is read up to here */
#define ROB_IO_FILE_CAP ((int64_t)1 << 34)

/* All bytes of `path`; ROB_EIO names the path and the system's reason. More than `cap`
 * bytes: ROB_EFORMAT. One zero byte follows the last. */
rob_status rob_priv_io_read(rob_ctx *ctx, const char *path, int64_t cap,
                            rob_bytes *out);
void rob_priv_io_release(const rob_memory *m, rob_bytes *bytes);
/* A file to be read in pieces, and its size; -1 in *size: it is no regular file, and can
 * only be read whole. Close it with rob_priv_io_close. */
rob_status rob_priv_io_open(rob_ctx *ctx, const char *path, int32_t *file,
                            int64_t *size);
/* `count` bytes from byte `from` on, all of them or ROB_EIO. */
rob_status rob_priv_io_piece(rob_ctx *ctx, int32_t file, const char *path, int64_t from,
                             uint8_t *at, int64_t count);
void rob_priv_io_close(int32_t file);
/* Write the parts in order to path.part, then rename: the old file stays until the new
 * one is whole. */
rob_status rob_priv_io_write(rob_ctx *ctx, const char *path, const rob_bytes *parts,
                             int64_t count);
/* `size` bytes (1, 2, 4, 8) as an unsigned integer. */
uint64_t rob_priv_io_word(const uint8_t *at, int32_t size, bool big_endian);
double rob_priv_io_f64(uint64_t bits);
float rob_priv_io_f32(uint32_t bits);

/* ---- text being made ------------------------------------------------------------- */

typedef struct rob_text {
    char *at;
    int64_t count, capacity;
    bool failed;
} rob_text;

void rob_priv_text_add(const rob_memory *m, rob_text *t, const char *bytes,
                       int64_t count);
void rob_priv_text_string(const rob_memory *m, rob_text *t, const char *s);
void rob_priv_text_integer(const rob_memory *m, rob_text *t, int64_t value);

/* ---- safetensors ----------------------------------------------------------------- */

enum {
    ROB_SAFETENSORS_RANK = 8,
    ROB_SAFETENSORS_ENTRIES = 4096,
    ROB_SAFETENSORS_NOTES = 256
};

typedef struct rob_entry {
    const char *name;
    char dtype[8]; /* "F32", ... as written */
    int32_t rank;
    int64_t dim[ROB_SAFETENSORS_RANK];
    int64_t begin, end; /* bytes within data */
} rob_entry;

typedef struct rob_note {
    const char *key, *value;
} rob_note; /* of __metadata__ */

typedef struct rob_safetensors {
    rob_memory memory;
    rob_entry *entry;
    int64_t entries;
    rob_note *note;
    int64_t notes;
    char *text;          /* all strings, unescaped */
    const uint8_t *data; /* points into the bytes; NULL: read from file when asked */
    int64_t bytes;
    rob_bytes whole;     /* of what is no regular file */
    int32_t file;        /* with data NULL: where the data stand, from `origin` on */
    int64_t origin;
    const char *path;
} rob_safetensors;

/* Header checked whole: offsets cover the data exactly, without holes or overlap, and
 * agree with dtype and shape. `bytes` must outlive *out. */
rob_status rob_priv_safetensors_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                                      const char *path, rob_safetensors *out);
/* The same of a file, of which only the header is read: each tensor comes from it when
 * it is asked for, straight into its own memory. `path` must outlive *out. */
rob_status rob_priv_safetensors_open(rob_ctx *ctx, const char *path,
                                     rob_safetensors *out);
void rob_priv_safetensors_clear(rob_safetensors *s);
const rob_entry *rob_priv_safetensors_find(const rob_safetensors *s, const char *name);
const char *rob_priv_safetensors_note(const rob_safetensors *s, const char *key);
/* A new tensor: F32 and F64 as they are, F16 and BF16 widened to float32 (exact).
 * Others, rank above 4, NaN and Inf are refused. */
rob_status rob_priv_safetensors_tensor(rob_ctx *ctx, const rob_safetensors *s,
                                       const rob_entry *entry, rob_tensor **out);
/* Tensors under their names, then strings as __metadata__. */
rob_status rob_priv_safetensors_write(rob_ctx *ctx, const char *path,
                                      const char *const *names,
                                      rob_tensor *const *tensors, int64_t count,
                                      const rob_note *notes, int64_t note_count);

/* ---- NPY ------------------------------------------------------------------------- */

enum { ROB_NPY_RANK = 4 };
typedef struct rob_array {
    int32_t rank;
    int64_t dim[ROB_NPY_RANK], size;
    double *at; /* row-major, whatever the file's order */
} rob_array;

bool rob_priv_npy_is(const uint8_t *bytes, int64_t count);
rob_status rob_priv_npy_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, rob_array *out);

/* ---- tables of numbers in text --------------------------------------------------- */

/* Rows of numbers, separated by tab, comma or blanks; '#', '%' and '@' open comment
 * lines. "NaN", "?" and an empty field are NaN. */
typedef struct rob_table {
    const char *path, *at, *end;
    int64_t line;   /* of the row read last, from 1 */
    int64_t fields; /* most that any row can have */
} rob_table;

rob_status rob_priv_table_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, rob_table *out);
/* The next row into row[0..fields); *count = 0 behind the last. */
rob_status rob_priv_table_next(rob_ctx *ctx, rob_table *t, double *row, int64_t *count);

/* ---- comma-separated values ------------------------------------------------------ */

enum { ROB_CSV_FIELDS = 1 << 20 };

typedef struct rob_field {
    const char *at; /* within the file or the scratch; no final zero */
    int64_t count;
    bool quoted;
} rob_field;

/* Rows of fields separated by tab, semicolon, comma or blanks (found in the first row).
 * A quoted field may hold separators, line ends and "" for a quote. */
typedef struct rob_csv {
    rob_memory memory;
    const char *path, *at, *end;
    char separator;
    int64_t line, next_line; /* of the row read last, and behind it; from 1 */
    rob_field *field;        /* of the row read last */
    int64_t fields, room;
    char *scratch; /* quoted fields without their doubled quotes */
    int64_t used;
} rob_csv;

/* `bytes` must outlive *out; clear it afterwards, whatever came. */
rob_status rob_priv_csv_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                             const char *path, rob_csv *out);
/* The next row into field[0..fields); fields = 0 behind the last. */
rob_status rob_priv_csv_next(rob_ctx *ctx, rob_csv *c);
void rob_priv_csv_clear(rob_csv *c);
/* A finite number, or NaN for "", "?", "NaN", "NA", "null", "none"; else false. */
bool rob_priv_field_number(const rob_field *f, double *out);
/* Days since 1970-01-01 from yyyy-mm-dd, yyyy/mm/dd or m/d/yyyy, the first with an
 * optional time of day (blank or T, hh:mm, hh:mm:ss); false for anything else. */
bool rob_priv_field_date(const rob_field *f, double *out);
/* Equal to a word, letters of either case. */
bool rob_priv_field_is(const rob_field *f, const char *word);

#endif
