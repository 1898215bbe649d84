/* lightcurve.c -- level, trend, fold and scale of light curves with known answers. */
#include "check/poor.h"
#include "data/parts.h"

#include <math.h>

static rob_ctx *ctx;
static rob_data *d;

static void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_data_create(ctx, &d), ROB_OK);
}

static void tear_down(void)
{
    rob_data_free(d);
    rob_ctx_free(ctx);
}

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))
#define SAYS(word)                                                                     \
    ck_assert_msg(strstr(rob_ctx_error(ctx), word) != NULL, "%s", rob_ctx_error(ctx))

/* ---- files made here ------------------------------------------------------------- */

static size_t npy_bytes(uint8_t *bytes, const char *shape, const double *x, size_t n)
{
    char header[128];
    int length =
        snprintf(header, sizeof header,
                 "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }", shape);
    memcpy(bytes, "\x93NUMPY\x01\0", 8);
    bytes[8] = (uint8_t)length;
    bytes[9] = 0;
    memcpy(bytes + 10, header, (size_t)length);
    memcpy(bytes + 10 + length, x, n * sizeof *x);
    return 10 + (size_t)length + 8 * n;
}

static rob_status read_npy(const char *shape, const double *x, size_t n)
{
    static uint8_t bytes[1 << 18];
    size_t count = npy_bytes(bytes, shape, x, n);
    return rob_priv_data_read(ctx, d, bytes, (int64_t)count, "npy");
}

static rob_status read_meta(const char *text)
{
    GOOD(rob_data_set_text(ctx, d, "role", "meta"));
    rob_status status = rob_priv_data_read(ctx, d, (const uint8_t *)text,
                                           (int64_t)strlen(text), "meta");
    GOOD(rob_data_set_text(ctx, d, "role", "auto"));
    return status;
}

/* A box of this depth in a star of this brightness that drifts by `slope` a day. */
enum { POINTS = 2000 };
static const double EPOCH = 1.3, PERIOD = 3.7, WIDTH = 0.25, STEP = 0.02;

static void box_curve(double *x, double depth, double slope)
{
    for (int k = 0; k < POINTS; k++) {
        double t = STEP * k, since = t - EPOCH;
        double off = since - PERIOD * floor(since / PERIOD + 0.5);
        x[k] = 5000.0 * (1.0 + slope * t)
               * (1.0 - (fabs(off) < 0.5 * WIDTH ? depth : 0.0));
    }
}

static double about(int64_t i, const char *name)
{
    double value[2] = { NAN, NAN };
    GOOD(rob_data_about(ctx, d, i, name, value, 2, NULL));
    return value[0];
}

/* ---- level and scale ------------------------------------------------------------- */

START_TEST(what_is_read_can_be_had_back)
{
    static const char *const way[] = { "",       "zscore",     "mad",
                                       "median", "ppm,zscore", "median,mad" };
    const double x[6] = { 100, 104, 90, 103, 99, 101 };
    for (int k = 0; k < 6; k++) {
        GOOD(rob_data_set_text(ctx, d, "normalize", way[k]));
        GOOD(read_npy("(1, 6)", x, 6));
        const rob_series *s = &d->series[k];
        double unit = strstr(way[k], "ppm") ? 1e-6 : strstr(way[k], "med") ? 1.0 : 0.0;
        for (int i = 0; i < 6; i++) {
            double back = s->shift[0] + s->scale[0] * s->x[i];
            if (unit > 0) back = s->level * (1.0 + unit * back);
            /* four operations on numbers up to 104, ppm undone by 1e-6 */
            ck_assert_double_eq_tol(back, x[i], 16 * 0x1p-52 * 104);
        }
    }
    ck_assert(d->series[3].level == 100.5);
    /* zscore: mean 0, mean square 1 */
    double sum = 0, square = 0;
    for (int i = 0; i < 6; i++) {
        sum += d->series[1].x[i];
        square += d->series[1].x[i] * d->series[1].x[i];
    }
    ck_assert_double_eq_tol(sum, 0, 100 * 0x1p-52 * 24);
    ck_assert_double_eq_tol(square, 6, 100 * 0x1p-52 * 24);
}
END_TEST

