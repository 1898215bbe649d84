/* apgd.c -- Auto-PGD: projected descent whose step finds its own length.
 *
 * In L2 and Linf, with s the steepest direction, P the projection on ball and region,
 *     z = P(d_k + eta r s(g_k)),   d_{k+1} = P(d_k + a (z - d_k) + (1 - a)(d_k - d_{k-1})),
 * a = 3/4 (1 at first), eta = 2 at first. At checkpoints w_j = ceil(p_j K), p_0 = 0, p_1 =
 * 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), eta is halved and the search goes
 * back to its lowest point when
 *     the loss fell in less than 3/4 of the steps since w_{j-1}, or
 *     neither eta nor the lowest loss have changed since.
 * In L1 a step goes along a share of the numbers, 2/3 of those that the lowest point moves;
 * every K/25 steps: where that point became sparser by a twentieth the step is r again, from
 * that point, else it is divided by 1.5, down to r/10. The first 3/5 of the steps are spent
 * in balls of 3 and 2 times the radius.
 *
 * With targets n > 1 the searches of a series go for its n nearest classes. References:
 * Croce & Hein, ICML 2020; Croce & Hein, ICML 2021 (L1). (docs/theory/attack.md, section 4.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

#define KEEPS_GOING 0.75 /* a */
#define FALLS_OFTEN 0.75 /* of the steps between checkpoints */

/* What a lane remembers of its descent. */
typedef struct walk {
    double *before, *lowest, *slope; /* (m) d_{k-1}; the lowest point, its gradient */
    double eta, least, last;         /* loss there, and at d_{k-1} */
    double checked, checked_eta;     /* least and eta at the last checkpoint */
    double share, moved; /* L1: of the numbers in a step; moved by the lowest point */
    int64_t fell;        /* steps since the last checkpoint that lowered the loss */
    bool fresh;          /* no momentum */
} walk;

/* Steps after which to look, one after the other. */
typedef struct checks {
    int64_t last, next, gap, least, fewer;
} checks;

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

static checks first_check(int32_t norm, int64_t steps)
{
    double k = (double)steps, first = norm == ROB_NORM_L1 ? 0.04 : 0.22;
    checks c = { .gap = at_least(1, (int64_t)(first * k)) };
    c.least = norm == ROB_NORM_L1 ? c.gap : at_least(1, (int64_t)(0.06 * k));
    c.fewer = norm == ROB_NORM_L1 ? 0 : at_least(1, (int64_t)(0.03 * k));
    c.next = c.gap;
    return c;
}

static void next_check(checks *c)
{
    c->last = c->next;
    c->gap = at_least(c->gap - c->fewer, c->least);
    c->next += c->gap;
}

/* ---- one lane -------------------------------------------------------------------- */

static size_t bytes_of(const rob_hunt *h, const rob_lane *l)
{
    return (size_t)rob_priv_lane_size(h, l) * sizeof(double);
}

static void note_lowest(const rob_hunt *h, const rob_lane *l, walk *w, bool first)
{
    w->fell += !first && l->loss_value < w->last;
    w->last = l->loss_value;
    if (!(l->loss_value < w->least)) return;
    w->least = l->loss_value;
    memcpy(w->lowest, l->delta, bytes_of(h, l));
    memcpy(w->slope, l->grad, bytes_of(h, l));
}

static void go_back(const rob_hunt *h, rob_lane *l, walk *w)
{
    if (!(w->least < INFINITY)) return;
    memcpy(l->delta, w->lowest, bytes_of(h, l));
    memcpy(l->grad, w->slope, bytes_of(h, l));
    w->last = w->least;
    w->fresh = true;
}

static void look(const rob_hunt *h, rob_lane *l, walk *w, int64_t steps)
{
    bool slow = (double)w->fell < FALLS_OFTEN * (double)steps;
    bool stuck = w->eta == w->checked_eta && !(w->least < w->checked);
    w->checked_eta = w->eta;
    w->checked = w->least;
    w->fell = 0;
    if (!slow && !stuck) return;
    w->eta /= 2;
    go_back(h, l, w);
}

static void look_sparse(const rob_hunt *h, rob_lane *l, walk *w)
{
    int64_t m = rob_priv_lane_size(h, l);
    double moved = rob_priv_norm(ROB_NORM_L0, w->lowest, m);
    bool sparser = moved < 0.95 * w->moved;
    w->share = moved / (double)m / 1.5;
    w->eta = sparser ? 1 : fmax(w->eta / 1.5, 0.1);
    w->moved = moved;
    if (sparser) go_back(h, l, w);
}

static void move(const rob_hunt *h, rob_lane *l, walk *w, double radius, int64_t k)
{
    int64_t m = rob_priv_lane_size(h, l);
    double a = w->fresh || h->norm == ROB_NORM_L1 ? 1 : KEEPS_GOING;
    if (!rob_priv_direction_of(h->norm, l->grad, m, w->share, l->spare)) {
        rob_priv_lane_scatter(h, l, radius, k + 1);
        w->fresh = true;
        return;
    }
    for (int64_t i = 0; i < m; i++)
        l->spare[i] = l->delta[i] + w->eta * radius * l->spare[i];
    rob_priv_lane_project(h, l, radius, l->spare);
    for (int64_t i = 0; a < 1 && i < m; i++)
        l->spare[i] = l->delta[i] + a * (l->spare[i] - l->delta[i])
                      + (1 - a) * (l->delta[i] - w->before[i]);
    if (a < 1) rob_priv_lane_project(h, l, radius, l->spare);
    memcpy(w->before, l->delta, bytes_of(h, l));
    memcpy(l->delta, l->spare, bytes_of(h, l));
    w->fresh = false;
}

