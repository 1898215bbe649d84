/* certify.c -- a bound computed so that a certificate can say how.
 *
 * Cells are visited operands first, as range.c does, but every range has one plain
 * reason: the operator's rule, or rows +e_i and -e_i that go back k turns of the loops
 * and end on ranges there; k is the one of 0 (all), 1, 2, 4, ... that proves the
 * narrowest ranges. A checker computes the same with roundings of its own, so what is
 * claimed is given away a little: ranges grow by 2^-30 of their magnitude before planes
 * are made on them, offsets by 2^-30 (where a checker has to search for the least value,
 * sigmoid times tanh: 2^-24, on octagons: 2^-20) of the plane's largest terms, the margin
 * by 2^-30 of the rows'.
 */
#include "bound/alpha.h"
#include "bound/certify.h"
#include "bound/couple.h"
#include "bound/joint.h"

#include <string.h>

static const double SHARE = ROB_CERTIFY_SHARE;
/* Strips of so much of the height of planes of the box take their place: there are no affine
 * forms here, that would use strips beside sweeps on planes. */
static const double THINNER = 1;

typedef rob_certify pass;

rob_claim rob_priv_certify_claim(const rob_cell *c, int32_t kind)
{
    return (rob_claim){ .kind = kind, .row = -1, .loop = c->loop, .step = c->time,
                        .node = c->id, .first = c->part, .count = c->size };
}

/* ---- planes ---------------------------------------------------------------------- */

static double share_of(const rob_work *w, int32_t cell, int64_t e)
{
    rob_strip s;
    if (rob_priv_joint_strip(w, cell, e, &s)) return 0x1p-20;
    return w->net->cell[cell].node.op->id == ROB_OP_sigtanh ? 0x1p-24 : SHARE;
}

static void give_way(pass *p, int32_t cell)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    const rob_bend b = rob_priv_plane_of(w, cell);
    double *lo = (double *)b.lo_offset, *up = (double *)b.up_offset;
    for (int64_t e = 0; e < b.n; e++) {
        double below = fabs(lo[e]), above = fabs(up[e]), share = share_of(w, cell, e);
        for (int32_t i = 0, k = 0; k < b.ins; i++) {
            int32_t in = w->net->link[c->link + i].cell;
            if (!w->net->cell[in].live) continue;
            below += fabs(b.lo[k][e]) * rob_priv_cell_big(w, in)[e];
            above += fabs(b.up[k++][e]) * rob_priv_cell_big(w, in)[e];
        }
        lo[e] -= share * below + 0x1p-900;
        up[e] += share * above + 0x1p-900;
    }
}

static bool write_planes(pass *p, int32_t cell)
{
    const rob_cell *c = &p->w->net->cell[cell];
    const rob_bend b = rob_priv_plane_of(p->w, cell);
    rob_claim say = rob_priv_certify_claim(c, ROB_CLAIM_PLANES);
    say.ins = b.ins;
    rob_claim *to = rob_priv_cert_add(p->cert, &say);
    if (to == NULL) return false;
    double *at = to->at;
    const size_t bytes = (size_t)b.n * sizeof *at;
    for (int side = 0; side < 2; side++) {
        for (int32_t k = 0; k < b.ins; k++, at += b.n)
            memcpy(at, side == 0 ? b.lo[k] : b.up[k], bytes);
        memcpy(at, side == 0 ? b.lo_offset : b.up_offset, bytes);
        at += b.n;
    }
    return true;
}

/* ---- planes of rows -------------------------------------------------------------- */

static void give_way_in_rows(const rob_couple_rows *r, const double *big)
{
    for (int side = 0; side < 2; side++)
        for (int64_t g = 0; g < r->groups; g++) {
            double sum = 0;
            for (int64_t j = g * r->from; j < (g + 1) * r->from; j++)
                sum += fabs(r->right[side][j]) * big[j];
            for (int64_t e = g * r->per; e < (g + 1) * r->per; e++) {
                double own = r->per == r->from ? fabs(r->slope[side][e]) * big[e] : 0;
                double *o = &r->offset[side][e];
                double more = SHARE * (fabs(*o) + own + fabs(r->left[side][e]) * sum) + 0x1p-900;
                *o += side ? more : -more;
            }
        }
}

static bool write_rows(pass *p, int32_t cell, const rob_couple_rows *r)
{
    rob_claim say = rob_priv_certify_claim(&p->w->net->cell[cell], ROB_CLAIM_ROWS);
    say.ins = (int32_t)(r->m / r->n);
    rob_claim *to = rob_priv_cert_add(p->cert, &say);
    if (to == NULL) return false;
    double *at = to->at;
    for (int side = 0; side < 2; side++) {
        const double *const part[] = { r->slope[side], r->left[side], r->offset[side] };
        for (int k = 0; k < 3; k++, at += r->n) memcpy(at, part[k], (size_t)r->n * sizeof *at);
        memcpy(at, r->right[side], (size_t)r->m * sizeof *at);
        at += r->m;
    }
    return true;
}

