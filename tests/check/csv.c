/* csv.c -- fields, quotes, dates; tables with a header as series. */
#include "check/poor.h"
#include "data/parts.h"

#include <math.h>

static rob_ctx *ctx;
static rob_data *d;

static void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_data_create(ctx, &d), ROB_OK);
}

static void tear_down(void)
{
    rob_data_free(d);
    rob_ctx_free(ctx);
}

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))
#define SAYS(word)                                                                     \
    ck_assert_msg(strstr(rob_ctx_error(ctx), word) != NULL, "%s", rob_ctx_error(ctx))

static rob_status read_text(const char *text)
{
    return rob_priv_data_read(ctx, d, (const uint8_t *)text, (int64_t)strlen(text),
                              "text");
}

static double value(int64_t i, int64_t k)
{
    ck_assert_int_lt(i, d->count);
    return d->series[i].x[k];
}

/* ---- fields ---------------------------------------------------------------------- */

/* Rows joined by '/', fields by '|'. */
static rob_status fields_of(const char *text, char *out)
{
    rob_csv c;
    rob_status status = rob_priv_csv_open(ctx, (const uint8_t *)text,
                                          (int64_t)strlen(text), "text", &c);
    *out = 0;
    for (int row = 0; status == ROB_OK; row++) {
        status = rob_priv_csv_next(ctx, &c);
        if (status < ROB_OK || c.fields == 0) break;
        for (int64_t k = 0; k < c.fields; k++)
            out += sprintf(out, "%s%.*s",
                           k     ? "|"
                           : row ? "/"
                                 : "",
                           (int)c.field[k].count, c.field[k].at);
    }
    rob_priv_csv_clear(&c);
    return status;
}

START_TEST(fields_and_quotes)
{
    static const char *const cases[][2] = {
        { "a,b\n1,2\n", "a|b/1|2" },
        { "\xEF\xBB\xBF"
          "a, b \r\n\r\n1,,\r\n",
          "a|b/1||" },
        { "# words\na;b,c\n1;2\n", "a|b,c/1|2" },
        { "a;b\tc\n", "a;b|c" },
        { "\"a,\"\"b\"\"\",\"c\nd\" ,e\n\"\",2,3", "a,\"b\"|c\nd|e/|2|3" },
        { "\"x;y\",2\n3,4", "x;y|2/3|4" },
        { "  1   2 \"three four\"  5\n6 7", "1|2|three four|5/6|7" },
        { "1\t\t3\n\t2\t3\n", "1||3/|2|3" },
    };
    char out[256];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        GOOD(fields_of(cases[k][0], out));
        ck_assert_str_eq(out, cases[k][1]);
    }
    ck_assert_int_eq(fields_of("a,\"b\n", out), ROB_EFORMAT);
    SAYS("closing quote");
    ck_assert_int_eq(fields_of("a,\"b\"c\n", out), ROB_EFORMAT);
    ck_assert_int_eq(fields_of("", out), ROB_EFORMAT);
}
END_TEST

START_TEST(lines_are_counted_inside_quotes)
{
    ck_assert_int_eq(read_text("l,\"a\nb\",c\n\n1,2,3\n1,2,x\n"), ROB_EFORMAT);
    SAYS("line 5, field 3");
}
END_TEST

static bool date_of(const char *text, double *out)
{
    rob_field f = { .at = text, .count = (int64_t)strlen(text) };
    return rob_priv_field_date(&f, out);
}

START_TEST(dates)
{
    static const struct {
        const char *text;
        double day;
    } good[] = {
        { "1970-01-01", 0 },
        { "1969-12-31", -1 },
        { "2000-02-29", 11016 },
        { "3/1/2000", 11017 },
        { "12/31/1999", 10956 },
        { "2015/1/2", 16437 },
        { "1871-01-01", -36159 },
        { "2017-07-31T12:00", 17378.5 },
        { "1970-01-02 06:00:00", 1.25 },
    };
    static const char *const bad[] = { "",           "2000",       "1900-02-29",
                                       "2001-13-01", "2001-00-01", "31/12/1999",
                                       "1/2/99",     "2001-01-32", "2001-01-01x",
                                       "2001-1",     "1-2-2001",   "2001-01-01T25:00" };
    double day, last = -1e9;
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        ck_assert_msg(date_of(good[k].text, &day), "%s", good[k].text);
        ck_assert_msg(day == good[k].day, "%s is %.17g", good[k].text, day);
    }
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        ck_assert_msg(!date_of(bad[k], &day), "accepted: %s", bad[k]);
    /* consecutive days differ by 1 through eight centuries */
    for (int y = 1600; y < 2400; y++)
        for (int m = 1; m <= 12; m++)
            for (int n = 1; n <= 31; n++) {
                char text[40];
                snprintf(text, sizeof text, "%04d-%02d-%02d", y, m, n);
                if (!date_of(text, &day)) continue;
                ck_assert(last == -1e9 || day == last + 1);
                last = day;
            }
}
END_TEST

