/* rmsnorm.c -- y_i = x_i u, u = (v + eps)^(-1/2), v = (sum_j x_j^2) / n, over the last
 * axis; attribute x[0] = eps > 0. Behind `centre` it is layer norm's division.
 *
 * With du = -u^3 (sum_j x_j dx_j) / n:  vjp and jvp are both u (d - y (sum_j y_j d_j)/n),
 * since the Jacobian u (I - y y'/n) is symmetric.
 * Ba, Kiros and Hinton, Layer normalization, 2016; Zhang and Sennrich, Root mean square
 * layer normalization, NeurIPS 2019. */
#ifdef ROB_KERNEL
#include "op/row.h"

static inline real row_squares(const real *x, int64_t count)
{
    vec sum[2] = { { 0 }, { 0 } };
    int64_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES)
        for (int k = 0; k < 2; k++) {
            const vec v = vec_load(x + i + k * LANES);
            sum[k] = vec_fma(v, v, sum[k]);
        }
    for (; i + LANES <= count; i += LANES) {
        const vec v = vec_load(x + i);
        sum[0] = vec_fma(v, v, sum[0]);
    }
    if (i < count) {
        const vec v = each_load_part(x + i, count - i);
        sum[1] = vec_fma(v, v, sum[1]);
    }
    return vm_total(sum[0] + sum[1]);
}

void R(op_rmsnorm)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                   const rob_view *out);
void R(op_rmsnorm)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                   const rob_view *out)
{
    (void)shape;
    const int64_t count = in->cols;
    for (int64_t r = 0; r < in->rows; r++) {
        const real *x = (const real *)in->at + r * in->ld;
        real *y = (real *)out->at + r * out->ld;
        const real v = row_squares(x, count) / (real)count + (real)n->attr.x[0];
        const vec u = 1 / vm_sqrt(vm_all(v));
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES) vec_store(y + i, vec_load(x + i) * u);
        if (i < count)
            each_store_part(y + i, each_load_part(x + i, count - i) * u, count - i);
    }
}

#else
#include "op/plane.h"
#include "op/rule.h"

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    if (!(attr->x[0] > 0) || !isfinite(attr->x[0])) {
        rob_priv_graph_fail(g, ROB_EARGUMENT,
                            "rmsnorm: eps is %g, must be positive and finite",
                            attr->x[0]);
        return false;
    }
    return rob_priv_shape_each(g, in, ins, attr, out);
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins;
    if (!rob_priv_is_fill(g, in[0], &v) || !(attr->x[0] > 0)) return ROB_NONE;
    return rob_priv_fill_like(g, in[0], v / sqrt(v * v + attr->x[0]));
}

static rob_shape one_per_row(const rob_graph *g, rob_id x)
{
    rob_shape s = rob_priv_shape(g, x);
    if (s.rank > 0) s.dim[s.rank - 1] = 1;
    return s;
}

/* mean over the row of x + shift */
static rob_id mean_of(rob_graph *g, rob_id x, double shift)
{
    rob_shape s = rob_priv_shape(g, x);
    return g_affine(g, g_sum_to(g, x, one_per_row(g, x)),
                    1 / (double)rob_priv_shape_cols(&s), shift);
}

static rob_id along(rob_graph *g, rob_id y, rob_id d)
{
    rob_node n = rob_priv_node(g, y);
    rob_id x = rob_priv_input_of(g, y, 0);
    rob_id u =
        g_unary(g, "rsqrt", mean_of(g, g_unary(g, "square", x), n.attr.x[0]));
    rob_id share = mean_of(g, g_mul(g, y, d), 0);
    return g_mul(g, g_sub(g, d, g_mul(g, y, share)), u);
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = along(g, y, dy[0]);
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    dy[0] = dx[0] == ROB_NONE ? ROB_NONE : along(g, y, dx[0]);
}

static double least_square(double lo, double up)
{
    double near = lo > 0 ? lo : up < 0 ? up : 0;
    return fp_max(0, fp_or_lo(fp_mul_lo(near, near)));
}

