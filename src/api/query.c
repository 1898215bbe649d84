/* query.c -- the public side of the query: arguments checked, then src/query. */
#include "query/query.h"
#include "data/data.h"

#include <math.h>
#include <string.h>

rob_status rob_query_create(rob_ctx *ctx, const rob_model *model, rob_query **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(model, ctx, ROB_EARGUMENT, "model is NULL");
    TRY(rob_priv_query_create(ctx, model, out));
done:
    return status;
}

static rob_status check_index(rob_ctx *ctx, const rob_query *q, int64_t i)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    CHECK(i >= 0 && i < q->count, ctx, ROB_EARGUMENT,
          "series %lld of the query was asked for; it has %lld, counted from 0",
          (long long)i, (long long)q->count);
done:
    return status;
}

rob_status rob_query_add(rob_ctx *ctx, rob_query *q, const double *x, int64_t steps,
                         int64_t label)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    CHECK(x, ctx, ROB_EARGUMENT, "x is NULL");
    TRY(rob_priv_query_append(ctx, q, x, steps, label));
done:
    return status;
}

rob_status rob_query_add_data(rob_ctx *ctx, rob_query *q, const rob_data *data,
                              int64_t first, int64_t count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q && data, ctx, ROB_EARGUMENT, "%s is NULL", q ? "data" : "query");
    int64_t before = q->count;
    CHECK(first >= 0 && count >= 0 && first <= data->count
              && count <= data->count - first,
          ctx, ROB_EARGUMENT,
          "series %lld to %lld were asked for; the data set has %lld", (long long)first,
          (long long)first + count - 1, (long long)data->count);
    CHECK(count == 0 || data->features == q->model->recipe.features, ctx, ROB_ESHAPE,
          "the data set has %lld features a step; the model takes %lld",
          (long long)data->features, (long long)q->model->recipe.features);
    for (int64_t i = first; i < first + count && status >= ROB_OK; i++)
        status = rob_priv_query_append(ctx, q, data->series[i].x, data->series[i].steps,
                                       data->series[i].label);
    if (status < ROB_OK) rob_priv_query_truncate(q, before);
done:
    return status;
}

rob_status rob_query_replace(rob_ctx *ctx, rob_query *q, int64_t i, const double *x,
                             int64_t steps, int64_t label)
{
    rob_status status = ROB_OK;
    TRY(check_index(ctx, q, i));
    CHECK(x, ctx, ROB_EARGUMENT, "x is NULL");
    TRY(rob_priv_query_replace(ctx, q, i, x, steps, label));
done:
    return status;
}

int64_t rob_query_count(const rob_query *q) { return q ? q->count : 0; }

rob_status rob_query_set_ball(rob_ctx *ctx, rob_query *q, int32_t norm, double radius)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    CHECK(norm == ROB_NORM_L0 || norm == ROB_NORM_L1 || norm == ROB_NORM_L2
              || norm == ROB_NORM_LINF,
          ctx, ROB_EARGUMENT,
          "norm is %d; allowed are ROB_NORM_L0, ROB_NORM_L1, ROB_NORM_L2, ROB_NORM_LINF",
          (int)norm);
    CHECK(radius >= 0, ctx, ROB_EDOMAIN, "radius is %g; allowed is 0 to INFINITY",
          radius);
    if (norm != q->norm) rob_priv_query_forget(q);
    q->norm = norm;
    q->radius = radius;
done:
    return status;
}

rob_status rob_query_set_units(rob_ctx *ctx, rob_query *q, int32_t units)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    CHECK(units == ROB_UNITS_MODEL || units == ROB_UNITS_DATA, ctx, ROB_EARGUMENT,
          "units is %d; allowed are ROB_UNITS_MODEL, ROB_UNITS_DATA", (int)units);
    q->units = units;
done:
    return status;
}

rob_status rob_query_set_mask(rob_ctx *ctx, rob_query *q, int64_t i,
                              const uint8_t *mask, int64_t count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    if (i != -1) TRY(check_index(ctx, q, i));
    CHECK(!mask || count > 0, ctx, ROB_ESHAPE, "count is %lld; a mask has at least 1",
          (long long)count);
    TRY(rob_priv_query_mask(ctx, q, i, mask, count));
done:
    return status;
}

