/* attack.c -- the public side of attacks: arguments checked, then src/attack. */
#include "attack/attack.h"
#include "sample/closed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

rob_status rob_attack_create(rob_ctx *ctx, const char *method, rob_attack **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(method, ctx, ROB_EARGUMENT, "method is NULL");
    const rob_method *m = rob_priv_attack_method(method);
    CHECK(m, ctx, ROB_EARGUMENT,
          "method is '%.40s'; allowed are fgsm, pgd, deepfool, ddn, fmn, cw, "
          "ead, fab, auto, hopskipjump, boundary, warp, universal",
          method);
    rob_attack *a = rob_priv_allocate(&ctx->memory, 1, sizeof *a);
    CHECK(a, ctx, ROB_EMEMORY, "out of memory for an attack");
    a->memory = ctx->memory;
    a->method = m;
    for (int64_t k = 0; k < m->options; k++) a->option[k] = m->option[k].value;
    *out = a;
done:
    return status;
}

rob_status rob_attack_set(rob_ctx *ctx, rob_attack *a, const char *name, double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(a && name, ctx, ROB_EARGUMENT, "%s is NULL", a ? "name" : "attack");
    TRY(rob_priv_option_set(ctx, a->method->option, a->method->options, a->option, name,
                            value));
done:
    return status;
}

rob_status rob_attack_set_text(rob_ctx *ctx, rob_attack *a, const char *name,
                               const char *value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(a && name && value, ctx, ROB_EARGUMENT, "%s is NULL",
          !a      ? "attack"
          : !name ? "name"
                  : "value");
    CHECK(strcmp(name, "loss") == 0, ctx, ROB_EARGUMENT,
          "no text option '%.40s'; there is: loss", name);
    int32_t loss = rob_priv_loss_named(value);
    CHECK(loss >= 0, ctx, ROB_EARGUMENT,
          "loss is '%.40s'; allowed are margin, ce, dlr", value);
    CHECK(loss == 0 || a->method->takes_loss, ctx, ROB_EARGUMENT,
          "loss %s is for fgsm, pgd, apgd, ddn and fmn; %s descends on the margin", value,
          a->method->name);
    a->loss = loss;
done:
    return status;
}

/* ROB_EUNSUPPORTED when the method does not search in the query's norm */
static rob_status check_norm(rob_ctx *ctx, const rob_method *m, int32_t norm)
{
    rob_status status = ROB_OK;
    char others[160] = "";
    size_t at = 0;
    int64_t count;
    const char *name = norm == ROB_NORM_L0   ? "ROB_NORM_L0"
                       : norm == ROB_NORM_L1 ? "ROB_NORM_L1"
                       : norm == ROB_NORM_L2 ? "ROB_NORM_L2"
                                             : "ROB_NORM_LINF";
    const rob_method *all = rob_priv_attack_methods(&count);
    for (int64_t k = 0; k < count; k++)
        if (all[k].distance && rob_priv_method_takes(&all[k], norm)
            && at + strlen(all[k].name) + 3 < sizeof others)
            at += (size_t)snprintf(others + at, sizeof others - at, " %s", all[k].name);
    CHECK(rob_priv_method_takes(m, norm), ctx, ROB_EUNSUPPORTED,
          "method %s does not search in %s; these do:%s", m->name, name, others);
done:
    return status;
}

static rob_status run(rob_ctx *ctx, rob_attack *a, rob_query *q, bool at_radius,
                      double *out, int64_t capacity)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(a && q, ctx, ROB_EARGUMENT, "%s is NULL", a ? "query" : "attack");
    CHECK(a->method->distance, ctx, ROB_EUNSUPPORTED,
          "%s moves all series alike; it runs by rob_attack_universal",
          a->method->name);
    CHECK(!out || capacity >= q->count, ctx, ROB_ESHAPE,
          "capacity is %lld; the query has %lld series", (long long)capacity,
          (long long)q->count);
    bool warp = strcmp(a->method->name, "warp") == 0;
    CHECK(!at_radius || warp || isfinite(q->radius) || isfinite(rob_priv_query_reach(q)), ctx,
          ROB_EARGUMENT,
          "the ball's radius is infinite; a margin needs a finite one "
          "(rob_query_set_ball)");
    if (!warp) TRY(check_norm(ctx, a->method, q->norm));
    CHECK(a->loss == 0 || q->rows.rows == 0, ctx, ROB_EUNSUPPORTED,
          "loss %s needs classes; rows of one's own go with loss margin",
          rob_priv_loss_name(a->loss));
    TRY(rob_priv_attack_run(ctx, a, q, at_radius));
    for (int64_t i = 0; out && i < a->count; i++)
        out[i] = at_radius ? a->found[i].margin : a->found[i].distance * a->unit;
