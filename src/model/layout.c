/* layout.c -- the tensors of a model: what they are for, their names and shapes.
 *
 * In this order, where the recipe has them; G = 1 (Elman), 4 (LSTM: i f g o), 3 (GRU:
 * r z n); C channels, K kernel, S = H or 2H the size of a layer's output; the layers of a
 * transformer, its embedding with them, are in encoder.c:
 *     layers, each direction   weight_ih (G H, D or C or S)  weight_hh (G H, H)
 *                              bias_ih (G H)  bias_hh (G H)
 *     head                     weight (size, S or the size before)  bias (size), each layer
 *     scale                    mean (D)  std (D)
 *     convolution              weight (C, D, K)  bias (C)
 *     norms                    weight  bias, and running_mean  running_var of a batch norm
 *     first state              h0 (layers x directions, H), of an LSTM also c0
 * Names and gate order are PyTorch's: torch.nn.RNN, LSTM, GRU, Linear, Sequential, Conv1d,
 * BatchNorm1d, LayerNorm.
 */
#include "model/encoder.h"

#include <stdio.h>
#include <string.h>

int64_t rob_priv_model_gates(int32_t kind)
{
    return kind == ROB_KIND_LSTM ? 4 : kind == ROB_KIND_GRU ? 3 : 1;
}

/* what the head sees */
int64_t rob_priv_model_state(const rob_recipe *r) { return r->hidden * (1 + (r->both != 0)); }

/* what the first layer sees of a step */
int64_t rob_priv_model_inputs(const rob_recipe *r)
{
    return r->conv[0] ? r->channels : r->features;
}

int64_t rob_priv_model_step_outputs(const rob_recipe *r)
{
    return r->steps > 0 ? r->outputs / r->steps : r->outputs;
}

/* ---- where each kind begins ------------------------------------------------------ */

static int32_t norm_tensors(const rob_norm_layer *n)
{
    return n->kind == ROB_BATCH_NORM ? 4 : n->kind == ROB_LAYER_NORM ? 2 : 0;
}

static int32_t how_many(const rob_recipe *r, rob_part_kind kind)
{
    switch (kind) {
    case ROB_OF_THE_LAYER:
        if (r->kind == ROB_KIND_TRANSFORMER)
            return rob_priv_encoder_tensors(&r->transformer.e);
        return r->layers * (1 + (r->both != 0)) * rob_priv_layer_tensors(r);
    case ROB_OF_THE_HEAD: return (r->mlps + 1) * (r->head_bias_free ? 1 : 2);
    case ROB_OF_THE_SCALE: return r->scale[0] ? 2 : 0;
    case ROB_OF_THE_CONV: return r->conv[0] ? 2 : 0;
    case ROB_OF_THE_NORM: return 0;
    default: return r->state[0] ? (r->kind == ROB_KIND_LSTM ? 2 : 1) : 0;
    }
}

int32_t rob_priv_layer_tensors(const rob_recipe *r) { return r->bias_free ? 2 : 4; }

int32_t rob_priv_model_first(const rob_recipe *r, rob_part_kind kind, int32_t place)
{
    int32_t k = 0;
    for (int32_t before = 0; before < (int32_t)kind; before++) {
        k += how_many(r, (rob_part_kind)before);
        for (int32_t p = 0; before == ROB_OF_THE_NORM && p < ROB_NORMS; p++)
            k += norm_tensors(&r->norm[p]);
    }
    for (int32_t p = 0; kind == ROB_OF_THE_NORM && p < place; p++)
        k += norm_tensors(&r->norm[p]);
    return k;
}

int32_t rob_priv_model_parameters(const rob_recipe *r)
{
    return rob_priv_model_first(r, ROB_PART_KINDS, 0);
}

bool rob_priv_model_frozen(const rob_recipe *r, int32_t k)
{
    if (k >= rob_priv_model_first(r, ROB_OF_THE_STATE, 0)) return true;
    for (int32_t p = 0; p < ROB_NORMS; p++) {
        int32_t first = rob_priv_model_first(r, ROB_OF_THE_NORM, p);
        if (r->norm[p].kind == ROB_BATCH_NORM && k >= first + 2 && k < first + 4)
            return true;
    }
    return k >= rob_priv_model_first(r, ROB_OF_THE_SCALE, 0)
           && k < rob_priv_model_first(r, ROB_OF_THE_CONV, 0);
}

void rob_priv_model_last(const rob_recipe *r, int32_t *weight, int32_t *bias)
{
    *weight = rob_priv_model_first(r, ROB_OF_THE_SCALE, 0) - 2 + r->head_bias_free;
    *bias = r->head_bias_free ? -1 : *weight + 1;
}

