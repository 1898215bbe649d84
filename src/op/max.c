/* max.c -- y = max(a, b), NaN kept. dy = da where a > b, else db. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return vec_select((vecb)(a > b) | (vecb)(a != a), a, b);
}
ROB_EACH2(max)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double a, b;
    (void)ins, (void)attr;
    if (in[0] == in[1]) return in[0];
    if (rob_priv_is_fill(g, in[0], &a) && rob_priv_is_fill(g, in[1], &b))
        return rob_priv_fill_like(g, in[0], a > b || isnan(a) ? a : b);
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    rob_id a = rob_priv_input_of(g, y, 0), b = rob_priv_input_of(g, y, 1);
    rob_id first = g_unary(g, "step", g_sub(g, a, b));
    return i == 0 ? first : rob_priv_one_minus(g, first);
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval a = rob_priv_range_at(&in[0], e), b = rob_priv_range_at(&in[1], e);
        rob_priv_range_put(out, e, fp_max(a.lo, b.lo), fp_max(a.up, b.up));
    }
}

/* Above, for any slopes s: max(a, b) - s.(a, b) is convex, so largest at a corner. */
static double top_corner(const double s[2], const rob_interval x[2], double at[2])
{
    double best = -INFINITY;
    for (int i = 0; i < 4; i++) {
        double a = i & 1 ? x[0].up : x[0].lo, b = i & 2 ? x[1].up : x[1].lo;
        double v = fp_add_up(fp_max(a, b), -fp_mul_lo(s[0], a));
        v = fp_or_up(fp_add_up(v, -fp_mul_lo(s[1], b)));
        if (v > best) best = v, at[0] = a, at[1] = b;
    }
    return best;
}

/* Below: t a + (1 - t) b, t in [0, 1]; what rounding of 1 - t adds to a slope is paid. */
static void put_below(const rob_interval x[2], double t, int64_t e, rob_planes *below)
{
    double s[2] = { t, 1 - t }, far = fmax(fmax(fabs(x[0].lo), fabs(x[0].up)),
                                           fmax(fabs(x[1].lo), fabs(x[1].up)));
    double offset = t == 0 || t == 1 ? 0 : -fp_mul_up(ROB_U, far);
    rob_priv_plane_put(below, false, 2, e, x, s, offset, (double[]){ x[0].lo, x[1].lo },
                       fp_max(x[0].lo, x[1].lo));
}

/* Above: b + the chord of relu(a - b). By default below is the operand whose range
 * reaches higher; theta mixes the two. */
static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval x[2] = { rob_priv_range_at(&in[0], e),
                              rob_priv_range_at(&in[1], e) };
        double l = x[0].lo - x[1].up, u = x[0].up - x[1].lo, at[2] = { 0, 0 };
        double t = u >= -l, s = l >= 0 ? 1 : u <= 0 ? 0 : u / (u - l);
        if (theta && l < 0 && u > 0) t = theta[e];
        put_below(x, l >= 0 ? 1 : u <= 0 ? 0 : t, e, below);
        double slope[2] = { s, 1 - s };
        rob_priv_plane_put(above, true, 2, e, x, slope, top_corner(slope, x, at), at,
                           fp_max(x[0].up, x[1].up));
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n;
    const int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval a = rob_priv_range_at(&in[i], e), b = rob_priv_range_at(&in[1 - i], e);
        rob_interval apart = { fp_add_lo(a.lo, -b.up), fp_add_up(a.up, -b.lo) };
        rob_priv_steep_kink(0, 1, apart, e, out);
    }
}

const rob_op rob_priv_op_max = {
    .name = "max", .id = ROB_OP_max, .ins = 2,
    .kind = ROB_OP_ELEMENTWISE | ROB_OP_CHEAP,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 1,
    .enclose = enclose,
    .steep = steep,
};
#endif
