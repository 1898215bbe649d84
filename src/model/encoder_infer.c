/* encoder_infer.c -- what the tensors of a file say about a transformer's recipe.
 *
 * The body is the prefix before the first layer's output map (F, E); layers are counted
 * while they have one; a role is there when its tensor is. Before the embedding there may
 * be a convolution, named by the recipe; the head is found as for every recipe (infer.c).
 */
#include "model/encoder.h"

#include <stdio.h>
#include <string.h>

static const rob_entry *entry_of(const rob_safetensors *s, const rob_recipe *r,
                                 rob_role role, int32_t layer)
{
    char name[96];
    if (!rob_priv_transformer_name(r, role, layer, name)) return NULL;
    return rob_priv_safetensors_find(s, name);
}

static rob_status find_body(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                            rob_recipe *r)
{
    char leaf[64], body[64] = "";
    int64_t found = 0;
    const char *form = rob_priv_transformer_leaf(r, ROB_ROLE_OUT_W);
    const char *cut = strstr(form, "%d");
    snprintf(leaf, sizeof leaf, "%.*s0%s", (int)(cut - form), form, cut + 2);
    for (int64_t i = 0; i < s->entries; i++) {
        const char *name = s->entry[i].name;
        size_t n = strlen(name), k = strlen(leaf);
        if (n < k || strcmp(name + n - k, leaf) != 0) continue;
        if (n - k > 60 || (n > k && name[n - k - 1] != '.')) continue;
        size_t length = n > k ? n - k - 1 : 0;
        if (r->body[0] && (strlen(r->body) != length || memcmp(r->body, name, length)))
            continue;
        memcpy(body, name, length);
        body[length] = '\0';
        found++;
    }
    if (found == 1) {
        memcpy(r->body, body, sizeof r->body);
        return ROB_OK;
    }
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "'%.150s' has %lld tensors PREFIX.%s%s%.60s; say body=PREFIX, or "
                         "names=torch or vit",
                         path, (long long)found, leaf, r->body[0] ? " with body=" : "",
                         r->body);
}

bool rob_priv_transformer_owns(const rob_recipe *r, const char *name)
{
    char own[96];
    for (rob_role k = 0; k < ROB_ROLES; k++)
        for (int32_t layer = 0; layer < r->layers; layer++)
            if (rob_priv_transformer_name(r, k, layer, own) && strcmp(own, name) == 0)
                return true;
    return false;
}

static rob_status agree(rob_ctx *ctx, const char *path, const char *word, int64_t *said,
                        int64_t is)
{
    rob_status status = ROB_OK;
    CHECK(*said == 0 || *said == is, ctx, ROB_EFORMAT,
          "recipe says %s%lld, the tensors of '%.200s' have %lld", word,
          (long long)*said, path, (long long)is);
    *said = is;
done:
    return status;
}

static int64_t size_of(const rob_entry *e)
{
    int64_t n = 1;
    for (int32_t i = 0; i < e->rank; i++) n *= e->dim[i];
    return n;
}

/* weight (C, D, K) of the convolution in front that the recipe names */
static rob_status read_front(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                             rob_recipe *r)
{
    rob_status status = ROB_OK;
    char name[96];
    if (!r->conv[0]) return ROB_OK;
    snprintf(name, sizeof name, "%s%cweight", r->conv, strchr(r->conv, '/') ? '/' : '.');
    const rob_entry *w = rob_priv_safetensors_find(s, name);
    CHECK(w != NULL && w->rank == 3 && size_of(w) >= 1, ctx, ROB_EFORMAT,
          "'%.150s' has no convolution %s (C, D, K)", path, name);
    TRY(agree(ctx, path, "channels=", &r->channels, w->dim[0]));
    TRY(agree(ctx, path, "features=", &r->features, w->dim[1]));
    TRY(agree(ctx, path, "kernel=", &r->kernel, w->dim[2]));
done:
    return status;
}

/* D from the embedding: F by D, by a patch, or by channels and steps as Conv1d's; behind
 * a convolution its channels are in the place of D */
