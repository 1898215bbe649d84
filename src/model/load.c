/* load.c -- a model out of a safetensors file.
 *
 * Recipe: the caller's words, else the file's metadata "robust.recipe". Every tensor
 * the recipe needs must be there in its shape, all in one dtype, and no other tensor
 * may be, but the witness "robust.check.x", "robust.check.y", which must agree.
 */
#include "model/onnx.h"
#include "model/parts.h"

#include <string.h>

static rob_status wrong_shape(rob_ctx *ctx, const rob_entry *e, const rob_shape *want)
{
    int64_t have[2] = { e->rank > 0 ? e->dim[0] : 0, e->rank > 1 ? e->dim[1] : 0 };
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "tensor '%.100s' has rank %d and shape (%lld, "
                         "%lld); the recipe needs rank %d and (%lld, %lld)",
                         e->name, (int)e->rank, (long long)have[0], (long long)have[1],
                         (int)want->rank, (long long)want->dim[0],
                         (long long)(want->rank > 1 ? want->dim[1] : 0));
}

/* the same but for dims of 1, as files have positions and first steps */
static bool has_dims(const rob_entry *e, const rob_shape *want)
{
    int32_t i = 0, k = 0;
    for (; i < e->rank || k < want->rank; i++, k++) {
        while (i < e->rank && e->dim[i] == 1) i++;
        while (k < want->rank && want->dim[k] == 1) k++;
        if ((i < e->rank) != (k < want->rank)) return false;
        if (i < e->rank && e->dim[i] != want->dim[k]) return false;
    }
    return e->rank <= ROB_MAX_RANK;
}

static bool has_shape(const rob_entry *e, const rob_shape *want)
{
    if (e->rank != want->rank) return false;
    for (int32_t i = 0; i < want->rank; i++)
        if (e->dim[i] != want->dim[i]) return false;
    return true;
}

static rob_status load_tensors(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                               rob_marks marks, rob_model *model)
{
    rob_status status = ROB_OK;
    for (int32_t k = 0; k < model->parameters; k++) {
        rob_parameter *p = &model->parameter[k];
        rob_shape shape;
        rob_priv_model_part(&model->recipe, marks, k, p->name, &shape);
        const rob_entry *e = rob_priv_safetensors_find(s, p->name);
        CHECK(e != NULL, ctx, ROB_EFORMAT, "'%.200s' has no tensor '%s'", path,
              p->name);
        bool loose = model->recipe.kind == ROB_KIND_TRANSFORMER
                     && k < rob_priv_model_first(&model->recipe, ROB_OF_THE_HEAD, 0);
        bool fits = loose ? has_dims(e, &shape) : has_shape(e, &shape);
        if (!fits) return wrong_shape(ctx, e, &shape);
        TRY(rob_priv_safetensors_tensor(ctx, s, e, &p->tensor));
        CHECK(p->tensor->dtype == model->recipe.dtype, ctx, ROB_EFORMAT,
              "tensor '%s' is %s, others are float%d; one type for all is read",
              p->name, e->dtype, (int)model->recipe.dtype);
    }
done:
    return status;
}

static bool is_known(const rob_model *model, const char *name)
{
    return rob_priv_model_find(model, name) >= 0 || strcmp(name, "robust.check.x") == 0
           || strcmp(name, "robust.check.y") == 0;
}

static rob_status refuse_extra(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                               const rob_model *model)
{
    const char *first = NULL;
    long long extra = 0;
    for (int64_t i = 0; i < s->entries; i++) {
        if (is_known(model, s->entry[i].name)) continue;
        if (first == NULL) first = s->entry[i].name;
        extra++;
    }
    if (extra == 0) return ROB_OK;
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "'%.200s' has %lld tensor%s that the recipe does "
                         "not use, such as '%.100s'",
                         path, extra, extra == 1 ? "" : "s", first);
}

