/* quadric.c -- the distance from 0 to the set { d : q(d) <= 0 },
 *
 *     q(d) = t + J.d + d'Hd/2,   t > 0,   H = V' diag(lambda) V.
 *
 * The nearest point satisfies d = -mu (J + H d), mu >= 0, so in the eigenbasis
 *     d_i = -mu J_i / (1 + mu lambda_i),
 *     phi(mu) = q(d) = t - sum_i J_i^2 mu (1 + mu lambda_i/2) / (1 + mu lambda_i)^2,
 *     phi'(mu) = -sum_i J_i^2 / (1 + mu lambda_i)^3 < 0,
 * on 0 < mu < mu_max = 1/max(0, -lambda_min): one root at most, by Newton's method
 * inside a bracket. Hard case: no root because J has nothing along the lowest
 * eigenvectors; then mu = mu_max and d gets +- sqrt(2 phi(mu_max) / -lambda_min) along
 * one of them. No root and lambda_min >= 0: q > 0 everywhere. (More & Sorensen, SIAM J.
 * Sci. Stat. Comput. 4 (1983), for the mirror problem of trust regions;
 * docs/theory/boundary.md, section 2.)
 *
 * Lengths are scaled so that t = 1 and |J| = 1: then lambda t/|J|^2 is all that
 * matters. Near mu_max the unknown is s = 1 + mu lambda_min instead, with 1 + mu
 * lambda_i = (lambda_i - lambda_min - s lambda_i)/-lambda_min, which loses nothing.
 */
#include "boundary/boundary.h"

#include <math.h>

enum { NEWTON_STEPS = 400 };

/* The scaled problem: t = 1, |J| = 1 (zero J: t = 1, lambda as given). */
typedef struct quadric {
    int64_t n;
    const double *j, *lambda;
    double jn, ln;  /* j * jn, lambda * ln are the scaled numbers */
    double low;     /* scaled lambda_min */
    bool near_pole; /* the unknown is s */
} quadric;

/* 1 + mu lambda_i and mu at unknown y */
static double factor(const quadric *q, int64_t i, double y)
{
    double lambda = q->lambda[i] * q->ln;
    return q->near_pole ? (lambda - q->low - y * lambda) / -q->low : 1 + y * lambda;
}

static double mu_at(const quadric *q, double y)
{
    return q->near_pole ? (1 - y) / -q->low : y;
}

/* phi, and its slope by the unknown */
static double phi(const quadric *q, double y, double *slope)
{
    double mu = mu_at(q, y), sum = 0, down = 0;
    for (int64_t i = 0; i < q->n; i++) {
        double j = q->j[i] * q->jn;
        if (j == 0) continue;
        double f = factor(q, i, y), r = j / f;
        sum += r * r * (mu * (1 + f) / 2);
        down += r * r / f;
    }
    *slope = q->near_pole ? down / -q->low : -down;
    return 1 - sum;
}

/* Newton's step from y: for phi itself, or near the pole, where 1 - phi grows like
 * 1/s^2, for (1 - phi)^(-1/2), which is almost linear in s. */
static double newton(const quadric *q, double y, double value, double slope)
{
    double sum = 1 - value;
    return q->near_pole ? y - 2 * sum * (1 - sqrt(sum)) / slope : y - value / slope;
}

/* The root between a and b, where phi has opposite signs. */
static double root(const quadric *q, double a, double b)
{
    double low = a, high = b, y = a;
    for (int k = 0; k < NEWTON_STEPS; k++) {
        double slope, value = phi(q, y, &slope);
        if (value == 0) break;
        if ((value < 0) == q->near_pole) low = y;
        else high = y;
        double next = newton(q, y, value, slope);
        if (fabs(next - y) <= 0x1p-52 * y) break;
        if (!(next > low && next < high)) next = sqrt(low * high);
        if (next <= low || next >= high) break;
        y = next;
    }
    return y;
}

/* d_i at unknown y, lengths scaled; its norm */
static double point_at(const quadric *q, double y, double *d)
{
    double sum = 0, mu = mu_at(q, y);
    for (int64_t i = 0; i < q->n; i++) {
        double j = q->j[i] * q->jn;
        d[i] = j == 0 ? 0 : -mu * j / factor(q, i, y);
        sum += d[i] * d[i];
    }
    return sqrt(sum);
}

