/* single.c -- float32 evaluations against what was proved of them.
 *
 * Networks are run in float32 by the library and by loops that sum forwards, backwards
 * and pairwise, fuse or not, add biases first or last. Their outputs never leave what is
 * proved with the option float32 on; with a thousandth of the errors left they do. On balls
 * of radius 0 what is proved lies within 300 times the largest difference of two ways:
 * the bound says something.
 */
#include "bound/solve.h"
#include "check/multiple.h"

#include <check.h>
#include "check/harness.h"
#include "check/poor.h"

enum { KIND_COUNT = 4, D = 2, L = 3, WAYS = 12, MOST_H = 16 };
static const int32_t KINDS[] = { ROB_KIND_RNN_TANH, ROB_KIND_RNN_RELU, ROB_KIND_LSTM,
                                 ROB_KIND_GRU };

/* ---- float32 in many ways -------------------------------------------------------- */

static float pairwise(const float *v, int64_t n)
{
    if (n == 1) return v[0];
    return pairwise(v, n / 2) + pairwise(v + n / 2, n - n / 2);
}

/* w.x + first + second; way: order (3), fused (2), biases first (2) */
static float row_of(int way, const float *w, const float *x, int64_t n, float first,
                    float second)
{
    const int order = way % 3;
    const bool fused = way / 3 % 2, early = way / 6;
    float term[MOST_H + 2], sum = early ? first + second : 0;
    for (int64_t j = 0; order == 2 && j < n; j++) term[j] = w[j] * x[j];
    if (order == 2) sum += pairwise(term, n);
    for (int64_t k = 0; order < 2 && k < n; k++) {
        int64_t j = order == 0 ? k : n - 1 - k;
        float product = w[j] * x[j];
        sum = fused ? fmaf(w[j], x[j], sum) : sum + product;
    }
    return early ? sum : sum + first + second;
}

static float sigmoid(float x) { return (float)(1 / (1 + exp(-(double)x))); }
static float tanh_of(float x) { return (float)tanh((double)x); }

static void step(const rob_model *m, int32_t layer, int way, const float *u, int64_t width,
                 float *h, float *c)
{
    const rob_parameter *p = &m->parameter[4 * layer];
    const int64_t H = m->recipe.hidden, kind = m->recipe.kind;
    const int64_t G = kind == ROB_KIND_LSTM ? 4 : kind == ROB_KIND_GRU ? 3 : 1;
    const float *wi = p[0].tensor->data, *wh = p[1].tensor->data, *bi = p[2].tensor->data,
                *bh = p[3].tensor->data;
    float z[4 * MOST_H], q[4 * MOST_H], next[MOST_H];
    for (int64_t j = 0; j < G * H; j++) {
        z[j] = row_of(way, wi + j * width, u, width, bi[j], G == 3 ? 0 : bh[j]);
        q[j] = row_of(way, wh + j * H, h, H, G == 3 ? bh[j] : 0, 0);
    }
    for (int64_t j = 0; j < H; j++) {
        float s = z[j] + q[j];
        next[j] = kind == ROB_KIND_RNN_TANH ? tanh_of(s) : s > 0 ? s : 0;
        if (G == 4) {
            c[j] = sigmoid(z[H + j] + q[H + j]) * c[j]
                   + sigmoid(s) * tanh_of(z[2 * H + j] + q[2 * H + j]);
            next[j] = sigmoid(z[3 * H + j] + q[3 * H + j]) * tanh_of(c[j]);
        }
        if (G != 3) continue;
        float n = tanh_of(z[2 * H + j] + sigmoid(s) * q[2 * H + j]);
        float g = sigmoid(z[H + j] + q[H + j]);
        next[j] = way % 2 ? n + g * (h[j] - n) : (1 - g) * n + g * h[j];
    }
    memcpy(h, next, (size_t)H * sizeof *h);
}

static void outputs_of(const rob_model *m, int way, const double *x, int64_t T, float *f)
{
    const int64_t H = m->recipe.hidden;
    float h[2][MOST_H] = { { 0 } }, c[2][MOST_H] = { { 0 } };
    for (int64_t t = 0; t < T; t++) {
        float u[D];
        for (int64_t j = 0; j < D; j++) u[j] = (float)x[t * D + j];
        for (int32_t k = 0; k < m->recipe.layers; k++)
            step(m, k, way, k == 0 ? u : h[k - 1], k == 0 ? D : H, h[k], c[k]);
    }
    const rob_parameter *head = &m->parameter[m->parameters - 2];
    const float *w = head[0].tensor->data, *b = head[1].tensor->data;
    for (int64_t k = 0; k < L; k++)
        f[k] = row_of(way, w + k * H, h[m->recipe.layers - 1], H, b[k], 0);
}

/* ---- a query whose rows are all outputs and their negatives ----------------------- */

