/* tile.c -- sums over the rows of a batch, as programs over tiles of B = 16 series.
 *
 *     S(theta) = sum_r w_r s(x_r; theta),   dS/dtheta,
 * with the weights theta inputs of the graph. Workers fill one slot a tile; slots are
 * added in tile order in float64, so bits do not depend on threads. Rows that pad the
 * last tile have weight 0. (docs/theory/train.md, section 1.)
 */
#include "train/tile.h"

#include "diff/diff.h"

#include <math.h>
#include <string.h>

/* ---- numbers in the program's precision ------------------------------------------ */

void rob_priv_put_numbers(void *to, int32_t dtype, const double *from, int64_t n)
{
    if (dtype == ROB_F64) memcpy(to, from, (size_t)n * sizeof *from);
    else
        for (int64_t i = 0; i < n; i++) ((float *)to)[i] = (float)from[i];
}

void rob_priv_put_number(void *to, int32_t dtype, int64_t i, double value)
{
    if (dtype == ROB_F64) ((double *)to)[i] = value;
    else ((float *)to)[i] = (float)value;
}

double rob_priv_get_number(const void *from, int32_t dtype, int64_t i)
{
    return dtype == ROB_F64 ? ((const double *)from)[i]
                            : (double)((const float *)from)[i];
}

/* ---- rows ------------------------------------------------------------------------ */

const double *rob_priv_tile_point(const rob_tile *t, const rob_batch *b, int64_t r)
{
    return b->moved ? b->moved + r * t->steps * t->features
                    : b->data->series[b->index[r]].x;
}

/* row r of the tile <- one series at `point` (s NULL: an empty row of all steps) */
static void put_series(const rob_tile *t, rob_work *w, int64_t r, const rob_series *s,
                       const double *point, const rob_standard *standard)
{
    int64_t d = t->features;
    void *x = rob_priv_work_at(w, t->x);
    void *mask = t->mask == ROB_NONE ? NULL : rob_priv_work_at(w, t->mask);
    for (int64_t k = 0; k < t->steps; k++) {
        bool there = !s || k < s->steps;
        if (mask) rob_priv_put_number(mask, t->dtype, k * ROB_TRAIN_TILE + r, there);
        for (int64_t j = 0; j < d; j++)
            rob_priv_put_number(x, t->dtype, (k * ROB_TRAIN_TILE + r) * d + j,
                                s && there ? point[k * d + j] : 0);
    }
    for (int64_t k = 0; t->wanted != ROB_NONE && k < t->outputs; k++) {
        double y = !s            ? 0
                   : t->forecast ? rob_priv_standard_target(standard, s, k)
                                 : k == s->label;
        rob_priv_put_number(rob_priv_work_at(w, t->wanted), t->dtype,
                            r * t->outputs + k, y);
    }
}

static void put_weights(const rob_tile *t, rob_work *w, const double *theta)
{
    for (int32_t k = 0; k < t->parameters; k++) {
        void *at = rob_priv_work_at(w, t->parameter[k]);
        if (at) rob_priv_put_numbers(at, t->dtype, theta, t->extent[k]);
        theta += t->extent[k];
    }
}

void rob_priv_tile_load(const rob_tile *t, rob_work *w, const rob_batch *b,
                        const int64_t *pick, int64_t first, int64_t count,
                        double weight)
{
    put_weights(t, w, b->theta);
    for (int64_t k = 0; k < ROB_TRAIN_TILE; k++) {
        int64_t r = pick && k < count ? pick[k] : first + k;
        const rob_series *s = k < count ? &b->data->series[b->index[r]] : NULL;
        put_series(t, w, k, s, s ? rob_priv_tile_point(t, b, r) : NULL, b->standard);
        if (t->weight != ROB_NONE)
            rob_priv_put_number(rob_priv_work_at(w, t->weight), t->dtype, k,
                                s ? weight : 0);
    }
}

