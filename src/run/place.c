/* place.c -- geometry of strided values.
 *
 * Element (i_0, ..., i_{r-1}) of a value at a place is at  offset + sum_k i_k stride_k.
 * Dims of size 1 have no say; neighbours d, d+1 are one loop when
 * stride_d = dim_{d+1} stride_{d+1} for every operand.
 */
#include "run/plan.h"

void rob_priv_run_strides(const rob_shape *s, int64_t *stride)
{
    int64_t step = 1;
    for (int32_t d = s->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= s->dim[d];
    }
}

int32_t rob_priv_run_loops(const rob_shape *s, const run_place *const *p, int32_t n,
                           int64_t *dim, int64_t step[][ROB_MAX_RANK])
{
    int32_t loops = 0;
    for (int32_t d = 0; d < s->rank; d++) {
        if (s->dim[d] == 1) continue;
        bool joins = loops > 0;
        for (int32_t i = 0; joins && i < n; i++)
            joins = step[i][loops - 1] == s->dim[d] * p[i]->stride[d];
        loops += !joins;
        dim[loops - 1] = joins ? dim[loops - 1] * s->dim[d] : s->dim[d];
        for (int32_t i = 0; i < n; i++) step[i][loops - 1] = p[i]->stride[d];
    }
    return loops;
}

bool rob_priv_run_is_plain(const rob_shape *s, const run_place *p)
{
    int64_t dim[ROB_MAX_RANK], step[1][ROB_MAX_RANK];
    int32_t loops = rob_priv_run_loops(s, &p, 1, dim, step);
    return loops == 0 || (loops == 1 && step[0][0] == 1);
}

/* The strides of `to` over the loops (dim, step) of the old value; false: none exist.
 */
static bool spread(const rob_shape *to, int32_t loops, const int64_t *dim,
                   const int64_t *step, int64_t *stride)
{
    int32_t loop = loops - 1;
    int64_t done = 1; /* elements of this loop already covered */
    for (int32_t d = to->rank - 1; d >= 0; d--) {
        stride[d] = 0;
        if (to->dim[d] == 1) continue;
        if (loop >= 0 && done == dim[loop]) {
            loop--;
            done = 1;
        }
        if (loop < 0 || dim[loop] % (done * to->dim[d]) != 0) return false;
        stride[d] = done * step[loop];
        done *= to->dim[d];
    }
    return true;
}

bool rob_priv_run_reshaped(const rob_shape *from, const run_place *p,
                           const rob_shape *to, run_place *out)
{
    int64_t dim[ROB_MAX_RANK], step[1][ROB_MAX_RANK];
    int32_t loops = rob_priv_run_loops(from, &p, 1, dim, step);
    *out = (run_place){ p->root, p->offset, { 0 } };
    return spread(to, loops, dim, step[0], out->stride);
}
