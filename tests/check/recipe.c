/* recipe.c -- what a model file must say about itself: recipes, names, shapes, witness;
 * and every way in which it can be wrong answers with the reason. */
#include "check/harness.h"
#include "model/parts.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { CAP = 4096 };
static rob_ctx *ctx;

static void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_ctx_set_seed(ctx, 11), ROB_OK);
}
static void tear_down(void) { rob_ctx_free(ctx); }

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))
#define SAYS(word)                                                                     \
    ck_assert_msg(strstr(rob_ctx_error(ctx), word) != NULL, "%s", rob_ctx_error(ctx))

static const char *const RECIPES[] = {
    "rnn nonlinearity=tanh features=1 hidden=3 outputs=2 readout=last dtype=f64",
    "rnn nonlinearity=relu features=3 hidden=5 outputs=4 readout=mean layers=2 "
    "dtype=f64",
    "lstm features=1 hidden=1 outputs=1 readout=last dtype=f64",
    "lstm features=2 hidden=7 outputs=3 readout=last layers=2 input=(x+1.5)/0.25 "
    "dtype=f64",
    "lstm features=2 hidden=16 outputs=2 readout=mean layers=3",
    "gru features=4 hidden=6 outputs=3 readout=mean layers=2 dtype=f64",
};
enum { RECIPE_COUNT = sizeof RECIPES / sizeof *RECIPES };

static const char *const FIXTURES[] = { "rnn_tanh", "rnn_relu_mean", "lstm",
                                        "lstm_two", "lstm_mean",     "gru" };

static void fixture_path(int k, char path[96])
{
    snprintf(path, 96, "tests/data/model_%s.safetensors", FIXTURES[k]);
}

/* ---- recipes --------------------------------------------------------------------- */

START_TEST(recipes_print_what_they_parse)
{
    static const char *const text[] = {
        "lstm readout=last",
        "gru readout=mean layers=16 dtype=f64",
        "rnn nonlinearity=relu layers=2 features=3 hidden=4 outputs=5 readout=mean "
        "body=a.b/c "
        "head=d.e dtype=f32 input=(x-0.1)/0.7 classes=one,two",
        "lstm readout=last input=(x+0.1307)/0.3081",
        "lstm readout=last input=(x-3)/-1e-05",
    };
    for (size_t k = 0; k < sizeof text / sizeof *text; k++) {
        rob_recipe a, b;
        char printed[1024];
        GOOD(rob_priv_recipe_parse(ctx, text[k], &a));
        rob_priv_recipe_print(&a, printed, sizeof printed);
        GOOD(rob_priv_recipe_parse(ctx, printed, &b));
        ck_assert_mem_eq(&a, &b, sizeof a);
    }
    rob_recipe r;
    GOOD(rob_priv_recipe_parse(ctx, " lstm\treadout=last\n input=x/255 ", &r));
    ck_assert(r.input_shift == 0.0 && r.input_scale == 255.0);
    GOOD(rob_priv_recipe_parse(ctx, "lstm readout=last input=x-2", &r));
    ck_assert(r.input_shift == 2.0 && r.input_scale == 1.0);
    GOOD(rob_priv_recipe_parse(ctx, "lstm readout=last input=(x+1e-3)/2", &r));
    ck_assert(r.input_shift == -1e-3 && r.input_scale == 2.0);
}
END_TEST

