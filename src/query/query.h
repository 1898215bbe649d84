/* query.h -- the question, as every method reads it.
 *
 * Units. Internally x and radii are in the model's INPUT units, that is the units of
 * the series as given: the recipe's affine input map is part of the graph. "Model
 * units" are what the network sees behind that map; a radius set in model units is
 * multiplied by |input_scale| when asked for (rob_priv_query_radius).
 */
#ifndef ROB_QUERY_H
#define ROB_QUERY_H

#include "model/model.h"
#include "query/region.h"
#include <robust/query.h>

/* One row of a specification: fails when, in some group, every row has c.f + b <= 0. */
typedef struct rob_spec {
    int64_t rows, groups, outputs;
    double *c;      /* (rows, outputs) */
    double *b;      /* (rows) */
    int32_t *group; /* (rows), 0 <= group < groups, groups contiguous */
} rob_spec;

typedef struct rob_case {
    double *x;                    /* (steps, features) as given */
    int64_t steps, label, target; /* -1: none */
    uint8_t *mask;                /* (steps, features) 1: may move; NULL: all may */
    rob_parts parts;              /* of the region; where empty, the query's */
    rob_tensor *band;             /* the query's band limit at this length */
    int64_t reference; /* class the distance is measured from; -1 not yet computed */
    int64_t prediction;
    double margin; /* of spec at x, float64 */
    rob_spec spec; /* of this series; valid after rob_priv_query_prepare */
    bool wrong;    /* already fails at x itself: distance 0 */
} rob_case;

typedef struct rob_evaluator rob_evaluator;

struct rob_query {
    rob_memory memory;
    rob_model *model; /* a reference of its own */
    int64_t count, capacity;
    rob_case *cases;
    uint8_t *mask;
    int64_t mask_count; /* default mask for all, or NULL */
    rob_parts parts;    /* of the region of every series without its own */
    bool relative;      /* scale |x| */
    int64_t modes;      /* band limit; 0: none */
    double variation, difference; /* in the query's units; INFINITY: none */
    int64_t most_steps; /* that may move; 0: any */
    int32_t norm;       /* ROB_NORM_... */
    double radius;      /* as set; INFINITY: search without cap */
    int32_t units, reference;
    rob_spec rows; /* user's own rows; rows = 0: none */
    bool around;   /* they speak of f - f(x): bands around the prediction */
    double tolerance; /* of a deviation asked for; NAN: none is */
    bool prepared;
    double *best; /* (count) least distance any attack found, in the units of
                     the series as given; INFINITY: none */
    double **best_point; /* (count) where; NULL until a first success, valid where best
                            is finite */
    double *proved; /* (count) largest distance any bound proved, the same units; 0 */
    rob_evaluator *evaluator[2][2]; /* [float32, float64][values, gradients]; cached */
    double *scratch; /* (count, L) outputs, points and lengths of all the cases */
    const double **points;
    int64_t *lengths;
};

/* ---- life; the public functions check arguments and call these ------------------- */
rob_status rob_priv_query_create(rob_ctx *ctx, const rob_model *model, rob_query **out);
void rob_priv_query_free(rob_query *q);
/* x (steps, D), finite; all of `series` or none */
rob_status rob_priv_query_append(rob_ctx *ctx, rob_query *q, const double *x,
                                 int64_t steps, int64_t label);
rob_status rob_priv_query_replace(rob_ctx *ctx, rob_query *q, int64_t i,
                                  const double *x, int64_t steps, int64_t label);
void rob_priv_query_truncate(rob_query *q, int64_t count);
rob_status rob_priv_query_mask(rob_ctx *ctx, rob_query *q, int64_t i,
                               const uint8_t *mask, int64_t count);
rob_status rob_priv_query_rows(rob_ctx *ctx, rob_query *q, const double *c,
                               const double *b, const int32_t *group, int64_t rows);
/* a group more for every finite side: output outside [below, above] around the prediction;
 * -1: none left */
rob_status rob_priv_query_around(rob_ctx *ctx, rob_query *q, int64_t output, double below,
                               double above);
/* a group for each of the outputs (NULL: all) and each side asked for */
rob_status rob_priv_query_deviate(rob_ctx *ctx, rob_query *q, const int64_t *output,
                                  int64_t count, int32_t direction, double tolerance);
/* predictions, specifications and best distances are no longer known */
void rob_priv_query_forget(rob_query *q);
/* Room for the best point of case i; nothing to do when it is there. */
rob_status rob_priv_query_best_room(rob_ctx *ctx, rob_query *q, int64_t i);
/* Keep a failing point (steps, D) of case i when it is nearer; needs the room. */
void rob_priv_query_keep_best(rob_query *q, int64_t i, double distance,
                              const double *point);
/* Keep a proved distance, in the units of the series. */
void rob_priv_query_keep_proved(rob_query *q, int64_t i, double distance);
/* the mask in force for case i, or NULL: all may move */
const uint8_t *rob_priv_query_mask_of(const rob_query *q, int64_t i);

