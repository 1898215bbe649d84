/* region.c -- every method obeys every part of a region; closed forms; refusals. */
#include "regions.h"

#include "attack/attack.h"

static const int32_t norms[3] = { ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1 };
static const char *const methods[] = { "fgsm", "pgd", "deepfool", "auto", "apgd",
                                       "ddn",  "fmn", "cw", "ead", "fab", "square", "hopskipjump",
                                       "boundary" };
enum { METHODS = COUNT_OF(methods), SERIES = 3 };

static void get_point(int64_t i, double *p)
{
    int64_t n;
    fine(rob_attack_get(ctx, attack, "point", i, p, WIDE, &n));
}

/* ---- every part, every method ---------------------------------------------------- */

static const int mixes[] = {
    WITH_MASK,
    WITH_SCALE,
    WITH_RELATIVE,
    WITH_BOX,
    WITH_BUDGET,
    WITH_SUBSPACE,
    WITH_BAND,
    WITH_SMOOTH,
    WITH_STEPS,
    WITH_MASK | WITH_SCALE | WITH_BOX,
    WITH_SCALE | WITH_BUDGET | WITH_BOX,
    WITH_RELATIVE | WITH_SMOOTH | WITH_BOX,
    WITH_BUDGET | WITH_SMOOTH | WITH_STEPS,
    WITH_SCALE | WITH_STEPS | WITH_BOX,
    WITH_MASK | WITH_SUBSPACE | WITH_BOX,
    WITH_BAND | WITH_SMOOTH | WITH_BUDGET,
    WITH_SCALE | WITH_BAND | WITH_BOX | WITH_SMOOTH,
    WITH_MASK | WITH_SCALE | WITH_BOX | WITH_BUDGET | WITH_SMOOTH | WITH_STEPS,
};

static int check_answers(const given *g, int32_t norm, double most, const double *upper,
                         bool margin)
{
    int hits = 0;
    for (int64_t i = 0; i < query->count; i++) {
        double p[WIDE], found;
        get_point(i, p);
        fine(rob_attack_get(ctx, attack, "found", i, &found, 1, NULL));
        double size = check_inside(&g[i], norm, query->cases[i].x, p);
        ck_assert_double_le(size, most * (1 + 1e-9) + 1e-10);
        if (!margin && found == 1)
            ck_assert_msg(fabs(upper[i] - size) <= 1e-9 * size + 1e-10, "series %d: %.17g, %.17g columns %d", (int)i, upper[i], size, (int)g[i].columns);
        if (found == 0) continue;
        hits++;
        ck_assert_double_le(margin_of(ROB_F64, i, p, g[i].steps), 0);
        ck_assert_double_le(margin_of(ROB_F32, i, p, g[i].steps), 0);
    }
    return hits;
}

START_TEST(every_method_obeys_every_part)
{
    int mix = mixes[_i];
    int hits = 0;
    static given g[SERIES];
    for (int k = 0; k < 3 * METHODS; k++) {
        double upper[SERIES];
        rob_model_free(model);
        model = test_model(ctx, k % 2 ? ROB_KIND_LSTM : ROB_KIND_RNN_TANH, D, 5, 3,
                           ROB_READOUT_LAST, ROB_F32, k % 2 ? 3 : 1);
        ask(SERIES, T, norms[k % 3], INFINITY);
        for (int64_t i = 0; i < SERIES; i++) set_region(i, mix, (uint64_t)(7 * k + i), &g[i]);
        by(methods[k / 3]);
        if (!rob_priv_method_takes(attack->method, norms[k % 3])) continue;
        if (k / 3 >= METHODS - 3) fine(rob_attack_set(ctx, attack, "queries", 600));
        else if (k / 3 >= 4) fine(rob_attack_set(ctx, attack, "steps", 50));
        distances(upper);
        hits += check_answers(g, norms[k % 3], INFINITY, upper, false);
        fine(rob_query_set_ball(ctx, query, norms[k % 3], 0.7));
        fine(rob_attack_margin(ctx, attack, query, upper, SERIES));
        check_answers(g, norms[k % 3], 0.7, upper, true);
        distances(upper);
        check_answers(g, norms[k % 3], 0.7, upper, false);
    }
    /* a test in which nothing is ever found would be blind */
    ck_assert_int_gt(hits, 0);
}
END_TEST

