/* diagnose.c -- is an attack that finds nothing to be believed?
 *
 * On a view of some series of a query: pgd with a quarter of its steps, with all, with
 * random restarts; an attack with gradients and one without. With U the distances found
 * and U* their least, series i shows
 *     steps     U_many >= 0.999 U_few   and  U* <= nearer U_many
 *     restarts  the same                and  U_restarts <= nearer U_many
 *     black     U_black <= nearer U_white
 * beside what saturate.c and slopes.c see at x itself. A share of the series that held at
 * x above `series` is a warning. References: Athalye, Carlini & Wagner, ICML 2018; Carlini
 * et al., arXiv:1902.06705; Pintor et al., NeurIPS 2022. (docs/theory/attack.md, section 11.)
 */
#include "attack/diagnose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STUCK     0.999 /* of the distance with a quarter of the steps */
#define UNDERFLOW 87.3  /* e^-this is about the least normal float32, 2^-126 */
#define AGREEMENT 0.5   /* least cosine of float32's gradient with float64's */

const rob_option rob_priv_diagnosis_option[ROB_D_OPTIONS] = {
    { "count", 0, 0, 1e9, "series", "looked at, evenly spread; 0: all" },
    { "saturation", 1e-3, 0, 1, "", "derivative over its largest that is saturated" },
    { "units", 0.5, 0, 1, "share", "of saturated units that is a sign" },
    { "rise", 0.05, 0, 1e9, "", "of the margin along its gradient, over F(x)" },
    { "nearer", 0.75, 0, 1, "", "factor of a distance that counts as nearer" },
    { "series", 0.25, 0, 1, "share", "of series with a sign that is a warning" },
    { "steps", 20, 4, 1e6, "gradients", "of one descent of pgd" },
    { "restarts", 3, 2, 64, "", "of pgd" },
    { "radii", 6, 1, 100, "", "radii pgd tries" },
    { "calls", 300, 4, 1e9, "gradients", "of auto as white box" },
    { "queries", 500, 64, 1e9, "evaluations", "of the black box" },
};

const char *const rob_priv_diagnosis_column[ROB_L_COLUMNS] = {
    "index",    "saturated", "zero",  "gradient", "agreement", "odds",   "rise",
    "few",      "many",      "restarts", "white",    "black",     "nearest",
};

enum { UNITS, GRADIENTS, LOSS, DESCENT, STEPS, RESTARTS, BLACK };

const char *const rob_priv_diagnosis_sign[ROB_SIGNS] = {
    "units", "gradients", "loss", "descent", "steps", "restarts", "black",
};

static const char *const SAYS[ROB_SIGNS] = {
    "more than %.0f %% of the sigmoids and tanhs are saturated: gradients through them are "
    "close to nothing",
    "the margin's gradient in float32 is zero or not to be believed: attacks by gradients "
    "start blind (option precision 64 may help)",
    "the log-odds are so large that the gradient of cross-entropy vanishes in float32: "
    "attacks that take it as it is are blind; those of this library are not",
    "the margin rises along its own gradient before a failing point that is known: the "
    "loss is rough, gradients at a point say little about the next",
    "descent finds nothing nearer with four times the steps, though something nearer is "
    "known: it is stuck",
    "random restarts find what descent from the series does not: the gradient is no guide, "
    "chance is",
    "an attack without gradients is nearer than the one with: gradients are masked, and "
    "what attacks by gradients do not find may well be there",
};

/* ---- a view of some series ------------------------------------------------------- */

/* A query of some of q's cases, which stay q's: only what is new is freed. */
static void view_close(rob_query *view, rob_query *q)
{
    const rob_memory *m = &q->memory;
    for (int64_t i = 0; view->best_point && i < view->count; i++)
        rob_priv_release(m, view->best_point[i]);
    rob_priv_release(m, view->cases);
    rob_priv_release(m, view->best);
    rob_priv_release(m, view->best_point);
    rob_priv_release(m, view->proved);
    memcpy(q->evaluator, view->evaluator, sizeof q->evaluator);
}

static int64_t index_of(const rob_query *view, const rob_query *q, int64_t k)
{
    return k * q->count / view->count;
}

/* The evaluators are lent: they go back to q when the view is closed. */
static rob_status view_open(rob_ctx *ctx, rob_query *q, int64_t count, rob_query *view)
{
    const rob_memory *m = &q->memory;
    *view = *q;
    view->count = view->capacity = count;
    view->cases = rob_priv_allocate(m, count + 1, sizeof *view->cases);
    view->best = rob_priv_allocate(m, count + 1, sizeof *view->best);
    view->best_point = rob_priv_allocate(m, count + 1, sizeof *view->best_point);
    view->proved = rob_priv_allocate(m, count + 1, sizeof *view->proved);
    if (!view->cases || !view->best || !view->best_point || !view->proved)
        return rob_priv_no_memory(ctx);
    for (int64_t k = 0; k < count; k++) {
        view->cases[k] = q->cases[index_of(view, q, k)];
        view->best[k] = INFINITY;
    }
    return ROB_OK;
}