/* ---- the region (parts.c, region.h) ---------------------------------------------- */
void rob_priv_query_region(const rob_query *q, int64_t i, rob_region *out);
/* largest rob_priv_region_reach of any series */
double rob_priv_query_reach(const rob_query *q);
/* parts of all series together */
int32_t rob_priv_query_parts(const rob_query *q);
/* ROB_EUNSUPPORTED unless the region's parts are among `known`; who: the noun that
 * refuses */
rob_status rob_priv_query_knows(rob_ctx *ctx, const rob_query *q, int32_t known,
                                const char *who);
/* the lists of series i (-1: of all); values NULL: none */
rob_status rob_priv_query_scale(rob_ctx *ctx, rob_query *q, int64_t i,
                                const double *scale, int64_t count);
rob_status rob_priv_query_box(rob_ctx *ctx, rob_query *q, int64_t i, const double *low,
                              const double *high, int64_t count);
rob_status rob_priv_query_budget(rob_ctx *ctx, rob_query *q, int64_t i,
                                 const double *budget, int64_t count);
rob_status rob_priv_query_subspace(rob_ctx *ctx, rob_query *q, int64_t i,
                                   const double *e, int64_t rows, int64_t columns);
rob_status rob_priv_query_band(rob_ctx *ctx, rob_query *q, int64_t modes);
/* a series x (steps, D) at place i fits the parts set; band: what a band limit needs at
 * that length */
rob_status rob_priv_query_fits(rob_ctx *ctx, const rob_query *q, int64_t i,
                               const rob_parts *own, const double *x, int64_t steps);
rob_status rob_priv_query_band_of(rob_ctx *ctx, const rob_query *q, int64_t steps,
                                  rob_tensor **out);
void rob_priv_parts_free(const rob_memory *m, rob_parts *p);
/* parts that exclude each other */
rob_status rob_priv_query_agrees(rob_ctx *ctx, const rob_query *q);

/* Predict every case, fix reference classes and specifications (untargeted: one group
 * per other class; targeted: one group of all rows f_k - f_target; rows set: those).
 * Cached. */
rob_status rob_priv_query_prepare(rob_ctx *ctx, rob_query *q);
/* the ball's radius in the units of the series as given */
double rob_priv_query_radius(const rob_query *q);
/* factor from the units of the series to the units answers are reported in */
double rob_priv_query_unit(const rob_query *q);

/* ---- evaluation of many points at once ------------------------------------------- */

/* Forward and gradient programs of the query's model, tile by tile. A batch is any list
 * of rows; row r is a point (steps_r, D) of some case. */
rob_status rob_priv_evaluator_create(rob_ctx *ctx, const rob_model *model,
                                     int32_t dtype, int64_t steps /* largest */,
                                     bool lengths_differ, bool gradient,
                                     rob_evaluator **out);
void rob_priv_evaluator_free(rob_evaluator *e);
/* logits (rows, L) of points: point[r] -> (steps[r], D) doubles. */
rob_status rob_priv_evaluate(rob_ctx *ctx, rob_evaluator *e, int64_t rows,
                             const double *const *point, const int64_t *steps,
                             double *logits);
/* The same, then seed(user, row, logits_r, seed_r) sets d objective / d logits (L) and
 * grad[r] (steps_r, D) receives the gradient of the objective. Called from workers:
 * seed must depend on its arguments only. One forward and one backward pass. */
rob_status rob_priv_gradients(rob_ctx *ctx, rob_evaluator *e, int64_t rows,
                              const double *const *point, const int64_t *steps,
                              double *logits,
                              void (*seed)(void *user, int64_t row,
                                           const double *logits, double *seed),
                              void *user, double *const *grad);

/* The query's own evaluator of that precision, made when first asked for and again when
 * lengths or instruction set changed. Belongs to the query. */
rob_status rob_priv_query_evaluator(rob_ctx *ctx, rob_query *q, int32_t dtype,
                                    bool gradient, rob_evaluator **out);
/* false: made for other lengths, precision of kernels or model */
bool rob_priv_evaluator_fits(const rob_evaluator *e, const rob_ctx *ctx, int64_t steps,
                             bool lengths_differ);

/* margin of a specification at outputs f: min over groups of max over rows (C f + b);
 * the deciding row in *row (may be NULL). <= 0: fails. */
double rob_priv_spec_margin(const rob_spec *s, const double *f, int64_t *row);
/* margin of the group whose first row is `first`; *next: first row of the next group */
double rob_priv_spec_group(const rob_spec *s, const double *f, int64_t first,
                           int64_t *row, int64_t *next);
/* the specification of one series: reference against every other class, or towards
 * target; c, b, group hold (outputs - 1) rows */
void rob_priv_spec_fill(rob_spec *s, int64_t outputs, int64_t reference,
                        int64_t target);
int64_t rob_priv_argmax(const double *f, int64_t n); /* lowest index wins a tie */
/* ||d||_p of (n) numbers, plain */
double rob_priv_norm(int32_t norm, const double *d, int64_t n);

#endif
