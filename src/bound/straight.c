/* straight.c -- ranges of cells that are affine in x, kept from one radius to the next.
 *
 * A row that meets no plane on its way to x is proved as
 *
 *     row(x0 + d) >= base - loss - e slope   for ||d|| <= e,
 *
 * where base and slope do not depend on the radius e, and loss does only by the magnitudes
 * |v| <= V of the cells in between: V was taken at the radius e0 of the sweep. All these
 * cells are affine, v(x0 + d) = v(x0) + (e/e0) (v(x0 + d e0/e) - v(x0)), so at e > e0 they
 * are at most (2 e/e0 - 1) V, and loss max(1, 2 e/e0) covers e. A search for a radius
 * therefore sweeps these cells (queries, keys and values of a first layer) once, not at
 * every call. The losses are about 1e-13 of V, so e may grow to 2^16 e0 before they show;
 * beyond, the cells are swept anew.
 */
#include "bound/bound.h"

#include <string.h>

enum { BASE, LOSS, SLOPE, NUMBERS };   /* each for both sides */

static bool is_straight(const rob_network *net, const rob_cell *c, const bool *straight)
{
    if (!c->live || c->time >= 0) return false;
    if (c->kind == ROB_CELL_INPUT) return true;
    if (c->kind == ROB_CELL_VIEW) return straight[c->root];
    if (c->kind == ROB_CELL_CURVED || c->kind == ROB_CELL_COUPLED) return false;
    for (int32_t i = 0; i < c->ins; i++) {
        int32_t of = net->link[c->link + i].cell;
        if (net->cell[of].live && !straight[of]) return false;
    }
    return true;
}

rob_status rob_priv_straight_find(rob_network *net)
{
    bool *straight = rob_priv_allocate(&net->memory, net->cells + 1, 1);
    if (straight == NULL) return ROB_EMEMORY;
    for (int32_t i = 0; i < net->cells; i++) {
        rob_cell *c = &net->cell[i];
        straight[i] = is_straight(net, c, straight);
        c->kept = -1;
        if (!straight[i] || !c->tight) continue;
        c->kept = net->kept_size;
        net->kept_size += 2 * NUMBERS * c->size + 1;
    }
    rob_priv_release(&net->memory, straight);
    return ROB_OK;
}

/* ---- one workspace's ------------------------------------------------------------- */

static bool can_keep(const rob_work *w, const rob_cell *c)
{
    return c->kept >= 0 && w->ball.region == NULL && w->ball.mask == NULL;
}

/* The radius of the sweep stands behind a cell's numbers; 0: nothing kept. Another
 * series or norm forgets all. */
static void forget_others(rob_work *w)
{
    size_t bytes = (size_t)(w->net->steps * w->net->features) * sizeof(double);
    if (w->kept_norm == w->ball.norm && memcmp(w->kept_x, w->ball.x, bytes) == 0) return;
    memset(w->kept, 0, (size_t)w->net->kept_size * sizeof *w->kept);
    memcpy(w->kept_x, w->ball.x, bytes);
    w->kept_norm = w->ball.norm;
}

bool rob_priv_straight_recall(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (!can_keep(w, c)) return false;
    forget_others(w);
    const double *kept = w->kept + c->kept, e = w->ball.eps;
    const double from = kept[2 * NUMBERS * c->size];
    if (!(from > 0) || e > 0x1p16 * from) return false;
    const double factor = e <= from ? 1 : fp_up(2 * fp_div_up(e, from));
    for (int64_t i = 0; i < 2 * c->size; i++, kept += NUMBERS) {
        double loss = fp_mul_up(kept[LOSS], factor);
        double value = fp_add_lo(fp_add_lo(kept[BASE], -loss),
                                 -fp_mul_up(e, kept[SLOPE]));
        double *lo = &w->lo[c->at + i / 2], *up = &w->up[c->at + i / 2];
        if (i % 2 == 0 && value > *lo) *lo = value;
        if (i % 2 == 1 && -value < *up) *up = -value;
    }
    return true;
}

void rob_priv_straight_begin(rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (!can_keep(w, c)) return;
    double *kept = w->kept + c->kept;
    for (int64_t i = 0; i < 2 * NUMBERS * c->size; i++) kept[i] = NAN;
    kept[2 * NUMBERS * c->size] = w->ball.eps;
}

void rob_priv_straight_keep(rob_work *w, int32_t cell, const int64_t *which,
                            int64_t count)
{
    const rob_cell *c = &w->net->cell[cell];
    if (!can_keep(w, c)) return;
    for (int64_t r = 0; r < 2 * count; r++) {
        double *kept =
            w->kept + c->kept + (2 * which[r / 2] + r % 2) * (int64_t)NUMBERS;
        kept[BASE] = w->base[r];
        kept[LOSS] = fp_mul_up(w->loss[r], fp_up(1 + w->ops * ROB_U));
        kept[SLOPE] = w->proof[r].slope;
    }
}
