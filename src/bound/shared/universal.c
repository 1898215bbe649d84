/* universal.c -- at most how many series one shared perturbation makes fail.
 *
 * For every series its bound on the ball gives rows as affine functions of the shared d,
 *
 *     row_r(x_i + d) >= f_r + a_r.d    for all d in the ball.
 *
 * x_i + d fails only if in some group all rows are <= 0: a group one of whose rows is
 * proved positive everywhere cannot; any other has its best row, and with it a half-space
 * f_r + a_r.d <= 0 outside which it does not fail. How many series one d can have there is
 * shared.c's question, asked in the coordinates u of d = E u where there is a subspace.
 * Series whose rows have no affine function always count. What a mask of ANY series holds
 * does not move: its coefficients are zero. Few coordinates: parts.c goes on.
 *
 * docs/theory/bound.md 12.
 */
#include "bound/shared/universal.h"

#include <string.h>

rob_status rob_priv_bound_affine(rob_work *w, const rob_ball *ball, const rob_demand *d,
                                 bool crown, rob_proof *row, double *affine, rob_outcome *out)
{
    const int64_t n = w->net->steps * w->net->features, rows = d->rows;
    double *now = rob_priv_allocate(&w->memory, w->tile * n, (int64_t)sizeof *now);
    if (now == NULL) return ROB_EMEMORY;
    rob_affine a = { affine, affine + rows * n, affine + rows * (n + 1), now, false };
    w->affine = &a;
    rob_status status = rob_priv_bound_ball(w, ball, d, crown, row, out);
    w->affine = NULL;
    rob_priv_release(&w->memory, now);
    return status;
}

static bool must_stop(void *user)
{
    rob_hunt *h = user;
    rob_priv_fp_leave(h->host);
    bool stop = rob_priv_progress(h->ctx, "bound", h->query->count, h->query->count) != ROB_OK;
    h->host = rob_priv_fp_enter();
    return stop;
}

int64_t rob_priv_hunt_row(const rob_spec *s, const double *row, const double *affine,
                          int64_t n, int64_t g)
{
    const double *fixed = affine + s->rows * n, *value = fixed + s->rows;
    int64_t best = -2;
    for (int64_t r = 0; r < s->rows; r++) {
        if (s->group[r] != g) continue;
        if (row[r] > 0) return -1;
        if (isfinite(fixed[r]) && (best < 0 || value[r] > value[best])) best = r;
    }
    return best;
}

double rob_priv_hunt_pull(const rob_hunt *h, const double *a, const double *by, double reach,
                          double *to)
{
    double loss = 0, ops = 2 * (double)h->n + 8;
    for (int64_t j = 0; j < h->m; j++) {
        double sum = 0, all = 0;
        for (int64_t k = 0; h->basis != NULL && k < h->n; k++) {
            double part = h->moves[k] ? a[k] * h->basis[k * h->m + j] : 0;
            sum += part;
            all += fabs(part);
        }
        if (h->basis == NULL) sum = h->moves[j] ? a[j] : 0;
        to[j] = by != NULL ? sum * by[j] : sum;
        if (h->basis == NULL) continue;
        all *= by != NULL ? by[j] : 1;
        loss = fp_add_up(loss, fp_mul_up(ops * ROB_U, all) + ops * ROB_TINY);
    }
    return fp_mul_up(loss, reach);
}

/* Half-spaces of series i, or that it always counts. */
static void add_series(rob_hunt *h, int64_t i)
{
    const rob_spec *s = &h->query->cases[i].spec;
    const rob_answer *a = &h->bound->answer[i];
    const int64_t before = h->halves;
    for (int64_t g = 0; g < s->groups; g++) {
        int64_t r = rob_priv_hunt_row(s, a->row, a->affine, h->n, g);
        if (r == -1) continue;
        double fixed = r < 0 ? -INFINITY : a->affine[s->rows * h->n + r];
        if (!isfinite(fixed)) {
            h->halves = before;
            h->always++;
            h->lost[i] = true;
            h->open++;
            return;
        }
        h->half[h->halves++] = (rob_half){ i, fixed, a->affine + r * h->n };
    }
    h->lost[i] = h->halves > before;
    h->open += h->lost[i];
}

/* In coordinates of u. */
static bool copy_coefficients(rob_hunt *h)
{
    h->at = rob_priv_allocate(&h->bound->memory, h->halves * h->m + 1,
                              (int64_t)sizeof *h->at);
    for (int64_t r = 0; h->at != NULL && r < h->halves; r++) {
        double *to = h->at + r * h->m;
        double loss = rob_priv_hunt_pull(h, h->half[r].at, NULL, h->eps, to);
        h->half[r].fixed = fp_or_lo(fp_add_lo(h->half[r].fixed, -loss));
        h->half[r].at = to;
    }
    return h->at != NULL;
}

