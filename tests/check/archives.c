/* archives.c -- .arff and NPZ: the attribute-relation files of the UCR and UEA archives,
 * zip archives of arrays; targets beside labels.
 */
#include "check/reading.h"

enum { MOST = 1 << 14 };
static uint8_t bytes[MOST], changed[MOST];

static int64_t load(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    int64_t count = (int64_t)fread(bytes, 1, MOST, file);
    fclose(file);
    ck_assert(count > 0 && count < MOST);
    return count;
}

static bool has_zlib(void) { return strstr(rob_build_info(), "no zlib") == NULL; }

/* ---- .arff ----------------------------------------------------------------------- */

#define HEAD "% about\n@RELATION 'two words'\n\n@attribute a numeric\n" \
             "@attribute 'b c' REAL\n@attribute d integer\n"
#define PAIR "@relation r\n@attribute s relational\n@attribute t0 numeric\n" \
             "@attribute t1 numeric\n@end s\n@attribute class {walk, 'run'}\n@data\n"

START_TEST(attributes_are_steps_and_the_nominal_one_the_class)
{
    const double first[] = { 1, 2, 3 }, second[] = { -1, 0.5 };
    GOOD(read_text(HEAD "@attribute target {2, 1,5}\n\n@data\n1,2, 3,1\r\n% no\n"
                        "-1,.5,?,2\n"));
    ck_assert(d->count == 2 && d->classes == 3);
    series_is(0, 3, 1, first, 0);
    series_is(1, 2, 1, second, 1);
    GOOD(read_text("@relation r\n@attribute class {1,2}\n@attribute a numeric\n"
                   "@attribute b numeric\n@data\n'2',7,8\n?,7,8\n"));
    ck_assert(d->series[2].label == 1 && d->series[3].label == -1);
    GOOD(rob_data_set(ctx, d, "features", 3));
    rob_priv_data_cut(d, 0);
    GOOD(read_text(HEAD "@data\n1,2,3\n"));
    series_is(0, 1, 3, first, -1);
}
END_TEST

START_TEST(a_relation_holds_channels)
{
    const double first[] = { 1, 3, 2, 4 }, second[] = { 5, 6 };
    char name[16];
    GOOD(read_text(PAIR "'1,2\\n3,4',run\n\"5,?\\n6,?\",'walk'\n"));
    ck_assert(d->count == 2 && d->classes == 2);
    series_is(0, 2, 2, first, 1);
    series_is(1, 1, 2, second, 0);
    GOOD(rob_data_about_text(ctx, d, 0, "class", name, sizeof name, NULL));
    ck_assert_str_eq(name, "run");
}
END_TEST

START_TEST(malformed_relations_are_refused)
{
    refuses_text("@relation r\n@attribute a numeric\n", "no @data");
    refuses_text(HEAD "@data\n", "no case");
    refuses_text("@relation r\n@data\n1\n", "0 numeric attributes");
    refuses_text("@relation r\n@attribute a string\n@data\nx\n", "'string'");
    refuses_text("@relation r\n@attribute a date\n@data\nx\n", "'date'");
    refuses_text("@relation r\n@attribute 'a numeric\n@data\nx\n", "no attribute");
    refuses_text("@relation r\n@attribute\n@data\nx\n", "no attribute");
    refuses_text("@relation r\n@attribute a {1,2\n@data\n1\n", "no '}'");
    refuses_text(HEAD "@attribute c {1}\n@attribute e {1}\n@data\n1,2,3,1,1\n", "second");
    refuses_text(HEAD "@whatever\n@data\n1,2,3\n", "'@whatever'");
    refuses_text(HEAD "@data\n1,2\n", "has 2 fields");
    refuses_text(HEAD "@data\n1,2,3,4\n", "goes on");
    refuses_text(HEAD "@data\n1,2,3,\n", "goes on");
    refuses_text(HEAD "@data\n1,x,3\n", "'x' is no finite");
    refuses_text(HEAD "@data\n1,inf,3\n", "'inf' is no finite");
    refuses_text(HEAD "@data\n{0 1, 2 3}\n", "sparse");
    refuses_text(HEAD "@data\n1,'2,3\n", "closing quote");
    refuses_text(HEAD "@data\n1,'2'x,3\n", "closing quote");
    refuses_text(PAIR "'1,2\\n3',run\n", "channel 2 has 1");
    refuses_text(PAIR "'1,2\\x3,4',run\n", "between two channels");
    refuses_text(PAIR "'1,2\\n3,4',fly\n", "'fly'");
    refuses_text(PAIR "'1,2\\n3,4\\',run\n", "closing quote");
    refuses_text("@relation r\n@attribute s relational\n@attribute a numeric\n@data\n1\n",
                 "'@data' is no numeric attribute");
    refuses_text("@relation r\n@attribute s relational\n@attribute a numeric\n",
                 "no @end");
    GOOD(rob_data_set_text(ctx, d, "role", "label"));
    refuses_text(HEAD "@data\n1,2,3\n", "role=label");
}
END_TEST