START_TEST(wrong_recipes_name_the_word)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        { "", "must begin" },
        { "cnn readout=last", "cnn" },
        { "lstm", "readout=" },
        { "rnn readout=last", "nonlinearity" },
        { "lstm readout=first", "readout=first" },
        { "lstm nonlinearity=tanh readout=last", "nonlinearity=tanh" },
        { "lstm last", "last" },
        { "lstm readout=last colour=red", "colour" },
        { "lstm readout=last layers=17", "1 to 16" },
        { "lstm readout=last layers=0", "layers=0" },
        { "lstm readout=last hidden=-1", "hidden=-1" },
        { "lstm readout=last hidden=12345678901", "hidden=" },
        { "lstm readout=last readout=mean", "twice" },
        { "lstm readout=last input=(x-1)/0", "SCALE not 0" },
        { "lstm readout=last input=(x-nan)/1", "finite" },
        { "lstm readout=last input=(x-1", "input" },
        { "lstm readout=last input=x-1/2", "input" },
        { "lstm readout=last input=(x-1)/1e-320", "input" },
        { "lstm readout=last input=y", "input" },
        { "lstm readout=last classes=a,,b", "classes" },
        { "lstm readout=last classes=,", "classes" },
        { "lstm readout=last dtype=f16", "f32 or f64" },
        { "lstm readout=last head=", "head=" },
        { "lstm readout=last "
          "body=0123456789012345678901234567890123456789012345678901234567890123",
          "63" },
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        rob_recipe r;
        ck_assert_msg(rob_priv_recipe_parse(ctx, bad[k].text, &r) == ROB_EARGUMENT,
                      "accepted: %s", bad[k].text);
        SAYS(bad[k].says);
    }
}
END_TEST

START_TEST(create_draws_as_pytorch_does)
{
    rob_model *a, *b, *c;
    double sum = 0.0, square = 0.0, value[20000];
    int64_t count;
    const char *recipe = "lstm features=5 hidden=64 outputs=3 readout=last";
    GOOD(rob_model_create(ctx, recipe, &a));
    GOOD(rob_model_create(ctx, recipe, &b));
    rob_ctx_set_seed(ctx, 12);
    GOOD(rob_model_create(ctx, recipe, &c));
    GOOD(rob_model_get(ctx, a, "lstm.weight_hh_l0", value, 20000, &count));
    ck_assert_int_eq(count, 256 * 64);
    for (int64_t i = 0; i < count; i++) {
        ck_assert_double_le(fabs(value[i]), 0.125);
        sum += value[i];
        square += value[i] * value[i];
    }
    /* uniform on (-1/8, 1/8): variance 1/192; six sigma of the mean and of the variance */
    ck_assert_double_le(fabs(sum / 16384), 6 * sqrt(1.0 / 192 / 16384));
    ck_assert_double_le(fabs(square / 16384 * 192 - 1), 6 * sqrt(0.8 / 16384));
    for (int k = 0; k < a->parameters; k++) {
        size_t bytes = 4 * (size_t)rob_priv_shape_size(&a->parameter[k].tensor->shape);
        ck_assert_mem_eq(a->parameter[k].tensor->data, b->parameter[k].tensor->data,
                         bytes);
        ck_assert_mem_ne(a->parameter[k].tensor->data, c->parameter[k].tensor->data,
                         bytes);
    }
    rob_model_free(a);
    rob_model_free(b);
    rob_model_free(c);
    ck_assert_int_eq(rob_model_create(ctx, "lstm hidden=4 outputs=2 readout=last", &a),
                     ROB_EARGUMENT);
    SAYS("features");
    ck_assert_ptr_null(a);
    ck_assert_int_eq(
        rob_model_create(
            ctx, "lstm features=1 hidden=4 outputs=2 readout=last classes=a", &a),
        ROB_ESHAPE);
}
END_TEST

/* ---- files ----------------------------------------------------------------------- */

static void temporary(char path[64])
{
    strcpy(path, "/tmp/robust-model-XXXXXX");
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
}

