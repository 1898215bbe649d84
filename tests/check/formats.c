/* formats.c -- files of series as others write them: gzip, IDX, .ts. Numbers in, the
 * same numbers out; lies and truncations are refused and leave nothing behind.
 */
#include "check/reading.h"

/* ---- gzip ------------------------------------------------------------------------ */

/* gzip -9 of "1\t0.5\t2\n2\t-1\t4\n" */
static const uint8_t PACKED[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x33, 0xe4,
    0x34, 0xd0, 0x33, 0xe5, 0x34, 0xe2, 0x32, 0xe2, 0xd4, 0x35, 0xe4, 0x34,
    0xe1, 0x02, 0x00, 0xfb, 0xeb, 0x94, 0xf3, 0x0f, 0x00, 0x00, 0x00,
};
enum { PACKED_SIZE = sizeof PACKED };

static bool has_zlib(void)
{
    if (strstr(rob_build_info(), "no zlib") == NULL) return true;
    ck_assert_int_eq(read_bytes(PACKED, PACKED_SIZE), ROB_EUNSUPPORTED);
    SAYS("zlib1g-dev");
    return false;
}

START_TEST(gzip_is_unpacked_whatever_it_holds)
{
    if (!has_zlib()) return;
    const double first[] = { 0.5, 2 }, second[] = { -1, 4 };
    uint8_t twice[2 * PACKED_SIZE + 4] = { 0 };
    GOOD(read_bytes(PACKED, PACKED_SIZE));
    ck_assert_int_eq(d->count, 2);
    series_is(0, 2, 1, first, 0);
    series_is(1, 2, 1, second, 1);
    /* two members and zeros behind them are one file */
    memcpy(twice, PACKED, PACKED_SIZE);
    memcpy(twice + PACKED_SIZE, PACKED, PACKED_SIZE);
    GOOD(read_bytes(twice, sizeof twice));
    ck_assert_int_eq(d->count, 6);
}
END_TEST

START_TEST(damaged_gzip_is_refused)
{
    uint8_t bytes[PACKED_SIZE];
    if (!has_zlib()) return;
    for (int64_t n = 2; n < PACKED_SIZE; n++)
        refuses(PACKED, n, ROB_EFORMAT, "compressed data are");
    for (int64_t k = 10; k < PACKED_SIZE; k++) {
        memcpy(bytes, PACKED, sizeof bytes);
        bytes[k] ^= k == 26 ? 0x01 : 0x10; /* the upper bits of byte 26 are padding */
        refuses(bytes, sizeof bytes, ROB_EFORMAT, "compressed data are");
    }
}
END_TEST

/* ---- IDX ------------------------------------------------------------------------- */

static int64_t idx(uint8_t *to, uint8_t kind, int rank, const uint32_t *dim,
                   const uint8_t *data, int64_t count)
{
    uint8_t *at = to;
    *at++ = 0, *at++ = 0, *at++ = kind, *at++ = (uint8_t)rank;
    for (int k = 0; k < rank; k++)
        for (int b = 24; b >= 0; b -= 8) *at++ = (uint8_t)(dim[k] >> b);
    memcpy(at, data, (size_t)count);
    return at + count - to;
}

static const uint8_t PIXEL[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255 };
static const uint32_t TWO_IMAGES[] = { 2, 3, 2 };

START_TEST(images_are_rows_frames_or_columns)
{
    uint8_t bytes[64];
    const double rows[] = { 7, 8, 9, 10, 11, 255 }, columns[] = { 7, 9, 11, 8, 10, 255 };
    int64_t n = idx(bytes, 8, 3, TWO_IMAGES, PIXEL, 12);
    GOOD(read_bytes(bytes, n));
    ck_assert_int_eq(d->count, 2);
    series_is(1, 3, 2, rows, -1);
    rob_priv_data_cut(d, 0);
    GOOD(rob_data_set(ctx, d, "frames", 2));
    GOOD(read_bytes(bytes, n));
    series_is(1, 2, 3, rows, -1);
    rob_priv_data_cut(d, 0);
    GOOD(rob_data_set_text(ctx, d, "layout", "channels"));
    GOOD(rob_data_set(ctx, d, "frames", 0));
    GOOD(read_bytes(bytes, n));
    series_is(1, 2, 3, columns, -1);
    GOOD(rob_data_set(ctx, d, "frames", 4));
    refuses(bytes, n, ROB_EFORMAT, "frames=4 does not divide");
}
END_TEST

