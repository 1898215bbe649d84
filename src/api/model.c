/* model.c -- the public face of a model: check arguments, call, report. */
#include "model/parts.h"

#include <math.h>
#include <string.h>

static rob_status null_argument(rob_ctx *ctx, const char *name)
{
    return rob_priv_fail(ctx, ROB_EARGUMENT, "%s is NULL", name);
}

rob_status rob_model_load(rob_ctx *ctx, const char *path, const char *recipe,
                          rob_model **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    return rob_priv_leave(ctx, rob_priv_model_open(ctx, path, recipe, out));
}

rob_status rob_model_load_bytes(rob_ctx *ctx, const void *bytes, int64_t count,
                                const char *recipe, rob_model **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (bytes == NULL) return null_argument(ctx, "bytes");
    if (count < 0)
        return rob_priv_fail(ctx, ROB_EARGUMENT, "count is %lld; it must be at least 0",
                             (long long)count);
    return rob_priv_leave(
        ctx, rob_priv_model_read(ctx, bytes, count, "(bytes)", recipe, out));
}

rob_status rob_model_create(rob_ctx *ctx, const char *recipe, rob_model **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    return rob_priv_model_random(ctx, recipe, out);
}

rob_status rob_model_from_callback(rob_ctx *ctx, int64_t features, int64_t outputs,
                                   rob_model_logits logits, rob_model_pullback pullback,
                                   void *user, rob_model **out)
{
    rob_status status = ROB_OK;
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (logits == NULL) return null_argument(ctx, "logits");
    CHECK(features >= 1 && outputs >= 1 && features < INT32_MAX && outputs < INT32_MAX,
          ctx, ROB_ESHAPE, "features is %lld and outputs %lld; both are at least 1",
          (long long)features, (long long)outputs);
    TRY(rob_priv_model_wrap(ctx, features, outputs, logits, pullback, user, out));
done:
    return status;
}

rob_status rob_model_with_front(rob_ctx *ctx, const rob_model *model,
                                const char *front, double scale, rob_model **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (model == NULL) return null_argument(ctx, "model");
    if (front == NULL) return null_argument(ctx, "front");
    return rob_priv_model_front(ctx, model, front, scale, out);
}

rob_status rob_model_save(rob_ctx *ctx, const rob_model *model, const char *path)
{
    if (ctx == NULL) return ROB_EARGUMENT;
    if (model == NULL) return null_argument(ctx, "model");
    return rob_priv_leave(ctx, rob_priv_model_write(ctx, model, path));
}

rob_status rob_model_shape(rob_ctx *ctx, const rob_model *model, int64_t *steps,
                           int64_t *features, int64_t *outputs)
{
    if (model == NULL) return null_argument(ctx, "model");
    if (steps != NULL) *steps = model->steps;
    if (features != NULL) *features = model->recipe.features;
    if (outputs != NULL) *outputs = model->recipe.outputs;
    return ROB_OK;
}

static rob_status check_series(rob_ctx *ctx, const rob_model *model, const double *x,
                               int64_t steps)
{
    rob_status status = ROB_OK;
    int64_t count;
    CHECK(model->steps == 0 || steps == model->steps, ctx, ROB_ESHAPE,
          "steps is %lld; the model takes %lld", (long long)steps,
          (long long)model->steps);
    CHECK(steps >= 1 && !__builtin_mul_overflow(steps, model->recipe.features, &count),
          ctx, ROB_ESHAPE, "steps is %lld; it must be at least 1", (long long)steps);
    for (int64_t i = 0; i < count; i++)
        CHECK(isfinite(x[i]), ctx, ROB_EDOMAIN, "x[%lld] is %g; it must be finite",
              (long long)i, x[i]);
done:
    return status;
}

rob_status rob_model_predict(rob_ctx *ctx, const rob_model *model, const double *x,
                             int64_t steps, double *y, int64_t capacity)
{
    rob_status status = ROB_OK;
    double *logits = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (model == NULL) return null_argument(ctx, "model");
    if (x == NULL) return null_argument(ctx, "x");
    if (y == NULL) return null_argument(ctx, "y");
    int64_t outputs = model->recipe.outputs;
    CHECK(capacity >= outputs, ctx, ROB_ESHAPE,
          "capacity is %lld; the model has %lld outputs", (long long)capacity,
          (long long)outputs);
    TRY(check_series(ctx, model, x, steps));
    logits = rob_priv_allocate(&ctx->memory, outputs, (int64_t)sizeof *logits);
    if (logits == NULL) return rob_priv_no_memory(ctx);
    TRY(rob_priv_model_evaluate(ctx, model, x, 1, steps, logits));
    memcpy(y, logits, (size_t)outputs * sizeof *y);
done:
    rob_priv_release(&ctx->memory, logits);
    return rob_priv_leave(ctx, status);
}

rob_status rob_model_describe(rob_ctx *ctx, const rob_model *model, char *text,
                              int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    rob_text t = { 0 };
    if (model == NULL) return null_argument(ctx, "model");
    rob_priv_model_tell(model, &t);
    rob_priv_text_add(&model->memory, &t, "", 1);
    if (t.failed) {
        status = rob_priv_no_memory(ctx);
        goto done;
    }
    CHECK(text == NULL || capacity >= t.count, ctx, ROB_ESHAPE,
          "capacity is %lld; the description has %lld characters with its final zero",
          (long long)capacity, (long long)t.count);
    if (text != NULL) memcpy(text, t.at, (size_t)t.count);
    if (count != NULL) *count = t.count;
done:
    rob_priv_release(&model->memory, t.at);
    return status;
}

rob_status rob_model_get(rob_ctx *ctx, const rob_model *model, const char *name,
                         double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (model == NULL) return null_argument(ctx, "model");
    if (name == NULL) return null_argument(ctx, "name");
    int32_t k = rob_priv_model_find(model, name);
    CHECK(model->parameters > 0, ctx, ROB_EARGUMENT,
          "the model has no tensors by name; '%.95s' was asked for", name);
    CHECK(k >= 0, ctx, ROB_EARGUMENT,
          "the model has no tensor '%.95s'; it has '%s' ... '%s'", name,
          model->parameter[0].name, model->parameter[model->parameters - 1].name);
    const rob_tensor *t = model->parameter[k].tensor;
    int64_t size = rob_priv_shape_size(&t->shape);
    CHECK(out == NULL || capacity >= size, ctx, ROB_ESHAPE,
          "capacity is %lld; tensor '%s' has %lld numbers", (long long)capacity, name,
          (long long)size);
    for (int64_t i = 0; out != NULL && i < size; i++) out[i] = rob_priv_tensor_at(t, i);
    if (count != NULL) *count = size;
done:
    return status;
}

rob_status rob_model_with(rob_ctx *ctx, const rob_model *model, const char *name,
                          const double *values, int64_t count, rob_model **out)
{
    if (out == NULL) return null_argument(ctx, "out");
    *out = NULL;
    if (ctx == NULL) return ROB_EARGUMENT;
    if (model == NULL) return null_argument(ctx, "model");
    if (name == NULL) return null_argument(ctx, "name");
    if (values == NULL) return null_argument(ctx, "values");
    return rob_priv_model_replace(ctx, model, name, values, count, out);
}
