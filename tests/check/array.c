/* array.c -- NPY arrays and tables of numbers in text: every type and separator is read,
 * what lies about itself is refused with a clear line. */
#include "check/harness.h"
#include "io/io.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static rob_ctx *ctx;

static void set_up(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void tear_down(void) { rob_ctx_free(ctx); }

/* ---- NPY ------------------------------------------------------------------------- */

static int64_t npy(int version, const char *header, const void *data, int64_t size,
                   uint8_t *out)
{
    int64_t n = (int64_t)strlen(header), at = version == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version;
    out[7] = 0;
    for (int k = 0; k < at - 8; k++) out[8 + k] = (uint8_t)(n >> (8 * k));
    memcpy(out + at, header, (size_t)n);
    memcpy(out + at + n, data, (size_t)size);
    return at + n + size;
}

#define HEADER(descr, order, shape)                                                    \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape               \
    ", }          \n"

static rob_status npy_parse(const char *header, const void *data, int64_t size,
                            rob_array *a)
{
    static uint8_t bytes[4096];
    return rob_priv_npy_parse(ctx, bytes, npy(1, header, data, size, bytes), "t", a);
}

START_TEST(npy_of_every_type)
{
    static const struct {
        const char *header;
        uint8_t data[16];
        int64_t size;
        double value[2];
    } cases[] = {
        { HEADER("<f8", "False", "(1,)"),
          { 0, 0, 0, 0, 0, 0, 0xF8, 0xBF },
          8,
          { -1.5 } },
        { HEADER(">f8", "False", "(1,)"), { 0xBF, 0xF8 }, 8, { -1.5 } },
        { HEADER("<f4", "False", "(2,)"),
          { 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0 },
          8,
          { 1, -2 } },
        { HEADER(">f4", "False", "(1,)"), { 0x3F, 0x80, 0, 0 }, 4, { 1 } },
        { HEADER("|i1", "False", "(2,)"), { 0x80, 0x7F }, 2, { -128, 127 } },
        { HEADER("|u1", "False", "(2,)"), { 0x80, 0xFF }, 2, { 128, 255 } },
        { HEADER("<i2", "False", "(2,)"), { 0xFF, 0xFF, 0, 0x80 }, 4, { -1, -32768 } },
        { HEADER(">i2", "False", "(1,)"), { 0xFF, 0xFE }, 2, { -2 } },
        { HEADER("<i4", "False", "(1,)"), { 0xFE, 0xFF, 0xFF, 0xFF }, 4, { -2 } },
        { HEADER("<i8", "False", "(1,)"),
          { 0, 0, 0, 0, 0, 0, 0x20, 0 },
          8,
          { 0x1p53 } },
        { HEADER("<u2", "False", "(1,)"), { 0xFF, 0xFF }, 2, { 65535 } },
        { HEADER("|b1", "False", "(2,)"), { 1, 0 }, 2, { 1, 0 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rob_array a;
        ck_assert_msg(npy_parse(cases[i].header, cases[i].data, cases[i].size, &a)
                          == ROB_OK,
                      "%s: %s", cases[i].header, rob_ctx_error(ctx));
        for (int64_t k = 0; k < a.size; k++) ck_assert(a.at[k] == cases[i].value[k]);
        rob_priv_release(&ctx->memory, a.at);
    }
}
END_TEST

/* The same (2, 3, 4) array, i*100 + j*10 + k, in both orders. */
START_TEST(npy_orders_agree)
{
    double c[24], f[24];
    rob_array a, b;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++)
                c[(i * 3 + j) * 4 + k] = f[i + 2 * (j + 3 * k)] = 100 * i + 10 * j + k;
    ck_assert_int_eq(npy_parse(HEADER("<f8", "False", "(2, 3, 4)"), c, sizeof c, &a),
                     ROB_OK);
    ck_assert_int_eq(npy_parse(HEADER("<f8", "True", "(2, 3, 4)"), f, sizeof f, &b),
                     ROB_OK);
    ck_assert_mem_eq(a.at, c, sizeof c);
    ck_assert_mem_eq(b.at, c, sizeof c);
    rob_priv_release(&ctx->memory, a.at);
    rob_priv_release(&ctx->memory, b.at);
}
END_TEST

START_TEST(npy_versions_and_truncations)
{
    const double x[2] = { 1, 2 };
    for (int version = 1; version <= 4; version++) {
        uint8_t bytes[512];
        rob_array a;
        int64_t count =
            npy(version, HEADER("<f8", "False", "(2,)"), x, sizeof x, bytes);
        rob_status status = rob_priv_npy_parse(ctx, bytes, count, "t", &a);
        ck_assert_int_eq(status, version <= 3 ? ROB_OK : ROB_EFORMAT);
        if (status == ROB_OK) rob_priv_release(&ctx->memory, a.at);
        for (int64_t k = 0; k < count; k++)
            ck_assert_int_eq(rob_priv_npy_parse(ctx, bytes, k, "t", &a), ROB_EFORMAT);
    }
}
END_TEST

START_TEST(hostile_npy_is_refused)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{'descr': '<f8'}",
        HEADER("<f8", "Maybe", "(1,)"),
        HEADER("<f8", "False", "(2,)"),
        HEADER("<c16", "False", "(1,)"),
        HEADER("=f8", "False", "(1,)"),
        HEADER("<f2", "False", "(4,)"),
        HEADER("|O", "False", "(1,)"),
        HEADER("<i3", "False", "(1,)"),
        HEADER("|f8", "False", "(1,)"),
        HEADER("<f8", "False", "(-1,)"),
        HEADER("<f8", "False", "(1,1,1,1,1)"),
        HEADER("<f8", "False", "(1099511627776,)"),
        HEADER("<f8", "False", "1"),
        HEADER("<f8", "False", "(4294967296, 4294967297)"),
        HEADER("<f8", "False", "(99999999999999999999999,)"),
        HEADER("<f8", "False", "((1,),)"),
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), } x",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '",
    };
    const uint8_t data[8] = { 0 };
    rob_array a;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(npy_parse(bad[i], data, 8, &a) == ROB_EFORMAT, "accepted: %s",
                      bad[i]);
    const uint8_t beyond[8] = { 1, 0, 0, 0, 0, 0, 0x20, 0 };
    ck_assert_int_eq(npy_parse(HEADER("<i8", "False", "(1,)"), beyond, 8, &a),
                     ROB_EFORMAT);
}
END_TEST

