/* region.h -- the region of one series, as every method reads it.
 *
 * A perturbation d (n = T D numbers, time-major) is the image of coordinates u (m):
 *     w = E u   (E (n, m); without a subspace E = I, m = n),
 *     d_k = s_k w_k where the mask lets k move, else 0   (s: scale, 1 unless set),
 * and the region is all x + d with
 *     ||u||_p <= radius,   ||w_t||_p <= budget_t for every step t,
 *     low <= x + d <= high,   sum_t |d_{t,j} - d_{t-1,j}| <= variation,
 *     |d_{t,j} - d_{t-1,j}| <= difference,   d_t != 0 for at most `most` steps.
 * So methods that move points work on u with plain norms: move, pull and project below
 * are all they need. All lengths here are in the units of the series.
 * (docs/theory/query.md, section 4.)
 */
#ifndef ROB_REGION_H
#define ROB_REGION_H

#include "graph/graph.h"

/* Numbers k of a list of c are k mod c: one for all, one a feature, or every one. */
typedef struct rob_list {
    double *at;
    int64_t count;
} rob_list;

/* What may be set for one series or for all. */
typedef struct rob_parts {
    rob_list scale, low, high, budget;
    rob_tensor *basis; /* (n, m) float64 */
} rob_parts;

typedef struct rob_region {
    const double *x;
    const uint8_t *mask; /* (n) or NULL */
    int64_t steps, features, n, m;
    int32_t norm;
    double radius, unit; /* unit: factor from units of the series to the query's */
    rob_list scale, low, high, budget; /* at NULL: none; budget in the query's units */
    bool relative;                     /* s_k = |x_k| where no scale is set */
    const double *basis;               /* (n, m) or NULL */
    double variation, difference;      /* INFINITY: none */
    int64_t most;                      /* 0: any number of steps */
    const double *off;                 /* (n) bounds: x may be off by so much; NULL: not */
} rob_region;

/* Which parts a region has; what methods that do not know them answer about. */
enum {
    ROB_PART_SCALE = 1,
    ROB_PART_BOX = 2,
    ROB_PART_BUDGET = 4,
    ROB_PART_SUBSPACE = 8,
    ROB_PART_SMOOTH = 16,
    ROB_PART_STEPS = 32,
    ROB_PART_COUNT = 64 /* the norm counts numbers: ROB_NORM_L0 */
};
int32_t rob_priv_region_parts(const rob_region *r);
/* Beyond the linear map and the ball: points have to be held inside. */
bool rob_priv_region_bound(const rob_region *r);
/* Points may be rounded towards x coordinate by coordinate. */
bool rob_priv_region_rounds(const rob_region *r);

double rob_priv_region_scale(const rob_region *r, int64_t k); /* 0: may not move */
double rob_priv_region_budget(const rob_region *r, int64_t t);
/* least and largest d_k of the box; infinite: none */
void rob_priv_region_walls(const rob_region *r, int64_t k, double *low, double *high);

/* point (n) = x + d(u), in the box; held numbers keep x bit for bit */
void rob_priv_region_move(const rob_region *r, const double *u, double *point);
/* u (m) of a point without a subspace: (point - x)/s */
void rob_priv_region_back(const rob_region *r, const double *point, double *u);
/* gu (m) = dd/du' g (n); gu may be g, room (m) is scratch */
void rob_priv_region_pull(const rob_region *r, const double *g, double *gu,
                          double *room);
/* Largest norm of u that the parts other than the ball leave; INFINITY: no limit. */
double rob_priv_region_reach(const rob_region *r);

/* ---- project.c; room (ROB_REGION_ROOM max(n, m)) is scratch ---------------------- */
enum { ROB_REGION_ROOM = 12 };
/* u within all parts and the ball of that radius (INFINITY: no ball): the nearest
 * point where there is a closed form, else a near one. Its norm, as computed, is <=
 * radius. */
void rob_priv_region_project(const rob_region *r, double radius, double *u,
                             double *room);
/* u satisfies every part but the ball, in floating point; a box and a subspace
 * together: to 1e-12 of |x| */
bool rob_priv_region_holds(const rob_region *r, const double *u, double *room);
/* step (m): least in the norm with g.step = -c that keeps at + step between the walls
 * and budgets (no subspace; at NULL: 0). Without such parts c/||g||_q s(g). false: g is
 * zero or not finite, or the plane is out of reach. room as above */
bool rob_priv_region_plane(const rob_region *r, const double *at, const double *g,
                           double c, double *step, double *room);

/* ---- geometry of the plain ball (ball.c) ----------------------------------------- */
double rob_priv_ball_dual(int32_t norm, const double *g, int64_t n);
/* d: unit vector of the norm with least g . d = -dual(g); false: g is zero or not
 * finite */
bool rob_priv_ball_steepest(int32_t norm, const double *g, int64_t n, double *d);
/* nearest point (L2) of the ball of radius r; its norm, as computed, is <= r */
void rob_priv_ball_project(int32_t norm, double r, double *d, int64_t n);

#endif
