/* la.h -- dense linear algebra: the packed small-batch product, and LAPACK behind it.
 *
 * Why a product of our own: CBLAS cannot hold packed weights, and its results depend on
 * how it splits work. Here every element of the result is one chain
 *     y_ij = c_ij + sum_k a_ik b_kj,   k ascending, fused multiply-add where the CPU has it,
 * so its bits depend neither on the number of rows nor on a row's place.
 */
#ifndef ROB_LA_H
#define ROB_LA_H

#include "core/core.h"

/* Kernels of one precision and instruction set (dtype index 0: f32, 1: f64). */
typedef struct rob_la {
    /* bytes needed to pack B (K,N) */
    int64_t (*packed_bytes)(int64_t k, int64_t n);
    /* pack B: element (k,j) at b[k*row + j*col] (any strides: transposes are free) */
    void (*pack)(int64_t k, int64_t n, const void *b, int64_t row, int64_t col, void *packed);
    /* C (M,N, row stride ldc) = (accumulate ? C : 0) + A (M,K) * packed B.
     * A element (i,k) at a[i*ra + k*ca]. No allocation; any M, N, K >= 0. */
    void (*product)(int64_t m, int64_t n, int64_t k, const void *a, int64_t ra, int64_t ca,
                    const void *packed, void *c, int64_t ldc, int accumulate);
    /* y = sum_i x_i z_i in a fixed order */
    double (*dot)(int64_t n, const void *x, const void *z);
    /* C = S + A * packed B: the product with a start of its own, S element (i,j) at
     * start[i*lds + j] (lds 0: one row for all i; NULL: zeros). start may be c. */
    void (*product_from)(int64_t m, int64_t n, int64_t k, const void *a, int64_t ra,
                         int64_t ca, const void *packed, const void *start, int64_t lds,
                         void *c, int64_t ldc);
} rob_la;

const rob_la *rob_priv_la(int32_t dtype, int32_t isa);   /* dtype 0: f32, 1: f64 */
int32_t rob_priv_isa_best(void);
const char *rob_priv_isa_name(int32_t isa);

/* LAPACK (by LAPACKE's _work functions), double, row-major, workspace from `m`. */
/* Eigenvalues ascending in w (n); eigenvectors as rows of v (n,n) when v != NULL. a is destroyed. */
rob_status rob_priv_la_eigen(const rob_memory *m, int64_t n, double *a, double *w, double *v);
/* Solve A x = b (n), A (n,n) general; both destroyed, x in b. ROB_ENUMERIC if singular. */
rob_status rob_priv_la_solve(const rob_memory *m, int64_t n, double *a, double *b);
/* Lower Cholesky factor in place; ROB_ENUMERIC if not positive definite. */
rob_status rob_priv_la_cholesky(int64_t n, double *a);

/* sum_i a_i b_i in this order, plain */
double rob_priv_dot(int64_t n, const double *a, const double *b);

/* Both ends of the spectrum of a symmetric operator, by Lanczos (lanczos.c). */
typedef struct rob_lanczos {
    int64_t n, most;  /* size; steps at most, 1 or more */
    double tolerance; /* of both residuals, relative to the larger |end| */
    rob_status (*product)(void *user, const double *v, double *av);
    void *user;
    uint64_t seed, stream; /* of the start vector */
    /* results; the arrays may be NULL */
    int64_t steps;
    double low, high; /* an eigenvalue lies within the residual of each */
    double low_residual, high_residual;
    double *low_vector, *high_vector; /* (n) */
    double *ritz;                     /* (most), ascending, `steps` of them */
} rob_lanczos;
/* Any status of product other than ROB_OK ends it and is returned. */
rob_status rob_priv_la_lanczos(const rob_memory *m, rob_lanczos *l);

#endif
