/* kernel.c -- the loops over rows of coefficients, plainly.
 *
 *     product   C (R, K) += A (R, N) M (N, K)
 *     ends      base_r += sum_e a_e (a_e > 0 ? lo_e : up_e),  cost_r = sum_e |a_e| w_e
 *     slopes    c_e += a_e (a_e > 0 ? lo_e : up_e)
 *     add       c_e += sign a_e
 *
 * An element of the product has N + 1 terms, C's first, so it errs by at most gamma_{N+1}
 * (|C| + |A| |M|), in any order, fused or not (Higham, Accuracy and Stability of
 * Numerical Algorithms, 2nd ed., 3.1 and 3.5); sums of `ends` are dot products of n terms.
 * NaN coefficients reach the sums. The same lines are compiled for each instruction set.
 */
#include "check/check.h"

#include <string.h>

#define GET(v, p) memcpy(&(v), p, sizeof(v))
#define PUT(p, v) memcpy(p, &(v), sizeof(v))

/* ---- product: four rows of A, two vectors of columns of M ------------------------ */

/* Columns of M come in whole tiles, ROB_CHECK_PAD wide; what of `to` is narrower than
 * one goes through a tile of its own. */
#define PRODUCT(name, attribute, v, lanes, times)                                        \
    attribute static inline void name##_tile(int64_t n, const double *a, int64_t lda,    \
                                             const double *m, int64_t ldm, double *to,   \
                                             int64_t ld)                                 \
    {                                                                                    \
        v s0, s1, s2, s3, t0, t1, t2, t3, x, y;                                          \
        GET(s0, to), GET(t0, to + lanes);                                                \
        GET(s1, to + ld), GET(t1, to + ld + lanes);                                      \
        GET(s2, to + 2 * ld), GET(t2, to + 2 * ld + lanes);                              \
        GET(s3, to + 3 * ld), GET(t3, to + 3 * ld + lanes);                              \
        for (int64_t j = 0; j < n; j++, m += ldm) {                                      \
            GET(x, m), GET(y, m + lanes);                                                \
            s0 = times(a[j], x, s0), t0 = times(a[j], y, t0);                            \
            s1 = times(a[lda + j], x, s1), t1 = times(a[lda + j], y, t1);                \
            s2 = times(a[2 * lda + j], x, s2), t2 = times(a[2 * lda + j], y, t2);        \
            s3 = times(a[3 * lda + j], x, s3), t3 = times(a[3 * lda + j], y, t3);        \
        }                                                                                \
        PUT(to, s0), PUT(to + lanes, t0);                                                \
        PUT(to + ld, s1), PUT(to + ld + lanes, t1);                                      \
        PUT(to + 2 * ld, s2), PUT(to + 2 * ld + lanes, t2);                              \
        PUT(to + 3 * ld, s3), PUT(to + 3 * ld + lanes, t3);                              \
    }                                                                                    \
    attribute static void name(int64_t rows, int64_t n, int64_t k, const double *a,      \
                               int64_t lda, const double *m, int64_t ldm, double *to,    \
                               int64_t ld)                                               \
    {                                                                                    \
        const int64_t wide = 2 * lanes;                                                  \
        for (int64_t r = 0; r < rows; r += 4)                                            \
            for (int64_t c = 0; c < k; c += wide) {                                      \
                double own[4 * 2 * lanes] = { 0 }, *at = to + r * ld + c;                \
                const int64_t left = k - c < wide ? k - c : wide;                        \
                for (int i = 0; left < wide && i < 4; i++)                               \
                    memcpy(own + i * wide, at + i * ld, (size_t)left * sizeof *own);     \
                if (left == wide)                                                        \
                    name##_tile(n, a + r * lda, lda, m + c, ldm, at, ld);                \
                else name##_tile(n, a + r * lda, lda, m + c, ldm, own, wide);            \
                for (int i = 0; left < wide && i < 4; i++)                               \
                    memcpy(at + i * ld, own + i * wide, (size_t)left * sizeof *own);     \
            }                                                                            \
    }

/* ---- loops along a row ----------------------------------------------------------- */

enum { LANES = 8 };
typedef double lanes_of __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t bits_of __attribute__((vector_size(LANES * sizeof(int64_t))));

/* a > 0 ? a : 0, and what is left; NaN is left */
#define SIDES(a, above, below) \
    above = (lanes_of)((bits_of)(a) & ((a) > 0)), below = (a) - above
