/* core.c -- memory, random numbers, errors, options, the worker pool. */
#include "check/harness.h"
#include "core/core.h"
#include "core/pool.h"

#include <fenv.h>
#include <math.h>
#include <sys/wait.h>

/* ---- a context and an allocator without the public constructor ------------------- */

static int64_t blocks;

static void *counted_malloc(void *user, int64_t bytes)
{
    (void)user;
    blocks++;
    return malloc((size_t)bytes);
}

static void counted_free(void *user, void *p)
{
    (void)user;
    blocks--;
    free(p);
}

static rob_memory counted(void)
{
    return (rob_memory){ counted_malloc, counted_free, NULL };
}

static rob_ctx context(int32_t threads)
{
    rob_ctx ctx = { .memory = counted(), .threads = threads };
    return ctx;
}

/* ---- memory ---------------------------------------------------------------------- */

START_TEST(blocks_are_aligned_zeroed_and_given_back)
{
    rob_memory m = counted();
    blocks = 0;
    for (int64_t n = 0; n < 300; n += 7) {
        unsigned char *p = rob_priv_allocate(&m, n, 3);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 64, 0);
        for (int64_t i = 0; i < 3 * n; i++) ck_assert_uint_eq(p[i], 0);
        memset(p, 0xff, (size_t)(3 * n));
        rob_priv_release(&m, p);
    }
    rob_priv_release(&m, NULL);
    ck_assert_int_eq(blocks, 0);
}
END_TEST

START_TEST(impossible_sizes_are_refused_before_the_allocator_is_asked)
{
    static const int64_t size[][2] = {
        { INT64_MAX, 1 },
        { INT64_MAX, 8 },
        { INT64_MAX / 8 + 1, 8 },
        { -1, 8 },
        { 8, -1 },
        { INT64_C(1) << 32, INT64_C(1) << 31 },
        { INT64_C(1) << 32, INT64_C(1) << 32 },
    };
    rob_memory m = counted();
    blocks = 0;
    for (int64_t i = 0; i < COUNT_OF(size); i++)
        ck_assert_ptr_null(rob_priv_allocate(&m, size[i][0], size[i][1]));
    ck_assert_int_eq(blocks, 0);
}
END_TEST

START_TEST(growing_keeps_the_old_items_and_zeroes_the_new)
{
    rob_memory m = counted();
    blocks = 0;
    int64_t *p = rob_priv_grow(&m, NULL, 0, 5, sizeof *p);
    for (int64_t i = 0; i < 5; i++) p[i] = i + 1;
    p = rob_priv_grow(&m, p, 5, 100, sizeof *p);
    for (int64_t i = 0; i < 100; i++) ck_assert_int_eq(p[i], i < 5 ? i + 1 : 0);
    ck_assert_ptr_null(rob_priv_grow(&m, p, 100, INT64_MAX, sizeof *p));
    ck_assert_int_eq(p[4], 5);
    char *copy = rob_priv_copy_text(&m, "text");
    ck_assert_str_eq(copy, "text");
    ck_assert_ptr_null(rob_priv_copy_text(&m, NULL));
    rob_priv_release(&m, copy);
    rob_priv_release(&m, p);
    ck_assert_int_eq(blocks, 0);
}
END_TEST

/* ---- random numbers -------------------------------------------------------------- */

