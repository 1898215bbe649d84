/* monitor.c -- watch a sensor: after every sample, the margin of the last window and the
 * radius within which no perturbation changes the answer.
 * usage: monitor MODEL < SAMPLES    one number a line */
#include <robust.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { T = 128 };

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: %s MODEL < SAMPLES\n", argv[0]), 2;
    double      window[T] = {0}, margin, radius;
    rob_status  status;
    rob_ctx    *ctx = NULL;    rob_model *model = NULL;
    rob_query  *query = NULL;  rob_bound *bound = NULL;

    TRY(rob_ctx_create(&ctx));
    TRY(rob_model_load(ctx, argv[1], NULL, &model));
    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add(ctx, query, window, T, -1));
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_LINF, 1.0));
    TRY(rob_bound_create(ctx, "interval", &bound));
    for (double sample; scanf("%lf", &sample) == 1; ) {
        memmove(window, window + 1, (T - 1) * sizeof *window);
        window[T - 1] = sample;
        TRY(rob_query_replace(ctx, query, 0, window, T, -1));     /* allocates nothing */
        TRY(rob_query_get(ctx, query, "margin", 0, &margin, 1, NULL));
        TRY(rob_bound_radius(ctx, bound, query, &radius, 1));
        printf("margin %g, safe within %g\n", margin, radius);
    }
done:
    if (status < ROB_OK)
        fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_bound_free(bound); rob_query_free(query); rob_model_free(model); rob_ctx_free(ctx);
    return status < ROB_OK;
}
