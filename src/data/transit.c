/* transit.c -- light of a limb-darkened star behind an opaque disc.
 *
 * Star of radius 1 with  I(mu) = 1 - u1 (1 - mu) - u2 (1 - mu)^2,  mu = sqrt(1 - r^2);
 * disc of radius p, centres z apart. The circle of radius r is covered over the angle
 *     theta(r) = 2 acos((r^2 + z^2 - p^2) / (2 r z)),   2 pi where r < p - z,
 * so that, without approximation for small p,
 *     F = 1 - int_0^1 I(r) theta(r) r dr / (pi (1 - u1/3 - u2/6)).
 * Where r < p - z the integral is elementary: I = (1 - u1 - u2) + (u1 + 2 u2) mu - u2
 * mu^2,
 *     int_0^a mu r dr = (1 - mu(a)^3) / 3,   int_0^a mu^2 r dr = a^2/2 - a^4/4.
 * Over |z - p| <= r <= min(1, z + p), r = m - h cos(phi) makes the square roots of
 * theta and mu at the ends smooth, and Gauss-Legendre in phi with 16 nodes gives six
 * digits of the covered light (tests/check/data.c holds it against the closed form of a
 * uniform star). The geometry is that of Mandel and Agol 2002, ApJ 580, L171.
 */
#include "data/parts.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* Gauss-Legendre, 16 nodes on [-1, 1]: the positive ones */
static const double NODE[8] = {
    0.095012509837637441, 0.28160355077925892, 0.45801677765722737, 0.61787624440264377,
    0.755404408355003,    0.86563120238783176, 0.9445750230732326,  0.98940093499164994,
};
static const double WEIGHT[8] = {
    0.18945061045506864,  0.18260341504492364,  0.16915651939500265,
    0.14959598881657671,  0.12462897125553407,  0.095158511682492605,
    0.062253523938647456, 0.027152459411754176,
};

static double brightness(double r, double u1, double u2)
{
    double dark = 1.0 - sqrt(fmax(0.0, 1.0 - r * r));
    return 1.0 - dark * (u1 + u2 * dark);
}

static double covered_angle(double r, double z, double p)
{
    double c = (r * r + z * z - p * p) / (2.0 * r * z);
    return 2.0 * acos(fmax(-1.0, fmin(1.0, c)));
}

/* 2 pi int_0^a I(r) r dr */
static double light_within(double a, double u1, double u2)
{
    double mu = sqrt(fmax(0.0, 1.0 - a * a)), half = 0.5 * a * a;
    return 2.0 * PI
           * ((1.0 - u1 - u2) * half + (u1 + 2.0 * u2) * (1.0 - mu * mu * mu) / 3.0
              - u2 * half * (1.0 - half));
}

static double light_of_ring(double from, double to, double z, double p, double u1,
                            double u2)
{
    double middle = 0.5 * (from + to), half = 0.5 * (to - from), sum = 0.0;
    if (!(half > 0.0)) return 0.0;
    for (int k = 0; k < 16; k++) {
        double node = k < 8 ? -NODE[k] : NODE[k - 8];
        double phi = 0.5 * PI * (1.0 + node), r = middle - half * cos(phi);
        sum += WEIGHT[k % 8] * brightness(r, u1, u2) * covered_angle(r, z, p) * r
               * sin(phi);
    }
    return sum * half * 0.5 * PI;
}

double rob_priv_transit_flux(double z, double p, double u1, double u2)
{
    if (z >= 1.0 + p || p <= 0.0) return 1.0;
    if (z <= p - 1.0) return 0.0;
    double whole = PI * (1.0 - u1 / 3.0 - u2 / 6.0);
    double inner = fmax(0.0, fmin(1.0, p - z));
    double light =
        light_within(inner, u1, u2)
        + light_of_ring(fmin(1.0, fabs(z - p)), fmin(1.0, z + p), z, p, u1, u2);
    return fmax(0.0, 1.0 - light / whole);
}
