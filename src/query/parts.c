/* parts.c -- what is set of a region: kept, checked against the series, looked up.
 *
 * A list of c numbers stands for (T, D) ones, number k being k mod c: c is 1, D or T D
 * (budgets: 1 or T). A band limit of m modes is the subspace of the lowest cosines of
 * each feature, orthonormal (DCT-II):
 *     E_{(t,j),(k,j)} = sqrt((2 - [k = 0])/T) cos(pi k (2 t + 1)/(2 T)),  k < m.
 * (docs/theory/query.md, section 4.)
 */
#include "query/query.h"

#include <math.h>
#include <string.h>

void rob_priv_parts_free(const rob_memory *m, rob_parts *p)
{
    rob_priv_release(m, p->scale.at);
    rob_priv_release(m, p->low.at);
    rob_priv_release(m, p->high.at);
    rob_priv_release(m, p->budget.at);
    rob_priv_tensor_free(p->basis);
    *p = (rob_parts){ 0 };
}

/* ---- looking up ------------------------------------------------------------------ */

static rob_list chosen(rob_list own, rob_list all) { return own.at ? own : all; }

void rob_priv_query_region(const rob_query *q, int64_t i, rob_region *out)
{
    const rob_case *c = &q->cases[i];
    const rob_tensor *basis = c->parts.basis ? c->parts.basis
                              : c->band      ? c->band
                                             : q->parts.basis;
    double unit = rob_priv_query_unit(q);
    int64_t features = q->model->recipe.features, n = c->steps * features;
    *out = (rob_region){ .x = c->x,
                         .mask = rob_priv_query_mask_of(q, i),
                         .steps = c->steps,
                         .features = features,
                         .n = n,
                         .m = basis ? basis->shape.dim[1] : n,
                         .norm = q->norm,
                         .radius = rob_priv_query_radius(q),
                         .unit = unit,
                         .scale = chosen(c->parts.scale, q->parts.scale),
                         .low = chosen(c->parts.low, q->parts.low),
                         .high = chosen(c->parts.high, q->parts.high),
                         .budget = chosen(c->parts.budget, q->parts.budget),
                         .relative = q->relative,
                         .basis = basis ? basis->data : NULL,
                         .variation = q->variation / unit,
                         .difference = q->difference / unit,
                         .most = q->most_steps };
}

double rob_priv_query_reach(const rob_query *q)
{
    double reach = 0;
    rob_region r;
    for (int64_t i = 0; i < q->count; i++) {
        rob_priv_query_region(q, i, &r);
        reach = fmax(reach, rob_priv_region_reach(&r));
    }
    return reach;
}

int32_t rob_priv_query_parts(const rob_query *q)
{
    int32_t parts = q->norm == ROB_NORM_L0 ? ROB_PART_COUNT : 0;
    rob_region r;
    for (int64_t i = 0; i < q->count; i++) {
        rob_priv_query_region(q, i, &r);
        parts |= rob_priv_region_parts(&r);
    }
    return parts;
}

static const char *name_of(int32_t part)
{
    static const char *const name[] = { "a scale", "a box", "budgets", "a subspace",
                                        "a bound on variation or differences",
                                        "a bound on the number of steps",
                                        "the norm ROB_NORM_L0" };
    int32_t k = 0;
    while ((part >>= 1) != 0) k++;
    return name[k];
}

rob_status rob_priv_query_knows(rob_ctx *ctx, const rob_query *q, int32_t known,
                                const char *who)
{
    rob_status status = ROB_OK;
    int32_t unknown = rob_priv_query_parts(q) & ~known;
    CHECK(unknown == 0, ctx, ROB_EUNSUPPORTED, "the region has %s; %s does not know it",
          name_of(unknown & -unknown), who);
done:
    return status;
}

