/* kernel_rows.c -- what element-wise planes do to rows of coefficients.
 *
 *     sum_e a_e phi_e(z) >= sum_e a_e (sum_i s_ie z_ie + o_e),
 *
 * with (s, o) the plane below phi_e where a_e >= 0 and the one above where a_e < 0. So the
 * coefficient of z_i grows by a_e s_ie and the constant by a_e o_e. Sums run in LANES
 * chains; the caller pays for rounding with the weighted norms computed here, which hold
 * for any order of summation (Higham, Accuracy and Stability, 2nd ed., section 3.1).
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
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

static inline vec load(const double *p, int64_t n)
{
    return n >= LANES ? vec_load(p) : load_some(p, n);
}

/* One vector of one row: `left` elements from e on. */
static inline __attribute__((always_inline)) void bend_vector(
    const rob_bend *b, const int ins, int64_t e, int64_t left, const double *a,
    double *const *to, vec *base, vec *cost)
{
    vec x = load(a + e, left);
    vecb below = (vecb)(x >= (vec){0});
    for (int i = 0; i < ins; i++) {
        vec s = vec_select(below, load(b->lo[i] + e, left), load(b->up[i] + e, left));
        vec y = vec_fma(x, s, load(to[i] + e, left));
        memcpy(to[i] + e, &y, (left < LANES ? (size_t)left : LANES) * sizeof(double));
    }
    vec o = vec_select(below, load(b->lo_offset + e, left), load(b->up_offset + e, left));
    *base = vec_fma(x, o, *base);
    *cost = vec_fma(magnitude(x), load(b->weight + e, left), *cost);
}

static inline __attribute__((always_inline)) void bend_rows(
    const rob_bend *b, const int ins, int64_t rows, const double *a, int64_t lda,
    double *const *to, const int64_t *ld, double *base, double *cost)
{
    double *at[3] = {0};
    const int64_t whole = b->n / LANES * LANES;
    for (int64_t r = 0; r < rows; r++, a += lda) {
        vec sum = {0}, paid = {0};
        for (int i = 0; i < ins; i++) at[i] = to[i] + r * ld[i];
        for (int64_t e = 0; e < whole; e += LANES)
            bend_vector(b, ins, e, LANES, a, at, &sum, &paid);
        if (whole < b->n) bend_vector(b, ins, whole, b->n - whole, a, at, &sum, &paid);
        base[r] += total(sum);
        cost[r] = total(paid);
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

void R(rows_cost)(int64_t rows, int64_t n, const double *a, int64_t lda,
                  const double *weight, double *cost)
{
    const int64_t whole = n / LANES * LANES;
    for (int64_t r = 0; r < rows; r++, a += lda) {
        vec sum = {0};
        for (int64_t e = 0; e < whole; e += LANES)
            sum = vec_fma(magnitude(vec_load(a + e)), vec_load(weight + e), sum);
        if (whole < n)
            sum = vec_fma(magnitude(load_some(a + whole, n - whole)),
                          load_some(weight + whole, n - whole), sum);
        cost[r] = total(sum);
    }
}

void R(rows_add)(int64_t rows, int64_t n, double sign, const double *a, int64_t lda,
                 double *to, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++, a += lda, to += ld)
        for (int64_t e = 0; e < n; e++) to[e] += sign * a[e];
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
    void rob_priv_rows_add_##KIND(int64_t rows, int64_t n, double sign,               \
                                  const double *a, int64_t lda, double *to, int64_t ld);
ROWS_KERNELS(f64_generic)
ROWS_KERNELS(f64_avx2)
ROWS_KERNELS(f64_avx512)

#define ENTRY(KIND)                                                                   \
    {rob_priv_rows_bend_##KIND, rob_priv_rows_cost_##KIND, rob_priv_rows_add_##KIND}

const rob_rows_kernel *rob_priv_rows(int32_t isa)
{
    static const rob_rows_kernel table[ROB_ISA_COUNT] = {
        ENTRY(f64_generic), ENTRY(f64_avx2), ENTRY(f64_avx512),
    };
    return &table[isa];
}
#endif
