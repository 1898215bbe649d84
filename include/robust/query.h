/* query.h -- the question: which model, which series, what may change, what failing
 * means.
 *
 * For each series x (T steps, D features; T may differ) the query fixes
 *   reference      the class distances are measured from: the prediction, or the label;
 *   specification  an "or of ands" of output rows: it fails where, in some group, every
 *                  row has c . f(x) + b <= 0. The margin F is the least over groups of
 *                  the largest over the group's rows; F = 0 counts as failed. Default:
 *                  the reference class against every other, one group each;
 *   region         a ball of a norm around x, and what else a perturbation must obey.
 * Attacks bound the distance to the nearest failing point from above, bounds from
 * below.
 *
 * The region. A perturbation d (T, D) has coordinates u (m):
 *     d_k = s_k (E u)_k where the mask lets k move, else 0,
 *     ||u||_p <= radius,  ||(E u)_t||_p <= budget_t at every step,  low <= x + d <= high,
 *     sum_t |d_{t,j} - d_{t-1,j}| <= variation,  |d_{t,j} - d_{t-1,j}| <= difference,
 *     d_t is not 0 at no more than `steps` steps,
 * with E = I (m = T D) and s = 1 unless set; distances are norms of u. Attacks obey all
 * parts. Bounds use ball, mask, scale, box, budgets and subspace, and prove for the
 * larger region without the others (rob_bound_get "dropped"). Samplers know mask, scale
 * and subspace (u is then uniform on the sphere); they and whoever else does not know a
 * part answer ROB_EUNSUPPORTED, naming it.
 *
 * Units. Series are given in their own ("data") units. The recipe's input map
 * (x - shift)/scale leads to what the network sees ("model" units). Radii set and
 * distances answered are both in the units chosen by rob_query_set_units; model units
 * by default. Budgets, variation and difference count in the same units; scale has
 * none; box and series are in the series' own.
 *
 * What holds for all functions. The query keeps the allocator of the ctx it was made
 * with, copies all it is given, and caches predictions and programs: one thread at a
 * time. ctx NULL: ROB_EARGUMENT. A NULL handle or array where one is needed:
 * ROB_EARGUMENT; no memory: ROB_EMEMORY; NaN or infinity: ROB_EDOMAIN. On error the
 * query is as it was. docs/theory/query.md derives what is computed.
 */
#ifndef ROBUST_QUERY_H
#define ROBUST_QUERY_H
#include <robust/model.h>
#include <robust/data.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Units of radii and distances: behind the recipe's input map, or those of the series.
 */
enum { ROB_UNITS_MODEL = 0, ROB_UNITS_DATA = 1 };

/** What distances are measured from. */
enum { ROB_REFERENCE_PREDICTION = 0, ROB_REFERENCE_LABEL = 1 };

/** Which way a forecast is pushed. */
enum { ROB_DOWN = -1, ROB_EITHER = 0, ROB_UP = 1 };

/** The question; opaque. */
typedef struct rob_query rob_query;

/**
 * Make an empty query about a model.
 *
 * No series, L2 ball of infinite radius, model units, reference prediction, no mask.
 * @param ctx   context
 * @param model the model; the query takes a reference of its own
 * @param out   receives the query; NULL on error
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_query_create(rob_ctx *ctx, const rob_model *model,
                                    rob_query **out);

/**
 * Add one series.
 *
 * @param ctx   context
 * @param q     query
 * @param x     (steps, D) numbers, time-major, D the model's features; finite
 * @param steps T >= 1; series of one query may differ
 * @param label true class 0 .. L-1, or -1: none
 * @return ROB_EDOMAIN naming series, step and feature of a number that is not finite;
 *         ROB_ESHAPE: steps < 1, or a mask for all is set and has another size
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_query_add(rob_ctx *ctx, rob_query *q, const double *x,
                                 int64_t steps, int64_t label);

/**
 * Add series first .. first + count - 1 of a data set, with their labels; all or none.
 *
 * @param ctx   context
 * @param q     query
 * @param data  data set; copied from, not kept
 * @param first first series, from 0
 * @param count how many
 * @return ROB_ESHAPE: the data set's features are not the model's; ROB_EARGUMENT: not
 *         so many series, or a label the model does not know
 * Cost: copies. Since 0.1.
 */
ROB_API rob_status rob_query_add_data(rob_ctx *ctx, rob_query *q, const rob_data *data,
                                      int64_t first, int64_t count);

