/* boundary.c -- the public side of the boundary's geometry: arguments checked, an
 * attack where none was run, then src/boundary. */
#include "api/nearest.h"
#include "boundary/boundary.h"

#include <math.h>
#include <string.h>

rob_status rob_boundary_create(rob_ctx *ctx, rob_boundary **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    rob_boundary *b = rob_priv_allocate(&ctx->memory, 1, sizeof *b);
    CHECK(b, ctx, ROB_EMEMORY, "out of memory for a boundary");
    b->memory = ctx->memory;
    for (int k = 0; k < ROB_BOUNDARY_OPTIONS; k++)
        b->option[k] = rob_priv_boundary_option[k].value;
    *out = b;
done:
    return status;
}

rob_status rob_boundary_set(rob_ctx *ctx, rob_boundary *b, const char *name,
                            double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && name, ctx, ROB_EARGUMENT, "%s is NULL", b ? "name" : "boundary");
    TRY(rob_priv_option_set(ctx, rob_priv_boundary_option, ROB_BOUNDARY_OPTIONS,
                            b->option, name, value));
done:
    return status;
}

rob_status rob_priv_api_nearest(rob_ctx *ctx, rob_query *q)
{
    rob_status status = ROB_OK;
    rob_attack *a = NULL;
    bool missing = false;
    TRY(rob_priv_query_prepare(ctx, q));
    for (int64_t i = 0; i < q->count; i++)
        missing = missing || (!q->cases[i].wrong && !(q->best[i] < INFINITY));
    if (!missing) goto done;
    TRY(rob_attack_create(ctx, "auto", &a));
    TRY(rob_priv_attack_run(ctx, a, q, false));
done:
    rob_attack_free(a);
    return status;
}

rob_status rob_boundary_find(rob_ctx *ctx, rob_boundary *b, rob_query *q,
                             double *distance, int64_t capacity)
{
    rob_status status = ROB_OK, stopped = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && q, ctx, ROB_EARGUMENT, "%s is NULL", b ? "query" : "boundary");
    CHECK(!distance || capacity >= q->count, ctx, ROB_ESHAPE,
          "capacity is %lld; the query has %lld series", (long long)capacity,
          (long long)q->count);
    CHECK(q->norm == ROB_NORM_L2, ctx, ROB_EUNSUPPORTED,
          "the query's norm is %d; the boundary's geometry is Euclidean: ROB_NORM_L2",
          (int)q->norm);
    TRY(rob_priv_api_nearest(ctx, q));
    stopped = status;
    TRY(rob_priv_boundary_run(ctx, b, q, ROB_BOUNDARY_POINTS));
    if (stopped != ROB_OK) status = stopped;
    for (int64_t i = 0; distance && i < b->count; i++)
        distance[i] = b->edge[i].distance * b->unit;
done:
    return rob_priv_leave(ctx, status);
}

/* ---- answers by name ------------------------------------------------------------- */

/* power of the unit a number carries: 1 a length, -1 one over a length, 0 none */
static const struct column {
    const char *name;
    size_t place;
    int32_t power;
} columns[] = {
    { "distance", offsetof(rob_edge, distance), 1 },
    { "residual", offsetof(rob_edge, residual), 0 },
    { "multiplier", offsetof(rob_edge, multiplier), 2 },
    { "gradient_norm", offsetof(rob_edge, gradient_norm), -1 },
    { "mean_curvature", offsetof(rob_edge, mean), -1 },
    { "projection", offsetof(rob_edge, projection), 0 },
    { "estimate1", offsetof(rob_edge, estimate1[0]), 1 },
    { "estimate1_l1", offsetof(rob_edge, estimate1[1]), 1 },
    { "estimate1_linf", offsetof(rob_edge, estimate1[2]), 1 },
    { "estimate2", offsetof(rob_edge, estimate2), 1 },
    { "estimate2_lower", offsetof(rob_edge, lower2), 1 },
    { "estimate2_upper", offsetof(rob_edge, upper2), 1 },
    { "estimate3_lower", offsetof(rob_edge, lower3), 1 },
    { "estimate3_upper", offsetof(rob_edge, upper3), 1 },
    { "third_derivative", offsetof(rob_edge, third), -3 },
};

static double scaled(double value, double unit, int32_t power)
{
    for (; power > 0; power--) value *= unit;
    for (; power < 0; power++) value /= unit;
    return value;
}

static bool number_named(const rob_boundary *b, const char *what, int64_t i,
                         double *value)
{
    const rob_edge *e = &b->edge[i];
    for (int64_t k = 0; k < COUNT_OF(columns); k++) {
        if (strcmp(columns[k].name, what) != 0) continue;
        const double *at = (const double *)((const char *)e + columns[k].place);
        *value = scaled(*at, b->unit, columns[k].power);
        return true;
    }
    if (strcmp(what, "converged") == 0) *value = e->converged;
    else if (strcmp(what, "flat") == 0) *value = e->flat;
    else if (strcmp(what, "rows") == 0) *value = (double)e->rows;
    else if (strcmp(what, "steps") == 0) *value = (double)e->steps;
    else return false;
    return true;
}

/* NULL: no array of that name */
static const double *array_named(const rob_boundary *b, const char *what, int64_t i,
                                 int64_t *size, double *factor)
{
    static const double none;
    const rob_edge *e = &b->edge[i];
    const double *at = NULL;
    *size = e->size;
    *factor = 1;
    if (strcmp(what, "point") == 0) return e->point;
    if (strcmp(what, "normal") == 0) return e->normal;
    if (strcmp(what, "direction") == 0) return e->direction;
    if (strcmp(what, "curvatures") == 0) {
        at = e->curvature;
        *size = e->curvatures;
        *factor = 1 / b->unit;
    } else if (strcmp(what, "slice") == 0) {
        at = e->slice;
        *size = b->slice * b->slice;
    } else return NULL;
    if (at) return at;
    *size = 0;
    return &none;
}

rob_status rob_boundary_get(rob_ctx *ctx, const rob_boundary *b, const char *what,
                            int64_t i, double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    double number, factor = 1;
    const double *array = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && what, ctx, ROB_EARGUMENT, "%s is NULL", b ? "what" : "boundary");
    CHECK(i >= -1 && i < b->count, ctx, ROB_EARGUMENT,
          "series %lld was asked for; the boundary answered for %lld, counted from 0 "
          "(-1: all)",
          (long long)i, (long long)b->count);
    int64_t size = i == -1 ? b->count : 1;
    bool known = b->count == 0 || number_named(b, what, i < 0 ? 0 : i, &number);
    if (!known && i >= 0) array = array_named(b, what, i, &size, &factor);
    CHECK(known || array, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'%s; there are distance, residual, converged, "
          "multiplier, gradient_norm, mean_curvature, projection, estimate1, "
          "estimate1_l1, estimate1_linf, estimate2, estimate2_lower, estimate2_upper, "
          "estimate3_lower, estimate3_upper, third_derivative, "
          "flat, rows, steps, and of one series point, normal, curvatures, slice, "
          "direction",
          what, i < 0 ? " for all series" : "");
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    for (int64_t k = 0; out && k < size; k++) {
        if (array) out[k] = array[k] * factor;
        else {
            number_named(b, what, i < 0 ? k : i, &number);
            out[k] = number;
        }
    }
    if (count) *count = size;
done:
    return status;
}

void rob_boundary_free(rob_boundary *b)
{
    if (!b) return;
    rob_memory memory = b->memory;
    rob_priv_boundary_forget(b);
    rob_priv_release(&memory, b);
}
