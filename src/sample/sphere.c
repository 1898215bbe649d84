/* sphere.c -- directions on the unit sphere of R^m, and the room estimators work in.
 *
 * Uniform: u = g/||g||, g ~ N(0, I_m) (M. E. Muller, Commun. ACM 2 (1959)). A geodesic
 * move is
 *     u' = cos(a) u + sin(a) w,   w = (g - (g.u) u)/||g - (g.u) u||,
 * w is uniform on the unit sphere orthogonal to u, so (u, u') and (u', u) have one law:
 * the move keeps the uniform distribution, and refusing some of the moves keeps it
 * conditioned. Numbers are functions of (seed, purpose, series, index) alone.
 * (docs/theory/sample.md, section 5.)
 */
#include "sample/sample.h"

#include <math.h>
#include <string.h>

uint64_t rob_priv_sphere_key(uint64_t seed, int64_t series, int32_t purpose)
{
    uint32_t word[4];
    rob_priv_philox(seed, (uint64_t)purpose, (uint64_t)series, word);
    return (uint64_t)word[1] << 32 | word[0];
}

static double dot(const double *a, const double *b, int64_t m)
{
    double sum = 0;
    for (int64_t i = 0; i < m; i++) sum += a[i] * b[i];
    return sum;
}

static void scale_to_one(double *u, int64_t m)
{
    double length = sqrt(dot(u, u, m));
    for (int64_t i = 0; i < m; i++) u[i] = length > 0 ? u[i] / length : i == 0;
}

void rob_priv_sphere_draw(uint64_t key, uint64_t index, int64_t m, double *u)
{
    rob_random random = rob_priv_random(key, index);
    for (int64_t i = 0; i < m; i++) u[i] = rob_priv_normal(&random);
    scale_to_one(u, m);
}

/* The second pass takes out what rounding left of u; the last keeps ||to|| = 1 over
 * thousands of moves. */
void rob_priv_sphere_move(uint64_t key, uint64_t index, int64_t m, double angle,
                          const double *u, double *to)
{
    rob_random random = rob_priv_random(key, index);
    for (int64_t i = 0; i < m; i++) to[i] = rob_priv_normal(&random);
    for (int pass = 0; pass < 2; pass++) {
        double along = dot(to, u, m);
        for (int64_t i = 0; i < m; i++) to[i] -= along * u[i];
    }
    double length = sqrt(dot(to, to, m)), c = cos(angle);
    double s = length > 0 ? sin(angle) : 0;
    for (int64_t i = 0; i < m; i++)
        to[i] = c * u[i] + (s > 0 ? s * (to[i] / length) : 0);
    scale_to_one(to, m);
}

/* ---- room ------------------------------------------------------------------------ */

enum { BLOCK = 256, BLOCK_NUMBERS = 1 << 21, LEAST_BLOCK = 32 };

static int64_t block_for(int64_t dimension)
{
    int64_t rows = BLOCK_NUMBERS / dimension;
    return rows > BLOCK ? BLOCK : rows < LEAST_BLOCK ? LEAST_BLOCK : rows;
}

static bool arrays_for(rob_room *r)
{
    const rob_memory *m = &r->memory;
    int64_t n = r->particles ? r->particles : 1, rows = r->block + n;
    bool fits = r->dimension < INT64_MAX / 16 / rows;
    r->arena =
        fits ? rob_priv_allocate(m, rows * r->dimension, sizeof *r->arena) : NULL;
    r->row = rob_priv_allocate(m, r->block, sizeof *r->row);
    r->particle = rob_priv_allocate(m, n, sizeof *r->particle);
    r->look = rob_priv_allocate(m, r->block, sizeof *r->look);
    r->margin = rob_priv_allocate(m, r->block, sizeof *r->margin);
    r->level = rob_priv_allocate(m, n, sizeof *r->level);
    r->sorted = rob_priv_allocate(m, n, sizeof *r->sorted);
    r->killed = rob_priv_allocate(m, n, sizeof *r->killed);
    r->alive = rob_priv_allocate(m, n, sizeof *r->alive);
    return r->arena && r->row && r->particle && r->look && r->margin && r->level
           && r->sorted && r->killed && r->alive;
}

rob_status rob_priv_room_create(rob_ctx *ctx, int64_t dimension, int64_t particles,
                                rob_room *out)
{
    *out = (rob_room){.ctx = ctx, .memory = ctx->memory, .dimension = dimension,
                      .particles = particles, .block = block_for(dimension)};
    if (!arrays_for(out)) {
        rob_priv_room_free(out);
        return rob_priv_no_memory(ctx);
    }
    for (int64_t r = 0; r < out->block; r++) out->row[r] = out->arena + r * dimension;
    for (int64_t r = 0; r < particles; r++)
        out->particle[r] = out->arena + (out->block + r) * dimension;
    return ROB_OK;
}

void rob_priv_room_free(rob_room *r)
{
    rob_priv_release(&r->memory, r->arena);
    rob_priv_release(&r->memory, r->row);
    rob_priv_release(&r->memory, r->particle);
    rob_priv_release(&r->memory, r->look);
    rob_priv_release(&r->memory, r->margin);
    rob_priv_release(&r->memory, r->level);
    rob_priv_release(&r->memory, r->sorted);
    rob_priv_release(&r->memory, r->killed);
    rob_priv_release(&r->memory, r->alive);
    *r = (rob_room){.memory = r->memory};
}

rob_status rob_priv_room_margins(rob_room *room, const rob_field *f, int64_t rows,
                                 const double *const *u, double *margin)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_progress(room->ctx, "sample", room->done, room->total));
    if (status == ROB_STOPPED) goto done;
    TRY(f->margins(f->user, rows, u, margin));
    for (int64_t r = 0; r < rows; r++)
        CHECK(!isnan(margin[r]), room->ctx, ROB_ENUMERIC,
              "the margin at a sampled point is not a number");
done:
    return status;
}