/* ---- tables ---------------------------------------------------------------------- */

START_TEST(a_header_names_the_label)
{
    GOOD(rob_data_set(ctx, d, "gaps", 0.5));
    GOOD(rob_data_set_text(ctx, d, "label", "Class"));
    GOOD(read_text("t1,t2,class,t3\n1,2,7,3\n4,,5,6\n"));
    ck_assert_int_eq(d->count, 2);
    ck_assert(d->series[0].label == 1 && d->series[1].label == 0);
    ck_assert(value(0, 2) == 3 && value(1, 1) == 5); /* midway between 4 and 6 */
    ck_assert_int_eq(d->series[1].gaps, 1);
    GOOD(rob_data_set_text(ctx, d, "label", "Kind"));
    ck_assert_int_eq(read_text("t1,class\n1,2\n"), ROB_EFORMAT);
    SAYS("Kind");
}
END_TEST

START_TEST(words_as_labels)
{
    char text[40];
    ck_assert_int_eq(read_text("label,a,b\nno,1,2\n"), ROB_EFORMAT);
    SAYS("option labels");
    GOOD(rob_data_set_text(ctx, d, "labels", "no way,yes"));
    GOOD(read_text("label;a;b\nyes;1;2\n\"no way\";3;4\n1;5;6\n"));
    ck_assert_int_eq(d->classes, 2);
    ck_assert(d->series[0].label == 1 && d->series[1].label == 0
              && d->series[2].label == 1);
    GOOD(rob_data_about_text(ctx, d, 1, "class", text, sizeof text, NULL));
    ck_assert_str_eq(text, "no way");
    ck_assert_int_eq(read_text("label,a,b\nmaybe,1,2\n"), ROB_EFORMAT);
    SAYS("maybe");
    ck_assert_int_eq(d->count, 3);
}
END_TEST

START_TEST(columns_are_one_series)
{
    double time[3];
    int64_t count;
    GOOD(rob_data_set(ctx, d, "gaps", 0.5));
    GOOD(rob_data_set_text(ctx, d, "role", "columns"));
    GOOD(rob_data_set_text(ctx, d, "columns", "y,x"));
    GOOD(rob_data_set_text(ctx, d, "time", "day"));
    GOOD(read_text(
        "day,x,name,y\n2020-01-01,1,a,10\n2020-01-03,,b,20\n2020-01-07,4,c,30\n"));
    ck_assert_int_eq(d->count, 1);
    ck_assert(d->series[0].steps == 3 && d->features == 2);
    ck_assert(value(0, 0) == 10 && value(0, 1) == 1
              && value(0, 3) == 2); /* 2 of 6 days */
    GOOD(rob_data_about(ctx, d, 0, "time", time, 3, &count));
    ck_assert(count == 3 && time[0] == 18262 && time[2] == 18268);
    ck_assert_int_eq(read_text("day,x,y\n3,1,1\n2,1,1\n"), ROB_EFORMAT);
    SAYS("time");
    ck_assert_int_eq(read_text("day,x,z\n3,1,1\n"), ROB_EFORMAT);
    SAYS("'y'");
    ck_assert_int_eq(d->count, 1);
}
END_TEST

START_TEST(gaps_are_bounded_and_counted)
{
    double gaps;
    GOOD(rob_data_set(ctx, d, "gaps", 0.4)); /* 2 of 5 */
    GOOD(read_text("1,0,?,2,,4\n"));
    ck_assert(value(0, 1) == 1 && value(0, 3) == 3);
    GOOD(rob_data_about(ctx, d, -1, "gaps", &gaps, 1, NULL));
    ck_assert(gaps == 2);
    ck_assert_int_eq(read_text("1,0,?,?,,4\n"), ROB_EFORMAT);
    SAYS("gaps");
    GOOD(rob_data_set(ctx, d, "gaps", 0));
    ck_assert_int_eq(read_text("1,0,?,2,3,4\n"), ROB_EFORMAT);
    GOOD(rob_data_set(ctx, d, "gaps", 0.5));
    GOOD(read_text("1,?,?,2,3,4\n")); /* constant at the ends */
    ck_assert(value(1, 0) == 2 && value(1, 1) == 2);
}
END_TEST

