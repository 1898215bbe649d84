/* count.c -- how often a random direction fails: crude Monte Carlo with an exact
 * interval.
 *
 *     p_hat = hits/samples,   [lower, upper] by Clopper and Pearson (beta.c),
 * P(p outside) <= 1 - confidence whatever p is. In dimension 1 the sphere is {-1, 1}
 * and two margins tell p itself. (docs/theory/sample.md, section 6.)
 */
#include "sample/sample.h"
#include "sample/closed.h"

#include <math.h>

rob_status rob_priv_sample_exact(rob_room *room, const rob_field *f, rob_estimate *out)
{
    rob_status status = ROB_OK;
    room->row[0][0] = 1;
    room->row[1][0] = -1;
    TRY(rob_priv_room_margins(room, f, 2, (const double *const *)room->row,
                              room->margin));
    if (status == ROB_STOPPED) goto done;
    int64_t hits = (room->margin[0] <= 0) + (room->margin[1] <= 0);
    double logp = log((double)hits / 2);
    *out = (rob_estimate){.logp = logp, .lower = logp, .upper = logp, .samples = 2,
                          .hits = hits, .calls = 2, .method = ROB_SAMPLED_EXACT};
done:
    return status;
}

typedef struct draws { rob_room *room; uint64_t key; int64_t dimension, first; } draws;

static void draw_row(void *user, int64_t task, int32_t worker)
{
    const draws *d = user;
    (void)worker;
    rob_priv_sphere_draw(d->key, (uint64_t)(d->first + task), d->dimension,
                         d->room->row[task]);
}

static rob_status count_block(draws *d, const rob_field *f, int64_t rows, int64_t *hits)
{
    rob_status status = ROB_OK;
    rob_room *room = d->room;
    rob_priv_parallel(room->ctx, draw_row, d, rows);
    TRY(rob_priv_room_margins(room, f, rows, (const double *const *)room->row,
                              room->margin));
    if (status == ROB_STOPPED) goto done;
    for (int64_t r = 0; r < rows; r++) *hits += room->margin[r] <= 0;
done:
    return status;
}

rob_status rob_priv_sample_count(rob_room *room, const rob_field *f, uint64_t seed,
                                 int64_t series, const rob_sample_settings *s,
                                 rob_estimate *out)
{
    rob_status status = ROB_OK;
    int64_t hits = 0;
    draws d = {.room = room, .dimension = f->dimension,
               .key = rob_priv_sphere_key(seed, series, ROB_DRAW_DIRECTION)};
    for (int64_t rows; d.first < s->samples; d.first += rows) {
        if (d.first >= s->pilot && hits < s->least) break;
        rows = s->samples - d.first < room->block ? s->samples - d.first : room->block;
        TRY(count_block(&d, f, rows, &hits));
        if (status == ROB_STOPPED) goto done;
    }
    double share = (double)hits / (double)d.first;
    *out = (rob_estimate){.logp = log(share), .samples = d.first,
                          .hits = hits, .calls = d.first, .method = ROB_SAMPLED_COUNT};
    rob_priv_binomial_interval(hits, d.first, s->confidence, &out->lower, &out->upper);
done:
    return status;
}
