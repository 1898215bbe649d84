/* prices.c -- windows of returns: nothing of the future in them, targets by hand. */
#include "check/poor.h"
#include "data/parts.h"

#include <math.h>

static rob_ctx *ctx;
static rob_data *d;

static void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_ctx_set_seed(ctx, 4), ROB_OK);
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

static void shape(rob_data *set, double window, double horizon, double history)
{
    GOOD(rob_data_set_text(ctx, set, "role", "prices"));
    GOOD(rob_data_set(ctx, set, "window", window));
    GOOD(rob_data_set(ctx, set, "horizon", horizon));
    GOOD(rob_data_set(ctx, set, "history", history));
}

static rob_status read_into(rob_data *set, const char *text)
{
    return rob_priv_data_read(ctx, set, (const uint8_t *)text, (int64_t)strlen(text),
                              "folder/prices.csv");
}

/* ---- a random walk --------------------------------------------------------------- */

enum { DAYS = 140, CHANGED = 90 };
static double walk[DAYS], high[DAYS], volume[DAYS];

static void make_walk(void)
{
    rob_random r = rob_priv_random(8, 1);
    for (int t = 0; t < DAYS; t++) {
        walk[t] = (t ? walk[t - 1] : 100) * exp(0.01 * rob_priv_normal(&r));
        high[t] = walk[t] * (1 + 0.01 * rob_priv_uniform(&r));
        volume[t] = 1e6 * rob_priv_uniform(&r);
    }
}

/* Dates are day numbers; from `changed` on everything is different. */
static const char *table(int changed)
{
    static char text[1 << 15];
    size_t used = (size_t)sprintf(text, "Date,Low,High,Close,Volume\n");
    for (int t = 0; t < DAYS; t++) {
        double by = t >= changed ? 1.5 + sin(t) : 1.0;
        used += (size_t)sprintf(text + used, "%d,%.17g,%.17g,%.17g,%.17g\n", t, walk[t],
                                high[t] * by, walk[t] * by, volume[t] * by);
    }
    return text;
}

static double ret(int64_t t) { return log(walk[t] / walk[t - 1]); }

static double rms(int64_t t, int64_t days)
{
    double sum = 0;
    for (int64_t s = t - days + 1; s <= t; s++) sum += ret(s) * ret(s);
    return sqrt(sum / (double)days);
}

/* ---- windows --------------------------------------------------------------------- */

START_TEST(a_window_by_hand)
{
    char name[32];
    make_walk();
    shape(d, 5, 3, 20);
    GOOD(rob_data_set_text(ctx, d, "inputs", "return,size,range,volume"));
    GOOD(read_into(d, table(DAYS)));
    ck_assert_int_eq(d->count, DAYS - 20 - 3);
    ck_assert_int_eq(d->features, 4);
    for (int64_t i = 0; i < d->count; i++) {
        const rob_series *s = &d->series[i];
        const int64_t t = 20 + i;
        double c = rms(t, 20), y = 0;
        for (int64_t k = 0; k < 5; k++) {
            const int64_t day = t - 4 + k;
            const double want[4] = { ret(day) / c, fabs(ret(day)) / c,
                                     log(high[day] / walk[day]) / c,
                                     log(volume[day] / volume[day - 1]) };
            for (int f = 0; f < 4; f++)
                ck_assert_double_eq_tol(s->x[k * 4 + f], want[f], 1e-12);
            ck_assert(s->time[k] == (double)day);
        }
        for (int64_t k = 1; k <= 3; k++) y += ret(t + k);
        ck_assert_double_eq_tol(s->target[0], y, 1e-14);
        ck_assert_int_eq(s->label, y > 0);
        ck_assert_double_eq_tol(s->scale[0], c, 1e-15);
        ck_assert(s->scale[3] == 1 && s->when == (double)t
                  && s->until == (double)t + 3);
    }
    GOOD(rob_data_about_text(ctx, d, 0, "name", name, sizeof name, NULL));
    ck_assert_str_eq(name, "prices.csv");
}
END_TEST

