/* stress.c -- random classifiers, random balls, and points that try to beat the proof.
 *
 * A trial draws a model (kind, layers, read-out, sizes, scales from 1e-3 to 1e3, input
 * map), a series, a mask, a norm and a radius from 1e-9 to 1e3, asks for margins by
 * intervals, by affine forms, by sweeps and by sweeps of a few steps, and for a radius. Points of the
 * ball are then judged at 200 bits: at x, at random, at corners, at single coordinates,
 * and where the classifier slopes down, by differences from x on (descent in the ball,
 * the step to its boundary where its dual norm is attained). At tiny radii that last
 * point meets the bound to second order, so rounding alone separates proof and truth.
 *
 * The number of points judged is printed. ROBUST_LONG=1: a hundred times as many
 * trials; ROBUST_TRIALS and ROBUST_SEED: so many, from there on.
 */
#include "bound/solve.h"
#include "check/multiple.h"

#include <check.h>
#include "check/harness.h"

enum { MOST = 32, POINTS = 20 };

typedef struct trial {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    int64_t T, D, n, reference;
    int32_t norm;
    double eps, size;
    double x[MOST];
    uint8_t mask[MOST];
    rob_random random;
    uint64_t seed;
} trial;

static int64_t pick(rob_random *r, int64_t least, int64_t most)
{
    return least + rob_priv_below(r, most - least + 1);
}

static double power_between(rob_random *r, double least, double most)
{
    return least * pow(most / least, rob_priv_uniform(r));
}

/* ---- the classifier in double: where it slopes down need only be about right ----- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double dot(const rob_tensor *w, int64_t row, const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += rob_priv_tensor_at(w, row * n + j) * v[j];
    return sum;
}

static void step_of(const rob_model *m, int32_t layer, const double *u, int64_t width,
                    double *h, double *c)
{
    const rob_parameter *p = &m->parameter[4 * layer];
    int64_t H = m->recipe.hidden, kind = m->recipe.kind;
    int64_t G = kind == ROB_KIND_LSTM ? 4 : kind == ROB_KIND_GRU ? 3 : 1;
    double z[64], q[64];
    for (int64_t j = 0; j < G * H; j++) {
        z[j] = dot(p[0].tensor, j, u, width) + rob_priv_tensor_at(p[2].tensor, j);
        q[j] = dot(p[1].tensor, j, h, H) + rob_priv_tensor_at(p[3].tensor, j);
    }
    for (int64_t j = 0; j < H; j++) {
        double s = z[j] + q[j];
        if (kind == ROB_KIND_RNN_TANH) h[j] = tanh(s);
        if (kind == ROB_KIND_RNN_RELU) h[j] = s > 0 ? s : 0;
        if (kind == ROB_KIND_GRU) {
            double a = tanh(z[2 * H + j] + sigmoid(s) * q[2 * H + j]);
            h[j] = a + sigmoid(z[H + j] + q[H + j]) * (h[j] - a);
        }
        if (kind != ROB_KIND_LSTM) continue;
        c[j] = sigmoid(z[H + j] + q[H + j]) * c[j]
             + sigmoid(s) * tanh(z[2 * H + j] + q[2 * H + j]);
        h[j] = sigmoid(z[3 * H + j] + q[3 * H + j]) * tanh(c[j]);
    }
}

static double margin_near(const trial *t, const double *x)
{
    const rob_recipe *r = &t->model->recipe;
    double u[16 * MOST], s[16] = {0}, f[8], least = INFINITY;
    int64_t H = r->hidden, width = t->D;
    for (int64_t i = 0; i < t->n; i++) u[i] = (x[i] - r->input_shift) / r->input_scale;
    for (int32_t k = 0; k < r->layers; k++, width = H) {
        double h[16] = {0}, c[16] = {0}, out[16 * MOST];
        for (int64_t i = 0; i < t->T; i++) {
            step_of(t->model, k, u + i * width, width, h, c);
            memcpy(out + i * H, h, (size_t)H * sizeof *h);
        }
        memcpy(u, out, (size_t)(t->T * H) * sizeof *u);
    }
    bool mean = r->readout == ROB_READOUT_MEAN;
    for (int64_t i = mean ? 0 : t->T - 1; i < t->T; i++)
        for (int64_t j = 0; j < H; j++)
            s[j] += u[i * H + j] / (mean ? (double)t->T : 1);
    const rob_parameter *head = &t->model->parameter[t->model->parameters - 2];
    for (int64_t k = 0; k < r->outputs; k++)
        f[k] = dot(head[0].tensor, k, s, H) + rob_priv_tensor_at(head[1].tensor, k);
    for (int64_t k = 0; k < r->outputs; k++)
        if (k != t->reference) least = fmin(least, f[t->reference] - f[k]);
    return least;
}

/* ---- points ---------------------------------------------------------------------- */

