/* adjoint.c -- gradients enclosed by a centred adjoint recursion.
 *
 * With M(x) the derivative of an operator, the adjoint of its operand is the sum over
 * readers of lambda_v M_v(x). Split M = M0 + D, M0 numbers (the middles of the ranges of
 * partial derivatives), |D| <= half. Then exactly, for every x of the ball,
 *
 *     lambda_u(x) = a_u + sum_k P_ku n_k(x),     |n_k| <= noise_k,
 *
 * a and P moved by M0 alone: products of numbers, in which signs cancel, and absolute
 * values stand only where noise enters. That is n_u += lambda_v D_v, so
 *
 *     noise_u = sum over readers of min(|a_v| + sum_k |P_kv| noise_k, hull_v) half_v,
 *
 * hull being the recursion of magnitudes, hull_u = sum hull_v sup|M_v|: never worse than
 * intervals. Cells are visited from the last to the first; P of a root's numbers are rows
 * swept backwards (sweep.c) on planes whose slopes are M0 on both sides.
 *
 * Rounding is noise: a coefficient of chain roundings errs by at most chain u times the sum
 * of magnitudes that made it, and that sum is the same recursion in absolute values (mass).
 * Noise that enters where nothing is swept goes on in absolute values.
 *
 * Reference: Zhang et al., RecurJac, AAAI 2019 (interval recursion); docs/theory/orders.md 2.
 */
#include "bound/order/adjoint.h"

#include <string.h>

/* ---- what is known --------------------------------------------------------------- */

static bool has_rule(const rob_cell *c)
{
    if (c->kind == ROB_CELL_COUPLED) return false;
    if (c->kind == ROB_CELL_LINEAR) return c->node.op->id != ROB_OP_where;
    if (c->kind != ROB_CELL_CURVED) return true;
    return rob_priv_has_planes(&c->node) && c->node.op->steep != NULL;
}

const char *rob_priv_adjoint_unknown(const rob_network *net)
{
    for (int32_t i = 0; i < net->cells; i++)
        if (net->cell[i].live && net->cell[i].kind != ROB_CELL_VIEW
            && !has_rule(&net->cell[i]))
            return net->cell[i].node.op->name;
    return NULL;
}

static bool is_root(const rob_cell *c) { return c->live && c->kind != ROB_CELL_VIEW; }

/* Terms of the longest sum that moves a coefficient from c to an operand. */
static double terms_of(const rob_network *net, const rob_cell *c, const rob_link *in)
{
    if (c->kind == ROB_CELL_PRODUCT)
        return (double)net->link[c->link + 1].shape.dim[c->node.attr.i[1] == 0];
    if (c->kind == ROB_CELL_LINEAR) return (double)(c->size + net->cell[in->cell].size);
    return 1;
}

static void find_places(rob_adjoint *s)
{
    const rob_network *net = s->w->net;
    for (int32_t i = 0; i < net->cells; i++) s->chain[i] = 16;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        for (int32_t k = 0; is_root(c) && k < c->ins; k++) {
            const rob_link *in = &net->link[c->link + k];
            const int32_t root = net->cell[in->cell].root;
            s->chain[root] += terms_of(net, c, in) + 8;
            if (c->kind == ROB_CELL_CURVED && net->cell[root].kind != ROB_CELL_INPUT)
                s->place[root] = true;
        }
    }
}

/* ---- derivatives ----------------------------------------------------------------- */

/* M0, |D| and sup|M| of one partial derivative in [lo, up] */
static void split_range(double lo, double up, double *middle, double *half, double *most)
{
    *middle = 0.5 * lo + 0.5 * up;
    *half = fp_max(fp_up(up - *middle), fp_up(*middle - lo));
    *most = fp_max(fabs(lo), fabs(up));
    if (lo == up) *middle = lo, *half = 0;
    if (isfinite(*middle) && isfinite(*half)) return;
    *middle = 0;
    *half = *most = INFINITY;
}

