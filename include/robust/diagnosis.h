/* diagnosis.h -- can attacks by gradients be trusted on this model?
 *
 * An attack that finds nothing proves nothing; where gradients vanish or mislead it finds
 * nothing for a reason of its own (gradient masking: Athalye, Carlini & Wagner, ICML 2018;
 * Carlini et al., arXiv:1902.06705; Pintor et al., NeurIPS 2022). A diagnosis looks at the
 * series of a query, runs a small battery of attacks on them, and says what is suspicious.
 * A sign is no proof, and the absence of signs is none either.
 *
 * Signs, each with the share of the series that show it, read as "share_NAME":
 *   units      more than `units` of the sigmoids and tanhs that run at x are saturated:
 *              their derivative is below `saturation` of its largest (graphs only)
 *   gradients  the margin's gradient at x in float32 is 0 or below the least normal number,
 *              or its cosine with the one in float64 is below 1/2
 *   loss       the log-odds of the class exceed 87.3: a cross-entropy's gradient, which
 *              carries e^-odds, vanishes in float32. No matter here, where losses go
 *              without that factor, but for attacks of others
 *   descent    along the steepest direction at x the margin rises by more than `rise` of
 *              F(x), on the way to the nearest distance known
 *   steps      pgd with `steps` steps finds nothing nearer than with a quarter of them,
 *              although another attack does: nearer by the factor `nearer`
 *   restarts   the same, and random restarts of pgd are what is nearer
 *   black      an attack without gradients is nearer than the one with, by that factor
 * A sign shown by more than `series` of the series that held at x is a warning.
 *
 * Columns, one number a series looked at, NaN where there is none: "index" which of the
 * query's; "saturated" share of units; "zero" share of numbers that may move with float32
 * gradient 0 or subnormal; "gradient" dual norm of the float64 gradient, per unit of the
 * query; "agreement" cosine of both, "odds" log-odds, "rise" over F(x); distances "few" "many" "restarts" of
 * pgd, "white" "black" of the others, "nearest" known of all; INFINITY: none found. Series
 * that fail at x have index only.
 *
 * Options by name, with defaults:
 *   count 0         series looked at, evenly spread; 0: all
 *   saturation 1e-3, units 0.5, rise 0.05, nearer 0.75, series 0.25   see above
 *   steps 20, restarts 3, radii 6   of pgd
 *   calls 300       of "auto" as white box
 *   queries 500    of the black box
 * Text options: "white", a method with gradients, "auto" by default, "none": the query's
 * best before the call; "black", "hopskipjump" by default, "none": none.
 *
 * What holds for all functions. A diagnosis keeps its options and last answers, may be used
 * on any query, by one thread at a time. ctx NULL: ROB_EARGUMENT; NULL handles:
 * ROB_EARGUMENT; no memory: ROB_EMEMORY. On error outputs and earlier answers are
 * untouched. docs/theory/attack.md, section 11, says why these signs.
 */
#ifndef ROBUST_DIAGNOSIS_H
#define ROBUST_DIAGNOSIS_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Options and the answers of the last run; opaque. */
typedef struct rob_diagnosis rob_diagnosis;

/**
 * Make a diagnosis.
 *
 * @param ctx context
 * @param out receives it; NULL on error
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_diagnosis_create(rob_ctx *ctx, rob_diagnosis **out);

/**
 * Set an option that is a number; the list is at the top.
 *
 * @param ctx   context
 * @param d     diagnosis
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_diagnosis_set(rob_ctx *ctx, rob_diagnosis *d, const char *name,
                                     double value);

/**
 * Name the white or the black box.
 *
 * @param ctx   context
 * @param d     diagnosis
 * @param name  "white" or "black"
 * @param value a method of attack.h for single series, or "none"
 * @return ROB_EARGUMENT: no such option or method
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_diagnosis_set_text(rob_ctx *ctx, rob_diagnosis *d,
                                          const char *name, const char *value);

/**
 * Look at a query's series.
 *
 * The query's ball caps the distances; its "best" keeps what the battery finds.
 * @param ctx context; progress stage "attack" counts series, once an attack
 * @param d   diagnosis
 * @param q   query; not in ROB_NORM_L0
 * @return ROB_STOPPED: answers are of what was done, signs that were not reached are not
 *         shown; ROB_EUNSUPPORTED: ROB_NORM_L0; as rob_attack_distance
 * Cost: a series: radii x steps x (1.25 + restarts) gradients, `calls` more, and `queries`
 *       evaluations; with the defaults at most 810 and 500. Reference: see above. Since 0.1.
 */
ROB_API rob_status rob_diagnosis_run(rob_ctx *ctx, rob_diagnosis *d, rob_query *q);

/**
 * Read an answer by name.
 *
 * @param ctx      context
 * @param d        diagnosis that has run
 * @param what     a column, or "share_" and a sign: one number, NaN: not looked at
 * @param i        number of a series looked at, from 0; -1: all. Ignored for shares
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_EARGUMENT: no such name or series, or it has not run; ROB_ESHAPE: capacity
 *         too small
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_diagnosis_get(rob_ctx *ctx, const rob_diagnosis *d,
                                     const char *what, int64_t i, double *out,
                                     int64_t capacity, int64_t *count);

/**
 * The k-th warning as a sentence.
 *
 * @param d diagnosis
 * @param k from 0
 * @return the text, owned by the diagnosis until its next run; NULL behind the last, or d
 *         NULL
 * Cost: none. Since 0.1.
 */
ROB_API const char *rob_diagnosis_warning(const rob_diagnosis *d, int64_t k);

/**
 * Free a diagnosis.
 *
 * @param d diagnosis; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_diagnosis_free(rob_diagnosis *d);

#ifdef __cplusplus
}
#endif
#endif
