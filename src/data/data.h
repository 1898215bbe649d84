/* data.h -- labelled sequences in memory. */
#ifndef ROB_DATA_H
#define ROB_DATA_H
#include "core/core.h"
#include <robust/data.h>

typedef struct rob_series {
    double *x;            /* (steps, features) */
    int64_t steps, label; /* label -1: none */
    char name[24];
} rob_series;

enum { ROB_DATA_ROLE, ROB_DATA_LABELS, ROB_DATA_TEXTS };

struct rob_data {
    rob_memory memory;
    int64_t count, capacity, features, classes; /* classes: 1 + largest label */
    rob_series *series;
    double *class_value;            /* the file's own label of each class */
    double *option;                 /* values of the table in option.c */
    char text[ROB_DATA_TEXTS][128]; /* "role", "labels" */
};

rob_status rob_priv_data_append(rob_ctx *ctx, rob_data *d, const double *x,
                                int64_t steps, int64_t features, int64_t label);
#endif
