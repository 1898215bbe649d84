/* page.c -- the files of a report: JSON by its grammar, pages that need nothing else,
 * and what names from elsewhere may do to them.
 */
#include "check/scene.h"

/* ---- files ----------------------------------------------------------------------- */

START_TEST(bits_do_not_depend_on_threads)
{
    char *first[2];
    static const char *const ENDING[] = { ".json", ".html" };
    for (int threads = 1; threads <= 2; threads++) {
        ck_assert_int_eq(rob_ctx_set_threads(ctx, threads), ROB_OK);
        ask(small_lstm(), N);
        run();
        for (int k = 0; k < 2; k++) {
            const char *text = written(ENDING[k]);
            if (threads == 1) first[k] = strdup(text);
            else ck_assert_str_eq(first[k], text);
        }
        rob_report_free(report);
        rob_query_free(query);
        rob_model_free(model);
    }
    free(first[0]), free(first[1]);
    report = NULL, query = NULL, model = NULL;
}
END_TEST

START_TEST(json_is_json_with_every_column)
{
    char key[80];
    ask(small_lstm(), N);
    ck_assert_int_eq(rob_query_set_ball(ctx, query, ROB_NORM_L2, 1e-6), ROB_OK);
    run();
    const char *text = written(".json");
    ck_assert_msg(json_is_whole(text), "no JSON: %.300s", text);
    for (int64_t k = 0; rob_report_column(report, k); k++) {
        int64_t n;
        const char *name = rob_report_column(report, k);
        ck_assert_int_eq(rob_report_get(ctx, report, name, NULL, 0, &n), ROB_OK);
        snprintf(key, sizeof key, "\"%s\": {\"shape\"", name);
        ck_assert_int_eq(strstr(text, key) != NULL, n > 0);
    }
    /* within 1e-6 nothing fails: null, and the verdict says why */
    ck_assert_ptr_nonnull(
        strstr(text, "\"values\": [null, null, null, null, null, null]"));
    ck_assert_ptr_nonnull(strstr(text, "\"verdict\": [\"proved\", "));
    ck_assert_ptr_nonnull(strstr(written(".html"), "no failing point found"));
}
END_TEST

static void check_needs_nothing(const char *html)
{
    static const char *const OUTSIDE[] = { "http:",   "https:", "<script", "<link",
                                           "@import", "url(",   "<iframe", "onerror=" };
    for (int64_t k = 0; k < COUNT_OF(OUTSIDE); k++)
        ck_assert_msg(!strstr(html, OUTSIDE[k]), "the page has %s", OUTSIDE[k]);
    for (const char *at = html; (at = strstr(at, "src=\"")); at += 5)
        ck_assert(strncmp(at + 5, "data:image/svg+xml;base64,", 26) == 0);
}

START_TEST(hostile_names_are_text)
{
    static const char *const HOSTILE =
        "<script "
        "src=\"//evil\">alert('1')</script>&amp;\"`$(id)`\x01\xff\xc0\xaf\xf0\x9f"
        "\xed\xa0\x80 gr\xc3\xbc\xc3\x9f";
    static const char *const NAMED[] = { "title", "model", "data" };
    ask(small_lstm(), N);
    strcpy(model->recipe.classes, "<img src=x onerror=alert(1)>,\"</td></table>'\xff");
    make_report();
    for (int64_t k = 0; k < COUNT_OF(NAMED); k++)
        ck_assert_int_eq(rob_report_set_text(ctx, report, NAMED[k], HOSTILE), ROB_OK);
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
    const char *text = written(".html");
    ck_assert_ptr_null(strstr(text, "<script"));
    ck_assert_ptr_null(strstr(text, "<img src=x"));
    ck_assert_ptr_null(strstr(text, "\xff"));
    ck_assert_ptr_null(strstr(text, "\x01"));
    ck_assert_ptr_nonnull(strstr(text, "<h1>&lt;script src=&quot;//evil&quot;&gt;alert("
                                       "&#39;1&#39;)&lt;/script&gt;&amp;amp;&quot;"));
    ck_assert_ptr_nonnull(strstr(text, "gr\xc3\xbc\xc3\x9f</h1>"));
    ck_assert_ptr_nonnull(strstr(text, "&lt;img src=x onerror=alert(1)&gt;"));
    text = written(".json");
    ck_assert(json_is_whole(text));
    ck_assert_ptr_null(strstr(text, "<script"));
}
END_TEST

