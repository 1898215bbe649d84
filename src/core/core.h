/* core.h -- what every module stands on: the context, errors, memory, progress,
 * counter-based random numbers and the worker pool.
 *
 * Flow: a function that can fail has `rob_status status = ROB_OK;` and one `done:`
 * label. TRY(call) goes there when the call fails; CHECK(...) writes the error line and
 * goes there.
 */
#ifndef ROB_CORE_H
#define ROB_CORE_H

#include <robust/status.h>
#include <robust/ctx.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
#define CHECK(condition, ctx, code, ...)                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            status = rob_priv_fail((ctx), (code), __VA_ARGS__);                       \
            goto done;                                                                \
        }                                                                             \
    } while (0)

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* ---- memory: every handle keeps a copy of the allocator it was made with --------- */

typedef struct rob_memory {
    void *(*allocate)(void *user, int64_t bytes);   /* aligned as malloc */
    void (*release)(void *user, void *p);
    void *user;
} rob_memory;

/* All return zeroed, 64-byte aligned memory or NULL; count*size is overflow-checked. */
void *rob_priv_allocate(const rob_memory *m, int64_t count, int64_t size);
/* Grow: copies `old` items. p may be NULL. On failure NULL, and p is untouched. */
void *rob_priv_grow(const rob_memory *m, void *p, int64_t old, int64_t count,
                    int64_t size);
void rob_priv_release(const rob_memory *m, void *p);          /* NULL is fine */
/* NULL on failure, or when s is NULL. */
char *rob_priv_copy_text(const rob_memory *m, const char *s);

/* ---- context --------------------------------------------------------------------- */

enum { ROB_ISA_GENERIC, ROB_ISA_AVX2, ROB_ISA_AVX512, ROB_ISA_COUNT };

typedef struct rob_pool rob_pool;

struct rob_ctx {
    rob_memory memory;
    char error[512];
    uint64_t seed;
    int32_t threads;            /* workers incl. the caller; default 1 */
    int32_t isa;                /* kernels in use: best the CPU has, or as set */
    int64_t memory_cap;         /* bytes for plans and workspaces; 0: none */
    double deadline;            /* seconds on the monotonic clock; 0: none */
    int32_t (*progress)(void *user, const char *stage, int64_t done, int64_t total);
    void *progress_user;
    void (*log)(void *user, int32_t level, const char *line);
    void *log_user;
    atomic_int cancelled;
    rob_pool *pool;             /* made when first needed */
};

/* Write the one-line error and return `code`. ctx may be NULL (then only the code).
 * Wording: name the argument, the value given and what is allowed. */
rob_status rob_priv_fail(rob_ctx *ctx, rob_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
rob_status rob_priv_no_memory(rob_ctx *ctx);  /* the standard ROB_EMEMORY line */
void rob_priv_log(rob_ctx *ctx, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Tell the progress callback; ROB_STOPPED when cancelled, past the deadline, or the
 * callback returned nonzero; the latch stays set until rob_priv_leave. Only call on the
 * thread that made the public call. */
rob_status rob_priv_progress(rob_ctx *ctx, const char *stage, int64_t done,
                             int64_t total);
bool rob_priv_cancelled(const rob_ctx *ctx);  /* any worker may ask; a relaxed load */
/* Every public function that may notice a cancel returns through this: clears the
 * latch. */
rob_status rob_priv_leave(rob_ctx *ctx, rob_status status);

/* ---- random numbers: Philox4x32-10, a pure function of (seed, stream, counter) --- */

void rob_priv_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);
typedef struct rob_random {
    uint64_t seed, stream, counter;
    uint32_t word[4];
    int32_t left;
    double spare;
    bool has_spare;
} rob_random;
rob_random rob_priv_random(uint64_t seed, uint64_t stream);
double rob_priv_uniform(rob_random *r);                  /* in (0, 1), 53 bits */
double rob_priv_normal(rob_random *r);                   /* N(0, 1) */
int64_t rob_priv_below(rob_random *r, int64_t n);        /* uniform in [0, n), n >= 1 */
void rob_priv_shuffle(rob_random *r, int64_t *items, int64_t n);

/* ---- threads --------------------------------------------------------------------- */

/* Run job(user, task, worker) for task = 0..tasks-1 on ctx->threads workers (worker <
 * threads; worker 0 is the caller). Tasks are handed out dynamically, so a job's result
 * must depend on `task` only. Returns when all are done. With threads = 1, or when the
 * pool cannot be made, everything runs on the caller. Never fails. Survives fork. */
void rob_priv_parallel(rob_ctx *ctx,
                       void (*job)(void *user, int64_t task, int32_t worker),
                       void *user, int64_t tasks);

double rob_priv_clock(void);                             /* monotonic seconds */

/* ---- numbers and text, independent of the locale --------------------------------- */

/* Parse a C-locale floating-point number at *s; moves *s behind it. */
bool rob_priv_parse_double(const char **s, const char *end, double *out);
/* Print with up to `digits` (<=17) significant digits, C locale; returns buffer. */
char *rob_priv_print_double(char *buffer, size_t capacity, double value, int digits);

/* ---- options by name: one table per method --------------------------------------- */

typedef struct rob_option {
    const char *name;
    double value, min, max;
    const char *unit, *doc;
} rob_option;
/* Find `name` in the table and store value[k]; errors name the option and what is
 * allowed. */
rob_status rob_priv_option_set(rob_ctx *ctx, const rob_option *table, int64_t count,
                               double *values, const char *name, double value);
double rob_priv_option_get(const rob_option *table, int64_t count, const double *values,
                           const char *name);

#endif
