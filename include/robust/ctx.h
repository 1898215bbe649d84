/* ctx.h -- the context: one thread's workspace. */
#ifndef ROBUST_CTX_H
#define ROBUST_CTX_H
#include <robust/status.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct rob_ctx rob_ctx;

ROB_API rob_status rob_ctx_create(rob_ctx **out);
ROB_API rob_status rob_ctx_create_with(void *(*allocate)(void *user, int64_t bytes),
                                       void (*release)(void *user, void *p), void *user,
                                       rob_ctx **out);
ROB_API void rob_ctx_free(rob_ctx *ctx);
ROB_API const char *rob_ctx_error(const rob_ctx *ctx);
ROB_API rob_status rob_ctx_set_seed(rob_ctx *ctx, uint64_t seed);
ROB_API rob_status rob_ctx_set_threads(rob_ctx *ctx, int32_t workers);
ROB_API rob_status rob_ctx_set_memory(rob_ctx *ctx, int64_t bytes);
ROB_API rob_status rob_ctx_set_deadline(rob_ctx *ctx, double seconds);
ROB_API rob_status rob_ctx_set_text(rob_ctx *ctx, const char *name, const char *value);
ROB_API rob_status rob_ctx_set_progress(rob_ctx *ctx,
    int32_t (*step)(void *user, const char *stage, int64_t done, int64_t total), void *user);
ROB_API rob_status rob_ctx_set_log(rob_ctx *ctx,
    void (*line)(void *user, int32_t level, const char *text), void *user);
ROB_API void rob_ctx_cancel(rob_ctx *ctx);
ROB_API const char *rob_version(void);
ROB_API const char *rob_build_info(void);

#ifdef __cplusplus
}
#endif
#endif
