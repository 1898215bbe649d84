/* read.c -- files into series: rows of text and NPY arrays.
 *
 * A row of n values is a series of n / D steps of D features. Steps behind the last one
 * with a value are dropped (rows padded with NaN to a common length); a value missing
 * inside a series is refused. What a file holds ("role"):
 *     table   label first, then the values           (text by default)
 *     series  values only: (T), (n, T) or (n, T, D)  (NPY of rank 2 and 3 by default)
 *     label   one label for each series without one  (NPY of rank 1 by default)
 * A file is read whole or not at all.
 */
#include "data/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One reading: series are appended, their labels kept aside until all is well. */
typedef struct reading {
    rob_ctx *ctx;
    rob_data *d;
    const char *path, *role;
    int64_t first; /* series there before */
    double *value; /* labels of the rows read so far */
    int64_t values, room;
} reading;

static rob_status keep_label(reading *r, double value)
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

static rob_status keep_series(reading *r, const double *x, int64_t count,
                              int64_t features, int64_t row)
{
    rob_status status = ROB_OK;
    int64_t steps = steps_with_values(x, count, features);
    CHECK(count % features == 0, r->ctx, ROB_EFORMAT,
          "'%.200s' row %lld has %lld values; "
          "option features=%lld does not divide them",
          r->path, (long long)row, (long long)count, (long long)features);
    CHECK(steps > 0, r->ctx, ROB_EFORMAT, "'%.200s' row %lld has no value", r->path,
          (long long)row);
    for (int64_t i = 0; i < steps * features; i++)
        CHECK(isfinite(x[i]), r->ctx, ROB_EFORMAT,
              "'%.200s' row %lld: value %lld is missing "
              "or not finite; only the end of a series may be missing",
              r->path, (long long)row, (long long)i + 1);
    CHECK(r->d->count == 0 || r->d->features == features, r->ctx, ROB_ESHAPE,
          "'%.200s' has "
          "%lld features; the series already there have %lld",
          r->path, (long long)features, (long long)r->d->features);
    TRY(rob_priv_data_append(r->ctx, r->d, x, steps, features, -1));
    rob_series *s = &r->d->series[r->d->count - 1];
    snprintf(s->name, sizeof s->name, "row %lld", (long long)row);
done:
    return status;
}

static rob_status keep_row(reading *r, const double *row, int64_t count, int64_t at)
{
    int64_t features = (int64_t)rob_priv_data_value(r->d, "features");
    bool labelled = strcmp(r->role, "table") == 0;
    rob_status status = ROB_OK;
    if (strcmp(r->role, "label") == 0) {
        CHECK(count == 1, r->ctx, ROB_EFORMAT,
              "'%.200s' row %lld has %lld values; with "
              "role=label it must have one",
              r->path, (long long)at, (long long)count);
        return keep_label(r, row[0]);
    }
    CHECK(count > labelled, r->ctx, ROB_EFORMAT,
          "'%.200s' row %lld has a label and no value", r->path, (long long)at);
    TRY(keep_label(r, labelled ? row[0] : NAN));
    TRY(keep_series(r, row + labelled, count - labelled, features, at));
done:
    return status;
}

/* ---- text ------------------------------------------------------------------------ */

static rob_status read_text(reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_table table;
    double *row = NULL;
    int64_t fields;
    if (strcmp(r->role, "auto") == 0) r->role = "table";
    TRY(rob_priv_table_open(r->ctx, bytes, count, r->path, &table));
    row = rob_priv_allocate(&r->d->memory, table.fields, (int64_t)sizeof *row);
    if (row == NULL) return rob_priv_no_memory(r->ctx);
    for (;;) {
        TRY(rob_priv_table_next(r->ctx, &table, row, &fields));
        if (fields == 0) break;
        TRY(keep_row(r, row, fields, table.line));
    }
    CHECK(r->values > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no row of numbers",
          r->path);
done:
    rob_priv_release(&r->d->memory, row);
    return status;
}

/* ---- NPY ------------------------------------------------------------------------- */

static int64_t series_without_label(const rob_data *d)
{
    int64_t count = 0;
    for (int64_t i = 0; i < d->count; i++) count += d->series[i].label < 0;
    return count;
}

static rob_status resolve_role(reading *r, const rob_array *a)
{
    if (strcmp(r->role, "auto") != 0) return ROB_OK;
    r->role = a->rank >= 2 ? "series" : "label";
    if (a->rank >= 2 || (a->rank == 1 && a->dim[0] == series_without_label(r->d)))
        return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT,
                         "'%.200s' has %lld numbers of rank %d and %lld "
                         "series wait for labels; say role=series or role=label",
                         r->path, (long long)a->size, (int)a->rank,
                         (long long)series_without_label(r->d));
}

static rob_status keep_array(reading *r, const rob_array *a)
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
        const double *row = a->at + i * width;
        if (a->rank < 3) {
            TRY(keep_row(r, row, width, i + 1));
        } else {
            TRY(keep_label(r, NAN));
            TRY(keep_series(r, row, width, a->dim[2], i + 1));
        }
    }
done:
    return status;
}

static rob_status read_array(reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_array a;
    TRY(rob_priv_npy_parse(r->ctx, bytes, count, r->path, &a));
    status = resolve_role(r, &a);
    if (status == ROB_OK) status = keep_array(r, &a);
    rob_priv_release(&r->ctx->memory, a.at);
done:
    return status;
}

/* ---- labels and the end ---------------------------------------------------------- */

/* Labels read apart go to the series without one, in order. */
static rob_status give_labels(reading *r)
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

rob_status rob_priv_data_read(rob_ctx *ctx, rob_data *d, const uint8_t *bytes,
                              int64_t count, const char *path)
{
    rob_status status = ROB_OK;
    reading r = { .ctx = ctx,
                  .d = d,
                  .path = path,
                  .role = d->text[ROB_DATA_ROLE],
                  .first = d->count };
    int64_t features = d->features;
    TRY(rob_priv_npy_is(bytes, count) ? read_array(&r, bytes, count)
                                      : read_text(&r, bytes, count));
    if (strcmp(r.role, "label") == 0) TRY(give_labels(&r));
    else TRY(rob_priv_data_classify(ctx, d, r.first, r.value, path));
done:
    if (status < ROB_OK) {
        rob_priv_data_cut(d, r.first);
        d->features = features;
    }
    rob_priv_release(&d->memory, r.value);
    return status;
}