/* ---- numbers that move are counted ----------------------------------------------- */

START_TEST(few_numbers_move)
{
    double upper[N], p[WIDE], d[SIZE], margin[N], before[N];
    int hits = 0;
    model = test_model(ctx, ROB_KIND_LSTM, D, 5, 3, ROB_READOUT_LAST, ROB_F32, 3);
    ask(N, T, ROB_NORM_L0, 3);
    by(_i == 0 ? "pgd" : "fmn");
    distances(upper);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < N; i++) {
            get_point(i, p);
            for (int64_t k = 0; k < SIZE; k++) d[k] = p[k] - query->cases[i].x[k];
            double moved = rob_priv_norm(ROB_NORM_L0, d, SIZE);
            ck_assert_double_le(moved, 3);
            if (pass == 1 || !isfinite(upper[i])) continue;
            hits++;
            ck_assert_double_eq(upper[i], moved);
            ck_assert_double_le(margin_of(ROB_F64, i, p, T), 0);
        }
        fine(rob_query_get(ctx, query, "margin", -1, before, N, NULL));
        fine(rob_attack_margin(ctx, attack, query, margin, N));
        for (int i = 0; i < N; i++) ck_assert_double_le(margin[i], before[i]);
    }
    ck_assert_int_gt(hits, 0);
    by("deepfool");
    ck_assert_int_eq(rob_attack_distance(ctx, attack, query, upper, N),
                     ROB_EUNSUPPORTED);
}
END_TEST

/* ---- what is refused ------------------------------------------------------------- */

#define REFUSED(code, call)                                                            \
    do {                                                                               \
        ck_assert_int_eq(call, code);                                                  \
        ck_assert(strlen(rob_ctx_error(ctx)) > 10);                                    \
    } while (0)

START_TEST(bad_regions_are_named)
{
    double v[SIZE], high = 0.5, out[N], x[3 * D] = { 0 };
    model = test_model(ctx, ROB_KIND_LSTM, D, 3, 3, ROB_READOUT_LAST, ROB_F32, 1);
    ask(2, T, ROB_NORM_L2, 1);
    for (int k = 0; k < SIZE; k++) v[k] = 1;
    REFUSED(ROB_ESHAPE, rob_query_set_scale(ctx, query, -1, v, 3));
    REFUSED(ROB_ESHAPE, rob_query_set_scale(ctx, query, -1, v, 0));
    REFUSED(ROB_EARGUMENT, rob_query_set_scale(ctx, query, 2, v, 1));
    REFUSED(ROB_ESHAPE, rob_query_set_budget(ctx, query, -1, v, D));
    REFUSED(ROB_ESHAPE, rob_query_set_box(ctx, query, 0, v, NULL, 3));
    REFUSED(ROB_EDOMAIN, rob_query_set_box(ctx, query, 0, v, NULL, 1));
    REFUSED(ROB_EDOMAIN, rob_query_set_box(ctx, query, -1, NULL, &high, 1));
    ck_assert(strstr(rob_ctx_error(ctx), "step") != NULL);
    REFUSED(ROB_ESHAPE, rob_query_set_subspace(ctx, query, -1, v, 5, 2));
    REFUSED(ROB_ESHAPE, rob_query_set_subspace(ctx, query, -1, v, SIZE, 0));
    REFUSED(ROB_ESHAPE, rob_query_set_subspace(ctx, query, -1, v, INT64_MAX / 4, 8));
    REFUSED(ROB_EARGUMENT, rob_query_set_band_limit(ctx, query, -1));
    REFUSED(ROB_EARGUMENT, rob_query_set_relative(ctx, query, 2));
    REFUSED(ROB_EARGUMENT, rob_query_set_steps(ctx, query, -1));
    REFUSED(ROB_EDOMAIN, rob_query_set_smoothness(ctx, query, -1, 1));
    REFUSED(ROB_EDOMAIN, rob_query_set_smoothness(ctx, query, 1, NAN));
    v[1] = NAN;
    REFUSED(ROB_EDOMAIN, rob_query_set_scale(ctx, query, -1, v, SIZE));
    REFUSED(ROB_EDOMAIN, rob_query_set_budget(ctx, query, -1, v, T));
    REFUSED(ROB_EDOMAIN, rob_query_set_box(ctx, query, -1, v, NULL, SIZE));
    REFUSED(ROB_EDOMAIN, rob_query_set_subspace(ctx, query, -1, v, SIZE, 1));
    v[1] = -1;
    REFUSED(ROB_EDOMAIN, rob_query_set_scale(ctx, query, -1, v, SIZE));
    v[1] = INFINITY;
    REFUSED(ROB_EDOMAIN, rob_query_set_scale(ctx, query, -1, v, SIZE));
    ck_assert_int_eq(rob_priv_query_parts(query), 0);
    /* a list by number does not fit a series of another length, nor one outside a box */
    v[1] = 1;
    fine(rob_query_set_scale(ctx, query, -1, v, SIZE));
    REFUSED(ROB_ESHAPE, rob_query_add(ctx, query, x, 3, -1));
    fine(rob_query_set_scale(ctx, query, -1, NULL, 0));
    high = 2;
    fine(rob_query_set_box(ctx, query, -1, NULL, &high, 1));
    x[2] = 3;
    REFUSED(ROB_EDOMAIN, rob_query_add(ctx, query, x, 3, -1));
    REFUSED(ROB_EDOMAIN, rob_query_replace(ctx, query, 0, x, 3, -1));
    fine(rob_query_set_box(ctx, query, -1, NULL, NULL, 0));
    /* a band limit follows the length, and excludes a bound on steps */
    fine(rob_query_set_band_limit(ctx, query, 4));
    fine(rob_query_add(ctx, query, x, 3, -1));
    ck_assert_int_eq(query->cases[2].band->shape.dim[1], 3 * D);
    fine(rob_query_replace(ctx, query, 2, v, T, -1));
    ck_assert_ptr_eq(query->cases[2].band, query->cases[0].band);
    fine(rob_query_set_steps(ctx, query, 2));
    by("pgd");
    REFUSED(ROB_EUNSUPPORTED, rob_attack_margin(ctx, attack, query, out, N));
}
END_TEST

