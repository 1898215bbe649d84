/* csv.c -- any bytes as a table with a header, in every role that reads one, folded,
 * windowed and scaled.
 */
#include "fuzz/replay.h"
#include "data/parts.h"

static const char *const texts[][2] = {
    { "labels", "no,yes" },
    { "fold", "meta bins=8" },
    { "normalize", "ppm,mad" },
    { "inputs", "return,range,volume" },
    { "target", "volatility" },
    { "role", "meta" },
    { "role", "series" },
    { "role", "prices" },
    { "fold", "" },
    { "normalize", "zscore" },
    { "role", "columns" },
    { "role", "table" },
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rob_ctx *ctx;
    rob_data *data;
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    if (rob_data_create(ctx, &data) == ROB_OK) {
        rob_data_set(ctx, data, "history", 20);
        rob_data_set(ctx, data, "window", 2);
        rob_data_set(ctx, data, "gaps", 1);
        rob_data_set(ctx, data, "coverage", 0);
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            rob_data_set_text(ctx, data, texts[k][0], texts[k][1]);
            rob_priv_data_read(ctx, data, bytes, (int64_t)count, "fuzz");
        }
        rob_data_normalize(ctx, data, NULL);
        rob_data_free(data);
    }
    rob_ctx_free(ctx);
    return 0;
}
