/* data.c -- a growing list of labelled sequences; class tables.
 *
 * A class is a number 0 .. C-1; class_value keeps what the file calls it. Tables merge
 * by value: the union of the old values and the new, ascending, or the order the caller
 * fixed with option "labels"; every label already there is mapped old class -> value ->
 * new class.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

rob_status rob_priv_data_make(rob_ctx *ctx, rob_data **out)
{
    *out = NULL;
    rob_data *d = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *d);
    if (d == NULL) return rob_priv_no_memory(ctx);
    d->memory = ctx->memory;
    d->option = rob_priv_allocate(&ctx->memory, rob_priv_data_options(),
                                  (int64_t)sizeof *d->option);
    if (d->option == NULL) {
        rob_data_free(d);
        return rob_priv_no_memory(ctx);
    }
    rob_priv_data_defaults(d);
    *out = d;
    return ROB_OK;
}

void rob_priv_data_cut(rob_data *d, int64_t count)
{
    for (int64_t i = count; i < d->count; i++)
        rob_priv_release(&d->memory, d->series[i].x);
    if (count < d->count) d->count = count;
    if (d->count == 0) d->features = 0;
}

void rob_data_free(rob_data *d)
{
    if (d == NULL) return;
    rob_memory m = d->memory;
    rob_priv_data_cut(d, 0);
    rob_priv_release(&m, d->series);
    rob_priv_release(&m, d->class_value);
    rob_priv_release(&m, d->option);
    rob_priv_release(&m, d->labels);
    rob_priv_release(&m, d->meta);
    rob_priv_release(&m, d->clock);
    rob_priv_release(&m, d->fitted);
    rob_priv_release(&m, d);
}

/* ---- classes --------------------------------------------------------------------- */

static int64_t find_value(const double *table, int64_t count, double value)
{
    for (int64_t k = 0; k < count; k++)
        if (table[k] == value) return k;
    return -1;
}

/* Into an ascending table with room for one more; -1 when it is full. */
static int64_t insert_value(double *table, int64_t count, double value)
{
    int64_t k = count;
    if (find_value(table, count, value) >= 0) return count;
    if (count == ROB_CLASSES_CAP) return -1;
    for (; k > 0 && table[k - 1] > value; k--) table[k] = table[k - 1];
    table[k] = value;
    return count + 1;
}

/* Two or more different words, none of them empty or a number. */
static bool are_words(const char *labels)
{
    const char *at, *other;
    if (!rob_priv_labels_are_words(labels, 2)) return false;
    for (int64_t k = 0, n; (n = rob_priv_list_word(labels, k, &at)) >= 0; k++)
        for (int64_t j = 0; j < k; j++)
            if (rob_priv_list_word(labels, j, &other) == n
                && memcmp(at, other, (size_t)n) == 0)
                return false;
    return true;
}

static rob_status fixed_table(rob_ctx *ctx, const char *labels, double *table,
                              int64_t *count)
{
    const char *word;
    if (are_words(labels)) {
        for (*count = 0; rob_priv_list_word(labels, *count, &word) >= 0; ++*count)
            table[*count] = (double)*count;
        return ROB_OK;
    }
    const char *p = labels, *end = labels + strlen(labels);
    for (*count = 0; p < end; (*count)++) {
        double value;
        if (!rob_priv_parse_double(&p, end, &value) || !isfinite(value)
            || find_value(table, *count, value) >= 0
            || (p < end && (*p++ != ',' || p == end)))
            return rob_priv_fail(
                ctx, ROB_EARGUMENT,
                "option 'labels' is '%.100s'; allowed "
                "are different finite numbers, or words, with commas between",
                labels);
        table[*count] = value;
    }
    return ROB_OK;
}

/* Declared words are classes in their order; false: there are no such words. */
static bool declared_words(const rob_data *d, double *table, int64_t *count)
{
    const char *word, *list = d->labels;
    if (list == NULL || !rob_priv_labels_are_words(list, 1)) return false;
    for (*count = 0; rob_priv_list_next(&list, &word) >= 0; ++*count)
        if (*count < ROB_CLASSES_CAP) table[*count] = (double)*count;
    return true;
}

static void insert_declared(const rob_data *d, double *table, int64_t *count)
{
    const char *word, *list = d->labels;
    double value;
    while (*count >= 0 && rob_priv_list_next(&list, &word) >= 0)
        if (rob_priv_parse_double(&word, word + strlen(word), &value))
            *count = insert_value(table, *count, value);
}

static rob_status merged_table(rob_ctx *ctx, const rob_data *d, const double *value,
                               int64_t n, const char *path, double *table,
                               int64_t *count)
{
    if (d->text[ROB_DATA_LABELS][0])
        return fixed_table(ctx, d->text[ROB_DATA_LABELS], table, count);
    *count = 0;
    if (!declared_words(d, table, count)) {
        for (int64_t k = 0; k < d->classes; k++)
            *count = insert_value(table, *count, d->class_value[k]);
        insert_declared(d, table, count);
        for (int64_t k = 0; k < n && *count >= 0; k++)
            if (!isnan(value[k])) *count = insert_value(table, *count, value[k]);
    }
    if (*count >= 0 && *count <= ROB_CLASSES_CAP) return ROB_OK;
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "'%.200s' has more than %d different labels; is its first "
                         "column the label?",
                         path, (int)ROB_CLASSES_CAP);
}

