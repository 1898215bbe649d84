/* local.h -- a model near one point: values, gradients and second derivatives of any
 * combination of its outputs, in float64.
 *
 * The objective is  g(x) = c . f(x)  (a specification's row, without its constant), or
 * with `entropy`  g(x) = log sum_k exp f_k(x) + c . f(x)  (cross-entropy of class y:
 * c = -e_y). One program belongs to one number of steps.
 */
#ifndef ROB_LOCAL_H
#define ROB_LOCAL_H

#include "query/query.h"

typedef struct rob_local rob_local;

rob_status rob_priv_local_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                 bool entropy, rob_local **out);
void rob_priv_local_free(rob_local *l);
/* false: made for other steps, kernels, model or kind of objective */
bool rob_priv_local_fits(const rob_local *l, const rob_ctx *ctx, const rob_model *model,
                         int64_t steps, bool entropy);
/* The second derivative is zero wherever it exists: piecewise linear models. */
bool rob_priv_local_flat(const rob_local *l);

/* ---- at one point, on the calling thread; these cannot fail ---------------------- */
/* Go to x (T, D); f (L) receives the outputs, NULL: not wanted. */
void rob_priv_local_place(rob_local *l, const double *x, double *f);
/* grad (T, D) of the objective c (L); returns its value. */
double rob_priv_local_gradient(rob_local *l, const double *c, double *grad);
/* hv (T, D) = Hess g v, of the objective of the last gradient. */
void rob_priv_local_product(rob_local *l, const double *v, double *hv);

/* Make ready for third derivatives: a program of its own, made once. */
rob_status rob_priv_local_third(rob_ctx *ctx, rob_local *l);
/* Objective c at x, for products of third order from here on. */
void rob_priv_local_third_place(rob_local *l, const double *x, const double *c);
/* hv = Hess g v and tv = d/de Hess g(x + e v) v at e = 0, (T, D) both. */
void rob_priv_local_third_product(rob_local *l, const double *v, double *hv, double *tv);

/* Dense Hessian h (m, m) of objective c at x over the coordinates free[0..m), row i the
 * product with unit vector i. Tiles of tangents go to ctx's workers. ROB_STOPPED:
 * cancelled, h is not valid. */
rob_status rob_priv_local_hessian(rob_ctx *ctx, rob_local *l, const double *x,
                                  const double *c, const int64_t *free, int64_t m,
                                  double *h);

#endif
