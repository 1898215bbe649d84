/* sound_attention.c -- whole encoders: attention, layer norms, feed-forward parts.
 *
 * Truth is the graph at 200 bits. Small encoders with one head or two, layer norm with and
 * without its division, relu and gelu, one step or three, weights small, large (scores that
 * saturate) or zero (scores that tie). Rows of the outputs must hold at the centre, at
 * corners, at random points, and where coordinates were moved one by one to make the row
 * least. Offsets moved over the function are seen.
 */
#include "bound/alpha.h"
#include "check/precise.h"
#include "model/blocks.h"

#include <check.h>
#include "check/harness.h"
#include "check/poor.h"

enum { FEATURES = 2, WIDTH = 4, OUTPUTS = 3, ROWS = 3, MOST = 3 * FEATURES };

typedef struct design { int64_t steps, heads; bool divide, gelu, mean; double size; } design;

static const design DESIGNS[] = {
    { 3, 2, false, false, true, 0.8 },  { 3, 1, true, true, false, 0.8 },
    { 3, 2, true, false, true, 3 },     { 3, 1, false, true, true, 4 },
    { 1, 2, true, false, false, 1 },    { 3, 2, false, false, false, 0 },
};

typedef struct stage {
    rob_ctx *ctx;
    rob_graph *g;
    rob_network *net;
    rob_work *work;
    rob_id x, y;
    int64_t numbers;
} stage;

