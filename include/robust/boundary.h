/* boundary.h -- the decision boundary near a series: nearest point, normal, curvature,
 * and what the margin's Taylor model says about the distance.
 *
 * The boundary of series x is where the query's margin F vanishes. Of every group of
 * the specification the row that decides, g with g(x) > 0, is followed in float64 and
 * in the Euclidean norm:
 *   nearest point   z, a stationary point of |z - x| on { g = 0 }: the best point of an
 *                   attack, and every group's own guess, carried on by Newton's method;
 *                   judged by a relative residual that is answered with it
 *   normal          n = -grad g(z)/|grad g(z)|, out of the safe side
 *   curvatures      eigenvalues of P Hess g(z) P/|grad g(z)| on the tangent space,
 *                   positive where the boundary bends away from x
 *   estimates       of the distance, by the models of order 1, 2 and 3 of g at x
 * z is nearest among what was looked at: its distance is neither a certificate (an
 * attack's is a proved upper bound, rob_bound_radius a proved lower one) nor is an
 * estimate. Only numbers that may move count, in vectors, Hessians and norms alike.
 *
 * Options by name, with defaults:
 *   steps      40     of Newton's method
 *   tolerance  1e-10  relative residual that counts as converged
 *   dense      512    numbers that may move, up to which whole Hessians are formed;
 *                     above, curvatures are both ends by Lanczos's method and the
 *                     estimate of order 2 is not known (NaN)
 *   slice      0      points a side of a grid of margins; 0 or 1: none
 *   reach      2      half a side of that grid, over the distance
 *   seed       0      added to the context's seed
 *   order      2      of the estimates; 3 costs some hundred products of third order
 *
 * Piecewise linear models (relu) have a Hessian that is zero wherever it exists: "flat"
 * is 1, order 2 equals order 1 and curvatures are 0, which says nothing about the
 * kinks. Their nearest points mostly lie on kinks, where Newton's method does not
 * converge: then "converged" is 0, z is the attack's point, and curvatures are not
 * answered.
 *
 * What holds for all functions. The object keeps its options and its last answers; one
 * thread at a time. Bits do not depend on the number of worker threads. ctx NULL:
 * ROB_EARGUMENT; NULL handles: ROB_EARGUMENT; no memory: ROB_EMEMORY. ROB_STOPPED: the
 * series not reached have distance INFINITY and NaN elsewhere. On error outputs and
 * earlier answers are untouched. docs/theory/boundary.md derives what is computed.
 */
#ifndef ROBUST_BOUNDARY_H
#define ROBUST_BOUNDARY_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Options and last answers; opaque. */
typedef struct rob_boundary rob_boundary;

/**
 * Make an object with default options.
 *
 * @param ctx context
 * @param out receives it; NULL on error
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_boundary_create(rob_ctx *ctx, rob_boundary **out);

/**
 * Set an option; the list is at the top.
 *
 * @param ctx   context
 * @param b     boundary
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_boundary_set(rob_ctx *ctx, rob_boundary *b, const char *name,
                                    double value);

/**
 * Find the nearest boundary point of every series, and all that is said about it.
 *
 * distance_i = |z_i - x_i|; 0 when x_i itself fails; INFINITY when no boundary point was
 * found. It may lie well below an attack's: z is stationary, an attack's point need not.
 * Where no attack has been run on the query, "auto" is, within the ball.
 * @param ctx      context; progress stages "attack" and "boundary" count series
 * @param b        boundary
 * @param q        query; its norm must be ROB_NORM_L2
 * @param distance (count of the query) receives the distances in the query's units;
 *        NULL: not wanted
 * @param capacity numbers distance has room for
 * @return ROB_EUNSUPPORTED: another norm; ROB_ESHAPE: capacity too small; ROB_ENUMERIC:
 *         a Hessian is not finite; as rob_query_get for the predictions
 * Cost: a series: with m numbers that may move, 2m/32 passes of 32 rows at second order
 *       and two eigenproblems of size m (each group: one of them), and about 10
 *       products with the Hessian for each Newton step.
 * Reference: Nocedal & Wright, Numerical Optimization, 2006, ch. 18; Breiding &
 *       Vannieuwenhoven, SIAM J. Optim. 31 (2021). Since 0.1.
 */
ROB_API rob_status rob_boundary_find(rob_ctx *ctx, rob_boundary *b, rob_query *q,
                                     double *distance, int64_t capacity);

/**
 * Read an answer of the last search by name.
 *
 * One number a series, lengths in the query's units, for a series or for all:
 * "distance"; "residual" max(|z - x + sum mu grad g|, |g|/|grad g|)/|z - x|;
 * "converged" 1 when it is within tolerance (0: z is the attack's point); "multiplier"
 * mu, the sum over rows; "gradient_norm" |grad g(z)|; "mean_curvature"; "projection"
 * max 1/|1 + r k_i|, r the distance: the condition of z itself; "estimate1",
 * "estimate1_l1", "estimate1_linf" order 1 in each norm; "estimate2" the exact distance
 * to the model of order 2, "estimate2_lower" and "estimate2_upper" around it;
 * "estimate3_lower" and "estimate3_upper" around the distance to the model of order 3,
 * "third_derivative" max |T[v,v,v]| over unit v, as far as a local search finds it (NaN
 * unless the option order is 3); "flat";
 * "rows" that vanish at z (a corner where several do: no curvature then, NaN); "steps"
 * Newton steps. Of one series: "point" (T, D) z in the units of the series, x itself
 * when there is none; "normal" (T, D); "curvatures" ascending, in 1/length; "slice" (s,
 * s) margins F(x + a e1 + b e2), row b, column a, both from -reach r to reach r, e1 =
 * (z - x)/r, e2 the "direction" (T, D) in which the boundary bends most towards x.
 * @param ctx      context
 * @param b        boundary
 * @param what     one of the names
 * @param i        series; -1: every series, where that is one number each
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name or series
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_boundary_get(rob_ctx *ctx, const rob_boundary *b,
                                    const char *what, int64_t i, double *out,
                                    int64_t capacity, int64_t *count);

/**
 * Free a boundary.
 *
 * @param b boundary; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_boundary_free(rob_boundary *b);

#ifdef __cplusplus
}
#endif
#endif
