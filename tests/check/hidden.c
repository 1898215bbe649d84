/* hidden.c -- networks with a counterexample that attacks do not find.
 *
 * In the manner of SoundnessBench (Zhou et al. 2024): a point x* near x0 that fails is
 * planted where no gradient leads. Layer 1 has two units for each feature, k (x - p + d)
 * and k (x - p - d), whose difference is a bump about p; layer 2 asks whether all bumps
 * are up; layer 3 keeps a latch s_t = (s_{t-1} and all up at t); the answer changes only
 * if the latch is up after the last step. Far from p everything is saturated. LSTMs and GRUs do the same
 * with their gates held open by biases, relu nets with hats and a count. Weights are shaken a little by
 * a seed. No method may prove anything at a radius that reaches x*, nor a radius beyond it;
 * where all margins are true, descent says that the net is robust.
 */
#include "check/certified.h"

#include <robust/attack.h>

enum { T = 3, LAYERS = 3, H = 6, CLASSES = 2, SHARP = 30 };

/* Tensors of a layer: w_ih, w_hh, b_ih, b_hh, from the gate that holds the state on. */
typedef struct part { float *w, *u, *b; int64_t width; } part;

static float *data_of(const rob_model *m, int32_t k) { return m->parameter[k].tensor->data; }

static part part_of(const rob_model *m, int32_t layer, int64_t gate)
{
    int64_t width = layer == 0 ? D : H;
    return (part){ data_of(m, 4 * layer) + gate * H * width,
                   data_of(m, 4 * layer + 1) + gate * H * H,
                   data_of(m, 4 * layer + 2) + gate * H, width };
}

static void fill(float *v, int64_t n, float value)
{
    for (int64_t i = 0; i < n; i++) v[i] = value;
}

/* All weights 0; gates at their ends: i, o of an LSTM open, f shut; r of a GRU open, z shut. */
static void hold_gates(const rob_model *m)
{
    const int32_t kind = m->recipe.kind;
    for (int32_t k = 0; k < m->parameters; k++) {
        const rob_tensor *t = m->parameter[k].tensor;
        fill(t->data, rob_priv_shape_size(&t->shape), 0);
    }
    for (int32_t layer = 0; layer < LAYERS; layer++) {
        float *b = data_of(m, 4 * layer + 2);
        if (kind == ROB_KIND_LSTM) {
            fill(b, H, SHARP), fill(b + H, H, -SHARP), fill(b + 3 * H, H, SHARP);
        } else if (kind == ROB_KIND_GRU) {
            fill(b, H, SHARP), fill(b + H, H, -SHARP);
        }
    }
}

static int64_t state_gate(int32_t kind)
{
    return kind == ROB_KIND_LSTM || kind == ROB_KIND_GRU ? 2 : 0;
}

/* The size of a saturated state: tanh 1 with a tanh, or a tanh of a tanh. */
static double top_of(int32_t kind) { return kind == ROB_KIND_LSTM ? tanh(1) : 1; }

/* Sharpness k, half width d. */
static void plant(const rob_model *m, const double *p, double k, double d)
{
    const double a = top_of(m->recipe.kind), and = 20;
    part one = part_of(m, 0, state_gate(m->recipe.kind)),
         two = part_of(m, 1, state_gate(m->recipe.kind)),
         three = part_of(m, 2, state_gate(m->recipe.kind));
    for (int64_t j = 0; j < D; j++) {
        one.w[2 * j * D + j] = one.w[(2 * j + 1) * D + j] = (float)k;
        one.b[2 * j] = (float)(k * (d - p[j]));
        one.b[2 * j + 1] = (float)(k * (-d - p[j]));
        /* bumps are 2 a high: up when their sum is above 2 a (D - 1/2) */
        two.w[2 * j] = (float)(and / a);
        two.w[2 * j + 1] = (float)(-and / a);
    }
    two.b[0] = (float)(-and * (2 * D - 1));
    /* s and up: s + up - 1/2, from s = 0 */
    three.w[0] = (float)(and / a);
    three.u[0] = (float)(and / a);
    three.b[0] = (float)(-and / 2);
    float *head = data_of(m, m->parameters - 2), *shift = data_of(m, m->parameters - 1);
    head[0] = (float)(-1 / a);
    shift[0] = 0.5F;
}

