/* certify_parts.c -- a certificate in parts, where the whole region has none.
 *
 * The region is cut in two, x_k <= m and x_k >= m, where the row that decides moves most,
 * |A_k| times the width of x_k, m half way; each part again, until each has a certificate of
 * its own. A part lies in the ball of the same radius about the point of its box nearest to
 * x: that ball within the box is what is bounded. Parts are numbered as they are proved, the
 * left one of two first (docs/theory/certificate.md 2).
 */
#include "bound/certify.h"

#include <string.h>

typedef struct search {
    rob_work *w;
    const rob_ball *whole;
    const rob_demand *demand;
    rob_cert *cert;
    int64_t n, most;              /* numbers of x; parts there may be */
    double deadline, margin;
    double *x, *a;                /* (n) a part's centre; coefficients of a row */
    rob_region region;            /* the whole's, within the part's walls */
    double *low, *high;           /* (n) */
} search;

/* ---- one part -------------------------------------------------------------------- */

/* False: there is nothing in it. */
static bool place(search *s)
{
    for (int64_t k = 0; k < s->n; k++) {
        if (s->low[k] > s->high[k]) return false;
        s->x[k] = fp_min(fp_max(s->whole->x[k], s->low[k]), s->high[k]);
    }
    return true;
}

static rob_status try_part(search *s)
{
    rob_cert *c = s->cert;
    const int64_t mark = c->claims;
    rob_ball ball = *s->whole;
    ball.x = s->x;
    ball.region = &s->region;
    if (!rob_priv_cert_depths(c, c->parts + 1)) return ROB_EMEMORY;
    rob_status status = rob_priv_bound_certify(s->w, &ball, s->demand, c);
    for (int64_t i = mark; i < c->claims; i++) c->claim[i].part = (int32_t)c->parts;
    if (status != ROB_OK || !(c->margin > 0)) rob_priv_cert_forget(c, mark);
    return status;
}

/* ---- where it is cut ------------------------------------------------------------- */

static void look(void *user, int32_t cell, int64_t rows, const double *a)
{
    search *s = user;
    const rob_cell *c = &s->w->net->cell[cell];
    if (c->kind != ROB_CELL_INPUT || rows != 1) return;
    for (int64_t e = 0; e < c->size; e++) s->a[c->first + e] = a[e];
}

/* The coefficients, on x, of the row with the least margin among those last bounded. */
static rob_status look_at_row(search *s)
{
    rob_work *w = s->w;
    const rob_demand *d = s->demand;
    rob_status status = ROB_OK;
    double least = INFINITY;
    memset(s->a, 0, (size_t)s->n * sizeof *s->a);
    w->depth = 0;
    w->plain = true;
    w->look_user = s;
    for (int64_t r = 0; r < d->rows && status == ROB_OK && !w->broken; r++) {
        w->look = NULL;
        status = rob_priv_sweep(w, w->net->output, 1, d->c + r * d->outputs, d->outputs, d->b + r);
        if (status != ROB_OK || !(w->proof[0].value < least)) continue;
        least = w->proof[0].value;
        w->look = look;
        status = rob_priv_sweep(w, w->net->output, 1, d->c + r * d->outputs, d->outputs, d->b + r);
    }
    w->look = NULL;
    w->plain = false;
    return status;
}

/* -1: no number has a width. */
static int64_t choose(const search *s)
{
    rob_ball ball = *s->whole;
    double most = 0, widest = 0;
    int64_t best = -1, wide = -1;
    ball.x = s->x;
    ball.region = &s->region;
    for (int64_t k = 0; k < s->n; k++) {
        double lo, up;
        rob_priv_ball_range(&ball, k, 1, &lo, &up);
        if (!isfinite(up - lo)) continue;
        if (up - lo > widest) widest = up - lo, wide = k;
        if (fabs(s->a[k]) * (up - lo) > most) most = fabs(s->a[k]) * (up - lo), best = k;
    }
    return best >= 0 ? best : wide;
}

static double middle_of(const search *s, int64_t k)
{
    rob_ball ball = *s->whole;
    double lo, up;
    ball.x = s->x;
    ball.region = &s->region;
    rob_priv_ball_range(&ball, k, 1, &lo, &up);
    return 0.5 * lo + 0.5 * up;
}

/* ---- the tree -------------------------------------------------------------------- */

static rob_status grow(search *s, int depth);

/* Both sides of x_k = where; the first that fails ends it all, with margin -INFINITY. */
static rob_status cut(search *s, int64_t k, double where, int depth)
{
    const double low = s->low[k], high = s->high[k];
    if (!rob_priv_cert_cut(s->cert, k, where)) return ROB_EMEMORY;
    s->high[k] = fp_min(where, high);
    rob_status status = grow(s, depth + 1);
    s->high[k] = high;
    s->low[k] = fp_max(where, low);
    if (status == ROB_OK && s->margin > 0) status = grow(s, depth + 1);
    s->low[k] = low;
    return status;
}

static rob_status grow(search *s, int depth)
{
    const bool any = place(s);
    rob_status status = any ? try_part(s) : ROB_OK;
    if (status != ROB_OK) return status;
    if (!any || s->cert->margin > 0) {
        if (any) s->margin = fp_min(s->margin, s->cert->margin);
        else if (!rob_priv_cert_depths(s->cert, s->cert->parts + 1)) return ROB_EMEMORY;
        return rob_priv_cert_cut(s->cert, -1, 0) ? ROB_OK : ROB_EMEMORY;
    }
    status = look_at_row(s);
    if (status != ROB_OK) return status;
    int64_t k = choose(s);
    if (k < 0 || depth >= ROB_CERTIFY_DEEPEST || s->cert->cuts >= 2 * s->most
        || rob_priv_clock() > s->deadline) {
        s->margin = -INFINITY;
        return ROB_OK;
    }
    return cut(s, k, middle_of(s, k), depth);
}

rob_status rob_priv_certify_parts(rob_work *w, const rob_ball *ball, const rob_region *region,
                                  const rob_demand *d, int64_t most, double deadline,
                                  rob_cert *cert)
{
    const int64_t n = w->net->steps * w->net->features;
    double *room = rob_priv_allocate(&w->memory, 4 * n, (int64_t)sizeof *room);
    if (room == NULL) return ROB_EMEMORY;
    search s = { .w = w, .whole = ball, .demand = d, .cert = cert, .n = n, .most = most,
                 .deadline = deadline, .margin = INFINITY, .x = room, .a = room + n,
                 .region = *region, .low = room + 2 * n, .high = room + 3 * n };
    for (int64_t k = 0; k < n; k++) {
        s.low[k] = region->low.at != NULL ? region->low.at[k % region->low.count] : -INFINITY;
        s.high[k] = region->high.at != NULL ? region->high.at[k % region->high.count] : INFINITY;
    }
    s.region.low = (rob_list){ .at = s.low, .count = n };
    s.region.high = (rob_list){ .at = s.high, .count = n };
    rob_status status = grow(&s, 0);
    cert->margin = s.margin;
    rob_priv_release(&w->memory, room);
    return status;
}
