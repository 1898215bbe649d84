/* memory.c -- the n-th allocation of a public call fails, for every n: the call answers
 * ROB_EMEMORY (or does without), its outputs are untouched, a constructor's *out is
 * NULL, nothing leaks, and the same call succeeds afterwards.
 *
 * Every n in the long run; otherwise steps that grow by a fiftieth of n.
 */
#include "check/harness.h"
#include "core/core.h"

#include <robust.h>

#include <math.h>

/* ---- an allocator that fails once ---------------------------------------------------- */

static atomic_llong blocks, countdown; /* the allocator is called by workers too */

static void *failing_malloc(void *user, int64_t bytes)
{
    (void)user;
    if (atomic_fetch_sub(&countdown, 1) == 0) return NULL;
    atomic_fetch_add(&blocks, 1);
    return malloc((size_t)bytes);
}

static void counted_free(void *user, void *p)
{
    (void)user;
    atomic_fetch_sub(&blocks, 1);
    free(p);
}

/* ---- the scene ----------------------------------------------------------------------- */

enum { STEPS = 4, SERIES = 3, OUT = 16 };
#define RECIPE    "lstm features=1 hidden=2 outputs=2 readout=last"
#define UNTOUCHED (-77.0)

typedef struct scene {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    rob_attack *attack;
    rob_bound *bound;
    rob_data *data;
    rob_trainer *trainer;
    rob_tape *tape;
    rob_var x, y, dy;
    void *made; /* what a constructor under trial has built */
    double out[OUT];
    int64_t count;
} scene;

static const double series[STEPS] = { 0.3, -0.2, 0.7, 0.1 };
static char model_path[] = "/tmp/robust-memory-XXXXXX";

static void set_tape(scene *s)
{
    static const int64_t shape[1] = { 3 };
    static const double start[3] = { 0.1, 0.2, 0.3 };
    rob_var sum;
    ck_assert_int_eq(rob_tape_create(s->ctx, ROB_F64, &s->tape), ROB_OK);
    ck_assert_int_eq(rob_tape_input(s->ctx, s->tape, shape, 1, &s->x), ROB_OK);
    ck_assert_int_eq(rob_tape_apply(s->ctx, s->tape, "square", &s->x, 1, &sum), ROB_OK);
    ck_assert_int_eq(rob_tape_apply(s->ctx, s->tape, "tanh", &sum, 1, &s->y), ROB_OK);
    ck_assert_int_eq(rob_tape_set(s->ctx, s->tape, s->x, start, 3), ROB_OK);
}

static void set_scene(scene *s)
{
    rob_query *q;
    countdown = -1;
    blocks = 0;
    *s = (scene){ .made = NULL };
    for (int i = 0; i < OUT; i++) s->out[i] = UNTOUCHED;
    ck_assert_int_eq(rob_ctx_create_with(failing_malloc, counted_free, NULL, &s->ctx),
                     ROB_OK);
    ck_assert_int_eq(rob_ctx_set_threads(s->ctx, 2), ROB_OK);
    ck_assert_int_eq(rob_model_create(s->ctx, RECIPE, &s->model), ROB_OK);
    ck_assert_int_eq(rob_query_create(s->ctx, s->model, &q), ROB_OK);
    s->query = q;
    for (int i = 0; i < SERIES; i++)
        ck_assert_int_eq(rob_query_add(s->ctx, q, series, STEPS - i, -1), ROB_OK);
    ck_assert_int_eq(rob_query_set_ball(s->ctx, q, ROB_NORM_L2, 4), ROB_OK);
    ck_assert_int_eq(rob_attack_create(s->ctx, "pgd", &s->attack), ROB_OK);
    ck_assert_int_eq(rob_bound_create(s->ctx, "crown", &s->bound), ROB_OK);
    ck_assert_int_eq(rob_data_create(s->ctx, &s->data), ROB_OK);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(rob_data_add(s->ctx, s->data, series, STEPS, 1, i % 2),
                         ROB_OK);
    ck_assert_int_eq(rob_trainer_create(s->ctx, &s->trainer), ROB_OK);
    ck_assert_int_eq(rob_trainer_set(s->ctx, s->trainer, "epochs", 1), ROB_OK);
    set_tape(s);
}

static void clear_scene(scene *s)
{
    countdown = -1;
    rob_tape_free(s->tape);
    rob_trainer_free(s->trainer);
    rob_data_free(s->data);
    rob_bound_free(s->bound);
    rob_attack_free(s->attack);
    rob_query_free(s->query);
    rob_model_free(s->model);
    rob_ctx_free(s->ctx);
}

/* ---- the calls under trial ----------------------------------------------------------- */

#define MAKES(noun, ...)                                                               \
    static rob_status make_##noun(scene *s)                                            \
    {                                                                                  \
        rob_##noun *made = (rob_##noun *)s;                                            \
        rob_status status = __VA_ARGS__;                                               \
        if (status < ROB_OK) ck_assert_ptr_null(made);                                 \
        rob_##noun##_free(made);                                                       \
        return status;                                                                 \
    }

MAKES(ctx, rob_ctx_create_with(failing_malloc, counted_free, NULL, &made))
MAKES(model, rob_model_create(s->ctx, RECIPE, &made))
MAKES(query, rob_query_create(s->ctx, s->model, &made))
MAKES(attack, rob_attack_create(s->ctx, "auto", &made))
MAKES(bound, rob_bound_create(s->ctx, "auto", &made))
MAKES(trainer, rob_trainer_create(s->ctx, &made))
MAKES(tape, rob_tape_create(s->ctx, ROB_F64, &made))
MAKES(data, rob_data_split(s->ctx, s->data, 0.5, &made))

