/* plan.c -- what a plan promises beside right numbers: no allocation in a run, memory
 * shared by liveness and capped, rows whose bits are their own, scans that equal their
 * unrolled graphs, products sunk into loops unseen, errors that name the argument. */
#include "dense.h"
#include "harness.h"
#include "run/run.h"

/* ---- allocations: the context's allocator and the process's
 * ------------------------- */

static int64_t asked, alive, fails_at = -1;

static void *ask(void *user, int64_t bytes)
{
    (void)user;
    if (asked++ == fails_at) return NULL;
    alive++;
    return malloc((size_t)bytes);
}

static void give_back(void *user, void *p)
{
    (void)user;
    alive -= p != NULL;
    free(p);
}

static rob_ctx *ctx;
static void setup(void)
{
    ck_assert_int_eq(rob_ctx_create_with(ask, give_back, NULL, &ctx), ROB_OK);
}
static void teardown(void) { rob_ctx_free(ctx); }

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)                               \
    && !defined(__SANITIZE_THREAD__)
static int64_t mallocs;
extern void *__libc_malloc(size_t n);
void *malloc(size_t n);
void *malloc(size_t n)
{
    mallocs++;
    return __libc_malloc(n);
}
#define MALLOCS mallocs
#else
#define MALLOCS 0
#endif

/* ---- recurrences
 * ---------------------------------------------------------------------- */

enum { T = 9, H = 20 };

