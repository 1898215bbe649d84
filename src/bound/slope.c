/* slope.c -- a plane for every element of a curved cell that moves where its row is least.
 *
 * Slopes s are free, the offset o(s) is a rigorous minimum over the box (plane_free.c), and
 * with x* the row's minimiser, z* what the planes in use make of it,
 *
 *     d bound / d s = share a (z* - touch(s)),
 *
 * a the row's coefficient, touch(s) where the plane touches. bound is concave in the
 * slopes of one cell. Steps are Adam's, in units of how far the fixed planes' slopes lie
 * apart. What is mixed of several planes is lifted at the end: at the mixture's slopes the
 * touching plane is never lower, o being concave.
 *
 * Reference: Kingma, Ba, Adam, ICLR 2015; Xu et al., ICLR 2021; docs/theory/bound.md 7.
 */
#include "bound/alpha.h"

#include <string.h>

enum { MOVED = ROB_ALPHA_MOVED, OFFSETS = 2 * ROB_MAX_INS };
static const double FIRST = 0.9, SECOND = 0.99; /* Adam's decays */

static bool moves(const rob_alpha *s, int32_t i)
{
    const rob_cell *c = &s->w->net->cell[i];
    return c->live && c->kind == ROB_CELL_CURVED && rob_priv_has_planes(&c->node)
           && rob_priv_free_has(&c->node);
}

/* One element on one side: its box, which operands depend on x, and where its slopes and
 * its offset stand in an array of planes; `at` is its place in arrays of slopes. */
typedef struct element {
    const rob_cell *c;
    rob_interval box[ROB_MAX_INS];
    bool live[ROB_MAX_INS];
    int side;
    int64_t slope[ROB_MAX_INS], at[ROB_MAX_INS], offset, e;
} element;

static element element_of(const rob_alpha *s, int32_t i, int side, int64_t e)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    element x = {.c = c, .side = side, .e = e,
                 .offset = c->plane + (OFFSETS + side) * c->size + e};
    for (int32_t j = 0; j < c->ins; j++) {
        int32_t in = net->link[c->link + j].cell;
        rob_range r = rob_priv_cell_range(s->w, in);
        x.box[j] = rob_priv_range_at(&r, e);
        x.live[j] = net->cell[in].live;
        x.slope[j] = c->plane + (2 * j + side) * c->size + e;
        x.at[j] = (2 * j + side) * net->range_size + c->at + e;
    }
    return x;
}

static double offset_at(const element *x, const double *plane, double *touch)
{
    double slope[ROB_MAX_INS];
    for (int32_t j = 0; j < x->c->ins; j++) slope[j] = x->live[j] ? plane[x->slope[j]] : 0;
    return rob_priv_free_offset(&x->c->node, x->side == 1, x->box, slope, touch);
}

/* The plane that touches at the default's slopes, and how far those of the others go. */
static void begin_element(rob_alpha *s, const element *x)
{
    double touch[ROB_MAX_INS], o = offset_at(x, s->plane[0], touch);
    double *to = s->slope.start;
    to[x->offset] = isfinite(o) ? o : s->plane[0][x->offset];
    for (int32_t j = 0; j < x->c->ins; j++) {
        double least = INFINITY, most = -INFINITY;
        for (int k = 0; k < MOVED; k++) {
            if (k == ROB_ALPHA_FLAT) continue;
            least = fmin(least, s->plane[k][x->slope[j]]);
            most = fmax(most, s->plane[k][x->slope[j]]);
        }
        to[x->slope[j]] = s->plane[0][x->slope[j]];
        s->slope.touch0[x->at[j]] = touch[j];
        s->slope.unit[x->at[j]] = isfinite(o) && x->live[j] ? most - least : 0;
    }
}

