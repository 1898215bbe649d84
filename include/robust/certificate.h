/* certificate.h -- proofs that can be written down and proved again.
 *
 * A certificate says: for the series x, on the region around it, every group of rows of
 * the specification has one with C f + b >= margin > 0, in real arithmetic with the
 * stored weights; and it says why: ranges of the network's values, planes between which
 * each of its nonlinear operators lies on them, and how far back each row has to go; of each
 * part on its own where the region is cut. Who
 * believes neither the search nor the machine it ran on checks it: rob_certificate_check
 * shares no line with the search but the outward rounded functions of src/fp and the
 * rules of the operator table, and proves every range and plane again. A certificate
 * that passes is a proof, whoever wrote it. docs/theory/certificate.md has the argument
 * and the file's bytes.
 *
 * Written and checked is every model that rob_bound takes: Elman networks, LSTMs, GRUs and
 * encoders with everything their recipes allow, and what graphs have of products, tanh,
 * sigmoid, relu, gelu, max, gates, softmax, log-sum-exp and norms; other nonlinear operators
 * count by their ranges alone.
 *
 * What holds for all functions. A certificate is used by one thread at a time, by any.
 * ctx NULL: ROB_EARGUMENT; NULL handles: ROB_EARGUMENT; no memory: ROB_EMEMORY. On error
 * a constructor's *out is NULL and everything else as it was. ROB_STOPPED (cancel or
 * deadline): nothing was proved, *out is NULL.
 */
#ifndef ROBUST_CERTIFICATE_H
#define ROBUST_CERTIFICATE_H
#include <robust/bound.h>
#ifdef __cplusplus
extern "C" {
#endif

/** A statement and its reasons; opaque. */
typedef struct rob_certificate rob_certificate;

/**
 * Prove one series of a query once more, and keep why.
 *
 * @param ctx    context
 * @param b      bound; "crown", "alpha" and "auto" all go the way of "crown", "interval" its own; "branch"
 *               that of "crown", and where that proves nothing cuts the region at numbers of
 *               x into at most `branches` parts within `seconds`; `steps` and `joint` are
 *               heeded
 * @param q      query; its norm, units, region and specification are stated
 * @param i      series, counted from 0
 * @param radius of the ball, in the units of the query, finite; an answer of
 *               rob_bound_radius may need a little less (some hundredths), since affine forms
 *               do not count here and all is given away by some 1e-9 for the checker
 * @param out    receives the certificate; NULL on error
 * @return ROB_EDOMAIN: no positive margin is proved at that radius; ROB_EUNSUPPORTED: a
 *         model or region that certificates have no words for, or method "zonotope"; else
 *         as rob_bound_margin
 * Cost: about four sweeps of every range. Since 0.1.
 */
ROB_API rob_status rob_certificate_create(rob_ctx *ctx, const rob_bound *b, rob_query *q,
                                          int64_t i, double radius,
                                          rob_certificate **out);

/**
 * Read a certificate; nothing in it is believed yet.
 *
 * @param ctx  context
 * @param path file
 * @param out  receives the certificate; NULL on error
 * @return ROB_EIO: cannot be read; ROB_EFORMAT: none, damaged, or cut
 * Cost: the file's bytes. Since 0.1.
 */
ROB_API rob_status rob_certificate_load(rob_ctx *ctx, const char *path,
                                        rob_certificate **out);

/**
 * Write a certificate.
 *
 * @param ctx  context
 * @param c    certificate
 * @param path file; replaced once the new one is whole
 * @return ROB_EIO: cannot be written
 * Cost: 16 bytes a range, 16 (k + 1) a gate of k arguments, and for a gate of two whose
 * octagon is claimed about 48 more and its rows, for each step. Since 0.1.
 */
ROB_API rob_status rob_certificate_save(rob_ctx *ctx, const rob_certificate *c,
                                        const char *path);

/**
 * Prove all that a certificate says, for this model.
 *
 * Guarantee: ROB_OK means that the statement is true of the model in real arithmetic,
 * given IEEE 754 double precision; the file's writer is not trusted in anything.
 * @param ctx   context; progress stage "check" counts values of the network
 * @param c     certificate
 * @param model the model
 * @return ROB_EDOMAIN: refused; the error line says which claim does not follow, or that
 *         it speaks of another network; ROB_EUNSUPPORTED: the model has an operator that
 *         the checker has no rule for
 * Cost: one thread; that of the bound's rows, as far back as they were needed. Since 0.1.
 */
ROB_API rob_status rob_certificate_check(rob_ctx *ctx, rob_certificate *c,
                                         const rob_model *model);

/**
 * Read what a certificate says by name.
 *
 * "margin" claimed; "radius", in the units of the series; "norm" ROB_NORM_...; "steps",
 * "features", "outputs", "rows", "claims" counts, "parts" that the region is cut into; "series" x (steps, features);
 * "coefficients" C (rows, outputs), "constants" b and "groups" (rows); "scale", "low",
 * "high" (steps, features) and "budgets" (steps) of the region, nothing where not stated.
 * After a check that passed: "proved" the margin it found, "seconds" it took, "planes",
 * "ranges" and "swept" how many of them it proved and rows it moved; else nothing.
 * @param ctx      context
 * @param c        certificate
 * @param what     one of the names
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_certificate_get(rob_ctx *ctx, const rob_certificate *c,
                                       const char *what, double *out, int64_t capacity,
                                       int64_t *count);

/**
 * Free a certificate.
 *
 * @param c certificate; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_certificate_free(rob_certificate *c);

#ifdef __cplusplus
}
#endif
#endif