START_TEST(idx_labels_follow_their_images)
{
    uint8_t bytes[64];
    const uint8_t label[] = { 9, 4 };
    const uint32_t two[] = { 2 }, three[] = { 3 };
    GOOD(read_bytes(bytes, idx(bytes, 8, 3, TWO_IMAGES, PIXEL, 12)));
    refuses(bytes, idx(bytes, 8, 1, three, PIXEL, 3), ROB_EFORMAT, "wait for");
    GOOD(read_bytes(bytes, idx(bytes, 8, 1, two, label, 2)));
    ck_assert_int_eq(d->series[0].label, 1);
    ck_assert_int_eq(d->series[1].label, 0);
    ck_assert(known(-1, "classes", 1) == 9);
}
END_TEST

START_TEST(idx_knows_all_its_kinds)
{
    uint8_t bytes[64];
    static const struct {
        uint8_t kind, data[8];
        int size;
        double value;
    } test[] = {
        { 0x08, { 200 }, 1, 200 },
        { 0x09, { 200 }, 1, -56 },
        { 0x0b, { 0xff, 0xfe }, 2, -2 },
        { 0x0c, { 0x80, 0, 0, 0 }, 4, -2147483648.0 },
        { 0x0d, { 0xbf, 0x80, 0, 0 }, 4, -1 },
        { 0x0e, { 0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18 }, 8,
          3.14159265358979312 },
    };
    const uint32_t one[] = { 1, 1 };
    for (int k = 0; k < 6; k++) {
        GOOD(read_bytes(bytes, idx(bytes, test[k].kind, 2, one, test[k].data,
                                   test[k].size)));
        series_is(k, 1, 1, &test[k].value, -1);
    }
}
END_TEST

START_TEST(lying_idx_is_refused)
{
    uint8_t bytes[64];
    const uint32_t huge[] = { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };
    const uint32_t none[] = { 0, 0xffffffff, 0xffffffff, 0xffffffff };
    const uint32_t tera[] = { 1 << 20, 1 << 20 };
    int64_t n = idx(bytes, 8, 3, TWO_IMAGES, PIXEL, 12);
    for (int64_t k = 4; k < n; k++) refuses(bytes, k, ROB_EFORMAT, "IDX header");
    refuses(bytes, idx(bytes, 8, 4, huge, PIXEL, 12), ROB_EFORMAT, "do not fit");
    refuses(bytes, idx(bytes, 8, 4, none, PIXEL, 0), ROB_EFORMAT, "do not fit");
    refuses(bytes, idx(bytes, 14, 2, tera, PIXEL, 12), ROB_EFORMAT, "do not fit");
    refuses(bytes, idx(bytes, 8, 2, none, PIXEL, 0), ROB_EFORMAT, "has rank 2 and 0");
    bytes[3] = 255;
    refuses(bytes, 40, ROB_EFORMAT, "255 dimensions");
}
END_TEST

/* ---- .ts ------------------------------------------------------------------------- */

START_TEST(channels_lengths_and_words)
{
    const double first[] = { 1, 10, 2, 20, 3, 30 }, second[] = { 4, 5e-5 };
    char name[32];
    GOOD(read_text("# about\n%about\n@problemName Two\n@timeStamps false\n"
                   "@univariate false\n@dimensions 2\n@equalLength false\n"
                   "@classLabel true walk run rest\n\n@data\n"
                   "1,2,3:10,20, 30:run\r\n# between\n4:5.0E-5:walk"));
    ck_assert_int_eq(d->count, 2);
    ck_assert_int_eq(d->classes, 3); /* rest is a class that no series has */
    series_is(0, 3, 2, first, 1);
    series_is(1, 1, 2, second, 0);
    GOOD(rob_data_about_text(ctx, d, 0, "class", name, sizeof name, NULL));
    ck_assert_str_eq(name, "run");
    /* a second file keeps the classes, in whatever order it has them */
    GOOD(read_text("@dimensions 2\n@classLabel true jump rest run\n@data\n1:1:jump\n"));
    ck_assert_int_eq(d->classes, 4);
    ck_assert_int_eq(d->series[2].label, 3);
    ck_assert_int_eq(d->series[0].label, 1);
    refuses_text("@dimensions 2\n@classLabel true 1 2\n@data\n1:1:1\n", "some are");
    refuses_text("@dimensions 2\n@classLabel true run\n@data\n1:1:fly\n", "'fly'");
}
END_TEST

