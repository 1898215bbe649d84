/* run.h -- the interpreter that computes values: a plan, made once, and workspaces.
 *
 * A plan fixes order, buffers (shared by liveness), views and kernels for the values
 * wanted of one graph; it is immutable and may be shared by threads. A workspace is one
 * thread's arena for it. Running allocates nothing.
 *
 * Stages: values wanted may be grouped; rob_priv_run(work, s) computes what stage s
 * adds, keeping what earlier stages left, so a caller can look at logits, set a seed
 * input, and go on to the gradient without computing twice. A stage may be run again
 * (with other inputs) without the earlier ones, and values wanted stay readable until
 * their own stage runs again.
 */
#ifndef ROB_RUN_H
#define ROB_RUN_H

#include "op/op.h"

typedef struct rob_plan rob_plan;
typedef struct rob_work rob_work;

/* want[0..count): values; stage[k] (NULL: all 0) non-decreasing group of want[k].
 * The graph must outlive the plan and not change. An input's value must be set before
 * the first stage that needs it runs. dtype ROB_F32 or ROB_F64. */
rob_status rob_priv_plan_create(rob_ctx *ctx, const rob_graph *g, int32_t dtype,
                                const rob_id *want, const int32_t *stage, int32_t count,
                                rob_plan **out);
/* The same in double, with constants of 64 KiB and more left where and what they are:
 * not converted, not packed. For few runs of large weights: nothing is kept beside them
 * but values, and every run reads them anew. */
rob_status rob_priv_plan_create_lean(rob_ctx *ctx, const rob_graph *g,
                                     const rob_id *want, int32_t count,
                                     rob_plan **out);
void rob_priv_plan_free(rob_plan *p);
int64_t rob_priv_plan_bytes(const rob_plan *p); /* of one workspace */

rob_status rob_priv_work_create(rob_ctx *ctx, const rob_plan *p, rob_work **out);
void rob_priv_work_free(rob_work *w);
/* Contiguous storage of an input or a wanted value, in the plan's precision; NULL if it
 * is neither. Write inputs here; constants and weights that are inputs too. */
void *rob_priv_work_at(rob_work *w, rob_id id);
/* The same with conversion from / to double. */
void rob_priv_work_set(rob_work *w, rob_id input, const double *values);
void rob_priv_work_get(const rob_work *w, rob_id value, double *out);
void rob_priv_run(rob_work *w, int32_t stage); /* cannot fail */

#endif
