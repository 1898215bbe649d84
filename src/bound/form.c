/* form.c -- the affine form of a cell from those of its operands.
 *
 *     input    v_e = x_k: a symbol itself         sum      F = F_1 +- F_2
 *     product  F = F_z op(W)                      join     F side by side
 *     linear   F = F_z A', A by unit rows pulled  curved   F = sum_i s_i F_i, with the
 *     strip lo <= phi - s.z <= up: base + (lo + up)/2, rad + (up - lo)/2
 *
 * where s_i, lo and up are per element (plane_strip.c). Operators without planes, and
 * forms too large, are their ranges. What rounding costs goes to rad: forward.c.
 * Reference: Singh et al., Fast and effective robustness certification, NeurIPS 2018;
 * docs/theory/bound.md 6.
 */
#include "bound/forward.h"
#include "bound/joint.h"

#include <string.h>

/* A form that is its range: one noise each, when it is read twice. */
static bool form_of_range(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (rob_priv_form_make(w, cell, w->symbols, 0) == NULL) return false;
    for (int64_t e = c->at; e < c->at + c->size; e++) {
        double centre = 0.5 * w->lo[e] + 0.5 * w->up[e];
        w->centre[e] = centre;
        w->spread[e] = fp_max(fp_up(w->up[e] - centre), fp_up(centre - w->lo[e]));
        if (w->lo[e] == w->up[e]) w->spread[e] = 0;
    }
    return true;
}

static bool form_of_input(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    int64_t first = rob_priv_form_symbols(w, c->size, c->first);
    double *at = first < 0 ? NULL : rob_priv_form_make(w, cell, first, c->size);
    if (at == NULL) return false;
    memset(at, 0, (size_t)(c->size * c->size) * sizeof *at);
    for (int64_t e = 0; e < c->size; e++) {
        at[e * c->size + e] = 1;
        w->centre[c->at + e] = w->spread[c->at + e] = 0;
        w->reach[c->first + e] = w->big[c->at + e];
    }
    return true;
}

/* Union of windows of the live operands. */
static void join_windows(const rob_sight *s, int32_t count, int64_t *first, int64_t *rows)
{
    int64_t from = INT64_MAX, end = 0;
    for (int32_t k = 0; k < count; k++) {
        if (s[k].rows == 0) continue;
        from = s[k].first < from ? s[k].first : from;
        end = s[k].first + s[k].rows > end ? s[k].first + s[k].rows : end;
    }
    *first = from == INT64_MAX ? 0 : from;
    *rows = from == INT64_MAX ? 0 : end - from;
}

/* May the sum's form take operand k's block? */
static bool yields(const rob_work *w, int32_t cell, int32_t k, int64_t first, int64_t rows)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    const rob_cell *z = &w->net->cell[in[k].cell];
    if ((k == 1 && c->sign < 0) || in[0].cell == in[1].cell || z->root != in[k].cell)
        return false;
    const rob_form *f = &w->form[z->root];
    return z->last == cell && f->first == first
           && w->pool[f->block].capacity >= (rows + (c->shared ? c->size : 0)) * c->size;
}

/* Room for the sum: the block of an operand that nobody reads any more, or a new one,
 * zeros where nothing is. *taken: the operand whose rows stand there already. */
static double *room_for_sum(rob_work *w, int32_t cell, const int32_t *live, int32_t count,
                            int64_t first, int64_t rows, int32_t *taken)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    int64_t kept = 0;
    double *at;
    *taken = -1;
    for (int32_t k = 0; k < count && *taken < 0; k++)
        if (yields(w, cell, live[k], first, rows)) *taken = k;
    if (*taken >= 0) {
        rob_form *from = &w->form[in[live[*taken]].cell];
        w->form[cell] = *from;
        from->block = -1;
        kept = w->form[cell].rows;
        w->form[cell].rows = rows;
        at = w->pool[w->form[cell].block].at;
    } else {
        at = rob_priv_form_make(w, cell, first, rows);
    }
    if (at != NULL)
        memset(at + kept * c->size, 0, (size_t)((rows - kept) * c->size) * sizeof *at);
    return at;
}

