/* bound.h -- the engine of certified lower bounds, inside.
 *
 *     network of cells (lower.c)  ->  ranges of every cell on a ball (range.c)
 *     rows of coefficients moved back to x (sweep.c), concretised there (ball.c)
 *     margins, radii (margin.c, radius.c), many series (solve.c)
 *
 * Coefficients are free; only constants are rigorous. A sweep keeps, for every row,
 *
 *     row(x) >= sum over cells A_cell . cell(x) + base - (1 + m u) loss
 *
 * on the ball, in real arithmetic, whatever rounding did to A. See docs/theory/bound.md.
 */
#ifndef ROB_BOUND_INTERNAL_H
#define ROB_BOUND_INTERNAL_H

#include "fp/fp.h"
#include "la/la.h"
#include "la/rows.h"
#include "op/plane.h"
#include "query/query.h"

/* ---- the network, unrolled ------------------------------------------------------- */

enum {
    ROB_CELL_INPUT,   /* numbers [first, first + size) of x */
    ROB_CELL_KNOWN,   /* does not depend on x: lo, up are its range */
    ROB_CELL_VIEW,    /* numbers [first, first + size) of cell `root` */
    ROB_CELL_JOIN,    /* its inputs one behind the other */
    ROB_CELL_SUM,     /* in[0] + sign in[1] */
    ROB_CELL_PRODUCT, /* in[0] (rows, K) times known weights (K, N) */
    ROB_CELL_LINEAR,  /* any other affine operator, by its pull */
    ROB_CELL_CURVED,  /* between planes; operators without planes: between constants */
    ROB_CELL_COUPLED  /* rows (softmax), products of two uncertain values: couple.c */
};

/* An operand. sole: no other operand touches these numbers of the root. */
typedef struct rob_link { int32_t cell; bool sole; rob_shape shape; } rob_link;

/* Products with so few columns are taken as dot products. */
enum { ROB_NARROW = 4 };

typedef struct rob_cell {
    int32_t kind, root;           /* root: itself unless a view */
    int32_t time;                 /* step of the scan it was made in; -1: none */
    int32_t age;                  /* latest step it depends on */
    int32_t ins, output;          /* output: k of a node with several */
    bool live, tight;             /* depends on x; deserves a bound of its own */
    bool kinked;                  /* tight, outside scans, and nobody but relu reads it */
    bool shared;                  /* root whose numbers are read more than once */
    int32_t last;                 /* root: the last cell that reads it */
    int32_t loop, id;             /* scan and node that made it; -1: none */
    int64_t part;                 /* its first number there */
    int64_t size, first;
    int64_t link;                 /* links [link, link + ins) */
    int64_t at; /* range: numbers [at, at + size) of the work's arrays */
    int64_t kept;                 /* straight.c; -1: not affine in x */
    int64_t plane;                /* planes or weights of loss in the work's array */
    const double *lo, *up, *big;  /* KNOWN: range and max(|lo|, |up|) */
    const double *mass;           /* KNOWN: sum of the magnitudes of its terms */
    const void *packed; /* PRODUCT: op(W)' (N, K), packed; K <= ROB_NARROW: the
                         * doubles op(W) (K, N). LINEAR: a permutation's index */
    const void *onward; /* PRODUCT: op(W) (K, N), packed, for affine forms */
    rob_node node;
    double sign;
} rob_cell;

typedef struct rob_network {
    rob_memory memory;
    int32_t isa;
    const rob_la *la;
    const rob_rows_kernel *kernel;
    rob_graph *graph;
    rob_id x, y;                  /* in the graph */
    int64_t steps, features;
    rob_cell *cell;
    int32_t cells, capacity;
    rob_link *link;
    int64_t links, link_capacity;
    void **owned;                 /* everything else, to be freed */
    int64_t owns, owned_capacity;
    int32_t time;                 /* step being made; -1: outside any scan */
    int32_t loop, id;             /* what the next cell is: scan, node, first number */
    int64_t part;
    int64_t range_size, plane_size, kept_size, widest, most_ins;
    int32_t output;               /* the cell of the outputs */
} rob_network;

