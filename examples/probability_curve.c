/* probability_curve.c -- P(rho): how probable is it that a random perturbation of
 * length rho changes the answer for one series? Ctrl-C keeps what is done.
 * usage: probability_curve MODEL DATA [SERIES] */
#include <robust.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { R = 12 };

static rob_ctx *ctx;
static void stop(int signo) { (void)signo; rob_ctx_cancel(ctx); }

int main(int argc, char **argv)
{
    if (argc < 3) return fprintf(stderr, "usage: %s MODEL DATA [SERIES]\n", argv[0]), 2;
    rob_status  status;
    rob_model  *model = NULL;  rob_data    *data    = NULL;
    rob_query  *query = NULL;  rob_sampler *sampler = NULL;
    int64_t     series = argc > 3 ? atol(argv[3]) : 0;
    double      rho[R], logp[R][3], decades = log(10);

    for (int k = 0; k < R; k++) rho[k] = 0.1 * pow(1.5, k);
    TRY(rob_ctx_create(&ctx));
    signal(SIGINT, stop);
    TRY(rob_ctx_set_seed(ctx, 7));
    TRY(rob_model_load(ctx, argv[1], NULL, &model));
    TRY(rob_data_create(ctx, &data));
    TRY(rob_data_read(ctx, data, argv[2]));
    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add_data(ctx, query, data, series, 1));
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY));
    TRY(rob_sampler_create(ctx, "auto", &sampler));   /* count; split what is rare */
    TRY(rob_sampler_set(ctx, sampler, "confidence", 0.95));
    TRY(rob_sampler_set(ctx, sampler, "budget", 50000));   /* evaluations a radius */
    TRY(rob_sampler_curve(ctx, sampler, query, rho, R, &logp[0][0], R * 3));

    printf("%10s  log10 P    95 %% interval\n", "radius");
    for (int k = 0; k < R; k++)
        printf("%10.3f  %8.2f  [%8.2f, %8.2f]\n", rho[k], logp[k][0] / decades,
               logp[k][1] / decades, logp[k][2] / decades);
    if (status == ROB_STOPPED) puts("stopped: radii not reached are nan");
done:
    if (status < ROB_OK)
        fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_sampler_free(sampler); rob_query_free(query); rob_data_free(data);
    rob_model_free(model);     rob_ctx_free(ctx);
    return status < ROB_OK;
}
