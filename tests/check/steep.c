/* steep.c -- ranges of partial derivatives hold every difference quotient of their box.
 *
 * (phi(z + h e_i) - phi(z)) / h is a partial derivative somewhere between the two points, so
 * it lies in the range of a box that holds both. Truth is arithmetic at 200 bits.
 */
#include "op/op.h"

#include <math.h>

#include "check/precise.h"

#include <check.h>
#include "check/harness.h"

static const rob_op *const CURVED[] = {
    &rob_priv_op_tanh, &rob_priv_op_sigmoid, &rob_priv_op_relu, &rob_priv_op_sigtanh,
    &rob_priv_op_sigmul, &rob_priv_op_blend, &rob_priv_op_mul, &rob_priv_op_max,
    &rob_priv_op_abs, &rob_priv_op_square, &rob_priv_op_exp, &rob_priv_op_erf,
    &rob_priv_op_softplus,
};

static void value_of(int32_t id, const double *z, int32_t ins, mpfr_t y)
{
    mpfr_t in[3];
    rob_attr none = { 0 };
    for (int i = 0; i < 3; i++) {
        mpfr_init2(in[i], EXACT_BITS);
        mpfr_set_d(in[i], z[i], MPFR_RNDN);
    }
    mpfr_set_zero(y, 1);
    if (id == ROB_OP_abs) mpfr_abs(y, in[0], MPFR_RNDN);
    else if (ins == 1) precise_one(id, &none, y, in);
    else precise_more(id, y, in[0], in[1], in[2]);
    for (int i = 0; i < 3; i++) mpfr_clear(in[i]);
}

START_TEST(slopes_stay_in_their_ranges)
{
    const rob_op *op = CURVED[_i];
    rob_random r = rob_priv_random((uint64_t)_i, 5);
    static const double WIDTH[] = { 0, 1e-9, 0.1, 2, 30 };
    mpfr_t f, g, h;
    mpfr_inits2(EXACT_BITS, f, g, h, (mpfr_ptr)0);
    for (int t = 0; t < 1500; t++) {
        double lo[3], up[3], z[3], s[2];
        rob_range in[3], out = { rob_priv_shape1(1), &s[0], &s[1] };
        const int32_t i = (int32_t)rob_priv_below(&r, op->ins);
        for (int k = 0; k < 3; k++) {
            const double c = rob_priv_normal(&r) * (t % 3 == 0 ? 8 : 1);
            const double width = WIDTH[rob_priv_below(&r, 5)] * rob_priv_uniform(&r);
            lo[k] = c;
            up[k] = c + width;
            in[k] = (rob_range){ rob_priv_shape1(1), &lo[k], &up[k] };
            const double u = rob_priv_uniform(&r);
            z[k] = fmin(fmax(lo[k], u < 0.2 ? lo[k] : u > 0.8 ? up[k] : lo[k] + u * width),
                        up[k]);
        }
        rob_node n = { .op = op, .shape = rob_priv_shape1(1), .ins = op->ins };
        double step = fmin(fmax(up[i] - z[i], 0), 1e-6), other[3] = { z[0], z[1], z[2] };
        if (z[i] + step <= z[i]) continue;
        other[i] = fmin(z[i] + step, up[i]);
        op->steep(&n, in, i, &out);
        value_of(op->id, z, op->ins, f);
        value_of(op->id, other, op->ins, g);
        mpfr_sub(f, g, f, MPFR_RNDN);
        mpfr_set_d(h, other[i], MPFR_RNDN);
        mpfr_sub_d(h, h, z[i], MPFR_RNDN);
        mpfr_div(f, f, h, MPFR_RNDN);
        /* both values are off by 2^-200 of themselves (below 2^60 here), over h */
        const double off = 0x1p-137 / (other[i] - z[i]);
        ck_assert_msg(mpfr_cmp_d(f, s[0] - off) >= 0 && mpfr_cmp_d(f, s[1] + off) <= 0,
                      "%s by %d: %.17g not in [%.17g, %.17g]", op->name, i,
                      mpfr_get_d(f, MPFR_RNDN), s[0], s[1]);
    }
    mpfr_clears(f, g, h, (mpfr_ptr)0);
}
END_TEST

START_TEST(a_known_range_is_met)
{
    double lo = -2, up = 1, s[2];
    rob_range in = { rob_priv_shape1(1), &lo, &up }, out = { rob_priv_shape1(1), &s[0], &s[1] };
    rob_node n = { .op = &rob_priv_op_tanh, .shape = rob_priv_shape1(1), .ins = 1 };
    rob_priv_op_tanh.steep(&n, &in, 0, &out);
    /* tanh' is 1 at 0 and 1 - tanh(2)^2 at -2; a few u of each */
    ck_assert_double_eq_tol(s[1], 1, 1e-14);
    ck_assert_double_eq_tol(s[0], 0.07065082485316447, 1e-14);
    ck_assert(s[1] >= 1 && s[0] <= 0.07065082485316447);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("steep");
    TCase *c = tcase_create("slopes");
    tcase_add_loop_test(c, slopes_stay_in_their_ranges, 0, (int)COUNT_OF(CURVED));
    tcase_add_test(c, a_known_range_is_met);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
