/* sound_graph.c -- bounds of graphs that are no recipe's: every operator, every way of
 * cutting and joining, weights read in two shapes.
 *
 * Truth is the graph at 200 bits (precise.h). For every graph and radius the range of
 * every output by intervals, by sweeps and by shallow sweeps must hold the exact
 * outputs, and rows of random coefficients must stay below their exact values, at x, at
 * corners, at random points and at the points that the row itself slopes down to.
 */
#include "bound/alpha.h"
#include "check/precise.h"

#include <check.h>
#include "check/harness.h"

enum { STEPS = 4, FEATURES = 3, NUMBERS = STEPS * FEATURES, ROWS = 6, POINTS = 24 };

typedef struct stage {
    rob_ctx *ctx;
    rob_graph *g;                 /* belongs to net */
    rob_network *net;
    rob_work *work;
    rob_alpha *chosen;
    rob_id x, y;
    int64_t outputs;
} stage;

typedef rob_id writer(rob_graph *g, rob_id x);

static rob_id weights(rob_graph *g, rob_shape shape, double size, uint64_t stream)
{
    rob_tensor *t;
    ck_assert_int_eq(rob_priv_tensor_create(rob_priv_graph_memory(g), ROB_F64, shape,
                                            &t), ROB_OK);
    rob_random r = rob_priv_random(1, stream);
    for (int64_t i = 0; i < rob_priv_shape_size(&shape); i++)
        ((double *)t->data)[i] = size * (2 * rob_priv_uniform(&r) - 1);
    rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

static stage stage_open(writer *write)
{
    stage s = {0};
    ck_assert_int_eq(rob_ctx_create(&s.ctx), ROB_OK);
    ck_assert_int_eq(rob_priv_graph_create(s.ctx, &s.g), ROB_OK);
    s.x = rob_priv_input(s.g, rob_priv_shape3(STEPS, 1, FEATURES));
    s.y = write(s.g, s.x);
    ck_assert_msg(rob_priv_graph_status(s.ctx, s.g) == ROB_OK, "%s",
                  rob_ctx_error(s.ctx));
    s.outputs = precise_size(s.g, s.y);
    ck_assert_msg(rob_priv_network_create(s.ctx, s.g, s.x, s.y, &s.net) == ROB_OK, "%s",
                  rob_ctx_error(s.ctx));
    ck_assert_int_eq(rob_priv_work_open(s.net, &s.work), ROB_OK);
    ck_assert_int_eq(rob_priv_forward_open(s.work), ROB_OK);
    ck_assert_int_eq(rob_priv_alpha_open(s.work, &s.chosen), ROB_OK);
    s.work->choices = 3;
    s.work->rounds = s.work->chosen = 1;
    s.work->enough = s.work->deadline = INFINITY;
    return s;
}

static void stage_close(stage *s)
{
    rob_priv_alpha_close(s->chosen);
    rob_priv_work_close(s->work);
    rob_priv_network_free(s->net);
    rob_ctx_free(s->ctx);
}

/* ---- points ---------------------------------------------------------------------- */

static void make_point(const rob_ball *b, uint64_t seed, int64_t k, double *p)
{
    double d[NUMBERS], norm = 0;
    rob_random r = rob_priv_random(seed, (uint64_t)k);
    for (int i = 0; i < NUMBERS; i++) {
        double z = rob_priv_normal(&r);
        d[i] = k == 0 ? 0 : k < 8 ? (z < 0 ? -1 : 1) : k < 10 ? 0 : z;
    }
    if (k == 8 || k == 9) d[rob_priv_below(&r, NUMBERS)] = k == 8 ? 1 : -1;
    for (int i = 0; i < NUMBERS; i++) {
        if (b->norm == ROB_NORM_L2) norm += d[i] * d[i];
        else norm = b->norm == ROB_NORM_L1 ? norm + fabs(d[i]) : fmax(norm, fabs(d[i]));
    }
    if (b->norm == ROB_NORM_L2) norm = sqrt(norm);
    double scale = k == 0 ? 0 : b->eps * (1 - 0x1p-40) / norm;
    if (k > 16) scale *= rob_priv_uniform(&r);
    for (int i = 0; i < NUMBERS; i++) p[i] = b->x[i] + scale * d[i];
}

static precise evaluate(const stage *s, const double *p)
{
    mpfr_t *x = exact_vector(NUMBERS);
    mpfr_t **input = calloc((size_t)rob_priv_graph_count(s->g) + 1, sizeof *input);
    for (int i = 0; i < NUMBERS; i++) mpfr_set_d(x[i], p[i], MPFR_RNDN);
    input[s->x] = x;
    precise all = precise_eval(s->g, input);
    free(input);
    exact_free(x, NUMBERS);
    return all;
}

/* ---- one graph on one ball ------------------------------------------------------- */

typedef struct proved {
    double lo[64], up[64], row[ROWS];
    double c[ROWS * 64], b[ROWS];
} proved;

static void prove(stage *s, const rob_ball *ball, bool crown, int64_t depth, proved *p)
{
    int32_t group[ROWS] = {0};
    rob_proof row[ROWS];
    rob_outcome out;
    rob_random r = rob_priv_random(7, 7);
    for (int64_t i = 0; i < ROWS * s->outputs; i++) p->c[i] = rob_priv_normal(&r);
    for (int64_t i = 0; i < ROWS; i++) p->b[i] = rob_priv_normal(&r);
    rob_demand d = {ROWS, 1, s->outputs, p->c, p->b, group};
    rob_fp_state fp = rob_priv_fp_enter();
    s->work->depth = depth;
    ck_assert_int_eq(rob_priv_bound_ball(s->work, ball, &d, crown, row, &out), ROB_OK);
    rob_priv_fp_leave(fp);
    rob_range f = rob_priv_cell_range(s->work, s->net->output);
    for (int64_t j = 0; j < s->outputs; j++) {
        p->lo[j] = s->work->broken ? -INFINITY : f.lo[j];
        p->up[j] = s->work->broken ? INFINITY : f.up[j];
    }
    for (int64_t i = 0; i < ROWS; i++) p->row[i] = row[i].value;
}

static void check_point(const stage *s, const proved *p, const double *x,
                        const char *what, double eps)
{
    precise all = evaluate(s, x);
    mpfr_t *f = all.value[s->y], sum, t;
    mpfr_inits2(EXACT_BITS, sum, t, (mpfr_ptr)0);
    for (int64_t j = 0; j < s->outputs; j++)
        ck_assert_msg(mpfr_cmp_d(f[j], p->lo[j]) >= 0
                          && mpfr_cmp_d(f[j], p->up[j]) <= 0,
                      "%s, eps %g: output %d is %.17g, range [%.17g, %.17g]", what, eps,
                      (int)j, mpfr_get_d(f[j], MPFR_RNDN), p->lo[j], p->up[j]);
    for (int64_t i = 0; i < ROWS; i++) {
        mpfr_set_d(sum, p->b[i], MPFR_RNDN);
        for (int64_t j = 0; j < s->outputs; j++) {
            mpfr_mul_d(t, f[j], p->c[i * s->outputs + j], MPFR_RNDN);
            mpfr_add(sum, sum, t, MPFR_RNDN);
        }
        ck_assert_msg(mpfr_cmp_d(sum, p->row[i]) >= 0,
                      "%s, eps %g: row %d is %.17g, proved %.17g", what, eps, (int)i,
                      mpfr_get_d(sum, MPFR_RNDN), p->row[i]);
    }
    mpfr_clears(sum, t, (mpfr_ptr)0);
    precise_free(&all);
}

static bool is_coupled(const rob_network *net)
{
    bool coupled = false;
    for (int32_t i = 0; i < net->cells; i++)
        coupled = coupled || net->cell[i].kind == ROB_CELL_COUPLED;
    return coupled;
}

static void check_ball(stage *s, const rob_ball *ball, uint64_t seed)
{
    static const char *const what[] = {"interval", "crown", "one step", "zonotope",
                                       "few symbols", "alpha"};
    proved all[6];
    int64_t most = s->work->symbols_most;
    double x[NUMBERS];
    ck_assert_int_le(s->outputs, 64);
    prove(s, ball, false, 0, &all[0]);
    s->work->sweeps = false;
    prove(s, ball, true, 0, &all[3]);
    s->work->symbols_most = 3;
    prove(s, ball, true, 0, &all[4]);
    s->work->symbols_most = most;
    s->work->sweeps = true;
    prove(s, ball, true, 1, &all[2]);
    bool chosen = ball->eps > 1e-3 && ball->eps < 1 && !is_coupled(s->net);
    s->work->alpha = chosen ? s->chosen : NULL;
    if (chosen) prove(s, ball, true, 0, &all[5]);
    s->work->alpha = NULL;
    prove(s, ball, true, 0, &all[1]);
    for (int64_t k = 0; k < POINTS; k++) {
        make_point(ball, seed, k, x);
        for (int i = 0; i < 5 + chosen; i++) check_point(s, &all[i], x, what[i], ball->eps);
    }
}

/* Finite rows at the smallest radius: the rules are there, not only "nothing". */
static void check_graph(writer *write)
{
    static const double radii[] = {0, 1e-9, 1e-4, 0.02, 0.4, 30};
    static const int32_t norms[] = {ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1};
    stage s = stage_open(write);
    for (uint64_t seed = 0; seed < (rob_long() ? 12 : 1); seed++) {
        double x[NUMBERS];
        rob_random r = rob_priv_random(seed, 2);
        for (int i = 0; i < NUMBERS; i++) x[i] = 2 * rob_priv_uniform(&r) - 1;
        for (int64_t n = 0; n < COUNT_OF(norms); n++)
            for (int64_t e = 0; e < COUNT_OF(radii); e++) {
                rob_ball ball = {x, NULL, norms[n], radii[e], NULL};
                check_ball(&s, &ball, seed);
            }
        proved p;
        rob_ball ball = {x, NULL, ROB_NORM_L2, 1e-9, NULL};
        prove(&s, &ball, true, 0, &p);
        for (int i = 0; i < ROWS; i++) ck_assert(isfinite(p.row[i]));
    }
    stage_close(&s);
}

/* ---- graphs ---------------------------------------------------------------------- */

static rob_id flat(rob_graph *g, rob_id x)
{
    return g_reshape(g, x, rob_priv_shape2(STEPS, FEATURES));
}

/* (4, 3) -> (4, 6) with numbers that depend on all of a step */
static rob_id wide(rob_graph *g, rob_id x)
{
    return g_matmul(g, flat(g, x), weights(g, rob_priv_shape2(3, 6), 1, 1), 0, 0);
}

static rob_id all_of(rob_graph *g, rob_id y)
{
    return g_reshape(g, y, rob_priv_shape2(1, precise_size(g, y)));
}

/* A value of one block cut along its inner axis into parts of different sizes. */
static rob_id uneven_split(rob_graph *g, rob_id x)
{
    const int64_t sizes[3] = {1, 3, 2};
    const int32_t order[2] = {1, 0};
    rob_id part[3];
    rob_id one = g_permute(g, wide(g, x), order);               /* (6, 4) */
    rob_id two = g_reshape(g, g_unary(g, "tanh", one), rob_priv_shape2(4, 6));
    g_split(g, two, 1, sizes, 3, part);
    rob_id y = g_add(g, g_unary(g, "square", part[1]), g_unary(g, "tanh", part[0]));
    return all_of(g, g_concat(g, (rob_id[]){y, part[2]}, 2, 1));
}

static rob_id uneven_split_backwards(rob_graph *g, rob_id x)
{
    const int64_t sizes[2] = {5, 1};
    rob_id part[2];
    rob_id one = g_reshape(g, wide(g, x), rob_priv_shape3(2, 2, 6));
    g_split(g, g_concat(g, (rob_id[]){one, g_unary(g, "tanh", one)}, 2, 1), 2, sizes, 2,
            part);
    return all_of(g, g_mul(g, part[0], part[1]));
}

/* One table of weights, read as (3, 2) and as (2, 3). */
static rob_id weights_in_two_shapes(rob_graph *g, rob_id x)
{
    rob_id w = weights(g, rob_priv_shape2(6, 3), 1, 2);
    rob_id other = g_reshape(g, w, rob_priv_shape2(3, 6));
    rob_id y = g_matmul(g, flat(g, x), other, 0, 0);            /* (4, 6) */
    return all_of(g, g_matmul(g, g_unary(g, "tanh", y), w, 0, 0));
}

/* A table and its first rows. */
static rob_id weights_and_a_part(rob_graph *g, rob_id x)
{
    const int64_t sizes[2] = {3, 3};
    rob_id part[2], w = weights(g, rob_priv_shape2(6, 6), 1, 3);
    g_split(g, w, 0, sizes, 2, part);
    rob_id y = g_matmul(g, flat(g, x), part[0], 0, 0);          /* (4, 6) */
    y = g_matmul(g, g_unary(g, "tanh", y), w, 0, 0);
    return all_of(g, y);
}

/* Two operands of one root whose windows overlap; a sum with itself; a product with
 * itself. */
static rob_id overlapping_windows(rob_graph *g, rob_id x)
{
    rob_id z = g_reshape(g, wide(g, x), rob_priv_shape2(1, 24));
    rob_id a = g_slice(g, z, 1, 0, 20), b = g_slice(g, z, 1, 3, 20);
    rob_id c = g_slice(g, z, 1, 1, 20);
    rob_id y = g_blend(g, a, b, c);
    y = g_add(g, g_mul(g, a, b), g_sub(g, y, g_sigtanh(g, c, a)));
    return g_add(g, y, g_sub(g, g_slice(g, z, 1, 4, 20), b));
}

static rob_id smooth_chain(rob_graph *g, rob_id x)
{
    rob_id z = wide(g, x), e = g_unary(g, "exp", g_affine(g, z, 0.3, -0.1));
    rob_id l = g_unary(g, "log", g_affine(g, e, 1, 0.5));
    rob_id s = g_unary(g, "sqrt", g_affine(g, g_unary(g, "square", l), 1, 1e-3));
    rob_id r = g_unary(g, "reciprocal", g_affine(g, s, -1, -0.5));
    rob_id q = g_unary(g, "rsqrt", g_unary(g, "softplus", g_mul(g, r, z)));
    return all_of(g, g_add(g, q, g_unary(g, "erf", g_mul(g, l, s))));
}

static rob_id kinks(rob_graph *g, rob_id x)
{
    rob_id z = wide(g, x), a = g_unary(g, "abs", z), s = g_unary(g, "step", z);
    rob_id w = g_where(g, s, g_unary(g, "relu", z), g_mul(g, a, z));
    w = g_max(g, w, g_affine(g, z, -0.7, 0.1));
    return all_of(g, g_add(g, w, g_mul(g, g_unary(g, "sign", z), a)));
}

static rob_id rows_of_softmax(rob_graph *g, rob_id x)
{
    rob_id z = wide(g, x), p = g_softmax(g, z), m = g_logsumexp(g, z);
    return all_of(g, g_add(g, g_mul(g, p, z), m));
}

/* Attention without a scale: products of uncertain matrices. */
static rob_id products_of_values(rob_graph *g, rob_id x)
{
    rob_id q = wide(g, x), k = g_unary(g, "tanh", q);
    rob_id p = g_softmax(g, g_matmul(g, q, k, 0, 1));
    return all_of(g, g_matmul(g, p, q, 0, 0));
}

/* Known operand on the left, batches of products, a known mask. */
static rob_id products_with_known(rob_graph *g, rob_id x)
{
    rob_id known = weights(g, rob_priv_shape2(4, 5), 1, 4);
    rob_id left = g_matmul(g, known, flat(g, x), 1, 0);
    rob_id z = g_reshape(g, wide(g, x), rob_priv_shape3(2, 2, 6));
    rob_id w = g_matmul(g, z, weights(g, rob_priv_shape3(2, 6, 2), 1, 5), 0, 0);
    rob_id m = g_unary(g, "step", weights(g, rob_priv_shape3(2, 2, 2), 1, 6));
    rob_id y = g_where(g, m, w, g_affine(g, w, -3, 1));
    return g_concat(g, (rob_id[]){all_of(g, left), all_of(g, y)}, 2, 1);
}

static rob_id norms_of_rows(rob_graph *g, rob_id x)
{
    rob_id z = wide(g, x), c = g_centre(g, z);
    rob_id y = g_mul(g, g_rmsnorm(g, c, 1e-5), weights(g, rob_priv_shape1(6), 1, 30));
    y = g_add(g, y, g_centre(g, g_gelu(g, z, 0)));
    return all_of(g, g_add(g, y, g_gelu(g, g_affine(g, c, 2, 0), 1)));
}

static rob_id sums_and_repeats(rob_graph *g, rob_id x)
{
    rob_id z = wide(g, x);
    rob_id column = g_sum_to(g, z, rob_priv_shape2(4, 1));
    rob_id row = g_sum_to(g, g_unary(g, "tanh", z), rob_priv_shape2(1, 6));
    rob_id y = g_mul(g, g_expand(g, column, rob_priv_shape2(4, 6)),
                     g_expand(g, row, rob_priv_shape2(4, 6)));
    return all_of(g, g_sub(g, g_affine(g, y, 1.0 / 3, 0), g_transpose(g, g_reshape(
                            g, z, rob_priv_shape2(6, 4)))));
}

/* h <- tanh(W h + u_t), backwards; its stack is read forwards by a second loop whose
 * constant depends on x. */
static rob_id two_loops(rob_graph *g, rob_id x)
{
    rob_ctx plain = {.memory = *rob_priv_graph_memory(g)};
    rob_graph *body[2];
    rob_id in[3], h = weights(g, rob_priv_shape2(1, 6), 1, 7);
    rob_id u = g_reshape(g, wide(g, x), rob_priv_shape3(STEPS, 1, 6));
    rob_id w = weights(g, rob_priv_shape2(6, 6), 0.7, 8), last = h;
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(rob_priv_graph_create(&plain, &body[k]), ROB_OK);
        in[0] = rob_priv_input(body[k], rob_priv_shape2(1, 6));
        in[1] = rob_priv_input(body[k], rob_priv_shape2(1, 6));
        in[2] = rob_priv_input(body[k], k ? rob_priv_shape2(1, 6)
                                          : rob_priv_shape2(6, 6));
        rob_id z = k ? g_mul(body[k], in[0], in[2])
                     : g_matmul(body[k], in[0], in[2], 0, 1);
        rob_id next = g_unary(body[k], "tanh", g_add(body[k], z, in[1]));
        const rob_id out[2] = {next, next}, node_in[3] = {h, u, k ? last : w};
        rob_id scan = rob_priv_scan(g, body[k], 1, 1, 1, 1, in, out, STEPS, k == 0,
                                    node_in);
        last = g_pick(g, scan, 0);
        u = g_pick(g, scan, 1);
    }
    return g_concat(g, (rob_id[]){last, g_reshape(g, u, rob_priv_shape2(1, 24))}, 2, 1);
}

