/* tape.c -- the public tape: closed forms, replay without allocation, errors that do
 * not stick. */
#include "harness.h"

#include <math.h>
#include <robust.h>
#include <stdint.h>

enum { D = 3 };

static void must(rob_ctx *ctx, rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static void near_to(double got, double exact, double scale, int eps)
{
    ck_assert_msg(fabs(got - exact) <= eps * 0x1p-52 * scale, "%.17g, not %.17g", got,
                  exact);
}

/* ---- f = sum x tanh x, with all derivatives to the third in closed form ---------- */

typedef struct program {
    rob_ctx *ctx;
    rob_tape *tape;
    rob_var x, v, w, y, gradient, hv, third;
} program;

static void program_make(program *p, int32_t dtype)
{
    const int64_t shape[1] = { D };
    rob_var t;
    must(p->ctx, rob_tape_create(p->ctx, dtype, &p->tape));
    must(p->ctx, rob_tape_input(p->ctx, p->tape, shape, 1, &p->x));
    must(p->ctx, rob_tape_input(p->ctx, p->tape, shape, 1, &p->v));
    must(p->ctx, rob_tape_input(p->ctx, p->tape, shape, 1, &p->w));
    must(p->ctx, rob_tape_apply(p->ctx, p->tape, "tanh", &p->x, 1, &t));
    must(p->ctx, rob_tape_apply(p->ctx, p->tape, "mul", (rob_var[]){ t, p->x }, 2, &t));
    must(p->ctx, rob_tape_apply(p->ctx, p->tape, "sum", &t, 1, &p->y));
    must(p->ctx, rob_tape_gradient(p->ctx, p->tape, p->y, p->x, &p->gradient));
    must(p->ctx, rob_tape_jvp(p->ctx, p->tape, p->gradient, p->x, p->v, &p->hv));
    must(p->ctx, rob_tape_jvp(p->ctx, p->tape, p->hv, p->x, p->w, &p->third));
}

/* d^k/dx^k of x tanh x */
static double exact(double x, int order)
{
    double t = tanh(x), s = 1 - t * t;
    if (order == 0) return x * t;
    if (order == 1) return t + x * s;
    if (order == 2) return 2 * s - 2 * x * t * s;
    return -6 * t * s + x * s * (6 * t * t - 2);
}

static void check_at(program *p, const double *x, int eps)
{
    const double v[D] = { 1, 0, -1 }, w[D] = { 0.5, 2, 1 };
    const rob_var want[4] = { p->y, p->gradient, p->hv, p->third };
    double y, g[D], hv[D], third[D], sum = 0;
    int64_t count = 0;
    must(p->ctx, rob_tape_set(p->ctx, p->tape, p->x, x, D));
    must(p->ctx, rob_tape_set(p->ctx, p->tape, p->v, v, D));
    must(p->ctx, rob_tape_set(p->ctx, p->tape, p->w, w, D));
    must(p->ctx, rob_tape_run(p->ctx, p->tape, want, 4));
    must(p->ctx, rob_tape_get(p->ctx, p->tape, p->y, &y, 1, &count));
    ck_assert_int_eq(count, 1);
    must(p->ctx, rob_tape_get(p->ctx, p->tape, p->gradient, g, D, &count));
    ck_assert_int_eq(count, D);
    must(p->ctx, rob_tape_get(p->ctx, p->tape, p->hv, hv, D, NULL));
    must(p->ctx, rob_tape_get(p->ctx, p->tape, p->third, third, D, NULL));
    for (int i = 0; i < D; i++) {
        double size = 4 * (1 + fabs(x[i]));
        sum += exact(x[i], 0);
        near_to(g[i], exact(x[i], 1), size, eps);
        near_to(hv[i], exact(x[i], 2) * v[i], size, eps);
        near_to(third[i], exact(x[i], 3) * v[i] * w[i], 4 * size, eps);
    }
    near_to(y, sum, fabs(sum) + 1, eps);
}

/* a dozen operations, each half a unit or a kernel's three: 32 eps; in float32 2^29
 * more */
START_TEST(derivatives_have_their_closed_forms)
{
    program p;
    must(NULL, rob_ctx_create(&p.ctx));
    program_make(&p, _i == 0 ? ROB_F64 : ROB_F32);
    for (int k = -3; k <= 3; k++) {
        const double x[D] = { 0.25 * k, 0.5 * k, 1.25 * k };
        check_at(&p, x, _i == 0 ? 32 : 1 << 30);
    }
    rob_tape_free(p.tape);
    rob_ctx_free(p.ctx);
}
END_TEST

/* ---- a full Hessian -------------------------------------------------------------- */

/* f = logsumexp(A x): H = A' (diag p - p p') A, column by column through one direction.
 * */
START_TEST(hessian_of_logsumexp)
{
    const double a[4][D] = {
        { 1, 2, -1 }, { 0.5, -1, 0 }, { 2, 0.25, 1 }, { -1, 1, 1 }
    };
    const double x[D] = { 0.3, -0.2, 0.7 };
    rob_ctx *ctx;
    rob_tape *t;
    rob_var vx, va, dir, z, y, g, hv;
    double e[4], total = 0, column[D], mean[D] = { 0 };
    must(NULL, rob_ctx_create(&ctx));
    must(ctx, rob_tape_create(ctx, ROB_F64, &t));
    must(ctx, rob_tape_input(ctx, t, (int64_t[]){ D }, 1, &vx));
    must(ctx, rob_tape_input(ctx, t, (int64_t[]){ D }, 1, &dir));
    must(ctx, rob_tape_constant(ctx, t, &a[0][0], (int64_t[]){ 4, D }, 2, &va));
    must(ctx, rob_tape_apply(ctx, t, "matmul", (rob_var[]){ va, vx }, 2, &z));
    must(ctx, rob_tape_apply(ctx, t, "logsumexp", &z, 1, &y));
    must(ctx, rob_tape_gradient(ctx, t, y, vx, &g));
    must(ctx, rob_tape_jvp(ctx, t, g, vx, dir, &hv));
    must(ctx, rob_tape_set(ctx, t, vx, x, D));
    for (int k = 0; k < 4; k++) {
        e[k] = exp(a[k][0] * x[0] + a[k][1] * x[1] + a[k][2] * x[2]);
        total += e[k];
    }
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < D; i++) mean[i] += e[k] / total * a[k][i];
    for (int j = 0; j < D; j++) {
        double unit[D] = { 0 };
        unit[j] = 1;
        must(ctx, rob_tape_set(ctx, t, dir, unit, D));
        must(ctx, rob_tape_run(ctx, t, &hv, 1));
        must(ctx, rob_tape_get(ctx, t, hv, column, D, NULL));
        for (int i = 0; i < D; i++) {
            double h = -mean[i] * mean[j];
            for (int k = 0; k < 4; k++) h += e[k] / total * a[k][i] * a[k][j];
            near_to(column[i], h, 8, 32); /* terms up to 4, a few dozen roundings */
        }
    }
    rob_tape_free(t);
    rob_ctx_free(ctx);
}
END_TEST

