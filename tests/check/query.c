/* query.c -- queries: arguments, specifications, units, evaluation of many rows. */
#include "harness.h"
#include "models.h"

#include "query/query.h"

#include <math.h>

static rob_ctx *ctx;
static rob_model *model;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = affine_model(ctx, 2, 3);
}

static void stop(void)
{
    rob_model_free(model);
    rob_ctx_free(ctx);
}

static rob_query *query_of(const rob_model *m, int64_t series, int64_t steps)
{
    rob_query *q;
    double x[400];
    ck_assert_int_eq(rob_query_create(ctx, m, &q), ROB_OK);
    for (int64_t i = 0; i < series; i++) {
        test_series(x, steps * m->recipe.features, (uint64_t)i);
        ck_assert_int_eq(rob_query_add(ctx, q, x, steps, -1), ROB_OK);
    }
    return q;
}

static double number(rob_query *q, const char *what, int64_t i)
{
    double v = -77;
    ck_assert_msg(rob_query_get(ctx, q, what, i, &v, 1, NULL) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return v;
}

START_TEST(bad_arguments_are_named)
{
    rob_query *q = query_of(model, 1, 3);
    double x[6] = { 0, 1, 2, NAN, 4, 5 };
    ck_assert_int_eq(rob_query_add(ctx, q, x, 3, -1), ROB_EDOMAIN);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "series 1, step 1, feature 1"));
    x[3] = -INFINITY;
    ck_assert_int_eq(rob_query_replace(ctx, q, 0, x, 3, -1), ROB_EDOMAIN);
    ck_assert_int_eq(rob_query_count(q), 1);
    x[3] = 0;
    ck_assert_int_eq(rob_query_add(ctx, q, x, 0, -1), ROB_ESHAPE);
    ck_assert_int_eq(rob_query_add(ctx, q, x, 3, 3), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_add(ctx, q, x, 3, -2), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_add(ctx, q, NULL, 3, 0), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_replace(ctx, q, 1, x, 3, 0), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, 3, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_L2, -1), ROB_EDOMAIN);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_L2, NAN), ROB_EDOMAIN);
    ck_assert_int_eq(rob_query_set_units(ctx, q, 2), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_reference(ctx, q, -1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_target(ctx, q, 0, 3), ROB_EARGUMENT);
    uint8_t mask[5] = { 0 };
    ck_assert_int_eq(rob_query_set_mask(ctx, q, 0, mask, 5), ROB_ESHAPE);
    ck_assert_int_eq(rob_query_set_mask(ctx, q, -1, mask, 5), ROB_ESHAPE);
    double out = 3;
    ck_assert_int_eq(rob_query_get(ctx, q, "margni", 0, &out, 1, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", 1, &out, 1, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", -1, &out, 0, NULL), ROB_ESHAPE);
    ck_assert_double_eq(out, 3);
    rob_query_free(q);
    q = (rob_query *)&out;
    ck_assert_int_eq(rob_query_create(ctx, NULL, &q), ROB_EARGUMENT);
    ck_assert_ptr_null(q);
    ck_assert_int_eq(rob_query_create(NULL, model, &q), ROB_EARGUMENT);
}
END_TEST

/* The affine classifier in closed form. f is a sum of terms of size 40. */
START_TEST(margins_are_the_closed_form)
{
    enum { T = 4, N = 9 };
    rob_query *q = query_of(model, N, T);
    for (int64_t i = 0; i < N; i++) {
        double f[3], x[T * 2];
        int64_t count;
        ck_assert_int_eq(rob_query_get(ctx, q, "x", i, x, T * 2, &count), ROB_OK);
        ck_assert_int_eq(count, T * 2);
        ck_assert_int_eq(rob_model_predict(ctx, model, x, T, f, 3), ROB_OK);
        int64_t c = rob_priv_argmax(f, 3);
        double margin = INFINITY;
        for (int64_t k = 0; k < 3; k++)
            if (k != c && f[c] - f[k] < margin) margin = f[c] - f[k];
        ck_assert_int_eq((int64_t)number(q, "prediction", i), c);
        ck_assert_double_eq_tol(number(q, "margin", i), margin, 40 * 2.3e-16 * 16);
        ck_assert_double_eq(number(q, "wrong", i), 0);
        ck_assert_double_eq(number(q, "best", i), INFINITY);
    }
    rob_query_free(q);
}
END_TEST

