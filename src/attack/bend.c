/* bend.c -- products with the Hessian of a margin, in the coordinates of a region.
 *
 * d = A u, A = M S E (query/region.h): H v = A' (Hess F) (A v), F the row of the
 * specification that decides at the point. Leaving out a unit vector n and the numbers
 * that are held, P the projection on what remains,
 *     B v = P H P v + c (v - P v),
 * whose spectrum is that of H on the range of P, and c: with c inside the former's range
 * both ends are the former's.
 */
#include "attack/bend.h"

#include "la/la.h"

#include <math.h>
#include <string.h>

enum { VECTORS = 5 };

static rob_status make_room(rob_bend *b, int64_t n)
{
    const rob_memory *m = &b->ctx->memory;
    if (n > b->capacity) {
        rob_priv_release(m, b->arena);
        b->capacity = 0;
        b->arena = rob_priv_allocate(m, n, (VECTORS + ROB_REGION_ROOM) * sizeof *b->arena);
        if (!b->arena) return rob_priv_no_memory(b->ctx);
        b->capacity = n;
    }
    b->full = b->arena;
    b->image = b->full + b->capacity;
    b->slope = b->image + b->capacity;
    b->normal = b->slope + b->capacity;
    b->keep = b->normal + b->capacity;
    b->room = b->keep + b->capacity;
    if (!b->logits)
        b->logits = rob_priv_allocate(m, b->model->recipe.outputs, sizeof *b->logits);
    return b->logits ? ROB_OK : rob_priv_no_memory(b->ctx);
}

rob_status rob_priv_bend_open(rob_hunt *h, int64_t series, rob_bend *b)
{
    rob_status status = ROB_OK;
    b->ctx = h->ctx;
    b->model = h->q->model;
    b->products = 0;
    rob_priv_query_region(h->q, series, &b->region);
    const rob_region *r = &b->region;
    TRY(make_room(b, r->n > r->m ? r->n : r->m));
    if (b->local && !rob_priv_local_fits(b->local, b->ctx, b->model, r->steps, false)) {
        rob_priv_local_free(b->local);
        b->local = NULL;
    }
    if (!b->local)
        TRY(rob_priv_local_create(b->ctx, b->model, r->steps, false, &b->local));
done:
    return status;
}

void rob_priv_bend_close(rob_bend *b)
{
    if (!b->ctx) return;
    rob_priv_local_free(b->local);
    rob_priv_release(&b->ctx->memory, b->arena);
    rob_priv_release(&b->ctx->memory, b->logits);
}

void rob_priv_bend_place(rob_bend *b, const rob_spec *spec, const double *point)
{
    int64_t row, m = b->region.m;
    rob_priv_local_place(b->local, point, b->logits);
    b->margin = rob_priv_spec_margin(spec, b->logits, &row);
    rob_priv_local_gradient(b->local, spec->c + row * spec->outputs, b->full);
    rob_priv_region_pull(&b->region, b->full, b->slope, b->room);
    memset(b->normal, 0, (size_t)m * sizeof *b->normal);
    for (int64_t k = 0; k < m; k++) b->keep[k] = 1;
    b->middle = 0;
}

/* v <- P v */
static void project(const rob_bend *b, double *v)
{
    int64_t m = b->region.m;
    double share = 0;
    for (int64_t k = 0; k < m; k++) share += b->normal[k] * (v[k] *= b->keep[k]);
    for (int64_t k = 0; k < m; k++) v[k] -= share * b->normal[k];
}

/* image (n) <- A u */
static void map(const rob_bend *b, const double *u)
{
    const rob_region *r = &b->region;
    for (int64_t k = 0; k < r->n; k++) {
        double w = r->basis ? rob_priv_dot(r->m, r->basis + k * r->m, u) : u[k];
        b->image[k] = rob_priv_region_scale(r, k) * w;
    }
}

rob_status rob_priv_bend_product(void *bend, const double *v, double *hv)
{
    rob_bend *b = bend;
    int64_t m = b->region.m;
    double *pv = b->room + m;
    memcpy(pv, v, (size_t)m * sizeof *pv);
    project(b, pv);
    map(b, pv);
    rob_priv_local_product(b->local, b->image, b->full);
    rob_priv_region_pull(&b->region, b->full, hv, b->room);
    project(b, hv);
    for (int64_t k = 0; k < m; k++) hv[k] += b->middle * (v[k] - pv[k]);
    b->products++;
    return rob_priv_cancelled(b->ctx) ? ROB_STOPPED : ROB_OK;
}
