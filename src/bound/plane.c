/* plane.c -- planes of one cell, ready for rows, and what rounding costs.
 *
 * The operator's rule gives numbers s, o with s.z + o <= phi(z) on the box, true in
 * real arithmetic. Operands that do not depend on x are folded into o. A row with
 * coefficient a on phi gets fl(a s_i) on z_i and fl(sum a o) on its constant; the
 * difference costs at most
 *
 *     u |a| (2 sum_i |s_i| max|z_i| + (n + 4) |o|)  =  u |a| weight,
 *
 * the 2 for the product and for the sum into an empty place. A product L op(W)' with N
 * terms costs u |L| weight, weight = (N + 2) |op(W)|' max|z|. Here u = ROB_U is twice
 * the unit roundoff, which also covers gamma_n against n u. What could be lost to
 * underflow is a slack, one number a row. docs/theory/bound.md.
 */
#include "bound/alpha.h"

enum { OFFSETS = 2 * ROB_MAX_INS, WEIGHT = OFFSETS + 2, SLACK = WEIGHT + 1 };

const rob_range *rob_priv_operands(rob_work *w, const rob_cell *c)
{
    const rob_link *in = &w->net->link[c->link];
    for (int32_t i = 0; i < c->ins; i++) {
        w->range[i] = rob_priv_cell_range(w, in[i].cell);
        w->range[i].shape = in[i].shape;
    }
    return w->range;
}

static rob_planes planes_at(const rob_work *w, double *p, int64_t n, int above)
{
    rob_planes s = {.count = n, .offset = p + (OFFSETS + above) * n};
    for (int i = 0; i < ROB_MAX_INS; i++) {
        s.slope[i] = p + (2 * i + above) * n;
        s.touch[i] = w->touch + i * w->net->widest;
    }
    return s;
}

static void make_flat(rob_planes *s, const double *value)
{
    for (int64_t e = 0; e < s->count; e++) {
        s->offset[e] = value[e];
        for (int i = 0; i < ROB_MAX_INS; i++) s->slope[i][e] = 0;
    }
}

/* A plane with a number that is none becomes the constant that the range gives. */
static void mend(rob_planes *s, int32_t ins, const double *value)
{
    for (int64_t e = 0; e < s->count; e++) {
        bool fine = isfinite(s->offset[e]);
        for (int32_t i = 0; i < ins; i++) fine = fine && isfinite(s->slope[i][e]);
        if (fine) continue;
        s->offset[e] = value[e];
        for (int32_t i = 0; i < ins; i++) s->slope[i][e] = 0;
    }
}

/* offset += slope z of an operand known to lie in [lo, up], downwards below */
static void fold_known(rob_planes *s, int32_t i, const rob_range *z, bool above)
{
    for (int64_t e = 0; e < s->count; e++) {
        double a = s->slope[i][e];
        double end = (a >= 0) != above ? z->lo[e] : z->up[e];
        if (above) s->offset[e] = fp_add_up(s->offset[e], fp_mul_up(a, end));
        else s->offset[e] = fp_add_lo(s->offset[e], fp_mul_lo(a, end));
    }
}

/* Weights of loss, and the slack. */
static void weigh(rob_work *w, int32_t cell, double *p)
{
    const rob_bend b = rob_priv_plane_of(w, cell);
    const rob_link *in = &w->net->link[w->net->cell[cell].link];
    const int64_t n = b.n;
    double *weight = p + WEIGHT * n, slack = (double)n;
    for (int64_t e = 0; e < n; e++)
        weight[e] =
            (double)(n + 4) * fp_max(fabs(b.lo_offset[e]), fabs(b.up_offset[e]));
    for (int32_t i = 0, k = 0; k < b.ins; i++) {
        if (!w->net->cell[in[i].cell].live) continue;
        const double *big = rob_priv_cell_big(w, in[i].cell);
        for (int64_t e = 0; e < n; e++) {
            double s = fp_max(fabs(b.lo[k][e]), fabs(b.up[k][e]));
            weight[e] += 2 * s * big[e];
            slack += big[e];
        }
        k++;
    }
    for (int64_t e = 0; e < n; e++)
        weight[e] = fp_up(fp_up(weight[e])) * (1 + 8 * ROB_U);
    p[SLACK * n] = 8 * ROB_TINY * slack;
}

void rob_priv_plane_weigh(rob_work *w, int32_t cell)
{
    weigh(w, cell, w->plane + w->net->cell[cell].plane);
}

