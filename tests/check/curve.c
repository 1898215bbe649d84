/* Centre models against MPFR:  |phi - value - grad.z - 1/2 z'Hz| <= 1/2 sum rho z^2 +
 * slack at every point, without tolerance; and rho as large as third derivatives make
 * it, no larger. */
#include "check/harness.h"
#include "fp/fp.h"
#include "op/op.h"

#include <mpfr.h>

enum { BITS = 1600 };

typedef void exact_function(mpfr_t y, mpfr_t *x);

static void exact_sigmoid(mpfr_t y, mpfr_t *x)
{
    mpfr_neg(y, x[0], MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_add_ui(y, y, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

static void exact_tanh(mpfr_t y, mpfr_t *x) { mpfr_tanh(y, x[0], MPFR_RNDN); }
static void exact_square(mpfr_t y, mpfr_t *x) { mpfr_sqr(y, x[0], MPFR_RNDN); }
static void exact_mul(mpfr_t y, mpfr_t *x) { mpfr_mul(y, x[0], x[1], MPFR_RNDN); }

static void exact_sigmul(mpfr_t y, mpfr_t *x)
{
    exact_sigmoid(y, x);
    mpfr_mul(y, y, x[1], MPFR_RNDN);
}

static void exact_sigtanh(mpfr_t y, mpfr_t *x)
{
    mpfr_t t;
    mpfr_init2(t, 300);
    mpfr_tanh(t, x[1], MPFR_RNDN);
    exact_sigmoid(y, x);
    mpfr_mul(y, y, t, MPFR_RNDN);
    mpfr_clear(t);
}

static void exact_blend(mpfr_t y, mpfr_t *x)
{
    mpfr_t d;
    mpfr_init2(d, 300);
    mpfr_sub(d, x[2], x[1], MPFR_RNDN);
    exact_sigmoid(y, x);
    mpfr_mul(y, y, d, MPFR_RNDN);
    mpfr_add(y, y, x[1], MPFR_RNDN);
    mpfr_clear(d);
}

static const struct {
    const rob_op *op;
    exact_function *exact;
    bool quadratic;
} SUBJECTS[] = {
    { &rob_priv_op_tanh, exact_tanh, false },
    { &rob_priv_op_sigmoid, exact_sigmoid, false },
    { &rob_priv_op_square, exact_square, true },
    { &rob_priv_op_mul, exact_mul, true },
    { &rob_priv_op_sigmul, exact_sigmul, false },
    { &rob_priv_op_sigtanh, exact_sigtanh, false },
    { &rob_priv_op_blend, exact_blend, false },
};
enum { SUBJECT_COUNT = (int)(sizeof SUBJECTS / sizeof *SUBJECTS) };

typedef struct model {
    double lo[3], up[3], centre[3], value, grad[3], hess[6], rho[3], slack;
} model;

static void make_model(const rob_op *op, model *m)
{
    rob_shape one = { .rank = 1, .dim = { 1 } };
    rob_node n = { .op = op, .shape = one, .ins = op->ins, .outs = 1 };
    rob_range in[3];
    const double *centre[3];
    rob_curve c = { .count = 1, .value = &m->value, .slack = &m->slack };
    for (int i = 0; i < 3; i++) {
        in[i] = (rob_range){ one, &m->lo[i], &m->up[i] };
        centre[i] = &m->centre[i];
        c.grad[i] = &m->grad[i];
        c.rho[i] = &m->rho[i];
    }
    for (int i = 0; i < 6; i++)
        c.hess[i] = &m->hess[i];
    op->curve(&n, in, centre, &c);
}

/* phi(x) - value - grad.z - 1/2 z'Hz into r; 1/2 sum rho z^2 + slack into room */
static void remainder_at(int k, const model *m, const double *x, mpfr_t r, mpfr_t room)
{
    int ins = SUBJECTS[k].op->ins, at = 0;
    mpfr_t p[3], z[3], y, t;
    mpfr_inits2(BITS, p[0], p[1], p[2], z[0], z[1], z[2], y, t, (mpfr_ptr)0);
    for (int i = 0; i < ins; i++) {
        mpfr_set_d(p[i], x[i], MPFR_RNDN);
        mpfr_sub_d(z[i], p[i], m->centre[i], MPFR_RNDN);
    }
    mpfr_set_prec(y, 300);
    SUBJECTS[k].exact(y, p);
    mpfr_sub_d(r, y, m->value, MPFR_RNDN);
    mpfr_set_d(room, m->slack, MPFR_RNDN);
    for (int i = 0; i < ins; i++) {
        mpfr_mul_d(t, z[i], m->grad[i], MPFR_RNDN);
        mpfr_sub(r, r, t, MPFR_RNDN);
        mpfr_sqr(t, z[i], MPFR_RNDN);
        mpfr_mul_d(t, t, m->rho[i] / 2, MPFR_RNDN);
        mpfr_add(room, room, t, MPFR_RNDN);
        for (int j = i; j < ins; j++, at++) {
            mpfr_mul(t, z[i], z[j], MPFR_RNDN);
            mpfr_mul_d(t, t, i == j ? m->hess[at] / 2 : m->hess[at], MPFR_RNDN);
            mpfr_sub(r, r, t, MPFR_RNDN);
        }
    }
    mpfr_clears(p[0], p[1], p[2], z[0], z[1], z[2], y, t, (mpfr_ptr)0);
}

static void random_model(rob_random *r, int trial, model *m)
{
    static const double width[] = { 0, 1e-12, 1e-4, 0.01, 0.1, 1, 4, 40 };
    for (int i = 0; i < 3; i++) {
        double w = width[trial % 8], c = 2 * rob_priv_normal(r);
        m->lo[i] = c - w * rob_priv_uniform(r);
        m->up[i] = c + w * rob_priv_uniform(r);
        m->centre[i] = trial % 3 ? c : trial % 2 ? m->lo[i] : m->up[i];
    }
}

START_TEST(test_containment)
{
    rob_random r = rob_priv_random(31, (uint64_t)_i);
    mpfr_t left, room;
    mpfr_inits2(BITS, left, room, (mpfr_ptr)0);
    int seen = 0;
    for (int k = 0; k < (rob_long() ? 20000 : 500); k++) {
        model m;
        random_model(&r, k, &m);
        make_model(SUBJECTS[_i].op, &m);
        for (int p = 0; p < 12; p++) {
            double x[3];
            for (int i = 0; i < 3; i++) {
                double u = p < 8 ? p >> i & 1 : rob_priv_uniform(&r);
                x[i] = fmin(fmax(m.lo[i] + u * (m.up[i] - m.lo[i]), m.lo[i]), m.up[i]);
            }
            remainder_at(_i, &m, x, left, room);
            ck_assert_msg(mpfr_cmpabs(left, room) <= 0,
                          "%s: trial %d leaves %g, says %g", SUBJECTS[_i].op->name, k,
                          mpfr_get_d(left, MPFR_RNDN), mpfr_get_d(room, MPFR_RNDN));
            /* a second derivative off by a thousandth must be seen */
            m.hess[SUBJECTS[_i].op == &rob_priv_op_mul ? 1 : 0] *= 1.001;
            m.hess[0] += SUBJECTS[_i].quadratic ? 0 : 4 * m.rho[0];
            remainder_at(_i, &m, x, left, room);
            seen += mpfr_cmpabs(left, room) > 0;
            make_model(SUBJECTS[_i].op, &m);
        }
    }
    ck_assert_msg(seen > 100, "%s: fault seen %d times", SUBJECTS[_i].op->name, seen);
    mpfr_clears(left, room, (mpfr_ptr)0);
}
END_TEST

/* rho is of the order of the box: with global bounds of the derivatives |phi'''| <= 2
 * and factors below 4 here, rho_i <= (2 * 4 + 3 * 1 * 1 * 2) w / 3 < 5 w and slack of
 * rounding size. */
START_TEST(test_shrinks_with_the_box)
{
    rob_random r = rob_priv_random(32, (uint64_t)_i);
    for (int k = 0; k < 200; k++) {
        model m;
        double w = exp2(-30 * rob_priv_uniform(&r));
        for (int i = 0; i < 3; i++) {
            m.centre[i] = 4 * rob_priv_uniform(&r) - 2;
            m.lo[i] = m.centre[i] - w;
            m.up[i] = m.centre[i] + w;
        }
        make_model(SUBJECTS[_i].op, &m);
        for (int i = 0; i < SUBJECTS[_i].op->ins; i++)
            ck_assert(m.rho[i] <= (SUBJECTS[_i].quadratic ? 1e-300 : 5 * w)
                      && m.rho[i] >= 0);
        ck_assert(m.slack <= 1e-11);
    }
}
END_TEST

START_TEST(test_infinite_box_promises_nothing)
{
    model m = { .lo = { -INFINITY, -1, -1 }, .up = { 1, INFINITY, 1 } };
    make_model(SUBJECTS[_i].op, &m);
    ck_assert(m.slack == INFINITY);
    for (int i = 0; i < SUBJECTS[_i].op->ins; i++)
        ck_assert(isfinite(m.grad[i]) && !isnan(m.rho[i]));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("curve");
    TCase *c = tcase_create("curve");
    tcase_add_loop_test(c, test_containment, 0, SUBJECT_COUNT);
    tcase_add_loop_test(c, test_shrinks_with_the_box, 0, SUBJECT_COUNT);
    tcase_add_loop_test(c, test_infinite_box_promises_nothing, 0, SUBJECT_COUNT);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
