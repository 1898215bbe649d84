/* la.c -- the packed product, the dot product and LAPACK's wrappers.
 *
 * Bits: an element of a product is one chain, so it is the same for any number of rows,
 * any place of its row or column, any strides, and on AVX2 and AVX-512 alike. Errors: a
 * chain of K products and sums, fused or not, errs by at most gamma_{K+1} sum |a||b|
 * with gamma_n = n u / (1 - n u), u the unit roundoff (Higham, Accuracy and Stability,
 * 3.1). */
#include "harness.h"
#include "la/la.h"

#include <float.h>
#include <math.h>

enum { CANARY = 7 };

typedef struct shape {
    int64_t m, n, k;
} shape;
static const shape SHAPES[] = {
    { 1, 256, 64 }, { 32, 256, 64 }, { 5, 1, 17 },     { 1, 1, 1 },
    { 7, 3, 300 },  { 200, 70, 30 }, { 13, 129, 513 }, { 2, 64, 256 },
    { 40, 33, 5 },  { 1, 1000, 3 },  { 3, 31, 0 },
};

static double at(int32_t dtype, const void *p, int64_t i)
{
    return dtype ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(int32_t dtype, void *p, int64_t i, double x)
{
    if (dtype) ((double *)p)[i] = x;
    else ((float *)p)[i] = (float)x;
}

static size_t element(int32_t dtype) { return dtype ? 8 : 4; }

static void *numbers(int32_t dtype, int64_t n, uint64_t stream)
{
    rob_random r = rob_priv_random(3, stream);
    void *p = calloc((size_t)n + 64, element(dtype));
    for (int64_t i = 0; i < n; i++) put(dtype, p, i, rob_priv_normal(&r));
    return p;
}

static void *packed(const rob_la *la, int64_t k, int64_t n, const void *b, int64_t row,
                    int64_t col)
{
    void *p = malloc((size_t)la->packed_bytes(k, n) + 64);
    la->pack(k, n, b, row, col, p);
    return p;
}

/* every precision, instruction set and shape */
#define FOR_ALL(dtype, isa, s)                                                         \
    for (int32_t dtype = 0; dtype < 2; dtype++)                                        \
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++)                       \
            for (const shape *s = SHAPES; s < SHAPES + COUNT_OF(SHAPES); s++)

static void check_errors(const rob_la *la, int32_t dtype, const shape *s,
                         int accumulate)
{
    void *a = numbers(dtype, s->m * s->k, 1), *b = numbers(dtype, s->k * s->n, 2);
    const int64_t ldc = s->n + 3;
    void *c = numbers(dtype, s->m * ldc, 3), *start = numbers(dtype, s->m * ldc, 3);
    void *p = packed(la, s->k, s->n, b, s->n, 1);
    const double u = dtype ? DBL_EPSILON / 2 : FLT_EPSILON / 2;
    const double terms = (double)s->k + 1, gamma = terms * u / (1 - terms * u);
    la->product(s->m, s->n, s->k, a, s->k, 1, p, c, ldc, accumulate);
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < ldc; j++) {
            long double sum =
                j < s->n && !accumulate ? 0 : at(dtype, start, i * ldc + j);
            long double size = fabsl(sum);
            for (int64_t k = 0; k < s->k && j < s->n; k++) {
                long double t = (long double)at(dtype, a, i * s->k + k)
                                * at(dtype, b, k * s->n + j);
                sum += t;
                size += fabsl(t);
            }
            double got = at(dtype, c, i * ldc + j);
            if (j >= s->n)
                ck_assert(got == (double)sum); /* beyond the row: untouched */
            else
                ck_assert_msg(fabsl(got - sum) <= gamma * size, "%g, not %g", got,
                              (double)sum);
        }
    free(a), free(b), free(c), free(start), free(p);
}

