/* branch.c -- branch and bound: half-spaces exactly, proofs that hold everywhere, that
 * come to the truth on tiny networks, and that break when a part is spoilt.
 */
#include "bound/branch/branch.h"
#include "check/certified.h"

#include <robust/attack.h>

enum { LAST = 64 };

static const int32_t NORMS[] = { ROB_NORM_L1, ROB_NORM_L2, ROB_NORM_LINF };

/* ---- half-spaces ----------------------------------------------------------------- */

static double dot_of(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t e = 0; e < n; e++) sum += a[e] * b[e];
    return sum;
}

/* min k.d over the Euclidean ball and a.d <= h. */
static double closed_form(int64_t n, const double *k, const double *a, double h, double eps)
{
    double size = sqrt(dot_of(n, a, a)), along = dot_of(n, k, a) / size;
    double all = sqrt(dot_of(n, k, k)), tau = h / size;
    if (-eps * along / all <= tau) return -eps * all;
    double rest = sqrt(fmax(all * all - along * along, 0));
    return tau * along - sqrt(eps * eps - tau * tau) * rest;
}

/* min k.d over |d_e| <= eps and a.d <= h: among ends, in the order |k_e|/|a_e|. */
static double knapsack(int64_t n, const double *k, const double *a, double h, double eps)
{
    double d[LAST], over = -h, value = 0;
    for (int64_t e = 0; e < n; e++) d[e] = k[e] > 0 ? -eps : eps;
    for (int64_t e = 0; e < n; e++) over += a[e] * d[e];
    while (over > 0) {
        int64_t best = -1;
        for (int64_t e = 0; e < n; e++)
            if (a[e] * d[e] > 0 && d[e] * (k[e] > 0 ? -1 : 1) > 0
                && (best < 0 || fabs(k[e] / a[e]) < fabs(k[best] / a[best])))
                best = e;
        if (best < 0) return NAN;
        double step = fmin(2 * eps, over / fabs(a[best]));
        over -= fabs(a[best]) * step;
        d[best] -= copysign(step, d[best]);
        if (step < 2 * eps) break;
    }
    for (int64_t e = 0; e < n; e++) value += k[e] * d[e];
    return value;
}

START_TEST(a_half_of_a_ball_is_bounded_exactly)
{
    rob_ctx *ctx;
    rob_network *net;
    rob_work *w;
    rob_halves *c;
    double x[LAST], k[LAST], a[LAST], d[LAST];
    const int64_t T = 4, n = T * D;
    fine(NULL, rob_ctx_create(&ctx));
    rob_model *m = random_model(ctx, ROB_KIND_GRU, 1, ROB_READOUT_LAST, D, 3, 2, 1, 1, false);
    fine(ctx, rob_priv_bound_network(ctx, m, T, &net));
    fine(ctx, rob_priv_work_open(net, &w));
    fine(ctx, rob_priv_half_open(w, &c));
    rob_random r = rob_priv_random(3, 1);
    for (int trial = 0; trial < 400; trial++) {
        const int32_t norm = trial % 2 ? ROB_NORM_L2 : ROB_NORM_LINF;
        const double eps = exp(2 * rob_priv_normal(&r));
        for (int64_t e = 0; e < n; e++)
            x[e] = rob_priv_normal(&r), k[e] = rob_priv_normal(&r), a[e] = rob_priv_normal(&r);
        double size = norm == ROB_NORM_L2 ? sqrt(dot_of(n, a, a)) : 0;
        for (int64_t e = 0; norm != ROB_NORM_L2 && e < n; e++) size += fabs(a[e]);
        double h = (2 * rob_priv_uniform(&r) - 1) * 0.95 * eps * size;
        double truth = norm == ROB_NORM_L2 ? closed_form(n, k, a, h, eps)
                                           : knapsack(n, k, a, h, eps);
        w->ball = (rob_ball){ x, NULL, norm, eps, NULL };
        fine(ctx, rob_priv_half_begin(c));
        rob_priv_half_add(c, a, h);
        double scale = eps * sqrt(dot_of(n, k, k)) * sqrt((double)n);
        double found = rob_priv_half_least(c, k, d);
        /* bisection stops at 1e-4 of beta, and the bound is flat there: second order */
        ck_assert_double_le(fabs(found - truth), 1e-6 * scale);
        ck_assert_double_le(fabs(dot_of(n, k, d) - truth), 1e-3 * scale);
        rob_priv_half_clear(c, 1);
        memcpy(c->row, k, (size_t)n * sizeof *k);
        w->ops = 64;
        w->proof[0] = (rob_proof){ -INFINITY, 0, 0 };
        rob_priv_half_improve(c, 1);
        /* 2^-52 for each of n sums and products of the closed form */
        ck_assert_double_le(w->proof[0].value, truth + 64 * 0x1p-52 * scale);
        if (c->used > 0) ck_assert_double_ge(w->proof[0].value, truth - 1e-6 * scale);
    }
    rob_priv_half_close(c);
    rob_priv_work_close(w);
    rob_priv_network_free(net);
    rob_model_free(m);
    rob_ctx_free(ctx);
}
END_TEST