START_TEST(a_scale_of_zero_is_one)
{
    const double x[4] = { 3, 3, 3, 3 };
    GOOD(rob_data_set_text(ctx, d, "normalize", "zscore"));
    GOOD(read_npy("(1, 4)", x, 4));
    GOOD(rob_data_set_text(ctx, d, "normalize", "mad"));
    GOOD(read_npy("(1, 4)", x, 4));
    for (int i = 0; i < 2; i++)
        ck_assert(d->series[i].x[2] == 0 && about(i, "scale") == 1
                  && about(i, "shift") == 3);
    GOOD(rob_data_set_text(ctx, d, "normalize", "ppm"));
    const double dark[4] = { -1, -2, 0, -3 };
    ck_assert_int_eq(read_npy("(1, 4)", dark, 4), ROB_EDOMAIN);
    ck_assert_int_eq(d->count, 2);
}
END_TEST

/* ---- trend ----------------------------------------------------------------------- */

/* Against a median by sorting each window anew. */
START_TEST(running_median_by_brute_force)
{
    enum { N = 300 };
    double time[N], x[N], trend[N], work[N], window[N];
    rob_random r = rob_priv_random(5, 0);
    const rob_fold none = { .bins = 0 };
    for (int k = 0; k < N; k++) {
        time[k] = k + (k > 100 ? 40 : 0) + 0.3 * rob_priv_uniform(&r);
        x[k] = k % 17 == 0 ? NAN : floor(8 * rob_priv_uniform(&r));
    }
    for (double width = 1; width < 400; width *= 3) {
        rob_priv_curve_trend(time, x, N, width, &none, trend, work);
        for (int i = 0; i < N; i++) {
            int n = 0;
            for (int j = 0; j < N; j++)
                if (time[j] >= time[i] - 0.5 * width
                    && time[j] <= time[i] + 0.5 * width)
                    window[n++] = x[j];
            double want = rob_priv_curve_median(window, n, work);
            ck_assert(trend[i] == want || (isnan(want) && isnan(trend[i])));
        }
    }
}
END_TEST

/* A linear drift leaves a symmetric window's median at its middle point, so the box
 * stands out with its depth; points in transit are masked. */
START_TEST(a_trend_is_taken_out_and_the_transit_left)
{
    static double x[POINTS];
    box_curve(x, 0.01, 2e-3);
    GOOD(rob_data_set(ctx, d, "dt", STEP));
    GOOD(rob_data_set(ctx, d, "detrend", 1.0));
    GOOD(rob_data_set_text(ctx, d, "normalize", "ppm"));
    GOOD(rob_data_set_text(ctx, d, "fold",
                           "period=3.7 epoch=1.3 duration=0.25 bins=74"));
    GOOD(read_npy("(1, 2000)", x, POINTS));
    const rob_series *s = &d->series[0];
    ck_assert_int_eq(s->steps, 74);
    for (int64_t k = 0; k < 74; k++) {
        double phase = rob_priv_series_time(s, k), off = fabs(phase) * PERIOD;
        /* within a window the drift is at most 1 day, 2e-3 relative, where the mask or
         * an end makes it lopsided: half of that is 1000 ppm */
        if (off < 0.4 * WIDTH) ck_assert_double_eq_tol(s->x[k], -1e4, 1000);
        if (off > 2 * WIDTH) ck_assert_double_eq_tol(s->x[k], 0, 1000);
    }
}
END_TEST

/* ---- fold ------------------------------------------------------------------------ */

START_TEST(a_box_folds_to_a_box)
{
    static double x[POINTS];
    char text[32];
    box_curve(x, 0.02, 0);
    GOOD(rob_data_set(ctx, d, "dt", STEP));
    GOOD(rob_data_set_text(ctx, d, "normalize", "ppm"));
    GOOD(rob_data_set_text(ctx, d, "fold", "period=3.7 epoch=1.3 bins=100"));
    GOOD(read_npy("(1, 2000)", x, POINTS));
    GOOD(rob_data_set_text(ctx, d, "fold",
                           "period=3.7 epoch=1.3 duration=.25 width=4 bins=40"));
    GOOD(read_npy("(1, 2000)", x, POINTS));
    for (int i = 0; i < 2; i++) {
        const rob_series *s = &d->series[i];
        double unit = i == 0 ? PERIOD / WIDTH : 1.0, bin = s->dt * unit;
        ck_assert_double_eq_tol(about(i, "level"), 5000, 1e-9);
        for (int64_t k = 0; k < s->steps; k++) {
            double off = fabs(rob_priv_series_time(s, k) * unit);
            /* 1e6 (1 - 0.02) carries an error of about 1e6 2^-52 */
            if (off < 0.5 - bin) ck_assert_double_eq_tol(s->x[k], -2e4, 1e-8);
            if (off > 0.5 + bin) ck_assert_double_eq_tol(s->x[k], 0, 1e-8);
        }
    }
    ck_assert_double_eq_tol(d->series[0].start, -0.245, 1e-15);
    GOOD(rob_data_about_text(ctx, d, -1, "time_units", text, sizeof text, NULL));
    ck_assert_str_eq(text, "durations");
    GOOD(rob_data_about_text(ctx, d, -1, "units", text, sizeof text, NULL));
    ck_assert_str_eq(text, "ppm");
}
END_TEST