static rob_id small_weights(rob_graph *g, rob_shape s, uint64_t stream)
{
    rob_random r = rob_priv_random(5, stream);
    rob_tensor *t;
    ck_assert_int_eq(rob_priv_tensor_create(&ctx->memory, ROB_F64, s, &t), ROB_OK);
    for (int64_t i = 0; i < rob_priv_shape_size(&s); i++)
        ((double *)t->data)[i] = rob_priv_normal(&r) / 4;
    rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

/* next (h, c) of a gated step: the same lines for a body and for an unrolled graph */
static void gated_step(rob_graph *g, rob_id x, rob_id h, rob_id c, rob_id w,
                       rob_id *out)
{
    const int64_t gates[4] = { H, H, H, H };
    rob_id gate[4];
    g_split(g, g_add(g, x, g_matmul(g, h, w, 0, 1)), 1, gates, 4, gate);
    out[1] = g_add(g, g_sigmul(g, gate[1], c), g_sigtanh(g, gate[0], gate[2]));
    out[0] = g_sigtanh(g, gate[3], out[1]);
}

typedef struct net {
    rob_graph *g;
    rob_id x, last, stack;
} net;

/* x (T, B, 4H); last h (B, H) and all h (T, B, H) */
static net make_scan(int64_t batch, int64_t steps, int32_t reverse)
{
    net n;
    rob_graph *b;
    rob_id in[4], out[3];
    ck_assert_int_eq(rob_priv_graph_create(ctx, &n.g), ROB_OK);
    ck_assert_int_eq(rob_priv_graph_create(ctx, &b), ROB_OK);
    n.x = rob_priv_input(n.g, rob_priv_shape3(steps, batch, 4 * H));
    const rob_id zero = rob_priv_fill(n.g, rob_priv_shape2(batch, H), 0);
    const rob_id w = small_weights(n.g, rob_priv_shape2(4 * H, H), 1);
    in[0] = rob_priv_input(b, rob_priv_shape2(batch, H));
    in[1] = rob_priv_input(b, rob_priv_shape2(batch, H));
    in[2] = rob_priv_input(b, rob_priv_shape2(batch, 4 * H));
    in[3] = rob_priv_input(b, rob_priv_shape2(4 * H, H));
    gated_step(b, in[2], in[0], in[1], in[3], out);
    out[2] = out[0];
    const rob_id scan = rob_priv_scan(n.g, b, 2, 1, 1, 1, in, out, steps, reverse,
                                      (rob_id[]){ zero, zero, n.x, w });
    n.last = g_pick(n.g, scan, 0);
    n.stack = g_pick(n.g, scan, 2);
    return n;
}

static net make_unrolled(int64_t batch, int64_t steps, int32_t reverse)
{
    net n;
    rob_id h[T], state[2];
    ck_assert_int_eq(rob_priv_graph_create(ctx, &n.g), ROB_OK);
    n.x = rob_priv_input(n.g, rob_priv_shape3(steps, batch, 4 * H));
    state[0] = state[1] = rob_priv_fill(n.g, rob_priv_shape2(batch, H), 0);
    const rob_id w = small_weights(n.g, rob_priv_shape2(4 * H, H), 1);
    for (int64_t i = 0; i < steps; i++) {
        const int64_t t = reverse ? steps - 1 - i : i;
        const rob_id x =
            g_reshape(n.g, g_slice(n.g, n.x, 0, t, 1), rob_priv_shape2(batch, 4 * H));
        rob_id next[2];
        gated_step(n.g, x, state[0], state[1], w, next);
        state[0] = next[0], state[1] = next[1];
        h[t] = g_reshape(n.g, state[0], rob_priv_shape3(1, batch, H));
    }
    n.last = state[0];
    n.stack = g_concat(n.g, h, (int32_t)steps, 0);
    return n;
}

static double *random_numbers(int64_t n)
{
    rob_random r = rob_priv_random(6, 1);
    double *x = calloc((size_t)n + 1, sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = rob_priv_normal(&r);
    return x;
}

/* values of `want` for input x; the caller frees */
static double *value_of(const rob_graph *g, int32_t dtype, rob_id x,
                        const double *numbers, rob_id want)
{
    rob_plan *plan;
    rob_work *work;
    double *out = calloc((size_t)dense_size(g, want) + 1, sizeof *out);
    ck_assert_msg(rob_priv_plan_create(ctx, g, dtype, &want, NULL, 1, &plan) == ROB_OK,
                  "%s", rob_ctx_error(ctx));
    ck_assert_int_eq(rob_priv_work_create(ctx, plan, &work), ROB_OK);
    rob_priv_work_set(work, x, numbers);
    const int64_t before = asked, malloced = MALLOCS;
    rob_priv_run(work, 0);
    const int64_t after = asked, malloced_after = MALLOCS; /* Check allocates, too */
    ck_assert_int_eq(after, before);
    ck_assert_int_eq(malloced_after, malloced);
    rob_priv_work_get(work, want, out);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    return out;
}

/* The kernels and their order are the same, and so are the bits. */
START_TEST(scans_equal_their_unrolled_graphs)
{
    const int64_t batch = 5, size = T * batch * 4 * H;
    double *x = random_numbers(size);
    for (int32_t k = 0; k < 4; k++) {
        const int32_t reverse = k % 2, dtype = k < 2 ? ROB_F32 : ROB_F64;
        net a = make_scan(batch, T, reverse), b = make_unrolled(batch, T, reverse);
        double *p = value_of(a.g, dtype, a.x, x, a.last),
               *q = value_of(b.g, dtype, b.x, x, b.last);
        double *r = value_of(a.g, dtype, a.x, x, a.stack),
               *s = value_of(b.g, dtype, b.x, x, b.stack);
        ck_assert_int_eq(memcmp(p, q, (size_t)(batch * H) * sizeof *p), 0);
        ck_assert_int_eq(memcmp(r, s, (size_t)(T * batch * H) * sizeof *p), 0);
        ck_assert(p[0] != 0);
        free(p), free(q), free(r), free(s);
        rob_priv_graph_free(a.g);
        rob_priv_graph_free(b.g);
    }
    free(x);
}
END_TEST

/* row r of a batch has the bits it has alone and in any other place, on every ISA */
START_TEST(rows_have_bits_of_their_own)
{
    enum { B = 23 };
    double *x = random_numbers(T * B * 4 * H), *one = calloc(T * 4 * H, sizeof *one);
    double *turned = calloc(T * B * 4 * H, sizeof *turned);
    const int32_t best = ctx->isa;
    for (int32_t k = 0; k < 2 * (best + 1); k++) {
        const int32_t dtype = k % 2 ? ROB_F32 : ROB_F64;
        ctx->isa = k / 2;
        net all = make_scan(B, T, 0), alone = make_scan(1, T, 0);
        double *y = value_of(all.g, dtype, all.x, x, all.stack);
        for (int r = 0; r < B; r++)
            for (int t = 0; t < T; t++)
                memcpy(turned + (t * B + (r + 5) % B) * 4 * H, x + (t * B + r) * 4 * H,
                       4 * H * sizeof *x);
        double *z = value_of(all.g, dtype, all.x, turned, all.stack);
        for (int r = 0; r < B; r++) {
            for (int t = 0; t < T; t++)
                memcpy(one + t * 4 * H, x + (t * B + r) * 4 * H, 4 * H * sizeof *x);
            double *v = value_of(alone.g, dtype, alone.x, one, alone.stack);
            for (int t = 0; t < T; t++) {
                ck_assert_int_eq(memcmp(v + t * H, y + (t * B + r) * H, H * sizeof *v),
                                 0);
                ck_assert_int_eq(
                    memcmp(v + t * H, z + (t * B + (r + 5) % B) * H, H * sizeof *v), 0);
            }
            free(v);
        }
        free(y), free(z);
        rob_priv_graph_free(all.g);
        rob_priv_graph_free(alone.g);
    }
    free(x), free(one), free(turned);
}
END_TEST

/* ---- memory
 * --------------------------------------------------------------------------- */

static int64_t bytes_of(const rob_graph *g, rob_id want)
{
    rob_plan *plan;
    ck_assert_int_eq(rob_priv_plan_create(ctx, g, ROB_F64, &want, NULL, 1, &plan),
                     ROB_OK);
    const int64_t bytes = rob_priv_plan_bytes(plan);
    rob_priv_plan_free(plan);
    return bytes;
}

/* tanh of tanh of ...: one result in place; with the first kept, two */
START_TEST(memory_is_shared_by_liveness)
{
    enum { N = 100000, MANY = 30 };
    rob_graph *g;
    ck_assert_int_eq(rob_priv_graph_create(ctx, &g), ROB_OK);
    const rob_id x = rob_priv_input(g, rob_priv_shape1(N));
    rob_id y = g_unary(g, "tanh", x), first = y;
    for (int i = 0; i < MANY; i++) y = g_unary(g, "tanh", y);
    const int64_t value = N * 8, steps = 1 << 16;
    ck_assert_int_le(bytes_of(g, y), 3 * value + steps); /* x, y kept, one between */
    ck_assert_int_le(bytes_of(g, g_add(g, y, first)), 4 * value + steps);
    ck_assert_int_ge(bytes_of(g, y), 2 * value);
    rob_priv_graph_free(g);
}
END_TEST

START_TEST(memory_cap_is_an_error_that_names_the_need)
{
    rob_graph *g;
    rob_plan *plan = (rob_plan *)&g;
    ck_assert_int_eq(rob_priv_graph_create(ctx, &g), ROB_OK);
    const rob_id y = g_unary(g, "exp", rob_priv_input(g, rob_priv_shape1(1000)));
    ctx->memory_cap = 10000;
    ck_assert_int_eq(rob_priv_plan_create(ctx, g, ROB_F64, &y, NULL, 1, &plan),
                     ROB_EMEMORY);
    ck_assert_ptr_null(plan);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "10000"));
    ctx->memory_cap = 100000;
    ck_assert_int_eq(rob_priv_plan_create(ctx, g, ROB_F64, &y, NULL, 1, &plan), ROB_OK);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(g);
}
END_TEST

