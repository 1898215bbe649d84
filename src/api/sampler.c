/* sampler.c -- the public side of sampling: arguments checked, then src/sample. */
#include "sample/curve.h"

#include <math.h>
#include <string.h>

rob_status rob_sampler_create(rob_ctx *ctx, const char *method, rob_sampler **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(method, ctx, ROB_EARGUMENT, "method is NULL");
    const rob_sampling *m = rob_priv_sampling(method);
    CHECK(m, ctx, ROB_EARGUMENT, "method is '%.40s'; allowed are mc, split, auto",
          method);
    rob_sampler *s = rob_priv_allocate(&ctx->memory, 1, sizeof *s);
    CHECK(s, ctx, ROB_EMEMORY, "out of memory for a sampler");
    s->memory = ctx->memory;
    s->method = m;
    for (int64_t k = 0; k < m->options; k++) s->option[k] = m->option[k].value;
    *out = s;
done:
    return status;
}

rob_status rob_sampler_set(rob_ctx *ctx, rob_sampler *s, const char *name, double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(s && name, ctx, ROB_EARGUMENT, "%s is NULL", s ? "name" : "sampler");
    TRY(rob_priv_option_set(ctx, s->method->option, s->method->options, s->option, name,
                            value));
done:
    return status;
}

static rob_status check_radii(rob_ctx *ctx, const double *radius, int64_t radii)
{
    rob_status status = ROB_OK;
    CHECK(radius, ctx, ROB_EARGUMENT, "radius is NULL");
    CHECK(radii >= 1, ctx, ROB_ESHAPE, "radii is %lld; at least 1 is needed",
          (long long)radii);
    for (int64_t k = 0; k < radii; k++)
        CHECK(isfinite(radius[k]) && radius[k] >= 0, ctx, ROB_EDOMAIN,
              "radius %lld is %.9g; finite numbers from 0 are allowed", (long long)k,
              radius[k]);
done:
    return status;
}

static const char *norm_name(int32_t norm)
{
    return norm == ROB_NORM_L1 ? "L1" : "Linf";
}

rob_status rob_sampler_curve(rob_ctx *ctx, rob_sampler *s, rob_query *q,
                             const double *radius, int64_t radii, double *logp,
                             int64_t capacity)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(s && q, ctx, ROB_EARGUMENT, "%s is NULL", s ? "query" : "sampler");
    TRY(check_radii(ctx, radius, radii));
    CHECK(q->norm == ROB_NORM_L2, ctx, ROB_EUNSUPPORTED,
          "the query's norm is %s; samplers know the sphere of L2 (rob_query_set_ball)",
          norm_name(q->norm));
    CHECK(!logp || capacity / 3 / radii >= q->count, ctx, ROB_ESHAPE,
          "capacity is %lld; %lld series x %lld radii x 3 are needed",
          (long long)capacity, (long long)q->count, (long long)radii);
    TRY(rob_priv_sampler_run(ctx, s, q, radius, radii));
    for (int64_t k = 0; logp && k < s->count * radii; k++) {
        logp[3 * k] = s->answer[k].logp;
        logp[3 * k + 1] = s->answer[k].lower;
        logp[3 * k + 2] = s->answer[k].upper;
    }
done:
    return rob_priv_leave(ctx, status);
}

rob_status rob_sampler_smooth(rob_ctx *ctx, const rob_sampler *s, rob_query *q,
                              double sigma, double *out, int64_t capacity)
{
    rob_status status = ROB_OK;
    double *found = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(s && q && out, ctx, ROB_EARGUMENT, "%s is NULL",
          !s   ? "sampler"
          : !q ? "query"
               : "out");
    CHECK(s->method->count, ctx, ROB_EUNSUPPORTED,
          "method %s does not count; smoothing needs mc or auto", s->method->name);
    CHECK(isfinite(sigma) && sigma > 0, ctx, ROB_EDOMAIN,
          "sigma is %g; it must be finite and above 0", sigma);
    CHECK(q->norm == ROB_NORM_L2, ctx, ROB_EUNSUPPORTED,
          "the query's norm is %s; Gaussian noise certifies L2 (rob_query_set_ball)",
          norm_name(q->norm));
    CHECK(q->rows.rows == 0 && q->model->recipe.outputs > 1, ctx, ROB_EUNSUPPORTED,
          "smoothing votes over classes; the query has rows of its own or one output");
    CHECK(capacity / 3 >= q->count, ctx, ROB_ESHAPE,
          "capacity is %lld; %lld series x 3 are needed", (long long)capacity,
          (long long)q->count);
    found = rob_priv_allocate(&ctx->memory, 3 * q->count + 1, sizeof *found);
    if (!found) TRY(rob_priv_no_memory(ctx));
    for (int64_t i = 0; i < q->count; i++) {
        found[3 * i] = -1;
        found[3 * i + 2] = NAN;
    }
    TRY(rob_priv_sampler_smooth(ctx, s, q, sigma, found));
    memcpy(out, found, (size_t)(3 * q->count) * sizeof *out);
done:
    rob_priv_release(&ctx->memory, found);
    return rob_priv_leave(ctx, status);
}

/* ---- results by name ------------------------------------------------------------- */

static double get_logp(const rob_estimate *e) { return e->logp; }
static double get_lower(const rob_estimate *e) { return e->lower; }
static double get_upper(const rob_estimate *e) { return e->upper; }
static double get_samples(const rob_estimate *e) { return (double)e->samples; }
static double get_hits(const rob_estimate *e) { return (double)e->hits; }
static double get_levels(const rob_estimate *e) { return (double)e->levels; }
static double get_calls(const rob_estimate *e) { return (double)e->calls; }
static double get_method(const rob_estimate *e) { return e->method; }

static const struct column {
    const char *name;
    double (*value)(const rob_estimate *e);     /* NULL: the radius itself */
} columns[] = {
    {"radius", NULL}, {"logp", get_logp}, {"lower", get_lower}, {"upper", get_upper},
    {"samples", get_samples}, {"hits", get_hits}, {"levels", get_levels},
    {"calls", get_calls}, {"method", get_method},
};

static const struct column *column_named(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(columns); k++)
        if (strcmp(columns[k].name, name) == 0) return &columns[k];
    return NULL;
}

rob_status rob_sampler_get(rob_ctx *ctx, const rob_sampler *s, const char *what,
                           int64_t i, double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(s && what, ctx, ROB_EARGUMENT, "%s is NULL", s ? "what" : "sampler");
    const struct column *column = column_named(what);
    CHECK(column, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'; there are radius, logp, lower, upper, samples, "
          "hits, levels, calls, method",
          what);
    CHECK(i >= -1 && i < s->count, ctx, ROB_EARGUMENT,
          "series %lld was asked for; the sampler answered for %lld, counted from 0 "
          "(-1: all)",
          (long long)i, (long long)s->count);
    int64_t size = s->radii * (i == -1 ? s->count : 1);
    int64_t first = i == -1 ? 0 : i * s->radii;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    for (int64_t k = 0; out && k < size; k++)
        out[k] = column->value ? column->value(&s->answer[first + k])
                               : s->radius[k % s->radii];
    if (count) *count = size;
done:
    return status;
}

void rob_sampler_free(rob_sampler *s)
{
    if (!s) return;
    rob_memory memory = s->memory;
    rob_priv_sampler_forget(s);
    rob_priv_release(&memory, s);
}
