/* fit.c -- the mean cross-entropy of a batch and its gradient in the weights.
 *
 *     E(theta) = 1/N sum_r [ log sum_k exp f_k(x_r; theta) - f_{y_r}(x_r; theta) ].
 * (docs/theory/train.md, section 1.)
 */
#include "train/train.h"

typedef struct fit_job {
    rob_tile *tile;
    rob_id loss;
    const rob_batch *batch;
    bool gradient;
} fit_job;

static bool predicted_right(const rob_tile *t, const void *logits, int64_t r,
                            int64_t label)
{
    int64_t best = 0;
    for (int64_t k = 1; k < t->outputs; k++)
        if (rob_priv_get_number(logits, t->dtype, r * t->outputs + k)
            > rob_priv_get_number(logits, t->dtype, r * t->outputs + best))
            best = k;
    return best == label;
}

static void run_tile(void *user, int64_t first, int64_t slot, int32_t worker)
{
    const fit_job *j = user;
    rob_tile *t = j->tile;
    rob_work *w = t->work[worker];
    int64_t left = j->batch->count - first;
    int64_t rows = left < ROB_TRAIN_TILE ? left : ROB_TRAIN_TILE;
    rob_priv_tile_load(t, w, j->batch, NULL, first, rows, j->batch->weight);
    rob_priv_run(w, 0);
    const void *logits = rob_priv_work_at(w, t->logits);
    t->slot_value[slot] =
        rob_priv_get_number(rob_priv_work_at(w, j->loss), t->dtype, 0);
    t->slot_count[slot] = 0;
    for (int64_t r = 0; !t->forecast && r < rows; r++)
        t->slot_count[slot] += predicted_right(
            t, logits, r, j->batch->data->series[j->batch->index[first + r]].label);
    if (!j->gradient) return;
    rob_priv_run(w, 1);
    rob_priv_tile_take(t, w, t->slot_grad + slot * t->size);
}

double rob_priv_fit_batch(rob_ctx *ctx, rob_fit *fit, const rob_batch *b, double *grad,
                          int64_t *right)
{
    fit_job j = {
        .tile = &fit->tile, .loss = fit->loss, .batch = b, .gradient = grad != NULL
    };
    *right = 0;
    for (int64_t i = 0; grad && i < fit->tile.size; i++) grad[i] = 0;
    return rob_priv_tile_sum(ctx, &fit->tile, run_tile, &j, b->count, grad, right);
}

double rob_priv_fit_loss(rob_ctx *ctx, rob_fit *fit, const rob_data *data,
                         const int64_t *index, int64_t count, double *grad,
                         int64_t *right)
{
    rob_batch b = { .data = data,
                    .index = index,
                    .count = count,
                    .theta = fit->theta,
                    .weight = 1 / (double)count,
                    .standard = fit->standard };
    return rob_priv_fit_batch(ctx, fit, &b, grad, right);
}

rob_status rob_priv_fit_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                               bool lengths_differ, int64_t tiles, rob_fit *fit)
{
    rob_status status = ROB_OK;
    rob_tile *t = &fit->tile;
    fit->theta = NULL;
    fit->standard = NULL;
    TRY(rob_priv_tile_create(ctx, model, steps, lengths_differ, tiles, t));
    fit->loss = rob_priv_tile_weighted(t, rob_priv_tile_loss(t));
    rob_priv_tile_want(t, t->logits, 0);
    rob_priv_tile_want(t, fit->loss, 0);
    rob_priv_tile_slopes(t, fit->loss, 1);
    TRY(rob_priv_tile_plan(ctx, t));
    fit->theta = rob_priv_allocate(&t->memory, t->size, sizeof *fit->theta);
    if (!fit->theta) return rob_priv_no_memory(ctx);
    double *theta = fit->theta;
    for (int32_t k = 0; k < t->parameters; k++)
        for (int64_t i = 0; i < t->extent[k]; i++)
            *theta++ = rob_priv_tensor_at(model->parameter[k].tensor, i);
done:
    return status;
}

void rob_priv_fit_free(rob_fit *fit)
{
    if (!fit->tile.memory.release) return;
    rob_priv_release(&fit->tile.memory, fit->theta);
    rob_priv_tile_free(&fit->tile);
}