static rob_status give_back(rob_ctx *ctx, const rob_query *view, rob_query *q)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < view->count; k++) {
        int64_t i = index_of(view, q, k);
        if (!(view->best[k] < q->best[i])) continue;
        TRY(rob_priv_query_best_room(ctx, q, i));
        rob_priv_query_keep_best(q, i, view->best[k], view->best_point[k]);
    }
done:
    return status;
}

/* ---- the battery ----------------------------------------------------------------- */

static void set_option(rob_attack *a, const char *name, double value)
{
    for (int64_t k = 0; k < a->method->options; k++)
        if (strcmp(a->method->option[k].name, name) == 0)
            a->option[k] = fmin(fmax(value, a->method->option[k].min),
                                a->method->option[k].max);
}

static rob_attack open_attack(const rob_query *q, const char *method)
{
    rob_attack a = { .memory = q->memory, .method = rob_priv_attack_method(method) };
    for (int64_t k = 0; k < a.method->options; k++)
        a.option[k] = a.method->option[k].value;
    return a;
}

static rob_status distances_by(rob_ctx *ctx, rob_attack *a, rob_query *q, double *out)
{
    rob_status status = rob_priv_attack_run(ctx, a, q, false);
    for (int64_t i = 0; status == ROB_OK && i < a->count; i++)
        if (!q->cases[i].wrong) out[i] = a->found[i].distance * a->unit;
    rob_priv_attack_forget(a);
    return status;
}

static rob_status descend(rob_ctx *ctx, const rob_diagnosis *d, rob_query *q,
                          double steps, double restarts, double *out)
{
    rob_attack a = open_attack(q, "pgd");
    set_option(&a, "steps", steps);
    set_option(&a, "restarts", restarts);
    set_option(&a, "radii", d->option[ROB_D_RADII]);
    return distances_by(ctx, &a, q, out);
}

static rob_status run_named(rob_ctx *ctx, const rob_diagnosis *d, rob_query *q,
                            const char *method, double *out)
{
    rob_attack a = open_attack(q, method);
    set_option(&a, "calls", d->option[ROB_D_CALLS]);
    set_option(&a, "queries", d->option[ROB_D_QUERIES]);
    return distances_by(ctx, &a, q, out);
}

static bool is_blind(const rob_query *q)
{
    return q->model->callback.logits && !q->model->callback.pullback;
}

/* least distance known of the series looked at */
static void note_nearest(const rob_query *view, double *const *column)
{
    for (int64_t k = 0; k < view->count; k++)
        if (!view->cases[k].wrong)
            column[ROB_L_NEAREST][k] =
                fmin(view->best[k] * rob_priv_query_unit(view), column[ROB_L_WHITE][k]);
}

static rob_status battery(rob_ctx *ctx, const rob_diagnosis *d, rob_query *view,
                          double *const *column)
{
    rob_status status = ROB_OK;
    double steps = d->option[ROB_D_STEPS], restarts = d->option[ROB_D_RESTARTS];
    if (!is_blind(view)) {
        TRY(descend(ctx, d, view, floor(steps / 4), 1, column[ROB_L_FEW]));
        if (status == ROB_OK) TRY(descend(ctx, d, view, steps, 1, column[ROB_L_MANY]));
        if (status == ROB_OK)
            TRY(descend(ctx, d, view, steps, restarts, column[ROB_L_RESTARTS]));
        if (status == ROB_OK && d->white)
            TRY(run_named(ctx, d, view, d->white, column[ROB_L_WHITE]));
    }
    if (status == ROB_OK && d->black)
        TRY(run_named(ctx, d, view, d->black, column[ROB_L_BLACK]));
    note_nearest(view, column);
    if (status == ROB_OK) TRY(rob_priv_diagnose_slopes(ctx, view, column));
done:
    return status;
}

/* ---- signs and warnings ---------------------------------------------------------- */

