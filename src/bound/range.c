/* range.c -- ranges of every cell of the network on a ball.
 *
 * Cells are visited operands first. A cell's range is the image of its operands' ranges
 * by the operator's interval rule, intersected, where planes will be made on it, with
 * what sweeps of +v_e and -v_e back to x prove:
 *
 *     lo_e = max(interval, bound of v_e),   up_e = min(interval, -(bound of -v_e)).
 *
 * Ranges by intervals alone are computed first and intersected too, so sweeps only
 * help.
 */
#include "bound/order/second.h"
#include "bound/forward.h"
#include "bound/joint.h"
#include "bound/branch/branch.h"
#include "bound/single.h"

#include <string.h>

static void image_of_join(rob_work *w, const rob_cell *c, double *lo, double *up)
{
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t part = w->net->link[c->link + k].cell;
        rob_range r = rob_priv_cell_range(w, part);
        size_t bytes = (size_t)w->net->cell[part].size * sizeof(double);
        memcpy(lo, r.lo, bytes);
        memcpy(up, r.up, bytes);
        lo += w->net->cell[part].size;
        up += w->net->cell[part].size;
    }
}

static void image_of_sum(rob_work *w, const rob_cell *c, double *lo, double *up)
{
    const rob_range *in = rob_priv_operands(w, c);
    for (int64_t e = 0; e < c->size; e++) {
        lo[e] = fp_add_lo(in[0].lo[e], c->sign > 0 ? in[1].lo[e] : -in[1].up[e]);
        up[e] = fp_add_up(in[0].up[e], c->sign > 0 ? in[1].up[e] : -in[1].lo[e]);
    }
}

/* fresh <- the interval rule */
void rob_priv_range_image(rob_work *w, const rob_cell *c)
{
    double *lo = w->fresh, *up = w->fresh + w->net->widest;
    if (c->kind == ROB_CELL_INPUT) {
        rob_priv_ball_range(&w->ball, c->first, c->size, lo, up);
    } else if (c->kind == ROB_CELL_JOIN) {
        image_of_join(w, c, lo, up);
    } else if (c->kind == ROB_CELL_SUM) {
        image_of_sum(w, c, lo, up);
    } else {
        rob_range out = {c->node.shape, lo, up};
        c->node.op->interval(&c->node, rob_priv_operands(w, c), c->output, &out);
    }
    for (int64_t e = 0; e < c->size; e++) {
        lo[e] = fp_or_lo(lo[e]);
        up[e] = fp_or_up(up[e]);
    }
    if (w->single != NULL) rob_priv_single_widen(w, c);
}

static void intersect(rob_work *w, const rob_cell *c)
{
    const double *lo = w->fresh, *up = w->fresh + w->net->widest;
    for (int64_t e = 0; e < c->size; e++) {
        w->lo[c->at + e] = fp_max(w->lo[c->at + e], lo[e]);
        w->up[c->at + e] = fp_min(w->up[c->at + e], up[e]);
    }
    for (int64_t e = c->at; w->held_lo != NULL && e < c->at + c->size; e++) {
        w->lo[e] = fp_max(w->lo[e], w->held_lo[e]);
        w->up[e] = fp_min(w->up[e], w->held_up[e]);
    }
}

/* Numbers of a cell that have a width, from *next on: at most `most`. */
static int64_t some_with_width(const rob_work *w, const rob_cell *c, int64_t *next,
                               int64_t most, int64_t *which)
{
    int64_t count = 0;
    for (; *next < c->size && count < most; (*next)++)
        if (w->up[c->at + *next] > w->lo[c->at + *next]) which[count++] = *next;
    return count;
}

/* Rows +e_e and -e_e, e in which. */
static rob_status sweep_units(rob_work *w, int32_t cell, const int64_t *which, int64_t count)
{
    const rob_cell *c = &w->net->cell[cell];
    memset(w->unit, 0, (size_t)(2 * count * c->size) * sizeof *w->unit);
    for (int64_t k = 0; k < count; k++) {
        w->unit[2 * k * c->size + which[k]] = 1;
        w->unit[(2 * k + 1) * c->size + which[k]] = -1;
    }
    return rob_priv_sweep(w, cell, 2 * count, w->unit, c->size, NULL);
}

