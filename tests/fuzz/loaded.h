/* loaded.h -- what the libraries of a fuzzer keep from their loading is not its finding.
 *
 * LeakSanitizer passes over what is allocated between the program's first word, before
 * any library's constructor (.preinit_array), and LLVMFuzzerInitialize, behind them all.
 * A suppression by name would miss frames of modules that are gone by the end. Given to
 * every fuzzer by -include.
 */
#ifndef ROB_FUZZ_LOADED_H
#define ROB_FUZZ_LOADED_H

#include <sanitizer/lsan_interface.h>

int LLVMFuzzerInitialize(int *count, char ***word);

static void libraries_load(void) { __lsan_disable(); }

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) =
    libraries_load;

int LLVMFuzzerInitialize(int *count, char ***word)
{
    (void)count, (void)word;
    __lsan_enable();
    return 0;
}

#endif