START_TEST(products_are_within_the_bound)
{
    FOR_ALL(dtype, isa, s)
    {
        check_errors(rob_priv_la(dtype, isa), dtype, s, 0);
        check_errors(rob_priv_la(dtype, isa), dtype, s, 1);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_rows)
{
    enum { ROWS = 40 };
    for (int32_t dtype = 0; dtype < 2; dtype++)
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++)
            for (int64_t n = 1; n < 400; n += 57) {
                const int64_t k = 290;
                const size_t e = element(dtype), row = (size_t)n * e;
                const rob_la *la = rob_priv_la(dtype, isa);
                char *a = numbers(dtype, ROWS * k, 1), *b = numbers(dtype, k * n, 2);
                char *all = malloc(ROWS * row), *some = malloc(ROWS * row);
                void *p = packed(la, k, n, b, n, 1);
                la->product(ROWS, n, k, a, k, 1, p, all, n, 0);
                for (int64_t m = 1; m <= ROWS; m++) {
                    la->product(m, n, k, a, k, 1, p, some, n, 0);
                    ck_assert_int_eq(memcmp(all, some, (size_t)m * row), 0);
                    const int64_t first = ROWS - m; /* the last m rows on their own */
                    la->product(m, n, k, a + (size_t)(first * k) * e, k, 1, p, some, n,
                                0);
                    ck_assert_int_eq(
                        memcmp(all + (size_t)first * row, some, (size_t)m * row), 0);
                }
                free(a), free(b), free(all), free(some), free(p);
            }
}
END_TEST

/* one column packed alone; A and B by any strides */
START_TEST(bits_do_not_depend_on_columns_or_strides)
{
    FOR_ALL(dtype, isa, s)
    {
        const rob_la *la = rob_priv_la(dtype, isa);
        const size_t e = element(dtype);
        const int64_t m = s->m, n = s->n, k = s->k;
        char *a = numbers(dtype, m * k, 1), *b = numbers(dtype, k * n, 2);
        char *at_ = numbers(dtype, m * k, 1), *bt = numbers(dtype, k * n, 2);
        char *c = numbers(dtype, m * n, 4), *d = numbers(dtype, m * n, 5);
        for (int64_t i = 0; i < m; i++)
            for (int64_t q = 0; q < k; q++)
                put(dtype, at_, q * m + i, at(dtype, a, i * k + q));
        for (int64_t q = 0; q < k; q++)
            for (int64_t j = 0; j < n; j++)
                put(dtype, bt, j * k + q, at(dtype, b, q * n + j));
        void *p = packed(la, k, n, b, n, 1), *q = packed(la, k, n, bt, 1, k);
        la->product(m, n, k, a, k, 1, p, c, n, 0);
        la->product(m, n, k, at_, 1, m, q, d, n, 0);
        ck_assert_int_eq(memcmp(c, d, (size_t)(m * n) * e), 0);
        for (int64_t j = 0; j < n; j += 1 + n / 5) {
            void *one = packed(la, k, 1, b + (size_t)j * e, n, 1);
            la->product(m, 1, k, a, k, 1, one, d, 1, 0);
            for (int64_t i = 0; i < m; i++)
                ck_assert(at(dtype, d, i) == at(dtype, c, i * n + j));
            free(one);
        }
        free(a), free(b), free(at_), free(bt), free(c), free(d), free(p), free(q);
    }
}
END_TEST

START_TEST(vector_sets_agree)
{
    if (rob_priv_isa_best() < ROB_ISA_AVX512) {
        rob_skip("needs AVX-512");
        return;
    }
    for (int32_t dtype = 0; dtype < 2; dtype++)
        for (const shape *s = SHAPES; s < SHAPES + COUNT_OF(SHAPES); s++) {
            void *a = numbers(dtype, s->m * s->k, 1),
                 *b = numbers(dtype, s->k * s->n, 2);
            void *c[2];
            for (int32_t i = 0; i < 2; i++) {
                const rob_la *la = rob_priv_la(dtype, ROB_ISA_AVX2 + i);
                void *p = packed(la, s->k, s->n, b, s->n, 1);
                c[i] = numbers(dtype, s->m * s->n, 9);
                la->product(s->m, s->n, s->k, a, s->k, 1, p, c[i], s->n, 0);
                free(p);
            }
            ck_assert_int_eq(memcmp(c[0], c[1], (size_t)(s->m * s->n) * element(dtype)),
                             0);
            free(a), free(b), free(c[0]), free(c[1]);
        }
}
END_TEST

