/* infer.c -- what the tensors of a file say about the recipe.
 *
 * The body is the prefix before "weight_ih_l0"; rows of weight_hh_l0 (G H, H) over its
 * columns give G = 1 (Elman), 3 (GRU), 4 (LSTM); layers are counted while weight_ih_lk
 * exists, a second direction and biases are there or not. The head is the only other
 * matrix with as many columns as a layer's output, or begins with it: PREFIX.0, PREFIX.2
 * and so on are its layers. Convolution and norms are where the recipe says.
 * Nothing is guessed: no candidate or two are errors that name what was found.
 */
#include "model/encoder.h"

#include <stdio.h>
#include <string.h>

enum { PREFIX_CAP = 64, LIST_CAP = 160 };

/* An entry's name cut before `leaf`: prefix and the mark that joined it. */
typedef struct prefix {
    char text[PREFIX_CAP];
    char mark;
} prefix;

static bool cut(const char *name, const char *leaf, prefix *out)
{
    size_t n = strlen(name), k = strlen(leaf);
    if (n < k || strcmp(name + n - k, leaf) != 0) return false;
    n -= k;
    out->mark = n > 0 ? name[n - 1] : '.';
    if (out->mark != '.' && out->mark != '/') return false;
    size_t length = n > 0 ? n - 1 : 0;
    if (length >= PREFIX_CAP) return false;
    memcpy(out->text, name, length);
    out->text[length] = '\0';
    return true;
}

static const rob_entry *find(const rob_safetensors *s, const prefix *p,
                             const char *leaf)
{
    char name[PREFIX_CAP + 32], mark[2] = { p->text[0] ? p->mark : '\0', '\0' };
    snprintf(name, sizeof name, "%s%s%s", p->text, mark, leaf);
    return rob_priv_safetensors_find(s, name);
}

static void list(char *out, const char *name)
{
    size_t used = strlen(out);
    snprintf(out + used, LIST_CAP - used, "%s%s", used > 0 ? ", " : "", name);
}

/* ---- the body -------------------------------------------------------------------- */

static rob_status find_body(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                            const char *wanted, prefix *out)
{
    int64_t found = 0;
    char names[LIST_CAP] = "";
    prefix p;
    for (int64_t i = 0; i < s->entries; i++) {
        if (!cut(s->entry[i].name, "weight_ih_l0", &p)) continue;
        list(names, p.text);
        if (wanted[0] && strcmp(wanted, p.text) != 0) continue;
        found++;
        *out = p;
    }
    if (found == 1) return ROB_OK;
    if (wanted[0])
        return rob_priv_fail(ctx, ROB_EFORMAT,
                             "'%.150s' has no tensor %s.weight_ih_l0; "
                             "bodies found: %s",
                             path, wanted, names[0] ? names : "none");
    if (found == 0)
        return rob_priv_fail(
            ctx, ROB_EFORMAT,
            "'%.150s' has no tensor PREFIX.weight_ih_l0: "
            "no recurrent model with PyTorch's names; its first tensor is "
            "'%.80s'",
            path, s->entries > 0 ? s->entry[0].name : "");
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "'%.150s' has %lld recurrent bodies (%s); say "
                         "body=PREFIX",
                         path, (long long)found, names);
}

static int32_t kind_of(const rob_entry *hh)
{
    if (hh->rank != 2 || hh->dim[1] < 1 || hh->dim[0] % hh->dim[1] != 0) return -1;
    int64_t gates = hh->dim[0] / hh->dim[1];
    return gates == 1   ? ROB_KIND_RNN_TANH
           : gates == 4 ? ROB_KIND_LSTM
           : gates == 3 ? ROB_KIND_GRU
                        : -1;
}

static rob_status read_layers(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                              const prefix *body, rob_recipe *found)
{
    rob_status status = ROB_OK;
    const rob_entry *hh = find(s, body, "weight_hh_l0");
    CHECK(find(s, body, "weight_hr_l0") == NULL, ctx, ROB_EUNSUPPORTED,
          "'%.200s' has projections (proj_size), which are not offered", path);
    CHECK(hh != NULL, ctx, ROB_EFORMAT, "'%.200s' has no tensor %s%cweight_hh_l0", path,
          body->text, body->mark);
    found->kind = kind_of(hh);
    CHECK(found->kind >= 0, ctx, ROB_EFORMAT,
          "'%.200s': the shape of weight_hh_l0 is of no rnn, lstm or gru", path);
    found->hidden = hh->dim[1];
    found->both = find(s, body, "weight_ih_l0_reverse") != NULL;
    found->bias_free = find(s, body, "bias_ih_l0") == NULL;
    found->layers = 1;
    for (char leaf[32]; found->layers < ROB_MAX_LAYERS; found->layers++) {
        snprintf(leaf, sizeof leaf, "weight_ih_l%d", (int)found->layers);
        if (find(s, body, leaf) == NULL) break;
    }
    memcpy(found->body, body->text, sizeof found->body);
done:
    return status;
}

