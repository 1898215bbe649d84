/* onnx_bent.c -- activations that an ONNX file's reader writes as sums of few operators:
 * what is proved of a net with each holds at drawn, cornered and attacked points, at radii
 * from tiny to one that saturates everything, and near the kinks.
 *
 * The net: x (b, 4, 2) -> 3 x -> activation -> (b, 8) W -> (b, 3), W of size one. In float64
 * a margin sums some 50 terms of size up to 3000 (at the largest radius), so it errs by less
 * than 50 * 3000 * 2^-52 = 4e-11; allowed is 1e-9 there, in proportion below.
 */
#include "check/harness.h"

#include "model/onnx.h"

#include <math.h>
#include <robust.h>

enum { T = 4, D = 2, SIZE = T * D, L = 3, SERIES = 3 };

static rob_ctx *ctx;
static rob_model *model;
static rob_query *query;
static double x[SERIES][SIZE];

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))


typedef struct bent bent;
struct bent {
    const char *op;
    double alpha, beta, low, high; /* NAN: left out; ends of Clip */
    double (*value)(double v, const bent *a);
};

static double relu(double v) { return v > 0 ? v : 0; }
static double clip01(double v) { return fmin(fmax(v, 0), 1); }
static double softplus(double v) { return relu(v) + log1p(exp(-fabs(v))); }
static double leaky(double v, const bent *a) { return v < 0 ? a->alpha * v : v; }
static double threshold(double v, const bent *a) { return v > a->alpha ? v : 0; }
static double elu(double v, const bent *a)
{
    return v < 0 ? a->alpha * expm1(v) : v;
}
static double selu(double v, const bent *a)
{
    return a->beta * (v < 0 ? a->alpha * expm1(v) : v);
}
static double celu(double v, const bent *a)
{
    return v < 0 ? a->alpha * expm1(v / a->alpha) : v;
}
static double hard(double v, const bent *a)
{
    return clip01(a->alpha * v + a->beta);
}
static double hard_swish(double v, const bent *a)
{
    (void)a;
    return v * clip01(v / 6 + 0.5);
}
static double softsign(double v, const bent *a)
{
    (void)a;
    return v / (1 + fabs(v));
}
static double soft(double v, const bent *a)
{
    (void)a;
    return softplus(v);
}
static double swish(double v, const bent *a) { return v / (1 + exp(-a->alpha * v)); }
static double mish(double v, const bent *a)
{
    (void)a;
    return v * tanh(softplus(v));
}
static double clipped(double v, const bent *a)
{
    return fmin(fmax(v, a->low), a->high);
}
static double error_function(double v, const bent *a)
{
    (void)a;
    return erf(v);
}
static double plus(double v, const bent *a)
{
    (void)a;
    return relu(v);
}

static const bent BENT[] = {
    { "Relu", NAN, NAN, 0, 0, plus },
    { "LeakyRelu", 0.125, NAN, 0, 0, leaky },
    { "PRelu", 0.25, NAN, 0, 0, leaky },
    { "LeakyRelu", -0.5, NAN, 0, 0, leaky },
    { "ThresholdedRelu", 0.75, NAN, 0, 0, threshold },
    { "Elu", 0.5, NAN, 0, 0, elu },
    { "Selu", 1.5, 1.25, 0, 0, selu },
    { "Celu", 2, NAN, 0, 0, celu },
    { "HardSigmoid", 0.25, 0.5, 0, 0, hard },
    { "HardSwish", NAN, NAN, 0, 0, hard_swish },
    { "Softsign", NAN, NAN, 0, 0, softsign },
    { "Softplus", NAN, NAN, 0, 0, soft },
    { "Swish", 1.5, NAN, 0, 0, swish },
    { "Mish", NAN, NAN, 0, 0, mish },
    { "Clip", NAN, NAN, -0.75, 1.5, clipped },
    { "Erf", NAN, NAN, 0, 0, error_function },
};

/* ---- the file -------------------------------------------------------------------- */

static double weight(int64_t i, int64_t k) { return sin(2.3 * (double)(i * L + k) + 0.4); }

static void put_slot(rob_text *graph, uint64_t field, const char *name, int rank,
                     const int64_t *dim)
{
    const rob_memory *m = &ctx->memory;
    rob_text slot = { 0 }, type = { 0 }, tensor = { 0 }, shape = { 0 };
    for (int k = 0; k < rank; k++) {
        rob_text d = { 0 };
        if (dim[k] < 0) rob_priv_wire_put_text(m, &d, 2, "open");
        else rob_priv_wire_put_word(m, &d, 1, (uint64_t)dim[k]);
        rob_priv_wire_put_message(m, &shape, 1, &d);
    }
    rob_priv_wire_put_word(m, &tensor, 1, ROB_ONNX_DOUBLE);
    rob_priv_wire_put_message(m, &tensor, 2, &shape);
    rob_priv_wire_put_message(m, &type, 1, &tensor);
    rob_priv_wire_put_text(m, &slot, 1, name);
    rob_priv_wire_put_message(m, &slot, 2, &type);
    rob_priv_wire_put_message(m, graph, field, &slot);
}

