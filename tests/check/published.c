/* published.c -- published weights on published series: the accuracies their authors
 * report, or that were measured once in another program, through the public interface
 * and through `robust predict`. ROBUST_DATA names the folder.
 *
 * TSFool's LSTMs and the series that its attack found (Li et al. 2022; labels there are
 * classes, not the file's own), Prover's LSTMs on MNIST (Ryou et al. 2021), DeepT's
 * vision transformer (Bonaert et al. 2021), an LSTM on NATOPS that reads channels as
 * steps. Counts of right answers, so that nothing is rounded.
 */
#include "command.h"

#include <robust.h>

#define TSFOOL "lstm readout=last"
#define PROVER "lstm readout=last input=x/255"
#define DEEPT                                                                          \
    "transformer names=vit patch=7x7 features=28 heads=4 activation=relu norm=first "  \
    "layernorm=centred readout=cls input=(x-33.3285)/78.5655"
#define FOUND(name) "models/tsfool-adversarial/" name "_TEST_ADV_X.npy"
#define THERE(name) "models/tsfool-adversarial/" name "_TEST_ADV_Y.npy"
#define UCR(name) "ucr/" name "/" name "_TEST.tsv"
#define IMAGES "mnist/t10k-images-idx3-ubyte.gz"
#define DIGITS "mnist/t10k-labels-idx1-ubyte.gz"

static const struct published {
    const char *model, *recipe, *data, *labels; /* labels: a file of their own */
    const char *classes;                        /* label values by output */
    int frames;
    bool channels; /* as steps */
    int right, series;
} PUBLISHED[] = {
    { "tsfool_GunPoint_lstm", TSFOOL, UCR("GunPoint"), NULL, "1,2", 0, false, 140, 150 },
    { "tsfool_ECG200_lstm", TSFOOL, UCR("ECG200"), NULL, "1,-1", 0, false, 74, 100 },
    { "tsfool_ItalyPowerDemand_lstm", TSFOOL, UCR("ItalyPowerDemand"), NULL, "1,2", 0,
      false, 993, 1029 },
    { "tsfool_CBF_lstm", TSFOOL, UCR("CBF"), NULL, "1,2,3", 0, false, 676, 900 },
    { "tsfool_GunPoint_lstm", TSFOOL, FOUND("GunPoint"), THERE("GunPoint"), "0,1", 0,
      false, 0, 80 },
    { "tsfool_ECG200_lstm", TSFOOL, FOUND("ECG200"), THERE("ECG200"), "0,1", 0, false, 8,
      140 },
    { "tsfool_ItalyPowerDemand_lstm", TSFOOL, FOUND("ItalyPowerDemand"),
      THERE("ItalyPowerDemand"), "0,1", 0, false, 54, 340 },
    { "tsfool_CBF_lstm", TSFOOL, FOUND("CBF"), THERE("CBF"), "0,1,2", 0, false, 152,
      720 },
    { "prover_mnist_04f_032h_1l", PROVER, IMAGES, DIGITS, NULL, 4, false, 9614, 10000 },
    { "prover_mnist_04f_032h_2l", PROVER, IMAGES, DIGITS, NULL, 4, false, 9673, 10000 },
    { "prover_mnist_04f_064h_1l", PROVER, IMAGES, DIGITS, NULL, 4, false, 9726, 10000 },
    { "prover_mnist_07f_032h_1l", PROVER, IMAGES, DIGITS, NULL, 7, false, 9651, 10000 },
    { "prover_mnist_14f_032h_1l", PROVER, IMAGES, DIGITS, NULL, 14, false, 9686, 10000 },
    { "deept_mnist_vit", DEEPT, IMAGES, DIGITS, NULL, 0, false, 9554, 10000 },
    { "natops_lstm", TSFOOL, "uea/NATOPS/NATOPS_TEST.ts", NULL, NULL, 0, true, 143, 180 },
};
enum { COUNT = sizeof PUBLISHED / sizeof *PUBLISHED };

static rob_ctx *ctx;
static char model_path[512], data_path[512], label_path[512];

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

