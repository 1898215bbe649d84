/* pair.c -- products of two values that both depend on x.
 *
 * Y = op(A) op(B) with both factors live. With centres and radii on the ranges,
 * a = a_c +- a_r, b = b_c +- b_r,
 *
 *     a b >= (b_c - b_r) a + (a_c - a_r) b - a_c b_c + (b_r a_c + a_r b_c) - a_r b_r
 *     a b <= (b_c + b_r) a + (a_c - a_r) b - a_c b_c - (b_r a_c - a_r b_c) + a_r b_r
 *
 * (McCormick's planes through the corners where a is least), summed over the inner index.
 * A row L (M,N) goes to
 *     L B_c' - |L| B_r' on A,     L' (A_c - A_r) on B,
 * so A needs one product and no signs. The other corners, mixtures of both, and the centre
 * are valid too and were no better (docs/studies/attention.md).
 *
 * Weights of loss as in plane.c: a coefficient is a chain of M terms, each rounded once
 * more for the difference, or of twice N.
 * Reference: McCormick, Math. Programming 10 (1976); Shi et al., ICLR 2020;
 * docs/theory/operators.md 4.
 */
#include "bound/couple.h"

#include <string.h>

/* Products: (M,K) (K,N), `batch` of them; packed centres and radii of both operands as
 * (N,K), and A_c - A_r as (M,K). */
typedef struct pair {
    int64_t batch, m, n, k, bytes[2];
    bool turned[2];               /* stored the other way round */
    rob_couple b;
    double *corner, *centre, *radius;    /* packed: of A, and of B */
} pair;

static pair pair_of(const rob_network *net, const rob_cell *c, double *at)
{
    const rob_shape *s = &c->node.shape, *a = &net->link[c->link].shape;
    int32_t r = s->rank;
    bool ta = c->node.attr.i[0] != 0, tb = c->node.attr.i[1] != 0;
    pair p = { .batch = 1, .m = s->dim[r - 2], .n = s->dim[r - 1],
               .k = a->dim[ta ? r - 2 : r - 1], .turned = { ta, !tb },
               .b = rob_priv_couple_of(at, c->size) };
    for (int32_t i = 0; i < r - 2; i++) p.batch *= s->dim[i];
    p.bytes[0] = net->la->packed_bytes(p.m, p.k);
    p.bytes[1] = net->la->packed_bytes(p.n, p.k);
    p.corner = p.b.next;
    p.centre = p.corner + p.batch * ((p.bytes[0] + 7) / 8);
    p.radius = p.centre + p.batch * ((p.bytes[1] + 7) / 8);
    return p;
}

static double *packed_at(const pair *p, int operand, double *of, int64_t batch)
{
    return of + batch * ((p->bytes[operand] + 7) / 8);
}

int64_t rob_priv_pair_numbers(const rob_network *net, const rob_cell *c,
                              const rob_link *in)
{
    rob_cell here = *c;
    rob_network one = *net;
    one.link = (rob_link *)in;
    here.link = 0;
    pair p = pair_of(&one, &here, NULL);
    return 3 * c->size + 1 + p.batch * ((p.bytes[0] + 7) / 8 + 2 * ((p.bytes[1] + 7) / 8));
}

/* ---- planes ------------------------------------------------------------ */

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
    double *to = packed_at(p, operand, operand == 0 ? p->corner : p->centre, batch);
    for (int64_t i = 0; operand == 0 && i < rows * p->k; i++) centre[i] -= radius[i];
    w->net->la->pack(rows, p->k, centre, p->k, 1, to);
    if (operand == 1)
        w->net->la->pack(rows, p->k, radius, p->k, 1, packed_at(p, 1, p->radius, batch));
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

/* offsets of an element; every sum is off by at most gamma_{K+3} `most` and
 * K tiny */