START_TEST(the_page_needs_nothing_else)
{
    ask(small_lstm(), N);
    make_report();
    bool drawn = access("/usr/bin/gnuplot", X_OK) == 0;
    if (drawn)
        ck_assert_int_eq(rob_report_set_text(ctx, report, "plot", "/usr/bin/gnuplot"),
                         ROB_OK);
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
    const char *html = written(".html");
    check_needs_nothing(html);
    if (drawn) {
        ck_assert_ptr_nonnull(strstr(html, "src=\"data:image/svg+xml;base64,"));
        ck_assert_ptr_null(strstr(html, "Not drawn"));
    } else rob_skip("no gnuplot: pictures are not drawn");
}
END_TEST

/* cat gives back the script, which is no picture; true gives back nothing. */
START_TEST(a_plotter_that_fails_is_said_to)
{
    static const char *const PLOTTER[] = { "/bin/cat", "/bin/true", "/bin/false",
                                           "/no/such/file" };
    ask(small_lstm(), N);
    make_report();
    ck_assert_int_eq(rob_report_set_text(ctx, report, "plot", PLOTTER[_i]), ROB_OK);
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
    const char *html = written(".html");
    ck_assert_ptr_nonnull(strstr(html, _i < 3
                                           ? "Not drawn: the plotter drew nothing"
                                           : "Not drawn: the plotter did not start"));
    ck_assert_ptr_null(strstr(html, "data:image"));
}
END_TEST

START_TEST(a_model_below_its_baseline_is_not_praised)
{
    ask(small_lstm(), N);
    for (int i = 0; i < N; i++) query->cases[i].label = 0;
    ck_assert_int_eq(rob_priv_query_prepare(ctx, query), ROB_OK);
    for (int i = 0; i < N; i++) query->cases[i].label = 1 - query->cases[i].prediction;
    run();
    ck_assert(one("accuracy") == 0 && one("beats_majority") == 0);
    const char *html = written(".html");
    ck_assert_ptr_nonnull(strstr(html, "Does not beat its baseline"));
    ck_assert_ptr_null(strstr(html, "is robust"));
}
END_TEST

START_TEST(a_larger_test_decides_on_accuracy)
{
    ask(small_lstm(), N);
    make_report();
    set("tested", 1000), set("right", 900), set("commonest", 500);
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
    ck_assert(one("accuracy") == 0.9 && one("majority") == 0.5);
    ck_assert(one("beats_majority") == 1 && one("tested") == 1000);
    /* Clopper and Pearson at 900 of 1000: 0.8797 to 0.9179 */
    ck_assert(fabs(one("accuracy_lower") - 0.8797) < 1e-4);
    ck_assert(fabs(one("accuracy_upper") - 0.9179) < 1e-4);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("page");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, start, stop);
    suite_add_tcase(s, files);
    tcase_add_test(files, bits_do_not_depend_on_threads);
    tcase_add_test(files, json_is_json_with_every_column);
    tcase_add_test(files, hostile_names_are_text);
    tcase_add_test(files, the_page_needs_nothing_else);
    tcase_add_loop_test(files, a_plotter_that_fails_is_said_to, 0, 4);
    tcase_add_test(files, a_model_below_its_baseline_is_not_praised);
    tcase_add_test(files, a_larger_test_decides_on_accuracy);
    return rob_run_suite(s);
}
