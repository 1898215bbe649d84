/* train.h -- fitting a model: terms of the loss, points trained at, and the loop. */
#ifndef ROB_TRAIN_H
#define ROB_TRAIN_H

#include "train/tile.h"
#include <robust/trainer.h>

enum {
    ROB_EPOCHS,
    ROB_RATE,
    ROB_BATCH,
    ROB_PATIENCE,
    ROB_DECAY,
    ROB_CLIP,
    ROB_JACOBIAN,
    ROB_HESSIAN,
    ROB_PROJECTIONS,
    ROB_EXACT,
    ROB_SHARE,
    ROB_NOISE,
    ROB_ADVERSARIAL,
    ROB_ADVERSARIAL_NORM,
    ROB_ADVERSARIAL_STEPS,
    ROB_CERTIFIED,
    ROB_CERTIFIED_WEIGHT,
    ROB_CERTIFIED_RAMP,
    ROB_TRAIN_OPTIONS
};

struct rob_trainer {
    rob_memory memory;
    double option[ROB_TRAIN_OPTIONS];
    double *curve;        /* (epochs run, ROB_CURVES) */
    int64_t epochs, best; /* epochs run; the one whose weights were kept, -1: none */
    bool forecast;        /* the last run was of one; then: */
    double spread, baseline[ROB_BASELINES];
};
enum {
    ROB_LOSS,
    ROB_ACCURACY,
    ROB_VALID_LOSS,
    ROB_VALID_ACCURACY,
    ROB_PENALTY,
    ROB_PROVED,         /* share of series that intervals prove */
    ROB_CERTIFIED_LOSS, /* what is left of the loss there, weighted */
    ROB_CURVES
};

extern const rob_option rob_priv_train_options[ROB_TRAIN_OPTIONS];

/* ---- targets of forecasts (standard.c) ------------------------------------------- */

rob_status rob_priv_standard_create(rob_ctx *ctx, const rob_model *model,
                                    const rob_data *train, const rob_data *valid,
                                    rob_standard *s);
/* The weights of f to those of (f - m)/s, or back. */
void rob_priv_standard_map(const rob_standard *s, const rob_tile *t, bool back,
                           double *theta);
/* Losses on data of forecasts that need no network, in standard units. */
void rob_priv_standard_baselines(const rob_standard *s, const rob_data *data,
                                 double out[ROB_BASELINES]);

/* ---- the loss (fit.c) ------------------------------------------------------- */

typedef struct rob_fit {
    rob_tile tile;
    rob_id loss;
    double *theta; /* (size) the weights in use */
    const rob_standard *standard; /* set after creation; NULL: classes */
} rob_fit;

rob_status rob_priv_fit_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                               bool lengths_differ, int64_t tiles, rob_fit *fit);
void rob_priv_fit_free(rob_fit *fit);
/* Mean loss over data[index[0..count)]; grad (size) or NULL; right: how many are
 * predicted as labelled, 0 of a forecast. Bits do not depend on the number of threads. */
double rob_priv_fit_loss(rob_ctx *ctx, rob_fit *fit, const rob_data *data,
                         const int64_t *index, int64_t count, double *grad,
                         int64_t *right);
/* The same, weighted and placed as the batch says. */
double rob_priv_fit_batch(rob_ctx *ctx, rob_fit *fit, const rob_batch *b, double *grad,
                          int64_t *right);

/* ---- penalties (penalty.c) ------------------------------------------------------- */

typedef struct rob_penalty {
    rob_tile tile;
    int32_t order; /* 1: Jacobian, 2: Hessian */
    bool exact;
    double strength, share; /* set after creation; share in (0, 1] */
    int64_t products;       /* of a row */
    rob_id v, e, value;     /* value ROB_NONE: the penalty is zero everywhere */
    int64_t *pick;          /* (rows) of a batch that are penalised */
    double *scratch;        /* (workers, scratch_size) */
    int64_t scratch_size;
} rob_penalty;

/* projections 0: exact. rows: the most a batch may have. */
rob_status rob_priv_penalty_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                   bool lengths_differ, int64_t rows, int32_t order,
                                   int64_t projections, rob_penalty *p);
void rob_priv_penalty_free(rob_penalty *p);
/* The penalty, times strength; its gradient is added to grad (NULL: not wanted). */
double rob_priv_penalty_add(rob_ctx *ctx, rob_penalty *p, const rob_batch *b,
                            double *grad);

/* ---- certified training (interval.c) --------------------------------------------- */

typedef struct rob_interval_term {
    rob_tile tile;
    double radius, weight; /* model units; set after creation */
    rob_id reach, upper, loss;
} rob_interval_term;

rob_status rob_priv_interval_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                    bool lengths_differ, int64_t rows,
                                    rob_interval_term *e);
void rob_priv_interval_free(rob_interval_term *e);
/* weight times the loss that intervals of `share` of the radius leave; its gradient is
 * added to grad (NULL: not wanted). proved: series that no point of their box fails. */
double rob_priv_interval_add(rob_ctx *ctx, rob_interval_term *e, const rob_batch *b,
                             double share, double *grad, int64_t *proved);

/* ---- points trained at (disturb.c) ----------------------------------------------- */

typedef struct rob_disturb {
    rob_tile tile;
    double noise, radius; /* set before creation in model units, then of the series */
    int32_t norm;         /* ROB_NORM_L2 or ROB_NORM_LINF; set before creation */
    int64_t ascents;      /* gradient steps; set before creation */
    rob_id slope;         /* (T,B,D); ROB_NONE: nothing to climb */
    double *base, *delta, *moved; /* (rows, T D) */
    double *scratch;              /* (workers, T D) */
} rob_disturb;

rob_status rob_priv_disturb_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                   bool lengths_differ, int64_t rows, rob_disturb *d);
void rob_priv_disturb_free(rob_disturb *d);
/* fills b->moved; b->theta are the weights attacked */
void rob_priv_disturb_run(rob_ctx *ctx, rob_disturb *d, rob_batch *b);

rob_status rob_priv_train_run(rob_ctx *ctx, rob_trainer *t, const rob_model *model,
                              const rob_data *train, const rob_data *valid,
                              rob_model **out);

#endif
