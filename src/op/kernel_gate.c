/* kernel_gate.c -- minima of gates over boxes and cells, a vector of them at a time.
 *
 * The mathematics is that of plane_gate.c, plane_sigtanh.c and plane_joint.c, which call
 * these; the elementary functions are those of fp/exp.c, operation by operation, for
 * arguments <= 0 only: sigmoid and tanh need no other. Below -708 the exponential is held
 * at e^-708, an upper bound; sigmoid's lower bound is 0 there, and a derivative may be
 * off by 4 e^-708 < 8 ROB_TINY, which the slacks below contain.
 *
 * No operation is fused, so an element's bits are the same on every instruction set.
 * Reference: docs/theory/fp.md, docs/theory/relax.md 3 and 8.
 */
#include "op/gate.h"

#ifdef ROB_KERNEL
#ifdef ROB_KERNEL_f64
#include "fp/fp.h"
#include "la/vec.h"

static inline vec all(double x) { return (vec){0} + x; }
static inline vec larger(vec a, vec b) { return vec_select((vecb)(a > b), a, b); }
static inline vec lesser(vec a, vec b) { return vec_select((vecb)(a < b), a, b); }
static inline vec size_of(vec x) { return (vec)((vecb)x & ((vecb){0} + INT64_MAX)); }
static inline vec up(vec x) { return x + (size_of(x) * ROB_U + ROB_TINY); }
static inline vec lo(vec x) { return x - (size_of(x) * ROB_U + ROB_TINY); }
static inline vec add_lo(vec a, vec b) { return lo(a + b); }
static inline vec mul_lo(vec a, vec b) { return lo(a * b); }
static inline vec mul_up(vec a, vec b) { return up(a * b); }

static inline vec root(vec x)
{
#if defined(ROB_KERNEL_avx512)
    return (vec)_mm512_sqrt_pd((__m512d)x);
#elif defined(ROB_KERNEL_avx2)
    return (vec)_mm256_sqrt_pd((__m256d)x);
#else
    for (int i = 0; i < LANES; i++) x[i] = sqrt(x[i]);
    return x;
#endif
}

/* ---- elementary functions -------------------------------------------------------- */

static const double TAYLOR[12] = {
    0.5, 0x1.5555555555555p-3, 0x1.5555555555555p-5, 0x1.1111111111111p-7,
    0x1.6c16c16c16c17p-10, 0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-16,
    0x1.71de3a556c734p-19, 0x1.27e4fb7789f5cp-22, 0x1.ae64567f544e4p-26,
    0x1.1eed8eff8d898p-29, 0x1.6124613a86d09p-33,
};

typedef struct power { vec value, less_one; } power;

/* e^x and e^x - 1, x <= 0 */
static inline power power_of(vec x)
{
    const vec magic = all(0x1.8p52);
    x = larger(x, all(-708));
    vec t = x * 0x1.71547652b82fep+0 + magic, k = t - magic;
    vec r = (x - k * 0x1.62e42fefa38p-1) - k * 0x1.ef35793c7673p-45;
    vec q = all(TAYLOR[11]);
    for (int j = 10; j >= 0; j--) q = TAYLOR[j] + r * q;
    vec p = r + (r * r) * q;
    vec scale = (vec)(((vecb)t - (vecb)magic + 1023) << 52), y = (1 + p) * scale;
    return (power){ y, vec_select((vecb)(k == 0), p, y - 1) };
}

typedef struct pair { vec lo, up; } pair;

static inline pair sigmoid_of(vec x)
{
    vec e = power_of(-size_of(x)).value;
    vec s = vec_select((vecb)(x >= 0), all(1), e) / (1 + e), w = s * (3 * ROB_U) + ROB_TINY;
    vec low = vec_select((vecb)(x < -708), all(0), larger(all(0), s - w));
    return (pair){ low, lesser(all(1), s + w) };
}

static inline pair tanh_with(vec x, vec m)
{
    vec t = -m / (2 + m), w = t * (6 * ROB_U) + ROB_TINY, far = size_of(x);
    vec over = lesser(lesser(far, all(1)), t + w), under = larger(all(0), t - w);
    vecb right = (vecb)(x >= 0);
    return (pair){ vec_select(right, under, -over), vec_select(right, over, -under) };
}

static inline pair tanh_of(vec x)
{
    return tanh_with(x, power_of(-2 * size_of(x)).less_one);
}

/* log x to about 1e-13, x > 0 normal (others are taken for the least such): where to look,
 * never a bound */
