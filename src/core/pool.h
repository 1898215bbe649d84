/* pool.h -- the end of a worker pool; its beginning is rob_priv_parallel. */
#ifndef ROB_CORE_POOL_H
#define ROB_CORE_POOL_H

#include "core/core.h"

/* Join the workers and free the pool; ctx->pool becomes NULL. In a forked child, where
 * the workers do not exist, only the memory is given back. */
void rob_priv_pool_free(rob_ctx *ctx);

#endif
