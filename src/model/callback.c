/* callback.c -- a model that someone else computes.
 *
 *     logits (R, L) = f(x_r), r < R, x (R, T, D);    grad (R, T, D) = J(x_r)' s_r
 *
 * by two functions of the caller's, the second one optional. They run on the thread that
 * made the public call, never on a worker. There is no graph: what needs one (bounds,
 * second derivatives, training) gets ROB_EUNSUPPORTED where it asks for it.
 */
#include "model/parts.h"

static rob_id emit_nothing(const rob_model *model, rob_graph *g, rob_id x, rob_id mask)
{
    (void)model;
    (void)x;
    (void)mask;
    return rob_priv_graph_fail(g, ROB_EUNSUPPORTED,
                               "the model is a callback: its values are known, not how "
                               "it computes them; attacks, samplers and predictions "
                               "work, bounds and second derivatives need a model");
}

rob_status rob_priv_model_wrap(rob_ctx *ctx, int64_t features, int64_t outputs,
                               rob_model_logits logits, rob_model_pullback pullback,
                               void *user, rob_model **out)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_model_custom(ctx, features, outputs, emit_nothing, NULL, out));
    (*out)->callback = (rob_callback){ logits, pullback, user };
done:
    return status;
}

static rob_status answered(rob_ctx *ctx, const char *what, int32_t answer, int64_t rows)
{
    rob_status status = ROB_OK;
    CHECK(answer == 0, ctx, ROB_ECALLBACK,
          "the model's %s callback answered %d on %lld series; 0 is success", what,
          (int)answer, (long long)rows);
done:
    return status;
}

rob_status rob_priv_model_call(rob_ctx *ctx, const rob_model *model, const double *x,
                               int64_t rows, int64_t steps, double *logits)
{
    const rob_callback *c = &model->callback;
    return answered(ctx, "logits", c->logits(c->user, x, rows, steps, logits), rows);
}

rob_status rob_priv_model_pull(rob_ctx *ctx, const rob_model *model, const double *x,
                               const double *seed, int64_t rows, int64_t steps,
                               double *grad)
{
    const rob_callback *c = &model->callback;
    if (c->pullback == NULL)
        return rob_priv_fail(ctx, ROB_EUNSUPPORTED,
                             "the model's callback gives no gradient; methods that "
                             "need none are boundary and hopskipjump");
    return answered(ctx, "gradient",
                    c->pullback(c->user, x, seed, rows, steps, grad), rows);
}
