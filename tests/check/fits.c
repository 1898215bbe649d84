/* fits.c -- light curves in FITS: values, flags, times and names as the file has them;
 * files that lie are refused before cfitsio sees them.
 */
#include "check/reading.h"

enum { MOST = 1 << 16, BLOCK = 2880, ROWS = 6, WIDTH = 16 };
static uint8_t file[MOST], changed[MOST];

static bool has_cfitsio(void) { return strstr(rob_build_info(), "no cfitsio") == NULL; }

static void card(int64_t *n, const char *key, const char *value)
{
    memset(file + *n, ' ', 80);
    memcpy(file + *n, key, strlen(key));
    if (*value) {
        memcpy(file + *n + 8, "= ", 2);
        memcpy(file + *n + 10 + (*value == '\'' ? 0 : 20 - (int)strlen(value)), value,
               strlen(value));
    }
    *n += 80;
}

static void pad(int64_t *n, int with)
{
    while (*n % BLOCK != 0) file[(*n)++] = (uint8_t)with;
}

static void big_endian(uint64_t word, int size, int64_t *n)
{
    for (int b = size - 1; b >= 0; b--) file[(*n)++] = (uint8_t)(word >> (8 * b));
}

static void put_double(double x, int64_t *n)
{
    uint64_t word;
    memcpy(&word, &x, 8);
    big_endian(word, 8, n);
}

static void put_float(float x, int64_t *n)
{
    uint32_t word;
    memcpy(&word, &x, 4);
    big_endian(word, 4, n);
}

static const char *const TABLE[][2] = {
    { "XTENSION", "'BINTABLE'" },  { "BITPIX", "8" },          { "NAXIS", "2" },
    { "NAXIS1", "16" },            { "NAXIS2", "6" },          { "PCOUNT", "0" },
    { "GCOUNT", "1" },             { "TFIELDS", "3" },         { "TTYPE1", "'TIME'" },
    { "TFORM1", "'D'" },           { "TUNIT1", "'days'" },     { "TTYPE2", "'PDCSAP_FLUX'" },
    { "TFORM2", "'1E'" },          { "TUNIT2", "'e-/s'" },     { "TTYPE3", "'SAP_QUALITY'" },
    { "TFORM3", "'1J'" },          { "OBJECT", "'KIC 7'" },    { "END", "" },
};

/* Times 1 .. 6 without the third; flux 100, NaN, ..., 104, 105; one flag of the default
 * mask (8) on the fifth row, one that is none (128) on the sixth. */
static int64_t light_curve(void)
{
    static const double time[ROWS] = { 1, 2, NAN, 4, 5, 6 };
    static const float flux[ROWS] = { 100, NAN, 102, 103, 104, 105 };
    static const uint32_t flag[ROWS] = { 0, 0, 0, 0, 8, 128 };
    int64_t n = 0;
    card(&n, "SIMPLE", "T");
    card(&n, "BITPIX", "8");
    card(&n, "NAXIS", "0");
    card(&n, "END", "");
    pad(&n, ' ');
    for (size_t k = 0; k < sizeof TABLE / sizeof *TABLE; k++)
        card(&n, TABLE[k][0], TABLE[k][1]);
    pad(&n, ' ');
    for (int k = 0; k < ROWS; k++) {
        put_double(time[k], &n);
        put_float(flux[k], &n);
        big_endian(flag[k], 4, &n);
    }
    pad(&n, 0);
    return n;
}

static bool ready(void)
{
    int64_t n = light_curve();
    GOOD(rob_data_set(ctx, d, "gaps", 1));
    if (has_cfitsio()) return true;
    ck_assert_int_eq(read_bytes(file, n), ROB_EUNSUPPORTED);
    SAYS("libcfitsio-dev");
    return false;
}

