/* ctx.h -- the context: one thread's workspace, and the first argument of every call
 * that can fail.
 *
 * It holds the error line, the allocator, the log, progress and cancel, the seed and
 * the worker threads. No handle keeps a context: models, data and queries outlive it
 * and move between threads; they keep a copy of the allocator they were made with.
 *
 * For all functions of the library:
 *
 * Threads.  A context is used by one thread at a time (rob_ctx_cancel excepted).
 *   Different contexts are independent. Callbacks run on the thread that made the call,
 *   never on a worker.
 * Memory.  Everything is taken from the context's allocator and given back by the
 *   handle's own free function, which accepts NULL. Free functions take no lock, call
 *   back nothing but the allocator, and may run in any order and on any thread; only
 *   rob_ctx_free waits, for its workers.
 * Statuses.  Below 0: the call is broken, its outputs are untouched (a constructor's
 *   *out becomes NULL) and rob_ctx_error tells why in one line. ROB_EARGUMENT for a
 *   NULL where none is allowed, ROB_EMEMORY when the allocator fails: possible
 *   everywhere, not repeated below. ROB_STOPPED: results are valid as far as they go.
 *   Where a constructor answers it, its header says what was built (rob_trainer_run: the
 *   best so far; rob_certificate_create: nothing); every other one, cancelled, fails and
 *   nothing is built.
 * Quiet.  The library never prints, exits, aborts, reads environment variables, changes
 *   the locale or installs signal handlers. Numbers are read and written the same under
 *   every locale.
 * Repeatability.  For one build, processor kind, BLAS and its number of threads, and
 *   seed, the bits of every result do not depend on the number of workers.
 */
#ifndef ROBUST_CTX_H
#define ROBUST_CTX_H

#include <robust/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rob_ctx rob_ctx;

/**
 * Make a context on malloc: seed 0, one thread, no cap, no deadline.
 *
 * @param out the new context; NULL when the call fails
 * @return ROB_OK, ROB_EMEMORY
 * Cost: one allocation; threads are not started before they are needed. Since 0.1.
 */
ROB_API rob_status rob_ctx_create(rob_ctx **out);

/**
 * Make a context with the caller's allocator.
 *
 * Everything made through this context comes from `allocate` and goes to `release`,
 * also after the context is gone. With more than one worker thread both may be called
 * by several threads at once, and `release` on any thread that frees a handle. LAPACK
 * and the C library keep a little memory of their own.
 *
 * @param allocate returns `bytes` (>= 1) of memory aligned as malloc's, or NULL
 * @param release takes back what `allocate` gave; never called with NULL
 * @param user handed to both, unread
 * @param out the new context; NULL when the call fails
 * @return ROB_OK, ROB_EMEMORY
 * Cost: one allocation. Since 0.1.
 */
ROB_API rob_status rob_ctx_create_with(void *(*allocate)(void *user, int64_t bytes),
                                       void (*release)(void *user, void *p), void *user,
                                       rob_ctx **out);

/**
 * Free a context and join its worker threads.
 *
 * In a child process forked after the workers started there is nothing to join, and it
 * returns at once.
 *
 * @param ctx may be NULL; no call may be running in it
 * Cost: waits for the workers, microseconds as a rule. Since 0.1.
 */
ROB_API void rob_ctx_free(rob_ctx *ctx);

/**
 * The last error, as one line naming the argument, the value given and what is allowed.
 *
 * @param ctx may be NULL
 * @return text without a line end, "" when no call has failed yet; never NULL; valid
 *         until the next call with this context. A success does not clear it.
 * Cost: none. Since 0.1.
 */
ROB_API const char *rob_ctx_error(const rob_ctx *ctx);

