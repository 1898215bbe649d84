/* sample.h -- inside the samplers: a margin on a sphere, directions, the two
 * estimators.
 *
 * The estimators know nothing of models: they see a field, that is a margin F(u) for
 * unit vectors u of R^m (m numbers that may move), and estimate P(F(u) <= 0). curve.c
 * makes one of a query's series and a radius.
 */
#ifndef ROB_SAMPLE_H
#define ROB_SAMPLE_H

#include "core/core.h"
#include <robust/sampler.h>

enum { ROB_SAMPLE_OPTIONS = 10 };

typedef struct rob_field {
    int64_t dimension;        /* m >= 1 */
    /* margin[r] = F(u[r]); never called with rows < 1 or more than the room's block */
    rob_status (*margins)(void *user, int64_t rows, const double *const *u,
                          double *margin);
    void *user;
} rob_field;

/* Answer at one radius. hits of samples failed (counting: all draws; splitting: the
 * last level's particles); levels passed; margins computed. */
typedef struct rob_estimate {
    double logp, lower, upper;
    int64_t samples, hits, levels, calls;
    int32_t method;           /* ROB_SAMPLED_... */
} rob_estimate;

enum { ROB_SAMPLED_NOT = -1, ROB_SAMPLED_EXACT = 0, ROB_SAMPLED_COUNT = 1,
       ROB_SAMPLED_SPLIT = 2 };

typedef struct rob_sample_settings {
    int64_t samples;          /* counting */
    int64_t pilot, least; /* give up after `pilot` draws with fewer hits than this */
    int64_t particles, moves, budget;   /* splitting; budget 0: none */
    double share, floor;      /* of particles killed a level; least log p looked for */
    double confidence;
} rob_sample_settings;

/* Everything the estimators write to; made once for the largest m. */
typedef struct rob_room {
    rob_ctx *ctx;
    rob_memory memory;
    int64_t block, dimension, particles;
    double *arena;            /* (block + particles, dimension) */
    double **row;             /* (block) proposals or draws */
    double **particle;        /* (particles) */
    const double **look;      /* (block) rows of one call */
    double *margin;           /* (block) */
    double *level;            /* (particles) F of each */
    double *sorted;           /* (particles) */
    int64_t *killed, *alive;  /* (particles) */
    int64_t done, total;      /* for progress: radii */
} rob_room;

rob_status rob_priv_room_create(rob_ctx *ctx, int64_t dimension, int64_t particles,
                                rob_room *out);
void rob_priv_room_free(rob_room *room);
/* may have stopped; otherwise F of rows u, ROB_ENUMERIC when one is NaN */
rob_status rob_priv_room_margins(rob_room *room, const rob_field *f, int64_t rows,
                                 const double *const *u, double *margin);

/* ---- the sphere (sphere.c) ------------------------------------------------------- */

/* key of a series' random numbers, one for each purpose */
enum { ROB_DRAW_DIRECTION = 0x73616d70, ROB_DRAW_PARENT, ROB_DRAW_MOVE,
       ROB_DRAW_NOISE };
uint64_t rob_priv_sphere_key(uint64_t seed, int64_t series, int32_t purpose);
/* uniform direction number `index` of a key */
void rob_priv_sphere_draw(uint64_t key, uint64_t index, int64_t m, double *u);
/* to = cos(angle) u + sin(angle) w, w a uniform unit vector orthogonal to u; m > 1 */
void rob_priv_sphere_move(uint64_t key, uint64_t index, int64_t m, double angle,
                          const double *u, double *to);

/* ---- estimators ------------------------------------------------------------------ */

/* ROB_STOPPED: *out is not valid */
rob_status rob_priv_sample_exact(rob_room *room, const rob_field *f, rob_estimate *out);
rob_status rob_priv_sample_count(rob_room *room, const rob_field *f, uint64_t seed,
                                 int64_t series, const rob_sample_settings *s,
                                 rob_estimate *out); /* count.c */
rob_status rob_priv_sample_split(rob_room *room, const rob_field *f, uint64_t seed,
                                 int64_t series, const rob_sample_settings *s,
                                 rob_estimate *out); /* split.c */

#endif
