/* joint.c -- what affine forms know of a gate's two inputs together.
 *
 * Two numbers x, y of the network share symbols, so the range of y - m x, read off the form
 * F_y - m F_x, is narrower than those of x and y make it. With m = +- the ratio of the
 * widths that cuts the corners of their box: an octagon, on which the offsets of a gate's
 * planes are computed (plane_joint.c). For the blend n + sigmoid(z)(h - n) it is z and
 * d = h - n, a form too. The strips found serve the form of the gate, and as planes below
 * and above wherever they are thinner than the planes of the box.
 *
 * Reference: Mine, The octagon abstract domain, Higher-Order and Symbolic Computation 19
 * (2006); Ryou et al., Scalable polyhedral verification of recurrent neural networks, CAV
 * 2021; docs/theory/bound.md 6.1.
 */
#include "bound/forward.h"
#include "bound/joint.h"

#include <string.h>

/* A strip takes the place of planes of so much more height at the middle of the box: planes
 * that touch at corners are worth more than their height there says. */
#define SHARE 0.6

/* One form combined from others: numbers beside it in the workspace. */
typedef struct mix { int32_t cell[ROB_MAX_INS]; const double *by[ROB_MAX_INS]; int32_t count; } mix;

rob_status rob_priv_joint_open(rob_work *w)
{
    const int64_t n = w->net->widest;
    rob_pairs *p = w->joint = rob_priv_allocate(&w->memory, 1, (int64_t)sizeof *p);
    if (p == NULL) return ROB_EMEMORY;
    p->cell = -1;
    p->room = rob_priv_allocate(&w->memory, 16 * n, (int64_t)sizeof *p->room);
    if (p->room == NULL) return ROB_EMEMORY;
    double **const all[] = { &p->slope[0], &p->slope[1], &p->slope[2], &p->lo, &p->up,
                             &p->second_lo, &p->second_up, &p->m[0], &p->m[1], &p->rest_lo[0],
                             &p->rest_lo[1], &p->rest_up[0], &p->rest_up[1], &p->base, &p->rad,
                             &p->other };
    for (int64_t i = 0; i < COUNT_OF(all); i++) *all[i] = p->room + i * n;
    return ROB_OK;
}

void rob_priv_joint_close(rob_work *w)
{
    if (w->joint == NULL) return;
    rob_priv_release(&w->memory, w->joint->room);
    rob_priv_release(&w->memory, w->joint);
}

/* ---- the range of a combination of forms ------------------------------------------ */

/* sum_k by_k F_k, by_k per element, into a block of its own. */
static bool combine(rob_work *w, const mix *x, int64_t n, rob_sight *out)
{
    rob_pairs *p = w->joint;
    rob_sight s[ROB_MAX_INS];
    int64_t first = INT64_MAX, end = 0;
    for (int32_t k = 0; k < x->count; k++) {
        s[k] = rob_priv_form_look(w, x->cell[k]);
        if (s[k].rows == 0) continue;
        first = s[k].first < first ? s[k].first : first;
        end = s[k].first + s[k].rows > end ? s[k].first + s[k].rows : end;
    }
    int64_t rows = end > 0 ? end - first : 0;
    if (rows == 0) first = 0;
    p->block = rob_priv_form_block(w, (rows + 1) * n);
    if (p->block < 0) return false;
    double *at = w->pool[p->block].at;
    memset(at, 0, (size_t)(rows * n) * sizeof *at);
    memset(p->base, 0, (size_t)n * sizeof *p->base);
    memset(p->rad, 0, (size_t)n * sizeof *p->rad);
    for (int32_t k = 0; k < x->count; k++) {
        s[k] = rob_priv_form_look(w, x->cell[k]);
        w->net->kernel->scale(s[k].rows, n, x->by[k], 1, s[k].at, s[k].ld,
                              at + (s[k].first - first) * n, n);
        for (int64_t e = 0; e < n; e++) {
            double b = fabs(x->by[k][e]);
            p->base[e] += x->by[k][e] * s[k].base[e];
            p->rad[e] += b * (s[k].rad[e] + 12 * ROB_U * s[k].mag[e]);
        }
    }
    for (int64_t e = 0; e < n; e++)
        p->rad[e] = p->rad[e] * (1 + 32 * ROB_U)
                    + 16 * (double)(rows + 2) * ROB_TINY * w->furthest;
    *out = (rob_sight){ .at = at, .base = p->base, .rad = p->rad, .mag = p->rad, .ld = n,
                        .n = n, .first = first, .rows = rows };
    return true;
}

