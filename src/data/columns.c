/* columns.c -- tables whose first row names the columns.
 *
 * role table, series: a row is a series. Its label stands in the column named by option
 * "label" (role table; the first column without the option), its values in all others,
 * or in those option "columns" names. role columns: the file is one series, a column of
 * option "columns" for each feature (all columns without it), its time in the column of
 * option "time". A first row of numbers is a row like the others: columns then have no
 * names.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

int64_t rob_priv_columns_find(const rob_csv *header, const char *name, int64_t length)
{
    char word[128];
    if (length < 1 || length >= (int64_t)sizeof word) return -1;
    memcpy(word, name, (size_t)length);
    word[length] = 0;
    for (int64_t k = 0; k < header->fields; k++)
        if (rob_priv_field_is(&header->field[k], word)) return k;
    return -1;
}

double rob_priv_columns_moment(const rob_field *f)
{
    double moment;
    return rob_priv_field_date(f, &moment) || rob_priv_field_number(f, &moment) ? moment
                                                                                : NAN;
}

static bool is_header(const rob_csv *row)
{
    double value;
    for (int64_t k = 0; k < row->fields; k++)
        if (!rob_priv_field_number(&row->field[k], &value)) return true;
    return false;
}

bool rob_priv_columns_wanted(rob_ctx *ctx, const uint8_t *bytes, int64_t count)
{
    rob_csv csv;
    bool wanted = false;
    if (rob_priv_csv_open(ctx, bytes, count, "", &csv) == ROB_OK
        && rob_priv_csv_next(ctx, &csv) == ROB_OK && csv.fields > 1)
        wanted = csv.separator == ';' || csv.scratch != NULL || is_header(&csv);
    rob_priv_csv_clear(&csv);
    return wanted;
}

/* ---- which columns --------------------------------------------------------------- */

/* One table being read. */
typedef struct table {
    rob_csv csv;
    int64_t label, time;     /* columns; -1: none */
    int64_t *column, values; /* of the features, or of the steps */
    int64_t width;           /* fields of the first row */
    double *x;               /* (rows, values) */
    double *moment;          /* (rows) */
    int64_t rows, room;
} table;

static void close_table(const rob_memory *m, table *t)
{
    rob_priv_csv_clear(&t->csv);
    rob_priv_release(m, t->column);
    rob_priv_release(m, t->x);
    rob_priv_release(m, t->moment);
}

static rob_status find_named(rob_reading *r, const table *t, const char *option,
                             const char *name, int64_t length, int64_t *out)
{
    *out = rob_priv_columns_find(&t->csv, name, length);
    if (*out >= 0) return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT,
                         "'%.200s' line %lld names no column '%.*s' (option %s)",
                         r->path, (long long)t->csv.line, (int)length, name, option);
}

static rob_status choose_columns(rob_reading *r, table *t)
{
    rob_status status = ROB_OK;
    const char *word, *wish = r->d->text[ROB_DATA_COLUMNS];
    t->column =
        rob_priv_allocate(&r->ctx->memory, t->width, (int64_t)sizeof *t->column);
    if (t->column == NULL) return rob_priv_no_memory(r->ctx);
    for (int64_t k = 0, n; (n = rob_priv_list_word(wish, k, &word)) >= 0; k++) {
        CHECK(k < t->width, r->ctx, ROB_EFORMAT,
              "'%.200s' has %lld columns; option columns has more", r->path,
              (long long)t->width);
        TRY(find_named(r, t, "columns", word, n, &t->column[t->values++]));
    }
    for (int64_t k = 0; k < t->width && *wish == 0; k++)
        if (k != t->label && k != t->time) t->column[t->values++] = k;
    CHECK(t->values > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no column of values",
          r->path);
done:
    return status;
}

/* Header or not: behind it stands the first row of values. */
static rob_status open_table(rob_reading *r, const uint8_t *bytes, int64_t count,
                             const char *label, const char *time, table *t)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_csv_open(r->ctx, bytes, count, r->path, &t->csv));
    const char *first = t->csv.at;
    TRY(rob_priv_csv_next(r->ctx, &t->csv));
    t->width = t->csv.fields;
    CHECK(t->width > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no row", r->path);
    if (label != NULL && *label)
        TRY(find_named(r, t, "label", label, (int64_t)strlen(label), &t->label));
    else t->label = label != NULL ? 0 : -1;
    t->time = -1;
    if (time != NULL && *time)
        TRY(find_named(r, t, "time", time, (int64_t)strlen(time), &t->time));
    TRY(choose_columns(r, t));
    if (!is_header(&t->csv)) {
        t->csv.at = first;
        t->csv.next_line = 1;
    }
done:
    return status;
}

