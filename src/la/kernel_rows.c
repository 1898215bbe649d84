/* kernel_rows.c -- what element-wise planes do to rows of coefficients.
 *
 *     sum_e a_e phi_e(z) >= sum_e a_e (sum_i s_ie z_ie + o_e),
 *
 * with (s, o) the plane below phi_e where a_e >= 0 and the one above where a_e < 0. So
 * the coefficient of z_i grows by a_e s_ie and the constant by a_e o_e. Sums run in
 * LANES chains; the caller pays for rounding with the weighted norms computed here,
 * which hold for any order of summation (Higham, Accuracy and Stability, 2nd ed.,
 * section 3.1).
 */
#include "la/rows.h"

#ifdef ROB_KERNEL
#ifdef ROB_KERNEL_f64
#include "la/vec.h"

static inline vec magnitude(vec x)
{
    return (vec)((vecb)x & (vecb)((vecb){0} + INT64_MAX));
}

static inline double total(vec v)
{
    double s = 0;
    for (int i = 0; i < LANES; i++) s += v[i];
    return s;
}

/* v[0..n), n < LANES, zeros behind */
static inline vec load_some(const double *p, int64_t n)
{
#if defined(ROB_KERNEL_avx512)
    return (vec)_mm512_maskz_loadu_pd((__mmask8)((1 << n) - 1), p);
#elif defined(ROB_KERNEL_avx2)
    return (vec)_mm256_maskload_pd(p, (__m256i)((vecb){0, 1, 2, 3} < (vecb){0} + n));
#else
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
#endif
}

/* v into p[0..n), or all of it */
static inline void store(double *p, int64_t n, vec v)
{
#if defined(ROB_KERNEL_avx512)
    if (n < LANES) _mm512_mask_storeu_pd(p, (__mmask8)((1 << n) - 1), (__m512d)v);
    else vec_store(p, v);
#elif defined(ROB_KERNEL_avx2)
    if (n < LANES)
        _mm256_maskstore_pd(p, (__m256i)((vecb){0, 1, 2, 3} < (vecb){0} + n), (__m256d)v);
    else vec_store(p, v);
#else
    memcpy(p, &v, (size_t)(n < LANES ? n : LANES) * sizeof *p);
#endif
}

static inline vec load(const double *p, int64_t n)
{
    return n >= LANES ? vec_load(p) : load_some(p, n);
}

#define INLINE static inline __attribute__((always_inline))
enum { TALL = 4 };
#define UNROLL _Pragma("GCC unroll 4")

/* One vector of `tall` rows: `left` elements from e on. Planes are read once for all.
 */
INLINE void bend_vector(const rob_bend *b, const int ins, const int tall, int64_t e,
                        int64_t left, const double *a, int64_t lda, double *const *to,
                        const int64_t *ld, vec *base, vec *cost)
{
    const vec weight = load(b->weight + e, left);
    const vec below = load(b->lo_offset + e, left),
              above = load(b->up_offset + e, left);
    vec lo[3], up[3];
    UNROLL for (int i = 0; i < ins; i++) {
        lo[i] = load(b->lo[i] + e, left);
        up[i] = load(b->up[i] + e, left);
    }
    UNROLL for (int r = 0; r < tall; r++) {
        const vec x = load(a + r * lda + e, left);
        const vecb up_to = (vecb)(x >= (vec){0});
        UNROLL for (int i = 0; i < ins; i++) {
            double *at = to[i] + r * ld[i] + e;
            const vec y = vec_fma(x, vec_select(up_to, lo[i], up[i]), load(at, left));
            store(at, left, y);
        }
        base[r] = vec_fma(x, vec_select(up_to, below, above), base[r]);
        cost[r] = vec_fma(magnitude(x), weight, cost[r]);
    }
}

