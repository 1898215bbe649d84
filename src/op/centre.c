/* centre.c -- y_i = x_i - m, m = (sum_j x_j) / n, over the last axis.
 *
 * The projection I - 1 1'/n: symmetric, so vjp and jvp are the same map, and applied
 * twice it is itself. Layer norm without the division (Shi et al., Robustness
 * verification for transformers, ICLR 2020) is this and an affine map. */
#ifdef ROB_KERNEL
#include "op/row.h"

void R(op_centre)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                  const rob_view *out);
void R(op_centre)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                  const rob_view *out)
{
    (void)n, (void)shape;
    const int64_t count = in->cols;
    for (int64_t r = 0; r < in->rows; r++) {
        const real *x = (const real *)in->at + r * in->ld;
        real *y = (real *)out->at + r * out->ld;
        const vec mean = vm_all(row_total(x, count) / (real)count);
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES) vec_store(y + i, vec_load(x + i) - mean);
        if (i < count)
            each_store_part(y + i, each_load_part(x + i, count - i) - mean, count - i);
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

/* Rows of one number are 0; a centred row has no mean left; a scale moves outward. */
static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_shape s = rob_priv_shape(g, in[0]);
    double v;
    rob_id inner;
    (void)ins, (void)attr;
    if (rob_priv_shape_cols(&s) == 1 || rob_priv_is_fill(g, in[0], &v))
        return rob_priv_fill(g, s, 0);
    if (rob_priv_is(g, in[0], &rob_priv_op_centre)) return in[0];
    if (rob_priv_is_scaled(g, in[0], &v, &inner))
        return g_affine(g, g_centre(g, inner), v, 0);
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    (void)y;
    dx[0] = g_centre(g, dy[0]);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    (void)y;
    dy[0] = dx[0] == ROB_NONE ? ROB_NONE : g_centre(g, dx[0]);
}

/* y_i = ((n - 1) x_i - sum of the others) / n, every number at its own end */
static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    int64_t rows = rob_priv_shape_rows(&n->shape), cols = rob_priv_shape_cols(&n->shape);
    for (int64_t r = 0; r < rows; r++) {
        const double *lo = in[0].lo + r * cols, *up = in[0].up + r * cols;
        double least = 0, most = 0, m = (double)cols;
        for (int64_t j = 0; j < cols; j++) {
            least = fp_add_lo(least, lo[j]);
            most = fp_add_up(most, up[j]);
        }
        for (int64_t i = 0; i < cols; i++) {
            double low = fp_add_lo(fp_mul_lo(m - 1, lo[i]), -fp_add_up(most, -up[i]));
            double high = fp_add_up(fp_mul_up(m - 1, up[i]), -fp_add_lo(least, -lo[i]));
            rob_priv_range_put(out, r * cols + i, fp_div_lo(low, m), fp_div_up(high, m));
        }
    }
}

/* One row of L (n numbers) to L - mean L. The mean's error is at most
 * gamma_{n+2} sum |L| / n + 2^-1022, whatever the order of the sum. */
static void pull_row(const double *from, double *to, const rob_range *value, int64_t at,
                     int64_t count, double *loss)
{
    double sum = 0, size = 0, cost = 0;
    for (int64_t j = 0; j < count; j++) {
        sum += from[j];
        size += fabs(from[j]);
    }
    if (size == 0) return;
    double mean = sum / (double)count;
    double error = fp_up(fp_mul_up(fp_mul_up(size, 1 + fp_gamma(count)),
                                   fp_gamma(count + 4)) / (double)count);
    for (int64_t j = 0; j < count; j++) {
        double most = rob_priv_range_most(value, at + j);
        cost += rob_priv_row_add(&to[j], from[j] - mean, false, most);
        cost += error * most;
    }
    rob_priv_row_charge(loss, cost, 2 * count);
}

static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)k, (void)base;
    int64_t rows = rob_priv_shape_rows(&n->shape), cols = rob_priv_shape_cols(&n->shape);
    for (int64_t r = 0; r < out->rows; r++)
        for (int64_t b = 0; b < rows; b++)
            pull_row(out->at + r * out->cols + b * cols,
                     in->at + r * in->cols + b * cols, &value[i], b * cols, cols,
                     &loss[r]);
}

/* (1 - 1/n) x_i at one end, the mean of the others at the other end */
static rob_id end_of(rob_graph *g, rob_id own, rob_id other)
{
    rob_shape s = rob_priv_shape(g, own), row = s;
    double n = (double)rob_priv_shape_cols(&s);
    row.dim[row.rank - 1] = 1;
    rob_id rest = g_sub(g, g_sum_to(g, other, row), other);
    return g_sub(g, g_affine(g, own, 1 - 1 / n, 0), g_affine(g, rest, 1 / n, 0));
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    *ylo = end_of(g, lo[0], up[0]);
    *yup = end_of(g, up[0], lo[0]);
}

const rob_op rob_priv_op_centre = {
    .name = "centre", .id = ROB_OP_centre, .ins = 1,
    .kind = ROB_OP_SMOOTH | ROB_OP_AFFINE,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