static void prepare_curved(rob_adjoint *s, int32_t cell)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[cell];
    const rob_range *in = rob_priv_operands(w, c);
    const double kept = 1 - w->steep_fault;
    rob_range out = { c->node.shape, w->fresh, w->fresh + w->net->widest };
    double *p = w->plane + c->plane;
    memset(p, 0, (size_t)((2 * ROB_MAX_INS + 3) * c->size + 1) * sizeof *p);
    for (int32_t i = 0; i < c->ins; i++) {
        double *lo = p + 2 * i * c->size, *up = lo + c->size;
        double *half = s->half + i * s->numbers + c->at;
        double *most = s->steepest + i * s->numbers + c->at;
        if (!w->net->cell[w->net->link[c->link + i].cell].live) continue;
        c->node.op->steep(&c->node, in, i, &out);
        for (int64_t e = 0; e < c->size; e++) {
            split_range(out.lo[e], out.up[e], &lo[e], &half[e], &most[e]);
            up[e] = lo[e];
            half[e] *= kept;
        }
    }
}

/* ---- magnitudes through one cell -------------------------------------------------- */

/* to_u += t sup|M|, t (rows, size of cell), to (rows, numbers) */
static void spread_product(rob_adjoint *s, const rob_cell *c, const double *t, double *to)
{
    const rob_network *net = s->w->net;
    const rob_link *in = &net->link[c->link];
    const double *weight = net->cell[in[1].cell].lo;
    const bool tb = c->node.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb];
    const int64_t row = tb ? 1 : n, col = tb ? k : 1;
    for (int64_t r = 0; r < s->rows; r++) {
        double *at = to + r * s->numbers + net->cell[in->cell].at;
        for (int64_t e = 0; e < c->size; e++)
            for (int64_t i = 0; i < k; i++)
                at[e / n * k + i] +=
                    t[r * c->size + e] * fabs(weight[i * row + e % n * col]);
    }
}

static void spread_same(rob_adjoint *s, const rob_cell *c, const rob_link *in, int64_t first,
                        const double *by, const double *t, double *to)
{
    const rob_cell *z = &s->w->net->cell[in->cell];
    if (!z->live) return;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t e = 0; e < z->size; e++) {
            const double v = t[r * c->size + first + e];
            if (v != 0)
                to[r * s->numbers + z->at + e] += by != NULL ? v * by[e] : v;
        }
}

/* Unit rows tell the matrix of any other affine operator. */
static bool spread_linear(rob_adjoint *s, const rob_cell *c, const rob_link *in, int32_t k,
                          const double *t, double *to)
{
    rob_work *w = s->w;
    const rob_cell *z = &w->net->cell[in->cell];
    if (!z->live) return true;
    const int32_t b = rob_priv_block_take(w, c->size + z->size);
    if (b < 0) return false;
    double *unit = w->pool[b].at, *m = unit + c->size, base, loss;
    const rob_range *value = rob_priv_operands(w, c);
    for (int64_t i = 0; i < c->size; i++) {
        memset(unit, 0, (size_t)(c->size + z->size) * sizeof *unit);
        unit[i] = 1;
        base = loss = 0;
        const rob_rows out = { 1, c->size, unit };
        rob_rows moved = { 1, z->size, m };
        c->node.op->pull(&c->node, value, c->output, &out, k, &moved, &base, &loss);
        for (int64_t j = 0; j < z->size; j++)
            for (int64_t r = 0; m[j] != 0 && r < s->rows; r++)
                to[r * s->numbers + z->at + j] += t[r * c->size + i] * fabs(m[j]);
    }
    w->pool[b].users = 0;
    return true;
}

static bool spread(rob_adjoint *s, const rob_cell *c, const double *t, double *to)
{
    const rob_link *in = &s->w->net->link[c->link];
    if (c->kind == ROB_CELL_PRODUCT) spread_product(s, c, t, to);
    for (int32_t k = 0, first = 0; c->kind != ROB_CELL_PRODUCT && k < c->ins; k++) {
        const double *by = s->steepest + k * s->numbers + c->at;
        if (c->kind == ROB_CELL_LINEAR) {
            if (!spread_linear(s, c, &in[k], k, t, to)) return false;
        } else {
            spread_same(s, c, &in[k], first, c->kind == ROB_CELL_CURVED ? by : NULL, t, to);
        }
        if (c->kind == ROB_CELL_JOIN) first += (int32_t)s->w->net->cell[in[k].cell].size;
    }
    return true;
}