START_TEST(saved_models_come_back)
{
    for (int k = 0; k < RECIPE_COUNT; k++) {
        rob_model *m, *back;
        char path[64], a[CAP], b[CAP];
        int64_t count;
        temporary(path);
        GOOD(rob_model_create(ctx, RECIPES[k], &m));
        GOOD(rob_model_save(ctx, m, path));
        GOOD(rob_model_load(ctx, path, NULL, &back));
        GOOD(rob_model_describe(ctx, m, NULL, 0, &count));
        GOOD(rob_model_describe(ctx, m, a, count, &count));
        ck_assert_int_eq((int64_t)strlen(a) + 1, count);
        GOOD(rob_model_describe(ctx, back, b, CAP, NULL));
        ck_assert_str_eq(a, b);
        ck_assert_int_eq(rob_model_describe(ctx, m, a, count - 1, NULL), ROB_ESHAPE);
        for (int i = 0; i < m->parameters; i++)
            ck_assert_mem_eq(m->parameter[i].tensor->data,
                             back->parameter[i].tensor->data,
                             (size_t)rob_priv_shape_size(&m->parameter[i].tensor->shape)
                                 * (m->recipe.dtype == ROB_F32 ? 4 : 8));
        unlink(path);
        rob_model_free(m);
        rob_model_free(back);
    }
}
END_TEST

/* A fixture as a model whose names, tensors or notes have been changed. */
typedef struct altered {
    rob_tensor *tensor[80];
    char name[80][96];
    int64_t count;
    char recipe[512];
} altered;

static void alter_from(const char *recipe, altered *f)
{
    rob_model *m;
    GOOD(rob_model_create(ctx, recipe, &m));
    f->count = m->parameters;
    for (int k = 0; k < m->parameters; k++) {
        f->tensor[k] = rob_priv_tensor_keep(m->parameter[k].tensor);
        strcpy(f->name[k], m->parameter[k].name);
    }
    strcpy(f->recipe, recipe);
    rob_model_free(m);
}

static rob_status load_altered(const altered *f, const char *recipe, rob_model **out)
{
    char path[64];
    const char *names[80];
    const rob_note note = { "robust.recipe", f->recipe };
    for (int k = 0; k < f->count; k++) names[k] = f->name[k];
    temporary(path);
    GOOD(rob_priv_safetensors_write(ctx, path, names, f->tensor, f->count, &note,
                                    f->recipe[0] ? 1 : 0));
    rob_status status = rob_model_load(ctx, path, recipe, out);
    unlink(path);
    return status;
}

static void forget(altered *f)
{
    for (int k = 0; k < f->count; k++) rob_priv_tensor_free(f->tensor[k]);
}

START_TEST(nested_names_and_slashes_are_found)
{
    static const char *const prefix[][2] = { { "a.b.rnn.", "x.head." },
                                             { "a/b/rnn/", "x/head/" },
                                             { "", "out." },
                                             { "mix/ed.", "he.ad/" } };
    for (int p = 0; p < 4; p++) {
        altered f;
        rob_model *m, *back;
        char path[64];
        alter_from("lstm features=2 hidden=3 outputs=2 layers=2 readout=last dtype=f64",
                   &f);
        for (int k = 0; k < f.count; k++) {
            char *leaf = strchr(f.name[k], '.') + 1, name[96];
            snprintf(name, sizeof name, "%s%s", prefix[p][k >= 8], leaf);
            strcpy(f.name[k], name);
        }
        GOOD(load_altered(&f, "lstm readout=last", &m));
        ck_assert_str_eq(m->parameter[0].name, f.name[0]);
        temporary(path);
        GOOD(rob_model_save(ctx, m, path));
        GOOD(rob_model_load(ctx, path, NULL, &back));
        unlink(path);
        rob_model_free(back);
        rob_model_free(m);
        forget(&f);
    }
}
END_TEST

