/* decision.c -- attacks that see only whether a point fails.
 *
 * HopSkipJump. At a failing point u next to the boundary, with unit directions v_b and
 * phi_b = 1 where u + delta v_b fails, else -1,
 *     g = sum_b (phi_b - mean phi) v_b
 * estimates the normal towards failing; then u + s g/||g|| (Linf: s sign g), s =
 * ||u||/sqrt(k) halved until it fails, and back to the boundary by bisection of the
 * ball's radius: u <- P_r(u). delta = ||u||/m (Linf: ||u||/sqrt m), 100 sqrt(k) directions
 * in round k. Chen, Jordan & Wainwright, IEEE S&P 2020.
 *
 * Boundary. Steps along the sphere about x, then towards it, both kept where they fail;
 * lengths adapt to the share that does. Brendel, Rauber & Bethge, ICLR 2018.
 *
 * Both start at the nearest failing one of random points and of the query's other
 * series, which for data far from noise are the ones that fail. (docs/theory/attack.md,
 * section 9.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

enum { PROBES = 64, TRIALS = 16 };

typedef struct probe {
    rob_hunt *h;
    rob_lane *l;
    const rob_region *r;
    int64_t m, left; /* coordinates; queries that may still be asked */
    double *u[PROBES], *x[PROBES];
    double margin[PROBES];
    const double *point[PROBES];
    int64_t steps[PROBES];
    double *arena, *logits, *at, *way;
    rob_random random;
} probe;

/* ---- asking ---------------------------------------------------------------------- */

/* Margins of u[0..rows), each brought within the region; the nearest that fails is the
 * lane's best. */
static rob_status ask(probe *p, int64_t rows)
{
    rob_status status = ROB_OK;
    rob_lane *l = p->l;
    const rob_spec *s = &rob_priv_lane_case(p->h, l)->spec;
    size_t bytes = (size_t)p->m * sizeof(double);
    TRY(rob_priv_progress(p->h->ctx, "attack", l->series, p->h->total));
    if (status == ROB_STOPPED) goto done;
    for (int64_t b = 0; b < rows; b++) {
        rob_priv_lane_settle(p->h, l, p->u[b]);
        rob_priv_region_move(p->r, p->u[b], p->x[b]);
        p->point[b] = p->x[b];
        p->steps[b] = p->r->steps;
    }
    TRY(rob_priv_evaluate(p->h->ctx, p->h->slope, rows, p->point, p->steps, p->logits));
    for (int64_t b = 0; b < rows; b++) {
        l->margin = p->margin[b] =
            rob_priv_spec_margin(s, p->logits + b * s->outputs, NULL);
        memcpy(l->delta, p->u[b], bytes);
        rob_priv_lane_keep(p->h, l);
    }
    l->calls += rows;
    p->left -= rows;
done:
    return status;
}

static double size_of(const probe *p, const double *u)
{
    return rob_priv_norm(p->h->norm, u, p->m);
}

static double draw(probe *p)
{
    return p->h->norm == ROB_NORM_LINF ? 2 * rob_priv_uniform(&p->random) - 1
                                       : rob_priv_normal(&p->random);
}

/* unit vector (L2) of numbers that may move */
static void draw_direction(probe *p, double *v)
{
    for (int64_t k = 0; k < p->m; k++)
        v[k] = p->r->basis || rob_priv_region_scale(p->r, k) > 0 ? draw(p) : 0;
    double length = rob_priv_norm(ROB_NORM_L2, v, p->m);
    for (int64_t k = 0; length > 0 && k < p->m; k++) v[k] /= length;
}

/* ---- a first failing point ------------------------------------------------------- */

static int64_t other_series(probe *p, int64_t rows)
{
    const rob_query *q = p->h->q;
    for (int64_t j = 1; j < q->count && rows < PROBES && !p->r->basis; j++) {
        const rob_case *c = &q->cases[(p->l->series + j) % q->count];
        if (c->steps != p->r->steps) continue;
        rob_priv_region_back(p->r, c->x, p->u[rows++]);
    }
    return rows;
}

static rob_status find_start(probe *p)
{
    int64_t rows = 0;
    double size = 1 + rob_priv_norm(p->h->norm, p->r->x, p->r->n);
    for (; rows < PROBES / 2; rows++) {
        rob_priv_lane_scatter(p->h, p->l, size * 1e-3 * pow(1.6, (double)rows), rows);
        memcpy(p->u[rows], p->l->delta, (size_t)p->m * sizeof(double));
    }
    rows = other_series(p, rows);
    return ask(p, rows < p->left ? rows : p->left);
}

