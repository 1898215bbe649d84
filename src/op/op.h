/* op.h -- the operator table: one operator, one file, one constant.
 *
 * src/op/list.h names every operator once. Each src/op/NAME.c defines
 *     const rob_op rob_priv_op_NAME = { ... };
 * and, inside `#ifdef ROB_KERNEL`, its evaluation, compiled once per precision and
 * instruction set from the same lines (la/vec.h).
 *
 * Derivative rules emit nodes; they never compute. Bound rules compute with the outward
 * rounded arithmetic of src/fp only, in double, and hold for real arithmetic.
 */
#ifndef ROB_OP_H
#define ROB_OP_H

#include "graph/graph.h"
#include "graph/operator.h"
#include "op/build.h"

/* ---- the list ------------------------------------------------------------------------ */
#define OP(name) ROB_OP_##name,
typedef enum rob_op_id {
#include "op/list.h"
    ROB_OP_COUNT
} rob_op_id;
#undef OP
#define OP(name) extern const rob_op rob_priv_op_##name;
#include "op/list.h"
#undef OP

const rob_op *rob_priv_op_by_name(const char *name);      /* NULL: no such operator */
const rob_op *rob_priv_op_by_id(int32_t id);

/* ---- evaluation ------------------------------------------------------------------------ */

/* Where a value lives: rows x cols elements of the plan's precision, `ld` elements from a
 * row to the next. Contiguous when ld == cols. ld = 0: one row seen `rows` times. still:
 * the first element of a row is all of it (inputs of element-wise kernels only). */
typedef struct rob_view { void *at; int64_t rows, cols, ld; const void *packed; int32_t still; } rob_view;

/* y = op(in). Element-wise kernels see equal rows/cols on every operand; others see their
 * shapes through `shape` (inputs) and n->shape (output 0). Output may alias no input
 * except in element-wise kernels. in[1].packed (matmul): the operand packed by la. */
typedef void rob_eval(const rob_node *n, const rob_shape *shape, const rob_view *in, const rob_view *out);

/* Kernels by dtype (0: f32, 1: f64), ISA and operator id; NULL where run handles the
 * operator itself (input, constant, fill, split, pick, reshape, expand, scan). */
rob_eval *rob_priv_kernel(int32_t dtype, int32_t isa, int32_t op);

#endif