/* weight (C, D, K) of the convolution the recipe names; without one D of the layers */
static rob_status read_inputs(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                              const prefix *body, const rob_recipe *said,
                              rob_recipe *found)
{
    rob_status status = ROB_OK;
    const rob_entry *ih = find(s, body, "weight_ih_l0"), *w;
    prefix conv = { .mark = strchr(said->conv, '/') ? '/' : '.' };
    CHECK(ih->rank == 2 && ih->dim[1] >= 1, ctx, ROB_EFORMAT,
          "'%.200s': the shape of weight_ih_l0 is of no rnn, lstm or gru", path);
    found->features = ih->dim[1];
    if (!said->conv[0]) goto done;
    memcpy(conv.text, said->conv, sizeof conv.text);
    w = find(s, &conv, "weight");
    CHECK(w != NULL && w->rank == 3 && w->dim[0] == ih->dim[1] && w->dim[1] >= 1
              && w->dim[2] >= 1,
          ctx, ROB_EFORMAT,
          "'%.150s' has no %s%cweight (%lld, D, K): a convolution into what the first "
          "layer sees",
          path, said->conv, conv.mark, (long long)ih->dim[1]);
    found->channels = w->dim[0];
    found->features = w->dim[1];
    found->kernel = w->dim[2];
done:
    return status;
}

/* ---- the head -------------------------------------------------------------------- */

/* PREFIX.7: the number behind the last mark, cut off; -1: no number, nothing cut */
static int32_t cut_number(prefix *p)
{
    char *last = strrchr(p->text, p->mark);
    int32_t n = 0;
    if (last == NULL || last[1] == '\0' || strlen(last + 1) > 4) return -1;
    for (const char *at = last + 1; *at; at++) {
        if (*at < '0' || *at > '9') return -1;
        n = 10 * n + (*at - '0');
    }
    *last = '\0';
    return n;
}

static const rob_entry *numbered(const rob_safetensors *s, const prefix *p, int32_t n,
                                 const char *leaf)
{
    char name[32];
    snprintf(name, sizeof name, "%d%c%s", (int)n, p->mark, leaf);
    return find(s, p, name);
}

/* The layers behind PREFIX.first that fit: into place and mlp, the last one's entry. */
static const rob_entry *follow(const rob_safetensors *s, const prefix *p, int32_t first,
                               const rob_entry *w, rob_recipe *found)
{
    found->mlps = 0;
    found->place[0] = first + 1;
    for (int32_t n = first + 1; n < first + 64 && found->mlps < ROB_MAX_MLP; n++) {
        const rob_entry *next = numbered(s, p, n, "weight");
        if (next == NULL || next->rank != 2 || next->dim[1] != w->dim[0]) continue;
        found->mlp[found->mlps++] = w->dim[0];
        found->place[found->mlps] = n + 1;
        w = next;
    }
    return w;
}

/* The head that begins with w at prefix p, which becomes the head's own. */
static void read_head(const rob_safetensors *s, const rob_entry *w, prefix *p,
                      rob_recipe *found)
{
    prefix base = *p;
    int32_t first = cut_number(&base);
    found->mlps = found->place[0] = 0;
    found->head_bias_free = find(s, p, "bias") == NULL;
    if (first >= 0) w = follow(s, &base, first, w, found);
    if (found->mlps > 0) *p = base;
    else found->place[0] = 0;
    found->outputs = w->dim[0];
}

static bool is_named(const prefix *p, const char *wanted)
{
    prefix base = *p;
    if (strcmp(wanted, p->text) == 0) return true;
    return cut_number(&base) >= 0 && strcmp(wanted, base.text) == 0;
}

/* a matrix that may begin the head: as many columns as it sees, no part of the body */
static bool may_begin(const rob_entry *w, const rob_recipe *found, prefix *p)
{
    return cut(w->name, "weight", p) && w->rank == 2
           && w->dim[1] == rob_priv_model_state(found)
           && !(found->kind == ROB_KIND_TRANSFORMER
                && rob_priv_transformer_owns(found, w->name));
}

/* w at p is a layer of the head that begins at number m of its prefix: a later one that
 * happens to fit too */
