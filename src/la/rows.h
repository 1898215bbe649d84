/* rows.h -- kernels on blocks of coefficient rows, for certified bounds. */
#ifndef ROB_ROWS_H
#define ROB_ROWS_H

#include <stdint.h>

/* Planes of n elements with `ins` operands: element e of a row takes slopes lo[i][e]
 * and lo_offset[e] when its coefficient is >= 0, else up[i][e] and up_offset[e].
 * weight[e]: what one unit of |coefficient| may cost by rounding. ins = 0: plain
 * ranges. */
typedef struct rob_bend {
    int64_t n;
    int32_t ins;
    const double *lo[3], *up[3], *lo_offset, *up_offset, *weight;
} rob_bend;

typedef struct rob_rows_kernel {
    /* For each row r of a (rows, lda):  to[i][r*ld[i]+e] += a_e s_i(a_e),
     * base[r] += sum_e a_e o(a_e),  cost[r] = sum_e |a_e| weight_e. */
    void (*bend)(const rob_bend *b, int64_t rows, const double *a, int64_t lda,
                 double *const *to, const int64_t *ld, double *base, double *cost);
    /* cost[r] = sum_e |a_re| weight_e */
    void (*cost)(int64_t rows, int64_t n, const double *a, int64_t lda,
                 const double *weight, double *cost);
    /* to (rows, k) += a (rows, n) w' for few columns: w (k, n), each column one dot */
    void (*narrow)(int64_t rows, int64_t n, int64_t k, const double *a, int64_t lda,
                   const double *w, double *to, int64_t ld);
    /* to += sign a */
    void (*add)(int64_t rows, int64_t n, double sign, const double *a, int64_t lda,
                double *to, int64_t ld);
    /* to = (more ? to : 0) + s_e a, s per element; s NULL: 1 */
    void (*scale)(int64_t rows, int64_t n, const double *s, int more, const double *a,
                  int64_t lda, double *to, int64_t ld);
    /* sum of w_e where a_e > c */
    double (*above)(int64_t n, const double *a, const double *w, double c);
    /* to[e] += sum_r weight_r |a_re| */
    void (*gather)(int64_t rows, int64_t n, const double *weight, const double *a,
                   int64_t lda, double *to);
} rob_rows_kernel;

const rob_rows_kernel *rob_priv_rows(int32_t isa);

#endif