/* ---- all of them ----------------------------------------------------------------- */

static void begin(const rob_hunt *h, rob_lane *l, walk *w)
{
    int64_t m = rob_priv_lane_size(h, l);
    double moved = rob_priv_norm(ROB_NORM_L0, l->delta, m);
    w->eta = w->checked_eta = h->norm == ROB_NORM_L1 ? 1 : 2;
    w->least = w->last = w->checked = INFINITY;
    w->fell = 0;
    w->fresh = true;
    w->moved = moved > 0 ? moved : (double)m;
    w->share = moved > 0 ? moved / (double)m / 1.5 : 0.2;
}

static rob_status make_walks(const rob_hunt *h, walk **out, double **arena)
{
    const rob_memory *m = &h->q->memory;
    int64_t n = 1;
    for (int64_t s = 0; s < h->series; s++) n = at_least(n, h->region[s].m);
    *out = rob_priv_allocate(m, h->lanes, sizeof **out);
    *arena = rob_priv_allocate(m, 3 * h->lanes, n * (int64_t)sizeof **arena);
    if (!*out || !*arena) return rob_priv_no_memory(h->ctx);
    for (int64_t k = 0; k < h->lanes; k++) {
        (*out)[k].before = *arena + 3 * k * n;
        (*out)[k].lowest = (*out)[k].before + n;
        (*out)[k].slope = (*out)[k].lowest + n;
    }
    return ROB_OK;
}

/* The share of the radius that step k works in: in L1 larger balls first. */
static double width_at(int32_t norm, int64_t k, int64_t steps)
{
    double done = (double)k / (double)steps;
    return norm != ROB_NORM_L1 ? 1 : done < 0.3 ? 3 : done < 0.6 ? 2 : 1;
}

/* A smaller ball: what was lowest before is outside. */
static void draw_in(rob_hunt *h, walk *w, double width)
{
    for (int64_t j = 0; j < h->lanes; j++) {
        rob_lane *l = &h->lane[j];
        if (!l->active) continue;
        if (w[j].least < INFINITY) memcpy(l->delta, w[j].lowest, bytes_of(h, l));
        rob_priv_lane_project(h, l, width * l->radius, l->delta);
        begin(h, l, &w[j]);
    }
}

static rob_status descend(rob_hunt *h, walk *walks, int64_t steps, bool stop)
{
    rob_status status = ROB_OK;
    checks c = first_check(h->norm, steps);
    double width = width_at(h->norm, 0, steps);
    for (int64_t k = 0; k < steps; k++) {
        if (width_at(h->norm, k, steps) != width)
            draw_in(h, walks, width = width_at(h->norm, k, steps));
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) goto done;
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            walk *w = &walks[l - h->lane];
            if (width == 1 || !h->at_radius) rob_priv_lane_note(h, l, stop);
            if (!l->active) continue;
            note_lowest(h, l, w, k == 0);
            if (k == c.next && h->norm == ROB_NORM_L1) look_sparse(h, l, w);
            else if (k == c.next) look(h, l, w, c.next - c.last);
            move(h, l, w, width * l->radius, k);
        }
        if (k == c.next) next_check(&c);
    }
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++)
        rob_priv_lane_note(h, h->row[r], stop);
done:
    return status;
}

rob_status rob_priv_auto_descend(rob_hunt *h, int64_t steps, bool stop)
{
    rob_status status = ROB_OK;
    walk *w = NULL;
    double *arena = NULL;
    TRY(make_walks(h, &w, &arena));
    for (int64_t k = 0; k < h->lanes; k++)
        if (h->lane[k].active) begin(h, &h->lane[k], &w[k]);
    TRY(descend(h, w, steps, stop));
done:
    rob_priv_release(&h->q->memory, w);
    rob_priv_release(&h->q->memory, arena);
    return status;
}

static rob_status run(rob_hunt *h, bool stop)
{
    return rob_priv_auto_descend(
        h, (int64_t)rob_priv_attack_option(h->attack, "steps"), stop);
}

/* classes gone for: no more than there are */
static int64_t targets_of(const rob_hunt *h)
{
    return h->starts / (int64_t)rob_priv_attack_option(h->attack, "restarts");
}

rob_status rob_priv_apgd_margin(rob_hunt *h)
{
    return rob_priv_ball_margin(h, run, targets_of(h),
                                rob_priv_attack_option(h->attack, "stop") > 0);
}

rob_status rob_priv_apgd_distance(rob_hunt *h)
{
    int64_t radii = (int64_t)rob_priv_attack_option(h->attack, "radii");
    return rob_priv_ball_distance(h, run, targets_of(h), radii, true);
}