/* An epoch moved by whole periods names the same phases. */
START_TEST(epochs_a_period_apart_agree)
{
    static double x[POINTS];
    char fold[96];
    box_curve(x, 0.02, 0);
    GOOD(rob_data_set(ctx, d, "dt", STEP));
    for (int k = -2; k <= 2; k++) {
        snprintf(fold, sizeof fold, "period=4 epoch=%g bins=50", 1.3125 + 4.0 * k);
        GOOD(rob_data_set_text(ctx, d, "fold", fold));
        GOOD(read_npy("(1, 2000)", x, POINTS));
        ck_assert_mem_eq(d->series[k + 2].x, d->series[0].x, 50 * sizeof(double));
    }
}
END_TEST

START_TEST(every_series_folds_by_its_own_row)
{
    static double x[3 * POINTS];
    for (int i = 0; i < 3; i++) box_curve(x + i * POINTS, 0.01, 0);
    GOOD(rob_data_set(ctx, d, "dt", STEP));
    GOOD(rob_data_set_text(ctx, d, "normalize", "ppm"));
    GOOD(rob_data_set_text(ctx, d, "fold", "meta bins=50 width=5"));
    GOOD(rob_data_set_text(ctx, d, "labels", "FALSE POSITIVE,CANDIDATE"));
    ck_assert_int_eq(read_npy("(3, 2000)", x, 3 * POINTS), ROB_EFORMAT);
    SAYS("meta");
    /* the second: half a period off; the third: twice the period, still in transit */
    static const char table[] =
        "kepid,label,split,koi_period,koi_time0bk,koi_duration_h\n"
        "11,CANDIDATE,train,3.7,1.3,6\n12,FALSE POSITIVE,test,3.7,3.15,6\n"
        "13,CANDIDATE,train,7.4,5,6\n";
    GOOD(read_meta(table));
    GOOD(read_npy("(3, 2000)", x, 3 * POINTS));
    ck_assert(d->count == 3 && d->classes == 2 && d->series[1].label == 0);
    ck_assert_str_eq(d->series[2].name, "13");
    ck_assert_double_eq_tol(d->series[0].x[25], -1e4, 1e-8);
    ck_assert_double_eq_tol(d->series[1].x[25], 0, 1e-8);
    ck_assert_double_eq_tol(d->series[2].x[25], -1e4, 1e-8);
    ck_assert(about(0, "duration") == 0.25 && about(2, "period") == 7.4);
    /* the rows are used up; a split leaves rows out */
    ck_assert_int_eq(read_npy("(3, 2000)", x, 3 * POINTS), ROB_EFORMAT);
    GOOD(rob_data_set_text(ctx, d, "split", "test"));
    GOOD(read_meta(table));
    GOOD(read_npy("(3, 2000)", x, 3 * POINTS));
    ck_assert(d->count == 4 && d->series[3].label == 0);
    GOOD(read_meta(table));
    ck_assert_int_eq(read_npy("(2, 2000)", x, 2 * POINTS), ROB_ESHAPE);
    ck_assert(d->count == 4 && d->told == 0);
    GOOD(read_npy("(3, 2000)", x, 3 * POINTS));
    ck_assert_int_eq(read_meta("a,b\n1,2\n"), ROB_EFORMAT);
    SAYS("split");
}
END_TEST

/* Bins without a point are linear in between and counted; too few points: left out. */
START_TEST(empty_bins_are_counted_or_the_series_left_out)
{
    double x[50];
    for (int k = 0; k < 50; k++) x[k] = 100 + k % 7;
    GOOD(rob_data_set_text(ctx, d, "fold", "period=100 epoch=24.5 bins=100"));
    GOOD(read_npy("(1, 50)", x, 50));
    ck_assert(d->count == 1 && about(0, "gaps") == 50 && about(-1, "skipped") == 0);
    GOOD(rob_data_set(ctx, d, "coverage", 0.6));
    GOOD(read_npy("(1, 50)", x, 50));
    ck_assert(d->count == 1 && about(-1, "skipped") == 1);
}
END_TEST