START_TEST(a_light_curve_is_read_with_its_gaps_counted)
{
    const double kept[] = { 100, 101, 102, 103, 104, 105 };
    char text[32];
    if (!ready()) return;
    /* rows 2 (NaN), 3 (no time) and 5 (flagged) lie on a line between the others */
    GOOD(read_bytes(file, light_curve()));
    series_is(0, 6, 1, kept, -1);
    ck_assert(known(0, "missing", 0) == 1 && known(0, "masked", 0) == 1);
    ck_assert(known(0, "gaps", 0) == 3);
    ck_assert(known(0, "time", 2) == 3 && known(0, "time", 5) == 6);
    GOOD(rob_data_about_text(ctx, d, 0, "name", text, sizeof text, NULL));
    ck_assert_str_eq(text, "KIC 7");
    GOOD(rob_data_about_text(ctx, d, 0, "units", text, sizeof text, NULL));
    ck_assert_str_eq(text, "e-/s");
    GOOD(rob_data_about_text(ctx, d, 0, "time_units", text, sizeof text, NULL));
    ck_assert_str_eq(text, "days");
}
END_TEST

START_TEST(quality_says_which_flags_matter)
{
    if (!ready()) return;
    const int64_t n = light_curve();
    static const char *const quality[] = { "none", "0", "128", "136" };
    static const double masked[] = { 0, 0, 1, 2 };
    for (int k = 0; k < 4; k++) {
        GOOD(rob_data_set_text(ctx, d, "quality", quality[k]));
        GOOD(read_bytes(file, n));
        ck_assert(known(k, "masked", 0) == masked[k] && known(k, "missing", 0) == 1);
    }
    ck_assert_int_eq(rob_data_set_text(ctx, d, "quality", "some"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_set_text(ctx, d, "quality", "-1"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_set_text(ctx, d, "quality", "1.5"), ROB_EARGUMENT);
}
END_TEST

START_TEST(columns_are_features)
{
    if (!ready()) return;
    const int64_t n = light_curve();
    GOOD(rob_data_set_text(ctx, d, "column", "SAP_QUALITY,PDCSAP_FLUX"));
    GOOD(read_bytes(file, n));
    ck_assert(d->features == 2 && d->series[0].x[11] == 105 && d->series[0].x[10] == 128);
    GOOD(rob_data_set_text(ctx, d, "columns", "WHERE"));
    refuses(file, n, ROB_EFORMAT, "no column 'WHERE'");
    GOOD(rob_data_set_text(ctx, d, "columns", "PDC*"));
    refuses(file, n, ROB_EFORMAT, "no column 'PDC*'");
    GOOD(rob_data_set_text(ctx, d, "role", "prices"));
    refuses(file, n, ROB_EFORMAT, "role=prices");
}
END_TEST

/* The card with this key becomes another. */
static void replace(int64_t n, const char *key, const char *text)
{
    memcpy(changed, file, (size_t)n);
    for (int64_t k = BLOCK; k + 80 <= n; k += 80) {
        if (memcmp(changed + k, key, strlen(key)) != 0) continue;
        memset(changed + k, ' ', 80);
        memcpy(changed + k, text, strlen(text));
        return;
    }
    ck_abort_msg("no card %s", key);
}

START_TEST(lying_files_are_refused)
{
    if (!ready()) return;
    const int64_t n = light_curve();
    static const char *const test[][3] = {
        { "NAXIS2", "NAXIS2  =        1099511627776", "do not fit into the file" },
        { "NAXIS2", "NAXIS2  =  9223372036854775807", "do not fit into the file" },
        { "NAXIS2", "NAXIS2  = 99999999999999999999", "not understood" },
        { "NAXIS2", "NAXIS2  =                   -1", "do not fit into the file" },
        { "NAXIS2", "NAXIS2  =                    0", "no text" },
        { "NAXIS1", "NAXIS1  =                   24", "do not fill" },
        { "PCOUNT", "PCOUNT  =        1099511627776", "do not fit into the file" },
        { "GCOUNT", "GCOUNT  =                    9", "do not fit into the file" },
        { "BITPIX", "BITPIX  =                    7", "do not fit into the file" },
        { "TFIELDS", "TFIELDS =                  999", "do not fill" },
        { "TFORM2", "TFORM2  = '99999999999E'", "not understood" },
        { "TFORM2", "TFORM2  = 'Z'", "not understood" },
        { "TFORM2", "TFORM2  = '4A'", "not one number a row" },
        { "TFORM2", "TFORM2  = '2I'", "not one number a row" },
        { "TTYPE1", "TTYPE1  = 'TIMES'", "no light curve" },
        { "XTENSION", "XTENSION= 'IMAGE   '", "no light curve" },
        { "XTENSION", "EXTENSIO= 'BINTABLE'", "begins as no FITS" },
        { "END", "ENDING", "no text" },
        { "OBJECT", "OBJECT  = '\x01'", "no text" },
    };
    for (size_t k = 0; k < sizeof test / sizeof *test; k++) {
        replace(n, test[k][0], test[k][1]);
        refuses(changed, n, ROB_EFORMAT, test[k][2]);
    }
    for (int64_t k = 10; k < n; k += k % 80 == 0 ? 7 : 73)
        refuses(file, k, ROB_EFORMAT, "");
}
END_TEST

/* Nothing but a status may come of any changed byte. */
START_TEST(damaged_files_do_no_harm)
{
    if (!ready()) return;
    const int64_t n = light_curve();
    for (int64_t k = 0; k < n; k += rob_long() ? 1 : 13) {
        memcpy(changed, file, (size_t)n);
        changed[k] ^= 0x15;
        if (rob_priv_data_read(ctx, d, changed, n, "changed") == ROB_OK)
            rob_priv_data_cut(d, 0);
        ck_assert_int_eq(d->count, 0);
    }
}
END_TEST

static rob_status life(rob_ctx *poor)
{
    rob_data *set = NULL;
    rob_status status = rob_data_create(poor, &set);
    if (status == ROB_OK) status = rob_data_set(poor, set, "gaps", 1);
    if (status == ROB_OK) status = read_into(poor, set, file, light_curve());
    rob_data_free(set);
    return status;
}

START_TEST(failing_memory_is_survived)
{
    if (ready()) rob_live_poorly(life);
}
END_TEST

START_TEST(a_decimal_comma_changes_nothing)
{
    if (!ready()) return;
    if (!german()) {
        rob_skip("the locale de_DE.UTF-8 is not installed");
        return;
    }
    GOOD(read_bytes(file, light_curve()));
    ck_assert(d->series[0].x[5] == 105);
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(kepler_90_has_its_gaps)
{
    static const char *const name[] = { "2009350155506", "2010009091648",
                                        "2010174085026" };
    static const double missing[] = { 236, 13, 148 };
    static const int64_t rows[] = { 4370, 1021, 4634 };
    char path[80];
    if (!has_cfitsio()) return;
    for (int k = 0; k < 3; k++) {
        snprintf(path, sizeof path, "kepler-fits/kplr011442793-%s_llc.fits", name[k]);
        if (!read_published(path)) return;
        ck_assert(known(k, "missing", 0) == missing[k]);
        ck_assert_int_eq(d->series[k].steps, rows[k]);
    }
}
END_TEST

START_TEST(tess_and_a_fold)
{
    const char *path = "tess-fits/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits";
    if (!has_cfitsio()) return;
    if (!read_published(path)) return;
    ck_assert(known(0, "missing", 0) == 1797 && d->series[0].steps == 20076);
    GOOD(rob_data_set_text(ctx, d, "fold", "period=6.2678 epoch=1325.504 bins=201"));
    GOOD(rob_data_set_text(ctx, d, "normalize", "ppm"));
    read_published(path);
    ck_assert(d->series[1].steps == 201 && known(1, "level", 0) > 1e6);
    ck_assert(known(1, "missing", 0) == 1797 && known(1, "period", 0) == 6.2678);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fits");
    TCase *c = tcase_create("fits");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, a_light_curve_is_read_with_its_gaps_counted);
    tcase_add_test(c, quality_says_which_flags_matter);
    tcase_add_test(c, columns_are_features);
    tcase_add_test(c, lying_files_are_refused);
    tcase_add_test(c, damaged_files_do_no_harm);
    tcase_add_test(c, failing_memory_is_survived);
    tcase_add_test(c, a_decimal_comma_changes_nothing);
    tcase_add_test(c, kepler_90_has_its_gaps);
    tcase_add_test(c, tess_and_a_fold);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
