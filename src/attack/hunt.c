/* hunt.c -- a block of series under attack: lanes in lockstep, batches of their
 * gradients.
 *
 * For every active lane, at x + delta: the outputs f, the margin F(f) of the series'
 * specification, and the gradient of what the lane makes small (loss.c), in the coordinates
 * of the series' region. Those that may not move have gradient zero, so no rule moves them.
 * (docs/theory/attack.md, section 1.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

const rob_region *rob_priv_lane_region(const rob_hunt *h, const rob_lane *l)
{
    return &h->region[l->series - h->first];
}

int64_t rob_priv_lane_size(const rob_hunt *h, const rob_lane *l)
{
    return rob_priv_lane_region(h, l)->m;
}

void rob_priv_lane_project(const rob_hunt *h, const rob_lane *l, double radius,
                           double *u)
{
    rob_priv_region_project(rob_priv_lane_region(h, l), radius, u, h->room);
}

void rob_priv_lane_settle(const rob_hunt *h, const rob_lane *l, double *u)
{
    if (rob_priv_region_holds(rob_priv_lane_region(h, l), u, h->room)) return;
    rob_priv_lane_project(h, l, INFINITY, u);
}

bool rob_priv_lane_plane(const rob_hunt *h, const rob_lane *l, const double *at,
                         const double *grad, double c, double *step)
{
    return rob_priv_region_plane(rob_priv_lane_region(h, l), at, grad, c, step,
                                 h->room);
}

const rob_case *rob_priv_lane_case(const rob_hunt *h, const rob_lane *l)
{
    return &h->q->cases[l->series];
}

/* Runs on workers: reads the hunt, writes its own row only. */
static void seed_row(void *user, int64_t row, const double *logits, double *seed)
{
    const rob_hunt *h = user;
    rob_priv_loss_seed(rob_priv_lane_case(h, h->row[row]), h->row[row], logits, seed);
}

/* ---- batches --------------------------------------------------------------------- */

static void place(const rob_hunt *h, rob_lane *l)
{
    rob_priv_lane_settle(h, l, l->delta);
    rob_priv_region_move(rob_priv_lane_region(h, l), l->delta, l->point);
}

static void collect(rob_hunt *h)
{
    h->rows = 0;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        if (!l->active) continue;
        place(h, l);
        h->row[h->rows] = l;
        h->point[h->rows] = l->point;
        h->grad[h->rows] = l->grad;
        h->steps[h->rows++] = rob_priv_lane_case(h, l)->steps;
    }
}

static int64_t lanes_done(const rob_hunt *h)
{
    return (h->lanes - h->rows) / (h->starts > 0 ? h->starts : 1);
}

static rob_status report(rob_hunt *h)
{
    return rob_priv_progress(h->ctx, "attack", h->first + lanes_done(h), h->total);
}

rob_status rob_priv_hunt_gradients(rob_hunt *h)
{
    rob_status status = ROB_OK;
    collect(h);
    TRY(report(h));
    if (status == ROB_STOPPED) goto done;
    TRY(rob_priv_gradients(h->ctx, h->slope, h->rows, h->point, h->steps, h->logits,
                           seed_row, h, h->grad));
    for (int64_t k = 0; k < h->rows; k++) {
        rob_lane *l = h->row[k];
        rob_priv_region_pull(rob_priv_lane_region(h, l), l->grad, l->grad, h->room);
        l->calls++;
    }
done:
    return status;
}

rob_status rob_priv_hunt_values(rob_hunt *h)
{
    rob_status status = ROB_OK;
    collect(h);
    TRY(report(h));
    if (status == ROB_STOPPED) goto done;
    TRY(rob_priv_evaluate(h->ctx, h->slope, h->rows, h->point, h->steps, h->logits));
    for (int64_t k = 0; k < h->rows; k++) {
        const rob_spec *s = &rob_priv_lane_case(h, h->row[k])->spec;
        h->row[k]->margin = rob_priv_spec_margin(s, h->logits + k * s->outputs, NULL);
    }
done:
    return status;
}

/* ---- lanes ----------------------------------------------------------------------- */

