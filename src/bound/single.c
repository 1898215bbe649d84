/* single.c -- what evaluation in float32 may add to every number of the network.
 *
 * An evaluation in IEEE single precision is the network with a disturbance after each
 * operation: v = op(z) + e, where z are the operands as they were computed. With u =
 * 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2.2, 3.1, 3.5)
 *
 *     a sum of n terms, in any order, products fused or not     |e| <= gamma_n sum |term|
 *     a function right to k units in the last place             |e| <= k 2^-23 |v|
 *     x and stored numbers brought to float32                   |e| <= u |v|
 *
 * and 2^-126 more for each operation, should subnormals be flushed. Ranges grow by e, and
 * a row with coefficient a on v pays |a| |e|: so ranges, planes and rows are those of all
 * disturbed networks, and what is proved holds for each. Sums of sums (gates: x W, two
 * biases, h W) are taken as one sum of all their terms, each level paying what the levels
 * below have not: (n - n_a) u sum |terms of a|.
 *
 * docs/theory/bound.md, section 9.
 */
#include "bound/single.h"

#include <string.h>

#define UNIT 0x1p-24
#define LAST 0x1p-23 /* a unit in the last place, at most, of 1 */
#define FLUSHED 0x1p-126
#define LARGEST 0x1p127

/* e = (each k + flat) 2^-23 size: of the result, or of the operands but the first. */
static const struct rule { int32_t op; double each, flat; bool operands; } RULES[] = {
    { ROB_OP_tanh, 1, 0, false },     { ROB_OP_sigmoid, 1, 0, false },
    { ROB_OP_exp, 1, 0, false },      { ROB_OP_softplus, 1, 0, false },
    { ROB_OP_sqrt, 1, 0, false },     { ROB_OP_relu, 0, 0, false },
    { ROB_OP_abs, 0, 0, false },      { ROB_OP_max, 0, 0, false },
    { ROB_OP_square, 0, 1, false },   { ROB_OP_mul, 0, 1, false },
    { ROB_OP_sigmul, 1, 1, false },   { ROB_OP_sigtanh, 2, 1, false },
    { ROB_OP_blend, 2, 4, true },     { ROB_OP_where, 0, 0, false },
};

/* Affine operators: roundings of a term; -1: as many as terms of a sum. */
static const struct { int32_t op; int64_t terms; } AFFINE[] = {
    { ROB_OP_permute, 0 }, { ROB_OP_split, 0 }, { ROB_OP_concat, 0 },
    { ROB_OP_expand, 0 },  { ROB_OP_affine, 6 }, { ROB_OP_mul, 3 },
    { ROB_OP_sum_to, -1 }, { ROB_OP_matmul, -1 }, { ROB_OP_where, 0 },
};

/* Ranges of all operands of a cell. */
static int64_t room_of(const rob_network *net)
{
    int64_t most = 1;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        int64_t size = 1;
        for (int32_t k = 0; k < c->ins; k++)
            size += 2 * net->cell[net->link[c->link + k].cell].size;
        if (c->kind == ROB_CELL_LINEAR && size > most) most = size;
    }
    return most;
}

rob_status rob_priv_single_open(rob_work *w, double ulps, double share)
{
    const rob_network *net = w->net;
    const rob_memory *m = &w->memory;
    rob_single *s = w->single = rob_priv_allocate(m, 1, (int64_t)sizeof *s);
    if (s == NULL) return ROB_EMEMORY;
    s->ulps = ulps;
    s->share = share;
    s->error = rob_priv_allocate(m, net->range_size + 1, (int64_t)sizeof *s->error);
    s->mass = rob_priv_allocate(m, net->range_size + 1, (int64_t)sizeof *s->mass);
    s->terms = rob_priv_allocate(m, net->cells, (int64_t)sizeof *s->terms);
    s->wide = rob_priv_allocate(m, 2 * net->widest + 1, (int64_t)sizeof *s->wide);
    s->operands = rob_priv_allocate(m, room_of(net), (int64_t)sizeof *s->operands);
    bool fine = s->error && s->mass && s->terms && s->wide && s->operands;
    return fine ? ROB_OK : ROB_EMEMORY;
}

void rob_priv_single_close(rob_work *w)
{
    rob_single *s = w->single;
    if (s == NULL) return;
    void *const all[] = { s->error, s->mass, s->terms, s->wide, s->operands, s };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&w->memory, all[i]);
}

/* ---- sums ------------------------------------------------------------------------ */

/* Sum of the magnitudes of all terms of an operand's numbers. */
static const double *mass_of(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    return c->live ? w->single->mass + c->at : c->mass;
}

/* Known numbers: a sum of two, brought to float32. */
static int64_t terms_of(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    return c->live ? w->single->terms[c->root] : 2;
}

/* gamma_n mass, rounded up */
static double share_of(double n, double mass)
{
    double nu = n * UNIT;
    if (!(nu < 0.5)) return INFINITY;
    return fp_mul_up(fp_div_up(nu, 1 - nu), mass) + n * FLUSHED;
}

static void of_sum(rob_work *w, const rob_cell *c, double *mass, double *error)
{
    const rob_link *in = &w->net->link[c->link];
    const double *a = mass_of(w, in[0].cell), *b = mass_of(w, in[1].cell);
    const double na = (double)terms_of(w, in[0].cell), nb = (double)terms_of(w, in[1].cell);
    const double slack = 1 + 2 * (na + nb) * UNIT;
    for (int64_t e = 0; e < c->size; e++) {
        mass[e] = fp_add_up(a[e], b[e]);
        error[e] = fp_add_up(share_of(nb * slack, a[e]), share_of(na * slack, b[e]));
    }
    w->single->terms[c->root] = (int64_t)(na + nb);
}

