/* slice.c -- the margin on a plane through a series.
 *
 *     F(x + a e + b w),  e = (z - x)/||z - x||, w a unit vector orthogonal to e,
 * z the failing point found and w the direction in which the boundary bends most
 * towards x, or, where that is not known, random (seeded) among the numbers that may
 * move; a, b in [-2 U, 2 U], U = ||z - x||, lengths Euclidean in the query's units. F
 * <= 0 fails.
 */
#include "report/report.h"

#include <math.h>
#include <string.h>

enum { SLICE_STREAM = 0x736c6963 };

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += a[k] * b[k];
    return sum;
}

static bool normalise(double *v, int64_t n)
{
    double length = sqrt(dot(v, v, n));
    for (int64_t k = 0; k < n && length > 0; k++) v[k] /= length;
    return length > 0;
}

static bool known_direction(const rob_findings *f, int64_t n, double *w)
{
    const double *d = f->value[ROB_C_SLICE_DIRECTION];
    for (int64_t k = 0; k < n && d; k++) {
        if (!isfinite(d[k])) return false;
        w[k] = d[k];
    }
    return d && normalise(w, n);
}

static void draw_direction(const rob_ctx *ctx, const rob_query *q, int64_t i, int64_t n,
                           double *w)
{
    const uint8_t *mask = rob_priv_query_mask_of(q, i);
    rob_random random = rob_priv_random(ctx->seed, SLICE_STREAM + (uint64_t)i);
    for (int64_t k = 0; k < n; k++)
        w[k] = !mask || mask[k] ? rob_priv_normal(&random) : 0;
}

/* e and w (n); false when nothing but e can move */
static bool make_plane(const rob_ctx *ctx, const rob_report *r, const rob_findings *f,
                       int64_t n, double *e, double *w)
{
    const double *x = f->value[ROB_C_SHOWN_X], *z = f->value[ROB_C_SHOWN_TWIN];
    for (int64_t k = 0; k < n; k++) e[k] = z[k] - x[k];
    if (!normalise(e, n)) return false;
    if (!known_direction(f, n, w)) draw_direction(ctx, r->query, f->shown, n, w);
    for (int twice = 0; twice < 2; twice++) {
        double along = dot(e, w, n);
        for (int64_t k = 0; k < n; k++) w[k] -= along * e[k];
        if (!normalise(w, n)) return false;
    }
    return true;
}

/* One row of the grid: b fixed, a along `axis`; lengths in the units of the series. */
static rob_status measure_row(rob_ctx *ctx, const rob_report *r, rob_findings *f,
                              const double *plane, double b, double *points,
                              const double **at, int64_t *steps, double *logits)
{
    const rob_case *c = &r->query->cases[f->shown];
    int64_t side = f->size[ROB_C_SLICE_AXIS], n = f->size[ROB_C_SHOWN_X];
    double unit = rob_priv_query_unit(r->query);
    rob_evaluator *evaluator;
    for (int64_t j = 0; j < side; j++) {
        double *p = points + j * n, a = f->value[ROB_C_SLICE_AXIS][j] / unit;
        for (int64_t k = 0; k < n; k++)
            p[k] = c->x[k] + a * plane[k] + b / unit * plane[n + k];
        at[j] = p;
        steps[j] = c->steps;
    }
    rob_status status =
        rob_priv_query_evaluator(ctx, r->query, ROB_F64, false, &evaluator);
    if (status != ROB_OK) return status;
    return rob_priv_evaluate(ctx, evaluator, side, at, steps, logits);
}

static rob_status measure(rob_ctx *ctx, rob_report *r, rob_findings *f,
                          const double *plane)
{
    rob_status status = ROB_OK;
    const rob_case *c = &r->query->cases[f->shown];
    int64_t side = f->size[ROB_C_SLICE_AXIS], n = f->size[ROB_C_SHOWN_X];
    int64_t outputs = c->spec.outputs;
    double *points = rob_priv_allocate(&ctx->memory, side * n, sizeof *points);
    double *logits = rob_priv_allocate(&ctx->memory, side * outputs, sizeof *logits);
    const double **at = rob_priv_allocate(&ctx->memory, side, sizeof *at);
    int64_t *steps = rob_priv_allocate(&ctx->memory, side, sizeof *steps);
    CHECK(points && logits && at && steps, ctx, ROB_EMEMORY,
          "out of memory for a slice");
    for (int64_t i = 0; i < side; i++) {
        double *row = f->value[ROB_C_SLICE_MARGIN] + i * side;
        TRY(rob_priv_progress(ctx, "slice", i, side));
        if (status == ROB_STOPPED) break;
        TRY(measure_row(ctx, r, f, plane, f->value[ROB_C_SLICE_AXIS][i], points, at,
                        steps, logits));
        if (status == ROB_STOPPED) break;
        for (int64_t j = 0; j < side; j++)
            row[j] = rob_priv_spec_margin(&c->spec, logits + j * outputs, NULL);
    }
    if (status == ROB_OK) status = rob_priv_progress(ctx, "slice", side, side);
done:
    rob_priv_release(&ctx->memory, points);
    rob_priv_release(&ctx->memory, logits);
    rob_priv_release(&ctx->memory, at);
    rob_priv_release(&ctx->memory, steps);
    return status;
}

/* Euclidean length of the way to the failing point, in the query's units */
static double way(const rob_report *r, const rob_findings *f, int64_t n)
{
    const double *x = f->value[ROB_C_SHOWN_X], *z = f->value[ROB_C_SHOWN_TWIN];
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += (z[k] - x[k]) * (z[k] - x[k]);
    return sqrt(sum) * rob_priv_query_unit(r->query);
}

rob_status rob_priv_report_slice(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK;
    int64_t side = (int64_t)r->option[ROB_REPORT_SLICES], n = f->size[ROB_C_SHOWN_X];
    double *plane = NULL;
    if (f->shown < 0 || side < 2 || f->size[ROB_C_SHOWN_TWIN] == 0) return ROB_OK;
    plane = rob_priv_allocate(&ctx->memory, 2 * n, (int64_t)sizeof *plane);
    CHECK(plane, ctx, ROB_EMEMORY, "out of memory for a plane");
    if (!make_plane(ctx, r, f, n, plane, plane + n)) goto done;
    TRY(rob_priv_findings_make(ctx, f, ROB_C_SLICE_AXIS, side));
    TRY(rob_priv_findings_make(ctx, f, ROB_C_SLICE_MARGIN, side * side));
    double half = 2 * way(r, f, n);
    for (int64_t k = 0; k < side; k++)
        f->value[ROB_C_SLICE_AXIS][k] = half * (2 * (double)k / (double)(side - 1) - 1);
    TRY(measure(ctx, r, f, plane));
done:
    rob_priv_release(&ctx->memory, plane);
    return status;
}
