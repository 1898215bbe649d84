/* query.c -- the question: series, region, reference, specification, and what they
 * imply.
 *
 * For each case i with series x (T,D): prediction argmax_k f_k(x) in float64, reference
 * class (prediction or label), specification F_i (spec.c) and the margin F_i(x). A case
 * is wrong when F_i(x) <= 0: its distance is 0. (docs/theory/query.md, section 1.)
 */
#include "query/query.h"

#include <math.h>
#include <string.h>

/* ---- life ------------------------------------------------------------------------ */

rob_status rob_priv_query_create(rob_ctx *ctx, const rob_model *model, rob_query **out)
{
    rob_query *q = rob_priv_allocate(&ctx->memory, 1, sizeof *q);
    *out = NULL;
    if (!q) return rob_priv_no_memory(ctx);
    q->memory = ctx->memory;
    q->model = rob_priv_model_keep((rob_model *)model);
    q->norm = ROB_NORM_L2;
    q->radius = q->variation = q->difference = INFINITY;
    q->tolerance = NAN;
    *out = q;
    return ROB_OK;
}

static void free_spec(const rob_memory *m, rob_spec *s)
{
    rob_priv_release(m, s->c);
    rob_priv_release(m, s->b);
    rob_priv_release(m, s->group);
    *s = (rob_spec){ 0 };
}

static void free_case(const rob_memory *m, rob_case *c)
{
    rob_priv_release(m, c->x);
    rob_priv_release(m, c->mask);
    rob_priv_parts_free(m, &c->parts);
    rob_priv_tensor_free(c->band);
    free_spec(m, &c->spec);
    *c = (rob_case){ 0 };
}

static void free_evaluators(rob_query *q)
{
    for (int k = 0; k < 4; k++) {
        rob_priv_evaluator_free(q->evaluator[k / 2][k % 2]);
        q->evaluator[k / 2][k % 2] = NULL;
    }
}

void rob_priv_query_truncate(rob_query *q, int64_t count)
{
    for (; q->count > count; q->count--) {
        free_case(&q->memory, &q->cases[q->count - 1]);
        rob_priv_release(&q->memory, q->best_point[q->count - 1]);
        q->best_point[q->count - 1] = NULL;
    }
}

void rob_priv_query_free(rob_query *q)
{
    if (!q) return;
    rob_memory memory = q->memory;
    rob_priv_query_truncate(q, 0);
    free_evaluators(q);
    free_spec(&memory, &q->rows);
    rob_priv_release(&memory, q->cases);
    rob_priv_release(&memory, q->mask);
    rob_priv_parts_free(&memory, &q->parts);
    rob_priv_release(&memory, q->best);
    rob_priv_release(&memory, q->best_point);
    rob_priv_release(&memory, q->proved);
    rob_priv_release(&memory, q->scratch);
    rob_priv_release(&memory, q->points);
    rob_priv_release(&memory, q->lengths);
    rob_model_free(q->model);
    rob_priv_release(&memory, q);
}

/* ---- series ---------------------------------------------------------------------- */

static void forget_case(rob_query *q, int64_t i)
{
    q->prepared = false;
    q->best[i] = INFINITY;
    q->proved[i] = 0;
}

void rob_priv_query_forget(rob_query *q)
{
    for (int64_t i = 0; i < q->count; i++) forget_case(q, i);
    q->prepared = false;
}

rob_status rob_priv_query_best_room(rob_ctx *ctx, rob_query *q, int64_t i)
{
    int64_t size = q->cases[i].steps * q->model->recipe.features;
    if (!q->best_point[i])
        q->best_point[i] = rob_priv_allocate(&q->memory, size, sizeof **q->best_point);
    return q->best_point[i] ? ROB_OK : rob_priv_no_memory(ctx);
}

void rob_priv_query_keep_best(rob_query *q, int64_t i, double distance,
                              const double *point)
{
    int64_t size = q->cases[i].steps * q->model->recipe.features;
    if (!(distance < q->best[i])) return;
    q->best[i] = distance;
    memcpy(q->best_point[i], point, (size_t)size * sizeof *point);
}

