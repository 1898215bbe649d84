/* single.c -- what evaluation in float32 may add to every number of the network.
 *
 * An evaluation in IEEE single precision is the network with a disturbance after each
 * operation: v = op(z) + e, where z are the operands as they were computed. With u =
 * 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2.2, 3.1, 3.5)
 *
 *     a sum of n terms, in any order, products fused or not     |e| <= gamma_n sum |term|
 *     a function right to k units in the last place             |e| <= k 2^-23 |v|
 *     x and stored numbers brought to float32                   |e| <= u |v|
 *     softmax, layer norm: factors, whose logarithms add up     |e| <= (exp(h) - 1) |v|
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

/* e = (each k + flat) 2^-23 size: of the result, or of operands from `first` up to `end`.
 * gelu: x/2 times 1 + erf or 1 + tanh of an argument that is right to 7 u, and z f'(z) < 1/2. */
static const struct rule { int32_t op; double each, flat; int32_t first, end; } RULES[] = {
    { ROB_OP_tanh, 1, 0, 0, 0 },     { ROB_OP_sigmoid, 1, 0, 0, 0 },
    { ROB_OP_exp, 1, 0, 0, 0 },      { ROB_OP_softplus, 1, 0, 0, 0 },
    { ROB_OP_sqrt, 1, 0, 0, 0 },     { ROB_OP_relu, 0, 0, 0, 0 },
    { ROB_OP_abs, 0, 0, 0, 0 },      { ROB_OP_max, 0, 0, 0, 0 },
    { ROB_OP_square, 0, 1, 0, 0 },   { ROB_OP_mul, 0, 1, 0, 0 },
    { ROB_OP_sigmul, 1, 1, 0, 0 },   { ROB_OP_sigtanh, 2, 1, 0, 0 },
    { ROB_OP_blend, 2, 4, 1, 3 },    { ROB_OP_where, 0, 0, 0, 0 },
    { ROB_OP_gelu, 1, 3, 0, 1 },
};

/* Affine operators: roundings of a term; -1: as many as terms of a sum. */
static const struct { int32_t op; int64_t terms; } AFFINE[] = {
    { ROB_OP_permute, 0 }, { ROB_OP_split, 0 }, { ROB_OP_concat, 0 },
    { ROB_OP_expand, 0 },  { ROB_OP_affine, 6 }, { ROB_OP_mul, 3 },
    { ROB_OP_sum_to, -1 }, { ROB_OP_matmul, -1 }, { ROB_OP_where, 0 },
    { ROB_OP_centre, -1 },
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
        bool reads = c->kind == ROB_CELL_LINEAR || c->kind == ROB_CELL_COUPLED;
        if (reads && size > most) most = size;
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
        if (c->node.op->id == ROB_OP_centre) return rob_priv_shape_cols(&in[0].shape) + 3;
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

/* x_i - mean: x_i (1 - 1/n) by the rule, x_i and its share of the mean when computed */
static double with_own_share(const rob_work *w, const rob_cell *c, int64_t e, double mass)
{
    const rob_link *in = &w->net->link[c->link];
    double n = (double)rob_priv_shape_cols(&in[0].shape);
    return fp_add_up(mass, fp_div_up(2 * rob_priv_cell_big(w, in[0].cell)[e], n));
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
        if (c->node.op->id == ROB_OP_centre) mass[e] = with_own_share(w, c, e, mass[e]);
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
        if (rule != NULL && rule->end > 0) of = 0;
        for (int32_t i = rule != NULL ? rule->first : 0; rule != NULL && i < rule->end; i++)
            of = fp_add_up(of, rob_priv_cell_big(w, in[i].cell)[e]);
        double share = rule != NULL ? (rule->each * w->single->ulps + rule->flat) * LAST : 0;
        if (rule == NULL) error[e] = INFINITY;
        else error[e] = share == 0 ? 0 : fp_mul_up(share * (1 + 8 * share), of) + 8 * FLUSHED;
    }
}

/* ---- rows ------------------------------------------------------------------------ */

