/* graph.h -- a program as data: nodes over a small set of operators.
 *
 * A graph only grows. Node ids count up, inputs come before users, so ids are a
 * topological order. The constructor hash-conses (same operator, attributes and inputs:
 * same id) and folds zeros and ones, which is what keeps higher derivatives small.
 *
 * Shapes are explicit, rank 0 to 4, row-major. Sequences are time-major: (T, B, F).
 *
 * Builders never return a status: the first failure is latched in the graph, later calls
 * return ROB_NONE and do nothing. Ask rob_priv_graph_status once at the end. So rules read
 * like formulas.
 */
#ifndef ROB_GRAPH_H
#define ROB_GRAPH_H

#include "core/core.h"

typedef int32_t rob_id;
enum { ROB_NONE = -1, ROB_MAX_RANK = 4 };

typedef struct rob_shape { int32_t rank; int64_t dim[ROB_MAX_RANK]; } rob_shape;

typedef struct rob_op rob_op;
typedef struct rob_graph rob_graph;

/* What a node is beside its inputs; part of its identity. */
typedef struct rob_attr {
    int64_t i[6];            /* split: axis, K, then K <= 4 sizes; K > 4: one size for all */
    double x[2];
} rob_attr;

/* Numbers of a constant, float32 or float64 as stored; shared by reference count. */
typedef struct rob_tensor {
    atomic_int references;
    rob_memory memory;
    int32_t dtype;            /* ROB_F32 or ROB_F64 */
    rob_shape shape;
    void *data;
} rob_tensor;

/* Recurrence. Node inputs:  [first carries | sequences (T, ...) | constants].
 * Body inputs (ids in `in`): [carries | one step of each sequence | constants].
 * Body outputs (ids in `out`): [next carries | ys]. Node outputs, read by `pick`:
 * [last carries | stacked ys (T, ...)]. ys may grow (rob_priv_scan_stack). */
typedef struct rob_scan {
    rob_graph *body;
    int32_t carries, sequences, constants, ys;
    int32_t reverse;          /* 1: t runs from T-1 down to 0 */
    int64_t steps;            /* T >= 1 */
    rob_id *in;               /* carries + sequences + constants body ids */
    rob_id *out;              /* carries + ys body ids */
    int32_t out_capacity;
} rob_scan;

typedef struct rob_node {
    const rob_op *op;
    rob_shape shape;          /* of the only output; of output 0 where there are more */
    int32_t ins, outs;        /* outs > 1 (split, scan): values are read through pick */
    const rob_id *in;         /* valid until the graph grows: copy before building */
    rob_attr attr;
    rob_tensor *tensor;       /* constant */
    rob_scan *scan;           /* scan */
} rob_node;

/* ---- life ------------------------------------------------------------------------- */
rob_status rob_priv_graph_create(rob_ctx *ctx, rob_graph **out);
void rob_priv_graph_free(rob_graph *g);
rob_status rob_priv_graph_clone(rob_ctx *ctx, const rob_graph *g, rob_graph **out); /* same ids */
rob_status rob_priv_graph_status(rob_ctx *ctx, const rob_graph *g); /* latched error -> ctx */
rob_id rob_priv_graph_fail(rob_graph *g, rob_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));                           /* latch; ROB_NONE */

void rob_priv_graph_forgive(rob_graph *g);               /* clear the latch */
bool rob_priv_graph_failed(const rob_graph *g);
const rob_memory *rob_priv_graph_memory(const rob_graph *g);

int32_t rob_priv_graph_count(const rob_graph *g);
rob_node rob_priv_node(const rob_graph *g, rob_id id);   /* a copy of the description */
rob_shape rob_priv_shape(const rob_graph *g, rob_id id); /* of a value */
/* shape of output k of a multi-output node (split, scan) */
rob_shape rob_priv_shape_of_output(const rob_graph *g, rob_id id, int32_t k);

/* ---- shapes ------------------------------------------------------------------------- */
rob_shape rob_priv_shape_make(int32_t rank, const int64_t *dim);
rob_shape rob_priv_shape1(int64_t a);
rob_shape rob_priv_shape2(int64_t a, int64_t b);
rob_shape rob_priv_shape3(int64_t a, int64_t b, int64_t c);
int64_t rob_priv_shape_size(const rob_shape *s);         /* product; 1 for rank 0 */
int64_t rob_priv_shape_cols(const rob_shape *s);         /* last dim; 1 for rank 0 */
int64_t rob_priv_shape_rows(const rob_shape *s);         /* product of the others */
bool rob_priv_shape_equal(const rob_shape *a, const rob_shape *b);
/* numpy broadcasting; false when they do not fit */
bool rob_priv_shape_broadcast(const rob_shape *a, const rob_shape *b, rob_shape *out);

/* ---- building: the one constructor (op/build.h has a line per operator) ------------- */
rob_id rob_priv_apply(rob_graph *g, const rob_op *op, const rob_id *in, int32_t ins, rob_attr attr);

/* Add a described node as it is (no fold, no shape rule), hash-consed unless it is an input
 * or a scan; keeps a reference on its tensor, takes its scan. */
rob_id rob_priv_graph_add(rob_graph *g, const rob_node *n);
void rob_priv_graph_set_outs(rob_graph *g, rob_id id, int32_t outs);
/* Output index (for g_pick) of the stack of body value v over all steps; adds the output
 * to the scan when it is not there yet. v may be a body input (a carry: its value before
 * the step). Negative: failed. */
int32_t rob_priv_scan_stack(rob_graph *g, rob_id scan, rob_id v);

/* ---- numbers of constants ---- */
rob_status rob_priv_tensor_create(const rob_memory *m, int32_t dtype, rob_shape shape, rob_tensor **out); /* zeros */
rob_tensor *rob_priv_tensor_keep(rob_tensor *t);
void rob_priv_tensor_free(rob_tensor *t);
double rob_priv_tensor_at(const rob_tensor *t, int64_t i);

#endif