/* at: a failing point, drawn towards 0 to within `width` of the boundary */
static rob_status draw_back(probe *p, double *at, double width)
{
    rob_status status = ROB_OK;
    size_t bytes = (size_t)p->m * sizeof(double);
    double low = 0, high = size_of(p, at);
    while (high - low > width * high && p->left > 0) {
        double middle = (low + high) / 2;
        memcpy(p->u[0], at, bytes);
        rob_priv_ball_project(p->h->norm, middle, p->u[0], p->m);
        TRY(ask(p, 1));
        if (status == ROB_STOPPED) break;
        if (p->margin[0] <= 0) {
            memcpy(at, p->u[0], bytes);
            high = fmin(size_of(p, at), middle);
        } else {
            low = middle;
        }
    }
done:
    return status;
}

/* ---- HopSkipJump ----------------------------------------------------------------- */

/* way <- normal towards failing, from `count` directions of length delta */
static rob_status estimate_normal(probe *p, int64_t count, double delta)
{
    rob_status status = ROB_OK;
    double mean = 0, *all = p->way + p->m;
    int64_t asked = 0;
    memset(p->way, 0, (size_t)(2 * p->m) * sizeof *p->way);
    for (int64_t rows; asked < count && p->left > 0; asked += rows) {
        rows = count - asked < PROBES ? count - asked : PROBES;
        if (rows > p->left) rows = p->left;
        for (int64_t b = 0; b < rows; b++) {
            draw_direction(p, p->u[b]);
            for (int64_t k = 0; k < p->m; k++)
                p->u[b][k] = p->at[k] + delta * p->u[b][k];
        }
        TRY(ask(p, rows));
        if (status == ROB_STOPPED) goto done;
        for (int64_t b = 0; b < rows; b++) {
            double phi = p->margin[b] <= 0 ? 1 : -1;
            mean += phi;
            for (int64_t k = 0; k < p->m; k++) {
                double v = (p->u[b][k] - p->at[k]) / delta;
                p->way[k] += phi * v;
                all[k] += v;
            }
        }
    }
    mean /= fmax((double)asked, 1);
    /* where all agree there is nothing to take out */
    for (int64_t k = 0; k < p->m && fabs(mean) < 1; k++) p->way[k] -= mean * all[k];
done:
    return status;
}

/* at <- at + s way, s halved until it fails; false in *moved: it never does */
static rob_status jump(probe *p, double step, bool *moved)
{
    rob_status status = ROB_OK;
    double length = rob_priv_norm(ROB_NORM_L2, p->way, p->m);
    *moved = false;
    for (int k = 0; k < 20 && p->left > 0 && length > 0; k++, step /= 2) {
        for (int64_t i = 0; i < p->m; i++) {
            double way = p->h->norm == ROB_NORM_LINF
                             ? (double)((p->way[i] > 0) - (p->way[i] < 0))
                             : p->way[i] / length;
            p->u[0][i] = p->at[i] + step * way;
        }
        TRY(ask(p, 1));
        if (status == ROB_STOPPED) break;
        if (!(p->margin[0] <= 0)) continue;
        memcpy(p->at, p->u[0], (size_t)p->m * sizeof *p->at);
        *moved = true;
        break;
    }
done:
    return status;
}

static rob_status hop(probe *p, double first)
{
    rob_status status = ROB_OK;
    double m = (double)p->m, width = fmin(1e-3, 1 / (m * sqrt(m)));
    bool moved;
    TRY(draw_back(p, p->at, width));
    for (int64_t k = 1; p->left > 0 && status == ROB_OK; k++) {
        double size = size_of(p, p->at), root = sqrt((double)k);
        double delta = k == 1 ? 0.1 * size : p->h->norm == ROB_NORM_LINF ? size / sqrt(m)
                                                                         : size / m;
        TRY(estimate_normal(p, (int64_t)(first * root), delta));
        if (status == ROB_STOPPED) break;
        TRY(jump(p, size / root, &moved));
        if (status == ROB_OK && moved) TRY(draw_back(p, p->at, width));
        if (status == ROB_OK && size_of(p, p->at) > 2 * p->l->best_norm)
            memcpy(p->at, p->l->best, (size_t)p->m * sizeof *p->at);
    }
done:
    return status;
}

/* ---- Boundary -------------------------------------------------------------------- */

/* u[b] <- at moved along its sphere by a share `turn` of its radius, then in by `in` */
static void propose(probe *p, double *u, double turn, double in)
{
    double length = rob_priv_norm(ROB_NORM_L2, p->at, p->m), along = 0;
    draw_direction(p, u);
    for (int64_t k = 0; k < p->m; k++) along += u[k] * p->at[k] / length;
    for (int64_t k = 0; k < p->m; k++) {
        double tangent = u[k] - along * p->at[k] / length;
        u[k] = p->at[k] + turn * length * tangent;
    }
    double now = rob_priv_norm(ROB_NORM_L2, u, p->m);
    for (int64_t k = 0; k < p->m; k++) u[k] *= (1 - in) * length / now;
}

