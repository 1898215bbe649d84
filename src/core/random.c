/* random.c -- random numbers as a pure function of (seed, stream, counter).
 *
 * Philox4x32-10: ten rounds of
 *     (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0
 *     c0)), (k0, k1) <- (k0 + W0, k1 + W1),
 * key = seed, counter words = (counter, stream).
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel random numbers: as easy
 * as 1, 2, 3, SC 2011. Normals by G. E. P. Box and M. E. Muller, Ann. Math. Stat. 29
 * (1958).
 */
#include "core/core.h"

#include <math.h>

#define MULTIPLIER_0 UINT64_C(0xD2511F53)
#define MULTIPLIER_1 UINT64_C(0xCD9E8D57)
#define WEYL_0       UINT32_C(0x9E3779B9)
#define WEYL_1       UINT32_C(0xBB67AE85)

static void philox_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    uint64_t p0 = MULTIPLIER_0 * c[0], p1 = MULTIPLIER_1 * c[2];
    uint32_t c0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
    uint32_t c2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
    c[0] = c0;
    c[1] = (uint32_t)p1;
    c[2] = c2;
    c[3] = (uint32_t)p0;
}

void rob_priv_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    out[0] = (uint32_t)counter;
    out[1] = (uint32_t)(counter >> 32);
    out[2] = (uint32_t)stream;
    out[3] = (uint32_t)(stream >> 32);
    for (int i = 0; i < 10; i++, k0 += WEYL_0, k1 += WEYL_1) philox_round(out, k0, k1);
}

rob_random rob_priv_random(uint64_t seed, uint64_t stream)
{
    return (rob_random){ .seed = seed, .stream = stream };
}

static uint64_t next_64(rob_random *r)
{
    if (r->left < 2) {
        rob_priv_philox(r->seed, r->stream, r->counter++, r->word);
        r->left = 4;
    }
    r->left -= 2;
    return (uint64_t)r->word[r->left + 1] << 32 | r->word[r->left];
}

/* An odd multiple of 2^-53: never 0, never 1, mean exactly 1/2. */
double rob_priv_uniform(rob_random *r)
{
    return ((double)(next_64(r) >> 12) + 0.5) * 0x1p-52;
}

double rob_priv_normal(rob_random *r)
{
    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    double radius = sqrt(-2 * log(rob_priv_uniform(r)));
    double angle = 6.283185307179586 * rob_priv_uniform(r);
    r->spare = radius * sin(angle);
    r->has_spare = true;
    return radius * cos(angle);
}

/* Draws below 2^64 mod n are refused, so that n divides what is left. */
int64_t rob_priv_below(rob_random *r, int64_t n)
{
    uint64_t m = (uint64_t)n, refused = (0 - m) % m, draw;
    do draw = next_64(r);
    while (draw < refused);
    return (int64_t)(draw % m);
}

void rob_priv_shuffle(rob_random *r, int64_t *items, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = rob_priv_below(r, i + 1), held = items[i];
        items[i] = items[j];
        items[j] = held;
    }
}
