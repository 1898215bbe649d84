/* attack.h -- upper bounds on the adversarial distance: points that were seen to fail.
 *
 * Every point reported was evaluated before: it fails the query's specification in
 * float32 and in float64 after its moved numbers were rounded to float32; its norm is
 * measured after that rounding; it lies in the ball and moves nothing that is masked
 * out. So
 *     dist(x_i) <= U_i     for every number U_i answered by rob_attack_distance.
 * Nothing found is a result: U_i = INFINITY, which proves nothing.
 *
 * Methods.
 *   "fgsm"      one gradient, then along the steepest direction (Goodfellow et al.
 *               2015)
 *   "pgd"       projected gradient descent in a ball (Madry et al. 2018), with option
 *               `momentum` MI-FGSM (Dong et al. 2018); for distances the ball's radius is
 *               searched
 *   "apgd"      Auto-PGD (Croce & Hein 2020; in L1 their 2021 form): the step finds its own
 *               length, halved where the loss stops falling; all norms but L0
 *   "square"    random search over windows in time (Square Attack, Andriushchenko et al.
 *               2020), in a ball; sees margins, asks no gradients
 *   "deepfool"  repeated linear models (Moosavi-Dezfooli et al. 2016), classes in
 *               parallel
 *   "ddn"       L2: direction and length of the perturbation updated apart (Rony et al.
 *               2019)
 *   "fmn"       L0, L1, L2, Linf: steps inside a ball that follows the boundary (Pintor
 *               et al. 2021)
 *   "cw"        L2: a penalty on the margin, its weight searched (Carlini & Wagner 2017)
 *   "ead"       L1: the same with an elastic net, by FISTA (Chen et al. 2018)
 *   "fab"       L1, L2, Linf: projections on the linearised boundary, drawn towards the
 *               series (Croce & Hein 2020), classes in parallel
 *   "auto"      DeepFool, then searches that begin in different ways: long steps (DDN,
 *               Rony et al. 2019; FMN, Pintor et al. 2021), an adaptive ball, the query's
 *               nearest other series of another answer (Brendel et al. 2019), so that an
 *               answer depends on what else is in the query (option others 0: on nothing);
 *               then the promising ones to a point that satisfies the
 *               conditions of a nearest one (quadratic or linear programs in turn; not
 *               with ROB_NORM_L0), then a start along the largest curvature at x and
 *               random hops, polished again; for margins,
 *               projected descent with restarts
 *               (a callback without gradients: "hopskipjump", 16 `queries` a call)
 *   "hopskipjump" sees only which points fail: normals estimated from random directions
 *               (Chen, Jordan & Wainwright 2020)
 *   "boundary"  the same, by random steps along the sphere and inward (Brendel, Rauber &
 *               Bethge 2018)
 *   "warp"      no numbers change, only their time: x at tau_t, tau non-decreasing and
 *               |tau_t - t| <= `width` steps. Distances are the least such width in steps,
 *               margins those at `width`; the ball plays no part and "best" is left alone
 * Options by name, with defaults (evaluations: forward passes; gradients: both passes):
 *   fgsm      steps 60 sizes tried
 *   pgd       steps 40 gradients of one descent; step 0 length of a step over the
 *             radius, 0: falling from 1/2 to 1/50; restarts 1, all but the first from a
 *             random point; momentum 0 share of the slopes before in a step's direction;
 *             radii 12 tried for a distance; stop 0, 1 leaves a series once broken:
 *             restarts then go one after the other
 *   apgd      steps 100 gradients of one descent; restarts 1 of each target; targets 1
 *             classes gone for, the nearest in value first (1: whichever is lowest where
 *             the search stands); radii, stop as for pgd
 *   square    queries 5000 evaluations of one search, shared by the radii of a distance;
 *             restarts 1; radii, stop as for pgd
 *   deepfool  steps 50 gradients; candidates 10 groups (classes) tried
 *   ddn, fmn, cw, ead, fab  steps 200 (cw, ead 300; fab 100) gradients of one search;
 *             restarts 1, all but the first from random points as far as the linear step,
 *             with start 1 from where the model of second order at x meets the boundary
 *             along the eigenvectors of the most negative curvature of the margin, both
 *             signs (two gradients a product, 8 products an eigenvector; flat: random);
 *             patience 0 gradients without a nearer point (by 1e-4) after which a search
 *             ends, 0: never
 *   ddn, fmn  rate 1 first step over the radius, falling to a hundredth; shrink 0.05 by
 *             which a step changes the radius at first, falling to a fiftieth
 *   cw, ead   rounds 6 weights tried in equal shares of the steps, of 15 at least; rate 0.5
 *             (ead 0.1) first step of a round, over the distance (ead: over the quadratic's
 *             own); ead: sparse 0.1 weight of the L1 norm, in lengths of the linear step,
 *             and one evaluation a step
 *   fab       candidates 10 groups (classes) tried, each with its restarts; one evaluation
 *             a step
 *   auto      calls 300 gradients a series, all searches together; searches 0 started a
 *             series, 0: two to four by the groups, or one for 150 calls, at most 16;
 *             others 64 series of the query looked at for a start, 0: none;
 *             with 1 there are no hops; second 0, 1 also the "factor" of every answer
 *   hopskipjump queries 5000 evaluations a series, start and line search to the boundary
 *             ("search") not counted; directions 100 of the first estimate
 *   boundary  queries 5000
 *   warp      width 3 steps; steps 40 gradients of a descent; restarts 3, two from x;
 *             rounds 10 widths tried for a distance
 *   universal passes 30 over the series; batch 16 of one step; restarts 12, from zero,
 *             from `minimum` 8 passes of minimum-norm steps, then from random points;
 *             shift 0, stride 0 (below); confidence 0.95 of the interval of "fooled",
 *             precision and seed as below
 *   the others  search 40 evaluations of the last line search to the boundary;
 *             overshoot 1e-4 share of the distance added so that other arithmetic agrees;
 *             precision 32 bits of gradients (above 32: 64); seed 0 added to the
 *             context's
 * Text option "loss" of fgsm, pgd, apgd, ddn and fmn: "margin" (default); "ce",
 * cross-entropy, descended on as log-odds, which have the same directions and do not
 * saturate; "dlr", the difference of logits over their spread (Croce & Hein 2020; its
 * targeted form when a class is gone for), which f -> a f + b leaves alone. With two
 * classes, where the published ratio does not exist, the margin over that at x: there all
 * three make the same steps.
 *
 * What holds for all functions. An attack keeps its options and its last answers; it
 * may be used on any query, by one thread at a time. Random numbers are functions of
 * (seed, series, restart, step): bits do not depend on the number of worker threads.
 * ctx NULL: ROB_EARGUMENT; NULL handles: ROB_EARGUMENT; no memory: ROB_EMEMORY.
 * ROB_STOPPED (cancel or deadline): answers so far are valid, the others say "nothing
 * found". On error outputs and earlier answers are untouched. docs/theory/attack.md
 * derives the steps.
 */
