/* certificate.c -- the public side of certificates: arguments checked, then src/bound
 * writes, src/cert reads, src/check proves. */
#include "bound/solve.h"
#include "cert/cert.h"
#include "check/check.h"
#include <robust/certificate.h>

#include <string.h>

struct rob_certificate {
    rob_memory memory;
    char *path;                   /* what error lines call it */
    rob_cert cert;
    rob_check_result proved;
    bool passed;
};

static rob_certificate *make(rob_ctx *ctx, const char *path)
{
    rob_certificate *c = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *c);
    if (c == NULL) return NULL;
    c->memory = c->cert.memory = ctx->memory;
    c->path = rob_priv_copy_text(&ctx->memory, path);
    if (c->path != NULL) return c;
    rob_priv_release(&ctx->memory, c);
    return NULL;
}

rob_status rob_certificate_create(rob_ctx *ctx, const rob_bound *b, rob_query *q,
                                  int64_t i, double radius, rob_certificate **out)
{
    rob_status status = ROB_OK;
    rob_certificate *c = NULL;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(b && q, ctx, ROB_EARGUMENT, "%s is NULL", b ? "query" : "bound");
    CHECK(i >= 0 && i < q->count, ctx, ROB_EARGUMENT,
          "series %lld of the query was asked for; it has %lld, counted from 0",
          (long long)i, (long long)q->count);
    CHECK(radius >= 0, ctx, ROB_EDOMAIN, "radius is %g; it must not be negative", radius);
    CHECK(b->method != ROB_BOUND_ZONOTOPE, ctx, ROB_EUNSUPPORTED,
          "method zonotope writes no certificates; interval, crown, alpha and auto do");
    c = make(ctx, "certificate");
    CHECK(c, ctx, ROB_EMEMORY, "out of memory for a certificate");
    TRY(rob_priv_bound_certificate(ctx, b, q, i, radius, &c->cert));
    CHECK(status == ROB_STOPPED || c->cert.margin > 0, ctx, ROB_EDOMAIN,
          "series %lld: no positive margin is proved at radius %g", (long long)i, radius);
    if (status == ROB_OK) *out = c;
done:
    if (out && *out == NULL) rob_certificate_free(c);
    return ctx ? rob_priv_leave(ctx, status) : status;
}

rob_status rob_certificate_load(rob_ctx *ctx, const char *path, rob_certificate **out)
{
    rob_status status = ROB_OK;
    rob_bytes bytes = { 0 };
    rob_certificate *c = NULL;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(path, ctx, ROB_EARGUMENT, "path is NULL");
    TRY(rob_priv_io_read(ctx, path, ROB_IO_FILE_CAP, &bytes));
    c = make(ctx, path);
    CHECK(c, ctx, ROB_EMEMORY, "out of memory for a certificate");
    TRY(rob_priv_cert_parse(ctx, bytes.at, bytes.count, path, &c->cert));
    *out = c;
done:
    if (ctx) rob_priv_io_release(&ctx->memory, &bytes);
    if (status < ROB_OK) rob_certificate_free(c);
    return status;
}

rob_status rob_certificate_save(rob_ctx *ctx, const rob_certificate *c, const char *path)
{
    rob_status status = ROB_OK;
    rob_bytes bytes = { 0 };
    if (!ctx) return ROB_EARGUMENT;
    CHECK(c && path, ctx, ROB_EARGUMENT, "%s is NULL", c ? "path" : "certificate");
    TRY(rob_priv_cert_print(ctx, &c->cert, &bytes));
    TRY(rob_priv_io_write(ctx, path, &bytes, 1));
done:
    rob_priv_release(&ctx->memory, bytes.at);
    return status;
}

rob_status rob_certificate_check(rob_ctx *ctx, rob_certificate *c, const rob_model *model)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(c && model, ctx, ROB_EARGUMENT, "%s is NULL", c ? "model" : "certificate");
    c->passed = false;
    TRY(rob_priv_check(ctx, model, &c->cert, c->path, &c->proved));
    c->passed = status == ROB_OK;
done:
    return rob_priv_leave(ctx, status);
}

/* ---- by name --------------------------------------------------------------------- */