START_TEST(numbers_as_labels_ascend)
{
    GOOD(read_text("@classLabel true 3 1 2\n@data\n5,6:3\n7:1.0\n"));
    ck_assert_int_eq(d->classes, 3);
    ck_assert_int_eq(d->series[0].label, 2);
    ck_assert_int_eq(d->series[1].label, 0);
    refuses_text("@classLabel true a b\n@data\n5,6:a\n", "some are numbers");
    GOOD(rob_data_set_text(ctx, d, "labels", "3,2,1"));
    GOOD(read_text("@classLabel true 1 2 3\n@data\n5,6:2\n"));
    ck_assert_int_eq(d->series[0].label, 0);
    ck_assert_int_eq(d->series[2].label, 1);
}
END_TEST

START_TEST(missing_values_are_gaps)
{
    const double x[] = { 1, 2, 3, 4 };
    GOOD(read_text("@missing true\n@classLabel false\n@data\n1,?,3,4,?,?\n"));
    series_is(0, 4, 1, x, -1); /* what ends in missing values is shorter */
    ck_assert(known(0, "gaps", 0) == 1);
    refuses_text("@data\n1,?,?,4\n", "gaps=0.25");
    refuses_text("@data\n?,?\n", "no value");
}
END_TEST

START_TEST(targets_stand_beside_classes)
{
    GOOD(read_text("@targetlabel true\n@data\n1,2:0.25\n3,4:?\n"));
    ck_assert_int_eq(d->classes, 0);
    ck_assert(known(0, "target", 0) == 0.25);
    ck_assert_int_eq(d->series[0].label, -1);
    ck_assert_int_eq(d->series[1].targets, 0);
    refuses_text("@targetlabel true\n@data\n1,2:big\n", "target 'big'");
    refuses_text("@targetlabel true\n@classLabel true 1\n@data\n1,2:1\n", "both");
}
END_TEST

START_TEST(stamps_are_the_time_axis)
{
    GOOD(rob_data_set(ctx, d, "gaps", 0.5));
    GOOD(read_text("@timestamps true\n@classLabel true 1 2\n@data\n"
                   "(2007-01-01 00:00:00,241.97),(2007-01-01 12:00:00,?),"
                   "(2007-01-03 00:00:00,241):(2007-01-01,1),(2007-01-01 12:00,2),"
                   "(2007-01-03,3):2\n"));
    /* 2007-01-01 is 13514 days behind 1970-01-01 */
    ck_assert(known(0, "time", 0) == 13514 && known(0, "time", 1) == 13514.5);
    ck_assert(known(0, "time", 2) == 13516);
    /* linear in time: a quarter of the way */
    ck_assert(fabs(d->series[0].x[2] - (241.97 - 0.25 * 0.97)) < 1e-12);
    refuses_text("@timestamps true\n@data\n(2,1),(2,1):(1,2),(2,3)\n", "different time");
    refuses_text("@timestamps true\n@data\n(2,1),(2,1)\n", "not above");
    refuses_text("@timestamps true\n@data\n(1,1),(2,1):(1,1)\n", "channel 2 has 1");
    refuses_text("@timestamps true\n@data\n(1,1):(1,1),(2,1)\n", "different lengths");
    refuses_text("@timestamps true\n@data\n(1,1),2\n", "(stamp,value)");
    refuses_text("@timestamps true\n@data\n(1,1),(2\n", "(stamp,value)");
    GOOD(rob_data_set(ctx, d, "frames", 1));
    static const char both[] = "@timestamps true\n@data\n(1,1),(2,1):(1,1),(2,1)\n";
    refuses(both, sizeof both - 1, ROB_EARGUMENT, "time axis");
}
END_TEST