/* ---- rows swept: the centre's adjoints, and where noise goes ---------------------- */

static void keep_centre(void *user, int32_t cell, int64_t rows, const double *a)
{
    rob_adjoint *s = user;
    const rob_cell *c = &s->w->net->cell[cell];
    for (int64_t r = 0; r < rows; r++)
        memcpy(s->a + (s->first + r) * s->numbers + c->at, a + r * c->size,
               (size_t)c->size * sizeof *a);
}

/* Noises at an input: their part along `toward`, and their length. */
static void meet_input(rob_adjoint *s, const rob_cell *c, int64_t rows, const double *a)
{
    for (int64_t i = 0; i < rows; i++, a += c->size) {
        for (int64_t e = 0; e < c->size; e++) {
            const double v = a[e] * s->share[c->first + e];
            s->square[i] += v * v;
        }
        for (int64_t r = 0; r < s->rows; r++) {
            const double *g = s->toward + r * s->inputs + c->first;
            double sum = 0;
            for (int64_t e = 0; e < c->size; e++) sum += a[e] * g[e];
            s->dot[i * s->rows + r] += sum;
        }
    }
}

static void gather_noise(void *user, int32_t cell, int64_t rows, const double *a)
{
    rob_adjoint *s = user;
    const rob_cell *c = &s->w->net->cell[cell];
    const int64_t from = s->w->net->cell[s->from].at + s->first;
    if (cell == s->from) return;
    for (int64_t r = 0; r < s->rows; r++)
        s->w->net->kernel->gather(rows, c->size, s->noise + r * s->numbers + from, a,
                                  c->size, s->deviation + r * s->numbers + c->at);
    if (c->kind == ROB_CELL_INPUT) meet_input(s, c, rows, a);
}

/* Numbers [first, first + count) of a place, one row each. */
static rob_status sweep_some(rob_adjoint *s, int32_t cell, int64_t count)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[cell];
    memset(w->unit, 0, (size_t)(count * c->size) * sizeof *w->unit);
    memset(s->dot, 0, (size_t)(count * s->rows) * sizeof *s->dot);
    memset(s->square, 0, (size_t)count * sizeof *s->square);
    for (int64_t k = 0; k < count; k++) w->unit[k * c->size + s->first + k] = 1;
    w->look = gather_noise;
    rob_status status = rob_priv_sweep(w, cell, count, w->unit, c->size, NULL);
    for (int64_t r = 0; r < s->rows && status == ROB_OK; r++) {
        const double *noise = s->noise + r * s->numbers + c->at + s->first;
        for (int64_t k = 0; k < count; k++) {
            s->linear[r] += noise[k] * fabs(s->dot[k * s->rows + r]);
            s->triangle[r] += noise[k] * sqrt(s->square[k]);
            s->weight[r] += noise[k];
        }
    }
    s->sums += (double)count;
    return status;
}

static rob_status sweep_place(rob_adjoint *s, int32_t cell)
{
    rob_status status = ROB_OK;
    const rob_cell *c = &s->w->net->cell[cell];
    double sum = 0;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t e = 0; e < c->size; e++) sum += s->noise[r * s->numbers + c->at + e];
    s->lost = s->lost || !isfinite(sum);
    if (s->lost || sum == 0) return ROB_OK;
    s->from = cell;
    for (s->first = 0; s->first < c->size && status == ROB_OK; s->first += s->w->tile) {
        const int64_t left = c->size - s->first;
        status = sweep_some(s, cell, left < s->w->tile ? left : s->w->tile);
    }
    return status;
}

/* ---- one root --------------------------------------------------------------------- */

/* Noise here is complete: what readers sent and what rounding made. */
static void close_noise(rob_adjoint *s, int32_t cell)
{
    const rob_cell *c = &s->w->net->cell[cell];
    const double chain = s->chain[cell], more = 1 + (chain + 16) * ROB_U;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t i = r * s->numbers + c->at, end = i + c->size; i < end; i++) {
            const double tiny = 4 * chain * ROB_TINY * (1 + s->weight[r]);
            s->noise[i] = (s->noise[i] + chain * ROB_U * s->mass[i]) * more + tiny;
            s->deviation[i] += s->noise[i];
        }
}

