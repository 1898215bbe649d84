/* condition.h -- inside the condition numbers: one series at a time. All numbers but
 * the nearest point are without units. */
#ifndef ROB_CONDITION_H
#define ROB_CONDITION_H

#include "boundary/boundary.h"
#include <robust/condition.h>

enum {
    ROB_CONDITION_ORDER,
    ROB_CONDITION_PROJECTION,
    ROB_CONDITION_WEIGHTS,
    ROB_CONDITION_DENSE,
    ROB_CONDITION_SEED,
    ROB_CONDITION_OPTIONS
};
extern const rob_option rob_priv_condition_option[ROB_CONDITION_OPTIONS];

/* What a row gives, and by rows and groups a series: steps (T), features (D), weights
 * (1 + P): normwise, then each tensor. */
typedef struct rob_sensitivity {
    int64_t steps, features, tensors;
    double componentwise, output, mixed;
    double *step, *feature, *weight;
} rob_sensitivity;

typedef struct rob_standing {
    rob_sensitivity by;
    double size, relative, second, lower, upper; /* size: norm of the series */
} rob_standing;

struct rob_condition {
    rob_memory memory;
    double option[ROB_CONDITION_OPTIONS];
    rob_boundary boundary; /* estimates and nearest points */
    int64_t count;
    rob_standing *standing;
};

/* ---- margins as functions of the weights (weights.c) ----------------------------- */
typedef struct rob_weigh rob_weigh;
/* Made again when the steps differ; *w may hold one. */
rob_status rob_priv_weigh_ready(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                rob_weigh **w);
void rob_priv_weigh_free(rob_weigh *w);
/* out (1 + P): |theta| |grad_theta (c . f)(x)| normwise, then tensor by tensor */
void rob_priv_weigh_run(rob_weigh *w, const double *x, const double *c, double *out);

/* ---- a whole query (condition.c) ------------------------------------------------- */
rob_status rob_priv_condition_run(rob_ctx *ctx, rob_condition *c, rob_query *q);
/* out (T): by time step, of series i alone */
rob_status rob_priv_condition_steps(rob_ctx *ctx, rob_query *q, int64_t i, double *out);
void rob_priv_condition_forget(rob_condition *c);

#endif
