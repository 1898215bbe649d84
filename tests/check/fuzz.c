/* fuzz.c -- the fuzz targets on their corpora, and on mutations of them drawn from fixed
 * streams: no crash, no leak under the sanitizers, bounded time. What a fuzzer finds
 * goes into tests/fuzz/corpus and stays.
 */
#define LLVMFuzzerTestOneInput fuzz_safetensors
#include "fuzz/safetensors.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_npy
int fuzz_npy(const uint8_t *bytes, size_t count);
#include "fuzz/npy.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_tsv
int fuzz_tsv(const uint8_t *bytes, size_t count);
#include "fuzz/tsv.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_csv
int fuzz_csv(const uint8_t *bytes, size_t count);
#include "fuzz/csv.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_idx
int fuzz_idx(const uint8_t *bytes, size_t count);
#include "fuzz/idx.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_ts
int fuzz_ts(const uint8_t *bytes, size_t count);
#include "fuzz/ts.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_arff
int fuzz_arff(const uint8_t *bytes, size_t count);
#include "fuzz/arff.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_npz
int fuzz_npz(const uint8_t *bytes, size_t count);
#include "fuzz/npz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_gzip
int fuzz_gzip(const uint8_t *bytes, size_t count);
#include "fuzz/gzip.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_onnx
int fuzz_onnx(const uint8_t *bytes, size_t count);
#include "fuzz/onnx.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_fits
int fuzz_fits(const uint8_t *bytes, size_t count);
#include "fuzz/fits.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_certificate
int fuzz_certificate(const uint8_t *bytes, size_t count);
#include "fuzz/certificate.c"

#include "check/harness.h"

#include <dirent.h>

enum { MOST = 1 << 16 };

/* One to four edits: a byte, a bit, a digit, a cut, a repeated piece. */
static int64_t mutate(rob_random *r, uint8_t *bytes, int64_t count)
{
    for (int64_t edits = 1 + rob_priv_below(r, 4); edits > 0 && count > 0; edits--) {
        int64_t at = rob_priv_below(r, count), piece = 1 + rob_priv_below(r, 16);
        switch (rob_priv_below(r, 5)) {
        case 0: bytes[at] = (uint8_t)rob_priv_below(r, 256); break;
        case 1: bytes[at] ^= (uint8_t)(1 << rob_priv_below(r, 8)); break;
        case 2: bytes[at] = (uint8_t)("0123456789-.e{}[]\",:\n\t"[rob_priv_below(r, 22)]);
                break;
        case 3: count = at; break;
        default:
            if (at + piece > count || count + piece > MOST) break;
            memmove(bytes + at + piece, bytes + at, (size_t)(count - at));
            count += piece;
        }
    }
    return count;
}

/* A copy of exactly the input's size, so that a sanitizer sees the byte behind it. */
static void run_on(int (*target)(const uint8_t *, size_t), const uint8_t *bytes,
                   int64_t count)
{
    uint8_t *copy = malloc(count > 0 ? (size_t)count : 1);
    memcpy(copy, bytes, (size_t)count);
    target(copy, (size_t)count);
    free(copy);
}

static int run_file(int (*target)(const uint8_t *, size_t), const char *path, int times)
{
    static uint8_t bytes[MOST], changed[MOST];
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 0;
    int64_t count = (int64_t)fread(bytes, 1, MOST, file);
    fclose(file);
    run_on(target, bytes, count);
    for (int k = 0; k < times; k++) {
        rob_random r = rob_priv_random(99, (uint64_t)k);
        memcpy(changed, bytes, (size_t)count);
        run_on(target, changed, mutate(&r, changed, count));
    }
    return 1;
}

static void replay(const char *name, int (*target)(const uint8_t *, size_t), int times)
{
    char folder[128], path[512];
    int files = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", name);
    DIR *all = opendir(folder);
    ck_assert_ptr_nonnull(all);
    for (struct dirent *one; (one = readdir(all)) != NULL;) {
        if (one->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, one->d_name);
        files += run_file(target, path, rob_long() ? 100 * times : times);
    }
    closedir(all);
    ck_assert_int_ge(files, 5);
}

START_TEST(safetensors_files) { replay("safetensors", fuzz_safetensors, 300); } END_TEST
START_TEST(npy_files) { replay("npy", fuzz_npy, 2000); } END_TEST
START_TEST(tables) { replay("csv", fuzz_csv, 500); } END_TEST
START_TEST(onnx_files) { replay("onnx", fuzz_onnx, 150); } END_TEST
START_TEST(text_files) { replay("tsv", fuzz_tsv, 1000); } END_TEST
START_TEST(idx_files) { replay("idx", fuzz_idx, 500); } END_TEST
START_TEST(ts_files) { replay("ts", fuzz_ts, 500); } END_TEST
START_TEST(arff_files) { replay("arff", fuzz_arff, 500); } END_TEST
START_TEST(npz_files) { replay("npz", fuzz_npz, 300); } END_TEST
START_TEST(fits_files) { replay("fits", fuzz_fits, 200); } END_TEST
START_TEST(certificates) { replay("certificate", fuzz_certificate, 300); } END_TEST
START_TEST(gzip_files) { replay("gzip", fuzz_gzip, 300); } END_TEST

int main(void)
{
    Suite *s = suite_create("fuzz");
    TCase *c = tcase_create("fuzz");
    tcase_add_test(c, safetensors_files);
    tcase_add_test(c, npy_files);
    tcase_add_test(c, text_files);
    tcase_add_test(c, tables);
    tcase_add_test(c, idx_files);
    tcase_add_test(c, ts_files);
    tcase_add_test(c, arff_files);
    tcase_add_test(c, npz_files);
    tcase_add_test(c, gzip_files);
    tcase_add_test(c, onnx_files);
    tcase_add_test(c, fits_files);
    tcase_add_test(c, certificates);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