static void put_number(rob_text *node, const char *name, double value)
{
    rob_text a = { 0 };
    if (isnan(value)) return;
    rob_priv_wire_put_text(&ctx->memory, &a, 1, name);
    rob_priv_wire_put_float(&ctx->memory, &a, 2, (float)value);
    rob_priv_wire_put_word(&ctx->memory, &a, 20, ROB_ONNX_ATTR_FLOAT);
    rob_priv_wire_put_message(&ctx->memory, node, 5, &a);
}

static void put_node(rob_text *graph, const char *op, const char *const *in, int ins,
                     const char *out, const bent *a)
{
    const rob_memory *m = &ctx->memory;
    rob_text node = { 0 };
    for (int k = 0; k < ins; k++) rob_priv_wire_put_text(m, &node, 1, in[k]);
    rob_priv_wire_put_text(m, &node, 2, out);
    rob_priv_wire_put_text(m, &node, 4, op);
    if (a != NULL && strcmp(op, "PRelu") != 0) put_number(&node, "alpha", a->alpha);
    if (a != NULL && strcmp(op, "Selu") == 0) put_number(&node, "gamma", a->beta);
    else if (a != NULL) put_number(&node, "beta", a->beta);
    rob_priv_wire_put_message(m, graph, 1, &node);
}

static void open_net(const bent *a)
{
    const rob_memory *m = &ctx->memory;
    rob_text file = { 0 }, graph = { 0 }, imports = { 0 };
    double w[SIZE * L];
    const double three = 3, flat[2] = { 0, -1 };
    for (int64_t i = 0; i < SIZE * L; i++) w[i] = weight(i / L, i % L);
    put_slot(&graph, 11, "x", 3, (int64_t[]){ -1, T, D });
    put_slot(&graph, 12, "y", 0, NULL);
    rob_priv_wire_put_tensor(m, &graph, 5, "three", ROB_ONNX_DOUBLE, 0, NULL, &three);
    rob_priv_wire_put_tensor(m, &graph, 5, "w", ROB_ONNX_DOUBLE, 2,
                             (int64_t[]){ SIZE, L }, w);
    rob_priv_wire_put_tensor(m, &graph, 5, "flat", ROB_ONNX_INT64, 1, (int64_t[]){ 2 },
                             flat);
    rob_priv_wire_put_tensor(m, &graph, 5, "low", ROB_ONNX_DOUBLE, 0, NULL, &a->low);
    rob_priv_wire_put_tensor(m, &graph, 5, "high", ROB_ONNX_DOUBLE, 0, NULL, &a->high);
    if (!isnan(a->alpha))
        rob_priv_wire_put_tensor(m, &graph, 5, "slope", ROB_ONNX_DOUBLE, 0, NULL,
                                 &a->alpha);
    put_node(&graph, "Mul", (const char *[]){ "x", "three" }, 2, "z", NULL);
    int ins = strcmp(a->op, "Clip") == 0 ? 3 : strcmp(a->op, "PRelu") == 0 ? 2 : 1;
    put_node(&graph, a->op,
             ins == 2 ? (const char *[]){ "z", "slope", "" }
                      : (const char *[]){ "z", "low", "high" },
             ins, "h", a);
    put_node(&graph, "Reshape", (const char *[]){ "h", "flat" }, 2, "f", NULL);
    put_node(&graph, "MatMul", (const char *[]){ "f", "w" }, 2, "y", NULL);
    rob_priv_wire_put_word(m, &file, 1, 10);
    rob_priv_wire_put_word(m, &imports, 2, 24);
    rob_priv_wire_put_message(m, &file, 8, &imports);
    rob_priv_wire_put_message(m, &file, 7, &graph);
    GOOD(rob_model_load_bytes(ctx, file.at, file.count, "onnx layout=btd", &model));
    rob_priv_release(m, file.at);
}

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = NULL;
    query = NULL;
    for (int i = 0; i < SERIES; i++)
        for (int k = 0; k < SIZE; k++) x[i][k] = cos(1.9 * (double)(i * SIZE + k));
    x[0][0] = 0.25, x[0][1] = 0; /* at the kinks of ThresholdedRelu, and of the others */
}

static void stop(void)
{
    rob_query_free(query);
    rob_model_free(model);
    rob_ctx_free(ctx);
}

/* ---- values ---------------------------------------------------------------------- */

/* to 1e-6: alpha and beta are float32 in the file, here numbers that float32 holds */
START_TEST(values_are_the_definitions)
{
    double y[L];
    open_net(&BENT[_i]);
    for (int i = 0; i < SERIES; i++)
        for (int e = 0; e < 3; e++) {
            const double size = e == 0 ? 1 : e == 1 ? 8 : 1e-3;
            double p[SIZE], want[L] = { 0 };
            for (int k = 0; k < SIZE; k++) {
                p[k] = size * x[i][k];
                for (int j = 0; j < L; j++)
                    want[j] += weight(k, j) * BENT[_i].value(3 * p[k], &BENT[_i]);
            }
            GOOD(rob_model_predict(ctx, model, p, T, y, L));
            for (int j = 0; j < L; j++)
                ck_assert_double_eq_tol(y[j], want[j], 1e-12 * (1 + 8 * size));
        }
}
END_TEST

