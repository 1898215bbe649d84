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
#include "bound/branch/half.h"

#include <string.h>

enum { K = ROB_ALPHA_PLANES, FLAT = K - 2, KEPT = K - 1 };

bool rob_priv_alpha_get(rob_work *w, double **p, int64_t count)
{
    *p = rob_priv_allocate(&w->memory, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

void rob_priv_alpha_close(rob_alpha *s)
{
    if (s == NULL) return;
    rob_memory m = s->w->memory;
    void *const all[] = {s->a, s->z, s->weight, s->best, s->point, s->lo, s->up, s->score,
                         s->theta, s->touched};
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&m, all[i]);
    for (int k = 0; k < K; k++) rob_priv_release(&m, s->plane[k]);
    rob_priv_release(&m, s);
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
    s->touched = rob_priv_allocate(&w->memory, net->cells, (int64_t)sizeof *s->touched);
    if (fine && w->held_lo == NULL)
        fine = rob_priv_alpha_get(w, &w->held_lo, n) && rob_priv_alpha_get(w, &w->held_up, n);
    if (fine && s->touched != NULL) *out = s;
    else rob_priv_alpha_close(s);
    return *out != NULL ? ROB_OK : ROB_EMEMORY;
}

static bool is_mixed(const rob_cell *c)
{
    return c->live && c->kind == ROB_CELL_CURVED && rob_priv_has_planes(&c->node);
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
}

/* All planes on the ranges as they are. w->plane holds the default ones. */
void rob_priv_alpha_prepare(rob_alpha *s)
{
    rob_work *w = s->w;
    size_t bytes = (size_t)w->net->plane_size * sizeof(double);
    s->count = w->inherited != NULL ? K : K - 1;
    for (int k = 0; k < s->count; k++)
        memcpy(s->plane[k], k == KEPT ? w->inherited : w->plane, bytes);
    for (int32_t i = 0; i < w->net->cells; i++)
        if (is_mixed(&w->net->cell[i])) prepare_cell(s, i, -1);
}

void rob_priv_alpha_renew(rob_alpha *s, int32_t cell, int64_t e)
{
    double *own = s->w->plane;
    if (!is_mixed(&s->w->net->cell[cell])) return;
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
            double share = k == 0 ? 0.9 : 0.1 / (s->count - 1);
            for (int64_t e = 0; e < n; e++) s->weight[(side * K + k) * n + e] = share;
        }
}

/* ---- one substitution ------------------------------------------------------------ */

static rob_bend bend_of(const rob_alpha *s, int k, int32_t cell)
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
        const rob_bend b = bend_of(s, k, i);
        const double *w[2] = {mixture(s, s->weight, 0, k, c),
                              mixture(s, s->weight, 1, k, c)};
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
static void substitute(rob_alpha *s, int32_t cell, const double *row, double base)
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
        if (c->kind == ROB_CELL_CURVED && is_mixed(c)) back_curved(s, i);
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
static double go_to_minimum(rob_alpha *s)
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
        const rob_bend b = bend_of(s, k, i);
        for (int64_t e = 0; e < c->size; e++) {
            bool above = a[e] < 0;
            double v = (above ? b.up_offset : b.lo_offset)[e];
            for (int32_t j = 0; j < live; j++) v += (above ? b.up : b.lo)[j][e] * z[j][e];
            y[e] += mixture(s, s->weight, above, k, c)[e] * v;
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

static void evaluate(rob_alpha *s, int32_t root)
{
    const rob_network *net = s->w->net;
    for (int32_t i = 0; i <= root; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || !s->touched[i] || c->kind == ROB_CELL_VIEW) continue;
        if (c->kind == ROB_CELL_INPUT)
            memcpy(on(s, s->z, i), s->point + c->first, (size_t)c->size * sizeof(double));
        else if (is_mixed(c)) fore_curved(s, i);
        else if (c->kind == ROB_CELL_PRODUCT) fore_product(s, i);
        else if (c->kind == ROB_CELL_SUM || c->kind == ROB_CELL_JOIN) fore_parts(s, i);
        else fore_operator(s, i);
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
        if (net->cell[in].live) z[live++] = on(s, s->z, in);
    }
    for (int k = 0; k < s->count; k++) b[k] = bend_of(s, k, i);
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
    rob_priv_turn_begin(s);
    for (int64_t t = 0; t < steps; t++) {
        substitute(s, cell, row, base);
        double value = go_to_minimum(s);
        if (value > best) {
            best = value;
            memcpy(s->best, s->weight, (size_t)(2 * K * net->range_size) * sizeof(double));
            rob_priv_turn_keep(s);
        }
        if (t + 1 == steps) break;
        evaluate(s, net->cell[cell].root);
        rob_priv_turn_step(s);
        double step = 1.5 / (1 + 0.15 * (double)t);
        for (int32_t i = 0; i <= net->cell[cell].root; i++)
            if (s->touched[i] && is_mixed(&net->cell[i])) step_cell(s, i, step);
    }
    rob_priv_turn_end(s);
    return best;
}

/* The planes of s->best into the work, for the cells a row from `cell` meets. */
static void put_planes(rob_alpha *s, int32_t cell)
{
    rob_work *w = s->w;
    for (int32_t i = 0; i <= w->net->cell[cell].root; i++) {
        const rob_cell *c = &w->net->cell[i];
        if (!s->touched[i] || !is_mixed(c)) continue;
        const double *weight[2] = {mixture(s, s->best, 0, 0, c),
                                   mixture(s, s->best, 1, 0, c)};
        rob_priv_plane_mix(w, i, (const double *const *)s->plane, s->count, weight,
                           w->net->range_size);
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
