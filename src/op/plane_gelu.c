/* plane_gelu.c -- gelu(x) = x Phi(x), or x sigmoid(a x (1 + c x^2)), over ranges.
 *
 * Both fall up to a turn m < 0, where they are least, and rise behind it:
 *     Phi form   m = -0.75179152469356446, least value -0.16997120747990367
 *     tanh form  m = -0.75246142207101622, least value -0.17004075057125405
 * (computed at 40 digits; ends below are moved outward from these). So a range has its
 * largest value at an end, and its least at the end nearer to m or at m.
 */
#include "op/plane.h"

static const double GATE = 0x1.9884533d43651p+0, CUBE = 0.044715;

typedef struct turn {
    double before, behind, least; /* m lies between the first two */
} turn;

static const turn TURNS[2] = {
    { -0.751791524693565, -0.751791524693564, -0.169971207479904 },
    { -0.752461422071017, -0.752461422071016, -0.170040750571255 },
};

/* x f, f >= 0 */
static rob_interval times(double x, rob_interval f)
{
    return x < 0 ? (rob_interval){ fp_mul_lo(x, f.up), fp_mul_up(x, f.lo) }
                 : (rob_interval){ fp_mul_lo(x, f.lo), fp_mul_up(x, f.up) };
}

static rob_interval share_by_tanh(double x)
{
    double low = fp_add_lo(1, fp_mul_lo(CUBE, fp_max(fp_mul_lo(x, x), 0)));
    double high = fp_add_up(1, fp_mul_up(CUBE, fp_mul_up(x, x)));
    rob_interval z =
        times(x, (rob_interval){ fp_mul_lo(GATE, low), fp_mul_up(GATE, high) });
    return (rob_interval){ fp_max(fp_sigmoid_lo(z.lo), 0), fp_sigmoid_up(z.up) };
}

static rob_interval share_by_erf(double x)
{
    const rob_interval root_half = { 0x1.6a09e667f3bccp-1, 0x1.6a09e667f3bcdp-1 };
    rob_interval t = times(x, root_half);
    double low = 0.5 * fp_add_lo(1, fp_erf_lo(t.lo));
    return (rob_interval){ fp_max(low, 0), 0.5 * fp_add_up(1, fp_erf_up(t.up)) };
}

/* gelu at one point; +-inf: the limits */
static rob_interval at(bool by_tanh, double x)
{
    double least = TURNS[by_tanh].least;
    rob_interval y = times(x, by_tanh ? share_by_tanh(x) : share_by_erf(x));
    if (x < 0) return (rob_interval){ fp_max(y.lo, least), fp_min(y.up, 0) };
    return (rob_interval){ fp_max(y.lo, 0), fp_or_up(y.up) };
}

rob_interval rob_priv_range_gelu(bool by_tanh, rob_interval x)
{
    const turn *t = &TURNS[by_tanh];
    rob_interval left = at(by_tanh, x.lo), right = at(by_tanh, x.up);
    double low = x.lo >= t->behind ? left.lo : x.up <= t->before ? right.lo : t->least;
    return (rob_interval){ low, fp_max(left.up, right.up) };
}