static void of_product(rob_work *w, const rob_cell *c, double *mass, double *error)
{
    const rob_link *in = &w->net->link[c->link];
    const double *big = rob_priv_cell_big(w, in[0].cell);
    const double *weights = w->net->cell[in[1].cell].lo;
    const bool tb = c->node.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb];
    for (int64_t e = 0; e < c->size; e++) {
        double sum = 0;
        for (int64_t j = 0; j < k; j++)
            sum += fabs(weights[tb ? e % n * k + j : j * n + e % n]) * big[e / n * k + j];
        mass[e] = sum * (1 + (double)(k + 8) * ROB_U) + (double)k * ROB_TINY;
        error[e] = share_of((double)k + 2, mass[e]);
    }
    w->single->terms[c->root] = k + 2;
}

/* ---- other affine operators: magnitudes by the interval rule on [-V, V] ---------- */

static int64_t terms_of_affine(const rob_work *w, const rob_cell *c)
{
    const rob_link *in = &w->net->link[c->link];
    for (int64_t i = 0; i < COUNT_OF(AFFINE); i++) {
        if (AFFINE[i].op != c->node.op->id) continue;
        if (AFFINE[i].terms >= 0) return AFFINE[i].terms;
        int64_t size = w->net->cell[in[0].cell].size;
        if (c->node.op->id == ROB_OP_sum_to) return size / c->size + 2;
        return in[0].shape.dim[in[0].shape.rank - 1 - (c->node.attr.i[0] != 0)] + 2;
    }
    return -1;
}

static void symmetric_operands(rob_work *w, const rob_cell *c)
{
    const rob_link *in = &w->net->link[c->link];
    double *at = w->single->operands;
    for (int32_t i = 0; i < c->ins; i++) {
        const rob_cell *z = &w->net->cell[in[i].cell];
        const double *big = rob_priv_cell_big(w, in[i].cell);
        w->range[i] = (rob_range){ in[i].shape, at, at + z->size };
        for (int64_t e = 0; e < z->size; e++) at[z->size + e] = big[e], at[e] = -big[e];
        at += 2 * z->size;
    }
}

static void of_affine(rob_work *w, const rob_cell *c, double *mass, double *error)
{
    const int64_t n = terms_of_affine(w, c);
    double *up = w->single->wide + w->net->widest;
    symmetric_operands(w, c);
    rob_range out = { c->node.shape, w->single->wide, up };
    c->node.op->interval(&c->node, w->range, c->output, &out);
    for (int64_t e = 0; e < c->size; e++) {
        mass[e] = fp_or_up(fp_max(fabs(out.lo[e]), fabs(up[e])));
        error[e] = n == 0 ? 0 : n < 0 ? INFINITY : share_of((double)n, mass[e]);
    }
    w->single->terms[c->root] = n > 1 ? n : 1;
}

/* ---- functions ------------------------------------------------------------------- */

static void of_function(rob_work *w, const rob_cell *c, const double *size, double *error)
{
    const rob_link *in = &w->net->link[c->link];
    const struct rule *rule = NULL;
    for (int64_t i = 0; i < COUNT_OF(RULES); i++)
        if (RULES[i].op == c->node.op->id) rule = &RULES[i];
    for (int64_t e = 0; e < c->size; e++) {
        double of = size[e];
        for (int32_t i = 1; rule != NULL && rule->operands && i < c->ins; i++)
            of = fp_add_up(of, rob_priv_cell_big(w, in[i].cell)[e]);
        double share = rule != NULL ? (rule->each * w->single->ulps + rule->flat) * LAST : 0;
        if (rule == NULL) error[e] = INFINITY;
        else error[e] = share == 0 ? 0 : fp_mul_up(share * (1 + 8 * share), of) + 8 * FLUSHED;
    }
}

/* `fresh` holds the image: errors of its numbers, and the image with them. */
void rob_priv_single_widen(rob_work *w, const rob_cell *c)
{
    rob_single *s = w->single;
    double *lo = w->fresh, *up = w->fresh + w->net->widest;
    double *mass = s->mass + c->at, *error = s->error + c->at;
    s->terms[c->root] = 1;
    for (int64_t e = 0; e < c->size; e++) {
        mass[e] = fp_max(fabs(lo[e]), fabs(up[e]));
        error[e] = 0;
    }
    if (c->kind == ROB_CELL_SUM) of_sum(w, c, mass, error);
    else if (c->kind == ROB_CELL_PRODUCT) of_product(w, c, mass, error);
    else if (c->kind == ROB_CELL_LINEAR) of_affine(w, c, mass, error);
    else if (c->kind == ROB_CELL_CURVED) of_function(w, c, mass, error);
    for (int64_t e = 0; e < c->size; e++) {
        if (c->kind == ROB_CELL_COUPLED || !(mass[e] < LARGEST)) error[e] = INFINITY;
        if (c->kind == ROB_CELL_INPUT) error[e] = fp_mul_up(UNIT, mass[e]) + FLUSHED;
        error[e] *= s->share;
        lo[e] = fp_or_lo(fp_add_lo(lo[e], -error[e]));
        up[e] = fp_or_up(fp_add_up(up[e], error[e]));
        mass[e] = fp_add_up(mass[e], error[e]);
    }
}

void rob_priv_single_charge(rob_work *w, const rob_cell *c, int64_t rows, const double *a)
{
    w->net->kernel->cost(rows, c->size, a, c->size, w->single->error + c->at, w->cost);
    for (int64_t r = 0; r < rows; r++) w->loss[r] += w->cost[r];
    w->ops += (double)c->size + 8;
}