/* The graph (owned from here on, also on failure) unrolled, x (steps, 1, features). */
rob_status rob_priv_network_create(rob_ctx *ctx, rob_graph *graph, rob_id x,
                                   rob_id output, rob_network **out);
void rob_priv_network_free(rob_network *net);
/* multiply-adds of a bound with its ranges, substituting `depth` steps (0: all) */
double rob_priv_network_cost(const rob_network *net, int64_t depth, int64_t rows);

/* building, shared by lower*.c */
int32_t rob_priv_cell_add(rob_network *net, const rob_cell *c, const rob_link *in);
void *rob_priv_network_own(rob_network *net, int64_t count, int64_t size);
int32_t rob_priv_cell_known(rob_network *net, int64_t size, const double *lo,
                            const double *up);
int32_t rob_priv_cell_view(rob_network *net, int32_t of, int64_t first, int64_t size);
int32_t rob_priv_cell_join(rob_network *net, const int32_t *part, int64_t parts);
/* A cell for output k of node n on operands `in`; ROB_NONE when out of memory. */
int32_t rob_priv_cell_apply(rob_network *net, const rob_node *n, int32_t k,
                            rob_shape shape, const rob_link *in, int32_t ins);
rob_status rob_priv_cells_finish(rob_network *net);
int32_t rob_priv_live_ins(const rob_network *net, const rob_cell *c,
                          const rob_link **in);

/* ---- one thread's workspace ------------------------------------------------------ */

typedef struct rob_block { double *at; int64_t capacity; int32_t users; } rob_block;

/* {x0 + d : ||d||_norm <= eps, d = 0 where mask is 0}. With a region, its set instead,
 * at radius eps: only ball.c may then say what d is; whoever else computes with x, mask
 * and eps has to leave such balls alone. */
typedef struct rob_ball {
    const double *x;
    const uint8_t *mask;
    int32_t norm;
    double eps;
    const rob_region *region;     /* NULL: nothing but the mask */
} rob_ball;

/* What a sweep proves of a row: at any radius e <= the ball's, row >= fixed - e slope.
 * value is the best lower bound on the ball itself. */
typedef struct rob_proof { double value, fixed, slope; } rob_proof;

/* Rows of a specification as affine functions: row >= fixed + at.d on the ball, d = x - x0.
 * at: (rows, numbers); value: fixed - eps slope; now: (tile, numbers), of the sweep at work. */
typedef struct rob_affine { double *at, *fixed, *value, *now; bool active; } rob_affine;

/* The affine form of a root: symbols [first, first + rows), (rows, size) in a block. */
typedef struct rob_form { int32_t block; int64_t first, rows; } rob_form;
enum { ROB_FORM_MOST = 1 << 25 };   /* numbers of one form; above: ranges instead */

/* Number `at` of root `cell`: sign (z - where) <= 0 where the work's rows are wanted; so
 * beta sign (z - where) may be added to a row, beta >= 0. */
typedef struct rob_turn {
    int32_t cell;
    int64_t at;
    double sign, where, beta;
} rob_turn;

