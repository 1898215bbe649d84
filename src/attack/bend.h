/* bend.h -- second derivatives of a series' margin in the coordinates of its region. */
#ifndef ROB_BEND_H
#define ROB_BEND_H

#include "attack/attack.h"
#include "query/local.h"

/* One point of one series; H = A' Hess F A, A the region's linear map, F the row that
 * decides there. */
typedef struct rob_bend {
    rob_ctx *ctx;
    const rob_model *model;
    rob_region region;
    rob_local *local;
    int64_t capacity; /* numbers of a vector there is room for */
    double *arena, *full, *image, *room;
    double *slope;  /* (m) A' grad F */
    double *normal; /* (m) unit vector left out of products; zeros: none is */
    double *keep;   /* (m) 1; 0: held as well */
    double *logits; /* (L) */
    double margin;
    double steep;     /* ||slope|| on what is not held */
    double middle;    /* eigenvalue given to what is left out */
    int64_t products; /* so far */
} rob_bend;

/* a bend is zero-filled before its first series; close takes all it holds */
rob_status rob_priv_bend_open(rob_hunt *h, int64_t series, rob_bend *b);
void rob_priv_bend_close(rob_bend *b);
/* to a point (n): margin, slope; nothing left out or held */
void rob_priv_bend_place(rob_bend *b, const rob_spec *spec, const double *point);
/* hv (m) = H v, as rob_lanczos wants it. With a normal or numbers held
 * P H P v + middle (1 - P) v. ROB_STOPPED: cancelled */
rob_status rob_priv_bend_product(void *bend, const double *v, double *hv);

/* found->factor of every series of the block (factor.c) */
rob_status rob_priv_hunt_factors(rob_hunt *h);
/* Active lanes numbered `from` to from + count - 1 of every series go where the model of
 * second order at x vanishes along eigenvectors, and leave when there is none with a
 * negative eigenvalue; gradients and calls of lane 0 are used. (factor.c) */
enum { ROB_LEAN_PRODUCTS = 8 }; /* an eigenvector, two gradients each */
rob_status rob_priv_hunt_lean(rob_hunt *h, int64_t from, int64_t count);

#endif
