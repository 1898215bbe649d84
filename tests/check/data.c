/* data.c -- labelled sequences: what is read, split and saved. */
#include "check/harness.h"
#include "data/parts.h"
#include <robust/model.h>

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static rob_ctx *ctx;
static rob_data *d;

static void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_ctx_set_seed(ctx, 3), ROB_OK);
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

static rob_status read_bytes(const void *bytes, int64_t count)
{
    char path[] = "/tmp/robust-data-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, bytes, (size_t)count), count);
    close(file);
    rob_status status = rob_data_read(ctx, d, path);
    unlink(path);
    return status;
}

static rob_status read_text(const char *text)
{
    return read_bytes(text, (int64_t)strlen(text));
}

static rob_status read_npy(const char *shape, const double *x, int64_t n)
{
    static uint8_t bytes[1 << 16];
    char header[128];
    int length =
        snprintf(header, sizeof header,
                 "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }", shape);
    memcpy(bytes, "\x93NUMPY\x01\0", 8);
    bytes[8] = (uint8_t)length;
    bytes[9] = 0;
    memcpy(bytes + 10, header, (size_t)length);
    memcpy(bytes + 10 + length, x, (size_t)n * sizeof *x);
    return read_bytes(bytes, 10 + length + 8 * n);
}

static int64_t label_of(int64_t i)
{
    int64_t label;
    GOOD(rob_data_get(ctx, d, i, NULL, 0, NULL, NULL, &label));
    return label;
}

/* ---- text ------------------------------------------------------------------------ */

START_TEST(classes_ascend_by_value)
{
    GOOD(read_text("2\t1\t2\n-1\t3\t4\n2\t5\t6\n0.5\t7\t8\n"));
    ck_assert_int_eq(rob_data_count(d), 4);
    ck_assert_int_eq(rob_data_classes(d), 3);
    const int64_t want[4] = { 2, 0, 2, 1 };
    for (int i = 0; i < 4; i++) ck_assert_int_eq(label_of(i), want[i]);
    ck_assert(d->class_value[0] == -1 && d->class_value[1] == 0.5
              && d->class_value[2] == 2);
}
END_TEST

START_TEST(a_second_file_shares_the_classes)
{
    GOOD(read_text("1,0,0\n3,0,0\n"));
    GOOD(read_text("3,1,1\n"));
    ck_assert_int_eq(rob_data_classes(d), 2);
    ck_assert_int_eq(label_of(2), 1);
    GOOD(read_text("2,1,1\n")); /* a new label moves 3 from class 1 to 2 */
    const int64_t want[4] = { 0, 2, 2, 1 };
    for (int i = 0; i < 4; i++) ck_assert_int_eq(label_of(i), want[i]);
}
END_TEST

START_TEST(option_labels_fixes_the_order)
{
    GOOD(rob_data_set_text(ctx, d, "labels", "1,-1"));
    GOOD(read_text("1 5\n-1 6\n"));
    ck_assert_int_eq(label_of(0), 0);
    ck_assert_int_eq(label_of(1), 1);
    ck_assert_int_eq(read_text("2 5\n"), ROB_EFORMAT);
    SAYS("labels=1,-1");
    ck_assert_int_eq(rob_data_count(d), 2);
    static const char *const bad[] = { "1,1", "1,", "a", "1;2", "nan", ",1", "1,,2" };
    for (int k = 0; k < 7; k++) {
        GOOD(rob_data_set_text(ctx, d, "labels", bad[k]));
        ck_assert_msg(read_text("1 5\n") == ROB_EARGUMENT, "accepted: %s", bad[k]);
    }
}
END_TEST

START_TEST(lengths_may_differ)
{
    int64_t steps;
    double x[4];
    GOOD(read_text("0\t1\t2\t3\tNaN\n1\t4\tNaN\tNaN\tNaN\n0\t5\t6\n1\t7\t\t\t\n"));
    const int64_t want[4] = { 3, 1, 2, 1 };
    for (int i = 0; i < 4; i++) {
        GOOD(rob_data_get(ctx, d, i, x, 4, &steps, NULL, NULL));
        ck_assert_int_eq(steps, want[i]);
    }
    ck_assert(x[0] == 7);
    ck_assert_int_eq(rob_data_get(ctx, d, 0, x, 2, &steps, NULL, NULL), ROB_ESHAPE);
    ck_assert_int_eq(rob_data_get(ctx, d, 4, x, 4, &steps, NULL, NULL), ROB_EARGUMENT);
}
END_TEST

