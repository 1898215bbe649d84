/* extract.h -- cut the derivative part of a scan's body into a body of its own. */
#ifndef ROB_EXTRACT_H
#define ROB_EXTRACT_H

#include "op/op.h"

/* One input of the new scan: its id in the scratch body (as found there), in the new
 * body, and the value it is fed with in the outer graph. */
typedef struct rob_feed { rob_id scratch, inner, outer; } rob_feed;

typedef struct rob_cut {
    rob_graph *g;             /* outer graph */
    rob_id scan;              /* the scan being differentiated */
    const rob_scan *of;
    rob_graph *scratch;       /* its body, cloned (ids < forward), and emitted nodes */
    int32_t forward;
    rob_graph *body;          /* the new body */
    rob_id *map;              /* scratch id -> new body id */
    int32_t mapped;           /* entries of map */
    rob_feed *carry, *sequence, *constant;
    int32_t carries, sequences, constants, room;
    rob_id *out;              /* new body outputs: next carries, then ys */
    int32_t outs;
} rob_cut;

bool rob_priv_cut_make(rob_cut *c, rob_graph *g, rob_id scan);     /* clones the body */
void rob_priv_cut_free(rob_cut *c);
/* Fresh inputs of the scratch body: seeds of the sweep. outer ROB_NONE is allowed for a
 * carry (starts from zeros). */
rob_id rob_priv_cut_carry(rob_cut *c, rob_shape shape, rob_id outer);
rob_id rob_priv_cut_sequence(rob_cut *c, rob_shape shape, rob_id outer);
rob_id rob_priv_cut_constant(rob_cut *c, rob_shape shape, rob_id outer);
/* After the sweep: start the new body; then bring values over, forward ones by stash. */
bool rob_priv_cut_begin(rob_cut *c);
rob_id rob_priv_cut_import(rob_cut *c, rob_id scratch);
void rob_priv_cut_output(rob_cut *c, rob_id inner);
/* The new scan in the outer graph (takes the body). */
rob_id rob_priv_cut_finish(rob_cut *c, int32_t reverse);

#endif
