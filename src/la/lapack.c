/* lapack.c -- eigenvalues, linear systems and Cholesky factors of dense matrices.
 *
 *     A = V' diag(w) V (A symmetric),    A x = b,    A = L L'
 *
 * by LAPACK (Anderson et al., LAPACK Users' Guide, 3rd ed., SIAM 1999) through
 * LAPACKE's _work functions, which take our workspace. They are called column-major,
 * where they allocate nothing: a symmetric matrix reads the same, a row-major L is the
 * column-major U = L', and a row-major A is solved as the transpose of its
 * column-major reading.
 */
#include "la/la.h"

#include <lapacke.h>
#include <math.h>

enum { LARGEST = 30000 }; /* 1 + 6 n + 2 n^2 fits lapack_int */

static bool all_finite(const double *a, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(a[i])) return false;
    return true;
}

/* what a LAPACK info says: < 0 our mistake, > 0 the matrix's */
static rob_status status_of_info(lapack_int info)
{
    return info == 0 ? ROB_OK : info < 0 ? ROB_EINTERNAL : ROB_ENUMERIC;
}

rob_status rob_priv_la_eigen(const rob_memory *m, int64_t n, double *a, double *w,
                             double *v)
{
    const char job = v ? 'V' : 'N';
    const int64_t reals = v ? 1 + 6 * n + 2 * n * n : 1 + 2 * n;
    const int64_t integers = v ? 3 + 5 * n : 1;
    double *work = NULL;
    lapack_int *iwork = NULL;
    rob_status status = ROB_OK;

    CHECK(n >= 0 && n <= LARGEST, NULL, ROB_EARGUMENT, "n = %lld: 0 to 30000",
          (long long)n);
    if (n == 0) goto done;
    CHECK(all_finite(a, n * n), NULL, ROB_ENUMERIC, "the matrix is not finite");
    work = rob_priv_allocate(m, reals, sizeof *work);
    iwork = rob_priv_allocate(m, integers, sizeof *iwork);
    CHECK(work && iwork, NULL, ROB_EMEMORY, "out of memory");
    TRY(status_of_info(LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'U', (lapack_int)n, a,
                                           (lapack_int)n, w, work, (lapack_int)reals,
                                           iwork, (lapack_int)integers)));
    for (int64_t i = 0; v && i < n * n; i++) v[i] = a[i];
done:
    rob_priv_release(m, work);
    rob_priv_release(m, iwork);
    return status;
}

rob_status rob_priv_la_solve(const rob_memory *m, int64_t n, double *a, double *b)
{
    const lapack_int size = (lapack_int)n;
    lapack_int *pivot = NULL;
    rob_status status = ROB_OK;

    CHECK(n >= 0 && n <= LARGEST, NULL, ROB_EARGUMENT, "n = %lld: 0 to 30000",
          (long long)n);
    if (n == 0) goto done;
    CHECK(all_finite(a, n * n), NULL, ROB_ENUMERIC, "the matrix is not finite");
    pivot = rob_priv_allocate(m, n, sizeof *pivot);
    CHECK(pivot, NULL, ROB_EMEMORY, "out of memory");
    TRY(status_of_info(
        LAPACKE_dgetrf_work(LAPACK_COL_MAJOR, size, size, a, size, pivot)));
    TRY(status_of_info(
        LAPACKE_dgetrs_work(LAPACK_COL_MAJOR, 'T', size, 1, a, size, pivot, b, size)));
done:
    rob_priv_release(m, pivot);
    return status;
}

rob_status rob_priv_la_cholesky(int64_t n, double *a)
{
    const lapack_int size = (lapack_int)n;
    rob_status status = ROB_OK;

    CHECK(n >= 0 && n <= LARGEST, NULL, ROB_EARGUMENT, "n = %lld: 0 to 30000",
          (long long)n);
    if (n == 0) goto done;
    CHECK(all_finite(a, n * n), NULL, ROB_ENUMERIC, "the matrix is not finite");
    TRY(status_of_info(LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', size, a, size)));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) a[i * n + j] = 0;
done:
    return status;
}