static rob_id weights(rob_graph *g, rob_shape shape, double size, uint64_t *stream)
{
    rob_tensor *t;
    if (rob_priv_tensor_create(rob_priv_graph_memory(g), ROB_F64, shape, &t) != ROB_OK)
        return rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory");
    rob_random r = rob_priv_random(1, (*stream)++);
    for (int64_t i = 0; i < rob_priv_shape_size(&shape); i++)
        ((double *)t->data)[i] = size * (2 * rob_priv_uniform(&r) - 1);
    rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

static rob_id square(rob_graph *g, double size, uint64_t *stream)
{
    return weights(g, rob_priv_shape2(WIDTH, WIDTH), size, stream);
}

static rob_id norm(rob_graph *g, rob_id u, const design *d, uint64_t *stream)
{
    rob_id gamma = weights(g, rob_priv_shape1(WIDTH), 1.5, stream);
    rob_id beta = weights(g, rob_priv_shape1(WIDTH), 0.3, stream);
    return rob_priv_block_layer_norm(g, u, gamma, beta, 1e-3, d->divide);
}

/* Post-norm as in Vaswani et al. 2017; the scores of the first design's kind tie when
 * size is 0. */
static rob_id encoder(rob_graph *g, rob_id x, const design *d)
{
    uint64_t s = 1;
    rob_id u = rob_priv_block_linear(
        g, x, weights(g, rob_priv_shape2(WIDTH, FEATURES), 1, &s), ROB_NONE);
    rob_attention a = { .heads = d->heads, .bq = ROB_NONE, .bk = ROB_NONE,
                        .bv = ROB_NONE, .bo = ROB_NONE };
    a.wq = square(g, d->size, &s);
    a.wk = square(g, d->size, &s);
    a.wv = square(g, 1, &s);
    a.wo = square(g, 1, &s);
    u = norm(g, g_add(g, u, rob_priv_block_multi_head(g, u, u, &a, ROB_NONE)), d, &s);
    rob_id z = rob_priv_block_linear(g, u, square(g, 1, &s),
                                     weights(g, rob_priv_shape1(WIDTH), 0.5, &s));
    z = d->gelu ? g_gelu(g, z, (int32_t)d->steps % 2) : g_unary(g, "relu", z);
    u = norm(g, g_add(g, u, rob_priv_block_linear(g, z, square(g, 1, &s), ROB_NONE)), d,
             &s);
    u = d->mean ? g_sum_to(g, u, rob_priv_shape3(1, 1, WIDTH))
                : g_slice(g, u, 0, d->steps - 1, 1);
    rob_id y = rob_priv_block_linear(
        g, u, weights(g, rob_priv_shape2(OUTPUTS, WIDTH), 1, &s), ROB_NONE);
    return g_reshape(g, y, rob_priv_shape2(1, OUTPUTS));
}

/* With planes chosen for every row (alpha), or without. */
static bool chosen;

static stage stage_open(const design *d)
{
    stage s = { .numbers = d->steps * FEATURES };
    ck_assert_int_eq(rob_ctx_create(&s.ctx), ROB_OK);
    ck_assert_int_eq(rob_priv_graph_create(s.ctx, &s.g), ROB_OK);
    s.x = rob_priv_input(s.g, rob_priv_shape3(d->steps, 1, FEATURES));
    s.y = encoder(s.g, s.x, d);
    ck_assert_msg(rob_priv_graph_status(s.ctx, s.g) == ROB_OK, "%s",
                  rob_ctx_error(s.ctx));
    ck_assert_int_eq(rob_priv_network_create(s.ctx, s.g, s.x, s.y, &s.net), ROB_OK);
    ck_assert_int_eq(rob_priv_work_open(s.net, &s.work), ROB_OK);
    if (chosen) ck_assert_int_eq(rob_priv_alpha_open(s.work, &s.work->alpha), ROB_OK);
    s.work->choices = 12;
    s.work->rounds = 1;
    s.work->chosen = 6;
    s.work->enough = s.work->deadline = INFINITY;
    return s;
}

static void stage_close(stage *s)
{
    rob_priv_work_close(s->work);
    rob_priv_network_free(s->net);
    rob_ctx_free(s->ctx);
}

/* ---- what is proved, what is true ------------------------------------------------ */

typedef struct proved { double row[ROWS], c[ROWS * OUTPUTS], b[ROWS]; } proved;

static void prove(stage *s, const rob_ball *ball, proved *p)
{
    int32_t group[ROWS] = { 0 };
    rob_proof row[ROWS];
    rob_outcome out;
    rob_random r = rob_priv_random(7, 7);
    for (int64_t i = 0; i < ROWS * OUTPUTS; i++) p->c[i] = rob_priv_normal(&r);
    for (int64_t i = 0; i < ROWS; i++) p->b[i] = 0;
    rob_demand d = { ROWS, 1, OUTPUTS, p->c, p->b, group };
    rob_fp_state fp = rob_priv_fp_enter();
    ck_assert_int_eq(rob_priv_bound_ball(s->work, ball, &d, true, row, &out), ROB_OK);
    rob_priv_fp_leave(fp);
    for (int64_t i = 0; i < ROWS; i++) p->row[i] = row[i].value;
}

/* row i at x; *fine becomes false where it lies below what is proved */
static double truth(const stage *s, const proved *p, const double *x, int64_t i,
                    bool *fine)
{
    mpfr_t *in = exact_vector(s->numbers), sum, t;
    mpfr_t **input = calloc((size_t)rob_priv_graph_count(s->g) + 1, sizeof *input);
    mpfr_inits2(EXACT_BITS, sum, t, (mpfr_ptr)0);
    for (int64_t k = 0; k < s->numbers; k++) mpfr_set_d(in[k], x[k], MPFR_RNDN);
    input[s->x] = in;
    precise all = precise_eval(s->g, input);
    mpfr_set_zero(sum, 1);
    for (int64_t j = 0; j < OUTPUTS; j++) {
        mpfr_mul_d(t, all.value[s->y][j], p->c[i * OUTPUTS + j], MPFR_RNDN);
        mpfr_add(sum, sum, t, MPFR_RNDN);
    }
    double value = mpfr_get_d(sum, MPFR_RNDN);
    *fine = *fine && mpfr_cmp_d(sum, p->row[i]) >= 0;
    mpfr_clears(sum, t, (mpfr_ptr)0);
    precise_free(&all);
    free(input);
    exact_free(in, s->numbers);
    return value;
}

static double length(const rob_ball *b, const double *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (b->norm == ROB_NORM_L2) sum += d[i] * d[i];
        else sum = b->norm == ROB_NORM_L1 ? sum + fabs(d[i]) : fmax(sum, fabs(d[i]));
    }
    return b->norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

/* x0 + d, d scaled into the ball, a little inside for rounding's sake */
static void place(const rob_ball *b, const double *d, int64_t n, double *x)
{
    double most = length(b, d, n);
    double scale = most > 0 ? fmin(1, b->eps * (1 - 0x1p-40) / most) : 0;
    for (int64_t i = 0; i < n; i++) x[i] = b->x[i] + scale * d[i];
}

/* From a corner or a random point, each number moved to the end where the row is less. */
static bool attack(const stage *s, const rob_ball *b, const proved *p, int64_t row,
                   rob_random *r)
{
    double d[MOST], x[MOST];
    bool fine = true;
    for (int64_t i = 0; i < s->numbers; i++)
        d[i] = b->eps * (rob_priv_uniform(r) < 0.5 ? -1 : 1);
    place(b, d, s->numbers, x);
    double best = truth(s, p, x, row, &fine);
    for (int64_t i = 0; i < s->numbers; i++)
        for (int k = 0; k < 2; k++) {
            double old = d[i];
            d[i] = k == 0 ? -old : 0;
            place(b, d, s->numbers, x);
            double now = truth(s, p, x, row, &fine);
            if (now < best) best = now;
            else d[i] = old;
        }
    return fine;
}

static bool holds(stage *s, const rob_ball *b, uint64_t seed)
{
    proved p;
    bool fine = true;
    double x[MOST], d[MOST];
    rob_random r = rob_priv_random(seed, 9);
    prove(s, b, &p);
    for (int64_t k = 0; k < 6; k++) {
        for (int64_t i = 0; i < s->numbers; i++)
            d[i] = k == 0 ? 0 : b->eps * rob_priv_normal(&r);
        place(b, d, s->numbers, x);
        truth(s, &p, x, k % ROWS, &fine);
    }
    for (int64_t row = 0; row < ROWS; row++) fine = fine && attack(s, b, &p, row, &r);
    return fine;
}

static const int32_t NORMS[] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };

