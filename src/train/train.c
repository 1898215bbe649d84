/* train.c -- Adam on mini-batches, with clipping, weight decay and early stopping.
 *
 * Per step, with g the gradient of the batch's loss (fit.c, penalty.c, at the points
 * of disturb.c), scaled to norm at most `clip`:
 *     m <- b1 m + (1-b1) g,   v <- b2 v + (1-b2) g^2,
 *     theta <- theta - rate [ (m/(1-b1^s)) / (sqrt(v/(1-b2^s)) + 1e-8) + decay theta ],
 * b1 = 0.9, b2 = 0.999, rate falling by cosine over the epochs. The order of an epoch
 * is a shuffle of (seed, epoch). Kept are the weights of the best epoch: highest
 * validation accuracy, then lowest validation loss (of a forecast, that alone);
 * without a validation set, lowest training loss; of certified training, the lowest loss
 * with its part for boxes of full size. `patience` epochs without a better one end the training.
 * References: Kingma & Ba, ICLR 2015; Loshchilov & Hutter, ICLR 2019.
 * (docs/theory/train.md, section 2.)
 */
#include "train/train.h"

#include <math.h>
#include <string.h>

const rob_option rob_priv_train_options[ROB_TRAIN_OPTIONS] = {
    { "epochs", 60, 1, 1e6, "epochs", "at most" },
    { "rate", 0.01, 1e-12, 10, "",
      "learning rate of Adam at the start; falls by cosine" },
    { "batch", 32, 1, 1e6, "series", "of one step" },
    { "patience", 20, 1, 1e6, "epochs", "without improvement before stopping" },
    { "decay", 0, 0, 1, "", "weight decay, decoupled from the gradient" },
    { "clip", 1, 0, 1e30, "", "largest norm of a gradient; 0: no clipping" },
    { "jacobian", 0, 0, 1e30, "", "strength of the Jacobian penalty" },
    { "hessian", 0, 0, 1e30, "", "strength of the Hessian penalty" },
    { "projections", 1, 1, 1e6, "", "random products a series and step" },
    { "exact", 0, 0, 1, "", "1: exact norms instead of random products" },
    { "share", 1, 1e-6, 1, "share", "of the series penalised in a step, at random" },
    { "noise", 0, 0, 1e30, "model units", "standard deviation of input noise" },
    { "adversarial", 0, 0, 1e30, "model units", "radius of adversarial training" },
    { "adversarial_norm", ROB_NORM_L2, ROB_NORM_L2, ROB_NORM_LINF, "ROB_NORM",
      "of that ball: ROB_NORM_L2 (2) or ROB_NORM_LINF (100)" },
    { "adversarial_steps", 10, 1, 1e6, "gradients", "of one ascent" },
    { "certified", 0, 0, 1e30, "model units", "radius of the boxes intervals are trained on" },
    { "certified_weight", 1, 1e-12, 1e30, "", "of the loss that intervals leave" },
    { "certified_ramp", 0.5, 0, 1, "share", "of the epochs in which boxes grow to their size" },
};

typedef struct descent {
    rob_ctx *ctx;
    rob_trainer *t;
    rob_fit fit;
    rob_penalty penalty[2]; /* Jacobian, Hessian; strength 0: not made */
    rob_disturb disturb;
    rob_interval_term interval;
    rob_standard standard; /* of a forecast */
    bool disturbed, certified, forecast;
    const rob_data *train, *valid;
    int64_t *order, *every; /* shuffled training series; 0 .. of the validation set */
    double *grad, *mean, *square, *best; /* (size) */
    double *curve;                       /* (epochs, ROB_CURVES) */
    int64_t step, epochs, best_epoch;
} descent;

/* ---- one step -------------------------------------------------------------------- */

static bool clip_gradient(double *g, int64_t n, double most)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += g[i] * g[i];
    double length = sqrt(sum);
    if (!isfinite(length)) return false;
    for (int64_t i = 0; most > 0 && length > most && i < n; i++) g[i] *= most / length;
    return true;
}

