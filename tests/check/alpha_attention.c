/* alpha_attention.c -- planes of attention chosen for a row: derivatives, and what they prove.
 *
 * Small transformers, trained by nobody. The derivative of a row's bound by the
 * shift of every softmax row is set beside a difference of the bound itself; a small step
 * along all derivatives raises it. What is proved with planes chosen is never less than
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

typedef struct tally { int64_t count, off, later, turned; } tally;

/* The bound is affine in one row's c while x* and the signs of L - c stay: a one-sided
 * difference over 1e-5 of the row's coefficients is off by rounding, some 100 operations of
 * 1e-16 over that, so below 1e-8; where a sign changes, by more: those are counted. c of a
 * later layer moves the coefficients of an earlier softmax, whose own c then goes from a number
 * to a number of them; a derivative leaves that out: only signs are compared. */
static void weigh(tally *t, bool later, double slope, double difference)
{
    if (later && fabs(slope) < 1e-3) return;
    t->count += !later;
    t->off += !later && !(fabs(slope - difference) <= 1e-4 * fabs(slope) + 1e-8);
    t->later += later;
    t->turned += later && !(slope * difference > 0);
}

/* c of group g away from the number it is at, where the bound has a kink. */
static void check_shift(climb *c, int32_t i, int64_t g, bool later, tally *t)
{
    const rob_cell *z = &c->net->cell[i];
    double *own = with_moved(c), size = 0, sum = 0;
    const rob_couple_rows r = rob_priv_couple_rows(c->w, i);
    c->w->plane = own;
    bound_of(c);
    for (int64_t e = g * r.per; e < (g + 1) * r.per; e++)
        size += fabs(c->s->a[z->at + e]) / (double)r.per;
    if (size == 0) return;
    r.more[g] = 0.0123 * size;
    const double start = bound_of(c), h = 1e-5 * size;
    rob_priv_alpha_forth(c->s, c->net->cell[c->net->output].root);
    for (int64_t e = g * r.per; e < (g + 1) * r.per; e++) sum += c->s->z[z->at + e];
    r.more[g] += h;
    weigh(t, later, 1 - sum, (bound_of(c) - start) / h);
    r.more[g] = 0;
}

START_TEST(shifts_have_their_derivatives)
{
    open_model(_i);
    tally t = { 0 };
    for (int norm = 0; norm < 2; norm++) {
        climb c = climb_open(norm ? ROB_NORM_L2 : ROB_NORM_LINF, 0.05);
        int32_t first = -1;
        for (int32_t i = 0; i < c.net->cells; i++) {
            const rob_cell *z = &c.net->cell[i];
            if (z->kind != ROB_CELL_COUPLED || z->node.op->id != ROB_OP_softmax) continue;
            if (first < 0) first = i;
            for (int64_t g = 0; g < z->size / T; g++) check_shift(&c, i, g, i != first, &t);
        }
        climb_close(&c);
    }
    ck_assert_int_ge(t.count, 2);
    ck_assert_msg(t.off <= t.count / 8, "%d of %d", (int)t.off, (int)t.count);
    ck_assert_msg(t.turned <= t.later / 8, "%d of %d", (int)t.turned, (int)t.later);
    close_model();
}
END_TEST

/* Mixtures of layer norms and slopes of relu: after one step along their derivatives, small
 * enough, the bound is higher. */
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
        if (z->kind == ROB_CELL_COUPLED && z->node.op->id == ROB_OP_rmsnorm)
            rob_priv_attend_step(c.s, i), moved++;
        if (rob_priv_alpha_mixes(z) && rob_priv_free_has(&z->node))
            rob_priv_slope_step(c.s, i), moved++;
    }
    if (_i / 2 != 3) ck_assert_int_gt(moved, 0);   /* gelu, no division: nothing */
    ck_assert_msg(moved == 0 || bound_of(&c) > start, "%.17g after %.17g", bound_of(&c), start);
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
    tcase_add_loop_test(c, shifts_have_their_derivatives, 0, MODELS);
    tcase_add_loop_test(c, a_small_step_along_the_derivatives_raises_the_bound, 0, 2 * MODELS);
    tcase_add_loop_test(c, planes_chosen_prove_more_and_nothing_false, 0, MODELS);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
