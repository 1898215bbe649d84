/* attack_forecast.c -- how far must the last steps of one feature move before a forecast
 * moves out of its band?  usage: attack_forecast MODEL FEATURE RECENT BAND < numbers
 *
 * The numbers are one series, step after step. Only the last RECENT steps of FEATURE may
 * move; the band is +-BAND around the forecast itself, for its last output.
 */
#include <robust.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { MOST = 100000 };

static double series[MOST], found[MOST];
static uint8_t mask[MOST];

int main(int argc, char **argv)
{
    if (argc != 5) return fprintf(stderr, "usage: %s MODEL FEATURE RECENT BAND < numbers\n", argv[0]), 2;
    rob_status status;
    rob_ctx *ctx = NULL;     rob_model *model = NULL;
    rob_query *query = NULL; rob_attack *attack = NULL; rob_bound *bound = NULL;
    int64_t n = 0, features, outputs, feature = atoll(argv[2]), recent = atoll(argv[3]);
    double band = strtod(argv[4], NULL), upper, lower;
    while (n < MOST && scanf("%lf", &series[n]) == 1) n++;

    TRY(rob_ctx_create(&ctx));
    TRY(rob_model_load(ctx, argv[1], NULL, &model));
    TRY(rob_model_shape(ctx, model, NULL, &features, &outputs));
    int64_t steps = n / features;
    for (int64_t t = steps > recent ? steps - recent : 0; t < steps; t++)
        mask[t * features + feature % features] = 1;

    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add(ctx, query, series, steps, -1));
    TRY(rob_query_set_mask(ctx, query, 0, mask, steps * features));
    TRY(rob_query_set_band(ctx, query, outputs - 1, -band, band));
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_LINF, INFINITY));

    TRY(rob_bound_create(ctx, "crown", &bound));
    TRY(rob_bound_radius(ctx, bound, query, &lower, 1));
    TRY(rob_attack_create(ctx, "auto", &attack));
    TRY(rob_attack_distance(ctx, attack, query, &upper, 1));
    printf("the forecast stays in its band within %.4g, proved; it leaves it at %.4g\n", lower, upper);
    TRY(rob_attack_get(ctx, attack, "point", 0, found, MOST, NULL));
    printf("there the last step of feature %" PRId64 " is %.4g instead of %.4g\n", feature,
           found[(steps - 1) * features + feature % features],
           series[(steps - 1) * features + feature % features]);
done:
    if (status < ROB_OK) fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_attack_free(attack); rob_bound_free(bound); rob_query_free(query);
    rob_model_free(model);   rob_ctx_free(ctx);
    return status < ROB_OK;
}
