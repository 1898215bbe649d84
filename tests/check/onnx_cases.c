/* onnx_cases.c -- the official conformance cases of ONNX's backend test suite.
 *
 * Each case is a model, inputs and outputs. Floating inputs are variables of the graph, so
 * this tests what is attacked and certified. Tolerances are the suite's own, rtol 1e-3 and
 * atol 1e-7 of the largest number, since outputs are float32 by another program (a few
 * float16). What is unsupported by design is a list with reasons; anything else that does
 * not agree fails. ROBUST_DATA/onnx-conformance holds the cases.
 */
#include "harness.h"

#include "model/onnx.h"

#include <dirent.h>
#include <math.h>

enum { SLOTS = 16, ROOT = 512, FOLDER = 800, NAME = 1024 };

static const struct {
    const char *prefix, *reason;
} BY_DESIGN[] = {
    { "test_argmax", "gives whole numbers: nothing to attack or certify" },
    { "test_celu", "written for opset 28, 6 to 25 are read" },
};

typedef struct tally {
    int passed, unsupported, failed;
} tally;

static bool read_tensor(rob_ctx *ctx, const char *path, rob_onnx_tensor *t)
{
    rob_bytes bytes = { 0 };
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    fclose(file);
    ck_assert_msg(rob_priv_io_read(ctx, path, 1 << 26, &bytes) == ROB_OK, "%s", path);
    rob_wire w = { bytes.at, bytes.at + bytes.count };
    ck_assert_msg(rob_priv_onnx_tensor(ctx, path, w, t) == ROB_OK, "%s: %s", path,
                  rob_ctx_error(ctx));
    rob_priv_io_release(&ctx->memory, &bytes);
    return true;
}

static int read_tensors(rob_ctx *ctx, const char *folder, const char *kind,
                        rob_onnx_tensor *t)
{
    char path[NAME];
    int n = 0;
    for (; n < SLOTS; n++) {
        snprintf(path, sizeof path, "%s/%s_%d.pb", folder, kind, n);
        if (!read_tensor(ctx, path, &t[n])) break;
    }
    return n;
}

static void free_tensors(rob_onnx_tensor *t, int n)
{
    for (int k = 0; k < n; k++) rob_priv_tensor_free(t[k].number);
}

static bool agree(const rob_onnx_tensor *want, const rob_onnx_tensor *got, char *why,
                  size_t room)
{
    double size = 0;
    if (want->rank != got->rank
        || memcmp(want->dim, got->dim, (size_t)want->rank * sizeof *want->dim) != 0)
        return snprintf(why, room, "shapes differ"), false;
    for (int64_t i = 0; i < want->size; i++) {
        double x = rob_priv_tensor_at(want->number, i);
        if (isfinite(x)) size = fmax(size, fabs(x));
    }
    for (int64_t i = 0; i < want->size; i++) {
        double x = rob_priv_tensor_at(want->number, i);
        double y = rob_priv_tensor_at(got->number, i);
        bool same = isnan(x) ? isnan(y) : isinf(x) ? x == y
                    : fabs(x - y) <= 1e-3 * fabs(x) + 1e-7 * (1 + size);
        if (same) continue;
        snprintf(why, room, "element %lld is %.9g, not %.9g", (long long)i, y, x);
        return false;
    }
    return true;
}

/* "" when the case passes */
static rob_status run_set(rob_ctx *ctx, const rob_onnx *file, const char *folder,
                          char *why, size_t room)
{
    rob_onnx_tensor in[SLOTS] = { 0 }, want[SLOTS] = { 0 }, got[SLOTS] = { 0 };
    int ins = read_tensors(ctx, folder, "input", in);
    int outs = read_tensors(ctx, folder, "output", want);
    rob_status status =
        rob_priv_onnx_evaluate(ctx, file, in, ins, false, got, outs);
    if (status < ROB_OK) snprintf(why, room, "%s", rob_ctx_error(ctx));
    for (int k = 0; status == ROB_OK && k < outs; k++)
        if (!agree(&want[k], &got[k], why, room)) break;
    free_tensors(in, ins);
    free_tensors(want, outs);
    free_tensors(got, outs);
    return status;
}

static rob_status run_case(rob_ctx *ctx, const char *folder, char *why, size_t room)
{
    char path[NAME];
    rob_bytes bytes = { 0 };
    rob_onnx file = { 0 };
    why[0] = '\0';
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    rob_status status = rob_priv_io_read(ctx, path, 1 << 26, &bytes);
    if (status == ROB_OK)
        status = rob_priv_onnx_parse(ctx, bytes.at, bytes.count, path, &file);
    if (status < ROB_OK) snprintf(why, room, "%s", rob_ctx_error(ctx));
    for (int k = 0; status == ROB_OK && !why[0]; k++) {
        snprintf(path, sizeof path, "%s/test_data_set_%d", folder, k);
        DIR *there = opendir(path);
        if (there == NULL) break;
        closedir(there);
        status = run_set(ctx, &file, path, why, room);
    }
    rob_priv_onnx_clear(&file);
    rob_priv_io_release(&ctx->memory, &bytes);
    return status;
}

static const char *by_design(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(BY_DESIGN); k++)
        if (strncmp(name, BY_DESIGN[k].prefix, strlen(BY_DESIGN[k].prefix)) == 0)
            return BY_DESIGN[k].reason;
    return NULL;
}

static void judge(rob_ctx *ctx, const char *root, const char *name, tally *t)
{
    char folder[FOLDER], why[NAME];
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    rob_status status = run_case(ctx, folder, why, sizeof why);
    const char *reason = by_design(name);
    if (status == ROB_OK && !why[0]) t->passed++;
    else if (reason != NULL && status < ROB_OK) {
        printf("unsupported by design: %s (%s)\n", name, reason);
        t->unsupported++;
    } else {
        printf("FAILED %s: %s\n", name, why);
        t->failed++;
    }
}

static tally run_folder(const char *relative)
{
    char root[ROOT];
    tally t = { 0 };
    rob_ctx *ctx;
    struct dirent **list;
    ck_assert(rob_data_path(relative, root, sizeof root));
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    int n = scandir(root, &list, NULL, alphasort);
    for (int k = 0; k < n; k++) {
        if (list[k]->d_name[0] != '.') judge(ctx, root, list[k]->d_name, &t);
        free(list[k]);
    }
    if (n >= 0) free(list);
    rob_ctx_free(ctx);
    printf("%s: %d passed, %d unsupported by design, %d failed\n", relative, t.passed,
           t.unsupported, t.failed);
    return t;
}

static bool no_data(void)
{
    char path[NAME];
    if (rob_data_path("onnx-conformance/node", path, sizeof path)) {
        DIR *there = opendir(path);
        if (there != NULL) return closedir(there), false;
    }
    rob_skip("ROBUST_DATA/onnx-conformance is not there");
    return true;
}

START_TEST(single_operators)
{
    if (no_data()) return;
    tally t = run_folder("onnx-conformance/node");
    ck_assert_int_eq(t.failed, 0);
    ck_assert(t.passed >= 9 * (t.passed + t.unsupported) / 10);
}
END_TEST

START_TEST(converted_from_pytorch)
{
    if (no_data()) return;
    tally t = run_folder("onnx-conformance/pytorch-converted");
    ck_assert_int_eq(t.failed, 0);
    ck_assert_int_eq(t.unsupported, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("onnx_cases");
    TCase *t = tcase_create("onnx_cases");
    tcase_add_test(t, single_operators);
    tcase_add_test(t, converted_from_pytorch);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
