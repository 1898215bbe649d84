/* universal_view.c -- the region of a perturbation that many series share.
 *
 * With views V_i (universal.h), d is allowed when every V_i d is: masks are met
 * together, walls are the nearest of all,
 *     low_k = max over i, t of low - x_{i,t},  k = where (i, t) looks,
 * and the query's default scale, budgets, smoothness, steps and subspace are d's own.
 * Coordinates of a given d in a subspace: the normal equations A'A u = A'd, A = S E.
 * (docs/theory/attack.md, section 8.)
 */
#include "attack/universal.h"

#include "la/la.h"

#include <math.h>
#include <string.h>

/* ---- views ----------------------------------------------------------------------- */

static int64_t seen_at(const rob_common *c, int64_t i, int64_t t)
{
    int64_t at = c->offset[i] + t;
    return (at >= c->region.steps ? at - c->region.steps : at) * c->region.features;
}

void rob_priv_common_place(const rob_common *c, int64_t i, const double *d,
                           double *point)
{
    const rob_case *own = &c->q->cases[i];
    int64_t features = c->region.features;
    for (int64_t t = 0; t < c->steps; t++) {
        const double *from = d + seen_at(c, i, t);
        for (int64_t j = 0; j < features; j++)
            point[t * features + j] = own->x[t * features + j] + from[j];
    }
}

void rob_priv_common_gather(const rob_common *c, int64_t i, const double *grad,
                            double *sum)
{
    int64_t features = c->region.features;
    for (int64_t t = 0; t < c->steps; t++) {
        double *to = sum + seen_at(c, i, t);
        for (int64_t j = 0; j < features; j++) to[j] += grad[t * features + j];
    }
}

void rob_priv_common_shift(rob_common *c, rob_random *random)
{
    for (int64_t i = 0; c->shifts && i < c->q->count; i++)
        c->offset[i] = rob_priv_below(random, c->region.steps);
}

void rob_priv_common_spread(const rob_common *c, const double *u, double *d)
{
    rob_priv_region_move(&c->region, u, d);
}

/* ---- what is allowed ------------------------------------------------------------- */

static void meet(const rob_common *c, int64_t i, int64_t t, int64_t at)
{
    const uint8_t *mask = rob_priv_query_mask_of(c->q, i);
    rob_region r;
    rob_priv_query_region(c->q, i, &r);
    for (int64_t j = 0; j < r.features; j++) {
        int64_t k = t * r.features + j;
        double low, high;
        rob_priv_region_walls(&r, k, &low, &high);
        c->low[at + j] = fmax(c->low[at + j], low);
        c->high[at + j] = fmin(c->high[at + j], high);
        if (mask && !mask[k]) c->may[at + j] = 0;
    }
}

/* masks and walls of all series; under shifts every step meets every other */
static void meet_all(rob_common *c)
{
    int64_t features = c->region.features;
    for (int64_t k = 0; k < c->n; k++) {
        c->may[k] = 1;
        c->low[k] = -INFINITY;
        c->high[k] = INFINITY;
    }
    for (int64_t i = 0; i < c->q->count; i++)
        for (int64_t t = 0; t < c->steps; t++)
            meet(c, i, t, c->shifts ? 0 : seen_at(c, i, t));
    for (int64_t k = features; c->shifts && k < c->n; k++) {
        c->may[k] = c->may[k % features];
        c->low[k] = c->low[k % features];
        c->high[k] = c->high[k % features];
    }
}

static bool own_parts(const rob_case *c)
{
    return c->parts.scale.at || c->parts.budget.at || c->parts.basis;
}

static rob_status check_parts(const rob_common *c, bool moved)
{
    rob_status status = ROB_OK;
    const rob_query *q = c->q;
    bool own = false, masked = false;
    for (int64_t i = 0; i < q->count; i++) {
        own |= own_parts(&q->cases[i]);
        masked |= rob_priv_query_mask_of(q, i) != NULL;
    }
    CHECK(!own && !q->relative, c->ctx, ROB_EUNSUPPORTED,
          "the region has a scale, budgets or a subspace of single series; one "
          "perturbation for all needs the same for all");
    bool whole = q->parts.basis || q->modes > 0 || q->parts.scale.count > 1
                 || q->parts.budget.count > 1 || masked;
    CHECK(!moved || !whole, c->ctx, ROB_EUNSUPPORTED,
          "a mask, a subspace and lists by step are tied to the steps of a series; they "
          "do not go with shift or stride");
done:
    return status;
}

