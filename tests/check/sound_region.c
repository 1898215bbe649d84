/* sound_region.c -- no point of a region beats what was proved on it, whatever its
 * parts; and the proofs are as near as the closed forms of affine classifiers.
 *
 * Truth at 200 bits (multiple.h). Points lie a factor 1 - 1e-9 inside the ball and the
 * budgets, more than the rounding of x + d.
 */
#include "bound/solve.h"
#include "check/multiple.h"

#include "regions.h"

static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };

static const int mixes[] = {
    WITH_MASK,
    WITH_SCALE,
    WITH_RELATIVE,
    WITH_BOX,
    WITH_BUDGET,
    WITH_SUBSPACE,
    WITH_BAND,
    WITH_MASK | WITH_SCALE | WITH_BOX,
    WITH_SCALE | WITH_BUDGET | WITH_BOX,
    WITH_MASK | WITH_SUBSPACE | WITH_BUDGET,
    WITH_SCALE | WITH_BAND | WITH_BOX,
    WITH_SMOOTH | WITH_STEPS | WITH_BOX,
};

static double margin_by(const char *method, int32_t norm, double eps)
{
    rob_bound *bound;
    double lower;
    fine(rob_query_set_ball(ctx, query, norm, eps));
    fine(rob_bound_create(ctx, method, &bound));
    fine(rob_bound_margin(ctx, bound, query, &lower, 1));
    rob_bound_free(bound);
    return lower;
}

/* ---- points of the region -------------------------------------------------------- */

enum { POINTS = 10 };

/* Corners of the ball and single coordinates, then random ones; within all parts. */
static void make_point(const rob_region *r, double eps, int64_t k, double *room,
                       double *p)
{
    rob_random random = rob_priv_random((uint64_t)k, 41);
    double u[WIDE];
    for (int64_t i = 0; i < r->m; i++) {
        double z = rob_priv_normal(&random);
        u[i] = k < 4 ? (z < 0 ? -1 : 1) : k < 6 ? 0 : z;
    }
    if (k == 4 || k == 5) u[rob_priv_below(&random, r->m)] = k == 4 ? 1 : -1;
    double size = rob_priv_norm(r->norm, u, r->m);
    for (int64_t i = 0; i < r->m; i++) u[i] *= (k % 2 ? 1 : 3) * eps / size;
    rob_priv_region_project(r, eps, u, room);
    for (int64_t i = 0; i < r->m; i++) u[i] *= 1 - 1e-9;
    rob_priv_region_move(r, u, p);
}

static void attacked(double *p)
{
    int64_t n;
    by("pgd");
    fine(rob_attack_set(ctx, attack, "steps", 12));
    fine(rob_attack_margin(ctx, attack, query, NULL, 0));
    fine(rob_attack_get(ctx, attack, "point", 0, p, WIDE, &n));
}

static double least_seen(int32_t norm, double eps, int64_t reference)
{
    double p[WIDE], room[ROB_REGION_ROOM * WIDE], least = INFINITY;
    rob_region r;
    rob_priv_query_region(query, 0, &r);
    ck_assert_int_eq(r.norm, norm);
    for (int64_t k = 0; k < POINTS; k++) {
        make_point(&r, eps, k, room, p);
        least = fmin(least, exact_margin(model, p, T, reference));
    }
    attacked(p);
    return fmin(least, exact_margin(model, p, T, reference));
}

START_TEST(margins_hold_in_every_region)
{
    static const double radii[] = { 0, 1e-3, 0.05, 0.5, 20 };
    static const int32_t kinds[] = { ROB_KIND_LSTM, ROB_KIND_RNN_TANH, ROB_KIND_GRU,
                                     ROB_KIND_RNN_RELU };
    int64_t proved = 0;
    given g;
    for (int k = 0; k < 4; k++) {
        rob_model_free(model);
        model = random_model(ctx, kinds[k], 1, ROB_READOUT_LAST, D, 4, 3, 0.8,
                             (uint64_t)(50 + k), false);
        for (int n = 0; n < 3; n++) {
            ask(1, T, norms[n], 1);
            set_region(0, mixes[_i], (uint64_t)(10 * k + n), &g);
            fine(rob_priv_query_prepare(ctx, query));
            int64_t reference = query->cases[0].reference;
            for (int64_t e = 0; e < COUNT_OF(radii); e++) {
                double crown = margin_by("crown", norms[n], radii[e]);
                double interval = margin_by("interval", norms[n], radii[e]);
                double forms = margin_by("zonotope", norms[n], radii[e]);
                double seen = least_seen(norms[n], radii[e], reference);
                ck_assert_msg(
                    crown <= seen && interval <= crown && forms <= seen,
                    "mix %d kind %d norm %d eps %g: interval %.17g, zonotope %.17g, "
                    "crown %.17g, seen %.17g",
                    mixes[_i], kinds[k], norms[n], radii[e], interval, forms, crown,
                    seen);
                proved += crown > 0;
            }
        }
    }
    ck_assert_int_gt(proved, 0);
}
END_TEST

