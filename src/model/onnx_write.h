/* onnx_write.h -- an ONNX file while it is written: a chain of nodes, one value at its end.
 *
 * `value` is the name of what has been computed so far; nodes name their outputs v0, v1 and
 * so on unless told. Failed allocations are latched in the texts.
 */
#ifndef ROB_MODEL_ONNX_WRITE_H
#define ROB_MODEL_ONNX_WRITE_H

#include "model/onnx.h"
#include "model/parts.h"

enum { ROB_ONNX_TEXT = 64 };

typedef struct rob_onnx_writer {
    rob_ctx *ctx;
    const rob_memory *memory;
    const rob_model *model;
    rob_text graph, nodes;
    int32_t dtype, opset, made; /* of numbers; 17, or 20 with gelu; nodes so far */
    uint32_t shared;            /* shared constants that nodes read (onnx_write.c) */
    char value[ROB_ONNX_TEXT];
} rob_onnx_writer;

/* Attributes of a node that is being written. */
void rob_priv_onnx_put_int(const rob_onnx_writer *w, rob_text *node, const char *name,
                           int64_t value);
void rob_priv_onnx_put_ints(const rob_onnx_writer *w, rob_text *node, const char *name,
                            const int64_t *value, int32_t count);
void rob_priv_onnx_put_float(const rob_onnx_writer *w, rob_text *node, const char *name,
                             double value);
void rob_priv_onnx_put_text(const rob_onnx_writer *w, rob_text *node, const char *name,
                            const char *value);
void rob_priv_onnx_put_texts(const rob_onnx_writer *w, rob_text *node, const char *name,
                             const char *value, int32_t times);

/* A node. in: names with blanks between, "-" for one left out. Its output number `at` is
 * called `out`, NULL: a new name, and becomes the value. attributes: taken, may be NULL. */
void rob_priv_onnx_node(rob_onnx_writer *w, const char *op, const char *in, int32_t at,
                        const char *out, rob_text *attributes);
/* The same of the value and `more`. */
void rob_priv_onnx_then(rob_onnx_writer *w, const char *op, const char *more,
                        rob_text *attributes);
void rob_priv_onnx_transpose(rob_onnx_writer *w, const int64_t *order, int32_t rank);
/* ReduceMean or ReduceMax of the value along one axis. */
void rob_priv_onnx_reduce(rob_onnx_writer *w, const char *op, int64_t axis, bool keep);
/* relu, tanh or gelu of the value, by the recipe's number (ROB_ACT_*). */
void rob_priv_onnx_activate(rob_onnx_writer *w, int32_t activation);

/* Constants: numbers of the model's type, and integers (rank 1, or 0 for count 0). */
void rob_priv_onnx_numbers(rob_onnx_writer *w, const char *name, int32_t rank,
                           const int64_t *dim, const double *value);
void rob_priv_onnx_number(rob_onnx_writer *w, const char *name, double value);
void rob_priv_onnx_integers(rob_onnx_writer *w, const char *name, int64_t count,
                            const int64_t *value);
/* axis0, axis1, minus1, far, rows, steps: those that nodes so far have read. */
void rob_priv_onnx_put_shared(rob_onnx_writer *w);
/* Parameter k of the model under `name`: as it is, or as rank and dims say, those of its
 * numbers from `first` on; `turned`: a matrix (m, n) as (n, m). */
typedef struct rob_onnx_view {
    int32_t rank; /* 0: the parameter's own shape */
    int64_t dim[4], first;
    bool turned;
} rob_onnx_view;
rob_status rob_priv_onnx_parameter(rob_onnx_writer *w, int32_t k, const char *name,
                                   const rob_onnx_view *view);

/* The norm at a place of the recipe, of the value (..., F) (onnx_save.c). */
rob_status rob_priv_onnx_norm(rob_onnx_writer *w, int32_t place);
/* gamma, beta: parameters, -1: none. Of the value's last axis. */
rob_status rob_priv_onnx_layer_norm(rob_onnx_writer *w, int32_t gamma, int32_t beta,
                                    double eps, bool divide);
/* From the value (T, B, D) behind the front to what is read out, (B, F). */
rob_status rob_priv_onnx_put_encoder(rob_onnx_writer *w);
/* The same of recurrent layers; of readout=every (T, B, S). */
rob_status rob_priv_onnx_put_recurrent(rob_onnx_writer *w);

#endif