/* ---- NPZ ------------------------------------------------------------------------- */

static void arrays_are_there(const char *path)
{
    static const int64_t label[] = { 2, 0, 2, 1 };
    double x[6];
    GOOD(read_bytes(bytes, load(path)));
    ck_assert_int_eq(d->count, 4);
    for (int64_t i = 0; i < 4; i++) {
        for (int64_t k = 0; k < 6; k++) x[k] = (double)(6 * i + k) - 7.5;
        series_is(i, 3, 2, x, label[i]);
    }
}

START_TEST(archives_give_series_labels_targets_and_times)
{
    arrays_are_there("tests/data/arrays.npz");
    ck_assert(known(3, "target", 0) == 1 && known(3, "target", 1) == 4);
    ck_assert(known(3, "time", 1) == 1.5);
    if (!has_zlib()) {
        ck_assert_int_eq(read_bytes(bytes, load("tests/data/packed.npz")),
                         ROB_EUNSUPPORTED);
        SAYS("zlib1g-dev");
        return;
    }
    rob_priv_data_cut(d, 0);
    arrays_are_there("tests/data/packed.npz");
    ck_assert(known(3, "target", 1) == 4 && known(3, "time", 1) == 1.5);
    rob_priv_data_cut(d, 0);
    arrays_are_there("tests/data/plain.npz");
    ck_assert_int_eq(d->series[0].targets, 0);
}
END_TEST

START_TEST(option_columns_says_which_array)
{
    const int64_t n = load("tests/data/arrays.npz");
    const double row[] = { 0.5 };
    GOOD(rob_data_set_text(ctx, d, "columns", "x=target,y=y"));
    GOOD(read_bytes(bytes, n));
    ck_assert(d->count == 4 && d->features == 1 && d->series[0].steps == 2);
    ck_assert(d->series[1].x[0] == row[0] && d->series[1].label == 0);
    GOOD(rob_data_set_text(ctx, d, "columns", "x=target,y=where"));
    refuses(bytes, n, ROB_EFORMAT, "no array 'where'");
    GOOD(rob_data_set_text(ctx, d, "columns", "y=y"));
    refuses(bytes, n, ROB_EFORMAT, "has 4 arrays");
    GOOD(rob_data_set_text(ctx, d, "columns", "x=x,y=time"));
    refuses(bytes, n, ROB_EFORMAT, "3 labels");
    GOOD(rob_data_set_text(ctx, d, "columns", "x=x,target=time"));
    refuses(bytes, n, ROB_EFORMAT, "another number of series than 4");
    GOOD(rob_data_set_text(ctx, d, "columns", "x=time,time=time"));
    refuses(bytes, n, ROB_EFORMAT, "3 numbers of rank 1");
}
END_TEST

static rob_status run_damaged(int64_t n)
{
    rob_status status = read_bytes(changed, n);
    if (status == ROB_OK) rob_priv_data_cut(d, 0);
    ck_assert(d->count == 0);
    return status;
}

