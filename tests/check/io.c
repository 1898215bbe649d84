/* io.c -- files and safetensors headers: what is written comes back bit for bit, and
 * what lies about itself is refused quickly with a clear line. */
#include "check/harness.h"
#include "io/io.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

static rob_ctx *ctx;

static void set_up(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void tear_down(void) { rob_ctx_free(ctx); }

/* ---- files ----------------------------------------------------------------------- */

static void temporary(char path[64])
{
    strcpy(path, "/tmp/robust-io-XXXXXX");
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
}

START_TEST(a_file_comes_back_whole)
{
    char path[64];
    uint8_t text[300];
    rob_bytes back;
    for (int i = 0; i < 300; i++) text[i] = (uint8_t)(i * 7);
    const rob_bytes parts[3] = { { text, 100 }, { text, 0 }, { text + 100, 200 } };
    temporary(path);
    ck_assert_int_eq(rob_priv_io_write(ctx, path, parts, 3), ROB_OK);
    ck_assert_int_eq(rob_priv_io_read(ctx, path, 300, &back), ROB_OK);
    ck_assert_int_eq(back.count, 300);
    ck_assert_mem_eq(back.at, text, 300);
    ck_assert_int_eq(back.at[300], 0);
    rob_priv_io_release(&ctx->memory, &back);
    ck_assert_int_eq(rob_priv_io_read(ctx, path, 299, &back), ROB_EFORMAT);
    ck_assert_ptr_null(back.at);
    unlink(path);
}
END_TEST

START_TEST(what_cannot_be_read_names_the_path)
{
    rob_bytes back;
    ck_assert_int_eq(rob_priv_io_read(ctx, "/no/such/file", 10, &back), ROB_EIO);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "/no/such/file"));
    ck_assert_int_eq(rob_priv_io_read(ctx, "/tmp", 10, &back), ROB_EIO);
    ck_assert_int_eq(rob_priv_io_read(ctx, NULL, 10, &back), ROB_EARGUMENT);
    const rob_bytes part = { (uint8_t *)"x", 1 };
    ck_assert_int_eq(rob_priv_io_write(ctx, "/no/such/folder/file", &part, 1), ROB_EIO);
    ck_assert_int_eq(rob_priv_io_read(ctx, "/dev/zero", 1 << 20, &back), ROB_EFORMAT);
    ck_assert_int_eq(rob_priv_io_read(ctx, "/dev/null", 1 << 20, &back), ROB_OK);
    ck_assert_int_eq(back.count, 0);
    rob_priv_io_release(&ctx->memory, &back);
}
END_TEST

START_TEST(words_of_both_orders)
{
    const uint8_t b[8] = { 1, 2, 3, 4, 5, 6, 7, 0x80 };
    ck_assert_uint_eq(rob_priv_io_word(b, 4, false), 0x04030201u);
    ck_assert_uint_eq(rob_priv_io_word(b, 4, true), 0x01020304u);
    ck_assert(rob_priv_io_word(b, 8, false) == 0x8007060504030201u);
    ck_assert(rob_priv_io_word(b, 8, true) == 0x0102030405060780u);
}
END_TEST

/* ---- safetensors ----------------------------------------------------------------- */

/* A file of this header and `data` zero bytes; the length can lie by `lie`. */
static int64_t compose(const char *header, int64_t data, int64_t lie, uint8_t *out)
{
    int64_t n = (int64_t)strlen(header);
    for (int k = 0; k < 8; k++) out[k] = (uint8_t)((uint64_t)(n + lie) >> (8 * k));
    memcpy(out + 8, header, (size_t)n);
    memset(out + 8 + n, 0, (size_t)data);
    return 8 + n + data;
}

static rob_status parse_lying(const char *header, int64_t data, int64_t lie)
{
    static uint8_t bytes[1 << 16];
    rob_safetensors s;
    int64_t count = compose(header, data, lie, bytes);
    rob_status status = rob_priv_safetensors_parse(ctx, bytes, count, "test", &s);
    if (status == ROB_OK) rob_priv_safetensors_clear(&s);
    else ck_assert_ptr_null(s.entry);
    return status;
}

static rob_status parse(const char *header, int64_t data)
{
    return parse_lying(header, data, 0);
}