START_TEST(failing_memory_leaves_the_query)
{
    double v[SIZE] = { 0 }, x[SIZE];
    rob_model *m = test_model(ctx, ROB_KIND_RNN_TANH, D, 2, 2, 0, ROB_F32, 1);
    test_series(x, SIZE, 1);
    for (int64_t left = 0;; left++) {
        counting c = { .left = -1 };
        rob_ctx *poor;
        rob_query *q;
        fine(rob_ctx_create_with(counting_take, counting_drop, &c, &poor));
        fine(rob_query_create(poor, m, &q));
        fine(rob_query_add(poor, q, x, T, -1));
        c.left = left;
        rob_status s = rob_query_set_scale(poor, q, -1, v, SIZE);
        int32_t had = rob_priv_query_parts(q);
        ck_assert_int_eq(had != 0, s == ROB_OK);
        if (s == ROB_OK) s = rob_query_set_budget(poor, q, 0, v, T);
        if (s == ROB_OK) s = rob_query_set_box(poor, q, -1, NULL, (double[]){ 5 }, 1);
        if (s == ROB_OK) s = rob_query_set_box(poor, q, 0, (double[]){ -5 }, NULL, 1);
        if (s == ROB_OK) s = rob_query_set_subspace(poor, q, -1, v, SIZE, 1);
        if (s == ROB_OK) s = rob_query_set_band_limit(poor, q, 2);
        rob_query_free(q);
        rob_ctx_free(poor);
        ck_assert_int_eq(c.live, 0);
        if (s == ROB_OK) break;
        ck_assert_int_eq(s, ROB_EMEMORY);
    }
    rob_model_free(m);
}
END_TEST

/* ---- one perturbation for all ---------------------------------------------------- */

