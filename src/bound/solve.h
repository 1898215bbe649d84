/* solve.h -- a bound as the public interface holds it. */
#ifndef ROB_BOUND_SOLVE_H
#define ROB_BOUND_SOLVE_H

#include "bound/bound.h"
#include "query/query.h"
#include <robust/bound.h>

enum { ROB_BOUND_INTERVAL, ROB_BOUND_ZONOTOPE, ROB_BOUND_CROWN, ROB_BOUND_ALPHA,
       ROB_BOUND_BRANCH, ROB_BOUND_AUTO, ROB_BOUND_METHODS };
enum { ROB_BOUND_STEPS, ROB_BOUND_SYMBOLS, ROB_BOUND_TOLERANCE, ROB_BOUND_CALLS, ROB_BOUND_CHOICES, ROB_BOUND_ROUNDS, ROB_BOUND_CHOSEN, ROB_BOUND_ENOUGH,
       ROB_BOUND_SECONDS, ROB_BOUND_BRANCHES, ROB_BOUND_COST, ROB_BOUND_FLOAT32, ROB_BOUND_ULPS, ROB_BOUND_RINGS, ROB_BOUND_CURVATURE, ROB_BOUND_ORDER,
       ROB_BOUND_JOINT, ROB_BOUND_GAIN, ROB_BOUND_CUTS, ROB_BOUND_PARTS,
       ROB_BOUND_OPTIONS };
extern const char *const rob_priv_bound_method[ROB_BOUND_METHODS];
extern const rob_option rob_priv_bound_option[ROB_BOUND_OPTIONS];

/* depth: steps back-substituted; 0 all; -1 none, intervals. proved: the radius that was
 * certified, in the units of the series. dropped: parts of the region left out, 1
 * variation and differences, 2 number of steps. */
typedef struct rob_answer {
    double margin, radius, proved, calls, seconds, depth, dropped, deviation, single;
    double curvature;             /* of its Hessian */
    double lipschitz, smooth;     /* norm of the margin's gradient; radius by rings */
    int64_t rows;
    double *row;
    double *most, *least;         /* (rows) norms of gradients */
    double *affine;               /* (rows, T D + 2) coefficients, fixed, value: bound.h */
} rob_answer;

struct rob_leaf;
struct rob_bound {
    rob_memory memory;
    int32_t method;
    double option[ROB_BOUND_OPTIONS];
    int64_t count;
    rob_answer *answer;           /* (count) of the last call */
    void (*fault)(rob_bend *b);   /* tests seed wrong planes here; NULL */
    void (*fault_strip)(rob_strip *s);
    void (*fault_leaf)(struct rob_leaf *leaf);   /* parts of a ball are spoilt here */
    bool gates_only;              /* branch.h */
    double fault_single;          /* share of float32's errors that tests leave out; 0 */
    double fault_steep;           /* of derivatives' widths */
    double fault_part;            /* of widths of parts, rob_bound_universal */
    double universal[3];          /* most fooled, of how many, by radii; if any */
    bool shared;                  /* the last call was rob_bound_universal */
};

/* Of every series of a prepared query. */
enum { ROB_ASK_MARGIN, ROB_ASK_RADIUS, ROB_ASK_LIPSCHITZ, ROB_ASK_UNIVERSAL };
rob_status rob_priv_bound_solve(rob_ctx *ctx, rob_bound *b, rob_query *q, int32_t ask);
void rob_priv_bound_forget(rob_bound *b);
/* universal.c: at most so many series fail at x_i + d for any one d of the ball. */
rob_status rob_priv_bound_universal(rob_ctx *ctx, rob_bound *b, rob_query *q);

/* The model's network for series of so many steps. */
rob_status rob_priv_bound_network(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                  rob_network **out);
/* A radius of the query in the units of the series, rounded up. */
double rob_priv_bound_radius_up(const rob_query *q, double radius);
/* statement.c: what is proved of series i at that radius, and how; a margin that is not
 * positive: nothing. */
rob_status rob_priv_bound_certificate(rob_ctx *ctx, const rob_bound *b, rob_query *q,
                                      int64_t i, double radius, struct rob_cert *out);

#endif