/* a start row seen by all rows, a start matrix, and the result on top of its start */
START_TEST(starts_are_added_first)
{
    FOR_ALL(dtype, isa, s)
    {
        const rob_la *la = rob_priv_la(dtype, isa);
        const int64_t m = s->m, n = s->n, k = s->k;
        const size_t bytes = (size_t)(m * n) * element(dtype);
        void *a = numbers(dtype, m * k, 1), *b = numbers(dtype, k * n, 2);
        void *row = numbers(dtype, n, 6), *whole = numbers(dtype, m * n, 7);
        void *c = numbers(dtype, m * n, 4), *d = numbers(dtype, m * n, 5);
        void *p = packed(la, k, n, b, n, 1);
        for (int64_t i = 0; i < m * n; i++) put(dtype, whole, i, at(dtype, row, i % n));
        la->product_from(m, n, k, a, k, 1, p, row, 0, c, n);
        la->product_from(m, n, k, a, k, 1, p, whole, n, d, n);
        ck_assert_int_eq(memcmp(c, d, bytes), 0);
        la->product(m, n, k, a, k, 1, p, whole, n, 1);
        ck_assert_int_eq(memcmp(whole, d, bytes), 0);
        free(a), free(b), free(row), free(whole), free(c), free(d), free(p);
    }
}
END_TEST

START_TEST(empty_products)
{
    for (int32_t dtype = 0; dtype < 2; dtype++)
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++) {
            const rob_la *la = rob_priv_la(dtype, isa);
            char c[64], untouched[64], p[64] = { 0 };
            memset(c, CANARY, sizeof c);
            memcpy(untouched, c, sizeof c);
            la->pack(4, 0, p, 0, 1, p);
            la->product(2, 0, 4, p, 4, 1, p, c, 3, 0);
            la->product(0, 3, 4, p, 4, 1, p, c, 3, 0);
            la->product(2, 3, 0, p, 0, 1, p, c, 3, 1);
            ck_assert_int_eq(memcmp(c, untouched, sizeof c), 0);
            la->product(2, 3, 0, p, 0, 1, p, c, 3, 0);
            for (int64_t i = 0; i < 6; i++) ck_assert(at(dtype, c, i) == 0);
            ck_assert_int_eq(la->packed_bytes(0, 5), 0);
            ck_assert(la->dot(0, p, p) == 0);
        }
}
END_TEST

START_TEST(dots_are_the_same_everywhere)
{
    for (int32_t dtype = 0; dtype < 2; dtype++)
        for (int64_t n = 1; n < 100; n++) {
            void *x = numbers(dtype, n, 1), *z = numbers(dtype, n, 2);
            long double sum = 0, size = 0;
            for (int64_t i = 0; i < n; i++) {
                long double t = (long double)at(dtype, x, i) * at(dtype, z, i);
                sum += t;
                size += fabsl(t);
            }
            double first = rob_priv_la(dtype, 0)->dot(n, x, z);
            ck_assert(fabsl(first - sum) <= (long double)(n + 1) * DBL_EPSILON * size);
            for (int32_t isa = 1; isa <= rob_priv_isa_best(); isa++)
                ck_assert(rob_priv_la(dtype, isa)->dot(n, x, z) == first);
            free(x), free(z);
        }
}
END_TEST

/* ---- LAPACK
 * --------------------------------------------------------------------------- */