rob_status rob_priv_query_agrees(rob_ctx *ctx, const rob_query *q)
{
    rob_status status = ROB_OK;
    int32_t parts = rob_priv_query_parts(q);
    bool both = (parts & ROB_PART_SUBSPACE) && (parts & ROB_PART_STEPS);
    CHECK(!both, ctx, ROB_EUNSUPPORTED,
          "the region has a subspace and a bound on the number of steps; one of the two "
          "may be set");
    CHECK(q->norm != ROB_NORM_L0 || !(parts & (ROB_PART_BUDGET | ROB_PART_SUBSPACE)),
          ctx, ROB_EUNSUPPORTED,
          "ROB_NORM_L0 counts numbers; it goes with no budgets and no subspace");
done:
    return status;
}

/* ---- checks ---------------------------------------------------------------------- */

static rob_status list_fits(rob_ctx *ctx, const char *what, const rob_list *l,
                            int64_t i, int64_t steps, int64_t features)
{
    rob_status status = ROB_OK;
    bool fits = l->count == 1 || l->count == features || l->count == steps * features;
    CHECK(!l->at || fits, ctx, ROB_ESHAPE,
          "%s has %lld numbers; series %lld takes 1, %lld (one a feature) or %lld (all)",
          what, (long long)l->count, (long long)i, (long long)features,
          (long long)(steps * features));
done:
    return status;
}

static rob_status box_holds(rob_ctx *ctx, const rob_list *low, const rob_list *high,
                            int64_t i, const double *x, int64_t n, int64_t features)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < n; k++) {
        double lo = low->at ? low->at[k % low->count] : -INFINITY;
        double up = high->at ? high->at[k % high->count] : INFINITY;
        CHECK(x[k] >= lo && x[k] <= up, ctx, ROB_EDOMAIN,
              "series %lld, step %lld, feature %lld is %g; the box is %g to %g",
              (long long)i, (long long)(k / features), (long long)(k % features), x[k],
              lo, up);
    }
done:
    return status;
}

static rob_status basis_fits(rob_ctx *ctx, const rob_tensor *basis, int64_t i,
                             int64_t n)
{
    rob_status status = ROB_OK;
    CHECK(!basis || basis->shape.dim[0] == n, ctx, ROB_ESHAPE,
          "the subspace has %lld rows; series %lld has %lld numbers",
          (long long)(basis ? basis->shape.dim[0] : 0), (long long)i, (long long)n);
done:
    return status;
}

rob_status rob_priv_query_fits(rob_ctx *ctx, const rob_query *q, int64_t i,
                               const rob_parts *own, const double *x, int64_t steps)
{
    rob_status status = ROB_OK;
    int64_t features = q->model->recipe.features, n = steps * features;
    rob_list scale = chosen(own->scale, q->parts.scale),
             low = chosen(own->low, q->parts.low),
             high = chosen(own->high, q->parts.high),
             budget = chosen(own->budget, q->parts.budget);
    TRY(list_fits(ctx, "scale", &scale, i, steps, features));
    TRY(list_fits(ctx, "low", &low, i, steps, features));
    TRY(list_fits(ctx, "high", &high, i, steps, features));
    CHECK(!budget.at || budget.count == 1 || budget.count == steps, ctx, ROB_ESHAPE,
          "budget has %lld numbers; series %lld takes 1 or %lld (one a step)",
          (long long)budget.count, (long long)i, (long long)steps);
    TRY(box_holds(ctx, &low, &high, i, x, n, features));
    TRY(basis_fits(ctx, own->basis ? own->basis : q->parts.basis, i, n));
done:
    return status;
}

/* every series concerned fits when `set` stands in the query or in series i */
static rob_status all_fit(rob_ctx *ctx, rob_query *q, int64_t i, const rob_parts *set)
{
    rob_status status = ROB_OK;
    rob_parts before = q->parts;
    if (i < 0) q->parts = *set;
    for (int64_t k = 0; k < q->count && status >= ROB_OK; k++) {
        const rob_case *c = &q->cases[k];
        if (i >= 0 && k != i) continue;
        status = rob_priv_query_fits(ctx, q, k, i >= 0 ? set : &c->parts, c->x,
                                     c->steps);
    }
    q->parts = before;
    return status;
}

