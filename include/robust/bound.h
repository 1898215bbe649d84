/* bound.h -- certified lower bounds: no point of the ball does worse, proved.
 *
 * Guarantee. For every series x_i of a query, with B_i(eps) its ball, masked, and F_i
 * the margin of its specification (min over groups of max over rows of C f + b),
 *     rob_bound_margin:  F_i(x) >= M_i  for all x in B_i(radius of the query)
 *     rob_bound_radius:  F_i(x) >  0    for all x in B_i(L_i),  so  L_i <= dist(x_i)
 * in real arithmetic, for the network with its weights as stored and x_i as given:
 * every rounding of the proof itself is paid for. The network is the model's graph: an
 * input map is a x + b with the doubles nearest to 1/scale and -shift/scale, a mean over
 * T steps a product with the double nearest to 1/T. What evaluation in float32 rounds to
 * is a term of its own: the option `float32`. "Nothing proved" is a result:
 * M_i = -INFINITY, L_i = 0. The ball is on the whole sequence, not on each step. The
 * class that distances are measured from is the query's reference; it is found by
 * evaluation in floating point, and the proof then holds for that class.
 *
 * Methods.
 *   "interval"  ranges by interval arithmetic, one forward pass: fast, loose
 *   "zonotope"  affine forms carried forward: numbers of x and shared noises, one pass for
 *               all ranges (Singh et al. 2018, Bonaert et al. 2021), then the rows
 *               substituted backwards on them. The method for long sequences
 *   "crown"     linear relaxations, substituted backwards to the input, for every range
 *               the relaxations need and for the rows (Zhang et al. 2018); intersected
 *               with forms and intervals
 *   "alpha"     crown with `order` 2, and where that does not prove: for every open row
 *               the planes' mixtures and slopes are chosen by ascent on the row's own
 *               bound (Xu et al. 2021), for the ranges it hangs on most likewise
 *   "branch"    alpha, and for groups that stay open branch and bound: the ball is cut by
 *               what the rows' own bounds leave to be proved, and in two where a number
 *               of a gate or state gains most, ranges and rows are bounded again on the
 *               parts, the worst part first (docs/theory/bound.md 10)
 *   "auto"      crown where `cost` allows, else zonotope; "depth" says what it was
 * None is ever below one that stands above it (with attention, crown and alpha
 * do without forms, branch is alpha); "auto" is one of its two. What alpha chooses: lines of
 * tanh, sigmoid, relu, gelu and other functions, planes of gates and products; in attention
 * softmax's tangent points and shifts, layer norm's mixtures; not products of matrices.
 * Options by name, with defaults:
 *   steps     0      time steps substituted before the known ranges of the state are
 *                    used; 0: all
 *   symbols   0      most noises the forms keep, the slightest become intervals; 0: those
 *                    of six steps and a thousand
 *   tolerance 1e-3   relative width of the last bracket of a radius search
 *   calls     60     most bounds computed for one radius
 *   choices   40     alpha: substitutions that choose planes for one row
 *   rounds    1      alpha (order 2: one less): times that ranges are chosen for, and made again
 *   chosen    100    alpha, order 2: ranges chosen for in a round
 *   enough    0      alpha, order 2, branch: a margin above which nothing is improved;
 *                    branch answers a little more than that and no more
 *   seconds   1e9    alpha, order 2, branch: time after which nothing more is improved for
 *                    a series; what it has then is the answer. crown's own bounds are
 *                    always made, so a radius may take longer than this
 *   branches  200    branch: parts of the ball bounded, for one margin. 0: alpha. More
 *                    are never worse
 *   cost      2e11   multiply-adds "auto" may spend on the sweeps of one bound, about
 *                    ten seconds
 *   float32   0      1: prove the margin of evaluation in float32 as well ("float32");
 *                    2: all proofs are of evaluation in float32, and so of real numbers
 *   ulps      4      units in the last place by which elementary functions in float32
 *                    may be off
 *   order     0      2, with crown, alpha, branch on L2 and Linf balls: gates are also bounded
 *                    by quadratics of x, summed and minimised over the whole ball, for
 *                    all ranges once more and for rows that are not proved; with `rounds`
 *                    above 1 then with slopes of their own for `chosen` ranges they hang
 *                    on, and again (docs/theory/orders.md 4). Smooth gates only, no
 *                    region but a mask; where it does not apply it changes nothing.
 *                    1: none; 0: 2 with alpha and branch, and with auto on Elman
 *                    nets where T times the work of one bound is within a thousandth
 *                    of `cost`, 1 with the others
 *   rings     8      rob_bound_lipschitz: balls that gradients are bounded on
 *   curvature 0      1: rob_bound_lipschitz also bounds Hessians ("curvature")
 *   joint     1      1: where there are forms, planes of gates on the joint domain of their
 *                    two inputs (an octagon), which is smaller than their box; 0: the box
 *   gain      1e-4   crown, alpha, nets with gates: ranges of a step are swept only where a sample of sweeps
 *                    wins so much on what affine forms give, as a share of the margin
 *                    lost, about; 0: always (docs/theory/bound.md 3)
 *   cuts      400    rob_bound_universal: times that the ball is cut in two
 *   parts     64     rob_bound_universal, with at most 8 coordinates: parts of the ball
 *                    that every series left is bounded on anew; `seconds` ends them too
 *
 * What holds for all functions. A bound keeps its options and its last answers; it may
 * be used on any query, by one thread at a time. Series are spread over the context's
 * workers; the bits do not depend on their number nor on a series' neighbours. The
 * floating-point environment of the host is put aside during a call and restored. ctx
 * NULL: ROB_EARGUMENT; NULL handles: ROB_EARGUMENT; no memory: ROB_EMEMORY. ROB_STOPPED
 * (cancel or deadline): all answers are valid; a radius is what had been certified
 * until then. On error outputs and earlier answers are untouched. docs/theory/bound.md
 * derives the steps.
 */
