/* sweep.c -- rows of coefficients moved from a cell back to x.
 *
 * With rows L on a cell v and constants b, for all x in the ball,
 *
 *     L v + b >= sum_i L_i v_i + b' - loss
 *
 * where v_i are v's operands: sums pass L on, products with weights give L op(W)',
 * other affine operators their pull, curved ones the plane below or above as the sign
 * of each coefficient asks. Cells are walked from the last to the first, so every
 * cell's coefficients are complete when it is reached, and only cells ahead of the walk
 * hold any: one step's values. The walk stops at the ball: A.x0 - eps ||A||_q. A row
 * may also end early, on the known ranges of the cells it has reached; the best end
 * counts. Reference: Zhang et al., Efficient neural network robustness certification
 * with general activation functions, 2018; docs/theory/bound.md for the rounding.
 */
#include "bound/alpha.h"
#include "bound/branch/half.h"
#include "bound/single.h"

#include <string.h>

typedef struct sweep {
    rob_work *w;
    const rob_network *net;
    int64_t rows;
    int32_t from;                 /* cells after it are done */
} sweep;

/* ---- blocks of coefficients ------------------------------------------------------ */

int32_t rob_priv_block_take(rob_work *w, int64_t numbers)
{
    int32_t best = -1;
    for (int32_t i = 0; i < w->blocks; i++) {
        const rob_block *b = &w->pool[i];
        if (b->users > 0 || b->capacity < numbers) continue;
        if (best < 0 || b->capacity < w->pool[best].capacity) best = i;
    }
    if (best < 0) {
        if (w->blocks == w->block_capacity) {
            int32_t capacity = 2 * w->block_capacity + 8;
            rob_block *pool = rob_priv_grow(&w->memory, w->pool, w->blocks, capacity,
                                            (int64_t)sizeof *pool);
            if (pool == NULL) return -1;
            w->pool = pool;
            w->block_capacity = capacity;
        }
        double *at = rob_priv_allocate(&w->memory, numbers, (int64_t)sizeof *at);
        if (at == NULL) return -1;
        w->pool[best = w->blocks++] = (rob_block){at, numbers, 0};
    }
    w->pool[best].users = 1;
    return best;
}

/* A place for coefficients on a cell: a window of its root's block. fresh: the block
 * held nothing before. */
typedef struct place { double *at; int64_t ld; bool fresh; } place;

static bool is_whole(const rob_network *net, int32_t cell)
{
    const rob_cell *c = &net->cell[cell];
    return c->size == net->cell[c->root].size;
}

/* The block of a root, its own and cleared; *fresh: it held nothing. -1: no memory. */
static int32_t own_block(sweep *s, int32_t root, bool clear, bool *fresh)
{
    rob_work *w = s->w;
    int64_t numbers = s->rows * s->net->cell[root].size;
    int32_t old = w->block[root];
    *fresh = old < 0;
    if (old >= 0 && w->pool[old].users == 1) return old;
    int32_t b = rob_priv_block_take(w, numbers);
    if (b < 0) return -1;
    if (old >= 0) {
        memcpy(w->pool[b].at, w->pool[old].at, (size_t)numbers * sizeof(double));
        w->pool[old].users--;
    } else if (clear) {
        memset(w->pool[b].at, 0, (size_t)numbers * sizeof(double));
    }
    return w->block[root] = b;
}

static bool place_of(sweep *s, int32_t cell, bool clear, place *p)
{
    const rob_cell *c = &s->net->cell[cell];
    int32_t b = own_block(s, c->root, clear || !is_whole(s->net, cell), &p->fresh);
    if (b < 0) return false;
    p->ld = s->net->cell[c->root].size;
    p->at = s->w->pool[b].at + (c->kind == ROB_CELL_VIEW ? c->first : 0);
    return true;
}

static void drop_block(rob_work *w, int32_t root)
{
    if (w->block[root] < 0) return;
    w->pool[w->block[root]].users--;
    w->block[root] = -1;
}

/* ---- what rounding costs --------------------------------------------------------- */

/* loss += u (factor cost + |base|) + slack */
static void charge(sweep *s, double factor, double slack)
{
    rob_work *w = s->w;
    for (int64_t r = 0; r < s->rows; r++)
        w->loss[r] += ROB_U * (factor * w->cost[r] + fabs(w->base[r])) + slack;
}

