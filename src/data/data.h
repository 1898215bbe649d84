/* data.h -- labelled sequences in memory. */
#ifndef ROB_DATA_H
#define ROB_DATA_H
#include "core/core.h"
#include <robust/data.h>

/* What stands for x[k, f] in the units of the data set is shift[f] + scale[f] x[k, f].
 * Dates and times that are not known are NaN. */
typedef struct rob_series {
    double *x;             /* (steps, features); its block holds the next four too */
    double *shift, *scale; /* (features) */
    double *time;          /* (steps), or NULL: start + k dt */
    double *target;        /* (targets) */
    int64_t steps, label;  /* label -1: none */
    int64_t targets, gaps; /* gaps: values that were missing and are interpolated */
    int64_t missing, masked; /* absent in the file; there, but flagged */
    double start, dt;
    double level;                   /* what the values were divided by; 1 */
    double when, until;             /* last time looked at; last time the target uses */
    double period, epoch, duration; /* of a folded curve, in its file's time */
    double truth[2];                /* of a simulated market */
    char name[24];
} rob_series;

enum {
    ROB_DATA_ROLE,
    ROB_DATA_LABELS,
    ROB_DATA_LABEL,
    ROB_DATA_COLUMNS,
    ROB_DATA_TIME,
    ROB_DATA_SPLIT,
    ROB_DATA_FOLD,
    ROB_DATA_NORMALIZE,
    ROB_DATA_INPUTS,
    ROB_DATA_TARGET,
    ROB_DATA_FROM,
    ROB_DATA_UNTIL,
    ROB_DATA_UNITS,
    ROB_DATA_TIME_UNITS,
    ROB_DATA_LAYOUT,
    ROB_DATA_QUALITY,
    ROB_DATA_TEXTS
};

/* One row of a table about the series read after it. */
typedef struct rob_meta {
    double period, epoch, duration, label; /* NaN: not there */
    bool left_out;
    char name[24];
} rob_meta;

struct rob_data {
    rob_memory memory;
    int64_t count, capacity, features, classes; /* classes: 1 + largest label */
    rob_series *series;
    double *class_value;             /* the file's own label of each class */
    double *option;                  /* values of the table in option.c */
    char *labels;                    /* all labels that files declared, or NULL */
    char text[ROB_DATA_TEXTS][128];  /* in the order above */
    char units[32], time_units[32];  /* of shift + scale x, and of time */
    rob_meta *meta;                  /* rows waiting for series: from `told` on */
    int64_t metas, meta_room, told;
    double *clock;                   /* a time axis shared by series read after it */
    int64_t ticks;
    int64_t skipped, dropped; /* series of too few points; days without a price */
    int64_t purged;                  /* freed by a split by time */
    double *fitted;                  /* (2, features): mean, deviation; or NULL */
};

rob_status rob_priv_data_append(rob_ctx *ctx, rob_data *d, const double *x,
                                int64_t steps, int64_t features, int64_t label);
#endif
