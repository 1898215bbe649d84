/* second_open.c -- room for quadratic forms of a network.
 *
 * Slots are the numbers that curved cells read, elements those of curved cells. With d numbers
 * of x: d a slot for J, d(d + 1) an element for the matrices of second_range.c, and a tile of
 * rows of coefficients on all elements. Networks beyond LARGEST numbers do without.
 */
#include "bound/order/second.h"

enum { LARGEST = 1 << 24 };

/* ---- opening -------------------------------------------------------------------------- */

static bool find_slots(rob_second *s)
{
    const rob_network *net = s->w->net;
    for (int32_t i = 0; i < net->cells; i++) s->slot[i] = -1;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->live && c->kind == ROB_CELL_COUPLED) return false;
        if (!c->live || c->kind != ROB_CELL_CURVED) continue;
        if (!rob_priv_has_planes(&c->node)) return false;
        for (int32_t k = 0; k < c->ins; k++) {
            const int32_t root = net->cell[net->link[c->link + k].cell].root;
            if (net->cell[root].live) s->slot[root] = 0;
        }
    }
    for (int32_t i = 0; i < net->cells; i++) {
        if (s->slot[i] < 0) continue;
        s->slot[i] = s->slots;
        s->slots += net->cell[i].size;
    }
    return s->slots * s->inputs <= LARGEST
           && ROB_SECOND_ROWS * s->numbers <= (int64_t)LARGEST;
}