START_TEST(malformed_cases_are_refused)
{
    refuses_text("@problemName x\n", "no @data");
    refuses_text("@problemName x\n@data\n", "no case");
    refuses_text("@problemName x\n1,2\n@data\n", "no @key");
    refuses_text("@timestamps maybe\n@data\n1\n", "true or false");
    refuses_text("@dimensions 1e9\n@data\n1\n", "dimensions must be");
    refuses_text("@dimensions 3\n@data\n1:2\n", "3 are expected");
    refuses_text("@classLabel true 1 2\n@data\n1,2\n", "and a label");
    refuses_text("@data\n1,2:3\n", "channel 2 has 1 values");
    refuses_text("@data\n1,x\n", "'x' is no finite");
    refuses_text("@data\n1,inf\n", "'inf' is no finite");
    refuses_text("@data\n1:2\n1:2:3\n", "2 are expected");
    GOOD(rob_data_set_text(ctx, d, "role", "prices"));
    refuses_text("@data\n1:2\n", "role=prices");
}
END_TEST

START_TEST(channels_may_be_steps)
{
    const double x[] = { 1, 2, 3, 10, 20, 30 };
    GOOD(rob_data_set_text(ctx, d, "layout", "channels"));
    GOOD(read_text("@data\n1,2,3:10,20,30\n"));
    series_is(0, 2, 3, x, -1);
    refuses("@data\n1,2:10,20\n", 16, ROB_ESHAPE, "2 features");
}
END_TEST

/* ---- memory, locale -------------------------------------------------------------- */

static rob_status life(rob_ctx *poor)
{
    static const char text[] = "@classLabel true a b\n@timestamps true\n@data\n"
                               "(1,1),(2,2):(1,3),(2,4):b\n(1,1):(1,2):a\n";
    uint8_t bytes[64];
    const uint8_t label[] = { 9, 4 };
    const uint32_t two[] = { 2 };
    rob_data *set = NULL, *part = NULL;
    rob_status status = rob_data_create(poor, &set);
    if (status == ROB_OK)
        status = read_into(poor, set, text, (int64_t)strlen(text));
    if (status == ROB_OK)
        status = read_into(poor, set, bytes, idx(bytes, 8, 3, TWO_IMAGES, PIXEL, 12));
    if (status == ROB_OK) status = rob_data_set_text(poor, set, "labels", "9,4,0,1");
    if (status == ROB_OK)
        status = read_into(poor, set, bytes, idx(bytes, 8, 1, two, label, 2));
    if (status == ROB_OK) status = rob_data_split(poor, set, 0.5, &part);
    rob_data_free(part);
    rob_data_free(set);
    set = NULL;
    if (status == ROB_OK) status = rob_data_create(poor, &set);
    if (status == ROB_OK && strstr(rob_build_info(), "no zlib") == NULL)
        status = read_into(poor, set, PACKED, PACKED_SIZE);
    rob_data_free(set);
    return status;
}

START_TEST(failing_memory_is_survived) { rob_live_poorly(life); } END_TEST

START_TEST(a_decimal_comma_changes_nothing)
{
    const double x[] = { 1.5, -0.25 };
    if (!german()) {
        rob_skip("the locale de_DE.UTF-8 is not installed");
        return;
    }
    GOOD(read_text("@classLabel true 1 2\n@data\n1.5,-.25:2\n"));
    series_is(0, 2, 1, x, 1);
    setlocale(LC_ALL, "C");
}
END_TEST

/* ---- published ------------------------------------------------------------------- */

