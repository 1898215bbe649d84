/* read.c -- files into series: rows of text, columns, NPY arrays.
 *
 * A row of n values is a series of n / D steps of D features. Steps behind the last one
 * with a value are dropped (rows padded with NaN to a common length); values missing
 * inside a series are the gaps of prepare.c. What a file holds ("role"):
 *     table    label first, then the values           (text by default)
 *     series   values only: (T), (n, T) or (n, T, D)  (NPY of rank 2 and 3 by default)
 *     label    one label for each series without one  (NPY of rank 1 by default)
 *     columns  a column for each feature              (columns.c)
 *     prices   a column of prices, cut into windows   (prices.c)
 *     meta     a row about each series read next      (meta.c)
 *     time     the time axis of the series read next
 * A file is read whole or not at all.
 */
#include "data/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_role(const rob_reading *r, const char *role)
{
    return strcmp(r->role, role) == 0;
}

static rob_status keep_label(rob_reading *r, double value)
{
    if (r->values == r->room) {
        int64_t room = 2 * r->room + 64;
        double *grown = rob_priv_grow(&r->d->memory, r->value, r->values, room,
                                      (int64_t)sizeof *grown);
        if (grown == NULL) return rob_priv_no_memory(r->ctx);
        r->value = grown;
        r->room = room;
    }
    r->value[r->values++] = value;
    return ROB_OK;
}

static int64_t steps_with_values(const double *x, int64_t count, int64_t features)
{
    while (count > 0 && isnan(x[count - 1])) count--;
    return (count + features - 1) / features;
}

/* ---- one series ------------------------------------------------------------------ */

/* The row about it, when a table is waiting; NULL in *out: none is. */
static rob_status take_meta(rob_reading *r, int64_t row, const rob_meta **out)
{
    rob_data *d = r->d;
    *out = NULL;
    if (d->metas == 0) return ROB_OK;
    if (d->told == d->metas)
        return rob_priv_fail(
            r->ctx, ROB_ESHAPE,
            "'%.200s' row %lld: the table read with role=meta has only "
            "%lld rows",
            r->path, (long long)row, (long long)d->metas);
    *out = &d->meta[d->told++];
    return ROB_OK;
}

static void describe(const rob_meta *about, rob_series *s)
{
    s->period = about->period;
    s->epoch = about->epoch;
    s->duration = about->duration;
    if (about->name[0]) memcpy(s->name, about->name, sizeof s->name);
}

static rob_status set_clock(rob_reading *r, rob_series *s, int64_t row)
{
    rob_data *d = r->d;
    s->start = rob_priv_data_value(d, "start");
    s->dt = rob_priv_data_value(d, "dt");
    s->time = d->clock;
    if (d->clock == NULL || s->steps <= d->ticks) return ROB_OK;
    return rob_priv_fail(
        r->ctx, ROB_ESHAPE, "'%.200s' row %lld has %lld steps; the time axis has %lld",
        r->path, (long long)row, (long long)s->steps, (long long)d->ticks);
}

static rob_status keep_prepared(rob_reading *r, rob_series *s, int64_t features,
                                int64_t row, double label)
{
    rob_status status = ROB_OK;
    bool fits;
    TRY(rob_priv_prepare(r->ctx, r->d, s, features, r->path, row, &fits));
    if (fits) {
        TRY(rob_priv_data_keep(r->ctx, r->d, s, features));
        TRY(keep_label(r, label));
    } else {
        r->d->skipped++;
    }
done:
    rob_priv_release(&r->ctx->memory, s->x);
    return status;
}

rob_status rob_priv_reading_series(rob_reading *r, double *x, int64_t count,
                                   int64_t features, int64_t row, double label)
{
    rob_status status = ROB_OK;
    const rob_meta *about;
    int64_t steps = steps_with_values(x, count, features);
    rob_series s = rob_priv_series(x, steps, -1);
    CHECK(
        count % features == 0, r->ctx, ROB_EFORMAT,
        "'%.200s' row %lld has %lld values; option features=%lld does not divide them",
        r->path, (long long)row, (long long)count, (long long)features);
    CHECK(steps > 0, r->ctx, ROB_EFORMAT, "'%.200s' row %lld has no value", r->path,
          (long long)row);
    CHECK(r->d->count == 0 || r->d->features == features, r->ctx, ROB_ESHAPE,
          "'%.200s' has %lld features; the series already there have %lld", r->path,
          (long long)features, (long long)r->d->features);
    snprintf(s.name, sizeof s.name, "row %lld", (long long)row);
    TRY(take_meta(r, row, &about));
    if (about != NULL && about->left_out) return ROB_OK;
    if (about != NULL) {
        describe(about, &s);
        if (isnan(label)) label = about->label;
    }
    TRY(set_clock(r, &s, row));
    TRY(keep_prepared(r, &s, features, row, label));
done:
    return status;
}

