/* check.h -- a certificate proved again by other means than those that found it.
 *
 *     the model's graph, unrolled (unroll.c); for each of its values, operands first:
 *       its range by the operator's rule, or as claimed where rows prove it (rows.c);
 *       its planes as claimed, where they hold on the operands' ranges (planes.c);
 *     then the rows of the specification (check.c).
 *
 * Nothing is shared with src/bound but src/fp and the rules in the operator table. Rows
 * say  row(x) >= sum over values A_v . v(x) + base - loss  on the region; A is whatever
 * was computed, loss pays. docs/theory/certificate.md.
 */
#ifndef ROB_CHECK_H
#define ROB_CHECK_H

#include "cert/cert.h"
#include "fp/fp.h"
#include "model/model.h"
#include "op/op.h"

enum {
    ROB_CHECK_X,       /* numbers [first, first + size) of x */
    ROB_CHECK_KNOWN,   /* does not depend on x */
    ROB_CHECK_WINDOW,  /* numbers [first, first + size) of value `root` */
    ROB_CHECK_JOIN,    /* operands one behind the other */
    ROB_CHECK_SUM,     /* in[0] + sign in[1] */
    ROB_CHECK_PRODUCT, /* in[0] (rows, K) times numbers (K, N) */
    ROB_CHECK_AFFINE,  /* by the operator's pull */
    ROB_CHECK_CURVE,   /* between planes, or between constants */
    ROB_CHECK_ROW,     /* softmax and the like: planes that couple a row's numbers */
    ROB_CHECK_PAIR     /* in[0] times in[1], both depend on x */
};
enum { ROB_CHECK_PAD = 16 };

/* Planes of a curve for rows of one kind: slopes of operands that depend on x, offsets.
 * Of a row: slope_k s_k - left_k <right, s> + offset_k. Of a pair: packed (rows, pad) ends
 * of the operands, low[0] of the first, low[1] and high of the second. */
typedef struct rob_check_plane {
    const double *slope[2][ROB_MAX_INS], *offset[2], *left[2], *right[2], *gap;
    double *low[2], *high;
    double *weight;               /* (size) what a coefficient may cost, and its slack */
} rob_check_plane;

/* Of an element of a gate with inputs x, y: lo_k <= y - m_k x <= up_k, y in second. m_k 0:
 * nothing. The blend's y is h - n. */
enum { ROB_CHECK_STRIPS = 2 };
typedef struct rob_check_box { double lo, up; } rob_check_box;
typedef struct rob_check_joint {
    double m[ROB_CHECK_STRIPS];
    rob_check_box rest[ROB_CHECK_STRIPS], second;
} rob_check_joint;

typedef struct rob_check_value {
    int32_t kind, root, time, age, ins, output;
    int32_t loop, step, node;     /* its name in certificates, with part */
    bool live;
    int64_t size, first, part, link;
    double sign;
    double *lo, *up, *big;        /* of a root */
    const double *turned;         /* PRODUCT: op(W)' (N, K), rows `pad` apart */
    int64_t pad;
    rob_node of;
    rob_check_plane plane;        /* CURVE: for all rows; PRODUCT: weight */
    rob_check_joint *joint;       /* (size) of a gate; NULL: its box */
} rob_check_value;

typedef struct rob_check_link { int32_t value; rob_shape shape; } rob_check_link;

typedef struct rob_check_net {
    rob_memory memory;
    rob_graph *graph;
    rob_id x;
    int64_t steps, features, widest;
    rob_check_value *value;
    int32_t values, capacity;
    rob_check_link *link;
    int64_t links, link_capacity;
    void **owned;
    int64_t owns, own_capacity;
    const char *refused;          /* what has no rule here */
    int32_t output;
} rob_check_net;

/* unroll.c: the graph is owned from here on, also on failure. */
rob_status rob_priv_check_unroll(rob_ctx *ctx, rob_graph *g, rob_id x, rob_id output,
                                 rob_check_net **out);
void rob_priv_check_net_free(rob_check_net *net);
/* What was owned from number `owns` on is let go. */
void rob_priv_check_let_go(rob_check_net *net, int64_t owns);
void *rob_priv_check_own(rob_check_net *net, int64_t count, int64_t size);

/* kernel.c: rows of a, m, to are lda, ldm, ld apart. product: rows a multiple of 4, m
 * with whole tiles of ROB_CHECK_PAD columns. */