static bool reserve(rob_second *s, double **p, int64_t count)
{
    *p = rob_priv_allocate(&s->w->memory, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

static bool reserve_batch(rob_second *s)
{
    const rob_la *la = s->w->net->la;
    const rob_memory *m = &s->w->memory;
    const int64_t tile = s->w->tile;
    bool fine = reserve(s, &s->kh, s->units * s->pairs) && reserve(s, &s->kr, s->units * s->pairs)
                && reserve(s, &s->cost, s->units) && reserve(s, &s->turn, s->units)
                && reserve(s, &s->coefficient, tile * s->units)
                && reserve(s, &s->magnitude, tile * s->units)
                && reserve(s, &s->x, tile * s->pairs) && reserve(s, &s->y, tile * s->pairs);
    s->kh_packed = rob_priv_allocate(m, la->packed_bytes(s->units, s->pairs) + 64, 1);
    s->kr_packed = rob_priv_allocate(m, la->packed_bytes(s->units, s->pairs) + 64, 1);
    return fine && s->kh_packed != NULL && s->kr_packed != NULL;
}

/* Elements of curved cells are numbered; too many and too many numbers of x: only rows. */
static void find_units(rob_second *s)
{
    const rob_network *net = s->w->net;
    for (int32_t i = 0; i < net->cells; i++) {
        s->unit[i] = -1;
        if (!net->cell[i].live || net->cell[i].kind != ROB_CELL_CURVED) continue;
        s->unit[i] = s->units;
        s->units += net->cell[i].size;
    }
    s->pairs = s->inputs * (s->inputs + 1) / 2;
    s->batch = s->units > 0 && 4 * s->units <= LARGEST / s->pairs
               && 2 * s->w->tile * (s->units + s->pairs) <= LARGEST;
}

static bool reserve_all(rob_second *s)
{
    const rob_network *net = s->w->net;
    const int64_t tile = s->w->tile, numbers = s->numbers;
    bool fine = reserve(s, &s->j, s->slots * s->inputs) && reserve(s, &s->centre, s->slots)
                && reserve(s, &s->rest, s->slots) && reserve(s, &s->reach, s->slots)
                && reserve(s, &s->plane, net->plane_size)
                && reserve(s, &s->mixed, net->plane_size)
                && reserve(s, &s->point, s->inputs) && reserve(s, &s->slack, numbers)
                && reserve(s, &s->middle, numbers) && reserve(s, &s->radius, numbers)
                && reserve(s, &s->value, net->widest) && reserve(s, &s->score, numbers)
                && reserve(s, &s->known, ROB_MAX_INS * net->widest)
                && reserve(s, &s->row, ROB_SECOND_ROWS * numbers) && reserve(s, &s->sum, tile)
                && reserve(s, &s->t, s->slots * s->inputs)
                && reserve(s, &s->jrow, tile * s->inputs);
    fine = fine && (!s->batch || reserve_batch(s));
    s->bent[0] = rob_priv_allocate(&s->w->memory, numbers + 1, 1);
    s->bent[1] = rob_priv_allocate(&s->w->memory, numbers + 1, 1);
    fine = fine && s->bent[0] != NULL && s->bent[1] != NULL;
    for (int k = 0; k < 6; k++) fine = fine && reserve(s, &s->hess[k], numbers);
    for (int i = 0; i < ROB_MAX_INS; i++)
        fine = fine && reserve(s, &s->rho[i], numbers)
               && reserve(s, &s->grad[i], net->widest);
    s->packed = rob_priv_allocate(&s->w->memory,
                                  net->la->packed_bytes(s->slots, s->inputs) + 64, 1);
    return fine && s->packed != NULL;
}

rob_status rob_priv_second_open(rob_work *w, rob_second **out)
{
    const rob_network *net = w->net;
    const rob_memory *m = &w->memory;
    *out = NULL;
    rob_second *s = rob_priv_allocate(m, 1, (int64_t)sizeof *s);
    if (s == NULL) return ROB_EMEMORY;
    *s = (rob_second){ .w = w, .numbers = net->range_size,
                       .inputs = net->steps * net->features };
    s->slot = rob_priv_allocate(m, net->cells + 1, (int64_t)sizeof *s->slot);
    s->column = rob_priv_allocate(m, s->inputs + 1, (int64_t)sizeof *s->column);
    s->unit = rob_priv_allocate(m, net->cells + 1, (int64_t)sizeof *s->unit);
    rob_status status =
        s->slot != NULL && s->column != NULL && s->unit != NULL ? ROB_OK : ROB_EMEMORY;
    bool fits = status == ROB_OK && find_slots(s);
    if (fits) find_units(s);
    if (fits && !reserve_all(s)) status = ROB_EMEMORY;
    if (fits && w->held_lo == NULL
        && !(reserve(s, &w->held_lo, s->numbers) && reserve(s, &w->held_up, s->numbers)))
        status = ROB_EMEMORY;
    if (fits && status == ROB_OK) status = rob_priv_trust_open(m, s->inputs, &s->trust);
    if (fits && status == ROB_OK) *out = s;
    else rob_priv_second_close(s);
    return status;
}

/* Elman nets: no gate reads two values. There order 2 gains 3 to 9 % of the radius for about T
 * times the time of order 1, which is little; elsewhere `alpha` spends time better
 * (docs/studies/orders.md). */
bool rob_priv_second_pays(const rob_network *net, double cost)
{
    const rob_link *in;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        if (c->live && c->kind == ROB_CELL_COUPLED) return false;
        if (c->live && c->kind == ROB_CELL_CURVED && rob_priv_live_ins(net, c, &in) > 1)
            return false;
    }
    return (double)net->steps * rob_priv_network_cost(net, 0, 1) <= cost / 1000;
}

void rob_priv_second_close(rob_second *s)
{
    if (s == NULL) return;
    rob_memory m = s->w->memory;
    void *const all[] = { s->slot, s->column, s->j, s->centre, s->rest, s->reach, s->plane,
                          s->slack, s->middle, s->radius, s->value, s->known, s->row,
                          s->score, s->sum, s->t, s->packed, s->jrow, s->mixed,
                          s->point, s->bent[0], s->bent[1], s->unit, s->kh, s->kr, s->cost,
                          s->turn, s->coefficient, s->magnitude, s->x, s->y, s->kh_packed,
                          s->kr_packed };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&m, all[i]);
    for (int k = 0; k < 6; k++) rob_priv_release(&m, s->hess[k]);
    for (int i = 0; i < ROB_MAX_INS; i++) {
        rob_priv_release(&m, s->rho[i]);
        rob_priv_release(&m, s->grad[i]);
    }
    rob_priv_trust_close(&m, &s->trust);
    rob_priv_release(&m, s);
}
