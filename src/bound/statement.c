/* statement.c -- what a certificate states, and the pass that proves it.
 *
 * Series x, d_k = s_k u_k with s_k = 0 where the mask holds x_k, ||u||_p <= eps, budgets
 * and walls in the units of the series, and the rows C f + b in their groups. Where units
 * are converted the region is rounded up; parts that a bound drops are not stated, so the
 * region is larger than the query's.
 */
#include "bound/certify.h"
#include "bound/joint.h"
#include "bound/solve.h"

#include <string.h>

static double wall(const rob_list *list, int64_t k, double none)
{
    return list->at != NULL ? list->at[k % list->count] : none;
}

static void state_region(rob_cert *c, const rob_region *r)
{
    for (int64_t k = 0; k < c->steps * c->features; k++) {
        if (c->scale != NULL) c->scale[k] = rob_priv_region_scale(r, k);
        if (c->low == NULL) continue;
        c->low[k] = wall(&r->low, k, -INFINITY);
        c->high[k] = wall(&r->high, k, INFINITY);
    }
    for (int64_t t = 0; c->budget != NULL && t < c->steps; t++)
        c->budget[t] = rob_priv_ball_budget(r, t);
}

/* Groups are numbered in the order in which they stand. */
static void state_rows(rob_cert *c, const rob_spec *s)
{
    memcpy(c->c, s->c, (size_t)(s->rows * s->outputs) * sizeof *c->c);
    memcpy(c->b, s->b, (size_t)s->rows * sizeof *c->b);
    int32_t number = 0;
    for (int64_t r = 0; r < s->rows; r++) {
        number += r > 0 && s->group[r] != s->group[r - 1];
        c->group[r] = number;
    }
}

static rob_status state(rob_ctx *ctx, const rob_query *q, int64_t i, double radius,
                        const rob_region *r, rob_cert *c)
{
    rob_status status = ROB_OK;
    const rob_case *series = &q->cases[i];
    const int32_t parts = rob_priv_region_parts(r);
    CHECK(r->basis == NULL, ctx, ROB_EUNSUPPORTED,
          "a certificate cannot say that perturbations lie in a subspace");
    c->steps = series->steps;
    c->features = q->model->recipe.features;
    c->outputs = series->spec.outputs;
    c->norm = q->norm;
    c->rows = series->spec.rows;
    c->groups = series->spec.groups;
    c->eps = fp_min(rob_priv_bound_radius_up(q, radius),
                    fp_up(rob_priv_region_reach(r) * (1 + 0x1p-40)));
    CHECK(isfinite(c->eps) && c->eps >= 0, ctx, ROB_EDOMAIN,
          "radius is %g; a certificate needs one that is finite and not negative", radius);
    CHECK(rob_priv_cert_room(c, r->mask != NULL || parts & ROB_PART_SCALE,
                             parts & ROB_PART_BOX, parts & ROB_PART_BUDGET),
          ctx, ROB_EMEMORY, "out of memory for a certificate");
    memcpy(c->x, series->x, (size_t)(c->steps * c->features) * sizeof *c->x);
    state_region(c, r);
    state_rows(c, &series->spec);
done:
    return status;
}

static bool must_stop(void *user) { return rob_priv_cancelled(user); }

static rob_status prove(rob_ctx *ctx, const rob_bound *b, const rob_query *q,
                        const rob_case *series, const rob_region *r, rob_network *net,
                        rob_cert *c)
{
    const rob_spec *s = &series->spec;
    const rob_demand d = { s->rows, s->groups, s->outputs, s->c, s->b, s->group };
    rob_ball ball = { series->x, r->mask, q->norm, c->eps, NULL };
    if (rob_priv_region_parts(r) != 0) ball.region = r;
    rob_work *w = NULL;
    const double begun = rob_priv_clock();
    rob_fp_state host = rob_priv_fp_enter();
    rob_status status = rob_priv_work_open(net, &w);
    if (status == ROB_OK && b->option[ROB_BOUND_JOINT] != 0) status = rob_priv_joint_open(w);
    if (status == ROB_OK) {
        w->sweeps = b->method != ROB_BOUND_INTERVAL;
        w->depth = (int64_t)b->option[ROB_BOUND_STEPS];
        w->fault = b->fault;
        w->fault_strip = b->fault_strip;
        w->stop = must_stop;
        w->stop_user = ctx;
        status = rob_priv_cert_depths(c, 1) ? rob_priv_bound_certify(w, &ball, &d, c) : ROB_EMEMORY;
    }
    if (status == ROB_OK && b->method == ROB_BOUND_BRANCH && !(c->margin > 0)) {
        rob_priv_cert_forget(c, 0);
        status = rob_priv_certify_parts(w, &ball, r, &d, (int64_t)b->option[ROB_BOUND_BRANCHES],
                                        begun + b->option[ROB_BOUND_SECONDS], c);
    } else if (status == ROB_OK && !rob_priv_cert_cut(c, -1, 0)) {
        status = ROB_EMEMORY;
    }
    rob_priv_work_close(w);
    rob_priv_fp_leave(host);
    return status == ROB_EMEMORY ? rob_priv_no_memory(ctx) : status;
}

rob_status rob_priv_bound_certificate(rob_ctx *ctx, const rob_bound *b, rob_query *q,
                                      int64_t i, double radius, rob_cert *out)
{
    rob_status status = ROB_OK;
    rob_network *net = NULL;
    rob_region region;
    *out = (rob_cert){ .memory = ctx->memory };
    TRY(rob_priv_query_knows(ctx, q, ~ROB_PART_COUNT, "a certificate"));
    TRY(rob_priv_query_prepare(ctx, q));
    if (status == ROB_STOPPED) goto done;
    rob_priv_query_region(q, i, &region);
    TRY(state(ctx, q, i, radius, &region, out));
    TRY(rob_priv_bound_network(ctx, q->model, out->steps, &net));
    rob_priv_cert_network(net->graph, net->x, net->y, out->digest);
    status = prove(ctx, b, q, &q->cases[i], &region, net, out);
done:
    rob_priv_network_free(net);
    return status;
}