START_TEST(labels_and_targets)
{
    rob_query *q = query_of(model, 1, 4);
    int64_t c = (int64_t)number(q, "prediction", 0), other = (c + 1) % 3;
    double x[8], f[3];
    ck_assert_int_eq(rob_query_set_reference(ctx, q, ROB_REFERENCE_LABEL), ROB_OK);
    double out = 5;
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", 0, &out, 1, NULL), ROB_EARGUMENT);
    ck_assert_double_eq(out, 5);
    test_series(x, 8, 0);
    ck_assert_int_eq(rob_query_replace(ctx, q, 0, x, 4, other), ROB_OK);
    ck_assert_double_eq(number(q, "wrong", 0), 1);
    ck_assert(number(q, "margin", 0) < 0);
    ck_assert_double_eq(number(q, "reference", 0), (double)other);
    ck_assert_int_eq(rob_query_set_reference(ctx, q, ROB_REFERENCE_PREDICTION), ROB_OK);
    ck_assert_int_eq(rob_query_set_target(ctx, q, 0, other), ROB_OK);
    ck_assert_int_eq(rob_model_predict(ctx, model, x, 4, f, 3), ROB_OK);
    /* max over k of f_k - f_target = f_c - f_target */
    ck_assert_double_eq_tol(number(q, "margin", 0), f[c] - f[other], 2e-12);
    ck_assert_int_eq(rob_query_set_target(ctx, q, -1, c), ROB_OK);
    ck_assert_double_eq(number(q, "wrong", 0), 1);
    rob_query_free(q);
}
END_TEST

START_TEST(rows_are_or_of_ands)
{
    static const double c[4 * 2] = { 1, 0, 0, 1, -1, 0, 0, -1 }, b[4] = { 0, 0, 3, 3 };
    static int32_t group[4] = { 0, 0, 1, 1 };
    rob_spec s = { .rows = 4,
                   .groups = 2,
                   .outputs = 2,
                   .c = (double *)c,
                   .b = (double *)b,
                   .group = group };
    int64_t row;
    /* groups: max(f0, f1) and max(3 - f0, 3 - f1); least of them */
    ck_assert_double_eq(rob_priv_spec_margin(&s, (double[]){ 1, 2 }, &row), 2);
    ck_assert_double_eq(rob_priv_spec_margin(&s, (double[]){ -1, -2 }, &row), -1);
    ck_assert_int_eq(row, 0);
    ck_assert_double_eq(rob_priv_spec_margin(&s, (double[]){ 4, 5 }, &row), -1);
    ck_assert_int_eq(row, 2);
    ck_assert_double_eq(rob_priv_spec_margin(&s, (double[]){ -1, 5 }, &row), 4);
    ck_assert(isnan(rob_priv_spec_margin(&s, (double[]){ NAN, -5 }, &row)));
    ck_assert(isnan(rob_priv_spec_margin(&s, (double[]){ -5, NAN }, &row)));
    rob_query *q = query_of(model, 2, 4);
    double five[5 * 3] = { 0 }, shift[5] = { 1, 2, 3, -4, 6 };
    ck_assert_int_eq(
        rob_query_set_rows(ctx, q, five, shift, (int32_t[]){ 0, 1, 2, 3, 3 }, 5),
        ROB_OK);
    ck_assert_double_eq(number(q, "margin", 1), 1);
    ck_assert_int_eq(rob_query_set_rows(ctx, q, five, shift, NULL, 5), ROB_OK);
    ck_assert_double_eq(number(q, "margin", 1), 6);
    ck_assert_int_eq(rob_query_set_rows(ctx, q, five, shift, (int32_t[]){ 1, 0 }, 2),
                     ROB_EARGUMENT);
    ck_assert_int_eq(
        rob_query_set_rows(ctx, q, (double[]){ INFINITY, 0, 0 }, NULL, NULL, 1),
        ROB_EDOMAIN);
    ck_assert_int_eq(rob_query_set_rows(ctx, q, NULL, NULL, NULL, 0), ROB_OK);
    ck_assert_double_ne(number(q, "margin", 1), 6);
    rob_query_free(q);
}
END_TEST