typedef struct rob_work {
    rob_memory memory;
    const rob_network *net;
    rob_ball ball;
    int64_t depth;                /* steps back-substituted; 0: all */
    double *lo, *up, *big;        /* (range_size) */
    double *plane;                /* (plane_size) */
    const double *inherited;      /* (plane_size) planes of a larger set; or NULL */
    double *touch;                /* (ROB_MAX_INS widest) scratch of relax */
    double *fresh;                /* (2 widest) a range before intersection */
    double *unit;                 /* (tile, widest) rows to start from */
    int64_t *which;               /* (tile) */
    rob_block *pool;
    int32_t blocks, block_capacity;
    int32_t *block;               /* (cells) block held by a root; -1: none */
    int64_t tile;                 /* rows swept at a time */
    double *base, *loss, *cost, *base2, *loss2;              /* (tile) */
    double *measure;              /* (tile, width) */
    int64_t width;
    rob_proof *proof;             /* (tile) */
    rob_range *range;             /* (most_ins) */
    double *kept, *kept_x;        /* straight.c: (kept_size), (steps features) */
    int32_t kept_norm;
    double *held_lo, *held_up;    /* (range_size) proved of this ball before; or NULL */
    struct rob_halves *halves;        /* half-spaces that cut the ball (half.h); or NULL */
    rob_turn *turn;               /* (turns) multipliers that rows take on the way */
    int64_t turns;
    struct rob_branch *branch;    /* branch and bound; NULL: not asked for */
    struct rob_alpha *alpha;      /* planes are chosen for rows; NULL: not asked for */
    int64_t choices, rounds, chosen;  /* substitutions a row, rounds, ranges a round */
    double enough, deadline;      /* a margin to stop at, a time (rob_priv_clock) */
    /* affine forms (forward.c); form NULL: not asked for */
    rob_form *form;               /* (cells) */
    double *centre, *spread, *extent;  /* (range_size) base, rad, magnitude */
    double *reach;                /* (steps features) largest |x| */
    double *sum, *turned;         /* scratch: (4 widest), (2 widest features) */
    double *seen;                 /* scratch: (2 widest, width) */
    double *ends;                 /* scratch: (2 widest) */
    rob_affine *affine;           /* wanted of rows; NULL: nothing */
    struct rob_pairs *joint;      /* joint domains (joint.h); NULL: boxes alone */
    int64_t *symbol;              /* number of x, or -1: a noise */
    int64_t symbols, symbol_capacity, symbols_most;
    double *most;                 /* largest |symbol| */
    double furthest;              /* largest magnitude of a symbol, at least 1 */
    bool sweeps;                  /* tight cells are swept (crown) */
    bool sounding, found;         /* a sample of each is, to see which are worth it; some is */
    bool *idle;                   /* (cells) those that are not */
    double gain;                  /* least that sweeps are to win; 0: they always come */
    struct rob_single *single;    /* evaluation in float32 (single.h); NULL: real numbers */
    void (*fault_strip)(rob_strip *s); /* for tests, like fault */
    /* While a radius is searched for, a ball far too large is given up half way. */
    bool search, was_narrow, hopeless;
    double *wide;                 /* (cells) widths of tight cells by intervals alone */
    double by_interval, by_all;   /* widths of this step's tight cells, summed */
    /* Called on every block of coefficients a walk meets (adjoint.c); NULL: not. */
    void (*look)(void *user, int32_t cell, int64_t rows, const double *a);
    void *look_user;
    struct rob_second *second;    /* quadratic forms (second.h); NULL: not asked for */
    bool bends;                   /* ranges are being made with them */
    double steep_fault;           /* share of derivatives' widths that tests leave out */
    bool plain;                   /* rows have one end, at `depth` (certificates) */
    bool empty;                   /* a range has no number in it: neither has the set */
    bool again;                   /* ranges start from those that the pass before has proved */
    bool broken;                  /* a range is empty or infinite: nothing is proved */
    double ops;                   /* roundings in any chain of losses so far */
    bool (*stop)(void *user);     /* asked once a step; NULL: never stop */
    void *stop_user;
    /* For tests: called on the planes made, so that a wrong one can be seeded and the
     * tests be seen to catch it. */
    void (*fault)(rob_bend *b);
} rob_work;

rob_status rob_priv_work_open(const rob_network *net, rob_work **out);
void rob_priv_work_close(rob_work *w);

/* Does an operator come between planes (rather than between constants)? */
static inline bool rob_priv_has_planes(const rob_node *n)
{
    return n->op->relax != NULL && (n->op->kind & ROB_OP_ELEMENTWISE) != 0
           && n->ins <= ROB_MAX_INS;
}

