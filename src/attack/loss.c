/* loss.c -- what a search descends on: functions of the outputs f of a series.
 *
 * "margin"  F(f) of the specification, or F_G of the group G aimed at.
 *
 * "ce"      cross-entropy of class k (the reference, falling; a target, rising). With
 *     p_k = softmax(f)_k its log-odds are
 *         log p_k/(1 - p_k) = f_k - log sum_{j != k} exp f_j,
 *     gradient e_k - sum_j w_j e_j, w = softmax over the others; that of log p_k is
 *     (1 - p_k) times it. Methods here take directions and compare values, so descent on
 *     the log-odds makes the steps of descent on cross-entropy, and goes on where
 *     1 - p_k, and with it every slope, rounds to zero.
 *
 * "dlr"     F_G(f)/s(f), s a spread of the outputs sorted f_1 >= f_2 >= ...:
 *         f_1 - f_3                nothing aimed at (Croce & Hein, ICML 2020),
 *         f_1 - (f_3 + f_4)/2      towards a class (the same),
 *         f_1 - f_3                towards a class, of three,
 *         |F(f(x))|                two classes.
 *     It is unchanged by f -> a f + b. The published ratio needs a third class. With two
 *     every loss that only depends on differences is phi(f_1 - f_2), and one unchanged by
 *     f -> a f is a function of its sign alone: no such loss has a slope. What can be
 *     unchanged is the *descent*: for increasing phi directions and comparisons are those
 *     of the margin itself, here over that at x, which makes the numbers unchanged as well.
 *     Where the spread is zero the margin stands in.
 * (docs/theory/attack.md, section 4.)
 */
#include "attack/attack.h"

#include <math.h>
#include <string.h>

/* value and seed = d value / d f (n) of the group first .. , row deciding it */
typedef double loss_of(const rob_case *c, const double *f, double margin, int64_t row,
                       bool aimed, double *seed);

static double by_margin(const rob_case *c, const double *f, double margin, int64_t row,
                        bool aimed, double *seed)
{
    const rob_spec *s = &c->spec;
    (void)f;
    (void)aimed;
    memcpy(seed, s->c + row * s->outputs, (size_t)s->outputs * sizeof *seed);
    return margin;
}

static double by_entropy(const rob_case *c, const double *f, double margin, int64_t row,
                         bool aimed, double *seed)
{
    int64_t n = c->spec.outputs, fixed = c->target >= 0 ? c->target : c->reference;
    double sign = c->target >= 0 ? -1 : 1, top = -INFINITY, sum = 0;
    (void)margin;
    (void)row;
    (void)aimed;
    for (int64_t k = 0; k < n; k++)
        if (k != fixed && f[k] > top) top = f[k];
    for (int64_t k = 0; k < n; k++) sum += k == fixed ? 0 : exp(f[k] - top);
    for (int64_t k = 0; k < n; k++)
        seed[k] = k == fixed ? sign : -sign * exp(f[k] - top) / sum;
    return sign * (f[fixed] - top - log(sum));
}

/* places of the four largest outputs, -1: fewer */
static void four_largest(const double *f, int64_t n, int64_t *at)
{
    for (int k = 0; k < 4; k++) at[k] = -1;
    for (int64_t i = 0; i < n; i++) {
        int64_t own = i;
        for (int k = 0; k < 4; k++) {
            if (at[k] >= 0 && !(f[own] > f[at[k]])) continue;
            int64_t other = at[k];
            at[k] = own;
            own = other;
            if (own < 0) break;
        }
    }
}

static double by_ratio(const rob_case *c, const double *f, double margin, int64_t row,
                       bool aimed, double *seed)
{
    int64_t n = c->spec.outputs, at[4];
    double low = 0, spread = fabs(c->margin);
    int lowest = aimed && n > 3 ? 2 : 1; /* outputs that the lower end is a mean of */
    by_margin(c, f, margin, row, aimed, seed);
    four_largest(f, n, at);
    for (int k = 2; n > 2 && k < 2 + lowest; k++) low += f[at[k]] / lowest;
    if (n > 2) spread = f[at[0]] - low;
    if (!(spread > 0) || !isfinite(spread)) return margin;
    for (int64_t k = 0; k < n; k++) seed[k] /= spread;
    double slope = margin / spread / spread; /* - d value / d spread */
    if (n > 2) seed[at[0]] -= slope;
    for (int k = 2; n > 2 && k < 2 + lowest; k++) seed[at[k]] += slope / lowest;
    return margin / spread;
}

static const struct {
    const char *name;
    loss_of *of;
} losses[] = { { "margin", by_margin }, { "ce", by_entropy }, { "dlr", by_ratio } };

int32_t rob_priv_loss_named(const char *name)
{
    for (int32_t k = 0; k < COUNT_OF(losses); k++)
        if (strcmp(losses[k].name, name) == 0) return k;
    return -1;
}

const char *rob_priv_loss_name(int32_t loss) { return losses[loss].name; }

void rob_priv_loss_seed(const rob_case *c, rob_lane *l, const double *f, double *seed)
{
    int64_t row, next;
    l->margin = l->value = rob_priv_spec_margin(&c->spec, f, &row);
    if (l->aim >= 0) l->value = rob_priv_spec_group(&c->spec, f, l->aim, &row, &next);
    l->loss_value =
        losses[l->loss].of(c, f, l->value, row, l->aim >= 0 || c->target >= 0, seed);
}
