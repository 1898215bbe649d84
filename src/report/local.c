/* local.c -- the boundary near every series, and condition numbers.
 *
 * Nearest boundary point, estimates and curvatures are rob_boundary_find's. Of the
 * principal curvatures k_1 <= ... <= k_m of a series the columns keep least, largest,
 * mean and max |k|. Condition numbers are rob_condition_compute's, of any norm; the
 * ends of the spectrum of the loss's Hessian rob_spectrum_extremes'. Boundary and
 * spectrum are Euclidean: under other norms, and where they do not apply, columns stay
 * NaN.
 */
#include "report/report.h"

#include <robust/boundary.h>
#include <robust/condition.h>
#include <robust/spectrum.h>

#include <math.h>

static const struct answer {
    const char *name;
    int32_t column;
} ANSWERS[] = {
    { "distance", ROB_C_NEAREST },      { "residual", ROB_C_RESIDUAL },
    { "estimate1", ROB_C_ESTIMATE1 },   { "estimate2", ROB_C_ESTIMATE2 },
    { "projection", ROB_C_PROJECTION }, { "mean_curvature", ROB_C_CURVATURE_MEAN },
};

/* Least, largest and largest size of the curvatures k (n) of series i. */
static void keep_curvatures(rob_findings *f, int64_t i, const double *k, int64_t n)
{
    double least = INFINITY, most = -INFINITY;
    for (int64_t j = 0; j < n; j++) {
        if (!isfinite(k[j])) return;
        least = fmin(least, k[j]);
        most = fmax(most, k[j]);
    }
    if (n == 0) return;
    f->value[ROB_C_CURVATURE_MIN][i] = least;
    f->value[ROB_C_CURVATURE_MAX][i] = most;
    f->value[ROB_C_CURVATURE][i] = fmax(fabs(least), fabs(most));
}

static rob_status curvatures(rob_ctx *ctx, const rob_boundary *b, rob_findings *f)
{
    rob_status status = ROB_OK;
    int64_t n, room = f->dimension + 1;
    double *k = rob_priv_allocate(&ctx->memory, room, (int64_t)sizeof *k);
    CHECK(k, ctx, ROB_EMEMORY, "out of memory for curvatures");
    for (int64_t i = 0; i < f->count; i++) {
        TRY(rob_boundary_get(ctx, b, "curvatures", i, k, room, &n));
        keep_curvatures(f, i, k, n);
        if (i != f->shown || n == 0) continue;
        TRY(rob_priv_findings_make(ctx, f, ROB_C_SHOWN_CURVATURES, n));
        for (int64_t j = 0; j < n; j++) f->value[ROB_C_SHOWN_CURVATURES][j] = k[j];
    }
done:
    rob_priv_release(&ctx->memory, k);
    return status;
}

/* The direction in which the boundary bends most towards the shown series. */
static rob_status direction(rob_ctx *ctx, const rob_boundary *b, rob_findings *f)
{
    rob_status status = ROB_OK;
    int64_t n = f->size[ROB_C_SHOWN_X];
    if (f->shown < 0 || f->size[ROB_C_SHOWN_TWIN] == 0) return ROB_OK;
    TRY(rob_priv_findings_make(ctx, f, ROB_C_SLICE_DIRECTION, n));
    TRY(rob_boundary_get(ctx, b, "direction", f->shown, f->value[ROB_C_SLICE_DIRECTION],
                         n, NULL));
done:
    return status;
}

rob_status rob_priv_report_local(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_boundary *b = NULL;
    double dense = r->option[ROB_REPORT_DENSE];
    if (f->norm != ROB_NORM_L2 || f->count == 0 || dense < 1) return ROB_OK;
    TRY(rob_boundary_create(ctx, &b));
    TRY(rob_boundary_set(ctx, b, "dense", dense));
    TRY(end = rob_boundary_find(ctx, b, r->query, NULL, 0));
    for (int64_t k = 0; k < COUNT_OF(ANSWERS); k++)
        TRY(rob_boundary_get(ctx, b, ANSWERS[k].name, -1, f->value[ANSWERS[k].column],
                             f->count, NULL));
    TRY(curvatures(ctx, b, f));
    TRY(direction(ctx, b, f));
    status = end;
done:
    rob_boundary_free(b);
    return status;
}

/* ---- condition and spectrum ------------------------------------------------------ */

static rob_status of_weights(rob_ctx *ctx, const rob_condition *c, rob_findings *f)
{
    rob_status status = ROB_OK;
    double all[256];
    int64_t n;
    for (int64_t i = 0; i < f->count; i++) {
        TRY(rob_condition_get(ctx, c, "weights", i, NULL, 0, &n));
        if (n < 1 || n > COUNT_OF(all)) continue;
        TRY(rob_condition_get(ctx, c, "weights", i, all, COUNT_OF(all), NULL));
        f->value[ROB_C_WEIGHTS][i] = all[0];
    }
done:
    return status;
}

rob_status rob_priv_report_condition(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_condition *c = NULL;
    int64_t steps;
    if (f->count == 0 || r->option[ROB_REPORT_DENSE] < 1) return ROB_OK;
    TRY(rob_condition_create(ctx, &c));
    TRY(rob_condition_set(ctx, c, "order", 1)); /* nearest points are known by now */
    TRY(rob_condition_set(ctx, c, "projection", 0));
    TRY(end = rob_condition_compute(ctx, c, r->query));
    TRY(rob_condition_get(ctx, c, "relative", -1, f->value[ROB_C_CONDITION], f->count,
                          NULL));
    TRY(rob_condition_get(ctx, c, "componentwise", -1, f->value[ROB_C_COMPONENTWISE],
                          f->count, NULL));
    TRY(of_weights(ctx, c, f));
    if (f->shown >= 0) {
        TRY(rob_condition_get(ctx, c, "steps", f->shown, NULL, 0, &steps));
        TRY(rob_priv_findings_make(ctx, f, ROB_C_SHOWN_CONDITION, steps));
        TRY(rob_condition_get(ctx, c, "steps", f->shown,
                              f->value[ROB_C_SHOWN_CONDITION], steps, NULL));
    }
    status = end;
done:
    rob_condition_free(c);
    return status;
}

rob_status rob_priv_report_spectrum(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_spectrum *s = NULL;
    if (f->count == 0 || f->own_rows || r->option[ROB_REPORT_DENSE] < 1) return ROB_OK;
    TRY(rob_spectrum_create(ctx, &s));
    TRY(rob_spectrum_set(ctx, s, "tolerance", 1e-4));
    TRY(end = rob_spectrum_extremes(ctx, s, r->query, NULL, 0));
    TRY(rob_spectrum_get(ctx, s, "lowest", -1, f->value[ROB_C_HESSIAN_LOWEST], f->count,
                         NULL));
    TRY(rob_spectrum_get(ctx, s, "highest", -1, f->value[ROB_C_HESSIAN_HIGHEST],
                         f->count, NULL));
    status = end;
done:
    rob_spectrum_free(s);
    return status;
}
