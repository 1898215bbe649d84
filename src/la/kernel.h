/* kernel.h -- what kernel.c defines for each precision and instruction set. */
#ifndef ROB_LA_KERNEL_H
#define ROB_LA_KERNEL_H

#include <stdint.h>

#define ROB_LA_KERNELS(KIND)                                                           \
    int64_t rob_priv_la_packed_bytes_##KIND(int64_t k, int64_t n);                     \
    void rob_priv_la_pack_##KIND(int64_t k, int64_t n, const void *b, int64_t row,     \
                                 int64_t col, void *packed);                           \
    void rob_priv_la_product_##KIND(                                                   \
        int64_t m, int64_t n, int64_t k, const void *a, int64_t ra, int64_t ca,        \
        const void *packed, const void *start, int64_t lds, void *c, int64_t ldc);     \
    double rob_priv_la_dot_##KIND(int64_t n, const void *x, const void *z);

ROB_LA_KERNELS(f32_generic)
ROB_LA_KERNELS(f64_generic)
ROB_LA_KERNELS(f32_avx2)
ROB_LA_KERNELS(f64_avx2)
ROB_LA_KERNELS(f32_avx512)
ROB_LA_KERNELS(f64_avx512)

#endif
