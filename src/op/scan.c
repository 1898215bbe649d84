/* scan.c -- recurrence: for t = 0..T-1 (or down), (carries, ys_t) = body(carries, xs_t, w).
 *
 * One node for any T. Derivatives are scans again (src/diff/scan.c); the interpreters
 * (run, bound) step the body themselves. */
#include "op/op.h"

#include <string.h>

#ifndef ROB_KERNEL

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    (void)in, (void)ins, (void)attr, (void)out;
    rob_priv_graph_fail(g, ROB_EARGUMENT, "a scan is made from a body");
    return false;
}

const rob_op rob_priv_op_scan = {
    .name = "scan", .id = ROB_OP_scan, .ins = -1, .kind = ROB_OP_UNIQUE, .shape = shape,
};

/* Outer value `outer` fits body input `inner`: a sequence has T in front. */
static bool fits(const rob_graph *g, const rob_scan *s, rob_id outer, rob_id inner, bool stepped)
{
    rob_shape a = rob_priv_shape(g, outer), b = rob_priv_shape(s->body, inner);
    if (outer == ROB_NONE || inner == ROB_NONE) return false;
    if (!stepped) return rob_priv_shape_equal(&a, &b);
    if (a.rank != b.rank + 1 || a.dim[0] != s->steps) return false;
    memmove(a.dim, a.dim + 1, sizeof a.dim - sizeof *a.dim);
    a.rank--;
    return rob_priv_shape_equal(&a, &b);
}

static bool scan_fits(rob_graph *g, const rob_scan *s, const rob_id *node_in)
{
    int32_t n = s->carries + s->sequences + s->constants;
    for (int32_t i = 0; i < n; i++) {
        bool stepped = i >= s->carries && i < s->carries + s->sequences;
        if (fits(g, s, node_in[i], s->in[i], stepped)) continue;
        rob_priv_graph_fail(g, ROB_ESHAPE, "scan: input %d does not fit its body", (int)i);
        return false;
    }
    for (int32_t i = 0; i < s->carries; i++) {
        rob_shape a = rob_priv_shape(s->body, s->in[i]);
        rob_shape b = rob_priv_shape(s->body, s->out[i]);
        if (s->out[i] >= 0 && rob_priv_shape_equal(&a, &b)) continue;
        rob_priv_graph_fail(g, ROB_ESHAPE, "scan: carry %d changes its shape", (int)i);
        return false;
    }
    return true;
}

static rob_id *copied(rob_graph *g, const rob_id *ids, int32_t n)
{
    rob_id *copy = rob_priv_allocate(rob_priv_graph_memory(g), n > 0 ? n : 1,
                                     (int64_t)sizeof *copy);
    if (copy == NULL) rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a scan");
    else if (n > 0) memcpy(copy, ids, (size_t)n * sizeof *copy);
    return copy;
}

static void drop(rob_graph *g, rob_graph *body, rob_scan *s)
{
    const rob_memory *m = rob_priv_graph_memory(g);
    if (s != NULL) {
        rob_priv_release(m, s->in);
        rob_priv_release(m, s->out);
    }
    rob_priv_release(m, s);
    rob_priv_graph_free(body);
}

rob_id rob_priv_scan(rob_graph *g, rob_graph *body, int32_t carries, int32_t sequences,
                     int32_t constants, int32_t ys, const rob_id *in, const rob_id *out,
                     int64_t steps, int32_t reverse, const rob_id *node_in)
{
    int32_t ins = carries + sequences + constants;
    rob_scan *s = rob_priv_allocate(rob_priv_graph_memory(g), 1, (int64_t)sizeof *s);
    if (s == NULL) rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a scan");
    if (s == NULL || rob_priv_graph_failed(g)) return drop(g, body, s), ROB_NONE;
    *s = (rob_scan){.body = body, .carries = carries, .sequences = sequences,
                    .constants = constants, .ys = ys, .reverse = reverse, .steps = steps,
                    .in = copied(g, in, ins), .out = copied(g, out, carries + ys),
                    .out_capacity = carries + ys};
    if (s->in == NULL || s->out == NULL || !scan_fits(g, s, node_in))
        return drop(g, body, s), ROB_NONE;
    rob_node n = {.op = &rob_priv_op_scan, .ins = ins, .outs = carries + ys, .in = node_in,
                  .scan = s};
    return rob_priv_graph_add(g, &n);
}

#endif
