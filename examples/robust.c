/* robust.c -- the command line: simulate, train, predict, attack, certify,
 * check-certificate, probability,
 * geometry, condition, report.
 *
 *   robust simulate --out transits.tsv --count 1000
 *   robust train transits.tsv --recipe "lstm hidden=32 readout=last" --out model.safetensors
 *   robust predict model.safetensors test.tsv
 *   robust certify model.safetensors test.tsv --norm l2 --attack auto
 *   robust certify model.safetensors test.tsv --radius 0.1 --certificates proof
 *   robust check-certificate model.safetensors proof0.cert test.tsv
 *   robust report model.safetensors test.tsv --out report.html
 *
 * Every option of the library is reached by --set name=value. Bad options and bad files
 * get one line and exit code 2; an interrupted run prints what it has and exits with 1.
 */
#include "robust/robust.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

rob_ctx *ctx;

static void interrupt(int signo) { (void)signo; rob_ctx_cancel(ctx); }

static rob_status run(const arguments *a)
{
    if (strcmp(a->command, "simulate") == 0) return simulate(a);
    if (strcmp(a->command, "train") == 0) return train(a);
    if (strcmp(a->command, "predict") == 0) return predict(a);
    if (strcmp(a->command, "report") == 0) return report(a);
    if (strcmp(a->command, "study") == 0) return run_study(a);
    if (strcmp(a->command, "check-certificate") == 0) return check_certificate(a);
    if (strcmp(a->command, "attack") != 0 && strcmp(a->command, "certify") != 0) return table(a);
    return attack_or_certify(a);
}

int main(int argc, char **argv)
{
    arguments a;
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "--version") == 0)
        return printf("robust %s\n%s\n", rob_version(), rob_build_info()), 0;
    int bad = read_arguments(&a, argc, argv);
    if (bad != 0) return bad;
    rob_status status = rob_ctx_create(&ctx);
    if (status < ROB_OK) return complain("%s", rob_status_string(status));
    signal(SIGINT, interrupt);
    if (!a.quiet && isatty(STDERR_FILENO)) rob_ctx_set_progress(ctx, show_progress, NULL);
    rob_ctx_set_seed(ctx, (uint64_t)a.seed);
    status = rob_ctx_set_threads(ctx, (int32_t)a.threads);
    if (status == ROB_OK) status = run(&a);
    if (status < ROB_OK && rob_ctx_error(ctx)[0] != 0)
        complain("%s: %s", rob_status_string(status), rob_ctx_error(ctx));
    if (status == ROB_STOPPED) fputs("stopped: what was done is above\n", stderr);
    rob_ctx_free(ctx);
    return status < ROB_OK ? EXIT_BAD : status;
}