START_TEST(files_that_do_not_fit_say_why)
{
    static const struct {
        const char *recipe, *says;
    } wrong[] = {
        { "lstm readout=last hidden=4", "hidden=4" },
        { "lstm readout=last layers=1", "layers=1" },
        { "lstm readout=last features=1", "features=1" },
        { "lstm readout=last outputs=3", "outputs=3" },
        { "lstm readout=last dtype=f32", "dtype=f32" },
        { "gru readout=last", "gru" },
        { "rnn nonlinearity=tanh readout=last", "rnn" },
        { "lstm readout=last body=rnn", "rnn.weight_ih_l0" },
        { "lstm readout=last head=out", "heads found: fc" },
        { "lstm readout=last classes=a,b,c", "classes" },
    };
    altered f;
    rob_model *m;
    alter_from("lstm features=2 hidden=3 outputs=2 layers=2 readout=last dtype=f64",
               &f);
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        ck_assert_msg(load_altered(&f, wrong[k].recipe, &m) == ROB_EFORMAT, "%s",
                      wrong[k].recipe);
        ck_assert_ptr_null(m);
        SAYS(wrong[k].says);
    }
    f.recipe[0] = '\0';
    ck_assert_int_eq(load_altered(&f, NULL, &m), ROB_EFORMAT);
    SAYS("layers=2 features=2 hidden=3 outputs=2 body=lstm head=fc dtype=f64");
    SAYS("\"lstm readout=last\"");
    GOOD(load_altered(&f, "lstm readout=mean", &m));
    rob_model_free(m);
    forget(&f);
}
END_TEST

/* Each tensor missing, misnamed, misshapen in turn. */
START_TEST(missing_and_extra_tensors_are_named)
{
    altered f;
    rob_model *m;
    alter_from("lstm features=2 hidden=3 outputs=2 readout=last dtype=f64", &f);
    for (int k = 0; k < f.count; k++) {
        char *last = f.name[k] + strlen(f.name[k]) - 1, kept = *last;
        *last = 'Q';
        ck_assert_int_eq(load_altered(&f, NULL, &m), ROB_EFORMAT);
        *last = kept;
        rob_tensor *good = f.tensor[k];
        GOOD(rob_priv_tensor_create(&ctx->memory, ROB_F64, rob_priv_shape2(5, 5),
                                    &f.tensor[k]));
        ck_assert_int_eq(load_altered(&f, NULL, &m), ROB_EFORMAT);
        rob_priv_tensor_free(f.tensor[k]);
        f.tensor[k] = good;
    }
    GOOD(rob_priv_tensor_create(&ctx->memory, ROB_F64, rob_priv_shape1(2),
                                &f.tensor[f.count]));
    strcpy(f.name[f.count++], "attention.temperature");
    ck_assert_int_eq(load_altered(&f, NULL, &m), ROB_EFORMAT);
    SAYS("attention.temperature");
    strcpy(f.name[f.count - 1], "lstm.weight_ih_l0_reverse"); /* one of eight */
    ck_assert_int_eq(load_altered(&f, NULL, &m), ROB_EFORMAT);
    strcpy(f.name[f.count - 1], "lstm.weight_hr_l0");
    ck_assert_int_eq(load_altered(&f, NULL, &m), ROB_EUNSUPPORTED);
    SAYS("projections");
    strcpy(f.name[f.count - 1], "robust.check.x");
    ck_assert_int_eq(load_altered(&f, NULL, &m), ROB_EFORMAT);
    SAYS("robust.check.y");
    forget(&f);
}
END_TEST

/* The fixtures' weights under every other recipe: the witness sees each of them. */
START_TEST(the_witness_catches_a_wrong_recipe)
{
    static const struct {
        int fixture;
        const char *recipe;
    } wrong[] = {
        { 0, "rnn nonlinearity=relu readout=last" },
        { 0, "rnn nonlinearity=tanh readout=mean" },
        { 0, "rnn nonlinearity=tanh readout=last input=(x-0.001)/1" },
        { 1, "rnn nonlinearity=tanh readout=mean" },
        { 2, "lstm readout=mean" },
        { 2, "lstm readout=last input=x/1.001" },
        { 3, "lstm readout=last" },
        { 3, "lstm readout=last input=(x-0.1)/0.7001" },
        { 4, "lstm readout=mean" },
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        char path[96];
        rob_model *m;
        fixture_path(wrong[k].fixture, path);
        ck_assert_msg(rob_model_load(ctx, path, wrong[k].recipe, &m) == ROB_EFORMAT,
                      "%s", wrong[k].recipe);
        ck_assert_ptr_null(m);
        SAYS("witness");
    }
}
END_TEST