/* ---- nets ------------------------------------------------------------------------ */

typedef struct asked { const char *method; double branches, enough, seconds; } asked;

static void (*spoil)(rob_leaf *leaf);
static bool gates_only;

static double margin_of(scene *s, asked a, int32_t norm, double eps)
{
    rob_bound *b;
    double lower = NAN;
    fine(s->ctx, rob_query_set_ball(s->ctx, s->query, norm, eps));
    fine(s->ctx, rob_bound_create(s->ctx, a.method, &b));
    fine(s->ctx, rob_bound_set(s->ctx, b, "branches", a.branches));
    fine(s->ctx, rob_bound_set(s->ctx, b, "seconds", a.seconds));
    fine(s->ctx, rob_bound_set(s->ctx, b, "choices", 8));
    fine(s->ctx, rob_bound_set(s->ctx, b, "rounds", 0));
    b->option[ROB_BOUND_ENOUGH] = a.enough;
    b->fault_leaf = spoil;
    b->gates_only = gates_only;
    fine(s->ctx, rob_bound_margin(s->ctx, b, s->query, &lower, 1));
    rob_bound_free(b);
    return lower;
}

static double norm_of(int32_t norm, const double *v, int64_t n)
{
    double sum = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += norm == ROB_NORM_L2 ? v[i] * v[i] : fabs(v[i]);
        most = fmax(most, fabs(v[i]));
    }
    return norm == ROB_NORM_L2 ? sqrt(sum) : norm == ROB_NORM_L1 ? sum : most;
}

static double margin_at(scene *s, const double *x)
{
    return exact_margin(s->model, x, s->T, s->query->cases[0].reference);
}

/* Least exact margin of corners, random points and where descent ends. */
static double least_seen(scene *s, int32_t norm, double eps)
{
    double p[LAST], least = INFINITY;
    const int64_t n = s->T * D;
    fine(s->ctx, rob_priv_query_prepare(s->ctx, s->query));
    for (uint64_t k = 0; k < 60; k++) {
        rob_random r = rob_priv_random(k, 8);
        for (int64_t i = 0; i < n; i++) {
            double z = rob_priv_normal(&r);
            p[i] = k % 3 == 0 ? (z < 0 ? -1 : 1) : z;
        }
        if (k % 3 == 1) memset(p, 0, sizeof p), p[k % (uint64_t)n] = k % 2 ? 1 : -1;
        double scale = eps * (1 - 0x1p-40) / norm_of(norm, p, n);
        for (int64_t i = 0; i < n; i++) p[i] = s->x[i] + scale * p[i];
        least = fmin(least, margin_at(s, p));
    }
    rob_attack *a;
    int64_t count;
    fine(s->ctx, rob_query_set_ball(s->ctx, s->query, norm, eps));
    fine(s->ctx, rob_attack_create(s->ctx, "pgd", &a));
    fine(s->ctx, rob_attack_set(s->ctx, a, "steps", 25));
    fine(s->ctx, rob_attack_margin(s->ctx, a, s->query, NULL, 0));
    fine(s->ctx, rob_attack_get(s->ctx, a, "point", 0, p, n, &count));
    rob_attack_free(a);
    return fmin(least, margin_at(s, p));
}

