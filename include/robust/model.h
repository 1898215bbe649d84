/* model.h -- a sequence model: which function, with which weights.
 *
 * A model is f : (T, D) -> L logits or forecasts for series of any length T: an Elman
 * network, an LSTM or a GRU of one or more layers in one or two directions; a head of
 * one or more layers on the last state, the mean, the maximum or every step; in front an
 * affine map (x - shift) / scale, a convolution and norms if wanted. What weights do not
 * say is written in a recipe, one line of words such as
 *
 *     lstm readout=last head=fc classes=normal,abnormal input=(x-0.1)/0.7
 *     rnn nonlinearity=relu layers=2 features=1 hidden=32 outputs=3 readout=mean
 *
 * docs/recipe.md has the grammar, docs/theory/model.md the equations and what is exact.
 *
 * What holds for all functions. A model never changes: it is shared by any number of
 * threads, each with its own ctx, and is freed when the last reference goes. It keeps
 * the allocator of the ctx it was made with, which must outlive it. ctx, handle, array
 * or name NULL where one is needed: ROB_EARGUMENT. No memory: ROB_EMEMORY. On error
 * outputs are as they were, a constructor's *out is NULL, and rob_ctx_error(ctx) says
 * in one line what was wrong. ctx is the caller's thread's context.
 */