START_TEST(encoders_are_bounded_from_below)
{
    static const double radii[] = { 0, 1e-9, 1e-6, 1e-3, 0.05, 0.5, 3, 30 };
    chosen = _i >= COUNT_OF(DESIGNS);
    stage s = stage_open(&DESIGNS[_i % COUNT_OF(DESIGNS)]);
    for (uint64_t seed = 0; seed < (rob_long() ? 40 : 1); seed++) {
        double x[MOST];
        rob_random r = rob_priv_random(seed, 2);
        for (int64_t i = 0; i < s.numbers; i++) x[i] = rob_priv_normal(&r);
        for (int64_t n = 0; n < COUNT_OF(NORMS); n++)
            for (int64_t e = 0; e < COUNT_OF(radii); e++) {
                rob_ball ball = { x, NULL, NORMS[n], radii[e], NULL };
                ck_assert_msg(holds(&s, &ball, seed), "design %d norm %d eps %g", _i,
                              (int)NORMS[n], radii[e]);
            }
    }
    stage_close(&s);
}
END_TEST

/* A radius and a ten times larger one, in either order, prove the same: what is kept of a
 * first layer between calls is no less sound and, to rounding, no less tight. */
START_TEST(kept_ranges_prove_the_same)
{
    chosen = false;
    stage s = stage_open(&DESIGNS[_i]);
    double x[MOST];
    rob_random r = rob_priv_random(3, 2);
    for (int64_t i = 0; i < s.numbers; i++) x[i] = rob_priv_normal(&r);
    proved fresh, after;
    rob_ball small = { x, NULL, ROB_NORM_L2, 1e-3, NULL };
    rob_ball large = { x, NULL, ROB_NORM_L2, 1e-2, NULL };
    prove(&s, &large, &fresh);
    stage_close(&s);
    s = stage_open(&DESIGNS[_i]);
    prove(&s, &small, &after);
    prove(&s, &large, &after);
    for (int i = 0; i < ROWS; i++)
        ck_assert_double_le(fabs(fresh.row[i] - after.row[i]),
                            1e-9 * (1 + fabs(fresh.row[i])));
    ck_assert(holds(&s, &large, 1));
    stage_close(&s);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------- */

static double step;
static bool above;

/* Rows and products alone (their bend has no operands): offsets off by a little, so that no
 * range becomes empty. */
static void move_offsets(rob_bend *b)
{
    double *at = (double *)(above ? b->up_offset : b->lo_offset);
    for (int64_t e = 0; b->ins == 0 && e < b->n; e++) at[e] += above ? -step : step;
}

/* An offset that is far too wrong empties a range, and then nothing is proved: so several
 * sizes are tried. */
static bool fault_is_seen(int k)
{
    static const double steps[] = { 2e-4, 2e-3, 2e-2 }, radii[] = { 0.005, 0.05, 0.3 };
    stage s = stage_open(&DESIGNS[k % 2]);
    bool seen = false;
    double x[MOST];
    rob_random r = rob_priv_random((uint64_t)k, 2);
    for (int64_t i = 0; i < s.numbers; i++) x[i] = rob_priv_normal(&r);
    s.work->fault = move_offsets;
    for (int i = 0; i < 9 && !seen; i++) {
        rob_ball ball = { x, NULL, ROB_NORM_LINF, radii[i / 3], NULL };
        step = steps[i % 3];
        seen = !holds(&s, &ball, (uint64_t)k);
    }
    stage_close(&s);
    return seen;
}

START_TEST(wrong_offsets_are_seen)
{
    int seen = 0;
    above = _i % 2 == 1;
    chosen = _i >= 2;
    for (int k = 0; k < 8; k++) seen += fault_is_seen(k);
    ck_assert_msg(seen >= 7, "%d of 8", seen);
}
END_TEST

/* ---- relu's operands --------------------------------------------------------------- */

/* One end may decide: sweeping the other too proves the same, to rounding (magnitudes enter
 * losses of 1e-13 of the values), and some end has been left out. */
START_TEST(one_end_of_relus_operand_is_enough)
{
    const double x[MOST] = { 0.3, -1, 0.5, 0.2, 1, -0.4 };
    chosen = false;
    stage one = stage_open(&DESIGNS[2 * _i]), two = stage_open(&DESIGNS[2 * _i]);
    int kinked = 0;
    double wider = 0;
    for (int32_t i = 0; i < two.net->cells; i++) {
        kinked += two.net->cell[i].kinked;
        two.net->cell[i].kinked = false;
    }
    ck_assert_int_eq(kinked, 1);
    for (double eps = 1e-3; eps < 0.3; eps *= 3) {
        rob_ball ball = { x, NULL, ROB_NORM_LINF, eps, NULL };
        proved p, q;
        prove(&one, &ball, &p);
        prove(&two, &ball, &q);
        for (int64_t r = 0; r < ROWS; r++)
            ck_assert_msg(fabs(p.row[r] - q.row[r]) <= 1e-9 * (1 + fabs(q.row[r])),
                          "radius %g: %.17g, both ends %.17g", eps, p.row[r], q.row[r]);
        for (int32_t i = 0; i < one.net->cells; i++) {
            const rob_cell *c = &one.net->cell[i];
            for (int64_t e = c->at; c->kinked && e < c->at + c->size; e++)
                wider = fmax(wider, one.work->up[e] - one.work->lo[e]
                                        - (two.work->up[e] - two.work->lo[e]));
        }
    }
    ck_assert(wider > 1e-3);
    stage_close(&one);
    stage_close(&two);
}
END_TEST

/* ---- no memory ------------------------------------------------------------------- */

static rob_status bound_once(rob_work *w)
{
    const double x[MOST] = { 0.3, -1, 0.5, 0.2, 1, -0.4 };
    const double c[OUTPUTS] = { 1, -1, 0 }, b = 0;
    const int32_t group = 0;
    rob_proof row;
    rob_outcome out;
    rob_demand d = { 1, 1, OUTPUTS, c, &b, &group };
    rob_ball ball = { x, NULL, ROB_NORM_L2, 0.1, NULL };
    rob_fp_state fp = rob_priv_fp_enter();
    rob_status status = rob_priv_bound_ball(w, &ball, &d, true, &row, &out);
    rob_priv_fp_leave(fp);
    return status;
}

static rob_status life(rob_ctx *ctx)
{
    rob_graph *g;
    rob_network *net;
    rob_work *w;
    rob_status status = rob_priv_graph_create(ctx, &g);
    if (status < ROB_OK) return status;
    rob_id x = rob_priv_input(g, rob_priv_shape3(3, 1, FEATURES));
    rob_id y = encoder(g, x, &DESIGNS[1]);
    status = rob_priv_graph_status(ctx, g);
    if (status < ROB_OK) {
        rob_priv_graph_free(g);
        return status;
    }
    status = rob_priv_network_create(ctx, g, x, y, &net);
    if (status < ROB_OK) return status;
    status = rob_priv_work_open(net, &w);
    if (status == ROB_OK) status = rob_priv_alpha_open(w, &w->alpha);
    if (status == ROB_OK) {
        w->choices = w->rounds = w->chosen = 2;
        w->enough = w->deadline = INFINITY;
        status = bound_once(w);
    }
    rob_priv_work_close(w);
    rob_priv_network_free(net);
    return status;
}

START_TEST(no_memory_is_said) { rob_live_poorly(life); }
END_TEST

int main(void)
{
    Suite *s = suite_create("sound_attention");
    TCase *c = tcase_create("encoders");
    tcase_add_loop_test(c, encoders_are_bounded_from_below, 0, 2 * (int)COUNT_OF(DESIGNS));
    tcase_add_loop_test(c, kept_ranges_prove_the_same, 0, (int)COUNT_OF(DESIGNS));
    tcase_add_loop_test(c, wrong_offsets_are_seen, 0, 4);
    tcase_add_test(c, no_memory_is_said);
    tcase_add_loop_test(c, one_end_of_relus_operand_is_enough, 0, 2);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