void rob_priv_lane_keep(const rob_hunt *h, rob_lane *l)
{
    int64_t n = rob_priv_lane_size(h, l);
    if (!(l->margin <= 0)) return;
    double norm = rob_priv_norm(h->norm, l->delta, n);
    /* a hop has to find another point, not the same a hair nearer */
    double worth = h->phase == ROB_PHASE_HOP ? 1 - 1e-4 : 1;
    if (!(norm < worth * l->best_norm)) return;
    l->best_norm = norm;
    l->best_margin = l->margin;
    l->source = h->phase;
    l->gap = NAN;
    memcpy(l->best, l->delta, (size_t)n * sizeof *l->best);
}

void rob_priv_lane_scatter(const rob_hunt *h, rob_lane *l, double r, int64_t step)
{
    const rob_region *region = rob_priv_lane_region(h, l);
    int64_t n = region->m, free_count = 0;
    uint64_t stream = (uint64_t)l->series << 32 | (uint64_t)(uint32_t)l->start << 20
                      | (uint64_t)(step & 0xfffff);
    double seed = rob_priv_attack_option(h->attack, "seed");
    rob_random random = rob_priv_random(h->ctx->seed + (uint64_t)seed, stream);
    for (int64_t i = 0; i < n; i++) {
        bool may_move = region->basis || rob_priv_region_scale(region, i) > 0;
        free_count += may_move;
        l->delta[i] = !may_move                  ? 0
                      : h->norm == ROB_NORM_LINF ? 2 * rob_priv_uniform(&random) - 1
                                                 : rob_priv_normal(&random);
    }
    double length = rob_priv_norm(h->norm, l->delta, n);
    double share =
        h->norm == ROB_NORM_LINF
            ? length
            : pow(rob_priv_uniform(&random), 1 / (double)(free_count ? free_count : 1));
    for (int64_t i = 0; length > 0 && i < n; i++) l->delta[i] *= r * share / length;
    rob_priv_lane_project(h, l, r, l->delta);
}

void rob_priv_hunt_wake(rob_hunt *h, int32_t from, int32_t to)
{
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        bool idle = !h->at_radius && rob_priv_lane_case(h, l)->wrong;
        l->active = l->start >= from && l->start < to && !idle;
        l->aim = -1;
    }
}

void rob_priv_hunt_gather(rob_hunt *h)
{
    for (int64_t s = 0; s < h->series; s++) {
        rob_lane *home = &h->lane[s * h->starts], *best = home;
        for (int32_t k = 1; k < h->starts; k++) {
            rob_lane *l = home + k;
            bool better = h->at_radius ? l->best_margin < best->best_margin
                                       : l->best_norm < best->best_norm;
            if (better) best = l;
        }
        if (best == home) continue;
        memcpy(home->best, best->best,
               (size_t)rob_priv_lane_size(h, home) * sizeof(double));
        home->best_norm = best->best_norm;
        home->best_margin = best->best_margin;
        home->gap = best->gap;
        home->source = best->source;
    }
}

/* ---- life ------------------------------------------------------------------------ */

enum { VECTORS = 5 };

/* Numbers a vector of any lane may need. */
static int64_t widest(const rob_query *q)
{
    int64_t most = 1;
    rob_region r;
    for (int64_t i = 0; i < q->count; i++) {
        rob_priv_query_region(q, i, &r);
        if (r.n > most) most = r.n;
        if (r.m > most) most = r.m;
    }
    return most;
}

