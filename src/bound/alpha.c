/* alpha.c -- planes chosen for the row they serve.
 *
 * An element of a curved cell has K valid planes on each side (other mixtures of
 * McCormick's corners, other touching points, the constant one); any convex combination
 *
 *     sum_k l_k (s_k z + o_k),   l >= 0,  sum l = 1,
 *
 * is one too. A row's bound is a minimum over x of something multilinear in all l: with
 * x* where the minimum is taken and z* what the chosen planes make of x*, its derivative
 * is
 *
 *     d bound / d l_k = a (s_k z* + o_k),
 *
 * a the row's coefficient on the element (only the side that a asks for counts). So one
 * step is a substitution backwards, one evaluation forwards, and l_k <- l_k exp(step
 * (d_k - mean)/largest), the multiplicative rule. Nothing here is rounded with care: the
 * best l found goes into planes (plane.c pays for the mixing) and a sweep proves.
 *
 * Reference: Xu et al., Fast and complete: enabling complete neural network verification
 * with rapid and massively parallel incomplete verifiers, ICLR 2021; Ryou et al., CAV
 * 2021; Arora, Hazan, Kale, Theory of Computing 8 (2012); docs/theory/bound.md 7.
 */
#include "bound/alpha.h"

#include <string.h>

enum { K = ROB_ALPHA_PLANES, FLAT = ROB_ALPHA_FLAT, MOVED = ROB_ALPHA_MOVED,
       KEPT = ROB_ALPHA_KEPT };

bool rob_priv_alpha_get(rob_work *w, double **p, int64_t count)
{
    *p = rob_priv_allocate(&w->memory, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

void rob_priv_alpha_close(rob_alpha *s)
{
    if (s == NULL) return;
    rob_memory m = s->w->memory;
    const rob_slopes *t = &s->slope;
    void *const all[] = {s->a, s->z, s->weight, s->best, s->point, s->lo, s->up, s->score,
                         s->theta, s->touched, t->start, t->best, t->touch, t->touch0,
                         t->unit, t->mean, t->size};
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&m, all[i]);
    for (int k = 0; k < K; k++) rob_priv_release(&m, s->plane[k]);
    rob_priv_release(&m, s);
}

static bool get_slopes(rob_work *w, rob_slopes *m)
{
    const int64_t planes = w->net->plane_size, n = 2 * ROB_MAX_INS * w->net->range_size;
    m->rate = 0.15;
    return rob_priv_alpha_get(w, &m->start, planes) && rob_priv_alpha_get(w, &m->best, planes)
           && rob_priv_alpha_get(w, &m->touch, n) && rob_priv_alpha_get(w, &m->touch0, n)
           && rob_priv_alpha_get(w, &m->unit, n) && rob_priv_alpha_get(w, &m->mean, n)
           && rob_priv_alpha_get(w, &m->size, n);
}

rob_status rob_priv_alpha_open(rob_work *w, rob_alpha **out)
{
    const rob_network *net = w->net;
    rob_alpha *s = rob_priv_allocate(&w->memory, 1, (int64_t)sizeof *s);
    *out = NULL;
    if (s == NULL) return ROB_EMEMORY;
    s->w = w;
    int64_t n = net->range_size, x = net->steps * net->features;
    bool fine = rob_priv_alpha_get(w, &s->a, n) && rob_priv_alpha_get(w, &s->z, n) && rob_priv_alpha_get(w, &s->score, n)
                && rob_priv_alpha_get(w, &s->weight, 2 * K * n) && rob_priv_alpha_get(w, &s->best, 2 * K * n)
                && rob_priv_alpha_get(w, &s->point, x) && rob_priv_alpha_get(w, &s->lo, x) && rob_priv_alpha_get(w, &s->up, x)
                && rob_priv_alpha_get(w, &s->theta, 8 * net->widest);
    for (int k = 0; fine && k < K; k++) fine = rob_priv_alpha_get(w, &s->plane[k], net->plane_size);
    fine = fine && get_slopes(w, &s->slope);
    s->touched = rob_priv_allocate(&w->memory, net->cells, (int64_t)sizeof *s->touched);
    if (fine && w->held_lo == NULL)
        fine = rob_priv_alpha_get(w, &w->held_lo, n) && rob_priv_alpha_get(w, &w->held_up, n);
    if (fine && s->touched != NULL) *out = s;
    else rob_priv_alpha_close(s);
    return *out != NULL ? ROB_OK : ROB_EMEMORY;
}

/* ---- the planes ------------------------------------------------------------------ */

/* Plane k: the default; the other corner; touching points at either end. */
static void set_parameters(const rob_cell *c, int k, double *theta)
{
    int32_t count = c->node.op->parameters, half = count / 2;
    for (int64_t e = 0; e < c->size; e++)
        for (int32_t i = 0; i < count; i++) {
            bool corner = c->ins > 1 && (i == 0 || i == half);
            double point = k == 1 ? 0.5 : k == 2 ? 0 : 1;
            theta[e * count + i] = corner ? k != 1 : c->ins == 1 && k == 1 ? 0.25 : point;
        }
}

/* The planes of cell i, or of its element e alone (e < 0: all); not the default ones. */
static void prepare_cell(rob_alpha *s, int32_t i, int64_t e)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[i];
    double *own = w->plane;
    for (int k = 1; k <= FLAT; k++) {
        w->plane = s->plane[k];
        if (k < FLAT && c->node.op->parameters > 0 && c->node.op->parameters <= 8) {
            set_parameters(c, k, s->theta);
            rob_priv_plane_curved(w, i, e, s->theta);
        } else if (k == FLAT) {
            rob_priv_plane_curved(w, i, e, NULL);
            rob_priv_plane_constant(w, i);
        } else if (e >= 0) {
            rob_priv_plane_curved(w, i, e, NULL);
        }
    }
    w->plane = own;
    rob_priv_slope_begin(s, i, e);
}