static bool range_of(rob_work *w, const mix *x, int64_t n, double *lo, double *up)
{
    rob_sight s;
    if (!combine(w, x, n, &s)) return false;
    rob_priv_form_range(w, &s, lo, up);
    w->pool[w->joint->block].users = 0;
    return true;
}

/* ---- octagons --------------------------------------------------------------------- */

/* h - n: both from their own ranges and from their forms */
static bool second_of_blend(rob_work *w, const rob_cell *c, const rob_range *in)
{
    rob_pairs *p = w->joint;
    const rob_link *link = &w->net->link[c->link];
    double *minus = p->m[0], *plus = p->m[1];
    for (int64_t e = 0; e < c->size; e++) minus[e] = -1, plus[e] = 1;
    mix x = { { link[2].cell, link[1].cell }, { plus, minus }, 2 };
    if (!range_of(w, &x, c->size, p->second_lo, p->second_up)) return false;
    for (int64_t e = 0; e < c->size; e++) {
        p->second_lo[e] = fp_max(p->second_lo[e], fp_add_lo(in[2].lo[e], -in[1].up[e]));
        p->second_up[e] = fp_min(p->second_up[e], fp_add_up(in[2].up[e], -in[1].lo[e]));
    }
    return true;
}

static bool octagons(rob_work *w, const rob_cell *c, const rob_range *in, bool blend)
{
    rob_pairs *p = w->joint;
    const rob_link *link = &w->net->link[c->link];
    double *plus = p->slope[0], *minus = p->slope[1];
    for (int k = 0; k < 2; k++) {
        double *other = p->other;
        for (int64_t e = 0; e < c->size; e++) {
            double wide = in[0].up[e] - in[0].lo[e], ratio = (p->second_up[e] - p->second_lo[e]) / wide;
            bool fine = wide > 0 && ratio > 1e-6 && ratio < 1e6;
            p->m[k][e] = fine ? k ? -ratio : ratio : 0;
            other[e] = -p->m[k][e];
            plus[e] = 1;
            minus[e] = -1;
        }
        mix x = { { link[0].cell, link[1].cell }, { other, plus }, 2 };
        mix y = { { link[0].cell, link[2].cell, link[1].cell }, { other, plus, minus }, 3 };
        if (!range_of(w, blend ? &y : &x, c->size, p->rest_lo[k], p->rest_up[k])) return false;
    }
    return true;
}

/* Is a corner cut off? Else the box says it all. */
static bool cuts(const rob_pairs *p, int64_t e)
{
    double wide = 2 * (p->second_up[e] - p->second_lo[e]);
    for (int k = 0; k < 2; k++)
        if (p->m[k][e] != 0 && p->rest_up[k][e] - p->rest_lo[k][e] < 0.95 * wide) return true;
    return false;
}

/* ---- strips and planes ------------------------------------------------------------ */

/* Elements taken together; what is wanted of them. */
enum { SOME = 32 };
typedef struct wanted {
    int64_t which[SOME];
    rob_interval second[SOME];
    rob_joint joint[SOME];
    rob_strip strip[SOME];
    bool fine[SOME];
} wanted;

static void some_strips(rob_work *w, const rob_cell *c, const rob_range *in, wanted *x,
                        int64_t count)
{
    rob_pairs *p = w->joint;
    for (int64_t i = 0; i < count; i++) {
        const int64_t e = x->which[i];
        x->second[i] = (rob_interval){ p->second_lo[e], p->second_up[e] };
        x->joint[i] = (rob_joint){ 2, { p->m[0][e], p->m[1][e] },
                                   { { p->rest_lo[0][e], p->rest_up[0][e] },
                                     { p->rest_lo[1][e], p->rest_up[1][e] } } };
    }
    rob_priv_strips(&c->node, in, x->which, count, x->strip, x->fine);
    rob_priv_strips_joint(&c->node, in, x->which, count, x->second, x->joint, x->strip, x->fine);
    for (int64_t i = 0; i < count; i++) {
        const int64_t e = x->which[i];
        if (!x->fine[i]) continue;
        if (w->fault_strip != NULL) w->fault_strip(&x->strip[i]);
        p->lo[e] = x->strip[i].lo;
        p->up[e] = x->strip[i].up;
        for (int32_t k = 0; k < c->ins; k++) p->slope[k][e] = x->strip[i].slope[k];
    }
}

