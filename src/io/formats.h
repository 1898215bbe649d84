/* formats.h -- files of series as others write them: gzip, NPZ, IDX, .ts, .arff,
 * FITS light curves.
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
int64_t rob_priv_inflate_cap(int64_t packed);

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

/* ---- lines and words ------------------------------------------------------------- */

typedef struct rob_lines {
    const char *at, *end;
    int64_t line; /* of the one taken last, from 1 */
} rob_lines;

rob_lines rob_priv_lines(const uint8_t *bytes, int64_t count);
/* The next line without outer blanks; false behind the last. */
bool rob_priv_lines_next(rob_lines *l, rob_field *out);
/* The same, but for empty lines and those that begin with '%' or '#'. */
bool rob_priv_lines_telling(rob_lines *l, rob_field *out);
/* at .. end without outer blanks. */
rob_field rob_priv_field_trim(const char *at, const char *end);
/* The first word of *rest, which moves behind it. */
rob_field rob_priv_field_word(rob_field *rest);
/* What an error line shows of a field: "%.*s" with these two. */
int rob_priv_field_show(const rob_field *f);

/* ---- .ts ------------------------------------------------------------------------- */

enum { ROB_TS_FEATURES = 1 << 16 };

/* What the header said, and one case at a time. */
typedef struct rob_ts {
    rob_memory memory;
    const char *path;
    rob_lines lines;
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

/* ---- .arff ----------------------------------------------------------------------- */

typedef struct rob_arff {
    rob_memory memory;
    const char *path;
    rob_lines lines;
    uint8_t *kind; /* of each attribute */
    int64_t attributes, kinds_room;
    bool relational, labelled; /* there is a relational, a nominal attribute */
    rob_field labels;          /* the nominal attribute's values, commas between */
    /* of the case read last */
    int64_t values, channels; /* values 0: behind the last case */
    double *x;                /* (values); relational: (T, channels) */
    rob_field last;           /* its label */
    double *column;           /* (channels, T) as it stands in the file */
    int64_t room;
} rob_arff;

bool rob_priv_arff_is(const uint8_t *bytes, int64_t count);
/* `bytes` must outlive *out; clear it afterwards, whatever came. */
rob_status rob_priv_arff_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, rob_arff *out);
rob_status rob_priv_arff_next(rob_ctx *ctx, rob_arff *a);
void rob_priv_arff_clear(rob_arff *a);

/* ---- FITS light curves ----------------------------------------------------------- */

typedef struct rob_light {
    rob_memory memory;
    int64_t rows, columns;
    double *time;    /* (rows), in the file's units; NaN where there is none */
    double *value;   /* (rows, columns) */
    double *quality; /* (rows) flags, or NULL */
    bool kepler;     /* the flags are SAP_QUALITY */
    char name[24], units[32], time_units[32]; /* OBJECT, TUNIT of value and time */
} rob_light;

bool rob_priv_fits_is(const uint8_t *bytes, int64_t count);
/* TIME, the comma-separated columns and the quality flags of the first binary table with
 * a column TIME. Clear *out afterwards, whatever came. */
rob_status rob_priv_fits_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, const char *columns, rob_light *out);
void rob_priv_fits_clear(rob_light *l);

/* ---- NPZ ------------------------------------------------------------------------- */

enum { ROB_ZIP_MEMBERS = 256 };
typedef struct rob_member {
    char name[64];         /* without ".npy" */
    int32_t method;        /* 0 stored, 8 deflate */
    uint32_t check;        /* CRC-32 */
    const uint8_t *at;     /* packed, within the caller's bytes */
    int64_t packed, count; /* bytes, packed and unpacked */
} rob_member;

typedef struct rob_zip {
    const char *path;
    int64_t members;
    rob_member member[ROB_ZIP_MEMBERS];
} rob_zip;

bool rob_priv_zip_is(const uint8_t *bytes, int64_t count);
rob_status rob_priv_zip_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                             const char *path, rob_zip *out);
/* The bytes of one member, its checksum checked. */
rob_status rob_priv_zip_read(rob_ctx *ctx, const rob_zip *zip, const rob_member *m,
                             rob_bytes *out);
/* Exactly `count` bytes out of a deflate stream. */
rob_status rob_priv_inflate(rob_ctx *ctx, const uint8_t *bytes, int64_t packed,
                            int64_t count, const char *path, rob_bytes *out);

#endif