static void put_offsets(const pair *p, int64_t e, const dots *d)
{
    double off = fp_mul_up(8 * fp_gamma(p->k + 8), d->most)
                 + 8 * (double)(p->k + 1) * ROB_TINY;
    double low = -d->middle + (d->right + d->left) - d->corner;
    double high = -d->middle - (d->right - d->left) + d->corner;
    p->b.offset[0][e] = fp_or_lo(fp_add_lo(low, -off));
    p->b.offset[1][e] = fp_or_up(fp_add_up(high, off));
    p->b.weight[e] = (double)(2 * (p->m + p->n) + 16) * fp_mul_up(d->most, 1 + 1e-9);
}

void rob_priv_pair_prepare(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *link = &w->net->link[c->link];
    pair p = pair_of(w->net, c, w->plane + c->plane);
    const rob_range *in = rob_priv_operands(w, c);
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

/* ---- at a point (attend.c) ----------------------------------------------- */

void rob_priv_pair_at(rob_work *w, int32_t cell, const double *a, const double *za,
                      const double *zb, double *y)
{
    const rob_cell *c = &w->net->cell[cell];
    const pair p = pair_of(w->net, c, w->plane + c->plane);
    const rob_range *in = rob_priv_operands(w, c);
    for (int64_t e = 0; e < c->size; e++) {
        const int64_t batch = e / p.n / p.m, i = e / p.n % p.m, j = e % p.n;
        const int side = a[e] < 0;
        y[e] = p.b.offset[side][e];
        for (int64_t k = 0; k < p.k; k++) {
            const int64_t at = element(&p, 0, batch, i, k), bt = element(&p, 1, batch, j, k);
            double ac, ar, bc, br;
            centre_of(&in[0], at, &ac, &ar);
            centre_of(&in[1], bt, &bc, &br);
            y[e] += (bc + (side ? br : -br)) * za[at] + (ac - ar) * zb[bt];
        }
    }
}

/* ---- coefficients ------------------------------------------------------ */

/* One batch of one row, L (M,N), to one operand's coefficients, in its own order. */
static void move_batch(const rob_work *w, const pair *p, int operand, int64_t batch,
                       const double *l, double *to)
{
    const rob_la *la = w->net->la;
    const int64_t rows = operand == 0 ? p->m : p->n, inner = operand == 0 ? p->n : p->m;
    const int64_t across = operand == 0 ? p->n : 1, along = operand == 0 ? 1 : p->n;
    double *turned = w->fresh, *at = p->turned[operand] ? turned : to;
    la->product(rows, p->k, inner, l, across, along,
                packed_at(p, 1 - operand, operand == 0 ? p->centre : p->corner, batch), at,
                p->k, 0);
    if (operand == 0) {
        double *g = w->fresh + w->net->widest;
        for (int64_t e = 0; e < p->m * p->n; e++) g[e] = -fabs(l[e]);
        la->product(rows, p->k, inner, g, across, along, packed_at(p, 1, p->radius, batch), at,
                    p->k, 1);
    }
    if (!p->turned[operand]) return;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < p->k; k++) to[k * rows + i] = turned[i * p->k + k];
}

void rob_priv_pair_pull(rob_work *w, int32_t cell, int64_t count, const double *a,
                        int operand, double *to)
{
    const rob_cell *c = &w->net->cell[cell];
    const pair p = pair_of(w->net, c, w->plane + c->plane);
    const int64_t size = p.batch * (operand == 0 ? p.m : p.n) * p.k;
    const int64_t part = p.m * p.n, piece = size / p.batch;
    for (int64_t r = 0; r < count; r++)
        for (int64_t b = 0; b < p.batch; b++) {
            const double *l = a + r * c->size + b * part;
            if (!rob_priv_all_zero(l, part))
                move_batch(w, &p, operand, b, l, to + r * size + b * piece);
        }
    if (operand == 1) return;
    const rob_bend b = rob_priv_couple_bend(w, cell);
    w->net->kernel->bend(&b, count, a, c->size, NULL, NULL, w->base, w->cost);
    for (int64_t r = 0; r < count; r++)
        w->loss[r] += ROB_U * (w->cost[r] + fabs(w->base[r])) + *p.b.slack;
}