typedef struct ball1 { double centre, radius; } ball1;

static ball1 ball_of(const rob_range *r, int64_t e)
{
    if (r->lo[e] == r->up[e]) return (ball1){r->lo[e], 0};
    double m = 0.5 * r->lo[e] + 0.5 * r->up[e];
    return (ball1){m, fp_max(fp_up(r->up[e] - m), fp_up(m - r->lo[e]))};
}

/* base and rad of a sum: operand k by its form, or by its known range */
static void ends_of_sum(rob_work *w, int32_t cell, const rob_sight *form, int64_t rows)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    for (int64_t e = 0; e < c->size; e++) {
        double base = 0, rad = 0, mag = 0;
        for (int32_t k = 0; k < 2; k++) {
            double sign = k == 0 ? 1 : c->sign;
            rob_range z = rob_priv_cell_range(w, in[k].cell);
            bool live = form[k].n > 0;
            ball1 known = live ? (ball1){form[k].base[e], form[k].rad[e]} : ball_of(&z, e);
            base += sign * known.centre;
            rad += known.radius;
            mag += live ? form[k].mag[e] : fabs(known.centre);
        }
        w->centre[c->at + e] = base;
        w->spread[c->at + e] = (rad + 4 * ROB_U * mag) * (1 + 8 * ROB_U)
                               + 8 * (double)(rows + 1) * ROB_TINY;
    }
}

static bool form_of_sum(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    rob_sight form[2] = {{0}}, s[2];
    int32_t live[2], count = 0, taken;
    for (int32_t k = 0; k < 2; k++) {
        if (!w->net->cell[in[k].cell].live) continue;
        live[count] = k;
        s[count++] = form[k] = rob_priv_form_look(w, in[k].cell);
    }
    int64_t first, rows;
    join_windows(s, count, &first, &rows);
    double *at = room_for_sum(w, cell, live, count, first, rows, &taken);
    if (at == NULL) return false;
    for (int32_t k = 0; k < count; k++)
        if (k != taken)
            w->net->kernel->add(s[k].rows, c->size, live[k] == 0 ? 1 : c->sign, s[k].at,
                                s[k].ld, at + (s[k].first - first) * c->size, c->size);
    ends_of_sum(w, cell, form, rows);
    return true;
}

/* The union of all live operands' windows. */
static void join_all(const rob_work *w, const rob_cell *c, int64_t *first, int64_t *rows)
{
    int64_t from = INT64_MAX, end = 0;
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t in = w->net->link[c->link + k].cell;
        if (!w->net->cell[in].live) continue;
        rob_sight s = rob_priv_form_look(w, in);
        if (s.rows == 0) continue;
        from = s.first < from ? s.first : from;
        end = s.first + s.rows > end ? s.first + s.rows : end;
    }
    *first = from < end ? from : 0;
    *rows = from < end ? end - from : 0;
}

static bool form_of_join(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    int64_t first, rows;
    join_all(w, c, &first, &rows);
    double *at = rob_priv_form_make(w, cell, first, rows);
    if (at == NULL) return false;
    memset(at, 0, (size_t)(rows * c->size) * sizeof *at);
    for (int64_t k = 0, to = 0; k < c->ins; to += w->net->cell[in[k++].cell].size) {
        const rob_cell *z = &w->net->cell[in[k].cell];
        rob_range r = rob_priv_cell_range(w, in[k].cell);
        rob_sight s = {0};
        if (z->live) s = rob_priv_form_look(w, in[k].cell);
        for (int64_t j = 0; j < s.rows; j++)
            memcpy(at + (s.first - first + j) * c->size + to, s.at + j * s.ld,
                   (size_t)z->size * sizeof *at);
        for (int64_t e = 0; e < z->size; e++) {
            ball1 b = z->live ? (ball1){s.base[e], s.rad[e]} : ball_of(&r, e);
            w->centre[c->at + to + e] = b.centre;
            w->spread[c->at + to + e] = b.radius;
        }
    }
    return true;
}

