/* onnx_each.c -- ONNX's element-wise operators.
 *
 * Integers and truth values are numbers known when the graph is written, and are computed
 * by ONNX's rules for them: division truncates, a cast to an integer drops the fraction.
 * A comparison of variables is a step: a > b = step(a - b). What has no graph operator
 * (floor, sin, ...) is for numbers only, which is where exporters use it: in shapes and
 * positions.
 */
#include "model/onnx.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- one operand ----------------------------------------------------------------- */

static double n_floor(double x, double y) { return (void)y, floor(x); }
static double n_ceil(double x, double y) { return (void)y, ceil(x); }
static double n_round(double x, double y) { return (void)y, nearbyint(x); }
static double n_sin(double x, double y) { return (void)y, sin(x); }
static double n_cos(double x, double y) { return (void)y, cos(x); }
static double n_tan(double x, double y) { return (void)y, tan(x); }
static double n_atan(double x, double y) { return (void)y, atan(x); }
static double n_not(double x, double y) { return (void)y, x == 0; }
static double n_isnan(double x, double y) { return (void)y, isnan(x) != 0; }

static const struct {
    const char *name;
    double (*number)(double, double);
} NUMBERS[] = {
    { "Floor", n_floor }, { "Ceil", n_ceil }, { "Round", n_round }, { "Sin", n_sin },
    { "Cos", n_cos },     { "Tan", n_tan },   { "Atan", n_atan },   { "IsNaN", n_isnan },
};

static void op_number(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)ins, (void)outs;
    for (int64_t k = 0; k < COUNT_OF(NUMBERS); k++) {
        if (strcmp(NUMBERS[k].name, m->node->op) != 0) continue;
        if (o_known(&in[0]))
            out[0] = o_each(m, NUMBERS[k].number, in[0].dtype, &in[0], &in[0]);
        else o_fail(m, ROB_EUNSUPPORTED, "of a value that depends on the model's input");
    }
}

static const struct {
    const char *onnx, *op;
    double scale; /* op "affine": times this */
} UNARY[] = {
    { "Exp", "exp", 0 },   { "Log", "log", 0 },   { "Sqrt", "sqrt", 0 },
    { "Abs", "abs", 0 },   { "Sign", "sign", 0 }, { "Reciprocal", "reciprocal", 0 },
    { "Erf", "erf", 0 },   { "Neg", NULL, -1 },   { "Identity", NULL, 1 },
};

static void op_unary(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins, (void)outs;
    for (int64_t k = 0; k < COUNT_OF(UNARY); k++) {
        if (strcmp(UNARY[k].onnx, m->node->op) != 0) continue;
        if (UNARY[k].scale == 1) out[0] = in[0];
        else if (UNARY[k].op == NULL) out[0] = o_affine(m, &in[0], UNARY[k].scale, 0);
        else out[0] = o_apply(m, UNARY[k].op, &in[0]);
    }
}

static void op_not(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                   int32_t outs)
{
    (void)ins, (void)outs;
    out[0] = o_known(&in[0]) ? o_each(m, n_not, ROB_ONNX_BOOL, &in[0], &in[0])
                             : o_affine(m, &in[0], -1, 1);
}

static void op_activation(rob_machine *m, const rob_value *in, int32_t ins,
                          rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    rob_activation a = { m->node->op, o_float(m, "alpha", NAN), o_float(m, "beta", NAN) };
    if (strcmp(a.name, "Selu") == 0) a.beta = o_float(m, "gamma", NAN);
    if (strcmp(a.name, "HardSwish") == 0) a.alpha = a.beta = NAN;
    o_activation_known(&a);
    rob_id x = o_id(m, &in[0]);
    if (!o_failed(m)) out[0] = o_like(m, o_activate(m->g, &a, x), &in[0]);
}

