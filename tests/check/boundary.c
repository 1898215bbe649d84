/* boundary.c -- nearest points, curvatures and estimates: spheres, planes, networks. */
#include "harness.h"
#include "geometry.h"

#include "boundary/boundary.h"
#include <robust/attack.h>

enum { MOST = 4096 };
static rob_ctx *ctx;
static rob_model *model;
static rob_query *query;
static rob_boundary *boundary;

static void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_boundary_create(ctx, &boundary), ROB_OK);
    model = NULL;
    query = NULL;
}

static void stop(void)
{
    rob_boundary_free(boundary);
    rob_query_free(query);
    rob_model_free(model);
    rob_ctx_free(ctx);
}

static double find(void)
{
    double distance[64];
    ck_assert_msg(rob_boundary_find(ctx, boundary, query, distance, 64) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return distance[0];
}

static double number(const char *what, int64_t i)
{
    double v;
    ck_assert_msg(rob_boundary_get(ctx, boundary, what, i, &v, 1, NULL) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    return v;
}

static int64_t array(const char *what, int64_t i, double *out)
{
    int64_t count;
    ck_assert_msg(rob_boundary_get(ctx, boundary, what, i, out, MOST, &count) == ROB_OK,
                  "%s", rob_ctx_error(ctx));
    return count;
}

/* ---- closed forms ---------------------------------------------------------------- */

/* Every quantity below is a sum of at most 2 n terms of the size of R^2 or |x - a|^2,
 * divided by gradients 2R: relative errors are k eps with k <= 16 n; Newton squares the
 * rest away. */
START_TEST(a_sphere_is_exact)
{
    enum { T = 6, D = 2, N = T * D };
    bool inside = _i % 2 == 0;
    double radius = 2, x[N], z[N], normal[N], curve[N];
    quadratic k = sphere(T, D, radius, inside ? -1 : 1);
    test_series(k.a, N, 3);
    model = quadratic_model(ctx, &k);
    test_series(x, N, 4 + (uint64_t)(_i / 2));
    double off = 0, want = inside ? 0.7 : 3.1;
    for (int i = 0; i < N; i++) off += x[i] * x[i];
    for (int i = 0; i < N; i++) x[i] = k.a[i] + x[i] / sqrt(off) * want;
    double r = fabs(want - radius), tol = 16 * N * 0x1p-52;
    query = query_of(ctx, model, x, T);
    double distance = find();
    ck_assert_double_eq_tol(distance, r,
                            tol * (radius * radius + want * want) / radius);
    ck_assert_double_eq(number("converged", 0), 1);
    ck_assert_double_le(number("residual", 0), 1e-10);
    double estimate = number("estimate2", 0);
    /* the model of order 2 is the sphere itself; t = |want^2 - R^2| carries the error
     * of its sum, and the distance depends on it by 1/(2R) */
    ck_assert_double_eq_tol(estimate, r,
                            tol * (radius * radius + want * want) / radius);
    ck_assert_double_le(number("estimate2_lower", 0), estimate * (1 + tol));
    ck_assert_double_ge(number("estimate2_upper", 0), estimate * (1 - tol));
    ck_assert_int_eq(array("curvatures", 0, curve), N - 1);
    double sign = inside ? -1 : 1;
    for (int i = 0; i < N - 1; i++)
        ck_assert_double_eq_tol(curve[i], sign / radius, 4 * N * tol / radius);
    ck_assert_double_eq_tol(number("mean_curvature", 0), sign / radius,
                            4 * N * tol / radius);
    ck_assert_double_eq_tol(number("projection", 0), 1 / (1 + sign * r / radius),
                            64 * N * tol);
    array("point", 0, z);
    array("normal", 0, normal);
    for (int i = 0; i < N; i++) {
        double toward = (x[i] - k.a[i]) / want;
        ck_assert_double_eq_tol(z[i], k.a[i] + radius * toward, 64 * N * tol);
        ck_assert_double_eq_tol(normal[i], (inside ? 1 : -1) * toward, 64 * N * tol);
    }
    /* order 1 of g = |y|^2 - R^2 */
    ck_assert_double_eq_tol(number("estimate1", 0),
                            fabs(want * want - radius * radius) / (2 * want), tol * 8);
    ck_assert_double_eq_tol(number("gradient_norm", 0), 2 * radius, tol * 8);
    ck_assert_double_eq_tol(number("multiplier", 0), r / (2 * radius), tol * 8);
}
END_TEST

/* Affine f in four classes: z - x is the nearest plane's normal; every estimate is the
 * distance. Margins carry 100 * 64 eps (biases of 20, sums of 32), over the gradient.
 */
START_TEST(planes_are_exact)
{
    enum { T = 5, D = 2, N = T * D };
    double x[N], w[N], f[4], curve[N];
    model = affine_model(ctx, D, 4);
    test_series(x, N, (uint64_t)_i);
    uint8_t mask[N];
    for (int i = 0; i < N; i++) mask[i] = _i < 3 || i % 3 != 0;
    query = query_of(ctx, model, x, T);
    if (_i >= 3) ck_assert_int_eq(rob_query_set_mask(ctx, query, 0, mask, N), ROB_OK);
    double distance = find(), exact = INFINITY, error = 0, by1 = INFINITY,
           byinf = INFINITY;
    ck_assert_int_eq(rob_model_predict(ctx, model, x, T, f, 4), ROB_OK);
    int64_t c = rob_priv_argmax(f, 4);
    for (int k = 0; k < 4; k++) {
        if (k == c) continue;
        affine_row(model, c, k, T, w);
        for (int i = 0; i < N; i++) w[i] *= mask[i];
        double size = length(w, N);
        error = fmax(error, 100 * 64 * 0x1p-52 / size);
        exact = fmin(exact, (f[c] - f[k]) / size);
        by1 = fmin(by1, (f[c] - f[k]) / rob_priv_norm(ROB_NORM_LINF, w, N));
        byinf = fmin(byinf, (f[c] - f[k]) / rob_priv_norm(ROB_NORM_L1, w, N));
    }
    error *= 4 * (1 + exact); /* gradients have 64 eps of their own */
    ck_assert_double_eq_tol(distance, exact, error);
    ck_assert_double_eq_tol(number("estimate1", 0), exact, error);
    ck_assert_double_eq_tol(number("estimate1_l1", 0), by1, error * sqrt(N));
    ck_assert_double_eq_tol(number("estimate1_linf", 0), byinf, error);
    ck_assert_double_eq(number("estimate2", 0), number("estimate1", 0));
    ck_assert_double_eq(number("flat", 0), 1);
    int64_t free = 0;
    for (int i = 0; i < N; i++) free += mask[i];
    ck_assert_int_eq(array("curvatures", 0, curve), free - 1);
    for (int i = 0; i < free - 1; i++) ck_assert_double_eq(curve[i], 0);
    array("point", 0, w);
    for (int i = 0; i < N; i++)
        if (!mask[i]) ck_assert_double_eq(w[i], x[i]);
}
END_TEST

/* Towards class t all rows must fail together: the nearest point of a polyhedron. Seen
 * against many points of it that are no nearer, and against its own conditions. */
START_TEST(targets_reach_corners)
{
    enum { T = 5, D = 2, N = T * D };
    double x[N], z[N], f[4], corners = 0;
    model = affine_model(ctx, D, 4);
    for (int s = 0; s < 12; s++) {
        test_series(x, N, (uint64_t)s);
        rob_query_free(query);
        query = query_of(ctx, model, x, T);
        ck_assert_int_eq(rob_model_predict(ctx, model, x, T, f, 4), ROB_OK);
        int64_t target = (rob_priv_argmax(f, 4) + 1 + s % 3) % 4;
        ck_assert_int_eq(rob_query_set_target(ctx, query, 0, target), ROB_OK);
        double distance = find();
        if (!isfinite(distance)) continue;
        ck_assert_double_eq(number("converged", 0), 1);
        ck_assert_double_eq_tol(number("estimate1", 0), distance,
                                1e-9 * (1 + distance));
        corners += number("rows", 0) > 1;
        array("point", 0, z);
        ck_assert_int_eq(rob_model_predict(ctx, model, z, T, f, 4), ROB_OK);
        for (int k = 0; k < 4; k++) ck_assert_double_le(f[k] - f[target], 1e-9);
    }
    ck_assert_double_gt(corners, 0);
}
END_TEST

/* Polyhedra { C f(x) + b <= 0 } from starts all around, so that rows enter and leave:
 * always the point nearest to x, whose distance the dual programme gives. Its climb
 * stops at 1e-15 of its weights; near-parallel rows (seen: 1e4) multiply that. */
START_TEST(polyhedra_from_anywhere)
{
    enum { T = 3, D = 2, N = T * D, R = 6, STARTS = 30 };
    double x[N], z0[N], c[R * 3], b[R], gram[R * R], t[R], weight[R], j[R][N];
    rob_random random = rob_priv_random(31, (uint64_t)_i);
    model = affine_model(ctx, D, 3);
    test_series(x, N, 3);
    query = query_of(ctx, model, x, T);
    for (int k = 0; k < R * 3; k++) c[k] = rob_priv_normal(&random);
    for (int r = 0; r < R; r++) b[r] = 0.5 + rob_priv_uniform(&random);
    ck_assert_int_eq(rob_query_set_rows(ctx, query, c, b, NULL, R), ROB_OK);
    ck_assert_int_eq(rob_priv_query_prepare(ctx, query), ROB_OK);
    rob_site s = {
        .ctx = ctx, .memory = ctx->memory, .option = boundary->option, .q = query
    };
    ck_assert_int_eq(rob_priv_site_open(&s, 0), ROB_OK);
    rob_priv_site_place(&s, x);
    for (int r = 0; r < R; r++) {
        t[r] = rob_priv_site_row(&s, r);
        rob_priv_site_gradient(&s, r, j[r]);
    }
    for (int p = 0; p < R * R; p++) {
        gram[p] = 0;
        for (int i = 0; i < N; i++) gram[p] += j[p / R][i] * j[p % R][i];
    }
    double exact = rob_priv_halfspaces(gram, t, R, weight), point[N], normal[N];
    int64_t good = 0;
    for (int k = 0; k < STARTS && isfinite(exact) && exact > 0; k++) {
        rob_edge e = { .size = N, .point = point, .normal = normal };
        s.edge = &e;
        for (int i = 0; i < N; i++) z0[i] = x[i] + 4 * exact * rob_priv_normal(&random);
        ck_assert_int_eq(rob_priv_polish(&s, 0, R, z0, false), ROB_OK);
        if (!e.found) continue; /* dependent rows may stop it: it then says nothing */
        good++;
        ck_assert_double_eq_tol(e.distance, exact, 1e-10 * exact);
    }
    if (isfinite(exact) && exact > 0) ck_assert_int_gt(good, STARTS / 2);
    rob_priv_site_close(&s);
}
END_TEST

/* ---- networks -------------------------------------------------------------------- */

START_TEST(a_network_reaches_the_residual)
{
    enum { T = 12, D = 2, N = T * D, S = 6 };
    static const int32_t kinds[3] = { ROB_KIND_LSTM, ROB_KIND_RNN_TANH, ROB_KIND_GRU };
    double x[N], z[N], f[4];
    model = test_model(ctx, kinds[_i % 3], D, 6, _i < 3 ? 2 : 4, ROB_READOUT_LAST,
                       ROB_F64, 1.2);
    ck_assert_int_eq(rob_query_create(ctx, model, &query), ROB_OK);
    for (int s = 0; s < S; s++) {
        test_series(x, N, (uint64_t)s);
        ck_assert_int_eq(rob_query_add(ctx, query, x, T, -1), ROB_OK);
    }
    find();
    double best[S];
    ck_assert_int_eq(rob_query_get(ctx, query, "best", -1, best, S, NULL), ROB_OK);
    int64_t found = 0;
    for (int s = 0; s < S; s++) {
        double distance = number("distance", s);
        if (!isfinite(distance)) continue;
        found++;
        ck_assert_msg(number("residual", s) <= 1e-10, "series %d of kind %d: %g", s, _i,
                      number("residual", s));
        ck_assert_double_le(distance, best[s] * (1 + 1e-6));
        array("point", s, z);
        ck_assert_int_eq(rob_model_predict(ctx, model, z, T, f, 4), ROB_OK);
        int64_t c = rob_priv_argmax(f, _i < 3 ? 2 : 4);
        double second = -INFINITY;
        for (int k = 0; k < (_i < 3 ? 2 : 4); k++)
            if (k != c) second = fmax(second, f[k]);
        ck_assert_double_le(f[c] - second, 1e-9 * number("gradient_norm", s));
        /* a nearest point bends no more towards x than a sphere around x */
        double curve[N];
        int64_t count = array("curvatures", s, curve);
        ck_assert_int_eq(count, N - 1);
        ck_assert_double_ge(1 + distance * curve[0], -1e-8);
    }
    ck_assert_int_gt(found, 0);
}
END_TEST

/* From where random rays meet the boundary of a strongly bent network, far from
 * stationary: most starts must end at a stationary point that is no further. Seen: nine
 * tenths, and three quarters by Newton's method alone; the limit lies between. */
START_TEST(far_starts_come_home)
{
    enum { T = 12, D = 2, N = T * D, STARTS = 40 };
    double x[N], z[N], v[N], point[N], normal[N], f[2];
    model = test_model(ctx, ROB_KIND_LSTM, D, 8, 2, ROB_READOUT_LAST, ROB_F64, 6);
    rob_random random = rob_priv_random(11, 0);
    test_series(x, N, 2);
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_priv_query_prepare(ctx, query), ROB_OK);
    rob_site s = {
        .ctx = ctx, .memory = ctx->memory, .option = boundary->option, .q = query
    };
    ck_assert_int_eq(rob_priv_site_open(&s, 0), ROB_OK);
    int met = 0, home = 0;
    for (int k = 0; k < 20 * STARTS && met < STARTS; k++) {
        rob_edge e = { .size = N, .point = point, .normal = normal };
        double low = 0, high = 8;
        for (int i = 0; i < N; i++) v[i] = rob_priv_normal(&random) / sqrt(N);
        for (int it = 0; it < 60; it++) {
            double share = it == 0 ? high : (low + high) / 2;
            for (int i = 0; i < N; i++) z[i] = x[i] + share * v[i];
            ck_assert_int_eq(rob_model_predict(ctx, model, z, T, f, 2), ROB_OK);
            bool fails = rob_priv_argmax(f, 2) != query->cases[0].reference;
            if (it == 0 && !fails) break;
            if (fails) high = share;
            else low = share;
        }
        if (high == 8) continue;
        met++;
        s.edge = &e;
        ck_assert_int_eq(rob_priv_polish(&s, 0, 1, z, false), ROB_OK);
        home += e.converged && e.distance <= high * length(v, N) * (1 + 1e-6);
    }
    rob_priv_site_close(&s);
    ck_assert_int_ge(met, STARTS / 2);
    ck_assert_int_ge(100 * home, 82 * met);
}
END_TEST

/* Both ways to the curvatures' ends. Lanczos stops at a residual of 1e-8 of the larger.
 */
START_TEST(lanczos_finds_the_ends)
{
    enum { T = 12, D = 2, N = T * D };
    double x[N], curve[N], ends[2];
    model = test_model(ctx, ROB_KIND_LSTM, D, 6, 2, ROB_READOUT_LAST, ROB_F64, 1.2);
    test_series(x, N, 2);
    uint8_t mask[N];
    for (int i = 0; i < N; i++) mask[i] = _i == 0 || i % 4 != 1;
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_query_set_mask(ctx, query, 0, mask, N), ROB_OK);
    ck_assert_double_lt(find(), INFINITY);
    int64_t count = array("curvatures", 0, curve);
    double projection = number("projection", 0), lower = number("estimate2_lower", 0);
    ck_assert_int_eq(rob_boundary_set(ctx, boundary, "dense", 4), ROB_OK);
    find();
    ck_assert_int_eq(array("curvatures", 0, ends), 2);
    double scale = fmax(fabs(curve[0]), fabs(curve[count - 1]));
    ck_assert_double_eq_tol(ends[0], curve[0], 2e-8 * scale);
    ck_assert_double_eq_tol(ends[1], curve[count - 1], 2e-8 * scale);
    ck_assert_double_eq_tol(number("projection", 0), projection, 1e-6 * projection);
    ck_assert_double_eq_tol(number("estimate2_lower", 0), lower, 1e-5 * lower);
    ck_assert(isnan(number("estimate2", 0)));
}
END_TEST