/* ---- tables ---------------------------------------------------------------------- */

static rob_status rows_of(const char *text, double *row, int64_t *rows, int64_t *last)
{
    rob_table t;
    int64_t count;
    rob_status status =
        rob_priv_table_open(ctx, (const uint8_t *)text, (int64_t)strlen(text), "t", &t);
    *rows = 0;
    while (status == ROB_OK) {
        ck_assert_int_le(t.fields, 64);
        status = rob_priv_table_next(ctx, &t, row, &count);
        if (status < ROB_OK || count == 0) break;
        *last = count;
        ++*rows;
    }
    return status;
}

START_TEST(tables_with_every_separator)
{
    static const char *const good[] = {
        "1\t2.5\t-3e2\n1\t2.5\t-3e2\n",
        "1,2.5,-3e2\r\n1,2.5,-3e2",
        "  1 2.5   -3e2  \n\n1 2.5 -3e2\n",
        "# words\n% more\n@data\n1, 2.5, -3e2\n 1 ,2.5 ,-3e2\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double row[64];
        int64_t rows, last;
        ck_assert_msg(rows_of(good[i], row, &rows, &last) == ROB_OK, "%s",
                      rob_ctx_error(ctx));
        ck_assert_int_eq(rows, 2);
        ck_assert_int_eq(last, 3);
        ck_assert(row[0] == 1 && row[1] == 2.5 && row[2] == -300);
    }
}
END_TEST

START_TEST(missing_fields_are_nan)
{
    double row[64];
    int64_t rows, last;
    ck_assert_int_eq(rows_of("1,,?,NaN,nan,-nan,2,", row, &rows, &last), ROB_OK);
    ck_assert_int_eq(last, 8);
    for (int k = 1; k <= 5; k++) ck_assert(isnan(row[k]));
    ck_assert(row[6] == 2 && isnan(row[7]));
}
END_TEST

START_TEST(hostile_text_is_refused)
{
    static const char *const bad[] = {
        "",
        "1 two\n",
        "1\t2x\n",
        "1,0x10\n",
        "1 inf\n",
        "1 -Infinity\n",
        "1,1e999\n",
        "--1\n",
        "1\t2 3\n",
        "\x93NUMPYx",
        "1;2\n",
        "1,2\n\"a\",3\n",
        "\357\273\2771,2\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double row[64];
        int64_t rows, last;
        ck_assert_msg(rows_of(bad[i], row, &rows, &last) == ROB_EFORMAT, "accepted: %s",
                      bad[i]);
    }
    rob_table t;
    ck_assert_int_eq(rob_priv_table_open(ctx, (const uint8_t *)"1 \0 2", 5, "t", &t),
                     ROB_EFORMAT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("array");
    TCase *c = tcase_create("array");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, npy_of_every_type);
    tcase_add_test(c, npy_orders_agree);
    tcase_add_test(c, npy_versions_and_truncations);
    tcase_add_test(c, hostile_npy_is_refused);
    tcase_add_test(c, tables_with_every_separator);
    tcase_add_test(c, missing_fields_are_nan);
    tcase_add_test(c, hostile_text_is_refused);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
