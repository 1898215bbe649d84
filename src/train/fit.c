/* fit.c -- the mean cross-entropy of a batch and its gradient in the weights.
 *
 *     E(theta) = 1/N sum_r [ log sum_k exp f_k(x_r; theta) - f_{y_r}(x_r; theta) ].
 * The weights are inputs of the graph, so one plan serves the whole training. A batch
 * is cut into tiles of B series; workers fill one slot a tile, and slots are added in
 * tile order, hence bits do not depend on threads. Rows that pad the last tile have
 * weight 0. (docs/theory/train.md, section 1.)
 */
#include "train/train.h"

#include "diff/diff.h"

#include <string.h>

typedef struct pass {
    rob_fit *fit;
    const rob_data *data;
    const int64_t *index;
    int64_t first, count; /* rows of this call */
    double weight;        /* 1/N */
    bool gradient;
} pass;

static void put_numbers(void *to, int32_t dtype, const double *from, int64_t n)
{
    if (dtype == ROB_F64) memcpy(to, from, (size_t)n * sizeof *from);
    else
        for (int64_t i = 0; i < n; i++) ((float *)to)[i] = (float)from[i];
}

static void put_number(void *to, int32_t dtype, int64_t i, double value)
{
    if (dtype == ROB_F64) ((double *)to)[i] = value;
    else ((float *)to)[i] = (float)value;
}

static double get_number(const void *from, int32_t dtype, int64_t i)
{
    return dtype == ROB_F64 ? ((const double *)from)[i]
                            : (double)((const float *)from)[i];
}

/* row r of the tile <- one series (NULL: an empty row that exists for all steps) */
static void put_series(const pass *p, rob_work *w, int64_t r, const rob_series *s)
{
    const rob_fit *f = p->fit;
    int64_t d = f->features;
    void *x = rob_priv_work_at(w, f->x), *onehot = rob_priv_work_at(w, f->onehot);
    void *mask = f->mask == ROB_NONE ? NULL : rob_priv_work_at(w, f->mask);
    for (int64_t t = 0; t < f->steps; t++) {
        bool there = !s || t < s->steps;
        if (mask) put_number(mask, f->dtype, t * ROB_TRAIN_TILE + r, there);
        for (int64_t j = 0; j < d; j++)
            put_number(x, f->dtype, (t * ROB_TRAIN_TILE + r) * d + j,
                       s && there ? s->x[t * d + j] : 0);
    }
    for (int64_t k = 0; k < f->outputs; k++)
        put_number(onehot, f->dtype, r * f->outputs + k, s && k == s->label);
    put_number(rob_priv_work_at(w, f->weight), f->dtype, r, s ? p->weight : 0);
}

static bool predicted_right(const rob_fit *f, const void *logits, int64_t r,
                            int64_t label)
{
    int64_t best = 0;
    for (int64_t k = 1; k < f->outputs; k++)
        if (get_number(logits, f->dtype, r * f->outputs + k)
            > get_number(logits, f->dtype, r * f->outputs + best))
            best = k;
    return best == label;
}

static void take_gradient(const rob_fit *f, rob_work *w, double *out)
{
    for (int32_t k = 0; k < f->parameters; k++) {
        if (f->grad[k] == ROB_NONE) memset(out, 0, (size_t)f->extent[k] * sizeof *out);
        else rob_priv_work_get(w, f->grad[k], out);
        out += f->extent[k];
    }
}

