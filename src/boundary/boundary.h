/* boundary.h -- inside the geometry of the decision boundary: one series at a time.
 *
 * Lengths are in the units of the series as given; answers turn into the query's units
 * when asked for. Vectors (n = T D) are zero where nothing may move; m coordinates may.
 */
#ifndef ROB_BOUNDARY_H
#define ROB_BOUNDARY_H

#include "la/la.h"
#include "query/local.h"
#include <robust/boundary.h>

enum {
    ROB_BOUNDARY_STEPS,
    ROB_BOUNDARY_TOLERANCE,
    ROB_BOUNDARY_DENSE,
    ROB_BOUNDARY_SLICE,
    ROB_BOUNDARY_REACH,
    ROB_BOUNDARY_SEED,
    ROB_BOUNDARY_ORDER,
    ROB_BOUNDARY_OPTIONS
};
extern const rob_option rob_priv_boundary_option[ROB_BOUNDARY_OPTIONS];

/* Answer for one series. Arrays may be NULL: nothing to say. */
typedef struct rob_edge {
    int64_t size, curvatures;
    double *point;     /* (size) nearest boundary point found; x when none */
    double *normal;    /* (size) unit normal there, out of the safe side; or zeros */
    double *curvature; /* ascending: all m - 1, or both ends */
    double *slice;     /* (slice, slice) margins */
    double *direction; /* (size) second axis of the slice */
    double distance, residual, multiplier, gradient_norm, mean, projection;
    double estimate1[3]; /* L2, L1, Linf */
    double estimate2, lower2, upper2, lower3, upper3, third;
    bool found, converged, flat;
    int64_t rows, row, steps; /* rows that hold with equality, the first of them;
                                 Newton steps taken */
} rob_edge;

struct rob_boundary {
    rob_memory memory;
    double option[ROB_BOUNDARY_OPTIONS];
    int64_t count;
    rob_edge *edge;
    double unit;   /* the query's when it ran */
    int64_t slice; /* points a side of the last answers' grids */
};

/* One series being worked on. */
typedef struct rob_site {
    rob_ctx *ctx;
    rob_memory memory;
    const double *option;
    rob_query *q;
    rob_local *local;
    const rob_case *c;
    int64_t series, n, m;
    int64_t capacity; /* n there is room for */
    int64_t *free;    /* (m) coordinates that may move */
    double *arena;    /* vectors of (n) */
    double *f;        /* (L) outputs at the last place */
    double *combined; /* (L) coefficients of a combination of rows */
    rob_edge *edge;
} rob_site;

/* ---- rows of the specification near a point (site.c) ----------------------------- */
/* A site for series i: program and free coordinates. */
rob_status rob_priv_site_open(rob_site *s, int64_t i);
void rob_priv_site_close(rob_site *s); /* everything it holds */
/* to (n) <- v (m) at the coordinates that may move, 0 elsewhere */
void rob_priv_site_spread(const rob_site *s, const double *v, double *to);
void rob_priv_site_place(rob_site *s, const double *z);
double rob_priv_site_row(const rob_site *s, int64_t r); /* c_r.f + b_r at the place */
/* gradient (n) of row r at the place, zero where nothing may move */
void rob_priv_site_gradient(rob_site *s, int64_t r, double *grad);
/* weights[k] of rows[k]: their combination becomes the objective of products */
void rob_priv_site_combine(rob_site *s, const int64_t *rows, const double *weights,
                           int64_t count, double *grad);
void rob_priv_site_product(rob_site *s, const double *v, double *hv);
/* Third derivatives of row r at the series itself: ready, then products (n). */
rob_status rob_priv_site_third(rob_site *s, int64_t r);
void rob_priv_site_third_product(rob_site *s, const double *v, double *hv, double *tv);
/* Hessian (m, m) of row r at z, made symmetric */
rob_status rob_priv_site_hessian(rob_site *s, int64_t r, const double *z, double *h);

/* ---- estimates at the series itself (estimate.c) --------------------------------- */
/* Distance from 0 to { t + J.d + d'Hd/2 <= 0 } given t, J in H's eigenbasis and its
 * eigenvalues; d (n) the nearest point there. t <= 0: 0; empty set: INFINITY. */
double rob_priv_quadric_distance(int64_t n, double t, const double *j,
                                 const double *lambda, double *d);
/* 2t / (|J| + sqrt(|J|^2 + 2 nu t)); INFINITY where the model never crosses */
double rob_priv_quadric_lower(double t, double norm, double nu);
/* least |d| with t_r + J_r.d <= 0 for all rows; gram (rows, rows) = J J'; INFINITY when
 * there is none. weight (rows): d = -J' weight. */
double rob_priv_halfspaces(const double *gram, const double *t, int64_t rows,
                           double *weight);
/* One group's estimates; d (n): where its model fails first */
typedef struct rob_guess {
    double order1[3], order2, lower2, upper2, lower3, upper3, third;
    double *d;
} rob_guess;
/* smallest positive root of c[0] + c[1] a + c[2] a^2 + c[3] a^3, c[0] > 0; or INFINITY */
double rob_priv_cubic_root(const double c[4]);
/* Order 3 of row r: value t, gradient j (n), nu = lambda_max(-H) and its unit vector u
 * (n; may be NULL). Fills lower3, upper3, third. ROB_STOPPED: cancelled. */
rob_status rob_priv_third(rob_site *s, int64_t r, double t, const double *j, double nu,
                          const double *u, rob_guess *g);
/* second: order 2 as well, which else is NaN */
rob_status rob_priv_guess(rob_site *s, int64_t first, int64_t next, bool second,
                          rob_guess *g);

/* ---- the nearest point (polish.c) ------------------------------------------------ */
/* From z0 to a stationary point of |z - x| on rows [first, next); taken into the site's
 * edge when it is nearer than what is there. fallback: take z0 itself, with its
 * residual, when that fails. */
rob_status rob_priv_polish(rob_site *s, int64_t first, int64_t next, const double *z0,
                           bool fallback);

/* ---- the surface there (shape.c), a plane through it (slice.c) ------------------- */
rob_status rob_priv_shape_at(rob_site *s);
rob_status rob_priv_slice(rob_site *s);

/* ---- a whole query (boundary.c) -------------------------------------------------- */
/* how far to go: estimates of order 1, of order 2 too, nearest points and shape too */
enum { ROB_BOUNDARY_FIRST = 1, ROB_BOUNDARY_SECOND, ROB_BOUNDARY_POINTS };
rob_status rob_priv_boundary_run(rob_ctx *ctx, rob_boundary *b, rob_query *q,
                                 int32_t level);
void rob_priv_boundary_forget(rob_boundary *b);

#endif
