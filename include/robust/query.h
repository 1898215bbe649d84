/* query.h -- the question. */
#ifndef ROBUST_QUERY_H
#define ROBUST_QUERY_H
#include <robust/model.h>
#include <robust/data.h>
#ifdef __cplusplus
extern "C" {
#endif
enum { ROB_UNITS_MODEL = 0, ROB_UNITS_DATA = 1 };
enum { ROB_REFERENCE_PREDICTION = 0, ROB_REFERENCE_LABEL = 1 };
typedef struct rob_query rob_query;
ROB_API rob_status rob_query_create(rob_ctx *ctx, const rob_model *model, rob_query **out);
ROB_API rob_status rob_query_add(rob_ctx *ctx, rob_query *q, const double *x, int64_t steps, int64_t label);
ROB_API rob_status rob_query_add_data(rob_ctx *ctx, rob_query *q, const rob_data *data, int64_t first, int64_t count);
ROB_API rob_status rob_query_replace(rob_ctx *ctx, rob_query *q, int64_t i, const double *x, int64_t steps, int64_t label);
ROB_API int64_t rob_query_count(const rob_query *q);
ROB_API rob_status rob_query_set_ball(rob_ctx *ctx, rob_query *q, int32_t norm, double radius);
ROB_API rob_status rob_query_set_units(rob_ctx *ctx, rob_query *q, int32_t units);
ROB_API rob_status rob_query_set_mask(rob_ctx *ctx, rob_query *q, int64_t i, const uint8_t *mask, int64_t count);
ROB_API rob_status rob_query_set_reference(rob_ctx *ctx, rob_query *q, int32_t reference);
ROB_API rob_status rob_query_set_target(rob_ctx *ctx, rob_query *q, int64_t i, int64_t target);
ROB_API rob_status rob_query_set_rows(rob_ctx *ctx, rob_query *q, const double *c, const double *b, const int32_t *group, int64_t rows);
ROB_API rob_status rob_query_get(rob_ctx *ctx, const rob_query *q, const char *what, int64_t i, double *out, int64_t capacity, int64_t *count);
ROB_API void rob_query_free(rob_query *q);
#ifdef __cplusplus
}
#endif
#endif