/* Hats (u + 1)+ - 2 u+ + (u - 1)+ of u = (x - p)/d need three units a feature. */
static void plant_hats(const rob_model *m, const double *p, double d)
{
    part one = part_of(m, 0, 0), two = part_of(m, 1, 0), three = part_of(m, 2, 0);
    for (int64_t j = 0; j < D; j++)
        for (int64_t i = 0; i < 3; i++) {
            one.w[(3 * j + i) * D + j] = (float)(1 / d);
            one.b[3 * j + i] = (float)(1 - (double)i - p[j] / d);
            two.w[3 * j + i] = i == 1 ? -2 : 1;
        }
    two.b[0] = -(float)D + 1;
    three.w[0] = 1;
    three.u[0] = 1;
    float *head = data_of(m, m->parameters - 2), *shift = data_of(m, m->parameters - 1);
    head[0] = -1;
    shift[0] = T - 0.5F;
}

/* Hats are differences of numbers as large as p/d: they bear less. */
static void shake(const rob_model *m, uint64_t seed)
{
    const double by = m->recipe.kind == ROB_KIND_RNN_RELU ? 1e-3 : 1e-2;
    rob_random r = rob_priv_random(seed, 41);
    for (int32_t k = 0; k < m->parameters; k++) {
        const rob_tensor *t = m->parameter[k].tensor;
        float *v = t->data;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            v[i] *= (float)(1 + by * rob_priv_normal(&r));
    }
}

typedef struct net {
    scene s;
    double planted[T * D], far[3];/* by norm L1, L2, Linf: the distance of x* */
    double truth;                 /* exact margin at x*, below 0 */
} net;

static const int32_t NORMS[] = { ROB_NORM_L1, ROB_NORM_L2, ROB_NORM_LINF };

static void measure(net *n)
{
    double l1 = 0, l2 = 0, most = 0;
    for (int64_t i = 0; i < T * D; i++) {
        double d = fabs(n->planted[i] - n->s.x[i]);
        l1 += d, l2 += d * d, most = fmax(most, d);
    }
    n->far[0] = l1, n->far[1] = sqrt(l2), n->far[2] = most;
}

static net open_net(int32_t kind, uint64_t seed)
{
    net n = { .s = open_scene(kind, LAYERS, ROB_READOUT_LAST, T, H, seed) };
    rob_random r = rob_priv_random(seed, 40);
    double p[D], d = 0.05 + 0.1 * rob_priv_uniform(&r);
    rob_model_free(n.s.model);
    rob_query_free(n.s.query);
    n.s.model = random_model(n.s.ctx, kind, LAYERS, ROB_READOUT_LAST, D, H, CLASSES, 1, seed,
                             false);
    hold_gates(n.s.model);
    for (int64_t j = 0; j < D; j++)
        p[j] = (rob_priv_uniform(&r) < 0.5 ? -1 : 1) * (0.5 + rob_priv_uniform(&r));
    if (kind == ROB_KIND_RNN_RELU) plant_hats(n.s.model, p, d);
    else plant(n.s.model, p, 6 / d, d);
    shake(n.s.model, seed);
    for (int64_t i = 0; i < T * D; i++) {
        n.s.x[i] = 0.1 * rob_priv_normal(&r);
        n.planted[i] = p[i % D];
    }
    fine(n.s.ctx, rob_query_create(n.s.ctx, n.s.model, &n.s.query));
    fine(n.s.ctx, rob_query_add(n.s.ctx, n.s.query, n.s.x, T, -1));
    fine(n.s.ctx, rob_priv_query_prepare(n.s.ctx, n.s.query));
    n.truth = exact_margin(n.s.model, n.planted, T, n.s.query->cases[0].reference);
    measure(&n);
    return n;
}