static inline vec about_log(vec x)
{
    x = larger(x, all(0x1p-1022));
    vecb bits_of = (vecb)x, shifted = bits_of - 0x3fe6a09e667f3bcd;
    vecb k = shifted >> 52;
    vec m = (vec)(bits_of - (k << 52)), f = m - 1, s = f / (1 + m), w = s * s;
    vec scale = (vec)((vecb)all(0x1.8p52) + k) - 0x1.8p52;
    vec sum = all(1.0 / 15);
    static const double term[6] = { 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3 };
    for (int j = 0; j < 6; j++) sum = term[j] + w * sum;
    return scale * 0x1.62e42fefa39efp-1 + 2 * (s + s * w * sum);
}

static inline vec inside(vec p, vec l, vec u) { return lesser(larger(p, l), u); }

/* ---- min over y of s tanh(y) - b y ----------------------------------------------- */

/* s v - b y, v <= the factor at y */
static inline vec height(pair s, vec b, vec v, vec y)
{
    return add_lo(mul_lo(vec_select((vecb)(v < 0), s.up, s.lo), v), -mul_up(b, y));
}

/* The convex part [l, m], l < m <= 0, by the tangent where the slope is b. */
static inline vec tangent(pair s, vec b, vec l, vec m, vec *at)
{
    vec q = b / s.up, t = 1 + root(larger(1 - q, all(0)));
    vec p = -0.5 * about_log(t * t / q);
    p = vec_select((vecb)(q < 1), p, m);
    p = inside(vec_select((vecb)(q > 0x1p-1000), p, l), l, m);
    power e = power_of(-2 * size_of(p));
    vec one = 1 + e.value, d = s.up * (4 * e.value / (one * one));
    vec blur = d * (64 * ROB_U) + 32 * ROB_TINY;
    vec down = lesser(all(0), lo((d - blur) - b)), rise = larger(all(0), up((d + blur) - b));
    vec right = mul_up(-down, up(m - p)), left = mul_up(rise, up(p - l));
    *at = p;
    return lo(height(s, b, tanh_with(p, e.less_one).lo, p) - larger(right, left));
}

