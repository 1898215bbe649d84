/* diagnose.h -- inside a diagnosis: its columns, its signs, the stages that fill them. */
#ifndef ROB_DIAGNOSE_H
#define ROB_DIAGNOSE_H

#include "attack/attack.h"
#include <robust/diagnosis.h>

enum {
    ROB_D_COUNT,
    ROB_D_SATURATION,
    ROB_D_UNITS,
    ROB_D_RISE,
    ROB_D_NEARER,
    ROB_D_SERIES,
    ROB_D_STEPS,
    ROB_D_RESTARTS,
    ROB_D_RADII,
    ROB_D_CALLS,
    ROB_D_QUERIES,
    ROB_D_OPTIONS
};
extern const rob_option rob_priv_diagnosis_option[ROB_D_OPTIONS];

enum {
    ROB_L_INDEX,
    ROB_L_SATURATED,
    ROB_L_ZERO,
    ROB_L_GRADIENT,
    ROB_L_AGREEMENT,
    ROB_L_ODDS,
    ROB_L_RISE,
    ROB_L_FEW,
    ROB_L_MANY,
    ROB_L_RESTARTS,
    ROB_L_WHITE,
    ROB_L_BLACK,
    ROB_L_NEAREST,
    ROB_L_COLUMNS
};
extern const char *const rob_priv_diagnosis_column[ROB_L_COLUMNS];

enum { ROB_SIGNS = 7, ROB_WARNING = 320 };
extern const char *const rob_priv_diagnosis_sign[ROB_SIGNS];

struct rob_diagnosis {
    rob_memory memory;
    double option[ROB_D_OPTIONS];
    const char *white, *black; /* names of methods, of their table; NULL: none */
    bool ran;
    int64_t count;                /* series looked at */
    double *column[ROB_L_COLUMNS]; /* (count) */
    double share[ROB_SIGNS];
    char warning[ROB_SIGNS][ROB_WARNING];
    int64_t warnings;
};

rob_status rob_priv_diagnosis_run(rob_ctx *ctx, rob_diagnosis *d, rob_query *q);
void rob_priv_diagnosis_forget(rob_diagnosis *d);

/* The stages; q holds the series looked at and no others. */
/* share of saturated units at each series (saturate.c) */
rob_status rob_priv_diagnose_units(rob_ctx *ctx, rob_query *q, double least,
                                   double *saturated);
/* zero, gradient, agreement, odds; then rise, up to `nearest` (slopes.c) */
rob_status rob_priv_diagnose_slopes(rob_ctx *ctx, rob_query *q, double *const *column);

#endif
