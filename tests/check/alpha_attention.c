/* alpha_attention.c -- planes of attention chosen for a row: derivatives, and what they prove.
 *
 * Small transformers, trained by nobody. The derivative of a row's bound by every kind of
 * parameter (slopes, mixtures of products, mixtures of layer norms) is set beside a central
 * difference of the bound itself. What is proved with planes chosen is never less than
 * without, more on most, and never more than the model does at points of the ball that an
 * attack finds.
 */
#include "bound/alpha.h"
#include "bound/couple.h"
#include "bound/solve.h"
#include "check/harness.h"
#include "model/model.h"

#include <robust.h>

#include <math.h>

enum { T = 4, MODELS = 4, OUTPUTS = 3 };
static const char *const RECIPE[MODELS] = {
    "transformer heads=2 hidden=8 features=1 outputs=3 feedforward=8 activation=relu norm=last "
    "readout=mean positions=learned longest=4 dtype=f64",
    "transformer heads=1 hidden=6 features=1 outputs=3 feedforward=6 activation=gelu norm=first "
    "readout=cls positions=sinusoid dtype=f64",
    "transformer heads=2 hidden=4 features=1 outputs=3 layers=2 feedforward=8 "
    "activation=relu norm=last "
    "readout=max positions=none layernorm=centred dtype=f64",
    "transformer heads=2 hidden=8 features=1 outputs=3 feedforward=8 activation=gelu_tanh norm=last "
    "readout=mean positions=sinusoid layernorm=centred dtype=f64",
};

static rob_ctx *ctx;
static rob_model *model;
static double x[T];

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

/* weights twice as large as a new model's: attention is not uniform */
static void open_model(int k)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    GOOD(rob_model_create(ctx, RECIPE[k], &model));
    rob_random r = rob_priv_random(41, (uint64_t)k);
    for (int32_t p = 0; p < model->parameters; p++) {
        rob_tensor *t = model->parameter[p].tensor;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            ((double *)t->data)[i] += 0.3 * rob_priv_normal(&r);
    }
    for (int t = 0; t < T; t++) x[t] = rob_priv_normal(&r);
}

static void close_model(void)
{
    rob_model_free(model);
    rob_ctx_free(ctx);
}

/* ---- derivatives ------------------------------------------------------------------ */

typedef struct climb {
    rob_network *net;
    rob_work *w;
    rob_alpha *s;
    double row[OUTPUTS];
} climb;

/* Ranges made, planes prepared, a search of one substitution behind us. */
static climb climb_open(int norm, double eps)
{
    climb c = { .row = { 1, -0.7, -0.3 } };
    rob_proof proof = { .value = -INFINITY };
    ck_assert_int_eq(rob_priv_bound_network(ctx, model, T, &c.net), ROB_OK);
    ck_assert_int_eq(rob_priv_work_open(c.net, &c.w), ROB_OK);
    ck_assert_int_eq(rob_priv_alpha_open(c.w, &c.w->alpha), ROB_OK);
    c.s = c.w->alpha;
    c.w->ball = (rob_ball){ x, NULL, norm, eps, NULL };
    rob_priv_alpha_release(c.w);
    ck_assert_int_eq(rob_priv_ranges(c.w, true), ROB_OK);
    ck_assert(!c.w->broken);
    rob_priv_alpha_prepare(c.s);
    rob_priv_alpha_begin(c.s);
    ck_assert_int_eq(rob_priv_alpha_row(c.s, c.net->output, c.row, 0, 1, &proof), ROB_OK);
    return c;
}

static void climb_close(climb *c)
{
    rob_priv_work_close(c->w);
    rob_priv_network_free(c->net);
}

static double bound_of(climb *c)
{
    rob_priv_alpha_back(c->s, c->net->output, c->row, 0);
    return rob_priv_alpha_least(c->s);
}

static double *with_moved(climb *c)
{
    double *own = c->w->plane;
    c->w->plane = c->s->plane[ROB_ALPHA_MOVED];
    return own;
}

