/* Ranges and pulled rows of structural, affine and row operators against exact
 * arithmetic by nested loops: a row's value before and after differs by at most the
 * loss it reports. */
#include "check/harness.h"
#include "fp/fp.h"
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
};
enum { SUBJECT_COUNT = (int)(sizeof SUBJECTS / sizeof *SUBJECTS) };

typedef struct trial {
    double lo[3][MOST], up[3][MOST], ylo[MOST], yup[MOST];
    rob_range in[3];
    mpfr_t z[3][MOST], y[MOST];
} trial;

static double corner_like(rob_random *r)
{
    double c = rob_priv_normal(r), u = rob_priv_uniform(r);
    if (u < .1) return 0;
    if (u < .2) return c * 0x1p-1060;
    if (u < .3) return c * 1e6;
    return u < .35 ? c * 0x1p-500 : c;
}

/* matmul: the other operand is one number each, unless `noisy` */
static void make_ranges(const subject *s, trial *t, rob_random *r, bool noisy)
{
    for (int i = 0; i < s->ins; i++) {
        t->in[i] = (rob_range){ s->in[i], t->lo[i], t->up[i] };
        for (int e = 0; e < size_of(s->in[i]); e++) {
            double c = corner_like(r),
                   w = rob_priv_uniform(r) < .3
                           ? 0
                           : rob_priv_uniform(r) * (noisy ? 1e-3 : 1);
            bool mask = s->op == &rob_priv_op_where && i == 0;
            bool fixed = s->variable >= 0 && i != s->variable && !noisy;
            t->lo[i][e] = mask ? (double)(rob_priv_uniform(r) < .5) : fixed ? c : c - w;
            t->up[i][e] = mask ? fmax(t->lo[i][e], noisy) : fixed ? c : c + w;
            mpfr_init2(t->z[i][e], BITS);
        }
    }
    for (int e = 0; e < MOST; e++)
        mpfr_init2(t->y[e], BITS);
}

static void clear(const subject *s, trial *t)
{
    for (int i = 0; i < s->ins; i++)
        for (int e = 0; e < size_of(s->in[i]); e++)
            mpfr_clear(t->z[i][e]);
    for (int e = 0; e < MOST; e++)
        mpfr_clear(t->y[e]);
}

static void draw_point(const subject *s, trial *t, rob_random *r)
{
    for (int i = 0; i < s->ins; i++)
        for (int e = 0; e < size_of(s->in[i]); e++) {
            double u = rob_priv_uniform(r), l = t->lo[i][e], h = t->up[i][e];
            double p = u < .3   ? l
                       : u < .6 ? h
                                : fmin(fmax(l + rob_priv_uniform(r) * (h - l), l), h);
            mpfr_set_d(t->z[i][e], p, MPFR_RNDN);
        }
}

static rob_node node_of(const subject *s)
{
    return (rob_node){ .op = s->op, .shape = s->out[0], .ins = s->ins, .outs = s->outs,
                       .attr = s->attr };
}

START_TEST(test_interval)
{
    const subject *s = &SUBJECTS[_i];
    rob_random r = rob_priv_random(21, (uint64_t)_i);
    for (int k = 0; k < 60; k++) {
        trial t;
        int part = k % s->outs;
        rob_node n = node_of(s);
        make_ranges(s, &t, &r, k % 3 == 0);
        rob_range out = { s->out[part], t.ylo, t.yup };
        s->op->interval(&n, t.in, part, &out);
        for (int p = 0; p < 12; p++) {
            draw_point(s, &t, &r);
            s->exact(s, part, t.z, t.y);
            for (int e = 0; e < size_of(s->out[part]); e++)
                ck_assert_msg(mpfr_cmp_d(t.y[e], t.ylo[e]) >= 0
                                  && mpfr_cmp_d(t.y[e], t.yup[e]) <= 0,
                              "%s: element %d outside [%a, %a]", s->name, e, t.ylo[e],
                              t.yup[e]);
        }
        clear(s, &t);
    }
}
END_TEST

/* One number in, one number out: a range is then only as wide as rounding, 40 u of the
 * terms' size (24 terms at most, 1e6 each). */
START_TEST(test_interval_of_points_is_narrow)
{
    const subject *s = &SUBJECTS[_i];
    rob_random r = rob_priv_random(22, (uint64_t)_i);
    trial t;
    rob_node n = node_of(s);
    make_ranges(s, &t, &r, false);
    for (int i = 0; i < s->ins; i++)
        for (int e = 0; e < size_of(s->in[i]); e++)
            t.lo[i][e] = t.up[i][e] =
                s->op == &rob_priv_op_where && i == 0 ? e % 2 : rob_priv_normal(&r);
    rob_range out = { s->out[0], t.ylo, t.yup };
    s->op->interval(&n, t.in, 0, &out);
    for (int e = 0; e < size_of(s->out[0]); e++)
        ck_assert_msg(t.yup[e] - t.ylo[e] <= 40 * ROB_U * 24, "%s: %g wide", s->name,
                      t.yup[e] - t.ylo[e]);
    clear(s, &t);
}
END_TEST

typedef struct pulled {
    double out[ROWS * MOST], before[3][ROWS * MOST], after[3][ROWS * MOST];
    double base[ROWS], new_base[ROWS], loss[ROWS];
} pulled;