/* Bounds of v_e, e in which. */
static rob_status tighten_some(rob_work *w, int32_t cell, const int64_t *which,
                               int64_t count)
{
    const rob_cell *c = &w->net->cell[cell];
    rob_status status = sweep_units(w, cell, which, count);
    if (status == ROB_OK && w->halves == NULL)
        rob_priv_straight_keep(w, cell, which, count);
    for (int64_t k = 0; k < count && status == ROB_OK; k++) {
        double *lo = &w->lo[c->at + which[k]], *up = &w->up[c->at + which[k]];
        *lo = fp_max(w->proof[2 * k].value, *lo);
        *up = fp_min(-w->proof[2 * k + 1].value, *up);
    }
    return status;
}

static rob_status tighten_all(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    rob_status status = ROB_OK;
    if (w->halves == NULL && rob_priv_straight_recall(w, cell)) return ROB_OK;
    if (w->halves == NULL) rob_priv_straight_begin(w, cell);
    for (int64_t next = 0; next < c->size && status == ROB_OK;) {
        int64_t count = some_with_width(w, c, &next, w->tile / 2, w->which);
        if (count > 0) status = tighten_some(w, cell, w->which, count);
    }
    return status;
}

static bool is_divided(const rob_work *w, int64_t e) { return w->lo[e] < 0 && w->up[e] > 0; }

/* Ends 2 e + side, at most `most`, from *next on: of numbers that relu's kink divides that
 * nearer to 0, which decides most of them, or the other. */
static int64_t some_ends(const rob_work *w, const rob_cell *c, bool other, int64_t *next,
                         int64_t most, int64_t *end)
{
    int64_t count = 0;
    for (; *next < c->size && count < most; (*next)++) {
        double lo = w->lo[c->at + *next], up = w->up[c->at + *next];
        if (is_divided(w, c->at + *next)) end[count++] = 2 * *next + ((lo + up < 0) != other);
    }
    return count;
}

static rob_status tighten_ends(rob_work *w, int32_t cell, const int64_t *end, int64_t count)
{
    const rob_cell *c = &w->net->cell[cell];
    memset(w->unit, 0, (size_t)(count * c->size) * sizeof *w->unit);
    for (int64_t k = 0; k < count; k++) w->unit[k * c->size + end[k] / 2] = end[k] % 2 ? -1 : 1;
    rob_status status = rob_priv_sweep(w, cell, count, w->unit, c->size, NULL);
    for (int64_t k = 0; k < count && status == ROB_OK; k++) {
        double *lo = &w->lo[c->at + end[k] / 2], *up = &w->up[c->at + end[k] / 2];
        if (end[k] % 2) *up = fp_min(-w->proof[k].value, *up);
        else *lo = fp_max(w->proof[k].value, *lo);
    }
    return status;
}

static rob_status tighten_side(rob_work *w, int32_t cell, bool other)
{
    const rob_cell *c = &w->net->cell[cell];
    rob_status status = ROB_OK;
    for (int64_t next = 0; next < c->size && status == ROB_OK;) {
        int64_t count = some_ends(w, c, other, &next, w->tile, w->which);
        if (count > 0) status = tighten_ends(w, cell, w->which, count);
    }
    return status;
}

/* Relu is a line on either side of 0: what one end decides needs no other, while few stay
 * divided. Where many do, intervals of what follows may be better than its sweeps, and
 * they need both ends. Others than the rows of "crown" look at widths too. */
static rob_status decide(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    rob_status status = tighten_side(w, cell, false);
    int64_t divided = 0;
    for (int64_t e = c->at; e < c->at + c->size; e++) divided += is_divided(w, e);
    if (status != ROB_OK) return status;
    if (16 * divided <= c->size) return tighten_side(w, cell, true);
    return tighten_all(w, cell);
}

static bool only_sides_count(const rob_work *w, const rob_cell *c)
{
    return c->kinked && c->kept < 0 && w->halves == NULL && w->alpha == NULL && !w->plain
           && w->branch == NULL && w->second == NULL && w->single == NULL;
}

rob_status rob_priv_range_tighten(rob_work *w, int32_t cell)
{
    return only_sides_count(w, &w->net->cell[cell]) ? decide(w, cell) : tighten_all(w, cell);
}

/* ---- which sweeps are worth it ---------------------------------------------------- */

