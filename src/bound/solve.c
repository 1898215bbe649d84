/* solve.c -- many series: networks by length, workers by series.
 *
 * Series of one length share an unrolled network, which is read only. Every job sets
 * the floating-point environment, has a workspace of its own and writes one answer, so
 * answers do not depend on the number of workers. Radii are searched in the units of
 * the series; the region is rounded up and the answer down when units are changed.
 */
#include "bound/solve.h"
#include "bound/order/adjoint.h"
#include "bound/branch/branch.h"
#include "bound/joint.h"
#include "bound/order/second.h"
#include "bound/single.h"

#include <float.h>
#include <stdlib.h>

enum { LENGTHS_AT_ONCE = 16 };

typedef struct task {
    const rob_case *series;
    rob_network *net;
    rob_answer *answer;
    int64_t depth;
    bool crown, forms, sweeps, alpha, branch;
    rob_status status;
} task;

typedef struct solver {
    rob_ctx *ctx;
    const rob_bound *bound;
    const rob_query *query;
    bool radius, steep, shared;
    int64_t total;
    atomic_int finished;
    task *tasks;
} solver;

/* ---- one series ------------------------------------------------------------------ */

typedef struct watch { solver *s; int32_t worker; rob_fp_state host; } watch;

/* The caller's thread reports and looks at the clock; the others see the latch. */
static bool must_stop(void *user)
{
    watch *t = user;
    if (t->worker != 0) return rob_priv_cancelled(t->s->ctx);
    return rob_priv_progress(t->s->ctx, "bound", atomic_load(&t->s->finished),
                             t->s->total)
           != ROB_OK;
}

/* The same from within a proof: the host's callback runs in the host's environment. */
static bool must_stop_inside(void *user)
{
    watch *t = user;
    rob_priv_fp_leave(t->host);
    bool stop = must_stop(user);
    t->host = rob_priv_fp_enter();
    return stop;
}

static rob_demand demand_of(const rob_spec *s)
{
    return (rob_demand){s->rows, s->groups, s->outputs, s->c, s->b, s->group};
}

/* The ball in the units of the series: at least r |scale|, and what others take it for.
 */
double rob_priv_bound_radius_up(const rob_query *q, double radius)
{
    double scale = fabs(q->model->recipe.input_scale);
    if (q->units == ROB_UNITS_DATA || scale == 1 || radius == 0) return radius;
    return fp_mul_up(radius, scale);
}

static double region_radius(const rob_query *q)
{
    return fp_max(rob_priv_query_radius(q), rob_priv_bound_radius_up(q, q->radius));
}

/* In the query's units, rounded down, never above its cap. A quotient that overflows is
 * beyond the largest double, which is what is known then. */
static double reported_radius(const rob_query *q, double eps)
{
    double scale = fabs(q->model->recipe.input_scale);
    if (q->units == ROB_UNITS_DATA || scale == 1 || eps == 0 || isinf(eps)) return eps;
    double radius = fp_div_lo(eps, scale);
    if (!isfinite(radius)) radius = DBL_MAX;
    return fp_max(fp_min(radius, q->radius), 0);
}

/* Under a subspace walls have no reach of their own: is all between them safe? */
static rob_status try_walls(task *t, rob_work *w, const rob_ball *ball,
                            const rob_demand *d, rob_proof *row, bool *safe)
{
    rob_ball all = *ball;
    rob_outcome out;
    all.eps = 0x1p900;
    rob_status status = rob_priv_bound_ball(w, &all, d, t->crown, row, &out);
    *safe = status == ROB_OK && out.margin > 0;
    if (!*safe) return status;
    t->answer->proved = t->answer->radius = INFINITY;
    t->answer->margin = out.margin;
    t->answer->calls = 1;
    return status;
}

/* Row r is b_r -+ f_o with b_r = tolerance +- f_o(x) rounded once, to nearest; so
 * dev <= tolerance + max_r |b_r| 2^-53 - margin. */
static double deviation_of(const rob_query *q, const rob_spec *s, double margin)
{
    double largest = 0;
    if (isnan(q->tolerance)) return NAN;
    for (int64_t r = 0; r < s->rows; r++) largest = fp_max(fabs(s->b[r]), largest);
    double most = fp_up(q->tolerance + fp_up(largest * 0x1p-53));
    return fp_max(fp_up(most - margin), 0);
}

