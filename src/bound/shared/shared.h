/* shared.h -- how many of many half-spaces one point of a ball can lie in. */
#ifndef ROB_BOUND_SHARED_H
#define ROB_BOUND_SHARED_H

#include "bound/bound.h"

/* Series `series` can fail only where fixed + at.d <= 0. */
typedef struct rob_half { int64_t series; double fixed; const double *at; } rob_half;

/* halves: sorted by series. d: n numbers, ||d||_norm <= eps. cuts: at most. */
typedef struct rob_shared {
    const rob_half *half;
    int64_t halves, n, cuts;
    int32_t norm;
    double eps;
    bool (*stop)(void *user);
    void *stop_user;
    int64_t most, reached;        /* out: proved; what a point was seen to reach */
    double fault;                 /* tests: added to every bound */
} rob_shared;

/* ROB_STOPPED: `most` holds as it stands. */
rob_status rob_priv_shared_most(const rob_memory *m, rob_shared *s);

#endif
