/* bound.c -- bounds as the public interface gives them: closed forms, groups, units,
 * masks, lengths, threads, cancelling, failing allocators, wrong arguments. */
#include "bound/solve.h"

#include <check.h>
#include "check/harness.h"
#include "check/models.h"

enum { STEPS = 6, FEATURES = 2 };

typedef struct scene {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    rob_bound *bound;
    double x[STEPS * FEATURES];
} scene;

static scene scene_of(rob_ctx *ctx, rob_model *model, const char *method)
{
    scene s = {.ctx = ctx, .model = model};
    ck_assert_int_eq(rob_query_create(ctx, model, &s.query), ROB_OK);
    test_series(s.x, STEPS * FEATURES, 1);
    ck_assert_int_eq(rob_query_add(ctx, s.query, s.x, STEPS, -1), ROB_OK);
    ck_assert_int_eq(rob_bound_create(ctx, method, &s.bound), ROB_OK);
    return s;
}

static scene affine_scene(const char *method)
{
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    return scene_of(ctx, affine_model(ctx, FEATURES, 2), method);
}

static scene lstm_scene(const char *method)
{
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    return scene_of(
        ctx,
        test_model(ctx, ROB_KIND_LSTM, FEATURES, 5, 3, ROB_READOUT_LAST, ROB_F32, 0.8),
        method);
}

static void scene_close(scene *s)
{
    rob_bound_free(s->bound);
    rob_query_free(s->query);
    rob_model_free(s->model);
    rob_ctx_free(s->ctx);
}

static double radius_of(scene *s)
{
    double lower = NAN;
    ck_assert_msg(rob_bound_radius(s->ctx, s->bound, s->query, &lower, 1) == ROB_OK,
                  "%s", rob_ctx_error(s->ctx));
    return lower;
}

static double margin_at(scene *s, int32_t norm, double eps)
{
    double lower = NAN;
    ck_assert_int_eq(rob_query_set_ball(s->ctx, s->query, norm, eps), ROB_OK);
    ck_assert_msg(rob_bound_margin(s->ctx, s->bound, s->query, &lower, 1) == ROB_OK,
                  "%s", rob_ctx_error(s->ctx));
    return lower;
}

/* ---- affine classifiers: the radius is known ------------------------------------- */

