/* fits.c -- any bytes as a FITS light curve, through the checks here and cfitsio. */
#include "fuzz/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const fuzz_option option[] = {
        { "normalize", "ppm", 0 },
        { "column", "A,B", 0 },
        { "fold", "period=2 epoch=0 bins=8", 0 },
        { NULL, NULL, 0 },
    };
    return fuzz_read(bytes, count, option);
}
