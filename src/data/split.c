/* split.c -- part of a data set into another one, class by class or by time; UCR text
 * out of it.
 *
 * Of the n_c series of class c (those without label are a class of their own),
 *     m_c = floor(share n_c + 1/2)
 * move, drawn without replacement: a Fisher-Yates shuffle from Philox stream STREAM + c
 * of the context's seed. Order is kept on both sides.
 *
 * By time: m = floor(share n + 1/2), q = the m-th largest `when`; every series with
 * when >= q moves, and of the others those whose target reaches behind q are freed, so
 * that no day decides a target on both sides.
 */
#include "data/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t STREAM = 0x73706c6974u << 16;

/* Mark the series of one class that move. */
static void choose(rob_ctx *ctx, const rob_data *d, int64_t label, double share,
                   int64_t *scratch, bool *moves)
{
    int64_t n = 0;
    rob_random random = rob_priv_random(ctx->seed, STREAM + (uint64_t)(label + 1));
    for (int64_t i = 0; i < d->count; i++)
        if (d->series[i].label == label) scratch[n++] = i;
    rob_priv_shuffle(&random, scratch, n);
    int64_t m = (int64_t)floor(share * (double)n + 0.5);
    for (int64_t k = 0; k < m; k++) moves[scratch[k]] = true;
}

static void move(rob_data *from, rob_data *to, const bool *moves)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < from->count; i++) {
        if (moves[i]) to->series[to->count++] = from->series[i];
        else from->series[kept++] = from->series[i];
    }
    from->count = kept;
}

/* An empty data set with the classes, options and room of d. */
static rob_status twin(rob_ctx *ctx, const rob_data *d, rob_data **out)
{
    rob_status status = ROB_OK;
    rob_data *t = NULL;
    TRY(rob_priv_data_make(ctx, &t));
    t->series = rob_priv_allocate(&t->memory, d->count + 1, (int64_t)sizeof *t->series);
    t->class_value =
        rob_priv_allocate(&t->memory, ROB_CLASSES_CAP, (int64_t)sizeof *t->class_value);
    if (t->series == NULL || t->class_value == NULL) {
        rob_data_free(t);
        return rob_priv_no_memory(ctx);
    }
    if (d->classes > 0)
        memcpy(t->class_value, d->class_value,
               (size_t)d->classes * sizeof *d->class_value);
    memcpy(t->option, d->option, (size_t)rob_priv_data_options() * sizeof *d->option);
    memcpy(t->text, d->text, sizeof t->text);
    t->labels = rob_priv_copy_text(&t->memory, d->labels);
    if (d->labels != NULL && t->labels == NULL) {
        rob_data_free(t);
        return rob_priv_no_memory(ctx);
    }
    memcpy(t->units, d->units, sizeof t->units);
    memcpy(t->time_units, d->time_units, sizeof t->time_units);
    if (d->fitted != NULL) {
        t->fitted =
            rob_priv_allocate(&t->memory, 2 * d->features, (int64_t)sizeof *t->fitted);
        if (t->fitted == NULL) {
            rob_data_free(t);
            return rob_priv_no_memory(ctx);
        }
        memcpy(t->fitted, d->fitted, 2 * (size_t)d->features * sizeof *t->fitted);
    }
    t->capacity = d->count + 1;
    t->classes = d->classes;
    t->features = d->features;
    *out = t;
done:
    return status;
}

rob_status rob_priv_data_part(rob_ctx *ctx, rob_data *d, double share, rob_data **out)
{
    rob_status status = ROB_OK;
    int64_t *scratch =
        rob_priv_allocate(&d->memory, d->count + 1, (int64_t)sizeof *scratch);
    bool *moves = rob_priv_allocate(&d->memory, d->count + 1, (int64_t)sizeof *moves);
    if (scratch == NULL || moves == NULL) {
        status = rob_priv_no_memory(ctx);
        goto done;
    }
    TRY(twin(ctx, d, out));
    for (int64_t label = -1; label < d->classes; label++)
        choose(ctx, d, label, share, scratch, moves);
    move(d, *out, moves);
done:
    rob_priv_release(&d->memory, scratch);
    rob_priv_release(&d->memory, moves);
    return status;
}

