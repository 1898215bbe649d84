/* boundary.c -- the geometry of every series' boundary, one series after the other.
 *
 * Estimates: per group of the specification, the least of them (a distance is the least
 * over groups). Nearest point: Newton's method (polish.c) from the best point an attack
 * left with the query, for the group that fails there, and from every group's second
 * order guess that promises to be nearer; the nearest that converged is taken, or the
 * attack's point itself when none did. (docs/theory/boundary.md, section 3.)
 */
#include "boundary/boundary.h"

#include <math.h>
#include <string.h>

enum { COME_BACKS = 8 };

const rob_option rob_priv_boundary_option[ROB_BOUNDARY_OPTIONS] = {
    { "steps", 40, 1, 10000, "steps", "of Newton's method, at most" },
    { "tolerance", 1e-10, 1e-15, 1, "", "relative residual that counts as converged" },
    { "dense", 512, 0, 8192, "numbers",
      "that may move, up to which whole Hessians are formed" },
    { "slice", 0, 0, 1024, "points", "a side of the grid of margins; 0: none" },
    { "reach", 2, 1e-3, 1e6, "distance", "from the centre to the side of the grid" },
    { "seed", 0, 0, 9007199254740992.0, "", "added to the context's seed" },
    { "order", 2, 2, 3, "", "of the estimates; 3 costs some hundred third derivatives" },
};

static void free_edges(const rob_memory *m, rob_edge *edge, int64_t count)
{
    for (int64_t i = 0; edge && i < count; i++) {
        rob_priv_release(m, edge[i].point);
        rob_priv_release(m, edge[i].normal);
        rob_priv_release(m, edge[i].direction);
        rob_priv_release(m, edge[i].curvature);
        rob_priv_release(m, edge[i].slice);
    }
    rob_priv_release(m, edge);
}

void rob_priv_boundary_forget(rob_boundary *b)
{
    free_edges(&b->memory, b->edge, b->count);
    b->edge = NULL;
    b->count = 0;
}

/* Room for the answers; all say "nothing found". */
static rob_status make_answers(rob_ctx *ctx, const rob_query *q, rob_boundary *to)
{
    to->edge = rob_priv_allocate(&to->memory, q->count, sizeof *to->edge);
    if (!to->edge) return rob_priv_no_memory(ctx);
    to->count = q->count;
    for (int64_t i = 0; i < q->count; i++) {
        rob_edge *e = &to->edge[i];
        e->size = q->cases[i].steps * q->model->recipe.features;
        e->point = rob_priv_allocate(&to->memory, e->size, sizeof *e->point);
        e->normal = rob_priv_allocate(&to->memory, e->size, sizeof *e->normal);
        e->direction = rob_priv_allocate(&to->memory, e->size, sizeof *e->direction);
        if (!e->point || !e->normal || !e->direction) return rob_priv_no_memory(ctx);
        memcpy(e->point, q->cases[i].x, (size_t)e->size * sizeof *e->point);
        e->distance = q->cases[i].wrong ? 0 : INFINITY;
        e->residual = e->multiplier = e->gradient_norm = e->mean = e->projection = NAN;
        e->estimate1[0] = e->estimate1[1] = e->estimate1[2] = NAN;
        e->estimate2 = e->lower2 = e->upper2 = NAN;
        e->lower3 = e->upper3 = e->third = NAN;
    }
    return ROB_OK;
}

/* the least; not known when one is not */
static double nearer(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : fmin(a, b);
}

static void keep_guess(rob_edge *e, const rob_guess *g)
{
    for (int k = 0; k < 3; k++) e->estimate1[k] = fmin(e->estimate1[k], g->order1[k]);
    e->estimate2 = nearer(e->estimate2, g->order2);
    e->lower2 = nearer(e->lower2, g->lower2);
    e->upper2 = nearer(e->upper2, g->upper2);
    e->lower3 = nearer(e->lower3, g->lower3);
    if (nearer(e->upper3, g->upper3) < e->upper3) e->third = g->third;
    e->upper3 = nearer(e->upper3, g->upper3);
}

static int64_t group_end(const rob_spec *s, int64_t first)
{
    int64_t r = first + 1;
    while (r < s->rows && s->group[r] == s->group[first]) r++;
    return r;
}

/* The group that decides the margin at z starts at: */
static int64_t deciding_group(rob_site *s, const double *z)
{
    const rob_spec *spec = &s->c->spec;
    int64_t row;
    rob_priv_site_place(s, z);
    rob_priv_spec_margin(spec, s->f, &row);
    while (row > 0 && spec->group[row - 1] == spec->group[row]) row--;
    return row;
}

/* Polish group [first, next) from its own guess, when that may be nearer. */
static rob_status try_group(rob_site *s, int64_t first, int64_t next,
                            const rob_guess *g)
{
    double promise = isnan(g->order2) ? g->order1[0] : g->order2;
    if (!isfinite(promise) || !(promise < 1.5 * s->edge->distance)) return ROB_OK;
    /* beyond what the attack was to look at */
    if (!s->edge->found && isfinite(s->q->radius)) return ROB_OK;
    for (int64_t k = 0; k < s->n; k++) g->d[k] += s->c->x[k];
    return rob_priv_polish(s, first, next, g->d, false);
}