static bool is_behind(const rob_safetensors *s, const prefix *p, const prefix *first,
                      const rob_entry *begin, const rob_recipe *found)
{
    prefix base = *first, own = *p;
    rob_recipe r = *found;
    int32_t m = cut_number(&base), n = cut_number(&own);
    if (m < 0 || n <= m || strcmp(base.text, own.text) != 0) return false;
    follow(s, &base, m, begin, &r);
    for (int32_t i = 1; i <= r.mlps; i++)
        if (r.place[i] == n + 1) return true;
    return false;
}

typedef struct heads {
    int64_t count;
    const rob_entry *first;
    prefix at;
    char names[LIST_CAP];
} heads;

/* one more candidate, unless one of the two is a layer behind the other */
static void add_head(const rob_safetensors *s, const rob_entry *w, const prefix *p,
                     const rob_recipe *found, heads *h)
{
    if (h->count == 1 && is_behind(s, p, &h->at, h->first, found)) return;
    if (h->count != 1 || !is_behind(s, &h->at, p, w, found)) h->count++;
    h->at = *p;
    h->first = w;
}

static rob_status find_head(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                            const char *wanted, rob_recipe *found, prefix *out)
{
    heads h = { 0 };
    long long size = rob_priv_model_state(found);
    prefix p;
    for (int64_t i = 0; i < s->entries; i++) {
        if (!may_begin(&s->entry[i], found, &p)) continue;
        list(h.names, p.text);
        if (!wanted[0] || is_named(&p, wanted)) add_head(s, &s->entry[i], &p, found, &h);
    }
    if (h.count == 1) {
        read_head(s, h.first, &h.at, found);
        memcpy(found->head, h.at.text, sizeof found->head);
        *out = h.at;
        return ROB_OK;
    }
    if (wanted[0])
        return rob_priv_fail(ctx, ROB_EFORMAT,
                             "'%.150s' has no %s.weight (L, %lld); heads found: %s", path,
                             wanted, size, h.names[0] ? h.names : "none");
    if (h.count == 0)
        return rob_priv_fail(ctx, ROB_EFORMAT,
                             "'%.150s' has no head: no PREFIX.weight (L, %lld)", path,
                             size);
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "'%.150s' has %lld candidates for the head (%s); "
                         "say head=PREFIX",
                         path, (long long)h.count, h.names);
}

/* ---- recipe against tensors ------------------------------------------------------ */

static rob_status agree(rob_ctx *ctx, const char *path, const char *word, int64_t said,
                        int64_t is)
{
    if (said == 0 || said == is) return ROB_OK;
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "recipe says %s%lld, the tensors of '%.200s' have "
                         "%lld",
                         word, (long long)said, path, (long long)is);
}

static int64_t names_in(const char *classes)
{
    int64_t count = classes[0] ? 1 : 0;
    for (; *classes; classes++) count += *classes == ',';
    return count;
}

static rob_status agree_on_layers(rob_ctx *ctx, const char *path,
                                  const rob_recipe *found, const rob_recipe *r)
{
    rob_status status = ROB_OK;
    CHECK(!r->both || found->both, ctx, ROB_EFORMAT,
          "recipe says bidirectional=yes, '%.200s' has no weight_ih_l0_reverse", path);
    CHECK(!r->bias_free || found->bias_free, ctx, ROB_EFORMAT,
          "recipe says bias=no, '%.200s' has bias_ih_l0", path);
done:
    return status;
}

/* the head as found into the recipe, where they agree */
static rob_status merge_head(rob_ctx *ctx, const char *path, const rob_recipe *found,
                             rob_recipe *r)
{
    rob_status status = ROB_OK;
    CHECK(!r->head_bias_free || found->head_bias_free, ctx, ROB_EFORMAT,
          "recipe says head_bias=no, the head of '%.200s' has one", path);
    TRY(agree(ctx, path, "as many hidden layers as mlp=", r->mlps, found->mlps));
    for (int32_t i = 0; i < r->mlps; i++)
        TRY(agree(ctx, path, "in mlp= ", r->mlp[i], found->mlp[i]));
    CHECK(found->mlps == 0 || r->activation > 0, ctx, ROB_EFORMAT,
          "the head of '%.150s' has %lld layers, and the tensors do not tell what stands "
          "between them: say %sactivation=relu, tanh, gelu or none",
          path, (long long)found->mlps + 1,
          r->kind == ROB_KIND_TRANSFORMER ? "head_" : "");
    TRY(agree(ctx, path, "outputs=", r->outputs, found->outputs));
    TRY(agree(ctx, path, "as many classes as ", names_in(r->classes), found->outputs));
    r->outputs = found->outputs;
    r->head_bias_free = found->head_bias_free;
    r->mlps = found->mlps;
    memcpy(r->mlp, found->mlp, sizeof r->mlp);
    memcpy(r->place, found->place, sizeof r->place);
    memcpy(r->head, found->head, sizeof r->head);
done:
    return status;
}

