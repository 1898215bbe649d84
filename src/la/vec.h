/* vec.h -- one vector type and one fused multiply-add per precision and instruction set.
 *
 * A kernel file is compiled six times: -DROB_KERNEL_f32 or _f64 and _generic, _avx2 or
 * _avx512. `real` is the element, `vec` holds LANES of them, R(name) gives the symbol its
 * suffix, e.g. rob_priv_la_product_f32_avx512. Arithmetic on vec is GCC's (+ - * / and
 * comparisons, lane by lane, correctly rounded); FMA(a,b,c) = a*b + c is one rounding
 * where the CPU has it. Tails run the same vector code on a padded copy, so an element's
 * bits do not depend on where it stands.
 */
#ifndef ROB_VEC_H
#define ROB_VEC_H

#include <stdint.h>
#include <string.h>

#if defined(ROB_KERNEL_f32)
typedef float real;
typedef int32_t bits;
#define ROB_DTYPE_NAME f32
#else
typedef double real;
typedef int64_t bits;
#define ROB_DTYPE_NAME f64
#endif

#if defined(ROB_KERNEL_avx512)
#define ROB_VEC_BYTES 64
#define ROB_ISA_NAME avx512
#elif defined(ROB_KERNEL_avx2)
#define ROB_VEC_BYTES 32
#define ROB_ISA_NAME avx2
#else
#define ROB_VEC_BYTES 16
#define ROB_ISA_NAME generic
#endif

#if defined(__FMA__)
#include <immintrin.h>
#endif

#define ROB_PASTE4_(a, b, c, d) a##_##b##_##c##_##d
#define ROB_PASTE4(a, b, c, d) ROB_PASTE4_(a, b, c, d)
#define R(name) ROB_PASTE4(rob_priv, name, ROB_DTYPE_NAME, ROB_ISA_NAME)

enum { LANES = ROB_VEC_BYTES / (int)sizeof(real) };
typedef real vec __attribute__((vector_size(ROB_VEC_BYTES)));
typedef bits vecb __attribute__((vector_size(ROB_VEC_BYTES)));

static inline vec vec_load(const real *p) { vec v; memcpy(&v, p, sizeof v); return v; }
static inline void vec_store(real *p, vec v) { memcpy(p, &v, sizeof v); }
static inline vec vec_all(real x) { return x - (vec){0}; } /* keeps -0, costs nothing */

static inline vec vec_fma(vec a, vec b, vec c)
{
#if defined(ROB_KERNEL_avx512) && defined(ROB_KERNEL_f32)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(ROB_KERNEL_avx512)
    return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(ROB_KERNEL_avx2) && defined(ROB_KERNEL_f32)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(ROB_KERNEL_avx2)
    return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return a * b + c;
#endif
}

/* a where the mask lane is all ones, else b: bits kept, NaN included */
static inline vec vec_select(vecb mask, vec a, vec b)
{
    return (vec)(((vecb)a & mask) | ((vecb)b & ~mask));
}

#endif
