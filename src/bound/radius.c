/* radius.c -- the largest radius a bound proves, in few calls.
 *
 * Let m(eps) be the margin proved at eps, m(0) - m(eps) its drop. For small eps the
 * drop is m(0) eps/c, with c the first-order distance; then ranges widen each other and
 * it grows as towards a pole. In both regimes, and for drop = a eps/(1 - eps/eps*) all
 * the way,
 *
 *     1/eps  is linear in  s = m(0)/drop,    and the radius sought has s = 1,
 *
 * so secants are drawn in these coordinates, between a success and a failure, or
 * through two successes while the failure is too far beyond the pole to tell anything
 * (s < 0.5). Bisection in log eps is the safeguard, also after two calls running that
 * ended alike: ranges explode within a few per cent of eps, where secants creep. The
 * radius returned was certified by a call of its own at exactly that eps.
 */
#include "bound/branch/branch.h"

typedef struct point { double eps, s; } point;

typedef struct hunt {
    rob_work *w;
    const rob_ball *ball;
    const rob_demand *d;
    bool crown;
    rob_proof *row;
    rob_search *s;
    double clean;                 /* m(0) */
    point good, before, bad;      /* bad.eps: INFINITY while none failed */
    double crossing;              /* of the last call */
    int streak;                   /* calls in a row that ended alike: > 0 successes */
} hunt;

static const double FAR = 0.5;    /* failures with s below this are too far to tell */

static double s_of(const hunt *h, double margin)
{
    double drop = h->clean - margin;
    if (!(drop > 0)) return 1e12;
    return fmin(h->clean / drop, 1e12);
}

/* One call at eps; moves one end of the bracket. */
static rob_status call_at(hunt *h, double eps, bool *proved)
{
    rob_ball ball = *h->ball;
    rob_outcome out;
    ball.eps = eps;
    h->s->calls++;
    rob_status status = rob_priv_bound_ball(h->w, &ball, h->d, h->crown, h->row, &out);
    if (status != ROB_OK) return status;
    *proved = out.margin > 0;
    h->crossing = out.crossing;
    if (*proved) {
        h->streak = h->streak > 0 ? h->streak + 1 : 1;
        h->before = h->good;
        h->good = (point){eps, s_of(h, out.margin)};
        h->s->radius = eps;
        h->s->margin = out.margin;
    } else {
        h->streak = h->streak < 0 ? h->streak - 1 : -1;
        h->bad = (point){eps, fmin(s_of(h, out.margin), 1)};
    }
    return status;
}

static bool done(const hunt *h)
{
    const rob_search *s = h->s;
    if (s->calls >= s->calls_max || h->good.eps >= s->cap) return true;
    if (h->bad.eps <= 0x1p-1000) return true;
    return h->good.eps > 0 && h->bad.eps <= h->good.eps * (1 + s->tolerance);
}

/* Where the secant through a and b has s = 1; NaN when it has not. */
static double secant(point a, point b)
{
    double slope = (1 / a.eps - 1 / b.eps) / (a.s - b.s);
    double at = 1 / b.eps + slope * (1 - b.s);
    return at > 0 ? 1 / at : NAN;
}

/* Inside the bracket: by secant, a little to the good side; when that is next to the
 * good end already, just beyond it, to close the bracket. */
static double between(const hunt *h)
{
    const double tolerance = h->s->tolerance, lo = h->good.eps, up = h->bad.eps;
    double guess = NAN;
    if (h->bad.s > FAR) guess = secant(h->good, h->bad);
    else if (h->before.eps > 0) guess = secant(h->before, h->good);
    if (!(guess >= lo && guess < up) || h->streak > 1 || h->streak < -1)
        return fmax(sqrt(lo) * sqrt(up), lo < up / 64 && lo > up * 0x1p-24 ? up / 6 : 0);
    if (h->bad.s <= FAR) guess = fmin(guess, sqrt(lo) * sqrt(up));
    guess *= 1 - tolerance / 4;
    return guess > lo * (1 + tolerance / 2) ? guess : fmin(lo * (1 + 0.95 * tolerance),
                                                           sqrt(lo) * sqrt(up));
}

/* No failure yet: along the secant; at first a share of the first-order distance that
 * is smaller for longer sequences. */
static double beyond(const hunt *h)
{
    double guess = h->good.eps * h->good.s / (8 + (double)h->w->net->steps);
    if (h->before.eps > 0 && h->good.s < 1e9) guess = secant(h->before, h->good);
    double most = h->good.eps * (h->before.eps > 0x1p-10 * h->good.eps ? 2.5 : 1e6);
    if (!(guess < most)) guess = most;
    guess = fmax(guess, h->good.eps * (1 + 0.95 * h->s->tolerance));
    return fmin(guess, h->s->cap);
}

