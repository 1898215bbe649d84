/* tsv.c -- any bytes as a data file, in every role, one after the other. */
#include "fuzz/replay.h"
#include "data/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const char *const role[] = { "auto", "series", "label", "table" };
    rob_ctx *ctx;
    rob_data *data;
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    if (rob_data_create(ctx, &data) == ROB_OK) {
        for (int k = 0; k < 4; k++) {
            rob_data_set_text(ctx, data, "role", role[k]);
            rob_priv_data_read(ctx, data, bytes, (int64_t)count, "fuzz");
        }
        rob_data_free(data);
    }
    rob_ctx_free(ctx);
    return 0;
}