START_TEST(one_output_needs_rows)
{
    rob_model *m = affine_model(ctx, 1, 1);
    rob_query *q = query_of(m, 1, 4);
    double out;
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", 0, &out, 1, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_query_set_rows(ctx, q, (double[]){ 1, -1 },
                                        (double[]){ 100, 200 }, (int32_t[]){ 0, 1 }, 2),
                     ROB_OK);
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", 0, &out, 1, NULL), ROB_OK);
    ck_assert(out > 0);
    rob_query_free(q);
    rob_model_free(m);
}
END_TEST

START_TEST(units_in_either_order)
{
    model->recipe.input_scale = -4;
    rob_query *q = query_of(model, 1, 4);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, ROB_NORM_L2, 3), ROB_OK);
    ck_assert_double_eq(rob_priv_query_radius(q), 12);
    ck_assert_double_eq(rob_priv_query_unit(q), 0.25);
    ck_assert_int_eq(rob_query_set_units(ctx, q, ROB_UNITS_DATA), ROB_OK);
    ck_assert_double_eq(rob_priv_query_radius(q), 3);
    ck_assert_double_eq(rob_priv_query_unit(q), 1);
    rob_query_free(q);
}
END_TEST

START_TEST(norms)
{
    const double d[3] = { 3, -4, 0 }, tiny[2] = { 3e-200, 4e-200 },
                 huge[2] = { 3e200, 4e200 };
    ck_assert_double_eq(rob_priv_norm(ROB_NORM_L1, d, 3), 7);
    ck_assert_double_eq(rob_priv_norm(ROB_NORM_L2, d, 3), 5);
    ck_assert_double_eq(rob_priv_norm(ROB_NORM_LINF, d, 3), 4);
    /* squared, these leave the range of double; 4 eps: two products, a sum, a root */
    ck_assert_double_eq_tol(rob_priv_norm(ROB_NORM_L2, tiny, 2) / 5e-200, 1, 1e-15);
    ck_assert_double_eq_tol(rob_priv_norm(ROB_NORM_L2, huge, 2) / 5e200, 1, 1e-15);
    ck_assert(isnan(rob_priv_norm(ROB_NORM_LINF, (double[]){ NAN, 1 }, 2)));
    ck_assert_double_eq(rob_priv_norm(ROB_NORM_L2, d, 0), 0);
}
END_TEST

/* ---- many rows ------------------------------------------------------------------- */

enum { ROWS = 70, MOST = 12, D2 = 2, L3 = 3 };
typedef struct rows {
    double x[ROWS][MOST * D2], grad[ROWS][MOST * D2], logits[ROWS][L3];
    const double *point[ROWS];
    double *to[ROWS];
    int64_t steps[ROWS];
} rows;

static void first_minus_second(void *user, int64_t row, const double *logits,
                               double *seed)
{
    (void)user;
    (void)row;
    (void)logits;
    seed[0] = 1;
    seed[1] = -1;
}

static void fill_rows(rows *r, bool differ)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < ROWS; i++) {
        test_series(r->x[i], MOST * D2, (uint64_t)i);
        r->point[i] = r->x[i];
        r->to[i] = r->grad[i];
        r->steps[i] = differ ? 1 + i % MOST : MOST;
    }
}