static void run_tile(void *user, int64_t task, int32_t worker)
{
    const pass *p = user;
    rob_fit *f = p->fit;
    rob_work *w = f->work[worker];
    int64_t left = p->count - task * ROB_TRAIN_TILE;
    int64_t rows = left < ROB_TRAIN_TILE ? left : ROB_TRAIN_TILE;
    const int64_t *index = p->index + p->first + task * ROB_TRAIN_TILE;
    const double *theta = f->theta;
    for (int32_t k = 0; k < f->parameters; k++) {
        put_numbers(rob_priv_work_at(w, f->parameter[k]), f->dtype, theta,
                    f->extent[k]);
        theta += f->extent[k];
    }
    for (int64_t r = 0; r < ROB_TRAIN_TILE; r++)
        put_series(p, w, r, r < rows ? &p->data->series[index[r]] : NULL);
    rob_priv_run(w, 0);
    f->tile_loss[task] = get_number(rob_priv_work_at(w, f->loss), f->dtype, 0);
    f->tile_right[task] = 0;
    for (int64_t r = 0; r < rows; r++)
        f->tile_right[task] += predicted_right(f, rob_priv_work_at(w, f->logits), r,
                                               p->data->series[index[r]].label);
    if (!p->gradient) return;
    rob_priv_run(w, 1);
    take_gradient(f, w, f->tile_grad + task * f->size);
}

double rob_priv_fit_loss(rob_ctx *ctx, rob_fit *fit, const rob_data *data,
                         const int64_t *index, int64_t count, double *grad,
                         int64_t *right)
{
    pass p = { .fit = fit,
               .data = data,
               .index = index,
               .weight = 1 / (double)count,
               .gradient = grad != NULL };
    double loss = 0;
    *right = 0;
    for (int64_t i = 0; grad && i < fit->size; i++) grad[i] = 0;
    for (; p.first < count; p.first += fit->tiles * ROB_TRAIN_TILE) {
        int64_t left = count - p.first, room = fit->tiles * ROB_TRAIN_TILE;
        p.count = left < room ? left : room;
        int64_t tiles = (p.count + ROB_TRAIN_TILE - 1) / ROB_TRAIN_TILE;
        rob_priv_parallel(ctx, run_tile, &p, tiles);
        for (int64_t k = 0; k < tiles; k++) {
            loss += fit->tile_loss[k];
            *right += fit->tile_right[k];
            for (int64_t i = 0; grad && i < fit->size; i++)
                grad[i] += fit->tile_grad[k * fit->size + i];
        }
    }
    return loss;
}

/* ---- the program ----------------------------------------------------------------- */

static void emit_loss(rob_fit *f, const rob_model *model, bool lengths_differ)
{
    rob_graph *g = f->graph;
    rob_shape column = rob_priv_shape2(ROB_TRAIN_TILE, 1),
              scalar = rob_priv_shape_make(0, NULL);
    f->x = rob_priv_input(g, rob_priv_shape3(f->steps, ROB_TRAIN_TILE, f->features));
    f->mask = !lengths_differ
                  ? ROB_NONE
                  : rob_priv_input(g, rob_priv_shape3(f->steps, ROB_TRAIN_TILE, 1));
    f->onehot = rob_priv_input(g, rob_priv_shape2(ROB_TRAIN_TILE, f->outputs));
    f->weight = rob_priv_input(g, column);
    for (int32_t k = 0; k < f->parameters; k++)
        f->parameter[k] = rob_priv_input(g, model->parameter[k].tensor->shape);
    f->logits = rob_priv_model_emit(model, g, f->x, f->mask, f->parameter);
    rob_id picked = g_sum_to(g, g_mul(g, f->logits, f->onehot), column);
    rob_id each = g_sub(g, g_logsumexp(g, f->logits), picked);
    f->loss = g_sum(g, g_mul(g, f->weight, each));
    rob_id one = rob_priv_fill(g, scalar, 1);
    rob_priv_vjp(g, &f->loss, &one, 1, f->parameter, f->parameters, f->grad);
}