/* Is byte k within the packed data of some member? Elsewhere are names of arrays, times
 * and versions, not all of which matter. */
static bool is_data(int64_t n, int64_t k)
{
    for (int64_t at = 0; at + 30 < n && memcmp(bytes + at, "PK\3\4", 4) == 0;) {
        int64_t from = at + 30 + bytes[at + 26] + bytes[at + 28];
        for (at = from; at + 4 < n && memcmp(bytes + at, "PK\3\4", 4) != 0
                        && memcmp(bytes + at, "PK\1\2", 4) != 0;)
            at++;
        if (k >= from && k < at) return true;
    }
    return false;
}

START_TEST(damaged_archives_are_refused)
{
    const char *path = has_zlib() ? "tests/data/packed.npz" : "tests/data/arrays.npz";
    int64_t n = load(path), within = 0;
    for (int64_t k = 4; k < n; k++) refuses(bytes, k, ROB_EFORMAT, "no end of a zip");
    for (int64_t k = 0; k < n; k++) {
        memcpy(changed, bytes, (size_t)n);
        changed[k] ^= 0xff;
        rob_status status = run_damaged(n);
        within += is_data(n, k);
        ck_assert_msg(!is_data(n, k) || status == ROB_EFORMAT, "byte %d", (int)k);
    }
    ck_assert_int_gt(within, n / 3);
}
END_TEST

/* The four bytes at `at` of the last occurrence of `mark`. */
static void lie(int64_t n, const char *mark, int64_t at, uint32_t value)
{
    memcpy(changed, bytes, (size_t)n);
    for (int64_t k = n - 4; k >= 0; k--) {
        if (memcmp(changed + k, mark, 4) != 0) continue;
        for (int b = 0; b < 4; b++) changed[k + at + b] = (uint8_t)(value >> (8 * b));
        return;
    }
    ck_abort_msg("no mark");
}

START_TEST(lying_archives_are_refused_at_once)
{
    const int64_t n = load("tests/data/packed.npz");
    static const struct {
        const char *mark;
        int64_t at;
        uint32_t value;
        const char *word;
    } test[] = {
        { "PK\1\2", 24, 0x7fffffff, "larger than its packed size" },
        { "PK\1\2", 24, 0xffffffff, "zip64" },
        { "PK\1\2", 20, 0x00ffffff, "beyond the file" },
        { "PK\1\2", 42, 0xfffffff0, "local header" },
        { "PK\1\2", 42, 3, "local header" },
        { "PK\1\2", 10, 99, "another method" },
        { "PK\1\2", 8, 1, "encrypted" },
        { "PK\1\2", 28, 0xffffffff, "cut short" },
        { "PK\5\6", 12, 0xfffffff0, "does not fit" },
        { "PK\5\6", 16, 0xfffffff0, "does not fit" },
        { "PK\5\6", 16, 0xffffffff, "zip64" },
        { "PK\5\6", 8, 0xffff0000, "zip64" },
        { "PK\5\6", 8, 0, "does not fit" },
        { "PK\3\4", 26, 0xffffffff, "beyond the file" },
    };
    for (int k = 0; k < (int)(sizeof test / sizeof *test); k++) {
        lie(n, test[k].mark, test[k].at, test[k].value);
        refuses(changed, n, ROB_EFORMAT, test[k].word);
    }
    if (!has_zlib()) return;
    lie(n, "PK\1\2", 16, 0);
    refuses(changed, n, ROB_EFORMAT, "checksum");
    lie(n, "PK\1\2", 24, 17); /* unpacks to more than it says */
    refuses(changed, n, ROB_EFORMAT, "more than 18 bytes");
}
END_TEST

/* ---- targets --------------------------------------------------------------------- */

