/* plane_matmul.c -- Y (M,N) = op(A) (M,K) op(B) (K,N) over ranges, and rows pulled
 * through it.
 *
 * Range. An operand is centre +- radius; with A = Ac +- Ar, B = Bc +- Br the exact set
 * of every element lies in  Ac Bc +- (Ar |Bc| + |Ac| Br + Ar Br)  plus gamma_K |Ac|
 * |Bc| and 2^-1022 a product for the rounding of the centre's sum. Sharp where one
 * operand is a constant (Br = 0). Where neither is, the interval products of the terms
 * are summed instead, which is tighter by up to 3/2.
 *
 * Pull. Coefficients L (M,N) on Y become  fl(L Bc')  on A; the row loses, for the
 * element, (gamma_N sum |L||Bc| + N 2^-1022 + sum |L| Br) max|a|,  and |sum| u max|a|
 * for adding into a coefficient that is there already. The same on B with the roles
 * exchanged. So a constant operand costs only rounding, and an operand that is not
 * constant is sound too.
 *
 * Reference: Rump, Fast and parallel interval arithmetic, BIT 39 (1999) 534; Higham,
 * Accuracy and Stability, 2nd ed., 3.5; docs/theory/relax.md 4.
 */
#include "op/plane.h"

typedef struct dims { int64_t batch, m, k, n; bool ta, tb; } dims;

static dims dims_of(const rob_node *n, const rob_range *in)
{
    int32_t r = n->shape.rank;
    dims d = { 1, n->shape.dim[r - 2], 0, n->shape.dim[r - 1], n->attr.i[0] != 0,
               n->attr.i[1] != 0 };
    d.k = in[0].shape.dim[d.ta ? r - 2 : r - 1];
    for (int32_t i = 0; i < r - 2; i++)
        d.batch *= n->shape.dim[i];
    return d;
}

static int64_t at_a(const dims *d, int64_t b, int64_t p, int64_t q)
{
    return b * d->m * d->k + (d->ta ? q * d->m + p : p * d->k + q);
}

static int64_t at_b(const dims *d, int64_t b, int64_t q, int64_t j)
{
    return b * d->k * d->n + (d->tb ? j * d->k + q : q * d->n + j);
}

static double centre_of(const rob_range *r, int64_t e, double *radius)
{
    double lo = r->lo[e], up = r->up[e];
    *radius = 0;
    if (lo == up)
        return lo;
    double c = 0.5 * lo + 0.5 * up;
    *radius = fp_max(fp_up(up - c), fp_up(c - lo));
    return c;
}

static bool is_constant(const rob_range *r)
{
    int64_t size = rob_priv_shape_size(&r->shape);
    for (int64_t e = 0; e < size; e++)
        if (r->lo[e] != r->up[e])
            return false;
    return true;
}

/* one element of Y; a and b are the first elements of a row and a column */
static rob_interval by_centre(const rob_range *in, int64_t k, int64_t a, int64_t a_step,
                              int64_t b, int64_t b_step)
{
    double centre = 0, size = 0, spread = 0;
    for (int64_t q = 0; q < k; q++) {
        double ar, br, ac = centre_of(&in[0], a + q * a_step, &ar);
        double bc = centre_of(&in[1], b + q * b_step, &br);
        centre += ac * bc;
        size += fabs(ac * bc);
        spread += ar * fabs(bc) + (fabs(ac) + ar) * br;
    }
    double g = fp_gamma(k + 4);
    double radius =
        fp_up(fp_up(spread * (1 + g)) + fp_up(size * g) + 4 * (double)k * ROB_TINY);
    return (rob_interval){ fp_add_lo(centre, -radius), fp_add_up(centre, radius) };
}

static rob_interval by_terms(const rob_range *in, int64_t k, int64_t a, int64_t a_step,
                             int64_t b, int64_t b_step)
{
    rob_interval sum = { 0, 0 };
    for (int64_t q = 0; q < k; q++) {
        rob_interval y =
            rob_priv_range_product(rob_priv_range_at(&in[0], a + q * a_step),
                                   rob_priv_range_at(&in[1], b + q * b_step));
        sum.lo = fp_add_lo(sum.lo, y.lo);
        sum.up = fp_add_up(sum.up, y.up);
    }
    return sum;
}

void rob_priv_matmul_interval(const rob_node *n, const rob_range *in, rob_range *out)
{
    dims d = dims_of(n, in);
    bool constant = is_constant(&in[0]) || is_constant(&in[1]);
    int64_t a_step = d.ta ? d.m : 1, b_step = d.tb ? 1 : d.n;
    for (int64_t e = 0; e < d.batch * d.m * d.n; e++) {
        int64_t j = e % d.n, p = e / d.n % d.m, b = e / d.n / d.m;
        int64_t first = at_a(&d, b, p, 0), second = at_b(&d, b, 0, j);
        rob_interval y = constant ? by_centre(in, d.k, first, a_step, second, b_step)
                                  : by_terms(in, d.k, first, a_step, second, b_step);
        rob_priv_range_put(out, e, y.lo, y.up);
    }
}

/* sum of L over one index against the other operand; what it can be off per unit of z
 */
typedef struct coefficient { double value, size, spread; } coefficient;

static coefficient contract(const double *row, int64_t row_step, const rob_range *other,
                            int64_t first, int64_t step, int64_t count)
{
    coefficient c = { 0, 0, 0 };
    for (int64_t t = 0; t < count; t++) {
        double radius, w = centre_of(other, first + t * step, &radius);
        double l = row[t * row_step];
        if (l == 0 || (w == 0 && radius == 0))
            continue;
        c.value += l * w;
        c.size += fabs(l * w);
        c.spread += fabs(l) * radius + ROB_TINY;
    }
    return c;
}

static double pull_element(coefficient c, int64_t count, double most, double *in)
{
    double off = c.size * fp_gamma(count + 1) + c.spread;
    double cost = off == 0 ? 0 : off * most;
    return cost + rob_priv_row_add(in, c.value, true, most);
}

static double pull_row(const dims *d, const rob_range *value, int32_t i,
                       const double *row, double *in)
{
    double cost = 0;
    int64_t outer = i == 0 ? d->m : d->k, inner = i == 0 ? d->k : d->n;
    for (int64_t e = 0; e < d->batch * outer * inner; e++) {
        int64_t q = e % inner, p = e / inner % outer, b = e / inner / outer;
        const double *y = row + b * d->m * d->n;
        /* on A (p,q): sum_j L(p,j) B(q,j); on B (p,q): sum_j A(j,p) L(j,q) */
        int64_t at = i == 0 ? at_a(d, b, p, q) : at_b(d, b, p, q);
        coefficient c = i == 0 ? contract(y + p * d->n, 1, &value[1], at_b(d, b, q, 0),
                                          d->tb ? d->k : 1, d->n)
                               : contract(y + q, d->n, &value[0], at_a(d, b, 0, p),
                                          d->ta ? 1 : d->k, d->m);
        cost += pull_element(c, i == 0 ? d->n : d->m,
                             rob_priv_range_most(&value[i], at), &in[at]);
    }
    return cost;
}

void rob_priv_matmul_pull(const rob_node *n, const rob_range *value,
                          const rob_rows *out, int32_t i, rob_rows *in, double *loss)
{
    dims d = dims_of(n, value);
    for (int64_t r = 0; r < out->rows; r++)
        rob_priv_row_charge(&loss[r], pull_row(&d, value, i, out->at + r * out->cols,
                                               in->at + r * in->cols),
                            in->cols + d.m + d.n);
}