static rob_status plan_loss(rob_ctx *ctx, rob_fit *f)
{
    rob_status status = ROB_OK;
    rob_id want[64 * 4 + 2];
    int32_t stage[64 * 4 + 2], count = 2;
    CHECK(f->parameters <= 64 * 4, ctx, ROB_EUNSUPPORTED,
          "the model has %d tensors; at most 256", (int)f->parameters);
    want[0] = f->logits;
    want[1] = f->loss;
    stage[0] = stage[1] = 0;
    for (int32_t k = 0; k < f->parameters; k++) {
        if (f->grad[k] == ROB_NONE) continue;
        want[count] = f->grad[k];
        stage[count++] = 1;
    }
    TRY(rob_priv_plan_create(ctx, f->graph, f->dtype, want, stage, count, &f->plan));
done:
    return status;
}

static rob_status make_room(rob_ctx *ctx, rob_fit *f, const rob_model *model)
{
    const rob_memory *m = &f->memory;
    f->parameter = rob_priv_allocate(m, f->parameters, sizeof *f->parameter);
    f->grad = rob_priv_allocate(m, f->parameters, sizeof *f->grad);
    f->extent = rob_priv_allocate(m, f->parameters, sizeof *f->extent);
    if (!f->parameter || !f->grad || !f->extent) return rob_priv_no_memory(ctx);
    for (int32_t k = 0; k < f->parameters; k++) {
        f->extent[k] = rob_priv_shape_size(&model->parameter[k].tensor->shape);
        f->size += f->extent[k];
    }
    f->theta = rob_priv_allocate(m, f->size, sizeof *f->theta);
    f->tile_grad = f->size > INT64_MAX / 64 / f->tiles
                       ? NULL
                       : rob_priv_allocate(m, f->tiles * f->size, sizeof *f->tile_grad);
    f->tile_loss = rob_priv_allocate(m, f->tiles, sizeof *f->tile_loss);
    f->tile_right = rob_priv_allocate(m, f->tiles, sizeof *f->tile_right);
    if (!f->theta || !f->tile_grad || !f->tile_loss || !f->tile_right)
        return rob_priv_no_memory(ctx);
    double *theta = f->theta;
    for (int32_t k = 0; k < f->parameters; k++)
        for (int64_t i = 0; i < f->extent[k]; i++)
            *theta++ = rob_priv_tensor_at(model->parameter[k].tensor, i);
    return ROB_OK;
}

rob_status rob_priv_fit_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                               bool lengths_differ, int64_t tiles, rob_fit *fit)
{
    rob_status status = ROB_OK;
    int32_t workers = ctx->threads > 1 ? ctx->threads : 1;
    *fit = (rob_fit){ .memory = ctx->memory,
                      .parameters = model->parameters,
                      .steps = steps,
                      .features = model->recipe.features,
                      .outputs = model->recipe.outputs,
                      .dtype = model->recipe.dtype,
                      .tiles = tiles,
                      .mask = ROB_NONE };
    TRY(make_room(ctx, fit, model));
    TRY(rob_priv_graph_create(ctx, &fit->graph));
    emit_loss(fit, model, lengths_differ);
    TRY(rob_priv_graph_status(ctx, fit->graph));
    TRY(plan_loss(ctx, fit));
    fit->work = rob_priv_allocate(&fit->memory, workers, sizeof *fit->work);
    if (!fit->work) return rob_priv_no_memory(ctx);
    for (; fit->works < workers; fit->works++)
        TRY(rob_priv_work_create(ctx, fit->plan, &fit->work[fit->works]));
done:
    return status;
}

void rob_priv_fit_free(rob_fit *fit)
{
    const rob_memory *m = &fit->memory;
    if (!m->release) return;
    for (int32_t k = 0; k < fit->works; k++) rob_priv_work_free(fit->work[k]);
    rob_priv_release(m, fit->work);
    rob_priv_plan_free(fit->plan);
    rob_priv_graph_free(fit->graph);
    rob_priv_release(m, fit->parameter);
    rob_priv_release(m, fit->grad);
    rob_priv_release(m, fit->extent);
    rob_priv_release(m, fit->theta);
    rob_priv_release(m, fit->tile_grad);
    rob_priv_release(m, fit->tile_loss);
    rob_priv_release(m, fit->tile_right);
}