/* every allocation in turn fails: ROB_EMEMORY, nothing leaked */
START_TEST(allocators_may_fail_anywhere)
{
    net n = make_scan(3, 4, 1);
    const int64_t before = alive;
    rob_status status = ROB_EMEMORY;
    int64_t k = 0;
    for (; status != ROB_OK; k++) {
        rob_plan *plan = NULL;
        rob_work *work = NULL;
        asked = 0;
        fails_at = k;
        status = rob_priv_plan_create(ctx, n.g, ROB_F32, &n.stack, NULL, 1, &plan);
        if (status == ROB_OK) status = rob_priv_work_create(ctx, plan, &work);
        fails_at = -1;
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        if (status != ROB_OK) ck_assert_ptr_null(work);
        rob_priv_work_free(work);
        rob_priv_plan_free(plan);
        ck_assert_int_eq(alive, before);
    }
    ck_assert_int_gt(k, 20);
    rob_priv_graph_free(n.g);
}
END_TEST

/* ---- products sunk into the loop
 * -------------------------------------------------------- */

/* p = x W + b before the loop, q = stack V behind it; integers, so exact. Large stacks
 * are not made, and the numbers are those of the definitions. */
START_TEST(sunk_products_are_exact_and_save_the_stacks)
{
    enum { S = 64, B = 9, D = 2, F = 160 };
    rob_graph *g, *b;
    ck_assert_int_eq(rob_priv_graph_create(ctx, &g), ROB_OK);
    ck_assert_int_eq(rob_priv_graph_create(ctx, &b), ROB_OK);
    const rob_id x = rob_priv_input(g, rob_priv_shape3(S, B, D));
    const rob_id w = rob_priv_fill(g, rob_priv_shape2(D, F), 2);
    const rob_id v = rob_priv_fill(g, rob_priv_shape2(3, F), 1);
    const rob_id bias = rob_priv_input(g, rob_priv_shape1(F));
    const rob_id p = g_add(
        g, g_matmul(g, g_reshape(g, x, rob_priv_shape2(S * B, D)), w, 0, 0), bias);
    const rob_id in[2] = { rob_priv_input(b, rob_priv_shape2(B, F)),
                           rob_priv_input(b, rob_priv_shape2(B, F)) };
    const rob_id next = g_unary(b, "sign", g_sub(b, in[1], in[0]));
    const rob_id out[2] = { next, g_affine(b, g_add(b, in[1], in[0]), 1, 1) };
    const rob_id scan =
        rob_priv_scan(g, b, 1, 1, 0, 1, in, out, S, 0,
                      (rob_id[]){ rob_priv_fill(g, rob_priv_shape2(B, F), 1),
                                  g_reshape(g, p, rob_priv_shape3(S, B, F)) });
    const rob_id q = g_matmul(
        g, g_reshape(g, g_pick(g, scan, 1), rob_priv_shape2(S * B, F)), v, 0, 1);
    ck_assert_int_eq(rob_priv_graph_status(ctx, g), ROB_OK);
    ck_assert_int_le(bytes_of(g, q), S * B * F * 8); /* neither stack: two of these */

    rob_plan *plan;
    rob_work *work;
    double **input = calloc((size_t)rob_priv_graph_count(g), sizeof *input);
    double *got = calloc(S * B * 3, sizeof *got);
    rob_random r = rob_priv_random(8, 8);
    ck_assert_int_eq(rob_priv_plan_create(ctx, g, ROB_F64, &q, NULL, 1, &plan), ROB_OK);
    ck_assert_int_eq(rob_priv_work_create(ctx, plan, &work), ROB_OK);
    const rob_id inputs[2] = { x, bias };
    for (int i = 0; i < 2; i++) {
        const int64_t n = dense_size(g, inputs[i]);
        input[inputs[i]] = calloc((size_t)n, sizeof(double));
        for (int64_t e = 0; e < n; e++)
            input[inputs[i]][e] = (double)rob_priv_below(&r, 9) - 4;
        rob_priv_work_set(work, inputs[i], input[inputs[i]]);
    }
    rob_priv_run(work, 0);
    rob_priv_work_get(work, q, got);
    dense truth = dense_eval(g, input);
    ck_assert_int_eq(memcmp(got, truth.value[q], S * B * 3 * sizeof *got), 0);
    dense_free(&truth);
    free(input[x]), free(input[bias]), free(input), free(got);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(g);
}
END_TEST

