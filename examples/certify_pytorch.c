/* certify_pytorch.c -- an LSTM saved by PyTorch, certified on series of unequal length, with
 * the radius in the data's own units (here: millivolt).
 * usage: certify_pytorch MODEL      one feature, two outputs, tensors lstm.* and fc.* */
#include <robust.h>
#include <math.h>
#include <stdio.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { N = 3, LONGEST = 152 };

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: %s MODEL\n", argv[0]), 2;
    static double beat[N][LONGEST];
    static const int64_t steps[N] = {140, LONGEST, 96}, label[N] = {0, 1, 1};
    rob_status  status;
    rob_ctx    *ctx = NULL;    rob_model *model = NULL;
    rob_query  *query = NULL;  rob_bound *bound = NULL;
    double      radius[N];

    for (int i = 0; i < N; i++)                           /* stand-ins for a recording     */
        for (int t = 0; t < LONGEST; t++) beat[i][t] = exp(-0.01 * (t - 40) * (t - 40));

    TRY(rob_ctx_create(&ctx));
    TRY(rob_model_load(ctx, argv[1],
        "lstm readout=last head=fc classes=normal,abnormal input=(x-0.1)/0.7", &model));
    TRY(rob_query_create(ctx, model, &query));
    for (int i = 0; i < N; i++) TRY(rob_query_add(ctx, query, beat[i], steps[i], label[i]));
    TRY(rob_query_set_reference(ctx, query, ROB_REFERENCE_LABEL));
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_LINF, 0.5));      /* no further than 0.5   */
    TRY(rob_query_set_units(ctx, query, ROB_UNITS_DATA));

    TRY(rob_bound_create(ctx, "crown", &bound));
    TRY(rob_bound_radius(ctx, bound, query, radius, N));
    for (int i = 0; i < N; i++) printf("beat %d: proved to +-%.4f mV\n", i, radius[i]);
done:
    if (status < ROB_OK)
        fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_bound_free(bound); rob_query_free(query); rob_model_free(model); rob_ctx_free(ctx);
    return status < ROB_OK;
}
