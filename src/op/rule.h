/* rule.h -- what the files of element-wise and structural operators share: shapes, the
 * two derivative rules that follow from partial derivatives, and small questions to ask
 * of a graph while folding. */
#ifndef ROB_RULE_H
#define ROB_RULE_H

#include "op/op.h"

enum { ROB_SMOOTH_EACH = ROB_OP_ELEMENTWISE | ROB_OP_SMOOTH };

/* All inputs of one shape, which is the output's. */
bool rob_priv_shape_each(rob_graph *g, const rob_id *in, int32_t ins,
                         const rob_attr *attr, rob_shape *out);
/* The shape an attribute carries: i[0] rank, i[1..4] dims. false: latched. */
bool rob_priv_shape_of_attr(rob_graph *g, const char *op, const rob_attr *attr,
                            rob_shape *out);

/* Node of d y / d in_i, element by element; ROB_NONE where it is zero. */
typedef rob_id rob_partial(rob_graph *g, rob_id y, int32_t i);
void rob_priv_each_vjp(rob_graph *g, rob_id y, rob_id dy, rob_id *dx,
                       rob_partial *partial);
void rob_priv_each_jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy,
                       rob_partial *partial);

/* static vjp and jvp of a file whose `partial` is static and defined above. */
#define ROB_EACH_RULES                                                                 \
    static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)              \
    {                                                                                  \
        rob_priv_each_vjp(g, y, dy[0], dx, partial);                                   \
    }                                                                                  \
    static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)              \
    {                                                                                  \
        rob_priv_each_jvp(g, y, dx, dy, partial);                                      \
    }

/* Input i of a value; the operator of a value. */
rob_id rob_priv_input_of(const rob_graph *g, rob_id y, int32_t i);
bool rob_priv_is(const rob_graph *g, rob_id y, const rob_op *op);
/* a == scale * inner with a pure scaling node (shift 0). */
bool rob_priv_is_scaled(const rob_graph *g, rob_id a, double *scale, rob_id *inner);
/* fill of value v in the shape of a */
rob_id rob_priv_fill_like(rob_graph *g, rob_id a, double v);
/* 1 - a */
rob_id rob_priv_one_minus(rob_graph *g, rob_id a);

#endif
