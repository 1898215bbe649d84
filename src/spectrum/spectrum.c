/* spectrum.c -- both ends of the spectrum of an input Hessian, series by series.
 *
 *     H = Hess_x l(x),   l = log sum_k exp f_k - f_y  (cross-entropy of the reference
 *     class y), or the row of the specification that decides the margin,
 *
 * over the coordinates that may move: whole, by LAPACK, up to `dense` of them; above,
 * by Lanczos's method on products H v (la/lanczos.c), each a derivative along v of the
 * gradient. The start vector is a function of (seed, series).
 * (docs/theory/spectrum.md.)
 */
#include "spectrum/spectrum.h"

#include "la/la.h"
#include "query/local.h"

#include <math.h>
#include <string.h>

const rob_option rob_priv_spectrum_option[ROB_SPECTRUM_OPTIONS] = {
    { "steps", 100, 2, 2000, "products", "with the Hessian, at most" },
    { "tolerance", 1e-8, 0, 1, "", "residual of both ends, relative to the larger" },
    { "dense", 48, 0, 8192, "numbers",
      "that may move, up to which the whole matrix is formed" },
    { "margin", 0, 0, 1, "", "1: of the margin's row instead of the cross-entropy" },
    { "seed", 0, 0, 9007199254740992.0, "", "added to the context's seed" },
};

/* One series being worked on. */
typedef struct bench {
    rob_ctx *ctx;
    rob_memory memory;
    const double *option;
    const rob_query *q;
    rob_local *local;
    int64_t series, n, m;
    int64_t *free;                /* (m) */
    double *full, *image, *c, *f; /* (n), (n), (L), (L) */
    rob_ends *ends;
} bench;

/* ---- answers --------------------------------------------------------------------- */

static void free_ends(const rob_memory *m, rob_ends *ends, int64_t count)
{
    for (int64_t i = 0; ends && i < count; i++) {
        rob_priv_release(m, ends[i].low_vector);
        rob_priv_release(m, ends[i].high_vector);
        rob_priv_release(m, ends[i].eigenvalue);
    }
    rob_priv_release(m, ends);
}

void rob_priv_spectrum_forget(rob_spectrum *s)
{
    free_ends(&s->memory, s->ends, s->count);
    s->ends = NULL;
    s->count = 0;
}

static void say_nothing(rob_ends *e)
{
    e->low = e->high = e->low_residual = e->high_residual = NAN;
    e->value = e->gradient_norm = NAN;
    e->values = e->steps = 0;
}

static rob_status make_answers(rob_ctx *ctx, const rob_query *q, rob_spectrum *to)
{
    to->ends = rob_priv_allocate(&to->memory, q->count, sizeof *to->ends);
    if (!to->ends) return rob_priv_no_memory(ctx);
    to->count = q->count;
    for (int64_t i = 0; i < q->count; i++) {
        rob_ends *e = &to->ends[i];
        e->size = q->cases[i].steps * q->model->recipe.features;
        e->low_vector = rob_priv_allocate(&to->memory, e->size, sizeof *e->low_vector);
        e->high_vector = rob_priv_allocate(&to->memory, e->size, sizeof *e->low_vector);
        if (!e->low_vector || !e->high_vector) return rob_priv_no_memory(ctx);
        say_nothing(e);
    }
    return ROB_OK;
}

/* ---- one series ------------------------------------------------------------------ */

static rob_status open_bench(bench *b, int64_t i)
{
    rob_status status = ROB_OK;
    const rob_model *model = b->q->model;
    const rob_case *c = &b->q->cases[i];
    const uint8_t *mask = rob_priv_query_mask_of(b->q, i);
    int64_t outputs = model->recipe.outputs;
    bool entropy = !(b->option[ROB_SPECTRUM_MARGIN] >= 0.5);
    b->series = i;
    b->n = c->steps * model->recipe.features;
    rob_priv_release(&b->memory, b->free);
    rob_priv_release(&b->memory, b->full);
    b->free = rob_priv_allocate(&b->memory, b->n, sizeof *b->free);
    b->full = rob_priv_allocate(&b->memory, 2 * (b->n + outputs), sizeof *b->full);
    if (!b->free || !b->full) return rob_priv_no_memory(b->ctx);
    b->image = b->full + b->n;
    b->c = b->image + b->n;
    b->f = b->c + outputs;
    if (b->local && !rob_priv_local_fits(b->local, b->ctx, model, c->steps, entropy)) {
        rob_priv_local_free(b->local);
        b->local = NULL;
    }
    if (!b->local)
        TRY(rob_priv_local_create(b->ctx, model, c->steps, entropy, &b->local));
    b->m = 0;
    for (int64_t k = 0; k < b->n; k++)
        if (!mask || mask[k]) b->free[b->m++] = k;
done:
    return status;
}

static void close_bench(bench *b)
{
    rob_priv_local_free(b->local);
    rob_priv_release(&b->memory, b->free);
    rob_priv_release(&b->memory, b->full);
}

/* Go to x; c the coefficients of the objective there, its value and slope noted. */
static void settle(bench *b)
{
    const rob_case *c = &b->q->cases[b->series];
    const rob_spec *spec = &c->spec;
    int64_t row = 0;
    bool margin = b->option[ROB_SPECTRUM_MARGIN] >= 0.5;
    rob_priv_local_place(b->local, c->x, b->f);
    memset(b->c, 0, (size_t)b->q->model->recipe.outputs * sizeof *b->c);
    if (margin) {
        rob_priv_spec_margin(spec, b->f, &row);
        memcpy(b->c, spec->c + row * spec->outputs,
               (size_t)spec->outputs * sizeof *b->c);
    } else b->c[c->reference >= 0 ? c->reference : c->prediction] = -1;
    b->ends->value =
        rob_priv_local_gradient(b->local, b->c, b->full) + (margin ? spec->b[row] : 0);
    for (int64_t k = 0; k < b->m; k++) b->image[k] = b->full[b->free[k]];
    b->ends->gradient_norm = rob_priv_norm(ROB_NORM_L2, b->image, b->m);
    b->ends->flat = rob_priv_local_flat(b->local);
}

