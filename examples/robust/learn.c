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

/* The labels of the file in the order of the outputs, with commas; "" where they would be no word
 * of a recipe, or no option "labels". */
static void name_classes(const rob_data *data, char out[MOST_LABELS + 1])
{
    size_t used = 0;
    out[0] = 0;
    for (int64_t c = 0; c < rob_data_classes(data); c++) {
        char name[128] = "";
        int64_t label = -1;
        for (int64_t i = 0; i < rob_data_count(data) && label != c; i++)
            if (rob_data_get(ctx, data, i, NULL, 0, NULL, NULL, &label) == ROB_OK && label == c)
                rob_data_about_text(ctx, data, i, "class", name, sizeof name, NULL);
        if (name[0] == 0 || strpbrk(name, " \t,\"'") != NULL || used + strlen(name) + 1 > MOST_LABELS) {
            out[0] = 0;
            return;
        }
        used += (size_t)snprintf(out + used, MOST_LABELS + 1 - used, "%s%s", c ? "," : "", name);
    }
}

static rob_status start_model(const arguments *a, const rob_data *data, rob_model **out)
{
    rob_status status;
    char recipe[1024], classes[MOST_LABELS + 1];
    const char *body = a->recipe ? a->recipe : "lstm hidden=32 readout=last";
    int64_t features = 1, outputs = rob_data_classes(data), targets = 0;
    bool forecast = strstr(body, "task=forecast") != NULL;
    TRY(rob_data_get(ctx, data, 0, NULL, 0, NULL, &features, NULL));
    TRY(rob_data_about(ctx, data, 0, "target", NULL, 0, &targets));
    if (!forecast && outputs == 0)
        return complain(targets > 0 ? "%s has targets and no labels; a recipe with task=forecast fits them"
                                    : "%s has no labels", a->file[0]), -1;
    if (forecast && targets == 0) return complain("%s has no targets to forecast", a->file[0]), -1;
    if (forecast) outputs = targets, classes[0] = 0;
    else name_classes(data, classes);
    snprintf(recipe, sizeof recipe, "%s features=%" PRId64 " outputs=%" PRId64 "%s%s", body, features,
             outputs, classes[0] && !strstr(body, "classes=") ? " classes=" : "",
             classes[0] && !strstr(body, "classes=") ? classes : "");
    TRY(rob_model_create(ctx, recipe, out));
done:
    return status;
}

/* what intervals prove of the series held out, where that was trained for */
static rob_status print_certified(const rob_trainer *trainer)
{
    rob_status status;
    double best = -1, share[1 << 10];
    int64_t epochs = 0;
    TRY(rob_trainer_get(ctx, trainer, "certified", NULL, 0, &epochs));
    TRY(rob_trainer_get(ctx, trainer, "best_epoch", &best, 1, NULL));
    if (epochs > 1 << 10 || best < 0) goto done;
    TRY(rob_trainer_get(ctx, trainer, "certified", share, 1 << 10, NULL));
    if (share[(int64_t)best] >= 0)
        printf("held-out series: %.4f proved by intervals at the radius trained for\n",
               share[(int64_t)best]);
done:
    return status;
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
    if (a->valid != NULL) TRY(open_data_for(a, a->valid, start, &valid));
    else TRY(hold_out(data, &valid));
    TRY(rob_trainer_create(ctx, &trainer));
    TRY(apply_sets(a, "trainer.", set_trainer, trainer));
    TRY(rob_trainer_run(ctx, trainer, start, data, valid, &model));
    TRY(rob_model_save(ctx, model, a->out));
    printf("trained in %.1f s, model saved to %s\n", seconds() - begun, a->out);
    TRY(print_score("fitted series", model, data));
    TRY(print_score("held-out series", model, valid));
    TRY(print_certified(trainer));
done:
    rob_trainer_free(trainer);
    rob_model_free(start);
    rob_model_free(model);
    rob_data_free(data);
    rob_data_free(valid);
    return status;
}

static rob_status json_accuracy(const rob_model *model, const rob_data *data)
{
    int64_t right, n = rob_data_count(data);
    rob_status status = predict_all(model, data, &right);
    if (status == ROB_OK)
        printf("{\"series\": %" PRId64 ", \"accuracy\": %.6f, \"majority\": %.6f}\n", n,
               (double)right / (double)n, majority_share(data));
    return status;
}

rob_status predict(const arguments *a)
{
    rob_status status;
    rob_model *model = NULL;
    rob_data *data = NULL;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(open_data_for(a, a->file[1], model, &data));
    if (is_forecast(model)) TRY(print_forecasts(model, data, a->json));
    else if (a->json) TRY(json_accuracy(model, data));
    if (!a->json) TRY(print_score(a->file[1], model, data));
done:
    rob_model_free(model);
    rob_data_free(data);
    return status;
}
