/* onnx.c -- any bytes as an ONNX file: the wire format, the graph, every operator of it. */
#include "fuzz/replay.h"
#include "model/onnx.h"

#include <robust/model.h>

static const char *const RECIPES[] = { "onnx layout=btd", "onnx layout=tbd",
                                       "onnx layout=bdt", "onnx layout=bt",
                                       "onnx layout=td",  "onnx layout=b1td" };

static void evaluate(rob_ctx *ctx, const uint8_t *bytes, size_t count)
{
    rob_onnx file;
    rob_onnx_tensor out[4] = { 0 };
    if (rob_priv_onnx_parse(ctx, bytes, (int64_t)count, "fuzz", &file) == ROB_OK
        && file.outputs <= 4 && file.outputs > 0)
        rob_priv_onnx_evaluate(ctx, &file, NULL, 0, true, out, file.outputs);
    for (int k = 0; k < 4; k++) rob_priv_tensor_free(out[k].number);
    rob_priv_onnx_clear(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rob_ctx *ctx;
    rob_model *model;
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    evaluate(ctx, bytes, count);
    for (size_t k = 0; k < sizeof RECIPES / sizeof *RECIPES; k++) {
        rob_status status =
            rob_priv_onnx_load(ctx, bytes, (int64_t)count, "fuzz", RECIPES[k], &model);
        if (status == ROB_OK) rob_model_free(model);
        if (status == ROB_EUNSUPPORTED) break;
    }
    rob_ctx_free(ctx);
    return 0;
}
