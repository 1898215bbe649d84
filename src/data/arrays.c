/* arrays.c -- arrays of numbers into series: NPY and IDX.
 *
 *     (n)         labels, a time axis, or with role series one series of n steps
 *     (n, T D)    a row for each series; role table: its label first
 *     (n, T, D)   series of D features; an image of R rows and C columns is R steps
 *                 of C numbers
 */
#include "data/parts.h"

#include <math.h>

/* Rows of one file, wherever their numbers are. */
typedef struct rows {
    const char *what;
    int32_t rank;
    const int64_t *dim;
    int64_t count, width; /* numbers of each: dim[1] dim[2] ... */
    double *at;           /* all of them, or NULL: from idx, one by one into row */
    const rob_idx *idx;
    double *row;
} rows;

static double *take_row(const rows *a, int64_t i)
{
    if (a->at != NULL) return a->at + i * a->width;
    rob_priv_idx_row(a->idx, i, a->row);
    return a->row;
}

static rob_status resolve_role(rob_reading *r, const rows *a)
{
    if (rob_priv_reading_is(r, "meta") || rob_priv_reading_is(r, "prices")
        || rob_priv_reading_is(r, "columns"))
        return rob_priv_fail(r->ctx, ROB_EFORMAT,
                             "'%.200s' is %s; with role=%s it must be text", r->path,
                             a->what, r->role);
    if (!rob_priv_reading_is(r, "auto")) return ROB_OK;
    const int64_t waiting = rob_priv_data_waiting(r->d);
    r->role = a->rank >= 2 ? "series" : "label";
    if (a->rank >= 2 || (a->rank == 1 && a->count == waiting)) return ROB_OK;
    return rob_priv_fail(
        r->ctx, ROB_EFORMAT,
        "'%.200s' has %lld numbers of rank %d and %lld series wait for "
        "labels; say role=series or role=label",
        r->path, (long long)(a->count * a->width), (int)a->rank, (long long)waiting);
}

/* A single series or a column of labels, all its numbers in one row. */
static rob_status keep_line(rob_reading *r, const rows *a)
{
    rob_status status = ROB_OK;
    if (!rob_priv_reading_is(r, "label"))
        return rob_priv_reading_row(r, a->at, a->count, 1);
    for (int64_t i = 0; i < a->count; i++)
        TRY(rob_priv_reading_row(r, take_row(a, i), 1, i + 1));
done:
    return status;
}

static rob_status keep_rows(rob_reading *r, const rows *a)
{
    rob_status status = ROB_OK;
    CHECK(a->rank >= 1 && a->rank <= 3 && a->count > 0 && a->width > 0, r->ctx,
          ROB_EFORMAT,
          "'%.200s' has rank %d and %lld numbers; series need (T), (n, T) or (n, T, D)",
          r->path, (int)a->rank, (long long)(a->count * a->width));
    CHECK(a->rank < 3 || rob_priv_reading_is(r, "series"), r->ctx, ROB_EFORMAT,
          "'%.200s' has rank 3; with role=%s it must have rank 1 or 2", r->path,
          r->role);
    if (a->rank == 1) return keep_line(r, a);
    for (int64_t i = 0; i < a->count; i++) {
        double *row = take_row(a, i);
        TRY(a->rank < 3
                ? rob_priv_reading_row(r, row, a->width, i + 1)
                : rob_priv_reading_series(r, row, a->width, a->dim[2], i + 1, NAN));
    }
done:
    return status;
}

static rob_status keep_array(rob_reading *r, const rows *a)
{
    rob_status status = ROB_OK;
    TRY(resolve_role(r, a));
    if (!rob_priv_reading_is(r, "time")) return keep_rows(r, a);
    CHECK(a->rank == 1 && a->count > 0, r->ctx, ROB_EFORMAT,
          "'%.200s': a time axis has rank 1", r->path);
    TRY(rob_priv_reading_clock(r, a->at, a->count));
done:
    return status;
}

rob_status rob_priv_read_npy(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_array a;
    TRY(rob_priv_npy_parse(r->ctx, bytes, count, r->path, &a));
    rows all = { .what = "NPY", .rank = a.rank, .dim = a.dim, .at = a.at };
    all.count = a.rank > 0 ? a.dim[0] : a.size;
    all.width = a.rank > 0 && a.dim[0] > 0 ? a.size / a.dim[0] : a.rank == 0;
    status = keep_array(r, &all);
    rob_priv_release(&r->ctx->memory, a.at);
done:
    return status;
}

/* Of rank 1 all numbers are taken at once, else row by row. */
rob_status rob_priv_read_idx(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_idx idx;
    TRY(rob_priv_idx_open(r->ctx, bytes, count, r->path, &idx));
    const bool whole = idx.rank == 1;
    const int64_t room = whole ? idx.rows : idx.rows > 0 ? idx.width : 0;
    double *row =
        rob_priv_allocate(&r->ctx->memory, room > 0 ? room : 1, (int64_t)sizeof *row);
    if (row == NULL) return rob_priv_no_memory(r->ctx);
    for (int64_t i = 0; whole && i < idx.rows; i++) rob_priv_idx_row(&idx, i, row + i);
    rows all = { .what = "IDX", .rank = idx.rank, .dim = idx.dim, .row = row };
    all.count = idx.rows;
    all.width = idx.width;
    all.idx = &idx;
    if (whole) all.at = row;
    status = keep_array(r, &all);
    rob_priv_release(&r->ctx->memory, row);
done:
    return status;
}