#ifndef ROBUST_BOUND_H
#define ROBUST_BOUND_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** A method, its options and its last answers; opaque. */
typedef struct rob_bound rob_bound;

/**
 * Make a bound by the name of its method.
 *
 * @param ctx    context
 * @param method "interval", "zonotope", "crown", "alpha", "branch" or
 *               "auto"
 * @param out    receives the bound; NULL on error
 * @return ROB_EARGUMENT: no such method
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_bound_create(rob_ctx *ctx, const char *method, rob_bound **out);

/**
 * Set an option; the list is at the top.
 *
 * @param ctx   context
 * @param b     bound
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_bound_set(rob_ctx *ctx, rob_bound *b, const char *name,
                                 double value);

/**
 * Certify a radius for every series.
 *
 * L_i <= dist(x_i): within it the specification of series i holds everywhere. L_i was
 * certified by a bound at exactly that radius; where units are converted the region
 * checked is rounded up and the answer down. 0 for a series that fails at x_i itself.
 * @param ctx      context; progress stage "bound" counts series
 * @param b        bound
 * @param q        query; its ball's radius is the cap, INFINITY: none; where box and
 *                 budgets leave nothing that fails, the answer is the cap
 * @param lower    (count of the query) receives L_i in the query's units; NULL: not
 *                 wanted
 * @param capacity numbers lower has room for
 * @return ROB_ESHAPE: capacity too small; ROB_EUNSUPPORTED: an operator of the model
 *         has no sound rule, or the norm is ROB_NORM_L0; as rob_query_get for the predictions
 * Cost: 4 to 10 times rob_bound_margin. Reference: see the methods. Since 0.1.
 */
ROB_API rob_status rob_bound_radius(rob_ctx *ctx, rob_bound *b, rob_query *q,
                                    double *lower, int64_t capacity);

/**
 * Certify a margin for every series on the query's ball.
 *
 * M_i <= F_i(x) for all x in the ball; M_i > 0 proves that the specification holds on
 * it.
 * @param ctx      context; progress stage "bound" counts series
 * @param b        bound
 * @param q        query; its radius must be finite, or a box or budgets on all that moves
 * @param lower    (count of the query) receives M_i; NULL: not wanted
 * @param capacity numbers lower has room for
 * @return ROB_EARGUMENT: the radius is INFINITY; else as rob_bound_radius
 * Cost: crown, LSTM: 40 T^2 H^2 (H + D) operations a layer and memory O(T H + rows H),
 *       for example 1.4 s and 30 MB at T = 50, H = 64; with `steps` k: 80 T k H^2 (H + D).
 *       zonotope: 8 T S H (H + D) operations for S symbols and memory O(S H), for
 *       example 8 s and 160 MB at T = 96 and two layers of H = 128. interval: about a hundred
 *       forward passes. branch: at most two crown for each part, fewer where only planes
 *       are made again; memory for a part is O(T (H + D)). Since 0.1.
 */
ROB_API rob_status rob_bound_margin(rob_ctx *ctx, rob_bound *b, rob_query *q,
                                    double *lower, int64_t capacity);

