/* transit.c -- light of a limb-darkened star behind an opaque disc.
 *
 * Star of radius 1 with  I(mu) = 1 - u1 (1 - mu) - u2 (1 - mu)^2,  mu = sqrt(1 - r^2);
 * disc of radius p, centres z apart. The circle of radius r is covered over the angle
 *     theta(r) = 2 acos((r^2 + z^2 - p^2) / (2 r z)),   2 pi where r < p - z,
 * so that, without approximation for small p,
 *     F = 1 - int_0^1 I(r) theta(r) r dr / (pi (1 - u1/3 - u2/6)).
 * The integral runs over |z - p| <= r <= min(1, z + p) (and 0 <= r <= p - z). With
 * r = m - h cos(phi) the square roots of theta and mu at the ends become smooth, and the
 * midpoint rule in phi converges fast: NODES give 1e-6 of the covered light.
 * The geometry is that of Mandel and Agol 2002, ApJ 580, L171.
 */
#include "data/parts.h"

#include <math.h>

enum { NODES = 24 };
static const double PI = 3.14159265358979323846;

static double brightness(double r, double u1, double u2)
{
    double dark = 1.0 - sqrt(fmax(0.0, 1.0 - r * r));
    return 1.0 - dark * (u1 + u2 * dark);
}

static double covered_angle(double r, double z, double p)
{
    if (r <= p - z) return 2.0 * PI;
    double c = (r * r + z * z - p * p) / (2.0 * r * z);
    return 2.0 * acos(fmax(-1.0, fmin(1.0, c)));
}

static double covered_light(double from, double to, double z, double p, double u1, double u2)
{
    double middle = 0.5 * (from + to), half = 0.5 * (to - from), sum = 0.0;
    if (!(half > 0.0)) return 0.0;
    for (int k = 0; k < NODES; k++) {
        double phi = PI * (k + 0.5) / NODES, r = middle - half * cos(phi);
        sum += brightness(r, u1, u2) * covered_angle(r, z, p) * r * half * sin(phi);
    }
    return sum * PI / NODES;
}

double rob_priv_transit_flux(double z, double p, double u1, double u2)
{
    if (z >= 1.0 + p || p <= 0.0) return 1.0;
    if (z <= p - 1.0) return 0.0;
    double whole = PI * (1.0 - u1 / 3.0 - u2 / 6.0);
    double inner = fmax(0.0, fmin(1.0, p - z));
    double light = covered_light(0.0, inner, z, p, u1, u2)
                 + covered_light(fmin(1.0, fabs(z - p)), fmin(1.0, z + p), z, p, u1, u2);
    return fmax(0.0, 1.0 - light / whole);
}
