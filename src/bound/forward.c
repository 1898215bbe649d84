/* forward.c -- ranges by affine forms carried forward.
 *
 * A form says of a cell's number v, for every x in the ball,
 *
 *     v = base + sum_j F_j s_j + r,   |r| <= rad,
 *
 * where the symbols s_j are the numbers of x and noises in [-1, 1], shared by all cells:
 * what cancels between two cells cancels. Affine operators act on F; a curved one is a
 * strip of parallel planes (plane_strip.c), half of whose height is a new noise. So one
 * pass serves every range: for an LSTM 4 H^2 multiply-adds a symbol and step, however
 * many rows the ranges stand for. When there are more symbols than allowed the slightest
 * noises become intervals (Girard, Reachability of uncertain linear systems using
 * zonotopes, 2005). The ball keeps its norm: x is bounded by the dual norm, over all
 * steps at once (Bonaert et al., Fast and precise certification of transformers, 2021).
 *
 * Rounding. With M >= |base| + sum |F_j| max|s_j| + rad, a product of K terms errs, for any
 * order of summation, by at most u (K + 2) sum_k |W_k| M_k, which joins rad like every
 * other error; F is whatever was computed. docs/theory/bound.md 6.
 */
#include "bound/forward.h"
#include "bound/single.h"

#include <stdlib.h>
#include <string.h>

/* ---- storage --------------------------------------------------------------------- */

rob_sight rob_priv_form_look(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_form *f = &w->form[c->root];
    int64_t shift = c->kind == ROB_CELL_VIEW ? c->first : 0;
    return (rob_sight){.at = w->pool[f->block].at + shift, .base = w->centre + c->at,
                   .rad = w->spread + c->at, .mag = w->extent + c->at,
                   .ld = w->net->cell[c->root].size, .n = c->size, .first = f->first,
                   .rows = f->rows};
}

/* At least `numbers`, in powers of two, so that blocks are found again. */
int32_t rob_priv_form_block(rob_work *w, int64_t numbers)
{
    int64_t size = 1024;
    while (size < numbers) size *= 2;
    return rob_priv_block_take(w, size);
}

/* A form with symbols [first, first + rows), numbers not set. */
double *rob_priv_form_make(rob_work *w, int32_t cell, int64_t first, int64_t rows)
{
    const rob_cell *c = &w->net->cell[cell];
    int64_t more = c->shared ? c->size : 0;
    rob_form *f = &w->form[cell];
    f->block = rob_priv_form_block(w, (rows + more) * c->size);
    if (f->block < 0) return NULL;
    f->first = first;
    f->rows = rows;
    return w->pool[f->block].at;
}

static void drop(rob_work *w, int32_t cell)
{
    rob_form *f = &w->form[cell];
    if (f->block >= 0) w->pool[f->block].users = 0;
    f->block = -1;
}

int64_t rob_priv_form_symbols(rob_work *w, int64_t count, int64_t coordinate)
{
    if (w->symbols + count > w->symbol_capacity) {
        int64_t capacity = 2 * (w->symbols + count) + 64;
        int64_t *symbol = rob_priv_grow(&w->memory, w->symbol, w->symbols, capacity,
                                        (int64_t)sizeof *symbol);
        if (symbol == NULL) return -1;
        w->symbol = symbol;
        double *most = rob_priv_grow(&w->memory, w->most, w->symbols, capacity,
                                     (int64_t)sizeof *most);
        if (most == NULL) return -1;
        w->most = most;
        w->symbol_capacity = capacity;
    }
    for (int64_t k = 0; k < count; k++) {
        w->symbol[w->symbols + k] = coordinate < 0 ? -1 : coordinate + k;
        w->most[w->symbols + k] = coordinate < 0 ? 1 : w->reach[coordinate + k];
    }
    w->symbols += count;
    return w->symbols - count;
}

/* ---- magnitudes and ranges ------------------------------------------------------- */

