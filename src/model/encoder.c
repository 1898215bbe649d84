/* encoder.c -- transformers as models: how files name tensors, and a start.
 *
 * Two namings: torch.nn.TransformerEncoder's, and that of the vision transformers of
 * the vit-pytorch family (DeepT's among them). B is the prefix of the body.
 *
 * Start, as PyTorch draws it: linear maps U(-1/sqrt(n), 1/sqrt(n)), n inputs; the joint
 * map of queries, keys and values by Glorot, U(-a, a), a = sqrt(6 / (rows + columns));
 * biases of attention 0, norms 1 and 0; first step and positions U(-0.035, 0.035), whose
 * deviation is 0.02.
 */
#include "model/encoder.h"
#include "model/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct leaf {
    char of; /* b: body, e: embedding, c: first step, p: positions */
    const char *torch, *vit;
} leaf;

#define A "layers.%d.0.fn.fn."
#define F "layers.%d.1.fn.fn."
static const leaf LEAVES[ROB_ROLES] = {
    [ROB_ROLE_EMBED_W] = { 'e', "weight", "weight" },
    [ROB_ROLE_EMBED_B] = { 'e', "bias", "bias" },
    [ROB_ROLE_CLS] = { 'c', "", "" },
    [ROB_ROLE_POSITIONS] = { 'p', "", "" },
    [ROB_ROLE_QKV_W] = { 'b', "layers.%d.self_attn.in_proj_weight", A "to_qkv.weight" },
    [ROB_ROLE_QKV_B] = { 'b', "layers.%d.self_attn.in_proj_bias", A "to_qkv.bias" },
    [ROB_ROLE_Q_W] = { 'b', NULL, A "to_q.weight" },
    [ROB_ROLE_Q_B] = { 'b', NULL, A "to_q.bias" },
    [ROB_ROLE_K_W] = { 'b', NULL, A "to_k.weight" },
    [ROB_ROLE_K_B] = { 'b', NULL, A "to_k.bias" },
    [ROB_ROLE_V_W] = { 'b', NULL, A "to_v.weight" },
    [ROB_ROLE_V_B] = { 'b', NULL, A "to_v.bias" },
    [ROB_ROLE_OUT_W] = { 'b', "layers.%d.self_attn.out_proj.weight", A "to_out.0.weight" },
    [ROB_ROLE_OUT_B] = { 'b', "layers.%d.self_attn.out_proj.bias", A "to_out.0.bias" },
    [ROB_ROLE_NORM1_W] = { 'b', "layers.%d.norm1.weight", "layers.%d.0.fn.norm.weight" },
    [ROB_ROLE_NORM1_B] = { 'b', "layers.%d.norm1.bias", "layers.%d.0.fn.norm.bias" },
    [ROB_ROLE_FF1_W] = { 'b', "layers.%d.linear1.weight", F "net.0.weight" },
    [ROB_ROLE_FF1_B] = { 'b', "layers.%d.linear1.bias", F "net.0.bias" },
    [ROB_ROLE_FF2_W] = { 'b', "layers.%d.linear2.weight", F "net.3.weight" },
    [ROB_ROLE_FF2_B] = { 'b', "layers.%d.linear2.bias", F "net.3.bias" },
    [ROB_ROLE_NORM2_W] = { 'b', "layers.%d.norm2.weight", "layers.%d.1.fn.norm.weight" },
    [ROB_ROLE_NORM2_B] = { 'b', "layers.%d.norm2.bias", "layers.%d.1.fn.norm.bias" },
    [ROB_ROLE_FINAL_W] = { 'b', "norm.weight", "norm.weight" },
    [ROB_ROLE_FINAL_B] = { 'b', "norm.bias", "norm.bias" },
};
#undef A
#undef F

const char *rob_priv_transformer_leaf(const rob_recipe *r, rob_role role)
{
    return r->transformer.vit ? LEAVES[role].vit : LEAVES[role].torch;
}

static const char *prefix_of(const rob_recipe *r, char of)
{
    const rob_transformer *t = &r->transformer;
    switch (of) {
    case 'b': return r->body;
    case 'e': return t->embed;
    case 'c': return t->cls;
    default: return t->position;
    }
}

/* `form` with the layer's number in the place of %d */
static void number(const char *form, int32_t layer, char *out, size_t capacity)
{
    const char *at = strstr(form, "%d");
    if (at == NULL) snprintf(out, capacity, "%s", form);
    else
        snprintf(out, capacity, "%.*s%d%s", (int)(at - form), form, (int)layer, at + 2);
}