static rob_status walk(probe *p)
{
    rob_status status = ROB_OK;
    double turn = 0.1, in = 0.1;
    TRY(draw_back(p, p->at, 1e-3));
    while (p->left >= TRIALS && in > 1e-7 && status == ROB_OK) {
        int64_t half = TRIALS / 2, stayed = 0, came = 0, best = -1;
        /* one half along the sphere alone, to learn how far one may turn */
        for (int64_t b = 0; b < TRIALS; b++)
            propose(p, p->u[b], turn, b < half ? 0 : in);
        TRY(ask(p, TRIALS));
        if (status == ROB_STOPPED) break;
        for (int64_t b = 0; b < TRIALS; b++) {
            if (!(p->margin[b] <= 0)) continue;
            stayed += b < half;
            came += b >= half;
            if (best < 0 || size_of(p, p->u[b]) < size_of(p, p->u[best])) best = b;
        }
        turn *= 2 * stayed > half ? 1.3 : 1 / 1.3;
        turn = fmin(turn, 1);
        in = fmin(in * (4 * came > half ? 1.3 : 1 / 1.3), 0.5);
        if (best >= 0 && size_of(p, p->u[best]) <= size_of(p, p->at))
            memcpy(p->at, p->u[best], (size_t)p->m * sizeof *p->at);
    }
done:
    return status;
}

/* ---- a series, and all of them --------------------------------------------------- */

static rob_status open_probe(rob_hunt *h, probe *p)
{
    int64_t most = 1;
    for (int64_t s = 0; s < h->series; s++) {
        most = h->region[s].n > most ? h->region[s].n : most;
        most = h->region[s].m > most ? h->region[s].m : most;
    }
    p->h = h;
    p->logits = rob_priv_allocate(&h->ctx->memory, h->q->model->recipe.outputs,
                                  PROBES * (int64_t)sizeof *p->logits);
    p->arena = rob_priv_allocate(&h->ctx->memory, most,
                                 (2 * PROBES + 3) * (int64_t)sizeof *p->arena);
    if (!p->logits || !p->arena) return rob_priv_no_memory(h->ctx);
    for (int64_t b = 0; b < PROBES; b++) {
        p->u[b] = p->arena + 2 * b * most;
        p->x[b] = p->u[b] + most;
    }
    p->at = p->arena + 2 * PROBES * most;
    p->way = p->at + most;
    return ROB_OK;
}

static rob_status search(probe *p, rob_lane *l, bool hops)
{
    rob_status status = ROB_OK;
    const rob_attack *a = p->h->attack;
    uint64_t seed = (uint64_t)rob_priv_attack_option(a, "seed");
    p->l = l;
    p->r = rob_priv_lane_region(p->h, l);
    p->m = p->r->m;
    p->left = (int64_t)rob_priv_attack_option(a, "queries");
    p->random = rob_priv_random(p->h->ctx->seed + seed,
                                5ULL << 60 | (uint64_t)l->series << 8);
    TRY(find_start(p));
    if (status == ROB_STOPPED || !(l->best_norm < INFINITY)) goto done;
    memcpy(p->at, l->best, (size_t)p->m * sizeof *p->at);
    if (l->best_norm == 0) goto done;
    TRY(hops ? hop(p, rob_priv_attack_option(a, "directions")) : walk(p));
done:
    return status;
}

static rob_status search_all(rob_hunt *h, bool hops)
{
    rob_status status = ROB_OK;
    probe p = { 0 };
    TRY(open_probe(h, &p));
    rob_priv_hunt_wake(h, 0, 1);
    for (int64_t k = 0; k < h->lanes && status == ROB_OK; k++)
        if (h->lane[k].active) TRY(search(&p, &h->lane[k], hops));
done:
    rob_priv_release(&h->ctx->memory, p.arena);
    rob_priv_release(&h->ctx->memory, p.logits);
    return status;
}

rob_status rob_priv_hopskipjump_distance(rob_hunt *h) { return search_all(h, true); }
rob_status rob_priv_boundary_distance(rob_hunt *h) { return search_all(h, false); }

static rob_status then_draw(rob_hunt *h, bool hops)
{
    rob_status status = ROB_OK;
    TRY(search_all(h, hops));
    if (status == ROB_OK) TRY(rob_priv_draw_into_ball(h));
done:
    return status;
}

rob_status rob_priv_hopskipjump_margin(rob_hunt *h) { return then_draw(h, true); }
rob_status rob_priv_boundary_margin(rob_hunt *h) { return then_draw(h, false); }
