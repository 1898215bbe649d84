/* data.h -- labelled sequences. */
#ifndef ROBUST_DATA_H
#define ROBUST_DATA_H
#include <robust/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct rob_data rob_data;
ROB_API rob_status rob_data_create(rob_ctx *ctx, rob_data **out);
ROB_API rob_status rob_data_set(rob_ctx *ctx, rob_data *data, const char *name, double value);
ROB_API rob_status rob_data_set_text(rob_ctx *ctx, rob_data *data, const char *name, const char *value);
ROB_API rob_status rob_data_read(rob_ctx *ctx, rob_data *data, const char *path);
/* "transits": count series of steps points from ctx's seed; options steps, noise, depth ... by rob_data_set before */
ROB_API rob_status rob_data_simulate(rob_ctx *ctx, rob_data *data, const char *what, int64_t count);
ROB_API rob_status rob_data_add(rob_ctx *ctx, rob_data *data, const double *x, int64_t steps, int64_t features, int64_t label);
/* move a stratified share (0,1) of the series into a new data set */
ROB_API rob_status rob_data_split(rob_ctx *ctx, rob_data *data, double share, rob_data **out);
ROB_API rob_status rob_data_save(rob_ctx *ctx, const rob_data *data, const char *path); /* UCR .tsv */
ROB_API int64_t rob_data_count(const rob_data *data);
ROB_API int64_t rob_data_classes(const rob_data *data);
ROB_API rob_status rob_data_get(rob_ctx *ctx, const rob_data *data, int64_t i, double *x, int64_t capacity, int64_t *steps, int64_t *features, int64_t *label);
ROB_API void rob_data_free(rob_data *data);
#ifdef __cplusplus
}
#endif
#endif
