/* claims.h -- claims proved one by one (claims.c), in the order of check.c. */
#ifndef ROB_CHECK_CLAIMS_H
#define ROB_CHECK_CLAIMS_H

#include "check/check.h"

enum { ROB_CHECK_MOST_ROWS = 64 };

__attribute__((format(printf, 3, 4))) rob_status
rob_priv_check_refuse(const rob_check_work *w, const rob_claim *c, const char *format, ...);
/* c->at (count) are above lo, c->at (count on) below up, or rows prove it. */
rob_status rob_priv_check_prove_ends(rob_check_work *w, int32_t value, const rob_claim *c,
                                     const double *lo, const double *up);
rob_status rob_priv_check_prove_range(rob_check_work *w, int32_t value, const rob_claim *c);
rob_status rob_priv_check_prove_planes(rob_check_work *w, int32_t value,
                                       const rob_claim *c, rob_check_plane *p);
/* octagon.c: of a gate; NULL where not claimed */
rob_status rob_priv_check_prove_strips(rob_check_work *w, int32_t value,
                                       const rob_claim *const strip[ROB_CHECK_STRIPS + 1]);
/* mean: of squares, for rmsnorm; or NULL */
rob_status rob_priv_check_prove_rows(rob_check_work *w, int32_t value, const rob_claim *c,
                                     const rob_claim *mean);

#endif
