/* adjoint.h -- gradients of rows enclosed over a ball; lipschitz.c asks, adjoint.c moves. */
#ifndef ROB_ADJOINT_H
#define ROB_ADJOINT_H

#include "bound/bound.h"

/* Rows of adjoints: a of the centre maps, what deviates at most, noise that enters, the
 * sum of magnitudes (for rounding), magnitudes by intervals. Each (rows, numbers). */
typedef struct rob_adjoint {
    rob_work *w;
    int64_t rows, numbers, inputs; /* inputs: numbers of x */
    double *a, *deviation, *noise, *mass, *hull;
    double *half, *steepest;       /* (ROB_MAX_INS, numbers) of partial derivatives */
    double *share;                 /* (inputs) s_k; 0: may not move */
    double *toward;                /* (rows, inputs) direction that noise is measured in */
    double *linear, *triangle;     /* (rows) sums over noises |P toward|, ||P|| */
    double *weight;                /* (rows) sum of all noise swept */
    double *dot, *square;          /* (tile, rows), (tile) */
    double *room;                  /* (3 rows, widest) */
    double *chain;                 /* (cells) roundings that meet in a number of a root */
    bool *place;                   /* (cells) roots whose noise is swept */
    double sums;                   /* noises swept so far */
    bool lost;                     /* a noise is not finite: only hull counts */
    int32_t from;                  /* root being swept */
    int64_t first, count;          /* its numbers */
} rob_adjoint;

/* Name of an operator whose derivative has no rule here; NULL: all have. */
const char *rob_priv_adjoint_unknown(const rob_network *net);
rob_status rob_priv_adjoint_open(rob_work *w, int64_t rows, rob_adjoint **out);
void rob_priv_adjoint_close(rob_adjoint *s);
/* Enclosures of the gradients of rows c (rows, size) on numbers of a cell, on the ball whose
 * ranges the work holds; planes are overwritten. */
rob_status rob_priv_adjoint_run(rob_adjoint *s, int32_t cell, const double *c);
/* How far the adjoint of row r at a number may be from a, at most. */
void rob_priv_adjoint_deviation(const rob_adjoint *s, int64_t r, int64_t number, double *most);
/* curvature.c: >= |eigenvalues| of the Hessians of the rows that were just enclosed, on the
 * same ball; INFINITY: nothing proved. */
rob_status rob_priv_bound_curvature(rob_adjoint *rows, const rob_demand *d, double *most);
/* most >= sup, least <= inf over the ball of the dual norm of the gradient of row r. */
void rob_priv_adjoint_norm(const rob_adjoint *s, int64_t r, double *most, double *least);

/* Norms of the gradients of the rows of d on balls of radius i/rings of the ball's; clean
 * (rows): values at x. crossing: radius, at most the ball's, up to which the integral of
 * these norms leaves every group positive. most, least: on the whole ball. */
typedef struct rob_steepness {
    double *most, *least;
    double crossing, curvature;    /* curvature: where bends asks for it */
    bool bends;
} rob_steepness;
rob_status rob_priv_bound_steep(rob_work *w, const rob_ball *ball, const rob_demand *d,
                                bool crown, int64_t rings, rob_proof *row,
                                rob_outcome *outcome, rob_steepness *out);

#endif
