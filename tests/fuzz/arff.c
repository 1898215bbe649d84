/* arff.c -- any bytes as an .arff file. */
#include "fuzz/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const fuzz_option option[] = {
        { "features", NULL, 2 },     { "layout", "channels", 0 },
        { "labels", "run,walk", 0 }, { NULL, NULL, 0 },
    };
    return fuzz_read(bytes, count, option);
}