void rob_priv_query_keep_proved(rob_query *q, int64_t i, double distance)
{
    if (distance > q->proved[i]) q->proved[i] = distance;
}

static rob_status check_series(rob_ctx *ctx, const rob_query *q, int64_t i,
                               const double *x, int64_t steps, int64_t label)
{
    rob_status status = ROB_OK;
    int64_t features = q->model->recipe.features, outputs = q->model->recipe.outputs;
    CHECK(steps >= 1 && steps <= INT64_MAX / 16 / features, ctx, ROB_ESHAPE,
          "series %lld: steps is %lld; at least 1 is needed", (long long)i,
          (long long)steps);
    CHECK(q->model->steps == 0 || steps == q->model->steps, ctx, ROB_ESHAPE,
          "series %lld: steps is %lld; the model takes %lld", (long long)i,
          (long long)steps, (long long)q->model->steps);
    CHECK(label >= -1 && label < outputs, ctx, ROB_EARGUMENT,
          "series %lld: label is %lld; the model knows 0 to %lld, and -1 says none",
          (long long)i, (long long)label, (long long)(outputs - 1));
    for (int64_t k = 0; k < steps * features; k++)
        CHECK(isfinite(x[k]), ctx, ROB_EDOMAIN,
              "series %lld, step %lld, feature %lld is %s; finite numbers are needed",
              (long long)i, (long long)(k / features), (long long)(k % features),
              isnan(x[k]) ? "NaN" : "infinite");
done:
    return status;
}

static rob_status mask_fits(rob_ctx *ctx, const rob_query *q, int64_t i, int64_t steps,
                            int64_t count)
{
    rob_status status = ROB_OK;
    int64_t size = steps * q->model->recipe.features;
    CHECK(size == count, ctx, ROB_ESHAPE,
          "series %lld has %lld numbers (steps x features); the mask has %lld",
          (long long)i, (long long)size, (long long)count);
done:
    return status;
}

#define GROW(field) grow_array(q, (void **)&q->field, capacity, sizeof *q->field)
static bool grow_array(rob_query *q, void **array, int64_t capacity, size_t size)
{
    void *grown = rob_priv_grow(&q->memory, *array, q->count, capacity, (int64_t)size);
    if (grown) *array = grown;
    return grown != NULL;
}

static rob_status make_room(rob_ctx *ctx, rob_query *q)
{
    rob_status status = ROB_OK;
    if (q->count < q->capacity) return ROB_OK;
    int64_t capacity = q->capacity ? 2 * q->capacity : 4,
            outputs = q->model->recipe.outputs;
    CHECK(GROW(cases) && GROW(best) && GROW(best_point) && GROW(proved)
              && GROW(points) && GROW(lengths), ctx, ROB_EMEMORY,
          "out of memory");
    void *scratch = rob_priv_grow(&q->memory, q->scratch, 0, capacity * outputs,
                                  sizeof *q->scratch);
    if (!scratch) return rob_priv_no_memory(ctx);
    q->scratch = scratch;
    q->capacity = capacity;
done:
    return status;
}

static rob_status spec_room(rob_ctx *ctx, const rob_query *q, int64_t rows, rob_spec *s)
{
    int64_t outputs = q->model->recipe.outputs;
    s->c = rob_priv_allocate(&q->memory, rows * outputs, sizeof *s->c);
    s->b = rob_priv_allocate(&q->memory, rows, sizeof *s->b);
    s->group = rob_priv_allocate(&q->memory, rows, sizeof *s->group);
    return s->c && s->b && s->group ? ROB_OK : rob_priv_no_memory(ctx);
}

/* Rows any reference or target may need: so many are there from the start. */
static int64_t least_rows(const rob_query *q)
{
    return q->model->recipe.outputs > 1 ? q->model->recipe.outputs - 1 : 1;
}

