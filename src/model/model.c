/* model.c -- a model is a recipe and its tensors, counted and never changed. Which
 * tensors, in which order and by which names: layout.c.
 */
#include "model/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- life ------------------------------------------------------------------------ */

rob_status rob_priv_model_shell(rob_ctx *ctx, const rob_recipe *r, rob_marks marks,
                                rob_model **out)
{
    int32_t count = rob_priv_model_parameters(r);
    *out = NULL;
    rob_model *model = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *model);
    if (model == NULL) return rob_priv_no_memory(ctx);
    atomic_init(&model->references, 1);
    model->memory = ctx->memory;
    model->recipe = *r;
    model->steps = r->steps;
    model->parameter =
        rob_priv_allocate(&ctx->memory, count, (int64_t)sizeof *model->parameter);
    if (model->parameter == NULL) {
        rob_model_free(model);
        return rob_priv_no_memory(ctx);
    }
    model->parameters = count;
    for (int32_t k = 0; k < count; k++) {
        rob_shape shape;
        rob_priv_model_part(r, marks, k, model->parameter[k].name, &shape);
    }
    *out = model;
    return ROB_OK;
}

rob_status rob_priv_model_make(rob_ctx *ctx, const rob_recipe *recipe, rob_model **out)
{
    rob_status status = ROB_OK;
    const rob_marks dots = { '.', '.' };
    rob_model *model = NULL;
    *out = NULL;
    TRY(rob_priv_model_shell(ctx, recipe, dots, &model));
    for (int32_t k = 0; k < model->parameters; k++) {
        char name[96];
        rob_shape shape;
        rob_priv_model_part(recipe, dots, k, name, &shape);
        status = rob_priv_tensor_create(&ctx->memory, recipe->dtype, shape,
                                        &model->parameter[k].tensor);
        if (status == ROB_EMEMORY) rob_priv_no_memory(ctx);
        TRY(status);
    }
    *out = model;
    model = NULL;
done:
    rob_model_free(model);
    return status;
}

rob_model *rob_priv_model_keep(rob_model *model)
{
    if (model != NULL)
        atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

rob_model *rob_model_ref(rob_model *model) { return rob_priv_model_keep(model); }

void rob_model_free(rob_model *model)
{
    if (model == NULL) return;
    if (atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) != 1)
        return;
    rob_memory m = model->memory;
    for (int32_t k = 0; k < model->parameters; k++)
        rob_priv_tensor_free(model->parameter[k].tensor);
    rob_priv_release(&m, model->parameter);
    if (model->release != NULL) model->release(&m, (void *)model->user);
    rob_priv_release(&m, model);
}

/* ---- tensors by name ------------------------------------------------------------- */

int32_t rob_priv_model_find(const rob_model *model, const char *name)
{
    for (int32_t k = 0; k < model->parameters; k++)
        if (strcmp(model->parameter[k].name, name) == 0) return k;
    return -1;
}

/* false: a value is not finite in the tensor's type */
static bool put_values(rob_tensor *t, const double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double x = values[i];
        if (t->dtype == ROB_F32) x = (double)(((float *)t->data)[i] = (float)values[i]);
        else ((double *)t->data)[i] = x;
        if (!isfinite(x)) return false;
    }
    return true;
}

rob_status rob_priv_model_replace(rob_ctx *ctx, const rob_model *model,
                                  const char *name, const double *values, int64_t count,
                                  rob_model **out)
{
    rob_status status = ROB_OK;
    rob_model *copy = NULL;
    int32_t at = rob_priv_model_find(model, name);
    *out = NULL;
    CHECK(at >= 0, ctx, ROB_EARGUMENT, "the model has no tensor '%.95s'", name);
    const rob_tensor *old = model->parameter[at].tensor;
    int64_t size = rob_priv_shape_size(&old->shape);
    CHECK(count == size, ctx, ROB_ESHAPE,
          "count is %lld; tensor '%.95s' has %lld numbers", (long long)count, name,
          (long long)size);
    TRY(rob_priv_model_shell(ctx, &model->recipe, (rob_marks){ '.', '.' }, &copy));
    for (int32_t k = 0; k < model->parameters; k++) {
        memcpy(copy->parameter[k].name, model->parameter[k].name,
               sizeof copy->parameter[k].name);
        if (k != at)
            copy->parameter[k].tensor =
                rob_priv_tensor_keep(model->parameter[k].tensor);
    }
    rob_tensor **fresh = &copy->parameter[at].tensor;
    status = rob_priv_tensor_create(&ctx->memory, old->dtype, old->shape, fresh);
    if (status < ROB_OK) rob_priv_no_memory(ctx);
    TRY(status);
    CHECK(put_values(*fresh, values, count), ctx, ROB_EDOMAIN,
          "values for tensor '%.95s' must be finite as float%d", name, (int)old->dtype);
    *out = copy;
    copy = NULL;
done:
    rob_model_free(copy);
    return status;
}

/* ---- words about it -------------------------------------------------------------- */

static void tell_tensor(const rob_memory *m, const rob_parameter *p, rob_text *t)
{
    rob_priv_text_string(m, t, p->name);
    rob_priv_text_string(m, t, " (");
    for (int32_t i = 0; i < p->tensor->shape.rank; i++) {
        if (i > 0) rob_priv_text_string(m, t, ", ");
        rob_priv_text_integer(m, t, p->tensor->shape.dim[i]);
    }
    rob_priv_text_string(m, t, ")\n");
}

void rob_priv_model_tell(const rob_model *model, rob_text *t)
{
    char line[2048];
    int64_t total = 0;
    const rob_memory *m = &model->memory;
    rob_priv_recipe_print(&model->recipe, line, sizeof line);
    rob_priv_text_string(m, t, line);
    rob_priv_text_string(m, t, "\n");
    for (int32_t k = 0; k < model->parameters; k++) {
        tell_tensor(m, &model->parameter[k], t);
        total += rob_priv_shape_size(&model->parameter[k].tensor->shape);
    }
    rob_priv_text_integer(m, t, total);
    rob_priv_text_string(m, t, " parameters\n");
}