static void run_rows(rows *r, const rob_model *m, int32_t dtype, int64_t count,
                     int64_t steps, bool differ, int32_t threads)
{
    rob_evaluator *e;
    ck_assert_int_eq(rob_ctx_set_threads(ctx, threads), ROB_OK);
    ck_assert_int_eq(rob_priv_evaluator_create(ctx, m, dtype, steps, differ, true, &e),
                     ROB_OK);
    ck_assert_msg(rob_priv_gradients(ctx, e, count, r->point, r->steps, r->logits[0],
                                     first_minus_second, NULL, r->to)
                      == ROB_OK,
                  "%s", rob_ctx_error(ctx));
    rob_priv_evaluator_free(e);
}

static void rows_equal(const rows *a, const rows *b, int64_t count)
{
    ck_assert_mem_eq(a->logits, b->logits, (size_t)count * sizeof a->logits[0]);
    for (int64_t i = 0; i < count; i++)
        ck_assert_mem_eq(a->grad[i], b->grad[i],
                         (size_t)(a->steps[i] * D2) * sizeof(double));
}

static const int32_t kinds[3] = { ROB_KIND_RNN_TANH, ROB_KIND_RNN_RELU, ROB_KIND_LSTM };

START_TEST(bits_do_not_depend_on_threads_or_tiles)
{
    static rows all, some;
    rob_model *m = test_model(ctx, kinds[_i % 3], D2, 7, L3, _i / 3, ROB_F32, 0.6);
    for (int32_t dtype = ROB_F32; dtype <= ROB_F64; dtype += 32) {
        fill_rows(&all, true);
        run_rows(&all, m, dtype, ROWS, MOST, true, 1);
        static const int64_t counts[] = { 1, 5, 9, 33, ROWS };
        for (int k = 0; k < 5; k++) {
            fill_rows(&some, true);
            run_rows(&some, m, dtype, counts[k], MOST, true, 1 + k % 2);
            rows_equal(&some, &all, counts[k]);
        }
    }
    rob_model_free(m);
}
END_TEST

START_TEST(unequal_lengths_equal_the_row_alone)
{
    static rows all, one;
    rob_model *m = test_model(ctx, kinds[_i % 3], D2, 7, L3, _i / 3, ROB_F32, 0.6);
    for (int32_t dtype = ROB_F32; dtype <= ROB_F64; dtype += 32) {
        fill_rows(&all, true);
        run_rows(&all, m, dtype, ROWS, MOST, true, 1);
        for (int k = 0; k < MOST + 2; k++) {
            fill_rows(&one, true);
            one.point[0] = all.x[k];
            one.steps[0] = all.steps[k];
            run_rows(&one, m, dtype, 1, one.steps[0], false, 1);
            ck_assert_mem_eq(one.logits[0], all.logits[k], sizeof one.logits[0]);
            ck_assert_mem_eq(one.grad[0], all.grad[k],
                             (size_t)(one.steps[0] * D2) * sizeof(double));
        }
    }
    rob_model_free(m);
}
END_TEST

/* Central differences with step h: error h^2/6 |f'''| + eps |f|/h ~ 1e-10 + 2e-11 for
 * h = 1e-5 and third derivatives up to a few. */