/* ---- every name ------------------------------------------------------------------ */

typedef struct named {
    const char *name;
    int32_t ins, numbers;
    double number[4];
    int64_t count; /* elements of the result; -1: refused */
} named;

/* operands: a (2,3), b (2,3), c (2,3) */
static const named all[] = {
    { "add", 2, 0, { 0 }, 6 },
    { "sub", 2, 0, { 0 }, 6 },
    { "mul", 2, 0, { 0 }, 6 },
    { "div", 2, 0, { 0 }, 6 },
    { "max", 2, 0, { 0 }, 6 },
    { "neg", 1, 0, { 0 }, 6 },
    { "abs", 1, 0, { 0 }, 6 },
    { "sign", 1, 0, { 0 }, 6 },
    { "step", 1, 0, { 0 }, 6 },
    { "relu", 1, 0, { 0 }, 6 },
    { "square", 1, 0, { 0 }, 6 },
    { "sqrt", 1, 0, { 0 }, 6 },
    { "rsqrt", 1, 0, { 0 }, 6 },
    { "reciprocal", 1, 0, { 0 }, 6 },
    { "exp", 1, 0, { 0 }, 6 },
    { "log", 1, 0, { 0 }, 6 },
    { "tanh", 1, 0, { 0 }, 6 },
    { "sigmoid", 1, 0, { 0 }, 6 },
    { "softplus", 1, 0, { 0 }, 6 },
    { "erf", 1, 0, { 0 }, 6 },
    { "affine", 1, 2, { 2, 1 }, 6 },
    { "where", 3, 0, { 0 }, 6 },
    { "sigtanh", 2, 0, { 0 }, 6 },
    { "sigmul", 2, 0, { 0 }, 6 },
    { "blend", 3, 0, { 0 }, 6 },
    { "sum", 1, 0, { 0 }, 1 },
    { "sum", 1, 1, { 1 }, 2 },
    { "mean", 1, 0, { 0 }, 1 },
    { "mean", 1, 1, { 0 }, 3 },
    { "dot", 2, 0, { 0 }, 1 },
    { "sum_to", 1, 1, { 3 }, 3 },
    { "matmul", 2, 2, { 0, 1 }, 4 },
    { "matmul", 2, 2, { 1, 0 }, 9 },
    { "softmax", 1, 0, { 0 }, 6 },
    { "logsumexp", 1, 0, { 0 }, 2 },
    { "centre", 1, 0, { 0 }, 6 },
    { "rmsnorm", 1, 1, { 1e-5 }, 6 },
    { "gelu", 1, 0, { 0 }, 6 },
    { "gelu", 1, 1, { 1 }, 6 },
    { "reshape", 1, 2, { 3, 2 }, 6 },
    { "reshape", 1, 1, { 6 }, 6 },
    { "expand", 1, 3, { 4, 2, 3 }, 24 },
    { "permute", 1, 2, { 1, 0 }, 6 },
    { "transpose", 1, 0, { 0 }, 6 },
    { "slice", 1, 3, { 1, 1, 2 }, 4 },
    { "split", 1, 3, { 1, 0, 1 }, 2 },
    { "concat", 3, 1, { 0 }, 18 },
    { "concat", 2, 1, { 1 }, 12 },
    /* refused */
    { "no such", 1, 0, { 0 }, -1 },
    { "scan", 1, 0, { 0 }, -1 },
    { "pick", 1, 0, { 0 }, -1 },
    { "add", 1, 0, { 0 }, -1 },
    { "tanh", 2, 0, { 0 }, -1 },
    { "tanh", 1, 1, { 1 }, -1 },
    { "matmul", 2, 0, { 0 }, -1 },
    { "affine", 1, 1, { 2 }, -1 },
    { "rmsnorm", 1, 1, { 0 }, -1 },
    { "rmsnorm", 1, 0, { 0 }, -1 },
    { "affine", 1, 2, { NAN, 0 }, -1 },
    { "reshape", 1, 2, { 4, 2 }, -1 },
    { "reshape", 1, 2, { 1.5, 4 }, -1 },
    { "reshape", 1, 2, { -2, -3 }, -1 },
    { "permute", 1, 2, { 0, 0 }, -1 },
    { "permute", 1, 2, { 0, 7 }, -1 },
    { "permute", 1, 1, { 0 }, -1 },
    { "slice", 1, 3, { 1, 2, 2 }, -1 },
    { "slice", 1, 3, { 2, 0, 1 }, -1 },
    { "slice", 1, 3, { 1, -1, 1 }, -1 },
    { "concat", 2, 1, { 5 }, -1 },
    { "sum", 1, 1, { 2 }, -1 },
    { "expand", 1, 2, { 2, 4 }, -1 },
    { "sum_to", 1, 1, { 2 }, -1 },
};

