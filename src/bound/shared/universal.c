/* universal.c -- at most how many series one shared perturbation makes fail.
 *
 * For every series its bound on the ball gives rows as affine functions of the shared d,
 *
 *     row_r(x_i + d) >= f_r + a_r.d    for all d in the ball.
 *
 * x_i + d fails only if in some group all rows are <= 0: a group one of whose rows is
 * proved positive everywhere cannot; any other has its best row, and with it a half-space
 * f_r + a_r.d <= 0 outside which it does not fail. How many series one d can have there is
 * shared.c's question. Series whose rows have no affine function always count. What a mask
 * of ANY series holds does not move: its coefficients are zero.
 *
 * docs/theory/bound.md 11.
 */
#include "bound/shared/shared.h"
#include "bound/solve.h"

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

typedef struct hunt {
    rob_ctx *ctx;
    const rob_bound *bound;
    const rob_query *query;
    rob_half *half;
    int64_t halves, n, always, held, open;
    double *at;                   /* coefficients of all half-spaces */
    rob_fp_state host;
} hunt;

static bool must_stop(void *user)
{
    hunt *h = user;
    rob_priv_fp_leave(h->host);
    bool stop = rob_priv_progress(h->ctx, "bound", h->query->count, h->query->count) != ROB_OK;
    h->host = rob_priv_fp_enter();
    return stop;
}

/* The row of group g to go by; -1: one is proved on the whole ball, -2: none is affine. */
static int64_t row_of_group(const rob_spec *s, const rob_answer *a, int64_t n, int64_t g)
{
    const double *fixed = a->affine + s->rows * n, *value = fixed + s->rows;
    int64_t best = -2;
    for (int64_t r = 0; r < s->rows; r++) {
        if (s->group[r] != g) continue;
        if (a->row[r] > 0) return -1;
        if (isfinite(fixed[r]) && (best < 0 || value[r] > value[best])) best = r;
    }
    return best;
}

static bool is_held_by_some(const rob_query *q, int64_t k)
{
    for (int64_t i = 0; i < q->count; i++) {
        const uint8_t *mask = rob_priv_query_mask_of(q, i);
        if (mask != NULL && !mask[k]) return true;
    }
    return false;
}

/* Half-spaces of series i, or that it always counts. */
static void add_series(hunt *h, int64_t i)
{
    const rob_spec *s = &h->query->cases[i].spec;
    const rob_answer *a = &h->bound->answer[i];
    const int64_t before = h->halves;
    for (int64_t g = 0; g < s->groups; g++) {
        int64_t r = row_of_group(s, a, h->n, g);
        if (r == -1) continue;
        double fixed = r < 0 ? -INFINITY : a->affine[s->rows * h->n + r];
        if (!isfinite(fixed)) {
            h->halves = before;
            h->always++;
            h->open++;
            return;
        }
        h->half[h->halves++] = (rob_half){ i, fixed, a->affine + r * h->n };
    }
    h->open += h->halves > before;
}

/* Copies, zero where some mask holds. */
static bool copy_coefficients(hunt *h)
{
    const rob_memory *m = &h->bound->memory;
    uint8_t *held = rob_priv_allocate(m, h->n + 1, 1);
    h->at = rob_priv_allocate(m, h->halves * h->n + 1, (int64_t)sizeof *h->at);
    bool fine = held != NULL && h->at != NULL;
    for (int64_t k = 0; fine && k < h->n; k++) held[k] = is_held_by_some(h->query, k);
    for (int64_t r = 0; fine && r < h->halves; r++) {
        double *to = h->at + r * h->n;
        for (int64_t k = 0; k < h->n; k++) to[k] = held[k] ? 0 : h->half[r].at[k];
        h->half[r].at = to;
    }
    rob_priv_release(m, held);
    return fine;
}

static rob_status count(hunt *h, int64_t *most)
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
    *most = h->always;
    if (h->halves == 0) return ROB_OK;
    if (!copy_coefficients(h)) return ROB_EMEMORY;
    rob_shared s = { .half = h->half, .halves = h->halves, .n = h->n, .norm = q->norm,
                     .cuts = (int64_t)h->bound->option[ROB_BOUND_CUTS],
                     .eps = fp_max(rob_priv_query_radius(q),
                                   rob_priv_bound_radius_up(q, q->radius)),
                     .stop = must_stop, .stop_user = h };
    rob_status status = rob_priv_shared_most(m, &s);
    *most += s.most;
    return status;
}

static rob_status check_lengths(rob_ctx *ctx, const rob_query *q)
{
    rob_status status = ROB_OK;
    for (int64_t i = 1; i < q->count; i++)
        CHECK(q->cases[i].steps == q->cases[0].steps, ctx, ROB_ESHAPE,
              "series %lld has %lld steps, series 0 %lld; one perturbation needs one length",
              (long long)i, (long long)q->cases[i].steps, (long long)q->cases[0].steps);
done:
    return status;
}

rob_status rob_priv_bound_universal(rob_ctx *ctx, rob_bound *b, rob_query *q)
{
    rob_status status = ROB_OK;
    int64_t most = 0;
    TRY(check_lengths(ctx, q));
    TRY(rob_priv_query_knows(ctx, q, ~(ROB_PART_COUNT | ROB_PART_SUBSPACE | ROB_PART_SCALE),
                             "a bound on one perturbation for all"));
    rob_status solved = status = rob_priv_bound_solve(ctx, b, q, ROB_ASK_UNIVERSAL);
    if (status < ROB_OK) goto done;
    hunt h = { .ctx = ctx, .bound = b, .query = q };
    if (b->answer == NULL) h.held = h.open = most = q->count;
    else if (q->count > 0) {
        h.n = q->cases[0].steps * q->model->recipe.features;
        h.host = rob_priv_fp_enter();
        status = count(&h, &most);
        rob_priv_fp_leave(h.host);
    }
    rob_priv_release(&b->memory, h.half);
    rob_priv_release(&b->memory, h.at);
    if (status == ROB_EMEMORY) status = rob_priv_no_memory(ctx);
    if (status < ROB_OK) goto done;
    b->universal[0] = (double)most;
    b->universal[1] = (double)h.held;
    b->universal[2] = (double)h.open;
    b->shared = true;
    if (status == ROB_OK) status = solved;
done:
    return status;
}