/* Noises of the form just made of a cell: half widths that a sweep may take away. */
static double noise_of(const rob_work *w, const rob_cell *c, int64_t e)
{
    return w->fresh[e] + w->spread[c->at + e];
}

/* The numbers of most noise, at most SAMPLE. */
enum { SAMPLE = 6 };
static int64_t most_noise(const rob_work *w, const rob_cell *c, int64_t *which)
{
    int64_t count = 0;
    for (int64_t e = 0; e < c->size; e++) {
        double noise = noise_of(w, c, e);
        if (!(w->up[c->at + e] > w->lo[c->at + e])) continue;
        if (count == SAMPLE && !(noise > noise_of(w, c, which[SAMPLE - 1]))) continue;
        int64_t i = count < SAMPLE ? count++ : SAMPLE - 1;
        for (; i > 0 && noise_of(w, c, which[i - 1]) < noise; i--) which[i] = which[i - 1];
        which[i] = e;
    }
    return count;
}

/* A share g of the widths is noise, and a sweep can win at most 2 g of them: the function
 * itself is at least so wide. Narrower ranges enter a margin through the planes' gaps,
 * which are noise too: winning a share d of the widths moves it by about 2 d g. Ranges
 * stay as they are; the next pass sweeps what is not idle. */
static rob_status sound(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    double noise = 0, width = 0, before = 0, after = 0;
    if (w->form[cell].block < 0) return ROB_OK;
    for (int64_t e = 0; e < c->size; e++) {
        noise += noise_of(w, c, e);
        width += 0.5 * (w->up[c->at + e] - w->lo[c->at + e]);
    }
    w->idle[cell] = 2 * noise * noise < w->gain * width * width;
    if (w->idle[cell] || w->broken) return ROB_OK;
    const int64_t most = w->tile / 2 < SAMPLE ? w->tile / 2 : SAMPLE;
    int64_t which[SAMPLE], count = most_noise(w, c, which);
    count = count < most ? count : most;
    rob_status status = sweep_units(w, cell, which, count);
    for (int64_t k = 0; k < count && status == ROB_OK; k++) {
        double lo = w->lo[c->at + which[k]], up = w->up[c->at + which[k]];
        before += up - lo;
        after += fp_min(up, -w->proof[2 * k + 1].value) - fp_max(lo, w->proof[2 * k].value);
    }
    w->idle[cell] = (before - after) * noise < w->gain * before * width;
    w->found = w->found || !w->idle[cell];
    return status;
}

/* Largest magnitudes; an empty or infinite range breaks the proof. */
void rob_priv_range_seal(rob_work *w, const rob_cell *c)
{
    for (int64_t e = c->at; e < c->at + c->size; e++) {
        w->big[e] = fp_max(fabs(w->lo[e]), fabs(w->up[e]));
        if (!(w->lo[e] <= w->up[e]) || !isfinite(w->big[e])) w->broken = true;
        if (w->lo[e] > w->up[e] && isfinite(w->big[e])) w->empty = true;
    }
}

static bool has_range(const rob_cell *c) { return c->live && c->kind != ROB_CELL_VIEW; }

static double width_of(const rob_work *w, const rob_cell *c)
{
    double sum = 0;
    for (int64_t e = c->at; e < c->at + c->size; e++) sum += w->up[e] - w->lo[e];
    return sum;
}

static void by_intervals(rob_work *w)
{
    for (int32_t i = 0; i < w->net->cells; i++) {
        const rob_cell *c = &w->net->cell[i];
        if (!has_range(c)) continue;
        rob_priv_range_image(w, c);
        memcpy(w->lo + c->at, w->fresh, (size_t)c->size * sizeof(double));
        memcpy(w->up + c->at, w->fresh + w->net->widest,
               (size_t)c->size * sizeof(double));
        rob_priv_range_seal(w, c);
        if (c->tight) w->wide[i] = width_of(w, c);
    }
    w->broken = false;
}

/* All bits set: planes of an earlier ball are no numbers, and a row that met one before
 * it is made anew would prove nothing. */
static void forget_planes(rob_work *w)
{
    memset(w->plane, 0xff, (size_t)w->net->plane_size * sizeof *w->plane);
}

/* What half-spaces or split numbers tell of a ball is news to forms. */
static bool is_idle(const rob_work *w, int32_t cell)
{
    return w->idle != NULL && w->idle[cell] && w->halves == NULL;
}

