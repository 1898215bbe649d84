/* run.c -- the stages of a report, and what is summed up from them.
 *
 *     lower  L_i   proved: no failing point nearer          (bound)
 *     upper  U_i   distance of a point seen to fail         (attack)
 *     ratio        U_i / L_i >= 1 where both are positive and finite
 *     condition    ||x_i|| / dist(x_i), so between ||x_i||/U_i and ||x_i||/L_i
 *     certified accuracy at rho: share of series answered right with L_i >= rho
 *     attacked accuracy at rho:  share of series answered right with U_i > rho
 *     random accuracy at rho:    mean over series answered right of 1 - P_i(rho)
 * all shares of the series with a label (of all, when none has one). What the query
 * already knows is not computed again: attack and bound run only where some series has
 * no best or no proved distance yet.
 */
#include "report/report.h"
#include "sample/closed.h"

#include <robust/attack.h>
#include <robust/bound.h>

#include <math.h>
#include <string.h>

/* ---- the model ------------------------------------------------------------------- */

static rob_status column_of_query(rob_ctx *ctx, rob_report *r, rob_findings *f,
                                  const char *what, int32_t column)
{
    rob_status status = ROB_OK;
    if (f->count == 0) return ROB_OK;
    TRY(rob_priv_findings_make(ctx, f, column, f->count));
    TRY(rob_query_get(ctx, r->query, what, -1, f->value[column], f->count, NULL));
done:
    return status;
}