/* M (NULL: not wanted), and the noises' share of it in w->fresh */
static void measure(rob_work *w, const rob_sight *s, double *mag)
{
    double *noise = w->fresh;
    if (mag != NULL) memset(mag, 0, (size_t)s->n * sizeof *mag);
    memset(noise, 0, (size_t)s->n * sizeof *noise);
    for (int64_t j = 0, count; j < s->rows; j += count) {
        const bool input = w->symbol[s->first + j] >= 0;
        for (count = 1; j + count < s->rows; count++)
            if ((w->symbol[s->first + j + count] >= 0) != input) break;
        if (input && mag == NULL) continue;
        w->net->kernel->gather(count, s->n, w->most + s->first + j, s->at + j * s->ld, s->ld,
                               input ? mag : noise);
    }
    double more = 1 + (double)(s->rows + 8) * ROB_U, tiny = (double)(s->rows + 4) * ROB_TINY;
    for (int64_t e = 0; e < s->n; e++) {
        noise[e] = noise[e] * more + tiny;
        if (mag != NULL)
            mag[e] = (mag[e] + noise[e] + fabs(s->base[e]) + s->rad[e]) * more + 2 * tiny;
    }
}

/* The x part of +v_e and -v_e for all e, collected over the steps. */
static double collect(rob_work *w, const rob_sight *s)
{
    double ops = 64;
    for (int64_t j = 0; j < s->rows;) {
        int64_t first = w->symbol[s->first + j], count = 1;
        if (first < 0) {
            j++;
            continue;
        }
        while (j + count < s->rows && count < w->net->features
               && w->symbol[s->first + j + count] == first + count)
            count++;
        for (int64_t k = 0; k < count; k++)
            for (int64_t e = 0; e < s->n; e++) {
                double a = s->at[(j + k) * s->ld + e];
                w->turned[2 * e * count + k] = a;
                w->turned[(2 * e + 1) * count + k] = -a;
            }
        rob_priv_ball_collect(&w->ball, first, count, 2 * s->n, w->turned, count,
                              w->sum, w->sum + 2 * w->net->widest, w->seen);
        ops += 4 * (double)count + 16;
        j += count;
    }
    return ops;
}

/* A lower bound of what collect gave row r, minus `rest`. */
static double ending(const rob_work *w, int64_t r, double rest, double ops)
{
    const double *base = w->sum, *loss = base + 2 * w->net->widest,
                 *seen = w->seen + r * rob_priv_ball_width(&w->ball);
    double lost = fp_mul_up(loss[r], fp_up(1 + ops * ROB_U));
    double slope = rob_priv_ball_slope(&w->ball, seen, ops);
    double most = rob_priv_ball_loss(&w->ball, seen, slope, ops);
    double value = fp_add_lo(base[r], -fp_add_up(lost, rest));
    return most == 0 ? fp_or_lo(value) : fp_or_lo(fp_add_lo(value, -most));
}

static void start_rows(rob_work *w, const rob_sight *s)
{
    memset(w->sum, 0, (size_t)(4 * w->net->widest) * sizeof *w->sum);
    memset(w->seen, 0,
           (size_t)(2 * s->n * rob_priv_ball_width(&w->ball)) * sizeof *w->seen);
    for (int64_t e = 0; e < s->n; e++) {
        w->sum[2 * e] = s->base[e];
        w->sum[2 * e + 1] = -s->base[e];
    }
}

/* Ends of numbers whose noises stand in w->fresh. */
static void ends(rob_work *w, const rob_sight *s, double *lo, double *up)
{
    start_rows(w, s);
    double ops = collect(w, s);
    for (int64_t e = 0; e < s->n; e++) {
        double rest = fp_add_up(w->fresh[e], s->rad[e]);
        lo[e] = ending(w, 2 * e, rest, ops);
        up[e] = -ending(w, 2 * e + 1, rest, ops);
    }
}

void rob_priv_form_range(rob_work *w, const rob_sight *s, double *lo, double *up)
{
    measure(w, s, NULL);
    ends(w, s, lo, up);
}

/* Magnitudes of a new form; its range joins the cell's. */
static void finish(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    rob_sight s = rob_priv_form_look(w, cell);
    measure(w, &s, w->extent + c->at);
    if (!c->tight && c->last != INT32_MAX) return;
    double *lo = w->ends, *up = lo + w->net->widest;
    ends(w, &s, lo, up);
    for (int64_t e = 0; e < c->size; e++) {
        w->lo[c->at + e] = fp_max(lo[e], w->lo[c->at + e]);
        w->up[c->at + e] = fp_min(up[e], w->up[c->at + e]);
    }
}