/* ---- a region taken for a smaller one is caught ---------------------------------- */

static double margin_on(const rob_region *r, double eps)
{
    rob_network *net;
    rob_work *w;
    rob_graph *g;
    const rob_spec *s = &query->cases[0].spec;
    rob_demand d = { s->rows, s->groups, s->outputs, s->c, s->b, s->group };
    rob_proof row[8];
    rob_outcome out;
    fine(rob_priv_graph_create(ctx, &g));
    rob_id x = rob_priv_input(g, rob_priv_shape3(T, 1, D));
    rob_id y = rob_priv_model_emit(model, g, x, ROB_NONE, NULL);
    fine(rob_priv_network_create(ctx, g, x, y, &net));
    fine(rob_priv_work_open(net, &w));
    rob_ball ball = { r->x, r->mask, r->norm, eps, r };
    fine(rob_priv_bound_ball(w, &ball, &d, true, row, &out));
    rob_priv_work_close(w);
    rob_priv_network_free(net);
    return out.margin;
}

/* Affine rows are proved to rounding, so a part that is a thousandth too small lets an
 * attacked point below the margin. */
START_TEST(smaller_regions_are_caught)
{
    static const int with[] = { WITH_SCALE, WITH_BUDGET, WITH_SUBSPACE, WITH_BOX };
    double list[WIDE * 8], p[WIDE];
    given g;
    rob_region r;
    model = affine_model(ctx, D, 2);
    ask(1, T, ROB_NORM_LINF, with[_i] == WITH_BUDGET || with[_i] == WITH_BOX ? 50 : 0.3);
    set_region(0, with[_i], 5, &g);
    fine(rob_priv_query_prepare(ctx, query));
    rob_priv_query_region(query, 0, &r);
    attacked(p);
    double f[2], seen;
    fine(rob_model_predict(ctx, model, p, T, f, 2));
    seen = f[query->cases[0].reference] - f[1 - query->cases[0].reference];
    double eps = fmin(r.radius, rob_priv_region_reach(&r));
    double right = margin_on(&r, eps);
    int64_t size = with[_i] == WITH_SUBSPACE ? g.n * g.columns : g.n;
    const double *from = with[_i] == WITH_SUBSPACE ? g.e
                         : with[_i] == WITH_SCALE  ? g.scale
                         : with[_i] == WITH_BUDGET ? g.budget
                                                   : g.high;
    for (int64_t k = 0; k < size; k++)
        list[k] = with[_i] == WITH_BOX ? r.x[k] + (from[k] - r.x[k]) * 0.999
                                       : from[k] * 0.999;
    if (with[_i] == WITH_SUBSPACE) r.basis = list;
    else if (with[_i] == WITH_SCALE) r.scale = (rob_list){ list, g.n };
    else if (with[_i] == WITH_BUDGET) r.budget = (rob_list){ list, g.steps };
    else r.high = (rob_list){ list, g.n };
    ck_assert_double_le(right, seen);
    double wrong = margin_on(&r, eps);
    ck_assert_double_gt(wrong, seen);
}
END_TEST

/* ---- closed forms ---------------------------------------------------------------- */

static double radius_by(const char *method)
{
    rob_bound *bound;
    double lower;
    fine(rob_bound_create(ctx, method, &bound));
    fine(rob_bound_radius(ctx, bound, query, &lower, 1));
    rob_bound_free(bound);
    return lower;
}

/* Affine: |x| <= 30 is far, so what is certified is the distance, but for the
 * tolerance of the search (1e-3) and relu planes that are exact where nothing clips. */
