/* report.h -- all of it on one page: how robust is this model on these series?
 *
 * A report asks every method about one query and keeps the answers as named columns; it
 * writes them as JSON or as one HTML page that needs nothing else. What the query knows
 * already is not computed again: where every series has a failing point no attack is
 * run, where every series has a proved distance no bound.
 *
 * Columns. One number for each of the n series:
 *   "steps" "label" "prediction" "reference" "wrong" "margin"   as rob_query_get
 *   "norm"         |x_i| behind the input map (model units) or as given (data units)
 *   "lower" "upper" "ratio"    L_i proved, U_i seen to fail, U_i / L_i >= 1
 *   "nearest" "residual"       distance of the polished boundary point, its residual
 *   "estimate1" "estimate2"    of the distance, by the Taylor model; no certificates
 *   "condition"                of order 1, see condition.h
 *   "condition_lower" "condition_upper"    |x_i|/U_i and |x_i|/L_i: proved
 *   "curvature" "curvature_min" "curvature_max" "curvature_mean"   of the boundary at
 *                  the nearest point, 1/length; positive bends away; the first is the
 *                  larger of |min| and |max|
 *   "projection"   condition of the nearest point itself
 *   "condition_componentwise" "condition_weights"   see condition.h
 *   "hessian_lowest" "hessian_highest"   of the loss with respect to the series
 *   "probability" "probability_lower" "probability_upper"   of failing under a random
 *                  change of length "probability_radius"
 * One number: "series" n; "accuracy" on "tested" series, its exact interval
 *   "accuracy_lower", "accuracy_upper", the share "majority" of the commonest label,
 *   "beats_majority" 1 when accuracy_lower exceeds it; "probability_radius"; "shown"
 *   the series that is drawn; "partial" 1 when the run was stopped.
 * One number a radius: "radius_grid"; "certified_accuracy" share of the series answered
 *   right with L_i >= rho; "attacked_accuracy" with U_i > rho; "random_accuracy" the
 *   mean of 1 - P_i(rho) over them. Shares are of the series with a label; of all, and of
 *   unchanged answers, when none has one.
 * A number a radius of each series (n, radii): "curve", "curve_lower", "curve_upper",
 *   log10 of P_i(rho); -INFINITY: zero.
 * Four numbers, rank correlation with U, lower end, upper end, series counted:
 *   "spearman_curvature", "spearman_condition", "spearman_probability".
 * Seven numbers, "signs": shares of the series looked at that show the signs of diagnosis.h,
 *   in their order there; the page and JSON ("warnings") say what they mean.
 * About the shown series: "shown_x" (T, D), "shown_twin" (T, D) the failing point,
 *   "shown_condition" (T) by step, "shown_curvatures"; "slice_axis" (s), "slice_margin"
 *   (s, s) the margin on the plane of the twin and of "slice_direction" (T, D).
 * Of rob_report_add_universal: "universal" (T, D) the change, "universal_radius" of its
 *   ball; "universal_fooled", "universal_random", "universal_own" five numbers each, of
 *   the change on series held out, of a random change of its length on the same, and of
 *   the change on the search's own: series broken, of how many that held, their share,
 *   and the ends of its exact interval (which means nothing for the search's own).
 * NaN: not computed or not reached. INFINITY in "upper": no failing point was found.
 *
 * Options by name, with defaults:
 *   confidence 0.95  of every interval
 *   radii 16         of the grid, geometric
 *   smallest 0       of them; 0: half the least proved distance
 *   largest 0        of them; 0: 2 median(U) sqrt(numbers that may move)
 *   rho 0            probability_radius, put into the grid; 0: the grid's radius at
 *                    which a flat boundary at median(U) would fail with 5 %
 *   samples 1000     random directions a series and radius; 0: no probabilities
 *   budget 200000    forward passes there, of the samplers auto and split
 *   calls 300        gradients of the attack, a series
 *   diagnose 4       series on which it is asked whether gradients are masked; 0: none
 *   tolerance 0.01   relative width of the certified radius
 *   steps 0, cost 5e11   of the bound, see bound.h
 *   dense 512        of the boundary, see boundary.h; 0: no geometry
 *   slices 41        points a side of the slice; 0: none
 *   show -1          series to show; -1: the typical one
 *   rows 200         series listed in the page's table
 *   tested 0, right 0, commonest 0   counts of a larger test set of which the query
 *                    holds a part: accuracy is then told of it
 * Text options: "title", "model", "data" (names for the page; any text, made harmless);
 *   "plot" the path of a program that reads a gnuplot script on its standard input and
 *   writes SVG to its standard output, such as /usr/bin/gnuplot; without it the page
 *   has tables only. "attack" and "bound" name methods, "auto" by default, "none": what the
 *   query knows; "sampler" too, "mc" by default ("auto" reaches rare failures, slowly).
 *
 * What holds for all functions. A report belongs to one thread at a time and refers to
 * its query, which must live while it runs; the rest works without it. ctx NULL:
 * ROB_EARGUMENT; NULL handles: ROB_EARGUMENT; no memory: ROB_EMEMORY. On error outputs
 * and earlier answers are untouched. Neither columns nor files depend on the number of
 * worker threads. docs/theory/report.md says what each number is, and the keys of JSON.
 */
