/* report.c -- report: everything about a model on some series, on one page. */
#include "robust.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rob_status set_report(void *h, const char *n, double v)
{
    return rob_report_set(ctx, h, n, v);
}

/* The first gnuplot on the search path, or NULL. */
static const char *find_gnuplot(char *out, size_t capacity)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != 0) {
        int length = (int)strcspn(at, ":");
        int written = snprintf(out, capacity, "%.*s/gnuplot", length, at);
        if (length > 0 && written < (int)capacity && access(out, X_OK) == 0) return out;
        at += length + (at[length] == ':');
    }
    return NULL;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The data's name, with what a length of 1 is in the data's own units where it is another. */
static void name_data(const arguments *a, const rob_data *data, char *out, size_t capacity)
{
    double scale[4096];
    char unit[32] = "";
    int64_t n = rob_data_count(data), k = 0;
    for (int64_t i = 0; i < n && k < 4096; i++) k += own_unit(data, i, &scale[k], unit);
    snprintf(out, capacity, "%s", file_name(a->file[1]));
    if (k == 0 || strcmp(a->units, "data") != 0) return;
    qsort(scale, (size_t)k, sizeof *scale, ascending);
    snprintf(out, capacity, "%s (a length of 1 is %.4g %s, half of the series %.4g to %.4g)",
             file_name(a->file[1]), scale[k / 2], unit, scale[k / 4], scale[3 * k / 4]);
}

static rob_status describe(const arguments *a, const rob_data *data, rob_report *r)
{
    static char found[1024], name[512];
    rob_status status;
    const char *plot = a->plot ? a->plot : find_gnuplot(found, sizeof found);
    TRY(rob_report_set_text(ctx, r, "title", a->title));
    TRY(rob_report_set_text(ctx, r, "model", file_name(a->file[0])));
    name_data(a, data, name, sizeof name);
    TRY(rob_report_set_text(ctx, r, "data", name));
    TRY(rob_report_set_text(ctx, r, "plot", plot));
    TRY(rob_report_set_text(ctx, r, "bound", a->method));
    TRY(rob_report_set_text(ctx, r, "attack", a->attack));
    TRY(apply_sets(a, "report.", set_report, r));
done:
    return status;
}

static bool is_labelled(const rob_data *data)
{
    int64_t label;
    for (int64_t i = 0; i < rob_data_count(data); i++)
        if (rob_data_get(ctx, data, i, NULL, 0, NULL, NULL, &label) < ROB_OK
            || label < 0)
            return false;
    return rob_data_count(data) > 0;
}

/* Accuracy is that of the whole file, also when few of its series are looked at. */
static rob_status tell_accuracy(rob_report *r, const rob_model *model,
                                const rob_data *data)
{
    rob_status status;
    int64_t n = rob_data_count(data), right;
    TRY(predict_all(model, data, &right));
    TRY(rob_report_set(ctx, r, "tested", (double)n));
    TRY(rob_report_set(ctx, r, "right", (double)right));
    TRY(rob_report_set(ctx, r, "commonest", round(majority_share(data) * (double)n)));
done:
    return status;
}

/* Median of the numbers of a column that are there, as on the page; NAN when none is. */
static double median(rob_report *r, const char *column)
{
    double *x = NULL, middle = NAN;
    int64_t n = 0, k = 0;
    if (rob_report_get(ctx, r, column, NULL, 0, &n) < ROB_OK || n == 0) return NAN;
    x = calloc((size_t)n, sizeof *x);
    if (x != NULL && rob_report_get(ctx, r, column, x, n, NULL) == ROB_OK)
        for (int64_t i = 0; i < n; i++)
            if (!isnan(x[i])) x[k++] = x[i];
    if (k > 0) qsort(x, (size_t)k, sizeof *x, ascending);
    if (k > 0) middle = isinf(x[k / 2]) ? x[k / 2] : (x[(k - 1) / 2] + x[k / 2]) / 2;
    free(x);
    return middle;
}

/* ---- one change for all -------------------------------------------------------- */

/* Every second series of the file from `first` on, in the ball of the report. */
static rob_status every_second(const arguments *a, const rob_model *model,
                               const rob_data *data, int64_t first, double radius,
                               rob_query **out)
{
    rob_status status;
    arguments mine = *a;
    mine.radius = radius, mine.first = (double)first, mine.count = 1;
    TRY(ask(&mine, model, data, out));
    for (int64_t i = first + 2; i < rob_data_count(data); i += 2)
        TRY(rob_query_add_data(ctx, *out, data, i, 1));
done:
    return status;
}

