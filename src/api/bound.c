/* bound.c -- the public side of certified bounds: arguments checked, then src/bound. */
#include "bound/solve.h"

#include <math.h>
#include <string.h>

rob_status rob_bound_create(rob_ctx *ctx, const char *method, rob_bound **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(method, ctx, ROB_EARGUMENT, "method is NULL");
    int32_t k = 0;
    while (k < ROB_BOUND_METHODS && strcmp(rob_priv_bound_method[k], method) != 0) k++;
    CHECK(k < ROB_BOUND_METHODS, ctx, ROB_EARGUMENT,
          "method is '%.40s'; allowed are interval, zonotope, crown, alpha, branch, auto", method);
    rob_bound *b = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *b);
    CHECK(b, ctx, ROB_EMEMORY, "out of memory for a bound");
    b->memory = ctx->memory;
    b->method = k;
    for (int32_t i = 0; i < ROB_BOUND_OPTIONS; i++)
        b->option[i] = rob_priv_bound_option[i].value;
    *out = b;
done:
    return status;
}

rob_status rob_bound_set(rob_ctx *ctx, rob_bound *b, const char *name, double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && name, ctx, ROB_EARGUMENT, "%s is NULL", b ? "name" : "bound");
    TRY(rob_priv_option_set(ctx, rob_priv_bound_option, ROB_BOUND_OPTIONS, b->option,
                            name, value));
done:
    return status;
}

/* What a series' answer says when there is none, and when there is. */
static double value_of(const rob_answer *a, int32_t ask)
{
    if (!a) return ask == ROB_ASK_RADIUS ? 0 : ask == ROB_ASK_MARGIN ? -INFINITY : INFINITY;
    return ask == ROB_ASK_RADIUS ? a->radius : ask == ROB_ASK_MARGIN ? a->margin : a->lipschitz;
}

static rob_status run(rob_ctx *ctx, rob_bound *b, rob_query *q, int32_t ask,
                      double *lower, int64_t capacity)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && q, ctx, ROB_EARGUMENT, "%s is NULL", b ? "query" : "bound");
    CHECK(!lower || capacity >= q->count, ctx, ROB_ESHAPE,
          "capacity is %lld; the query has %lld series", (long long)capacity,
          (long long)q->count);
    CHECK(ask == ROB_ASK_RADIUS || isfinite(q->radius) || isfinite(rob_priv_query_reach(q)),
          ctx, ROB_EARGUMENT, "the ball's radius is infinite; a %s needs a finite one "
          "(rob_query_set_ball)", ask == ROB_ASK_MARGIN ? "margin" : "Lipschitz constant");
    int64_t count = q->count;
    TRY(rob_priv_bound_solve(ctx, b, q, ask));
    bool kept = b->count == count;
    for (int64_t i = 0; i < count; i++) {
        const rob_answer *a = kept ? &b->answer[i] : NULL;
        if (lower) lower[i] = value_of(a, ask);
        if (a) rob_priv_query_keep_proved(q, i, a->proved);
    }
done:
    return rob_priv_leave(ctx, status);
}

rob_status rob_bound_radius(rob_ctx *ctx, rob_bound *b, rob_query *q, double *lower,
                            int64_t capacity)
{
    return run(ctx, b, q, ROB_ASK_RADIUS, lower, capacity);
}

rob_status rob_bound_margin(rob_ctx *ctx, rob_bound *b, rob_query *q, double *lower,
                            int64_t capacity)
{
    return run(ctx, b, q, ROB_ASK_MARGIN, lower, capacity);
}

rob_status rob_bound_lipschitz(rob_ctx *ctx, rob_bound *b, rob_query *q, double *upper,
                               int64_t capacity)
{
    return run(ctx, b, q, ROB_ASK_LIPSCHITZ, upper, capacity);
}

rob_status rob_bound_universal(rob_ctx *ctx, rob_bound *b, rob_query *q, int64_t *most)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && q, ctx, ROB_EARGUMENT, "%s is NULL", b ? "query" : "bound");
    CHECK(isfinite(q->radius), ctx, ROB_EARGUMENT,
          "the ball's radius is infinite; one perturbation needs a finite one "
          "(rob_query_set_ball)");
    TRY(rob_priv_bound_universal(ctx, b, q));
    if (most) *most = (int64_t)b->universal[0];
    for (int64_t i = 0; i < b->count; i++)
        rob_priv_query_keep_proved(q, i, b->answer[i].proved);
