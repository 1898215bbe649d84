/* attack.h -- inside the attacks: lanes, a block of series under attack, the methods.
 *
 * A lane is one search for one series. The lanes of a block go in lockstep: one batch
 * of gradients for all that are active, then each moves by its method's rule. Lanes
 * that are done leave the batch (rows are compacted), which changes nobody's bits.
 *
 * Lanes move in the coordinates of the region (query/region.h): delta, grad, best and
 * spare have rob_priv_lane_size(h, l) numbers and norms are plain there, whatever mask,
 * scale or subspace is set; only `point` is a series. Before every evaluation delta is
 * brought within all parts of the region, so a method composes with each of them; it
 * asks rob_priv_lane_project for its own balls and rob_priv_lane_plane for steps.
 *
 * Lengths are in the units of the series as given; results turn into the query's units
 * when asked for.
 */
#ifndef ROB_ATTACK_H
#define ROB_ATTACK_H

#include "query/query.h"
#include <robust/attack.h>

enum { ROB_ATTACK_OPTIONS = 12, ROB_ATTACK_BLOCK = 256 };

/* What of an attack found a point. */
enum {
    ROB_PHASE_OWN, /* a method that is one search */
    ROB_PHASE_LINEAR,
    ROB_PHASE_BALL,
    ROB_PHASE_POLISH,
    ROB_PHASE_HOP
};

typedef struct rob_lane {
    int64_t series;
    int32_t start; /* number of this search among the series' own */
    bool active;
    int32_t role;  /* of a lane of "auto" */
    bool slow;     /* minnorm.c: its ball grows slowly; signs: Linf, steps by signs */
    bool signs;
    bool fresh;    /* descends from x, not from a random point */
    int64_t aim;   /* first row of the group descended on; -1: the deciding one */
    double *delta; /* (m) where the lane stands, coordinates of the region */
    double *grad;  /* (m) of the objective there; zero where nothing may move */
    double *best;  /* (m) best failing (distance) or lowest (margin) so far */
    double *spare; /* (m) the method's own */
    double *point; /* (n) the series at delta */
    double margin; /* F at delta */
    double value;  /* margin of the group aimed at */
    int32_t loss;  /* what grad is the gradient of, and its value (loss.c) */
    double loss_value;
    double best_norm, best_margin;
    double gap;     /* residual of best, where it is known; NaN */
    int32_t source; /* phase best is from */
    double radius, eps, rate, low, high; /* the method's own */
    int32_t side;                        /* line search: which end moved last */
    int64_t calls;                       /* gradients taken */
    int64_t limit;                       /* how many it may take in all: polish, hops */
} rob_lane;

/* One series' answer. */
typedef struct rob_found {
    double *point; /* (n) where the specification fails; x when nothing found */
    double *warp;  /* (steps) of method "warp": moves in time; else NULL */
    int64_t size, steps;
    double distance, margin, residual;
    double factor; /* least 1 + r k_i, where it was asked for; NaN */
    int64_t calls, closest;
    int32_t source;
    bool found;
} rob_found;

typedef struct rob_method rob_method;

struct rob_attack {
    rob_memory memory;
    const rob_method *method;
    double option[ROB_ATTACK_OPTIONS];
    int32_t loss; /* of loss.c */
    rob_found *found;
    double *x;       /* all the series as they were, one after the other */
    int64_t *offset; /* (count + 1) of series in x */
    int64_t count;
    double unit; /* the query's when the attack ran */
    double tolerance; /* of the deviation it asked for; NAN */
    /* universal: one perturbation, and how many series that were right it breaks */
    double *universal;
    int64_t universal_size, fooled, judged;
};

/* A block of series under attack. */
typedef struct rob_hunt {
    rob_ctx *ctx;
    const rob_attack *attack;
    rob_query *q;
    rob_evaluator *slope, *wide, *narrow; /* gradients; values in float64, float32 */
    int32_t norm;
    double cap;            /* radius in the units of the series, or what the other
                              parts leave of the norm; INFINITY: none */
    rob_region *region;    /* (series) of this block */
    double *room;          /* scratch of the region's operations */
    bool at_radius;        /* least margin at radius cap instead of least distance */
    int64_t first, series; /* the block: series first .. first + series - 1 */
    int32_t starts;        /* lanes a series */
    int64_t lanes;
    rob_lane *lane; /* (series, starts) */
    double *arena;  /* their vectors */
    int64_t rows;   /* the batch: active lanes */
    rob_lane **row;
    const double **point;
    double **grad;
    int64_t *steps;
    double *logits, *second; /* (lanes, L) */
    int32_t loss, phase; /* of loss.c and of ROB_PHASE_ */
    rob_found *found; /* (series) answers of this block */
    int64_t total;
} rob_hunt;