/* ---- setting --------------------------------------------------------------------- */

static rob_status copy_list(rob_ctx *ctx, const rob_query *q, const char *what,
                            const double *from, int64_t count, double least,
                            bool infinite, rob_list *to)
{
    rob_status status = ROB_OK;
    *to = (rob_list){ 0 };
    if (!from) return ROB_OK;
    for (int64_t k = 0; k < count; k++)
        CHECK(from[k] >= least && (infinite || isfinite(from[k])), ctx, ROB_EDOMAIN,
              "%s[%lld] is %g; allowed is %s", what, (long long)k, from[k],
              least < 0  ? "any number but NaN"
              : infinite ? "0 to INFINITY"
                         : "0 to the largest double");
    to->at = rob_priv_allocate(&q->memory, count, sizeof *to->at);
    CHECK(to->at, ctx, ROB_EMEMORY, "out of memory for %s", what);
    memcpy(to->at, from, (size_t)count * sizeof *from);
    to->count = count;
done:
    return status;
}

static rob_parts *place_of(rob_query *q, int64_t i)
{
    return i < 0 ? &q->parts : &q->cases[i].parts;
}

static void put_list(rob_query *q, rob_list *place, rob_list *fresh)
{
    rob_list old = *place;
    *place = *fresh;
    *fresh = old;
    rob_priv_query_forget(q);
}

rob_status rob_priv_query_scale(rob_ctx *ctx, rob_query *q, int64_t i,
                                const double *scale, int64_t count)
{
    rob_status status = ROB_OK;
    rob_list fresh;
    TRY(copy_list(ctx, q, "scale", scale, count, 0, false, &fresh));
    rob_parts set = *place_of(q, i);
    set.scale = fresh;
    TRY(all_fit(ctx, q, i, &set));
    put_list(q, &place_of(q, i)->scale, &fresh);
done:
    rob_priv_release(&q->memory, fresh.at);
    return status;
}

rob_status rob_priv_query_box(rob_ctx *ctx, rob_query *q, int64_t i, const double *low,
                              const double *high, int64_t count)
{
    rob_status status = ROB_OK;
    rob_list from = { 0 }, to = { 0 };
    TRY(copy_list(ctx, q, "low", low, count, -INFINITY, true, &from));
    TRY(copy_list(ctx, q, "high", high, count, -INFINITY, true, &to));
    rob_parts set = *place_of(q, i);
    set.low = from;
    set.high = to;
    TRY(all_fit(ctx, q, i, &set));
    put_list(q, &place_of(q, i)->low, &from);
    put_list(q, &place_of(q, i)->high, &to);
done:
    rob_priv_release(&q->memory, from.at);
    rob_priv_release(&q->memory, to.at);
    return status;
}

rob_status rob_priv_query_budget(rob_ctx *ctx, rob_query *q, int64_t i,
                                 const double *budget, int64_t count)
{
    rob_status status = ROB_OK;
    rob_list fresh;
    TRY(copy_list(ctx, q, "budget", budget, count, 0, true, &fresh));
    rob_parts set = *place_of(q, i);
    set.budget = fresh;
    TRY(all_fit(ctx, q, i, &set));
    put_list(q, &place_of(q, i)->budget, &fresh);
done:
    rob_priv_release(&q->memory, fresh.at);
    return status;
}

/* ---- subspaces ------------------------------------------------------------------- */

static rob_status new_basis(rob_ctx *ctx, const rob_query *q, int64_t rows,
                            int64_t columns, rob_tensor **out)
{
    rob_status status = ROB_OK;
    *out = NULL;
    CHECK(rob_priv_tensor_create(&q->memory, ROB_F64, rob_priv_shape2(rows, columns),
                                 out)
              == ROB_OK,
          ctx, ROB_EMEMORY, "out of memory for a subspace of %lld x %lld",
          (long long)rows, (long long)columns);
done:
    return status;
}