/* from 1 at the first epoch towards 1/20 at the last that may be run */
static double rate_share(int64_t epoch, double epochs)
{
    const double pi = 3.14159265358979323846;
    return 0.05 + 0.475 * (1 + cos(pi * (double)epoch / epochs));
}

static void adam(descent *d, double rate)
{
    const double b1 = 0.9, b2 = 0.999, tiny = 1e-8;
    double decay = d->t->option[ROB_DECAY];
    double c1 = 1 - pow(b1, (double)d->step), c2 = 1 - pow(b2, (double)d->step);
    for (int64_t i = 0; i < d->fit.tile.size; i++) {
        double g = d->grad[i];
        d->mean[i] = b1 * d->mean[i] + (1 - b1) * g;
        d->square[i] = b2 * d->square[i] + (1 - b2) * g * g;
        double move = d->mean[i] / c1 / (sqrt(d->square[i] / c2) + tiny);
        d->fit.theta[i] -= rate * (move + decay * d->fit.theta[i]);
    }
}

/* ---- one epoch ------------------------------------------------------------------- */

/* Boxes grow in proportion to the series seen, up to the end of the ramp. */
static double grown(const descent *d, double epochs)
{
    double ramp = d->t->option[ROB_CERTIFIED_RAMP] * d->t->option[ROB_EPOCHS];
    return epochs < ramp ? epochs / ramp : 1;
}

/* The joint loss of rows first .. of the epoch's order, and its gradient. */
static double batch_loss(descent *d, int64_t epoch, int64_t first, int64_t count,
                         double *penalty, int64_t *right, int64_t *proved)
{
    rob_batch b = { .data = d->train,
                    .index = d->order + first,
                    .count = count,
                    .theta = d->fit.theta,
                    .weight = 1 / (double)count,
                    .standard = d->fit.standard,
                    .seed = d->ctx->seed,
                    .epoch = epoch,
                    .first = first };
    if (d->disturbed) rob_priv_disturb_run(d->ctx, &d->disturb, &b);
    double loss = rob_priv_fit_batch(d->ctx, &d->fit, &b, d->grad, right);
    *penalty = 0;
    for (int k = 0; k < 2; k++)
        if (d->penalty[k].strength > 0)
            *penalty += rob_priv_penalty_add(d->ctx, &d->penalty[k], &b, d->grad);
    double seen = (double)epoch + (double)first / (double)d->train->count;
    if (d->certified)
        *penalty += rob_priv_interval_add(d->ctx, &d->interval, &b, grown(d, seen), d->grad,
                                          proved);
    return loss + *penalty;
}

static void validate(descent *d, double *curve)
{
    int64_t right;
    curve[ROB_VALID_LOSS] = curve[ROB_VALID_ACCURACY] = NAN;
    if (!d->valid) return;
    curve[ROB_VALID_LOSS] = rob_priv_fit_loss(d->ctx, &d->fit, d->valid, d->every,
                                              d->valid->count, NULL, &right);
    if (!d->forecast)
        curve[ROB_VALID_ACCURACY] = (double)right / (double)d->valid->count;
    if (!d->certified) return;
    rob_batch b = { .data = d->valid,
                    .index = d->every,
                    .count = d->valid->count,
                    .theta = d->fit.theta,
                    .weight = 1 / (double)d->valid->count,
                    .standard = d->fit.standard };
    curve[ROB_CERTIFIED_LOSS] =
        rob_priv_interval_add(d->ctx, &d->interval, &b, 1, NULL, &right);
    curve[ROB_PROVED] = d->forecast ? NAN : (double)right / (double)d->valid->count;
}

