/* predict.c -- logits of series, one by one, and the witness that a file is what it
 * says.
 *
 * A plan is made for this call and thrown away: none ever lives in the model, so a
 * model is shared by threads without a lock. Always in double; float32 weights embed
 * exactly. A plan's own copy of the weights is four times their size in float32, so a
 * witness of a large model is run by a lean plan, which reads them where they are.
 *
 * Witness: for every series x_k of robust.check.x, f the model as read,
 *     max |f(x_k) - y_k|  <=  tol max |y|,   tol = 1e-5 (y float32) or 1e-10 (y
 *     float64),
 * the maxima over all series and outputs. A float32 evaluation of a recurrent net with
 * bounded states errs by some hundred u = 6e-8 relative to the largest logit; a wrong
 * non-linearity, gate order, read-out or input map errs by 1e-3 and more.
 */
#include "model/encoder.h"
#include "run/run.h"

#include <math.h>
#include <string.h>

static rob_status evaluate(rob_ctx *ctx, const rob_model *model, const double *x,
                           int64_t n, int64_t steps, bool lean, double *y)
{
    rob_status status = ROB_OK;
    rob_graph *g = NULL;
    rob_plan *plan = NULL;
    rob_work *work = NULL;
    int64_t features = model->recipe.features, outputs = model->recipe.outputs;
    if (model->callback.logits != NULL)
        return rob_priv_model_call(ctx, model, x, n, steps, y);
    TRY(rob_priv_graph_create(ctx, &g));
    rob_id in = rob_priv_input(g, rob_priv_shape3(steps, 1, features));
    rob_id out = rob_priv_model_emit(model, g, in, ROB_NONE, NULL);
    TRY(rob_priv_graph_status(ctx, g));
    if (lean) TRY(rob_priv_plan_create_lean(ctx, g, &out, 1, &plan));
    else TRY(rob_priv_plan_create(ctx, g, ROB_F64, &out, NULL, 1, &plan));
    TRY(rob_priv_work_create(ctx, plan, &work));
    for (int64_t k = 0; k < n; k++) {
        rob_priv_work_set(work, in, x + k * steps * features);
        rob_priv_run(work, 0);
        rob_priv_work_get(work, out, y + k * outputs);
    }
done:
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(g);
    return status;
}

rob_status rob_priv_model_evaluate(rob_ctx *ctx, const rob_model *model,
                                   const double *x, int64_t n, int64_t steps, double *y)
{
    return evaluate(ctx, model, x, n, steps, false, y);
}

static bool is_large(const rob_model *model)
{
    int64_t count = 0;
    for (int32_t k = 0; k < model->parameters; k++)
        count += rob_priv_shape_size(&model->parameter[k].tensor->shape);
    return count >= 1 << 20;
}

/* ---- witness --------------------------------------------------------------------- */

/* x (T, D) or (n, T, D), y (L) or (n, L) */
static bool shapes_fit(const rob_recipe *r, const rob_entry *x, const rob_entry *y,
                       int64_t *n, int64_t *steps)
{
    bool many = x->rank == 3;
    if (x->rank != 2 && !many) return false;
    if (y->rank != (many ? 2 : 1)) return false;
    *n = many ? x->dim[0] : 1;
    *steps = x->dim[x->rank - 2];
    return *n >= 1 && *steps >= 1 && x->dim[x->rank - 1] == r->features
           && y->dim[y->rank - 1] == r->outputs && (!many || y->dim[0] == *n);
}

static rob_status compare(rob_ctx *ctx, const char *path, const rob_tensor *y,
                          const double *got)
{
    int64_t worst = 0, size = rob_priv_shape_size(&y->shape);
    double norm = 0.0, error = 0.0, tolerance = y->dtype == ROB_F32 ? 1e-5 : 1e-10;
    for (int64_t i = 0; i < size; i++) {
        double want = rob_priv_tensor_at(y, i), here = fabs(got[i] - want);
        norm = fmax(norm, fabs(want));
        if (here > error || isnan(here)) worst = i, error = here;
    }
    if (error <= tolerance * norm) return ROB_OK;
    return rob_priv_fail(
        ctx, ROB_EFORMAT,
        "'%.150s': the witness does not agree: "
        "robust.check.y[%lld] is %.9g, this recipe gives %.9g (difference "
        "%.3g, allowed %.3g); recipe and weights do not belong together",
        path, (long long)worst, rob_priv_tensor_at(y, worst), got[worst], error,
        tolerance * norm);
}

