/* safetensors.c -- any bytes as a model file: header, tensors, recipe, witness. */
#include "fuzz/replay.h"
#include "io/io.h"

#include <robust/model.h>

static void read_tensors(rob_ctx *ctx, const uint8_t *bytes, size_t count)
{
    rob_safetensors s;
    if (rob_priv_safetensors_parse(ctx, bytes, (int64_t)count, "fuzz", &s) < ROB_OK) return;
    for (int64_t i = 0; i < s.entries; i++) {
        rob_tensor *t;
        if (rob_priv_safetensors_tensor(ctx, &s, &s.entry[i], &t) == ROB_OK)
            rob_priv_tensor_free(t);
    }
    rob_priv_safetensors_clear(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rob_ctx *ctx;
    rob_model *model;
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    read_tensors(ctx, bytes, count);
    if (rob_model_load_bytes(ctx, bytes, (int64_t)count, NULL, &model) == ROB_OK)
        rob_model_free(model);
    if (rob_model_load_bytes(ctx, bytes, (int64_t)count, "lstm readout=last", &model)
        == ROB_OK)
        rob_model_free(model);
    rob_ctx_free(ctx);
    return 0;
}