typedef struct scene {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    int64_t T;
    double x[64], scale;
    double proved[2 * L], real[2 * L];
} scene;

static void fine(rob_ctx *ctx, rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static scene open_scene(int32_t kind, int32_t layers, int64_t T, int64_t H, double size,
                        uint64_t seed)
{
    scene s = { .T = T };
    double c[2 * L * L] = { 0 }, b[2 * L] = { 0 };
    int32_t group[2 * L];
    fine(s.ctx, rob_ctx_create(&s.ctx));
    s.model = random_model(s.ctx, kind, layers, ROB_READOUT_LAST, D, H, L, size, seed, false);
    rob_random r = rob_priv_random(seed, 9);
    for (int64_t i = 0; i < T * D; i++) s.x[i] = rob_priv_normal(&r);
    fine(s.ctx, rob_query_create(s.ctx, s.model, &s.query));
    fine(s.ctx, rob_query_add(s.ctx, s.query, s.x, T, -1));
    for (int k = 0; k < 2 * L; k++) {
        c[k * L + k / 2] = k % 2 ? -1 : 1;
        group[k] = k;
    }
    fine(s.ctx, rob_query_set_rows(s.ctx, s.query, c, b, group, 2 * L));
    return s;
}

static void close_scene(scene *s)
{
    rob_query_free(s->query);
    rob_model_free(s->model);
    rob_ctx_free(s->ctx);
}

static void rows_of(scene *s, const char *method, double eps, double float32, double fault,
                    double *rows)
{
    rob_bound *b;
    fine(s->ctx, rob_query_set_ball(s->ctx, s->query, ROB_NORM_LINF, eps));
    fine(s->ctx, rob_bound_create(s->ctx, method, &b));
    fine(s->ctx, rob_bound_set(s->ctx, b, "float32", float32));
    b->fault_single = fault;
    fine(s->ctx, rob_bound_margin(s->ctx, b, s->query, NULL, 0));
    fine(s->ctx, rob_bound_get(s->ctx, b, "rows", 0, rows, 2 * L, NULL));
    rob_bound_free(b);
}

static void prove(scene *s, const char *method, double eps, double fault)
{
    rows_of(s, method, eps, 2, fault, s->proved);
    rows_of(s, method, eps, 0, 0, s->real);
}

/* The library's own float32 outputs. */
static void own_outputs(scene *s, const double *x, double *f)
{
    rob_evaluator *e;
    const double *point[1] = { x };
    const int64_t steps[1] = { s->T };
    fine(s->ctx, rob_priv_query_evaluator(s->ctx, s->query, ROB_F32, false, &e));
    fine(s->ctx, rob_priv_evaluate(s->ctx, e, 1, point, steps, f));
}

static int64_t violations(const scene *s, const double *f)
{
    int64_t count = 0;
    for (int k = 0; k < L; k++)
        count += !(f[k] >= s->proved[2 * k]) + !(-f[k] >= s->proved[2 * k + 1]);
    return count;
}

/* All ways at one point; *deviation: the most that two of them differ by. */
static int64_t violations_at(scene *s, const double *x, double *deviation)
{
    double own[L], f[L], least[L], most[L];
    own_outputs(s, x, own);
    int64_t count = violations(s, own);
    memcpy(least, own, sizeof own);
    memcpy(most, own, sizeof own);
    for (int way = 0; way < WAYS; way++) {
        float g[L];
        outputs_of(s->model, way, x, s->T, g);
        for (int k = 0; k < L; k++) {
            f[k] = (double)g[k];
            least[k] = fmin(f[k], least[k]);
            most[k] = fmax(f[k], most[k]);
        }
        count += violations(s, f);
    }
    for (int k = 0; deviation != NULL && k < L; k++)
        *deviation = fmax(most[k] - least[k], *deviation);
    return count;
}

static const char *const METHODS[] = { "interval", "zonotope", "crown", "alpha" };

START_TEST(no_evaluation_leaves_what_is_proved)
{
    static const double radii[] = { 0, 1e-7, 1e-3, 0.1, 3 }, sizes[] = { 0.1, 0.5, 1.5 };
    const int32_t kind = KINDS[_i % KIND_COUNT], layers = 1 + _i / KIND_COUNT;
    for (uint64_t seed = 0; seed < (rob_long() ? 40 : 2); seed++)
        for (int e = 0; e < 5; e++) {
            scene s = open_scene(kind, layers, 1 + (int64_t)(4 * seed % 13),
                                 3 + 5 * (int64_t)(seed % 3), sizes[(seed + (uint64_t)e) % 3],
                                 seed);
            double p[64];
            prove(&s, METHODS[(seed + (uint64_t)e) % 4], radii[e], 0);
            for (int k = 0; k < 2 * L; k++) ck_assert(s.proved[k] <= s.real[k]);
            for (uint64_t point = 0; point < 8; point++) {
                rob_random r = rob_priv_random(point, seed);
                for (int64_t i = 0; i < s.T * D; i++) {
                    double u = 2 * rob_priv_uniform(&r) - 1;
                    p[i] = s.x[i] + radii[e] * (1 - 0x1p-40) * (point < 4 ? u : copysign(1, u));
                }
                int64_t bad = violations_at(&s, p, NULL);
                ck_assert_msg(bad == 0, "%d outside at seed %d radius %g", (int)bad,
                              (int)seed, radii[e]);
            }
            close_scene(&s);
        }
}
END_TEST

/* Row k at x, least over all ways; *bad counts evaluations below what is proved. */
static double least_row(const scene *s, const double *x, int k, int64_t *bad)
{
    double least = INFINITY;
    for (int way = 0; way < WAYS; way++) {
        float g[L];
        outputs_of(s->model, way, x, s->T, g);
        double v = k % 2 ? -(double)g[k / 2] : (double)g[k / 2];
        *bad += !(v >= s->proved[k]);
        least = fmin(v, least);
    }
    return least;
}

/* Coordinates are moved, to ends and between, while the row as evaluated falls. */
static int64_t climb(const scene *s, int k, double eps, rob_random *r)
{
    double p[64], best;
    int64_t bad = 0;
    for (int64_t i = 0; i < s->T * D; i++)
        p[i] = s->x[i] + eps * (1 - 0x1p-40) * (rob_priv_uniform(r) < 0.5 ? -1 : 1);
    best = least_row(s, p, k, &bad);
    for (int t = 0; t < 120; t++) {
        int64_t i = rob_priv_below(r, s->T * D);
        double old = p[i], u = 2 * rob_priv_uniform(r) - 1;
        p[i] = s->x[i] + eps * (1 - 0x1p-40) * (t % 2 ? u : copysign(1, u));
        double now = least_row(s, p, k, &bad);
        if (now <= best) best = now;
        else p[i] = old;
    }
    return bad;
}

START_TEST(no_climb_leaves_what_is_proved)
{
    static const double radii[] = { 1e-7, 1e-5, 1e-3, 0.03 };
    rob_random r = rob_priv_random(17, (uint64_t)_i);
    int64_t seen = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        scene s = open_scene(KINDS[_i], 1, 8, 13, 0.5, seed);
        prove(&s, METHODS[1 + seed % 3], radii[seed], 0);
        for (int k = 0; k < 2 * L; k++) ck_assert_int_eq(climb(&s, k, radii[seed], &r), 0);
        prove(&s, "crown", 1e-9, 0.999);
        for (int k = 0; k < 2 * L; k++) seen += climb(&s, k, 1e-9, &r);
        close_scene(&s);
    }
    ck_assert_int_gt(seen, 0);   /* a thousandth of the errors is too little */
}
END_TEST