rob_status rob_priv_query_append(rob_ctx *ctx, rob_query *q, const double *x,
                                 int64_t steps, int64_t label)
{
    rob_status status = ROB_OK;
    rob_case c = { .label = label, .target = -1, .reference = -1, .prediction = -1 };
    int64_t features = q->model->recipe.features;
    TRY(check_series(ctx, q, q->count, x, steps, label));
    if (q->mask) TRY(mask_fits(ctx, q, q->count, steps, q->mask_count));
    TRY(rob_priv_query_fits(ctx, q, q->count, &c.parts, x, steps));
    TRY(make_room(ctx, q));
    TRY(rob_priv_query_band_of(ctx, q, steps, &c.band));
    TRY(spec_room(ctx, q, least_rows(q), &c.spec));
    c.x = rob_priv_allocate(&q->memory, steps * features, sizeof *c.x);
    CHECK(c.x, ctx, ROB_EMEMORY, "out of memory for series %lld", (long long)q->count);
    memcpy(c.x, x, (size_t)(steps * features) * sizeof *x);
    c.steps = steps;
    q->cases[q->count++] = c;
    forget_case(q, q->count - 1);
done:
    if (status < ROB_OK) free_case(&q->memory, &c);
    return status;
}

rob_status rob_priv_query_replace(rob_ctx *ctx, rob_query *q, int64_t i,
                                  const double *x, int64_t steps, int64_t label)
{
    rob_status status = ROB_OK;
    int64_t size = steps * q->model->recipe.features;
    rob_case *c = &q->cases[i];
    rob_tensor *band = NULL;
    TRY(check_series(ctx, q, i, x, steps, label));
    if (c->mask || q->mask)
        TRY(mask_fits(ctx, q, i, steps,
                      c->mask ? c->steps * q->model->recipe.features : q->mask_count));
    TRY(rob_priv_query_fits(ctx, q, i, &c->parts, x, steps));
    if (steps != c->steps) {
        TRY(rob_priv_query_band_of(ctx, q, steps, &band));
        double *room = rob_priv_allocate(&q->memory, size, sizeof *room);
        CHECK(room, ctx, ROB_EMEMORY, "out of memory for series %lld", (long long)i);
        rob_priv_tensor_free(c->band);
        c->band = band;
        band = NULL;
        rob_priv_release(&q->memory, c->x);
        rob_priv_release(&q->memory, q->best_point[i]);
        q->best_point[i] = NULL;
        c->x = room;
        c->steps = steps;
    }
    memmove(c->x, x, (size_t)size * sizeof *x);
    c->label = label;
    forget_case(q, i);
done:
    rob_priv_tensor_free(band);
    return status;
}

/* ---- region and specification ---------------------------------------------------- */

const uint8_t *rob_priv_query_mask_of(const rob_query *q, int64_t i)
{
    return q->cases[i].mask ? q->cases[i].mask : q->mask;
}

rob_status rob_priv_query_mask(rob_ctx *ctx, rob_query *q, int64_t i,
                               const uint8_t *mask, int64_t count)
{
    rob_status status = ROB_OK;
    uint8_t *copy = NULL;
    uint8_t **place = i < 0 ? &q->mask : &q->cases[i].mask;
    int64_t first = i < 0 ? 0 : i, end = i < 0 ? q->count : i + 1;
    if (mask) {
        for (int64_t k = first; k < end; k++)
            TRY(mask_fits(ctx, q, k, q->cases[k].steps, count));
        copy = rob_priv_allocate(&q->memory, count, 1);
        CHECK(copy, ctx, ROB_EMEMORY, "out of memory for a mask of %lld",
              (long long)count);
        for (int64_t k = 0; k < count; k++) copy[k] = mask[k] != 0;
    }
    rob_priv_release(&q->memory, *place);
    *place = copy;
    if (i < 0) q->mask_count = mask ? count : 0;
    rob_priv_query_forget(q);
done:
    return status;
}

/* The query owns the rows from here on. */
static void take_rows(rob_query *q, const rob_spec *s, bool around, double tolerance)
{
    free_spec(&q->memory, &q->rows);
    q->rows = *s;
    q->around = around;
    q->tolerance = tolerance;
    rob_priv_query_forget(q);
}

