/* read.h -- any bytes as a data file, read once for each of the option pairs given, into
 * one data set; what was read is split, counted and asked about.
 */
#ifndef ROB_FUZZ_READ_H
#define ROB_FUZZ_READ_H

#include "fuzz/replay.h"
#include "data/parts.h"

typedef struct fuzz_option {
    const char *name, *text; /* text NULL: a number */
    double value;
} fuzz_option;

static inline void fuzz_set(rob_ctx *ctx, rob_data *data, const fuzz_option *o)
{
    if (o->text != NULL) rob_data_set_text(ctx, data, o->name, o->text);
    else rob_data_set(ctx, data, o->name, o->value);
}

/* Options up to one without a name, a reading behind each; all again from a fresh set
 * with gaps of any size. */
static inline int fuzz_read(const uint8_t *bytes, size_t count,
                            const fuzz_option *option)
{
    rob_ctx *ctx;
    rob_data *data, *part;
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    if (rob_data_create(ctx, &data) == ROB_OK) {
        rob_data_set(ctx, data, "gaps", 1);
        rob_priv_data_read(ctx, data, bytes, (int64_t)count, "fuzz");
        for (; option->name != NULL; option++) {
            fuzz_set(ctx, data, option);
            rob_priv_data_read(ctx, data, bytes, (int64_t)count, "fuzz");
        }
        if (rob_data_split(ctx, data, 0.5, &part) == ROB_OK) rob_data_free(part);
        rob_data_free(data);
    }
    rob_ctx_free(ctx);
    return 0;
}

#endif
