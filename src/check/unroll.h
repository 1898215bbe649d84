/* unroll.h -- a graph being unrolled: values (values.c) of nodes (unroll.c). */
#ifndef ROB_CHECK_UNROLL_H
#define ROB_CHECK_UNROLL_H

#include "check/check.h"

struct rob_check_loop;

/* The graph, or the body of a loop at one turn. */
typedef struct rob_check_frame {
    rob_check_net *net;
    const rob_graph *graph;
    int32_t number, turn;         /* the scan this is the body of; -1, -1: the graph */
    rob_id x;
    int32_t nodes;
    int64_t *parts;               /* values that a node's result is in */
    int32_t **part, *whole;
    bool *varies;                 /* from turn to turn */
    struct rob_check_loop **loops;
} rob_check_frame;

/* All return a value, or ROB_NONE: no memory, or net->refused. */
int32_t rob_priv_check_add(rob_check_frame *f, rob_check_value v,
                           const rob_check_link *in);
/* Numbers that do not depend on x: stored ones, or room for them. */
int32_t rob_priv_check_known(rob_check_frame *f, int64_t size, double *lo, double *up,
                             double *big);
bool rob_priv_check_numbers(rob_check_frame *f, int64_t size, double **lo, double **up,
                            double **big);
int32_t rob_priv_check_window(rob_check_frame *f, int32_t of, int64_t first, int64_t size);
int32_t rob_priv_check_join(rob_check_frame *f, rob_id id, const rob_check_link *in,
                            int32_t ins);
/* Output k of node n, which is node id's part from number `part` on. */
int32_t rob_priv_check_apply(rob_check_frame *f, rob_id id, int64_t part,
                             const rob_node *n, int32_t k, const rob_check_link *in);

#endif
