/* trace.c -- a row substituted backwards on mixtures of planes, and what they make of x*.
 *
 * Back: coefficients a of all cells, each element of a curved cell on the mixture of its
 * planes that the sign of a asks for. x* is where the row is least on the ball. Forth: z*,
 * the value every cell has at x* if its elements are their mixtures. Neither is rounded
 * with care: alpha.c proves with what it learns here.
 *
 * Reference: Xu et al., ICLR 2021; docs/theory/bound.md 7.
 */
#include "bound/alpha.h"
#include "bound/branch/half.h"

#include <string.h>

enum { K = ROB_ALPHA_PLANES };

static double *mixture(const rob_alpha *s, int side, int k, const rob_cell *c)
{
    return s->weight + (side * K + k) * s->w->net->range_size + c->at;
}

/* ---- one substitution ------------------------------------------------------------ */

rob_bend rob_priv_alpha_bend(const rob_alpha *s, int k, int32_t cell)
{
    rob_work view = *s->w;
    view.plane = s->plane[k];
    return rob_priv_plane_of(&view, cell);
}

static double *on(const rob_alpha *s, double *numbers, int32_t cell)
{
    return numbers + s->w->net->cell[cell].at;
}

static void touch(rob_alpha *s, int32_t cell)
{
    s->touched[s->w->net->cell[cell].root] = true;
}

static void back_curved(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    const double *a = on(s, s->a, i);
    double *to[ROB_MAX_INS];
    int32_t live = 0;
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = net->link[c->link + k].cell;
        if (!net->cell[in].live) continue;
        to[live++] = on(s, s->a, in);
        touch(s, in);
    }
    for (int k = 0; k < s->count; k++) {
        const rob_bend b = rob_priv_alpha_bend(s, k, i);
        const double *w[2] = {mixture(s, 0, k, c),
                              mixture(s, 1, k, c)};
        for (int64_t e = 0; e < c->size; e++) {
            bool above = a[e] < 0;
            double share = a[e] * w[above][e];
            s->base += share * (above ? b.up_offset : b.lo_offset)[e];
            for (int32_t j = 0; j < live; j++)
                to[j][e] += share * (above ? b.up : b.lo)[j][e];
        }
    }
}

static void back_product(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    const rob_link *in = &net->link[c->link];
    const bool tb = c->node.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb], rows = c->size / n;
    double *to = on(s, s->a, in[0].cell);
    touch(s, in[0].cell);
    if (k > ROB_NARROW)
        net->la->product(rows, k, n, on(s, s->a, i), n, 1, c->packed, to, k, 1);
    else net->kernel->narrow(rows, n, k, on(s, s->a, i), n, c->packed, to, k);
}

static void back_linear(rob_alpha *s, int32_t i)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[i];
    const rob_rows row = {1, c->size, on(s, s->a, i)};
    double loss = 0;
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = w->net->link[c->link + k].cell;
        if (!w->net->cell[in].live) continue;
        rob_rows to = {1, w->net->cell[in].size, on(s, s->a, in)};
        touch(s, in);
        c->node.op->pull(&c->node, rob_priv_operands(w, c), c->output, &row, k, &to,
                         &s->base, &loss);
    }
}

/* Sums and joins: each operand reads its part of the coefficients, by sign. */
static void back_parts(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    const double *a = on(s, s->a, i);
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = net->link[c->link + k].cell;
        const rob_cell *z = &net->cell[in];
        double sign = c->kind == ROB_CELL_SUM && k == 1 ? c->sign : 1;
        if (z->live) {
            double *to = on(s, s->a, in);
            touch(s, in);
            for (int64_t e = 0; e < z->size; e++) to[e] += sign * a[e];
        } else {
            for (int64_t e = 0; e < z->size; e++) s->base += sign * a[e] * z->lo[e];
        }
        if (c->kind == ROB_CELL_JOIN) a += z->size;
    }
}

/* The row a (on numbers of `cell`) back to x. */
void rob_priv_alpha_back(rob_alpha *s, int32_t cell, const double *row, double base)
{
    const rob_network *net = s->w->net;
    memset(s->a, 0, (size_t)net->range_size * sizeof *s->a);
    memset(s->touched, 0, (size_t)net->cells * sizeof *s->touched);
    memcpy(on(s, s->a, cell), row, (size_t)net->cell[cell].size * sizeof *row);
    touch(s, cell);
    s->base = base;
    for (int32_t i = net->cell[cell].root; i >= 0; i--) {
        const rob_cell *c = &net->cell[i];
        if (s->w->turns > 0) rob_priv_turn_row(s, i);
        if (!s->touched[i] || !c->live || c->kind == ROB_CELL_VIEW) continue;
        if (c->kind == ROB_CELL_CURVED && rob_priv_alpha_mixes(c)) back_curved(s, i);
        else if (c->kind == ROB_CELL_COUPLED) rob_priv_attend_back(s, i);
        else if (c->kind == ROB_CELL_PRODUCT) back_product(s, i);
        else if (c->kind == ROB_CELL_LINEAR) back_linear(s, i);
        else if (c->kind != ROB_CELL_INPUT) back_parts(s, i);
    }
}

