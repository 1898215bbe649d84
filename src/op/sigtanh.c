/* sigtanh.c -- y = sigmoid(a) tanh(b), the gated candidate and output of an LSTM.
 *
 * With s = sigmoid a, t = tanh b:  dy/da = y (1 - s),  dy/db = s (1 - t^2). Both are
 * polynomials in y, s, t; s and t are hash-consed and so exist once for any order. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec a, vec b)
{
    (void)n;
    return vm_sigmoid_tanh(a, b);
}
ROB_EACH2(sigtanh)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    double v;
    (void)ins, (void)attr;
    return rob_priv_is_fill(g, in[1], &v) && v == 0 ? in[1] : ROB_NONE;
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    rob_id s = g_unary(g, "sigmoid", rob_priv_input_of(g, y, 0));
    if (i == 0) return g_mul(g, y, rob_priv_one_minus(g, s));
    rob_id t = g_unary(g, "tanh", rob_priv_input_of(g, y, 1));
    return g_mul(g, s, rob_priv_one_minus(g, g_unary(g, "square", t)));
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval y = rob_priv_range_sigtanh(rob_priv_range_at(&in[0], e),
                                                rob_priv_range_at(&in[1], e));
        rob_priv_range_put(out, e, y.lo, y.up);
    }
}

/* Slopes: McCormick of the two factors composed with a line of each; offset: exact. An
 * upper plane is a lower one of sigmoid(x) tanh(-y). */
typedef struct side {
    int64_t e;
    bool above;
    rob_interval x[2], factor[2]; /* of sigmoid and of tanh */
    double slope[2], limit;
} side;

static side side_below(const rob_range *in, int64_t e)
{
    side p = { .e = e, .x = { rob_priv_range_at(&in[0], e), rob_priv_range_at(&in[1], e) } };
    p.factor[0] = (rob_interval){ fp_sigmoid_lo(p.x[0].lo), fp_sigmoid_up(p.x[0].up) };
    p.factor[1] = (rob_interval){ fp_tanh_lo(p.x[1].lo), fp_tanh_up(p.x[1].up) };
    return p;
}

/* False: there is only the constant. */
static bool make_side(side *p, const double *theta, rob_gate_problem *q)
{
    const rob_interval *x = p->x;
    rob_interval y = rob_priv_range_product(p->factor[0], p->factor[1]);
    double c[2], sign = p->above ? -1 : 1;
    p->limit = p->above ? y.up : y.lo;
    if (!isfinite(x[0].up - x[0].lo) || !isfinite(x[1].up - x[1].lo)) return false;
    rob_priv_product_slopes(p->above, p->factor[0], p->factor[1], theta ? theta[0] : 1, &c[0],
                            &c[1]);
    p->slope[0] = rob_priv_gate_slope(&rob_priv_uni_sigmoid, p->above, c[0], x[0],
                                      theta ? theta + 1 : NULL);
    p->slope[1] = rob_priv_gate_slope(&rob_priv_uni_tanh, p->above, c[1], x[1],
                                      theta ? theta + 2 : NULL);
    *q = (rob_gate_problem){
        .a = sign * p->slope[0], .b = p->slope[1], .x = x[0],
        .y = p->above ? (rob_interval){ -x[1].up, -x[1].lo } : x[1],
    };
    return true;
}

enum { SIDES = 32 };

static void put_sides(int64_t count, const side *p, const rob_gate_problem *q,
                      rob_planes *below, rob_planes *above)
{
    double offset[SIDES], at[SIDES][2];
    rob_priv_min_sigtanhs(count, q, offset, at);
    for (int64_t i = 0; i < count; i++) {
        double sign = p[i].above ? -1 : 1;
        at[i][1] *= sign;
        rob_priv_plane_put(p[i].above ? above : below, p[i].above, 2, p[i].e, p[i].x, p[i].slope,
                           sign * offset[i], at[i], p[i].limit);
    }
}

/* theta: McCormick's r, the touching points of sigmoid and tanh; below, then above */
static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    side p[SIDES];
    rob_gate_problem q[SIDES];
    side both = { .e = -1 };
    int64_t used = 0;
    for (int64_t k = 0; k < 2 * below->count; k++) {
        const int64_t e = k / 2;
        if (k % 2 == 0) both = side_below(in, e);
        both.above = k % 2 == 1;
        p[used] = both;
        if (make_side(&p[used], theta ? theta + 3 * k : NULL, &q[used])) used++;
        else rob_priv_plane_flat(p[used].above ? above : below, 2, e, p[used].limit);
        if (used < SIDES && k + 1 < 2 * below->count) continue;
        put_sides(used, p, q, below, above);
        used = 0;
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
        rob_jet f[2] = { rob_priv_jet_sigmoid(centre[0][e]),
                         rob_priv_jet_tanh(centre[1][e]) };
        rob_sizes size[2] = { rob_priv_sizes_sigmoid(x), rob_priv_sizes_tanh(y) };
        rob_priv_curve_product(out, e, f, size, reach);
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    (void)y;
    rob_id s[2] = { g_unary(g, "sigmoid", lo[0]), g_unary(g, "sigmoid", up[0]) };
    rob_id t[2] = { g_unary(g, "tanh", lo[1]), g_unary(g, "tanh", up[1]) };
    rob_priv_enclose_share(g, s, t, ylo, yup);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n;
    const int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval s = rob_priv_steep_sigtanh(
            i, rob_priv_range_at(&in[0], e),
            rob_priv_range_at(&in[1], e));
        rob_priv_range_put(out, e, s.lo, s.up);
    }
}

const rob_op rob_priv_op_sigtanh = {
    .name = "sigtanh", .id = ROB_OP_sigtanh, .ins = 2, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 6,
    .curve = curve, .enclose = enclose, .steep = steep,
};
#endif