rob_status rob_priv_query_rows(rob_ctx *ctx, rob_query *q, const double *c,
                               const double *b, const int32_t *group, int64_t rows)
{
    rob_status status = ROB_OK;
    int64_t outputs = q->model->recipe.outputs;
    rob_spec s = { .rows = rows, .outputs = outputs };
    if (rows > 0) TRY(spec_room(ctx, q, rows, &s));
    for (int64_t r = 0; r < rows; r++) {
        bool starts = r == 0 || (group && group[r] != group[r - 1]);
        memcpy(s.c + r * outputs, c + r * outputs, (size_t)outputs * sizeof *c);
        s.b[r] = b ? b[r] : 0;
        s.groups += starts;
        s.group[r] = (int32_t)(s.groups - 1);
    }
    take_rows(q, &s, false, NAN);
done:
    if (status < ROB_OK) free_spec(&q->memory, &s);
    return status;
}

/* The rows of `from` and room for `more`, each a group of its own. */
static rob_status more_rows(rob_ctx *ctx, const rob_query *q, const rob_spec *from,
                            int64_t more, rob_spec *s)
{
    rob_status status = ROB_OK;
    int64_t outputs = q->model->recipe.outputs, have = from ? from->rows : 0;
    TRY(spec_room(ctx, q, have + more, s));
    for (int64_t k = 0; k < have * outputs; k++) s->c[k] = from->c[k];
    for (int64_t r = 0; r < have; r++) s->b[r] = from->b[r];
    for (int64_t r = 0; r < have + more; r++) s->group[r] = (int32_t)r;
    s->outputs = outputs;
    s->rows = s->groups = have;
done:
    return status;
}

/* sign f_output + b <= 0 fails */
static void put_row(rob_spec *s, int64_t output, double sign, double b)
{
    s->c[s->rows * s->outputs + output] = sign;
    s->b[s->rows] = b;
    s->rows = ++s->groups;
}

rob_status rob_priv_query_around(rob_ctx *ctx, rob_query *q, int64_t output, double below,
                               double above)
{
    rob_status status = ROB_OK;
    rob_spec s = { 0 };
    bool adds = q->around && isnan(q->tolerance);
    if (output < 0) return rob_priv_query_rows(ctx, q, NULL, NULL, NULL, 0);
    TRY(more_rows(ctx, q, adds ? &q->rows : NULL, 2, &s));
    if (isfinite(below)) put_row(&s, output, 1, -below);
    if (isfinite(above)) put_row(&s, output, -1, above);
    take_rows(q, &s, true, NAN);
done:
    if (status < ROB_OK) free_spec(&q->memory, &s);
    return status;
}

rob_status rob_priv_query_deviate(rob_ctx *ctx, rob_query *q, const int64_t *output,
                                  int64_t count, int32_t direction, double tolerance)
{
    rob_status status = ROB_OK;
    rob_spec s = { 0 };
    int64_t n = output ? count : q->model->recipe.outputs;
    TRY(more_rows(ctx, q, NULL, 2 * n, &s));
    for (int64_t k = 0; k < n; k++) {
        int64_t o = output ? output[k] : k;
        if (direction >= 0) put_row(&s, o, -1, tolerance);
        if (direction <= 0) put_row(&s, o, 1, tolerance);
    }
    take_rows(q, &s, true, tolerance);
done:
    if (status < ROB_OK) free_spec(&q->memory, &s);
    return status;
}

double rob_priv_query_radius(const rob_query *q)
{
    return q->radius / rob_priv_query_unit(q);
}

double rob_priv_query_unit(const rob_query *q)
{
    return q->units == ROB_UNITS_DATA ? 1 : 1 / fabs(q->model->recipe.input_scale);
}

/* ---- what follows from it -------------------------------------------------------- */

static int64_t longest(const rob_query *q, bool *differ)
{
    int64_t steps = q->count ? q->cases[0].steps : 1;
    *differ = false;
    for (int64_t i = 1; i < q->count; i++) {
        if (q->cases[i].steps != q->cases[0].steps) *differ = true;
        if (q->cases[i].steps > steps) steps = q->cases[i].steps;
    }
    return steps;
}

