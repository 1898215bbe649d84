/* onnx_evaluate.c -- all outputs of a file at given inputs, whatever they are: how single
 * operators are tested. Inputs of floating type are inputs of the graph, others numbers
 * known when it is written; everything is computed in float64. */
#include "model/onnx.h"
#include "run/run.h"

#include <string.h>

static rob_value value_of(rob_machine *m, const rob_onnx_tensor *t, bool known)
{
    rob_value v = { .there = true,
                    .dtype = t->dtype,
                    .rank = t->rank,
                    .size = t->size,
                    .id = ROB_NONE,
                    .number = t->number };
    memcpy(v.dim, t->dim, sizeof v.dim);
    if (known || o_whole(&v) || v.size == 0) return v;
    v.number = NULL;
    v.id = rob_priv_input(m->g, o_shape(&v));
    return v;
}

static void set_inputs(rob_work *work, const rob_value *value, const rob_onnx_tensor *in,
                       int32_t ins)
{
    for (int32_t k = 0; k < ins; k++) {
        double *at = value[k].id == ROB_NONE ? NULL : rob_priv_work_at(work, value[k].id);
        for (int64_t i = 0; at != NULL && i < in[k].size; i++)
            at[i] = rob_priv_tensor_at(in[k].number, i);
    }
}

static rob_status copy_out(rob_ctx *ctx, rob_work *work, const rob_value *v,
                           rob_onnx_tensor *out)
{
    *out = (rob_onnx_tensor){ .dtype = v->dtype, .rank = v->rank, .size = v->size };
    memcpy(out->dim, v->dim, sizeof v->dim);
    if (v->size == 0) return ROB_OK;
    if (v->number != NULL) {
        out->number = rob_priv_tensor_keep(v->number);
        return ROB_OK;
    }
    if (rob_priv_tensor_create(&ctx->memory, ROB_F64, o_shape(v), &out->number) < ROB_OK)
        return rob_priv_no_memory(ctx);
    rob_priv_work_get(work, v->id, out->number->data);
    return ROB_OK;
}

static int32_t distinct(const rob_value *v, int32_t count, rob_id *want)
{
    int32_t n = 0;
    for (int32_t k = 0; k < count; k++) {
        int32_t i = 0;
        if (v[k].id == ROB_NONE) continue;
        while (i < n && want[i] != v[k].id) i++;
        want[i] = v[k].id;
        n += i == n;
    }
    return n;
}

enum { SLOTS = 16 };

static rob_status run(rob_ctx *ctx, rob_machine *m, const rob_value *value,
                      const rob_onnx_tensor *in, int32_t ins, rob_onnx_tensor *out,
                      int32_t outs)
{
    rob_status status = ROB_OK;
    rob_plan *plan = NULL;
    rob_work *work = NULL;
    rob_id want[SLOTS];
    rob_value y[SLOTS];
    for (int32_t k = 0; k < outs; k++) {
        y[k] = m->env[m->file->output[k].value];
        CHECK(y[k].there, ctx, ROB_EFORMAT, "output %d is never given", (int)k);
    }
    int32_t wants = distinct(y, outs, want);
    if (wants > 0) {
        TRY(rob_priv_plan_create(ctx, m->g, ROB_F64, want, NULL, wants, &plan));
        TRY(rob_priv_work_create(ctx, plan, &work));
        set_inputs(work, value, in, ins);
        rob_priv_run(work, 0);
    }
    for (int32_t k = 0; k < outs; k++) TRY(copy_out(ctx, work, &y[k], &out[k]));
done:
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    return status;
}

rob_status rob_priv_onnx_evaluate(rob_ctx *ctx, const rob_onnx *file,
                                  const rob_onnx_tensor *in, int32_t ins, bool known,
                                  rob_onnx_tensor *out, int32_t outs)
{
    rob_status status = ROB_OK;
    rob_onnx_made made = { 0 };
    rob_graph *g = NULL;
    rob_machine m = { 0 };
    rob_value value[SLOTS];
    int32_t want[SLOTS], used = 0;
    CHECK(ins <= SLOTS && outs <= SLOTS && outs <= file->outputs, ctx, ROB_EARGUMENT,
          "16 inputs and outputs at most");
    TRY(rob_priv_onnx_make(ctx, file, &made));
    for (int32_t k = 0; k < outs; k++) want[k] = file->output[k].value;
    rob_priv_onnx_need(file, want, outs, made.needed);
    TRY(rob_priv_graph_create(ctx, &g));
    TRY(rob_priv_onnx_open(&m, &ctx->memory, file, &made, g, false));
    for (int32_t k = 0; k < file->inputs && used < ins; k++) {
        rob_value *place = &m.env[file->input[k].value];
        if (file->input[k].value < 0 || place->there) continue;
        value[used] = *place = value_of(&m, &in[used], known);
        used++;
    }
    CHECK(used == ins, ctx, ROB_EARGUMENT, "the file has %d inputs, %d are given",
          (int)used, (int)ins);
    rob_priv_onnx_walk(&m);
    TRY(rob_priv_graph_status(ctx, g));
    TRY(run(ctx, &m, value, in, ins, out, outs));
done:
    rob_priv_onnx_close(&m);
    rob_priv_graph_free(g);
    rob_priv_onnx_unmake(&ctx->memory, file, &made);
    return status;
}
