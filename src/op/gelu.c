/* gelu.c -- y = x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2; with attribute i[0] = 1
 * y = x sigmoid(a x (1 + c x^2)), a = 2 sqrt(2/pi) as the nearest double, c = 0.044715.
 *
 *     y' = Phi(x) + x phi(x), phi the normal density;
 *     y' = s + x s (1 - s) a (1 + 3 c x^2), s the sigmoid above.
 * Falls left of its least value, at about -0.7518 (-0.7525), and rises right of it.
 * Hendrycks and Gimpel, Gaussian error linear units, 2016. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    if (n->attr.i[0]) {
        vec cube = vec_fma(vm_all(0.044715) * x, x * x, x);
        return x * vm_sigmoid(vm_all(0x1.9884533d43651p+0) * cube);
    }
    return x * (vm_all(0.5) * (1 + vm_erf(x * vm_all(0x1.6a09e667f3bcdp-1))));
}
ROB_EACH1(gelu)

#else
#include "op/plane.h"
#include "op/rule.h"

static const double GATE = 0x1.9884533d43651p+0, CUBE = 0.044715;
static const double ROOT_HALF = 0x1.6a09e667f3bcdp-1;
static const double DENSITY = 0x1.9884533d43651p-2;   /* 1 / sqrt(2 pi) */

static rob_id slope_by_erf(rob_graph *g, rob_id x)
{
    rob_id share = g_affine(g, g_unary(g, "erf", g_affine(g, x, ROOT_HALF, 0)), 0.5, 0.5);
    rob_id bell = g_unary(g, "exp", g_affine(g, g_unary(g, "square", x), -0.5, 0));
    return g_add(g, share, g_affine(g, g_mul(g, x, bell), DENSITY, 0));
}

static rob_id slope_by_tanh(rob_graph *g, rob_id x)
{
    rob_id square = g_unary(g, "square", x);
    rob_id z = g_mul(g, x, g_affine(g, square, GATE * CUBE, GATE));
    rob_id s = g_unary(g, "sigmoid", z), rest = rob_priv_one_minus(g, s);
    rob_id inner = g_mul(g, x, g_affine(g, square, 3 * GATE * CUBE, GATE));
    return g_add(g, s, g_mul(g, g_mul(g, s, rest), inner));
}

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    rob_id x = rob_priv_input_of(g, y, i);
    return rob_priv_node(g, y).attr.i[0] ? slope_by_tanh(g, x) : slope_by_erf(g, x);
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    for (int64_t e = 0; e < size; e++) {
        rob_interval y =
            rob_priv_range_gelu(n->attr.i[0] != 0, rob_priv_range_at(&in[0], e));
        rob_priv_range_put(out, e, y.lo, y.up);
    }
}

/* Above: the larger of the ends' values. Below: the value at the point of the range that
 * lies nearest to the turn. */
static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    int32_t by_tanh = rob_priv_node(g, y).attr.i[0] != 0;
    const double turn = by_tanh ? -0.7524614220710162 : -0.7517915246935645;
    rob_id right = g_unary(g, "relu", g_affine(g, lo[0], 1, -turn));
    rob_id left = g_unary(g, "relu", g_affine(g, up[0], -1, turn));
    *ylo = g_gelu(g, g_affine(g, g_sub(g, right, left), 1, turn), by_tanh);
    *yup = rob_priv_enclose_most(g, g_gelu(g, lo[0], by_tanh), g_gelu(g, up[0], by_tanh));
}

const rob_op rob_priv_op_gelu = {
    .name = "gelu", .id = ROB_OP_gelu, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = rob_priv_gelu_relax, .parameters = 2,
    .enclose = enclose,
};
#endif
