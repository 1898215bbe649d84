/* prover.c -- certified digits: LSTM classifiers of MNIST read in frames.
 *
 * The published nets of Ryou et al., Scalable polyhedral verification of recurrent neural
 * networks (CAV 2021): a digit is cut into T frames, one a step, pixels in [0, 1], and every
 * pixel may move by EPS within [0, 1], as there. Of the first N test digits that the net classifies correctly, how
 * many does a bound prove, how many of the others does an attack break, and how long does
 * a proof take?
 * usage: prover MODEL IMAGES LABELS FRAMES N EPS [METHOD [OPTION=VALUE ...]]
 * IMAGES and LABELS are IDX files, unpacked. A line of JSON at the end; with N < 0 a line a
 * digit as well. One thread.
 */
#include <robust.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 784, DIGITS = 10000 };

static rob_ctx *ctx;
static unsigned char image[16 + DIGITS * PIXELS], label[8 + DIGITS];

static void must(rob_status status)
{
    if (status >= ROB_OK) return;
    fprintf(stderr, "prover: %s\n", rob_ctx_error(ctx));
    exit(1);
}

static void read_all(const char *path, unsigned char *to, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fread(to, 1, size, f) != size) {
        fprintf(stderr, "prover: %s: not an unpacked IDX file of 10000 digits\n", path);
        exit(1);
    }
    fclose(f);
}

static rob_bound *made(int argc, char **argv)
{
    rob_bound *bound;
    must(rob_bound_create(ctx, argc > 7 ? argv[7] : "crown", &bound));
    for (int k = 8; k < argc; k++) {
        char *value = strchr(argv[k], '=');
        if (value == NULL) continue;
        *value++ = 0;
        must(rob_bound_set(ctx, bound, argv[k], atof(value)));
    }
    return bound;
}

/* Does an attack find a failing point? A margin far below zero is answered by one. */
static int broken(rob_query *q)
{
    rob_attack *attack;
    double margin;
    must(rob_attack_create(ctx, "pgd", &attack));
    must(rob_attack_set(ctx, attack, "restarts", 5));
    must(rob_attack_margin(ctx, attack, q, &margin, 1));
    rob_attack_free(attack);
    return margin <= 0;
}

/* Margin proved of digit i; NaN: the net gets it wrong. */
static double proved(const rob_model *model, rob_bound *bound, int i, int frames,
                     double eps, double *seconds, int *lost)
{
    const double black = 0, white = 1;
    double x[PIXELS], logits[10], margin;
    int most = 0;
    for (int p = 0; p < PIXELS; p++) x[p] = image[16 + i * PIXELS + p] / 255.0;
    must(rob_model_predict(ctx, model, x, frames, logits, 10));
    for (int k = 1; k < 10; k++) most = logits[k] > logits[most] ? k : most;
    if (most != label[8 + i]) return NAN;
    rob_query *q;
    must(rob_query_create(ctx, model, &q));
    must(rob_query_add(ctx, q, x, frames, -1));
    must(rob_query_set_ball(ctx, q, ROB_NORM_LINF, eps));
    must(rob_query_set_box(ctx, q, -1, &black, &white, 1));
    must(rob_bound_margin(ctx, bound, q, &margin, 1));
    must(rob_bound_get(ctx, bound, "seconds", 0, seconds, 1, NULL));
    if (margin <= 0) *lost += broken(q);
    rob_query_free(q);
    return margin;
}

int main(int argc, char **argv)
{
    rob_model *model;
    if (argc < 7) {
        fputs("usage: prover MODEL IMAGES LABELS FRAMES N EPS [METHOD [OPTION=VALUE ...]]\n",
              stderr);
        return argc < 2 ? 0 : 2;
    }
    read_all(argv[2], image, sizeof image);
    read_all(argv[3], label, sizeof label);
    int frames = atoi(argv[4]), wanted = abs(atoi(argv[5])), done = 0, good = 0, lost = 0;
    double eps = atof(argv[6]), total = 0, longest = 0;
    must(rob_ctx_create(&ctx));
    must(rob_ctx_set_threads(ctx, 1));
    must(rob_model_load(ctx, argv[1], "lstm readout=last", &model));
    rob_bound *bound = made(argc, argv);
    for (int i = 0; i < DIGITS && done < wanted; i++) {
        double seconds = 0, margin = proved(model, bound, i, frames, eps, &seconds, &lost);
        if (isnan(margin)) continue;
        done++;
        good += margin > 0;
        total += seconds;
        longest = fmax(longest, seconds);
        if (argv[5][0] == '-')
            printf("{\"digit\": %d, \"margin\": %.6g, \"seconds\": %.4f}\n", i, margin, seconds);
    }
    printf("{\"eps\": %g, \"method\": \"%s\", \"digits\": %d, \"proved\": %d, \"broken\": %d, "
           "\"seconds\": %.4f, \"longest\": %.4f}\n",
           eps, argc > 7 ? argv[7] : "crown", done, good, lost, total / fmax(done, 1), longest);
    rob_bound_free(bound);
    rob_model_free(model);
    rob_ctx_free(ctx);
    return 0;
}