/* Y (rows, N) = Z (rows, K) op(W) */
static bool form_of_product(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    const double *weights = w->net->cell[in[1].cell].lo;
    const bool tb = c->node.attr.i[1] != 0;
    const int64_t n = in[1].shape.dim[!tb], k = in[1].shape.dim[tb];
    const int64_t row = tb ? 1 : n, col = tb ? k : 1;
    rob_sight s = rob_priv_form_look(w, in[0].cell);
    double *at = rob_priv_form_make(w, cell, s.first, s.rows);
    if (at == NULL) return false;
    s = rob_priv_form_look(w, in[0].cell);
    for (int64_t r = 0; r < c->size / n; r++) {
        w->net->la->product(s.rows, n, k, s.at + r * k, s.ld, 1, c->onward, at + r * n,
                            c->size, 0);
        w->net->la->product(1, n, k, s.base + r * k, k, 1, c->onward,
                            w->centre + c->at + r * n, n, 0);
    }
    const double grow = 1 + (double)(k + 8) * ROB_U;
    for (int64_t e = 0; e < c->size; e++) {
        const double *to = weights + e % n * col;
        int64_t z = e / n * k;
        double rad = 0, size = 0;
        for (int64_t i = 0; i < k; i++) {
            double a = fabs(to[i * row]);
            rad += a * s.rad[z + i];
            size += a * s.mag[z + i];
        }
        w->spread[c->at + e] = (rad + (double)(k + 2) * ROB_U * size) * grow
                               + (double)((s.rows + 4) * k) * ROB_TINY * w->furthest;
    }
    return true;
}

/* A row m of an affine operator's matrix, on operand z, added to element e of the form. */
static void add_pulled_row(rob_work *w, int32_t cell, int64_t e, int32_t operand,
                           const double *m, int64_t first, double *at)
{
    const rob_cell *c = &w->net->cell[cell], *z = &w->net->cell[operand];
    rob_range r = rob_priv_cell_range(w, operand);
    rob_sight s = {0};
    if (z->live) s = rob_priv_form_look(w, operand);
    const double u = (double)(z->size + 4) * ROB_U;
    double sum = 0, rad = 0, size = 0;
    for (int64_t k = 0; k < z->size; k++) {
        if (m[k] == 0) continue;
        ball1 b = z->live ? (ball1){s.base[k], s.rad[k]} : ball_of(&r, k);
        sum += m[k] * b.centre;
        size += fabs(m[k]) * (z->live ? s.mag[k] : fabs(b.centre) + b.radius);
        rad += fabs(m[k]) * b.radius;
        for (int64_t j = 0; j < s.rows; j++)
            at[(s.first - first + j) * c->size + e] += m[k] * s.at[j * s.ld + k];
    }
    w->centre[c->at + e] += sum;
    w->spread[c->at + e] +=
        (rad + u * (size + fabs(w->centre[c->at + e]))) * (1 + 2 * u)
        + (double)(s.rows + 4) * (double)z->size * ROB_TINY * w->furthest;
}

/* Scratch of form_of_linear: unit rows, one operand's matrix, constants and losses. */
typedef struct pulled { double *unit, *matrix, *base, *loss; } pulled;

