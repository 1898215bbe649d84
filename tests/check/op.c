/* op.c -- kernels of the operator table, each on every instruction set the CPU has.
 *
 * Reference: MPFR at 140 bits, so its own error does not count. Errors are in units in
 * the last place of the exact result (of the smallest subnormal below the normal
 * range). The limits are sums of the rounded operations behind the last exact one, see
 * `unary`.
 */
#include "exact.h"
#include "harness.h"

#include "core/core.h"
#include "la/la.h"
#include "op/op.h"

#include <math.h>

enum { POINTS = 4096 };

/* ---- calling a kernel ------------------------------------------------------------ */

static size_t width(int32_t dtype)
{
    return dtype == 0 ? sizeof(float) : sizeof(double);
}

static void put(int32_t dtype, void *at, int64_t i, double v)
{
    if (dtype == 0) ((float *)at)[i] = (float)v;
    else ((double *)at)[i] = v;
}

static double take(int32_t dtype, const void *at, int64_t i)
{
    return dtype == 0 ? (double)((const float *)at)[i] : ((const double *)at)[i];
}

typedef struct operands {
    int32_t dtype, ins;
    int64_t count;
    void *in[3], *out;
} operands;

static operands operands_make(int32_t dtype, int32_t ins, int64_t count)
{
    operands o = { .dtype = dtype, .ins = ins, .count = count };
    for (int32_t i = 0; i < ins; i++) o.in[i] = calloc((size_t)count, width(dtype));
    o.out = calloc((size_t)count, width(dtype));
    return o;
}

static void operands_free(operands *o)
{
    for (int32_t i = 0; i < o->ins; i++) free(o->in[i]);
    free(o->out);
}

static rob_node node_of(const rob_op *op, rob_shape shape, rob_attr attr)
{
    return (
        rob_node){ .op = op, .shape = shape, .ins = op->ins, .outs = 1, .attr = attr };
}

static void call(const operands *o, int32_t isa, const rob_op *op, rob_attr attr)
{
    rob_view in[3], out = { .at = o->out, .rows = 1, .cols = o->count, .ld = o->count };
    rob_shape shape[3];
    for (int32_t i = 0; i < o->ins; i++) {
        in[i] = out;
        in[i].at = o->in[i];
        shape[i] = rob_priv_shape1(o->count);
    }
    rob_node n = node_of(op, shape[0], attr);
    rob_priv_kernel(o->dtype, isa, op->id)(&n, shape, in, &out);
}

/* ---- errors in units in the last place ------------------------------------------- */

static double error_in_ulps(int32_t dtype, const mpfr_t exact, double got)
{
    const int digits = dtype == 0 ? 24 : 53, least = dtype == 0 ? -149 : -1074;
    const double most = dtype == 0 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
    mpfr_t d;
    if (mpfr_nan_p(exact)) return isnan(got) ? 0 : INFINITY;
    if (mpfr_inf_p(exact) || mpfr_cmpabs_ui(exact, 0) == 0) {
        double e = mpfr_get_d(exact, MPFR_RNDN);
        return e == got ? 0 : INFINITY;
    }
    mpfr_init2(d, BITS);
    if (isinf(got)) { /* right where the exact one is the largest number or beyond */
        mpfr_div_d(d, exact, got > 0 ? most : -most, MPFR_RNDN);
        double share = mpfr_get_d(d, MPFR_RNDN);
        mpfr_clear(d);
        return share >= 1 - ldexp(1, 1 - digits) ? 0 : INFINITY;
    }
    mpfr_sub_d(d, exact, got, MPFR_RNDN);
    long place = mpfr_get_exp(exact) - digits;
    mpfr_div_2si(d, d, place > least ? place : least, MPFR_RNDN);
    double error = fabs(mpfr_get_d(d, MPFR_RNDU));
    mpfr_clear(d);
    return error;
}

