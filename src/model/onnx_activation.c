/* onnx_activation.c -- activations as sums of few operators.
 *
 *     LeakyRelu  a x + (1 - a) relu(x)             HardSigmoid relu(z) - relu(z - 1), z = a x + b
 *     Elu        relu(x) + a (exp(x - relu(x)) - 1) HardSwish  x HardSigmoid(x)
 *     Selu       g relu(x) + g a (exp(x - relu x) - 1)  Celu relu(x) + a (exp((x - relu x)/a) - 1)
 *     Softsign   x / (1 + |x|)                     Swish       x sigmoid(a x)
 *     Mish       x tanh(softplus(x))               ThresholdedRelu  x step(x - a)
 *     min(a, b) = -max(-a, -b)
 * They are written so that x stands in as few places as can be: each kink is one relu,
 * and what is linear around it stays linear in a relaxation.
 * Reference: ONNX operators, opset 25.
 */
#include "model/onnx.h"

#include <math.h>
#include <string.h>

typedef rob_id builder(rob_graph *g, double alpha, double beta, rob_id x);

static rob_id relu(rob_graph *g, rob_id x) { return g_unary(g, "relu", x); }

rob_id o_larger(rob_graph *g, rob_id a, rob_id b)
{
    return g_max(g, a, b);
}

rob_id o_smaller(rob_graph *g, rob_id a, rob_id b)
{
    return g_neg(g, g_max(g, g_neg(g, a), g_neg(g, b)));
}

/* exp(s min(x, 0)) - 1 */
static rob_id expm1_below(rob_graph *g, double s, rob_id x)
{
    rob_id low = g_affine(g, g_sub(g, x, relu(g, x)), s, 0);
    return g_affine(g, g_unary(g, "exp", low), 1, -1);
}

static rob_id build_relu(rob_graph *g, double a, double b, rob_id x)
{
    (void)a, (void)b;
    return relu(g, x);
}

static rob_id build_tanh(rob_graph *g, double a, double b, rob_id x)
{
    (void)a, (void)b;
    return g_unary(g, "tanh", x);
}

static rob_id build_sigmoid(rob_graph *g, double a, double b, rob_id x)
{
    (void)a, (void)b;
    return g_unary(g, "sigmoid", x);
}

static rob_id build_affine(rob_graph *g, double a, double b, rob_id x)
{
    return g_affine(g, x, a, b);
}

static rob_id build_leaky(rob_graph *g, double a, double b, rob_id x)
{
    (void)b;
    return g_add(g, g_affine(g, x, a, 0), g_affine(g, relu(g, x), 1 - a, 0));
}

static rob_id build_thresholded(rob_graph *g, double a, double b, rob_id x)
{
    (void)b;
    return g_mul(g, x, g_unary(g, "step", g_affine(g, x, 1, -a)));
}

static rob_id build_scaled_tanh(rob_graph *g, double a, double b, rob_id x)
{
    return g_affine(g, g_unary(g, "tanh", g_affine(g, x, b, 0)), a, 0);
}

static rob_id build_hard_sigmoid(rob_graph *g, double a, double b, rob_id x)
{
    rob_id z = g_affine(g, x, a, b);
    return g_sub(g, relu(g, z), relu(g, g_affine(g, z, 1, -1)));
}

static rob_id build_elu(rob_graph *g, double a, double b, rob_id x)
{
    (void)b;
    return g_add(g, relu(g, x), g_affine(g, expm1_below(g, 1, x), a, 0));
}

static rob_id build_selu(rob_graph *g, double a, double b, rob_id x)
{
    rob_id above = g_affine(g, relu(g, x), b, 0);
    return g_add(g, above, g_affine(g, expm1_below(g, 1, x), a * b, 0));
}

static rob_id build_celu(rob_graph *g, double a, double b, rob_id x)
{
    (void)b;
    return g_add(g, relu(g, x), g_affine(g, expm1_below(g, 1 / a, x), a, 0));
}

static rob_id build_softsign(rob_graph *g, double a, double b, rob_id x)
{
    (void)a, (void)b;
    return g_div(g, x, g_affine(g, g_unary(g, "abs", x), 1, 1));
}

static rob_id build_softplus(rob_graph *g, double a, double b, rob_id x)
{
    (void)a, (void)b;
    return g_unary(g, "softplus", x);
}

static rob_id build_hard_swish(rob_graph *g, double a, double b, rob_id x)
{
    return g_mul(g, x, build_hard_sigmoid(g, a, b, x));
}

static rob_id build_swish(rob_graph *g, double a, double b, rob_id x)
{
    (void)b;
    return g_sigmul(g, g_affine(g, x, a, 0), x);
}

static rob_id build_mish(rob_graph *g, double a, double b, rob_id x)
{
    (void)a, (void)b;
    return g_mul(g, x, g_unary(g, "tanh", g_unary(g, "softplus", x)));
}

static const struct {
    const char *name;
    double alpha, beta;
    builder *build;
} ACTIVATIONS[] = {
    { "Relu", 0, 0, build_relu },
    { "Tanh", 0, 0, build_tanh },
    { "Sigmoid", 0, 0, build_sigmoid },
    { "Affine", 1, 0, build_affine },
    { "LeakyRelu", 0.01, 0, build_leaky },
    { "ThresholdedRelu", 1, 0, build_thresholded },
    { "ScaledTanh", 1, 1, build_scaled_tanh },
    { "HardSigmoid", 0.2, 0.5, build_hard_sigmoid },
    { "Elu", 1, 0, build_elu },
    { "Softsign", 0, 0, build_softsign },
    { "Softplus", 0, 0, build_softplus },
    { "Selu", 1.67326319217681884765625, 1.05070102214813232421875, build_selu },
    { "Celu", 1, 0, build_celu },
    { "HardSwish", 1.0 / 6.0, 0.5, build_hard_swish },
    { "Swish", 1, 0, build_swish },
    { "Mish", 0, 0, build_mish },
};

static int64_t index_of(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(ACTIVATIONS); k++)
        if (strcmp(ACTIVATIONS[k].name, name) == 0) return k;
    return -1;
}

bool o_activation_known(rob_activation *a)
{
    int64_t k = index_of(a->name);
    if (k < 0) return false;
    if (isnan(a->alpha)) a->alpha = ACTIVATIONS[k].alpha;
    if (isnan(a->beta)) a->beta = ACTIVATIONS[k].beta;
    return true;
}

rob_id o_activate(rob_graph *g, const rob_activation *a, rob_id x)
{
    return ACTIVATIONS[index_of(a->name)].build(g, a->alpha, a->beta, x);
}
