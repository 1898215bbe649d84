/* disturb.c -- the points a batch is trained at: input noise, and projected gradient
 * ascent of the loss.
 *
 *     noise:        x_r + sigma z,  z standard normal for every number of the series;
 *     adversarial:  d <- P(d + a s(g)),  g the gradient of the row's loss in x
 *                   at x + d, s = g/||g|| (L2) or sign g (Linf), P the projection on
 *                   the ball of radius rho, a = 2.5 rho / steps, from a point uniform
 *                   in the ball.
 * Both in model units, with the weights of the moment. Noise comes first, the ball is
 * around the noisy series. Madry, Makelov, Schmidt, Tsipras & Vladu, ICLR 2018.
 * (docs/theory/train.md, section 4.)
 */
#include "train/train.h"

#include "diff/diff.h"

#include <math.h>
#include <string.h>

typedef struct disturb_job {
    rob_disturb *d;
    const rob_batch *batch;
} disturb_job;

static int64_t numbers_of(const rob_disturb *d, const rob_batch *b, int64_t r)
{
    return b->data->series[b->index[r]].steps * d->tile.features;
}

/* ---- the ball -------------------------------------------------------------------- */

static double length_of(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

static void start_in_ball(const rob_disturb *d, rob_random *random, double *delta,
                          int64_t n)
{
    if (d->norm == ROB_NORM_LINF) {
        for (int64_t i = 0; i < n; i++)
            delta[i] = d->radius * (2 * rob_priv_uniform(random) - 1);
        return;
    }
    double length = d->radius * pow(rob_priv_uniform(random), 1 / (double)n);
    rob_priv_direction(random, length, delta, n);
}

static double clipped(double v, double most)
{
    return v > most ? most : v < -most ? -most : v;
}

static void step_in_ball(const rob_disturb *d, const double *g, double *delta,
                         int64_t n)
{
    double step = 2.5 * d->radius / (double)d->ascents, size = length_of(g, n);
    if (!(size > 0) || !isfinite(size)) return;
    if (d->norm == ROB_NORM_LINF) {
        for (int64_t i = 0; i < n; i++)
            delta[i] =
                clipped(delta[i] + step * (double)((g[i] > 0) - (g[i] < 0)), d->radius);
        return;
    }
    for (int64_t i = 0; i < n; i++) delta[i] += step * (g[i] / size);
    double length = length_of(delta, n);
    for (int64_t i = 0; length > d->radius && i < n; i++)
        delta[i] *= d->radius / length;
}

/* ---- one tile -------------------------------------------------------------------- */

static void read_slope(const rob_disturb *d, rob_work *w, int64_t r, int64_t n,
                       double *g)
{
    const rob_tile *t = &d->tile;
    const void *from = rob_priv_work_at(w, d->slope);
    for (int64_t k = 0; k < n; k++) {
        int64_t at =
            (k / t->features * ROB_TRAIN_TILE + r) * t->features + k % t->features;
        g[k] = rob_priv_get_number(from, t->dtype, at);
    }
}

static void place(const rob_disturb *d, int64_t r, int64_t n)
{
    int64_t size = d->tile.steps * d->tile.features;
    for (int64_t i = r * size; i < r * size + n; i++)
        d->moved[i] = d->base[i] + d->delta[i];
}

static void run_tile(void *user, int64_t first, int64_t slot, int32_t worker)
{
    const disturb_job *j = user;
    rob_disturb *d = j->d;
    rob_tile *t = &d->tile;
    rob_work *w = t->work[worker];
    rob_batch b = *j->batch;
    double *slope = d->scratch + worker * t->steps * t->features;
    int64_t rows = b.count - first < ROB_TRAIN_TILE ? b.count - first : ROB_TRAIN_TILE;
    t->slot_value[slot] = 0;
    b.moved = d->moved;
    for (int64_t k = 0; k < d->ascents; k++) {
        rob_priv_tile_load(t, w, &b, NULL, first, rows, 1);
        rob_priv_run(w, 0);
        for (int64_t r = first; r < first + rows; r++) {
            int64_t n = numbers_of(d, &b, r);
            read_slope(d, w, r - first, n, slope);
            step_in_ball(d, slope, d->delta + r * t->steps * t->features, n);
            place(d, r, n);
        }
    }
}

/* ---- a batch --------------------------------------------------------------------- */

static void begin_row(rob_disturb *d, const rob_batch *b, int64_t r)
{
    int64_t size = d->tile.steps * d->tile.features, n = numbers_of(d, b, r);
    const double *x = b->data->series[b->index[r]].x;
    rob_random noise = rob_priv_batch_random(b, ROB_DRAW_NOISE, r);
    rob_random start = rob_priv_batch_random(b, ROB_DRAW_START, r);
    double *base = d->base + r * size, *delta = d->delta + r * size;
    for (int64_t i = 0; i < n; i++) {
        base[i] = x[i] + (d->noise > 0 ? d->noise * rob_priv_normal(&noise) : 0);
        delta[i] = 0;
    }
    if (d->radius > 0) start_in_ball(d, &start, delta, n);
    place(d, r, n);
}

void rob_priv_disturb_run(rob_ctx *ctx, rob_disturb *d, rob_batch *b)
{
    disturb_job j = { .d = d, .batch = b };
    for (int64_t r = 0; r < b->count; r++) begin_row(d, b, r);
    if (d->slope != ROB_NONE)
        rob_priv_tile_sum(ctx, &d->tile, run_tile, &j, b->count, NULL, NULL);
    b->moved = d->moved;
}

rob_status rob_priv_disturb_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                   bool lengths_differ, int64_t rows, rob_disturb *d)
{
    rob_status status = ROB_OK;
    rob_tile *t = &d->tile;
    int64_t size = steps * model->recipe.features;
    d->base = d->delta = d->moved = d->scratch = NULL;
    d->slope = ROB_NONE;
    TRY(rob_priv_tile_create(ctx, model, steps, lengths_differ,
                             (rows + ROB_TRAIN_TILE - 1) / ROB_TRAIN_TILE, t));
    d->noise *= t->unit;
    d->radius *= t->unit;
    if (d->radius > 0) {
        rob_id loss = rob_priv_tile_weighted(t, rob_priv_tile_loss(t));
        d->slope = rob_priv_gradient(t->graph, loss, t->x);
        rob_priv_tile_want(t, d->slope, 0);
    }
    rob_priv_tile_want(t, t->logits, 0);
    TRY(rob_priv_tile_plan(ctx, t));
    d->base = rob_priv_allocate(&t->memory, rows * size, sizeof *d->base);
    d->delta = rob_priv_allocate(&t->memory, rows * size, sizeof *d->delta);
    d->moved = rob_priv_allocate(&t->memory, rows * size, sizeof *d->moved);
    d->scratch = rob_priv_allocate(&t->memory, t->works * size, sizeof *d->scratch);
    if (!d->base || !d->delta || !d->moved || !d->scratch)
        return rob_priv_no_memory(ctx);
done:
    return status;
}

void rob_priv_disturb_free(rob_disturb *d)
{
    const rob_memory *m = &d->tile.memory;
    if (!m->release) return;
    rob_priv_release(m, d->base);
    rob_priv_release(m, d->delta);
    rob_priv_release(m, d->moved);
    rob_priv_release(m, d->scratch);
    rob_priv_tile_free(&d->tile);
}
