/* couple.h -- cells whose numbers depend on each other, inside: couple.c has rows, pair.c
 * products of two live values. Both keep offsets below and above, weights and a slack. */
#ifndef ROB_BOUND_COUPLE_H
#define ROB_BOUND_COUPLE_H

#include "bound/bound.h"

typedef struct rob_couple { double *offset[2], *weight, *slack, *next; } rob_couple;

/* Where they are for n outputs, in the cell's part p of the work's array of planes. */
static inline rob_couple rob_priv_couple_of(double *p, int64_t n)
{
    return (rob_couple){ { p, p + n }, p + 2 * n, p + 3 * n, p + 3 * n + 1 };
}

/* entries of rob_priv_couple_* for products */
int64_t rob_priv_pair_numbers(const rob_network *net, const rob_cell *c,
                              const rob_link *in);
void rob_priv_pair_prepare(rob_work *w, int32_t cell);
void rob_priv_pair_pull(rob_work *w, int32_t cell, int64_t count, const double *a,
                        int operand, double *to);

/* What the planes that the signs of a (c->size) choose make of operands za and zb. */
void rob_priv_pair_at(rob_work *w, int32_t cell, const double *a, const double *za,
                      const double *zb, double *y);
/* Planes of rows with parameters (two a number, below and above; NULL: the default). */
void rob_priv_couple_rows_make(rob_work *w, int32_t cell, const double *theta);
/* Softmax: coefficients l of all rows less each row's c; the sum of the c. */
double rob_priv_couple_shift(const rob_work *w, int32_t cell, double *l);

/* Rows: the planes of a cell, groups of `per` numbers from `from`; mean (rmsnorm): range of
 * every group's mean square, set by rob_priv_couple_refine. */
typedef struct rob_couple_rows {
    int64_t n, m, groups, per, from;
    double *slope[2], *left[2], *right[2], *offset[2], *mean[2];
    double *more;                 /* (groups) softmax: added to c */
} rob_couple_rows;
rob_couple_rows rob_priv_couple_rows(const rob_work *w, int32_t cell);
/* What hangs on planes of rows, once these were changed. */
void rob_priv_couple_weigh(rob_work *w, int32_t cell);

static inline bool rob_priv_all_zero(const double *l, int64_t n)
{
    for (int64_t e = 0; e < n; e++)
        if (l[e] != 0) return false;
    return true;
}

#endif
