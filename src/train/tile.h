/* tile.h -- programs over tiles of 16 series, the rows of a batch, sums over tiles.
 *
 * The weights are inputs of the graph, so one plan serves the whole training. Every
 * term of the training loss (of classes or forecasts, penalties) and the slope that adversarial
 * training climbs is such a program.
 */
#ifndef ROB_TRAIN_TILE_H
#define ROB_TRAIN_TILE_H

#include "data/data.h"
#include "model/model.h"
#include "run/run.h"

enum { ROB_TRAIN_TILE = 16 };

typedef struct rob_tile {
    rob_memory memory;
    rob_graph *graph;
    rob_plan *plan;
    rob_id x, mask, wanted, weight, logits; /* wanted, weight: ROB_NONE until asked */
    bool forecast;
    rob_id *parameter, *grad;
    int32_t parameters, dtype;
    int64_t steps, features, outputs, size; /* size: all weights together */
    double unit;                            /* |input scale|: a model unit */
    int64_t *extent;                        /* (parameters) weights in each */
    rob_id *want;
    int32_t *stage, wants;
    int32_t works;
    rob_work **work;
    int64_t tiles;       /* slots: tiles of one parallel call */
    double *slot_grad;   /* (tiles, size) */
    double *slot_value;  /* (tiles) */
    int64_t *slot_count; /* (tiles) */
} rob_tile;

/* Standard units of targets, and which tensors the last layer is (standard.c). */
typedef struct rob_standard {
    double *mean, spread; /* (outputs); above 0 */
    int64_t outputs;
    int32_t weight, bias; /* bias -1: none */
} rob_standard;
enum { ROB_BASELINE_MEAN, ROB_BASELINE_LAST, ROB_BASELINE_ZERO, ROB_BASELINES };
double rob_priv_standard_target(const rob_standard *s, const rob_series *series,
                                int64_t k);

/* Rows of a batch: series index[0..count) of data, or points in their place. */
typedef struct rob_batch {
    const rob_data *data;
    const int64_t *index;
    int64_t count;
    const double *moved; /* (count, T D), T the tile's; NULL: the series themselves */
    const double *theta; /* (size) the weights */
    double weight;       /* of each row */
    const rob_standard *standard; /* of a forecast */
    /* random numbers of row r: functions of (seed, epoch, first + r) */
    uint64_t seed;
    int64_t epoch, first;
} rob_batch;

enum { ROB_DRAW_NOISE = 1, ROB_DRAW_START, ROB_DRAW_SHARE, ROB_DRAW_PENALTY };

/* Inputs and logits; differ: rows end at different steps. */
rob_status rob_priv_tile_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                bool differ, int64_t tiles, rob_tile *t);
/* Loss of every row, (B,1): log sum exp f - f_y, or of a forecast 1/L sum_k (f_k -
 * y_k)^2; makes the input wanted: the class as a unit vector, or y in standard units. */
rob_id rob_priv_tile_loss(rob_tile *t);
/* sum of weight * column (B,1); makes the input weight */
rob_id rob_priv_tile_weighted(rob_tile *t, rob_id column);
/* gradient of the scalar `value` by every weight, wanted at `stage` */
void rob_priv_tile_slopes(rob_tile *t, rob_id value, int32_t stage);
void rob_priv_tile_want(rob_tile *t, rob_id id, int32_t stage); /* ROB_NONE: nothing */
rob_status rob_priv_tile_plan(rob_ctx *ctx, rob_tile *t);
void rob_priv_tile_free(rob_tile *t);

/* Weights, points, masks, labels of rows pick[0..count) of b (NULL: first, first + 1,
 * ...) into work; `weight` of each; the rest of the tile has weight 0. */
void rob_priv_tile_load(const rob_tile *t, rob_work *w, const rob_batch *b,
                        const int64_t *pick, int64_t first, int64_t count,
                        double weight);
/* the point of row r: (steps, features) */
const double *rob_priv_tile_point(const rob_tile *t, const rob_batch *b, int64_t r);
/* all weight gradients, (size) */
void rob_priv_tile_take(const rob_tile *t, rob_work *w, double *out);
void rob_priv_put_numbers(void *to, int32_t dtype, const double *from, int64_t n);
void rob_priv_put_number(void *to, int32_t dtype, int64_t i, double value);
double rob_priv_get_number(const void *from, int32_t dtype, int64_t i);
rob_random rob_priv_batch_random(const rob_batch *b, int32_t purpose, int64_t r);
/* v <- length times a direction uniform on the sphere of R^n */
void rob_priv_direction(rob_random *random, double length, double *v, int64_t n);

/* job(user, first row, slot, worker) for every tile of `rows` rows, then the slots
 * added in tile order: value returned, count and gradient (NULL: none) added. */
typedef void rob_tile_job(void *user, int64_t first, int64_t slot, int32_t worker);
double rob_priv_tile_sum(rob_ctx *ctx, rob_tile *t, rob_tile_job *job, void *user,
                         int64_t rows, double *grad, int64_t *count);

#endif