/* All planes on the ranges as they are. w->plane holds the default ones. */
void rob_priv_alpha_prepare(rob_alpha *s)
{
    rob_work *w = s->w;
    size_t bytes = (size_t)w->net->plane_size * sizeof(double);
    s->count = w->inherited != NULL ? K : K - 1;
    for (int k = 0; k < s->count; k++)
        memcpy(s->plane[k], k == KEPT ? w->inherited : w->plane, bytes);
    memcpy(s->slope.start, w->plane, bytes);
    for (int32_t i = 0; i < w->net->cells; i++)
        if (rob_priv_alpha_mixes(&w->net->cell[i])) prepare_cell(s, i, -1);
        else if (w->net->cell[i].kind == ROB_CELL_COUPLED) rob_priv_attend_begin(s, i);
}

void rob_priv_alpha_renew(rob_alpha *s, int32_t cell, int64_t e)
{
    double *own = s->w->plane;
    if (!rob_priv_alpha_mixes(&s->w->net->cell[cell])) return;
    rob_priv_plane_curved(s->w, cell, e, NULL);
    s->w->plane = s->plane[0];
    rob_priv_plane_curved(s->w, cell, e, NULL);
    s->w->plane = own;
    prepare_cell(s, cell, e);
}

static double *mixture(const rob_alpha *s, double *weight, int side, int k,
                       const rob_cell *c)
{
    return weight + (side * K + k) * s->w->net->range_size + c->at;
}

/* Most of it the default. */
static void start_weights(rob_alpha *s)
{
    int64_t n = s->w->net->range_size;
    for (int side = 0; side < 2; side++)
        for (int k = 0; k < s->count; k++) {
            double share = k == 0 ? 0.5 : k == MOVED ? 0.4 : 0.1 / (s->count - 2);
            for (int64_t e = 0; e < n; e++) s->weight[(side * K + k) * n + e] = share;
        }
}

/* ---- the step -------------------------------------------------------------------- */

static void step_element(rob_alpha *s, const rob_cell *c, int64_t e, double step,
                         const double *gain)
{
    int side = s->a[c->at + e] < 0;
    double mean = 0, most = 0, sum = 0, w[K];
    for (int k = 0; k < s->count; k++) mean += mixture(s, s->weight, side, k, c)[e] * gain[k];
    for (int k = 0; k < s->count; k++) most = fmax(most, fabs(gain[k] - mean));
    if (!(most > 0) || !isfinite(most)) return;
    for (int k = 0; k < s->count; k++) {
        double old = fmax(mixture(s, s->weight, side, k, c)[e], 1e-3);
        w[k] = old * fp_exp(step * (gain[k] - mean) / most);
        sum += w[k];
    }
    for (int k = 0; k < s->count; k++) mixture(s, s->weight, side, k, c)[e] = w[k] / sum;
}