/* parts set for all series; g as check_inside reads it */
static void set_for_all(int with, given *g)
{
    static const double scale[D] = { 0.5, 2 }, low = -1.1, high = 1.2, budget = 0.2;
    *g = (given){ .steps = T, .n = SIZE, .variation = INFINITY, .difference = INFINITY };
    for (int64_t k = 0; k < SIZE; k++) {
        g->scale[k] = with & WITH_SCALE ? scale[k % D] : 1;
        g->low[k] = with & WITH_BOX ? low : -INFINITY;
        g->high[k] = with & WITH_BOX ? high : INFINITY;
        g->budget[k] = with & WITH_BUDGET ? budget : INFINITY;
    }
    if (with & WITH_SCALE) fine(rob_query_set_scale(ctx, query, -1, scale, D));
    if (with & WITH_BOX) fine(rob_query_set_box(ctx, query, -1, &low, &high, 1));
    if (with & WITH_BUDGET) fine(rob_query_set_budget(ctx, query, -1, &budget, 1));
    if (with & WITH_BAND) {
        fine(rob_query_set_band_limit(ctx, query, MODES));
        g->columns = MODES * D;
        memcpy(g->e, query->cases[0].band->data, SIZE * MODES * D * sizeof(double));
    }
    if (with & WITH_SMOOTH) {
        g->variation = 0.8;
        g->difference = 0.15;
        fine(rob_query_set_smoothness(ctx, query, g->variation, g->difference));
    }
    if (with & WITH_STEPS) {
        g->most = 2;
        fine(rob_query_set_steps(ctx, query, g->most));
    }
}

START_TEST(one_perturbation_obeys_every_part)
{
    static const int sets[] = { WITH_SCALE, WITH_BOX, WITH_BUDGET, WITH_BAND,
                                WITH_SMOOTH, WITH_STEPS,
                                WITH_SCALE | WITH_BOX | WITH_BUDGET,
                                WITH_BAND | WITH_SMOOTH | WITH_BOX };
    double p[WIDE], delta[SIZE], fooled[5], most = 0;
    static given g;
    for (int norm = 0; norm < 3; norm++) {
        rob_model_free(model);
        model = test_model(ctx, ROB_KIND_LSTM, D, 5, 3, ROB_READOUT_LAST, ROB_F32, 3);
        ask(20, T, norms[norm], 0.8);
        set_for_all(sets[_i], &g);
        by("universal");
        fine(rob_attack_set(ctx, attack, "passes", 6));
        fine(rob_attack_universal(ctx, attack, query, delta, SIZE, NULL));
        fine(rob_attack_get(ctx, attack, "fooled", -1, fooled, 5, NULL));
        most = fmax(most, fooled[0]);
        for (int64_t i = 0; i < 20; i++) {
            /* what every series may take, so does each; x + d rounds as numbers of 1 */
            get_point(i, p);
            for (int64_t k = 0; k < SIZE; k++)
                p[k] = delta[k] == 0 ? query->cases[i].x[k] : p[k];
            ck_assert_double_le(check_inside(&g, norms[norm], query->cases[i].x, p),
                                0.8 * (1 + 1e-9) + 1e-10);
        }
        fine(rob_attack_transfer(ctx, attack, query, delta, SIZE));
        for (int64_t k = 0; k < SIZE; k++) delta[k] *= 3;
        ck_assert_int_eq(rob_attack_transfer(ctx, attack, query, delta, SIZE),
                         ROB_EDOMAIN);
    }
    ck_assert_double_gt(most, 0);
}
END_TEST

/* Windows of one recording see one perturbation by time stamp; shifts see a rotation. */
START_TEST(views_of_one_perturbation_agree)
{
    enum { COUNT = 12, STRIDE = 2, LONG = (T + STRIDE * (COUNT - 1)) * D };
    double delta[LONG], d[SIZE], fooled[5];
    int64_t n;
    model = test_model(ctx, ROB_KIND_LSTM, D, 5, 3, ROB_READOUT_LAST, ROB_F32, 3);
    ask(COUNT, T, norms[_i % 3], 3);
    by("universal");
    fine(rob_attack_set(ctx, attack, "passes", 6));
    fine(rob_attack_set(ctx, attack, _i < 3 ? "stride" : "shift", _i < 3 ? STRIDE : 1));
    fine(rob_attack_universal(ctx, attack, query, delta, LONG, &n));
    ck_assert_int_eq(n, _i < 3 ? LONG : SIZE);
    fine(rob_attack_get(ctx, attack, "fooled", -1, fooled, 5, NULL));
    ck_assert_double_gt(fooled[0], 0);
    bool turned = false;
    for (int64_t i = 0; i < COUNT; i++) {
        int64_t fits = 0, size;
        fine(rob_attack_get(ctx, attack, "perturbation", i, d, SIZE, &size));
        for (int64_t o = 0; o < n / D; o++) {
            bool same = true;
            for (int64_t k = 0; k < SIZE; k++)
                same &= fabs(d[k] - delta[(o * D + k) % n]) < 1e-15 * 8;
            fits += same && (_i >= 3 || o == STRIDE * i);
            turned |= same && o != STRIDE * i;
        }
        ck_assert_int_ge(fits, 1);
    }
    ck_assert(turned || _i < 3);
    uint8_t mask[SIZE] = { 1, 1, 0 };
    fine(rob_query_set_mask(ctx, query, -1, mask, SIZE));
    ck_assert_int_eq(rob_attack_universal(ctx, attack, query, delta, LONG, &n),
                     ROB_EUNSUPPORTED);
}
END_TEST