done:
    return rob_priv_leave(ctx, status);
}

rob_status rob_attack_distance(rob_ctx *ctx, rob_attack *a, rob_query *q, double *upper,
                               int64_t capacity)
{
    return run(ctx, a, q, false, upper, capacity);
}

rob_status rob_attack_margin(rob_ctx *ctx, rob_attack *a, rob_query *q, double *margin,
                             int64_t capacity)
{
    return run(ctx, a, q, true, margin, capacity);
}

/* ---- one perturbation for all ---------------------------------------------------- */

static rob_status check_universal(rob_ctx *ctx, const rob_attack *a, const rob_query *q)
{
    rob_status status = ROB_OK;
    CHECK(a && q, ctx, ROB_EARGUMENT, "%s is NULL", a ? "query" : "attack");
    CHECK(!a->method->distance, ctx, ROB_EUNSUPPORTED,
          "method %s moves each series by itself; \"universal\" is needed",
          a->method->name);
    CHECK(q->count > 0, ctx, ROB_ESHAPE, "the query has no series");
    CHECK(q->norm != ROB_NORM_L0, ctx, ROB_EUNSUPPORTED,
          "method universal does not search in ROB_NORM_L0");
done:
    return status;
}

static void keep_universal(rob_attack *a, double *delta, int64_t n)
{
    rob_priv_release(&a->memory, a->universal);
    a->universal = delta;
    a->universal_size = n;
}

rob_status rob_attack_universal(rob_ctx *ctx, rob_attack *a, rob_query *q,
                                double *delta, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK, ended;
    double *found = NULL;
    int64_t n;
    if (!ctx) return ROB_EARGUMENT;
    TRY(check_universal(ctx, a, q));
    int64_t windows = (int64_t)rob_priv_attack_option(a, "stride") * (q->count - 1);
    int64_t size = (q->cases[0].steps + windows) * q->model->recipe.features;
    CHECK(!delta || capacity >= size, ctx, ROB_ESHAPE,
          "capacity is %lld; the perturbation has %lld numbers", (long long)capacity,
          (long long)size);
    TRY(rob_priv_universal_find(ctx, a, q, &found, &n));
    ended = status;
    TRY(rob_priv_universal_judge(ctx, a, q, found, n));
    status = ended;
    if (delta) memcpy(delta, found, (size_t)n * sizeof *delta);
    if (count) *count = n;
    keep_universal(a, found, n);
    found = NULL;
done:
    if (found) rob_priv_release(&a->memory, found);
    return rob_priv_leave(ctx, status);
}

rob_status rob_attack_transfer(rob_ctx *ctx, rob_attack *a, rob_query *q,
                               const double *delta, int64_t count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(delta, ctx, ROB_EARGUMENT, "delta is NULL");
    TRY(check_universal(ctx, a, q));
    for (int64_t i = 0; i < count; i++)
        CHECK(isfinite(delta[i]), ctx, ROB_EDOMAIN, "delta, number %lld: not finite",
              (long long)i);
    TRY(rob_priv_universal_judge(ctx, a, q, delta, count));
done:
    return rob_priv_leave(ctx, status);
}

/* fooled, of how many, share, and Clopper and Pearson's interval */
static void fooled_share(const rob_attack *a, double *out)
{
    double low = -INFINITY, high = 0;
    if (a->judged > 0)
        rob_priv_binomial_interval(
            a->fooled, a->judged, rob_priv_attack_option(a, "confidence"), &low, &high);
    out[0] = (double)a->fooled;
    out[1] = (double)a->judged;
    out[2] = a->judged > 0 ? out[0] / out[1] : NAN;
    out[3] = exp(low);
    out[4] = exp(high);
}

