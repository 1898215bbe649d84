/* ctx.c -- the context from outside: errors, allocator, cancel, progress, deadline,
 * fork. */
#include "check/harness.h"
#include "core/core.h"

#include <robust.h>

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static rob_ctx *make_ctx(void)
{
    rob_ctx *ctx = NULL;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_ptr_nonnull(ctx);
    return ctx;
}

/* ---- creation and errors --------------------------------------------------------- */

static int64_t blocks, countdown;

static void *failing_malloc(void *user, int64_t bytes)
{
    (void)user;
    if (countdown-- == 0) return NULL;
    blocks++;
    return malloc((size_t)bytes);
}

static void counted_free(void *user, void *p)
{
    (void)user;
    ck_assert_ptr_nonnull(p);
    blocks--;
    free(p);
}

START_TEST(creation_takes_from_the_given_allocator_and_survives_its_failure)
{
    rob_ctx *ctx = (rob_ctx *)&blocks;
    blocks = countdown = 0;
    ck_assert_int_eq(rob_ctx_create_with(failing_malloc, counted_free, NULL, &ctx),
                     ROB_EMEMORY);
    ck_assert_ptr_null(ctx);
    countdown = -1;
    ck_assert_int_eq(rob_ctx_create_with(failing_malloc, counted_free, NULL, &ctx),
                     ROB_OK);
    ck_assert_int_eq(blocks, 1);
    rob_ctx_free(ctx);
    ck_assert_int_eq(blocks, 0);
    ck_assert_int_eq(rob_ctx_create_with(NULL, counted_free, NULL, &ctx),
                     ROB_EARGUMENT);
    ck_assert_ptr_null(ctx);
    ck_assert_int_eq(rob_ctx_create(NULL), ROB_EARGUMENT);
}
END_TEST