/* ---- closed forms for affine classifiers ----------------------------------------- */

/* rows of series i: margin and coefficients w (n) of f_c - f_k */
static double row_of(int64_t i, double *w)
{
    double f[8];
    fine(rob_model_predict(ctx, model, query->cases[i].x, T, f, 8));
    int64_t c = rob_priv_argmax(f, 2);
    affine_row(model, c, 1 - c, T, w);
    return f[c] - f[1 - c];
}

static double dual_of(int32_t norm, const double *v, int64_t m)
{
    return rob_priv_ball_dual(norm, v, m);
}

/* The net is affine for |x| <= 30 only: answers far out are not looked at. */
static bool is_near(int64_t i)
{
    double p[WIDE];
    get_point(i, p);
    return rob_priv_norm(ROB_NORM_LINF, p, SIZE) < 25;
}

/* overshoot 1e-4, and what float32 may cost F (attack.c's noise) over the slope */
static void check_distance(double upper, double exact, double dual)
{
    ck_assert_double_ge(upper, exact * (1 - 1e-9) - 1e-9);
    ck_assert_double_le(upper, exact * (1 + 2.1e-4) + 2 * 32 * 0x1p-24 * 100 / dual);
}

START_TEST(scaled_distances_are_the_closed_form)
{
    int32_t norm = norms[_i % 3];
    double upper[N], w[SIZE];
    int seen = 0;
    given g;
    model = affine_model(ctx, D, 2);
    ask(N, T, norm, INFINITY);
    for (int64_t i = 0; i < N; i++)
        set_region(i, _i / 3 % 2 ? WITH_SCALE : WITH_RELATIVE, (uint64_t)i, &g);
    by(_i < 6 ? "deepfool" : "auto");
    distances(upper);
    for (int64_t i = 0; i < N; i++) {
        double margin = row_of(i, w);
        set_region(i, _i / 3 % 2 ? WITH_SCALE : WITH_RELATIVE, (uint64_t)i, &g);
        for (int64_t k = 0; k < SIZE; k++) w[k] *= g.scale[k];
        double dual = dual_of(norm, w, SIZE);
        if (is_near(i)) check_distance(upper[i], margin / dual, dual), seen++;
    }
    ck_assert_int_gt(seen, 0);
}
END_TEST

START_TEST(subspace_distances_are_the_closed_form)
{
    int32_t norm = norms[_i % 3];
    double upper[N], w[SIZE], v[SIZE];
    int seen = 0;
    static given g[N];
    model = affine_model(ctx, D, 2);
    ask(N, T, norm, INFINITY);
    for (int64_t i = 0; i < N; i++)
        set_region(i, _i / 3 % 2 ? WITH_SUBSPACE | WITH_SCALE : WITH_BAND, (uint64_t)i,
                   &g[i]);
    by(_i < 6 ? "deepfool" : "auto");
    distances(upper);
    for (int64_t i = 0; i < N; i++) {
        double margin = row_of(i, w);
        for (int64_t p = 0; p < g[i].columns; p++) {
            v[p] = 0;
            for (int64_t k = 0; k < SIZE; k++)
                v[p] += w[k] * g[i].scale[k] * g[i].e[k * g[i].columns + p];
        }
        double dual = dual_of(norm, v, g[i].columns);
        if (is_near(i)) check_distance(upper[i], margin / dual, dual), seen++;
    }
    ck_assert_int_gt(seen, 0);
}
END_TEST

