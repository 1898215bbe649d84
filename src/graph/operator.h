/* operator.h -- the type of an entry of the operator table.
 *
 * Derivative rules emit nodes; they never compute. Bound rules compute with the outward
 * rounded arithmetic of src/fp only, in double, and hold for real arithmetic.
 */
#ifndef ROB_OPERATOR_H
#define ROB_OPERATOR_H

#include "graph/graph.h"

enum {
    ROB_OP_ELEMENTWISE = 1,   /* output element k depends on element k of the inputs only */
    ROB_OP_VIEW = 2,          /* no arithmetic: the output may alias an input */
    ROB_OP_CHEAP = 4,         /* recomputed rather than stashed by a scan's derivative */
    ROB_OP_AFFINE = 8,        /* affine in all inputs jointly: has `pull` */
    ROB_OP_SMOOTH = 16,       /* twice differentiable everywhere */
    ROB_OP_UNIQUE = 32        /* every node is its own: never hash-consed (input, scan) */
};

/* Numbers [lo, up] for each element of one value: lo <= v <= up in real arithmetic. */
typedef struct rob_range { rob_shape shape; double *lo, *up; } rob_range;

/* Planes for the n elements of an element-wise operator with k inputs:
 *     sum_i slope[i][e] * z_i[e] + offset[e]   below (above) phi(z) on the whole box.
 * touch[i][e]: where the plane meets phi, so d offset / d slope_i = -touch[i].
 * Operators over rows (softmax) add rank one: - left[e] * sum_row(right * z). NULL: none. */
enum { ROB_MAX_INS = 3 };
typedef struct rob_planes {
    int64_t count;
    double *slope[ROB_MAX_INS], *offset, *touch[ROB_MAX_INS];
    double *left, *right;
} rob_planes;

/* Rows of coefficients on one value: row r says  sum_e at[r * cols + e] * v_e + base[r].
 * loss[r] >= 0 collects what rounding may have cost row r (subtracted at the end). */
typedef struct rob_rows { int64_t rows, cols; double *at; } rob_rows;

/* Centre model of an element-wise operator with k inputs on a box, z = point - centre:
 *     |phi - value - grad.z - 1/2 z' H z|  <=  1/2 sum_i rho_i z_i^2 + slack
 * for every point of the box. H symmetric, its upper triangle row by row in hess: (00), or
 * (00 01 11), or (00 01 02 11 12 22). slack: what rounding of value, grad, H can cost. */
typedef struct rob_curve {
    int64_t count;
    double *value, *grad[ROB_MAX_INS], *hess[6], *rho[ROB_MAX_INS], *slack;
} rob_curve;

struct rob_op {
    const char *name;
    int32_t id;               /* position in list.h; index of the kernel tables */
    int32_t ins;              /* number of inputs; -1 any */
    uint32_t kind;
    /* Output shape (every output for split: use shape_k). Latch an error in g and return
     * false when the inputs do not fit. `in` are value ids. */
    bool (*shape)(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr, rob_shape *out);
    /* Number of outputs when it is not 1 (split). NULL: one. */
    int32_t (*outs)(const rob_attr *attr);
    /* An equal, simpler value, or ROB_NONE. NULL: none. */
    rob_id (*fold)(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr);
    /* dx[i] = adjoint of input i (ROB_NONE: zero), given adjoints dy[k] of the outputs. */
    void (*vjp)(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx);
    /* dy[k] = tangent of output k, given tangents dx[i] (ROB_NONE: zero). */
    void (*jvp)(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy);
    /* Differentiable enclosure (no soundness claim): nodes for lo/up of the output. */
    void (*enclose)(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo, rob_id *yup);

    /* Sound range of output k from ranges of the inputs. */
    void (*interval)(const rob_node *n, const rob_range *in, int32_t k, rob_range *out);
    /* Planes below and above. theta: NULL for the default choice, else `parameters`
     * numbers in [0,1] per element. Element-wise operators only (softmax: rows). */
    void (*relax)(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above);
    int32_t parameters;
    /* Affine operators: rows on output k moved to input i (added to in->at), in->cols =
     * size of input i. `value` are ranges of the inputs; constant operands have lo = up.
     * What rounding can cost row r is added to loss[r], constants to base[r]. */
    void (*pull)(const rob_node *n, const rob_range *value, int32_t k, const rob_rows *out,
                 int32_t i, rob_rows *in, double *base, double *loss);
    void (*curve)(const rob_node *n, const rob_range *in, const double *const *centre, rob_curve *out);
    /* Element-wise operators: ranges of the partial derivative by input i on the box, all
     * slopes between both sides where it has none. */
    void (*steep)(const rob_node *n, const rob_range *in, int32_t i, rob_range *out);
};

#endif