static double value_of(const rob_data *d, int64_t i, int64_t first, const double *value)
{
    if (i >= first) return value[i - first];
    return d->series[i].label >= 0 ? d->class_value[d->series[i].label] : NAN;
}

/* Every label must be in the table: only option "labels" can leave one out. */
static rob_status check_known(rob_ctx *ctx, const rob_data *d, int64_t first,
                              const double *value, const double *table, int64_t count)
{
    for (int64_t i = 0; i < d->count; i++) {
        double v = value_of(d, i, first, value);
        if (isnan(v) || find_value(table, count, v) >= 0) continue;
        return rob_priv_fail(ctx, ROB_EFORMAT,
                             "series %lld has label %g, which is not in "
                             "labels=%.100s",
                             (long long)i, v, rob_priv_data_labels(d));
    }
    return ROB_OK;
}

rob_status rob_priv_data_classify(rob_ctx *ctx, rob_data *d, int64_t first,
                                  const double *value, const char *path)
{
    rob_status status = ROB_OK;
    int64_t count = 0;
    double *table =
        rob_priv_allocate(&d->memory, ROB_CLASSES_CAP, (int64_t)sizeof *table);
    if (table == NULL) return rob_priv_no_memory(ctx);
    TRY(merged_table(ctx, d, value, d->count - first, path, table, &count));
    TRY(check_known(ctx, d, first, value, table, count));
    for (int64_t i = 0; i < d->count; i++)
        d->series[i].label = find_value(table, count, value_of(d, i, first, value));
    rob_priv_release(&d->memory, d->class_value);
    d->class_value = table;
    d->classes = count;
    table = NULL;
done:
    rob_priv_release(&d->memory, table);
    return status;
}

/* Classes up to `label` exist from now on; a new one is called by its number, or by the
 * next integer above the values there are. */
static rob_status extend_classes(rob_ctx *ctx, rob_data *d, int64_t label)
{
    if (label < d->classes) return ROB_OK;
    if (d->class_value == NULL) {
        d->class_value = rob_priv_allocate(&d->memory, ROB_CLASSES_CAP,
                                           (int64_t)sizeof *d->class_value);
        if (d->class_value == NULL) return rob_priv_no_memory(ctx);
    }
    for (; d->classes <= label; d->classes++) {
        double value = (double)d->classes;
        for (int64_t k = 0; k < d->classes; k++)
            value = fmax(value, floor(d->class_value[k]) + 1.0);
        d->class_value[d->classes] = value;
    }
    return ROB_OK;
}

/* ---- growth ---------------------------------------------------------------------- */

static rob_status make_room(rob_ctx *ctx, rob_data *d)
{
    if (d->count < d->capacity) return ROB_OK;
    int64_t capacity = 2 * d->capacity + 16;
    rob_series *series = rob_priv_grow(&d->memory, d->series, d->count, capacity,
                                       (int64_t)sizeof *series);
    if (series == NULL) return rob_priv_no_memory(ctx);
    d->series = series;
    d->capacity = capacity;
    return ROB_OK;
}

static rob_status check_values(rob_ctx *ctx, const rob_data *d, const double *x,
                               int64_t steps, int64_t features)
{
    rob_status status = ROB_OK;
    int64_t size;
    CHECK(steps >= 1 && features >= 1
              && !__builtin_mul_overflow(steps, features, &size),
          ctx, ROB_ESHAPE, "steps is %lld and features %lld; both must be at least 1",
          (long long)steps, (long long)features);
    CHECK(d->count == 0 || features == d->features, ctx, ROB_ESHAPE,
          "features is %lld; the series already there have %lld", (long long)features,
          (long long)d->features);
    for (int64_t i = 0; i < size; i++)
        CHECK(isfinite(x[i]), ctx, ROB_EDOMAIN, "x[%lld] is %g; it must be finite",
              (long long)i, x[i]);
done:
    return status;
}

/* One block for x, shift, scale, target and time, in this order. */
static bool copy_arrays(const rob_memory *m, const rob_series *s, int64_t features,
                        rob_series *copy)
{
    int64_t size = s->steps * features, ticks = s->time != NULL ? s->steps : 0;
    double *at = rob_priv_allocate(m, size + 2 * features + s->targets + ticks,
                                   (int64_t)sizeof *at);
    if (at == NULL) return false;
    *copy = *s;
    copy->x = memcpy(at, s->x, (size_t)size * sizeof *at);
    copy->shift = at + size;
    copy->scale = copy->shift + features;
    copy->target = copy->scale + features;
    copy->time = ticks > 0 ? copy->target + s->targets : NULL;
    for (int64_t f = 0; f < features; f++) {
        copy->shift[f] = s->shift != NULL ? s->shift[f] : 0.0;
        copy->scale[f] = s->scale != NULL ? s->scale[f] : 1.0;
    }
    if (s->targets > 0)
        memcpy(copy->target, s->target, (size_t)s->targets * sizeof *at);
    if (ticks > 0) memcpy(copy->time, s->time, (size_t)ticks * sizeof *at);
    return true;
}