static void op_gelu(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)ins, (void)outs;
    int32_t by_tanh = strcmp(o_text(m, "approximate", "none"), "tanh") == 0;
    out[0] = o_like(m, g_gelu(m->g, o_id(m, &in[0]), by_tanh), &in[0]);
}

/* slope x + (1 - slope) relu(x) */
static void op_prelu(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins, (void)outs;
    rob_value slope = in[1];
    int64_t dim[ROB_ONNX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    if (o_opset(m) < 7 && slope.rank == 1 && in[0].rank > 2) {
        dim[0] = slope.dim[0];
        slope = o_reshape(m, &slope, in[0].rank - 1, dim);
    }
    rob_value above = o_apply(m, "relu", &in[0]), rest = o_affine(m, &slope, -1, 1);
    rob_value low = o_mul(m, &in[0], &slope), high = o_mul(m, &above, &rest);
    out[0] = o_add(m, &low, &high);
}

/* ---- two operands ---------------------------------------------------------------- */

static double n_add(double a, double b) { return a + b; }
static double n_sub(double a, double b) { return a - b; }
static double n_mul(double a, double b) { return a * b; }
static double n_div(double a, double b) { return a / b; }
static double n_quotient(double a, double b) { return b == 0 ? 0 : trunc(a / b); }
static double n_max(double a, double b) { return a > b || isnan(a) ? a : b; }
static double n_min(double a, double b) { return a < b || isnan(a) ? a : b; }
static double n_pow(double a, double b) { return pow(a, b); }
static double n_equal(double a, double b) { return a == b; }
static double n_greater(double a, double b) { return a > b; }
static double n_less(double a, double b) { return a < b; }
static double n_not_less(double a, double b) { return a >= b; }
static double n_not_greater(double a, double b) { return a <= b; }
static double n_and(double a, double b) { return a != 0 && b != 0; }
static double n_or(double a, double b) { return a != 0 || b != 0; }
static double n_xor(double a, double b) { return (a != 0) != (b != 0); }
static double n_fmod(double a, double b) { return b == 0 ? NAN : fmod(a, b); }

/* ONNX's Mod of integers has the sign of the divisor. */
static double n_mod(double a, double b)
{
    return b == 0 ? 0 : a - b * floor(a / b);
}

static rob_id v_greater(rob_graph *g, rob_id a, rob_id b)
{
    return g_unary(g, "step", g_sub(g, a, b));
}

static rob_id v_less(rob_graph *g, rob_id a, rob_id b) { return v_greater(g, b, a); }

static rob_id v_not_less(rob_graph *g, rob_id a, rob_id b)
{
    return g_affine(g, v_less(g, a, b), -1, 1);
}

static rob_id v_not_greater(rob_graph *g, rob_id a, rob_id b)
{
    return g_affine(g, v_greater(g, a, b), -1, 1);
}

static rob_id v_or(rob_graph *g, rob_id a, rob_id b)
{
    return g_sub(g, g_add(g, a, b), g_mul(g, a, b));
}

static const struct {
    const char *name;
    double (*number)(double, double), (*whole)(double, double);
    rob_binary *build;
    bool truth;
} BINARY[] = {
    { "Add", n_add, n_add, g_add, false },
    { "Sub", n_sub, n_sub, g_sub, false },
    { "Mul", n_mul, n_mul, g_mul, false },
    { "Div", n_div, n_quotient, g_div, false },
    { "Max", n_max, n_max, o_larger, false },
    { "Min", n_min, n_min, o_smaller, false },
    { "Sum", n_add, n_add, g_add, false },
    { "Mean", n_add, n_add, g_add, false },
    { "Mod", n_fmod, n_mod, NULL, false },
    { "Equal", n_equal, n_equal, NULL, true },
    { "Greater", n_greater, n_greater, v_greater, true },
    { "Less", n_less, n_less, v_less, true },
    { "GreaterOrEqual", n_not_less, n_not_less, v_not_less, true },
    { "LessOrEqual", n_not_greater, n_not_greater, v_not_greater, true },
    { "And", n_and, n_and, g_mul, true },
    { "Or", n_or, n_or, v_or, true },
    { "Xor", n_xor, n_xor, NULL, true },
};

static int64_t binary_of(const char *name)
{
    int64_t k = 0;
    while (k < COUNT_OF(BINARY) && strcmp(BINARY[k].name, name) != 0) k++;
    return k;
}

static rob_value both(rob_machine *m, int64_t k, const rob_value *a, const rob_value *b)
{
    bool whole = o_whole(a) && !(a->dtype == ROB_ONNX_BOOL && BINARY[k].truth);
    int32_t dtype = BINARY[k].truth ? ROB_ONNX_BOOL : a->dtype;
    if (o_known(a) && o_known(b))
        return o_each(m, whole ? BINARY[k].whole : BINARY[k].number, dtype, a, b);
    if (BINARY[k].build == NULL) {
        o_fail(m, ROB_EUNSUPPORTED, "of a value that depends on the model's input");
        return o_none();
    }
    rob_value y = o_both(m, BINARY[k].build, a, b);
    y.dtype = dtype;
    return y;
}

/* Before opset 7 the second operand is laid at `axis` of the first. */
static rob_value aligned(rob_machine *m, const rob_value *a, const rob_value *b)
{
    int64_t dim[ROB_ONNX_RANK] = { 0 };
    int64_t axis = o_int(m, "axis", a->rank - b->rank), behind;
    if (o_opset(m) >= 7 || o_int(m, "broadcast", 0) == 0) return *b;
    behind = a->rank - (axis < 0 ? axis + a->rank : axis) - b->rank;
    if (behind <= 0 || b->rank + behind > ROB_ONNX_RANK) return *b;
    memcpy(dim, b->dim, sizeof dim);
    for (int64_t k = 0; k < behind; k++) dim[b->rank + k] = 1;
    return o_reshape(m, b, b->rank + (int32_t)behind, dim);
}

static void op_binary(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)ins, (void)outs;
    rob_value b = aligned(m, &in[0], &in[1]);
    out[0] = both(m, binary_of(m->node->op), &in[0], &b);
}