START_TEST(a_time_axis_is_shared)
{
    double tick[5] = { 0, 1, 2, 10, 11 }, x[5] = { 1, 2, NAN, 11, 12 }, time[5];
    GOOD(rob_data_set(ctx, d, "start", 100));
    GOOD(rob_data_set(ctx, d, "dt", 0.5));
    GOOD(rob_data_set_text(ctx, d, "role", "time"));
    GOOD(read_npy("(5,)", tick, 5));
    GOOD(rob_data_set_text(ctx, d, "role", "auto"));
    GOOD(read_npy("(1, 5)", x, 5));
    GOOD(rob_data_about(ctx, d, 0, "time", time, 5, NULL));
    ck_assert(time[0] == 100 && time[3] == 105);
    ck_assert(d->series[0].x[2] == 3); /* one ninth of the way from 2 to 11 */
    ck_assert_int_eq(read_npy("(1, 6)", (double[6]){ 0 }, 6), ROB_ESHAPE);
    GOOD(rob_data_set_text(ctx, d, "role", "time"));
    ck_assert_int_eq(read_npy("(2,)", (double[2]){ 1, 1 }, 2), ROB_EFORMAT);
    ck_assert_int_eq(rob_data_about(ctx, d, 0, "time", time, 4, NULL), ROB_ESHAPE);
    ck_assert_int_eq(rob_data_about(ctx, d, 0, "speed", time, 5, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_about(ctx, d, 1, "time", time, 5, NULL), ROB_EARGUMENT);
}
END_TEST

START_TEST(folds_that_make_no_sense)
{
    static const char *const bad[] = {
        "period=1",
        "epoch=1",
        "period=0 epoch=1",
        "period=1 epoch=nan",
        "meta period=1 epoch=0",
        "period=1 epoch=1 bins=3",
        "period=1 epoch=1 bins=10.5",
        "period=1 epoch=1 width=2",
        "period=1 epoch=1 duration=-1",
        "metabolism",
        "period=1epoch=1",
        "phase=1",
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        ck_assert_msg(rob_data_set_text(ctx, d, "fold", bad[k]) == ROB_EARGUMENT,
                      "accepted: %s", bad[k]);
    GOOD(rob_data_set_text(ctx, d, "fold", " meta  bins=9 "));
    GOOD(rob_data_set_text(ctx, d, "fold", ""));
    ck_assert_int_eq(rob_data_set_text(ctx, d, "normalize", "ppm,,"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_set_text(ctx, d, "normalize", "sigma"), ROB_EARGUMENT);
    SAYS("zscore");
}
END_TEST

/* ---- a training set's scale ------------------------------------------------------ */

START_TEST(test_data_take_the_scale_of_training_data)
{
    rob_data *test;
    const double x[4] = { 1, 10, 3, 30 }, y[2] = { 2, 40 };
    GOOD(rob_data_add(ctx, d, x, 2, 2, 0));
    GOOD(rob_data_create(ctx, &test));
    GOOD(rob_data_add(ctx, test, y, 1, 2, 0));
    GOOD(rob_data_normalize(ctx, d, NULL));
    GOOD(rob_data_normalize(ctx, test, d));
    /* means 2 and 20, deviations 1 and 10 */
    ck_assert(d->series[0].x[0] == -1 && d->series[0].x[3] == 1);
    ck_assert(test->series[0].x[0] == 0 && test->series[0].x[1] == 2);
    ck_assert(test->series[0].shift[1] == 20 && test->series[0].scale[1] == 10);
    ck_assert_int_eq(rob_data_normalize(ctx, test, d), ROB_EARGUMENT);
    double huge[2] = { 1e308, -1e308 };
    rob_data_free(test);
    GOOD(rob_data_create(ctx, &test));
    ck_assert_int_eq(rob_data_normalize(ctx, test, NULL), ROB_ESHAPE);
    GOOD(rob_data_add(ctx, test, huge, 2, 1, 0));
    ck_assert_int_eq(rob_data_normalize(ctx, test, d), ROB_ESHAPE);
    ck_assert_int_eq(rob_data_normalize(ctx, test, NULL), ROB_EDOMAIN);
    ck_assert(test->series[0].x[0] == 1e308);
    rob_data_free(test);
}
END_TEST

/* ---- memory, published data ------------------------------------------------------ */

static char curve_path[32], meta_path[32], time_path[32];

static rob_status fold_a_file(rob_ctx *poor)
{
    rob_data *set = NULL;
    rob_status status = rob_data_create(poor, &set);
    const char *const option[][2] = { { "role", "time" },
                                      { "role", "meta" },
                                      { "fold", "meta bins=20" },
                                      { "normalize", "ppm,mad" },
                                      { "role", "auto" } };
    for (int k = 0; k < 5 && status == ROB_OK; k++) {
        status = rob_data_set_text(poor, set, option[k][0], option[k][1]);
        if (k == 0 && status == ROB_OK) status = rob_data_read(poor, set, time_path);
        if (k == 1 && status == ROB_OK) status = rob_data_read(poor, set, meta_path);
    }
    if (status == ROB_OK) status = rob_data_set(poor, set, "detrend", 20);
    if (status == ROB_OK) status = rob_data_read(poor, set, curve_path);
    if (status < ROB_OK && set) ck_assert_int_eq(set->count, 0);
    rob_data_free(set);
    return status;
}

START_TEST(failing_memory_is_survived)
{
    static uint8_t bytes[4096];
    static const char table[] = "period,t0,label\n10,5,0\n12,3,1\n";
    double x[200], tick[100];
    for (int k = 0; k < 200; k++) x[k] = 100 + k % 9;
    for (int k = 0; k < 100; k++) tick[k] = k;
    strcpy(curve_path, "/tmp/robust-curve-XXXXXX");
    strcpy(meta_path, "/tmp/robust-curve-XXXXXX");
    strcpy(time_path, "/tmp/robust-curve-XXXXXX");
    rob_write_file(curve_path, bytes, npy_bytes(bytes, "(2, 100)", x, 200));
    rob_write_file(time_path, bytes, npy_bytes(bytes, "(100,)", tick, 100));
    rob_write_file(meta_path, table, sizeof table - 1);
    rob_live_poorly(fold_a_file);
    unlink(curve_path);
    unlink(meta_path);
    unlink(time_path);
}
END_TEST

static void read_role(const char *role, const char *relative)
{
    char path[512];
    rob_data_path(relative, path, sizeof path);
    GOOD(rob_data_set_text(ctx, d, "role", role));
    GOOD(rob_data_read(ctx, d, path));
}

/* Folded at the catalogue's periods and epochs, candidates are deepest in the middle:
 * the median over them of x/|min x| within half a duration of mid-transit is below
 * -1/2, beyond one duration above -1/10. */
START_TEST(kepler_candidates_transit_at_phase_zero)
{
    char path[512];
    double near[1000], far[1000], work[1000];
    int64_t n = 0;
    if (!rob_data_path("kepler-koi", path, sizeof path)) {
        rob_skip("ROBUST_DATA is not set");
        return;
    }
    GOOD(rob_data_set(ctx, d, "start", 108.9328));
    GOOD(rob_data_set(ctx, d, "dt", 0.0204336));
    GOOD(rob_data_set(ctx, d, "detrend", 1.5));
    GOOD(rob_data_set_text(ctx, d, "normalize", "ppm"));
    GOOD(rob_data_set_text(ctx, d, "labels", "FALSE POSITIVE,CANDIDATE"));
    GOOD(rob_data_set_text(ctx, d, "fold", "meta bins=41 width=4"));
    read_role("time", "kepler-koi/koi_q1_cadenceno.npy");
    read_role("meta", "kepler-koi/koi_q1_meta.csv");
    read_role("auto", "kepler-koi/koi_q1_pdcsap.npy");
    ck_assert_int_eq(d->count + (int64_t)about(-1, "skipped"), 672);
    ck_assert_int_gt(d->count, 500);
    for (int64_t i = 0; i < d->count; i++) {
        const double *x = d->series[i].x;
        double least = 0;
        if (d->series[i].label != 1) continue;
        for (int k = 0; k < 41; k++) least = fmin(least, x[k]);
        near[n] = x[20] / -least;
        far[n++] = x[34] / -least;
    }
    ck_assert_double_lt(rob_priv_curve_median(near, n, work), -0.5);
    ck_assert_double_gt(rob_priv_curve_median(far, n, work), -0.1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lightcurve");
    TCase *c = tcase_create("lightcurve");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, what_is_read_can_be_had_back);
    tcase_add_test(c, a_scale_of_zero_is_one);
    tcase_add_test(c, running_median_by_brute_force);
    tcase_add_test(c, a_trend_is_taken_out_and_the_transit_left);
    tcase_add_test(c, a_box_folds_to_a_box);
    tcase_add_test(c, epochs_a_period_apart_agree);
    tcase_add_test(c, every_series_folds_by_its_own_row);
    tcase_add_test(c, empty_bins_are_counted_or_the_series_left_out);
    tcase_add_test(c, a_time_axis_is_shared);
    tcase_add_test(c, folds_that_make_no_sense);
    tcase_add_test(c, test_data_take_the_scale_of_training_data);
    tcase_add_test(c, failing_memory_is_survived);
    tcase_add_test(c, kepler_candidates_transit_at_phase_zero);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
