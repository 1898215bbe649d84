/* couple.c -- cells whose numbers depend on each other: rows and products of two values.
 *
 * Rows (softmax, log-sum-exp, rmsnorm). Planes  slope_e z_e - left_e <right, z> + o_e,
 * below and above. A row of coefficients L goes to
 *
 *     L_j slope_j - right_j sum_e L_e left_e,
 *
 * each sum over the entries whose sign chose that side: diagonal and rank one, O(K).
 * Softmax adds to one: sum L_e p_e = c + sum (L_e - c) p_e for any c. The c taken makes
 * the planes' gaps at the middle of the box, weighted by |L - c|, least: a quantile.
 *
 * Products Y = op(A) op(B) with both factors live. With centres and radii on the ranges,
 * a = a_c +- a_r, b = b_c +- b_r, and mixtures g, g' in [-1, 1] for each element of Y,
 *
 *     a b >= (b_c + g b_r) a + (a_c + g a_r) b - a_c b_c - g (b_r a_c + a_r b_c) - a_r b_r
 *     a b <= (b_c + g' b_r) a + (a_c - g' a_r) b - a_c b_c - g' (b_r a_c - a_r b_c) + a_r b_r
 *
 * (McCormick's planes, mixed), summed over the inner index. A row L (M,N) goes to
 *     L B_c' + G B_r' on A,  G = g L+ + g' L-,
 *     L' A_c + H' A_r on B,  H = g L+ - g' L-.
 *
 * What rounding may cost is charged by weights of |L_e| as for every plane (plane.c).
 * Reference: docs/theory/operators.md 3 to 5; Shi et al., ICLR 2020.
 */
#include "bound/bound.h"
#include "op/plane.h"

#include <string.h>

bool rob_priv_is_coupled(const rob_node *n)
{
    if (n->op->id == ROB_OP_matmul) return true;
    return n->op->relax != NULL && (n->op->kind & ROB_OP_ELEMENTWISE) == 0;
}

/* ---- where things are ------------------------------------------------------------ */

/* Both: offsets below and above, weights, slack. */
typedef struct base { double *offset[2], *weight, *slack, *next; } base;

static base base_of(double *p, int64_t n)
{
    return (base){ { p, p + n }, p + 2 * n, p + 3 * n, p + 3 * n + 1 };
}

/* Rows: n outputs, m inputs, groups of `per` and `from` numbers. gap: of the planes in
 * the middle. */
typedef struct sheet {
    int64_t n, m, groups, per, from;
    base b;
    double *slope[2], *left[2], *gap[2], *right[2];
    double *mean[2];              /* rmsnorm: range of the mean square of every group */
} sheet;

static sheet sheet_of(const rob_network *net, const rob_cell *c, double *p)
{
    rob_shape in = net->link[c->link].shape;
    sheet r = { .n = c->size, .m = rob_priv_shape_size(&in),
               .from = rob_priv_shape_cols(&in), .b = base_of(p, c->size) };
    r.groups = r.m / r.from;
    r.per = r.n / r.groups;
    p = r.b.next;
    for (int k = 0; k < 2; k++) {
        r.slope[k] = p + k * r.n;
        r.left[k] = p + (2 + k) * r.n;
        r.gap[k] = p + (4 + k) * r.n;
        r.right[k] = p + 6 * r.n + k * r.m;
        r.mean[k] = p + 6 * r.n + 2 * r.m + k * r.groups;
    }
    return r;
}

/* Products: (M,K) (K,N), `batch` of them; packed centres and radii of both operands as
 * (N,K) and (M,K). mix: g and g'. */
typedef struct pair {
    int64_t batch, m, n, k, bytes[2];
    bool turned[2];               /* stored the other way round */
    base b;
    double *mixed;                /* 0: all of mix is 0 */
    double *mix[2], *packed[2][2];    /* [operand][centre, radius] */
} pair;

