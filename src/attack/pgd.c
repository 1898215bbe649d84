/* pgd.c -- projected gradient descent of the objective in a ball of given radius r:
 *     delta <- P_r(delta + a_k r s(v_k)),   v_k = mu v_{k-1} + g_k/||g_k||_1,
 * s the steepest direction of length 1 in the norm, P_r the projection on the ball and the
 * rest of the region, a_k constant (option step) or falling linearly from 1/2 to 1/50, mu
 * the option momentum (0: v = g). In L1 the steepest direction is one number alone; a step
 * goes alike along the share (1 - k/K)^2/5 of largest slope, at least one. A lane whose
 * gradient vanishes starts again at a random point. References: Madry, Makelov, Schmidt,
 * Tsipras & Vladu, ICLR 2018; Dong et al., CVPR 2018 (momentum); Tramer & Boneh, NeurIPS
 * 2019 (several numbers a step in L1). (docs/theory/attack.md, section 4.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

static double rate_at(int64_t k, int64_t steps)
{
    double falling = 0.5 * (1 - (double)k / (double)steps);
    return falling > 0.02 ? falling : 0.02;
}

bool rob_priv_direction_of(int32_t norm, const double *g, int64_t n, double share, double *d)
{
    double count = floor(share * (double)n);
    if (norm == ROB_NORM_L0) norm = ROB_NORM_L2;
    if (norm != ROB_NORM_L1 || count < 2) return rob_priv_ball_steepest(norm, g, n, d);
    double dual = rob_priv_ball_dual(norm, g, n), moved = 0;
    if (!(dual > 0) || !isfinite(dual)) return false;
    if (d != g) memcpy(d, g, (size_t)n * sizeof *d);
    rob_priv_ball_project(ROB_NORM_L0, count, d, n);
    moved = rob_priv_norm(ROB_NORM_L0, d, n);
    for (int64_t i = 0; i < n; i++) d[i] = (double)((d[i] < 0) - (d[i] > 0)) / moved;
    return true;
}

/* v <- mu v + g/||g||_1 in spare, its direction in grad */
static bool choose_way(const rob_hunt *h, rob_lane *l, double momentum, double share)
{
    int64_t n = rob_priv_lane_size(h, l);
    if (momentum > 0) {
        double size = rob_priv_norm(ROB_NORM_L1, l->grad, n);
        if (!(size > 0) || !isfinite(size)) return false;
        for (int64_t i = 0; i < n; i++)
            l->grad[i] = l->spare[i] = momentum * l->spare[i] + l->grad[i] / size;
    }
    return rob_priv_direction_of(h->norm, l->grad, n, share, l->grad);
}

static void move(const rob_hunt *h, rob_lane *l, double length)
{
    int64_t n = rob_priv_lane_size(h, l);
    for (int64_t i = 0; i < n; i++) l->delta[i] += length * l->grad[i];
    rob_priv_lane_project(h, l, l->radius, l->delta);
}

static void start_again(const rob_hunt *h, rob_lane *l, int64_t step)
{
    memset(l->spare, 0, (size_t)rob_priv_lane_size(h, l) * sizeof *l->spare);
    rob_priv_lane_scatter(h, l, l->radius, step);
}

rob_status rob_priv_descend(rob_hunt *h, int64_t steps, double rate, double momentum,
                            bool stop)
{
    rob_status status = ROB_OK;
    for (int64_t j = 0; j < h->lanes; j++)
        memset(h->lane[j].spare, 0,
               (size_t)rob_priv_lane_size(h, &h->lane[j]) * sizeof *h->lane[j].spare);
    for (int64_t k = 0; k < steps; k++) {
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED || h->rows == 0) goto done;
        double share = rate > 0 ? rate : rate_at(k, steps);
        double left = 1 - (double)k / (double)steps;
        for (int64_t r = 0; r < h->rows; r++) {
            rob_lane *l = h->row[r];
            rob_priv_lane_note(h, l, stop);
            if (!l->active) continue;
            if (choose_way(h, l, momentum, left * left / 5))
                move(h, l, share * l->radius);
            else start_again(h, l, k + 1);
        }
    }
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++)
        rob_priv_lane_note(h, h->row[r], stop);
done:
    return status;
}

static rob_status descend(rob_hunt *h, bool stop)
{
    const rob_attack *a = h->attack;
    return rob_priv_descend(h, (int64_t)rob_priv_attack_option(a, "steps"),
                            rob_priv_attack_option(a, "step"),
                            rob_priv_attack_option(a, "momentum"), stop);
}

rob_status rob_priv_pgd_margin(rob_hunt *h)
{
    return rob_priv_ball_margin(h, descend, 1,
                                rob_priv_attack_option(h->attack, "stop") > 0);
}

rob_status rob_priv_pgd_distance(rob_hunt *h)
{
    int64_t radii = (int64_t)rob_priv_attack_option(h->attack, "radii");
    return rob_priv_ball_distance(h, descend, 1, radii, true);
}
