/* spectrum.c -- the public side of spectra: arguments checked, then src/spectrum. */
#include "spectrum/spectrum.h"

#include <string.h>

rob_status rob_spectrum_create(rob_ctx *ctx, rob_spectrum **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    rob_spectrum *s = rob_priv_allocate(&ctx->memory, 1, sizeof *s);
    CHECK(s, ctx, ROB_EMEMORY, "out of memory for a spectrum");
    s->memory = ctx->memory;
    for (int k = 0; k < ROB_SPECTRUM_OPTIONS; k++)
        s->option[k] = rob_priv_spectrum_option[k].value;
    *out = s;
done:
    return status;
}

rob_status rob_spectrum_set(rob_ctx *ctx, rob_spectrum *s, const char *name,
                            double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(s && name, ctx, ROB_EARGUMENT, "%s is NULL", s ? "name" : "spectrum");
    TRY(rob_priv_option_set(ctx, rob_priv_spectrum_option, ROB_SPECTRUM_OPTIONS,
                            s->option, name, value));
done:
    return status;
}

rob_status rob_spectrum_extremes(rob_ctx *ctx, rob_spectrum *s, rob_query *q,
                                 double *out, int64_t capacity)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(s && q, ctx, ROB_EARGUMENT, "%s is NULL", s ? "query" : "spectrum");
    CHECK(!out || capacity / 2 >= q->count, ctx, ROB_ESHAPE,
          "capacity is %lld; two numbers for each of %lld series are needed",
          (long long)capacity, (long long)q->count);
    CHECK(s->option[ROB_SPECTRUM_MARGIN] >= 0.5 || q->rows.rows == 0, ctx,
          ROB_EUNSUPPORTED,
          "the cross-entropy needs classes; rows of one's own go with margin 1");
    TRY(rob_priv_spectrum_run(ctx, s, q));
    for (int64_t i = 0; out && i < s->count; i++) {
        out[2 * i] = s->ends[i].low / (s->unit * s->unit);
        out[2 * i + 1] = s->ends[i].high / (s->unit * s->unit);
    }
done:
    return rob_priv_leave(ctx, status);
}

/* ---- answers by name ------------------------------------------------------------- */

/* power of the unit a number is divided by */
static const struct column {
    const char *name;
    size_t place;
    int32_t power;
} columns[] = {
    { "lowest", offsetof(rob_ends, low), 2 },
    { "highest", offsetof(rob_ends, high), 2 },
    { "low_residual", offsetof(rob_ends, low_residual), 2 },
    { "high_residual", offsetof(rob_ends, high_residual), 2 },
    { "value", offsetof(rob_ends, value), 0 },
    { "gradient_norm", offsetof(rob_ends, gradient_norm), 1 },
};

static bool number_named(const rob_spectrum *s, const char *what, int64_t i,
                         double *value)
{
    const rob_ends *e = &s->ends[i];
    for (int64_t k = 0; k < COUNT_OF(columns); k++) {
        if (strcmp(columns[k].name, what) != 0) continue;
        *value = *(const double *)((const char *)e + columns[k].place);
        for (int32_t p = 0; p < columns[k].power; p++) *value /= s->unit;
        return true;
    }
    if (strcmp(what, "steps") == 0) *value = (double)e->steps;
    else if (strcmp(what, "flat") == 0) *value = e->flat;
    else return false;
    return true;
}

/* NULL: no array of that name */
static const double *array_named(const rob_spectrum *s, const char *what, int64_t i,
                                 int64_t *size)
{
    static const double none;
    const rob_ends *e = &s->ends[i];
    *size = e->size;
    if (strcmp(what, "low_vector") == 0) return e->low_vector;
    if (strcmp(what, "high_vector") == 0) return e->high_vector;
    if (strcmp(what, "eigenvalues") != 0) return NULL;
    *size = e->values;
    return e->eigenvalue ? e->eigenvalue : &none;
}

rob_status rob_spectrum_get(rob_ctx *ctx, const rob_spectrum *s, const char *what,
                            int64_t i, double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    double number = 0, factor = 1;
    const double *array = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(s && what, ctx, ROB_EARGUMENT, "%s is NULL", s ? "what" : "spectrum");
    CHECK(i >= -1 && i < s->count, ctx, ROB_EARGUMENT,
          "series %lld was asked for; the spectrum answered for %lld, counted from 0 "
          "(-1: all)",
          (long long)i, (long long)s->count);
    int64_t size = i == -1 ? s->count : 1;
    bool known = s->count == 0 || number_named(s, what, i < 0 ? 0 : i, &number);
    if (!known && i >= 0) array = array_named(s, what, i, &size);
    CHECK(known || array, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'%s; there are lowest, highest, low_residual, "
          "high_residual, steps, value, gradient_norm, flat, and of one series "
          "low_vector, high_vector, eigenvalues",
          what, i < 0 ? " for all series" : "");
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    if (strcmp(what, "eigenvalues") == 0) factor = 1 / (s->unit * s->unit);
    for (int64_t k = 0; out && k < size; k++) {
        if (!array) number_named(s, what, i < 0 ? k : i, &number);
        out[k] = array ? array[k] * factor : number;
    }
    if (count) *count = size;
done:
    return status;
}

void rob_spectrum_free(rob_spectrum *s)
{
    if (!s) return;
    rob_memory memory = s->memory;
    rob_priv_spectrum_forget(s);
    rob_priv_release(&memory, s);
}