static const double corners[] = { 0.0,
                                  -0.0,
                                  1.0,
                                  -1.0,
                                  0.5,
                                  -0.5,
                                  INFINITY,
                                  -INFINITY,
                                  NAN,
                                  0x1p-149,
                                  -0x1p-149,
                                  0x1p-126,
                                  -0x1p-126,
                                  0x1.fffffep127,
                                  -0x1.fffffep127,
                                  0x1p-1074,
                                  0x1p-1022,
                                  -0x1p-1022,
                                  0x1.fffffffffffffp1023,
                                  88.72283,
                                  88.7229,
                                  -87.336544,
                                  -87.4,
                                  -103.97,
                                  -104.1,
                                  709.7827,
                                  709.79,
                                  -708.4,
                                  -709.0,
                                  -745.1,
                                  -745.2,
                                  0.34657359,
                                  -0.34657359,
                                  0.35,
                                  1e-8,
                                  -1e-8,
                                  1e-4,
                                  -1e-4,
                                  0.41421356,
                                  0.99999994,
                                  1.0000001,
                                  2.0,
                                  3.9999,
                                  4.0,
                                  5.9999,
                                  6.0,
                                  10.0,
                                  -20.0,
                                  20.0,
                                  40.0,
                                  -40.0,
                                  0.70710678,
                                  1.4142136 };

static double random_point(rob_random *r, double size)
{
    double u = rob_priv_uniform(r), sign = rob_priv_uniform(r) < 0.5 ? -1 : 1;
    if (rob_priv_uniform(r) < 0.5) return sign * size * u;
    return sign * exp2(log2(size) - 30 * u);
}

static void fill_points(operands *o, double size, uint64_t stream)
{
    rob_random r = rob_priv_random(20, stream);
    for (int32_t i = 0; i < o->ins; i++)
        for (int64_t e = 0; e < o->count; e++) {
            int64_t c = i == 0 ? e : (e * 7 + 3) % COUNT_OF(corners);
            bool corner = e < COUNT_OF(corners);
            put(o->dtype, o->in[i], e, corner ? corners[c] : random_point(&r, size));
        }
}

/* ---- the tests ------------------------------------------------------------------- */

typedef struct kernel_case {
    const char *name;
    reference *exact;
    double size; /* arguments up to this */
    double ulps;
} kernel_case;

/* Basic operations are correctly rounded. exp: half a unit for the last sum, a quarter
 * for the terms below it, a little for the reduced argument. tanh and sigmoid: exp or
 * expm1 (1), the sum below the bar (1/2), the quotient (1/2), each at most doubled
 * where the quotient's binade is smaller than its operands'. Their product adds two
 * roundings. log and softplus: one unit for the last sum, the rest below it. */
static const kernel_case cases[] = {
    { "add", exact_add, 100, 0.5 },
    { "sub", exact_sub, 100, 0.5 },
    { "mul", exact_mul, 100, 0.5 },
    { "square", exact_square, 1e6, 0.5 },
    { "reciprocal", exact_reciprocal, 1e6, 0.5 },
    { "sqrt", exact_sqrt, 1e6, 0.5 },
    { "rsqrt", exact_rsqrt, 1e6, 1.5 },
    { "relu", exact_relu, 10, 0 },
    { "abs", exact_abs, 10, 0 },
    { "step", exact_step, 10, 0 },
    { "sign", exact_sign, 10, 0 },
    { "exp", exact_exp, 100, 1 },
    { "exp", exact_exp, 800, 1 },
    { "log", exact_log, 4, 1.5 },
    { "log", exact_log, 1e30, 1.5 },
    { "tanh", exact_tanh, 2, 3 },
    { "tanh", exact_tanh, 22, 3 },
    { "sigmoid", exact_sigmoid, 8, 2.5 },
    { "sigmoid", exact_sigmoid, 800, 2.5 },
    { "softplus", exact_softplus, 8, 2 },
    { "softplus", exact_softplus, 800, 2 },
    { "erf", exact_erf, 2, 2.5 },
    { "erf", exact_erf, 7, 2.5 },
    { "sigtanh", exact_sigtanh, 8, 4.5 },
    { "sigmul", exact_sigmul, 8, 3 },
};

/* Gates are allowed to lose the digits of a subnormal sigmoid, not to grow. */
static bool sigmoid_is_subnormal(int32_t dtype, const kernel_case *c, double x)
{
    return strncmp(c->name, "sig", 3) == 0 && c->exact != exact_sign
           && x < (dtype == 0 ? -87.3 : -708.3);
}