rob_status rob_priv_model_infer_head(rob_ctx *ctx, const rob_safetensors *s,
                                     const char *path, rob_recipe *r, char *mark)
{
    rob_status status = ROB_OK;
    rob_recipe found = *r;
    prefix head = { .mark = '.' };
    TRY(find_head(ctx, s, path, r->head, &found, &head));
    TRY(merge_head(ctx, path, &found, r));
    *mark = head.mark;
done:
    return status;
}

static rob_status merge(rob_ctx *ctx, const char *path, const rob_recipe *found,
                        rob_recipe *r)
{
    rob_status status = ROB_OK;
    static const char *const word[] = { "rnn", "rnn", "lstm", "gru" };
    CHECK(strcmp(word[r->kind], word[found->kind]) == 0, ctx, ROB_EFORMAT,
          "recipe says %s, the tensors of '%.200s' are of %s", word[r->kind], path,
          word[found->kind]);
    TRY(agree(ctx, path, "layers=", r->layers, found->layers));
    TRY(agree(ctx, path, "features=", r->features, found->features));
    TRY(agree(ctx, path, "hidden=", r->hidden, found->hidden));
    TRY(agree(ctx, path, "channels=", r->channels, found->channels));
    TRY(agree(ctx, path, "kernel=", r->kernel, found->kernel));
    TRY(agree(ctx, path, "dtype=f", r->dtype, found->dtype));
    TRY(agree_on_layers(ctx, path, found, r));
    TRY(merge_head(ctx, path, found, r));
    r->layers = found->layers;
    r->features = found->features;
    r->hidden = found->hidden;
    r->dtype = found->dtype;
    r->channels = found->channels;
    r->kernel = found->kernel;
    r->both = found->both;
    r->bias_free = found->bias_free;
    memcpy(r->body, found->body, sizeof r->body);
done:
    return status;
}

static rob_status ask_for_recipe(rob_ctx *ctx, const char *path,
                                 const rob_recipe *found)
{
    static const char *const words[] = { "rnn nonlinearity=tanh", "", "lstm", "gru" };
    char line[400];
    const char *more = "";
    rob_priv_recipe_print(found, line, sizeof line);
    const char *rest = strchr(line, ' ') + 1;
    if (found->kind == ROB_KIND_RNN_TANH) {
        rest = strchr(rest, ' ') + 1;
        more = "or nonlinearity=relu; ";
    }
    return rob_priv_fail(
        ctx, ROB_EFORMAT,
        "'%.120s' carries no recipe. Its tensors say: %s "
        "%s. They do not say the rest; write \"%s readout=last\" (%sor "
        "readout=mean; input=(x-SHIFT)/SCALE if inputs are scaled)",
        path, found->kind == ROB_KIND_RNN_TANH ? "rnn" : words[found->kind], rest,
        words[found->kind], more);
}

rob_status rob_priv_model_infer(rob_ctx *ctx, const rob_safetensors *s,
                                const char *path, bool given, rob_recipe *r,
                                rob_marks *marks)
{
    rob_status status = ROB_OK;
    rob_recipe found = { .kind = -1, .readout = -1, .input_scale = 1.0 };
    prefix body = { 0 }, head = { 0 };
    *marks = (rob_marks){ '.', '.' };
    if (given && r->kind == ROB_KIND_TRANSFORMER)
        return rob_priv_transformer_infer(ctx, s, path, r, marks);
    TRY(find_body(ctx, s, path, given ? r->body : "", &body));
    TRY(read_layers(ctx, s, path, &body, &found));
    TRY(read_inputs(ctx, s, path, &body, given ? r : &found, &found));
    TRY(find_head(ctx, s, path, given ? r->head : "", &found, &head));
    if (given && r->steps > 0) found.outputs *= r->steps;
    found.dtype =
        strcmp(find(s, &body, "weight_ih_l0")->dtype, "F64") == 0 ? ROB_F64 : ROB_F32;
    if (!given) return ask_for_recipe(ctx, path, &found);
    TRY(merge(ctx, path, &found, r));
    *marks = (rob_marks){ body.mark, head.mark };
done:
    return status;
}