START_TEST(features_split_a_row)
{
    int64_t steps, features;
    double x[6];
    GOOD(rob_data_set(ctx, d, "features", 2));
    GOOD(read_text("0,1,2,3,4,NaN,NaN\n"));
    GOOD(rob_data_get(ctx, d, 0, x, 6, &steps, &features, NULL));
    ck_assert(steps == 2 && features == 2 && x[3] == 4);
    ck_assert_int_eq(read_text("0,1,2,3\n"), ROB_EFORMAT);
    ck_assert_int_eq(read_text("0,1,2,3,NaN\n"), ROB_EFORMAT);
    GOOD(rob_data_set(ctx, d, "features", 1));
    ck_assert_int_eq(read_text("0,1,2\n"), ROB_ESHAPE);
}
END_TEST

START_TEST(bad_files_leave_nothing_behind)
{
    static const char *const bad[] = {
        "",
        "\n\n",
        "# only words\n",
        "1\n",
        "1,NaN\n",
        "1,2\nx,3\n",
        "1,2\n1,2,nan,3\n",
        "1,2\n1,inf\n",
        "1,2\n2,3,4q\n",
    };
    GOOD(read_text("1,5\n2,6\n"));
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ck_assert_msg(read_text(bad[k]) == ROB_EFORMAT, "accepted: %s", bad[k]);
        ck_assert_int_eq(rob_data_count(d), 2);
        ck_assert_int_eq(rob_data_classes(d), 2);
        ck_assert_int_eq(label_of(1), 1);
    }
    ck_assert_int_eq(rob_data_read(ctx, d, "/no/such/file.tsv"), ROB_EIO);
    SAYS("/no/such/file.tsv");
}
END_TEST

START_TEST(too_many_labels_are_a_mistake)
{
    static char text[1 << 16];
    size_t used = 0;
    for (int k = 0; k < 4097; k++) used += (size_t)sprintf(text + used, "%d,1\n", k);
    ck_assert_int_eq(read_text(text), ROB_EFORMAT);
    SAYS("first column");
    ck_assert_int_eq(rob_data_count(d), 0);
}
END_TEST

/* ---- NPY ------------------------------------------------------------------------- */