static void strips(rob_work *w, const rob_cell *c, const rob_range *in)
{
    wanted x;
    int64_t count = 0;
    for (int64_t e = 0; e < c->size; e++) {
        w->joint->lo[e] = -INFINITY;
        w->joint->up[e] = INFINITY;
        if (cuts(w->joint, e)) x.which[count++] = e;
        if (count < SOME && e + 1 < c->size) continue;
        some_strips(w, c, in, &x, count);
        count = 0;
    }
}

/* Height of the planes above over those below, at the middle of the box. */
static double gap_at_middle(const rob_bend *b, const rob_range *in, int64_t e)
{
    double gap = b->up_offset[e] - b->lo_offset[e];
    for (int32_t k = 0; k < b->ins; k++)
        gap += (b->up[k][e] - b->lo[k][e]) * (0.5 * in[k].lo[e] + 0.5 * in[k].up[e]);
    return gap;
}

static void replace_planes(rob_work *w, int32_t cell, const rob_range *in, double share)
{
    rob_pairs *p = w->joint;
    const rob_bend b = rob_priv_plane_of(w, cell);
    for (int64_t e = 0; e < b.n; e++) {
        if (!(p->up[e] - p->lo[e] < share * gap_at_middle(&b, in, e))) continue;
        ((double *)b.lo_offset)[e] = p->lo[e];
        ((double *)b.up_offset)[e] = p->up[e];
        for (int32_t k = 0; k < b.ins; k++)
            ((double *)b.lo[k])[e] = ((double *)b.up[k])[e] = p->slope[k][e];
    }
}

static bool is_gate(const rob_work *w, const rob_cell *c)
{
    int32_t op = c->node.op->id;
    if (op != ROB_OP_sigtanh && op != ROB_OP_sigmul && op != ROB_OP_blend) return false;
    for (int32_t k = 0; k < c->ins; k++) {
        const rob_cell *z = &w->net->cell[w->net->link[c->link + k].cell];
        if (!z->live || w->form[z->root].block < 0) return false;
    }
    return true;
}

void rob_priv_joint_replace(rob_work *w, int32_t cell, double share)
{
    const rob_cell *c = &w->net->cell[cell];
    const rob_range *in = rob_priv_operands(w, c);
    strips(w, c, in);
    w->joint->cell = cell;
    replace_planes(w, cell, in, share);
    rob_priv_plane_weigh(w, cell);
}

bool rob_priv_joint_prepare(rob_work *w, int32_t cell)
{
    rob_pairs *p = w->joint;
    const rob_cell *c = &w->net->cell[cell];
    if (p == NULL || w->form == NULL || c->kind != ROB_CELL_CURVED) return true;
    p->cell = -1;
    if (!is_gate(w, c)) return true;
    const rob_range *in = rob_priv_operands(w, c);
    const bool blend = c->node.op->id == ROB_OP_blend;
    if (blend && !second_of_blend(w, c, in)) return false;
    for (int64_t e = 0; !blend && e < c->size; e++) {
        p->second_lo[e] = in[1].lo[e];
        p->second_up[e] = in[1].up[e];
    }
    if (!octagons(w, c, in, blend)) return false;
    rob_priv_joint_replace(w, cell, SHARE);
    return true;
}

bool rob_priv_joint_strip(const rob_work *w, int32_t cell, int64_t e, rob_strip *s)
{
    const rob_pairs *p = w->joint;
    if (p == NULL || p->cell != cell || !isfinite(p->up[e] - p->lo[e])) return false;
    s->lo = p->lo[e];
    s->up = p->up[e];
    for (int32_t k = 0; k < w->net->cell[cell].ins; k++) s->slope[k] = p->slope[k][e];
    return true;
}
