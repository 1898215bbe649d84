/* ts.c -- any bytes as a .ts file; its classes merged with those of a second reading. */
#include "fuzz/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const fuzz_option option[] = {
        { "role", "series", 0 },        { "normalize", "zscore", 0 },
        { "layout", "channels", 0 },    { "labels", "1,2", 0 },
        { "labels", "run,walk", 0 },    { NULL, NULL, 0 },
    };
    return fuzz_read(bytes, count, option);
}