#ifndef ROBUST_REPORT_H
#define ROBUST_REPORT_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Options and the answers of the last run; opaque. */
typedef struct rob_report rob_report;

/**
 * Make a report about a query.
 *
 * @param ctx context
 * @param q   query; not copied
 * @param out receives the report; NULL on error
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_report_create(rob_ctx *ctx, rob_query *q, rob_report **out);

/**
 * Set an option that is a number; the list is at the top.
 *
 * @param ctx   context
 * @param r     report
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_report_set(rob_ctx *ctx, rob_report *r, const char *name,
                                  double value);

/**
 * Set an option that is a text; the list is at the top.
 *
 * @param ctx   context
 * @param r     report
 * @param name  the option
 * @param value its value, copied; NULL: as if never set
 * @return ROB_EARGUMENT: no such option. A method that is none is noticed by the run
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_report_set_text(rob_ctx *ctx, rob_report *r, const char *name,
                                       const char *value);

/**
 * Fill the columns: model, attack, bound, probabilities, geometry, in this order.
 *
 * @param ctx context; progress has the stages of the methods
 * @param r   report
 * @return ROB_STOPPED: cancel or deadline; "partial" is 1 and the columns hold what was
 *         done; else as the methods asked: rob_attack_distance, rob_bound_radius,
 *         rob_sampler_curve, rob_boundary_find. Probabilities and geometry are for L2;
 *         under another norm their columns stay NaN, which is no error
 * Cost: the sum of the methods; the certified radii are most of it. Since 0.1.
 */
ROB_API rob_status rob_report_run(rob_ctx *ctx, rob_report *r);

/**
 * Add one change for all series: searched on one query, judged on another.
 *
 * Fills the columns universal... in the place of earlier ones; the page shows the change
 * and the share it fools beside a random change of the same length. The queries are
 * usually two halves of a larger set than the report's own query holds.
 * @param ctx    context; progress stage "universal"
 * @param r      report that has run; its `confidence` is that of the intervals
 * @param search query whose series serve the search; one length, finite radius
 * @param held   query of other series of the same length, in the same ball
 * @return ROB_EARGUMENT: the report has not run, the balls differ, or the queries are one;
 *         ROB_STOPPED: the best change so far; else as rob_attack_universal and
 *         rob_attack_transfer, the columns as they were
 * Cost: that of rob_attack_universal and four forward passes a series of `held`.
 * Since 0.1.
 */
ROB_API rob_status rob_report_add_universal(rob_ctx *ctx, rob_report *r,
                                            rob_query *search, rob_query *held);

/**
 * Name the columns there are.
 *
 * @param r report, or NULL: the list is the same for all
 * @param k from 0
 * @return the name of column k, a constant; NULL behind the last
 * Cost: none. Since 0.1.
 */
ROB_API const char *rob_report_column(const rob_report *r, int64_t k);

/**
 * Read a column by name.
 *
 * @param ctx      context
 * @param r        report that has run
 * @param column   one of the names
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are, 0 when the column was not computed;
 *        NULL: not wanted
 * @return ROB_EARGUMENT: no such column, or the report has not run; ROB_ESHAPE:
 *         capacity too small
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_report_get(rob_ctx *ctx, const rob_report *r, const char *column,
                                  double *out, int64_t capacity, int64_t *count);

/**
 * Write the report: JSON or a page, by the ending of the path.
 *
 * ".json": numbers with 17 digits, null for what is not finite, a verdict for each
 * series: wrong, bracketed, proved, broken, open. ".html": one file, no scripts, no
 * outside references; figures when the text option "plot" names a plotter, which is
 * started without a shell, and tables in any case.
 * @param ctx  context
 * @param r    report that has run
 * @param path where; an existing file is replaced only when the new one is whole
 * @return ROB_EARGUMENT: another ending, or the report has not run; ROB_EIO: cannot be
 *         written. A plotter that fails is no error: the page says so
 * Cost: the text is in memory once; a figure starts the plotter twice. Since 0.1.
 */
ROB_API rob_status rob_report_save(rob_ctx *ctx, const rob_report *r, const char *path);

/**
 * Free a report.
 *
 * @param r report; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_report_free(rob_report *r);

#ifdef __cplusplus
}
#endif
#endif