/* dual norm of w over what may move */
static double dual_norm(int32_t norm, const double *w, const uint8_t *mask)
{
    double sum = 0;
    for (int64_t i = 0; i < STEPS * FEATURES; i++) {
        if (mask != NULL && !mask[i]) continue;
        if (norm == ROB_NORM_L2) sum += w[i] * w[i];
        else if (norm == ROB_NORM_LINF) sum += fabs(w[i]);
        else sum = fmax(sum, fabs(w[i]));
    }
    return norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

static const int32_t NORMS[] = {ROB_NORM_L2, ROB_NORM_LINF, ROB_NORM_L1};

/* f has biases that cancel: states are at most about 450, four of them, weights at most
 * 0.5; six steps of at most ten roundings each lose at most 60 x 2^-52 x 4 x 450 x 0.5
 * = 1.2e-11 of the margin, and the search stops within 2^-40 of the crossing. */
static void check_closed_form(scene *s, int32_t norm, const uint8_t *mask)
{
    double w[STEPS * FEATURES], lower, margin, slack;
    int64_t count, c = s->query->cases[0].reference;
    affine_row(s->model, c, 1 - c, STEPS, w);
    ck_assert_int_eq(rob_query_get(s->ctx, s->query, "margin", 0, &margin, 1, &count),
                     ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(s->ctx, s->query, norm, INFINITY), ROB_OK);
    lower = radius_of(s);
    double exact = margin / dual_norm(norm, w, mask);
    slack = exact * (0x1p-39 + 4e-11 / margin);
    ck_assert_msg(lower <= exact + slack && lower >= exact - slack,
                  "norm %d: %.17g, closed form %.17g", norm, lower, exact);
}

START_TEST(affine_radius_is_the_closed_form)
{
    scene s = affine_scene(_i < 3 ? "crown" : "auto");
    ck_assert_int_eq(rob_priv_query_prepare(s.ctx, s.query), ROB_OK);
    check_closed_form(&s, NORMS[_i % 3], NULL);
    scene_close(&s);
}
END_TEST

/* Only the first feature of every second step may move: the ball is one norm over what
 * is left of the sequence, through every slice of it. */
START_TEST(masks_shrink_the_ball_not_the_proof)
{
    scene s = affine_scene("crown");
    uint8_t mask[STEPS * FEATURES] = {0};
    for (int64_t t = 0; t < STEPS; t += 2) mask[t * FEATURES] = 1;
    ck_assert_int_eq(rob_query_set_mask(s.ctx, s.query, 0, mask, STEPS * FEATURES),
                     ROB_OK);
    ck_assert_int_eq(rob_priv_query_prepare(s.ctx, s.query), ROB_OK);
    check_closed_form(&s, NORMS[_i], mask);
    scene_close(&s);
}
END_TEST

START_TEST(the_balls_radius_is_the_cap)
{
    scene s = affine_scene("crown");
    double free_radius = radius_of(&s);
    ck_assert_int_eq(rob_query_set_ball(s.ctx, s.query, ROB_NORM_L2, free_radius / 3),
                     ROB_OK);
    ck_assert_double_eq(radius_of(&s), free_radius / 3);
    scene_close(&s);
}
END_TEST

/* Behind x -> (x - shift)/scale a radius in model units is 1/|scale| of that in the
 * data's. */
START_TEST(units_are_a_factor)
{
    scene s = lstm_scene("crown");
    s.model->recipe.input_scale = -4;
    s.model->recipe.input_shift = 0.5;
    rob_query_free(s.query);
    rob_bound_free(s.bound);
    s = scene_of(s.ctx, s.model, "crown");
    ck_assert_int_eq(rob_query_set_units(s.ctx, s.query, ROB_UNITS_DATA), ROB_OK);
    double data = radius_of(&s);
    ck_assert_int_eq(rob_query_set_units(s.ctx, s.query, ROB_UNITS_MODEL), ROB_OK);
    double model = radius_of(&s);
    ck_assert_double_gt(data, 0);
    /* rounded down by at most four units */
    ck_assert_double_le(model, data / 4);
    ck_assert_double_ge(model, data / 4 * (1 - 0x1p-49));
    scene_close(&s);
}
END_TEST

/* ---- specifications -------------------------------------------------------------- */

START_TEST(groups_take_the_best_row_and_the_worst_group)
{
    scene s = lstm_scene("crown");
    double rows[4], c[12] = { 1, -1, 0, 1, 0, -1, 0, 1, -1, 0, 0, 0 },
                    b[4] = { 0, 0, 0, -1 };
    int32_t group[4] = {0, 0, 1, 1};
    int64_t count;
    ck_assert_int_eq(rob_query_set_rows(s.ctx, s.query, c, b, group, 4), ROB_OK);
    double margin = margin_at(&s, ROB_NORM_L2, 0.01);
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "rows", 0, rows, 4, &count), ROB_OK);
    ck_assert_int_eq(count, 4);
    ck_assert_double_eq(margin, fmin(fmax(rows[0], rows[1]), fmax(rows[2], rows[3])));
    /* a constant row loses only rounding: C = 0 leaves b */
    ck_assert_double_le(rows[3], -1);
    ck_assert_double_ge(rows[3], -1 - 0x1p-40);
    scene_close(&s);
}
END_TEST

START_TEST(a_wrong_series_has_radius_zero)
{
    scene s = lstm_scene("auto");
    ck_assert_int_eq(rob_priv_query_prepare(s.ctx, s.query), ROB_OK);
    int64_t label = (s.query->cases[0].prediction + 1) % 3;
    ck_assert_int_eq(rob_query_replace(s.ctx, s.query, 0, s.x, STEPS, label), ROB_OK);
    ck_assert_int_eq(rob_query_set_reference(s.ctx, s.query, ROB_REFERENCE_LABEL),
                     ROB_OK);
    ck_assert_double_eq(radius_of(&s), 0);
    ck_assert_double_le(margin_at(&s, ROB_NORM_L2, 0.1), 0);
    scene_close(&s);
}
END_TEST

/* A mask that lets nothing move: the margin is that of the series itself. What a
 * float32 evaluation of five units and six steps is off by is below 1e-6 of numbers of order one: 1e-5. */
