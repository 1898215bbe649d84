/* waves.h -- the task of trained nets in benches: a clean sine against the same sine in noise.
 *
 * Included by one program each; it says its name in WAVE_PROGRAM before.
 */
#ifndef BENCH_WAVES_H
#define BENCH_WAVES_H

#include <robust.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { KINDS = 3, WAVE_STEPS = 256 };
static const char *const KIND[] = {"rnn", "lstm", "gru"};
static const char *const RECIPE[] = {"rnn nonlinearity=tanh", "lstm", "gru"};
static rob_ctx *ctx;

static void must(rob_status status)
{
    if (status >= ROB_OK) return;
    fprintf(stderr, WAVE_PROGRAM ": %s\n", rob_ctx_error(ctx));
    exit(1);
}

/* A small generator of its own: uniform in (0, 1). */
static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    double r = sqrt(-2 * log(uniform(state)));
    return r * cos(6.283185307179586 * uniform(state));
}

/* label 0: clean sine of random phase; label 1: the same with N(0, 0.5^2) noise */
static rob_data *waves(int steps, int count, uint64_t seed)
{
    rob_data *data;
    double x[WAVE_STEPS];
    must(rob_data_create(ctx, &data));
    for (int i = 0; i < count; i++) {
        double phase = 6.283185307179586 * uniform(&seed);
        for (int t = 0; t < steps; t++) {
            x[t] = sin(6.283185307179586 * t / 14 + phase);
            if (i % 2 == 1) x[t] += 0.5 * normal(&seed);
        }
        must(rob_data_add(ctx, data, x, steps, 1, i % 2));
    }
    return data;
}

static inline rob_model *trained(const char *recipe, int steps)
{
    rob_model *start, *model;
    rob_trainer *trainer;
    rob_data *train = waves(steps, 1000, 1), *valid = waves(steps, 200, 2);
    must(rob_model_create(ctx, recipe, &start));
    must(rob_trainer_create(ctx, &trainer));
    must(rob_trainer_run(ctx, trainer, start, train, valid, &model));
    rob_trainer_free(trainer);
    rob_model_free(start);
    rob_data_free(train);
    rob_data_free(valid);
    return model;
}

static rob_model *fitted(int kind, int steps, int hidden)
{
    char recipe[128];
    snprintf(recipe, sizeof recipe, "%s hidden=%d features=1 outputs=2 readout=last",
             RECIPE[kind], hidden);
    return trained(recipe, steps);
}

#endif
