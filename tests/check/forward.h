/* forward.h -- structural, affine and row operators in exact arithmetic, by nested loops:
 * small cases of each, for suites about bound rules. */
#ifndef ROB_TEST_FORWARD_H
#define ROB_TEST_FORWARD_H

#include "op/op.h"

#include <mpfr.h>

enum { MOST = 64, BITS = 2400, ROWS = 3 };

typedef struct subject subject;
typedef void forward(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y);

/* a node by hand: operator, attributes, shapes of inputs and of the outputs */
struct subject {
    const char *name;
    const rob_op *op;
    rob_attr attr;
    int ins, outs;
    rob_shape in[3], out[2];
    forward *exact;
    int variable;      /* matmul: the operand that is not constant; else -1 */
};

#define S1(a) { .rank = 1, .dim = { a } }
#define S2(a, b) { .rank = 2, .dim = { a, b } }
#define S3(a, b, c) { .rank = 3, .dim = { a, b, c } }

static int64_t size_of(rob_shape s) { return rob_priv_shape_size(&s); }

static void exact_add(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)k;
    for (int e = 0; e < size_of(s->out[0]); e++)
        mpfr_add(y[e], z[0][e], z[1][e], MPFR_RNDN);
}

static void exact_sub(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)k;
    for (int e = 0; e < size_of(s->out[0]); e++)
        mpfr_sub(y[e], z[0][e], z[1][e], MPFR_RNDN);
}

static void exact_affine(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)k;
    for (int e = 0; e < size_of(s->out[0]); e++) {
        mpfr_mul_d(y[e], z[0][e], s->attr.x[0], MPFR_RNDN);
        mpfr_add_d(y[e], y[e], s->attr.x[1], MPFR_RNDN);
    }
}

static void exact_where(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)k;
    for (int e = 0; e < size_of(s->out[0]); e++)
        mpfr_set(y[e], mpfr_zero_p(z[0][e]) ? z[2][e] : z[1][e], MPFR_RNDN);
}

static void exact_copy(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)k;
    for (int e = 0; e < size_of(s->out[0]); e++)
        mpfr_set(y[e], z[0][e], MPFR_RNDN);
}

/* (2,1,3) to (2,2,3) */
static void exact_expand(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)s, (void)k;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++)
            for (int c = 0; c < 3; c++)
                mpfr_set(y[(a * 2 + b) * 3 + c], z[0][a * 3 + c], MPFR_RNDN);
}

/* (2,4,3) to (4,1): over the first and the last */
static void exact_sum_to(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)s, (void)k;
    for (int b = 0; b < 4; b++)
        mpfr_set_zero(y[b], 1);
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 4; b++)
            for (int c = 0; c < 3; c++)
                mpfr_add(y[b], y[b], z[0][(a * 4 + b) * 3 + c], MPFR_RNDN);
}

/* (2,3,4), order 2 0 1: (4,2,3) */
static void exact_permute(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)s, (void)k;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 4; c++)
                mpfr_set(y[(c * 2 + a) * 3 + b], z[0][(a * 3 + b) * 4 + c], MPFR_RNDN);
}

/* (2,3,4) at axis 1 into 1 and 2 */
static void exact_split(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)s;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 1 + k; b++)
            for (int c = 0; c < 4; c++)
                mpfr_set(y[(a * (1 + k) + b) * 4 + c], z[0][(a * 3 + b + k) * 4 + c],
                         MPFR_RNDN);
}

/* (2,1,4) and (2,2,4) at axis 1 */
static void exact_concat(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    (void)s, (void)k;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 4; c++)
                mpfr_set(y[(a * 3 + b) * 4 + c],
                         b == 0 ? z[0][a * 4 + c] : z[1][(a * 2 + b - 1) * 4 + c],
                         MPFR_RNDN);
}

/* (2,2,5) (2,5,3), either transposed */
static void exact_matmul(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    mpfr_t t;
    (void)k;
    mpfr_init2(t, BITS);
    for (int e = 0; e < 12; e++) {
        int j = e % 3, p = e / 3 % 2, b = e / 6;
        mpfr_set_zero(y[e], 1);
        for (int q = 0; q < 5; q++) {
            int one = b * 10 + (s->attr.i[0] ? q * 2 + p : p * 5 + q);
            int two = b * 15 + (s->attr.i[1] ? j * 5 + q : q * 3 + j);
            mpfr_mul(t, z[0][one], z[1][two], MPFR_RNDN);
            mpfr_add(y[e], y[e], t, MPFR_RNDN);
        }
    }
    mpfr_clear(t);
}