#ifndef ROBUST_ATTACK_H
#define ROBUST_ATTACK_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** A method, its options and its last answers; opaque. */
typedef struct rob_attack rob_attack;

/**
 * Make an attack by the name of its method.
 *
 * @param ctx    context
 * @param method "fgsm", "pgd", "apgd", "square", "deepfool", "ddn", "fmn", "cw", "ead", "fab",
 *               "auto", "hopskipjump", "boundary", "warp" or "universal"
 * @param out    receives the attack; NULL on error
 * @return ROB_EARGUMENT: no such method
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_attack_create(rob_ctx *ctx, const char *method,
                                     rob_attack **out);

/**
 * Set an option of the method; the list is at the top.
 *
 * @param ctx   context
 * @param a     attack
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: the method has no such option; ROB_EDOMAIN: value
 *         out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_attack_set(rob_ctx *ctx, rob_attack *a, const char *name,
                                  double value);

/**
 * Set an option that is a word: "loss" to "margin", "ce" or "dlr".
 *
 * @param ctx   context
 * @param a     attack
 * @param name  the option
 * @param value its value
 * @return ROB_EARGUMENT: no such option or value, or not for this method
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_attack_set_text(rob_ctx *ctx, rob_attack *a, const char *name,
                                       const char *value);

/**
 * Search for the nearest failing point of every series.
 *
 * U_i = ||p_i - x_i|| of the nearest point p_i seen to fail; 0 when x_i itself fails;
 * INFINITY when none was found within the ball. The query's "best" keeps the least of
 * all attacks.
 * @param ctx      context; progress stage "attack" counts series
 * @param a        attack
 * @param q        query; its radius caps the search
 * @param upper    (count of the query) receives U_i in the query's units; NULL: not
 *        wanted
 * @param capacity numbers upper has room for
 * @return ROB_ESHAPE: capacity too small; ROB_EUNSUPPORTED: loss ce or dlr with rows of
 *         one's own, or the method does not search in the query's norm; as rob_query_get for the predictions
 * Cost: "auto": `calls` gradients and at most 2 x (`search` + 1) + 12 forward passes a
 * series, and one for every search.
 * Reference: see the methods. Since 0.1.
 */
