/* single_attention.c -- attention evaluated in float32 against what was proved of it.
 *
 * One head, layer norm and gelu: Q = x Wq, K = x Wk, V = x Wv, P = softmax(c Q K'), z = x Wv' + P V,
 * y = gelu(rmsnorm(centre(z))) W, and the log-sum-exp of y's last row. Evaluated in float32 in many ways:
 * order of every sum, fused or not, scores scaled before or after, division by the sum or
 * product with its reciprocal, gelu's parts either way. A climb over points of the ball and ways
 * looks for the evaluation furthest off; none leaves what is proved, and with a hundredth of the
 * errors left, found evaluations do.
 */
#include "bound/single.h"
#include "check/precise.h"

#include <check.h>
#include "check/harness.h"

enum { T = 4, F = 3, W = 6, NUMBERS = T * F, OUT = W, WAYS = 24, CLIMB = 160 };

typedef struct stage {
    rob_ctx *ctx;
    rob_graph *g;
    rob_network *net;
    rob_id x, y;
    double wq[F * W], wk[F * W], wv[F * W], wr[F * W], wy[W * W], c, eps;
    bool tanh, tail;              /* gelu by tanh; the output is one log-sum-exp */
} stage;

static rob_id constant(rob_graph *g, double *w, int64_t rows, int64_t cols, double size,
                       uint64_t stream)
{
    rob_tensor *t;
    rob_random r = rob_priv_random(5, stream);
    if (rob_priv_tensor_create(rob_priv_graph_memory(g), ROB_F64, rob_priv_shape2(rows, cols), &t)
        != ROB_OK)
        return rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory");
    for (int64_t i = 0; i < rows * cols; i++)
        ((double *)t->data)[i] = w[i] = (double)(float)(size * rob_priv_normal(&r));
    rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

static stage stage_open(uint64_t seed, double size, bool tanh, bool tail)
{
    stage s = { .c = 0.25, .eps = 0x1p-10, .tanh = tanh, .tail = tail };
    ck_assert_int_eq(rob_ctx_create(&s.ctx), ROB_OK);
    ck_assert_int_eq(rob_priv_graph_create(s.ctx, &s.g), ROB_OK);
    rob_graph *g = s.g;
    s.x = rob_priv_input(g, rob_priv_shape3(T, 1, F));
    rob_id u = g_reshape(g, s.x, rob_priv_shape2(T, F));
    rob_id q = g_matmul(g, u, constant(g, s.wq, F, W, size, 10 * seed), 0, 0);
    rob_id k = g_matmul(g, u, constant(g, s.wk, F, W, size, 10 * seed + 1), 0, 0);
    rob_id v = g_matmul(g, u, constant(g, s.wv, F, W, 1, 10 * seed + 2), 0, 0);
    rob_id r = g_matmul(g, u, constant(g, s.wr, F, W, 1, 10 * seed + 3), 0, 0);
    rob_id p = g_softmax(g, g_affine(g, g_matmul(g, q, k, 0, 1), s.c, 0));
    rob_id z = g_rmsnorm(g, g_centre(g, g_add(g, r, g_matmul(g, p, v, 0, 0))), s.eps);
    rob_id h = g_gelu(g, g_slice(g, z, 0, T - 1, 1), tanh);
    s.y = g_matmul(g, h, constant(g, s.wy, W, W, 1, 10 * seed + 4), 0, 0);
    if (tail) s.y = g_logsumexp(g, s.y);
    ck_assert_msg(rob_priv_graph_status(s.ctx, g) == ROB_OK, "%s", rob_ctx_error(s.ctx));
    ck_assert_msg(rob_priv_network_create(s.ctx, g, s.x, s.y, &s.net) == ROB_OK, "%s",
                  rob_ctx_error(s.ctx));
    return s;
}

static void stage_close(stage *s)
{
    rob_priv_network_free(s->net);
    rob_ctx_free(s->ctx);
}

/* ---- float32, in many ways ------------------------------------------------------- */

/* sum of a[i sa] b[i sb], or of a alone; way: backwards, fused, pairs */
static float sum_of(int way, int64_t n, const float *a, int64_t sa, const float *b, int64_t sb)
{
    float sum = 0, two[2] = { 0, 0 };
    for (int64_t i = 0; i < n; i++) {
        int64_t j = way % 2 ? n - 1 - i : i;
        float x = a[j * sa], y = b != NULL ? b[j * sb] : 1;
        if (way / 2 % 3 == 1) sum = fmaf(x, y, sum);
        else if (way / 2 % 3 == 2) two[i % 2] += x * y;
        else sum += x * y;
    }
    return sum + (two[0] + two[1]);
}

static void product(int way, const float *x, const double *w, int64_t n, int64_t k, float *to)
{
    float f[W * W];
    for (int64_t i = 0; i < k * n; i++) f[i] = (float)w[i];
    for (int64_t j = 0; j < n; j++) to[j] = sum_of(way, k, x, 1, f + j, n);
}

/* exp, erf, tanh, log to a unit in the last place, either side as the way says */
static float bent(int way, double v)
{
    float y = (float)v;
    return way / 12 ? nextafterf(y, INFINITY) : y;
}

static float gelu32(const stage *s, int way, float x)
{
    if (!s->tanh) return 0.5f * x * (1 + bent(way, erf((double)(x * 0.70710678118654752f))));
    float inner = 0.79788456080286536f * (x + 0.044715f * x * x * x);
    return 0.5f * x * (1 + bent(way, tanh((double)inner)));
}

static void attend(const stage *s, int way, float q[W], float (*k)[W], float (*v)[W], float *to)
{
    float score[T], most = -INFINITY;
    for (int t = 0; t < T; t++) {
        float scaled[W];
        for (int j = 0; j < W; j++) scaled[j] = (float)s->c * q[j];
        score[t] = way / 6 % 2 ? sum_of(way, W, scaled, 1, k[t], 1)
                               : (float)s->c * sum_of(way, W, q, 1, k[t], 1);
        most = fmaxf(most, score[t]);
    }
    for (int t = 0; t < T; t++) score[t] = bent(way, exp((double)(score[t] - most)));
    float all = sum_of(way, T, score, 1, NULL, 0), inverse = 1 / all;
    for (int t = 0; t < T; t++) score[t] = way % 2 ? score[t] / all : score[t] * inverse;
    for (int j = 0; j < W; j++) to[j] = sum_of(way, T, score, 1, &v[0][j], W);
}

static void normalize(const stage *s, int way, float *z)
{
    float mean = sum_of(way, W, z, 1, NULL, 0) / (float)W;
    for (int j = 0; j < W; j++) z[j] -= mean;
    float v = sum_of(way, W, z, 1, z, 1) / (float)W + (float)s->eps, root = sqrtf(v);
    for (int j = 0; j < W; j++) z[j] = way % 3 ? z[j] / root : z[j] * (1 / root);
}

static void evaluate(const stage *s, int way, const double *x, float *y)
{
    float u[T][F], q[W], k[T][W], v[T][W], z[W], o[W], h[W];
    for (int t = 0; t < T; t++) {
        for (int j = 0; j < F; j++) u[t][j] = (float)x[t * F + j];
        product(way, u[t], s->wk, W, F, k[t]);
        product(way, u[t], s->wv, W, F, v[t]);
    }
    product(way, u[T - 1], s->wq, W, F, q);
    product(way, u[T - 1], s->wr, W, F, z);
    attend(s, way, q, k, v, o);
    for (int j = 0; j < W; j++) z[j] += o[j];
    normalize(s, way, z);
    for (int j = 0; j < W; j++) h[j] = gelu32(s, way, z[j]);
    product(way, h, s->wy, W, W, y);
    if (!s->tail) return;
    float most = -INFINITY, e[W];
    for (int j = 0; j < W; j++) most = fmaxf(most, y[j]);
    for (int j = 0; j < W; j++) e[j] = bent(way, exp((double)(y[j] - most)));
    y[0] = most + bent(way, log((double)sum_of(way, W, e, 1, NULL, 0)));
}

/* ---- what is proved -------------------------------------------------------------- */

/* Lower bounds of +y_k and -y_k on the Linf ball */
static void prove(stage *s, const double *x, double eps, double left, double *row)
{
    const int64_t outputs = s->tail ? 1 : OUT, rows = 2 * outputs;
    double c[2 * OUT * OUT] = { 0 }, b[2 * OUT] = { 0 };
    int32_t group[2 * OUT];
    rob_proof proof[2 * OUT];
    rob_outcome out;
    rob_work *w;
    for (int32_t k = 0; k < rows; k++) {
        c[k * outputs + k / 2] = k % 2 ? -1 : 1;
        group[k] = k;
    }
    rob_demand d = { rows, rows, outputs, c, b, group };
    rob_ball ball = { .x = x, .norm = ROB_NORM_LINF, .eps = eps };
    rob_fp_state fp = rob_priv_fp_enter();
    ck_assert_int_eq(rob_priv_work_open(s->net, &w), ROB_OK);
    if (left > 0) ck_assert_int_eq(rob_priv_single_open(w, 2, left), ROB_OK);
    ck_assert_int_eq(rob_priv_bound_ball(w, &ball, &d, true, proof, &out), ROB_OK);
    rob_priv_work_close(w);
    rob_priv_fp_leave(fp);
    for (int64_t k = 0; k < rows; k++) row[k] = proof[k].value;
}

/* The least of row k over ways at x. */
static double least_at(const stage *s, const double *x, int k, int *way)
{
    double least = INFINITY;
    for (int i = 0; i < WAYS; i++) {
        float y[OUT];
        evaluate(s, i, x, y);
        double v = k % 2 ? -(double)y[k / 2] : (double)y[k / 2];
        if (v < least) least = v, *way = i;
    }
    return least;
}

/* A climb from a corner of the ball to where row k, as evaluated, is least. */
static double attack(const stage *s, const double *x, double eps, int k, rob_random *r)
{
    double p[NUMBERS], least;
    int way;
    for (int i = 0; i < NUMBERS; i++)
        p[i] = x[i] + eps * (1 - 0x1p-40) * (rob_priv_uniform(r) < 0.5 ? -1 : 1);
    least = least_at(s, p, k, &way);
    for (int t = 0; t < CLIMB; t++) {
        int64_t i = rob_priv_below(r, NUMBERS);
        double old = p[i], u = t % 2 ? 2 * rob_priv_uniform(r) - 1 : rob_priv_uniform(r) < 0.5 ? -1 : 1;
        p[i] = x[i] + eps * (1 - 0x1p-40) * u;
        double now = least_at(s, p, k, &way);
        if (now <= least) least = now;
        else p[i] = old;
    }
    return least;
}

static void centre_of(uint64_t seed, double *x)
{
    rob_random r = rob_priv_random(seed, 77);
    for (int i = 0; i < NUMBERS; i++) x[i] = rob_priv_normal(&r);
}

static int rows_left(stage *s, const double *x, double eps, double left, rob_random *r)
{
    double row[2 * OUT];
    int out = 0;
    prove(s, x, eps, left, row);
    for (int k = 0; k < (s->tail ? 2 : 2 * OUT); k++) out += !(attack(s, x, eps, k, r) >= row[k]);
    return out;
}

START_TEST(no_evaluation_found_leaves_what_is_proved)
{
    static const double radii[] = { 0, 1e-7, 1e-5, 1e-3, 0.05 }, sizes[] = { 0.5, 1, 3 };
    rob_random r = rob_priv_random(3, (uint64_t)_i);
    for (uint64_t seed = 0; seed < 3; seed++)
        for (int e = 0; e < 5; e++) {
            double x[NUMBERS];
            stage s = stage_open(seed, sizes[(seed + (uint64_t)e) % 3], _i % 2, _i / 2);
            centre_of(seed, x);
            int bad = rows_left(&s, x, radii[e], 1, &r);
            ck_assert_msg(bad == 0, "%d rows at seed %d radius %g", bad, (int)seed, radii[e]);
            stage_close(&s);
        }
}
END_TEST

START_TEST(errors_left_out_are_found)
{
    rob_random r = rob_priv_random(4, (uint64_t)_i);
    int found = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        double x[NUMBERS];
        stage s = stage_open(seed, 1, _i % 2, _i / 2);
        centre_of(seed, x);
        found += rows_left(&s, x, 0, 0.01, &r);
        stage_close(&s);
    }
    ck_assert_int_gt(found, 0);
}
END_TEST

/* Something is proved, not much less than of real numbers: some thousand units of values
 * of the size of ten. */
START_TEST(the_bound_says_something)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        double x[NUMBERS], single[2 * OUT], real[2 * OUT];
        stage s = stage_open(seed, 0.5, _i % 2, _i / 2);
        centre_of(seed, x);
        prove(&s, x, 0, 1, single);
        prove(&s, x, 0, 0, real);
        for (int k = 0; k < (s.tail ? 2 : 2 * OUT); k++)
            ck_assert_msg(single[k] <= real[k] && real[k] - single[k] < 5e-3, "%g, %g",
                          real[k], single[k]);
        stage_close(&s);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("single_attention");
    TCase *t = tcase_create("attention");
    tcase_add_loop_test(t, no_evaluation_found_leaves_what_is_proved, 0, 4);
    tcase_add_loop_test(t, errors_left_out_are_found, 0, 4);
    tcase_add_loop_test(t, the_bound_says_something, 0, 4);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
