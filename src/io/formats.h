/* formats.h -- files of series as others write them: gzip, IDX, sktime's .ts.
 *
 * As in io.h: bytes in memory, bounded, and refused unless fully understood. What needs
 * a library that this build lacks fails with ROB_EUNSUPPORTED and the package's name.
 */
#ifndef ROB_FORMATS_H
#define ROB_FORMATS_H

#include "io/io.h"

/* ---- gzip ------------------------------------------------------------------------ */

/* What a compressed file may become: this many bytes, and as many more for each of its
 * own. Deflate reaches 1032 to 1, data 2 to 20; the rest are bombs. */
enum { ROB_INFLATE_BASE = 1 << 26, ROB_INFLATE_FACTOR = 64 };

bool rob_priv_gzip_is(const uint8_t *bytes, int64_t count);
/* All members of the file, one after the other, their checksums checked. One zero byte
 * follows the last. */
rob_status rob_priv_gzip_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, rob_bytes *out);

/* ---- IDX ------------------------------------------------------------------------- */

enum { ROB_IDX_RANK = 4 };
typedef struct rob_idx {
    int32_t rank;
    int64_t dim[ROB_IDX_RANK], rows, width; /* rows: dim[0]; width: numbers of each */
    int32_t kind;                           /* place in the table of idx.c */
    const uint8_t *at;                      /* within the caller's bytes */
} rob_idx;

bool rob_priv_idx_is(const uint8_t *bytes, int64_t count);
rob_status rob_priv_idx_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                             const char *path, rob_idx *out);
/* The `width` numbers of one row. */
void rob_priv_idx_row(const rob_idx *idx, int64_t row, double *out);

/* ---- .ts ------------------------------------------------------------------------- */

enum { ROB_TS_FEATURES = 1 << 16 };

/* What the header said, and one case at a time. */
typedef struct rob_ts {
    rob_memory memory;
    const char *path, *at, *end;
    int64_t line;
    bool stamps, labelled, aimed; /* "@timestamps", "@classlabel", "@targetlabel" */
    rob_field labels;             /* the words behind "@classlabel true" */
    /* of the case read last */
    int64_t steps, features; /* steps 0: behind the last case */
    double *x;               /* (T, D); "?" and NaN are NaN */
    double *time;            /* (T), or NULL without stamps; days since 1970-01-01 */
    rob_field last;          /* its label or target */
    double *column;          /* (D, T) as it stands in the file */
    int64_t room;            /* numbers x, time and column have room for */
} rob_ts;

bool rob_priv_ts_is(const uint8_t *bytes, int64_t count);
/* `bytes` must outlive *out; clear it afterwards, whatever came. */
rob_status rob_priv_ts_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                            const char *path, rob_ts *out);
rob_status rob_priv_ts_next(rob_ctx *ctx, rob_ts *ts);
void rob_priv_ts_clear(rob_ts *ts);

#endif