static pair pair_of(const rob_network *net, const rob_cell *c, double *at)
{
    const rob_shape *s = &c->node.shape, *a = &net->link[c->link].shape;
    int32_t r = s->rank;
    bool ta = c->node.attr.i[0] != 0, tb = c->node.attr.i[1] != 0;
    pair p = { .batch = 1, .m = s->dim[r - 2], .n = s->dim[r - 1],
               .k = a->dim[ta ? r - 2 : r - 1], .turned = { ta, !tb },
               .b = base_of(at, c->size) };
    for (int32_t i = 0; i < r - 2; i++) p.batch *= s->dim[i];
    p.bytes[0] = net->la->packed_bytes(p.m, p.k);
    p.bytes[1] = net->la->packed_bytes(p.n, p.k);
    at = p.b.next;
    p.mixed = at++;
    for (int k = 0; k < 2; k++) p.mix[k] = at + k * c->size;
    at += 2 * c->size;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            p.packed[i][k] = at;
            at += p.batch * ((p.bytes[i] + 7) / 8);
        }
    return p;
}

static void *packed_at(const pair *p, int operand, int kind, int64_t batch)
{
    return p->packed[operand][kind] + batch * ((p->bytes[operand] + 7) / 8);
}

int64_t rob_priv_couple_numbers(const rob_network *net, const rob_cell *c,
                                const rob_link *in)
{
    if (c->node.op->id != ROB_OP_matmul)
        return 9 * c->size + 1 + 2 * rob_priv_shape_size(&in[0].shape)
               + 2 * rob_priv_shape_rows(&in[0].shape);
    rob_cell here = *c;
    rob_network one = *net;
    one.link = (rob_link *)in;
    here.link = 0;
    pair p = pair_of(&one, &here, NULL);
    return 5 * c->size + 2
           + 2 * p.batch * ((p.bytes[0] + 7) / 8 + (p.bytes[1] + 7) / 8);
}

/* ---- rows: planes ---------------------------------------------------------------- */

static double middle(const rob_range *z, int64_t e)
{
    return 0.5 * z->lo[e] + 0.5 * z->up[e];
}

/* About how far the planes are apart in the middle, shared between both sides. */
static void measure_gaps(const sheet *r, const rob_range *z)
{
    for (int64_t g = 0; g < r->groups; g++) {
        double sum[2] = { 0, 0 };
        for (int side = 0; side < 2; side++)
            for (int64_t j = g * r->from; j < (g + 1) * r->from; j++)
                sum[side] += r->right[side][j] * middle(z, j);
        for (int64_t e = g * r->per; e < (g + 1) * r->per; e++) {
            double value[2], own = r->per == r->from ? middle(z, e) : 0;
            for (int side = 0; side < 2; side++)
                value[side] = r->slope[side][e] * own - r->left[side][e] * sum[side]
                              + r->b.offset[side][e];
            r->gap[0][e] = r->gap[1][e] = fp_max(value[1] - value[0], 0) + 1e-12;
        }
    }
}

/* |fl - exact| of the coefficients, times the operand: (4 |slope_e| max|z_e|
 * + (K + 8) |left_e| sum right max|z|) u, and (n + 4) |o_e| u of the constant. Softmax: 2 u
 * more for L - c. */
static void weigh_rows(const sheet *r, const double *big, bool shifts)
{
    double slack = (double)r->n;
    for (int64_t g = 0; g < r->groups; g++) {
        double sum[2] = { 0, 0 };
        for (int64_t j = g * r->from; j < (g + 1) * r->from; j++) {
            slack += (double)(r->per + 2) * big[j];
            for (int side = 0; side < 2; side++)
                sum[side] += fabs(r->right[side][j]) * big[j];
        }
        for (int64_t e = g * r->per; e < (g + 1) * r->per; e++) {
            double most = shifts ? 2 : 0;
            for (int side = 0; side < 2; side++) {
                double own = r->per == r->from ? fabs(r->slope[side][e]) * big[e] : 0;
                most = fp_max(most, (shifts ? 2 : 0) + 4 * own
                              + (double)(r->from + 8) * fabs(r->left[side][e]) * sum[side]
                              + (double)(r->n + 4) * fabs(r->b.offset[side][e]));
            }
            r->b.weight[e] = most * (1 + (double)(r->from + 16) * ROB_U);
        }
    }
    *r->b.slack = 16 * ROB_TINY * slack;
}

