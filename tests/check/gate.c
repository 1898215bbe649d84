/* gate.c -- minima of gates, a vector at a time: enclosures by MPFR, the same bits everywhere.
 *
 * Numbers from 0 and the subnormals to far beyond where the exponential ends. A bound is to
 * be below the function at the ends, the middle, where the kernel says the minimum is and
 * at random points; and near the value there, so that one raised by little is seen.
 */
#include "check/harness.h"
#include "core/core.h"
#include "fp/fp.h"
#include "la/la.h"
#include "op/gate.h"

#include <math.h>
#include <mpfr.h>
#include <string.h>

enum { BITS = 1200, N = 101 };

static double hostile(rob_random *r)
{
    static const double some[] = { 0, -0.0, 0x1p-1074, -0x1p-1074, 1e-300, -1e-300, 1e-9, -1e-9,
                                   0.34, -0.34, -0.17, 1, -1, 20, -20, 354, -354.5, 708, -708,
                                   708.5, -708.5, -745, -746, 1e4, -1e4, 1e9, -1e9 };
    double u = rob_priv_uniform(r);
    if (u < 0.4) return some[(int)(u / 0.4 * (double)COUNT_OF(some))];
    return (u < 0.8 ? 2 : 200) * rob_priv_normal(r);
}

typedef struct numbers { double x[N], k[N], a[N], b[N], l[N], u[N]; } numbers;

static void draw(rob_random *r, numbers *v)
{
    for (int i = 0; i < N; i++) {
        double p = hostile(r), q = i % 3 ? p + fabs(rob_priv_normal(r)) : hostile(r);
        v->x[i] = hostile(r);
        v->k[i] = i % 4 ? 2 * rob_priv_normal(r) : hostile(r);
        v->a[i] = i % 2 ? 0.3 * rob_priv_normal(r) : 0.25 * v->k[i] * rob_priv_uniform(r);
        v->b[i] = i % 2 ? rob_priv_uniform(r) : 0.1 * rob_priv_normal(r);
        if (i % 17 == 3) v->a[i] = v->b[i] = 0;
        v->l[i] = fmin(p, q);
        v->u[i] = fmax(p, q);
    }
}

typedef struct answers { double edge[2][6][N], min[2][N], chord[3][N], cell[2][2][N]; } answers;

/* Everything from element i on, n elements. */
static void answer(const rob_gate_kernel *g, const numbers *v, answers *y, int64_t i, int64_t n)
{
    double p1[N], p2[N], slope[N];
    for (int k = 0; k < 2; k++) {
        double (*o)[N] = y->edge[k];
        rob_gate_edges e = { n, v->x + i, v->b + i, v->l + i, v->u + i, o[0] + i, o[1] + i,
                             o[2] + i, o[3] + i, o[4] + i, o[5] + i };
        g->edges(&e, k);
    }
    rob_gate_mins m = { n, v->k + i, v->a + i, v->l + i, v->u + i, y->min[0] + i, y->min[1] + i };
    g->mins(&m);
    for (int64_t j = i; j < i + n; j++) {
        p1[j] = fmin(v->a[j], 0.5);
        p2[j] = fmin(v->b[j], 0.5);
        slope[j] = 0.3 * v->b[j];
    }
    const double *s = y->edge[1][2] + i, *t = y->edge[1][3] + i;
    rob_gate_chords c = { n, v->a + i, v->l + i, v->u + i, p1 + i, p2 + i, s, t, s, t,
                          y->chord[0] + i, y->chord[1] + i, y->chord[2] + i };
    g->chords(&c);
    for (int k = 0; k < 2; k++) {
        rob_gate_cells d = { n, v->l + i, v->u + i, p1 + i, p2 + i, s, t, y->edge[k][4] + i,
                             y->edge[k][5] + i, slope + i, slope + i, y->cell[k][0] + i,
                             y->cell[k][1] + i };
        g->cells(&d, k);
    }
}