static rob_status load_model(scene *s)
{
    rob_model *made = (rob_model *)s;
    rob_status status = rob_model_load(s->ctx, model_path, NULL, &made);
    if (status < ROB_OK) ck_assert_ptr_null(made);
    rob_model_free(made);
    return status;
}

static rob_status save_model(scene *s)
{
    return rob_model_save(s->ctx, s->model, model_path);
}

static rob_status change_model(scene *s)
{
    static const double bias[2] = { 1, 2 };
    rob_model *made = (rob_model *)s;
    rob_status status = rob_model_with(s->ctx, s->model, "fc.bias", bias, 2, &made);
    if (status < ROB_OK) ck_assert_ptr_null(made);
    rob_model_free(made);
    return status;
}

static rob_status train(scene *s)
{
    rob_model *made = (rob_model *)s;
    rob_status status =
        rob_trainer_run(s->ctx, s->trainer, s->model, s->data, NULL, &made);
    if (status < ROB_OK) ck_assert_ptr_null(made);
    rob_model_free(made);
    return status;
}

static rob_status predict(scene *s)
{
    return rob_model_predict(s->ctx, s->model, series, STEPS, s->out, OUT);
}

static rob_status simulate(scene *s)
{
    return rob_data_simulate(s->ctx, s->data, "transits", 4);
}

static rob_status add_series(scene *s)
{
    return rob_query_add(s->ctx, s->query, series, STEPS, -1);
}

static rob_status add_data(scene *s)
{
    return rob_query_add_data(s->ctx, s->query, s->data, 0, 3);
}

static rob_status distance(scene *s)
{
    return rob_attack_distance(s->ctx, s->attack, s->query, s->out, OUT);
}

static rob_status attacked_margin(scene *s)
{
    return rob_attack_margin(s->ctx, s->attack, s->query, s->out, OUT);
}

static rob_status radius(scene *s)
{
    return rob_bound_radius(s->ctx, s->bound, s->query, s->out, OUT);
}

static rob_status proved_margin(scene *s)
{
    return rob_bound_margin(s->ctx, s->bound, s->query, s->out, OUT);
}

static rob_status run_tape(scene *s)
{
    rob_status status = rob_tape_run(s->ctx, s->tape, &s->y, 1);
    if (status < ROB_OK) return status;
    return rob_tape_get(s->ctx, s->tape, s->y, s->out, OUT, &s->count);
}

static rob_status record(scene *s)
{
    rob_var out = -5;
    rob_status status = rob_tape_vjp(s->ctx, s->tape, s->y, s->x, s->y, &out);
    if (status < ROB_OK) ck_assert_int_eq(out, -5);
    return status;
}

/* ---- the sweep ----------------------------------------------------------------------- */

static const struct trial {
    const char *name;
    rob_status (*call)(scene *s);
} trials[] = {
    { "ctx_create", make_ctx },      { "model_create", make_model },
    { "query_create", make_query },  { "attack_create", make_attack },
    { "bound_create", make_bound },  { "trainer_create", make_trainer },
    { "tape_create", make_tape },    { "data_split", make_data },
    { "model_save", save_model },    { "model_load", load_model },
    { "model_with", change_model },  { "trainer_run", train },
    { "model_predict", predict },    { "data_simulate", simulate },
    { "query_add", add_series },     { "query_add_data", add_data },
    { "attack_distance", distance }, { "attack_margin", attacked_margin },
    { "bound_radius", radius },      { "bound_margin", proved_margin },
    { "tape_run", run_tape },        { "tape_vjp", record },
};

static void check_failure(const struct trial *t, scene *s, int64_t n)
{
    ck_assert_msg(rob_ctx_error(s->ctx)[0] || t->call == make_ctx,
                  "%s, allocation %d: no error line", t->name, (int)n);
    for (int i = 0; i < OUT; i++)
        ck_assert_msg(s->out[i] == UNTOUCHED, "%s, allocation %d: output %d touched",
                      t->name, (int)n, i);
    countdown = -1;
    rob_status again = t->call(s);
    ck_assert_msg(again == ROB_OK, "%s, after allocation %d failed: %s", t->name,
                  (int)n, rob_ctx_error(s->ctx));
}

/* False when the call needs no more than n allocations. */
static bool fail_at(const struct trial *t, int64_t n)
{
    scene s;
    set_scene(&s);
    countdown = n;
    rob_status status = t->call(&s);
    bool failed = countdown < 0;
    ck_assert_msg(status == ROB_OK || (failed && status == ROB_EMEMORY),
                  "%s, allocation %d: %s: %s", t->name, (int)n,
                  rob_status_string(status), rob_ctx_error(s.ctx));
    if (status == ROB_EMEMORY) check_failure(t, &s, n);
    clear_scene(&s);
    ck_assert_msg(blocks == 0, "%s, allocation %d: %d blocks leak", t->name, (int)n,
                  (int)blocks);
    return failed;
}

START_TEST(every_failing_allocation_is_survived)
{
    int64_t n = 0;
    close(mkstemp(model_path));
    scene s;
    set_scene(&s);
    ck_assert_int_eq(save_model(&s), ROB_OK);
    clear_scene(&s);
    while (fail_at(&trials[_i], n)) n += 1 + (rob_long() ? 0 : n / 50);
    unlink(model_path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("memory");
    TCase *c = tcase_create("memory");
    tcase_add_loop_test(c, every_failing_allocation_is_survived, 0,
                        (int)COUNT_OF(trials));
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
