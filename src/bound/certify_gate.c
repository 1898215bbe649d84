/* certify_gate.c -- joint domains of gates for certificates.
 *
 * y - m x of a gate's inputs x, y (of the blend z, h - n) is a straight function of its
 * operands: with it in the place of the gate's planes, rows +e and -e on the gate prove its
 * ends, for m = +- the ratio of the widths (joint.c, where affine forms do). Strips on the
 * octagon then replace planes of the box where they are thinner.
 */
#include "bound/certify.h"
#include "bound/joint.h"

#include <string.h>

enum { LINES = 2, OF_BLEND = 2 };

bool rob_priv_certify_is_gate(const rob_work *w, int32_t cell)
{
    const rob_cell *c = &w->net->cell[cell];
    if (w->joint == NULL || !w->sweeps || c->kind != ROB_CELL_CURVED) return false;
    const int32_t op = c->node.op->id;
    if (op != ROB_OP_sigtanh && op != ROB_OP_sigmul && op != ROB_OP_blend) return false;
    for (int32_t k = 0; k < c->ins; k++)
        if (!w->net->cell[w->net->link[c->link + k].cell].live) return false;
    return true;
}

/* Slopes of y - m x (m NULL: of h - n) as planes of the cell. */
static void put_function(rob_work *w, int32_t cell, const double *m)
{
    const rob_bend b = rob_priv_plane_of(w, cell);
    const bool blend = b.ins == 3;
    for (int64_t e = 0; e < b.n; e++) {
        const double slope[] = { m != NULL ? -m[e] : 0, blend ? -1 : 1, 1 };
        ((double *)b.lo_offset)[e] = ((double *)b.up_offset)[e] = 0;
        for (int32_t k = 0; k < b.ins; k++)
            ((double *)b.lo[k])[e] = ((double *)b.up[k])[e] = slope[k];
    }
    rob_priv_plane_weigh(w, cell);
}

/* lo, up of second - m x on the box */
static void image_of(const rob_range *x, const double *m, const double *second_lo,
                     const double *second_up, int64_t n, double *lo, double *up)
{
    for (int64_t e = 0; e < n; e++) {
        const double k = m != NULL ? m[e] : 0, a = k >= 0 ? x->up[e] : x->lo[e],
                     b = k >= 0 ? x->lo[e] : x->up[e];
        lo[e] = k == 0 ? second_lo[e] : fp_add_lo(second_lo[e], -fp_mul_up(k, a));
        up[e] = k == 0 ? second_up[e] : fp_add_up(second_up[e], -fp_mul_lo(k, b));
    }
}

/* Claim f: the function's range by rows, into lo, up too. */
static rob_status strip(rob_certify *p, int32_t cell, int32_t f, const double *m,
                        double *lo, double *up)
{
    rob_work *w = p->w;
    const rob_cell *c = &w->net->cell[cell];
    const rob_pairs *q = w->joint;
    int64_t depth = 0;
    put_function(w, cell, m);
    image_of(rob_priv_operands(w, c), m, q->second_lo, q->second_up, c->size, p->lo, p->up);
    rob_status status = rob_priv_certify_narrow(p, cell, &depth);
    if (status != ROB_OK) return status;
    rob_claim say = rob_priv_certify_claim(c, ROB_CLAIM_STRIP);
    say.row = f;
    say.depth = depth;
    rob_claim *to = rob_priv_cert_add(p->cert, &say);
    if (to == NULL) return ROB_EMEMORY;
    for (int64_t e = 0; e < c->size; e++) {
        const double l = w->lo[c->at + e], u = w->up[c->at + e];
        const double more = ROB_CERTIFY_SHARE * fp_max(fabs(l), fabs(u));
        to->at[e] = m != NULL ? m[e] : 0;
        to->at[c->size + e] = l - more;
        to->at[2 * c->size + e] = u + more;
        lo[e] = fp_max(l - more, p->lo[e]);
        up[e] = fp_min(u + more, p->up[e]);
    }
    return ROB_OK;
}

static void second_on_box(rob_pairs *q, const rob_range *in, int64_t n, bool blend)
{
    for (int64_t e = 0; e < n; e++) {
        q->second_lo[e] = blend ? fp_add_lo(in[2].lo[e], -in[1].up[e]) : in[1].lo[e];
        q->second_up[e] = blend ? fp_add_up(in[2].up[e], -in[1].lo[e]) : in[1].up[e];
    }
}

static void choose_slopes(rob_pairs *q, const rob_range *x, int64_t n)
{
    for (int64_t e = 0; e < n; e++) {
        const double wide = x->up[e] - x->lo[e];
        const double ratio = (q->second_up[e] - q->second_lo[e]) / wide;
        const bool fine = wide > 1e-9 && ratio > 1e-6 && ratio < 1e6;
        q->m[0][e] = fine ? ratio : 0;
        q->m[1][e] = -q->m[0][e];
    }
}

rob_status rob_priv_certify_octagon(rob_certify *p, int32_t cell)
{
    rob_work *w = p->w;
    rob_pairs *q = w->joint;
    const rob_cell *c = &w->net->cell[cell];
    const bool blend = c->node.op->id == ROB_OP_blend;
    rob_status status = ROB_OK;
    second_on_box(q, rob_priv_operands(w, c), c->size, blend);
    if (blend) status = strip(p, cell, OF_BLEND, NULL, q->second_lo, q->second_up);
    choose_slopes(q, rob_priv_operands(w, c), c->size);
    for (int32_t f = 0; f < LINES && status == ROB_OK; f++)
        status = strip(p, cell, f, q->m[f], q->rest_lo[f], q->rest_up[f]);
    return status;
}