static rob_status allocate_lanes(rob_ctx *ctx, rob_hunt *h)
{
    const rob_memory *m = &h->q->memory;
    int64_t n = widest(h->q), lanes = h->lanes, outputs = h->q->model->recipe.outputs;
    h->lane = rob_priv_allocate(m, lanes, sizeof *h->lane);
    h->arena = n > INT64_MAX / 64 / VECTORS / lanes
                   ? NULL
                   : rob_priv_allocate(m, lanes * VECTORS * n, sizeof *h->arena);
    h->room = n > INT64_MAX / 64 / ROB_REGION_ROOM
                  ? NULL
                  : rob_priv_allocate(m, ROB_REGION_ROOM * n, sizeof *h->room);
    h->region = rob_priv_allocate(m, h->series, sizeof *h->region);
    h->row = rob_priv_allocate(m, lanes, sizeof *h->row);
    h->point = rob_priv_allocate(m, lanes, sizeof *h->point);
    h->grad = rob_priv_allocate(m, lanes, sizeof *h->grad);
    h->steps = rob_priv_allocate(m, lanes, sizeof *h->steps);
    h->logits = rob_priv_allocate(m, lanes * outputs, sizeof *h->logits);
    h->second = rob_priv_allocate(m, lanes * outputs, sizeof *h->second);
    if (!h->lane || !h->arena || !h->room || !h->region || !h->row || !h->point || !h->grad || !h->steps
        || !h->logits || !h->second)
        return rob_priv_no_memory(ctx);
    for (int64_t k = 0; k < lanes; k++) {
        double *at = h->arena + k * VECTORS * n;
        h->lane[k].delta = at;
        h->lane[k].grad = at + n;
        h->lane[k].best = at + 2 * n;
        h->lane[k].spare = at + 3 * n;
        h->lane[k].point = at + 4 * n;
    }
    return ROB_OK;
}

rob_status rob_priv_hunt_create(rob_ctx *ctx, const rob_attack *a, rob_query *q,
                                rob_hunt *h)
{
    rob_status status = ROB_OK;
    int32_t precision = rob_priv_attack_option(a, "precision") > 32 ? ROB_F64 : ROB_F32;
    h->ctx = ctx;
    h->attack = a;
    h->q = q;
    h->norm = q->norm;
    /* boxes and budgets may leave less than the ball; a hair more for rounding */
    h->cap = fmin(rob_priv_query_radius(q), rob_priv_query_reach(q) * (1 + 0x1p-40));
    h->total = q->count;
    h->loss = a->loss;
    h->starts = a->method->starts(a, q);
    h->series = ROB_ATTACK_BLOCK / h->starts;
    if (h->series < 1) h->series = 1;
    if (h->series > q->count) h->series = q->count;
    h->lanes = h->series * h->starts;
    TRY(rob_priv_query_evaluator(ctx, q, precision, true, &h->slope));
    TRY(rob_priv_query_evaluator(ctx, q, ROB_F64, false, &h->wide));
    TRY(rob_priv_query_evaluator(ctx, q, ROB_F32, precision == ROB_F32, &h->narrow));
    TRY(allocate_lanes(ctx, h));
done:
    return status;
}

void rob_priv_hunt_free(rob_hunt *h)
{
    if (!h->q) return;
    const rob_memory *m = &h->q->memory;
    rob_priv_release(m, h->lane);
    rob_priv_release(m, h->arena);
    rob_priv_release(m, h->room);
    rob_priv_release(m, h->region);
    rob_priv_release(m, h->row);
    rob_priv_release(m, h->point);
    rob_priv_release(m, h->grad);
    rob_priv_release(m, h->steps);
    rob_priv_release(m, h->logits);
    rob_priv_release(m, h->second);
}

void rob_priv_hunt_begin(rob_hunt *h, int64_t first)
{
    int64_t left = h->q->count - first;
    h->first = first;
    h->phase = ROB_PHASE_OWN;
    if (left < h->series) h->series = left;
    h->lanes = h->series * h->starts;
    for (int64_t s = 0; s < h->series; s++)
        rob_priv_query_region(h->q, first + s, &h->region[s]);
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        l->series = first + k / h->starts;
        l->start = (int32_t)(k % h->starts);
        int64_t n = rob_priv_lane_size(h, l);
        memset(l->delta, 0, (size_t)n * sizeof *l->delta);
        memset(l->best, 0, (size_t)n * sizeof *l->best);
        l->active = false;
        l->aim = -1;
        l->calls = 0;
        l->best_norm = l->best_margin = INFINITY;
        l->gap = NAN;
        l->source = ROB_PHASE_OWN;
        l->loss = h->loss;
        l->radius = l->eps = l->rate = l->low = l->high = 0;
    }
}
