/* score.c -- how good a model is on series whose labels or targets are known. */
#include "robust.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static rob_status print_accuracy(const char *what, const rob_model *model, const rob_data *data)
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

/* ---- forecasts ------------------------------------------------------------------------ */

/* Mean squared errors of forecasts and of what needs no network, of series with targets. */
typedef struct forecast_errors { double model, mean, last, zero; int64_t series; } forecast_errors;

/* One series: x (n), targets and forecasts (outputs). */
typedef struct example {
    double *x, *y, *f;
    int64_t room, steps, features, outputs;
} example;

static rob_status read_example(const rob_data *data, int64_t i, example *e, int64_t *targets)
{
    rob_status status;
    TRY(rob_data_get(ctx, data, i, NULL, 0, &e->steps, &e->features, NULL));
    if (e->steps * e->features > e->room) {
        free(e->x);
        e->room = e->steps * e->features;
        e->x = calloc((size_t)e->room, sizeof *e->x);
        if (e->x == NULL) return complain("no memory for a series"), -1;
    }
    TRY(rob_data_get(ctx, data, i, e->x, e->room, NULL, NULL, NULL));
    TRY(rob_data_about(ctx, data, i, "target", NULL, 0, targets));
    if (*targets == 0) return ROB_OK;
    if (*targets != e->outputs)
        return complain("series %" PRId64 " has %" PRId64 " targets, the model %" PRId64 " outputs", i,
                        *targets, e->outputs), -1;
    TRY(rob_data_about(ctx, data, i, "target", e->y, e->outputs, NULL));
done:
    return status;
}

/* Mean over series of what is left of sum y^2: the mean of targets k is taken away by `mean`. */
static void add_errors(const example *e, const double *mean, forecast_errors *s)
{
    for (int64_t k = 0; k < e->outputs; k++) {
        int64_t feature = e->outputs == e->features ? k : 0;
        double last = e->x[(e->steps - 1) * e->features + feature], y = e->y[k];
        s->model += (e->f[k] - y) * (e->f[k] - y);
        s->mean += (mean[k] - y) * (mean[k] - y);
        s->last += (last - y) * (last - y);
        s->zero += y * y;
    }
}

static rob_status mean_targets(const rob_data *data, example *e, double *mean, int64_t *count)
{
    rob_status status = ROB_OK;
    int64_t targets;
    *count = 0;
    for (int64_t i = 0; i < rob_data_count(data); i++) {
        TRY(read_example(data, i, e, &targets));
        *count += targets > 0;
        for (int64_t k = 0; k < targets; k++) mean[k] += e->y[k];
    }
    for (int64_t k = 0; k < e->outputs && *count > 0; k++) mean[k] /= (double)*count;
done:
    return status;
}

static rob_status measure_forecasts(const rob_model *model, const rob_data *data, forecast_errors *s)
{
    rob_status status;
    example e = { .x = NULL };
    double *mean = NULL;
    int64_t targets;
    *s = (forecast_errors){ .series = 0 };
    TRY(rob_model_shape(ctx, model, NULL, NULL, &e.outputs));
    e.y = calloc((size_t)e.outputs, sizeof *e.y);
    e.f = calloc((size_t)e.outputs, sizeof *e.f);
    mean = calloc((size_t)e.outputs, sizeof *mean);
    if (e.y == NULL || e.f == NULL || mean == NULL) {
        status = -1;
        complain("no memory for forecasts");
        goto done;
    }
    TRY(mean_targets(data, &e, mean, &s->series));
    for (int64_t i = 0; i < rob_data_count(data); i++) {
        TRY(read_example(data, i, &e, &targets));
        if (targets == 0) continue;
        TRY(rob_model_predict(ctx, model, e.x, e.steps, e.f, e.outputs));
        add_errors(&e, mean, s);
    }
    double n = (double)(s->series * e.outputs);
    s->model /= n, s->mean /= n, s->last /= n, s->zero /= n;
done:
    free(e.x);
    free(e.y);
    free(e.f);
    free(mean);
    return status;
}

static rob_status print_errors(const char *what, const rob_model *model, const rob_data *data)
{
    forecast_errors s;
    rob_status status = measure_forecasts(model, data, &s);
    if (status < ROB_OK) return status;
    if (s.series == 0)
        printf("%s: %" PRId64 " series without targets\n", what, rob_data_count(data));
    else
        printf("%s: root mean square error %.5g on %" PRId64 " series (always their mean: %.5g, the last "
               "value again: %.5g, zero: %.5g)\n",
               what, sqrt(s.model), s.series, sqrt(s.mean), sqrt(s.last), sqrt(s.zero));
    return status;
}

rob_status json_errors(const rob_model *model, const rob_data *data)
{
    forecast_errors s;
    rob_status status = measure_forecasts(model, data, &s);
    if (status == ROB_OK && s.series > 0)
        printf(", \"with_targets\": %" PRId64 ", \"mean_squared_error\": %.9g, \"mean\": %.9g, "
               "\"last\": %.9g, \"zero\": %.9g\n", s.series, s.model, s.mean, s.last, s.zero);
    return status;
}

rob_status print_score(const char *what, const rob_model *model, const rob_data *data)
{
    return is_forecast(model) ? print_errors(what, model, data) : print_accuracy(what, model, data);
}
