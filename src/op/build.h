/* build.h -- one line per operator: how rules, models and losses write graphs.
 *
 * All latch the first failure in the graph and answer ROB_NONE from then on. */
#ifndef ROB_BUILD_H
#define ROB_BUILD_H

#include "graph/graph.h"

rob_id rob_priv_input(rob_graph *g, rob_shape shape);                 /* always a new node */
rob_id rob_priv_constant(rob_graph *g, rob_tensor *tensor);           /* takes a reference of its own */
rob_id rob_priv_fill(rob_graph *g, rob_shape shape, double value);    /* every element = value */
bool rob_priv_is_fill(const rob_graph *g, rob_id id, double *value);


/* Element-wise; the binary ones broadcast (an `expand` is inserted). */
rob_id g_add(rob_graph *g, rob_id a, rob_id b);
rob_id g_sub(rob_graph *g, rob_id a, rob_id b);
rob_id g_mul(rob_graph *g, rob_id a, rob_id b);
rob_id g_div(rob_graph *g, rob_id a, rob_id b);        /* a * reciprocal(b) */
rob_id g_max(rob_graph *g, rob_id a, rob_id b);
rob_id g_affine(rob_graph *g, rob_id a, double scale, double shift); /* scale*a + shift */
rob_id g_neg(rob_graph *g, rob_id a);                  /* affine(-1, 0) */
rob_id g_where(rob_graph *g, rob_id m, rob_id a, rob_id b); /* m != 0 ? a : b, bits kept */
rob_id g_unary(rob_graph *g, const char *op, rob_id a);/* "tanh", "sigmoid", "exp", ... */
rob_id g_sigtanh(rob_graph *g, rob_id x, rob_id y);    /* sigmoid(x) tanh(y) */
rob_id g_sigmul(rob_graph *g, rob_id x, rob_id y);     /* sigmoid(x) y */
rob_id g_blend(rob_graph *g, rob_id z, rob_id n, rob_id h); /* n + sigmoid(z) (h - n) */
rob_id g_gelu(rob_graph *g, rob_id x, int32_t by_tanh); /* x Phi(x), or its tanh form */
/* op(A) op(B): last two dims; ta/tb transpose; rank 2, or equal leading dims. */
rob_id g_matmul(rob_graph *g, rob_id a, rob_id b, int ta, int tb);
/* Structure. */
rob_id g_reshape(rob_graph *g, rob_id a, rob_shape shape);
rob_id g_expand(rob_graph *g, rob_id a, rob_shape shape);   /* broadcast */
rob_id g_sum_to(rob_graph *g, rob_id a, rob_shape shape);   /* adjoint of expand */
rob_id g_sum(rob_graph *g, rob_id a);                       /* all elements, rank 0 */
rob_id g_transpose(rob_graph *g, rob_id a);                 /* last two dims */
rob_id g_permute(rob_graph *g, rob_id a, const int32_t *order); /* any axes */
/* K parts along axis, sizes[k]; parts[k] are the values. K <= 4, or any K of equal sizes. Its adjoint is concat. */
void g_split(rob_graph *g, rob_id a, int32_t axis, const int64_t *sizes, int32_t k, rob_id *parts);
rob_id g_concat(rob_graph *g, const rob_id *parts, int32_t k, int32_t axis);
rob_id g_pick(rob_graph *g, rob_id node, int32_t k);        /* value k of split or scan */
rob_id g_slice(rob_graph *g, rob_id a, int32_t axis, int64_t first, int64_t count); /* by split */
/* Rows (last axis). */
rob_id g_softmax(rob_graph *g, rob_id a);
rob_id g_logsumexp(rob_graph *g, rob_id a);                 /* (..., C) -> (..., 1) */
rob_id g_centre(rob_graph *g, rob_id a);                    /* a - mean a */
rob_id g_rmsnorm(rob_graph *g, rob_id a, double eps);       /* a (mean a^2 + eps)^(-1/2) */

/* ---- recurrence ----------------------------------------------------------------------- */
/* A body is an ordinary graph whose inputs are made with rob_priv_input. The scan takes
 * ownership of `body` (also on failure). ids: in = body inputs in order, out = next
 * carries then ys; node_in = values of g in the same order as `in`. Returns the scan
 * node; read values with g_pick(g, scan, k). Scans are never hash-consed. */
rob_id rob_priv_scan(rob_graph *g, rob_graph *body, int32_t carries, int32_t sequences,
                     int32_t constants, int32_t ys, const rob_id *in, const rob_id *out,
                     int64_t steps, int32_t reverse, const rob_id *node_in);

#endif