START_TEST(where_nothing_may_move_the_margin_stands)
{
    static const char *const METHODS[] = {"interval", "zonotope", "crown", "alpha", "branch",
                                          "auto"};
    const uint8_t mask[STEPS * FEATURES] = {0};
    double logits[3];
    scene s = lstm_scene(METHODS[_i]);
    ck_assert_int_eq(rob_model_predict(s.ctx, s.model, s.x, STEPS, logits, 3), ROB_OK);
    double clean = INFINITY, most = fmax(logits[0], fmax(logits[1], logits[2]));
    for (int k = 0; k < 3; k++)
        if (logits[k] < most) clean = fmin(clean, most - logits[k]);
    ck_assert_int_eq(rob_query_set_mask(s.ctx, s.query, 0, mask, STEPS * FEATURES), ROB_OK);
    ck_assert_double_eq_tol(margin_at(&s, ROB_NORM_L2, 0.5), clean, 1e-5);
    scene_close(&s);
}
END_TEST

/* ---- the search ------------------------------------------------------------------ */

/* What is answered was certified: a margin at exactly that radius says so again; and
 * the search did not stop far below what can be certified. */
START_TEST(a_radius_is_certified_and_nearly_largest)
{
    scene s = lstm_scene(_i % 2 ? "interval" : "crown");
    double calls;
    int64_t count;
    ck_assert_int_eq(rob_query_set_ball(s.ctx, s.query, NORMS[_i / 2], INFINITY),
                     ROB_OK);
    double r = radius_of(&s);
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "calls", 0, &calls, 1, &count),
                     ROB_OK);
    ck_assert_double_gt(r, 0);
    ck_assert_double_le(calls, _i % 2 ? 40 : 16);
    ck_assert_double_gt(margin_at(&s, NORMS[_i / 2], r), 0);
    ck_assert_double_le(margin_at(&s, NORMS[_i / 2], r * 1.0021), 0);
    scene_close(&s);
}
END_TEST

START_TEST(auto_respects_its_budget)
{
    scene s = lstm_scene("auto");
    double full = margin_at(&s, ROB_NORM_L2, 0.05), depth;
    int64_t count;
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "depth", 0, &depth, 1, &count),
                     ROB_OK);
    ck_assert_double_eq(depth, 0);
    ck_assert_int_eq(rob_bound_set(s.ctx, s.bound, "cost", 1), ROB_OK);
    double forms = margin_at(&s, ROB_NORM_L2, 0.05);
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "depth", 0, &depth, 1, &count),
                     ROB_OK);
    ck_assert_double_eq(depth, -1);
    ck_assert_double_le(forms, full);
    scene_close(&s);
}
END_TEST

/* ---- many series ----------------------------------------------------------------- */

enum { MANY = 9 };

static int64_t length_of(int64_t i) { return 1 + (i * 5) % 7; }

static void many_answers(scene *s, int32_t threads, double *lower)
{
    double x[7 * FEATURES];
    ck_assert_int_eq(rob_ctx_set_threads(s->ctx, threads), ROB_OK);
    rob_query_free(s->query);
    ck_assert_int_eq(rob_query_create(s->ctx, s->model, &s->query), ROB_OK);
    for (int64_t i = 0; i < MANY; i++) {
        test_series(x, 7 * FEATURES, (uint64_t)i);
        ck_assert_int_eq(rob_query_add(s->ctx, s->query, x, length_of(i), -1), ROB_OK);
    }
    ck_assert_int_eq(rob_bound_radius(s->ctx, s->bound, s->query, lower, MANY), ROB_OK);
}

START_TEST(threads_and_neighbours_do_not_matter)
{
    scene s = lstm_scene("crown");
    double one[MANY], three[MANY], x[7 * FEATURES];
    many_answers(&s, 1, one);
    many_answers(&s, 3, three);
    ck_assert_mem_eq(one, three, sizeof one);
    for (int64_t i = 0; i < MANY; i++) {
        test_series(x, 7 * FEATURES, (uint64_t)i);
        rob_query_free(s.query);
        ck_assert_int_eq(rob_query_create(s.ctx, s.model, &s.query), ROB_OK);
        ck_assert_int_eq(rob_query_add(s.ctx, s.query, x, length_of(i), -1), ROB_OK);
        ck_assert_double_eq(radius_of(&s), one[i]);
    }
    scene_close(&s);
}
END_TEST

static int32_t stop_after(void *user, const char *stage, int64_t done, int64_t total)
{
    int *left = user;
    (void)done, (void)total;
    return strcmp(stage, "bound") == 0 && (*left)-- <= 0;
}

/* Cut short anywhere, answers are smaller but never wrong; afterwards all is as before.
 */