static rob_status run_epoch(descent *d, int64_t epoch, double *curve)
{
    rob_status status = ROB_OK;
    int64_t n = d->train->count, batch = (int64_t)d->t->option[ROB_BATCH], right = 0;
    int64_t proved = 0;
    rob_random random = rob_priv_random(d->ctx->seed, (uint64_t)epoch);
    double loss = 0, penalties = 0;
    double rate = d->t->option[ROB_RATE] * rate_share(epoch, d->t->option[ROB_EPOCHS]);
    rob_priv_shuffle(&random, d->order, n);
    for (int64_t first = 0; first < n; first += batch) {
        int64_t hits, safe = 0, count = n - first < batch ? n - first : batch;
        double penalty;
        loss += (double)count * batch_loss(d, epoch, first, count, &penalty, &hits, &safe);
        penalties += (double)count * penalty;
        right += hits;
        proved += safe;
        CHECK(clip_gradient(d->grad, d->fit.tile.size, d->t->option[ROB_CLIP]), d->ctx,
              ROB_ENUMERIC,
              "epoch %lld: the gradient is not finite; a smaller rate (now %g) "
              "may help",
              (long long)epoch, d->t->option[ROB_RATE]);
        d->step++;
        adam(d, rate);
        if (rob_priv_cancelled(d->ctx)) break;
    }
    curve[ROB_LOSS] = loss / (double)n;
    curve[ROB_PENALTY] = penalties / (double)n;
    curve[ROB_ACCURACY] = d->forecast ? NAN : (double)right / (double)n;
    curve[ROB_PROVED] = d->certified && !d->forecast ? (double)proved / (double)n : NAN;
    curve[ROB_CERTIFIED_LOSS] = NAN;
    validate(d, curve);
done:
    return status;
}

/* While boxes grow, the latest is kept: losses at different sizes do not compare. */
static bool is_better(const descent *d, const double *now, const double *best)
{
    if (d->certified && grown(d, (double)((best - d->curve) / ROB_CURVES)) < 1) return true;
    if (d->certified && d->valid)
        return now[ROB_VALID_LOSS] + now[ROB_CERTIFIED_LOSS]
               < best[ROB_VALID_LOSS] + best[ROB_CERTIFIED_LOSS];
    if (!d->valid) return now[ROB_LOSS] < best[ROB_LOSS];
    if (!d->forecast && now[ROB_VALID_ACCURACY] != best[ROB_VALID_ACCURACY])
        return now[ROB_VALID_ACCURACY] > best[ROB_VALID_ACCURACY];
    return now[ROB_VALID_LOSS] < best[ROB_VALID_LOSS];
}

static rob_status run_epochs(descent *d)
{
    rob_status status = ROB_OK;
    int64_t most = (int64_t)d->t->option[ROB_EPOCHS];
    int64_t patience = (int64_t)d->t->option[ROB_PATIENCE];
    d->best_epoch = -1;
    for (int64_t epoch = 0; epoch < most; epoch++) {
        TRY(rob_priv_progress(d->ctx, "train", epoch, most));
        if (status == ROB_STOPPED) goto done;
        double *now = d->curve + epoch * ROB_CURVES;
        TRY(run_epoch(d, epoch, now));
        d->epochs = epoch + 1;
        if (d->best_epoch < 0
            || is_better(d, now, d->curve + d->best_epoch * ROB_CURVES)) {
            d->best_epoch = epoch;
            memcpy(d->best, d->fit.theta, (size_t)d->fit.tile.size * sizeof *d->best);
        }
        if (epoch - d->best_epoch >= patience) break;
    }
    TRY(rob_priv_progress(d->ctx, "train", most, most));
done:
    return status;
}

/* ---- the whole ------------------------------------------------------------------- */

static rob_status check_data(rob_ctx *ctx, const rob_model *model, const rob_data *data,
                             const char *name)
{
    rob_status status = ROB_OK;
    CHECK(model->parameters > 0, ctx, ROB_EUNSUPPORTED,
          "the model has no tensors by name; only a recipe's model is trained");
    CHECK(data->count > 0, ctx, ROB_ESHAPE, "%s has no series", name);
    CHECK(data->features == model->recipe.features, ctx, ROB_ESHAPE,
          "%s has %lld features a step; the model takes %lld", name,
          (long long)data->features, (long long)model->recipe.features);
    for (int64_t i = 0; !model->recipe.forecast && i < data->count; i++)
        CHECK(data->series[i].label >= 0
                  && data->series[i].label < model->recipe.outputs,
              ctx, ROB_EARGUMENT,
              "%s, series %lld: label is %lld; the model knows 0 to %lld", name,
              (long long)i, (long long)data->series[i].label,
              (long long)(model->recipe.outputs - 1));
done:
    return status;
}