/* Max, Min, Sum, Mean of any number */
static void op_many(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)outs;
    rob_value y = in[0];
    for (int32_t k = 1; k < ins && !o_failed(m); k++)
        y = both(m, binary_of(m->node->op), &y, &in[k]);
    if (strcmp(m->node->op, "Mean") == 0) y = o_affine(m, &y, 1.0 / ins, 0);
    out[0] = y;
}

/* x^n, n a whole number from 1 to 64, by squaring */
static rob_id whole_power(rob_graph *g, rob_id x, int64_t n)
{
    rob_id y = ROB_NONE;
    for (; n > 0; n >>= 1) {
        if (n & 1) y = y == ROB_NONE ? x : g_mul(g, y, x);
        if (n > 1) x = g_unary(g, "square", x);
    }
    return y;
}

static rob_id power(rob_graph *g, rob_id x, double n)
{
    if (n == 0.5) return g_unary(g, "sqrt", x);
    if (n == -0.5) return g_unary(g, "rsqrt", x);
    if (n == -1) return g_unary(g, "reciprocal", x);
    if (n >= 1 && n <= 64 && n == floor(n)) return whole_power(g, x, (int64_t)n);
    return g_unary(g, "exp", g_affine(g, g_unary(g, "log", x), n, 0));
}

/* A power that is not whole is exp(n log x): its base must be positive. */
static void op_pow(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                   int32_t outs)
{
    (void)ins, (void)outs;
    rob_value b = aligned(m, &in[0], &in[1]);
    if (o_known(&in[0]) && o_known(&b))
        out[0] = o_each(m, n_pow, in[0].dtype, &in[0], &b);
    else if (o_known(&b) && b.size == 1 && b.rank <= in[0].rank) {
        rob_id x = o_id(m, &in[0]);
        if (!o_failed(m)) out[0] = o_like(m, power(m->g, x, o_at(&b, 0)), &in[0]);
    } else {
        rob_value log = o_apply(m, "log", &in[0]), y = o_mul(m, &log, &b);
        out[0] = o_apply(m, "exp", &y);
    }
}

