/* replay.h -- a fuzz target without a fuzzer: runs it on the files named on the command
 * line. Compile with -DROB_FUZZ_REPLAY; with clang -fsanitize=fuzzer leave that out:
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc -Itests
 *         tests/fuzz/npy.c build/librobust.a ... && ./a.out tests/fuzz/corpus/npy
 */
#ifndef ROB_FUZZ_REPLAY_H
#define ROB_FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#ifdef ROB_FUZZ_REPLAY
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        FILE *file = fopen(argv[k], "rb");
        if (file == NULL) return perror(argv[k]), 2;
        uint8_t *bytes = malloc(1 << 20);
        size_t count = fread(bytes, 1, 1 << 20, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, count);
        free(bytes);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
#endif

#endif
