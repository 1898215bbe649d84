/* common.c -- pieces the commands share: progress, options by name, data, accuracy. */
#include "robust.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int32_t show_progress(void *user, const char *stage, int64_t done, int64_t total)
{
    static int last = -1;
    int percent = total > 0 ? (int)(100 * done / total) : 0;
    (void)user;
    if (percent == last && done < total) return 0;
    last = percent;
    fprintf(stderr, "\r%-24s %3d %%", stage, percent);
    if (done >= total) fputs("\r                              \r", stderr);
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
        } else if (a->attack != NULL && strcmp(prefix, "attack.") == 0) {
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

rob_status hold_out(rob_data *data, rob_data **out)
{
    int64_t dates = 0;
    if (rob_data_count(data) > 0)
        rob_data_about(ctx, data, 0, "when", NULL, 0, &dates);
    return dates > 0 ? rob_data_split_time(ctx, data, 0.2, out)
                     : rob_data_split(ctx, data, 0.2, out);
}

double majority_share(const rob_data *data)
{
    int64_t n = rob_data_count(data), most = 0, label;
    for (int64_t c = 0; c < rob_data_classes(data); c++) {
        int64_t here = 0;
        for (int64_t i = 0; i < n; i++)
            if (rob_data_get(ctx, data, i, NULL, 0, NULL, NULL, &label) == ROB_OK) here += label == c;
        most = here > most ? here : most;
    }
    return n > 0 ? (double)most / (double)n : 0;
}

/* Predictions of every series through a query: the same numbers every method sees. */
rob_status predict_all(const rob_model *model, const rob_data *data, int64_t *right)
{
    rob_status status;
    rob_query *query = NULL;
    double prediction;
    int64_t label, count;
    *right = 0;
    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add_data(ctx, query, data, 0, rob_data_count(data)));
    for (int64_t i = 0; i < rob_data_count(data); i++) {
        TRY(rob_query_get(ctx, query, "prediction", i, &prediction, 1, &count));
        TRY(rob_data_get(ctx, data, i, NULL, 0, NULL, NULL, &label));
        *right += (int64_t)prediction == label;
    }
done:
    rob_query_free(query);
    return status;
}

rob_status print_accuracy(const char *what, const rob_model *model, const rob_data *data)
{
    int64_t right, label = -1, n = rob_data_count(data), labelled = 0;
    rob_status status = predict_all(model, data, &right);
    for (int64_t i = 0; status == ROB_OK && i < n; i++) {
        status = rob_data_get(ctx, data, i, NULL, 0, NULL, NULL, &label);
        labelled += label >= 0;
    }
    if (status == ROB_OK && labelled == 0)
        printf("%s: %" PRId64 " series without labels\n", what, n);
    else if (status == ROB_OK)
        printf("%s: accuracy %.4f on %" PRId64 " series (always the commonest class: %.4f)\n",
               what, (double)right / (double)n, n, majority_share(data));
    return status;
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
