/* idx.c -- any bytes as an IDX file: rows, frames, columns, labels. */
#include "fuzz/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const fuzz_option option[] = {
        { "frames", NULL, 2 },        { "layout", "channels", 0 },
        { "frames", NULL, 0 },        { "role", "label", 0 },
        { "role", "time", 0 },        { "role", "table", 0 },
        { "role", "target", 0 },      { NULL, NULL, 0 },
    };
    return fuzz_read(bytes, count, option);
}
