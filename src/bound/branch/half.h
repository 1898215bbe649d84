/* half.h -- a ball cut by half-spaces a.d <= h, d = x - x0; half.c computes on it. */
#ifndef ROB_HALF_H
#define ROB_HALF_H

#include "bound/bound.h"

enum { ROB_HALVES_MOST = 24 };

/* Where a number changes ends as a multiplier grows, and by how much the slope drops. */
typedef struct rob_kink { double beta, drop; int64_t e; } rob_kink;

/* n numbers of x. Only the first `count` half-spaces are there. */
typedef struct rob_halves {
    rob_work *w;
    int64_t n, count, used;       /* used: multipliers above 0 */
    double *a, *h, *beta;         /* (most, n), (most), (most) */
    double *row;                  /* (tile, n) coefficients that sweeps have ended with */
    double *lo, *up, *far;        /* (n) of d; far >= |d| */
    double *sum, *at, *other, *total, *at2;      /* (n) scratch */
    double *mixed, *value, *base, *loss, *measure;  /* (tile, n); (tile) */
    double reach;                 /* sum of far */
    int64_t *which;
    rob_kink *kink;               /* (n) scratch */
    int64_t width;
} rob_halves;

rob_status rob_priv_half_open(rob_work *w, rob_halves **out);
void rob_priv_half_close(rob_halves *c);
/* A new ball, no half-spaces. */
rob_status rob_priv_half_begin(rob_halves *c);
/* One more; when all places are taken, the oldest but the first goes. */
void rob_priv_half_add(rob_halves *c, const double *a, double h);
/* About min g.d on the cut ball, d where it is about taken, the multipliers in beta. */
double rob_priv_half_least(rob_halves *c, const double *g, double *d);
/* The same for point.(x0 + d), and point <- x0 + d. */
double rob_priv_half_minimum(rob_halves *c, const double *x, double *point);

/* Within a sweep: rows start, coefficients a on an input cell, better proofs. */
void rob_priv_half_clear(rob_halves *c, int64_t rows);
void rob_priv_half_gather(rob_halves *c, const rob_cell *cell, int64_t rows,
                         const double *a);
void rob_priv_half_improve(rob_halves *c, int64_t rows);
/* After a sweep: where row r is at most `most`, a.d <= h. */
void rob_priv_half_of_row(const rob_halves *c, int64_t r, double most, double *a, double *h);

#endif