static void check_named(rob_ctx *ctx, rob_tape *t, const named *n, const rob_var *in)
{
    rob_var y = -7;
    double out[24];
    int64_t count = 0;
    rob_status status = rob_tape_apply_with(
        ctx, t, n->name, in, n->ins, n->numbers ? n->number : NULL, n->numbers, &y);
    if (n->count < 0) {
        ck_assert_msg(status == ROB_EARGUMENT || status == ROB_ESHAPE, "%s", n->name);
        ck_assert_int_eq(y, -7);
        ck_assert(strlen(rob_ctx_error(ctx)) > 10);
        return;
    }
    ck_assert_msg(status == ROB_OK, "%s: %s", n->name, rob_ctx_error(ctx));
    must(ctx, rob_tape_run(ctx, t, &y, 1));
    must(ctx, rob_tape_get(ctx, t, y, out, 24, &count));
    ck_assert_msg(count == n->count, "%s gives %d elements", n->name, (int)count);
    for (int64_t i = 0; i < count; i++) ck_assert_msg(isfinite(out[i]), "%s", n->name);
}

/* Refused calls come between good ones: nothing sticks. */
START_TEST(every_name_is_understood_or_refused)
{
    rob_ctx *ctx;
    rob_tape *t;
    rob_var in[3];
    must(NULL, rob_ctx_create(&ctx));
    must(ctx, rob_tape_create(ctx, ROB_F64, &t));
    for (int k = 0; k < 3; k++) {
        const double values[6] = { 0.5 + k, 1.5, 2, 0.25, 3, 1 };
        must(ctx, rob_tape_input(ctx, t, (int64_t[]){ 2, 3 }, 2, &in[k]));
        must(ctx, rob_tape_set(ctx, t, in[k], values, 6));
    }
    int64_t cases = (int64_t)(sizeof all / sizeof *all);
    for (int64_t k = 0; k < cases; k++)
        check_named(ctx, t, &all[k * 29 % cases],
                    in); /* 29: refused ones among the others */
    rob_tape_free(t);
    rob_ctx_free(ctx);
}
END_TEST