/* Mean squares by rows <rho, x>, rho as couple.c has it, written before planes are made. */
static rob_status square(pass *p, int32_t cell)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    if (c->node.op->id != ROB_OP_rmsnorm || !w->sweeps) return ROB_OK;
    w->depth = p->most;
    rob_status status = rob_priv_couple_refine(w, cell);
    if (status != ROB_OK) return status;
    const rob_couple_rows r = rob_priv_couple_rows(w, cell);
    const rob_range z = rob_priv_cell_range(w, w->net->link[c->link].cell);
    rob_claim say = rob_priv_certify_claim(c, ROB_CLAIM_SQUARES);
    say.count = r.groups;
    say.ins = (int32_t)r.from;
    say.depth = w->depth;
    rob_claim *to = rob_priv_cert_add(p->cert, &say);
    if (to == NULL) return ROB_EMEMORY;
    for (int64_t g = 0; g < r.groups; g++) {
        double more = SHARE * r.mean[1][g];
        to->at[g] = r.mean[0][g] = fp_max(r.mean[0][g] - more, 0);
        to->at[r.groups + g] = r.mean[1][g] += more;
    }
    for (int64_t j = 0; j < r.m; j++)
        to->at[2 * r.groups + j] = (z.lo[j] + z.up[j]) / (double)r.from;
    return ROB_OK;
}

static rob_status make_rows(pass *p, int32_t cell)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    if (c->node.op->id == ROB_OP_matmul) return ROB_OK;
    const rob_couple_rows r = rob_priv_couple_rows(w, cell);
    give_way_in_rows(&r, rob_priv_cell_big(w, w->net->link[c->link].cell));
    rob_priv_couple_weigh(w, cell);
    return write_rows(p, cell, &r) ? ROB_OK : ROB_EMEMORY;
}

static rob_status make_planes(pass *p, int32_t cell, bool joint)
{
    const rob_cell *c = &p->w->net->cell[cell];
    if (c->kind == ROB_CELL_COUPLED) {
        rob_status status = square(p, cell);
        if (status != ROB_OK) return status;
    }
    rob_priv_plane_prepare(p->w, cell);
    if (c->kind == ROB_CELL_COUPLED) return make_rows(p, cell);
    if (joint) rob_priv_joint_replace(p->w, cell, THINNER);
    if (c->kind != ROB_CELL_CURVED || !rob_priv_has_planes(&c->node)) return ROB_OK;
    if (!rob_priv_cert_knows(c->node.op->name)) {
        rob_priv_plane_constant(p->w, cell);
        return ROB_OK;
    }
    give_way(p, cell);
    return write_planes(p, cell) ? ROB_OK : ROB_EMEMORY;
}

/* ---- ranges ---------------------------------------------------------------------- */

static double width_of(const rob_work *w, const rob_cell *c)
{
    double sum = 0;
    for (int64_t e = c->at; e < c->at + c->size; e++) sum += w->up[e] - w->lo[e];
    return sum;
}

/* The range by rows of one depth, from the image in `fresh` copied to p->lo, p->up. */
static rob_status try_depth(pass *p, int32_t cell, int64_t depth)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    const size_t bytes = (size_t)c->size * sizeof(double);
    memcpy(w->lo + c->at, p->lo, bytes);
    memcpy(w->up + c->at, p->up, bytes);
    w->depth = depth;
    return rob_priv_range_tighten(w, cell);
}

rob_status rob_priv_certify_narrow(rob_certify *p, int32_t cell, int64_t *depth)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    double least = INFINITY, last = INFINITY;
    rob_status status = ROB_OK;
    for (int64_t k = 1; status == ROB_OK && k > 0; k *= 2) {
        int64_t tried = k > c->age ? 0 : k;
        bool ends = tried == 0;
        if (p->most > 0 && (ends || tried >= p->most)) {
            tried = p->most;
            ends = true;
        }
        status = try_depth(p, cell, tried);
        last = width_of(w, c);
        if (last < least * (1 - 1e-4)) {
            least = last;
            *depth = tried;
        }
        if (ends) break;
    }
    if (status == ROB_OK && !(last == least)) status = try_depth(p, cell, *depth);
    return status;
}

static rob_status write_range(pass *p, int32_t cell, int64_t depth)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    rob_claim say = rob_priv_certify_claim(c, ROB_CLAIM_RANGE);
    say.depth = depth;
    rob_claim *to = rob_priv_cert_add(p->cert, &say);
    if (to == NULL) return ROB_EMEMORY;
    for (int64_t e = 0; e < c->size; e++) {
        double *lo = &w->lo[c->at + e], *up = &w->up[c->at + e];
        double more = SHARE * fp_max(fabs(*lo), fabs(*up));
        to->at[e] = *lo - more;
        to->at[c->size + e] = *up + more;
        *lo = fp_max(*lo - more, p->lo[e]);
        *up = fp_min(*up + more, p->up[e]);
    }
    return ROB_OK;
}

