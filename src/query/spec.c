/* spec.c -- specifications of outputs and norms of perturbations.
 *
 * A specification is an "or of ands": rows c_r (L), b_r in groups. With outputs f
 *     F(f) = min over groups of max over the group's rows of (c_r . f + b_r),
 * and it fails where F <= 0. Untargeted, reference k: one group per other class j with
 * the one row f_k - f_j. Towards target j: one group of all rows f_k - f_j, k != j.
 * Norms: ||d||_0, ||d||_1, ||d||_2, ||d||_inf; the Euclidean one is scaled so that it neither
 * overflows nor underflows. (docs/theory/query.md, section 1.)
 */
#include "query/query.h"

#include <math.h>

int64_t rob_priv_argmax(const double *f, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        if (f[k] > f[best]) best = k;
    return best;
}

static double row_value(const rob_spec *s, const double *f, int64_t r)
{
    double value = s->b[r];
    for (int64_t k = 0; k < s->outputs; k++) value += s->c[r * s->outputs + k] * f[k];
    return value;
}

double rob_priv_spec_group(const rob_spec *s, const double *f, int64_t first,
                           int64_t *row, int64_t *next)
{
    int64_t r = first, deciding = first;
    double most = row_value(s, f, first);
    for (r++; r < s->rows && s->group[r] == s->group[first]; r++) {
        double value = row_value(s, f, r);
        if (value > most || isnan(value)) {
            most = value;
            deciding = r;
        }
    }
    *row = deciding;
    *next = r;
    return most;
}

double rob_priv_spec_margin(const rob_spec *s, const double *f, int64_t *row)
{
    double least = INFINITY;
    int64_t decided = 0, deciding, next;
    for (int64_t first = 0; first < s->rows && !isnan(least); first = next) {
        double value = rob_priv_spec_group(s, f, first, &deciding, &next);
        if (value < least || isnan(value)) {
            least = value;
            decided = deciding;
        }
    }
    if (row) *row = decided;
    return least;
}

void rob_priv_spec_fill(rob_spec *s, int64_t outputs, int64_t reference, int64_t target)
{
    int64_t fixed = target >= 0 ? target : reference;
    double sign = target >= 0 ? -1 : 1;
    s->outputs = outputs;
    s->rows = outputs - 1;
    s->groups = target >= 0 ? 1 : outputs - 1;
    for (int64_t r = 0; r < s->rows; r++) {
        double *c = s->c + r * outputs;
        for (int64_t k = 0; k < outputs; k++) c[k] = 0;
        c[fixed] = sign;
        c[r < fixed ? r : r + 1] = -sign;
        s->b[r] = 0;
        s->group[r] = target >= 0 ? 0 : (int32_t)r;
    }
}

static double euclidean(const double *d, int64_t n, double largest)
{
    double sum = 0;
    if (!(largest > 0) || !isfinite(largest)) return largest;
    int exponent;
    frexp(largest, &exponent);
    for (int64_t i = 0; i < n; i++) {
        double scaled = ldexp(d[i], -exponent);
        sum += scaled * scaled;
    }
    return ldexp(sqrt(sum), exponent);
}

static double squares(const double *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += d[i] * d[i];
    return sum;
}

double rob_priv_norm(int32_t norm, const double *d, int64_t n)
{
    double sum = 0, largest = 0;
    if (norm == ROB_NORM_L0) {
        for (int64_t i = 0; i < n; i++) sum += d[i] != 0;
        return sum;
    }
    if (norm == ROB_NORM_L2) {
        double square = squares(d, n);
        if (square > 0x1p-900 && square < 0x1p900) return sqrt(square);
    }
    for (int64_t i = 0; i < n; i++) {
        double size = fabs(d[i]);
        sum += size;
        if (size > largest || isnan(size)) largest = size;
    }
    if (norm == ROB_NORM_L1) return sum;
    return norm == ROB_NORM_LINF ? largest : euclidean(d, n, largest);
}