static rob_status keep_row(rob_reading *r, double *row, int64_t count, int64_t at)
{
    rob_status status = ROB_OK;
    int64_t features = (int64_t)rob_priv_data_value(r->d, "features");
    bool labelled = is_role(r, "table");
    if (is_role(r, "label")) {
        CHECK(count == 1, r->ctx, ROB_EFORMAT,
              "'%.200s' row %lld has %lld values; with role=label it must have one",
              r->path, (long long)at, (long long)count);
        return keep_label(r, row[0]);
    }
    CHECK(count > labelled, r->ctx, ROB_EFORMAT,
          "'%.200s' row %lld has a label and no value", r->path, (long long)at);
    TRY(rob_priv_reading_series(r, row + labelled, count - labelled, features, at,
                                labelled ? row[0] : NAN));
done:
    return status;
}

/* ---- text ------------------------------------------------------------------------ */

/* Rows of numbers and nothing else. */
static rob_status read_numbers(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_table table;
    double *row = NULL;
    int64_t fields, rows = 0;
    TRY(rob_priv_table_open(r->ctx, bytes, count, r->path, &table));
    row = rob_priv_allocate(&r->d->memory, table.fields, (int64_t)sizeof *row);
    if (row == NULL) return rob_priv_no_memory(r->ctx);
    for (;;) {
        TRY(rob_priv_table_next(r->ctx, &table, row, &fields));
        if (fields == 0) break;
        TRY(keep_row(r, row, fields, table.line));
        rows++;
    }
    CHECK(rows > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no row of numbers", r->path);
done:
    rob_priv_release(&r->d->memory, row);
    return status;
}

static rob_status keep_clock(rob_reading *r, const double *at, int64_t count)
{
    rob_status status = ROB_OK;
    double start = rob_priv_data_value(r->d, "start");
    double dt = rob_priv_data_value(r->d, "dt");
    double *clock = rob_priv_allocate(&r->d->memory, count, (int64_t)sizeof *clock);
    if (clock == NULL) return rob_priv_no_memory(r->ctx);
    for (int64_t k = 0; k < count; k++) {
        clock[k] = start + dt * at[k];
        CHECK(isfinite(clock[k]) && (k == 0 || clock[k] > clock[k - 1]), r->ctx,
              ROB_EFORMAT, "'%.200s': time %lld is not above the one before it",
              r->path, (long long)k + 1);
    }
    rob_priv_release(&r->d->memory, r->d->clock);
    r->d->clock = clock;
    r->d->ticks = count;
    clock = NULL;
done:
    rob_priv_release(&r->d->memory, clock);
    return status;
}

static rob_status read_text(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    if (is_role(r, "auto")) r->role = "table";
    if (is_role(r, "meta")) return rob_priv_meta_read(r, bytes, count);
    if (is_role(r, "prices")) return rob_priv_prices_read(r, bytes, count);
    if (is_role(r, "columns")) return rob_priv_columns_series(r, bytes, count);
    if (is_role(r, "time"))
        return rob_priv_fail(r->ctx, ROB_EFORMAT,
                             "'%.200s' is text; a time axis is read from NPY", r->path);
    if (!is_role(r, "label") && rob_priv_columns_wanted(r->ctx, bytes, count))
        return rob_priv_columns_rows(r, bytes, count);
    return read_numbers(r, bytes, count);
}

/* ---- NPY ------------------------------------------------------------------------- */

static int64_t series_without_label(const rob_data *d)
{
    int64_t count = 0;
    for (int64_t i = 0; i < d->count; i++) count += d->series[i].label < 0;
    return count;
}

static rob_status resolve_role(rob_reading *r, const rob_array *a)
{
    if (is_role(r, "meta") || is_role(r, "prices") || is_role(r, "columns"))
        return rob_priv_fail(r->ctx, ROB_EFORMAT,
                             "'%.200s' is NPY; with role=%s it must be text", r->path,
                             r->role);
    if (!is_role(r, "auto")) return ROB_OK;
    r->role = a->rank >= 2 ? "series" : "label";
    if (a->rank >= 2 || (a->rank == 1 && a->dim[0] == series_without_label(r->d)))
        return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT,
                         "'%.200s' has %lld numbers of rank %d and %lld "
                         "series wait for labels; say role=series or role=label",
                         r->path, (long long)a->size, (int)a->rank,
                         (long long)series_without_label(r->d));
}

