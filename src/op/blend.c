/* blend.c -- y = n + sigmoid(z) (h - n), the update of a GRU.
 *
 * With s = sigmoid z:  dy/dz = s (1 - s) (h - n),  dy/dn = 1 - s,  dy/dh = s. Its
 * bounds need a range of h - n of its own: h and n are far from independent. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec z, vec a, vec h)
{
    (void)n;
    return vec_fma(vm_sigmoid(z), h - a, a);
}
ROB_EACH3(blend)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    if (in[1] == in[2]) return in[1];
    if (rob_priv_is_fill(g, in[1], &v) && v == 0) return g_sigmul(g, in[0], in[2]);
    return ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    rob_id z = rob_priv_input_of(g, y, 0), n = rob_priv_input_of(g, y, 1);
    rob_id h = rob_priv_input_of(g, y, 2), s = g_unary(g, "sigmoid", z);
    if (i == 2) return s;
    rob_id rest = rob_priv_one_minus(g, s);
    return i == 1 ? rest : g_mul(g, g_mul(g, s, rest), g_sub(g, h, n));
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval y = rob_priv_range_blend(rob_priv_range_at(&in[0], e),
                                               rob_priv_range_at(&in[1], e),
                                               rob_priv_range_at(&in[2], e));
        rob_priv_range_put(out, e, y.lo, y.up);
    }
}

/* Slopes: n + sigmoid(z) d with d = h - n, McCormick of sigmoid(z) and d composed with
 * a line of sigmoid; offset: exact over the box of (z, n, h). An upper plane is a lower
 * one of the blend of -n and -h. */
static void put_plane(bool is_above, const rob_interval x[3], const double *theta,
                      int64_t e, rob_planes *out)
{
    rob_interval y = rob_priv_range_blend(x[0], x[1], x[2]),
                 box[3] = { x[0], x[1], x[2] };
    rob_interval s = { fp_sigmoid_lo(x[0].lo), fp_sigmoid_up(x[0].up) };
    rob_interval d = { x[2].lo - x[1].up, x[2].up - x[1].lo };
    double limit = is_above ? y.up : y.lo, c, slope[3], at[3], sign = is_above ? -1 : 1;
    if (!isfinite(x[0].up - x[0].lo) || !isfinite(d.up - d.lo)) {
        rob_priv_plane_flat(out, 3, e, limit);
        return;
    }
    rob_priv_product_slopes(is_above, s, d, theta ? theta[0] : 1, &c, &slope[2]);
    slope[0] = rob_priv_gate_slope(&rob_priv_uni_sigmoid, is_above, c, x[0],
                            theta ? theta + 1 : NULL);
    slope[1] = 1 - slope[2];
    for (int i = 1; i < 3 && is_above; i++)
        box[i] = (rob_interval){ -x[i].up, -x[i].lo };
    double lower[3] = { sign * slope[0], slope[1], slope[2] };
    double offset = sign * rob_priv_min_blend(lower, box, at);
    at[1] *= sign;
    at[2] *= sign;
    rob_priv_plane_put(out, is_above, 3, e, x, slope, offset, at, limit);
}

/* theta: McCormick's r, the touching point of sigmoid; below, then above */
static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval x[3] = { rob_priv_range_at(&in[0], e),
                              rob_priv_range_at(&in[1], e),
                              rob_priv_range_at(&in[2], e) };
        put_plane(false, x, theta ? theta + 4 * e : NULL, e, below);
        put_plane(true, x, theta ? theta + 4 * e + 2 : NULL, e, above);
    }
}

static void curve(const rob_node *n, const rob_range *in, const double *const *centre,
                  rob_curve *out)
{
    (void)n;
    for (int64_t e = 0; e < out->count; e++) {
        double reach[3], at[3] = { centre[0][e], centre[1][e], centre[2][e] };
        rob_interval box[3];
        for (int i = 0; i < 3; i++)
            box[i] = rob_priv_curve_box(&in[i], e, at[i], &reach[i]);
        rob_priv_curve_blend(out, e, box, at, reach);
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    rob_id s[2] = { g_unary(g, "sigmoid", lo[0]), g_unary(g, "sigmoid", up[0]) };
    rob_id d[2] = { g_sub(g, lo[2], lo[1]), g_sub(g, up[2], up[1]) }, below, above;
    rob_priv_enclose_share(g, s, d, &below, &above);
    *ylo = g_add(g, lo[1], below);
    *yup = g_add(g, up[1], above);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n;
    const int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval s = rob_priv_steep_blend(
            i, rob_priv_range_at(&in[0], e),
            rob_priv_range_at(&in[1], e),
            rob_priv_range_at(&in[2], e));
        rob_priv_range_put(out, e, s.lo, s.up);
    }
}

const rob_op rob_priv_op_blend = {
    .name = "blend", .id = ROB_OP_blend, .ins = 3, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 4,
    .curve = curve, .enclose = enclose, .steep = steep,
};
#endif