/**
 * Put another series in the place of series i.
 *
 * Mask and target of the place stay. Everything computed is forgotten. With the same
 * number of steps neither this nor the next evaluation allocates, so a stream can be
 * watched.
 * @param ctx   context
 * @param q     query
 * @param i     which, from 0
 * @param x     (steps, D), finite
 * @param steps T >= 1
 * @param label true class, or -1: none
 * @return as rob_query_add; ROB_EARGUMENT: no series i
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_query_replace(rob_ctx *ctx, rob_query *q, int64_t i,
                                     const double *x, int64_t steps, int64_t label);

/**
 * Number of series.
 *
 * @param q query; NULL: 0
 * @return the count
 * Cost: a load. Since 0.1.
 */
ROB_API int64_t rob_query_count(const rob_query *q);

/**
 * Set the ball { x + d : ||d|| <= radius }.
 *
 * For margins and attacks of fixed size the radius is the question; for distances and
 * certified radii it is the cap of the search. Another norm forgets the best distances.
 * @param ctx    context
 * @param q      query
 * @param norm   ROB_NORM_L1, ROB_NORM_L2 or ROB_NORM_LINF of the coordinates, without
 *               scale and subspace all T x D numbers; ROB_NORM_L0, how many numbers
 *               move, for attacks that say so
 * @param radius 0 to INFINITY (no cap), in the query's units
 * @return ROB_EDOMAIN: a negative radius or NaN
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_query_set_ball(rob_ctx *ctx, rob_query *q, int32_t norm,
                                      double radius);

/**
 * Choose the units of the radius and of all distances answered.
 *
 * One model unit is |scale| data units, by the recipe's (x - shift)/scale. May be
 * called before or after rob_query_set_ball: the radius counts in the units in force
 * when asked.
 * @param ctx   context
 * @param q     query
 * @param units ROB_UNITS_MODEL (default) or ROB_UNITS_DATA
 * @return ROB_EARGUMENT: neither
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_query_set_units(rob_ctx *ctx, rob_query *q, int32_t units);

/**
 * Say which numbers may move.
 *
 * @param ctx   context
 * @param q     query
 * @param i     series, or -1: the default of all, also of those added later
 * @param mask  (T, D) bytes: nonzero may move, 0 stays as it is. NULL: take the mask
 *        away
 * @param count T x D of every series concerned; ignored with NULL
 * @return ROB_ESHAPE: count is not the size of a series concerned
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_query_set_mask(rob_ctx *ctx, rob_query *q, int64_t i,
                                      const uint8_t *mask, int64_t count);

/**
 * Weigh the norm: d_k = s_k u_k.
 *
 * A number of scale 0 stays as it is. With measured errors as scale the radius counts
 * in standard deviations. A mask holds numbers besides.
 * @param ctx   context
 * @param q     query
 * @param i     series, or -1: the default of all, also of those added later
 * @param scale s >= 0, finite: one for all, one a feature (D), or one a number (T, D).
 *              NULL: take it away
 * @param count 1, D or T x D; ignored with NULL
 * @return ROB_EDOMAIN: a negative number, NaN or INFINITY; ROB_ESHAPE: another count
 * Cost: a copy; best distances are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_scale(rob_ctx *ctx, rob_query *q, int64_t i,
                                       const double *scale, int64_t count);

/**
 * Measure relative to the series: s_k = |x_k| where no scale is set.
 *
 * Componentwise perturbations |d_k| <= r |x_k| in the L-infinity norm; zeros stay. In
 * data units the radius is that share.
 * @param ctx context
 * @param q   query
 * @param on  1 relative, 0 not
 * @return ROB_EARGUMENT: neither
 * Cost: none; best distances are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_relative(rob_ctx *ctx, rob_query *q, int32_t on);

/**
 * Keep x + d between walls.
 *
 * Every series must lie in its box. An infinite number is no wall.
 * @param ctx   context
 * @param q     query
 * @param i     series, or -1: the default of all, also of those added later
 * @param low   least values in the units of the series: one, D or (T, D); NULL: none
 * @param high  largest values; NULL: none
 * @param count of each: 1, D or T x D; ignored when both are NULL
 * @return ROB_EDOMAIN: NaN, or a series outside, with its step and feature; ROB_ESHAPE:
 *         another count
 * Cost: a copy; best distances are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_box(rob_ctx *ctx, rob_query *q, int64_t i,
                                     const double *low, const double *high,
                                     int64_t count);

/**
 * Give every step a radius of its own: ||(E u)_t||_p <= budget_t.
 *
 * In the query's units and norm, besides the ball; a ball of radius INFINITY leaves the
 * budgets alone.
 * @param ctx    context
 * @param q      query
 * @param i      series, or -1: the default of all, also of those added later
 * @param budget 0 to INFINITY, one for all or one a step (T); NULL: take them away
 * @param count  1 or T; ignored with NULL
 * @return ROB_EDOMAIN: a negative number or NaN; ROB_ESHAPE: another count
 * Cost: a copy; best distances are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_budget(rob_ctx *ctx, rob_query *q, int64_t i,
                                        const double *budget, int64_t count);

/**
 * Move along given directions only: d = E u, the norm that of u.
 *
 * Columns may be market factors, templates of a signal, or, noise-shaped, the Cholesky
 * factor of a measured autocovariance: the L2 ball is then an ellipsoid of equal
 * likelihood. Columns need not be orthogonal. The band limit is taken away.
 * @param ctx     context
 * @param q       query
 * @param i       series, or -1: the default of all, also of those added later
 * @param e       (rows, columns) row-major, finite; NULL: take it away
 * @param rows    T x D, time-major
 * @param columns m >= 1, the number of directions
 * @return ROB_ESHAPE: rows is not the size of a series concerned
 * Cost: a copy; best distances are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_subspace(rob_ctx *ctx, rob_query *q, int64_t i,
                                          const double *e, int64_t rows,
                                          int64_t columns);

/**
 * Let slow changes through only: the lowest cosines of every feature.
 *
 * The subspace of the first `modes` modes of the orthonormal DCT-II over the T steps,
 * E_{t,k} = sqrt((2 - [k = 0])/T) cos(pi k (2 t + 1)/(2 T)), for each feature, so the
 * L2 norm of u is that of d. Series of any length, also those added later. A subspace
 * of all is taken away; one of a series stays.
 * @param ctx   context
 * @param q     query
 * @param modes 1 or more (more than T: all T); 0: take the limit away
 * @return ROB_EARGUMENT: negative
 * Cost: T D x modes D numbers a length; best distances are forgotten. Reference: Ahmed,
 * Natarajan & Rao, IEEE Trans. Computers 23 (1974). Since 0.1.
 */
