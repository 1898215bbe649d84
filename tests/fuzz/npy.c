/* npy.c -- any bytes as an NPY array. */
#include "fuzz/replay.h"
#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rob_ctx *ctx;
    rob_array a;
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    if (rob_priv_npy_parse(ctx, bytes, (int64_t)count, "fuzz", &a) == ROB_OK)
        rob_priv_release(&ctx->memory, a.at);
    rob_ctx_free(ctx);
    return 0;
}
