/* trust.h -- the least value of a quadratic function on a ball, from below. */
#ifndef ROB_TRUST_H
#define ROB_TRUST_H

#include "bound/bound.h"

/* Scratch of one size: q (n, n) symmetric and g (n) are the caller's to fill. */
typedef struct rob_trust {
    int64_t n;
    double *q, *g;
    double *copy, *vector, *value, *turned, *y, *shift;
} rob_trust;

rob_status rob_priv_trust_open(const rob_memory *m, int64_t n, rob_trust *out);
void rob_priv_trust_close(const rob_memory *m, rob_trust *t);
/* A lower bound of g.d + 1/2 d'Q d over ||d||_norm <= eps, L2 or Linf, for exactly the
 * doubles in the lower triangle of q; -INFINITY: none was found. */
rob_status rob_priv_trust_least(const rob_memory *m, rob_trust *t, int32_t norm, double eps,
                                double *least);
/* >= the largest |eigenvalue| of q */
rob_status rob_priv_trust_curvature(const rob_memory *m, rob_trust *t, double *most);

#endif
