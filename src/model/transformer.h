/* transformer.h -- a transformer encoder up to its read-out: its options, its tensors by
 * role, and its graph. docs/theory/transformer.md has the formulas. */
#ifndef ROB_MODEL_TRANSFORMER_H
#define ROB_MODEL_TRANSFORMER_H

#include "model/blocks.h"

enum { ROB_ACTIVATION_RELU, ROB_ACTIVATION_GELU, ROB_ACTIVATION_GELU_TANH };
enum { ROB_POSITIONS_NONE, ROB_POSITIONS_SINUSOID, ROB_POSITIONS_LEARNED };
enum { ROB_POOL_LAST, ROB_POOL_MEAN, ROB_POOL_MAX, ROB_POOL_CLS };

/* What a tensor is for. A model has some of them; those from QKV_W to NORM2_B once a
 * layer. Weights stand before their biases. */
typedef enum rob_role {
    ROB_ROLE_EMBED_W,
    ROB_ROLE_EMBED_B,
    ROB_ROLE_CLS,
    ROB_ROLE_POSITIONS,
    ROB_ROLE_QKV_W,
    ROB_ROLE_QKV_B,
    ROB_ROLE_Q_W,
    ROB_ROLE_Q_B,
    ROB_ROLE_K_W,
    ROB_ROLE_K_B,
    ROB_ROLE_V_W,
    ROB_ROLE_V_B,
    ROB_ROLE_OUT_W,
    ROB_ROLE_OUT_B,
    ROB_ROLE_NORM1_W,
    ROB_ROLE_NORM1_B,
    ROB_ROLE_FF1_W,
    ROB_ROLE_FF1_B,
    ROB_ROLE_FF2_W,
    ROB_ROLE_FF2_B,
    ROB_ROLE_NORM2_W,
    ROB_ROLE_NORM2_B,
    ROB_ROLE_FINAL_W,
    ROB_ROLE_FINAL_B,
    ROB_ROLES
} rob_role;

/* biases of a layer, those of its norms among them */
#define ROB_LAYER_BIASES                                                                    \
    (1u << ROB_ROLE_QKV_B | 1u << ROB_ROLE_OUT_B | 1u << ROB_ROLE_NORM1_B               \
     | 1u << ROB_ROLE_FF1_B | 1u << ROB_ROLE_FF2_B | 1u << ROB_ROLE_NORM2_B)

/* Options. D numbers of a step, F = width of the encoder, E = width of all heads' queries. */
typedef struct rob_encoder {
    int32_t layers, activation, positions, pool;
    int32_t norm_first;  /* 1: x + f(norm x), 0: norm(x + f x) */
    int32_t divide;      /* 0: layer norms without the division by the deviation */
    int32_t by_channel;  /* patches are written feature after feature, as Conv1d's */
    double eps;          /* of layer norms */
    int64_t features, width, heads, inner, feedforward; /* D, F, h, E, .. */
    int64_t patch_steps, patch_features; /* 0: the steps themselves */
    int64_t longest;     /* rows of learned positions */
    uint32_t has;        /* bit `role`: the model has it */
} rob_encoder;

enum { ROB_ENCODER_TENSORS = 16 * 20 + 8 }; /* at most */

static inline bool rob_priv_encoder_has(const rob_encoder *e, rob_role role)
{
    return e->has >> role & 1;
}

/* Number of tensors, and role and layer (-1: none) of tensor k. */
int32_t rob_priv_encoder_tensors(const rob_encoder *e);
rob_role rob_priv_encoder_role(const rob_encoder *e, int32_t k, int32_t *layer);
rob_shape rob_priv_encoder_shape(const rob_encoder *e, rob_role role);

/* What is read out, z (B, F), of x (T, B, D); mask (T, B, 1) or ROB_NONE; tensor[k] in the
 * order of rob_priv_encoder_role, of any shape with as many numbers. */
rob_id rob_priv_encoder_emit(const rob_encoder *e, rob_graph *g, rob_id x, rob_id mask,
                             const rob_id *tensor);

#endif