/* ---- the rest -------------------------------------------------------------------- */

START_TEST(a_slice_shows_x_and_the_boundary)
{
    enum { T = 6, D = 1, S = 9 };
    double x[T], grid[S * S], margin, direction[T], normal[T], along = 0;
    model = test_model(ctx, ROB_KIND_LSTM, D, 6, 2, ROB_READOUT_LAST, ROB_F64, 1.2);
    test_series(x, T, 3);
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_boundary_set(ctx, boundary, "slice", S), ROB_OK);
    ck_assert_int_eq(rob_boundary_set(ctx, boundary, "reach", 1), ROB_OK);
    ck_assert_double_lt(find(), INFINITY);
    ck_assert_int_eq(array("slice", 0, grid), S * S);
    ck_assert_int_eq(rob_query_get(ctx, query, "margin", 0, &margin, 1, NULL), ROB_OK);
    ck_assert_double_eq(grid[S / 2 * S + S / 2], margin);
    ck_assert_double_eq_tol(grid[S / 2 * S + S - 1], 0, 1e-9);
    ck_assert_int_eq(array("direction", 0, direction), T);
    array("normal", 0, normal);
    for (int i = 0; i < T; i++) along += direction[i] * normal[i];
    ck_assert_double_eq_tol(along, 0, 1e-9);
    ck_assert_double_eq_tol(length(direction, T), 1, 1e-14);
}
END_TEST

