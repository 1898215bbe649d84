/* region.c -- the linear part of a region: from coordinates to points and back.
 *
 *     d = M S E u,   gradient in u: E' S M g,   S = diag(s), M the mask,
 *
 * so a Jacobian J becomes E' S M J' and everything else is a ball in u. What the walls
 * and budgets leave of it bounds the norm of u,
 *     reach = || (min(max(-low_k, high_k)/s_k, ...))_k ||_p,
 * infinite where a number that may move has no wall. (docs/theory/query.md, section 4.)
 */
#include "query/query.h"

#include <math.h>
#include <string.h>

static double listed(const rob_list *l, int64_t k, double absent)
{
    return l->at ? l->at[k % l->count] : absent;
}

int32_t rob_priv_region_parts(const rob_region *r)
{
    int32_t parts = 0;
    if (r->scale.at || r->relative) parts |= ROB_PART_SCALE;
    if (r->low.at || r->high.at) parts |= ROB_PART_BOX;
    if (r->budget.at) parts |= ROB_PART_BUDGET;
    if (r->basis) parts |= ROB_PART_SUBSPACE;
    if (isfinite(r->variation) || isfinite(r->difference)) parts |= ROB_PART_SMOOTH;
    if (r->most > 0 && r->most < r->steps) parts |= ROB_PART_STEPS;
    return parts;
}

bool rob_priv_region_bound(const rob_region *r)
{
    return (rob_priv_region_parts(r) & ~(ROB_PART_SCALE | ROB_PART_SUBSPACE)) != 0;
}

bool rob_priv_region_rounds(const rob_region *r)
{
    return (rob_priv_region_parts(r) & (ROB_PART_SUBSPACE | ROB_PART_SMOOTH)) == 0;
}

double rob_priv_region_scale(const rob_region *r, int64_t k)
{
    if (r->mask && !r->mask[k]) return 0;
    if (r->scale.at) return listed(&r->scale, k, 1);
    return r->relative ? fabs(r->x[k]) : 1;
}

double rob_priv_region_budget(const rob_region *r, int64_t t)
{
    return listed(&r->budget, t, INFINITY) / r->unit;
}

void rob_priv_region_walls(const rob_region *r, int64_t k, double *low, double *high)
{
    *low = fmin(listed(&r->low, k, -INFINITY) - r->x[k], 0);
    *high = fmax(listed(&r->high, k, INFINITY) - r->x[k], 0);
}

static double in_box(const rob_region *r, int64_t k, double v)
{
    return fmin(fmax(v, listed(&r->low, k, -INFINITY)), listed(&r->high, k, INFINITY));
}

/* (E u)_k */
static double combined(const rob_region *r, const double *u, int64_t k)
{
    const double *row = r->basis + k * r->m;
    double sum = 0;
    for (int64_t j = 0; j < r->m; j++) sum += row[j] * u[j];
    return sum;
}

void rob_priv_region_move(const rob_region *r, const double *u, double *point)
{
    bool plain = rob_priv_region_parts(r) == 0;
    for (int64_t k = 0; k < r->n; k++) {
        double s = plain && !r->mask ? 1 : rob_priv_region_scale(r, k);
        double w = s == 0 ? 0 : r->basis ? combined(r, u, k) : u[k];
        point[k] = r->x[k] + s * w;
        if (w == 0) point[k] = r->x[k];
        else if (!plain) point[k] = in_box(r, k, point[k]);
    }
}

void rob_priv_region_back(const rob_region *r, const double *point, double *u)
{
    for (int64_t k = 0; k < r->n; k++) {
        double moved = point[k] - r->x[k], s = rob_priv_region_scale(r, k);
        u[k] = moved == 0 || s == 0 ? 0 : s == 1 ? moved : moved / s;
    }
}

void rob_priv_region_pull(const rob_region *r, const double *g, double *gu,
                          double *room)
{
    if (!r->basis) {
        for (int64_t k = 0; k < r->n; k++) {
            double s = rob_priv_region_scale(r, k);
            gu[k] = s == 0 ? 0 : s * g[k];
        }
        return;
    }
    memset(room, 0, (size_t)r->m * sizeof *room);
    for (int64_t k = 0; k < r->n; k++) {
        double s = rob_priv_region_scale(r, k), v = s == 0 ? 0 : s * g[k];
        const double *row = r->basis + k * r->m;
        for (int64_t j = 0; v != 0 && j < r->m; j++) room[j] += row[j] * v;
    }
    memcpy(gu, room, (size_t)r->m * sizeof *gu);
}

/* farthest |w_k| between the walls */
static double farthest(const rob_region *r, int64_t k)
{
    double low, high, s = rob_priv_region_scale(r, k);
    rob_priv_region_walls(r, k, &low, &high);
    return s == 0 ? 0 : fmax(-low, high) / s;
}

double rob_priv_region_reach(const rob_region *r)
{
    double sum = 0, most = 0;
    if (r->basis) return INFINITY;
    for (int64_t t = 0; t < r->steps; t++) {
        double own = 0, largest = 0, budget = rob_priv_region_budget(r, t);
        for (int64_t k = t * r->features; k < (t + 1) * r->features; k++) {
            double far = farthest(r, k);
            own += r->norm == ROB_NORM_L2 ? far * far : far;
            largest = fmax(largest, far);
        }
        if (r->norm == ROB_NORM_L2) own = fmin(own, budget * budget);
        else own = fmin(own, budget);
        sum += own;
        most = fmax(most, fmin(largest, budget));
    }
    return r->norm == ROB_NORM_LINF ? most : r->norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}
