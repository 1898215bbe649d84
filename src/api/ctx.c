/* ctx.c -- the public side of the context: arguments checked, fields set. */
#include "core/core.h"
#include "core/pool.h"
#include "la/la.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 1024 };

_Static_assert(ATOMIC_INT_LOCK_FREE == 2,
               "rob_ctx_cancel is called by signal handlers");

static void *from_malloc(void *user, int64_t bytes)
{
    (void)user;
    return malloc((size_t)bytes);
}

static void to_free(void *user, void *p)
{
    (void)user;
    free(p);
}

rob_status rob_ctx_create(rob_ctx **out)
{
    return rob_ctx_create_with(from_malloc, to_free, NULL, out);
}

rob_status rob_ctx_create_with(void *(*allocate)(void *user, int64_t bytes),
                               void (*release)(void *user, void *p), void *user,
                               rob_ctx **out)
{
    if (!out) return ROB_EARGUMENT;
    *out = NULL;
    if (!allocate || !release) return ROB_EARGUMENT;
    rob_memory memory = { allocate, release, user };
    rob_ctx *ctx = rob_priv_allocate(&memory, 1, (int64_t)sizeof *ctx);
    if (!ctx) return ROB_EMEMORY;
    ctx->memory = memory;
    ctx->threads = 1;
    ctx->isa = rob_priv_isa_best();
    atomic_init(&ctx->cancelled, 0);
    *out = ctx;
    return ROB_OK;
}

void rob_ctx_free(rob_ctx *ctx)
{
    if (!ctx) return;
    rob_priv_pool_free(ctx);
    rob_memory memory = ctx->memory;
    rob_priv_release(&memory, ctx);
}

const char *rob_ctx_error(const rob_ctx *ctx)
{
    return ctx ? ctx->error : "there is no context";
}

rob_status rob_ctx_set_seed(rob_ctx *ctx, uint64_t seed)
{
    if (!ctx) return ROB_EARGUMENT;
    ctx->seed = seed;
    return ROB_OK;
}

static int32_t processors(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > THREADS_MAX ? THREADS_MAX : (int32_t)online;
}

rob_status rob_ctx_set_threads(rob_ctx *ctx, int32_t workers)
{
    if (!ctx) return ROB_EARGUMENT;
    if (workers < 0 || workers > THREADS_MAX)
        return rob_priv_fail(ctx, ROB_EARGUMENT,
                             "workers is %d; allowed is 0 (one a processor) to %d",
                             (int)workers, THREADS_MAX);
    int32_t wanted = workers ? workers : processors();
    if (wanted != ctx->threads) rob_priv_pool_free(ctx);
    ctx->threads = wanted;
    return ROB_OK;
}

rob_status rob_ctx_set_memory(rob_ctx *ctx, int64_t bytes)
{
    if (!ctx) return ROB_EARGUMENT;
    if (bytes < 0)
        return rob_priv_fail(ctx, ROB_EARGUMENT,
                             "bytes is %lld; allowed is 0 (no cap) or more",
                             (long long)bytes);
    ctx->memory_cap = bytes;
    return ROB_OK;
}

rob_status rob_ctx_set_deadline(rob_ctx *ctx, double seconds)
{
    if (!ctx) return ROB_EARGUMENT;
    if (!(seconds >= 0))
        return rob_priv_fail(ctx, ROB_EDOMAIN,
                             "seconds is %g; allowed is 0 (none) or more", seconds);
    bool none = seconds == 0 || isinf(seconds);
    ctx->deadline = none ? 0 : rob_priv_clock() + seconds;
    return ROB_OK;
}

/* ---- options that are words ------------------------------------------------------ */

static int32_t isa_by_name(const char *name)
{
    if (strcmp(name, "auto") == 0) return rob_priv_isa_best();
    for (int32_t isa = 0; isa < ROB_ISA_COUNT; isa++)
        if (strcmp(name, rob_priv_isa_name(isa)) == 0) return isa;
    return -1;
}

static rob_status set_isa(rob_ctx *ctx, const char *value)
{
    int32_t isa = isa_by_name(value);
    if (isa < 0)
        return rob_priv_fail(ctx, ROB_EARGUMENT,
                             "isa is '%.40s'; allowed are auto, generic, avx2, avx512",
                             value);
    if (isa > rob_priv_isa_best())
        return rob_priv_fail(ctx, ROB_EUNSUPPORTED,
                             "isa is '%s'; this processor and build go up to %s", value,
                             rob_priv_isa_name(rob_priv_isa_best()));
    ctx->isa = isa;
    rob_priv_log(ctx, 1, "isa: %s is used", rob_priv_isa_name(isa));
    return ROB_OK;
}

rob_status rob_ctx_set_text(rob_ctx *ctx, const char *name, const char *value)
{
    if (!ctx) return ROB_EARGUMENT;
    if (!name || !value)
        return rob_priv_fail(ctx, ROB_EARGUMENT, "%s is NULL", name ? "value" : "name");
    if (strcmp(name, "isa") == 0) return set_isa(ctx, value);
    return rob_priv_fail(ctx, ROB_EARGUMENT, "no option '%.60s'; there is: isa", name);
}

/* ---- talking to the host --------------------------------------------------------- */

rob_status rob_ctx_set_progress(rob_ctx *ctx,
                                int32_t (*step)(void *user, const char *stage,
                                                int64_t done, int64_t total),
                                void *user)
{
    if (!ctx) return ROB_EARGUMENT;
    ctx->progress = step;
    ctx->progress_user = user;
    return ROB_OK;
}

rob_status rob_ctx_set_log(rob_ctx *ctx,
                           void (*line)(void *user, int32_t level, const char *text),
                           void *user)
{
    if (!ctx) return ROB_EARGUMENT;
    ctx->log = line;
    ctx->log_user = user;
    return ROB_OK;
}

void rob_ctx_cancel(rob_ctx *ctx)
{
    if (ctx) atomic_store(&ctx->cancelled, 1);
}
