/* loading.c -- safetensors files read in pieces: the same tensors as from bytes, and a
 * model's weights in memory once, with a witness too.
 */
#include "check/harness.h"
#include "check/models.h"
#include "io/io.h"
#include "model/model.h"
#include "run/run.h"

#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED ROB_TSAN
#endif

static rob_ctx *ctx;

static void set_up(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void tear_down(void) { rob_ctx_free(ctx); }

static void temporary(char path[64])
{
    strcpy(path, "/tmp/robust-load-XXXXXX");
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
}

START_TEST(a_file_gives_the_tensors_its_bytes_give)
{
    static const char *const files[] = { "model_gru", "model_lstm_two",
                                         "model_rnn_tanh" };
    char path[64];
    rob_bytes bytes;
    rob_safetensors a, b;
    rob_tensor *x, *y;
    for (int k = 0; k < 3; k++) {
        snprintf(path, sizeof path, "tests/data/%s.safetensors", files[k]);
        ck_assert_int_eq(rob_priv_io_read(ctx, path, 1 << 20, &bytes), ROB_OK);
        ck_assert_int_eq(
            rob_priv_safetensors_parse(ctx, bytes.at, bytes.count, path, &a), ROB_OK);
        ck_assert_int_eq(rob_priv_safetensors_open(ctx, path, &b), ROB_OK);
        ck_assert(a.entries == b.entries && a.bytes == b.bytes);
        for (int64_t i = 0; i < a.entries; i++) {
            ck_assert_int_eq(rob_priv_safetensors_tensor(ctx, &a, &a.entry[i], &x), 0);
            ck_assert_int_eq(rob_priv_safetensors_tensor(ctx, &b, &b.entry[i], &y), 0);
            ck_assert_mem_eq(x->data, y->data,
                             (size_t)(a.entry[i].end - a.entry[i].begin));
            rob_priv_tensor_free(x);
            rob_priv_tensor_free(y);
        }
        rob_priv_safetensors_clear(&a);
        rob_priv_safetensors_clear(&b);
        rob_priv_io_release(&ctx->memory, &bytes);
    }
    ck_assert_int_eq(rob_priv_safetensors_open(ctx, "/no/such", &b), ROB_EIO);
    ck_assert_int_eq(rob_priv_safetensors_open(ctx, "/tmp", &b), ROB_EIO);
    ck_assert_int_eq(rob_priv_safetensors_open(ctx, "/dev/null", &b), ROB_EFORMAT);
    ck_assert_int_eq(rob_priv_safetensors_open(ctx, NULL, &b), ROB_EARGUMENT);
}
END_TEST

/* Half precision is widened in place: the bytes lie in the lower half of the tensor. */
START_TEST(halves_are_widened_where_they_stand)
{
    char path[64];
    const char *header = "{\"h\":{\"dtype\":\"F16\",\"shape\":[4],"
                         "\"data_offsets\":[0,8]}}";
    uint8_t text[128] = { 0 };
    const float want[] = { 1.0f, -2.0f, 0.5f, 65504.0f };
    const uint8_t half[] = { 0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38, 0xff, 0x7b };
    rob_safetensors s;
    rob_tensor *t;
    text[0] = (uint8_t)strlen(header);
    memcpy(text + 8, header, strlen(header));
    memcpy(text + 8 + strlen(header), half, 8);
    const rob_bytes part = { text, (int64_t)strlen(header) + 16 };
    temporary(path);
    ck_assert_int_eq(rob_priv_io_write(ctx, path, &part, 1), ROB_OK);
    ck_assert_int_eq(rob_priv_safetensors_open(ctx, path, &s), ROB_OK);
    ck_assert_int_eq(rob_priv_safetensors_tensor(ctx, &s, &s.entry[0], &t), ROB_OK);
    ck_assert_mem_eq(t->data, want, sizeof want);
    rob_priv_tensor_free(t);
    /* a file cut short while it is open is an error, not a signal */
    ck_assert_int_eq(truncate(path, part.count - 3), 0);
    ck_assert_int_eq(rob_priv_safetensors_tensor(ctx, &s, &s.entry[0], &t), ROB_EIO);
    rob_priv_safetensors_clear(&s);
    unlink(path);
}
END_TEST

typedef struct meter {
    int64_t now, most;
} meter;

static void *measured(void *user, int64_t bytes)
{
    meter *m = user;
    int64_t *p = malloc((size_t)bytes + 16);
    if (p == NULL) return NULL;
    p[0] = bytes;
    m->now += bytes;
    if (m->now > m->most) m->most = m->now;
    return p + 2;
}

static void unmeasured(void *user, void *p)
{
    if (p == NULL) return;
    ((meter *)user)->now -= ((int64_t *)p)[-2];
    free((int64_t *)p - 2);
}

static int64_t resident_peak(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1024 * (int64_t)usage.ru_maxrss;
}

/* An LSTM of 100 MB, all zeros in a file of holes. The sanitizers' shadow counts as
 * resident, so there only the allocator is asked. */
START_TEST(a_large_file_costs_its_weights_once)
{
    enum { H = 2500 };
    const int64_t weights = 4 * (int64_t)(4 * H * (2 + H + 2) + 2 * H + 2);
    char path[64], header[1024];
    uint64_t length;
    int64_t at = 0;
    meter m = { 0, 0 };
    rob_ctx *own;
    rob_model *model;
    static const struct {
        const char *name, *shape;
        int64_t count;
    } part[] = {
        { "rnn.weight_ih_l0", "10000,2", 4 * H * 2 },
        { "rnn.weight_hh_l0", "10000,2500", 4 * H * H },
        { "rnn.bias_ih_l0", "10000", 4 * H },
        { "rnn.bias_hh_l0", "10000", 4 * H },
        { "fc.weight", "2,2500", 2 * H },
        { "fc.bias", "2", 2 },
    };
    int used = 0;
    for (int k = 0; k < 6; k++, at += 4 * part[k - 1].count)
        used += snprintf(header + used, sizeof header - (size_t)used,
                         "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],"
                         "\"data_offsets\":[%lld,%lld]}",
                         k == 0 ? '{' : ',', part[k].name, part[k].shape, (long long)at,
                         (long long)(at + 4 * part[k].count));
    header[used++] = '}';
    length = (uint64_t)used;
    ck_assert_int_eq(at, weights);
    temporary(path);
    const rob_bytes parts[] = { { (uint8_t *)&length, 8 },
                                { (uint8_t *)header, used } };
    ck_assert_int_eq(rob_priv_io_write(ctx, path, parts, 2), ROB_OK);
    ck_assert_int_eq(truncate(path, 8 + used + weights), 0);
    ck_assert_int_eq(rob_ctx_create_with(measured, unmeasured, &m, &own), ROB_OK);
    const int64_t before = resident_peak();
    ck_assert_int_eq(rob_model_load(own, path, "lstm readout=last", &model),
                     ROB_OK);
    const int64_t resident = resident_peak() - before;
    printf("peak %.3f of the weights allocated, %.3f resident\n",
           (double)m.most / (double)weights, (double)resident / (double)weights);
    ck_assert(m.most >= weights && 10 * m.most <= 11 * weights);
    if (!SANITIZED) ck_assert(10 * resident <= 11 * weights);
    rob_model_free(model);
    rob_ctx_free(own);
    ck_assert_int_eq(m.now, 0);
    unlink(path);
}
END_TEST

/* Written by another process, whose memory is its own: an LSTM of 100 MB, random, with
 * its witness. */
static void write_large(const char *path)
{
    pid_t child = fork();
    int how = 1;
    ck_assert(child >= 0);
    if (child == 0) {
        rob_ctx *own;
        rob_model *m;
        bool good = rob_ctx_create(&own) == ROB_OK
                    && rob_model_create(own, "lstm hidden=2500 features=2 outputs=2 "
                                             "readout=last", &m) == ROB_OK
                    && rob_model_save(own, m, path) == ROB_OK;
        _exit(!good);
    }
    ck_assert(waitpid(child, &how, 0) == child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "the file was not written");
}

/* A thousand of its weights become 2 to 3 in size. */
static void spoil(const char *path)
{
    uint8_t bytes[4096];
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert(fseek(file, 64 << 20, SEEK_SET) == 0);
    ck_assert(fread(bytes, 1, sizeof bytes, file) == sizeof bytes);
    for (size_t k = 3; k < sizeof bytes; k += 4) bytes[k] = (uint8_t)(0x40 | (k & 0x80));
    ck_assert(fseek(file, 64 << 20, SEEK_SET) == 0);
    ck_assert(fwrite(bytes, 1, sizeof bytes, file) == sizeof bytes);
    ck_assert(fclose(file) == 0);
}

START_TEST(a_witness_costs_no_second_copy)
{
    enum { H = 2500 };
    const int64_t weights = 4 * (int64_t)(4 * H * (2 + H + 2) + 2 * H + 2);
    char path[64];
    meter m = { 0, 0 };
    rob_ctx *own;
    rob_model *model;
    temporary(path);
    write_large(path);
    ck_assert_int_eq(rob_ctx_create_with(measured, unmeasured, &m, &own), ROB_OK);
    const int64_t before = resident_peak();
    ck_assert_msg(rob_model_load(own, path, NULL, &model) == ROB_OK, "%s",
                  rob_ctx_error(own));
    const int64_t resident = resident_peak() - before;
    printf("with a witness: peak %.3f of the weights allocated, %.3f resident\n",
           (double)m.most / (double)weights, (double)resident / (double)weights);
    ck_assert(m.most >= weights && 10 * m.most <= 11 * weights);
    if (!SANITIZED) ck_assert(10 * resident <= 11 * weights);
    rob_model_free(model);
    /* and it is looked at: other weights do not pass */
    spoil(path);
    ck_assert_int_eq(rob_model_load(own, path, NULL, &model), ROB_EFORMAT);
    ck_assert_ptr_nonnull(strstr(rob_ctx_error(own), "witness"));
    rob_ctx_free(own);
    ck_assert_int_eq(m.now, 0);
    unlink(path);
}
END_TEST

static const char *const NETS[] = {
    "lstm hidden=64 layers=2 readout=last",
    "gru hidden=80 readout=mean bidirectional=yes mlp=64 activation=relu",
    "rnn nonlinearity=tanh hidden=96 readout=every steps=12 outputs=24",
    "lstm hidden=64 readout=max conv=c channels=128 kernel=5 conv_activation=relu "
    "dtype=f64",
    "transformer hidden=64 heads=4 feedforward=128 activation=gelu norm=first "
    "readout=mean positions=learned longest=200",
};

static void run_plan(const rob_plan *plan, rob_id in, rob_id out, const double *x,
                     double *y)
{
    rob_work *work;
    ck_assert_int_eq(rob_priv_work_create(ctx, plan, &work), ROB_OK);
    rob_priv_work_set(work, in, x);
    rob_priv_run(work, 0);
    rob_priv_work_get(work, out, y);
    rob_priv_work_free(work);
}

/* Sums of K <= 640 terms, in up to 24 layers and steps after another whose errors at
 * most add up here (weights are of size 1/sqrt(K)): 24 * 640/4 eps = 1e-12. */
START_TEST(a_lean_plan_gives_the_numbers_of_a_packed_one)
{
    enum { STEPS = 12, ROWS = 3, D = 20 };
    double x[STEPS * ROWS * D], want[ROWS * 24], got[ROWS * 24];
    char recipe[256];
    rob_model *model;
    rob_graph *g;
    rob_plan *packed, *lean;
    snprintf(recipe, sizeof recipe, "%s features=%d%s", NETS[_i], (int)D,
             strstr(NETS[_i], "outputs") ? "" : " outputs=24");
    ck_assert_msg(rob_model_create(ctx, recipe, &model) == ROB_OK, "%s",
                  rob_ctx_error(ctx));
    rob_random random = rob_priv_random(3, (uint64_t)_i);
    for (int k = 0; k < STEPS * ROWS * D; k++) x[k] = rob_priv_normal(&random);
    ck_assert_int_eq(rob_priv_graph_create(ctx, &g), ROB_OK);
    rob_id in = rob_priv_input(g, rob_priv_shape3(STEPS, ROWS, D));
    rob_id out = rob_priv_model_emit(model, g, in, ROB_NONE, NULL);
    ck_assert_int_eq(
        rob_priv_plan_create(ctx, g, ROB_F64, &out, NULL, 1, &packed), ROB_OK);
    ck_assert_int_eq(rob_priv_plan_create_lean(ctx, g, &out, 1, &lean), ROB_OK);
    run_plan(packed, in, out, x, want);
    run_plan(lean, in, out, x, got);
    ck_assert_mem_ne(want, got, sizeof want); /* another order of sums: it was used */
    for (int k = 0; k < ROWS * 24; k++) ck_assert_double_eq_tol(got[k], want[k], 1e-12);
    rob_priv_plan_free(packed);
    rob_priv_plan_free(lean);
    rob_priv_graph_free(g);
    rob_model_free(model);
}
END_TEST

START_TEST(a_lean_plan_without_memory_leaves_nothing)
{
    counting c = { .left = -1 };
    rob_ctx *own;
    rob_model *model;
    rob_graph *g;
    rob_status status;
    int64_t n = 0;
    ck_assert_int_eq(rob_ctx_create_with(counting_take, counting_drop, &c, &own),
                     ROB_OK);
    ck_assert_int_eq(rob_model_create(own, "gru hidden=64 features=2 outputs=2 "
                                           "readout=mean", &model), ROB_OK);
    ck_assert_int_eq(rob_priv_graph_create(own, &g), ROB_OK);
    rob_id in = rob_priv_input(g, rob_priv_shape3(5, 1, 2));
    rob_id out = rob_priv_model_emit(model, g, in, ROB_NONE, NULL);
    const int64_t live = c.live;
    do {
        rob_plan *plan;
        c.left = n++;
        status = rob_priv_plan_create_lean(own, g, &out, 1, &plan);
        ck_assert(status == ROB_OK || status == ROB_EMEMORY);
        rob_priv_plan_free(plan);
        ck_assert_int_eq(c.live, live);
    } while (status != ROB_OK);
    ck_assert_int_gt(n, 20);
    c.left = -1;
    rob_priv_graph_free(g);
    rob_model_free(model);
    rob_ctx_free(own);
    ck_assert_int_eq(c.live, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loading");
    TCase *c = tcase_create("loading");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, a_file_gives_the_tensors_its_bytes_give);
    tcase_add_test(c, halves_are_widened_where_they_stand);
    tcase_add_test(c, a_large_file_costs_its_weights_once);
    tcase_add_test(c, a_witness_costs_no_second_copy);
    tcase_add_loop_test(c, a_lean_plan_gives_the_numbers_of_a_packed_one, 0,
                        (int)(sizeof NETS / sizeof *NETS));
    tcase_add_test(c, a_lean_plan_without_memory_leaves_nothing);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