/* ---- names and shapes ------------------------------------------------------------ */

static void join(const char *prefix, char mark, const char *leaf, char name[96])
{
    char between[2] = { prefix[0] ? mark : '\0', '\0' };
    snprintf(name, 96, "%s%s%s", prefix, between, leaf);
}

/* a nested prefix goes on as it began */
static char mark_of(const char *prefix) { return strchr(prefix, '/') ? '/' : '.'; }

static void layer_part(const rob_recipe *r, char mark, int32_t k, char name[96],
                       rob_shape *shape)
{
    static const char *const LEAF[] = { "weight_ih", "weight_hh", "bias_ih",
                                        "bias_hh" };
    int32_t each = rob_priv_layer_tensors(r), both = 1 + (r->both != 0);
    int32_t which = k % each, way = k / each % both, layer = k / each / both;
    int64_t rows = rob_priv_model_gates(r->kind) * r->hidden;
    int64_t before = layer ? rob_priv_model_state(r) : rob_priv_model_inputs(r);
    char leaf[32];
    snprintf(leaf, sizeof leaf, "%s_l%d%s", LEAF[which], (int)layer,
             way ? "_reverse" : "");
    join(r->body, mark, leaf, name);
    *shape = which >= 2 ? rob_priv_shape1(rows)
                        : rob_priv_shape2(rows, which ? r->hidden : before);
}

static void head_part(const rob_recipe *r, char mark, int32_t k, char name[96],
                      rob_shape *shape)
{
    int32_t each = r->head_bias_free ? 1 : 2, i = k / each;
    int64_t before = i ? r->mlp[i - 1] : rob_priv_model_state(r);
    int64_t size = i < r->mlps ? r->mlp[i] : rob_priv_model_step_outputs(r);
    const char *what = k % each ? "bias" : "weight";
    char leaf[32];
    if (r->place[i]) snprintf(leaf, sizeof leaf, "%d%c%s", (int)r->place[i] - 1, mark, what);
    else snprintf(leaf, sizeof leaf, "%s", what);
    join(r->head, mark, leaf, name);
    *shape = k % each ? rob_priv_shape1(size) : rob_priv_shape2(size, before);
}

static void scale_part(const rob_recipe *r, int32_t k, char name[96], rob_shape *shape)
{
    join(r->scale, mark_of(r->scale), k ? "std" : "mean", name);
    *shape = rob_priv_shape1(r->features);
}

static void conv_part(const rob_recipe *r, int32_t k, char name[96], rob_shape *shape)
{
    join(r->conv, mark_of(r->conv), k ? "bias" : "weight", name);
    *shape = k ? rob_priv_shape1(r->channels)
               : rob_priv_shape3(r->channels, r->features, r->kernel);
}

static void norm_part(const rob_recipe *r, int32_t k, char name[96], rob_shape *shape)
{
    static const char *const LEAF[] = { "weight", "bias", "running_mean",
                                        "running_var" };
    int32_t p = 0;
    while (k >= norm_tensors(&r->norm[p])) k -= norm_tensors(&r->norm[p++]);
    join(r->norm[p].prefix, mark_of(r->norm[p].prefix), LEAF[k], name);
    *shape = rob_priv_shape1(p == ROB_BEFORE_HEAD ? rob_priv_model_state(r)
                                                  : rob_priv_model_inputs(r));
}

static void state_part(const rob_recipe *r, int32_t k, char name[96], rob_shape *shape)
{
    join(r->state, mark_of(r->state), k ? "c0" : "h0", name);
    *shape = rob_priv_shape2(r->layers * (1 + (r->both != 0)), r->hidden);
}

void rob_priv_model_part(const rob_recipe *r, rob_marks marks, int32_t k, char name[96],
                         rob_shape *shape)
{
    int32_t kind = ROB_PART_KINDS - 1;
    while (kind > 0 && k < rob_priv_model_first(r, (rob_part_kind)kind, 0)) kind--;
    k -= rob_priv_model_first(r, (rob_part_kind)kind, 0);
    if (kind == ROB_OF_THE_LAYER && r->kind == ROB_KIND_TRANSFORMER)
        rob_priv_transformer_part(r, k, name, shape);
    else if (kind == ROB_OF_THE_LAYER) layer_part(r, marks.body, k, name, shape);
    else if (kind == ROB_OF_THE_HEAD) head_part(r, marks.head, k, name, shape);
    else if (kind == ROB_OF_THE_SCALE) scale_part(r, k, name, shape);
    else if (kind == ROB_OF_THE_CONV) conv_part(r, k, name, shape);
    else if (kind == ROB_OF_THE_NORM) norm_part(r, k, name, shape);
    else state_part(r, k, name, shape);
}
