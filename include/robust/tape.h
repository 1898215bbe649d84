/* tape.h -- differentiable programs over tensors: record, differentiate, replay.
 *
 * A tape is a program as data. Operators are applied by name to variables and give new
 * variables; a derivative is a program on the same tape, so it can be differentiated
 * again, to any order. Nothing is computed before rob_tape_run, which computes the
 * variables asked for, at the inputs set last. The first run with a set of variables
 * plans memory; later runs with the same set allocate nothing.
 *
 * Shapes are static: rank 0 to 4, row-major, every dimension at least 1. Element-wise
 * operators of two or three operands broadcast as numpy does. Equal expressions are
 * recorded once: applying an operator twice to the same operands may answer the same
 * variable. Zeros and ones are folded; 0 * x is 0 even where x is not finite.
 *
 * Operators (x, y, ... are the operands; numbers in braces go to rob_tape_apply_with):
 *   element-wise, one operand   neg abs sign step relu square sqrt rsqrt reciprocal
 *                               exp log tanh sigmoid softplus erf;
 *                               affine {scale, shift}; gelu: x Phi(x), {1}: tanh form
 *   element-wise, more          add sub mul div max; where (m, x, y): x where m is not 0;
 *                               sigtanh: sigmoid(x) tanh(y); sigmul: sigmoid(x) y;
 *                               blend (z, n, h): n + sigmoid(z) (h - n)
 *   sums                        sum, mean: of all elements, or along {axis}, which
 *                               stays with size 1; dot: sum of x y; sum_to {dims}
 *   products                    matmul: last two dimensions, {transpose x, transpose y}
 *                               0 or 1; the second operand may be a vector or a matrix
 *   rows (last axis)            softmax; logsumexp, which leaves size 1; centre:
 *                               x - mean x; rmsnorm {eps}: x (mean x^2 + eps)^(-1/2)
 *   structure                   reshape {dims}, expand {dims}, permute {order},
 *                               transpose (last two), concat {axis},
 *                               slice {axis, first, count}, also called split
 * step is 1 where x > 0, else 0; its derivative and that of sign are 0, and the
 * derivatives of relu and abs at 0 are 0.
 *
 * Threads.  One thread at a time may use a tape; different tapes are independent.
 * Memory.   A tape keeps a copy of the allocator of the context it was made with.
 * Statuses. A call that fails leaves the tape as usable as before. ROB_EARGUMENT also
 *           for a variable that is not of this tape; ROB_EMEMORY also when the context's
 *           memory cap is too small for a plan.
 * Reference: Griewank & Walther, Evaluating Derivatives, 2nd ed., SIAM 2008;
 * docs/theory/operators.md.
 */
#ifndef ROBUST_TAPE_H
#define ROBUST_TAPE_H

#include <robust/ctx.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rob_tape rob_tape;

/** A variable of a tape: meaningful with that tape only. */
typedef int32_t rob_var;

/**
 * Make an empty tape.
 *
 * @param ctx context
 * @param dtype ROB_F32 or ROB_F64: the precision of the arithmetic; arrays stay double
 * @param out the tape; NULL when the call fails
 * @return ROB_OK, ROB_EARGUMENT
 * Cost: two small allocations. Since 0.1.
 */
ROB_API rob_status rob_tape_create(rob_ctx *ctx, int32_t dtype, rob_tape **out);

/**
 * Record an input: a variable whose value rob_tape_set gives. It starts at 0.
 *
 * @param ctx context
 * @param t tape
 * @param shape (rank) dimensions, each at least 1; may be NULL when rank is 0
 * @param rank 0 to 4
 * @param out the variable, always a new one
 * @return ROB_OK, ROB_ESHAPE
 * Cost: memory for the values, in double. Since 0.1.
 */
ROB_API rob_status rob_tape_input(rob_ctx *ctx, rob_tape *t, const int64_t *shape,
                                  int32_t rank, rob_var *out);

/**
 * Record numbers that do not change. They are copied.
 *
 * @param ctx context
 * @param t tape
 * @param values (product of shape) numbers, row-major
 * @param shape (rank) dimensions, each at least 1; may be NULL when rank is 0
 * @param rank 0 to 4
 * @param out the variable
 * @return ROB_OK, ROB_ESHAPE
 * Cost: memory for the values, in double. Since 0.1.
 */
ROB_API rob_status rob_tape_constant(rob_ctx *ctx, rob_tape *t, const double *values,
                                     const int64_t *shape, int32_t rank, rob_var *out);

/**
 * Record an operator without numbers: out = op(in[0], ..., in[count-1]).
 *
 * @param ctx context
 * @param t tape
 * @param op a name of the list at the top
 * @param in (count) operands
 * @param count how many
 * @param out the result; untouched when the call fails
 * @return ROB_OK, ROB_EARGUMENT (no such operator, wrong number of operands or
 *   numbers), ROB_ESHAPE
 * Cost: amortised constant. Since 0.1.
 */