/* What a cell holds privately becomes noises of its own, before it is read twice. */
static bool refresh(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    rob_form *f = &w->form[cell];
    double *rad = w->spread + c->at, *at = w->pool[f->block].at;
    int64_t count = 0;
    for (int64_t e = 0; e < c->size; e++) count += rad[e] > 0;
    if (count == 0 || (w->symbols - f->first + count) * c->size > ROB_FORM_MOST)
        return true;
    int64_t from = rob_priv_form_symbols(w, count, -1), k = from - f->first;
    if (from < 0) return false;
    if (f->rows == 0) {
        f->first = from;
        k = 0;
    }
    if ((k + count) * c->size > w->pool[f->block].capacity) {
        int32_t larger = rob_priv_form_block(w, (k + count) * c->size);
        if (larger < 0) return false;
        memcpy(w->pool[larger].at, at, (size_t)(f->rows * c->size) * sizeof *at);
        w->pool[f->block].users = 0;
        f->block = larger;
        at = w->pool[larger].at;
    }
    memset(at + f->rows * c->size, 0,
           (size_t)((k + count - f->rows) * c->size) * sizeof *at);
    f->rows = k + count;
    for (int64_t e = 0; e < c->size; e++) {
        if (!(rad[e] > 0)) continue;
        at[k++ * c->size + e] = rad[e];
        rad[e] = 0;
    }
    return true;
}

/* ---- fewer symbols --------------------------------------------------------------- */

typedef struct rank { double weight; int64_t symbol; } rank;

static int by_weight(const void *a, const void *b)
{
    const rank *p = a, *q = b;
    if (p->weight != q->weight) return p->weight < q->weight ? -1 : 1;
    return p->symbol < q->symbol ? -1 : 1;
}

static void weigh(rob_work *w, rank *r)
{
    for (int64_t j = 0; j < w->symbols; j++) r[j] = (rank){0, j};
    for (int32_t i = 0; i < w->net->cells; i++) {
        if (w->form[i].block < 0) continue;
        rob_sight s = rob_priv_form_look(w, i);
        const double *ones = w->turned;
        for (int64_t e = 0; e < s.n; e++) w->turned[e] = 1;
        for (int64_t j = 0; j < s.rows; j++) {
            double sum = 0;
            w->net->kernel->cost(1, s.n, s.at + j * s.ld, s.ld, ones, &sum);
            r[s.first + j].weight += sum;
        }
    }
    for (int64_t j = 0; j < w->symbols; j++)
        if (w->symbol[j] >= 0) r[j].weight = INFINITY;
}

/* Rows of symbols without a new number go to rad; the others close up. */
static void renumber(rob_work *w, int32_t cell, const int64_t *to)
{
    const rob_cell *c = &w->net->cell[cell];
    rob_form *f = &w->form[cell];
    double *at = w->pool[f->block].at, *rad = w->spread + c->at;
    int64_t kept = 0, first = -1;
    const double more = 1 + (double)(f->rows + 8) * ROB_U, one = 1;
    for (int64_t j = 0; j < f->rows; j++) {
        const double *row = at + j * c->size;
        int64_t now = to[f->first + j];
        if (now >= 0) {
            first = first < 0 ? now : first;
            memmove(at + kept++ * c->size, row, (size_t)c->size * sizeof *at);
        } else {
            w->net->kernel->gather(1, c->size, &one, row, c->size, rad);
        }
    }
    for (int64_t e = 0; e < c->size; e++)
        if (rad[e] > 0) rad[e] = rad[e] * more + ROB_TINY;
    f->first = first < 0 ? 0 : first;
    f->rows = kept;
}