#define SIZE(a) ((lanes_of)((bits_of)(a) & INT64_MAX))

#define ALONG(name, attribute)                                                           \
    attribute static void name##_ends(int64_t rows, int64_t n, const double *a,          \
                                      int64_t ld, const double *lo, const double *up,    \
                                      const double *w, double *base, double *cost)       \
    {                                                                                    \
        for (int64_t r = 0; r < rows; r++, a += ld) {                                    \
            lanes_of sum = { 0 }, size = { 0 }, x, p, q, above, below;                   \
            int64_t e = 0;                                                               \
            for (; e + LANES <= n; e += LANES) {                                         \
                GET(x, a + e), GET(p, lo + e), GET(q, up + e);                           \
                SIDES(x, above, below);                                                  \
                sum += above * p + below * q;                                            \
                GET(p, w + e);                                                           \
                size += SIZE(x) * p;                                                     \
            }                                                                            \
            double s = 0, c = 0;                                                         \
            for (int i = 0; i < LANES; i++) s += sum[i], c += size[i];                   \
            for (; e < n; e++) {                                                         \
                s += a[e] * (a[e] > 0 ? lo[e] : up[e]);                                  \
                c += fabs(a[e]) * w[e];                                                  \
            }                                                                            \
            base[r] += s;                                                                \
            cost[r] = c;                                                                 \
        }                                                                                \
    }                                                                                    \
    attribute static void name##_slopes(int64_t rows, int64_t n, const double *a,        \
                                        int64_t lda, const double *lo, const double *up, \
                                        double *to, int64_t ld)                          \
    {                                                                                    \
        for (int64_t r = 0; r < rows; r++, a += lda, to += ld) {                         \
            lanes_of x, p, q, t, above, below;                                           \
            int64_t e = 0;                                                               \
            for (; e + LANES <= n; e += LANES) {                                         \
                GET(x, a + e), GET(p, lo + e), GET(q, up + e), GET(t, to + e);           \
                SIDES(x, above, below);                                                  \
                t += above * p + below * q;                                              \
                PUT(to + e, t);                                                          \
            }                                                                            \
            for (; e < n; e++) to[e] += a[e] * (a[e] > 0 ? lo[e] : up[e]);               \
        }                                                                                \
    }                                                                                    \
    attribute static void name##_add(int64_t rows, int64_t n, double sign,               \
                                     const double *a, int64_t lda, double *to,           \
                                     int64_t ld)                                         \
    {                                                                                    \
        for (int64_t r = 0; r < rows; r++, a += lda, to += ld) {                         \
            lanes_of x, t;                                                               \
            int64_t e = 0;                                                               \
            for (; e + LANES <= n; e += LANES) {                                         \
                GET(x, a + e), GET(t, to + e);                                           \
                t += sign * x;                                                           \
                PUT(to + e, t);                                                          \
            }                                                                            \
            for (; e < n; e++) to[e] += sign * a[e];                                     \
        }                                                                                \
    }

typedef double two __attribute__((vector_size(16)));
#define TIMES2(a, b, c) ((a) * (b) + (c))
PRODUCT(narrow, , two, 2, TIMES2)
ALONG(narrow, )

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,fma")))
#define TIMES4(a, b, c) _mm256_fmadd_pd(_mm256_set1_pd(a), b, c)
#define TIMES8(a, b, c) _mm512_fmadd_pd(_mm512_set1_pd(a), b, c)
PRODUCT(wide, AVX2, __m256d, 4, TIMES4)
ALONG(wide, AVX2)
PRODUCT(wider, AVX512, __m512d, 8, TIMES8)
ALONG(wider, AVX512)
#define KERNEL(name) { name, name##_ends, name##_slopes, name##_add }
static const rob_check_kernel KERNELS[ROB_ISA_COUNT] = { KERNEL(narrow), KERNEL(wide),
                                                         KERNEL(wider) };
#else
#define KERNEL(name) { name, name##_ends, name##_slopes, name##_add }
static const rob_check_kernel KERNELS[ROB_ISA_COUNT] = { KERNEL(narrow), KERNEL(narrow),
                                                         KERNEL(narrow) };
#endif

const rob_check_kernel *rob_priv_check_kernel(int32_t isa) { return &KERNELS[isa]; }