INLINE void bend_some(const rob_bend *b, const int ins, const int tall, const double *a,
                      int64_t lda, double *const *to, const int64_t *ld, double *base,
                      double *cost)
{
    vec sum[TALL] = {0}, paid[TALL] = {0};
    const int64_t whole = b->n / LANES * LANES;
    for (int64_t e = 0; e < whole; e += LANES)
        bend_vector(b, ins, tall, e, LANES, a, lda, to, ld, sum, paid);
    if (whole < b->n)
        bend_vector(b, ins, tall, whole, b->n - whole, a, lda, to, ld, sum, paid);
    UNROLL for (int r = 0; r < tall; r++) {
        base[r] += total(sum[r]);
        cost[r] = total(paid[r]);
    }
}

INLINE void bend_rows(const rob_bend *b, const int ins, int64_t rows, const double *a,
                      int64_t lda, double *const *to, const int64_t *ld, double *base,
                      double *cost)
{
    double *at[3] = {0};
    int64_t r = 0;
    for (; r < rows; r += r + TALL <= rows ? TALL : 1) {
        for (int i = 0; i < ins; i++) at[i] = to[i] + r * ld[i];
        if (r + TALL <= rows)
            bend_some(b, ins, TALL, a + r * lda, lda, at, ld, base + r, cost + r);
        else
            bend_some(b, ins, 1, a + r * lda, lda, at, ld, base + r, cost + r);
    }
}

void R(rows_bend)(const rob_bend *b, int64_t rows, const double *a, int64_t lda,
                  double *const *to, const int64_t *ld, double *base, double *cost)
{
    if (b->ins == 0) bend_rows(b, 0, rows, a, lda, to, ld, base, cost);
    else if (b->ins == 1) bend_rows(b, 1, rows, a, lda, to, ld, base, cost);
    else if (b->ins == 2) bend_rows(b, 2, rows, a, lda, to, ld, base, cost);
    else bend_rows(b, 3, rows, a, lda, to, ld, base, cost);
}

/* out[r] = sum_e |a_re| w_e, or without the bars */
INLINE void dots(const int tall, const int bars, int64_t n, const double *a,
                 int64_t lda, const double *w, double *out, int64_t step)
{
    vec sum[TALL] = {0};
    const int64_t whole = n / LANES * LANES;
    for (int64_t e = 0; e < n; e += LANES) {
        const int64_t left = e < whole ? LANES : n - e;
        const vec y = load(w + e, left);
        UNROLL for (int r = 0; r < tall; r++) {
            const vec x = load(a + r * lda + e, left);
            sum[r] = vec_fma(bars ? magnitude(x) : x, y, sum[r]);
        }
    }
    UNROLL for (int r = 0; r < tall; r++)
        out[r * step] = bars ? total(sum[r]) : out[r * step] + total(sum[r]);
}

void R(rows_cost)(int64_t rows, int64_t n, const double *a, int64_t lda,
                  const double *weight, double *cost)
{
    int64_t r = 0;
    for (; r + TALL <= rows; r += TALL)
        dots(TALL, 1, n, a + r * lda, lda, weight, cost + r, 1);
    for (; r < rows; r++) dots(1, 1, n, a + r * lda, lda, weight, cost + r, 1);
}

void R(rows_narrow)(int64_t rows, int64_t n, int64_t k, const double *a, int64_t lda,
                    const double *w, double *to, int64_t ld)
{
    for (int64_t j = 0; j < k; j++, w += n) {
        int64_t r = 0;
        for (; r + TALL <= rows; r += TALL)
            dots(TALL, 0, n, a + r * lda, lda, w, to + r * ld + j, ld);
        for (; r < rows; r++) dots(1, 0, n, a + r * lda, lda, w, to + r * ld + j, ld);
    }
}

void R(rows_add)(int64_t rows, int64_t n, double sign, const double *a, int64_t lda,
                 double *to, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++, a += lda, to += ld)
        for (int64_t e = 0; e < n; e++) to[e] += sign * a[e];
}

void R(rows_scale)(int64_t rows, int64_t n, const double *s, int more, const double *a,
                   int64_t lda, double *to, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++, a += lda, to += ld)
        for (int64_t e = 0; e < n; e += LANES) {
            const int64_t left = n - e;
            vec y = load(a + e, left);
            if (s != NULL) y = y * load(s + e, left);
            if (more) y = y + load(to + e, left);
            store(to + e, left, y);
        }
}