static bool takes_part(const subject *s, int i)
{
    return s->variable >= 0 ? i == s->variable : s->op != &rob_priv_op_where || i > 0;
}

static void pull_all(const subject *s, trial *t, pulled *p, int part, rob_random *r)
{
    rob_node n = node_of(s);
    int64_t cols = size_of(s->out[part]);
    rob_rows out = { ROWS, cols, p->out };
    memset(p, 0, sizeof *p);
    for (int e = 0; e < ROWS * cols; e++)
        p->out[e] = corner_like(r);
    for (int k = 0; k < ROWS; k++)
        p->base[k] = p->new_base[k] = rob_priv_normal(r);
    for (int i = 0; i < s->ins; i++) {
        rob_rows in = { ROWS, size_of(s->in[i]), p->after[i] };
        for (int e = 0; e < ROWS * in.cols; e++)
            p->before[i][e] = p->after[i][e] = corner_like(r);
        if (takes_part(s, i))
            s->op->pull(&n, t->in, part, &out, i, &in, p->new_base, p->loss);
    }
}

/* sum |coefficients| max |value| over the rows, for the tightness of the loss */
static double row_size(const subject *s, const trial *t, const pulled *p, int row)
{
    double size = 1 + fabs(p->new_base[row]);
    for (int i = 0; i < s->ins; i++)
        for (int e = 0; e < size_of(s->in[i]); e++)
            size += (fabs(p->after[i][row * size_of(s->in[i]) + e]) + 1e6 * s->ins * 4)
                    * fmax(fabs(t->lo[i][e]), fabs(t->up[i][e]));
    return size;
}

/* |row before - row after| at the point drawn */
static void difference(const subject *s, const trial *t, const pulled *p, int part,
                       int row, mpfr_t d)
{
    mpfr_t term;
    mpfr_init2(term, BITS);
    mpfr_set_d(d, p->base[row], MPFR_RNDN);
    mpfr_sub_d(d, d, p->new_base[row], MPFR_RNDN);
    for (int e = 0; e < size_of(s->out[part]); e++) {
        mpfr_mul_d(term, t->y[e], p->out[row * size_of(s->out[part]) + e], MPFR_RNDN);
        mpfr_add(d, d, term, MPFR_RNDN);
    }
    for (int i = 0; i < s->ins; i++)
        for (int e = 0; e < size_of(s->in[i]); e++) {
            int64_t at = row * size_of(s->in[i]) + e;
            mpfr_mul_d(term, t->z[i][e], p->before[i][at], MPFR_RNDN);
            mpfr_add(d, d, term, MPFR_RNDN);
            mpfr_mul_d(term, t->z[i][e], p->after[i][at], MPFR_RNDN);
            mpfr_sub(d, d, term, MPFR_RNDN);
        }
    mpfr_abs(d, d, MPFR_RNDN);
    mpfr_clear(term);
}

/* Every row within its loss; and without the loss, or with a coefficient off by 1e-9,
 * not. */
START_TEST(test_pull)
{
    const subject *s = &SUBJECTS[_i];
    rob_random r = rob_priv_random(23, (uint64_t)_i);
    int rounding_seen = 0, fault_seen = 0;
    if (!s->op->pull)
        return;
    for (int k = 0; k < 40; k++) {
        trial t;
        pulled p;
        mpfr_t d;
        int part = k % s->outs;
        bool noisy = k % 4 == 3;
        mpfr_init2(d, BITS);
        make_ranges(s, &t, &r, noisy);
        pull_all(s, &t, &p, part, &r);
        for (int point = 0; point < 4; point++) {
            draw_point(s, &t, &r);
            s->exact(s, part, t.z, t.y);
            for (int row = 0; row < ROWS; row++) {
                difference(s, &t, &p, part, row, d);
                ck_assert_msg(mpfr_cmp_d(d, p.loss[row]) <= 0,
                              "%s: row loses %g, says %g", s->name,
                              mpfr_get_d(d, MPFR_RNDU), p.loss[row]);
                ck_assert_msg(
                    noisy || p.loss[row] <= 64 * ROB_U * row_size(s, &t, &p, row),
                    "%s: loss %g", s->name, p.loss[row]);
                rounding_seen += mpfr_sgn(d) > 0;
            }
        }
        int i = s->variable >= 0 ? s->variable : s->ins - 1, wrong = 0;
        for (int e = 0; e < size_of(s->in[i]); e++)
            p.after[i][e] *= 1 + 1e-9;
        difference(s, &t, &p, part, 0, d);
        wrong = mpfr_cmp_d(d, p.loss[0]) > 0;
        fault_seen += wrong;
        mpfr_clear(d);
        clear(s, &t);
    }
    ck_assert_msg(rounding_seen > 0 && fault_seen > 10, "%s: %d, %d", s->name,
                  rounding_seen, fault_seen);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pull");
    TCase *c = tcase_create("pull");
    tcase_add_loop_test(c, test_interval, 0, SUBJECT_COUNT);
    tcase_add_loop_test(c, test_interval_of_points_is_narrow, 0, SUBJECT_COUNT);
    tcase_add_loop_test(c, test_pull, 0, SUBJECT_COUNT);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
