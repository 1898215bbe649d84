/* table.c -- which linear algebra kernels serve a precision and an instruction set.
 *
 * y = S + A B and sum_i x_i z_i are computed in kernel.c, compiled six times; here the
 * six are listed, and the best instruction set this CPU has is found once by cpuid.
 */
#include "la/la.h"
#include "la/kernel.h"

#define PRODUCT(KIND)                                                                  \
    static void product_##KIND(int64_t m, int64_t n, int64_t k, const void *a,         \
                               int64_t ra, int64_t ca, const void *packed, void *c,    \
                               int64_t ldc, int accumulate)                            \
    {                                                                                  \
        rob_priv_la_product_##KIND(m, n, k, a, ra, ca, packed, accumulate ? c : NULL,  \
                                   ldc, c, ldc);                                       \
    }
PRODUCT(f32_generic)
PRODUCT(f64_generic)
PRODUCT(f32_avx2)
PRODUCT(f64_avx2)
PRODUCT(f32_avx512)
PRODUCT(f64_avx512)

#define ENTRY(KIND)                                                                    \
    {                                                                                  \
        rob_priv_la_packed_bytes_##KIND, rob_priv_la_pack_##KIND, product_##KIND,      \
            rob_priv_la_dot_##KIND, rob_priv_la_product_##KIND                         \
    }
static const rob_la la_table[2][ROB_ISA_COUNT] = {
    { ENTRY(f32_generic), ENTRY(f32_avx2), ENTRY(f32_avx512) },
    { ENTRY(f64_generic), ENTRY(f64_avx2), ENTRY(f64_avx512) },
};

const rob_la *rob_priv_la(int32_t dtype, int32_t isa)
{
    return &la_table[dtype != 0][isa];
}

int32_t rob_priv_isa_best(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("fma"))
        return ROB_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return ROB_ISA_AVX2;
    return ROB_ISA_GENERIC;
}

const char *rob_priv_isa_name(int32_t isa)
{
    static const char *const names[ROB_ISA_COUNT] = { "generic", "avx2", "avx512" };
    return isa >= 0 && isa < ROB_ISA_COUNT ? names[isa] : "unknown";
}