#ifndef ROBUST_MODEL_H
#define ROBUST_MODEL_H
#include <robust/ctx.h>
#include <robust/tape.h>
#ifdef __cplusplus
extern "C" {
#endif

/** A model; opaque, immutable, counted. */
typedef struct rob_model rob_model;

/**
 * Load a model from a safetensors or an ONNX file, recognised by content.
 *
 * Safetensors. Tensors carry PyTorch's names (PREFIX.weight_ih_l0 ..., PREFIX.weight, PREFIX.bias)
 * and gate order; float32, float64, float16 and bfloat16 are read, the latter two
 * widened to float32, which is exact. Layers, features, hidden size, outputs and the
 * two prefixes are inferred from the tensors and checked against what the recipe says.
 * If the file holds tensors "robust.check.x" and "robust.check.y", series and their
 * logits, f is evaluated on them and must agree within 1e-5 (y float32) or 1e-10 (y
 * float64) of the largest logit: so a recipe that belongs to another network is
 * refused.
 *
 * ONNX, opset 6 to 25. The file says what is computed, the recipe which axis of its one
 * input is which: "onnx layout=btd" (series, steps, features), with input=, classes=,
 * output=. Open dims take any value; a fixed number of steps is the model's (see
 * rob_model_shape). RNN, LSTM and GRU become the layers a recipe's are, with the same
 * certificates. docs/recipe.md lists the operators. Numbers in other files, subgraphs and
 * operators of other domains are refused, a node that is not read by operator, name and
 * opset; and so is a file in which a series' outputs change with the series beside it.
 * Series of one query must have one length.
 *
 * @param ctx    context
 * @param path   the file
 * @param recipe recipe, or NULL: the one in the file's metadata "robust.recipe"
 * @param out    receives the model; NULL on error
 * @return ROB_EIO: the file cannot be read. ROB_EFORMAT: it is no such file, cut short,
 *         lacks a tensor or has one too many (named), has a number that is not finite,
 *         does not fit the recipe, or disagrees with its witness; without any recipe
 *         the line lists what was inferred and what to write. ROB_EARGUMENT: a word of
 *         the recipe is not understood. ROB_EUNSUPPORTED: projections, other
 *         number types
 * Cost: reads the file once, each tensor straight into its place, so the peak is the
 * weights' own memory, with a witness too (1.02 times 100 MB were seen). An ONNX file is read whole; its nodes are written
 * out once at load, at 16 steps where steps are open, and two series are evaluated.
 * Reference: the safetensors format 0.4; ONNX 1.18. Since 0.1.
 */
ROB_API rob_status rob_model_load(rob_ctx *ctx, const char *path, const char *recipe,
                                  rob_model **out);

/**
 * Load a model from a safetensors or ONNX file in memory.
 *
 * As rob_model_load; the bytes are not needed afterwards.
 * @param ctx    context
 * @param bytes  the file's bytes; any alignment
 * @param count  how many, >= 0
 * @param recipe recipe, or NULL: the one in the metadata
 * @param out    receives the model; NULL on error
 * @return as rob_model_load, without ROB_EIO
 * Cost: copies the weights. Since 0.1.
 */
ROB_API rob_status rob_model_load_bytes(rob_ctx *ctx, const void *bytes, int64_t count,
                                        const char *recipe, rob_model **out);

/**
 * Make a model with random weights, the start of training.
 *
 * Weights and biases are uniform on (-1/sqrt(n), 1/sqrt(n)), n the hidden size, for
 * heads and convolutions the numbers that go in, as PyTorch starts them; norms, scales
 * and first states change nothing. The same seed and recipe give the same bits.
 * @param ctx    context; its seed is used
 * @param recipe must say features=, hidden= and outputs=, with conv= also channels=
 *               and kernel= ; layers=1, dtype=f32 unless said
 * @param out    receives the model; NULL on error
 * @return ROB_EARGUMENT: a word is missing or not understood. ROB_ESHAPE: too large, or
 *         not as many classes as outputs
 * Cost: one random number a weight. Since 0.1.
 */
ROB_API rob_status rob_model_create(rob_ctx *ctx, const char *recipe, rob_model **out);

/**
 * Make a model of a recorded program y = F(x): every query, attack, bound and sampler
 * then works on it.
 *
 * The part of the tape that y depends on is copied; inputs other than x are frozen at
 * the values set last. Derivatives are taken anew, so y should not be one unless meant.
 * A batch of B series is B / R copies of the program, so a program recorded for R > 1
 * series costs less in attacks.
 *
 * @param ctx context
 * @param t   tape; may grow or be freed afterwards
 * @param x   an input of shape (T, D) or (T, R, D): one series or R at once, time-major
 * @param y   variable of L numbers, the logits; with R series (R, L), row r of which
 *            depends on series r alone
 * @param out receives the model, which takes series of exactly T steps; NULL on error
 * @return ROB_ESHAPE: x or y has another shape. ROB_EARGUMENT: x is no input, or row 0
 *         of y was seen to change with another series
 * Cost: copies the program; with R > 1 two runs. Since 0.1.
 */
ROB_API rob_status rob_model_from_tape(rob_ctx *ctx, const rob_tape *t, rob_var x,
                                       rob_var y, rob_model **out);

/**
 * Logits of R series of one length: logits (R, L) = f(x_r), x (R, T, D).
 *
 * Called on the thread that made the public call, never on two at once for one call of
 * the library; a model shared by threads may be called by each of them. 0: success;
 * anything else ends the call with ROB_ECALLBACK. It may call rob_ctx_cancel.
 */
typedef int32_t (*rob_model_logits)(void *user, const double *x, int64_t rows,
                                    int64_t steps, double *logits);

/**
 * Gradients: grad (R, T, D) = d (sum_k s_rk f_k(x_r)) / d x_r, seed s (R, L). As above.
 */
typedef int32_t (*rob_model_pullback)(void *user, const double *x, const double *seed,
                                      int64_t rows, int64_t steps, double *grad);

/**
 * Make a model of two functions, so that any inference engine can be attacked and
 * sampled.
 *
 * Attacks that use gradients need `pullback`; "boundary" and "hopskipjump" need the
 * answer alone, and so do samplers and predictions. What needs to know how f computes
 * (bounds, second derivatives, training, saving) answers ROB_EUNSUPPORTED. The logits
 * are taken as they come, float32 or float64; points are judged at x and, for float32,
 * at x rounded to it.
 * @param ctx      context
 * @param features D, numbers a step
 * @param outputs  L, number of logits
 * @param logits   f
 * @param pullback its gradients; NULL: none
 * @param user     handed to both; must outlive the model and every query on it
 * @param out      receives the model, of series of any length; NULL on error
 * @return ROB_ESHAPE: features or outputs below 1
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_model_from_callback(rob_ctx *ctx, int64_t features,
                                           int64_t outputs, rob_model_logits logits,
                                           rob_model_pullback pullback, void *user,
                                           rob_model **out);

/**
 * Put prices in front of a model of returns.
 *
 * "returns": series are prices (T+1, D), the model sees log(p_t/p_{t-1})/scale, t = 1 ..
 * T. "candles": series are (log open, upper wick, lower wick, log close) (T+1, 4), high =
 * max(open, close) + upper, low = min(open, close) - lower in logarithms; the model sees,
 * over scale, 1 feature: log(c_t/c_{t-1}); 2: that and log(high_t/low_t); or 4: open,
 * high, low and close relative to the close before. Then low <= open, close <= high and
 * prices > 0 exactly where both wicks are >= 0: rob_query_set_box with low = (-INFINITY,
 * 0, 0, -INFINITY) keeps every attacked series a possible one, and bounds use it. With
 * "returns" a box with low > 0 keeps prices positive. Perturbations of log prices are
 * relative changes.
 * @param ctx   context
 * @param model the model behind; kept
 * @param front "returns" or "candles"
 * @param scale what returns are divided by, > 0: frozen, a volatility of the past
 * @param out   receives the new model, of one step more; NULL on error
 * @return ROB_EARGUMENT: no such front. ROB_EDOMAIN: scale. ROB_ESHAPE: candles do not
 *         give that many features. ROB_EUNSUPPORTED: the model is a callback
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_model_with_front(rob_ctx *ctx, const rob_model *model,
                                        const char *front, double scale,
                                        rob_model **out);

/**
 * Save a model as safetensors: weights, recipe, and a witness made here.
 *
 * The file loads without a recipe, here and (the tensors) in PyTorch. Weights keep
 * names, type and bits. An existing file is replaced only when the new one is whole.
 * A path that ends in ".onnx" gets an ONNX file, opset 17, of a recurrent recipe: input x
 * (time, batch, D), both open, output y (batch, L), the input map part of the graph, so
 * that what is loaded from it is in the data's units.
 * @param ctx   context
 * @param model model
 * @param path  where
 * @return ROB_EIO: cannot be written; the old file is as it was. ROB_EUNSUPPORTED: a
 *         model from a tape, a callback or ONNX; for .onnx also a recipe with scale=,
 *         convolution, norms, first states, readout=every or gelu
 * Cost: writes the weights; evaluates two series of 16 steps. Since 0.1.
 */
ROB_API rob_status rob_model_save(rob_ctx *ctx, const rob_model *model,
                                  const char *path);

/**
 * Ask what goes in and what comes out.
 *
 * @param ctx      context
 * @param model    model
 * @param steps    receives the number of steps it needs, 0: any; or NULL
 * @param features receives D, numbers a step; or NULL
 * @param outputs  receives L, number of logits; or NULL
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_model_shape(rob_ctx *ctx, const rob_model *model, int64_t *steps,
                                   int64_t *features, int64_t *outputs);

/**
 * Evaluate the logits of one series, y = f(x).
 *
 * In float64 whatever the type of the weights, which embed exactly; so this is the
 * function that bounds speak of, up to rounding.
 * @param ctx      context
 * @param model    model
 * @param x        (steps, D) numbers, time-major, in the series' own units; finite
 * @param steps    T >= 1
 * @param y        receives L logits
 * @param capacity numbers y has room for, >= L
 * @return ROB_ESHAPE: steps < 1 or capacity too small. ROB_EDOMAIN: x is not finite
 * Cost: 2 T G H (D + H) operations a layer, G = 1, 4, 3 gates; builds a program first,
 * so for many series a query is faster. Reference: docs/theory/model.md. Since 0.1.
 */
ROB_API rob_status rob_model_predict(rob_ctx *ctx, const rob_model *model,
                                     const double *x, int64_t steps, double *y,
                                     int64_t capacity);

/**
 * Describe a model in words: its full recipe, then a line for each tensor with its
 * shape, then the number of parameters.
 *
 * @param ctx      context
 * @param model    model
 * @param text     receives the text with a final zero; NULL only asks
 * @param capacity characters text has room for
 * @param count    receives how many there are, final zero included; or NULL
 * @return ROB_ESHAPE: capacity is too small
 * Cost: the text. Since 0.1.
 */
ROB_API rob_status rob_model_describe(rob_ctx *ctx, const rob_model *model, char *text,
                                      int64_t capacity, int64_t *count);

/**
 * Copy a tensor out of a model.
 *
 * @param ctx      context
 * @param model    model
 * @param name     such as "lstm.weight_ih_l0" or "fc.bias"; rob_model_describe lists
 *                 them
 * @param out      receives the numbers, row-major; NULL only asks
 * @param capacity numbers out has room for
 * @param count    receives how many there are; or NULL
 * @return ROB_EARGUMENT: no such tensor. ROB_ESHAPE: capacity is too small
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_model_get(rob_ctx *ctx, const rob_model *model, const char *name,
                                 double *out, int64_t capacity, int64_t *count);

/**
 * Make a new model in which one tensor is another; the rest is shared with the old.
 *
 * @param ctx    context
 * @param model  model; unchanged
 * @param name   tensor to replace
 * @param values its new numbers, row-major; rounded to the model's type
 * @param count  how many; the tensor's size
 * @param out    receives the new model; NULL on error
 * @return ROB_EARGUMENT: no such tensor. ROB_ESHAPE: another size. ROB_EDOMAIN: a
 *         number is not finite in the model's type
 * Cost: a copy of this tensor. Since 0.1.
 */
ROB_API rob_status rob_model_with(rob_ctx *ctx, const rob_model *model,
                                  const char *name, const double *values, int64_t count,
                                  rob_model **out);

/**
 * Take one more reference, to be given back by rob_model_free.
 *
 * @param model model, or NULL
 * @return model
 * Any thread, no lock. Cost: one atomic addition. Since 0.1.
 */
ROB_API rob_model *rob_model_ref(rob_model *model);

/**
 * Give a reference back; the last one frees the model.
 *
 * @param model model, or NULL: nothing happens
 * Any thread, any order, no lock. Cost: one atomic subtraction. Since 0.1.
 */
ROB_API void rob_model_free(rob_model *model);

#ifdef __cplusplus
}
#endif
#endif