static rob_status product(void *user, const double *v, double *hv)
{
    bench *b = user;
    memset(b->full, 0, (size_t)b->n * sizeof *b->full);
    for (int64_t k = 0; k < b->m; k++) b->full[b->free[k]] = v[k];
    rob_priv_local_product(b->local, b->full, b->image);
    for (int64_t k = 0; k < b->m; k++) hv[k] = b->image[b->free[k]];
    return rob_priv_cancelled(b->ctx) ? ROB_STOPPED : ROB_OK;
}

/* to (n) <- v (m) */
static void spread(const bench *b, const double *v, double *to)
{
    memset(to, 0, (size_t)b->n * sizeof *to);
    for (int64_t k = 0; k < b->m; k++) to[b->free[k]] = v[k];
}

static rob_status whole_matrix(bench *b)
{
    rob_status status = ROB_OK;
    int64_t m = b->m;
    rob_ends *e = b->ends;
    double *h = rob_priv_allocate(&b->memory, 2 * m * m, sizeof *h), *v;
    CHECK(h, b->ctx, ROB_EMEMORY, "out of memory for a Hessian of %lld", (long long)m);
    v = h + m * m;
    status = rob_priv_local_hessian(b->ctx, b->local, b->q->cases[b->series].x, b->c,
                                    b->free, m, h);
    if (status != ROB_OK) goto done;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < i; j++)
            h[i * m + j] = h[j * m + i] = (h[i * m + j] + h[j * m + i]) / 2;
    status = rob_priv_la_eigen(&b->memory, m, h, e->eigenvalue, v);
    CHECK(status == ROB_OK, b->ctx, status, "series %lld: the Hessian is not finite",
          (long long)b->series);
    e->values = m;
    e->low = e->eigenvalue[0];
    e->high = e->eigenvalue[m - 1];
    e->low_residual = e->high_residual = 0;
    spread(b, v, e->low_vector);
    spread(b, v + (m - 1) * m, e->high_vector);
done:
    rob_priv_release(&b->memory, h);
    return status;
}

static rob_status by_lanczos(bench *b, int64_t most)
{
    rob_status status = ROB_OK;
    rob_ends *e = b->ends;
    double *v = rob_priv_allocate(&b->memory, 2 * b->m, sizeof *v);
    if (!v) return rob_priv_no_memory(b->ctx);
    rob_lanczos l = { .n = b->m,
                      .most = most,
                      .tolerance = b->option[ROB_SPECTRUM_TOLERANCE],
                      .product = product,
                      .user = b,
                      .seed = b->ctx->seed + (uint64_t)b->option[ROB_SPECTRUM_SEED],
                      .stream = (uint64_t)b->series,
                      .low_vector = v,
                      .high_vector = v + b->m,
                      .ritz = e->eigenvalue };
    status = rob_priv_la_lanczos(&b->memory, &l);
    if (status < ROB_OK)
        rob_priv_fail(b->ctx, status,
                      "series %lld: the Hessian is not finite, or "
                      "memory is short",
                      (long long)b->series);
    if (status != ROB_OK) goto done;
    e->values = e->steps = l.steps;
    e->low = l.low;
    e->high = l.high;
    e->low_residual = l.low_residual;
    e->high_residual = l.high_residual;
    spread(b, v, e->low_vector);
    spread(b, v + b->m, e->high_vector);
done:
    rob_priv_release(&b->memory, v);
    return status;
}

static rob_status work_on(bench *b)
{
    rob_ends *e = b->ends;
    bool dense = b->m <= (int64_t)b->option[ROB_SPECTRUM_DENSE];
    int64_t most = (int64_t)b->option[ROB_SPECTRUM_STEPS];
    settle(b);
    if (dense || most > b->m) most = b->m;
    if (b->m == 0) {
        e->low = e->high = e->low_residual = e->high_residual = 0;
        return ROB_OK;
    }
    e->eigenvalue = rob_priv_allocate(&b->memory, most, sizeof *e->eigenvalue);
    if (!e->eigenvalue) return rob_priv_no_memory(b->ctx);
    return dense ? whole_matrix(b) : by_lanczos(b, most);
}

rob_status rob_priv_spectrum_run(rob_ctx *ctx, rob_spectrum *s, rob_query *q)
{
    rob_status status = ROB_OK;
    rob_spectrum fresh = *s;
    bench b = { .ctx = ctx, .memory = s->memory, .option = s->option, .q = q };
    fresh.ends = NULL;
    fresh.count = 0;
    TRY(rob_priv_query_knows(ctx, q, 0, "a spectrum"));
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(make_answers(ctx, q, &fresh));
    fresh.unit = rob_priv_query_unit(q);
    for (int64_t i = 0; i < q->count && status == ROB_OK; i++) {
        status = rob_priv_progress(ctx, "spectrum", i, q->count);
        if (status != ROB_OK) break;
        TRY(open_bench(&b, i));
        b.ends = &fresh.ends[i];
        TRY(work_on(&b));
        if (status != ROB_OK) say_nothing(b.ends);
    }
    if (status == ROB_OK) TRY(rob_priv_progress(ctx, "spectrum", q->count, q->count));
    rob_priv_spectrum_forget(s);
    *s = fresh;
done:
    if (status < ROB_OK) free_ends(&s->memory, fresh.ends, fresh.count);
    close_bench(&b);
    return status;
}