static double most_square(double lo, double up)
{
    double far = fp_max(fabs(lo), fabs(up));
    return fp_mul_up(far, far);
}

/* x / sqrt((x^2 + rest) / n + eps) rounded down; rising in x, toward 0 in rest */
static double ratio_lo(double x, double least_rest, double most_rest, double n, double eps)
{
    double own = x * x;
    if (x >= 0) {
        double v = fp_add_up(fp_div_up(fp_add_up(fp_up(own), most_rest), n), eps);
        return fp_max(0, fp_or_lo(fp_div_lo(x, fp_sqrt_up(v))));
    }
    double least = fp_add_lo(fp_max(0, fp_lo(own)), least_rest);
    double v = fp_add_lo(fp_div_lo(fp_max(0, least), n), eps);
    double y = fp_div_lo(x, fp_sqrt_lo(fp_max(eps, v)));
    return fp_max(y, -fp_sqrt_up(n)); /* x^2 <= n v; also where y is no number */
}

/* Exact up to rounding: y_i rises with x_i, and falls in size with every other x_j^2, whose
 * least (largest) sum is that of all less i's own term, which is in it as it was added. */
static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    int64_t rows = rob_priv_shape_rows(&n->shape), cols = rob_priv_shape_cols(&n->shape);
    double m = (double)cols, eps = n->attr.x[0];
    for (int64_t r = 0; r < rows; r++) {
        const double *lo = in[0].lo + r * cols, *up = in[0].up + r * cols;
        double least = 0, most = 0;
        for (int64_t j = 0; j < cols; j++) {
            least = fp_add_lo(least, least_square(lo[j], up[j]));
            most = fp_add_up(most, most_square(lo[j], up[j]));
        }
        for (int64_t i = 0; i < cols; i++) {
            double low = fp_max(0, fp_or_lo(fp_add_lo(least, -least_square(lo[i], up[i]))));
            double high = fp_or_up(fp_add_up(most, -most_square(lo[i], up[i])));
            rob_priv_range_put(out, r * cols + i, ratio_lo(lo[i], low, high, m, eps),
                               -ratio_lo(-up[i], low, high, m, eps));
        }
    }
}

/* a (a^2/m + rest)^(-1/2), the least or the most over the two rests */
static rob_id ratio_at(rob_graph *g, rob_id a, const rob_id rest[2], int64_t m, bool least)
{
    rob_id own = g_affine(g, g_unary(g, "square", a), 1 / (double)m, 0), y[2];
    for (int i = 0; i < 2; i++)
        y[i] = g_mul(g, a, g_unary(g, "rsqrt", g_add(g, own, rest[i])));
    return least ? rob_priv_enclose_least(g, y[0], y[1]) : rob_priv_enclose_most(g, y[0], y[1]);
}

/* y_i rises with x_i; the other squares are summed at both ends of their ranges. */
static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    double eps = rob_priv_node(g, y).attr.x[0];
    rob_shape s = rob_priv_shape(g, lo[0]);
    int64_t m = rob_priv_shape_cols(&s);
    rob_id low = g_add(g, g_unary(g, "relu", lo[0]), g_unary(g, "relu", g_neg(g, up[0])));
    rob_id high = rob_priv_enclose_most(g, g_unary(g, "abs", lo[0]), g_unary(g, "abs", up[0]));
    rob_id square[2] = { g_unary(g, "square", low), g_unary(g, "square", high) }, rest[2];
    for (int i = 0; i < 2; i++) {
        rob_id own = g_affine(g, square[i], 1 / (double)m, 0);
        rob_id others = g_sub(g, g_expand(g, mean_of(g, square[i], 0), s), own);
        rest[i] = g_affine(g, g_unary(g, "relu", others), 1, eps);
    }
    *ylo = ratio_at(g, lo[0], rest, m, true);
    *yup = ratio_at(g, up[0], rest, m, false);
}

const rob_op rob_priv_op_rmsnorm = {
    .name = "rmsnorm", .id = ROB_OP_rmsnorm, .ins = 1, .kind = ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = rob_priv_rmsnorm_relax, .parameters = 2,
    .enclose = enclose,
};
#endif
