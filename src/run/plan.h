/* plan.h -- what the files of run share: places, roots, steps, programs, builders.
 *
 * A ROOT is a piece of memory; a PLACE is where a value lives: a root, an offset and a
 * stride per dimension (in elements), so split, pick, reshape, expand, permute and the
 * parts of a concat cost nothing. A PROGRAM is a list of steps: program 0 is the
 * graph's, every scan's body has its own. A program's prologue holds what depends
 * neither on the step of its scan nor on inputs: it runs once per run of the scan, or,
 * in program 0, once per workspace. A body's MOVING roots change their address with
 * the step t.
 */
#ifndef ROB_RUN_PLAN_H
#define ROB_RUN_PLAN_H

#include "la/la.h"
#include "run/run.h"

enum { RUN_ARENA, RUN_CONST, RUN_MOVING };
enum { RUN_KERNEL, RUN_PRODUCT, RUN_PACK, RUN_COPY, RUN_SCAN, RUN_LEAN, RUN_KINDS };
enum { RUN_OUT = ROB_MAX_INS, RUN_OPERANDS }; /* operand numbers: inputs, then output */

typedef struct run_place {
    int32_t root; /* -1: nowhere yet */
    int64_t offset, stride[ROB_MAX_RANK];
} run_place;

typedef struct run_root {
    int32_t kind, program, move;
    bool persists;         /* from its first use to the end */
    bool always;           /* from the start too: inputs and values wanted */
    bool invariant;        /* written by the prologue only */
    bool donated;          /* its memory went on to an in-place result */
    int64_t bytes, offset; /* arena: offset from the program's base */
    const void *data;      /* constant */
    const rob_tensor *raw; /* lean: what data would be converted from, if needed */
    int32_t first, last;   /* arena: positions of use in its program */
} run_root;

typedef struct run_ref {
    int32_t root;
    int64_t offset;
} run_ref;

typedef struct run_step {
    int32_t kind, ins, stage, program; /* program: of a scan's body */
    rob_eval *eval;
    rob_view in[ROB_MAX_INS], out;
    rob_node node;
    rob_shape shape[ROB_MAX_INS];
    run_ref ref[RUN_OPERANDS];
    int64_t m, n, k, ra, ca, lds;      /* product; pack: k, n, ra, ca of B */
    int64_t batch, jump[RUN_OPERANDS]; /* bytes from a batch to the next */
    int64_t dim[ROB_MAX_RANK], from[ROB_MAX_RANK], to[ROB_MAX_RANK]; /* copy */
    const rob_tensor *raw; /* lean product: B, from its element `first`, strides rb, cb */
    int64_t first, rb, cb;
} run_step;

/* A moving address: base + t stride, or base + ((tau + turn) mod 2) stride where tau
 * counts steps as they are done (alternates). */
typedef struct run_move {
    run_ref base;
    int64_t stride;
    bool alternates;
    int32_t turn;
    char *at; /* in a workspace */
} run_move;

/* Operand `operand` (-1: the base of move `step`) of a step follows a move. */
typedef struct run_patch {
    int32_t move, program, step, operand;
    int64_t offset;
} run_patch;

typedef struct run_list {
    run_step *step;
    int32_t count, capacity;
} run_list;

typedef struct run_program {
    int32_t parent, parent_step, block;
    bool in_prologue; /* the parent step is in the parent's prologue */
    run_list list[2]; /* 0: prologue, 1: the steps proper */
    run_move *move;
    run_patch *patch;
    int32_t moves, move_capacity, patches;
    int64_t steps;
    int32_t reverse;
    int64_t bytes;
} run_program;

typedef struct run_slot {
    int32_t root;
    int64_t offset, size;
} run_slot;

struct rob_plan {
    rob_memory memory;
    const rob_graph *g;
    const rob_la *la;
    int32_t dtype, values; /* dtype 0: f32, 1: f64 */
    int64_t element, constant_bytes;
    run_root *root;
    run_program *program;
    int32_t roots, root_capacity, programs, program_capacity;
    void **owned; /* constants' memory */
    rob_tensor **tensor;
    int32_t owned_count, owned_capacity, tensors, tensor_capacity;
    run_slot *slot;             /* by value id */
    int32_t *stage_end, stages; /* steps of program 0 before the end of a stage */
};

/* A packed right operand, to be found again. */
typedef struct run_packed {
    run_ref from;
    int64_t k, n, row, col, batch, jump;
    int32_t root, program;
} run_packed;

/* Plan in the making: failures are latched in `status`. */
typedef struct run_maker {
    rob_ctx *ctx;
    rob_plan *plan;
    rob_status status;
    int32_t isa;
    bool lean;
    void **scratch;
    int32_t scratches, scratch_capacity;
    run_packed *packed;
    int32_t packs, pack_capacity;
    int32_t *tensor_root; /* of plan->tensor[k] */
    int32_t tensor_root_capacity;
    run_step nothing; /* where steps go after a failure */
    run_move still;
} run_maker;

