/* slice.c -- margins on a plane through the series and its nearest boundary point.
 *
 *     F(x + a e_1 + b e_2),  e_1 = (z - x)/|z - x|,  e_2 the direction in which the
 *     boundary curves most towards x (a random tangent where no vector is known),
 * a and b on `slice` equally spaced values from -reach r to reach r, r = |z - x|. Row
 * b, column a.
 */
#include "boundary/boundary.h"

#include <math.h>
#include <string.h>

/* e_2: made orthogonal to e_1 and of length 1, drawn when it is not there */
static void second_axis(const rob_site *s, const double *first, double *to)
{
    if (s->m < 2) return;
    if (rob_priv_dot(s->n, to, to) == 0) {
        rob_random random = rob_priv_random(s->ctx->seed, (uint64_t)s->series);
        for (int64_t c = 0; c < s->m; c++) to[s->free[c]] = rob_priv_normal(&random);
    }
    for (int pass = 0; pass < 2; pass++) {
        double share = rob_priv_dot(s->n, first, to);
        for (int64_t i = 0; i < s->n; i++) to[i] -= share * first[i];
    }
    double norm = rob_priv_norm(ROB_NORM_L2, to, s->n);
    for (int64_t i = 0; i < s->n; i++) to[i] = norm > 0 ? to[i] / norm : 0;
}

/* The grid being filled. */
typedef struct grid {
    rob_site *s;
    rob_evaluator *e;
    int64_t size;
    double half;                     /* centre to side */
    double *points, *first, *logits; /* (size, n), (n), (size, L) */
    const double **point;
    int64_t *steps;
} grid;

static double place_on(const grid *g, int64_t k)
{
    return g->half * (2 * (double)k / (double)(g->size - 1) - 1);
}

static rob_status fill_row(grid *g, int64_t row)
{
    rob_status status = ROB_OK;
    const rob_site *s = g->s;
    const rob_spec *spec = &s->c->spec;
    double b = place_on(g, row), *out = s->edge->slice + row * g->size;
    for (int64_t k = 0; k < g->size; k++) {
        double a = place_on(g, k), *to = g->points + k * s->n;
        for (int64_t i = 0; i < s->n; i++)
            to[i] = s->c->x[i] + a * g->first[i] + b * s->edge->direction[i];
        g->point[k] = to;
        g->steps[k] = s->c->steps;
    }
    TRY(rob_priv_evaluate(s->ctx, g->e, g->size, g->point, g->steps, g->logits));
    for (int64_t k = 0; k < g->size; k++)
        out[k] = rob_priv_spec_margin(spec, g->logits + k * spec->outputs, NULL);
done:
    return status;
}

rob_status rob_priv_slice(rob_site *s)
{
    rob_status status = ROB_OK;
    const rob_memory *memory = &s->memory;
    rob_edge *edge = s->edge;
    int64_t size = (int64_t)s->option[ROB_BOUNDARY_SLICE], n = s->n;
    grid g = { .s = s,
               .size = size,
               .half = s->option[ROB_BOUNDARY_REACH] * edge->distance };
    if (size < 2 || !edge->found || !(edge->distance > 0)) return ROB_OK;
    g.points = rob_priv_allocate(memory, (size + 1) * n + size * s->c->spec.outputs,
                                 sizeof *g.points);
    g.point = rob_priv_allocate(memory, size, sizeof *g.point);
    g.steps = rob_priv_allocate(memory, size, sizeof *g.steps);
    edge->slice = rob_priv_allocate(memory, size * size, sizeof *edge->slice);
    CHECK(g.points && g.point && g.steps && edge->slice, s->ctx, ROB_EMEMORY,
          "out of memory for a slice of %lld x %lld", (long long)size, (long long)size);
    g.first = g.points + size * n;
    g.logits = g.first + n;
    for (int64_t i = 0; i < n; i++)
        g.first[i] = (edge->point[i] - s->c->x[i]) / edge->distance;
    second_axis(s, g.first, edge->direction);
    TRY(rob_priv_query_evaluator(s->ctx, s->q, ROB_F64, false, &g.e));
    for (int64_t k = 0; k < size; k++) TRY(fill_row(&g, k));
done:
    rob_priv_release(memory, g.points);
    rob_priv_release(memory, g.point);
    rob_priv_release(memory, g.steps);
    return status;
}
