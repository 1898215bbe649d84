/* softmax.c -- y_i = exp(x_i - m) / sum_j exp(x_j - m), m = max x, over the last axis.
 *
 * With c = sum_j y_j d_j:  vjp and jvp are both y (d - c), since the Jacobian
 * diag y - y y' is symmetric. A row of nothing but -inf, or with +inf, gives NaN. */
#ifdef ROB_KERNEL
#include "op/each.h"
#include "op/row.h"

void R(op_softmax)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                   const rob_view *out);
void R(op_softmax)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                   const rob_view *out)
{
    (void)n, (void)shape;
    for (int64_t r = 0; r < in->rows; r++) {
        const real *x = (const real *)in->at + r * in->ld;
        real *y = (real *)out->at + r * out->ld;
        real most = row_most(x, in->cols);
        const vec share = vm_all(1 / row_exp(x, most, in->cols, y));
        int64_t i = 0, count = in->cols;
        for (; i + LANES <= count; i += LANES)
            vec_store(y + i, vec_load(y + i) * share);
        if (i < count)
            each_store_part(y + i, each_load_part(y + i, count - i) * share, count - i);
    }
}

#else
#include "op/plane.h"
#include "op/rule.h"

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    return rob_priv_shape_each(g, in, ins, attr, out);
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_shape s = rob_priv_shape(g, in[0]);
    (void)ins, (void)attr;
    return rob_priv_shape_cols(&s) == 1 ? rob_priv_fill(g, s, 1) : ROB_NONE;
}

static rob_id along(rob_graph *g, rob_id y, rob_id d)
{
    rob_shape row = rob_priv_shape(g, y);
    row.dim[row.rank > 0 ? row.rank - 1 : 0] = 1;
    rob_id centre = g_sum_to(g, g_mul(g, y, d), row);
    return g_mul(g, y, g_sub(g, d, centre));
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = along(g, y, dy[0]);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    dy[0] = dx[0] == ROB_NONE ? ROB_NONE : along(g, y, dx[0]);
}

/* y_i = 1 / (1 + sum_{j != i} exp(x_j - x_i)), up rounded: x_i low, the others high */
static double least_share(const double *own, const double *other, int64_t i,
                          int64_t count)
{
    double sum = 1;
    for (int64_t j = 0; j < count; j++)
        if (j != i)
            sum = fp_add_up(sum, fp_exp_up(fp_add_up(other[j], -own[i])));
    return isnan(sum) ? 0 : fp_max(0, fp_div_lo(1, sum));
}

static double largest_share(const double *own, const double *other, int64_t i,
                            int64_t count)
{
    double sum = 1;
    for (int64_t j = 0; j < count; j++)
        if (j != i)
            sum = fp_add_lo(sum, fp_exp_lo(fp_add_lo(other[j], -own[i])));
    return isnan(sum) ? 1 : fp_min(1, fp_div_up(1, fp_max(1, sum)));
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    int64_t rows = rob_priv_shape_rows(&n->shape),
            cols = rob_priv_shape_cols(&n->shape);
    for (int64_t r = 0; r < rows; r++) {
        const double *lo = in[0].lo + r * cols, *up = in[0].up + r * cols;
        for (int64_t i = 0; i < cols; i++)
            rob_priv_range_put(out, r * cols + i, least_share(lo, up, i, cols),
                               largest_share(up, lo, i, cols));
    }
}

/* P d / (1 - P (1 - d)) and Q / (Q + (1 - Q) d), d = exp(l - u), P and Q the softmax of
 * u and l: the ends of the interval without a difference of sums. */
/* p_i is least at lo_i beside the up_j and largest the other way. With p = softmax(up), q =
 * softmax(lo), d = exp(lo - up):  p d / (1 - p (1 - d)) and q / (d + q (1 - d)). Where all
 * of it underflows that is 0/0: 1e-15 leads to 0 and to 1, and moves nothing inwards. */
static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    const double tiny = 1e-15;
    rob_id floor = rob_priv_fill_like(g, lo[0], -1e30);
    rob_id width = g_sub(g, g_max(g, up[0], floor), g_max(g, lo[0], floor));
    rob_id d = g_unary(g, "exp", g_neg(g, width)), rest = rob_priv_one_minus(g, d);
    rob_id p = g_softmax(g, up[0]), q = g_softmax(g, lo[0]);
    *ylo = g_div(g, g_mul(g, p, d), g_affine(g, g_mul(g, p, rest), -1, 1 + tiny));
    *yup = g_div(g, g_affine(g, q, 1, tiny), g_affine(g, g_add(g, d, g_mul(g, q, rest)), 1, tiny));
}

const rob_op rob_priv_op_softmax = {
    .name = "softmax", .id = ROB_OP_softmax, .ins = 1, .kind = ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = rob_priv_softmax_relax, .parameters = 2,
    .enclose = enclose,
};
#endif