START_TEST(wrong_arguments_are_named)
{
    program p;
    rob_tape *none = (rob_tape *)&p;
    rob_var out = -7;
    double x[D + 1] = { 0 };
    must(NULL, rob_ctx_create(&p.ctx));
    ck_assert_int_eq(rob_tape_create(p.ctx, 16, &none), ROB_EARGUMENT);
    ck_assert_ptr_null(none);
    program_make(&p, ROB_F64);
    ck_assert_int_eq(rob_tape_input(p.ctx, p.tape, (int64_t[]){ 0 }, 1, &out),
                     ROB_ESHAPE);
    ck_assert_int_eq(rob_tape_input(p.ctx, p.tape, (int64_t[]){ 1 }, 5, &out),
                     ROB_ESHAPE);
    ck_assert_int_eq(
        rob_tape_input(p.ctx, p.tape, (int64_t[]){ INT64_MAX, 9 }, 2, &out),
        ROB_ESHAPE);
    ck_assert_int_eq(rob_tape_apply(p.ctx, p.tape, "tanh", (rob_var[]){ -1 }, 1, &out),
                     ROB_EARGUMENT);
    ck_assert_int_eq(
        rob_tape_apply(p.ctx, p.tape, "tanh", (rob_var[]){ 9999 }, 1, &out),
        ROB_EARGUMENT);
    ck_assert_int_eq(rob_tape_apply(p.ctx, p.tape, "tanh", NULL, 1, &out),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_tape_apply(p.ctx, p.tape, "concat", NULL, 0, &out),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_tape_gradient(p.ctx, p.tape, p.gradient, p.x, &out),
                     ROB_ESHAPE);
    ck_assert_int_eq(rob_tape_vjp(p.ctx, p.tape, p.y, p.x, p.x, &out), ROB_ESHAPE);
    ck_assert_int_eq(rob_tape_jvp(p.ctx, p.tape, p.y, p.x, p.y, &out), ROB_ESHAPE);
    ck_assert_int_eq(out, -7);
    ck_assert_int_eq(rob_tape_set(p.ctx, p.tape, p.y, x, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_tape_set(p.ctx, p.tape, p.x, x, D + 1), ROB_ESHAPE);
    ck_assert_int_eq(rob_tape_get(p.ctx, p.tape, p.y, x, 1, NULL), ROB_EARGUMENT);
    must(p.ctx,
         rob_tape_run(p.ctx, p.tape, (rob_var[]){ p.gradient, p.y, p.gradient }, 3));
    ck_assert_int_eq(rob_tape_get(p.ctx, p.tape, p.gradient, x, D - 1, NULL),
                     ROB_ESHAPE);
    ck_assert_int_eq(rob_tape_run(p.ctx, p.tape, &p.y, 0), ROB_EARGUMENT);
    must(p.ctx, rob_tape_get(p.ctx, p.tape, p.gradient, x, D, NULL));
    check_at(&p, (double[]){ 1, 2, 3 }, 32);
    rob_tape_free(p.tape);
    rob_tape_free(NULL);
    rob_ctx_free(p.ctx);
}
END_TEST

/* No dependence: zeros, not an error; and an input may be wanted and read. */
START_TEST(independent_variables_have_zero_derivatives)
{
    program p;
    rob_var zero;
    double got[D] = { 1, 1, 1 };
    must(NULL, rob_ctx_create(&p.ctx));
    program_make(&p, ROB_F64);
    must(p.ctx, rob_tape_gradient(p.ctx, p.tape, p.y, p.v, &zero));
    must(p.ctx, rob_tape_set(p.ctx, p.tape, p.v, (double[]){ 4, 5, 6 }, D));
    must(p.ctx, rob_tape_run(p.ctx, p.tape, (rob_var[]){ zero, p.v }, 2));
    must(p.ctx, rob_tape_get(p.ctx, p.tape, zero, got, D, NULL));
    for (int i = 0; i < D; i++) ck_assert(got[i] == 0);
    must(p.ctx, rob_tape_get(p.ctx, p.tape, p.v, got, D, NULL));
    ck_assert(got[0] == 4 && got[1] == 5 && got[2] == 6);
    rob_tape_free(p.tape);
    rob_ctx_free(p.ctx);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------- */

typedef struct meter {
    int64_t calls, alive, fail_at;
} meter;

static void *metered_allocate(void *user, int64_t bytes)
{
    meter *m = user;
    if (++m->calls == m->fail_at) return NULL;
    void *p = malloc((size_t)bytes);
    m->alive += p != NULL;
    return p;
}

static void metered_release(void *user, void *p)
{
    ((meter *)user)->alive--;
    free(p);
}

START_TEST(replay_allocates_nothing)
{
    program p;
    meter m = { 0 };
    must(NULL, rob_ctx_create_with(metered_allocate, metered_release, &m, &p.ctx));
    program_make(&p, ROB_F64);
    check_at(&p, (double[]){ 0.1, 0.2, 0.3 }, 32);
    must(p.ctx, rob_tape_run(p.ctx, p.tape, &p.y, 1));
    int64_t calls = m.calls;
    for (int k = 0; k < 50; k++) {
        check_at(&p, (double[]){ 0.1 * k, -0.2 * k, 0.03 * k }, 64);
        must(p.ctx, rob_tape_run(p.ctx, p.tape, &p.y, 1));
    }
    ck_assert_int_eq(m.calls, calls);
    rob_tape_free(p.tape);
    rob_ctx_free(p.ctx);
    ck_assert_int_eq(m.alive, 0);
}
END_TEST

/* One program from beginning to end; the first status below 0. */
static rob_status whole_program(rob_ctx *ctx)
{
    rob_tape *t = NULL;
    rob_var x, y, g, h;
    rob_status status = rob_tape_create(ctx, ROB_F64, &t);
    if (status < ROB_OK) ck_assert_ptr_null(t);
    if (status >= ROB_OK) status = rob_tape_input(ctx, t, (int64_t[]){ 2, 2 }, 2, &x);
    if (status >= ROB_OK) status = rob_tape_apply(ctx, t, "softplus", &x, 1, &y);
    if (status >= ROB_OK)
        status = rob_tape_apply(ctx, t, "matmul", (rob_var[]){ x, y }, 2, &y);
    if (status >= ROB_OK) status = rob_tape_apply(ctx, t, "sum", &y, 1, &y);
    if (status >= ROB_OK) status = rob_tape_gradient(ctx, t, y, x, &g);
    if (status >= ROB_OK) status = rob_tape_jvp(ctx, t, g, x, x, &h);
    if (status >= ROB_OK) status = rob_tape_run(ctx, t, (rob_var[]){ y, g, h }, 3);
    rob_tape_free(t);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    rob_status status = ROB_EMEMORY;
    int64_t n = 0;
    for (n = 1; status != ROB_OK && n < 10000; n++) {
        rob_ctx *ctx = NULL;
        meter m = { .fail_at = n };
        status = rob_ctx_create_with(metered_allocate, metered_release, &m, &ctx);
        if (status == ROB_OK) status = whole_program(ctx);
        ck_assert_msg(status == ROB_OK || status == ROB_EMEMORY, "allocation %d: %s",
                      (int)n, rob_ctx_error(ctx));
        rob_ctx_free(ctx);
        ck_assert_int_eq(m.alive, 0);
    }
    ck_assert(n > 10 && n < 10000);
}
END_TEST

/* After a failed allocation the same tape finishes the same program. */
START_TEST(tape_survives_a_failed_allocation)
{
    const double x[D] = { 0.3, 0.6, -0.9 };
    for (int64_t n = 1; n < 60; n++) {
        program p;
        meter m = { 0 };
        rob_var y;
        must(NULL, rob_ctx_create_with(metered_allocate, metered_release, &m, &p.ctx));
        program_make(&p, ROB_F64);
        m.fail_at = m.calls + n;
        if (rob_tape_apply(p.ctx, p.tape, "erf", &p.x, 1, &y) >= ROB_OK)
            rob_tape_run(p.ctx, p.tape, &y, 1);
        m.fail_at = 0;
        check_at(&p, x, 32);
        rob_tape_free(p.tape);
        rob_ctx_free(p.ctx);
        ck_assert_int_eq(m.alive, 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tape");
    TCase *t = tcase_create("tape");
    tcase_add_loop_test(t, derivatives_have_their_closed_forms, 0, 2);
    tcase_add_test(t, hessian_of_logsumexp);
    tcase_add_test(t, every_name_is_understood_or_refused);
    tcase_add_test(t, wrong_arguments_are_named);
    tcase_add_test(t, independent_variables_have_zero_derivatives);
    tcase_add_test(t, replay_allocates_nothing);
    tcase_add_test(t, any_allocation_may_fail);
    tcase_add_test(t, tape_survives_a_failed_allocation);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