static void pull_all(rob_work *w, int32_t cell, const pulled *p, int64_t first, double *at)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_rows unit = {c->size, c->size, p->unit};
    for (int32_t k = 0; k < c->ins; k++) {
        int32_t operand = w->net->link[c->link + k].cell;
        const rob_cell *z = &w->net->cell[operand];
        if (!z->live && !(c->node.op->kind & ROB_OP_AFFINE)) continue;
        rob_rows to = {c->size, z->size, p->matrix};
        memset(to.at, 0, (size_t)(to.rows * to.cols) * sizeof *to.at);
        c->node.op->pull(&c->node, rob_priv_operands(w, c), c->output, &unit, k, &to,
                         p->base, p->loss);
        for (int64_t e = 0; e < c->size; e++)
            add_pulled_row(w, cell, e, operand, to.at + e * z->size, first, at);
    }
    for (int64_t e = 0; e < c->size; e++) {
        double sum = w->centre[c->at + e] + p->base[e];
        w->spread[c->at + e] = (w->spread[c->at + e] + 2 * p->loss[e]
                                + 2 * ROB_U * (fabs(sum) + fabs(p->base[e])))
                                   * (1 + 64 * ROB_U) + ROB_TINY;
        w->centre[c->at + e] = sum;
    }
}

/* Any other affine operator: unit rows, pulled to its operands, are its matrix. */
static bool form_of_linear(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    int64_t first, rows, most = 1, n = c->size;
    for (int32_t k = 0; k < c->ins; k++) {
        int64_t size = w->net->cell[w->net->link[c->link + k].cell].size;
        most = size > most ? size : most;
    }
    join_all(w, c, &first, &rows);
    if (n * (n + most) > ROB_FORM_MOST) return form_of_range(w, cell);
    double *at = rob_priv_form_make(w, cell, first, rows);
    int32_t block = at != NULL ? rob_priv_form_block(w, n * (n + most + 2)) : -1;
    if (block < 0) return false;
    pulled p = {.unit = w->pool[block].at};
    p.matrix = p.unit + n * n;
    p.base = p.matrix + n * most;
    p.loss = p.base + n;
    memset(at, 0, (size_t)(rows * n) * sizeof *at);
    memset(p.unit, 0, (size_t)(n * n) * sizeof *p.unit);
    memset(p.base, 0, (size_t)(2 * n) * sizeof *p.base);
    for (int64_t e = 0; e < n; e++) {
        p.unit[e * n + e] = 1;
        w->centre[c->at + e] = w->spread[c->at + e] = 0;
    }
    pull_all(w, cell, &p, first, at);
    w->pool[block].users = 0;
    return true;
}

/* A strip from the planes below and above, whatever their slopes. */
static void strip_from_planes(const rob_bend *b, const rob_interval *box, int64_t e,
                              rob_strip *s)
{
    s->lo = b->lo_offset[e];
    s->up = b->up_offset[e];
    for (int32_t k = 0; k < b->ins; k++) {
        double low = b->lo[k][e], high = b->up[k][e], a = 0.5 * low + 0.5 * high;
        double down = fp_lo(low - a), over = fp_up(low - a);
        s->slope[k] = a;
        rob_interval left = rob_priv_range_product((rob_interval){down, over}, box[k]);
        down = fp_lo(high - a);
        over = fp_up(high - a);
        rob_interval right = rob_priv_range_product((rob_interval){down, over}, box[k]);
        s->lo = fp_add_lo(s->lo, left.lo);
        s->up = fp_add_up(s->up, right.up);
    }
}

