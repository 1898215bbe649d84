/* data.c -- the public face of a data set: check arguments, call, report. */
#include "data/parts.h"

#include <string.h>

static rob_status null_argument(rob_ctx *ctx, const char *name)
{
    return rob_priv_fail(ctx, ROB_EARGUMENT, "%s is NULL", name);
}

rob_status rob_data_create(rob_ctx *ctx, rob_data **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    return ctx == NULL ? ROB_EARGUMENT : rob_priv_data_make(ctx, out);
}

rob_status rob_data_set(rob_ctx *ctx, rob_data *data, const char *name, double value)
{
    if (data == NULL) return null_argument(ctx, "data");
    if (name == NULL) return null_argument(ctx, "name");
    return rob_priv_data_option(ctx, data, name, value);
}

rob_status rob_data_set_text(rob_ctx *ctx, rob_data *data, const char *name,
                             const char *value)
{
    if (data == NULL) return null_argument(ctx, "data");
    if (name == NULL) return null_argument(ctx, "name");
    if (value == NULL) return null_argument(ctx, "value");
    return rob_priv_data_option_text(ctx, data, name, value);
}

rob_status rob_data_read(rob_ctx *ctx, rob_data *data, const char *path)
{
    rob_bytes bytes = { 0 };
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    rob_status status = rob_priv_io_read(ctx, path, ROB_IO_FILE_CAP, &bytes);
    if (status == ROB_OK)
        status = rob_priv_data_read(ctx, data, bytes.at, bytes.count, path);
    rob_priv_io_release(&ctx->memory, &bytes);
    return status;
}

rob_status rob_data_simulate(rob_ctx *ctx, rob_data *data, const char *what,
                             int64_t count)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    if (what == NULL) return null_argument(ctx, "what");
    const bool market = strcmp(what, "prices") == 0;
    CHECK(market || strcmp(what, "transits") == 0, ctx, ROB_EARGUMENT,
          "what is '%.60s'; \"transits\" and \"prices\" can be simulated", what);
    CHECK(count >= 0 && count <= 1 << 30, ctx, ROB_EARGUMENT,
          "count is %lld; allowed is 0 to 2^30", (long long)count);
    CHECK(market || data->count == 0 || data->features == 1, ctx, ROB_ESHAPE,
          "simulated series have 1 feature; those already there have %lld",
          (long long)data->features);
    TRY(market ? rob_priv_data_market(ctx, data, count)
               : rob_priv_data_transits(ctx, data, count));
done:
    return rob_priv_leave(ctx, status);
}

rob_status rob_data_add(rob_ctx *ctx, rob_data *data, const double *x, int64_t steps,
                        int64_t features, int64_t label)
{
    if (data == NULL) return null_argument(ctx, "data");
    if (x == NULL) return null_argument(ctx, "x");
    return rob_priv_data_append(ctx, data, x, steps, features, label);
}

rob_status rob_data_set_target(rob_ctx *ctx, rob_data *data, int64_t i,
                               const double *target, int64_t count)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    if (target == NULL && count != 0) return null_argument(ctx, "target");
    CHECK(i >= 0 && i < data->count, ctx, ROB_EARGUMENT,
          "i is %lld; the data set has %lld series, counted from 0", (long long)i,
          (long long)data->count);
    TRY(rob_priv_data_target(ctx, data, i, target, count));
done:
    return status;
}

rob_status rob_data_split(rob_ctx *ctx, rob_data *data, double share, rob_data **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    if (!(share > 0.0 && share < 1.0))
        return rob_priv_fail(ctx, ROB_EDOMAIN,
                             "share is %g; it must lie between 0 and 1", share);
    return rob_priv_data_part(ctx, data, share, out);
}

rob_status rob_data_split_time(rob_ctx *ctx, rob_data *data, double share,
                               rob_data **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    if (!(share > 0.0 && share < 1.0))
        return rob_priv_fail(ctx, ROB_EDOMAIN,
                             "share is %g; it must lie between 0 and 1", share);
    return rob_priv_data_part_time(ctx, data, share, out);
}

rob_status rob_data_normalize(rob_ctx *ctx, rob_data *data, const rob_data *like)
{
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    return rob_priv_data_fit(ctx, data, like);
}

rob_status rob_data_save(rob_ctx *ctx, const rob_data *data, const char *path)
{
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    return rob_priv_data_write(ctx, data, path);
}

int64_t rob_data_count(const rob_data *data) { return data != NULL ? data->count : 0; }
int64_t rob_data_classes(const rob_data *data)
{
    return data != NULL ? data->classes : 0;
}

rob_status rob_data_get(rob_ctx *ctx, const rob_data *data, int64_t i, double *x,
                        int64_t capacity, int64_t *steps, int64_t *features,
                        int64_t *label)
{
    rob_status status = ROB_OK;
    if (data == NULL) return null_argument(ctx, "data");
    CHECK(i >= 0 && i < data->count, ctx, ROB_EARGUMENT,
          "i is %lld; the data set has %lld series, counted from 0", (long long)i,
          (long long)data->count);
    const rob_series *s = &data->series[i];
    int64_t size = s->steps * data->features;
    CHECK(x == NULL || capacity >= size, ctx, ROB_ESHAPE,
          "capacity is %lld; series %lld has %lld numbers", (long long)capacity,
          (long long)i, (long long)size);
    if (x != NULL) memcpy(x, s->x, (size_t)size * sizeof *x);
    if (steps != NULL) *steps = s->steps;
    if (features != NULL) *features = data->features;
    if (label != NULL) *label = s->label;
done:
    return status;
}

static rob_status check_index(rob_ctx *ctx, const rob_data *data, int64_t i)
{
    if (i >= -1 && i < data->count) return ROB_OK;
    return rob_priv_fail(ctx, ROB_EARGUMENT,
                         "i is %lld; the data set has %lld series, counted from 0, and "
                         "-1 is the whole set",
                         (long long)i, (long long)data->count);
}

rob_status rob_data_about(rob_ctx *ctx, const rob_data *data, int64_t i,
                          const char *name, double *out, int64_t capacity,
                          int64_t *count)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    if (name == NULL) return null_argument(ctx, "name");
    TRY(check_index(ctx, data, i));
    TRY(rob_priv_data_about(ctx, data, i, name, out, capacity, count));
done:
    return status;
}

rob_status rob_data_about_text(rob_ctx *ctx, const rob_data *data, int64_t i,
                               const char *name, char *text, int64_t capacity,
                               int64_t *count)
{
    rob_status status = ROB_OK;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (data == NULL) return null_argument(ctx, "data");
    if (name == NULL) return null_argument(ctx, "name");
    TRY(check_index(ctx, data, i));
    TRY(rob_priv_data_about_text(ctx, data, i, name, text, capacity, count));
done:
    return status;
}
