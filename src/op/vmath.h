/* vmath.h -- elementary functions on vectors, for kernels only.
 *
 * exp x = 2^k exp r with k = round(x / ln 2), r = x - k ln 2 (ln 2 in two parts, k times
 * the first is exact), exp r = 1 + (r + r^2 P(r)).
 * log x = k ln 2 + log(1 + f), m = 1 + f in [sqrt 1/2, sqrt 2), with s = f / (2 + f):
 * log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))), R(z) = log((1 + s)/(1 - s)) / s - 2.
 * erf x = x N(x^2) for |x| < 1, else +-(1 - exp(-x^2) F(u)), F the scaled complement as
 * a function of u = (|x| - 2)/(|x| + b).
 * P, R, N, F are Chebyshev fits to far below half a unit in the last place; the errors
 * left are those of the few last operations. NaN in, NaN out; overflow gives inf,
 * underflow passes through the subnormals to 0 (in the sigmoid only the largest of them;
 * the rest are 0). Reference: Muller, Elementary Functions, 3rd ed., 2016.
 */
#ifndef ROB_VMATH_H
#define ROB_VMATH_H

#include "la/vec.h"

typedef __typeof__(__builtin_choose_expr(sizeof(real) == 4, (uint32_t)0,
                                         (uint64_t)0)) word;
typedef word vecw __attribute__((vector_size(ROB_VEC_BYTES)));

#if defined(ROB_KERNEL_f32)
enum { MANTISSA = 23, BIAS = 127 };
#define EXP_LEAST  -104.0
#define EXP_MOST   89.0
#define FAST_LEAST -87.0
#define LN2_HI     0x1.62e4p-1
#define LN2_LO     0x1.7f7d1cp-20
#define TANH_MOST  10.0
#define ERF_MOST   4.0
#define ERF_B      2.0
static const real exp_p[] = { 0x1p-1f, 0x1.5554dcp-3f, 0x1.55551ap-5f, 0x1.120b6ep-7f,
                              0x1.6d110ap-10f };
static const real log_r[] = { 0x1.55555cp-1f, 0x1.997c22p-2f, 0x1.2ee8c8p-2f };
static const real erf_near[] = { 0x1.20dd74p+0f,  -0x1.81273ep-2f, 0x1.ce2d10p-4f,
                                 -0x1.b7fabap-6f, 0x1.541270p-8f,  -0x1.a45088p-11f,
                                 0x1.4a5690p-14f };
static const real erf_far[] = { 0x1.058672p-2f,   -0x1.b57034p-2f, 0x1.eeea80p-3f,
                                -0x1.437efcp-4f,  0x1.e92de2p-9f,  0x1.ca6a34p-8f,
                                -0x1.b69d34p-11f, -0x1.ef02f6p-11f };
#else
enum { MANTISSA = 52, BIAS = 1023 };
#define EXP_LEAST  -746.0
#define EXP_MOST   710.0
#define FAST_LEAST -708.0
#define LN2_HI     0x1.62e42feep-1
#define LN2_LO     0x1.a39ef35793c76p-33
#define TANH_MOST  20.0
#define ERF_MOST   6.0
#define ERF_B      3.0
static const real exp_p[] = { 0x1p-1,
                              0x1.5555555555556p-3,
                              0x1.5555555553d63p-5,
                              0x1.11111111109b3p-7,
                              0x1.6c16c1788bd90p-10,
                              0x1.a01a01a7c41d5p-13,
                              0x1.a019b90d2ae7ap-16,
                              0x1.71de0dae63bb3p-19,
                              0x1.289185613a3d6p-22,
                              0x1.af38a9b0ec855p-26 };
static const real log_r[] = { 0x1.5555555555558p-1, 0x1.9999999995273p-2,
                              0x1.2492492dfd86cp-2, 0x1.c71c62d5e53e0p-3,
                              0x1.7462b91b8df65p-3, 0x1.39fdcceb4bb45p-3,
                              0x1.2b5f68a50d903p-3 };