/* The range of cell i, and what hangs on it. */
static rob_status visit(rob_work *w, int32_t i)
{
    const rob_cell *c = &w->net->cell[i];
    const double before = c->tight ? w->wide[i] : 0;
    rob_priv_range_image(w, c);
    intersect(w, c);
    rob_priv_range_seal(w, c);
    rob_status status = w->sweeps && !w->broken ? rob_priv_couple_refine(w, i) : ROB_OK;
    if (status != ROB_OK) return status;
    rob_priv_plane_prepare(w, i);
    if (w->broken) return ROB_OK;
    rob_priv_plane_inherit(w, i);
    if (!rob_priv_joint_prepare(w, i)) return ROB_EMEMORY;
    if (w->form != NULL) {
        if (!rob_priv_forward_cell(w, i)) return ROB_EMEMORY;
        rob_priv_range_seal(w, c);
    }
    if (!c->tight && !w->broken && w->bends)
        return rob_priv_second_visit(w->second, i);
    if (!c->tight || w->broken) return ROB_OK;
    if (w->sounding) status = sound(w, i);
    else if (w->sweeps && !is_idle(w, i)) status = rob_priv_range_tighten(w, i);
    if (status == ROB_OK) rob_priv_range_seal(w, c);
    if (status == ROB_OK && w->bends)
        status = rob_priv_second_visit(w->second, i);
    if (status == ROB_OK) rob_priv_range_seal(w, c);
    w->by_interval += before;
    w->by_all += width_of(w, c);
    return status;
}

/* Ranges that were narrow and have become those of intervals will not recover: what the
 * intervals prove is all there is to come. */
static bool is_hopeless(rob_work *w)
{
    bool wide = w->by_all > 0.95 * w->by_interval;
    bool hopeless = w->search && w->was_narrow && wide;
    w->was_narrow = w->was_narrow || w->by_all < 0.5 * w->by_interval;
    w->by_all = w->by_interval = 0;
    return hopeless;
}

rob_status rob_priv_ranges(rob_work *w, bool crown)
{
    w->broken = w->empty = false;
    forget_planes(w);
    if (!w->again) by_intervals(w);
    if (crown && w->form != NULL) rob_priv_forward_begin(w);
    if (w->bends) rob_priv_second_begin(w->second);
    w->hopeless = w->was_narrow = false;
    w->by_all = w->by_interval = 0;
    int32_t time = -1;
    for (int32_t i = 0; crown && i < w->net->cells && !w->broken; i++) {
        const rob_cell *c = &w->net->cell[i];
        if (!has_range(c)) continue;
        if (c->time != time) {
            if (w->stop != NULL && w->stop(w->stop_user)) return ROB_STOPPED;
            if (is_hopeless(w)) w->hopeless = true;
            if (w->hopeless) return ROB_OK;
        }
        time = c->time;
        rob_status status = visit(w, i);
        if (status != ROB_OK) return status;
    }
    return ROB_OK;
}

/* ---- the workspace --------------------------------------------------------------- */

/* Rows a time: blocks of the widest product's coefficients stay in the second-level
 * cache. */
static int64_t rows_at_a_time(const rob_network *net)
{
    int64_t widest = 1;
    for (int32_t i = 0; i < net->cells; i++)
        if (net->cell[i].kind == ROB_CELL_PRODUCT && net->cell[i].size > widest)
            widest = net->cell[i].size;
    int64_t rows = (1 << 15) / widest / 12 * 12;
    return rows < 24 ? 24 : rows > 192 ? 192 : rows;
}

static int64_t widest_tight(const rob_network *net)
{
    int64_t widest = 1;
    for (int32_t i = 0; i < net->cells; i++)
        if (net->cell[i].tight && net->cell[i].size > widest)
            widest = net->cell[i].size;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->kind != ROB_CELL_COUPLED) continue;
        int64_t size = net->cell[net->link[c->link].cell].size;
        if (size > widest) widest = size;
    }
    return widest;
}