/* Some twelve steps of sums of sixteen terms: each number's error is at most, not about,
 * gamma_18 of the sum of magnitudes, where errors of random signs add to its root. */
START_TEST(the_bound_says_something)
{
    double ratio = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        scene s = open_scene(KINDS[_i], 1, 12, 16, 0.4, seed);
        double deviation = 0, largest = 0;
        prove(&s, "crown", 0, 0);
        ck_assert_int_eq(violations_at(&s, s.x, &deviation), 0);
        for (int k = 0; k < 2 * L; k++) largest = fmax(s.real[k] - s.proved[k], largest);
        ratio = fmax(largest / deviation, ratio);
        close_scene(&s);
    }
    ck_assert_msg(ratio <= 300, "bound %g times what is seen", ratio);
}
END_TEST

START_TEST(errors_left_out_are_seen)
{
    int64_t seen = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        scene s = open_scene(KINDS[_i], 1, 6, 13, 0.5, seed);
        prove(&s, "crown", 0, 0.999);
        seen += violations_at(&s, s.x, NULL);
        close_scene(&s);
    }
    ck_assert_int_gt(seen, 0);
}
END_TEST

/* By name: the margin beside the real one, at the ball and at a radius. */
START_TEST(margins_by_name)
{
    scene s = open_scene(KINDS[_i], 1, 6, 5, 0.7, 3);
    rob_query *q;
    rob_bound *b;
    double margin, single, radius, again;
    fine(s.ctx, rob_query_create(s.ctx, s.model, &q));
    fine(s.ctx, rob_query_add(s.ctx, q, s.x, s.T, -1));
    fine(s.ctx, rob_query_set_ball(s.ctx, q, ROB_NORM_L2, 1e-3));
    fine(s.ctx, rob_bound_create(s.ctx, "crown", &b));
    fine(s.ctx, rob_bound_margin(s.ctx, b, q, &margin, 1));
    fine(s.ctx, rob_bound_get(s.ctx, b, "float32", 0, &single, 1, NULL));
    ck_assert(single == -INFINITY);
    fine(s.ctx, rob_bound_set(s.ctx, b, "float32", 1));
    fine(s.ctx, rob_bound_margin(s.ctx, b, q, &again, 1));
    fine(s.ctx, rob_bound_get(s.ctx, b, "float32", 0, &single, 1, NULL));
    ck_assert(again == margin && single < margin && single > margin - 1e-4);
    fine(s.ctx, rob_query_set_ball(s.ctx, q, ROB_NORM_L2, INFINITY));
    fine(s.ctx, rob_bound_radius(s.ctx, b, q, &radius, 1));
    fine(s.ctx, rob_bound_get(s.ctx, b, "margin", 0, &margin, 1, NULL));
    fine(s.ctx, rob_bound_get(s.ctx, b, "float32", 0, &single, 1, NULL));
    ck_assert(isfinite(single));
    fine(s.ctx, rob_bound_set(s.ctx, b, "float32", 2));
    fine(s.ctx, rob_bound_radius(s.ctx, b, q, &again, 1));
    fine(s.ctx, rob_bound_get(s.ctx, b, "float32", 0, &single, 1, NULL));
    ck_assert(again > 0 && single > 0);
    ck_assert(again <= radius * (1 + 2e-3));
    rob_bound_free(b);
    rob_query_free(q);
    close_scene(&s);
}
END_TEST

