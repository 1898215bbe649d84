/* model.h -- a sequence model: recipe, tensors, and the graph they make. Immutable once
 * built, reference counted, shared between threads; plans never live here. */
#ifndef ROB_MODEL_H
#define ROB_MODEL_H

#include "model/transformer.h"
#include "op/op.h"
#include <robust/model.h>

enum {
    ROB_KIND_RNN_TANH,
    ROB_KIND_RNN_RELU,
    ROB_KIND_LSTM,
    ROB_KIND_GRU,
    ROB_KIND_TRANSFORMER,
    ROB_KIND_GRAPH
};
/* state: the last states of both directions; every: each step has outputs of its own */
enum {
    ROB_READOUT_LAST,
    ROB_READOUT_MEAN,
    ROB_READOUT_MAX,
    ROB_READOUT_STATE,
    ROB_READOUT_EVERY,
    ROB_READOUT_CLS /* the first step of a transformer */
};
enum { ROB_ACT_NONE = 1, ROB_ACT_RELU, ROB_ACT_TANH, ROB_ACT_GELU };
enum { ROB_BATCH_NORM = 1, ROB_LAYER_NORM };
enum { ROB_AFTER_CONV, ROB_BEFORE_BODY, ROB_BEFORE_HEAD, ROB_NORMS };
enum { ROB_MAX_LAYERS = 16, ROB_MAX_MLP = 4 };

/* A normalisation layer: its kind (0: none) and the prefix of its tensors. */
typedef struct rob_norm_layer {
    int32_t kind;
    char prefix[60];
} rob_norm_layer;

/* What a recipe says of a transformer alone. 0 or "": not said. */
typedef struct rob_transformer {
    rob_encoder e;
    int32_t activation, norm, positions; /* 1 + what stands in e, where said */
    int32_t last_norm;                   /* 1: none, 2: one behind the layers */
    int32_t patch_order;                 /* 1: step after step, 2: feature after feature */
    int32_t vit;                         /* names of vit-pytorch's kind */
    char embed[64], cls[64], position[64];
} rob_transformer;

/* docs/recipe.md has the grammar. */
typedef struct rob_recipe {
    int32_t kind, layers, readout;
    int64_t features, hidden, outputs; /* D, H, L */
    double input_shift, input_scale;   /* network sees (x - shift) / scale */
    char head[64];                     /* tensor prefix of the read-out, e.g. "fc" */
    char body[64];     /* tensor prefix of the recurrence, e.g. "lstm" */
    char classes[512]; /* comma-separated names, or "" */
    int32_t dtype;     /* ROB_F32 or ROB_F64: of the stored weights */
    char layout[9];    /* of an ONNX file's input: b, t, d, 1 by axis; else "" */
    /* of recurrent nets; 0 or "" where there is nothing to say */
    int32_t both, bias_free, head_bias_free; /* two directions; layers without biases */
    int32_t forecast;                        /* outputs are values, not logits */
    int32_t activation, mlps;                /* of the head's hidden layers: ROB_ACT_ */
    int64_t mlp[ROB_MAX_MLP];                /* their sizes */
    int32_t place[ROB_MAX_MLP + 1]; /* 1 + number in the head's prefix (fc.0, fc.2) */
    int32_t conv_activation;
    int64_t channels, kernel, stride, padding, dilation; /* stride, dilation 0: 1 */
    int64_t steps; /* readout every: the only number of steps; else 0 */
    double eps;    /* of norms; 0: 1e-5 */
    rob_norm_layer norm[ROB_NORMS];
    char conv[64], scale[64], state[64]; /* tensor prefixes */
    rob_transformer transformer;
} rob_recipe;

/* One named tensor, in the order of rob_priv_model_tensor. */
typedef struct rob_parameter {
    char name[96];
    rob_tensor *tensor;
} rob_parameter;

/* Logits (B, L) of x (T, B, D), for a model that is no recipe's. */
typedef rob_id (*rob_emitter)(const rob_model *model, rob_graph *g, rob_id x,
                              rob_id mask);

typedef struct rob_callback {
    rob_model_logits logits; /* NULL: the model is no callback */
    rob_model_pullback pullback;
    void *user;
} rob_callback;

struct rob_model {
    atomic_int references;
    rob_memory memory;
    rob_recipe recipe;
    rob_parameter *parameter; /* w_ih, w_hh, b_ih, b_hh per layer, head w, b */
    int32_t parameters;
    rob_emitter emit; /* ROB_KIND_GRAPH: what writes the graph, and its data */
    const void *user;
    void (*release)(const rob_memory *m, void *user); /* of user; NULL: not ours */
    rob_callback callback;
    int64_t steps; /* the only number of steps it takes; 0: any */
};

/* Emit logits (B, L) for x (T, B, D). mask: (T, B, 1) with 1 where step t exists in row
 * b, 0 behind its end (ended rows freeze), or ROB_NONE when all rows have T steps.
 * parameter: ids to use for the tensors in order (training), or NULL: constants. The
 * input map (x - shift)/scale is part of the graph. */
rob_id rob_priv_model_emit(const rob_model *model, rob_graph *g, rob_id x, rob_id mask,
                           const rob_id *parameter);

/* New model with zero tensors of the recipe's shapes and PyTorch's names. */
rob_status rob_priv_model_make(rob_ctx *ctx, const rob_recipe *recipe, rob_model **out);
/* Which tensors are W and b of the last layer, outputs = W z + b; b -1: none. */
void rob_priv_model_last(const rob_recipe *r, int32_t *weight, int32_t *bias);
/* A model without tensors whose graph `emit` writes; `user` must outlive it. */
rob_status rob_priv_model_custom(rob_ctx *ctx, int64_t features, int64_t outputs,
                                 rob_emitter emit, const void *user, rob_model **out);
/* A model that is the caller's functions; pullback may be NULL. */
rob_status rob_priv_model_wrap(rob_ctx *ctx, int64_t features, int64_t outputs,
                               rob_model_logits logits, rob_model_pullback pullback,
                               void *user, rob_model **out);
/* The model behind a front for prices, "returns" or "candles" (front.c). */
rob_status rob_priv_model_front(rob_ctx *ctx, const rob_model *model, const char *name,
                                double scale, rob_model **out);
/* logits (rows, L) and grad (rows, T, D) = J' seed of x (rows, T, D), on this thread */
rob_status rob_priv_model_call(rob_ctx *ctx, const rob_model *model, const double *x,
                               int64_t rows, int64_t steps, double *logits);
rob_status rob_priv_model_pull(rob_ctx *ctx, const rob_model *model, const double *x,
                               const double *seed, int64_t rows, int64_t steps,
                               double *grad);
/* Parse a recipe string; errors say which word and what is allowed. */
rob_status rob_priv_recipe_parse(rob_ctx *ctx, const char *text, rob_recipe *out);
/* One word's value, at ... end, into *out; false: no such word, or not allowed. */
bool rob_priv_recipe_value(const char *name, const char *at, const char *end,
                           rob_recipe *out);
void rob_priv_recipe_print(const rob_recipe *recipe, char *out, size_t capacity);
rob_model *rob_priv_model_keep(rob_model *model);

#endif
