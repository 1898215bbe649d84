/* about.c -- what is known about a series beside its values, by name. */
#include "data/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct answer {
    const double *at;
    int64_t count; /* -1: no such name */
    double one[2];
} answer;

static answer several(const double *at, int64_t count)
{
    return (answer){ .at = at, .count = at != NULL ? count : 0 };
}

static const struct single {
    const char *name;
    size_t at;
} SINGLES[] = {
    { "level", offsetof(rob_series, level) },
    { "when", offsetof(rob_series, when) },
    { "until", offsetof(rob_series, until) },
    { "period", offsetof(rob_series, period) },
    { "epoch", offsetof(rob_series, epoch) },
    { "duration", offsetof(rob_series, duration) },
};

/* NaN is "not known": no number. */
static answer about_series(const rob_data *d, const rob_series *s, const char *name)
{
    if (strcmp(name, "time") == 0) return several(s->x, s->steps);
    if (strcmp(name, "shift") == 0) return several(s->shift, d->features);
    if (strcmp(name, "scale") == 0) return several(s->scale, d->features);
    if (strcmp(name, "target") == 0) return several(s->target, s->targets);
    if (strcmp(name, "truth") == 0)
        return several(isnan(s->truth[1]) ? NULL : s->truth, 2);
    if (strcmp(name, "gaps") == 0)
        return (answer){ .count = 1, .one = { (double)s->gaps } };
    if (strcmp(name, "missing") == 0)
        return (answer){ .count = 1, .one = { (double)s->missing } };
    if (strcmp(name, "masked") == 0)
        return (answer){ .count = 1, .one = { (double)s->masked } };
    for (int64_t k = 0; k < COUNT_OF(SINGLES); k++) {
        if (strcmp(name, SINGLES[k].name) != 0) continue;
        const double *at = (const double *)((const char *)s + SINGLES[k].at);
        return several(isnan(*at) ? NULL : at, 1);
    }
    return (answer){ .count = -1 };
}

static answer about_set(const rob_data *d, const char *name)
{
    int64_t gaps = 0;
    for (int64_t i = 0; i < d->count; i++) gaps += d->series[i].gaps;
    if (strcmp(name, "gaps") == 0)
        return (answer){ .count = 1, .one = { (double)gaps } };
    if (strcmp(name, "skipped") == 0)
        return (answer){ .count = 1, .one = { (double)d->skipped } };
    if (strcmp(name, "dropped") == 0)
        return (answer){ .count = 1, .one = { (double)d->dropped } };
    if (strcmp(name, "purged") == 0)
        return (answer){ .count = 1, .one = { (double)d->purged } };
    if (strcmp(name, "classes") == 0) return several(d->class_value, d->classes);
    if (strcmp(name, "normalisation") == 0) return several(d->fitted, 2 * d->features);
    return (answer){ .count = -1 };
}

rob_status rob_priv_data_about(rob_ctx *ctx, const rob_data *d, int64_t i,
                               const char *name, double *out, int64_t capacity,
                               int64_t *count)
{
    rob_status status = ROB_OK;
    answer a = i < 0 ? about_set(d, name) : about_series(d, &d->series[i], name);
    CHECK(a.count >= 0, ctx, ROB_EARGUMENT, "nothing is called '%.60s'; there are: %s",
          name,
          i < 0 ? "gaps, skipped, dropped, purged, classes, normalisation"
                : "time, shift, scale, target, gaps, missing, masked, level, when, "
                  "until, period, epoch, "
                  "duration, truth");
    CHECK(out == NULL || capacity >= a.count, ctx, ROB_ESHAPE,
          "capacity is %lld; '%.60s' has %lld numbers", (long long)capacity, name,
          (long long)a.count);
    for (int64_t k = 0; out != NULL && k < a.count; k++) {
        if (a.at == NULL) out[k] = a.one[k];
        else if (i >= 0 && a.at == d->series[i].x)
            out[k] = rob_priv_series_time(&d->series[i], k);
        else out[k] = a.at[k];
    }
    if (count != NULL) *count = a.count;
done:
    return status;
}

/* A word of option "labels", or the file's number. */
static void class_name(const rob_data *d, int64_t label, char *out, size_t capacity)
{
    const char *word;
    out[0] = 0;
    if (label < 0) return;
    const char *labels = rob_priv_data_labels(d);
    int64_t n = rob_priv_list_word(labels, label, &word);
    if (n > 0 && rob_priv_labels_are_words(labels, 1))
        snprintf(out, capacity, "%.*s", (int)n, word);
    else rob_priv_print_double(out, capacity, d->class_value[label], 17);
}

rob_status rob_priv_data_about_text(rob_ctx *ctx, const rob_data *d, int64_t i,
                                    const char *name, char *out, int64_t capacity,
                                    int64_t *count)
{
    rob_status status = ROB_OK;
    char word[128];
    const char *text = NULL;
    if (strcmp(name, "units") == 0) text = d->units;
    if (strcmp(name, "time_units") == 0) text = d->time_units;
    if (i >= 0 && strcmp(name, "name") == 0) text = d->series[i].name;
    if (i >= 0 && strcmp(name, "class") == 0) {
        class_name(d, d->series[i].label, word, sizeof word);
        text = word;
    }
    CHECK(text != NULL, ctx, ROB_EARGUMENT,
          "no text is called '%.60s'; there are: units, time_units and, of one series, "
          "name, class",
          name);
    int64_t size = (int64_t)strlen(text) + 1;
    CHECK(out == NULL || capacity >= size, ctx, ROB_ESHAPE,
          "capacity is %lld; '%.60s' needs %lld characters", (long long)capacity, name,
          (long long)size);
    if (out != NULL) memcpy(out, text, (size_t)size);
    if (count != NULL) *count = size;
done:
    return status;
}