/* 1 shown, 0 not, NAN: not looked at */
static double sign_of(const rob_diagnosis *d, double *const *c, int32_t sign, int64_t i)
{
    const double nearer = d->option[ROB_D_NEARER];
    double many = c[ROB_L_MANY][i], found[ROB_SIGNS][2];
    bool stuck = many >= STUCK * c[ROB_L_FEW][i];
    bool blind = c[ROB_L_AGREEMENT][i] < AGREEMENT;
    /* what has to be known, and what is seen then */
    found[UNITS][0] = c[ROB_L_SATURATED][i];
    found[UNITS][1] = c[ROB_L_SATURATED][i] > d->option[ROB_D_UNITS];
    found[GRADIENTS][0] = c[ROB_L_AGREEMENT][i];
    found[GRADIENTS][1] = blind;
    found[LOSS][0] = c[ROB_L_ODDS][i];
    found[LOSS][1] = c[ROB_L_ODDS][i] > UNDERFLOW;
    found[DESCENT][0] = c[ROB_L_RISE][i];
    found[DESCENT][1] = c[ROB_L_RISE][i] > d->option[ROB_D_RISE];
    found[STEPS][0] = many;
    found[STEPS][1] = stuck && c[ROB_L_NEAREST][i] <= nearer * many
                      && c[ROB_L_NEAREST][i] < INFINITY;
    found[RESTARTS][0] = c[ROB_L_RESTARTS][i];
    found[RESTARTS][1] = stuck && c[ROB_L_RESTARTS][i] <= nearer * many
                         && c[ROB_L_RESTARTS][i] < INFINITY;
    found[BLACK][0] = c[ROB_L_BLACK][i] + c[ROB_L_WHITE][i];
    found[BLACK][1] = c[ROB_L_BLACK][i] <= nearer * c[ROB_L_WHITE][i]
                      && c[ROB_L_BLACK][i] < INFINITY;
    return isnan(found[sign][0]) ? NAN : found[sign][1];
}

static void warn(rob_diagnosis *d, int32_t sign)
{
    char *out = d->warning[d->warnings++];
    int used = snprintf(out, ROB_WARNING, "%.0f %% of the series: ", 100 * d->share[sign]);
    snprintf(out + used, (size_t)(ROB_WARNING - used), SAYS[sign],
             100 * d->option[ROB_D_UNITS]);
}

static void conclude(rob_diagnosis *d)
{
    d->warnings = 0;
    for (int32_t k = 0; k < ROB_SIGNS; k++) {
        double seen = 0, known = 0;
        for (int64_t i = 0; i < d->count; i++) {
            double shown = sign_of(d, d->column, k, i);
            if (isnan(shown)) continue;
            seen += shown;
            known++;
        }
        d->share[k] = known > 0 ? seen / known : NAN;
        if (d->share[k] > d->option[ROB_D_SERIES]) warn(d, k);
    }
}

/* ---- the whole ------------------------------------------------------------------- */

void rob_priv_diagnosis_forget(rob_diagnosis *d)
{
    for (int32_t k = 0; k < ROB_L_COLUMNS; k++) {
        rob_priv_release(&d->memory, d->column[k]);
        d->column[k] = NULL;
    }
}

static rob_status make_columns(rob_ctx *ctx, rob_diagnosis *d, const rob_query *view,
                               const rob_query *q)
{
    for (int32_t k = 0; k < ROB_L_COLUMNS; k++) {
        d->column[k] = rob_priv_allocate(&d->memory, view->count + 1, sizeof(double));
        if (!d->column[k]) return rob_priv_no_memory(ctx);
        for (int64_t i = 0; i < view->count; i++) d->column[k][i] = NAN;
    }
    d->count = view->count;
    for (int64_t i = 0; i < view->count; i++) {
        int64_t of = index_of(view, q, i);
        d->column[ROB_L_INDEX][i] = (double)of;
        if (!d->white && !q->cases[of].wrong)
            d->column[ROB_L_WHITE][i] = q->best[of] * rob_priv_query_unit(q);
    }
    return ROB_OK;
}

rob_status rob_priv_diagnosis_run(rob_ctx *ctx, rob_diagnosis *d, rob_query *q)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_diagnosis fresh = *d;
    rob_query view = { 0 };
    int64_t asked = (int64_t)d->option[ROB_D_COUNT];
    memset(fresh.column, 0, sizeof fresh.column);
    TRY(rob_priv_query_prepare(ctx, q));
    end = status;
    TRY(view_open(ctx, q, asked > 0 && asked < q->count ? asked : q->count, &view));
    TRY(make_columns(ctx, &fresh, &view, q));
    if (end == ROB_OK)
        TRY(rob_priv_diagnose_units(ctx, &view, d->option[ROB_D_SATURATION],
                                    fresh.column[ROB_L_SATURATED]));
    if (end == ROB_OK && view.count > 0) TRY(end = battery(ctx, d, &view, fresh.column));
    TRY(give_back(ctx, &view, q));
    fresh.ran = true;
    conclude(&fresh);
    rob_priv_diagnosis_forget(d);
    *d = fresh;
    status = end;
done:
    if (status < ROB_OK) rob_priv_diagnosis_forget(&fresh);
    if (view.model) view_close(&view, q);
    return status;
}
