/* alpha.h -- planes chosen for rows; margin.c asks, alpha.c searches. */
#ifndef ROB_ALPHA_H
#define ROB_ALPHA_H

#include "bound/bound.h"

/* Planes of an element on one side: the default and three fixed ones; the constant; the one
 * that moves (slope.c); one of a larger set. */
enum { ROB_ALPHA_FLAT = 4, ROB_ALPHA_MOVED, ROB_ALPHA_KEPT, ROB_ALPHA_PLANES };
enum { ROB_TURNS_MOST = 32 };

/* slope.c: planes that move; (plane_size) where they start, the best; (2, ROB_MAX_INS,
 * range_size) touching points now and at the start, units of slope, Adam's moments. */
typedef struct rob_slopes {
    double *start, *best, *touch, *touch0, *unit, *mean, *size;
    double time, rate, first_power, second_power;
} rob_slopes;

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
    rob_slopes slope;
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

/* trace.c: the planes k of a cell; the row back to x; x* and the bound there; every cell up
 * to `root` at x*. */
static inline bool rob_priv_alpha_mixes(const rob_cell *c)
{
    return c->live && c->kind == ROB_CELL_CURVED && rob_priv_has_planes(&c->node);
}
rob_bend rob_priv_alpha_bend(const rob_alpha *s, int k, int32_t cell);
void rob_priv_alpha_back(rob_alpha *s, int32_t cell, const double *row, double base);
double rob_priv_alpha_least(rob_alpha *s);
void rob_priv_alpha_forth(rob_alpha *s, int32_t root);

/* slope.c: once the other planes of a cell (e < 0) or of its element e are there; a search
 * begins; its clock; a step of a cell; the best is kept; at the slopes in the work, for the
 * signs of s->a, the planes that touch. */
void rob_priv_slope_begin(rob_alpha *s, int32_t cell, int64_t e);
void rob_priv_slope_reset(rob_alpha *s);
void rob_priv_slope_tick(rob_alpha *s);
void rob_priv_slope_step(rob_alpha *s, int32_t cell);
void rob_priv_slope_keep(rob_alpha *s);
void rob_priv_slope_lift(rob_alpha *s, int32_t cell);
/* Adam's step for derivative g of the parameter at a place. */
double rob_priv_slope_adam(rob_slopes *m, int64_t at, double g);

/* attend.c, for coupled cells: back, forth, a step; where parameters begin; the best planes
 * into the work. */
void rob_priv_attend_back(rob_alpha *s, int32_t cell);
void rob_priv_attend_forth(rob_alpha *s, int32_t cell);
void rob_priv_attend_step(rob_alpha *s, int32_t cell);
void rob_priv_attend_begin(rob_alpha *s, int32_t cell);
void rob_priv_attend_put(rob_alpha *s, int32_t cell);

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
