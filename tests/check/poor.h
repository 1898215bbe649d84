/* poor.h -- a life of calls is lived with 0, 1, 2, ... allocations until it succeeds:
 * every other end is ROB_EMEMORY, and nothing leaks.
 */
#ifndef ROB_TEST_POOR_H
#define ROB_TEST_POOR_H

#include "check/harness.h"
#include <robust/ctx.h>

typedef struct rob_purse {
    int64_t left, live;
} rob_purse;

static inline void *rob_purse_spend(void *user, int64_t bytes)
{
    rob_purse *b = user;
    if (b->left-- <= 0) return NULL;
    b->live++;
    return malloc((size_t)bytes);
}

static inline void rob_purse_give_back(void *user, void *p)
{
    ((rob_purse *)user)->live--;
    free(p);
}

static inline void rob_live_poorly(rob_status (*life)(rob_ctx *ctx))
{
    for (int64_t n = 0;; n++) {
        rob_purse b = { INT64_MAX, 0 };
        rob_ctx *poor;
        ck_assert_int_eq(
            rob_ctx_create_with(rob_purse_spend, rob_purse_give_back, &b, &poor),
            ROB_OK);
        int64_t before = b.live;
        b.left = n;
        rob_status status = life(poor);
        ck_assert_msg(status == ROB_OK || status == ROB_EMEMORY, "allocation %d: %s",
                      (int)n, rob_ctx_error(poor));
        ck_assert_msg(b.live == before, "allocation %d: %d blocks leak", (int)n,
                      (int)(b.live - before));
        rob_ctx_free(poor);
        if (status == ROB_OK) break;
        ck_assert_int_lt(n, 5000);
    }
}

/* A file of these bytes; the caller unlinks it. */
static inline void rob_write_file(char *path, const void *bytes, size_t count)
{
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, bytes, count), (ssize_t)count);
    close(file);
}

#endif