static void take_image(rob_work *w, const rob_cell *c)
{
    const size_t bytes = (size_t)c->size * sizeof(double);
    rob_priv_range_image(w, c);
    memcpy(w->lo + c->at, w->fresh, bytes);
    memcpy(w->up + c->at, w->fresh + w->net->widest, bytes);
    rob_priv_range_seal(w, c);
}

static rob_status visit(pass *p, int32_t cell)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    const size_t bytes = (size_t)c->size * sizeof(double);
    int64_t depth = 0;
    take_image(w, c);
    if (w->broken) return ROB_OK;
    rob_status status = ROB_OK;
    const bool joint = rob_priv_certify_is_gate(w, cell);
    if (joint) {
        status = rob_priv_certify_octagon(p, cell);
        take_image(w, c);
    }
    if (status == ROB_OK) status = make_planes(p, cell, joint);
    if (status != ROB_OK || !c->tight || !w->sweeps) return status;
    memcpy(p->lo, w->lo + c->at, bytes);
    memcpy(p->up, w->up + c->at, bytes);
    status = rob_priv_certify_narrow(p, cell, &depth);
    if (status == ROB_OK) status = write_range(p, cell, depth);
    rob_priv_range_seal(w, c);
    return status;
}

/* ---- rows ------------------------------------------------------------------------ */

static rob_status sweep_at(pass *p, const rob_demand *d, int64_t depth, double *value)
{
    rob_work *w = p->w;
    rob_status status = ROB_OK;
    w->depth = depth;
    for (int64_t r = 0; r < d->rows && status == ROB_OK; r += w->tile) {
        int64_t count = d->rows - r < w->tile ? d->rows - r : w->tile;
        status = rob_priv_sweep(w, w->net->output, count, d->c + r * d->outputs,
                                d->outputs, d->b + r);
        for (int64_t k = 0; k < count && status == ROB_OK; k++) {
            if (!(w->proof[k].value > value[r + k])) continue;
            value[r + k] = w->proof[k].value;
            p->cert->depth[p->cert->parts * d->rows + r + k] = depth;
        }
    }
    return status;
}

/* What the checker may find a little less of: the row's largest terms. */
static double size_of_row(const rob_work *w, const rob_demand *d, int64_t r)
{
    const double *big = rob_priv_cell_big(w, w->net->output);
    double size = fabs(d->b[r]);
    for (int64_t j = 0; j < d->outputs; j++) size += fabs(d->c[r * d->outputs + j]) * big[j];
    return size;
}

static double margin_of(const rob_work *w, const rob_demand *d, const double *value)
{
    double margin = INFINITY;
    for (int64_t g = 0; g < d->groups; g++) {
        double best = -INFINITY;
        for (int64_t r = 0; r < d->rows; r++)
            if (d->group[r] == g)
                best = fp_max(value[r] - SHARE * size_of_row(w, d, r), best);
        margin = fp_min(best, margin);
    }
    return margin;
}

static rob_status prove_rows(pass *p, const rob_demand *d)
{
    rob_work *w = p->w;
    int32_t age = w->net->cell[w->net->output].age;
    double *value = rob_priv_allocate(&w->memory, d->rows + 1, (int64_t)sizeof *value);
    if (value == NULL) return ROB_EMEMORY;
    for (int64_t r = 0; r < d->rows; r++) value[r] = -INFINITY;
    rob_status status = sweep_at(p, d, 0, value);
    for (int64_t k = 1; k <= age && status == ROB_OK; k *= 2)
        status = sweep_at(p, d, k, value);
    if (status == ROB_OK) p->cert->margin = margin_of(w, d, value);
    rob_priv_release(&w->memory, value);
    return status;
}

static bool goes_on(const rob_work *w, int32_t i, int32_t *time)
{
    bool asks = w->net->cell[i].time != *time && w->stop != NULL;
    *time = w->net->cell[i].time;
    return !asks || !w->stop(w->stop_user);
}

rob_status rob_priv_bound_certify(rob_work *w, const rob_ball *ball,
                                  const rob_demand *d, struct rob_cert *cert)
{
    const rob_network *net = w->net;
    rob_status status = ROB_OK;
    int32_t time = -1;
    double *room = rob_priv_allocate(&w->memory, 2 * net->widest, (int64_t)sizeof *room);
    pass p = { w, cert, room, room != NULL ? room + net->widest : NULL, w->depth };
    if (room == NULL || !rob_priv_bound_room(w, ball)) status = ROB_EMEMORY;
    w->ball = *ball;
    w->plain = true;
    w->broken = false;
    cert->margin = -INFINITY;
    memset(w->plane, 0xff, (size_t)net->plane_size * sizeof *w->plane);
    for (int32_t i = 0; i < net->cells && status == ROB_OK && !w->broken; i++) {
        const rob_cell *c = &net->cell[i];
        if (!c->live || c->kind == ROB_CELL_VIEW) continue;
        status = goes_on(w, i, &time) ? visit(&p, i) : ROB_STOPPED;
    }
    if (status == ROB_OK && !w->broken) status = prove_rows(&p, d);
    w->plain = false;
    rob_priv_release(&w->memory, room);
    return status;
}