static bool reserve(rob_work *w, double **p, int64_t count)
{
    *p = rob_priv_allocate(&w->memory, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

rob_status rob_priv_work_open(const rob_network *net, rob_work **out)
{
    *out = NULL;
    rob_work *w = rob_priv_allocate(&net->memory, 1, (int64_t)sizeof *w);
    if (w == NULL) return ROB_EMEMORY;
    w->memory = net->memory;
    w->net = net;
    w->tile = rows_at_a_time(net);
    w->width = 1;
    bool fine = reserve(w, &w->lo, net->range_size)
                && reserve(w, &w->up, net->range_size)
                && reserve(w, &w->big, net->range_size)
                && reserve(w, &w->plane, net->plane_size) && reserve(w, &w->wide, net->cells)
                && reserve(w, &w->kept, net->kept_size)
                && reserve(w, &w->kept_x, net->steps * net->features)
                && reserve(w, &w->touch, ROB_MAX_INS * net->widest)
                && reserve(w, &w->fresh, 2 * net->widest)
                && reserve(w, &w->unit, w->tile * widest_tight(net))
                && reserve(w, &w->base, w->tile) && reserve(w, &w->loss, w->tile)
                && reserve(w, &w->cost, w->tile) && reserve(w, &w->measure, w->tile)
                && reserve(w, &w->base2, w->tile) && reserve(w, &w->loss2, w->tile);
    w->which = rob_priv_allocate(&w->memory, w->tile, (int64_t)sizeof *w->which);
    w->proof = rob_priv_allocate(&w->memory, w->tile, (int64_t)sizeof *w->proof);
    w->range =
        rob_priv_allocate(&w->memory, net->most_ins + 1, (int64_t)sizeof *w->range);
    w->block = rob_priv_allocate(&w->memory, net->cells, (int64_t)sizeof *w->block);
    w->sweeps = true;
    fine = fine && w->which != NULL && w->proof != NULL && w->range != NULL
        && w->block != NULL;
    for (int32_t i = 0; fine && i < net->cells; i++) w->block[i] = -1;
    if (fine) *out = w;
    else rob_priv_work_close(w);
    return fine ? ROB_OK : ROB_EMEMORY;
}

/* Noises that cells may make, of all steps. Weights are read by many, but make none. */
static int64_t noises_of(const rob_network *net)
{
    int64_t noises = 0;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->live && c->shared && c->kind != ROB_CELL_INPUT) noises += c->size;
    }
    return noises;
}

rob_status rob_priv_forward_open(rob_work *w)
{
    const rob_network *net = w->net;
    int64_t size = net->range_size, numbers = net->steps * net->features;
    bool fine = reserve(w, &w->centre, size) && reserve(w, &w->spread, size)
                && reserve(w, &w->extent, size) && reserve(w, &w->reach, numbers)
                && reserve(w, &w->sum, 4 * net->widest)
                && reserve(w, &w->seen, 2 * net->widest * w->width)
                && reserve(w, &w->ends, 2 * net->widest)
                && reserve(w, &w->turned, 2 * net->widest * net->features);
    w->form = rob_priv_allocate(&w->memory, net->cells, (int64_t)sizeof *w->form);
    w->idle = rob_priv_allocate(&w->memory, net->cells, (int64_t)sizeof *w->idle);
    if (!fine || w->form == NULL || w->idle == NULL) return ROB_EMEMORY;
    for (int32_t i = 0; i < net->cells; i++) w->form[i].block = -1;
    w->symbols_most = numbers + 1024 + 6 * noises_of(net) / net->steps;
    return ROB_OK;
}

void rob_priv_work_close(rob_work *w)
{
    if (w == NULL) return;
    rob_memory m = w->memory;
    rob_priv_alpha_close(w->alpha);
    rob_priv_second_close(w->second);
    rob_priv_single_close(w);
    rob_priv_joint_close(w);
    rob_priv_branch_close(w->branch);
    for (int32_t i = 0; i < w->blocks; i++) rob_priv_release(&m, w->pool[i].at);
    void *const all[] = {
        w->kept, w->kept_x, w->wide, w->lo, w->up, w->big, w->plane, w->touch, w->fresh, w->unit, w->base, w->loss,
        w->cost, w->measure, w->base2, w->loss2, w->which, w->proof, w->range, w->block,
        w->pool, w->form, w->idle, w->centre, w->spread, w->extent, w->reach, w->sum, w->seen, w->turned, w->ends,
        w->symbol, w->most, w->held_lo, w->held_up,
    };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&m, all[i]);
    rob_priv_release(&m, w);
}
