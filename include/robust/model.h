/* model.h -- a sequence model. */
#ifndef ROBUST_MODEL_H
#define ROBUST_MODEL_H
#include <robust/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct rob_model rob_model;
ROB_API rob_status rob_model_load(rob_ctx *ctx, const char *path, const char *recipe, rob_model **out);
ROB_API rob_status rob_model_load_bytes(rob_ctx *ctx, const void *bytes, int64_t count, const char *recipe, rob_model **out);
/* "lstm features=1 hidden=32 outputs=2 layers=1 readout=last": PyTorch's uniform start from ctx's seed */
ROB_API rob_status rob_model_create(rob_ctx *ctx, const char *recipe, rob_model **out);
ROB_API rob_status rob_model_save(rob_ctx *ctx, const rob_model *model, const char *path);
ROB_API rob_status rob_model_shape(rob_ctx *ctx, const rob_model *model, int64_t *steps, int64_t *features, int64_t *outputs);
ROB_API rob_status rob_model_predict(rob_ctx *ctx, const rob_model *model, const double *x, int64_t steps, double *y, int64_t capacity);
ROB_API rob_status rob_model_describe(rob_ctx *ctx, const rob_model *model, char *text, int64_t capacity, int64_t *count);
/* copy tensor `name` ("lstm.weight_ih_l0", "fc.bias") out of / into a NEW model (models are immutable) */
ROB_API rob_status rob_model_get(rob_ctx *ctx, const rob_model *model, const char *name, double *out, int64_t capacity, int64_t *count);
ROB_API rob_status rob_model_with(rob_ctx *ctx, const rob_model *model, const char *name, const double *values, int64_t count, rob_model **out);
ROB_API rob_model *rob_model_ref(rob_model *model);
ROB_API void rob_model_free(rob_model *model);
#ifdef __cplusplus
}
#endif
#endif
