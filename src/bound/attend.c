/* attend.c -- planes of attention chosen for a row: softmax and layer norm.
 *
 * A search (alpha.c) goes back and forth through these cells on planes of its own, which
 * stand in the array of those that move:
 *
 *     rmsnorm   the mixture theta of every number, by a secant: planes of all numbers at
 *               theta + h tell all derivatives at once, each being its number's alone
 *     softmax   the point t where a row's planes touch goes to the mean of the scores s*
 *               seen so far; sum L p = c + sum (L - c) p, d bound / d c = 1 - sum p*
 *
 * s*, p* being what the planes in use make of the row's minimiser. Products of two uncertain
 * values keep the corner that pair.c takes: mixtures of corners gained nothing. Offsets are
 * rigorous for any theta, t and c; a sweep proves with the best.
 *
 * Reference: Xu et al., ICLR 2021; Shi et al., ICLR 2020; Brown, Iterative solution of games
 * by fictitious play (1951), for t; docs/theory/bound.md 7.1.
 */
#include "bound/alpha.h"
#include "bound/couple.h"

#include <string.h>

enum { MOVED = ROB_ALPHA_MOVED };
static const double SHIFT = 1; /* first step of c, in mean coefficients, over Adam's rate */

static bool is_product(const rob_cell *c) { return c->node.op->id == ROB_OP_matmul; }
static bool is_softmax(const rob_cell *c) { return c->node.op->id == ROB_OP_softmax; }
static bool is_norm(const rob_cell *c) { return c->node.op->id == ROB_OP_rmsnorm; }

/* The work on the planes that move, and back. */
static double *enter(rob_alpha *s)
{
    double *own = s->w->plane;
    s->w->plane = s->plane[MOVED];
    return own;
}

/* numbers of operand k: those in s->a, or in s->z */
static double *operand(const rob_alpha *s, double *numbers, const rob_cell *c, int32_t k)
{
    const rob_network *net = s->w->net;
    return numbers + net->cell[net->link[c->link + k].cell].at;
}

/* ---- back and forth -------------------------------------------------------------- */

void rob_priv_attend_back(rob_alpha *s, int32_t i)
{
    rob_work *w = s->w;
    const rob_network *net = w->net;
    const rob_cell *c = &net->cell[i];
    double *own = enter(s), *a = s->a + c->at;
    w->base[0] = w->loss[0] = w->cost[0] = 0;
    if (is_softmax(c)) s->base += rob_priv_couple_shift(w, i, a);
    for (int32_t k = 0; k < (is_product(c) ? 2 : 1); k++) {
        const rob_cell *z = &net->cell[net->link[c->link + k].cell];
        double *to = operand(s, s->a, c, k);
        memset(s->theta, 0, (size_t)z->size * sizeof *s->theta);
        rob_priv_couple_pull(w, i, 1, a, k, s->theta);
        for (int64_t e = 0; e < z->size; e++) to[e] += s->theta[e];
        s->touched[z->root] = true;
    }
    s->base += w->base[0];
    w->plane = own;
}

/* y: what the planes of rows, on the sides that a chose, make of z */
static void value_of_rows(const rob_alpha *s, int32_t i, double *y)
{
    const rob_cell *c = &s->w->net->cell[i];
    const rob_couple_rows r = rob_priv_couple_rows(s->w, i);
    const double *z = operand(s, s->z, c, 0), *a = s->a + c->at;
    for (int64_t g = 0; g < r.groups; g++) {
        double sum[2] = {0, 0};
        for (int64_t j = g * r.from; j < (g + 1) * r.from; j++)
            for (int side = 0; side < 2; side++) sum[side] += r.right[side][j] * z[j];
        for (int64_t e = g * r.per; e < (g + 1) * r.per; e++) {
            int side = a[e] < 0;
            y[e] = r.offset[side][e] - r.left[side][e] * sum[side];
            if (r.per == r.from) y[e] += r.slope[side][e] * z[e];
        }
    }
}

void rob_priv_attend_forth(rob_alpha *s, int32_t i)
{
    const rob_cell *c = &s->w->net->cell[i];
    double *own = enter(s);
    if (is_product(c))
        rob_priv_pair_at(s->w, i, s->a + c->at, operand(s, s->z, c, 0),
                         operand(s, s->z, c, 1), s->z + c->at);
    else value_of_rows(s, i, s->z + c->at);
    s->w->plane = own;
}

/* ---- steps ----------------------------------------------------------------------- */

