/* encoder.h -- transformers as models: names of tensors, what a file says, a start. */
#ifndef ROB_MODEL_ENCODER_H
#define ROB_MODEL_ENCODER_H

#include "model/parts.h"

struct rob_net;

/* Name and shape of tensor k. */
void rob_priv_transformer_part(const rob_recipe *r, int32_t k, char name[96],
                               rob_shape *shape);
/* Name of the tensor of a role; false: the naming has none. */
bool rob_priv_transformer_name(const rob_recipe *r, rob_role role, int32_t layer,
                               char name[96]);
/* The name's part behind the prefix of the body. */
const char *rob_priv_transformer_leaf(const rob_recipe *r, rob_role role);
/* Everything behind the words: defaults of names, options for the graph. */
void rob_priv_transformer_settle(rob_recipe *r);
rob_status rob_priv_transformer_said(rob_ctx *ctx, const char *text, const rob_recipe *r);
rob_status rob_priv_transformer_complete(rob_ctx *ctx, rob_recipe *r);
rob_status rob_priv_transformer_infer(rob_ctx *ctx, const rob_safetensors *s,
                                      const char *path, rob_recipe *r,
                                      rob_marks *marks);
/* A tensor of the encoder has this name. */
bool rob_priv_transformer_owns(const rob_recipe *r, const char *name);
/* What a tensor starts with: U(-bound, bound) where bound > 0, else the number. */
double rob_priv_transformer_start(const rob_recipe *r, int32_t k, double *value);
/* Steps that the model surely takes, at most `most`. */
int64_t rob_priv_transformer_steps(const rob_recipe *r, int64_t most);
/* What is read out (B, F) of what comes out of the front, (T, B, D). */
rob_id rob_priv_transformer_emit(const struct rob_net *net, rob_id x);

#endif