/**
 * Set the seed of everything random: start weights, simulations, restarts, shuffles.
 *
 * Random numbers are counter-based (Philox4x32-10): each is a function of the seed, of
 * what it is drawn for and of its place there, so two runs with one seed agree whatever
 * the number of threads, and a series' numbers do not depend on its neighbours.
 * J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
 *
 * @param seed any; 0 at the start
 * @return ROB_OK
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_ctx_set_seed(rob_ctx *ctx, uint64_t seed);

/**
 * Set the number of threads that work on one call, the caller included.
 *
 * They are started when first needed and block all signals. The BLAS has threads of its
 * own and its own way to set them; one for each is usually right beside ours.
 *
 * @param workers 1 to 1024; 0: one for every processor that is online. 1 at the start
 * @return ROB_OK, ROB_EARGUMENT
 * Cost: joins the old workers when the number changes. Since 0.1.
 */
ROB_API rob_status rob_ctx_set_threads(rob_ctx *ctx, int32_t workers);

/**
 * Cap the memory of plans and workspaces made through this context.
 *
 * A call that would need more does its work in smaller pieces where it can, and fails
 * with ROB_EMEMORY where it cannot. Models and data sets are not counted.
 *
 * @param bytes 0: no cap, as at the start
 * @return ROB_OK, ROB_EARGUMENT
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_ctx_set_memory(rob_ctx *ctx, int64_t bytes);

/**
 * Stop calls that are still running so many seconds from now; later ones stop at once.
 *
 * Clocked monotonically; noticed where progress is told, so a call may run over by one
 * such step.
 *
 * @param seconds from now, >= 0; 0 or INFINITY takes the deadline away
 * @return ROB_OK, ROB_EDOMAIN for a negative number or NaN
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_ctx_set_deadline(rob_ctx *ctx, double seconds);

/**
 * Set an option whose value is a word.
 *
 * "isa": the kernels to use: "auto" (the best this processor has, as at the start),
 * "generic", "avx2", "avx512". It holds for what is made or run after it; a remark of
 * level 1 (rob_ctx_set_log) names them.
 *
 * @param name the option: "isa"
 * @param value one of its words
 * @return ROB_OK, ROB_EARGUMENT for an unknown name or word, ROB_EUNSUPPORTED for
 *         kernels this processor or build does not have
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_ctx_set_text(rob_ctx *ctx, const char *name, const char *value);

/**
 * Have long calls tell how far they are.
 *
 * @param step called now and then with the stage's name and how many of `total` are
 *        done; a nonzero answer stops the call as rob_ctx_cancel does. It must not call
 *        the library with this context, rob_ctx_cancel excepted. NULL: nobody is told.
 * @param user handed to step, unread
 * @return ROB_OK
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_ctx_set_progress(rob_ctx *ctx,
    int32_t (*step)(void *user, const char *stage, int64_t done, int64_t total),
    void *user);

/**
 * Have the library's remarks, of which there are few.
 *
 * @param line called with one line of text without a line end; level 0: a warning, 1:
 *        what was chosen for "auto" and the like, 2: details. NULL: remarks are
 *        dropped.
 * @param user handed to line, unread
 * @return ROB_OK
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_ctx_set_log(rob_ctx *ctx,
    void (*line)(void *user, int32_t level, const char *text), void *user);

/**
 * Ask the running call to stop; it returns ROB_STOPPED soon, with what it has.
 *
 * May be called from any thread and from a signal handler: it is one atomic store. The
 * wish is forgotten when the call that noticed it returns; when no call is running, or
 * the running one ends before it notices, the next is stopped.
 *
 * @param ctx may be NULL
 * Cost: none. Since 0.1.
 */
ROB_API void rob_ctx_cancel(rob_ctx *ctx);

/**
 * The library's version, "major.minor.patch".
 *
 * @return a constant string
 * Cost: none. Since 0.1.
 */
ROB_API const char *rob_version(void);

/**
 * What this build is, in one line: version, compiler, kernels, libraries.
 *
 * @return a constant string, for people
 * Cost: none. Since 0.1.
 */
ROB_API const char *rob_build_info(void);

#ifdef __cplusplus
}
#endif
#endif
