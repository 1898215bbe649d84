/* slopes.c -- what the gradient at a series is worth: in float32, and as a direction.
 *
 * g32, g64 are the gradients of the margin F at x in both precisions, in the coordinates of
 * the region. A number of g32 that is 0 or below the least normal float32, 2^-126, carries
 * nothing; cos(g32, g64) says how far the rest is to be believed; it is 0 where g32 is
 * nothing at all. The log-odds of the class at x are those of loss.c. Along s(g64), the steepest direction of the norm, F is then watched at
 * t = k/16 of the way to the nearest failing point known:
 *     rise = max_k (F(x + t_k s) - min_{j<k} F(x + t_j s)) / F(x).
 * (docs/theory/attack.md, section 11.)
 */
#include "attack/diagnose.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { PLACES = 16 };

/* Gradients at x of all series that hold, one after the other from offset[i]. */
typedef struct slopes {
    double *grad;
    int64_t *offset;
} slopes;

static rob_status slopes_open(rob_ctx *ctx, const rob_query *q, slopes *s)
{
    int64_t total = 0;
    rob_region r;
    s->offset = rob_priv_allocate(&ctx->memory, q->count + 1, sizeof *s->offset);
    if (!s->offset) return rob_priv_no_memory(ctx);
    for (int64_t i = 0; i < q->count; i++) {
        rob_priv_query_region(q, i, &r);
        s->offset[i + 1] = total += r.m;
    }
    s->grad = rob_priv_allocate(&ctx->memory, total + 1, sizeof *s->grad);
    return s->grad ? ROB_OK : rob_priv_no_memory(ctx);
}

static void slopes_close(rob_ctx *ctx, slopes *s)
{
    rob_priv_release(&ctx->memory, s->grad);
    rob_priv_release(&ctx->memory, s->offset);
}

/* one lane a series; precision in bits */
static rob_attack plain(const rob_query *q, double precision, const char *loss)
{
    rob_attack a = { .memory = q->memory, .loss = rob_priv_loss_named(loss) };
    a.method = rob_priv_attack_method("pgd");
    for (int64_t k = 0; k < a.method->options; k++) {
        const rob_option *o = &a.method->option[k];
        a.option[k] = strcmp(o->name, "precision") == 0 ? precision : o->value;
    }
    return a;
}

static rob_status gradients_at(rob_hunt *h, int64_t first)
{
    rob_priv_hunt_begin(h, first);
    rob_priv_hunt_wake(h, 0, 1);
    return rob_priv_hunt_gradients(h);
}

/* float32 gradients of every series */
static rob_status take_narrow(rob_ctx *ctx, rob_query *q, slopes *s)
{
    rob_status status = ROB_OK;
    rob_hunt h = { 0 };
    rob_attack a = plain(q, 32, "margin");
    TRY(rob_priv_hunt_create(ctx, &a, q, &h));
    for (int64_t first = 0; first < q->count && status == ROB_OK; first += h.series) {
        TRY(gradients_at(&h, first));
        for (int64_t r = 0; r < h.rows && status == ROB_OK; r++) {
            const rob_lane *l = h.row[r];
            memcpy(s->grad + s->offset[l->series], l->grad,
                   (size_t)rob_priv_lane_size(&h, l) * sizeof *l->grad);
        }
    }
done:
    rob_priv_hunt_free(&h);
    return status;
}

static double cosine(const double *a, const double *b, int64_t n)
{
    double sum = 0, la = rob_priv_norm(ROB_NORM_L2, a, n),
           lb = rob_priv_norm(ROB_NORM_L2, b, n);
    if (!(rob_priv_norm(ROB_NORM_LINF, a, n) >= (double)FLT_MIN) || !(lb > 0)) return 0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] / la) * (b[i] / lb);
    return sum;
}

/* share of the numbers that may move whose float32 gradient is nothing */
static double nothing_in(const rob_hunt *h, const rob_lane *l, const double *g)
{
    const rob_region *r = rob_priv_lane_region(h, l);
    int64_t nothing = 0, all = 0;
    for (int64_t i = 0; i < r->m; i++) {
        if (!r->basis && !(rob_priv_region_scale(r, i) > 0)) continue;
        nothing += !(fabs(g[i]) >= (double)FLT_MIN);
        all++;
    }
    return all > 0 ? (double)nothing / (double)all : NAN;
}