static void widen(const rob_data *data, int64_t *least, int64_t *most)
{
    for (int64_t i = 0; data && i < data->count; i++) {
        int64_t steps = data->series[i].steps;
        if (*least == 0 || steps < *least) *least = steps;
        if (steps > *most) *most = steps;
    }
}

static int64_t *counted(const rob_memory *m, int64_t n)
{
    int64_t *index = rob_priv_allocate(m, n, sizeof *index);
    for (int64_t i = 0; index && i < n; i++) index[i] = i;
    return index;
}

/* The programs that options ask for. rows: of a batch */
static rob_status prepare_terms(descent *d, const rob_model *model, int64_t steps,
                                bool differ, int64_t rows)
{
    rob_status status = ROB_OK;
    const double *o = d->t->option;
    int64_t projections = o[ROB_EXACT] >= 0.5 ? 0 : (int64_t)o[ROB_PROJECTIONS];
    for (int32_t k = 0; k < 2; k++) {
        rob_penalty *p = &d->penalty[k];
        if (!(o[ROB_JACOBIAN + k] > 0)) continue;
        TRY(rob_priv_penalty_create(d->ctx, model, steps, differ, rows, k + 1,
                                    projections, p));
        p->strength = o[ROB_JACOBIAN + k];
        p->share = o[ROB_SHARE];
    }
    d->disturbed = o[ROB_NOISE] > 0 || o[ROB_ADVERSARIAL] > 0;
    d->disturb.noise = o[ROB_NOISE];
    d->disturb.radius = o[ROB_ADVERSARIAL];
    d->disturb.norm = (int32_t)o[ROB_ADVERSARIAL_NORM];
    d->disturb.ascents = (int64_t)o[ROB_ADVERSARIAL_STEPS];
    CHECK(d->disturb.norm == ROB_NORM_L2 || d->disturb.norm == ROB_NORM_LINF, d->ctx,
          ROB_EARGUMENT,
          "adversarial_norm is %g; allowed are ROB_NORM_L2 (2) and ROB_NORM_LINF (100)",
          o[ROB_ADVERSARIAL_NORM]);
    if (d->disturbed)
        TRY(rob_priv_disturb_create(d->ctx, model, steps, differ, rows, &d->disturb));
    d->certified = o[ROB_CERTIFIED] > 0;
    if (!d->certified) goto done;
    TRY(rob_priv_interval_create(d->ctx, model, steps, differ, rows, &d->interval));
    d->interval.radius = o[ROB_CERTIFIED];
    d->interval.weight = o[ROB_CERTIFIED_WEIGHT];
done:
    return status;
}

static rob_status prepare(descent *d, const rob_model *model)
{
    rob_status status = ROB_OK;
    const rob_memory *m = &d->ctx->memory;
    int64_t least = 0, most = 0, batch = (int64_t)d->t->option[ROB_BATCH];
    if (batch > d->train->count) batch = d->train->count;
    widen(d->train, &least, &most);
    widen(d->valid, &least, &most);
    TRY(rob_priv_fit_create(d->ctx, model, most, least < most,
                            (batch + ROB_TRAIN_TILE - 1) / ROB_TRAIN_TILE, &d->fit));
    TRY(prepare_terms(d, model, most, least < most, batch));
    d->order = counted(m, d->train->count);
    d->every = counted(m, d->valid ? d->valid->count : 0);
    d->grad = rob_priv_allocate(m, d->fit.tile.size, sizeof *d->grad);
    d->mean = rob_priv_allocate(m, d->fit.tile.size, sizeof *d->mean);
    d->square = rob_priv_allocate(m, d->fit.tile.size, sizeof *d->square);
    d->best = rob_priv_allocate(m, d->fit.tile.size, sizeof *d->best);
    d->curve =
        rob_priv_allocate(&d->t->memory, (int64_t)d->t->option[ROB_EPOCHS] * ROB_CURVES,
                          sizeof *d->curve);
    if (!d->order || !d->every || !d->grad || !d->mean || !d->square || !d->best
        || !d->curve)
        return rob_priv_no_memory(d->ctx);
    memcpy(d->best, d->fit.theta, (size_t)d->fit.tile.size * sizeof *d->best);
done:
    return status;
}