START_TEST(parts_prove_what_holds_and_never_less)
{
    static const double radii[] = { 1e-6, 0.05, 0.2, 0.6, 3 };
    const int32_t kind = KINDS[_i];
    int better = 0;
    for (uint64_t seed = 0; seed < (rob_long() ? 60 : 2); seed++)
        for (int e = 0; e < 5; e++) {
            gates_only = e % 2;
            scene s = open_scene(kind, 1 + (int32_t)(seed % 2), ROB_READOUT_LAST,
                                 1 + (int64_t)(seed % 4), 4, seed);
            const int32_t norm = NORMS[(seed + (uint64_t)e) % 3];
            const double enough = seed % 2 ? INFINITY : 0;
            double seen = least_seen(&s, norm, radii[e]);
            double last = margin_of(&s, (asked){ "alpha", 0, enough, 1e9 }, norm, radii[e]);
            double alpha = last;
            for (int k = 0; k < 3; k++) {
                double nodes = k == 0 ? 0 : k == 1 ? 4 : 40;
                double now = margin_of(&s, (asked){ "branch", nodes, enough, 1e9 }, norm,
                                       radii[e]);
                ck_assert_msg(now <= seen, "%s seed %d norm %d eps %g: %.17g proved, %.17g seen",
                              s.model->recipe.body, (int)seed, norm, radii[e], now, seen);
                ck_assert_msg(now >= last, "%g nodes prove %.17g, fewer %.17g", nodes, now, last);
                last = now;
            }
            better += last > alpha + 1e-9 * fabs(alpha);
            close_scene(&s);
        }
    ck_assert_int_gt(better, 2);
}
END_TEST

/* One step of two numbers in Linf: a grid and a slope of 1-norm at most `lipschitz`
 * enclose the least margin. */
static void truth_of(scene *s, double eps, double *low, double *up)
{
    enum { SIDE = 64 };
    double most = 0, p[D];
    *up = INFINITY;
    for (int i = 0; i <= SIDE; i++)
        for (int j = 0; j <= SIDE; j++) {
            double f[3], g[3];
            for (int side = 0; side < 2; side++) {
                p[0] = s->x[0] + eps * (2.0 * i / SIDE - 1 + side * 2.0 / SIDE);
                p[1] = s->x[1] + eps * (2.0 * j / SIDE - 1 + side * 2.0 / SIDE);
                fine(s->ctx, rob_model_predict(s->ctx, s->model, p, 1, side ? g : f, 3));
            }
            const int64_t c = s->query->cases[0].reference;
            for (int64_t k = 0; k < 3; k++) {
                if (k == c) continue;
                *up = fmin(*up, f[c] - f[k]);
                most = fmax(most, fabs(f[c] - f[k] - g[c] + g[k]));
            }
        }
    /* what a grid point's neighbours differ by, twice over: half a cell either way, other
     * directions, and the slope's own change */
    *low = *up - 2 * most;
}

START_TEST(tiny_networks_are_solved)
{
    const int32_t kind = KINDS[_i];
    for (uint64_t seed = 1; seed < 3; seed++) {
        scene s = open_scene(kind, 1, ROB_READOUT_LAST, 1, 4, seed);
        fine(s.ctx, rob_priv_query_prepare(s.ctx, s.query));
        double low, up, eps = 0.7;
        truth_of(&s, eps, &low, &up);
        double start = margin_of(&s, (asked){ "alpha", 0, INFINITY, 1e9 }, ROB_NORM_LINF, eps);
        gates_only = seed == 2;
        double found = margin_of(&s, (asked){ "branch", 150, INFINITY, 1e9 }, ROB_NORM_LINF,
                                 eps);
        ck_assert_double_le(found, up);
        double gap = up - low + 0.02 * fabs(up) + 0.05 * (up - start);
        ck_assert_msg(found >= up - gap, "%s %d: truth in [%g, %g], alpha %g, branch %g",
                      s.model->recipe.body, (int)seed, low, up, start, found);
        close_scene(&s);
    }
}
END_TEST