START_TEST(volatility_by_hand)
{
    make_walk();
    shape(d, 5, 6, 20);
    GOOD(rob_data_set_text(ctx, d, "target", "volatility"));
    GOOD(read_into(d, table(DAYS)));
    ck_assert_int_eq(d->count, DAYS - 25 - 6);
    for (int64_t i = 0; i < d->count; i++) {
        double past[20], work[20];
        const int64_t t = 25 + i;
        for (int64_t k = 0; k < 20; k++) past[k] = rms(t - k, 6);
        double y = rms(t + 6, 6) / rob_priv_curve_median(past, 20, work);
        ck_assert_double_eq_tol(d->series[i].target[0], y, 1e-12);
        ck_assert_int_eq(d->series[i].label, y > 1);
    }
}
END_TEST

START_TEST(a_forecast_has_targets_and_no_class)
{
    double y[4];
    int64_t count;
    make_walk();
    shape(d, 5, 4, 20);
    GOOD(rob_data_set_text(ctx, d, "target", "forecast"));
    GOOD(read_into(d, table(DAYS)));
    GOOD(rob_data_about(ctx, d, 7, "target", y, 4, &count));
    ck_assert(count == 4 && d->series[7].label == -1 && d->classes == 0);
    const double scale = d->series[7].scale[0];
    ck_assert(scale > 0 && scale < 0.5);
    for (int k = 0; k < 4; k++)
        ck_assert_double_eq_tol(y[k] * scale, ret(28 + k), 1e-15);
    int64_t before = d->count;
    GOOD(rob_data_set_text(ctx, d, "normalize", "none"));
    GOOD(read_into(d, table(DAYS)));
    ck_assert_double_eq(d->series[before + 7].scale[0], 1.0);
    for (int k = 0; k < 4; k++)
        ck_assert_double_eq_tol(d->series[before + 7].target[k], ret(28 + k), 1e-15);
    GOOD(rob_data_set_text(ctx, d, "target", "none"));
    before = d->count;
    GOOD(read_into(d, table(DAYS)));
    ck_assert_int_eq(d->count - before, DAYS - 20);
    GOOD(rob_data_about(ctx, d, before, "target", NULL, 0, &count));
    ck_assert_int_eq(count, 0);
}
END_TEST

static void same_window(const rob_series *a, const rob_series *b, int64_t size)
{
    ck_assert_mem_eq(a->x, b->x, (size_t)size * sizeof(double));
    ck_assert_mem_eq(a->scale, b->scale, sizeof(double));
    ck_assert(a->when == b->when);
}

/* Bits of windows up to day t are the same whatever happens later; windows whose target
 * ends in time have the same target too; and the future does matter to those after. */
START_TEST(the_future_changes_nothing_of_the_past)
{
    static const char *const target[] = { "direction", "volatility", "forecast",
                                          "none" };
    make_walk();
    for (int k = 0; k < 4; k++) {
        rob_data *other, *now;
        GOOD(rob_data_create(ctx, &now));
        GOOD(rob_data_create(ctx, &other));
        for (int side = 0; side < 2; side++) {
            rob_data *set = side ? other : now;
            shape(set, 9, 5, 30);
            GOOD(rob_data_set_text(ctx, set, "target", target[k]));
            GOOD(rob_data_set_text(ctx, set, "inputs", "return,size,range,volume"));
            GOOD(read_into(set, table(side ? CHANGED : DAYS)));
        }
        int past = 0, differ = 0;
        for (int64_t i = 0; i < now->count; i++) {
            const rob_series *a = &now->series[i], *b = &other->series[i];
            if (a->when < CHANGED) same_window(a, b, 36), past++;
            else differ += memcmp(a->x, b->x, 36 * sizeof(double)) != 0;
            if (a->until >= CHANGED) continue;
            ck_assert_int_eq(a->label, b->label);
            ck_assert_int_eq(a->targets, b->targets);
            for (int64_t j = 0; j < a->targets; j++)
                ck_assert(a->target[j] == b->target[j]);
        }
        ck_assert(past > 40 && differ > 20);
        rob_data_free(now);
        rob_data_free(other);
    }
}
END_TEST