START_TEST(targets_may_come_apart)
{
    GOOD(read_text("1\t1\t2\n2\t3\t4\n"));
    GOOD(rob_data_set_text(ctx, d, "role", "target"));
    refuses("1 2\n", 4, ROB_ESHAPE, "targets for 1 series; 2 wait");
    refuses("1 2\n3\n", 6, ROB_EFORMAT, "has 1 targets");
    refuses("1 NaN\n3 4\n", 10, ROB_EFORMAT, "not finite");
    GOOD(read_text("0.5 -1\n0.25 7\n"));
    ck_assert(known(0, "target", 1) == -1 && known(1, "target", 0) == 0.25);
    ck_assert(d->series[1].x[1] == 4 && d->series[1].label == 1);
    refuses("1 2\n3 4\n", 8, ROB_ESHAPE, "0 wait");
}
END_TEST

/* ---- memory, locale, published --------------------------------------------------- */

static rob_status life(rob_ctx *poor)
{
    static const char *const text[] = {
        PAIR "'1,2\\n3,4',run\n\"5,?\\n6,?\",'walk'\n",
        "0.5 -1\n0.25 7\n",
    };
    static const char *const role[] = { "auto", "target" };
    rob_data *set = NULL;
    rob_status status = rob_data_create(poor, &set);
    for (int k = 0; k < 2 && status == ROB_OK; k++) {
        status = rob_data_set_text(poor, set, "role", role[k]);
        if (status == ROB_OK)
            status = read_into(poor, set, text[k], (int64_t)strlen(text[k]));
    }
    if (status == ROB_OK) status = rob_data_set_text(poor, set, "role", "auto");
    if (status == ROB_OK) status = rob_data_set_text(poor, set, "labels", "3,2,1,0");
    const char *path = has_zlib() ? "tests/data/packed.npz" : "tests/data/arrays.npz";
    if (status == ROB_OK) status = read_into(poor, set, bytes, load(path));
    rob_data_free(set);
    return status;
}

START_TEST(failing_memory_is_survived) { rob_live_poorly(life); } END_TEST

START_TEST(a_decimal_comma_changes_nothing)
{
    const double x[] = { 1.5, -0.25, 3 };
    if (!german()) {
        rob_skip("the locale de_DE.UTF-8 is not installed");
        return;
    }
    GOOD(read_text(HEAD "@data\n1.5,-.25,3e0\n"));
    series_is(0, 3, 1, x, -1);
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(two_formats_of_basicmotions_are_equal)
{
    if (!read_published("uea/BasicMotions/BasicMotions_TRAIN.ts")) return;
    read_published("uea/BasicMotions/BasicMotions_TRAIN.arff");
    ck_assert(d->count == 80 && d->features == 6 && d->classes == 4);
    for (int64_t i = 0; i < 40; i++) {
        ck_assert_int_eq(d->series[i].label, d->series[40 + i].label);
        ck_assert_mem_eq(d->series[i].x, d->series[40 + i].x, 600 * sizeof(double));
    }
}
END_TEST

START_TEST(gunpoint_is_the_same_in_arff)
{
    if (!read_published("ucr/GunPoint/GunPoint_TRAIN.tsv")) return;
    read_published("ucr/formats/GunPoint_TRAIN.arff");
    ck_assert(d->count == 100 && d->classes == 2);
    for (int64_t i = 0; i < 50; i++) {
        ck_assert_int_eq(d->series[i].label, d->series[50 + i].label);
        ck_assert_mem_eq(d->series[i].x, d->series[50 + i].x, 150 * sizeof(double));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archives");
    TCase *c = tcase_create("archives");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, attributes_are_steps_and_the_nominal_one_the_class);
    tcase_add_test(c, a_relation_holds_channels);
    tcase_add_test(c, malformed_relations_are_refused);
    tcase_add_test(c, archives_give_series_labels_targets_and_times);
    tcase_add_test(c, option_columns_says_which_array);
    tcase_add_test(c, damaged_archives_are_refused);
    tcase_add_test(c, lying_archives_are_refused_at_once);
    tcase_add_test(c, targets_may_come_apart);
    tcase_add_test(c, failing_memory_is_survived);
    tcase_add_test(c, a_decimal_comma_changes_nothing);
    tcase_add_test(c, two_formats_of_basicmotions_are_equal);
    tcase_add_test(c, gunpoint_is_the_same_in_arff);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