static const real erf_near[] = { 0x1.20dd750429b6dp+0,  -0x1.812746b0379c1p-2,
                                 0x1.ce2f21a040f66p-4,  -0x1.b82ce31203772p-6,
                                 0x1.565bccfa44156p-8,  -0x1.c02db0665e53dp-11,
                                 0x1.f9a2be4f731a1p-14, -0x1.f4ca838adb73bp-17,
                                 0x1.b981d78881a5dp-20, -0x1.5c131500d3f88p-23,
                                 0x1.d76af6ca49787p-27, -0x1.ac9585a44fe29p-31 };
static const real erf_far[] = { 0x1.058671b52c776p-2,   -0x1.11662115e47aap-1,
                                0x1.05ad2167da919p-1,   -0x1.817565d743b9fp-2,
                                0x1.a1aebbf53abadp-3,   -0x1.2400de2b590a6p-4,
                                0x1.fd336c4e71200p-8,   0x1.864ff8e0ecfd8p-8,
                                -0x1.37c38279c3404p-9,  -0x1.0279d0bf4da81p-11,
                                0x1.bd743ded217e3p-12,  0x1.1700e14340e27p-14,
                                -0x1.4223dc5901503p-14, -0x1.1523f395972b3p-16,
                                0x1.109526450413fp-16,  0x1.bf81a9166c049p-25 };
#endif

/* ---- small tools ----------------------------------------------------------------- */

static inline vec vm_all(double x) { return vec_all((real)x); }
static inline vec vm_abs(vec x)
{
    return (vec)((vecw)x & ~((vecw){ 0 } + ((word)1 << (8 * sizeof(real) - 1))));
}
/* |size| with the sign of x */
static inline vec vm_sign_of(vec x, vec size)
{
    const vecw top = (vecw){ 0 } + ((word)1 << (8 * sizeof(real) - 1));
    return (vec)(((vecw)size & ~top) | ((vecw)x & top));
}

/* a < b ? a : b; so a NaN in b stays (and in a goes) */
static inline vec vm_min(vec a, vec b)
{
#if defined(ROB_KERNEL_avx512) && defined(ROB_KERNEL_f32)
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(ROB_KERNEL_avx512)
    return (vec)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif defined(ROB_KERNEL_avx2) && defined(ROB_KERNEL_f32)
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(ROB_KERNEL_avx2)
    return (vec)_mm256_min_pd((__m256d)a, (__m256d)b);
#else
    return vec_select((vecb)(a < b), a, b);
#endif
}

static inline vec vm_max(vec a, vec b) /* a > b ? a : b */
{
#if defined(ROB_KERNEL_avx512) && defined(ROB_KERNEL_f32)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(ROB_KERNEL_avx512)
    return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(ROB_KERNEL_avx2) && defined(ROB_KERNEL_f32)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(ROB_KERNEL_avx2)
    return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
    return vec_select((vecb)(a > b), a, b);
#endif
}

static inline vec vm_sqrt(vec x)
{
#if defined(ROB_KERNEL_avx512) && defined(ROB_KERNEL_f32)
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif defined(ROB_KERNEL_avx512)
    return (vec)_mm512_sqrt_pd((__m512d)x);
#elif defined(ROB_KERNEL_avx2) && defined(ROB_KERNEL_f32)
    return (vec)_mm256_sqrt_ps((__m256)x);
#elif defined(ROB_KERNEL_avx2)
    return (vec)_mm256_sqrt_pd((__m256d)x);
#else
    for (int i = 0; i < LANES; i++)
        x[i] = (real)(sizeof(real) == 4 ? __builtin_sqrtf((float)x[i])
                                        : __builtin_sqrt((double)x[i]));
    return x;
#endif
}

/* OP of the lanes by halves: lane i with lane i + half */
#if defined(__FMA__) && (defined(ROB_KERNEL_avx512) || defined(ROB_KERNEL_avx2))
#if defined(ROB_KERNEL_f32)
#define VM_FOLD_(OP)                                                                   \
    __m128 q = _mm_##OP##_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));  \
    q = _mm_##OP##_ps(q, _mm_movehl_ps(q, q));                                         \
    return _mm_cvtss_f32(_mm_##OP##_ss(q, _mm_movehdup_ps(q)))
#define VM_HALVE_(OP)                                                                  \
    __m256 h = _mm256_##OP##_ps(_mm512_castps512_ps256((__m512)x),                     \
                                _mm512_extractf32x8_ps((__m512)x, 1))