/* Products whose coefficients leave the range of doubles on the way. */
static rob_id huge_then_tiny(rob_graph *g, rob_id x)
{
    rob_id z = g_affine(g, wide(g, x), 1e-160, 0);
    rob_id y = g_matmul(g, z, weights(g, rob_priv_shape2(6, 6), 1e155, 9), 0, 0);
    y = g_matmul(g, y, weights(g, rob_priv_shape2(6, 6), 1e-150, 10), 0, 0);
    return all_of(g, g_affine(g, y, 1e150, 0));
}

static rob_id under_the_range(rob_graph *g, rob_id x)
{
    rob_id z = g_affine(g, wide(g, x), 1e-300, 1e-310);
    rob_id y = g_matmul(g, z, weights(g, rob_priv_shape2(6, 6), 1e-20, 11), 0, 0);
    return all_of(g, g_unary(g, "tanh", g_affine(g, y, -1e-3, 0)));
}

static writer *const GRAPHS[] = {
    uneven_split, uneven_split_backwards, weights_in_two_shapes, weights_and_a_part,
    overlapping_windows, smooth_chain, kinks, rows_of_softmax, products_of_values,
    products_with_known, norms_of_rows, sums_and_repeats, two_loops, huge_then_tiny, under_the_range,
};

/* ---- where one rounding is all there is ------------------------------------------ */