START_TEST(hostile_tables_leave_nothing_behind)
{
    static const char *const role[] = { "table", "series", "columns", "prices",
                                        "meta" };
    static const char *const bad[] = {
        "a,b",
        "a,\"b",
        "a,b\n1,2,3\n",
        "a,b\n\"\"\"\",\"",
        "date,close\n2020-01-01,1\n2020-01-01,2\n",
        "date,close\n2020-01-41,1\n2020-01-02,2\n",
        ";;;;\n;;;;\n",
        "a,b\n1e999,2\n",
        "a\n\n\n",
    };
    for (int r = 0; r < 5; r++)
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            GOOD(rob_data_set_text(ctx, d, "role", role[r]));
            rob_status status = read_text(bad[k]);
            if (status == ROB_OK && r == 4) { /* any row may be about a series */
                d->metas = 0;
                continue;
            }
            ck_assert_msg(status == ROB_EFORMAT, "role %s accepts: %s", role[r],
                          bad[k]);
            ck_assert(d->count == 0 && d->classes == 0 && d->metas == 0);
        }
}
END_TEST

/* The same values with and without a header, quotes and semicolons. */
START_TEST(spellings_of_one_table_agree)
{
    static const char *const spelling[] = {
        "1,0.5,-3e2\n2,7,8\n",
        "label,a,b\n1,0.5,-3e2\n2,7,8\n",
        "\"1\";\"0.5\";-3e2\n2;7;\"8\"\n",
        "1 0.5 -3e2\n2 7 8\n",
        "\"label\" a b\n1\t0.5 -3e2\n 2 7 8",
    };
    for (int k = 0; k < 5; k++) GOOD(read_text(spelling[k]));
    ck_assert_int_eq(d->count, 10);
    for (int k = 0; k < 10; k++) {
        ck_assert_int_eq(d->series[k].label, k % 2);
        ck_assert_mem_eq(d->series[k].x, d->series[k % 2].x, 2 * sizeof(double));
    }
}
END_TEST

static char table_path[32];

static rob_status read_a_table(rob_ctx *poor)
{
    rob_data *set = NULL;
    rob_status status = rob_data_create(poor, &set);
    if (status == ROB_OK) status = rob_data_set_text(poor, set, "labels", "b,a");
    if (status == ROB_OK) status = rob_data_read(poor, set, table_path);
    if (status == ROB_OK) status = rob_data_normalize(poor, set, NULL);
    if (status < ROB_OK && set)
        ck_assert(set->fitted == NULL && (set->count == 0 || set->classes == 2));
    rob_data_free(set);
    return status;
}

START_TEST(failing_memory_is_survived)
{
    static const char text[] = "label,x,y,z,w\n\"a\",1,2,3,4\nb,3,,5,6\nb,5,7,8,9\n";
    strcpy(table_path, "/tmp/robust-csv-XXXXXX");
    rob_write_file(table_path, text, sizeof text - 1);
    rob_live_poorly(read_a_table);
    unlink(table_path);
}
END_TEST

/* ---- published ------------------------------------------------------------------- */

/* An original light curve with 25 columns: read whole, and the known Quarter 1 row of
 * the same star is part of it. */
START_TEST(an_original_light_curve)
{
    char path[512];
    rob_data *rows;
    if (!rob_data_path("kepler-koi/kepler_1026957_lightkurve.csv", path, sizeof path)) {
        rob_skip("ROBUST_DATA is not set");
        return;
    }
    GOOD(rob_data_set_text(ctx, d, "role", "columns"));
    GOOD(rob_data_set_text(ctx, d, "columns", "pdcsap_flux"));
    GOOD(rob_data_set_text(ctx, d, "time", "cadenceno"));
    GOOD(rob_data_read(ctx, d, path));
    ck_assert(d->series[0].x[0] == 135977.39 && d->series[0].time[0] == 568);
    GOOD(rob_data_create(ctx, &rows));
    rob_data_path("kepler-koi/koi_q0_pdcsap.npy", path, sizeof path);
    GOOD(rob_data_read(ctx, rows, path));
    ck_assert(rows->series[0].x[0] == (double)135977.39f);
    rob_data_free(rows);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("csv");
    TCase *c = tcase_create("csv");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, fields_and_quotes);
    tcase_add_test(c, lines_are_counted_inside_quotes);
    tcase_add_test(c, dates);
    tcase_add_test(c, a_header_names_the_label);
    tcase_add_test(c, words_as_labels);
    tcase_add_test(c, columns_are_one_series);
    tcase_add_test(c, gaps_are_bounded_and_counted);
    tcase_add_test(c, hostile_tables_leave_nothing_behind);
    tcase_add_test(c, spellings_of_one_table_agree);
    tcase_add_test(c, failing_memory_is_survived);
    tcase_add_test(c, an_original_light_curve);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
