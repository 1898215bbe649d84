/* alpha.h -- planes chosen for rows; margin.c asks, alpha.c searches. */
#ifndef ROB_ALPHA_H
#define ROB_ALPHA_H

#include "bound/bound.h"

enum { ROB_ALPHA_PLANES = 6, ROB_TURNS_MOST = 32 };

/* One search: numbers are those of all cells (range_size) unless said otherwise. */
typedef struct rob_alpha {
    rob_work *w;
    double *a, *z;                /* (range_size) coefficients, values at x* */
    double *weight, *best;        /* (2, K, range_size) the mixtures */
    double *plane[ROB_ALPHA_PLANES];             /* (plane_size) */
    double *point;                /* (numbers of x) x* */
    double *lo, *up, *score;      /* (numbers of x; of x; range_size) */
    double *theta;                /* parameters of one cell */
    bool *touched;                /* (cells) roots with coefficients */
    double base;
    int count;                    /* planes there are: without inherited ones, one less */
    bool warm;                    /* a search begins with the mixtures of the last */
    double beta[ROB_TURNS_MOST], stride[ROB_TURNS_MOST], rise[ROB_TURNS_MOST];
} rob_alpha;

/* *p = room for count numbers */
bool rob_priv_alpha_get(rob_work *w, double **p, int64_t count);
rob_status rob_priv_alpha_open(rob_work *w, rob_alpha **out);
void rob_priv_alpha_close(rob_alpha *s);
/* Held ranges forgotten: a new ball. */
void rob_priv_alpha_release(rob_work *w);
/* Once ranges and default planes are there: the other planes; scores from nothing. */
void rob_priv_alpha_prepare(rob_alpha *s);
void rob_priv_alpha_begin(rob_alpha *s);
/* An operand of element e of a curved cell has another range: its planes again. */
void rob_priv_alpha_renew(rob_alpha *s, int32_t cell, int64_t e);
/* A row on a cell: its proof, if better than the one there. Scores the numbers its
 * planes depend on. */
rob_status rob_priv_alpha_row(rob_alpha *s, int32_t cell, const double *row, double base,
                              int64_t steps, rob_proof *proof);
/* Rows for the `most` numbers with the largest scores; what they prove is held. */
rob_status rob_priv_alpha_ranges(rob_alpha *s, int64_t most, int64_t steps);

/* multiplier.c: multipliers w->turn enter a row at root i of a search, or rows of a sweep
 * at (rows, ld); a search begins, steps along the derivatives, keeps the best, ends. */
void rob_priv_turn_row(rob_alpha *s, int32_t i);
void rob_priv_turn_rows(rob_work *w, const rob_turn *t, int64_t rows, double *at,
                        int64_t ld);
void rob_priv_turn_begin(rob_alpha *s);
void rob_priv_turn_step(rob_alpha *s);
void rob_priv_turn_keep(rob_alpha *s);
void rob_priv_turn_end(rob_alpha *s);

/* plane.c: w->inherited where it is higher (lower above) at the middle of the operands'
 * ranges. */
void rob_priv_plane_inherit(rob_work *w, int32_t cell);
/* Planes of a curved cell (e < 0), or of its element e, with parameters; its constants; sum_k weight_k
 * plane_k, weight[side][k stride + e], into the work, rounding paid for. */
void rob_priv_plane_curved(rob_work *w, int32_t cell, int64_t e, const double *theta);
void rob_priv_plane_constant(rob_work *w, int32_t cell);
void rob_priv_plane_mix(rob_work *w, int32_t cell, const double *const *plane, int count,
                        const double *const *weight, int64_t stride);

#endif