static rob_planes planes_of(const rob_work *w, const sheet *r, int side)
{
    rob_planes p = { .count = r->n, .offset = r->b.offset[side],
                     .left = r->left[side], .right = r->right[side] };
    p.slope[0] = r->slope[side];
    p.touch[0] = w->touch + side * w->net->widest;
    return p;
}

static void cut_by_range(const sheet *r, const rob_range *own)
{
    for (int64_t e = 0; e < r->n; e++)
        for (int side = 0; side < 2; side++) {
            double limit = side ? own->up[e] : own->lo[e];
            bool flat = r->slope[side][e] == 0 && r->left[side][e] == 0;
            bool fine = isfinite(r->b.offset[side][e]);
            if (fine && !flat) continue;
            r->slope[side][e] = r->left[side][e] = 0;
            r->b.offset[side][e] = limit;
        }
}

static void prepare_rows(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_range *in = rob_priv_operands(w, c);
    sheet r = sheet_of(w->net, c, w->plane + c->plane);
    rob_planes below = planes_of(w, &r, 0), above = planes_of(w, &r, 1);
    if (c->node.op->id == ROB_OP_rmsnorm) {
        const rob_range mean = { { 1, { r.groups } }, r.mean[0], r.mean[1] };
        rob_priv_rmsnorm_relax_within(&c->node, in, &mean, NULL, &below, &above);
    } else {
        c->node.op->relax(&c->node, in, NULL, &below, &above);
    }
    rob_range own = rob_priv_cell_range(w, cell);
    cut_by_range(&r, &own);
    measure_gaps(&r, &in[0]);
    if (w->fault != NULL) {
        rob_bend b = rob_priv_couple_bend(w, cell);
        w->fault(&b);
    }
    weigh_rows(&r, rob_priv_cell_big(w, w->net->link[c->link].cell),
               c->node.op->id == ROB_OP_softmax);
}

/* ---- rmsnorm: the mean square by sweeps ------------------------------------------ */

/* Group g: rows +rho and -rho, rho = (l + u) / n, in w->unit from row 2 k on. */
static void write_rho(rob_work *w, const rob_range *z, const sheet *r, int64_t g,
                      int64_t k)
{
    double *row = w->unit + 2 * k * r->m;
    memset(row, 0, (size_t)(2 * r->m) * sizeof *row);
    for (int64_t j = g * r->from; j < (g + 1) * r->from; j++) {
        row[j] = (z->lo[j] + z->up[j]) / (double)r->from;
        row[r->m + j] = -row[j];
    }
}

/* <rho, x> is at least proof 2 k and at most minus proof 2 k + 1. */
static void read_mean(const rob_work *w, const rob_range *z, const sheet *r, int64_t g,
                      int64_t k)
{
    const int64_t first = g * r->from;
    rob_interval rest = rob_priv_rmsnorm_rest(r->from, z->lo + first, z->up + first,
                                              w->unit + 2 * k * r->m + first);
    r->mean[0][g] = fp_max(0, fp_add_lo(w->proof[2 * k].value, rest.lo));
    r->mean[1][g] = fp_or_up(fp_add_up(-w->proof[2 * k + 1].value, rest.up));
}

rob_status rob_priv_couple_refine(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (c->kind != ROB_CELL_COUPLED || c->node.op->id != ROB_OP_rmsnorm) return ROB_OK;
    const sheet r = sheet_of(w->net, c, w->plane + c->plane);
    const int32_t of = w->net->link[c->link].cell;
    const rob_range z = rob_priv_cell_range(w, of);
    rob_status status = ROB_OK;
    for (int64_t g = 0; g < r.groups && status == ROB_OK; g += w->tile / 2) {
        int64_t count = r.groups - g < w->tile / 2 ? r.groups - g : w->tile / 2;
        for (int64_t k = 0; k < count; k++) write_rho(w, &z, &r, g + k, k);
        status = rob_priv_sweep(w, of, 2 * count, w->unit, r.m, NULL);
        for (int64_t k = 0; k < count && status == ROB_OK; k++)
            read_mean(w, &z, &r, g + k, k);
    }
    return status;
}

