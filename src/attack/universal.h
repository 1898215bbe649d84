/* universal.h -- one perturbation for many series: where each of them sees it. */
#ifndef ROB_UNIVERSAL_H
#define ROB_UNIVERSAL_H

#include "attack/attack.h"

/* Series i is moved at (t, j) by the perturbation's number ((offset_i + t) mod length, j).
 * Plain: offset 0 and the series' own length. Shifts: offsets at random. Windows: the
 * series are cut out of one recording every `stride` steps, offset_i = i stride, so that
 * a time stamp is moved alike in all windows that hold it. */
typedef struct rob_common {
    rob_ctx *ctx;
    const rob_attack *a;
    const rob_query *q;
    rob_region region; /* of the perturbation, about zero */
    int64_t steps;     /* of a series */
    int64_t n, m;      /* numbers and coordinates of the perturbation */
    bool shifts;
    int64_t *offset;           /* (count) in steps */
    double *origin, *low, *high; /* (n) */
    uint8_t *may;              /* (n) allowed by every mask */
    double *room, *d;          /* scratch; (n) the perturbation of coordinates */
    double cap;
} rob_common;

rob_status rob_priv_common_open(rob_ctx *ctx, const rob_attack *a, const rob_query *q,
                                rob_common *c);
void rob_priv_common_free(rob_common *c);
/* offsets of shifts, drawn anew */
void rob_priv_common_shift(rob_common *c, rob_random *random);
/* point <- x_i + its view of d (n) */
void rob_priv_common_place(const rob_common *c, int64_t i, const double *d,
                           double *point);
/* sum (n) += grad (series) where series i sees it */
void rob_priv_common_gather(const rob_common *c, int64_t i, const double *grad,
                            double *sum);
/* d <- the perturbation of coordinates u */
void rob_priv_common_spread(const rob_common *c, const double *u, double *d);
/* ROB_EDOMAIN unless d (n) is in the ball and the region; *length: norm of its
 * coordinates */
rob_status rob_priv_common_inside(rob_common *c, const double *d, double *length);

#endif