/* n u/(1 - n u) */
static double gamma_up(double n)
{
    return n * UNIT < 0.25 ? fp_div_up(n * UNIT, 1 - n * UNIT) : INFINITY;
}

/* -log(1 - e) <= e/(1 - e) */
static double as_log(double e) { return e < 0.25 ? fp_div_up(e, fp_lo(1 - e)) : INFINITY; }

/* relative error of what is right to a factor exp(+-h): exp(h) - 1 <= h/(1 - h) */
static double as_share(double h) { return h < 0.5 ? fp_div_up(h, fp_lo(1 - h)) : INFINITY; }

/* What is off, as a logarithm, in the n exponentials of x - max x and in their sum (S >= 1):
 * the difference by u of it, exp by k ulps; below 2^-126 nothing may be left. */
static double of_exponents(const rob_work *w, const rob_range *z, int64_t first, int64_t n,
                           double *sum)
{
    double lo = INFINITY, up = -INFINITY;
    for (int64_t j = first; j < first + n; j++) {
        lo = fp_min(lo, z->lo[j]);
        up = fp_max(up, z->up[j]);
    }
    double wide = fp_mul_up(fp_up(up - lo), UNIT), k = w->single->ulps * LAST;
    double each = fp_add_up(wide, as_log(k));
    *sum = fp_add_up(fp_add_up(each, as_log(gamma_up((double)n))), 4 * (double)n * FLUSHED);
    return each;
}

static double of_softmax(const rob_work *w, const rob_range *z, int64_t first, int64_t n)
{
    double sum, each = of_exponents(w, z, first, n, &sum);
    return as_share(fp_add_up(fp_add_up(each, sum), as_log(2 * UNIT)));
}

/* m + log S, S in [1, n]: absolute */
static double of_logsumexp(const rob_work *w, const rob_range *z, int64_t first, int64_t n,
                           double size)
{
    double sum, k = w->single->ulps * LAST;
    of_exponents(w, z, first, n, &sum);
    double log_n = fp_add_up(fp_up(log((double)n) * (1 + 0x1p-40)), sum);
    double all = fp_add_up(sum, fp_mul_up(k, log_n));
    return fp_add_up(all, fp_mul_up(2 * UNIT, fp_add_up(size, all))) + 8 * FLUSHED;
}

/* x (mean x^2 + eps)^(-1/2): n squares, their sum, the division, eps and its sum, all of
 * one sign; half of that; the root by k ulps, two more operations */
static double of_rmsnorm(const rob_work *w, const rob_cell *c, int64_t n)
{
    double g = as_log(gamma_up((double)n + 5)), k = as_log(w->single->ulps * LAST);
    double lost = fp_div_up((double)(n + 2) * FLUSHED, c->node.attr.x[0]);
    double h = fp_add_up(fp_add_up(0.5 * g, lost), fp_add_up(k, as_log(3 * UNIT)));
    return as_share(h);
}

static void of_rows(rob_work *w, const rob_cell *c, const double *size, double *error)
{
    const rob_range *z = rob_priv_operands(w, c);
    const int64_t n = rob_priv_shape_cols(&z[0].shape), rows = rob_priv_shape_rows(&z[0].shape);
    const int64_t per = c->size / rows;
    for (int64_t e = 0; e < c->size; e++) {
        const int64_t first = e / per * n;
        double share = INFINITY;
        if (c->node.op->id == ROB_OP_softmax) share = of_softmax(w, z, first, n);
        if (c->node.op->id == ROB_OP_rmsnorm) share = of_rmsnorm(w, c, n);
        error[e] = c->node.op->id == ROB_OP_logsumexp
                       ? of_logsumexp(w, z, first, n, size[e])
                       : fp_add_up(fp_mul_up(share, size[e]), 16 * FLUSHED);
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
    else if (c->kind == ROB_CELL_COUPLED && c->node.op->id == ROB_OP_matmul)
        of_affine(w, c, mass, error);
    else if (c->kind == ROB_CELL_COUPLED) of_rows(w, c, mass, error);
    for (int64_t e = 0; e < c->size; e++) {
        if (!(mass[e] < LARGEST) || isnan(error[e])) error[e] = INFINITY;
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