/* ---- rows: coefficients ---------------------------------------------------------- */

enum { CHAINS = 8 };

/* sum of the gaps where l > c, in chains that a compiler can put side by side */
static double weight_above(const double *l, const double *gap, int64_t n, double c)
{
    double sum[CHAINS] = { 0 }, total = 0;
    int64_t e = 0;
    for (; e + CHAINS <= n; e += CHAINS)
        for (int k = 0; k < CHAINS; k++) sum[k] += l[e + k] > c ? gap[e + k] : 0;
    for (; e < n; e++) total += l[e] > c ? gap[e] : 0;
    for (int k = 0; k < CHAINS; k++) total += sum[k];
    return total;
}

/* c that makes sum |L_e - c| gap_e least: where the gaps above and below it balance */
static double balance(const double *l, const double *gap, int64_t n)
{
    double lo = l[0], up = l[0];
    for (int64_t e = 1; e < n; e++) {
        lo = fp_min(lo, l[e]);
        up = fp_max(up, l[e]);
    }
    double half = 0.5 * weight_above(l, gap, n, -INFINITY);
    for (int step = 0; step < 6 && lo < up; step++) {
        double c = 0.5 * lo + 0.5 * up;
        if (weight_above(l, gap, n, c) > half) lo = c;
        else up = c;
    }
    for (int64_t e = 0; e < n; e++)
        if (l[e] >= lo && l[e] <= up) return l[e];
    return 0.5 * lo + 0.5 * up;
}

static bool all_zero(const double *l, int64_t n)
{
    for (int64_t e = 0; e < n; e++)
        if (l[e] != 0) return false;
    return true;
}

/* One row of L (n), shifted in place, to the input's numbers; the constant returned. */
static double move_group(const sheet *r, int64_t g, bool shifts, double *l, double *to)
{
    const int64_t first = g * r->per, from = g * r->from;
    double sum[2] = { 0, 0 }, c = 0;
    if (all_zero(l + first, r->per)) return 0;
    if (shifts) {
        c = balance(l + first, r->gap[0] + first, r->per);
        for (int64_t e = first; e < first + r->per; e++) l[e] -= c;
    }
    for (int64_t e = first; e < first + r->per; e++)
        sum[l[e] < 0] += l[e] * r->left[l[e] < 0][e];
    for (int64_t j = 0; j < r->from; j++) {
        double own = r->per == r->from
            ? l[first + j] * r->slope[l[first + j] < 0][from + j] : 0;
        to[from + j] = own - r->right[0][from + j] * sum[0]
                       - r->right[1][from + j] * sum[1];
    }
    return c;
}

/* rows a (count, n) -> to (count, m) */
static void move_rows(rob_work *w, int32_t cell, int64_t count, const double *a,
                      double *to)
{
    const rob_cell *c = &w->net->cell[cell];
    const sheet r = sheet_of(w->net, c, w->plane + c->plane);
    const rob_bend b = rob_priv_couple_bend(w, cell);
    const bool shifts = c->node.op->id == ROB_OP_softmax;
    double *l = w->fresh;
    for (int64_t k = 0; k < count; k++) {
        double total = 0, size = 0;
        memcpy(l, a + k * r.n, (size_t)r.n * sizeof *l);
        for (int64_t g = 0; g < r.groups; g++) {
            double shift = move_group(&r, g, shifts, l, to + k * r.m);
            total += shift;
            size += fabs(shift);
        }
        w->base[k] += total;
        w->net->kernel->bend(&b, 1, l, r.n, NULL, NULL, w->base + k, w->cost + k);
        w->loss[k] += ROB_U * (w->cost[k] + (double)(r.groups + 4) * size
                               + 2 * (fabs(w->base[k]) + w->cost[k])) + *r.b.slack;
    }
}

/* ---- products: planes ------------------------------------------------------------ */