static double margin_at(net *n, const char *method, int32_t norm, double eps, double float32)
{
    rob_bound *b;
    double lower = NAN;
    fine(n->s.ctx, rob_query_set_ball(n->s.ctx, n->s.query, norm, eps));
    fine(n->s.ctx, rob_bound_create(n->s.ctx, method, &b));
    fine(n->s.ctx, rob_bound_set(n->s.ctx, b, "float32", float32));
    b->option[ROB_BOUND_CHOICES] = b->option[ROB_BOUND_CHOSEN] = 4;
    b->option[ROB_BOUND_ENOUGH] = INFINITY;
    b->option[ROB_BOUND_BRANCHES] = 6;
    fine(n->s.ctx, rob_bound_margin(n->s.ctx, b, n->s.query, &lower, 1));
    rob_bound_free(b);
    return lower;
}

static double radius_of(net *n, const char *method, int32_t norm)
{
    rob_bound *b;
    double lower = NAN;
    fine(n->s.ctx, rob_query_set_ball(n->s.ctx, n->s.query, norm, INFINITY));
    fine(n->s.ctx, rob_bound_create(n->s.ctx, method, &b));
    b->option[ROB_BOUND_CHOICES] = b->option[ROB_BOUND_CHOSEN] = 4;
    fine(n->s.ctx, rob_bound_radius(n->s.ctx, b, n->s.query, &lower, 1));
    rob_bound_free(b);
    return lower;
}

/* Does descent from x0 find the planted point, or another that fails? */
static bool is_found(net *n, int32_t norm, double eps)
{
    rob_attack *a;
    double upper = NAN;
    fine(n->s.ctx, rob_query_set_ball(n->s.ctx, n->s.query, norm, eps));
    fine(n->s.ctx, rob_attack_create(n->s.ctx, "pgd", &a));
    fine(n->s.ctx, rob_attack_margin(n->s.ctx, a, n->s.query, &upper, 1));
    rob_attack_free(a);
    return upper <= 0;
}

static const char *const METHODS[] = { "interval", "zonotope", "crown", "alpha", "auto", "branch" };

START_TEST(planted_points_are_never_certified_away)
{
    const int32_t kind = KINDS[_i];
    int hidden = 0, nets = 0;
    for (uint64_t seed = 0; seed < (rob_long() ? 100 : 2); seed++) {
        net n = open_net(kind, seed);
        if (n.truth < 0) {
            nets++;
            hidden += !is_found(&n, ROB_NORM_LINF, n.far[2] * 1.1);
            for (int method = 0; method < 6; method++)
                for (int k = 0; k < 3; k++) {
                    /* 2^-40: the rounding of the distance */
                    double eps = n.far[k] * (1 + 0x1p-40);
                    for (int larger = 0; larger < 2; larger++, eps *= 1.7)
                        ck_assert_msg(margin_at(&n, METHODS[method], NORMS[k], eps, 0)
                                          <= n.truth, "%s, norm %d, seed %d",
                                      METHODS[method], k, (int)seed);
                    ck_assert(margin_at(&n, METHODS[method], NORMS[k], n.far[k] * 1.1, 2)
                              <= n.truth);
                    if (method > 2) continue; /* searches call the same bounds */
                    double radius = radius_of(&n, METHODS[method], NORMS[k]);
                    ck_assert_msg(radius < n.far[k] * (1 + 0x1p-40), "%s: %g of %g",
                                  METHODS[method], radius, n.far[k]);
                    ck_assert(radius > 0 || method == 0);
                }
            rob_certificate *c;
            ck_assert_int_eq(rob_certificate_create(n.s.ctx, n.s.bound, n.s.query, 0,
                                                    n.far[2] * 1.01, &c), ROB_EDOMAIN);
        }
        close_scene(&n.s);
    }
    /* planted as meant, and out of sight */
    ck_assert_msg(nets >= 2 && 2 * hidden >= nets, "%d nets, %d hidden", nets, hidden);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hidden");
    TCase *t = tcase_create("hidden");
    tcase_add_loop_test(t, planted_points_are_never_certified_away, 0, KIND_COUNT);
    suite_add_tcase(s, t);
    return run_with_file(s);
}
