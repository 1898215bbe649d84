/* report_from_arrays.c -- a whole report from arrays of one's own: no files are read.
 * A small model learns to tell dips from waves; weights of your own come in by
 * rob_model_load_bytes. usage: report_from_arrays OUT.html [GNUPLOT] */
#include <robust.h>
#include <math.h>
#include <stdio.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { N = 24, T = 40 };

int main(int argc, char **argv)
{
    if (argc < 2) return fprintf(stderr, "usage: %s OUT.html [GNUPLOT]\n", argv[0]), 2;
    rob_status  status;
    rob_ctx    *ctx = NULL;     rob_model   *start = NULL, *model = NULL;
    rob_data   *data = NULL;    rob_trainer *trainer = NULL;
    rob_query  *query = NULL;   rob_report  *report = NULL;
    double      x[N][T], upper[N], lower[N];

    TRY(rob_ctx_create(&ctx));
    TRY(rob_ctx_set_seed(ctx, 3));
    TRY(rob_data_create(ctx, &data));
    for (int i = 0; i < N; i++) {                      /* dips and waves: (N, T) */
        for (int t = 0; t < T; t++)
            x[i][t] = i % 2 ? -2 * exp(-0.1 * pow(t - 10 - i, 2)) : sin(0.3 * t + i);
        TRY(rob_data_add(ctx, data, x[i], T, 1, i % 2));
    }
    TRY(rob_model_create(ctx, "gru features=1 hidden=8 outputs=2 readout=mean "
                              "classes=wave,dip", &start));
    TRY(rob_trainer_create(ctx, &trainer));
    TRY(rob_trainer_set(ctx, trainer, "epochs", 60));
    TRY(rob_trainer_run(ctx, trainer, start, data, NULL, &model));

    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add_data(ctx, query, data, 0, N));
    TRY(rob_report_create(ctx, query, &report));  /* options all have defaults */
    TRY(rob_report_set_text(ctx, report, "title", "Waves and dips"));
    if (argc > 2) TRY(rob_report_set_text(ctx, report, "plot", argv[2]));
    TRY(rob_report_run(ctx, report));  /* attack, bound, geometry ... */
    TRY(rob_report_save(ctx, report, argv[1]));

    TRY(rob_report_get(ctx, report, "lower", lower, N, NULL));  /* columns by name */
    TRY(rob_report_get(ctx, report, "upper", upper, N, NULL));
    for (int i = 0; i < N; i++)
        printf("series %2d: safe within %.4f, broken at %.4f\n", i, lower[i], upper[i]);
done:
    if (status < ROB_OK)
        fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_report_free(report);   rob_query_free(query);      rob_trainer_free(trainer);
    rob_model_free(model);     rob_model_free(start);      rob_data_free(data);
    rob_ctx_free(ctx);
    return status < ROB_OK;
}