rob_series rob_priv_series(double *x, int64_t steps, int64_t label)
{
    return (rob_series){ .x = x,
                         .steps = steps,
                         .label = label,
                         .dt = 1.0,
                         .level = 1.0,
                         .when = NAN,
                         .until = NAN,
                         .period = NAN,
                         .epoch = NAN,
                         .duration = NAN,
                         .truth = { NAN, NAN } };
}

double rob_priv_series_time(const rob_series *s, int64_t k)
{
    return s->time != NULL ? s->time[k] : s->start + (double)k * s->dt;
}

rob_status rob_priv_data_keep(rob_ctx *ctx, rob_data *d, const rob_series *s,
                              int64_t features)
{
    rob_status status = ROB_OK;
    rob_series copy = { .x = NULL };
    CHECK(s->label >= -1 && s->label < ROB_CLASSES_CAP, ctx, ROB_EARGUMENT,
          "label is %lld; allowed is -1 (none) to %d", (long long)s->label,
          (int)ROB_CLASSES_CAP - 1);
    TRY(check_values(ctx, d, s->x, s->steps, features));
    TRY(make_room(ctx, d));
    if (!copy_arrays(&d->memory, s, features, &copy)) return rob_priv_no_memory(ctx);
    TRY(extend_classes(ctx, d, s->label));
    d->series[d->count++] = copy;
    d->features = features;
    copy.x = NULL;
done:
    rob_priv_release(&d->memory, copy.x);
    return status;
}

rob_status rob_priv_data_append(rob_ctx *ctx, rob_data *d, const double *x,
                                int64_t steps, int64_t features, int64_t label)
{
    rob_series s = rob_priv_series(NULL, steps, label);
    s.x = (double *)(uintptr_t)x;
    s.start = rob_priv_data_value(d, "start");
    s.dt = rob_priv_data_value(d, "dt");
    return rob_priv_data_keep(ctx, d, &s, features);
}

/* ---- targets --------------------------------------------------------------------- */

static int64_t without_target(const rob_data *d)
{
    int64_t count = 0;
    for (int64_t i = 0; i < d->count; i++) count += d->series[i].targets == 0;
    return count;
}

rob_status rob_priv_data_target(rob_ctx *ctx, rob_data *d, int64_t i,
                                const double *target, int64_t count)
{
    rob_status status = ROB_OK;
    rob_series s = d->series[i], fresh;
    CHECK(count >= 0 && count <= INT32_MAX, ctx, ROB_ESHAPE,
          "count is %lld; allowed is 0 to 2^31 - 1", (long long)count);
    for (int64_t k = 0; k < count; k++)
        CHECK(isfinite(target[k]), ctx, ROB_EDOMAIN,
              "target[%lld] is %g; it must be finite", (long long)k, target[k]);
    s.target = (double *)(uintptr_t)target;
    s.targets = count;
    if (!copy_arrays(&d->memory, &s, d->features, &fresh))
        return rob_priv_no_memory(ctx);
    rob_priv_release(&d->memory, d->series[i].x);
    d->series[i] = fresh;
done:
    return status;
}

rob_status rob_priv_data_aim(rob_ctx *ctx, rob_data *d, double *value, int64_t count,
                             int64_t each, const char *path)
{
    rob_status status = ROB_OK;
    const int64_t waiting = without_target(d);
    rob_series *fresh = NULL;
    int64_t made = 0;
    CHECK(each > 0 && count == waiting * each, ctx, ROB_ESHAPE,
          "'%.200s' has targets for %lld series; %lld wait for some", path,
          (long long)(each > 0 ? count / each : 0), (long long)waiting);
    fresh = rob_priv_allocate(&d->memory, waiting + 1, (int64_t)sizeof *fresh);
    if (fresh == NULL) return rob_priv_no_memory(ctx);
    for (int64_t i = 0; i < d->count; i++) {
        rob_series s = d->series[i];
        if (s.targets > 0) continue;
        s.target = value + made * each;
        s.targets = each;
        if (!copy_arrays(&d->memory, &s, d->features, &fresh[made])) {
            status = rob_priv_no_memory(ctx);
            goto done;
        }
        made++;
    }
    for (int64_t i = 0, k = 0; i < d->count; i++) {
        if (d->series[i].targets > 0) continue;
        rob_priv_release(&d->memory, d->series[i].x);
        d->series[i] = fresh[k++];
    }
    made = 0;
done:
    for (int64_t k = 0; k < made; k++) rob_priv_release(&d->memory, fresh[k].x);
    rob_priv_release(&d->memory, fresh);
    return status;
}