/* ---- by time --------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static rob_status first_moving(rob_ctx *ctx, const rob_data *d, double share,
                               double *when, double *first)
{
    rob_status status = ROB_OK;
    int64_t m = (int64_t)floor(share * (double)d->count + 0.5);
    for (int64_t i = 0; i < d->count; i++) {
        when[i] = d->series[i].when;
        CHECK(isfinite(when[i]), ctx, ROB_EARGUMENT,
              "series %lld has no date; a split by time needs windows of prices",
              (long long)i);
    }
    qsort(when, (size_t)d->count, sizeof *when, ascending);
    *first = m > 0 ? when[d->count - m] : INFINITY;
done:
    return status;
}

static void free_overlapping(rob_data *d, double first)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < d->count; i++) {
        if (d->series[i].until > first) {
            rob_priv_release(&d->memory, d->series[i].x);
            d->purged++;
        } else {
            d->series[kept++] = d->series[i];
        }
    }
    d->count = kept;
}

rob_status rob_priv_data_part_time(rob_ctx *ctx, rob_data *d, double share,
                                   rob_data **out)
{
    rob_status status = ROB_OK;
    double first = INFINITY;
    double *when = rob_priv_allocate(&d->memory, d->count + 1, (int64_t)sizeof *when);
    bool *moves = rob_priv_allocate(&d->memory, d->count + 1, (int64_t)sizeof *moves);
    if (when == NULL || moves == NULL) {
        status = rob_priv_no_memory(ctx);
        goto done;
    }
    TRY(first_moving(ctx, d, share, when, &first));
    TRY(twin(ctx, d, out));
    for (int64_t i = 0; i < d->count; i++) moves[i] = d->series[i].when >= first;
    move(d, *out, moves);
    free_overlapping(d, first);
done:
    rob_priv_release(&d->memory, when);
    rob_priv_release(&d->memory, moves);
    return status;
}

/* ---- out ------------------------------------------------------------------------- */

static void add_number(const rob_memory *m, rob_text *t, double x)
{
    char number[40];
    rob_priv_text_string(m, t, rob_priv_print_double(number, sizeof number, x, 17));
}

static void add_series(const rob_data *d, const rob_series *s, int64_t longest,
                       rob_text *t)
{
    const rob_memory *m = &d->memory;
    if (s->label >= 0) add_number(m, t, d->class_value[s->label]);
    else rob_priv_text_string(m, t, "?");
    for (int64_t k = 0; k < longest; k++) {
        rob_priv_text_add(m, t, "\t", 1);
        if (k < s->steps) add_number(m, t, s->x[k]);
        else rob_priv_text_string(m, t, "NaN");
    }
    rob_priv_text_add(m, t, "\n", 1);
}

rob_status rob_priv_data_write(rob_ctx *ctx, const rob_data *d, const char *path)
{
    rob_status status = ROB_OK;
    rob_text t = { 0 };
    int64_t longest = 0;
    CHECK(d->count > 0, ctx, ROB_ESHAPE, "the data set has no series to save");
    CHECK(d->features == 1, ctx, ROB_EUNSUPPORTED,
          "the series have %lld features; UCR text "
          "holds one",
          (long long)d->features);
    for (int64_t i = 0; i < d->count; i++)
        if (d->series[i].steps > longest) longest = d->series[i].steps;
    for (int64_t i = 0; i < d->count; i++) add_series(d, &d->series[i], longest, &t);
    if (t.failed) {
        status = rob_priv_no_memory(ctx);
        goto done;
    }
    const rob_bytes part = { (uint8_t *)t.at, t.count };
    TRY(rob_priv_io_write(ctx, path, &part, 1));
done:
    rob_priv_release(&d->memory, t.at);
    return status;
}