START_TEST(threads_do_not_show)
{
    enum { T = 20, D = 3, N = T * D, S = 3 };
    double x[N], one[S][N], two[S][N], d1[S], d2[S], e1[S], e2[S];
    model = test_model(ctx, ROB_KIND_GRU, D, 5, 3, ROB_READOUT_LAST, ROB_F64, 1.2);
    for (int pass = 0; pass < 2; pass++) {
        rob_query_free(query);
        ck_assert_int_eq(rob_query_create(ctx, model, &query), ROB_OK);
        for (int s = 0; s < S; s++) {
            test_series(x, N, (uint64_t)s);
            ck_assert_int_eq(rob_query_add(ctx, query, x, T - s, -1), ROB_OK);
        }
        ck_assert_int_eq(rob_ctx_set_threads(ctx, pass ? 3 : 1), ROB_OK);
        ck_assert_int_eq(rob_boundary_find(ctx, boundary, query, pass ? d2 : d1, S),
                         ROB_OK);
        for (int s = 0; s < S; s++) {
            array("curvatures", s, pass ? two[s] : one[s]);
            (pass ? e2 : e1)[s] = number("estimate2", s);
        }
    }
    ck_assert_mem_eq(d1, d2, sizeof d1);
    ck_assert_mem_eq(e1, e2, sizeof e1);
    for (int s = 0; s < S; s++)
        ck_assert_mem_eq(one[s], two[s], (size_t)((T - s) * D - 1) * sizeof(double));
}
END_TEST