/* ---- the others ------------------------------------------------------------------ */

/* A limit beyond which single precision has no numbers is none. */
static bool is_limit(double x) { return fabs(x) < FLT_MAX; }

static rob_id at_least(rob_graph *g, rob_id x, double c)
{
    if (c == 0) return g_unary(g, "relu", x);
    return g_max(g, x, rob_priv_fill(g, rob_priv_shape(g, x), c));
}

static rob_id at_most(rob_graph *g, rob_id x, double c)
{
    return g_neg(g, at_least(g, g_neg(g, x), -c));
}

static rob_value limited(rob_machine *m, const rob_value *x, const rob_value *limit,
                         double otherwise, bool above)
{
    rob_id id = o_id(m, x);
    if (o_failed(m)) return o_none();
    if (limit->there && !o_known(limit))
        return o_both(m, above ? o_smaller : o_larger, x, limit);
    double c = limit->there && limit->size > 0 ? o_at(limit, 0) : otherwise;
    if (!is_limit(c)) return *x;
    return o_like(m, above ? at_most(m->g, id, c) : at_least(m->g, id, c), x);
}

static void op_clip(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)ins, (void)outs;
    if (o_whole(&in[0]) && o_known(&in[0])) {
        rob_value y = in[0];
        if (in[1].there) y = o_each(m, n_max, y.dtype, &y, &in[1]);
        if (in[2].there) y = o_each(m, n_min, y.dtype, &y, &in[2]);
        out[0] = y;
        return;
    }
    rob_value y = limited(m, &in[0], &in[1], o_float(m, "min", -INFINITY), false);
    out[0] = limited(m, &y, &in[2], o_float(m, "max", INFINITY), true);
}

static double to_whole(double x, double y)
{
    (void)y;
    return isnan(x) ? 0 : trunc(x);
}
static double to_float(double x, double y) { return (void)y, (double)(float)x; }
static double to_double(double x, double y) { return (void)y, x; }
static double to_bool(double x, double y) { return (void)y, x != 0; }

static void cast(rob_machine *m, const rob_value *in, int64_t to, rob_value *out)
{
    rob_value y = { .dtype = (int32_t)to };
    bool whole = o_whole(&y);
    if (to == 8 || to < 1 || to > 16) {
        o_fail(m, ROB_EUNSUPPORTED, "a cast to element type %lld", (long long)to);
    } else if (o_known(in)) {
        *out = o_each(m, to == ROB_ONNX_BOOL    ? to_bool
                         : whole                ? to_whole
                         : to == ROB_ONNX_FLOAT ? to_float
                                                : to_double,
                      y.dtype, in, in);
    } else if (whole && !(to == ROB_ONNX_BOOL && in->dtype == ROB_ONNX_BOOL)) {
        o_fail(m, ROB_EUNSUPPORTED,
               "to whole numbers, of a value that depends on the model's input");
    } else {
        *out = *in;
        out->dtype = y.dtype;
    }
}

static void op_cast(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)ins, (void)outs;
    cast(m, &in[0], o_int(m, "to", 0), &out[0]);
}

static void op_cast_like(rob_machine *m, const rob_value *in, int32_t ins,
                         rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    cast(m, &in[0], in[1].dtype, &out[0]);
}