/* Strip of element e in the live operands; the whole range when it is no better. */
static rob_strip strip_of(rob_work *w, int32_t cell, const rob_range *in, int64_t e)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *link = &w->net->link[c->link];
    rob_strip s = {.lo = -INFINITY, .up = INFINITY};
    rob_strip flat = {.lo = w->lo[c->at + e], .up = w->up[c->at + e]};
    rob_interval box[ROB_MAX_INS] = {{0, 0}};
    bool planes = rob_priv_has_planes(&c->node);
    if (rob_priv_joint_strip(w, cell, e, &s)) {
    } else if (planes && rob_priv_strip(&c->node, in, e, &s)) {
        int32_t k = 0;
        for (int32_t i = 0; i < c->ins; i++) {
            if (w->net->cell[link[i].cell].live) {
                s.slope[k++] = s.slope[i];
                continue;
            }
            double a = s.slope[i], l = in[i].lo[e], u = in[i].up[e];
            s.lo = fp_add_lo(s.lo, fp_min(fp_mul_lo(a, l), fp_mul_lo(a, u)));
            s.up = fp_add_up(s.up, fp_max(fp_mul_up(a, l), fp_mul_up(a, u)));
        }
    } else if (planes) {
        const rob_bend b = rob_priv_plane_of(w, cell);
        int32_t k = 0;
        for (int32_t i = 0; i < c->ins; i++)
            if (w->net->cell[link[i].cell].live) box[k++] = rob_priv_range_at(&in[i], e);
        strip_from_planes(&b, box, e, &s);
    }
    return s.up - s.lo < flat.up - flat.lo ? s : flat;
}

/* Everything but the rows: base, rad; slopes into the scratch (live, n). */
static void make_strips(rob_work *w, int32_t cell, int32_t live, const rob_sight *s,
                        int64_t rows, double *slope)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_range *in = rob_priv_operands(w, c);
    for (int64_t e = 0; e < c->size; e++) {
        rob_strip strip = strip_of(w, cell, in, e);
        if (w->fault_strip != NULL) w->fault_strip(&strip);
        double base = 0.5 * strip.lo + 0.5 * strip.up, rad, size = 0, sum = base;
        rad = fp_max(fp_up(strip.up - base), fp_up(base - strip.lo));
        for (int32_t k = 0; k < live; k++) {
            double a = slope[k * c->size + e] = strip.slope[k];
            sum += a * s[k].base[e];
            rad += fabs(a) * s[k].rad[e];
            size += fabs(a) * s[k].mag[e];
        }
        w->centre[c->at + e] = sum;
        w->spread[c->at + e] = (rad + 8 * ROB_U * (size + fabs(base))) * (1 + 16 * ROB_U)
                               + 8 * (double)(rows + 2) * ROB_TINY * w->furthest;
    }
}

static bool form_of_curve(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_link *in = &w->net->link[c->link];
    if (!rob_priv_has_planes(&c->node)) return form_of_range(w, cell);
    rob_sight s[ROB_MAX_INS];
    int32_t live = 0, cells[ROB_MAX_INS];
    for (int32_t i = 0; i < c->ins; i++)
        if (w->net->cell[in[i].cell].live) cells[live++] = in[i].cell;
    int64_t first, rows;
    for (int32_t k = 0; k < live; k++) s[k] = rob_priv_form_look(w, cells[k]);
    join_windows(s, live, &first, &rows);
    double *at = rob_priv_form_make(w, cell, first, rows);
    if (at == NULL) return false;
    for (int32_t k = 0; k < live; k++) s[k] = rob_priv_form_look(w, cells[k]);
    make_strips(w, cell, live, s, rows, w->touch);
    bool whole = s[0].first == first && s[0].rows == rows;
    if (!whole) memset(at, 0, (size_t)(rows * c->size) * sizeof *at);
    for (int32_t k = 0; k < live; k++)
        w->net->kernel->scale(s[k].rows, c->size, w->touch + k * c->size, k > 0 || !whole,
                              s[k].at, s[k].ld, at + (s[k].first - first) * c->size,
                              c->size);
    return true;
}

bool rob_priv_form_of(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (c->kind != ROB_CELL_INPUT && w->symbols * c->size > ROB_FORM_MOST)
        return form_of_range(w, cell);
    switch (c->kind) {
    case ROB_CELL_INPUT: return form_of_input(w, cell);
    case ROB_CELL_SUM: return form_of_sum(w, cell);
    case ROB_CELL_JOIN: return form_of_join(w, cell);
    case ROB_CELL_PRODUCT: return form_of_product(w, cell);
    case ROB_CELL_LINEAR: return form_of_linear(w, cell);
    default: return form_of_curve(w, cell);
    }
}
