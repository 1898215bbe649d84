/* gzip.c -- any bytes as a gzip file, and behind a gzip header as a deflate stream, whose
 * checksum would otherwise stop nearly every change.
 */
#include "fuzz/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const fuzz_option option[] = { { NULL, NULL, 0 } };
    rob_ctx *ctx;
    rob_bytes out;
    fuzz_read(bytes, count, option);
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    for (int64_t size = 0; size < 70000; size = 8 * size + 7)
        if (rob_priv_inflate(ctx, bytes, (int64_t)count, size, "fuzz", &out) == ROB_OK)
            rob_priv_io_release(&ctx->memory, &out);
    rob_ctx_free(ctx);
    return 0;
}
