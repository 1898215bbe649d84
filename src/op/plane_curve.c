/* plane_curve.c -- second-order models with a bound of what third derivatives leave.
 *
 * Taylor at the centre: what remains is 1/6 sum phi_ijk(xi) z_i z_j z_k. With |z_i| <= m_i,
 * |x^2 y| <= m_y x^2 and |x^3| <= m_x x^2 it is at most 1/2 sum rho_i z_i^2, where
 *
 *   f(x)        rho   = |f'''| m / 3
 *   f(x) g(y)   rho_x = (|f''' g| m_x + 3 |f'' g'| m_y) / 3, rho_y with f, g exchanged
 *   blend       rho_z = (|sigmoid'''| |h - n| m_z + 3 |sigmoid''| (m_n + m_h)) / 3
 *
 * each derivative at its largest over the box. With p = sigmoid', q = tanh', t = tanh:
 *
 *   sigmoid'' = -p tanh(x/2),  sigmoid''' = p - 6 p^2,
 *   tanh''    = -2 t q,        tanh'''    = 4 q - 6 q^2.
 *
 * p and q fall with |x|, so their ranges come from the points of the box nearest to and
 * farthest from 0; the parabolas take their extreme at p = 1/12 (1/24), q = 1/3 (2/3)
 * or at an end. Reference: docs/theory/relax.md 6.
 */
#include "op/plane.h"

static const double ROUNDINGS = 64; /* relative error of any derivative, in u: <= 48 */

static double widened(double x)
{
    return isnan(x) ? INFINITY : x * (1 + ROUNDINGS * ROB_U) + ROB_TINY;
}

static double nearest_to_zero(rob_interval x)
{
    return x.lo > 0 ? x.lo : x.up < 0 ? -x.up : 0;
}

static double farthest_from_zero(rob_interval x)
{
    return fp_max(-x.lo, x.up);
}

/* largest |a p - 6 p^2| for p in [low, high]; the vertex p = a/12 gives a^2/24 */
static double parabola(double a, double low, double high)
{
    double m = fp_max(fabs(low * (a - 6 * low)), fabs(high * (a - 6 * high)));
    bool vertex = low <= a / 12 * (1 + 1e-9) && high >= a / 12 * (1 - 1e-9);
    /* an end near the root a/6 loses relative accuracy, never more than 8 u of a^2 */
    return (vertex ? fp_max(m, a * a / 24) : m) + ROUNDINGS * ROB_U * a * high;
}

rob_sizes rob_priv_sizes_sigmoid(rob_interval x)
{
    double near = nearest_to_zero(x), far = farthest_from_zero(x);
    double high = rob_priv_uni_sigmoid.slope(near),
           low = rob_priv_uni_sigmoid.slope(far);
    double second = fp_min(high * fp_tanh_up(0.5 * far), 0.0962250448649376388);
    return (rob_sizes){ { fp_sigmoid_up(x.up), widened(high), widened(second),
                          widened(parabola(1, low, high)) } };
}

rob_sizes rob_priv_sizes_tanh(rob_interval x)
{
    double near = nearest_to_zero(x), far = farthest_from_zero(x);
    double high = rob_priv_uni_tanh.slope(near), low = rob_priv_uni_tanh.slope(far);
    double t = fp_tanh_up(far), second = fp_min(2 * t * high, 0.769800358919501111);
    return (rob_sizes){ { t, widened(high), widened(second),
                          widened(parabola(4, low, high)) } };
}

rob_sizes rob_priv_sizes_linear(rob_interval x)
{
    return (rob_sizes){ { fp_max(fabs(x.lo), fabs(x.up)), 1, 0, 0 } };
}

rob_jet rob_priv_jet_sigmoid(double x)
{
    double p = rob_priv_uni_sigmoid.slope(x);
    return (rob_jet){ { fp_sigmoid(x), p, -p * fp_tanh(0.5 * x) } };
}

rob_jet rob_priv_jet_tanh(double x)
{
    double t = fp_tanh(x), q = rob_priv_uni_tanh.slope(x);
    return (rob_jet){ { t, q, -2 * t * q } };
}

