/* radius.c -- the largest radius a bound proves, in few calls.
 *
 * A call at eps gives for every row  row(x) >= fixed - e slope  for all e <= eps, hence a
 * crossing c(eps), the largest e at which these forms still prove the specification. Where
 * the call succeeds, c(eps) is an optimistic guess; where it fails, a pessimistic one. c
 * falls with eps and the answer is its fixed point, so
 *
 *     phi(log eps) = log c(eps) - log eps
 *
 * is searched for its zero: regula falsi with the Illinois rule (Dowell & Jarratt 1971) and
 * a bisection in log eps as safeguard. In logarithms the abrupt explosion of ranges over
 * long sequences is tame. The radius returned was certified by a call at exactly that eps.
 */
#include "bound/bound.h"

typedef struct side { double eps, phi; } side;

typedef struct hunt {
    rob_work *w;
    const rob_ball *ball;
    const rob_demand *d;
    bool crown;
    rob_proof *row;
    rob_search *s;
    side good, bad;               /* bad.eps: INFINITY while none failed */
    double crossing;              /* of the last call */
    int streak;                   /* > 0 successes in a row, < 0 failures */
} hunt;

enum { STEEPEST = 6 };

/* phi, kept on its side of zero and away from infinity */
static double phi_of(double crossing, double eps, bool proved)
{
    double phi = crossing > 0 ? log(crossing / eps) : -STEEPEST;
    if (proved) return phi > 1e-9 ? fmin(phi, STEEPEST) : 1e-9;
    return phi < -1e-9 ? fmax(phi, -STEEPEST) : -1e-9;
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
    side now = {eps, phi_of(out.crossing, eps, *proved)};
    if (*proved) {
        h->streak = h->streak > 0 ? h->streak + 1 : 1;
        h->good = now;
        h->s->radius = eps;
        h->s->margin = out.margin;
        if (h->streak > 1) h->bad.phi /= 2;
    } else {
        h->streak = h->streak < 0 ? h->streak - 1 : -1;
        h->bad = now;
        if (h->streak < -1) h->good.phi /= 2;
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

static double between(const hunt *h)
{
    double a = log(h->good.eps), b = log(h->bad.eps), width = b - a;
    double t = h->good.phi / (h->good.phi - h->bad.phi);
    if (h->streak > 3 || h->streak < -3) t = 0.5;
    double least = fmin(0.25, 0.4 * log1p(h->s->tolerance) / width);
    t = fmin(fmax(t, least), 1 - least);
    return exp(a + t * width);
}

/* Where to look next. Nothing proved yet: shrink; nothing failed yet: towards the optimistic
 * guess; then inside the bracket. */
static double next_radius(const hunt *h)
{
    if (h->good.eps == 0) {
        double far = h->bad.eps * (h->streak < -2 ? 0x1p-12 : 0.125);
        return h->crossing > 0 && h->crossing < h->bad.eps ? h->crossing * (1 - 1e-9) : far;
    }
    if (isfinite(h->bad.eps)) return between(h);
    double most = h->good.eps * (h->streak > 4 ? 0x1p12 : 16);
    double guess = fmin(h->crossing * (1 - 0x1p-40), most);
    if (guess > 1.5 * h->good.eps) guess = sqrt(guess * h->good.eps);
    return fmin(fmax(guess, h->good.eps * (1 + h->s->tolerance)), h->s->cap);
}

/* A first radius: at a small one the crossing is the first-order distance; a quarter of it,
 * unless one look further shows that the forms hardly change (linear networks). */
static rob_status first_calls(hunt *h)
{
    double most = 0;
    bool proved = false;
    for (int64_t e = 0; e < h->w->net->steps * h->w->net->features; e++)
        most = fp_max(fabs(h->ball->x[e]), most);
    double small = fmin((most > 0 ? most : 1) * 0x1p-20, h->s->cap);
    rob_status status = call_at(h, small, &proved);
    if (status != ROB_OK || !proved || !h->crown || done(h)) return status;
    double first = h->crossing, quarter = fmin(first / 8, h->s->cap);
    if (!(quarter > small)) return status;
    status = call_at(h, quarter, &proved);
    if (status != ROB_OK || !proved || done(h)) return status;
    if (h->crossing < first * (1 - 1e-6)) return status;
    return call_at(h, fmin(h->crossing * (1 - 0x1p-40), h->s->cap), &proved);
}

rob_status rob_priv_bound_radius(rob_work *w, const rob_ball *ball, const rob_demand *d,
                                 bool crown, rob_proof *row, rob_search *s)
{
    hunt h = {.w = w, .ball = ball, .d = d, .crown = crown, .row = row, .s = s,
              .bad = {INFINITY, -STEEPEST}};
    s->radius = 0;
    s->margin = -INFINITY;
    s->calls = 0;
    if (!(s->cap > 0)) return ROB_OK;
    rob_status status = first_calls(&h);
    while (status == ROB_OK && !done(&h)) {
        bool proved;
        status = call_at(&h, next_radius(&h), &proved);
    }
    return status;
}
