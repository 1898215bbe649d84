/* read.c -- files into series: which reader, and what every reader's series become.
 *
 * A row of n values is a series of n / D steps of D features. Option frames = k makes
 * it k steps of n / k instead; layout = channels makes each of its D channels a step.
 * Steps behind the last one with a value are dropped (rows padded with NaN to a common
 * length); values missing inside a series are the gaps of prepare.c. What a file holds
 * ("role"): table    label first, then the values           (text by default) series
 * values only: (T), (n, T) or (n, T, D)  (NPY of rank 2 and 3 by default) label    one
 * label for each series without one  (NPY of rank 1 by default) IDX: an image is as
 * many steps as it has rows (arrays.c) columns  a column for each feature (columns.c)
 *     prices   a column of prices, cut into windows   (prices.c)
 *     meta     a row about each series read next      (meta.c)
 *     time     the time axis of the series read next
 * A file is read whole or not at all.
 */
#include "data/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool rob_priv_reading_is(const rob_reading *r, const char *role)
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
    s->time = r->clock != NULL ? (double *)(uintptr_t)r->clock : d->clock;
    const int64_t ticks = r->clock != NULL ? r->ticks : d->ticks;
    if (s->time == NULL || s->steps <= ticks) return ROB_OK;
    return rob_priv_fail(
        r->ctx, ROB_ESHAPE, "'%.200s' row %lld has %lld steps; the time axis has %lld",
        r->path, (long long)row, (long long)s->steps, (long long)ticks);
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

/* A light curve brings its counts and its name. */
static void count_missing(const rob_reading *r, const double *x, int64_t count,
                          rob_series *s)
{
    for (int64_t k = 0; k < count; k++) s->missing += isnan(x[k]);
    if (r->name == NULL) return;
    s->missing = r->missing;
    s->masked = r->masked;
    if (r->name[0]) snprintf(s->name, sizeof s->name, "%.23s", r->name);
}

