/* spectrum.h -- how sharply the loss bends around a series: both ends of the spectrum
 * of its Hessian with respect to the input.
 *
 * H = Hess_x l(x), l the cross-entropy of the query's reference class, or, with option
 * "margin", the row of the specification that decides F(x). Only numbers that may move
 * count. The highest eigenvalue is the sharpest direction, along "high_vector"; a
 * negative lowest one says the surface is a saddle there.
 *
 * Options by name, with defaults:
 *   steps      100   products with the Hessian, at most
 *   tolerance  1e-8  residual of both ends, relative to the larger |end|
 *   dense      48    numbers that may move, up to which the whole matrix is formed
 *   margin     0     1: of the margin's row instead of the cross-entropy
 *   seed       0     added to the context's seed
 *
 * What holds for all functions. The object keeps its options and its last answers; one
 * thread at a time. The start vector is a function of (seed, series), bits do not
 * depend on the number of worker threads. ctx NULL: ROB_EARGUMENT; NULL handles:
 * ROB_EARGUMENT; no memory: ROB_EMEMORY. ROB_STOPPED: series not reached are NaN. On
 * error outputs and earlier answers are untouched. docs/theory/spectrum.md derives the
 * error bounds.
 */
#ifndef ROBUST_SPECTRUM_H
#define ROBUST_SPECTRUM_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Options and last answers; opaque. */
typedef struct rob_spectrum rob_spectrum;

/**
 * Make an object with default options.
 *
 * @param ctx context
 * @param out receives it; NULL on error
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_spectrum_create(rob_ctx *ctx, rob_spectrum **out);

/**
 * Set an option; the list is at the top.
 *
 * @param ctx   context
 * @param s     spectrum
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_spectrum_set(rob_ctx *ctx, rob_spectrum *s, const char *name,
                                    double value);

/**
 * Compute the lowest and the highest eigenvalue of every series' Hessian.
 *
 * An eigenvalue lies within "low_residual" of the first and within "high_residual" of
 * the second number; the numbers themselves lie inside the spectrum.
 * @param ctx      context; progress stage "spectrum" counts series
 * @param s        spectrum
 * @param q        query
 * @param out      (count of the query, 2) receives lowest and highest, per square of
 *        the query's units; NULL: not wanted
 * @param capacity numbers out has room for
 * @return ROB_EUNSUPPORTED: the cross-entropy with rows of one's own (set "margin");
 *         ROB_ESHAPE: capacity too small; ROB_ENUMERIC: a Hessian is not finite; as
 *         rob_query_get for the predictions
 * Cost: a series: up to `steps` passes at second order and steps^2 m operations, m the
 *       numbers that may move; whole: m/32 passes of 32 rows and an eigenproblem.
 * Reference: Parlett, The Symmetric Eigenvalue Problem, SIAM 1998, ch. 13. Since 0.1.
 */
ROB_API rob_status rob_spectrum_extremes(rob_ctx *ctx, rob_spectrum *s, rob_query *q,
                                         double *out, int64_t capacity);

/**
 * Read an answer of the last call by name.
 *
 * One number a series: "lowest", "highest" per square of the query's units;
 * "low_residual", "high_residual" the same; "steps" products taken, 0 for a whole
 * matrix; "value" of the loss or row; "gradient_norm"; "flat" 1 where the Hessian is
 * zero by construction (relu and option "margin"). Of one series: "low_vector",
 * "high_vector" (T, D) of unit length; "eigenvalues" ascending: all, or the Ritz values
 * of Lanczos's method.
 * @param ctx      context
 * @param s        spectrum
 * @param what     one of the names
 * @param i        series; -1: every series, where that is one number each
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name or series
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_spectrum_get(rob_ctx *ctx, const rob_spectrum *s,
                                    const char *what, int64_t i, double *out,
                                    int64_t capacity, int64_t *count);

/**
 * Free a spectrum.
 *
 * @param s spectrum; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_spectrum_free(rob_spectrum *s);

#ifdef __cplusplus
}
#endif
#endif