static void step_cell(rob_alpha *s, int32_t i, double step)
{
    const rob_network *net = s->w->net;
    const rob_cell *c = &net->cell[i];
    const double *z[ROB_MAX_INS];
    rob_bend b[K];
    int32_t live = 0;
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = net->link[c->link + k].cell;
        if (net->cell[in].live) z[live++] = s->z + net->cell[in].at;
    }
    for (int k = 0; k < s->count; k++) b[k] = rob_priv_alpha_bend(s, k, i);
    for (int64_t e = 0; e < c->size; e++) {
        double a = s->a[c->at + e], gain[K];
        if (a == 0) continue;
        for (int k = 0; k < s->count; k++) {
            double v = (a < 0 ? b[k].up_offset : b[k].lo_offset)[e];
            for (int32_t j = 0; j < live; j++)
                v += (a < 0 ? b[k].up : b[k].lo)[j][e] * z[j][e];
            gain[k] = a * v;
        }
        step_element(s, c, e, step, gain);
    }
}

/* The best mixtures found in `steps` substitutions are in s->best; their bound, about. */
static double search(rob_alpha *s, int32_t cell, const double *row, double base,
                     int64_t steps)
{
    const rob_network *net = s->w->net;
    double best = -INFINITY;
    if (!s->warm) start_weights(s);
    rob_priv_slope_reset(s);
    rob_priv_turn_begin(s);
    for (int64_t t = 0; t < steps; t++) {
        rob_priv_alpha_back(s, cell, row, base);
        double value = rob_priv_alpha_least(s);
        if (value > best) {
            best = value;
            memcpy(s->best, s->weight, (size_t)(2 * K * net->range_size) * sizeof(double));
            rob_priv_slope_keep(s);
            rob_priv_turn_keep(s);
        }
        if (t + 1 == steps) break;
        rob_priv_alpha_forth(s, net->cell[cell].root);
        rob_priv_turn_step(s);
        double step = 1.5 / (1 + 0.15 * (double)t);
        rob_priv_slope_tick(s);
        for (int32_t i = 0; i <= net->cell[cell].root; i++) {
            if (!s->touched[i]) continue;
            if (net->cell[i].kind == ROB_CELL_COUPLED) rob_priv_attend_step(s, i);
            if (!rob_priv_alpha_mixes(&net->cell[i])) continue;
            step_cell(s, i, step);
            rob_priv_slope_step(s, i);
        }
    }
    rob_priv_turn_end(s);
    return best;
}

/* The planes of s->best into the work, for the cells a row from `cell` meets. */
static void put_planes(rob_alpha *s, int32_t cell)
{
    rob_work *w = s->w;
    const double *plane[K];
    for (int k = 0; k < K; k++) plane[k] = k == MOVED ? s->slope.best : s->plane[k];
    for (int32_t i = 0; i <= w->net->cell[cell].root; i++) {
        const rob_cell *c = &w->net->cell[i];
        if (s->touched[i] && c->kind == ROB_CELL_COUPLED) rob_priv_attend_put(s, i);
        if (!s->touched[i] || !rob_priv_alpha_mixes(c)) continue;
        const double *weight[2] = {mixture(s, s->best, 0, 0, c),
                                   mixture(s, s->best, 1, 0, c)};
        rob_priv_plane_mix(w, i, plane, s->count, weight, w->net->range_size);
        rob_priv_slope_lift(s, i);
    }
}

/* ---- rows and ranges ------------------------------------------------------------- */

rob_status rob_priv_alpha_row(rob_alpha *s, int32_t cell, const double *row, double base,
                              int64_t steps, rob_proof *proof)
{
    rob_work *w = s->w;
    const rob_network *net = w->net;
    search(s, cell, row, base, steps);
    put_planes(s, cell);
    rob_status status =
        rob_priv_sweep(w, cell, 1, row, net->cell[cell].size, &base);
    if (status == ROB_OK && w->proof[0].value > proof->value) *proof = w->proof[0];
    memcpy(w->plane, s->plane[0], (size_t)net->plane_size * sizeof(double));
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || !c->tight || !s->touched[c->root]) continue;
        for (int64_t e = c->at; e < c->at + c->size; e++)
            s->score[e] += fabs(s->a[e]) * (w->up[e] - w->lo[e]);
    }
    return status;
}

void rob_priv_alpha_begin(rob_alpha *s)
{
    rob_work *w = s->w;
    memset(s->score, 0, (size_t)w->net->range_size * sizeof *s->score);
    rob_priv_ball_range(&w->ball, 0, w->net->steps * w->net->features, s->lo, s->up);
}