/* The ball of a series, up to where box and budgets end: nothing lies beyond. */
static rob_ball ball_of(const solver *s, const rob_case *c, rob_region *region,
                        double whole)
{
    rob_priv_query_region(s->query, c - s->query->cases, region);
    rob_ball ball = {c->x, region->mask, s->query->norm, whole, NULL};
    if (rob_priv_region_parts(region) != 0) ball.region = region;
    ball.eps = fp_min(whole, fp_up(rob_priv_region_reach(region) * (1 + 0x1p-40)));
    return ball;
}

/* The margin's gradient: the margin is a least of largest rows. */
static rob_status solve_steep(solver *s, task *t, rob_work *w, const rob_ball *ball,
                              const rob_demand *d, rob_proof *row)
{
    rob_answer *a = t->answer;
    rob_outcome out;
    rob_steepness g = { a->most, a->least, 0, INFINITY,
                        s->bound->option[ROB_BOUND_CURVATURE] != 0 };
    const rob_query *q = s->query;
    double scale = q->units == ROB_UNITS_DATA ? 1 : fabs(q->model->recipe.input_scale);
    const int64_t rings = (int64_t)s->bound->option[ROB_BOUND_RINGS];
    rob_status status =
        rob_priv_bound_steep(w, ball, d, t->crown, rings, row, &out, &g);
    a->calls = (double)(rings + 1);
    if (status != ROB_OK) return status;
    a->margin = out.margin;
    a->curvature = scale == 1 ? g.curvature
                              : fp_mul_up(fp_mul_up(g.curvature, scale), scale);
    a->lipschitz = 0;
    for (int64_t r = 0; r < d->rows; r++) {
        if (scale != 1) {
            a->most[r] = fp_mul_up(a->most[r], scale);
            a->least[r] = fp_max(0, fp_mul_lo(a->least[r], scale));
        }
        a->lipschitz = fp_max(a->most[r], a->lipschitz);
    }
    a->proved = g.crossing;
    a->smooth = reported_radius(q, g.crossing >= ball->eps ? region_radius(q) : g.crossing);
    return status;
}

static rob_status solve_series(solver *s, task *t, rob_work *w, rob_proof *row)
{
    const rob_case *c = t->series;
    rob_demand d = demand_of(&c->spec);
    const double whole = region_radius(s->query);
    rob_region region;
    rob_ball ball = ball_of(s, c, &region, whole);
    int32_t parts = rob_priv_region_parts(&region);
    t->answer->dropped = (parts & ROB_PART_SMOOTH ? 1 : 0)
                         + (parts & ROB_PART_STEPS ? 2 : 0);
    if (s->steep) return solve_steep(s, t, w, &ball, &d, row);
    if (!s->radius) {
        rob_outcome out;
        rob_status status =
            s->shared ? rob_priv_bound_affine(w, &ball, &d, t->crown, row, t->answer->affine, &out)
                      : rob_priv_bound_ball(w, &ball, &d, t->crown, row, &out);
        t->answer->calls = 1;
        if (status == ROB_OK) t->answer->margin = out.margin;
        if (status == ROB_OK && out.margin > 0) t->answer->proved = whole;
        return status;
    }
    rob_search search = { .cap = ball.eps,
                          .tolerance = s->bound->option[ROB_BOUND_TOLERANCE],
                          .calls_max = (int64_t)s->bound->option[ROB_BOUND_CALLS] };
    if (c->wrong) return ROB_OK;
    bool safe = false;
    if (region.basis && isinf(whole) && (parts & (ROB_PART_BOX | ROB_PART_BUDGET))) {
        rob_status between = try_walls(t, w, &ball, &d, row, &safe);
        if (between != ROB_OK || safe) return between;
    }
    rob_status status = rob_priv_bound_radius(w, &ball, &d, t->crown, row, &search);
    if (search.radius >= ball.eps) search.radius = whole;
    t->answer->proved = search.radius;
    t->answer->radius = reported_radius(s->query, search.radius);
    t->answer->margin = search.margin;
    t->answer->calls = (double)search.calls;
    return status;
}

static bool bends(const rob_bound *b, const rob_network *net)
{
    const double order = b->option[ROB_BOUND_ORDER];
    if (order != 0) return order == 2;
    if (b->method != ROB_BOUND_AUTO) return b->method == ROB_BOUND_ALPHA || b->method == ROB_BOUND_BRANCH;
    return rob_priv_second_pays(net, b->option[ROB_BOUND_COST]);
}