/* ---- where it is least ----------------------------------------------------------- */

static void gather_gradient(rob_alpha *s, double *g)
{
    const rob_network *net = s->w->net;
    memset(g, 0, (size_t)(net->steps * net->features) * sizeof *g);
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->kind == ROB_CELL_INPUT && s->touched[i])
            memcpy(g + c->first, on(s, s->a, i), (size_t)c->size * sizeof *g);
    }
}

/* x*, within the numbers' ranges, and the bound there. */
double rob_priv_alpha_least(rob_alpha *s)
{
    const rob_ball *b = &s->w->ball;
    const int64_t n = s->w->net->steps * s->w->net->features;
    double *g = s->point, size = 0, value = s->base;
    int64_t most = 0;
    gather_gradient(s, g);
    if (s->w->halves != NULL && s->w->halves->count > 0)
        return value + rob_priv_half_minimum(s->w->halves, b->x, s->point);
    for (int64_t k = 0; k < n; k++) {
        bool fixed = s->lo[k] == s->up[k];
        size += fixed ? 0 : g[k] * g[k];
        if (!fixed && fabs(g[k]) > fabs(g[most])) most = k;
    }
    size = sqrt(size);
    for (int64_t k = 0; k < n; k++) {
        double a = g[k], x = b->x[k], to = a > 0 ? s->lo[k] : s->up[k];
        if (b->norm == ROB_NORM_L2) to = size > 0 ? x - b->eps * a / size : x;
        if (b->norm == ROB_NORM_L1 && k != most) to = x;
        to = fp_min(fp_max(to, s->lo[k]), s->up[k]);
        value += a * to;
        s->point[k] = to;
    }
    return value;
}

/* ---- forwards on the chosen planes ----------------------------------------------- */

static void fore_curved(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    const double *a = on(s, s->a, i), *z[ROB_MAX_INS];
    double *y = on(s, s->z, i);
    int32_t live = 0;
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = net->link[c->link + k].cell;
        if (net->cell[in].live) z[live++] = on(s, s->z, in);
    }
    memset(y, 0, (size_t)c->size * sizeof *y);
    for (int k = 0; k < s->count; k++) {
        const rob_bend b = rob_priv_alpha_bend(s, k, i);
        for (int64_t e = 0; e < c->size; e++) {
            bool above = a[e] < 0;
            double v = (above ? b.up_offset : b.lo_offset)[e];
            for (int32_t j = 0; j < live; j++) v += (above ? b.up : b.lo)[j][e] * z[j][e];
            y[e] += mixture(s, above, k, c)[e] * v;
        }
    }
}

static void fore_operator(rob_alpha *s, int32_t i)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[i];
    const rob_range *in = rob_priv_operands(w, c);
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t z = w->net->link[c->link + k].cell;
        if (w->net->cell[z].live) w->range[k].lo = w->range[k].up = on(s, s->z, z);
    }
    rob_range out = {c->node.shape, on(s, s->z, i), w->fresh};
    c->node.op->interval(&c->node, in, c->output, &out);
}

static void fore_parts(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    double *y = on(s, s->z, i);
    memset(y, 0, (size_t)c->size * sizeof *y);
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = net->link[c->link + k].cell;
        const rob_cell *z = &net->cell[in];
        const double *v = z->live ? on(s, s->z, in) : z->lo;
        double sign = c->kind == ROB_CELL_SUM && k == 1 ? c->sign : 1;
        for (int64_t e = 0; e < z->size; e++) y[e] += sign * v[e];
        if (c->kind == ROB_CELL_JOIN) y += z->size;
    }
}

static void fore_product(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    const rob_link *in = &net->link[c->link];
    const bool tb = c->node.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb];
    net->la->product(c->size / n, n, k, on(s, s->z, in[0].cell), k, 1, c->onward,
                     on(s, s->z, i), n, 0);
}

void rob_priv_alpha_forth(rob_alpha *s, int32_t root)
{
    const rob_network *net = s->w->net;
    for (int32_t i = 0; i <= root; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || !s->touched[i] || c->kind == ROB_CELL_VIEW) continue;
        if (c->kind == ROB_CELL_INPUT)
            memcpy(on(s, s->z, i), s->point + c->first, (size_t)c->size * sizeof(double));
        else if (rob_priv_alpha_mixes(c)) fore_curved(s, i);
        else if (c->kind == ROB_CELL_COUPLED) rob_priv_attend_forth(s, i);
        else if (c->kind == ROB_CELL_PRODUCT) fore_product(s, i);
        else if (c->kind == ROB_CELL_SUM || c->kind == ROB_CELL_JOIN) fore_parts(s, i);
        else fore_operator(s, i);
    }
}