START_TEST(stopped_answers_are_valid)
{
    scene s = lstm_scene("crown");
    double full = radius_of(&s);
    bool between = false;
    for (int after = 0; after < 400; after += 1 + after / 8) {
        int left = after;
        double lower = -1;
        ck_assert_int_eq(rob_ctx_set_progress(s.ctx, stop_after, &left), ROB_OK);
        rob_status status = rob_bound_radius(s.ctx, s.bound, s.query, &lower, 1);
        ck_assert(status == ROB_STOPPED || (status == ROB_OK && lower == full));
        ck_assert(lower >= 0 && lower <= full);
        between = between || (lower > 0 && lower < full);
    }
    ck_assert(between);
    ck_assert_int_eq(rob_ctx_set_progress(s.ctx, NULL, NULL), ROB_OK);
    ck_assert_double_eq(radius_of(&s), full);
    scene_close(&s);
}
END_TEST

/* ---- memory, arguments ----------------------------------------------------------- */

START_TEST(failing_allocations_leave_no_trace)
{
    counting memory = {.left = -1};
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &memory, &ctx),
                     ROB_OK);
    scene s = scene_of(
        ctx,
        test_model(ctx, ROB_KIND_LSTM, FEATURES, 3, 2, ROB_READOUT_MEAN, ROB_F32, 0.8),
        "crown");
    double first = margin_at(&s, ROB_NORM_L2, 0.01), again = 0;
    int64_t live = memory.live, n = 0;
    rob_status status = ROB_EMEMORY;
    for (; status != ROB_OK && n < 100000; n += 1 + n / 40) {
        again = -7;
        memory.left = n;
        status = rob_bound_margin(ctx, s.bound, s.query, &again, 1);
        ck_assert(status == ROB_OK || (status == ROB_EMEMORY && again == -7));
        ck_assert_int_eq(memory.live, live);
    }
    ck_assert_int_gt(n, 100);
    ck_assert_double_eq(again, first);
    memory.left = -1;
    scene_close(&s);
    ck_assert_int_eq(memory.live, 0);
}
END_TEST

START_TEST(wrong_arguments_are_named)
{
    scene s = lstm_scene("crown");
    rob_bound *other = (rob_bound *)&s;
    double out[4] = {7, 7, 7, 7};
    int64_t count = 7;
    ck_assert_int_eq(rob_bound_create(NULL, "crown", &other), ROB_EARGUMENT);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(rob_bound_create(s.ctx, "crowns", &other), ROB_EARGUMENT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(s.ctx), "crowns"));
    ck_assert_int_eq(rob_bound_create(s.ctx, NULL, &other), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_create(s.ctx, "crown", NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_set(s.ctx, s.bound, "speed", 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_set(s.ctx, s.bound, "tolerance", 0), ROB_EDOMAIN);
    ck_assert_int_eq(rob_bound_set(s.ctx, s.bound, "tolerance", NAN), ROB_EDOMAIN);
    ck_assert_int_eq(rob_bound_set(s.ctx, NULL, "tolerance", 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_margin(s.ctx, s.bound, s.query, out, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_radius(s.ctx, s.bound, s.query, out, 0), ROB_ESHAPE);
    ck_assert_int_eq(rob_bound_radius(s.ctx, s.bound, NULL, out, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_radius(NULL, s.bound, s.query, out, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "radius", 0, out, 1, &count),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_radius(s.ctx, s.bound, s.query, NULL, 0), ROB_OK);
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "height", 0, out, 1, &count),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "rows", 0, out, 1, &count),
                     ROB_ESHAPE);
    ck_assert_double_eq(out[0], 7);
    ck_assert_int_eq(count, 7);
    ck_assert_int_eq(rob_bound_get(s.ctx, s.bound, "rows", 0, NULL, 0, &count), ROB_OK);
    ck_assert_int_eq(count, 2);
    rob_bound_free(NULL);
    scene_close(&s);
}
END_TEST

/* A step of this LSTM makes 2 H noises a layer: of h, read by products, and of c, read
 * twice. Its weights, which are read at every step, make none. */
START_TEST(forms_have_room_for_six_steps)
{
    enum { H = 48, LAYERS = 2, T = 20, WANTED = T + 1024 + 6 * LAYERS * 2 * H };
    rob_ctx *ctx;
    rob_model *model;
    rob_network *net;
    rob_work *w;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_model_create(ctx, "lstm layers=2 hidden=48 features=1 outputs=2 "
                                           "readout=last", &model), ROB_OK);
    ck_assert_int_eq(rob_priv_bound_network(ctx, model, T, &net), ROB_OK);
    ck_assert_int_eq(rob_priv_work_open(net, &w), ROB_OK);
    ck_assert_int_eq(rob_priv_forward_open(w), ROB_OK);
    ck_assert_int_le(w->symbols_most, WANTED);
    ck_assert_int_ge(w->symbols_most, WANTED - 6 * LAYERS * 2 * H / T * 2);
    rob_priv_work_close(w);
    rob_priv_network_free(net);
    rob_model_free(model);
    rob_ctx_free(ctx);
}
END_TEST