static rob_status count(rob_hunt *h)
{
    const rob_memory *m = &h->bound->memory;
    const rob_query *q = h->query;
    int64_t room = 1;
    for (int64_t i = 0; i < q->count; i++) room += q->cases[i].spec.groups;
    h->half = rob_priv_allocate(m, room, (int64_t)sizeof *h->half);
    if (h->half == NULL) return ROB_EMEMORY;
    for (int64_t i = 0; i < q->count; i++) {
        if (q->cases[i].wrong) continue;
        h->held++;
        add_series(h, i);
    }
    h->most = h->always;
    if (h->halves == 0) return ROB_OK;
    if (!copy_coefficients(h)) return ROB_EMEMORY;
    rob_shared s = { .half = h->half, .halves = h->halves, .n = h->m, .norm = q->norm,
                     .cuts = (int64_t)h->bound->option[ROB_BOUND_CUTS], .eps = h->eps,
                     .stop = must_stop, .stop_user = h };
    rob_status status = rob_priv_shared_most(m, &s);
    h->most += s.most;
    return status;
}

/* ---- coordinates ----------------------------------------------------------------- */

static bool is_held_by_some(const rob_query *q, int64_t k)
{
    for (int64_t i = 0; i < q->count; i++) {
        const uint8_t *mask = rob_priv_query_mask_of(q, i);
        if (mask != NULL && !mask[k]) return true;
    }
    return false;
}

/* Unit columns for few numbers that move. */
static rob_status span_numbers(rob_hunt *h)
{
    int64_t free = 0, j = 0;
    h->m = h->n;
    for (int64_t k = 0; k < h->n; k++) free += h->moves[k];
    if (free == 0 || free > ROB_WAYS_MOST) return ROB_OK;
    h->own = rob_priv_allocate(&h->bound->memory, h->n * free, (int64_t)sizeof *h->own);
    if (h->own == NULL) return ROB_EMEMORY;
    for (int64_t k = 0; k < h->n; k++)
        if (h->moves[k]) h->own[k * free + j++] = 1;
    h->basis = h->own;
    h->m = free;
    return ROB_OK;
}

static rob_status find_coordinates(rob_hunt *h)
{
    const rob_memory *m = &h->bound->memory;
    const rob_query *q = h->query;
    rob_region region;
    rob_priv_query_region(q, 0, &region);
    h->n = region.n;
    h->m = region.m;
    h->basis = region.basis;
    h->eps = fp_max(rob_priv_query_radius(q), rob_priv_bound_radius_up(q, q->radius));
    h->moves = rob_priv_allocate(m, h->n + 1, 1);
    h->lost = rob_priv_allocate(m, q->count + 1, (int64_t)sizeof *h->lost);
    if (h->moves == NULL || h->lost == NULL) return ROB_EMEMORY;
    for (int64_t k = 0; k < h->n; k++) h->moves[k] = !is_held_by_some(q, k);
    return h->basis == NULL ? span_numbers(h) : ROB_OK;
}

static rob_status find_most(rob_hunt *h)
{
    rob_status status = find_coordinates(h);
    h->host = rob_priv_fp_enter();
    if (status == ROB_OK) status = count(h);
    rob_priv_fp_leave(h->host);
    if (status == ROB_OK) status = rob_priv_hunt_parts(h);
    return status;
}

static rob_status check_series(rob_ctx *ctx, const rob_query *q)
{
    rob_status status = ROB_OK;
    for (int64_t i = 1; i < q->count; i++)
        CHECK(q->cases[i].steps == q->cases[0].steps, ctx, ROB_ESHAPE,
              "series %lld has %lld steps, series 0 %lld; one perturbation needs one length",
              (long long)i, (long long)q->cases[i].steps, (long long)q->cases[0].steps);
    for (int64_t i = 0; i < q->count; i++)
        CHECK(q->cases[i].parts.basis == NULL, ctx, ROB_EUNSUPPORTED,
              "series %lld has a subspace of its own; one perturbation needs one for all",
              (long long)i);
done:
    return status;
}

rob_status rob_priv_bound_universal(rob_ctx *ctx, rob_bound *b, rob_query *q)
{
    rob_status status = ROB_OK;
    rob_hunt h = { .ctx = ctx, .bound = b, .query = q, .begun = rob_priv_clock() };
    TRY(check_series(ctx, q));
    TRY(rob_priv_query_knows(ctx, q, ~(ROB_PART_COUNT | ROB_PART_SCALE),
                             "a bound on one perturbation for all"));
    rob_status solved = status = rob_priv_bound_solve(ctx, b, q, ROB_ASK_UNIVERSAL);
    if (status < ROB_OK) goto done;
    if (b->answer == NULL) h.held = h.open = h.most = q->count;
    else if (q->count > 0) status = find_most(&h);
    if (status == ROB_EMEMORY) status = rob_priv_no_memory(ctx);
    if (status < ROB_OK) goto done;
    b->universal[0] = (double)h.most;
    b->universal[1] = (double)h.held;
    b->universal[2] = (double)h.open;
    b->shared = true;
    if (status == ROB_OK) status = solved;
done:
    for (int64_t k = 0; k < 5; k++)
        rob_priv_release(&b->memory, (void *const[]){ h.half, h.at, h.own, h.moves, h.lost }[k]);
    return status;
}
