/* spectrum.h -- inside the spectra: one series at a time. Eigenvalues are per square of
 * the series' own unit; answers turn into the query's units when asked for. */
#ifndef ROB_SPECTRUM_H
#define ROB_SPECTRUM_H

#include "query/query.h"
#include <robust/spectrum.h>

enum {
    ROB_SPECTRUM_STEPS,
    ROB_SPECTRUM_TOLERANCE,
    ROB_SPECTRUM_DENSE,
    ROB_SPECTRUM_MARGIN,
    ROB_SPECTRUM_SEED,
    ROB_SPECTRUM_OPTIONS
};
extern const rob_option rob_priv_spectrum_option[ROB_SPECTRUM_OPTIONS];

typedef struct rob_ends {
    int64_t size, values, steps; /* steps of Lanczos; 0: the whole matrix */
    double low, high, low_residual, high_residual, value, gradient_norm;
    double *low_vector, *high_vector; /* (size) */
    double *eigenvalue;               /* (values) ascending: all, or Ritz values */
    bool flat;
} rob_ends;

struct rob_spectrum {
    rob_memory memory;
    double option[ROB_SPECTRUM_OPTIONS];
    int64_t count;
    rob_ends *ends;
    double unit; /* the query's when it ran */
};

rob_status rob_priv_spectrum_run(rob_ctx *ctx, rob_spectrum *s, rob_query *q);
void rob_priv_spectrum_forget(rob_spectrum *s);

#endif