static bool find(const struct published *p)
{
    char relative[256];
    snprintf(relative, sizeof relative, "models/%s.safetensors", p->model);
    if (!rob_data_path(relative, model_path, sizeof model_path)) {
        rob_skip("ROBUST_DATA is not set");
        return false;
    }
    rob_data_path(p->data, data_path, sizeof data_path);
    if (p->labels) rob_data_path(p->labels, label_path, sizeof label_path);
    return true;
}

/* ---- by the interface ------------------------------------------------------------ */

static void read_series(const struct published *p, rob_data *d)
{
    if (p->classes) GOOD(rob_data_set_text(ctx, d, "labels", p->classes));
    if (p->frames) GOOD(rob_data_set(ctx, d, "frames", p->frames));
    if (p->channels) GOOD(rob_data_set_text(ctx, d, "layout", "channels"));
    GOOD(rob_data_read(ctx, d, data_path));
    if (!p->labels) return;
    GOOD(rob_data_set_text(ctx, d, "role", "label"));
    GOOD(rob_data_read(ctx, d, label_path));
}

START_TEST(by_the_interface)
{
    const struct published *p = &PUBLISHED[_i];
    rob_model *m;
    rob_data *d;
    rob_query *q;
    int right = 0;
    if (!find(p)) return;
    GOOD(rob_model_load(ctx, model_path, p->recipe, &m));
    GOOD(rob_data_create(ctx, &d));
    read_series(p, d);
    ck_assert_int_eq(rob_data_count(d), p->series);
    GOOD(rob_query_create(ctx, m, &q));
    GOOD(rob_query_add_data(ctx, q, d, 0, p->series));
    for (int64_t i = 0; i < p->series; i++) {
        double answer;
        int64_t label;
        GOOD(rob_query_get(ctx, q, "prediction", i, &answer, 1, NULL));
        GOOD(rob_data_get(ctx, d, i, NULL, 0, NULL, NULL, &label));
        right += (int64_t)answer == label;
    }
    ck_assert_int_eq(right, p->right);
    rob_query_free(q);
    rob_data_free(d);
    rob_model_free(m);
}
END_TEST

/* ---- by the command -------------------------------------------------------------- */

START_TEST(by_the_command)
{
    const struct published *p = &PUBLISHED[_i];
    char line[4096], text[4096], wanted[64], classes[64] = "", frames[64] = "";
    char labels[600] = "";
    if (!find(p)) return;
    if (!program[0]) {
        rob_skip("no command was built");
        return;
    }
    if (p->classes) snprintf(classes, sizeof classes, " --classes %s", p->classes);
    if (p->frames) snprintf(frames, sizeof frames, " --data frames=%d", p->frames);
    if (p->labels) snprintf(labels, sizeof labels, " --data label-file=%s", label_path);
    snprintf(line, sizeof line, "predict %s %s --recipe \"%s\"%s%s%s%s", model_path,
             data_path, p->recipe, classes, frames, labels,
             p->channels ? " --data layout=channels" : "");
    ck_assert_msg(run_program(line, text, sizeof text) == 0, "%s", text);
    snprintf(wanted, sizeof wanted, "accuracy %.4f on %d series",
             (double)p->right / p->series, p->series);
    ck_assert_msg(strstr(text, wanted) != NULL, "%s: not '%s'", text, wanted);
}
END_TEST

/* All 80 series found for GunPoint have the label 1: which of two outputs is that? */
START_TEST(labels_that_do_not_say_enough_are_refused)
{
    const struct published *p = &PUBLISHED[4];
    char line[4096], text[4096];
    if (!find(p)) return;
    if (!program[0]) {
        rob_skip("no command was built");
        return;
    }
    snprintf(line, sizeof line, "predict %s %s --recipe \"%s\" --data label-file=%s",
             model_path, data_path, p->recipe, label_path);
    ck_assert_int_eq(run_program(line, text, sizeof text), 2);
    ck_assert_msg(strstr(text, "1 label, the model 2 outputs") != NULL, "%s", text);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("published");
    TCase *c = tcase_create("published");
    if (argc > 0) find_program(argv[0]);
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, by_the_interface, 0, COUNT);
    tcase_add_loop_test(c, by_the_command, 0, COUNT);
    tcase_add_test(c, labels_that_do_not_say_enough_are_refused);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