ROB_API rob_status rob_query_set_band_limit(rob_ctx *ctx, rob_query *q, int64_t modes);

/**
 * Bound how rough a perturbation may be, feature by feature.
 *
 * @param ctx        context
 * @param q          query
 * @param variation  largest sum_t |d_{t,j} - d_{t-1,j}| of a feature j, in the query's
 *                   units; INFINITY: any
 * @param difference largest |d_{t,j} - d_{t-1,j}|; INFINITY: any
 * @return ROB_EDOMAIN: a negative number or NaN
 * Cost: none; best distances are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_smoothness(rob_ctx *ctx, rob_query *q,
                                            double variation, double difference);

/**
 * Let at most so many time steps move.
 *
 * Which ones is part of the search. Not together with a subspace or a band limit.
 * @param ctx   context
 * @param q     query
 * @param steps 1 or more; 0: any number
 * @return ROB_EARGUMENT: negative
 * Cost: none; best distances are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_steps(rob_ctx *ctx, rob_query *q, int64_t steps);

/**
 * Measure from the prediction or from the label.
 *
 * With labels, a series that is already wrong has distance 0 ("wrong" is 1).
 * @param ctx       context
 * @param q         query
 * @param reference ROB_REFERENCE_PREDICTION (default) or ROB_REFERENCE_LABEL
 * @return ROB_EARGUMENT: neither. A series without a label is noticed when it is
 *        evaluated
 * Cost: none; predictions are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_reference(rob_ctx *ctx, rob_query *q,
                                           int32_t reference);

/**
 * Ask for one class instead of any: fails where f_target >= f_k for all k.
 *
 * One group of all rows f_k - f_target, k != target.
 * @param ctx    context
 * @param q      query
 * @param i      series, or -1: all there are
 * @param target class 0 .. L-1, or -1: any other class again
 * @return ROB_EARGUMENT: no such series or class
 * Cost: none; predictions are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_target(rob_ctx *ctx, rob_query *q, int64_t i,
                                        int64_t target);

/**
 * Set a specification of one's own for every series, in place of classes.
 *
 * Fails where, in some group, every row r has sum_k c[r,k] f_k + b[r] <= 0. A forecast
 * band for output 0: two groups, rows f_0 - low and high - f_0.
 * @param ctx   context
 * @param q     query
 * @param c     (rows, L) coefficients, finite
 * @param b     (rows) constants, finite; NULL: zeros
 * @param group (rows) ascending numbers; equal ones form a group. NULL: one group
 * @param rows  how many; 0: back to classes
 * @return ROB_EARGUMENT: groups not ascending
 * Cost: a copy; predictions are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_rows(rob_ctx *ctx, rob_query *q, const double *c,
                                      const double *b, const int32_t *group,
                                      int64_t rows);

/**
 * Ask how far a forecast stays within a band around itself.
 *
 * Fails where f_o(x') <= f_o(x) + below or f_o(x') >= f_o(x) + above, f_o(x) the model's
 * own answer for the series as given. Bands of several outputs add up, and one that is left
 * is a failure; rob_query_set_rows takes their place. A band around a known value is two rows.
 * @param ctx    context
 * @param q      query
 * @param output which, from 0; -1: back to classes
 * @param below  below 0, in units of the output; -INFINITY: no such side
 * @param above  above 0; INFINITY: no such side
 * @return ROB_EARGUMENT: no such output; ROB_EDOMAIN: not below 0 and above 0, or both
 *         infinite
 * Cost: a copy; predictions are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_band(rob_ctx *ctx, rob_query *q, int64_t output,
                                      double below, double above);

/**
 * Ask how far a forecast can be pushed away from itself.
 *
 * With f_o(x) the model's own answer in float64 for the series as given, the deviation is
 *     dev(x') = max over the outputs o of   f_o(x') - f_o(x)     ROB_UP
 *                                           f_o(x) - f_o(x')     ROB_DOWN
 *                                           |f_o(x') - f_o(x)|   ROB_EITHER
 * and the query fails where dev(x') >= tolerance; its margin is tolerance - dev(x').
 * Two questions can then be asked. In a ball of finite radius: how far at most? After
 * rob_attack_margin "deviation" is one that was found, after rob_bound_margin one that is
 * never exceeded, proved:  found <= max dev <= proved. And how near is a deviation of
 * `tolerance`? rob_attack_distance and rob_bound_radius. Takes the place of bands and rows.
 * @param ctx       context
 * @param q         query
 * @param outputs   (count) numbers of outputs, from 0: horizons, with readout=every step
 *                  t's output k is t L + k; NULL: all
 * @param count     how many; ignored with NULL
 * @param direction ROB_UP, ROB_DOWN or ROB_EITHER
 * @param tolerance in units of the output; 0 where only deviations are asked for: every
 *                  series then counts as failing where it is
 * @return ROB_ESHAPE, ROB_EARGUMENT: no such outputs or direction; ROB_EDOMAIN: a negative
 *         tolerance, NaN or INFINITY
 * Cost: a copy; predictions are forgotten. Since 0.1.
 */