struct rob_method {
    const char *name;
    const rob_option *option;
    int64_t options;
    bool takes_loss; /* text option loss */
    int32_t (*starts)(const rob_attack *a, const rob_query *q);
    rob_status (*distance)(rob_hunt *h); /* NULL: one perturbation for all */
    rob_status (*margin)(rob_hunt *h);
    int32_t norms; /* of ROB_TAKES_ it searches in */
};

enum {
    ROB_TAKES_L0 = 1,
    ROB_TAKES_L1 = 2,
    ROB_TAKES_L2 = 4,
    ROB_TAKES_LINF = 8,
    ROB_TAKES_LENGTHS = 14, /* all but the counting norm */
    ROB_TAKES_ALL = 15
};

const rob_method *rob_priv_attack_method(const char *name); /* NULL: none */
const rob_method *rob_priv_attack_methods(int64_t *count);
bool rob_priv_method_takes(const rob_method *m, int32_t norm);
double rob_priv_attack_option(const rob_attack *a, const char *name);

/* ---- the block (hunt.c) ---------------------------------------------------------- */
rob_status rob_priv_hunt_create(rob_ctx *ctx, const rob_attack *a, rob_query *q,
                                rob_hunt *h);
void rob_priv_hunt_free(rob_hunt *h);
void rob_priv_hunt_begin(rob_hunt *h, int64_t first); /* lanes at x, none active */
int64_t rob_priv_lane_size(const rob_hunt *h, const rob_lane *l); /* m */
const rob_region *rob_priv_lane_region(const rob_hunt *h, const rob_lane *l);
/* u (m) into the region and the ball of that radius (INFINITY: no ball) */
void rob_priv_lane_project(const rob_hunt *h, const rob_lane *l, double radius,
                           double *u);
/* u (m) into the region unless it is there already */
void rob_priv_lane_settle(const rob_hunt *h, const rob_lane *l, double *u);
/* step (m), least in the norm with grad . step = -c from delta, between the walls; false:
 * there is none */
bool rob_priv_lane_plane(const rob_hunt *h, const rob_lane *l, const double *at,
                         const double *grad, double c, double *step);
const rob_case *rob_priv_lane_case(const rob_hunt *h, const rob_lane *l);
/* Start the lanes numbered `from` to `to` - 1 of every series that is worth it. */
void rob_priv_hunt_wake(rob_hunt *h, int32_t from, int32_t to);
/* Start all lanes: lane j of a series descends on its group ranked j mod candidates by
 * value at x, most promising first; 1: on the deciding row. (deepfool.c) */
rob_status rob_priv_hunt_aim(rob_hunt *h, int64_t candidates);
/* Of a deviation: the lanes of a series aim at its most promising groups (aim.c); else only
 * says which lanes are fresh. All lanes active, at x. */
rob_status rob_priv_aim_lanes(rob_hunt *h);
/* One gradient of every active lane: margin, value, grad. ROB_STOPPED: keep and leave.
 */
rob_status rob_priv_hunt_gradients(rob_hunt *h);
/* Margins only (no gradient). */
rob_status rob_priv_hunt_values(rob_hunt *h);
/* Keep delta as best when it fails and is nearer. */
void rob_priv_lane_keep(const rob_hunt *h, rob_lane *l);
/* Random direction, uniform in the ball of radius r of the norm, where it may move. */
void rob_priv_lane_scatter(const rob_hunt *h, rob_lane *l, double r, int64_t step);
/* The series' nearest failing lane is copied to its lane 0. */
void rob_priv_hunt_gather(rob_hunt *h);

/* ---- what is made small (loss.c) -------------------------------------------------- */
int32_t rob_priv_loss_named(const char *name); /* -1: none */
const char *rob_priv_loss_name(int32_t loss);
/* margin, value and loss_value of a lane at outputs f (L); seed (L) d loss / d f */
void rob_priv_loss_seed(const rob_case *c, rob_lane *l, const double *f, double *seed);

/* ---- answers (finish.c) ---------------------------------------------------------- */
/* Best of each series, moved to the boundary along its ray, rounded to float32 and
 * checked in both precisions; rounds: evaluations allowed after the first. */
rob_status rob_priv_hunt_finish(rob_hunt *h, int64_t rounds);

/* ---- phases that methods are made of, and methods -------------------------------- */
rob_status rob_priv_fast_distance(rob_hunt *h); /* deepfool.c */
rob_status rob_priv_fast_margin(rob_hunt *h);
rob_status rob_priv_pgd_distance(rob_hunt *h); /* pgd.c */
rob_status rob_priv_pgd_margin(rob_hunt *h);
rob_status rob_priv_apgd_distance(rob_hunt *h); /* apgd.c */
rob_status rob_priv_apgd_margin(rob_hunt *h);
rob_status rob_priv_square_distance(rob_hunt *h); /* square.c */
rob_status rob_priv_square_margin(rob_hunt *h);
rob_status rob_priv_linear_search(rob_hunt *h, int64_t steps); /* deepfool.c */
/* projected descent of the active lanes in the balls of their radius (pgd.c); momentum 0
 * to 1; stop: a lane leaves where it fails */
