/* arrays.c -- arrays of numbers into series: NPY, IDX, and the arrays of NPZ.
 *
 *     (n)         labels, a time axis, or with role series one series of n steps
 *     (n, T D)    a row for each series; role table: its label first
 *     (n, T, D)   series of D features; an image of R rows and C columns is R steps
 *                 of C numbers
 * An NPZ file holds series and, in further arrays, their labels, targets and time axis,
 * found by their usual names or by option columns:
 * "x=NAME,y=NAME,target=NAME,time=NAME".
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

/* Rows of one file, wherever their numbers are. */
typedef struct rows {
    const char *what;
    int32_t rank;
    const int64_t *dim;
    int64_t count, width; /* numbers of each: dim[1] dim[2] ... */
    double *at;           /* all of them, or NULL: from idx, one by one into row */
    const rob_idx *idx;
    double *row;
    const rob_array *label, *target; /* a row of them for each row; or NULL */
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

/* Row i of rank 2 or 3 as a series. */
static rob_status keep_series(rob_reading *r, const rows *a, int64_t i)
{
    const double label = a->label != NULL ? a->label->at[i] : NAN;
    const int64_t features =
        a->rank == 3 ? a->dim[2] : (int64_t)rob_priv_data_value(r->d, "features");
    if (a->target != NULL) {
        r->targets = a->target->size / a->count;
        r->target = a->target->at + i * r->targets;
    }
    rob_status status =
        rob_priv_reading_series(r, take_row(a, i), a->width, features, i + 1, label);
    r->target = NULL;
    return status;
}

/* A single series or a column of labels, all its numbers in one row. */
static rob_status keep_line(rob_reading *r, const rows *a)
{
    rob_status status = ROB_OK;
    if (!rob_priv_reading_is(r, "label") && !rob_priv_reading_is(r, "target"))
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
    const bool series = rob_priv_reading_is(r, "series");
    for (int64_t i = 0; i < a->count; i++)
        TRY(series ? keep_series(r, a, i)
                   : rob_priv_reading_row(r, take_row(a, i), a->width, i + 1));
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

static rows rows_of(const char *what, const rob_array *a)
{
    rows all = { .what = what, .rank = a->rank, .dim = a->dim, .at = a->at };
    all.count = a->rank > 0 ? a->dim[0] : a->size;
    all.width = a->rank > 0 && a->dim[0] > 0 ? a->size / a->dim[0] : a->rank == 0;
    return all;
}

rob_status rob_priv_read_npy(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_array a;
    TRY(rob_priv_npy_parse(r->ctx, bytes, count, r->path, &a));
    const rows all = rows_of("NPY", &a);
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

/* ---- NPZ ------------------------------------------------------------------------- */

enum { X, Y, TARGET, TIME, PARTS };

static const struct part {
    const char *key, *usual;
} PART[PARTS] = {
    { "x=", "x,X,data,series,arr_0" },
    { "y=", "y,Y,label,labels,arr_1" },
    { "target=", "target,targets" },
    { "time=", "time,t" },
};

static const rob_member *find_member(const rob_zip *zip, const char *name,
                                     int64_t length)
{
    for (int64_t k = 0; k < zip->members; k++)
        if (strncmp(zip->member[k].name, name, (size_t)length) == 0
            && zip->member[k].name[length] == 0)
            return &zip->member[k];
    return NULL;
}

/* The member that option columns names, or one of the usual names; NULL in *out: none.
 */
static rob_status choose_member(rob_reading *r, const rob_zip *zip,
                                const struct part *p, const rob_member **out)
{
    const char *word, *wish = r->d->text[ROB_DATA_COLUMNS], *usual = p->usual;
    const int64_t key = (int64_t)strlen(p->key);
    *out = NULL;
    for (int64_t n; (n = rob_priv_list_next(&wish, &word)) >= 0;) {
        if (n <= key || memcmp(word, p->key, (size_t)key) != 0) continue;
        *out = find_member(zip, word + key, n - key);
        if (*out != NULL) return ROB_OK;
        return rob_priv_fail(r->ctx, ROB_EFORMAT,
                             "'%.200s' has no array '%.*s' (option columns)", r->path,
                             (int)(n - key), word + key);
    }
    if (r->d->text[ROB_DATA_COLUMNS][0]) return ROB_OK;
    for (int64_t n; *out == NULL && (n = rob_priv_list_next(&usual, &word)) >= 0;)
        *out = find_member(zip, word, n);
    return ROB_OK;
}

static rob_status read_member(rob_reading *r, const rob_zip *zip, const rob_member *m,
                              rob_array *out)
{
    rob_bytes bytes;
    rob_status status = rob_priv_zip_read(r->ctx, zip, m, &bytes);
    if (status < ROB_OK) return status;
    status = rob_priv_npy_parse(r->ctx, bytes.at, bytes.count, r->path, out);
    rob_priv_io_release(&r->ctx->memory, &bytes);
    return status;
}

static rob_status read_parts(rob_reading *r, const rob_zip *zip, rob_array *part,
                             bool *there)
{
    rob_status status = ROB_OK;
    for (int k = 0; k < PARTS; k++) {
        const rob_member *m;
        TRY(choose_member(r, zip, &PART[k], &m));
        if (m == NULL && k == X && zip->members == 1) m = &zip->member[0];
        CHECK(
            m != NULL || k != X, r->ctx, ROB_EFORMAT,
            "'%.200s' has %lld arrays, the first '%s', none of them called x, X, data, "
            "series or arr_0; option columns=x=NAME,y=NAME says which",
            r->path, (long long)zip->members, zip->member[0].name);
        there[k] = m != NULL;
        if (m != NULL) TRY(read_member(r, zip, m, &part[k]));
    }
done:
    return status;
}

static rob_status check_partners(rob_reading *r, const rob_array *part,
                                 const bool *there)
{
    rob_status status = ROB_OK;
    const int64_t n = part[X].rank >= 2 ? part[X].dim[0] : -1;
    CHECK(!there[Y] || (part[Y].rank == 1 && part[Y].size == n), r->ctx, ROB_EFORMAT,
          "'%.200s' has %lld labels of rank %d and %lld series", r->path,
          (long long)part[Y].size, (int)part[Y].rank, (long long)n);
    CHECK(!there[TARGET]
              || (part[TARGET].rank >= 1 && part[TARGET].rank <= 2 && n > 0
                  && part[TARGET].dim[0] == n && part[TARGET].size > 0),
          r->ctx, ROB_EFORMAT,
          "'%.200s' has targets for another number of series than %lld", r->path,
          (long long)n);
    CHECK((!there[Y] && !there[TARGET]) || rob_priv_reading_is(r, "auto")
              || rob_priv_reading_is(r, "series"),
          r->ctx, ROB_EFORMAT,
          "'%.200s' has series and labels; role=%s has one of them", r->path, r->role);
done:
    return status;
}

static rob_status set_clock(rob_reading *r, rob_array *time)
{
    rob_status status = ROB_OK;
    const double start = rob_priv_data_value(r->d, "start");
    const double dt = rob_priv_data_value(r->d, "dt");
    CHECK(time->rank == 1, r->ctx, ROB_EFORMAT, "'%.200s': a time axis has rank 1",
          r->path);
    for (int64_t k = 0; k < time->size; k++) {
        time->at[k] = start + dt * time->at[k];
        CHECK(isfinite(time->at[k]) && (k == 0 || time->at[k] > time->at[k - 1]),
              r->ctx, ROB_EFORMAT, "'%.200s': time %lld is not above the one before it",
              r->path, (long long)k + 1);
    }
    r->clock = time->at;
    r->ticks = time->size;
done:
    return status;
}

rob_status rob_priv_read_npz(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_zip *zip = rob_priv_allocate(&r->ctx->memory, 1, (int64_t)sizeof *zip);
    rob_array part[PARTS] = { { 0 } };
    bool there[PARTS] = { false };
    if (zip == NULL) return rob_priv_no_memory(r->ctx);
    TRY(rob_priv_zip_open(r->ctx, bytes, count, r->path, zip));
    TRY(read_parts(r, zip, part, there));
    TRY(check_partners(r, part, there));
    rows all = rows_of("NPZ", &part[X]);
    all.label = there[Y] ? &part[Y] : NULL;
    all.target = there[TARGET] ? &part[TARGET] : NULL;
    if (there[TIME]) TRY(set_clock(r, &part[TIME]));
    TRY(keep_array(r, &all));
done:
    r->clock = NULL;
    for (int k = 0; k < PARTS; k++) rob_priv_release(&r->ctx->memory, part[k].at);
    rob_priv_release(&r->ctx->memory, zip);
    return status;
}
