/* exact.h -- operators by MPFR at 140 bits: the reference of kernels. */
#ifndef ROB_TEST_EXACT_H
#define ROB_TEST_EXACT_H

#include <math.h>
#include <mpfr.h>

enum { BITS = 140 };

typedef void reference(mpfr_t y, const double *x);

static inline void exact_exp(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
}

static inline void exact_log(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_log(y, y, MPFR_RNDN);
}

static inline void exact_tanh(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_tanh(y, y, MPFR_RNDN);
}

static inline void exact_sigmoid(mpfr_t y, const double *x)
{
    mpfr_set_d(y, -x[0], MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_add_ui(y, y, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

static inline void exact_softplus(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    if (x[0] > 1000) return; /* log(1 + e^x) - x < e^-1000 */
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_log1p(y, y, MPFR_RNDN);
}

static inline void exact_erf(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_erf(y, y, MPFR_RNDN);
}

static inline void exact_sqrt(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_sqrt(y, y, MPFR_RNDN);
}

static inline void exact_rsqrt(mpfr_t y, const double *x)
{
    exact_sqrt(y, x);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

static inline void exact_reciprocal(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

static inline void exact_square(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_sqr(y, y, MPFR_RNDN);
}

static inline void exact_relu(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0] <= 0 ? 0 : x[0], MPFR_RNDN);
}

static inline void exact_abs(mpfr_t y, const double *x)
{
    mpfr_set_d(y, fabs(x[0]), MPFR_RNDN);
}
static inline void exact_step(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0] > 0, MPFR_RNDN);
}
static inline void exact_sign(mpfr_t y, const double *x)
{
    mpfr_set_d(y, isnan(x[0]) ? NAN : (x[0] > 0) - (x[0] < 0), MPFR_RNDN);
}

static inline void exact_sigtanh(mpfr_t y, const double *x)
{
    mpfr_t t;
    mpfr_init2(t, BITS);
    exact_tanh(t, x + 1);
    exact_sigmoid(y, x);
    mpfr_mul(y, y, t, MPFR_RNDN);
    mpfr_clear(t);
}

static inline void exact_sigmul(mpfr_t y, const double *x)
{
    exact_sigmoid(y, x);
    mpfr_mul_d(y, y, x[1], MPFR_RNDN);
}

static inline void exact_add(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_add_d(y, y, x[1], MPFR_RNDN);
}

static inline void exact_sub(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_sub_d(y, y, x[1], MPFR_RNDN);
}

static inline void exact_mul(mpfr_t y, const double *x)
{
    mpfr_set_d(y, x[0], MPFR_RNDN);
    mpfr_mul_d(y, y, x[1], MPFR_RNDN);
}

#endif