/* u factor |coefficients at the place| max|cell| */
static void charge_place(sweep *s, int32_t cell, const place *p, double factor)
{
    rob_work *w = s->w;
    int64_t n = s->net->cell[cell].size;
    s->net->kernel->cost(s->rows, n, p->at, p->ld, rob_priv_cell_big(w, cell), w->cost);
    charge(s, factor, 2 * (double)n * ROB_TINY);
    w->ops += (double)n + 8;
}

/* Rows a on a cell end on the ranges of its numbers: sum a (a >= 0 ? lo : up). */
static void end_on_range(sweep *s, const double *lo, const double *up,
                         const double *big, int64_t n, const double *a, int64_t lda)
{
    rob_work *w = s->w;
    rob_bend b = {.n = n, .lo_offset = lo, .up_offset = up, .weight = big};
    s->net->kernel->bend(&b, s->rows, a, lda, NULL, NULL, w->base, w->cost);
    charge(s, (double)n + 4, 4 * (double)(n + 1) * ROB_TINY);
    w->ops += (double)n + 8;
}

static void end_on_cell(sweep *s, int32_t cell, const double *a, int64_t lda)
{
    rob_range r = rob_priv_cell_range(s->w, cell);
    end_on_range(s, r.lo, r.up, rob_priv_cell_big(s->w, cell), s->net->cell[cell].size,
                 a, lda);
}

/* ---- moving on ------------------------------------------------------------------- */

/* sign * a added to the coefficients on an operand */
static bool pass_on(sweep *s, const rob_link *in, double sign, const double *a,
                    int64_t lda)
{
    place p;
    const int64_t n = s->net->cell[in->cell].size;
    if (!place_of(s, in->cell, true, &p)) return false;
    s->net->kernel->add(s->rows, n, sign, a, lda, p.at, p.ld);
    if (!p.fresh && !in->sole) charge_place(s, in->cell, &p, 1);
    return true;
}

/* The whole block changes hands, without a copy, when the operand holds nothing yet. */
static bool hand_over(sweep *s, int32_t from, const rob_link *in)
{
    int32_t root = s->net->cell[in->cell].root;
    if (s->w->block[root] >= 0 || !is_whole(s->net, in->cell)) return false;
    s->w->block[root] = s->w->block[from];
    s->w->pool[s->w->block[root]].users++;
    return true;
}

static bool through_sum(sweep *s, int32_t i, const double *a)
{
    const rob_cell *c = &s->net->cell[i];
    for (int32_t k = 0; k < 2; k++) {
        const rob_link *in = &s->net->link[c->link + k];
        double sign = k == 0 ? 1 : c->sign;
        if (!s->net->cell[in->cell].live) {
            rob_range z = rob_priv_cell_range(s->w, in->cell);
            double *lo = s->w->fresh, *up = lo + s->net->widest;
            for (int64_t e = 0; e < c->size; e++) {
                lo[e] = sign > 0 ? z.lo[e] : -z.up[e];
                up[e] = sign > 0 ? z.up[e] : -z.lo[e];
            }
            end_on_range(s, lo, up, rob_priv_cell_big(s->w, in->cell), c->size, a,
                         c->size);
        } else if (!(sign > 0 && hand_over(s, i, in))
                   && !pass_on(s, in, sign, a, c->size)) {
            return false;
        }
    }
    return true;
}

static bool through_join(sweep *s, int32_t i, const double *a)
{
    const rob_cell *c = &s->net->cell[i];
    for (int32_t k = 0; k < c->ins; k++) {
        const rob_link *in = &s->net->link[c->link + k];
        const rob_cell *part = &s->net->cell[in->cell];
        if (!part->live) end_on_cell(s, in->cell, a, c->size);
        else if (!pass_on(s, in, 1, a, c->size)) return false;
        a += part->size;
    }
    return true;
}

