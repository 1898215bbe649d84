/* clone.c -- a copy of a graph with the same ids, and what scans own. */
#include "graph/graph.h"
#include "graph/operator.h"

#include <string.h>

static rob_id *copy_ids(const rob_memory *m, const rob_id *ids, int32_t n, int32_t capacity)
{
    rob_id *copy = rob_priv_allocate(m, capacity > 0 ? capacity : 1, (int64_t)sizeof *copy);
    if (copy != NULL && n > 0) memcpy(copy, ids, (size_t)n * sizeof *copy);
    return copy;
}

static rob_scan *clone_scan(rob_ctx *ctx, const rob_memory *m, const rob_scan *s)
{
    rob_scan *c = rob_priv_allocate(m, 1, (int64_t)sizeof *c);
    if (c == NULL) return NULL;
    *c = *s;
    c->body = NULL;
    c->in = copy_ids(m, s->in, s->carries + s->sequences + s->constants,
                     s->carries + s->sequences + s->constants);
    c->out = copy_ids(m, s->out, s->carries + s->ys, s->out_capacity);
    if (c->in != NULL && c->out != NULL
        && rob_priv_graph_clone(ctx, s->body, &c->body) == ROB_OK)
        return c;
    rob_priv_release(m, c->in);
    rob_priv_release(m, c->out);
    rob_priv_release(m, c);
    return NULL;
}

rob_status rob_priv_graph_clone(rob_ctx *ctx, const rob_graph *g, rob_graph **out)
{
    rob_status status = ROB_OK;
    rob_graph *copy = NULL;
    const rob_memory *m = rob_priv_graph_memory(g);
    *out = NULL;
    rob_ctx plain = {.memory = *m};
    if (ctx == NULL) ctx = &plain;
    TRY(rob_priv_graph_create(ctx, &copy));
    for (rob_id id = 0; id < rob_priv_graph_count(g); id++) {
        rob_node n = rob_priv_node(g, id);
        if (n.scan != NULL) {
            n.scan = clone_scan(ctx, m, n.scan);
            CHECK(n.scan != NULL, ctx, ROB_EMEMORY, "out of memory for a graph");
        }
        rob_priv_graph_add(copy, &n);
        TRY(rob_priv_graph_status(ctx, copy));
    }
    *out = copy;
    copy = NULL;
done:
    rob_priv_graph_free(copy);
    return status;
}

int32_t rob_priv_scan_stack(rob_graph *g, rob_id scan, rob_id v)
{
    rob_scan *s = rob_priv_node(g, scan).scan;
    for (int32_t k = 0; k < s->ys; k++)
        if (s->out[s->carries + k] == v) return s->carries + k;
    int32_t n = s->carries + s->ys;
    if (n == s->out_capacity) {
        rob_id *out = rob_priv_grow(rob_priv_graph_memory(g), s->out, n, 2 * n + 8,
                                    (int64_t)sizeof *out);
        if (out == NULL) return rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a scan");
        s->out = out;
        s->out_capacity = 2 * n + 8;
    }
    s->out[n] = v;
    s->ys++;
    rob_priv_graph_set_outs(g, scan, n + 1);
    return n;
}
