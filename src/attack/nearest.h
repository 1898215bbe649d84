/* nearest.h -- minimum-norm searches by one loop; a method is a rule for one lane.
 *
 * At every step all active lanes take one gradient at delta, what fails is kept when it
 * is nearer, and the rule moves delta. A rule with `after` has the moved points evaluated
 * too (no gradient) and says where the next gradient is taken.
 */
#ifndef ROB_NEAREST_H
#define ROB_NEAREST_H

#include "attack/attack.h"

enum { ROB_WALK_VECTORS = 3 };

/* What a lane carries from step to step, besides rob_lane. */
typedef struct rob_walk {
    double *v[ROB_WALK_VECTORS]; /* (m) the rule's own, zero at the start */
    double guess;                /* length of the first linear step, made sane */
    double weight, low, high;    /* the rule's own */
    double seen;                 /* best_norm when it last fell by 1e-4 */
    int64_t since;               /* steps from then */
    int64_t round, step;         /* the rule's own */
    bool begun;
} rob_walk;

typedef struct rob_rule {
    int32_t vectors;
    /* at the first gradient of a lane: eps and the like from guess; NULL: nothing */
    void (*begin)(const rob_hunt *h, rob_lane *l, rob_walk *w);
    /* delta <- the next point, from margin and grad there; k of `steps` */
    void (*move)(const rob_hunt *h, rob_lane *l, rob_walk *w, int64_t k, int64_t steps);
    void (*after)(const rob_hunt *h, rob_lane *l, rob_walk *w);
} rob_rule;

/* `steps` gradients of every lane. Lane k of a series aims at its group ranked
 * k mod candidates (rob_priv_hunt_aim) and is its start k / candidates; start 0 begins at
 * x, the others at random points, for one gradient more. */
rob_status rob_priv_nearest_search(rob_hunt *h, const rob_rule *rule, int64_t steps,
                                   int64_t candidates);
/* the loop alone, for the active lanes from where they stand; patience 0: all steps */
rob_status rob_priv_nearest_walk(rob_hunt *h, const rob_rule *rule, int64_t steps,
                                 int64_t patience);
/* that search for the method's options steps and, for margins, its end in the ball */
rob_status rob_priv_nearest_margin(rob_hunt *h, rob_status (*distance)(rob_hunt *h));

/* from at k = 0 to `to` by half a cosine */
double rob_priv_falling(double from, double to, int64_t k, int64_t steps);
/* |value|/||grad||_q, or a share of the series' own length where that says nothing */
double rob_priv_lane_guess(const rob_hunt *h, const rob_lane *l);
/* standard deviation of the series' numbers that may move, in the coordinates of the region;
 * of constants their length, of zeros 1 */
double rob_priv_lane_deviation(const rob_hunt *h, const rob_lane *l);
/* delta <- a random point of that length (L0: in L1); step as of rob_priv_lane_scatter */
void rob_priv_lane_toss(const rob_hunt *h, rob_lane *l, double length, int64_t step);

rob_status rob_priv_ddn_distance(rob_hunt *h); /* ddn.c */
rob_status rob_priv_ddn_margin(rob_hunt *h);
rob_status rob_priv_fmn_distance(rob_hunt *h); /* fmn.c */
rob_status rob_priv_fmn_margin(rob_hunt *h);
rob_status rob_priv_cw_distance(rob_hunt *h); /* penalty.c */
rob_status rob_priv_cw_margin(rob_hunt *h);
rob_status rob_priv_ead_distance(rob_hunt *h);
rob_status rob_priv_ead_margin(rob_hunt *h);
rob_status rob_priv_fab_distance(rob_hunt *h); /* fab.c */
rob_status rob_priv_fab_margin(rob_hunt *h);

#endif
