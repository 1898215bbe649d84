/* couple.c -- rows of numbers that depend on each other: softmax, log-sum-exp, rmsnorm.
 *
 * Planes  slope_e z_e - left_e <right, z> + o_e,
 * below and above. A row of coefficients L goes to
 *
 *     L_j slope_j - right_j sum_e L_e left_e,
 *
 * each sum over the entries whose sign chose that side: diagonal and rank one, O(K).
 * Softmax adds to one: sum L_e p_e = c + sum (L_e - c) p_e for any c. The c taken makes
 * the planes' gaps at the middle of the box, weighted by |L - c|, least: a quantile.
 *
 * What rounding may cost is charged by weights of |L_e| as for every plane (plane.c).
 * Reference: docs/theory/operators.md 3 to 5; Shi et al., ICLR 2020.
 */
#include "bound/couple.h"
#include "op/plane.h"

#include <string.h>

bool rob_priv_is_coupled(const rob_node *n)
{
    if (n->op->id == ROB_OP_matmul) return true;
    return n->op->relax != NULL && (n->op->kind & ROB_OP_ELEMENTWISE) == 0;
}

/* ---- where things are ------------------------------------------------------------ */

/* Rows: n outputs, m inputs, groups of `per` and `from` numbers. gap: of the planes in
 * the middle. */
typedef struct sheet {
    int64_t n, m, groups, per, from;
    rob_couple b;
    double *slope[2], *left[2], *gap[2], *right[2];
    double *mean[2];              /* rmsnorm: range of the mean square of every group */
    double *more;                 /* softmax: what a group's c is moved by */
} sheet;

static sheet sheet_of(const rob_network *net, const rob_cell *c, double *p)
{
    rob_shape in = net->link[c->link].shape;
    sheet r = { .n = c->size, .m = rob_priv_shape_size(&in),
               .from = rob_priv_shape_cols(&in), .b = rob_priv_couple_of(p, c->size) };
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
    r.more = p + 6 * r.n + 2 * r.m + 2 * r.groups;
    return r;
}

rob_couple_rows rob_priv_couple_rows(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const sheet s = sheet_of(w->net, c, w->plane + c->plane);
    rob_couple_rows r = { .n = s.n, .m = s.m, .groups = s.groups, .per = s.per, .from = s.from };
    for (int k = 0; k < 2; k++) {
        r.slope[k] = s.slope[k];
        r.left[k] = s.left[k];
        r.right[k] = s.right[k];
        r.offset[k] = s.b.offset[k];
        r.mean[k] = s.mean[k];
    }
    r.more = s.more;
    return r;
}