/* The three vectors published with Random123 for philox4x32-10. */
START_TEST(philox_gives_the_published_vectors)
{
    static const struct {
        uint64_t seed, stream, counter;
        uint32_t out[4];
    } known[] = {
        { 0, 0, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { UINT64_MAX,
          UINT64_MAX,
          UINT64_MAX,
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { UINT64_C(0x299f31d0a4093822),
          UINT64_C(0x0370734413198a2e),
          UINT64_C(0x85a308d3243f6a88),
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (int64_t i = 0; i < COUNT_OF(known); i++) {
        uint32_t out[4];
        rob_priv_philox(known[i].seed, known[i].stream, known[i].counter, out);
        for (int k = 0; k < 4; k++) ck_assert_uint_eq(out[k], known[i].out[k]);
    }
}
END_TEST

/* Seeds are fixed, so the outcome is too. The bounds are 5 sigma of the true law: mean
 * of n uniforms 1/sqrt(12 n), mean of n normals 1/sqrt(n), their variance sqrt(2/n). */
START_TEST(uniforms_and_normals_follow_their_laws)
{
    enum { N = 100000 };
    rob_random r = rob_priv_random(7, 3);
    double sum = 0, normal = 0, square = 0;
    for (int i = 0; i < N; i++) {
        double u = rob_priv_uniform(&r);
        ck_assert(u > 0 && u < 1);
        sum += u;
    }
    for (int i = 0; i < N; i++) {
        double z = rob_priv_normal(&r);
        normal += z;
        square += z * z;
    }
    ck_assert_double_lt(fabs(sum / N - 0.5), 5 / sqrt(12.0 * N));
    ck_assert_double_lt(fabs(normal / N), 5 / sqrt(1.0 * N));
    ck_assert_double_lt(fabs(square / N - 1), 5 * sqrt(2.0 / N));
}
END_TEST

START_TEST(streams_repeat_and_differ)
{
    rob_random a = rob_priv_random(1, 2), b = rob_priv_random(1, 2),
               c = rob_priv_random(1, 3), d = rob_priv_random(2, 2);
    for (int i = 0; i < 100; i++) {
        double u = rob_priv_uniform(&a);
        ck_assert_double_eq(u, rob_priv_uniform(&b));
        ck_assert_double_ne(u, rob_priv_uniform(&c));
        ck_assert_double_ne(u, rob_priv_uniform(&d));
    }
}
END_TEST

/* Cell counts of n draws over k cells: 6 sigma of the binomial. */
START_TEST(integers_below_are_uniform_and_shuffles_permute)
{
    enum { N = 70000, K = 7 };
    int64_t count[K] = { 0 }, item[K] = { 0, 1, 2, 3, 4, 5, 6 }, at_front[K] = { 0 };
    rob_random r = rob_priv_random(11, 0);
    for (int i = 0; i < N; i++) count[rob_priv_below(&r, K)]++;
    for (int i = 0; i < N; i++) {
        rob_priv_shuffle(&r, item, K);
        at_front[item[0]]++;
    }
    double sigma = sqrt(N * (1.0 / K) * (1 - 1.0 / K));
    int64_t sum = 0;
    for (int k = 0; k < K; k++) {
        ck_assert_double_lt(fabs((double)count[k] - N / K), 6 * sigma);
        ck_assert_double_lt(fabs((double)at_front[k] - N / K), 6 * sigma);
        sum += item[k];
    }
    ck_assert_int_eq(sum, K * (K - 1) / 2);
    ck_assert_int_eq(rob_priv_below(&r, 1), 0);
    ck_assert_int_ge(rob_priv_below(&r, INT64_MAX), 0);
}
END_TEST

/* ---- errors, options ------------------------------------------------------------- */

START_TEST(errors_are_one_line_and_may_quote_themselves)
{
    rob_ctx ctx = context(1);
    ck_assert_int_eq(rob_priv_fail(&ctx, ROB_EIO, "two\nlines\tof %d", 3), ROB_EIO);
    ck_assert_str_eq(ctx.error, "two lines of 3");
    rob_priv_fail(&ctx, ROB_EIO, "again: %s", ctx.error);
    ck_assert_str_eq(ctx.error, "again: two lines of 3");
    char much[2000];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    rob_priv_fail(&ctx, ROB_EIO, "%s", much);
    ck_assert_uint_eq(strlen(ctx.error), sizeof ctx.error - 1);
    ck_assert_int_eq(rob_priv_fail(NULL, ROB_EIO, "nobody hears"), ROB_EIO);
    ck_assert_int_eq(rob_priv_no_memory(&ctx), ROB_EMEMORY);
}
END_TEST

static const rob_option option_table[] = {
    { "rate", 0.01, 1e-6, 1, "per step", "learning rate" },
    { "epochs", 10, 1, 1e6, "", "passes" },
};

START_TEST(options_are_checked_by_their_table)
{
    rob_ctx ctx = context(1);
    double value[2] = { 0.01, 10 };
    const int64_t n = COUNT_OF(option_table);
    ck_assert_int_eq(rob_priv_option_set(&ctx, option_table, n, value, "epochs", 20),
                     ROB_OK);
    ck_assert_double_eq(rob_priv_option_get(option_table, n, value, "epochs"), 20);
    ck_assert_int_eq(rob_priv_option_set(&ctx, option_table, n, value, "epoch", 20),
                     ROB_EARGUMENT);
    ck_assert_str_eq(ctx.error, "no option 'epoch'; there are: rate, epochs");
    ck_assert_int_eq(rob_priv_option_set(&ctx, option_table, n, value, "rate", 2),
                     ROB_EDOMAIN);
    ck_assert_str_eq(ctx.error, "option 'rate' is 2; allowed is 1e-06 to 1 per step");
    ck_assert_int_eq(rob_priv_option_set(&ctx, option_table, n, value, "rate", NAN),
                     ROB_EDOMAIN);
    ck_assert_double_eq(value[0], 0.01);
    ck_assert(isnan(rob_priv_option_get(option_table, n, value, "none")));
}
END_TEST

/* ---- the pool -------------------------------------------------------------------- */

typedef struct tally {
    atomic_int count[1000];
    atomic_int wrong;
    int32_t threads;
} tally;

static void count_task(void *user, int64_t task, int32_t worker)
{
    tally *t = user;
    atomic_fetch_add(&t->count[task], 1);
    if (worker < 0 || worker >= t->threads) atomic_fetch_add(&t->wrong, 1);
}

static void every_task_runs_once(rob_ctx *ctx)
{
    static tally t;
    memset(&t, 0, sizeof t);
    t.threads = ctx->threads;
    rob_priv_parallel(ctx, count_task, &t, COUNT_OF(t.count));
    for (int64_t i = 0; i < COUNT_OF(t.count); i++)
        ck_assert_int_eq(atomic_load(&t.count[i]), 1);
    ck_assert_int_eq(atomic_load(&t.wrong), 0);
}

START_TEST(the_pool_runs_every_task_once)
{
    for (int32_t threads = 1; threads <= 5; threads++) {
        rob_ctx ctx = context(threads);
        blocks = 0;
        for (int i = 0; i < 50; i++) every_task_runs_once(&ctx);
        rob_priv_parallel(&ctx, count_task, NULL, 0);
        rob_priv_pool_free(&ctx);
        ck_assert_ptr_null(ctx.pool);
        ck_assert_int_eq(blocks, 0);
    }
}
END_TEST

START_TEST(a_forked_child_computes_and_leaves)
{
    rob_ctx ctx = context(3);
    every_task_runs_once(&ctx);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(20);
        if (!ROB_TSAN) every_task_runs_once(&ctx);
        rob_priv_pool_free(&ctx);
        _exit(0);
    }
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == 0,
                  "the child hung or failed");
    every_task_runs_once(&ctx);
    rob_priv_pool_free(&ctx);
}
END_TEST

static void *no_memory(void *user, int64_t bytes)
{
    (void)user;
    (void)bytes;
    return NULL;
}

START_TEST(without_memory_for_a_pool_the_caller_works_alone)
{
    rob_ctx ctx = context(4);
    ctx.memory.allocate = no_memory;
    every_task_runs_once(&ctx);
    ck_assert_ptr_null(ctx.pool);
}
END_TEST

static void store_rounding(void *user, int64_t task, int32_t worker)
{
    (void)worker;
    ((int *)user)[task] = fegetround();
}

START_TEST(workers_share_the_callers_rounding_mode)
{
    rob_ctx ctx = context(4);
    int mode[64], wish[3] = { FE_TONEAREST, FE_UPWARD, FE_TONEAREST };
    for (int k = 0; k < 3; k++) {
        fesetround(wish[k]);
        rob_priv_parallel(&ctx, store_rounding, mode, COUNT_OF(mode));
        fesetround(FE_TONEAREST);
        for (int64_t i = 0; i < COUNT_OF(mode); i++) ck_assert_int_eq(mode[i], wish[k]);
    }
    rob_priv_pool_free(&ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("core");
    TCase *c = tcase_create("core");
    tcase_add_test(c, blocks_are_aligned_zeroed_and_given_back);
    tcase_add_test(c, impossible_sizes_are_refused_before_the_allocator_is_asked);
    tcase_add_test(c, growing_keeps_the_old_items_and_zeroes_the_new);
    tcase_add_test(c, philox_gives_the_published_vectors);
    tcase_add_test(c, uniforms_and_normals_follow_their_laws);
    tcase_add_test(c, streams_repeat_and_differ);
    tcase_add_test(c, integers_below_are_uniform_and_shuffles_permute);
    tcase_add_test(c, errors_are_one_line_and_may_quote_themselves);
    tcase_add_test(c, options_are_checked_by_their_table);
    tcase_add_test(c, the_pool_runs_every_task_once);
    tcase_add_test(c, a_forked_child_computes_and_leaves);
    tcase_add_test(c, without_memory_for_a_pool_the_caller_works_alone);
    tcase_add_test(c, workers_share_the_callers_rounding_mode);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
