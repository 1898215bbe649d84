/* graph.h -- a model out of a recorded program. */
#ifndef ROB_MODEL_GRAPH_H
#define ROB_MODEL_GRAPH_H

#include "model/model.h"

/* An input of a tape and the value it has now. */
typedef struct rob_tape_input_value {
    rob_id id;
    int64_t count;
    double *value;
} rob_tape_input_value;

/* What a tape shows of itself. */
typedef struct rob_tape_view {
    const rob_graph *graph;
    const rob_tape_input_value *input;
    int32_t inputs;
} rob_tape_view;

/* y of `from` in `to`. map (ids of `from` -> ids of `to`): given where not ROB_NONE,
 * the rest is filled in. Failures are latched in `to`. */
rob_id rob_priv_graph_copy(rob_graph *to, const rob_graph *from, rob_id y, rob_id *map);
/* Logits (B, L) of x (T, B, D) by copies of a program for `rows` series. */
typedef rob_id rob_emit_rows(const void *user, rob_graph *g, rob_id x);
rob_id rob_priv_graph_rows(rob_graph *g, rob_id x, int64_t rows, rob_emit_rows *emit,
                           const void *user);
/* x (T, D) or (T, R, D), y with R L numbers. */
rob_status rob_priv_model_record(rob_ctx *ctx, const rob_tape_view *t, rob_id x,
                                 rob_id y, rob_model **out);

#endif
