/* state.c -- the floating-point environment a bound stands on.
 *
 * fl(a op b) = (a op b)(1 + d), |d| <= 2^-53, needs round-to-nearest; without flush to
 * zero the subnormal range adds at most 2^-1075. A host program may have changed either
 * for its threads, so every bound call sets its own state on every worker and puts the
 * old one back. Reference: IEEE 754-2019, 4.3 and 7.5; docs/theory/fp.md.
 */
#include "fp/fp.h"

#if defined(__SSE2__)
#include <xmmintrin.h>

enum {
    CSR_DENORMALS_ARE_ZERO = 0x0040,
    CSR_MASK_ALL = 0x1f80,
    CSR_ROUNDING = 0x6000,
    CSR_FLUSH_TO_ZERO = 0x8000
};

rob_fp_state rob_priv_fp_enter(void)
{
    uint32_t old = _mm_getcsr();
    uint32_t off = CSR_DENORMALS_ARE_ZERO | CSR_ROUNDING | CSR_FLUSH_TO_ZERO;
    _mm_setcsr((old & ~off) | CSR_MASK_ALL);
    return (rob_fp_state){ old };
}

void rob_priv_fp_leave(rob_fp_state old)
{
    _mm_setcsr((uint32_t)old.word);
}

#elif defined(__aarch64__)

/* FPCR: rounding mode in bits 22-23, flush to zero in bit 24, flush of halves in 19 */
rob_fp_state rob_priv_fp_enter(void)
{
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    uint64_t off = (3ULL << 22) | (1ULL << 24) | (1ULL << 19);
    __asm__ volatile("msr fpcr, %0" : : "r"(old & ~off) : "memory");
    return (rob_fp_state){ old };
}

void rob_priv_fp_leave(rob_fp_state old)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(old.word) : "memory");
}

#else
#include <fenv.h>

rob_fp_state rob_priv_fp_enter(void)
{
    int old = fegetround();
    fesetround(FE_TONEAREST);
    return (rob_fp_state){ (uint64_t)old };
}

void rob_priv_fp_leave(rob_fp_state old)
{
    fesetround((int)old.word);
}

#endif