static double get_margin(const rob_certificate *c) { return c->cert.margin; }
static double get_radius(const rob_certificate *c) { return c->cert.eps; }
static double get_norm(const rob_certificate *c) { return c->cert.norm; }
static double get_steps(const rob_certificate *c) { return (double)c->cert.steps; }
static double get_features(const rob_certificate *c) { return (double)c->cert.features; }
static double get_outputs(const rob_certificate *c) { return (double)c->cert.outputs; }
static double get_rows(const rob_certificate *c) { return (double)c->cert.rows; }
static double get_claims(const rob_certificate *c) { return (double)c->cert.claims; }
static double get_parts(const rob_certificate *c) { return (double)c->cert.parts; }
static double get_proved(const rob_certificate *c) { return c->proved.margin; }
static double get_seconds(const rob_certificate *c) { return c->proved.seconds; }
static double get_planes(const rob_certificate *c) { return (double)c->proved.planes; }
static double get_ranges(const rob_certificate *c) { return (double)c->proved.ranges; }
static double get_swept(const rob_certificate *c) { return (double)c->proved.rows; }

static const struct number {
    const char *name;
    double (*value)(const rob_certificate *c);
    bool proved;                  /* by a check */
} numbers[] = {
    { "margin", get_margin, false },     { "radius", get_radius, false },
    { "norm", get_norm, false },         { "steps", get_steps, false },
    { "features", get_features, false }, { "outputs", get_outputs, false },
    { "rows", get_rows, false },         { "claims", get_claims, false },
    { "parts", get_parts, false },
    { "proved", get_proved, true },      { "seconds", get_seconds, true },
    { "planes", get_planes, true },      { "ranges", get_ranges, true },
    { "swept", get_swept, true },
};

typedef struct list { const char *name; const double *at; int64_t count; } list;

static void copy(const double *from, int64_t count, double *out)
{
    for (int64_t k = 0; k < count; k++) out[k] = from[k];
}

static rob_status give(rob_ctx *ctx, const char *what, int64_t size, int64_t capacity,
                       double *out, int64_t *count)
{
    rob_status status = ROB_OK;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    if (count) *count = size;
done:
    return status;
}

/* Lists; those of the region may be empty. */
static bool find_list(const rob_certificate *c, const char *what, list *out)
{
    const rob_cert *k = &c->cert;
    const int64_t n = k->steps * k->features;
    const list lists[] = {
        { "series", k->x, n },        { "coefficients", k->c, k->rows * k->outputs },
        { "constants", k->b, k->rows }, { "scale", k->scale, n },
        { "low", k->low, n },         { "high", k->high, n },
        { "budgets", k->budget, k->steps },
    };
    for (int64_t i = 0; i < COUNT_OF(lists); i++) {
        if (strcmp(lists[i].name, what) != 0) continue;
        *out = lists[i];
        if (out->at == NULL) out->count = 0;
        return true;
    }
    return false;
}

rob_status rob_certificate_get(rob_ctx *ctx, const rob_certificate *c, const char *what,
                               double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    list found;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(c && what, ctx, ROB_EARGUMENT, "%s is NULL", c ? "what" : "certificate");
    for (int64_t i = 0; i < COUNT_OF(numbers); i++) {
        if (strcmp(numbers[i].name, what) != 0) continue;
        int64_t size = !numbers[i].proved || c->passed;
        TRY(give(ctx, what, size, capacity, out, count));
        if (out && size > 0) *out = numbers[i].value(c);
        goto done;
    }
    if (strcmp(what, "groups") == 0) {
        TRY(give(ctx, what, c->cert.rows, capacity, out, count));
        for (int64_t r = 0; out && r < c->cert.rows; r++) out[r] = c->cert.group[r];
        goto done;
    }
    CHECK(find_list(c, what, &found), ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'; there are margin, radius, norm, steps, features, "
          "outputs, rows, claims, parts, series, coefficients, constants, groups, scale, low, "
          "high, budgets, proved, seconds, planes, ranges, swept", what);
    TRY(give(ctx, what, found.count, capacity, out, count));
    if (out) copy(found.at, found.count, out);
done:
    return status;
}

void rob_certificate_free(rob_certificate *c)
{
    if (!c) return;
    rob_memory memory = c->memory;
    rob_priv_cert_clear(&c->cert);
    rob_priv_release(&memory, c->path);
    rob_priv_release(&memory, c);
}
