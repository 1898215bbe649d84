/* factor.c -- curvature about an answer and about a start, in L2.
 *
 * At a point z of the boundary { F = 0 } that satisfies the first-order conditions of a
 * nearest one, u its coordinates, r = ||u||, g = grad_u F, n = g/||g||, the boundary is a
 * graph over its tangent plane with principal curvatures k_i, the eigenvalues of
 * Q' Hess_u F Q/||g|| (Q: tangent vectors; k > 0 bends away from x, on whose side
 * F > 0). Along the boundary
 *     ||u(w)||^2 = r^2 + sum_i (1 + r k_i) w_i^2 + O(w^3),
 * so z is a strict local minimum when every factor 1 + r k_i > 0, and none when one is
 * < 0. The smallest is answered: Lanczos's method on the tangent space, numbers on a wall
 * held. (Nocedal & Wright 2006, theorem 12.6; docs/theory/attack.md, section 5.)
 *
 * Starts: along unit eigenvectors v of Hess_u F(x) with eigenvalue l < 0, both signs, the
 * model F + t g.v + l t^2/2 vanishes at
 *     t = (g.v + sqrt((g.v)^2 - 2 l F))/(-l) > 0.
 * The first two starts take the most negative l, the next two the next one.
 */
#include "attack/bend.h"
#include "attack/nearest.h"

#include "la/la.h"

#include <math.h>
#include <string.h>

enum { FACTOR_PRODUCTS = 60, MOST_VECTORS = 4 };

#define STATIONARY 0.01 /* residual up to which the first-order conditions count as met */
#define ON_A_WALL  1e-6 /* of the distance */
#define FARTHEST   4.0  /* start, over the length of the linear step */

/* ---- the factor ------------------------------------------------------------------ */

/* Numbers on a wall are held, the others move in the plane; false: there is no plane. */
static bool make_tangent(rob_bend *b, const double *point, double distance)
{
    const rob_region *r = &b->region;
    int64_t free_count = 0;
    for (int64_t k = 0; k < r->m; k++) {
        double low = -INFINITY, high = INFINITY, s = 1, moved = 0;
        if (!r->basis) {
            s = rob_priv_region_scale(r, k);
            moved = point[k] - r->x[k];
            rob_priv_region_walls(r, k, &low, &high);
        }
        double hair = ON_A_WALL * distance * s;
        bool wall = moved <= low + hair || moved >= high - hair;
        b->keep[k] = s > 0 && !wall;
        b->normal[k] = b->keep[k] * b->slope[k];
        free_count += b->keep[k] > 0;
    }
    double length = rob_priv_norm(ROB_NORM_L2, b->normal, r->m);
    for (int64_t k = 0; length > 0 && k < r->m; k++) b->normal[k] /= length;
    b->steep = length;
    return length > 0 && isfinite(length) && free_count >= 2;
}

/* curvature of one tangent vector: between the ends; v, hv (m) */
static rob_status find_middle(rob_bend *b, double *v, double *hv)
{
    int64_t m = b->region.m, at = -1;
    for (int64_t k = 0; k < m; k++)
        if (b->keep[k] > 0 && (at < 0 || fabs(b->normal[k]) < fabs(b->normal[at])))
            at = k;
    double n = b->normal[at];
    for (int64_t k = 0; k < m; k++) v[k] = -n * b->normal[k];
    v[at] += 1;
    rob_status status = rob_priv_bend_product(b, v, hv);
    b->middle = rob_priv_dot(m, v, hv) / rob_priv_dot(m, v, v);
    return status;
}

static rob_status factor_of(rob_hunt *h, rob_bend *b, int64_t series, rob_found *f)
{
    rob_status status = ROB_OK;
    const int32_t known = ROB_PART_SCALE | ROB_PART_BOX | ROB_PART_SUBSPACE;
    double *v = NULL;
    TRY(rob_priv_bend_open(h, series, b));
    const rob_region *r = &b->region;
    int32_t parts = rob_priv_region_parts(r);
    bool mixed = (parts & ROB_PART_BOX) && (parts & ROB_PART_SUBSPACE);
    if ((parts & ~known) || mixed || rob_priv_local_flat(b->local)) goto done;
    rob_priv_bend_place(b, &h->q->cases[series].spec, f->point);
    if (!make_tangent(b, f->point, f->distance)) goto done;
    v = rob_priv_allocate(&h->ctx->memory, 2 * r->m, sizeof *v);
    CHECK(v, h->ctx, ROB_EMEMORY, "out of memory");
    status = find_middle(b, v, v + r->m);
    if (status != ROB_OK) goto done;
    rob_lanczos l = { .n = r->m, .most = FACTOR_PRODUCTS, .tolerance = 1e-6,
                      .product = rob_priv_bend_product, .user = b, .seed = h->ctx->seed,
                      .stream = (uint64_t)series };
    status = rob_priv_la_lanczos(&h->ctx->memory, &l);
    if (status < ROB_OK) rob_priv_fail(h->ctx, status, "curvature at the nearest point");
    if (status == ROB_OK) f->factor = 1 + f->distance * l.low / b->steep;
done:
    rob_priv_release(&h->ctx->memory, v);
    return status;
}