/* The bound with mixture e of product i moved by h. */
static double moved_mixture(climb *c, int32_t i, int side, int64_t e, const double *a, double h)
{
    double *mix[2], *own = with_moved(c);
    rob_priv_pair_mixtures(c->w, i, mix);
    double was = mix[side][e];
    mix[side][e] += h;
    rob_priv_pair_turn(c->w, i, a);
    c->w->plane = own;
    double v = bound_of(c);
    c->w->plane = c->s->plane[ROB_ALPHA_MOVED];
    mix[side][e] = was;
    rob_priv_pair_turn(c->w, i, a);
    c->w->plane = own;
    return v;
}

typedef struct tally { int64_t count, off, later, turned; } tally;

/* The bound is linear in one mixture while x* and the signs of coefficients stay: a one-sided
 * difference of 1e-5 is off by rounding, some 100 operations of 1e-16 of the bound's terms
 * over 1e-5, so 1e-9; where a sign changes, by more: those are counted. */
static void weigh(tally *t, double slope, double difference, double size)
{
    t->count++;
    t->off += !(fabs(slope - difference) <= 1e-4 * fabs(slope) + 1e-9 * size);
}

/* Behind a softmax its shift c follows the coefficients from a number to a number of them: a
 * difference has that in it, a derivative at one c has not. They agree in sign. */
static void weigh_later(tally *t, double slope, double difference, double size)
{
    if (fabs(slope) < 1e-6 * size) return;
    t->later++;
    t->turned += !(slope * difference > 0);
}

static void check_products(climb *c, tally *t)
{
    const double h = 1e-5, start = bound_of(c);
    bool behind = false;
    double *gain = malloc((size_t)c->net->widest * sizeof *gain);
    double *y = malloc((size_t)c->net->widest * sizeof *y);
    double *a = malloc((size_t)c->net->widest * sizeof *a);
    for (int32_t i = 0; i < c->net->cells; i++) {
        const rob_cell *z = &c->net->cell[i];
        if (z->kind != ROB_CELL_COUPLED) continue;
        if (z->node.op->id == ROB_OP_softmax) behind = true;
        if (z->node.op->id != ROB_OP_matmul) continue;
        bound_of(c);
        rob_priv_alpha_forth(c->s, c->net->cell[c->net->output].root);
        const rob_link *in = &c->net->link[z->link];
        double *own = with_moved(c), *mix[2];
        memcpy(a, c->s->a + z->at, (size_t)z->size * sizeof *a);
        rob_priv_pair_at(c->w, i, a, c->s->z + c->net->cell[in[0].cell].at,
                         c->s->z + c->net->cell[in[1].cell].at, y, gain);
        rob_priv_pair_mixtures(c->w, i, mix);
        c->w->plane = own;
        for (int64_t e = 0; e < z->size; e++) {
            int side = a[e] < 0;
            if (a[e] == 0) continue;
            double to = moved_mixture(c, i, side, e, a, mix[side][e] > 0 ? -h : h);
            (behind ? weigh_later : weigh)(t, a[e] * gain[e], (to - start) / (mix[side][e] > 0 ? -h : h), fabs(start));
        }
    }
    free(gain);
    free(y);
    free(a);
}

START_TEST(mixtures_of_products_have_their_derivatives)
{
    open_model(_i);
    tally t = { 0 };
    for (int norm = 0; norm < 2; norm++) {
        climb c = climb_open(norm ? ROB_NORM_L2 : ROB_NORM_LINF, 0.05);
        check_products(&c, &t);
        climb_close(&c);
    }
    ck_assert_int_ge(t.count, 4);
    ck_assert_int_ge(t.later, 10);
    ck_assert_msg(t.off <= t.count / 10, "%d of %d", (int)t.off, (int)t.count);
    ck_assert_msg(t.turned <= t.later / 10, "%d of %d", (int)t.turned, (int)t.later);
    close_model();
}
END_TEST

/* Mixtures of a layer norm's planes: moved by h of its parameter, and the slopes' plane of
 * relu and gelu, are what a step believes of them: after one step along the derivatives,
 * small enough, the bound is higher. */