static rob_status make_model(rob_ctx *ctx, const rob_safetensors *s, const char *path,
                             const char *recipe, rob_model **out)
{
    rob_status status = ROB_OK;
    rob_recipe r = { 0 };
    rob_marks marks;
    rob_model *model = NULL;
    if (recipe == NULL) recipe = rob_priv_safetensors_note(s, "robust.recipe");
    if (recipe != NULL) TRY(rob_priv_recipe_parse(ctx, recipe, &r));
    TRY(rob_priv_model_infer(ctx, s, path, recipe != NULL, &r, &marks));
    TRY(rob_priv_model_shell(ctx, &r, marks, &model));
    TRY(load_tensors(ctx, s, path, marks, model));
    TRY(refuse_extra(ctx, s, path, model));
    TRY(rob_priv_model_check_witness(ctx, model, s, path));
    *out = model;
    model = NULL;
done:
    rob_model_free(model);
    return status;
}

rob_status rob_priv_model_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, const char *recipe, rob_model **out)
{
    rob_safetensors s;
    *out = NULL;
    if (rob_priv_onnx_is(bytes, count))
        return rob_priv_onnx_load(ctx, bytes, count, path, recipe, out);
    rob_status status = rob_priv_safetensors_parse(ctx, bytes, count, path, &s);
    if (status == ROB_OK) status = make_model(ctx, &s, path, recipe, out);
    rob_priv_safetensors_clear(&s);
    return status;
}

/* false with ROB_OK: a safetensors file, to be read tensor by tensor */
static rob_status is_read_whole(rob_ctx *ctx, const char *path, bool *whole)
{
    rob_status status = ROB_OK;
    uint8_t head[16];
    int32_t file = -1;
    int64_t size;
    TRY(rob_priv_io_open(ctx, path, &file, &size));
    *whole = size < 0;
    if (size >= (int64_t)sizeof head) {
        status = rob_priv_io_piece(ctx, file, path, 0, head, (int64_t)sizeof head);
        *whole = status == ROB_OK && rob_priv_onnx_is(head, (int64_t)sizeof head);
    }
    rob_priv_io_close(file);
done:
    return status;
}

rob_status rob_priv_model_open(rob_ctx *ctx, const char *path, const char *recipe,
                               rob_model **out)
{
    rob_safetensors s;
    rob_bytes bytes = { 0 };
    bool whole;
    *out = NULL;
    rob_status status = is_read_whole(ctx, path, &whole);
    if (status < ROB_OK) return status;
    if (whole) {
        status = rob_priv_io_read(ctx, path, ROB_ONNX_FILE_CAP, &bytes);
        if (status == ROB_OK)
            status = rob_priv_model_read(ctx, bytes.at, bytes.count, path, recipe, out);
        rob_priv_io_release(&ctx->memory, &bytes);
        return status;
    }
    status = rob_priv_safetensors_open(ctx, path, &s);
    if (status == ROB_OK) status = make_model(ctx, &s, path, recipe, out);
    rob_priv_safetensors_clear(&s);
    return status;
}

static bool is_onnx_name(const char *path)
{
    size_t length = path != NULL ? strlen(path) : 0;
    return length >= 5 && strcmp(path + length - 5, ".onnx") == 0;
}

rob_status rob_priv_model_write(rob_ctx *ctx, const rob_model *model, const char *path)
{
    rob_status status = ROB_OK;
    char recipe[2048];
    const char *names[ROB_MOST_TENSORS + 2];
    rob_tensor *tensors[ROB_MOST_TENSORS + 2], *x = NULL, *y = NULL;
    int64_t count = 0;
    if (is_onnx_name(path)) return rob_priv_onnx_save(ctx, model, path);
    CHECK(model->recipe.kind != ROB_KIND_GRAPH, ctx, ROB_EUNSUPPORTED,
          "a model from a tape, a callback or an ONNX file has no recipe to save; keep "
          "what it came from");
    TRY(rob_priv_model_make_witness(ctx, model, &x, &y));
    for (int32_t k = 0; k < model->parameters; k++, count++) {
        names[count] = model->parameter[k].name;
        tensors[count] = model->parameter[k].tensor;
    }
    names[count] = "robust.check.x";
    tensors[count++] = x;
    names[count] = "robust.check.y";
    tensors[count++] = y;
    rob_priv_recipe_print(&model->recipe, recipe, sizeof recipe);
    const rob_note notes[2] = { { "format", "pt" }, { "robust.recipe", recipe } };
    TRY(rob_priv_safetensors_write(ctx, path, names, tensors, count, notes, 2));
done:
    rob_priv_tensor_free(x);
    rob_priv_tensor_free(y);
    return status;
}