int64_t rob_priv_couple_numbers(const rob_network *net, const rob_cell *c,
                                const rob_link *in)
{
    if (c->node.op->id != ROB_OP_matmul)
        return 9 * c->size + 1 + 2 * rob_priv_shape_size(&in[0].shape)
               + 3 * rob_priv_shape_rows(&in[0].shape);
    return rob_priv_pair_numbers(net, c, in);
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

void rob_priv_couple_weigh(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const int32_t of = w->net->link[c->link].cell;
    const sheet r = sheet_of(w->net, c, w->plane + c->plane);
    const rob_range z = rob_priv_cell_range(w, of);
    measure_gaps(&r, &z);
    weigh_rows(&r, rob_priv_cell_big(w, of), c->node.op->id == ROB_OP_softmax);
}

void rob_priv_couple_rows_make(rob_work *w, int32_t cell, const double *theta)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_range *in = rob_priv_operands(w, c);
    sheet r = sheet_of(w->net, c, w->plane + c->plane);
    rob_planes below = planes_of(w, &r, 0), above = planes_of(w, &r, 1);
    if (c->node.op->id == ROB_OP_rmsnorm) {
        const rob_range mean = { { 1, { r.groups } }, r.mean[0], r.mean[1] };
        rob_priv_rmsnorm_relax_within(&c->node, in, &mean, theta, &below, &above);
    } else {
        c->node.op->relax(&c->node, in, theta, &below, &above);
    }
    rob_range own = rob_priv_cell_range(w, cell);
    cut_by_range(&r, &own);
    if (w->fault != NULL) {
        rob_bend b = rob_priv_couple_bend(w, cell);
        w->fault(&b);
    }
    memset(r.more, 0, (size_t)r.groups * sizeof *r.more);
    rob_priv_couple_weigh(w, cell);
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

/* c that makes sum |L_e - c| gap_e least: where the gaps above and below it balance */
static double balance(const rob_rows_kernel *rows, const double *l, const double *gap, int64_t n)
{
    double lo = l[0], up = l[0];
    for (int64_t e = 1; e < n; e++) {
        lo = fp_min(lo, l[e]);
        up = fp_max(up, l[e]);
    }
    double half = 0.5 * rows->above(n, l, gap, -INFINITY);
    for (int step = 0; step < 6 && lo < up; step++) {
        double c = 0.5 * lo + 0.5 * up;
        if (rows->above(n, l, gap, c) > half) lo = c;
        else up = c;
    }
    for (int64_t e = 0; e < n; e++)
        if (l[e] >= lo && l[e] <= up) return l[e];
    return 0.5 * lo + 0.5 * up;
}

/* About the same by four steps of Weiszfeld's: continuous in l, so a checker whose l are rounded
 * otherwise finds nearly the same (certificates). */
static double settle(const rob_rows_kernel *rows, const double *l, const double *gap, int64_t n)
{
    (void)rows;
    double sum = 0, total = 0, spread = 0;
    for (int64_t e = 0; e < n; e++) sum += gap[e] * l[e], total += gap[e];
    double c = sum / total;
    for (int64_t e = 0; e < n; e++) spread += gap[e] * fabs(l[e] - c);
    spread = 0.05 * spread / total + 1e-300;
    for (int step = 0; step < 4; step++) {
        sum = total = 0;
        for (int64_t e = 0; e < n; e++) {
            double share = gap[e] / (fabs(l[e] - c) + spread);
            sum += share * l[e];
            total += share;
        }
        c = sum / total;
    }
    return isfinite(c) ? c : 0;
}

typedef double shift_of(const rob_rows_kernel *rows, const double *l, const double *gap,
                        int64_t n);

/* One row of L (n), shifted in place, to the input's numbers; the constant returned. */
static double move_group(const rob_rows_kernel *rows, const sheet *r, int64_t g, shift_of *shift,
                         double *l, double *to)
{
    const int64_t first = g * r->per, from = g * r->from;
    double sum[2] = { 0, 0 }, c = 0;
    if (rob_priv_all_zero(l + first, r->per)) return 0;
    if (shift != NULL) {
        c = shift(rows, l + first, r->gap[0] + first, r->per) + r->more[g];
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

double rob_priv_couple_shift(const rob_work *w, int32_t cell, double *l)
{
    const rob_cell *c = &w->net->cell[cell];
    const sheet r = sheet_of(w->net, c, w->plane + c->plane);
    double total = 0;
    for (int64_t first = 0; first < r.n; first += r.per) {
        if (rob_priv_all_zero(l + first, r.per)) continue;
        double by = balance(w->net->kernel, l + first, r.gap[0] + first, r.per)
                    + r.more[first / r.per];
        for (int64_t e = first; e < first + r.per; e++) l[e] -= by;
        total += by;
    }
    return total;
}

/* rows a (count, n) -> to (count, m) */
static void move_rows(rob_work *w, int32_t cell, int64_t count, const double *a,
                      double *to)
{
    const rob_cell *c = &w->net->cell[cell];
    const sheet r = sheet_of(w->net, c, w->plane + c->plane);
    const rob_bend b = rob_priv_couple_bend(w, cell);
    shift_of *shift = c->node.op->id != ROB_OP_softmax ? NULL : w->plain ? settle : balance;
    double *l = w->fresh;
    for (int64_t k = 0; k < count; k++) {
        double total = 0, size = 0;
        memcpy(l, a + k * r.n, (size_t)r.n * sizeof *l);
        for (int64_t g = 0; g < r.groups; g++) {
            double moved = move_group(w->net->kernel, &r, g, shift, l, to + k * r.m);
            total += moved;
            size += fabs(moved);
        }
        w->base[k] += total;
        w->net->kernel->bend(&b, 1, l, r.n, NULL, NULL, w->base + k, w->cost + k);
        w->loss[k] += ROB_U * (w->cost[k] + (double)(r.groups + 4) * size
                               + 2 * (fabs(w->base[k]) + w->cost[k])) + *r.b.slack;
    }
}

/* ---- what sweep.c and plane.c call ----------------------------------------------- */

void rob_priv_couple_prepare(rob_work *w, int32_t cell)
{
    if (w->net->cell[cell].node.op->id == ROB_OP_matmul) rob_priv_pair_prepare(w, cell);
    else rob_priv_couple_rows_make(w, cell, NULL);
}

rob_bend rob_priv_couple_bend(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_couple b = rob_priv_couple_of(w->plane + c->plane, c->size);
    return (rob_bend){ .n = c->size, .lo_offset = b.offset[0], .up_offset = b.offset[1],
                       .weight = b.weight };
}

void rob_priv_couple_pull(rob_work *w, int32_t cell, int64_t count, const double *a,
                          int32_t operand, double *to)
{
    if (w->net->cell[cell].node.op->id == ROB_OP_matmul)
        rob_priv_pair_pull(w, cell, count, a, operand, to);
    else move_rows(w, cell, count, a, to);
    w->ops += 16 * (double)w->net->cell[cell].size;
}
