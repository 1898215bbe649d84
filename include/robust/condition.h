/* condition.h -- condition numbers: how far a verdict moves when the series, its steps,
 * the weights or the nearest point move a little.
 *
 * The ill-posed inputs are those on the decision boundary, and a condition number is a
 * size over a distance to it. u is the series in the query's units (model units: behind
 * the recipe's input map), restricted to the numbers that may move; p the query's norm,
 * q its dual; g the rows of the specification, J their gradients. A group needs all its
 * rows to fail, so it has the least number of its rows; the series has the largest of
 * its groups.
 *   relative        ||u||_p over the distance of order 1. For affine models this is the
 *                   condition number itself
 *   relative2       the same with the exact distance to the model of second order (L2)
 *   relative_lower, relative_upper   ||u|| over the query's "best" and over its
 *                   "proved": where a bound was run (and an attack), an interval that
 *                   holds the true ||u||/dist; else 0 and INFINITY
 *   componentwise   sum_i |u_i| |J_i| / g
 *   steps, features ||u_t||_p ||J_t||_q / g for each time step, each feature
 *   weights         |theta| |grad_theta g| / g, Frobenius norms: normwise, each tensor
 *   projection      max_i 1/|1 + r k_i|, of the nearest boundary point as a function
 *                   of x
 *   output, mixed   of the outputs: max_k ||J f_k||_q ||u||_p / max |f_k|, and
 *                   max_k |u|.|J f_k| / max |f_k|
 * A series that is wrong already has INFINITY.
 *
 * Options by name, with defaults:
 *   order       2    1: leaves relative2 out, and its Hessians
 *   projection  1    0: leaves the nearest point out, and the attack it needs
 *   weights     1    0: leaves weights out
 *   dense       512  as of rob_boundary
 *   seed        0    added to the context's seed
 *
 * What holds for all functions. The object keeps its options and its last answers; one
 * thread at a time. Bits do not depend on the number of worker threads. ctx NULL:
 * ROB_EARGUMENT; NULL handles: ROB_EARGUMENT; no memory: ROB_EMEMORY. ROB_STOPPED:
 * series not reached are NaN. On error outputs and earlier answers are untouched.
 * docs/theory/condition.md derives the formulas.
 */
#ifndef ROBUST_CONDITION_H
#define ROBUST_CONDITION_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Options and last answers; opaque. */
typedef struct rob_condition rob_condition;

/**
 * Make an object with default options.
 *
 * @param ctx context
 * @param out receives it; NULL on error
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_condition_create(rob_ctx *ctx, rob_condition **out);

/**
 * Set an option; the list is at the top.
 *
 * @param ctx   context
 * @param c     condition
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_condition_set(rob_ctx *ctx, rob_condition *c, const char *name,
                                     double value);

/**
 * Compute every series' condition numbers; read them with rob_condition_get.
 *
 * With option "projection" and the norm L2 the attack "auto" is run where the query has
 * no failing point yet.
 * @param ctx context; progress stages "attack", "boundary" and "condition" count series
 * @param c   condition
 * @param q   query
 * @return ROB_ENUMERIC: a Hessian is not finite; as rob_query_get for the predictions
 * Cost: a series: a gradient for each row, output and, for the weights, row again; the
 *       rest is rob_boundary_find's.
 * Reference: Burgisser & Cucker, Condition, Springer 2013. Since 0.1.
 */
ROB_API rob_status rob_condition_compute(rob_ctx *ctx, rob_condition *c, rob_query *q);

/**
 * Compute the condition numbers by time step of one series.
 *
 * cond_t = max over groups of min over rows of ||u_t||_p ||J_t||_q / g: which steps
 * carry the fragility. Answers of rob_condition_compute are neither needed nor changed.
 * @param ctx      context
 * @param c        condition
 * @param q        query
 * @param i        series
 * @param cond     receives T numbers; NULL: only count
 * @param capacity numbers cond has room for
 * @param count    receives T; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no series i; as rob_query_get
 *         for the predictions
 * Cost: a gradient for each row. Since 0.1.
 */
ROB_API rob_status rob_condition_steps(rob_ctx *ctx, rob_condition *c, rob_query *q,
                                       int64_t i, double *cond, int64_t capacity,
                                       int64_t *count);

/**
 * Read an answer of rob_condition_compute by name.
 *
 * One number a series: "relative", "relative2", "relative_lower", "relative_upper",
 * "componentwise", "projection", "output", "mixed", "size" the norm of u. Of one
 * series: "steps" (T); "features" (D); "weights" (1 + P): all tensors as one, then each
 * in the model's order (none where they were left out or the model has no tensors);
 * "point" (T, D) the nearest boundary point found, in the units of the series.
 * @param ctx      context
 * @param c        condition
 * @param what     one of the names
 * @param i        series; -1: every series, where that is one number each
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name or series
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_condition_get(rob_ctx *ctx, const rob_condition *c,
                                     const char *what, int64_t i, double *out,
                                     int64_t capacity, int64_t *count);

/**
 * Free a condition.
 *
 * @param c condition; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_condition_free(rob_condition *c);

#ifdef __cplusplus
}
#endif
#endif
