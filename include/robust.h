/* robust.h -- librobust: how robust is this sequence model?
 *
 * A classifier reads a sequence and answers. How far may the sequence move before the answer
 * changes? An attack finds a nearby sequence with another answer: the distance is at most
 * this. A bound proves that no nearer one exists: the distance is at least that.
 *
 * In teaching order:
 *   status.h   what a call answers
 *   ctx.h      the context: errors, memory, threads, cancel; what holds for all functions
 *   tape.h     differentiable programs over tensors, and their derivatives to any order
 *   model.h    a sequence model: described, loaded, asked
 *   data.h     labelled sequences: read, simulated, split
 *   trainer.h  fits a model
 *   query.h    the question: a model, sequences, a specification, a region
 *   attack.h   upper bounds on the distance, each with a point that proves it
 *   diagnosis.h  whether attacks by gradients can be trusted on a model
 *   bound.h    certified lower bounds
 *   certificate.h  the same written down and proved again
 *   sampler.h  how probable a failure is under random perturbations
 *   boundary.h nearest boundary point, normal, curvatures, local estimates
 *   condition.h  condition numbers, by step, feature, weights
 *   spectrum.h extreme eigenvalues of the input Hessian
 *   report.h   all of it on one page
 *
 * Linking: `pkg-config --cflags --libs robust`.
 */
#ifndef ROBUST_H
#define ROBUST_H

#include <robust/status.h>
#include <robust/ctx.h>
#include <robust/tape.h>
#include <robust/model.h>
#include <robust/data.h>
#include <robust/trainer.h>
#include <robust/query.h>
#include <robust/attack.h>
#include <robust/diagnosis.h>
#include <robust/bound.h>
#include <robust/certificate.h>
#include <robust/sampler.h>
#include <robust/boundary.h>
#include <robust/condition.h>
#include <robust/spectrum.h>
#include <robust/report.h>

#endif
