/* diff.h -- derivatives of graphs as graphs, to any order, and their intervals. */
#ifndef ROB_DIFF_H
#define ROB_DIFF_H

#include "op/op.h"

/* dx[j] = sum_i (d y_i / d x_j)' dy_i, shape of x_j; ROB_NONE where y does not depend on
 * x_j. dy[i] ROB_NONE: skip. Failures are latched in g. */
void rob_priv_vjp(rob_graph *g, const rob_id *y, const rob_id *dy, int32_t ys,
                  const rob_id *x, int32_t xs, rob_id *dx);
/* dy[i] = sum_j (d y_i / d x_j) dx_j; ROB_NONE where zero. */
void rob_priv_jvp(rob_graph *g, const rob_id *x, const rob_id *dx, int32_t xs,
                  const rob_id *y, int32_t ys, rob_id *dy);
/* gradient of the scalar (size 1) y with respect to x; zeros where independent. */
rob_id rob_priv_gradient(rob_graph *g, rob_id y, rob_id x);
/* Interval bounds as nodes: y_i in [ylo_i, yup_i] for all x_j in [lo_j, up_j], as far as the
 * evaluation's rounding lets it; ROB_NONE where y does not depend on x. x_j ROB_NONE: skip. */
void rob_priv_enclose(rob_graph *g, const rob_id *x, const rob_id *lo, const rob_id *up,
                      int32_t xs, const rob_id *y, int32_t ys, rob_id *ylo, rob_id *yup);

#endif