ROB_API rob_status rob_query_set_deviation(rob_ctx *ctx, rob_query *q,
                                           const int64_t *outputs, int64_t count,
                                           int32_t direction, double tolerance);

/**
 * Read a result by name.
 *
 * "prediction" argmax_k f_k(x) in float64, lowest index on ties; "margin" F(x) in
 * float64; "reference" the class measured from; "wrong" 1 when F(x) <= 0; "best" the
 * least distance any attack on this query found, INFINITY: none, in the query's units;
 * "proved" the largest distance any bound on this query proved, 0: none; "label";
 * "steps"; "x" the series (T, D) in its own units; "best_point" (T, D) where "best" was
 * found, in the units of the series. The first four evaluate the model when needed and
 * are cached.
 * @param ctx      context
 * @param q        query
 * @param what     one of the names
 * @param i        series, or -1: one number for every series ("x", "best_point": a
 *        series is needed)
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_ENUMERIC: the model's output is not
 *         finite; ROB_EARGUMENT: no such name or series, a label is needed and missing,
 *         or the model has one output and no rows are set
 * Cost: one forward pass of the series when not cached. Since 0.1.
 */
ROB_API rob_status rob_query_get(rob_ctx *ctx, const rob_query *q, const char *what,
                                 int64_t i, double *out, int64_t capacity,
                                 int64_t *count);

/**
 * Free a query.
 *
 * @param q query; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_query_free(rob_query *q);

#ifdef __cplusplus
}
#endif
#endif
