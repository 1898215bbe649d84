/* region.c -- what may change: the same question with ever more said about the perturbation */
#include <robust.h>
#include <math.h>
#include <stdio.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { T = 40 };

/* between L (proved) and U (seen), and what was asked */
static int bracket(rob_ctx *ctx, rob_query *query, const char *what)
{
    rob_status status;
    rob_attack *attack = NULL;
    rob_bound *bound = NULL;
    double upper, lower;
    TRY(rob_attack_create(ctx, "auto", &attack));
    TRY(rob_bound_create(ctx, "auto", &bound));
    TRY(rob_attack_distance(ctx, attack, query, &upper, 1));
    TRY(rob_bound_radius(ctx, bound, query, &lower, 1));
    printf("%-44s %.4f <= distance <= %.4f\n", what, lower, upper);
done:
    rob_bound_free(bound);
    rob_attack_free(attack);
    return status;
}

int main(void)
{
    rob_status status;
    rob_ctx *ctx = NULL;
    rob_model *model = NULL;
    rob_query *query = NULL;
    double x[T], error[T], factor[T * T], low = -1.02, high = 1.02, f[2], b;
    const double row[2] = { 1, 0 };
    for (int t = 0; t < T; t++) {
        x[t] = sin(0.4 * t);
        error[t] = t % 10 == 0 ? 0.2 : 0.05;             /* measured: every tenth is poor */
        for (int s = 0; s < T; s++)                      /* noise with a memory of 0.8 */
            factor[t * T + s] = s > t ? 0 : s == 0 ? pow(0.8, t) : 0.6 * pow(0.8, t - s);
    }
    TRY(rob_ctx_create(&ctx));
    TRY(rob_ctx_set_seed(ctx, 3));
    TRY(rob_model_create(ctx, "lstm features=1 hidden=12 outputs=2 readout=mean", &model));
    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add(ctx, query, x, T, -1));
    TRY(rob_model_predict(ctx, model, x, T, f, 2));
    b = 0.05 - f[0];                     /* failing: output 0 has fallen by 0.05 */
    TRY(rob_query_set_rows(ctx, query, row, &b, NULL, 1));
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY));
    TRY(bracket(ctx, query, "any change"));
    TRY(rob_query_set_box(ctx, query, -1, &low, &high, 1));
    TRY(bracket(ctx, query, "values between -1.02 and 1.02"));
    TRY(rob_query_set_scale(ctx, query, -1, error, T));
    TRY(bracket(ctx, query, "in units of the measured errors"));
    TRY(rob_query_set_scale(ctx, query, -1, NULL, 0));
    TRY(rob_query_set_box(ctx, query, -1, NULL, NULL, 0));
    TRY(rob_query_set_band_limit(ctx, query, 5));
    TRY(bracket(ctx, query, "slow changes: five cosines"));
    TRY(rob_query_set_subspace(ctx, query, -1, factor, T, T));
    TRY(bracket(ctx, query, "along correlated noise, in its deviations"));
done:
    if (status < ROB_OK) fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_query_free(query); rob_model_free(model); rob_ctx_free(ctx);
    return status < ROB_OK;
}