rob_status rob_priv_descend(rob_hunt *h, int64_t steps, double rate, double momentum,
                            bool stop);
/* d: length 1 in the norm, steepest for g, in L1 along that share of the numbers; d may be
 * g. false: g is zero or not finite */
bool rob_priv_direction_of(int32_t norm, const double *g, int64_t n, double share,
                           double *d);
/* keep delta as best when it is better; stop: a lane leaves where it fails (radius.c) */
void rob_priv_lane_note(const rob_hunt *h, rob_lane *l, bool stop);
/* a search of the active lanes from delta in the balls of their radius */
typedef rob_status rob_descent(rob_hunt *h, bool stop);
/* targets > 1: the searches of a series go for so many of its nearest classes in turn;
 * slopes: gradients may be asked */
rob_status rob_priv_ball_margin(rob_hunt *h, rob_descent *descend, int64_t targets,
                                bool stop);
rob_status rob_priv_ball_distance(rob_hunt *h, rob_descent *descend, int64_t targets,
                                  int64_t radii, bool slopes);
/* the radii of that search for the active lanes, from where they stand */
rob_status rob_priv_radius_search(rob_hunt *h, rob_descent *descend, int64_t radii,
                                  bool slopes);
/* the same as rob_priv_descend with the rules of Auto-PGD (apgd.c) */
rob_status rob_priv_auto_descend(rob_hunt *h, int64_t steps, bool stop);
rob_status rob_priv_norm_search(rob_hunt *h, int64_t steps);   /* minnorm.c */
rob_status rob_priv_long_walk(rob_hunt *h, int64_t steps);     /* walk.c */
/* active lanes stand where the way to the nearest of at most so many other series first
 * fails; those for which none does leave (other.c) */
rob_status rob_priv_start_at_others(rob_hunt *h, int64_t most);
rob_status rob_priv_normal_search(rob_hunt *h, int64_t steps); /* minnorm.c */
/* From where the active lanes stand to nearest boundary points (polish.c); a lane stops
 * at its limit. */
rob_status rob_priv_polish_search(rob_hunt *h, int64_t steps);
/* limits: what is left of a series' calls goes to its active lanes in equal parts (hop.c) */
void rob_priv_hunt_ration(rob_hunt *h);
/* length of the nearest failing point of the lane's series; INFINITY: none */
double rob_priv_hunt_nearest(const rob_hunt *h, const rob_lane *l);
rob_status rob_priv_hop_search(rob_hunt *h);
rob_status rob_priv_auto_distance(rob_hunt *h); /* auto.c */
rob_status rob_priv_auto_margin(rob_hunt *h);
int32_t rob_priv_auto_searches(const rob_attack *a, const rob_query *q);
/* these answer by themselves: no line search, distances in steps (warp.c) */
rob_status rob_priv_warp_distance(rob_hunt *h);
rob_status rob_priv_warp_margin(rob_hunt *h);
rob_status rob_priv_hopskipjump_distance(rob_hunt *h);         /* decision.c */
rob_status rob_priv_hopskipjump_margin(rob_hunt *h);
rob_status rob_priv_boundary_distance(rob_hunt *h);
rob_status rob_priv_boundary_margin(rob_hunt *h);
/* margins where every lane's best is drawn into the ball (method.c) */
rob_status rob_priv_draw_into_ball(rob_hunt *h);

/* ---- a whole attack (attack.c) --------------------------------------------------- */
rob_status rob_priv_attack_run(rob_ctx *ctx, rob_attack *a, rob_query *q,
                               bool at_radius);
void rob_priv_attack_forget(rob_attack *a);
/* room for the answers about q: nothing found, points at the series */
rob_status rob_priv_attack_answers(rob_ctx *ctx, const rob_query *q, rob_attack *to);

/* ---- one perturbation for all (universal.c) -------------------------------------- */
/* *delta (n), of a's memory, or NULL on error; ROB_STOPPED: the best so far */
rob_status rob_priv_universal_find(rob_ctx *ctx, const rob_attack *a, rob_query *q,
                                   double **delta, int64_t *n);
/* the answers of `a`: every series of q at x_i + its view of delta, which must be in the
 * region */
rob_status rob_priv_universal_judge(rob_ctx *ctx, rob_attack *a, rob_query *q,
                                    const double *delta, int64_t n);

#endif