/* ---- memory taken over, memory asked for twice
 * ---------------------------------------- */

/* want of g for x = 1, -2, 3, ... as the definitions have it, to the bit */
static void check_exact(rob_graph *g, rob_id x, rob_id want)
{
    const int64_t n = dense_size(g, x);
    double **input = calloc((size_t)rob_priv_graph_count(g), sizeof *input);
    ck_assert_int_eq(rob_priv_graph_status(ctx, g), ROB_OK);
    input[x] = calloc((size_t)n, sizeof(double));
    for (int64_t i = 0; i < n; i++) input[x][i] = (double)((i + 1) * (i % 2 ? -1 : 1));
    dense truth = dense_eval(g, input);
    double *got = value_of(g, ROB_F32, x, input[x], want);
    for (int64_t i = 0; i < dense_size(g, want); i++)
        ck_assert(got[i] == truth.value[want][i]);
    dense_free(&truth);
    free(got), free(input[x]), free(input);
}

/* v - (row r of v): v dies here, but its memory must not be the result's */
START_TEST(a_result_does_not_overwrite_what_is_still_read)
{
    for (int64_t row = 0; row < 3; row++) {
        rob_graph *g;
        ck_assert_int_eq(rob_priv_graph_create(ctx, &g), ROB_OK);
        const rob_shape s = rob_priv_shape2(3, 40);
        const rob_id x = rob_priv_input(g, s), v = g_unary(g, "abs", x);
        check_exact(
            g, x,
            g_affine(g, g_sub(g, v, g_expand(g, g_slice(g, v, 0, row, 1), s)), 2, 0));
        check_exact(
            g, x,
            g_affine(g, g_sub(g, g_expand(g, g_slice(g, v, 0, row, 1), s), v), 2, 0));
        check_exact(g, x, g_affine(g, g_mul(g, v, v), 2, 0));
        rob_priv_graph_free(g);
    }
}
END_TEST

