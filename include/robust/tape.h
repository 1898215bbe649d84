/* tape.h -- differentiable programs over tensors. */
#ifndef ROBUST_TAPE_H
#define ROBUST_TAPE_H
#include <robust/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct rob_tape rob_tape;
typedef int32_t rob_var;
ROB_API rob_status rob_tape_create(rob_ctx *ctx, int32_t dtype, rob_tape **out);
ROB_API rob_status rob_tape_input(rob_ctx *ctx, rob_tape *t, const int64_t *shape, int32_t rank, rob_var *out);
ROB_API rob_status rob_tape_constant(rob_ctx *ctx, rob_tape *t, const double *values, const int64_t *shape, int32_t rank, rob_var *out);
ROB_API rob_status rob_tape_apply(rob_ctx *ctx, rob_tape *t, const char *op, const rob_var *in, int32_t count, rob_var *out);
/* operators with numbers: "affine" {scale, shift}, "reshape" {dims}, "split" {axis, first, count}, "permute" {order}, ... */
ROB_API rob_status rob_tape_apply_with(rob_ctx *ctx, rob_tape *t, const char *op, const rob_var *in, int32_t count, const double *number, int32_t numbers, rob_var *out);
ROB_API rob_status rob_tape_gradient(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x, rob_var *out);
ROB_API rob_status rob_tape_vjp(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x, rob_var w, rob_var *out);
ROB_API rob_status rob_tape_jvp(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x, rob_var v, rob_var *out);
ROB_API rob_status rob_tape_set(rob_ctx *ctx, rob_tape *t, rob_var x, const double *values, int64_t count);
ROB_API rob_status rob_tape_run(rob_ctx *ctx, rob_tape *t, const rob_var *want, int32_t count);
ROB_API rob_status rob_tape_get(rob_ctx *ctx, const rob_tape *t, rob_var y, double *out, int64_t capacity, int64_t *count);
ROB_API void rob_tape_free(rob_tape *t);
#ifdef __cplusplus
}
#endif
#endif