static rob_status guess_groups(rob_site *s, int32_t level)
{
    rob_status status = ROB_OK;
    const rob_spec *spec = &s->c->spec;
    rob_edge *e = s->edge;
    rob_guess g = { .d = rob_priv_allocate(&s->memory, s->n, sizeof *g.d) };
    if (!g.d) return rob_priv_no_memory(s->ctx);
    e->estimate1[0] = e->estimate1[1] = e->estimate1[2] = INFINITY;
    e->estimate2 = e->lower2 = e->upper2 = e->lower3 = e->upper3 = INFINITY;
    for (int64_t first = 0, next; first < spec->rows && status == ROB_OK;
         first = next) {
        next = group_end(spec, first);
        TRY(rob_priv_guess(s, first, next, level >= ROB_BOUNDARY_SECOND, &g));
        if (status != ROB_OK) break;
        keep_guess(e, &g);
        if (level == ROB_BOUNDARY_POINTS) TRY(try_group(s, first, next, &g));
    }
done:
    rob_priv_release(&s->memory, g.d);
    return status;
}

/* to <- where F first was seen to vanish on the way from x to z, F(z) < 0, by halving. */
static void crossing(rob_site *s, const double *z, double *to)
{
    double low = 0, high = 1;
    for (int k = 0; k < 54; k++) {
        double share = (low + high) / 2;
        for (int64_t i = 0; i < s->n; i++)
            to[i] = s->c->x[i] + share * (z[i] - s->c->x[i]);
        rob_priv_site_place(s, to);
        if (rob_priv_spec_margin(&s->c->spec, s->f, NULL) > 0) low = share;
        else high = share;
    }
    for (int64_t i = 0; i < s->n; i++)
        to[i] = s->c->x[i] + high * (z[i] - s->c->x[i]);
}

/* A point where its own group vanishes while another group fails already lies behind that
 * one's boundary: back to it, and on from there. */
static rob_status come_back(rob_site *s)
{
    rob_status status = ROB_OK;
    rob_edge *e = s->edge;
    double *to = rob_priv_allocate(&s->memory, s->n, sizeof *to);
    if (!to) return rob_priv_no_memory(s->ctx);
    for (int round = 0; round < COME_BACKS && e->found; round++) {
        rob_priv_site_place(s, e->point);
        double deep = rob_priv_spec_margin(&s->c->spec, s->f, NULL);
        if (!e->converged || deep >= -1e-9 * e->gradient_norm * e->distance) break;
        crossing(s, e->point, to);
        int64_t first = deciding_group(s, to);
        TRY(rob_priv_polish(s, first, group_end(&s->c->spec, first), to, true));
    }
done:
    rob_priv_release(&s->memory, to);
    return status;
}

static rob_status work_on(rob_site *s, int32_t level)
{
    rob_status status = ROB_OK;
    rob_edge *e = s->edge;
    bool points = level == ROB_BOUNDARY_POINTS;
    e->flat = rob_priv_local_flat(s->local);
    if (s->c->wrong) {
        e->estimate1[0] = e->estimate1[1] = e->estimate1[2] = 0;
        e->estimate2 = e->lower2 = e->upper2 = e->lower3 = e->upper3 = 0;
        return ROB_OK;
    }
    if (points && s->q->best[s->series] < INFINITY) {
        const double *z = s->q->best_point[s->series];
        int64_t first = deciding_group(s, z);
        TRY(rob_priv_polish(s, first, group_end(&s->c->spec, first), z, true));
    }
    TRY(guess_groups(s, level));
    if (status != ROB_OK || !points) goto done;
    TRY(come_back(s));
    TRY(rob_priv_shape_at(s));
    if (status != ROB_OK) goto done;
    TRY(rob_priv_slice(s));
done:
    return status;
}

/* An answer that was not finished says nothing. */
static void take_back(const rob_memory *m, const rob_case *c, rob_edge *e)
{
    rob_priv_release(m, e->curvature);
    rob_priv_release(m, e->slice);
    memcpy(e->point, c->x, (size_t)e->size * sizeof *e->point);
    memset(e->normal, 0, (size_t)e->size * sizeof *e->normal);
    *e = (rob_edge){ .size = e->size,
                     .point = e->point,
                     .normal = e->normal,
                     .direction = e->direction,
                     .distance = c->wrong ? 0 : INFINITY,
                     .residual = NAN,
                     .multiplier = NAN,
                     .gradient_norm = NAN,
                     .mean = NAN,
                     .projection = NAN,
                     .estimate1 = { NAN, NAN, NAN },
                     .estimate2 = NAN,
                     .lower2 = NAN,
                     .upper2 = NAN,
                     .lower3 = NAN,
                     .upper3 = NAN,
                     .third = NAN };
}

rob_status rob_priv_boundary_run(rob_ctx *ctx, rob_boundary *b, rob_query *q,
                                 int32_t level)
{
    rob_status status = ROB_OK;
    rob_boundary fresh = *b;
    rob_site s = { .ctx = ctx, .memory = b->memory, .option = b->option, .q = q };
    fresh.edge = NULL;
    fresh.count = 0;
    TRY(rob_priv_query_knows(ctx, q, 0, "the boundary's geometry"));
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(make_answers(ctx, q, &fresh));
    fresh.unit = rob_priv_query_unit(q);
    fresh.slice = (int64_t)b->option[ROB_BOUNDARY_SLICE];
    for (int64_t i = 0; i < q->count && status == ROB_OK; i++) {
        status = rob_priv_progress(ctx, "boundary", i, q->count);
        if (status != ROB_OK) break;
        TRY(rob_priv_site_open(&s, i));
        s.edge = &fresh.edge[i];
        TRY(work_on(&s, level));
        if (status != ROB_OK) take_back(&b->memory, &q->cases[i], &fresh.edge[i]);
    }
    if (status == ROB_OK) TRY(rob_priv_progress(ctx, "boundary", q->count, q->count));
    rob_priv_boundary_forget(b);
    *b = fresh;
done:
    if (status < ROB_OK) free_edges(&b->memory, fresh.edge, fresh.count);
    rob_priv_site_close(&s);
    return status;
}