static rob_status live(rob_ctx *ctx)
{
    rob_query *q = NULL;
    rob_bound *b = NULL;
    rob_model *m = NULL;
    const double x[] = { 0.3, -0.2, 0.5, 1 };
    rob_status status = rob_model_create(ctx, "gru hidden=2 outputs=2 features=2 readout=mean", &m);
    if (status == ROB_OK) status = rob_query_create(ctx, m, &q);
    if (status == ROB_OK) status = rob_query_add(ctx, q, x, 2, -1);
    if (status == ROB_OK) status = rob_query_set_ball(ctx, q, ROB_NORM_L2, 0.01);
    if (status == ROB_OK) status = rob_bound_create(ctx, "crown", &b);
    if (status == ROB_OK) status = rob_bound_set(ctx, b, "float32", 1);
    if (status == ROB_OK) status = rob_bound_margin(ctx, b, q, NULL, 0);
    rob_bound_free(b);
    rob_query_free(q);
    rob_model_free(m);
    return status;
}

/* Quadratics of gates are of real numbers: they may not enter what is proved of float32. */
START_TEST(second_order_adds_nothing_in_float32)
{
    double rows[2][2 * L], real[2 * L];
    scene s = open_scene(KINDS[_i], 1, 4, 5, 0.8, 3);
    for (int order = 1; order <= 2; order++) {
        rob_bound *b;
        fine(s.ctx, rob_query_set_ball(s.ctx, s.query, ROB_NORM_LINF, 0.1));
        fine(s.ctx, rob_bound_create(s.ctx, "crown", &b));
        fine(s.ctx, rob_bound_set(s.ctx, b, "order", order));
        fine(s.ctx, rob_bound_set(s.ctx, b, "enough", 1e6));
        fine(s.ctx, rob_bound_margin(s.ctx, b, s.query, NULL, 0));
        fine(s.ctx, rob_bound_get(s.ctx, b, "rows", 0, real, 2 * L, NULL));
        fine(s.ctx, rob_bound_set(s.ctx, b, "float32", 2));
        fine(s.ctx, rob_bound_margin(s.ctx, b, s.query, NULL, 0));
        fine(s.ctx, rob_bound_get(s.ctx, b, "rows", 0, rows[order - 1], 2 * L, NULL));
        for (int k = 0; k < 2 * L; k++) ck_assert(rows[order - 1][k] < real[k]);
        rob_bound_free(b);
    }
    ck_assert_mem_eq(rows[0], rows[1], sizeof rows[0]);
    close_scene(&s);
}
END_TEST

START_TEST(memory_may_end_anywhere) { rob_live_poorly(live); }
END_TEST

int main(void)
{
    Suite *s = suite_create("single");
    TCase *t = tcase_create("single");
    tcase_add_loop_test(t, no_evaluation_leaves_what_is_proved, 0, 2 * KIND_COUNT);
    tcase_add_loop_test(t, no_climb_leaves_what_is_proved, 0, KIND_COUNT);
    tcase_add_loop_test(t, the_bound_says_something, 0, KIND_COUNT);
    tcase_add_loop_test(t, errors_left_out_are_seen, 0, KIND_COUNT);
    tcase_add_loop_test(t, margins_by_name, 0, KIND_COUNT);
    tcase_add_loop_test(t, second_order_adds_nothing_in_float32, 0, KIND_COUNT);
    tcase_add_test(t, memory_may_end_anywhere);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
