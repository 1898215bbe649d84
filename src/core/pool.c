/* pool.c -- the worker pool: tasks 0..n-1 handed out one by one, the caller works too.
 *
 * Why a pool of our own: OpenMP's runtime hangs in a child forked after use, belongs to
 * the compiler that built the host, and its threads outlive us; C11 threads and POSIX
 * offer no pool. What is needed fits this file.
 *
 * A round: the caller publishes the job under the mutex and wakes the workers;
 * everybody takes `next++` until it reaches `tasks`; the caller waits until no worker
 * is inside. Workers block all signals, so that a host's handlers run on the host's
 * threads, and take over the caller's floating-point environment for the round, so that
 * bits do not depend on who computes. Jobs must not call rob_priv_parallel themselves.
 */
#include "core/pool.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

typedef void round_job(void *user, int64_t task, int32_t worker);

typedef struct seat { /* what a worker thread is told at its start */
    rob_pool *pool;
    int32_t worker;
    pthread_t thread;
} seat;

struct rob_pool {
    pthread_mutex_t lock;
    pthread_cond_t start, finished;
    pid_t owner;    /* the process that has the threads */
    int32_t seats;  /* threads running, the caller not counted */
    int32_t inside; /* workers that have not finished the round */
    uint64_t round;
    bool closing;
    round_job *job;
    void *user;
    int64_t tasks;
    atomic_llong next;
    fenv_t environment;
    seat seat[];
};

static void take_tasks(rob_pool *pool, int32_t worker)
{
    for (;;) {
        int64_t task = atomic_fetch_add(&pool->next, 1);
        if (task >= pool->tasks) return;
        pool->job(pool->user, task, worker);
    }
}

/* False when the pool closes. Leaves `seen` at the round to work in. */
static bool wait_for_round(rob_pool *pool, uint64_t *seen)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->round == *seen && !pool->closing)
        pthread_cond_wait(&pool->start, &pool->lock);
    bool work = !pool->closing;
    *seen = pool->round;
    pthread_mutex_unlock(&pool->lock);
    return work;
}

static void leave_round(rob_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (--pool->inside == 0) pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *argument)
{
    seat *mine = argument;
    uint64_t seen = 0;
    while (wait_for_round(mine->pool, &seen)) {
        fesetenv(&mine->pool->environment);
        take_tasks(mine->pool, mine->worker);
        leave_round(mine->pool);
    }
    return NULL;
}

static void start_threads(rob_pool *pool, int32_t wanted)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->seats < wanted) {
        seat *next = &pool->seat[pool->seats];
        *next = (seat){ .pool = pool, .worker = pool->seats + 1 };
        if (pthread_create(&next->thread, NULL, work, next) != 0) break;
        pool->seats++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static rob_pool *make_pool(rob_ctx *ctx)
{
    int32_t wanted = ctx->threads - 1;
    rob_pool *pool = rob_priv_allocate(
        &ctx->memory, 1, (int64_t)sizeof *pool + wanted * (int64_t)sizeof(seat));
    if (!pool) return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->owner = getpid();
    start_threads(pool, wanted);
    return pool;
}

static void join_threads(rob_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < pool->seats; i++) pthread_join(pool->seat[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->lock);
}

void rob_priv_pool_free(rob_ctx *ctx)
{
    rob_pool *pool = ctx->pool;
    if (!pool) return;
    if (pool->owner == getpid()) join_threads(pool);
    ctx->pool = NULL;
    rob_priv_release(&ctx->memory, pool);
}

/* The pool of this process, made or made anew; NULL: there is none to be had. */
static rob_pool *pool_of_this_process(rob_ctx *ctx)
{
    if (ctx->pool && ctx->pool->owner != getpid()) rob_priv_pool_free(ctx);
    if (!ctx->pool) ctx->pool = make_pool(ctx);
    return ctx->pool;
}

static void run_round(rob_pool *pool, round_job *job, void *user, int64_t tasks)
{
    pthread_mutex_lock(&pool->lock);
    pool->job = job;
    pool->user = user;
    pool->tasks = tasks;
    atomic_store(&pool->next, 0);
    fegetenv(&pool->environment);
    pool->inside = pool->seats;
    pool->round++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    take_tasks(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->inside > 0) pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void rob_priv_parallel(rob_ctx *ctx,
                       void (*job)(void *user, int64_t task, int32_t worker),
                       void *user, int64_t tasks)
{
    rob_pool *pool = ctx->threads > 1 && tasks > 1 ? pool_of_this_process(ctx) : NULL;
    if (pool && pool->seats > 0) {
        run_round(pool, job, user, tasks);
        return;
    }
    for (int64_t task = 0; task < tasks; task++) job(user, task, 0);
}
