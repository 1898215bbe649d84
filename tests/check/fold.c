/* fold.c -- the node constructor's shortcuts: zeros, ones, scales, twins.
 *
 * Each fold gives the node it should, and the same values as the formula it replaces.
 */
#include "program.h"

START_TEST(zeros_ones_and_twins_are_folded)
{
    rob_ctx *ctx;
    rob_graph *g;
    must(NULL, rob_ctx_create(&ctx));
    must(ctx, rob_priv_graph_create(ctx, &g));
    rob_shape s = rob_priv_shape2(2, 3);
    rob_id a = rob_priv_input(g, s), b = rob_priv_input(g, s), m = rob_priv_input(g, s);
    rob_id zero = rob_priv_fill(g, s, 0), one = rob_priv_fill(g, s, 1);
    double v;
    ck_assert_int_eq(g_add(g, a, zero), a);
    ck_assert_int_eq(g_mul(g, one, a), a);
    ck_assert(rob_priv_is_fill(g, g_mul(g, a, zero), &v) && v == 0);
    ck_assert_int_eq(g_sub(g, a, zero), a);
    ck_assert(rob_priv_is_fill(g, g_sub(g, a, a), &v) && v == 0);
    ck_assert_int_eq(g_add(g, a, b), g_add(g, b, a));
    ck_assert_int_eq(g_mul(g, a, b), g_mul(g, b, a));
    ck_assert_int_eq(g_mul(g, a, a), g_unary(g, "square", a));
    ck_assert_int_eq(g_mul(g, g_neg(g, a), g_neg(g, b)), g_mul(g, a, b));
    ck_assert_int_eq(g_affine(g, g_affine(g, a, 2, 3), 0.5, -1.5), a);
    ck_assert_int_eq(g_transpose(g, g_transpose(g, a)), a);
    ck_assert_int_eq(g_matmul(g, g_transpose(g, a), b, 0, 0), g_matmul(g, a, b, 1, 0));
    ck_assert(rob_priv_is_fill(g, g_matmul(g, a, zero, 0, 1), &v) && v == 0);
    ck_assert_int_eq(g_where(g, one, a, b), a);
    ck_assert_int_eq(g_where(g, zero, a, b), b);
    ck_assert_int_eq(g_where(g, m, a, a), a);
    ck_assert_int_eq(g_reshape(g, g_reshape(g, a, rob_priv_shape1(6)), s), a);
    ck_assert(rob_priv_is_fill(g, g_sum(g, one), &v) && v == 6);
    ck_assert_int_eq(g_sub(g, a, g_neg(g, b)), g_add(g, a, b));
    ck_assert_int_eq(g_sigmul(g, a, zero), zero);
    ck_assert_int_eq(g_blend(g, m, a, a), a);
    must(ctx, rob_priv_graph_status(ctx, g));
    rob_priv_graph_free(g);
    rob_ctx_free(ctx);
}
END_TEST

/* Folded forms against the same formulas over inputs that hold the constants, where
 * there is nothing to fold: equal up to a few roundings of terms below 8. */
enum { A, B, TWIN, ZERO, ONE, MINUS, THREE, ROW, CUBE, INPUTS };

static int32_t write_pairs(rob_graph *g, const rob_id *x, rob_id (*pair)[2])
{
    const rob_id a = x[A], b = x[B], c = x[CUBE];
    const rob_shape s = rob_priv_shape2(2, 3), row = rob_priv_shape2(1, 3);
    const rob_id zero = rob_priv_fill(g, s, 0), one = rob_priv_fill(g, s, 1);
    const rob_id three = rob_priv_fill(g, s, 3), na = g_neg(g, a), nb = g_neg(g, b);
    const rob_id ma = g_mul(g, a, x[MINUS]), mb = g_mul(g, b, x[MINUS]);
    const rob_id pairs[][2] = {
        { g_add(g, a, a), g_add(g, a, x[TWIN]) },
        { g_add(g, zero, a), g_add(g, x[ZERO], a) },
        { g_add(g, a, three), g_add(g, a, x[THREE]) },
        { g_add(g, a, nb), g_add(g, a, mb) },
        { g_add(g, na, b), g_add(g, ma, b) },
        { g_sub(g, a, nb), g_sub(g, a, mb) },
        { g_sub(g, three, a), g_sub(g, x[THREE], a) },
        { g_sub(g, a, three), g_sub(g, a, x[THREE]) },
        { g_sub(g, a, a), g_sub(g, a, x[TWIN]) },
        { g_neg(g, g_sub(g, a, b)), g_sub(g, b, a) },
        { g_mul(g, a, a), g_mul(g, a, x[TWIN]) },
        { g_mul(g, a, three), g_mul(g, a, x[THREE]) },
        { g_mul(g, na, b), g_mul(g, ma, b) },
        { g_mul(g, a, g_affine(g, b, 3, 0)), g_mul(g, a, g_mul(g, b, x[THREE])) },
        { g_mul(g, one, a), g_mul(g, x[ONE], a) },
        { g_affine(g, g_affine(g, a, 3, 1), -1, 1),
          g_sub(g, x[ONE], g_add(g, g_mul(g, a, x[THREE]), x[ONE])) },
        { g_unary(g, "abs", na), g_unary(g, "abs", ma) },
        { g_unary(g, "square", g_affine(g, a, 3, 0)),
          g_unary(g, "square", g_mul(g, a, x[THREE])) },
        { g_where(g, one, a, b), g_where(g, x[ONE], a, b) },
        { g_where(g, zero, a, b), g_where(g, x[ZERO], a, b) },
        { g_sigmul(g, a, three), g_sigmul(g, a, x[THREE]) },
        { g_sigtanh(g, a, zero), g_sigtanh(g, a, x[ZERO]) },
        { g_blend(g, a, zero, b), g_blend(g, a, x[ZERO], b) },
        { g_blend(g, a, b, b), g_blend(g, a, b, g_mul(g, b, x[ONE])) },
        { g_matmul(g, g_transpose(g, a), b, 0, 0), g_matmul(g, a, b, 1, 0) },
        { g_matmul(g, a, g_transpose(g, b), 0, 0), g_matmul(g, a, b, 0, 1) },
        { g_matmul(g, na, b, 1, 0), g_matmul(g, ma, b, 1, 0) },
        { g_matmul(g, zero, b, 0, 1), g_matmul(g, x[ZERO], b, 0, 1) },
        { g_sum_to(g, g_expand(g, x[ROW], s), row),
          g_add(g, x[ROW], g_mul(g, x[ROW], g_slice(g, x[ONE], 0, 0, 1))) },
        { g_sum(g, na), g_sum(g, ma) },
        { g_sum(g, g_sum_to(g, a, row)), g_sum(g, g_add(g, a, x[ZERO])) },
        { g_sum_to(g, three, row), g_sum_to(g, x[THREE], row) },
        { g_permute(g, g_permute(g, c, (const int32_t[]){ 2, 0, 1 }),
                    (const int32_t[]){ 0, 2, 1 }),
          g_permute(g, c, (const int32_t[]){ 2, 1, 0 }) },
        { g_reshape(g, g_reshape(g, a, rob_priv_shape1(6)), rob_priv_shape2(3, 2)),
          g_reshape(g, a, rob_priv_shape2(3, 2)) },
        { g_expand(g, g_expand(g, x[ROW], s), rob_priv_shape3(4, 2, 3)),
          g_expand(g, g_add(g, g_expand(g, x[ROW], s), x[ZERO]),
                   rob_priv_shape3(4, 2, 3)) },
    };
    memcpy(pair, pairs, sizeof pairs);
    return (int32_t)COUNT_OF(pairs);
}

