/* called.c -- outputs and gradients of a model that is a callback, on the calling thread.
 *
 * Rows of one length are packed, up to 64 at a time, into x (R, T, D); in float32 every
 * number of x is rounded to it first, so that a point is judged as a float32 program
 * would see it. Seeds follow from the outputs row by row, as in evaluator.c.
 */
#include "query/called.h"

#include <string.h>

enum { ROWS = 64 };

rob_status rob_priv_called_room(rob_ctx *ctx, rob_called *c, int64_t numbers,
                                int64_t outputs)
{
    if (c->x) return ROB_OK;
    c->x = rob_priv_allocate(&ctx->memory, numbers, ROWS * (int64_t)sizeof *c->x);
    c->grad = rob_priv_allocate(&ctx->memory, numbers, ROWS * (int64_t)sizeof *c->grad);
    c->seed = rob_priv_allocate(&ctx->memory, outputs, ROWS * (int64_t)sizeof *c->seed);
    if (c->x && c->grad && c->seed) return ROB_OK;
    rob_priv_called_free(&ctx->memory, c);
    return rob_priv_no_memory(ctx);
}

void rob_priv_called_free(const rob_memory *m, rob_called *c)
{
    rob_priv_release(m, c->x);
    rob_priv_release(m, c->grad);
    rob_priv_release(m, c->seed);
    *c = (rob_called){ 0 };
}

static void pack(double *to, const double *from, int64_t n, bool narrow)
{
    if (!narrow) memcpy(to, from, (size_t)n * sizeof *to);
    for (int64_t k = 0; narrow && k < n; k++) to[k] = (double)(float)from[k];
}

/* rows from `first` on that have one length, at most ROWS */
static int64_t alike(const rob_calling *b, int64_t first)
{
    int64_t end = first;
    while (end < b->rows && end - first < ROWS && b->steps[end] == b->steps[first]) end++;
    return end - first;
}

static rob_status call_some(rob_ctx *ctx, rob_called *c, const rob_calling *b,
                            int64_t first, int64_t count)
{
    rob_status status = ROB_OK;
    int64_t steps = b->steps[first], n = steps * b->model->recipe.features;
    int64_t outputs = b->model->recipe.outputs;
    double *logits = b->logits + first * outputs;
    for (int64_t r = 0; r < count; r++)
        pack(c->x + r * n, b->point[first + r], n, b->narrow);
    TRY(rob_priv_model_call(ctx, b->model, c->x, count, steps, logits));
    if (!b->seed) goto done;
    memset(c->seed, 0, (size_t)(count * outputs) * sizeof *c->seed);
    for (int64_t r = 0; r < count; r++)
        b->seed(b->user, first + r, logits + r * outputs, c->seed + r * outputs);
    TRY(rob_priv_model_pull(ctx, b->model, c->x, c->seed, count, steps, c->grad));
    for (int64_t r = 0; r < count; r++)
        memcpy(b->grad[first + r], c->grad + r * n, (size_t)n * sizeof *c->grad);
done:
    return status;
}

rob_status rob_priv_called_run(rob_ctx *ctx, rob_called *c, const rob_calling *b)
{
    rob_status status = ROB_OK;
    for (int64_t first = 0, count; first < b->rows; first += count) {
        count = alike(b, first);
        TRY(call_some(ctx, c, b, first, count));
    }
done:
    return status;
}