static double worst_error(const operands *o, const kernel_case *c, double *at)
{
    double worst = 0, x[3] = { 0 };
    mpfr_t y;
    mpfr_init2(y, BITS);
    for (int64_t e = 0; e < o->count; e++) {
        for (int32_t i = 0; i < o->ins; i++) x[i] = take(o->dtype, o->in[i], e);
        if (sigmoid_is_subnormal(o->dtype, c, x[0])) {
            ck_assert(fabs(take(o->dtype, o->out, e))
                      <= (o->dtype == 0 ? 0x1p-125 : 0x1p-1021) * (1 + fabs(x[1])));
            continue;
        }
        c->exact(y, x);
        double got = take(o->dtype, o->out, e);
        double error = error_in_ulps(o->dtype, y, got);
        if (error > worst) worst = error, memcpy(at, x, sizeof x);
    }
    mpfr_clear(y);
    return worst;
}

START_TEST(kernels_agree_with_mpfr)
{
    const kernel_case *c = &cases[_i];
    const rob_op *op = rob_priv_op_by_name(c->name);
    for (int32_t dtype = 0; dtype < 2; dtype++) {
        operands o = operands_make(dtype, op->ins, POINTS);
        fill_points(&o, c->size, (uint64_t)_i);
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++) {
            double at[3] = { 0 };
            call(&o, isa, op, (rob_attr){ 0 });
            double worst = worst_error(&o, c, at);
            if (getenv("ROBUST_LONG") != NULL)
                printf("%-10s %s %-8s %.3f at %.17g %.17g\n", c->name,
                       dtype ? "f64" : "f32", rob_priv_isa_name(isa), worst, at[0],
                       at[1]);
            ck_assert_msg(worst <= c->ulps, "%s dtype %d isa %d: %g ulp at %.17g %.17g",
                          c->name, (int)dtype, (int)isa, worst, at[0], at[1]);
        }
        operands_free(&o);
    }
}
END_TEST

/* |scale x + shift| and n + s (h - n) may cancel: errors are measured on the terms. */
START_TEST(affine_and_blend_are_accurate_on_their_terms)
{
    for (int32_t dtype = 0; dtype < 2; dtype++) {
        const double unit = dtype == 0 ? 0x1p-24 : 0x1p-53;
        operands o = operands_make(dtype, 3, POINTS);
        fill_points(&o, 4, 77);
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++) {
            call(&o, isa, &rob_priv_op_blend, (rob_attr){ 0 });
            for (int64_t e = COUNT_OF(corners); e < o.count; e++) {
                long double z = take(dtype, o.in[0], e), n = take(dtype, o.in[1], e);
                long double h = take(dtype, o.in[2], e),
                            y = n + (h - n) / (1 + expl(-z));
                /* h - n (1), sigmoid (5 half units), product and sum (2) */
                long double most = 8 * (fabsl(h) + fabsl(n)) * (long double)unit;
                ck_assert(fabsl((long double)take(dtype, o.out, e) - y) <= most);
            }
            operands one = o;
            one.ins = 1;
            call(&one, isa, &rob_priv_op_affine, (rob_attr){ .x = { -1.25, 0.75 } });
            for (int64_t e = COUNT_OF(corners); e < o.count; e++) {
                double x = take(dtype, o.in[0], e), y = -1.25 * x + 0.75;
                double most = 2 * unit * (fabs(1.25 * x) + 0.75);
                ck_assert(fabs(take(dtype, o.out, e) - y) <= most);
            }
        }
        operands_free(&o);
    }
}
END_TEST

START_TEST(where_keeps_bits)
{
    const float mask[3] = { 0, 1, NAN }, a[3] = { 1, -0.0f, NAN }, b[3] = { NAN, 2, 3 };
    float y[3];
    for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++) {
        operands o = { 0, 3, 3, { (void *)mask, (void *)a, (void *)b }, y };
        call(&o, isa, &rob_priv_op_where, (rob_attr){ 0 });
        ck_assert(memcmp(&y[0], &b[0], 4) == 0 && memcmp(&y[1], &a[1], 4) == 0);
        ck_assert(memcmp(&y[2], &a[2], 4) == 0);
    }
}
END_TEST