/* element (row, inner) of an operand in its own order */
static int64_t element(const pair *p, int operand, int64_t batch, int64_t row,
                       int64_t inner)
{
    int64_t rows = operand == 0 ? p->m : p->n, at = batch * rows * p->k;
    return at + (p->turned[operand] ? inner * rows + row : row * p->k + inner);
}

static void centre_of(const rob_range *z, int64_t e, double *centre, double *radius)
{
    double lo = z->lo[e], up = z->up[e];
    *centre = fp_min(fp_max(0.5 * lo + 0.5 * up, lo), up);
    *radius = lo == up ? 0 : fp_max(fp_up(up - *centre), fp_up(*centre - lo));
}

static void pack_operand(const rob_work *w, const pair *p, int operand, int64_t batch,
                         const rob_range *z)
{
    int64_t rows = operand == 0 ? p->m : p->n;
    double *centre = w->fresh, *radius = w->fresh + w->net->widest;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < p->k; k++)
            centre_of(z, element(p, operand, batch, i, k), &centre[i * p->k + k],
                      &radius[i * p->k + k]);
    w->net->la->pack(rows, p->k, centre, p->k, 1, packed_at(p, operand, 0, batch));
    w->net->la->pack(rows, p->k, radius, p->k, 1, packed_at(p, operand, 1, batch));
}

/* sums over the inner index: of a_c b_c, b_r a_c, a_r b_c, a_r b_r */
typedef struct dots { double middle, size, right, left, corner, most; } dots;

static dots dots_of(const pair *p, const rob_range *in, int64_t batch, int64_t i,
                    int64_t j)
{
    dots d = { 0 };
    for (int64_t k = 0; k < p->k; k++) {
        double ac, ar, bc, br;
        centre_of(&in[0], element(p, 0, batch, i, k), &ac, &ar);
        centre_of(&in[1], element(p, 1, batch, j, k), &bc, &br);
        d.middle += ac * bc;
        d.size += fabs(ac * bc);
        d.right += ac * br;
        d.left += ar * bc;
        d.corner += ar * br;
        d.most += (fabs(ac) + ar) * (fabs(bc) + br);
    }
    return d;
}

/* offsets of an element for its g, g'; every sum is off by at most gamma_{K+3} `most` and
 * K tiny */
static void put_offsets(const pair *p, int64_t e, const dots *d)
{
    double g = p->mix[0][e], h = p->mix[1][e];
    double off = fp_mul_up(8 * fp_gamma(p->k + 8), d->most)
                 + 8 * (double)(p->k + 1) * ROB_TINY;
    double low = -d->middle - g * (d->right + d->left) - d->corner;
    double high = -d->middle - h * (d->right - d->left) + d->corner;
    p->b.offset[0][e] = fp_or_lo(fp_add_lo(low, -off));
    p->b.offset[1][e] = fp_or_up(fp_add_up(high, off));
    p->b.weight[e] = (double)(2 * (p->m + p->n) + 16) * fp_mul_up(d->most, 1 + 1e-9);
}

static void prepare_pair(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *link = &w->net->link[c->link];
    pair p = pair_of(w->net, c, w->plane + c->plane);
    const rob_range *in = rob_priv_operands(w, c);
    *p.mixed = 1;
    for (int64_t e = 0; e < c->size; e++) {
        p.mix[0][e] = -1;
        p.mix[1][e] = 1;
    }
    for (int64_t b = 0; b < p.batch; b++)
        for (int operand = 0; operand < 2; operand++)
            pack_operand(w, &p, operand, b, &in[operand]);
    for (int64_t e = 0; e < c->size; e++) {
        dots d = dots_of(&p, in, e / p.n / p.m, e / p.n % p.m, e % p.n);
        put_offsets(&p, e, &d);
    }
    if (w->fault != NULL) {
        rob_bend b = rob_priv_couple_bend(w, cell);
        w->fault(&b);
    }
    double slack = (double)c->size;
    for (int operand = 0; operand < 2; operand++) {
        const double *big = rob_priv_cell_big(w, link[operand].cell);
        int64_t size = w->net->cell[link[operand].cell].size;
        for (int64_t e = 0; e < size; e++) slack += 2 * (double)(p.m + p.n) * big[e];
    }
    for (int64_t e = 0; e < c->size; e++)
        p.b.weight[e] += (double)(c->size + 8) * fp_max(fabs(p.b.offset[0][e]),
                                                        fabs(p.b.offset[1][e]));
    *p.b.slack = 16 * ROB_TINY * slack;
}

