/* learn.c -- simulate, train, predict. */
#include "robust.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static rob_status set_data(void *h, const char *n, double v) { return rob_data_set(ctx, h, n, v); }
static rob_status set_trainer(void *h, const char *n, double v) { return rob_trainer_set(ctx, h, n, v); }

static void name_of_test(const char *path, char *out, size_t capacity)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    if (dot == NULL || (slash != NULL && dot < slash)) dot = path + strlen(path);
    snprintf(out, capacity, "%.*s.test%s", (int)(dot - path), path, dot);
}

rob_status simulate(const arguments *a)
{
    rob_status status;
    rob_data *data = NULL, *test = NULL;
    char path[1024];
    TRY(rob_data_create(ctx, &data));
    TRY(rob_data_set(ctx, data, "steps", a->steps));
    TRY(apply_data(a, data));
    TRY(apply_sets(a, "data.", set_data, data));
    TRY(rob_data_simulate(ctx, data, a->what, a->count > 0 ? (int64_t)a->count : 1000));
    if (a->share > 0) {
        name_of_test(a->out, path, sizeof path);
        TRY(rob_data_split(ctx, data, a->share, &test));
        TRY(rob_data_save(ctx, test, path));
        printf("wrote %" PRId64 " series to %s\n", rob_data_count(test), path);
    }
    TRY(rob_data_save(ctx, data, a->out));
    printf("wrote %" PRId64 " series to %s\n", rob_data_count(data), a->out);
done:
    rob_data_free(data);
    rob_data_free(test);
    return status;
}

static rob_status start_model(const arguments *a, const rob_data *data, rob_model **out)
{
    char recipe[1024];
    int64_t features = 1;
    rob_status status = rob_data_get(ctx, data, 0, NULL, 0, NULL, &features, NULL);
    if (status < ROB_OK) return status;
    snprintf(recipe, sizeof recipe, "%s features=%" PRId64 " outputs=%" PRId64,
             a->recipe ? a->recipe : "lstm hidden=32 readout=last", features, rob_data_classes(data));
    return rob_model_create(ctx, recipe, out);
}

rob_status train(const arguments *a)
{
    rob_status status;
    rob_data *data = NULL, *valid = NULL;
    rob_model *start = NULL, *model = NULL;
    rob_trainer *trainer = NULL;
    double begun = seconds();
    TRY(open_data(a, a->file[0], &data));
    TRY(start_model(a, data, &start));
    if (a->valid != NULL) TRY(open_data(a, a->valid, &valid));
    else TRY(hold_out(data, &valid));
    TRY(rob_trainer_create(ctx, &trainer));
    TRY(apply_sets(a, "trainer.", set_trainer, trainer));
    TRY(rob_trainer_run(ctx, trainer, start, data, valid, &model));
    TRY(rob_model_save(ctx, model, a->out));
    printf("trained in %.1f s, model saved to %s\n", seconds() - begun, a->out);
    TRY(print_accuracy("fitted series", model, data));
    TRY(print_accuracy("held-out series", model, valid));
done:
    rob_trainer_free(trainer);
    rob_model_free(start);
    rob_model_free(model);
    rob_data_free(data);
    rob_data_free(valid);
    return status;
}

rob_status predict(const arguments *a)
{
    rob_status status;
    rob_model *model = NULL;
    rob_data *data = NULL;
    int64_t right, n;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(open_data(a, a->file[1], &data));
    n = rob_data_count(data);
    if (is_forecast(model)) {
        TRY(print_forecasts(model, data, a->json));
        goto done;
    }
    TRY(predict_all(model, data, &right));
    if (a->json)
        printf("{\"series\": %" PRId64 ", \"accuracy\": %.6f, \"majority\": %.6f}\n", n,
               (double)right / (double)n, majority_share(data));
    else TRY(print_accuracy(a->file[1], model, data));
done:
    rob_model_free(model);
    rob_data_free(data);
    return status;
}