ROB_API rob_status rob_attack_distance(rob_ctx *ctx, rob_attack *a, rob_query *q,
                                       double *upper, int64_t capacity);

/**
 * Search for the lowest margin in the ball of every series.
 *
 * The larger of the float32 and the float64 margin at the lowest point seen; x_i is one
 * of the points, so it is never above F(x_i). <= 0: broken, a counterexample within the
 * radius.
 * @param ctx      context; progress stage "attack" counts series
 * @param a        attack
 * @param q        query; its radius must be finite
 * @param margin   (count of the query) receives the margins; NULL: not wanted
 * @param capacity numbers margin has room for
 * @return ROB_EARGUMENT: the radius is INFINITY; else as rob_attack_distance
 * Cost: "pgd": restarts x steps gradients a series. Since 0.1.
 */
ROB_API rob_status rob_attack_margin(rob_ctx *ctx, rob_attack *a, rob_query *q,
                                     double *margin, int64_t capacity);

/**
 * Search for one perturbation that breaks as many series as possible.
 *
 * delta within the ball and what every series' mask and box leave, making
 * F_i(x_i + V_i delta) <= 0 for many i; series that fail at x_i already are left out.
 * V_i delta is delta itself; with option shift 1 delta is one period of a signal that
 * goes on, and V_i starts anywhere in it (each judged at one random start); with stride
 * s > 0 the series are windows i = 0, 1, ... of one recording, cut every s steps, and
 * delta belongs to the recording: T + s (count - 1) steps, so that a time stamp moves
 * alike in every window that holds it. Scale, budgets, smoothness, number of steps and
 * subspace are those of delta; lists of single series are refused, by step also with
 * shift and stride. Its numbers are float32 numbers unless a subspace or a bound on
 * differences forbids. The answers of the attack are then those of
 * rob_attack_transfer on the same query, the search's own series: their share "fooled"
 * is optimistic, the interval means nothing there. Take other series for that.
 * @param ctx      context; progress stage "universal" counts passes
 * @param a        attack of method "universal"
 * @param q        query; all series of one length, radius finite
 * @param delta    (T, D), with stride (T + s (count - 1), D), receives the perturbation,
 *                 in the units of the series; NULL: not wanted (rob_attack_get "universal")
 * @param capacity numbers delta has room for
 * @param count    receives how many numbers it has; NULL: not wanted
 * @return ROB_ESHAPE: lengths differ, no series, or capacity too small; ROB_EARGUMENT:
 *         the radius is INFINITY; ROB_EUNSUPPORTED: another method; ROB_STOPPED: the
 *         best perturbation so far
 * Cost: restarts x passes gradients and as many forward passes a series, and up to 6 x
 * minimum gradients for the second start. Reference:
 * Moosavi-Dezfooli et al., CVPR 2017; Shafahi et al., AAAI 2020. Since 0.1.
 */
