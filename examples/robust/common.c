/* common.c -- pieces the commands share: progress, options by name, data. */
#include "robust.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int32_t show_progress(void *user, const char *stage, int64_t done, int64_t total)
{
    static int64_t last = -1;
    int percent = total > 0 ? (int)(100 * done / total) : 0;
    (void)user;
    if (done == last && done < total) return 0;
    last = done;
    fprintf(stderr, "\r%-24s %3d %%   %" PRId64 " of %" PRId64 " ", stage, percent, done, total);
    if (done >= total) fprintf(stderr, "\r%60s\r", "");
    return 0;
}

double seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}


rob_status apply_sets(const arguments *a, const char *prefix, set_number *set, void *handle)
{
    rob_status status = ROB_OK;
    for (int i = 0; i < a->sets && status == ROB_OK; i++) {
        const char *text = a->set[i], *dot = strchr(text, '.');
        const char *equals = strchr(text, '=');
        char name[64];
        if (dot != NULL && dot < equals) {
            if (strncmp(text, prefix, strlen(prefix)) != 0) continue;
            text = dot + 1;
        } else if ((a->attack != NULL && strcmp(prefix, "attack.") == 0)
                   || strcmp(prefix, "diagnosis.") == 0) {
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        status = set(handle, name, strtod(equals + 1, NULL));
    }
    return status;
}

/* ---- data ---------------------------------------------------------------------------- */

static bool is_file(const char *pair, const char *name)
{
    size_t n = strlen(name);
    return strncmp(pair, name, n) == 0 && pair[n] == '=';
}

static bool is_any_file(const char *pair)
{
    return is_file(pair, "also") || is_file(pair, "meta-file") || is_file(pair, "time-file")
           || is_file(pair, "label-file");
}

/* A number where the library has an option of that name that is one, else a text. */
rob_status apply_data(const arguments *a, rob_data *data)
{
    rob_status status = ROB_OK;
    char name[64], *end;
    if (a->classes != NULL) status = rob_data_set_text(ctx, data, "labels", a->classes);
    for (int i = 0; i < a->datas && status == ROB_OK; i++) {
        const char *equals = strchr(a->data[i], '=');
        if (is_any_file(a->data[i])) continue;
        snprintf(name, sizeof name, "%.*s", (int)(equals - a->data[i]), a->data[i]);
        double value = strtod(equals + 1, &end);
        status = ROB_EARGUMENT;
        if (end != equals + 1 && *end == 0) status = rob_data_set(ctx, data, name, value);
        if (status == ROB_EARGUMENT) status = rob_data_set_text(ctx, data, name, equals + 1);
    }
    return status;
}

/* Read every --data NAME=FILE in a role of its own, NULL: the one --data says. */
static rob_status read_files(const arguments *a, rob_data *data, const char *name,
                             const char *role)
{
    rob_status status = ROB_OK;
    const char *usual = "auto";
    for (int i = 0; i < a->datas; i++)
        if (is_file(a->data[i], "role")) usual = a->data[i] + 5;
    for (int i = 0; i < a->datas; i++) {
        if (!is_file(a->data[i], name)) continue;
        TRY(rob_data_set_text(ctx, data, "role", role ? role : usual));
        TRY(rob_data_read(ctx, data, a->data[i] + strlen(name) + 1));
    }
    TRY(rob_data_set_text(ctx, data, "role", usual));
done:
    return status;
}

rob_status open_data(const arguments *a, const char *path, rob_data **out)
{
    rob_status status;
    TRY(rob_data_create(ctx, out));
    TRY(apply_data(a, *out));
    TRY(read_files(a, *out, "time-file", "time"));
    TRY(read_files(a, *out, "meta-file", "meta"));
    TRY(rob_data_read(ctx, *out, path));
    TRY(read_files(a, *out, "also", NULL));
    TRY(read_files(a, *out, "label-file", "label"));
done:
    return status;
}

/* What a model calls its outputs, "" where it does not say. */
static void classes_of(const rob_model *model, char *out, size_t capacity)
{
    int64_t count = 0;
    char *text = NULL;
    const char *at = NULL;
    out[0] = 0;
    if (rob_model_describe(ctx, model, NULL, 0, &count) == ROB_OK) text = malloc((size_t)count);
    if (text != NULL && rob_model_describe(ctx, model, text, count, NULL) == ROB_OK)
        at = strstr(text, " classes=");
    if (at != NULL) snprintf(out, capacity, "%.*s", (int)strcspn(at + 9, " \n"), at + 9);
    free(text);
}

rob_status open_data_for(const arguments *a, const char *path, const rob_model *model,
                         rob_data **out)
{
    rob_status status;
    arguments mine = *a;
    char classes[512];
    int64_t outputs;
    classes_of(model, classes, sizeof classes);
    if (a->classes == NULL && classes[0] != 0 && strlen(classes) <= MOST_LABELS) mine.classes = classes;
    TRY(open_data(&mine, path, out));
    TRY(rob_model_shape(ctx, model, NULL, NULL, &outputs));
    int64_t classes_seen = rob_data_classes(*out);
    if (classes_seen > 0 && classes_seen < outputs && !is_forecast(model)) {
        status = -1;
        complain("%s has %" PRId64 " label%s, the model %" PRId64 " outputs: --classes A,B,... says which "
                 "label is which output", path, classes_seen, classes_seen == 1 ? "" : "s", outputs);
    }
done:
    return status;
}

rob_status hold_out(rob_data *data, rob_data **out)
{
    int64_t dates = 0;
    if (rob_data_count(data) > 0)
        rob_data_about(ctx, data, 0, "when", NULL, 0, &dates);
    return dates > 0 ? rob_data_split_time(ctx, data, 0.2, out)
                     : rob_data_split(ctx, data, 0.2, out);
}

bool own_unit(const rob_data *data, int64_t i, double *scale, char unit[32])
{
    int64_t n = 0;
    if (rob_data_about(ctx, data, i, "scale", NULL, 0, &n) < ROB_OK || n != 1
        || rob_data_about(ctx, data, i, "scale", scale, 1, NULL) < ROB_OK
        || rob_data_about_text(ctx, data, i, "units", unit, 32, NULL) < ROB_OK)
        return false;
    return *scale != 1 && *scale > 0 && unit[0] != 0;
}