static bool lengths_agree(const rob_data *data)
{
    int64_t steps, other;
    if (rob_data_get(ctx, data, 0, NULL, 0, &steps, NULL, NULL) < ROB_OK) return false;
    for (int64_t i = 1; i < rob_data_count(data); i++)
        if (rob_data_get(ctx, data, i, NULL, 0, &other, NULL, NULL) < ROB_OK
            || other != steps)
            return false;
    return true;
}

/* Half of the whole file serves to find it, the other half to judge it, in the ball
 * within which half of the reported series break, each by a change of its own. */
static rob_status one_for_all(const arguments *a, rob_report *r, const rob_model *model,
                              const rob_data *data)
{
    rob_status status = ROB_OK;
    rob_query *search = NULL, *held = NULL;
    double radius = isfinite(a->radius) ? a->radius : median(r, "upper");
    if (!isfinite(radius) || radius <= 0 || rob_data_count(data) < 16
        || !lengths_agree(data))
        return ROB_OK;
    TRY(every_second(a, model, data, 0, radius, &search));
    TRY(every_second(a, model, data, 1, radius, &held));
    TRY(rob_report_add_universal(ctx, r, search, held));
done:
    rob_query_free(search);
    rob_query_free(held);
    return status;
}

/* ---- what is said on the terminal ---------------------------------------------- */

static void print_universal(rob_report *r)
{
    double u[5], random[5];
    int64_t n = 0;
    if (rob_report_get(ctx, r, "universal_fooled", NULL, 0, &n) < ROB_OK || n != 5
        || rob_report_get(ctx, r, "universal_fooled", u, 5, NULL) < ROB_OK
        || rob_report_get(ctx, r, "universal_random", random, 5, NULL) < ROB_OK)
        return;
    printf("%-22s %10.4g  of %.0f others break under one change of length %.4g; "
           "%.4g under a random one\n",
           "universal_fooled", u[2], u[1], median(r, "universal_radius"), random[2]);
}

static void print_median(rob_report *r, const char *column, const char *text)
{
    double m = median(r, column);
    if (isinf(m)) printf("%-22s %10s  %s\n", column, "none found", text);
    else if (!isnan(m)) printf("%-22s %10.4g  %s\n", column, m, text);
}

static void print_summary(rob_report *r, const arguments *a)
{
    printf("%-22s %10.0f\n", "series", median(r, "series"));
    print_median(r, "accuracy",
                 median(r, "beats_majority") == 1
                     ? "better than always the commonest class"
                     : "not shown to beat always the commonest class");
    print_median(r, "majority", "always the commonest class");
    print_median(r, "lower", "median: no failing point is nearer, proved");
    print_median(r, "upper", "median: a failing point so near was found");
    print_median(r, "ratio", "median of upper / lower");
    print_median(r, "condition_lower", "median: condition number, at least");
    print_median(r, "probability", "median: failing under a random change");
    print_median(r, "probability_radius", "of this length");
    print_universal(r);
    printf("lengths: %s ball, %s units\n", a->norm, a->units);
}

static rob_status save(const arguments *a, rob_report *r)
{
    char path[1024];
    rob_status status = rob_report_save(ctx, r, a->out);
    if (status < ROB_OK) return status;
    printf("wrote %s\n", a->out);
    const char *dot = strrchr(a->out, '.');
    if (!a->json || strcmp(dot, ".json") == 0) return status;
    snprintf(path, sizeof path, "%.*s.json", (int)(dot - a->out), a->out);
    status = rob_report_save(ctx, r, path);
    if (status >= ROB_OK) printf("wrote %s\n", path);
    return status;
}

rob_status report(const arguments *a)
{
    rob_status status, end = ROB_OK;
    rob_model *model = NULL;
    rob_data *data = NULL;
    rob_query *query = NULL;
    rob_report *r = NULL;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(open_data_for(a, a->file[1], model, &data));
    TRY(ask(a, model, data, &query));
    TRY(rob_report_create(ctx, query, &r));
    TRY(describe(a, data, r));
    if (is_labelled(data) && !is_forecast(model)) TRY(tell_accuracy(r, model, data));
    TRY(end = rob_report_run(ctx, r));
    if (end == ROB_OK) TRY(end = one_for_all(a, r, model, data));
    TRY(save(a, r));
    print_summary(r, a);
    status = end;
done:
    rob_report_free(r);
    rob_query_free(query);
    rob_data_free(data);
    rob_model_free(model);
    return status;
}
