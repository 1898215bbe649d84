/* nearest.h -- what several public sides need of an attack. */
#ifndef ROB_API_NEAREST_H
#define ROB_API_NEAREST_H

#include "attack/attack.h"

/* Prepare the query and, when some series has no best point, run the attack "auto". */
rob_status rob_priv_api_nearest(rob_ctx *ctx, rob_query *q);

#endif