static inline rob_range rob_priv_cell_range(const rob_work *w, int32_t i)
{
    const rob_cell *c = &w->net->cell[i];
    rob_range r = {{1, {c->size}}, (double *)c->lo, (double *)c->up};
    if (c->live) {
        r.lo = w->lo + c->at;
        r.up = w->up + c->at;
    }
    return r;
}

static inline const double *rob_priv_cell_big(const rob_work *w, int32_t i)
{
    const rob_cell *c = &w->net->cell[i];
    return c->live ? w->big + c->at : c->big;
}

/* Ranges of all cells on the ball: by intervals, or also by affine forms and sweeps, as
 * the work is set. ROB_STOPPED: cancelled, ranges incomplete. */
rob_status rob_priv_ranges(rob_work *w, bool crown);
/* A cell's image under the interval rule, into fresh; its range by sweeps; magnitudes. */
void rob_priv_range_image(rob_work *w, const rob_cell *c);
rob_status rob_priv_range_tighten(rob_work *w, int32_t cell);
void rob_priv_range_seal(rob_work *w, const rob_cell *c);
int32_t rob_priv_block_take(rob_work *w, int64_t numbers);

/* Affine forms. begin, each cell in order, rows on the last, end. False: no memory. */
rob_status rob_priv_forward_open(rob_work *w);
void rob_priv_forward_begin(rob_work *w);
bool rob_priv_forward_cell(rob_work *w, int32_t cell);
bool rob_priv_forward_rows(rob_work *w, int32_t cell, int64_t rows, const double *a,
                           int64_t lda, const double *base, double *value);
void rob_priv_forward_end(rob_work *w);
/* straight.c: ranges of cells affine in x. find: which cells. recall: from an earlier
 * radius, false where there is none; begin, keep: after the sweep of rows +-e_which. */
rob_status rob_priv_straight_find(rob_network *net);
bool rob_priv_straight_recall(rob_work *w, int32_t cell);
void rob_priv_straight_begin(rob_work *w, int32_t cell);
void rob_priv_straight_keep(rob_work *w, int32_t cell, const int64_t *which,
                            int64_t count);
/* Planes of a curved cell and weights of loss, from the ranges of its operands. */
void rob_priv_plane_prepare(rob_work *w, int32_t cell);
/* The weights again, once planes were exchanged. */
void rob_priv_plane_weigh(rob_work *w, int32_t cell);
/* The planes: operands are the live ones, in order. */
rob_bend rob_priv_plane_of(const rob_work *w, int32_t cell);
/* Cells of kind COUPLED. numbers: of their planes in the work's array, before the cell
 * has links. bend: constants and weights of loss. pull: coefficients a (count, size) to
 * those on an operand, to (count, its size), cleared before; constants and losses come
 * with operand 0. */
bool rob_priv_is_coupled(const rob_node *n);
int64_t rob_priv_couple_numbers(const rob_network *net, const rob_cell *c,
                                const rob_link *in);
/* What planes need beside the operands' ranges, by sweeps of its own. */
rob_status rob_priv_couple_refine(rob_work *w, int32_t cell);
void rob_priv_couple_prepare(rob_work *w, int32_t cell);
rob_bend rob_priv_couple_bend(const rob_work *w, int32_t cell);
void rob_priv_couple_pull(rob_work *w, int32_t cell, int64_t count, const double *a,
                          int32_t operand, double *to);
/* product.c: rows of a (count, rows n) through a product with packed op(W)' to
 * to (count rows of k, ld apart); start: nothing is there yet. scratch: as many numbers as
 * the other says, or NULL. Permutations: the index of a LINEAR cell, and its use. */
int64_t rob_priv_product_scratch(int64_t n, int64_t k);
void rob_priv_product_move(const rob_network *net, int64_t count, int64_t rows, int64_t n,
                           int64_t k, const double *a, const void *packed, double *to,
                           int64_t ld, bool start, double *scratch);
