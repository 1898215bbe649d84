/* curve.h -- a sampler's handle, and a whole curve. */
#ifndef ROB_SAMPLE_CURVE_H
#define ROB_SAMPLE_CURVE_H

#include "query/query.h"
#include "sample/sample.h"

typedef struct rob_sampling {
    const char *name;
    const rob_option *option;
    int64_t options;
    bool count, split;        /* both: split where counting finds too little */
} rob_sampling;

struct rob_sampler {
    rob_memory memory;
    const rob_sampling *method;
    double option[ROB_SAMPLE_OPTIONS];
    rob_estimate *answer;     /* (count, radii) */
    double *radius;           /* (radii) */
    int64_t count, radii;
};

const rob_sampling *rob_priv_sampling(const char *name);      /* NULL: none */
/* P at every radius (query's units) of every series; on ROB_STOPPED the answers not
 * reached are NaN; on error the sampler's answers are as they were. */
rob_status rob_priv_sampler_run(rob_ctx *ctx, rob_sampler *s, rob_query *q,
                                const double *radius, int64_t radii);
/* out (count, 3): class or -1, certified radius, lower end of its probability; what is
 * not reached stays as it is (smooth.c) */
rob_status rob_priv_sampler_smooth(rob_ctx *ctx, const rob_sampler *s, rob_query *q,
                                   double sigma, double *out);
void rob_priv_sampler_forget(rob_sampler *s);

#endif