static rob_status same_size(const rob_common *c)
{
    rob_status status = ROB_OK;
    const rob_query *q = c->q;
    int64_t features = c->region.features, n = c->steps * features;
    for (int64_t i = 0; i < q->count; i++)
        CHECK(q->cases[i].steps == c->steps, c->ctx, ROB_ESHAPE,
              "series %lld has %lld numbers; one perturbation for all needs %lld",
              (long long)i, (long long)(q->cases[i].steps * features), (long long)n);
done:
    return status;
}

static rob_status make_room(rob_common *c)
{
    const rob_memory *m = &c->ctx->memory;
    int64_t most = c->n > c->m ? c->n : c->m;
    c->offset = rob_priv_allocate(m, c->q->count, sizeof *c->offset);
    c->origin = rob_priv_allocate(m, c->n, sizeof *c->origin);
    c->low = rob_priv_allocate(m, c->n, sizeof *c->low);
    c->high = rob_priv_allocate(m, c->n, sizeof *c->high);
    c->may = rob_priv_allocate(m, c->n, sizeof *c->may);
    c->d = rob_priv_allocate(m, c->n, sizeof *c->d);
    c->room = most > INT64_MAX / 64 / ROB_REGION_ROOM
                  ? NULL
                  : rob_priv_allocate(m, ROB_REGION_ROOM * most, sizeof *c->room);
    return c->offset && c->origin && c->low && c->high && c->may && c->d && c->room
               ? ROB_OK
               : rob_priv_no_memory(c->ctx);
}

rob_status rob_priv_common_open(rob_ctx *ctx, const rob_attack *a, const rob_query *q,
                                rob_common *c)
{
    rob_status status = ROB_OK;
    rob_region *r = &c->region;
    int64_t stride = (int64_t)rob_priv_attack_option(a, "stride");
    *c = (rob_common){ .ctx = ctx, .a = a, .q = q };
    rob_priv_query_region(q, 0, r);
    c->shifts = rob_priv_attack_option(a, "shift") > 0;
    c->steps = r->steps;
    CHECK(!c->shifts || stride == 0, ctx, ROB_EARGUMENT,
          "options shift and stride are both set; windows of one recording have their "
          "places");
    CHECK(stride < (INT64_MAX / 64 - c->steps) / q->count / r->features, ctx,
          ROB_EARGUMENT, "stride is %lld; %lld windows would be too long a recording",
          (long long)stride, (long long)q->count);
    TRY(same_size(c));
    TRY(check_parts(c, c->shifts || stride > 0));
    r->steps += stride * (q->count - 1);
    c->n = r->n = r->steps * r->features;
    c->m = r->basis ? r->m : c->n;
    r->m = c->m;
    TRY(make_room(c));
    for (int64_t i = 0; i < q->count; i++) c->offset[i] = i * stride;
    meet_all(c);
    r->x = c->origin;
    r->mask = c->may;
    bool walls = r->low.at || r->high.at;
    for (int64_t i = 1; i < q->count && !walls; i++)
        walls = q->cases[i].parts.low.at || q->cases[i].parts.high.at;
    r->low = walls ? (rob_list){ c->low, c->n } : (rob_list){ 0 };
    r->high = walls ? (rob_list){ c->high, c->n } : (rob_list){ 0 };
    c->cap = fmin(r->radius, rob_priv_region_reach(r) * (1 + 0x1p-40));
    CHECK(isfinite(c->cap), ctx, ROB_EARGUMENT,
          "the ball's radius is infinite; a perturbation for all needs a finite one "
          "(rob_query_set_ball)");
done:
    return status;
}