/* Magnitudes: of all that was computed (for rounding), and of the adjoint itself. */
static void measure(const rob_adjoint *s, int32_t cell, double *whole, double *least)
{
    const rob_cell *c = &s->w->net->cell[cell];
    const double chain = s->chain[cell];
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t e = 0, i = r * s->numbers + c->at; e < c->size; e++, i++) {
            double v = fabs(s->a[i]) + s->deviation[i], h = s->hull[i];
            v = v * (1 + (s->sums + 16) * ROB_U) + (s->sums + 16) * ROB_TINY;
            h = h * (1 + (chain + 16) * ROB_U) + chain * ROB_TINY;
            if (isnan(h)) h = INFINITY;
            *whole++ = v;
            *least++ = s->lost ? h : fp_min(v, h);
        }
}

/* Operands of a curved cell receive |lambda| half. */
static void send_noise(rob_adjoint *s, const rob_cell *c, const double *least)
{
    const rob_link *in = &s->w->net->link[c->link];
    for (int32_t k = 0; c->kind == ROB_CELL_CURVED && k < c->ins; k++)
        spread_same(s, c, &in[k], 0, s->half + k * s->numbers + c->at, least, s->noise);
}

static rob_status visit(rob_adjoint *s, int32_t cell)
{
    const rob_cell *c = &s->w->net->cell[cell];
    double *whole = s->room, *least = whole + s->rows * c->size,
           *noise = least + s->rows * c->size;
    rob_status status = ROB_OK;
    close_noise(s, cell);
    for (int64_t r = 0; r < s->rows; r++)
        memcpy(noise + r * c->size, s->noise + r * s->numbers + c->at,
               (size_t)c->size * sizeof *noise);
    if (s->place[cell]) status = sweep_place(s, cell);
    measure(s, cell, whole, least);
    if (status != ROB_OK || c->kind == ROB_CELL_INPUT) return status;
    bool fine = spread(s, c, whole, s->mass) && spread(s, c, least, s->hull)
                && (s->place[cell] || spread(s, c, noise, s->noise));
    send_noise(s, c, least);
    return fine ? ROB_OK : ROB_EMEMORY;
}

/* ---- the whole -------------------------------------------------------------------- */

/* The direction in which the first order of noise counts: the gradient of the norm. */
static void find_directions(rob_adjoint *s)
{
    const rob_network *net = s->w->net;
    const bool signs = s->w->ball.norm == ROB_NORM_LINF;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->kind != ROB_CELL_INPUT) continue;
        for (int64_t r = 0; r < s->rows; r++)
            for (int64_t e = 0; e < c->size; e++) {
                const double share = s->share[c->first + e];
                const double a = s->a[r * s->numbers + c->at + e];
                s->toward[r * s->inputs + c->first + e] =
                    signs ? (a < 0 ? -share : share) : share * (share * a);
            }
    }
}

static rob_status sweep_centre(rob_adjoint *s, int32_t cell, const double *c)
{
    rob_work *w = s->w;
    const rob_cell *out = &w->net->cell[cell];
    rob_status status = ROB_OK;
    w->look = keep_centre;
    for (s->first = 0; s->first < s->rows && status == ROB_OK; s->first += w->tile) {
        const int64_t left = s->rows - s->first;
        status = rob_priv_sweep(w, cell, left < w->tile ? left : w->tile,
                                c + s->first * out->size, out->size, NULL);
    }
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t e = 0; e < out->size; e++)
            s->hull[r * s->numbers + out->at + e] = fabs(c[r * out->size + e]);
    return status;
}

static void begin(rob_adjoint *s)
{
    const rob_work *w = s->w;
    const size_t bytes = (size_t)(s->rows * s->numbers) * sizeof(double);
    double *const all[] = { s->a, s->deviation, s->noise, s->mass, s->hull };
    for (int64_t i = 0; i < COUNT_OF(all); i++) memset(all[i], 0, bytes);
    for (int64_t r = 0; r < s->rows; r++)
        s->linear[r] = s->triangle[r] = s->weight[r] = 0;
    for (int64_t k = 0; k < s->inputs; k++) {
        const rob_ball *b = &w->ball;
        s->share[k] = b->region != NULL ? rob_priv_region_scale(b->region, k)
                                        : b->mask == NULL || b->mask[k];
    }
    s->sums = 0;
    s->lost = false;
}