START_TEST(published_lstms_on_mnist)
{
    static const struct {
        const char *model;
        double frames;
        int64_t hits;
    } test[] = {
        { "04f_032h_1l", 4, 9614 },  { "04f_032h_2l", 4, 9673 },
        { "04f_064h_1l", 4, 9726 },  { "07f_032h_1l", 7, 9651 },
        { "14f_032h_1l", 14, 9686 },
    };
    char path[64];
    if (!has_zlib()) return;
    for (int k = 0; k < 5; k++) {
        rob_priv_data_cut(d, 0);
        GOOD(rob_data_set(ctx, d, "frames", test[k].frames));
        if (!read_published("mnist/t10k-images-idx3-ubyte.gz")) return;
        read_published("mnist/t10k-labels-idx1-ubyte.gz");
        snprintf(path, sizeof path, "models/prover_mnist_%s.safetensors",
                 test[k].model);
        ck_assert_int_eq(d->count, 10000);
        int64_t hits = hits_of(path, "lstm readout=last input=x/255");
        ck_assert_msg(hits == test[k].hits, "%s: %d", path, (int)hits);
        if (!rob_long()) return;
    }
}
END_TEST

START_TEST(published_lstm_on_natops)
{
    GOOD(rob_data_set_text(ctx, d, "layout", "channels"));
    if (!read_published("uea/NATOPS/NATOPS_TEST.ts")) return;
    ck_assert(d->count == 180 && d->series[0].steps == 24 && d->features == 51);
    ck_assert_int_eq(
        hits_of("models/natops_lstm.safetensors", "lstm readout=last"), 143);
}
END_TEST

START_TEST(published_files_of_every_shape)
{
    if (!read_published("uea/JapaneseVowels/JapaneseVowels_TRAIN.ts")) return;
    ck_assert(d->count == 270 && d->features == 12 && d->classes == 9);
    int64_t shortest = 100, longest = 0;
    for (int64_t i = 0; i < d->count; i++) {
        if (d->series[i].steps < shortest) shortest = d->series[i].steps;
        if (d->series[i].steps > longest) longest = d->series[i].steps;
    }
    ck_assert(shortest == 7 && longest == 26);
    rob_priv_data_cut(d, 0);
    d->classes = 0;
    read_published("ucr/formats/UnitTestTimeStamps_TRAIN.ts");
    read_published("ucr/formats/UnitTest_TRAIN.ts");
    read_published("ucr/formats/PickupGestureWiimoteZ_TEST.ts");
    read_published("ucr/formats/ItalyPowerDemand_TRAIN.ts");
}
END_TEST

/* 1 ulp of float32 is 6e-8 of values below 2.2. */
START_TEST(gunpoint_is_the_same_in_ts)
{
    if (!read_published("ucr/GunPoint/GunPoint_TRAIN.tsv")) return;
    read_published("ucr/formats/GunPoint_TRAIN.ts");
    ck_assert(d->count == 100 && d->classes == 2);
    for (int64_t i = 0; i < 50; i++) {
        ck_assert_int_eq(d->series[i].label, d->series[50 + i].label);
        for (int64_t k = 0; k < 150; k++)
            ck_assert(fabs(d->series[i].x[k] - d->series[50 + i].x[k]) < 1.3e-7);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("formats");
    TCase *c = tcase_create("formats");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, gzip_is_unpacked_whatever_it_holds);
    tcase_add_test(c, damaged_gzip_is_refused);
    tcase_add_test(c, images_are_rows_frames_or_columns);
    tcase_add_test(c, idx_labels_follow_their_images);
    tcase_add_test(c, idx_knows_all_its_kinds);
    tcase_add_test(c, lying_idx_is_refused);
    tcase_add_test(c, channels_lengths_and_words);
    tcase_add_test(c, numbers_as_labels_ascend);
    tcase_add_test(c, missing_values_are_gaps);
    tcase_add_test(c, targets_stand_beside_classes);
    tcase_add_test(c, stamps_are_the_time_axis);
    tcase_add_test(c, malformed_cases_are_refused);
    tcase_add_test(c, channels_may_be_steps);
    tcase_add_test(c, failing_memory_is_survived);
    tcase_add_test(c, a_decimal_comma_changes_nothing);
    tcase_add_test(c, published_lstms_on_mnist);
    tcase_add_test(c, published_lstm_on_natops);
    tcase_add_test(c, published_files_of_every_shape);
    tcase_add_test(c, gunpoint_is_the_same_in_ts);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
