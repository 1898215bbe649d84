/* harness.h -- what every suite's main calls: run, print the failures, one last line.
 *
 * CK_FORK=no (sanitizers, debuggers) is honoured by Check itself. ROBUST_DATA names the
 * folder of published data; there is no default, a test without it counts as skipped.
 * ROBUST_LONG=1 asks for the long sweeps.
 */
#ifndef ROB_TEST_HARNESS_H
#define ROB_TEST_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A child forked from several threads cannot start threads under this sanitizer. */
#if defined(__SANITIZE_THREAD__)
#define ROB_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ROB_TSAN 1
#endif
#endif
#ifndef ROB_TSAN
#define ROB_TSAN 0
#endif

/* Tests run in children, so skips are counted in a file all of them share. */
static inline FILE *rob_skip_file(void)
{
    static FILE *shared;
    if (!shared) shared = tmpfile();
    return shared;
}

/* Timings never decide a test: Check's four seconds become ten minutes. */
__attribute__((constructor)) static void rob_allow_time(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "600", 0);
    setbuf(stdout, NULL);
}

/* Count the running test as skipped. Call it once, then return from the test. */
static inline void rob_skip(const char *why)
{
    printf("skipped: %s\n", why);
    if (write(fileno(rob_skip_file()), "s", 1) != 1) abort();
}

/* ROBUST_DATA/relative into out; false when ROBUST_DATA is unset (or out too small). */
static inline bool rob_data_path(const char *relative, char *out, size_t cap)
{
    const char *root = getenv("ROBUST_DATA");
    if (!root || !*root) return false;
    int length = snprintf(out, cap, "%s/%s", root, relative);
    return length > 0 && (size_t)length < cap;
}

static inline bool rob_long(void)
{
    const char *wish = getenv("ROBUST_LONG");
    return wish && strcmp(wish, "0") != 0 && *wish;
}

/* ROBUST_TRIALS, where it is set. */
static inline int rob_trials(int otherwise)
{
    const char *wish = getenv("ROBUST_TRIALS");
    return wish && *wish ? atoi(wish) : otherwise;
}

static inline void rob_print_failures(SRunner *runner)
{
    int count = srunner_ntests_failed(runner);
    TestResult **failed = srunner_failures(runner);
    for (int i = 0; i < count; i++)
        printf("%s:%d: %s: %s\n", tr_lfile(failed[i]), tr_lno(failed[i]),
               tr_tcname(failed[i]), tr_msg(failed[i]));
    free(failed);
}

/* Run the suite; returns main's exit code. */
static inline int rob_run_suite(Suite *s)
{
    FILE *shared = rob_skip_file();
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_SILENT);
    rob_print_failures(runner);
    int run = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    int skipped = (int)lseek(fileno(shared), 0, SEEK_END);
    srunner_free(runner);
    printf("%d passed, %d failed, %d skipped\n", run - failed - skipped, failed,
           skipped);
    return failed > 0 || run == 0;
}

#endif