/* What "crown" makes of a net, with a `gain`; "zonotope" where that is NAN. */
static double margin_with(rob_ctx *ctx, rob_query *q, double gain)
{
    rob_bound *b;
    double lower;
    ck_assert_int_eq(rob_bound_create(ctx, isnan(gain) ? "zonotope" : "crown", &b), ROB_OK);
    if (!isnan(gain)) ck_assert_int_eq(rob_bound_set(ctx, b, "gain", gain), ROB_OK);
    ck_assert_int_eq(rob_bound_margin(ctx, b, q, &lower, 1), ROB_OK);
    rob_bound_free(b);
    return lower;
}

/* Sweeps may be left out: never below forms alone; and what is lost by the default is less than
 * 1e-3 of the clean margin less the bound, ten times what `gain` says. */
START_TEST(sweeps_left_out_cost_little)
{
    static const int32_t kinds[] = { ROB_KIND_LSTM, ROB_KIND_GRU, ROB_KIND_RNN_TANH };
    static const double radii[] = { 0.01, 0.1, 0.4 };
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    rob_model *m = test_model(ctx, kinds[_i / 3], FEATURES, 7, 3, ROB_READOUT_LAST, ROB_F64, 0.9);
    double x[12 * FEATURES], clean;
    int64_t count;
    rob_query *q;
    test_series(x, 12 * FEATURES, 5);
    ck_assert_int_eq(rob_query_create(ctx, m, &q), ROB_OK);
    ck_assert_int_eq(rob_query_add(ctx, q, x, 12, -1), ROB_OK);
    ck_assert_int_eq(rob_query_get(ctx, q, "margin", 0, &clean, 1, &count), ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(ctx, q, _i % 2 ? ROB_NORM_LINF : ROB_NORM_L2,
                                        radii[_i % 3] / (_i % 2 ? 3 : 1)), ROB_OK);
    double forms = margin_with(ctx, q, NAN), all = margin_with(ctx, q, 0),
           some = margin_with(ctx, q, 1e-4), none = margin_with(ctx, q, 1);
    ck_assert(isfinite(forms) && isfinite(all));
    ck_assert(some >= forms && none == (_i < 6 ? forms : all));   /* an Elman net has no gates */
    ck_assert_msg(some >= all - 1e-3 * (clean - all), "%.9g, all %.9g, clean %.9g", some, all, clean);
    rob_query_free(q);
    rob_model_free(m);
    rob_ctx_free(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bound");
    TCase *c = tcase_create("public");
    tcase_add_loop_test(c, affine_radius_is_the_closed_form, 0, 6);
    tcase_add_loop_test(c, masks_shrink_the_ball_not_the_proof, 0, 3);
    tcase_add_test(c, the_balls_radius_is_the_cap);
    tcase_add_test(c, units_are_a_factor);
    tcase_add_test(c, groups_take_the_best_row_and_the_worst_group);
    tcase_add_test(c, a_wrong_series_has_radius_zero);
    tcase_add_loop_test(c, a_radius_is_certified_and_nearly_largest, 0, 6);
    tcase_add_loop_test(c, where_nothing_may_move_the_margin_stands, 0, 6);
    tcase_add_test(c, auto_respects_its_budget);
    tcase_add_test(c, threads_and_neighbours_do_not_matter);
    tcase_add_test(c, stopped_answers_are_valid);
    tcase_add_test(c, failing_allocations_leave_no_trace);
    tcase_add_test(c, wrong_arguments_are_named);
    tcase_add_test(c, forms_have_room_for_six_steps);
    tcase_add_loop_test(c, sweeps_left_out_cost_little, 0, 9);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