/* least norm with w . d = -margin and |d_k| <= wall_k in the direction of descent:
 * d_k = -sign(w_k) min(a, wall_k) (Linf), a |w_k| (L2), largest |w_k| first (L1);
 * INFINITY: out of reach. By bisection on a. */
static double boxed_norm(int32_t norm, const double *w, const double *wall,
                         double margin)
{
    double low = 0, high = 1e6, d[SIZE], gain = 0;
    if (norm == ROB_NORM_L1) {
        double left = margin, sum = 0;
        bool used[SIZE] = { false };
        for (int pass = 0; pass < SIZE; pass++) {
            int best = -1;
            for (int k = 0; k < SIZE; k++)
                if (!used[k] && (best < 0 || fabs(w[k]) > fabs(w[best]))) best = k;
            used[best] = true;
            double step = fmin(wall[best], left / fabs(w[best]));
            sum += step;
            left -= step * fabs(w[best]);
            if (step < wall[best]) return sum;
        }
        return INFINITY;
    }
    for (int pass = 0; pass < 200; pass++) {
        double a = (low + high) / 2;
        gain = 0;
        for (int k = 0; k < SIZE; k++) {
            d[k] = fmin(norm == ROB_NORM_L2 ? a * fabs(w[k]) : a, wall[k]);
            gain += d[k] * fabs(w[k]);
        }
        if (gain < margin) low = a;
        else high = a;
    }
    return gain < margin * (1 - 1e-9) ? INFINITY : rob_priv_norm(norm, d, SIZE);
}

START_TEST(boxed_distances_are_the_closed_form)
{
    int32_t norm = norms[_i % 3];
    double upper[N], w[SIZE], wall[SIZE], low[SIZE], high[SIZE];
    int reached = 0;
    model = affine_model(ctx, D, 2);
    ask(N, T, norm, INFINITY);
    for (int64_t i = 0; i < N; i++) {
        double margin = row_of(i, w), dual = dual_of(norm, w, SIZE);
        rob_random r = rob_priv_random(3, (uint64_t)i);
        for (int64_t k = 0; k < SIZE; k++) {
            double size = 3 * margin / dual * rob_priv_uniform(&r);
            low[k] = query->cases[i].x[k] - size;
            high[k] = query->cases[i].x[k] + size * rob_priv_uniform(&r);
        }
        fine(rob_query_set_box(ctx, query, i, low, high, SIZE));
    }
    by(_i < 3 ? "deepfool" : "auto");
    distances(upper);
    for (int64_t i = 0; i < N; i++) {
        double margin = row_of(i, w), x;
        for (int64_t k = 0; k < SIZE; k++) {
            x = query->cases[i].x[k];
            wall[k] = w[k] > 0 ? x - query->cases[i].parts.low.at[k]
                               : query->cases[i].parts.high.at[k] - x;
        }
        double exact = boxed_norm(norm, w, wall, margin);
        if (isinf(exact)) {
            ck_assert(isinf(upper[i]));
            continue;
        }
        reached++;
        /* DeepFool takes 1.02 of its step and comes back along the ray */
        double far = boxed_norm(norm, w, wall, 1.02 * margin);
        if (_i >= 3) check_distance(upper[i], exact, 0.01 * dual_of(norm, w, SIZE));
        else ck_assert_double_le(upper[i], far);
    }
    ck_assert_int_gt(reached, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("region");
    TCase *c = tcase_create("region");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, every_method_obeys_every_part, 0, COUNT_OF(mixes));
    tcase_add_loop_test(c, scaled_distances_are_the_closed_form, 0, 12);
    tcase_add_loop_test(c, subspace_distances_are_the_closed_form, 0, 12);
    tcase_add_loop_test(c, boxed_distances_are_the_closed_form, 0, 6);
    tcase_add_loop_test(c, few_numbers_move, 0, 2);
    tcase_add_test(c, bad_regions_are_named);
    tcase_add_test(c, failing_memory_leaves_the_query);
    tcase_add_loop_test(c, one_perturbation_obeys_every_part, 0, 8);
    tcase_add_loop_test(c, views_of_one_perturbation_agree, 0, 6);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