/* (R, rows N) -> (R, rows K) by op(W)' (N, K) */
static bool through_product(sweep *s, int32_t i, const double *a)
{
    const rob_cell *c = &s->net->cell[i];
    const rob_link *in = &s->net->link[c->link];
    const bool tb = c->node.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb], rows = c->size / n;
    const double *weight = rob_priv_plane_weight(s->w, i);
    place p;
    const bool narrow = k <= ROB_NARROW;
    if (!place_of(s, in[0].cell, narrow, &p)) return false;
    bool start = p.fresh && is_whole(s->net, in[0].cell);
    if (!p.fresh && !in[0].sole) charge_place(s, in[0].cell, &p, (double)n + 2);
    s->net->kernel->cost(s->rows, c->size, a, c->size, weight, s->w->cost);
    charge(s, 1, weight[c->size]);
    s->w->ops += (double)(c->size + n) + 8;
    if (narrow) {
        for (int64_t r = 0; r < rows; r++)
            s->net->kernel->narrow(s->rows, n, k, a + r * n, c->size, c->packed,
                                   p.at + r * k, p.ld);
        return true;
    }
    int64_t room = rob_priv_product_scratch(n, k);
    int32_t b = rows * s->rows > 16 ? rob_priv_block_take(s->w, room) : -1;
    rob_priv_product_move(s->net, s->rows, rows, n, k, a, c->packed, p.at, p.ld, start,
                          b < 0 ? NULL : s->w->pool[b].at);
    if (b >= 0) s->w->pool[b].users--;
    return true;
}

static bool through_planes(sweep *s, int32_t i, const double *a)
{
    const rob_cell *c = &s->net->cell[i];
    const rob_bend b = rob_priv_plane_of(s->w, i);
    const rob_link *live[ROB_MAX_INS] = {0};
    place p[ROB_MAX_INS];
    double *to[ROB_MAX_INS] = {0};
    int64_t ld[ROB_MAX_INS] = {0};
    for (int32_t k = 0, j = 0; j < b.ins; k++) {
        const rob_link *in = &s->net->link[c->link + k];
        if (!s->net->cell[in->cell].live) continue;
        if (!place_of(s, in->cell, true, &p[j])) return false;
        live[j] = in;
        to[j] = p[j].at;
        ld[j] = p[j].ld;
        j++;
    }
    s->net->kernel->bend(&b, s->rows, a, c->size, to, ld, s->w->base, s->w->cost);
    charge(s, 1, b.weight[c->size]);
    s->w->ops += (double)c->size + 8;
    for (int32_t j = 0; j < b.ins; j++)
        if (!live[j]->sole) charge_place(s, live[j]->cell, &p[j], 1);
    return true;
}

/* Numbers scaled by one number, or each by its own (a product with known ones): no block
 * in between. Costs u (2 |scale| |L| max|z|). */
static void through_scale(sweep *s, const rob_cell *c, const rob_link *in,
                          const double *a, const place *p)
{
    const rob_link *other = &s->net->link[c->link + (in == &s->net->link[c->link])];
    const double *big = rob_priv_cell_big(s->w, in->cell);
    const bool own = c->node.op->id == ROB_OP_mul;
    const double *g = own ? s->net->cell[other->cell].lo : NULL;
    double *weight = s->w->fresh, slack = (double)c->size;
    for (int64_t e = 0; e < c->size; e++) {
        weight[e] = 2 * fabs(own ? g[e] : c->node.attr.x[0]) * big[e];
        slack += big[e];
    }
    if (!own)
        s->net->kernel->add(s->rows, c->size, c->node.attr.x[0], a, c->size, p->at, p->ld);
    for (int64_t r = 0; own && r < s->rows; r++)
        for (int64_t e = 0; e < c->size; e++)
            p->at[r * p->ld + e] += a[r * c->size + e] * g[e];
    s->net->kernel->cost(s->rows, c->size, a, c->size, weight, s->w->cost);
    charge(s, 1 + 8 * ROB_U, 8 * ROB_TINY * slack);
    s->w->ops += (double)c->size + 8;
}

static bool through_order(sweep *s, int32_t i, const double *a)
{
    const rob_cell *c = &s->net->cell[i];
    const rob_link *in = &s->net->link[c->link];
    place p;
    if (c->ins > 1 && !s->net->cell[in->cell].live) in++;
    if (!place_of(s, in->cell, true, &p)) return false;
    if (c->packed != NULL) rob_priv_permute_move(c, s->rows, a, p.at, p.ld);
    else through_scale(s, c, in, a, &p);
    if (!p.fresh && !in->sole) charge_place(s, in->cell, &p, 1);
    return true;
}

static bool is_order(const rob_cell *c)
{
    return c->packed != NULL || c->node.op->id == ROB_OP_mul
           || (c->node.op->id == ROB_OP_affine && c->node.attr.x[1] == 0);
}