/* A workspace for one series, as the bound's options say. */
static rob_status open_task(solver *s, const task *t, watch *eye, double begun,
                            bool single, rob_work **out)
{
    const double *option = s->bound->option;
    rob_work *w = NULL;
    rob_status status = rob_priv_work_open(t->net, &w);
    if (status == ROB_OK && t->sweeps && !single && bends(s->bound, t->net))
        status = rob_priv_second_open(w, &w->second);
    if (status == ROB_OK && t->alpha) status = rob_priv_alpha_open(w, &w->alpha);
    if (status == ROB_OK && (t->alpha || w->second != NULL)) {
        w->choices = (int64_t)option[ROB_BOUND_CHOICES];
        w->rounds = (int64_t)option[ROB_BOUND_ROUNDS];
        w->chosen = (int64_t)option[ROB_BOUND_CHOSEN];
        w->enough = option[ROB_BOUND_ENOUGH];
        w->deadline = begun + option[ROB_BOUND_SECONDS];
    }
    if (status == ROB_OK && t->branch)
        status = rob_priv_branch_open(w, (int64_t)option[ROB_BOUND_BRANCHES], &w->branch);
    if (status == ROB_OK && t->forms) status = rob_priv_forward_open(w);
    if (status == ROB_OK && t->forms && option[ROB_BOUND_JOINT] != 0)
        status = rob_priv_joint_open(w);
    if (status == ROB_OK && single)
        status = rob_priv_single_open(w, option[ROB_BOUND_ULPS], 1 - s->bound->fault_single);
    *out = w;
    if (status != ROB_OK) return status;
    w->depth = t->depth;
    w->sweeps = t->sweeps;
    w->gain = option[ROB_BOUND_GAIN];
    if (option[ROB_BOUND_SYMBOLS] > 0) w->symbols_most = (int64_t)option[ROB_BOUND_SYMBOLS];
    w->stop = must_stop_inside;
    w->stop_user = eye;
    w->fault = s->bound->fault;
    w->fault_strip = s->bound->fault_strip;
    w->steep_fault = s->bound->fault_steep;
    if (w->branch == NULL) return status;
    w->branch->fault = s->bound->fault_leaf;
    w->branch->gates_only = s->bound->gates_only;
    return status;
}

/* The margin of evaluation in float32, on the ball or at the radius that was proved. */
static rob_status prove_single(solver *s, task *t, watch *eye, double begun, rob_proof *row)
{
    const rob_case *c = t->series;
    const rob_demand d = demand_of(&c->spec);
    rob_region region;
    rob_outcome out;
    rob_work *w = NULL;
    rob_ball ball = ball_of(s, c, &region, s->radius ? t->answer->proved
                                                     : region_radius(s->query));
    if (!isfinite(ball.eps)) return ROB_OK;
    rob_status status = open_task(s, t, eye, begun, true, &w);
    if (status == ROB_OK)
        status = rob_priv_bound_ball(w, &ball, &d, t->crown, row, &out);
    if (status == ROB_OK) t->answer->single = out.margin;
    rob_priv_work_close(w);
    return status;
}

static void run_task(void *user, int64_t k, int32_t worker)
{
    solver *s = user;
    task *t = &s->tasks[k];
    watch eye = {.s = s, .worker = worker};
    if (must_stop(&eye)) {
        t->status = ROB_STOPPED;
        return;
    }
    double begun = rob_priv_clock();
    const double single = s->steep ? 0 : s->bound->option[ROB_BOUND_FLOAT32];
    const rob_memory *m = &t->net->memory;
    int64_t rows = t->series->spec.rows;
    rob_work *w = NULL;
    rob_proof *row = rob_priv_allocate(m, rows + 1, (int64_t)sizeof *row);
    eye.host = rob_priv_fp_enter();
    t->status = row == NULL ? ROB_EMEMORY
                            : open_task(s, t, &eye, begun, single == 2, &w);
    if (t->status == ROB_OK) {
        t->status = solve_series(s, t, w, row);
        t->answer->deviation =
            deviation_of(s->query, &t->series->spec, t->answer->margin);
        for (int64_t r = 0; r < rows; r++) t->answer->row[r] = row[r].value;
    }
    if (single == 2) t->answer->single = t->answer->margin;
    if (t->status == ROB_OK && single == 1)
        t->status = prove_single(s, t, &eye, begun, row);
    rob_priv_fp_leave(eye.host);
    rob_priv_work_close(w);
    rob_priv_release(m, row);
    t->answer->seconds = rob_priv_clock() - begun;
    atomic_fetch_add(&s->finished, 1);
}