static void drop_bands(rob_query *q)
{
    for (int64_t k = 0; k < q->count; k++) {
        rob_priv_tensor_free(q->cases[k].band);
        q->cases[k].band = NULL;
    }
    q->modes = 0;
}

rob_status rob_priv_query_subspace(rob_ctx *ctx, rob_query *q, int64_t i,
                                   const double *e, int64_t rows, int64_t columns)
{
    rob_status status = ROB_OK;
    rob_tensor *fresh = NULL;
    if (e) {
        for (int64_t k = 0; k < rows * columns; k++)
            CHECK(isfinite(e[k]), ctx, ROB_EDOMAIN,
                  "e, row %lld, column %lld is not finite", (long long)(k / columns),
                  (long long)(k % columns));
        TRY(new_basis(ctx, q, rows, columns, &fresh));
        memcpy(fresh->data, e, (size_t)(rows * columns) * sizeof *e);
    }
    rob_parts *place = place_of(q, i), set = *place;
    set.basis = fresh;
    TRY(all_fit(ctx, q, i, &set));
    rob_tensor *old = place->basis;
    place->basis = fresh;
    fresh = old;
    if (i < 0) drop_bands(q);
    rob_priv_query_forget(q);
done:
    rob_priv_tensor_free(fresh);
    return status;
}

static void fill_cosines(double *e, int64_t steps, int64_t features, int64_t modes)
{
    const double pi = 3.14159265358979323846;
    double length = (double)steps;
    for (int64_t t = 0; t < steps; t++)
        for (int64_t j = 0; j < features; j++)
            for (int64_t k = 0; k < modes; k++) {
                double angle = pi * (double)k * (double)(2 * t + 1) / (2 * length);
                double size = sqrt((k == 0 ? 1 : 2) / length);
                e[(t * features + j) * modes * features + k * features + j] =
                    size * cos(angle);
            }
}

rob_status rob_priv_query_band_of(rob_ctx *ctx, const rob_query *q, int64_t steps,
                                  rob_tensor **out)
{
    rob_status status = ROB_OK;
    int64_t d = q->model->recipe.features, modes = q->modes < steps ? q->modes : steps;
    *out = NULL;
    if (q->modes == 0) return ROB_OK;
    for (int64_t k = 0; k < q->count && !*out; k++)
        if (q->cases[k].steps == steps && q->cases[k].band
            && q->cases[k].band->shape.dim[1] == modes * d)
            *out = rob_priv_tensor_keep(q->cases[k].band);
    if (*out) return ROB_OK;
    TRY(new_basis(ctx, q, steps * d, modes * d, out));
    fill_cosines((*out)->data, steps, d, modes);
done:
    return status;
}

rob_status rob_priv_query_band(rob_ctx *ctx, rob_query *q, int64_t modes)
{
    rob_status status = ROB_OK;
    int64_t before = q->modes, done = 0;
    rob_tensor **fresh = rob_priv_allocate(&q->memory, q->count + 1, sizeof *fresh);
    if (!fresh) return rob_priv_no_memory(ctx);
    q->modes = modes;
    for (; done < q->count; done++) {
        for (int64_t k = 0; k < done && !fresh[done]; k++)
            if (q->cases[k].steps == q->cases[done].steps)
                fresh[done] = rob_priv_tensor_keep(fresh[k]);
        if (fresh[done]) continue;
        TRY(rob_priv_query_band_of(ctx, q, q->cases[done].steps, &fresh[done]));
    }
    for (int64_t k = 0; k < q->count; k++) {
        rob_tensor *old = q->cases[k].band;
        q->cases[k].band = fresh[k];
        fresh[k] = old;
    }
    rob_priv_tensor_free(q->parts.basis);
    q->parts.basis = NULL;
    rob_priv_query_forget(q);
done:
    if (status < ROB_OK) q->modes = before;
    for (int64_t k = 0; k < done; k++) rob_priv_tensor_free(fresh[k]);
    rob_priv_release(&q->memory, fresh);
    return status;
}