START_TEST(folded_formulas_have_the_same_values)
{
    rob_ctx *ctx;
    rob_graph *g;
    rob_id x[INPUTS], pair[64][2];
    double value[INPUTS][30], left[30], right[30];
    given in[INPUTS];
    must(NULL, rob_ctx_create(&ctx));
    must(ctx, rob_priv_graph_create(ctx, &g));
    rob_random r = rob_priv_random(12, 0);
    for (int32_t k = 0; k < INPUTS; k++) {
        const double fixed[INPUTS] = {
            [ZERO] = 0, [ONE] = 1, [MINUS] = -1, [THREE] = 3
        };
        rob_shape s =
            k == CUBE ? rob_priv_shape3(2, 3, 5) : rob_priv_shape2(k == ROW ? 1 : 2, 3);
        for (int64_t e = 0; e < 30; e++)
            value[k][e] =
                k >= ZERO && k <= THREE ? fixed[k] : rob_priv_uniform(&r) - 0.5;
        x[k] = rob_priv_input(g, s);
        in[k] = (given){ x[k], value[k] };
    }
    memcpy(value[TWIN], value[A], sizeof value[A]);
    int32_t pairs = write_pairs(g, x, pair);
    for (int32_t k = 0; k < pairs; k++) {
        rob_shape s = rob_priv_shape(g, pair[k][0]), t = rob_priv_shape(g, pair[k][1]);
        ck_assert_msg(rob_priv_shape_equal(&s, &t), "pair %d", (int)k);
        evaluate(ctx, g, ROB_F64, in, INPUTS, pair[k], 1, (double *[]){ left });
        evaluate(ctx, g, ROB_F64, in, INPUTS, pair[k] + 1, 1, (double *[]){ right });
        for (int64_t e = 0; e < rob_priv_shape_size(&s); e++)
            ck_assert_msg(fabs(left[e] - right[e]) <= 16 * 0x1p-52 * 8,
                          "pair %d: %g, not %g", (int)k, left[e], right[e]);
    }
    rob_priv_graph_free(g);
    rob_ctx_free(ctx);
}
END_TEST

/* A second derivative of a gate adds few nodes: the partials exist once. */
START_TEST(partials_are_shared)
{
    rob_ctx *ctx;
    rob_graph *g;
    must(NULL, rob_ctx_create(&ctx));
    must(ctx, rob_priv_graph_create(ctx, &g));
    rob_id x = rob_priv_input(g, rob_priv_shape1(4)),
           v = rob_priv_input(g, rob_priv_shape1(4));
    rob_id y = g_unary(g, "tanh", x), again = ROB_NONE, dy = ROB_NONE;
    rob_priv_jvp(g, &x, &v, 1, &y, 1, &dy);
    int32_t before = rob_priv_graph_count(g);
    rob_priv_vjp(g, &y, &v, 1, &x, 1, &again);
    ck_assert_int_eq(again, dy);
    ck_assert_int_eq(rob_priv_graph_count(g), before);
    rob_priv_graph_free(g);
    rob_ctx_free(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fold");
    TCase *t = tcase_create("fold");
    tcase_add_test(t, zeros_ones_and_twins_are_folded);
    tcase_add_test(t, folded_formulas_have_the_same_values);
    tcase_add_test(t, partials_are_shared);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