ROB_API rob_status rob_tape_apply(rob_ctx *ctx, rob_tape *t, const char *op,
                                  const rob_var *in, int32_t count, rob_var *out);

/**
 * Record an operator that takes numbers, such as "affine" {scale, shift} or "reshape"
 * {2, 3}.
 *
 * @param ctx context
 * @param t tape
 * @param op a name of the list at the top
 * @param in (count) operands
 * @param count how many
 * @param number (numbers) what the list shows in braces; dims, axes, counts are whole
 * @param numbers how many; 0 with number NULL is allowed where the braces are optional
 * @param out the result; untouched when the call fails
 * @return ROB_OK, ROB_EARGUMENT (as rob_tape_apply; a number that should be whole),
 *   ROB_ESHAPE
 * Cost: amortised constant. Since 0.1.
 */
ROB_API rob_status rob_tape_apply_with(rob_ctx *ctx, rob_tape *t, const char *op,
                                       const rob_var *in, int32_t count,
                                       const double *number, int32_t numbers,
                                       rob_var *out);

/**
 * Record the gradient of a scalar: out_i = dy / dx_i.
 *
 * @param ctx context
 * @param t tape
 * @param y a variable of one element
 * @param x any variable, an input as a rule; where y does not depend on it: zeros
 * @param out the gradient, shape of x
 * @return ROB_OK, ROB_ESHAPE when y has more than one element
 * Cost: records at most a small multiple of the operators between x and y. Since 0.1.
 */
ROB_API rob_status rob_tape_gradient(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x,
                                     rob_var *out);

/**
 * Record a vector-Jacobian product: out_i = sum_j w_j dy_j / dx_i.
 *
 * @param ctx context
 * @param t tape
 * @param y any variable
 * @param x any variable; where y does not depend on it: zeros
 * @param w weights, shape of y; itself a variable, so it may depend on inputs
 * @param out the product, shape of x
 * @return ROB_OK, ROB_ESHAPE
 * Cost: as rob_tape_gradient. Since 0.1.
 */
ROB_API rob_status rob_tape_vjp(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x,
                                rob_var w, rob_var *out);

/**
 * Record a directional derivative: out_j = sum_i dy_j / dx_i v_i.
 *
 * With y a gradient this is a Hessian-vector product; once more, a third-order
 * direction.
 *
 * @param ctx context
 * @param t tape
 * @param y any variable
 * @param x any variable; where y does not depend on it: zeros
 * @param v direction, shape of x
 * @param out the derivative, shape of y
 * @return ROB_OK, ROB_ESHAPE
 * Cost: as rob_tape_gradient. Since 0.1.
 */
ROB_API rob_status rob_tape_jvp(rob_ctx *ctx, rob_tape *t, rob_var y, rob_var x,
                                rob_var v, rob_var *out);

/**
 * Give an input its value for the runs to come.
 *
 * @param ctx context
 * @param t tape
 * @param x a variable made by rob_tape_input
 * @param values (count) numbers, row-major; they are rounded to the tape's precision
 * @param count the number of elements of x
 * @return ROB_OK, ROB_EARGUMENT (x is no input), ROB_ESHAPE (count)
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_tape_set(rob_ctx *ctx, rob_tape *t, rob_var x,
                                const double *values, int64_t count);

/**
 * Compute variables at the inputs set last.
 *
 * Overflow and invalid operations give inf and NaN; they are no errors. The same
 * program, precision and instruction set give the same bits.
 *
 * @param ctx context; its instruction set is used
 * @param t tape
 * @param want (count) variables; the plans of the last few sets are kept
 * @param count at least 1
 * @return ROB_OK, ROB_EMEMORY
 * Cost: the operators that `want` depends on, each once; the first run with a set (or
 * after the tape has grown) also plans and allocates. Since 0.1.
 */
ROB_API rob_status rob_tape_run(rob_ctx *ctx, rob_tape *t, const rob_var *want,
                                int32_t count);

/**
 * Read a variable that the last run computed, or an input.
 *
 * @param ctx context
 * @param t tape
 * @param y one of the variables of the last rob_tape_run, or any input
 * @param out (capacity) the elements, row-major; NULL only asks for count
 * @param capacity room in out; fewer elements than y has is ROB_ESHAPE
 * @param count the number of elements of y; may be NULL
 * @return ROB_OK, ROB_EARGUMENT (not computed by the last run), ROB_ESHAPE
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_tape_get(rob_ctx *ctx, const rob_tape *t, rob_var y, double *out,
                                int64_t capacity, int64_t *count);

/**
 * Free a tape.
 *
 * @param t may be NULL
 * Cost: proportional to its size. Since 0.1.
 */
ROB_API void rob_tape_free(rob_tape *t);

#ifdef __cplusplus
}
#endif
#endif