void rob_priv_tile_take(const rob_tile *t, rob_work *w, double *out)
{
    for (int32_t k = 0; k < t->parameters; k++) {
        if (t->grad[k] == ROB_NONE) memset(out, 0, (size_t)t->extent[k] * sizeof *out);
        else rob_priv_work_get(w, t->grad[k], out);
        out += t->extent[k];
    }
}

/* Streams of training: purpose (4 bits), epoch (20), row of the epoch (40). */
rob_random rob_priv_batch_random(const rob_batch *b, int32_t purpose, int64_t r)
{
    return rob_priv_random(b->seed, (uint64_t)purpose << 60 | (uint64_t)b->epoch << 40
                                        | (uint64_t)(b->first + r));
}

void rob_priv_direction(rob_random *random, double length, double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        v[i] = rob_priv_normal(random);
        sum += v[i] * v[i];
    }
    for (int64_t i = 0; i < n; i++) v[i] *= length / sqrt(sum);
}

/* ---- sums over tiles ------------------------------------------------------------- */

typedef struct pass {
    rob_tile_job *job;
    void *user;
    int64_t first;
} pass;

static void run_job(void *user, int64_t task, int32_t worker)
{
    const pass *p = user;
    p->job(p->user, p->first + task * ROB_TRAIN_TILE, task, worker);
}

double rob_priv_tile_sum(rob_ctx *ctx, rob_tile *t, rob_tile_job *job, void *user,
                         int64_t rows, double *grad, int64_t *count)
{
    pass p = { .job = job, .user = user };
    int64_t room = t->tiles * ROB_TRAIN_TILE;
    double sum = 0;
    for (; p.first < rows; p.first += room) {
        int64_t left = rows - p.first < room ? rows - p.first : room;
        int64_t tiles = (left + ROB_TRAIN_TILE - 1) / ROB_TRAIN_TILE;
        rob_priv_parallel(ctx, run_job, &p, tiles);
        for (int64_t k = 0; k < tiles; k++) {
            sum += t->slot_value[k];
            if (count) *count += t->slot_count[k];
            for (int64_t i = 0; grad && i < t->size; i++)
                grad[i] += t->slot_grad[k * t->size + i];
        }
    }
    return sum;
}

/* ---- programs -------------------------------------------------------------------- */

static rob_status make_room(rob_ctx *ctx, rob_tile *t, const rob_model *model)
{
    const rob_memory *m = &t->memory;
    t->parameter = rob_priv_allocate(m, t->parameters, sizeof *t->parameter);
    t->grad = rob_priv_allocate(m, t->parameters, sizeof *t->grad);
    t->extent = rob_priv_allocate(m, t->parameters, sizeof *t->extent);
    t->want = rob_priv_allocate(m, t->parameters + 4, sizeof *t->want);
    t->stage = rob_priv_allocate(m, t->parameters + 4, sizeof *t->stage);
    if (!t->parameter || !t->grad || !t->extent || !t->want || !t->stage)
        return rob_priv_no_memory(ctx);
    for (int32_t k = 0; k < t->parameters; k++) {
        t->extent[k] = rob_priv_shape_size(&model->parameter[k].tensor->shape);
        t->grad[k] = ROB_NONE;
        t->size += t->extent[k];
    }
    if (t->size > INT64_MAX / 64 / t->tiles) return rob_priv_no_memory(ctx);
    t->slot_grad = rob_priv_allocate(m, t->tiles * t->size, sizeof *t->slot_grad);
    t->slot_value = rob_priv_allocate(m, t->tiles, sizeof *t->slot_value);
    t->slot_count = rob_priv_allocate(m, t->tiles, sizeof *t->slot_count);
    if (!t->slot_grad || !t->slot_value || !t->slot_count)
        return rob_priv_no_memory(ctx);
    return ROB_OK;
}