/* one value is the next carry, twice, a stacked output and an operand of two concats */
START_TEST(a_value_may_be_wanted_in_several_places)
{
    for (int32_t reverse = 0; reverse < 2; reverse++) {
        rob_graph *g, *b;
        const rob_shape s = rob_priv_shape2(3, 4);
        ck_assert_int_eq(rob_priv_graph_create(ctx, &g), ROB_OK);
        ck_assert_int_eq(rob_priv_graph_create(ctx, &b), ROB_OK);
        const rob_id x = rob_priv_input(g, rob_priv_shape3(5, 3, 4)),
                     one = rob_priv_fill(g, s, 1);
        const rob_id in[3] = { rob_priv_input(b, s), rob_priv_input(b, s),
                               rob_priv_input(b, s) };
        const rob_id n = g_unary(b, "relu", g_add(b, in[2], in[0]));
        const rob_id out[5] = { n, n, n, g_concat(b, (rob_id[]){ n, in[1] }, 2, 1),
                                g_concat(b, (rob_id[]){ in[0], n, n }, 3, 0) };
        const rob_id scan = rob_priv_scan(g, b, 2, 1, 0, 3, in, out, 5, reverse,
                                          (rob_id[]){ one, one, x });
        for (int32_t k = 0; k < 5; k++) check_exact(g, x, g_pick(g, scan, k));
        check_exact(g, x,
                    g_sub(g, g_pick(g, scan, 0),
                          g_reshape(g, g_slice(g, g_pick(g, scan, 2), 0, 2, 1), s)));
        rob_priv_graph_free(g);
    }
}
END_TEST

/* ---- arguments
 * ------------------------------------------------------------------------ */

START_TEST(wrong_arguments_are_named)
{
    net n = make_scan(2, 3, 0);
    rob_plan *plan;
    const rob_id bad[2] = { n.x, 12345 }, good[2] = { n.x, n.last };
    const int32_t falling[2] = { 1, 0 };
    ck_assert_int_eq(rob_priv_plan_create(ctx, n.g, 3, good, NULL, 2, &plan),
                     ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "dtype"));
    ck_assert_int_eq(rob_priv_plan_create(ctx, n.g, ROB_F32, bad, NULL, 2, &plan),
                     ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "want[1] = 12345"));
    ck_assert_int_eq(rob_priv_plan_create(ctx, n.g, ROB_F32, good, falling, 2, &plan),
                     ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "stage[1] = 0"));
    ck_assert_int_eq(rob_priv_plan_create(ctx, n.g, ROB_F32, good, NULL, 0, &plan),
                     ROB_EARGUMENT);
    ck_assert_ptr_null(plan);
    rob_priv_graph_free(n.g);
}
END_TEST

/* two workspaces of one plan do not see each other; what is neither input nor wanted:
 * NULL */
START_TEST(workspaces_are_apart)
{
    rob_graph *g;
    rob_plan *plan;
    rob_work *a, *b;
    double out[2];
    ck_assert_int_eq(rob_priv_graph_create(ctx, &g), ROB_OK);
    const rob_id x = rob_priv_input(g, rob_priv_shape1(1)), m = g_affine(g, x, 2, 0);
    const rob_id y = g_affine(g, g_unary(g, "abs", m), 1, 1);
    ck_assert_int_eq(rob_priv_plan_create(ctx, g, ROB_F64, &y, NULL, 1, &plan), ROB_OK);
    ck_assert_int_eq(rob_priv_work_create(ctx, plan, &a), ROB_OK);
    ck_assert_int_eq(rob_priv_work_create(ctx, plan, &b), ROB_OK);
    rob_priv_work_set(a, x, &(double){ -3 });
    rob_priv_work_set(b, x, &(double){ 5 });
    rob_priv_run(a, 0);
    rob_priv_run(b, 0);
    rob_priv_work_get(a, y, &out[0]);
    rob_priv_work_get(b, y, &out[1]);
    ck_assert(out[0] == 7 && out[1] == 11);
    ck_assert_ptr_null(rob_priv_work_at(a, m));
    ck_assert_ptr_null(rob_priv_work_at(a, 999));
    rob_priv_run(a, 7); /* no such stage: nothing */
    rob_priv_work_free(a);
    rob_priv_work_free(b);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plan");
    TCase *c = tcase_create("plan");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, scans_equal_their_unrolled_graphs);
    tcase_add_test(c, rows_have_bits_of_their_own);
    tcase_add_test(c, memory_is_shared_by_liveness);
    tcase_add_test(c, memory_cap_is_an_error_that_names_the_need);
    tcase_add_test(c, allocators_may_fail_anywhere);
    tcase_add_test(c, sunk_products_are_exact_and_save_the_stacks);
    tcase_add_test(c, a_result_does_not_overwrite_what_is_still_read);
    tcase_add_test(c, a_value_may_be_wanted_in_several_places);
    tcase_add_test(c, wrong_arguments_are_named);
    tcase_add_test(c, workspaces_are_apart);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