static rob_status add_series(rob_reading *r, double *x, int64_t count, int64_t features,
                             int64_t row, double label)
{
    rob_status status = ROB_OK;
    const rob_meta *about;
    int64_t steps = steps_with_values(x, count, features);
    rob_series s = rob_priv_series(x, steps, -1);
    CHECK(steps > 0, r->ctx, ROB_EFORMAT, "'%.200s' row %lld has no value", r->path,
          (long long)row);
    CHECK(r->d->count == 0 || r->d->features == features, r->ctx, ROB_ESHAPE,
          "'%.200s' row %lld has %lld features; the series already there have %lld",
          r->path, (long long)row, (long long)features, (long long)r->d->features);
    snprintf(s.name, sizeof s.name, "row %lld", (long long)row);
    count_missing(r, x, count, &s);
    s.target = r->target;
    s.targets = r->target != NULL ? r->targets : 0;
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

/* x (T, D) as (D, T). */
static rob_status add_turned(rob_reading *r, const double *x, int64_t count,
                             int64_t features, int64_t row, double label)
{
    rob_status status = ROB_OK;
    const int64_t steps = count / features;
    double *turned = rob_priv_allocate(&r->ctx->memory, count, (int64_t)sizeof *turned);
    if (turned == NULL) return rob_priv_no_memory(r->ctx);
    for (int64_t t = 0; t < steps; t++)
        for (int64_t f = 0; f < features; f++)
            turned[f * steps + t] = x[t * features + f];
    status = add_series(r, turned, count, steps, row, label);
    rob_priv_release(&r->ctx->memory, turned);
    return status;
}

rob_status rob_priv_reading_series(rob_reading *r, double *x, int64_t count,
                                   int64_t features, int64_t row, double label)
{
    rob_status status = ROB_OK;
    const int64_t frames = (int64_t)rob_priv_data_value(r->d, "frames");
    const bool turned = strcmp(r->d->text[ROB_DATA_LAYOUT], "channels") == 0;
    const bool timed = r->clock != NULL || r->d->clock != NULL;
    CHECK(!timed || (frames == 0 && !turned), r->ctx, ROB_EARGUMENT,
          "'%.200s' has a time axis; options frames and layout=channels would undo it",
          r->path);
    CHECK(frames == 0 || count % frames == 0, r->ctx, ROB_EFORMAT,
          "'%.200s' row %lld has %lld values; option frames=%lld does not divide them",
          r->path, (long long)row, (long long)count, (long long)frames);
    if (frames > 0) features = count / frames;
    CHECK(
        features > 0 && count % features == 0, r->ctx, ROB_EFORMAT,
        "'%.200s' row %lld has %lld values; option features=%lld does not divide them",
        r->path, (long long)row, (long long)count, (long long)features);
    TRY(turned ? add_turned(r, x, count, features, row, label)
               : add_series(r, x, count, features, row, label));
done:
    return status;
}

/* As many in every row as in the first. */
static rob_status keep_targets(rob_reading *r, const double *row, int64_t count,
                               int64_t at)
{
    rob_status status = ROB_OK;
    if (r->values == 0) r->targets = count;
    CHECK(count == r->targets, r->ctx, ROB_EFORMAT,
          "'%.200s' row %lld has %lld targets, the first %lld", r->path, (long long)at,
          (long long)count, (long long)r->targets);
    for (int64_t k = 0; k < count; k++) {
        CHECK(isfinite(row[k]), r->ctx, ROB_EFORMAT,
              "'%.200s' row %lld: target %lld is not finite", r->path, (long long)at,
              (long long)k + 1);
        TRY(keep_label(r, row[k]));
    }
done:
    return status;
}

rob_status rob_priv_reading_row(rob_reading *r, double *row, int64_t count, int64_t at)
{
    rob_status status = ROB_OK;
    int64_t features = (int64_t)rob_priv_data_value(r->d, "features");
    bool labelled = rob_priv_reading_is(r, "table");
    if (rob_priv_reading_is(r, "target")) return keep_targets(r, row, count, at);
    if (rob_priv_reading_is(r, "label")) {
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
        TRY(rob_priv_reading_row(r, row, fields, table.line));
        rows++;
    }
    CHECK(rows > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no row of numbers", r->path);
done:
    rob_priv_release(&r->d->memory, row);
    return status;
}

rob_status rob_priv_reading_clock(rob_reading *r, const double *at, int64_t count)
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
    if (rob_priv_reading_is(r, "auto")) r->role = "table";
    if (rob_priv_reading_is(r, "meta")) return rob_priv_meta_read(r, bytes, count);
    if (rob_priv_reading_is(r, "prices")) return rob_priv_prices_read(r, bytes, count);
    if (rob_priv_reading_is(r, "columns"))
        return rob_priv_columns_series(r, bytes, count);
    if (rob_priv_reading_is(r, "time"))
        return rob_priv_fail(r->ctx, ROB_EFORMAT,
                             "'%.200s' is text; a time axis is read from NPY", r->path);
    if (!rob_priv_reading_is(r, "label")
        && rob_priv_columns_wanted(r->ctx, bytes, count))
        return rob_priv_columns_rows(r, bytes, count);
    return read_numbers(r, bytes, count);
}

/* ---- labels and the end ---------------------------------------------------------- */

int64_t rob_priv_data_waiting(const rob_data *d)
{
    int64_t count = 0;
    for (int64_t i = 0; i < d->count; i++) count += d->series[i].label < 0;
    return count;
}

/* Labels read apart go to the series without one, in order. */
static rob_status give_labels(rob_reading *r)
{
    rob_status status = ROB_OK;
    rob_data *d = r->d;
    int64_t waiting = rob_priv_data_waiting(d), next = 0;
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
    if (rob_priv_reading_is(r, "meta") || rob_priv_reading_is(r, "time")) return ROB_OK;
    if (rob_priv_reading_is(r, "label")) return give_labels(r);
    if (rob_priv_reading_is(r, "target"))
        return rob_priv_data_aim(r->ctx, r->d, r->value, r->values, r->targets,
                                 r->path);
    if (!rob_priv_reading_is(r, "prices"))
        TRY(rob_priv_data_classify(r->ctx, r->d, r->first, r->value, r->path));
    TRY(forget_meta(r));
done:
    return status;
}

/* Formats by their first bytes; what has none of them is text. */
static rob_status read_known(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    static const struct format {
        bool (*is)(const uint8_t *bytes, int64_t count);
        rob_status (*read)(rob_reading *r, const uint8_t *bytes, int64_t count);
    } FORMATS[] = {
        { rob_priv_npy_is, rob_priv_read_npy },
        { rob_priv_zip_is, rob_priv_read_npz },
        { rob_priv_idx_is, rob_priv_read_idx },
        { rob_priv_fits_is, rob_priv_read_fits },
        { rob_priv_ts_is, rob_priv_read_ts },
        { rob_priv_arff_is, rob_priv_read_arff },
    };
    for (int64_t k = 0; k < COUNT_OF(FORMATS); k++)
        if (FORMATS[k].is(bytes, count)) return FORMATS[k].read(r, bytes, count);
    return read_text(r, bytes, count);
}

static rob_status read_unpacked(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_bytes inside = { 0 };
    if (!rob_priv_gzip_is(bytes, count)) return read_known(r, bytes, count);
    rob_status status = rob_priv_gzip_read(r->ctx, bytes, count, r->path, &inside);
    if (status == ROB_OK) status = read_known(r, inside.at, inside.count);
    rob_priv_io_release(&r->ctx->memory, &inside);
    return status;
}

/* As if the file had not been read. */
static void undo(rob_reading *r, const rob_data *before)
{
    rob_data *d = r->d;
    rob_priv_data_cut(d, r->first);
    d->features = before->features;
    d->told = before->told;
    d->skipped = before->skipped;
    d->classes = before->classes;
    if (!r->declared) return;
    rob_priv_release(&d->memory, d->labels);
    d->labels = r->labels;
    r->labels = NULL;
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
    const rob_data before = *d;
    TRY(read_unpacked(&r, bytes, count));
    TRY(finish(&r));
done:
    if (status < ROB_OK) undo(&r, &before);
    rob_priv_release(&d->memory, r.value);
    rob_priv_release(&d->memory, r.labels);
    return status;
}
