/* create.c -- a model with random weights, as PyTorch starts one.
 *
 *     every weight and bias ~ U(-1/sqrt(H), 1/sqrt(H)),  H the hidden size
 *
 * which is what torch.nn.RNN, LSTM and GRU draw, and what torch.nn.Linear(H, L) draws
 * too (its bound is 1/sqrt(fan-in), as is that of torch.nn.Conv1d). Norms, scales and
 * first states begin as what changes nothing. Tensor k takes Philox stream STREAM + k of the
 * context's seed, so a layer's start does not depend on the sizes of the others.
 */
#include "model/encoder.h"

#include <math.h>
#include <string.h>

static const uint64_t STREAM = 0x6d6f64656cu << 8;

static rob_status check_size(rob_ctx *ctx, const rob_recipe *r)
{
    int64_t widest = r->features > r->hidden ? r->features : r->hidden;
    int64_t rows = rob_priv_model_gates(r->kind) * r->hidden, size;
    if (!__builtin_mul_overflow(rows, widest, &size) && size < INT64_MAX / 64)
        return ROB_OK;
    return rob_priv_fail(ctx, ROB_ESHAPE,
                         "recipe with features=%lld hidden=%lld is too large",
                         (long long)r->features, (long long)r->hidden);
}

rob_status rob_priv_recipe_complete(rob_ctx *ctx, const rob_recipe *r)
{
    const char *missing = r->features == 0                 ? "features"
                          : r->hidden == 0                 ? "hidden"
                          : r->outputs == 0                ? "outputs"
                          : r->conv[0] && r->channels == 0 ? "channels"
                          : r->conv[0] && r->kernel == 0   ? "kernel"
                                                           : NULL;
    if (missing != NULL)
        return rob_priv_fail(ctx, ROB_EARGUMENT,
                             "recipe does not say %s=; a new model needs "
                             "features= hidden= outputs=, one with conv= also channels= "
                             "and kernel=",
                             missing);
    if (r->steps > 0 && r->outputs % r->steps != 0)
        return rob_priv_fail(ctx, ROB_ESHAPE,
                             "recipe has outputs=%lld and steps=%lld; with readout=every "
                             "the outputs are those of all steps together",
                             (long long)r->outputs, (long long)r->steps);
    return check_size(ctx, r);
}

static void fill_in(rob_recipe *r)
{
    if (r->layers == 0) r->layers = 1;
    if (r->dtype == 0) r->dtype = ROB_F32;
    if (!r->head[0]) strcpy(r->head, "fc");
    for (int32_t i = 0; r->mlps > 0 && i <= r->mlps; i++) r->place[i] = 2 * i + 1;
    if (!r->body[0])
        strcpy(r->body, r->kind == ROB_KIND_LSTM  ? "lstm"
                        : r->kind == ROB_KIND_GRU ? "gru"
                                                  : "rnn");
}

static void put_all(rob_tensor *t, double x)
{
    int64_t size = rob_priv_shape_size(&t->shape);
    for (int64_t i = 0; i < size; i++) {
        if (t->dtype == ROB_F32) ((float *)t->data)[i] = (float)x;
        else ((double *)t->data)[i] = x;
    }
}

static void draw(rob_tensor *t, double bound, rob_random random)
{
    int64_t size = rob_priv_shape_size(&t->shape);
    for (int64_t i = 0; i < size; i++) {
        double x = bound * (2.0 * rob_priv_uniform(&random) - 1.0);
        if (t->dtype == ROB_F32) ((float *)t->data)[i] = (float)x;
        else ((double *)t->data)[i] = x;
    }
}

static int64_t classes_named(const char *classes)
{
    int64_t count = classes[0] ? 1 : 0;
    for (; *classes; classes++) count += *classes == ',';
    return count;
}

rob_status rob_priv_model_custom(rob_ctx *ctx, int64_t features, int64_t outputs,
                                 rob_emitter emit, const void *user, rob_model **out)
{
    rob_model *model = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *model);
    *out = NULL;
    if (model == NULL) return rob_priv_no_memory(ctx);
    atomic_init(&model->references, 1);
    model->memory = ctx->memory;
    model->recipe = (rob_recipe){ .kind = ROB_KIND_GRAPH,
                                  .readout = ROB_READOUT_LAST,
                                  .features = features,
                                  .outputs = outputs,
                                  .input_scale = 1,
                                  .dtype = ROB_F64 };
    model->emit = emit;
    model->user = user;
    *out = model;
    return ROB_OK;
}

/* what tensor k starts with: random numbers up to *bound, or the number *value */
static bool is_drawn(const rob_model *m, int32_t k, double *bound, double *value)
{
    const rob_recipe *r = &m->recipe;
    int32_t head = rob_priv_model_first(r, ROB_OF_THE_HEAD, 0);
    if (r->kind == ROB_KIND_TRANSFORMER && k < head) {
        *bound = rob_priv_transformer_start(r, k, value);
        return *bound > 0;
    }
    int32_t conv = rob_priv_model_first(r, ROB_OF_THE_CONV, 0);
    int32_t norm = rob_priv_model_first(r, ROB_OF_THE_NORM, 0);
    const char *name = m->parameter[k].name;
    size_t n = strlen(name);
    *bound = 1.0 / sqrt((double)r->hidden);
    if (k >= head && k < rob_priv_model_first(r, ROB_OF_THE_SCALE, 0)) {
        int32_t first = r->head_bias_free ? k : head + (k - head) / 2 * 2;
        *bound = 1.0 / sqrt((double)m->parameter[first].tensor->shape.dim[1]);
    }
    if (k >= conv && k < norm)
        *bound = 1.0 / sqrt((double)(r->features * r->kernel));
    *value = (n >= 6 && strcmp(name + n - 6, "weight") == 0)
             || (n >= 3 && (strcmp(name + n - 3, "std") == 0
                            || strcmp(name + n - 3, "var") == 0));
    return k < rob_priv_model_first(r, ROB_OF_THE_SCALE, 0) || (k >= conv && k < norm);
}

static void begin_tensors(const rob_ctx *ctx, rob_model *model)
{
    double bound, value;
    for (int32_t k = 0; k < model->parameters; k++) {
        rob_tensor *t = model->parameter[k].tensor;
        if (is_drawn(model, k, &bound, &value))
            draw(t, bound, rob_priv_random(ctx->seed, STREAM + (uint64_t)k));
        else put_all(t, value);
    }
}

rob_status rob_priv_model_random(rob_ctx *ctx, const char *recipe, rob_model **out)
{
    rob_status status = ROB_OK;
    rob_recipe r;
    rob_model *model = NULL;
    *out = NULL;
    TRY(rob_priv_recipe_parse(ctx, recipe, &r));
    bool encoder = r.kind == ROB_KIND_TRANSFORMER;
    TRY(encoder ? rob_priv_transformer_complete(ctx, &r)
                : rob_priv_recipe_complete(ctx, &r));
    int64_t named = classes_named(r.classes);
    CHECK(named == 0 || named == r.outputs, ctx, ROB_ESHAPE,
          "recipe has outputs=%lld but names %lld classes", (long long)r.outputs,
          (long long)named);
    if (!encoder) fill_in(&r);
    TRY(rob_priv_model_make(ctx, &r, &model));
    begin_tensors(ctx, model);
    *out = model;
    model = NULL;
done:
    rob_model_free(model);
    return status;
}
