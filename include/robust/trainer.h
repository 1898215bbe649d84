/* trainer.h -- fits a model to labelled series, or a forecast to real-valued targets.
 *
 * Mean cross-entropy plus penalties, minimised by Adam (Kingma & Ba 2015) on
 * mini-batches, with decoupled weight decay (Loshchilov & Hutter 2019), clipping of the
 * gradient's norm, and early stopping. All tensors of the model are fitted. Series may
 * differ in length.
 *
 * A forecast (recipe task=forecast) is fitted to the series' targets y by mean squared
 * error. Its loss is in standard units: with m_k the mean of target k over the training
 * set and s^2 the mean of (y_k - m_k)^2 over series and outputs,
 *     loss = mean_k ((f_k(x) - y_k)/s)^2,
 * the share of the targets' variance that is left: 1 for the forecast f = m. Penalties
 * and the norm of a gradient are those of (f - m)/s too, so that no option depends on
 * the units of the targets. A start whose loss is above that of the network with
 * s W z + m + s b in place of its last layer W z + b begins as that: so a new model
 * begins near the targets, however large, and a fitted one goes on.
 *
 * Options by name, with defaults:
 *   epochs 60    passes over the data, at most
 *   rate 0.01    learning rate at the start; falls by cosine to a twentieth at `epochs`
 *   batch 32     series of one step
 *   patience 20  epochs without a better one before stopping
 *   decay 0      weight decay
 *   clip 1       largest norm of a gradient; 0: none
 * and for robustness, all off at 0. With u = (x - shift)/scale the series in model
 * units, J the Jacobian of the L outputs in its n = T D numbers, v and e uniform on the
 * unit spheres of R^L and R^n:
 *   jacobian 0     lambda of  lambda/2 mean ||J||_F^2 = lambda/2 mean L E ||J'v||^2
 *                  (Hoffman et al. 2019)
 *   hessian 0      lambda of  lambda/2 mean sum_c ||Hess f_c||_F^2
 *                  = lambda/2 mean L n E ||Hess(v.f) e||^2
 *   projections 1  random products a series and step, averaged: unbiased at any number
 *   exact 0        1: the norms themselves, L products for jacobian, L n for hessian
 *   share 1        of the series, drawn anew for each step, that both penalties see,
 *                  weighted 1/share: unbiased, and only they cost
 *   noise 0        standard deviation of normal noise added to the series of a step
 *   adversarial 0  radius of the ball in which each series of a step is moved up its
 *                  loss, with the weights of the moment (Madry et al. 2018); noise, if
 *                  any, comes before, and penalties are taken where the series then is
 *   adversarial_norm 2    ROB_NORM_L2 or ROB_NORM_LINF
 *   adversarial_steps 10  gradients of an ascent, each 2.5 radius/steps long
 *   certified 0    radius rho of certified training: weight times the loss that interval
 *                  bounds leave when every number moves by at most rho is added (Gowal et
 *                  al. 2018; of a forecast, the largest square). The boxes are around the
 *                  points trained at: with adversarial = R - rho in ROB_NORM_LINF they are
 *                  the small boxes of Mueller et al. 2023 for a radius R
 *   certified_weight 1    that weight
 *   certified_ramp 0.5    share of `epochs` in which the boxes grow to their size
 * f of a penalty is (f - m)/s of a forecast.
 * noise, adversarial and certified are in model units. Validation is on the series as they are.
 *
 * What holds for all functions. A trainer keeps its options and the curves of its last
 * run; one thread at a time. The same seed, data, build and instruction set give the
 * same bits, with any number of worker threads. ctx NULL: ROB_EARGUMENT; NULL handles:
 * ROB_EARGUMENT; no memory: ROB_EMEMORY. docs/theory/train.md has the formulas.
 */
#ifndef ROBUST_TRAINER_H
#define ROBUST_TRAINER_H
#include <robust/model.h>
#include <robust/data.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Options and curves; opaque. */
typedef struct rob_trainer rob_trainer;

/**
 * Make a trainer with the default options.
 *
 * @param ctx context
 * @param out receives the trainer; NULL on error
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_trainer_create(rob_ctx *ctx, rob_trainer **out);

/**
 * Set an option; the list is at the top.
 *
 * @param ctx   context
 * @param t     trainer
 * @param name  the option
 * @param value its value; the error line says what is allowed
 * @return ROB_EARGUMENT: no such option; ROB_EDOMAIN: value out of range
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_trainer_set(rob_ctx *ctx, rob_trainer *t, const char *name,
                                   double value);

/**
 * Fit a model, starting from the weights of another.
 *
 * Kept are the weights of the best epoch: highest accuracy on valid, then lowest loss
 * on valid, of a forecast that alone; without valid, lowest loss on train, penalties included.
 * Of certified training, after the ramp, the lowest loss on valid with the part of intervals.
 * @param ctx   context; its seed orders the batches; progress stage "train" counts
 *        epochs
 * @param t     trainer
 * @param model start: recipe and weights; stays as it is
 * @param train series with labels 0 .. L-1; for a forecast with L targets each
 * @param valid the same, for early stopping; NULL: none
 * @param out   receives a new model; NULL on error
 * @return ROB_STOPPED: cancelled or past the deadline; *out has the best epoch so far
 *         (the start when there was none). ROB_ESHAPE: no series, or features differ;
 *         ROB_EARGUMENT: a label the model does not know, or adversarial_norm is none
 *         of the two; ROB_ESHAPE: not L targets; ROB_EDOMAIN: a target above 1e150;
 *         ROB_ENUMERIC: the gradient is not finite
 * Cost: epochs x (gradients of train + forward passes of valid); jacobian adds about
 * two gradients a product, hessian four, adversarial adversarial_steps, certified two to
 * four.
 * Since 0.1.
 */
ROB_API rob_status rob_trainer_run(rob_ctx *ctx, rob_trainer *t, const rob_model *model,
                                   const rob_data *train, const rob_data *valid,
                                   rob_model **out);

/**
 * Read the curves of the last run by name.
 *
 * "loss", "accuracy" of the training batches as they were met, "valid_loss",
 * "valid_accuracy" after the epoch (NaN without a validation set), "penalty" the share
 * of the penalties and of certified training in "loss", "certified" the share of series
 * that intervals prove at the radius (of valid; without it, of the batches as they were met)
 * and "certified_loss" the weighted loss they leave on valid, NaN where not trained for: one
 * number an epoch; accuracies and shares of a forecast are NaN.
 * "best_epoch": the one whose weights were kept, from 0; -1: none.
 * Of a forecast, one number each, of a classifier none: "spread": s above. What needs no
 * network has on valid (without it, on train) "mean_loss": f = m; "last_loss": the last
 * value of the series again, of feature k where there are as many features as outputs,
 * else of the first; "zero_loss": f = 0, no return for prices.
 * @param ctx      context
 * @param t        trainer
 * @param what     one of the names
 * @param out      receives the numbers; NULL: only count
 * @param capacity numbers out has room for
 * @param count    receives how many there are; NULL: not wanted
 * @return ROB_ESHAPE: capacity too small; ROB_EARGUMENT: no such name
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_trainer_get(rob_ctx *ctx, const rob_trainer *t, const char *what,
                                   double *out, int64_t capacity, int64_t *count);

/**
 * Free a trainer.
 *
 * @param t trainer; NULL is fine. No ctx is needed and any thread will do
 * Cost: frees. Since 0.1.
 */
ROB_API void rob_trainer_free(rob_trainer *t);

#ifdef __cplusplus
}
#endif
#endif