rob_jet rob_priv_jet_linear(double x)
{
    return (rob_jet){ { x, 1, 0 } };
}

rob_interval rob_priv_curve_box(const rob_range *in, int64_t e, double centre,
                                double *reach)
{
    rob_interval x = rob_priv_range_at(in, e);
    x = (rob_interval){ fp_min(x.lo, centre), fp_max(x.up, centre) };
    *reach = fp_max(fp_up(centre - x.lo), fp_up(x.up - centre));
    return x;
}

/* value, gradient and Hessian may each be off by 128 u of the sizes that made them */
static void finish(rob_curve *c, int64_t e, double size, double reach)
{
    double tiny = 1e3 * ROB_TINY * (1 + size) * (1 + reach) * (1 + reach);
    double slack = 2 * ROUNDINGS * ROB_U * size + tiny;
    c->slack[e] = isnan(slack) ? INFINITY : slack;
}

void rob_priv_curve_one(rob_curve *c, int64_t e, rob_jet f, rob_sizes size,
                        double reach)
{
    c->value[e] = f.of[0];
    c->grad[0][e] = f.of[1];
    c->hess[0][e] = f.of[2];
    c->rho[0][e] = widened(size.of[3] * reach / 3);
    finish(c, e, fabs(f.of[0]) + fabs(f.of[1]) * reach + fabs(f.of[2]) * reach * reach,
           reach);
}

static double third_order(const rob_sizes *f, const rob_sizes *g, double m_f,
                          double m_g)
{
    double cubic = f->of[3] == 0 ? 0 : f->of[3] * g->of[0] * m_f;
    double mixed = f->of[2] == 0 ? 0 : 3 * f->of[2] * g->of[1] * m_g;
    return widened((cubic + mixed) / 3);
}

void rob_priv_curve_product(rob_curve *c, int64_t e, const rob_jet f[2],
                            const rob_sizes size[2], const double reach[2])
{
    const double *a = f[0].of, *b = f[1].of;
    double x = reach[0], y = reach[1];
    c->value[e] = a[0] * b[0];
    c->grad[0][e] = a[1] * b[0];
    c->grad[1][e] = a[0] * b[1];
    c->hess[0][e] = a[2] * b[0];
    c->hess[1][e] = a[1] * b[1];
    c->hess[2][e] = a[0] * b[2];
    c->rho[0][e] = third_order(&size[0], &size[1], x, y);
    c->rho[1][e] = third_order(&size[1], &size[0], y, x);
    finish(c, e, (fabs(a[0]) + fabs(a[1]) * x + fabs(a[2]) * x * x)
                 * (fabs(b[0]) + fabs(b[1]) * y + fabs(b[2]) * y * y), x + y);
}

void rob_priv_curve_blend(rob_curve *c, int64_t e, const rob_interval box[3],
                          const double at[3], const double reach[3])
{
    rob_jet s = rob_priv_jet_sigmoid(at[0]);
    rob_sizes size = rob_priv_sizes_sigmoid(box[0]);
    double d = at[2] - at[1], both = reach[1] + reach[2], x = reach[0];
    double apart = fp_max(fabs(box[2].up - box[1].lo), fabs(box[1].up - box[2].lo));
    c->value[e] = at[1] + s.of[0] * d;
    c->grad[0][e] = s.of[1] * d;
    c->grad[1][e] = fp_sigmoid(-at[0]);
    c->grad[2][e] = s.of[0];
    c->hess[0][e] = s.of[2] * d;
    c->hess[1][e] = -s.of[1];
    c->hess[2][e] = s.of[1];
    c->hess[3][e] = c->hess[4][e] = c->hess[5][e] = 0;
    c->rho[0][e] = widened((size.of[3] * apart * x + 3 * size.of[2] * both) / 3);
    c->rho[1][e] = c->rho[2][e] = 0;
    finish(c, e, fabs(at[1]) + fabs(at[2]) + both
                 + (fabs(d) + both) * (s.of[1] * x + fabs(s.of[2]) * x * x), x + both);
}