START_TEST(gradients_match_differences)
{
    static rows all, moved;
    rob_model *m = test_model(ctx, kinds[_i % 3], D2, 7, L3, _i / 3, ROB_F64, 0.6);
    fill_rows(&all, true);
    run_rows(&all, m, ROB_F64, ROWS, MOST, true, 2);
    const double h = 1e-5;
    for (int64_t k = 0; k < all.steps[MOST - 1] * D2; k += 3) {
        fill_rows(&moved, true);
        moved.steps[0] = moved.steps[1] = MOST;
        memcpy(moved.x[0], all.x[MOST - 1], sizeof moved.x[0]);
        memcpy(moved.x[1], all.x[MOST - 1], sizeof moved.x[0]);
        moved.x[0][k] += h;
        moved.x[1][k] -= h;
        run_rows(&moved, m, ROB_F64, 2, MOST, true, 1);
        double up = moved.logits[0][0] - moved.logits[0][1];
        double down = moved.logits[1][0] - moved.logits[1][1];
        ck_assert_double_eq_tol((up - down) / (2 * h), all.grad[MOST - 1][k], 1e-9);
    }
    rob_model_free(m);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------- */

START_TEST(replacing_allocates_nothing)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own),
                     ROB_OK);
    rob_model *m = test_model(own, ROB_KIND_LSTM, 1, 5, 2, 0, ROB_F32, 0.6);
    rob_query *q;
    double x[20], margin, before;
    ck_assert_int_eq(rob_query_create(own, m, &q), ROB_OK);
    test_series(x, 20, 1);
    ck_assert_int_eq(rob_query_add(own, q, x, 20, -1), ROB_OK);
    ck_assert_int_eq(rob_query_get(own, q, "margin", 0, &before, 1, NULL), ROB_OK);
    int64_t asked = c.asked;
    for (uint64_t k = 2; k < 9; k++) {
        test_series(x, 20, k);
        ck_assert_int_eq(rob_query_replace(own, q, 0, x, 20, -1), ROB_OK);
        ck_assert_int_eq(rob_query_get(own, q, "margin", 0, &margin, 1, NULL), ROB_OK);
        ck_assert_double_ne(margin, before);
    }
    ck_assert_int_eq(c.asked, asked);
    rob_query_free(q);
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

static rob_status ask(rob_ctx *own, const rob_model *m, double *margin)
{
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    double x[8], c[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    uint8_t mask[8] = { 1 };
    test_series(x, 8, 1);
    TRY(rob_query_create(own, m, &q));
    for (int k = 0; k < 6; k++) {
        int64_t count = rob_query_count(q);
        status = rob_query_add(own, q, x, 4, 0);
        ck_assert_int_eq(rob_query_count(q), count + (status == ROB_OK));
        TRY(status);
    }
    TRY(rob_query_set_mask(own, q, -1, mask, 8));
    TRY(rob_query_set_rows(own, q, c, NULL, NULL, 3));
    TRY(rob_query_get(own, q, "margin", 5, margin, 1, NULL));
    TRY(rob_query_set_rows(own, q, NULL, NULL, NULL, 0));
    TRY(rob_query_get(own, q, "margin", 5, margin, 1, NULL));
done:
    rob_query_free(q);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own),
                     ROB_OK);
    rob_model *m = affine_model(own, 2, 3);
    int64_t live = c.live, n = 0;
    rob_status status;
    do {
        double margin = -5;
        c.left = n++;
        status = ask(own, m, &margin);
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        ck_assert_int_eq(c.live, live);
    } while (status != ROB_OK);
    ck_assert_int_gt(n, 20);
    c.left = -1;
    rob_model_free(m);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("query");
    TCase *plain = tcase_create("arguments and meaning");
    tcase_add_checked_fixture(plain, start, stop);
    tcase_add_test(plain, bad_arguments_are_named);
    tcase_add_test(plain, margins_are_the_closed_form);
    tcase_add_test(plain, labels_and_targets);
    tcase_add_test(plain, rows_are_or_of_ands);
    tcase_add_test(plain, one_output_needs_rows);
    tcase_add_test(plain, units_in_either_order);
    tcase_add_test(plain, norms);
    suite_add_tcase(s, plain);
    TCase *many = tcase_create("many rows");
    tcase_add_checked_fixture(many, start, stop);
    tcase_add_loop_test(many, bits_do_not_depend_on_threads_or_tiles, 0, 6);
    tcase_add_loop_test(many, unequal_lengths_equal_the_row_alone, 0, 6);
    tcase_add_loop_test(many, gradients_match_differences, 0, 6);
    suite_add_tcase(s, many);
    TCase *memory = tcase_create("memory");
    tcase_add_checked_fixture(memory, start, stop);
    tcase_add_test(memory, replacing_allocates_nothing);
    tcase_add_test(memory, every_allocation_may_fail);
    suite_add_tcase(s, memory);
    return s;
}

int main(void) { return rob_run_suite(suite()); }