static rob_status get_universal(rob_ctx *ctx, const rob_attack *a, bool fooled,
                                double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    double share[5] = { 0 };
    CHECK(!a->method->distance, ctx, ROB_EARGUMENT,
          "universal and fooled are of method \"universal\", not of %s",
          a->method->name);
    int64_t size = fooled ? 5 : a->universal_size;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; there are %lld",
          (long long)capacity, (long long)size);
    if (fooled) fooled_share(a, share);
    if (out && size > 0)
        memcpy(out, fooled ? share : a->universal, (size_t)size * sizeof *out);
    if (count) *count = size;
done:
    return status;
}

/* ---- results by name ------------------------------------------------------------- */

static double get_distance(const rob_attack *a, int64_t i)
{
    return a->found[i].distance * a->unit;
}
static double get_margin(const rob_attack *a, int64_t i) { return a->found[i].margin; }
static double get_calls(const rob_attack *a, int64_t i)
{
    return (double)a->found[i].calls;
}
static double get_residual(const rob_attack *a, int64_t i)
{
    return a->found[i].residual;
}
static double get_factor(const rob_attack *a, int64_t i) { return a->found[i].factor; }
static double get_source(const rob_attack *a, int64_t i) { return a->found[i].source; }
static double get_closest(const rob_attack *a, int64_t i)
{
    return (double)a->found[i].closest;
}
/* what x itself is away from its own forecast is rounding */
static double get_deviation(const rob_attack *a, int64_t i)
{
    double deviation = a->tolerance - a->found[i].margin;
    return deviation < 0 ? 0 : deviation;
}
static double get_found(const rob_attack *a, int64_t i) { return a->found[i].found; }

static const struct column {
    const char *name;
    double (*value)(const rob_attack *a, int64_t i);
} columns[] = {
    { "distance", get_distance },
    { "margin", get_margin },
    { "calls", get_calls },
    { "found", get_found },
    { "residual", get_residual },
    { "factor", get_factor },
    { "source", get_source },
    { "closest", get_closest },
    { "deviation", get_deviation },
};

static const struct column *column_named(const char *name)
{
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
        if (strcmp(columns[k].name, name) == 0) return &columns[k];
    return NULL;
}

/* tau_t - t of every step */
static rob_status get_warp(rob_ctx *ctx, const rob_attack *a, int64_t i, double *out,
                           int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    CHECK(i >= 0 && i < a->count && a->found[i].warp, ctx, ROB_EARGUMENT,
          "series %lld was asked for; method warp answered for %lld, counted from 0",
          (long long)i,
          (long long)(strcmp(a->method->name, "warp") == 0 ? a->count : 0));
    int64_t size = a->found[i].steps;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; warp has %lld",
          (long long)capacity, (long long)size);
    if (out) memcpy(out, a->found[i].warp, (size_t)size * sizeof *out);
    if (count) *count = size;
done:
    return status;
}

rob_status rob_attack_get(rob_ctx *ctx, const rob_attack *a, const char *what,
                          int64_t i, double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(a && what, ctx, ROB_EARGUMENT, "%s is NULL", a ? "what" : "attack");
    bool fooled = strcmp(what, "fooled") == 0;
    if (fooled || strcmp(what, "universal") == 0)
        return get_universal(ctx, a, fooled, out, capacity, count);
    const struct column *column = column_named(what);
    bool point = strcmp(what, "point") == 0, moved = strcmp(what, "perturbation") == 0;
    if (strcmp(what, "warp") == 0) return get_warp(ctx, a, i, out, capacity, count);
    CHECK(column || point || moved, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'; there are distance, margin, calls, found, "
          "residual, factor, source, closest, deviation, point, perturbation, warp, universal, fooled",
          what);
    CHECK((i >= 0 && i < a->count) || (i == -1 && column), ctx, ROB_EARGUMENT,
          "series %lld was asked for; the attack answered for %lld, counted from 0%s",
          (long long)i, (long long)a->count, column ? " (-1: all)" : "");
    int64_t size = !column ? a->found[i].size : i == -1 ? a->count : 1;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    for (int64_t k = 0; out && k < size; k++) {
        if (column) out[k] = column->value(a, i == -1 ? k : i);
        else out[k] = a->found[i].point[k] - (moved ? a->x[a->offset[i] + k] : 0);
    }
    if (count) *count = size;
done:
    return status;
}

void rob_attack_free(rob_attack *a)
{
    if (!a) return;
    rob_memory memory = a->memory;
    rob_priv_attack_forget(a);
    rob_priv_release(&memory, a->universal);
    rob_priv_release(&memory, a);
}