rob_status rob_priv_hunt_factors(rob_hunt *h)
{
    rob_status status = ROB_OK;
    rob_bend b = { 0 };
    if (h->norm != ROB_NORM_L2 || h->at_radius) return ROB_OK;
    for (int64_t s = 0; s < h->series && status == ROB_OK; s++)
        if (h->found[s].found && h->found[s].residual <= STATIONARY)
            TRY(factor_of(h, &b, h->first + s, &h->found[s]));
done:
    rob_priv_bend_close(&b);
    return status;
}

/* ---- starts ---------------------------------------------------------------------- */

/* H less what was found of it: eigenvectors v_j (count, m) with eigenvalues l_j */
typedef struct rest {
    rob_bend *b;
    double *v, l[MOST_VECTORS];
    int64_t count;
} rest;

static rob_status rest_product(void *user, const double *v, double *hv)
{
    const rest *r = user;
    int64_t m = r->b->region.m;
    rob_status status = rob_priv_bend_product(r->b, v, hv);
    for (int64_t j = 0; j < r->count; j++) {
        const double *own = r->v + j * m;
        double share = r->l[j] * rob_priv_dot(m, own, v);
        for (int64_t k = 0; k < m; k++) hv[k] -= share * own[k];
    }
    return status;
}

/* eigenvectors of negative eigenvalues, the most negative first; at most `wanted` */
static rob_status find_vectors(rob_hunt *h, rest *r, int64_t series, int64_t wanted)
{
    rob_status status = ROB_OK;
    int64_t m = r->b->region.m;
    for (r->count = 0; r->count < wanted && r->count < m; r->count++) {
        rob_lanczos l = { .n = m, .most = ROB_LEAN_PRODUCTS, .tolerance = 1e-2,
                          .product = rest_product, .user = r, .seed = h->ctx->seed,
                          .stream = (uint64_t)(series * MOST_VECTORS + r->count),
                          .low_vector = r->v + r->count * m };
        status = rob_priv_la_lanczos(&h->ctx->memory, &l);
        if (status < ROB_OK) rob_priv_fail(h->ctx, status, "curvature of the margin");
        if (status != ROB_OK || !(l.low < 0)) break;
        r->l[r->count] = l.low;
    }
    return status;
}

/* delta of a lane <- where the model along sign v vanishes */
static void put_start(const rob_hunt *h, rob_lane *l, const rest *r, int64_t j,
                      double sign, double guess)
{
    const double *v = r->v + j * r->b->region.m, f = r->b->margin, curve = r->l[j];
    int64_t m = r->b->region.m;
    double along = sign * rob_priv_dot(m, r->b->slope, v);
    double t = (along + sqrt(along * along - 2 * curve * f)) / -curve;
    for (int64_t k = 0; k < m; k++) l->delta[k] = sign * t * v[k];
    double length = rob_priv_norm(h->norm, l->delta, m);
    double share = length > FARTHEST * guess ? FARTHEST * guess / length : 1;
    for (int64_t k = 0; k < m; k++) l->delta[k] *= share;
    rob_priv_lane_project(h, l, h->cap, l->delta);
}

static rob_status lean(rob_hunt *h, rest *r, rob_lane *home, int64_t from, int64_t count)
{
    rob_status status = ROB_OK;
    int64_t wanted = (count + 1) / 2;
    r->count = 0;
    TRY(rob_priv_bend_open(h, home->series, r->b));
    int64_t m = r->b->region.m;
    if (rob_priv_local_flat(r->b->local)) goto done;
    if (wanted > MOST_VECTORS) wanted = MOST_VECTORS;
    r->v = rob_priv_allocate(&h->ctx->memory, wanted * m, sizeof *r->v);
    CHECK(r->v, h->ctx, ROB_EMEMORY, "out of memory");
    rob_priv_bend_place(r->b, &rob_priv_lane_case(h, home)->spec, r->b->region.x);
    TRY(find_vectors(h, r, home->series, wanted));
    home->calls += 2 * r->b->products;
    home->value = r->b->margin;
    memcpy(home->grad, r->b->slope, (size_t)m * sizeof *home->grad);
    double guess = rob_priv_lane_guess(h, home);
    for (int64_t k = 0; k < count && k / 2 < r->count; k++)
        put_start(h, home + from + k, r, k / 2, k % 2 ? -1 : 1, guess);
done:
    for (int64_t k = 0; k < count; k++)
        home[from + k].active = home[from + k].active && k / 2 < r->count;
    rob_priv_release(&h->ctx->memory, r->v);
    r->v = NULL;
    return status;
}

rob_status rob_priv_hunt_lean(rob_hunt *h, int64_t from, int64_t count)
{
    rob_status status = ROB_OK;
    rob_bend b = { 0 };
    rest r = { .b = &b };
    for (int64_t k = 0; k < h->lanes && status == ROB_OK; k += h->starts)
        if (h->lane[k + from].active) TRY(lean(h, &r, &h->lane[k], from, count));
done:
    rob_priv_bend_close(&b);
    return status;
}