static rob_status read_embedding(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                                 rob_recipe *r)
{
    rob_status status = ROB_OK;
    rob_encoder *e = &r->transformer.e;
    const rob_entry *w = entry_of(s, r, ROB_ROLE_EMBED_W, 0);
    int64_t p = e->patch_steps, q = e->patch_features;
    int64_t *inputs = r->conv[0] ? &r->channels : &r->features;
    const char *word = r->conv[0] ? "channels=" : "features=";
    if (w == NULL) {
        bool said = strcmp(r->transformer.embed, "embed") != 0
                    && strcmp(r->transformer.embed, "none") != 0;
        CHECK(p == 0 && !said, ctx, ROB_EFORMAT, "'%.200s' has no %s.weight", path,
              r->transformer.embed);
        memcpy(r->transformer.embed, "none", sizeof "none");
        return agree(ctx, path, word, inputs, r->hidden);
    }
    CHECK((w->rank == 2 || w->rank == 3) && w->dim[0] == r->hidden && w->dim[1] >= 1, ctx,
          ROB_EFORMAT, "'%.200s': tensor %s is no embedding to width %lld", path, w->name,
          (long long)r->hidden);
    if (w->rank == 3) {
        CHECK(p > 0 && (q == 0 || q == w->dim[1]), ctx, ROB_EFORMAT,
              "'%.200s': %s is a convolution; say patch=%lld if its stride is that too",
              path, w->name, (long long)w->dim[2]);
        e->by_channel = 1;
        TRY(agree(ctx, path, "patch=", &e->patch_steps, w->dim[2]));
        TRY(agree(ctx, path, word, inputs, w->dim[1]));
    } else if (p > 0 && q > 0) {
        CHECK(w->dim[1] == p * q && *inputs > 0 && *inputs % q == 0, ctx,
              ROB_EFORMAT, "'%.200s': patch=%lldx%lld needs an embedding of as many "
              "columns, not %lld, and features= a multiple of its second number", path,
              (long long)p, (long long)q, (long long)w->dim[1]);
    } else {
        CHECK(p == 0 || w->dim[1] % p == 0, ctx, ROB_EFORMAT,
              "'%.200s': %lld columns of %s are no patches of %lld steps", path,
              (long long)w->dim[1], w->name, (long long)p);
        TRY(agree(ctx, path, word, inputs, w->dim[1] / (p > 0 ? p : 1)));
    }
done:
    return status;
}

static rob_status read_positions(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                                 rob_recipe *r)
{
    rob_status status = ROB_OK;
    rob_encoder *e = &r->transformer.e;
    const rob_entry *p = entry_of(s, r, ROB_ROLE_POSITIONS, 0);
    CHECK(p != NULL || r->transformer.positions > 0, ctx, ROB_EFORMAT,
          "'%.200s' has no tensor %s: say position=NAME, or positions=none or sinusoid",
          path, r->transformer.position);
    CHECK((p != NULL) == (e->positions == ROB_POSITIONS_LEARNED)
              || r->transformer.positions == 0,
          ctx, ROB_EFORMAT, "'%.200s': positions= and the tensor %s disagree", path,
          r->transformer.position);
    CHECK(p != NULL || e->longest == 0, ctx, ROB_EFORMAT,
          "'%.200s': longest= is of a table, and there is none", path);
    if (p == NULL) goto done;
    CHECK(size_of(p) % r->hidden == 0 && size_of(p) > 0, ctx, ROB_EFORMAT,
          "'%.200s': tensor %s holds no positions of width %lld", path, p->name,
          (long long)r->hidden);
    e->positions = ROB_POSITIONS_LEARNED;
    r->transformer.positions = 1 + ROB_POSITIONS_LEARNED;
    TRY(agree(ctx, path, "longest=", &e->longest, size_of(p) / r->hidden));
done:
    return status;
}

