/* universal.c -- one small change for all light curves, and how many it fools.
 *
 *   universal [MODEL DATA [RADIUS...]]
 *
 * Without files, simulated transits and a model trained on them. Half of the series
 * serve to find the perturbation, the other half to judge it: the interval is exact
 * (Clopper and Pearson) because they had no part in the search.
 */
#include <robust.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call)                                                                      \
    do {                                                                               \
        if ((status = (call)) < ROB_OK) goto done;                                     \
    } while (0)

static rob_ctx *ctx;

static rob_status make_model(const rob_data *data, rob_model **out)
{
    rob_status status;
    rob_model *start = NULL;
    rob_trainer *trainer = NULL;
    TRY(rob_model_create(ctx, "lstm features=1 hidden=16 outputs=2 readout=mean",
                         &start));
    TRY(rob_trainer_create(ctx, &trainer));
    TRY(rob_trainer_run(ctx, trainer, start, data, NULL, out));
done:
    rob_model_free(start);
    rob_trainer_free(trainer);
    return status;
}

static rob_status ask(const rob_model *model, const rob_data *data, double radius,
                      rob_query **out)
{
    rob_status status;
    TRY(rob_query_create(ctx, model, out));
    TRY(rob_query_add_data(ctx, *out, data, 0, rob_data_count(data)));
    TRY(rob_query_set_units(ctx, *out, ROB_UNITS_DATA));
    TRY(rob_query_set_ball(ctx, *out, ROB_NORM_L2, radius));
    TRY(rob_query_set_reference(ctx, *out, ROB_REFERENCE_LABEL));
done:
    return status;
}

static rob_status try_radius(const rob_model *model, const rob_data *data,
                             const rob_data *held, double radius)
{
    rob_status status;
    rob_query *query = NULL, *other = NULL;
    rob_attack *attack = NULL;
    double *delta = NULL, own[5], fooled[5];
    int64_t size;
    TRY(ask(model, data, radius, &query));
    TRY(ask(model, held, radius, &other));
    TRY(rob_attack_create(ctx, "universal", &attack));
    TRY(rob_attack_universal(ctx, attack, query, NULL, 0, &size));
    TRY(rob_attack_get(ctx, attack, "fooled", -1, own, 5, NULL));
    delta = calloc((size_t)size, sizeof *delta);
    if (delta == NULL) goto done;
    TRY(rob_attack_get(ctx, attack, "universal", -1, delta, size, NULL));
    TRY(rob_attack_transfer(ctx, attack, other, delta, size));
    TRY(rob_attack_get(ctx, attack, "fooled", -1, fooled, 5, NULL));
    printf("radius %-6g own series %.3f   others %3.0f of %3.0f: %.3f, 95 %% interval "
           "%.3f to %.3f\n",
           radius, own[2], fooled[0], fooled[1], fooled[2], fooled[3], fooled[4]);
done:
    free(delta);
    rob_attack_free(attack);
    rob_query_free(query);
    rob_query_free(other);
    return status;
}

int main(int argc, char **argv)
{
    static const double radii[] = { 0.25, 0.5, 1, 2 };
    rob_status status;
    rob_data *data = NULL, *held = NULL;
    rob_model *model = NULL;
    if (rob_ctx_create(&ctx) < ROB_OK) return 1;
    TRY(rob_data_create(ctx, &data));
    if (argc > 2) TRY(rob_data_read(ctx, data, argv[2]));
    else {
        TRY(rob_data_set(ctx, data, "steps", 64));
        TRY(rob_data_simulate(ctx, data, "transits", 600));
    }
    TRY(rob_data_split(ctx, data, 0.5, &held));
    if (argc > 2) TRY(rob_model_load(ctx, argv[1], NULL, &model));
    else TRY(make_model(data, &model));
    if (argc > 3)
        for (int k = 3; k < argc; k++)
            TRY(try_radius(model, data, held, strtod(argv[k], NULL)));
    for (size_t k = 0; argc <= 3 && k < sizeof radii / sizeof *radii; k++)
        TRY(try_radius(model, data, held, radii[k]));
done:
    if (status < ROB_OK) fprintf(stderr, "universal: %s\n", rob_ctx_error(ctx));
    rob_model_free(model);
    rob_data_free(data);
    rob_data_free(held);
    rob_ctx_free(ctx);
    return status < ROB_OK;
}