void rob_priv_slope_begin(rob_alpha *s, int32_t i, int64_t e)
{
    const rob_cell *c = &s->w->net->cell[i];
    const int64_t first = e < 0 ? 0 : e, end = e < 0 ? c->size : e + 1;
    for (int side = 0; side < 2 && moves(s, i); side++)
        for (int64_t k = first; k < end; k++) {
            const element x = element_of(s, i, side, k);
            begin_element(s, &x);
        }
}

static size_t bytes_of(const rob_alpha *s)
{
    return (size_t)(2 * ROB_MAX_INS * s->w->net->range_size) * sizeof(double);
}

void rob_priv_slope_reset(rob_alpha *s)
{
    memcpy(s->plane[MOVED], s->slope.start,
           (size_t)s->w->net->plane_size * sizeof(double));
    memcpy(s->slope.touch, s->slope.touch0, bytes_of(s));
    memset(s->slope.mean, 0, bytes_of(s));
    memset(s->slope.size, 0, bytes_of(s));
    s->slope.time = 0;
}

void rob_priv_slope_keep(rob_alpha *s)
{
    memcpy(s->slope.best, s->plane[MOVED],
           (size_t)s->w->net->plane_size * sizeof(double));
}

double rob_priv_slope_adam(rob_slopes *m, int64_t at, double g)
{
    double mean = m->mean[at] = FIRST * m->mean[at] + (1 - FIRST) * g;
    double size = m->size[at] = SECOND * m->size[at] + (1 - SECOND) * g * g;
    mean /= 1 - m->first_power;
    size = sqrt(size / (1 - m->second_power));
    if (!(size > 0) || !isfinite(size)) return 0;
    return m->rate / (1 + 0.1 * (m->time - 1)) * mean / size;
}

static bool step_slopes(rob_alpha *s, const element *x, double a, const double *const *z)
{
    rob_slopes *m = &s->slope;
    bool any = false;
    for (int32_t j = 0; j < x->c->ins; j++) {
        const int64_t at = x->at[j];
        const double unit = m->unit[at];
        if (!(unit > 0)) continue;
        double step = rob_priv_slope_adam(m, at, a * (z[j][x->e] - m->touch[at]) * unit);
        double to = s->plane[MOVED][x->slope[j]] + step * unit;
        s->plane[MOVED][x->slope[j]] = fabs(to) < 1e-300 ? 0 : to;
        any = any || step != 0;
    }
    return any;
}

void rob_priv_slope_step(rob_alpha *s, int32_t i)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    const double *z[ROB_MAX_INS] = {NULL};
    if (!moves(s, i)) return;
    for (int32_t j = 0; j < c->ins; j++) {
        int32_t in = net->link[c->link + j].cell;
        z[j] = net->cell[in].live ? s->z + net->cell[in].at : net->cell[in].lo;
    }
    for (int64_t e = 0; e < c->size; e++) {
        double a = s->a[c->at + e], touch[ROB_MAX_INS];
        if (a == 0) continue;
        const element x = element_of(s, i, a < 0, e);
        if (!step_slopes(s, &x, a, z)) continue;
        s->plane[MOVED][x.offset] = offset_at(&x, s->plane[MOVED], touch);
        for (int32_t j = 0; j < c->ins; j++) s->slope.touch[x.at[j]] = touch[j];
    }
}

void rob_priv_slope_tick(rob_alpha *s)
{
    rob_slopes *m = &s->slope;
    m->first_power = m->time == 0 ? FIRST : m->first_power * FIRST;
    m->second_power = m->time == 0 ? SECOND : m->second_power * SECOND;
    m->time++;
}

void rob_priv_slope_lift(rob_alpha *s, int32_t i)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[i];
    if (!moves(s, i)) return;
    for (int64_t e = 0; e < c->size; e++) {
        double touch[ROB_MAX_INS], a = s->a[c->at + e];
        const element x = element_of(s, i, a < 0, e);
        double o = offset_at(&x, w->plane, touch), *at = w->plane + x.offset;
        if (a != 0) *at = x.side ? fp_min(o, *at) : fp_max(o, *at);
    }
    rob_priv_plane_weigh(w, i);
}