#define ONE(shape, from, to)                                                           \
    "{\"a\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]" \
                                                                                   "}" \
                                                                                   "}"
#define TENSOR(name, from, to)                                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" from "," to "]" \
                                                                                   "}"

START_TEST(good_headers_are_read)
{
    ck_assert_int_eq(parse("{}", 0), ROB_OK);
    ck_assert_int_eq(parse(ONE("[2,3]", "0", "24"), 24), ROB_OK);
    ck_assert_int_eq(parse(ONE("[]", "0", "4"), 4), ROB_OK);
    ck_assert_int_eq(parse(ONE("[0,7]", "0", "0"), 0), ROB_OK);
    ck_assert_int_eq(parse(" { \"a\" : {\"data_offsets\" :[ 0 , 4 ] ,\n\"shape\":[ 1 ],"
                           "\"dtype\":\"F32\"} }   ",
                           4),
                     ROB_OK);
    ck_assert_int_eq(parse("{" TENSOR("b", "4", "8") "," TENSOR("a", "0", "4") "}", 8),
                     ROB_OK);
    ck_assert_int_eq(parse("{\"__metadata__\":{}}", 0), ROB_OK);
    ck_assert_int_eq(parse("{\"__metadata__\":{\"k\":\"v\",\"l\":\"\"}}", 0), ROB_OK);
}
END_TEST