/* Place of a cell's parameter of element e on one side, in arrays of slopes. */
static int64_t place(const rob_alpha *s, const rob_cell *c, int side, int64_t e)
{
    return side * s->w->net->range_size + c->at + e;
}

/* theta of all numbers of an operator over rows, below and above, from the place of their
 * parameters; where it is said, moved by h inwards */
static void gather_theta(const rob_alpha *s, const rob_cell *c, double h, double *theta)
{
    for (int64_t e = 0; e < c->size; e++)
        for (int side = 0; side < 2; side++) {
            double t = s->slope.touch[place(s, c, side, e)];
            theta[2 * e + side] = t + (t > 0.5 ? -h : h);
        }
}

enum { NORM_STEPS = 16 };

static void step_norm(rob_alpha *s, int32_t i)
{
    const rob_cell *c = &s->w->net->cell[i];
    const double *a = s->a + c->at, *was = s->z + c->at, h = 1.0 / NORM_STEPS;
    double *theta = s->theta, *now = s->theta + 2 * s->w->net->widest;
    gather_theta(s, c, h, theta);
    rob_priv_couple_rows_make(s->w, i, theta);
    value_of_rows(s, i, now);
    for (int64_t e = 0; e < c->size; e++) {
        const int64_t at = place(s, c, a[e] < 0, e);
        double *t = &s->slope.touch[at], g = (now[e] - was[e]) / (*t > 0.5 ? -h : h);
        *t = fp_min(1, fp_max(0, *t + rob_priv_slope_adam(&s->slope, at, a[e] * g)));
    }
    gather_theta(s, c, 0, theta);
    rob_priv_couple_rows_make(s->w, i, theta);
}

/* d bound / d c = 1 - sum p*, in units of the row's coefficients; kept in s->theta. */
static void step_shifts(rob_alpha *s, int32_t i)
{
    const rob_cell *c = &s->w->net->cell[i];
    const rob_couple_rows r = rob_priv_couple_rows(s->w, i);
    const double *a = s->a + c->at, *y = s->z + c->at;
    for (int64_t g = 0; g < r.groups; g++) {
        double rest = 1, size = 0;
        for (int64_t e = g * r.per; e < (g + 1) * r.per; e++) {
            rest -= y[e];
            size += fabs(a[e]);
        }
        int64_t at = place(s, c, 2, g);
        s->theta[g] = r.more[g] + SHIFT * size / (double)r.per
                                      * rob_priv_slope_adam(&s->slope, at, rest);
    }
    memcpy(s->theta + 2 * s->w->net->widest, s->theta, (size_t)r.groups * sizeof(double));
}

static void step_softmax(rob_alpha *s, int32_t i)
{
    const rob_cell *c = &s->w->net->cell[i];
    const rob_couple_rows r = rob_priv_couple_rows(s->w, i);
    step_shifts(s, i);
    const rob_range z = rob_priv_cell_range(s->w, s->w->net->link[c->link].cell);
    const double *seen = operand(s, s->z, c, 0), share = 1 / (s->slope.time + 1);
    for (int64_t e = 0; e < c->size; e++) {
        double width = z.up[e] - z.lo[e], to = width > 0 ? (seen[e] - z.lo[e]) / width : 0.5;
        to = fp_min(1, fp_max(0, to));
        for (int side = 0; side < 2; side++) {
            double *t = &s->slope.touch[place(s, c, side, e)];
            *t += share * (to - *t);
        }
    }
    gather_theta(s, c, 0, s->theta);
    rob_priv_couple_rows_make(s->w, i, s->theta);
    memcpy(r.more, s->theta + 2 * s->w->net->widest, (size_t)r.groups * sizeof(double));
}

void rob_priv_attend_step(rob_alpha *s, int32_t i)
{
    const rob_cell *c = &s->w->net->cell[i];
    double *own = enter(s);
    if (is_softmax(c)) step_softmax(s, i);
    else if (is_norm(c)) step_norm(s, i);
    s->w->plane = own;
}

/* ---- beginning and end ------------------------------------------------------------ */

void rob_priv_attend_begin(rob_alpha *s, int32_t i)
{
    const rob_cell *c = &s->w->net->cell[i];
    for (int side = 0; side < 2; side++)
        for (int64_t e = 0; e < c->size; e++)
            s->slope.touch0[place(s, c, side, e)] = is_norm(c) ? 1 : 0.5;
}

void rob_priv_attend_put(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    int64_t numbers = rob_priv_couple_numbers(net, c, &net->link[c->link]);
    memcpy(s->w->plane + c->plane, s->slope.best + c->plane,
           (size_t)numbers * sizeof(double));
}
