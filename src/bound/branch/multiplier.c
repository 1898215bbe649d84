/* multiplier.c -- what is known of numbers of cells enters rows.
 *
 * Where sign (z - w) <= 0 holds, row + beta sign (z - w) is a lower bound of the row for
 * every beta >= 0, and affine in z as the row itself: the coefficient on z grows by sign
 * beta, the constant by -sign beta w. The bound is concave in beta, its derivative sign
 * (z* - w) with z* what the planes in use make of the minimiser x* (alpha.c). Steps grow
 * while the derivative keeps its sign and shrink when it does not. The search claims
 * nothing; a sweep then proves with the beta stored, an exact double, and pays for the
 * coefficient's rounding (u |sum| max|z|) and the constant's two.
 *
 * Reference: Wang et al., Beta-CROWN, NeurIPS 2021; Riedmiller and Braun, ICNN 1993;
 * docs/theory/bound.md 10.
 */
#include "bound/alpha.h"

void rob_priv_turn_rows(rob_work *w, const rob_turn *t, int64_t rows, double *at,
                        int64_t ld)
{
    const double part = t->sign * t->beta, shift = part * t->where;
    const double big = rob_priv_cell_big(w, t->cell)[t->at];
    for (int64_t r = 0; r < rows; r++) {
        double sum = at[r * ld + t->at] + part;
        at[r * ld + t->at] = sum;
        w->base[r] -= shift;
        w->loss[r] += ROB_U * (fabs(sum) * big + fabs(shift) + fabs(w->base[r]))
                      + 2 * ROB_TINY * (big + 1);
    }
    w->ops += 8;
}

void rob_priv_turn_row(rob_alpha *s, int32_t i)
{
    const rob_work *w = s->w;
    for (int64_t k = 0; k < w->turns; k++) {
        const rob_turn *t = &w->turn[k];
        if (t->cell != i) continue;
        s->touched[i] = true;
        s->a[w->net->cell[i].at + t->at] += t->sign * t->beta;
        s->base -= t->sign * t->beta * t->where;
    }
}

void rob_priv_turn_begin(rob_alpha *s)
{
    for (int64_t k = 0; k < s->w->turns; k++) s->rise[k] = 0;
}

void rob_priv_turn_step(rob_alpha *s)
{
    const rob_work *w = s->w;
    for (int64_t k = 0; k < w->turns; k++) {
        rob_turn *t = &w->turn[k];
        const int64_t at = w->net->cell[t->cell].at + t->at;
        double rise = t->sign * (s->z[at] - t->where);
        if (s->rise[k] == 0) s->stride[k] = 0.2 * (fabs(s->a[at]) + 1e-3);
        else s->stride[k] *= rise * s->rise[k] > 0 ? 1.4 : 0.5;
        s->rise[k] = rise;
        t->beta = fmax(t->beta + (rise > 0 ? 1 : -1) * s->stride[k], 0);
    }
}

void rob_priv_turn_keep(rob_alpha *s)
{
    for (int64_t k = 0; k < s->w->turns; k++) s->beta[k] = s->w->turn[k].beta;
}

void rob_priv_turn_end(rob_alpha *s)
{
    for (int64_t k = 0; k < s->w->turns; k++) s->w->turn[k].beta = s->beta[k];
}