static bool reduce(rob_work *w)
{
    rank *r = rob_priv_allocate(&w->memory, w->symbols, (int64_t)sizeof *r);
    int64_t *to = rob_priv_allocate(&w->memory, w->symbols, (int64_t)sizeof *to);
    if (r != NULL && to != NULL) {
        weigh(w, r);
        qsort(r, (size_t)w->symbols, sizeof *r, by_weight);
        int64_t gone = w->symbols - w->symbols_most * 2 / 3, kept = 0;
        memset(to, 0, (size_t)w->symbols * sizeof *to);
        for (int64_t j = 0; j < gone; j++)
            if (r[j].weight < INFINITY) to[r[j].symbol] = -1;
        for (int64_t j = 0; j < w->symbols; j++) {
            if (to[j] < 0) continue;
            w->symbol[kept] = w->symbol[j];
            w->most[kept] = w->most[j];
            to[j] = kept++;
        }
        w->symbols = kept;
        for (int32_t i = 0; i < w->net->cells; i++)
            if (w->form[i].block >= 0) renumber(w, i, to);
    }
    bool fine = r != NULL && to != NULL;
    rob_priv_release(&w->memory, r);
    rob_priv_release(&w->memory, to);
    return fine;
}

/* ---- the walk -------------------------------------------------------------------- */

void rob_priv_forward_begin(rob_work *w)
{
    w->symbols = 0;
    w->furthest = 1;
    for (int64_t k = 0; k < w->net->steps * w->net->features; k++) {
        double lo, up;
        rob_priv_ball_range(&w->ball, k, 1, &lo, &up);
        w->reach[k] = fp_max(fabs(lo), fabs(up));
        w->furthest = fp_max(w->furthest, w->reach[k]);
    }
    for (int32_t i = 0; i < w->net->cells; i++) drop(w, i);
}

void rob_priv_forward_end(rob_work *w)
{
    for (int32_t i = 0; i < w->net->cells; i++) drop(w, i);
}

bool rob_priv_forward_cell(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (w->symbols > w->symbols_most && !reduce(w)) return false;
    if (!rob_priv_form_of(w, cell)) return false;
    for (int64_t e = c->at; w->single != NULL && e < c->at + c->size; e++)
        w->spread[e] = fp_add_up(w->spread[e], w->single->error[e]);
    if (c->shared && !refresh(w, cell)) return false;
    finish(w, cell);
    for (int32_t k = 0; k < c->ins; k++) {
        const rob_cell *z = &w->net->cell[w->net->link[c->link + k].cell];
        if (z->live && w->net->cell[z->root].last == cell) drop(w, z->root);
    }
    return true;
}

/* Rows a on a cell with a form: lower bounds of a.v + base into value. */
bool rob_priv_forward_rows(rob_work *w, int32_t cell, int64_t rows, const double *a,
                           int64_t lda, const double *base, double *value)
{
    const rob_cell *c = &w->net->cell[cell];
    if (!c->live || w->form[c->root].block < 0) return true;
    rob_sight s = rob_priv_form_look(w, cell);
    int32_t block = rob_priv_form_block(w, s.rows + 1);
    if (block < 0) return false;
    s = rob_priv_form_look(w, cell);
    double *f = w->pool[block].at, n = (double)c->size;
    for (int64_t r = 0; r < rows; r++, a += lda) {
        double sum = base[r], rest = 0, size = fabs(base[r]), noise = 0;
        for (int64_t e = 0; e < c->size; e++) {
            sum += a[e] * s.base[e];
            rest += fabs(a[e]) * s.rad[e];
            size += fabs(a[e]) * s.mag[e];
        }
        for (int64_t j = 0; j < s.rows; j++) {
            f[j] = 0;
            for (int64_t e = 0; e < c->size; e++) f[j] += a[e] * s.at[j * s.ld + e];
            if (w->symbol[s.first + j] < 0) noise += fabs(f[j]);
        }
        rest = (rest + noise + (n + 4) * ROB_U * size) * (1 + (double)(s.rows + c->size + 16) * ROB_U)
               + (double)(s.rows + 8) * n * ROB_TINY * w->furthest;
        rob_sight one = {f, &sum, &rest, &size, 1, 1, s.first, s.rows};
        start_rows(w, &one);
        double ops = collect(w, &one);
        value[r] = fp_max(ending(w, 0, rest, ops), value[r]);
    }
    w->pool[block].users = 0;
    return true;
}
