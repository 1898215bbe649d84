/* called.h -- the evaluator's other half: models that are callbacks. */
#ifndef ROB_CALLED_H
#define ROB_CALLED_H

#include "model/model.h"

typedef struct rob_called {
    double *x, *grad, *seed;
} rob_called;

/* One call, as rob_priv_gradients has it; seed NULL: outputs only. */
typedef struct rob_calling {
    const rob_model *model;
    bool narrow; /* float32 numbers */
    int64_t rows;
    const double *const *point;
    const int64_t *steps;
    double *logits;
    void (*seed)(void *user, int64_t row, const double *logits, double *seed);
    void *user;
    double *const *grad;
} rob_calling;

/* room for series of up to `numbers`; nothing to do when it is there */
rob_status rob_priv_called_room(rob_ctx *ctx, rob_called *c, int64_t numbers,
                                int64_t outputs);
rob_status rob_priv_called_run(rob_ctx *ctx, rob_called *c, const rob_calling *b);
void rob_priv_called_free(const rob_memory *m, rob_called *c);

#endif
