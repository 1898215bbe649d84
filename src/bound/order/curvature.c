/* curvature.c -- the largest |eigenvalue| of the Hessian of a row over a ball.
 *
 * A sum of compositions has, exactly,
 *
 *     Hess row(x) = sum_k lambda_k(x) sum_ij H_k,ij(x) J_i(x) J_j(x)'
 *
 * over the elements k of curved operators: lambda_k the adjoint of their output, H_k their
 * second derivatives, J_i the gradient of operand i by x. All three are enclosed: lambda and J
 * by the recursion of adjoint.c, the latter from unit rows on every number that a gate reads;
 * H by its value at the middle of the box and what third derivatives (rho) add. With centres
 * a, H0, J0 and deviations delta, D, E,
 *
 *     |Hess - Q0| <= sum_k sum_ij (|a| + delta)(|H0| + D)(|J0_i| + E_i)(|J0_j| + E_j)'
 *                    - |a||H0||J0_i||J0_j|',      Q0 = sum a H0 J0_i J0_j',
 *
 * number by number, so ||Hess|| <= ||Q0|| + the largest row sum of that. It tends to the norm
 * of the Hessian at the centre as the ball shrinks, and is vacuous on large balls.
 * docs/theory/orders.md 5.
 */
#include "bound/order/adjoint.h"
#include "bound/order/trust.h"

#include <string.h>

/* slot: (cells) first number of a root that curved cells read, -1: none. */
typedef struct bowl {
    rob_work *w;
    int64_t slots, inputs, widest;
    int64_t *slot;
    double *j, *e;                 /* (slots, inputs) */
    double *centre[ROB_MAX_INS], *work[5 + 2 * ROB_MAX_INS + 6];
    double *hess[6], *spread[6];   /* (range_size) H0 and D */
    double *most, *least;          /* (inputs, inputs) sums with and without deviations */
    rob_trust trust;
} bowl;

static int at_pair(int32_t k, int i, int j)
{
    return k == 1 ? 0 : k == 2 ? i + j : (int[]){ 0, 1, 2, 1, 3, 4, 2, 4, 5 }[3 * i + j];
}