START_TEST(hostile_headers_are_refused)
{
    static const struct {
        const char *header;
        int64_t data;
    } bad[] = {
        { "", 0 },
        { "{", 0 },
        { "[]", 0 },
        { "{}x", 0 },
        { "{,}", 0 },
        { "{\"a\"}", 0 },
        { ONE("[1]", "0", "8"), 8 }, /* more bytes than the shape */
        { ONE("[1]", "0", "4"), 3 },
        { ONE("[1]", "0", "4"), 5 },
        { ONE("[1]", "4", "8"), 8 }, /* a hole */
        { ONE("[1]", "4", "0"), 4 }, /* end before begin */
        { ONE("[1]", "4000000", "4000004"), 4 },
        { ONE("[1099511627776]", "0", "4398046511104"), 4 }, /* 2^40 elements */
        { ONE("[4294967296,4294967296]", "0", "0"), 0 },     /* 2^64 wraps to 0 */
        { ONE("[4503599627370496,4503599627370496,16]", "0", "0"), 0 },
        { ONE("[1,1,1,1,1,1,1,1,1]", "0", "4"), 4 }, /* too many dimensions */
        { ONE("[-1]", "0", "4"), 4 },
        { ONE("[1.0]", "0", "4"), 4 },
        { ONE("[01]", "0", "4"), 4 },
        { ONE("[1e0]", "0", "4"), 4 },
        { ONE("[99999999999999999999]", "0", "4"), 4 },
        { ONE("[[1]]", "0", "4"), 4 },
        { ONE("{}", "0", "4"), 4 },
        { ONE("[1", "0", "4"), 4 },
        { "{" TENSOR("a", "0", "4") "," TENSOR("a", "4", "8") "}", 8 }, /* twice */
        { "{" TENSOR("a", "0", "4") "," TENSOR("b", "0", "4") "}", 4 }, /* overlap */
        { "{" TENSOR("a", "0", "4") "," TENSOR("b", "8", "12") "}", 12 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4 },
        { "{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":["
          "0,4]}}",
          4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":{}}}",
          4 },
        { "{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", 0 },
        { "{\"a\":[[[[[[[[]]]]]]]]}", 0 },
        { "{\"__metadata__\":{\"k\":1}}", 0 },
        { "{\"__metadata__\":{\"k\":{\"l\":\"m\"}}}", 0 },
        { "{\"__metadata__\":{\"k\":\"v\",\"k\":\"w\"}}", 0 },
        { "{\"__metadata__\":{\"k\":\"v\"},\"__metadata__\":{\"k\":\"v\"}}", 0 },
        { "{\"\\ud800\":{}}", 0 },
        { "{\"\\u0000\":{}}", 0 },
        { "{\"\\x\":{}}", 0 },
        { "{\"\xc0\x80\":{}}", 0 },
        { "{\"\xff\":{}}", 0 },
        { "{\"\xed\xa0\x80\":{}}", 0 },
        { "{\"a\n\":{}}", 0 },
        { "{\"a", 0 },
        { "{\"a\\", 0 },
        { "{\"\\u12", 0 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(parse(bad[i].header, bad[i].data) == ROB_EFORMAT, "accepted: %s",
                      bad[i].header);
}
END_TEST

START_TEST(a_lying_length_is_refused)
{
    const char *header = ONE("[1]", "0", "4");
    const int64_t lies[] = {
        -1, 1, 4, 5, 1 << 20, INT64_MAX / 2, -(int64_t)strlen(header)
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        ck_assert_int_eq(parse_lying(header, 4, lies[i]), ROB_EFORMAT);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    static uint8_t bytes[512];
    rob_safetensors s;
    int64_t count = compose(ONE("[4]", "0", "16"), 16, 0, bytes);
    for (int64_t k = 0; k < count; k++)
        ck_assert_int_eq(rob_priv_safetensors_parse(ctx, bytes, k, "t", &s),
                         ROB_EFORMAT);
}
END_TEST

START_TEST(deep_nesting_and_many_entries_cost_little)
{
    enum { N = 60000 };
    static char header[N + 1];
    static uint8_t bytes[N + 64];
    rob_safetensors s;
    memset(header, '[', N);
    memcpy(header, "{\"a\":", 5);
    int64_t count = compose(header, 0, 0, bytes);
    ck_assert_int_eq(rob_priv_safetensors_parse(ctx, bytes, count, "t", &s),
                     ROB_EFORMAT);
    memset(header, '{', N);
    count = compose(header, 0, 0, bytes);
    ck_assert_int_eq(rob_priv_safetensors_parse(ctx, bytes, count, "t", &s),
                     ROB_EFORMAT);
}
END_TEST

START_TEST(escapes_become_utf8)
{
    static uint8_t bytes[512];
    rob_safetensors s;
    int64_t count = compose("{\"__metadata__\":{\"\\u0041\\n\\\"\\/\":\"\\u00e9\\u20ac"
                            "\\ud83d\\ude00\xc3\xa9\"}}",
                            0, 0, bytes);
    ck_assert_int_eq(rob_priv_safetensors_parse(ctx, bytes, count, "t", &s), ROB_OK);
    ck_assert_str_eq(rob_priv_safetensors_note(&s, "A\n\"/"),
                     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9");
    rob_priv_safetensors_clear(&s);
}
END_TEST

/* Exact values of half-precision patterns; the definition is in src/io/tensor.c. */
START_TEST(half_precision_is_widened_exactly)
{
    static const struct {
        const char *dtype;
        uint16_t bits;
        double value;
    } cases[] = {
        { "F16", 0x3C00, 1.0 },       { "F16", 0xC000, -2.0 },
        { "F16", 0x7BFF, 65504.0 },   { "F16", 0x0001, 0x1p-24 },
        { "F16", 0x0400, 0x1p-14 },   { "F16", 0x3555, 0x1.554p-2 },
        { "BF16", 0x3F80, 1.0 },      { "BF16", 0xC049, -3.140625 },
        { "BF16", 0x0001, 0x1p-133 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        uint8_t bytes[256];
        rob_safetensors s;
        rob_tensor *t;
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[1],"
                 "\"data_offsets\":[0,2]}}",
                 cases[i].dtype);
        int64_t count = compose(header, 2, 0, bytes);
        bytes[count - 2] = (uint8_t)cases[i].bits;
        bytes[count - 1] = (uint8_t)(cases[i].bits >> 8);
        ck_assert_int_eq(rob_priv_safetensors_parse(ctx, bytes, count, "t", &s),
                         ROB_OK);
        ck_assert_int_eq(rob_priv_safetensors_tensor(ctx, &s, s.entry, &t), ROB_OK);
        ck_assert_int_eq(t->dtype, ROB_F32);
        ck_assert(rob_priv_tensor_at(t, 0) == cases[i].value);
        rob_priv_tensor_free(t);
        rob_priv_safetensors_clear(&s);
    }
}
END_TEST

static rob_status tensor_of(const char *dtype, const uint8_t *data, int64_t size)
{
    char header[128];
    uint8_t bytes[256];
    rob_safetensors s;
    rob_tensor *t;
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"%s\",\"shape\":[1],"
             "\"data_offsets\":[0,%d]}}",
             dtype, (int)size);
    int64_t count = compose(header, size, 0, bytes);
    memcpy(bytes + count - size, data, (size_t)size);
    ck_assert_int_eq(rob_priv_safetensors_parse(ctx, bytes, count, "t", &s), ROB_OK);
    rob_status status = rob_priv_safetensors_tensor(ctx, &s, s.entry, &t);
    if (status < ROB_OK) ck_assert_ptr_null(t);
    rob_priv_tensor_free(t);
    rob_priv_safetensors_clear(&s);
    return status;
}

START_TEST(numbers_that_are_none_are_refused)
{
    const uint8_t nan32[4] = { 0, 0, 0xC0, 0x7F }, inf16[2] = { 0, 0x7C },
                  zero[8] = { 0 };
    ck_assert_int_eq(tensor_of("F32", nan32, 4), ROB_EFORMAT);
    ck_assert_int_eq(tensor_of("F16", inf16, 2), ROB_EFORMAT);
    ck_assert_int_eq(tensor_of("F32", zero, 4), ROB_OK);
    ck_assert_int_eq(tensor_of("I64", zero, 8), ROB_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(ctx), "I64"));
}
END_TEST

START_TEST(what_is_written_is_read_bit_for_bit)
{
    char path[64];
    rob_tensor *t[2], *back;
    rob_bytes bytes;
    rob_safetensors s;
    const char *names[2] = { "a.\"b\\c\"", "d/\x01\xc3\xa9" };
    const rob_note note = { "key \"1\"", "value\n2" };
    ck_assert_int_eq(
        rob_priv_tensor_create(&ctx->memory, ROB_F64, rob_priv_shape2(2, 3), &t[0]),
        ROB_OK);
    ck_assert_int_eq(
        rob_priv_tensor_create(&ctx->memory, ROB_F32, rob_priv_shape1(5), &t[1]),
        ROB_OK);
    for (int i = 0; i < 6; i++)
        ((double *)t[0]->data)[i] = (i & 1 ? -1 : 1) * 0x1.23456789abcdep-1070 * i;
    for (int i = 0; i < 5; i++) ((float *)t[1]->data)[i] = -0.1f * (float)i;
    temporary(path);
    ck_assert_int_eq(rob_priv_safetensors_write(ctx, path, names, t, 2, &note, 1),
                     ROB_OK);
    ck_assert_int_eq(rob_priv_io_read(ctx, path, 1 << 20, &bytes), ROB_OK);
    ck_assert_int_eq(rob_priv_safetensors_parse(ctx, bytes.at, bytes.count, path, &s),
                     ROB_OK);
    ck_assert_int_eq((s.data - bytes.at) % 8, 0);
    ck_assert_str_eq(rob_priv_safetensors_note(&s, note.key), note.value);
    for (int k = 0; k < 2; k++) {
        const rob_entry *e = rob_priv_safetensors_find(&s, names[k]);
        ck_assert_ptr_nonnull(e);
        ck_assert_int_eq(rob_priv_safetensors_tensor(ctx, &s, e, &back), ROB_OK);
        ck_assert(rob_priv_shape_equal(&back->shape, &t[k]->shape));
        ck_assert_mem_eq(back->data, t[k]->data, k == 0 ? 48 : 20);
        rob_priv_tensor_free(back);
        rob_priv_tensor_free(t[k]);
    }
    rob_priv_safetensors_clear(&s);
    rob_priv_io_release(&ctx->memory, &bytes);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("io");
    TCase *c = tcase_create("io");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, a_file_comes_back_whole);
    tcase_add_test(c, what_cannot_be_read_names_the_path);
    tcase_add_test(c, words_of_both_orders);
    tcase_add_test(c, good_headers_are_read);
    tcase_add_test(c, hostile_headers_are_refused);
    tcase_add_test(c, a_lying_length_is_refused);
    tcase_add_test(c, every_truncation_is_refused);
    tcase_add_test(c, deep_nesting_and_many_entries_cost_little);
    tcase_add_test(c, escapes_become_utf8);
    tcase_add_test(c, half_precision_is_widened_exactly);
    tcase_add_test(c, numbers_that_are_none_are_refused);
    tcase_add_test(c, what_is_written_is_read_bit_for_bit);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