static rob_status take_number(rob_reading *r, const table *t, int64_t column,
                              double *out)
{
    *out = NAN;
    if (column >= t->csv.fields) return ROB_OK; /* a short row: nothing there */
    const rob_field *f = &t->csv.field[column];
    if (rob_priv_field_number(f, out)) return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT,
                         "'%.200s' line %lld, field %lld: '%.*s' is no finite number",
                         r->path, (long long)t->csv.line, (long long)column + 1,
                         (int)(f->count < 40 ? f->count : 40), f->at);
}

static rob_status check_width(rob_reading *r, const table *t)
{
    if (t->csv.fields <= t->width) return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT,
                         "'%.200s' line %lld has %lld fields; the first row has %lld",
                         r->path, (long long)t->csv.line, (long long)t->csv.fields,
                         (long long)t->width);
}

/* ---- a row is a series ----------------------------------------------------------- */

static rob_status keep_row(rob_reading *r, table *t, int64_t features)
{
    rob_status status = ROB_OK;
    double label = NAN;
    TRY(check_width(r, t));
    if (t->label >= 0 && t->label < t->csv.fields)
        TRY(rob_priv_reading_label(r, &t->csv.field[t->label], t->csv.line, &label));
    for (int64_t k = 0; k < t->values; k++)
        TRY(take_number(r, t, t->column[k], &t->x[k]));
    TRY(rob_priv_reading_series(r, t->x, t->values, features, t->csv.line, label));
done:
    return status;
}

rob_status rob_priv_columns_rows(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    table t = { .label = -1, .time = -1 };
    int64_t features = (int64_t)rob_priv_data_value(r->d, "features");
    bool labelled = strcmp(r->role, "table") == 0;
    TRY(open_table(r, bytes, count, labelled ? r->d->text[ROB_DATA_LABEL] : NULL, NULL,
                   &t));
    t.x = rob_priv_allocate(&r->ctx->memory, t.values, (int64_t)sizeof *t.x);
    if (t.x == NULL) {
        status = rob_priv_no_memory(r->ctx);
        goto done;
    }
    for (;; t.rows++) {
        TRY(rob_priv_csv_next(r->ctx, &t.csv));
        if (t.csv.fields == 0) break;
        TRY(keep_row(r, &t, features));
    }
    CHECK(t.rows > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no row of numbers", r->path);
done:
    close_table(&r->ctx->memory, &t);
    return status;
}

/* ---- the file is a series -------------------------------------------------------- */

static rob_status make_room(rob_reading *r, table *t)
{
    int64_t room = 2 * t->room + 256, bytes = (int64_t)sizeof *t->x;
    const rob_memory *m = &r->ctx->memory;
    if (t->rows < t->room) return ROB_OK;
    double *x = rob_priv_grow(m, t->x, t->rows * t->values, room * t->values, bytes);
    if (x == NULL) return rob_priv_no_memory(r->ctx);
    t->x = x;
    double *moment = rob_priv_grow(m, t->moment, t->rows, room, bytes);
    if (moment == NULL) return rob_priv_no_memory(r->ctx);
    t->moment = moment;
    t->room = room;
    return ROB_OK;
}

static rob_status add_step(rob_reading *r, table *t)
{
    rob_status status = ROB_OK;
    double *moment;
    TRY(check_width(r, t));
    TRY(make_room(r, t));
    for (int64_t k = 0; k < t->values; k++)
        TRY(take_number(r, t, t->column[k], &t->x[t->rows * t->values + k]));
    moment = &t->moment[t->rows];
    if (t->time >= 0) {
        *moment = t->time < t->csv.fields
                      ? rob_priv_columns_moment(&t->csv.field[t->time])
                      : NAN;
        CHECK(isfinite(*moment) && (t->rows == 0 || *moment > moment[-1]), r->ctx,
              ROB_EFORMAT,
              "'%.200s' line %lld: its time is not above the one before it", r->path,
              (long long)t->csv.line);
    }
    t->rows++;
done:
    return status;
}

/* The column of times is the axis of this one series. */
static rob_status keep_steps(rob_reading *r, table *t)
{
    const double start = rob_priv_data_value(r->d, "start");
    const double dt = rob_priv_data_value(r->d, "dt");
    for (int64_t k = 0; k < t->rows; k++) t->moment[k] = start + dt * t->moment[k];
    if (t->time >= 0) r->clock = t->moment, r->ticks = t->rows;
    rob_status status =
        rob_priv_reading_series(r, t->x, t->rows * t->values, t->values, 1, NAN);
    r->clock = NULL;
    return status;
}

rob_status rob_priv_columns_series(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    table t = { .label = -1, .time = -1 };
    TRY(open_table(r, bytes, count, NULL, r->d->text[ROB_DATA_TIME], &t));
    for (;;) {
        TRY(rob_priv_csv_next(r->ctx, &t.csv));
        if (t.csv.fields == 0) break;
        TRY(add_step(r, &t));
    }
    CHECK(t.rows > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no row of numbers", r->path);
    TRY(keep_steps(r, &t));
done:
    close_table(&r->ctx->memory, &t);
    return status;
}