static void op_where(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins, (void)outs;
    int64_t dim[ROB_ONNX_RANK];
    rob_value shape = in[1];
    int32_t rank;
    if (!o_broadcast(m, &in[1], &in[2], &shape.rank, shape.dim)) return;
    if (!o_broadcast(m, &in[0], &shape, &rank, dim)) return;
    rob_value c = o_expand(m, &in[0], rank, dim), a = o_expand(m, &in[1], rank, dim);
    rob_value b = o_expand(m, &in[2], rank, dim);
    rob_id id[3] = { o_id(m, &c), o_id(m, &a), o_id(m, &b) };
    if (!o_failed(m)) out[0] = o_like(m, g_where(m->g, id[0], id[1], id[2]), &a);
}

/* Identity, and a mask of ones. */
static void op_dropout(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                       int32_t outs)
{
    (void)ins;
    if (in[2].there && (!o_known(&in[2]) || in[2].size != 1 || o_at(&in[2], 0) != 0)) {
        o_fail(m, ROB_EUNSUPPORTED, "training_mode");
        return;
    }
    out[0] = in[0];
    if (outs > 1) out[1] = o_fill(m, ROB_ONNX_BOOL, in[0].rank, in[0].dim, 1);
}

const rob_onnx_entry rob_priv_onnx_each[] = {
    { "Identity", 1, 1, op_unary },
    { "Add", 2, 2, op_binary },
    { "Sub", 2, 2, op_binary },
    { "Mul", 2, 2, op_binary },
    { "Div", 2, 2, op_binary },
    { "Pow", 2, 2, op_pow },
    { "Max", 1, ROB_ONNX_EDGES, op_many },
    { "Min", 1, ROB_ONNX_EDGES, op_many },
    { "Sum", 1, ROB_ONNX_EDGES, op_many },
    { "Mean", 1, ROB_ONNX_EDGES, op_many },
    { "Mod", 2, 2, op_binary },
    { "Equal", 2, 2, op_binary },
    { "Greater", 2, 2, op_binary },
    { "Less", 2, 2, op_binary },
    { "GreaterOrEqual", 2, 2, op_binary },
    { "LessOrEqual", 2, 2, op_binary },
    { "And", 2, 2, op_binary },
    { "Or", 2, 2, op_binary },
    { "Xor", 2, 2, op_binary },
    { "Not", 1, 1, op_not },
    { "Where", 3, 3, op_where },
    { "Neg", 1, 1, op_unary },
    { "Abs", 1, 1, op_unary },
    { "Sign", 1, 1, op_unary },
    { "Exp", 1, 1, op_unary },
    { "Log", 1, 1, op_unary },
    { "Sqrt", 1, 1, op_unary },
    { "Reciprocal", 1, 1, op_unary },
    { "Erf", 1, 1, op_unary },
    { "Floor", 1, 1, op_number },
    { "Ceil", 1, 1, op_number },
    { "Round", 1, 1, op_number },
    { "Sin", 1, 1, op_number },
    { "Cos", 1, 1, op_number },
    { "Tan", 1, 1, op_number },
    { "Atan", 1, 1, op_number },
    { "IsNaN", 1, 1, op_number },
    { "Relu", 1, 1, op_activation },
    { "Tanh", 1, 1, op_activation },
    { "Sigmoid", 1, 1, op_activation },
    { "LeakyRelu", 1, 1, op_activation },
    { "ThresholdedRelu", 1, 1, op_activation },
    { "HardSigmoid", 1, 1, op_activation },
    { "HardSwish", 1, 1, op_activation },
    { "Elu", 1, 1, op_activation },
    { "Selu", 1, 1, op_activation },
    { "Celu", 1, 1, op_activation },
    { "Softsign", 1, 1, op_activation },
    { "Softplus", 1, 1, op_activation },
    { "Swish", 1, 1, op_activation },
    { "Mish", 1, 1, op_activation },
    { "Gelu", 1, 1, op_gelu },
    { "PRelu", 2, 2, op_prelu },
    { "Clip", 1, 3, op_clip },
    { "Cast", 1, 1, op_cast },
    { "CastLike", 2, 2, op_cast_like },
    { "Dropout", 1, 3, op_dropout },
    { NULL, 0, 0, NULL },
};