void rob_priv_common_free(rob_common *c)
{
    if (!c->ctx) return;
    const rob_memory *m = &c->ctx->memory;
    void *const all[] = { c->offset, c->origin, c->low, c->high,
                          c->may,    c->d,      c->room };
    for (int64_t k = 0; k < COUNT_OF(all); k++) rob_priv_release(m, all[k]);
}

/* ---- a perturbation that is given ------------------------------------------------ */

/* u (m) of least squares: A'A u = A'd */
static rob_status coordinates_of(rob_common *c, const double *d, double *u)
{
    rob_status status = ROB_OK;
    const rob_region *r = &c->region;
    int64_t m = c->m;
    double *normal = rob_priv_allocate(&c->ctx->memory, m * m, sizeof *normal);
    if (!normal) return rob_priv_no_memory(c->ctx);
    memset(u, 0, (size_t)m * sizeof *u);
    for (int64_t k = 0; k < c->n; k++) {
        double s = rob_priv_region_scale(r, k);
        const double *row = r->basis + k * m;
        for (int64_t p = 0; s != 0 && p < m; p++) {
            u[p] += s * row[p] * d[k];
            for (int64_t q = 0; q < m; q++) normal[p * m + q] += s * s * row[p] * row[q];
        }
    }
    CHECK(rob_priv_la_solve(&c->ctx->memory, m, normal, u) == ROB_OK, c->ctx,
          ROB_ENUMERIC, "the subspace's columns are linearly dependent; delta has no "
                        "coordinates of its own");
done:
    rob_priv_release(&c->ctx->memory, normal);
    return status;
}

static rob_status in_subspace(rob_common *c, const double *d, const double *u)
{
    rob_status status = ROB_OK;
    double size = rob_priv_norm(ROB_NORM_LINF, d, c->n);
    rob_priv_common_spread(c, u, c->d);
    /* float32 numbers of d are as near as 2^-24 */
    for (int64_t k = 0; k < c->n; k++)
        CHECK(fabs(c->d[k] - d[k]) <= 1e-6 * size, c->ctx, ROB_EDOMAIN,
              "delta, number %lld, lies outside the subspace by %g", (long long)k,
              fabs(c->d[k] - d[k]));
done:
    return status;
}

static rob_status masks_hold(const rob_common *c, const double *d)
{
    rob_status status = ROB_OK;
    for (int64_t i = 0; i < c->q->count; i++) {
        const uint8_t *mask = rob_priv_query_mask_of(c->q, i);
        for (int64_t k = 0; mask && k < c->n; k++)
            CHECK(mask[k] || d[k] == 0, c->ctx, ROB_EDOMAIN,
                  "delta moves number %lld, which the mask of series %lld holds",
                  (long long)k, (long long)i);
    }
done:
    return status;
}

/* A hair of the radius is forgiven to other units. */
rob_status rob_priv_common_inside(rob_common *c, const double *d, double *length)
{
    rob_status status = ROB_OK;
    double *u = c->room, *rest = u + c->m;
    TRY(masks_hold(c, d));
    if (c->region.basis) {
        TRY(coordinates_of(c, d, u));
        TRY(in_subspace(c, d, u));
    } else {
        rob_priv_region_back(&c->region, d, u);
    }
    *length = rob_priv_norm(c->q->norm, u, c->m);
    CHECK(*length <= c->cap * (1 + 1e-12), c->ctx, ROB_EDOMAIN,
          "delta has norm %g; the query's ball has radius %g in units of the series",
          *length, c->cap);
    /* float32 numbers again; the scratch of holds lies behind u */
    for (int64_t k = 0; c->region.basis && k < c->m; k++) u[k] *= 1 - 1e-6;
    for (int64_t k = 0; !c->region.basis && k < c->m; k++) u[k] *= 1 - 1e-12;
    CHECK(rob_priv_region_holds(&c->region, u, rest), c->ctx, ROB_EDOMAIN,
          "delta leaves the region: its box, budgets, smoothness or number of steps");
done:
    return status;
}
