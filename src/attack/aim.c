/* aim.c -- which groups of a specification the searches of a series go for.
 *
 * Descent on F = min_g F_g follows the group that is lowest where it stands. The groups of
 * a deviation, b - f_o and b + f_o for each output o, all tie at x, and which is the
 * deciding one there is an accident of rounding. To first order the least value of group g
 * in a ball of radius r is
 *     F_g(x) - r ||grad F_g(x)||_q,      1/p + 1/q = 1,
 * one gradient a group. The searches of a series take its lowest groups, each from x; those
 * that are left over take them again, from random points. (docs/theory/attack.md, section 4.)
 */
#include "attack/attack.h"

#include <math.h>

/* The lanes of a series hold its lowest groups in order: low the value, side the group. */
static void place_group(rob_hunt *h, const rob_lane *l, int32_t group)
{
    rob_lane *home = &h->lane[(l->series - h->first) * h->starts];
    int64_t n = rob_priv_lane_size(h, l);
    double dual = rob_priv_ball_dual(h->norm, l->grad, n), value = l->value;
    if (dual > 0) value -= h->cap * dual;
    for (int32_t k = 0; k < h->starts; k++) {
        if (!(value < home[k].low)) continue;
        double other = home[k].low;
        int32_t which = home[k].side;
        home[k].low = value;
        home[k].side = group;
        value = other;
        group = which;
    }
}

static void aim_at_group(const rob_hunt *h, rob_lane *l, int64_t groups)
{
    int32_t first = groups < h->starts ? (int32_t)groups : h->starts;
    const rob_lane *from = l - l->start + l->start % first;
    l->fresh = l->start < first;
    l->aim = from->low < INFINITY ? from->side : -1;
}

rob_status rob_priv_aim_lanes(rob_hunt *h)
{
    rob_status status = ROB_OK;
    const int64_t groups = h->q->rows.groups;
    for (int64_t k = 0; k < h->lanes; k++) {
        h->lane[k].low = INFINITY;
        h->lane[k].side = 0;
        h->lane[k].fresh = h->lane[k].start == 0;
    }
    if (isnan(h->q->tolerance)) goto done;
    for (int64_t first = 0; first < groups; first += h->starts) {
        for (int64_t k = 0; k < h->lanes; k++) {
            rob_lane *l = &h->lane[k];
            l->aim = first + l->start; /* a deviation's groups are one row each */
            l->active = l->aim < groups;
        }
        TRY(rob_priv_hunt_gradients(h));
        if (status == ROB_STOPPED) goto done;
        for (int64_t r = 0; r < h->rows; r++)
            place_group(h, h->row[r], (int32_t)h->row[r]->aim);
    }
    rob_priv_hunt_wake(h, 0, h->starts);
    for (int64_t k = 0; k < h->lanes; k++) aim_at_group(h, &h->lane[k], groups);
done:
    return status;
}