/* ---- products: coefficients ------------------------------------------------------ */

/* G (or H): L scaled by the mixture of the side its sign chose */
static void mix(const pair *p, int operand, int64_t batch, const double *l, double *g)
{
    const int64_t part = p->m * p->n, first = batch * part;
    const double sign = operand == 0 ? 1 : -1;
    for (int64_t e = 0; e < part; e++)
        g[e] = l[e] >= 0 ? l[e] * p->mix[0][first + e]
                         : l[e] * (sign * p->mix[1][first + e]);
}

/* One batch of one row, L (M,N), to one operand's coefficients, in its own order. */
static void move_batch(const rob_work *w, const pair *p, int operand, int64_t batch,
                       const double *l, double *to)
{
    const rob_la *la = w->net->la;
    const int64_t rows = operand == 0 ? p->m : p->n, inner = operand == 0 ? p->n : p->m;
    const int64_t across = operand == 0 ? p->n : 1, along = operand == 0 ? 1 : p->n;
    double *turned = w->fresh, *at = p->turned[operand] ? turned : to;
    la->product(rows, p->k, inner, l, across, along, packed_at(p, 1 - operand, 0, batch),
                at, p->k, 0);
    if (*p->mixed != 0) {
        double *g = w->fresh + w->net->widest;
        mix(p, operand, batch, l, g);
        la->product(rows, p->k, inner, g, across, along,
                    packed_at(p, 1 - operand, 1, batch), at, p->k, 1);
    }
    if (!p->turned[operand]) return;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < p->k; k++) to[k * rows + i] = turned[i * p->k + k];
}

static void move_pair(rob_work *w, int32_t cell, int64_t count, const double *a,
                      int operand, double *to)
{
    const rob_cell *c = &w->net->cell[cell];
    const pair p = pair_of(w->net, c, w->plane + c->plane);
    const int64_t size = p.batch * (operand == 0 ? p.m : p.n) * p.k;
    const int64_t part = p.m * p.n, piece = size / p.batch;
    for (int64_t r = 0; r < count; r++)
        for (int64_t b = 0; b < p.batch; b++) {
            const double *l = a + r * c->size + b * part;
            if (!all_zero(l, part))
                move_batch(w, &p, operand, b, l, to + r * size + b * piece);
        }
    if (operand == 1) return;
    const rob_bend b = rob_priv_couple_bend(w, cell);
    w->net->kernel->bend(&b, count, a, c->size, NULL, NULL, w->base, w->cost);
    for (int64_t r = 0; r < count; r++)
        w->loss[r] += ROB_U * (w->cost[r] + fabs(w->base[r])) + *p.b.slack;
}

/* ---- what sweep.c and plane.c call ----------------------------------------------- */

void rob_priv_couple_prepare(rob_work *w, int32_t cell)
{
    if (w->net->cell[cell].node.op->id == ROB_OP_matmul) prepare_pair(w, cell);
    else prepare_rows(w, cell);
}

rob_bend rob_priv_couple_bend(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const base b = base_of(w->plane + c->plane, c->size);
    return (rob_bend){ .n = c->size, .lo_offset = b.offset[0], .up_offset = b.offset[1],
                       .weight = b.weight };
}

void rob_priv_couple_pull(rob_work *w, int32_t cell, int64_t count, const double *a,
                          int32_t operand, double *to)
{
    if (w->net->cell[cell].node.op->id == ROB_OP_matmul)
        move_pair(w, cell, count, a, operand, to);
    else move_rows(w, cell, count, a, to);
    w->ops += 16 * (double)w->net->cell[cell].size;
}
