/* mul.c -- y = a b. Closed under derivatives: d(ab) = b da + a db. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return a * b;
}
ROB_EACH2(mul)

#else
#include "op/plane.h"
#include "op/rule.h"

/* Constants become scales (0 b = 0 even where b is not finite), scales move outward so
 * that products that differ by a sign share their node, a a = square a. */
static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_id a = in[0], b = in[1], inner;
    double v;
    (void)ins, (void)attr;
    if (rob_priv_is_fill(g, a, &v)) return g_affine(g, b, v, 0);
    if (rob_priv_is_fill(g, b, &v)) return g_affine(g, a, v, 0);
    if (a == b) return g_unary(g, "square", a);
    if (rob_priv_is_scaled(g, a, &v, &inner))
        return g_affine(g, g_mul(g, inner, b), v, 0);
    if (rob_priv_is_scaled(g, b, &v, &inner))
        return g_affine(g, g_mul(g, a, inner), v, 0);
    return a > b ? g_mul(g, b, a) : ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    return rob_priv_input_of(g, y, 1 - i);
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval y = rob_priv_range_product(rob_priv_range_at(&in[0], e),
                                                rob_priv_range_at(&in[1], e));
        rob_priv_range_put(out, e, y.lo, y.up);
    }
}

/* a b - s0 a - s1 b is bilinear: least at a corner. Rounded down, the four there. */
static double least_corner(double sign, const double s[2], const rob_interval x[2],
                           double at[2])
{
    double best = INFINITY;
    for (int i = 0; i < 4; i++) {
        double a = i & 1 ? x[0].up : x[0].lo, b = i & 2 ? x[1].up : x[1].lo;
        double v = fp_add_lo(fp_mul_lo(sign * a, b), -fp_mul_up(sign * s[0], a));
        v = fp_or_lo(fp_add_lo(v, -fp_mul_up(sign * s[1], b)));
        if (v < best) {
            best = v;
            at[0] = a;
            at[1] = b;
        }
    }
    return best;
}

static void put_plane(bool is_above, const rob_interval x[2], double r, int64_t e,
                      rob_planes *out)
{
    rob_interval y = rob_priv_range_product(x[0], x[1]);
    double slope[2], at[2] = { x[0].lo, x[1].lo }, sign = is_above ? -1 : 1;
    rob_priv_product_slopes(is_above, x[0], x[1], r, &slope[0], &slope[1]);
    double offset = sign * least_corner(sign, slope, x, at);
    rob_priv_plane_put(out, is_above, 2, e, x, slope, offset, at,
                       is_above ? y.up : y.lo);
}

/* McCormick, mixed by theta (below, above); exact where a factor is one number */
static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval x[2] = { rob_priv_range_at(&in[0], e),
                              rob_priv_range_at(&in[1], e) };
        put_plane(false, x, theta ? theta[2 * e] : 1, e, below);
        put_plane(true, x, theta ? theta[2 * e + 1] : 1, e, above);
    }
}

/* Rows moved to operand i where the other is known: times its centre, its radius charged. */
static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)n, (void)k, (void)base;
    const rob_range *other = &value[1 - i];
    for (int64_t r = 0; r < out->rows; r++) {
        double cost = 0;
        for (int64_t e = 0; e < out->cols; e++) {
            double l = out->at[r * out->cols + e], most = rob_priv_range_most(&value[i], e);
            if (l == 0) continue;
            double c = other->lo[e], radius = 0;
            if (other->up[e] != c) {
                c = 0.5 * other->lo[e] + 0.5 * other->up[e];
                radius = fp_max(fp_up(other->up[e] - c), fp_up(c - other->lo[e]));
            }
            cost += rob_priv_row_add(&in->at[r * in->cols + e], l * c, false, most);
            cost += radius == 0 ? 0 : fabs(l) * radius * most;
        }
        rob_priv_row_charge(&loss[r], cost, 3 * out->cols);
    }
}

static void curve(const rob_node *n, const rob_range *in, const double *const *centre,
                  rob_curve *out)
{
    (void)n;
    for (int64_t e = 0; e < out->count; e++) {
        double reach[2];
        rob_interval x = rob_priv_curve_box(&in[0], e, centre[0][e], &reach[0]);
        rob_interval y = rob_priv_curve_box(&in[1], e, centre[1][e], &reach[1]);
        rob_jet f[2] = { rob_priv_jet_linear(centre[0][e]),
                         rob_priv_jet_linear(centre[1][e]) };
        rob_sizes size[2] = { rob_priv_sizes_linear(x), rob_priv_sizes_linear(y) };
        rob_priv_curve_product(out, e, f, size, reach);
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    rob_id a = g_mul(g, lo[0], lo[1]), b = g_mul(g, lo[0], up[1]);
    rob_id c = g_mul(g, up[0], lo[1]), d = g_mul(g, up[0], up[1]);
    *ylo = rob_priv_enclose_least(g, rob_priv_enclose_least(g, a, b),
                                  rob_priv_enclose_least(g, c, d));
    *yup = rob_priv_enclose_most(g, rob_priv_enclose_most(g, a, b),
                                 rob_priv_enclose_most(g, c, d));
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n;
    const int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval other = rob_priv_range_at(&in[1 - i], e);
        rob_priv_range_put(out, e, other.lo, other.up);
    }
}

const rob_op rob_priv_op_mul = {
    .name = "mul", .id = ROB_OP_mul, .ins = 2, .kind = ROB_SMOOTH_EACH | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2, .pull = pull,
    .curve = curve, .enclose = enclose, .steep = steep,
};
#endif
