/* weights.c -- gradients of an output combination with respect to the model's tensors.
 *
 *     |theta_p| |d (c . f)(x; theta)/d theta_p|,   Frobenius norms, for every tensor p,
 * and for all of them as one vector: divided by the margin, the relative change of the
 * margin by a relative change of the weights, to first order. Tensors are inputs of
 * this graph, set once.
 */
#include "condition/condition.h"

#include "diff/diff.h"
#include "run/run.h"

#include <math.h>
#include <string.h>

struct rob_weigh {
    rob_memory memory;
    const rob_model *model;
    int32_t isa, tensors;
    int64_t steps;
    rob_graph *graph;
    rob_plan *plan;
    rob_work *work;
    rob_id x, c, value;
    rob_id *parameter, *grad; /* (tensors) */
    double *norm, *room;      /* (tensors); the largest tensor */
};

static rob_status make_room(rob_ctx *ctx, rob_weigh *w)
{
    int64_t largest = 0;
    for (int32_t k = 0; k < w->tensors; k++) {
        int64_t size = rob_priv_shape_size(&w->model->parameter[k].tensor->shape);
        if (size > largest) largest = size;
    }
    w->parameter = rob_priv_allocate(&w->memory, w->tensors, sizeof *w->parameter);
    w->grad = rob_priv_allocate(&w->memory, w->tensors, sizeof *w->grad);
    w->norm = rob_priv_allocate(&w->memory, w->tensors, sizeof *w->norm);
    w->room = rob_priv_allocate(&w->memory, largest, sizeof *w->room);
    return w->parameter && w->grad && w->norm && w->room ? ROB_OK
                                                         : rob_priv_no_memory(ctx);
}

static void emit(rob_weigh *w)
{
    rob_graph *g = w->graph;
    const rob_recipe *r = &w->model->recipe;
    w->x = rob_priv_input(g, rob_priv_shape3(w->steps, 1, r->features));
    w->c = rob_priv_input(g, rob_priv_shape2(1, r->outputs));
    for (int32_t k = 0; k < w->tensors; k++)
        w->parameter[k] = rob_priv_input(g, w->model->parameter[k].tensor->shape);
    rob_id f = rob_priv_model_emit(w->model, g, w->x, ROB_NONE, w->parameter);
    w->value = g_sum(g, g_mul(g, f, w->c));
    rob_id one = rob_priv_fill(g, rob_priv_shape_make(0, NULL), 1);
    if (!rob_priv_graph_failed(g))
        rob_priv_vjp(g, &w->value, &one, 1, w->parameter, w->tensors, w->grad);
}

static rob_status make_plan(rob_ctx *ctx, rob_weigh *w)
{
    rob_status status = ROB_OK;
    int32_t count = 1;
    rob_id *want = rob_priv_allocate(&w->memory, w->tensors + 1, sizeof *want);
    if (!want) return rob_priv_no_memory(ctx);
    want[0] = w->value;
    for (int32_t k = 0; k < w->tensors; k++)
        if (w->grad[k] != ROB_NONE) want[count++] = w->grad[k];
    TRY(rob_priv_plan_create(ctx, w->graph, ROB_F64, want, NULL, count, &w->plan));
    TRY(rob_priv_work_create(ctx, w->plan, &w->work));
done:
    rob_priv_release(&w->memory, want);
    return status;
}

static void set_tensors(rob_weigh *w)
{
    for (int32_t k = 0; k < w->tensors; k++) {
        const rob_tensor *t = w->model->parameter[k].tensor;
        int64_t size = rob_priv_shape_size(&t->shape);
        for (int64_t i = 0; i < size; i++) w->room[i] = rob_priv_tensor_at(t, i);
        w->norm[k] = rob_priv_norm(ROB_NORM_L2, w->room, size);
        if (rob_priv_work_at(w->work, w->parameter[k]))
            rob_priv_work_set(w->work, w->parameter[k], w->room);
    }
}

rob_status rob_priv_weigh_ready(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                rob_weigh **out)
{
    rob_status status = ROB_OK;
    rob_weigh *w = *out;
    if (w && w->model == model && w->steps == steps && w->isa == ctx->isa)
        return ROB_OK;
    rob_priv_weigh_free(w);
    *out = NULL;
    w = rob_priv_allocate(&ctx->memory, 1, sizeof *w);
    if (!w) return rob_priv_no_memory(ctx);
    *w = (rob_weigh){ .memory = ctx->memory,
                      .model = model,
                      .isa = ctx->isa,
                      .tensors = model->parameters,
                      .steps = steps };
    TRY(make_room(ctx, w));
    TRY(rob_priv_graph_create(ctx, &w->graph));
    emit(w);
    TRY(rob_priv_graph_status(ctx, w->graph));
    TRY(make_plan(ctx, w));
    set_tensors(w);
    *out = w;
    w = NULL;
done:
    rob_priv_weigh_free(w);
    return status;
}

void rob_priv_weigh_free(rob_weigh *w)
{
    if (!w) return;
    rob_memory memory = w->memory;
    rob_priv_work_free(w->work);
    rob_priv_plan_free(w->plan);
    rob_priv_graph_free(w->graph);
    rob_priv_release(&memory, w->parameter);
    rob_priv_release(&memory, w->grad);
    rob_priv_release(&memory, w->norm);
    rob_priv_release(&memory, w->room);
    rob_priv_release(&memory, w);
}

void rob_priv_weigh_run(rob_weigh *w, const double *x, const double *c, double *out)
{
    double all = 0, slope = 0;
    if (rob_priv_work_at(w->work, w->x)) rob_priv_work_set(w->work, w->x, x);
    rob_priv_work_set(w->work, w->c, c);
    rob_priv_run(w->work, 0);
    for (int32_t k = 0; k < w->tensors; k++) {
        double size = 0;
        if (w->grad[k] != ROB_NONE) {
            rob_priv_work_get(w->work, w->grad[k], w->room);
            size = rob_priv_norm(
                ROB_NORM_L2, w->room,
                rob_priv_shape_size(&w->model->parameter[k].tensor->shape));
        }
        out[1 + k] = w->norm[k] * size;
        all += w->norm[k] * w->norm[k];
        slope += size * size;
    }
    out[0] = sqrt(all) * sqrt(slope);
}