#define VM_WHOLE_ __m256 h = (__m256)x
#else
#define VM_FOLD_(OP)                                                                   \
    __m128d q = _mm_##OP##_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1)); \
    return _mm_cvtsd_f64(_mm_##OP##_sd(q, _mm_unpackhi_pd(q, q)))
#define VM_HALVE_(OP)                                                                  \
    __m256d h = _mm256_##OP##_pd(_mm512_castpd512_pd256((__m512d)x),                   \
                                 _mm512_extractf64x4_pd((__m512d)x, 1))
#define VM_WHOLE_ __m256d h = (__m256d)x
#endif
#if defined(ROB_KERNEL_avx512)
static inline real vm_total(vec x) { VM_HALVE_(add); VM_FOLD_(add); }
static inline real vm_most(vec x) { VM_HALVE_(max); VM_FOLD_(max); }
#else
static inline real vm_total(vec x) { VM_WHOLE_; VM_FOLD_(add); }
static inline real vm_most(vec x) { VM_WHOLE_; VM_FOLD_(max); }
#endif
#else
static inline real vm_total(vec x)
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) x[i] += x[i + half];
    return x[0];
}

static inline real vm_most(vec x)
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) x[i] = x[i] > x[i + half] ? x[i] : x[i + half];
    return x[0];
}
#endif

/* c[0] + c[1] x + ... by Horner */
static inline vec vm_poly(const real *c, int n, vec x)
{
    vec y = vec_all(c[n - 1]);
#pragma GCC unroll 24
    for (int i = n - 2; i >= 0; i--) y = vec_fma(y, x, vec_all(c[i]));
    return y;
}
#define VM_POLY(c, x) vm_poly(c, (int)(sizeof(c) / sizeof *(c)), x)

/* ---- exp and its relatives ------------------------------------------------------- */

/* x = k ln 2 + r; the low bits of `place` hold k. */
typedef struct vm_reduced {
    vec place, r;
} vm_reduced;

static inline vm_reduced vm_reduce(vec x)
{
    const vec magic = vm_all(sizeof(real) == 4 ? 0x1.8p23 : 0x1.8p52);
    vec place = vec_fma(x, vm_all(0x1.71547652b82fep+0), magic);
    vec k = magic - place; /* -k */
    vec r = vec_fma(k, vm_all(LN2_HI), x);
    return (vm_reduced){ place, vec_fma(k, vm_all(LN2_LO), r) };
}

/* 2^k from a word whose low bits hold k, for normal 2^k */
static inline vec vm_two_to(vecw k)
{
    return (vec)((k << MANTISSA) + ((word)BIAS << MANTISSA));
}

static inline vec vm_expm1_small(vec r) /* |r| <= ln 2 / 2 */
{
    return vec_fma(r * r, VM_POLY(exp_p, r), r);
}

static inline vec vm_exp(vec x)
{
    x = vm_min(vm_all(EXP_MOST), vm_max(vm_all(EXP_LEAST), x));
    vm_reduced e = vm_reduce(x);
    vec y = vm_expm1_small(e.r) + 1;
    vecw whole = (vecw)e.place, half = whole >> 1;
    return y * vm_two_to(half) * vm_two_to(whole - half);
}

/* exp x - 1 for -2 TANH_MOST <= x <= 0, relative accuracy kept at 0 */
static inline vec vm_expm1_negative(vec x)
{
    vm_reduced e = vm_reduce(x);
    vec scale = vm_two_to((vecw)e.place);
    return vec_fma(scale, vm_expm1_small(e.r), scale - 1);
}

static inline vec vm_tanh(vec x) /* -m / (2 + m), m = exp(-2|x|) - 1 */
{
    vec size = vm_min(vm_all(TANH_MOST), vm_abs(x));
    vec m = vm_expm1_negative(size * -2);
    return vm_sign_of(x, m / (m + 2));
}