rob_status rob_priv_query_evaluator(rob_ctx *ctx, rob_query *q, int32_t dtype,
                                    bool gradient, rob_evaluator **out)
{
    rob_status status = ROB_OK;
    bool differ;
    int64_t steps = longest(q, &differ);
    rob_evaluator **e = &q->evaluator[dtype == ROB_F64][gradient];
    if (*e && !rob_priv_evaluator_fits(*e, ctx, steps, differ)) {
        rob_priv_evaluator_free(*e);
        *e = NULL;
    }
    if (!*e)
        TRY(rob_priv_evaluator_create(ctx, q->model, dtype, steps, differ, gradient,
                                      e));
    *out = *e;
done:
    return status;
}

/* The user's rows stand in every case's own room; of bands b becomes b - c . f(x). */
static rob_status adopt_rows(rob_ctx *ctx, const rob_query *q, rob_case *c,
                             const double *f)
{
    rob_status status = ROB_OK;
    const rob_spec *from = &q->rows;
    rob_spec *to = &c->spec, bigger = { 0 };
    if (from->rows > least_rows(q) && from->rows > to->rows) {
        TRY(spec_room(ctx, q, from->rows, &bigger));
        free_spec(&q->memory, to);
        *to = bigger;
        bigger = (rob_spec){ 0 };
    }
    to->rows = from->rows;
    to->groups = from->groups;
    to->outputs = from->outputs;
    memcpy(to->c, from->c, (size_t)(from->rows * from->outputs) * sizeof *to->c);
    memcpy(to->b, from->b, (size_t)from->rows * sizeof *to->b);
    memcpy(to->group, from->group, (size_t)from->rows * sizeof *to->group);
    for (int64_t k = 0; q->around && k < from->rows * from->outputs; k++)
        if (from->c[k] != 0) to->b[k / from->outputs] -= from->c[k] * f[k % from->outputs];
done:
    free_spec(&q->memory, &bigger);
    return status;
}

static rob_status settle_case(rob_ctx *ctx, const rob_query *q, int64_t i,
                              const double *f)
{
    rob_status status = ROB_OK;
    rob_case *c = &q->cases[i];
    int64_t outputs = q->model->recipe.outputs;
    for (int64_t k = 0; k < outputs; k++)
        CHECK(isfinite(f[k]), ctx, ROB_ENUMERIC,
              "series %lld: output %lld of the model is not finite", (long long)i,
              (long long)k);
    c->prediction = rob_priv_argmax(f, outputs);
    c->reference = q->reference == ROB_REFERENCE_LABEL ? c->label : c->prediction;
    CHECK(c->reference >= 0 || q->rows.rows || c->target >= 0, ctx, ROB_EARGUMENT,
          "series %lld has no label, but the distance is to be measured from the label",
          (long long)i);
    CHECK((outputs > 1 && !q->model->recipe.forecast) || q->rows.rows, ctx,
          ROB_EARGUMENT,
          "the model %s: say what failing means with rob_query_set_deviation, "
          "rob_query_set_band or rob_query_set_rows",
          q->model->recipe.forecast ? "is a forecast" : "has one output");
    if (q->rows.rows == 0)
        rob_priv_spec_fill(&c->spec, outputs, c->reference, c->target);
    else TRY(adopt_rows(ctx, q, c, f));
    c->margin = rob_priv_spec_margin(&c->spec, f, NULL);
    c->wrong = !(c->margin > 0);
done:
    return status;
}

rob_status rob_priv_query_prepare(rob_ctx *ctx, rob_query *q)
{
    rob_status status = ROB_OK;
    rob_evaluator *e;
    int64_t outputs = q->model->recipe.outputs;
    if (q->prepared || q->count == 0) return ROB_OK;
    TRY(rob_priv_query_agrees(ctx, q));
    for (int64_t i = 0; i < q->count; i++) {
        q->points[i] = q->cases[i].x;
        q->lengths[i] = q->cases[i].steps;
    }
    TRY(rob_priv_query_evaluator(ctx, q, ROB_F64, false, &e));
    TRY(rob_priv_evaluate(ctx, e, q->count, q->points, q->lengths, q->scratch));
    for (int64_t i = 0; i < q->count; i++)
        TRY(settle_case(ctx, q, i, q->scratch + i * outputs));
    q->prepared = true;
done:
    return status;
}