done:
    return rob_priv_leave(ctx, status);
}

/* ---- answers by name ------------------------------------------------------------- */

static double get_margin(const rob_answer *a) { return a->margin; }
static double get_radius(const rob_answer *a) { return a->radius; }
static double get_calls(const rob_answer *a) { return a->calls; }
static double get_seconds(const rob_answer *a) { return a->seconds; }
static double get_depth(const rob_answer *a) { return a->depth; }
static double get_dropped(const rob_answer *a) { return a->dropped; }
static double get_deviation(const rob_answer *a) { return a->deviation; }
static double get_float32(const rob_answer *a) { return a->single; }
static double get_lipschitz(const rob_answer *a) { return a->lipschitz; }
static double get_curvature(const rob_answer *a) { return a->curvature; }
static double get_smooth(const rob_answer *a) { return a->smooth; }

static const struct column {
    const char *name;
    double (*value)(const rob_answer *a);
} columns[] = {
    {"margin", get_margin}, {"radius", get_radius}, {"calls", get_calls},
    {"seconds", get_seconds}, {"depth", get_depth},
    {"dropped", get_dropped}, {"deviation", get_deviation},
    {"float32", get_float32}, {"lipschitz", get_lipschitz}, {"smooth", get_smooth},
    {"curvature", get_curvature},
};

/* Answers with a number for each row; NULL where the last call did not make them. */
static const double *row_of(const rob_answer *a) { return a->row; }
static const double *most_of(const rob_answer *a) { return a->most; }
static const double *least_of(const rob_answer *a) { return a->least; }

static const struct list {
    const char *name;
    const double *(*of)(const rob_answer *a);
} lists[] = {
    {"rows", row_of}, {"steepest", most_of}, {"gradient", least_of},
};

static const struct list *list_named(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(lists); k++)
        if (strcmp(lists[k].name, name) == 0) return &lists[k];
    return NULL;
}

static const struct column *column_named(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(columns); k++)
        if (strcmp(columns[k].name, name) == 0) return &columns[k];
    return NULL;
}

static rob_status get_universal(rob_ctx *ctx, const rob_bound *b, double *out,
                                int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    CHECK(b->shared, ctx, ROB_EARGUMENT,
          "'universal' is an answer of rob_bound_universal; the last call was another");
    CHECK(!out || capacity >= 3, ctx, ROB_ESHAPE, "capacity is %lld; 'universal' has 3",
          (long long)capacity);
    if (out) memcpy(out, b->universal, sizeof b->universal);
    if (count) *count = 3;
done:
    return status;
}

rob_status rob_bound_get(rob_ctx *ctx, const rob_bound *b, const char *what, int64_t i,
                         double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && what, ctx, ROB_EARGUMENT, "%s is NULL", b ? "what" : "bound");
    if (strcmp(what, "universal") == 0) return get_universal(ctx, b, out, capacity, count);
    const struct column *column = column_named(what);
    const struct list *rows = list_named(what);
    CHECK(column || rows, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'; there are margin, radius, calls, seconds, depth, "
          "dropped, deviation, float32, lipschitz, smooth, curvature, rows, steepest, "
          "gradient, universal",
          what);
    CHECK((i >= 0 && i < b->count) || (i == -1 && column), ctx, ROB_EARGUMENT,
          "series %lld was asked for; the bound answered for %lld, counted from 0%s",
          (long long)i, (long long)b->count, column ? " (-1: all)" : "");
    const double *row = rows ? rows->of(&b->answer[i]) : NULL;
    CHECK(!rows || row || b->answer[i].rows == 0, ctx, ROB_EARGUMENT,
          "'%s' is an answer of rob_bound_lipschitz; the last call was another", what);
    int64_t size = rows ? b->answer[i].rows : i == -1 ? b->count : 1;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    for (int64_t k = 0; out && k < size; k++)
        out[k] = rows ? row[k] : column->value(&b->answer[i == -1 ? k : i]);
    if (count) *count = size;
done:
    return status;
}

void rob_bound_free(rob_bound *b)
{
    if (!b) return;
    rob_memory memory = b->memory;
    rob_priv_bound_forget(b);
    rob_priv_release(&memory, b);
}