START_TEST(null_contexts_are_answered)
{
    rob_ctx_free(NULL);
    rob_ctx_cancel(NULL);
    ck_assert_str_ne(rob_ctx_error(NULL), "");
    ck_assert_int_eq(rob_ctx_set_seed(NULL, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_ctx_set_threads(NULL, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_ctx_set_memory(NULL, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_ctx_set_deadline(NULL, 1), ROB_EARGUMENT);
    ck_assert_int_eq(rob_ctx_set_text(NULL, "isa", "auto"), ROB_EARGUMENT);
    ck_assert_int_eq(rob_ctx_set_progress(NULL, NULL, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_ctx_set_log(NULL, NULL, NULL), ROB_EARGUMENT);
}
END_TEST

static void refuse(rob_ctx *ctx, rob_status status, rob_status want, const char *value,
                   const char *allowed)
{
    const char *line = rob_ctx_error(ctx);
    ck_assert_int_eq(status, want);
    ck_assert_msg(strstr(line, value) && strstr(line, allowed) && !strchr(line, '\n'),
                  "'%s' does not name %s and %s", line, value, allowed);
}

START_TEST(errors_name_the_value_and_what_is_allowed)
{
    rob_ctx *ctx = make_ctx();
    ck_assert_str_eq(rob_ctx_error(ctx), "");
    refuse(ctx, rob_ctx_set_threads(ctx, -2), ROB_EARGUMENT, "-2", "1024");
    refuse(ctx, rob_ctx_set_threads(ctx, 5000), ROB_EARGUMENT, "5000", "1024");
    refuse(ctx, rob_ctx_set_memory(ctx, -7), ROB_EARGUMENT, "-7", "0");
    refuse(ctx, rob_ctx_set_deadline(ctx, -0.5), ROB_EDOMAIN, "-0.5", "0");
    refuse(ctx, rob_ctx_set_deadline(ctx, NAN), ROB_EDOMAIN, "nan", "0");
    refuse(ctx, rob_ctx_set_text(ctx, "issa", "auto"), ROB_EARGUMENT, "issa", "isa");
    refuse(ctx, rob_ctx_set_text(ctx, "isa", "sse"), ROB_EARGUMENT, "sse", "generic");
    refuse(ctx, rob_ctx_set_text(ctx, NULL, "sse"), ROB_EARGUMENT, "name", "NULL");
    refuse(ctx, rob_ctx_set_text(ctx, "isa", NULL), ROB_EARGUMENT, "value", "NULL");
    ck_assert_int_eq(ctx->threads, 1);
    ck_assert_int_eq(ctx->memory_cap, 0);
    ck_assert_int_eq(rob_ctx_set_threads(ctx, 0), ROB_OK);
    ck_assert_int_ge(ctx->threads, 1);
    rob_ctx_free(ctx);
}
END_TEST

START_TEST(every_status_has_its_own_name_and_every_integer_some)
{
    static const rob_status status[] = {
        ROB_OK,        ROB_STOPPED,  ROB_EMEMORY,      ROB_EARGUMENT,
        ROB_ESHAPE,    ROB_EDOMAIN,  ROB_EIO,          ROB_EFORMAT,
        ROB_ECALLBACK, ROB_ENUMERIC, ROB_EUNSUPPORTED, ROB_EINTERNAL,
    };
    for (int64_t i = 0; i < COUNT_OF(status); i++)
        for (int64_t j = 0; j < i; j++)
            ck_assert_str_ne(rob_status_string(status[i]),
                             rob_status_string(status[j]));
    ck_assert_str_eq(rob_status_string(12345), rob_status_string(INT32_MIN));
    ck_assert_int_eq(strncmp(rob_build_info(), "librobust ", 10), 0);
    ck_assert_ptr_nonnull(strstr(rob_build_info(), rob_version()));
}
END_TEST

START_TEST(kernels_can_be_chosen_and_chosen_back)
{
    rob_ctx *ctx = make_ctx();
    int32_t best = ctx->isa;
    ck_assert_int_eq(rob_ctx_set_text(ctx, "isa", "generic"), ROB_OK);
    ck_assert_int_eq(ctx->isa, ROB_ISA_GENERIC);
    static const char *const name[] = { "generic", "avx2", "avx512" };
    for (int32_t isa = 0; isa < ROB_ISA_COUNT; isa++) {
        int32_t before = ctx->isa;
        rob_status status = rob_ctx_set_text(ctx, "isa", name[isa]);
        ck_assert_int_eq(status, isa <= best ? ROB_OK : ROB_EUNSUPPORTED);
        ck_assert_int_eq(ctx->isa, isa <= best ? isa : before);
    }
    ck_assert_int_eq(rob_ctx_set_text(ctx, "isa", "auto"), ROB_OK);
    ck_assert_int_eq(ctx->isa, best);
    rob_ctx_free(ctx);
}
END_TEST

/* ---- stopping -------------------------------------------------------------------- */

/* What a long call does: tell its progress until it is done or stopped. */
static rob_status long_call(rob_ctx *ctx, int64_t steps, int64_t *done)
{
    rob_status status = ROB_OK;
    for (*done = 0; *done < steps; ++*done) {
        TRY(rob_priv_progress(ctx, "counting", *done, steps));
        if (status == ROB_STOPPED) break;
    }
done:
    return rob_priv_leave(ctx, status);
}

static rob_ctx *handled;

static void cancel_in_handler(int signo)
{
    (void)signo;
    rob_ctx_cancel(handled);
}

START_TEST(a_signal_handler_cancels_the_running_call_and_only_that)
{
    int64_t done;
    handled = make_ctx();
    struct sigaction action = { .sa_handler = cancel_in_handler };
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    ck_assert_int_eq(long_call(handled, INT64_MAX, &done), ROB_STOPPED);
    ck_assert_int_gt(done, 0);
    ck_assert_int_eq(long_call(handled, 10, &done), ROB_OK);
    ck_assert_int_eq(done, 10);
    rob_ctx_cancel(handled);
    ck_assert_int_eq(long_call(handled, 10, &done), ROB_STOPPED);
    ck_assert_int_eq(done, 0);
    ck_assert_int_eq(long_call(handled, 10, &done), ROB_OK);
    rob_ctx_free(handled);
}
END_TEST

static void *cancel_in_thread(void *ctx)
{
    rob_ctx_cancel(ctx);
    return NULL;
}

START_TEST(another_thread_cancels)
{
    int64_t done;
    pthread_t thread;
    rob_ctx *ctx = make_ctx();
    pthread_create(&thread, NULL, cancel_in_thread, ctx);
    ck_assert_int_eq(long_call(ctx, INT64_MAX, &done), ROB_STOPPED);
    pthread_join(thread, NULL);
    rob_ctx_free(ctx);
}
END_TEST

typedef struct heard {
    int64_t calls, stop_at;
    const char *stage;
} heard;

static int32_t listen_to(void *user, const char *stage, int64_t done, int64_t total)
{
    heard *h = user;
    ck_assert_int_eq(done, h->calls);
    ck_assert_int_eq(total, 100);
    h->stage = stage;
    return h->calls++ == h->stop_at;
}

START_TEST(progress_is_heard_and_its_answer_stops)
{
    int64_t done;
    heard all = { 0, -1, NULL }, some = { 0, 30, NULL };
    rob_ctx *ctx = make_ctx();
    rob_ctx_set_progress(ctx, listen_to, &all);
    ck_assert_int_eq(long_call(ctx, 100, &done), ROB_OK);
    ck_assert_int_eq(all.calls, 100);
    ck_assert_str_eq(all.stage, "counting");
    rob_ctx_set_progress(ctx, listen_to, &some);
    ck_assert_int_eq(long_call(ctx, 100, &done), ROB_STOPPED);
    ck_assert_int_eq(done, 30);
    rob_ctx_set_progress(ctx, NULL, NULL);
    ck_assert_int_eq(long_call(ctx, 100, &done), ROB_OK);
    rob_ctx_free(ctx);
}
END_TEST

START_TEST(a_deadline_stops_and_can_be_taken_away)
{
    int64_t done;
    rob_ctx *ctx = make_ctx();
    ck_assert_int_eq(rob_ctx_set_deadline(ctx, 0.05), ROB_OK);
    ck_assert_int_eq(long_call(ctx, INT64_MAX, &done), ROB_STOPPED);
    ck_assert_int_eq(long_call(ctx, 10, &done), ROB_STOPPED);
    ck_assert_int_eq(done, 0);
    ck_assert_int_eq(rob_ctx_set_deadline(ctx, INFINITY), ROB_OK);
    ck_assert_int_eq(long_call(ctx, 10, &done), ROB_OK);
    rob_ctx_set_deadline(ctx, 1e-9);
    ck_assert_int_eq(rob_ctx_set_deadline(ctx, 0), ROB_OK);
    ck_assert_int_eq(long_call(ctx, 10, &done), ROB_OK);
    rob_ctx_free(ctx);
}
END_TEST

static void keep_line(void *user, int32_t level, const char *text)
{
    snprintf(user, 100, "%d:%s", (int)level, text);
}

START_TEST(the_log_gets_single_lines)
{
    char line[100] = "";
    rob_ctx *ctx = make_ctx();
    rob_priv_log(ctx, 0, "nobody listens");
    rob_ctx_set_log(ctx, keep_line, line);
    rob_priv_log(ctx, 1, "two\nlines %d", 5);
    ck_assert_str_eq(line, "1:two lines 5");
    ck_assert_int_eq(rob_ctx_set_text(ctx, "isa", "generic"), ROB_OK);
    ck_assert_str_eq(line, "1:isa: generic is used");
    rob_ctx_free(ctx);
}
END_TEST

/* ---- threads and processes ------------------------------------------------------- */

static void add_up(void *user, int64_t task, int32_t worker)
{
    (void)worker;
    atomic_fetch_add((atomic_llong *)user, task);
}

static int64_t sum_of_tasks(rob_ctx *ctx)
{
    atomic_llong sum;
    atomic_init(&sum, 0);
    rob_priv_parallel(ctx, add_up, &sum, 1000);
    return atomic_load(&sum);
}

START_TEST(the_number_of_threads_may_change_between_calls)
{
    rob_ctx *ctx = make_ctx();
    for (int32_t n = 1; n < 6; n++) {
        ck_assert_int_eq(rob_ctx_set_threads(ctx, n % 4 + 1), ROB_OK);
        ck_assert_int_eq(sum_of_tasks(ctx), 499500);
    }
    rob_ctx_free(ctx);
}
END_TEST

START_TEST(a_child_forked_after_use_does_not_hang)
{
    rob_ctx *ctx = make_ctx();
    rob_ctx_set_threads(ctx, 4);
    ck_assert_int_eq(sum_of_tasks(ctx), 499500);
    for (int use = 0; use < (ROB_TSAN ? 1 : 2); use++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            bool right = !use || sum_of_tasks(ctx) == 499500;
            rob_ctx_free(ctx);
            _exit(right ? 0 : 1);
        }
        int state;
        ck_assert_int_eq(waitpid(child, &state, 0), child);
        ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == 0, "hung or wrong");
    }
    ck_assert_int_eq(sum_of_tasks(ctx), 499500);
    rob_ctx_free(ctx);
}
END_TEST

START_TEST(the_seed_decides_start_weights)
{
    double w[3][64];
    int64_t count = 0;
    static const uint64_t seed[3] = { 5, 5, 6 };
    for (int i = 0; i < 3; i++) {
        rob_ctx *ctx = make_ctx();
        rob_model *model = NULL;
        rob_ctx_set_seed(ctx, seed[i]);
        rob_ctx_set_threads(ctx, i + 1);
        ck_assert_int_eq(
            rob_model_create(ctx, "lstm features=1 hidden=4 outputs=2 readout=last",
                             &model),
            ROB_OK);
        ck_assert_int_eq(
            rob_model_get(ctx, model, "lstm.weight_hh_l0", w[i], 64, &count), ROB_OK);
        ck_assert_int_eq(count, 64);
        rob_model_free(model);
        rob_ctx_free(ctx);
    }
    ck_assert_mem_eq(w[0], w[1], sizeof w[0]);
    ck_assert_mem_ne(w[0], w[2], sizeof w[0]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ctx");
    TCase *c = tcase_create("ctx");
    tcase_add_test(c, creation_takes_from_the_given_allocator_and_survives_its_failure);
    tcase_add_test(c, null_contexts_are_answered);
    tcase_add_test(c, errors_name_the_value_and_what_is_allowed);
    tcase_add_test(c, every_status_has_its_own_name_and_every_integer_some);
    tcase_add_test(c, kernels_can_be_chosen_and_chosen_back);
    tcase_add_test(c, a_signal_handler_cancels_the_running_call_and_only_that);
    tcase_add_test(c, another_thread_cancels);
    tcase_add_test(c, progress_is_heard_and_its_answer_stops);
    tcase_add_test(c, a_deadline_stops_and_can_be_taken_away);
    tcase_add_test(c, the_log_gets_single_lines);
    tcase_add_test(c, the_number_of_threads_may_change_between_calls);
    tcase_add_test(c, a_child_forked_after_use_does_not_hang);
    tcase_add_test(c, the_seed_decides_start_weights);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