static int32_t at_second(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user;
    (void)total;
    return strcmp(stage, "boundary") == 0 && done == 1;
}

START_TEST(a_cancel_keeps_what_is_there)
{
    enum { T = 6 };
    double x[T], d[3];
    model = test_model(ctx, ROB_KIND_LSTM, 1, 6, 2, ROB_READOUT_LAST, ROB_F64, 1.2);
    test_series(x, T, 3);
    query = query_of(ctx, model, x, T);
    for (int s = 0; s < 2; s++)
        ck_assert_int_eq(rob_query_add(ctx, query, x, T, -1), ROB_OK);
    ck_assert_int_eq(rob_ctx_set_progress(ctx, at_second, NULL), ROB_OK);
    ck_assert_int_eq(rob_boundary_find(ctx, boundary, query, d, 3), ROB_STOPPED);
    ck_assert_double_lt(d[0], INFINITY);
    ck_assert_double_eq(d[1], INFINITY);
    ck_assert(isnan(number("estimate1", 2)));
    ck_assert_int_eq(rob_ctx_set_progress(ctx, NULL, NULL), ROB_OK);
    ck_assert_int_eq(rob_boundary_find(ctx, boundary, query, d, 3), ROB_OK);
    ck_assert_double_eq(d[0], d[2]);
}
END_TEST