static double hard_case(const quadric *q, double *d)
{
    double left = 1, sum = 0, mu = 1 / -q->low;
    int64_t lowest = 0;
    for (int64_t i = 0; i < q->n; i++) {
        double j = q->j[i] * q->jn, lambda = q->lambda[i] * q->ln;
        double f = (lambda - q->low) / -q->low;
        d[i] = f > 0 ? -mu * j / f : 0;
        left -= f > 0 ? j / f * (j / f) * (mu * (1 + f) / 2) : 0;
        if (q->lambda[i] < q->lambda[lowest]) lowest = i;
    }
    d[lowest] = sqrt(2 * fmax(left, 0) / -q->low);
    for (int64_t i = 0; i < q->n; i++) sum += d[i] * d[i];
    return sqrt(sum);
}

/* lambda_min >= 0: is there a root, and below which mu */
static double convex_end(const quadric *q)
{
    double most = 0, least = INFINITY;
    for (int64_t i = 0; i < q->n; i++) {
        double j = q->j[i] * q->jn, lambda = q->lambda[i] * q->ln;
        if (j == 0) continue;
        most += lambda > 0 ? j * j / (2 * lambda) : INFINITY;
        if (lambda > 0 && lambda < least) least = lambda;
    }
    if (!(most > 1)) return INFINITY;
    double slope, mu = 1;
    while (mu < 1e300 && phi(q, mu, &slope) > 0) mu *= 16;
    return mu < 1e300 ? mu : INFINITY;
}

/* An s below the root: for s <= 1/2 the lowest eigenvector's own term of 1 - phi is at
 * least (J_low/s)^2/(4 |lambda_min|), which is 1 here. 0: the hard case. */
static double under_root(const quadric *q)
{
    double most = 0;
    for (int64_t i = 0; i < q->n; i++)
        if (q->lambda[i] * q->ln == q->low) most = fmax(most, fabs(q->j[i] * q->jn));
    return fmin(most / (2 * sqrt(-q->low)), 0.5);
}

static double solve_scaled(quadric *q, double *d)
{
    double slope, half = 0.5 / -q->low;
    if (q->jn == 0) return q->low < 0 ? hard_case(q, d) : INFINITY;
    if (q->low >= 0) {
        double end = convex_end(q);
        return isfinite(end) ? point_at(q, root(q, 0.0625, end), d) : INFINITY;
    }
    if (phi(q, half, &slope) <= 0)
        return point_at(q, root(q, fmin(0.0625, half / 2), half), d);
    q->near_pole = true;
    double below = under_root(q);
    return below > 1e-140 ? point_at(q, root(q, below, 0.75), d) : hard_case(q, d);
}

double rob_priv_quadric_distance(int64_t n, double t, const double *j,
                                 const double *lambda, double *d)
{
    quadric q = { .n = n, .j = j, .lambda = lambda };
    double low = INFINITY, scale;
    for (int64_t i = 0; i < n; i++) {
        d[i] = 0;
        low = fmin(low, lambda[i]);
    }
    if (!(t > 0)) return isnan(t) ? NAN : 0;
    double norm = rob_priv_norm(ROB_NORM_L2, j, n);
    if (n == 0 || !isfinite(norm)) return n == 0 ? INFINITY : NAN;
    scale = norm > 0 ? t / norm : 1; /* the unit of length */
    q.jn = norm > 0 ? 1 / norm : 0;
    q.ln = norm > 0 ? scale / norm : 1 / t;
    q.low = low * q.ln;
    double distance = solve_scaled(&q, d);
    for (int64_t i = 0; i < n; i++) d[i] *= isfinite(distance) ? scale : 0;
    return distance * scale;
}

double rob_priv_quadric_lower(double t, double norm, double nu)
{
    double inside = norm * norm + 2 * nu * t;
    if (!(t > 0)) return isnan(t) ? NAN : 0;
    if (inside < 0 || (norm == 0 && nu <= 0)) return INFINITY;
    return 2 * t / (norm + sqrt(inside));
}
