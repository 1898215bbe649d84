/* condition.c -- the public side of condition numbers: arguments checked, an attack
 * where one is needed, then src/condition. */
#include "condition/condition.h"

#include "api/nearest.h"

#include <math.h>
#include <string.h>

rob_status rob_condition_create(rob_ctx *ctx, rob_condition **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    rob_condition *c = rob_priv_allocate(&ctx->memory, 1, sizeof *c);
    CHECK(c, ctx, ROB_EMEMORY, "out of memory for a condition");
    c->memory = c->boundary.memory = ctx->memory;
    for (int k = 0; k < ROB_CONDITION_OPTIONS; k++)
        c->option[k] = rob_priv_condition_option[k].value;
    *out = c;
done:
    return status;
}

rob_status rob_condition_set(rob_ctx *ctx, rob_condition *c, const char *name,
                             double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(c && name, ctx, ROB_EARGUMENT, "%s is NULL", c ? "name" : "condition");
    TRY(rob_priv_option_set(ctx, rob_priv_condition_option, ROB_CONDITION_OPTIONS,
                            c->option, name, value));
done:
    return status;
}

rob_status rob_condition_compute(rob_ctx *ctx, rob_condition *c, rob_query *q)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(c && q, ctx, ROB_EARGUMENT, "%s is NULL", c ? "query" : "condition");
    if (c->option[ROB_CONDITION_PROJECTION] >= 0.5 && q->norm == ROB_NORM_L2)
        TRY(rob_priv_api_nearest(ctx, q));
    TRY(rob_priv_condition_run(ctx, c, q));
done:
    return rob_priv_leave(ctx, status);
}

rob_status rob_condition_steps(rob_ctx *ctx, rob_condition *c, rob_query *q, int64_t i,
                               double *cond, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(c && q, ctx, ROB_EARGUMENT, "%s is NULL", c ? "query" : "condition");
    CHECK(i >= 0 && i < q->count, ctx, ROB_EARGUMENT,
          "series %lld of the query was asked for; it has %lld, counted from 0",
          (long long)i, (long long)q->count);
    int64_t steps = q->cases[i].steps;
    CHECK(!cond || capacity >= steps, ctx, ROB_ESHAPE,
          "capacity is %lld; series %lld has %lld steps", (long long)capacity,
          (long long)i, (long long)steps);
    if (cond) TRY(rob_priv_condition_steps(ctx, q, i, cond));
    if (count) *count = steps;
done:
    return status;
}

/* ---- answers by name ------------------------------------------------------------- */

static const struct column {
    const char *name;
    size_t place;
} columns[] = {
    { "relative", offsetof(rob_standing, relative) },
    { "relative2", offsetof(rob_standing, second) },
    { "relative_lower", offsetof(rob_standing, lower) },
    { "relative_upper", offsetof(rob_standing, upper) },
    { "componentwise", offsetof(rob_standing, by.componentwise) },
    { "output", offsetof(rob_standing, by.output) },
    { "mixed", offsetof(rob_standing, by.mixed) },
    { "size", offsetof(rob_standing, size) },
};

static bool number_named(const rob_condition *c, const char *what, int64_t i,
                         double *value)
{
    for (int64_t k = 0; k < COUNT_OF(columns); k++) {
        if (strcmp(columns[k].name, what) != 0) continue;
        *value = *(const double *)((const char *)&c->standing[i] + columns[k].place);
        return true;
    }
    if (strcmp(what, "projection") != 0) return false;
    *value = c->boundary.edge[i].projection;
    return true;
}

/* NULL: no array of that name */
static const double *array_named(const rob_condition *c, const char *what, int64_t i,
                                 int64_t *size)
{
    const rob_sensitivity *by = &c->standing[i].by;
    const rob_edge *e = &c->boundary.edge[i];
    if (strcmp(what, "steps") == 0) return *size = by->steps, by->step;
    if (strcmp(what, "features") == 0) return *size = by->features, by->feature;
    if (strcmp(what, "point") == 0) return *size = e->size, e->point;
    if (strcmp(what, "weights") != 0) return NULL;
    *size = by->tensors == 0 || isnan(by->weight[0]) ? 0 : 1 + by->tensors;
    return by->weight;
}

rob_status rob_condition_get(rob_ctx *ctx, const rob_condition *c, const char *what,
                             int64_t i, double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    double number = 0;
    const double *array = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(c && what, ctx, ROB_EARGUMENT, "%s is NULL", c ? "what" : "condition");
    CHECK(i >= -1 && i < c->count, ctx, ROB_EARGUMENT,
          "series %lld was asked for; there are answers for %lld, counted from 0 "
          "(-1: all)",
          (long long)i, (long long)c->count);
    int64_t size = i == -1 ? c->count : 1;
    bool known = c->count == 0 || number_named(c, what, i < 0 ? 0 : i, &number);
    if (!known && i >= 0) array = array_named(c, what, i, &size);
    CHECK(known || array, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'%s; there are relative, relative2, relative_lower, "
          "relative_upper, componentwise, projection, output, mixed, size, and of one "
          "series steps, features, weights, point",
          what, i < 0 ? " for all series" : "");
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    for (int64_t k = 0; out && k < size; k++) {
        if (!array) number_named(c, what, i < 0 ? k : i, &number);
        out[k] = array ? array[k] : number;
    }
    if (count) *count = size;
done:
    return status;
}

void rob_condition_free(rob_condition *c)
{
    if (!c) return;
    rob_memory memory = c->memory;
    rob_priv_condition_forget(c);
    rob_priv_release(&memory, c);
}