START_TEST(bits_depend_on_nothing)
{
    static numbers v;
    static answers one, other;
    rob_random r = rob_priv_random(81, (uint64_t)_i);
    draw(&r, &v);
    memset(&one, 0, sizeof one);
    answer(rob_priv_gate(0), &v, &one, 0, N);
    for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++) {
        memset(&other, 0, sizeof other);
        for (int64_t i = 0, n; i < N; i += n) {
            n = i % 2 ? 1 + i % 13 : 1;
            answer(rob_priv_gate(isa), &v, &other, i, n < N - i ? n : N - i);
        }
        ck_assert_msg(memcmp(&one, &other, sizeof one) == 0, "%s", rob_priv_isa_name(isa));
    }
}
END_TEST

/* f = c sigmoid(x) - a x, or sigmoid(x) g(y) - b y with c = g(y) or its MPFR value */
static void sigmoid(mpfr_t y, double x)
{
    mpfr_set_d(y, -x, MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_add_ui(y, y, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

/* by v: the value at y, and how far the bound is below it (negative: above) */
static double above_bound(double x, int of_tanh, double y, double k, double a, double at, double v)
{
    mpfr_t s, t;
    mpfr_inits2(BITS, s, t, (mpfr_ptr)0);
    sigmoid(s, x);
    mpfr_set_d(t, y, MPFR_RNDN);
    if (of_tanh) mpfr_tanh(t, t, MPFR_RNDN);
    mpfr_mul(s, s, t, MPFR_RNDN);
    mpfr_mul_d(s, s, k, MPFR_RNDN);
    mpfr_set_d(t, a, MPFR_RNDN);
    mpfr_mul_d(t, t, at, MPFR_RNDN);
    mpfr_sub(s, s, t, MPFR_RNDN);
    mpfr_sub_d(s, s, v, MPFR_RNDN);
    double d = mpfr_get_d(s, MPFR_RNDD);
    mpfr_clears(s, t, (mpfr_ptr)0);
    return d;
}

static double pick(rob_random *r, double l, double u, double at, int k)
{
    double p[] = { l, u, 0.5 * l + 0.5 * u, at, l + (u - l) * rob_priv_uniform(r),
                   nextafter(at, INFINITY), nextafter(at, -INFINITY) };
    return fmin(fmax(p[k], l), u);
}

START_TEST(bounds_hold_and_are_near)
{
    static numbers v;
    static answers y;
    rob_random r = rob_priv_random(82, (uint64_t)_i);
    draw(&r, &v);
    answer(rob_priv_gate(rob_priv_isa_best()), &v, &y, 0, N);
    for (int i = 0; i < N; i++) {
        for (int of_tanh = 0; of_tanh < 2; of_tanh++) {
            double *m = y.edge[of_tanh][0], at = y.edge[of_tanh][1][i];
            for (int k = 0; k < 7; k++) {
                double p = pick(&r, v.l[i], v.u[i], at, k);
                double d = above_bound(v.x[i], of_tanh, p, 1, v.b[i], p, m[i]);
                ck_assert_msg(d >= 0, "edge %d: x %a, y %a: %g", i, v.x[i], p, d);
            }
            /* roundings of terms up to size, a slope off by 1e-13 times the width */
            double size = 1 + fabs(v.b[i]) * (fabs(v.l[i]) + fabs(v.u[i])) + fabs(at);
            double d = above_bound(v.x[i], of_tanh, at, 1, v.b[i], at, m[i]);
            ck_assert_msg(d <= 1e-11 * (size + v.u[i] - v.l[i]), "edge %d: loose by %g", i, d);
        }
        for (int k = 0; k < 7; k++) {
            double p = pick(&r, v.l[i], v.u[i], y.min[1][i], k);
            double d = above_bound(p, 0, 1, v.k[i], v.a[i], p, y.min[0][i]);
            ck_assert_msg(d >= 0, "min %d: k %a, a %a, x %a: %g", i, v.k[i], v.a[i], p, d);
        }
        double p = y.min[1][i], d = above_bound(p, 0, 1, v.k[i], v.a[i], p, y.min[0][i]);
        double size = fabs(v.k[i]) + (fabs(v.a[i]) + fabs(v.k[i])) * (fabs(v.l[i]) + fabs(v.u[i]));
        ck_assert_msg(d <= 1e-11 * (1 + size), "min %d: loose by %g", i, d);
    }
}
END_TEST

START_TEST(factors_are_enclosed)
{
    static numbers v;
    static answers y;
    rob_random r = rob_priv_random(83, (uint64_t)_i);
    mpfr_t s;
    mpfr_init2(s, BITS);
    draw(&r, &v);
    answer(rob_priv_gate(rob_priv_isa_best()), &v, &y, 0, N);
    for (int i = 0; i < N; i++) {
        sigmoid(s, v.x[i]);
        ck_assert(mpfr_cmp_d(s, y.edge[1][2][i]) >= 0 && mpfr_cmp_d(s, y.edge[1][3][i]) <= 0);
        double width = y.edge[1][3][i] - y.edge[1][2][i];
        ck_assert(width <= 8 * ROB_U * mpfr_get_d(s, MPFR_RNDN) + 8 * ROB_TINY);
        mpfr_set_d(s, v.l[i], MPFR_RNDN);
        mpfr_tanh(s, s, MPFR_RNDN);
        ck_assert(mpfr_cmp_d(s, y.edge[1][4][i]) >= 0);
        mpfr_set_d(s, v.u[i], MPFR_RNDN);
        mpfr_tanh(s, s, MPFR_RNDN);
        ck_assert(mpfr_cmp_d(s, y.edge[1][5][i]) <= 0);
    }
    mpfr_clear(s);
}
END_TEST

/* sigmoid(x) g(y) - a x - b y along lines of slope d: from its values at both ends, rounded
 * down, a cell's bound is below it everywhere between. */
START_TEST(cells_hold_along_lines)
{
    rob_random r = rob_priv_random(84, (uint64_t)_i);
    const rob_gate_kernel *g = rob_priv_gate(rob_priv_isa_best());
    const int of_tanh = _i % 2;
    int dips = 0;
    for (int k = 0; k < 400; k++) {
        double x[2], d = rob_priv_normal(&r), c = rob_priv_normal(&r), y[2], p[2], b, at;
        double s[2][2], f[2][2], from = 2 * rob_priv_normal(&r), slope = 0.5 * rob_priv_normal(&r);
        x[0] = from;
        x[1] = from + 2 * rob_priv_uniform(&r);
        for (int i = 0; i < 2; i++) {
            y[i] = c + d * x[i];
            s[i][0] = fp_sigmoid_lo(x[i]), s[i][1] = fp_sigmoid_up(x[i]);
            f[i][0] = of_tanh ? fp_tanh_lo(y[i]) : y[i], f[i][1] = of_tanh ? fp_tanh_up(y[i]) : y[i];
            p[i] = above_bound(x[i], of_tanh, y[i], 1, slope, x[i], 0);
        }
        double glo = fmin(f[0][0], f[1][0]) - 1e-14, gup = fmax(f[0][1], f[1][1]) + 1e-14;
        rob_gate_cells cell = { 1, &x[0], &x[1], &p[0], &p[1], &s[0][0], &s[1][1], &glo, &gup,
                                &d, &d, &b, &at };
        g->cells(&cell, of_tanh);
        for (int i = 0; i <= 20; i++) {
            double z = fmin(x[0] + (x[1] - x[0]) * i / 20, x[1]);
            /* c + d z is rounded three times: 1e-14 of y at most, g' <= 1 */
            double over = above_bound(z, of_tanh, c + d * z, 1, slope, z, b);
            ck_assert_msg(over >= -1e-14 * (1 + fabs(d)), "cell %d: %g", k, over);
            dips += over < 0.05 * (x[1] - x[0]) && i > 0 && i < 20;
        }
    }
    ck_assert_int_gt(dips, 20);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate");
    TCase *c = tcase_create("kernels");
    tcase_add_loop_test(c, bits_depend_on_nothing, 0, 3);
    tcase_add_loop_test(c, bounds_hold_and_are_near, 0, 3);
    tcase_add_loop_test(c, factors_are_enclosed, 0, 2);
    tcase_add_loop_test(c, cells_hold_along_lines, 0, 4);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
