/* Ranges and pulled rows of structural, affine and row operators against exact
 * arithmetic by nested loops: a row's value before and after differs by at most the
 * loss it reports. */
#include "check/forward.h"
#include "check/harness.h"
#include "fp/fp.h"
#include "op/op.h"

#include <mpfr.h>

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
