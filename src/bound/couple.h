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

static inline bool rob_priv_all_zero(const double *l, int64_t n)
{
    for (int64_t e = 0; e < n; e++)
        if (l[e] != 0) return false;
    return true;
}

#endif