/* The margins along each lane's steepest direction; spare is that direction. */
static rob_status watch_descent(rob_hunt *h, double *const *column)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        double nearest = column[ROB_L_NEAREST][l->series] / rob_priv_query_unit(h->q);
        l->active = l->active && isfinite(nearest)
                    && rob_priv_ball_steepest(h->norm, l->grad, rob_priv_lane_size(h, l),
                                              l->spare);
        l->eps = nearest;
        l->low = l->high = l->margin; /* F(x), and the least so far */
        if (l->active) column[ROB_L_RISE][l->series] = 0;
    }
    for (int64_t step = 1; step <= PLACES && status == ROB_OK; step++) {
        for (int64_t k = 0; k < h->lanes; k++) {
            rob_lane *l = &h->lane[k];
            double t = l->eps * (double)step / PLACES;
            for (int64_t i = 0; l->active && i < rob_priv_lane_size(h, l); i++)
                l->delta[i] = t * l->spare[i];
        }
        TRY(rob_priv_hunt_values(h));
        for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
            rob_lane *l = h->row[r];
            double *rise = &column[ROB_L_RISE][l->series];
            *rise = fmax(*rise, (l->margin - l->low) / l->high);
            l->low = fmin(l->low, l->margin);
        }
    }
done:
    return status;
}

/* log-odds of the reference at x */
static rob_status look_at_odds(rob_ctx *ctx, rob_query *q, double *odds)
{
    rob_status status = ROB_OK;
    rob_hunt h = { 0 };
    rob_attack a = plain(q, 64, "ce");
    TRY(rob_priv_hunt_create(ctx, &a, q, &h));
    for (int64_t first = 0; first < q->count && status == ROB_OK; first += h.series) {
        TRY(gradients_at(&h, first));
        for (int64_t r = 0; r < h.rows && status == ROB_OK; r++)
            if (rob_priv_lane_case(&h, h.row[r])->target < 0)
                odds[h.row[r]->series] = h.row[r]->loss_value;
    }
done:
    rob_priv_hunt_free(&h);
    return status;
}

static rob_status look(rob_ctx *ctx, rob_query *q, const slopes *narrow,
                       double *const *column)
{
    rob_status status = ROB_OK;
    rob_hunt h = { 0 };
    rob_attack a = plain(q, 64, "margin");
    TRY(rob_priv_hunt_create(ctx, &a, q, &h));
    for (int64_t first = 0; first < q->count && status == ROB_OK; first += h.series) {
        TRY(gradients_at(&h, first));
        for (int64_t r = 0; r < h.rows && status == ROB_OK; r++) {
            const rob_lane *l = h.row[r];
            const double *g = narrow->grad + narrow->offset[l->series];
            int64_t n = rob_priv_lane_size(&h, l);
            column[ROB_L_AGREEMENT][l->series] = cosine(g, l->grad, n);
            column[ROB_L_ZERO][l->series] = nothing_in(&h, l, g);
            column[ROB_L_GRADIENT][l->series] =
                rob_priv_ball_dual(h.norm, l->grad, n) / rob_priv_query_unit(q);
        }
        if (status == ROB_OK) TRY(watch_descent(&h, column));
    }
done:
    rob_priv_hunt_free(&h);
    return status;
}

rob_status rob_priv_diagnose_slopes(rob_ctx *ctx, rob_query *q, double *const *column)
{
    rob_status status = ROB_OK;
    slopes s = { 0 };
    if (q->count == 0 || (q->model->callback.logits && !q->model->callback.pullback))
        return ROB_OK;
    TRY(slopes_open(ctx, q, &s));
    TRY(take_narrow(ctx, q, &s));
    if (status == ROB_OK) TRY(look(ctx, q, &s, column));
    if (status == ROB_OK && q->rows.rows == 0)
        TRY(look_at_odds(ctx, q, column[ROB_L_ODDS]));
done:
    slopes_close(ctx, &s);
    return status;
}