static bool through_pull(sweep *s, int32_t i, double *a)
{
    const rob_cell *c = &s->net->cell[i];
    const rob_range *value = rob_priv_operands(s->w, c);
    const rob_rows out = {s->rows, c->size, a};
    for (int32_t k = 0; k < c->ins; k++) {
        const rob_link *in = &s->net->link[c->link + k];
        const rob_cell *z = &s->net->cell[in->cell];
        if (!z->live && !(c->node.op->kind & ROB_OP_AFFINE)) continue;
        int32_t b = rob_priv_block_take(s->w, s->rows * z->size);
        if (b < 0) return false;
        rob_rows to = {s->rows, z->size, s->w->pool[b].at};
        memset(to.at, 0, (size_t)(to.rows * to.cols) * sizeof *to.at);
        c->node.op->pull(&c->node, value, c->output, &out, k, &to, s->w->base,
                         s->w->loss);
        s->w->ops += 16 * (double)(c->size + z->size);
        bool fine = true;
        if (z->live) fine = pass_on(s, in, 1, to.at, to.cols);
        else end_on_cell(s, in->cell, to.at, to.cols);
        s->w->pool[b].users--;
        if (!fine) return false;
    }
    return true;
}

/* Operands one after the other: each gets a block of its own, then its place. */
static bool through_coupled(sweep *s, int32_t i, const double *a)
{
    const rob_cell *c = &s->net->cell[i];
    for (int32_t k = 0; k < c->ins; k++) {
        const rob_link *in = &s->net->link[c->link + k];
        const rob_cell *z = &s->net->cell[in->cell];
        int32_t b = rob_priv_block_take(s->w, s->rows * z->size);
        if (b < 0) return false;
        double *to = s->w->pool[b].at;
        memset(to, 0, (size_t)(s->rows * z->size) * sizeof *to);
        rob_priv_couple_pull(s->w, i, s->rows, a, k, to);
        bool fine = true;
        if (z->live) fine = pass_on(s, in, 1, to, z->size);
        else end_on_cell(s, in->cell, to, z->size);
        s->w->pool[b].users--;
        if (!fine) return false;
    }
    return true;
}

static bool move_on(sweep *s, int32_t i, double *a)
{
    const rob_cell *c = &s->net->cell[i];
    rob_work *w = s->w;
    if (w->single != NULL) rob_priv_single_charge(w, c, s->rows, a);
    switch (c->kind) {
    case ROB_CELL_SUM: return through_sum(s, i, a);
    case ROB_CELL_JOIN: return through_join(s, i, a);
    case ROB_CELL_PRODUCT: return through_product(s, i, a);
    case ROB_CELL_LINEAR:
        return is_order(c) ? through_order(s, i, a) : through_pull(s, i, a);
    case ROB_CELL_CURVED: return through_planes(s, i, a);
    case ROB_CELL_COUPLED: return through_coupled(s, i, a);
    default: break;
    }
    if (w->halves != NULL) rob_priv_half_gather(w->halves, c, s->rows, a);
    if (w->affine != NULL) rob_priv_affine_gather(w, c, s->rows, a);
    rob_priv_ball_collect(&w->ball, c->first, c->size, s->rows, a, c->size, w->base,
                          w->loss, w->measure);
    w->ops += 4 * (double)c->size + 16;
    return true;
}

/* ---- ends ------------------------------------------------------------------------ */

/* A proof from what a row has come to; NaN proves nothing. */
static rob_proof proof_of(const sweep *s, int64_t r)
{
    const rob_work *w = s->w;
    double loss = fp_mul_up(w->loss[r], fp_up(1 + w->ops * ROB_U));
    const double *measure = w->measure + r * rob_priv_ball_width(&w->ball);
    rob_proof p = {.slope = rob_priv_ball_slope(&w->ball, measure, w->ops)};
    p.fixed = fp_or_lo(fp_add_lo(w->base[r], -loss));
    if (isnan(p.slope)) p.slope = INFINITY;
    double most = rob_priv_ball_loss(&w->ball, measure, p.slope, w->ops);
    p.value = most == 0 ? p.fixed : fp_or_lo(fp_add_lo(p.fixed, -most));
    return p;
}

/* Try the end on ranges here, leaving everything as it was. */
static void try_ending(sweep *s)
{
    rob_work *w = s->w;
    size_t bytes = (size_t)s->rows * sizeof(double);
    memcpy(w->base2, w->base, bytes);
    memcpy(w->loss2, w->loss, bytes);
    for (int32_t i = s->from; i >= 0; i--) {
        if (w->block[i] < 0) continue;
        end_on_cell(s, i, w->pool[w->block[i]].at, s->net->cell[i].size);
    }
    for (int64_t r = 0; r < s->rows; r++) {
        double value = proof_of(s, r).value;
        if (value > w->proof[r].value) w->proof[r].value = value;
    }
    memcpy(w->base, w->base2, bytes);
    memcpy(w->loss, w->loss2, bytes);
}