START_TEST(every_truncation_of_a_model_is_refused)
{
    rob_bytes bytes;
    rob_model *m;
    char path[96];
    fixture_path(1, path);
    GOOD(rob_priv_io_read(ctx, path, 1 << 20, &bytes));
    for (int64_t k = 0; k < bytes.count; k++) {
        ck_assert_int_eq(rob_model_load_bytes(ctx, bytes.at, k, NULL, &m), ROB_EFORMAT);
        ck_assert_ptr_null(m);
    }
    GOOD(rob_model_load_bytes(ctx, bytes.at, bytes.count, NULL, &m));
    rob_model_free(m);
    rob_priv_io_release(&ctx->memory, &bytes);
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

/* The n-th allocation fails, for all n: ROB_EMEMORY, nothing leaks, *out is NULL. */
static void sweep(rob_status (*job)(rob_ctx *c, rob_model **out))
{
    for (int64_t n = 0;; n++) {
        budget b = { INT64_MAX, 0 };
        rob_ctx *poor;
        rob_model *m = (rob_model *)&b;
        ck_assert_int_eq(rob_ctx_create_with(spend, give_back, &b, &poor), ROB_OK);
        int64_t before = b.live;
        b.left = n;
        rob_status status = job(poor, &m);
        if (status == ROB_OK) rob_model_free(m);
        else ck_assert_ptr_null(m);
        ck_assert_msg(status == ROB_OK || status == ROB_EMEMORY, "n %d: %d %s", (int)n,
                      status, rob_ctx_error(poor));
        ck_assert_msg(b.live == before, "n %d leaks %d", (int)n,
                      (int)(b.live - before));
        rob_ctx_free(poor);
        ck_assert_int_eq(b.live, 0);
        if (status == ROB_OK) break;
        ck_assert_int_lt(n, 5000);
    }
}

static rob_status load_job(rob_ctx *c, rob_model **out)
{
    return rob_model_load(c, "tests/data/model_lstm_two.safetensors", NULL, out);
}

static rob_status create_job(rob_ctx *c, rob_model **out)
{
    return rob_model_create(c, RECIPES[1], out);
}

static rob_status save_job(rob_ctx *c, rob_model **out)
{
    double bias[4] = { 1, 2, 3, 4 };
    rob_model *m;
    char path[64];
    *out = NULL;
    rob_status status = rob_model_create(c, RECIPES[1], &m);
    if (status < ROB_OK) return status;
    temporary(path);
    status = rob_model_save(c, m, path);
    unlink(path);
    if (status == ROB_OK) status = rob_model_describe(c, m, NULL, 0, NULL);
    if (status == ROB_OK) status = rob_model_with(c, m, "fc.bias", bias, 4, out);
    rob_model_free(m);
    return status;
}

START_TEST(failing_memory_is_survived)
{
    sweep(load_job);
    sweep(create_job);
    sweep(save_job);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recipe");
    TCase *c = tcase_create("recipe");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, recipes_print_what_they_parse);
    tcase_add_test(c, wrong_recipes_name_the_word);
    tcase_add_test(c, create_draws_as_pytorch_does);
    tcase_add_test(c, saved_models_come_back);
    tcase_add_test(c, nested_names_and_slashes_are_found);
    tcase_add_test(c, files_that_do_not_fit_say_why);
    tcase_add_test(c, missing_and_extra_tensors_are_named);
    tcase_add_test(c, the_witness_catches_a_wrong_recipe);
    tcase_add_test(c, every_truncation_of_a_model_is_refused);
    tcase_add_test(c, failing_memory_is_survived);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