/* A start that knows these targets less than its own last layer, taken in standard
 * units, would: a new model does not, whatever the targets' size. */
static void choose_start(descent *d)
{
    rob_fit *fit = &d->fit;
    int64_t right, size = fit->tile.size * (int64_t)sizeof *fit->theta;
    double fresh = rob_priv_fit_loss(d->ctx, fit, d->train, d->order, d->train->count,
                                     NULL, &right);
    rob_priv_standard_map(&d->standard, &fit->tile, false, fit->theta);
    double same = rob_priv_fit_loss(d->ctx, fit, d->train, d->order, d->train->count,
                                    NULL, &right);
    if (!(same <= fresh) && isfinite(fresh))
        memcpy(fit->theta, d->best, (size_t)size);
}

static rob_status prepare_forecast(descent *d, const rob_model *model)
{
    rob_status status = ROB_OK;
    if (!d->forecast) return ROB_OK;
    TRY(rob_priv_standard_create(d->ctx, model, d->train, d->valid, &d->standard));
    d->fit.standard = &d->standard;
    choose_start(d);
    memcpy(d->best, d->fit.theta, (size_t)d->fit.tile.size * sizeof *d->best);
done:
    return status;
}

static void release(descent *d)
{
    const rob_memory *m = &d->ctx->memory;
    rob_priv_release(m, d->standard.mean);
    rob_priv_fit_free(&d->fit);
    for (int k = 0; k < 2; k++) rob_priv_penalty_free(&d->penalty[k]);
    rob_priv_disturb_free(&d->disturb);
    rob_priv_interval_free(&d->interval);
    rob_priv_release(m, d->order);
    rob_priv_release(m, d->every);
    rob_priv_release(m, d->grad);
    rob_priv_release(m, d->mean);
    rob_priv_release(m, d->square);
    rob_priv_release(m, d->best);
    rob_priv_release(&d->t->memory, d->curve);
}

static void fill_model(rob_model *model, const double *theta)
{
    for (int32_t k = 0; k < model->parameters; k++) {
        rob_tensor *t = model->parameter[k].tensor;
        int64_t n = rob_priv_shape_size(&t->shape);
        for (int64_t i = 0; i < n; i++) {
            if (t->dtype == ROB_F64) ((double *)t->data)[i] = theta[i];
            else ((float *)t->data)[i] = (float)theta[i];
        }
        theta += n;
    }
}

static void keep_curves(descent *d)
{
    rob_trainer *t = d->t;
    rob_priv_release(&t->memory, t->curve);
    t->curve = d->curve;
    t->epochs = d->epochs;
    t->best = d->best_epoch;
    t->forecast = d->forecast;
    d->curve = NULL;
    if (!d->forecast) return;
    t->spread = d->standard.spread;
    rob_priv_standard_baselines(&d->standard, d->valid ? d->valid : d->train,
                                t->baseline);
}

rob_status rob_priv_train_run(rob_ctx *ctx, rob_trainer *t, const rob_model *model,
                              const rob_data *train, const rob_data *valid,
                              rob_model **out)
{
    rob_status status = ROB_OK, ended;
    descent d = { .ctx = ctx,
                  .t = t,
                  .train = train,
                  .valid = valid,
                  .forecast = model->recipe.forecast != 0 };
    rob_model *fitted = NULL;
    TRY(check_data(ctx, model, train, "train"));
    if (valid) TRY(check_data(ctx, model, valid, "valid"));
    TRY(prepare(&d, model));
    TRY(prepare_forecast(&d, model));
    TRY(rob_priv_model_make(ctx, &model->recipe, &fitted));
    ended = run_epochs(&d);
    TRY(ended);
    if (d.forecast) rob_priv_standard_map(&d.standard, &d.fit.tile, true, d.best);
    fill_model(fitted, d.best);
    keep_curves(&d);
    *out = fitted;
    fitted = NULL;
done:
    rob_model_free(fitted);
    release(&d);
    return status;
}