rob_status rob_query_set_reference(rob_ctx *ctx, rob_query *q, int32_t reference)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    CHECK(reference == ROB_REFERENCE_PREDICTION || reference == ROB_REFERENCE_LABEL,
          ctx, ROB_EARGUMENT,
          "reference is %d; allowed are ROB_REFERENCE_PREDICTION, ROB_REFERENCE_LABEL",
          (int)reference);
    q->reference = reference;
    rob_priv_query_forget(q);
done:
    return status;
}

rob_status rob_query_set_target(rob_ctx *ctx, rob_query *q, int64_t i, int64_t target)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    if (i != -1) TRY(check_index(ctx, q, i));
    int64_t outputs = q->model->recipe.outputs;
    CHECK(target >= -1 && target < outputs, ctx, ROB_EARGUMENT,
          "target is %lld; the model knows 0 to %lld, and -1 says none",
          (long long)target, (long long)(outputs - 1));
    for (int64_t k = 0; k < q->count; k++)
        if (i == -1 || k == i) q->cases[k].target = target;
    rob_priv_query_forget(q);
done:
    return status;
}

static rob_status check_rows(rob_ctx *ctx, const rob_query *q, const double *c,
                             const double *b, const int32_t *group, int64_t rows)
{
    rob_status status = ROB_OK;
    int64_t outputs = q->model->recipe.outputs;
    CHECK(rows >= 0 && rows <= INT32_MAX / outputs, ctx, ROB_ESHAPE,
          "rows is %lld; allowed is 0 (none) to %lld", (long long)rows,
          (long long)(INT32_MAX / outputs));
    CHECK(rows == 0 || c, ctx, ROB_EARGUMENT, "c is NULL");
    for (int64_t k = 0; k < rows * outputs; k++)
        CHECK(isfinite(c[k]), ctx, ROB_EDOMAIN, "c[%lld] is not finite", (long long)k);
    for (int64_t r = 0; r < rows; r++) {
        CHECK(!b || isfinite(b[r]), ctx, ROB_EDOMAIN, "b[%lld] is not finite",
              (long long)r);
        CHECK(!group || r == 0 || group[r] >= group[r - 1], ctx, ROB_EARGUMENT,
              "group[%lld] is %d after %d; groups are listed in ascending order",
              (long long)r, (int)group[r], (int)group[r - 1]);
    }
done:
    return status;
}

rob_status rob_query_set_rows(rob_ctx *ctx, rob_query *q, const double *c,
                              const double *b, const int32_t *group, int64_t rows)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    TRY(check_rows(ctx, q, c, b, group, rows));
    TRY(rob_priv_query_rows(ctx, q, c, b, group, rows));
done:
    return status;
}

rob_status rob_query_set_band(rob_ctx *ctx, rob_query *q, int64_t output, double below,
                              double above)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    CHECK(output >= -1 && output < q->model->recipe.outputs, ctx, ROB_EARGUMENT,
          "output is %lld; the model has %lld, counted from 0 (-1: no band)",
          (long long)output, (long long)q->model->recipe.outputs);
    CHECK(output < 0
              || (below < 0 && above > 0 && (isfinite(below) || isfinite(above))),
          ctx, ROB_EDOMAIN,
          "band is [%g, %g]; it must reach below and above 0, one side at most without "
          "end",
          below, above);
    TRY(rob_priv_query_around(ctx, q, output, below, above));
done:
    return status;
}