typedef struct run_build {
    run_maker *maker;
    struct run_build *parent;
    const rob_graph *g;
    int32_t count, program, now; /* now: the stage being lowered */
    int32_t *stage;              /* -1: dead */
    int32_t *uses;
    int32_t *fused;                 /* the add or scan that computes it; else -1 */
    run_place *at, *preset, *plain; /* value; where it must go; a contiguous copy */
    uint8_t *plainness;             /* of the copy: 0 none, 1 rows, 2 whole */
    run_place **outs;               /* scan: places of its outputs */
    uint8_t **wanted;               /* scan: which outputs are read */
    struct run_build **body;        /* scan */
    rob_id **sunk;                  /* scan: the product that alone reads an output */
} run_build;

/* Y (m, n) = A (m, k) B (k, n), `batch` times. */
typedef struct run_factors {
    int64_t m, n, k, batch;
    run_place a, b, y;
    int64_t ra, ca, rb, cb, ry; /* strides of rows and columns */
    int64_t ja, jb, jy;         /* from a batch to the next */
} run_factors;

/* place.c: geometry of strided values */
void rob_priv_run_strides(const rob_shape *s, int64_t *stride);
bool rob_priv_run_is_plain(const rob_shape *s, const run_place *p);
bool rob_priv_run_reshaped(const rob_shape *from, const run_place *p,
                           const rob_shape *to, run_place *out);
/* Fewest loops over `s` that walk all n operands: dims in dim, strides in step[i]. */
int32_t rob_priv_run_loops(const rob_shape *s, const run_place *const *p, int32_t n,
                           int64_t *dim, int64_t step[][ROB_MAX_RANK]);

/* maker.c: latched building blocks */
void *rob_priv_run_scratch(run_maker *m, int64_t count, int64_t size);
void *rob_priv_run_own_memory(run_maker *m,
                              int64_t bytes); /* lives as long as the plan */
int32_t rob_priv_run_root(run_maker *m, int32_t kind, int32_t program,
                          int64_t elements);
int32_t rob_priv_run_constant_root(run_maker *m, const void *data);
int32_t rob_priv_run_tensor_root(run_maker *m, rob_tensor *t);
/* its numbers in the plan's precision: its own, or a copy's */
const void *rob_priv_run_converted(run_maker *m, const rob_tensor *t);
int32_t rob_priv_run_moving_root(run_maker *m, int32_t program, run_move move);
int32_t rob_priv_run_program(run_maker *m, int32_t parent);
run_step *rob_priv_run_step(run_build *b, bool prologue, int32_t kind);
bool rob_priv_run_is_invariant(const run_build *b, int32_t root);

/* mark.c: which values are needed, and in which stage */
run_build *rob_priv_run_build(run_maker *m, run_build *parent, const rob_graph *g);
void rob_priv_run_mark(run_build *b); /* spreads stage[] from the seeds set */
void rob_priv_run_mark_scan(run_build *b, rob_id id);
void rob_priv_run_need(run_build *b, rob_id id, int32_t stage);
bool rob_priv_run_owns(const run_build *b, rob_id id); /* has memory of its own */

/* lower.c: nodes to steps */
void rob_priv_run_lower(run_build *b, int32_t stage); /* its live values, in order */
run_place rob_priv_run_value(run_build *b, rob_id id);
run_place rob_priv_run_plain(run_build *b, rob_id id, bool whole);
run_build *rob_priv_run_home(run_build *b, int32_t root, bool *prologue);
run_place rob_priv_run_own(run_build *b, rob_id id, bool invariant);
void rob_priv_run_copy(run_build *b, bool prologue, const rob_shape *s,
                       const run_place *from, const run_place *to);
void rob_priv_run_fuse_sums(run_build *b); /* product.c */
void rob_priv_run_lower_matmul(run_build *b, rob_id id);
bool rob_priv_run_lower_sum(run_build *b, rob_id id); /* false: not fused */
void rob_priv_run_read_strides(const rob_node *n, const rob_shape *a, run_factors *f);
void rob_priv_run_emit_product(run_build *b, bool once, const run_factors *f,
                               const run_place *start);
void rob_priv_run_sink(run_build *b); /* sink.c */
run_place rob_priv_run_sunk_slice(run_build *b, run_build *body, rob_id rows,
                                  int64_t steps);
void rob_priv_run_sunk_product(run_build *b, run_build *body, rob_id product,
                               int64_t steps, const run_place *v,
                               const run_place *slot);
void rob_priv_run_lower_scan(run_build *b, rob_id id); /* scan.c */
void rob_priv_run_place_concats(run_build *b);         /* concat.c */

/* lean.c: products with constants as they are */
bool rob_priv_run_is_raw(const run_maker *m, int32_t root);
void rob_priv_run_emit_lean(run_build *b, bool once, const run_factors *f,
                            const run_place *start);
void rob_priv_run_settle(run_maker *m); /* constants that others read after all */
void rob_priv_run_lean_product(const run_step *s);

/* layout.c: offsets by liveness; then patches */
void rob_priv_run_layout(run_maker *m);
void rob_priv_run_patches(run_maker *m);

#endif