ROB_API rob_status rob_attack_universal(rob_ctx *ctx, rob_attack *a, rob_query *q,
                                        double *delta, int64_t capacity,
                                        int64_t *count);

/**
 * Add one perturbation to every series of a query and see which fail.
 *
 * As rob_attack_universal has it, with the options shift and stride.
 * Answers "found", "margin", "distance" (||delta||, INFINITY: it holds) and "fooled"
 * are then about this query; x_i + delta is judged in float32 and in float64, as
 * everywhere. The query's "best" is left alone.
 * @param ctx   context
 * @param a     attack of method "universal"
 * @param q     query, for instance of series held out
 * @param delta (T, D) in the units of the series, within the query's ball and masks
 * @param count T x D, the size of every series
 * @return ROB_ESHAPE: a series has another size; ROB_EDOMAIN: delta is outside the
 *         ball, moves what a mask holds, or is not finite; ROB_EARGUMENT: the radius is
 *         INFINITY; ROB_EUNSUPPORTED: another method
 * Cost: two forward passes a series. Since 0.1.
 */
ROB_API rob_status rob_attack_transfer(rob_ctx *ctx, rob_attack *a, rob_query *q,
                                       const double *delta, int64_t count);

/**
 * Read an answer of the last search by name.
 *
 * "point" (T, D) the failing point in the units of the series (the series itself when
 * nothing was found; after rob_attack_margin the point of the margin); "perturbation"
 * (T, D) point minus series; "distance" its norm in the units the query then had,
 * INFINITY when nothing was found; "margin" the margin at the point; "calls" gradients
 * taken, with "square", "hopskipjump" and
 * "boundary" evaluations; "found" 1 when the point fails;
 * "source" what found it: 0 the method itself, and of "auto" 1 linear steps, 2 adaptive
 * ball, 3 polish, 4 hops; "residual" how much nearer, relative, the plane tangent to the
 * boundary is than the point: 0 iff it satisfies the first-order conditions of a nearest
 * point, NaN where no polish got there; "factor" (L2, option second) the least 1 + r k_i,
 * r the distance and k_i the principal curvatures of the boundary there, positive where
 * it bends away from x, numbers on a wall held: with residual 0, > 0 is a strict local
 * minimum and < 0 none; by Lanczos's method, at most 60 products; NaN where the residual
 * is above 0.01, without curvature (relu) and with parts other than mask, scale, box or
 * subspace; rob_boundary has all the k_i; "closest" how many of the searches ended on
 * different points (a twentieth of the distance apart) within 1.001 times the nearest;
 * "deviation" of the forecast at the point, the lesser of what float32 and float64 say, NaN
 * when the query asked for none (rob_query_set_deviation);
 * "warp" (T) the moves tau_t - t of method "warp". Method "universal", whatever i:
 * "universal" the perturbation found; "fooled" 5 numbers: series broken, of how many that
 * held at x_i, their share, and the ends of its Clopper-Pearson interval, which covers
 * the true share with at least `confidence` when the series had no part in the search.
 * @param ctx      context
 * @param a        attack
 * @param what     one of the names
 * @param i        series; -1: every series (not for point and perturbation)
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name or series
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_attack_get(rob_ctx *ctx, const rob_attack *a, const char *what,
                                  int64_t i, double *out, int64_t capacity,
                                  int64_t *count);

/**
 * Free an attack.
 *
 * @param a attack; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_attack_free(rob_attack *a);

#ifdef __cplusplus
}
#endif
#endif