static rob_id input_alone(rob_graph *g, rob_id x) { return all_of(g, x); }

static rob_id one_product(rob_graph *g, rob_id x)
{
    return g_matmul(g, all_of(g, x), weights(g, rob_priv_shape2(12, 12), 1, 20), 0, 0);
}

static rob_id one_pull(rob_graph *g, rob_id x)
{
    rob_id z = g_reshape(g, x, rob_priv_shape3(2, 1, 6));
    return all_of(g, g_matmul(g, z, weights(g, rob_priv_shape3(2, 6, 6), 1, 21), 0, 0));
}

static rob_id one_sum(rob_graph *g, rob_id x)
{
    return g_reshape(g, g_sum_to(g, g_affine(g, wide(g, x), 0.7, 1e3),
                                 rob_priv_shape2(4, 1)), rob_priv_shape2(1, 4));
}

static writer *const CANCELLING[] = {input_alone, one_product, one_pull, one_sum};

/* A row c that nearly vanishes on the outputs at x: its terms cancel, so what is left
 * is the rounding of the one step in between, which has either sign. With one number of
 * x that is not zero its coefficient itself vanishes: nothing is charged behind that.
 */
static void check_cancelling(stage *s, uint64_t seed)
{
    double x[NUMBERS], c[64], b = 0, sum = 0;
    rob_random r = rob_priv_random(seed, 4);
    for (int i = 0; i < NUMBERS; i++)
        x[i] = seed % 2 && i + 1 < NUMBERS ? 0 : rob_priv_normal(&r);
    precise all = evaluate(s, x);
    mpfr_t *f = all.value[s->y], exact, t;
    mpfr_inits2(EXACT_BITS, exact, t, (mpfr_ptr)0);
    for (int64_t j = 0; j < s->outputs; j++) {
        c[j] = j + 1 < s->outputs ? rob_priv_normal(&r)
                                  : -sum / mpfr_get_d(f[j], MPFR_RNDN);
        sum += c[j] * mpfr_get_d(f[j], MPFR_RNDN);
        mpfr_mul_d(t, f[j], c[j], MPFR_RNDN);
        mpfr_add(exact, exact, t, MPFR_RNDN);
        if (j == 0) mpfr_set(exact, t, MPFR_RNDN);
    }
    int32_t group = 0;
    rob_proof row;
    rob_outcome out;
    rob_demand d = {1, 1, s->outputs, c, &b, &group};
    rob_ball ball = {x, NULL, ROB_NORM_L2, 0, NULL};
    rob_fp_state fp = rob_priv_fp_enter();
    ck_assert_int_eq(rob_priv_bound_ball(s->work, &ball, &d, true, &row, &out), ROB_OK);
    rob_priv_fp_leave(fp);
    ck_assert_msg(mpfr_cmp_d(exact, row.value) >= 0, "seed %d: exact %g, proved %g",
                  (int)seed, mpfr_get_d(exact, MPFR_RNDN), row.value);
    /* 100 u times the sum of magnitudes, at most about 1e4 */
    ck_assert_double_ge(row.value, mpfr_get_d(exact, MPFR_RNDN) - 1e-10);
    mpfr_clears(exact, t, (mpfr_ptr)0);
    precise_free(&all);
}

START_TEST(cancelling_rows_pay_for_their_rounding)
{
    stage s = stage_open(CANCELLING[_i]);
    for (uint64_t seed = 0; seed < 200; seed++) check_cancelling(&s, seed);
    stage_close(&s);
}
END_TEST

START_TEST(graphs_are_bounded_from_below) { check_graph(GRAPHS[_i]); }
END_TEST

int main(void)
{
    Suite *s = suite_create("sound_graph");
    TCase *c = tcase_create("graphs");
    tcase_add_loop_test(c, graphs_are_bounded_from_below, 0, (int)COUNT_OF(GRAPHS));
    tcase_add_loop_test(c, cancelling_rows_pay_for_their_rounding, 0,
                        (int)COUNT_OF(CANCELLING));
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
