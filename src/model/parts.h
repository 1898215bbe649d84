/* parts.h -- the pieces of a model shared by the files of this module. */
#ifndef ROB_MODEL_PARTS_H
#define ROB_MODEL_PARTS_H

#include "io/io.h"
#include "model/model.h"

/* What joins prefix and name of the body's and the head's tensors in a file. */
typedef struct rob_marks {
    char body, head;
} rob_marks;

/* What tensors are for, in their order (layout.c). */
typedef enum rob_part_kind {
    ROB_OF_THE_LAYER,
    ROB_OF_THE_HEAD,
    ROB_OF_THE_SCALE,
    ROB_OF_THE_CONV,
    ROB_OF_THE_NORM,
    ROB_OF_THE_STATE,
    ROB_PART_KINDS
} rob_part_kind;
/* at most: those of an encoder are more than those of recurrent layers, 8 a layer */
enum { ROB_MOST_TENSORS = ROB_ENCODER_TENSORS + 2 * (ROB_MAX_MLP + 1) + 18 };

int32_t rob_priv_model_parameters(const rob_recipe *r);
/* number of the first tensor of a kind; of norms, of the one at `place` */
int32_t rob_priv_model_first(const rob_recipe *r, rob_part_kind kind, int32_t place);
int32_t rob_priv_layer_tensors(const rob_recipe *r);        /* of a direction: 4 or 2 */
int64_t rob_priv_model_gates(int32_t kind);             /* rows of W / H: 1, 4, 3 */
int64_t rob_priv_model_state(const rob_recipe *r);      /* size of a layer's output */
int64_t rob_priv_model_inputs(const rob_recipe *r);     /* what the first layer sees */
int64_t rob_priv_model_step_outputs(const rob_recipe *r);
/* tensor k is not for training: statistics and first states */
bool rob_priv_model_frozen(const rob_recipe *r, int32_t k);
/* Name and shape of tensor k of a complete recipe. */
void rob_priv_model_part(const rob_recipe *r, rob_marks marks, int32_t k, char name[96],
                         rob_shape *shape);
/* The head's part of it: *r has its body. mark: joins the head's prefix and names. */
rob_status rob_priv_model_infer_head(rob_ctx *ctx, const rob_safetensors *s,
                                     const char *path, rob_recipe *r, char *mark);
/* A model with names, without tensors. */
rob_status rob_priv_model_shell(rob_ctx *ctx, const rob_recipe *r, rob_marks marks,
                                rob_model **out);
/* Everything create needs is there. */
rob_status rob_priv_recipe_complete(rob_ctx *ctx, const rob_recipe *r);
/* Fill *r from the tensors of a file and check what it already says. given: r comes
 * from a recipe; otherwise nothing is known but the tensors. */
rob_status rob_priv_model_infer(rob_ctx *ctx, const rob_safetensors *s,
                                const char *path, bool given, rob_recipe *r,
                                rob_marks *marks);
rob_status rob_priv_model_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, const char *recipe, rob_model **out);
/* The same of a file, whose tensors are read one by one into their own memory. */
rob_status rob_priv_model_open(rob_ctx *ctx, const char *path, const char *recipe,
                               rob_model **out);
rob_status rob_priv_model_write(rob_ctx *ctx, const rob_model *model, const char *path);
rob_status rob_priv_model_random(rob_ctx *ctx, const char *recipe, rob_model **out);
/* New model, tensor `name` replaced; the others are shared. */
rob_status rob_priv_model_replace(rob_ctx *ctx, const rob_model *model,
                                  const char *name, const double *values, int64_t count,
                                  rob_model **out);
int32_t rob_priv_model_find(const rob_model *model, const char *name); /* -1: none */
void rob_priv_model_tell(const rob_model *model, rob_text *t);
/* Logits y (n, L) of x (n, steps, D), in double, one row after the other. */
rob_status rob_priv_model_evaluate(rob_ctx *ctx, const rob_model *model,
                                   const double *x, int64_t n, int64_t steps,
                                   double *y);
/* Compare with tensors robust.check.x/.y when the file has them. */
rob_status rob_priv_model_check_witness(rob_ctx *ctx, const rob_model *model,
                                        const rob_safetensors *s, const char *path);
/* Such a pair for `model`: x (2, 16, D), y (2, L). */
rob_status rob_priv_model_make_witness(rob_ctx *ctx, const rob_model *model,
                                       rob_tensor **x, rob_tensor **y);

#endif
