/* row.h -- what kernels over rows share: the largest element, and exp(x - most) with
 * its sum, the sum. A tail is padded with -inf, which changes neither. */
#ifndef ROB_ROW_H
#define ROB_ROW_H

#include "op/each.h"

static inline vec row_load_part(const real *x, int64_t count)
{
    return each_load_or(x, count, vm_all(-__builtin_inf()));
}

/* max x; 0 where that is not finite, so that x - most makes sense. NaN may be passed
 * over here: exp(x - most) brings it back. */
static inline real row_most(const real *x, int64_t count)
{
    vec most = vm_all(-__builtin_inf());
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) most = vm_max(vec_load(x + i), most);
    if (i < count) most = vm_max(row_load_part(x + i, count - i), most);
    real y = vm_most(most);
    return y - y == 0 ? y : 0;
}

/* sum of exp(x - most), which goes to y when that is not NULL */
static inline real row_exp(const real *x, real most, int64_t count, real *y)
{
    vec sum = { 0 };
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec e = vm_exp(vec_load(x + i) - most);
        if (y != NULL) vec_store(y + i, e);
        sum += e;
    }
    if (i < count) {
        vec e = vm_exp(row_load_part(x + i, count - i) - most);
        if (y != NULL) each_store_part(y + i, e, count - i);
        sum += e;
    }
    return vm_total(sum);
}

/* sum of x: in vectors, then over their lanes by halves */
static inline real row_total(const real *x, int64_t count)
{
    vec sum[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES)
        for (int k = 0; k < 4; k++) sum[k] += vec_load(x + i + k * LANES);
    for (; i + LANES <= count; i += LANES) sum[0] += vec_load(x + i);
    if (i < count) sum[1] += each_load_part(x + i, count - i);
    return vm_total((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

#endif