rob_status rob_priv_tile_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                bool differ, int64_t tiles, rob_tile *t)
{
    rob_status status = ROB_OK;
    *t = (rob_tile){ .memory = ctx->memory,
                     .parameters = model->parameters,
                     .steps = steps,
                     .features = model->recipe.features,
                     .outputs = model->recipe.outputs,
                     .dtype = model->recipe.dtype,
                     .unit = fabs(model->recipe.input_scale),
                     .tiles = tiles,
                     .mask = ROB_NONE,
                     .wanted = ROB_NONE,
                     .forecast = model->recipe.forecast != 0,
                     .weight = ROB_NONE };
    TRY(make_room(ctx, t, model));
    TRY(rob_priv_graph_create(ctx, &t->graph));
    t->x =
        rob_priv_input(t->graph, rob_priv_shape3(steps, ROB_TRAIN_TILE, t->features));
    if (differ)
        t->mask = rob_priv_input(t->graph, rob_priv_shape3(steps, ROB_TRAIN_TILE, 1));
    for (int32_t k = 0; k < t->parameters; k++)
        t->parameter[k] = rob_priv_input(t->graph, model->parameter[k].tensor->shape);
    t->logits = rob_priv_model_emit(model, t->graph, t->x, t->mask, t->parameter);
done:
    return status;
}

rob_id rob_priv_tile_loss(rob_tile *t)
{
    rob_graph *g = t->graph;
    const rob_shape column = rob_priv_shape2(ROB_TRAIN_TILE, 1);
    t->wanted = rob_priv_input(g, rob_priv_shape2(ROB_TRAIN_TILE, t->outputs));
    if (t->forecast) {
        rob_id off = g_unary(g, "square", g_sub(g, t->logits, t->wanted));
        return g_affine(g, g_sum_to(g, off, column), 1 / (double)t->outputs, 0);
    }
    rob_id picked = g_sum_to(g, g_mul(g, t->logits, t->wanted), column);
    return g_sub(g, g_logsumexp(g, t->logits), picked);
}

rob_id rob_priv_tile_weighted(rob_tile *t, rob_id column)
{
    t->weight = rob_priv_input(t->graph, rob_priv_shape2(ROB_TRAIN_TILE, 1));
    return g_sum(t->graph, g_mul(t->graph, t->weight, column));
}

void rob_priv_tile_slopes(rob_tile *t, rob_id value, int32_t stage)
{
    rob_id one = rob_priv_fill(t->graph, rob_priv_shape_make(0, NULL), 1);
    rob_priv_vjp(t->graph, &value, &one, 1, t->parameter, t->parameters, t->grad);
    for (int32_t k = 0; k < t->parameters; k++)
        rob_priv_tile_want(t, t->grad[k], stage);
}

void rob_priv_tile_want(rob_tile *t, rob_id id, int32_t stage)
{
    if (id == ROB_NONE) return;
    t->want[t->wants] = id;
    t->stage[t->wants++] = stage;
}

rob_status rob_priv_tile_plan(rob_ctx *ctx, rob_tile *t)
{
    rob_status status = ROB_OK;
    int32_t workers = ctx->threads > 1 ? ctx->threads : 1;
    TRY(rob_priv_graph_status(ctx, t->graph));
    TRY(rob_priv_plan_create(ctx, t->graph, t->dtype, t->want, t->stage, t->wants,
                             &t->plan));
    t->work = rob_priv_allocate(&t->memory, workers, sizeof *t->work);
    if (!t->work) return rob_priv_no_memory(ctx);
    for (; t->works < workers; t->works++)
        TRY(rob_priv_work_create(ctx, t->plan, &t->work[t->works]));
done:
    return status;
}

void rob_priv_tile_free(rob_tile *t)
{
    const rob_memory *m = &t->memory;
    if (!m->release) return;
    for (int32_t k = 0; k < t->works; k++) rob_priv_work_free(t->work[k]);
    rob_priv_release(m, t->work);
    rob_priv_plan_free(t->plan);
    rob_priv_graph_free(t->graph);
    rob_priv_release(m, t->parameter);
    rob_priv_release(m, t->grad);
    rob_priv_release(m, t->extent);
    rob_priv_release(m, t->want);
    rob_priv_release(m, t->stage);
    rob_priv_release(m, t->slot_grad);
    rob_priv_release(m, t->slot_value);
    rob_priv_release(m, t->slot_count);
}
