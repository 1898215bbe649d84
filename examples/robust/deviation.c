/* deviation.c -- models of values, not of classes: how far a forecast is pushed. */
#include "robust.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OUTPUTS = 1024 };

bool is_forecast(const rob_model *model)
{
    int64_t n = 0;
    bool yes = false;
    if (rob_model_describe(ctx, model, NULL, 0, &n) < ROB_OK) return false;
    char *text = malloc((size_t)n);
    if (text != NULL && rob_model_describe(ctx, model, text, n, NULL) == ROB_OK)
        yes = strstr(text, " task=forecast") != NULL;
    free(text);
    return yes;
}

/* "0,3,5"; -1: no such list */
static int64_t read_outputs(const char *text, int64_t *out)
{
    int64_t n = 0;
    for (const char *at = text;; at++) {
        char *end;
        errno = 0;
        long long v = strtoll(at, &end, 10);
        if (end == at || errno != 0 || n == MOST_OUTPUTS) return -1;
        out[n++] = v;
        if (*end == 0) return n;
        if (*end != ',') return -1;
        at = end;
    }
}

rob_status ask_deviation(const arguments *a, rob_query *q)
{
    static const char *const NAME[] = { "down", "either", "up" };
    int64_t output[MOST_OUTPUTS], n = 0;
    int k = 0;
    while (k < 3 && strcmp(a->direction, NAME[k]) != 0) k++;
    if (k == 3)
        return complain("--direction is up, down or either, not '%s'", a->direction), -1;
    if (a->output != NULL) n = read_outputs(a->output, output);
    if (n < 0)
        return complain("--output takes numbers with commas, not '%s'", a->output), -1;
    if (isinf(a->radius) && a->tolerance == 0)
        return complain("the model is a forecast: --radius asks how far it moves within, "
                        "--tolerance how near it moves by so much"), -1;
    return rob_query_set_deviation(ctx, q, n > 0 ? output : NULL, n, k - 1, a->tolerance);
}

/* Outputs of series i, a line. */
static rob_status print_forecast(const rob_model *model, const rob_data *data, int64_t i,
                                 bool json)
{
    rob_status status;
    int64_t steps, features, n;
    double *x = NULL, *f = NULL;
    TRY(rob_data_get(ctx, data, i, NULL, 0, &steps, &features, NULL));
    TRY(rob_model_shape(ctx, model, NULL, NULL, &n));
    x = calloc((size_t)(steps * features), sizeof *x);
    f = calloc((size_t)n, sizeof *f);
    if (x == NULL || f == NULL) {
        complain("out of memory");
        status = ROB_EMEMORY;
    }
    if (status == ROB_OK)
        status = rob_data_get(ctx, data, i, x, steps * features, NULL, NULL, NULL);
    if (status == ROB_OK) status = rob_model_predict(ctx, model, x, steps, f, n);
    if (status == ROB_OK && !json) printf("series %3" PRId64 ":", i);
    for (int64_t k = 0; status == ROB_OK && k < n; k++)
        printf(json ? "%s%.9g" : "%s %.6g", json ? (k ? ", " : "[") : "", f[k]);
    if (status == ROB_OK && json) fputc(']', stdout);
done:
    free(x);
    free(f);
    return status;
}

rob_status print_forecasts(const rob_model *model, const rob_data *data, bool json)
{
    rob_status status = ROB_OK;
    int64_t n = rob_data_count(data);
    if (json) puts("{\"forecasts\": [");
    for (int64_t i = 0; i < n; i++) {
        TRY(print_forecast(model, data, i, json));
        puts(json && i + 1 < n ? "," : "");
    }
    if (json) puts("]");
    if (json) TRY(json_errors(model, data));
    if (json) puts("}");
done:
    return status;
}
