/* ball.c -- affine functions on a ball.
 *
 *     min {A.(x0 + d) : ||d||_p <= eps, d = 0 off the mask} = A.x0 - eps ||A_mask||_q,
 *
 * 1/p + 1/q = 1. The ball is one, on the whole sequence: coefficients of all its steps
 * go into one norm. A dot product of n terms, in any order, errs by at most gamma_n
 * times the dot product of the absolute values (Higham, Accuracy and Stability, 2nd
 * ed., 3.1).
 */
#include "bound/bound.h"

static bool may_move(const rob_ball *b, int64_t e)
{
    return b->mask == NULL || b->mask[e];
}

void rob_priv_ball_range(const rob_ball *b, int64_t first, int64_t size, double *lo,
                         double *up)
{
    for (int64_t e = 0; e < size; e++) {
        double x = b->x[first + e];
        bool moves = may_move(b, first + e);
        lo[e] = moves ? fp_or_lo(fp_add_lo(x, -b->eps)) : x;
        up[e] = moves ? fp_or_up(fp_add_up(x, b->eps)) : x;
    }
}

static double measure_of(int32_t norm, double so_far, double a)
{
    if (norm == ROB_NORM_L2) return so_far + a * a;
    if (norm == ROB_NORM_LINF) return so_far + fabs(a);
    return isnan(a) || fabs(a) > so_far ? fabs(a) : so_far;
}

void rob_priv_ball_collect(const rob_ball *b, int64_t first, int64_t size, int64_t rows,
                           const double *a, int64_t lda, double *base, double *loss,
                           double *measure)
{
    for (int64_t r = 0; r < rows; r++, a += lda) {
        double dot = 0, most = 0, seen = measure[r];
        for (int64_t e = 0; e < size; e++) {
            dot += a[e] * b->x[first + e];
            most += fabs(a[e] * b->x[first + e]);
            if (may_move(b, first + e)) seen = measure_of(b->norm, seen, a[e]);
        }
        base[r] += dot;
        loss[r] += ROB_U * ((double)(size + 4) * most + fabs(base[r]))
                   + 4 * (double)(size + 1) * ROB_TINY;
        measure[r] = seen;
    }
}

double rob_priv_ball_slope(const rob_ball *b, double measure, double ops)
{
    if (b->norm == ROB_NORM_L1) return measure;
    double inflated = fp_add_up(fp_mul_up(measure, fp_up(1 + ops * ROB_U)),
                                (ops + 1) * ROB_TINY);
    return b->norm == ROB_NORM_L2 ? fp_sqrt_up(inflated) : inflated;
}