/* relative to the row's largest, so that rounding cannot take log sum exp below it */
static void exact_softmax(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    int cols = (int)s->in[0].dim[1];
    mpfr_t sum, e;
    (void)k;
    mpfr_inits2(BITS, sum, e, (mpfr_ptr)0);
    for (int r = 0; r < s->in[0].dim[0]; r++) {
        mpfr_t *x = &z[0][r * cols], *top = &x[0];
        for (int c = 1; c < cols; c++)
            top = mpfr_cmp(x[c], *top) > 0 ? &x[c] : top;
        mpfr_set_zero(sum, 1);
        for (int pass = 0; pass < 2; pass++)
            for (int c = 0; c < cols; c++) {
                mpfr_sub(e, x[c], *top, MPFR_RNDN);
                mpfr_prec_round(e, 300, MPFR_RNDN);
                mpfr_exp(e, e, MPFR_RNDN);
                if (pass == 0) mpfr_add(sum, sum, e, MPFR_RNDN);
                else mpfr_div(y[r * cols + c], e, sum, MPFR_RNDN);
                mpfr_set_prec(e, BITS);
            }
        mpfr_prec_round(sum, 300, MPFR_RNDN);
        mpfr_log(e, sum, MPFR_RNDN);
        if (s->op == &rob_priv_op_logsumexp)
            mpfr_add(y[r], e, *top, MPFR_RNDN);
        mpfr_set_prec(sum, BITS);
    }
    mpfr_clears(sum, e, (mpfr_ptr)0);
}

/* x less the mean of its row; y = x (mean x^2 + eps)^(-1/2) */
static void exact_centre(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    int cols = (int)s->in[0].dim[1];
    mpfr_t mean;
    (void)k;
    mpfr_init2(mean, BITS);
    for (int r = 0; r < s->in[0].dim[0]; r++) {
        mpfr_set_zero(mean, 1);
        for (int c = 0; c < cols; c++) mpfr_add(mean, mean, z[0][r * cols + c], MPFR_RNDN);
        mpfr_div_ui(mean, mean, (unsigned long)cols, MPFR_RNDN);
        for (int c = 0; c < cols; c++)
            mpfr_sub(y[r * cols + c], z[0][r * cols + c], mean, MPFR_RNDN);
    }
    mpfr_clear(mean);
}

static void exact_rmsnorm(const subject *s, int k, mpfr_t z[3][MOST], mpfr_t *y)
{
    int cols = (int)s->in[0].dim[1];
    mpfr_t v, t;
    (void)k;
    mpfr_inits2(BITS, v, t, (mpfr_ptr)0);
    for (int r = 0; r < s->in[0].dim[0]; r++) {
        mpfr_set_zero(v, 1);
        for (int c = 0; c < cols; c++) {
            mpfr_sqr(t, z[0][r * cols + c], MPFR_RNDN);
            mpfr_add(v, v, t, MPFR_RNDN);
        }
        mpfr_div_ui(v, v, (unsigned long)cols, MPFR_RNDN);
        mpfr_add_d(v, v, s->attr.x[0], MPFR_RNDN);
        mpfr_sqrt(v, v, MPFR_RNDN);
        for (int c = 0; c < cols; c++)
            mpfr_div(y[r * cols + c], z[0][r * cols + c], v, MPFR_RNDN);
    }
    mpfr_clears(v, t, (mpfr_ptr)0);
}