static double radius_of(scene *s, const char *method, int32_t norm)
{
    rob_bound *b;
    double lower = NAN;
    fine(s->ctx, rob_query_set_ball(s->ctx, s->query, norm, INFINITY));
    fine(s->ctx, rob_bound_create(s->ctx, method, &b));
    fine(s->ctx, rob_bound_set(s->ctx, b, "branches", 12));
    fine(s->ctx, rob_bound_set(s->ctx, b, "choices", 8));
    fine(s->ctx, rob_bound_set(s->ctx, b, "rounds", 0));
    fine(s->ctx, rob_bound_radius(s->ctx, b, s->query, &lower, 1));
    rob_bound_free(b);
    return lower;
}

START_TEST(radii_grow_and_hold)
{
    double product = 1;
    for (uint64_t seed = 0; seed < 3; seed++) {
        scene s = open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 2, 4, seed);
        const int32_t norm = NORMS[seed];
        double alpha = radius_of(&s, "alpha", norm), parts = radius_of(&s, "branch", norm);
        ck_assert_double_ge(parts, alpha);
        if (parts > 0 && isfinite(parts)) {
            ck_assert_double_gt(least_seen(&s, norm, parts), 0);
            product *= parts / alpha;
        }
        close_scene(&s);
    }
    ck_assert_double_gt(product, 1);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------- */

static void clip_too_much(rob_leaf *p)
{
    for (int64_t e = 0; p->splits > 0 && e < p->up - p->lo; e++)
        p->up[e] -= 0.3 * (p->up[e] - p->lo[e]);
}

static void turn_the_wrong_way(rob_leaf *p)
{
    for (int64_t k = 0; k < p->splits; k++) p->turn[k].sign = -p->turn[k].sign;
}

static void lose_a_side(rob_leaf *p)
{
    if (p->splits > 0 && p->turn[p->splits - 1].sign > 0) p->value = INFINITY;
}

static void cut_too_much(rob_leaf *p)
{
    const int64_t n = p->n + 1;
    for (int64_t k = 0; k < p->rows + p->splits; k++)
        p->half[k * n + n - 1] -= 0.2 * fabs(p->half[k * n + n - 1]);
}

START_TEST(a_spoilt_part_is_seen)
{
    static void (*const faults[])(rob_leaf *) = { clip_too_much, turn_the_wrong_way,
                                                  lose_a_side, cut_too_much };
    int caught = 0;
    for (uint64_t seed = 0; seed < 24 && caught == 0; seed++) {
        scene s = open_scene(KINDS[seed % KIND_COUNT], 1, ROB_READOUT_LAST,
                             1 + (int64_t)(seed % 3), 4, seed);
        double eps = 0.2 + 0.2 * (double)(seed % 4);
        double seen = least_seen(&s, ROB_NORM_LINF, eps);
        spoil = faults[_i / 2];
        gates_only = _i % 2;
        double lower = margin_of(&s, (asked){ "branch", 150, INFINITY, 1e9 }, ROB_NORM_LINF, eps);
        spoil = NULL;
        caught += lower > seen;
        close_scene(&s);
    }
    ck_assert_int_gt(caught, 0);
}
END_TEST

/* ---- the rest -------------------------------------------------------------------- */

static rob_status life(rob_ctx *ctx)
{
    rob_status status = ROB_OK;
    rob_query *q = NULL;
    rob_bound *b = NULL;
    const double x[] = { 0.3, -0.4, 0.1, 0.2 };
    rob_recipe r = { .kind = ROB_KIND_LSTM, .layers = 1, .features = 2, .hidden = 2,
                     .outputs = 2, .input_scale = 1, .dtype = ROB_F32, .head = "fc",
                     .body = "lstm" };
    rob_model *m = NULL;
    TRY(rob_priv_model_make(ctx, &r, &m));
    for (int32_t k = 0; k < m->parameters; k++) {
        const rob_tensor *t = m->parameter[k].tensor;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            ((float *)t->data)[i] = (float)(0.9 * sin(3.0 * (double)(i + k)));
    }
    TRY(rob_query_create(ctx, m, &q));
    TRY(rob_query_add(ctx, q, x, 2, -1));
    TRY(rob_query_set_ball(ctx, q, ROB_NORM_LINF, 0.8));
    TRY(rob_bound_create(ctx, "branch", &b));
    TRY(rob_bound_set(ctx, b, "branches", 6));
    TRY(rob_bound_set(ctx, b, "choices", 2));
    TRY(rob_bound_set(ctx, b, "rounds", 0));
    TRY(rob_bound_margin(ctx, b, q, NULL, 0));
done:
    rob_bound_free(b);
    rob_query_free(q);
    rob_model_free(m);
    return status;
}