bool rob_priv_transformer_name(const rob_recipe *r, rob_role role, int32_t layer,
                               char name[96])
{
    const char *form = rob_priv_transformer_leaf(r, role);
    const char *prefix = prefix_of(r, LEAVES[role].of);
    char rest[64];
    if (form == NULL) return false;
    number(form, layer, rest, sizeof rest);
    snprintf(name, 96, "%.60s%s%.34s", prefix, prefix[0] && rest[0] ? "." : "", rest);
    return true;
}

void rob_priv_transformer_part(const rob_recipe *r, int32_t k, char name[96],
                               rob_shape *shape)
{
    int32_t layer;
    rob_role role = rob_priv_encoder_role(&r->transformer.e, k, &layer);
    *shape = rob_priv_encoder_shape(&r->transformer.e, role);
    rob_priv_transformer_name(r, role, layer, name);
}

/* ---- options --------------------------------------------------------------------- */

static void unless_said(char *field, const char *text)
{
    if (!field[0]) strcpy(field, text);
}

void rob_priv_transformer_settle(rob_recipe *r)
{
    static const int32_t pool[] = { ROB_POOL_LAST, ROB_POOL_MEAN, ROB_POOL_MAX };
    rob_transformer *t = &r->transformer;
    rob_encoder *e = &t->e;
    unless_said(t->cls, "cls_token");
    unless_said(t->position, "pos_embedding");
    unless_said(t->embed, t->vit ? "to_patch_embedding.1" : "embed");
    if (t->vit) unless_said(r->head, "mlp_head.1");
    if (t->vit && r->norm[ROB_BEFORE_HEAD].kind == 0)
        r->norm[ROB_BEFORE_HEAD] = (rob_norm_layer){ ROB_LAYER_NORM, "mlp_head.0" };
    e->pool = r->readout == ROB_READOUT_CLS ? ROB_POOL_CLS : pool[r->readout];
    e->eps = r->eps > 0 ? r->eps : 1e-5;
    e->layers = r->layers;
    e->features = rob_priv_model_inputs(r);
    e->width = r->hidden;
    if (e->patch_steps > 0 && e->patch_features == 0) e->patch_features = e->features;
}

rob_status rob_priv_transformer_said(rob_ctx *ctx, const char *text, const rob_recipe *r)
{
    const rob_transformer *t = &r->transformer;
    bool reads = r->readout == ROB_READOUT_CLS
                 || (r->readout >= 0 && r->readout <= ROB_READOUT_MAX);
    const char *missing = !reads               ? "readout=last, mean, max or cls"
                          : t->e.heads == 0    ? "heads=N"
                          : t->activation == 0 ? "activation=relu, gelu or gelu_tanh"
                          : t->norm == 0       ? "norm=first or last"
                                               : NULL;
    if (missing == NULL) return ROB_OK;
    return rob_priv_fail(ctx, ROB_EARGUMENT,
                         "recipe '%.200s' does not say %s; the weights do not tell", text,
                         missing);
}