static const subject SUBJECTS[] = {
    { "add",
      &rob_priv_op_add,
      { .i = { 0 } },
      2,
      1,
      { S1(8), S1(8) },
      { S1(8) },
      exact_add,
      -1 },
    { "sub",
      &rob_priv_op_sub,
      { .i = { 0 } },
      2,
      1,
      { S1(8), S1(8) },
      { S1(8) },
      exact_sub,
      -1 },
    { "affine",
      &rob_priv_op_affine,
      { .x = { -1 / 3., 0.1 } },
      1,
      1,
      { S1(8) },
      { S1(8) },
      exact_affine,
      -1 },
    { "neg",
      &rob_priv_op_affine,
      { .x = { -1, 0 } },
      1,
      1,
      { S1(8) },
      { S1(8) },
      exact_affine,
      -1 },
    { "where",
      &rob_priv_op_where,
      { .i = { 0 } },
      3,
      1,
      { S1(8), S1(8), S1(8) },
      { S1(8) },
      exact_where,
      -1 },
    { "reshape",
      &rob_priv_op_reshape,
      { .i = { 2, 4, 2 } },
      1,
      1,
      { S1(8) },
      { S2(4, 2) },
      exact_copy,
      -1 },
    { "pick",
      &rob_priv_op_pick,
      { .i = { 0 } },
      1,
      1,
      { S1(8) },
      { S1(8) },
      exact_copy,
      -1 },
    { "expand",
      &rob_priv_op_expand,
      { .i = { 3, 2, 2, 3 } },
      1,
      1,
      { S3(2, 1, 3) },
      { S3(2, 2, 3) },
      exact_expand,
      -1 },
    { "sum_to",
      &rob_priv_op_sum_to,
      { .i = { 2, 4, 1 } },
      1,
      1,
      { S3(2, 4, 3) },
      { S2(4, 1) },
      exact_sum_to,
      -1 },
    { "permute",
      &rob_priv_op_permute,
      { .i = { 3, 2, 0, 1 } },
      1,
      1,
      { S3(2, 3, 4) },
      { S3(4, 2, 3) },
      exact_permute,
      -1 },
    { "split",
      &rob_priv_op_split,
      { .i = { 1, 2, 1, 2 } },
      1,
      2,
      { S3(2, 3, 4) },
      { S3(2, 1, 4), S3(2, 2, 4) },
      exact_split,
      -1 },
    { "concat",
      &rob_priv_op_concat,
      { .i = { 1 } },
      2,
      1,
      { S3(2, 1, 4), S3(2, 2, 4) },
      { S3(2, 3, 4) },
      exact_concat,
      -1 },
    { "matmul a",
      &rob_priv_op_matmul,
      { .i = { 0 } },
      2,
      1,
      { S3(2, 2, 5), S3(2, 5, 3) },
      { S3(2, 2, 3) },
      exact_matmul,
      0 },
    { "matmul b",
      &rob_priv_op_matmul,
      { .i = { 0 } },
      2,
      1,
      { S3(2, 2, 5), S3(2, 5, 3) },
      { S3(2, 2, 3) },
      exact_matmul,
      1 },
    { "matmul a', b'",
      &rob_priv_op_matmul,
      { .i = { 1, 1 } },
      2,
      1,
      { S3(2, 5, 2), S3(2, 3, 5) },
      { S3(2, 2, 3) },
      exact_matmul,
      0 },
    { "matmul b, a'",
      &rob_priv_op_matmul,
      { .i = { 1, 0 } },
      2,
      1,
      { S3(2, 5, 2), S3(2, 5, 3) },
      { S3(2, 2, 3) },
      exact_matmul,
      1 },
    { "matmul b, b'",
      &rob_priv_op_matmul,
      { .i = { 0, 1 } },
      2,
      1,
      { S3(2, 2, 5), S3(2, 3, 5) },
      { S3(2, 2, 3) },
      exact_matmul,
      1 },
    { "softmax",
      &rob_priv_op_softmax,
      { .i = { 0 } },
      1,
      1,
      { S2(3, 4) },
      { S2(3, 4) },
      exact_softmax,
      -1 },
    { "logsumexp",
      &rob_priv_op_logsumexp,
      { .i = { 0 } },
      1,
      1,
      { S2(3, 4) },
      { S2(3, 1) },
      exact_softmax,
      -1 },
    { "centre",
      &rob_priv_op_centre,
      { .i = { 0 } },
      1,
      1,
      { S2(3, 4) },
      { S2(3, 4) },
      exact_centre,
      -1 },
    { "rmsnorm",
      &rob_priv_op_rmsnorm,
      { .x = { 1e-5 } },
      1,
      1,
      { S2(3, 4) },
      { S2(3, 4) },
      exact_rmsnorm,
      -1 },
};
enum { SUBJECT_COUNT = (int)(sizeof SUBJECTS / sizeof *SUBJECTS) };

#endif
