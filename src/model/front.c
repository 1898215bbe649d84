/* front.c -- prices in front of a model that was trained on what became of them.
 *
 *     returns   p (T+1, D) > 0:              r_{t,j} = log(p_{t,j}/p_{t-1,j})/s
 *     candles   (o, u, l, c) (T+1, 4), logarithms of open and close, wicks u and l:
 *                   high = max(o, c) + u,   low = min(o, c) - l,
 *               and the model sees, by its number of features F, t = 1 .. T,
 *                   F = 1   (c_t - c_{t-1})/s
 *                   F = 2   that, and (high_t - low_t)/s
 *                   F = 4   open, high, low, close, each less c_{t-1}, over s
 * A candle has low <= open, close <= high and positive prices exactly where u, l >= 0: a
 * box in these coordinates. All of it is part of the graph, so gradients, bounds and
 * second derivatives go through to the prices. (docs/theory/model.md.)
 */
#include "model/model.h"
#include "op/build.h"

#include <math.h>
#include <string.h>

enum { RETURNS, CANDLES };

typedef struct front {
    rob_model *inner;
    int32_t kind;
    double scale;
} front;

static const struct {
    const char *name;
    int64_t features; /* of what comes in; 0: the model's */
} fronts[] = { { "returns", 0 }, { "candles", 4 } };

/* x without its first step, and x without its last */
static void two_ends(rob_graph *g, rob_id x, rob_id *later, rob_id *earlier)
{
    rob_shape shape = rob_priv_shape(g, x);
    *later = g_slice(g, x, 0, 1, shape.dim[0] - 1);
    *earlier = g_slice(g, x, 0, 0, shape.dim[0] - 1);
}

static rob_id emit_returns(const front *f, rob_graph *g, rob_id x)
{
    rob_id later, earlier, logs = g_unary(g, "log", x);
    two_ends(g, logs, &later, &earlier);
    return g_affine(g, g_sub(g, later, earlier), 1 / f->scale, 0);
}

static rob_id emit_candles(const front *f, rob_graph *g, rob_id x)
{
    rob_id now, before, y[4];
    int64_t features = f->inner->recipe.features;
    two_ends(g, x, &now, &before);
    rob_id last = g_slice(g, before, 2, 3, 1);
    rob_id open = g_slice(g, now, 2, 0, 1), close = g_slice(g, now, 2, 3, 1);
    rob_id body = g_sub(g, open, close), above = g_slice(g, now, 2, 1, 1),
           below = g_slice(g, now, 2, 2, 1);
    rob_id none = rob_priv_fill(g, rob_priv_shape(g, body), 0);
    /* max(o, c) = c + relu(o - c), min(o, c) = o - relu(o - c) */
    rob_id more = g_max(g, body, none);
    rob_id high = g_add(g, g_add(g, close, more), above);
    rob_id low = g_sub(g, g_sub(g, open, more), below);
    if (features == 4) {
        y[0] = g_sub(g, open, last);
        y[1] = g_sub(g, high, last);
        y[2] = g_sub(g, low, last);
        y[3] = g_sub(g, close, last);
    } else {
        y[0] = g_sub(g, close, last);
        /* high - low = |o - c| + u + l: one absolute value instead of two maxima */
        y[1] = g_add(g, g_add(g, g_unary(g, "abs", body), above), below);
    }
    rob_id all = features == 1 ? y[0] : g_concat(g, y, (int32_t)features, 2);
    return g_affine(g, all, 1 / f->scale, 0);
}

static rob_id emit_front(const rob_model *model, rob_graph *g, rob_id x, rob_id mask)
{
    const front *f = model->user;
    rob_shape shape = rob_priv_shape(g, x);
    if (shape.dim[0] < 2)
        return rob_priv_graph_fail(g, ROB_ESHAPE,
                                   "a series of %lld steps; prices need 2 or more",
                                   (long long)shape.dim[0]);
    rob_id y = f->kind == RETURNS ? emit_returns(f, g, x) : emit_candles(f, g, x);
    rob_id later = ROB_NONE, earlier;
    if (mask != ROB_NONE) two_ends(g, mask, &later, &earlier);
    return rob_priv_model_emit(f->inner, g, y, later, NULL);
}

static void free_front(const rob_memory *m, void *user)
{
    front *f = user;
    if (f == NULL) return;
    rob_model_free(f->inner);
    rob_priv_release(m, f);
}

rob_status rob_priv_model_front(rob_ctx *ctx, const rob_model *model, const char *name,
                                double scale, rob_model **out)
{
    rob_status status = ROB_OK;
    front *f = NULL;
    int32_t kind = 0;
    *out = NULL;
    while (kind < COUNT_OF(fronts) && strcmp(fronts[kind].name, name) != 0) kind++;
    CHECK(kind < COUNT_OF(fronts), ctx, ROB_EARGUMENT,
          "front is '%.40s'; allowed are returns, candles", name);
    CHECK(isfinite(scale) && scale > 0, ctx, ROB_EDOMAIN,
          "scale is %g; it must be above 0", scale);
    int64_t features = model->recipe.features;
    CHECK(kind == RETURNS || features == 1 || features == 2 || features == 4, ctx,
          ROB_ESHAPE,
          "the model takes %lld features a step; candles give 1 (return), 2 (return, "
          "range) or 4 (open, high, low, close)",
          (long long)features);
    CHECK(model->callback.logits == NULL, ctx, ROB_EUNSUPPORTED,
          "the model is a callback; put the prices in front of it there");
    f = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *f);
    if (f == NULL) return rob_priv_no_memory(ctx);
    *f = (front){ rob_priv_model_keep((rob_model *)model), kind, scale };
    TRY(rob_priv_model_custom(ctx, kind == RETURNS ? features : fronts[kind].features,
                              model->recipe.outputs, emit_front, f, out));
    (*out)->release = free_front;
    (*out)->steps = model->steps > 0 ? model->steps + 1 : 0;
    memcpy((*out)->recipe.classes, model->recipe.classes, sizeof model->recipe.classes);
    (*out)->recipe.readout = model->recipe.readout;
    f = NULL;
done:
    free_front(&ctx->memory, f);
    return status;
}
