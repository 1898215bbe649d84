/* universal.h -- one perturbation for many series: universal.c asks once for the whole
 * ball, parts.c again for parts of it. */
#ifndef ROB_BOUND_UNIVERSAL_H
#define ROB_BOUND_UNIVERSAL_H

#include "bound/shared/shared.h"
#include "bound/solve.h"

enum { ROB_WAYS_MOST = 8 };

/* Common coordinates u (m) of the perturbation: d = E u where every mask lets it move, else
 * 0; ||u|| <= eps. */
typedef struct rob_hunt {
    rob_ctx *ctx;
    const rob_bound *bound;
    rob_query *query;
    int64_t n, m;
    const double *basis;          /* E (n, m); NULL: identity, m = n */
    double *own;                  /* E where it was made for few numbers that move */
    uint8_t *moves;               /* (n) */
    double eps;
    rob_half *half;
    int64_t halves, always, held, open, most;
    bool *lost;                   /* (count) not proved on the whole ball */
    double *at;                   /* coefficients of all half-spaces, (halves, m) */
    double begun;
    rob_fp_state host;
} rob_hunt;

/* The row of group g to go by; -1: one is proved on the whole set, -2: none is affine. */
int64_t rob_priv_hunt_row(const rob_spec *s, const double *row, const double *affine,
                          int64_t n, int64_t g);
/* to (m) <- E'a with entries of E scaled by `by` (m; NULL: 1); returns what f in
 * f + a.(E u) loses by rounding where |u_j| <= reach. */
double rob_priv_hunt_pull(const rob_hunt *h, const double *a, const double *by, double reach,
                          double *to);
/* parts.c: h->most lessened by cutting the set of u. */
rob_status rob_priv_hunt_parts(rob_hunt *h);

#endif