START_TEST(affine_radii_are_the_closed_form)
{
    static const int with[] = { WITH_SCALE, WITH_RELATIVE, WITH_BAND, WITH_SUBSPACE };
    int32_t norm = norms[_i % 3];
    double w[SIZE], v[WIDE], f[2];
    given g;
    model = affine_model(ctx, D, 2);
    for (int seed = 0; seed < 4; seed++) {
        ask(1, T, norm, INFINITY);
        set_region(0, with[_i / 3], (uint64_t)seed, &g);
        fine(rob_model_predict(ctx, model, query->cases[0].x, T, f, 2));
        int64_t c = rob_priv_argmax(f, 2), m = g.columns ? g.columns : SIZE;
        affine_row(model, c, 1 - c, T, w);
        for (int64_t p = 0; p < m; p++) {
            v[p] = g.columns ? 0 : w[p] * g.scale[p];
            for (int64_t k = 0; g.columns && k < SIZE; k++)
                v[p] += w[k] * g.scale[k] * g.e[k * m + p];
        }
        double exact = (f[c] - f[1 - c]) / rob_priv_ball_dual(norm, v, m);
        double lower = radius_by("crown");
        ck_assert_double_le(lower, exact * (1 + 1e-9));
        /* far out units may clip and planes be loose: look at near ones */
        if (exact < 3) ck_assert_double_ge(lower, exact * (1 - 2e-3));
        ck_assert_double_gt(lower, 0);
    }
}
END_TEST

/* budgets and boxes that hold everything: proved up to the cap, and said so */
START_TEST(what_cannot_fail_is_proved_whole)
{
    double budget = 1e-6, low[SIZE], high[SIZE];
    given g;
    model = affine_model(ctx, D, 2);
    ask(1, T, norms[_i % 3], INFINITY);
    set_region(0, 0, 1, &g);
    for (int k = 0; k < SIZE; k++) {
        low[k] = query->cases[0].x[k] - 1e-6;
        high[k] = query->cases[0].x[k] + 1e-6;
    }
    if (_i < 3) fine(rob_query_set_budget(ctx, query, -1, &budget, 1));
    else fine(rob_query_set_box(ctx, query, 0, low, high, SIZE));
    ck_assert(isinf(radius_by("crown")));
    ck_assert(isinf(radius_by("interval")));
    fine(rob_query_set_band_limit(ctx, query, 2));
    ck_assert(isinf(radius_by("crown")));
    fine(rob_query_set_band_limit(ctx, query, 0));
    fine(rob_query_set_ball(ctx, query, norms[_i % 3], 7));
    ck_assert_double_eq(radius_by("crown"), 7);
    fine(rob_query_set_ball(ctx, query, norms[_i % 3], INFINITY));
    by("auto");
    double upper;
    fine(rob_attack_distance(ctx, attack, query, &upper, 1));
    ck_assert(isinf(upper));
}
END_TEST

START_TEST(dropped_parts_are_told)
{
    rob_bound *bound;
    double dropped;
    model = affine_model(ctx, D, 2);
    ask(1, T, ROB_NORM_L2, 0.1);
    fine(rob_bound_create(ctx, "crown", &bound));
    fine(rob_query_set_smoothness(ctx, query, INFINITY, 0.1));
    fine(rob_bound_margin(ctx, bound, query, NULL, 0));
    fine(rob_bound_get(ctx, bound, "dropped", 0, &dropped, 1, NULL));
    ck_assert_double_eq(dropped, 1);
    fine(rob_query_set_steps(ctx, query, 2));
    fine(rob_bound_margin(ctx, bound, query, NULL, 0));
    fine(rob_bound_get(ctx, bound, "dropped", 0, &dropped, 1, NULL));
    ck_assert_double_eq(dropped, 3);
    fine(rob_query_set_ball(ctx, query, ROB_NORM_L0, 1));
    ck_assert_int_eq(rob_bound_margin(ctx, bound, query, NULL, 0), ROB_EUNSUPPORTED);
    rob_bound_free(bound);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sound_region");
    TCase *c = tcase_create("sound_region");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, margins_hold_in_every_region, 0, COUNT_OF(mixes));
    tcase_add_loop_test(c, smaller_regions_are_caught, 0, 4);
    tcase_add_loop_test(c, affine_radii_are_the_closed_form, 0, 12);
    tcase_add_loop_test(c, what_cannot_fail_is_proved_whole, 0, 6);
    tcase_add_test(c, dropped_parts_are_told);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
