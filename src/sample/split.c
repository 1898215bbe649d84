/* split.c -- probabilities of rare events by adaptive multilevel splitting on the
 * margin.
 *
 * N particles, uniform on the sphere. Level by level: L, the k-th largest margin; the K
 * >= k particles with F >= L are killed and each becomes a copy of a survivor, moved M
 * times on a geodesic, a move being refused where F >= L. At the first L <= 0, with C
 * particles at F <= 0,
 *     p_hat = prod_j (1 - K_j/N) C/N,
 * which has mean p for every N, k and M. Interval: the score interval of
 *     var log p_hat = sum_j K_j/(N (N - K_j)) + (N - C)/(N C),
 * the variance for independent survivors; for k = 1 it is Guyader's, log p_hat
 * +- z sqrt(-log p/N). The angle is adapted between levels to accept about 3 moves in
 * 10.
 * F. Cerou & A. Guyader, Stoch. Anal. Appl. 25 (2007); A. Guyader, N. Hengartner &
 * E. Matzner-Lober, Appl. Math. Optim. 64 (2011); C.-E. Brehier et al., Ann. Appl.
 * Probab. 26 (2016); S. Webb et al., ICLR 2019. (docs/theory/sample.md, section 7.)
 */
#include "sample/sample.h"
#include "sample/closed.h"

#include <math.h>
#include <string.h>

/* One run. */
typedef struct swarm {
    rob_room *room;
    const rob_field *field;
    const rob_sample_settings *s;
    uint64_t directions, parents, moves;    /* keys */
    double logp, variance, angle, level;
    int64_t kill, killed, alive;
    int64_t levels, calls, steps, accepted, tried;
    int64_t first, rows;                    /* of killed: the part now moving */
} swarm;

/* ---- order statistic ------------------------------------------------------------- */

/* The k-th largest of (n) numbers, k from 1; v is reordered. Hoare's selection. */
static double largest(double *v, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1, at = k - 1;
    while (low < high) {
        double pivot = v[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (v[i] > pivot) i++;
            while (v[j] < pivot) j--;
            if (i > j) break;
            double held = v[i];
            v[i++] = v[j];
            v[j--] = held;
        }
        if (at <= j) high = j;
        else if (at >= i) low = i;
        else break;
    }
    return v[at];
}

/* ---- start ----------------------------------------------------------------------- */

static void draw_particle(void *user, int64_t task, int32_t worker)
{
    const swarm *w = user;
    (void)worker;
    rob_priv_sphere_draw(w->directions, (uint64_t)(w->first + task),
                         w->field->dimension, w->room->particle[w->first + task]);
}

static rob_status start(swarm *w)
{
    rob_status status = ROB_OK;
    rob_room *room = w->room;
    int64_t n = w->s->particles;
    for (w->first = 0; w->first < n && status == ROB_OK; w->first += w->rows) {
        w->rows = n - w->first < room->block ? n - w->first : room->block;
        rob_priv_parallel(room->ctx, draw_particle, w, w->rows);
        TRY(rob_priv_room_margins(room, w->field, w->rows,
                                  (const double *const *)room->particle + w->first,
                                  room->level + w->first));
    }
    w->calls = n;
done:
    return status;
}

/* ---- one level ------------------------------------------------------------------- */

static void choose_level(swarm *w)
{
    rob_room *room = w->room;
    int64_t n = w->s->particles;
    memcpy(room->sorted, room->level, (size_t)n * sizeof *room->sorted);
    w->level = largest(room->sorted, n, w->kill);
    w->killed = w->alive = 0;
    for (int64_t i = 0; i < n; i++) {
        if (room->level[i] >= w->level) room->killed[w->killed++] = i;
        else room->alive[w->alive++] = i;
    }
}

static void revive(swarm *w)
{
    rob_room *room = w->room;
    for (int64_t r = 0; r < w->killed; r++) {
        uint64_t stream = (uint64_t)w->levels << 24 | (uint64_t)r;
        rob_random random = rob_priv_random(w->parents, stream);
        int64_t to = room->killed[r];
        int64_t from = room->alive[rob_priv_below(&random, w->alive)];
        memcpy(room->particle[to], room->particle[from],
               (size_t)w->field->dimension * sizeof(double));
        room->level[to] = room->level[from];
    }
}

static void propose(void *user, int64_t task, int32_t worker)
{
    const swarm *w = user;
    (void)worker;
    uint64_t stream = (uint64_t)w->steps << 24 | (uint64_t)(w->first + task);
    rob_priv_sphere_move(w->moves, stream, w->field->dimension, w->angle,
                         w->room->particle[w->room->killed[w->first + task]],
                         w->room->row[task]);
}