static rob_ctx *ctx;
static void setup(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void teardown(void) { rob_ctx_free(ctx); }

/* second difference: eigenvalues 2 - 2 cos(k pi / (n+1)); backward error <= 30 n u |A|
 */
START_TEST(eigenvalues_of_the_second_difference)
{
    enum { N = 37 };
    double a[N * N] = { 0 }, b[N * N], w[N], only[N], v[N * N];
    for (int i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i > 0) a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    memcpy(b, a, sizeof a);
    ck_assert_int_eq(rob_priv_la_eigen(&ctx->memory, N, b, w, v), ROB_OK);
    memcpy(b, a, sizeof a);
    ck_assert_int_eq(rob_priv_la_eigen(&ctx->memory, N, b, only, NULL), ROB_OK);
    const double tolerance = 30 * N * DBL_EPSILON * 4;
    for (int k = 0; k < N; k++) {
        ck_assert_double_eq_tol(w[k], 2 - 2 * cos((k + 1) * acos(-1) / (N + 1)),
                                tolerance);
        ck_assert_double_eq_tol(w[k], only[k], tolerance);
        for (int i = 0; i < N; i++) { /* row k of v: A v_k = w_k v_k */
            double residual = -w[k] * v[k * N + i];
            for (int j = 0; j < N; j++) residual += a[i * N + j] * v[k * N + j];
            ck_assert_double_eq_tol(residual, 0, tolerance);
        }
        for (int l = 0; l < N; l++) {
            double product = 0;
            for (int j = 0; j < N; j++) product += v[k * N + j] * v[l * N + j];
            ck_assert_double_eq_tol(product, k == l, tolerance);
        }
    }
}
END_TEST

/* Householder's bound on the residual: |A x - b| <= 8 n^2 u g |A||x|, growth g <= 2n
 * here */
START_TEST(systems_are_solved_as_written)
{
    enum { N = 23 };
    double *a = numbers(1, N * N, 11), *b = numbers(1, N, 12), lu[N * N], x[N];
    memcpy(lu, a, sizeof lu);
    memcpy(x, b, sizeof x);
    ck_assert_int_eq(rob_priv_la_solve(&ctx->memory, N, lu, x), ROB_OK);
    for (int i = 0; i < N; i++) {
        double residual = -b[i], size = fabs(b[i]);
        for (int j = 0; j < N; j++) {
            residual += a[i * N + j] * x[j];
            size += fabs(a[i * N + j] * x[j]);
        }
        ck_assert_double_le(fabs(residual), 8 * N * N * DBL_EPSILON * 2 * N * size);
    }
    double singular[4] = { 1, 2, 2, 4 }, one[2] = { 1, 1 };
    ck_assert_int_eq(rob_priv_la_solve(&ctx->memory, 2, singular, one), ROB_ENUMERIC);
    free(a), free(b);
}
END_TEST

/* integers: L L' of a lower triangle with a positive diagonal comes back exactly
 * enough */
START_TEST(cholesky_is_lower_and_refuses)
{
    enum { N = 9 };
    double lower[N * N] = { 0 }, a[N * N] = { 0 };
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++)
            lower[i * N + j] = i == j ? 4 : (i * 5 + j * 3) % 3 - 1;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            for (int k = 0; k < N; k++)
                a[i * N + j] += lower[i * N + k] * lower[j * N + k];
    ck_assert_int_eq(rob_priv_la_cholesky(N, a), ROB_OK);
    for (int i = 0; i < N * N; i++)
        ck_assert_double_eq_tol(a[i], lower[i], 100 * N * N * DBL_EPSILON * 4);
    double indefinite[4] = { 1, 2, 2, 1 }, nothing[4] = { NAN, 0, 0, 1 }, w[2];
    ck_assert_int_eq(rob_priv_la_cholesky(2, indefinite), ROB_ENUMERIC);
    ck_assert_int_eq(rob_priv_la_cholesky(2, nothing), ROB_ENUMERIC);
    ck_assert_int_eq(rob_priv_la_eigen(&ctx->memory, 2, nothing, w, NULL),
                     ROB_ENUMERIC);
    ck_assert_int_eq(rob_priv_la_cholesky(0, nothing), ROB_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("la");
    TCase *p = tcase_create("product"), *l = tcase_create("lapack");
    tcase_add_test(p, products_are_within_the_bound);
    tcase_add_test(p, bits_do_not_depend_on_rows);
    tcase_add_test(p, bits_do_not_depend_on_columns_or_strides);
    tcase_add_test(p, vector_sets_agree);
    tcase_add_test(p, starts_are_added_first);
    tcase_add_test(p, empty_products);
    tcase_add_test(p, dots_are_the_same_everywhere);
    tcase_add_checked_fixture(l, setup, teardown);
    tcase_add_test(l, eigenvalues_of_the_second_difference);
    tcase_add_test(l, systems_are_solved_as_written);
    tcase_add_test(l, cholesky_is_lower_and_refuses);
    suite_add_tcase(s, p);
    suite_add_tcase(s, l);
    return rob_run_suite(s);
}
