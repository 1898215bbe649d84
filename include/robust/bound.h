/* bound.h -- certified lower bounds. */
#ifndef ROBUST_BOUND_H
#define ROBUST_BOUND_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct rob_bound rob_bound;
/* method: "interval", "crown", "auto" */
ROB_API rob_status rob_bound_create(rob_ctx *ctx, const char *method, rob_bound **out);
ROB_API rob_status rob_bound_set(rob_ctx *ctx, rob_bound *b, const char *name, double value);
ROB_API rob_status rob_bound_radius(rob_ctx *ctx, rob_bound *b, rob_query *q, double *lower, int64_t capacity);
ROB_API rob_status rob_bound_margin(rob_ctx *ctx, rob_bound *b, rob_query *q, double *lower, int64_t capacity);
ROB_API rob_status rob_bound_get(rob_ctx *ctx, const rob_bound *b, const char *what, int64_t i, double *out, int64_t capacity, int64_t *count);
ROB_API void rob_bound_free(rob_bound *b);
#ifdef __cplusplus
}
#endif
#endif