/* The same numbers in rows with gaps, one row seen often, and in place. */
static void check_places(const rob_op *op, int32_t dtype, int32_t isa)
{
    enum { ROWS = 3, GAP = 5 };
    const rob_attr attr = { .x = { 0.3, -0.7 } };
    for (int64_t cols = 1; cols <= 37; cols += 3) {
        int64_t ld = cols + GAP;
        operands flat = operands_make(dtype, op->ins, ROWS * cols);
        operands gaps = operands_make(dtype, op->ins, ROWS * ld);
        rob_view in[3], out = { .at = gaps.out, .rows = ROWS, .cols = cols, .ld = ld };
        rob_shape shape[3];
        rob_random r = rob_priv_random(5, (uint64_t)op->id);
        for (int32_t i = 0; i < op->ins; i++) {
            shape[i] = rob_priv_shape2(ROWS, cols);
            in[i] = out;
            in[i].at = gaps.in[i];
            if (i > 0) in[i].ld = 0;
            for (int64_t e = 0; e < ROWS * cols; e++) {
                double v = i > 0 && e >= cols ? take(dtype, flat.in[i], e % cols)
                                              : 4 * rob_priv_normal(&r);
                put(dtype, flat.in[i], e, v);
                put(dtype, gaps.in[i], e / cols * ld + e % cols, v);
            }
        }
        rob_node n = node_of(op, shape[0], attr);
        call(&flat, isa, op, attr);
        rob_priv_kernel(dtype, isa, op->id)(&n, shape, in, &out);
        for (int64_t row = 0; row < ROWS; row++)
            ck_assert_msg(memcmp((char *)flat.out + (size_t)(row * cols) * width(dtype),
                                 (char *)gaps.out + (size_t)(row * ld) * width(dtype),
                                 (size_t)cols * width(dtype))
                              == 0,
                          "%s", op->name);
        operands in_place = flat;
        in_place.out = flat.in[0];
        void *kept = malloc((size_t)(ROWS * cols) * width(dtype));
        memcpy(kept, flat.out, (size_t)(ROWS * cols) * width(dtype));
        call(&in_place, isa, op, attr);
        ck_assert(memcmp(kept, in_place.out, (size_t)(ROWS * cols) * width(dtype))
                  == 0);
        free(kept);
        operands_free(&flat);
        operands_free(&gaps);
    }
}

START_TEST(bits_do_not_depend_on_place)
{
    for (int32_t id = 0; id < ROB_OP_COUNT; id++) {
        const rob_op *op = rob_priv_op_by_id(id);
        if (!(op->kind & ROB_OP_ELEMENTWISE)) continue;
        for (int32_t k = 0; k < 2 * (rob_priv_isa_best() + 1); k++)
            check_places(op, k % 2, k / 2);
    }
}
END_TEST

static void run_rows(const rob_op *op, int32_t dtype, int32_t isa, rob_shape from,
                     rob_shape to, const void *x, int64_t ld, void *y)
{
    rob_view in = { .at = (void *)x,
                    .rows = rob_priv_shape_rows(&from),
                    .cols = rob_priv_shape_cols(&from),
                    .ld = ld };
    rob_view out = { .at = y,
                     .rows = rob_priv_shape_rows(&to),
                     .cols = rob_priv_shape_cols(&to) };
    out.ld = out.cols;
    rob_node n = node_of(op, to, (rob_attr){ 0 });
    rob_priv_kernel(dtype, isa, op->id)(&n, &from, &in, &out);
}