/* exp, but inf from 2^(BIAS + 1/2) on and never below exp(FAST_LEAST): one scaling */
static inline vec vm_exp_below_the_bar(vec x)
{
    x = vm_min(vm_all(EXP_MOST), vm_max(vm_all(FAST_LEAST), x));
    vm_reduced e = vm_reduce(x);
    return (vm_expm1_small(e.r) + 1) * vm_two_to((vecw)e.place);
}

/* 1 / (1 + exp(-x)); 0 where that is below 2^-(BIAS + 1/2) */
static inline vec vm_sigmoid(vec x) { return 1 / (vm_exp_below_the_bar(-x) + 1); }

/* sigmoid(a) tanh(b) with one division: |m| / ((1 + exp(-a)) (2 + m)) */
static inline vec vm_sigmoid_tanh(vec a, vec b)
{
    vec m = vm_expm1_negative(vm_min(vm_all(TANH_MOST), vm_abs(b)) * -2);
    return vm_sign_of(b, m / ((vm_exp_below_the_bar(-a) + 1) * (m + 2)));
}

/* ---- log and its relatives ------------------------------------------------------- */

/* k ln 2 + log(1 + f) */
static inline vec vm_log_parts(vec k, vec f)
{
    vec s = f / (f + 2), z = s * s;
    vec half = f * f * (real)0.5;
    vec tail = vec_fma(s, vec_fma(z, VM_POLY(log_r, z), half), k * (real)LN2_LO);
    return k * (real)LN2_HI - ((half - tail) - f);
}

static inline vec vm_log(vec x)
{
    const word root_half =
        sizeof(real) == 4 ? (word)0x3f3504f3 : (word)0x3fe6a09e667f3bcdu;
    const vec shift = vm_all(sizeof(real) == 4 ? 0x1p23 : 0x1p52);
    const vec least = vm_all(sizeof(real) == 4 ? 0x1p-126 : 0x1p-1022);
    const vec infinity = vm_all(__builtin_inf());
    vecb small = (vecb)(x < least);
    vecw w = (vecw)vec_select(small, x * shift, x) - root_half;
    /* exponent + BIAS as an integer below 2^MANTISSA, read as a real */
    vecw raw = (w + ((word)BIAS << MANTISSA)) >> MANTISSA;
    vec k = (vec)(raw | (vecw)shift) - (shift + (real)BIAS);
    k = k - vec_select(small, vm_all(MANTISSA), vm_all(0));
    vec f = (vec)((w & (((word)1 << MANTISSA) - 1)) + root_half) - 1;
    vec y = vm_log_parts(k, f);
    y = vec_select((vecb)(x < infinity), y, x); /* inf and NaN stay */
    y = vec_select((vecb)(x == vm_all(0)), -infinity, y);
    return vec_select((vecb)(x < vm_all(0)), vm_all(__builtin_nan("")), y);
}

/* log(1 + e), 0 <= e <= 1, relative accuracy kept at 0 */
static inline vec vm_log1p_unit(vec e)
{
    vecb big = (vecb)(e > vm_all(0x1.a8279ap-2));
    vec f = vec_select(big, (e - 1) * (real)0.5, e);
    return vm_log_parts(vec_select(big, vm_all(1), vm_all(0)), f);
}

static inline vec vm_softplus(vec x) /* max(x, 0) + log(1 + exp(-|x|)) */
{
    vec positive = vec_select((vecb)(x > vm_all(0)), x, vm_all(0));
    return positive + vm_log1p_unit(vm_exp(-vm_abs(x)));
}

static inline vec vm_erf(vec x)
{
    vec size = vm_min(vm_all(ERF_MOST), vm_abs(x)), square = size * size;
    vec near = size * VM_POLY(erf_near, square);
    vec u = (size - 2) / (size + (real)ERF_B);
    vec far = 1 - vm_exp(-square) * VM_POLY(erf_far, u);
    return vm_sign_of(x, vec_select((vecb)(size < vm_all(1)), near, far));
}

#endif
