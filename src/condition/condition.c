/* condition.c -- condition numbers of the verdict on a series.
 *
 * With u the series in the query's units (what may move), g a row of the specification,
 * J = grad g, p the query's norm and q its dual, to first order:
 *     relative       ||u||_p / dist_1,  dist_1 the order 1 distance
 *     componentwise  sum_i |u_i| |J_i| / g, the reciprocal of the distance in the norm
 *                    max_i |d_i|/|u_i|
 *     step t         ||u_t||_p ||J_t||_q / g,   feature j alike
 *     weights        |theta| |grad_theta g| / g (weights.c)
 * the least over the rows of a group that hold, the largest over groups. Outputs:
 *     output         max_k ||J f_k||_q ||u||_p / max_k |f_k|
 *     mixed          max_k |u|.|J f_k| / max_k |f_k|
 * Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, ch. 1;
 * Burgisser & Cucker, Condition, Springer 2013. (docs/theory/condition.md)
 */
#include "condition/condition.h"

#include <math.h>
#include <string.h>

const rob_option rob_priv_condition_option[ROB_CONDITION_OPTIONS] = {
    { "order", 2, 1, 2, "", "2: also by the model of second order" },
    { "projection", 1, 0, 1, "", "1: also of the nearest point, which is looked for" },
    { "weights", 1, 0, 1, "", "1: also with respect to the weights" },
    { "dense", 512, 0, 8192, "numbers",
      "that may move, up to which whole Hessians are formed" },
    { "seed", 0, 0, 9007199254740992.0, "", "added to the context's seed" },
};

/* One series being worked on. */
typedef struct ledger {
    rob_site site;
    rob_weigh *weigh; /* NULL: not asked for */
    bool weights;
    int32_t dual;
    double *u, *grad;    /* (n) */
    double *row, *group; /* (K) numbers of a row, of a group */
    int64_t width;       /* K = 1 + T + D + 1 + P */
    double stretch;      /* gradients by u are those by x times this */
} ledger;

/* 0/0: a series of zeros next to a boundary has nothing to be relative to */
static double ratio(double a, double b) { return b > 0 ? a / b : INFINITY; }

/* ---- rows and groups ------------------------------------------------------------- */

static int32_t dual_of(int32_t norm)
{
    return norm == ROB_NORM_L1     ? ROB_NORM_LINF
           : norm == ROB_NORM_LINF ? ROB_NORM_L1
                                   : ROB_NORM_L2;
}

/* ||u|| ||J|| over `count` numbers, `stride` apart */
static double product_of_norms(const ledger *l, int64_t first, int64_t count,
                               int64_t stride, double *spare)
{
    double size;
    for (int64_t k = 0; k < count; k++) spare[k] = l->u[first + k * stride];
    size = rob_priv_norm(l->site.q->norm, spare, count);
    for (int64_t k = 0; k < count; k++) spare[k] = l->grad[first + k * stride];
    double slope = rob_priv_norm(l->dual, spare, count);
    return size == 0 || slope == 0 ? 0 : size * slope;
}

static double sum_of_products(const ledger *l)
{
    double sum = 0;
    for (int64_t i = 0; i < l->site.n; i++) sum += fabs(l->u[i]) * fabs(l->grad[i]);
    return sum;
}

/* row (K): componentwise, steps, features, weights, of row r, before division by g */
static void numbers_of_row(ledger *l, int64_t r)
{
    rob_site *s = &l->site;
    int64_t features = s->q->model->recipe.features, steps = s->c->steps;
    double *to = l->row, *spare = l->grad + s->n;
    rob_priv_site_gradient(s, r, l->grad);
    for (int64_t i = 0; i < s->n; i++) l->grad[i] *= l->stretch;
    *to++ = sum_of_products(l);
    for (int64_t t = 0; t < steps; t++)
        *to++ = product_of_norms(l, t * features, features, 1, spare);
    for (int64_t j = 0; j < features; j++)
        *to++ = product_of_norms(l, j, steps, features, spare);
    if (l->weights)
        rob_priv_weigh_run(l->weigh, s->c->x, s->c->spec.c + r * s->c->spec.outputs,
                           to);
}

/* all (K) <- the largest over groups of the least over rows, each over its margin */
static void numbers_of_series(ledger *l, double *all)
{
    const rob_spec *spec = &l->site.c->spec;
    for (int64_t k = 0; k < l->width; k++) all[k] = 0;
    rob_priv_site_place(&l->site, l->site.c->x);
    for (int64_t r = 0; r < spec->rows; r++) {
        bool starts = r == 0 || spec->group[r] != spec->group[r - 1];
        bool ends = r + 1 == spec->rows || spec->group[r + 1] != spec->group[r];
        double g = rob_priv_site_row(&l->site, r);
        for (int64_t k = 0; starts && k < l->width; k++) l->group[k] = INFINITY;
        if (g > 0) numbers_of_row(l, r);
        for (int64_t k = 0; g > 0 && k < l->width; k++)
            l->group[k] = fmin(l->group[k], l->row[k] / g);
        for (int64_t k = 0; ends && k < l->width; k++)
            all[k] = fmax(all[k], l->group[k]);
    }
}

