/* saturate.c -- how many units of a network are saturated at a series.
 *
 * A unit is one number behind a sigmoid or a tanh, alone or fused in a gate, at one step.
 * With s = sigmoid z and t = tanh z its derivative over the largest it can have is
 *     4 s (1 - s)   or   1 - t^2,
 * and it is saturated where that is below `least`. What goes into the units of a scan is
 * stacked over its steps (rob_priv_scan_stack), so one run in float64 shows them all.
 * (docs/theory/attack.md, section 11.)
 */
#include "attack/diagnose.h"
#include "op/op.h"
#include "op/build.h"
#include "run/run.h"

#include <math.h>
#include <string.h>

/* which operands of an operator go through what: s sigmoid, t tanh, - neither */
static const struct squash {
    const char *op, *operand;
} SQUASH[] = {
    { "sigmoid", "s" }, { "tanh", "t" },   { "sigtanh", "st" },
    { "sigmul", "s-" }, { "blend", "s--" },
};

static const char *operands_of(const rob_node *n)
{
    for (int64_t k = 0; k < COUNT_OF(SQUASH); k++)
        if (strcmp(SQUASH[k].op, n->op->name) == 0) return SQUASH[k].operand;
    return "";
}

/* The model's program at one length, and what goes into its units. */
typedef struct watch {
    rob_ctx *ctx;
    rob_graph *g;
    rob_plan *plan;
    rob_work *work;
    rob_id x, *value;
    char *kind; /* 's' or 't' of each value */
    int32_t values, room;
    int64_t steps;
} watch;

static void watch_close(watch *w)
{
    rob_priv_work_free(w->work);
    rob_priv_plan_free(w->plan);
    rob_priv_graph_free(w->g);
    rob_priv_release(&w->ctx->memory, w->value);
    rob_priv_release(&w->ctx->memory, w->kind);
    *w = (watch){ .ctx = w->ctx };
}

static rob_status add_value(watch *w, rob_id value, char kind)
{
    rob_status status = ROB_OK;
    for (int32_t k = 0; k < w->values; k++)
        if (w->value[k] == value && w->kind[k] == kind) return ROB_OK;
    CHECK(w->values < w->room, w->ctx, ROB_EINTERNAL, "more units than nodes");
    w->value[w->values] = value;
    w->kind[w->values++] = kind;
done:
    return status;
}

static int32_t units_of(const rob_graph *g)
{
    int32_t units = 0;
    for (rob_id id = 0; id < rob_priv_graph_count(g); id++) {
        rob_node n = rob_priv_node(g, id);
        units += (int32_t)strlen(operands_of(&n));
        if (n.scan) units += units_of(n.scan->body);
    }
    return units;
}

/* Values known beforehand are no units: they do not depend on x, but they are few. */
static rob_status find_in_scan(watch *w, rob_id scan)
{
    rob_status status = ROB_OK;
    rob_node outer = rob_priv_node(w->g, scan);
    for (rob_id id = 0; id < rob_priv_graph_count(outer.scan->body); id++) {
        rob_node n = rob_priv_node(outer.scan->body, id);
        const char *kind = operands_of(&n);
        for (int32_t k = 0; kind[k] != 0; k++) {
            if (kind[k] == '-') continue;
            int32_t out = rob_priv_scan_stack(w->g, scan, n.in[k]);
            if (out < 0) return rob_priv_graph_status(w->ctx, w->g);
            TRY(add_value(w, g_pick(w->g, scan, out), kind[k]));
        }
    }
done:
    return status;
}

static rob_status find_units(watch *w)
{
    rob_status status = ROB_OK;
    int32_t count = rob_priv_graph_count(w->g);
    w->room = units_of(w->g) + 1;
    w->value = rob_priv_allocate(&w->ctx->memory, w->room, sizeof *w->value);
    w->kind = rob_priv_allocate(&w->ctx->memory, w->room, 1);
    if (!w->value || !w->kind) return rob_priv_no_memory(w->ctx);
    for (rob_id id = 0; id < count; id++) {
        rob_node n = rob_priv_node(w->g, id);
        const char *kind = operands_of(&n);
        if (n.scan) TRY(find_in_scan(w, id));
        for (int32_t k = 0; kind[k] != 0; k++)
            if (kind[k] != '-') TRY(add_value(w, n.in[k], kind[k]));
    }
    TRY(rob_priv_graph_status(w->ctx, w->g));
done:
    return status;
}

static rob_status watch_open(watch *w, const rob_model *model, int64_t steps)
{
    rob_status status = ROB_OK;
    watch_close(w);
    TRY(rob_priv_graph_create(w->ctx, &w->g));
    w->x = rob_priv_input(w->g, rob_priv_shape3(steps, 1, model->recipe.features));
    rob_priv_model_emit(model, w->g, w->x, ROB_NONE, NULL);
    TRY(rob_priv_graph_status(w->ctx, w->g));
    TRY(find_units(w));
    w->steps = steps;
    if (w->values == 0) goto done;
    TRY(rob_priv_plan_create(w->ctx, w->g, ROB_F64, w->value, NULL, w->values, &w->plan));
    TRY(rob_priv_work_create(w->ctx, w->plan, &w->work));
done:
    return status;
}

static bool is_saturated(double z, char kind, double least)
{
    double e = exp(-fabs(kind == 's' ? z : 2 * z)); /* tanh z = 2 sigmoid(2 z) - 1 */
    return 4 * e / ((1 + e) * (1 + e)) < least;
}

static double share_at(watch *w, const double *x, double least)
{
    int64_t saturated = 0, all = 0;
    if (w->values == 0) return NAN;
    rob_priv_work_set(w->work, w->x, x);
    rob_priv_run(w->work, 0);
    for (int32_t k = 0; k < w->values; k++) {
        rob_shape shape = rob_priv_shape(w->g, w->value[k]);
        const double *z = rob_priv_work_at(w->work, w->value[k]);
        int64_t n = rob_priv_shape_size(&shape);
        for (int64_t i = 0; i < n; i++) saturated += is_saturated(z[i], w->kind[k], least);
        all += n;
    }
    return (double)saturated / (double)all;
}

rob_status rob_priv_diagnose_units(rob_ctx *ctx, rob_query *q, double least,
                                   double *saturated)
{
    rob_status status = ROB_OK;
    watch w = { .ctx = ctx };
    if (q->model->callback.logits) return ROB_OK;
    for (int64_t i = 0; i < q->count; i++) {
        const rob_case *c = &q->cases[i];
        if (c->wrong) continue;
        if (c->steps != w.steps) TRY(watch_open(&w, q->model, c->steps));
        saturated[i] = share_at(&w, c->x, least);
    }
done:
    watch_close(&w);
    return status;
}