static rob_status read_layers(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                              rob_recipe *r)
{
    rob_status status = ROB_OK;
    rob_encoder *e = &r->transformer.e;
    const rob_entry *o = entry_of(s, r, ROB_ROLE_OUT_W, 0);
    const rob_entry *f = entry_of(s, r, ROB_ROLE_FF1_W, 0);
    CHECK(o != NULL && f != NULL && o->rank == 2 && f->rank == 2 && o->dim[0] >= 1
              && o->dim[1] >= 1 && o->dim[1] % e->heads == 0,
          ctx, ROB_EFORMAT,
          "'%.200s': the first layer's maps are of no transformer with heads=%lld", path,
          (long long)e->heads);
    int64_t layers = r->layers, count = 1;
    while (count < ROB_MAX_LAYERS
           && entry_of(s, r, ROB_ROLE_OUT_W, (int32_t)count) != NULL)
        count++;
    TRY(agree(ctx, path, "layers=", &layers, count));
    r->layers = (int32_t)count;
    TRY(agree(ctx, path, "hidden=", &r->hidden, o->dim[0]));
    TRY(agree(ctx, path, "feedforward=", &e->feedforward, f->dim[0]));
    e->inner = o->dim[1];
    for (rob_role k = 0; k < ROB_ROLES; k++)
        if (entry_of(s, r, k, 0) != NULL) e->has |= 1u << k;
    bool joint = rob_priv_encoder_has(e, ROB_ROLE_QKV_W);
    bool apart = rob_priv_encoder_has(e, ROB_ROLE_Q_W)
                 && rob_priv_encoder_has(e, ROB_ROLE_K_W)
                 && rob_priv_encoder_has(e, ROB_ROLE_V_W);
    CHECK(joint != apart && rob_priv_encoder_has(e, ROB_ROLE_FF2_W), ctx, ROB_EFORMAT,
          "'%.200s': a layer lacks maps of queries, keys, values or its second "
          "linear map",
          path);
done:
    return status;
}

/* which biases and norms there are, against what the recipe says */
static rob_status read_options(rob_ctx *ctx, const char *path, rob_recipe *r)
{
    rob_status status = ROB_OK;
    rob_transformer *t = &r->transformer;
    int32_t last = 1 + rob_priv_encoder_has(&t->e, ROB_ROLE_FINAL_W);
    bool bias_free = (t->e.has & ROB_LAYER_BIASES) == 0;
    CHECK(!r->bias_free || bias_free, ctx, ROB_EFORMAT,
          "recipe says bias=no, the layers of '%.200s' have biases", path);
    CHECK(t->last_norm == 0 || t->last_norm == last, ctx, ROB_EFORMAT,
          "recipe says last_norm=%s, '%.200s' has %s", t->last_norm == 2 ? "yes" : "no",
          path, last == 2 ? "one" : "none");
    CHECK(r->readout != ROB_READOUT_CLS || rob_priv_encoder_has(&t->e, ROB_ROLE_CLS), ctx,
          ROB_EFORMAT, "'%.200s' has no tensor %s for readout=cls; say cls=NAME", path,
          t->cls);
    CHECK(t->patch_order == 0 || t->patch_order == 1 + t->e.by_channel, ctx, ROB_EFORMAT,
          "recipe says patch_order=%s, '%.200s' has an embedding of the other order",
          t->patch_order == 1 ? "steps" : "features", path);
    r->bias_free = bias_free;
    t->last_norm = last;
done:
    return status;
}

rob_status rob_priv_transformer_infer(rob_ctx *ctx, const rob_safetensors *s,
                                      const char *path, rob_recipe *r, rob_marks *marks)
{
    rob_status status = ROB_OK;
    rob_priv_transformer_settle(r);
    TRY(find_body(ctx, s, path, r));
    const rob_entry *o = entry_of(s, r, ROB_ROLE_OUT_W, 0);
    CHECK(o != NULL && o->rank == 2, ctx, ROB_EFORMAT,
          "'%.200s': the first layer's output map is no matrix", path);
    TRY(read_layers(ctx, s, path, r));
    TRY(read_front(ctx, s, path, r));
    TRY(read_embedding(ctx, s, path, r));
    TRY(read_positions(ctx, s, path, r));
    TRY(read_options(ctx, path, r));
    TRY(rob_priv_model_infer_head(ctx, s, path, r, &marks->head));
    int64_t dtype = r->dtype;
    TRY(agree(ctx, path, "dtype=f", &dtype, strcmp(o->dtype, "F64") == 0 ? 64 : 32));
    r->dtype = dtype == 64 ? ROB_F64 : ROB_F32;
    rob_priv_transformer_settle(r);
done:
    return status;
}