/* Nothing proved yet: nearer, and ever faster. Where rounding alone widens ranges without
 * end no radius is proved, and that shall be known in a dozen calls. */
static double nearer_to_zero(const hunt *h)
{
    int again = -h->streak - 3;
    return h->bad.eps * (again < 0 ? 0.125 : exp2(-12 * exp2(fmin(again, 6))));
}

static double next_radius(const hunt *h)
{
    if (h->good.eps == 0) {
        double nearer = nearer_to_zero(h);
        bool crosses = h->crossing > 0 && h->crossing < h->bad.eps;
        return crosses ? h->crossing * (1 - 1e-9) : nearer;
    }
    return isfinite(h->bad.eps) ? between(h) : beyond(h);
}

/* m(0) and s of a first small radius. The sweeps' affine forms give both: they are
 * linear in eps up to their crossing c, so m(0) = m(eps) c/(c - eps) and s = c/eps. */
static rob_status first_calls(hunt *h, double small)
{
    bool proved = false;
    rob_status status = call_at(h, h->crown ? small : 0, &proved);
    if (status != ROB_OK || !proved) return status;
    h->clean = h->s->margin;
    if (h->crown && h->crossing > small) {
        if (isfinite(h->crossing)) h->clean *= h->crossing / (h->crossing - small);
        h->good.s = fmin(h->crossing / small, 1e12);
    } else if (!h->crown) {
        h->good = (point){0, 0};
        h->s->radius = 0;
        h->streak = 0;
        status = call_at(h, small, &proved);
    }
    return status;
}

/* Where the forms hardly change from a small radius to a larger one (linear networks),
 * the crossing itself is tried. */
static rob_status try_linear(hunt *h, double first)
{
    bool proved = false;
    double crossing = fmin(h->crossing * (1 - 0x1p-40), h->s->cap);
    if (!h->crown || !isfinite(first) || fabs(h->crossing - first) > 1e-6 * first
        || !(crossing > h->good.eps))
        return ROB_OK;
    return call_at(h, crossing, &proved);
}

static rob_status hunt_down(hunt *h, double small)
{
    bool proved = false;
    rob_status status = first_calls(h, small);
    double first = h->crossing;
    if (status == ROB_OK && !done(h)) status = call_at(h, next_radius(h), &proved);
    if (status == ROB_OK && proved && !done(h)) status = try_linear(h, first);
    while (status == ROB_OK && !done(h))
        status = call_at(h, next_radius(h), &proved);
    return status;
}

/* Branch and bound begins where the others ended: a failure costs all of its parts, so
 * steps are small at first, and each call may take a third of the time that is left. */
static rob_status push_on(hunt *h, rob_branch *branch)
{
    rob_work *w = h->w;
    const double end = w->deadline;
    double factor = 1.04;
    bool proved = false;
    rob_status status = ROB_OK;
    w->branch = branch;
    h->bad = (point){INFINITY, 0};
    while (status == ROB_OK && h->good.eps > 0 && h->good.eps < h->s->cap
           && h->s->calls < h->s->calls_max && rob_priv_clock() < end) {
        double eps = fmin(fmin(h->good.eps * factor, sqrt(h->good.eps) * sqrt(h->bad.eps)),
                          h->s->cap), now = rob_priv_clock();
        if (h->bad.eps <= h->good.eps * (1 + fmax(h->s->tolerance, 4e-3))) break;
        w->deadline = now + (end - now) / 3;
        status = call_at(h, eps, &proved);
        if (proved) factor = fmin(factor * factor, 1.5);
    }
    w->deadline = end;
    return status;
}

rob_status rob_priv_bound_radius(rob_work *w, const rob_ball *ball, const rob_demand *d,
                                 bool crown, rob_proof *row, rob_search *s)
{
    hunt h = {.w = w, .ball = ball, .d = d, .crown = crown, .row = row, .s = s,
              .bad = {INFINITY, 0}};
    rob_branch *branch = w->branch;
    double most = 0;
    s->radius = 0;
    s->margin = -INFINITY;
    s->calls = 0;
    if (!(s->cap > 0)) return ROB_OK;
    w->search = true;
    w->branch = NULL;
    for (int64_t e = 0; e < w->net->steps * w->net->features; e++)
        most = fp_max(fabs(ball->x[e]), most);
    rob_status status = hunt_down(&h, fmin((most > 0 ? most : 1) * 0x1p-20, s->cap));
    if (status == ROB_OK && branch != NULL) status = push_on(&h, branch);
    w->branch = branch;
    w->search = false;
    return status;
}