rob_status rob_priv_transformer_complete(rob_ctx *ctx, rob_recipe *r)
{
    rob_status status = ROB_OK;
    rob_encoder *e = &r->transformer.e;
    TRY(rob_priv_recipe_complete(ctx, r));
    if (r->layers == 0) r->layers = 1;
    if (r->dtype == 0) r->dtype = ROB_F32;
    unless_said(r->body, r->transformer.vit ? "transformer" : "encoder");
    if (!r->transformer.vit) unless_said(r->head, "fc");
    for (int32_t i = 0; r->mlps > 0 && i <= r->mlps; i++) r->place[i] = 2 * i + 1;
    rob_priv_transformer_settle(r);
    if (e->feedforward == 0) e->feedforward = 2 * r->hidden;
    e->inner = r->hidden;
    CHECK(r->hidden % e->heads == 0 && r->hidden < 1 << 20 && e->feedforward < 1 << 20,
          ctx, ROB_ESHAPE, "recipe has hidden=%lld, which must be a multiple of heads=%lld "
          "and below 2^20, as feedforward=", (long long)r->hidden, (long long)e->heads);
    CHECK(e->patch_steps == 0 || e->features % e->patch_features == 0, ctx, ROB_ESHAPE,
          "recipe has patches of %lld features, which must divide features=%lld",
          (long long)e->patch_features, (long long)e->features);
    CHECK((e->positions == ROB_POSITIONS_LEARNED) == (e->longest > 0), ctx,
          ROB_EARGUMENT, "positions=learned and longest=N go together in a new model");
    e->by_channel = r->transformer.patch_order == 2;
    CHECK(!e->by_channel || (e->patch_steps > 0 && e->patch_features == e->features), ctx,
          ROB_EARGUMENT, "patch_order=features is of patches of all features, patch=P");
    e->has = ~(uint32_t)0 >> (32 - ROB_ROLES);
    if (strcmp(r->transformer.embed, "none") == 0) {
        CHECK(e->features == r->hidden && e->patch_steps == 0, ctx, ROB_ESHAPE,
              "embed=none: what a step has is hidden=%lld, not %lld, and no patch=",
              (long long)r->hidden, (long long)e->features);
        e->has &= ~(3u << ROB_ROLE_EMBED_W);
    }
    for (rob_role k = ROB_ROLE_Q_W; k <= ROB_ROLE_V_B; k++) e->has &= ~(1u << k);
    if (e->pool != ROB_POOL_CLS) e->has &= ~(1u << ROB_ROLE_CLS);
    if (e->longest == 0) e->has &= ~(1u << ROB_ROLE_POSITIONS);
    if (r->transformer.last_norm == 0) r->transformer.last_norm = 1 + e->norm_first;
    if (r->transformer.last_norm == 1) e->has &= ~(3u << ROB_ROLE_FINAL_W);
    if (r->bias_free) e->has &= ~ROB_LAYER_BIASES;
done:
    return status;
}

double rob_priv_transformer_start(const rob_recipe *r, int32_t k, double *value)
{
    int32_t layer;
    const rob_encoder *e = &r->transformer.e;
    rob_role role = rob_priv_encoder_role(e, k, &layer);
    rob_shape s = rob_priv_encoder_shape(e, role);
    bool weight = role == ROB_ROLE_NORM1_W || role == ROB_ROLE_NORM2_W
                  || role == ROB_ROLE_FINAL_W;
    *value = weight;
    if (role == ROB_ROLE_CLS || role == ROB_ROLE_POSITIONS) return 0.02 * sqrt(3.0);
    if (role == ROB_ROLE_QKV_W) return sqrt(6.0 / (double)(s.dim[0] + s.dim[1]));
    if (role == ROB_ROLE_EMBED_B) s = rob_priv_encoder_shape(e, ROB_ROLE_EMBED_W);
    if (role == ROB_ROLE_FF1_B || role == ROB_ROLE_FF2_B)
        s = rob_priv_encoder_shape(e, role - 1);
    if (s.rank < 2) return 0;
    return 1.0 / sqrt((double)(rob_priv_shape_size(&s) / s.dim[0]));
}

/* Patches of p steps want p of the convolution's (entry.c), which wants
 * (p - 1) s + d (K - 1) + 1 - 2 padding of the series; a table of n rows takes no more
 * than n / (D/q) p steps, which that many come from. */
int64_t rob_priv_transformer_steps(const rob_recipe *r, int64_t most)
{
    const rob_encoder *e = &r->transformer.e;
    int64_t p = e->patch_steps > 0 ? e->patch_steps : 1;
    int64_t across = e->patch_steps > 0 ? e->features / e->patch_features : 1;
    int64_t stride = r->stride ? r->stride : 1, dilation = r->dilation ? r->dilation : 1;
    int64_t reach = r->conv[0] ? dilation * (r->kernel - 1) + 1 - 2 * r->padding : 1;
    int64_t least = (p - 1) * stride + reach, steps = most > least ? most : least;
    if (e->positions == ROB_POSITIONS_LEARNED) {
        int64_t rows = (e->longest - rob_priv_encoder_has(e, ROB_ROLE_CLS)) / across * p;
        int64_t room = (rows - 1) * stride + reach;
        steps = steps < room ? steps : room;
    }
    return steps > 1 ? steps : 1;
}

rob_id rob_priv_transformer_emit(const rob_net *net, rob_id x)
{
    const rob_encoder *e = &net->r->transformer.e;
    rob_id tensor[ROB_ENCODER_TENSORS];
    for (int32_t k = 0; k < rob_priv_encoder_tensors(e); k++)
        tensor[k] = rob_priv_net_tensor(net, k);
    return rob_priv_encoder_emit(e, net->g, x, net->mask, tensor);
}