/* ---- which bound ----------------------------------------------------------------- */

/* Forms know nothing of softmax and products of two values but their ranges: where
 * sweeps do, they would only take time. */
static bool has_coupled(const rob_network *net)
{
    for (int32_t i = 0; i < net->cells; i++)
        if (net->cell[i].kind == ROB_CELL_COUPLED) return true;
    return false;
}

/* Auto: sweeps for every range if they fit the budget. */
static void choose_depth(const solver *s, task *t)
{
    const rob_bound *b = s->bound;
    t->depth = (int64_t)b->option[ROB_BOUND_STEPS];
    t->crown = b->method != ROB_BOUND_INTERVAL;
    t->branch = b->method == ROB_BOUND_BRANCH && !has_coupled(t->net);
    t->alpha = b->method == ROB_BOUND_ALPHA || b->method == ROB_BOUND_BRANCH;
    t->sweeps = b->method >= ROB_BOUND_CROWN && b->method < ROB_BOUND_AUTO;
    if (b->method == ROB_BOUND_AUTO)
        t->sweeps = rob_priv_network_cost(t->net, t->depth, t->series->spec.rows)
                    <= b->option[ROB_BOUND_COST];
    t->forms = t->crown && !(t->sweeps && has_coupled(t->net));
    t->answer->depth = t->sweeps ? (double)t->depth : -1;
}

/* ---- many series ----------------------------------------------------------------- */

rob_status rob_priv_bound_network(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                  rob_network **out)
{
    rob_status status = ROB_OK;
    rob_graph *g = NULL;
    *out = NULL;
    TRY(rob_priv_graph_create(ctx, &g));
    rob_id x = rob_priv_input(g, rob_priv_shape3(steps, 1, model->recipe.features));
    rob_id y = rob_priv_model_emit(model, g, x, ROB_NONE, NULL);
    TRY(rob_priv_graph_status(ctx, g));
    status = rob_priv_network_create(ctx, g, x, y, out);
    g = NULL;
done:
    rob_priv_graph_free(g);
    return status;
}

static int by_length(const void *a, const void *b)
{
    const task *p = a, *q = b;
    if (p->series->steps != q->series->steps)
        return p->series->steps < q->series->steps ? -1 : 1;
    return p->series < q->series ? -1 : p->series > q->series;
}

/* Networks for a wave of tasks from `first` on; returns the task behind it in *end. */
static rob_status open_wave(solver *s, int64_t first, int64_t *end)
{
    rob_status status = ROB_OK;
    int64_t k = first;
    for (int32_t lengths = 0; k < s->total; k++) {
        task *t = &s->tasks[k];
        bool same = k > first && t[-1].series->steps == t->series->steps;
        if (!same && lengths++ == LENGTHS_AT_ONCE) break;
        if (same) t->net = t[-1].net;
        else TRY(rob_priv_bound_network(s->ctx, s->query->model, t->series->steps, &t->net));
        choose_depth(s, t);
        const char *unknown = s->steep ? rob_priv_adjoint_unknown(t->net) : NULL;
        CHECK(unknown == NULL, s->ctx, ROB_EUNSUPPORTED,
              "gradients are not bounded through %s of values that depend on x", unknown);
    }
done:
    *end = status < ROB_OK ? k + 1 : k; /* the network of a task that is refused is there */
    return status;
}

static void close_wave(solver *s, int64_t first, int64_t end)
{
    for (int64_t k = first; k < end; k++)
        if (k == first || s->tasks[k].net != s->tasks[k - 1].net)
            rob_priv_network_free(s->tasks[k].net);
}

static rob_status run_wave(solver *s, int64_t first, int64_t *end)
{
    rob_status status = ROB_OK, worst = ROB_OK;
    TRY(open_wave(s, first, end));
    solver *wave = s;
    task *all = s->tasks;
    wave->tasks = all + first;
    rob_priv_parallel(s->ctx, run_task, wave, *end - first);
    wave->tasks = all;
    for (int64_t k = first; k < *end; k++) {
        if (all[k].status < ROB_OK) TRY(all[k].status);
        if (all[k].status > worst) worst = all[k].status;
    }
    status = worst;
done:
    close_wave(s, first, *end);
    if (status == ROB_EMEMORY) rob_priv_no_memory(s->ctx);
    return status;
}

