/* query_region.c -- the public side of regions: arguments checked, then src/query. */
#include "query/query.h"

#include <math.h>

static rob_status check_place(rob_ctx *ctx, const rob_query *q, int64_t i)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    CHECK(i >= -1 && i < q->count, ctx, ROB_EARGUMENT,
          "series %lld of the query was asked for; it has %lld, counted from 0 (-1: "
          "all)",
          (long long)i, (long long)q->count);
done:
    return status;
}

static rob_status check_count(rob_ctx *ctx, const char *what, const void *values,
                              int64_t count)
{
    rob_status status = ROB_OK;
    CHECK(!values || (count >= 1 && count < INT64_MAX / 64), ctx, ROB_ESHAPE,
          "count is %lld; %s has at least 1", (long long)count, what);
done:
    return status;
}

rob_status rob_query_set_scale(rob_ctx *ctx, rob_query *q, int64_t i,
                               const double *scale, int64_t count)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, i));
    TRY(check_count(ctx, "scale", scale, count));
    TRY(rob_priv_query_scale(ctx, q, i, scale, count));
done:
    return status;
}

rob_status rob_query_set_relative(rob_ctx *ctx, rob_query *q, int32_t on)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, -1));
    CHECK(on == 0 || on == 1, ctx, ROB_EARGUMENT, "on is %d; allowed are 0, 1",
          (int)on);
    q->relative = on != 0;
    rob_priv_query_forget(q);
done:
    return status;
}

rob_status rob_query_set_box(rob_ctx *ctx, rob_query *q, int64_t i, const double *low,
                             const double *high, int64_t count)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, i));
    TRY(check_count(ctx, "a box", low ? low : high, count));
    TRY(rob_priv_query_box(ctx, q, i, low, high, count));
done:
    return status;
}

rob_status rob_query_set_budget(rob_ctx *ctx, rob_query *q, int64_t i,
                                const double *budget, int64_t count)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, i));
    TRY(check_count(ctx, "budget", budget, count));
    TRY(rob_priv_query_budget(ctx, q, i, budget, count));
done:
    return status;
}

rob_status rob_query_set_subspace(rob_ctx *ctx, rob_query *q, int64_t i,
                                  const double *e, int64_t rows, int64_t columns)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, i));
    CHECK(!e
              || (rows >= 1 && columns >= 1 && rows < INT64_MAX / 64
                  && columns < INT64_MAX / 64 / rows),
          ctx, ROB_ESHAPE, "the subspace is %lld x %lld; both are at least 1",
          (long long)rows, (long long)columns);
    TRY(rob_priv_query_subspace(ctx, q, i, e, rows, columns));
done:
    return status;
}

rob_status rob_query_set_band_limit(rob_ctx *ctx, rob_query *q, int64_t modes)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, -1));
    CHECK(modes >= 0, ctx, ROB_EARGUMENT, "modes is %lld; allowed is 0 (none) or more",
          (long long)modes);
    TRY(rob_priv_query_band(ctx, q, modes));
done:
    return status;
}

rob_status rob_query_set_smoothness(rob_ctx *ctx, rob_query *q, double variation,
                                    double difference)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, -1));
    CHECK(variation >= 0 && difference >= 0, ctx, ROB_EDOMAIN,
          "%s is %g; allowed is 0 to INFINITY",
          variation >= 0 ? "difference" : "variation",
          variation >= 0 ? difference : variation);
    q->variation = variation;
    q->difference = difference;
    rob_priv_query_forget(q);
done:
    return status;
}

rob_status rob_query_set_steps(rob_ctx *ctx, rob_query *q, int64_t steps)
{
    rob_status status = ROB_OK;
    TRY(check_place(ctx, q, -1));
    CHECK(steps >= 0, ctx, ROB_EARGUMENT, "steps is %lld; allowed is 0 (any) or more",
          (long long)steps);
    q->most_steps = steps;
    rob_priv_query_forget(q);
done:
    return status;
}