static bool get(const rob_memory *m, double **p, int64_t count)
{
    *p = rob_priv_allocate(m, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

static void find_slots(bowl *b)
{
    const rob_network *net = b->w->net;
    b->widest = 1;
    for (int32_t i = 0; i < net->cells; i++) b->slot[i] = -1;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        for (int32_t k = 0; c->live && c->kind == ROB_CELL_CURVED && k < c->ins; k++) {
            const int32_t root = net->cell[net->link[c->link + k].cell].root;
            if (net->cell[root].live) b->slot[root] = 0;
        }
    }
    for (int32_t i = 0; i < net->cells; i++) {
        if (b->slot[i] < 0) continue;
        b->slot[i] = b->slots;
        b->slots += net->cell[i].size;
        if (net->cell[i].size > b->widest) b->widest = net->cell[i].size;
    }
}

static void close_bowl(bowl *b)
{
    const rob_memory *m = &b->w->memory;
    rob_priv_release(m, b->slot);
    rob_priv_release(m, b->j);
    rob_priv_release(m, b->e);
    rob_priv_release(m, b->most);
    rob_priv_release(m, b->least);
    for (int i = 0; i < ROB_MAX_INS; i++) rob_priv_release(m, b->centre[i]);
    for (int i = 0; i < COUNT_OF(b->work); i++) rob_priv_release(m, b->work[i]);
    for (int k = 0; k < 6; k++) {
        rob_priv_release(m, b->hess[k]);
        rob_priv_release(m, b->spread[k]);
    }
    rob_priv_trust_close(m, &b->trust);
}

static bool open_bowl(bowl *b, rob_work *w)
{
    const rob_memory *m = &w->memory;
    const rob_network *net = w->net;
    *b = (bowl){ .w = w, .inputs = net->steps * net->features };
    b->slot = rob_priv_allocate(m, net->cells + 1, (int64_t)sizeof *b->slot);
    if (b->slot == NULL) return false;
    find_slots(b);
    const int64_t square = b->inputs * b->inputs;
    bool fine = get(m, &b->j, b->slots * b->inputs) && get(m, &b->e, b->slots * b->inputs)
                && get(m, &b->most, square) && get(m, &b->least, square);
    for (int i = 0; i < ROB_MAX_INS; i++) fine = fine && get(m, &b->centre[i], net->widest);
    for (int i = 0; i < COUNT_OF(b->work); i++)
        fine = fine && get(m, &b->work[i], net->widest);
    for (int k = 0; k < 6; k++)
        fine = fine && get(m, &b->hess[k], net->range_size)
               && get(m, &b->spread[k], net->range_size);
    return fine && rob_priv_trust_open(m, b->inputs, &b->trust) == ROB_OK;
}

/* ---- gradients of what gates read ------------------------------------------------------ */

/* J0 and E of row r, which is number r of the root, by step x. */
static void keep_step(bowl *b, const rob_adjoint *s, int32_t cell, const rob_cell *x, int64_t r)
{
    for (int64_t e = 0; e < x->size; e++) {
        const int64_t to = (b->slot[cell] + r) * b->inputs + x->first + e;
        b->j[to] = b->e[to] = 0;
        if (s->share[x->first + e] == 0) continue;
        b->j[to] = s->a[r * s->numbers + x->at + e];
        rob_priv_adjoint_deviation(s, r, x->at + e, &b->e[to]);
    }
}

/* J0 and E of the numbers of a root, by unit rows on it. */
static void keep_gradients(bowl *b, const rob_adjoint *s, int32_t cell)
{
    const rob_network *net = b->w->net;
    for (int32_t i = 0; i < net->cells; i++)
        for (int64_t r = 0; net->cell[i].kind == ROB_CELL_INPUT && r < net->cell[cell].size;
             r++)
            keep_step(b, s, cell, &net->cell[i], r);
}

static rob_status find_gradients(bowl *b)
{
    rob_work *w = b->w;
    const rob_network *net = w->net;
    rob_adjoint *s = NULL;
    rob_status status = rob_priv_adjoint_open(w, b->widest, &s);
    double *unit = rob_priv_allocate(&w->memory, b->widest * b->widest + 1, 8);
    if (status == ROB_OK && unit == NULL) status = ROB_EMEMORY;
    for (int32_t i = 0; i < net->cells && status == ROB_OK; i++) {
        const int64_t n = net->cell[i].size;
        if (b->slot[i] < 0) continue;
        memset(unit, 0, (size_t)(n * n) * sizeof *unit);
        for (int64_t k = 0; k < n; k++) unit[k * n + k] = 1;
        s->rows = n;
        status = rob_priv_adjoint_run(s, i, unit);
        if (status == ROB_OK) keep_gradients(b, s, i);
    }
    rob_priv_release(&w->memory, unit);
    rob_priv_adjoint_close(s);
    return status;
}

/* ---- second derivatives of gates -------------------------------------------------------- */

/* D from rho, m the reach of each operand: |f'''| m <= 3 rho; of a product |f''g'| m_y <= rho_x
 * and |f'g''| m_x <= rho_y; of a blend |s''| (m_n + m_h) <= rho_z. */
static double spread_of(const rob_curve *c, int32_t ins, int64_t e, int i, int j,
                        const double *m)
{
    if (i == j) return 3 * c->rho[i][e];
    if (ins == 3 && i != 0) return 0;
    const double rest = ins == 3 ? m[1] + m[2] : m[j];
    double sum = c->rho[0][e] == 0 ? 0 : c->rho[0][e] * (ins == 3 ? m[0] : m[i]) / rest;
    if (ins == 2 && c->rho[1][e] != 0) sum += c->rho[1][e] * m[j] / m[i];
    return sum;
}

static void bend_cell(bowl *b, const rob_cell *c)
{
    rob_work *w = b->w;
    const rob_range *in = rob_priv_operands(w, c);
    rob_curve out = { .count = c->size, .value = b->work[0], .slack = b->work[1] };
    for (int i = 0; i < ROB_MAX_INS; i++) {
        out.grad[i] = b->work[5 + i];
        out.rho[i] = b->work[5 + ROB_MAX_INS + i];
    }
    for (int k = 0; k < 6; k++) out.hess[k] = b->hess[k] + c->at;
    for (int i = 0; i < c->ins; i++)
        for (int64_t e = 0; e < c->size; e++)
            b->centre[i][e] = 0.5 * in[i].lo[e] + 0.5 * in[i].up[e];
    c->node.op->curve(&c->node, in, (const double *const *)b->centre, &out);
    for (int64_t e = 0; e < c->size; e++) {
        double m[ROB_MAX_INS] = { 0 }, size = 1;
        for (int i = 0; i < c->ins; i++) {
            m[i] = fp_max(in[i].up[e] - b->centre[i][e], b->centre[i][e] - in[i].lo[e]);
            m[i] = fp_max(m[i], 0x1p-900);
            size += fabs(b->centre[i][e]);
        }
        for (int i = 0; i < c->ins; i++)
            for (int j = i; j < c->ins; j++) {
                const int k = at_pair(c->ins, i, j);
                /* H0 itself: relative errors below 256 u of factors below `size` */
                b->spread[k][c->at + e] =
                    (1 - w->steep_fault) * fp_up(spread_of(&out, c->ins, e, i, j, m) * (1 + 0x1p-40))
                    + 0x1p-40 * size;
            }
    }
}

/* ---- sums -------------------------------------------------------------------------------- */

/* One pair of operands of one element: into Q0 and both sums of magnitudes. */
static void add_pair(bowl *b, int64_t p, int64_t q, double centre, double most)
{
    const int64_t d = b->inputs;
    const double *jp = b->j + p * d, *jq = b->j + q * d, *ep = b->e + p * d, *eq = b->e + q * d;
    const double size = fabs(centre);
    for (int64_t i = 0; i < d; i++)
        for (int64_t k = 0; k < d; k++) {
            const double v = jp[i] * jq[k], all = (fabs(jp[i]) + ep[i]) * (fabs(jq[k]) + eq[k]);
            b->trust.q[i * d + k] += centre * v;
            b->least[i * d + k] += size * fabs(v);
            if (all != 0) b->most[i * d + k] += most * all;
        }
}

static int64_t slot_at(const bowl *b, const rob_link *in, int64_t e)
{
    const rob_cell *z = &b->w->net->cell[in->cell];
    return z->live ? b->slot[z->root] + (z->kind == ROB_CELL_VIEW ? z->first : 0) + e : -1;
}

static void add_element(bowl *b, const rob_cell *c, int64_t e, double a, double deviation)
{
    const rob_link *link = &b->w->net->link[c->link];
    for (int i = 0; i < c->ins; i++)
        for (int j = 0; j < c->ins; j++) {
            const int64_t p = slot_at(b, &link[i], e), q = slot_at(b, &link[j], e);
            const int k = at_pair(c->ins, i, j);
            const double h = b->hess[k][c->at + e], d = b->spread[k][c->at + e];
            if (p < 0 || q < 0) continue;
            const double most = fp_mul_up(fp_up(fabs(a) + deviation), fp_up(fabs(h) + d));
            add_pair(b, p, q, a * h, most);
        }
}

/* ||Q0|| and the largest row sum of what deviates, rounding of `terms` terms included */
static rob_status norm_of(bowl *b, double terms, double *norm)
{
    const int64_t d = b->inputs;
    double worst = 0, centre;
    for (int64_t i = 0; i < d; i++) {
        double sum = 0;
        for (int64_t k = 0; k < d; k++) {
            const double most = b->most[i * d + k];
            sum += most - b->least[i * d + k] + 4 * terms * ROB_U * most;
        }
        if (isnan(sum)) sum = INFINITY;
        worst = fp_max(sum * (1 + 4 * (double)d * ROB_U) + terms * (double)d * ROB_TINY, worst);
    }
    /* the lower triangle is as near to Q0 as the upper one */
    rob_status status = rob_priv_trust_curvature(&b->w->memory, &b->trust, &centre);
    *norm = fp_add_up(centre, worst);
    if (isnan(*norm)) *norm = INFINITY;
    return status;
}

static rob_status norm_of_row(bowl *b, const rob_adjoint *s, int64_t r, double *norm)
{
    const rob_network *net = b->w->net;
    const size_t bytes = (size_t)(b->inputs * b->inputs) * sizeof(double);
    double terms = 64;
    memset(b->trust.q, 0, bytes);
    memset(b->most, 0, bytes);
    memset(b->least, 0, bytes);
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || c->kind != ROB_CELL_CURVED) continue;
        terms += 9 * (double)c->size;
        for (int64_t e = 0; e < c->size; e++) {
            double deviation;
            rob_priv_adjoint_deviation(s, r, c->at + e, &deviation);
            const double a = s->a[r * s->numbers + c->at + e];
            if (a != 0 || deviation != 0) add_element(b, c, e, a, deviation);
        }
    }
    return norm_of(b, terms, norm);
}