static rob_status keep_array(rob_reading *r, const rob_array *a)
{
    rob_status status = ROB_OK;
    bool label = strcmp(r->role, "label") == 0, one = a->rank == 1 && !label;
    int64_t rows = one ? 1 : a->rank > 0 ? a->dim[0] : 0;
    CHECK(a->rank >= 1 && a->rank <= 3 && a->size > 0, r->ctx, ROB_EFORMAT,
          "'%.200s' has rank %d and %lld numbers; series need (T), (n, T) or (n, T, D)",
          r->path, (int)a->rank, (long long)a->size);
    CHECK(a->rank < 3 || strcmp(r->role, "series") == 0, r->ctx, ROB_EFORMAT,
          "'%.200s' has rank 3; with role=%s it must have rank 1 or 2", r->path,
          r->role);
    int64_t width = a->size / rows;
    for (int64_t i = 0; i < rows; i++) {
        double *row = a->at + i * width;
        if (a->rank < 3) TRY(keep_row(r, row, width, i + 1));
        else TRY(rob_priv_reading_series(r, row, width, a->dim[2], i + 1, NAN));
    }
done:
    return status;
}

static rob_status read_array(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_array a;
    TRY(rob_priv_npy_parse(r->ctx, bytes, count, r->path, &a));
    status = resolve_role(r, &a);
    if (status == ROB_OK && is_role(r, "time"))
        status = a.rank == 1 && a.size > 0
                     ? keep_clock(r, a.at, a.size)
                     : rob_priv_fail(r->ctx, ROB_EFORMAT,
                                     "'%.200s': a time axis has rank 1", r->path);
    else if (status == ROB_OK) status = keep_array(r, &a);
    rob_priv_release(&r->ctx->memory, a.at);
done:
    return status;
}

/* ---- labels and the end ---------------------------------------------------------- */

/* Labels read apart go to the series without one, in order. */
static rob_status give_labels(rob_reading *r)
{
    rob_status status = ROB_OK;
    rob_data *d = r->d;
    int64_t waiting = series_without_label(d), next = 0;
    double *value = NULL;
    CHECK(waiting == r->values, r->ctx, ROB_ESHAPE,
          "'%.200s' has %lld labels; %lld series "
          "wait for one",
          r->path, (long long)r->values, (long long)waiting);
    value = rob_priv_allocate(&d->memory, d->count, (int64_t)sizeof *value);
    if (value == NULL) return rob_priv_no_memory(r->ctx);
    for (int64_t i = 0; i < d->count; i++) {
        int64_t label = d->series[i].label;
        value[i] = label < 0 ? r->value[next++] : d->class_value[label];
    }
    TRY(rob_priv_data_classify(r->ctx, d, 0, value, r->path));
done:
    rob_priv_release(&d->memory, value);
    return status;
}

/* Rows told about series that were all read are forgotten. */
static rob_status forget_meta(rob_reading *r)
{
    if (r->d->metas == 0 || r->d->told == 0) return ROB_OK;
    if (r->d->told < r->d->metas)
        return rob_priv_fail(r->ctx, ROB_ESHAPE,
                             "'%.200s' has %lld series; the table read with role=meta "
                             "has %lld rows",
                             r->path, (long long)r->d->told, (long long)r->d->metas);
    r->d->metas = r->d->told = 0;
    return ROB_OK;
}

static rob_status finish(rob_reading *r)
{
    rob_status status = ROB_OK;
    if (is_role(r, "meta") || is_role(r, "time")) return ROB_OK;
    if (is_role(r, "label")) return give_labels(r);
    if (!is_role(r, "prices"))
        TRY(rob_priv_data_classify(r->ctx, r->d, r->first, r->value, r->path));
    TRY(forget_meta(r));
done:
    return status;
}

rob_status rob_priv_data_read(rob_ctx *ctx, rob_data *d, const uint8_t *bytes,
                              int64_t count, const char *path)
{
    rob_status status = ROB_OK;
    rob_reading r = { .ctx = ctx,
                      .d = d,
                      .path = path,
                      .role = d->text[ROB_DATA_ROLE],
                      .first = d->count };
    const int64_t features = d->features, told = d->told, skipped = d->skipped;
    const int64_t classes = d->classes;
    TRY(rob_priv_npy_is(bytes, count) ? read_array(&r, bytes, count)
                                      : read_text(&r, bytes, count));
    TRY(finish(&r));
done:
    if (status < ROB_OK) {
        rob_priv_data_cut(d, r.first);
        d->features = features;
        d->told = told;
        d->skipped = skipped;
        d->classes = classes;
    }
    rob_priv_release(&d->memory, r.value);
    return status;
}
