/* where.c -- y = a where m != 0, else b; the bits of the operand are kept.
 *
 * The mask has no derivative; the adjoint of the operand not taken is exactly zero,
 * also where the other one is infinite or NaN. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec m, vec a, vec b)
{
    (void)n;
    return vec_select((vecb)(m != vm_all(0)), a, b);
}
ROB_EACH3(where)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, in[0], &v)) return v != 0 ? in[1] : in[2];
    return in[1] == in[2] ? in[1] : ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    rob_id mask = rob_priv_input_of(g, y, 0), zero = rob_priv_fill_like(g, y, 0);
    dx[0] = ROB_NONE;
    dx[1] = g_where(g, mask, dy[0], zero);
    dx[2] = g_where(g, mask, zero, dy[0]);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    rob_id mask = rob_priv_input_of(g, y, 0), zero = rob_priv_fill_like(g, y, 0);
    if (dx[1] == ROB_NONE && dx[2] == ROB_NONE) dy[0] = ROB_NONE;
    else dy[0] = g_where(g, mask, dx[1] == ROB_NONE ? zero : dx[1],
                         dx[2] == ROB_NONE ? zero : dx[2]);
}

typedef enum mask { NEITHER, FIRST, SECOND } mask;

static mask known(const rob_range *m, int64_t e)
{
    if (m->lo[e] > 0 || m->up[e] < 0) return FIRST;
    return m->lo[e] == 0 && m->up[e] == 0 ? SECOND : NEITHER;
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        mask m = known(&in[0], e);
        rob_interval a = rob_priv_range_at(&in[m == SECOND ? 2 : 1], e);
        rob_interval b = rob_priv_range_at(&in[m == FIRST ? 1 : 2], e);
        rob_priv_range_put(out, e, fp_min(a.lo, b.lo), fp_max(a.up, b.up));
    }
}

/* The operand taken, exactly; the hull of both where the mask is not known. */
static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n, (void)theta;
    for (int64_t e = 0; e < below->count; e++) {
        mask m = known(&in[0], e);
        rob_interval a = rob_priv_range_at(&in[1], e), b = rob_priv_range_at(&in[2], e);
        rob_priv_plane_flat(below, 3, e, m == NEITHER ? fp_min(a.lo, b.lo) : 0);
        rob_priv_plane_flat(above, 3, e, m == NEITHER ? fp_max(a.up, b.up) : 0);
        if (m != NEITHER)
            below->slope[m][e] = above->slope[m][e] = 1;
    }
}

/* Where the mask is not known, either operand: at most the larger of the two. */
static double pull_element(const rob_range *value, int32_t i, int64_t e, double c,
                           double *in)
{
    mask m = known(&value[0], e);
    if (c == 0 || (m != NEITHER && m != (mask)i))
        return 0;
    if (m == NEITHER)
        return i == 2 ? 0 : fabs(c) * fmax(rob_priv_range_most(&value[1], e),
                                           rob_priv_range_most(&value[2], e));
    return rob_priv_row_add(&in[e], c, true, rob_priv_range_most(&value[i], e));
}

/* Nothing goes to the mask. */
static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)n, (void)k, (void)base;
    for (int64_t r = 0; r < out->rows && i > 0; r++) {
        double cost = 0;
        for (int64_t e = 0; e < out->cols; e++)
            cost += pull_element(value, i, e, out->at[r * out->cols + e],
                                 &in->at[r * in->cols]);
        rob_priv_row_charge(&loss[r], cost, out->cols + 1);
    }
}

/* The mask is a constant: lo[0] and up[0] are one node. */
static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    *ylo = g_where(g, lo[0], lo[1], lo[2]);
    *yup = g_where(g, lo[0], up[1], up[2]);
}

const rob_op rob_priv_op_where = {
    .name = "where", .id = ROB_OP_where, .ins = 3,
    .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .pull = pull,
    .enclose = enclose,
};
#endif