static bool all_smooth(const rob_network *net)
{
    for (int32_t i = 0; i < net->cells; i++)
        if (net->cell[i].live && net->cell[i].kind == ROB_CELL_CURVED
            && net->cell[i].node.op->curve == NULL)
            return false;
    return true;
}

rob_status rob_priv_bound_curvature(rob_adjoint *rows, const rob_demand *d, double *most)
{
    rob_work *w = rows->w;
    const rob_network *net = w->net;
    rob_status status = ROB_OK;
    bowl b;
    *most = INFINITY;
    if (!all_smooth(net) || w->ball.region != NULL || w->broken) return ROB_OK;
    if (!open_bowl(&b, w)) status = ROB_EMEMORY;
    for (int32_t i = 0; status == ROB_OK && i < net->cells; i++)
        if (net->cell[i].live && net->cell[i].kind == ROB_CELL_CURVED)
            bend_cell(&b, &net->cell[i]);
    if (status == ROB_OK) status = find_gradients(&b);
    double worst = 0;
    for (int64_t r = 0; r < d->rows && status == ROB_OK; r++) {
        double norm;
        status = norm_of_row(&b, rows, r, &norm);
        if (status == ROB_OK) worst = fp_max(norm, worst);
    }
    if (status == ROB_OK) *most = worst;
    close_bowl(&b);
    return status;
}
