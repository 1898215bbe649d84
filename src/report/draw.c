/* draw.c -- a script becomes a picture: the caller's plotter, without a shell.
 *
 * The plotter is any program that reads a gnuplot script on its standard input and
 * writes SVG to its standard output. It is started by posix_spawn with an environment
 * of two words and no files of ours but these two, which have no names: nothing is left
 * behind, and no text reaches a command line. It is given half a minute. What it wrote
 * is taken only when it is one SVG of bounded size.
 */
#include "report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SVG_CAP = 1 << 23, PATIENCE = 30 };

/* A file without a name, open for reading and writing; -1. */
static int open_nameless(void)
{
    char path[] = "/tmp/robust-XXXXXX";
    int file = mkstemp(path);
    if (file < 0) return -1;
    unlink(path);
    fcntl(file, F_SETFD, FD_CLOEXEC);
    return file;
}

static bool write_script(int file, const rob_text *script)
{
    for (int64_t done = 0; done < script->count;) {
        ssize_t n = write(file, script->at + done, (size_t)(script->count - done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += n;
    }
    return lseek(file, 0, SEEK_SET) == 0;
}

static bool wire(posix_spawn_file_actions_t *files, posix_spawnattr_t *how, int script,
                 int out)
{
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGINT);
    return posix_spawn_file_actions_adddup2(files, script, 0) == 0
           && posix_spawn_file_actions_adddup2(files, out, 1) == 0
           && posix_spawn_file_actions_addopen(files, 2, "/dev/null", O_WRONLY, 0) == 0
           && posix_spawnattr_setsigmask(how, &none) == 0
           && posix_spawnattr_setsigdefault(how, &usual) == 0
           && posix_spawnattr_setpgroup(how, 0) == 0
           && posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK
                                                | POSIX_SPAWN_SETSIGDEF
                                                | POSIX_SPAWN_SETPGROUP)
                  == 0;
}

/* The plotter in a process group of its own, so that Ctrl-C is ours to handle. */
static pid_t start(const char *plotter, int script, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    pid_t child = -1;
    char name[] = "plotter", locale[] = "LC_ALL=C", path[] = "PATH=/usr/bin:/bin";
    char *arguments[] = { name, NULL }, *environment[] = { locale, path, NULL };
    if (posix_spawn_file_actions_init(&files) != 0) return -1;
    if (posix_spawnattr_init(&how) == 0) {
        if (!wire(&files, &how, script, out)
            || posix_spawn(&child, plotter, &files, &how, arguments, environment) != 0)
            child = -1;
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return child;
}

/* A host that reaps children itself leaves ECHILD: then the output decides. */
static bool wait_for(rob_ctx *ctx, pid_t child)
{
    double end = rob_priv_clock() + PATIENCE;
    for (;;) {
        int how;
        pid_t done = waitpid(child, &how, WNOHANG);
        if (done == child) return WIFEXITED(how) && WEXITSTATUS(how) == 0;
        if (done < 0 && errno != EINTR) return errno == ECHILD;
        if (rob_priv_cancelled(ctx) || rob_priv_clock() > end) break;
        nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
    }
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    return false;
}

static bool read_picture(rob_ctx *ctx, int file, rob_bytes *svg)
{
    off_t size = lseek(file, 0, SEEK_END);
    if (size < 16 || size > SVG_CAP || lseek(file, 0, SEEK_SET) != 0) return false;
    svg->at = rob_priv_allocate(&ctx->memory, (int64_t)size + 1, 1);
    if (!svg->at) return false;
    while (svg->count < size) {
        ssize_t n = read(file, svg->at + svg->count, (size_t)(size - svg->count));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        svg->count += n;
    }
    const char *text = (const char *)svg->at;
    bool good = svg->count == size
                && (strncmp(text, "<?xml", 5) == 0 || strncmp(text, "<svg", 4) == 0)
                && strstr(text, "</svg>") != NULL;
    if (!good) rob_priv_io_release(&ctx->memory, svg);
    return good;
}

bool rob_priv_draw(rob_ctx *ctx, const char *plotter, const rob_text *script,
                   rob_bytes *svg, const char **why)
{
    bool good = false;
    *svg = (rob_bytes){ 0 };
    int in = open_nameless(), out = in < 0 ? -1 : open_nameless();
    *why = "no room for temporary files";
    if (out >= 0 && write_script(in, script)) {
        *why = "the plotter did not start";
        pid_t child = start(plotter, in, out);
        if (child > 0) {
            *why = "the plotter drew nothing";
            good = wait_for(ctx, child) && read_picture(ctx, out, svg);
        }
    }
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    return good;
}
