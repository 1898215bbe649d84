/* command.c -- the program `robust` as a user meets it: labels it was trained on stay
 * with the model, forecasts beside what needs no network, interrupted runs.
 */
#include "command.h"

#include <robust.h>

#include <math.h>

static rob_ctx *ctx;
static char folder[64], text[1 << 16];

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static void start(void)
{
    strcpy(folder, "/tmp/robust-command-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
}

static void stop(void)
{
    char line[128];
    snprintf(line, sizeof line, "rm -rf %s", folder);
    ck_assert_int_eq(system(line), 0);
    rob_ctx_free(ctx);
}

static bool built(void)
{
    if (!program[0]) rob_skip("no command was built");
    return program[0] != 0;
}

/* `robust FORMAT`, in which every % is the folder; its exit code. */
static int run_in_folder(const char *form)
{
    char line[2048];
    size_t used = 0;
    for (; *form; form++) {
        if (*form != '%') line[used++] = *form;
        else used += (size_t)snprintf(line + used, sizeof line - used, "%s", folder);
        ck_assert(used < sizeof line - 80);
    }
    line[used] = 0;
    return run_program(line, text, sizeof text);
}

static bool says(const char *words) { return strstr(text, words) != NULL; }

static FILE *file_in_folder(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    return file;
}

/* Label 7 rises, label 3 falls; `only` 0: both. */
static void write_slopes(const char *name, int only)
{
    FILE *file = file_in_folder(name);
    for (int i = 0; i < 40; i++) {
        int label = i % 2 ? 7 : 3;
        if (only && label != only) continue;
        fprintf(file, "%d", label);
        for (int t = 0; t < 8; t++)
            fprintf(file, "\t%d", (label == 7 ? t : 7 - t) + i % 5);
        fputc('\n', file);
    }
    fclose(file);
}

START_TEST(a_model_keeps_the_labels_it_was_trained_on)
{
    if (!built()) return;
    write_slopes("both.tsv", 0);
    write_slopes("seven.tsv", 7);
    ck_assert_msg(run_in_folder("train %/both.tsv --recipe \"gru hidden=8 readout=last\" "
                                "--set rate=0.03 --out %/model --quiet") == 0, "%s", text);
    ck_assert_int_eq(run_in_folder("predict %/model %/both.tsv"), 0);
    ck_assert_msg(says("accuracy 1.0000 on 40 series"), "%s", text);
    ck_assert_int_eq(run_in_folder("certify %/model %/both.tsv --count 2 --quiet "
                                   "--lipschitz 0.1"), 0);
    ck_assert_msg(says("margin changes by at most"), "%s", text);
    ck_assert_int_eq(run_in_folder("certify %/model %/both.tsv --count 1 --quiet --method "
                                   "branch --set branches=2 --set choices=4"), 0);
    ck_assert_msg(says("safe within"), "%s", text);
    ck_assert_int_eq(run_in_folder("certify %/model %/both.tsv --lipschitz -1"), 2);
    ck_assert_msg(says("--lipschitz needs a radius above 0"), "%s", text);
    /* without them the only label there is would be taken for output 0 */
    ck_assert_int_eq(run_in_folder("predict %/model %/seven.tsv"), 0);
    ck_assert_msg(says("accuracy 1.0000 on 20 series"), "%s", text);
    ck_assert_int_eq(run_in_folder("predict %/model %/seven.tsv --classes 7,3"), 0);
    ck_assert_msg(says("accuracy 0.0000 on 20 series"), "%s", text);
}
END_TEST

START_TEST(labels_that_say_too_little_are_refused)
{
    rob_model *m;
    char path[128];
    if (!built()) return;
    write_slopes("seven.tsv", 7);
    GOOD(rob_model_create(ctx, "gru hidden=2 readout=last features=1 outputs=2", &m));
    snprintf(path, sizeof path, "%s/model", folder);
    GOOD(rob_model_save(ctx, m, path));
    rob_model_free(m);
    static const char *const each[] = {
        "predict %/model %/seven.tsv", "attack %/model %/seven.tsv",
        "certify %/model %/seven.tsv", "geometry %/model %/seven.tsv",
        "report %/model %/seven.tsv --out %/page.html",
    };
    for (size_t k = 0; k < sizeof each / sizeof *each; k++) {
        ck_assert_int_eq(run_in_folder(each[k]), 2);
        ck_assert_msg(says("has 1 label, the model 2 outputs: --classes"), "%s", text);
    }
    ck_assert_int_eq(run_in_folder("predict %/model %/seven.tsv --classes 3,7"), 0);
}
END_TEST

/* Prices that fall and rise in turn: the next return is minus the last. */
START_TEST(forecasts_stand_beside_what_needs_no_network)
{
    double error, mean, last, zero;
    int series;
    if (!built()) return;
    FILE *file = file_in_folder("prices.csv");
    fprintf(file, "date,close\n");
    for (int day = 0; day < 400; day++)
        fprintf(file, "%d,%.17g\n", day, exp(day % 2 ? 0.01 + 1e-4 * (day % 7) : 0));
    fclose(file);
#define MARKET                                                                         \
    "%/prices.csv --data role=prices --data window=10 --data history=20 "              \
    "--data target=forecast --data horizon=1 "
    ck_assert_msg(run_in_folder("train " MARKET "--recipe \"gru hidden=6 readout=last "
                                "task=forecast\" --set epochs=40 --out %/model --quiet")
                      == 0, "%s", text);
    ck_assert_int_eq(run_in_folder("predict %/model " MARKET), 0);
    char *at = strstr(text, "root mean square error");
    ck_assert_msg(at != NULL, "%s", text);
    ck_assert_msg(sscanf(at, "root mean square error %lf on %d series (always their "
                             "mean: %lf, the last value again: %lf, zero: %lf)",
                         &error, &series, &mean, &last, &zero) == 5, "%s", at);
    ck_assert_int_eq(series, 400 - 1 - 20 - 0);
    /* returns are +-1 of their scale: their mean and zero are off by 1, the last by 2 */
    ck_assert(fabs(mean - 1) < 0.05 && fabs(zero - 1) < 0.05 && fabs(last - 2) < 0.05);
    ck_assert_double_lt(error, 0.2);
    ck_assert_int_eq(run_in_folder("predict %/model --json " MARKET), 0);
    ck_assert_msg(says("\"mean_squared_error\""), "%s", text);
    ck_assert_int_eq(run_in_folder("train " MARKET "--recipe \"gru hidden=6 "
                                   "readout=last\" --out %/other --quiet"), 2);
    ck_assert_msg(says("task=forecast"), "%s", text);
}
END_TEST

/* A run that needs minutes, interrupted after a second, or later where the program had
 * not begun: no series that was not come to has a number. */
START_TEST(an_interrupted_run_says_what_it_did_not_do)
{
    static const char *const form[] = {
        "certify %/model %/t.tsv --method crown --count 64 --quiet 2>&1 & job=$!; sleep 1; "
        "kill -INT $job; wait $job",
        "certify %/model %/t.tsv --method crown --count 64 --quiet 2>&1 & job=$!; sleep 20; "
        "kill -INT $job; wait $job",
    };
    rob_model *m;
    char path[128];
    if (!built()) return;
    ck_assert_int_eq(
        run_in_folder("simulate --out %/t.tsv --count 64 --steps 256 --quiet"), 0);
    GOOD(rob_model_create(ctx, "lstm hidden=96 readout=mean features=1 outputs=2", &m));
    snprintf(path, sizeof path, "%s/model", folder);
    GOOD(rob_model_save(ctx, m, path));
    rob_model_free(m);
    int code = run_in_folder(form[0]);
    if (code != 1) code = run_in_folder(form[1]);
    ck_assert_msg(code == 1, "%d: %s", code, text);
    ck_assert_msg(says("series  63: not run") && says("stopped"), "%s", text);
    ck_assert_msg(!says("within 0\n") && !says("within 0,"), "%s", text);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("command");
    TCase *c = tcase_create("command");
    if (argc > 0) find_program(argv[0]);
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_test(c, a_model_keeps_the_labels_it_was_trained_on);
    tcase_add_test(c, labels_that_say_too_little_are_refused);
    tcase_add_test(c, forecasts_stand_beside_what_needs_no_network);
    tcase_add_test(c, an_interrupted_run_says_what_it_did_not_do);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
