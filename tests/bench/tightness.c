/* tightness.c -- what our certificates prove of trained nets, for a peer to be set beside.
 *
 * Elman (tanh), LSTM and GRU classifiers of a clean sine against the same sine in noise,
 * trained here, T x H = 5 x 16, 10 x 32, 28 x 32. For each of N test series: the clean margin,
 * the radius proved (whole sequence), and the margins proved at 0.5, 0.9 and 1 of it.
 * usage: tightness FOLDER [N [METHOD [l2|linf [KIND [LARGEST T [OPTION=VALUE ...]]]]]]; writes
 * KIND_T_H.safetensors there and a line of JSON a series, which peers/tightness.py reads.
 */
#define WAVE_PROGRAM "tightness"
#include "waves.h"

#include <string.h>

enum { MOST = 200, SHARES = 3, SIZES = 3 };
static const double SHARE[SHARES] = {0.5, 0.9, 1};
static const int SIZE[][2] = {{5, 16}, {10, 32}, {28, 32}};

static const char *method = "crown";
static char **option; /* of the bound, NAME=VALUE, up to a NULL */
static int norm = ROB_NORM_L2;

static rob_query *asked(const rob_model *model, const double *x, int64_t steps, double radius)
{
    rob_query *q;
    must(rob_query_create(ctx, model, &q));
    must(rob_query_add(ctx, q, x, steps, -1));
    must(rob_query_set_ball(ctx, q, norm, radius));
    return q;
}

static void set_options(rob_bound *bound)
{
    char name[64];
    double value;
    for (char **o = option; *o != NULL; o++) {
        if (sscanf(*o, "%63[^=]=%lf", name, &value) != 2) {
            fprintf(stderr, "tightness: '%s' is not OPTION=VALUE\n", *o);
            exit(2);
        }
        must(rob_bound_set(ctx, bound, name, value));
    }
}

static double proved(const rob_model *model, const double *x, int64_t steps, double radius)
{
    rob_bound *bound;
    rob_query *q = asked(model, x, steps, radius);
    double answer;
    must(rob_bound_create(ctx, method, &bound));
    set_options(bound);
    if (isfinite(radius) && strcmp(method, "alpha") == 0)   /* on, also where crown proves */
        must(rob_bound_set(ctx, bound, "enough", 1e6));
    if (isinf(radius)) must(rob_bound_radius(ctx, bound, q, &answer, 1));
    else must(rob_bound_margin(ctx, bound, q, &answer, 1));
    rob_bound_free(bound);
    rob_query_free(q);
    return answer;
}

static void print_series(const char *file, const rob_model *model, const rob_data *data,
                         int64_t i)
{
    double x[64], logits[2];
    int64_t steps, features, label;
    must(rob_data_get(ctx, data, i, x, 64, &steps, &features, &label));
    must(rob_model_predict(ctx, model, x, steps, logits, 2));
    double radius = proved(model, x, steps, INFINITY);
    printf("{\"file\": \"%s\", \"T\": %d, \"method\": \"%s\", \"norm\": \"%s\", \"clean\": %.17g, "
           "\"radius\": %.17g, \"eps\": [", file, (int)steps, method,
           norm == ROB_NORM_L2 ? "l2" : "linf", fabs(logits[0] - logits[1]), radius);
    for (int k = 0; k < SHARES; k++) printf("%s%.17g", k ? ", " : "", SHARE[k] * radius);
    printf("], \"margin\": [");
    for (int k = 0; k < SHARES; k++)
        printf("%s%.17g", k ? ", " : "", proved(model, x, steps, SHARE[k] * radius));
    printf("], \"x\": [");
    for (int64_t t = 0; t < steps; t++) printf("%s%.17g", t ? ", " : "", x[t]);
    printf("]}\n");
    fflush(stdout);
}

static void study(const char *folder, int kind, int size, int count)
{
    char file[64], path[1200];
    int steps = SIZE[size][0], hidden = SIZE[size][1];
    rob_model *model = fitted(kind, steps, hidden);
    rob_data *test = waves(steps, count, 3);
    snprintf(file, sizeof file, "%s_%d_%d.safetensors", KIND[kind], steps, hidden);
    snprintf(path, sizeof path, "%s/%s", folder, file);
    must(rob_model_save(ctx, model, path));
    for (int i = 0; i < count; i++) print_series(file, model, test, i);
    rob_model_free(model);
    rob_data_free(test);
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[2]) : 20, longest = argc > 6 ? atoi(argv[6]) : 28;
    const char *only = argc > 5 ? argv[5] : "all";
    if (argc < 2 || count < 1 || count > MOST)
        return fputs("usage: tightness FOLDER [N [METHOD [l2|linf [KIND [LARGEST T [OPTION=VALUE ...]]]]]]   "
                     "(without a folder: nothing to do)\n", stderr),
               argc < 2 ? 0 : 2;
    option = argv + (argc < 7 ? argc : 7); /* argv ends with a NULL */
    if (argc > 3) method = argv[3];
    if (argc > 4 && strcmp(argv[4], "linf") == 0) norm = ROB_NORM_LINF;
    must(rob_ctx_create(&ctx));
    for (int size = 0; size < SIZES && SIZE[size][0] <= longest; size++)
        for (int kind = 0; kind < KINDS; kind++)
            if (strcmp(only, "all") == 0 || strcmp(only, KIND[kind]) == 0)
                study(argv[1], kind, size, count);
    rob_ctx_free(ctx);
    return 0;
}
