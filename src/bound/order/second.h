/* second.h -- rows with quadratic bounds of what gates leave over; margin.c asks. */
#ifndef ROB_SECOND_H
#define ROB_SECOND_H

#include "bound/alpha.h"
#include "bound/order/trust.h"

enum { ROB_SECOND_ROWS = 1 };    /* whose coefficients are kept at a time */

/* Every number that a curved cell reads is a slot: z = centre + J.d + e, |e| <= rest. An
 * element of a curved cell is phi = grad.z + offset + r, r in middle +- radius, and
 * |r + middle - 1/2 z'H z| <= 1/2 sum rho z^2 + slack, z from the slots' centres. */
typedef struct rob_second {
    rob_work *w;
    int64_t numbers, slots, inputs; /* inputs: numbers of x that may move */
    int64_t *slot;                 /* (cells) first slot of a root; -1: none */
    int64_t *column;               /* (numbers of x) column of J; -1: held */
    double *j;                     /* (slots, inputs) */
    double *centre, *rest, *reach; /* (slots); reach >= |J.d| */
    double *plane, *others;        /* (plane_size) of the centre; those of the work */
    double *mixed, *point;         /* (plane_size) a row's; (inputs) where it is least */
    uint8_t *bent[2];              /* (numbers) quadratic below, above */
    double *hess[6], *rho[ROB_MAX_INS], *slack;    /* (numbers) of curved cells */
    double *middle, *radius;       /* (numbers) */
    double *value, *grad[ROB_MAX_INS];             /* (widest) */
    double *known;                 /* (ROB_MAX_INS widest) centres of known operands */
    double *row, *score;           /* (ROB_SECOND_ROWS, numbers) coefficients; (numbers) */
    double *sum;                   /* (tile) of |P| radius */
    double *t;                     /* (slots, inputs) */
    void *packed;                  /* J */
    double *jrow;                  /* (tile, inputs) */
    rob_trust trust;
    double tiny, furthest;         /* (1 + furthest) tiny: what underflow takes from d'Q d */
    /* all numbers at once (second_range.c): elements of curved cells */
    bool batch;
    int64_t units, units_done, units_packed, pairs, *unit;   /* unit: (cells) first; -1 */
    double *kh, *kr;               /* (units, pairs) */
    void *kh_packed, *kr_packed;
    double *cost, *turn;           /* (units) */
    double *coefficient, *magnitude;               /* (tile, units) */
    double *x, *y;                 /* (tile, pairs) */
    bool usable, keeps;            /* keeps: coefficients are wanted */
    double curvature;              /* >= |eigenvalues| of the margin's Hessian; INFINITY */
} rob_second;

/* NULL in *out, and ROB_OK: the network has cells without such forms, or is too large. */
rob_status rob_priv_second_open(rob_work *w, rob_second **out);
void rob_priv_second_close(rob_second *s);
/* Is it worth its time beside a bound for which `cost` multiply-adds are allowed? */
bool rob_priv_second_pays(const rob_network *net, double cost);
/* Balls it says something about. */
bool rob_priv_second_knows(const rob_ball *ball);
/* While ranges are made: begin, every root in order, its range and planes being there; the
 * range of a number that curved cells read is tightened. end: rows may follow. */
void rob_priv_second_begin(rob_second *s);
rob_status rob_priv_second_visit(rob_second *s, int32_t cell);
void rob_priv_second_end(rob_second *s);
/* second_range.c: elements of a curved cell that has its models; the matrices of all done so
 * far; numbers whose rows were just swept. */
void rob_priv_second_units(rob_second *s, int32_t cell);
void rob_priv_second_pack(rob_second *s);
rob_status rob_priv_second_tighten(rob_second *s, int32_t cell, int64_t first, int64_t count);
/* second.c, for second_row.c: an operand's slot (-1: known), and what it may do */
typedef struct rob_way { int64_t slot; double reach, rest, centre; } rob_way;
rob_way rob_priv_second_way(const rob_second *s, const rob_link *in, int64_t e);
int rob_priv_second_hess(int32_t k, int i, int j);
/* Rows swept on the centre's planes: base and loss in the work, jrow, sum; keeps: row. */
rob_status rob_priv_second_sweep(rob_second *s, int32_t cell, int64_t rows, const double *a,
                                 int64_t lda, const double *base, double *plane,
                                 bool keeps);
/* row[r].value grows to what quadratics prove of rows of d; scores of numbers, if asked. */
rob_status rob_priv_second_rows(rob_second *s, const rob_demand *d, rob_proof *row);
/* Both ends of the `most` numbers with the largest scores, held for the next ranges. */
rob_status rob_priv_second_ranges(rob_second *s, int64_t most);

#endif