/* ---- one series ------------------------------------------------------------------ */

/* u: the series in the query's units, where it may move */
static void put_series(ledger *l)
{
    const rob_site *s = &l->site;
    const rob_recipe *r = &s->q->model->recipe;
    bool model_units = s->q->units == ROB_UNITS_MODEL;
    l->stretch = model_units ? fabs(r->input_scale) : 1;
    memset(l->u, 0, (size_t)s->n * sizeof *l->u);
    for (int64_t k = 0; k < s->m; k++) {
        double x = s->c->x[s->free[k]];
        l->u[s->free[k]] = model_units ? (x - r->input_shift) / r->input_scale : x;
    }
}

static void close_series(ledger *l)
{
    rob_priv_release(&l->site.memory, l->u);
    rob_priv_release(&l->site.memory, l->row);
    l->u = l->row = NULL;
}

static rob_status open_series(ledger *l, int64_t i, bool weights)
{
    rob_status status = ROB_OK;
    rob_site *s = &l->site;
    const rob_model *model = s->q->model;
    close_series(l);
    TRY(rob_priv_site_open(s, i));
    l->weights = weights && model->parameters > 0;
    l->dual = dual_of(s->q->norm);
    l->width = 1 + s->c->steps + model->recipe.features
               + (l->weights ? 1 + model->parameters : 0);
    if (l->weights) TRY(rob_priv_weigh_ready(s->ctx, model, s->c->steps, &l->weigh));
    l->u = rob_priv_allocate(&s->memory, 3 * s->n, sizeof *l->u);
    l->row = rob_priv_allocate(&s->memory, 3 * l->width, sizeof *l->row);
    CHECK(l->u && l->row, s->ctx, ROB_EMEMORY, "out of memory for series %lld",
          (long long)i);
    l->grad = l->u + s->n;
    l->group = l->row + l->width;
    put_series(l);
done:
    return status;
}

static void close_ledger(ledger *l)
{
    close_series(l);
    rob_priv_weigh_free(l->weigh);
    rob_priv_site_close(&l->site);
}

static void outputs_of(ledger *l, rob_sensitivity *by)
{
    rob_site *s = &l->site;
    int64_t outputs = s->q->model->recipe.outputs;
    double size = rob_priv_norm(s->q->norm, l->u, s->n), largest = 0;
    by->output = by->mixed = 0;
    for (int64_t k = 0; k < outputs; k++) {
        double *e = s->combined;
        memset(e, 0, (size_t)outputs * sizeof *e);
        e[k] = 1;
        rob_priv_local_gradient(s->local, e, l->grad);
        for (int64_t i = 0; i < s->n; i++) l->grad[i] *= l->stretch;
        int64_t next = 0;
        for (int64_t i = 0; i < s->n; i++) {
            if (next < s->m && s->free[next] == i) next++;
            else l->grad[i] = 0;
        }
        largest = fmax(largest, fabs(s->f[k]));
        by->output = fmax(by->output, size * rob_priv_norm(l->dual, l->grad, s->n));
        by->mixed = fmax(by->mixed, sum_of_products(l));
    }
    by->output = ratio(by->output, largest);
    by->mixed = ratio(by->mixed, largest);
}

static void settle(ledger *l, rob_standing *to)
{
    const rob_site *s = &l->site;
    rob_sensitivity *by = &to->by;
    double *all = l->group + l->width;
    numbers_of_series(l, all);
    by->componentwise = *all++;
    memcpy(by->step, all, (size_t)by->steps * sizeof *all);
    all += by->steps;
    memcpy(by->feature, all, (size_t)by->features * sizeof *all);
    all += by->features;
    if (l->weights) memcpy(by->weight, all, (size_t)(1 + by->tensors) * sizeof *all);
    to->size = rob_priv_norm(s->q->norm, l->u, s->n);
    outputs_of(l, by);
}

/* ---- a query --------------------------------------------------------------------- */

static void free_standings(const rob_memory *m, rob_standing *s, int64_t count)
{
    for (int64_t i = 0; s && i < count; i++) rob_priv_release(m, s[i].by.step);
    rob_priv_release(m, s);
}

void rob_priv_condition_forget(rob_condition *c)
{
    free_standings(&c->memory, c->standing, c->count);
    c->standing = NULL;
    c->count = 0;
    rob_priv_boundary_forget(&c->boundary);
}