/* ---- containment ----------------------------------------------------------------- */

static double margin_at(int64_t i, const double *p)
{
    double y[L], right, least = INFINITY;
    GOOD(rob_query_get(ctx, query, "prediction", i, &right, 1, NULL));
    GOOD(rob_model_predict(ctx, model, p, T, y, L));
    for (int64_t k = 0; k < L; k++)
        if (k != (int64_t)right) least = fmin(least, y[(int64_t)right] - y[k]);
    return least;
}

/* Every number adds its own term to a margin, so the least one of a box is the sum of the
 * least terms, each looked for on 201 points of its interval. */
static double least_by_terms(const bent *a, int64_t i, double radius)
{
    double right, least = INFINITY;
    GOOD(rob_query_get(ctx, query, "prediction", i, &right, 1, NULL));
    for (int64_t k = 0; k < L; k++) {
        double sum = 0;
        for (int64_t j = 0; j < SIZE && k != (int64_t)right; j++) {
            double c = weight(j, (int64_t)right) - weight(j, k), term = INFINITY;
            for (int m = -100; m <= 100; m++) {
                double p = x[i][j] + radius * (1 - 0x1p-40) * m / 100;
                term = fmin(term, c * a->value(3 * p, a));
            }
            sum += term;
        }
        if (k != (int64_t)right) least = fmin(least, sum);
    }
    return least;
}

/* the least margin seen in the ball: term by term, drawn points, corners, points on a face,
 * the attack's */
static void least_seen(const bent *net, rob_attack *a, double radius, double *seen)
{
    double p[SIZE];
    rob_random r = rob_priv_random(9, (uint64_t)(radius * 1e6));
    GOOD(rob_attack_margin(ctx, a, query, seen, SERIES));
    for (int i = 0; i < SERIES; i++) {
        GOOD(rob_attack_get(ctx, a, "point", i, p, SIZE, NULL));
        seen[i] = fmin(margin_at(i, p), least_by_terms(net, i, radius));
        for (int k = 0; k < 120; k++) {
            for (int j = 0; j < SIZE; j++) {
                double u = 2 * rob_priv_uniform(&r) - 1;
                double side = u < 0 ? -1 : 1;
                p[j] = x[i][j] + radius * (1 - 0x1p-40) * (k % 3 == 0 ? u : side);
                if (k % 3 == 2 && j == k % SIZE) p[j] = x[i][j] + radius * u;
            }
            seen[i] = fmin(seen[i], margin_at(i, p));
        }
    }
}

START_TEST(what_is_proved_holds)
{
    static const double radius[] = { 1e-7, 0.01, 0.1, 0.25, 0.5, 1, 3, 300 };
    static const char *const proofs[] = { "interval", "zonotope", "crown", "alpha" };
    double lower[SERIES], seen[SERIES];
    rob_attack *a;
    open_net(&BENT[_i]);
    GOOD(rob_query_create(ctx, model, &query));
    for (int i = 0; i < SERIES; i++) GOOD(rob_query_add(ctx, query, x[i], T, -1));
    GOOD(rob_attack_create(ctx, "pgd", &a));
    for (int64_t e = 0; e < COUNT_OF(radius); e++) {
        GOOD(rob_query_set_ball(ctx, query, ROB_NORM_LINF, radius[e]));
        least_seen(&BENT[_i], a, radius[e], seen);
        for (int64_t m = 0; m < COUNT_OF(proofs); m++) {
            rob_bound *b;
            GOOD(rob_bound_create(ctx, proofs[m], &b));
            GOOD(rob_bound_margin(ctx, b, query, lower, SERIES));
            rob_bound_free(b);
            for (int i = 0; i < SERIES; i++)
                ck_assert_msg(lower[i] <= seen[i] + 3e-12 * (1 + radius[e]),
                              "%s %s radius %g: proved %.17g, seen %.17g", BENT[_i].op,
                              proofs[m], radius[e], lower[i], seen[i]);
            /* where nothing bends much the proof comes near, so that it can be wrong;
             * series 0 stands on a jump of ThresholdedRelu */
            for (int i = e == 0 && m > 0 ? 1 : SERIES; i < SERIES; i++)
                ck_assert_msg(lower[i] >= seen[i] - 1e-3, "%s %s: %g of %g", BENT[_i].op,
                              proofs[m], lower[i], seen[i]);
        }
    }
    rob_attack_free(a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("onnx_bent");
    TCase *c = tcase_create("onnx_bent");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, values_are_the_definitions, 0, (int)COUNT_OF(BENT));
    tcase_add_loop_test(c, what_is_proved_holds, 0, (int)COUNT_OF(BENT));
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
