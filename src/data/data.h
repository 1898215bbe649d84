/* data.h -- labelled sequences in memory. */
#ifndef ROB_DATA_H
#define ROB_DATA_H
#include "core/core.h"
#include <robust/data.h>

typedef struct rob_series { double *x; int64_t steps, label; char name[24]; } rob_series; /* x (steps, features); label -1: none */

struct rob_data {
    rob_memory memory;
    int64_t count, capacity, features, classes;   /* classes: 1 + largest label */
    rob_series *series;
    double *class_value;                          /* the file's own label of each class, ascending */
    /* options before reading or simulating: see src/data/options.c */
    double *option;
    char text[4][128];
};
rob_status rob_priv_data_append(rob_ctx *ctx, rob_data *d, const double *x, int64_t steps, int64_t features, int64_t label);
#endif