static void free_answers(const rob_memory *m, rob_answer *answer, int64_t count)
{
    for (int64_t i = 0; answer != NULL && i < count; i++) {
        rob_priv_release(m, answer[i].row);
        rob_priv_release(m, answer[i].most);
        rob_priv_release(m, answer[i].affine);
    }
    rob_priv_release(m, answer);
}

void rob_priv_bound_forget(rob_bound *b)
{
    free_answers(&b->memory, b->answer, b->count);
    b->answer = NULL;
    b->count = 0;
    b->shared = false;
}

/* Room for affine functions of which nothing is known. */
static bool forget_affine(const rob_bound *b, const rob_case *c, int64_t features, rob_answer *a)
{
    const int64_t n = c->steps * features;
    a->affine = rob_priv_allocate(&b->memory, a->rows * (n + 2) + 1, (int64_t)sizeof(double));
    for (int64_t r = 0; a->affine != NULL && r < 2 * a->rows; r++)
        a->affine[a->rows * n + r] = -INFINITY;
    return a->affine != NULL;
}

/* Room for norms of gradients, of which nothing is known. */
static bool forget_gradients(const rob_bound *b, rob_answer *a)
{
    a->most = rob_priv_allocate(&b->memory, 2 * a->rows + 1, (int64_t)sizeof(double));
    if (a->most == NULL) return false;
    a->least = a->most + a->rows;
    for (int64_t r = 0; r < a->rows; r++) a->most[r] = INFINITY, a->least[r] = 0;
    return true;
}

/* Answers that claim nothing, and a task for each. */
static rob_status begin(solver *s, const rob_bound *b, rob_answer **out)
{
    int64_t count = s->total;
    s->tasks = rob_priv_allocate(&b->memory, count + 1, (int64_t)sizeof *s->tasks);
    rob_answer *a = rob_priv_allocate(&b->memory, count + 1, (int64_t)sizeof *a);
    *out = a;
    if (s->tasks == NULL || a == NULL) return rob_priv_no_memory(s->ctx);
    for (int64_t i = 0; i < count; i++) {
        const rob_case *c = &s->query->cases[i];
        a[i].margin = a[i].single = -INFINITY;
        a[i].deviation = isnan(s->query->tolerance) ? NAN : INFINITY;
        a[i].rows = c->spec.rows;
        a[i].row =
            rob_priv_allocate(&b->memory, c->spec.rows + 1, (int64_t)sizeof(double));
        if (a[i].row == NULL) return rob_priv_no_memory(s->ctx);
        for (int64_t r = 0; r < c->spec.rows; r++) a[i].row[r] = -INFINITY;
        a[i].lipschitz = a[i].curvature = INFINITY;
        if (s->steep && !forget_gradients(b, &a[i])) return rob_priv_no_memory(s->ctx);
        if (s->shared && !forget_affine(b, c, s->query->model->recipe.features, &a[i]))
            return rob_priv_no_memory(s->ctx);
        s->tasks[i] = (task){.series = c, .answer = &a[i]};
    }
    qsort(s->tasks, (size_t)count, sizeof *s->tasks, by_length);
    return ROB_OK;
}

rob_status rob_priv_bound_solve(rob_ctx *ctx, rob_bound *b, rob_query *q, int32_t ask)
{
    rob_status status = ROB_OK;
    rob_answer *answer = NULL;
    solver s = {
        .ctx = ctx, .bound = b, .query = q, .radius = ask == ROB_ASK_RADIUS,
        .steep = ask == ROB_ASK_LIPSCHITZ, .shared = ask == ROB_ASK_UNIVERSAL, .total = q->count
    };
    TRY(rob_priv_query_knows(ctx, q, ~ROB_PART_COUNT, "a bound"));
    if (s.steep)
        TRY(rob_priv_query_knows(ctx, q, ~(ROB_PART_COUNT | ROB_PART_SUBSPACE),
                                 "a bound on gradients"));
    TRY(rob_priv_query_prepare(ctx, q));
    if (status == ROB_STOPPED) {
        rob_priv_bound_forget(b);
        goto done;
    }
    TRY(begin(&s, b, &answer));
    for (int64_t k = 0, end; k < s.total && status == ROB_OK; k = end)
        TRY(run_wave(&s, k, &end));
    if (status == ROB_OK) status = rob_priv_progress(ctx, "bound", s.total, s.total);
    rob_priv_bound_forget(b);
    b->answer = answer;
    b->count = s.total;
    answer = NULL;
done:
    free_answers(&b->memory, answer, s.total);
    rob_priv_release(&b->memory, s.tasks);
    return status;
}