void rob_priv_plane_constant(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    double *p = w->plane + c->plane;
    rob_planes below = planes_at(w, p, c->size, 0), above = planes_at(w, p, c->size, 1);
    rob_range own = rob_priv_cell_range(w, cell);
    make_flat(&below, own.lo);
    make_flat(&above, own.up);
    weigh(w, cell, p);
}

/* Elements [e, e + count) of numbers that stand one behind the other. */
static rob_planes planes_from(rob_planes s, int64_t e, int64_t count)
{
    s.count = count;
    s.offset += e;
    for (int i = 0; i < ROB_MAX_INS; i++) s.slope[i] += e;
    return s;
}

static rob_range range_from(rob_range r, int64_t e, int64_t count)
{
    return (rob_range){count == rob_priv_shape_size(&r.shape) ? r.shape
                                                              : rob_priv_shape1(count),
                       r.lo + e, r.up + e};
}

void rob_priv_plane_curved(rob_work *w, int32_t cell, int64_t e, const double *theta)
{
    const rob_cell *c = &w->net->cell[cell];
    const int64_t first = e < 0 ? 0 : e, count = e < 0 ? c->size : 1;
    rob_range in[ROB_MAX_INS], own = range_from(rob_priv_cell_range(w, cell), first, count);
    double *p = w->plane + c->plane;
    rob_planes below = planes_from(planes_at(w, p, c->size, 0), first, count);
    rob_planes above = planes_from(planes_at(w, p, c->size, 1), first, count);
    if (!rob_priv_has_planes(&c->node)) {
        make_flat(&below, own.lo);
        make_flat(&above, own.up);
    } else {
        const rob_range *all = rob_priv_operands(w, c);
        for (int32_t i = 0; i < c->ins; i++) in[i] = range_from(all[i], first, count);
        if (theta != NULL) theta += first * c->node.op->parameters;
        c->node.op->relax(&c->node, in, theta, &below, &above);
        mend(&below, c->ins, own.lo);
        mend(&above, c->ins, own.up);
        for (int32_t i = 0; i < c->ins; i++) {
            if (w->net->cell[w->net->link[c->link + i].cell].live) continue;
            fold_known(&below, i, &in[i], false);
            fold_known(&above, i, &in[i], true);
        }
    }
    if (w->fault != NULL) {
        rob_bend b = rob_priv_plane_of(w, cell);
        w->fault(&b);
    }
    weigh(w, cell, p);
}

/* The height of a plane at `middle`: slopes and offset stand n apart. */
static double height(const rob_work *w, const rob_cell *c, const double *p, int side,
                     int64_t e, const rob_range *in)
{
    const rob_link *link = &w->net->link[c->link];
    double sum = p[(OFFSETS + side) * c->size + e];
    for (int32_t i = 0; i < c->ins; i++)
        if (w->net->cell[link[i].cell].live)
            sum += p[(2 * i + side) * c->size + e] * (0.5 * in[i].lo[e] + 0.5 * in[i].up[e]);
    return sum;
}

void rob_priv_plane_inherit(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (w->inherited == NULL || c->kind != ROB_CELL_CURVED || !rob_priv_has_planes(&c->node))
        return;
    const rob_range *in = rob_priv_operands(w, c);
    const double *old = w->inherited + c->plane;
    double *p = w->plane + c->plane;
    for (int side = 0; side < 2; side++)
        for (int64_t e = 0; e < c->size; e++) {
            double rise = height(w, c, old, side, e, in) - height(w, c, p, side, e, in);
            if (!(side == 0 ? rise > 0 : rise < 0)) continue;
            p[(OFFSETS + side) * c->size + e] = old[(OFFSETS + side) * c->size + e];
            for (int32_t i = 0; i < c->ins; i++)
                p[(2 * i + side) * c->size + e] = old[(2 * i + side) * c->size + e];
        }
    weigh(w, cell, p);
}

static void prepare_product(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    const double *big = rob_priv_cell_big(w, in[0].cell);
    const double *weights = w->net->cell[in[1].cell].lo;
    const bool tb = c->node.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb];
    const int64_t row = tb ? 1 : n, col = tb ? k : 1;
    double *weight = w->plane + c->plane, slack = (double)c->size;
    for (int64_t e = 0; e < c->size; e++) {
        const double *z = big + e / n * k, *to = weights + e % n * col;
        double sum = 0;
        for (int64_t i = 0; i < k; i++) sum += fabs(to[i * row]) * z[i];
        weight[e] = (sum * (1 + (double)(k + 8) * ROB_U) + (double)k * ROB_TINY)
                    * (double)(n + 2);
    }
    for (int64_t i = 0; i < c->size / n * k; i++) slack += (double)n * big[i];
    weight[c->size] = 8 * ROB_TINY * slack;
}