bool rob_priv_permute_prepare(rob_network *net, rob_cell *c, const rob_link *in);
void rob_priv_permute_move(const rob_cell *c, int64_t count, const double *a, double *to,
                           int64_t ld);
/* Weights of loss of a product. Both: absolute slack of one row behind the weights. */
const double *rob_priv_plane_weight(const rob_work *w, int32_t cell);
/* ranges of the operands of a cell, in w->range */
const rob_range *rob_priv_operands(rob_work *w, const rob_cell *c);

/* Rows a (rows <= tile, lda) of coefficients on numbers of `cell`, plus base; proofs in
 * w->proof. */
rob_status rob_priv_sweep(rob_work *w, int32_t cell, int64_t rows, const double *a,
                          int64_t lda, const double *base);

/* ---- the ball -------------------------------------------------------------------- */
void rob_priv_ball_range(const rob_ball *b, int64_t first, int64_t size, double *lo,
                         double *up);
/* Numbers of a row's measure. */
int64_t rob_priv_ball_width(const rob_ball *b);
/* Coefficients a (rows, lda) on x[first..first+size): add a.x0 to base, what it may
 * cost to loss, and to measure (rows, width) what the dual norm needs (squares, absolute
 * sums, or maxima). */
void rob_priv_ball_collect(const rob_ball *b, int64_t first, int64_t size, int64_t rows,
                           const double *a, int64_t lda, double *base, double *loss,
                           double *measure);
/* dual norm, rounded up, from a row's measure of at most `ops` roundings */
double rob_priv_ball_slope(const rob_ball *b, const double *measure, double ops);
/* the most A.d can lose on the ball: eps times that slope, or less by other parts */
double rob_priv_ball_loss(const rob_ball *b, const double *measure, double slope,
                          double ops);

/* ---- specifications -------------------------------------------------------------- */

/* Rows C f + b of outputs, groups of them. */
typedef struct rob_demand {
    int64_t rows, groups, outputs;
    const double *c, *b;
    const int32_t *group;
} rob_demand;

/* One bound on one ball. row: (rows) proofs. margin: min over groups of max over rows
 * of value. crossing: largest radius <= infinity up to which the affine forms alone
 * prove every group; certified where it does not exceed the ball's. */
typedef struct rob_outcome { double margin, crossing; } rob_outcome;
void rob_priv_affine_gather(rob_work *w, const rob_cell *c, int64_t rows, const double *a);
/* universal.c: the bound of a ball with affine functions of its rows, (rows, T D), then
 * fixed and value (rows). */
rob_status rob_priv_bound_affine(rob_work *w, const rob_ball *ball, const rob_demand *d,
                                 bool crown, rob_proof *row, double *affine, rob_outcome *out);
/* Room for what rows of the ball need. */
bool rob_priv_bound_room(rob_work *w, const rob_ball *ball);
rob_status rob_priv_bound_ball(rob_work *w, const rob_ball *ball, const rob_demand *d,
                               bool crown, rob_proof *row, rob_outcome *out);

typedef struct rob_search {
    double cap, tolerance;
    int64_t calls_max;
    double radius, margin;        /* out: certified; margin proved there */
    int64_t calls;
} rob_search;
/* certify.c: the ball's bound once more, so that a certificate can say how. */
struct rob_cert;
rob_status rob_priv_bound_certify(rob_work *w, const rob_ball *ball,
                                  const rob_demand *d, struct rob_cert *cert);
/* In the units of the series, at least. */
double rob_priv_ball_budget(const rob_region *r, int64_t t);
/* Largest radius found: every one reported was certified by a call of its own. */
rob_status rob_priv_bound_radius(rob_work *w, const rob_ball *ball, const rob_demand *d,
                                 bool crown, rob_proof *row, rob_search *s);

#endif