static void forget_measures(rob_work *w, int64_t rows)
{
    int64_t numbers = rows * rob_priv_ball_width(&w->ball);
    memset(w->measure, 0, (size_t)numbers * sizeof *w->measure);
}

static bool start(sweep *s, int32_t cell, const double *a, int64_t lda,
                  const double *base)
{
    rob_work *w = s->w;
    place p;
    w->ops = 64;
    for (int64_t r = 0; r < s->rows; r++) {
        w->base[r] = base != NULL ? base[r] : 0;
        w->loss[r] = 0;
        w->proof[r] = (rob_proof){.value = -INFINITY};
    }
    forget_measures(w, s->rows);
    if (w->halves != NULL) rob_priv_half_clear(w->halves, s->rows);
    if (!place_of(s, cell, true, &p)) return false;
    for (int64_t r = 0; r < s->rows; r++)
        memcpy(p.at + r * p.ld, a + r * lda,
               (size_t)s->net->cell[cell].size * sizeof *a);
    return true;
}

/* Multipliers on numbers of this root (multiplier.c). */
static bool turn_in(sweep *s, int32_t cell)
{
    for (int64_t k = 0; k < s->w->turns; k++) {
        const rob_turn *t = &s->w->turn[k];
        place p;
        if (t->cell != cell || !(t->beta > 0)) continue;
        if (!place_of(s, cell, true, &p)) return false;
        rob_priv_turn_rows(s->w, t, s->rows, p.at, p.ld);
    }
    return true;
}

/* Cells of steps before `first` are not gone through but ended on. */
static bool walk(sweep *s, int64_t first, int32_t age)
{
    rob_work *w = s->w;
    int64_t next_try = 1;
    for (; s->from >= 0; s->from--) {
        const rob_cell *c = &s->net->cell[s->from];
        if (w->turns > 0 && !turn_in(s, s->from)) return false;
        if (w->block[s->from] < 0) continue;
        if (!w->plain && c->time >= 0 && c->time < age - next_try + 1) {
            try_ending(s);
            next_try *= 2;
        }
        double *a = w->pool[w->block[s->from]].at;
        if (w->look != NULL) w->look(w->look_user, s->from, s->rows, a);
        if (c->time >= 0 && c->time < first) end_on_cell(s, s->from, a, c->size);
        else if (!move_on(s, s->from, a)) return false;
        drop_block(w, s->from);
    }
    return true;
}

static rob_status sweep_known(rob_work *w, int32_t cell, int64_t rows, const double *a,
                              int64_t lda, const double *base)
{
    sweep s = {w, w->net, rows, -1};
    w->ops = 64;
    for (int64_t r = 0; r < rows; r++) {
        w->base[r] = base != NULL ? base[r] : 0;
        w->loss[r] = 0;
    }
    forget_measures(w, rows);
    end_on_cell(&s, cell, a, lda);
    for (int64_t r = 0; r < rows; r++) w->proof[r] = proof_of(&s, r);
    return ROB_OK;
}

rob_status rob_priv_sweep(rob_work *w, int32_t cell, int64_t rows, const double *a,
                          int64_t lda, const double *base)
{
    const rob_cell *c = &w->net->cell[cell];
    if (!c->live) return sweep_known(w, cell, rows, a, lda, base);
    sweep s = {w, w->net, rows, c->root};
    int64_t first = w->depth > 0 ? c->age - w->depth : -1;
    bool fine = start(&s, cell, a, lda, base) && walk(&s, first, c->age);
    for (int32_t i = c->root; !fine && i >= 0; i--) drop_block(w, i);
    if (!fine) {
        for (int32_t i = 0; i < w->blocks; i++) w->pool[i].users = 0;
        return ROB_EMEMORY;
    }
    for (int64_t r = 0; r < rows; r++) {
        rob_proof p = proof_of(&s, r);
        if (w->proof[r].value > p.value) p.value = w->proof[r].value;
        w->proof[r] = p;
    }
    if (w->halves != NULL && w->halves->count > 0) rob_priv_half_improve(w->halves, rows);
    return ROB_OK;
}
