/* command.h -- the program `robust` beside this test's own folder, as a user runs it. */
#ifndef ROB_TEST_COMMAND_H
#define ROB_TEST_COMMAND_H

#include "harness.h"

#include <sys/wait.h>

static char program[1024];

/* argv0 is BUILD/tests/NAME; the program is BUILD/robust. A sanitizer's build has none. */
static inline void find_program(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');
    int folder = slash ? (int)(slash - argv0) : 1;
    snprintf(program, sizeof program, "%.*s/../robust", folder, slash ? argv0 : ".");
    if (access(program, X_OK) != 0) program[0] = 0;
}

/* Run `robust ARGUMENTS` by the shell; what it prints, errors too, goes into text.
 * Returns its exit code. */
static inline int run_program(const char *arguments, char *text, size_t capacity)
{
    char line[8192];
    int used = snprintf(line, sizeof line, "%s %s 2>&1", program, arguments);
    ck_assert(used > 0 && (size_t)used < sizeof line);
    FILE *pipe = popen(line, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(text, 1, capacity - 1, pipe);
    text[n] = 0;
    int how = pclose(pipe);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

#endif