void rob_priv_plane_prepare(rob_work *w, int32_t cell)
{
    int32_t kind = w->net->cell[cell].kind;
    if (kind == ROB_CELL_CURVED) rob_priv_plane_curved(w, cell, -1, NULL);
    if (kind == ROB_CELL_PRODUCT) prepare_product(w, cell);
    if (kind == ROB_CELL_COUPLED) rob_priv_couple_prepare(w, cell);
}

rob_bend rob_priv_plane_of(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const double *p = w->plane + c->plane;
    const int64_t n = c->size;
    rob_bend b = { .n = n,
                   .lo_offset = p + OFFSETS * n,
                   .up_offset = p + (OFFSETS + 1) * n,
                   .weight = p + WEIGHT * n };
    if (!rob_priv_has_planes(&c->node)) return b;
    for (int32_t i = 0; i < c->ins; i++) {
        if (!w->net->cell[w->net->link[c->link + i].cell].live) continue;
        b.lo[b.ins] = p + 2 * i * n;
        b.up[b.ins++] = p + (2 * i + 1) * n;
    }
    return b;
}

const double *rob_priv_plane_weight(const rob_work *w, int32_t cell)
{
    return w->plane + w->net->cell[cell].plane;
}

/* ---- mixtures -------------------------------------------------------------------- */

/* v_0 + sum_k l_k (v_k - v_0), and what rounding may have cost: each term has at most 2 +
 * count roundings */
static double mixed(const double *const *plane, int count, const double *weight,
                    int64_t stride, int64_t at, double *cost)
{
    double first = plane[0][at], sum = first, size = fabs(first);
    for (int k = 1; k < count; k++) {
        double l = weight[k * stride], v = plane[k][at];
        sum += l * (v - first);
        size += l * (fabs(v) + fabs(first));
    }
    *cost = fp_up(size * (double)(count + 4) * ROB_U) + (double)count * ROB_TINY;
    return sum;
}

/* Is first's share, 1 less the others, one too? */
static bool are_shares(const double *weight, int count, int64_t stride)
{
    double sum = 0;
    for (int k = 1; k < count; k++) {
        if (!(weight[k * stride] >= 0)) return false;
        sum += weight[k * stride];
    }
    return sum < 1 - 1e-9;
}

/* One side of one element; left as it is when something is no number. */
static void mix_element(rob_work *w, int32_t cell, const double *const *plane, int count,
                        const double *weight, int64_t stride, int side, int64_t e)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    const int64_t n = c->size, offset = c->plane + (OFFSETS + side) * n + e;
    double slope[ROB_MAX_INS], cost, slack, o;
    if (!are_shares(weight, count, stride)) return;
    o = mixed(plane, count, weight, stride, offset, &slack);
    for (int32_t i = 0; i < c->ins; i++) {
        slope[i] = 0;
        if (!w->net->cell[in[i].cell].live) continue;
        slope[i] = mixed(plane, count, weight, stride, c->plane + (2 * i + side) * n + e,
                         &cost);
        slack = fp_add_up(slack, fp_mul_up(cost, rob_priv_cell_big(w, in[i].cell)[e]));
        if (!isfinite(slope[i])) return;
    }
    o = side ? fp_add_up(o, slack) : fp_add_lo(o, -slack);
    if (!isfinite(o)) return;
    w->plane[offset] = o;
    for (int32_t i = 0; i < c->ins; i++)
        if (w->net->cell[in[i].cell].live) w->plane[c->plane + (2 * i + side) * n + e] = slope[i];
}

void rob_priv_plane_mix(rob_work *w, int32_t cell, const double *const *plane, int count,
                        const double *const *weight, int64_t stride)
{
    const rob_cell *c = &w->net->cell[cell];
    for (int side = 0; side < 2; side++)
        for (int64_t e = 0; e < c->size; e++)
            mix_element(w, cell, plane, count, weight[side] + e, stride, side, e);
    weigh(w, cell, w->plane + c->plane);
}
