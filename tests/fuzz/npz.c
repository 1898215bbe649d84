/* npz.c -- any bytes as a zip archive of arrays. */
#include "fuzz/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const fuzz_option option[] = {
        { "role", "label", 0 },
        { "role", "auto", 0 },
        { "columns", "x=target,y=y,time=time", 0 },
        { NULL, NULL, 0 },
    };
    return fuzz_read(bytes, count, option);
}
