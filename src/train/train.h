/* train.h -- fitting a model: the program of loss and weight gradients, and the loop.
 */
#ifndef ROB_TRAIN_H
#define ROB_TRAIN_H

#include "data/data.h"
#include "model/model.h"
#include "run/run.h"
#include <robust/trainer.h>

enum { ROB_TRAIN_TILE = 16, ROB_TRAIN_OPTIONS = 8 };
enum { ROB_EPOCHS, ROB_RATE, ROB_BATCH, ROB_PATIENCE, ROB_DECAY, ROB_CLIP };

struct rob_trainer {
    rob_memory memory;
    double option[ROB_TRAIN_OPTIONS];
    double *curve;        /* (epochs run, ROB_CURVES) */
    int64_t epochs, best; /* epochs run; the one whose weights were kept, -1: none */
};
enum { ROB_LOSS, ROB_ACCURACY, ROB_VALID_LOSS, ROB_VALID_ACCURACY, ROB_CURVES };

extern const rob_option rob_priv_train_options[ROB_CLIP + 1];

/* One worker-shared program: loss, outputs and weight gradients of a tile of series. */
typedef struct rob_fit {
    rob_memory memory;
    rob_graph *graph;
    rob_plan *plan;
    rob_id x, mask, onehot, weight, logits, loss;
    rob_id *parameter, *grad;
    int32_t parameters, dtype;
    int64_t steps, features, outputs, size; /* size: all weights together */
    int64_t *extent;                        /* (parameters) weights in each */
    int32_t works;
    rob_work **work;
    double *theta;       /* (size) the weights in use */
    int64_t tiles;       /* room for so many tiles a call */
    double *tile_grad;   /* (tiles, size) */
    double *tile_loss;   /* (tiles) */
    int64_t *tile_right; /* (tiles) series predicted as labelled */
} rob_fit;

rob_status rob_priv_fit_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                               bool lengths_differ, int64_t tiles, rob_fit *fit);
void rob_priv_fit_free(rob_fit *fit);
/* Mean cross-entropy over data[index[0..count)]; grad (size) or NULL; right: how many
 * are predicted as labelled. Bits do not depend on the number of threads. */
double rob_priv_fit_loss(rob_ctx *ctx, rob_fit *fit, const rob_data *data,
                         const int64_t *index, int64_t count, double *grad,
                         int64_t *right);

rob_status rob_priv_train_run(rob_ctx *ctx, rob_trainer *t, const rob_model *model,
                              const rob_data *train, const rob_data *valid,
                              rob_model **out);

#endif
