/* program.h -- for suites about graphs: random numbers in, values of nodes out. */
#ifndef ROB_TEST_PROGRAM_H
#define ROB_TEST_PROGRAM_H

#include "harness.h"

#include "core/core.h"
#include "diff/diff.h"
#include "op/op.h"
#include "run/run.h"

#include <math.h>

static inline int64_t size_of(const rob_graph *g, rob_id id)
{
    rob_shape s = rob_priv_shape(g, id);
    return rob_priv_shape_size(&s);
}

static inline void must(rob_ctx *ctx, rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

/* An input and the numbers it is given. */
typedef struct given {
    rob_id id;
    const double *value;
} given;

/* out[k] (size of want[k]) = value of want[k]; all in one plan. */
static inline void evaluate(rob_ctx *ctx, const rob_graph *g, int32_t dtype,
                            const given *in, int32_t ins, const rob_id *want,
                            int32_t count, double *const *out)
{
    rob_plan *plan = NULL;
    rob_work *work = NULL;
    must(ctx, rob_priv_graph_status(ctx, g));
    must(ctx, rob_priv_plan_create(ctx, g, dtype, want, NULL, count, &plan));
    must(ctx, rob_priv_work_create(ctx, plan, &work));
    for (int32_t i = 0; i < ins; i++)
        if (rob_priv_work_at(work, in[i].id) != NULL)
            rob_priv_work_set(work, in[i].id, in[i].value);
    rob_priv_run(work, 0);
    for (int32_t k = 0; k < count; k++) rob_priv_work_get(work, want[k], out[k]);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
}

static inline rob_id or_zeros(rob_graph *g, rob_id id, rob_id like)
{
    return id == ROB_NONE ? rob_priv_fill(g, rob_priv_shape(g, like), 0) : id;
}

static inline double *random_numbers(uint64_t seed, uint64_t stream, int64_t n)
{
    rob_random r = rob_priv_random(seed, stream);
    double *x = calloc((size_t)n, sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = rob_priv_normal(&r);
    return x;
}

static inline double norm_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

static inline double distance_of(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrt(sum);
}

#endif