/* One move of every particle of the part. */
static rob_status move_part(swarm *w)
{
    rob_status status = ROB_OK;
    rob_room *room = w->room;
    rob_priv_parallel(room->ctx, propose, w, w->rows);
    TRY(rob_priv_room_margins(room, w->field, w->rows, (const double *const *)room->row,
                              room->margin));
    if (status == ROB_STOPPED) goto done;
    for (int64_t r = 0; r < w->rows; r++) {
        int64_t i = room->killed[w->first + r];
        if (!(room->margin[r] < w->level)) continue;
        memcpy(room->particle[i], room->row[r],
               (size_t)w->field->dimension * sizeof(double));
        room->level[i] = room->margin[r];
        w->accepted++;
    }
    w->tried += w->rows;
    w->calls += w->rows;
    w->steps++;
done:
    return status;
}

static rob_status move_all(swarm *w)
{
    rob_status status = ROB_OK;
    w->accepted = w->tried = 0;
    for (w->first = 0; w->first < w->killed; w->first += w->rows) {
        int64_t left = w->killed - w->first;
        w->rows = left < w->room->block ? left : w->room->block;
        for (int64_t k = 0; k < w->s->moves; k++) {
            TRY(move_part(w));
            if (status == ROB_STOPPED) goto done;
        }
    }
done:
    return status;
}

/* Chosen from levels already passed, so the mean of p_hat does not notice. */
static void adapt_angle(swarm *w)
{
    static const double target = 0.3, widest = 1.5707963267948966, narrowest = 1e-9;
    w->angle *= exp((double)w->accepted / (double)w->tried - target);
    w->angle = fmin(widest, fmax(narrowest, w->angle));
}

static rob_status pass_level(swarm *w)
{
    rob_status status = ROB_OK;
    double n = (double)w->s->particles, k = (double)w->killed;
    revive(w);
    TRY(move_all(w));
    if (status == ROB_STOPPED) goto done;
    adapt_angle(w);
    w->logp += log1p(-k / n);
    w->variance += k / (n * (n - k));
    w->levels++;
done:
    return status;
}

/* ---- answers --------------------------------------------------------------------- */

/* (l - l_hat)^2 = z^2 c l for l = -log p, c = variance/l_hat: both ends */
static void put_interval(const swarm *w, rob_estimate *out)
{
    double found = -w->logp, z = rob_priv_normal_width(w->s->confidence);
    double c = found > 0 ? w->variance / found : 1 / (double)w->s->particles;
    double middle = found + z * z * c / 2;
    double half = z * sqrt(c * found + z * z * c * c / 4);
    out->lower = -(middle + half);
    out->upper = fmin(0, half - middle);
}

static bool gave_up(const swarm *w)
{
    bool poor = w->s->budget > 0 && w->calls >= w->s->budget;
    return w->alive == 0 || poor || w->logp < w->s->floor;
}

static int64_t failing(const swarm *w)
{
    int64_t count = 0;
    for (int64_t i = 0; i < w->s->particles; i++) count += w->room->level[i] <= 0;
    return count;
}

static void conclude(swarm *w, bool reached, rob_estimate *out)
{
    double n = (double)w->s->particles;
    out->method = ROB_SAMPLED_SPLIT;
    out->hits = failing(w);
    if (reached) {
        double c = (double)out->hits;
        w->logp += log(c / n);
        w->variance += (n - c) / (n * c);
    }
    put_interval(w, out);
    out->logp = reached ? w->logp : -INFINITY;
    if (!reached) out->lower = -INFINITY;
    out->samples = w->s->particles;
    out->levels = w->levels;
    out->calls = w->calls;
}

rob_status rob_priv_sample_split(rob_room *room, const rob_field *f, uint64_t seed,
                                 int64_t series, const rob_sample_settings *s,
                                 rob_estimate *out)
{
    rob_status status = ROB_OK;
    swarm w = {.room = room, .field = f, .s = s, .angle = 1,
               .kill = (int64_t)(s->share * (double)s->particles)};
    w.directions = rob_priv_sphere_key(seed, series, ROB_DRAW_DIRECTION);
    w.parents = rob_priv_sphere_key(seed, series, ROB_DRAW_PARENT);
    w.moves = rob_priv_sphere_key(seed, series, ROB_DRAW_MOVE);
    if (w.kill < 1) w.kill = 1;
    TRY(start(&w));
    while (status == ROB_OK) {
        choose_level(&w);
        if (w.level <= 0 || gave_up(&w)) break;
        TRY(pass_level(&w));
    }
    if (status == ROB_OK) conclude(&w, w.level <= 0, out);
done:
    return status;
}
