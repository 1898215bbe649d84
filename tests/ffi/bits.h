/* bits.h -- put before examples/quickstart.c, it has that program print the bits of its
 * numbers, lower then upper, in place of its sentence. */
#ifndef ROBUST_TESTS_BITS_H
#define ROBUST_TESTS_BITS_H

#include <stdio.h>
#include <stdint.h>
#include <inttypes.h>
#include <string.h>

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

#define PRINT_BITS(format, i, lower, upper) \
    fprintf(stdout, "%016" PRIx64 " %016" PRIx64 "\n", bits_of(lower), bits_of(upper))
#define printf PRINT_BITS

#endif
