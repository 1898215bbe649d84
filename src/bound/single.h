/* single.h -- evaluation in float32 as a disturbance of every number (single.c). */
#ifndef ROB_SINGLE_H
#define ROB_SINGLE_H

#include "bound/bound.h"

/* error: of each number (range_size); mass: sum of the magnitudes of a sum's terms;
 * terms: how many, by root. ulps: of elementary functions. share: 1, or less where a
 * test wants to see itself fail. */
typedef struct rob_single {
    double *error, *mass, *wide, *operands;
    int64_t *terms;
    double ulps, share;
} rob_single;

rob_status rob_priv_single_open(rob_work *w, double ulps, double share);
void rob_priv_single_close(rob_work *w);
/* Errors of a cell whose image stands in w->fresh, and the image with them. */
void rob_priv_single_widen(rob_work *w, const rob_cell *c);
/* Evaluation in float32 may add to each number: |a| of it is lost by rows a on a cell. */
void rob_priv_single_charge(rob_work *w, const rob_cell *c, int64_t rows, const double *a);

#endif
