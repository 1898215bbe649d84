/* sampler.h -- how probable is a failure? Random perturbations of a given length.
 *
 *     P_i(rho) = P[ the specification fails at x_i + rho v ],
 * v uniform on the Euclidean unit sphere of the numbers that may move (the query's
 * mask). An attack asks for the worst direction, a sampler for a random one; in many
 * dimensions the two differ by orders of magnitude. Everything is answered as a natural
 * logarithm, with an interval: log p, its lower and its upper end.
 *
 * Methods.
 *   "mc"     independent directions; Clopper and Pearson's exact interval (1934):
 *            whatever p is, it lies outside with probability at most 1 - confidence
 *   "split"  adaptive multilevel splitting on the margin with geodesic moves (Cerou &
 *            Guyader 2007, Guyader et al. 2011, Webb et al. 2019): p down to 1e-300.
 *            The mean of exp(log p) is p; the interval, log p -+ z sqrt(-log p/N)
 *            with N particles in its score form, takes the moves for perfect mixing:
 *            with few moves it is too short
 *   "auto"   "mc", and where too few directions fail, "split"
 * When nothing failed log p and its lower end are -INFINITY, and the upper end says how
 * probable a failure may still be. A series that is wrong already has P = 1 at every
 * radius. With one number that may move P is exact: 0, 1/2 or 1.
 *
 * Options by name, with defaults:
 *   samples 10000    directions of "mc"; "auto" leaves after a tenth that hardly fails
 *   enough 100       failures with which "auto" is content
 *   particles 256    of "split"
 *   share 0.125      of the particles replaced a level; 0: one particle (the last one)
 *   moves 20         geodesic moves of a replaced particle
 *   budget 200000    margins a series and radius for "split", then the upper end is all
 *                    that is answered; 0: no limit
 *   floor 300        decades: "split" looks for no p below 10^-floor
 *   confidence 0.95  of the intervals
 *   precision 32     bits of the margins (above 32: 64)
 *   seed 0           added to the context's
 *
 * What holds for all functions. A sampler keeps its options and its last answers; it
 * may be used on any query, by one thread at a time. Random numbers are functions of
 * (seed, series, sample): the radii of one series share their directions, and bits do
 * not depend on the number of worker threads. ctx NULL: ROB_EARGUMENT; NULL handles:
 * ROB_EARGUMENT; no memory: ROB_EMEMORY. On error outputs and earlier answers are
 * untouched. docs/theory/sample.md derives the estimators.
 */
#ifndef ROBUST_SAMPLER_H
#define ROBUST_SAMPLER_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** A method, its options and its last answers; opaque. */
typedef struct rob_sampler rob_sampler;

/**
 * Make a sampler by the name of its method.
 *
 * @param ctx    context
 * @param method "mc", "split" or "auto"
 * @param out    receives the sampler; NULL on error
 * @return ROB_EARGUMENT: no such method
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_sampler_create(rob_ctx *ctx, const char *method,
                                      rob_sampler **out);

/**
 * Set an option of the method; the list is at the top.
 *
 * @param ctx   context
 * @param s     sampler
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: the method has no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_sampler_set(rob_ctx *ctx, rob_sampler *s, const char *name,
                                   double value);

/**
 * Estimate the probability of failing at each radius, for every series.
 *
 * logp (n, radii, 3): log P_i(rho_k), lower end, upper end, at [3 (i radii + k)], n the
 * count of the query. The ball's own radius is not used; its norm must be ROB_NORM_L2.
 * @param ctx      context; progress stage "sample" counts series times radii
 * @param s        sampler
 * @param q        query
 * @param radius   (radii) rho_k, finite and >= 0, in the query's units, in any order
 * @param radii    how many, >= 1
 * @param logp     (n, radii, 3) receives the logarithms; NULL: not wanted
 * @param capacity numbers logp has room for
 * @return ROB_EUNSUPPORTED: another norm; ROB_EDOMAIN: a radius; ROB_ESHAPE: capacity
 *         too small, radii < 1; ROB_ENUMERIC: the model's output is not a number;
 *         ROB_STOPPED: cancel or deadline, radii not reached are NaN; as rob_query_get
 *         for the predictions
 * Cost: a series and radius, in forward passes: "mc" `samples`; "split" about
 *       `particles` x `moves` x log(1/p), at most `budget` and one level more.
 * Reference: Guyader, Hengartner & Matzner-Lober, Appl. Math. Optim. 64 (2011).
 * Since 0.1.
 */
ROB_API rob_status rob_sampler_curve(rob_ctx *ctx, rob_sampler *s, rob_query *q,
                                     const double *radius, int64_t radii, double *logp,
                                     int64_t capacity);

/**
 * Certify the model smoothed by Gaussian noise: randomised smoothing.
 *
 * g(x) is the class most probable under x + sigma E z, z ~ N(0, I), E the region's mask,
 * scale or subspace. out (n, 3): the class c of g at x_i, or -1: abstained; R_i, in the
 * query's units; and p, the lower end of c's probability. With probability at least
 * `confidence` for each series g is c wherever ||u||_2 < R_i, R_i = sigma Phi^-1(p); 0
 * where p <= 1/2, the abstention. About the smoothed model, not the model itself; for
 * any model, callbacks too. A twentieth of `samples` (at least 100) more choose c.
 * @param ctx      context; progress stage "smooth" counts draws of a series
 * @param s        sampler, "mc" or "auto"; its samples, confidence, precision and seed
 * @param q        query about classes; its norm must be ROB_NORM_L2
 * @param sigma    standard deviation, > 0, in the query's units
 * @param out      (n, 3) receives the answers
 * @param capacity numbers out has room for
 * @return ROB_EDOMAIN: sigma; ROB_EUNSUPPORTED: another norm, rows of one's own, or
 *         method "split"; ROB_ESHAPE: capacity too small; ROB_ENUMERIC: an output is not
 *         a number; ROB_STOPPED: series not reached have -1, 0, NaN
 * Cost: 1.05 x `samples` forward passes a series. Reference: Cohen, Rosenfeld & Kolter,
 * ICML 2019. Since 0.1.
 */
ROB_API rob_status rob_sampler_smooth(rob_ctx *ctx, const rob_sampler *s, rob_query *q,
                                      double sigma, double *out, int64_t capacity);

/**
 * Read an answer of the last curve by name: one number for each radius.
 *
 * "radius" as asked; "logp", "lower", "upper" as answered; "samples" directions drawn
 * ("split": particles); "hits" of them that failed ("split": of the last level's);
 * "levels" passed by "split"; "calls" margins computed for this radius; "method" 0
 * exact, 1 counted, 2 split, -1 not reached.
 * @param ctx      context
 * @param s        sampler
 * @param what     one of the names
 * @param i        series: (radii) numbers; -1: every series, (n, radii)
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name or series
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_sampler_get(rob_ctx *ctx, const rob_sampler *s, const char *what,
                                   int64_t i, double *out, int64_t capacity,
                                   int64_t *count);

/**
 * Free a sampler.
 *
 * @param s sampler; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_sampler_free(rob_sampler *s);

#ifdef __cplusplus
}
#endif
#endif