static double norm_of(int32_t norm, const double *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (norm == ROB_NORM_L2) sum += d[i] * d[i];
        else if (norm == ROB_NORM_L1) sum += fabs(d[i]);
        else sum = fmax(sum, fabs(d[i]));
    }
    return norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

/* x + d, ||d|| = share of eps: 2^-40 inside, more than the roundings of d and its norm;
 * x + d itself is rounded towards x, so that the point lies in the ball. */
static void place(const trial *t, const double *direction, double share, double *p)
{
    double d[MOST];
    for (int64_t i = 0; i < t->n; i++) d[i] = t->mask[i] ? direction[i] : 0;
    double length = norm_of(t->norm, d, t->n);
    for (int64_t i = 0; i < t->n; i++) {
        double by = length > 0 ? t->eps * share * (1 - 0x1p-40) / length * d[i] : 0;
        p[i] = t->x[i] + by;
        if (fabs(p[i] - t->x[i]) > fabs(by)) p[i] = nextafter(p[i], t->x[i]);
    }
}

/* Where an affine function with this gradient is least on the unit ball. */
static void downhill(const trial *t, const double *gradient, double *d)
{
    int64_t most = 0;
    double g[MOST];
    for (int64_t i = 0; i < t->n; i++) {
        g[i] = t->mask[i] && isfinite(gradient[i]) ? gradient[i] : 0;
        if (fabs(g[i]) > fabs(g[most])) most = i;
    }
    for (int64_t i = 0; i < t->n; i++) {
        if (t->norm == ROB_NORM_LINF) d[i] = g[i] > 0 ? -1 : 1;
        else if (t->norm == ROB_NORM_L2)
            d[i] = g[most] != 0 ? -g[i] / fabs(g[most]) : 0;
        else d[i] = i == most ? (g[i] > 0 ? -1 : 1) : 0;
    }
}

static void gradient_at(const trial *t, const double *p, double step, double *g)
{
    double q[MOST];
    memcpy(q, p, sizeof q);
    for (int64_t i = 0; i < t->n; i++) {
        double h = step * (1 + fabs(p[i]));
        q[i] = p[i] + h;
        double up = margin_near(t, q);
        q[i] = p[i] - h;
        g[i] = (up - margin_near(t, q)) / h;
        q[i] = p[i];
    }
}

/* k = 0: x; 1..3 downhill from x, from half way, from there; 4..7 corners; 8, 9 single
 * coordinates; the rest at random, on the boundary and inside. */
static void make_point(trial *t, int64_t k, double *p)
{
    double d[MOST], g[MOST];
    rob_random *r = &t->random;
    if (k >= 1 && k <= 3) {
        gradient_at(t, k == 1 ? t->x : p, 1e-6 * t->model->recipe.input_scale, g);
        downhill(t, g, d);
        place(t, d, k == 2 ? 0.5 : 1, p);
        return;
    }
    for (int64_t i = 0; i < t->n; i++) {
        double z = rob_priv_normal(r);
        d[i] = k < 8 ? (z < 0 ? -1 : 1) : k < 10 ? 0 : z;
    }
    if (k == 8 || k == 9) d[rob_priv_below(r, t->n)] = k == 8 ? 1 : -1;
    place(t, d, k == 0 ? 0 : k < 14 ? 1 : rob_priv_uniform(r), p);
}

/* ---- a trial --------------------------------------------------------------------- */

static void draw_model(trial *t)
{
    rob_random *r = &t->random;
    int32_t kind = (int32_t)pick(r, 0, 3), layers = (int32_t)pick(r, 1, 3);
    t->D = pick(r, 1, 3);
    t->T = layers == 3 ? pick(r, 1, 4) : pick(r, 1, 7);
    t->n = t->T * t->D;
    int64_t hidden = rob_priv_uniform(r) < 0.9 ? pick(r, 1, 6) : pick(r, 7, 16);
    t->size = rob_priv_uniform(r) < 0.6 ? power_between(r, 0.2, 2)
                                        : power_between(r, 1e-3, 1e3);
    t->model = random_model(t->ctx, kind, layers, (int32_t)pick(r, 0, 1), t->D,
                            hidden, pick(r, 2, 4), t->size, t->seed, false);
    if (rob_priv_uniform(r) < 0.3) {
        t->model->recipe.input_scale = power_between(r, 1e-2, 1e2);
        if (rob_priv_uniform(r) < 0.5) t->model->recipe.input_scale *= -1;
        t->model->recipe.input_shift = rob_priv_normal(r);
    }
}