/**
 * Certify a Lipschitz constant of the margin on the query's ball, for every series.
 *
 * |F_i(x) - F_i(y)| <= K_i ||x - y|| for all x, y in the ball, in the query's norm and
 * units, along what its mask and scales let move: K_i >= sup of the dual norm of the
 * gradient of every row. It comes from ranges that the method proves and a centred
 * recursion of adjoints: products of numbers, absolute values only where the derivative
 * of a gate is not known exactly. As the radius goes to 0 it becomes the norm itself, and
 * it never exceeds the recursion in intervals.
 * Integrated over `rings` balls of radius r/n, 2 r/n, ..., r it certifies a radius of its
 * own: F_i > 0 where the integral has not used up the margin at x_i. By name:
 * "lipschitz" K_i, INFINITY: nothing proved; "smooth" that radius, at most r; "steepest",
 * for each row, what the norm of its gradient does not exceed on the ball; "gradient", for
 * each row, what it does not fall below, 0: nothing proved; "curvature", with that option,
 * what no eigenvalue of the Hessian of any row exceeds in magnitude on the ball, by x in
 * the query's units and among what the mask lets move, INFINITY: nothing proved, not asked,
 * gates without second derivatives, or a region with more than a mask.
 * @param ctx      context; progress stage "bound" counts series
 * @param b        bound
 * @param q        query; its radius must be finite, or a box or budgets on all that moves
 * @param upper    (count of the query) receives K_i; NULL: not wanted
 * @param capacity numbers upper has room for
 * @return ROB_EARGUMENT: the radius is INFINITY; ROB_EUNSUPPORTED: a subspace, or an
 *         operator without a rule (attention, layer norm, gelu); else as rob_bound_margin
 * Cost: for every ring about 1.5 times rob_bound_margin, and memory for 5 numbers a row
 *       and state; with `curvature` about T times that, once. Reference: docs/theory/orders.md; RecurJac (Zhang et al. 2019) for
 *       intervals and rings. Since 0.1.
 */
ROB_API rob_status rob_bound_lipschitz(rob_ctx *ctx, rob_bound *b, rob_query *q,
                                       double *upper, int64_t capacity);

/**
 * Certify how many series one perturbation can make fail.
 *
 * For every d in the query's ball, within what the masks and boxes of all series leave, at
 * most `most` of the series that hold at x_i fail at x_i + d: the other side of
 * rob_attack_universal (options shift and stride 0). Rows are bounded on the ball by affine functions
 * of d; a series can fail only in half-spaces of them; and the ball is cut into slabs, on each of which
 * multipliers prove half-spaces out of reach. So `most` never exceeds the number
 * of series that are not proved one by one at this radius, and falls below it where series
 * fail in directions that exclude each other. Where d has at most 8 coordinates (a subspace
 * common to all, a band, a mask that leaves few numbers) the ball is also cut into up to `parts` boxes of them, on each
 * of which ranges and rows are made again: in one to three coordinates that comes near, or
 * meets, what an attack reaches; boxes and budgets of the region are left out there. "margin" of each series is answered as well; by
 * name, whatever i: "universal" 3 numbers, `most`, of how many that hold at x_i, and how
 * many of them are not proved one by one.
 * @param ctx  context; progress stage "bound" counts series
 * @param b    bound; with method "interval" nothing is known of directions
 * @param q    query; all series of one length, radius finite
 * @param most receives the number; NULL: not wanted
 * @return ROB_ESHAPE: lengths differ; ROB_EARGUMENT: the radius is INFINITY;
 *         ROB_EUNSUPPORTED: a scale, or a subspace of a series' own, else as rob_bound_margin;
 *         ROB_STOPPED: the number holds, more time would have lessened it
 * Cost: rob_bound_margin, with few coordinates up to `parts` times twice for what is left, and 6 `cuts` products of the affine functions with a vector, for
 *       L1 and Linf thirty times that; memory for T D numbers a row. Reference:
 *       docs/theory/bound.md 12; Amaldi and Kann 1995 (the problem is hard, the bound is
 *       branch and bound). Since 0.1.
 */
ROB_API rob_status rob_bound_universal(rob_ctx *ctx, rob_bound *b, rob_query *q,
                                       int64_t *most);

/**
 * Read an answer of the last call by name.
 *
 * "margin" M_i (after rob_bound_radius: the margin proved at L_i); "radius" L_i; "rows"
 * the lower bound of each row of the specification on the last ball tried (of a group of
 * several rows branch proves that one of them is more: the margin may exceed them all); "calls"
 * bounds computed; "seconds" of wall time; "depth" steps substituted for the ranges, 0
 * all, -1 none: forms or intervals; "dropped" parts of the region left out, so that more
 * was proved than asked: 1 variation and differences, 2 the number of steps, 3 both, 0
 * none; "deviation" what the forecast's deviation does not exceed on the last ball, rounded
 * up, NaN when the query asked for none (rob_query_set_deviation), INFINITY: nothing proved;
 * "float32", with that option, the margin that any evaluation in IEEE single precision
 * keeps on the ball (after rob_bound_radius: at L_i, where it may be negative): x and
 * weights brought to float32, sums in any order, fused or not, subnormals flushed or not,
 * functions right to `ulps`; "margin" less "float32" is the share of rounding. -INFINITY:
 * not asked, nothing proved, or an operator without an error rule. It costs
 * one more bound; "lipschitz", "smooth", "steepest", "gradient", "curvature" as
 * rob_bound_lipschitz says, "universal" as rob_bound_universal.
 * @param ctx      context
 * @param b        bound
 * @param what     one of the names
 * @param i        series; -1: every series (not for those with a number a row)
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name or series
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_bound_get(rob_ctx *ctx, const rob_bound *b, const char *what,
                                 int64_t i, double *out, int64_t capacity,
                                 int64_t *count);

/**
 * Free a bound.
 *
 * @param b bound; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_bound_free(rob_bound *b);

#ifdef __cplusplus
}
#endif
#endif
