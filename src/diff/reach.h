/* reach.h -- book-keeping shared by the two sweeps of diff. */
#ifndef ROB_REACH_H
#define ROB_REACH_H

#include "diff/diff.h"

/* Derivative values (adjoints or tangents) of nodes 0..count-1, one per output. */
typedef struct rob_slots { int64_t *first; rob_id *value; } rob_slots;
bool rob_priv_slots_make(rob_graph *g, int32_t count, rob_slots *out);  /* all ROB_NONE */
void rob_priv_slots_free(rob_graph *g, rob_slots *s);
rob_id *rob_priv_slot(const rob_slots *s, rob_id id);

/* 1 for nodes 0..count-1 that depend on one of x; NULL when out of memory (latched). */
uint8_t *rob_priv_diff_reach(rob_graph *g, const rob_id *x, int32_t xs, int32_t count);
bool rob_priv_diff_reaches(const uint8_t *reach, const rob_node *n);

/* Derivatives of a scan (diff/scan.c). dy has one entry per output; wanted[i]: dx[i] is
 * asked for. `reached` counts as in reach. */
void rob_priv_scan_vjp(rob_graph *g, rob_id scan, const rob_id *dy, const uint8_t *wanted,
                       rob_id *dx);
void rob_priv_scan_jvp(rob_graph *g, rob_id scan, const rob_id *dx, rob_id *dy);

#endif
