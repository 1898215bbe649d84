/* gate.h -- rigorous minima of gates, many at a time.
 *
 * Plain arrays of n numbers each. Everything is finite and at most ROB_GATE_MOST in
 * magnitude: the caller looks after that, so no product overflows and no NaN is made.
 */
#ifndef ROB_GATE_H
#define ROB_GATE_H

#include <stdbool.h>
#include <stdint.h>

#define ROB_GATE_MOST 1e60

/* At x, with s = sigmoid(x) in [slo, sup]:  m <= min over y in [l, u] of s g(y) - b y, about
 * at y; g(l) >= glo and g(u) <= gup. */
typedef struct rob_gate_edges {
    int64_t n;
    const double *x, *b, *l, *u;
    double *m, *y, *slo, *sup, *glo, *gup;
} rob_gate_edges;

/* Cells [x1, x2] with phi >= p1, p2 at their ends: s, g and y between what the ends
 * have, dy/dx in [dlo, dup]. bound <= phi on the cell, least about `at`. */
typedef struct rob_gate_cells {
    int64_t n;
    const double *x1, *x2, *p1, *p2, *slo, *sup, *glo, *gup, *dlo, *dup;
    double *bound, *at;
} rob_gate_cells;

/* Cells of a function m of s = sigmoid(x) that is concave in s: bound <= m - a x on them,
 * m >= m1, m2 at the ends, s in [slo1, sup1] and [slo2, sup2] there; least about `at`, and
 * where to split. */
typedef struct rob_gate_chords {
    int64_t n;
    const double *a, *x1, *x2, *m1, *m2, *slo1, *sup1, *slo2, *sup2;
    double *bound, *at, *split;
} rob_gate_chords;

/* v <= min over x in [l, u] of k sigmoid(x) - a x, about at `at` */
typedef struct rob_gate_mins {
    int64_t n;
    const double *k, *a, *l, *u;
    double *v, *at;
} rob_gate_mins;

typedef struct rob_gate_kernel {
    void (*edges)(const rob_gate_edges *e, bool of_tanh);
    void (*cells)(const rob_gate_cells *c, bool of_tanh);
    void (*chords)(const rob_gate_chords *c);
    void (*mins)(const rob_gate_mins *m);
} rob_gate_kernel;

/* No instruction set fuses, so all give the same bits: the best will do. */
const rob_gate_kernel *rob_priv_gate(int32_t isa);

#endif
