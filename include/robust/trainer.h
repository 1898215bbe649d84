/* trainer.h -- fits a model. */
#ifndef ROBUST_TRAINER_H
#define ROBUST_TRAINER_H
#include <robust/model.h>
#include <robust/data.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct rob_trainer rob_trainer;
ROB_API rob_status rob_trainer_create(rob_ctx *ctx, rob_trainer **out);
/* epochs, rate, batch, patience, decay, clip */
ROB_API rob_status rob_trainer_set(rob_ctx *ctx, rob_trainer *t, const char *name, double value);
/* start from `model`, fit on train, stop early on valid (may be NULL); *out is a new model */
ROB_API rob_status rob_trainer_run(rob_ctx *ctx, rob_trainer *t, const rob_model *model, const rob_data *train, const rob_data *valid, rob_model **out);
ROB_API rob_status rob_trainer_get(rob_ctx *ctx, const rob_trainer *t, const char *what, double *out, int64_t capacity, int64_t *count);
ROB_API void rob_trainer_free(rob_trainer *t);
#ifdef __cplusplus
}
#endif
#endif