/* ||x|| of what may move, behind the input map or as given, in the query's norm */
static double norm_of(const rob_query *q, int64_t i)
{
    const rob_case *c = &q->cases[i];
    const uint8_t *mask = rob_priv_query_mask_of(q, i);
    const rob_recipe *m = &q->model->recipe;
    bool mapped = q->units == ROB_UNITS_MODEL;
    double shift = mapped ? m->input_shift : 0;
    double scale = mapped ? fabs(m->input_scale) : 1;
    double sum = 0, most = 0;
    for (int64_t k = 0; k < c->steps * m->features; k++) {
        double v = !mask || mask[k] ? fabs(c->x[k] - shift) / scale : 0;
        sum += q->norm == ROB_NORM_L2 ? v * v : v;
        most = fmax(most, v);
    }
    if (q->norm == ROB_NORM_LINF) return most;
    return q->norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

static bool is_right(const rob_findings *f, int64_t i)
{
    if (f->labelled == 0) return true;
    return f->value[ROB_C_LABEL][i] >= 0
           && f->value[ROB_C_LABEL][i] == rob_priv_finding(f, ROB_C_PREDICTION, i);
}

static int64_t commonest(const rob_findings *f, int64_t classes)
{
    int64_t most = 0;
    for (int64_t c = 0; c < classes; c++) {
        int64_t here = 0;
        for (int64_t i = 0; i < f->count; i++)
            here += f->value[ROB_C_LABEL][i] == (double)c;
        most = here > most ? here : most;
    }
    return most;
}

/* Accuracy over the query's series, or over the larger test the caller counted. */
static void judge_accuracy(const rob_report *r, rob_findings *f)
{
    double low, high, tested = r->option[ROB_REPORT_TESTED];
    int64_t n = f->labelled, right = 0;
    int64_t common = commonest(f, r->query->model->recipe.outputs);
    for (int64_t i = 0; i < f->count && n > 0; i++) right += is_right(f, i);
    if (tested >= 1) {
        n = (int64_t)tested;
        right = (int64_t)fmin(tested, r->option[ROB_REPORT_RIGHT]);
        common = (int64_t)fmin(tested, r->option[ROB_REPORT_COMMONEST]);
    }
    if (n == 0) return;
    rob_priv_binomial_interval(right, n, f->confidence, &low, &high);
    f->value[ROB_C_TESTED][0] = (double)n;
    f->value[ROB_C_ACCURACY][0] = (double)right / (double)n;
    f->value[ROB_C_ACCURACY_LOWER][0] = exp(low);
    f->value[ROB_C_ACCURACY_UPPER][0] = exp(high);
    f->value[ROB_C_MAJORITY][0] = (double)common / (double)n;
    f->value[ROB_C_BEATS][0] = exp(low) > f->value[ROB_C_MAJORITY][0];
}

static int64_t movable(const rob_query *q, int64_t i)
{
    const uint8_t *mask = rob_priv_query_mask_of(q, i);
    int64_t size = q->cases[i].steps * q->model->recipe.features, free = 0;
    for (int64_t k = 0; k < size; k++) free += !mask || mask[k];
    return free;
}

static void describe(const rob_report *r, rob_findings *f)
{
    const rob_query *q = r->query;
    f->count = q->count;
    f->shown = -1;
    f->norm = q->norm;
    f->units = q->units;
    f->reference = q->reference;
    f->cap = q->radius;
    f->own_rows = q->rows.rows > 0;
    f->features = q->model->recipe.features;
    f->confidence = r->option[ROB_REPORT_CONFIDENCE];
    f->radii = (int64_t)r->option[ROB_REPORT_RADII];
    rob_priv_recipe_print(&q->model->recipe, f->recipe, sizeof f->recipe);
    memcpy(f->classes, q->model->recipe.classes, sizeof f->classes);
    for (int64_t i = 0; i < q->count; i++) {
        f->labelled += q->cases[i].label >= 0 && !q->model->recipe.forecast;
        int64_t free = movable(q, i);
        f->dimension = free > f->dimension ? free : f->dimension;
    }
}

static rob_status make_ones(rob_ctx *ctx, rob_findings *f)
{
    rob_status status = ROB_OK;
    for (int32_t k = 0; k < ROB_COLUMN_COUNT; k++) {
        int32_t shape = rob_priv_column[k].shape;
        int64_t size = shape == ROB_ONE      ? 1
                       : shape == ROB_FOUR   ? 4
                       : shape == ROB_SERIES ? f->count
                       : shape == ROB_RADII  ? f->radii
                                             : 0;
        TRY(rob_priv_findings_make(ctx, f, k, size));
    }
done:
    return status;
}

static rob_status ask_model(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK;
    TRY(column_of_query(ctx, r, f, "steps", ROB_C_STEPS));
    TRY(column_of_query(ctx, r, f, "label", ROB_C_LABEL));
    for (int64_t i = 0; i < f->count; i++)
        f->value[ROB_C_NORM][i] = norm_of(r->query, i);
    TRY(rob_priv_query_knows(ctx, r->query, 0, "a report"));
    TRY(rob_priv_query_prepare(ctx, r->query));
    if (status == ROB_STOPPED) return status;
    TRY(column_of_query(ctx, r, f, "prediction", ROB_C_PREDICTION));
    TRY(column_of_query(ctx, r, f, "reference", ROB_C_REFERENCE));
    TRY(column_of_query(ctx, r, f, "wrong", ROB_C_WRONG));
    TRY(column_of_query(ctx, r, f, "margin", ROB_C_MARGIN));
    judge_accuracy(r, f);
done:
    return status;
}

/* ---- the sandwich ---------------------------------------------------------------- */

static bool all_known(const rob_findings *f, int32_t column, double unknown)
{
    for (int64_t i = 0; i < f->count; i++)
        if (f->value[ROB_C_WRONG][i] != 1 && f->value[column][i] == unknown)
            return false;
    return true;
}

static rob_status search(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_attack *a = NULL;
    const char *method = r->text[ROB_REPORT_ATTACK];
    if (!method) method = "auto";
    TRY(column_of_query(ctx, r, f, "best", ROB_C_UPPER));
    if (strcmp(method, "none") == 0 || all_known(f, ROB_C_UPPER, INFINITY)) goto done;
    f->attacked = true;
    TRY(rob_attack_create(ctx, method, &a));
    if (strcmp(method, "auto") == 0)
        TRY(rob_attack_set(ctx, a, "calls", r->option[ROB_REPORT_CALLS]));
    TRY(end = rob_attack_distance(ctx, a, r->query, NULL, 0));
    TRY(column_of_query(ctx, r, f, "best", ROB_C_UPPER));
    status = end;
done:
    for (int64_t i = 0; i < f->count && status >= ROB_OK; i++)
        if (f->value[ROB_C_WRONG][i] == 1) f->value[ROB_C_UPPER][i] = 0;
    rob_attack_free(a);
    return status;
}

static rob_status prove(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_bound *b = NULL;
    const char *method = r->text[ROB_REPORT_BOUND];
    if (!method) method = "auto";
    TRY(column_of_query(ctx, r, f, "proved", ROB_C_LOWER));
    if (strcmp(method, "none") == 0 || all_known(f, ROB_C_LOWER, 0)) goto done;
    TRY(rob_bound_create(ctx, method, &b));
    TRY(rob_bound_set(ctx, b, "tolerance", r->option[ROB_REPORT_TOLERANCE]));
    TRY(rob_bound_set(ctx, b, "steps", r->option[ROB_REPORT_STEPS]));
    TRY(rob_bound_set(ctx, b, "cost", r->option[ROB_REPORT_COST]));
    TRY(end = rob_bound_radius(ctx, b, r->query, NULL, 0));
    TRY(column_of_query(ctx, r, f, "proved", ROB_C_LOWER));
    status = end;
done:
    rob_bound_free(b);
    return status;
}

static void compare(rob_findings *f)
{
    for (int64_t i = 0; i < f->count; i++) {
        double low = f->value[ROB_C_LOWER][i], high = f->value[ROB_C_UPPER][i];
        double norm = f->value[ROB_C_NORM][i];
        if (low > 0 && isfinite(high)) f->value[ROB_C_RATIO][i] = high / low;
        if (!isnan(high)) f->value[ROB_C_CONDITION_LOWER][i] = norm / high;
        if (!isnan(low)) f->value[ROB_C_CONDITION_UPPER][i] = norm / low;
    }
}

/* The series whose failing distance is the median of those that are right. */
static void choose_shown(const rob_report *r, rob_findings *f, int64_t *order)
{
    int64_t n = 0;
    if (r->option[ROB_REPORT_SHOW] >= 0
        && r->option[ROB_REPORT_SHOW] < (double)f->count)
        f->shown = (int64_t)r->option[ROB_REPORT_SHOW];
    if (f->shown >= 0 || f->count == 0) return;
    rob_priv_order(f->value[ROB_C_UPPER], f->count, order);
    for (int64_t k = 0; k < f->count; k++) {
        double upper = f->value[ROB_C_UPPER][order[k]];
        if (isfinite(upper) && upper > 0 && is_right(f, order[k]))
            order[n++] = order[k];
    }
    f->shown = n > 0 ? order[n / 2] : 0;
}

static rob_status show(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK;
    rob_query *q = r->query;
    int64_t *order = rob_priv_allocate(&ctx->memory, f->count + 1, sizeof *order);
    CHECK(order, ctx, ROB_EMEMORY, "out of memory for an order of series");
    choose_shown(r, f, order);
    f->value[ROB_C_SHOWN][0] = f->shown >= 0 ? (double)f->shown : (double)NAN;
    if (f->shown < 0) goto done;
    int64_t size = q->cases[f->shown].steps * f->features;
    TRY(rob_priv_findings_make(ctx, f, ROB_C_SHOWN_X, size));
    memcpy(f->value[ROB_C_SHOWN_X], q->cases[f->shown].x,
           (size_t)size * sizeof(double));
    if (!isfinite(f->value[ROB_C_UPPER][f->shown])
        || f->value[ROB_C_WRONG][f->shown] == 1)
        goto done;
    TRY(rob_priv_findings_make(ctx, f, ROB_C_SHOWN_TWIN, size));
    TRY(rob_query_get(ctx, q, "best_point", f->shown, f->value[ROB_C_SHOWN_TWIN], size,
                      NULL));
done:
    rob_priv_release(&ctx->memory, order);
    return status;
}

/* ---- sums ------------------------------------------------------------------------ */

static double failing_share(const rob_findings *f, int64_t i, int64_t k)
{
    return pow(10, rob_priv_finding(f, ROB_C_CURVE, i * f->radii + k));
}

static void count_accuracies(rob_findings *f)
{
    double n = (double)(f->labelled > 0 ? f->labelled : f->count);
    for (int64_t k = 0; k < f->radii && n > 0; k++) {
        double rho = f->value[ROB_C_RADIUS_GRID][k], low = 0, high = 0, random = 0;
        for (int64_t i = 0; i < f->count; i++) {
            if (!is_right(f, i) || f->value[ROB_C_WRONG][i] == 1) continue;
            low += f->value[ROB_C_LOWER][i] >= rho;
            high += f->value[ROB_C_UPPER][i] > rho;
            random += 1 - failing_share(f, i, k);
        }
        f->value[ROB_C_CERTIFIED][k] = low / n;
        f->value[ROB_C_ATTACKED][k] = high / n;
        f->value[ROB_C_RANDOM][k] = random / n;
    }
}

static rob_status correlate(rob_ctx *ctx, rob_findings *f)
{
    static const int32_t PAIR[][2] = {
        { ROB_C_CURVATURE, ROB_C_SPEARMAN_CURVATURE },
        { ROB_C_CONDITION, ROB_C_SPEARMAN_CONDITION },
        { ROB_C_PROBABILITY, ROB_C_SPEARMAN_PROBABILITY },
    };
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < COUNT_OF(PAIR) && f->count > 0; k++)
        TRY(rob_priv_spearman(ctx, f->value[PAIR[k][0]], f->value[ROB_C_UPPER],
                              f->count, f->confidence, f->value[PAIR[k][1]]));
done:
    return status;
}

