/* trainer.c -- the public side of training: arguments checked, then src/train. */
#include "train/train.h"

#include <string.h>

rob_status rob_trainer_create(rob_ctx *ctx, rob_trainer **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    rob_trainer *t = rob_priv_allocate(&ctx->memory, 1, sizeof *t);
    CHECK(t, ctx, ROB_EMEMORY, "out of memory for a trainer");
    t->memory = ctx->memory;
    t->best = -1;
    for (int k = 0; k < ROB_TRAIN_OPTIONS; k++)
        t->option[k] = rob_priv_train_options[k].value;
    *out = t;
done:
    return status;
}

rob_status rob_trainer_set(rob_ctx *ctx, rob_trainer *t, const char *name, double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(t && name, ctx, ROB_EARGUMENT, "%s is NULL", t ? "name" : "trainer");
    TRY(rob_priv_option_set(ctx, rob_priv_train_options, ROB_TRAIN_OPTIONS, t->option,
                            name, value));
done:
    return status;
}

rob_status rob_trainer_run(rob_ctx *ctx, rob_trainer *t, const rob_model *model,
                           const rob_data *train, const rob_data *valid,
                           rob_model **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(t && model && train, ctx, ROB_EARGUMENT, "%s is NULL",
          !t       ? "trainer"
          : !model ? "model"
                   : "train");
    TRY(rob_priv_train_run(ctx, t, model, train, valid, out));
done:
    return rob_priv_leave(ctx, status);
}

static const struct curve {
    const char *name;
    int column;
} curves[] = {
    { "loss", ROB_LOSS },
    { "accuracy", ROB_ACCURACY },
    { "valid_loss", ROB_VALID_LOSS },
    { "valid_accuracy", ROB_VALID_ACCURACY },
    { "penalty", ROB_PENALTY },
    { "certified", ROB_PROVED },
    { "certified_loss", ROB_CERTIFIED_LOSS },
};

/* one number each; of forecasts alone but the first */
static const struct fact {
    const char *name;
    int baseline; /* -1: the spread, -2: the best epoch */
} facts[] = {
    { "best_epoch", -2 },
    { "spread", -1 },
    { "mean_loss", ROB_BASELINE_MEAN },
    { "last_loss", ROB_BASELINE_LAST },
    { "zero_loss", ROB_BASELINE_ZERO },
};

static const struct fact *fact_named(const char *name)
{
    for (size_t k = 0; k < sizeof facts / sizeof *facts; k++)
        if (strcmp(facts[k].name, name) == 0) return &facts[k];
    return NULL;
}

static double fact_of(const rob_trainer *t, const struct fact *f)
{
    return f->baseline == -2   ? (double)t->best
           : f->baseline == -1 ? t->spread
                               : t->baseline[f->baseline];
}

static int column_named(const char *name)
{
    for (size_t k = 0; k < sizeof curves / sizeof *curves; k++)
        if (strcmp(curves[k].name, name) == 0) return curves[k].column;
    return -1;
}

rob_status rob_trainer_get(rob_ctx *ctx, const rob_trainer *t, const char *what,
                           double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(t && what, ctx, ROB_EARGUMENT, "%s is NULL", t ? "what" : "trainer");
    int column = column_named(what);
    const struct fact *fact = fact_named(what);
    CHECK(fact || column >= 0, ctx, ROB_EARGUMENT,
          "nothing is called '%.40s'; there are loss, accuracy, valid_loss, "
          "valid_accuracy, penalty, certified, certified_loss, best_epoch, spread, "
          "mean_loss, last_loss, zero_loss",
          what);
    int64_t size = !fact ? t->epochs : fact->baseline == -2 || t->forecast;
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE, "capacity is %lld; '%s' has %lld",
          (long long)capacity, what, (long long)size);
    if (out && fact && size) out[0] = fact_of(t, fact);
    for (int64_t k = 0; out && !fact && k < size; k++)
        out[k] = t->curve[k * ROB_CURVES + column];
    if (count) *count = size;
done:
    return status;
}

void rob_trainer_free(rob_trainer *t)
{
    if (!t) return;
    rob_memory memory = t->memory;
    rob_priv_release(&memory, t->curve);
    rob_priv_release(&memory, t);
}