/* Loads with the last number repeated. */
static inline vec take(const double *p, int64_t n)
{
    if (n >= LANES) return vec_load(p);
    vec v = all(p[n - 1]);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

static inline void give(double *p, int64_t n, vec v)
{
    memcpy(p, &v, (size_t)(n < LANES ? n : LANES) * sizeof *p);
}

static inline void edges(const rob_gate_edges *g, const int of_tanh)
{
    for (int64_t i = 0; i < g->n; i += LANES) {
        const int64_t n = g->n - i;
        vec b = take(g->b + i, n), l = take(g->l + i, n), u = take(g->u + i, n);
        pair s = sigmoid_of(take(g->x + i, n)), gl = { l, l }, gu = { u, u };
        if (of_tanh) gl = tanh_of(l), gu = tanh_of(u);
        vec at = l, y = l, first = height(s, b, gl.lo, l), second = height(s, b, gu.lo, u);
        if (of_tanh) {
            vec curved = tangent(s, b, l, lesser(u, all(0)), &at);
            first = vec_select((vecb)(l < 0), curved, first);
            y = vec_select((vecb)(l < 0), at, l);
            second = vec_select((vecb)(u >= 0), second, all(INFINITY));
        }
        give(g->m + i, n, lesser(second, first));
        give(g->y + i, n, vec_select((vecb)(second < first), u, y));
        give(g->slo + i, n, s.lo);
        give(g->sup + i, n, s.up);
        give(g->glo + i, n, gl.lo);
        give(g->gup + i, n, gu.up);
    }
}

void R(gate_edges)(const rob_gate_edges *g, bool of_tanh)
{
    if (of_tanh) edges(g, 1);
    else edges(g, 0);
}

/* ---- cells ----------------------------------------------------------------------- */

/* v (1 - v) or 1 - v^2 over [v.lo, v.up] */
static inline pair derivative(pair v, const int of_tanh)
{
    vec l = of_tanh ? (1 - v.lo) * (1 + v.lo) : v.lo * (1 - v.lo);
    vec u = of_tanh ? (1 - v.up) * (1 + v.up) : v.up * (1 - v.up);
    vec peak = all(of_tanh ? 0 : 0.5), top = all(of_tanh ? 1 : 0.25);
    vecb over = (vecb)(v.lo <= peak) & (vecb)(v.up >= peak);
    return (pair){ lesser(l, u), vec_select(over, top, larger(l, u)) };
}

/* the largest of a b, a >= 0 */
static inline vec most(pair a, vec b) { return vec_select((vecb)(b > 0), a.up, a.lo) * b; }

/* An upper bound C >= 0 of sigmoid'' g + 2 d sigmoid' g' + d^2 sigmoid g'': terms of at
 * most 16 roundings, their sizes times 48 u beside. */
static inline vec curvature(pair s, pair g, pair d, const int of_tanh)
{
    pair s1 = derivative(s, 0), turn = { 1 - 2 * s.up, 1 - 2 * s.lo };
    vec far_g = larger(size_of(g.lo), size_of(g.up)), far_d = larger(size_of(d.lo), size_of(d.up));
    vec tg = larger(larger(turn.lo * g.lo, turn.lo * g.up), larger(turn.up * g.lo, turn.up * g.up));
    vec sum = most(s1, tg), far_t = larger(size_of(turn.lo), size_of(turn.up));
    vec size = s1.up * far_t * far_g;
    pair g1 = { all(1), all(1) };
    if (of_tanh) g1 = derivative(g, 1);
    pair both = { s1.lo * g1.lo, s1.up * g1.up };
    sum += most(both, 2 * d.up);
    size += 2 * far_d * both.up;
    if (of_tanh) {
        vec a = d.lo * d.lo, b = d.up * d.up;
        vecb around = (vecb)(d.lo <= 0) & (vecb)(d.up >= 0);
        pair dds = { vec_select(around, all(0), lesser(a, b)) * s.lo, larger(a, b) * s.up };
        sum += most(dds, most(g1, -2 * g.lo));
        size += dds.up * (2 * far_g * g1.up);
    }
    return larger(sum + (48 * ROB_U) * size + ROB_TINY, all(0));
}

/* min over the cell of chord - C/2 (x - x1)(x2 - x): plane_joint.c */
static inline void cells(const rob_gate_cells *c, const int of_tanh)
{
    for (int64_t i = 0; i < c->n; i += LANES) {
        const int64_t n = c->n - i;
        pair s = { take(c->slo + i, n), take(c->sup + i, n) };
        pair g = { take(c->glo + i, n), take(c->gup + i, n) };
        pair d = { take(c->dlo + i, n), take(c->dup + i, n) };
        vec x1 = take(c->x1 + i, n), x2 = take(c->x2 + i, n), h = up(x2 - x1);
        vec p1 = take(c->p1 + i, n), p2 = take(c->p2 + i, n);
        vec q = mul_up(curvature(s, g, d, of_tanh), mul_up(h, h));
        vec gap = p2 - p1, far = up(size_of(gap)), low = lesser(p1, p2);
        vec mean = add_lo(0.5 * p1, 0.5 * p2), middle = 0.5 * x1 + 0.5 * x2;
        vec drop = up(up(q / 8) + up(mul_up(far, far) / lo(2 * q)));
        vecb ends = (vecb)(lo(size_of(gap)) >= q / 2) | (vecb)(q < 0x1p-900);
        vec inner = lesser(low, add_lo(mean, -drop));
        vec tiny = low - q; /* q below 2^-900: the dip is at most q */
        inner = vec_select((vecb)(q < 0x1p-900), lo(tiny), vec_select(ends, low, inner));
        give(c->bound + i, n, inner);
        give(c->at + i, n, vec_select(ends, middle, middle - gap / q * h));
    }
}

void R(gate_cells)(const rob_gate_cells *c, bool of_tanh)
{
    if (of_tanh) cells(c, 1);
    else cells(c, 0);
}

/* ---- min over x of k sigmoid(x) - a x -------------------------------------------- */

static inline vec sigmoid_height(vec k, vec a, pair s, vec x)
{
    return add_lo(mul_lo(k, s.lo), -mul_up(a, x));
}

/* sigmoid convex on [l, m], m <= 0; k >= 0 */
static inline vec sigmoid_tangent(vec k, vec a, vec l, vec m, vec *at)
{
    vec q = a / k, s = 2 * q / (1 + root(larger(1 - 4 * q, all(0))));
    vec p = about_log(s / (1 - s));
    p = vec_select((vecb)(q < 0.25), p, m);
    p = inside(vec_select((vecb)(q > 0x1p-1000), p, l), l, m);
    vec e = power_of(p).value, one = 1 + e, d = k * (e / (one * one));
    vec blur = d * (32 * ROB_U) + 8 * ROB_TINY * (1 + k);
    vec down = lesser(all(0), lo((d - blur) - a)), rise = larger(all(0), up((d + blur) - a));
    vec right = mul_up(-down, up(m - p)), left = mul_up(rise, up(p - l));
    *at = p;
    return lo(sigmoid_height(k, a, sigmoid_of(p), p) - larger(right, left));
}

static inline vec least(vec k, vec a, vec l, vec u, vec *at)
{
    vecb flip = (vecb)(k < 0);
    vec big = size_of(k), b = vec_select(flip, -a, a), p = l;
    vec left = vec_select(flip, -u, l), right = vec_select(flip, -l, u);
    vec curved = sigmoid_tangent(big, b, left, lesser(right, all(0)), &p);
    vecb convex = (vecb)(left < 0);
    vec first = vec_select(convex, curved, sigmoid_height(big, b, sigmoid_of(left), left));
    vec second = sigmoid_height(big, b, sigmoid_of(right), right);
    second = vec_select((vecb)(right >= 0), second, all(INFINITY));
    p = vec_select((vecb)(second < first), right, vec_select(convex, p, left));
    *at = vec_select(flip, -p, p);
    first = lesser(second, first);
    return vec_select(flip, add_lo(first, k), first);
}

void R(gate_mins)(const rob_gate_mins *g)
{
    for (int64_t i = 0; i < g->n; i += LANES) {
        const int64_t n = g->n - i;
        vec at, v = least(take(g->k + i, n), take(g->a + i, n), take(g->l + i, n),
                          take(g->u + i, n), &at);
        give(g->v + i, n, v);
        give(g->at + i, n, at);
    }
}

static inline vec slope_times(vec k, vec slo, vec sup)
{
    return mul_up(k, vec_select((vecb)(k > 0), sup, slo));
}

/* m lies above base + k s, which is below both ends: plane_sigtanh.c */
void R(gate_chords)(const rob_gate_chords *c)
{
    for (int64_t i = 0; i < c->n; i += LANES) {
        const int64_t n = c->n - i;
        vec slo1 = take(c->slo1 + i, n), sup1 = take(c->sup1 + i, n);
        vec slo2 = take(c->slo2 + i, n), sup2 = take(c->sup2 + i, n);
        vec m1 = take(c->m1 + i, n), m2 = take(c->m2 + i, n), width = slo2 - slo1, at;
        vec x1 = take(c->x1 + i, n), x2 = take(c->x2 + i, n);
        vec k = vec_select((vecb)(width > 1e-9 * sup2), (m2 - m1) / width, all(0));
        vec base = lesser(add_lo(m1, -slope_times(k, slo1, sup1)),
                          add_lo(m2, -slope_times(k, slo2, sup2)));
        vec v = least(k, take(c->a + i, n), x1, x2, &at);
        vec s = sigmoid_of(at).up;
        vecb fine = (vecb)(s > slo1 + 0.1 * width) & (vecb)(s < slo2 - 0.1 * width);
        s = vec_select(fine, s, 0.5 * (slo1 + slo2));
        vec x = about_log(s / (1 - s));
        fine = (vecb)(x > x1) & (vecb)(x < x2);
        give(c->bound + i, n, add_lo(v, base));
        give(c->at + i, n, at);
        give(c->split + i, n, vec_select(fine, x, 0.5 * x1 + 0.5 * x2));
    }
}

#else
typedef int rob_gate_is_double;
#endif
#else

#include "la/la.h"

#define GATE_KERNELS(KIND)                                              \
    void rob_priv_gate_edges_##KIND(const rob_gate_edges *e, bool of_tanh); \
    void rob_priv_gate_cells_##KIND(const rob_gate_cells *c, bool of_tanh); \
    void rob_priv_gate_chords_##KIND(const rob_gate_chords *c);         \
    void rob_priv_gate_mins_##KIND(const rob_gate_mins *m);
#define ENTRY(KIND)                                                     \
    {                                                                   \
        rob_priv_gate_edges_##KIND, rob_priv_gate_cells_##KIND,         \
            rob_priv_gate_chords_##KIND, rob_priv_gate_mins_##KIND      \
    }
GATE_KERNELS(f64_generic)
GATE_KERNELS(f64_avx2)
GATE_KERNELS(f64_avx512)

const rob_gate_kernel *rob_priv_gate(int32_t isa)
{
    static const rob_gate_kernel table[ROB_ISA_COUNT] = {
        ENTRY(f64_generic), ENTRY(f64_avx2), ENTRY(f64_avx512),
    };
    return &table[isa];
}
#endif