/* ---- all of it ------------------------------------------------------------------- */

static rob_status grid_and_show(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    compare(f);
    rob_priv_report_grid(r, f);
    return show(ctx, r, f);
}

static const struct stage {
    const char *name;
    rob_status (*run)(rob_ctx *ctx, rob_report *r, rob_findings *f);
    bool always; /* cheap: also after a stop, once the model was asked */
} STAGES[] = {
    { "model", ask_model, false },
    { "attack", search, false },
    { "diagnosis", rob_priv_report_signs, false },
    { "bound", prove, false },
    { "summary", grid_and_show, true },
    { "boundary", rob_priv_report_local, false },
    { "condition", rob_priv_report_condition, false },
    { "spectrum", rob_priv_report_spectrum, false },
    { "slice", rob_priv_report_slice, false },
    { "probability", rob_priv_report_odds, false },
};

rob_status rob_priv_report_run(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK;
    *f = (rob_findings){ .memory = r->memory };
    describe(r, f);
    TRY(make_ones(ctx, f));
    f->value[ROB_C_COUNT][0] = (double)f->count;
    for (int64_t k = 0; k < COUNT_OF(STAGES); k++) {
        if (f->stopped && !STAGES[k].always) continue;
        TRY(STAGES[k].run(ctx, r, f));
        if (status == ROB_STOPPED && !f->stopped) f->stopped = STAGES[k].name;
    }
    count_accuracies(f);
    TRY(correlate(ctx, f));
    f->value[ROB_C_PARTIAL][0] = f->stopped != NULL;
    if (f->stopped) status = ROB_STOPPED;
done:
    if (status < ROB_OK) rob_priv_findings_free(f);
    return status;
}