typedef struct rob_check_kernel {
    void (*product)(int64_t rows, int64_t n, int64_t k, const double *a, int64_t lda,
                    const double *m, int64_t ldm, double *to, int64_t ld);
    void (*ends)(int64_t rows, int64_t n, const double *a, int64_t ld, const double *lo,
                 const double *up, const double *w, double *base, double *cost);
    void (*slopes)(int64_t rows, int64_t n, const double *a, int64_t lda,
                   const double *lo, const double *up, double *to, int64_t ld);
    void (*add)(int64_t rows, int64_t n, double sign, const double *a, int64_t lda,
                double *to, int64_t ld);
} rob_check_kernel;
const rob_check_kernel *rob_priv_check_kernel(int32_t isa);

typedef struct rob_check_work {
    rob_ctx *ctx;
    rob_check_net *net;
    const rob_cert *cert;
    const char *path;
    const rob_claim **order;      /* (claims) by name */
    rob_range *range;             /* scratch: operands */
    double *fresh;                /* (2 widest) an image */
    int64_t tile;                 /* rows at a time */
    double **block;               /* (values) coefficients (tile, size) of a root */
    double **spare;               /* blocks not in use, of the widest size */
    int64_t spares;
    const rob_check_kernel *kernel;
    double *base, *loss, *value, *cost;                      /* (tile) */
    double *measure;              /* (tile, 3) of the dual norm, budgets, walls */
    double ops;                   /* roundings in any chain of losses so far */
    int32_t part;                 /* of the region, whose claims count */
    int64_t rows, planes, ranges; /* proved so far */
} rob_check_work;

rob_range rob_priv_check_range(const rob_check_work *w, int32_t value, rob_shape shape);
const rob_range *rob_priv_check_operands(rob_check_work *w, const rob_check_value *v);

/* planes.c: does slope.z + offset stay below (above) the operator on the box? Only by
 * enclosures of tanh and sigmoid and one-line arguments. */
bool rob_priv_check_plane(const rob_node *n, const rob_check_box *box,
                          const double *slope, double offset, bool above);
/* joint.c: the same of a gate where also the strips hold. */
bool rob_priv_check_joint(const rob_node *n, const rob_check_box *box,
                          const rob_check_joint *j, const double *slope, double offset,
                          bool is_above);
/* Below k sigmoid(x) - a x on [l, u]. */
double rob_priv_check_sigmoid(double k, double a, double l, double u);

/* rows.c: rows unit (or c b) on a value back by `depth` turns (0: all), lower bounds in
 * w->value. sign_e: numbers and signs, one a row. */
typedef struct rob_check_unit { int64_t e; double sign; } rob_check_unit;
bool rob_priv_check_units(rob_check_work *w, int32_t value, const rob_check_unit *unit,
                          int64_t count, int64_t depth);
bool rob_priv_check_row(rob_check_work *w, const double *c, double b, int64_t depth);
/* The same of any rows (count <= tile) on a value. */
bool rob_priv_check_rows(rob_check_work *w, int32_t value, const double *row,
                         int64_t count, int64_t depth);
/* Weights of loss of a PRODUCT or CURVE. */
bool rob_priv_check_weigh(rob_check_work *w, int32_t value, rob_check_plane *p);
const double *rob_priv_check_big(const rob_check_net *net, int32_t value);

/* couple.c: what ROW and PAIR need once their operands have ranges (of a ROW, the claimed
 * planes); coefficients a (count, size) to those on operand i, to (count, its size), cleared
 * before; constants and losses come with operand 0. */
bool rob_priv_check_couple(rob_check_work *w, int32_t value);
bool rob_priv_check_uncouple(rob_check_work *w, int32_t value, int64_t count,
                             const double *a, int32_t i, double *to);

/* region.c: the least and largest x_k, and what a row's coefficients on x can lose. */
void rob_priv_check_x(const rob_cert *c, int64_t k, double *lo, double *up);
void rob_priv_check_collect(const rob_cert *c, int64_t first, int64_t size, int64_t rows,
                            const double *a, double *base, double *loss, double *measure);
double rob_priv_check_lost(const rob_cert *c, const double *measure, double ops);

/* What was proved, and what it took. */
typedef struct rob_check_result {
    double margin, seconds;
    int64_t planes, ranges, rows;
} rob_check_result;
/* ROB_EDOMAIN: the certificate does not prove what it says, and why; ROB_EUNSUPPORTED:
 * the model has an operator without a rule here. */
rob_status rob_priv_check(rob_ctx *ctx, const rob_model *model, const rob_cert *cert,
                          const char *path, rob_check_result *out);

#endif
