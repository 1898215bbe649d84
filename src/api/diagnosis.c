/* diagnosis.c -- the public side of diagnoses: arguments checked, then src/attack. */
#include "attack/diagnose.h"

#include <string.h>

rob_status rob_diagnosis_create(rob_ctx *ctx, rob_diagnosis **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    rob_diagnosis *d = rob_priv_allocate(&ctx->memory, 1, sizeof *d);
    CHECK(d, ctx, ROB_EMEMORY, "out of memory for a diagnosis");
    d->memory = ctx->memory;
    for (int32_t k = 0; k < ROB_D_OPTIONS; k++)
        d->option[k] = rob_priv_diagnosis_option[k].value;
    d->white = "auto";
    d->black = "hopskipjump";
    *out = d;
done:
    return status;
}

rob_status rob_diagnosis_set(rob_ctx *ctx, rob_diagnosis *d, const char *name,
                             double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(d && name, ctx, ROB_EARGUMENT, "%s is NULL", d ? "name" : "diagnosis");
    TRY(rob_priv_option_set(ctx, rob_priv_diagnosis_option, ROB_D_OPTIONS, d->option,
                            name, value));
done:
    return status;
}

rob_status rob_diagnosis_set_text(rob_ctx *ctx, rob_diagnosis *d, const char *name,
                                  const char *value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(d && name && value, ctx, ROB_EARGUMENT, "%s is NULL",
          !d      ? "diagnosis"
          : !name ? "name"
                  : "value");
    bool white = strcmp(name, "white") == 0;
    CHECK(white || strcmp(name, "black") == 0, ctx, ROB_EARGUMENT,
          "no text option '%.40s'; there are: white, black", name);
    const rob_method *m = rob_priv_attack_method(value);
    bool fits = m && m->distance && m->distance != rob_priv_warp_distance;
    CHECK(fits || strcmp(value, "none") == 0, ctx, ROB_EARGUMENT,
          "%s is '%.40s'; allowed is a method that measures distances of single series, "
          "or none",
          name, value);
    *(white ? &d->white : &d->black) = fits ? m->name : NULL;
done:
    return status;
}

rob_status rob_diagnosis_run(rob_ctx *ctx, rob_diagnosis *d, rob_query *q)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(d && q, ctx, ROB_EARGUMENT, "%s is NULL", d ? "query" : "diagnosis");
    CHECK(q->norm != ROB_NORM_L0, ctx, ROB_EUNSUPPORTED,
          "a diagnosis does not know ROB_NORM_L0");
    TRY(rob_priv_diagnosis_run(ctx, d, q));
done:
    return rob_priv_leave(ctx, status);
}

/* column or share by name; NULL: none */
static const double *number_named(const rob_diagnosis *d, const char *what,
                                  int64_t *count)
{
    *count = 1;
    for (int32_t k = 0; k < ROB_SIGNS; k++)
        if (strncmp(what, "share_", 6) == 0
            && strcmp(what + 6, rob_priv_diagnosis_sign[k]) == 0)
            return &d->share[k];
    *count = d->count;
    for (int32_t k = 0; k < ROB_L_COLUMNS; k++)
        if (rob_priv_diagnosis_column[k]
            && strcmp(what, rob_priv_diagnosis_column[k]) == 0)
            return d->column[k];
    return NULL;
}

rob_status rob_diagnosis_get(rob_ctx *ctx, const rob_diagnosis *d, const char *what,
                             int64_t i, double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(d && what, ctx, ROB_EARGUMENT, "%s is NULL", d ? "what" : "diagnosis");
    CHECK(d->ran, ctx, ROB_EARGUMENT, "the diagnosis has not run");
    int64_t have;
    const double *from = number_named(d, what, &have);
    CHECK(from, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'; there are index, saturated, zero, gradient, "
          "agreement, odds, rise, few, many, restarts, white, black, nearest, share_units, "
          "share_gradients, share_loss, share_descent, share_steps, share_restarts, "
          "share_black",
          what);
    bool share = strncmp(what, "share_", 6) == 0;
    CHECK(share || (i >= -1 && i < have), ctx, ROB_EARGUMENT,
          "series %lld was asked for; %lld were looked at, counted from 0 (-1: all)",
          (long long)i, (long long)have);
    int64_t size = share || i >= 0 ? 1 : have;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    if (out && size > 0)
        memcpy(out, from + (share || i < 0 ? 0 : i), (size_t)size * sizeof *out);
    if (count) *count = size;
done:
    return status;
}

const char *rob_diagnosis_warning(const rob_diagnosis *d, int64_t k)
{
    return d && k >= 0 && k < d->warnings ? d->warning[k] : NULL;
}

void rob_diagnosis_free(rob_diagnosis *d)
{
    if (!d) return;
    rob_memory memory = d->memory;
    rob_priv_diagnosis_forget(d);
    rob_priv_release(&memory, d);
}