/* A file that begins later, or ends earlier, gives the same bits. */
START_TEST(where_a_file_begins_and_ends_does_not_matter)
{
    rob_data *late;
    make_walk();
    shape(d, 6, 2, 20);
    GOOD(read_into(d, table(DAYS)));
    GOOD(rob_data_create(ctx, &late));
    shape(late, 6, 2, 20);
    char *text = (char *)(uintptr_t)table(DAYS), *cut = strstr(text, "\n30,");
    char head[] = "Date,Low,High,Close,Volume";
    cut = (char *)memcpy(cut - strlen(head), head, strlen(head));
    *strstr(cut, "\n120,") = 0;
    GOOD(read_into(late, cut));
    ck_assert_int_eq(late->count, 90 - 20 - 2);
    for (int64_t i = 0; i < late->count; i++) {
        same_window(&late->series[i], &d->series[i + 30], 6);
        ck_assert(late->series[i].target[0] == d->series[i + 30].target[0]);
    }
    rob_data_free(late);
}
END_TEST

/* ---- files ----------------------------------------------------------------------- */

START_TEST(files_in_other_forms)
{
    static const char *const form[] = {
        "Date,Close\n2020-01-30,1\n2020-01-31,2\n2020-02-03,4\n2020-02-04,2\n",
        "x;Adj Close;Close\n1/30/2020;1;9\n1/31/2020;2;9\n2/1/2020;;9\n2/3/2020;4;9\n"
        "2/4/2020;2;9\n",
        "price\tdate\n2\t2020-02-04\n4\t2020-02-03\n0\t2020-02-02\n2\t2020-01-31\n"
        "1\t2020-01-30\n",
    };
    for (int k = 0; k < 3; k++) {
        shape(d, 1, 1, 20);
        ck_assert_int_eq(read_into(d, form[k]), ROB_EFORMAT);
        SAYS("4 days");
    }
    /* the shortest history an option allows is 20 days: look at the days themselves */
    static char text[8192];
    size_t used = (size_t)sprintf(text, "\"x\",\"Adj Close\",\"Close\"\n");
    for (int t = 0; t < 40; t++)
        used +=
            (size_t)sprintf(text + used, "%d/%d/2020,%s,%d\n", 1 + t / 20, 1 + t % 20,
                            t == 25 ? ""
                            : t % 2 ? "2"
                                    : "1",
                            t + 1);
    GOOD(read_into(d, text));
    double dropped;
    GOOD(rob_data_about(ctx, d, -1, "dropped", &dropped, 1, NULL));
    ck_assert(dropped == 1);
    ck_assert_int_eq(d->count, 39 - 20 - 1);
    ck_assert(d->series[0].when == 18293); /* 2020-02-01 */
    ck_assert(d->series[5].time[0] == 18299
              && d->series[5].x[0] == 0); /* spans the gap */
    GOOD(rob_data_set_text(ctx, d, "columns", "Open"));
    ck_assert_int_eq(read_into(d, text), ROB_EFORMAT);
    SAYS("Open");
    GOOD(rob_data_set_text(ctx, d, "columns", ""));
    GOOD(rob_data_set_text(ctx, d, "inputs", "range"));
    ck_assert_int_eq(read_into(d, text), ROB_EFORMAT);
    SAYS("high");
    ck_assert_int_eq(rob_data_set_text(ctx, d, "inputs", "return,luck"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_set_text(ctx, d, "until", "soon"), ROB_EARGUMENT);
}
END_TEST

START_TEST(from_and_until_share_no_day)
{
    rob_data *test;
    make_walk();
    shape(d, 5, 4, 20);
    GOOD(rob_data_set_text(ctx, d, "until", "80"));
    GOOD(read_into(d, table(DAYS)));
    GOOD(rob_data_create(ctx, &test));
    shape(test, 5, 4, 20);
    GOOD(rob_data_set_text(ctx, test, "from", "80"));
    GOOD(read_into(test, table(DAYS)));
    ck_assert(d->series[d->count - 1].until == 79 && test->series[0].when == 80);
    ck_assert_int_eq(d->count + test->count + 4, DAYS - 20 - 4);
    rob_data_free(test);
}
END_TEST

START_TEST(a_split_by_time_purges)
{
    rob_data *part = NULL;
    double purged;
    make_walk();
    shape(d, 5, 4, 20);
    GOOD(read_into(d, table(DAYS)));
    GOOD(read_into(d, table(DAYS)));
    int64_t all = d->count;
    GOOD(rob_data_split_time(ctx, d, 0.25, &part));
    ck_assert_int_eq(part->count, 2 * ((all / 2 + 3) / 4));
    double first = INFINITY, last = -INFINITY;
    for (int64_t i = 0; i < part->count; i++) first = fmin(first, part->series[i].when);
    for (int64_t i = 0; i < d->count; i++) last = fmax(last, d->series[i].until);
    ck_assert(last == first);
    GOOD(rob_data_about(ctx, d, -1, "purged", &purged, 1, NULL));
    ck_assert(purged == 6 && d->count + part->count + 6 == all);
    rob_data_free(part);
    GOOD(rob_data_add(ctx, d, walk, 5, 1, 0));
    all = d->count;
    ck_assert_int_eq(rob_data_split_time(ctx, d, 0.25, &part), ROB_EARGUMENT);
    ck_assert(part == NULL && d->count == all);
    ck_assert_int_eq(rob_data_split_time(ctx, d, 1.25, &part), ROB_EDOMAIN);
}
END_TEST

/* ---- the simulator --------------------------------------------------------------- */

/* Returns over the true deviation of their day are standard normal: over n markets the
 * mean of z^2 - 1 has deviation sqrt(2/n), that of z and of the sign 1/sqrt(n); five of
 * them are allowed. And the direction is a coin. */
START_TEST(simulated_markets_follow_their_truth)
{
    enum { N = 2000 };
    double square = 0, sum = 0, wild = 0, ups = 0;
    shape(d, 4, 1, 20);
    GOOD(rob_data_simulate(ctx, d, "prices", N));
    ck_assert_int_eq(d->count, N);
    for (int64_t i = 0; i < N; i++) {
        double truth[2];
        GOOD(rob_data_about(ctx, d, i, "truth", truth, 2, NULL));
        double z = d->series[i].target[0] / truth[1];
        sum += z;
        square += z * z - 1;
        wild += truth[0];
        ups += d->series[i].label;
    }
    ck_assert_double_le(fabs(sum) / N, 5 / sqrt(N));
    ck_assert_double_le(fabs(square) / N, 5 * sqrt(2.0 / N));
    ck_assert_double_le(fabs(ups / N - 0.5), 2.5 / sqrt(N));
    /* share of wild days: 50/(50 + 120) */
    ck_assert_double_le(fabs(wild / N - 50.0 / 170.0), 2.5 / sqrt(N));
}
END_TEST

/* Volatility is predictable: above its median more often in the wild regime. */
START_TEST(volatility_is_predictable)
{
    double above[2] = { 0 }, count[2] = { 0 };
    shape(d, 4, 20, 250);
    GOOD(rob_data_set_text(ctx, d, "target", "volatility"));
    GOOD(rob_data_simulate(ctx, d, "prices", 600));
    for (int64_t i = 0; i < d->count; i++) {
        int k = d->series[i].truth[0] > 0;
        above[k] += (double)d->series[i].label;
        count[k]++;
    }
    ck_assert_double_gt(above[1] / count[1], above[0] / count[0] + 0.3);
}
END_TEST

START_TEST(a_market_depends_on_seed_and_place_alone)
{
    rob_data *other;
    shape(d, 6, 2, 20);
    GOOD(rob_data_simulate(ctx, d, "prices", 5));
    GOOD(rob_data_create(ctx, &other));
    shape(other, 6, 2, 20);
    GOOD(rob_data_simulate(ctx, other, "prices", 2));
    GOOD(rob_data_simulate(ctx, other, "prices", 3));
    for (int i = 0; i < 5; i++) same_window(&d->series[i], &other->series[i], 6);
    rob_data_free(other);
}
END_TEST

/* ---- memory, published data ------------------------------------------------------ */

static char path_of_table[32];

static rob_status cut_a_file(rob_ctx *poor)
{
    static const char *const option[][2] = { { "role", "prices" },
                                             { "inputs", "return,range,volume" },
                                             { "target", "volatility" } };
    rob_data *set = NULL, *part = NULL;
    rob_status status = rob_data_create(poor, &set);
    for (int k = 0; k < 3 && status == ROB_OK; k++)
        status = rob_data_set_text(poor, set, option[k][0], option[k][1]);
    if (status == ROB_OK) status = rob_data_set(poor, set, "history", 20);
    if (status == ROB_OK) status = rob_data_set(poor, set, "window", 3);
    if (status == ROB_OK) status = rob_data_set(poor, set, "stride", 10);
    if (status == ROB_OK) status = rob_data_read(poor, set, path_of_table);
    if (status < ROB_OK && set) ck_assert_int_eq(set->count, 0);
    if (status == ROB_OK) status = rob_data_split_time(poor, set, 0.5, &part);
    if (status < ROB_OK) ck_assert_ptr_null(part);
    rob_data_free(part);
    part = NULL;
    if (status == ROB_OK) status = rob_data_set_text(poor, set, "inputs", "return");
    rob_data_free(set);
    set = NULL;
    if (status == ROB_OK) status = rob_data_create(poor, &set);
    if (status == ROB_OK) status = rob_data_simulate(poor, set, "prices", 3);
    rob_data_free(set);
    return status;
}

START_TEST(failing_memory_is_survived)
{
    make_walk();
    strcpy(path_of_table, "/tmp/robust-prices-XXXXXX");
    const char *text = table(DAYS);
    rob_write_file(path_of_table, text, strlen(text));
    rob_live_poorly(cut_a_file);
    unlink(path_of_table);
}
END_TEST

START_TEST(published_prices)
{
    static const char *const name[] = {
        "stocks-djia/KO_2006-01-01_to_2018-01-01.csv", "stock-indices/sp500-2000.csv",
        "stock-indices/EuStockMarkets.csv",
        "stock-indices/s-and-p-500-shiller-monthly.csv"
    };
    static const int64_t days[] = { 3020, 5105, 1860, 1866 };
    char path[512];
    shape(d, 30, 1, 250);
    for (int k = 0; k < 4; k++) {
        if (!rob_data_path(name[k], path, sizeof path)) {
            rob_skip("ROBUST_DATA is not set");
            return;
        }
        int64_t before = d->count, dropped = d->dropped;
        GOOD(rob_data_read(ctx, d, path));
        ck_assert_int_eq(d->count - before + d->dropped - dropped, days[k] - 251);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prices");
    TCase *c = tcase_create("prices");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, a_window_by_hand);
    tcase_add_test(c, volatility_by_hand);
    tcase_add_test(c, a_forecast_has_targets_and_no_class);
    tcase_add_test(c, the_future_changes_nothing_of_the_past);
    tcase_add_test(c, where_a_file_begins_and_ends_does_not_matter);
    tcase_add_test(c, files_in_other_forms);
    tcase_add_test(c, from_and_until_share_no_day);
    tcase_add_test(c, a_split_by_time_purges);
    tcase_add_test(c, simulated_markets_follow_their_truth);
    tcase_add_test(c, volatility_is_predictable);
    tcase_add_test(c, a_market_depends_on_seed_and_place_alone);
    tcase_add_test(c, failing_memory_is_survived);
    tcase_add_test(c, published_prices);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
