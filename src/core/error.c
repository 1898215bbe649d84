/* error.c -- the error line, the log, progress and the cancel latch.
 *
 * The latch has three states: CLEAR, ASKED (by rob_ctx_cancel), NOTICED (the running
 * call has seen it, or found the deadline or the callback's wish itself).
 * rob_priv_leave clears a noticed latch; a cancel that came too late for one call stops
 * the next.
 */
#include "core/core.h"
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { CLEAR, ASKED, NOTICED };

static void keep_to_one_line(char *line)
{
    for (; *line; line++)
        if ((unsigned char)*line < 0x20) *line = ' ';
}

rob_status rob_priv_fail(rob_ctx *ctx, rob_status code, const char *format, ...)
{
    if (!ctx) return code;
    char line[sizeof ctx->error]; /* an argument may be the old error text */
    va_list list;
    va_start(list, format);
    rob_priv_format(line, sizeof line, format, list);
    va_end(list);
    keep_to_one_line(line);
    snprintf(ctx->error, sizeof ctx->error, "%s", line);
    return code;
}

rob_status rob_priv_no_memory(rob_ctx *ctx)
{
    return rob_priv_fail(ctx, ROB_EMEMORY, "out of memory: the allocator gave none");
}

void rob_priv_log(rob_ctx *ctx, int32_t level, const char *format, ...)
{
    if (!ctx || !ctx->log) return;
    char line[512];
    va_list list;
    va_start(list, format);
    rob_priv_format(line, sizeof line, format, list);
    va_end(list);
    keep_to_one_line(line);
    ctx->log(ctx->log_user, level, line);
}

double rob_priv_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool past_deadline(const rob_ctx *ctx)
{
    return ctx->deadline > 0 && rob_priv_clock() >= ctx->deadline;
}

rob_status rob_priv_progress(rob_ctx *ctx, const char *stage, int64_t done,
                             int64_t total)
{
    bool stop = rob_priv_cancelled(ctx) || past_deadline(ctx)
                || (ctx->progress
                    && ctx->progress(ctx->progress_user, stage, done, total) != 0);
    if (!stop) return ROB_OK;
    atomic_store(&ctx->cancelled, NOTICED);
    return ROB_STOPPED;
}

bool rob_priv_cancelled(const rob_ctx *ctx)
{
    return atomic_load_explicit(&ctx->cancelled, memory_order_relaxed) != CLEAR;
}

rob_status rob_priv_leave(rob_ctx *ctx, rob_status status)
{
    if (ctx && (status == ROB_STOPPED || atomic_load(&ctx->cancelled) == NOTICED))
        atomic_store(&ctx->cancelled, CLEAR);
    return status;
}
