/* certify.h -- a bound computed so that a certificate can say how (certify.c, certify_gate.c). */
#ifndef ROB_BOUND_CERTIFY_H
#define ROB_BOUND_CERTIFY_H

#include "bound/bound.h"
#include "cert/cert.h"

/* What is given away of most numbers. */
#define ROB_CERTIFY_SHARE 0x1p-30

/* lo, up: (widest) an image. most: turns a row may go back; 0: all. */
typedef struct rob_certify { rob_work *w; rob_cert *cert; double *lo, *up; int64_t most; } rob_certify;

rob_claim rob_priv_certify_claim(const rob_cell *c, int32_t kind);
/* The range of a cell by rows of the one depth that makes it narrowest, from lo, up. */
rob_status rob_priv_certify_narrow(rob_certify *p, int32_t cell, int64_t *depth);
/* certify_gate.c: has a cell two inputs to be known jointly? The joint domain of a gate's inputs by rows, claimed; and planes on it in
 * the place of those on the box. */
bool rob_priv_certify_is_gate(const rob_work *w, int32_t cell);
rob_status rob_priv_certify_octagon(rob_certify *p, int32_t cell);

/* certify_parts.c: where the whole region has no certificate, one in at most so many parts. */
enum { ROB_CERTIFY_DEEPEST = 60 };
rob_status rob_priv_certify_parts(rob_work *w, const rob_ball *ball, const rob_region *region,
                                  const rob_demand *d, int64_t most, double deadline,
                                  rob_cert *cert);

#endif