START_TEST(npy_series_then_labels)
{
    const double x[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, y[2] = { 7, 3 };
    int64_t steps, features;
    GOOD(read_npy("(2, 3, 2)", x, 12));
    ck_assert_int_eq(label_of(0), -1);
    ck_assert_int_eq(read_npy("(3,)", x, 3), ROB_EFORMAT);
    SAYS("role=");
    GOOD(read_npy("(2,)", y, 2));
    ck_assert_int_eq(label_of(0), 1);
    ck_assert_int_eq(label_of(1), 0);
    GOOD(rob_data_get(ctx, d, 1, NULL, 0, &steps, &features, NULL));
    ck_assert(steps == 3 && features == 2);
}
END_TEST

START_TEST(npy_roles)
{
    const double x[6] = { 4, 1, 2, 9, 3, NAN };
    int64_t steps;
    GOOD(rob_data_set_text(ctx, d, "role", "table"));
    GOOD(read_npy("(2, 3)", x, 6));
    GOOD(rob_data_get(ctx, d, 1, NULL, 0, &steps, NULL, NULL));
    ck_assert(steps == 1 && label_of(0) == 0 && label_of(1) == 1);
    GOOD(rob_data_set_text(ctx, d, "role", "series"));
    GOOD(read_npy("(5,)", x, 5));
    ck_assert_int_eq(label_of(2), -1);
    GOOD(rob_data_set_text(ctx, d, "role", "labels"));
    ck_assert_int_eq(read_npy("(2,)", x, 2), ROB_ESHAPE);
    GOOD(read_npy("(1, 1)", x, 1));
    ck_assert_int_eq(label_of(2), 0);
    ck_assert_int_eq(rob_data_classes(d), 2);
    ck_assert_int_eq(rob_data_set_text(ctx, d, "role", "targets"), ROB_EARGUMENT);
    GOOD(rob_data_set_text(ctx, d, "role", "table"));
    ck_assert_int_eq(read_npy("(1, 2, 3)", x, 6), ROB_EFORMAT);
    GOOD(rob_data_set_text(ctx, d, "role", "auto"));
    ck_assert_int_eq(read_npy("(0, 3)", x, 0), ROB_EFORMAT);
    ck_assert_int_eq(read_npy("(2, 1, 3, 1)", x, 6), ROB_EFORMAT);
}
END_TEST

/* ---- add, options, save, split --------------------------------------------------- */

START_TEST(add_checks_what_it_is_given)
{
    const double x[4] = { 1, 2, 3, 4 }, bad[2] = { 1, NAN };
    GOOD(rob_data_add(ctx, d, x, 2, 2, 3));
    ck_assert_int_eq(rob_data_classes(d), 4);
    ck_assert_int_eq(rob_data_add(ctx, d, x, 4, 1, 0), ROB_ESHAPE);
    ck_assert_int_eq(rob_data_add(ctx, d, x, 0, 2, 0), ROB_ESHAPE);
    ck_assert_int_eq(rob_data_add(ctx, d, bad, 1, 2, 0), ROB_EDOMAIN);
    ck_assert_int_eq(rob_data_add(ctx, d, x, 1, 2, -2), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_add(ctx, d, x, INT64_MAX, INT64_MAX, 0), ROB_ESHAPE);
    ck_assert_int_eq(rob_data_add(ctx, d, NULL, 1, 2, 0), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_count(d), 1);
    ck_assert_int_eq(rob_data_count(NULL), 0);
}
END_TEST

START_TEST(options_say_what_is_allowed)
{
    ck_assert_int_eq(rob_data_set(ctx, d, "strides", 1), ROB_EARGUMENT);
    SAYS("features");
    ck_assert_int_eq(rob_data_set(ctx, d, "steps", 5), ROB_EDOMAIN);
    ck_assert_int_eq(rob_data_set(ctx, d, "steps", 64.5), ROB_EDOMAIN);
    ck_assert_int_eq(rob_data_set(ctx, d, "noise", NAN), ROB_EDOMAIN);
    ck_assert_int_eq(rob_data_set_text(ctx, d, "colour", "x"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_data_simulate(ctx, d, "weather", 3), ROB_EARGUMENT);
    SAYS("transits");
    ck_assert_int_eq(rob_data_simulate(ctx, d, "transits", -1), ROB_EARGUMENT);
}
END_TEST

START_TEST(saved_data_come_back_bit_for_bit)
{
    char path[] = "/tmp/robust-data-XXXXXX";
    rob_data *back;
    close(mkstemp(path));
    GOOD(read_text("-1\t0.1\t1e-320\t-3.0000000000000004\n1.5\t7\tNaN\n-1\t1e300\n"));
    double x[2] = { 1, 2 };
    GOOD(rob_data_add(ctx, d, x, 2, 1, -1));
    GOOD(rob_data_save(ctx, d, path));
    GOOD(rob_data_create(ctx, &back));
    GOOD(rob_data_read(ctx, back, path));
    unlink(path);
    ck_assert_int_eq(back->count, d->count);
    ck_assert_mem_eq(back->class_value, d->class_value, 2 * sizeof(double));
    for (int64_t i = 0; i < d->count; i++) {
        ck_assert_int_eq(back->series[i].steps, d->series[i].steps);
        ck_assert_int_eq(back->series[i].label, d->series[i].label);
        ck_assert_mem_eq(back->series[i].x, d->series[i].x,
                         (size_t)d->series[i].steps * 8);
    }
    rob_data_free(back);
    ck_assert_int_eq(rob_data_save(ctx, d, "/no/such/folder/x"), ROB_EIO);
}
END_TEST

START_TEST(a_split_is_stratified)
{
    rob_data *part, *again;
    int64_t count[2][3] = { { 0 } };
    bool seen[100] = { false };
    for (int i = 0; i < 100; i++) {
        double x = i;
        GOOD(rob_data_add(ctx, d, &x, 1, 1, i < 60 ? 0 : i < 90 ? 1 : 2));
    }
    GOOD(rob_data_split(ctx, d, 0.25, &part));
    ck_assert_int_eq(rob_data_classes(part), 3);
    for (int s = 0; s < 2; s++) {
        const rob_data *set = s == 0 ? d : part;
        for (int64_t i = 0; i < set->count; i++) {
            int at = (int)set->series[i].x[0];
            ck_assert(!seen[at]);
            seen[at] = true;
            count[s][set->series[i].label]++;
            if (i > 0) ck_assert(set->series[i].x[0] > set->series[i - 1].x[0]);
        }
    }
    /* floor(n / 4 + 1/2) of 60, 30, 10 */
    ck_assert(count[1][0] == 15 && count[1][1] == 8 && count[1][2] == 3);
    ck_assert(count[0][0] == 45 && count[0][1] == 22 && count[0][2] == 7);
    ck_assert_int_eq(rob_data_split(ctx, d, 0, &again), ROB_EDOMAIN);
    ck_assert_ptr_null(again);
    ck_assert_int_eq(rob_data_split(ctx, d, NAN, &again), ROB_EDOMAIN);
    rob_data_free(part);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------- */

typedef struct budget {
    int64_t left, live;
} budget;

static void *spend(void *user, int64_t bytes)
{
    budget *b = user;
    if (b->left-- <= 0) return NULL;
    b->live++;
    return malloc((size_t)bytes);
}

static void give_back(void *user, void *p)
{
    ((budget *)user)->live--;
    free(p);
}

static rob_status whole_life(rob_ctx *poor, const char *path)
{
    rob_data *set = NULL, *part = NULL;
    char out[64];
    rob_status status = rob_data_create(poor, &set);
    snprintf(out, sizeof out, "%s.out", path);
    if (status == ROB_OK) status = rob_data_read(poor, set, path);
    if (status < ROB_OK && set) ck_assert(set->count == 0 && set->classes == 0);
    if (status == ROB_OK) status = rob_data_simulate(poor, set, "transits", 3);
    if (status < ROB_OK && set) ck_assert(set->count == 0 || set->count == 40);
    if (status == ROB_OK) status = rob_data_split(poor, set, 0.5, &part);
    if (status < ROB_OK) ck_assert_ptr_null(part);
    if (status == ROB_OK) status = rob_data_save(poor, part, out);
    rob_data_free(part);
    rob_data_free(set);
    return status;
}

START_TEST(failing_memory_is_survived)
{
    char path[] = "/tmp/robust-data-XXXXXX", out[64];
    FILE *file = fdopen(mkstemp(path), "w");
    for (int i = 0; i < 40; i++) fprintf(file, "%d\t%d\t2\n", i % 3, i);
    fclose(file);
    for (int64_t n = 0;; n++) {
        budget b = { INT64_MAX, 0 };
        rob_ctx *poor;
        ck_assert_int_eq(rob_ctx_create_with(spend, give_back, &b, &poor), ROB_OK);
        int64_t before = b.live;
        b.left = n;
        rob_status status = whole_life(poor, path);
        ck_assert_msg(status == ROB_OK || status == ROB_EMEMORY, "%s",
                      rob_ctx_error(poor));
        ck_assert_int_eq(b.live, before);
        rob_ctx_free(poor);
        if (status == ROB_OK) break;
        ck_assert_int_lt(n, 2000);
    }
    snprintf(out, sizeof out, "%s.out", path);
    unlink(out);
    unlink(path);
}
END_TEST

/* ---- published data -------------------------------------------------------------- */

static bool read_published(rob_data *set, const char *relative)
{
    char path[512];
    if (!rob_data_path(relative, path, sizeof path)) return false;
    GOOD(rob_data_read(ctx, set, path));
    return true;
}

START_TEST(two_spellings_of_gunpoint_are_equal)
{
    rob_data *text;
    GOOD(rob_data_create(ctx, &text));
    if (read_published(d, "ucr/GunPoint/GunPoint_TRAIN.tsv")) {
        read_published(text, "ucr/formats/GunPoint_TRAIN.txt");
        ck_assert_int_eq(d->count, 50);
        ck_assert_int_eq(text->count, 50);
        for (int64_t i = 0; i < 50; i++) {
            ck_assert_int_eq(d->series[i].label, text->series[i].label);
            ck_assert_mem_eq(d->series[i].x, text->series[i].x, 150 * sizeof(double));
        }
    } else {
        rob_skip("ROBUST_DATA is not set");
    }
    rob_data_free(text);
}
END_TEST

/* TRAIN is text; TEST is NPY, float32, Fortran order, label first. */
START_TEST(ecg5000_in_two_formats)
{
    if (!read_published(d, "ucr/ECG5000/ECG5000_TRAIN.tsv")) {
        rob_skip("ROBUST_DATA is not set");
        return;
    }
    GOOD(rob_data_set_text(ctx, d, "role", "table"));
    read_published(d, "ucr/ECG5000/ECG5000_TEST.npy");
    ck_assert_int_eq(d->count, 500 + 4499);
    ck_assert_int_eq(d->classes, 5);
    for (int64_t i = 0; i < d->count; i++) ck_assert_int_eq(d->series[i].steps, 140);
}
END_TEST

/* Published adversarial series fool the published networks: accuracies of TSFool's
 * page. */
static void adversarial(const char *name, int64_t count, int64_t right)
{
    char relative[128], path[512];
    rob_model *m;
    int64_t hits = 0;
    double y[8];
    snprintf(relative, sizeof relative, "models/tsfool-adversarial/%s_TEST_ADV_X.npy",
             name);
    if (!read_published(d, relative)) {
        rob_skip("ROBUST_DATA is not set");
        return;
    }
    snprintf(relative, sizeof relative, "models/tsfool-adversarial/%s_TEST_ADV_Y.npy",
             name);
    read_published(d, relative);
    snprintf(relative, sizeof relative, "models/tsfool_%s_lstm.safetensors", name);
    rob_data_path(relative, path, sizeof path);
    GOOD(rob_model_load(ctx, path, "lstm readout=last", &m));
    for (int64_t i = 0; i < d->count; i++) {
        GOOD(rob_model_predict(ctx, m, d->series[i].x, d->series[i].steps, y, 8));
        int64_t best = y[1] > y[0];
        hits += d->class_value[d->series[i].label] == (double)best;
    }
    ck_assert_int_eq(d->count, count);
    ck_assert_int_eq(hits, right);
    rob_model_free(m);
}

START_TEST(published_attacks_on_gunpoint) { adversarial("GunPoint", 80, 0); }
END_TEST
START_TEST(published_attacks_on_ecg200) { adversarial("ECG200", 140, 8); }
END_TEST
START_TEST(published_attacks_on_italy) { adversarial("ItalyPowerDemand", 340, 54); }
END_TEST

int main(void)
{
    Suite *s = suite_create("data");
    TCase *c = tcase_create("data");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, classes_ascend_by_value);
    tcase_add_test(c, a_second_file_shares_the_classes);
    tcase_add_test(c, option_labels_fixes_the_order);
    tcase_add_test(c, lengths_may_differ);
    tcase_add_test(c, features_split_a_row);
    tcase_add_test(c, bad_files_leave_nothing_behind);
    tcase_add_test(c, too_many_labels_are_a_mistake);
    tcase_add_test(c, npy_series_then_labels);
    tcase_add_test(c, npy_roles);
    tcase_add_test(c, add_checks_what_it_is_given);
    tcase_add_test(c, options_say_what_is_allowed);
    tcase_add_test(c, saved_data_come_back_bit_for_bit);
    tcase_add_test(c, a_split_is_stratified);
    tcase_add_test(c, failing_memory_is_survived);
    tcase_add_test(c, two_spellings_of_gunpoint_are_equal);
    tcase_add_test(c, ecg5000_in_two_formats);
    tcase_add_test(c, published_attacks_on_gunpoint);
    tcase_add_test(c, published_attacks_on_ecg200);
    tcase_add_test(c, published_attacks_on_italy);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