START_TEST(memory_may_end_anywhere) { rob_live_poorly(life); }
END_TEST

static int32_t stop_at_third(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)stage, (void)done, (void)total;
    return ++*(int *)user > 12;
}

START_TEST(it_stops_when_told)
{
    scene s = open_scene(ROB_KIND_LSTM, 1, ROB_READOUT_LAST, 4, 6, 3);
    rob_bound *b;
    double lower = 7, value;
    int calls = 0;
    fine(s.ctx, rob_query_set_ball(s.ctx, s.query, ROB_NORM_LINF, 0.9));
    fine(s.ctx, rob_bound_create(s.ctx, "branch", &b));
    fine(s.ctx, rob_bound_set(s.ctx, b, "branches", 1e9));
    b->option[ROB_BOUND_ENOUGH] = INFINITY;
    rob_ctx_set_progress(s.ctx, stop_at_third, &calls);
    ck_assert_int_eq(rob_bound_margin(s.ctx, b, s.query, &lower, 1), ROB_STOPPED);
    ck_assert_double_eq(lower, -INFINITY);
    rob_ctx_set_progress(s.ctx, NULL, NULL);
    /* a second is plenty for what 1e9 parts would need for ever */
    fine(s.ctx, rob_bound_set(s.ctx, b, "seconds", 0.05));
    fine(s.ctx, rob_bound_margin(s.ctx, b, s.query, &lower, 1));
    double crown = margin_of(&s, (asked){ "crown", 0, 0, 1e9 }, ROB_NORM_LINF, 0.9);
    ck_assert_double_ge(lower, crown);
    fine(s.ctx, rob_bound_get(s.ctx, b, "seconds", 0, &value, 1, NULL));
    ck_assert_double_gt(value, 0);
    rob_bound_free(b);
    close_scene(&s);
}
END_TEST

START_TEST(options_are_checked)
{
    scene s = open_scene(ROB_KIND_LSTM, 1, ROB_READOUT_LAST, 2, 3, 3);
    rob_bound *b;
    fine(s.ctx, rob_bound_create(s.ctx, "branch", &b));
    ck_assert_int_eq(rob_bound_set(s.ctx, b, "branches", -1), ROB_EDOMAIN);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(s.ctx), "branches"));
    ck_assert_int_eq(rob_bound_set(s.ctx, b, "branches", NAN), ROB_EDOMAIN);
    ck_assert_int_eq(rob_bound_set(s.ctx, b, "twigs", 1), ROB_EARGUMENT);
    rob_bound_free(b);
    ck_assert_int_eq(rob_bound_create(s.ctx, "branches", &b), ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(s.ctx), "branch"));
    ck_assert_ptr_null(b);
    close_scene(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("branch");
    const struct { const char *name; const TTest *test; int loops; } tests[] = {
        { "halves", a_half_of_a_ball_is_bounded_exactly, 1 },
        { "parts", parts_prove_what_holds_and_never_less, KIND_COUNT },
        { "tiny", tiny_networks_are_solved, KIND_COUNT },
        { "radii", radii_grow_and_hold, KIND_COUNT },
        { "faults", a_spoilt_part_is_seen, 8 },
        { "memory", memory_may_end_anywhere, 1 },
        { "stops", it_stops_when_told, 1 },
        { "options", options_are_checked, 1 },
    };
    for (size_t k = 0; k < sizeof tests / sizeof *tests; k++) {
        TCase *t = tcase_create(tests[k].name);
        tcase_set_timeout(t, 0);
        tcase_add_loop_test(t, tests[k].test, 0, tests[k].loops);
        suite_add_tcase(s, t);
    }
    return rob_run_suite(s);
}
