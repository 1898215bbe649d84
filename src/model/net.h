/* net.h -- a recipe's net while its graph is written: shared by its files. */
#ifndef ROB_MODEL_NET_H
#define ROB_MODEL_NET_H

#include "model/blocks.h"
#include "model/parts.h"

typedef struct rob_net {
    const rob_model *model;
    const rob_recipe *r;
    rob_graph *g;
    const rob_id *parameter; /* ids to use, or NULL: constants */
    rob_id mask;             /* (T, B, 1) or ROB_NONE, of the steps as they are now */
} rob_net;

/* Tensor k; statistics and first states always as the constants they are. */
rob_id rob_priv_net_tensor(const rob_net *net, int32_t k);

/* scale, convolution and norms (entry.c): x (T, B, D) -> (T', B, what a layer sees) */
rob_id rob_priv_net_front(rob_net *net, rob_id x);
/* the norm at `place` of v (..., F); v itself where there is none */
rob_id rob_priv_net_norm(const rob_net *net, int32_t place, rob_id v);
rob_id rob_priv_net_activate(rob_graph *g, int32_t activation, rob_id v);

/* States of a direction of a layer, counted over all layers (recur.c): of all steps into *all (T, B, H), of its
 * end into *end (B, H); either may be NULL. u (T, B, F). */
void rob_priv_net_recur(const rob_net *net, int32_t number, bool backwards, rob_id u,
                        rob_id *all, rob_id *end);

/* Outputs (B, L) of states (T, B, S) and ends (B, S), whichever the read-out asks for
 * (head.c). */
bool rob_priv_net_reads_end(const rob_recipe *r);
rob_id rob_priv_net_head(const rob_net *net, rob_id all, rob_id end);
/* Outputs (..., L) of what is read out, z (..., S). */
rob_id rob_priv_net_answer(const rob_net *net, rob_id z);

#endif