rob_status rob_query_set_deviation(rob_ctx *ctx, rob_query *q, const int64_t *outputs,
                                   int64_t count, int32_t direction, double tolerance)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    int64_t most = q->model->recipe.outputs;
    CHECK(!outputs || (count > 0 && count <= most), ctx, ROB_ESHAPE,
          "count is %lld; the model has %lld outputs (outputs NULL: all)",
          (long long)count, (long long)most);
    for (int64_t k = 0; outputs && k < count; k++)
        CHECK(outputs[k] >= 0 && outputs[k] < most, ctx, ROB_EARGUMENT,
              "outputs[%lld] is %lld; the model has %lld, counted from 0", (long long)k,
              (long long)outputs[k], (long long)most);
    CHECK(direction >= ROB_DOWN && direction <= ROB_UP, ctx, ROB_EARGUMENT,
          "direction is %d; allowed are ROB_UP, ROB_DOWN, ROB_EITHER", (int)direction);
    CHECK(tolerance >= 0 && isfinite(tolerance), ctx, ROB_EDOMAIN,
          "tolerance is %g; allowed is 0 and above, finite", tolerance);
    TRY(rob_priv_query_deviate(ctx, q, outputs, count, direction, tolerance));
done:
    return status;
}

/* ---- results by name ------------------------------------------------------------- */

static double get_prediction(const rob_query *q, int64_t i)
{
    return (double)q->cases[i].prediction;
}
static double get_margin(const rob_query *q, int64_t i) { return q->cases[i].margin; }
static double get_reference(const rob_query *q, int64_t i)
{
    return (double)q->cases[i].reference;
}
static double get_wrong(const rob_query *q, int64_t i) { return q->cases[i].wrong; }
static double get_best(const rob_query *q, int64_t i)
{
    return q->best[i] * rob_priv_query_unit(q);
}
static double get_label(const rob_query *q, int64_t i)
{
    return (double)q->cases[i].label;
}
static double get_steps(const rob_query *q, int64_t i)
{
    return (double)q->cases[i].steps;
}

/* rounded down: 2^-50 is more than the three roundings of the unit and the product */
static double get_proved(const rob_query *q, int64_t i)
{
    double unit = rob_priv_query_unit(q);
    return unit == 1 ? q->proved[i] : q->proved[i] * unit * (1 - 0x1p-50);
}

static const struct column {
    const char *name;
    double (*value)(const rob_query *q, int64_t i);
    bool needs_model;
} columns[] = {
    { "prediction", get_prediction, true },
    { "margin", get_margin, true },
    { "reference", get_reference, true },
    { "wrong", get_wrong, true },
    { "best", get_best, false },
    { "proved", get_proved, false },
    { "label", get_label, false },
    { "steps", get_steps, false },
};

static const struct column *column_named(const char *name)
{
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
        if (strcmp(columns[k].name, name) == 0) return &columns[k];
    return NULL;
}

/* "x" and "best_point": (T, D) numbers of one series */
static rob_status get_series(rob_ctx *ctx, const rob_query *q, const char *what,
                             int64_t i, double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    TRY(check_index(ctx, q, i));
    bool best = strcmp(what, "best_point") == 0;
    const double *from = best ? q->best_point[i] : q->cases[i].x;
    CHECK(!best || q->best[i] < INFINITY, ctx, ROB_EARGUMENT,
          "no attack has found a failing point of series %lld", (long long)i);
    int64_t size = q->cases[i].steps * q->model->recipe.features;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE,
          "capacity is %lld; %s of series %lld has %lld", (long long)capacity, what,
          (long long)i, (long long)size);
    if (out) memcpy(out, from, (size_t)size * sizeof *out);
    if (count) *count = size;
done:
    return status;
}

rob_status rob_query_get(rob_ctx *ctx, const rob_query *q, const char *what, int64_t i,
                         double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q && what, ctx, ROB_EARGUMENT, "%s is NULL", q ? "what" : "query");
    if (strcmp(what, "x") == 0 || strcmp(what, "best_point") == 0)
        return get_series(ctx, q, what, i, out, capacity, count);
    const struct column *column = column_named(what);
    CHECK(column, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'; there are prediction, margin, reference, wrong, "
          "best, proved, label, steps, x, best_point",
          what);
    if (i != -1) TRY(check_index(ctx, q, i));
    int64_t size = i == -1 ? q->count : 1, first = i == -1 ? 0 : i;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    if (out && column->needs_model) TRY(rob_priv_query_prepare(ctx, (rob_query *)q));
    for (int64_t k = 0; out && k < size; k++) out[k] = column->value(q, first + k);
    if (count) *count = size;
done:
    return status;
}

void rob_query_free(rob_query *q) { rob_priv_query_free(q); }
