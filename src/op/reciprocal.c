/* reciprocal.c -- y = 1 / x, x = 0 giving an infinity. y' = -y^2. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return 1 / x;
}
ROB_EACH1(reciprocal)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)i;
    return g_neg(g, g_unary(g, "square", y));
}
ROB_EACH_RULES

/* 1/x = -(1/(-x)): the two signs are one function; across zero nothing is known */
static rob_interval image(rob_interval x)
{
    if (x.lo > 0)
        return (rob_interval){ fp_max(0, fp_div_lo(1, x.up)), fp_div_up(1, x.lo) };
    if (x.up < 0)
        return (rob_interval){ fp_div_lo(1, x.up), fp_min(0, fp_div_up(1, x.lo)) };
    return (rob_interval){ -INFINITY, INFINITY };
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval y = image(rob_priv_range_at(&in[0], e));
        rob_priv_range_put(out, e, y.lo, y.up);
    }
}

static void put_line(bool is_above, rob_interval x, const double *theta, int64_t e,
                     rob_planes *out)
{
    rob_interval y = image(x), positive = x.lo > 0 ? x : (rob_interval){ -x.up, -x.lo };
    double sign = x.lo > 0 ? 1 : -1, limit = is_above ? fp_or_up(y.up) : fp_or_lo(y.lo);
    if (!isfinite(positive.up) || !(positive.lo > 0)) {
        rob_priv_plane_flat(out, 1, e, limit);
        return;
    }
    rob_line l = rob_priv_uni_line(&rob_priv_uni_reciprocal, is_above == (sign > 0),
                                   positive, theta);
    l.touch *= sign;
    rob_priv_plane_put(out, is_above, 1, e, &x, &l.slope, sign * l.offset, &l.touch, limit);
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    for (int64_t e = 0; e < below->count; e++) {
        rob_interval x = rob_priv_range_at(&in[0], e);
        put_line(false, x, theta ? theta + 2 * e : NULL, e, below);
        put_line(true, x, theta ? theta + 2 * e + 1 : NULL, e, above);
    }
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_falling(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_reciprocal = {
    .name = "reciprocal", .id = ROB_OP_reciprocal, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
    .enclose = enclose,
};
#endif
