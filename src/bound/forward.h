/* forward.h -- affine forms of cells, shared by forward.c and form.c. */
#ifndef ROB_FORWARD_H
#define ROB_FORWARD_H

#include "bound/bound.h"
#include "op/plane.h"

/* A cell's own view of a form: symbol first + j has row at + j ld. */
typedef struct rob_sight {
    const double *at, *base, *rad, *mag;
    int64_t ld, n, first, rows;
} rob_sight;

rob_sight rob_priv_form_look(const rob_work *w, int32_t cell);
/* A block of at least `numbers`; -1: no memory. */
int32_t rob_priv_form_block(rob_work *w, int64_t numbers);
/* A form with symbols [first, first + rows), numbers not set; NULL: no memory. */
double *rob_priv_form_make(rob_work *w, int32_t cell, int64_t first, int64_t rows);
/* `count` new symbols: numbers of x from `coordinate` on, or (-1) noises. The first. */
int64_t rob_priv_form_symbols(rob_work *w, int64_t count, int64_t coordinate);
/* The range of every number of a form, on the ball. */
void rob_priv_form_range(rob_work *w, const rob_sight *s, double *lo, double *up);
/* The form of a cell from those of its operands: F, base and rad. False: no memory. */
bool rob_priv_form_of(rob_work *w, int32_t cell);

#endif