static rob_status walk(rob_adjoint *s, int32_t cell, const double *c)
{
    rob_work *w = s->w;
    const rob_network *net = w->net;
    int32_t time = -1;
    rob_status status = sweep_centre(s, cell, c);
    if (status == ROB_OK) find_directions(s);
    for (int32_t i = net->cell[cell].root; i >= 0 && status == ROB_OK; i--) {
        if (!is_root(&net->cell[i])) continue;
        if (net->cell[i].time != time && w->stop != NULL && w->stop(w->stop_user))
            return ROB_STOPPED;
        time = net->cell[i].time;
        status = visit(s, i);
    }
    return status;
}

void rob_priv_adjoint_deviation(const rob_adjoint *s, int64_t r, int64_t number, double *most)
{
    const double e = s->deviation[r * s->numbers + number];
    *most = e * (1 + (s->sums + 16) * ROB_U) + (s->sums + 16) * ROB_TINY;
    if (s->lost || isnan(*most)) *most = INFINITY;
}

rob_status rob_priv_adjoint_run(rob_adjoint *s, int32_t cell, const double *c)
{
    rob_work *w = s->w;
    const rob_network *net = w->net;
    begin(s);
    if (!net->cell[cell].live || s->rows == 0) return ROB_OK;
    for (int32_t i = 0; i < net->cells; i++) {
        if (net->cell[i].live && net->cell[i].kind == ROB_CELL_CURVED) prepare_curved(s, i);
        if (net->cell[i].live && net->cell[i].kind == ROB_CELL_PRODUCT)
            rob_priv_plane_prepare(w, i);
    }
    const int64_t depth = w->depth;
    const bool plain = w->plain;
    w->depth = 0;
    w->plain = true;
    w->look_user = s;
    rob_status status = walk(s, cell, c);
    w->look = NULL;
    w->depth = depth;
    w->plain = plain;
    return status;
}

static bool get(const rob_memory *m, double **p, int64_t count)
{
    *p = rob_priv_allocate(m, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

rob_status rob_priv_adjoint_open(rob_work *w, int64_t rows, rob_adjoint **out)
{
    const rob_network *net = w->net;
    const rob_memory *m = &w->memory;
    *out = NULL;
    rob_adjoint *s = rob_priv_allocate(m, 1, (int64_t)sizeof *s);
    if (s == NULL) return ROB_EMEMORY;
    *s = (rob_adjoint){ .w = w, .rows = rows, .numbers = net->range_size,
                        .inputs = net->steps * net->features };
    const int64_t all = rows * s->numbers;
    s->place = rob_priv_allocate(m, net->cells + 1, (int64_t)sizeof *s->place);
    bool fine = s->place != NULL && get(m, &s->a, all) && get(m, &s->deviation, all)
                && get(m, &s->noise, all) && get(m, &s->mass, all)
                && get(m, &s->hull, all) && get(m, &s->half, ROB_MAX_INS * s->numbers)
                && get(m, &s->steepest, ROB_MAX_INS * s->numbers)
                && get(m, &s->share, s->inputs) && get(m, &s->toward, rows * s->inputs)
                && get(m, &s->linear, rows) && get(m, &s->triangle, rows)
                && get(m, &s->weight, rows) && get(m, &s->dot, w->tile * rows)
                && get(m, &s->square, w->tile) && get(m, &s->room, 3 * rows * net->widest)
                && get(m, &s->chain, net->cells);
    if (!fine) {
        rob_priv_adjoint_close(s);
        return ROB_EMEMORY;
    }
    find_places(s);
    *out = s;
    return ROB_OK;
}

void rob_priv_adjoint_close(rob_adjoint *s)
{
    if (s == NULL) return;
    rob_memory m = s->w->memory;
    void *const all[] = { s->a, s->deviation, s->noise, s->mass, s->hull, s->half,
                          s->steepest, s->share, s->toward, s->linear, s->triangle,
                          s->weight, s->dot, s->square, s->room, s->chain, s->place };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&m, all[i]);
    rob_priv_release(&m, s);
}