START_TEST(wrong_series_and_refusals)
{
    enum { T = 6 };
    double x[T], d;
    model = test_model(ctx, ROB_KIND_LSTM, 1, 6, 2, ROB_READOUT_LAST, ROB_F64, 1.2);
    test_series(x, T, 3);
    query = query_of(ctx, model, x, T);
    ck_assert_int_eq(rob_query_get(ctx, query, "prediction", 0, &d, 1, NULL), ROB_OK);
    ck_assert_int_eq(rob_query_replace(ctx, query, 0, x, T, 1 - (int64_t)d), ROB_OK);
    ck_assert_int_eq(rob_query_set_reference(ctx, query, ROB_REFERENCE_LABEL), ROB_OK);
    ck_assert_double_eq(find(), 0);
    ck_assert_double_eq(number("estimate2", 0), 0);
    ck_assert_int_eq(rob_query_set_ball(ctx, query, ROB_NORM_LINF, INFINITY), ROB_OK);
    d = -3;
    ck_assert_int_eq(rob_boundary_find(ctx, boundary, query, &d, 1), ROB_EUNSUPPORTED);
    ck_assert_double_eq(d, -3);
    ck_assert_int_eq(rob_boundary_get(ctx, boundary, "point", -1, &d, 1, NULL),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_boundary_get(ctx, boundary, "point", 0, &d, 1, NULL),
                     ROB_ESHAPE);
    ck_assert_int_eq(rob_boundary_set(ctx, boundary, "steps", 0), ROB_EDOMAIN);
    ck_assert_int_eq(rob_boundary_find(NULL, boundary, query, &d, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_boundary_find(ctx, boundary, NULL, &d, 1), ROB_EARGUMENT);
}
END_TEST

/* Every n-th request of a search fails; nothing leaks, and the next search is whole. */
START_TEST(memory_may_run_out)
{
    enum { T = 3 };
    counting c = { .left = -1 };
    double x[T] = { 0.2, -0.1, 0.4 }, d = -1, want = -1;
    rob_ctx *mine;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &mine),
                     ROB_OK);
    model = test_model(mine, ROB_KIND_LSTM, 1, 3, 3, ROB_READOUT_LAST, ROB_F64, 1.2);
    query = query_of(mine, model, x, T);
    rob_boundary *b;
    ck_assert_int_eq(rob_boundary_create(mine, &b), ROB_OK);
    ck_assert_int_eq(rob_boundary_set(mine, b, "slice", 3), ROB_OK);
    ck_assert_int_eq(rob_boundary_find(mine, b, query, &want, 1), ROB_OK);
    int64_t live = c.live, before = c.asked;
    ck_assert_int_eq(rob_boundary_find(mine, b, query, &d, 1), ROB_OK);
    ck_assert_int_eq(c.live, live);
    ck_assert_double_eq(d, want);
    int64_t requests = c.asked - before, step = rob_long() ? 1 : 1 + requests / 60;
    for (int64_t n = 0; n < requests; n += step) {
        d = -1;
        c.left = n;
        rob_status status = rob_boundary_find(mine, b, query, &d, 1);
        c.left = -1;
        ck_assert_msg(status == ROB_EMEMORY || status == ROB_OK, "request %lld: %d",
                      (long long)n, status);
        ck_assert_double_eq(d, status == ROB_OK ? want : -1);
        ck_assert_int_eq(c.live, live);
    }
    ck_assert_int_eq(rob_boundary_find(mine, b, query, &d, 1), ROB_OK);
    ck_assert_double_eq(d, want);
    rob_boundary_free(b);
    rob_query_free(query);
    rob_model_free(model);
    query = NULL;
    model = NULL;
    rob_ctx_free(mine);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("boundary");
    TCase *c = tcase_create("boundary");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, a_sphere_is_exact, 0, 6);
    tcase_add_loop_test(c, planes_are_exact, 0, 6);
    tcase_add_test(c, targets_reach_corners);
    tcase_add_loop_test(c, polyhedra_from_anywhere, 0, 12);
    tcase_add_loop_test(c, a_network_reaches_the_residual, 0, 6);
    tcase_add_test(c, far_starts_come_home);
    tcase_add_loop_test(c, lanczos_finds_the_ends, 0, 2);
    tcase_add_test(c, a_slice_shows_x_and_the_boundary);
    tcase_add_test(c, threads_do_not_show);
    tcase_add_test(c, a_cancel_keeps_what_is_there);
    tcase_add_test(c, wrong_series_and_refusals);
    tcase_add_test(c, memory_may_run_out);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