/* Pairwise and sequential sums of n terms err by at most (n-1) u sum |x|. */
START_TEST(sum_to_sums_over_the_repeated_dims)
{
    const rob_shape from = rob_priv_shape_make(4, (int64_t[]){ 2, 3, 4, 37 });
    for (int32_t which = 0; which < 16; which++) {
        rob_shape to = from;
        for (int32_t k = 0; k < 4; k++)
            if (which >> k & 1) to.dim[k] = 1;
        double x[888], y[888], want[888] = { 0 }, size[888] = { 0 };
        rob_random r = rob_priv_random(6, (uint64_t)which);
        for (int64_t e = 0; e < 888; e++) {
            int64_t j = 0, rest = e, place[4];
            x[e] = rob_priv_normal(&r);
            for (int32_t k = 3; k >= 0; k--)
                place[k] = rest % from.dim[k], rest /= from.dim[k];
            for (int32_t k = 0; k < 4; k++)
                j = j * to.dim[k] + (to.dim[k] > 1 ? place[k] : 0);
            want[j] += x[e];
            size[j] += fabs(x[e]);
        }
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++) {
            run_rows(&rob_priv_op_sum_to, 1, isa, from, to, x, 37, y);
            for (int64_t j = 0; j < rob_priv_shape_size(&to); j++)
                ck_assert(fabs(y[j] - want[j]) <= 2 * 888 * 0x1p-53 * size[j]);
        }
    }
}
END_TEST

START_TEST(softmax_and_logsumexp_are_stable)
{
    enum { C = 21 };
    const rob_shape from = rob_priv_shape2(4, C), one = rob_priv_shape2(4, 1);
    double x[4 * C], y[4 * C], l[4];
    rob_random r = rob_priv_random(8, 0);
    for (int64_t e = 0; e < 4 * C; e++) x[e] = rob_priv_normal(&r) * (e < C ? 1 : 300);
    for (int64_t e = 2 * C; e < 3 * C; e++) x[e] = -1e5; /* tied */
    for (int64_t e = 3 * C; e < 4 * C; e++) x[e] = -INFINITY;
    for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++) {
        run_rows(&rob_priv_op_softmax, 1, isa, from, from, x, C, y);
        run_rows(&rob_priv_op_logsumexp, 1, isa, from, one, x, C, l);
        for (int64_t row = 0; row < 3; row++) {
            long double most = -INFINITY, sum = 0;
            for (int64_t i = 0; i < C; i++)
                most = fmaxl(most, (long double)x[row * C + i]);
            for (int64_t i = 0; i < C; i++)
                sum += expl((long double)x[row * C + i] - most);
            /* x - most rounds to half a unit of up to 2^11: its exponential errs by
             * 2^11 u relatively, and C terms are added */
            for (int64_t i = 0; i < C; i++) {
                long double p = expl((long double)x[row * C + i] - most) / sum;
                ck_assert(fabsl((long double)y[row * C + i] - p)
                          <= 0x1p-42L * p + 0x1p-1074L);
            }
            long double exact = most + logl(sum);
            ck_assert(fabsl((long double)l[row] - exact)
                      <= (C + 2) * 0x1p-53L * (fabsl(exact) + 1));
        }
        ck_assert(isnan(y[3 * C]) && l[3] == -INFINITY);
    }
}
END_TEST

START_TEST(table_is_whole)
{
    for (int32_t id = 0; id < ROB_OP_COUNT; id++) {
        const rob_op *op = rob_priv_op_by_id(id);
        ck_assert_int_eq(op->id, id);
        ck_assert_ptr_eq(rob_priv_op_by_name(op->name), op);
        ck_assert(op->shape != NULL);
        if (op->kind & ROB_OP_ELEMENTWISE)
            for (int32_t k = 0; k < 2 * ROB_ISA_COUNT; k++)
                ck_assert(rob_priv_kernel(k % 2, k / 2, id) != NULL);
    }
    ck_assert_ptr_null(rob_priv_op_by_name("no such operator"));
    ck_assert_ptr_null(rob_priv_op_by_id(-1));
    ck_assert_ptr_null(rob_priv_op_by_id(ROB_OP_COUNT));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("op");
    TCase *t = tcase_create("kernels");
    tcase_add_loop_test(t, kernels_agree_with_mpfr, 0, (int)COUNT_OF(cases));
    tcase_add_test(t, affine_and_blend_are_accurate_on_their_terms);
    tcase_add_test(t, where_keeps_bits);
    tcase_add_test(t, bits_do_not_depend_on_place);
    tcase_add_test(t, sum_to_sums_over_the_repeated_dims);
    tcase_add_test(t, softmax_and_logsumexp_are_stable);
    tcase_add_test(t, table_is_whole);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