double R(rows_above)(int64_t n, const double *a, const double *w, double c)
{
    vec sum = {0};
    for (int64_t e = 0; e < n; e += LANES) {
        const int64_t left = n - e;
        sum += vec_select((vecb)(load(a + e, left) > c), load(w + e, left), (vec){0});
    }
    return total(sum);
}

/* Few elements at a time, all rows: sums stay in registers. */
void R(rows_gather)(int64_t rows, int64_t n, const double *weight, const double *a,
                    int64_t lda, double *to)
{
    enum { WIDE = 4 };
    int64_t e = 0;
    for (; e + WIDE * LANES <= n; e += WIDE * LANES) {
        vec sum[WIDE];
        UNROLL for (int k = 0; k < WIDE; k++) sum[k] = vec_load(to + e + k * LANES);
        for (int64_t r = 0; r < rows; r++) {
            const vec w = (vec){0} + weight[r];
            UNROLL for (int k = 0; k < WIDE; k++)
                sum[k] = vec_fma(magnitude(vec_load(a + r * lda + e + k * LANES)), w, sum[k]);
        }
        UNROLL for (int k = 0; k < WIDE; k++) vec_store(to + e + k * LANES, sum[k]);
    }
    for (; e < n; e += LANES) {
        const int64_t left = n - e;
        vec sum = load(to + e, left);
        for (int64_t r = 0; r < rows; r++)
            sum = vec_fma(magnitude(load(a + r * lda + e, left)), (vec){0} + weight[r], sum);
        store(to + e, left, sum);
    }
}

#else
typedef int rob_rows_are_double;
#endif
#else

#include "core/core.h"

#define ROWS_KERNELS(KIND)                                                            \
    void rob_priv_rows_bend_##KIND(const rob_bend *b, int64_t rows, const double *a,  \
                                   int64_t lda, double *const *to, const int64_t *ld, \
                                   double *base, double *cost);                       \
    void rob_priv_rows_cost_##KIND(int64_t rows, int64_t n, const double *a,          \
                                   int64_t lda, const double *weight, double *cost);  \
    void rob_priv_rows_narrow_##KIND(int64_t rows, int64_t n, int64_t k,              \
                                     const double *a, int64_t lda, const double *w,   \
                                     double *to, int64_t ld);                         \
    void rob_priv_rows_add_##KIND(int64_t rows, int64_t n, double sign,               \
                                  const double *a, int64_t lda, double *to, int64_t ld); \
    void rob_priv_rows_scale_##KIND(int64_t rows, int64_t n, const double *s, int more,  \
                                    const double *a, int64_t lda, double *to,            \
                                    int64_t ld);                                         \
    double rob_priv_rows_above_##KIND(int64_t n, const double *a, const double *w,       \
                                      double c);                                         \
    void rob_priv_rows_gather_##KIND(int64_t rows, int64_t n, const double *weight,      \
                                     const double *a, int64_t lda, double *to);
ROWS_KERNELS(f64_generic)
ROWS_KERNELS(f64_avx2)
ROWS_KERNELS(f64_avx512)

#define ENTRY(KIND)                                                                    \
    {                                                                                  \
        rob_priv_rows_bend_##KIND, rob_priv_rows_cost_##KIND,                          \
            rob_priv_rows_narrow_##KIND, rob_priv_rows_add_##KIND,                     \
            rob_priv_rows_scale_##KIND, rob_priv_rows_above_##KIND,                    \
            rob_priv_rows_gather_##KIND                                                \
    }

const rob_rows_kernel *rob_priv_rows(int32_t isa)
{
    static const rob_rows_kernel table[ROB_ISA_COUNT] = {
        ENTRY(f64_generic), ENTRY(f64_avx2), ENTRY(f64_avx512),
    };
    return &table[isa];
}
#endif