static rob_status run_witness(rob_ctx *ctx, const rob_model *model, const char *path,
                              const rob_tensor *x, const rob_tensor *y, int64_t n,
                              int64_t steps)
{
    rob_status status = ROB_OK;
    int64_t inputs = rob_priv_shape_size(&x->shape);
    const rob_memory *m = &ctx->memory;
    double *in = rob_priv_allocate(m, inputs, (int64_t)sizeof *in);
    double *out = rob_priv_allocate(m, n * model->recipe.outputs, (int64_t)sizeof *out);
    if (in == NULL || out == NULL) {
        status = rob_priv_no_memory(ctx);
        goto done;
    }
    for (int64_t i = 0; i < inputs; i++) in[i] = rob_priv_tensor_at(x, i);
    TRY(evaluate(ctx, model, in, n, steps, is_large(model), out));
    TRY(compare(ctx, path, y, out));
done:
    rob_priv_release(m, in);
    rob_priv_release(m, out);
    return status;
}

rob_status rob_priv_model_check_witness(rob_ctx *ctx, const rob_model *model,
                                        const rob_safetensors *s, const char *path)
{
    rob_status status = ROB_OK;
    const rob_entry *ex = rob_priv_safetensors_find(s, "robust.check.x");
    const rob_entry *ey = rob_priv_safetensors_find(s, "robust.check.y");
    rob_tensor *x = NULL, *y = NULL;
    int64_t n = 0, steps = 0;
    if (ex == NULL && ey == NULL) return ROB_OK;
    CHECK(ex != NULL && ey != NULL && shapes_fit(&model->recipe, ex, ey, &n, &steps),
          ctx, ROB_EFORMAT,
          "'%.200s': the witness needs robust.check.x (n, T, %lld) and "
          "robust.check.y (n, %lld), or the same without n",
          path, (long long)model->recipe.features, (long long)model->recipe.outputs);
    TRY(rob_priv_safetensors_tensor(ctx, s, ex, &x));
    TRY(rob_priv_safetensors_tensor(ctx, s, ey, &y));
    TRY(run_witness(ctx, model, path, x, y, n, steps));
done:
    rob_priv_tensor_free(x);
    rob_priv_tensor_free(y);
    return status;
}

/* ---- making one ------------------------------------------------------------------ */

enum { WITNESSES = 2, WITNESS_STEPS = 16 };
static const uint64_t WITNESS_SEED = 1;

/* enough for the model: its own number, or what its convolution spans */
static int64_t witness_steps(const rob_recipe *r)
{
    if (r->kind == ROB_KIND_TRANSFORMER)
        return rob_priv_transformer_steps(r, WITNESS_STEPS);
    int64_t span = (r->dilation ? r->dilation : 1) * (r->kernel - 1) + 1;
    if (r->steps > 0) return r->steps;
    return span > WITNESS_STEPS ? span : WITNESS_STEPS;
}

rob_status rob_priv_model_make_witness(rob_ctx *ctx, const rob_model *model,
                                       rob_tensor **x, rob_tensor **y)
{
    rob_status status = ROB_OK;
    const rob_recipe *r = &model->recipe;
    const rob_memory *m = &ctx->memory;
    rob_random random = rob_priv_random(WITNESS_SEED, 0);
    int64_t steps = witness_steps(r);
    *x = *y = NULL;
    status = rob_priv_tensor_create(
        m, ROB_F64, rob_priv_shape3(WITNESSES, steps, r->features), x);
    if (status == ROB_OK)
        status = rob_priv_tensor_create(m, ROB_F64,
                                        rob_priv_shape2(WITNESSES, r->outputs), y);
    if (status == ROB_EMEMORY) rob_priv_no_memory(ctx);
    TRY(status);
    double *at = (*x)->data;
    for (int64_t i = 0; i < WITNESSES * steps * r->features; i++)
        at[i] = r->input_shift + r->input_scale * rob_priv_normal(&random);
    TRY(evaluate(ctx, model, at, WITNESSES, steps, is_large(model), (*y)->data));
done:
    return status;
}