static bool trial_open(trial *t, uint64_t seed)
{
    rob_random *r = &t->random;
    *t = (trial){.seed = seed, .random = rob_priv_random(seed, 1)};
    ck_assert_int_eq(rob_ctx_create(&t->ctx), ROB_OK);
    int32_t best = t->ctx->isa;
    t->ctx->isa = (int32_t)pick(r, 0, best);
    draw_model(t);
    bool masked = rob_priv_uniform(r) < 0.3;
    for (int64_t i = 0; i < t->n; i++) {
        t->x[i] = power_between(r, 0.3, 3) * rob_priv_normal(r);
        t->mask[i] = !masked || rob_priv_uniform(r) < 0.6;
    }
    t->norm = (const int32_t[]){ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1}[pick(r, 0, 2)];
    t->eps = power_between(r, 1e-9, rob_priv_uniform(r) < 0.7 ? 1 : 1e3);
    ck_assert_int_eq(rob_query_create(t->ctx, t->model, &t->query), ROB_OK);
    ck_assert_int_eq(rob_query_set_units(t->ctx, t->query, ROB_UNITS_DATA), ROB_OK);
    ck_assert_int_eq(rob_query_add(t->ctx, t->query, t->x, t->T, -1), ROB_OK);
    if (masked)
        ck_assert_int_eq(rob_query_set_mask(t->ctx, t->query, 0, t->mask, t->n),
                         ROB_OK);
    bool fine = rob_priv_query_prepare(t->ctx, t->query) == ROB_OK;
    t->reference = t->query->cases[0].reference;
    return fine;
}

static void trial_close(trial *t)
{
    rob_query_free(t->query);
    rob_model_free(t->model);
    rob_ctx_free(t->ctx);
}

static double asked(trial *t, const char *method, double steps, bool radius)
{
    rob_bound *b;
    double lower = NAN;
    ck_assert_int_eq(rob_query_set_ball(t->ctx, t->query, t->norm,
                                        radius ? INFINITY : t->eps), ROB_OK);
    ck_assert_int_eq(rob_bound_create(t->ctx, method, &b), ROB_OK);
    ck_assert_int_eq(rob_bound_set(t->ctx, b, "steps", steps), ROB_OK);
    b->option[ROB_BOUND_CHOICES] = b->option[ROB_BOUND_CHOSEN] = 6;
    b->option[ROB_BOUND_BRANCHES] = 8;
    b->option[ROB_BOUND_ENOUGH] = INFINITY;
    ck_assert_msg((radius ? rob_bound_radius : rob_bound_margin)(
                      t->ctx, b, t->query, &lower, 1) == ROB_OK, "%s",
                  rob_ctx_error(t->ctx));
    rob_bound_free(b);
    ck_assert(!isnan(lower));
    return lower;
}

/* Points of the ball of radius t->eps against what was proved there. */
static int64_t attack(trial *t, double proved, const char *what)
{
    double p[MOST];
    for (int64_t k = 0; k < POINTS; k++) {
        make_point(t, k, p);
        double truth = exact_margin(t->model, p, t->T, t->reference);
        ck_assert_msg(proved <= truth,
                      "seed %llu, kind %d, %d layers, T %d, H %d, weights %g, norm %d, "
                      "eps %g, isa %d, point %d: %s proves %.17g, exact is %.17g",
                      (unsigned long long)t->seed, t->model->recipe.kind,
                      t->model->recipe.layers, (int)t->T, (int)t->model->recipe.hidden,
                      t->size, t->norm, t->eps, t->ctx->isa, (int)k, what, proved,
                      truth);
    }
    return POINTS;
}

static int64_t run_trial(uint64_t seed)
{
    trial t;
    int64_t points = 0;
    if (trial_open(&t, seed)) {
        double interval = asked(&t, "interval", 0, false);
        double crown = asked(&t, "crown", 0, false);
        double forms = asked(&t, "zonotope", 0, false);
        double cut = asked(&t, "crown", (double)(1 + seed % 3), false);
        ck_assert(interval <= forms && forms <= crown && interval <= cut);
        double alpha = seed % 4 == 1 ? asked(&t, "alpha", 0, false) : crown;
        double parts = seed % 8 == 1 ? asked(&t, "branch", 0, false) : alpha;
        ck_assert(crown <= alpha && alpha <= parts);
        points += attack(&t, fmax(parts, cut), "a margin");
        double radius = seed % 4 == 0 ? asked(&t, seed % 8 ? "crown" : "zonotope", 0, true) : 0;
        t.eps = radius;
        if (radius > 0 && isfinite(radius))
            points += attack(&t, 0x1p-1074, "a radius");
    }
    trial_close(&t);
    return points;
}

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? atoll(text) : otherwise;
}

START_TEST(no_point_beats_a_proof)
{
    int64_t trials = number_from("ROBUST_TRIALS", rob_long() ? 40000 : 400), points = 0;
    int64_t first = number_from("ROBUST_SEED", 0);
    for (int64_t k = 0; k < trials; k++) points += run_trial((uint64_t)(first + k));
    printf("stress: %lld trials, %lld points judged\n", (long long)trials,
           (long long)points);
    ck_assert_int_gt(points, trials * POINTS / 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stress");
    TCase *c = tcase_create("stress");
    tcase_set_timeout(c, 0);
    tcase_add_test(c, no_point_beats_a_proof);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