START_TEST(a_small_step_along_the_derivatives_raises_the_bound)
{
    open_model(_i / 2);
    climb c = climb_open(_i % 2 ? ROB_NORM_L2 : ROB_NORM_LINF, 0.05);
    const int32_t root = c.net->cell[c.net->output].root;
    const double start = bound_of(&c);
    int moved = 0;
    c.s->slope.rate = 1e-3;
    rob_priv_alpha_forth(c.s, root);
    rob_priv_slope_tick(c.s);
    for (int32_t i = 0; i <= root; i++) {
        const rob_cell *z = &c.net->cell[i];
        if (!c.s->touched[i]) continue;
        if (z->kind == ROB_CELL_COUPLED && z->node.op->id != ROB_OP_softmax) {
            rob_priv_attend_step(c.s, i);
            moved++;
        }
        if (rob_priv_alpha_mixes(z)) rob_priv_slope_step(c.s, i);
    }
    ck_assert_int_ge(moved, 2);
    ck_assert_msg(bound_of(&c) > start, "%.17g after %.17g", bound_of(&c), start);
    climb_close(&c);
    close_model();
}
END_TEST

/* ---- what is proved --------------------------------------------------------------- */

static double margin_of(const char *method, rob_query *q)
{
    rob_bound *b;
    double v;
    GOOD(rob_bound_create(ctx, method, &b));
    GOOD(rob_bound_set(ctx, b, "enough", 1e6));
    GOOD(rob_bound_set(ctx, b, "chosen", 12));
    GOOD(rob_bound_margin(ctx, b, q, &v, 1));
    rob_bound_free(b);
    return v;
}

/* The least margin that PGD finds, and at corners; evaluated in float64, which errs by some
 * thousand operations of 1e-16. */
static double found(rob_query *q, int64_t right, double eps, rob_random *r)
{
    double y[OUTPUTS], p[T], least = INFINITY;
    rob_attack *a;
    GOOD(rob_attack_create(ctx, "pgd", &a));
    GOOD(rob_attack_margin(ctx, a, q, NULL, 0));
    for (int k = 0; k < 33; k++) {
        if (k == 0) GOOD(rob_attack_get(ctx, a, "point", 0, p, T, NULL));
        for (int t = 0; k > 0 && t < T; t++)
            p[t] = x[t] + eps * (1 - 0x1p-40) * (k < 17 ? (k - 1) >> t & 1 ? 1 : -1
                                                        : 2 * rob_priv_uniform(r) - 1);
        GOOD(rob_model_predict(ctx, model, p, T, y, OUTPUTS));
        for (int64_t j = 0; j < OUTPUTS; j++)
            if (j != right) least = fmin(least, y[right] - y[j]);
    }
    rob_attack_free(a);
    return least;
}

START_TEST(planes_chosen_prove_more_and_nothing_false)
{
    static const double radii[] = { 1e-6, 0.01, 0.05, 0.2, 1, 8 };
    int higher = 0;
    open_model(_i);
    rob_random r = rob_priv_random(9, (uint64_t)_i);
    for (int e = 0; e < COUNT_OF(radii); e++) {
        rob_query *q;
        double right;
        GOOD(rob_query_create(ctx, model, &q));
        GOOD(rob_query_add(ctx, q, x, T, -1));
        GOOD(rob_query_set_ball(ctx, q, ROB_NORM_LINF, radii[e]));
        GOOD(rob_query_get(ctx, q, "prediction", 0, &right, 1, NULL));
        double crown = margin_of("crown", q), alpha = margin_of("alpha", q);
        ck_assert_double_ge(alpha, crown);
        ck_assert_double_le(alpha, found(q, (int64_t)right, radii[e], &r) + 1e-12);
        higher += alpha > crown + 1e-6 * fabs(crown);
        rob_query_free(q);
    }
    ck_assert_int_ge(higher, 2);
    close_model();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("alpha_attention");
    TCase *c = tcase_create("planes of attention");
    tcase_add_loop_test(c, mixtures_of_products_have_their_derivatives, 0, MODELS);
    tcase_add_loop_test(c, a_small_step_along_the_derivatives_raises_the_bound, 0, 2 * MODELS);
    tcase_add_loop_test(c, planes_chosen_prove_more_and_nothing_false, 0, MODELS);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