static rob_status make_answers(rob_ctx *ctx, const rob_query *q, rob_condition *to)
{
    to->standing = rob_priv_allocate(&to->memory, q->count, sizeof *to->standing);
    if (!to->standing) return rob_priv_no_memory(ctx);
    to->count = q->count;
    for (int64_t i = 0; i < q->count; i++) {
        rob_standing *s = &to->standing[i];
        rob_sensitivity *by = &s->by;
        by->steps = q->cases[i].steps;
        by->features = q->model->recipe.features;
        by->tensors = q->model->parameters;
        int64_t width = by->steps + by->features + 1 + by->tensors;
        by->step = rob_priv_allocate(&to->memory, width, sizeof *by->step);
        if (!by->step) return rob_priv_no_memory(ctx);
        for (int64_t k = 0; k < width; k++) by->step[k] = NAN;
        by->feature = by->step + by->steps;
        by->weight = by->feature + by->features;
        by->componentwise = by->output = by->mixed = NAN;
        s->size = s->relative = s->second = s->lower = s->upper = NAN;
    }
    return ROB_OK;
}

/* What distances say, once the norm of the series is known. */
static void compare(const rob_query *q, const rob_condition *c, int64_t i)
{
    rob_standing *s = &c->standing[i];
    const rob_edge *e = &c->boundary.edge[i];
    double unit = rob_priv_query_unit(q);
    int k = q->norm == ROB_NORM_L2 ? 0 : q->norm == ROB_NORM_L1 ? 1 : 2;
    s->relative = ratio(s->size, e->estimate1[k] * unit);
    s->second =
        k == 0 && !isnan(e->estimate2) ? ratio(s->size, e->estimate2 * unit) : NAN;
    s->lower = q->cases[i].wrong ? INFINITY : ratio(s->size, q->best[i] * unit);
    s->upper = ratio(s->size, q->proved[i] * unit);
}

static int32_t level_of(const rob_condition *c, const rob_query *q)
{
    if (q->norm == ROB_NORM_L2 && c->option[ROB_CONDITION_PROJECTION] >= 0.5)
        return ROB_BOUNDARY_POINTS;
    bool second = q->norm == ROB_NORM_L2 && c->option[ROB_CONDITION_ORDER] >= 1.5;
    return second ? ROB_BOUNDARY_SECOND : ROB_BOUNDARY_FIRST;
}

static void start_boundary(const rob_condition *c, rob_boundary *b)
{
    *b = (rob_boundary){ .memory = c->memory };
    for (int k = 0; k < ROB_BOUNDARY_OPTIONS; k++)
        b->option[k] = rob_priv_boundary_option[k].value;
    b->option[ROB_BOUNDARY_DENSE] = c->option[ROB_CONDITION_DENSE];
    b->option[ROB_BOUNDARY_SEED] = c->option[ROB_CONDITION_SEED];
}

rob_status rob_priv_condition_run(rob_ctx *ctx, rob_condition *c, rob_query *q)
{
    rob_status status = ROB_OK;
    rob_condition fresh = *c;
    ledger l = { .site = { .ctx = ctx, .memory = c->memory, .q = q } };
    bool weights = c->option[ROB_CONDITION_WEIGHTS] >= 0.5;
    fresh.standing = NULL;
    fresh.count = 0;
    start_boundary(c, &fresh.boundary);
    TRY(rob_priv_query_knows(ctx, q, 0, "a condition number"));
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(make_answers(ctx, q, &fresh));
    TRY(rob_priv_boundary_run(ctx, &fresh.boundary, q, level_of(c, q)));
    for (int64_t i = 0; i < q->count && status == ROB_OK; i++) {
        status = rob_priv_progress(ctx, "condition", i, q->count);
        if (status != ROB_OK) break;
        TRY(open_series(&l, i, weights));
        settle(&l, &fresh.standing[i]);
        compare(q, &fresh, i);
    }
    if (status == ROB_OK) TRY(rob_priv_progress(ctx, "condition", q->count, q->count));
    rob_priv_condition_forget(c);
    *c = fresh;
done:
    if (status < ROB_OK) rob_priv_condition_forget(&fresh);
    close_ledger(&l);
    return status;
}

rob_status rob_priv_condition_steps(rob_ctx *ctx, rob_query *q, int64_t i, double *out)
{
    rob_status status = ROB_OK;
    ledger l = { .site = { .ctx = ctx, .memory = ctx->memory, .q = q } };
    TRY(rob_priv_query_knows(ctx, q, 0, "a condition number"));
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(open_series(&l, i, false));
    double *all = l.group + l.width;
    numbers_of_series(&l, all);
    memcpy(out, all + 1, (size_t)l.site.c->steps * sizeof *out);
done:
    close_ledger(&l);
    return status;
}
